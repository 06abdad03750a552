//! Entries of plans: one run for each combination of configurations.

use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::call::{Body, Call};
use super::plans::open;
use super::projects::{NAME, TEXT, chosen_suite};
use super::reply::{Answer, Problem, Reply};
use super::runs::{self, Chosen, REFS, still_open};
use super::state::{Entry, Run, State, take};

/// A run of an entry that is to be made.
#[derive(Clone, Debug)]
struct RunDraft {
    chosen: Chosen,
    run: Run,
}

/// An entry that is to be made.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    entry: Entry,
    runs: Vec<RunDraft>,
}

/// An entry as an object. `at` is its place in the plan, from 1.
pub(super) fn show(state: &State, call: &Call, entry: &Entry, at: u32) -> Value {
    let run = |id: &u32| {
        let mut out = runs::show(state, call, *id, state.runs.get(id)?);
        out.insert("entry_index".to_owned(), at.into());
        out.insert("entry_id".to_owned(), json!(entry.id));
        Some(Value::Object(out))
    };
    json!({
        "id": entry.id, "suite_id": entry.suite, "name": entry.name, "description": entry.description,
        "refs": entry.refs, "include_all": entry.include_all, "dynamic_filters": null,
        "runs": entry.runs.iter().filter_map(run).collect::<Vec<_>>(),
    })
}

fn shown(state: &State, call: &Call, plan: u32, entry: &str) -> Answer {
    let entries = &state.plan(plan)?.entries;
    let at = entries.iter().position(|e| e.id == entry).unwrap_or_default();
    let entry = entries.get(at).ok_or_else(unknown)?;
    Ok(Reply::Json(show(state, call, entry, at as u32 + 1)))
}

fn unknown() -> Problem {
    Problem::invalid("entry_id", "valid test plan entry")
}

/// The configurations that a body names.
fn configs(state: &State, project: u32, body: &Body) -> Result<Option<Vec<u32>>, Problem> {
    let Some(ids) = body.ids("config_ids")? else { return Ok(None) };
    let groups = || state.config_groups.values().filter(|g| g.project == project);
    let known = |id: &u32| groups().any(|g| g.configs.iter().any(|(c, _)| c == id));
    match ids.iter().all(known) {
        true => Ok(Some(ids)),
        false => Err(Problem::invalid("config_ids", "valid list of configurations")),
    }
}

fn run_draft(state: &State, base: &RunDraft, body: &Body) -> Result<RunDraft, Problem> {
    let mut draft = base.clone();
    runs::apply(state, base.run.project, body, &mut draft.run)?;
    draft.run.config_ids = configs(state, base.run.project, body)?.unwrap_or_default();
    draft.chosen = runs::chosen(state, base.run.suite, body, matches!(draft.chosen, Chosen::All))?
        .unwrap_or(draft.chosen);
    Ok(draft)
}

/// Reads an entry for a plan of a project.
pub(super) fn drafted(state: &State, project: u32, body: &Body) -> Result<Draft, Problem> {
    let suite = chosen_suite(state, project, body.id("suite_id")?.flatten())?;
    let name = match body.name("name", NAME, false)? {
        Some(name) => name,
        None => state.suite(suite)?.name.clone(),
    };
    let chosen = runs::chosen(state, suite, body, true)?.unwrap_or(Chosen::All);
    let mut run = Run { project, suite, name: name.clone(), ..Run::default() };
    runs::apply(state, project, body, &mut run)?;
    let all = configs(state, project, body)?;
    let base = RunDraft { chosen, run };
    let mut drafts = Vec::new();
    for body in body.objects("runs")?.unwrap_or_default() {
        let draft = run_draft(state, &base, &body).map_err(|p| p.within("runs"))?;
        let within = |id: &u32| all.as_ref().is_some_and(|all| all.contains(id));
        if !draft.run.config_ids.iter().all(within) {
            return Err(Problem::invalid("runs.config_ids", "valid list of configurations"));
        }
        drafts.push(draft);
    }
    if drafts.is_empty() {
        let mut only = base.clone();
        only.run.config_ids = all.unwrap_or_default();
        drafts.push(only);
    }
    let include_all = matches!(base.chosen, Chosen::All);
    let (description, refs) = (base.run.description, base.run.refs);
    let entry = Entry { suite, name, description, refs, include_all, ..Entry::default() };
    Ok(Draft { entry, runs: drafts })
}

/// The identifier of the n-th entry of an instance.
pub(super) fn guid(number: u32) -> String {
    let hash = format!("{:032x}", xxh3_128(format!("entry {number}").as_bytes()));
    format!("{}-{}-4{}-a{}-{}", &hash[..8], &hash[8..12], &hash[13..16], &hash[17..20], &hash[20..])
}

/// Stores an entry at the end of its plan, and gives its identifier.
pub(super) fn insert(state: &mut State, call: &Call, plan: u32, draft: Draft) -> String {
    let mut entry = draft.entry;
    entry.id = guid(take(&mut state.next.entry));
    for run in draft.runs {
        let id = insert_run(state, call, plan, run);
        entry.runs.push(id);
    }
    let id = entry.id.clone();
    if let Some(plan) = state.plans.get_mut(&plan) {
        plan.entries.push(entry);
    }
    id
}

fn insert_run(state: &mut State, call: &Call, plan: u32, draft: RunDraft) -> u32 {
    let id = take(&mut state.next.run);
    let stamps = (call.user, call.now, Some(call.now));
    let (created_by, created_on, updated_on) = stamps;
    let milestone = draft.run.milestone.or_else(|| state.plans.get(&plan).and_then(|p| p.milestone));
    let run = Run { plan: Some(plan), created_by, created_on, updated_on, milestone, ..draft.run };
    state.runs.insert(id, run);
    runs::select(state, id, &draft.chosen);
    id
}

pub(super) fn add_plan_entry(state: &mut State, call: &Call) -> Answer {
    let plan = call.id(0, "plan_id")?;
    let project = open(state, plan)?.project;
    let draft = drafted(state, project, &call.body)?;
    let id = insert(state, call, plan, draft);
    state.touched = true;
    shown(state, call, plan, &id)
}

/// The plan and entry of a call.
fn named(state: &State, call: &Call) -> Result<(u32, Entry), Problem> {
    let plan = call.id(0, "plan_id")?;
    let id = call.args.get(1).map(String::as_str).unwrap_or_default();
    let entry = open(state, plan)?.entries.iter().find(|e| e.id == id);
    Ok((plan, entry.cloned().ok_or_else(unknown)?))
}

fn put(state: &mut State, plan: u32, entry: Entry) {
    let entries = state.plans.get_mut(&plan).map(|p| &mut p.entries);
    if let Some(place) = entries.and_then(|list| list.iter_mut().find(|e| e.id == entry.id)) {
        *place = entry;
    }
}

pub(super) fn update_plan_entry(state: &mut State, call: &Call) -> Answer {
    let (plan, mut entry) = named(state, call)?;
    let body = &call.body;
    if let Some(name) = body.name("name", NAME, false)? {
        entry.name = name;
    }
    if let Some(text) = body.text("description", TEXT)? {
        entry.description = text;
    }
    if let Some(refs) = body.text("refs", REFS)? {
        entry.refs = refs;
    }
    let project = state.plan(plan)?.project;
    let chosen = runs::chosen(state, entry.suite, body, entry.include_all)?;
    let mut changed = Vec::new();
    for id in &entry.runs {
        let mut run = state.run(*id)?.clone();
        run.name = entry.name.clone();
        runs::apply(state, project, body, &mut run)?;
        run.updated_on = Some(call.now);
        changed.push((*id, run));
    }
    state.runs.extend(changed);
    if let Some(chosen) = chosen {
        entry.include_all = matches!(chosen, Chosen::All);
        entry.runs.iter().for_each(|run| runs::select(state, *run, &chosen));
    }
    let id = entry.id.clone();
    put(state, plan, entry);
    state.touched = true;
    shown(state, call, plan, &id)
}

pub(super) fn delete_plan_entry(state: &mut State, call: &Call) -> Answer {
    let (plan, entry) = named(state, call)?;
    if call.soft() {
        let tests: usize = entry.runs.iter().filter_map(|r| state.runs.get(r)).map(|r| r.tests.len()).sum();
        return Ok(Reply::Json(json!({"affected_tests": tests})));
    }
    entry.runs.iter().for_each(|run| runs::remove(state, *run));
    if let Some(plan) = state.plans.get_mut(&plan) {
        plan.entries.retain(|e| e.id != entry.id);
    }
    state.touched = true;
    Ok(Reply::Empty)
}

pub(super) fn add_run_to_plan_entry(state: &mut State, call: &Call) -> Answer {
    let (plan, mut entry) = named(state, call)?;
    if !call.body.has("config_ids") {
        return Err(Problem::required("config_ids"));
    }
    let project = state.plan(plan)?.project;
    let run = Run { project, suite: entry.suite, name: entry.name.clone(), ..Run::default() };
    let chosen = match entry.runs.first() {
        Some(first) if !entry.include_all => Chosen::Some(held(state, *first)),
        _ => Chosen::All,
    };
    let draft = run_draft(state, &RunDraft { chosen, run }, &call.body)?;
    let id = insert_run(state, call, plan, draft);
    entry.runs.push(id);
    let id = entry.id.clone();
    put(state, plan, entry);
    state.touched = true;
    shown(state, call, plan, &id)
}

/// The cases that a run holds.
fn held(state: &State, run: u32) -> Vec<u32> {
    let tests = state.runs.get(&run).map(|r| r.tests.as_slice()).unwrap_or_default();
    tests.iter().filter_map(|t| state.test(*t).ok()).map(|t| t.case).collect()
}

/// A run of a plan that is still open.
fn planned(state: &State, call: &Call) -> Result<(u32, Run), Problem> {
    let id = call.id(0, "run_id")?;
    let run = state.run(id)?;
    if run.plan.is_none() {
        return Err(Problem::bad(
            "This operation is not allowed. The test run does not belong to a test plan.",
        ));
    }
    still_open(run.completed_on, "test run")?;
    Ok((id, run.clone()))
}

pub(super) fn update_run_in_plan_entry(state: &mut State, call: &Call) -> Answer {
    let (id, mut run) = planned(state, call)?;
    runs::apply(state, run.project, &call.body, &mut run)?;
    let chosen = runs::chosen(state, run.suite, &call.body, run.include_all)?;
    run.updated_on = Some(call.now);
    state.runs.insert(id, run);
    if let Some(chosen) = chosen {
        runs::select(state, id, &chosen);
    }
    state.touched = true;
    Ok(Reply::Json(Value::Object(runs::show(state, call, id, state.run(id)?))))
}

pub(super) fn delete_run_from_plan_entry(state: &mut State, call: &Call) -> Answer {
    let (id, run) = planned(state, call)?;
    if call.soft() {
        return Ok(Reply::Json(json!({"affected_tests": run.tests.len()})));
    }
    runs::remove(state, id);
    if let Some(plan) = run.plan.and_then(|p| state.plans.get_mut(&p)) {
        plan.entries.iter_mut().for_each(|e| e.runs.retain(|r| *r != id));
        plan.entries.retain(|e| !e.runs.is_empty());
    }
    state.touched = true;
    Ok(Reply::Empty)
}
