//! Dates and times of the server's own zone, which no answer names.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

/// How far the server's clock is ahead of UTC, in minutes. A zone without summer time, so that tests
/// hold all year.
pub(super) const OFFSET_MINUTES: i64 = 120;
const DAY: i64 = 86_400;

/// Local seconds of an instant.
pub(super) fn local(at: DateTime<Utc>) -> i64 {
    at.timestamp() + OFFSET_MINUTES * 60
}

/// The server's clock.
pub(super) fn now() -> i64 {
    local(Utc::now())
}

/// The day of a moment.
pub(super) fn day(at: i64) -> i64 {
    at.div_euclid(DAY)
}

/// `2026-01-31`.
pub(super) fn date_text(day: i64) -> String {
    moment(day * DAY, "%Y-%m-%d")
}

/// `2026-01-31 09:15:00`.
pub(super) fn date_time_text(at: i64) -> String {
    moment(at, "%Y-%m-%d %H:%M:%S")
}

/// `09:15:00`.
pub(super) fn time_text(at: i64) -> String {
    moment(at, "%H:%M:%S")
}

/// A moment in a form of one's own.
pub(super) fn moment(at: i64, form: &str) -> String {
    DateTime::from_timestamp(at, 0).map(|d| d.format(form).to_string()).unwrap_or_default()
}

/// Reads `2026-01-31`.
pub(super) fn parse_date(text: &str) -> Option<i64> {
    let date = NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp() / DAY)
}

/// Reads `2026-01-31 09:15:00`, or a date alone.
pub(super) fn parse_date_time(text: &str) -> Option<i64> {
    let full = NaiveDateTime::parse_from_str(text.trim(), "%Y-%m-%d %H:%M:%S").ok();
    full.map(|d| d.and_utc().timestamp()).or_else(|| parse_date(text).map(|d| d * DAY))
}
