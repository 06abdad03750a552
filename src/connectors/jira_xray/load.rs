//! A batch of changes in, one outcome each out.
//!
//! A repeated create is recognised by its cross-reference fields: they travel in
//! the create body, so that an issue never exists without them, and [`find`] looks
//! for them among the issues made since, once the search index had time to show
//! them. Results are recognised by their place: a test has one run per execution.
//!
//! [`find`]: crate::connectors::Connector::find

use std::collections::HashMap;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use serde_json::{Map, Value, json};

use super::JiraXray;
use super::describe::Kind;
use super::graphql::{self, Document, Question};
use super::steps::wire_step;
use super::update::words_of;
use super::values::Form;
use super::wire::{self, BulkCreated};
use crate::connectors::ErrorKind;
use crate::http;
use crate::model::{Change, FieldWrite, Hop, Key, Op, Outcome, ReferenceWrite, Slot, Step, WriteValue};

/// Xray's limit of tests per import.
const IMPORT_MAX: usize = 1000;
/// Jira's limit of issues per create.
const BULK_CREATE: usize = 50;
/// The first wait for an import; each is twice the one before.
const POLL_FIRST: Duration = Duration::from_millis(250);
/// The longest wait between two looks at an import.
const POLL_MAX: Duration = Duration::from_secs(5);
/// Looks at one import: with the waits above this is an hour.
const POLLS_MAX: u32 = 720;
/// Attempts to start an import while another one of this user runs.
const IMPORT_STARTS_MAX: u32 = 40;
/// How long another import is waited for between two attempts.
const IMPORT_BUSY_WAIT: Duration = Duration::from_secs(15);
/// The test type whose definition is a list of steps.
const STEPS_TYPE: &str = "Manual";
/// Changes moved through the workflow at a time.
const MOVES_AT_ONCE: usize = 6;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server's words; nothing was written.
    Refused(String),
    /// It may or may not have happened.
    Unknown(String),
}

impl Failure {
    /// Judges an error of the transport.
    pub(super) fn of(error: &http::Error) -> Failure {
        if error.may_have_happened || error.is_retryable() {
            Failure::Unknown(error.to_string())
        } else {
            Failure::Refused(error.message.clone())
        }
    }

    pub(super) fn outcome(self) -> Outcome {
        match self {
            Failure::Refused(message) => Outcome::Rejected { message },
            Failure::Unknown(message) => Outcome::Unknown { message },
        }
    }
}

/// Judges an error of the transport.
pub(super) fn outcome_of(error: &http::Error) -> Outcome {
    Failure::of(error).outcome()
}

/// One create on its way.
struct New<'a> {
    body: Map<String, Value>,
    /// Field names by id, of what stands in the body.
    names: HashMap<String, String>,
    steps: &'a [Step],
    hops: &'a [Hop],
    references: &'a [ReferenceWrite],
    slots: &'a [Slot],
    refused: Vec<(String, String)>,
    made: Option<Result<String, Failure>>,
}

impl New<'_> {
    /// Lists the other ends of a relationship.
    fn targets(&self, relationship: &str) -> Vec<String> {
        let named = self.references.iter().filter(|r| r.relationship == relationship);
        named.flat_map(|r| &r.targets).map(|k| k.as_str().to_owned()).collect()
    }

    fn id(&self) -> Option<&str> {
        self.made.as_ref()?.as_ref().ok().map(String::as_str)
    }

    /// Takes the fields out of the body to which the server objects; tells whether
    /// there were any and it makes sense to try again.
    fn give_up(&mut self, errors: &Map<String, Value>) -> bool {
        let needed = ["project", "issuetype", "summary"];
        let wrong: Vec<&String> = errors.keys().filter(|id| self.body.contains_key(*id)).collect();
        if wrong.is_empty() || wrong.iter().any(|id| needed.contains(&id.as_str())) {
            return false;
        }
        for id in wrong {
            self.body.remove(id);
            let name = self.names.get(id).unwrap_or(id).clone();
            self.refused.push((name, errors.get(id).map(wire::plain).unwrap_or_default()));
        }
        true
    }

    fn outcome(self) -> Outcome {
        match self.made {
            Some(Ok(id)) => Outcome::Done { key: Key::new(id), revision: None, refused: self.refused },
            Some(Err(failure)) => failure.outcome(),
            None => Outcome::Rejected { message: "it was not sent".into() },
        }
    }
}

impl JiraXray {
    pub(super) async fn apply_all(&self, changes: &[Change]) -> Vec<Outcome> {
        let Some(first) = changes.first() else { return Vec::new() };
        let kind = Kind::of_artifact(&first.artifact);
        match (&first.op, kind) {
            (Op::Create { .. } | Op::Update { .. }, None) if first.artifact == "Test Run" => {
                self.write_results(changes).await
            }
            (Op::Create { .. }, Some(kind)) => self.create(kind, changes).await,
            (Op::Update { .. }, Some(kind)) => self.update_issues(kind, changes).await,
            (Op::Remove { .. }, Some(_)) => self.remove(changes).await,
            (Op::Relate { .. }, Some(_)) => self.relate(changes).await,
            (Op::OpenSlots { .. }, Some(Kind::TestExecutions)) => self.open_slots(changes).await,
            _ => {
                let message = format!("artifact {:?} cannot be changed like this", first.artifact);
                vec![Outcome::Rejected { message }; changes.len()]
            }
        }
    }

    async fn create(&self, kind: Kind, changes: &[Change]) -> Vec<Outcome> {
        let mut news = Vec::with_capacity(changes.len());
        for change in changes {
            news.push(self.prepare(kind, change).await);
        }
        match kind {
            Kind::Tests => self.import_all(&mut news).await,
            Kind::Bugs | Kind::Requirements => self.create_in_jira(&mut news).await,
            _ => self.create_in_xray(kind, &mut news).await,
        }
        self.finish(kind, &mut news).await;
        news.into_iter().map(New::outcome).collect()
    }

    /// Builds the create body of a change.
    async fn prepare<'a>(&self, kind: Kind, change: &'a Change) -> New<'a> {
        let (fields, references, slots): (&[FieldWrite], &[ReferenceWrite], &[Slot]) = match &change.op {
            Op::Create { fields, references, slots } => (fields, references, slots),
            _ => (&[], &[], &[]),
        };
        let mut new = New {
            body: Map::new(),
            names: HashMap::new(),
            steps: &[],
            hops: &[],
            references,
            slots,
            refused: Vec::new(),
            made: None,
        };
        // Xray takes formatted text as wiki markup, Jira's own create as a document.
        let form = if kind.in_xray() { Form::Wiki } else { Form::Document };
        new.body.insert("project".into(), json!({ "key": change.project }));
        if !kind.in_xray() {
            new.body.insert("issuetype".into(), json!({ "name": change.artifact }));
        }
        for write in fields {
            match &write.value {
                WriteValue::Steps(steps) => new.steps = steps,
                WriteValue::Transitions(hops) => new.hops = hops,
                WriteValue::Empty => {}
                _ => match self.field_value(write, form).await {
                    Ok((id, value)) => {
                        new.names.insert(id.clone(), write.field.clone());
                        new.body.insert(id, value);
                    }
                    Err(words) => new.refused.push((write.field.clone(), words)),
                },
            }
        }
        if let Some(parent) = new.targets("Parent Link").into_iter().next() {
            new.body.insert("parent".into(), json!({ "id": parent }));
        }
        new
    }

    /// Imports tests; those to whose fields Jira objects are imported once more
    /// without these fields.
    async fn import_all(&self, news: &mut [New<'_>]) {
        for attempt in 0..2 {
            let mut open: Vec<&mut New<'_>> = news.iter_mut().filter(|n| n.made.is_none()).collect();
            for batch in open.chunks_mut(IMPORT_MAX) {
                self.import(batch, attempt == 0).await;
            }
        }
    }

    async fn import(&self, batch: &mut [&mut New<'_>], again: bool) {
        let elements: Vec<Value> = batch
            .iter()
            .map(|new| {
                let steps: Vec<Value> = new.steps.iter().map(wire_step).collect();
                json!({ "testtype": STEPS_TYPE, "fields": new.body, "steps": steps })
            })
            .collect();
        let result = match self.run_import(&json!(elements)).await {
            Ok(result) => result,
            Err(failure) => {
                batch.iter_mut().for_each(|new| new.made = Some(Err(failure.clone())));
                return;
            }
        };
        for issue in result.issues {
            if let Some(new) = batch.get_mut(issue.element_number) {
                if let (Ok(mut keys), Some(key)) = (self.keys.lock(), issue.key) {
                    keys.insert(issue.id.clone(), key);
                }
                new.made = Some(Ok(issue.id));
            }
        }
        for error in result.errors {
            let Some(new) = batch.get_mut(error.element_number) else { continue };
            let retry = again && error.errors.as_object().is_some_and(|errors| new.give_up(errors));
            if !retry && new.made.is_none() {
                new.made = Some(Err(Failure::Refused(element_words(&error.errors))));
            }
        }
        let lost = "the import ended without a word about this test";
        for new in batch.iter_mut().filter(|new| new.made.is_none() && (!again || new.refused.is_empty())) {
            new.made = Some(Err(Failure::Unknown(lost.into())));
        }
    }

    /// Runs one import from start to end.
    async fn run_import(&self, elements: &Value) -> Result<wire::JobResult, Failure> {
        let _one_at_a_time = self.importing.lock().await;
        let job = self.start_import(elements).await?;
        let mut wait = POLL_FIRST;
        for _ in 0..POLLS_MAX {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(POLL_MAX);
            let status = self.client.import_status(&job).await;
            let status = status.map_err(|e| Failure::Unknown(format!("import {job}: {e}")))?;
            match (status.status.as_str(), status.result) {
                ("pending" | "working", _) => {}
                (_, Some(result)) => return Ok(result),
                (word, None) => return Err(Failure::Unknown(format!("import {job} ended as {word}"))),
            }
        }
        Err(Failure::Unknown(format!("import {job} did not end in time")))
    }

    async fn start_import(&self, elements: &Value) -> Result<String, Failure> {
        for _ in 0..IMPORT_STARTS_MAX {
            let reply = self.client.import_tests(elements).await.map_err(|e| Failure::of(&e))?;
            if reply.is_success() {
                let job = reply.json::<wire::Job>().map_err(|e| Failure::Unknown(e.to_string()))?;
                return Ok(job.job_id);
            }
            let words = reply.words();
            if !words.to_lowercase().contains("already in progress") {
                return Err(Failure::Refused(words));
            }
            tokio::time::sleep(IMPORT_BUSY_WAIT).await;
        }
        Err(Failure::Refused("another import of tests by this user does not end".into()))
    }

    async fn create_in_jira(&self, news: &mut [New<'_>]) {
        for attempt in 0..2 {
            let mut open: Vec<&mut New<'_>> = news.iter_mut().filter(|n| n.made.is_none()).collect();
            for batch in open.chunks_mut(BULK_CREATE) {
                self.bulk_create(batch, attempt == 0).await;
            }
        }
    }

    async fn bulk_create(&self, batch: &mut [&mut New<'_>], again: bool) {
        let updates: Vec<Value> = batch.iter().map(|new| json!({ "fields": new.body })).collect();
        let reply = match self.client.create_issues(&json!({ "issueUpdates": updates })).await {
            Ok(reply) => reply,
            Err(error) => {
                batch.iter_mut().for_each(|new| new.made = Some(Err(Failure::of(&error))));
                return;
            }
        };
        let answer = reply.json::<BulkCreated>().unwrap_or_default();
        if answer.issues.len() + answer.errors.len() != batch.len() {
            let failure = match reply.is_success() {
                true => Failure::Unknown("the answer does not tell what became of each issue".into()),
                false => Failure::Refused(words_of(&reply)),
            };
            batch.iter_mut().for_each(|new| new.made = Some(Err(failure.clone())));
            return;
        }
        let mut failed: HashMap<usize, wire::ErrorBody> =
            answer.errors.into_iter().map(|e| (e.failed_element_number, e.element_errors)).collect();
        // Successes stand in order, with the failures left out.
        let mut made = answer.issues.into_iter();
        for (number, new) in batch.iter_mut().enumerate() {
            match failed.remove(&number) {
                Some(body) if again && new.give_up(&body.errors) => {}
                Some(body) => new.made = Some(Err(Failure::Refused(body.words()))),
                None => new.made = made.next().map(|issue| Ok(issue.id)),
            }
        }
    }

    /// Creates sets, plans and executions, several per document.
    async fn create_in_xray(&self, kind: Kind, news: &mut [New<'_>]) {
        let (part, place) = match kind {
            Kind::TestSets => (graphql::CREATE_TEST_SET, "/testSet/issueId"),
            Kind::TestPlans => (graphql::CREATE_TEST_PLAN, "/testPlan/issueId"),
            _ => (graphql::CREATE_TEST_EXECUTION, "/testExecution/issueId"),
        };
        let parts = news
            .iter()
            .map(|new| {
                let jira = json!({ "fields": new.body });
                if kind != Kind::TestExecutions {
                    return (part, vec![json!(new.targets("tests")), jira]);
                }
                let tests: Vec<&str> = new.slots.iter().map(|s| s.case.as_str()).collect();
                (part, vec![json!(tests), json!(environments(new.slots)), jira])
            })
            .collect();
        let answers = self.mutate(parts, "creating issues", 2).await;
        for (new, answer) in news.iter_mut().zip(answers) {
            new.made = Some(answer.and_then(|made| {
                let id = made.pointer(place).and_then(Value::as_str).map(str::to_owned);
                let warnings = made.get("warnings").and_then(Value::as_array);
                for words in warnings.into_iter().flatten() {
                    new.refused.push(("tests".into(), wire::plain(words)));
                }
                id.ok_or_else(|| Failure::Unknown("the answer names no issue".into()))
            }));
        }
    }

    /// Does what cannot be part of a create: links and the way to the status.
    async fn finish(&self, kind: Kind, news: &mut [New<'_>]) {
        if kind == Kind::TestExecutions {
            let links: Vec<(usize, String, String)> = news
                .iter()
                .enumerate()
                .filter_map(|(n, new)| Some((n, new.id()?.to_owned(), new.targets("Test Plan"))))
                .flat_map(|(n, id, plans)| plans.into_iter().map(move |plan| (n, plan, id.clone())))
                .collect();
            for (number, failure) in self.add_to_plans(links).await {
                let (Failure::Refused(words) | Failure::Unknown(words)) = failure;
                news[number].refused.push(("Test Plan".into(), words));
            }
        }
        let moves = news.iter().enumerate().filter_map(|(n, new)| Some((n, new.id()?.to_owned(), new.hops)));
        let moves: Vec<(usize, String, &[Hop])> = moves.filter(|(_, _, hops)| !hops.is_empty()).collect();
        let moves: Vec<_> = moves.into_iter().map(|(n, id, hops)| self.move_new(n, id, hops)).collect();
        let moved: Vec<(usize, Result<(), Failure>)> =
            stream::iter(moves).buffer_unordered(MOVES_AT_ONCE).collect().await;
        for (number, result) in moved {
            if let Err(Failure::Refused(words) | Failure::Unknown(words)) = result {
                news[number].refused.push(("Status".into(), words));
            }
        }
    }

    async fn move_new(&self, number: usize, id: String, hops: &[Hop]) -> (usize, Result<(), Failure>) {
        for hop in hops {
            if let Err(failure) = self.hop(&id, hop).await {
                return (number, Err(failure));
            }
        }
        (number, Ok(()))
    }

    /// Sends mutations, packed into documents, and answers in their order. Parts of
    /// one document run in order; documents do only with `at_once` of 1.
    pub(super) async fn mutate(
        &self,
        parts: Vec<Question>,
        operation: &'static str,
        at_once: usize,
    ) -> Vec<Result<Value, Failure>> {
        stream::iter(Document::pack(parts))
            .map(|document| async move { self.mutate_one(&document, operation).await })
            .buffered(at_once)
            .flat_map(stream::iter)
            .collect()
            .await
    }

    async fn mutate_one(&self, document: &Document, operation: &'static str) -> Vec<Result<Value, Failure>> {
        let graph = match self.client.graphql(document, operation).await {
            Ok((graph, _)) => graph,
            Err(error) => return vec![Err(Failure::of(&error)); document.len()],
        };
        (0..document.len())
            .map(|number| {
                let alias = graphql::alias(number);
                match (graph.part(&alias), graph.error_of(&alias)) {
                    (Some(value), _) => Ok(value.clone()),
                    (None, Some(words)) => Err(Failure::Refused(words)),
                    (None, None) => Err(Failure::Unknown("the answer lacks this part".into())),
                }
            })
            .collect()
    }

    /// Names the account, for messages.
    pub(super) async fn me(&self) -> String {
        match self.account().await {
            Ok(me) if !me.account_name.is_empty() => me.account_name.clone(),
            Ok(me) => me.account.clone(),
            Err(error) if error.kind == ErrorKind::Settings => "an account that is not signed in".into(),
            Err(_) => "our account".into(),
        }
    }
}

/// Lists the test environments that slots ask for.
pub(super) fn environments(slots: &[Slot]) -> Vec<&str> {
    let mut names: Vec<&str> =
        slots.iter().filter_map(|s| s.configuration.as_deref()).filter(|c| !c.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Joins the words about an element of an import.
fn element_words(errors: &Value) -> String {
    match errors.as_object() {
        Some(fields) => {
            fields.iter().map(|(f, w)| format!("{f}: {}", wire::plain(w))).collect::<Vec<_>>().join("; ")
        }
        None => wire::plain(errors),
    }
}
