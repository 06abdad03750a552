//! Fills the slots of runs, and changes results that were filled before.
//!
//! A planned run is born with one empty result per point; results are never added to
//! it, only filled in, so that filling twice does no harm. The run is completed when
//! its last result is: until then the system shows it as being under way.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use futures::FutureExt;
use reqwest::Method;
use serde_json::{Value, json};

use super::AzureDevOps;
use super::load::{bounded, failed, rejected, unprepared};
use super::load_plans::reference;
use super::load_runs::{CONCURRENT_RUNS, is_final, text};
use super::rows::outcome_name;
use super::tables::OUTCOMES;
use super::wire::{Id, Run, TestResult, instant, rfc3339};
use crate::connectors::Error;
use crate::http::Safety;
use crate::model::{Change, Key, Op, Outcome};

/// Results per write: what the vendor's own agent sends.
const RESULTS_PER_WRITE: usize = 1_000;
/// Outcomes that leave a result open.
const OPEN_OUTCOMES: [&str; 2] = ["InProgress", "Unspecified"];

impl AzureDevOps {
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
        if run.completed_date.0.is_none()
            && let Some(latest) = latest.filter(|at| run.started_date.0.is_none_or(|started| started <= *at))
        {
            body["completedDate"] = json!(rfc3339(latest));
        }
        match self.patch_run(project, run.id.0, &body).await {
            Ok(_) => None,
            Err(error) => Some(format!("run {} was not completed: {}", run.id.0, error.words())),
        }
    }
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
        ([], [only], _) => Ok(*only),
        // What was won in another configuration is not written over.
        ([], [], [only]) if open(only) => Ok(*only),
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
        if let (Some(started), Some(completed)) = (started, self.completed)
            && completed < started
        {
            if let Some(body) = self.body.as_object_mut() {
                body.remove("completedDate");
            }
            self.completed = None;
            self.refused.push(("Completed Date".to_owned(), "it lies before the start".to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Ref;
    use super::*;
    use crate::model::{FieldWrite, WriteValue};

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
    fn slot_is_chosen_by_case_and_configuration() {
        let results = [
            result(100_000, 7, "Windows", "Completed"),
            result(100_001, 7, "Windows", "Pending"),
            result(100_002, 7, "Linux", "Pending"),
            result(100_003, 8, "Linux", "Pending"),
            result(100_004, 9, "Linux", "Completed"),
        ];
        assert_eq!(pick(&results, 7, Some("Windows")), Ok(1));
        assert_eq!(pick(&results, 7, Some("Linux")), Ok(2));
        assert!(pick(&results, 7, None).is_err());
        // The only slot of a case is taken whatever its configuration is called.
        assert_eq!(pick(&results, 8, Some("Windows")), Ok(3));
        assert_eq!(pick(&results, 9, Some("Linux")), Ok(4));
        assert!(pick(&results, 9, Some("Windows")).is_err());
        assert_eq!(pick(&results, 10, None), Err(Vec::new()));
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
