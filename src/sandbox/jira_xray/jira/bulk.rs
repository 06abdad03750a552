//! Bulk edits, transitions and deletions, which run as tasks of a queue.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Call, extras, meta, strings, workflow, write};
use crate::sandbox::jira_xray::reply::{Answer, Problem, Reply};
use crate::sandbox::jira_xray::store::State;

/// Most issues of one operation.
const ISSUES_MAX: usize = 1_000;
/// Most fields of one edit.
const FIELDS_MAX: usize = 200;

fn found(state: &State, names: &[String]) -> (Vec<u64>, usize) {
    let ids: Vec<u64> = names.iter().filter_map(|n| state.find_issue(n)).map(|i| i.id).collect();
    let missing = names.len() - ids.len();
    (ids, missing)
}

fn checked(names: &[String]) -> Result<(), Problem> {
    if names.is_empty() {
        return Err(Problem::bulk("Selected issues can't be null or empty."));
    }
    if names.len() > ISSUES_MAX {
        return Err(Problem::bulk("The number of issues is more than the limit of 1000."));
    }
    Ok(())
}

fn submitted(
    state: &mut State,
    call: &Call,
    total: usize,
    invalid: usize,
    outcomes: Vec<(u64, Result<(), Problem>)>,
) -> Answer {
    let id = extras::start_task(state, call, true, total);
    if let Some(task) = state.passing.tasks.get_mut(&id) {
        task.invalid = invalid;
        for (issue, outcome) in outcomes {
            match outcome {
                Ok(()) => task.processed.push(issue),
                Err(problem) => drop(task.failed.insert(issue, vec![problem.line()])),
            }
        }
    }
    Ok(Reply::created(json!({"taskId": id.to_string()})))
}

/// `GET /bulk/issues/transition`: transitions open to all issues of a workflow that
/// need no input.
pub(crate) fn transitions(state: &State, call: &Call) -> Answer {
    let names: Vec<String> = call
        .params("issueIdsOrKeys")
        .flat_map(|n| n.split(','))
        .filter(|n| !n.is_empty())
        .map(str::to_owned)
        .collect();
    checked(&names)?;
    let (ids, _) = found(state, &names);
    let mut groups: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for id in ids {
        let flow = state.issue(id).and_then(|i| workflow::of(state, i));
        groups.entry(flow.map(|f| f.name.clone()).unwrap_or_default()).or_default().push(id);
    }
    let mut out = Vec::new();
    for ids in groups.values() {
        let issues: Vec<_> = ids.iter().filter_map(|i| state.issue(*i)).collect();
        let mut shared: Option<Vec<Value>> = None;
        for issue in &issues {
            let open = workflow::available(state, call, issue, false);
            shared = Some(match shared {
                None => open,
                Some(held) => held.into_iter().filter(|t| open.iter().any(|o| o["id"] == t["id"])).collect(),
            });
        }
        let all = shared.unwrap_or_default();
        let number = |v: &Value| v.as_str().and_then(|t| t.parse::<u64>().ok());
        let (plain, screened): (Vec<Value>, Vec<Value>) =
            all.into_iter().partition(|t| t["hasScreen"] == false);
        let transitions: Vec<Value> = plain
            .iter()
            .map(|t| {
                json!({
                    "transitionId": number(&t["id"]), "transitionName": t["name"],
                    "to": {"statusId": number(&t["to"]["id"]), "statusName": t["to"]["name"]}
                })
            })
            .collect();
        let keys: Vec<String> = issues.iter().map(|i| state.key_of(i)).collect();
        out.push(json!({
            "issues": keys, "isTransitionsFiltered": !screened.is_empty(),
            "transitions": transitions
        }));
    }
    Ok(Reply::ok(json!({"availableTransitions": out})))
}

/// `POST /bulk/issues/transition`.
pub(crate) fn transition(state: &mut State, call: &Call, body: &Value) -> Answer {
    let inputs = body.get("bulkTransitionInputs").and_then(Value::as_array).cloned();
    let inputs = inputs.unwrap_or_default();
    let all: Vec<String> = inputs.iter().flat_map(|i| strings(i.get("selectedIssueIdsOrKeys"))).collect();
    checked(&all)?;
    let mut outcomes = Vec::new();
    let mut invalid = 0;
    for input in &inputs {
        let (ids, missing) = found(state, &strings(input.get("selectedIssueIdsOrKeys")));
        invalid += missing;
        let request = json!({"transition": {"id": input.get("transitionId")}});
        for id in ids {
            outcomes.push((id, workflow::perform(state, call, id, &request)));
        }
    }
    submitted(state, call, all.len(), invalid, outcomes)
}

/// `POST /bulk/issues/delete`.
pub(crate) fn delete(state: &mut State, call: &Call, body: &Value) -> Answer {
    let names = strings(body.get("selectedIssueIdsOrKeys"));
    checked(&names)?;
    let (ids, missing) = found(state, &names);
    let mut outcomes = Vec::new();
    for id in ids {
        state.remove_issue(id, call.now);
        outcomes.push((id, Ok(())));
    }
    submitted(state, call, names.len(), missing, outcomes)
}

/// `POST /bulk/issues/fields`.
pub(crate) fn edit(state: &mut State, call: &Call, body: &Value) -> Answer {
    let names = strings(body.get("selectedIssueIdsOrKeys"));
    checked(&names)?;
    let actions = strings(body.get("selectedActions"));
    if actions.is_empty() || actions.len() > FIELDS_MAX {
        return Err(Problem::bulk("Between 1 and 200 selected actions are required."));
    }
    let input = body.get("editedFieldsInput").cloned().unwrap_or(Value::Null);
    let change = as_edit(&input, &actions)?;
    let (ids, missing) = found(state, &names);
    let mut outcomes = Vec::new();
    for id in ids {
        outcomes.push((id, write::edit(state, call, id, &change)));
    }
    submitted(state, call, names.len(), missing, outcomes)
}

/// Turns the input of a bulk edit into the body of an ordinary one.
fn as_edit(input: &Value, actions: &[String]) -> Result<Value, Problem> {
    let mut fields = Map::new();
    let mut update = Map::new();
    let list = |key: &str| input.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let id = |v: &Value| v.get("fieldId").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (key, value) in
        [("singleLineTextFields", "text"), ("urlFields", "url"), ("clearableNumberFields", "value")]
    {
        for entry in list(key) {
            fields.insert(id(&entry), entry.get(value).cloned().unwrap_or(Value::Null));
        }
    }
    for entry in list("richTextFields") {
        let adf = entry.pointer("/richText/adfValue").cloned().unwrap_or(Value::Null);
        fields.insert(id(&entry), adf);
    }
    if let Some(priority) = input.pointer("/priority/priorityId") {
        fields.insert("priority".into(), json!({"id": priority}));
    }
    for entry in list("labelsFields") {
        let names = entry.get("labels").and_then(Value::as_array).cloned().unwrap_or_default();
        let names: Vec<Value> = names.iter().filter_map(|l| l.get("name").cloned()).collect();
        let option = entry.get("bulkEditMultiSelectFieldOption").and_then(Value::as_str);
        let operations = match option.unwrap_or("ADD") {
            "ADD" => names.into_iter().map(|n| json!({"add": n})).collect(),
            "REMOVE" => names.into_iter().map(|n| json!({"remove": n})).collect(),
            "REPLACE" => vec![json!({"set": names})],
            "REMOVE_ALL" => vec![json!({"set": []})],
            other => return Err(Problem::bulk(&format!("Unknown option {other}."))),
        };
        update.insert(id(&entry), Value::Array(operations));
    }
    let given = |a: &String| fields.contains_key(a) || update.contains_key(a);
    if let Some(action) = actions.iter().find(|a| !given(a)) {
        return Err(Problem::bulk(&format!("No value was given for the selected action {action}.")));
    }
    fields.retain(|k, _| actions.contains(k));
    update.retain(|k, _| actions.contains(k));
    Ok(json!({"fields": fields, "update": update}))
}

/// `GET /bulk/queue/{task}`.
pub(crate) fn queue(state: &State, call: &Call, id: &str) -> Answer {
    let found = id.parse().ok().and_then(|id: u64| state.passing.tasks.get(&id));
    let task = found.filter(|t| t.bulk).ok_or_else(|| Problem::bulk("The task could not be found."))?;
    let done = call.now >= task.done_at;
    let mut out = json!({
        "taskId": id, "status": if done { "COMPLETE" } else { "RUNNING" },
        "progressPercent": if done { 100 } else { 50 },
        "submittedBy": meta::user(state, call, task.by), "created": task.started.0,
        "started": task.started.0, "updated": call.now.min(task.done_at).0,
        "totalIssueCount": task.total, "invalidOrInaccessibleIssueCount": task.invalid
    });
    if done {
        let failed: Map<String, Value> = task.failed.iter().map(|(k, v)| (k.to_string(), json!(v))).collect();
        out["processedAccessibleIssues"] = json!(task.processed);
        out["failedAccessibleIssues"] = Value::Object(failed);
    }
    Ok(Reply::ok(out))
}
