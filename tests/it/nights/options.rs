//! What a pipeline file or a command line can ask for beyond the shipped pipeline.

use serde_json::{Value, json};
use testferry::model::Side;
use testferry::stages::{Failure, Options};

use super::bench::{Bench, list};

const TITLE: &str = "System.Title";

fn edit(bench: &mut Bench, old: &str, new: &str) {
    assert!(bench.text.contains(old), "{old} is not in the pipeline");
    bench.text = bench.text.replace(old, new);
}

/// Sets the policy for test cases whose counterpart is gone.
fn deletions(bench: &mut Bench, policy: &str) {
    let old = "    deletions: report\n    match: [Azure DevOps ID, Xray ID]\n\n  test-runs:";
    edit(bench, old, &old.replace("deletions: report", &format!("deletions: {policy}")));
}

async fn delete_issue(bench: &Bench, id: &str) {
    bench.jira("DELETE", &format!("issue/{id}"), Value::Null).await;
}

#[tokio::test]
async fn case_whose_test_is_gone_is_closed_and_unfiled_once() {
    let (mut bench, _) = Bench::synced(20, 1).await;
    deletions(&mut bench, "propagate");
    let (case, test) = bench.keys("test-cases").await.remove(0);
    delete_issue(&bench, &test).await;
    let done = bench.sync().await;
    assert_eq!(done.rejected, []);
    assert_eq!(done.report.integrations["test-cases"].left.deleted, 1);
    assert_eq!(done.report.integrations["test-cases"].gone, 1);
    assert_eq!(bench.item_text(&case, "System.State").await, "Closed");
    for (plan, _) in bench.keys("test-plans").await {
        for (_, members) in bench.suites(&plan).await {
            assert!(!members.contains(&case));
        }
    }
    // Whoever takes it up again means it.
    bench.edit_item(&case, &[("System.State", "Design")]).await;
    let again = bench.sync().await;
    assert_eq!(again.plan.changes, []);
    assert_eq!(bench.item_text(&case, "System.State").await, "Design");
}

#[tokio::test]
async fn destroying_what_lost_its_counterpart_deletes_it() {
    let (mut bench, _) = Bench::synced(20, 1).await;
    deletions(&mut bench, "{ policy: propagate, destroy: true }");
    let (case, test) = bench.keys("test-cases").await.remove(0);
    bench.ado("DELETE", &format!("testplan/testcases/{case}"), Value::Null).await;
    let done = bench.sync().await;
    assert_eq!(done.rejected, []);
    assert_eq!(done.report.integrations["test-cases"].right.deleted, 1);
    let found = bench.jira("POST", "issue/bulkfetch", json!({"issueIdsOrKeys": [test]})).await;
    assert_eq!(list(&found["issues"]), Vec::<Value>::new());
    assert_eq!(bench.plan().await.plan.changes, []);
}

#[tokio::test]
async fn mark_is_set_once_along_the_workflow() {
    let (mut bench, _) = Bench::synced(20, 1).await;
    deletions(&mut bench, "{ policy: mark, field: Status, value: Done }");
    let mut chosen = None;
    for (case, test) in bench.keys("test-cases").await {
        if ["New", "In Progress"].contains(&bench.status(&test).await.as_str()) {
            chosen = Some((case, test));
            break;
        }
    }
    let (case, test) = chosen.expect("a test that is not done");
    bench.ado("DELETE", &format!("testplan/testcases/{case}"), Value::Null).await;
    let done = bench.sync().await;
    assert_eq!(done.rejected, []);
    assert_eq!(bench.status(&test).await, "Closed");
    assert_eq!(bench.plan().await.plan.changes, []);
    bench.transit(&test, "Reopen Issue").await;
    let again = bench.sync().await;
    assert_eq!(again.plan.changes, []);
    assert_eq!(bench.status(&test).await, "Reopened");
}

#[tokio::test]
async fn removing_much_stops_unless_it_is_agreed_to() {
    let (mut bench, _) = Bench::synced(20, 1).await;
    deletions(&mut bench, "propagate");
    for (_, test) in bench.keys("test-cases").await.iter().take(5) {
        delete_issue(&bench, test).await;
    }
    let states = bench.states();
    let stopped = bench.run(Options { load: true, ..Options::default() }).await;
    let Err(Failure::Brake(why)) = stopped else { panic!("{stopped:?}") };
    assert!(why.contains("remove 5 of") && why.contains("--yes-delete 5"), "{why}");
    assert_eq!(bench.states(), states, "nothing was written");
    assert!(bench.plan().await.brake.is_some());
    let agreed = Options { load: true, yes_delete: 5, ..Options::default() };
    let done = bench.run(agreed).await.expect("a run");
    assert_eq!(done.report.integrations["test-cases"].left.deleted, 5);
}

#[tokio::test]
async fn overwriting_much_stops_and_says_what() {
    let (mut bench, _) = Bench::synced(30, 1).await;
    edit(
        &mut bench,
        "    match: [Azure DevOps ID, Xray ID]\n\n  test-runs:",
        "    match: [Azure DevOps ID, Xray ID]\n    options: { overwrite_share_max: 0.1 }\n\n  test-runs:",
    );
    let keys = bench.keys("test-cases").await;
    assert!(keys.len() > 21);
    for (case, _) in keys.iter().take(21) {
        bench.edit_item(case, &[(TITLE, &format!("Renamed {case}"))]).await;
    }
    let states = bench.states();
    let stopped = bench.run(Options { load: true, ..Options::default() }).await;
    let Err(Failure::Brake(why)) = stopped else { panic!("{stopped:?}") };
    assert!(why.contains("overwrite 21 of") && why.contains("overwrite_share_max"), "{why}");
    assert_eq!(bench.states(), states, "nothing was written");
}

#[tokio::test]
async fn constant_that_is_to_be_kept_is_written_again_and_a_default_fills_in() {
    let (mut bench, _) = Bench::synced(20, 1).await;
    let (_, test) = bench.keys("test-cases").await.remove(0);
    edit(
        &mut bench,
        "      Priority: { constant: Medium }",
        "      Priority: { constant: Medium, update: always }",
    );
    let before = bench.sync().await;
    assert_eq!(before.report.integrations["test-cases"].left.updated, 0);
    bench.edit_issue(&test, json!({"priority": {"name": "High"}})).await;
    let done = bench.sync().await;
    let reasons: Vec<_> = done.plan.changes.iter().flat_map(|c| &c.fields).map(|f| f.reason).collect();
    assert_eq!(reasons, ["constant"]);
    assert_eq!(bench.issue(&test).await["priority"]["name"], "Medium");
    assert_eq!(bench.plan().await.plan.changes, []);
}

#[tokio::test]
async fn field_that_is_filled_only_while_empty_keeps_what_it_holds() {
    let (mut bench, _) = Bench::synced(20, 1).await;
    let (case, test) = bench.keys("test-cases").await.remove(0);
    let at = bench.text.find("  xray.tests:").expect("the collection");
    let (head, tail) = bench.text.split_at(at);
    let field = "      Summary: Summary\n";
    let tail = tail.replacen(field, "      Summary: { to: Summary, update: if-empty }\n", 1);
    bench.text = format!("{head}{tail}");
    let old = bench.summary(&test).await;
    bench.edit_item(&case, &[(TITLE, "Said on the left")]).await;
    let done = bench.sync().await;
    assert_eq!(done.plan.changes, []);
    assert!(done.plan.losses.iter().all(|l| l.kind != "one-way"), "{:?}", done.plan.losses);
    assert_eq!(bench.summary(&test).await, old);
}

#[tokio::test]
async fn filter_and_expression_decide_what_crosses() {
    let (mut bench, _) = Bench::synced(20, 1).await;
    let at = bench.text.find("  ado.test-cases:").expect("the collection");
    let (head, tail) = bench.text.split_at(at);
    let tail = tail.replacen(
        "    artifact: Test Case\n    fields:\n      Title: Summary\n",
        "    artifact: Test Case\n    filter: a.title NOT LIKE 'Skip%'\n    fields:\n      Title: { to: Summary, sql: upper(a.title) }\n",
        1,
    );
    let meant = "options: { overwrite_share_max: 1 }";
    let tail = tail.replacen("  test-cases:\n", &format!("  test-cases:\n    {meant}\n"), 1);
    bench.text = format!("{head}{tail}");
    let skipped = bench.add_case(&[(TITLE, "Skip me")]).await;
    let taken = bench.add_case(&[(TITLE, "Take me")]).await;
    bench.sync().await;
    assert_eq!(bench.other("test-cases", Side::Left, &skipped).await, None);
    let made = bench.other("test-cases", Side::Left, &taken).await.expect("a counterpart");
    assert_eq!(bench.summary(&made).await, "TAKE ME");
}

#[tokio::test]
async fn one_key_is_written_and_the_rest_waits_for_the_next_run() {
    let (bench, _) = Bench::synced(20, 1).await;
    let keys = bench.keys("test-cases").await;
    for (case, _) in &keys[..3] {
        bench.edit_item(case, &[(TITLE, &format!("Renamed {case}"))]).await;
    }
    let unknown = Options { load: true, key: Some("NOPE-1".into()), ..Options::default() };
    let unknown = bench.run(unknown).await;
    assert!(matches!(&unknown, Err(Failure::Unknown(why)) if why.contains("NOPE-1")), "{unknown:?}");
    let one = Options { load: true, key: Some(keys[1].0.clone()), ..Options::default() };
    let done = bench.run(one).await.expect("a run");
    let written: Vec<_> = done.plan.changes.iter().map(|c| c.key.clone()).collect();
    assert_eq!(written, [Some(keys[1].1.clone())]);
    assert_eq!(bench.summary(&keys[1].1).await, format!("Renamed {}", keys[1].0));
    let limited = Options { load: true, limit: Some(1), ..Options::default() };
    let done = bench.run(limited).await.expect("a run");
    assert_eq!((done.plan.changes.len(), done.report.exit), (1, 4));
    let done = bench.sync().await;
    assert_eq!(done.plan.changes.len(), 1);
    assert_eq!(bench.plan().await.plan.changes, []);
}
