//! Signing in, and the cookie that the server renews on ordinary answers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::problem::{Problem, token};
use super::value::Millis;

/// The key of the account whose credentials the sandbox hands out.
pub(super) const CLIENT_ID: &str = "calculator_sync_1x0pz7q9wk42vd5rnm8yl3tge";
pub(super) const CLIENT_SECRET: &str = "+7c3d9A51b2e4f60T";
/// The password of all people of the company.
pub(super) const PASSWORD: &str = "Welcome1";
/// The cookie that carries the session.
pub(super) const COOKIE: &str = "LWSSO_COOKIE_KEY";
/// The cookie that a copied browser session must echo in a header.
pub(super) const XSRF: &str = "XSRF_COOKIE";

/// A cookie is renewed after so many answers.
const RENEW_AFTER: u32 = 25;
/// An unrenewed cookie ends after so long, the idle limit,
const IDLE_MS: Millis = 30 * 60 * 1000;
/// or after so many requests: a client that keeps the first cookie is found out without waiting.
const IDLE_USES: u32 = 1_000;
/// A session ends after so long, however busy.
const GLOBAL_MS: Millis = 24 * 60 * 60 * 1000;
/// The most cookies that are remembered.
const MOST: usize = 10_000;

/// One cookie's worth.
#[derive(Clone, Debug)]
struct Ticket {
    user: u16,
    session: u64,
    issued: Millis,
    began: Millis,
    uses: u32,
    /// What writes must echo; none for sessions that were not a browser's.
    xsrf: Option<String>,
}

/// Everybody who is signed in.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    tickets: BTreeMap<String, Ticket>,
    count: u64,
}

/// Who asks, and the cookie that replaces theirs.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) user: u16,
    pub(super) renewed: Option<String>,
}

/// What a sign-in hands out.
#[derive(Debug)]
pub(super) struct SignedIn {
    pub(super) cookie: String,
    pub(super) xsrf: Option<String>,
    pub(super) login: String,
}

impl Sessions {
    /// Signs in by an API key or by a person's login.
    pub(super) fn sign_in(
        &mut self,
        body: &[u8],
        logins: &[String],
        browser: bool,
        now: Millis,
    ) -> Result<SignedIn, Problem> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|_| Problem::malformed("The body must be {\"client_id\":..,\"client_secret\":..}"))?;
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        let key = (text("client_id"), text("client_secret"));
        let (name, secret) = if key.0.is_some() { key } else { (text("user"), text("password")) };
        let (Some(name), Some(secret)) = (name, secret) else {
            return Err(Problem::malformed("The credentials are missing"));
        };
        let user = if name == CLIENT_ID && secret == CLIENT_SECRET {
            Some(0)
        } else if secret == PASSWORD && text("client_id").is_none() {
            logins.iter().position(|l| !l.is_empty() && l.eq_ignore_ascii_case(name))
        } else {
            None
        };
        let user = user.and_then(|u| u16::try_from(u).ok()).ok_or_else(|| {
            Problem::new(401, "platform.not_authorized", "Authentication failed: wrong credentials")
        })?;
        self.count += 1;
        let xsrf = browser.then(|| token(&format!("xsrf {now} {}", self.count)));
        let ticket =
            Ticket { user, session: self.count, issued: now, began: now, uses: 0, xsrf: xsrf.clone() };
        let cookie = self.issue(ticket);
        Ok(SignedIn { cookie, xsrf, login: logins.get(usize::from(user)).cloned().unwrap_or_default() })
    }

    fn issue(&mut self, ticket: Ticket) -> String {
        if self.tickets.len() >= MOST {
            let oldest = self.tickets.iter().min_by_key(|(_, t)| t.issued).map(|(c, _)| c.clone());
            oldest.and_then(|c| self.tickets.remove(&c));
        }
        self.count += 1;
        let seed = format!("{} {} {}", ticket.session, ticket.issued, self.count);
        let cookie = format!("{}{}", token(&seed), token(&format!("lwsso {seed}")));
        self.tickets.insert(cookie.clone(), ticket);
        cookie
    }

    /// Checks the cookies of a request.
    pub(super) fn admit(
        &mut self,
        cookies: &str,
        write: bool,
        xsrf: Option<&str>,
        now: Millis,
    ) -> Result<Caller, Problem> {
        let missing = || Problem::new(401, "platform.not_authenticated", "The request is not signed in");
        let idle = || {
            let text = "The token has expired: the session was idle for too long";
            Problem::new(401, "VALIDATION_TOKEN_EXPIRED_IDLE_TIME_OUT", text)
        };
        let cookie = cookie(cookies, COOKIE).ok_or_else(missing)?;
        let ticket = self.tickets.get_mut(cookie).ok_or_else(idle)?;
        ticket.uses += 1;
        if now - ticket.began > GLOBAL_MS {
            let text = "The token has expired: the session lasted too long";
            return Err(Problem::new(401, "VALIDATION_TOKEN_EXPIRED_GLOBAL_TIME_OUT", text));
        }
        if now - ticket.issued > IDLE_MS || ticket.uses > IDLE_USES {
            self.tickets.remove(cookie);
            return Err(idle());
        }
        if write && ticket.xsrf.is_some() && ticket.xsrf.as_deref() != xsrf {
            let text = "The header XSRF-HEADER does not repeat the cookie XSRF_COOKIE";
            return Err(Problem::new(403, "platform.xsrf_validation_failed", text));
        }
        let user = ticket.user;
        let due = ticket.uses.is_multiple_of(RENEW_AFTER);
        let next = due.then(|| Ticket { issued: now, uses: 0, ..ticket.clone() });
        let renewed = next.map(|next| self.issue(next));
        Ok(Caller { user, renewed })
    }

    /// Ends a session with all its cookies.
    pub(super) fn sign_out(&mut self, cookies: &str) {
        let session = cookie(cookies, COOKIE).and_then(|c| self.tickets.get(c)).map(|t| t.session);
        self.tickets.retain(|_, t| Some(t.session) != session);
    }
}

fn cookie<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split(';').find_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        (key == name).then(|| value.trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_renewed_and_an_unrenewed_one_ends() {
        let mut sessions = Sessions::default();
        let body = format!(r#"{{"client_id":"{CLIENT_ID}","client_secret":"{CLIENT_SECRET}"}}"#);
        let made = sessions.sign_in(body.as_bytes(), &["a@b".to_owned()], false, 0).unwrap();
        let cookies = format!("x=1; {COOKIE}={}", made.cookie);
        let renewed: Vec<_> = (0..RENEW_AFTER)
            .filter_map(|n| sessions.admit(&cookies, true, None, i64::from(n)).unwrap().renewed)
            .collect();
        assert_eq!(renewed.len(), 1);
        let late = IDLE_MS + 10;
        let error = sessions.admit(&cookies, false, None, late).unwrap_err();
        assert_eq!((error.status, error.code.as_str()), (401, "VALIDATION_TOKEN_EXPIRED_IDLE_TIME_OUT"));
        assert!(sessions.admit(&format!("{COOKIE}={}", renewed[0]), false, None, late).is_ok());
        let error =
            sessions.admit(&format!("{COOKIE}={}", renewed[0]), false, None, GLOBAL_MS + 1).unwrap_err();
        assert_eq!(error.code, "VALIDATION_TOKEN_EXPIRED_GLOBAL_TIME_OUT");
    }
}
