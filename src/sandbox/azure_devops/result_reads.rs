//! Reading test results: lists, single ones, iterations, bugs.

use serde_json::{Value as Json, json};

use super::fields::F;
use super::http::{Answer, Call, Failure, Reply};
use super::results::{COMPLETED, Extra, OUTCOMES, RESULT_STATES, TestResult, Walk, no_result, outcome_of};
use super::runs::{Run, no_run, run_id, url_of};
use super::state::State;
use super::value::{UNSET, guid, iso};

/// How many results one call gives, plain and with details.
const MAX_PLAIN: usize = 1000;
const MAX_DETAILED: usize = 200;

/// The details that a reader asks for.
#[derive(Clone, Copy, Debug, Default)]
struct Details {
    iterations: bool,
    items: bool,
    sub: bool,
    point: bool,
}

impl Details {
    fn of(call: &Call) -> Result<Self, Failure> {
        let mut details = Self::default();
        for word in call.q("detailstoinclude").unwrap_or_default().split(',').map(|w| w.trim().to_lowercase())
        {
            match word.as_str() {
                "" | "none" | "0" => {}
                "iterations" | "1" => details.iterations = true,
                "workitems" | "2" => details.items = true,
                "subresults" | "4" => details.sub = true,
                "point" | "8" => details.point = true,
                other => {
                    return Err(Failure::binding(format!(
                        "The value '{other}' is not valid for detailsToInclude."
                    )));
                }
            }
        }
        Ok(details)
    }

    fn any(self) -> bool {
        self.iterations || self.items || self.sub || self.point
    }
}

/// The title that a result shows.
pub(super) fn title_of<'a>(state: &'a State, result: &'a TestResult) -> &'a str {
    let own = result.extra.as_ref().and_then(|e| e.title.as_deref());
    own.unwrap_or_else(|| state.title(result.case))
}

fn shallow(id: u32, name: &str) -> Json {
    json!({"id": id.to_string(), "name": name})
}

fn show(state: &State, call: &Call, id: u32, run: &Run, result: &TestResult, details: Details) -> Json {
    let base = &call.base;
    let url = format!("{}/Results/{}", url_of(state, call, id), result.id);
    let title = title_of(state, result);
    let mut body = json!({"id": result.id});
    if result.configuration != 0 {
        body["configuration"] = shallow(result.configuration, state.configuration_name(result.configuration));
    }
    body["project"] = state.shallow_project(base, run.project);
    for (name, date) in [("startedDate", result.started), ("completedDate", result.completed)] {
        if let Some(date) = date {
            body[name] = json!(iso(date));
        }
    }
    if result.state == COMPLETED || result.millis.is_some() {
        body["durationInMs"] = json!(result.duration() as f64);
    }
    body["outcome"] = json!(OUTCOMES[result.outcome as usize]);
    for (name, person) in [("owner", result.owner), ("runBy", result.run_by)] {
        if let Some(person) = person {
            body[name] = state.person(base, person);
        }
    }
    body["revision"] = json!(result.revision);
    body["state"] = json!(RESULT_STATES[result.state as usize]);
    body["testCase"] = if result.case == 0 { json!({"name": title}) } else { shallow(result.case, title) };
    if details.point && result.point != 0 {
        body["testPoint"] = json!({"id": result.point.to_string()});
        body["testSuite"] = shallow(result.suite, state.title(result.suite));
        if let Some(plan) = run.plan {
            body["testPlan"] = shallow(plan, state.title(plan));
        }
    }
    body["testRun"] = json!({"id": id.to_string(), "name": run.name, "url": url_of(state, call, id)});
    body["lastUpdatedDate"] = json!(iso(result.updated));
    body["lastUpdatedBy"] = state.person(base, result.by);
    body["priority"] = json!(result.priority);
    body["createdDate"] = json!(iso(result.created));
    if let Some(build) = run.extra.get("build") {
        body["build"] = build.clone();
    }
    put_extra(state, &mut body, result, details, &url);
    body["url"] = json!(url);
    body["failureType"] = json!(result.failure_type());
    let area = state.project(run.project).area;
    body["area"] = json!({"id": area.to_string(), "name": state.node_path(area),
        "url": format!("vstfs:///Classification/Node/{}", guid(&format!("node {area}")))});
    body["testCaseTitle"] = json!(title);
    if result.case_revision != 0 {
        body["testCaseRevision"] = json!(result.case_revision);
    }
    body["testCaseReferenceId"] = json!(if result.case == 0 { result.id } else { result.case });
    body
}

fn put_extra(state: &State, body: &mut Json, result: &TestResult, details: Details, url: &str) {
    let parse = |text: &Option<Box<str>>| text.as_deref().and_then(|t| serde_json::from_str::<Json>(t).ok());
    let empty = Extra::default();
    let extra = result.extra.as_deref().unwrap_or(&empty);
    if let Some(comment) = &extra.comment {
        body["comment"] = json!(comment);
    }
    for (name, value) in extra.texts.iter().filter(|(n, _)| &**n != "failureType") {
        body[&**name] = json!(value);
    }
    body["customFields"] = parse(&extra.custom).unwrap_or_else(|| json!([]));
    if details.items {
        let bug = |id: &u32| json!({"id": id.to_string(), "name": state.title(*id), "url": ""});
        body["associatedBugs"] = extra.bugs.iter().filter(|b| state.items.contains_key(b)).map(bug).collect();
    }
    if details.iterations {
        body["iterationDetails"] = Json::Array(iterations_of(result, url, true));
    }
    if details.sub
        && let Some(sub) = parse(&extra.sub)
    {
        body["subResults"] = sub;
    }
}

/// The single iteration of a walk through the steps; step ids start at 2.
fn walked(result: &TestResult, walk: Walk) -> Json {
    let outcome = OUTCOMES[result.outcome as usize];
    let (started, completed) = (result.started.unwrap_or(UNSET), result.completed.unwrap_or(UNSET));
    let action = |step: u8| {
        let outcome = match walk.failed {
            Some(failed) if step < failed => "Passed",
            Some(failed) if step > failed => "Unspecified",
            _ => outcome,
        };
        let id = u32::from(step) + 2;
        json!({"actionPath": format!("{id:08x}"), "iterationId": 1, "stepIdentifier": id.to_string(), "outcome": outcome,
            "startedDate": iso(started), "completedDate": iso(completed)})
    };
    json!([{"id": 1, "outcome": outcome, "errorMessage": "", "startedDate": iso(started), "completedDate": iso(completed),
        "durationInMs": result.duration() as f64, "actionResults": (0..walk.steps).map(action).collect::<Vec<_>>(),
        "parameters": [], "attachments": []}])
}

/// The iterations with their urls; actions and parameters only if asked for.
fn iterations_of(result: &TestResult, url: &str, actions: bool) -> Vec<Json> {
    let sent = result.extra.as_ref().and_then(|e| e.iterations.as_deref());
    let parsed = match sent {
        Some(text) => serde_json::from_str::<Json>(text).ok(),
        None => result.walk.map(|walk| walked(result, walk)),
    };
    let Some(Json::Array(mut list)) = parsed else { return Vec::new() };
    for iteration in &mut list {
        let own = format!("{url}/Iterations/{}", iteration["id"]);
        if let Some(members) = iteration.as_object_mut() {
            if !actions {
                members.shift_remove("actionResults");
                members.shift_remove("parameters");
                members.shift_remove("attachments");
            }
            members.insert("url".to_owned(), json!(own));
        }
        for group in ["actionResults", "parameters"] {
            let Some(rows) = iteration.get_mut(group).and_then(Json::as_array_mut) else { continue };
            for row in rows {
                let path = row.get("actionPath").and_then(Json::as_str).unwrap_or_default().to_owned();
                row["url"] = json!(format!("{own}/ActionResults/{path}"));
            }
        }
    }
    list
}

/// `GET Runs/{runId}/results`.
pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    let id = run_id(state, call)?;
    let details = Details::of(call)?;
    let most = if details.any() { MAX_DETAILED } else { MAX_PLAIN };
    let top = call.number("$top")?.unwrap_or(most);
    if top > most {
        return Err(Failure::property(format!(
            "Maximum {most} test results can be processed in a single call."
        )));
    }
    let skip = call.number("$skip")?.unwrap_or(0);
    let run = &state.runs[&id];
    let rows: Vec<&TestResult> = match call.q("outcomes") {
        None => run.results.iter().skip(skip).take(top).collect(),
        Some(words) => {
            let wanted =
                words.split(',').map(|w| outcome_of(&json!(w.trim()))).collect::<Result<Vec<_>, _>>()?;
            run.results.iter().filter(|r| wanted.contains(&r.outcome)).skip(skip).take(top).collect()
        }
    };
    Ok(Reply::list(rows.into_iter().map(|r| show(state, call, id, run, r, details)).collect()))
}

/// The run and the result of a call's path.
pub(super) fn result_id(state: &State, call: &Call) -> Result<(u32, u32), Failure> {
    let run = run_id(state, call)?;
    let id = call.id("testCaseResultId")?;
    state
        .runs
        .get(&run)
        .ok_or_else(|| no_run(run))?
        .result(id)
        .map(|_| (run, id))
        .ok_or_else(|| no_result(run, id))
}

/// `GET Runs/{runId}/results/{testCaseResultId}`.
pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    let (id, result) = result_id(state, call)?;
    let run = &state.runs[&id];
    let held = run.result(result).ok_or_else(|| no_result(id, result))?;
    let details = Details { point: true, ..Details::of(call)? };
    Ok(Reply::ok(show(state, call, id, run, held, details)))
}

/// `GET Runs/{runId}/Results/{testCaseResultId}/iterations[/{iterationId}]`.
pub(super) fn iterations(state: &mut State, call: &Call) -> Answer {
    let (run, id) = result_id(state, call)?;
    let url = format!("{}/Results/{id}", url_of(state, call, run));
    let held = state.runs[&run].result(id);
    let list =
        held.map(|result| iterations_of(result, &url, call.flag("includeactionresults"))).unwrap_or_default();
    if call.param("iterationId").is_none() {
        return Ok(Reply::list(list));
    }
    let wanted = call.id("iterationId")?;
    let found = list.into_iter().find(|i| i["id"] == json!(wanted));
    found.map(Reply::ok).ok_or_else(|| {
        Failure::no_test_object(format!(
            "Iteration {wanted} of test result {id} not found in test run {run}."
        ))
    })
}

/// `GET Runs/{runId}/Results/{testCaseResultId}/bugs` and `…/workitems`.
pub(super) fn bugs(state: &mut State, call: &Call) -> Answer {
    let (run, id) = result_id(state, call)?;
    let extra = state.runs[&run].result(id).and_then(|r| r.extra.as_deref());
    let one = |bug: &u32| {
        let item = state.live(*bug)?;
        Some(json!({"id": bug.to_string(), "name": item.text(F::Title), "type": item.kind,
            "url": state.item_url(&call.base, *bug), "webUrl": state.web_url(&call.base, *bug)}))
    };
    Ok(Reply::list(extra.map(|e| e.bugs.iter().filter_map(one).collect()).unwrap_or_default()))
}
