//! Shared steps, which cases link.

use serde_json::{Value, json};

use super::call::{Body, Call};
use super::fields;
use super::page::{Bare, Times, list, refers};
use super::projects::NAME;
use super::reply::{Answer, Problem, Reply};
use super::state::{Custom, SharedStep, State, Step, take};
use super::steps;

/// The key of the steps, here and on cases.
const STEPS: &str = "custom_steps_separated";

/// The cases that link a shared step.
fn users(state: &State, id: u32) -> Vec<u32> {
    let links = |c: &super::state::Case| steps::of_content(&c.content).iter().any(|s| s.shared == Some(id));
    state.cases.iter().filter(|(_, c)| links(c)).map(|(id, _)| *id).collect()
}

fn show(state: &State, id: u32, shared: &SharedStep) -> Value {
    json!({
        "id": id, "title": shared.title, "project_id": shared.project, "created_by": shared.created_by,
        "created_on": shared.created_on, "updated_by": shared.updated_by, "updated_on": shared.updated_on,
        "custom_steps_separated": steps::show(state, &shared.steps), "case_ids": users(state, id),
    })
}

fn find(state: &State, id: u32) -> Result<&SharedStep, Problem> {
    state.shared.get(&id).ok_or_else(|| Problem::invalid("shared_step_id", "valid shared step"))
}

pub(super) fn get_shared_step(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "shared_step_id")?;
    Ok(Reply::Json(show(state, id, find(state, id)?)))
}

pub(super) fn get_shared_steps(state: &mut State, call: &Call) -> Answer {
    let project = call.id(0, "project_id")?;
    state.project(project)?;
    let created = Times::read(call, "created")?;
    let updated = Times::read(call, "updated")?;
    let by = call.ids("created_by")?;
    let wanted = call.param("refs");
    let refs = |s: &SharedStep| s.steps.iter().any(|step| refers(step.refs.as_deref(), wanted));
    let fits = |s: &SharedStep| {
        s.project == project
            && created.hold(s.created_on)
            && updated.hold(s.updated_on)
            && by.as_ref().is_none_or(|w| w.contains(&s.created_by))
            && (wanted.is_none() || refs(s))
    };
    let state = &*state;
    let found = state.shared.iter().filter(|(_, s)| fits(s));
    list(call, "shared_steps", Bare::Whole, found, |(id, s)| show(state, *id, s))
}

pub(super) fn get_shared_step_history(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "shared_step_id")?;
    let shared = find(state, id)?;
    let one = |(number, at, user, title, steps): &(u32, i64, u32, Box<str>, Box<[Step]>)| {
        json!({
            "id": number, "timestamp": at, "user_id": user, "title": title,
            "custom_steps_separated": steps::show(state, steps),
        })
    };
    Ok(Reply::Json(shared.versions.iter().map(one).collect()))
}

/// The steps of a body. A shared step links no other.
fn sent(state: &State, project: u32, body: &Body) -> Result<Option<Box<[Step]>>, Problem> {
    let Some(value) = body.get(STEPS) else { return Ok(None) };
    if value.is_null() {
        return Ok(Some(Box::default()));
    }
    let field = fields::of_project(state, project, false).find(|f| f.kind == 10);
    let options = field.and_then(|f| f.config(project)).map(|c| c.options.clone()).unwrap_or_default();
    match steps::read(state, project, STEPS, value, &options)? {
        Custom::Steps(steps) if steps.iter().all(|s| s.shared.is_none()) => Ok(Some(steps)),
        _ => Err(Problem::invalid(STEPS, "valid array of steps")),
    }
}

fn remember(state: &mut State, call: &Call, id: u32) {
    let number = take(&mut state.next.history);
    if let Some(shared) = state.shared.get_mut(&id) {
        let version = (number, call.now, call.user, shared.title.clone(), shared.steps.clone());
        shared.versions.push(version);
    }
    state.touched = true;
}

pub(super) fn add_shared_step(state: &mut State, call: &Call) -> Answer {
    let project = call.id(0, "project_id")?;
    state.project(project)?;
    let title = call.body.name("title", NAME, true)?.unwrap_or_default();
    let steps = sent(state, project, &call.body)?.unwrap_or_default();
    let id = take(&mut state.next.shared);
    let shared = SharedStep {
        project,
        title,
        created_by: call.user,
        created_on: call.now,
        updated_by: call.user,
        updated_on: call.now,
        steps,
        versions: Vec::new(),
    };
    state.shared.insert(id, shared);
    remember(state, call, id);
    Ok(Reply::Json(show(state, id, find(state, id)?)))
}

pub(super) fn update_shared_step(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "shared_step_id")?;
    let mut shared = find(state, id)?.clone();
    let before = (shared.title.clone(), shared.steps.clone());
    if let Some(title) = call.body.name("title", NAME, false)? {
        shared.title = title;
    }
    if let Some(steps) = sent(state, shared.project, &call.body)? {
        shared.steps = steps;
    }
    if before != (shared.title.clone(), shared.steps.clone()) {
        shared.updated_by = call.user;
        shared.updated_on = call.now;
        // The cases that link it show it changed, and do not say so.
        state.shared.insert(id, shared);
        remember(state, call, id);
    }
    Ok(Reply::Json(show(state, id, find(state, id)?)))
}

pub(super) fn delete_shared_step(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "shared_step_id")?;
    let own = find(state, id)?.steps.clone();
    let keep = call.body.flag("keep_in_cases")?.unwrap_or(true);
    for case in users(state, id) {
        let mut content = state.case(case)?.content.clone();
        for (_, value) in &mut content.custom {
            if let Custom::Steps(steps) = value {
                let inlined = steps.iter().flat_map(|step| match step.shared == Some(id) {
                    true if keep => own.to_vec(),
                    true => Vec::new(),
                    false => vec![step.clone()],
                });
                *value = Custom::Steps(inlined.collect());
            }
        }
        state.replace(case, content);
    }
    state.shared.remove(&id);
    state.touched = true;
    Ok(Reply::Empty)
}
