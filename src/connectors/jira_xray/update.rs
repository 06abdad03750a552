//! Edits of issues: fields first, then steps, then the way through the workflow.
//!
//! Jira has no conditional write, so the issue is read again just before and the
//! write is left out if it moved. A closed issue may refuse edits; where the
//! change leads out of that status, the edit is tried again after the first hop.

use std::collections::HashMap;

use futures::stream::{self, StreamExt};
use serde_json::{Map, Value, json};

use super::JiraXray;
use super::describe::Kind;
use super::graphql::{self, LIMIT};
use super::load::{Failure, outcome_of};
use super::rows::{model_step, revision};
use super::steps::edits;
use super::values::{Form, to_json};
use super::wire::{self, Connection, ErrorBody, Issue};
use super::xray::parse;
use crate::connectors::Error;
use crate::http::Reply;
use crate::model::{Change, FieldWrite, Hop, Key, Op, Outcome, Step, WriteValue};

/// Issues edited at a time; Jira allows 50 edits a second.
const EDITS_AT_ONCE: usize = 6;

/// One change on its way.
struct Work<'a> {
    position: usize,
    change: &'a Change,
    id: &'a str,
    fields: Vec<&'a FieldWrite>,
    steps: Option<&'a [Step]>,
    hops: &'a [Hop],
    refused: Vec<(String, String)>,
    revision: Option<String>,
    /// The words with which the fields, or the steps, were refused as a whole.
    fields_later: Option<String>,
    steps_later: Option<String>,
    wrote: bool,
    end: Option<Outcome>,
}

impl<'a> Work<'a> {
    fn new(position: usize, change: &'a Change) -> Option<Work<'a>> {
        let Op::Update { key, fields } = &change.op else { return None };
        let mut work = Work {
            position,
            change,
            id: key.as_str(),
            fields: Vec::new(),
            steps: None,
            hops: &[],
            refused: Vec::new(),
            revision: None,
            fields_later: None,
            steps_later: None,
            wrote: false,
            end: None,
        };
        for field in fields {
            match &field.value {
                WriteValue::Steps(steps) => work.steps = Some(steps),
                WriteValue::Transitions(hops) => work.hops = hops,
                WriteValue::Empty if field.field == "Steps" => work.steps = Some(&[]),
                _ => work.fields.push(field),
            }
        }
        Some(work)
    }

    fn outcome(self) -> Outcome {
        if let Some(end) = self.end {
            return end;
        }
        // A status that was not reached alone leaves the rest of the artifact in order.
        let nothing_else = self.hops.is_empty() || self.refused.len() > 1;
        match self.refused.first() {
            Some((_, message)) if !self.wrote && nothing_else => {
                return Outcome::Rejected { message: message.clone() };
            }
            _ => {}
        }
        Outcome::Done { key: Key::from(self.id), revision: self.revision, refused: self.refused }
    }
}

impl JiraXray {
    pub(super) async fn update_issues(&self, kind: Kind, changes: &[Change]) -> Vec<Outcome> {
        let mut works: Vec<Work<'_>> =
            changes.iter().enumerate().filter_map(|(n, c)| Work::new(n, c)).collect();
        let current = match self.guard(kind, &mut works).await {
            Ok(current) => current,
            Err(error) => return vec![Outcome::Unknown { message: error.to_string() }; changes.len()],
        };
        works = self.each(works, |work| self.write_fields(work)).await;
        self.write_steps(&mut works, &current).await;
        works = self.each(works, |work| self.move_along(work, &current)).await;
        let mut outcomes = vec![Outcome::Rejected { message: "not an update".into() }; changes.len()];
        for work in works {
            let position = work.position;
            outcomes[position] = work.outcome();
        }
        outcomes
    }

    /// Does one thing to every change that did not end, several at a time.
    async fn each<'a, F: Future<Output = Work<'a>>>(
        &self,
        works: Vec<Work<'a>>,
        act: impl Fn(Work<'a>) -> F,
    ) -> Vec<Work<'a>> {
        let (open, ended): (Vec<_>, Vec<_>) = works.into_iter().partition(|w| w.end.is_none());
        let acts: Vec<F> = open.into_iter().map(act).collect();
        let mut all: Vec<Work<'a>> = stream::iter(acts).buffer_unordered(EDITS_AT_ONCE).collect().await;
        all.extend(ended);
        all
    }

    /// Reads the issues again and ends what changed since it was read. Returns the
    /// current steps of the tests whose steps are to be written.
    async fn guard(&self, kind: Kind, works: &mut [Work<'_>]) -> Result<HashMap<String, Vec<Step>>, Error> {
        let ids: Vec<String> = works.iter().map(|w| w.id.to_owned()).collect();
        let (issues, _) = self.fetch(&ids, &["updated", "status"]).await?;
        let issues: HashMap<&str, &Issue> = issues.iter().map(|i| (i.id.as_str(), i)).collect();
        let with_steps: Vec<String> =
            works.iter().filter(|w| w.steps.is_some()).map(|w| w.id.to_owned()).collect();
        let tests = if kind == Kind::Tests { self.current_steps(&with_steps).await? } else { HashMap::new() };
        for work in works {
            let Some(issue) = issues.get(work.id) else {
                let message = format!("issue {} does not exist or we may not see it", work.id);
                work.end = Some(Outcome::Rejected { message });
                continue;
            };
            let updated = issue.text("updated").unwrap_or_default();
            let test = tests.get(work.id);
            if work.steps.is_some() && test.is_none() {
                let message = format!("Xray does not know issue {} as a test", work.id);
                work.end = Some(Outcome::Rejected { message });
                continue;
            }
            work.revision = Some(revision(updated, test.and_then(|t| t.last_modified.as_deref())));
            let moved = work.change.revision.as_deref().is_some_and(|read| {
                let mut read = read.split(' ');
                let modified = test.and_then(|t| t.last_modified.as_deref());
                read.next() != Some(updated) || modified.is_some_and(|m| read.next().is_some_and(|r| r != m))
            });
            if moved {
                work.end = Some(Outcome::ChangedMeanwhile);
            }
        }
        let steps = |test: wire::Test| test.steps.iter().flatten().map(model_step).collect();
        Ok(tests.into_iter().map(|(id, test)| (id, steps(test))).collect())
    }

    async fn current_steps(&self, ids: &[String]) -> Result<HashMap<String, wire::Test>, Error> {
        let parts = ids.chunks(LIMIT).map(|chunk| (graphql::TEST_STEPS, vec![json!(chunk)])).collect();
        let (answers, _) = self.ask_xray(parts, "reading steps").await?;
        let mut tests = HashMap::new();
        for answer in answers {
            let page = parse::<Connection<wire::Test>>(answer)?.into_items();
            tests.extend(page.into_iter().map(|t| (t.issue_id.clone(), t)));
        }
        Ok(tests)
    }

    async fn write_fields<'a>(&self, mut work: Work<'a>) -> Work<'a> {
        work.fields_later = None;
        let mut body = Map::new();
        let mut names: HashMap<String, &str> = HashMap::new();
        for write in &work.fields {
            match self.field_value(write, Form::Document).await {
                Ok((id, value)) => {
                    names.insert(id.clone(), &write.field);
                    body.insert(id, value);
                }
                Err(words) => work.refused.push((write.field.clone(), words)),
            }
        }
        // Once with all fields, and once more without those that were refused.
        while !body.is_empty() {
            let reply = match self.client.edit_issue(work.id, &json!({ "fields": body })).await {
                Ok(reply) => reply,
                Err(error) => {
                    work.end = Some(outcome_of(&error));
                    return work;
                }
            };
            if reply.is_success() {
                work.wrote = true;
                let issue = reply.json::<Issue>().ok();
                work.revision = issue.and_then(|i| revision_after(work.change, i.text("updated")?));
                return work;
            }
            if reply.status.as_u16() == 409 {
                work.end = Some(Outcome::ChangedMeanwhile);
                return work;
            }
            let errors = reply.json::<ErrorBody>().unwrap_or_default();
            let wrong: Vec<String> =
                errors.errors.keys().filter(|id| body.contains_key(*id)).cloned().collect();
            if wrong.is_empty() {
                work.fields_later = Some(words_of(&reply));
                return work;
            }
            for id in wrong {
                body.remove(&id);
                let name = names.get(&id).copied().unwrap_or(&id).to_owned();
                work.refused.push((name, errors.errors.get(&id).map(wire::plain).unwrap_or_default()));
            }
        }
        work
    }

    /// Turns a field's name and value into Jira's id and value.
    pub(super) async fn field_value(
        &self,
        write: &FieldWrite,
        form: Form,
    ) -> Result<(String, Value), String> {
        let fields = self.fields().await.map_err(|e| e.to_string())?;
        let field = fields
            .by_name(&write.field)
            .ok_or_else(|| format!("this site has no field {:?}", write.field))?;
        Ok((field.id.clone(), to_json(field, &write.value, form)?))
    }

    /// Writes the steps of all tests, with as few documents as possible.
    async fn write_steps(&self, works: &mut [Work<'_>], current: &HashMap<String, Vec<Step>>) {
        let mut parts = Vec::new();
        let mut owners = Vec::new();
        for (index, work) in works.iter().enumerate().filter(|(_, w)| w.end.is_none()) {
            let Some((wanted, steps)) = work.steps.zip(current.get(work.id)) else { continue };
            for edit in edits(steps, wanted) {
                parts.push(edit.part(work.id));
                owners.push(index);
            }
        }
        let answers = self.mutate(parts, "writing steps", 1).await;
        for (index, answer) in owners.into_iter().zip(answers) {
            let work = &mut works[index];
            match answer {
                Ok(_) => work.wrote = true,
                Err(Failure::Refused(words)) => work.steps_later = Some(words),
                Err(Failure::Unknown(message)) => work.end = Some(Outcome::Unknown { message }),
            }
            // Xray does not tell when it changed the test, so the revision is unknown.
            work.revision = None;
        }
    }

    /// Moves an issue to its goal and makes up for what was refused before.
    async fn move_along<'a>(&self, mut work: Work<'a>, current: &HashMap<String, Vec<Step>>) -> Work<'a> {
        for (number, hop) in work.hops.iter().enumerate() {
            match self.hop(work.id, hop).await {
                Ok(()) => {
                    work.wrote = true;
                    work.revision = None;
                }
                Err(Failure::Refused(words)) => {
                    work.refused.push(("Status".into(), words));
                    break;
                }
                Err(Failure::Unknown(message)) => {
                    work.end = Some(Outcome::Unknown { message });
                    return work;
                }
            }
            if number == 0 {
                work = self.make_up(work, current).await;
                if work.end.is_some() {
                    return work;
                }
            }
        }
        if let Some(words) = work.fields_later.take() {
            let refused = work.fields.iter().map(|f| (f.field.clone(), words.clone()));
            let known: Vec<_> = refused.filter(|(f, _)| !work.refused.iter().any(|(r, _)| r == f)).collect();
            work.refused.extend(known);
        }
        if let Some(words) = work.steps_later.take() {
            work.refused.push(("Steps".into(), words));
        }
        work
    }

    async fn make_up<'a>(&self, mut work: Work<'a>, current: &HashMap<String, Vec<Step>>) -> Work<'a> {
        if work.fields_later.is_some() {
            work.refused.clear();
            work = self.write_fields(work).await;
            work.revision = None;
        }
        if work.end.is_none() && work.steps_later.take().is_some() {
            let mut one = [work];
            self.write_steps(&mut one, current).await;
            [work] = one;
        }
        work
    }

    /// Deletes issues whose counterpart is gone. Jira has no recycle bin, so that only what
    /// may be destroyed is deleted.
    pub(super) async fn remove(&self, changes: &[Change]) -> Vec<Outcome> {
        let remove = async |change: &Change| {
            let Op::Remove { key, destroy } = &change.op else {
                return Outcome::Rejected { message: "not a removal".into() };
            };
            if !destroy {
                let message =
                    "Jira has no recycle bin, so that issues are deleted only with `destroy: true`; \
                               `policy: mark` keeps them"
                        .to_owned();
                return Outcome::Rejected { message };
            }
            match self.client.delete_issue(key.as_str()).await {
                // What is not there any more need not be deleted.
                Ok(reply) if reply.is_success() || reply.status.as_u16() == 404 => {
                    Outcome::Done { key: key.clone(), revision: None, refused: Vec::new() }
                }
                Ok(reply) => Outcome::Rejected { message: words_of(&reply) },
                Err(error) => outcome_of(&error),
            }
        };
        let all: Vec<_> = changes.iter().map(remove).collect();
        stream::iter(all).buffered(EDITS_AT_ONCE).collect().await
    }

    /// Carries out one hop.
    pub(super) async fn hop(&self, id: &str, hop: &Hop) -> Result<(), Failure> {
        let offered = self.client.transitions(id).await.map_err(|e| Failure::Refused(e.message))?;
        let leads: Vec<&wire::Transition> =
            offered.iter().filter(|t| t.to.name.eq_ignore_ascii_case(&hop.to)).collect();
        let named = leads.iter().find(|t| t.name.eq_ignore_ascii_case(&hop.name));
        let Some(transition) = named.or(leads.first()) else {
            let who = self.me().await;
            return Err(Failure::Refused(format!(
                "transition {:?} to {:?} is not offered to {who}: condition, permission or screen",
                hop.name, hop.to
            )));
        };
        let mut fields = Map::new();
        for (name, text) in &hop.fields {
            let write = FieldWrite { field: name.clone(), value: WriteValue::Text(text.clone()) };
            let (id, value) = match self.field_value(&write, Form::Document).await {
                Ok(found) => found,
                Err(words) => return Err(Failure::Refused(words)),
            };
            // Only what the transition's screen shows may be sent.
            if transition.fields.contains_key(&id) {
                fields.insert(id, value);
            }
        }
        let mut body = json!({ "transition": { "id": transition.id } });
        if !fields.is_empty() {
            body["fields"] = Value::Object(fields);
        }
        match self.client.transition(id, &body).await {
            Ok(reply) if reply.is_success() => Ok(()),
            Ok(reply) => Err(Failure::Refused(words_of(&reply))),
            Err(error) => Err(Failure::of(&error)),
        }
    }
}

/// Builds the revision that an edit in Jira left. Xray's part of it did not move,
/// and is unknown where the change does not say what was read.
fn revision_after(change: &Change, updated: &str) -> Option<String> {
    let read = change.revision.as_deref().and_then(|r| r.split_once(' ')).map(|(_, modified)| modified);
    let in_xray = Kind::of_artifact(&change.artifact).is_some_and(Kind::in_xray);
    (read.is_some() || !in_xray).then(|| revision(updated, read))
}

/// Returns Jira's words about a refusal.
pub(super) fn words_of(reply: &Reply) -> String {
    let words = reply.json::<ErrorBody>().map(|body| body.words()).unwrap_or_default();
    if words.is_empty() { reply.words() } else { words }
}
