//! Heads: what a pipeline has agreed on. The highest one counts; what no head names
//! does not exist for the next run.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::PipelineStore;
use super::document::{self, as_text};
use super::error::Error;
use super::layout::{Folder, Location};
use super::lease::Lease;
use super::sheet::SheetRef;
use crate::model::{RunId, SnapshotId};

/// A committed state of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its number, from 1.
    pub n: u64,
    /// The run that committed it.
    #[serde(with = "as_text")]
    pub run: RunId,
    /// When.
    pub created_at: DateTime<Utc>,
    /// What both repositories held.
    #[serde(with = "as_text")]
    pub snapshot: SnapshotId,
    /// The sync state: `pairs`, `base_left` and so on. A table that did not change
    /// can lie with an earlier head.
    pub sync: BTreeMap<String, SheetRef>,
    /// Hashes of the mapping under which the base was agreed, by integration.
    pub mapping: BTreeMap<String, String>,
    /// Fencing numbers of the leases it was written under, by place.
    pub fencing: BTreeMap<String, u64>,
}

impl PipelineStore {
    /// Reads the head; `None` before the first commit.
    pub async fn read_head(&self) -> Result<Option<Head>, Error> {
        let Some(n) = self.head_number().await? else { return Ok(None) };
        let location = Location::Head { pipeline: self.name().to_owned(), n };
        let head: Head = document::decode(&location, &self.files().get(&location).await?)?;
        if head.n != n {
            return Err(Error::corrupt(&location, format!("it says that it is head {}", head.n)));
        }
        Ok(Some(head))
    }

    /// Commits the head that follows `expected` (0 for none), under the leases that
    /// protect it.
    ///
    /// # Errors
    ///
    /// [`Error::HeadMoved`] if another run committed meanwhile, [`Error::LeaseLost`]
    /// if a lease went to somebody else; nothing was committed then.
    pub async fn advance_head(
        &self,
        expected: u64,
        mut head: Head,
        leases: &[&Lease],
    ) -> Result<Head, Error> {
        let before = self.read_head().await?;
        let found = before.as_ref().map_or(0, |h| h.n);
        if found != expected {
            return Err(Error::HeadMoved { expected, found });
        }
        for lease in leases {
            self.store().check_lease(lease).await?;
            head.fencing.insert(lease.place().to_owned(), lease.fencing());
        }
        for (place, number) in before.iter().flat_map(|h| &h.fencing) {
            if head.fencing.get(place).is_some_and(|mine| mine < number) {
                let holder = format!("a run with the later number {number}");
                return Err(Error::LeaseLost { place: place.clone(), holder });
            }
        }
        for sheet in head.sync.values() {
            if self.files().size(&self.location(&sheet.path)?).await? != Some(sheet.bytes) {
                return Err(Error::corrupt(&sheet.path, "it is missing or has another size"));
            }
        }
        head.n = expected + 1;
        let location = Location::Head { pipeline: self.name().to_owned(), n: head.n };
        let content = document::encode(&location, &head)?;
        if !self.files().put_if_absent(&location, content).await? {
            return Err(Error::HeadMoved { expected, found: head.n });
        }
        Ok(head)
    }

    /// Returns where a table of the sync state goes that `run` prepares for the head
    /// after `expected`.
    pub fn sync_location(&self, expected: u64, run: &RunId, table: &str) -> Location {
        Location::Sync {
            pipeline: self.name().to_owned(),
            n: expected + 1,
            run: run.clone(),
            table: table.to_owned(),
        }
    }

    /// Reads a table of a head's sync state; `None` if the head has none of that name.
    pub async fn read_sync(
        &self,
        head: &Head,
        table: &str,
    ) -> Result<Option<(SchemaRef, Vec<arrow::array::RecordBatch>)>, Error> {
        match head.sync.get(table) {
            Some(sheet) => self.read_sheet(sheet).await.map(Some),
            None => Ok(None),
        }
    }

    async fn head_number(&self) -> Result<Option<u64>, Error> {
        let listed = self.files().list(Folder::Heads { pipeline: self.name() }).await?;
        Ok(listed
            .iter()
            .filter_map(|found| match found.location {
                Location::Head { n, .. } => Some(n),
                _ => None,
            })
            .max())
    }
}
