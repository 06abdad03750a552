//! Throttling: usage units in a sliding window, delays first, refusals later.

use std::collections::VecDeque;
use std::time::Duration;

use super::value::Millis;

/// The window in which usage is summed.
const WINDOW: Millis = 5 * 60 * 1000;
/// Units that a user may consume in the window before delays start.
const ALLOWED: f64 = 200.0;
/// Units from which requests are blocked.
const BLOCKED: f64 = 300.0;
/// The longest delay. The real service goes to 30 s; less keeps tests short.
const LONGEST: Duration = Duration::from_millis(1500);
/// What a read and a write cost, and every kibibyte of an answer.
const READ: f64 = 0.02;
const WRITE: f64 = 0.05;
const PER_KIB: f64 = 0.0005;

/// What happens to a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It runs, maybe after a delay, with these headers.
    Run(Duration, Vec<(String, String)>),
    /// It is blocked for so many seconds, with these headers.
    Block(Vec<(String, String)>),
}

/// The usage of one user.
#[derive(Debug, Default)]
pub(super) struct Meter {
    used: VecDeque<(Millis, f64)>,
}

impl Meter {
    fn sum(&mut self, now: Millis) -> f64 {
        while self.used.front().is_some_and(|(at, _)| *at <= now - WINDOW) {
            self.used.pop_front();
        }
        self.used.iter().map(|(_, units)| units).sum()
    }

    /// Counts units; one entry per second is enough.
    pub(super) fn charge(&mut self, now: Millis, write: bool, bytes: usize) {
        let units = if write { WRITE } else { READ } + bytes as f64 / 1024.0 * PER_KIB;
        match self.used.back_mut().filter(|(at, _)| now - at < 1000) {
            Some((_, sum)) => *sum += units,
            None => self.used.push_back((now, units)),
        }
    }

    /// Decides on the next request.
    pub(super) fn judge(&mut self, now: Millis) -> Verdict {
        let used = self.sum(now);
        if used < ALLOWED / 2.0 {
            return Verdict::Run(Duration::ZERO, Vec::new());
        }
        let reset = self.used.back().map_or(now, |(at, _)| at + WINDOW) / 1000;
        let mut headers = vec![
            ("X-RateLimit-Resource".to_owned(), "Core/Concurrency".to_owned()),
            ("X-RateLimit-Limit".to_owned(), ALLOWED.to_string()),
            ("X-RateLimit-Remaining".to_owned(), format!("{:.0}", (ALLOWED - used).max(0.0))),
            ("X-RateLimit-Reset".to_owned(), reset.to_string()),
        ];
        if used < ALLOWED {
            return Verdict::Run(Duration::ZERO, headers);
        }
        let share = ((used - ALLOWED) / (BLOCKED - ALLOWED)).min(1.0);
        if used >= BLOCKED {
            let wait = self.used.front().map_or(1, |(at, _)| (at + WINDOW - now) / 1000 + 1).clamp(1, 30);
            headers.push(("Retry-After".to_owned(), wait.to_string()));
            return Verdict::Block(headers);
        }
        let delay = LONGEST.mul_f64(share);
        headers.push(("X-RateLimit-Delay".to_owned(), format!("{:.3}", delay.as_secs_f64())));
        headers.push(("Retry-After".to_owned(), format!("{}", delay.as_secs() + 1)));
        Verdict::Run(delay, headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heavy_use_is_delayed_first_and_blocked_later() {
        let mut meter = Meter::default();
        assert_eq!(meter.judge(0), Verdict::Run(Duration::ZERO, Vec::new()));
        for _ in 0..5000 {
            meter.charge(0, true, 0);
        }
        assert!(matches!(meter.judge(1), Verdict::Run(delay, headers)
            if delay > Duration::ZERO && headers.iter().any(|(n, _)| n == "Retry-After")));
        for _ in 0..2000 {
            meter.charge(1, true, 0);
        }
        assert!(matches!(meter.judge(2), Verdict::Block(_)));
        assert_eq!(meter.judge(WINDOW * 2), Verdict::Run(Duration::ZERO, Vec::new()));
    }
}
