//! Refusals in the words and the shape of the service.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_128;

/// Why a request, or one entity of it, was refused.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) description: String,
    /// Boxed, because every call that can fail carries a problem in its result.
    pub(super) properties: Box<Map<String, Value>>,
    /// Whether a rule of the workspace refused it, and not the platform.
    business: bool,
}

impl Problem {
    pub(super) fn new(status: u16, code: &str, description: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            description: description.into(),
            properties: Box::default(),
            business: false,
        }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn business(mut self) -> Self {
        self.business = true;
        self
    }

    /// The request cannot be read.
    pub(super) fn malformed(description: impl Into<String>) -> Self {
        Self::new(400, "platform.malformed_request", description)
    }

    /// The query cannot be read or names what is not there.
    pub(super) fn query(description: impl Into<String>) -> Self {
        Self::new(400, "platform.invalid_query", description)
    }

    pub(super) fn unknown_field(entity: &str, field: &str) -> Self {
        let text = format!("The field '{field}' of entity '{entity}' does not exist");
        Self::new(400, "platform.unknown_field", text).with("field_name", field).with("entity_type", entity)
    }

    pub(super) fn illegal(field: &str, why: impl std::fmt::Display) -> Self {
        let text = format!("Illegal value of field '{field}': {why}");
        Self::new(400, "platform.illegal_field_value", text).with("field_name", field)
    }

    pub(super) fn missing(label: &str, field: &str) -> Self {
        let text = format!("Missing required field '{label}' ('{field}')");
        Self::new(409, "platform.required_field_missing", text).with("field_name", field).business()
    }

    pub(super) fn read_only(id: &str, field: &str) -> Self {
        let text = format!("The field '{field}' is not editable");
        Self::new(403, "platform.modify_non_editable_field", text)
            .with("entity_id", id)
            .with("field_name", field)
    }

    pub(super) fn no_entity(entity: &str, id: &str) -> Self {
        let text = format!("The entity of type '{entity}' with id '{id}' does not exist");
        Self::new(404, "platform.entity_not_found", text).with("entity_type", entity).with("entity_id", id)
    }

    pub(super) fn no_resource(path: &str) -> Self {
        Self::new(404, "platform.resource_not_found", format!("The resource '{path}' does not exist"))
    }

    pub(super) fn denied(method: &str, path: &str) -> Self {
        let text = format!("Access to {path} resource {method} method has been denied");
        Self::new(403, "platform.web_application", text)
    }

    /// The body of a single failure.
    pub(super) fn body(&self) -> Value {
        let mut body = json!({
            "error_code": self.code,
            "correlation_id": correlation(&self.description),
            "description": self.description,
            "description_translated": self.description,
            "properties": if self.properties.is_empty() { Value::Null } else { Value::Object(Map::clone(&self.properties)) },
        });
        if self.business {
            body["business_error"] = json!(true);
        }
        body
    }

    /// One entry of `errors` of a bulk answer.
    pub(super) fn entry(&self, index: usize) -> Value {
        let mut body = self.body();
        body["index"] = json!(index);
        body["stack_trace"] = json!("");
        body
    }
}

/// A token of 25 characters by which the vendor's support would find a request in its logs.
fn correlation(text: &str) -> String {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    token(&format!("{text} {nanos}"))
}

/// 25 characters out of a seed, as the service makes ids of what customers add.
pub(super) fn token(seed: &str) -> String {
    let mut rest = xxh3_128(seed.as_bytes());
    let mut out = String::with_capacity(25);
    for _ in 0..25 {
        let digit = (rest % 36) as u32;
        rest /= 36;
        out.push(char::from_digit(digit, 36).unwrap_or('0'));
    }
    out
}
