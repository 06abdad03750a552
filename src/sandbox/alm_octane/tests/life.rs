//! Scripts, suites, runs and pushed results, from their making to their end.

use serde_json::{Value, json};

use super::bench::{Bench, names, native};

impl Bench {
    async fn script(&self, test: &str, script: &str) {
        self.put(&format!("tests/{test}/script"), json!({"script": script, "revision_type": "Minor"})).await;
    }

    async fn suite_run(&self, suite: &str) -> String {
        let run = json!({
            "subtype": "run_suite", "name": "Nightly", "test": {"type": "test", "id": suite},
            "release": self.release().await, "native_status": native("planned"),
        });
        self.create("runs", run).await
    }

    /// Asks until a suite run has so many runs.
    async fn children(&self, run: &str, count: usize) -> Vec<Value> {
        let begun = std::time::Instant::now();
        loop {
            let found = self.find("runs", &format!("parent_suite EQ {{id EQ {run}}}")).await;
            if found.len() == count {
                return found;
            }
            assert!(begun.elapsed().as_secs() < 20, "{} runs", found.len());
            tokio::task::yield_now().await;
        }
    }

    async fn push(&self, xml: &str, arguments: &str) -> (u16, Value) {
        let kind = [("Content-Type", "application/xml")];
        let path = format!("test-results{arguments}");
        let response = self.raw("POST", &path, &kind, xml.as_bytes().to_vec()).await;
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
    }

    async fn pushed(&self, id: &Value) -> Value {
        let begun = std::time::Instant::now();
        loop {
            let status = self.get(&format!("test-results/{id}")).await;
            if status["status"] != "queued" {
                return status;
            }
            assert!(begun.elapsed().as_secs() < 20, "{status}");
        }
    }
}

#[tokio::test]
async fn scripts_come_back_as_they_were_sent() {
    let bench = Bench::empty().await;
    let test = bench.test("A").await;
    assert_eq!(bench.get(&format!("tests/{test}/script")).await["script"], "");
    let script = "- Open <b>it</b>\n- ? It is open\n- Close\n";
    bench.script(&test, script).await;
    let held = bench.get(&format!("tests/{test}/script")).await;
    assert_eq!(held["script"], script);
    assert_eq!(bench.get(&format!("manual_tests/{test}?fields=steps_num")).await["steps_num"], 3);
    bench.script(&test, script).await;
    bench.script(&test, "- Other\n").await;
    let versions = bench.find("test_versions", &format!("test EQ {{id EQ {test}}}")).await;
    assert_eq!(versions.len(), 2, "the same script makes no revision");
}

#[tokio::test]
async fn a_manual_run_takes_over_the_steps_and_keeps_their_results() {
    let bench = Bench::empty().await;
    let (called, test) = (bench.test("Log in").await, bench.test("A").await);
    bench.script(&called, "- Enter the name\n- ? The name is shown\n").await;
    bench.script(&test, &format!("- Open\n- @{called} Log in\n- ?Done\n")).await;
    let run =
        json!({"name": "A", "native_status": native("not_completed"), "test": {"type": "test", "id": test}});
    let (status, error) = bench.send("POST", "manual_runs", Some(json!({"data": [run]}))).await;
    assert_eq!((status, &error["errors"][0]["properties"]["field_name"]), (409, &json!("release")));
    let mut run = run;
    run["release"] = bench.release().await;
    let run = bench.create("manual_runs", run).await;
    let steps = bench.find("run_steps", &format!("run EQ {{id EQ {run}}}")).await;
    let texts: Vec<_> = steps.iter().map(|s| s["description"].as_str().unwrap()).collect();
    assert_eq!(texts, ["Open", "Enter the name", "The name is shown", "Done"]);
    assert_eq!(steps[3]["step_type"]["id"], "list_node.manual_test_run_step_type.validate");
    let step = format!("run_steps/{}", steps[1]["id"].as_str().unwrap());
    bench.put(&step, json!({"result": native("failed"), "actual": "no"})).await;
    let held = bench.get(&step).await;
    assert_eq!(held["result"]["id"], "list_node.run_native_status.failed");
    assert_eq!(held["actual"], "<html><body>\nno\n</body></html>");
    assert_eq!(bench.send("PUT", &step, Some(json!({"description": "x"}))).await.0, 403);
    bench.put(&format!("runs/{run}"), json!({"native_status": native("blocked"), "duration": 61000})).await;
    let held = bench.get(&format!("runs/{run}")).await;
    assert_eq!(held["status"]["id"], "list_node.run_status.requires_attention");
    assert_eq!(held["duration"], 61000);
    assert!(held["started"].as_str().unwrap().ends_with('Z'));
    let started = json!({"started": "2020-01-01T00:00:00Z"});
    assert_eq!(bench.send("PUT", &format!("runs/{run}"), Some(started)).await.0, 403);
}

#[tokio::test]
async fn a_suite_run_makes_its_own_runs_after_a_while() {
    let bench = Bench::empty().await;
    let (a, b, c) = (bench.test("A").await, bench.test("B").await, bench.test("C").await);
    bench.script(&a, "- Do\n").await;
    let suite = bench.suite("S", &[&a, &b, &c]).await;
    let links = bench
        .find("test_suite_link_to_tests", &format!("test_suite EQ {{id EQ {suite}}};!test EQ {{null}}"))
        .await;
    let last = format!("test_suite_link_to_tests/{}", links[2]["id"].as_str().unwrap());
    bench.put(&last, json!({"include_in_next_run": false})).await;
    let run = bench.suite_run(&suite).await;
    let children = bench.children(&run, 2).await;
    assert_eq!(names(&children), ["A", "B"]);
    assert_eq!(children[0]["status"]["id"], "list_node.run_status.planned");
    let first = children[0]["id"].as_str().unwrap();
    assert_eq!(bench.find("run_steps", &format!("run EQ {{id EQ {first}}}")).await.len(), 1);
    for child in &children {
        let path = format!("runs/{}", child["id"].as_str().unwrap());
        bench.put(&path, json!({"native_status": native("passed")})).await;
    }
    let held = bench.get(&format!("suite_run/{run}?fields=status,runs_in_suite{{name}}")).await;
    assert_eq!(held["status"]["id"], "list_node.run_status.passed");
    assert_eq!(held["runs_in_suite"]["total_count"], 2);
    assert_eq!(bench.send("DELETE", &format!("runs/{run}"), None).await.0, 200);
    assert_eq!(bench.get("runs").await["total_count"], 0);
}

#[tokio::test]
async fn links_and_runs_take_tests_of_their_kind_only() {
    let bench = Bench::empty().await;
    let test = bench.test("A").await;
    let suite = bench.suite("S", &[]).await;
    let link = |kind: &str, test: &str| {
        json!({"data": [{"subtype": format!("test_suite_link_to_{kind}"), "test": {"type": "test", "id": test},
            "test_suite": {"type": "test", "id": suite}}]})
    };
    assert_eq!(bench.send("POST", "test_suite_link_to_tests", Some(link("automated", &test))).await.0, 409);
    assert_eq!(bench.send("POST", "test_suite_link_to_tests", Some(link("manual", &suite))).await.0, 409);
    let run = json!({"data": [{"subtype": "run_suite", "name": "x", "test": {"type": "test", "id": test},
        "release": bench.release().await, "native_status": native("planned")}]});
    assert_eq!(bench.send("POST", "runs", Some(run)).await.0, 409);
    let automated = bench.send("POST", "automated_runs", Some(json!({"data": []}))).await;
    assert_eq!((automated.0, &automated.1["error_code"]), (403, &json!("platform.web_application")));
}

#[tokio::test]
async fn defects_are_seen_from_both_ends() {
    let bench = Bench::empty().await;
    let test = bench.test("A").await;
    let run = json!({"name": "A", "native_status": native("failed"), "test": {"type": "test", "id": test},
        "release": bench.release().await});
    let run = bench.create("manual_runs", run).await;
    let root = bench.get("work_item_roots").await["data"][0]["id"].clone();
    let defect = bench
        .create(
            "defects",
            json!({"name": "D", "phase": {"type": "phase", "id": "phase.defect.new"},
            "parent": {"type": "work_item_root", "id": root}}),
        )
        .await;
    let body = json!({"run": {"data": [{"type": "run", "id": run}]}});
    bench.put(&format!("defects/{defect}?reference_update_mode=append"), body).await;
    let seen = bench.get(&format!("runs/{run}?fields=defect")).await;
    assert_eq!(seen["defect"]["data"][0]["name"], "D");
    bench.put(&format!("runs/{run}"), json!({"defect": {"data": []}})).await;
    assert_eq!(bench.get(&format!("defects/{defect}?fields=run")).await["run"]["total_count"], 0);
    let orphan = json!({"data": [{"name": "D", "phase": {"type": "phase", "id": "phase.defect.new"}}]});
    let (_, error) = bench.send("POST", "defects", Some(orphan)).await;
    assert_eq!(error["errors"][0]["description"], "Missing required field 'Parent' ('parent')");
}

#[tokio::test]
async fn pushed_results_become_automated_tests_with_runs() {
    let bench = Bench::empty().await;
    let suite = bench.suite("S", &[]).await;
    let xml = |started: i64| {
        format!(
            r#"<?xml version="1.0"?><test_result><suite_ref id="{suite}" external_run_id="n-1"/>
            <release name="_default_"/><environment><taxonomy type="Browser" value="Chrome"/></environment>
            <test_runs><test_run package="com.x" class="LoginTest" name="works &amp; more" status="Passed"
              duration="2" started="{started}"/>
            <test_run package="com.x" class="LoginTest" name="fails" status="Failed">
              <error type="E" message="expected 1">stack &lt;1&gt;</error></test_run></test_runs></test_result>"#
        )
    };
    let first = xml(1_443_096_986_850);
    let (status, queued) = bench.push(&first, "").await;
    assert_eq!((status, &queued["status"]), (202, &json!("queued")));
    assert_eq!(bench.pushed(&queued["id"]).await["status"], "success");
    assert_eq!(bench.push(&first, "").await.1, {
        let mut again = queued.clone();
        again["status"] = json!("success");
        again["until"] = bench.push(&first, "").await.1["until"].clone();
        again
    });
    let (_, second) = bench.push(&xml(1_443_096_999_000), "").await;
    assert_eq!(bench.pushed(&second["id"]).await["status"], "success");
    let tests = bench.find("automated_tests", "class_name EQ ^LoginTest^").await;
    assert_eq!(names(&tests), ["works & more", "fails"]);
    let runs = bench
        .get("automated_runs?order_by=id&fields=name,started,error_details,parent_suite,taxonomies")
        .await;
    assert_eq!(runs["total_count"], 4);
    assert_eq!(runs["data"][0]["started"], "2015-09-24T12:16:26Z");
    assert_eq!(runs["data"][1]["error_details"], "stack <1>");
    assert_eq!(runs["data"][0]["taxonomies"]["data"][0]["name"], "Chrome");
    assert_eq!(bench.get("suite_run").await["total_count"], 1, "the external id names one suite run");
}

#[tokio::test]
async fn results_that_break_the_schema_or_name_nothing_are_refused() {
    let bench = Bench::empty().await;
    for wrong in [
        "<x/>",
        "<test_result>",
        "<test_result><test_runs><test_run name='a' status='Ok'/></test_runs></test_result>",
    ] {
        assert_eq!(bench.push(wrong, "").await.0, 400, "{wrong}");
    }
    let lost = "<test_result><release_ref id='77'/><test_runs><test_run name='a' status='Passed'/></test_runs></test_result>";
    let (_, queued) = bench.push(lost, "").await;
    let status = bench.pushed(&queued["id"]).await;
    assert_eq!(status["status"], "failed");
    assert!(status["errorDetails"].as_str().unwrap().contains("77"));
    let (_, queued) = bench.push(&format!("{lost}\n"), "?skip-errors=true").await;
    assert_eq!(bench.pushed(&queued["id"]).await["status"], "warning");
    assert_eq!(bench.get("automated_runs").await["total_count"], 1);
}
