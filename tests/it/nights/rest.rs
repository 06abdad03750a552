//! A run that finds nothing new writes nothing, and says the same of what it could not write.

use std::collections::BTreeMap;

use testferry::sandbox::LoggedRequest;

use super::bench::{ADO, Bench, XRAY, reasons};

/// Everything that a run without changes may ask: method and pattern, in which `*` stands
/// for one part of the path and `**` for all of it. The calls by POST among them only read.
const READING: [(&str, &str, &str); 8] = [
    (ADO, "GET", "**"),
    (ADO, "POST", "/*/*/_apis/wit/wiql"),
    (ADO, "POST", "/*/_apis/wit/workitemsbatch"),
    (XRAY, "GET", "**"),
    (XRAY, "POST", "/api/v2/authenticate"),
    // A mutation comes by the same route; the log tells that it changed something.
    (XRAY, "POST", "/api/v2/graphql"),
    (XRAY, "POST", "/rest/api/3/issue/bulkfetch"),
    (XRAY, "POST", "/rest/api/3/search/jql"),
];

fn matches(pattern: &str, path: &str) -> bool {
    if pattern == "**" {
        return true;
    }
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len()
        && pattern.iter().zip(path).all(|(p, part)| *p == "*" || p.eq_ignore_ascii_case(part))
}

/// Requests beyond the list, or that changed something although they are on it.
fn writing(system: &str, log: &[LoggedRequest]) -> Vec<String> {
    let reads = |r: &LoggedRequest| {
        let mut known = READING.iter().filter(|(s, method, _)| *s == system && *method == r.method);
        !r.changed && known.any(|(_, _, pattern)| matches(pattern, &r.path))
    };
    log.iter().filter(|r| !reads(r)).map(|r| format!("{} {}", r.method, r.path)).collect()
}

/// Makes two runs, expects that the second rests, and gives what the first held.
async fn rests_after_one_run(size: usize) -> BTreeMap<String, usize> {
    let (bench, first) = Bench::synced(size, 1).await;
    assert_eq!(first.report.exit, 1);
    assert_eq!(first.rejected, []);
    let (states, marks) = (bench.states(), [ADO, XRAY].map(|s| bench.mark(s)));
    let second = bench.sync().await;
    assert_eq!(second.plan.changes, []);
    assert_eq!(bench.states(), states);
    for (system, mark) in [ADO, XRAY].into_iter().zip(marks) {
        let log = bench.log_since(system, mark);
        assert!(!log.is_empty());
        assert_eq!(writing(system, &log), Vec::<String>::new());
    }
    assert_eq!(second.rejected, []);
    assert_eq!(reasons(&second.plan.held), reasons(&first.plan.held));
    reasons(&first.plan.held)
}

fn expected(rows: &[(&str, usize)]) -> BTreeMap<String, usize> {
    rows.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
}

#[tokio::test]
async fn second_run_of_a_small_company_writes_nothing() {
    let held = rests_after_one_run(20).await;
    // The set without plan; an execution of tests that its plan lacks; a status of Xray's
    // that the pipeline does not list.
    let known = [
        ("test-results left Result Status: held value", 1),
        ("test-results left: required end missing", 4),
        ("test-suites left: required end missing", 1),
    ];
    assert_eq!(held, expected(&known));
}

#[tokio::test]
async fn second_run_of_a_larger_company_writes_nothing() {
    let held = rests_after_one_run(50).await;
    let known = [
        ("test-results left Result Status: held value", 1),
        ("test-results left: required end missing", 8),
        ("test-suites left: required end missing", 1),
    ];
    assert_eq!(held, expected(&known));
}
