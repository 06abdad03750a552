//! How fast requests go: one window shared by all tasks of a repository.
//!
//! The window is exact: no stretch of `per` ever holds more than `requests`. A token
//! bucket would let twice as many through around the edge of the vendor's window.
//! What servers say (Retry-After, X-RateLimit-*) can only slow us down.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::clock::Clock;
use super::retry::until;

/// The longest pause taken because a window is said to be used up. Some servers
/// name the time of complete recovery, which is far later than needed; one that
/// means it refuses the next request and says for how long.
const HINT_WAIT_MAX: Duration = Duration::from_secs(15);

/// The part of the budget that is never given up, whatever the server says, so
/// that a run still ends: one in this many.
const BUDGET_FLOOR: usize = 10;

/// A number of requests in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many; at least one.
    pub requests: u32,
    /// In which time.
    pub per: Duration,
}

#[derive(Debug)]
pub(super) struct Pacer {
    clock: Arc<dyn Clock>,
    budget: Option<Budget>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the last requests went, or will go.
    sent: VecDeque<Duration>,
    /// Nothing goes before.
    closed_until: Duration,
    /// The budget as lowered by the server.
    requests: usize,
    waited: Duration,
}

impl Pacer {
    pub(super) fn new(clock: Arc<dyn Clock>, budget: Option<Budget>) -> Self {
        let requests = budget.map_or(0, |b| b.requests.max(1) as usize);
        Self { clock, budget, state: Mutex::new(State { requests, ..State::default() }) }
    }

    /// Waits for this request's turn. Turns are given in the order of the calls.
    pub(super) async fn turn(&self) {
        let mut at = self.reserve();
        loop {
            let now = self.clock.now();
            // The server may have closed the window while we waited.
            at = at.max(self.lock().closed_until);
            if at <= now {
                return;
            }
            self.wait(at - now).await;
        }
    }

    fn reserve(&self) -> Duration {
        let now = self.clock.now();
        let mut state = self.lock();
        let mut at = now.max(state.closed_until);
        if let Some(budget) = self.budget {
            let room = state.requests;
            if let Some(earliest) = state.sent.len().checked_sub(room).and_then(|i| state.sent.get(i)) {
                at = at.max(*earliest + budget.per);
            }
            at = at.max(state.sent.back().copied().unwrap_or_default());
            state.sent.push_back(at);
            while state.sent.len() > budget.requests.max(1) as usize {
                state.sent.pop_front();
            }
        }
        at
    }

    /// Closes the window for `time`, and lowers the budget a little if this was a
    /// refusal.
    pub(super) fn close(&self, time: Duration, refused: bool) {
        let until = self.clock.now() + time;
        let mut state = self.lock();
        state.closed_until = state.closed_until.max(until);
        if refused {
            let floor = self.budget.map_or(0, |b| (b.requests as usize / BUDGET_FLOOR).max(1));
            state.requests = (state.requests * 9 / 10).max(floor);
        }
    }

    /// Heeds the rate headers of an answer.
    pub(super) fn hint(&self, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
        let remaining = text("x-ratelimit-remaining").and_then(|t| t.parse::<f64>().ok());
        // The server's own wait is obeyed by the table and wins.
        if remaining.is_none_or(|r| r >= 1.0) || headers.contains_key(RETRY_AFTER) {
            return;
        }
        let wait = text("x-ratelimit-reset")
            .and_then(|reset| window_end(reset, headers))
            .or_else(|| text("x-ratelimit-interval-seconds").and_then(seconds));
        if let Some(wait) = wait {
            self.close(wait.min(HINT_WAIT_MAX), false);
        }
    }

    /// Waits and counts it as throttling.
    async fn wait(&self, time: Duration) {
        let start = self.clock.now();
        self.clock.sleep(time).await;
        let waited = self.clock.now().saturating_sub(start);
        self.lock().waited += waited;
    }

    /// Returns the time that requests have waited, summed over the requests.
    pub(super) fn waited(&self) -> Duration {
        self.lock().waited
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse::<f64>().ok().and_then(|s| Duration::try_from_secs_f64(s).ok())
}

/// Reads a reset time: an ISO date, seconds since 1970, or seconds from now.
fn window_end(text: &str, headers: &HeaderMap) -> Option<Duration> {
    /// No window lasts until 2001, counted from now; a larger number is a date.
    const EPOCH_SECONDS_MIN: i64 = 1_000_000_000;
    if let Ok(number) = text.parse::<i64>() {
        return match DateTime::from_timestamp(number, 0) {
            Some(date) if number >= EPOCH_SECONDS_MIN => until(date, headers),
            _ => u64::try_from(number).ok().map(Duration::from_secs),
        };
    }
    // Some servers leave the seconds out: 2026-05-01T12:05Z.
    let date = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_rfc3339(&text.replace('Z', ":00Z")))
        .ok()?;
    until(date.to_utc(), headers)
}

#[cfg(test)]
mod tests {
    use super::super::clock::Skipping;
    use super::*;

    fn pacer(requests: u32, per_s: u64) -> (Pacer, Arc<Skipping>) {
        let clock = Arc::new(Skipping::default());
        let budget = Budget { requests, per: Duration::from_secs(per_s) };
        (Pacer::new(clock.clone(), Some(budget)), clock)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
    }

    #[tokio::test]
    async fn no_window_holds_more_than_the_budget() {
        let (pacer, clock) = pacer(3, 10);
        let mut times = Vec::new();
        for _ in 0..10 {
            pacer.turn().await;
            times.push(clock.now().as_secs());
        }
        assert_eq!(times, [0, 0, 0, 10, 10, 10, 20, 20, 20, 30]);
        assert_eq!(pacer.waited(), Duration::from_secs(30));
    }

    #[tokio::test]
    async fn tasks_share_one_window() {
        let (pacer, clock) = pacer(5, 60);
        let pacer = Arc::new(pacer);
        let tasks = (0..12).map(|_| {
            let (pacer, clock) = (pacer.clone(), clock.clone());
            tokio::spawn(async move {
                pacer.turn().await;
                clock.now().as_secs()
            })
        });
        let mut times = Vec::new();
        for task in tasks {
            times.push(task.await.unwrap());
        }
        times.sort_unstable();
        assert_eq!(times, [0, 0, 0, 0, 0, 60, 60, 60, 60, 60, 120, 120]);
    }

    #[tokio::test]
    async fn server_hints_close_the_window_and_never_widen_it() {
        let (pacer, clock) = pacer(100, 60);
        pacer.turn().await;
        pacer.hint(&headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "7")]));
        pacer.turn().await;
        assert_eq!(clock.now(), Duration::from_secs(7));
        pacer.hint(&headers(&[("x-ratelimit-remaining", "5000"), ("x-ratelimit-reset", "0")]));
        for _ in 0..200 {
            pacer.turn().await;
        }
        assert!(clock.now() >= Duration::from_secs(120));
    }

    #[tokio::test]
    async fn refusals_lower_the_budget_to_a_floor() {
        let (pacer, clock) = pacer(10, 60);
        for _ in 0..100 {
            pacer.close(Duration::ZERO, true);
        }
        pacer.turn().await;
        pacer.turn().await;
        assert_eq!(clock.now(), Duration::from_secs(60));
    }

    #[test]
    fn reset_times_are_read_in_every_vendor_notation() {
        let date = ("date", "Fri, 01 May 2026 12:00:00 GMT");
        let h = headers(&[date]);
        assert_eq!(window_end("30", &h), Some(Duration::from_secs(30)));
        assert_eq!(window_end("1777636810", &h), Some(Duration::from_secs(10)));
        assert_eq!(window_end("2026-05-01T12:00:09Z", &h), Some(Duration::from_secs(9)));
        assert_eq!(window_end("2026-05-01T12:05Z", &h), Some(Duration::from_secs(300)));
        assert_eq!(window_end("2026-05-01T11:00:00Z", &h), Some(Duration::ZERO));
        assert_eq!(window_end("soon", &h), None);
    }
}
