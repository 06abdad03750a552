//! Pages in, batches out: how each table is read with as few requests as there are.
//!
//! Work items: the ids by query, then 200 at a time. Suites, memberships and points:
//! one listing per plan. Results: one listing per run. Where the system gives a
//! total, what was read is held against it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Duration, Utc};
use futures::FutureExt;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tokio::sync::OnceCell;

use super::catalog::{Fields, STEPS, category};
use super::client::{Fetched, ITEMS_PER_CALL, RESULTS_PER_PAGE, RUNS_PER_PAGE, malformed};
use super::rows::{case_steps, configuration_row, entry_row, item_row};
use super::steps::{self, Document};
use super::tables;
use super::tree::{Node, Tree};
use super::wire::{Configuration, LinkFeed, Plan, Point, Run, SuiteCase, TestResult, WorkItem, rfc3339};
use super::{AzureDevOps, SYSTEM};
use crate::connectors::{Error, ErrorKind, Page, RowBuilder};

/// Requests of one table under way at a time: the service slows down callers that
/// ask for more, and a page of 200 items is large.
const CONCURRENT_READS: usize = 4;
/// The widest window of changed runs that the service answers is seven days.
const RUN_WINDOW: Duration = Duration::minutes(7 * 24 * 60 - 1);
/// More windows than this cost more than listing all runs.
const RUN_WINDOWS_MAX: i32 = 26;
/// Clocks differ and writes become visible late, so that windows overlap.
const OVERLAP: Duration = Duration::minutes(5);
/// The link between requirements and test cases, without its direction.
const TESTED_BY: &str = "Microsoft.VSTS.Common.TestedBy";

pub(super) type Pages<'a> = BoxStream<'a, Result<Page, Error>>;
pub(super) type Shared = HashMap<i64, Document>;

/// Finds the category whose items stand in a table.
pub(super) fn category_of(table: &str) -> Option<&'static str> {
    match table {
        "test_cases" => Some(category::CASE),
        "bugs" => Some(category::BUG),
        "requirements" => Some(category::REQUIREMENT),
        _ => None,
    }
}

fn in_group(category: &str, since: Option<DateTime<Utc>>) -> String {
    let group = format!("[System.WorkItemType] IN GROUP '{category}'");
    match since {
        Some(since) => format!("{group} AND [System.ChangedDate] >= '{}'", rfc3339(since - OVERLAP)),
        None => group,
    }
}

fn page(rows: RowBuilder, bytes: u64) -> Page {
    Page { rows: rows.finish(), bytes }
}

pub(super) fn builder(table: &str) -> RowBuilder {
    RowBuilder::new(&tables::columns(table))
}

impl AzureDevOps {
    /// Streams a table, project by project.
    pub(super) fn extract_table<'a>(&'a self, table: &str, since: Option<DateTime<Utc>>) -> Pages<'a> {
        let Some(spec) = tables::specs().into_iter().find(|spec| spec.name == table) else {
            let error = Error::new(
                SYSTEM,
                "reading a table",
                ErrorKind::Settings,
                format!("there is no table {table:?}"),
            );
            return stream::once(async { Err(error) }).boxed();
        };
        let since = since.filter(|_| spec.incremental);
        let table = spec.name;
        stream::iter(&self.projects)
            .flat_map(move |project| match table {
                "test_plans" => self.plan_pages(project),
                "test_suites" => self.suite_pages(project),
                "suite_entries" => self.entry_pages(project),
                "test_points" => self.point_pages(project),
                "configurations" => self.configuration_pages(project),
                "test_runs" => self.run_pages(project, since),
                "test_results" => self.result_pages(project, since),
                "requirement_links" => self.link_pages(project),
                _ => self.item_pages(project, table, since),
            })
            .boxed()
    }

    /// Work items of one category: ids first, then their fields.
    fn item_pages<'a>(
        &'a self,
        project: &'a str,
        table: &'static str,
        since: Option<DateTime<Utc>>,
    ) -> Pages<'a> {
        stream::once(self.item_ids(project, table, since))
            .map_ok(move |mut ids| {
                // In the order in which the tables are sorted, so that nothing is sorted later.
                ids.sort_by_cached_key(i64::to_string);
                let shared: Arc<OnceCell<Arc<Shared>>> = Arc::default();
                let chunks: Vec<Vec<i64>> = ids.chunks(ITEMS_PER_CALL).map(<[i64]>::to_vec).collect();
                stream::iter(chunks)
                    .map(move |chunk| {
                        let shared = shared.clone();
                        async move {
                            let (items, bytes) = self.listed_items(project, &chunk).await?;
                            let rows = self.item_rows(project, table, items, &shared).await?;
                            Ok(Page { rows, bytes })
                        }
                    })
                    .buffered(CONCURRENT_READS)
            })
            .try_flatten()
            .boxed()
    }

    pub(super) async fn item_ids(
        &self,
        project: &str,
        table: &str,
        since: Option<DateTime<Utc>>,
    ) -> Result<Vec<i64>, Error> {
        let Some(category) = category_of(table) else { return Ok(Vec::new()) };
        // Not every process has every category: Basic has no bugs.
        if !self.catalog.types(&self.api, project).await?.has(category) {
            return Ok(Vec::new());
        }
        let mut since = since;
        if table == "test_cases" && since.is_some() {
            // An edit of shared steps shows in the cases that use them, and does not
            // change those cases.
            let condition = in_group(category::SHARED_STEPS, since);
            if !self.api.query_ids(project, &condition, "listing changed shared steps").await?.is_empty() {
                since = None;
            }
        }
        self.api.query_ids(project, &in_group(category, since), &format!("listing {table}")).await
    }

    /// Reads items that a query listed. One that is listed and cannot be read makes
    /// the page incomplete, unless it was deleted in between.
    async fn listed_items(&self, project: &str, ids: &[i64]) -> Result<(Vec<WorkItem>, u64), Error> {
        let operation = "reading work items";
        let (mut items, bytes) = self.api.items(ids, None, operation).await?;
        let mut seen = HashSet::new();
        items.retain(|item| ids.contains(&item.id) && seen.insert(item.id));
        let missing: Vec<String> = ids.iter().filter(|id| !seen.contains(id)).map(i64::to_string).collect();
        if !missing.is_empty() {
            let condition = format!("[System.Id] IN ({})", missing.join(", "));
            let still = self.api.query_ids(project, &condition, operation).await?;
            if !still.is_empty() {
                return Err(malformed(
                    operation,
                    format!("work items {still:?} are listed and were not given"),
                ));
            }
        }
        Ok((items, bytes))
    }

    pub(super) async fn item_rows(
        &self,
        project: &str,
        table: &str,
        items: Vec<WorkItem>,
        shared: &OnceCell<Arc<Shared>>,
    ) -> Result<RecordBatch, Error> {
        let fields = self.catalog.fields(&self.api).await?;
        let uses_shared = |item: &WorkItem| item.text(STEPS).is_some_and(|xml| xml.contains("<compref"));
        let documents = if table == "test_cases" && items.iter().any(uses_shared) {
            shared.get_or_try_init(|| self.shared_steps(project)).await?.clone()
        } else {
            Arc::default()
        };
        let (address, project, table) = (self.item_address(project), project.to_owned(), table.to_owned());
        // Parsing steps and hashing rows is work; requests go on meanwhile.
        let rows = tokio::task::spawn_blocking(move || {
            let mut rows = builder(&table);
            for item in &items {
                let row = rows.row(item.id, &*project);
                item_row(row, item, &address, &fields);
                match table.as_str() {
                    "test_cases" => case_steps(row, item, &documents),
                    "requirements" => {
                        row.text("kind", item.text("System.WorkItemType"));
                    }
                    _ => {}
                }
            }
            rows.finish()
        });
        rows.await.map_err(|e| malformed("building rows", e.to_string()))
    }

    /// Reads all shared steps of a project.
    async fn shared_steps(&self, project: &str) -> Result<Arc<Shared>, Error> {
        let operation = "reading shared steps";
        let ids = self.api.query_ids(project, &in_group(category::SHARED_STEPS, None), operation).await?;
        let mut shared = Shared::new();
        for chunk in ids.chunks(ITEMS_PER_CALL) {
            let (items, _) = self.api.items(chunk, Some(&["System.Id", STEPS]), operation).await?;
            for item in items {
                // What cannot be parsed is shown by its id, like what cannot be seen.
                if let Ok(document) = steps::parse(item.text(STEPS).unwrap_or_default()) {
                    shared.insert(item.id, document);
                }
            }
        }
        Ok(Arc::new(shared))
    }

    pub(super) fn plan_pages<'a>(&'a self, project: &'a str) -> Pages<'a> {
        stream::once(async move { Ok((self.plans(project).await?, self.catalog.fields(&self.api).await?)) })
            .map_ok(move |(plans, fields): (Vec<Plan>, Arc<Fields>)| {
                let chunks: Vec<Vec<Plan>> = plans.chunks(ITEMS_PER_CALL).map(<[Plan]>::to_vec).collect();
                stream::iter(chunks)
                    .map(move |chunk| {
                        let fields = fields.clone();
                        async move {
                            let ids: Vec<i64> = chunk.iter().map(|p| p.id.0).collect();
                            let (items, bytes) = self.listed_items(project, &ids).await?;
                            let mut rows = builder("test_plans");
                            for item in &items {
                                if let Some(plan) = chunk.iter().find(|p| p.id.0 == item.id) {
                                    self.plan_row(&mut rows, item, plan, project, &fields);
                                }
                            }
                            Ok(page(rows, bytes))
                        }
                    })
                    .buffered(CONCURRENT_READS)
            })
            .try_flatten()
            .boxed()
    }

    /// Suites of all plans; their fields are read across plans, 200 at a time.
    pub(super) fn suite_pages<'a>(&'a self, project: &'a str) -> Pages<'a> {
        stream::once(async move { Ok((self.places(project).await?, self.catalog.fields(&self.api).await?)) })
            .map_ok(move |(places, fields): (Vec<(i64, usize, Node)>, Arc<Fields>)| {
                let chunks: Vec<_> = places.chunks(ITEMS_PER_CALL).map(<[_]>::to_vec).collect();
                stream::iter(chunks)
                    .map(move |chunk| {
                        let fields = fields.clone();
                        async move {
                            let ids: Vec<i64> = chunk.iter().map(|(_, _, node)| node.id).collect();
                            let (items, bytes) = self.listed_items(project, &ids).await?;
                            let mut rows = builder("test_suites");
                            for item in &items {
                                if let Some(place) = chunk.iter().find(|(_, _, node)| node.id == item.id) {
                                    self.suite_row(&mut rows, item, place, project, &fields);
                                }
                            }
                            Ok(page(rows, bytes))
                        }
                    })
                    .buffered(CONCURRENT_READS)
            })
            .try_flatten()
            .boxed()
    }

    /// Lists every suite with its plan and its number in the plan's tree order.
    pub(super) async fn places(&self, project: &str) -> Result<Vec<(i64, usize, Node)>, Error> {
        let plans = self.plans(project).await?;
        let reads: Vec<_> = plans.iter().map(|plan| self.tree(project, plan).boxed()).collect();
        let trees: Vec<Tree> = stream::iter(reads).buffered(CONCURRENT_READS).try_collect().await?;
        let places = trees.into_iter().flat_map(|tree| {
            let plan = tree.plan;
            tree.nodes.into_iter().enumerate().map(move |(order, node)| (plan, order, node))
        });
        Ok(places.collect())
    }

    /// Walks one listing per plan, from its root suite down.
    fn per_plan<'a, T, F>(&'a self, project: &'a str, listing: Listing, rows: F) -> Pages<'a>
    where
        T: serde::de::DeserializeOwned + Send + 'static,
        F: Fn(&mut RowBuilder, &mut HashSet<String>, &T, i64) -> Result<(), Error> + Copy + Send + Sync + 'a,
    {
        stream::once(self.plans(project))
            .map_ok(move |plans| {
                let walks = plans.into_iter().map(move |plan| {
                    let root = plan.root_suite.as_ref().map(|r| r.id.0).unwrap_or_default();
                    let path = format!("testplan/Plans/{}/Suites/{root}/{}", plan.id.0, listing.path);
                    let query = listing.query.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
                    let mut seen = HashSet::new();
                    self.api.token_pages::<T>(project, path, query, listing.operation).map(move |fetched| {
                        let fetched: Fetched<T> = fetched?;
                        let mut builder = builder(listing.table);
                        for item in &fetched.items {
                            rows(&mut builder, &mut seen, item, plan.id.0)?;
                        }
                        Ok(page(builder, fetched.bytes))
                    })
                });
                let walks: Vec<Pages<'a>> = walks.map(StreamExt::boxed).collect();
                stream::iter(walks).flatten_unordered(CONCURRENT_READS)
            })
            .try_flatten()
            .boxed()
    }

    pub(super) fn entry_pages<'a>(&'a self, project: &'a str) -> Pages<'a> {
        self.per_plan(project, ENTRIES, move |rows, seen, entry: &SuiteCase, plan| {
            let (Some(suite), Some(case)) = (&entry.test_suite, &entry.work_item) else {
                return Err(malformed(ENTRIES.operation, "an entry lacks its suite or its test case"));
            };
            let (suite, case) = (suite.id.0, case.id.0);
            if seen.insert(format!("{suite}.{case}")) {
                entry_row(rows, entry, plan, suite, case, project);
            }
            Ok(())
        })
    }

    pub(super) fn point_pages<'a>(&'a self, project: &'a str) -> Pages<'a> {
        self.per_plan(project, POINTS, move |rows, seen, point: &Point, plan| {
            if seen.insert(point.id.0.to_string()) {
                self.point_row(rows, point, plan, project);
            }
            Ok(())
        })
    }

    pub(super) fn configuration_pages<'a>(&'a self, project: &'a str) -> Pages<'a> {
        let path = "testplan/configurations".to_owned();
        let mut seen = HashSet::new();
        self.api
            .token_pages::<Configuration>(project, path, Vec::new(), "listing the configurations")
            .map_ok(move |fetched| {
                let mut rows = builder("configurations");
                for configuration in fetched.items.iter().filter(|c| seen.insert(c.id)) {
                    configuration_row(&mut rows, configuration, project);
                }
                page(rows, fetched.bytes)
            })
            .boxed()
    }

    fn run_pages<'a>(&'a self, project: &'a str, since: Option<DateTime<Utc>>) -> Pages<'a> {
        stream::once(self.runs(project, since))
            .map_ok(move |runs| {
                let chunks: Vec<Vec<Run>> = runs.chunks(RUNS_PER_PAGE).map(<[Run]>::to_vec).collect();
                stream::iter(chunks).map(move |chunk| {
                    let mut rows = builder("test_runs");
                    chunk.iter().for_each(|run| self.run_row(&mut rows, run, project));
                    Ok(page(rows, 0))
                })
            })
            .try_flatten()
            .boxed()
    }

    /// Lists runs; with `since`, those that changed after it.
    pub(super) async fn runs(&self, project: &str, since: Option<DateTime<Utc>>) -> Result<Vec<Run>, Error> {
        if let Some(since) = since
            && let Some(runs) = self.changed_runs(project, since - OVERLAP).await?
        {
            return Ok(runs);
        }
        let query = vec![("includeRunDetails", "true".to_owned())];
        let pages = self.api.offset_pages::<Run>(
            project,
            "test/runs".into(),
            query,
            RUNS_PER_PAGE,
            None,
            "listing test runs",
        );
        let runs: Vec<Run> = pages.map_ok(|page| page.items).try_concat().await?;
        Ok(unique(runs))
    }

    /// Lists the runs that changed, week by week up to the server's present; `None`
    /// where listing all is cheaper, or where the server does not tell the time.
    async fn changed_runs(&self, project: &str, since: DateTime<Utc>) -> Result<Option<Vec<Run>>, Error> {
        let operation = "listing changed test runs";
        let mut runs = Vec::new();
        let mut from = since;
        loop {
            let to = from + RUN_WINDOW;
            let query = vec![
                ("minLastUpdatedDate", rfc3339(from)),
                ("maxLastUpdatedDate", rfc3339(to)),
                ("includeRunDetails", "true".to_owned()),
                ("$top", RUNS_PER_PAGE.to_string()),
            ];
            let pages = self.api.token_pages::<Run>(project, "test/runs".into(), query, operation);
            let pages: Vec<Fetched<Run>> = pages.try_collect().await?;
            let Some(now) = pages.iter().rev().find_map(|page| page.now) else { return Ok(None) };
            if now - since > RUN_WINDOW * RUN_WINDOWS_MAX {
                return Ok(None);
            }
            runs.extend(pages.into_iter().flat_map(|page| page.items));
            if to >= now {
                break;
            }
            from = to;
        }
        let details = stream::iter(unique(runs)).map(|run| async move {
            // A short item lacks the counters and the dates.
            if run.total_tests.is_some() && run.created_date.0.is_some() {
                return Ok(run);
            }
            self.run(project, run.id.0).await
        });
        details.buffered(CONCURRENT_READS).try_collect().await.map(Some)
    }

    /// Reads one run.
    pub(super) async fn run(&self, project: &str, run: i64) -> Result<Run, Error> {
        let path = format!("test/runs/{run}");
        self.api.get(Some(project), &path, &[("includeDetails", "true")], "reading a test run").await
    }

    fn result_pages<'a>(&'a self, project: &'a str, since: Option<DateTime<Utc>>) -> Pages<'a> {
        stream::once(self.runs(project, since))
            .map_ok(move |mut runs| {
                // In the order of the results' keys, so that nothing is sorted later.
                runs.sort_by_cached_key(|run| run.id.0.to_string());
                stream::iter(runs)
                    .map(move |run| async move {
                        let (results, bytes) = self.results(project, &run).await?;
                        let mut rows = builder("test_results");
                        results
                            .iter()
                            .for_each(|result| self.result_row(&mut rows, result, run.id.0, project));
                        Ok(page(rows, bytes))
                    })
                    .buffered(CONCURRENT_READS)
            })
            .try_flatten()
            .boxed()
    }

    /// Reads the results of a run; fewer than the run says are an error.
    pub(super) async fn results(&self, project: &str, run: &Run) -> Result<(Vec<TestResult>, u64), Error> {
        let operation = format!("reading the results of run {}", run.id.0);
        let total = run.total_tests.and_then(|t| usize::try_from(t).ok());
        let path = format!("test/Runs/{}/results", run.id.0);
        let query = vec![("detailsToInclude", "Point".to_owned())];
        let pages =
            self.api.offset_pages::<TestResult>(project, path, query, RESULTS_PER_PAGE, total, &operation);
        let pages: Vec<Fetched<TestResult>> = pages.try_collect().await?;
        let bytes = pages.iter().map(|p| p.bytes).sum();
        let mut seen = HashSet::new();
        let results: Vec<TestResult> =
            pages.into_iter().flat_map(|p| p.items).filter(|r| seen.insert(r.id)).collect();
        // Runs that only carry a summary count tests without holding results.
        let is_summary = results.is_empty() && run.plan.as_ref().is_none_or(|p| p.id.0 == 0);
        if total.is_some_and(|total| results.len() < total) && !is_summary {
            return Err(malformed(
                &operation,
                format!("{} results came of {}", results.len(), total.unwrap_or_default()),
            ));
        }
        Ok((results, bytes))
    }

    /// Links as the feed tells their history: the last word on a pair holds.
    pub(super) fn link_pages<'a>(&'a self, project: &'a str) -> Pages<'a> {
        stream::once(async move {
            let operation = "reading the links of requirements";
            let mut links: BTreeMap<(i64, i64), bool> = BTreeMap::new();
            let mut token: Option<String> = None;
            for _ in 0..crate::http::PAGES_MAX {
                let mut query = vec![("linkTypes", TESTED_BY)];
                if let Some(token) = &token {
                    query.push(("continuationToken", token));
                }
                let feed: LinkFeed =
                    self.api.get(Some(project), "wit/reporting/workitemlinks", &query, operation).await?;
                for link in &feed.values {
                    links.insert((link.source_id, link.target_id), link.is_active.unwrap_or(true));
                }
                let next = next_token(&feed);
                if feed.is_last_batch {
                    let mut rows = builder("requirement_links");
                    for ((source, target), _) in links.iter().filter(|(_, active)| **active) {
                        rows.row(format!("{source}-{target}"), project)
                            .text("source_id", Some(source.to_string()))
                            .text("target_id", Some(target.to_string()));
                    }
                    return Ok(page(rows, 0));
                }
                if next.is_none() || next == token {
                    return Err(malformed(operation, "the feed does not say where it goes on"));
                }
                token = next;
            }
            Err(malformed(operation, "the feed goes on without end"))
        })
        .boxed()
    }
}

/// A listing that goes through all suites of a plan.
#[derive(Clone, Copy)]
struct Listing {
    table: &'static str,
    path: &'static str,
    query: &'static [(&'static str, &'static str)],
    operation: &'static str,
}

/// Point assignments are left out; the suite of each entry has to stay.
const ENTRIES: Listing = Listing {
    table: "suite_entries",
    path: "TestCase",
    query: &[("isRecursive", "true"), ("excludeFlags", "1"), ("witFields", "System.Id")],
    operation: "listing the test cases of suites",
};

const POINTS: Listing = Listing {
    table: "test_points",
    path: "TestPoint",
    query: &[("isRecursive", "true"), ("includePointDetails", "true"), ("returnIdentityRef", "true")],
    operation: "listing the test points",
};

fn unique(runs: Vec<Run>) -> Vec<Run> {
    let mut seen = HashSet::new();
    runs.into_iter().filter(|run| seen.insert(run.id)).collect()
}

/// Finds where the feed goes on: in a member of its own, or within the next address.
fn next_token(feed: &LinkFeed) -> Option<String> {
    let own = feed.continuation_token.as_ref().and_then(|token| match token {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Null => None,
        other => Some(other.to_string()),
    });
    own.filter(|t| !t.is_empty()).or_else(|| {
        let next = reqwest::Url::parse(feed.next_link.as_deref()?).ok()?;
        next.query_pairs().find(|(name, _)| name == "continuationToken").map(|(_, token)| token.into_owned())
    })
}
