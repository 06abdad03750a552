//! Values, rows and times.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970.
pub(super) type Millis = i64;

/// Names a row of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Ref(pub(super) u8, pub(super) u32);

/// A field's value; a field without one is absent from its row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Val {
    #[serde(rename = "b")]
    Bool(bool),
    #[serde(rename = "i")]
    Int(i64),
    #[serde(rename = "f")]
    Float(f64),
    #[serde(rename = "t")]
    Text(Box<str>),
    #[serde(rename = "d")]
    Date(Millis),
    #[serde(rename = "r")]
    Ref(Ref),
    #[serde(rename = "m")]
    Refs(Box<[Ref]>),
}

impl Val {
    pub(super) fn text(text: impl Into<Box<str>>) -> Val {
        Val::Text(text.into())
    }

    pub(super) fn refs(&self) -> &[Ref] {
        match self {
            Val::Ref(one) => std::slice::from_ref(one),
            Val::Refs(all) => all,
            _ => &[],
        }
    }
}

/// One entity. Kept small: a workspace holds a million runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    /// Which entity of its table: a position in the table's entities.
    #[serde(rename = "s")]
    pub(super) sub: u8,
    /// Who made it: a row of the users' table.
    #[serde(rename = "a")]
    pub(super) author: u16,
    #[serde(rename = "v")]
    pub(super) version: u32,
    #[serde(rename = "l")]
    pub(super) lock: u32,
    #[serde(rename = "c")]
    pub(super) created: Millis,
    #[serde(rename = "u")]
    pub(super) modified: Millis,
    /// Field numbers, ascending, with their values.
    #[serde(rename = "f")]
    pub(super) fields: Vec<(u16, Val)>,
}

impl Row {
    pub(super) fn new(sub: u8, author: u16, at: Millis) -> Row {
        Row { sub, author, version: 1, lock: 1, created: at, modified: at, fields: Vec::new() }
    }

    pub(super) fn get(&self, field: u16) -> Option<&Val> {
        let at = self.fields.binary_search_by_key(&field, |(f, _)| *f).ok()?;
        Some(&self.fields[at].1)
    }

    pub(super) fn set(&mut self, field: u16, value: Option<Val>) {
        match (self.fields.binary_search_by_key(&field, |(f, _)| *f), value) {
            (Ok(at), Some(value)) => self.fields[at].1 = value,
            (Ok(at), None) => drop(self.fields.remove(at)),
            (Err(at), Some(value)) => self.fields.insert(at, (field, value)),
            (Err(_), None) => {}
        }
    }

    pub(super) fn str(&self, field: u16) -> &str {
        match self.get(field) {
            Some(Val::Text(text)) => text,
            _ => "",
        }
    }

    pub(super) fn one(&self, field: u16) -> Option<Ref> {
        self.get(field).and_then(|v| v.refs().first().copied())
    }
}

/// Reads the machine's clock.
pub(super) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Prints `2022-09-07T14:26:44Z`, the form of all times.
pub(super) fn print_time(at: Millis) -> String {
    DateTime::<Utc>::from_timestamp_millis(at).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Reads an ISO date and time, or a date alone.
pub(super) fn parse_time(text: &str) -> Option<Millis> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text.trim()) {
        return Some(at.timestamp_millis());
    }
    let day = NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis())
}
