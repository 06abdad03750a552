//! Makes runs with a slot per test point, and fills the slots.
//!
//! A planned run is born with one empty result per point; results are never added to
//! it, only filled in, so that filling twice does no harm. The run is completed when
//! its last result is: until then the system shows it as being under way.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use futures::{FutureExt, TryStreamExt};
use reqwest::Method;
use serde_json::{Value, json};

use super::AzureDevOps;
use super::client::WriteError;
use super::load::{bounded, failed, id_of, rejected, unprepared};
use super::load_plans::reference;
use super::rows::outcome_name;
use super::tables::OUTCOMES;
use super::tree::Tree;
use super::wire::{Id, Point, Run, TestResult, instant, rfc3339};
use crate::connectors::Error;
use crate::http::Safety;
use crate::model::{Change, FieldWrite, Key, Op, Outcome, PairId, Slot, WriteValue};

/// What begins the line of a run's comment by which we recognise it.
const TOKEN: &str = "testferry:";
/// Results per write: what the vendor's own agent sends.
const RESULTS_PER_WRITE: usize = 1_000;
/// Runs that are made or filled at the same time.
const CONCURRENT_RUNS: usize = 4;
/// Outcomes that leave a result open.
const OPEN_OUTCOMES: [&str; 2] = ["InProgress", "Unspecified"];

/// Returns the token of the run that stands for a pair, or of a further one.
pub(super) fn token(pair: &PairId, further: Option<u64>) -> String {
    match further {
        Some(n) => format!("{TOKEN}{pair}#{n}"),
        None => format!("{TOKEN}{pair}"),
    }
}

/// Tells whether a comment carries a token.
pub(super) fn has_token(comment: &str, token: &str) -> bool {
    comment.lines().any(|line| line.trim() == token)
}

/// Returns a comment as people wrote it.
pub(super) fn without_token(comment: &str) -> String {
    if !comment.contains(TOKEN) {
        return comment.to_owned();
    }
    let lines: Vec<&str> = comment.lines().filter(|line| !line.trim_start().starts_with(TOKEN)).collect();
    lines.join("\n").trim_end().to_owned()
}

fn with_token(comment: &str, token: &str) -> String {
    if comment.is_empty() { token.to_owned() } else { format!("{comment}\n{token}") }
}

/// Returns the text of a field that is to be written; `None` where it is not written.
pub(super) fn text<'a>(writes: &'a [FieldWrite], field: &str) -> Option<&'a str> {
    let write = writes.iter().find(|w| w.field == field)?;
    Some(match &write.value {
        WriteValue::Text(text) | WriteValue::Rich(text) => text,
        WriteValue::Transitions(hops) => hops.last().map(|hop| hop.to.as_str()).unwrap_or_default(),
        WriteValue::Empty | WriteValue::Steps(_) => "",
    })
}

/// The points of one plan, and the order of its suites.
pub(super) struct Points {
    tree: Tree,
    by_case: HashMap<i64, Vec<Point>>,
}

impl Points {
    /// Chooses the point for a slot: in the configuration asked for and in the case's
    /// home suite, else the only one there is.
    fn choose(&self, slot: &Slot) -> Result<i64, String> {
        let case: i64 = slot.case.as_str().parse().map_err(|_| format!("{} is no test case", slot.case))?;
        let plan = self.tree.plan;
        let all = self.by_case.get(&case).map(Vec::as_slice).unwrap_or_default();
        if all.is_empty() {
            return Err(format!("test case {case} has no test point in plan {plan}"));
        }
        let name =
            |point: &Point| point.configuration.as_ref().and_then(|c| c.name.clone()).unwrap_or_default();
        let fits = |point: &&Point| slot.configuration.as_ref().is_none_or(|wanted| name(point) == *wanted);
        let fitting: Vec<&Point> = all.iter().filter(fits).collect();
        let suite = |point: &Point| point.test_suite.as_ref().map(|s| s.id.0).unwrap_or_default();
        let home = self
            .tree
            .nodes
            .iter()
            .filter(|node| node.kind == "static")
            .find(|node| all.iter().any(|point| suite(point) == node.id))
            .map(|node| node.id);
        let at_home: Vec<i64> = fitting.iter().filter(|p| Some(suite(p)) == home).map(|p| p.id.0).collect();
        match (at_home.as_slice(), fitting.as_slice(), all) {
            ([point], _, _) => Ok(*point),
            ([], [point], _) => Ok(point.id.0),
            (_, [], [point]) => Ok(point.id.0),
            _ => Err(format!(
                "test case {case} has {} test points in plan {plan}, and none is the one for configuration {:?}",
                all.len(),
                slot.configuration.as_deref().unwrap_or("")
            )),
        }
    }
}

impl AzureDevOps {
    async fn points(&self, project: &str, plan: i64) -> Result<Points, Error> {
        let tree = self.tree(project, &self.plan(project, plan).await?).await?;
        let path = format!("testplan/Plans/{plan}/Suites/{}/TestPoint", tree.root);
        let query = vec![("isRecursive", "true".to_owned())];
        let pages = self.api.token_pages::<Point>(project, path, query, "listing the test points");
        let points: Vec<Point> = pages.map_ok(|page| page.items).try_concat().await?;
        let mut by_case: HashMap<i64, Vec<Point>> = HashMap::new();
        let mut seen = HashSet::new();
        for point in points.into_iter().filter(|point| seen.insert(point.id)) {
            let case = point.test_case_reference.as_ref().map(|c| c.id.0).unwrap_or_default();
            by_case.entry(case).or_default().push(point);
        }
        Ok(Points { tree, by_case })
    }

    /// Makes runs, or further runs for slots that a run lacks.
    pub(super) async fn open_runs(&self, changes: &[Change]) -> Vec<Outcome> {
        let mut plans: Vec<Result<(i64, Option<Run>), Outcome>> = Vec::new();
        for change in changes {
            plans.push(self.plan_of_run(change).await);
        }
        let wanted: HashSet<(&str, i64)> = changes
            .iter()
            .zip(&plans)
            .filter_map(|(change, plan)| Some((change.project.as_str(), plan.as_ref().ok()?.0)))
            .collect();
        let read = |(project, plan): (&'_ str, i64)| {
            let project = project.to_owned();
            async move {
                let points = self.points(&project, plan).await;
                ((project, plan), points)
            }
            .boxed()
        };
        let points: HashMap<(String, i64), Result<Points, Error>> =
            bounded(wanted.into_iter().map(read).collect(), CONCURRENT_RUNS).await.into_iter().collect();
        let open = |(change, plan): (&'_ Change, Result<(i64, Option<Run>), Outcome>)| match plan {
            Err(outcome) => std::future::ready(outcome).boxed(),
            Ok((plan, run)) => match points.get(&(change.project.clone(), plan)) {
                Some(Ok(points)) => self.open_run(change.clone(), plan, run, points).boxed(),
                Some(Err(error)) => std::future::ready(unprepared(error)).boxed(),
                None => std::future::ready(rejected(format!("plan {plan} was not read"))).boxed(),
            },
        };
        bounded(changes.iter().zip(plans).map(open).collect(), CONCURRENT_RUNS).await
    }

    /// Finds the plan in which a run is made, and the run that is extended.
    async fn plan_of_run(&self, change: &Change) -> Result<(i64, Option<Run>), Outcome> {
        match &change.op {
            Op::Create { references, slots, .. } => {
                let plan = match reference(references, "Parent Test Plan")? {
                    Some(plan) => Some(plan),
                    None => slots.iter().find_map(|slot| slot.plan.as_ref()).map(id_of).transpose()?,
                };
                plan.map(|plan| (plan, None)).ok_or_else(|| rejected("a test run needs its Parent Test Plan"))
            }
            Op::OpenSlots { key, .. } => {
                let run = self.run(&change.project, id_of(key)?).await.map_err(|error| unprepared(&error))?;
                let plan = run.plan.as_ref().map(|p| p.id.0).filter(|id| *id > 0);
                plan.map(|plan| (plan, Some(run)))
                    .ok_or_else(|| rejected(format!("run {key} belongs to no plan, so it has no slots")))
            }
            _ => Err(rejected("only creates can stand in a batch of creates")),
        }
    }

    async fn open_run(&self, change: Change, plan: i64, run: Option<Run>, points: &Points) -> Outcome {
        let change = &change;
        let none = Vec::new();
        let (slots, writes) = match &change.op {
            Op::Create { fields, slots, .. } => (slots.clone(), fields),
            Op::OpenSlots { slots, .. } => {
                match self.missing_slots(&change.project, run.as_ref(), slots).await {
                    Ok(missing) => (missing, &none),
                    Err(error) => return unprepared(&error),
                }
            }
            _ => return rejected("only creates can stand in a batch of creates"),
        };
        if let (Op::OpenSlots { key, .. }, true) = (&change.op, slots.is_empty()) {
            return Outcome::Done { key: key.clone(), revision: None, refused: Vec::new() };
        }
        let mut ids = Vec::new();
        let mut refused = Vec::new();
        for slot in &slots {
            match points.choose(slot) {
                Ok(point) => ids.push(point),
                Err(words) => refused.push((format!("slot of test case {}", slot.case), words)),
            }
        }
        if ids.is_empty() && !slots.is_empty() {
            return rejected(refused.into_iter().map(|(_, words)| words).collect::<Vec<_>>().join("; "));
        }
        let body = run_body(change, plan, run.as_ref(), writes, &ids);
        let answer = self
            .api
            .write(
                Method::POST,
                Some(&change.project),
                "test/runs",
                &[],
                Some(&body),
                Safety::Unsafe,
                "creating a test run",
            )
            .await;
        let made: Run = match answer.map(serde_json::from_value) {
            Ok(Ok(made)) => made,
            Ok(Err(error)) => {
                return Outcome::Unknown {
                    message: format!("an accepted create was answered strangely: {error}"),
                };
            }
            Err(error) => return failed(&error),
        };
        if made.id.0 <= 0 {
            return Outcome::Unknown { message: "an accepted create came back without an id".to_owned() };
        }
        let mut revision = made.revision;
        // A run without slots waits for nobody, so that its last state can be written.
        if let Some(state) = text(writes, "State").filter(|state| ids.is_empty() && is_final(state)) {
            match self.patch_run(&change.project, made.id.0, &json!({"state": state})).await {
                Ok(run) => revision = run.revision,
                Err(error) => refused.push(("State".to_owned(), error.words().to_owned())),
            }
        }
        Outcome::Done { key: Key::from(made.id.0.to_string()), revision: Some(revision.to_string()), refused }
    }

    /// Finds the slots that a run does not have yet.
    async fn missing_slots(
        &self,
        project: &str,
        run: Option<&Run>,
        slots: &[Slot],
    ) -> Result<Vec<Slot>, Error> {
        let Some(run) = run else { return Ok(slots.to_vec()) };
        let (mut results, _) = self.results(project, run).await?;
        let mut missing = Vec::new();
        for slot in slots {
            let case = slot.case.as_str().parse().unwrap_or_default();
            match pick(&results, case, slot.configuration.as_deref()) {
                Ok(at) => {
                    results.remove(at);
                }
                Err(_) => missing.push(slot.clone()),
            }
        }
        Ok(missing)
    }

    async fn patch_run(&self, project: &str, run: i64, body: &Value) -> Result<Run, WriteError> {
        let path = format!("test/runs/{run}");
        let operation = "updating a test run";
        let answer = self
            .api
            .write(Method::PATCH, Some(project), &path, &[], Some(body), Safety::Idempotent, operation)
            .await?;
        serde_json::from_value(answer).map_err(|error| WriteError::Lost(error.to_string()))
    }

    /// Changes fields of runs, one request each: there is no call for many.
    pub(super) async fn update_runs(&self, changes: &[Change]) -> Vec<Outcome> {
        bounded(changes.iter().map(|change| self.update_run(change).boxed()).collect(), CONCURRENT_RUNS).await
    }

    async fn update_run(&self, change: &Change) -> Outcome {
        let Op::Update { key, fields } = &change.op else {
            return rejected("only updates can stand in a batch of updates");
        };
        let id = match id_of(key) {
            Ok(id) => id,
            Err(outcome) => return outcome,
        };
        // The system checks no revision of runs, so it is read just before.
        let run = match self.run(&change.project, id).await {
            Ok(run) => run,
            Err(error) => return rejected(error.to_string()),
        };
        if change.revision.as_ref().is_some_and(|revision| *revision != run.revision.to_string()) {
            return Outcome::ChangedMeanwhile;
        }
        let mut body = json!({});
        let mut refused = Vec::new();
        for write in fields {
            let value = text(std::slice::from_ref(write), &write.field).unwrap_or_default();
            match write.field.as_str() {
                "Summary" => body["name"] = json!(value),
                "State" => body["state"] = json!(value),
                "Started" => body["startedDate"] = json!(value),
                "Completed" => body["completedDate"] = json!(value),
                "Comment" => {
                    let before = run.comment.as_deref().unwrap_or_default();
                    let token = before.lines().find(|line| line.trim_start().starts_with(TOKEN));
                    body["comment"] = json!(token.map_or(value.to_owned(), |t| with_token(value, t.trim())));
                }
                other => refused.push((other.to_owned(), "this field of a run cannot be written".to_owned())),
            }
        }
        match self.patch_run(&change.project, id, &body).await {
            Ok(run) => Outcome::Done { key: key.clone(), revision: Some(run.revision.to_string()), refused },
            Err(error) => failed(&error),
        }
    }

    /// Fills slots, or changes results that were filled before, run by run.
    pub(super) async fn write_results(&self, changes: &[Change]) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; changes.len()];
        let mut by_run: BTreeMap<(String, i64), Vec<usize>> = BTreeMap::new();
        for (n, change) in changes.iter().enumerate() {
            match run_of(change) {
                Ok(run) => by_run.entry((change.project.clone(), run)).or_default().push(n),
                Err(outcome) => outcomes[n] = Some(outcome),
            }
        }
        let runs = by_run.into_iter().map(|((project, run), members)| {
            async move {
                match self.fill_run(&project, run, changes, &members).await {
                    Ok(outcomes) => outcomes,
                    Err(error) => members.into_iter().map(|n| (n, unprepared(&error))).collect(),
                }
            }
            .boxed()
        });
        let written: Vec<Vec<(usize, Outcome)>> = bounded(runs.collect(), CONCURRENT_RUNS).await;
        for (n, outcome) in written.into_iter().flatten() {
            outcomes[n] = Some(outcome);
        }
        outcomes.into_iter().map(|o| o.unwrap_or_else(|| rejected("nothing was tried"))).collect()
    }

    async fn fill_run(
        &self,
        project: &str,
        run_id: i64,
        changes: &[Change],
        members: &[usize],
    ) -> Result<Vec<(usize, Outcome)>, Error> {
        let run = self.run(project, run_id).await?;
        let (results, _) = self.results(project, &run).await?;
        let mut free = results.clone();
        let mut outcomes = Vec::new();
        let mut filled: Vec<Filled> = Vec::new();
        for &n in members {
            match target(&changes[n], &results, &mut free) {
                Ok(result) => filled.push(Filled::new(n, &changes[n], result)),
                Err(outcome) => outcomes.push((n, outcome)),
            }
        }
        let mut chunks: Vec<Vec<usize>> =
            (0..filled.len()).collect::<Vec<_>>().chunks(RESULTS_PER_WRITE).map(<[usize]>::to_vec).collect();
        let mut closed: HashSet<i64> = HashSet::new();
        let mut latest: Option<DateTime<Utc>> = None;
        while let Some(chunk) = chunks.pop() {
            let body = Value::Array(chunk.iter().map(|&i| filled[i].body.clone()).collect());
            let path = format!("test/Runs/{run_id}/results");
            let operation = "writing test results";
            let answer = self
                .api
                .write(Method::PATCH, Some(project), &path, &[], Some(&body), Safety::Idempotent, operation)
                .await;
            match answer {
                Err(error) if error.is_refusal() && chunk.len() > 1 => {
                    // One bad result fails the call: halve until it stands alone.
                    let (left, right) = chunk.split_at(chunk.len() / 2);
                    chunks.extend([left.to_vec(), right.to_vec()]);
                }
                Err(error) => outcomes.extend(chunk.iter().map(|&i| (filled[i].change, failed(&error)))),
                Ok(_) => {
                    for &i in &chunk {
                        let one = &filled[i];
                        if one.closes {
                            closed.insert(one.id);
                            latest = latest.max(one.completed);
                        }
                        let key = Key::from(format!("{run_id}.{}", one.id));
                        let refused = one.refused.clone();
                        outcomes.push((one.change, Outcome::Done { key, revision: None, refused }));
                    }
                }
            }
        }
        let words = self.complete(project, &run, &results, &closed, latest).await;
        if let (Some(words), Some((_, Outcome::Done { refused, .. }))) = (words, outcomes.last_mut()) {
            refused.push(("Parent Test Run".to_owned(), words));
        }
        Ok(outcomes)
    }

    /// Completes a run whose last open result was closed; the words of a failure.
    async fn complete(
        &self,
        project: &str,
        run: &Run,
        results: &[TestResult],
        closed: &HashSet<i64>,
        latest: Option<DateTime<Utc>>,
    ) -> Option<String> {
        let is_closed = |r: &TestResult| {
            closed.contains(&r.id.0)
                || r.state.as_deref().is_some_and(|s| s.eq_ignore_ascii_case("Completed"))
        };
        if closed.is_empty() || is_final(&run.state) || !results.iter().all(is_closed) {
            return None;
        }
        let mut body = json!({"state": "Completed"});
        if run.completed_date.0.is_none() {
            if let Some(latest) = latest.filter(|at| run.started_date.0.is_none_or(|started| started <= *at))
            {
                body["completedDate"] = json!(rfc3339(latest));
            }
        }
        match self.patch_run(project, run.id.0, &body).await {
            Ok(_) => None,
            Err(error) => Some(format!("run {} was not completed: {}", run.id.0, error.words())),
        }
    }
}

fn is_final(state: &str) -> bool {
    state.eq_ignore_ascii_case("Completed") || state.eq_ignore_ascii_case("Aborted")
}

fn run_body(change: &Change, plan: i64, run: Option<&Run>, writes: &[FieldWrite], points: &[i64]) -> Value {
    let further = run.map(|_| change.id);
    let name = match run {
        Some(run) => run.name.clone(),
        None => text(writes, "Summary").filter(|t| !t.is_empty()).unwrap_or("Test run").to_owned(),
    };
    let comment = text(writes, "Comment").unwrap_or_default();
    let mut body = json!({
        "name": name,
        "plan": {"id": plan.to_string()},
        "pointIds": points,
        "comment": with_token(comment, &token(&change.pair, further)),
    });
    // The create call spells the dates differently from every other one.
    for (field, member) in [("Started", "startDate"), ("Completed", "completeDate")] {
        if let Some(value) = text(writes, field).filter(|v| !v.is_empty()) {
            body[member] = json!(value);
        }
    }
    if let Some(state) = text(writes, "State").filter(|s| ["NotStarted", "InProgress", "Waiting"].contains(s))
    {
        body["state"] = json!(state);
    }
    body
}

/// Finds the run of a result that is to be written.
pub(super) fn run_of(change: &Change) -> Result<i64, Outcome> {
    match &change.op {
        Op::Create { references, .. } => reference(references, "Parent Test Run")?
            .ok_or_else(|| rejected("a test result needs its Parent Test Run")),
        Op::Update { key, .. } => {
            let run = key.as_str().split_once('.').and_then(|(run, _)| run.parse().ok());
            run.ok_or_else(|| rejected(format!("key {key} is no result; expected <run>.<result>")))
        }
        _ => Err(rejected("only creates and updates can stand in a batch of results")),
    }
}

/// Chooses the place of the slot for a case: in the configuration asked for, and
/// still open if there is a choice; else the only one of the case.
pub(super) fn pick(
    results: &[TestResult],
    case: i64,
    configuration: Option<&str>,
) -> Result<usize, Vec<i64>> {
    let of_case: Vec<usize> = (0..results.len())
        .filter(|&i| results[i].test_case.as_ref().is_some_and(|c| c.id.0 == case))
        .collect();
    let name = |i: usize| results[i].configuration.as_ref().and_then(|c| c.name.as_deref());
    let fits = |i: &usize| configuration.is_none_or(|wanted| name(*i) == Some(wanted));
    let fitting: Vec<usize> = of_case.iter().copied().filter(fits).collect();
    let open = |i: &usize| !results[*i].state.as_deref().is_some_and(|s| s.eq_ignore_ascii_case("Completed"));
    let still_open: Vec<usize> = fitting.iter().copied().filter(open).collect();
    // Slots of one configuration differ in nothing but their number.
    let alike = |list: &[usize]| list.iter().all(|i| name(*i) == name(list[0]));
    match (still_open.as_slice(), fitting.as_slice(), of_case.as_slice()) {
        ([first, ..], _, _) if alike(&still_open) => Ok(*first),
        ([], [only], _) | ([], [], [only]) => Ok(*only),
        _ => Err(of_case.iter().map(|&i| results[i].id.0).collect()),
    }
}

fn target<'a>(
    change: &Change,
    results: &'a [TestResult],
    free: &mut Vec<TestResult>,
) -> Result<&'a TestResult, Outcome> {
    match &change.op {
        Op::Create { fields, references, .. } => {
            let run = run_of(change)?;
            let case = reference(references, "Parent Test Case")?
                .ok_or_else(|| rejected("a test result needs its Parent Test Case"))?;
            let configuration = text(fields, "Configuration").filter(|c| !c.is_empty());
            let at = pick(free, case, configuration).map_err(|candidates| {
                if candidates.len() > 1 {
                    let candidates = candidates.iter().map(|id| Key::from(format!("{run}.{id}"))).collect();
                    return Outcome::Ambiguous { candidates };
                }
                rejected(format!("run {run} has no free slot for test case {case}"))
            })?;
            let id = free.remove(at).id;
            results.iter().find(|r| r.id == id).ok_or_else(|| rejected("the slot is gone"))
        }
        Op::Update { key, .. } => {
            let id = key.as_str().split_once('.').and_then(|(_, id)| id.parse().ok()).map(Id);
            let result = results
                .iter()
                .find(|r| Some(r.id) == id)
                .ok_or_else(|| rejected(format!("test result {key} does not exist")))?;
            if change.revision.as_ref().is_some_and(|revision| *revision != result.revision.to_string()) {
                return Err(Outcome::ChangedMeanwhile);
            }
            Ok(result)
        }
        _ => Err(rejected("only creates and updates can stand in a batch of results")),
    }
}

/// One result as it is written.
#[derive(Debug)]
struct Filled {
    change: usize,
    id: i64,
    body: Value,
    closes: bool,
    completed: Option<DateTime<Utc>>,
    refused: Vec<(String, String)>,
}

impl Filled {
    fn new(n: usize, change: &Change, result: &TestResult) -> Self {
        let writes = match &change.op {
            Op::Create { fields, .. } | Op::Update { fields, .. } => fields.as_slice(),
            _ => &[],
        };
        let is_new = matches!(change.op, Op::Create { .. });
        let mut filled = Self {
            change: n,
            id: result.id.0,
            body: json!({"id": result.id.0}),
            closes: false,
            completed: None,
            refused: Vec::new(),
        };
        for write in writes {
            let value = text(std::slice::from_ref(write), &write.field).unwrap_or_default();
            if let Err(words) = filled.set(&write.field, value, is_new) {
                filled.refused.push((write.field.clone(), words));
            }
        }
        filled.check_dates(result);
        filled
    }

    fn set(&mut self, field: &str, value: &str, is_new: bool) -> Result<(), String> {
        match field {
            "Outcome" => {
                let name = if value.is_empty() { "Unspecified".to_owned() } else { outcome_name(value) };
                if !OUTCOMES.contains(&name.as_str()) {
                    return Err(format!("{value:?} is no outcome; expected one of {}", OUTCOMES.join(", ")));
                }
                self.closes = !OPEN_OUTCOMES.contains(&name.as_str());
                match name.as_str() {
                    "InProgress" => self.body["state"] = json!("InProgress"),
                    "Unspecified" => self.body["state"] = json!("Pending"),
                    // Without it the outcome does not count.
                    _ => self.body["state"] = json!("Completed"),
                }
                self.body["outcome"] = json!(name);
            }
            "Comment" => self.body["comment"] = json!(value),
            "Error Message" => self.body["errorMessage"] = json!(value),
            "Started Date" if !value.is_empty() => self.body["startedDate"] = json!(value),
            "Completed Date" if !value.is_empty() => {
                self.completed = instant(value);
                self.body["completedDate"] = json!(value);
            }
            "Duration" if !value.is_empty() => {
                let ms: f64 = value.parse().map_err(|_| format!("{value:?} is no number of milliseconds"))?;
                self.body["durationInMs"] = json!(ms);
            }
            // Accounts are known by their id, people by the name they sign in with.
            "Run By" if value.len() == 36 && value.matches('-').count() == 4 => {
                self.body["runBy"] = json!({"id": value});
            }
            "Run By" if !value.is_empty() => {
                self.body["runBy"] = json!({"uniqueName": value, "displayName": value});
            }
            "Started Date" | "Completed Date" | "Duration" | "Run By" => {}
            // Chosen with the slot, or that of the case.
            "Configuration" | "Test Case Title" if is_new => {}
            _ => return Err("this field of a result cannot be written".to_owned()),
        }
        Ok(())
    }

    /// An end before the start is refused by the service, with everything else.
    fn check_dates(&mut self, result: &TestResult) {
        let sent = self.body.get("startedDate").and_then(Value::as_str).and_then(instant);
        let started = sent.or(result.started_date.0);
        if let (Some(started), Some(completed)) = (started, self.completed) {
            if completed < started {
                if let Some(body) = self.body.as_object_mut() {
                    body.remove("completedDate");
                }
                self.completed = None;
                self.refused.push(("Completed Date".to_owned(), "it lies before the start".to_owned()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Ref;
    use super::*;

    fn result(id: i64, case: i64, configuration: &str, state: &str) -> TestResult {
        TestResult {
            id: Id(id),
            test_case: Some(Ref { id: Id(case), name: None }),
            configuration: Some(Ref { id: Id(1), name: Some(configuration.into()) }),
            state: Some(state.into()),
            ..TestResult::default()
        }
    }

    #[test]
    fn tokens_stay_out_of_the_comment_that_people_see() {
        let pair = PairId::from("runs/L7");
        let comment = with_token("first\nsecond", &token(&pair, None));
        assert!(has_token(&comment, &token(&pair, None)));
        assert!(!has_token(&comment, &token(&PairId::from("runs/L"), None)));
        assert_eq!(without_token(&comment), "first\nsecond");
        assert_eq!(without_token(&token(&pair, Some(2))), "");
    }

    #[test]
    fn slot_is_chosen_by_case_and_configuration() {
        let results = [
            result(100_000, 7, "Windows", "Completed"),
            result(100_001, 7, "Windows", "Pending"),
            result(100_002, 7, "Linux", "Pending"),
            result(100_003, 8, "Linux", "Completed"),
        ];
        assert_eq!(pick(&results, 7, Some("Windows")), Ok(1));
        assert_eq!(pick(&results, 7, Some("Linux")), Ok(2));
        assert!(pick(&results, 7, None).is_err());
        // The only slot of a case is taken whatever its configuration is called.
        assert_eq!(pick(&results, 8, Some("Windows")), Ok(3));
        assert_eq!(pick(&results, 9, None), Err(Vec::new()));
    }

    #[test]
    fn outcomes_close_a_result_unless_it_is_still_open() {
        let mut filled = Filled::new(
            0,
            &Change {
                id: 1,
                pair: "r/L1".into(),
                artifact: "Test Result".into(),
                project: "P".into(),
                revision: None,
                op: Op::Update {
                    key: "1.100000".into(),
                    fields: vec![
                        FieldWrite {
                            field: "Outcome".into(),
                            value: WriteValue::Text("not executed".into()),
                        },
                        FieldWrite {
                            field: "Started Date".into(),
                            value: WriteValue::Text("2024-05-02T00:00:00Z".into()),
                        },
                        FieldWrite {
                            field: "Completed Date".into(),
                            value: WriteValue::Text("2024-05-01T00:00:00Z".into()),
                        },
                    ],
                },
            },
            &result(100_000, 7, "Windows", "Pending"),
        );
        assert_eq!(filled.body["outcome"], "NotExecuted");
        assert_eq!(filled.body["state"], "Completed");
        assert!(filled.closes && filled.body.get("completedDate").is_none());
        assert_eq!(filled.refused[0].0, "Completed Date");
        filled.set("Outcome", "InProgress", false).unwrap();
        assert!(!filled.closes);
        assert!(filled.set("Outcome", "splendid", false).is_err());
    }
}
