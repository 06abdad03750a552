//! Who is calling: basic authentication for Jira, bearer tokens for Xray; neither
//! opens the other's door.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::jira;
use super::reply::{Answer, Problem, Reply};
use super::site::Site;
use super::time::Stamp;
use crate::sandbox::Request;

/// The API token of every user of the sandbox.
pub(crate) const JIRA_TOKEN: &str = "sandbox-jira-api-token";
/// The Xray API key, which belongs to the site's owner.
pub(crate) const CLIENT_ID: &str = "E5A70000000000000000000000000C1D";
pub(crate) const CLIENT_SECRET: &str = "5ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4";
/// How long a token of Xray lives, in seconds.
const TOKEN_SECONDS: i64 = 86_400;
const BAD_TOKEN: &str = "Authentication failed. Invalid token.";

/// Who calls Jira; `None`: nobody says.
pub(crate) fn jira_user(site: &Site, request: &Request) -> Result<Option<u16>, Problem> {
    let Some(header) = request.header("authorization") else { return Ok(None) };
    let user = header
        .strip_prefix("Basic ")
        .and_then(|b| STANDARD.decode(b.trim()).ok())
        .and_then(|b| String::from_utf8(b).ok())
        .and_then(|pair| {
            let (email, token) = pair.split_once(':')?;
            let at = site.users.iter().position(|u| u.email.eq_ignore_ascii_case(email))?;
            (token == JIRA_TOKEN && site.users[at].active).then_some(at)
        });
    match user.and_then(|at| u16::try_from(at).ok()) {
        Some(user) => Ok(Some(user)),
        None => Err(denied("Client must be authenticated to access this resource.")),
    }
}

/// The refusal of wrong credentials: plain text, as the real site does.
pub(crate) fn denied(text: &str) -> Problem {
    let reply = Reply::text(401, text)
        .header("WWW-Authenticate", "OAuth realm=\"https%3A%2F%2Fsandbox\"")
        .header("X-Seraph-LoginReason", "AUTHENTICATED_FAILED");
    Problem::raw(reply)
}

/// The refusal of a call that nobody signed.
pub(crate) fn unsigned() -> Problem {
    Problem::new(401, "Client must be authenticated to access this resource.")
}

/// `POST /api/v2/authenticate`.
pub(crate) fn authenticate(site: &Site, request: &Request, now: Stamp, serial: u64) -> Answer {
    let body: Value = jira::body(request)
        .map_err(|_| Problem::raw(Reply::text(400, "Bad request: wrong request syntax.")))?;
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let (Some(id), Some(secret)) = (text("client_id"), text("client_secret")) else {
        return Err(Problem::raw(Reply::text(400, "Bad request: wrong request syntax.")));
    };
    if id != CLIENT_ID || secret != CLIENT_SECRET {
        return Err(Problem::xray(401, "Authentication failed. Invalid client credentials!"));
    }
    let seconds = now.0 / 1_000;
    let owner = &site.user(site.owner).account_id;
    let payload = json!({
        "tenant": "sandbox", "accountId": owner, "isXea": false, "iat": seconds,
        "exp": seconds + TOKEN_SECONDS, "aud": CLIENT_ID, "iss": "com.xpandit.xray",
        "sub": CLIENT_ID, "jti": serial
    });
    Ok(Reply::ok(json!(signed(&payload.to_string()))))
}

fn signed(payload: &str) -> String {
    let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let body = URL_SAFE_NO_PAD.encode(payload);
    let sign = seal(&format!("{head}.{body}"));
    format!("{head}.{body}.{sign}")
}

/// A keyed hash in the place of a signature: nobody but the sandbox checks it.
fn seal(text: &str) -> String {
    let hash = xxhash_rust::xxh3::xxh3_128(format!("{CLIENT_SECRET}{text}").as_bytes());
    URL_SAFE_NO_PAD.encode(hash.to_be_bytes())
}

/// Checks the bearer token of a call of Xray.
pub(crate) fn xray_user(site: &Site, request: &Request, now: Stamp) -> Result<u16, Problem> {
    let bad = || Problem::xray(401, BAD_TOKEN);
    let token = request.header("authorization").and_then(|h| h.strip_prefix("Bearer "));
    let token = token.ok_or_else(bad)?.trim();
    let (text, sign) = token.rsplit_once('.').ok_or_else(bad)?;
    if seal(text) != sign {
        return Err(bad());
    }
    let payload = text.split_once('.').and_then(|(_, p)| URL_SAFE_NO_PAD.decode(p).ok());
    let payload: Value = payload.and_then(|p| serde_json::from_slice(&p).ok()).ok_or_else(bad)?;
    let lives = payload.get("exp").and_then(Value::as_i64).is_some_and(|e| e > now.0 / 1_000);
    if lives { Ok(site.owner) } else { Err(bad()) }
}
