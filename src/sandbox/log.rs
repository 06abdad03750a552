//! The request log: what each server was asked, what it answered, and whether that changed anything.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// The newest requests that are kept, about 60 MB of memory at most; a nightly job at the
/// documented rate limits makes fewer.
const KEPT: usize = 250_000;

/// One line of the request log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoggedRequest {
    /// Counts the requests of this server from 1, in the order in which they were done.
    pub sequence: u64,
    /// When the request came in: RFC 3339, UTC, with milliseconds.
    pub time: String,
    /// The method, upper case.
    pub method: String,
    /// The path as sent, without the query.
    pub path: String,
    /// The query as sent, without the question mark.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// The answer's status, also of an answer that was then lost; none if the request was not handled.
    pub status: Option<u16>,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// Bytes of the request's body.
    pub sent: u64,
    /// Whether the request changed the state.
    pub changed: bool,
    /// How long it took.
    pub milliseconds: u64,
    /// The fault that hit it, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
}

/// The newest requests of one server.
#[derive(Debug, Default)]
pub(crate) struct RequestLog(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    last: u64,
    kept: VecDeque<LoggedRequest>,
}

impl RequestLog {
    /// Appends a request and gives it the next sequence number.
    pub(crate) fn add(&self, mut request: LoggedRequest) {
        let mut lines = self.lines();
        lines.last += 1;
        request.sequence = lines.last;
        if lines.kept.len() == KEPT {
            lines.kept.pop_front();
        }
        lines.kept.push_back(request);
    }

    /// The kept requests with a sequence number above `since`, oldest first.
    pub(crate) fn after(&self, since: u64) -> Vec<LoggedRequest> {
        let lines = self.lines();
        let first = lines.last - lines.kept.len() as u64;
        let skip = usize::try_from(since.saturating_sub(first)).unwrap_or(usize::MAX).min(lines.kept.len());
        lines.kept.range(skip..).cloned().collect()
    }

    /// The same as JSON lines.
    pub(crate) fn json_lines(&self, since: u64) -> String {
        let mut out = String::new();
        for request in self.after(since) {
            out.push_str(&serde_json::to_string(&request).unwrap_or_default());
            out.push('\n');
        }
        out
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> LoggedRequest {
        LoggedRequest {
            sequence: 0,
            time: "2026-01-01T00:00:00.000Z".to_owned(),
            method: "GET".to_owned(),
            path: "/a".to_owned(),
            query: String::new(),
            status: Some(200),
            bytes: 1,
            sent: 0,
            changed: false,
            milliseconds: 0,
            fault: None,
        }
    }

    #[test]
    fn the_oldest_requests_are_forgotten_first() {
        let log = RequestLog::default();
        (0..KEPT + 10).for_each(|_| log.add(request()));
        assert_eq!(log.after(0).len(), KEPT);
        assert_eq!(log.after(0)[0].sequence, 11);
        let newest: Vec<_> = log.after(KEPT as u64 + 7).iter().map(|r| r.sequence).collect();
        assert_eq!(newest, [KEPT as u64 + 8, KEPT as u64 + 9, KEPT as u64 + 10]);
        assert!(log.after(u64::MAX).is_empty());
    }
}
