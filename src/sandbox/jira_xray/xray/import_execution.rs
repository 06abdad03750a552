//! Importing results in the Xray JSON format: what is missing is created, what is
//! there is overwritten.

use serde_json::{Value, json};

use super::associations;
use super::model::{Definition, Iteration, Mark, NOBODY};
use super::{mutate, run_writes};
use crate::sandbox::jira_xray::jira::{Call, strings};
use crate::sandbox::jira_xray::reply::{Answer, Problem, Reply};
use crate::sandbox::jira_xray::site::Role;
use crate::sandbox::jira_xray::store::State;
use crate::sandbox::jira_xray::time::{Moment, parse_instant};

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str).filter(|t| !t.is_empty())
}

fn bad(message: impl Into<String>) -> Problem {
    Problem::xray(400, message)
}

fn find(state: &State, key: &str, role: Role) -> Result<u64, Problem> {
    let found = state.find_issue(key).filter(|i| state.role_of(i) == role);
    found.map(|i| i.id).ok_or_else(|| bad(format!("Issue with key {key} not found or not of the right type")))
}

/// `POST /import/execution`.
pub(crate) fn import(state: &mut State, call: &Call, body: &Value) -> Answer {
    let none = Value::Null;
    let info = body.get("info").unwrap_or(&none);
    let tests = body.get("tests").and_then(Value::as_array).cloned().unwrap_or_default();
    let execution_key = text(body, "testExecutionKey");
    let known = match execution_key {
        Some(key) => Some(find(state, key, Role::TestExecution)?),
        None => None,
    };
    let project = project(state, info, known, &tests)?;
    let plan = match text(info, "testPlanKey") {
        Some(key) => Some(find(state, key, Role::TestPlan)?),
        None => None,
    };
    let mut results = Vec::new();
    for test in &tests {
        if let Some(status) = text(test, "status") {
            run_writes::status(state, status).map_err(bad)?;
        } else {
            return Err(bad("Error: each test must have a status"));
        }
        results.push(check(state, test, project)?);
    }
    if results.is_empty() {
        return Err(bad("There are no valid tests imported"));
    }
    let execution = match known {
        Some(id) => {
            describe(state, call, id, info);
            id
        }
        None => create_execution(state, call, info, project)?,
    };
    mutate::add_environments(state, execution, &strings(info.get("testEnvironments"))).map_err(bad)?;
    if let Some(plan) = plan {
        associations::join_execution(state, call, plan, execution);
    }
    for (value, found) in tests.iter().zip(results) {
        let test = match found {
            Some(test) => test,
            None => create_test(state, call, value, project)?,
        };
        result(state, call, execution, test, value)?;
        if let Some(plan) = plan {
            associations::join_plan(state, call, plan, test);
        }
    }
    let key = state.issue(execution).map(|i| state.key_of(i)).unwrap_or_default();
    Ok(Reply::ok(json!({
        "id": execution.to_string(), "key": key,
        "self": format!("{}/rest/api/2/issue/{execution}", call.base)
    })))
}

/// The project: of the execution, of `info`, or of the first test.
fn project(state: &State, info: &Value, execution: Option<u64>, tests: &[Value]) -> Result<u16, Problem> {
    if let Some(issue) = execution.and_then(|e| state.issue(e)) {
        return Ok(issue.project);
    }
    if let Some(key) = text(info, "project") {
        return state.site.project_index(key).ok_or_else(|| bad(format!("Project with key {key} not found")));
    }
    let first = tests.iter().find_map(|t| text(t, "testKey"));
    let issue = first.and_then(|k| state.find_issue(k));
    issue.map(|i| i.project).ok_or_else(|| bad("Must provide a project key"))
}

/// Finds the test of a result: by key, else by summary or definition in the project.
fn check(state: &State, test: &Value, project: u16) -> Result<Option<u64>, Problem> {
    if let Some(key) = text(test, "testKey") {
        return find(state, key, Role::Test).map(Some);
    }
    let info = test.get("testInfo").ok_or_else(|| bad("Test key or testInfo must be provided"))?;
    let project = text(info, "projectKey").and_then(|k| state.site.project_index(k)).unwrap_or(project);
    let summary = text(info, "summary");
    let definition = text(info, "definition");
    let kind = state.site.test_type(text(info, "type").unwrap_or("Manual"));
    let kind = kind.ok_or_else(|| bad("The type of testInfo is not valid"))?;
    let by_definition = state.site.test_types[usize::from(kind)].kind == "Unstructured";
    if (by_definition && definition.is_none()) || summary.is_none() {
        return Err(bad("testInfo must have a summary, and a definition for Generic tests"));
    }
    Ok(state.xray.tests.iter().find_map(|(id, data)| {
        let issue = state.issue(*id).filter(|i| i.project == project)?;
        let held = &data.version(None)?.definition;
        let same = if by_definition {
            Some(held.text.as_ref()) == definition
        } else {
            Some(issue.summary.as_ref()) == summary
        };
        (same && held.kind == kind).then_some(*id)
    }))
}

fn described(info: &Value) -> Value {
    let mut fields = json!({});
    for key in ["summary", "description"] {
        if let Some(value) = text(info, key) {
            fields[key] = json!(value);
        }
    }
    if let Some(version) = text(info, "version") {
        fields["fixVersions"] = json!([{"name": version}]);
    }
    fields
}

/// The issue of an execution that exists takes over what `info` says.
fn describe(state: &mut State, call: &Call, id: u64, info: &Value) {
    let fields = described(info);
    if fields.as_object().is_some_and(|f| !f.is_empty()) {
        let call = Call { v3: false, ..call.clone() };
        // A field that does not fit leaves the import standing, as the results matter more.
        let _ = crate::sandbox::jira_xray::jira::write::edit(state, &call, id, &json!({"fields": fields}));
    }
}

fn create_execution(state: &mut State, call: &Call, info: &Value, project: u16) -> Result<u64, Problem> {
    let mut fields = described(info);
    if fields.get("summary").is_none() {
        fields["summary"] = json!(format!("Execution results [{}]", call.now.iso()));
    }
    fields["project"] = json!({"id": state.site.projects[usize::from(project)].id.to_string()});
    let body = json!({"fields": fields});
    let id = mutate::create_issue(state, call, Some(&body), Role::TestExecution).map_err(bad)?;
    state.note(id, call.user, call.now, "Test Execution created", "");
    Ok(id)
}

fn create_test(state: &mut State, call: &Call, value: &Value, project: u16) -> Result<u64, Problem> {
    let none = Value::Null;
    let info = value.get("testInfo").unwrap_or(&none);
    let project = text(info, "projectKey").and_then(|k| state.site.project_index(k)).unwrap_or(project);
    let project_id = state.site.projects[usize::from(project)].id.to_string();
    let mut fields = json!({"summary": text(info, "summary"), "project": {"id": project_id}});
    let labels = strings(info.get("labels"));
    if !labels.is_empty() {
        fields["labels"] = json!(labels);
    }
    let requirements = strings(info.get("requirementKeys"));
    let links =
        requirements.iter().map(|k| json!({"add": {"type": {"name": "Test"}, "outwardIssue": {"key": k}}}));
    let body = json!({"fields": fields, "update": {"issuelinks": links.collect::<Vec<_>>()}});
    let id = mutate::create_issue(state, call, Some(&body), Role::Test).map_err(bad)?;
    let kind = state.site.test_type(text(info, "type").unwrap_or("Manual")).unwrap_or_default();
    let mut steps = Vec::new();
    for step in info.get("steps").and_then(Value::as_array).into_iter().flatten() {
        steps.push(mutate::read_step(state, call, id, step).map_err(bad)?);
    }
    let content = text(info, "definition").or_else(|| text(info, "scenario")).unwrap_or_default();
    let definition = Definition { kind, steps, text: content.into() };
    state.define(id, None, call.now, |d| *d = definition);
    state.note(id, call.user, call.now, "Test created", "");
    Ok(id)
}

/// Writes one result over what the run said before; evidence is appended.
fn result(state: &mut State, call: &Call, execution: u64, test: u64, value: &Value) -> Result<(), Problem> {
    let version = value.get("testVersion").and_then(Value::as_u64).and_then(|v| u16::try_from(v).ok());
    associations::add_run(state, call, execution, test, version);
    let number = state
        .xray
        .run_of(test, execution)
        .ok_or_else(|| bad("the test could not be added to the Test Execution"))?;
    let status = run_writes::status(state, text(value, "status").unwrap_or_default()).map_err(bad)?;
    run_writes::set_status(state, call, number, status);
    let date = |key: &str| text(value, key).and_then(parse_instant).map(|at| Moment { at, given: true });
    let (started, finished) = (date("start"), date("finish"));
    let person = |key: &str| text(value, key).and_then(|id| state.site.user_index(id));
    let (executed_by, assignee) = (person("executedBy"), person("assignee"));
    let comment = text(value, "comment").map(Box::from);
    let (defects, _) = run_writes::issues(state, &strings(value.get("defects"))).unwrap_or_default();
    let (evidence, _) = run_writes::files(state, call, &evidence(value));
    let marks = marks(state, call, value)?;
    let iterations = iterations(state, call, value)?;
    let custom = mutate::custom_fields(value);
    let examples: Vec<u8> =
        strings(value.get("examples")).iter().filter_map(|s| state.site.step_status(s)).collect();
    run_writes::with_run(state, call, number, |run| {
        run.started = started.or(run.started);
        run.finished = finished.or(run.finished);
        run.executed_by = executed_by.unwrap_or(match run.executed_by {
            NOBODY => call.user,
            held => held,
        });
        run.assignee = assignee.unwrap_or(run.assignee);
        run.comment = comment.or(run.comment.take());
        for (at, new) in marks.into_iter().enumerate().take(run.definition.steps.len()) {
            let held = run_writes::mark_mut(run, at, None);
            let mut kept = held.extra.take();
            if let Some(added) = new.extra {
                kept.get_or_insert_default().evidence.extend(added.evidence);
                kept.get_or_insert_default().defects = added.defects;
            }
            *held = Mark { extra: kept, ..new };
        }
        let some = !(defects.is_empty()
            && evidence.is_empty()
            && custom.is_empty()
            && examples.is_empty()
            && iterations.is_empty());
        if some || run.extra.is_some() {
            let extra = run.extra.get_or_insert_default();
            if value.get("defects").is_some() {
                extra.attached.defects = defects;
            }
            extra.attached.evidence.extend(evidence);
            extra.custom.retain(|(id, _)| custom.iter().all(|(i, _)| i != id));
            extra.custom.extend(custom);
            if !examples.is_empty() {
                extra.examples = examples;
            }
            if value.get("iterations").is_some() {
                extra.iterations = iterations;
            }
        }
    });
    Ok(())
}

fn evidence(value: &Value) -> Vec<Value> {
    let list = value.get("evidence").or_else(|| value.get("evidences"));
    list.and_then(Value::as_array).cloned().unwrap_or_default()
}

fn marks(state: &mut State, call: &Call, value: &Value) -> Result<Vec<Mark>, Problem> {
    let mut out = Vec::new();
    for step in value.get("steps").and_then(Value::as_array).into_iter().flatten() {
        let status = text(step, "status").unwrap_or("TODO");
        let status = state
            .site
            .step_status(status)
            .ok_or_else(|| bad(format!("Step status {status} is not valid")))?;
        let (defects, _) = run_writes::issues(state, &strings(step.get("defects"))).unwrap_or_default();
        let (files, _) = run_writes::files(state, call, &evidence(step));
        let mut mark = Mark {
            status,
            comment: text(step, "comment").map(Box::from),
            actual: text(step, "actualResult").map(Box::from),
            extra: None,
        };
        if !(defects.is_empty() && files.is_empty()) {
            let extra = mark.extra.get_or_insert_default();
            extra.defects = defects;
            extra.evidence = files;
        }
        out.push(mark);
    }
    Ok(out)
}

fn iterations(state: &mut State, call: &Call, value: &Value) -> Result<Vec<Iteration>, Problem> {
    let mut out = Vec::new();
    for one in value.get("iterations").and_then(Value::as_array).into_iter().flatten() {
        let status = text(one, "status").unwrap_or("TODO");
        let status = state
            .site
            .step_status(status)
            .ok_or_else(|| bad(format!("Iteration status {status} is not valid")))?;
        let parameters = one.get("parameters").and_then(Value::as_array).into_iter().flatten();
        let parameters = parameters
            .map(|p| {
                let part = |key| text(p, key).unwrap_or_default().to_owned();
                (part("name"), part("value"))
            })
            .collect();
        out.push(Iteration { parameters, status, marks: marks(state, call, one)? });
    }
    Ok(out)
}
