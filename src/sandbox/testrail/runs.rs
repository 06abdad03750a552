//! Runs and the tests that they are made of.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::call::{Body, Call};
use super::case_write::milestone;
use super::page::{Bare, Times, list, refers};
use super::projects::{NAME, TEXT, chosen_suite};
use super::reply::{Answer, Problem, Reply};
use super::state::{Owner, Run, State, Test, UNTESTED, take};

/// The longest list of references of a run or plan.
pub(super) const REFS: usize = 250;

/// How many tests of some runs have which status, by the status's id.
pub(super) fn counts(state: &State, runs: &[u32]) -> [u32; 13] {
    let mut out = [0; 13];
    for test in runs.iter().filter_map(|r| state.runs.get(r)).flat_map(|r| &r.tests) {
        let status = state.test(*test).map_or(0, |t| t.status);
        if let Some(count) = out.get_mut(usize::from(status)) {
            *count += 1;
        }
    }
    out
}

/// Adds the counters of tests by status.
pub(super) fn show_counts(counts: &[u32; 13], out: &mut Map<String, Value>) {
    for (key, status) in [("passed", 1), ("blocked", 2), ("untested", 3), ("retest", 4), ("failed", 5)] {
        out.insert(format!("{key}_count"), counts[status].into());
    }
    for n in 1..=7 {
        out.insert(format!("custom_status{n}_count"), counts[5 + n].into());
    }
}

/// A run's configurations in words.
fn config_text(state: &State, run: &Run) -> Option<String> {
    let all = || state.config_groups.values().flat_map(|g| &g.configs);
    let name = |id: &u32| all().find(|(c, _)| c == id).map(|(_, name)| name.to_string());
    let names: Vec<String> = run.config_ids.iter().filter_map(name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// A run as an object.
pub(super) fn show(state: &State, call: &Call, id: u32, run: &Run) -> Map<String, Value> {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| {
        out.insert(key.to_owned(), value);
    };
    put("id", id.into());
    put("suite_id", run.suite.into());
    put("name", json!(run.name));
    put("description", json!(run.description));
    put("milestone_id", json!(run.milestone));
    put("assignedto_id", json!(run.assigned_to));
    put("include_all", run.include_all.into());
    put("is_completed", run.completed_on.is_some().into());
    put("completed_on", json!(run.completed_on));
    if !call.face.old() {
        put("is_archived", false.into());
        put("archived_on", Value::Null);
        put("dynamic_filters", Value::Null);
        put("start_on", json!(run.start_on));
        put("due_on", json!(run.due_on));
    }
    put("config", json!(config_text(state, run)));
    put("config_ids", json!(run.config_ids));
    put("project_id", run.project.into());
    put("plan_id", json!(run.plan));
    put("created_on", run.created_on.into());
    put("updated_on", json!(run.updated_on));
    put("created_by", run.created_by.into());
    put("refs", json!(run.refs));
    put("url", call.link("runs/view", id).into());
    show_counts(&counts(state, &[id]), &mut out);
    out
}

fn shown(state: &State, call: &Call, id: u32) -> Answer {
    Ok(Reply::Json(Value::Object(show(state, call, id, state.run(id)?))))
}

pub(super) fn get_run(state: &mut State, call: &Call) -> Answer {
    shown(state, call, call.id(0, "run_id")?)
}

pub(super) fn get_runs(state: &mut State, call: &Call) -> Answer {
    let project = call.id(0, "project_id")?;
    state.project(project)?;
    let created = Times::read(call, "created")?;
    let by = call.ids("created_by")?;
    let completed = call.flag("is_completed")?;
    let milestones = call.ids("milestone_id")?;
    let suites = call.ids("suite_id")?;
    let with_plans = call.flag("include_plan_runs")?.unwrap_or(false) && completed.is_some();
    let state = &*state;
    let among = |wanted: &Option<Vec<u32>>, value: u32| wanted.as_ref().is_none_or(|w| w.contains(&value));
    let fits = |run: &Run| {
        run.project == project
            && (run.plan.is_none() || with_plans)
            && created.hold(run.created_on)
            && among(&by, run.created_by)
            && among(&suites, run.suite)
            && milestones.as_ref().is_none_or(|w| run.milestone.is_some_and(|m| w.contains(&m)))
            && completed.is_none_or(|wanted| wanted == run.completed_on.is_some())
            && refers(run.refs.as_deref(), call.param("refs_filter"))
    };
    let found = state.runs.iter().rev().filter(|(_, r)| fits(r));
    list(call, "runs", Bare::Cut, found, |(id, run)| Value::Object(show(state, call, *id, run)))
}

/// Which cases of a suite a run is to hold.
#[derive(Clone, Debug)]
pub(super) enum Chosen {
    All,
    Some(Vec<u32>),
}

/// Reads `include_all` and `case_ids`; none if nothing is to change. A list alone restricts
/// only what did not hold all cases before.
pub(super) fn chosen(state: &State, suite: u32, body: &Body, all: bool) -> Result<Option<Chosen>, Problem> {
    let ids = body.ids("case_ids")?;
    match (body.flag("include_all")?, ids) {
        (Some(true), _) => Ok(Some(Chosen::All)),
        (Some(false), None) => Err(Problem::required("case_ids")),
        (None, None) => Ok(None),
        (None, Some(_)) if all => Ok(None),
        (_, Some(ids)) => {
            let of = |id: &u32| state.cases.get(id).is_some_and(|c| c.suite == suite);
            match ids.iter().all(of) {
                true => Ok(Some(Chosen::Some(ids))),
                false => Err(Problem::bad("Field :case_ids contains one or more invalid test cases.")),
            }
        }
    }
}

/// All cases of a suite, in its order.
fn all_cases(state: &State, suite: u32) -> Vec<u32> {
    let of = |(id, _): (u32, u32)| state.sections.get(&id).map(|s| s.cases.clone()).unwrap_or_default();
    state.walk(suite).into_iter().flat_map(of).collect()
}

fn add_test(state: &mut State, run: u32, case: u32) {
    state.tests.push(Test { run, case, version: 0, last: 0, assigned_to: 0, status: UNTESTED });
    let id = state.tests.len() as u32;
    state.tests_of.entry(case).or_default().push(id);
    if let Some(run) = state.runs.get_mut(&run) {
        run.tests.push(id);
    }
}

/// Makes a run hold certain cases: adds tests for those it lacks, drops the others.
pub(super) fn select(state: &mut State, run: u32, chosen: &Chosen) {
    let Some(held) = state.runs.get_mut(&run) else { return };
    held.include_all = matches!(chosen, Chosen::All);
    let (suite, tests) = (held.suite, held.tests.clone());
    let cases = match chosen {
        Chosen::All => all_cases(state, suite),
        Chosen::Some(cases) => cases.clone(),
    };
    let wanted: HashSet<u32> = cases.iter().copied().collect();
    let mut there = HashSet::new();
    for test in tests {
        match state.test(test).map(|t| t.case) {
            Ok(case) if wanted.contains(&case) => drop(there.insert(case)),
            _ => remove_test(state, test),
        }
    }
    for case in cases {
        if there.insert(case) {
            add_test(state, run, case);
        }
    }
}

/// A case that comes into a suite comes into its open runs of all cases too.
pub(super) fn join_open(state: &mut State, suite: u32, case: u32) {
    let open = |r: &Run| r.suite == suite && r.include_all && r.completed_on.is_none();
    let runs: Vec<u32> = state.runs.iter().filter(|(_, r)| open(r)).map(|(id, _)| *id).collect();
    runs.into_iter().for_each(|run| add_test(state, run, case));
}

/// Removes a test with its results.
pub(super) fn remove_test(state: &mut State, id: u32) {
    let Some(test) = state.test_mut(id) else { return };
    let gone = *test;
    test.run = 0;
    test.case = 0;
    let mut next = gone.last;
    let mut dropped = HashSet::new();
    while let Some(row) = (next as usize).checked_sub(1).and_then(|at| state.results.get_mut(at)) {
        dropped.insert(next);
        next = row.before;
        row.test = 0;
        row.more = None;
    }
    if let Some(run) = state.runs.get_mut(&gone.run) {
        run.tests.retain(|t| *t != id);
        run.results.retain(|r| !dropped.contains(r));
    }
    if let Some(tests) = state.tests_of.get_mut(&gone.case) {
        tests.retain(|t| *t != id);
    }
    if !dropped.is_empty() {
        state.attachments.retain(|_, a| !matches!(&a.owner, Owner::Result(r) if dropped.contains(r)));
    }
    state.test_labels.remove(&id);
}

/// Removes a run with its tests and results.
pub(super) fn remove(state: &mut State, id: u32) {
    let Some(run) = state.runs.get_mut(&id) else { return };
    let tests = std::mem::take(&mut run.tests);
    run.results.clear();
    tests.into_iter().for_each(|test| remove_test(state, test));
    state.attachments.retain(|_, a| a.owner != Owner::Run(id));
    state.runs.remove(&id);
}

/// Closes a run: from then on its tests show their cases as they are now.
pub(super) fn close(state: &mut State, id: u32, now: i64) {
    let Some(run) = state.runs.get_mut(&id) else { return };
    run.completed_on = Some(now);
    run.updated_on = Some(now);
    for test in run.tests.clone() {
        let case = state.test(test).map_or(0, |t| t.case);
        let version = state.pin(case);
        if let Some(test) = state.test_mut(test) {
            test.version = version;
        }
    }
}

/// Takes over the plain fields of a run.
pub(super) fn apply(state: &State, project: u32, body: &Body, run: &mut Run) -> Result<(), Problem> {
    if let Some(text) = body.text("description", TEXT)? {
        run.description = text;
    }
    if let Some(refs) = body.text("refs", REFS)? {
        run.refs = refs;
    }
    if let Some(milestone) = milestone(state, project, body)? {
        run.milestone = milestone;
    }
    if let Some(user) = body.id("assignedto_id")? {
        run.assigned_to = known_user(state, "assignedto_id", user)?;
    }
    if let Some(at) = body.number("start_on")? {
        run.start_on = at;
    }
    if let Some(at) = body.number("due_on")? {
        run.due_on = at;
    }
    Ok(())
}

/// A user that a body names; 0 is nobody.
pub(super) fn known_user(state: &State, field: &str, user: Option<u32>) -> Result<Option<u32>, Problem> {
    match user {
        None | Some(0) => Ok(None),
        Some(id) if (id as usize) <= state.users.len() => Ok(Some(id)),
        Some(_) => Err(Problem::invalid(field, "valid user")),
    }
}

pub(super) fn add_run(state: &mut State, call: &Call) -> Answer {
    let project = call.id(0, "project_id")?;
    let body = &call.body;
    let suite = chosen_suite(state, project, body.id("suite_id")?.flatten())?;
    let name = match body.name("name", NAME, false)? {
        Some(name) => name,
        None => state.suite(suite)?.name.clone(),
    };
    let created_by = call.user;
    let mut run = Run { project, suite, name, created_by, created_on: call.now, ..Run::default() };
    run.updated_on = Some(call.now);
    apply(state, project, body, &mut run)?;
    let chosen = chosen(state, suite, body, true)?.unwrap_or(Chosen::All);
    let id = take(&mut state.next.run);
    state.runs.insert(id, run);
    select(state, id, &chosen);
    state.touched = true;
    shown(state, call, id)
}

/// A run that may still be changed by itself.
fn own(state: &State, id: u32) -> Result<&Run, Problem> {
    let run = state.run(id)?;
    if run.plan.is_some() {
        let text = "This operation is not allowed. The test run belongs to a test plan and cannot be edited independently.";
        return Err(Problem::denied(text));
    }
    Ok(run)
}

/// Refuses what is closed.
pub(super) fn still_open(completed_on: Option<i64>, what: &str) -> Result<(), Problem> {
    match completed_on {
        None => Ok(()),
        Some(_) => {
            let text = format!("This operation is not allowed. The {what} is completed (closed).");
            Err(Problem::denied(text))
        }
    }
}

pub(super) fn update_run(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "run_id")?;
    let mut run = own(state, id)?.clone();
    still_open(run.completed_on, "test run")?;
    if let Some(name) = call.body.name("name", NAME, false)? {
        run.name = name;
    }
    apply(state, run.project, &call.body, &mut run)?;
    let chosen = chosen(state, run.suite, &call.body, run.include_all)?;
    run.updated_on = Some(call.now);
    state.runs.insert(id, run);
    if let Some(chosen) = chosen {
        select(state, id, &chosen);
    }
    state.touched = true;
    shown(state, call, id)
}

pub(super) fn close_run(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "run_id")?;
    let run = own(state, id)?;
    still_open(run.completed_on, "test run")?;
    close(state, id, call.now);
    state.touched = true;
    shown(state, call, id)
}

pub(super) fn delete_run(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "run_id")?;
    let run = own(state, id)?;
    if call.soft() {
        return Ok(Reply::Json(json!({"affected_tests": run.tests.len()})));
    }
    still_open(run.completed_on, "test run")?;
    remove(state, id);
    state.touched = true;
    Ok(Reply::Empty)
}
