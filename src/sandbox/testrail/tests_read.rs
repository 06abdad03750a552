//! Tests: cases in runs, which only their labels can be changed of.

use serde_json::{Map, Value, json};

use super::call::Call;
use super::cases::{show_content, show_labels};
use super::fields;
use super::labels;
use super::page::{Bare, list};
use super::reply::{Answer, Problem, Reply};
use super::state::{State, Test};

fn show(state: &State, call: &Call, id: u32, test: &Test) -> Value {
    let mut out = Map::new();
    out.insert("id".to_owned(), id.into());
    out.insert("case_id".to_owned(), test.case.into());
    out.insert("run_id".to_owned(), test.run.into());
    out.insert("status_id".to_owned(), test.status.into());
    let assigned = (test.assigned_to != 0).then_some(test.assigned_to);
    out.insert("assignedto_id".to_owned(), json!(assigned));
    let Some(content) = state.content_of(test) else { return Value::Object(out) };
    show_content(content, &mut out);
    if !call.face.old() {
        let labels = state.test_labels.get(&id).unwrap_or(&content.labels);
        out.insert("labels".to_owned(), show_labels(state, labels));
        let (section, place) = places(state, test.case);
        out.insert("sections_display_order".to_owned(), section.into());
        out.insert("cases_display_order".to_owned(), place.into());
    }
    let project = state.runs.get(&test.run).map_or(0, |r| r.project);
    fields::show(state, project, content.template, &content.custom, &mut out);
    Value::Object(out)
}

/// Where a case's section stands among its siblings, and the case in it.
fn places(state: &State, case: u32) -> (usize, usize) {
    let Some(case_row) = state.cases.get(&case) else { return (1, 1) };
    let Some(section) = state.sections.get(&case_row.section) else { return (1, 1) };
    let siblings = match section.parent.and_then(|p| state.sections.get(&p)) {
        Some(parent) => Some(&parent.sections),
        None => state.suites.get(&section.suite).map(|s| &s.sections),
    };
    let at = |list: &[u32], id: u32| list.iter().position(|c| *c == id).map_or(1, |at| at + 1);
    (siblings.map_or(1, |list| at(list, case_row.section)), at(&section.cases, case))
}

pub(super) fn get_test(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "test_id")?;
    Ok(Reply::Json(show(state, call, id, state.test(id)?)))
}

pub(super) fn get_tests(state: &mut State, call: &Call) -> Answer {
    let run = state.run(call.id(0, "run_id")?)?;
    let statuses = call.ids("status_id")?;
    let labels = call.ids("label_id")?;
    let fits = |id: u32, test: &Test| {
        let own = || {
            let content = state.content_of(test).map(|c| &c.labels);
            state.test_labels.get(&id).or(content).cloned().unwrap_or_default()
        };
        statuses.as_ref().is_none_or(|w| w.contains(&u32::from(test.status)))
            && labels.as_ref().is_none_or(|w| own().iter().any(|l| w.contains(l)))
    };
    let tests = run.tests.iter().filter_map(|id| Some((*id, state.test(*id).ok()?)));
    let found = tests.filter(|(id, test)| fits(*id, test));
    list(call, "tests", Bare::Whole, found, |(id, test)| show(state, call, id, test))
}

/// Sets the labels of tests, all of one project.
fn label(state: &mut State, call: &Call, tests: &[u32]) -> Result<Vec<u32>, Problem> {
    let sent = call.body.get("labels").ok_or_else(|| Problem::required("labels"))?;
    let mut project = 0;
    for test in tests {
        project = state.run(state.test(*test)?.run)?.project;
    }
    let chosen = labels::chosen(state, call, project, sent)?;
    for test in tests {
        state.test_labels.insert(*test, chosen.clone());
    }
    state.touched = true;
    Ok(chosen)
}

pub(super) fn update_test(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "test_id")?;
    label(state, call, &[id])?;
    Ok(Reply::Json(show(state, call, id, state.test(id)?)))
}

pub(super) fn update_tests(state: &mut State, call: &Call) -> Answer {
    let ids = call.body.ids("test_ids")?.ok_or_else(|| Problem::required("test_ids"))?;
    let chosen = label(state, call, &ids)?;
    let title = |id: &u32| Some(json!({"id": id, "title": state.labels.get(id)?.title}));
    let labels: Vec<Value> = chosen.iter().filter_map(title).collect();
    Ok(Reply::Json(json!({"test_ids": ids, "labels": labels})))
}
