//! Which entities and runs the filters of a query let through.

use std::sync::Arc;

use serde_json::Value;

use super::args::Args;
use super::{entity, model};
use crate::sandbox::jira_xray::jira::{Call, query as jql};
use crate::sandbox::jira_xray::site::Role;
use crate::sandbox::jira_xray::store::State;

/// Most ids of one filter.
const IDS_MAX: usize = 100;

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
pub(super) fn selected(
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

pub(super) fn run_list(state: &State, call: &Call, args: &Args) -> Result<Vec<u64>, String> {
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
