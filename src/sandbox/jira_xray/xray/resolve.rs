//! Answers to the fields of the GraphQL schema.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::args::Args;
use super::model::{self, Attached, Definition, Mark, NOBODY, Run, Step, TestData, Trace};
use super::{entity, folders, mutate, run_writes};
use crate::sandbox::jira_xray::jira::{Call, query as jql, read};
use crate::sandbox::jira_xray::site::Role;
use crate::sandbox::jira_xray::store::State;

/// Most ids of one filter.
const IDS_MAX: usize = 100;

/// Something that a selection can be made on.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Test(u64),
    Expanded(u64, Option<u16>),
    Version(u64, u16),
    Precondition(u64),
    Set(u64),
    Plan(u64),
    Execution(u64),
    Run(u32),
    Coverable(u64),
    List(List),
    /// A named entity beside plain values, as the create calls return.
    Payload(String, Box<Self>, Value),
    Json(Value),
}

/// One page of a connection.
#[derive(Clone, Debug)]
pub(crate) struct List {
    total: usize,
    start: usize,
    limit: usize,
    results: Vec<Node>,
}

/// The value of a field.
#[derive(Clone, Debug)]
pub(crate) enum Out {
    Null,
    Json(Value),
    Node(Node),
    Nodes(Vec<Node>),
}

impl Out {
    pub(crate) fn text(text: String) -> Self {
        Self::Json(Value::String(text))
    }
}

type Answer = Result<Out, String>;

/// Cuts a page out of a list of ids.
fn page(ids: &[u64], args: &Args, node: impl Fn(u64) -> Node) -> Answer {
    let (start, limit) = args.window()?;
    let results = ids.iter().skip(start).take(limit).map(|id| node(*id)).collect();
    Ok(Out::Node(Node::List(List { total: ids.len(), start, limit, results })))
}

/// A page of a connection that hangs on a node, with its filter on issue ids.
fn nested(ids: &[u64], args: &Args, node: impl Fn(u64) -> Node) -> Answer {
    let wanted = args.texts("issueIds");
    if wanted.is_empty() {
        return page(ids, args, node);
    }
    let kept: Vec<u64> = ids.iter().copied().filter(|i| wanted.contains(&i.to_string())).collect();
    page(&kept, args, node)
}

fn node_of(role: Role, id: u64) -> Node {
    match role {
        Role::Test => Node::Test(id),
        Role::TestSet => Node::Set(id),
        Role::TestPlan => Node::Plan(id),
        Role::TestExecution => Node::Execution(id),
        Role::Precondition => Node::Precondition(id),
        _ => Node::Coverable(id),
    }
}

/// Answers a field of the query root.
pub(crate) fn query(state: &mut State, call: &Call, field: &str, args: &Args) -> Answer {
    let one = |state: &State, role: Role| {
        let id = entity(state, call, args.required("issueId")?, role)?;
        Ok(Out::Node(node_of(role, id)))
    };
    match field {
        "getTest" => one(state, Role::Test),
        "getTestSet" => one(state, Role::TestSet),
        "getTestPlan" => one(state, Role::TestPlan),
        "getTestExecution" => one(state, Role::TestExecution),
        "getPrecondition" => one(state, Role::Precondition),
        "getCoverableIssue" => one(state, Role::Requirement),
        "getExpandedTest" => {
            let id = entity(state, call, args.required("issueId")?, Role::Test)?;
            Ok(Out::Node(Node::Expanded(id, args.version())))
        }
        "getTests" => many(state, call, field, args, Role::Test),
        "getExpandedTests" => expanded_tests(state, call, field, args),
        "getTestSets" => many(state, call, field, args, Role::TestSet),
        "getTestPlans" => many(state, call, field, args, Role::TestPlan),
        "getTestExecutions" => many(state, call, field, args, Role::TestExecution),
        "getPreconditions" => many(state, call, field, args, Role::Precondition),
        "getCoverableIssues" => many(state, call, field, args, Role::Requirement),
        "getTestRun" => {
            let test = entity(state, call, args.required("testIssueId")?, Role::Test)?;
            let id = args.required("testExecIssueId")?;
            let execution = entity(state, call, id, Role::TestExecution)?;
            Ok(state.xray.run_of(test, execution).map_or(Out::Null, |n| Out::Node(Node::Run(n))))
        }
        "getTestRunById" => {
            let id = args.required("id")?;
            let number = model::run_number(id).filter(|n| state.xray.run(*n).is_some());
            number.map(|n| Out::Node(Node::Run(n))).ok_or_else(|| format!("test run with id {id} not found!"))
        }
        "getTestRunsById" => {
            let ids = args.texts("ids");
            let held = ids.iter().filter_map(|i| model::run_number(i));
            let held: Vec<u64> = held.filter(|n| state.xray.run(*n).is_some()).map(u64::from).collect();
            page(&held, args, |n| Node::Run(n as u32))
        }
        "getTestRuns" => runs(state, call, field, args),
        "getFolder" => folders::get(state, call, args),
        "getDataset" | "getDatasets" => dataset(state, call, field, args),
        "getManualStepLibrary" | "getBDDStepLibrary" => page(&[], args, Node::Coverable),
        _ => super::settings::query(state, field, args),
    }
}

/// Datasets exist for tests whose steps name parameters; their rows are kept by nobody.
fn dataset(state: &State, call: &Call, field: &str, args: &Args) -> Answer {
    if field == "getDatasets" {
        return Ok(Out::Json(json!([])));
    }
    entity(state, call, args.required("testIssueId")?, Role::Test)?;
    Ok(Out::Null)
}

fn expanded_tests(state: &mut State, call: &Call, field: &str, args: &Args) -> Answer {
    let versions: Vec<(u64, Option<u16>)> = args
        .list("tests")
        .iter()
        .filter_map(|t| {
            let id = t.get("issueId")?.as_str()?.parse().ok()?;
            let version = t.get("versionId").and_then(Value::as_u64);
            Some((id, version.and_then(|v| u16::try_from(v).ok())))
        })
        .collect();
    let ids: Vec<u64> = if versions.is_empty() {
        selected(state, call, field, args, Role::Test)?.to_vec()
    } else {
        versions.iter().map(|(id, _)| *id).filter(|id| state.xray.tests.contains_key(id)).collect()
    };
    let version = |id: u64| versions.iter().find(|(v, _)| *v == id).and_then(|(_, v)| *v);
    page(&ids, args, |id| Node::Expanded(id, version(id)))
}

fn many(state: &mut State, call: &Call, field: &str, args: &Args, role: Role) -> Answer {
    args.window()?;
    let ids = selected(state, call, field, args, role)?;
    page(&ids, args, |id| node_of(role, id))
}

fn pool(state: &State, role: Role) -> Vec<u64> {
    match role {
        Role::Test => state.xray.tests.keys().copied().collect(),
        Role::TestSet => state.xray.sets.keys().copied().collect(),
        Role::TestPlan => state.xray.plans.keys().copied().collect(),
        Role::TestExecution => state.xray.executions.keys().copied().collect(),
        Role::Precondition => state.xray.preconditions.keys().copied().collect(),
        _ => {
            let coverable = |i: &&u64| state.role(**i).is_some_and(is_coverable);
            state.issues.keys().filter(coverable).copied().collect()
        }
    }
}

pub(crate) fn is_coverable(role: Role) -> bool {
    role == Role::Requirement
}

/// The ids that a query's filters let through, in order of the ids.
fn selected(
    state: &mut State,
    call: &Call,
    field: &str,
    args: &Args,
    role: Role,
) -> Result<Arc<Vec<u64>>, String> {
    let lasting = state.passing.unknown_to_xray.is_empty()
        && state.passing.stale.is_empty()
        && args.text("jql").is_none_or(|j| !j.contains(['-', '(']));
    let key = args.filter_key(field);
    let revision = state.passing.revision;
    if lasting && let Some(list) = state.xray.lists.get(revision, &key) {
        return Ok(list);
    }
    let wanted = args.texts("issueIds");
    if wanted.len() > IDS_MAX {
        return Err(format!("issueIds can have at most {IDS_MAX} ids, it has {}", wanted.len()));
    }
    let mut ids: Vec<u64> = match (wanted.is_empty(), args.text("jql")) {
        (false, _) => wanted.iter().filter_map(|i| i.parse().ok()).collect(),
        (true, Some(text)) => {
            let plan = jql::prepare(state, call, text).map_err(|e| format!("Error in the JQL Query: {e}"))?;
            jql::run(state, &plan, call.now, &[])
        }
        (true, None) => pool(state, role),
    };
    let filter = Filter::new(state, args)?;
    ids.retain(|id| {
        let fits = match role {
            Role::Requirement => state.role(*id).is_some_and(is_coverable),
            _ => has_entity(state, *id, role),
        };
        fits && state.known_to_xray(*id, call.now) && filter.passes(state, *id)
    });
    ids.sort_unstable();
    ids.dedup();
    let ids = Arc::new(ids);
    if lasting {
        state.xray.lists.put(key, Arc::clone(&ids));
    }
    Ok(ids)
}

fn has_entity(state: &State, id: u64, role: Role) -> bool {
    match role {
        Role::Test => state.xray.tests.contains_key(&id),
        Role::TestSet => state.xray.sets.contains_key(&id),
        Role::TestPlan => state.xray.plans.contains_key(&id),
        Role::TestExecution => state.xray.executions.contains_key(&id),
        _ => state.xray.preconditions.contains_key(&id),
    }
}

/// The filters besides ids and JQL.
struct Filter {
    project: Option<u16>,
    since: Option<i64>,
    kinds: Option<Vec<u8>>,
    folder: Option<std::collections::BTreeSet<u64>>,
}

impl Filter {
    fn new(state: &State, args: &Args) -> Result<Self, String> {
        let project = match args.text("projectId") {
            None => None,
            Some(text) => {
                let at = state.site.projects.iter().position(|p| p.id.to_string() == text);
                let at = at.and_then(|a| u16::try_from(a).ok());
                Some(at.ok_or("projectId provided is not valid")?)
            }
        };
        let since = match args.text("modifiedSince") {
            None => None,
            Some(text) => Some(
                crate::sandbox::jira_xray::time::parse_instant(text)
                    .ok_or("modifiedSince is not a valid date")?
                    .0,
            ),
        };
        let kinds = args.get("testType").or_else(|| args.get("preconditionType")).map(|t| {
            let is = |key: &str, value: &str| {
                let wanted = t.get(key).and_then(Value::as_str);
                wanted.is_none_or(|w| w.eq_ignore_ascii_case(value))
            };
            let types = state.site.test_types.iter().enumerate();
            types
                .filter(|(_, x)| is("id", &x.id) && is("name", &x.name) && is("kind", &x.kind))
                .filter_map(|(at, _)| u8::try_from(at).ok())
                .collect()
        });
        let folder = match args.get("folder") {
            None => None,
            Some(folder) => Some(folder_members(state, folder, project)?),
        };
        Ok(Self { project, since, kinds, folder })
    }

    fn passes(&self, state: &State, id: u64) -> bool {
        let in_project = self.project.is_none_or(|p| state.issue(id).is_some_and(|i| i.project == p));
        let recent = self.since.is_none_or(|s| modified(state, id) >= s);
        let kind = self.kinds.as_ref().is_none_or(|kinds| {
            let of_test = state.xray.tests.get(&id).and_then(|t| t.version(None));
            let kind = of_test
                .map(|v| v.definition.kind)
                .or_else(|| state.xray.preconditions.get(&id).map(|p| p.kind));
            kind.is_none_or(|k| kinds.contains(&k))
        });
        in_project && recent && kind && self.folder.as_ref().is_none_or(|f| f.contains(&id))
    }
}

fn folder_members(
    state: &State,
    folder: &Value,
    project: Option<u16>,
) -> Result<std::collections::BTreeSet<u64>, String> {
    let path = folder.get("path").and_then(Value::as_str).unwrap_or("/");
    let deep = folder.get("includeDescendants").and_then(Value::as_bool).unwrap_or_default();
    let plan = folder.get("testPlanId").and_then(Value::as_str);
    let mut out = std::collections::BTreeSet::new();
    let trees: Vec<(&model::Tree, Option<u64>)> = match plan {
        Some(id) => {
            let id: u64 = id.parse().map_err(|_| "testPlanId provided is not valid")?;
            let plan = state.xray.plans.get(&id).ok_or("testPlanId provided is not valid")?;
            vec![(&plan.folders, Some(id))]
        }
        None => {
            let trees = state.xray.repositories.iter();
            trees.filter(|(p, _)| project.is_none_or(|x| x == **p)).map(|(_, t)| (t, None)).collect()
        }
    };
    for (tree, plan) in trees {
        let Some(at) = tree.find(path) else { continue };
        let all = if deep { tree.with_descendants(at) } else { vec![at] };
        for folder in all.iter().filter_map(|f| tree.folders.get(f)) {
            out.extend(folder.tests.iter().chain(&folder.preconditions));
        }
        if at == 0 && plan.is_none() {
            out.extend(state.xray.tests.iter().filter(|(_, t)| deep || t.folder == 0).map(|(i, _)| *i));
        }
    }
    Ok(out)
}

fn modified(state: &State, id: u64) -> i64 {
    let xray = &state.xray;
    let trace = xray
        .tests
        .get(&id)
        .map(|t| &t.trace)
        .or_else(|| xray.sets.get(&id).map(|t| &t.trace))
        .or_else(|| xray.plans.get(&id).map(|t| &t.trace))
        .or_else(|| xray.executions.get(&id).map(|t| &t.trace))
        .or_else(|| xray.preconditions.get(&id).map(|t| &t.trace));
    trace.map_or(0, |t| t.modified.0)
}

fn runs(state: &mut State, call: &Call, field: &str, args: &Args) -> Answer {
    args.window()?;
    let key = args.filter_key(field);
    let revision = state.passing.revision;
    let list = match state.xray.lists.get(revision, &key) {
        Some(list) => list,
        None => {
            let list = Arc::new(run_list(state, call, args)?);
            state.xray.lists.put(key, Arc::clone(&list));
            list
        }
    };
    page(&list, args, |n| Node::Run(n as u32))
}

fn run_list(state: &State, call: &Call, args: &Args) -> Result<Vec<u64>, String> {
    let ids = |key: &str, role: Role| -> Result<Vec<u64>, String> {
        let texts = args.texts(key);
        if texts.len() > IDS_MAX {
            return Err(format!("{key} can have at most {IDS_MAX} ids, it has {}", texts.len()));
        }
        texts.iter().map(|t| entity(state, call, t, role)).collect()
    };
    let tests = ids("testIssueIds", Role::Test)?;
    let mut executions = ids("testExecIssueIds", Role::TestExecution)?;
    let plans = ids("testPlanIssueIds", Role::TestPlan)?;
    if !plans.is_empty() {
        let of_plans: Vec<u64> = plans
            .iter()
            .filter_map(|p| state.xray.plans.get(p))
            .flat_map(|p| p.executions.iter().copied())
            .collect();
        match executions.is_empty() {
            true => executions = of_plans,
            false => executions.retain(|e| of_plans.contains(e)),
        }
    }
    let since = Filter::new(state, args)?.since;
    let statuses = args.texts("statuses");
    let statuses: Vec<u8> = statuses.iter().filter_map(|s| state.site.run_status(s)).collect();
    let assignees = args.texts("testRunAssignees");
    let people: Vec<u16> = assignees.iter().filter_map(|a| state.site.user_index(a)).collect();
    let fits = |n: &u32| {
        state.xray.run(*n).is_some_and(|r| {
            (tests.is_empty() || tests.contains(&r.test))
                && (args.texts("statuses").is_empty() || statuses.contains(&r.status))
                && (assignees.is_empty() || people.contains(&r.assignee))
                && since.is_none_or(|s| r.modified.0 >= s)
        })
    };
    let numbers: Vec<u32> = if !executions.is_empty() || !plans.is_empty() {
        let held = executions.iter().filter_map(|e| state.xray.executions.get(e));
        held.flat_map(|e| e.runs.iter().copied()).filter(fits).collect()
    } else if !tests.is_empty() {
        let held = tests.iter().filter_map(|t| state.xray.tests.get(t));
        held.flat_map(|t| t.runs.iter().copied()).filter(fits).collect()
    } else {
        let all = 0..u32::try_from(state.xray.runs.len()).unwrap_or_default();
        all.filter(fits).collect()
    };
    Ok(numbers.into_iter().map(u64::from).collect())
}

/// Answers a field of the mutation root.
pub(crate) fn mutation(state: &mut State, call: &Call, field: &str, args: &Args) -> Answer {
    let folder = field.contains("Folder");
    let run = field.contains("TestRun")
        || matches!(field, "updateIterationStatus" | "resetTestRun" | "setTestRunTimer");
    if folder {
        folders::mutate(state, call, field, args)
    } else if run {
        run_writes::mutate(state, call, field, args)
    } else {
        mutate::mutate(state, call, field, args)
    }
}

/// Answers a field of a node.
pub(crate) fn field(state: &mut State, call: &Call, node: &Node, field: &str, args: &Args) -> Answer {
    let out = match node {
        Node::Json(value) => Out::Json(value.get(field).cloned().unwrap_or(Value::Null)),
        Node::List(list) => match field {
            "total" => Out::Json(json!(list.total)),
            "start" => Out::Json(json!(list.start)),
            "limit" => Out::Json(json!(list.limit)),
            "results" => Out::Nodes(list.results.clone()),
            _ => Out::Null,
        },
        Node::Payload(key, node, _) if key == field => Out::Node(Node::clone(node)),
        Node::Payload(_, _, rest) => Out::Json(rest.get(field).cloned().unwrap_or(Value::Null)),
        Node::Test(id) => return test(state, call, *id, None, field, args),
        Node::Expanded(id, version) => return expanded(state, call, *id, *version, field, args),
        Node::Version(id, version) => return test_version(state, call, *id, *version, field, args),
        Node::Precondition(id) => return precondition(state, call, *id, field, args),
        Node::Set(id) => return set(state, call, *id, field, args),
        Node::Plan(id) => return plan(state, call, *id, field, args),
        Node::Execution(id) => return execution(state, call, *id, field, args),
        Node::Run(number) => return run(state, call, *number, field, args),
        Node::Coverable(id) => return coverable(state, call, *id, field, args),
    };
    Ok(out)
}

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
fn jira(state: &State, call: &Call, id: u64, fields: &[String]) -> Value {
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

fn test_type(state: &State, kind: u8) -> Value {
    let kind = &state.site.test_types[usize::from(kind)];
    json!({"id": kind.id, "name": kind.name, "kind": kind.kind})
}

fn text_of_kind(state: &State, definition: &Definition, kind: &str) -> Value {
    let fits = state.site.test_types[usize::from(definition.kind)].kind == kind;
    if fits { json!(definition.text) } else { Value::Null }
}

fn scenario_type(state: &State, definition: &Definition) -> Value {
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

fn files(state: &State, call: &Call, ids: &[u64]) -> Value {
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

fn test(state: &State, call: &Call, id: u64, version: Option<u16>, field: &str, args: &Args) -> Answer {
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

fn coverable(state: &State, call: &Call, id: u64, field: &str, args: &Args) -> Answer {
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

fn expanded(state: &State, call: &Call, id: u64, version: Option<u16>, field: &str, args: &Args) -> Answer {
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

fn test_version(state: &State, call: &Call, id: u64, version: u16, field: &str, args: &Args) -> Answer {
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

fn precondition(state: &State, call: &Call, id: u64, field: &str, args: &Args) -> Answer {
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

fn set(state: &State, call: &Call, id: u64, field: &str, args: &Args) -> Answer {
    let Some(data) = state.xray.sets.get(&id) else { return Ok(Out::Null) };
    if let Some(answer) = common(state, call, id, &data.trace, field, args) {
        return answer;
    }
    match field {
        "tests" => nested(&data.tests, args, Node::Test),
        _ => Ok(Out::Null),
    }
}

fn plan(state: &State, call: &Call, id: u64, field: &str, args: &Args) -> Answer {
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

fn execution(state: &State, call: &Call, id: u64, field: &str, args: &Args) -> Answer {
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

fn run(state: &State, call: &Call, number: u32, field: &str, args: &Args) -> Answer {
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
