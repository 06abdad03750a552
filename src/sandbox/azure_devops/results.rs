//! Test results: pre-created, added, updated, listed; iterations and bugs.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::fields::F;
use super::http::{Answer, Call, Failure, Reply, ref_id, text};
use super::items::{Relation, Target};
use super::plans::{person_of, stamp};
use super::runs::{run_id, url_of};
use super::state::State;
use super::value::{Millis, UNSET, parse_date};

/// The outcomes by number.
pub(super) const OUTCOMES: [&str; 15] = [
    "Unspecified",
    "None",
    "Passed",
    "Failed",
    "Inconclusive",
    "Timeout",
    "Aborted",
    "Blocked",
    "NotExecuted",
    "Warning",
    "Error",
    "NotApplicable",
    "Paused",
    "InProgress",
    "NotImpacted",
];
/// The states of results by number.
pub(super) const RESULT_STATES: [&str; 6] =
    ["Unspecified", "Pending", "Queued", "InProgress", "Paused", "Completed"];
/// The state of a result that is done.
pub(super) const COMPLETED: u8 = 5;
/// The first result of every run.
pub(super) const FIRST_RESULT: u32 = 100_000;

/// The parts of a result that few results have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Extra {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) comment: Option<Box<str>>,
    /// Member and value of text members that are kept as sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) texts: Vec<(Box<str>, Box<str>)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) bugs: Vec<u32>,
    /// Iterations as JSON text, because most results are never asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) iterations: Option<Box<str>>,
    /// Custom fields and sub-results as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) custom: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sub: Option<Box<str>>,
}

/// How far a manual result got through the steps, where nobody wrote more about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Walk {
    pub(super) steps: u8,
    /// The step at which it ended, from 0.
    pub(super) failed: Option<u8>,
}

/// One result, compact: there are millions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TestResult {
    #[serde(rename = "i")]
    pub(super) id: u32,
    #[serde(rename = "p")]
    pub(super) point: u32,
    #[serde(rename = "c")]
    pub(super) case: u32,
    #[serde(rename = "v")]
    pub(super) case_revision: u32,
    #[serde(rename = "k")]
    pub(super) configuration: u32,
    #[serde(rename = "u")]
    pub(super) suite: u32,
    #[serde(rename = "o")]
    pub(super) outcome: u8,
    #[serde(rename = "s")]
    pub(super) state: u8,
    #[serde(rename = "y")]
    pub(super) priority: u8,
    #[serde(rename = "r")]
    pub(super) revision: u32,
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub(super) started: Option<Millis>,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub(super) completed: Option<Millis>,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub(super) millis: Option<i64>,
    #[serde(rename = "a")]
    pub(super) created: Millis,
    #[serde(rename = "t")]
    pub(super) updated: Millis,
    #[serde(rename = "w")]
    pub(super) by: u32,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub(super) run_by: Option<u32>,
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<u32>,
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub(super) walk: Option<Walk>,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub(super) extra: Option<Box<Extra>>,
}

/// The text members of a result that are kept as sent.
const TEXTS: [&str; 10] = [
    "errorMessage",
    "stackTrace",
    "computerName",
    "automatedTestName",
    "automatedTestStorage",
    "automatedTestType",
    "automatedTestId",
    "automatedTestTypeId",
    "failureType",
    "resolutionState",
];

/// The word with a small first letter.
pub(super) fn camel(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// The number of a word among names; numbers are accepted as numbers or text.
pub(super) fn enumeration(names: &[&str], value: &Json, member: &str) -> Result<u8, Failure> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let number = text.trim().parse::<usize>().ok().filter(|n| *n < names.len());
    let found = number.or_else(|| names.iter().position(|n| n.eq_ignore_ascii_case(text.trim())));
    found.and_then(|n| u8::try_from(n).ok()).ok_or_else(|| {
        Failure::property(format!(
            "The value '{text}' is not valid for {member}: one of {} is expected.",
            names.join(", ")
        ))
    })
}

/// The number of an outcome.
pub(super) fn outcome_of(value: &Json) -> Result<u8, Failure> {
    enumeration(&OUTCOMES, value, "outcome")
}

impl TestResult {
    /// A result that is not run yet.
    pub(super) fn pending(id: u32, at: Millis, by: u32) -> Self {
        Self {
            id,
            point: 0,
            case: 0,
            case_revision: 0,
            configuration: 0,
            suite: 0,
            outcome: 0,
            state: 1,
            priority: 0,
            revision: 1,
            started: None,
            completed: None,
            millis: None,
            created: at,
            updated: at,
            by,
            run_by: None,
            owner: None,
            walk: None,
            extra: None,
        }
    }

    /// The duration in milliseconds, as sent or as the difference of the dates.
    pub(super) fn duration(&self) -> i64 {
        self.millis
            .unwrap_or_else(|| self.started.zip(self.completed).map_or(0, |(from, to)| (to - from).max(0)))
    }

    pub(super) fn kept(&self, name: &str) -> Option<&str> {
        let texts = &self.extra.as_ref()?.texts;
        texts.iter().find(|(n, _)| &**n == name).map(|(_, v)| &**v)
    }

    /// The failure type in the test area's words.
    pub(super) fn failure_type(&self) -> &str {
        self.kept("failureType").unwrap_or("None")
    }

    /// The resolution state's name.
    pub(super) fn resolution(&self) -> &str {
        self.kept("resolutionState").unwrap_or("")
    }

    /// The extra part, made if it is not there.
    pub(super) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_with(Box::default)
    }
}

impl State {
    /// A pending result for a point.
    pub(super) fn result_of_point(&self, id: u32, point: u32, at: Millis, by: u32) -> TestResult {
        let mut result = TestResult::pending(id, at, by);
        let Some(held) = self.points.get(&point) else { return result };
        let item = self.items.get(&held.case);
        (result.point, result.case, result.configuration, result.suite) =
            (point, held.case, held.configuration, held.suite);
        result.case_revision = item.map_or(0, super::items::Item::rev);
        result.priority = match item.and_then(|i| i.get(F::Priority)) {
            Some(super::value::Value::Int(n)) => u8::try_from(*n).unwrap_or(0),
            _ => 0,
        };
        result.owner = held.tester;
        result
    }

    /// Lets the point of a completed result show it, unless it shows a later one.
    pub(super) fn show_on_point(&mut self, run: u32, result: &TestResult, at: Millis, by: u32) {
        let sync = |state: &Self, plan: u32| {
            let settings = state.plans.get(&plan).and_then(|p| p.settings.get("testOutcomeSettings"));
            settings.and_then(|s| s.get("syncOutcomeAcrossSuites")).and_then(Json::as_bool).unwrap_or(false)
        };
        let Some(point) = self.points.get_mut(&result.point) else { return };
        if (run, result.id) < (point.run, point.result) || (point.reset != UNSET && point.reset > at) {
            return;
        }
        (point.outcome, point.run, point.result) = (result.outcome, run, result.id);
        (point.updated, point.by) = (at, by);
        point.revision += 1;
        let (case, configuration, suite) = (point.case, point.configuration, point.suite);
        let Some(plan) = self.suites.get(&suite).map(|s| s.plan) else { return };
        if !sync(self, plan) {
            return;
        }
        let suites: Vec<u32> = self.index.suites_of.get(&case).into_iter().flatten().copied().collect();
        for other in suites.into_iter().filter(|s| self.suites[s].plan == plan && *s != suite) {
            for id in self.suites[&other].points.get(&case).cloned().unwrap_or_default() {
                if let Some(twin) = self.points.get_mut(&id).filter(|p| p.configuration == configuration) {
                    (twin.outcome, twin.run, twin.result) = (result.outcome, run, result.id);
                    (twin.updated, twin.by) = (at, by);
                    twin.revision += 1;
                }
            }
        }
    }
}

fn date(body: &Json, name: &str) -> Result<Option<Millis>, Failure> {
    match body.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => match value.as_str().and_then(parse_date) {
            Some(at) => Ok(Some(at)),
            None => Err(Failure::property(format!(
                "The value {value} is not valid for {name}: a date is expected."
            ))),
        },
    }
}

/// Puts the members of a body onto a result.
fn fill(state: &State, call: &Call, result: &mut TestResult, body: &Json) -> Result<(), Failure> {
    if let Some(outcome) = body.get("outcome").filter(|o| !o.is_null()) {
        result.outcome = outcome_of(outcome)?;
    }
    if let Some(value) = body.get("state").filter(|s| !s.is_null()) {
        result.state = enumeration(&RESULT_STATES, value, "state")?;
    }
    result.started = date(body, "startedDate")?.or(result.started);
    result.completed = date(body, "completedDate")?.or(result.completed);
    if result.started.zip(result.completed).is_some_and(|(from, to)| to < from) {
        return Err(Failure::property("completedDate must not precede startedDate."));
    }
    if let Some(millis) =
        body.get("durationInMs").and_then(|d| d.as_f64().or_else(|| d.as_str()?.parse().ok()))
    {
        result.millis = Some(millis.round() as i64);
    }
    if let Some(priority) = body.get("priority").and_then(Json::as_u64) {
        result.priority = u8::try_from(priority).unwrap_or(u8::MAX);
    }
    if let Some(owner) = body.get("owner").and_then(|p| person_of(state, p)) {
        result.owner = Some(owner);
    }
    if let Some(by) = body.get("runBy").and_then(|p| person_of(state, p)) {
        result.run_by = Some(by);
    }
    if let Some(configuration) = body.get("configuration").and_then(ref_id).filter(|_| result.point == 0) {
        result.configuration = configuration;
    }
    if result.state == COMPLETED {
        result.run_by = result.run_by.or(Some(call.user));
        result.completed = result.completed.or(Some(call.now.max(result.started.unwrap_or(call.now))));
        result.started = result.started.or(result.completed);
    }
    if let Some(title) = text(body, "testCaseTitle") {
        result.extra().title = Some(title.into());
    }
    if let Some(comment) = text(body, "comment") {
        result.extra().comment = Some(comment.into());
    }
    for name in TEXTS {
        let Some(value) = text(body, name) else { continue };
        let texts = &mut result.extra().texts;
        texts.retain(|(n, _)| &**n != name);
        texts.push((name.into(), value.into()));
    }
    for (name, keep) in [("customFields", 0), ("subResults", 1), ("iterationDetails", 2)] {
        let Some(list) = body.get(name).filter(|l| l.as_array().is_some_and(|l| !l.is_empty())) else {
            continue;
        };
        let extra = result.extra();
        match keep {
            0 => extra.custom = Some(list.to_string().into()),
            1 => extra.sub = Some(list.to_string().into()),
            _ => extra.iterations = Some(check_iterations(list)?.into()),
        }
    }
    Ok(())
}

/// Iterations as they are kept: outcomes by their names, every action with its iteration.
fn check_iterations(list: &Json) -> Result<String, Failure> {
    let mut list = list.clone();
    for (number, iteration) in list.as_array_mut().into_iter().flatten().enumerate() {
        let id = iteration.get("id").and_then(ref_id).unwrap_or(u32::try_from(number + 1).unwrap_or(1));
        iteration["id"] = json!(id);
        if let Some(outcome) = iteration.get("outcome").filter(|o| !o.is_null()) {
            iteration["outcome"] = json!(OUTCOMES[outcome_of(outcome)? as usize]);
        }
        for group in ["actionResults", "parameters"] {
            let Some(actions) = iteration.get_mut(group).and_then(Json::as_array_mut) else { continue };
            for action in actions {
                action["iterationId"] = json!(id);
                if let Some(outcome) = action.get("outcome").filter(|o| !o.is_null()) {
                    action["outcome"] = json!(OUTCOMES[outcome_of(outcome)? as usize]);
                }
            }
        }
    }
    Ok(list.to_string())
}

fn stub(state: &State, call: &Call, run: u32, result: &TestResult) -> Json {
    json!({"id": result.id, "project": {}, "outcome": OUTCOMES[result.outcome as usize],
        "testRun": {"id": run.to_string(), "name": state.runs[&run].name, "url": url_of(state, call, run)},
        "lastUpdatedBy": {}, "priority": result.priority, "url": ""})
}

/// Whether a version asks for title and revision besides the point: since 5.0-preview.6.
fn strict(call: &Call) -> bool {
    let version = call.version;
    !(version.number < 50 && version.number > 0
        || version.number == 50 && version.preview && (1..=5).contains(&version.revision))
}

fn new_result(state: &State, call: &Call, run: u32, id: u32, body: &Json) -> Result<TestResult, Failure> {
    let held = &state.runs[&run];
    let mut result = match held.plan {
        Some(plan) => {
            let point = body.get("testPoint").and_then(ref_id).unwrap_or(0);
            let known = state
                .points
                .get(&point)
                .is_some_and(|p| state.suites.get(&p.suite).is_some_and(|s| s.plan == plan));
            if !known {
                return Err(Failure::no_test_object(format!("Test point {point} not found.")));
            }
            let revision = body.get("testCaseRevision").and_then(ref_id);
            if strict(call) {
                text(body, "testCaseTitle")
                    .filter(|t| !t.is_empty())
                    .ok_or_else(|| Failure::null("testCaseTitle"))?;
                revision.ok_or_else(|| Failure::null("testCaseRevision"))?;
            }
            let mut result = state.result_of_point(id, point, call.now, call.user);
            result.case_revision = revision.unwrap_or(result.case_revision);
            result
        }
        None => {
            text(body, "testCaseTitle")
                .filter(|t| !t.is_empty())
                .ok_or_else(|| Failure::null("testCaseTitle"))?;
            if held.automated {
                text(body, "automatedTestName")
                    .filter(|t| !t.is_empty())
                    .ok_or_else(|| Failure::null("automatedTestName"))?;
            }
            let mut result = TestResult::pending(id, call.now, call.user);
            result.state = 0;
            result
        }
    };
    fill(state, call, &mut result, body)?;
    Ok(result)
}

fn bugs_of(state: &State, body: &Json) -> Result<Vec<u32>, Failure> {
    let list = body.get("associatedBugs").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let one = |bug: &Json| {
        let id = ref_id(bug).ok_or_else(|| Failure::null("associatedBugs.id"))?;
        state.live(id).map(|_| id).ok_or_else(|| Failure::no_item(id))
    };
    list.iter().map(one).collect()
}

/// Links bugs to a result: on the result, and as an artifact link on the bug.
pub(super) fn link_bugs(
    state: &mut State,
    call_stamp: super::links::Stamp,
    run: u32,
    result: u32,
    bugs: &[u32],
) {
    for &bug in bugs {
        if let Some(held) = state.runs.get_mut(&run).and_then(|r| r.result_mut(result)) {
            let list = &mut held.extra().bugs;
            if list.contains(&bug) {
                continue;
            }
            list.push(bug);
        }
        state.next_resource += 1;
        let relation = Relation {
            rel: "ArtifactLink".into(),
            target: Target::Url(format!("vstfs:///TestManagement/TcmResult/{run}.{result}")),
            comment: None,
            name: Some("Test Result".into()),
            resource: Some((state.next_resource, call_stamp.at)),
        };
        let twin =
            state.items.get(&bug).is_some_and(|i| i.relations.iter().any(|r| r.target == relation.target));
        if !twin {
            let change = super::items::Change {
                force: true,
                by: call_stamp.by,
                at: call_stamp.at,
                ..Default::default()
            };
            state.commit(bug, change);
            state.add_relation(bug, relation, super::links::Stamp { own: false, ..call_stamp });
        }
    }
}

/// `POST Runs/{runId}/results`.
pub(super) fn add(state: &mut State, call: &Call) -> Answer {
    let run = run_id(state, call)?;
    let bodies = call.array()?;
    let first = state.runs[&run].next_result();
    let mut new = Vec::with_capacity(bodies.len());
    for (id, body) in (first..).zip(&bodies) {
        new.push((new_result(state, call, run, id, body)?, bugs_of(state, body)?));
    }
    let stubs = new.iter().map(|(r, _)| stub(state, call, run, r)).collect();
    for (result, bugs) in new {
        store(state, call, run, result, &bugs);
    }
    state.stamp_run(run, call.now);
    Ok(Reply::list(stubs))
}

fn store(state: &mut State, call: &Call, run: u32, result: TestResult, bugs: &[u32]) {
    let id = result.id;
    if result.state == COMPLETED {
        state.show_on_point(run, &result, call.now, call.user);
    }
    if let Some(held) = state.runs.get_mut(&run) {
        match held.results.binary_search_by_key(&id, |r| r.id) {
            Ok(at) => held.results[at] = result,
            Err(at) => held.results.insert(at, result),
        }
        held.by = call.user;
    }
    link_bugs(state, stamp(call), run, id, bugs);
    state.touch();
}

/// `PATCH Runs/{runId}/results`.
pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let run = run_id(state, call)?;
    let bodies = call.array()?;
    let mut changed: Vec<(TestResult, Vec<u32>)> = Vec::with_capacity(bodies.len());
    for body in &bodies {
        let Some(id) = body.get("id").and_then(ref_id) else {
            return Err(Failure::new(
                500,
                "ArgumentNullException",
                "Value cannot be null.\r\nParameter name: result",
            ));
        };
        let earlier = changed.iter().rev().find(|(r, _)| r.id == id).map(|(r, _)| r);
        let held = earlier.or_else(|| state.runs[&run].result(id)).ok_or_else(|| no_result(run, id))?;
        let mut result = held.clone();
        fill(state, call, &mut result, body)?;
        result.revision += 1;
        (result.updated, result.by) = (call.now, call.user);
        changed.push((result, bugs_of(state, body)?));
    }
    let stubs = changed.iter().map(|(r, _)| stub(state, call, run, r)).collect();
    for (result, bugs) in changed {
        store(state, call, run, result, &bugs);
    }
    state.stamp_run(run, call.now);
    Ok(Reply::list(stubs))
}

/// The refusal for a result that is not there.
pub(super) fn no_result(run: u32, id: u32) -> Failure {
    Failure::no_test_object(format!("Test result {id} does not exist in test run {run}."))
}
