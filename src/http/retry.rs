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
pub struct Classify(Arc<Judge>);

/// What a system makes of an answer.
type Judge = dyn Fn(&Request, &Reply) -> Verdict + Send + Sync;

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
        // Some servers answer a request without a session with their sign-in page.
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

#[cfg(test)]
mod tests {
    use Safety::{Idempotent, Safe, Unsafe};

    use super::*;

    const BACKOFF: Wait = Wait::Jitter(BACKOFF_FIRST);

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
    }

    fn answered(status: u16, safety: Safety) -> Decision {
        with(status, &[], false, safety)
    }

    fn with(status: u16, pairs: &[(&'static str, &str)], html: bool, safety: Safety) -> Decision {
        let headers = headers(pairs);
        let status = StatusCode::from_u16(status).unwrap();
        decide(Event::Answered { status, headers: &headers, html, verdict: Verdict::Accept }, safety, 0)
    }

    fn judged(verdict: Verdict, safety: Safety) -> Decision {
        let headers = HeaderMap::new();
        decide(Event::Answered { status: StatusCode::OK, headers: &headers, html: false, verdict }, safety, 0)
    }

    fn wait(decision: Decision) -> Option<Wait> {
        match decision {
            Decision::Retry { wait, .. } => Some(wait),
            _ => None,
        }
    }

    #[test]
    fn connection_that_was_refused_is_tried_again_whatever_the_request() {
        for safety in [Safe, Idempotent, Unsafe] {
            let want = retry(BACKOFF, "no connection", ErrorKind::Unreachable, false);
            assert_eq!(decide(Event::NotConnected, safety, 0), want);
        }
    }

    #[test]
    fn lost_answer_is_asked_for_again_only_where_that_is_safe() {
        let status = StatusCode::OK;
        for (event, kind) in [
            (Event::TimedOut, ErrorKind::Timeout),
            (Event::Lost, ErrorKind::Unreachable),
            (Event::Cut { status }, ErrorKind::Cut),
        ] {
            assert!(wait(decide(event, Safe, 0)).is_some());
            assert!(matches!(
                decide(event, Idempotent, 0),
                Decision::Retry { last: Last::Fail { may_have_happened: true, .. }, .. }
            ));
            assert_eq!(decide(event, Unsafe, 0), Decision::Fail { kind, may_have_happened: true });
        }
    }

    #[test]
    fn refusal_cut_short_proves_that_nothing_happened() {
        let event = Event::Cut { status: StatusCode::BAD_REQUEST };
        assert_eq!(decide(event, Unsafe, 0), retry(BACKOFF, "answer cut", ErrorKind::Cut, false));
    }

    #[test]
    fn refusals_belong_to_the_connector() {
        for status in [400, 403, 404, 405, 409, 410, 412, 413, 422, 428] {
            assert_eq!(answered(status, Unsafe), Decision::Accept { slow: None }, "{status}");
        }
    }

    #[test]
    fn locked_row_is_retried_and_then_given_to_the_connector() {
        let want = Decision::Retry { wait: BACKOFF, reason: "locked", last: Last::Accept };
        assert_eq!(answered(423, Unsafe), want);
    }

    #[test]
    fn timeout_of_the_server_is_uncertain_for_a_create() {
        assert!(wait(answered(408, Safe)).is_some());
        let want = Decision::Fail { kind: ErrorKind::Timeout, may_have_happened: true };
        assert_eq!(answered(408, Unsafe), want);
    }

    #[test]
    fn too_early_is_retried_whatever_the_request() {
        assert_eq!(wait(answered(425, Unsafe)), Some(BACKOFF));
    }

    #[test]
    fn throttling_waits_as_long_as_the_server_says() {
        let date = ("date", "Fri, 01 May 2026 12:00:00 GMT");
        let at = |v: &str| wait(with(429, &[("retry-after", v), date], true, Unsafe));
        assert_eq!(at("7"), Some(Wait::Server(Duration::from_secs(7))));
        assert_eq!(at("0.5"), Some(Wait::Server(Duration::from_millis(500))));
        assert_eq!(at("Fri, 01 May 2026 12:00:12 GMT"), Some(Wait::Server(Duration::from_secs(12))));
        assert_eq!(at("0"), Some(Wait::Throttle(THROTTLE_FIRST)));
        assert_eq!(at("-3"), Some(Wait::Throttle(THROTTLE_FIRST)));
        assert_eq!(at("soon"), Some(Wait::Throttle(THROTTLE_FIRST)));
        assert_eq!(wait(answered(429, Unsafe)), Some(Wait::Throttle(THROTTLE_FIRST)));
    }

    #[test]
    fn wait_beyond_the_limit_ends_the_request() {
        let got = with(429, &[("retry-after", "86400")], false, Safe);
        assert_eq!(got, Decision::Fail { kind: ErrorKind::Throttled, may_have_happened: false });
    }

    #[test]
    fn failures_of_the_server_are_retried_only_where_that_is_safe() {
        for status in [500, 502, 503, 504, 520, 522] {
            assert_eq!(wait(answered(status, Safe)), Some(BACKOFF), "{status}");
            assert_eq!(wait(answered(status, Idempotent)), Some(BACKOFF), "{status}");
            let want = Decision::Fail { kind: ErrorKind::Unavailable, may_have_happened: true };
            assert_eq!(answered(status, Unsafe), want, "{status}");
        }
    }

    #[test]
    fn deliberate_unavailability_is_retried_even_for_a_create() {
        let got = wait(with(503, &[("retry-after", "5")], true, Unsafe));
        assert_eq!(got, Some(Wait::Server(Duration::from_secs(5))));
    }

    #[test]
    fn what_the_server_cannot_do_is_not_asked_twice() {
        let want = Decision::Fail { kind: ErrorKind::Unavailable, may_have_happened: false };
        assert_eq!(answered(501, Safe), want);
    }

    #[test]
    fn sign_in_page_is_no_answer() {
        assert_eq!(with(203, &[], true, Safe), Decision::SignIn);
        assert_eq!(with(203, &[], false, Safe), Decision::Accept { slow: None });
        assert_eq!(answered(401, Unsafe), Decision::SignIn);
        assert_eq!(answered(302, Safe), Decision::Redirect);
    }

    #[test]
    fn success_can_ask_for_a_slower_pace() {
        let want = Decision::Accept { slow: Some(Duration::from_secs(3)) };
        assert_eq!(with(200, &[("retry-after", "3")], false, Unsafe), want);
    }

    #[test]
    fn errors_inside_a_success_are_judged_by_the_connector() {
        let throttled = Verdict::Throttled { wait: Some(Duration::from_secs(9)) };
        assert_eq!(wait(judged(throttled, Unsafe)), Some(Wait::Server(Duration::from_secs(9))));
        assert_eq!(wait(judged(Verdict::NotDone, Unsafe)), Some(BACKOFF));
        assert_eq!(wait(judged(Verdict::Failed, Safe)), Some(BACKOFF));
        let lost = Decision::Fail { kind: ErrorKind::Unavailable, may_have_happened: true };
        assert_eq!(judged(Verdict::Failed, Unsafe), lost);
        assert_eq!(judged(Verdict::SignIn, Unsafe), Decision::SignIn);
    }

    #[test]
    fn backoff_doubles_up_to_its_limit() {
        let at = |n| doubled(BACKOFF_FIRST, n, BACKOFF_MAX);
        assert_eq!(at(0), BACKOFF_FIRST);
        assert_eq!(at(3), BACKOFF_FIRST * 8);
        assert_eq!(at(u32::MAX), BACKOFF_MAX);
    }
}
