//! Answers and refusals. A refusal is `{"error": text}` and names the first problem only.

use bytes::Bytes;
use serde_json::{Value, json};

use super::json;
use crate::sandbox::Response;

/// A request's outcome before it becomes bytes.
pub(super) type Answer = Result<Reply, Problem>;

/// What a successful answer carries; its status is always 200.
#[derive(Debug)]
pub(super) enum Reply {
    Json(Value),
    /// Deletes and some moves answer nothing at all.
    Empty,
    /// A file's media type, name and bytes.
    File(String, String, Bytes),
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: u16,
    pub(super) text: String,
    pub(super) retry_after: Option<i64>,
}

impl Problem {
    pub(super) fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), retry_after: None }
    }

    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self::new(400, text)
    }

    pub(super) fn denied(text: impl Into<String>) -> Self {
        Self::new(403, text)
    }

    /// A field that must be there and is not.
    pub(super) fn required(field: &str) -> Self {
        Self::bad(format!("Field :{field} is a required field."))
    }

    /// A field that names or holds something else than it must.
    pub(super) fn invalid(field: &str, thing: &str) -> Self {
        Self::bad(format!("Field :{field} is not a {thing}."))
    }

    /// A field whose text exceeds its column.
    pub(super) fn long(field: &str, most: usize) -> Self {
        Self::bad(format!("Field :{field} is too long ({most} characters at most)."))
    }

    /// The same problem in an element of a list: `:title` becomes `:cases.title`.
    pub(super) fn within(mut self, list: &str) -> Self {
        self.text = self.text.replacen("Field :", &format!("Field :{list}."), 1);
        self
    }
}

fn respond(status: u16, headers: Vec<(String, String)>, body: impl Into<Bytes>, changed: bool) -> Response {
    Response { status, headers, body: body.into(), changed }
}

fn kind(value: &str) -> Vec<(String, String)> {
    vec![("content-type".to_owned(), value.to_owned())]
}

/// Turns an outcome into an answer.
pub(super) fn finish(answer: Answer, changed: bool) -> Response {
    let json_kind = "application/json; charset=utf-8";
    match answer {
        Ok(Reply::Json(value)) => respond(200, kind(json_kind), json::encode(&value), changed),
        Ok(Reply::Empty) => respond(200, kind(json_kind), Bytes::new(), changed),
        Ok(Reply::File(mime, name, bytes)) => {
            let mut headers = kind(&mime);
            let ascii: String =
                name.chars().map(|c| if c.is_ascii() && c != '"' { c } else { '_' }).collect();
            headers.push(("content-disposition".to_owned(), format!("attachment; filename=\"{ascii}\"")));
            respond(200, headers, bytes, changed)
        }
        Err(problem) => {
            let mut headers = kind(json_kind);
            if let Some(seconds) = problem.retry_after {
                headers.push(("retry-after".to_owned(), seconds.to_string()));
            }
            respond(problem.status, headers, json::encode(&json!({"error": problem.text})), changed)
        }
    }
}

/// A page of the user interface, which nobody is signed in to.
pub(super) fn page() -> Response {
    let body = "<!DOCTYPE html>\n<html><head><title>Login - TestRail</title></head><body><h1>Log into Your Account</h1></body></html>\n";
    respond(200, kind("text/html; charset=utf-8"), body, false)
}
