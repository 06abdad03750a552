//! What the server needs from an emulator: requests in, answers out, a state to count and keep.

use std::collections::BTreeMap;
use std::time::Duration;

/// One HTTP request, whole.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Upper-case method.
    pub(crate) method: String,
    /// The path as sent, still percent-encoded, without the query.
    pub(crate) path: String,
    /// The query as sent, without the question mark; empty if there is none.
    pub(crate) query: String,
    /// Header names in lower case, in order.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: bytes::Bytes,
    /// Scheme, host and port by which the client reached us, from its Host
    /// header: `http://127.0.0.1:4101`. Links in answers start with it.
    pub(crate) base: String,
}

impl Request {
    /// Returns the first header of that lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// One HTTP answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: bytes::Bytes,
    /// Whether handling the request changed the state; goes into the request log.
    pub(crate) changed: bool,
}

/// How an emulator behaves beyond its state.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Number of test cases of the made-up company; the rest grows with it.
    pub(crate) size: usize,
    /// Seed of the made-up company.
    pub(crate) seed: u64,
    /// Start without artifacts: projects, users, fields and workflows only.
    pub(crate) empty: bool,
    /// Enforce the documented rate limits.
    pub(crate) limits: bool,
    /// How long what was written stays invisible to search (systems with an index).
    pub(crate) index_lag: Duration,
}

/// A hash of the whole state and counts per artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StateSummary {
    pub(crate) hash: String,
    pub(crate) counts: BTreeMap<String, u64>,
}

/// One emulated system.
///
/// `handle` is called from many tasks at once and must not block for long: the
/// state sits behind a lock that is held for one request. The clock is the
/// machine's. Rate limits are the emulator's own business; faults and the
/// request log are the server's.
pub(crate) trait Emulator: Send + Sync + 'static {
    /// The system's noun: `azure-devops`.
    fn system(&self) -> &'static str;

    /// Answers one request.
    fn handle(&self, request: Request) -> futures::future::BoxFuture<'_, Response>;

    /// Sums up the state.
    fn state(&self) -> StateSummary;

    /// The environment variables that the shipped pipelines read for this
    /// system, served at `base` (`http://127.0.0.1:4101`).
    fn env(&self, base: &str) -> Vec<(String, String)>;

    /// Writes the whole state as bytes; the constructor's counterpart reads them.
    fn save(&self) -> Vec<u8>;
}
