//! What people edit on one side is on the other after one more run.

use serde_json::{Value, json};
use testferry::model::Side;

use super::bench::{Bench, list};

const TITLE: &str = "System.Title";
const DESCRIPTION: &str = "System.Description";
const STATE: &str = "System.State";
const STEPS: &str = "Microsoft.VSTS.TCM.Steps";

const TABLE: &str = "<p>Inputs:</p><table><tbody><tr><th>a</th><th>b</th></tr><tr><td>one cell</td><td>2</td></tr>\
    </tbody></table><p><img src=\"https://example.com/keys.png\" alt=\"keys\"></p>";

/// Cases that both sides have, with steps, in order of their ids.
async fn cases(bench: &Bench) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (case, test) in bench.keys("test-cases").await {
        if bench.item_text(&case, STEPS).await.matches("</step>").count() >= 2
            && bench.steps(&test).await.len() >= 2
        {
            found.push((case, test));
        }
    }
    found.sort_by_key(|(case, _)| case.parse::<u64>().unwrap_or(0));
    assert!(found.len() >= 10, "{found:?}");
    found
}

async fn rests(bench: &Bench) {
    let plan = bench.plan().await.plan;
    assert_eq!(plan.changes, []);
    assert_eq!(plan.conflicts, []);
}

fn table() -> Value {
    let text = |t: &str| json!({"type": "paragraph", "content": [{"type": "text", "text": t}]});
    let row = |kind: &str, cells: [&str; 2]| json!({"type": "tableRow", "content": cells.map(|c| json!({"type": kind, "content": [text(c)]}))});
    json!({"type": "doc", "version": 1, "content": [
        {"type": "table", "content": [row("tableHeader", ["x", "y"]), row("tableCell", ["left cell", "right cell"])]},
        {"type": "mediaSingle", "attrs": {"layout": "center"}, "content": [
            {"type": "media", "attrs": {"type": "external", "url": "https://example.com/display.png"}}]}
    ]})
}

/// Puts a step between the first and the second of a case.
fn with_a_step_in_the_middle(steps: &str) -> String {
    let part = |t: &str| format!("<parameterizedString isformatted=\"true\">{t}</parameterizedString>");
    let step = format!(
        "<step id=\"90\" type=\"ValidateStep\">{}{}<description/></step>",
        part("&lt;P&gt;press the middle key&lt;/P&gt;"),
        part("&lt;P&gt;it beeps&lt;/P&gt;")
    );
    let at = steps.find("</step>").expect("a step") + "</step>".len();
    format!("{}{step}{}", &steps[..at], &steps[at..])
}

#[tokio::test]
async fn edits_in_azure_devops_are_in_xray_after_one_run() {
    let (bench, _) = Bench::synced(20, 1).await;
    let cases = cases(&bench).await;
    let [titled, described, stepped] = [0, 1, 2].map(|n| cases[n].clone());
    bench.edit_item(&titled.0, &[(TITLE, "A new title & <more>")]).await;
    bench.edit_item(&described.0, &[(DESCRIPTION, TABLE)]).await;
    let before = bench.steps(&stepped.1).await;
    let steps = bench.item_text(&stepped.0, STEPS).await;
    bench.edit_item(&stepped.0, &[(STEPS, &with_a_step_in_the_middle(&steps))]).await;
    // From closed to in progress there are two transitions in Xray's workflow.
    let mut closed = None;
    for (case, test) in &cases[3..] {
        if bench.item_text(case, STATE).await == "Closed" && bench.status(test).await == "Closed" {
            closed = Some((case.clone(), test.clone()));
        }
    }
    let closed = closed.expect("a closed case");
    bench.edit_item(&closed.0, &[(STATE, "Ready")]).await;

    let done = bench.sync().await;
    assert_eq!(done.rejected, []);
    assert_eq!(bench.summary(&titled.1).await, "A new title & <more>");
    let description = bench.issue(&described.1).await["description"].to_string();
    for part in ["\"table\"", "\"tableHeader\"", "one cell", "https://example.com/keys.png"] {
        assert!(description.contains(part), "{part} is not in {description}");
    }
    let after = bench.steps(&stepped.1).await;
    assert_eq!(after.len(), before.len() + 1);
    // Xray only appends steps, so that their ids move down while the texts stay.
    let texts = |steps: &[Value]| -> Vec<[Value; 3]> {
        steps.iter().map(|s| ["action", "data", "result"].map(|part| s[part].clone())).collect()
    };
    assert_eq!((texts(&after[..1]), texts(&after[2..])), (texts(&before[..1]), texts(&before[1..])));
    assert_eq!(
        (&after[1]["action"], &after[1]["result"]),
        (&json!("press the middle key"), &json!("it beeps"))
    );
    assert_eq!(bench.status(&closed.1).await, "In Progress");
    rests(&bench).await;
}

#[tokio::test]
async fn edits_in_xray_are_in_azure_devops_after_one_run() {
    let (bench, _) = Bench::synced(20, 1).await;
    let cases = cases(&bench).await;
    let [titled, described, stepped] = [0, 1, 2].map(|n| cases[n].clone());
    bench.edit_issue(&titled.1, json!({"summary": "Another title & <more>"})).await;
    bench.edit_issue(&described.1, json!({ "description": table() })).await;
    let steps = bench.steps(&stepped.1).await;
    // Xray's interface only appends; a person who inserts moves the texts down.
    let second = |n: usize| json!(steps[n]["action"]);
    let id = |n: usize| json!(steps[n]["id"]);
    bench
        .xray(&format!(
            "mutation {{ addTestStep(issueId: \"{}\", step: {{ action: {} }}) {{ id }} }}",
            stepped.1,
            second(steps.len() - 1)
        ))
        .await;
    for n in (1..steps.len()).rev() {
        let text = if n == 1 { json!("press the middle key") } else { second(n - 1) };
        let query = format!(
            "mutation {{ updateTestStep(stepId: {}, step: {{ action: {text} }}) {{ warnings }} }}",
            id(n)
        );
        bench.xray(&query).await;
    }
    let mut fresh = None;
    for (case, test) in &cases[3..] {
        if bench.item_text(case, STATE).await == "Design" && bench.status(test).await == "New" {
            fresh = Some((case.clone(), test.clone()));
        }
    }
    let fresh = fresh.expect("a new case");
    for transition in ["Start Progress", "Resolve Issue"] {
        bench.transit(&fresh.1, transition).await;
    }

    let done = bench.sync().await;
    assert_eq!(done.rejected, []);
    assert_eq!(bench.item_text(&titled.0, TITLE).await, "Another title & <more>");
    let description = bench.item_text(&described.0, DESCRIPTION).await;
    for part in ["<table", "left cell", "https://example.com/display.png"] {
        assert!(description.contains(part), "{part} is not in {description}");
    }
    let after = bench.item_text(&stepped.0, STEPS).await;
    assert_eq!(after.matches("</step>").count(), steps.len() + 1, "{after}");
    let middle = after.find("press the middle key").expect("the new step");
    let (first, second) = (after.find("</step>").expect("a step"), after.match_indices("</step>").nth(1));
    assert!(first < middle && middle < second.expect("two steps").0, "{after}");
    assert_eq!(bench.item_text(&fresh.0, STATE).await, "Closed");
    rests(&bench).await;
}

/// Plans that both sides have with their static suites that both sides have.
async fn shared_suites(bench: &Bench) -> Vec<(String, String, String, String, Vec<String>)> {
    let mut found = Vec::new();
    for (plan, test_plan) in bench.keys("test-plans").await {
        for (suite, members) in bench.suites(&plan).await {
            if let Some(set) = bench.other("test-suites", Side::Left, &suite).await {
                found.push((plan.clone(), test_plan.clone(), suite, set, members));
            }
        }
    }
    found
}

#[tokio::test]
async fn cases_move_between_suites_and_join_plans_on_both_sides() {
    let (bench, _) = Bench::synced(20, 1).await;
    let suites = shared_suites(&bench).await;
    let (plan, _, from, from_set, members) = suites
        .iter()
        .find(|s| s.4.len() >= 2 && suites.iter().any(|o| o.0 == s.0 && o.2 != s.2))
        .expect("suites");
    let (_, _, to, to_set, _) = suites.iter().find(|o| o.0 == *plan && o.2 != *from).expect("another suite");
    let there = bench.members(plan, to).await;
    let moved = members.iter().find(|c| !there.contains(c)).expect("a case to move");
    let moved_test = bench.other("test-cases", Side::Left, moved).await.expect("its test");
    bench.unfile(plan, from, moved).await;
    bench.file(plan, to, moved).await;
    // Into a second plan: one in each system.
    let (second, second_test_plan, second_suite, ..) =
        suites.iter().find(|s| s.0 != *plan).expect("a second plan");
    let held = bench.tests_of("TestPlan", second_test_plan).await;
    let mut outside = Vec::new();
    for (case, test) in bench.keys("test-cases").await {
        if !held.contains(&test) && case != *moved {
            outside.push((case, test));
        }
    }
    let [joins, joined] = [0, 1].map(|n| outside[n].clone());
    bench.file(second, second_suite, &joins.0).await;
    bench.associate("addTestsToTestPlan", second_test_plan, &[&joined.1]).await;

    let done = bench.sync().await;
    assert_eq!(done.rejected, []);
    assert!(!bench.tests_of("TestSet", from_set).await.contains(&moved_test));
    assert!(bench.tests_of("TestSet", to_set).await.contains(&moved_test));
    assert!(bench.tests_of("TestPlan", second_test_plan).await.contains(&joins.1));
    let listed = bench.ado("GET", &format!("testplan/Plans/{second}/suites"), Value::Null).await;
    let mut found = false;
    for suite in list(&listed["value"]) {
        found |= bench.members(second, &suite["id"].to_string()).await.contains(&joined.0);
    }
    assert!(found, "{} is not in plan {second}", joined.0);
    rests(&bench).await;
}

#[tokio::test]
async fn results_cross_both_ways() {
    let (bench, _) = Bench::synced(20, 1).await;
    // A new run by hand in Azure DevOps.
    let suites = shared_suites(&bench).await;
    let (plan, _, suite, _, members) = suites.iter().find(|s| s.4.len() >= 2).expect("a suite with cases");
    let points = [bench.point(plan, suite, &members[0]).await, bench.point(plan, suite, &members[1]).await];
    let run = bench.execute(plan, "By hand", &[(points[0], "Failed"), (points[1], "Passed")]).await;
    // An outcome that changes, on each side, and a test that joins an execution.
    let results = bench.keys("test-results").await;
    let mut judged = None;
    let mut executed = None;
    for (result, test_run) in &results {
        let outcome = bench.result(result).await["outcome"].as_str().unwrap_or_default().to_owned();
        let status = bench.run_status(test_run).await;
        if judged.is_none() && outcome == "Passed" && status == "PASSED" {
            judged = Some((result.clone(), test_run.clone()));
        } else if executed.is_none() && outcome == "Failed" && status == "FAILED" {
            executed = Some((result.clone(), test_run.clone()));
        }
    }
    let (judged, executed) = (judged.expect("a passed result"), executed.expect("a failed result"));
    bench.judge(&judged.0, "Failed", "seen again").await;
    bench
        .xray(&format!("mutation {{ updateTestRunStatus(id: \"{}\", status: \"PASSED\") }}", executed.1))
        .await;
    let (execution, test) = test_to_execute(&bench).await;
    bench.associate("addTestsToTestExecution", &execution, &[&test]).await;
    let runs = bench.runs_of(&execution).await;
    let added = runs.iter().find(|(t, _)| *t == test).expect("its run").1["id"].clone();
    bench.xray(&format!("mutation {{ updateTestRunStatus(id: {added}, status: \"FAILED\") }}")).await;

    let done = bench.sync().await;
    assert_eq!(done.rejected, []);
    let made = bench.other("test-runs", Side::Left, &run).await.expect("an execution");
    let statuses: Vec<_> = bench.runs_of(&made).await;
    for (member, status) in [(&members[0], "FAILED"), (&members[1], "PASSED")] {
        let test = bench.other("test-cases", Side::Left, member).await.expect("a test");
        let found = statuses.iter().find(|(t, _)| *t == test).expect("its run");
        assert_eq!(found.1["status"]["name"], status);
    }
    assert_eq!(bench.run_status(&judged.1).await, "FAILED");
    assert_eq!(bench.result(&executed.0).await["outcome"], "Passed");
    let added = added.as_str().expect("an id");
    let result = bench.other("test-results", Side::Right, added).await.expect("a result of the added test");
    assert_eq!(bench.result(&result).await["outcome"], "Failed");
    rests(&bench).await;
}

/// An execution of a plan and a test that is in the plan on both sides, but not in the execution.
async fn test_to_execute(bench: &Bench) -> (String, String) {
    for (run, execution) in bench.keys("test-runs").await {
        let plan = bench.ado("GET", &format!("test/runs/{run}"), Value::Null).await["plan"]["id"].clone();
        let plan = plan.as_str().map_or_else(|| plan.to_string(), str::to_owned);
        let Some(test_plan) = bench.other("test-plans", Side::Left, &plan).await else { continue };
        let has = bench.tests_of("TestExecution", &execution).await;
        let of_plan = bench.tests_of("TestPlan", &test_plan).await;
        let known = bench.keys("test-cases").await;
        if let Some(test) = of_plan.difference(&has).find(|t| known.iter().any(|(_, k)| k == *t)) {
            return (execution, test.clone());
        }
    }
    panic!("every execution has every test of its plan");
}
