//! The extraction: every table of every repository, whole or by what changed, into parts.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, AsArray};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::try_join;
use futures::stream::{StreamExt, TryStreamExt, iter};
use tokio::sync::mpsc;
use xxhash_rust::xxh3::xxh3_128;

use super::{Failure, Progress};
use crate::connectors::SharedConnector;
use crate::model::{Key, RepositoryId, TableSpec, native_schema};
use crate::store::{PipelineStore, Snapshot, TableState, TableWriter};

/// Tables read at a time from one repository; each connector bounds its own requests.
const TABLES_AT_ONCE: usize = 3;

/// How far an incremental pass reaches back before the last one began, so that what
/// was written while that one ran, or shortly before by a server whose clock is
/// behind, is not missed.
const OVERLAP_MINUTES: i64 = 10;

/// Pages that wait to be written; more would only cost memory.
const PAGES_WAITING_MAX: usize = 2;

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
        let schema = native_schema(&spec.columns);
        let mut writer = self.store.table_writer(self.repository.as_str(), spec.name, schema.clone(), None);
        self.pages(spec, None, &mut writer, |_| {}).await?;
        Ok(TableState::new(&schema, writer.finish(&HashSet::new()).await?, self.now))
    }

    /// Reads what changed, and what is gone by a complete sweep of the keys.
    async fn refresh(&self, spec: &TableSpec, known: &TableState) -> Result<TableState, Failure> {
        let since = known.extracted_at - TimeDelta::minutes(OVERLAP_MINUTES);
        let schema = native_schema(&spec.columns);
        let place = self.repository.as_str();
        let mut writer = self.store.table_writer(place, spec.name, schema.clone(), Some(&known.parts));
        let mut read: HashSet<u128> = HashSet::new();
        let note = |rows: &RecordBatch| read.extend(keys(rows).iter().map(|key| mark(key)));
        self.pages(spec, Some(since), &mut writer, note).await?;
        let mut gone = HashSet::new();
        if let Some(all) = self.connector.keys(spec.name).await? {
            // Of a million keys only their marks are held; two that share one are not to be expected.
            let mut open: HashSet<u128> = all.iter().map(|k| mark(k.as_str())).collect();
            for part in &known.parts {
                for staged in self.store.read_keys(part).await? {
                    for key in staged.iter().flatten() {
                        if !open.remove(&mark(key)) {
                            gone.insert(key.to_owned());
                        }
                    }
                }
            }
            // Listed, and neither staged nor changed since: it entered the scope.
            let fresh: Vec<Key> = all
                .into_iter()
                .filter(|k| open.contains(&mark(k.as_str())) && !read.contains(&mark(k.as_str())))
                .collect();
            for some in fresh.chunks(READ_KEYS_MAX) {
                writer.push(self.connector.read(spec.name, some).await?).await?;
            }
        }
        let parts = writer.finish(&gone).await?;
        Ok(TableState { since: Some(since), ..TableState::new(&schema, parts, self.now) })
    }

    /// Reads pages and writes their rows at the same time.
    async fn pages(
        &self,
        spec: &TableSpec,
        since: Option<DateTime<Utc>>,
        writer: &mut TableWriter,
        mut seen: impl FnMut(&RecordBatch),
    ) -> Result<(), Failure> {
        let (sender, mut receiver) = mpsc::channel(PAGES_WAITING_MAX);
        let read = async move {
            let mut stream = self.connector.extract(spec.name, since);
            while let Some(page) = stream.next().await {
                // The receiver is gone only if it failed, which it tells itself.
                if sender.send(page?.rows).await.is_err() {
                    break;
                }
                if self.stop.load(Ordering::Relaxed) {
                    return Err(Failure::Stopped);
                }
            }
            Ok(())
        };
        let write = async {
            while let Some(rows) = receiver.recv().await {
                seen(&rows);
                writer.push(rows).await?;
            }
            Ok(())
        };
        try_join(read, write).await.map(|_| ())
    }
}

/// What is kept of a key where it is only looked for.
fn mark(key: &str) -> u128 {
    xxh3_128(key.as_bytes())
}

/// Lists the keys of a batch of a native table.
pub(super) fn keys(batch: &RecordBatch) -> Vec<String> {
    let column = batch.column_by_name("key").and_then(|c| c.as_string_opt::<i32>());
    column.map(|keys| (0..keys.len()).map(|row| keys.value(row).to_owned()).collect()).unwrap_or_default()
}
