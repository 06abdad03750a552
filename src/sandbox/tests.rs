//! The sandbox around the emulators, tried with a toy system over real connections.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::*;

/// A list of lines: `POST /lines` appends the body, `GET /lines` gives all, `GET /panic` breaks.
struct Toy(Mutex<Vec<String>>);

impl Emulator for Toy {
    fn system(&self) -> &'static str {
        "toy"
    }

    fn handle(&self, request: Request) -> futures::future::BoxFuture<'_, Response> {
        let mut lines = self.0.lock().unwrap();
        let (status, body, changed) = match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/lines") => {
                lines.push(String::from_utf8_lossy(&request.body).into_owned());
                (201, lines.len().to_string(), true)
            }
            ("GET" | "HEAD", "/lines") => (200, lines.join("\n"), false),
            ("GET", "/base") => (200, request.base, false),
            ("GET", "/echo%20it") => (200, request.query, false),
            ("GET", "/panic") => panic!("as asked"),
            _ => (404, String::new(), false),
        };
        let headers = vec![("X-Toy".to_owned(), "yes".to_owned())];
        Box::pin(async move { Response { status, headers, body: body.into(), changed } })
    }

    fn state(&self) -> StateSummary {
        let lines = self.0.lock().unwrap();
        StateSummary { hash: lines.join("|"), counts: [("lines".to_owned(), lines.len() as u64)].into() }
    }

    fn env(&self, base: &str) -> Vec<(String, String)> {
        vec![("TOY_URL".to_owned(), base.to_owned())]
    }

    fn save(&self) -> Vec<u8> {
        self.0.lock().unwrap().join("\n").into_bytes()
    }
}

fn new_toy(world: &world::World, options: &Options) -> Arc<dyn Emulator> {
    let count = if options.empty { 0 } else { world.cases.len() };
    Arc::new(Toy(Mutex::new((0..count).map(|n| format!("case {n}")).collect())))
}

fn load_toy(bytes: &[u8], _: &Options) -> Loaded {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    Ok(Arc::new(Toy(Mutex::new(text.lines().map(str::to_owned).collect()))))
}

const TOYS: [System; 1] = [System { name: "toy", new: new_toy, load: load_toy }];

async fn start(options: SandboxOptions) -> Sandbox {
    Sandbox::start_of(options, &TOYS).await.unwrap()
}

async fn empty_sandbox() -> Sandbox {
    start(SandboxOptions { size: 2, empty: true, ..SandboxOptions::default() }).await
}

/// Sends one request on a connection of its own; gives the raw answer, or none if it was lost.
async fn raw(sandbox: &Sandbox, method: &str, path: &str, body: &str) -> Option<String> {
    let address: SocketAddr = sandbox.urls()[0].1["http://".len()..].parse().unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let exchange = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // A reset may follow what has already come.
        let _ = stream.read_to_end(&mut answer);
        (!answer.is_empty()).then(|| String::from_utf8(answer).unwrap())
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

async fn body(sandbox: &Sandbox, method: &str, path: &str, sent: &str) -> String {
    let answer = raw(sandbox, method, path, sent).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn requests_reach_the_emulator_as_they_were_sent() {
    let sandbox = empty_sandbox().await;
    let answer = raw(&sandbox, "POST", "/lines", "ä").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(answer.contains("x-toy: yes"), "{answer}");
    assert_eq!(body(&sandbox, "GET", "/lines", "").await, "ä");
    assert_eq!(body(&sandbox, "GET", "/echo%20it?a=%2F&b", "").await, "a=%2F&b");
    assert_eq!(body(&sandbox, "GET", "/base", "").await, sandbox.urls()[0].1);
    assert_eq!(body(&sandbox, "HEAD", "/lines", "").await, "");
    assert_eq!(sandbox.env(), [("TOY_URL".to_owned(), sandbox.urls()[0].1.clone())]);
}

#[tokio::test]
async fn the_log_says_what_was_asked_and_what_changed() {
    let sandbox = empty_sandbox().await;
    body(&sandbox, "POST", "/lines", "one").await;
    body(&sandbox, "GET", "/lines?x=1", "").await;
    let log = body(&sandbox, "GET", "/_sandbox/requests", "").await;
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "the sandbox's own routes are not logged");
    assert_eq!(lines[0]["sequence"], 1);
    assert_eq!(lines[0]["method"], "POST");
    assert_eq!(lines[0]["path"], "/lines");
    assert_eq!(lines[0]["status"], 201);
    assert_eq!(lines[0]["changed"], true);
    assert_eq!(lines[1]["changed"], false);
    assert_eq!(lines[1]["bytes"], 3);
    assert_eq!(lines[1]["query"], "x=1");
    let newer = body(&sandbox, "GET", "/_sandbox/requests?since=1", "").await;
    assert_eq!(newer.lines().collect::<Vec<_>>(), log.lines().skip(1).collect::<Vec<_>>());
    assert_eq!(sandbox.request_log("toy").len(), 2);
    assert!(
        raw(&sandbox, "GET", "/_sandbox/requests?since=x", "").await.unwrap().starts_with("HTTP/1.1 400")
    );
}

#[tokio::test]
async fn the_state_route_counts_artifacts() {
    let sandbox = start(SandboxOptions { size: 3, ..SandboxOptions::default() }).await;
    let state: serde_json::Value =
        serde_json::from_str(&body(&sandbox, "GET", "/_sandbox/state", "").await).unwrap();
    assert_eq!(state["system"], "toy");
    assert_eq!(state["counts"]["lines"], 3);
    let (hash, counts) = sandbox.state("toy").unwrap();
    assert_eq!(state["hash"], hash.as_str());
    assert_eq!(counts["lines"], 3);
}

#[tokio::test]
async fn a_cut_after_the_change_loses_only_the_answer() {
    let sandbox = empty_sandbox().await;
    let plan = r#"{"methods": ["POST"], "at": {"1": "cut-after", "2": "cut-before"}}"#;
    body(&sandbox, "POST", "/_sandbox/faults", plan).await;
    assert_eq!(raw(&sandbox, "POST", "/lines", "one").await, None);
    assert_eq!(body(&sandbox, "GET", "/lines", "").await, "one");
    assert_eq!(raw(&sandbox, "POST", "/lines", "two").await, None);
    assert_eq!(body(&sandbox, "GET", "/lines", "").await, "one");
    let log = sandbox.request_log("toy");
    assert_eq!((log[0].fault, log[0].changed, log[0].status), (Some("cut-after"), true, Some(201)));
    assert_eq!((log[2].fault, log[2].changed, log[2].status), (Some("cut-before"), false, None));
}

#[tokio::test]
async fn a_truncated_answer_promises_more_than_it_holds() {
    let sandbox = empty_sandbox().await;
    body(&sandbox, "POST", "/lines", "0123456789").await;
    sandbox.set_faults(Some("seed=1,rate=1,kinds=truncated".parse().unwrap()));
    let answer = raw(&sandbox, "GET", "/lines", "").await.unwrap();
    assert!(answer.contains("content-length: 10\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n01234"), "{answer}");
}

#[tokio::test]
async fn refusals_look_as_planned_and_change_nothing() {
    let sandbox = empty_sandbox().await;
    let plan = r#"{"at": {"1": "429", "2": "429-bare", "3": "502", "4": "503", "5": "500", "6": "sign-in",
                          "7": "slow", "8": "502-after"}, "retry_after": 2, "slow_ms": 5}"#;
    body(&sandbox, "POST", "/_sandbox/faults", plan).await;
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(raw(&sandbox, "POST", "/lines", "x").await.unwrap());
    }
    assert!(answers[0].starts_with("HTTP/1.1 429") && answers[0].contains("retry-after: 2\r\n"));
    assert!(answers[1].starts_with("HTTP/1.1 429") && !answers[1].contains("retry-after"));
    assert!(answers[2].starts_with("HTTP/1.1 502") && answers[2].contains("<html>"));
    assert!(answers[3].starts_with("HTTP/1.1 503"));
    assert!(answers[4].starts_with("HTTP/1.1 500"));
    assert!(answers[5].starts_with("HTTP/1.1 203") && answers[5].contains("text/html"));
    assert_eq!(sandbox.state("toy").unwrap().1["lines"], 0);
    assert_eq!(body(&sandbox, "POST", "/lines", "x").await, "1");
    assert!(raw(&sandbox, "POST", "/lines", "x").await.unwrap().starts_with("HTTP/1.1 502"));
    assert_eq!(sandbox.state("toy").unwrap().1["lines"], 2);
}

#[tokio::test]
async fn faults_can_be_cleared_and_wrong_plans_are_refused() {
    let sandbox = empty_sandbox().await;
    sandbox.set_faults(Some("seed=1,rate=1,kinds=503".parse().unwrap()));
    assert!(raw(&sandbox, "GET", "/lines", "").await.unwrap().starts_with("HTTP/1.1 503"));
    let refusal = raw(&sandbox, "POST", "/_sandbox/faults", r#"{"kinds": ["fire"]}"#).await.unwrap();
    assert!(refusal.starts_with("HTTP/1.1 400") && refusal.contains("fire"), "{refusal}");
    body(&sandbox, "POST", "/_sandbox/faults", "{}").await;
    assert!(raw(&sandbox, "GET", "/lines", "").await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_panic_in_an_emulator_is_one_answer_only() {
    let sandbox = empty_sandbox().await;
    assert!(raw(&sandbox, "GET", "/panic", "").await.unwrap().starts_with("HTTP/1.1 500"));
}

fn kept_in(folder: &Path) -> SandboxOptions {
    SandboxOptions { size: 2, data: Some(folder.to_owned()), ..SandboxOptions::default() }
}

#[tokio::test]
async fn a_saved_sandbox_goes_on_where_it_was_at_the_same_address() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(kept_in(folder.path())).await;
    let urls = first.urls();
    body(&first, "POST", "/lines", "kept").await;
    first.save().unwrap();
    body(&first, "POST", "/lines", "not kept").await;
    first.stop().await;
    let second = start(kept_in(folder.path())).await;
    assert_eq!(second.urls(), urls);
    assert_eq!(body(&second, "GET", "/lines", "").await, "case 0\ncase 1\nkept");
    second.save().unwrap();
    let states = std::fs::read_dir(folder.path()).unwrap().flatten();
    let states = states.filter(|entry| entry.file_name().to_string_lossy().ends_with(".state"));
    assert_eq!(states.count(), 1, "older states are removed");
}

#[tokio::test]
async fn a_taken_port_is_given_up_and_a_fixed_one_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(kept_in(folder.path())).await;
    first.save().unwrap();
    let address: SocketAddr = first.urls()[0].1["http://".len()..].parse().unwrap();
    first.stop().await;
    let _taken = std::net::TcpListener::bind(address).unwrap();
    let second = start(kept_in(folder.path())).await;
    assert_ne!(second.urls()[0].1, format!("http://{address}"));
    let fixed = SandboxOptions { first_port: Some(address.port()), ..SandboxOptions::default() };
    let error = Sandbox::start_of(fixed, &TOYS).await.unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn another_company_in_the_folder_is_refused_unless_fresh() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(kept_in(folder.path())).await;
    let in_use = Sandbox::start_of(kept_in(folder.path()), &TOYS).await.unwrap_err();
    assert!(matches!(in_use, Error::InUse { .. }), "{in_use}");
    first.save().unwrap();
    first.stop().await;
    let larger = SandboxOptions { size: 5, ..kept_in(folder.path()) };
    let error = Sandbox::start_of(larger.clone(), &TOYS).await.unwrap_err().to_string();
    assert!(error.contains("size 2, not 5") && error.contains("--fresh"), "{error}");
    let fresh = start(SandboxOptions { fresh: true, ..larger }).await;
    assert_eq!(fresh.state("toy").unwrap().1["lines"], 5);
}

#[tokio::test]
async fn a_damaged_folder_is_an_error_that_names_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(kept_in(folder.path())).await;
    first.save().unwrap();
    first.stop().await;
    std::fs::write(folder.path().join("toy.1.state"), [0xff]).unwrap();
    let error = Sandbox::start_of(kept_in(folder.path()), &TOYS).await.unwrap_err().to_string();
    assert!(error.contains("toy.1.state") && error.contains("--fresh"), "{error}");
    std::fs::write(folder.path().join("sandbox.json"), "{").unwrap();
    assert!(Sandbox::start_of(kept_in(folder.path()), &TOYS).await.is_err());
    start(SandboxOptions { fresh: true, ..kept_in(folder.path()) }).await;
}

#[tokio::test]
async fn a_dropped_sandbox_frees_its_port() {
    let sandbox = empty_sandbox().await;
    let address: SocketAddr = sandbox.urls()[0].1["http://".len()..].parse().unwrap();
    drop(sandbox);
    for _ in 0..1_000 {
        if tokio::net::TcpListener::bind(address).await.is_ok() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{address} is still taken");
}

#[tokio::test]
async fn an_unknown_system_is_named_with_those_that_exist() {
    let options = SandboxOptions { systems: vec!["toys".to_owned()], ..SandboxOptions::default() };
    let error = Sandbox::start_of(options, &TOYS).await.unwrap_err().to_string();
    assert!(error.contains("`toys`") && error.contains("toy"), "{error}");
}
