//! How a request can fail once the table has nothing left to try.

use std::borrow::Cow;

use reqwest::StatusCode;

/// Server words longer than this are cut: a stack trace helps nobody in a message.
const WORDS_MAX: usize = 500;

/// A request was not answered in a way that a connector could use.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{system}: {operation} failed: {message}")]
pub struct Error {
    /// The system's noun.
    pub system: &'static str,
    /// What was tried.
    pub operation: Cow<'static, str>,
    /// What sort of failure it is.
    pub kind: ErrorKind,
    /// The last status, where there was an answer.
    pub status: Option<StatusCode>,
    /// The server's words or ours; holds no secret.
    pub message: String,
    /// Whether the request may have changed something although it failed: it was
    /// sent, it was not safe, and no answer proves that it was not carried out.
    pub may_have_happened: bool,
}

impl Error {
    /// Makes an error that changed nothing.
    pub fn new(
        system: &'static str,
        operation: impl Into<Cow<'static, str>>,
        kind: ErrorKind,
        message: impl Into<String>,
    ) -> Self {
        Self {
            system,
            operation: operation.into(),
            kind,
            status: None,
            message: message.into(),
            may_have_happened: false,
        }
    }

    /// Tells whether the same request may work later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unreachable
                | ErrorKind::Timeout
                | ErrorKind::Throttled
                | ErrorKind::Unavailable
                | ErrorKind::Cut
        )
    }
}

/// Sorts of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The settings cannot work: a bad proxy, a missing certificate file, plain HTTP.
    Settings,
    /// No connection, or it broke before an answer came.
    Unreachable,
    /// The server's certificate is not trusted, or the handshake failed.
    Tls,
    /// No answer in time.
    Timeout,
    /// The server wants us to wait longer than we are willing to.
    Throttled,
    /// The credentials were not accepted, or a sign-in page came instead of an answer.
    SignIn,
    /// The server failed (5xx), again and again or where repeating is not safe.
    Unavailable,
    /// The answer is larger than the limit.
    TooLarge,
    /// The answer ended before its announced end.
    Cut,
    /// The server points to another place, which was not followed.
    Redirected,
    /// The answer does not have the documented shape.
    Malformed,
}

impl std::fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ErrorKind::Settings => "settings",
            ErrorKind::Unreachable => "unreachable",
            ErrorKind::Tls => "certificate",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Throttled => "throttled",
            ErrorKind::SignIn => "sign-in",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::TooLarge => "too large",
            ErrorKind::Cut => "cut",
            ErrorKind::Redirected => "redirected",
            ErrorKind::Malformed => "malformed",
        })
    }
}

/// Finds what a server says in a body: message members of JSON, else plain text.
pub(super) fn server_words(status: StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(64 * 1024)]);
    let mut words = match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(value) => {
            let mut found = Vec::new();
            collect_messages(&value, &mut found, 0);
            if found.is_empty() { text.into_owned() } else { found.join("; ") }
        }
        Err(_) => without_markup(&text),
    };
    words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() {
        return format!("status {status} without a body");
    }
    if words.chars().count() > WORDS_MAX {
        words = words.chars().take(WORDS_MAX).chain(['…']).collect();
    }
    format!("status {}: {words}", status.as_u16())
}

/// The member names under which the supported systems put their words. Members of
/// `errors` are named after fields, so their names are kept.
fn collect_messages(value: &serde_json::Value, found: &mut Vec<String>, depth: usize) {
    use serde_json::Value;
    const NAMES: [&str; 9] = [
        "message",
        "errorMessages",
        "error",
        "errors",
        "error_description",
        "description",
        "Title",
        "warningMessages",
        "detail",
    ];
    if depth > 4 {
        return;
    }
    match value {
        Value::String(s) => found.push(s.clone()),
        Value::Array(items) => items.iter().for_each(|v| collect_messages(v, found, depth + 1)),
        Value::Object(members) => {
            for (name, member) in members {
                if name == "errors"
                    && let Value::Object(fields) = member
                {
                    let named = fields.iter().filter_map(|(f, v)| v.as_str().map(|v| format!("{f}: {v}")));
                    found.extend(named);
                } else if NAMES.contains(&name.as_str()) {
                    collect_messages(member, found, depth + 1);
                }
            }
        }
        _ => {}
    }
}

fn without_markup(text: &str) -> String {
    if !text.contains('<') {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        out.push(' ');
        let tag = rest[open..].to_ascii_lowercase();
        let closing = ["script", "style"].iter().find(|t| tag[1..].starts_with(**t));
        let skip = match closing {
            Some(name) => tag.find(&format!("</{name}")).and_then(|at| tag[at..].find('>').map(|e| at + e)),
            None => tag.find('>'),
        };
        match skip {
            Some(end) => rest = &rest[open + end + 1..],
            None => return out,
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_words_come_from_json_members() {
        let two = br#"{"errorMessages":["no permission"],"errors":{"summary":"is required"}}"#;
        assert_eq!(
            server_words(StatusCode::BAD_REQUEST, two),
            "status 400: no permission; summary: is required"
        );
        let one = br#"{"$id":"1","message":"TF401347: Invalid tree name","typeKey":"X"}"#;
        assert_eq!(server_words(StatusCode::BAD_REQUEST, one), "status 400: TF401347: Invalid tree name");
    }

    #[test]
    fn markup_is_left_out_of_messages() {
        let page = b"<html><style>b{}</style><h1>502 Bad Gateway</h1><p>nginx";
        assert_eq!(server_words(StatusCode::BAD_GATEWAY, page), "status 502: 502 Bad Gateway nginx");
    }
}
