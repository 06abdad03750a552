//! Test runs: planned, automated and unplanned; lists, the window query, statistics.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::fields::F;
use super::http::{Answer, Call, Failure, Reply, ref_id, text};
use super::plans::person_of;
use super::results::{COMPLETED, FIRST_RESULT, OUTCOMES, RESULT_STATES, TestResult, enumeration};
use super::state::State;
use super::value::{Millis, Value, base64_bytes, iso, parse_date};

/// The states of runs by number.
pub(super) const RUN_STATES: [&str; 7] =
    ["Unspecified", "NotStarted", "InProgress", "Completed", "Aborted", "Waiting", "NeedsInvestigation"];
/// How long the window of a query may be: seven days.
const WINDOW: Millis = 7 * 86_400_000;
/// How many runs a list gives without `$top`, and the most that a window query gives.
const PAGE: usize = 100;
/// How many ids a list in a window query may have.
const MAX_LIST: usize = 10;
/// How long a run's name may be.
const MAX_NAME: usize = 256;
/// How many tags a run may have.
const MAX_TAGS: usize = 5;
/// Members that are kept as they were sent.
const KEPT: [&str; 14] = [
    "build",
    "releaseUri",
    "releaseEnvironmentUri",
    "release",
    "releaseReference",
    "pipelineReference",
    "tags",
    "customTestFields",
    "controller",
    "testSettings",
    "dtlEnvironment",
    "type",
    "buildFlavor",
    "buildPlatform",
];

/// A file of a run or of one of its results.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RunFile {
    pub(super) id: u32,
    pub(super) result: Option<u32>,
    pub(super) iteration: u32,
    pub(super) path: String,
    pub(super) name: String,
    pub(super) comment: String,
    pub(super) kind: String,
    pub(super) created: Millis,
    #[serde(with = "base64_bytes")]
    pub(super) content: Bytes,
}

/// A run with its results in order of their ids.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) project: u16,
    pub(super) name: String,
    pub(super) automated: bool,
    pub(super) state: u8,
    pub(super) plan: Option<u32>,
    pub(super) owner: u32,
    pub(super) iteration: String,
    pub(super) started: Option<Millis>,
    pub(super) completed: Option<Millis>,
    pub(super) due: Option<Millis>,
    pub(super) created: Millis,
    pub(super) updated: Millis,
    pub(super) by: u32,
    pub(super) revision: u32,
    pub(super) comment: String,
    pub(super) error: String,
    pub(super) extra: Map<String, Json>,
    pub(super) results: Vec<TestResult>,
    /// The highest result id handed out, because unfinished results may be dropped.
    pub(super) last_result: u32,
    pub(super) files: Vec<RunFile>,
}

impl Run {
    /// The result of that id.
    pub(super) fn result(&self, id: u32) -> Option<&TestResult> {
        self.results.binary_search_by_key(&id, |r| r.id).ok().map(|at| &self.results[at])
    }

    /// The result of that id, to change.
    pub(super) fn result_mut(&mut self, id: u32) -> Option<&mut TestResult> {
        self.results.binary_search_by_key(&id, |r| r.id).ok().map(|at| &mut self.results[at])
    }

    /// The id that the next result gets.
    pub(super) fn next_result(&self) -> u32 {
        self.results.last().map_or(FIRST_RESULT, |r| r.id + 1).max(self.last_result + 1)
    }
}

/// The API url of a run.
pub(super) fn url_of(state: &State, call: &Call, id: u32) -> String {
    let project = state.runs.get(&id).map_or("", |r| state.project(r.project).name.as_str());
    format!("{}/{}/_apis/test/Runs/{id}", call.base, super::json::encode(project))
}

/// The refusal for a run that is not there.
pub(super) fn no_run(id: u32) -> Failure {
    Failure::no_test_object(format!("Test run {id} not found."))
}

/// The run of a call's path.
pub(super) fn run_id(state: &State, call: &Call) -> Result<u32, Failure> {
    let project = state.scope(call)?;
    let id = call.id("runId")?;
    let held = state.runs.get(&id).is_some_and(|r| r.project == project);
    if held { Ok(id) } else { Err(no_run(id)) }
}

fn show_short(state: &State, call: &Call, id: u32) -> Json {
    let run = &state.runs[&id];
    let project = super::json::encode(&state.project(run.project).name);
    let mut body = json!({"id": id, "name": run.name, "url": url_of(state, call, id), "isAutomated": run.automated,
        "iteration": run.iteration, "owner": state.person(&call.base, run.owner)});
    for (name, date) in [("startedDate", run.started), ("completedDate", run.completed)] {
        if let Some(date) = date {
            body[name] = json!(iso(date));
        }
    }
    body["state"] = json!(RUN_STATES[run.state as usize]);
    if let Some(plan) = run.plan {
        body["plan"] = json!({"id": plan.to_string()});
    }
    body["revision"] = json!(run.revision);
    body["webAccessUrl"] =
        json!(format!("{}/{project}/_testManagement/runs?runId={id}&_a=runCharts", call.base));
    body
}

/// A run with its counters.
pub(super) fn show(state: &State, call: &Call, id: u32) -> Json {
    let run = &state.runs[&id];
    let mut body = show_short(state, call, id);
    body["project"] = state.shallow_project(&call.base, run.project);
    if let Some(plan) = run.plan {
        let project = super::json::encode(&state.project(run.project).name);
        body["plan"] = json!({"id": plan.to_string(), "name": state.title(plan),
            "url": format!("{}/{project}/_apis/test/Plans/{plan}", call.base)});
    }
    body["postProcessState"] = json!("Complete");
    if let Some(due) = run.due {
        body["dueDate"] = json!(iso(due));
    }
    let count = |wanted: &dyn Fn(&TestResult) -> bool| run.results.iter().filter(|r| wanted(r)).count();
    let outcome = |r: &TestResult| OUTCOMES[r.outcome as usize];
    let failed = |r: &TestResult| {
        r.state == COMPLETED
            && outcome(r) == "Failed"
            && r.resolution().is_empty()
            && r.failure_type() == "None"
    };
    body["totalTests"] = json!(run.results.len());
    body["incompleteTests"] = json!(count(&|r| r.state != COMPLETED));
    body["notApplicableTests"] = json!(count(&|r| r.state == COMPLETED && outcome(r) == "NotApplicable"));
    body["passedTests"] = json!(count(&|r| r.state == COMPLETED && outcome(r) == "Passed"));
    body["unanalyzedTests"] = json!(count(&failed));
    body["createdDate"] = json!(iso(run.created));
    body["lastUpdatedDate"] = json!(iso(run.updated));
    body["lastUpdatedBy"] = state.person(&call.base, run.by);
    for (name, value) in [("comment", &run.comment), ("errorMessage", &run.error)] {
        if !value.is_empty() {
            body[name] = json!(value);
        }
    }
    for (name, value) in &run.extra {
        match name.as_str() {
            "customTestFields" => body["customFields"] = value.clone(),
            "type" | "buildFlavor" | "buildPlatform" => {}
            _ => body[name] = value.clone(),
        }
    }
    body["runStatistics"] = Json::Array(statistics_of(run));
    body
}

fn statistics_of(run: &Run) -> Vec<Json> {
    let mut counts: BTreeMap<(u8, u8), usize> = BTreeMap::new();
    for result in &run.results {
        *counts.entry((result.state, result.outcome)).or_default() += 1;
    }
    let one = |((state, outcome), count): ((u8, u8), usize)| json!({"state": RESULT_STATES[state as usize], "outcome": OUTCOMES[outcome as usize], "count": count});
    counts.into_iter().map(one).collect()
}

fn date(body: &Json, names: &[&str]) -> Result<Option<Millis>, Failure> {
    for name in names {
        match body.get(*name) {
            None | Some(Json::Null) => {}
            Some(value) if value.as_str() == Some("") => {}
            Some(value) => {
                let at = value.as_str().and_then(parse_date);
                return at.map(Some).ok_or_else(|| {
                    Failure::property(format!(
                        "The value {value} is not valid for {name}: a date is expected."
                    ))
                });
            }
        }
    }
    Ok(None)
}

fn name_of(body: &Json) -> Result<Option<String>, Failure> {
    let Some(name) = text(body, "name") else { return Ok(None) };
    if name.trim().is_empty() {
        return Err(Failure::null("name"));
    }
    if name.chars().count() > MAX_NAME {
        return Err(Failure::property(format!(
            "The name of a test run must not be longer than {MAX_NAME} characters."
        )));
    }
    Ok(Some(name.to_owned()))
}

fn keep(run: &mut Run, body: &Json) -> Result<(), Failure> {
    for name in KEPT {
        let Some(value) = body.get(name).filter(|v| !v.is_null()) else { continue };
        if name == "tags" && value.as_array().is_some_and(|t| t.len() > MAX_TAGS) {
            return Err(Failure::property(format!("A test run may have {MAX_TAGS} tags.")));
        }
        run.extra.insert(name.to_owned(), value.clone());
    }
    Ok(())
}

/// A run without results.
pub(super) fn blank(project: u16, name: String, by: u32, at: Millis, iteration: String) -> Run {
    Run {
        project,
        name,
        automated: false,
        state: 2,
        plan: None,
        owner: by,
        iteration,
        started: Some(at),
        completed: None,
        due: None,
        created: at,
        updated: at,
        by,
        revision: 1,
        comment: String::new(),
        error: String::new(),
        extra: Map::new(),
        results: Vec::new(),
        last_result: FIRST_RESULT - 1,
        files: Vec::new(),
    }
}

fn add(state: &mut State, run: Run) -> u32 {
    let id = state.next_run.max(1);
    state.next_run = id + 1;
    state.index.runs_by_time.insert((run.updated, id));
    state.runs.insert(id, run);
    state.touch();
    id
}

/// The iteration path of a plan, or of the project.
pub(super) fn iteration_of(state: &State, project: u16, plan: Option<u32>) -> String {
    let node = plan.and_then(|p| state.items.get(&p)).and_then(|i| match i.get(F::IterationPath) {
        Some(Value::Node(node)) => Some(*node),
        _ => None,
    });
    state.node_path(node.unwrap_or_else(|| state.root(project, true)))
}

/// `POST runs`.
pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let body = call.object()?;
    let name = name_of(&body)?.ok_or_else(|| Failure::null("name"))?;
    let plan = match body.get("plan").filter(|p| !p.is_null()) {
        Some(plan) => ref_id(plan).filter(|id| *id > 0),
        None => None,
    };
    if let Some(plan) = plan.filter(|p| !state.plans.contains_key(p) || state.project_of(*p) != project) {
        return Err(super::plans::no_plan(plan));
    }
    let points: Vec<u32> = match body.get("pointIds").and_then(Json::as_array) {
        Some(list) => list.iter().map(|p| ref_id(p).unwrap_or(0)).collect(),
        None => Vec::new(),
    };
    if !points.is_empty() && plan.is_none() {
        return Err(Failure::null("plan"));
    }
    let of_plan =
        |p: &u32| state.points.get(p).is_some_and(|p| Some(super::points::plan_of(state, p)) == plan);
    if let Some(point) = points.iter().find(|p| !of_plan(p)) {
        return Err(Failure::no_test_object(format!("Test point {point} not found.")));
    }
    let iteration = match text(&body, "iteration").filter(|i| !i.is_empty()) {
        Some(path) => path.to_owned(),
        None => iteration_of(state, project, plan),
    };
    let mut run = blank(project, name, call.user, call.now, iteration);
    run.plan = plan;
    run.automated = body.get("automated").and_then(Json::as_bool).unwrap_or(false);
    run.state = match body.get("state").filter(|s| !s.is_null() && s.as_str() != Some("")) {
        Some(value) => enumeration(&RUN_STATES, value, "state")?,
        None if run.automated => 1,
        None => 2,
    };
    if !matches!(run.state, 0 | 1 | 2 | 5) {
        return Err(Failure::property(format!(
            "A test run cannot be created in the state {}: NotStarted, InProgress or Waiting is expected.",
            RUN_STATES[run.state as usize]
        )));
    }
    run.started = date(&body, &["startDate", "startedDate"])?.or((run.state == 2).then_some(call.now));
    run.completed = date(&body, &["completeDate", "completedDate"])?;
    run.due = date(&body, &["dueDate"])?;
    run.comment = text(&body, "comment").unwrap_or_default().to_owned();
    run.error = text(&body, "errorMessage").unwrap_or_default().to_owned();
    run.owner = body.get("owner").and_then(|o| person_of(state, o)).unwrap_or(call.user);
    keep(&mut run, &body)?;
    for (number, point) in points.iter().enumerate() {
        let id = FIRST_RESULT + u32::try_from(number).unwrap_or(0);
        run.results.push(state.result_of_point(id, *point, call.now, call.user));
    }
    if !points.is_empty() {
        // Filling the run with its results is an update of its own in the real service.
        run.revision = 2;
    }
    let id = add(state, run);
    Ok(Reply::ok(show(state, call, id)))
}

/// The run that setting outcomes on points makes.
pub(super) fn manual_run(state: &mut State, call: &Call, plan: u32, outcomes: &[(u32, u8)]) {
    let project = state.project_of(plan);
    let name = format!("{} (Manual)", state.title(plan));
    let iteration = iteration_of(state, project, Some(plan));
    let mut run = blank(project, name, call.user, call.now, iteration);
    (run.plan, run.state, run.completed, run.revision) = (Some(plan), 3, Some(call.now), 3);
    for (number, (point, outcome)) in outcomes.iter().enumerate() {
        let id = FIRST_RESULT + u32::try_from(number).unwrap_or(0);
        let mut result = state.result_of_point(id, *point, call.now, call.user);
        (result.outcome, result.state) = (*outcome, COMPLETED);
        (result.started, result.completed, result.run_by) = (Some(call.now), Some(call.now), Some(call.user));
        run.results.push(result);
    }
    let results = run.results.clone();
    let id = add(state, run);
    for result in &results {
        state.show_on_point(id, result, call.now, call.user);
    }
}

/// `GET runs/{runId}`.
pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    let id = run_id(state, call)?;
    Ok(Reply::ok(show(state, call, id)))
}

/// `GET runs`: a list, or the query of a window of time.
pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let (from, to) = (call.date("minlastupdateddate")?, call.date("maxlastupdateddate")?);
    match (from, to) {
        (Some(from), Some(to)) => return window(state, call, project, from, to),
        (None, None) => {}
        _ => return Err(Failure::property("minLastUpdatedDate and maxLastUpdatedDate are both required.")),
    }
    let plan = match call.q("planid").map(str::parse::<i64>) {
        Some(Ok(plan)) => u32::try_from(plan).ok().filter(|p| *p > 0),
        Some(Err(_)) => return Err(Failure::binding("The value is not valid for planId.".to_owned())),
        None => None,
    };
    let owner = call.q("owner").map(|o| state.find_person(o));
    let automated = call.q("automated").map(|_| call.flag("automated"));
    let build = call.q("builduri");
    let wanted = |run: &Run| {
        run.project == project
            && plan.is_none_or(|p| run.plan == Some(p))
            && owner.is_none_or(|o| o == Some(run.owner))
            && automated.is_none_or(|a| a == run.automated)
            && build.is_none_or(|b| {
                run.extra.get("build").and_then(|v| v.get("uri")).and_then(Json::as_str) == Some(b)
            })
    };
    let (skip, top) = (call.number("$skip")?.unwrap_or(0), call.number("$top")?.unwrap_or(PAGE));
    let details = call.flag("includerundetails");
    let ids = state.runs.iter().filter(|(_, r)| wanted(r)).map(|(&id, _)| id).skip(skip).take(top);
    Ok(Reply::list(
        ids.map(|id| if details { show(state, call, id) } else { show_short(state, call, id) }).collect(),
    ))
}

fn window(state: &State, call: &Call, project: u16, from: Millis, to: Millis) -> Answer {
    if to < from || to - from > WINDOW {
        return Err(Failure::property(
            "The range of minLastUpdatedDate and maxLastUpdatedDate must not be longer than 7 days.",
        ));
    }
    let top = call.number("$top")?.unwrap_or(PAGE);
    if top > PAGE {
        return Err(Failure::property(format!("$top must not be greater than {PAGE}.")));
    }
    let plans = call.ids("planids")?;
    for name in ["planids", "buildids", "builddefids", "branchname", "releaseids", "releasedefids"] {
        if call.q(name).is_some_and(|l| l.split(',').count() > MAX_LIST) {
            return Err(Failure::property(format!("{name} must not have more than {MAX_LIST} values.")));
        }
    }
    let wanted_state = call.q("state").map(|s| enumeration(&RUN_STATES, &json!(s), "state")).transpose()?;
    let automated = call.q("isautomated").map(|_| call.flag("isautomated"));
    let start = match call.q("continuationtoken") {
        None => (from, 0),
        Some(token) => {
            let parts = token
                .split_once(';')
                .and_then(|(at, id)| Some((at.parse().ok()?, id.parse::<u32>().ok()? + 1)));
            parts
                .ok_or_else(|| Failure::property(format!("The continuation token '{token}' is not valid.")))?
        }
    };
    let wanted = |run: &Run| {
        run.project == project
            && plans.as_ref().is_none_or(|p| run.plan.is_some_and(|r| p.contains(&r)))
            && wanted_state.is_none_or(|s| s == 0 || s == run.state)
            && automated.is_none_or(|a| a == run.automated)
            && call.q("runtitle").is_none_or(|t| run.name == t)
            && !call.q("buildids").is_some_and(|b| {
                let id = run.extra.get("build").and_then(ref_id).map(|i| i.to_string());
                !b.split(',').any(|w| Some(w.trim().to_owned()) == id)
            })
    };
    let all =
        state.index.runs_by_time.range(start..=(to, u32::MAX)).filter(|(_, id)| wanted(&state.runs[id]));
    let mut rows: Vec<(Millis, u32)> = all.copied().take(top + 1).collect();
    let more = rows.len() > top;
    rows.truncate(top);
    let next = rows.last().filter(|_| more).map(|(at, id)| format!("{at};{id}"));
    Ok(Reply::list(rows.iter().map(|(_, id)| show(state, call, *id)).collect()).with_token(next))
}

/// `PATCH runs/{runId}`.
pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let id = run_id(state, call)?;
    let body = call.object()?;
    let mut run = state.runs[&id].clone();
    if let Some(name) = name_of(&body)? {
        run.name = name;
    }
    if let Some(value) = body.get("state").filter(|s| !s.is_null() && s.as_str() != Some("")) {
        run.state = enumeration(&RUN_STATES, value, "state")?;
    }
    run.started = date(&body, &["startedDate"])?.or(run.started);
    run.completed = date(&body, &["completedDate"])?.or(run.completed);
    run.due = date(&body, &["dueDate"])?.or(run.due);
    if run.state == 3 || run.state == 4 {
        run.completed = run.completed.or(Some(call.now));
        run.started = run.started.or(Some(call.now));
    } else if run.state == 2 {
        run.started = run.started.or(Some(call.now));
    }
    for (name, target) in
        [("comment", &mut run.comment), ("errorMessage", &mut run.error), ("iteration", &mut run.iteration)]
    {
        if let Some(value) = text(&body, name) {
            value.clone_into(target);
        }
    }
    if let Some(substate) = text(&body, "substate") {
        run.extra.insert("substate".to_owned(), json!(substate));
    }
    keep(&mut run, &body)?;
    run.last_result = run.next_result() - 1;
    if body.get("deleteInProgressResults").and_then(Json::as_bool) == Some(true) {
        run.results.retain(|r| r.state == COMPLETED);
    }
    run.revision += 1;
    run.by = call.user;
    state.runs.insert(id, run);
    state.stamp_run(id, call.now);
    state.touch();
    Ok(Reply::ok(show(state, call, id)))
}

/// `DELETE runs/{runId}`: points that show one of its results become active again.
pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    let id = run_id(state, call)?;
    let Some(run) = state.runs.remove(&id) else { return Err(no_run(id)) };
    state.index.runs_by_time.remove(&(run.updated, id));
    for result in &run.results {
        if let Some(point) = state.points.get_mut(&result.point).filter(|p| p.run == id) {
            (point.outcome, point.run, point.result) = (0, 0, 0);
            (point.updated, point.by) = (call.now, call.user);
            point.revision += 1;
        }
    }
    state.touch();
    Ok(Reply::none())
}

/// `GET runs/{runId}/Statistics`.
pub(super) fn statistics(state: &mut State, call: &Call) -> Answer {
    let id = run_id(state, call)?;
    let run = &state.runs[&id];
    let reference = json!({"id": id.to_string(), "name": run.name, "url": url_of(state, call, id)});
    Ok(Reply::ok(json!({"run": reference, "runStatistics": statistics_of(run)})))
}

/// `GET|PATCH resultretentionsettings`.
pub(super) fn retention(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    if call.method == "PATCH" {
        let body = call.object()?;
        let held = &mut state.projects[project as usize];
        for (name, target) in [
            ("automatedResultsRetentionDuration", &mut held.automated_days),
            ("manualResultsRetentionDuration", &mut held.manual_days),
        ] {
            if let Some(days) = body.get(name).and_then(Json::as_i64) {
                *target = days;
            }
        }
        state.touch();
    }
    let held = state.project(project);
    Ok(Reply::ok(json!({"automatedResultsRetentionDuration": held.automated_days,
        "manualResultsRetentionDuration": held.manual_days,
        "lastUpdatedBy": state.person(&call.base, call.user), "lastUpdatedDate": iso(held.created)})))
}
