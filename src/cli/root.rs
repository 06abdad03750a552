//! What commands that only look at the staging store begin with.

use std::path::PathBuf;

use clap::Args;

use super::Common;
use super::exit::{Stop, USAGE};
use crate::model::{RunId, SnapshotId};
use crate::sql::{Limits, Sql};
use crate::stages::Failure;
use crate::stages::staged::{Choice, Staged, open_staged};
use crate::store::{PipelineStore, Store};

/// Catalogue of statements that must name a pipeline, because there are several.
const NO_PIPELINE: &str = "(name a pipeline)";

/// Which night to look at.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Night {
    /// Look at this snapshot instead of the latest
    #[arg(long, value_name = "ID")]
    snapshot: Option<String>,
    /// Look at the plan and the journal of this run instead of the latest
    #[arg(long, value_name = "ID")]
    run: Option<String>,
}

impl Night {
    fn choice(&self) -> Choice {
        Choice {
            snapshot: self.snapshot.as_deref().map(SnapshotId::from),
            run: self.run.as_deref().map(RunId::from),
        }
    }
}

/// Which pipeline of the staging store is meant.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Which {
    /// The pipeline, by the name in its file; needed if several are staged
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
}

/// Returns the folder of the staging store.
pub(super) fn folder(common: &Common) -> PathBuf {
    PathBuf::from(common.staging.trim_start_matches("file://"))
}

/// Lists the pipelines that something was staged of.
async fn pipelines(common: &Common) -> Result<Vec<PipelineStore>, Stop> {
    let nothing = || {
        Stop::new(USAGE, format!("nothing is staged in {}", common.staging))
            .hint("name the staging folder with --staging, or run `testferry plan PIPELINE` first")
    };
    if !folder(common).is_dir() {
        return Err(nothing());
    }
    let store = Store::open(&common.staging)?;
    let mut found = Vec::new();
    for name in store.pipelines().await? {
        let pipeline = store.pipeline(&name)?;
        if !pipeline.list_snapshots().await?.is_empty() {
            found.push(pipeline);
        }
    }
    if found.is_empty() { Err(nothing()) } else { Ok(found) }
}

/// Opens the store of the pipeline that is meant.
pub(super) async fn pipeline(common: &Common, which: &Which) -> Result<PipelineStore, Stop> {
    let mut all = pipelines(common).await?;
    let names: Vec<String> = all.iter().map(|p| p.name().to_owned()).collect();
    match &which.pipeline {
        Some(name) => {
            let at = names.iter().position(|n| n == name).ok_or_else(|| {
                Stop::new(USAGE, format!("no pipeline {name} is staged; there are {}", names.join(", ")))
            })?;
            Ok(all.swap_remove(at))
        }
        None if all.len() == 1 => Ok(all.swap_remove(0)),
        None => Err(Stop::new(USAGE, format!("several pipelines are staged: {}", names.join(", ")))
            .hint("choose one with --pipeline NAME")),
    }
}

/// Opens what is staged of one pipeline for queries.
pub(super) async fn staged(common: &Common, which: &Which, night: &Night) -> Result<Staged, Stop> {
    let store = pipeline(common, which).await?;
    let staged = open_staged(&store, &night.choice()).await?;
    tell_missing(common, &staged);
    Ok(staged)
}

/// Opens the whole staging root for queries: one catalogue per pipeline, the default
/// one if there is only one.
pub(super) async fn whole(common: &Common, night: &Night) -> Result<Sql, Stop> {
    let all = pipelines(common).await?;
    let choice = night.choice();
    let mut opened = Vec::new();
    let mut unknown = None;
    for store in &all {
        match open_staged(store, &choice).await {
            Ok(staged) => {
                tell_missing(common, &staged);
                opened.push((store.name().to_owned(), staged.sql));
            }
            // A night belongs to one pipeline: the others do not know it.
            Err(Failure::Store(error @ crate::store::Error::Unknown { .. })) => unknown = Some(error),
            Err(other) => return Err(other.into()),
        }
    }
    match (opened.len(), unknown) {
        (0, Some(error)) => Err(error.into()),
        (1, _) => Ok(opened.swap_remove(0).1),
        _ => {
            let sql = Sql::open(NO_PIPELINE, Limits::default())?;
            opened.iter().for_each(|(name, other)| sql.adopt(name, other));
            Ok(sql)
        }
    }
}

fn tell_missing(common: &Common, staged: &Staged) {
    if !common.quiet {
        for what in &staged.missing {
            eprintln!("warning: not shown: {what}");
        }
    }
}
