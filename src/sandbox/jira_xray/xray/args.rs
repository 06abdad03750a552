//! Arguments of a GraphQL field.

use serde_json::{Map, Value};

/// Least and most items of a connection.
const LIMIT_MAX: i64 = 100;

/// The arguments as JSON; `null` counts as absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args(pub(crate) Map<String, Value>);

impl Args {
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|v| !v.is_null())
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    pub(crate) fn required(&self, key: &str) -> Result<&str, String> {
        self.text(key).ok_or_else(|| format!("{key} must be provided"))
    }

    pub(crate) fn texts(&self, key: &str) -> Vec<String> {
        crate::sandbox::jira_xray::jira::strings(self.get(key))
    }

    pub(crate) fn list(&self, key: &str) -> &[Value] {
        self.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The position among siblings.
    pub(crate) fn index(&self) -> Option<usize> {
        self.get("index").and_then(Value::as_u64).and_then(|i| usize::try_from(i).ok())
    }

    /// The version of a test.
    pub(crate) fn version(&self) -> Option<u16> {
        self.get("versionId").and_then(Value::as_u64).and_then(|v| u16::try_from(v).ok())
    }

    /// Start and limit of a connection.
    pub(crate) fn window(&self) -> Result<(usize, usize), String> {
        let limit = self.get("limit").and_then(Value::as_i64).unwrap_or_default();
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(format!("limit must be between 1 and {LIMIT_MAX}, it is {limit}"));
        }
        let start = self.get("start").and_then(Value::as_i64).unwrap_or_default();
        let start = usize::try_from(start).map_err(|_| "start must not be negative".to_owned())?;
        Ok((start, usize::try_from(limit).unwrap_or(1)))
    }

    /// The arguments that filter, as a key for caches.
    pub(crate) fn filter_key(&self, field: &str) -> String {
        let mut map = self.0.clone();
        map.remove("limit");
        map.remove("start");
        format!("{field}{}", Value::Object(map))
    }
}
