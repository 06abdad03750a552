//! A company in a sandbox, a pipeline that keeps it in step, and the people who work there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::Utc;
use serde_json::{Value, json};
use tempfile::TempDir;
use testferry::connectors;
use testferry::model::{RunId, Side};
use testferry::pipeline::{self, Pipeline, Surroundings};
use testferry::sandbox::{LoggedRequest, Sandbox, SandboxOptions};
use testferry::stages::pairing::{Pair, Pairs, State};
use testferry::stages::plan::Held;
use testferry::stages::{self, Done, Failure, Job, Options, Progress, Quiet};
use testferry::store::{Holder, PipelineStore, Store};

pub(super) const ADO: &str = "azure-devops";
pub(super) const XRAY: &str = "jira-xray";

/// Somebody else than the account that the pipeline signs in with.
const PERSON: &str = "user2@calculator.example";

const SHIPPED: &str = include_str!("../../../pipelines/ado-xray.yaml");

/// A sandbox of both systems with a staging store of its own.
pub(super) struct Bench {
    pub(super) sandbox: Sandbox,
    pub(super) env: BTreeMap<String, String>,
    pub(super) folder: TempDir,
    /// The pipeline file; a test may edit it between two runs.
    pub(super) text: String,
    runs: AtomicU32,
    client: reqwest::Client,
}

impl Bench {
    /// Starts a company that nobody has synchronised yet.
    pub(super) async fn new(size: usize, seed: u64) -> Self {
        let options = SandboxOptions { size, seed, ..SandboxOptions::default() };
        let sandbox = Sandbox::start(options).await.expect("a sandbox");
        let env = sandbox.env().into_iter().collect();
        let folder = TempDir::new().expect("a folder");
        // Whoever comes first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::new();
        Self { sandbox, env, folder, text: SHIPPED.to_owned(), runs: AtomicU32::new(0), client }
    }

    /// Starts a company and makes the first run.
    pub(super) async fn synced(size: usize, seed: u64) -> (Self, Done) {
        let bench = Self::new(size, seed).await;
        let done = bench.sync().await;
        (bench, done)
    }

    /// Makes a whole run.
    pub(super) async fn sync(&self) -> Done {
        self.run(Options { load: true, ..Options::default() }).await.expect("a run")
    }

    /// Plans, writing nothing.
    pub(super) async fn plan(&self) -> Done {
        self.run(Options::default()).await.expect("a plan")
    }

    /// Makes a run with options.
    pub(super) async fn run(&self, options: Options) -> Result<Done, Failure> {
        self.run_telling(options, &Quiet).await
    }

    /// Makes a run that tells how far it has come.
    pub(super) async fn run_telling(
        &self,
        options: Options,
        progress: &dyn Progress,
    ) -> Result<Done, Failure> {
        let pipeline = self.pipeline();
        let repositories = connectors::connect(&pipeline).expect("connectors");
        let store = self.store();
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let run = RunId::new(format!("{}-{number:04x}", Utc::now().format("%Y%m%dT%H%M%SZ")));
        let holder = Holder { name: run.to_string(), host: "here".into(), process: "1".into() };
        let job = Job {
            pipeline: &pipeline,
            repositories: &repositories,
            store: &store,
            run,
            holder,
            is_gone: &|_| true,
            clock: &Utc::now,
            progress,
            options,
        };
        stages::run(&job).await
    }

    fn pipeline(&self) -> Pipeline {
        let env = |name: &str| self.env.get(name).cloned();
        let around = Surroundings { env: &env, folder: PathBuf::new() };
        match pipeline::load("ado-xray.yaml", self.text.as_bytes(), &connectors::catalog(), &around) {
            Ok(loaded) => loaded.pipeline,
            Err(problems) => panic!("{problems:?}"),
        }
    }

    /// The staging store of the pipeline.
    pub(super) fn store(&self) -> PipelineStore {
        let place = self.folder.path().to_str().expect("a path");
        Store::open(place).expect("a store").pipeline("ado-xray").expect("a pipeline's store")
    }

    /// The hash of each system's whole state.
    pub(super) fn states(&self) -> [String; 2] {
        [ADO, XRAY].map(|s| self.sandbox.state(s).expect("a system that is served").0)
    }

    /// How many requests a system has seen.
    pub(super) fn mark(&self, system: &str) -> u64 {
        self.sandbox.request_log(system).last().map_or(0, |r| r.sequence)
    }

    /// What a system was asked since.
    pub(super) fn log_since(&self, system: &str, mark: u64) -> Vec<LoggedRequest> {
        self.sandbox.request_log(system).into_iter().filter(|r| r.sequence > mark).collect()
    }

    /// The pairs of an integration of which both sides exist.
    pub(super) async fn pairs(&self, integration: &str) -> Vec<Pair> {
        let all = self.all_pairs().await;
        let live = |p: &&Pair| p.integration == integration && p.state == State::Live && !p.alias;
        all.iter().filter(live).cloned().collect()
    }

    /// All pairs of the pipeline.
    pub(super) async fn all_pairs(&self) -> Pairs {
        let store = self.store();
        let head = store.read_head().await.expect("a head").expect("a run was made");
        let rows = store.read_sync(&head, "pairs").await.expect("pairs").map(|(_, rows)| rows);
        Pairs::from_batches(&rows.unwrap_or_default()).expect("pairs")
    }

    /// Both keys of the live pairs of an integration: left, right.
    pub(super) async fn keys(&self, integration: &str) -> Vec<(String, String)> {
        let key = |p: &Pair, side| p.key(side).expect("a live pair has both keys").to_owned();
        self.pairs(integration).await.iter().map(|p| (key(p, Side::Left), key(p, Side::Right))).collect()
    }

    /// The key on the other side.
    pub(super) async fn other(&self, integration: &str, side: Side, key: &str) -> Option<String> {
        let pairs = self.all_pairs().await;
        pairs.find(integration, side, key).and_then(|p| p.key(side.other())).map(str::to_owned)
    }

    // ---------------------------------------------------------------- people in Azure DevOps

    /// Calls Azure DevOps as a person.
    pub(super) async fn ado(&self, method: &str, path: &str, body: Value) -> Value {
        let project = self.env["ADO_PROJECT"].replace(' ', "%20");
        let separator = if path.contains('?') { '&' } else { '?' };
        let preview = if path.contains("/comments") { "-preview" } else { "" };
        let base = self.env["ADO_URL"].trim_end_matches('/');
        let url = format!("{base}/{project}/_apis/{path}{separator}api-version=7.1{preview}");
        let patch = path.starts_with("wit/workitems/");
        let kind = if patch { "application/json-patch+json" } else { "application/json" };
        let method: reqwest::Method = method.parse().expect("a method");
        let mut request = self.client.request(method.clone(), &url);
        request = request.basic_auth("", Some(format!("{}:{PERSON}", self.env["ADO_PAT"])));
        if method != reqwest::Method::GET && !body.is_null() {
            request = request.header("Content-Type", kind).body(body.to_string());
        }
        answer(request, &format!("{method} {url} {body}")).await
    }

    /// The fields of a work item.
    pub(super) async fn item(&self, id: &str) -> Value {
        self.ado("GET", &format!("wit/workitems/{id}"), Value::Null).await["fields"].clone()
    }

    /// One field of a work item as text.
    pub(super) async fn item_text(&self, id: &str, field: &str) -> String {
        self.item(id).await[field].as_str().unwrap_or_default().to_owned()
    }

    /// Edits a work item.
    pub(super) async fn edit_item(&self, id: &str, fields: &[(&str, &str)]) {
        self.ado("PATCH", &format!("wit/workitems/{id}"), patch(fields)).await;
    }

    /// Makes a test case.
    pub(super) async fn add_case(&self, fields: &[(&str, &str)]) -> String {
        let made = self.ado("POST", "wit/workitems/$Test%20Case", patch(fields)).await;
        made["id"].to_string()
    }

    /// The static suites below the root of a plan with their members.
    pub(super) async fn suites(&self, plan: &str) -> Vec<(String, Vec<String>)> {
        let listed = self.ado("GET", &format!("testplan/Plans/{plan}/suites"), Value::Null).await;
        let mut found = Vec::new();
        for suite in list(&listed["value"]) {
            let below = !suite["parentSuite"].is_null();
            if below && suite["suiteType"] == "staticTestSuite" {
                let id = suite["id"].to_string();
                found.push((id.clone(), self.members(plan, &id).await));
            }
        }
        found
    }

    /// The cases in a suite.
    pub(super) async fn members(&self, plan: &str, suite: &str) -> Vec<String> {
        let path = format!("testplan/Plans/{plan}/Suites/{suite}/TestCase");
        let listed = self.ado("GET", &path, Value::Null).await;
        list(&listed["value"]).iter().map(|m| m["workItem"]["id"].to_string()).collect()
    }

    /// Files a case in a suite.
    pub(super) async fn file(&self, plan: &str, suite: &str, case: &str) {
        let id: u64 = case.parse().expect("a work item's id");
        let path = format!("testplan/Plans/{plan}/Suites/{suite}/TestCase");
        self.ado("POST", &path, json!([{"workItem": {"id": id}}])).await;
    }

    /// Takes a case out of a suite.
    pub(super) async fn unfile(&self, plan: &str, suite: &str, case: &str) {
        let path = format!("testplan/Plans/{plan}/Suites/{suite}/TestCase/{case}");
        self.ado("DELETE", &path, Value::Null).await;
    }

    /// A point of a case in a suite.
    pub(super) async fn point(&self, plan: &str, suite: &str, case: &str) -> u64 {
        let path = format!("testplan/Plans/{plan}/Suites/{suite}/TestPoint?testCaseId={case}");
        let listed = self.ado("GET", &path, Value::Null).await;
        listed["value"][0]["id"].as_u64().expect("a point")
    }

    /// Runs points of a plan by hand; gives the run's id.
    pub(super) async fn execute(&self, plan: &str, name: &str, points: &[(u64, &str)]) -> String {
        let ids: Vec<u64> = points.iter().map(|(p, _)| *p).collect();
        let body = json!({"name": name, "plan": {"id": plan}, "pointIds": ids});
        let run = self.ado("POST", "test/runs", body).await["id"].to_string();
        for (number, (_, outcome)) in points.iter().enumerate() {
            self.judge(&format!("{run}.{}", 100_000 + number), outcome, "by hand").await;
        }
        self.ado("PATCH", &format!("test/runs/{run}"), json!({"state": "Completed"})).await;
        run
    }

    /// Sets the outcome of a result, `run.result`.
    pub(super) async fn judge(&self, result: &str, outcome: &str, comment: &str) {
        let (run, id) = result.split_once('.').expect("run and result");
        let id: u64 = id.parse().expect("a result's id");
        let body = json!([{"id": id, "outcome": outcome, "state": "Completed", "comment": comment}]);
        self.ado("PATCH", &format!("test/Runs/{run}/results"), body).await;
    }

    /// Sets the outcome of a result, `run.result`, with the time at which it was found.
    pub(super) async fn judge_at(&self, result: &str, outcome: &str, at: &str) {
        let (run, id) = result.split_once('.').expect("run and result");
        let id: u64 = id.parse().expect("a result's id");
        let body = json!([{"id": id, "outcome": outcome, "state": "Completed", "completedDate": at}]);
        self.ado("PATCH", &format!("test/Runs/{run}/results"), body).await;
    }

    /// A result, `run.result`.
    pub(super) async fn result(&self, result: &str) -> Value {
        let (run, id) = result.split_once('.').expect("run and result");
        self.ado("GET", &format!("test/Runs/{run}/results/{id}"), Value::Null).await
    }

    // ---------------------------------------------------------------- people in Jira and Xray

    /// Calls Jira as a person.
    pub(super) async fn jira(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}/rest/api/3/{path}", self.env["JIRA_URL"]);
        let method: reqwest::Method = method.parse().expect("a method");
        let mut request = self.client.request(method.clone(), &url);
        request = request.basic_auth(PERSON, Some(&self.env["JIRA_TOKEN"]));
        if method != reqwest::Method::GET && !body.is_null() {
            request = request.json(&body);
        }
        answer(request, &format!("{method} {url} {body}")).await
    }

    /// The fields of an issue.
    pub(super) async fn issue(&self, id: &str) -> Value {
        self.jira("GET", &format!("issue/{id}"), Value::Null).await["fields"].clone()
    }

    /// An issue's title.
    pub(super) async fn summary(&self, id: &str) -> String {
        self.issue(id).await["summary"].as_str().unwrap_or_default().to_owned()
    }

    /// An issue's status.
    pub(super) async fn status(&self, id: &str) -> String {
        self.issue(id).await["status"]["name"].as_str().unwrap_or_default().to_owned()
    }

    /// Edits an issue.
    pub(super) async fn edit_issue(&self, id: &str, fields: Value) {
        self.jira("PUT", &format!("issue/{id}"), json!({ "fields": fields })).await;
    }

    /// Moves an issue along a transition.
    pub(super) async fn transit(&self, id: &str, name: &str) {
        let path = format!("issue/{id}/transitions");
        let offered = self.jira("GET", &path, Value::Null).await;
        let found = list(&offered["transitions"]).into_iter().find(|t| t["name"] == name);
        let id = found.unwrap_or_else(|| panic!("{name} is not offered: {offered}"))["id"].clone();
        self.jira("POST", &path, json!({"transition": {"id": id}})).await;
    }

    /// Calls Xray's GraphQL.
    pub(super) async fn xray(&self, query: &str) -> Value {
        let base = format!("{}/api/v2", self.env["XRAY_URL"]);
        let keys = json!({
            "client_id": self.env["XRAY_CLIENT_ID"], "client_secret": self.env["XRAY_CLIENT_SECRET"]
        });
        let sign_in = self.client.post(format!("{base}/authenticate")).json(&keys);
        let token = answer(sign_in, "authenticate").await;
        let call = self.client.post(format!("{base}/graphql"));
        let call = call.bearer_auth(token.as_str().expect("a token")).json(&json!({ "query": query }));
        let reply = answer(call, query).await;
        assert!(reply["errors"].is_null(), "{query}: {reply}");
        reply["data"].clone()
    }

    /// The tests of a plan, a set or an execution (`TestPlan`, `TestSet`, `TestExecution`).
    pub(super) async fn tests_of(&self, holder: &str, id: &str) -> BTreeSet<String> {
        let query = format!(
            "{{ get{holder}(issueId: \"{id}\") {{ tests(limit: 100) {{ results {{ issueId }} }} }} }}"
        );
        let found = self.xray(&query).await;
        let tests = list(&found[format!("get{holder}")]["tests"]["results"]);
        tests.iter().filter_map(|t| t["issueId"].as_str().map(str::to_owned)).collect()
    }

    /// The runs of an execution: test and run.
    pub(super) async fn runs_of(&self, execution: &str) -> Vec<(String, Value)> {
        let query = format!(
            "{{ getTestExecution(issueId: \"{execution}\") {{ testRuns(limit: 100) \
             {{ results {{ id comment status {{ name }} test {{ issueId }} }} }} }} }}"
        );
        let found = self.xray(&query).await;
        let test = |run: &Value| run["test"]["issueId"].as_str().unwrap_or_default().to_owned();
        let runs = list(&found["getTestExecution"]["testRuns"]["results"]);
        runs.into_iter().map(|run| (test(&run), run)).collect()
    }

    /// The status of a test run.
    pub(super) async fn run_status(&self, id: &str) -> String {
        let found = self.xray(&format!("{{ getTestRunById(id: \"{id}\") {{ status {{ name }} }} }}")).await;
        found["getTestRunById"]["status"]["name"].as_str().unwrap_or_default().to_owned()
    }

    /// The steps of a test.
    pub(super) async fn steps(&self, test: &str) -> Vec<Value> {
        let query = format!("{{ getTest(issueId: \"{test}\") {{ steps {{ id action data result }} }} }}");
        list(&self.xray(&query).await["getTest"]["steps"])
    }

    /// The tests of a plan and the like, changed by `addTestsToTestPlan` and its kin.
    pub(super) async fn associate(&self, mutation: &str, holder: &str, tests: &[&str]) {
        let field = if mutation.starts_with("add") { " { warning }" } else { "" };
        let tests = json!(tests);
        let query = format!("mutation {{ {mutation}(issueId: \"{holder}\", testIssueIds: {tests}){field} }}");
        self.xray(&query).await;
    }

    /// Makes a test with steps.
    pub(super) async fn add_test(&self, title: &str, actions: &[&str]) -> String {
        let steps: Vec<String> = actions.iter().map(|a| format!("{{ action: {} }}", json!(a))).collect();
        let query = format!(
            "mutation {{ createTest(testType: {{ name: \"Manual\" }}, steps: [{}], jira: {{ fields: {{ summary: {}, \
             project: {{ key: \"{}\" }} }} }}) {{ test {{ issueId }} warnings }} }}",
            steps.join(", "),
            json!(title),
            self.env["JIRA_PROJECT"]
        );
        let made = self.xray(&query).await;
        made["createTest"]["test"]["issueId"].as_str().expect("an issue's id").to_owned()
    }
}

/// The elements of a JSON list, none if it is none.
pub(super) fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// Reasons with their counts.
pub(super) fn reasons(rows: &[Held]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        let field = row.field.as_ref().map(|f| format!(" {f}")).unwrap_or_default();
        *counts.entry(format!("{} {}{field}: {}", row.integration, row.side, row.reason)).or_default() += 1;
    }
    counts
}

fn patch(fields: &[(&str, &str)]) -> Value {
    let one = |(field, value): &(&str, &str)| json!({"op": "add", "path": format!("/fields/{field}"), "value": value});
    fields.iter().map(one).collect()
}

async fn answer(request: reqwest::RequestBuilder, what: &str) -> Value {
    let reply = request.send().await.expect("an answer");
    let status = reply.status();
    let text = reply.text().await.expect("a body");
    assert!(status.is_success(), "{what}: {status} {text}");
    serde_json::from_str(&text).unwrap_or(Value::Null)
}
