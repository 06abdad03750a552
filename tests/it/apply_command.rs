//! `apply` loads the plan that was reviewed, once.

use super::program::Bench;

#[test]
fn a_plan_is_applied_once_and_then_refused() {
    let bench = Bench::new();
    let planned = bench.pipeline("plan", &["--sandbox", "--size", "12", "--json", "--quiet"]);
    let report: serde_json::Value = serde_json::from_str(&planned.stdout).expect("a report");
    let run = report["run"].as_str().expect("a name");
    let applied = bench.pipeline("apply", &[run, "--sandbox", "--size", "12", "--json", "--quiet"]);
    assert!(applied.code <= 1, "{applied:?}");
    let report: serde_json::Value = serde_json::from_str(&applied.stdout).expect("a report");
    let sides = report["integrations"].as_object().expect("integrations").values();
    let written: u64 = sides
        .flat_map(|i| [&i["left"], &i["right"]])
        .map(|s| s["created"].as_u64().unwrap_or(0) + s["updated"].as_u64().unwrap_or(0))
        .sum();
    assert!(written > 0, "{report}");
    let again = bench.pipeline("apply", &[run, "--sandbox", "--size", "12", "--quiet"]);
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.stderr.contains("wrote after plan"), "{again:?}");
}
