//! The request rate that the vendor asks clients to stay under.

use super::problem::Problem;
use super::value::Millis;

/// Requests in a second that are always answered.
const RATE: f64 = 20.0;
/// Requests that may come at once.
const BURST: f64 = 40.0;

/// A bucket that refills steadily.
#[derive(Debug)]
pub(super) struct Meter {
    left: f64,
    at: Millis,
}

impl Meter {
    pub(super) fn new(now: Millis) -> Meter {
        Meter { left: BURST, at: now }
    }

    /// Counts a request, or refuses it.
    pub(super) fn take(&mut self, now: Millis) -> Result<(), Problem> {
        let passed = (now - self.at).max(0) as f64 / 1_000.0;
        self.left = (self.left + passed * RATE).min(BURST);
        self.at = now;
        if self.left < 1.0 {
            return Err(Problem::new(
                429,
                "platform.too_many_requests",
                "Too many requests; try again later",
            ));
        }
        self.left -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_a_flood_is_not() {
        let mut meter = Meter::new(0);
        assert!((0..40).all(|_| meter.take(0).is_ok()));
        assert_eq!(meter.take(0).unwrap_err().status, 429);
        assert!(meter.take(100).is_ok());
    }
}
