//! Turns pages into batches: ids by search, content by id, Xray's part beside it.
//!
//! Jira's search lags behind, so it is asked for ids only and its count is held
//! against Xray's own; content is read by id. An issue that Jira shows and Xray
//! does not know is asked for again and then an error, never a row half empty.

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow::record_batch::RecordBatch;
use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde_json::json;

use super::describe::Kind;
use super::graphql;
use super::rows::add_issue;
use super::values::Fields;
use super::wire::{self, Connection, Issue};
use super::xray::parse;
use super::{JiraXray, SYSTEM};
use crate::connectors::{Error, ErrorKind, Page, RowBuilder};
use crate::model::{Key, Native};

/// Jira's largest page when nothing but ids is asked for.
const SEARCH_PAGE: usize = 5000;
/// Jira's limit of a read by id.
pub(super) const BULK_FETCH: usize = 100;
/// Issues per batch: five parts of a hundred fill one GraphQL document.
const BATCH: usize = 500;
/// Batches under way at a time; bounds memory.
const BATCHES_AT_ONCE: usize = 3;
/// Reads by id under way at a time.
const FETCHES_AT_ONCE: usize = 6;
/// How far an incremental pass reaches back behind its instant: the search index
/// may show an edit minutes late.
const SINCE_OVERLAP: TimeDelta = TimeDelta::minutes(5);
/// Everything of an issue but what grows without limit and is not a field.
pub(super) const CONTENT: [&str; 4] = ["*all", "-comment", "-attachment", "-worklog"];

/// A project that takes part.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) types: Vec<wire::TypeStatuses>,
}

impl Project {
    /// Finds an issue type by its name.
    pub(super) fn issue_type(&self, name: &str) -> Option<&wire::TypeStatuses> {
        self.types.iter().find(|t| t.name.eq_ignore_ascii_case(name))
    }
}

impl JiraXray {
    /// Returns the projects of the settings, with their ids and issue types.
    pub(super) async fn projects(&self) -> Result<&[Project], Error> {
        let read = || async {
            let mut projects = Vec::new();
            for key in &self.settings.projects {
                let project = self.client.project(key).await.map_err(|e| match e.kind {
                    ErrorKind::NotFound => {
                        settings(format!("there is no project {key}, or we may not see it"))
                    }
                    _ => e,
                })?;
                let types = self.client.type_statuses(&project.key).await?;
                projects.push(Project { id: project.id, key: project.key, types });
            }
            Ok(projects)
        };
        Ok(self.projects.get_or_try_init(read).await?)
    }

    /// Finds a project of the settings by its key.
    pub(super) async fn project(&self, key: &str) -> Result<&Project, Error> {
        let found = self.projects().await?.iter().find(|p| p.key.eq_ignore_ascii_case(key));
        found.ok_or_else(|| settings(format!("project {key} is not among the projects of this repository")))
    }

    pub(super) async fn fields(&self) -> Result<&Fields, Error> {
        self.fields.get_or_try_init(|| async { Ok(Fields::new(self.client.fields().await?)) }).await
    }

    /// Returns the address that people use, which may differ from that of the API.
    pub(super) async fn site(&self) -> Result<&str, Error> {
        let read = || async {
            let base = self.client.server_info().await?.base_url;
            let base = base.map(|b| b.trim_end_matches('/').to_owned()).filter(|b| !b.is_empty());
            Ok(base.unwrap_or_else(|| self.client.site()))
        };
        Ok(self.site.get_or_try_init(read).await?.as_str())
    }

    pub(super) fn extract_table(
        &self,
        table: &str,
        since: Option<DateTime<Utc>>,
    ) -> BoxStream<'_, Result<Page, Error>> {
        let since = since.map(|at| at - SINCE_OVERLAP);
        match (table, Kind::of_table(table)) {
            (_, Some(kind)) => self.issue_pages(kind, since),
            ("test_runs", _) => self.run_pages(since),
            ("folders", _) => stream::once(self.folder_page()).boxed(),
            _ => stream::iter([Err(no_table(table))]).boxed(),
        }
    }

    fn issue_pages(&self, kind: Kind, since: Option<DateTime<Utc>>) -> BoxStream<'_, Result<Page, Error>> {
        let pages = move |mut ids: Vec<String>| {
            // In the order in which the tables are sorted, so that nothing is sorted later.
            ids.sort_unstable();
            let batches: Vec<Vec<String>> = ids.chunks(BATCH).map(<[_]>::to_vec).collect();
            let read = move |batch: Vec<String>| async move { self.issue_page(kind, &batch).await };
            stream::iter(batches).map(read).buffered(BATCHES_AT_ONCE)
        };
        stream::once(self.issue_ids(kind, since)).map_ok(pages).try_flatten().boxed()
    }

    pub(super) async fn list_keys(&self, table: &str) -> Result<Option<Vec<Key>>, Error> {
        let ids = match (table, Kind::of_table(table)) {
            (_, Some(kind @ (Kind::Tests | Kind::Bugs | Kind::Requirements))) => {
                self.issue_ids(kind, None).await?
            }
            (_, Some(_)) | ("folders", _) => return Ok(None),
            ("test_runs", _) => self.run_ids().await?,
            _ => return Err(no_table(table)),
        };
        Ok(Some(ids.into_iter().map(Key::new).collect()))
    }

    pub(super) async fn read_rows(&self, table: &str, keys: &[Key]) -> Result<RecordBatch, Error> {
        let ids: Vec<String> = keys.iter().map(|k| k.as_str().to_owned()).collect();
        match (table, Kind::of_table(table)) {
            (_, Some(kind)) => Ok(self.issue_page(kind, &ids).await?.rows),
            ("test_runs", _) => self.read_runs(&ids).await,
            ("folders", _) => Ok(self.folders_by_key(&ids).await?.rows),
            _ => Err(no_table(table)),
        }
    }

    /// Lists the ids of a table's issues, in order: all of them, or those that
    /// changed since.
    pub(super) async fn issue_ids(
        &self,
        kind: Kind,
        since: Option<DateTime<Utc>>,
    ) -> Result<Vec<String>, Error> {
        let mut all = BTreeSet::new();
        for project in self.projects().await? {
            let types = self.issue_types(kind, project).await?;
            if types.is_empty() {
                continue;
            }
            let names: Vec<String> = types.iter().map(|t| quoted(t)).collect();
            let mut jql =
                format!("project = {} AND issuetype in ({})", quoted(&project.key), names.join(", "));
            if let Some(since) = since {
                jql.push_str(&format!(" AND updated >= {}", since.timestamp_millis()));
            }
            let mut ids = self.sweep(&jql).await?;
            if kind.in_xray() {
                self.add_ids_of_xray(kind, project, since, &mut ids).await?;
            }
            all.extend(ids);
        }
        Ok(all.into_iter().map(|id| id.to_string()).collect())
    }

    /// Names the issue types of a table within a project.
    async fn issue_types(&self, kind: Kind, project: &Project) -> Result<Vec<String>, Error> {
        let Some(name) = kind.issue_type() else {
            return self.coverable_types(project).await;
        };
        let mut names: Vec<String> = project.issue_type(name).map(|t| t.name.clone()).into_iter().collect();
        if names.is_empty() && kind.in_xray() {
            return Err(settings(format!(
                "project {} has no issue type {name:?}; Xray's issue types must be added to it under their own names",
                project.key
            )));
        }
        if kind == Kind::TestExecutions {
            names.extend(project.issue_type("Sub Test Execution").map(|t| t.name.clone()));
        }
        Ok(names)
    }

    async fn coverable_types(&self, project: &Project) -> Result<Vec<String>, Error> {
        let part = (graphql::COVERABLE, vec![json!(project.key)]);
        let (answers, _) = self.ask_xray(vec![part], "reading the project's Xray settings").await?;
        let answer = answers.into_iter().next().unwrap_or_default();
        let found: wire::ProjectSettings = serde_json::from_value(answer).unwrap_or_default();
        let ids =
            found.test_coverage_settings.unwrap_or_default().coverable_issue_type_ids.unwrap_or_default();
        let covered = project.types.iter().filter(|t| ids.contains(&t.id));
        Ok(covered.map(|t| t.name.clone()).collect())
    }

    /// Lists the ids that a search finds, page by page in the order of ids.
    pub(super) async fn sweep(&self, jql: &str) -> Result<BTreeSet<u64>, Error> {
        let mut ids = BTreeSet::new();
        let mut last: Option<u64> = None;
        loop {
            let after = last.map(|id| format!(" AND id > {id}")).unwrap_or_default();
            let jql = format!("{jql}{after} ORDER BY id ASC");
            let page = self.client.search(&jql, &["id"], SEARCH_PAGE, None).await?;
            for issue in &page.issues {
                ids.insert(number(&issue.id)?);
            }
            self.remember_keys(&page.issues);
            let end = ids.last().copied();
            let more = page.is_last == Some(false) || page.next_page_token.is_some();
            if !more {
                return Ok(ids);
            }
            if end == last {
                return Err(malformed(
                    "searching issues",
                    "the search announced a further page and gave none",
                ));
            }
            last = end;
        }
    }

    /// Adds what the search does not show: issues that are not in its index yet,
    /// and those of which only Xray's part changed.
    async fn add_ids_of_xray(
        &self,
        kind: Kind,
        project: &Project,
        since: Option<DateTime<Utc>>,
        ids: &mut BTreeSet<u64>,
    ) -> Result<(), Error> {
        let part = match kind {
            Kind::TestSets => graphql::TEST_SET_IDS,
            Kind::TestPlans => graphql::TEST_PLAN_IDS,
            Kind::TestExecutions => graphql::TEST_EXECUTION_IDS,
            _ => graphql::TEST_IDS,
        };
        let modified = since.map(|at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
        let window = |start: usize| (part, vec![json!(project.id), json!(modified), json!(start)]);
        let (first, _) = self.ask_xray(vec![window(0)], "listing what Xray holds").await?;
        let first: Connection<wire::Ref> = parse(first.into_iter().next().unwrap_or_default())?;
        let total = first.total.unwrap_or(0);
        let mut found: HashSet<u64> = HashSet::new();
        for item in first.into_items() {
            found.insert(number(&item.issue_id)?);
        }
        if since.is_none() && total == ids.len() && found.is_subset(&ids.iter().copied().collect()) {
            return Ok(());
        }
        let rest = (graphql::LIMIT..total).step_by(graphql::LIMIT).map(window).collect();
        let (rest, _) = self.ask_xray(rest, "listing what Xray holds").await?;
        for page in rest {
            for item in parse::<Connection<wire::Ref>>(page)?.into_items() {
                found.insert(number(&item.issue_id)?);
            }
        }
        if found.len() < total {
            let words = format!("Xray announced {total} {} and listed {}", kind.table(), found.len());
            return Err(malformed("listing what Xray holds", words));
        }
        ids.extend(found);
        Ok(())
    }

    /// Reads issues and what Xray holds of them.
    async fn issue_page(&self, kind: Kind, ids: &[String]) -> Result<Page, Error> {
        let (fields, site) = (self.fields().await?, self.site().await?);
        let xray =
            async { if kind.in_xray() { self.extras(kind, ids).await } else { Ok(Default::default()) } };
        let (jira, xray) = futures::join!(self.fetch(ids, &CONTENT), xray);
        let ((issues, mut bytes), (mut extras, more)) = (jira?, xray?);
        bytes += more;
        if kind.in_xray() {
            bytes += self.wait_for_xray(kind, &issues, &mut extras).await?;
        }
        let mut rows = RowBuilder::new(&kind.columns());
        for issue in &issues {
            add_issue(&mut rows, kind, issue, &extras, fields, site);
        }
        Ok(Page { rows: rows.finish(), bytes })
    }

    /// Reads issues by id, each once, in the order of ids. What does not exist or
    /// cannot be seen is left out, after a second question.
    pub(super) async fn fetch(&self, ids: &[String], fields: &[&str]) -> Result<(Vec<Issue>, u64), Error> {
        let mut found: HashMap<String, Issue> = HashMap::new();
        let mut bytes = 0;
        let mut open = ids.to_vec();
        for _ in 0..2 {
            let chunks: Vec<Vec<String>> = open.chunks(BULK_FETCH).map(<[_]>::to_vec).collect();
            let mut answers = stream::iter(chunks)
                .map(|chunk| async move { self.client.bulk_fetch(&chunk, fields).await })
                .buffer_unordered(FETCHES_AT_ONCE);
            while let Some((issues, read)) = answers.try_next().await? {
                bytes += read;
                self.remember_keys(&issues);
                found.extend(issues.into_iter().map(|i| (i.id.clone(), i)));
            }
            open.retain(|id| !found.contains_key(id));
            if open.is_empty() {
                break;
            }
        }
        let mut issues: Vec<Issue> = found.into_values().collect();
        issues.sort_by_key(|i| i.id.parse::<u64>().unwrap_or(u64::MAX));
        Ok((issues, bytes))
    }

    fn remember_keys(&self, issues: &[Issue]) {
        if let Ok(mut keys) = self.keys.lock() {
            let named = issues.iter().filter_map(|i| Some((i.id.clone(), i.key.clone()?)));
            keys.extend(named.filter(|(_, key)| !key.is_empty()));
        }
    }

    /// Returns issue keys by id, reading those that were not met yet.
    pub(super) async fn issue_keys(&self, ids: &[String]) -> Result<HashMap<String, String>, Error> {
        let known = |id: &String| self.keys.lock().ok().and_then(|keys| keys.get(id).cloned());
        let unknown: BTreeSet<&String> = ids.iter().filter(|id| known(id).is_none()).collect();
        let unknown: Vec<String> = unknown.into_iter().cloned().collect();
        if !unknown.is_empty() {
            self.fetch(&unknown, &["summary"]).await?;
        }
        Ok(ids.iter().filter_map(|id| Some((id.clone(), known(id)?))).collect())
    }
}

/// Quotes a text for JQL.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

pub(super) fn number(id: &str) -> Result<u64, Error> {
    id.parse().map_err(|_| malformed("reading ids", format!("{id:?} is not an issue id")))
}

pub(super) fn malformed(operation: &str, words: impl Into<String>) -> Error {
    Error::new(SYSTEM, operation, ErrorKind::Malformed, words)
}

pub(super) fn settings(words: impl Into<String>) -> Error {
    Error::new(SYSTEM, "reading the project", ErrorKind::Settings, words)
}

fn no_table(table: &str) -> Error {
    Error::new(SYSTEM, "reading a table", ErrorKind::Settings, format!("there is no table {table:?}"))
}

/// Makes the batch of a table without rows.
pub(super) fn no_rows(columns: &[Native]) -> RecordBatch {
    RowBuilder::new(columns).finish()
}
