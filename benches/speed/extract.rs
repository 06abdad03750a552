//! Extraction of test cases with steps, beside the mere download of the same pages.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use chrono::Utc;
use futures::stream::{self, StreamExt};
use serde_json::json;
use testferry::connectors;
use testferry::model::RepositoryId;
use testferry::pipeline::{self, Pipeline, Surroundings};
use testferry::stages::Quiet;
use testferry::stages::extract::Extraction;
use testferry::store::Store;

use crate::measure::{again, line, report, scaled, target};
use crate::pages::{FIRST, PAGE};

/// Test cases to extract.
const CASES: usize = 100_000;

/// How long a service takes for a page of 200 work items at its best.
const SERVICE_LATENCY_MS: &str = "100";

/// Requests under way at a time, as the connector has them.
const AT_ONCE: usize = 4;

/// The shipped pipeline, with the addresses of nobody.
pub(crate) fn shipped(url: &str) -> Pipeline {
    let text = include_str!("../../pipelines/ado-xray.yaml");
    let env: BTreeMap<&str, &str> = [
        ("ADO_URL", url),
        ("ADO_PAT", "a-token-of-nobody"),
        ("ADO_PROJECT", "Fabrikam"),
        ("JIRA_URL", "http://127.0.0.1:9"),
        ("XRAY_URL", "http://127.0.0.1:9"),
        ("JIRA_EMAIL", "nobody@contoso.example"),
        ("JIRA_TOKEN", "a-token-of-nobody"),
        ("JIRA_PROJECT", "CALC"),
        ("XRAY_CLIENT_ID", "nobody"),
        ("XRAY_CLIENT_SECRET", "a-secret-of-nobody"),
    ]
    .into();
    let lookup = |name: &str| env.get(name).map(|text| (*text).to_owned());
    let around = Surroundings { env: &lookup, folder: PathBuf::new() };
    match pipeline::load("ado-xray.yaml", text.as_bytes(), &connectors::catalog(), &around) {
        Ok(loaded) => loaded.pipeline,
        Err(problems) => panic!("{problems:?}"),
    }
}

/// Serves, downloads, extracts, and prints.
pub(crate) fn run() {
    let cases = scaled(CASES);
    for (name, latency_ms) in [
        ("at the speed of this machine", "0"),
        ("from a service that takes 100 ms a page", SERVICE_LATENCY_MS),
    ] {
        let (mut server, url, bytes) = served(cases, latency_ms);
        println!("extract: {cases} test cases with steps, {} MB of JSON, {name}", bytes / 1_000_000);
        let (_, download) = again(&["download", &url, &cases.to_string()]);
        line("download", cases, download);
        let folder = tempfile::tempdir().expect("a folder");
        let (text, extraction) = again(&["extract", &url, &folder.path().to_string_lossy()]);
        line("extract", cases, extraction);
        if !text.contains(&format!("rows {cases}")) {
            println!("  not all rows came: {text}");
        }
        target("MB of JSON per CPU second", bytes as f64 / 1e6 / extraction.cpu_s, 80.0, false);
        target("times the download's wall time", extraction.wall_s / download.wall_s, 1.5, true);
        let _ = server.kill();
        let _ = server.wait();
    }
}

fn served(cases: usize, latency_ms: &str) -> (Child, String, usize) {
    let mut server = Command::new(std::env::current_exe().expect("this program"))
        .args(["serve", &cases.to_string(), latency_ms])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a server");
    let mut first = String::new();
    let out = server.stdout.take().expect("what it prints");
    BufReader::new(out).read_line(&mut first).expect("an address");
    let (address, bytes) = first.trim().split_once(' ').expect("address and bytes");
    (server, format!("http://{address}/contoso"), bytes.parse().expect("bytes"))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads")
}

/// Reads every page and forgets it.
pub(crate) fn download(url: &str, cases: usize) {
    let begun = Instant::now();
    runtime().block_on(async {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let address = format!("{url}/_apis/wit/workitemsbatch?api-version=7.1");
        let bytes = stream::iter((FIRST..FIRST + cases).step_by(PAGE))
            .map(|from| {
                let ids: Vec<usize> = (from..(from + PAGE).min(FIRST + cases)).collect();
                let request = client.post(&address).json(&json!({"ids": ids, "$expand": "relations"}));
                async move {
                    let mut reply = request.send().await.expect("a page");
                    let mut bytes = 0;
                    while let Some(chunk) = reply.chunk().await.expect("a page") {
                        bytes += chunk.len();
                    }
                    bytes
                }
            })
            .buffer_unordered(AT_ONCE)
            .fold(0, |sum, bytes| async move { sum + bytes })
            .await;
        println!("bytes {bytes}");
    });
    report(begun);
}

/// Extracts through the real connector and stage into a store.
pub(crate) fn extract(url: &str, folder: &str) {
    let begun = Instant::now();
    runtime().block_on(async {
        let pipeline = shipped(url);
        let repositories = connectors::connect(&pipeline).expect("connectors");
        let repository = RepositoryId::from("ado");
        let store = Store::open(folder).expect("a store").pipeline("ado-xray").expect("a store");
        let extraction = Extraction {
            store: &store,
            repository: &repository,
            connector: &repositories[&repository],
            before: None,
            full: true,
            stop: &AtomicBool::new(false),
            now: Utc::now(),
        };
        let tables = extraction.run(&Quiet).await.expect("an extraction");
        println!("rows {}", tables["test_cases"].rows);
    });
    report(begun);
}
