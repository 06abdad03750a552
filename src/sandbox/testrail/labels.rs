//! Labels of a project's cases and tests.

use serde_json::{Value, json};

use super::call::{Call, whole};
use super::page::{Bare, list};
use super::reply::{Answer, Problem, Reply};
use super::state::{Label, State, take};

/// The most labels of one case.
const MOST: usize = 10;
/// The longest title of a label.
const TITLE: usize = 20;

fn show(id: u32, label: &Label, name: &str) -> Value {
    let mut out = json!({"id": id});
    out[name] = json!(label.title);
    out["created_by"] = json!(label.created_by.to_string());
    out["created_on"] = json!(label.created_on.to_string());
    out
}

/// Finds a project's label by its title, or makes it.
pub(super) fn named(state: &mut State, project: u32, title: &str, user: u32, at: i64) -> u32 {
    let same = |l: &Label| l.project == project && l.title.eq_ignore_ascii_case(title);
    if let Some((id, _)) = state.labels.iter().find(|(_, l)| same(l)) {
        return *id;
    }
    let id = take(&mut state.next.label);
    state.labels.insert(id, Label { project, title: title.into(), created_by: user, created_on: at });
    id
}

/// The labels that a list of ids and titles names; it replaces the whole set.
pub(super) fn chosen(
    state: &mut State,
    call: &Call,
    project: u32,
    sent: &Value,
) -> Result<Vec<u32>, Problem> {
    let list = match sent {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) => list,
        _ => return Err(Problem::invalid("labels", "valid array")),
    };
    if list.len() > MOST {
        return Err(Problem::bad(format!("Field :labels exceeds the maximum of {MOST} labels.")));
    }
    let mut titles = Vec::new();
    let mut ids = Vec::new();
    for item in list {
        match item {
            Value::String(title) if title.trim().is_empty() => {
                return Err(Problem::invalid("labels", "valid label"));
            }
            Value::String(title) if title.chars().count() > TITLE => {
                return Err(Problem::long("labels", TITLE));
            }
            Value::String(title) => titles.push((ids.len() + titles.len(), title.trim().to_owned())),
            other => {
                let id = whole(other).and_then(|n| u32::try_from(n).ok()).unwrap_or_default();
                if state.labels.get(&id).is_none_or(|l| l.project != project) {
                    return Err(Problem::invalid("labels", "valid label"));
                }
                ids.push(id);
            }
        }
    }
    for (at, title) in titles {
        let id = named(state, project, &title, call.user, call.now);
        ids.insert(at.min(ids.len()), id);
    }
    let mut seen = std::collections::BTreeSet::new();
    ids.retain(|id| seen.insert(*id));
    Ok(ids)
}

fn label(state: &State, id: u32) -> Result<&Label, Problem> {
    state.labels.get(&id).ok_or_else(|| Problem::invalid("label_id", "valid label"))
}

pub(super) fn get_label(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "label_id")?;
    Ok(Reply::Json(show(id, label(state, id)?, "name")))
}

pub(super) fn get_labels(state: &mut State, call: &Call) -> Answer {
    let project = call.id(0, "project_id")?;
    state.project(project)?;
    let found = state.labels.iter().filter(|(_, l)| l.project == project);
    list(call, "labels", Bare::Whole, found, |(id, l)| show(*id, l, "title"))
}

pub(super) fn add_label(state: &mut State, call: &Call) -> Answer {
    let project = call.id(0, "project_id")?;
    state.project(project)?;
    let title = call.body.name("title", TITLE, true)?.unwrap_or_default();
    let before = state.next.label;
    let id = named(state, project, &title, call.user, call.now);
    state.touched = state.next.label != before;
    Ok(Reply::Json(json!({"label": show(id, label(state, id)?, "title")})))
}

pub(super) fn update_label(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "label_id")?;
    label(state, id)?;
    let project = call.body.id("project_id")?.flatten().ok_or_else(|| Problem::required("project_id"))?;
    let title = call.body.name("title", TITLE, true)?.unwrap_or_default();
    if label(state, id)?.project != project {
        return Err(Problem::invalid("project_id", "valid or accessible project"));
    }
    if let Some(label) = state.labels.get_mut(&id) {
        state.touched = label.title != title;
        label.title = title;
    }
    Ok(Reply::Json(show(id, label(state, id)?, "title")))
}

fn remove(state: &mut State, ids: &[u32]) -> Answer {
    for id in ids {
        label(state, *id)?;
    }
    state.labels.retain(|id, _| !ids.contains(id));
    for case in state.cases.values_mut() {
        case.content.labels.retain(|l| !ids.contains(l));
    }
    for labels in state.test_labels.values_mut() {
        labels.retain(|l| !ids.contains(l));
    }
    state.touched = true;
    Ok(Reply::Empty)
}

pub(super) fn delete_label(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "label_id")?;
    remove(state, &[id])
}

pub(super) fn delete_labels(state: &mut State, call: &Call) -> Answer {
    let ids = call.body.ids("label_ids")?.ok_or_else(|| Problem::required("label_ids"))?;
    remove(state, &ids)
}
