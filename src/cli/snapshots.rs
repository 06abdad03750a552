//! `snapshots`: the nights that the staging store holds.

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use clap::{Args, Subcommand};
use std::sync::Arc;

use super::Common;
use super::exit::{IN_STEP, Stop};
use super::root::{self, Which};
use super::rows::{self, Shape};
use crate::sql::{self, Limits, Sql};

/// Every run that read both sides completely left a snapshot that `sql` can open.
#[derive(Args, Debug)]
pub(super) struct SnapshotsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the snapshots, the latest last
    List(ListArgs),
}

/// Lists each snapshot with its run, its time, its rows and whether every table was read completely.
#[derive(Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    shape: Shape,
}

impl SnapshotsArgs {
    pub(super) async fn run(&self, common: &Common) -> Result<u8, Stop> {
        match &self.command {
            Command::List(args) => args.run(common).await,
        }
    }
}

impl ListArgs {
    async fn run(&self, common: &Common) -> Result<u8, Stop> {
        self.shape.check()?;
        let store = root::pipeline(common, &self.which).await?;
        let mut all = Vec::new();
        for id in store.list_snapshots().await? {
            all.push(store.read_snapshot(&id).await?);
        }
        let text = |get: &dyn Fn(&crate::store::Snapshot) -> String| -> ArrayRef {
            Arc::new(all.iter().map(|s| Some(get(s))).collect::<StringArray>())
        };
        let rows: Int64Array =
            all.iter().map(|s| s.tables().map(|(_, _, t)| t.rows as i64).sum::<i64>()).collect();
        let complete: BooleanArray =
            all.iter().map(|s| Some(s.tables().all(|(_, _, t)| t.complete))).collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("snapshot", text(&|s| s.id.to_string())),
            ("run", text(&|s| s.run.to_string())),
            ("created_at", text(&|s| s.created_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))),
            ("rows", Arc::new(rows)),
            ("complete", Arc::new(complete)),
        ];
        let batch = RecordBatch::try_from_iter(columns).map_err(|e| Stop::bug(e.to_string()))?;
        let sql = Sql::open(store.name(), Limits::default())?;
        sql::register_batches(&sql, "plan", "snapshots", batch.schema(), vec![batch])?;
        rows::write(&self.shape, sql.query("SELECT * FROM plan.snapshots").await?).await?;
        Ok(IN_STEP)
    }
}
