//! The bulk import of tests: a job that runs by itself, one at a time.

use serde_json::{Map, Value, json};

use super::model::Definition;
use super::{associations, folders, mutate};
use crate::sandbox::jira_xray::jira::{Call, strings, write};
use crate::sandbox::jira_xray::reply::{Answer, Problem, Reply};
use crate::sandbox::jira_xray::site::Role;
use crate::sandbox::jira_xray::store::State;
use crate::sandbox::jira_xray::time::Stamp;

/// Most elements of one job.
const ELEMENTS_MAX: usize = 1_000;
/// How long a job takes before its issues appear.
const JOB_MS: i64 = 50;

/// A job of the import.
#[derive(Clone, Debug)]
pub(crate) struct ImportJob {
    call: Call,
    elements: Vec<Value>,
    project: Option<String>,
    due: Stamp,
    /// Set when it is done.
    result: Option<Value>,
}

/// `POST /import/test/bulk`.
pub(crate) fn start(state: &mut State, call: &Call, body: &Value) -> Answer {
    let Some(elements) = body.as_array().filter(|e| !e.is_empty()) else {
        return Err(Problem::xray(400, "The body must be an array of tests"));
    };
    if elements.len() > ELEMENTS_MAX {
        return Err(Problem::xray(
            400,
            format!("The number of tests to import exceeds the maximum of {ELEMENTS_MAX}"),
        ));
    }
    let busy = |j: &ImportJob| j.result.is_none() && j.call.user == call.user;
    if state.passing.jobs.values().any(busy) {
        return Err(Problem::xray(
            400,
            "Error importing tests: A job to import tests is already in progress for this user",
        ));
    }
    let serial = state.serial();
    let seed = format!("job{serial}{}", call.now.0);
    let id = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(seed.as_bytes()));
    let job = ImportJob {
        call: call.clone(),
        elements: elements.clone(),
        project: call.param("project").map(str::to_owned),
        due: Stamp(call.now.0 + JOB_MS),
        result: None,
    };
    state.passing.jobs.insert(id.clone(), job);
    Ok(Reply::ok(json!({"jobId": id})))
}

/// `GET /import/test/bulk/{job}/status`.
pub(crate) fn status(state: &State, call: &Call, id: &str) -> Answer {
    let job = state.passing.jobs.get(id).ok_or_else(|| Problem::xray(404, "job not found."))?;
    if let Some(result) = &job.result {
        return Ok(Reply::ok(result.clone()));
    }
    let half = Stamp(job.due.0 - JOB_MS / 2);
    if call.now < half {
        return Ok(Reply::ok(json!({"status": "pending"})));
    }
    let line = format!(
        "[{}] Creating {} issue(s) in JIRA.",
        call.now.utc().format("%a, %d %b %Y %H:%M:%S GMT"),
        job.elements.len()
    );
    Ok(Reply::ok(json!({"status": "working", "progress": [line]})))
}

/// Runs the jobs whose time has come, or all of them.
pub(crate) fn run_due(state: &mut State, now: Stamp, all: bool) {
    let due = |j: &ImportJob| j.result.is_none() && (all || j.due <= now);
    let ids: Vec<String> =
        state.passing.jobs.iter().filter(|(_, j)| due(j)).map(|(id, _)| id.clone()).collect();
    for id in ids {
        let Some(job) = state.passing.jobs.get(&id).cloned() else { continue };
        let call = Call { now: now.max(job.due), v3: false, ..job.call.clone() };
        let result = run(state, &call, &job);
        if let Some(job) = state.passing.jobs.get_mut(&id) {
            job.result = Some(result);
            job.elements = Vec::new();
        }
    }
}

fn run(state: &mut State, call: &Call, job: &ImportJob) -> Value {
    let (mut issues, mut errors) = (Vec::new(), Vec::new());
    let mut names: Vec<(String, u64)> = Vec::new();
    // Sets and preconditions first: tests name them by the ids that the file gives them.
    let is_test = |e: &Value| {
        value(e, "issue_type").and_then(Value::as_str).is_none_or(|t| t.eq_ignore_ascii_case("test"))
    };
    let order = job.elements.iter().enumerate().filter(|(_, e)| !is_test(e));
    let order = order.chain(job.elements.iter().enumerate().filter(|(_, e)| is_test(e)));
    for (at, element) in order {
        match one(state, call, element, job.project.as_deref(), &mut names) {
            Ok(id) => {
                let key = state.issue(id).map(|i| state.key_of(i)).unwrap_or_default();
                issues.push(json!({
                    "elementNumber": at, "id": id.to_string(), "key": key,
                    "self": format!("{}/rest/api/2/issue/{id}", call.base)
                }));
            }
            Err(problem) => {
                let mut all = problem.fields.clone();
                for message in &problem.messages {
                    all.insert("error".into(), json!(message));
                }
                errors.push(json!({"elementNumber": at, "errors": all}));
            }
        }
    }
    let number = |v: &Value| v["elementNumber"].as_u64();
    issues.sort_by_key(number);
    errors.sort_by_key(number);
    let status = match (issues.is_empty(), errors.is_empty()) {
        (_, true) => "successful",
        (false, false) => "partially_successful",
        (true, false) => "unsuccessful",
    };
    json!({"status": status, "result": {"errors": errors, "issues": issues, "warnings": []}})
}

/// Reads a key of Xray in either of its spellings.
fn value<'a>(element: &'a Value, key: &str) -> Option<&'a Value> {
    element.get(format!("xray_{key}")).or_else(|| element.get(key)).filter(|v| !v.is_null())
}

const XRAY_KEYS: [&str; 11] = [
    "testtype",
    "steps",
    "issue_type",
    "id",
    "test_repository_folder",
    "test_sets",
    "preconditions",
    "unstructured_def",
    "gherkin_def",
    "precondition_type",
    "definition",
];

/// The Jira fields: inside `fields`, or beside Xray's own keys.
fn jira_body(element: &Value, project: Option<&str>) -> Value {
    let mut fields = Map::new();
    for (key, value) in element.as_object().into_iter().flatten() {
        let bare = key.strip_prefix("xray_").unwrap_or(key);
        if !XRAY_KEYS.contains(&bare) && key != "fields" && key != "update" {
            fields.insert(key.clone(), value.clone());
        }
    }
    if let Some(given) = element.get("fields").and_then(Value::as_object) {
        fields.extend(given.clone());
    }
    if let (false, Some(project)) = (fields.contains_key("project"), project) {
        fields.insert("project".into(), json!({"key": project}));
    }
    fields.remove("issuetype");
    let mut body = json!({"fields": fields});
    if let Some(update) = element.get("update") {
        body["update"] = update.clone();
    }
    body
}

fn one(
    state: &mut State,
    call: &Call,
    element: &Value,
    project: Option<&str>,
    names: &mut Vec<(String, u64)>,
) -> Result<u64, Problem> {
    let kind = value(element, "issue_type").and_then(Value::as_str).unwrap_or("test");
    let role = match kind.to_ascii_lowercase().replace(['-', '_', ' '], "").as_str() {
        "testset" => Role::TestSet,
        "precondition" => Role::Precondition,
        "test" => Role::Test,
        other => return Err(Problem::field("issue_type", format!("{other} can not be imported"))),
    };
    let test_type = value(element, "testtype").and_then(Value::as_str).unwrap_or("Manual");
    let test_type = state
        .site
        .test_type(test_type)
        .ok_or_else(|| Problem::field("testtype", format!("Test type {test_type} is not valid")))?;
    let index = state.site.type_of_role(role);
    let body = jira_body(element, project);
    let created = write::create(state, call, &body, index)?;
    let id = created.id;
    if let Some(name) = value(element, "id").and_then(Value::as_str) {
        names.push((name.to_owned(), id));
    }
    state.note(id, call.user, call.now, "Imported", "");
    match role {
        Role::Test => fill_test(state, call, element, id, test_type, names),
        Role::Precondition => {
            if let Some(data) = state.xray.preconditions.get_mut(&id) {
                data.kind = test_type;
                let text = element.get("definition").and_then(Value::as_str);
                data.definition = text.unwrap_or_default().into();
            }
        }
        _ => {}
    }
    Ok(id)
}

/// Gives an imported test its definition and its places; what does not fit is left out.
fn fill_test(state: &mut State, call: &Call, element: &Value, id: u64, kind: u8, names: &[(String, u64)]) {
    let mut steps = Vec::new();
    for step in value(element, "steps").and_then(Value::as_array).into_iter().flatten() {
        if let Ok(step) = mutate::read_step(state, call, id, step) {
            steps.push(step);
        }
    }
    let text = value(element, "unstructured_def").or_else(|| value(element, "gherkin_def"));
    let text = text.and_then(Value::as_str).unwrap_or_default();
    let definition = Definition { kind, steps, text: text.into() };
    state.define(id, None, call.now, |d| *d = definition);
    if let Some(path) = value(element, "test_repository_folder").and_then(Value::as_str) {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let project = state.issue(id).map(|i| i.project).unwrap_or_default();
        let tree = state.xray.repositories.entry(project).or_default();
        if let Some(folder) = tree.ensure(&path) {
            folders::place_test(state, project, id, folder, None);
        }
    }
    let find = |state: &State, name: &str| {
        let made = names.iter().find(|(n, _)| n == name).map(|(_, id)| *id);
        made.or_else(|| state.find_issue(name).map(|i| i.id))
    };
    for set in strings(value(element, "test_sets")) {
        if let Some(set) = find(state, &set) {
            associations::join_set(state, call, set, id);
        }
    }
    for precondition in strings(value(element, "preconditions")) {
        if let Some(found) = find(state, &precondition) {
            let text = found.to_string();
            // One of another type is left out, as the real import does.
            let _ = associations::link_precondition(state, call, &text, id, None);
        }
    }
}
