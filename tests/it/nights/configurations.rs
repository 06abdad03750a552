//! A run of several configurations is one execution for each on the other side, and several
//! results of one slot are one test run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use testferry::model::Side;
use testferry::stages::pairing::Pair;

use super::bench::{Bench, list};

/// Further executions: their run, their key, their configuration.
async fn further(bench: &Bench) -> Vec<(String, String, String)> {
    let pairs = bench.all_pairs().await;
    let row = |p: &Pair| {
        let run = pairs.get(&p.id)?.left.clone()?;
        Some((run, p.right.clone()?, p.configuration.clone()?))
    };
    pairs.iter().filter(|p| p.alias && p.integration == "test-runs").filter_map(row).collect()
}

/// The test environments of an execution.
async fn environments(bench: &Bench, execution: &str) -> Vec<String> {
    let found =
        bench.xray(&format!("{{ getTestExecution(issueId: \"{execution}\") {{ testEnvironments }} }}")).await;
    let names = list(&found["getTestExecution"]["testEnvironments"]);
    names.iter().filter_map(|n| n.as_str().map(str::to_owned)).collect()
}

/// The results of a run: case, configuration, outcome, key.
async fn results(bench: &Bench, run: &str) -> Vec<[String; 4]> {
    let listed =
        bench.ado("GET", &format!("test/Runs/{run}/results?detailsToInclude=none"), Value::Null).await;
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let row = |r: &Value| {
        let key = format!("{run}.{}", r["id"]);
        [text(&r["testCase"]["id"]), text(&r["configuration"]["name"]), text(&r["outcome"]), key]
    };
    list(&listed["value"]).iter().map(row).collect()
}

async fn rests(bench: &Bench) {
    let states = bench.states();
    let done = bench.sync().await;
    assert_eq!(done.plan.changes, []);
    assert_eq!(bench.states(), states);
}

#[tokio::test]
async fn configurations_of_one_run_are_executions_of_their_own() {
    let (bench, first) = Bench::synced(20, 1).await;
    assert_eq!(first.rejected, []);
    let further = further(&bench).await;
    assert!(!further.is_empty());
    let status = BTreeMap::from([("Passed", "PASSED"), ("Failed", "FAILED"), ("Blocked", "ABORTED")]);
    let mut compared = 0;
    for (run, execution, configuration) in &further {
        let main = bench.other("test-runs", Side::Left, run).await.expect("the first execution");
        assert_ne!(environments(&bench, &main).await, environments(&bench, execution).await);
        assert_eq!(environments(&bench, execution).await, std::slice::from_ref(configuration));
        let runs = bench.runs_of(execution).await;
        for [case, of, outcome, result] in
            results(&bench, run).await.iter().filter(|r| r[1] == *configuration)
        {
            let test = bench.other("test-cases", Side::Left, case).await.expect("a test");
            let test_run = bench.other("test-results", Side::Left, result).await.expect("a test run");
            let found = runs.iter().find(|(t, _)| *t == test).expect("its run");
            assert_eq!(found.1["id"], *test_run, "{case} in {of}");
            if let Some(status) = status.get(outcome.as_str()) {
                assert_eq!(found.1["status"]["name"], *status);
                compared += 1;
            }
        }
        // They are known, and not echoed back as further runs.
        assert_eq!(bench.other("test-runs", Side::Right, execution).await, None);
    }
    assert!(compared > 0);
    rests(&bench).await;
}

#[tokio::test]
async fn edits_find_the_execution_of_their_configuration() {
    let (bench, _) = Bench::synced(20, 1).await;
    let (run, execution, configuration) = further(&bench).await.remove(0);
    let rows = results(&bench, &run).await;
    let ours: Vec<_> = rows.iter().filter(|r| r[1] == configuration).collect();
    let [judged, executed] = [ours[0][3].clone(), ours[1][3].clone()];
    let test_runs = [&judged, &executed].map(|r| bench.other("test-results", Side::Left, r));
    let [of_judged, of_executed] = test_runs;
    let (of_judged, of_executed) = (of_judged.await.expect("a run"), of_executed.await.expect("a run"));
    let to = if bench.run_status(&of_judged).await == "FAILED" {
        ("Passed", "PASSED")
    } else {
        ("Failed", "FAILED")
    };
    let back = if bench.run_status(&of_executed).await == "FAILED" {
        ("PASSED", "Passed")
    } else {
        ("FAILED", "Failed")
    };
    bench.judge(&judged, to.0, "seen again").await;
    let status = back.0;
    bench
        .xray(&format!("mutation {{ updateTestRunStatus(id: \"{of_executed}\", status: \"{status}\") }}"))
        .await;
    let done = bench.sync().await;
    assert_eq!(done.rejected, []);
    assert_eq!(bench.run_status(&of_judged).await, to.1);
    assert_eq!(bench.result(&executed).await["outcome"], back.1);
    let executions: BTreeSet<String> = bench.runs_of(&execution).await.into_iter().map(|(t, _)| t).collect();
    assert_eq!(executions.len(), ours.len());
    rests(&bench).await;
}

#[tokio::test]
async fn test_environment_chooses_the_point_of_that_configuration() {
    let (bench, _) = Bench::synced(20, 1).await;
    let mut found = None;
    for (plan, test_plan) in bench.keys("test-plans").await {
        for (suite, members) in bench.suites(&plan).await {
            let Some(case) = members.first() else { continue };
            let path = format!("testplan/Plans/{plan}/Suites/{suite}/TestPoint?testCaseId={case}");
            let points = list(&bench.ado("GET", &path, Value::Null).await["value"]);
            let names: BTreeSet<String> = points
                .iter()
                .filter_map(|p| p["configuration"]["name"].as_str().map(str::to_owned))
                .collect();
            let other = names.iter().find(|n| *n != "Windows 11").filter(|_| names.len() > 1).cloned();
            if let (Some(name), Some(test)) = (other, bench.other("test-cases", Side::Left, case).await) {
                found = Some((test_plan.clone(), case.clone(), test, name));
            }
        }
    }
    let (test_plan, case, test, name) = found.expect("a case of two configurations");
    let mut made = Vec::new();
    for environments in [json!([name]), json!(["Toaster"])] {
        let query = format!(
            "mutation {{ createTestExecution(testIssueIds: [\"{test}\"], testEnvironments: {environments}, jira: {{ fields: \
             {{ summary: \"Here\", project: {{ key: \"{}\" }} }} }}) {{ testExecution {{ issueId }} }} }}",
            bench.env["JIRA_PROJECT"]
        );
        let reply = bench.xray(&query).await;
        let id = reply["createTestExecution"]["testExecution"]["issueId"].as_str().expect("an id").to_owned();
        let query = format!(
            "mutation {{ addTestExecutionsToTestPlan(issueId: \"{test_plan}\", testExecIssueIds: [\"{id}\"]) {{ warning }} }}"
        );
        bench.xray(&query).await;
        let run = bench.runs_of(&id).await.remove(0).1["id"].clone();
        bench.xray(&format!("mutation {{ updateTestRunStatus(id: {run}, status: \"FAILED\") }}")).await;
        made.push(id);
    }
    let done = bench.sync().await;
    assert_eq!(done.rejected, []);
    // Where the plan knows no such configuration the pipeline's constant stands in.
    for (execution, name) in made.iter().zip([name.as_str(), "Windows 11"]) {
        let run = bench.other("test-runs", Side::Right, execution).await.expect("a run");
        let rows = results(&bench, &run).await;
        let [[of, configuration, outcome, _]] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!((of, configuration.as_str(), outcome.as_str()), (&case, name, "Failed"));
    }
    rests(&bench).await;
}

#[tokio::test]
async fn executions_are_recognised_when_the_staging_store_is_lost() {
    let (mut bench, _) = Bench::synced(20, 1).await;
    let before = further(&bench).await.into_iter().collect::<BTreeSet<_>>();
    bench.folder = tempfile::TempDir::new().expect("a folder");
    let done = bench.sync().await;
    assert_eq!(done.rejected, []);
    for (run, ..) in &before {
        let ours = [format!("test-runs/L{run}"), format!("test-results/L{run}.")];
        let mut made = done.plan.changes.iter().filter(|c| c.key.is_none());
        assert!(!made.any(|c| c.pair.as_str() == ours[0] || c.pair.as_str().starts_with(&ours[1])), "{run}");
    }
    assert_eq!(further(&bench).await.into_iter().collect::<BTreeSet<_>>(), before);
}

#[tokio::test]
async fn latest_result_of_a_slot_speaks_for_it() {
    let (bench, _) = Bench::synced(20, 1).await;
    let mut found = None;
    for (plan, _) in bench.keys("test-plans").await {
        let suites = bench.suites(&plan).await;
        let [(first, members), (second, _), ..] = &suites[..] else { continue };
        for case in members {
            if bench.other("test-cases", Side::Left, case).await.is_some() {
                found = Some((plan.clone(), first.clone(), second.clone(), case.clone()));
            }
        }
    }
    let (plan, first, second, case) = found.expect("a plan of two suites");
    bench.file(&plan, &second, &case).await;
    let points = [bench.point(&plan, &first, &case).await, bench.point(&plan, &second, &case).await];
    let run = bench.execute(&plan, "Twice", &[(points[0], "Passed"), (points[1], "Failed")]).await;
    let done = bench.sync().await;
    assert_eq!(done.rejected, []);
    let rows = results(&bench, &run).await;
    assert_eq!(rows[0][1], rows[1][1], "one configuration");
    let execution = bench.other("test-runs", Side::Left, &run).await.expect("an execution");
    let runs = bench.runs_of(&execution).await;
    assert_eq!(runs.len(), 1);
    assert!(done.plan.losses.iter().any(|l| l.kind == "superseded"), "{:?}", done.plan.losses);
    let speaks = bench.other("test-results", Side::Right, runs[0].1["id"].as_str().expect("an id")).await;
    let speaks = speaks.expect("a result");
    rests(&bench).await;
    // The other one is judged anew and speaks from then on; what Xray says goes to it.
    let silent = rows.iter().map(|r| &r[3]).find(|r| **r != speaks).expect("the other result");
    let outcome =
        if runs[0].1["status"]["name"] == "FAILED" { ("Passed", "PASSED") } else { ("Failed", "FAILED") };
    bench.judge_at(silent, outcome.0, "2030-01-01T00:00:00Z").await;
    let done = bench.sync().await;
    assert_eq!(done.rejected, []);
    let runs = bench.runs_of(&execution).await;
    assert_eq!((runs.len(), &runs[0].1["status"]["name"]), (1, &json!(outcome.1)));
    rests(&bench).await;
}
