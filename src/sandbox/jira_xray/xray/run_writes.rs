//! Writing runs: status, results of steps, iterations, defects and evidence.

use std::sync::Arc;

use serde_json::{Value, json};

use super::args::Args;
use super::model::{self, Attached, Mark, NOBODY, Run};
use super::mutate::{custom_fields, read_file};
use super::resolve::Out;
use crate::sandbox::jira_xray::jira::Call;
use crate::sandbox::jira_xray::store::State;
use crate::sandbox::jira_xray::time::{Moment, parse_instant};

type Answer = Result<Out, String>;

/// Answers the mutations of runs.
pub(crate) fn mutate(state: &mut State, call: &Call, field: &str, args: &Args) -> Answer {
    if field == "updateTestRunExampleStatus" {
        return example(state, call, args);
    }
    let id = args.text("id").or_else(|| args.text("testRunId"));
    let id = id.ok_or("the id of the test run must be provided")?;
    let number = model::run_number(id)
        .filter(|n| state.xray.run(*n).is_some())
        .ok_or_else(|| format!("test run with id {id} not found!"))?;
    if field.contains("Step") {
        return step(state, call, field, args, number);
    }
    let out = match field {
        "updateTestRun" => update(state, call, args, number)?,
        "updateTestRunStatus" => {
            let wanted = args.required("status")?;
            let status = status(state, wanted)?;
            set_status(state, call, number, status);
            Out::text("Test Run status updated successfully".to_owned())
        }
        "updateTestRunComment" => {
            let comment = args.required("comment")?.to_owned();
            with_run(state, call, number, |r| r.comment = some(comment));
            Out::text("Test Run comment updated successfully".to_owned())
        }
        "updateIterationStatus" => iteration(state, call, args, number)?,
        "resetTestRun" => {
            reset(state, call, number);
            Out::text("Test Run reset successfully".to_owned())
        }
        "setTestRunTimer" => {
            let running = args.get("running").and_then(Value::as_bool).unwrap_or_default();
            with_run(state, call, number, |r| r.extra.get_or_insert_default().timer = running);
            Out::text("Test Run timer updated successfully".to_owned())
        }
        "addDefectsToTestRun" => {
            let (found, warnings) = issues(state, &args.texts("issues"))?;
            let mut added = Vec::new();
            with_run(state, call, number, |r| {
                added = add(&mut r.extra.get_or_insert_default().attached.defects, &found);
            });
            Out::Json(json!({"addedDefects": shown(&added), "warnings": warnings}))
        }
        "removeDefectsFromTestRun" => {
            let (found, _) = issues(state, &args.texts("issues")).unwrap_or_default();
            with_run(state, call, number, |r| {
                let list = &mut r.extra.get_or_insert_default().attached.defects;
                list.retain(|d| !found.contains(d));
            });
            Out::text("Defects removed successfully".to_owned())
        }
        "addEvidenceToTestRun" => {
            let (added, warnings) = files(state, call, args.list("evidence"));
            with_run(state, call, number, |r| {
                r.extra.get_or_insert_default().attached.evidence.extend(&added);
            });
            Out::Json(json!({"addedEvidence": uuids(&added), "warnings": warnings}))
        }
        "removeEvidenceFromTestRun" => remove_evidence(state, call, args, number),
        _ => return Err(format!("{field} is not supported")),
    };
    Ok(out)
}

fn remove_evidence(state: &mut State, call: &Call, args: &Args, number: u32) -> Out {
    let held = state.xray.run(number).and_then(|r| r.extra.as_ref());
    let held = held.map(|e| e.attached.evidence.clone()).unwrap_or_default();
    let gone = matching(state, &held, &args.texts("evidenceIds"), &args.texts("evidenceFilenames"));
    with_run(state, call, number, |r| {
        let list = &mut r.extra.get_or_insert_default().attached.evidence;
        list.retain(|e| !gone.contains(e));
    });
    Out::Json(json!({"removedEvidence": uuids(&gone), "warnings": []}))
}

fn some(text: String) -> Option<Box<str>> {
    (!text.is_empty()).then(|| text.into())
}

fn shown(ids: &[u64]) -> Vec<String> {
    ids.iter().map(u64::to_string).collect()
}

fn uuids(ids: &[u64]) -> Vec<String> {
    ids.iter().map(|f| model::uuid("file", *f)).collect()
}

fn add(list: &mut Vec<u64>, found: &[u64]) -> Vec<u64> {
    let new: Vec<u64> = found.iter().copied().filter(|d| !list.contains(d)).collect();
    list.extend(&new);
    new
}

/// Finds a run status by id or name.
pub(crate) fn status(state: &State, text: &str) -> Result<u8, String> {
    state.site.run_status(text).ok_or_else(|| format!("Status {text} is not valid"))
}

fn step_status(state: &State, text: &str) -> Result<u8, String> {
    state.site.step_status(text).ok_or_else(|| format!("Step status {text} is not valid"))
}

/// Changes a run and notes when.
pub(crate) fn with_run(state: &mut State, call: &Call, number: u32, change: impl FnOnce(&mut Run)) {
    state.touch();
    if let Some(run) = state.xray.run_mut(number) {
        change(run);
        run.modified = call.now;
    }
}

/// Sets the status with what follows from it: when it started, when and by whom it
/// was finished.
pub(crate) fn set_status(state: &mut State, call: &Call, number: u32, status: u8) {
    let is_final = state.site.run_statuses[usize::from(status)].is_final;
    let now = Moment { at: call.now, given: false };
    with_run(state, call, number, |run| {
        run.status = status;
        if status == 0 {
            run.started = run.started.filter(|m| m.given);
            run.finished = None;
            return;
        }
        run.started = run.started.or(Some(now));
        if run.executed_by == NOBODY {
            run.executed_by = call.user;
        }
        run.finished = if is_final { Some(now) } else { None };
    });
}

/// Finds the issues that a call names as defects, by id or key.
pub(crate) fn issues(state: &State, texts: &[String]) -> Result<(Vec<u64>, Vec<String>), String> {
    let (mut found, mut warnings) = (Vec::new(), Vec::new());
    for text in texts {
        match state.find_issue(text) {
            Some(issue) => found.push(issue.id),
            None => warnings.push(format!("Issue {text} could not be added as a defect")),
        }
    }
    if found.is_empty() && !texts.is_empty() {
        return Err("No valid issues to add as defects".to_owned());
    }
    Ok((found, warnings))
}

/// Keeps files of evidence; says which could not be kept.
pub(crate) fn files(state: &mut State, call: &Call, list: &[Value]) -> (Vec<u64>, Vec<String>) {
    let (mut added, mut warnings) = (Vec::new(), Vec::new());
    for file in list {
        match read_file(state, call, file) {
            Ok(id) => added.push(id),
            Err(error) => warnings.push(error),
        }
    }
    (added, warnings)
}

fn matching(state: &State, held: &[u64], ids: &[String], names: &[String]) -> Vec<u64> {
    let fits = |f: &&u64| {
        let name = state.xray.files.get(f).map(|f| f.name.clone()).unwrap_or_default();
        ids.contains(&model::uuid("file", **f)) || names.contains(&name)
    };
    held.iter().filter(fits).copied().collect()
}

fn person(state: &State, args: &Args, key: &str) -> Result<Option<u16>, String> {
    match args.text(key) {
        None => Ok(None),
        Some(id) => {
            let found = state.site.user_index(id);
            found.map(Some).ok_or_else(|| format!("{key}: user {id} not found"))
        }
    }
}

fn update(state: &mut State, call: &Call, args: &Args, number: u32) -> Answer {
    let date = |key: &str| match args.text(key) {
        None => Ok(None),
        Some(text) => parse_instant(text)
            .map(|at| Some(Moment { at, given: true }))
            .ok_or_else(|| format!("{key} is not a valid date")),
    };
    let (started, finished) = (date("startedOn")?, date("finishedOn")?);
    let assignee = person(state, args, "assigneeId")?;
    let executed_by = person(state, args, "executedById")?;
    let custom = custom_fields(&Value::Object(args.0.clone()));
    let comment = args.text("comment").map(str::to_owned);
    with_run(state, call, number, |run| {
        if let Some(comment) = comment {
            run.comment = some(comment);
        }
        run.started = started.or(run.started);
        run.finished = finished.or(run.finished);
        run.assignee = assignee.unwrap_or(run.assignee);
        run.executed_by = executed_by.unwrap_or(run.executed_by);
        for (id, value) in custom {
            let held = &mut run.extra.get_or_insert_default().custom;
            held.retain(|(i, _)| *i != id);
            held.push((id, value));
        }
    });
    Ok(Out::Json(json!({"warnings": []})))
}

fn reset(state: &mut State, call: &Call, number: u32) {
    let fresh = state.xray.run(number).and_then(|r| {
        let version = state.xray.tests.get(&r.test)?.version(Some(r.version))?;
        Some(Arc::clone(&version.definition))
    });
    with_run(state, call, number, |run| {
        if let Some(definition) = fresh {
            run.definition = definition;
        }
        run.status = 0;
        run.started = None;
        run.finished = None;
        run.executed_by = NOBODY;
        run.comment = None;
        run.marks = None;
        run.extra = None;
    });
}

fn example(state: &mut State, call: &Call, args: &Args) -> Answer {
    let id = args.required("exampleId")?;
    let status = step_status(state, args.required("status")?)?;
    let number = model::number_of("example", id).ok_or_else(|| format!("example with id {id} not found!"))?;
    let (run, at) = (u32::try_from(number >> 16).unwrap_or(u32::MAX), (number & 0xffff) as usize);
    let held = state.xray.run(run).and_then(|r| r.extra.as_ref()).map_or(0, |e| e.examples.len());
    if at >= held {
        return Err(format!("example with id {id} not found!"));
    }
    with_run(state, call, run, |r| r.extra.get_or_insert_default().examples[at] = status);
    Ok(Out::Json(json!({"warnings": []})))
}

fn rank(state: &State, number: u32, text: &str) -> Result<usize, String> {
    let count = state.xray.run(number).and_then(|r| r.extra.as_ref()).map_or(0, |e| e.iterations.len());
    let at = text.parse().ok().filter(|at: &usize| *at < count);
    at.ok_or_else(|| format!("iteration with rank {text} not found!"))
}

fn iteration(state: &mut State, call: &Call, args: &Args, number: u32) -> Answer {
    let at = rank(state, number, args.required("iterationRank")?)?;
    let status = step_status(state, args.required("status")?)?;
    with_run(state, call, number, |r| {
        r.extra.get_or_insert_default().iterations[at].status = status;
    });
    Ok(Out::Json(json!({"warnings": []})))
}

/// What a write to one step of a run changes.
#[derive(Debug, Default)]
struct StepChange {
    status: Option<u8>,
    comment: Option<String>,
    actual: Option<String>,
    add_defects: Vec<u64>,
    remove_defects: Vec<u64>,
    add_files: Vec<u64>,
    remove_files: Vec<u64>,
    warnings: Vec<String>,
}

fn step(state: &mut State, call: &Call, field: &str, args: &Args, number: u32) -> Answer {
    let wanted = args.required("stepId")?;
    let run = state.xray.run(number).ok_or("the test run is gone")?;
    let count = run.definition.steps.len();
    let at = (0..count)
        .find(|at| model::run_step_id(number, *at) == wanted)
        .ok_or_else(|| format!("step with id {wanted} not found!"))?;
    let pass = match args.text("iterationRank") {
        Some(text) => Some(rank(state, number, text)?),
        None => None,
    };
    let held = mark(state, number, at, pass);
    let change = step_change(state, call, field, args, held.extra.as_deref())?;
    let mut defects = Vec::new();
    with_run(state, call, number, |run| {
        let mark = mark_mut(run, at, pass);
        mark.status = change.status.unwrap_or(mark.status);
        if let Some(comment) = change.comment.clone() {
            mark.comment = some(comment);
        }
        if let Some(actual) = change.actual.clone() {
            mark.actual = some(actual);
        }
        let lists = [&change.add_defects, &change.remove_defects, &change.add_files, &change.remove_files];
        if lists.iter().any(|l| !l.is_empty()) {
            let extra = mark.extra.get_or_insert_default();
            defects = add(&mut extra.defects, &change.add_defects);
            extra.defects.retain(|d| !change.remove_defects.contains(d));
            extra.evidence.extend(&change.add_files);
            extra.evidence.retain(|e| !change.remove_files.contains(e));
        }
    });
    if change.status.is_some() && pass.is_none() {
        follow_steps(state, call, number);
    }
    let removed = shown(&change.remove_defects);
    Ok(match field {
        "updateTestRunStep" => Out::Json(json!({
            "addedDefects": shown(&defects), "removedDefects": removed,
            "addedEvidence": uuids(&change.add_files), "removedEvidence": uuids(&change.remove_files),
            "warnings": change.warnings
        })),
        "updateTestRunStepStatus" => Out::Json(json!({"warnings": change.warnings})),
        "updateTestRunStepComment" => Out::text("Test Run Step comment updated successfully".to_owned()),
        "addDefectsToTestRunStep" => {
            Out::Json(json!({"addedDefects": shown(&defects), "warnings": change.warnings}))
        }
        "removeDefectsFromTestRunStep" => {
            Out::Json(json!({"removedDefects": removed, "warnings": change.warnings}))
        }
        "addEvidenceToTestRunStep" => {
            Out::Json(json!({"addedEvidence": uuids(&change.add_files), "warnings": change.warnings}))
        }
        _ => Out::Json(json!({"removedEvidence": uuids(&change.remove_files), "warnings": change.warnings})),
    })
}

fn mark(state: &State, number: u32, at: usize, pass: Option<usize>) -> Mark {
    let Some(run) = state.xray.run(number) else { return Mark::default() };
    let held = match pass {
        None => run.marks.as_ref().and_then(|m| m.get(at)),
        Some(pass) => run.extra.as_ref().and_then(|e| e.iterations.get(pass)).and_then(|i| i.marks.get(at)),
    };
    held.cloned().unwrap_or_default()
}

/// The result of a step, made room for where there was none.
pub(crate) fn mark_mut(run: &mut Run, at: usize, pass: Option<usize>) -> &mut Mark {
    let count = run.definition.steps.len().max(at + 1);
    match pass {
        None => {
            let marks = run.marks.get_or_insert_with(Box::default);
            if marks.len() < count {
                let mut longer = std::mem::take(marks).into_vec();
                longer.resize(count, Mark::default());
                *marks = longer.into();
            }
            &mut marks[at]
        }
        Some(pass) => {
            let iterations = &mut run.extra.get_or_insert_default().iterations;
            if iterations.len() <= pass {
                iterations.resize(pass + 1, model::Iteration::default());
            }
            let marks = &mut iterations[pass].marks;
            if marks.len() < count {
                marks.resize(count, Mark::default());
            }
            &mut marks[at]
        }
    }
}

fn step_change(
    state: &mut State,
    call: &Call,
    field: &str,
    args: &Args,
    held: Option<&Attached>,
) -> Result<StepChange, String> {
    let mut out = StepChange::default();
    let data = match field {
        "updateTestRunStep" => args.get("updateData").cloned().unwrap_or(Value::Null),
        _ => Value::Null,
    };
    let text = |key: &str| data.get(key).and_then(Value::as_str).or_else(|| args.text(key));
    if let Some(wanted) = text("status") {
        out.status = Some(step_status(state, wanted)?);
    }
    out.comment = text("comment").map(str::to_owned);
    out.actual = text("actualResult").map(str::to_owned);
    let list = |path: &str| crate::sandbox::jira_xray::jira::strings(data.pointer(path));
    let (mut add, mut remove) = (list("/defects/add"), list("/defects/remove"));
    match field {
        "addDefectsToTestRunStep" => add = args.texts("issues"),
        "removeDefectsFromTestRunStep" => remove = args.texts("issues"),
        _ => {}
    }
    if !add.is_empty() {
        let (found, warnings) = issues(state, &add)?;
        out.add_defects = found;
        out.warnings.extend(warnings);
    }
    let held_defects = held.map(|h| h.defects.clone()).unwrap_or_default();
    out.remove_defects = issues(state, &remove).unwrap_or_default().0;
    out.remove_defects.retain(|d| held_defects.contains(d));
    let mut files_in: Vec<Value> =
        data.pointer("/evidence/add").and_then(Value::as_array).cloned().unwrap_or_default();
    files_in.extend(args.list("evidence").iter().cloned());
    let (added, warnings) = files(state, call, &files_in);
    out.add_files = added;
    out.warnings.extend(warnings);
    let mut ids = list("/evidence/removeIds");
    ids.extend(args.texts("evidenceIds"));
    let mut names = list("/evidence/removeFilenames");
    names.extend(args.texts("evidenceFilenames"));
    let held_files = held.map(|h| h.evidence.clone()).unwrap_or_default();
    out.remove_files = matching(state, &held_files, &ids, &names);
    Ok(out)
}

/// The run follows its steps: failed if one failed, passed if all passed, else executing.
fn follow_steps(state: &mut State, call: &Call, number: u32) {
    let Some(run) = state.xray.run(number) else { return };
    let marks = run.marks.as_deref().unwrap_or_default();
    let of = |m: &Mark| state.site.step_statuses[usize::from(m.status)].run_status;
    let name = |s: u8| state.site.run_statuses[usize::from(s)].id.as_str();
    let all: Vec<&str> = marks.iter().map(|m| name(of(m))).collect();
    let wanted = if all.contains(&"FAILED") {
        "FAILED"
    } else if all.iter().all(|s| *s == "PASSED") {
        "PASSED"
    } else if all.iter().all(|s| *s == "TODO") {
        "TODO"
    } else {
        "EXECUTING"
    };
    let Some(status) = state.site.run_status(wanted) else { return };
    if run.status != status {
        set_status(state, call, number, status);
    }
}
