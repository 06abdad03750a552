//! What the emulator promises, asked through requests alone.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use super::{JiraXray, session};
use crate::sandbox::world::World;
use crate::sandbox::{Emulator, Options, Request};

const BASE: &str = "http://127.0.0.1:4101";

struct Bench {
    emulator: JiraXray,
    bearer: String,
}

fn options() -> Options {
    Options { size: 40, seed: 7, empty: true, limits: false, index_lag: Duration::ZERO }
}

impl Bench {
    fn new(options: &Options) -> Self {
        let world = World::generate(options.size, options.seed);
        Self::over(JiraXray::new(options, &world))
    }

    fn over(emulator: JiraXray) -> Self {
        let mut bench = Self { emulator, bearer: String::new() };
        let keys = json!({"client_id": session::CLIENT_ID, "client_secret": session::CLIENT_SECRET});
        let (status, token) = bench.send("POST", "/api/v2/authenticate", Some(keys));
        assert_eq!(status, 200);
        bench.bearer = format!("Bearer {}", token.as_str().unwrap());
        bench
    }

    fn empty() -> Self {
        Self::new(&options())
    }

    fn raw(&self, request: Request) -> crate::sandbox::Response {
        futures::executor::block_on(self.emulator.handle(request))
    }

    fn request(&self, method: &str, path: &str, body: Option<Value>) -> Request {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let env = self.emulator.env(BASE);
        let email = env.iter().find(|(k, _)| k == "JIRA_EMAIL").unwrap().1.clone();
        let basic =
            base64::engine::general_purpose::STANDARD.encode(format!("{email}:{}", session::JIRA_TOKEN));
        let authorization =
            if path.starts_with("/rest") { format!("Basic {basic}") } else { self.bearer.clone() };
        Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: vec![
                ("authorization".to_owned(), authorization),
                ("content-type".to_owned(), "application/json".to_owned()),
            ],
            body: body.map(|b| b.to_string().into()).unwrap_or_default(),
            base: BASE.to_owned(),
        }
    }

    fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let response = self.raw(self.request(method, path, body));
        (response.status, serde_json::from_slice(&response.body).unwrap_or(Value::Null))
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.send("GET", path, None);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send("POST", path, Some(body))
    }

    fn graphql(&self, query: &str) -> (u16, Value) {
        self.post("/api/v2/graphql", json!({"query": query}))
    }

    /// Runs a document that must succeed and gives its data.
    fn data(&self, query: &str) -> Value {
        let (status, body) = self.graphql(query);
        assert_eq!(status, 200, "{query}: {body}");
        assert!(body.get("errors").is_none(), "{query}: {body}");
        body["data"].clone()
    }

    fn create(&self, kind: &str, fields: Value) -> String {
        self.create_in("CALC", kind, fields)
    }

    fn create_in(&self, project: &str, kind: &str, fields: Value) -> String {
        let mut all = json!({"project": {"key": project}, "issuetype": {"name": kind}, "summary": kind});
        for (key, value) in fields.as_object().unwrap() {
            all[key] = value.clone();
        }
        let (status, body) = self.post("/rest/api/3/issue", json!({"fields": all}));
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    fn status_of(&self, id: &str) -> String {
        let issue = self.get(&format!("/rest/api/3/issue/{id}?fields=status"));
        issue["fields"]["status"]["name"].as_str().unwrap().to_owned()
    }

    /// Takes the transition of that name, if it is offered.
    fn walk(&self, id: &str, name: &str, body: Value) -> u16 {
        let path = format!("/rest/api/3/issue/{id}/transitions");
        let list = self.get(&path);
        let found = list["transitions"].as_array().unwrap().iter().find(|t| t["name"] == name);
        let Some(found) = found else { return 0 };
        let mut body = body;
        body["transition"] = json!({"id": found["id"]});
        self.post(&path, body).0
    }
}

fn adf(text: &str) -> Value {
    json!({"type": "doc", "version": 1, "content": [
        {"type": "paragraph", "content": [{"type": "text", "text": text}]}
    ]})
}

#[test]
fn issue_keeps_its_document_and_links_to_itself() {
    let bench = Bench::empty();
    let id = bench.create("Bug", json!({"description": adf("hi"), "customfield_10037": "4711"}));
    let issue = bench.get(&format!("/rest/api/3/issue/{id}"));
    assert_eq!(issue["fields"]["description"], adf("hi"));
    assert_eq!(issue["fields"]["customfield_10037"], "4711");
    assert_eq!(issue["self"], format!("{BASE}/rest/api/3/issue/{id}"));
    assert_eq!(bench.get(&format!("/rest/api/2/issue/{id}"))["fields"]["description"], "hi");
}

#[test]
fn bad_document_refuses_the_whole_write() {
    let bench = Bench::empty();
    let id = bench.create("Bug", json!({}));
    let bad = json!({"type": "doc", "version": 1, "content": [{"type": "blink"}]});
    let edit = json!({"fields": {"summary": "new", "description": bad}});
    let (status, body) = bench.send("PUT", &format!("/rest/api/3/issue/{id}"), Some(edit));
    assert_eq!(status, 400);
    assert!(body["errors"]["description"].is_string());
    assert_eq!(bench.get(&format!("/rest/api/3/issue/{id}"))["fields"]["summary"], "Bug");
    let text = json!({"fields": {"description": "plain"}});
    let (_, body) = bench.send("PUT", &format!("/rest/api/3/issue/{id}"), Some(text));
    assert!(body["errors"]["description"].as_str().unwrap().contains("Atlassian Document"));
}

#[test]
fn field_that_is_on_no_screen_is_refused_until_it_is_placed() {
    let bench = Bench::empty();
    let field = json!({"name": "Op", "type": "com.atlassian.jira.plugin.system.customfieldtypes:textfield",
        "searcherKey": "com.atlassian.jira.plugin.system.customfieldtypes:textsearcher"});
    let (status, field) = bench.post("/rest/api/3/field", field);
    assert_eq!(status, 201);
    let id = field["id"].as_str().unwrap();
    let issue = bench.create("Test", json!({}));
    let edit = json!({"fields": {id: "x"}});
    let path = format!("/rest/api/3/issue/{issue}");
    let (status, body) = bench.send("PUT", &path, Some(edit.clone()));
    assert_eq!(status, 400);
    assert!(body["errors"][id].as_str().unwrap().contains("not on the appropriate screen"));
    let associate = json!({"associationContexts": [{"type": "PROJECT_ID", "identifier": 10000}],
        "fields": [{"type": "FIELD_ID", "identifier": id}]});
    assert_eq!(bench.send("PUT", "/rest/api/3/field/association", Some(associate)).0, 204);
    assert_eq!(bench.send("PUT", &path, Some(edit)).0, 204);
}

#[test]
fn test_moves_only_along_its_graph() {
    let bench = Bench::empty();
    let id = bench.create("Test", json!({}));
    assert_eq!(bench.status_of(&id), "New");
    let status = json!({"fields": {"status": {"name": "Closed"}}});
    assert_eq!(bench.send("PUT", &format!("/rest/api/3/issue/{id}"), Some(status)).0, 400);
    assert_eq!(bench.walk(&id, "Resolve Issue", json!({})), 204);
    assert_eq!(bench.walk(&id, "Close Issue", json!({})), 0);
    for name in ["Reopen Issue", "Start Progress", "Close Issue"] {
        assert_eq!(bench.walk(&id, name, json!({})), 204, "{name}");
    }
    assert_eq!(bench.status_of(&id), "Closed");
    let (status, _) =
        bench.post(&format!("/rest/api/3/issue/{id}/transitions"), json!({"transition": {"id": "31"}}));
    assert_eq!(status, 400);
    let log = bench.get(&format!("/rest/api/3/issue/{id}/changelog"));
    assert_eq!(log["total"], 4);
    assert_eq!(log["values"][0]["items"][0]["toString"], "Resolved");
}

#[test]
fn classic_workflow_asks_for_the_assignee_and_a_resolution() {
    let bench = Bench::empty();
    let id = bench.create_in("CLASSIC", "Bug", json!({}));
    assert_eq!(bench.walk(&id, "Start Progress", json!({})), 0);
    let me = bench.get("/rest/api/3/myself");
    let path = format!("/rest/api/3/issue/{id}");
    let assign = json!({"accountId": me["accountId"]});
    assert_eq!(bench.send("PUT", &format!("{path}/assignee"), Some(assign)).0, 204);
    assert_eq!(bench.walk(&id, "Start Progress", json!({})), 204);
    assert_eq!(bench.walk(&id, "Close Issue", json!({})), 400);
    let done = json!({"fields": {"resolution": {"name": "Done"}}});
    assert_eq!(bench.walk(&id, "Close Issue", done), 204);
    let edit = json!({"fields": {"summary": "late"}});
    assert_eq!(bench.send("PUT", &path, Some(edit)).0, 400);
    assert_eq!(bench.walk(&id, "Reopen Issue", json!({})), 204);
    assert_eq!(bench.get(&path)["fields"]["resolution"], Value::Null);
}

#[test]
fn search_pages_through_all_and_lags_behind_writes() {
    let mut lagging = options();
    lagging.index_lag = Duration::from_secs(3600);
    let bench = Bench::new(&lagging);
    let ids: Vec<String> = (0..5).map(|_| bench.create("Bug", json!({}))).collect();
    let search = |body: Value| bench.post("/rest/api/3/search/jql", body).1;
    let jql = "project = CALC ORDER BY id ASC";
    assert_eq!(search(json!({"jql": jql}))["issues"], json!([]));
    let numbers: Vec<u64> = ids.iter().map(|i| i.parse().unwrap()).collect();
    let found = search(json!({"jql": format!("id in ({})", ids.join(",")), "reconcileIssues": numbers}));
    assert_eq!(found["issues"].as_array().unwrap().len(), 5);

    let bench = Bench::empty();
    let ids: Vec<String> = (0..5).map(|_| bench.create("Bug", json!({}))).collect();
    let mut seen = Vec::new();
    let mut token = Value::Null;
    loop {
        let mut body = json!({"jql": jql, "maxResults": 2, "fields": ["summary"]});
        if !token.is_null() {
            body["nextPageToken"] = token;
        }
        let (status, page) = bench.post("/rest/api/3/search/jql", body);
        assert_eq!(status, 200, "{page}");
        let issues = page["issues"].as_array().unwrap();
        seen.extend(issues.iter().map(|i| i["id"].as_str().unwrap().to_owned()));
        if page["isLast"] == true {
            assert!(page.get("nextPageToken").is_none());
            break;
        }
        token = page["nextPageToken"].clone();
    }
    assert_eq!(seen, ids);
}

#[test]
fn search_refuses_unbounded_and_unknown() {
    let bench = Bench::empty();
    for jql in ["", "ORDER BY id", "flavour = 1", "project = NOPE", "status = Baked", "key = CALC-99"] {
        let (status, body) = bench.post("/rest/api/3/search/jql", json!({"jql": jql}));
        assert_eq!(status, 400, "{jql}");
        assert!(!body["errorMessages"].as_array().unwrap().is_empty());
    }
    assert_eq!(bench.post("/rest/api/3/search", json!({"jql": "project = CALC"})).0, 410);
}

#[test]
fn dates_of_queries_have_four_forms() {
    let bench = Bench::empty();
    bench.create("Bug", json!({"labels": ["x"], "customfield_10037": "47 11"}));
    let count = |jql: &str| {
        let (status, body) = bench.post("/rest/api/3/search/approximate-count", json!({"jql": jql}));
        assert_eq!(status, 200, "{body}");
        body["count"].as_u64().unwrap()
    };
    for jql in [
        "updated >= 1714550400000",
        "updated >= -5m",
        "updated >= \"2020-01-01 10:00\"",
        "created > \"2020/01/01 10:00 UTC\"",
        "project = CALC AND issuetype in (Test, Bug) AND labels = x",
        "\"Azure DevOps ID\" ~ \"4711\" OR cf[10037] ~ 47",
        "project = CALC AND cf[10038] is EMPTY AND NOT labels = y",
    ] {
        assert_eq!(count(jql), 1, "{jql}");
    }
    assert_eq!(count("updated < \"2020-01-01\""), 0);
    assert_eq!(count("project = CALC AND labels != x"), 0);
}

#[test]
fn bulk_fetch_sorts_and_leaves_out_what_is_missing() {
    let bench = Bench::empty();
    let ids: Vec<String> = (0..3).map(|_| bench.create("Bug", json!({}))).collect();
    let wanted = json!({"issueIdsOrKeys": [ids[2], "99999", "CALC-1"], "fields": ["summary"]});
    let (status, body) = bench.post("/rest/api/3/issue/bulkfetch", wanted);
    assert_eq!(status, 200);
    let found: Vec<&str> =
        body["issues"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap()).collect();
    assert_eq!(found, [ids[0].as_str(), ids[2].as_str()]);
}

#[test]
fn bulk_create_tells_failures_by_their_place() {
    let bench = Bench::empty();
    let fields = |summary: &str| json!({"fields": {"project": {"key": "CALC"}, "issuetype": {"name": "Bug"}, "summary": summary}});
    let body = json!({"issueUpdates": [fields("a"), fields(""), fields("b")]});
    let (status, body) = bench.post("/rest/api/3/issue/bulk", body);
    assert_eq!(status, 201);
    assert_eq!(body["issues"].as_array().unwrap().len(), 2);
    assert_eq!(body["errors"][0]["failedElementNumber"], 1);
}

#[test]
fn inward_issue_is_the_subject_of_the_outward_phrase() {
    let bench = Bench::empty();
    let (a, b) = (bench.create("Test", json!({})), bench.create("Story", json!({})));
    let link = json!({"type": {"name": "Test"}, "inwardIssue": {"id": a}, "outwardIssue": {"id": b}});
    for _ in 0..2 {
        assert_eq!(bench.post("/rest/api/3/issueLink", link.clone()).0, 201);
    }
    let links = |id: &str| bench.get(&format!("/rest/api/3/issue/{id}"))["fields"]["issuelinks"].clone();
    assert_eq!(links(&a).as_array().unwrap().len(), 1);
    assert_eq!(links(&a)[0]["outwardIssue"]["id"], b);
    assert_eq!(links(&b)[0]["inwardIssue"]["id"], a);
    let covered =
        format!(r#"{{getTest(issueId:"{a}"){{coverableIssues(limit:5){{total results{{issueId}}}}}}}}"#);
    assert_eq!(bench.data(&covered)["getTest"]["coverableIssues"]["results"][0]["issueId"], b);
}

#[test]
fn neither_product_takes_the_others_credentials() {
    let bench = Bench::empty();
    let mut request = bench.request("GET", "/rest/api/3/myself", None);
    request.headers[0].1 = bench.bearer.clone();
    assert_eq!(bench.raw(request).status, 401);
    let mut request = bench.request("POST", "/api/v2/graphql", Some(json!({"query": "{getStatuses{name}}"})));
    request.headers[0].1 = "Bearer x.y.z".to_owned();
    assert_eq!(bench.raw(request).status, 401);
    let wrong = json!({"client_id": "a", "client_secret": "b"});
    let (status, body) = bench.post("/api/v2/authenticate", wrong);
    assert_eq!((status, body["error"].is_string()), (401, true));
}

const CREATE_TEST: &str = r#"createTest(testType:{name:"Manual"},steps:[{action:"open",data:"u",result:"ok"},{action:"shut"}],
    jira:{fields:{summary:"T",project:{key:"CALC"},customfield_10037:"7"}}){test{issueId jira(fields:["key"])} warnings}"#;

fn make_test(bench: &Bench) -> String {
    let made = bench.data(&format!("mutation{{{CREATE_TEST}}}"));
    made["createTest"]["test"]["issueId"].as_str().unwrap().to_owned()
}

fn make_execution(bench: &Bench, tests: &[&str]) -> String {
    let made = bench.data(&format!(
        r#"mutation{{createTestExecution(testIssueIds:{tests:?},testEnvironments:["Chrome"],jira:{{fields:{{summary:"E",project:{{key:"CALC"}}}}}}){{testExecution{{issueId}} warnings createdTestEnvironments}}}}"#
    ));
    assert_eq!(made["createTestExecution"]["createdTestEnvironments"], json!(["Chrome"]));
    made["createTestExecution"]["testExecution"]["issueId"].as_str().unwrap().to_owned()
}

fn runs_of(bench: &Bench, execution: &str) -> Value {
    bench.data(&format!(
        r#"{{getTestRuns(testExecIssueIds:["{execution}"],limit:100){{total results{{id comment startedOn status{{name}}
        test{{issueId}} defects evidence{{filename size}} steps{{id action actualResult status{{name}}}}}}}}}}"#
    ))["getTestRuns"]
        .clone()
}

#[test]
fn run_is_made_by_association_and_keeps_the_steps_it_was_made_with() {
    let bench = Bench::empty();
    let test = make_test(&bench);
    let execution = make_execution(&bench, &[&test]);
    let updated = bench.get(&format!("/rest/api/3/issue/{test}"))["fields"]["updated"].clone();
    bench.data(&format!(r#"mutation{{addTestStep(issueId:"{test}",step:{{action:"third"}}){{id}}}}"#));
    let runs = runs_of(&bench, &execution);
    assert_eq!(runs["total"], 1);
    let run = &runs["results"][0];
    assert_eq!(run["status"]["name"], "TO DO");
    assert_eq!(run["steps"].as_array().unwrap().len(), 2);
    let id = run["id"].as_str().unwrap();
    bench.data(&format!(r#"mutation{{updateTestRunStatus(id:"{id}",status:"PASSED")}}"#));
    let run = runs_of(&bench, &execution)["results"][0].clone();
    assert_eq!(run["status"]["name"], "PASSED");
    assert!(run["startedOn"].is_string());
    assert_eq!(bench.get(&format!("/rest/api/3/issue/{test}"))["fields"]["updated"], updated);
    bench.data(&format!(r#"mutation{{resetTestRun(id:"{id}")}}"#));
    let run = runs_of(&bench, &execution)["results"][0].clone();
    assert_eq!((run["steps"].as_array().unwrap().len(), &run["status"]["name"]), (3, &json!("TO DO")));
    bench.data(&format!(
        r#"mutation{{removeTestsFromTestExecution(issueId:"{execution}",testIssueIds:["{test}"])}}"#
    ));
    assert_eq!(runs_of(&bench, &execution)["total"], 0);
}

#[test]
fn limit_is_mandatory_and_at_most_a_hundred() {
    let bench = Bench::empty();
    assert_eq!(bench.graphql("{getTests{total}}").0, 400);
    let (status, body) = bench.graphql("{getTests(limit:101){total}}");
    assert_eq!(status, 200);
    assert_eq!(body["data"]["getTests"], Value::Null);
    assert_eq!(body["errors"][0]["path"], json!(["getTests"]));
    assert_eq!(bench.graphql("{getTests(limit:100){nope}}").0, 400);
    assert_eq!(bench.graphql("{getTests(limit:100){").0, 400);
}

#[test]
fn costly_requests_are_refused() {
    let bench = Bench::empty();
    let nested = "{getTests(limit:100){results{testRuns(limit:100){results{testExecution{testPlans(limit:5){total}}}}}}}";
    let (status, body) = bench.graphql(nested);
    assert_eq!(status, 400);
    assert!(body["errors"][0]["message"].as_str().unwrap().contains("items"));
    let many: String = (0..26).map(|n| format!("a{n}:getStatus(name:\"TODO\"){{name}} ")).collect();
    assert_eq!(bench.graphql(&format!("{{{many}}}")).0, 400);
}

#[test]
fn batch_of_mutations_fails_one_by_one() {
    let bench = Bench::empty();
    let test = make_test(&bench);
    let (status, body) = bench.graphql(&format!(
        r#"mutation{{a:addTestStep(issueId:"{test}",step:{{action:"x"}}){{id}} b:addTestStep(issueId:"CALC-1",step:{{action:"x"}}){{id}}
        c:updateTestType(issueId:"{test}",testType:{{name:"Generic"}}){{testType{{kind}}}}}}"#
    ));
    assert_eq!(status, 200);
    assert_eq!(body["errors"].as_array().unwrap().len(), 1);
    assert_eq!(body["errors"][0]["path"], json!(["b"]));
    assert_eq!(body["errors"][0]["message"], "issueId provided is not valid");
    assert!(body["data"]["a"]["id"].is_string());
    assert_eq!(body["data"]["b"], Value::Null);
    assert_eq!(body["data"]["c"]["testType"]["kind"], "Unstructured");
}

#[test]
fn xray_hears_late_of_what_jira_made() {
    let mut lagging = options();
    lagging.index_lag = Duration::from_secs(3600);
    let bench = Bench::new(&lagging);
    let test = bench.create("Test", json!({}));
    let (status, body) = bench.graphql(&format!(r#"{{getTest(issueId:"{test}"){{issueId}}}}"#));
    assert_eq!(status, 200);
    assert_eq!(body["errors"][0]["message"], "issueId provided is not valid");
    let own = make_test(&bench);
    assert_eq!(bench.data(&format!(r#"{{getTest(issueId:"{own}"){{issueId}}}}"#))["getTest"]["issueId"], own);
}

#[test]
fn imported_results_overwrite_and_append_evidence() {
    let bench = Bench::empty();
    let test = make_test(&bench);
    let key = bench.get(&format!("/rest/api/3/issue/{test}"))["key"].clone();
    let bug = bench.create("Bug", json!({}));
    let bug_key = bench.get(&format!("/rest/api/3/issue/{bug}"))["key"].clone();
    let result = |status: &str, execution: Value| {
        json!({"testExecutionKey": execution, "info": {"project": "CALC", "summary": "Nightly"}, "tests": [{
            "testKey": key, "status": status, "comment": status, "start": "2026-05-01T10:00:00+01:00",
            "steps": [{"status": "PASSED", "actualResult": "ok"}, {"status": status}],
            "defects": [bug_key], "evidence": [{"data": "YQ==", "filename": "a.txt", "contentType": "text/plain"}]
        }, {"testInfo": {"summary": "fresh", "type": "Manual", "steps": [{"action": "a"}]}, "status": "PASSED"}]})
    };
    let (status, made) = bench.post("/api/v2/import/execution", result("FAILED", Value::Null));
    assert_eq!(status, 200, "{made}");
    let again = result("PASSED", made["key"].clone());
    let (status, second) = bench.post("/api/v2/import/execution", again);
    assert_eq!((status, &second["key"]), (200, &made["key"]));
    let runs = runs_of(&bench, made["id"].as_str().unwrap());
    assert_eq!(runs["total"], 2);
    let run = &runs["results"][0];
    assert_eq!(run["status"]["name"], "PASSED");
    assert_eq!(run["steps"][1]["status"]["name"], "PASSED");
    assert_eq!(run["defects"], json!([bug]));
    assert_eq!(run["evidence"].as_array().unwrap().len(), 2);
    assert_eq!(run["startedOn"], "2026-05-01T09:00:00.000Z");
    assert_eq!(bench.emulator.state().counts["tests"], 2);
    assert_eq!(bench.post("/api/v2/import/execution", json!({"tests": []})).0, 400);
}

#[test]
fn bulk_import_runs_alone_and_succeeds_in_part() {
    let bench = Bench::empty();
    let element = |summary: &str| {
        json!({"testtype": "Manual", "fields": {"summary": summary, "project": {"key": "CALC"}},
            "steps": [{"action": "a"}], "xray_test_repository_folder": "/Login", "xray_test_sets": ["set1"]})
    };
    let mut bad = element("b");
    bad["fields"]["description"] = adf("not a string");
    let set = json!({"xray_issue_type": "testset", "xray_id": "set1", "fields": {"summary": "S", "project": {"key": "CALC"}}});
    let body = json!([element("a"), bad, set]);
    let (status, job) = bench.post("/api/v2/import/test/bulk", body.clone());
    assert_eq!(status, 200);
    let (status, busy) = bench.post("/api/v2/import/test/bulk", body);
    assert_eq!(status, 400, "{busy}");
    let path = format!("/api/v2/import/test/bulk/{}/status", job["jobId"].as_str().unwrap());
    let done = loop {
        let state = bench.get(&path);
        if !matches!(state["status"].as_str(), Some("pending" | "working")) {
            break state;
        }
        std::thread::yield_now();
    };
    assert_eq!(done["status"], "partially_successful");
    assert_eq!(done["result"]["errors"][0]["elementNumber"], 1);
    assert_eq!(done["result"]["errors"][0]["errors"]["description"], "Operation value must be a string");
    let id = done["result"]["issues"][0]["id"].as_str().unwrap();
    let test = bench.data(&format!(
        r#"{{getTest(issueId:"{id}"){{folder{{path}} steps{{action}} testSets(limit:5){{total}}}}}}"#
    ));
    assert_eq!(test["getTest"]["folder"]["path"], "/Login");
    assert_eq!(test["getTest"]["testSets"]["total"], 1);
}

#[test]
fn folders_need_their_parent_and_hold_a_test_once() {
    let bench = Bench::empty();
    let test = make_test(&bench);
    let create = |path: &str| {
        bench.graphql(&format!(
            r#"mutation{{createFolder(projectId:"10000",path:"{path}"){{folder{{path}} warnings}}}}"#
        ))
    };
    assert!(create("/A/B").1.get("errors").is_some());
    assert!(create("/A").1.get("errors").is_none());
    assert!(create("/A").1["errors"][0]["message"].as_str().unwrap().contains("already exists"));
    assert!(create("/A/B").1.get("errors").is_none());
    for path in ["/A", "/A/B"] {
        bench.data(&format!(r#"mutation{{updateTestFolder(issueId:"{test}",folderPath:"{path}")}}"#));
    }
    let tree = bench.data(r#"{getFolder(projectId:"10000",path:"/A"){testsCount folders}}"#);
    assert_eq!(tree["getFolder"]["testsCount"], 1);
    assert_eq!(tree["getFolder"]["folders"][0]["path"], "/A/B");
    let found = bench
        .data(r#"{getTests(projectId:"10000",folder:{path:"/A",includeDescendants:true},limit:5){total}}"#);
    assert_eq!(found["getTests"]["total"], 1);
}

#[test]
fn properties_remote_links_and_comments_are_kept() {
    let bench = Bench::empty();
    let id = bench.create("Bug", json!({}));
    let path = format!("/rest/api/3/issue/{id}");
    let put = |body: Value| bench.send("PUT", &format!("{path}/properties/sync.meta"), Some(body)).0;
    assert_eq!((put(json!({"a": 1})), put(json!({"a": 2}))), (201, 200));
    assert_eq!(bench.get(&format!("{path}/properties/sync.meta"))["value"], json!({"a": 2}));
    let link = json!({"globalId": "ado:1", "object": {"url": "https://x/1", "title": "One"}});
    assert_eq!(bench.post(&format!("{path}/remotelink"), link.clone()).0, 201);
    assert_eq!(bench.post(&format!("{path}/remotelink"), link).0, 200);
    assert_eq!(bench.get(&format!("{path}/remotelink?globalId=ado%3A1"))["object"]["title"], "One");
    assert_eq!(bench.post(&format!("{path}/comment"), json!({"body": adf("c")})).0, 201);
    assert_eq!(bench.get(&format!("{path}/comment"))["total"], 1);
    assert_eq!(bench.send("DELETE", &path, None).0, 204);
    assert_eq!(bench.send("GET", &path, None).0, 404);
}

#[test]
fn attachment_is_served_behind_a_signed_address() {
    let bench = Bench::empty();
    let id = bench.create("Bug", json!({}));
    let body = "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--B--\r\n";
    let mut request = bench.request("POST", &format!("/rest/api/3/issue/{id}/attachments"), None);
    request.headers[1].1 = "multipart/form-data; boundary=B".to_owned();
    request.body = body.into();
    assert_eq!(bench.raw(request.clone()).status, 403);
    request.headers.push(("x-atlassian-token".to_owned(), "no-check".to_owned()));
    let answer: Value = serde_json::from_slice(&bench.raw(request).body).unwrap();
    let number = answer[0]["id"].as_str().unwrap();
    let path = format!("/rest/api/3/attachment/content/{number}");
    let redirect = bench.raw(bench.request("GET", &path, None));
    assert_eq!(redirect.status, 303);
    let to = redirect.headers.iter().find(|(k, _)| k == "location").unwrap().1.clone();
    let mut signed = bench.request("GET", to.strip_prefix(BASE).unwrap(), None);
    signed.headers.clear();
    assert_eq!(bench.raw(signed).body.as_ref(), b"hello");
}

#[test]
fn bulk_transition_is_reported_by_the_queue() {
    let bench = Bench::empty();
    let ids: Vec<String> = (0..2).map(|_| bench.create("Test", json!({}))).collect();
    let open = bench.get(&format!("/rest/api/3/bulk/issues/transition?issueIdsOrKeys={}", ids.join(",")));
    assert_eq!(open["availableTransitions"][0]["transitions"].as_array().unwrap().len(), 3);
    let body = json!({"bulkTransitionInputs": [{"selectedIssueIdsOrKeys": ids, "transitionId": "11"}]});
    let (status, task) = bench.post("/rest/api/3/bulk/issues/transition", body);
    assert_eq!(status, 201);
    let path = format!("/rest/api/3/bulk/queue/{}", task["taskId"].as_str().unwrap());
    while bench.get(&path)["status"] != "COMPLETE" {
        std::thread::yield_now();
    }
    assert_eq!(bench.get(&path)["processedAccessibleIssues"].as_array().unwrap().len(), 2);
    assert_eq!(bench.status_of(&ids[0]), "In Progress");
}

#[test]
fn limits_are_kept_when_they_are_asked_for() {
    let mut limited = options();
    limited.limits = true;
    let bench = Bench::new(&limited);
    let id = bench.create("Bug", json!({}));
    let edit = |n: usize| {
        let body = json!({"fields": {"summary": format!("s{n}")}});
        bench.raw(bench.request("PUT", &format!("/rest/api/3/issue/{id}"), Some(body)))
    };
    let refused = (0..21).map(edit).find(|r| r.status == 429).expect("the 21st write is refused");
    assert!(refused.headers.iter().any(|(k, v)| k == "RateLimit-Reason" && v == "jira-per-issue-on-write"));
    let refused = (0..301).map(|_| bench.graphql("{getStatuses{name}}")).find(|(s, _)| *s == 429);
    assert!(refused.expect("the 301st call is refused").1["nextValidRequestDate"].is_string());
}

#[test]
fn company_is_seeded_under_the_ids_it_fixes() {
    let filled = Options { empty: false, ..options() };
    let world = World::generate(filled.size, filled.seed);
    let bench = Bench::over(JiraXray::new(&filled, &world));
    let counts = bench.emulator.state().counts;
    let held = world.cases.iter().filter(|c| c.identity.in_other()).count() as u64;
    assert_eq!(counts["tests"], held);
    let executions = world.runs.iter().filter(|r| r.identity.in_other());
    assert_eq!(counts["test_executions"], executions.clone().count() as u64);
    assert_eq!(counts["test_runs"], executions.map(|r| r.results.len() as u64).sum::<u64>());
    for case in &world.cases {
        let Some(jira) = case.identity.jira() else { continue };
        let issue = bench.get(&format!("/rest/api/3/issue/{}", jira.key()));
        assert_eq!(issue["id"], jira.id.to_string());
        assert_eq!(issue["fields"]["summary"], case.title);
        let expected = case.identity.other_refers_to.map_or(Value::Null, |n| json!(n.to_string()));
        assert_eq!(issue["fields"]["customfield_10037"], expected);
        let doc = &issue["fields"]["description"];
        assert!(doc.is_null() || super::jira::adf::check(doc).is_ok(), "{doc}");
    }
    let next = bench.create("Bug", json!({}));
    assert_eq!(next, world.next_other.jira().id.to_string());
    let paused = bench.data(r#"{getTestRuns(statuses:["PAUSED"],limit:10){total}}"#);
    assert_eq!(paused["getTestRuns"]["total"], 1);
}

#[test]
fn saved_state_is_the_same_state() {
    let filled = Options { empty: false, ..options() };
    let bench = Bench::new(&filled);
    let test = make_test(&bench);
    make_execution(&bench, &[&test]);
    bench.data(&format!(r#"mutation{{addTestStep(issueId:"{test}",step:{{action:"x"}}){{id}}}}"#));
    let before = bench.emulator.state();
    let saved = bench.emulator.save();
    let again = Bench::over(JiraXray::load(&saved, &filled).unwrap());
    assert_eq!(again.emulator.state(), before);
    assert_eq!(again.emulator.save(), saved);
    make_test(&again);
    assert_ne!(again.emulator.state().hash, before.hash);
    assert!(JiraXray::load(b"nothing", &filled).is_err());
}

#[test]
fn schema_serves_every_query_and_mutation_of_the_published_one() {
    let bench = Bench::empty();
    let schema = bench.data("{__schema{queryType{fields{name}} mutationType{fields{name}}}}");
    let count = |of: &str| schema["__schema"][of]["fields"].as_array().unwrap().len();
    assert_eq!((count("queryType"), count("mutationType")), (30, 66));
}
