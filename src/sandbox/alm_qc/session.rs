//! Who is calling: the ways to sign in, the cookies, the token against forged requests.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::body;
use super::reply::{Answer, Body, Failure, Reply, escape, quoted};
use super::schema::Kind;
use super::store::User;
use super::time;
use crate::sandbox::Request;

/// The API key of the first user.
pub(super) const CLIENT_ID: &str = "apikey-sandbox0alm0client";
pub(super) const CLIENT_SECRET: &str = "sandboxalmsecret";
/// The password of every user of the sandbox.
pub(super) const PASSWORD: &str = "sandbox-alm-password";
/// Seconds after which an idle session ends: the documented default of `REST_SESSION_MAX_IDLE_TIME`.
const IDLE_SECONDS: i64 = 3_600;

/// A session of the site.
#[derive(Debug)]
struct Session {
    user: u16,
    used: i64,
    /// Declared when it was made; later calls declare the same or are refused.
    client_type: Option<String>,
}

/// All that lives no longer than the server: sessions, and the locks that they hold.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    serial: u64,
    live: HashMap<String, Session>,
    logged_out: HashSet<u64>,
    /// Locks by project, entity and id: the session that holds it.
    pub(super) locks: HashMap<(usize, Kind, u32), String>,
}

/// A caller whose session is fine.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) user: u16,
    pub(super) session: String,
}

/// What an identity token says.
struct Identity {
    user: u16,
    login: u64,
}

fn seal(text: &str) -> String {
    let hash = xxhash_rust::xxh3::xxh3_128(format!("{PASSWORD}{text}").as_bytes());
    URL_SAFE_NO_PAD.encode(hash.to_be_bytes())
}

/// The value of a cookie.
pub(super) fn cookie<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let headers = request.headers.iter().filter(|(n, _)| n == "cookie");
    let mut pairs = headers.flat_map(|(_, v)| v.split(';')).filter_map(|p| p.trim().split_once('='));
    pairs.find(|(n, _)| *n == name).map(|(_, v)| v.trim_matches('"'))
}

fn set_cookie(name: &str, value: &str, http_only: bool) -> (String, String) {
    let only = if http_only { ";HttpOnly" } else { "" };
    ("Set-Cookie".to_owned(), format!("{name}={value};Path=/{only}"))
}

fn expire(name: &str) -> (String, String) {
    ("Set-Cookie".to_owned(), format!("{name}=;Path=/;Expires=Thu, 01-Jan-1970 00:00:00 GMT;Max-Age=0"))
}

/// The refusal of a call without a session.
pub(super) fn unsigned(request: &Request) -> Failure {
    let mut failure = Failure::general(
        401,
        "Authentication failed. Browser based integrations - to login append '?login-form-required=y' to the url you tried to access.",
    );
    failure.headers.push((
        "WWW-Authenticate".to_owned(),
        format!("LWSSO realm=\"{}/qcbin/authentication-point\"", request.base),
    ));
    failure
}

impl Sessions {
    fn token(&mut self, user: u16, login: u64) -> String {
        self.serial += 1;
        let text = format!("{user}.{login}.{}", self.serial);
        format!("{}.{}", text, seal(&text))
    }

    fn identity(&self, request: &Request) -> Result<Option<Identity>, Failure> {
        let Some(token) = cookie(request, "LWSSO_COOKIE_KEY") else { return Ok(None) };
        let Some((text, sign)) = token.rsplit_once('.') else { return Ok(None) };
        let mut parts = text.split('.');
        let mut next = || parts.next()?.parse::<u64>().ok();
        let (Some(user), Some(login)) = (next(), next()) else { return Ok(None) };
        if seal(text) != sign {
            return Ok(None);
        }
        if self.logged_out.contains(&login) {
            return Err(Failure::general(500, "TokenId is invalid because it has logged out"));
        }
        Ok(u16::try_from(user).ok().map(|user| Identity { user, login }))
    }

    /// Makes a fresh identity. The number of a login is drawn, so that tokens of an earlier
    /// server are not taken for those of this one.
    fn log_in(&mut self, user: u16) -> (String, String) {
        let login = rand::random::<u64>();
        let token = self.token(user, login);
        set_cookie("LWSSO_COOKIE_KEY", &token, true)
    }

    fn open(
        &mut self,
        user: u16,
        login: &str,
        client_type: Option<String>,
        now: i64,
    ) -> Vec<(String, String)> {
        self.live.retain(|_, session| now - session.used <= IDLE_SECONDS);
        let suffix = client_type.as_ref().map(|t| format!("-{}", STANDARD.encode(t).trim_end_matches('=')));
        let id = format!("{:032x}{}", rand::random::<u128>(), suffix.unwrap_or_default());
        self.live.insert(id.clone(), Session { user, used: now, client_type });
        let forge = format!("{:032x}", rand::random::<u128>());
        vec![
            set_cookie("QCSession", &id, true),
            set_cookie("ALM_USER", &URL_SAFE_NO_PAD.encode(login), false),
            set_cookie("XSRF-TOKEN", &forge, false),
        ]
    }

    /// Checks the session of a call; gives the caller and a fresh identity cookie.
    pub(super) fn caller(
        &mut self,
        request: &Request,
        now: i64,
    ) -> Result<(Caller, Vec<(String, String)>), Failure> {
        let identity = self.identity(request)?.ok_or_else(|| unsigned(request))?;
        let session = cookie(request, "QCSession").ok_or_else(|| unsigned(request))?;
        let declared = request.header("alm-client-type").map(str::to_owned);
        let live = self.live.get_mut(session).filter(|s| s.user == identity.user);
        let live = live.filter(|s| s.client_type == declared || s.client_type.is_none());
        let Some(live) = live else { return Err(expired(request)) };
        if now - live.used > IDLE_SECONDS {
            let gone = session.to_owned();
            self.close(&gone);
            return Err(expired(request));
        }
        live.used = now;
        let caller = Caller { user: identity.user, session: session.to_owned() };
        let token = self.token(identity.user, identity.login);
        Ok((caller, vec![set_cookie("LWSSO_COOKIE_KEY", &token, true)]))
    }

    fn close(&mut self, session: &str) {
        self.live.remove(session);
        self.locks.retain(|_, holder| holder != session);
    }

    /// Who holds the lock of an entity, if it is not this session.
    pub(super) fn locked_by_other(&self, project: usize, kind: Kind, id: u32, session: &str) -> Option<u16> {
        let holder = self.locks.get(&(project, kind, id)).filter(|holder| *holder != session)?;
        self.live.get(holder).map(|s| s.user)
    }
}

fn expired(request: &Request) -> Failure {
    let mut failure = unsigned(request);
    (failure.id, failure.title) = ("qccore.session-has-expired", "Session has expired".to_owned());
    failure
}

/// Checks the token against forged requests: header and cookie say the same, whoever made it up.
pub(super) fn check_forgery(request: &Request) -> Result<(), Failure> {
    let cookie = cookie(request, "XSRF-TOKEN").filter(|c| !c.is_empty());
    if cookie.is_some() && cookie == request.header("x-xsrf-token") {
        return Ok(());
    }
    Err(Failure::general(
        401,
        "Unauthorized request. For more details see XSRF Token section in REST API documentation.",
    ))
}

fn basic(request: &Request) -> Option<(String, String)> {
    let value = request.header("authorization")?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    pair.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

/// The user of these credentials; an API key serves as name and password too.
fn user(users: &[User], name: &str, password: &str) -> Option<u16> {
    if (name, password) == (CLIENT_ID, CLIENT_SECRET) {
        return Some(0);
    }
    let at = users.iter().position(|u| u.login.eq_ignore_ascii_case(name) && u.active)?;
    (password == PASSWORD).then_some(at).and_then(|at| u16::try_from(at).ok())
}

fn refused() -> Failure {
    let mut failure = Failure::general(401, "Authentication failed. Invalid user name or password.");
    failure.headers.push(("WWW-Authenticate".to_owned(), "ALMAUTH".to_owned()));
    failure
}

/// Routes that need no session; none: it is another route.
pub(super) fn open_route(
    sessions: &mut Sessions,
    users: &[User],
    request: &Request,
    path: &[&str],
) -> Option<Answer> {
    let method = request.method.as_str();
    Some(match path {
        ["rest", "is-authenticated"] => is_authenticated(sessions, users, request, false),
        ["v2", "rest", "is-authenticated"] => is_authenticated(sessions, users, request, true),
        ["rest", "oauth2", "login"] if method == "POST" => api_key(sessions, users, request),
        ["authentication-point", "alm-authenticate"] if method == "POST" => {
            alm_authenticate(sessions, users, request)
        }
        ["authentication-point", "authenticate"] if method == "GET" => {
            let found = basic(request).and_then(|(name, password)| user(users, &name, &password));
            found.ok_or_else(refused).map(|user| with(Reply::empty(200), vec![sessions.log_in(user)]))
        }
        ["authentication-point", "j_spring_security_check"] if method == "POST" => {
            form(sessions, users, request)
        }
        ["authentication-point", "logout"] => log_out(sessions, request),
        ["api", "authentication", "sign-in"] if method == "POST" => sign_in(sessions, users, request),
        ["api", "authentication", "sign-out"] => log_out(sessions, request),
        ["rest", "oauth2", "login"] | ["authentication-point", ..] | ["api", "authentication", ..] => {
            Err(Failure::no_method())
        }
        ["rest", "site-session"] => site_session(sessions, users, request),
        _ => return None,
    })
}

fn with(mut reply: Reply, headers: Vec<(String, String)>) -> Reply {
    reply.headers.extend(headers);
    reply
}

fn is_authenticated(sessions: &Sessions, users: &[User], request: &Request, json: bool) -> Answer {
    if request.method != "GET" {
        return Err(Failure::no_method());
    }
    let identity = sessions.identity(request)?.ok_or_else(|| unsigned(request))?;
    let login = users.get(usize::from(identity.user)).map_or("", |u| u.login.as_str());
    let body = if json {
        Body::JsonOnly(format!("{{\"AuthenticationInfo\":{{\"Username\":{}}}}}", quoted(login)))
    } else {
        Body::XmlOnly(format!(
            "<AuthenticationInfo><Username>{}</Username></AuthenticationInfo>",
            escape(login)
        ))
    };
    Ok(Reply::of(200, body))
}

fn api_key(sessions: &mut Sessions, users: &[User], request: &Request) -> Answer {
    let json: serde_json::Value =
        serde_json::from_slice(&request.body).map_err(|_| Failure::general(500, "Internal Server Error"))?;
    let text = |name: &str| json.get(name).and_then(serde_json::Value::as_str);
    if (text("clientId"), text("secret")) != (Some(CLIENT_ID), Some(CLIENT_SECRET)) {
        return Err(refused());
    }
    Ok(whole_session(sessions, users, request, 0))
}

/// Identity and session in one step.
fn whole_session(sessions: &mut Sessions, users: &[User], request: &Request, user: u16) -> Reply {
    let login = users.get(usize::from(user)).map_or("", |u| u.login.as_str());
    let client = request.header("alm-client-type").map(str::to_owned);
    let mut cookies =
        vec![set_cookie("JSESSIONID", &format!("node0{:016x}.node0", rand::random::<u64>()), true)];
    cookies.push(sessions.log_in(user));
    cookies.extend(sessions.open(user, login, client, time::now()));
    with(Reply::empty(200), cookies)
}

fn alm_authenticate(sessions: &mut Sessions, users: &[User], request: &Request) -> Answer {
    let kind = body::kind(request.header("content-type").unwrap_or_default());
    let kind = kind.ok_or_else(|| Failure::general(415, "Unsupported Media Type"))?;
    let json: serde_json::Value = if kind.json {
        serde_json::from_slice(&request.body).unwrap_or_default()
    } else {
        Default::default()
    };
    let part = |name: &str| match kind.json {
        true => json["alm-authentication"][name].as_str().map(str::to_owned),
        false => body::element(&request.body, name),
    };
    let (Some(name), Some(password)) = (part("user"), part("password")) else {
        return Err(Failure::general(400, "Bad Request"));
    };
    let found = user(users, &name, &password).ok_or_else(refused)?;
    Ok(with(Reply::empty(200), vec![sessions.log_in(found)]))
}

/// The form of the oldest clients.
fn form(sessions: &mut Sessions, users: &[User], request: &Request) -> Answer {
    let pairs: HashMap<_, _> = url::form_urlencoded::parse(&request.body).into_owned().collect();
    let part = |name: &str| pairs.get(name).map_or("", String::as_str);
    let found = user(users, part("j_username"), part("j_password")).ok_or_else(refused)?;
    Ok(with(Reply::empty(200), vec![sessions.log_in(found)]))
}

fn sign_in(sessions: &mut Sessions, users: &[User], request: &Request) -> Answer {
    let found = basic(request).and_then(|(name, password)| user(users, &name, &password));
    Ok(whole_session(sessions, users, request, found.ok_or_else(refused)?))
}

fn log_out(sessions: &mut Sessions, request: &Request) -> Answer {
    if request.method != "POST" && !request.path.ends_with("/sign-out") {
        return Err(Failure::no_method());
    }
    if request.method != "GET" {
        check_forgery(request)?;
    }
    if let Some(identity) = sessions.identity(request)? {
        sessions.logged_out.insert(identity.login);
    }
    if let Some(session) = cookie(request, "QCSession") {
        sessions.close(session);
    }
    let cookies = ["LWSSO_COOKIE_KEY", "QCSession", "ALM_USER", "XSRF-TOKEN"].map(expire).to_vec();
    Ok(with(Reply::empty(200), cookies))
}

fn site_session(sessions: &mut Sessions, users: &[User], request: &Request) -> Answer {
    let now = time::now();
    match request.method.as_str() {
        "POST" => {
            let identity = sessions.identity(request)?.ok_or_else(|| unsigned(request))?;
            // The first one has no token to echo.
            if cookie(request, "XSRF-TOKEN").is_some() {
                check_forgery(request)?;
            }
            let login = users.get(usize::from(identity.user)).map_or("", |u| u.login.as_str());
            let mut cookies = sessions.open(identity.user, login, None, now);
            let token = sessions.token(identity.user, identity.login);
            cookies.push(set_cookie("LWSSO_COOKIE_KEY", &token, true));
            Ok(with(Reply::empty(201), cookies))
        }
        "GET" | "PUT" => {
            if request.method == "PUT" {
                check_forgery(request)?;
            }
            let (caller, cookies) = sessions.caller(request, now)?;
            let user = users.get(usize::from(caller.user)).map_or("", |u| u.login.as_str());
            let xml = format!("<site-session><user-name>{}</user-name></site-session>", escape(user));
            let json = format!("{{\"site-session\":{{\"user-name\":{}}}}}", quoted(user));
            Ok(with(Reply::of(200, Body::Both(xml, json)), cookies))
        }
        "DELETE" => {
            check_forgery(request)?;
            let (caller, cookies) = sessions.caller(request, now)?;
            sessions.close(&caller.session);
            Ok(with(with(Reply::empty(200), cookies), vec![expire("QCSession")]))
        }
        _ => Err(Failure::no_method()),
    }
}
