//! Answers to the fields of the GraphQL schema.

use std::sync::Arc;

use serde_json::{Value, json};

use super::args::Args;
use super::entities::{coverable, execution, expanded, plan, precondition, set, test, test_version};
use super::run_fields::run;
use super::select::{run_list, selected};
use super::{entity, folders, model, mutate, run_writes};
use crate::sandbox::jira_xray::jira::Call;
use crate::sandbox::jira_xray::site::Role;
use crate::sandbox::jira_xray::store::State;

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
    pub(super) total: usize,
    pub(super) start: usize,
    pub(super) limit: usize,
    pub(super) results: Vec<Node>,
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

pub(super) type Answer = Result<Out, String>;

/// Cuts a page out of a list of ids.
pub(super) fn page(ids: &[u64], args: &Args, node: impl Fn(u64) -> Node) -> Answer {
    let (start, limit) = args.window()?;
    let results = ids.iter().skip(start).take(limit).map(|id| node(*id)).collect();
    Ok(Out::Node(Node::List(List { total: ids.len(), start, limit, results })))
}

/// A page of a connection that hangs on a node, with its filter on issue ids.
pub(super) fn nested(ids: &[u64], args: &Args, node: impl Fn(u64) -> Node) -> Answer {
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
