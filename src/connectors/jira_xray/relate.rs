//! Memberships and links: additions and removals, many per request.

use std::collections::{BTreeMap, HashMap};

use futures::stream::{self, StreamExt};
use serde_json::{Value, json};

use super::JiraXray;
use super::graphql::{self, Part};
use super::load::Failure;
use super::update::words_of;
use super::wire::Link;
use crate::http;
use crate::http::Reply;
use crate::model::{Change, Key, Op, Outcome};

/// Ids per mutation; keeps one refused mutation small.
const IDS: usize = 500;
/// Sets linked at a time.
const LINKS_AT_ONCE: usize = 6;
/// The link type whose inward end sets hold.
const RELATES: &str = "Relates";

/// One relation on its way, with what was refused of it.
struct Ends<'a> {
    key: &'a Key,
    relationship: &'a str,
    add: &'a [Key],
    remove: &'a [Key],
    refused: Vec<String>,
    unknown: Option<String>,
    done: bool,
}

impl Ends<'_> {
    fn note(&mut self, result: Result<Option<String>, Failure>) {
        match result {
            Ok(warning) => {
                self.done = true;
                self.refused.extend(warning);
            }
            Err(Failure::Refused(words)) => self.refused.push(words),
            Err(Failure::Unknown(words)) => self.unknown = Some(words),
        }
    }

    fn outcome(self) -> Outcome {
        if let Some(message) = self.unknown {
            return Outcome::Unknown { message };
        }
        let words = self.refused.join("; ");
        if !self.done && !words.is_empty() {
            return Outcome::Rejected { message: words };
        }
        let refused = if words.is_empty() { vec![] } else { vec![(self.relationship.to_owned(), words)] };
        Outcome::Done { key: self.key.clone(), revision: None, refused }
    }
}

impl JiraXray {
    pub(super) async fn relate(&self, changes: &[Change]) -> Vec<Outcome> {
        let mut all = Vec::with_capacity(changes.len());
        for change in changes {
            let Op::Relate { key, relationship, add, remove } = &change.op else { continue };
            let relationship = relationship.as_str();
            all.push(Ends { key, relationship, add, remove, refused: vec![], unknown: None, done: false });
        }
        let artifact = changes.first().map(|c| c.artifact.as_str()).unwrap_or_default();
        let members = |part, parts| self.write_members(part, parts);
        let relationship = all.first().map(|e| e.relationship).unwrap_or_default();
        if all.iter().any(|e| e.relationship != relationship) {
            // One call per relationship, so that each can be packed by itself.
            return self.relate_each(changes).await;
        }
        match (artifact, relationship) {
            ("Test Plan", "tests") => {
                members((graphql::ADD_TESTS_TO_PLAN, graphql::REMOVE_TESTS_FROM_PLAN), &mut all).await;
            }
            ("Test Set", "tests") => {
                members((graphql::ADD_TESTS_TO_SET, graphql::REMOVE_TESTS_FROM_SET), &mut all).await;
            }
            ("Test Execution", "Test Plan") => self.write_plans(&mut all).await,
            ("Test Set", "relates to (in)") => self.write_links(&mut all).await,
            ("Test", "Parent Link") => self.write_parents(&mut all).await,
            _ => {
                let words = format!("relationship {relationship:?} of {artifact} cannot be written");
                all.iter_mut().for_each(|e| e.refused.push(words.clone()));
            }
        }
        all.into_iter().map(Ends::outcome).collect()
    }

    async fn relate_each(&self, changes: &[Change]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in changes {
            outcomes.extend(Box::pin(self.relate(std::slice::from_ref(change))).await);
        }
        outcomes
    }

    /// Adds tests to, and removes them from, plans or sets.
    async fn write_members(&self, (add, remove): (Part, Part), all: &mut [Ends<'_>]) {
        let mut parts = Vec::new();
        let mut owners = Vec::new();
        for (index, ends) in all.iter().enumerate() {
            for (part, ids) in [(add, ends.add), (remove, ends.remove)] {
                for chunk in ids.chunks(IDS) {
                    let ids: Vec<&str> = chunk.iter().map(Key::as_str).collect();
                    parts.push((part, vec![json!(ends.key.as_str()), json!(ids)]));
                    owners.push(index);
                }
            }
        }
        let answers = self.mutate(parts, "writing memberships", 2).await;
        for (index, answer) in owners.into_iter().zip(answers) {
            all[index].note(answer.map(|value| warning(&value)));
        }
    }

    /// Puts executions into plans and takes them out, one mutation per plan.
    async fn write_plans(&self, all: &mut [Ends<'_>]) {
        let wanted = |of: for<'e> fn(&'e Ends<'_>) -> &'e [Key], all: &[Ends<'_>]| {
            let mut list = Vec::new();
            for (index, ends) in all.iter().enumerate() {
                let plans = of(ends).iter().map(|plan| (index, plan.to_string(), ends.key.to_string()));
                list.extend(plans);
            }
            list
        };
        let (add, remove) = (wanted(|e| e.add, all), wanted(|e| e.remove, all));
        all.iter_mut().for_each(|e| e.done = true);
        let added = self.plan_members(graphql::ADD_EXECUTIONS_TO_PLAN, add).await;
        let removed = self.plan_members(graphql::REMOVE_EXECUTIONS_FROM_PLAN, remove).await;
        for (index, failure) in added.into_iter().chain(removed) {
            all[index].done = false;
            all[index].note(Err(failure));
        }
    }

    /// Puts executions into plans; the number of each that failed comes back.
    pub(super) async fn add_to_plans(&self, links: Vec<(usize, String, String)>) -> Vec<(usize, Failure)> {
        self.plan_members(graphql::ADD_EXECUTIONS_TO_PLAN, links).await
    }

    async fn plan_members(&self, part: Part, links: Vec<(usize, String, String)>) -> Vec<(usize, Failure)> {
        let mut by_plan: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
        for (number, plan, execution) in links {
            by_plan.entry(plan).or_default().push((number, execution));
        }
        let groups: Vec<(String, Vec<(usize, String)>)> = by_plan
            .into_iter()
            .flat_map(|(plan, list)| list.chunks(IDS).map(|c| (plan.clone(), c.to_vec())).collect::<Vec<_>>())
            .collect();
        let parts = groups
            .iter()
            .map(|(plan, list)| {
                let ids: Vec<&String> = list.iter().map(|(_, id)| id).collect();
                (part, vec![json!(plan), json!(ids)])
            })
            .collect();
        let answers = self.mutate(parts, "writing executions of plans", 2).await;
        let mut failed = Vec::new();
        for ((_, list), answer) in groups.into_iter().zip(answers) {
            let failure = match answer {
                Ok(value) => warning(&value).map(Failure::Refused),
                Err(failure) => Some(failure),
            };
            if let Some(failure) = failure {
                failed.extend(list.into_iter().map(|(number, _)| (number, failure.clone())));
            }
        }
        failed
    }

    /// Links sets with what stands at the inward end. The issue that a create
    /// calls `inwardIssue` is the one that the *other* issue then shows as inward.
    async fn write_links(&self, all: &mut [Ends<'_>]) {
        let leaving: Vec<String> =
            all.iter().filter(|e| !e.remove.is_empty()).map(|e| e.key.to_string()).collect();
        let shown = match self.fetch(&leaving, &["issuelinks"]).await {
            Ok((issues, _)) => issues,
            Err(error) => {
                all.iter_mut().for_each(|e| e.refused.push(error.to_string()));
                return;
            }
        };
        let shown: HashMap<&str, Vec<Link>> = shown.iter().map(|i| (i.id.as_str(), i.links())).collect();
        let write = |ends| self.write_links_of(ends, &shown);
        stream::iter(all.iter_mut()).for_each_concurrent(LINKS_AT_ONCE, write).await;
    }

    async fn write_links_of(&self, ends: &mut Ends<'_>, shown: &HashMap<&str, Vec<Link>>) {
        for target in ends.add {
            ends.note(judge(self.client.link(RELATES, target.as_str(), ends.key.as_str()).await));
        }
        for target in ends.remove {
            let links = shown.get(ends.key.as_str()).into_iter().flatten();
            let wanted = |l: &&Link| l.inward && l.link_type == RELATES && l.other_id == target.as_str();
            match links.into_iter().find(wanted) {
                Some(link) => match self.client.unlink(&link.id).await {
                    Ok(reply) if reply.status.as_u16() == 404 => ends.note(Ok(None)),
                    result => ends.note(judge(result)),
                },
                None => ends.note(Ok(None)),
            }
        }
    }

    async fn write_parents(&self, all: &mut [Ends<'_>]) {
        for ends in all {
            let body = match ends.add.first() {
                Some(parent) => json!({ "fields": { "parent": { "id": parent.as_str() } } }),
                None => json!({ "update": { "parent": [{ "set": { "none": true } }] } }),
            };
            let result = self.client.edit_issue(ends.key.as_str(), &body).await;
            ends.note(judge(result));
        }
    }

    /// Adds tests to executions. A test that is there already keeps its run.
    pub(super) async fn open_slots(&self, changes: &[Change]) -> Vec<Outcome> {
        let mut parts = Vec::new();
        let mut owners = Vec::new();
        for (index, change) in changes.iter().enumerate() {
            let Op::OpenSlots { key, slots } = &change.op else { continue };
            for chunk in slots.chunks(IDS) {
                let tests: Vec<&str> = chunk.iter().map(|s| s.case.as_str()).collect();
                parts.push((graphql::ADD_TESTS_TO_EXECUTION, vec![json!(key.as_str()), json!(tests)]));
                owners.push(index);
            }
        }
        let answers = self.mutate(parts, "adding tests to executions", 2).await;
        let mut outcomes: Vec<Outcome> = changes
            .iter()
            .map(|change| match &change.op {
                Op::OpenSlots { key, .. } => {
                    Outcome::Done { key: key.clone(), revision: None, refused: vec![] }
                }
                _ => Outcome::Rejected { message: "not a request for slots".into() },
            })
            .collect();
        for (index, answer) in owners.into_iter().zip(answers) {
            match (answer, &mut outcomes[index]) {
                (Ok(value), Outcome::Done { refused, .. }) => {
                    refused.extend(warning(&value).map(|words| ("tests".to_owned(), words)));
                }
                (Err(failure), outcome) => *outcome = failure.outcome(),
                _ => {}
            }
        }
        outcomes
    }
}

/// Returns Xray's words about ids that it did not take.
fn warning(value: &Value) -> Option<String> {
    value.get("warning").and_then(Value::as_str).filter(|w| !w.is_empty()).map(str::to_owned)
}

fn judge(result: Result<Reply, http::Error>) -> Result<Option<String>, Failure> {
    match result {
        Ok(reply) if reply.is_success() => Ok(None),
        Ok(reply) => Err(Failure::Refused(words_of(&reply))),
        Err(error) => Err(Failure::of(&error)),
    }
}
