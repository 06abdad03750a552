//! The workflow engine: which transitions are open, and what taking one does.

use serde_json::{Map, Value, json};

use super::{Call, meta, read, write};
use crate::sandbox::jira_xray::reply::Problem;
use crate::sandbox::jira_xray::site::{Category, Effect, Transition, Workflow};
use crate::sandbox::jira_xray::store::{Issue, State};

/// The workflow that an issue follows.
pub(crate) fn of<'a>(state: &'a State, issue: &Issue) -> Option<&'a Workflow> {
    let setup = state.site.setup(issue.project, issue.kind)?;
    state.site.workflows.get(usize::from(setup.workflow))
}

/// Whether the status forbids edits.
pub(crate) fn is_locked(state: &State, issue: &Issue) -> bool {
    of(state, issue).is_some_and(|w| w.locked.contains(&issue.status))
}

fn is_open(transition: &Transition, issue: &Issue, user: u16) -> bool {
    let from = transition.from.is_empty() || transition.from.contains(&issue.status);
    from && (!transition.assignee_only || issue.assignee == Some(user))
}

/// The transitions that this user can take now, as JSON.
pub(crate) fn available(state: &State, call: &Call, issue: &Issue, with_fields: bool) -> Vec<Value> {
    let Some(workflow) = of(state, issue) else { return Vec::new() };
    let open = workflow.transitions.iter().filter(|t| is_open(t, issue, call.user));
    open.map(|t| transition(state, call, issue, t, with_fields)).collect()
}

fn transition(
    state: &State,
    call: &Call,
    issue: &Issue,
    transition: &Transition,
    with_fields: bool,
) -> Value {
    let to = &state.site.statuses[usize::from(transition.to)];
    let mut out = json!({
        "id": transition.id.to_string(), "name": transition.name,
        "to": read::status(call, to), "hasScreen": transition.screen.is_some(),
        "isGlobal": transition.from.is_empty(), "isInitial": false, "isAvailable": true,
        "isConditional": transition.assignee_only, "looped": transition.to == issue.status
    });
    if with_fields {
        let mut fields = Map::new();
        for (id, required) in transition.screen.iter().flatten() {
            if let Some(field) = state.site.field(id) {
                let described = meta::describe(state, call, issue.project, field, *required);
                fields.insert(id.clone(), described);
            }
        }
        out["fields"] = Value::Object(fields);
    }
    out
}

/// Takes the transition that a request names.
pub(crate) fn perform(state: &mut State, call: &Call, id: u64, body: &Value) -> Result<(), Problem> {
    let wanted = body.pointer("/transition/id").or_else(|| body.get("transition"));
    let wanted = wanted.and_then(|w| w.as_u64().or_else(|| w.as_str()?.parse().ok()));
    let Some(wanted) = wanted else {
        return Err(Problem::bad("Missing 'transition' identifier"));
    };
    let old = state.issue(id).ok_or_else(Problem::no_issue)?.clone();
    let found = of(state, &old)
        .and_then(|w| w.transitions.iter().find(|t| u64::from(t.id) == wanted))
        .filter(|t| is_open(t, &old, call.user))
        .cloned();
    let Some(transition) = found else {
        return Err(Problem::bad(format!(
            "It seems that you have tried to perform an illegal workflow operation. \
             Transition id '{wanted}' is not valid for this issue."
        )));
    };
    let mut draft = old.clone();
    let allowed = transition.screen.clone().unwrap_or_default();
    let comments = write::apply_on_screen(state, call, &mut draft, &allowed, body)?;
    for (field, required) in &allowed {
        if *required && field == "resolution" && draft.resolution.is_none() {
            return Err(Problem::field("resolution", "Resolution is required."));
        }
    }
    move_to(state, call, &mut draft, &transition);
    write::record(state, call, &old, &mut draft);
    state.put_issue(draft, call.now);
    for (body, visibility) in comments {
        write::add_comment(state, call, id, body, visibility);
    }
    Ok(())
}

/// Moves a draft along a transition with its post-functions.
fn move_to(state: &State, call: &Call, draft: &mut Issue, transition: &Transition) {
    let category = |s: u16| state.site.statuses[usize::from(s)].category;
    if category(draft.status) != category(transition.to) {
        draft.status_changed = call.now;
    }
    let had = draft.resolution;
    draft.status = transition.to;
    match transition.effect {
        Effect::None => {}
        Effect::Resolve(resolution) => draft.resolution = draft.resolution.or(Some(resolution)),
        Effect::ClearResolution => draft.resolution = None,
    }
    if draft.resolution.is_some() && had != draft.resolution {
        draft.resolved = call.now;
    }
    draft.updated = call.now;
}

/// The name of a category in the newer status resources.
pub(crate) fn category_name(category: Category) -> &'static str {
    match category {
        Category::ToDo => "TODO",
        Category::InProgress => "IN_PROGRESS",
        Category::Done => "DONE",
    }
}
