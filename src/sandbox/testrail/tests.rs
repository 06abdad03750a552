//! What the emulator promises, asked over real connections.

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine as _;
use serde_json::{Value, json};

use super::auth::{API_KEY, PASSWORD};
use crate::sandbox::world::World;
use crate::sandbox::{Sandbox, SandboxOptions};

const EMAIL: &str = "user1@calculator.example";

/// A raw answer.
struct Heard {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Heard {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

struct Bench {
    sandbox: Sandbox,
    prefix: &'static str,
    user: &'static str,
    secret: &'static str,
}

fn options(empty: bool) -> SandboxOptions {
    SandboxOptions {
        systems: vec!["testrail".to_owned()],
        size: 60,
        seed: 7,
        empty,
        ..SandboxOptions::default()
    }
}

impl Bench {
    async fn over(options: SandboxOptions) -> Bench {
        let sandbox = Sandbox::start(options).await.unwrap();
        Bench { sandbox, prefix: "", user: EMAIL, secret: API_KEY }
    }

    async fn empty() -> Bench {
        Bench::over(options(true)).await
    }

    async fn filled() -> Bench {
        Bench::over(options(false)).await
    }

    async fn raw(&self, verb: &str, call: &str, kind: &str, extra: &str, body: Vec<u8>) -> Heard {
        let address = self.sandbox.urls()[0].1["http://".len()..].to_owned();
        let basic =
            base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", self.user, self.secret));
        let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        let head = format!(
            "{verb} {}/index.php?/api/v2/{call} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Authorization: Basic {basic}\r\n{kind}{extra}Content-Length: {}\r\n\r\n",
            self.prefix,
            body.len()
        );
        let exchange = move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            answer
        };
        let answer = tokio::task::spawn_blocking(exchange).await.unwrap();
        let split = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..split]).to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Heard { status, head, body: answer[split + 4..].to_vec() }
    }

    async fn send(&self, verb: &str, call: &str, body: Value) -> (u16, Value) {
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let heard = self.raw(verb, call, "application/json", "", bytes).await;
        (heard.status, heard.json())
    }

    async fn get(&self, call: &str) -> Value {
        let (status, body) = self.send("GET", call, Value::Null).await;
        assert_eq!(status, 200, "{call}: {body}");
        body
    }

    async fn post(&self, call: &str, body: Value) -> Value {
        let (status, answer) = self.send("POST", call, body).await;
        assert_eq!(status, 200, "{call}: {answer}");
        answer
    }

    async fn refused(&self, verb: &str, call: &str, body: Value) -> (u16, String) {
        let (status, answer) = self.send(verb, call, body).await;
        (status, answer["error"].as_str().unwrap_or_default().to_owned())
    }

    /// Makes a section of the company's suite.
    async fn section(&self) -> u64 {
        let made = self.post("add_section/1", json!({"name": "Login", "suite_id": 1})).await;
        made["id"].as_u64().unwrap()
    }

    async fn case(&self, section: u64, title: &str) -> u64 {
        let made = self.post(&format!("add_case/{section}"), json!({"title": title})).await;
        made["id"].as_u64().unwrap()
    }

    fn hash(&self) -> String {
        self.sandbox.state("testrail").unwrap().0
    }

    fn count(&self, what: &str) -> u64 {
        self.sandbox.state("testrail").unwrap().1[what]
    }
}

fn bad(text: &str) -> (u16, String) {
    (400, text.to_owned())
}

#[tokio::test]
async fn wrong_credentials_and_a_missing_content_type_are_refused() {
    let mut bench = Bench::empty().await;
    let me = bench.get("get_current_user").await;
    assert_eq!((&me["id"], &me["email"]), (&json!(1), &json!(EMAIL)));
    let heard = bench.raw("GET", "get_current_user", "", "", Vec::new()).await;
    assert_eq!(heard.status, 400);
    let text = String::from_utf8(heard.body).unwrap();
    let expected = r#"{"error":"Content-Type header missing (use Content-Type: application\/json)"}"#;
    assert_eq!(text, expected);
    bench.secret = "wrong";
    let (status, text) = bench.refused("GET", "get_current_user", Value::Null).await;
    assert_eq!(status, 401);
    assert_eq!(text, "Authentication failed: invalid or missing user/password or session cookie.");
    bench.secret = PASSWORD;
    bench.get("get_current_user").await;
}

#[tokio::test]
async fn a_wrong_verb_and_an_unknown_call_are_not_found() {
    let bench = Bench::empty().await;
    let wrong = bench.refused("GET", "add_case/1", Value::Null).await;
    assert_eq!(wrong, (404, "Unsupported HTTP method \"get\" for this action.".to_owned()));
    assert_eq!(bench.refused("POST", "get_projects", Value::Null).await.0, 404);
    assert_eq!(bench.refused("GET", "get_everything", Value::Null).await.0, 404);
}

#[tokio::test]
async fn unknown_ids_are_bad_requests_and_not_missing_pages() {
    let bench = Bench::empty().await;
    for (call, text) in [
        ("get_case/999", "Field :case_id is not a valid test case."),
        ("get_case/C1", "Field :case_id is not a valid ID."),
        ("get_run/999", "Field :run_id is not a valid test run."),
        ("get_plan/999", "Field :plan_id is not a valid test plan."),
        ("get_project/999", "Field :project_id is not a valid or accessible project."),
        ("get_milestone/999", "Field :milestone_id is not a valid milestone."),
        ("get_cases/1", "Field :suite_id is a required field."),
        ("get_cases/1&suite_id=999", "Field :suite_id is not a valid test suite."),
    ] {
        assert_eq!(bench.refused("GET", call, Value::Null).await, bad(text), "{call}");
    }
}

#[tokio::test]
async fn pages_end_where_the_rows_do() {
    let bench = Bench::empty().await;
    let section = bench.section().await;
    for (add, wanted) in [(0, 0_usize), (1, 1), (248, 249), (1, 250), (1, 251), (250, 501)] {
        let cases: Vec<Value> = (0..add).map(|n| json!({"title": format!("Case {n}")})).collect();
        bench.post(&format!("add_cases/{section}"), json!({"cases": cases})).await;
        let mut seen = std::collections::BTreeSet::new();
        let mut next = Some("/api/v2/get_cases/1&suite_id=1".to_owned());
        let mut pages = 0;
        while let Some(path) = next {
            let page = bench.get(path.strip_prefix("/api/v2/").unwrap()).await;
            let rows = page["cases"].as_array().unwrap();
            assert_eq!(page["size"], rows.len());
            assert_eq!(page["limit"], 250);
            seen.extend(rows.iter().map(|c| c["id"].as_u64().unwrap()));
            next = page["_links"]["next"].as_str().map(str::to_owned);
            pages += 1;
        }
        assert_eq!((seen.len(), pages), (wanted, wanted.div_ceil(250).max(1)), "{wanted} rows");
    }
    let past = bench.get("get_cases/1&suite_id=1&offset=9000").await;
    assert_eq!((&past["size"], &past["_links"]["next"]), (&json!(0), &Value::Null));
    for limit in ["0", "251", "-1"] {
        let call = format!("get_cases/1&suite_id=1&limit={limit}");
        assert_eq!(bench.refused("GET", &call, Value::Null).await.0, 400, "{limit}");
    }
}

#[tokio::test]
async fn an_older_server_gives_bare_lists_unless_asked() {
    let mut bench = Bench::filled().await;
    bench.prefix = "/testrail";
    let bare = bench.get("get_cases/1&suite_id=1").await;
    assert!(bare.as_array().unwrap().len() > 30);
    let kind = "application/json";
    let call = "get_cases/1&suite_id=1&limit=5";
    let paged = bench.raw("GET", call, kind, "x-api-ident: beta\r\n", Vec::new()).await.json();
    assert_eq!(paged["cases"].as_array().unwrap().len(), 5);
    assert!(bench.get("get_suites/1").await.is_array());
    assert_eq!(bench.refused("POST", "add_cases/1", json!({"cases": []})).await.0, 404);
}

#[tokio::test]
async fn modes_of_suites_decide_who_names_a_suite() {
    let bench = Bench::empty().await;
    let projects = bench.get("get_projects").await;
    let modes: Vec<_> = projects["projects"].as_array().unwrap().iter().map(|p| &p["suite_mode"]).collect();
    assert_eq!(modes, [3, 1, 2]);
    bench.get("get_cases/2").await;
    assert_eq!(bench.refused("GET", "get_sections/3", Value::Null).await.0, 400);
    let suites = bench.get("get_suites/3").await;
    let flags: Vec<_> = suites["suites"].as_array().unwrap().iter().map(|s| &s["is_baseline"]).collect();
    assert_eq!(flags, [false, true]);
    assert_eq!(bench.refused("POST", "add_suite/2", json!({"name": "x"})).await.0, 400);
    assert_eq!(bench.post("add_suite/1", json!({"name": "Setup"})).await["is_master"], false);
    let section = bench.post("add_section/2", json!({"name": "Top"})).await["id"].clone();
    // A field that this project alone requires.
    let call = format!("add_case/{section}");
    let refused = bench.refused("POST", &call, json!({"title": "A"})).await;
    assert_eq!(refused, bad("Field :custom_risk is a required field."));
    bench.post(&call, json!({"title": "A", "custom_risk": 2})).await;
}

#[tokio::test]
async fn sections_are_numbered_through_the_whole_suite() {
    let bench = Bench::empty().await;
    let mut ids = Vec::new();
    for parent in [None, Some(0), None, Some(1)] {
        let parent = parent.map(|at: usize| ids[at]);
        let body = json!({"name": "S", "suite_id": 1, "parent_id": parent});
        ids.push(bench.post("add_section/1", body).await["id"].as_u64().unwrap());
    }
    let shape = |list: Value| -> Vec<(u64, u64, u64)> {
        let of = |s: &Value, key: &str| s[key].as_u64().unwrap();
        let rows = list["sections"].as_array().unwrap();
        rows.iter().map(|s| (of(s, "id"), of(s, "display_order"), of(s, "depth"))).collect()
    };
    let list = shape(bench.get("get_sections/1&suite_id=1").await);
    assert_eq!(list, [(ids[0], 1, 0), (ids[1], 2, 1), (ids[3], 3, 2), (ids[2], 4, 0)]);
    bench.post(&format!("move_section/{}", ids[1]), json!({"parent_id": ids[2]})).await;
    let list = shape(bench.get("get_sections/1&suite_id=1").await);
    assert_eq!(list, [(ids[0], 1, 0), (ids[2], 2, 0), (ids[1], 3, 1), (ids[3], 4, 2)]);
    let call = format!("move_section/{}", ids[2]);
    assert_eq!(bench.refused("POST", &call, json!({"parent_id": ids[3]})).await.0, 400);
    bench.case(ids[3], "Deep").await;
    let call = format!("delete_section/{}", ids[2]);
    let soft = bench.post(&format!("{call}&soft=1"), json!({})).await;
    assert_eq!((&soft["affected_sections"], &soft["affected_cases"]), (&json!(3), &json!(1)));
    assert_eq!(bench.count("sections"), 4);
    let heard = bench.raw("POST", &call, "application/json", "", Vec::new()).await;
    assert_eq!((heard.status, heard.body.len()), (200, 0));
    assert_eq!((bench.count("sections"), bench.count("cases")), (1, 0));
}

#[tokio::test]
async fn a_case_keeps_what_was_written_and_forgets_what_it_does_not_know() {
    let bench = Bench::empty().await;
    let section = bench.section().await;
    let steps =
        json!([{"content": "Öffnen / Start", "expected": "Shown", "additional_info": "1", "refs": "R"}]);
    let body = json!({
        "title": " Log in ", "template_id": 2, "priority_id": 4, "estimate": "90s", "refs": "RF-1, RF-2",
        "labels": ["smoke"], "custom_steps_separated": steps, "custom_azure_devops_id": "17",
        "custom_mispelled": "lost",
    });
    let case = bench.post(&format!("add_case/{section}"), body).await;
    assert_eq!(case["title"], "Log in");
    assert_eq!(case["custom_steps_separated"], steps);
    assert_eq!((&case["type_id"], &case["estimate"]), (&json!(7), &json!("1m 30s")));
    assert_eq!((&case["custom_azure_devops_id"], &case["custom_regulated"]), (&json!("17"), &json!(false)));
    assert_eq!((&case["custom_mission"], &case["labels"][0]["title"]), (&Value::Null, &json!("smoke")));
    assert!(case.get("custom_mispelled").is_none() && case.get("custom_risk").is_none());
    let call = format!("get_case/{}", case["id"]);
    let heard = bench.raw("GET", &call, "application/json", "", Vec::new()).await;
    let text = String::from_utf8(heard.body).unwrap();
    assert!(text.contains(r"\u00d6ffnen \/ Start"), "{text}");
    assert!(heard.head.contains("content-type: application/json; charset=utf-8"), "{}", heard.head);
    let found = bench.get("get_cases/1&suite_id=1&refs=RF-2&priority_id=3,4&filter=LOG").await;
    assert_eq!(found["size"], 1);
    assert_eq!(bench.get("get_cases/1&suite_id=1&priority_id=1").await["size"], 0);
}

#[tokio::test]
async fn limits_of_fields_are_held_at_their_last_character() {
    let bench = Bench::empty().await;
    let call = format!("add_case/{}", bench.section().await);
    for (key, most) in [("title", 250), ("refs", 2_000), ("custom_azure_devops_id", 250)] {
        let mut body = json!({"title": "A"});
        body[key] = "ä".repeat(most).into();
        bench.post(&call, body.clone()).await;
        body[key] = "ä".repeat(most + 1).into();
        assert_eq!(bench.refused("POST", &call, body).await.0, 400, "{key}");
    }
    for (key, value) in
        [("type_id", json!(99)), ("estimate", json!("soon")), ("custom_review_on", json!("2026-01-02"))]
    {
        let mut body = json!({"title": "A"});
        body[key] = value;
        assert_eq!(bench.refused("POST", &call, body).await.0, 400, "{key}");
    }
    let missing = bench.refused("POST", &call, json!({})).await;
    assert_eq!(missing, bad("Field :title is a required field."));
    assert_eq!(bench.count("cases"), 3);
}

#[tokio::test]
async fn an_update_is_partial_and_one_that_changes_nothing_leaves_no_trace() {
    let bench = Bench::empty().await;
    let section = bench.section().await;
    let other = bench.section().await;
    let case = bench.case(section, "Log in").await;
    let call = format!("update_case/{case}");
    let before = bench.hash();
    bench.post(&call, json!({"title": "Log in", "unknown": 1})).await;
    assert_eq!(bench.hash(), before);
    assert!(!bench.sandbox.request_log("testrail").last().unwrap().changed);
    let changed = bench.post(&call, json!({"custom_preconds": "Be there", "section_id": other})).await;
    assert_eq!((&changed["title"], &changed["section_id"]), (&json!("Log in"), &json!(other)));
    assert!(bench.sandbox.request_log("testrail").last().unwrap().changed);
    let history = bench.get(&format!("get_history_for_case/{case}")).await;
    let changes = history["history"][0]["changes"].as_array().unwrap();
    let fields: Vec<_> = changes.iter().map(|c| &c["field"]).collect();
    assert_eq!(fields, ["custom_preconds", "section_id"]);
    let cleared = bench.post(&call, json!({"custom_preconds": null})).await;
    assert_eq!(cleared["custom_preconds"], Value::Null);
}

#[tokio::test]
async fn bulk_calls_on_cases_are_done_as_a_whole_or_not_at_all() {
    let bench = Bench::empty().await;
    let section = bench.section().await;
    let call = format!("add_cases/{section}");
    let before = bench.hash();
    let body = json!({"cases": [{"title": "A", "labels": ["fresh"]}, {"refs": "X"}]});
    let refused = bench.refused("POST", &call, body).await;
    assert_eq!(refused, bad("Field :cases.title is a required field."));
    assert_eq!(bench.hash(), before);
    let made = bench.post(&call, json!({"cases": [{"title": "A"}, {"title": "B"}]})).await;
    let ids: Vec<u64> = made["cases"].as_array().unwrap().iter().map(|c| c["id"].as_u64().unwrap()).collect();
    assert_eq!(bench.refused("POST", "update_cases/1", json!({"case_ids": [ids[0], 999]})).await.0, 400);
    let updated = bench.post("update_cases/1", json!({"case_ids": ids, "priority_id": 4})).await;
    assert!(updated["updated_cases"].as_array().unwrap().iter().all(|c| c["priority_id"] == 4));
    let target = bench.section().await;
    bench.post(&format!("copy_cases_to_section/{target}"), json!({"case_ids": ids})).await;
    let moved = json!({"case_ids": [ids[0]], "suite_id": 1});
    bench.post(&format!("move_cases_to_section/{target}"), moved).await;
    assert_eq!(bench.get(&format!("get_cases/1&suite_id=1&section_id={target}")).await["size"], 3);
    bench.post("delete_cases/1&project_id=1", json!({"case_ids": ids})).await;
    assert_eq!(bench.count("cases"), 2);
}

#[tokio::test]
async fn shared_steps_are_shown_in_the_cases_that_link_them() {
    let bench = Bench::empty().await;
    let section = bench.section().await;
    let steps = json!([{"content": "Open", "expected": "Form"}, {"content": "Type", "expected": ""}]);
    let body = json!({"title": "Login", "custom_steps_separated": steps});
    let shared = bench.post("add_shared_step/1", body).await["id"].clone();
    let body = json!({"title": "A", "template_id": 2,
        "custom_steps_separated": [{"shared_step_id": shared}, {"content": "Own", "expected": "x"}]});
    let case = bench.post(&format!("add_case/{section}"), body).await;
    let shown = case["custom_steps_separated"].clone();
    assert_eq!(shown.as_array().unwrap().len(), 3);
    assert_eq!((&shown[1]["content"], &shown[1]["shared_step_id"]), (&json!("Type"), &shared));
    // Writing back what was read keeps the link and changes nothing.
    let before = bench.hash();
    let back = json!({"custom_steps_separated": shown});
    bench.post(&format!("update_case/{}", case["id"]), back).await;
    assert_eq!(bench.hash(), before);
    assert_eq!(bench.get(&format!("get_shared_step/{shared}")).await["case_ids"], json!([case["id"]]));
    bench.post(&format!("delete_shared_step/{shared}"), json!({"keep_in_cases": 1})).await;
    let kept = bench.get(&format!("get_case/{}", case["id"])).await;
    assert_eq!(kept["custom_steps_separated"].as_array().unwrap().len(), 3);
    assert!(kept["custom_steps_separated"][0].get("shared_step_id").is_none());
}

#[tokio::test]
async fn one_foreign_case_refuses_all_results() {
    let bench = Bench::empty().await;
    let section = bench.section().await;
    let (a, b) = (bench.case(section, "A").await, bench.case(section, "B").await);
    let outside = bench.case(section, "C").await;
    let body = json!({"suite_id": 1, "name": "R", "include_all": false, "case_ids": [a, b]});
    let run = bench.post("add_run/1", body).await;
    assert_eq!((&run["untested_count"], &run["include_all"]), (&json!(2), &json!(false)));
    let call = format!("add_results_for_cases/{}", run["id"]);
    let results = |last: u64| json!({"results": [{"case_id": a, "status_id": 1, "elapsed": "65s"}, {"case_id": last, "status_id": 5, "comment": "no"}]});
    let before = bench.hash();
    let (status, text) = bench.refused("POST", &call, results(outside)).await;
    assert_eq!(status, 400);
    assert!(text.contains(&format!("(case C{outside} unknown or not part of the test run)")), "{text}");
    let wrong =
        json!({"results": [{"case_id": a, "status_id": 1}, {"case_id": b, "status_id": 1, "elapsed": "0s"}]});
    let refused = bench.refused("POST", &call, wrong).await;
    assert_eq!(refused, bad("Field :results.elapsed is not in a valid time span format."));
    let untested = json!({"results": [{"case_id": a, "status_id": 3}]});
    assert_eq!(bench.refused("POST", &call, untested).await.0, 400);
    assert_eq!(bench.hash(), before);
    let made = bench.post(&call, results(b)).await;
    assert_eq!((&made[0]["elapsed"], &made[1]["comment"]), (&json!("1m 5s"), &json!("no")));
    let run = bench.get(&format!("get_run/{}", run["id"])).await;
    assert_eq!((&run["passed_count"], &run["failed_count"]), (&json!(1), &json!(1)));
    let of_case = bench.get(&format!("get_results_for_case/{}/{b}", run["id"])).await;
    assert_eq!((&of_case["size"], &of_case["results"][0]["case_id"]), (&json!(1), &json!(b)));
    let newest = bench.get(&format!("get_results_for_run/{}&limit=1", run["id"])).await;
    assert_eq!(newest["results"][0]["id"], made[1]["id"]);
    assert!(newest["_links"]["next"].as_str().unwrap().ends_with("&limit=1&offset=1"));
}

#[tokio::test]
async fn a_closed_run_shows_what_it_showed_and_takes_nothing_more() {
    let bench = Bench::empty().await;
    let section = bench.section().await;
    let case = bench.case(section, "Before").await;
    let run = bench.post("add_run/1", json!({"suite_id": 1, "name": "R"})).await["id"].clone();
    let joined = bench.case(section, "Joins the open run").await;
    let tests = bench.get(&format!("get_tests/{run}")).await;
    assert_eq!((&tests["size"], &tests["tests"][1]["case_id"]), (&json!(2), &json!(joined)));
    let test = tests["tests"][0]["id"].clone();
    assert_eq!(bench.post(&format!("close_run/{run}"), json!({})).await["is_completed"], true);
    bench.post(&format!("update_case/{case}"), json!({"title": "After"})).await;
    assert_eq!(bench.get(&format!("get_test/{test}")).await["title"], "Before");
    bench.post(&format!("delete_case/{case}"), json!({})).await;
    assert_eq!(bench.get(&format!("get_test/{test}")).await["title"], "Before");
    let late = json!({"status_id": 1});
    assert_eq!(bench.refused("POST", &format!("add_result/{test}"), late).await.0, 403);
    assert_eq!(bench.refused("POST", &format!("delete_run/{run}"), json!({})).await.0, 403);
    assert_eq!(bench.refused("POST", &format!("close_run/{run}"), json!({})).await.0, 403);
    assert_eq!(bench.refused("GET", &format!("get_case/{case}"), Value::Null).await.0, 400);
}

#[tokio::test]
async fn an_entry_has_one_run_for_each_combination() {
    let bench = Bench::empty().await;
    let section = bench.section().await;
    let case = bench.case(section, "A").await;
    let plan = bench.post("add_plan/1", json!({"name": "P"})).await["id"].clone();
    let body = json!({"suite_id": 1, "config_ids": [1, 2], "include_all": false, "case_ids": [case],
        "runs": [{"config_ids": [1]}, {"config_ids": [2]}]});
    let entry = bench.post(&format!("add_plan_entry/{plan}"), body).await;
    let runs = entry["runs"].as_array().unwrap();
    let configs: Vec<_> = runs.iter().map(|r| r["config"].as_str().unwrap()).collect();
    assert_eq!(configs, ["Windows 11", "Ubuntu 24.04"]);
    assert!(runs[0]["id"].as_u64() > plan.as_u64(), "plans and runs share their numbers");
    let (status, text) = bench.refused("POST", &format!("update_run/{}", runs[0]["id"]), json!({})).await;
    assert_eq!(status, 403);
    assert!(text.contains("belongs to a test plan"), "{text}");
    let call = format!("update_run_in_plan_entry/{}", runs[0]["id"]);
    assert_eq!(bench.post(&call, json!({"description": "x"})).await["description"], "x");
    assert_eq!(bench.refused("POST", &format!("update_plan_entry/{plan}/1"), json!({})).await.0, 400);
    assert_eq!(bench.get("get_runs/1").await["size"], 0, "runs of plans are not listed");
    assert!(bench.get("get_plans/1").await["plans"][0].get("entries").is_none());
    let closed = bench.post(&format!("close_plan/{plan}"), json!({})).await;
    assert_eq!(closed["entries"][0]["runs"][1]["is_completed"], true);
}

#[tokio::test]
async fn files_come_back_as_they_went() {
    let bench = Bench::empty().await;
    let section = bench.section().await;
    let case = bench.case(section, "A").await;
    let data = b"\x89PNG\r\n--B is not the end\0\xff";
    let mut body = b"--B--x\r\nContent-Disposition: form-data; name=\"attachment\"; filename=\"shot.png\"\r\nContent-Type: image/png\r\n\r\n".to_vec();
    body.extend_from_slice(data);
    body.extend_from_slice(b"\r\n--B--x--\r\n");
    let call = format!("add_attachment_to_case/{case}");
    let made = bench.raw("POST", &call, "multipart/form-data; boundary=B--x", "", body).await;
    assert_eq!(made.status, 200);
    let id = made.json()["attachment_id"].clone();
    let list = bench.get(&format!("get_attachments_for_case/{case}")).await;
    assert_eq!((&list["attachments"][0]["id"], &list["attachments"][0]["size"]), (&id, &json!(data.len())));
    let heard = bench.raw("GET", &format!("get_attachment/{id}"), "application/json", "", Vec::new()).await;
    assert_eq!(heard.body, data);
    assert!(heard.head.contains("content-type: image/png"), "{}", heard.head);
    bench.post(&format!("delete_attachment/{id}"), json!({})).await;
    assert_eq!(bench.count("attachments"), 0);
    assert_eq!(bench.refused("POST", &call, json!({})).await.0, 400);
}

#[tokio::test]
async fn a_minute_holds_so_many_calls() {
    let bench = Bench::over(SandboxOptions { limits: true, ..options(true) }).await;
    let mut refused = None;
    // The window may end once while the calls go out.
    for _ in 0..400 {
        let heard = bench.raw("GET", "get_current_user", "application/json", "", Vec::new()).await;
        if heard.status == 429 {
            refused = Some(heard);
            break;
        }
    }
    let refused = refused.expect("a call beyond the limit");
    let text = refused.json()["error"].as_str().unwrap().to_owned();
    assert!(text.starts_with("API Rate Limit Exceeded - 180 per minute maximum allowed."), "{text}");
    assert!(refused.head.contains("retry-after: "), "{}", refused.head);
}

#[tokio::test]
async fn roles_allow_what_they_are_for() {
    let mut bench = Bench::empty().await;
    let section = bench.section().await;
    let case = bench.case(section, "A").await;
    bench.post("add_run/1", json!({"suite_id": 1, "name": "R"})).await;
    bench.secret = PASSWORD;
    // A designer.
    bench.user = "user2@calculator.example";
    bench.post(&format!("update_case/{case}"), json!({"title": "B"})).await;
    assert_eq!(bench.refused("GET", "get_users", Value::Null).await.0, 403);
    bench.get("get_users/1").await;
    // A tester.
    bench.user = "user3@calculator.example";
    bench.post("add_result/1", json!({"status_id": 1})).await;
    let (status, text) = bench.refused("POST", &format!("update_case/{case}"), json!({"title": "C"})).await;
    assert_eq!(
        (status, text.as_str()),
        (403, "You are not allowed to edit cases (insufficient permissions).")
    );
    let (status, text) = bench.refused("POST", "add_project", json!({"name": "X"})).await;
    assert_eq!((status, text.as_str()), (403, "No permissions to add projects (requires admin rights)"));
}

#[tokio::test]
async fn legacy_markdown_is_converted_where_asked_and_kept_elsewhere() {
    let mut bench = Bench::empty().await;
    let call = format!("add_case/{}", bench.section().await);
    let body = json!({"title": "A", "custom_preconds": "**Be** there", "is_legacy": true});
    assert_eq!(bench.post(&call, body.clone()).await["custom_preconds"], "<p><strong>Be</strong> there</p>");
    let verbatim = json!({"title": "A", "custom_preconds": "**Be** there"});
    assert_eq!(bench.post(&call, verbatim).await["custom_preconds"], "**Be** there");
    bench.prefix = "/testrail";
    assert_eq!(bench.post(&call, body).await["custom_preconds"], "**Be** there");
}

#[tokio::test]
async fn a_field_can_be_added_and_used() {
    let bench = Bench::empty().await;
    let body = json!({"type": "Multiselect", "name": "my_multi", "label": "My", "include_all": true,
        "configs": [{"context": {"is_global": true, "project_ids": ""},
                     "options": {"is_required": false, "items": "1, One\n2, Two"}}]});
    let made = bench.post("add_case_field", body.clone()).await;
    assert!(made["configs"].is_string() && made["is_active"] == 1, "{made}");
    assert_eq!(bench.refused("POST", "add_case_field", body).await.0, 400);
    let call = format!("add_case/{}", bench.section().await);
    let case = bench.post(&call, json!({"title": "A", "custom_my_multi": [2, 1]})).await;
    assert_eq!(case["custom_my_multi"], json!([2, 1]));
    assert_eq!(bench.refused("POST", &call, json!({"title": "A", "custom_my_multi": [3]})).await.0, 400);
}

#[tokio::test]
async fn the_company_is_there_with_its_cross_references() {
    let bench = Bench::filled().await;
    let world = World::generate(60, 7);
    let in_other = world.cases.iter().filter(|c| c.identity.in_other()).count() as u64;
    assert_eq!(bench.count("cases"), in_other);
    for case in &world.cases {
        let Some(id) = case.identity.other else { continue };
        let shown = bench.get(&format!("get_case/{}", id.0)).await;
        let wanted = case.identity.other_refers_to.map(|n| n.to_string());
        assert_eq!(shown["custom_azure_devops_id"], json!(wanted));
        let steps = shown["custom_steps_separated"].as_array().map_or(0, Vec::len);
        assert_eq!(steps, case.steps.len());
    }
    let of_other = |c: &&crate::sandbox::world::Run| c.identity.in_other();
    let runs = world.runs.iter().filter(of_other).count() as u64 + 1;
    assert_eq!(bench.count("runs"), runs);
    assert!(bench.count("results") > 100 && bench.count("attachments") > 0);
    let texts = bench.get("get_cases/1&suite_id=1").await.to_string();
    assert!(texts.contains("<p>") && texts.contains("**"), "both notations are there");
}

#[tokio::test]
async fn a_saved_instance_goes_on_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let kept = || SandboxOptions { data: Some(folder.path().to_owned()), ..options(false) };
    let bench = Bench::over(kept()).await;
    bench.section().await;
    let hash = bench.hash();
    let runs = bench.get("get_runs/1").await;
    let results = bench.get(&format!("get_results_for_run/{}", runs["runs"][1]["id"])).await;
    bench.sandbox.save().unwrap();
    bench.sandbox.stop().await;
    let again = Bench::over(kept()).await;
    assert_eq!(again.hash(), hash);
    assert_eq!(again.get("get_runs/1").await, runs);
    assert_eq!(again.get(&format!("get_results_for_run/{}", runs["runs"][1]["id"])).await, results);
    let answered = bench_reads(&again).await;
    assert_eq!(again.hash(), hash, "{answered} readings change nothing");
    assert!(again.sandbox.request_log("testrail").iter().all(|r| !r.changed));
}

/// Asks every list once.
async fn bench_reads(bench: &Bench) -> usize {
    let calls = [
        "get_projects",
        "get_suites/1",
        "get_sections/1&suite_id=1",
        "get_case_fields",
        "get_result_fields",
        "get_case_types",
        "get_priorities",
        "get_templates/1",
        "get_statuses",
        "get_users",
        "get_configs/1",
        "get_milestones/1",
        "get_labels/1",
        "get_shared_steps/1",
        "get_plans/1",
        "get_runs/1",
        "get_groups",
    ];
    for call in calls {
        bench.get(call).await;
    }
    calls.len()
}
