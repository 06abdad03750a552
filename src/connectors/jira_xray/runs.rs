//! Test runs: read execution by execution, several pages per document.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Utc};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::JiraXray;
use super::describe::{Kind, run_columns};
use super::extract::{malformed, no_rows};
use super::graphql::{self, LIMIT, Part, Question};
use super::rows::add_run;
use super::wire::{Connection, Run, RunRef};
use super::xray::{DOCUMENTS_AT_ONCE, parse};
use crate::connectors::{Error, Page, RowBuilder};

/// Executions named in one question.
const EXECUTIONS: usize = 100;

/// A page of the runs of one group: the group and the start.
type Window = (usize, usize);

/// A walk over all runs of groups of executions.
struct Walk {
    part: Part,
    modified_since: Option<String>,
    groups: Vec<Vec<String>>,
    /// Pages still to ask for.
    open: VecDeque<Window>,
    /// Runs announced and seen, per group.
    counts: BTreeMap<usize, (usize, HashSet<String>)>,
}

impl Walk {
    fn new(part: Part, executions: &[String], since: Option<DateTime<Utc>>) -> Walk {
        let groups: Vec<Vec<String>> = executions.chunks(EXECUTIONS).map(<[_]>::to_vec).collect();
        Walk {
            part,
            modified_since: since.map(|at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string()),
            open: (0..groups.len()).map(|group| (group, 0)).collect(),
            groups,
            counts: BTreeMap::new(),
        }
    }

    /// Takes as many pages as some documents hold.
    fn take(&mut self) -> (Vec<Window>, Vec<Question>) {
        let count = (self.part.per_document() * DOCUMENTS_AT_ONCE).min(self.open.len());
        let windows: Vec<Window> = self.open.drain(..count).collect();
        let parts = windows
            .iter()
            .map(|(group, start)| {
                (self.part, vec![json!(self.groups[*group]), json!(self.modified_since), json!(start)])
            })
            .collect();
        (windows, parts)
    }

    /// Notes a page, and the pages after it when it is a first one.
    fn note(&mut self, (group, start): Window, total: usize, ids: impl Iterator<Item = String>) {
        let count = self.counts.entry(group).or_default();
        count.0 = total;
        count.1.extend(ids);
        if start == 0 {
            self.open.extend((LIMIT..total).step_by(LIMIT).map(|next| (group, next)));
        }
    }

    /// Compares what was announced with what came.
    fn check(&self) -> Result<(), Error> {
        match self.counts.values().find(|(total, seen)| seen.len() < *total) {
            Some((total, seen)) => {
                let words = format!("Xray announced {total} runs and listed {}", seen.len());
                Err(malformed("reading test runs", words))
            }
            None => Ok(()),
        }
    }
}

impl JiraXray {
    pub(super) fn run_pages(&self, since: Option<DateTime<Utc>>) -> BoxStream<'_, Result<Page, Error>> {
        let walk = async move {
            let executions = self.issue_ids(Kind::TestExecutions, None).await?;
            Ok::<_, Error>(Walk::new(graphql::RUNS, &executions, since))
        };
        let pages = move |walk: Walk| {
            stream::try_unfold(walk, move |mut walk| async move {
                let Some((runs, bytes)) = self.step::<Run>(&mut walk, |run| run.id.clone()).await? else {
                    return Ok(None);
                };
                Ok(Some((Page { rows: self.run_rows(&runs).await?, bytes }, walk)))
            })
        };
        stream::once(walk).map_ok(pages).try_flatten().boxed()
    }

    /// Reads the next pages of a walk; `None` at its end.
    async fn step<T: DeserializeOwned>(
        &self,
        walk: &mut Walk,
        id: fn(&T) -> String,
    ) -> Result<Option<(Vec<T>, u64)>, Error> {
        if walk.open.is_empty() {
            walk.check()?;
            return Ok(None);
        }
        let (windows, parts) = walk.take();
        let (answers, bytes) = self.ask_xray(parts, "reading test runs").await?;
        let mut found = Vec::new();
        for (window, answer) in windows.into_iter().zip(answers) {
            let page: Connection<T> = parse(answer)?;
            let total = page.total.unwrap_or(0);
            let items = page.into_items();
            let seen = walk.counts.get(&window.0).map(|c| &c.1);
            // A page that moved while we walked gives some runs twice.
            let (ids, new): (Vec<String>, Vec<T>) = items
                .into_iter()
                .map(|item| (id(&item), item))
                .filter(|(id, _)| seen.is_none_or(|seen| !seen.contains(id)))
                .unzip();
            walk.note(window, total, ids.into_iter());
            found.extend(new);
        }
        Ok(Some((found, bytes)))
    }

    /// Lists the ids of all runs.
    pub(super) async fn run_ids(&self) -> Result<Vec<String>, Error> {
        let executions = self.issue_ids(Kind::TestExecutions, None).await?;
        let mut walk = Walk::new(graphql::RUN_IDS, &executions, None);
        let mut ids = Vec::new();
        while let Some((runs, _)) = self.step::<RunRef>(&mut walk, |run| run.id.clone()).await? {
            ids.extend(runs.into_iter().map(|run| run.id));
        }
        Ok(ids)
    }

    /// Reads all runs of some executions.
    pub(super) async fn runs_of(&self, executions: &[String]) -> Result<Vec<Run>, Error> {
        let mut walk = Walk::new(graphql::RUNS, executions, None);
        let mut all = Vec::new();
        while let Some((runs, _)) = self.step::<Run>(&mut walk, |run| run.id.clone()).await? {
            all.extend(runs);
        }
        Ok(all)
    }

    /// Reads runs by id; what does not exist is left out.
    pub(super) async fn runs_by_id(&self, ids: &[String]) -> Result<Vec<Run>, Error> {
        let parts = ids.chunks(LIMIT).map(|chunk| (graphql::RUNS_BY_ID, vec![json!(chunk)])).collect();
        let (answers, _) = self.ask_xray(parts, "reading test runs").await?;
        let mut runs = Vec::new();
        for answer in answers {
            runs.extend(parse::<Connection<Run>>(answer)?.into_items());
        }
        Ok(runs)
    }

    pub(super) async fn read_runs(&self, ids: &[String]) -> Result<RecordBatch, Error> {
        if ids.is_empty() {
            return Ok(no_rows(&run_columns()));
        }
        let runs = self.runs_by_id(ids).await?;
        self.run_rows(&runs).await
    }

    async fn run_rows(&self, runs: &[Run]) -> Result<RecordBatch, Error> {
        let executions: HashSet<&str> =
            runs.iter().filter_map(|r| Some(r.test_execution.as_ref()?.issue_id.as_str())).collect();
        let executions: Vec<String> = executions.into_iter().map(str::to_owned).collect();
        let keys: HashMap<String, String> = self.issue_keys(&executions).await?;
        let site = self.site().await?;
        let mut rows = RowBuilder::new(&run_columns());
        for run in runs {
            let key = run.test_execution.as_ref().and_then(|e| keys.get(&e.issue_id));
            let key = key.map(String::as_str).unwrap_or_default();
            // A run has no address of its own; that of its execution leads to it.
            let project = key.rsplit_once('-').map_or("", |(project, _)| project);
            add_run(&mut rows, run, project, &format!("{site}/browse/{key}"));
        }
        Ok(rows.finish())
    }
}
