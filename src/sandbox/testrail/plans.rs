//! Test plans.

use serde_json::{Map, Value, json};

use super::call::{Body, Call};
use super::case_write::milestone;
use super::entries;
use super::page::{Bare, Times, list, refers};
use super::projects::{NAME, TEXT};
use super::reply::{Answer, Problem, Reply};
use super::runs::{self, REFS, still_open};
use super::state::{Owner, Plan, State, take};

/// A plan as an object; lists leave the entries out.
fn show(state: &State, call: &Call, id: u32, plan: &Plan, entries: bool) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| {
        out.insert(key.to_owned(), value);
    };
    put("id", id.into());
    put("name", json!(plan.name));
    put("description", json!(plan.description));
    put("milestone_id", json!(plan.milestone));
    put("assignedto_id", Value::Null);
    put("is_completed", plan.completed_on.is_some().into());
    put("completed_on", json!(plan.completed_on));
    put("project_id", plan.project.into());
    put("created_on", plan.created_on.into());
    put("created_by", plan.created_by.into());
    if !call.face.old() {
        put("refs", json!(plan.refs));
        put("start_on", json!(plan.start_on));
        put("due_on", json!(plan.due_on));
    }
    put("url", call.link("plans/view", id).into());
    let all: Vec<u32> = plan.entries.iter().flat_map(|e| e.runs.iter().copied()).collect();
    runs::show_counts(&runs::counts(state, &all), &mut out);
    if entries {
        let shown = plan.entries.iter().zip(1..).map(|(e, at)| entries::show(state, call, e, at));
        out.insert("entries".to_owned(), shown.collect());
    }
    Value::Object(out)
}

fn shown(state: &State, call: &Call, id: u32) -> Answer {
    Ok(Reply::Json(show(state, call, id, state.plan(id)?, true)))
}

pub(super) fn get_plan(state: &mut State, call: &Call) -> Answer {
    shown(state, call, call.id(0, "plan_id")?)
}

pub(super) fn get_plans(state: &mut State, call: &Call) -> Answer {
    let project = call.id(0, "project_id")?;
    state.project(project)?;
    let created = Times::read(call, "created")?;
    let by = call.ids("created_by")?;
    let completed = call.flag("is_completed")?;
    let milestones = call.ids("milestone_id")?;
    let fits = |plan: &Plan| {
        plan.project == project
            && created.hold(plan.created_on)
            && by.as_ref().is_none_or(|w| w.contains(&plan.created_by))
            && milestones.as_ref().is_none_or(|w| plan.milestone.is_some_and(|m| w.contains(&m)))
            && completed.is_none_or(|wanted| wanted == plan.completed_on.is_some())
            && refers(plan.refs.as_deref(), call.param("refs_filter"))
    };
    let state = &*state;
    let found = state.plans.iter().rev().filter(|(_, p)| fits(p));
    list(call, "plans", Bare::Cut, found, |(id, plan)| show(state, call, *id, plan, false))
}

fn apply(state: &State, body: &Body, plan: &mut Plan, must: bool) -> Result<(), Problem> {
    if let Some(name) = body.name("name", NAME, must)? {
        plan.name = name;
    }
    if let Some(text) = body.text("description", TEXT)? {
        plan.description = text;
    }
    if let Some(refs) = body.text("refs", REFS)? {
        plan.refs = refs;
    }
    if let Some(milestone) = milestone(state, plan.project, body)? {
        plan.milestone = milestone;
    }
    if let Some(at) = body.number("start_on")? {
        plan.start_on = at;
    }
    if let Some(at) = body.number("due_on")? {
        plan.due_on = at;
    }
    Ok(())
}

pub(super) fn add_plan(state: &mut State, call: &Call) -> Answer {
    let project = call.id(0, "project_id")?;
    state.project(project)?;
    let mut plan = Plan {
        project,
        name: Box::default(),
        description: None,
        refs: None,
        milestone: None,
        created_by: call.user,
        created_on: call.now,
        completed_on: None,
        start_on: None,
        due_on: None,
        entries: Vec::new(),
    };
    apply(state, &call.body, &mut plan, true)?;
    let bodies = call.body.objects("entries")?.unwrap_or_default();
    let mut drafts = Vec::new();
    for body in &bodies {
        drafts.push(entries::drafted(state, project, body).map_err(|p| p.within("entries"))?);
    }
    let id = take(&mut state.next.run);
    state.plans.insert(id, plan);
    for draft in drafts {
        entries::insert(state, call, id, draft);
    }
    state.touched = true;
    shown(state, call, id)
}

/// A plan that is not closed.
pub(super) fn open(state: &State, id: u32) -> Result<&Plan, Problem> {
    let plan = state.plan(id)?;
    still_open(plan.completed_on, "test plan")?;
    Ok(plan)
}

pub(super) fn update_plan(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "plan_id")?;
    let mut plan = open(state, id)?.clone();
    apply(state, &call.body, &mut plan, false)?;
    state.plans.insert(id, plan);
    state.touched = true;
    shown(state, call, id)
}

pub(super) fn close_plan(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "plan_id")?;
    let all: Vec<u32> = open(state, id)?.entries.iter().flat_map(|e| e.runs.clone()).collect();
    all.into_iter().for_each(|run| runs::close(state, run, call.now));
    if let Some(plan) = state.plans.get_mut(&id) {
        plan.completed_on = Some(call.now);
    }
    state.touched = true;
    shown(state, call, id)
}

pub(super) fn delete_plan(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "plan_id")?;
    let plan = state.plan(id)?;
    let all: Vec<u32> = plan.entries.iter().flat_map(|e| e.runs.clone()).collect();
    if call.soft() {
        let tests: usize = all.iter().filter_map(|r| state.runs.get(r)).map(|r| r.tests.len()).sum();
        return Ok(Reply::Json(json!({"affected_runs": all.len(), "affected_tests": tests})));
    }
    open(state, id)?;
    all.into_iter().for_each(|run| runs::remove(state, run));
    let of = |owner: &Owner| matches!(owner, Owner::Plan(p) | Owner::Entry(p, _) if *p == id);
    state.attachments.retain(|_, a| !of(&a.owner));
    state.plans.remove(&id);
    state.touched = true;
    Ok(Reply::Empty)
}
