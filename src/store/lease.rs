//! Leases: one run at a time works on a project of a repository.
//!
//! A lease is a sequence of records made by put-if-absent, of which the highest
//! counts: taken, renewed, given back. Each time it changes hands the fencing number
//! grows; heads carry it, so that a run which lost its lease without noticing cannot
//! commit over its successor.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Store;
use super::document;
use super::error::Error;
use super::layout::{Folder, Location};

/// How often a place is looked at again when somebody else was faster. Each time
/// one of the others got somewhere.
const ATTEMPTS_MAX: u32 = 16;

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The run, or any other name for people.
    pub name: String,
    /// The machine.
    pub host: String,
    /// What identifies the process on that machine, in the caller's notation.
    pub process: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (process {} on {})", self.name, self.process, self.host)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    holder: Holder,
    fencing: u64,
    acquired_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    released: bool,
}

/// A lease that we hold, until it expires.
#[derive(Debug)]
pub struct Lease {
    place: String,
    n: u64,
    record: Record,
}

impl Lease {
    /// Returns what is held: repository and project.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns the fencing number: larger than that of every earlier holder.
    pub fn fencing(&self) -> u64 {
        self.record.fencing
    }

    /// Returns when it ends unless it is renewed.
    pub fn expires_at(&self) -> DateTime<Utc> {
        self.record.expires_at
    }
}

impl Store {
    /// Takes the lease on `place` for `time`.
    ///
    /// A holder whose lease ran out is superseded, and so is one of which `is_gone`
    /// knows that it ended (a dead process on this machine).
    ///
    /// # Errors
    ///
    /// [`Error::Held`], naming the holder.
    pub async fn acquire(
        &self,
        place: &str,
        holder: &Holder,
        now: DateTime<Utc>,
        time: Duration,
        is_gone: &(dyn Fn(&Holder) -> bool + Sync),
    ) -> Result<Lease, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let last = self.last_record(place).await?;
            if let Some((_, record)) = &last
                && !record.released
                && record.expires_at > now
                && !is_gone(&record.holder)
            {
                return Err(Error::Held {
                    place: place.to_owned(),
                    holder: record.holder.to_string(),
                    until: record.expires_at,
                });
            }
            let (n, fencing) = last.map_or((1, 1), |(n, record)| (n + 1, record.fencing + 1));
            let record = Record {
                holder: holder.clone(),
                fencing,
                acquired_at: now,
                expires_at: now + time,
                released: false,
            };
            if self.write_record(place, n, &record).await? {
                self.forget_records(place, n).await;
                return Ok(Lease { place: place.to_owned(), n, record });
            }
        }
        Err(Error::io("locking", place, "others keep taking the lease first"))
    }

    /// Extends a lease to `time` from now. One that ran out can still be extended as
    /// long as nobody took it.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseLost`] if somebody did.
    pub async fn renew(&self, lease: &mut Lease, now: DateTime<Utc>, time: Duration) -> Result<(), Error> {
        let record = Record { expires_at: now + time, ..lease.record.clone() };
        self.follow(lease, record).await?;
        self.forget_records(&lease.place, lease.n).await;
        Ok(())
    }

    /// Gives a lease back.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseLost`] if it was lost before.
    pub async fn release(&self, mut lease: Lease) -> Result<(), Error> {
        let record = Record { released: true, ..lease.record.clone() };
        self.follow(&mut lease, record).await
    }

    /// Makes sure that a lease was not taken by somebody else.
    pub(super) async fn check_lease(&self, lease: &Lease) -> Result<(), Error> {
        match self.last_record(&lease.place).await? {
            Some((n, _)) if n == lease.n => Ok(()),
            last => Err(lost(lease, last.map(|(_, record)| record))),
        }
    }

    async fn follow(&self, lease: &mut Lease, record: Record) -> Result<(), Error> {
        self.check_lease(lease).await?;
        if !self.write_record(&lease.place, lease.n + 1, &record).await? {
            let last = self.last_record(&lease.place).await?;
            return Err(lost(lease, last.map(|(_, record)| record)));
        }
        lease.n += 1;
        lease.record = record;
        Ok(())
    }

    async fn write_record(&self, place: &str, n: u64, record: &Record) -> Result<bool, Error> {
        let location = Location::Lease { place: place.to_owned(), n };
        self.files().put_if_absent(&location, document::encode(&location, record)?).await
    }

    async fn last_record(&self, place: &str) -> Result<Option<(u64, Record)>, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let listed = self.files().list(Folder::Leases { place }).await?;
            let Some(last) = listed.into_iter().next_back() else { return Ok(None) };
            // Forgotten between listing and reading: there is a later one.
            let Some(content) = self.files().find(&last.location).await? else { continue };
            let record = document::decode(&last.location, &content)?;
            if let Location::Lease { n, .. } = last.location {
                return Ok(Some((n, record)));
            }
        }
        Err(Error::io("reading the lease on", place, "it changes faster than it can be read"))
    }

    /// Deletes the records before `n`, of which nothing depends.
    async fn forget_records(&self, place: &str, n: u64) {
        if let Ok(listed) = self.files().list(Folder::Leases { place }).await {
            for old in listed {
                if matches!(old.location, Location::Lease { n: old, .. } if old < n) {
                    // A record that stays does no harm.
                    let _ = self.files().delete(&old.location).await;
                }
            }
        }
    }
}

fn lost(lease: &Lease, last: Option<Record>) -> Error {
    let holder = last.map_or_else(|| "nobody".to_owned(), |record| record.holder.to_string());
    Error::LeaseLost { place: lease.place.clone(), holder }
}
