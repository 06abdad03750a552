//! The retry table: one pure function from what was seen to what is done about it.
//!
//! Repeating is decided by what the attempt proves. A refused connection proves
//! that nothing happened; a lost answer proves nothing, so that only requests which
//! are safe to repeat are repeated. Success with an error inside is a row as well.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use super::error::ErrorKind;
use super::request::{Reply, Request, Safety};

/// The first wait where the server names none; doubled each time, with full jitter.
pub(super) const BACKOFF_FIRST: Duration = Duration::from_millis(500);

/// The longest wait where the server names none.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// The first wait after a 429 that names none: throttling windows are minutes, so
/// that short waits only use the next window up.
pub(super) const THROTTLE_FIRST: Duration = Duration::from_secs(2);

/// The longest wait after a 429 that names none.
pub(super) const THROTTLE_MAX: Duration = Duration::from_secs(60);

/// The longest wait that a server can ask for; beyond it the run is better ended
/// and started again.
pub(super) const SERVER_WAIT_MAX: Duration = Duration::from_secs(15 * 60);

/// How often one request is repeated because of throttling. Larger than for
/// failures: a throttling server works as intended.
pub(super) const THROTTLES_MAX: u32 = 20;

/// What a system means by an answer whose status does not tell.
///
/// Called with every answer that the table would give to the connector.
#[derive(Clone)]
pub struct Classify(Arc<dyn Fn(&Request, &Reply) -> Verdict + Send + Sync>);

impl Classify {
    /// Wraps a function.
    pub fn new(rule: impl Fn(&Request, &Reply) -> Verdict + Send + Sync + 'static) -> Self {
        Self(Arc::new(rule))
    }

    pub(super) fn judge(&self, request: &Request, reply: &Reply) -> Verdict {
        (self.0)(request, reply)
    }
}

impl std::fmt::Debug for Classify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Classify(..)")
    }
}

/// The judgement of a [`Classify`] rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The answer is the connector's to read.
    Accept,
    /// The server is busy and did nothing; ask again after `wait`.
    Throttled {
        /// How long, if the answer tells.
        wait: Option<Duration>,
    },
    /// A passing failure that did nothing (a lock, a deadlock); ask again.
    NotDone,
    /// A passing failure that may have done something; ask again if that is safe.
    Failed,
    /// A sign-in is needed.
    SignIn,
}

/// What came of one attempt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event<'a> {
    /// No connection, so that nothing was sent.
    NotConnected,
    /// The handshake failed.
    Tls,
    /// No answer in time.
    TimedOut,
    /// The connection broke after something was sent.
    Lost,
    /// The body ended too early.
    Cut { status: StatusCode },
    /// The body is larger than the limit.
    TooLarge,
    /// A whole answer.
    Answered { status: StatusCode, headers: &'a HeaderMap, html: bool, verdict: Verdict },
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Give the answer to the connector; slow everybody down if the server says so.
    Accept { slow: Option<Duration> },
    /// Sign in again, once, then repeat.
    SignIn,
    /// Follow the redirect or report it.
    Redirect,
    /// Repeat after a wait; `last` is what to do where no attempt is left.
    Retry { wait: Wait, reason: &'static str, last: Last },
    /// Report a failure.
    Fail { kind: ErrorKind, may_have_happened: bool },
}

/// How long to wait before a repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// A random part of this.
    Jitter(Duration),
    /// At least this, for all requests of the client.
    Server(Duration),
    /// A random part of this, on top of half of it, for all requests of the client.
    Throttle(Duration),
}

/// The end of a request whose attempts are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// The connector gets the answer.
    Accept,
    /// An error.
    Fail { kind: ErrorKind, may_have_happened: bool },
}

/// Decides what an attempt means. `attempt` counts from zero.
pub(super) fn decide(event: Event<'_>, safety: Safety, attempt: u32) -> Decision {
    let backoff = Wait::Jitter(doubled(BACKOFF_FIRST, attempt, BACKOFF_MAX));
    // What may have happened is repeated only where repeating does no harm.
    let uncertain = |kind, reason| match safety {
        Safety::Safe => retry(backoff, reason, kind, false),
        Safety::Idempotent => retry(backoff, reason, kind, true),
        Safety::Unsafe => Decision::Fail { kind, may_have_happened: true },
    };
    match event {
        Event::NotConnected => retry(backoff, "no connection", ErrorKind::Unreachable, false),
        Event::Tls => Decision::Fail { kind: ErrorKind::Tls, may_have_happened: false },
        Event::TimedOut => uncertain(ErrorKind::Timeout, "no answer in time"),
        Event::Lost => uncertain(ErrorKind::Unreachable, "connection lost"),
        Event::Cut { status } if is_refusal(status) => retry(backoff, "answer cut", ErrorKind::Cut, false),
        Event::Cut { .. } => uncertain(ErrorKind::Cut, "answer cut"),
        Event::TooLarge => {
            Decision::Fail { kind: ErrorKind::TooLarge, may_have_happened: safety != Safety::Safe }
        }
        Event::Answered { status, headers, html, verdict } => {
            let wait = retry_after(headers);
            match verdict {
                Verdict::Accept => {}
                Verdict::Throttled { wait: own } => return throttled(wait.or(own), attempt),
                Verdict::NotDone => return retry(backoff, "busy", ErrorKind::Unavailable, false),
                Verdict::Failed => return uncertain(ErrorKind::Unavailable, "failure inside the answer"),
                Verdict::SignIn => return Decision::SignIn,
            }
            by_status(status, wait, html, safety, attempt, backoff)
        }
    }
}

/// The rows for whole answers, by status.
fn by_status(
    status: StatusCode,
    wait: Option<Duration>,
    html: bool,
    safety: Safety,
    attempt: u32,
    backoff: Wait,
) -> Decision {
    let kind = ErrorKind::Unavailable;
    let server = wait.map_or(backoff, |w| if w.is_zero() { backoff } else { Wait::Server(w) });
    match status.as_u16() {
        // Azure DevOps answers requests without a session with its sign-in page.
        203 if html => Decision::SignIn,
        200..=299 => Decision::Accept { slow: wait.filter(|w| !w.is_zero()) },
        304 => Decision::Accept { slow: None },
        300..=399 => Decision::Redirect,
        401 => Decision::SignIn,
        407 => Decision::Fail { kind: ErrorKind::Settings, may_have_happened: false },
        // The server did not get the whole request, or a proxy gave up waiting: only
        // the first would prove that nothing happened.
        408 if safety == Safety::Unsafe => {
            Decision::Fail { kind: ErrorKind::Timeout, may_have_happened: true }
        }
        408 => retry(backoff, "server timed out", ErrorKind::Timeout, safety != Safety::Safe),
        423 => Decision::Retry { wait: server, reason: "locked", last: Last::Accept },
        425 => retry(server, "too early", kind, false),
        429 => throttled(wait, attempt),
        400..=499 => Decision::Accept { slow: None },
        // Only a 503 that names a time comes from a server which refused on
        // purpose; a bare one can come from a proxy that lost the answer.
        503 if wait.is_some() && wait > Some(SERVER_WAIT_MAX) => {
            Decision::Fail { kind, may_have_happened: false }
        }
        503 if wait.is_some() => retry(server, "unavailable for now", kind, false),
        // Not implemented, wrong version: asking again changes nothing.
        501 | 505 => Decision::Fail { kind, may_have_happened: false },
        500.. if safety == Safety::Unsafe => Decision::Fail { kind, may_have_happened: true },
        500.. => retry(server, "server failed", kind, safety != Safety::Safe),
        _ => Decision::Fail { kind: ErrorKind::Malformed, may_have_happened: safety != Safety::Safe },
    }
}

fn retry(wait: Wait, reason: &'static str, kind: ErrorKind, may_have_happened: bool) -> Decision {
    Decision::Retry { wait, reason, last: Last::Fail { kind, may_have_happened } }
}

/// A 429 is never executed, so that it is repeated whatever the safety.
fn throttled(wait: Option<Duration>, attempt: u32) -> Decision {
    let fail = Last::Fail { kind: ErrorKind::Throttled, may_have_happened: false };
    let wait = match wait {
        Some(w) if w > SERVER_WAIT_MAX => {
            return Decision::Fail { kind: ErrorKind::Throttled, may_have_happened: false };
        }
        Some(w) if !w.is_zero() => Wait::Server(w),
        _ => Wait::Throttle(doubled(THROTTLE_FIRST, attempt, THROTTLE_MAX)),
    };
    Decision::Retry { wait, reason: "throttled", last: fail }
}

/// Statuses that prove that nothing was carried out, even with half a body.
fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT
}

fn doubled(first: Duration, attempt: u32, max: Duration) -> Duration {
    first.saturating_mul(2u32.saturating_pow(attempt.min(16))).min(max)
}

/// Reads Retry-After: seconds (fractions too) or a date, which is measured against
/// the server's own clock and not ours.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds.max(0.0)).ok();
    }
    until(DateTime::parse_from_rfc2822(text).ok()?.to_utc(), headers)
}

/// Measures the time until an instant by the server's clock (its Date header).
pub(super) fn until(instant: DateTime<Utc>, headers: &HeaderMap) -> Option<Duration> {
    let now = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?).ok()?.to_utc();
    Some((instant - now).to_std().unwrap_or_default())
}
