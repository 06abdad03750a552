//! One call as the handlers see it, and the answers and refusals that they give.

use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::value::Millis;

/// A parsed `api-version`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// Major and minor as one number: 7.1 is 71.
    pub(super) number: u32,
    /// Whether `-preview` was said.
    pub(super) preview: bool,
    /// The preview's revision; zero if none was said.
    pub(super) revision: u32,
}

/// A call after routing.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) method: String,
    /// Scheme, host, port and organisation: `http://127.0.0.1:4101/contoso`.
    pub(super) base: String,
    /// The project segment as sent.
    pub(super) project: Option<String>,
    /// What the placeholders of the route matched.
    pub(super) params: Vec<(&'static str, String)>,
    /// The decoded query, names in lower case.
    pub(super) query: Vec<(String, String)>,
    pub(super) content_type: String,
    pub(super) content_range: Option<String>,
    pub(super) body: Bytes,
    /// Who calls, by position among the people.
    pub(super) user: u32,
    pub(super) version: Version,
    pub(super) now: Millis,
}

impl Call {
    /// The value of a placeholder.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
    }

    /// The value of a placeholder as a positive number.
    pub(super) fn id(&self, name: &str) -> Result<u32, Failure> {
        let text = self.param(name).unwrap_or_default();
        text.parse().map_err(|_| not_a_number(name, text))
    }

    /// The first value of a query parameter; the name in lower case.
    pub(super) fn q(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    /// A query parameter that is true or false.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.q(name).is_some_and(|v| v.eq_ignore_ascii_case("true") || v == "1")
    }

    /// A query parameter that is a number.
    pub(super) fn number(&self, name: &str) -> Result<Option<usize>, Failure> {
        match self.q(name) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| not_a_number(name, text)),
        }
    }

    /// A query parameter that is a list of numbers with commas between.
    pub(super) fn ids(&self, name: &str) -> Result<Option<Vec<u32>>, Failure> {
        self.q(name).map(|text| id_list(name, text)).transpose()
    }

    /// A query parameter that is a date.
    pub(super) fn date(&self, name: &str) -> Result<Option<Millis>, Failure> {
        match self.q(name) {
            None => Ok(None),
            Some(text) => super::value::parse_date(text)
                .map(Some)
                .ok_or_else(|| Failure::argument(format!("The value '{text}' is not valid for {name}."))),
        }
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Result<Json, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|e| Failure::binding(format!("Unable to parse the request body as JSON: {e}")))
    }

    /// The body as a JSON object; an empty body is an empty object.
    pub(super) fn object(&self) -> Result<Json, Failure> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(json!({}));
        }
        let body = self.json()?;
        if body.is_object() { Ok(body) } else { Err(Failure::null("request body")) }
    }

    /// The body as a JSON array.
    pub(super) fn array(&self) -> Result<Vec<Json>, Failure> {
        match self.json()? {
            Json::Array(items) => Ok(items),
            _ => Err(Failure::binding("The request body must be a JSON array.".to_owned())),
        }
    }
}

/// Reads `1,2,3`.
pub(super) fn id_list(name: &str, text: &str) -> Result<Vec<u32>, Failure> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().map_err(|_| not_a_number(name, part)))
        .collect()
}

fn not_a_number(name: &str, text: &str) -> Failure {
    Failure::binding(format!(
        "The value '{text}' is not valid for {name}: a number of the range 0 to 2147483647 is expected."
    ))
}

/// What a call is answered with.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Body {
    Json(Json),
    Bytes(Bytes),
    Empty,
}

impl Reply {
    /// JSON with status 200.
    pub(super) fn ok(body: Json) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Json(body) }
    }

    /// JSON with status 201.
    pub(super) fn created(body: Json) -> Self {
        Self { status: 201, headers: Vec::new(), body: Body::Json(body) }
    }

    /// Nothing, status 204.
    pub(super) fn none() -> Self {
        Self { status: 204, headers: Vec::new(), body: Body::Empty }
    }

    /// The list envelope around the items.
    pub(super) fn list(items: Vec<Json>) -> Self {
        Self::ok(json!({"count": items.len(), "value": items}))
    }

    /// Bytes to download.
    pub(super) fn download(bytes: Bytes, name: &str) -> Self {
        let disposition = format!("attachment; filename=\"{}\"", name.replace(['"', '\r', '\n'], "_"));
        Self {
            status: 200,
            headers: vec![
                ("content-type".to_owned(), "application/octet-stream".to_owned()),
                ("content-disposition".to_owned(), disposition),
            ],
            body: Body::Bytes(bytes),
        }
    }

    /// The same answer with the token of the next page.
    pub(super) fn with_token(mut self, token: Option<String>) -> Self {
        if let Some(token) = token {
            self.headers.push(("x-ms-continuationtoken".to_owned(), token));
        }
        self
    }
}

/// The outcome of a handler.
pub(super) type Answer = Result<Reply, Failure>;

/// A refusal in the service's error shape.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) status: u16,
    pub(super) key: &'static str,
    pub(super) message: String,
    /// The details of a broken field rule.
    pub(super) details: Option<Json>,
    /// Model binding failures come in a list envelope instead.
    wrapped: bool,
}

const TRACKING: &str = "Microsoft.TeamFoundation.WorkItemTracking.Server";
const TESTING: &str = "Microsoft.TeamFoundation.TestManagement.Server";
const FRAMEWORK: &str = "Microsoft.VisualStudio.Services.Common";

impl Failure {
    pub(super) fn new(status: u16, key: &'static str, message: impl Into<String>) -> Self {
        Self { status, key, message: message.into(), details: None, wrapped: false }
    }

    /// A bad or missing member of the body or query.
    pub(super) fn argument(message: impl Into<String>) -> Self {
        Self::new(400, "ArgumentException", message)
    }

    /// A member that must be there.
    pub(super) fn null(name: &str) -> Self {
        Self::new(400, "ArgumentNullException", format!("Value cannot be null.\r\nParameter name: {name}"))
    }

    /// A property with a value that is not possible.
    pub(super) fn property(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidPropertyException", message)
    }

    /// Something the framework could not turn into the method's parameters.
    pub(super) fn binding(message: String) -> Self {
        Self { wrapped: true, ..Self::new(400, "VssPropertyValidationException", message) }
    }

    /// A plan, suite, point, run or result that is not there.
    pub(super) fn no_test_object(message: impl Into<String>) -> Self {
        Self::new(404, "TestObjectNotFoundException", message)
    }

    /// A work item that is not there.
    pub(super) fn no_item(id: u32) -> Self {
        Self::new(
            404,
            "WorkItemUnauthorizedAccessException",
            format!("TF401232: Work item {id} does not exist, or you do not have permissions to read it."),
        )
    }

    /// A broken field rule in its detailed shape.
    pub(super) fn rule(name: &str, reference: &str, flags: &str, status_code: u32) -> Self {
        let words: Vec<String> = flags.split(", ").map(|w| w[..1].to_uppercase() + &w[1..]).collect();
        let message = format!("TF401320: Rule Error for field {name}. Error code: {}.", words.join(", "));
        let details = json!({
            "FieldReferenceName": null, "FieldStatusFlags": "none", "ErrorMessage": message, "FieldStatusCode": 0,
            "RuleValidationErrors": [{"fieldReferenceName": reference, "fieldStatusFlags": flags,
                "errorMessage": message, "fieldStatusCode": status_code, "ruleValidationErrors": null}],
        });
        Self { details: Some(details), ..Self::new(400, "RuleValidationException", message) }
    }

    /// The body of the answer.
    pub(super) fn body(&self) -> Json {
        if self.wrapped {
            return json!({"count": 1, "value": {"Message": self.message}});
        }
        let space = match self.key {
            key if key.starts_with("WorkItem") || key.starts_with("Rule") => TRACKING,
            key if key.starts_with("Test") || key.starts_with("InvalidProperty") => TESTING,
            _ => FRAMEWORK,
        };
        let event = if space == TRACKING { 3200 } else { 3000 };
        let mut body = serde_json::Map::new();
        body.insert("$id".to_owned(), json!("1"));
        if let Some(details) = &self.details {
            body.insert("customProperties".to_owned(), details.clone());
        }
        body.insert("innerException".to_owned(), Json::Null);
        body.insert("message".to_owned(), json!(self.message));
        body.insert("typeName".to_owned(), json!(format!("{space}.{}, {space}", self.key)));
        body.insert("typeKey".to_owned(), json!(self.key));
        body.insert("errorCode".to_owned(), json!(0));
        body.insert("eventId".to_owned(), json!(event));
        Json::Object(body)
    }
}

/// The id inside a reference, which clients send as a number or as text.
pub(super) fn ref_id(reference: &Json) -> Option<u32> {
    match reference {
        Json::Object(members) => members.get("id").and_then(ref_id),
        Json::Number(number) => number.as_u64().and_then(|n| u32::try_from(n).ok()),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A member as text, or nothing if it is absent, null or not text.
pub(super) fn text<'a>(body: &'a Json, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Json::as_str)
}
