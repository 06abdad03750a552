//! Both sides edited, the pipeline edited, or a run in between: nothing is lost and nothing is doubled.

use serde_json::json;
use testferry::model::Side;

use super::bench::{Bench, list};

const TITLE: &str = "System.Title";

#[tokio::test]
async fn both_titles_edited_ends_with_xrays_and_a_plan_in_between_swallows_nothing() {
    let (bench, _) = Bench::synced(20, 1).await;
    let (case, test) = bench.keys("test-cases").await.remove(0);
    let old = bench.summary(&test).await;
    bench.edit_item(&case, &[(TITLE, "said in Azure DevOps")]).await;
    bench.edit_issue(&test, json!({"summary": "said in Xray"})).await;
    let states = bench.states();
    let planned = bench.plan().await.plan;
    assert_eq!(bench.states(), states, "a plan writes nothing");
    let done = bench.sync().await;
    for plan in [&planned, &done.plan] {
        let [conflict] = &plan.conflicts[..] else { panic!("{:?}", plan.conflicts) };
        assert_eq!(conflict.field, "Summary");
        assert_eq!(conflict.left.as_deref(), Some("said in Azure DevOps"));
        assert_eq!(conflict.right.as_deref(), Some("said in Xray"));
        assert_eq!((&conflict.base_left, &conflict.base_right), (&Some(old.clone()), &Some(old.clone())));
        assert_eq!(conflict.winner, Some(Side::Right));
    }
    assert_eq!(bench.item_text(&case, TITLE).await, "said in Xray");
    assert_eq!(bench.summary(&test).await, "said in Xray");
    let after = bench.plan().await.plan;
    assert_eq!((after.changes, after.conflicts), (vec![], vec![]));
}

#[tokio::test]
async fn changed_mapping_writes_nothing_until_it_is_reconciled() {
    let (mut bench, _) = Bench::synced(20, 1).await;
    // Cases that are ready are done from now on, and those in progress are still designed.
    let lines = [
        (
            "read:  { Design: New, Ready: In Progress, Closed: Done }",
            "read:  { Design: New, Ready: Done, Closed: Done }",
        ),
        (
            "write: { New: [Design], To Do: [Design], In Progress: [Ready], Done: [Closed] }",
            "write: { New: [Design], To Do: [Design], In Progress: [Design], Done: [Closed, Ready] }",
        ),
    ];
    for (old, new) in lines {
        assert!(bench.text.contains(old));
        bench.text = bench.text.replace(old, new);
    }
    let states = bench.states();
    let done = bench.sync().await;
    assert_eq!(done.plan.changes, []);
    assert_eq!(bench.states(), states);
    assert!(!done.plan.differences.is_empty(), "what differs now is told");
    let reconcile = testferry::stages::Options { load: true, reconcile: true, ..Default::default() };
    let reconciled = bench.run(reconcile).await.expect("a run");
    assert!(!reconciled.plan.changes.is_empty());
    let reasons = reconciled.plan.changes.iter().flat_map(|c| &c.fields).map(|f| f.reason);
    assert_eq!(reasons.collect::<std::collections::BTreeSet<_>>(), ["reconciled"].into());
    // Xray dominates, so that its status is what both hold in the end.
    let written: std::collections::BTreeSet<_> =
        reconciled.plan.changes.iter().flat_map(|c| &c.fields).map(|f| f.native_field.as_str()).collect();
    assert_eq!(written, ["State"].into());
    let after = bench.plan().await.plan;
    assert_eq!(after.changes, []);
}

#[tokio::test]
async fn survivor_of_a_deleted_twin_is_not_created_again() {
    let (bench, _) = Bench::synced(20, 1).await;
    let pairs = bench.keys("test-cases").await;
    bench.jira("DELETE", &format!("issue/{}", pairs[0].1), serde_json::Value::Null).await;
    bench.ado("DELETE", &format!("testplan/testcases/{}", pairs[1].0), serde_json::Value::Null).await;
    let done = bench.sync().await;
    let made = |c: &&testferry::stages::plan::Planned| c.key.is_none();
    assert_eq!(done.plan.changes.iter().filter(made).collect::<Vec<_>>(), Vec::<&_>::new());
    let again = bench.sync().await;
    assert_eq!(again.plan.changes, []);
    assert!(!bench.item_text(&pairs[0].0, TITLE).await.is_empty());
    assert!(!bench.summary(&pairs[1].1).await.is_empty());
}

#[tokio::test]
async fn cases_that_two_people_add_to_one_plan_both_arrive() {
    let (bench, _) = Bench::synced(20, 1).await;
    let mut chosen = None;
    for (plan, test_plan) in bench.keys("test-plans").await {
        if let Some((suite, _)) = bench.suites(&plan).await.into_iter().next() {
            chosen = Some((plan, test_plan, suite));
            break;
        }
    }
    let (plan, test_plan, suite) = chosen.expect("a plan with a suite");
    let case = bench.add_case(&[(TITLE, "Made in Azure DevOps")]).await;
    bench.file(&plan, &suite, &case).await;
    let test = bench.add_test("Made in Xray", &["Press a key"]).await;
    bench.associate("addTestsToTestPlan", &test_plan, &[&test]).await;
    let done = bench.sync().await;
    assert_eq!(done.rejected, []);
    let made = bench.other("test-cases", Side::Left, &case).await.expect("a test for the case");
    assert!(bench.tests_of("TestPlan", &test_plan).await.contains(&made));
    let made = bench.other("test-cases", Side::Right, &test).await.expect("a case for the test");
    assert_eq!(bench.item_text(&made, TITLE).await, "Made in Xray");
    let listed = bench.ado("GET", &format!("testplan/Plans/{plan}/suites"), serde_json::Value::Null).await;
    let mut found = false;
    for suite in list(&listed["value"]) {
        found |= bench.members(&plan, &suite["id"].to_string()).await.contains(&made);
    }
    assert!(found, "{made} is not in plan {plan}");
    let after = bench.plan().await.plan;
    assert_eq!((after.changes, after.conflicts), (vec![], vec![]));
}
