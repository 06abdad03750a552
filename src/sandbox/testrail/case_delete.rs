//! Deleting cases, and what goes with them.

use serde_json::json;

use super::call::Call;
use super::reply::{Answer, Problem, Reply};
use super::runs;
use super::state::{Owner, State};

/// The tests of a case in runs that are open.
fn open(state: &State, case: u32) -> Vec<u32> {
    let tests = state.tests_of.get(&case).map(Vec::as_slice).unwrap_or_default();
    let is_open = |test: &&u32| {
        let run = state.test(**test).ok().and_then(|t| state.runs.get(&t.run));
        run.is_some_and(|r| r.completed_on.is_none())
    };
    tests.iter().filter(is_open).copied().collect()
}

/// How many tests in open runs would go with some cases.
pub(super) fn open_tests(state: &State, cases: &[u32]) -> usize {
    cases.iter().map(|case| open(state, *case).len()).sum()
}

/// Removes cases with their tests in open runs. Closed runs go on showing what they showed.
pub(super) fn remove(state: &mut State, cases: &[u32]) {
    for id in cases {
        for test in open(state, *id) {
            runs::remove_test(state, test);
        }
        state.attachments.retain(|_, a| a.owner != Owner::Case(*id));
        state.history.remove(id);
        let Some(case) = state.cases.remove(id) else { continue };
        if case.pinned {
            state.versions.insert(case.version, case.content);
        }
        if let Some(section) = state.sections.get_mut(&case.section) {
            section.cases.retain(|c| c != id);
        }
    }
}

pub(super) fn delete_case(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "case_id")?;
    state.case(id)?;
    if call.soft() {
        return Ok(Reply::Json(json!({"affected_tests": open_tests(state, &[id])})));
    }
    remove(state, &[id]);
    state.touched = true;
    Ok(Reply::Empty)
}

pub(super) fn delete_cases(state: &mut State, call: &Call) -> Answer {
    let suite = call.id(0, "suite_id")?;
    let project = state.suite(suite)?.project;
    let asked = call.ids("project_id")?.and_then(|ids| ids.first().copied());
    if asked.ok_or_else(|| Problem::required("project_id"))? != project {
        return Err(Problem::invalid("suite_id", "valid test suite"));
    }
    let ids = call.body.ids("case_ids")?.ok_or_else(|| Problem::required("case_ids"))?;
    for id in &ids {
        if state.case(*id)?.suite != suite {
            return Err(Problem::invalid("case_id", "valid test case"));
        }
    }
    if call.soft() {
        return Ok(Reply::Json(json!({"affected_tests": open_tests(state, &ids)})));
    }
    remove(state, &ids);
    state.touched |= !ids.is_empty();
    Ok(Reply::Empty)
}
