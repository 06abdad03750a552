//! What changed in a case, and when.

use serde_json::{Value, json};

use super::call::Call;
use super::fields;
use super::page::{Bare, list};
use super::reply::Answer;
use super::state::{Change, Content, State, take};

/// The kind of a change of text or id.
const PLAIN: u8 = 1;
const FLAG: u8 = 3;
const STEPS: u8 = 8;
/// The kind of an entry: an update.
const UPDATE: u8 = 6;

fn change(kind: u8, field: &str, label: &str, old: Value, new: Value) -> Value {
    if kind == STEPS {
        return json!({"type_id": kind, "field": field, "old_value": old, "new_value": new});
    }
    let text = |value: &Value| match value {
        Value::Null => Value::Null,
        Value::String(text) => json!(text),
        other => json!(other.to_string()),
    };
    json!({
        "type_id": kind, "field": field, "label": label, "options": [], "old_text": text(&old),
        "new_text": text(&new), "old_value": old, "new_value": new,
    })
}

/// A change of the section, with the names.
pub(super) fn moved(state: &State, old: u32, new: u32) -> Value {
    let name = |id: u32| state.sections.get(&id).map(|s| s.name.clone());
    let mut out = change(PLAIN, "section_id", "Section", old.into(), new.into());
    out["old_text"] = json!(name(old));
    out["new_text"] = json!(name(new));
    out
}

/// Lists what differs between two contents.
pub(super) fn differences(state: &State, old: &Content, new: &Content) -> Vec<Value> {
    let plain = |c: &Content| {
        [
            ("title", "Title", json!(c.title)),
            ("template_id", "Template", json!(c.template)),
            ("type_id", "Type", json!(c.kind)),
            ("priority_id", "Priority", json!(c.priority)),
            ("milestone_id", "Milestone", json!(c.milestone)),
            ("refs", "References", json!(c.refs)),
            ("estimate", "Estimate", json!(c.estimate)),
            ("status_id", "Status", json!(c.status)),
            ("labels", "Labels", json!(c.labels)),
        ]
    };
    let mut out = Vec::new();
    for ((field, label, old), (_, _, new)) in plain(old).into_iter().zip(plain(new)) {
        if old != new {
            out.push(change(PLAIN, field, label, old, new));
        }
    }
    for field in state.fields.iter().filter(|f| !f.of_results) {
        let value = |c: &Content| fields::value(state, field, &c.custom);
        let (old, new) = (value(old), value(new));
        if old != new {
            let kind = match field.kind {
                10 => STEPS,
                5 => FLAG,
                _ => PLAIN,
            };
            out.push(change(kind, &format!("custom_{}", field.name), &field.label, old, new));
        }
    }
    out
}

/// Writes an entry, unless nothing changed.
pub(super) fn record(state: &mut State, case: u32, changes: Vec<Value>, call: &Call) {
    if !changes.is_empty() {
        let id = take(&mut state.next.history);
        let entry = Change { id, at: call.now, user: call.user, changes };
        state.history.entry(case).or_default().push(entry);
    }
}

pub(super) fn get_history_for_case(state: &mut State, call: &Call) -> Answer {
    let case = call.id(0, "case_id")?;
    state.case(case)?;
    let entries = state.history.get(&case).into_iter().flatten();
    let show = |entry: &Change| {
        json!({
            "id": entry.id, "type_id": UPDATE, "created_on": entry.at, "user_id": entry.user,
            "comments": [], "changes": entry.changes,
        })
    };
    list(call, "history", Bare::Whole, entries, show)
}
