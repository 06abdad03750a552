//! Answers and refusals, in the shapes of the two products.

use serde_json::{Map, Value, json};

use crate::sandbox::Response;

/// A request's outcome before it becomes bytes.
pub(crate) type Answer = Result<Reply, Problem>;

/// A successful answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Body,
    pub(crate) headers: Vec<(String, String)>,
}

/// What an answer carries.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Empty,
    Json(Value),
    /// Bytes with their media type.
    Bytes(String, bytes::Bytes),
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Self {
        Self::with(200, body)
    }

    pub(crate) fn created(body: Value) -> Self {
        Self::with(201, body)
    }

    pub(crate) fn with(status: u16, body: Value) -> Self {
        Self { status, body: Body::Json(body), headers: Vec::new() }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, body: Body::Empty, headers: Vec::new() }
    }

    pub(crate) fn text(status: u16, text: &str) -> Self {
        let kind = "text/plain;charset=UTF-8".to_owned();
        let bytes = bytes::Bytes::copy_from_slice(text.as_bytes());
        Self { status, body: Body::Bytes(kind, bytes), headers: Vec::new() }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Turns the answer into bytes.
    pub(crate) fn into_response(self, changed: bool) -> Response {
        let mut headers = self.headers;
        let body = match self.body {
            Body::Empty => bytes::Bytes::new(),
            Body::Json(value) => {
                headers.push(("content-type".into(), "application/json;charset=UTF-8".into()));
                serde_json::to_vec(&value).unwrap_or_default().into()
            }
            Body::Bytes(kind, bytes) => {
                headers.push(("content-type".into(), kind));
                bytes
            }
        };
        Response { status: self.status, headers, body, changed }
    }
}

/// A refusal of Jira: messages for the whole request and messages by field.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    pub(crate) messages: Vec<String>,
    pub(crate) fields: Map<String, Value>,
    /// An answer of another shape, which then is the whole answer.
    pub(crate) reply: Option<Box<Reply>>,
}

impl Problem {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, messages: vec![message.into()], ..Self::default() }
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    pub(crate) fn field(field: &str, message: impl Into<String>) -> Self {
        let mut fields = Map::new();
        fields.insert(field.to_owned(), Value::String(message.into()));
        Self { status: 400, fields, ..Self::default() }
    }

    pub(crate) fn fields(fields: Map<String, Value>) -> Self {
        Self { status: 400, fields, ..Self::default() }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, message)
    }

    pub(crate) fn no_issue() -> Self {
        Self::not_found("Issue does not exist or you do not have permission to see it.")
    }

    /// A refusal of the bulk operations: `{"errors":[{"message":..}]}`.
    pub(crate) fn bulk(message: &str) -> Self {
        Self::raw(Reply::with(400, json!({"errors": [{"message": message}]})))
    }

    /// A refusal of Xray's REST calls: `{"error":..}`.
    pub(crate) fn xray(status: u16, message: impl Into<String>) -> Self {
        Self::raw(Reply::with(status, json!({"error": message.into()})))
    }

    pub(crate) fn raw(reply: Reply) -> Self {
        Self { status: reply.status, reply: Some(Box::new(reply)), ..Self::default() }
    }

    /// The body as a collection of errors.
    pub(crate) fn collection(&self) -> Value {
        json!({"errorMessages": self.messages, "errors": self.fields})
    }

    /// All texts in one line, as Xray hands on what Jira said.
    pub(crate) fn line(&self) -> String {
        let mut parts = self.messages.clone();
        parts.extend(self.fields.iter().map(|(k, v)| format!("{k}: {}", v.as_str().unwrap_or_default())));
        parts.join("; ")
    }

    pub(crate) fn into_reply(self) -> Reply {
        match self.reply {
            Some(reply) => *reply,
            None => Reply::with(self.status, self.collection()),
        }
    }
}
