//! Results: read newest first, added one by one or all or nothing.

use serde_json::{Map, Value, json};

use super::attachments::shown_id;
use super::call::{Body, Call};
use super::fields;
use super::page::{Bare, Times, list, refers};
use super::projects::TEXT;
use super::reply::{Answer, Problem, Reply};
use super::runs::{known_user, still_open};
use super::state::{More, Outcome, State, UNTESTED};
use super::time;

/// The longest version and list of defects.
const SHORT: usize = 250;

/// A result as an object.
fn show(state: &State, call: &Call, id: u32) -> Value {
    let Some(row) = state.outcome(id) else { return Value::Null };
    let more = row.more.as_deref();
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| {
        out.insert(key.to_owned(), value);
    };
    let some = |n: u32| (n != 0).then_some(n);
    put("id", id.into());
    put("test_id", row.test.into());
    put("status_id", json!(some(u32::from(row.status))));
    put("created_by", row.created_by.into());
    put("created_on", row.created_on.into());
    put("assignedto_id", json!(some(u32::from(row.assigned_to))));
    put("comment", json!(more.and_then(|m| m.comment.as_deref())));
    put("version", json!(more.and_then(|m| m.version.as_deref())));
    put("elapsed", json!(some(row.elapsed).map(time::write)));
    put("defects", json!(more.and_then(|m| m.defects.as_deref())));
    let test = state.test(row.test).ok();
    if !call.face.old() {
        let files = state.files_of.get(&id).into_iter().flatten();
        let files = files.filter(|file| state.attachments.contains_key(file));
        put("attachment_ids", files.map(|file| shown_id(call, *file)).collect());
        let content = test.and_then(|t| state.content_of(t));
        put("case_id", json!(test.map(|t| t.case)));
        put("case_title", json!(content.map(|c| &c.title)));
        put("case_refs", json!(content.and_then(|c| c.refs.as_deref())));
    }
    let project = test.and_then(|t| state.runs.get(&t.run)).map_or(0, |r| r.project);
    for field in fields::of_project(state, project, true) {
        let custom = more.map(|m| m.custom.as_slice()).unwrap_or_default();
        put(&field.key(), fields::value(state, field, custom));
    }
    Value::Object(out)
}

/// The filters of a list of results.
struct Filter<'a> {
    statuses: Option<Vec<u32>>,
    defects: Option<&'a str>,
    created: Times,
    by: Option<Vec<u32>>,
}

impl<'a> Filter<'a> {
    fn read(call: &'a Call) -> Result<Self, Problem> {
        let created = Times::read(call, "created")?;
        let by = call.ids("created_by")?;
        Ok(Self { statuses: call.ids("status_id")?, defects: call.param("defects_filter"), created, by })
    }

    fn fits(&self, row: &Outcome) -> bool {
        let defects = row.more.as_ref().and_then(|m| m.defects.as_deref());
        self.statuses.as_ref().is_none_or(|w| w.contains(&u32::from(row.status)))
            && refers(defects, self.defects)
            && self.created.hold(i64::from(row.created_on))
            && self.by.as_ref().is_none_or(|w| w.contains(&u32::from(row.created_by)))
    }
}

/// The results of a test, newest first.
fn of_test(state: &State, test: u32) -> impl Iterator<Item = u32> {
    let last = state.test(test).map_or(0, |t| t.last);
    std::iter::successors((last != 0).then_some(last), |id| {
        state.outcome(*id).map(|row| row.before).filter(|before| *before != 0)
    })
}

fn get(state: &State, call: &Call, ids: impl Iterator<Item = u32>) -> Answer {
    let filter = Filter::read(call)?;
    let found = ids.filter(|id| state.outcome(*id).is_some_and(|row| filter.fits(row)));
    list(call, "results", Bare::Cut, found, |id| show(state, call, id))
}

pub(super) fn get_results(state: &mut State, call: &Call) -> Answer {
    let test = call.id(0, "test_id")?;
    state.test(test)?;
    get(state, call, of_test(state, test))
}

/// The test of a case in a run.
fn test_of_case(state: &State, run: u32, case: u32) -> Option<u32> {
    let tests = state.tests_of.get(&case)?;
    tests.iter().copied().find(|t| state.test(*t).is_ok_and(|t| t.run == run))
}

pub(super) fn get_results_for_case(state: &mut State, call: &Call) -> Answer {
    let (run, case) = (call.id(0, "run_id")?, call.id(1, "case_id")?);
    state.run(run)?;
    let test =
        test_of_case(state, run, case).ok_or_else(|| Problem::invalid("case_id", "valid test case"))?;
    get(state, call, of_test(state, test))
}

pub(super) fn get_results_for_run(state: &mut State, call: &Call) -> Answer {
    let run = state.run(call.id(0, "run_id")?)?;
    get(state, call, run.results.iter().rev().copied())
}

fn status(state: &State, body: &Body) -> Result<Option<u8>, Problem> {
    let Some(id) = body.id("status_id")?.flatten() else { return Ok(None) };
    let known = state.statuses.iter().find(|s| u32::from(s.id) == id && s.id != UNTESTED);
    known.map(|s| Some(s.id)).ok_or_else(|| Problem::invalid("status_id", "valid status"))
}

/// Takes over what a body says of a result.
fn apply(state: &State, project: u32, body: &Body, row: &mut Outcome) -> Result<(), Problem> {
    if body.has("status_id") {
        row.status = status(state, body)?.unwrap_or(0);
    }
    if let Some(user) = body.id("assignedto_id")? {
        let user = known_user(state, "assignedto_id", user)?;
        row.assigned_to = user.and_then(|u| u16::try_from(u).ok()).unwrap_or(0);
    }
    if let Some(span) = body.text("elapsed", SHORT)? {
        let read = |s: Box<str>| {
            time::read(&s).ok_or_else(|| Problem::bad("Field :elapsed is not in a valid time span format."))
        };
        row.elapsed = span.map(read).transpose()?.unwrap_or(0);
    }
    let mut more = row.more.take().map(|m| *m).unwrap_or_default();
    if let Some(text) = body.text("comment", TEXT)? {
        more.comment = text;
    }
    if let Some(text) = body.text("version", SHORT)? {
        more.version = text;
    }
    if let Some(text) = body.text("defects", SHORT)? {
        more.defects = text;
    }
    fields::apply(state, project, body, true, &mut more.custom)?;
    let More { comment, version, defects, custom } = &more;
    let some = comment.is_some() || version.is_some() || defects.is_some() || !custom.is_empty();
    row.more = some.then(|| Box::new(more));
    Ok(())
}

/// Reads a result for a test.
fn drafted(state: &State, call: &Call, test: u32, body: &Body) -> Result<Outcome, Problem> {
    let run = state.run(state.test(test)?.run)?;
    let mut row = Outcome {
        test,
        before: 0,
        created_on: u32::try_from(call.now).unwrap_or(u32::MAX),
        elapsed: 0,
        created_by: u16::try_from(call.user).unwrap_or(0),
        assigned_to: 0,
        status: 0,
        more: None,
    };
    apply(state, run.project, body, &mut row)?;
    let comment = row.more.as_ref().is_some_and(|m| m.comment.is_some());
    if row.status == 0 && row.assigned_to == 0 && !comment {
        return Err(Problem::required("status_id"));
    }
    Ok(row)
}

/// Appends a result to its test and run.
pub(super) fn push(state: &mut State, mut row: Outcome) -> u32 {
    let id = state.results.len() as u32 + 1;
    let Some(test) = state.test_mut(row.test) else { return 0 };
    row.before = std::mem::replace(&mut test.last, id);
    if row.status != 0 {
        test.status = row.status;
    }
    if row.assigned_to != 0 {
        test.assigned_to = row.assigned_to;
    }
    let run = test.run;
    state.results.push(row);
    if let Some(run) = state.runs.get_mut(&run) {
        run.results.push(id);
    }
    id
}

fn open_run(state: &State, run: u32) -> Result<(), Problem> {
    still_open(state.run(run)?.completed_on, "test run")
}

fn add(state: &mut State, call: &Call, test: u32) -> Answer {
    open_run(state, state.test(test)?.run)?;
    let row = drafted(state, call, test, &call.body)?;
    let id = push(state, row);
    state.touched = true;
    Ok(Reply::Json(show(state, call, id)))
}

pub(super) fn add_result(state: &mut State, call: &Call) -> Answer {
    let test = call.id(0, "test_id")?;
    add(state, call, test)
}

pub(super) fn add_result_for_case(state: &mut State, call: &Call) -> Answer {
    let (run, case) = (call.id(0, "run_id")?, call.id(1, "case_id")?);
    state.run(run)?;
    let test = test_of_case(state, run, case);
    let unknown = || Problem::bad("No (active) test found for the run/case combination.");
    add(state, call, test.ok_or_else(unknown)?)
}

/// Adds results of one run, or none at all.
fn add_all(
    state: &mut State,
    call: &Call,
    key: &str,
    find: impl Fn(&State, u32, u32) -> Option<u32>,
) -> Answer {
    let run = call.id(0, "run_id")?;
    open_run(state, run)?;
    let bodies = call.body.objects("results")?.ok_or_else(|| Problem::required("results"))?;
    if bodies.is_empty() {
        return Err(Problem::bad("Field :results cannot be empty but no valid tests or cases found"));
    }
    let mut rows = Vec::with_capacity(bodies.len());
    for body in &bodies {
        let within = |p: Problem| p.within("results");
        let id = body.id(key).map_err(within)?.flatten();
        let id = id.ok_or_else(|| within(Problem::required(key)))?;
        let test = find(state, run, id).ok_or_else(|| {
            let (noun, mark) = if key == "case_id" { ("case", 'C') } else { ("test", 'T') };
            Problem::bad(format!(
                "Field :results contains one or more invalid results ({noun} {mark}{id} unknown or not part of the test run)"
            ))
        })?;
        rows.push(drafted(state, call, test, body).map_err(within)?);
    }
    let ids: Vec<u32> = rows.into_iter().map(|row| push(state, row)).collect();
    state.touched = true;
    Ok(Reply::Json(ids.into_iter().map(|id| show(state, call, id)).collect()))
}

pub(super) fn add_results(state: &mut State, call: &Call) -> Answer {
    add_all(state, call, "test_id", |state, run, test| {
        state.test(test).is_ok_and(|t| t.run == run).then_some(test)
    })
}

pub(super) fn add_results_for_cases(state: &mut State, call: &Call) -> Answer {
    add_all(state, call, "case_id", test_of_case)
}

pub(super) fn edit_result(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "result_id")?;
    let row = state.outcome(id).ok_or_else(|| Problem::invalid("result_id", "valid test result"))?;
    let test = row.test;
    let run = state.test(test)?.run;
    open_run(state, run)?;
    let mut row = row.clone();
    apply(state, state.run(run)?.project, &call.body, &mut row)?;
    if let Some(place) = state.results.get_mut(id as usize - 1) {
        *place = row;
    }
    let newest = of_test(state, test).find_map(|r| state.outcome(r).map(|r| r.status).filter(|s| *s != 0));
    if let Some(test) = state.test_mut(test) {
        test.status = newest.unwrap_or(UNTESTED);
    }
    state.touched = true;
    Ok(Reply::Json(show(state, call, id)))
}
