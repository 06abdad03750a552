//! One call, taken apart: the route and its parameters inside the query, and the body.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::face::Face;
use super::reply::Problem;
use crate::sandbox::Request;

/// What is below this in the query is the API; the rest is the user interface.
const API: &str = "api/v2/";

/// A call, ready to be answered.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) face: Face,
    /// By which address the client reached the installation; links start with it.
    pub(super) base: String,
    /// The path behind the method: ids.
    pub(super) args: Vec<String>,
    /// Parameters, decoded, with what they looked like.
    pub(super) params: Vec<Param>,
    pub(super) body: Body,
    pub(super) content_type: String,
    pub(super) bytes: bytes::Bytes,
    /// The method's name: `get_case`.
    pub(super) method: String,
    /// Who calls: the user's id.
    pub(super) user: u32,
    /// Whether lists come in pages.
    pub(super) paged: bool,
    /// The time, in seconds.
    pub(super) now: i64,
}

/// One parameter of a call.
#[derive(Clone, Debug)]
pub(super) struct Param {
    name: String,
    value: String,
    raw: String,
}

/// Method, ids and parameters of a query; none if it does not ask the API.
pub(super) fn split(query: &str) -> Option<(String, Vec<String>, Vec<Param>)> {
    let decode = |s: &str| percent_decode_str(s).decode_utf8_lossy().into_owned();
    // Some clients put a sign of equality behind the whole path.
    let (route, rest) = query.split_once('&').unwrap_or((query, ""));
    let route = decode(route.trim_end_matches('='));
    let route = route.trim_start_matches('/').strip_prefix(API)?.trim_end_matches('/');
    let mut parts = route.split('/').map(str::to_owned);
    let method = parts.next().unwrap_or_default();
    let param = |raw: &str| {
        let (name, value) = raw.split_once('=').unwrap_or((raw, ""));
        Param { name: decode(name), value: decode(&value.replace('+', " ")), raw: raw.to_owned() }
    };
    let params = rest.split('&').filter(|p| !p.is_empty()).map(param).collect();
    Some((method, parts.collect(), params))
}

impl Call {
    /// The id at a place of the path.
    pub(super) fn id(&self, at: usize, field: &str) -> Result<u32, Problem> {
        let text = self.args.get(at).map_or("", String::as_str);
        if text.is_empty() {
            return Err(Problem::required(field));
        }
        text.parse().map_err(|_| Problem::invalid(field, "valid ID"))
    }

    /// A parameter.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|p| p.name == name).map(|p| p.value.as_str()).filter(|v| !v.is_empty())
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Problem> {
        let parse = |v: &str| v.trim().parse().map_err(|_| Problem::invalid(name, "valid integer"));
        self.param(name).map(parse).transpose()
    }

    /// A list of ids, separated by commas.
    pub(super) fn ids(&self, name: &str) -> Result<Option<Vec<u32>>, Problem> {
        let Some(text) = self.param(name) else { return Ok(None) };
        let one = |v: &str| v.trim().parse().map_err(|_| Problem::invalid(name, "valid list of IDs"));
        text.split(',').map(one).collect::<Result<_, _>>().map(Some)
    }

    /// `1` or `0`.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.param(name) {
            None => Ok(None),
            Some("1" | "true") => Ok(Some(true)),
            Some("0" | "false") => Ok(Some(false)),
            Some(_) => Err(Problem::invalid(name, "valid boolean")),
        }
    }

    /// Whether the call only asks what a deletion would do.
    pub(super) fn soft(&self) -> bool {
        self.param("soft") == Some("1")
    }

    /// The parameters as sent, without those of paging.
    pub(super) fn carried(&self) -> String {
        let kept = self.params.iter().filter(|p| p.name != "limit" && p.name != "offset");
        kept.map(|p| format!("&{}", p.raw)).collect()
    }

    /// The address of a page of the user interface.
    pub(super) fn link(&self, page: &str, id: u32) -> String {
        format!("{}/index.php?/{page}/{id}", self.base)
    }
}

/// The object that was posted. A key that is missing is `None`, one that is `null` is `Some(None)`.
#[derive(Clone, Debug, Default)]
pub(super) struct Body(pub(super) Map<String, Value>);

/// A value that was sent, or its explicit absence.
pub(super) type Sent<T> = Option<Option<T>>;

/// A number, also in quotes.
pub(super) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

impl Body {
    /// Reads the body of a request; none is an empty object.
    pub(super) fn read(request: &Request) -> Result<Body, Problem> {
        if request.body.trim_ascii().is_empty() {
            return Ok(Body::default());
        }
        match serde_json::from_slice(&request.body) {
            Ok(Value::Object(map)) => Ok(Body(map)),
            // PHP cannot tell an empty list from an empty object.
            Ok(Value::Array(list)) if list.is_empty() => Ok(Body::default()),
            Ok(Value::Null) => Ok(Body::default()),
            _ => Err(Problem::bad(
                "Invalid JSON in request body: the body is expected to be a valid JSON object.",
            )),
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    fn sent<T>(
        &self,
        key: &str,
        thing: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Sent<T>, Problem> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(None)),
            Some(value) => match read(value) {
                Some(value) => Ok(Some(Some(value))),
                None => Err(Problem::invalid(key, thing)),
            },
        }
    }

    /// A text of at most so many characters; an empty one is no text.
    pub(super) fn text(&self, key: &str, most: usize) -> Result<Sent<Box<str>>, Problem> {
        let read = |value: &Value| match value {
            Value::String(text) => Some(text.as_str().into()),
            Value::Number(number) => Some(number.to_string().into()),
            _ => None,
        };
        let sent: Sent<Box<str>> = self.sent(key, "valid string", read)?;
        if let Some(Some(text)) = &sent
            && text.chars().count() > most
        {
            return Err(Problem::long(key, most));
        }
        Ok(sent.map(|text| text.filter(|t| !t.is_empty())))
    }

    /// A name that must be there when something is made, and can never be taken away.
    pub(super) fn name(&self, key: &str, most: usize, must: bool) -> Result<Option<Box<str>>, Problem> {
        match self.text(key, most)? {
            None if must => Err(Problem::required(key)),
            None => Ok(None),
            Some(text) => {
                let text: Option<Box<str>> =
                    text.as_deref().map(str::trim).filter(|t| !t.is_empty()).map(Box::from);
                text.map(Some).ok_or_else(|| Problem::required(key))
            }
        }
    }

    pub(super) fn number(&self, key: &str) -> Result<Sent<i64>, Problem> {
        self.sent(key, "valid integer", whole)
    }

    pub(super) fn id(&self, key: &str) -> Result<Sent<u32>, Problem> {
        self.sent(key, "valid ID", |value| whole(value).and_then(|n| u32::try_from(n).ok()))
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, Problem> {
        let read = |value: &Value| match value {
            Value::Bool(flag) => Some(*flag),
            value => whole(value).and_then(|n| [false, true].get(usize::try_from(n).ok()?).copied()),
        };
        Ok(self.sent(key, "valid boolean", read)?.flatten())
    }

    /// Ids, as a list or as text with commas.
    pub(super) fn ids(&self, key: &str) -> Result<Option<Vec<u32>>, Problem> {
        let id = |value: &Value| whole(value).and_then(|n| u32::try_from(n).ok());
        let read = |value: &Value| match value {
            Value::Array(list) => list.iter().map(id).collect(),
            Value::String(text) => {
                text.split(',').filter(|t| !t.trim().is_empty()).map(|t| t.trim().parse().ok()).collect()
            }
            one => id(one).map(|n| vec![n]),
        };
        Ok(self.sent(key, "valid array", read)?.flatten())
    }

    /// The objects of a list.
    pub(super) fn objects(&self, key: &str) -> Result<Option<Vec<Body>>, Problem> {
        let read = |value: &Value| match value {
            Value::Array(list) => {
                list.iter().map(|item| item.as_object().map(|map| Body(map.clone()))).collect()
            }
            _ => None,
        };
        Ok(self.sent(key, "valid array", read)?.flatten())
    }
}
