//! What Xray holds of issues: steps, members and folders, by the documents of `graphql`.

use std::collections::HashSet;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::client::fail;
use super::describe::{Kind, folder_columns};
use super::extract::malformed;
use super::graphql::{self, Document, Question};
use super::rows::{Extras, Members};
use super::wire::{self, Connection, Issue};
use super::{JiraXray, SYSTEM};
use crate::connectors::{Error, ErrorKind, Page, RowBuilder};

/// GraphQL documents under way at a time.
pub(super) const DOCUMENTS_AT_ONCE: usize = 4;
/// An issue made through Jira is unknown to Xray for 2 to 8 seconds.
const XRAY_WAITS_S: [u64; 3] = [2, 4, 8];

impl JiraXray {
    /// Asks again for issues that Xray does not know yet.
    pub(super) async fn wait_for_xray(
        &self,
        kind: Kind,
        issues: &[Issue],
        extras: &mut Extras,
    ) -> Result<u64, Error> {
        let mut bytes = 0;
        for wait in XRAY_WAITS_S.map(Some).into_iter().chain([None]) {
            let missing: Vec<String> =
                issues.iter().map(|i| i.id.clone()).filter(|id| !extras.contains(id)).collect();
            let Some(first) = missing.first() else { break };
            let Some(wait) = wait else {
                let words = format!(
                    "Xray does not know {} of the issues that Jira shows, such as {first}",
                    missing.len()
                );
                return Err(malformed("reading what Xray holds", words));
            };
            tokio::time::sleep(Duration::from_secs(wait)).await;
            let (more, read) = self.extras(kind, &missing).await?;
            bytes += read;
            extras.tests.extend(more.tests);
            extras.members.extend(more.members);
        }
        Ok(bytes)
    }

    /// Reads Xray's part of issues.
    pub(super) async fn extras(&self, kind: Kind, ids: &[String]) -> Result<(Extras, u64), Error> {
        let part = match kind {
            Kind::TestSets => graphql::TEST_SETS,
            Kind::TestPlans => graphql::TEST_PLANS,
            Kind::TestExecutions => graphql::TEST_EXECUTIONS,
            _ => graphql::TESTS,
        };
        let parts = ids.chunks(graphql::LIMIT).map(|chunk| (part, vec![json!(chunk)])).collect();
        let (answers, mut bytes) = self.ask_xray(parts, "reading what Xray holds").await?;
        let mut extras = Extras::default();
        let mut cut: Vec<(String, usize)> = Vec::new();
        for answer in answers {
            match kind {
                Kind::Tests => {
                    let tests = parse::<Connection<wire::Test>>(answer)?.into_items();
                    extras.tests.extend(tests.into_iter().map(|t| (t.issue_id.clone(), t)));
                }
                Kind::TestExecutions => {
                    for item in parse::<Connection<wire::Execution>>(answer)?.into_items() {
                        let environments = item.test_environments.unwrap_or_default();
                        add_members(
                            &mut extras,
                            &mut cut,
                            item.issue_id,
                            item.last_modified,
                            item.test_plans,
                            environments,
                        );
                    }
                }
                _ => {
                    for item in parse::<Connection<wire::Holder>>(answer)?.into_items() {
                        add_members(
                            &mut extras,
                            &mut cut,
                            item.issue_id,
                            item.last_modified,
                            item.tests,
                            vec![],
                        );
                    }
                }
            }
        }
        bytes += self.complete(kind, cut, &mut extras).await?;
        Ok((extras, bytes))
    }

    /// Reads the rest of nested lists that were cut at their limit.
    async fn complete(
        &self,
        kind: Kind,
        cut: Vec<(String, usize)>,
        extras: &mut Extras,
    ) -> Result<u64, Error> {
        let (part, list) = match kind {
            Kind::TestSets => (graphql::SET_TESTS, "/tests"),
            Kind::TestPlans => (graphql::PLAN_TESTS, "/tests"),
            _ => (graphql::EXECUTION_PLANS, "/testPlans"),
        };
        let have = |id: &String, extras: &Extras| extras.members.get(id).map_or(0, |m| m.ids.len());
        let windows: Vec<(String, usize)> = cut
            .iter()
            .flat_map(|(id, total)| {
                let starts = (have(id, extras)..*total).step_by(graphql::LIMIT);
                starts.map(move |start| (id.clone(), start))
            })
            .collect();
        let parts = windows.iter().map(|(id, start)| (part, vec![json!(id), json!(start)])).collect();
        let (answers, bytes) = self.ask_xray(parts, "reading members").await?;
        for ((id, _), answer) in windows.iter().zip(answers) {
            let page: Connection<wire::Ref> = parse(answer.pointer(list).cloned().unwrap_or_default())?;
            if let Some(members) = extras.members.get_mut(id) {
                members.ids.extend(page.into_items().into_iter().map(|r| r.issue_id));
            }
        }
        for (id, total) in cut {
            if let Some(members) = extras.members.get_mut(&id) {
                let mut seen = HashSet::new();
                members.ids.retain(|m| seen.insert(m.clone()));
                if members.ids.len() < total {
                    let words =
                        format!("issue {id} announced {total} members and listed {}", members.ids.len());
                    return Err(malformed("reading members", words));
                }
            }
        }
        Ok(bytes)
    }

    /// Asks Xray all parts, packed into few documents, and answers in their order.
    pub(super) async fn ask_xray(
        &self,
        parts: Vec<Question>,
        operation: &'static str,
    ) -> Result<(Vec<Value>, u64), Error> {
        let mut answers = stream::iter(Document::pack(parts))
            .map(|document| async move {
                let (mut graph, bytes) = self.client.graphql(&document, operation).await.map_err(fail)?;
                if let Some(error) = graph.errors.first() {
                    return Err(Error::new(SYSTEM, operation, ErrorKind::Refused, error.message.clone()));
                }
                let mut data = graph.data.take().unwrap_or_default();
                let list = (0..document.len()).map(|n| data.remove(&graphql::alias(n)).unwrap_or_default());
                Ok((list.collect::<Vec<Value>>(), bytes))
            })
            .buffered(DOCUMENTS_AT_ONCE);
        let (mut all, mut bytes) = (Vec::new(), 0);
        while let Some((list, read)) = answers.try_next().await? {
            all.extend(list);
            bytes += read;
        }
        Ok((all, bytes))
    }

    pub(super) async fn folder_page(&self) -> Result<Page, Error> {
        let projects = self.projects().await?;
        let parts = projects.iter().map(|p| (graphql::FOLDERS, vec![json!(p.id)])).collect();
        let (answers, bytes) = self.ask_xray(parts, "reading folders").await?;
        let mut rows = RowBuilder::new(&folder_columns());
        for (project, answer) in projects.iter().zip(answers) {
            let tree: wire::FolderTree = parse(answer)?;
            let list = tree.folders.as_ref().and_then(Value::as_array);
            for folder in list.into_iter().flatten() {
                add_folder(&mut rows, &project.key, folder, "/");
            }
        }
        Ok(Page { rows: rows.finish(), bytes })
    }

    /// Reads all folders and keeps those of these keys: one request either way.
    pub(super) async fn folders_by_key(&self, ids: &[String]) -> Result<Page, Error> {
        use arrow::array::{AsArray, BooleanArray};
        let page = self.folder_page().await?;
        let keys = page.rows.column(0).as_string::<i32>();
        let wanted: BooleanArray =
            keys.iter().map(|k| Some(k.is_some_and(|k| ids.iter().any(|id| id == k)))).collect();
        let rows = arrow::compute::filter_record_batch(&page.rows, &wanted)
            .map_err(|e| malformed("reading folders", e.to_string()))?;
        Ok(Page { rows, ..page })
    }
}

fn add_members(
    extras: &mut Extras,
    cut: &mut Vec<(String, usize)>,
    id: String,
    last_modified: Option<String>,
    list: Option<Connection<wire::Ref>>,
    environments: Vec<String>,
) {
    let total = list.as_ref().and_then(|l| l.total).unwrap_or(0);
    let ids: Vec<String> =
        list.map(Connection::into_items).unwrap_or_default().into_iter().map(|r| r.issue_id).collect();
    if total > ids.len() {
        cut.push((id.clone(), total));
    }
    extras.members.insert(id, Members { last_modified, ids, environments });
}

fn add_folder(rows: &mut RowBuilder, project: &str, folder: &Value, parent: &str) {
    let name = folder.get("name").and_then(Value::as_str).unwrap_or_default();
    let below = if parent == "/" { format!("/{name}") } else { format!("{parent}/{name}") };
    let path = folder.get("path").and_then(Value::as_str).map_or(below, str::to_owned);
    rows.row(format!("{project}:{path}"), project)
        .text("name", Some(name))
        .text("parent_path", Some(parent))
        .int("tests_count", folder.get("testsCount").and_then(Value::as_i64));
    for child in folder.get("folders").and_then(Value::as_array).into_iter().flatten() {
        add_folder(rows, project, child, &path);
    }
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Error> {
    serde_json::from_value(value).map_err(|e| malformed("reading Xray's answer", e.to_string()))
}
