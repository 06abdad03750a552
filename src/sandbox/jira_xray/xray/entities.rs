//! The fields of tests, sets, plans, executions, preconditions and coverable issues.

use serde_json::{Map, Value, json};

use super::args::Args;
use super::folders;
use super::model::{self, Definition, Run, Step, TestData, Trace};
use super::resolve::{Answer, List, Node, Out, nested, page};
use super::select::is_coverable;
use crate::sandbox::jira_xray::jira::{Call, read};
use crate::sandbox::jira_xray::store::State;

/// The fields that every entity has.
fn common(state: &State, call: &Call, id: u64, trace: &Trace, field: &str, args: &Args) -> Option<Answer> {
    Some(match field {
        "issueId" => Ok(Out::Json(json!(id.to_string()))),
        "projectId" => {
            let project = state.issue(id).map(|i| &state.site.projects[usize::from(i.project)]);
            Ok(Out::Json(json!(project.map(|p| p.id.to_string()))))
        }
        "lastModified" => Ok(Out::Json(json!(trace.modified.iso_seconds()))),
        "jira" => Ok(Out::Json(jira(state, call, id, &args.texts("fields")))),
        "history" => history(state, trace, args),
        _ => return None,
    })
}

fn history(state: &State, trace: &Trace, args: &Args) -> Answer {
    let (start, limit) = args.window()?;
    let entry = |e: &model::Entry| {
        let changes = e.changes.iter().map(|(f, c)| json!({"field": f, "change": c}));
        Node::Json(json!({
            "version": "1", "user": state.site.user(e.user).account_id, "date": e.at.iso(),
            "action": e.action, "changes": changes.collect::<Vec<_>>()
        }))
    };
    let results = trace.history.iter().rev().skip(start).take(limit).map(entry).collect();
    Ok(Out::Node(Node::List(List { total: trace.history.len(), start, limit, results })))
}

/// Fields of the Jira issue, as listed, rich text in wiki markup.
pub(super) fn jira(state: &State, call: &Call, id: u64, fields: &[String]) -> Value {
    let Some(issue) = state.issue(id) else { return json!({}) };
    let call = Call { v3: false, offset: 0, ..call.clone() };
    let mut out = Map::new();
    for name in fields {
        let value = match name.as_str() {
            "key" => json!(state.key_of(issue)),
            "id" => json!(issue.id.to_string()),
            _ => match state.site.field(name) {
                Some(field) => read::value(state, &call, issue, field),
                None => continue,
            },
        };
        out.insert(name.clone(), value);
    }
    Value::Object(out)
}

pub(super) fn test_type(state: &State, kind: u8) -> Value {
    let kind = &state.site.test_types[usize::from(kind)];
    json!({"id": kind.id, "name": kind.name, "kind": kind.kind})
}

pub(super) fn text_of_kind(state: &State, definition: &Definition, kind: &str) -> Value {
    let fits = state.site.test_types[usize::from(definition.kind)].kind == kind;
    if fits { json!(definition.text) } else { Value::Null }
}

pub(super) fn scenario_type(state: &State, definition: &Definition) -> Value {
    if state.site.test_types[usize::from(definition.kind)].kind != "Gherkin" {
        return Value::Null;
    }
    let outline = definition.text.contains("Examples:");
    json!(if outline { "scenario_outline" } else { "scenario" })
}

fn file(state: &State, call: &Call, id: u64) -> Value {
    let Some(file) = state.xray.files.get(&id) else { return Value::Null };
    let uuid = model::uuid("file", id);
    json!({
        "id": uuid, "filename": file.name, "storedInJira": false, "size": file.data.len(),
        "createdOn": file.created.iso(),
        "downloadLink": format!("{}/api/v2/attachments/{uuid}", call.base)
    })
}

pub(super) fn files(state: &State, call: &Call, ids: &[u64]) -> Value {
    ids.iter().map(|id| file(state, call, *id)).collect()
}

fn step(state: &State, call: &Call, step: &Step) -> Value {
    let custom = step.custom.iter().map(|(id, value)| json!({"id": id, "name": id, "value": value}));
    json!({
        "id": model::uuid("step", step.id), "libStepId": null, "action": step.action,
        "data": step.data, "result": step.result, "attachments": files(state, call, &step.files),
        "customFields": custom.collect::<Vec<_>>(),
        "callTestIssueId": step.call_test.map(|c| c.to_string()),
        "callTestParameterAssignments": []
    })
}

/// A step as a mutation returns it.
pub(crate) fn step_json(state: &State, call: &Call, held: &Step) -> Value {
    step(state, call, held)
}

fn folder(state: &State, id: u64, at: u32) -> Value {
    let project = state.issue(id).map(|i| i.project).unwrap_or_default();
    let tree = state.xray.repositories.get(&project);
    match tree.filter(|_| at != 0) {
        Some(tree) => {
            json!({"name": tree.folders.get(&at).map(|f| f.name.clone()), "path": tree.path(at)})
        }
        None => json!({"name": null, "path": "/"}),
    }
}

fn versions(state: &State, id: u64, data: &TestData, args: &Args) -> Answer {
    let archived = args.get("archived").and_then(Value::as_bool);
    let kind = args.text("testTypeId").and_then(|t| state.site.test_type(t));
    let fits = |v: &&model::Version| {
        archived.is_none_or(|a| a == v.archived) && kind.is_none_or(|k| k == v.definition.kind)
    };
    let ids: Vec<u64> = data.versions.iter().filter(fits).map(|v| u64::from(v.id)).collect();
    page(&ids, args, |v| Node::Version(id, v as u16))
}

fn executions_of(state: &State, runs: &[u32]) -> Vec<u64> {
    let mut ids: Vec<u64> = runs.iter().filter_map(|r| state.xray.run(*r)).map(|r| r.execution).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

pub(super) fn test(
    state: &State,
    call: &Call,
    id: u64,
    version: Option<u16>,
    field: &str,
    args: &Args,
) -> Answer {
    let Some(data) = state.xray.tests.get(&id) else { return Ok(Out::Null) };
    if let Some(answer) = common(state, call, id, &data.trace, field, args) {
        return answer;
    }
    let Some(held) = data.version(version) else { return Ok(Out::Null) };
    let definition = &held.definition;
    let steps = state.site.test_types[usize::from(definition.kind)].kind == "Steps";
    Ok(match field {
        "testType" => Out::Json(test_type(state, definition.kind)),
        "steps" if steps => Out::Json(definition.steps.iter().map(|s| step(state, call, s)).collect()),
        "unstructured" => Out::Json(text_of_kind(state, definition, "Unstructured")),
        "gherkin" => Out::Json(text_of_kind(state, definition, "Gherkin")),
        "scenarioType" => Out::Json(scenario_type(state, definition)),
        "folder" => Out::Json(folder(state, id, data.folder)),
        "preconditions" => return nested(&held.preconditions, args, Node::Precondition),
        "testSets" => return nested(&data.sets, args, Node::Set),
        "testPlans" => return nested(&data.plans, args, Node::Plan),
        "testExecutions" => {
            return nested(&executions_of(state, &data.runs), args, Node::Execution);
        }
        "testRuns" => {
            let runs: Vec<u64> = data.runs.iter().map(|r| u64::from(*r)).collect();
            return page(&runs, args, |n| Node::Run(n as u32));
        }
        "testVersions" => return versions(state, id, data, args),
        "coverableIssues" => return nested(&covered(state, id), args, Node::Coverable),
        "status" => Out::Json(test_status(state, data, args)),
        _ => Out::Null,
    })
}

/// The status of the run that was finished or changed last.
fn test_status(state: &State, data: &TestData, args: &Args) -> Value {
    let environment = args.text("environment");
    let plan: Option<u64> = args.text("testPlan").and_then(|p| p.parse().ok());
    let fits = |r: &&Run| {
        state.xray.executions.get(&r.execution).is_some_and(|e| {
            environment.is_none_or(|env| e.environments.iter().any(|x| x.as_ref() == env))
                && plan.is_none_or(|p| e.plans.contains(&p))
        })
    };
    let held = data.runs.iter().filter_map(|r| state.xray.run(*r)).filter(fits);
    let latest = held.filter(|r| r.status != 0).max_by_key(|r| r.modified);
    let status = &state.site.run_statuses[usize::from(latest.map_or(0, |r| r.status))];
    json!({
        "name": status.name, "description": status.description, "final": status.is_final,
        "color": status.color
    })
}

fn linked_by_test(state: &State, id: u64, as_source: bool) -> Vec<u64> {
    let Some(issue) = state.issue(id) else { return Vec::new() };
    let held = issue.links.iter().filter_map(|l| state.links.get(l));
    held.filter(|l| state.site.link_types[usize::from(l.kind)].name == "Test")
        .filter(|l| (l.source == id) == as_source)
        .map(|l| if as_source { l.target } else { l.source })
        .collect()
}

fn covered(state: &State, test: u64) -> Vec<u64> {
    let all = linked_by_test(state, test, true);
    all.into_iter().filter(|i| state.role(*i).is_some_and(is_coverable)).collect()
}

pub(super) fn coverable(state: &State, call: &Call, id: u64, field: &str, args: &Args) -> Answer {
    if let Some(answer) = common(state, call, id, &Trace::default(), field, args) {
        return answer;
    }
    let tests: Vec<u64> =
        linked_by_test(state, id, false).into_iter().filter(|t| state.xray.tests.contains_key(t)).collect();
    Ok(match field {
        "tests" => return nested(&tests, args, Node::Test),
        "status" => {
            let names: Vec<String> = tests
                .iter()
                .filter_map(|t| state.xray.tests.get(t))
                .map(|t| test_status(state, t, args)["name"].as_str().unwrap_or_default().to_owned())
                .collect();
            let name = if names.is_empty() {
                "UNCOVERED"
            } else if names.iter().any(|n| n == "FAILED") {
                "NOK"
            } else if names.iter().all(|n| n == "PASSED") {
                "OK"
            } else {
                "NOTRUN"
            };
            Out::Json(json!({"name": name, "description": "", "color": "#A2A6AE"}))
        }
        _ => Out::Null,
    })
}

pub(super) fn expanded(
    state: &State,
    call: &Call,
    id: u64,
    version: Option<u16>,
    field: &str,
    args: &Args,
) -> Answer {
    match field {
        "versionId" => {
            let held = state.xray.tests.get(&id).and_then(|t| t.version(version));
            Ok(Out::Json(json!(held.map(|v| v.id))))
        }
        "warnings" => Ok(Out::Json(json!([]))),
        "steps" => {
            let mut out = Vec::new();
            expand_steps(state, call, id, version, None, 0, &mut out);
            Ok(Out::Json(Value::Array(out)))
        }
        _ => test(state, call, id, version, field, args),
    }
}

/// Deepest nesting of called tests.
const CALL_DEPTH_MAX: usize = 5;

fn expand_steps(
    state: &State,
    call: &Call,
    id: u64,
    version: Option<u16>,
    parent: Option<u64>,
    depth: usize,
    out: &mut Vec<Value>,
) {
    let held = state.xray.tests.get(&id).and_then(|t| t.version(version));
    let Some(held) = held.filter(|_| depth <= CALL_DEPTH_MAX) else { return };
    for one in &held.definition.steps {
        if let Some(called) = one.call_test {
            expand_steps(state, call, called, None, Some(id), depth + 1, out);
            continue;
        }
        let mut json = step(state, call, one);
        json["calledTestIssueId"] = json!(parent.map(|_| id.to_string()));
        json["parentTestIssueId"] = json!(parent.map(|p| p.to_string()));
        out.push(json);
    }
}

pub(super) fn test_version(
    state: &State,
    call: &Call,
    id: u64,
    version: u16,
    field: &str,
    args: &Args,
) -> Answer {
    let Some(data) = state.xray.tests.get(&id) else { return Ok(Out::Null) };
    let Some(held) = data.version(Some(version)) else { return Ok(Out::Null) };
    let runs = || -> Vec<u32> {
        let all = data.runs.iter().copied();
        all.filter(|n| state.xray.run(*n).is_some_and(|r| r.version == version)).collect()
    };
    Ok(match field {
        "id" => Out::Json(json!(held.id)),
        "name" => Out::Json(json!(held.name)),
        "default" => Out::Json(json!(held.id == data.default)),
        "archived" => Out::Json(json!(held.archived)),
        "test" => Out::Node(Node::Test(id)),
        "lastModified" => Out::Json(json!(held.modified.iso_seconds())),
        "testExecutions" => {
            return nested(&executions_of(state, &runs()), args, Node::Execution);
        }
        "testRuns" => {
            let runs: Vec<u64> = runs().into_iter().map(u64::from).collect();
            return page(&runs, args, |n| Node::Run(n as u32));
        }
        _ => return test(state, call, id, Some(version), field, args),
    })
}

pub(super) fn precondition(state: &State, call: &Call, id: u64, field: &str, args: &Args) -> Answer {
    let Some(data) = state.xray.preconditions.get(&id) else { return Ok(Out::Null) };
    if let Some(answer) = common(state, call, id, &data.trace, field, args) {
        return answer;
    }
    Ok(match field {
        "preconditionType" => Out::Json(test_type(state, data.kind)),
        "definition" => Out::Json(json!(data.definition)),
        "folder" => Out::Json(folder(state, id, data.folder)),
        "tests" => {
            let mut ids: Vec<u64> = data.tests.iter().map(|(t, _)| *t).collect();
            ids.dedup();
            return nested(&ids, args, Node::Test);
        }
        "testVersions" => {
            let (start, limit) = args.window()?;
            let all = data.tests.iter().skip(start).take(limit);
            let results = all.map(|(t, v)| Node::Version(*t, *v)).collect();
            Out::Node(Node::List(List { total: data.tests.len(), start, limit, results }))
        }
        _ => Out::Null,
    })
}

pub(super) fn set(state: &State, call: &Call, id: u64, field: &str, args: &Args) -> Answer {
    let Some(data) = state.xray.sets.get(&id) else { return Ok(Out::Null) };
    if let Some(answer) = common(state, call, id, &data.trace, field, args) {
        return answer;
    }
    match field {
        "tests" => nested(&data.tests, args, Node::Test),
        _ => Ok(Out::Null),
    }
}

pub(super) fn plan(state: &State, call: &Call, id: u64, field: &str, args: &Args) -> Answer {
    let Some(data) = state.xray.plans.get(&id) else { return Ok(Out::Null) };
    if let Some(answer) = common(state, call, id, &data.trace, field, args) {
        return answer;
    }
    match field {
        "tests" => nested(&data.tests, args, Node::Test),
        "testExecutions" => nested(&data.executions, args, Node::Execution),
        "folders" => Ok(Out::Json(folders::board(state, id))),
        _ => Ok(Out::Null),
    }
}

pub(super) fn execution(state: &State, call: &Call, id: u64, field: &str, args: &Args) -> Answer {
    let Some(data) = state.xray.executions.get(&id) else { return Ok(Out::Null) };
    if let Some(answer) = common(state, call, id, &data.trace, field, args) {
        return answer;
    }
    match field {
        "testEnvironments" => Ok(Out::Json(json!(data.environments))),
        "tests" => {
            let runs = data.runs.iter().filter_map(|r| state.xray.run(*r));
            let ids: Vec<u64> = runs.map(|r| r.test).collect();
            nested(&ids, args, Node::Test)
        }
        "testPlans" => nested(&data.plans, args, Node::Plan),
        "testRuns" => {
            let runs: Vec<u64> = data.runs.iter().map(|r| u64::from(*r)).collect();
            page(&runs, args, |n| Node::Run(n as u32))
        }
        _ => Ok(Out::Null),
    }
}
