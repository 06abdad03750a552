//! Milestones, and those below them.

use serde_json::{Value, json};

use super::call::{Body, Call};
use super::page::{Bare, list};
use super::projects::{NAME, TEXT};
use super::reply::{Answer, Problem, Reply};
use super::runs::REFS;
use super::state::{Milestone, State, take};

fn show(call: &Call, id: u32, m: &Milestone) -> Value {
    json!({
        "id": id, "name": m.name, "description": m.description, "start_on": m.start_on,
        "started_on": m.started_on, "is_started": m.started_on.is_some(), "due_on": m.due_on,
        "is_completed": m.completed_on.is_some(), "completed_on": m.completed_on,
        "project_id": m.project, "parent_id": m.parent, "refs": m.refs,
        "url": call.link("milestones/view", id),
    })
}

fn find(state: &State, id: u32) -> Result<&Milestone, Problem> {
    state.milestones.get(&id).ok_or_else(|| Problem::invalid("milestone_id", "valid milestone"))
}

fn shown(state: &State, call: &Call, id: u32) -> Answer {
    let mut out = show(call, id, find(state, id)?);
    let below = state.milestones.iter().filter(|(_, m)| m.parent == Some(id));
    out["milestones"] = below.map(|(id, m)| show(call, *id, m)).collect();
    Ok(Reply::Json(out))
}

pub(super) fn get_milestone(state: &mut State, call: &Call) -> Answer {
    shown(state, call, call.id(0, "milestone_id")?)
}

pub(super) fn get_milestones(state: &mut State, call: &Call) -> Answer {
    let project = call.id(0, "project_id")?;
    state.project(project)?;
    let completed = call.flag("is_completed")?;
    let started = call.flag("is_started")?;
    let fits = |m: &Milestone| {
        m.project == project
            && m.parent.is_none()
            && completed.is_none_or(|wanted| wanted == m.completed_on.is_some())
            && started.is_none_or(|wanted| wanted == m.started_on.is_some())
    };
    let found = state.milestones.iter().filter(|(_, m)| fits(m));
    list(call, "milestones", Bare::Whole, found, |(id, m)| show(call, *id, m))
}

fn apply(state: &State, body: &Body, now: i64, m: &mut Milestone, must: bool) -> Result<(), Problem> {
    if let Some(name) = body.name("name", NAME, must)? {
        m.name = name;
    }
    if let Some(text) = body.text("description", TEXT)? {
        m.description = text;
    }
    if let Some(refs) = body.text("refs", REFS)? {
        m.refs = refs;
    }
    if let Some(at) = body.number("start_on")? {
        m.start_on = at;
    }
    if let Some(at) = body.number("due_on")? {
        m.due_on = at;
    }
    if let Some(parent) = body.id("parent_id")? {
        let fits =
            |id: u32| state.milestones.get(&id).is_some_and(|p| p.project == m.project && p.parent.is_none());
        if !parent.is_none_or(fits) {
            return Err(Problem::invalid("parent_id", "valid milestone"));
        }
        m.parent = parent;
    }
    if !must {
        if let Some(done) = body.flag("is_completed")? {
            m.completed_on = done.then(|| m.completed_on.unwrap_or(now));
        }
        if let Some(started) = body.flag("is_started")? {
            m.started_on = started.then(|| m.started_on.unwrap_or(now));
        }
    }
    Ok(())
}

pub(super) fn add_milestone(state: &mut State, call: &Call) -> Answer {
    let project = call.id(0, "project_id")?;
    state.project(project)?;
    let mut milestone = Milestone { project, ..Milestone::default() };
    apply(state, &call.body, call.now, &mut milestone, true)?;
    let id = take(&mut state.next.milestone);
    state.milestones.insert(id, milestone);
    state.touched = true;
    shown(state, call, id)
}

pub(super) fn update_milestone(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "milestone_id")?;
    let mut milestone = find(state, id)?.clone();
    apply(state, &call.body, call.now, &mut milestone, false)?;
    state.milestones.insert(id, milestone);
    state.touched = true;
    shown(state, call, id)
}

pub(super) fn delete_milestone(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "milestone_id")?;
    find(state, id)?;
    state.milestones.retain(|own, m| *own != id && m.parent != Some(id));
    let gone = |milestone: Option<u32>| milestone.filter(|m| state.milestones.contains_key(m));
    state.cases.values_mut().for_each(|c| c.content.milestone = gone(c.content.milestone));
    state.runs.values_mut().for_each(|r| r.milestone = gone(r.milestone));
    state.plans.values_mut().for_each(|p| p.milestone = gone(p.milestone));
    state.touched = true;
    Ok(Reply::Empty)
}
