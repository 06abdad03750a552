//! What all connectors share: sending a request until it is answered, within limits.
//!
//! A connector makes one [`Client`] per host and says what differs: how it signs in
//! ([`Auth`]), how fast it may go ([`Budget`]), how failure looks inside a successful
//! answer ([`Classify`]) and where the next page is ([`pages`]). Retry is one table
//! (`retry.rs`), pacing one window (`pace.rs`).
//!
//! Errors and logs never hold a query string, a header or a body that we sent.

mod auth;
mod client;
mod clock;
mod error;
mod pace;
mod page;
mod request;
mod retry;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

pub use auth::{Auth, Credential, Renewing, Token};
pub use client::{Client, Counts};
pub use error::{Error, ErrorKind};
pub use pace::Budget;
pub use page::{PAGES_MAX, PageError, pages};
pub use request::{Reply, Request, Safety};
pub use retry::{Classify, Verdict};

/// Answers larger than this are refused: they would not fit into memory beside
/// the batches that other tasks hold.
pub const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How a client behaves; one per repository.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What we call ourselves; some services refuse requests without it.
    pub user_agent: String,
    /// How long one attempt may take, from connecting to the last byte.
    pub timeout: Duration,
    /// How often one request is repeated because of failures (throttling has its
    /// own, larger limit).
    pub retries_max: u32,
    /// Repetitions that all requests of the client have together. Every five
    /// accepted answers give one back, so that only a service that is really
    /// failing uses it up.
    pub retry_budget: u32,
    /// How many requests may be under way at a time.
    pub concurrency_max: usize,
    /// How fast requests may go; `None` leaves the pace to the server.
    pub rate: Option<Budget>,
    /// A PEM file with further certificates to trust.
    pub ca_file: Option<PathBuf>,
    /// The proxy to use; `None` uses the operating system's settings. Loopback is
    /// never reached through a proxy.
    pub proxy: Option<String>,
    /// Allows plain HTTP to other hosts than this machine.
    pub allow_http: bool,
    /// The largest answer that is read.
    pub body_bytes_max: usize,
    /// How the client signs in.
    pub auth: Auth,
    /// What the system means by answers whose status does not tell.
    pub classify: Option<Classify>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            user_agent: concat!("testferry/", env!("CARGO_PKG_VERSION")).to_owned(),
            timeout: Duration::from_secs(120),
            retries_max: 6,
            retry_budget: 200,
            concurrency_max: 16,
            rate: None,
            ca_file: None,
            proxy: None,
            allow_http: false,
            body_bytes_max: BODY_BYTES_MAX,
            auth: Auth::None,
            classify: None,
        }
    }
}
