//! Moments as the two products keep and print them.

use std::hash::{Hash, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, TimeZone, Utc};
use serde::{Deserialize, Serialize};

/// A moment that the machine's clock gave, in milliseconds since 1970.
///
/// It takes no part in the state's hash: two histories that lead to the same
/// content are the same state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Stamp(pub(crate) i64);

impl Hash for Stamp {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Stamp {
    /// Reads the machine's clock.
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Prints `2026-05-01T12:34:56.789+0200`, the form of Jira.
    pub(crate) fn jira(self, offset_minutes: i32) -> String {
        let zone = FixedOffset::east_opt(offset_minutes * 60)
            .unwrap_or_else(|| FixedOffset::east_opt(0).expect("zero is an offset"));
        self.utc().with_timezone(&zone).format("%Y-%m-%dT%H:%M:%S%.3f%z").to_string()
    }

    /// Prints `2026-05-01T10:34:56.789Z`.
    pub(crate) fn iso(self) -> String {
        self.utc().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }

    /// Prints `2026-05-01T10:34:56Z`, the form of `lastModified` in Xray.
    pub(crate) fn iso_seconds(self) -> String {
        self.utc().format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    pub(crate) fn utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }
}

/// A date of a test run: given by a client, or filled in by the product itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moment {
    pub(crate) at: Stamp,
    /// Whether a client said so; only then does it count as content.
    pub(crate) given: bool,
}

impl Hash for Moment {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.given.hash(state);
        if self.given {
            self.at.0.hash(state);
        }
    }
}

/// Reads an ISO date and time with an offset, with or without a colon in it.
pub(crate) fn parse_instant(text: &str) -> Option<Stamp> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(Stamp(at.timestamp_millis()));
    }
    for form in ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M%z"] {
        if let Ok(at) = DateTime::parse_from_str(text, form) {
            return Some(Stamp(at.timestamp_millis()));
        }
    }
    for form in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S"] {
        if let Ok(at) = NaiveDateTime::parse_from_str(text, form) {
            return Some(Stamp(at.and_utc().timestamp_millis()));
        }
    }
    parse_date(text).map(|d| Stamp(start_of(d, 0)))
}

/// Reads `2026-05-01`.
pub(crate) fn parse_date(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()
}

/// Gives midnight of a day in a zone, in milliseconds.
pub(crate) fn start_of(day: NaiveDate, offset_minutes: i32) -> i64 {
    let naive = day.and_hms_opt(0, 0, 0).unwrap_or_default();
    in_zone(naive, offset_minutes)
}

/// Gives a local date and time of a zone in milliseconds since 1970.
pub(crate) fn in_zone(naive: NaiveDateTime, offset_minutes: i32) -> i64 {
    Utc.from_utc_datetime(&naive).timestamp_millis() - i64::from(offset_minutes) * 60_000
}
