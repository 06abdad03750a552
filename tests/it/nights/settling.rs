//! Creates whose answer was lost: they are found again, and never made twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use testferry::model::Side;
use testferry::sandbox::{FaultKind, FaultPlan};
use testferry::stages::pairing::State;
use testferry::stages::{Options, Progress};

use super::bench::{Bench, XRAY};

const TITLE: &str = "System.Title";

/// Ends a run after the first batch of what it writes.
struct EndsAfter {
    what: &'static str,
    writing: AtomicBool,
    stop: Arc<AtomicBool>,
}

impl Progress for EndsAfter {
    fn start(&self, what: &str, _: u64) {
        self.writing.store(what == self.what, Ordering::Relaxed);
    }
    fn advance(&self, _: u64) {
        if self.writing.load(Ordering::Relaxed) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
    fn finish(&self) {}
}

fn once(kind: FaultKind, path: &str) -> FaultPlan {
    FaultPlan {
        path: path.into(),
        at: [(1, kind)].into(),
        methods: vec!["POST".into()],
        ..FaultPlan::default()
    }
}

/// A run that makes a test for a new case, loses the answer and ends.
async fn lost_create(bench: &Bench) -> String {
    let case = bench.add_case(&[(TITLE, "Made once")]).await;
    bench.sandbox.set_faults_of(XRAY, Some(once(FaultKind::CutAfter, "import/test/bulk")));
    let stop = Arc::new(AtomicBool::new(false));
    let ends = EndsAfter { what: "writing test-cases", writing: AtomicBool::new(false), stop: stop.clone() };
    let options = Options { load: true, stop, ..Options::default() };
    let done = bench.run_telling(options, &ends).await.expect("a run");
    bench.sandbox.set_faults(None);
    let unknown: Vec<_> = done.rejected.iter().filter(|h| h.reason == "unknown").collect();
    assert_eq!(unknown.len(), 1, "{:?}", done.rejected);
    case
}

/// The tests that carry a title.
async fn titled(bench: &Bench, title: &str) -> Vec<String> {
    let jql = format!("summary ~ \"\\\"{title}\\\"\" AND issuetype = Test");
    let found = bench.jira("POST", "search/jql", json!({"jql": jql, "fields": ["summary"]})).await;
    let ids = super::bench::list(&found["issues"]);
    ids.iter().filter_map(|i| i["id"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn create_whose_answer_was_lost_is_found_in_the_same_night() {
    let (bench, _) = Bench::synced(20, 1).await;
    let case = bench.add_case(&[(TITLE, "Made once")]).await;
    bench.sandbox.set_faults_of(XRAY, Some(once(FaultKind::CutAfter, "import/test/bulk")));
    let done = bench.sync().await;
    bench.sandbox.set_faults(None);
    assert_eq!(done.rejected, []);
    let made = bench.other("test-cases", Side::Left, &case).await.expect("a counterpart");
    assert_eq!(titled(&bench, "Made once").await, [made]);
    assert_eq!(done.report.integrations["test-cases"].right.created, 1);
    assert_eq!(bench.plan().await.plan.changes, []);
}

#[tokio::test]
async fn create_that_did_not_happen_is_asked_for_again_in_the_same_night() {
    let (bench, _) = Bench::synced(20, 1).await;
    let case = bench.add_case(&[(TITLE, "Made once")]).await;
    bench.sandbox.set_faults_of(XRAY, Some(once(FaultKind::CutBefore, "import/test/bulk")));
    let done = bench.sync().await;
    bench.sandbox.set_faults(None);
    assert_eq!(done.rejected, []);
    let made = bench.other("test-cases", Side::Left, &case).await.expect("a counterpart");
    assert_eq!(titled(&bench, "Made once").await, [made]);
    assert_eq!(bench.plan().await.plan.changes, []);
}

#[tokio::test]
async fn create_of_an_earlier_night_is_found_by_the_next() {
    let (bench, _) = Bench::synced(20, 1).await;
    let case = lost_create(&bench).await;
    let done = bench.sync().await;
    assert_eq!(done.report.integrations["test-cases"].right.created, 0);
    let made = bench.other("test-cases", Side::Left, &case).await.expect("a counterpart");
    assert_eq!(titled(&bench, "Made once").await, [made]);
    assert_eq!(bench.plan().await.plan.changes, []);
}

#[tokio::test]
async fn create_with_two_candidates_is_held_until_one_of_them_is_gone() {
    let (bench, _) = Bench::synced(20, 1).await;
    let case = lost_create(&bench).await;
    let made = titled(&bench, "Made once").await;
    let [first] = &made[..] else { panic!("{made:?}") };
    let fields = bench.jira("GET", "field", Value::Null).await;
    let of_first = bench.issue(first).await;
    let mut copied = serde_json::Map::new();
    for name in ["Azure DevOps ID", "Azure DevOps URL"] {
        let field = super::bench::list(&fields).into_iter().find(|f| f["name"] == name);
        let id = field.expect("a custom field")["id"].as_str().expect("an id").to_owned();
        copied.insert(id.clone(), of_first[&id].clone());
    }
    let twin = bench.add_test("Made once", &[]).await;
    bench.edit_issue(&twin, Value::Object(copied)).await;
    let totals =
        [bench.sandbox.state("azure-devops"), bench.sandbox.state(XRAY)].map(|s| s.expect("served").1);
    for night in 1..=3 {
        let done = if night == 2 { bench.plan().await } else { bench.sync().await };
        let held: Vec<_> =
            done.plan.held.iter().filter(|h| h.pair.as_str() == format!("test-cases/L{case}")).collect();
        let [held] = &held[..] else { panic!("night {night}: {held:?}") };
        assert_eq!((held.reason, held.side), ("ambiguous", Side::Right));
        assert!(held.detail.contains(first) && held.detail.contains(&twin), "{held:?}");
        let made = done.plan.changes.iter().filter(|c| c.key.is_none()).count();
        assert_eq!(made, 0, "night {night}: {:?}", done.plan.changes);
        assert_eq!(done.report.exit, 1);
    }
    let after =
        [bench.sandbox.state("azure-devops"), bench.sandbox.state(XRAY)].map(|s| s.expect("served").1);
    assert_eq!(after, totals, "nothing was made");
    bench.jira("DELETE", &format!("issue/{twin}"), Value::Null).await;
    bench.sync().await;
    let pairs = bench.all_pairs().await;
    let pair = pairs.find("test-cases", Side::Left, &case).expect("the pair");
    assert_eq!((pair.state, pair.right.as_deref()), (State::Live, Some(first.as_str())));
    assert_eq!(bench.plan().await.plan.changes, []);
}
