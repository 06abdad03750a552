//! The fields of runs, with their steps and iterations.

use serde_json::{Value, json};

use super::args::Args;
use super::entities::{files, jira, scenario_type, test_type, text_of_kind};
use super::model::{self, Attached, Mark, NOBODY, Run, Step};
use super::resolve::{Answer, List, Node, Out};
use crate::sandbox::jira_xray::jira::Call;
use crate::sandbox::jira_xray::store::State;

/// A run status as an object.
pub(crate) fn run_status(state: &State, status: u8) -> Value {
    let status = &state.site.run_statuses[usize::from(status)];
    json!({
        "name": status.name, "description": status.description, "final": status.is_final,
        "color": status.color, "coverageStatus": status.coverage
    })
}

/// A step status as an object.
pub(crate) fn step_status(state: &State, status: u8) -> Value {
    let status = &state.site.step_statuses[usize::from(status)];
    json!({
        "name": status.name, "description": "", "color": status.color,
        "testStatus": run_status(state, status.run_status)
    })
}

fn defects(state: &State, attached: Option<&Attached>) -> Value {
    let held = attached.map_or(&[][..], |a| a.defects.as_slice());
    held.iter().filter(|d| state.issues.contains_key(d)).map(|d| json!(d.to_string())).collect()
}

fn evidence(state: &State, call: &Call, attached: Option<&Attached>) -> Value {
    files(state, call, attached.map_or(&[][..], |a| a.evidence.as_slice()))
}

fn run_steps(state: &State, call: &Call, number: u32, run: &Run) -> Value {
    let blank = Mark::default();
    let one = |(at, held): (usize, &Step)| {
        let mark = run.marks.as_ref().and_then(|m| m.get(at)).unwrap_or(&blank);
        let extra = mark.extra.as_deref();
        let custom = held.custom.iter().map(|(id, v)| json!({"id": id, "name": id, "value": v}));
        json!({
            "id": model::run_step_id(number, at), "status": step_status(state, mark.status),
            "action": held.action, "data": held.data, "result": held.result,
            "customFields": custom.collect::<Vec<_>>(), "comment": mark.comment,
            "evidence": evidence(state, call, extra), "defects": defects(state, extra),
            "attachments": files(state, call, &held.files), "actualResult": mark.actual
        })
    };
    run.definition.steps.iter().enumerate().map(one).collect()
}

fn person(state: &State, index: u16) -> Value {
    if index == NOBODY { Value::Null } else { json!(state.site.user(index).account_id) }
}

pub(super) fn run(state: &State, call: &Call, number: u32, field: &str, args: &Args) -> Answer {
    let Some(run) = state.xray.run(number) else { return Ok(Out::Null) };
    let extra = run.extra.as_deref();
    let attached = extra.map(|e| &e.attached);
    Ok(match field {
        "id" => Out::Json(json!(model::run_id(number))),
        "status" => Out::Json(run_status(state, run.status)),
        "unstructured" => Out::Json(text_of_kind(state, &run.definition, "Unstructured")),
        "gherkin" => Out::Json(text_of_kind(state, &run.definition, "Gherkin")),
        "scenarioType" => Out::Json(scenario_type(state, &run.definition)),
        "comment" => Out::Json(json!(run.comment)),
        "startedOn" => Out::Json(json!(run.started.map(|m| m.at.iso()))),
        "finishedOn" => Out::Json(json!(run.finished.map(|m| m.at.iso()))),
        "executedById" => Out::Json(person(state, run.executed_by)),
        "assigneeId" => Out::Json(person(state, run.assignee)),
        "lastModified" => Out::Json(json!(run.modified.iso_seconds())),
        "evidence" => Out::Json(evidence(state, call, attached)),
        "defects" => Out::Json(defects(state, attached)),
        "steps" => Out::Json(run_steps(state, call, number, run)),
        "testType" => Out::Json(test_type(state, run.definition.kind)),
        "test" => Out::Node(Node::Test(run.test)),
        "testVersion" => Out::Node(Node::Version(run.test, run.version)),
        "testExecution" => Out::Node(Node::Execution(run.execution)),
        "customFields" => {
            let held = extra.map_or(&[][..], |e| e.custom.as_slice());
            Out::Json(held.iter().map(|(id, v)| json!({"id": id, "name": id, "values": v})).collect())
        }
        "parameters" => Out::Json(json!([])),
        "results" => Out::Json(extra.map_or(json!([]), |e| json!(e.results))),
        "examples" => {
            let held = extra.map_or(&[][..], |e| e.examples.as_slice());
            let one = |(at, status): (usize, &u8)| {
                let id = model::uuid("example", (u64::from(number) << 16) | at as u64);
                json!({"id": id, "status": step_status(state, *status), "duration": null})
            };
            Out::Json(held.iter().enumerate().map(one).collect())
        }
        "preconditions" => {
            let test = state.xray.tests.get(&run.test);
            let held = test.and_then(|t| t.version(Some(run.version)));
            let ids = held.map_or(&[][..], |v| v.preconditions.as_slice());
            let (start, limit) = args.window()?;
            let one = |id: &u64| Node::Json(run_precondition(state, call, *id));
            let results = ids.iter().skip(start).take(limit).map(one).collect();
            Out::Node(Node::List(List { total: ids.len(), start, limit, results }))
        }
        "iterations" => return iterations(state, call, number, run, args),
        _ => Out::Null,
    })
}

fn run_precondition(state: &State, call: &Call, id: u64) -> Value {
    let data = state.xray.preconditions.get(&id);
    json!({
        "preconditionRef": {
            "issueId": id.to_string(), "definition": data.map(|d| d.definition.clone()),
            "preconditionType": data.map(|d| test_type(state, d.kind)),
            "jira": jira(state, call, id, &["key".to_owned(), "summary".to_owned()])
        },
        "definition": data.map(|d| d.definition.clone())
    })
}

fn iterations(state: &State, call: &Call, number: u32, run: &Run, args: &Args) -> Answer {
    let all = run.extra.as_ref().map_or(&[][..], |e| e.iterations.as_slice());
    let (start, limit) = args.window()?;
    let one = |(at, held): (usize, &model::Iteration)| {
        let parameters = held.parameters.iter().map(|(n, v)| json!({"name": n, "value": v}));
        let steps: Vec<Value> = held
            .marks
            .iter()
            .enumerate()
            .map(|(at, mark)| {
                let extra = mark.extra.as_deref();
                json!({
                    "id": model::run_step_id(number, at), "status": step_status(state, mark.status),
                    "comment": mark.comment, "evidence": evidence(state, call, extra),
                    "defects": defects(state, extra), "actualResult": mark.actual
                })
            })
            .collect();
        Node::Json(json!({
            "rank": at.to_string(), "parameters": parameters.collect::<Vec<_>>(),
            "status": step_status(state, held.status),
            "stepResults": {"total": steps.len(), "start": 0, "limit": steps.len(), "results": steps}
        }))
    };
    let results = all.iter().enumerate().skip(start).take(limit).map(one).collect();
    Ok(Out::Node(Node::List(List { total: all.len(), start, limit, results })))
}
