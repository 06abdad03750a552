//! Projects and suites.

use serde_json::{Value, json};

use super::auth::ROLES;
use super::call::Call;
use super::page::{Bare, list};
use super::reply::{Answer, Problem, Reply};
use super::runs;
use super::state::{Project, State, Suite, take};

/// The longest name of a project, suite, section, run or plan.
pub(super) const NAME: usize = 250;
/// The longest text: what the text columns hold.
pub(super) const TEXT: usize = 4_000_000;
/// The role that new users get in a project.
const DEFAULT_ROLE: usize = 3;

fn show_project(state: &State, call: &Call, id: u32, project: &Project) -> Value {
    let user = |n: usize| json!({"id": n, "global_role_id": null, "global_role": null, "project_role_id": null, "project_role": null});
    let mut out = json!({
        "id": id, "name": project.name, "announcement": project.announcement,
        "show_announcement": project.show_announcement, "is_completed": project.completed_on.is_some(),
        "completed_on": project.completed_on, "suite_mode": project.suite_mode,
        "default_role_id": DEFAULT_ROLE, "default_role": ROLES[DEFAULT_ROLE - 1],
        "url": call.link("projects/overview", id),
    });
    if !call.face.old() {
        out["case_statuses_enabled"] = call.face.case_statuses().into();
        out["users"] = (1..=state.users.len()).map(user).collect();
        out["groups"] =
            state.groups.keys().map(|id| json!({"id": id, "role": null, "role_id": null})).collect();
    }
    out
}

pub(super) fn get_project(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "project_id")?;
    Ok(Reply::Json(show_project(state, call, id, state.project(id)?)))
}

pub(super) fn get_projects(state: &mut State, call: &Call) -> Answer {
    let completed = call.flag("is_completed")?;
    let fits = |p: &&Project| completed.is_none_or(|wanted| wanted == p.completed_on.is_some());
    let found = state.projects.iter().filter(|(_, p)| fits(p));
    list(call, "projects", Bare::Whole, found, |(id, p)| show_project(state, call, *id, p))
}

pub(super) fn add_project(state: &mut State, call: &Call) -> Answer {
    let body = &call.body;
    let name = body.name("name", NAME, true)?.unwrap_or_default();
    let mode = body.number("suite_mode")?.flatten().unwrap_or(1);
    let suite_mode = u8::try_from(mode).ok().filter(|m| (1..=3).contains(m));
    let suite_mode = suite_mode.ok_or_else(|| Problem::invalid("suite_mode", "valid suite mode"))?;
    let announcement = body.text("announcement", TEXT)?.flatten();
    let show_announcement = body.flag("show_announcement")?.unwrap_or(false);
    let id = take(&mut state.next.project);
    let project = Project { name, announcement, show_announcement, completed_on: None, suite_mode };
    state.projects.insert(id, project);
    if suite_mode < 3 {
        new_suite(state, id, "Master".into(), None, true, false);
    }
    state.touched = true;
    get_after(state, call, id)
}

fn get_after(state: &State, call: &Call, id: u32) -> Answer {
    Ok(Reply::Json(show_project(state, call, id, state.project(id)?)))
}

pub(super) fn update_project(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "project_id")?;
    let mut project = state.project(id)?.clone();
    if let Some(name) = call.body.name("name", NAME, false)? {
        project.name = name;
    }
    if let Some(text) = call.body.text("announcement", TEXT)? {
        project.announcement = text;
    }
    if let Some(show) = call.body.flag("show_announcement")? {
        project.show_announcement = show;
    }
    if let Some(done) = call.body.flag("is_completed")? {
        project.completed_on = done.then(|| project.completed_on.unwrap_or(call.now));
    }
    state.projects.insert(id, project);
    state.touched = true;
    get_after(state, call, id)
}

pub(super) fn delete_project(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "project_id")?;
    state.project(id)?;
    let of = |suite: &Suite| suite.project == id;
    let suites: Vec<u32> = state.suites.iter().filter(|(_, s)| of(s)).map(|(id, _)| *id).collect();
    let runs: Vec<u32> = state.runs.iter().filter(|(_, r)| r.project == id).map(|(id, _)| *id).collect();
    runs.into_iter().for_each(|run| runs::remove(state, run));
    state.plans.retain(|_, p| p.project != id);
    suites.into_iter().for_each(|suite| remove_suite(state, suite));
    state.shared.retain(|_, s| s.project != id);
    state.milestones.retain(|_, m| m.project != id);
    state.labels.retain(|_, l| l.project != id);
    state.config_groups.retain(|_, g| g.project != id);
    state.attachments.retain(|_, a| a.project != id);
    state.projects.remove(&id);
    state.touched = true;
    Ok(Reply::Empty)
}

pub(super) fn new_suite(
    state: &mut State,
    project: u32,
    name: Box<str>,
    description: Option<Box<str>>,
    master: bool,
    baseline: bool,
) -> u32 {
    let id = take(&mut state.next.suite);
    state.suites.insert(id, Suite { project, name, description, master, baseline, sections: Vec::new() });
    id
}

fn show_suite(call: &Call, id: u32, suite: &Suite) -> Value {
    json!({
        "id": id, "name": suite.name, "description": suite.description, "project_id": suite.project,
        "is_master": suite.master, "is_baseline": suite.baseline, "is_completed": false,
        "completed_on": null, "url": call.link("suites/view", id),
    })
}

pub(super) fn get_suite(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "suite_id")?;
    Ok(Reply::Json(show_suite(call, id, state.suite(id)?)))
}

pub(super) fn get_suites(state: &mut State, call: &Call) -> Answer {
    let project = call.id(0, "project_id")?;
    state.project(project)?;
    let found = state.suites.iter().filter(|(_, s)| s.project == project);
    if call.face.old() {
        // This list came in pages later than all others.
        return Ok(Reply::Json(found.map(|(id, s)| show_suite(call, *id, s)).collect()));
    }
    list(call, "suites", Bare::Whole, found, |(id, s)| show_suite(call, *id, s))
}

pub(super) fn add_suite(state: &mut State, call: &Call) -> Answer {
    let project = call.id(0, "project_id")?;
    let mode = state.project(project)?.suite_mode;
    if mode == 1 {
        return Err(Problem::bad(
            "This operation is not allowed. The project uses a single repository for all cases.",
        ));
    }
    let name = call.body.name("name", NAME, true)?.unwrap_or_default();
    let description = call.body.text("description", TEXT)?.flatten();
    let id = new_suite(state, project, name, description, false, mode == 2);
    state.touched = true;
    Ok(Reply::Json(show_suite(call, id, state.suite(id)?)))
}

pub(super) fn update_suite(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "suite_id")?;
    let mut suite = state.suite(id)?.clone();
    if let Some(name) = call.body.name("name", NAME, false)? {
        suite.name = name;
    }
    if let Some(text) = call.body.text("description", TEXT)? {
        suite.description = text;
    }
    let answer = show_suite(call, id, &suite);
    state.suites.insert(id, suite);
    state.touched = true;
    Ok(Reply::Json(answer))
}

pub(super) fn delete_suite(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "suite_id")?;
    if state.suite(id)?.master {
        return Err(Problem::bad("This operation is not allowed. The master suite cannot be deleted."));
    }
    let runs: Vec<u32> = state.runs.iter().filter(|(_, r)| r.suite == id).map(|(id, _)| *id).collect();
    if call.soft() {
        let tests: usize = runs.iter().filter_map(|r| state.runs.get(r)).map(|r| r.tests.len()).sum();
        let cases = state.cases.values().filter(|c| c.suite == id).count();
        return Ok(Reply::Json(json!({
            "affected_sections": state.walk(id).len(), "affected_cases": cases,
            "affected_runs": runs.len(), "affected_tests": tests,
        })));
    }
    runs.into_iter().for_each(|run| runs::remove(state, run));
    remove_suite(state, id);
    state.touched = true;
    Ok(Reply::Empty)
}

fn remove_suite(state: &mut State, id: u32) {
    for (section, _) in state.walk(id) {
        super::sections::remove(state, section);
    }
    state.suites.remove(&id);
}

/// The suite of a list or a new run: said, or the only one of the project.
pub(super) fn chosen_suite(state: &State, project: u32, asked: Option<u32>) -> Result<u32, Problem> {
    let mode = state.project(project)?.suite_mode;
    let of = |id: &u32| state.suites.get(id).is_some_and(|s| s.project == project);
    match asked {
        Some(id) if of(&id) => Ok(id),
        _ if mode == 1 => {
            let only = state.suites.iter().find(|(_, s)| s.project == project).map(|(id, _)| *id);
            only.ok_or_else(|| Problem::invalid("suite_id", "valid test suite"))
        }
        Some(_) => Err(Problem::invalid("suite_id", "valid test suite")),
        None => Err(Problem::required("suite_id")),
    }
}
