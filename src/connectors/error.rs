//! How a remote system can fail us.

/// A remote system did not do what we asked.
#[derive(Debug, thiserror::Error)]
#[error("{system}: {operation} failed: {message}")]
pub struct Error {
    /// The system's noun.
    pub system: &'static str,
    /// What was tried, as a phrase: `reading work items`.
    pub operation: String,
    /// What sort of failure it is, and so what helps.
    pub kind: ErrorKind,
    /// The system's own words, or ours where it had none; redacted.
    pub message: String,
}

impl Error {
    /// Makes an error of `system`.
    pub fn new(
        system: &'static str,
        operation: impl Into<String>,
        kind: ErrorKind,
        message: impl Into<String>,
    ) -> Self {
        Self { system, operation: operation.into(), kind, message: message.into() }
    }

    /// Tells whether asking again later may help.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::Throttled)
    }
}

/// Sorts of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Credentials, host, project or field names are wrong: edit the pipeline file.
    Settings,
    /// The account lacks a right.
    Forbidden,
    /// What was asked for does not exist.
    NotFound,
    /// Understood and refused.
    Refused,
    /// The service is down or out of reach.
    Unavailable,
    /// The service asked us to wait longer than the retry budget allows.
    Throttled,
    /// The answer does not have the documented shape, or does not add up.
    Malformed,
}
