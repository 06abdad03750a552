//! What a run leaves behind: its plan, its journal, its report.
//!
//! Each run has a folder of its own, so that damage to one cannot hurt another.

use bytes::Bytes;

use super::PipelineStore;
use super::error::Error;
use super::layout::{Folder, JournalKind, Location};
use crate::model::RunId;

impl PipelineStore {
    /// Lists the runs, oldest first.
    pub async fn list_runs(&self) -> Result<Vec<RunId>, Error> {
        let names = self.files().folders(Folder::Runs { pipeline: self.name() }).await?;
        Ok(names.into_iter().map(RunId::new).collect())
    }

    /// Returns where a table of a run's plan goes.
    pub fn plan_location(&self, run: &RunId, table: &str) -> Location {
        Location::Plan { pipeline: self.name().to_owned(), run: run.clone(), table: table.to_owned() }
    }

    /// Returns where a page of rows goes while a run extracts.
    pub fn page_location(&self, run: &RunId, table: &str, n: u64) -> Location {
        Location::Page { pipeline: self.name().to_owned(), run: run.clone(), table: table.to_owned(), n }
    }

    /// Deletes the pages of a run.
    pub async fn delete_pages(&self, run: &RunId) -> Result<(), Error> {
        for page in self.files().list(Folder::Pages { pipeline: self.name(), run }).await? {
            self.files().delete(&page.location).await?;
        }
        Ok(())
    }

    /// Writes a record of the journal, durably: it is there when this returns.
    pub async fn put_journal(
        &self,
        run: &RunId,
        batch: u64,
        kind: JournalKind,
        record: Vec<u8>,
    ) -> Result<(), Error> {
        self.files().put(&self.journal(run, batch, kind), Bytes::from(record)).await
    }

    /// Lists the records of a run's journal: batch and kind, in order.
    pub async fn list_journal(&self, run: &RunId) -> Result<Vec<(u64, JournalKind)>, Error> {
        let listed = self.files().list(Folder::Journal { pipeline: self.name(), run }).await?;
        Ok(listed
            .into_iter()
            .filter_map(|found| match found.location {
                Location::Journal { batch, kind, .. } => Some((batch, kind)),
                _ => None,
            })
            .collect())
    }

    /// Reads a record of the journal.
    pub async fn read_journal(&self, run: &RunId, batch: u64, kind: JournalKind) -> Result<Bytes, Error> {
        self.files().get(&self.journal(run, batch, kind)).await
    }

    /// Lists the runs whose journals can hold something unsettled: that which
    /// committed the head, and all after it. Every run settles what it finds before
    /// it does anything else, so that older ones are done.
    pub async fn unsettled_runs(&self) -> Result<Vec<RunId>, Error> {
        let head = self.read_head().await?;
        let mut runs = self.list_runs().await?;
        // Runs are named by their start.
        runs.retain(|run| head.as_ref().is_none_or(|head| *run >= head.run));
        Ok(runs)
    }

    /// Writes a run's report; `format` is `json` or `html`.
    pub async fn write_report(&self, run: &RunId, format: &str, report: Vec<u8>) -> Result<(), Error> {
        self.files().put(&self.report(run, format), Bytes::from(report)).await
    }

    /// Reads a run's report; `None` if there is none.
    pub async fn read_report(&self, run: &RunId, format: &str) -> Result<Option<Bytes>, Error> {
        self.files().find(&self.report(run, format)).await
    }

    fn journal(&self, run: &RunId, batch: u64, kind: JournalKind) -> Location {
        Location::Journal { pipeline: self.name().to_owned(), run: run.clone(), batch, kind }
    }

    fn report(&self, run: &RunId, format: &str) -> Location {
        Location::Report { pipeline: self.name().to_owned(), run: run.clone(), format: format.to_owned() }
    }
}
