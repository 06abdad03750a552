//! The extraction: every table of every repository, whole or by what changed, into parts.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, AsArray};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::{StreamExt, TryStreamExt, iter};

use super::{Failure, Progress};
use crate::connectors::SharedConnector;
use crate::model::{Key, RepositoryId, TableSpec, native_schema};
use crate::store::{PipelineStore, Refresh, Snapshot, TableState};

/// Tables read at a time from one repository; each connector bounds its own requests.
const TABLES_AT_ONCE: usize = 3;

/// How far an incremental pass reaches back before the last one began, so that what
/// was written while that one ran, or shortly before by a server whose clock is
/// behind, is not missed.
const OVERLAP_MINUTES: i64 = 10;

/// Keys of rows that are checked by id at a time.
const READ_KEYS_MAX: usize = 1000;

/// What to read.
#[derive(Debug)]
pub struct Extraction<'a> {
    /// Where it goes.
    pub store: &'a PipelineStore,
    /// The repository's name in the pipeline.
    pub repository: &'a RepositoryId,
    /// The repository.
    pub connector: &'a SharedConnector,
    /// The snapshot before, of which unchanged rows are taken over.
    pub before: Option<&'a Snapshot>,
    /// Read everything anew.
    pub full: bool,
    /// Set from outside to end reading.
    pub stop: &'a AtomicBool,
    /// When reading begins.
    pub now: DateTime<Utc>,
}

impl Extraction<'_> {
    /// Reads every table of the repository.
    ///
    /// # Errors
    ///
    /// Fails with the first table that cannot be read completely.
    pub async fn run(&self, progress: &dyn Progress) -> Result<BTreeMap<String, TableState>, Failure> {
        let tables = self.connector.tables();
        progress.start(&format!("reading {}", self.repository), tables.len() as u64);
        let done: BTreeMap<String, TableState> = iter(&tables)
            .map(|table| async move {
                let state = self.table(table).await?;
                progress.advance(1);
                Ok::<_, Failure>((table.name.to_owned(), state))
            })
            .buffer_unordered(TABLES_AT_ONCE)
            .try_collect()
            .await?;
        progress.finish();
        Ok(done)
    }

    async fn table(&self, spec: &TableSpec) -> Result<TableState, Failure> {
        let known = self.before.and_then(|s| s.table(self.repository.as_str(), spec.name));
        match known {
            Some(known) if spec.incremental && known.complete && !self.full => {
                self.refresh(spec, known).await
            }
            _ => self.whole(spec).await,
        }
    }

    /// Reads a table anew.
    pub(super) async fn whole(&self, spec: &TableSpec) -> Result<TableState, Failure> {
        let rows = self.pages(spec, None).await?;
        let schema = native_schema(&spec.columns);
        let parts = self.store.write_rows(self.repository.as_str(), spec.name, schema.clone(), &rows).await?;
        Ok(TableState::new(&schema, parts, self.now))
    }

    /// Reads what changed, and what is gone by a complete sweep of the keys.
    async fn refresh(&self, spec: &TableSpec, known: &TableState) -> Result<TableState, Failure> {
        let since = known.extracted_at - TimeDelta::minutes(OVERLAP_MINUTES);
        let mut rows = self.pages(spec, Some(since)).await?;
        let mut gone = HashSet::new();
        if let Some(all) = self.connector.keys(spec.name).await? {
            let all: HashSet<String> = all.into_iter().map(|k| k.to_string()).collect();
            let read: HashSet<String> = rows.iter().flat_map(keys).collect();
            let mut staged = HashSet::new();
            for part in &known.parts {
                staged.extend(self.store.read_part(part).await?.iter().flat_map(keys));
            }
            gone = staged.difference(&all).cloned().collect();
            // Listed, and neither staged nor changed since: it entered the scope.
            let fresh: Vec<Key> = all
                .iter()
                .filter(|k| !staged.contains(*k) && !read.contains(*k))
                .map(|k| k.as_str().into())
                .collect();
            for some in fresh.chunks(READ_KEYS_MAX) {
                rows.push(self.connector.read(spec.name, some).await?);
            }
        }
        let schema = native_schema(&spec.columns);
        let refresh = Refresh { rows, gone };
        let parts = self
            .store
            .refresh_rows(self.repository.as_str(), spec.name, schema.clone(), &known.parts, &refresh)
            .await?;
        Ok(TableState { since: Some(since), ..TableState::new(&schema, parts, self.now) })
    }

    async fn pages(
        &self,
        spec: &TableSpec,
        since: Option<DateTime<Utc>>,
    ) -> Result<Vec<RecordBatch>, Failure> {
        let mut stream = self.connector.extract(spec.name, since);
        let mut rows = Vec::new();
        while let Some(page) = stream.next().await {
            rows.push(page?.rows);
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::Stopped);
            }
        }
        Ok(rows)
    }
}

/// Lists the keys of a batch of a native table.
pub(super) fn keys(batch: &RecordBatch) -> Vec<String> {
    let column = batch.column_by_name("key").and_then(|c| c.as_string_opt::<i32>());
    column.map(|keys| (0..keys.len()).map(|row| keys.value(row).to_owned()).collect()).unwrap_or_default()
}
