//! `sql`, `audit`, `snapshots` and `pairs` over what one plan staged.

use super::program::Bench;

fn rows(bench: &Bench, query: &str) -> serde_json::Value {
    let ended = bench.run(&["sql", "--format", "json", query]);
    assert_eq!(ended.code, 0, "{ended:?}");
    serde_json::from_str(&ended.stdout).expect("JSON")
}

#[test]
fn neutral_views_of_both_systems_join_without_asking_either() {
    let bench = Bench::planned();
    let found = rows(
        &bench,
        "SELECT (SELECT count(*) FROM ado.case) AS l, (SELECT count(*) FROM xray.case) AS r, \
         (SELECT count(*) FROM ado.test_cases) AS native",
    );
    let count = |name: &str| found[0][name].as_i64().expect("a number");
    assert!(count("l") > 0 && count("r") > 0, "{found}");
    assert_eq!(count("l"), count("native"));
    let planned = rows(&bench, "SELECT count(DISTINCT change) AS n FROM plan.changes");
    assert!(planned[0]["n"].as_i64() > Some(0), "{planned}");
    let listed = bench.run(&["snapshots", "list", "--format", "csv"]);
    assert_eq!(listed.stdout.lines().count(), 2, "{listed:?}");
    let pairs = bench.run(&["pairs", "list", "--state", "lost"]);
    assert_eq!(pairs.code, 2, "{pairs:?}");
}

#[test]
fn statements_that_write_are_refused() {
    let bench = Bench::planned();
    let target = bench.path("stolen.csv");
    let copy = format!("COPY (SELECT 1) TO '{}'", target.display());
    for statement in
        ["CREATE TABLE t AS SELECT 1", "DROP VIEW ado.case", &copy, "SET x.y = 1", "DELETE FROM sync.pairs"]
    {
        let ended = bench.run(&["sql", statement]);
        assert_eq!(ended.code, 2, "{statement}: {ended:?}");
        assert!(ended.stdout.is_empty(), "{ended:?}");
    }
    assert!(!target.exists());
}

#[test]
fn every_audit_runs_over_both_repositories() {
    let bench = Bench::planned();
    let listed = bench.run(&["audit"]);
    let names: Vec<&str> = listed.stdout.lines().filter_map(|line| line.split("  ").next()).collect();
    assert_eq!(names.len(), 5, "{listed:?}");
    for name in names {
        let ended = bench.run(&["audit", name, "--format", "csv"]);
        assert_eq!(ended.code, 0, "{name}: {ended:?}");
    }
    let covered = bench.run(&["audit", "coverage-by-plan", "--repository", "xray", "--fail-on", "rows"]);
    assert_eq!(covered.code, 1, "{covered:?}");
    let page = bench.path("audits.html");
    let written = bench.run(&["audit", "--html", &page.display().to_string()]);
    assert_eq!(written.code, 0, "{written:?}");
    assert!(std::fs::read_to_string(page).expect("a page").contains("never-executed"));
}
