//! Reads rows by key, and lists the keys of tables that are read in part.

use std::collections::HashSet;

use arrow::array::{AsArray, BooleanArray};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::record_batch::RecordBatch;
use futures::stream::TryStreamExt;
use tokio::sync::OnceCell;

use super::AzureDevOps;
use super::client::{ITEMS_PER_CALL, malformed};
use super::extract::{Pages, builder, category_of};
use super::tables;
use super::wire::Run;
use crate::connectors::{Error, ErrorKind};
use crate::model::{Key, native_schema};

/// Reading more runs than this one by one costs more than listing all.
const RUNS_READ_SINGLY_MAX: usize = 20;
/// The first result of every run has this number.
const FIRST_RESULT: i64 = 100_000;

impl AzureDevOps {
    /// Lists the keys of a table whose extraction can leave rows out.
    pub(super) async fn table_keys(&self, table: &str) -> Result<Option<Vec<Key>>, Error> {
        let mut keys = Vec::new();
        for project in &self.projects {
            match table {
                "test_runs" => {
                    keys.extend(self.runs(project, None).await?.iter().map(|r| r.id.0.to_string()))
                }
                // The results of a run are numbered without gaps, so the runs tell.
                "test_results" => keys.extend(self.runs(project, None).await?.iter().flat_map(|run| {
                    let (run_id, total) = (run.id.0, run.total_tests.unwrap_or(0));
                    (0..total).map(move |n| format!("{run_id}.{}", FIRST_RESULT + n))
                })),
                _ if category_of(table).is_some() => {
                    keys.extend(self.item_ids(project, table, None).await?.iter().map(i64::to_string));
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(keys.into_iter().map(Key::from).collect()))
    }

    /// Reads rows by key.
    pub(super) async fn read_keys(&self, table: &str, keys: &[Key]) -> Result<RecordBatch, Error> {
        let wanted: HashSet<&str> = keys.iter().map(Key::as_str).collect();
        let schema = native_schema(&tables::columns(table));
        let mut batches = Vec::new();
        if !wanted.is_empty() {
            for project in &self.projects {
                batches.extend(self.read_project(project, table, &wanted).await?);
            }
        }
        let all = concat_batches(&schema, &batches).map_err(|e| malformed("reading by id", e.to_string()))?;
        let mut seen = HashSet::new();
        let chosen = all.column(0).as_string::<i32>();
        let mask: BooleanArray = (0..all.num_rows())
            .map(|i| Some(wanted.contains(chosen.value(i)) && seen.insert(chosen.value(i))))
            .collect();
        filter_record_batch(&all, &mask).map_err(|e| malformed("reading by id", e.to_string()))
    }

    async fn read_project(
        &self,
        project: &str,
        table: &str,
        wanted: &HashSet<&str>,
    ) -> Result<Vec<RecordBatch>, Error> {
        let pages: Pages<'_> = match table {
            "test_plans" => self.plan_pages(project),
            "test_suites" => self.suite_pages(project),
            "suite_entries" => self.entry_pages(project),
            "test_points" => self.point_pages(project),
            "configurations" => self.configuration_pages(project),
            "requirement_links" => self.link_pages(project),
            "test_runs" | "test_results" => return self.read_runs(project, table, wanted).await,
            _ => return self.read_items(project, table, wanted).await,
        };
        pages.map_ok(|page| page.rows).try_collect().await
    }

    async fn read_items(
        &self,
        project: &str,
        table: &str,
        wanted: &HashSet<&str>,
    ) -> Result<Vec<RecordBatch>, Error> {
        let mut ids: Vec<i64> = wanted.iter().filter_map(|key| key.parse().ok()).collect();
        ids.sort_unstable();
        let shared = OnceCell::new();
        let mut batches = Vec::new();
        for chunk in ids.chunks(ITEMS_PER_CALL) {
            let (mut items, _) = self.api.items(chunk, None, "reading work items by id").await?;
            items.retain(|item| {
                let of = item.text("System.TeamProject").unwrap_or(project);
                of.eq_ignore_ascii_case(project) || self.projects.len() == 1
            });
            batches.push(self.item_rows(project, table, items, &shared).await?);
        }
        Ok(batches)
    }

    /// Reads runs, or the results of runs, by key; what is gone is left out.
    async fn read_runs(
        &self,
        project: &str,
        table: &str,
        wanted: &HashSet<&str>,
    ) -> Result<Vec<RecordBatch>, Error> {
        let run_ids: HashSet<i64> =
            wanted.iter().filter_map(|key| key.split('.').next()?.parse().ok()).collect();
        let mut runs: Vec<Run> = Vec::new();
        if run_ids.len() > RUNS_READ_SINGLY_MAX {
            runs = self.runs(project, None).await?;
            runs.retain(|run| run_ids.contains(&run.id.0));
        } else {
            for id in run_ids {
                match self.run(project, id).await {
                    Ok(run) => runs.push(run),
                    Err(error) if error.kind == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let mut rows = builder(table);
        if table == "test_runs" {
            runs.iter().for_each(|run| self.run_row(&mut rows, run, project));
            return Ok(vec![rows.finish()]);
        }
        for run in &runs {
            let (results, _) = self.results(project, run).await?;
            results.iter().for_each(|result| self.result_row(&mut rows, result, run.id.0, project));
        }
        Ok(vec![rows.finish()])
    }
}
