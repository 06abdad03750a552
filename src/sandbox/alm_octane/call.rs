//! One request taken apart, and its answer before it becomes bytes.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::problem::Problem;
use super::value::Millis;

/// A request to the workspace.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: String,
    /// The path as sent, for messages.
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) content_type: String,
    pub(super) accept: String,
    pub(super) body: Bytes,
    pub(super) user: u16,
    pub(super) now: Millis,
}

impl Call {
    /// An argument's value.
    pub(super) fn argument(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(super) fn json(&self) -> Result<Map<String, Value>, Problem> {
        let kind = self.content_type.split(';').next().unwrap_or_default().trim();
        if !kind.is_empty() && !kind.eq_ignore_ascii_case("application/json") {
            let text = format!("The media type '{kind}' is not supported, expected application/json");
            return Err(Problem::new(415, "platform.unsupported_media_type", text));
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(Problem::malformed("The body is no JSON object")),
            Err(error) => Err(Problem::malformed(format!("The body is no JSON: {error}"))),
        }
    }

    /// The entities of a body `{"data":[..]}`.
    pub(super) fn data(&self) -> Result<Vec<Map<String, Value>>, Problem> {
        let mut body = self.json()?;
        let wrong = || Problem::malformed("The body must hold an array 'data' of entities");
        let Some(Value::Array(list)) = body.remove("data") else { return Err(wrong()) };
        let object = |v| if let Value::Object(o) = v { Ok(o) } else { Err(wrong()) };
        list.into_iter().map(object).collect()
    }
}

/// A successful answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) body: Bytes,
    pub(super) headers: Vec<(String, String)>,
}

impl Reply {
    pub(super) fn with(status: u16, body: &Value) -> Reply {
        Reply {
            status,
            content_type: "application/json".to_owned(),
            body: body.to_string().into(),
            headers: Vec::new(),
        }
    }

    pub(super) fn ok(body: Value) -> Reply {
        Reply::with(200, &body)
    }

    pub(super) fn bytes(content_type: &str, body: Bytes) -> Reply {
        Reply { status: 200, content_type: content_type.to_owned(), body, headers: Vec::new() }
    }
}

/// How a request ends.
pub(super) type Answer = Result<Reply, Problem>;
