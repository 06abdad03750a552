//! Writes work items: 200 to a request, every answer looked at by itself.
//!
//! Items are created in the first state of their type, because the service accepts
//! no other, and moved by a second request. Fields that are refused are left out and
//! reported, and the rest is written.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::AzureDevOps;
use super::catalog::{Fields, STATE, STEPS, TAGS};
use super::client::{ITEMS_PER_CALL, WriteError};
use super::load::{id_of, rejected, unprepared};
use super::steps;
use super::wire::{BatchAnswer, ItemFields, Refusal, WorkItem};
use crate::model::{Change, FieldWrite, Key, Op, Outcome, WriteValue};

/// How often a request is sent again without the fields it was refused for, or
/// because two writes collided.
const ROUNDS_MAX: usize = 6;
/// Items with this many revisions are left alone: at 10,000 the service refuses
/// every further write through its API.
const REVISIONS_MAX: i64 = 9_900;

/// One operation of a patch.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The name in pipeline files.
    pub(super) name: String,
    /// The vendor's reference name; empty for links.
    pub(super) reference: String,
    /// The operation.
    pub(super) json: Value,
}

/// One work item to be patched or made.
#[derive(Clone, Debug)]
pub(super) struct Patch {
    /// Which item, or the project and type of a new one.
    pub(super) target: Result<i64, (String, String)>,
    /// The revision that it must still have.
    pub(super) revision: Option<i64>,
    pub(super) parts: Vec<Part>,
    /// Fields that were refused so far.
    pub(super) refused: Vec<(String, String)>,
}

/// What came of a patch.
#[derive(Clone, Debug)]
pub(super) enum Sent {
    Done { id: i64, rev: i64, fields: ItemFields },
    Changed,
    Rejected(String),
    Unknown(String),
}

impl Sent {
    /// Makes the outcome of a change that was this one patch.
    pub(super) fn outcome(self, refused: Vec<(String, String)>) -> Outcome {
        match self {
            Sent::Done { id, rev, .. } => {
                Outcome::Done { key: Key::from(id.to_string()), revision: Some(rev.to_string()), refused }
            }
            Sent::Changed => Outcome::ChangedMeanwhile,
            Sent::Rejected(message) => Outcome::Rejected { message },
            Sent::Unknown(message) => Outcome::Unknown { message },
        }
    }
}

impl Patch {
    fn uri_and_body(&self, api: &super::client::Api, number: usize) -> (String, Value) {
        let mut operations: Vec<Value> = Vec::new();
        let uri = match &self.target {
            Ok(id) => {
                operations
                    .extend(self.revision.map(|rev| json!({"op": "test", "path": "/rev", "value": rev})));
                api.batch_uri(Ok(*id))
            }
            Err((project, type_name)) => {
                // Every new item of a batch has a temporary id of its own.
                operations.push(json!({"op": "add", "path": "/id", "value": format!("-{}", number + 1)}));
                api.batch_uri(Err((project, type_name)))
            }
        };
        operations.extend(self.parts.iter().map(|part| part.json.clone()));
        (uri, Value::Array(operations))
    }

    /// Takes the fields out that a refusal names; tells whether there were any.
    fn drop_refused(&mut self, refusal: &Refusal) -> bool {
        let before = self.parts.len();
        let words = |part: &Part| {
            let named = refusal.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(&part.reference));
            let quoted = || {
                let field = |name: &str| {
                    let message = &refusal.message;
                    message.contains(&format!("'{name}'"))
                        || message.contains(&format!("field {name}."))
                        || message.contains(&format!("field {name} "))
                };
                // Without a list of fields the message is all there is.
                let found = refusal.fields.is_empty() && (field(&part.reference) || field(&part.name));
                found.then(|| refusal.message.clone())
            };
            named.map(|(_, words)| words.clone()).or_else(quoted)
        };
        let mut kept = Vec::new();
        for part in std::mem::take(&mut self.parts) {
            match words(&part).filter(|_| !part.reference.is_empty()) {
                Some(words) => self.refused.push((part.name, words)),
                None => kept.push(part),
            }
        }
        self.parts = kept;
        self.parts.len() < before
    }
}

/// Turns field writes into operations; what cannot be written is refused here.
pub(super) fn parts(fields: &Fields, writes: &[FieldWrite]) -> (Vec<Part>, Vec<(String, String)>) {
    let mut parts = Vec::new();
    let mut refused = Vec::new();
    for write in writes {
        let name = write.field.clone();
        if name == "Formatted ID" || name == "URL" {
            refused.push((name, "only the system sets this field".to_owned()));
            continue;
        }
        let Some(reference) = fields.reference(&name).map(str::to_owned) else {
            refused.push((name.clone(), format!("the organisation has no field {name:?}")));
            continue;
        };
        let kind = fields.get(&reference).map(|def| def.r#type.as_str()).unwrap_or("string");
        let value = match &write.value {
            WriteValue::Empty => json!(""),
            WriteValue::Rich(text) => json!(text),
            WriteValue::Text(text) => typed(kind, text),
            WriteValue::Transitions(hops) => {
                json!(hops.last().map(|hop| hop.to.as_str()).unwrap_or_default())
            }
            WriteValue::Steps(steps) => match steps::merge(None, steps) {
                Ok(xml) => json!(xml),
                Err(error) => {
                    refused.push((name, error.to_string()));
                    continue;
                }
            },
        };
        // Adding tags would merge them into those that are there.
        let op = if reference == TAGS { "replace" } else { "add" };
        let json = json!({"op": op, "path": format!("/fields/{reference}"), "value": value});
        parts.push(Part { name, reference, json });
    }
    (parts, refused)
}

fn typed(kind: &str, text: &str) -> Value {
    let number = match kind.to_ascii_lowercase().as_str() {
        "integer" | "picklistinteger" => text.parse::<i64>().ok().map(Value::from),
        "double" | "picklistdouble" => text.parse::<f64>().ok().map(Value::from),
        "boolean" => text.parse::<bool>().ok().map(Value::from),
        _ => None,
    };
    number.unwrap_or_else(|| json!(text))
}

impl AzureDevOps {
    /// Sends patches until each was accepted, refused or lost. Fields that were
    /// refused are found in the patches afterwards.
    pub(super) async fn send_patches(&self, patches: &mut [Patch], operation: &str) -> Vec<Sent> {
        let mut sent: Vec<Option<Sent>> = vec![None; patches.len()];
        let mut pending: Vec<usize> = (0..patches.len()).collect();
        for _ in 0..ROUNDS_MAX {
            if pending.is_empty() {
                break;
            }
            let mut chunks: Vec<Vec<usize>> = pending.chunks(ITEMS_PER_CALL).map(<[usize]>::to_vec).collect();
            pending.clear();
            while let Some(chunk) = chunks.pop() {
                let bodies: Vec<_> =
                    chunk.iter().enumerate().map(|(n, &i)| patches[i].uri_and_body(&self.api, n)).collect();
                match self.api.batch(&bodies, operation).await {
                    Ok(answers) => {
                        let repeat = self.judge_answers(patches, &chunk, &answers, &mut sent).await;
                        pending.extend(repeat);
                    }
                    Err(error) if error.is_refusal() && chunk.len() > 1 => {
                        // Refused as a whole: one of them is not even understood.
                        let (left, right) = chunk.split_at(chunk.len() / 2);
                        chunks.extend([left.to_vec(), right.to_vec()]);
                    }
                    Err(error) => {
                        for i in chunk {
                            sent[i] = Some(whole(&error));
                        }
                    }
                }
            }
            pending.sort_unstable();
        }
        let given_up = || Sent::Rejected(format!("refused again and again, {ROUNDS_MAX} times"));
        sent.into_iter().map(|s| s.unwrap_or_else(given_up)).collect()
    }

    /// Notes the answers of one batch and returns what has to be sent again.
    async fn judge_answers(
        &self,
        patches: &mut [Patch],
        chunk: &[usize],
        answers: &[BatchAnswer],
        sent: &mut [Option<Sent>],
    ) -> Vec<usize> {
        let mut repeat = Vec::new();
        for (&i, answer) in chunk.iter().zip(answers) {
            match judge(&mut patches[i], answer) {
                Some(verdict) => sent[i] = Some(verdict),
                None => repeat.push(i),
            }
        }
        let accepted = |s: &Option<Sent>| match s {
            Some(Sent::Done { id, rev, .. }) => Some((*id, *rev)),
            _ => None,
        };
        let done: HashMap<i64, (usize, i64)> =
            chunk.iter().filter_map(|&i| accepted(&sent[i]).map(|(id, rev)| (id, (i, rev)))).collect();
        if done.is_empty() || done.len() == chunk.len() {
            return repeat;
        }
        // Sources disagree on whether one refusal takes the whole batch back, so that
        // a mixed answer is held against what is there now.
        let ids: Vec<i64> = done.keys().copied().collect();
        let Ok((items, _)) =
            self.api.items(&ids, Some(&["System.Id", "System.Rev"]), "checking what a batch wrote").await
        else {
            return repeat;
        };
        let there: HashMap<i64, i64> = items.iter().map(|item| (item.id, item.rev)).collect();
        for (id, (i, rev)) in done {
            if there.get(&id).is_none_or(|now| *now < rev) {
                sent[i] = None;
                repeat.push(i);
            }
        }
        repeat
    }

    /// Makes work items of the default type of a category.
    pub(super) async fn create_items(&self, changes: &[Change], category: &str) -> Vec<Outcome> {
        let fields = match self.catalog.fields(&self.api).await {
            Ok(fields) => fields,
            Err(error) => return changes.iter().map(|_| unprepared(&error)).collect(),
        };
        let mut outcomes: Vec<Option<Outcome>> = vec![None; changes.len()];
        let (mut patches, mut owners, mut states) = (Vec::new(), Vec::new(), Vec::new());
        for (n, change) in changes.iter().enumerate() {
            let Op::Create { fields: writes, .. } = &change.op else {
                outcomes[n] = Some(rejected("only creates can stand in a batch of creates"));
                continue;
            };
            let type_name = match self.catalog.types(&self.api, &change.project).await {
                Ok(types) => types.default_of(category).map(str::to_owned),
                Err(error) => {
                    outcomes[n] = Some(unprepared(&error));
                    continue;
                }
            };
            let Some(type_name) = type_name else {
                outcomes[n] = Some(rejected(format!(
                    "the process of project {} has no type in {category}, so no {} can be made",
                    change.project, change.artifact
                )));
                continue;
            };
            let (mut parts, refused) = parts(&fields, writes);
            let state = parts.iter().position(|part| part.reference == STATE).map(|i| parts.remove(i));
            let target = Err((change.project.clone(), type_name));
            patches.push(Patch { target, revision: None, parts, refused });
            owners.push(n);
            states.push(state);
        }
        let mut sent = self.send_patches(&mut patches, "creating work items").await;
        self.move_states(&mut sent, &mut patches, states).await;
        for ((n, sent), patch) in owners.into_iter().zip(sent).zip(patches) {
            outcomes[n] = Some(sent.outcome(patch.refused));
        }
        outcomes.into_iter().map(|o| o.unwrap_or_else(|| rejected("nothing was tried"))).collect()
    }

    /// Moves new items from the first state of their type to the one asked for.
    async fn move_states(&self, sent: &mut [Sent], patches: &mut [Patch], states: Vec<Option<Part>>) {
        let (mut moves, mut owners) = (Vec::new(), Vec::new());
        for (i, state) in states.into_iter().enumerate() {
            let (Sent::Done { id, fields, .. }, Some(part)) = (&sent[i], state) else { continue };
            if fields.text(STATE) == part.json.get("value").and_then(Value::as_str) {
                continue;
            }
            moves.push(Patch { target: Ok(*id), revision: None, parts: vec![part], refused: Vec::new() });
            owners.push(i);
        }
        let moved = self.send_patches(&mut moves, "moving new work items to their state").await;
        for ((i, verdict), mut step) in owners.into_iter().zip(moved).zip(moves) {
            let name = step.parts.pop().map_or_else(|| "State".to_owned(), |part| part.name);
            match verdict {
                Sent::Done { .. } => sent[i] = verdict,
                Sent::Changed => patches[i].refused.push((name, "changed by somebody else meanwhile".into())),
                Sent::Rejected(words) | Sent::Unknown(words) => {
                    let words = step.refused.pop().map_or(words, |(_, words)| words);
                    patches[i].refused.push((name, words));
                }
            }
        }
    }

    /// Changes fields of work items.
    pub(super) async fn update_items(&self, changes: &[Change]) -> Vec<Outcome> {
        let (prepared, mut outcomes) = self.prepare_updates(changes).await;
        let (owners, mut patches): (Vec<usize>, Vec<Patch>) = prepared.into_iter().unzip();
        let sent = self.send_patches(&mut patches, "updating work items").await;
        for ((n, sent), patch) in owners.into_iter().zip(sent).zip(patches) {
            outcomes[n] = Some(sent.outcome(patch.refused));
        }
        outcomes.into_iter().map(|o| o.unwrap_or_else(|| rejected("nothing was tried"))).collect()
    }

    /// Makes one patch per change; a change without any part left has its outcome.
    pub(super) async fn prepare_updates(
        &self,
        changes: &[Change],
    ) -> (Vec<(usize, Patch)>, Vec<Option<Outcome>>) {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; changes.len()];
        let prepared = async {
            let fields = self.catalog.fields(&self.api).await?;
            Ok::<_, crate::connectors::Error>((fields, self.current_steps(changes).await?))
        };
        let (fields, current) = match prepared.await {
            Ok(prepared) => prepared,
            Err(error) => return (Vec::new(), changes.iter().map(|_| Some(unprepared(&error))).collect()),
        };
        let mut patches = Vec::new();
        for (n, change) in changes.iter().enumerate() {
            match update_patch(change, &fields, &current) {
                Ok(patch) => patches.push((n, patch)),
                Err(outcome) => outcomes[n] = Some(outcome),
            }
        }
        (patches, outcomes)
    }

    /// Reads the steps of those cases whose steps are to be written.
    async fn current_steps(
        &self,
        changes: &[Change],
    ) -> Result<HashMap<i64, WorkItem>, crate::connectors::Error> {
        let writes_steps = |change: &&Change| match &change.op {
            Op::Update { fields, .. } => fields.iter().any(|w| matches!(w.value, WriteValue::Steps(_))),
            _ => false,
        };
        let ids: Vec<i64> = changes
            .iter()
            .filter(writes_steps)
            .filter_map(|change| match &change.op {
                Op::Update { key, .. } => key.as_str().parse().ok(),
                _ => None,
            })
            .collect();
        let mut current = HashMap::new();
        for chunk in ids.chunks(ITEMS_PER_CALL) {
            let fields = ["System.Id", "System.Rev", STEPS];
            let (items, _) = self.api.items(chunk, Some(&fields), "reading the steps as they are").await?;
            current.extend(items.into_iter().map(|item| (item.id, item)));
        }
        Ok(current)
    }
}

fn update_patch(
    change: &Change,
    fields: &Fields,
    current: &HashMap<i64, WorkItem>,
) -> Result<Patch, Outcome> {
    let Op::Update { key, fields: writes } = &change.op else {
        return Err(rejected("only updates can stand in a batch of updates"));
    };
    let id = id_of(key)?;
    let revision = change.revision.as_deref().and_then(|r| r.parse::<i64>().ok());
    if revision.is_some_and(|rev| rev >= REVISIONS_MAX) {
        return Err(rejected(format!(
            "work item {id} has {} revisions; at 10,000 the service refuses all writes, so it is left alone",
            revision.unwrap_or_default()
        )));
    }
    let (mut parts, mut refused) = parts(fields, writes);
    for write in writes {
        let WriteValue::Steps(steps) = &write.value else { continue };
        let Some(at) = parts.iter().position(|part| part.name == write.field) else { continue };
        let item = current.get(&id);
        // The steps were read just now: an edit since the extraction must not be
        // mistaken for what the plan saw.
        if let (Some(item), Some(revision)) = (item, revision)
            && item.rev != revision
        {
            return Err(Outcome::ChangedMeanwhile);
        }
        match steps::merge(item.and_then(|item| item.text(STEPS)), steps) {
            Ok(xml) => parts[at].json["value"] = json!(xml),
            Err(error) => {
                refused.push((write.field.clone(), error.to_string()));
                parts.remove(at);
            }
        }
    }
    if parts.is_empty() {
        return Err(match refused.first() {
            Some((field, words)) => rejected(format!("{field}: {words}")),
            None => Outcome::Done { key: key.clone(), revision: change.revision.clone(), refused },
        });
    }
    Ok(Patch { target: Ok(id), revision, parts, refused })
}

fn whole(error: &WriteError) -> Sent {
    let words = error.words().to_owned();
    if error.is_refusal() { Sent::Rejected(words) } else { Sent::Unknown(words) }
}

/// Judges one answer; `None` says that the patch, as it is now, is to be sent again.
fn judge(patch: &mut Patch, answer: &BatchAnswer) -> Option<Sent> {
    if (200..300).contains(&answer.code) {
        let item: Option<WorkItem> = match &answer.body {
            Value::String(text) => serde_json::from_str(text).ok(),
            other => serde_json::from_value(other.clone()).ok(),
        };
        return Some(match item.filter(|item| item.id > 0) {
            Some(item) => Sent::Done { id: item.id, rev: item.rev, fields: item.fields },
            None => Sent::Unknown("an accepted write came back without its work item".to_owned()),
        });
    }
    let refusal = Refusal::parse(&answer.body);
    match answer.code {
        409 | 412 if patch.revision.is_some() => Some(Sent::Changed),
        // Without a revision of ours, two writes collided inside the service.
        409 | 412 if refusal.is_revision_conflict() => None,
        400..=499 => {
            if patch.drop_refused(&refusal) && !patch.parts.is_empty() {
                return None;
            }
            Some(Sent::Rejected(refusal.message))
        }
        _ => Some(Sent::Unknown(refusal.message)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::FieldDef;
    use super::*;

    fn fields() -> Fields {
        let def = |name: &str, reference: &str, kind: &str| FieldDef {
            name: name.into(),
            reference_name: reference.into(),
            r#type: kind.into(),
            ..FieldDef::default()
        };
        Fields::new(vec![
            def("Xray ID", "Custom.XrayID", "string"),
            def("Priority", "Microsoft.VSTS.Common.Priority", "integer"),
        ])
    }

    fn write(field: &str, text: &str) -> FieldWrite {
        FieldWrite { field: field.into(), value: WriteValue::Text(text.into()) }
    }

    #[test]
    fn values_get_the_type_of_their_field_and_tags_are_replaced() {
        let writes =
            [write("Priority", "1"), write("Tags", "a; b"), write("Xray ID", "1"), write("Nope", "x")];
        let (parts, refused) = parts(&fields(), &writes);
        let json: Vec<_> = parts.iter().map(|p| p.json.to_string()).collect();
        assert_eq!(json[0], r#"{"op":"add","path":"/fields/Microsoft.VSTS.Common.Priority","value":1}"#);
        assert_eq!(json[1], r#"{"op":"replace","path":"/fields/System.Tags","value":"a; b"}"#);
        assert_eq!(json[2], r#"{"op":"add","path":"/fields/Custom.XrayID","value":"1"}"#);
        assert_eq!(refused[0].0, "Nope");
    }

    #[test]
    fn refused_field_is_left_out_and_the_rest_sent_again() {
        let (parts, _) = parts(&fields(), &[write("Priority", "9"), write("Title", "A")]);
        let mut patch = Patch { target: Ok(1), revision: None, parts, refused: Vec::new() };
        let body = json!({"customProperties": {"RuleValidationErrors": [
            {"fieldReferenceName": "Microsoft.VSTS.Common.Priority", "errorMessage": "TF401320: not allowed"}]},
            "message": "TF401320: not allowed"});
        let answer = BatchAnswer { code: 400, body: Value::String(body.to_string()) };
        assert!(judge(&mut patch, &answer).is_none());
        assert_eq!(patch.refused, [("Priority".to_owned(), "TF401320: not allowed".to_owned())]);
        assert_eq!(patch.parts.len(), 1);
        // A refusal that names none of our fields is final.
        assert!(matches!(judge(&mut patch, &answer), Some(Sent::Rejected(_))));
    }

    #[test]
    fn stale_revision_is_not_a_refusal() {
        let mut patch = Patch { target: Ok(1), revision: Some(3), parts: Vec::new(), refused: Vec::new() };
        let answer = BatchAnswer {
            code: 412,
            body: json!({"message": "VS403351: Test Operation for path /rev failed"}),
        };
        assert!(matches!(judge(&mut patch, &answer), Some(Sent::Changed)));
    }
}
