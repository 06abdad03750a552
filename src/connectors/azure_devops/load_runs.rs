//! Makes and changes runs; a planned run has a slot per test point from the start.
//!
//! The system has no field for a foreign id on a run, so that its comment carries a
//! token, which people do not see in what is read.

use std::collections::{HashMap, HashSet};

use futures::{FutureExt, TryStreamExt};
use reqwest::Method;
use serde_json::{Value, json};

use super::AzureDevOps;
use super::client::WriteError;
use super::load::{bounded, failed, id_of, rejected, unprepared};
use super::load_plans::reference;
use super::load_results::pick;
use super::tree::Tree;
use super::wire::{Point, Run};
use crate::connectors::Error;
use crate::http::Safety;
use crate::model::{Change, FieldWrite, Key, Op, Outcome, PairId, Slot, WriteValue};

/// What begins the line of a run's comment by which we recognise it.
const TOKEN: &str = "testferry:";
/// Runs that are made or filled at the same time.
pub(super) const CONCURRENT_RUNS: usize = 4;

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
    /// home suite, else the only one of that suite, else the only one there is.
    fn choose(&self, slot: &Slot) -> Result<i64, String> {
        let case: i64 = slot.case.as_str().parse().map_err(|_| format!("{} is no test case", slot.case))?;
        let plan = self.tree.plan;
        let all = self.by_case.get(&case).map(Vec::as_slice).unwrap_or_default();
        if all.is_empty() {
            return Err(format!("test case {case} has no test point in plan {plan}"));
        }
        let name =
            |point: &Point| point.configuration.as_ref().and_then(|c| c.name.clone()).unwrap_or_default();
        let in_configuration = |wanted: &Option<String>| -> Vec<&Point> {
            all.iter().filter(|point| wanted.as_ref().is_none_or(|wanted| name(point) == *wanted)).collect()
        };
        let mut fitting = in_configuration(&slot.configuration);
        if fitting.is_empty() && slot.fallback.is_some() {
            fitting = in_configuration(&slot.fallback);
        }
        let suite = |point: &Point| point.test_suite.as_ref().map(|s| s.id.0).unwrap_or_default();
        let home = self
            .tree
            .nodes
            .iter()
            .filter(|node| node.kind == "static")
            .find(|node| all.iter().any(|point| suite(point) == node.id))
            .map(|node| node.id);
        let at_home: Vec<i64> = fitting.iter().filter(|p| Some(suite(p)) == home).map(|p| p.id.0).collect();
        let any_at_home: Vec<&Point> = all.iter().filter(|p| Some(suite(p)) == home).collect();
        match (at_home.as_slice(), fitting.as_slice(), any_at_home.as_slice(), all) {
            ([point], ..) => Ok(*point),
            ([], [point], ..) => Ok(point.id.0),
            (_, [], [point], _) => Ok(point.id.0),
            (_, [], _, [point]) => Ok(point.id.0),
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

    pub(super) async fn patch_run(&self, project: &str, run: i64, body: &Value) -> Result<Run, WriteError> {
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
}

/// Tells whether a run is over.
pub(super) fn is_final(state: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_stay_out_of_the_comment_that_people_see() {
        let pair = PairId::from("runs/L7");
        let comment = with_token("first\nsecond", &token(&pair, None));
        assert!(has_token(&comment, &token(&pair, None)));
        assert!(!has_token(&comment, &token(&PairId::from("runs/L"), None)));
        assert_eq!(without_token(&comment), "first\nsecond");
        assert_eq!(without_token(&token(&pair, Some(2))), "");
    }
}
