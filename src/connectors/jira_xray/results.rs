//! Results: one import per execution, always with the execution's key.
//!
//! An import replaces what it names, so it is safe to repeat; what a change does
//! not name is filled in from the run as it stands.

use std::collections::{BTreeMap, HashMap};

use futures::stream::{self, StreamExt};
use serde_json::{Map, Value, json};

use super::JiraXray;
use super::load::Failure;
use super::update::words_of;
use super::wire::{Run, instant};
use crate::connectors::Error;
use crate::model::{Change, FieldWrite, Key, Op, Outcome, WriteValue};

/// The relationship that names a result's execution.
const TO_EXECUTION: &str = "Test Run's Test Execution key";
/// The relationship that names a result's test.
const TO_TEST: &str = "Test Run's Test key";
/// Results per import; keeps one request below a few megabytes.
const RESULTS_MAX: usize = 1000;
/// Imports under way at a time.
const IMPORTS_AT_ONCE: usize = 2;

/// One result on its way.
struct Entry {
    position: usize,
    execution: String,
    test: String,
    body: Map<String, Value>,
    refused: Vec<(String, String)>,
}

impl JiraXray {
    pub(super) async fn write_results(&self, changes: &[Change]) -> Vec<Outcome> {
        match self.try_write_results(changes).await {
            Ok(outcomes) => outcomes,
            Err(error) => vec![Outcome::Unknown { message: error.to_string() }; changes.len()],
        }
    }

    async fn try_write_results(&self, changes: &[Change]) -> Result<Vec<Outcome>, Error> {
        let updated = |c: &Change| match &c.op {
            Op::Update { key, .. } => Some(key.to_string()),
            _ => None,
        };
        let ids: Vec<String> = changes.iter().filter_map(updated).collect();
        let runs = if ids.is_empty() { vec![] } else { self.runs_by_id(&ids).await? };
        let runs: HashMap<&str, &Run> = runs.iter().map(|r| (r.id.as_str(), r)).collect();
        let mut outcomes = vec![None; changes.len()];
        let mut entries = Vec::new();
        for (position, change) in changes.iter().enumerate() {
            match entry(position, change, &runs) {
                Ok(entry) => entries.push(entry),
                Err(outcome) => outcomes[position] = Some(outcome),
            }
        }
        self.name_tests(&mut entries, &mut outcomes).await?;
        let sent = self.import_entries(entries, &mut outcomes).await?;
        self.read_keys(sent, &mut outcomes).await;
        let lost = || Outcome::Unknown { message: "the result was not sent".into() };
        Ok(outcomes.into_iter().map(|o| o.unwrap_or_else(lost)).collect())
    }

    /// Puts the issue keys of the tests into the bodies.
    async fn name_tests(
        &self,
        entries: &mut Vec<Entry>,
        outcomes: &mut [Option<Outcome>],
    ) -> Result<(), Error> {
        let ids: Vec<String> = entries.iter().flat_map(|e| [e.execution.clone(), e.test.clone()]).collect();
        let keys = self.issue_keys(&ids).await?;
        entries.retain_mut(|entry| {
            let known = keys.contains_key(&entry.execution);
            match keys.get(&entry.test).filter(|_| known) {
                Some(key) => {
                    entry.body.insert("testKey".into(), key.clone().into());
                    true
                }
                None => {
                    let message = format!(
                        "execution {} or test {} does not exist or we may not see it",
                        entry.execution, entry.test
                    );
                    outcomes[entry.position] = Some(Outcome::Rejected { message });
                    false
                }
            }
        });
        Ok(())
    }

    /// Sends the entries, one import per execution; returns those that arrived.
    async fn import_entries(
        &self,
        entries: Vec<Entry>,
        outcomes: &mut [Option<Outcome>],
    ) -> Result<Vec<Entry>, Error> {
        let mut by_execution: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for entry in entries {
            by_execution.entry(entry.execution.clone()).or_default().push(entry);
        }
        let ids: Vec<String> = by_execution.keys().cloned().collect();
        let keys = self.issue_keys(&ids).await?;
        let mut batches: Vec<(String, Vec<Entry>)> = Vec::new();
        for (execution, mut list) in by_execution {
            let key = keys.get(&execution).cloned().unwrap_or_default();
            while !list.is_empty() {
                let rest = list.split_off(list.len().min(RESULTS_MAX));
                batches.push((key.clone(), list));
                list = rest;
            }
        }
        let answers: Vec<Vec<(Entry, Option<Failure>)>> = stream::iter(batches)
            .map(|(key, list)| async move { self.import_batch(&key, list).await })
            .buffer_unordered(IMPORTS_AT_ONCE)
            .collect()
            .await;
        let mut sent = Vec::new();
        for (entry, failure) in answers.into_iter().flatten() {
            match failure {
                None => sent.push(entry),
                Some(failure) => outcomes[entry.position] = Some(failure.outcome()),
            }
        }
        Ok(sent)
    }

    /// Imports results into one execution. A refused batch is halved until the
    /// result to which Xray objects stands alone.
    async fn import_batch(&self, key: &str, list: Vec<Entry>) -> Vec<(Entry, Option<Failure>)> {
        let mut open = vec![list];
        let mut done = Vec::new();
        while let Some(mut list) = open.pop() {
            let tests: Vec<&Map<String, Value>> = list.iter().map(|e| &e.body).collect();
            let result =
                self.client.import_results(&json!({ "testExecutionKey": key, "tests": tests })).await;
            let failure = match result {
                Ok(reply) if reply.is_success() => None,
                Ok(reply) if list.len() > 1 && reply.status.as_u16() == 400 => {
                    open.push(list.split_off(list.len() / 2));
                    open.push(list);
                    continue;
                }
                Ok(reply) => Some(Failure::Refused(words_of(&reply))),
                Err(error) => Some(Failure::of(&error)),
            };
            done.extend(list.into_iter().map(|entry| (entry, failure.clone())));
        }
        done
    }

    /// Finds the runs of what was imported.
    async fn read_keys(&self, sent: Vec<Entry>, outcomes: &mut [Option<Outcome>]) {
        let mut executions: Vec<String> = sent.iter().map(|e| e.execution.clone()).collect();
        executions.sort();
        executions.dedup();
        let runs = if executions.is_empty() { Ok(vec![]) } else { self.runs_of(&executions).await };
        let runs = match runs {
            Ok(runs) => runs,
            Err(error) => {
                for entry in sent {
                    outcomes[entry.position] = Some(Outcome::Unknown { message: error.to_string() });
                }
                return;
            }
        };
        let runs: HashMap<(&str, &str), &Run> = runs.iter().filter_map(|r| Some((place(r)?, r))).collect();
        for entry in sent {
            let run = runs.get(&(entry.execution.as_str(), entry.test.as_str()));
            outcomes[entry.position] = Some(match run {
                Some(run) => Outcome::Done {
                    key: Key::from(run.id.as_str()),
                    revision: run.last_modified.clone(),
                    refused: entry.refused,
                },
                None => {
                    Outcome::Unknown { message: "the import was accepted and its run is not there".into() }
                }
            });
        }
    }

    /// Tells which results stand where and as they were to be created.
    pub(super) async fn find_results(&self, creates: &[Change]) -> Result<Vec<Vec<Key>>, Error> {
        let entries: Vec<Option<Entry>> =
            creates.iter().enumerate().map(|(n, c)| entry(n, c, &HashMap::new()).ok()).collect();
        let mut executions: Vec<String> = entries.iter().flatten().map(|e| e.execution.clone()).collect();
        executions.sort();
        executions.dedup();
        let runs = if executions.is_empty() { vec![] } else { self.runs_of(&executions).await? };
        let runs: HashMap<(&str, &str), &Run> = runs.iter().filter_map(|r| Some((place(r)?, r))).collect();
        let found = entries.iter().map(|entry| {
            let entry = entry.as_ref()?;
            let run = runs.get(&(entry.execution.as_str(), entry.test.as_str()))?;
            let wanted = entry.body.get("status").and_then(Value::as_str).unwrap_or_default();
            let status = run.status.as_ref().and_then(|s| s.name.as_deref()).unwrap_or_default();
            (status_id(status) == wanted).then(|| Key::from(run.id.as_str()))
        });
        Ok(found.map(|key| key.into_iter().collect()).collect())
    }
}

/// Returns the execution and the test of a run.
fn place(run: &Run) -> Option<(&str, &str)> {
    Some((run.test_execution.as_ref()?.issue_id.as_str(), run.test.as_ref()?.issue_id.as_str()))
}

/// Xray calls the status of what did not run by another name than its id.
fn status_id(name: &str) -> &str {
    if name.eq_ignore_ascii_case("TO DO") { "TODO" } else { name }
}

fn entry(position: usize, change: &Change, runs: &HashMap<&str, &Run>) -> Result<Entry, Outcome> {
    let rejected = |message: String| Outcome::Rejected { message };
    match &change.op {
        Op::Create { fields, references, .. } => {
            let end = |name: &str| {
                let named = references.iter().find(|r| r.relationship == name);
                let id = named.and_then(|r| r.targets.first()).map(Key::to_string);
                id.ok_or_else(|| rejected(format!("a result needs {name:?}")))
            };
            let (execution, test) = (end(TO_EXECUTION)?, end(TO_TEST)?);
            let (body, refused) = body(None, fields);
            Ok(Entry { position, execution, test, body, refused })
        }
        Op::Update { key, fields } => {
            let run = runs.get(key.as_str()).ok_or_else(|| rejected(format!("there is no run {key}")))?;
            if change.revision.is_some()
                && run.last_modified.is_some()
                && change.revision != run.last_modified
            {
                return Err(Outcome::ChangedMeanwhile);
            }
            let (execution, test) =
                place(run).ok_or_else(|| rejected(format!("run {key} names no execution or no test")))?;
            let (body, refused) = body(Some(run), fields);
            Ok(Entry { position, execution: execution.into(), test: test.into(), body, refused })
        }
        _ => Err(rejected("a result can only be created or updated".into())),
    }
}

/// Builds the import's object of a result.
fn body(run: Option<&Run>, fields: &[FieldWrite]) -> (Map<String, Value>, Vec<(String, String)>) {
    let mut body = Map::new();
    body.insert("status".into(), "TODO".into());
    if let Some(run) = run {
        let status = run.status.as_ref().and_then(|s| s.name.as_deref());
        body.insert("status".into(), status.map_or("TODO", status_id).into());
        let kept = [
            ("comment", &run.comment),
            ("start", &run.started_on),
            ("finish", &run.finished_on),
            ("executedBy", &run.executed_by_id),
            ("assignee", &run.assignee_id),
        ];
        for (name, value) in kept {
            if let Some(value) = value.as_deref().filter(|v| !v.is_empty()) {
                let time = ["start", "finish"].contains(&name).then(|| offset_time(value)).flatten();
                body.insert(name.into(), time.unwrap_or_else(|| value.to_owned()).into());
            }
        }
    }
    let mut refused = Vec::new();
    for write in fields {
        let text = match &write.value {
            WriteValue::Text(text) | WriteValue::Rich(text) => text.as_str(),
            _ => "",
        };
        match write.field.as_str() {
            "Status" => {
                body.insert("status".into(), status_id(text).into());
            }
            "Comment" => {
                body.insert("comment".into(), text.into());
            }
            "Executed By" => {
                body.insert("executedBy".into(), text.into());
            }
            name @ ("Started On" | "Finished On") => {
                let member = if name == "Started On" { "start" } else { "finish" };
                match offset_time(text) {
                    Some(time) => body.insert(member.into(), time.into()),
                    None => body.remove(member),
                };
            }
            name => refused.push((name.to_owned(), "a test run has no such field to write".into())),
        }
    }
    body.retain(|name, value| name != "executedBy" || value != "");
    (body, refused)
}

/// Writes an instant with an offset, as imports want it.
fn offset_time(text: &str) -> Option<String> {
    let at = instant(text)?;
    let whole = at.timestamp_subsec_millis() == 0;
    Some(at.format(if whole { "%Y-%m-%dT%H:%M:%S+00:00" } else { "%Y-%m-%dT%H:%M:%S%.3f+00:00" }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(field: &str, text: &str) -> FieldWrite {
        FieldWrite { field: field.into(), value: WriteValue::Text(text.into()) }
    }

    #[test]
    fn update_keeps_what_it_does_not_name() {
        let run: Run = serde_json::from_value(
            json!({ "id": "5f", "comment": "c", "startedOn": "2026-05-01T10:35:09.000Z",
            "status": { "name": "TO DO" }, "test": { "issueId": "2" }, "testExecution": { "issueId": "1" } }),
        )
        .expect("a run");
        let (body, refused) = body(Some(&run), &[write("Status", "PASSED"), write("Duration", "5")]);
        assert_eq!(
            Value::Object(body),
            json!({ "status": "PASSED", "comment": "c", "start": "2026-05-01T10:35:09+00:00" })
        );
        assert_eq!(refused.len(), 1);
    }

    #[test]
    fn name_of_the_first_status_becomes_its_id() {
        assert_eq!(body(None, &[write("Status", "TO DO")]).0["status"], json!("TODO"));
    }
}
