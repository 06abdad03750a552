//! Creating, defining, associating and deleting tests, sets, plans, executions and preconditions.

use serde_json::{Value, json};

use super::args::Args;
use super::model::{Definition, File, Step};
use super::resolve::{Node, Out};
use super::{entity, folders};
use crate::sandbox::jira_xray::jira::{self, Call, write};
use crate::sandbox::jira_xray::site::Role;
use crate::sandbox::jira_xray::store::State;

/// Longest action, data and result of a step.
const STEP_MAX: usize = 8_192;
/// Longest name of an environment.
const ENVIRONMENT_MAX: usize = 18;

type Answer = Result<Out, String>;

/// Answers the mutations that concern neither folders nor runs.
pub(crate) fn mutate(state: &mut State, call: &Call, field: &str, args: &Args) -> Answer {
    match field {
        "createTest" => create_test(state, call, args),
        "createPrecondition" => create_precondition(state, call, args),
        "createTestSet" => create_container(state, call, args, Role::TestSet),
        "createTestPlan" => create_container(state, call, args, Role::TestPlan),
        "createTestExecution" => create_execution(state, call, args),
        "deleteTest" => delete(state, call, args, Role::Test, "Test"),
        "deletePrecondition" => delete(state, call, args, Role::Precondition, "Precondition"),
        "deleteTestSet" => delete(state, call, args, Role::TestSet, "Test Set"),
        "deleteTestPlan" => delete(state, call, args, Role::TestPlan, "Test Plan"),
        "deleteTestExecution" => delete(state, call, args, Role::TestExecution, "Test Execution"),
        "updateTestType" => update_type(state, call, args),
        "updateGherkinTestDefinition" => update_text(state, call, args, "gherkin", "Gherkin"),
        "updateUnstructuredTestDefinition" => update_text(state, call, args, "unstructured", "Unstructured"),
        "addTestStep" => add_step(state, call, args),
        "updateTestStep" => update_step(state, call, args),
        "removeTestStep" => remove_step(state, call, args),
        "removeAllTestSteps" => remove_steps(state, call, args),
        "updatePrecondition" => update_precondition(state, call, args),
        "addTestEnvironmentsToTestExecution" => environments(state, call, args, true),
        "removeTestEnvironmentsFromTestExecution" => environments(state, call, args, false),
        _ => super::associations::mutate(state, call, field, args),
    }
}

/// Creates the Jira issue of an entity; what is written is wiki markup, as in version 2.
pub(crate) fn create_issue(
    state: &mut State,
    call: &Call,
    body: Option<&Value>,
    role: Role,
) -> Result<u64, String> {
    let body = body.ok_or("jira must be provided")?;
    let kind = state.site.type_of_role(role).ok_or("the issue type is not configured")?;
    let call = Call { v3: false, ..call.clone() };
    let created = write::create(state, &call, body, Some(kind))
        .map_err(|p| format!("Error creating issue: {}", p.line()))?;
    Ok(created.id)
}

/// Finds the test type that an argument names by id or name.
pub(crate) fn type_index(state: &State, value: Option<&Value>) -> Result<u8, String> {
    let Some(value) = value else { return Ok(0) };
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let Some(wanted) = text("id").or_else(|| text("name")) else { return Ok(0) };
    state.site.test_type(wanted).ok_or_else(|| format!("Test type {wanted} is not valid"))
}

fn kind_of(state: &State, index: u8) -> &str {
    &state.site.test_types[usize::from(index)].kind
}

/// Reads a step of a create, a call or an import.
pub(crate) fn read_step(state: &mut State, call: &Call, test: u64, value: &Value) -> Result<Step, String> {
    let text = |key: &str| -> Result<Box<str>, String> {
        let text = value.get(key).and_then(Value::as_str).unwrap_or_default();
        if text.chars().count() > STEP_MAX {
            return Err(format!("The {key} of a step can have at most {STEP_MAX} characters"));
        }
        Ok(text.into())
    };
    let (action, data, result) = (text("action")?, text("data")?, text("result")?);
    let call_test = match value.get("callTestIssueId").and_then(Value::as_str) {
        Some(id) => Some(entity(state, call, id, Role::Test)?),
        None => None,
    };
    let mut files = Vec::new();
    for file in value.get("attachments").and_then(Value::as_array).into_iter().flatten() {
        files.push(read_file(state, call, file)?);
    }
    let custom = custom_fields(value);
    let id = state.xray.fresh_step(test);
    Ok(Step { id, action, data, result, files, custom, call_test })
}

/// Reads `[{id, value}]`.
pub(crate) fn custom_fields(value: &Value) -> Vec<(String, Value)> {
    let list = value.get("customFields").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|f| {
        let id = f.get("id").or_else(|| f.get("name"))?.as_str()?;
        Some((id.to_owned(), f.get("value").cloned().unwrap_or(Value::Null)))
    })
    .collect()
}

/// Keeps a file that came as base64, or takes one that was uploaded before.
pub(crate) fn read_file(state: &mut State, call: &Call, value: &Value) -> Result<u64, String> {
    let text = |keys: &[&str]| keys.iter().find_map(|k| value.get(*k).and_then(Value::as_str));
    if let Some(id) = text(&["attachmentId"]) {
        let number = super::model::number_of("file", id);
        return number
            .filter(|n| state.xray.files.contains_key(n))
            .ok_or_else(|| format!("Attachment with id {id} not found"));
    }
    let name = text(&["filename"]).ok_or("filename must be provided")?;
    let mime = text(&["mimeType", "contentType"]).ok_or("mimeType must be provided")?;
    let data = text(&["data"]).ok_or("data must be provided")?;
    let data = jira::decode(data).ok_or_else(|| format!("The data of {name} is not valid base64"))?;
    let file = File { name: name.to_owned(), mime: mime.to_owned(), created: call.now, data };
    Ok(state.xray.add_file(file))
}

fn create_test(state: &mut State, call: &Call, args: &Args) -> Answer {
    let kind = type_index(state, args.get("testType"))?;
    if !args.list("steps").is_empty() && kind_of(state, kind) != "Steps" {
        return Err("Steps can only be defined for tests of kind Steps".to_owned());
    }
    let id = create_issue(state, call, args.get("jira"), Role::Test)?;
    let mut warnings = Vec::new();
    let mut steps = Vec::new();
    for step in args.list("steps") {
        match read_step(state, call, id, step) {
            Ok(step) => steps.push(step),
            Err(error) => warnings.push(error),
        }
    }
    let text = match kind_of(state, kind) {
        "Gherkin" => args.text("gherkin"),
        "Unstructured" => args.text("unstructured"),
        _ => None,
    };
    let definition = Definition { kind, steps, text: text.unwrap_or_default().into() };
    state.define(id, None, call.now, |d| *d = definition);
    state.note(id, call.user, call.now, "Test created", "");
    if let Some(path) = args.text("folderPath")
        && let Err(error) = folders::move_test(state, call, id, path, None)
    {
        warnings.push(error);
    }
    for precondition in args.texts("preconditionIssueIds") {
        if let Err(error) = super::associations::link_precondition(state, call, &precondition, id, None) {
            warnings.push(error);
        }
    }
    Ok(created("test", Node::Test(id), json!({"warnings": warnings})))
}

/// A payload that holds an entity beside plain values.
fn created(key: &str, node: Node, rest: Value) -> Out {
    Out::Node(Node::Payload(key.to_owned(), Box::new(node), rest))
}

fn create_precondition(state: &mut State, call: &Call, args: &Args) -> Answer {
    let kind = type_index(state, args.get("preconditionType"))?;
    let id = create_issue(state, call, args.get("jira"), Role::Precondition)?;
    if let Some(data) = state.xray.preconditions.get_mut(&id) {
        data.kind = kind;
        data.definition = args.text("definition").unwrap_or_default().into();
    }
    state.note(id, call.user, call.now, "Precondition created", "");
    let mut warnings = Vec::new();
    if let Some(path) = args.text("folderPath")
        && let Err(error) = folders::move_precondition(state, call, id, path)
    {
        warnings.push(error);
    }
    for (test, version) in super::associations::tests_of(args) {
        let text = id.to_string();
        let linked = entity(state, call, &test, Role::Test)
            .and_then(|test| super::associations::link_precondition(state, call, &text, test, version));
        if let Err(error) = linked {
            warnings.push(error);
        }
    }
    Ok(created("precondition", Node::Precondition(id), json!({"warnings": warnings})))
}

fn create_container(state: &mut State, call: &Call, args: &Args, role: Role) -> Answer {
    let id = create_issue(state, call, args.get("jira"), role)?;
    state.note(id, call.user, call.now, "Created", "");
    let tests = args.texts("testIssueIds");
    let (_, warning) = super::associations::add_tests(state, call, id, role, &tests);
    let rest = json!({"warnings": warning.into_iter().collect::<Vec<_>>()});
    Ok(match role {
        Role::TestSet => created("testSet", Node::Set(id), rest),
        _ => created("testPlan", Node::Plan(id), rest),
    })
}

fn create_execution(state: &mut State, call: &Call, args: &Args) -> Answer {
    let id = create_issue(state, call, args.get("jira"), Role::TestExecution)?;
    state.note(id, call.user, call.now, "Test Execution created", "");
    let mut warnings = Vec::new();
    for (test, version) in super::associations::tests_of(args) {
        let added = entity(state, call, &test, Role::Test)
            .map(|test| super::associations::add_run(state, call, id, test, version));
        if let Err(error) = added {
            warnings.push(format!("{test}: {error}"));
        }
    }
    let (new, _) = add_environments(state, id, &args.texts("testEnvironments"))?;
    let rest = json!({"warnings": warnings, "createdTestEnvironments": new});
    Ok(created("testExecution", Node::Execution(id), rest))
}

/// Gives an execution environments; says which are new to the project, and which
/// were added.
pub(crate) fn add_environments(
    state: &mut State,
    id: u64,
    names: &[String],
) -> Result<(Vec<String>, Vec<String>), String> {
    if let Some(name) = names.iter().find(|n| n.chars().count() > ENVIRONMENT_MAX) {
        return Err(format!("The Test Environment {name} has more than {ENVIRONMENT_MAX} characters"));
    }
    let project = state.issue(id).map(|i| i.project).unwrap_or_default();
    let (mut new, mut added) = (Vec::new(), Vec::new());
    for name in names {
        let known = state.xray.environments.entry(project).or_default();
        if !known.iter().any(|k| k.as_ref() == name) {
            known.push(name.as_str().into());
            new.push(name.clone());
        }
        if let Some(data) = state.xray.executions.get_mut(&id)
            && !data.environments.iter().any(|k| k.as_ref() == name)
        {
            data.environments.push(name.as_str().into());
            added.push(name.clone());
        }
    }
    state.touch();
    Ok((new, added))
}

fn environments(state: &mut State, call: &Call, args: &Args, add: bool) -> Answer {
    let id = entity(state, call, args.required("issueId")?, Role::TestExecution)?;
    let names = args.texts("testEnvironments");
    if add {
        let (new, added) = add_environments(state, id, &names)?;
        state.note(id, call.user, call.now, "Test Environments", &added.join(", "));
        return Ok(Out::Json(json!({
            "associatedTestEnvironments": added, "createdTestEnvironments": new, "warning": null
        })));
    }
    if let Some(data) = state.xray.executions.get_mut(&id) {
        data.environments.retain(|e| !names.iter().any(|n| n == e.as_ref()));
    }
    state.note(id, call.user, call.now, "Test Environments", "removed");
    Ok(Out::text("Test Environments removed from Test Execution successfully".to_owned()))
}

fn delete(state: &mut State, call: &Call, args: &Args, role: Role, name: &str) -> Answer {
    let id = entity(state, call, args.required("issueId")?, role)?;
    state.remove_issue(id, call.now);
    Ok(Out::text(format!("{name} with issue id {id} deleted successfully")))
}

fn update_type(state: &mut State, call: &Call, args: &Args) -> Answer {
    let id = entity(state, call, args.required("issueId")?, Role::Test)?;
    let kind = type_index(state, args.get("testType"))?;
    let name = state.site.test_types[usize::from(kind)].name.clone();
    state.define(id, args.version(), call.now, |d| d.kind = kind);
    state.note(id, call.user, call.now, "Test Type", &name);
    Ok(Out::Node(Node::Test(id)))
}

fn update_text(state: &mut State, call: &Call, args: &Args, key: &str, kind: &str) -> Answer {
    let id = entity(state, call, args.required("issueId")?, Role::Test)?;
    let text = args.required(key)?;
    let held = state.xray.tests.get(&id).and_then(|t| t.version(args.version()));
    let held = held.ok_or_else(|| format!("test with id {id} not found!"))?;
    if kind_of(state, held.definition.kind) != kind {
        return Err(format!("The Test is not of kind {kind}"));
    }
    state.define(id, args.version(), call.now, |d| d.text = text.into());
    state.note(id, call.user, call.now, "Definition", text);
    Ok(Out::Node(Node::Test(id)))
}

fn add_step(state: &mut State, call: &Call, args: &Args) -> Answer {
    let id = entity(state, call, args.required("issueId")?, Role::Test)?;
    let held = state.xray.tests.get(&id).and_then(|t| t.version(args.version()));
    let held = held.ok_or_else(|| format!("test with id {id} not found!"))?;
    if kind_of(state, held.definition.kind) != "Steps" {
        return Err("Steps can only be added to tests of kind Steps".to_owned());
    }
    let step = read_step(state, call, id, args.get("step").unwrap_or(&Value::Null))?;
    let out = super::entities::step_json(state, call, &step);
    let action = step.action.to_string();
    state.define(id, args.version(), call.now, |d| d.steps.push(step));
    state.note(id, call.user, call.now, "Step added", &action);
    Ok(Out::Json(out))
}

/// Finds the test that holds a step.
fn owner(state: &State, text: &str) -> Result<(u64, u64), String> {
    let number = super::model::number_of("step", text);
    let found = number.and_then(|n| Some((n, *state.xray.step_owner.get(&n)?)));
    found.ok_or_else(|| format!("step with id {text} not found!"))
}

/// Changes the step wherever a version of its test holds it.
fn change_step(state: &mut State, call: &Call, test: u64, step: u64, change: impl Fn(&mut Vec<Step>, usize)) {
    let held: Vec<u16> = state
        .xray
        .tests
        .get(&test)
        .map(|t| {
            let holds = |v: &&super::model::Version| v.definition.steps.iter().any(|s| s.id == step);
            t.versions.iter().filter(holds).map(|v| v.id).collect()
        })
        .unwrap_or_default();
    for version in held {
        state.define(test, Some(version), call.now, |d| {
            if let Some(at) = d.steps.iter().position(|s| s.id == step) {
                change(&mut d.steps, at);
            }
        });
    }
}

fn update_step(state: &mut State, call: &Call, args: &Args) -> Answer {
    let (step, test) = owner(state, args.required("stepId")?)?;
    let data = args.get("step").cloned().unwrap_or(Value::Null);
    let text = |key: &str| data.get(key).and_then(Value::as_str).map(str::to_owned);
    for key in ["action", "data", "result"] {
        if text(key).is_some_and(|t| t.chars().count() > STEP_MAX) {
            return Err(format!("The {key} of a step can have at most {STEP_MAX} characters"));
        }
    }
    let mut added = Vec::new();
    for file in data.pointer("/attachments/add").and_then(Value::as_array).into_iter().flatten() {
        added.push(read_file(state, call, file)?);
    }
    let names = |key: &str| jira::strings(data.pointer(&format!("/attachments/{key}")));
    let (ids, files) = (names("removeIds"), names("removeFilenames"));
    let current: Vec<u64> = state
        .xray
        .tests
        .get(&test)
        .and_then(|t| t.version(None))
        .and_then(|v| v.definition.steps.iter().find(|s| s.id == step))
        .map(|s| s.files.clone())
        .unwrap_or_default();
    let gone: Vec<u64> = current
        .into_iter()
        .filter(|f| {
            let name = state.xray.files.get(f).map(|f| f.name.clone()).unwrap_or_default();
            ids.contains(&super::model::uuid("file", *f)) || files.contains(&name)
        })
        .collect();
    let custom = custom_fields(&data);
    change_step(state, call, test, step, |steps, at| {
        let held = &mut steps[at];
        let put = |key: &str, to: &mut Box<str>| {
            if let Some(text) = text(key) {
                *to = text.into();
            }
        };
        put("action", &mut held.action);
        put("data", &mut held.data);
        put("result", &mut held.result);
        held.files.retain(|f| !gone.contains(f));
        held.files.extend(&added);
        for (id, value) in &custom {
            held.custom.retain(|(i, _)| i != id);
            held.custom.push((id.clone(), value.clone()));
        }
    });
    state.note(test, call.user, call.now, "Step updated", &text("action").unwrap_or_default());
    let shown = |list: &[u64]| list.iter().map(|f| super::model::uuid("file", *f)).collect::<Vec<_>>();
    Ok(Out::Json(json!({
        "addedAttachments": shown(&added), "removedAttachments": shown(&gone), "warnings": []
    })))
}

fn remove_step(state: &mut State, call: &Call, args: &Args) -> Answer {
    let text = args.required("stepId")?;
    let (step, test) = owner(state, text)?;
    change_step(state, call, test, step, |steps, at| {
        steps.remove(at);
    });
    state.xray.step_owner.remove(&step);
    state.note(test, call.user, call.now, "Step removed", text);
    Ok(Out::text(format!("Test Step with id {text} deleted successfully")))
}

fn remove_steps(state: &mut State, call: &Call, args: &Args) -> Answer {
    let id = entity(state, call, args.required("issueId")?, Role::Test)?;
    let held = state.xray.tests.get(&id).and_then(|t| t.version(args.version()));
    let steps: Vec<u64> = held.map(|v| v.definition.steps.iter().map(|s| s.id).collect()).unwrap_or_default();
    for step in steps {
        state.xray.step_owner.remove(&step);
    }
    state.define(id, args.version(), call.now, |d| d.steps.clear());
    state.note(id, call.user, call.now, "Steps removed", "");
    Ok(Out::text("All Test Steps deleted successfully".to_owned()))
}

fn update_precondition(state: &mut State, call: &Call, args: &Args) -> Answer {
    let id = entity(state, call, args.required("issueId")?, Role::Precondition)?;
    let data = args.get("data").cloned().unwrap_or(Value::Null);
    let text = |key: &str| data.get(key).and_then(Value::as_str);
    let kind = match data.get("preconditionType").filter(|t| !t.is_null()) {
        Some(kind) => Some(type_index(state, Some(kind))?),
        None => None,
    };
    if let Some(path) = text("folderPath") {
        folders::move_precondition(state, call, id, path)?;
    }
    if let Some(held) = state.xray.preconditions.get_mut(&id) {
        held.kind = kind.unwrap_or(held.kind);
        if let Some(definition) = text("definition") {
            held.definition = definition.into();
        }
    }
    state.note(id, call.user, call.now, "Precondition updated", "");
    Ok(Out::Node(Node::Precondition(id)))
}
