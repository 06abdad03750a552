//! Test points: reading them, setting outcomes, resetting, assigning testers.

use std::collections::HashSet;

use serde_json::{Value as Json, json};

use super::fields::F;
use super::http::{Answer, Call, Failure, Reply, ref_id};
use super::plans::{self, person_of};
use super::results::{OUTCOMES, RESULT_STATES, TestResult, camel, outcome_of};
use super::state::State;
use super::suite_calls::suite_id;
use super::suites::Point;
use super::value::iso;

/// The states of points by number.
pub(super) const POINT_STATES: [&str; 5] = ["None", "Ready", "Completed", "NotReady", "InProgress"];

impl Point {
    /// The state that follows from the outcome: failed ones need attention before they are ready again.
    pub(super) fn state(&self) -> usize {
        match OUTCOMES.get(self.outcome as usize).copied().unwrap_or("Unspecified") {
            "Unspecified" | "None" => 1,
            "Failed" => 3,
            "Paused" | "InProgress" => 4,
            _ => 2,
        }
    }

    /// The last result, if it is still there.
    pub(super) fn last<'a>(&self, state: &'a State) -> Option<&'a TestResult> {
        state.runs.get(&self.run).and_then(|run| run.result(self.result))
    }
}

/// The plan of a point.
pub(super) fn plan_of(state: &State, point: &Point) -> u32 {
    state.suites.get(&point.suite).map_or(0, |s| s.plan)
}

fn show(state: &State, call: &Call, id: u32, details: bool) -> Json {
    let base = &call.base;
    let point = &state.points[&id];
    let plan = plan_of(state, point);
    let project = state.project_of(plan);
    let home = format!("{base}/{}/_apis/testplan", super::json::encode(&state.project(project).name));
    let automated = state.items.get(&point.case).is_some_and(|i| i.text(F::AutomationStatus) == "Automated");
    let mut body = json!({"id": id});
    if let Some(tester) = point.tester {
        body["tester"] = state.person(base, tester);
    }
    body["configuration"] =
        json!({"id": point.configuration, "name": state.configuration_name(point.configuration)});
    body["isAutomated"] = json!(automated);
    body["project"] = state.plan_project(base, project);
    body["testPlan"] = json!({"id": plan, "name": state.title(plan)});
    body["testSuite"] = json!({"id": point.suite, "name": state.title(point.suite)});
    if details {
        body["lastUpdatedBy"] = state.person(base, point.by);
        body["lastUpdatedDate"] = json!(iso(point.updated));
        body["results"] = results(state, base, point);
        body["lastResetToActive"] = json!(iso(point.reset));
    }
    body["isActive"] = json!(point.state() == 1);
    body["links"] = json!({
        "_self": {"href": format!("{home}/Plans/{plan}/Suites/{}/TestPoint?pointIds={id}", point.suite)},
        "sourcePlan": {"href": format!("{home}/Plans/{plan}")},
        "sourceSuite": {"href": format!("{home}/Plans/{plan}/Suites/{}", point.suite)},
        "sourceProject": {"href": super::json::project_url(base, state.project(project))},
        "testCases": {"href": format!("{home}/Plans/{plan}/Suites/{}/TestCase/{}", point.suite, point.case)},
    });
    let case_state = state.items.get(&point.case).map_or("", |i| i.text(F::State));
    body["testCaseReference"] =
        json!({"id": point.case, "name": state.title(point.case), "state": case_state});
    body
}

fn results(state: &State, base: &str, point: &Point) -> Json {
    let mut body = json!({});
    let last = point.last(state);
    if let Some(result) = last {
        let mut details = json!({"duration": result.duration()});
        if let Some(done) = result.completed {
            details["dateCompleted"] = json!(iso(done));
        }
        if let Some(by) = result.run_by {
            details["runBy"] = state.person(base, by);
        }
        body["lastResultDetails"] = details;
    }
    body["lastResultId"] = json!(point.result);
    if let Some(build) =
        state.runs.get(&point.run).and_then(|r| r.extra.get("build")).and_then(|b| b.get("name"))
    {
        body["lastRunBuildNumber"] = build.clone();
    }
    body["lastTestRunId"] = json!(point.run);
    body["lastResultState"] =
        json!(last.map_or("unspecified".to_owned(), |r| camel(RESULT_STATES[r.state as usize])));
    let failure = last.map_or("None", |r| r.failure_type());
    body["failureType"] = json!(match failure {
        "New Issue" => "new_Issue".to_owned(),
        "Known Issue" => "known_Issue".to_owned(),
        other => camel(other),
    });
    let resolution = last.map_or("", |r| r.resolution()).to_lowercase().replace(' ', "");
    body["lastResolutionState"] = json!(match resolution.as_str() {
        "needsinvestigation" => "needsInvestigation",
        "testissue" => "testIssue",
        "productissue" => "productIssue",
        "configurationissue" => "configurationIssue",
        _ => "none",
    });
    body["state"] = json!(camel(POINT_STATES[point.state()]));
    body["outcome"] = json!(camel(OUTCOMES.get(point.outcome as usize).copied().unwrap_or("Unspecified")));
    body
}

/// The points of suites in order of their ids.
pub(super) fn points_of(state: &State, suites: &[u32]) -> Vec<u32> {
    let mut ids: Vec<u32> = suites
        .iter()
        .filter_map(|s| state.suites.get(s))
        .flat_map(|s| s.points.values().flatten().copied())
        .collect();
    ids.sort_unstable();
    ids
}

/// `GET TestPoint`.
pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    let (plan, suite) = suite_id(state, call)?;
    let details = call.q("includepointdetails").is_none_or(|d| !d.eq_ignore_ascii_case("false"));
    let ids = call.ids("pointids")?.or(call.ids("pointid")?);
    if let Some(ids) = ids {
        let known = |id: &u32| state.points.get(id).is_some_and(|p| plan_of(state, p) == plan);
        if let Some(id) = ids.iter().find(|id| !known(id)) {
            return Err(Failure::no_test_object(format!("Test point {id} not found.")));
        }
        return Ok(Reply::list(ids.iter().map(|&id| show(state, call, id, details)).collect()));
    }
    let wanted: Option<HashSet<u32>> = call.ids("testpointids")?.map(|i| i.into_iter().collect());
    let case = call.number("testcaseid")?.and_then(|c| u32::try_from(c).ok());
    let suites = if call.flag("isrecursive") { state.subtree(suite) } else { vec![suite] };
    let all = points_of(state, &suites).into_iter().filter(|id| {
        wanted.as_ref().is_none_or(|w| w.contains(id)) && case.is_none_or(|c| state.points[id].case == c)
    });
    let (page, token) = plans::page(all, plans::after(call)?);
    Ok(Reply::list(page.iter().map(|&id| show(state, call, id, details)).collect()).with_token(token))
}

/// What a client wants of one point.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    pub(super) outcome: Option<u8>,
    pub(super) reset: bool,
    pub(super) tester: Option<u32>,
}

/// Fulfils wishes; outcomes make one manual run for all of them.
pub(super) fn fulfil(state: &mut State, call: &Call, plan: u32, wishes: &[(u32, Wish)]) {
    let outcomes: Vec<(u32, u8)> = wishes.iter().filter_map(|(id, w)| w.outcome.map(|o| (*id, o))).collect();
    for (id, wish) in wishes {
        let Some(point) = state.points.get_mut(id) else { continue };
        if let Some(tester) = wish.tester {
            point.tester = Some(tester);
        }
        if wish.reset {
            (point.outcome, point.run, point.result, point.reset) = (0, 0, 0, call.now);
        }
        (point.updated, point.by) = (call.now, call.user);
        point.revision += 1;
    }
    if !outcomes.is_empty() {
        super::runs::manual_run(state, call, plan, &outcomes);
    }
    state.touch();
}

/// `PATCH TestPoint`.
pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let (plan, _) = suite_id(state, call)?;
    let mut wishes = Vec::new();
    for element in call.array()? {
        let id = ref_id(&element).ok_or_else(|| Failure::null("id"))?;
        let known = state.points.get(&id).is_some_and(|p| plan_of(state, p) == plan);
        if !known {
            return Err(Failure::no_test_object(format!("Test point {id} not found.")));
        }
        let outcome = element.get("results").and_then(|r| r.get("outcome")).filter(|o| !o.is_null());
        let outcome = outcome.map(outcome_of).transpose()?;
        let tester = match element.get("tester").filter(|t| !t.is_null()) {
            Some(tester) => {
                Some(person_of(state, tester).ok_or_else(|| Failure::property("The tester is not known."))?)
            }
            None => None,
        };
        let reset = element.get("isActive").and_then(Json::as_bool).unwrap_or(false);
        wishes.push((id, Wish { outcome, reset, tester }));
    }
    fulfil(state, call, plan, &wishes);
    Ok(Reply::list(wishes.iter().map(|(id, _)| show(state, call, *id, true)).collect()))
}
