//! The leases of a run: taken before it writes, renewed while it lasts, given back at its end.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Mutex;

use super::Failure;
use super::run::Job;
use crate::store::{Error, Lease, Store};

/// How long a lease holds without being renewed.
const LEASE_TIME: Duration = Duration::from_secs(60 * 60);

/// How often leases are renewed: several attempts may fail before one runs out.
const RENEW_EVERY: Duration = Duration::from_secs(10 * 60);

/// The leases that a run holds. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Leases(Arc<Mutex<Vec<Lease>>>);

impl Leases {
    /// Takes the leases on all projects of the pipeline.
    pub(super) async fn take(&self, job: &Job<'_>) -> Result<(), Failure> {
        for repository in &job.pipeline.repositories {
            for project in &repository.settings.projects {
                let place = format!("{}-{project}", repository.id);
                let (store, now) = (job.store.store(), (job.clock)());
                let lease = store.acquire(&place, &job.holder, now, LEASE_TIME, job.is_gone).await?;
                self.0.lock().await.push(lease);
            }
        }
        Ok(())
    }

    /// Renews the leases now and then; ends only if somebody else took one, with that.
    pub(super) async fn keep(&self, job: &Job<'_>) -> Failure {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            if let Err(lost) = self.renew(job.store.store(), (job.clock)()).await {
                return lost;
            }
        }
    }

    /// Renews the leases; a store that cannot be written is tried again the next time.
    async fn renew(&self, store: &Store, now: DateTime<Utc>) -> Result<(), Failure> {
        for lease in self.0.lock().await.iter_mut() {
            if let Err(error @ Error::LeaseLost { .. }) = store.renew(lease, now, LEASE_TIME).await {
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Hands the leases to a commit, which checks them.
    pub(super) async fn held(&self) -> tokio::sync::MutexGuard<'_, Vec<Lease>> {
        self.0.lock().await
    }

    /// Gives the leases back, whatever came of the run.
    pub(super) async fn give_back(&self, store: &Store) {
        for lease in std::mem::take(&mut *self.0.lock().await) {
            // A lease that could not be given back runs out by itself.
            let _ = store.release(lease).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::store::Holder;

    fn holder(name: &str) -> Holder {
        Holder { name: name.into(), host: "here".into(), process: "1".into() }
    }

    #[tokio::test]
    async fn a_renewed_lease_outlasts_its_first_hour_and_a_lost_one_ends_the_run() {
        let store = Store::open("memory://").unwrap();
        let start: DateTime<Utc> = "2026-11-22T02:00:00Z".parse().unwrap();
        let alive = |_: &Holder| false;
        let lease = store.acquire("ado-P", &holder("a"), start, LEASE_TIME, &alive).await.unwrap();
        let leases = Leases(Arc::new(Mutex::new(vec![lease])));
        leases.renew(&store, start + TimeDelta::minutes(50)).await.unwrap();
        let later = start + TimeDelta::minutes(90);
        let taken = store.acquire("ado-P", &holder("b"), later, LEASE_TIME, &alive).await;
        assert!(matches!(taken, Err(Error::Held { .. })), "{taken:?}");
        let much_later = start + TimeDelta::minutes(180);
        store.acquire("ado-P", &holder("b"), much_later, LEASE_TIME, &alive).await.unwrap();
        let lost = leases.renew(&store, much_later).await;
        assert!(matches!(lost, Err(Failure::Store(Error::LeaseLost { .. }))), "{lost:?}");
    }
}
