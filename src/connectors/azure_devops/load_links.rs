//! Adds and removes ends of relationships: memberships in suites, links between
//! work items, the place of a suite in its tree.
//!
//! What is there is read first, so that only what is missing is added and only what
//! is present removed: the same change sent twice changes nothing the second time.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::TryStreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use super::AzureDevOps;
use super::client::{ITEMS_PER_CALL, WriteError};
use super::load::{failed, id_of, rejected};
use super::load_items::{Part, Patch, Sent};
use super::tree::Tree;
use super::wire::{SuiteCase, WorkItem};
use crate::connectors::Error;
use crate::http::Safety;
use crate::model::{Change, Op, Outcome};

/// Test cases per membership call: the service names no limit, and clients that are
/// known to work stay at or below this.
const MEMBERS_PER_CALL: usize = 100;
/// How often links are read and written again after somebody else wrote the item.
const ATTEMPTS_MAX: usize = 3;

const PARENT: &str = "System.LinkTypes.Hierarchy-Reverse";
const RELATED: &str = "System.LinkTypes.Related";
/// On a test case: the requirements that it tests.
const TESTS: &str = "Microsoft.VSTS.Common.TestedBy-Reverse";

/// One end to add or to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Edit {
    /// Which change asks for it.
    change: usize,
    /// The suite, or the work item that holds the link.
    holder: i64,
    /// The test case, or the work item at the other end.
    member: i64,
    add: bool,
}

/// What went wrong, by change.
#[derive(Debug, Default)]
struct Failures {
    refused: HashMap<usize, Vec<String>>,
    lost: HashMap<usize, String>,
}

impl Failures {
    fn note(&mut self, edit: &Edit, error: &WriteError) {
        let what = if edit.add { "adding" } else { "removing" };
        let words = format!("{what} {}: {}", edit.member, error.words());
        if error.is_refusal() {
            self.refused.entry(edit.change).or_default().push(words);
        } else {
            self.lost.insert(edit.change, words);
        }
    }
}

/// A plan's suites and who is in them.
struct Members {
    tree: Tree,
    cases: HashMap<i64, HashSet<i64>>,
}

impl AzureDevOps {
    /// Adds and removes ends of one relationship.
    pub(super) async fn relate(&self, changes: &[Change]) -> Vec<Outcome> {
        let mut failures = Failures::default();
        let mut outcomes: Vec<Option<Outcome>> = vec![None; changes.len()];
        let mut edits = Vec::new();
        for (n, change) in changes.iter().enumerate() {
            match edits_of(n, change) {
                Ok(found) => edits.extend(found),
                Err(outcome) => outcomes[n] = Some(outcome),
            }
        }
        let asked: HashMap<usize, usize> = edits.iter().fold(HashMap::new(), |mut asked, edit| {
            *asked.entry(edit.change).or_default() += 1;
            asked
        });
        let Some(first) = changes.first() else { return Vec::new() };
        let relationship = match &first.op {
            Op::Relate { relationship, .. } => relationship.as_str(),
            _ => "",
        };
        match (first.artifact.as_str(), relationship) {
            ("Test Plan", "Test Case") => self.relate_plans(changes, edits, &mut failures).await,
            ("Test Suite", "Test Cases") => self.relate_suites(changes, edits, &mut failures).await,
            ("Test Case", "Test Suites") => {
                let turned =
                    edits.into_iter().map(|e| Edit { holder: e.member, member: e.holder, ..e }).collect();
                self.relate_suites(changes, turned, &mut failures).await;
            }
            ("Test Plan", "Parent") => self.link_items(PARENT, edits, &mut failures).await,
            ("Test Suite", "Related") => self.link_items(RELATED, edits, &mut failures).await,
            ("Test Suite", "Parent") => self.move_suites(changes, &mut failures).await,
            (artifact, name) => {
                let message = format!("{artifact} has no relationship {name:?} that can be written");
                return changes.iter().map(|_| rejected(message.clone())).collect();
            }
        }
        let of = |(n, outcome): (usize, Option<Outcome>)| {
            outcome.unwrap_or_else(|| failures.outcome(n, &changes[n], asked.get(&n).copied().unwrap_or(0)))
        };
        outcomes.into_iter().enumerate().map(of).collect()
    }

    async fn members(&self, project: &str, plan: i64) -> Result<Members, Error> {
        let tree = self.tree(project, &self.plan(project, plan).await?).await?;
        let path = format!("testplan/Plans/{plan}/Suites/{}/TestCase", tree.root);
        let query = vec![
            ("isRecursive", "true".to_owned()),
            ("excludeFlags", "1".to_owned()),
            ("witFields", "System.Id".to_owned()),
        ];
        let operation = "listing the test cases of suites";
        let pages = self.api.token_pages::<SuiteCase>(project, path, query, operation);
        let entries: Vec<SuiteCase> = pages.map_ok(|page| page.items).try_concat().await?;
        let mut cases: HashMap<i64, HashSet<i64>> = HashMap::new();
        for entry in entries {
            if let (Some(suite), Some(case)) = (entry.test_suite, entry.work_item) {
                cases.entry(suite.id.0).or_default().insert(case.id.0);
            }
        }
        Ok(Members { tree, cases })
    }

    /// Additions to a plan go to its root suite; removals come out of every static
    /// suite of the plan.
    async fn relate_plans(&self, changes: &[Change], edits: Vec<Edit>, failures: &mut Failures) {
        let mut by_plan: BTreeMap<(String, i64), Vec<Edit>> = BTreeMap::new();
        for edit in edits {
            by_plan.entry((changes[edit.change].project.clone(), edit.holder)).or_default().push(edit);
        }
        for ((project, plan), edits) in by_plan {
            let members = match self.members(&project, plan).await {
                Ok(members) => members,
                Err(error) => {
                    edits.iter().for_each(|edit| failures.note(edit, &WriteError::Lost(error.to_string())));
                    continue;
                }
            };
            let mut suites: Vec<Edit> = Vec::new();
            for edit in edits {
                let holders: Vec<i64> = members
                    .cases
                    .iter()
                    .filter(|(_, cases)| cases.contains(&edit.member))
                    .map(|(s, _)| *s)
                    .collect();
                if edit.add && holders.is_empty() {
                    suites.push(Edit { holder: members.tree.root, ..edit });
                }
                for suite in holders.into_iter().filter(|_| !edit.add) {
                    let kind = members.tree.get(suite).map_or("static", |node| node.kind);
                    if kind == "static" {
                        suites.push(Edit { holder: suite, ..edit });
                    } else {
                        let words =
                            format!("it stays in {kind} suite {suite}, whose members the system works out");
                        failures.note(&edit, &WriteError::Refused(words_only(words)));
                    }
                }
            }
            self.write_members(&project, &members, suites, failures).await;
        }
    }

    async fn relate_suites(&self, changes: &[Change], edits: Vec<Edit>, failures: &mut Failures) {
        let mut by_plan: BTreeMap<(String, i64), Vec<Edit>> = BTreeMap::new();
        for edit in edits {
            let project = &changes[edit.change].project;
            match self.plan_of_suite(project, edit.holder).await {
                Ok(plan) => by_plan.entry((project.clone(), plan)).or_default().push(edit),
                Err(error) => failures.note(&edit, &error),
            }
        }
        for ((project, plan), edits) in by_plan {
            match self.members(&project, plan).await {
                Ok(members) => {
                    let (links, suites) = self.split_by_kind(&members, edits, failures);
                    self.write_members(&project, &members, suites, failures).await;
                    self.link_items(TESTS, links, failures).await;
                }
                Err(error) => {
                    edits.iter().for_each(|edit| failures.note(edit, &WriteError::Lost(error.to_string())));
                }
            }
        }
    }

    /// Members of requirement suites are links of the cases; those of query suites
    /// cannot be written.
    fn split_by_kind(
        &self,
        members: &Members,
        edits: Vec<Edit>,
        failures: &mut Failures,
    ) -> (Vec<Edit>, Vec<Edit>) {
        let (mut links, mut suites) = (Vec::new(), Vec::new());
        for edit in edits {
            match members.tree.get(edit.holder) {
                Some(node) if node.kind == "query" => {
                    let words = "the suite is a query: its members follow from their fields".to_owned();
                    failures.note(&edit, &WriteError::Refused(words_only(words)));
                }
                Some(node) => match node.requirement.filter(|_| node.kind == "requirement") {
                    Some(requirement) => {
                        links.push(Edit { holder: edit.member, member: requirement, ..edit });
                    }
                    None => suites.push(edit),
                },
                None => {
                    let words = format!("plan {} has no suite {}", members.tree.plan, edit.holder);
                    failures.note(&edit, &WriteError::Refused(words_only(words)));
                }
            }
        }
        (links, suites)
    }

    /// Writes memberships of one plan, suite by suite, one request after the other.
    async fn write_members(
        &self,
        project: &str,
        members: &Members,
        edits: Vec<Edit>,
        failures: &mut Failures,
    ) {
        let none = HashSet::new();
        let mut calls: BTreeMap<(i64, bool), Vec<Edit>> = BTreeMap::new();
        for edit in edits {
            let present = members.cases.get(&edit.holder).unwrap_or(&none).contains(&edit.member);
            let call = calls.entry((edit.holder, edit.add)).or_default();
            if present != edit.add && !call.iter().any(|e| e.member == edit.member) {
                call.push(edit);
            }
        }
        for ((suite, add), edits) in calls {
            let path = format!("testplan/Plans/{}/Suites/{suite}/TestCase", members.tree.plan);
            let mut chunks: Vec<Vec<Edit>> = edits.chunks(MEMBERS_PER_CALL).map(<[Edit]>::to_vec).collect();
            while let Some(chunk) = chunks.pop() {
                match self.write_chunk(project, &path, add, &chunk).await {
                    Ok(()) => {}
                    Err(error) if error.is_refusal() && chunk.len() > 1 => {
                        // One bad case fails the call: halve until it stands alone.
                        let (left, right) = chunk.split_at(chunk.len() / 2);
                        chunks.extend([left.to_vec(), right.to_vec()]);
                    }
                    // What is not there any more need not be taken out.
                    Err(WriteError::Missing(_)) if !add => {}
                    Err(error) => chunk.iter().for_each(|edit| failures.note(edit, &error)),
                }
            }
        }
    }

    async fn write_chunk(
        &self,
        project: &str,
        path: &str,
        add: bool,
        chunk: &[Edit],
    ) -> Result<(), WriteError> {
        if add {
            let body: Vec<Value> =
                chunk.iter().map(|edit| json!({"workItem": {"id": edit.member}})).collect();
            let operation = "adding test cases to a suite";
            let body = Some(Value::Array(body));
            self.api
                .write(Method::POST, Some(project), path, &[], body.as_ref(), Safety::Idempotent, operation)
                .await?;
        } else {
            let ids = chunk.iter().map(|edit| edit.member.to_string()).collect::<Vec<_>>().join(",");
            let query = [("testIds", ids.as_str())];
            let operation = "removing test cases from a suite";
            self.api
                .write(Method::DELETE, Some(project), path, &query, None, Safety::Idempotent, operation)
                .await?;
        }
        Ok(())
    }

    /// Adds and removes links of work items, reading the links just before.
    async fn link_items(&self, rel: &str, edits: Vec<Edit>, failures: &mut Failures) {
        let mut by_item: BTreeMap<i64, Vec<Edit>> = BTreeMap::new();
        for edit in edits {
            by_item.entry(edit.holder).or_default().push(edit);
        }
        for _ in 0..ATTEMPTS_MAX {
            let ids: Vec<i64> = by_item.keys().copied().collect();
            let mut again = BTreeMap::new();
            for chunk in ids.chunks(ITEMS_PER_CALL) {
                let items = match self.api.items(chunk, None, "reading links").await {
                    Ok((items, _)) => items,
                    Err(error) => {
                        let lost = WriteError::Lost(error.to_string());
                        chunk.iter().flat_map(|id| &by_item[id]).for_each(|edit| failures.note(edit, &lost));
                        continue;
                    }
                };
                let mut patches: Vec<Patch> = Vec::new();
                for id in chunk {
                    match items.iter().find(|item| item.id == *id) {
                        Some(item) => patches.extend(self.link_patch(rel, item, &by_item[id])),
                        None => {
                            let gone =
                                WriteError::Refused(words_only(format!("work item {id} does not exist")));
                            by_item[id].iter().for_each(|edit| failures.note(edit, &gone));
                        }
                    }
                }
                let sent = self.send_patches(&mut patches, "writing links").await;
                for (patch, sent) in patches.iter().zip(sent) {
                    let Ok(id) = patch.target else { continue };
                    let error = match sent {
                        Sent::Done { .. } => continue,
                        Sent::Changed => {
                            again.insert(id, by_item[&id].clone());
                            continue;
                        }
                        Sent::Rejected(words) => WriteError::Refused(words_only(words)),
                        Sent::Unknown(words) => WriteError::Lost(words),
                    };
                    by_item[&id].iter().for_each(|edit| failures.note(edit, &error));
                }
            }
            by_item = again;
            if by_item.is_empty() {
                return;
            }
        }
        let busy =
            WriteError::Refused(words_only("the work item is being changed by somebody else".to_owned()));
        by_item.values().flatten().for_each(|edit| failures.note(edit, &busy));
    }

    fn link_patch(&self, rel: &str, item: &WorkItem, edits: &[Edit]) -> Option<Patch> {
        let relations = item.relations.as_deref().unwrap_or_default();
        let mut parts = Vec::new();
        let part = |json: Value| Part { name: rel.to_owned(), reference: String::new(), json };
        // From the end on, so that the places named later stay right.
        for (at, relation) in relations.iter().enumerate().rev() {
            let gone = relation.rel.eq_ignore_ascii_case(rel)
                && edits.iter().any(|e| !e.add && relation.target() == Some(e.member));
            if gone {
                parts.push(part(json!({"op": "remove", "path": format!("/relations/{at}")})));
            }
        }
        let there = item.linked(rel);
        for edit in edits.iter().filter(|e| e.add && !there.contains(&e.member)) {
            let value = json!({"rel": rel, "url": self.api.item_url(edit.member)});
            parts.push(part(json!({"op": "add", "path": "/relations/-", "value": value})));
        }
        if parts.is_empty() {
            return None;
        }
        Some(Patch { target: Ok(item.id), revision: Some(item.rev), parts, refused: Vec::new() })
    }

    /// Moves suites below another parent; without one, below the root.
    async fn move_suites(&self, changes: &[Change], failures: &mut Failures) {
        for (n, change) in changes.iter().enumerate() {
            let Op::Relate { key, add, .. } = &change.op else { continue };
            let (Ok(suite), Ok(parent)) = (id_of(key), add.first().map(id_of).transpose()) else { continue };
            if let Err(error) = self.move_suite(&change.project, suite, parent).await {
                let edit = Edit { change: n, holder: suite, member: parent.unwrap_or_default(), add: true };
                failures.note(&edit, &error);
            }
        }
    }

    async fn move_suite(&self, project: &str, suite: i64, parent: Option<i64>) -> Result<(), WriteError> {
        let plan = self.plan_of_suite(project, suite).await?;
        let parent = match parent {
            Some(parent) => parent,
            None => self.root_of(project, plan).await.map_err(|error| WriteError::Lost(error.to_string()))?,
        };
        let path = format!("testplan/Plans/{plan}/suites/{suite}");
        let body = json!({"parentSuite": {"id": parent}});
        self.api
            .write(
                Method::PATCH,
                Some(project),
                &path,
                &[],
                Some(&body),
                Safety::Idempotent,
                "moving a test suite",
            )
            .await
            .map(|_| ())
    }
}

impl Failures {
    fn outcome(&self, n: usize, change: &Change, asked: usize) -> Outcome {
        let Op::Relate { key, relationship, .. } = &change.op else {
            return rejected("only changes of relationships can stand in a batch of them");
        };
        if let Some(words) = self.lost.get(&n) {
            return failed(&WriteError::Lost(words.clone()));
        }
        let refused = self.refused.get(&n).cloned().unwrap_or_default();
        if !refused.is_empty() && refused.len() >= asked {
            return rejected(refused.join("; "));
        }
        let refused = refused.into_iter().map(|words| (relationship.clone(), words)).collect();
        Outcome::Done { key: key.clone(), revision: None, refused }
    }
}

fn edits_of(n: usize, change: &Change) -> Result<Vec<Edit>, Outcome> {
    let Op::Relate { key, add, remove, .. } = &change.op else {
        return Err(rejected("only changes of relationships can stand in a batch of them"));
    };
    let holder = id_of(key)?;
    let both = add.iter().map(|key| (key, true)).chain(remove.iter().map(|key| (key, false)));
    both.map(|(key, add)| Ok(Edit { change: n, holder, member: id_of(key)?, add })).collect()
}

fn words_only(message: String) -> super::wire::Refusal {
    super::wire::Refusal { message, fields: Vec::new() }
}
