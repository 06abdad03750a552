//! Time and chance as things that are passed in, so that tests own both.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A clock that only measures and waits.
pub(super) trait Clock: Send + Sync + std::fmt::Debug {
    /// Time since some fixed instant.
    fn now(&self) -> Duration;
    /// Waits.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()>;
}

/// The machine's monotonic clock.
#[derive(Debug)]
pub(super) struct Monotonic(Instant);

impl Monotonic {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Monotonic {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}

/// A source of chance for jitter.
#[derive(Debug)]
pub(super) struct Dice(Mutex<StdRng>);

impl Dice {
    pub(super) fn new() -> Self {
        Self(Mutex::new(StdRng::from_rng(&mut rand::rng())))
    }

    /// Picks a time between zero and `max`.
    pub(super) fn up_to(&self, max: Duration) -> Duration {
        let mut rng = self.0.lock().unwrap_or_else(|e| e.into_inner());
        max.mul_f64(rng.random_range(0.0..=1.0))
    }
}

/// A clock whose waits pass at once, for tests.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Skipping(std::sync::Arc<Mutex<Duration>>);

#[cfg(test)]
impl Clock for Skipping {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        // Waiting tasks wake in the order of their deadlines only if each waits
        // from the same now: a deadline in the past wakes at once.
        let now = self.0.clone();
        let deadline = *now.lock().unwrap() + time;
        Box::pin(async move {
            tokio::task::yield_now().await;
            let mut now = now.lock().unwrap();
            *now = deadline.max(*now);
        })
    }
}
