//! Takes artifacts away whose counterpart is gone.
//!
//! The system deletes test cases beyond recovery, so that they are closed and taken out
//! of their suites instead unless that is asked for. Plans and suites take all that is in
//! them along and are only removed empty. Runs and results are never removed.

use reqwest::Method;

use super::AzureDevOps;
use super::client::WriteError;
use super::load::{failed, id_of, rejected, unprepared};
use super::wire::Suite;
use crate::http::Safety;
use crate::model::{Change, FieldWrite, Key, Op, Outcome, WriteValue};

/// The state of cases that are not used any more, as every process of the vendor has it.
const CLOSED: &str = "Closed";

impl AzureDevOps {
    /// Removes artifacts, one after the other: they are few, and suites of a plan must not be
    /// written at the same time.
    pub(super) async fn remove(&self, changes: &[Change]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in changes {
            let Op::Remove { key, destroy } = &change.op else {
                outcomes.push(rejected("only removals can stand in a batch of them"));
                continue;
            };
            let outcome = match (change.artifact.as_str(), *destroy) {
                ("Test Case", false) => self.retire_case(change, key).await,
                ("Test Case", true) => {
                    let path = format!("testplan/testcases/{key}");
                    self.delete(Some(&change.project), &path, &[], key, "deleting a test case").await
                }
                ("Bug", destroy) => {
                    let path = format!("wit/workitems/{key}");
                    let query = [("destroy", if destroy { "true" } else { "false" })];
                    self.delete(Some(&change.project), &path, &query, key, "deleting a work item").await
                }
                ("Test Plan", destroy) => self.remove_plan(change, key, destroy).await,
                ("Test Suite", _) => self.remove_suite(change, key).await,
                (artifact, _) => rejected(format!("{artifact} is never removed from this system")),
            };
            outcomes.push(outcome);
        }
        outcomes
    }

    /// Closes a case and takes it out of its suites; it can be used again any time.
    async fn retire_case(&self, change: &Change, key: &Key) -> Outcome {
        let query = [("testCaseId", key.as_str())];
        let operation = "listing the suites of a test case";
        let suites = match self.api.list::<Suite>(None, "testplan/suites", &query, operation).await {
            Ok(suites) => suites,
            Err(error) => return unprepared(&error),
        };
        // Members of a query follow from their fields.
        let suites = suites.iter().filter(|s| !s.suite_type.eq_ignore_ascii_case("dynamicTestSuite"));
        let remove: Vec<Key> = suites.map(|s| Key::from(s.id.0.to_string())).collect();
        if !remove.is_empty() {
            let op =
                Op::Relate { key: key.clone(), relationship: "Test Suites".into(), add: Vec::new(), remove };
            let out = Change { op, revision: None, ..change.clone() };
            match self.relate(&[out]).await.pop() {
                Some(Outcome::Done { .. }) => {}
                Some(other) => return other,
                None => return rejected("nothing was tried"),
            }
        }
        let fields = vec![FieldWrite { field: "State".into(), value: WriteValue::Text(CLOSED.into()) }];
        let close = Change { op: Op::Update { key: key.clone(), fields }, revision: None, ..change.clone() };
        self.update_items(&[close]).await.pop().unwrap_or_else(|| rejected("nothing was tried"))
    }

    async fn remove_plan(&self, change: &Change, key: &Key, destroy: bool) -> Outcome {
        let id = match id_of(key) {
            Ok(id) => id,
            Err(outcome) => return outcome,
        };
        if !destroy {
            let tree = match self.plan(&change.project, id).await {
                Ok(plan) => self.tree(&change.project, &plan).await,
                Err(error) if error.kind == crate::connectors::ErrorKind::NotFound => return done(key),
                Err(error) => Err(error),
            };
            match tree {
                Err(error) => return unprepared(&error),
                Ok(tree) if tree.nodes.iter().any(|node| node.id != tree.root) => {
                    return rejected(format!(
                        "test plan {id} holds test suites, which would go with it: move or delete them first, or \
                         set `destroy: true`"
                    ));
                }
                Ok(_) => {}
            }
        }
        let path = format!("testplan/plans/{id}");
        self.delete(Some(&change.project), &path, &[], key, "deleting a test plan").await
    }

    async fn remove_suite(&self, change: &Change, key: &Key) -> Outcome {
        let suite = match id_of(key) {
            Ok(id) => id,
            Err(outcome) => return outcome,
        };
        let plan = match self.plan_of_suite(&change.project, suite).await {
            Ok(plan) => plan,
            Err(error) => return failed(&error),
        };
        let tree = match self.plan(&change.project, plan).await {
            Ok(plan) => self.tree(&change.project, &plan).await,
            Err(error) => Err(error),
        };
        match tree {
            Err(error) => return unprepared(&error),
            Ok(tree) if tree.nodes.iter().any(|node| node.parent == Some(suite)) => {
                return rejected(format!(
                    "test suite {suite} holds further suites, which would go with it: move or delete them first"
                ));
            }
            Ok(_) => {}
        }
        let path = format!("testplan/Plans/{plan}/suites/{suite}");
        self.delete(Some(&change.project), &path, &[], key, "deleting a test suite").await
    }

    /// Deletes; what is not there any more need not be.
    async fn delete(
        &self,
        project: Option<&str>,
        path: &str,
        query: &[(&str, &str)],
        key: &Key,
        operation: &str,
    ) -> Outcome {
        let sent =
            self.api.write(Method::DELETE, project, path, query, None, Safety::Idempotent, operation).await;
        match sent {
            Ok(_) | Err(WriteError::Missing(_)) => done(key),
            Err(error) => failed(&error),
        }
    }
}

fn done(key: &Key) -> Outcome {
    Outcome::Done { key: key.clone(), revision: None, refused: Vec::new() }
}
