//! The values that fields of work items hold, and the text forms of dates and guids.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970, UTC.
pub(super) type Millis = i64;

/// The date that stands for "never": `0001-01-01T00:00:00`.
pub(super) const UNSET: Millis = i64::MIN;

/// One value of one field. An empty field has no value at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Value {
    /// Text of any kind.
    #[serde(rename = "s")]
    Text(Box<str>),
    /// A whole number.
    #[serde(rename = "i")]
    Int(i64),
    /// A number with a fraction.
    #[serde(rename = "f")]
    Float(f64),
    /// True or false.
    #[serde(rename = "b")]
    Bool(bool),
    /// A point in time.
    #[serde(rename = "d")]
    Date(Millis),
    /// A person known to the organisation, by position.
    #[serde(rename = "p")]
    Person(u32),
    /// An area or iteration, by node id: renaming the node renames the path.
    #[serde(rename = "n")]
    Node(u32),
}

impl Value {
    /// Text as a value.
    pub(super) fn text(text: impl Into<Box<str>>) -> Self {
        Self::Text(text.into())
    }
}

/// The service's form of a date: UTC, trailing zeros of the fraction dropped.
pub(super) fn iso(at: Millis) -> String {
    if at == UNSET {
        return "0001-01-01T00:00:00".to_owned();
    }
    let Some(date) = DateTime::<Utc>::from_timestamp_millis(at) else {
        return "9999-01-01T00:00:00Z".to_owned();
    };
    if at % 1000 == 0 {
        return date.to_rfc3339_opts(SecondsFormat::Secs, true);
    }
    let text = date.to_rfc3339_opts(SecondsFormat::Millis, true);
    let text = text.trim_end_matches('Z').trim_end_matches('0');
    format!("{text}Z")
}

/// The US form in which the recycle bin tells the date of a deletion.
pub(super) fn us_date(at: Millis) -> String {
    DateTime::<Utc>::from_timestamp_millis(at)
        .map(|date| date.format("%-m/%-d/%Y %-I:%M:%S %p").to_string())
        .unwrap_or_default()
}

/// Reads a date in any form that the service accepts.
pub(super) fn parse_date(text: &str) -> Option<Millis> {
    let text = text.trim();
    if let Ok(date) = DateTime::parse_from_rfc3339(text) {
        return Some(date.timestamp_millis());
    }
    for form in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%m/%d/%Y %H:%M:%S"] {
        if let Ok(date) = NaiveDateTime::parse_from_str(text.trim_end_matches('Z'), form) {
            return Some(date.and_utc().timestamp_millis());
        }
    }
    for form in ["%Y-%m-%d", "%m/%d/%Y"] {
        if let Ok(date) = NaiveDate::parse_from_str(text.trim_end_matches('Z'), form) {
            return date.and_hms_opt(0, 0, 0).map(|d| d.and_utc().timestamp_millis());
        }
    }
    None
}

/// The current time.
pub(super) fn now() -> Millis {
    Utc::now().timestamp_millis()
}

/// A guid that follows from its seed, so that two sandboxes agree.
pub(super) fn guid(seed: &str) -> String {
    let hash = xxhash_rust::xxh3::xxh3_128(seed.as_bytes());
    let hex = format!("{hash:032x}");
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

/// Compares as the service does: without regard to case.
pub(super) fn same(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right) || (!left.is_ascii() && left.to_lowercase() == right.to_lowercase())
}

/// Writes bytes as base64, because JSON lists of numbers are four times as long.
pub(super) mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(bytes: &bytes::Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<bytes::Bytes, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map(bytes::Bytes::from).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_lose_the_zeros_at_their_end() {
        let at = parse_date("2017-10-06T01:04:51.570Z").unwrap();
        assert_eq!(iso(at), "2017-10-06T01:04:51.57Z");
        assert_eq!(iso(parse_date("2018-08-19T20:49:15.8884886+05:30").unwrap()), "2018-08-19T15:19:15.888Z");
        assert_eq!(iso(parse_date("2014-05-01").unwrap()), "2014-05-01T00:00:00Z");
        assert_eq!(us_date(parse_date("2017-01-31T21:21:14Z").unwrap()), "1/31/2017 9:21:14 PM");
    }

    #[test]
    fn guids_follow_from_their_seed() {
        assert_eq!(guid("a").len(), 36);
        assert_eq!(guid("a"), guid("a"));
        assert_ne!(guid("a"), guid("b"));
    }
}
