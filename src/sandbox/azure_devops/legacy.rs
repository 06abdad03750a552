//! The older test area: points by plan or across plans, members by path, the tree of version 5.0.

use std::collections::HashSet;

use serde_json::{Value as Json, json};

use super::fields::F;
use super::http::{Answer, Call, Failure, Reply, id_list, ref_id};
use super::json::Snapshot;
use super::members;
use super::plans::{self, person_of, plan_id};
use super::points::{POINT_STATES, Wish, fulfil, plan_of, points_of};
use super::results::{OUTCOMES, RESULT_STATES, outcome_of};
use super::state::State;
use super::suite_calls::{self, suite_id};
use super::value::{UNSET, iso, same};

fn shallow(id: u32) -> Json {
    json!({"id": id.to_string()})
}

fn show_point(state: &State, call: &Call, id: u32, fields: &[u16]) -> Json {
    let base = &call.base;
    let point = &state.points[&id];
    let plan = plan_of(state, point);
    let home =
        format!("{base}/{}/_apis/test", super::json::encode(&state.project(state.project_of(plan)).name));
    let case_url = state.item_url(base, point.case);
    let mut body =
        json!({"id": id, "url": format!("{home}/Plans/{plan}/Suites/{}/Points/{id}", point.suite)});
    if let Some(tester) = point.tester {
        body["assignedTo"] = state.person(base, tester);
    }
    let automated = state.items.get(&point.case).is_some_and(|i| i.text(F::AutomationStatus) == "Automated");
    body["automated"] = json!(automated);
    body["configuration"] =
        json!({"id": point.configuration.to_string(), "name": state.configuration_name(point.configuration)});
    let last = point.last(state);
    body["failureType"] = json!(last.map_or("None", |r| r.failure_type()));
    if let Some(run) = state.runs.get(&point.run) {
        let url = format!("{home}/Runs/{}", point.run);
        body["lastTestRun"] = json!({"id": point.run.to_string(), "name": run.name, "url": url});
        body["lastResult"] =
            json!({"id": point.result.to_string(), "url": format!("{url}/Results/{}", point.result)});
    }
    if let Some(result) = last {
        body["lastResultState"] = json!(RESULT_STATES[result.state as usize]);
        let mut details = json!({"duration": result.duration()});
        if let Some(done) = result.completed {
            details["dateCompleted"] = json!(iso(done));
        }
        if let Some(by) = result.run_by {
            details["runBy"] = state.person(base, by);
        }
        body["lastResultDetails"] = details;
    }
    body["lastUpdatedDate"] = json!(iso(point.updated));
    body["lastUpdatedBy"] = state.person(base, point.by);
    if point.reset != UNSET {
        body["lastResetToActive"] = json!(iso(point.reset));
    }
    body["outcome"] = json!(OUTCOMES[point.outcome as usize]);
    body["revision"] = json!(point.revision);
    body["state"] = json!(POINT_STATES[point.state()]);
    body["suite"] = json!({"id": point.suite.to_string(), "name": state.title(point.suite), "url": format!("{home}/Plans/{plan}/Suites/{}", point.suite)});
    body["testCase"] = json!({"id": point.case.to_string(), "name": state.title(point.case), "url": case_url, "webUrl": state.web_url(base, point.case)});
    body["testPlan"] =
        json!({"id": plan.to_string(), "name": state.title(plan), "url": format!("{home}/Plans/{plan}")});
    body["workItemProperties"] = properties(state, base, point.case, fields);
    body
}

fn properties(state: &State, base: &str, case: u32, fields: &[u16]) -> Json {
    let Some(item) = state.items.get(&case) else { return json!([]) };
    let snap = Snapshot::now(case, item);
    let one = |field: &u16| {
        let value = state.field_value(&snap, *field)?;
        let key = &state.fields[*field as usize].reference;
        Some(json!({"workItem": {"key": key, "value": state.value_json(base, &value)}}))
    };
    fields.iter().filter_map(one).collect()
}

fn fields_of(state: &State, names: &[&str]) -> Vec<u16> {
    let mut fields: Vec<u16> = names.iter().filter_map(|n| state.field(n.trim())).collect();
    if fields.is_empty() {
        fields.push(F::AutomationStatus as u16);
    }
    fields
}

/// `GET test/Plans/{planId}/Suites/{suiteId}/points`.
pub(super) fn points(state: &mut State, call: &Call) -> Answer {
    let (_, suite) = suite_id(state, call)?;
    let case = call.number("testcaseid")?.and_then(|c| u32::try_from(c).ok());
    let configuration = call.number("configurationid")?.and_then(|c| u32::try_from(c).ok());
    let ids: Option<HashSet<u32>> = call.ids("testpointids")?.map(|i| i.into_iter().collect());
    let names: Vec<&str> = call.q("witfields").map(|w| w.split(',').collect()).unwrap_or_default();
    let fields = fields_of(state, &names);
    let wanted = |id: &u32| {
        let point = &state.points[id];
        case.is_none_or(|c| point.case == c)
            && configuration.is_none_or(|c| point.configuration == c)
            && ids.as_ref().is_none_or(|i| i.contains(id))
    };
    let (skip, top) = (call.number("$skip")?.unwrap_or(0), call.number("$top")?.unwrap_or(usize::MAX));
    let found = points_of(state, &[suite]).into_iter().filter(wanted).skip(skip).take(top);
    Ok(Reply::list(found.map(|id| show_point(state, call, id, &fields)).collect()))
}

fn path_points(state: &State, call: &Call) -> Result<(u32, Vec<u32>), Failure> {
    let (plan, suite) = suite_id(state, call)?;
    let ids = id_list("pointIds", call.param("pointIds").unwrap_or_default())?;
    let known = |id: &u32| state.points.get(id).is_some_and(|p| p.suite == suite);
    match ids.iter().find(|id| !known(id)) {
        Some(id) => Err(Failure::no_test_object(format!("Test point {id} not found."))),
        None => Ok((plan, ids)),
    }
}

/// `GET test/Plans/{planId}/Suites/{suiteId}/points/{pointIds}`.
pub(super) fn get_points(state: &mut State, call: &Call) -> Answer {
    let (_, ids) = path_points(state, call)?;
    let names: Vec<&str> = call.q("witfields").map(|w| w.split(',').collect()).unwrap_or_default();
    let fields = fields_of(state, &names);
    match ids.as_slice() {
        [id] => Ok(Reply::ok(show_point(state, call, *id, &fields))),
        ids => Ok(Reply::list(ids.iter().map(|id| show_point(state, call, *id, &fields)).collect())),
    }
}

/// `PATCH test/Plans/{planId}/Suites/{suiteId}/points/{pointIds}`: one body for all.
pub(super) fn update_points(state: &mut State, call: &Call) -> Answer {
    let (plan, ids) = path_points(state, call)?;
    let body = call.object()?;
    let outcome =
        body.get("outcome").filter(|o| !o.is_null() && o.as_str() != Some("")).map(outcome_of).transpose()?;
    let reset = body.get("resetToActive").and_then(Json::as_bool).unwrap_or(false);
    let tester = match body.get("tester").filter(|t| !t.is_null()) {
        Some(tester) => {
            Some(person_of(state, tester).ok_or_else(|| Failure::property("The tester is not known."))?)
        }
        None => None,
    };
    let wishes: Vec<(u32, Wish)> = ids.iter().map(|id| (*id, Wish { outcome, reset, tester })).collect();
    fulfil(state, call, plan, &wishes);
    let fields = fields_of(state, &[]);
    Ok(Reply::list(ids.iter().map(|id| show_point(state, call, *id, &fields)).collect()))
}

/// `POST test/points`: the points of cases in all plans of the project.
pub(super) fn query_points(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let body = call.object()?;
    let member = |outer: &Json, name: &str| {
        outer.as_object().and_then(|m| m.iter().find(|(n, _)| same(n, name))).map(|(_, v)| v.clone())
    };
    let filter = member(&body, "pointsFilter").ok_or_else(|| Failure::null("pointsFilter"))?;
    let list = |name: &str| match member(&filter, name) {
        Some(Json::Array(items)) => items,
        _ => Vec::new(),
    };
    let cases: Vec<u32> = list("testcaseIds").iter().filter_map(ref_id).collect();
    let names: Vec<String> =
        list("configurationNames").iter().filter_map(Json::as_str).map(str::to_owned).collect();
    let testers: Vec<u32> = list("testers").iter().filter_map(|t| person_of(state, t)).collect();
    let witness: Vec<String> = match member(&body, "witFields") {
        Some(Json::Array(items)) => items.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let fields = fields_of(state, &witness.iter().map(String::as_str).collect::<Vec<_>>());
    let mut found: Vec<u32> = if cases.is_empty() {
        state.points.keys().copied().collect()
    } else {
        let suites = |c: &u32| {
            state.index.suites_of.get(c).into_iter().flatten().map(move |s| (*s, *c)).collect::<Vec<_>>()
        };
        cases.iter().flat_map(suites).flat_map(|(s, c)| state.suites[&s].points[&c].clone()).collect()
    };
    found.sort_unstable();
    found.dedup();
    found.retain(|id| {
        let point = &state.points[id];
        state.project_of(point.suite) == project
            && (names.is_empty()
                || names.iter().any(|n| same(n, state.configuration_name(point.configuration))))
            && (testers.is_empty() || point.tester.is_some_and(|t| testers.contains(&t)))
    });
    let (skip, top) = (call.number("$skip")?.unwrap_or(0), call.number("$top")?.unwrap_or(usize::MAX));
    let points: Vec<Json> =
        found.into_iter().skip(skip).take(top).map(|id| show_point(state, call, id, &fields)).collect();
    let mut echo = serde_json::Map::new();
    for name in ["configurationNames", "testcaseIds", "testers"] {
        let items = list(name);
        if !items.is_empty() {
            echo.insert(name.to_owned(), Json::Array(items));
        }
    }
    Ok(Reply::ok(json!({"points": points, "pointsFilter": echo})))
}

fn show_member(state: &State, call: &Call, suite: u32, case: u32) -> Json {
    let points = state.suites[&suite].points.get(&case).into_iter().flatten().filter_map(|id| {
        let point = state.points.get(id)?;
        let mut shown = json!({"configuration": {"id": point.configuration.to_string(), "name": state.configuration_name(point.configuration)}});
        if let Some(tester) = point.tester {
            shown["tester"] = state.person(&call.base, tester);
        }
        Some(shown)
    });
    json!({"testCase": {"id": case.to_string(), "url": state.item_url(&call.base, case), "webUrl": state.web_url(&call.base, case)},
        "pointAssignments": points.collect::<Vec<_>>()})
}

fn path_cases(call: &Call) -> Result<Vec<u32>, Failure> {
    id_list("testCaseIds", call.param("testCaseIds").unwrap_or_default())
}

fn held_cases(state: &State, call: &Call, suite: u32) -> Result<Vec<u32>, Failure> {
    let cases = path_cases(call)?;
    match cases.iter().find(|c| !state.suites[&suite].points.contains_key(c)) {
        Some(case) => {
            Err(Failure::no_test_object(format!("Test case {case} not found in test suite {suite}.")))
        }
        None => Ok(cases),
    }
}

/// `GET test/Plans/{planId}/suites/{suiteId}/testcases[/{testCaseIds}]`.
pub(super) fn cases(state: &mut State, call: &Call) -> Answer {
    let (_, suite) = suite_id(state, call)?;
    if call.param("testCaseIds").is_some() {
        let cases = held_cases(state, call, suite)?;
        return match cases.as_slice() {
            [case] => Ok(Reply::ok(show_member(state, call, suite, *case))),
            cases => Ok(Reply::list(cases.iter().map(|c| show_member(state, call, suite, *c)).collect())),
        };
    }
    let all = state.suites[&suite].order.clone();
    Ok(Reply::list(all.iter().map(|c| show_member(state, call, suite, *c)).collect()))
}

/// `POST test/Plans/{planId}/suites/{suiteId}/testcases/{testCaseIds}`.
pub(super) fn add_cases(state: &mut State, call: &Call) -> Answer {
    let (_, suite) = suite_id(state, call)?;
    let cases = path_cases(call)?;
    for case in &cases {
        let is_case = state.live(*case).is_some_and(|i| &*i.kind == "Test Case");
        if !is_case {
            return Err(Failure::no_test_object(format!("Test case {case} not found.")));
        }
    }
    members::add_cases(state, call, suite, cases.iter().map(|c| (*c, None)).collect())?;
    Ok(Reply::list(cases.iter().map(|c| show_member(state, call, suite, *c)).collect()))
}

/// `PATCH test/Plans/{planId}/suites/{suiteId}/testcases/{testCaseIds}`: configurations.
pub(super) fn update_cases(state: &mut State, call: &Call) -> Answer {
    let (_, suite) = suite_id(state, call)?;
    let cases = held_cases(state, call, suite)?;
    let body = call.object()?;
    let list =
        body.get("configurations").and_then(Json::as_array).ok_or_else(|| Failure::null("configurations"))?;
    let list: Vec<(u32, Option<u32>)> = list.iter().filter_map(ref_id).map(|c| (c, None)).collect();
    if let Some((id, _)) = list.iter().find(|(c, _)| !state.configurations.contains_key(c)) {
        return Err(Failure::no_test_object(format!("Test configuration {id} not found.")));
    }
    for case in &cases {
        members::configure(state, call, suite, *case, &list);
    }
    state.audit(suite, "Changed the configurations of test cases", plans::stamp(call));
    Ok(Reply::list(cases.iter().map(|c| show_member(state, call, suite, *c)).collect()))
}

/// `DELETE test/Plans/{planId}/suites/{suiteId}/testcases/{testCaseIds}`.
pub(super) fn remove_cases(state: &mut State, call: &Call) -> Answer {
    let (_, suite) = suite_id(state, call)?;
    let cases = path_cases(call)?;
    members::remove_cases(state, call, suite, &cases)?;
    Ok(Reply::none())
}

fn show_plan(state: &State, call: &Call, id: u32) -> Json {
    let modern = plans::show(state, &call.base, id, true);
    let project = state.project_of(id);
    let url =
        format!("{}/{}/_apis/test/Plans/{id}", call.base, super::json::encode(&state.project(project).name));
    let root = state.plans[&id].root;
    let mut body = json!({"id": id, "name": modern["name"], "url": url, "project": state.shallow_project(&call.base, project),
        "area": {"name": modern["areaPath"]}, "description": modern.get("description").cloned().unwrap_or(json!(""))});
    for name in
        ["startDate", "endDate", "iteration", "updatedDate", "updatedBy", "owner", "revision", "state"]
    {
        if let Some(value) = modern.get(name) {
            body[name] = value.clone();
        }
    }
    body["rootSuite"] =
        json!({"id": root.to_string(), "name": state.title(root), "url": format!("{url}/Suites/{root}")});
    body["clientUrl"] = modern["_links"]["clientUrl"]["href"].clone();
    body
}

/// `GET test/plans[/{planId}]`, version 5.0.
pub(super) fn get_plans(state: &mut State, call: &Call) -> Answer {
    if call.param("planId").is_some() {
        let id = plan_id(state, call)?;
        return Ok(Reply::ok(show_plan(state, call, id)));
    }
    let project = state.scope(call)?;
    let (skip, top) = (call.number("$skip")?.unwrap_or(0), call.number("$top")?.unwrap_or(usize::MAX));
    let ids = state.plans.keys().copied().filter(|p| state.project_of(*p) == project).skip(skip).take(top);
    Ok(Reply::list(ids.map(|id| show_plan(state, call, id)).collect()))
}

/// `POST test/plans`, version 5.0.
pub(super) fn create_plan(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let body = call.object()?;
    let id = plans::create_from(state, call, project, &body)?;
    Ok(Reply::ok(show_plan(state, call, id)))
}

/// `PATCH test/plans/{planId}`, version 5.0.
pub(super) fn update_plan(state: &mut State, call: &Call) -> Answer {
    let id = plan_id(state, call)?;
    let body = call.object()?;
    plans::update_from(state, call, id, &body)?;
    Ok(Reply::ok(show_plan(state, call, id)))
}

fn show_suite(state: &State, call: &Call, id: u32) -> Json {
    let (suite, item) = (&state.suites[&id], &state.items[&id]);
    let home = format!(
        "{}/{}/_apis/test/Plans/{}",
        call.base,
        super::json::encode(&state.project(item.project).name),
        suite.plan
    );
    let (at, by) = item.changed();
    let kind = suite.kind.name();
    let mut body = json!({"id": id, "name": item.text(F::Title), "url": format!("{home}/Suites/{id}"),
        "project": state.shallow_project(&call.base, item.project),
        "plan": {"id": suite.plan.to_string(), "name": state.title(suite.plan), "url": home},
        "revision": item.rev(), "testCaseCount": suite.order.len(), "suiteType": kind[..1].to_uppercase() + &kind[1..],
        "testCasesUrl": format!("{home}/Suites/{id}/TestCases"), "inheritDefaultConfigurations": suite.inherit,
        "state": item.text(F::State), "lastUpdatedBy": state.person(&call.base, by), "lastUpdatedDate": iso(at)});
    if let Some(parent) = suite.parent {
        body["parent"] = json!({"id": parent.to_string(), "name": state.title(parent), "url": format!("{home}/Suites/{parent}")});
    }
    if let Some(requirement) = suite.requirement {
        body["requirementId"] = json!(requirement);
    }
    if let Some(query) = &suite.query {
        body["queryString"] = json!(query);
    }
    if !suite.children.is_empty() {
        body["suites"] = suite.children.iter().map(|c| shallow(*c)).collect();
    }
    body
}

/// `GET test/plans/{planId}/suites[/{suiteId}]` and `GET test/suites?testCaseId=`, version 5.0.
pub(super) fn get_suites(state: &mut State, call: &Call) -> Answer {
    if call.param("planId").is_none() {
        let case = call
            .number("testcaseid")?
            .and_then(|c| u32::try_from(c).ok())
            .ok_or_else(|| Failure::null("testCaseId"))?;
        let ids: Vec<u32> = state.index.suites_of.get(&case).into_iter().flatten().copied().collect();
        return Ok(Reply::list(ids.iter().map(|id| show_suite(state, call, *id)).collect()));
    }
    if call.param("suiteId").is_some() {
        let (_, id) = suite_id(state, call)?;
        return Ok(Reply::ok(show_suite(state, call, id)));
    }
    let plan = plan_id(state, call)?;
    let mut ids = state.subtree(state.plans[&plan].root);
    ids.sort_unstable();
    let (skip, top) = (call.number("$skip")?.unwrap_or(0), call.number("$top")?.unwrap_or(usize::MAX));
    Ok(Reply::list(ids.into_iter().skip(skip).take(top).map(|id| show_suite(state, call, id)).collect()))
}

/// `POST test/plans/{planId}/suites/{suiteId}`, version 5.0: below that suite; answers with a list.
pub(super) fn create_suite(state: &mut State, call: &Call) -> Answer {
    let (plan, parent) = suite_id(state, call)?;
    let body = call.object()?;
    let requirements: Vec<u32> = body
        .get("requirementIds")
        .and_then(Json::as_array)
        .map(|l| l.iter().filter_map(ref_id).collect())
        .unwrap_or_default();
    let mut made = Vec::new();
    if requirements.is_empty() {
        made.push(suite_calls::create_from(state, call, plan, parent, &body)?);
    }
    for requirement in requirements {
        let body = json!({"suiteType": "RequirementTestSuite", "requirementId": requirement});
        made.push(suite_calls::create_from(state, call, plan, parent, &body)?);
    }
    Ok(Reply::list(made.iter().map(|id| show_suite(state, call, *id)).collect()))
}

/// `PATCH test/plans/{planId}/suites/{suiteId}`, version 5.0.
pub(super) fn update_suite(state: &mut State, call: &Call) -> Answer {
    let (_, id) = suite_id(state, call)?;
    let mut body = call.object()?;
    if let Some(parent) = body.get("parent").cloned() {
        body["parentSuite"] = parent;
    }
    suite_calls::update_from(state, call, id, &body)?;
    Ok(Reply::ok(show_suite(state, call, id)))
}
