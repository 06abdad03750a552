//! Connectors and emulators are two readings of the vendors' documents. Here a whole sync is
//! recorded between them, and everything that passed is held against the documents themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use chrono::Utc;
use serde_json::{Value, json};
use testferry::connectors;
use testferry::model::RunId;
use testferry::pipeline::{self, Surroundings};
use testferry::sandbox::{Sandbox, SandboxOptions};
use testferry::stages::{self, Job, Options, Quiet};
use testferry::store::{Holder, Store};

use crate::described::{Description, Habit, Verdict};
use crate::graphql::{INTROSPECTION, Published, told};
use crate::recorder::{Exchange, Recorder};

/// Test cases of the company that is synced: every hard case is in it.
const SIZE: usize = 20;

/// Routes that the descriptions lack: beginning of method and path, and why they are right all the same.
const NOT_DESCRIBED: [(&str, &str); 4] = [
    ("PATCH /contoso/_apis/wit/$batch", "the fact sheet's section 6.5; the vendor's own clients send it"),
    ("GET /contoso/_apis/connectionData", "every client of the vendor asks it first; fact sheet section 2"),
    ("GET /api/v2/", "Xray's REST interface has no published description; fact sheet"),
    ("POST /api/v2/", "Xray's REST interface has no published description; fact sheet"),
];

/// Where the descriptions are known to be wrong: a part of the finding, and what is right.
const DESCRIBED_WRONGLY: [(&str, &str); 5] = [
    ("project/visibility: \"unchanged\"", "all official samples of test plans show it"),
    ("lastResetToActive: \"0001-01-01T00:00:00\"", "an empty date has no zone in Microsoft's answers"),
    (
        "test/runs: query: includerundetails is not described",
        "described for the list only; where a window ignores it, runs are read one by one",
    ),
    ("/rest/api/3/serverInfo: answer/buildDate", "Jira writes zones without a colon"),
    ("/rest/api/3/serverInfo: answer/serverTime", "Jira writes zones without a colon"),
];

/// What passed between connectors and emulators, by system.
type Passed = BTreeMap<String, Vec<Exchange>>;

/// Two nights, recorded once for all tests.
static NIGHTS: LazyLock<Passed> = LazyLock::new(|| {
    let runtime = || tokio::runtime::Runtime::new().expect("a runtime").block_on(nights());
    std::thread::spawn(runtime).join().expect("two nights")
});

/// The folder of the vendors' documents. Without it there is nothing to hold against; where a
/// machine proves the project that is a failure.
fn documents() -> Option<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = package.ancestors().skip(1).map(|folder| folder.join("shared/api")).find(|p| p.is_dir());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "../shared/api is missing");
        eprintln!("skipped: the vendors' documents are not in ../shared/api");
    }
    found
}

fn document(folder: &Path, path: &str) -> String {
    std::fs::read_to_string(folder.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

async fn nights() -> Passed {
    // Another test may have chosen it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sandbox =
        Sandbox::start(SandboxOptions { size: SIZE, ..SandboxOptions::default() }).await.expect("a sandbox");
    let mut recorders = BTreeMap::new();
    let mut env: BTreeMap<String, String> = sandbox.env().into_iter().collect();
    for (system, url) in sandbox.urls() {
        let recorder = Recorder::before(&url).await;
        env.values_mut().for_each(|value| *value = value.replace(&url, &recorder.url));
        recorders.insert(system, recorder);
    }
    let staging = tempfile::tempdir().expect("a folder");
    for night in 1..=2 {
        let done = sync(&env, staging.path(), night).await;
        let rejected: Vec<&str> = done.rejected.iter().map(|r| r.detail.as_str()).collect();
        eprintln!("night {night}: {} rejected {rejected:?}", rejected.len());
    }
    let passed: Passed = recorders.into_iter().map(|(system, r)| (system, r.stop())).collect();
    for (system, exchanges) in &passed {
        let served = sandbox.request_log(system).len();
        assert_eq!(served, exchanges.len(), "requests to {system} that went past the recorder");
    }
    sandbox.stop().await;
    passed
}

async fn sync(env: &BTreeMap<String, String>, staging: &Path, night: u32) -> stages::Done {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/ado-xray.yaml");
    // The documented budget would stretch the recording to minutes.
    let text = std::fs::read_to_string(path).expect("the pipeline").replace("300/5min", "100000/5min");
    let vars = |name: &str| env.get(name).cloned();
    let surroundings = Surroundings { env: &vars, folder: PathBuf::new() };
    let loaded = pipeline::load("ado-xray.yaml", text.as_bytes(), &connectors::catalog(), &surroundings)
        .expect("a pipeline");
    let repositories = connectors::connect(&loaded.pipeline).expect("connectors");
    let store =
        Store::open(&staging.to_string_lossy()).expect("a store").pipeline("ado-xray").expect("a part of it");
    let job = Job {
        pipeline: &loaded.pipeline,
        repositories: &repositories,
        store: &store,
        run: RunId::new(format!("night-{night}")),
        holder: Holder { name: "fidelity".into(), host: String::new(), process: String::new() },
        is_gone: &|_| false,
        clock: &Utc::now,
        progress: &Quiet,
        options: Options { load: true, ..Options::default() },
    };
    stages::run(&job).await.unwrap_or_else(|e| panic!("night {night}: {e:?}"))
}

/// Holds everything that passed against a description and lists what differs, each kind once.
fn differences(
    description: &Description,
    exchanges: &[Exchange],
    skip: impl Fn(&Exchange) -> bool,
) -> Vec<String> {
    let mut found: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for exchange in exchanges.iter().filter(|e| !skip(e)) {
        let route = format!("{} {}", exchange.method, exchange.path);
        let problems = match description.check(exchange) {
            Verdict::Fine => continue,
            Verdict::NotDescribed => vec![format!("{route}: is not described")],
            Verdict::Differs(template, problems) => {
                problems.into_iter().map(|p| format!("{} {template}: {p}", exchange.method)).collect()
            }
        };
        for problem in problems {
            let example = format!("{route}?{}", exchange.query);
            found.entry(problem).or_insert((0, example)).0 += 1;
        }
    }
    let known = |problem: &str| DESCRIBED_WRONGLY.iter().any(|(part, _)| problem.contains(part));
    let line = |(problem, (times, example))| format!("{problem}\n    {times} times, such as {example}");
    found.into_iter().filter(|(problem, _)| !known(problem)).map(line).collect()
}

fn is_exempt(exchange: &Exchange) -> bool {
    let route = format!("{} {}", exchange.method, exchange.path);
    NOT_DESCRIBED.iter().any(|(beginning, _)| route.starts_with(beginning))
}

fn nothing(found: Vec<String>) {
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

#[test]
fn azure_devops_is_spoken_as_microsoft_describes_it() {
    let Some(folder) = documents() else { return };
    let areas = [
        "wit/7.1/workItemTracking.json",
        "testPlan/7.1/testPlan.json",
        "test/7.1/test.json",
        "testResults/7.1/testResults.json",
        "core/7.1/core.json",
        "processes/7.1/workItemTrackingProcess.json",
        "wit/7.2/workItemTracking.json",
        "testPlan/7.2/testPlan.json",
    ];
    let texts: Vec<String> = areas.iter().map(|area| document(&folder.join("azure-devops"), area)).collect();
    let description = Description::read(Habit::Swagger, &texts);
    let exchanges = &NIGHTS["azure-devops"];
    assert!(exchanges.iter().any(|e| e.method == "POST" && e.status == 200), "nothing was written");
    nothing(differences(&description, exchanges, is_exempt));
}

#[test]
fn jira_is_spoken_as_atlassian_describes_it() {
    let Some(folder) = documents() else { return };
    let description =
        Description::read(Habit::OpenApi, &[document(&folder, "jira-xray/jira-cloud-v3.openapi.json")]);
    let exchanges = &NIGHTS["jira-xray"];
    assert!(exchanges.iter().any(|e| e.method == "PUT" && e.status < 300), "nothing was written");
    nothing(differences(&description, exchanges, is_exempt));
}

#[test]
fn every_graphql_document_fits_the_published_schema() {
    let Some(folder) = documents() else { return };
    let schema = Published::read(&document(&folder, "jira-xray/xray-cloud.graphql"));
    let mut found = BTreeSet::new();
    let mut documents = 0;
    for exchange in NIGHTS["jira-xray"].iter().filter(|e| e.path.ends_with("/graphql")) {
        let body: Value = serde_json::from_slice(&exchange.sent).expect("a request");
        let text = body["query"].as_str().expect("a document");
        found.extend(schema.check(text, &body["variables"]));
        documents += 1;
    }
    assert!(documents > 0, "no document was sent");
    nothing(found.into_iter().collect());
}

/// Every field with its arguments and types, from introspection, both ways.
#[tokio::test]
async fn emulator_serves_the_published_schema() {
    let Some(folder) = documents() else { return };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options =
        SandboxOptions { systems: vec!["jira-xray".into()], empty: true, ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options).await.expect("a sandbox");
    let env: BTreeMap<String, String> = sandbox.env().into_iter().collect();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let keys = json!({ "client_id": env["XRAY_CLIENT_ID"], "client_secret": env["XRAY_CLIENT_SECRET"] });
    let sign_in = client.post(format!("{}/api/v2/authenticate", env["XRAY_URL"])).json(&keys);
    let token: String = sign_in.send().await.expect("an answer").json().await.expect("a token");
    let ask = client.post(format!("{}/api/v2/graphql", env["XRAY_URL"])).bearer_auth(token);
    let answer = ask.json(&json!({ "query": INTROSPECTION })).send().await.expect("an answer");
    let answer: Value = answer.json().await.expect("an answer in JSON");
    let served: BTreeSet<String> = told(&answer).into_iter().collect();
    let published = Published::read(&document(&folder, "jira-xray/xray-cloud.graphql"));
    let published: BTreeSet<String> = published.lines().into_iter().collect();
    let lacks = published.difference(&served).map(|line| format!("- {line}"));
    nothing(lacks.chain(served.difference(&published).map(|line| format!("+ {line}"))).collect());
    sandbox.stop().await;
}

#[test]
fn validator_finds_what_is_wrong() {
    let schema =
        Published::read("type Query { a(n: Int!, s: [S]): T } type T { b: String } input S { c: String! }");
    assert!(
        schema.check("query($s: [S]) { a(n: 1, s: $s) { b } }", &json!({ "s": [{ "c": "x" }] })).is_empty()
    );
    for (text, variables) in [
        ("{ a(n: 1) { c } }", json!({})),
        ("{ a { b } }", json!({})),
        ("{ a(n: \"1\") { b } }", json!({})),
        ("{ a(n: 1) }", json!({})),
        ("query($n: Int) { a(n: $n) { b } }", json!({ "n": 1 })),
        ("query($s: [S]) { a(n: 1, s: $s) { b } }", json!({ "s": [{}] })),
        ("{ a(n: 1, x: 2) { b } }", json!({})),
    ] {
        assert_eq!(schema.check(text, &variables).len(), 1, "{text}");
    }
}
