//! Snapshots: the live parts of every table at one time, as one manifest.
//!
//! The manifest is written after its parts and is what makes them exist. Beside it
//! lies the same as SQL, so that DuckDB shows a night without us.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::PipelineStore;
use super::document::{self, as_text};
use super::error::Error;
use super::layout::{Folder, Location};
use super::table::TableState;
use crate::model::{RunId, SnapshotId};

/// What a run read, of all repositories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its name.
    #[serde(with = "as_text")]
    pub id: SnapshotId,
    /// The run that read it.
    #[serde(with = "as_text")]
    pub run: RunId,
    /// When it was committed.
    pub created_at: DateTime<Utc>,
    /// Tables by repository and name.
    pub repositories: BTreeMap<String, BTreeMap<String, TableState>>,
    /// The noun of each repository's system, so that its neutral views can be made
    /// without asking anybody; absent in snapshots of earlier versions.
    #[serde(default)]
    pub systems: BTreeMap<String, String>,
    /// Where the artifacts of each integration stand, left and right.
    #[serde(default)]
    pub integrations: BTreeMap<String, [Seat; 2]>,
}

/// Where one side's artifacts of an integration stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// The repository.
    pub repository: String,
    /// The neutral view that lists them.
    pub view: String,
}

impl Snapshot {
    /// Returns a table.
    pub fn table(&self, repository: &str, table: &str) -> Option<&TableState> {
        self.repositories.get(repository)?.get(table)
    }

    /// Goes over all tables: repository, name, state.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &str, &TableState)> {
        self.repositories.iter().flat_map(|(repository, tables)| {
            tables.iter().map(move |(t, s)| (repository.as_str(), t.as_str(), s))
        })
    }
}

impl PipelineStore {
    /// Commits a snapshot: all of it is there afterwards, or nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if a part is missing; [`Error::Io`] if there is a snapshot
    /// of that name already.
    pub async fn commit_snapshot(&self, snapshot: &Snapshot) -> Result<(), Error> {
        self.check_snapshot(snapshot).await?;
        let (pipeline, id) = (self.name().to_owned(), snapshot.id.clone());
        let sql = Location::SnapshotSql { pipeline: pipeline.clone(), id: id.clone() };
        self.files().put(&sql, Bytes::from(self.duckdb(snapshot))).await?;
        let manifest = Location::Snapshot { pipeline, id };
        let content = document::encode(&manifest, snapshot)?;
        if !self.files().put_if_absent(&manifest, content).await? {
            return Err(Error::io("writing", manifest, "there is a snapshot of that name"));
        }
        Ok(())
    }

    /// Lists the snapshots, oldest first.
    pub async fn list_snapshots(&self) -> Result<Vec<SnapshotId>, Error> {
        let listed = self.files().list(Folder::Snapshots { pipeline: self.name() }).await?;
        Ok(listed
            .into_iter()
            .filter_map(|found| match found.location {
                Location::Snapshot { id, .. } => Some(id),
                _ => None,
            })
            .collect())
    }

    /// Reads a snapshot's manifest.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`], naming those that there are.
    pub async fn read_snapshot(&self, id: &SnapshotId) -> Result<Snapshot, Error> {
        let location = Location::Snapshot { pipeline: self.name().to_owned(), id: id.clone() };
        let Some(content) = self.files().find(&location).await? else {
            let known = self.list_snapshots().await?;
            let known = known.iter().rev().take(5).map(SnapshotId::as_str).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "none".to_owned() } else { known };
            return Err(Error::Unknown { what: "snapshot", name: id.to_string(), known });
        };
        let snapshot: Snapshot = document::decode(&location, &content)?;
        for (repository, name, table) in snapshot.tables() {
            let rows: u64 = table.parts.iter().map(|p| p.rows).sum();
            if rows != table.rows || table.parts.is_empty() {
                let what =
                    format!("{repository}.{name} lists {rows} rows in its parts and {} in all", table.rows);
                return Err(Error::corrupt(&location, what));
            }
        }
        Ok(snapshot)
    }

    /// Checks that every part is there and has its size; cheap.
    pub async fn check_snapshot(&self, snapshot: &Snapshot) -> Result<(), Error> {
        for part in snapshot.tables().flat_map(|(_, _, table)| &table.parts) {
            match self.files().size(&self.location(&part.path)?).await? {
                Some(bytes) if bytes == part.bytes => {}
                Some(bytes) => {
                    return Err(Error::corrupt(
                        &part.path,
                        format!("it has {bytes} bytes instead of {}", part.bytes),
                    ));
                }
                None => return Err(Error::corrupt(&part.path, "it is missing")),
            }
        }
        Ok(())
    }

    /// Reads every part of a snapshot and checks hashes and rows; reads it all.
    pub async fn verify_snapshot(&self, snapshot: &Snapshot) -> Result<(), Error> {
        for part in snapshot.tables().flat_map(|(_, _, table)| &table.parts) {
            self.read_part(part).await?;
        }
        Ok(())
    }

    /// Writes the statements that show a snapshot in DuckDB.
    fn duckdb(&self, snapshot: &Snapshot) -> String {
        let mut sql = format!(
            "-- Snapshot {} of {}, for DuckDB:  duckdb -init <this file>\n\
             -- Paths hold for the place where the staging store was written.\n",
            one_line(snapshot.id.as_str()),
            one_line(self.name())
        );
        for repository in snapshot.repositories.keys() {
            let _ = writeln!(sql, "CREATE SCHEMA IF NOT EXISTS {};", identifier(repository));
        }
        for (repository, name, table) in snapshot.tables() {
            let place = |path: &str| match self.store().root_path() {
                Some(root) => literal(&format!("{}/{path}", root.display())),
                None => literal(path),
            };
            let files = table.parts.iter().map(|p| format!("  {}", place(&p.path))).collect::<Vec<_>>();
            let _ = writeln!(
                sql,
                "CREATE OR REPLACE VIEW {}.{} AS SELECT * FROM read_parquet([\n{}\n], hive_partitioning = false);",
                identifier(repository),
                identifier(name),
                files.join(",\n")
            );
        }
        sql
    }
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}
