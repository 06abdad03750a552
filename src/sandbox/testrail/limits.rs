//! The rate limit of the Cloud: so many calls a minute for the whole instance.

use super::face::Face;
use super::reply::Problem;

/// The length of the window in seconds.
const WINDOW: i64 = 60;

/// What was used in the current minute.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    since: i64,
    used: u32,
}

impl Meter {
    /// Counts a call, or refuses it until the window ends.
    pub(super) fn take(&mut self, face: Face, now: i64) -> Result<(), Problem> {
        let Some(most) = face.calls_a_minute() else { return Ok(()) };
        if now < self.since || now >= self.since + WINDOW {
            *self = Meter { since: now, used: 0 };
        }
        if self.used < most {
            self.used += 1;
            return Ok(());
        }
        let wait = (self.since + WINDOW - now).max(1);
        let text = format!(
            "API Rate Limit Exceeded - {most} per minute maximum allowed. Retry after {wait} seconds."
        );
        Err(Problem { retry_after: Some(wait), ..Problem::new(429, text) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_after_the_last_waits_for_the_end_of_the_minute() {
        let mut meter = Meter::default();
        assert!((0..180).all(|n| meter.take(Face::Professional, 1_000 + n / 6).is_ok()));
        let refused = meter.take(Face::Professional, 1_036).unwrap_err();
        assert_eq!((refused.status, refused.retry_after), (429, Some(24)));
        assert!(refused.text.contains("180 per minute") && refused.text.contains("after 24 seconds"));
        assert!(meter.take(Face::Professional, 1_060).is_ok());
    }

    #[test]
    fn a_server_of_ones_own_has_no_limit() {
        let mut meter = Meter::default();
        assert!((0..10_000).all(|_| meter.take(Face::Server, 1).is_ok()));
    }
}
