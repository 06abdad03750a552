//! Which tests are in which sets, plans, executions and preconditions.

use serde_json::{Value, json};

use super::args::Args;
use super::entity;
use super::resolve::Out;
use crate::sandbox::jira_xray::jira::Call;
use crate::sandbox::jira_xray::site::Role;
use crate::sandbox::jira_xray::store::State;

type Answer = Result<Out, String>;

/// Tests with their versions, from either of the two arguments.
pub(crate) fn tests_of(args: &Args) -> Vec<(String, Option<u16>)> {
    let plain = args.texts("testIssueIds").into_iter().map(|t| (t, None));
    let versioned = args.list("tests").iter().filter_map(|t| {
        let id = t.get("issueId")?.as_str()?.to_owned();
        let version = t.get("versionId").and_then(Value::as_u64);
        Some((id, version.and_then(|v| u16::try_from(v).ok())))
    });
    plain.chain(versioned).collect()
}

/// Answers the mutations of associations.
pub(crate) fn mutate(state: &mut State, call: &Call, field: &str, args: &Args) -> Answer {
    let (role, other, key, payload) = match field {
        "addTestsToTestSet" | "removeTestsFromTestSet" => {
            (Role::TestSet, Role::Test, "testIssueIds", "addedTests")
        }
        "addTestsToTestPlan" | "removeTestsFromTestPlan" => {
            (Role::TestPlan, Role::Test, "testIssueIds", "addedTests")
        }
        "addTestsToTestExecution" | "removeTestsFromTestExecution" => {
            (Role::TestExecution, Role::Test, "testIssueIds", "addedTests")
        }
        "addTestsToPrecondition" | "removeTestsFromPrecondition" => {
            (Role::Precondition, Role::Test, "testIssueIds", "addedTests")
        }
        "addTestExecutionsToTestPlan" | "removeTestExecutionsFromTestPlan" => {
            (Role::TestPlan, Role::TestExecution, "testExecIssueIds", "addedTestExecutions")
        }
        "addPreconditionsToTest" | "removePreconditionsFromTest" => {
            (Role::Test, Role::Precondition, "preconditionIssueIds", "addedPreconditions")
        }
        "addTestSetsToTest" | "removeTestSetsFromTest" => {
            (Role::Test, Role::TestSet, "testSetIssueIds", "addedTestSets")
        }
        "addTestPlansToTest" | "removeTestPlansFromTest" => {
            (Role::Test, Role::TestPlan, "testPlanIssueIds", "addedTestPlans")
        }
        "addTestExecutionsToTest" | "removeTestExecutionsFromTest" => {
            (Role::Test, Role::TestExecution, "testExecIssueIds", "addedTestExecutions")
        }
        _ => return Err(format!("{field} is not supported")),
    };
    let id = entity(state, call, args.required("issueId")?, role)?;
    let others: Vec<(String, Option<u16>)> = match other {
        Role::Test => tests_of(args),
        _ => args.texts(key).into_iter().map(|t| (t, args.version())).collect(),
    };
    if others.is_empty() {
        return Err(format!("{key} must be provided"));
    }
    let (mut done, mut unknown) = (Vec::new(), Vec::new());
    for (text, version) in others {
        match entity(state, call, &text, other) {
            Ok(found) => {
                let changed = if field.starts_with("add") {
                    join(state, call, (role, id), (other, found), version)?
                } else {
                    part(state, call, (role, id), (other, found), version)
                };
                if changed {
                    done.push(text);
                }
            }
            Err(_) => unknown.push(text),
        }
    }
    if field.starts_with("add") {
        let warning = (!unknown.is_empty()).then(|| invalid(&unknown));
        return Ok(Out::Json(json!({payload: done, "warning": warning})));
    }
    Ok(Out::text(format!("{} removed successfully", spoken(other))))
}

fn spoken(role: Role) -> &'static str {
    match role {
        Role::Test => "Tests",
        Role::TestSet => "Test Sets",
        Role::TestPlan => "Test Plans",
        Role::TestExecution => "Test Executions",
        _ => "Preconditions",
    }
}

fn invalid(ids: &[String]) -> String {
    format!("The following issue ids are not valid: {}", ids.join(", "))
}

/// Joins two entities; `false` if they were joined already.
fn join(
    state: &mut State,
    call: &Call,
    (role, id): (Role, u64),
    (other, found): (Role, u64),
    version: Option<u16>,
) -> Result<bool, String> {
    Ok(match (role, other) {
        (Role::TestSet, Role::Test) => join_set(state, call, id, found),
        (Role::Test, Role::TestSet) => join_set(state, call, found, id),
        (Role::TestPlan, Role::Test) => join_plan(state, call, id, found),
        (Role::Test, Role::TestPlan) => join_plan(state, call, found, id),
        (Role::TestExecution, Role::Test) => add_run(state, call, id, found, version),
        (Role::Test, Role::TestExecution) => add_run(state, call, found, id, version),
        (Role::TestPlan, _) => join_execution(state, call, id, found),
        (Role::Precondition, _) => link_precondition(state, call, &id.to_string(), found, version)?,
        _ => link_precondition(state, call, &found.to_string(), id, version)?,
    })
}

fn noted(state: &mut State, call: &Call, a: u64, b: u64, action: &str) {
    for (id, other) in [(a, b), (b, a)] {
        let key = state.issue(other).map(|i| state.key_of(i)).unwrap_or_default();
        state.note(id, call.user, call.now, action, &key);
    }
}

/// Puts a test into a set.
pub(crate) fn join_set(state: &mut State, call: &Call, set: u64, test: u64) -> bool {
    let (Some(data), Some(held)) = (state.xray.tests.get_mut(&test), state.xray.sets.get_mut(&set)) else {
        return false;
    };
    if data.sets.contains(&set) {
        return false;
    }
    data.sets.push(set);
    held.tests.push(test);
    noted(state, call, set, test, "Test added to Test Set");
    true
}

/// Puts a test into a plan.
pub(crate) fn join_plan(state: &mut State, call: &Call, plan: u64, test: u64) -> bool {
    let (Some(data), Some(held)) = (state.xray.tests.get_mut(&test), state.xray.plans.get_mut(&plan)) else {
        return false;
    };
    if data.plans.contains(&plan) {
        return false;
    }
    data.plans.push(plan);
    held.tests.push(test);
    noted(state, call, plan, test, "Test added to Test Plan");
    true
}

/// Puts an execution into a plan.
pub(crate) fn join_execution(state: &mut State, call: &Call, plan: u64, execution: u64) -> bool {
    let (Some(data), Some(held)) =
        (state.xray.executions.get_mut(&execution), state.xray.plans.get_mut(&plan))
    else {
        return false;
    };
    if data.plans.contains(&plan) {
        return false;
    }
    data.plans.push(plan);
    held.executions.push(execution);
    noted(state, call, plan, execution, "Test Execution added to Test Plan");
    true
}

/// Puts a test into an execution, which makes a run.
pub(crate) fn add_run(
    state: &mut State,
    call: &Call,
    execution: u64,
    test: u64,
    version: Option<u16>,
) -> bool {
    if state.add_run(execution, test, version, call.now).is_none() {
        return false;
    }
    noted(state, call, execution, test, "Test added to Test Execution");
    true
}

/// Joins a precondition and a test of the same type.
pub(crate) fn link_precondition(
    state: &mut State,
    call: &Call,
    precondition: &str,
    test: u64,
    version: Option<u16>,
) -> Result<bool, String> {
    let id = entity(state, call, precondition, Role::Precondition)?;
    let kind = state.xray.preconditions.get(&id).map(|p| p.kind).unwrap_or_default();
    let data = state.xray.tests.get_mut(&test).ok_or("the Test is gone")?;
    let held = data.version_mut(version).ok_or("the Test version is not valid")?;
    if held.definition.kind != kind {
        return Err("The Precondition type does not match the Test type".to_owned());
    }
    if held.preconditions.contains(&id) {
        return Ok(false);
    }
    held.preconditions.push(id);
    let number = held.id;
    if let Some(p) = state.xray.preconditions.get_mut(&id) {
        p.tests.push((test, number));
    }
    noted(state, call, id, test, "Precondition added to Test");
    Ok(true)
}

fn part(
    state: &mut State,
    call: &Call,
    (role, id): (Role, u64),
    (other, found): (Role, u64),
    version: Option<u16>,
) -> bool {
    let (container, role, member) = match (role, other) {
        (Role::Test, role) => (found, role, id),
        (role, _) => (id, role, found),
    };
    let xray = &mut state.xray;
    let test = xray.tests.get_mut(&member);
    let changed = match role {
        Role::TestSet => {
            let (Some(set), Some(test)) = (xray.sets.get_mut(&container), test) else { return false };
            let before = set.tests.len();
            set.tests.retain(|t| *t != member);
            test.sets.retain(|s| *s != container);
            set.tests.len() != before
        }
        Role::TestPlan if other == Role::TestExecution => {
            let Some(plan) = xray.plans.get_mut(&container) else { return false };
            let before = plan.executions.len();
            plan.executions.retain(|e| *e != member);
            let after = plan.executions.len();
            if let Some(execution) = xray.executions.get_mut(&member) {
                execution.plans.retain(|p| *p != container);
            }
            after != before
        }
        Role::TestPlan => {
            let (Some(plan), Some(test)) = (xray.plans.get_mut(&container), test) else { return false };
            let before = plan.tests.len();
            plan.tests.retain(|t| *t != member);
            plan.folders.remove_test(member);
            test.plans.retain(|p| *p != container);
            plan.tests.len() != before
        }
        Role::TestExecution => match xray.run_of(member, container) {
            Some(run) => {
                state.drop_run(run, call.now);
                true
            }
            None => false,
        },
        _ => {
            let (Some(p), Some(test)) = (xray.preconditions.get_mut(&container), test) else {
                return false;
            };
            let Some(held) = test.version_mut(version) else { return false };
            let before = held.preconditions.len();
            held.preconditions.retain(|x| *x != container);
            let number = held.id;
            p.tests.retain(|(t, v)| !(*t == member && *v == number));
            held.preconditions.len() != before
        }
    };
    if changed {
        noted(state, call, container, member, "Removed");
    }
    changed
}

/// Puts tests into a set or plan; says which were new, and what could not be found.
pub(crate) fn add_tests(
    state: &mut State,
    call: &Call,
    id: u64,
    role: Role,
    tests: &[String],
) -> (Vec<String>, Option<String>) {
    let (mut added, mut unknown) = (Vec::new(), Vec::new());
    for text in tests {
        match entity(state, call, text, Role::Test) {
            Ok(test) => {
                let new = match role {
                    Role::TestSet => join_set(state, call, id, test),
                    _ => join_plan(state, call, id, test),
                };
                if new {
                    added.push(text.clone());
                }
            }
            Err(_) => unknown.push(text.clone()),
        }
    }
    let warning = (!unknown.is_empty()).then(|| invalid(&unknown));
    (added, warning)
}
