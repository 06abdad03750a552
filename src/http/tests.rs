//! The client against a server that follows a script.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Url;

use super::clock::{Clock, Skipping};
use super::*;

/// A server on loopback that answers each connection by the next line of a script
/// (and then forever by the last) and keeps the requests it saw.
struct Server {
    url: Url,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// An empty answer stands for a connection that is closed without one.
    fn start(script: Vec<String>) -> Self {
        Self::answering(move |n, _| script[n.min(script.len() - 1)].clone())
    }

    fn answering(answer: impl Fn(usize, &str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = seen.clone();
        std::thread::spawn(move || {
            for (n, stream) in listener.incoming().enumerate() {
                let mut stream = BufReader::new(stream.unwrap());
                let (mut head, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    if stream.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                        break;
                    }
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    head.push_str(&line);
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let text = answer(n, &head);
                log.lock().unwrap().push(head + &String::from_utf8(body).unwrap());
                stream.get_mut().write_all(text.as_bytes()).unwrap();
            }
        });
        Self { url, seen }
    }

    fn at(&self, path: &str) -> Url {
        self.url.join(path).unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}", body.len())
}

fn ok(body: &str) -> String {
    answer("200 OK", "content-type: application/json\r\n", body)
}

fn client(settings: Settings) -> (Client, Arc<Skipping>) {
    let clock = Arc::new(Skipping::default());
    (Client::with_clock(settings, "example", clock.clone()).unwrap(), clock)
}

#[tokio::test]
async fn cut_answer_is_read_again_and_counted() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 50\r\nconnection: close\r\n\r\n{\"half\":".to_owned();
    let server = Server::start(vec![cut, ok(r#"{"whole":1}"#)]);
    let (client, _) = client(Settings::default());
    let reply = client.send(Request::get(server.at("x"), "reading")).await.unwrap();
    assert_eq!(reply.json::<serde_json::Value>().unwrap()["whole"], 1);
    let counts = client.counts();
    assert_eq!((counts.reads, counts.writes, counts.retries), (2, 0, 1));
}

#[tokio::test]
async fn create_whose_answer_is_lost_is_sent_once() {
    let server = Server::start(vec![String::new()]);
    let (client, _) = client(Settings::default());
    let error = client.send(Request::post(server.at("x"), "creating").json(&1)).await.unwrap_err();
    assert!(error.may_have_happened);
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(client.counts().writes, 1);
}

#[tokio::test]
async fn throttled_create_is_sent_again_after_the_wait() {
    let busy = answer("429 Too Many Requests", "retry-after: 30\r\n", "<html>slow down</html>");
    let server = Server::start(vec![busy, ok("{}")]);
    let (client, clock) = client(Settings::default());
    client.send(Request::post(server.at("x"), "creating").json(&1)).await.unwrap();
    assert_eq!(clock.now(), Duration::from_secs(30));
    assert_eq!(client.counts().throttled_seconds, 30.0);
}

#[tokio::test]
async fn slow_down_on_a_success_delays_the_next_request() {
    let server = Server::start(vec![answer("200 OK", "retry-after: 11\r\n", "{}"), ok("{}")]);
    let (client, clock) = client(Settings::default());
    client.send(Request::get(server.at("x"), "reading")).await.unwrap();
    assert_eq!(clock.now(), Duration::ZERO);
    client.send(Request::get(server.at("x"), "reading")).await.unwrap();
    assert_eq!(clock.now(), Duration::from_secs(11));
}

#[tokio::test]
async fn failing_service_is_given_up_with_its_words_and_without_the_query() {
    let server = Server::start(vec![answer("502 Bad Gateway", "", "<h1>no upstream</h1>")]);
    let (client, _) = client(Settings { retries_max: 2, ..Settings::default() });
    let error = client.send(Request::get(server.at("x?key=hidden"), "reading cases")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert_eq!(
        error.to_string(),
        "example: reading cases failed: status 502: no upstream; given up after 3 attempts"
    );
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn retry_budget_is_shared_by_all_requests() {
    let server = Server::start(vec![answer("500 Oops", "", "")]);
    let (client, _) = client(Settings { retries_max: 3, retry_budget: 4, ..Settings::default() });
    for _ in 0..3 {
        client.send(Request::get(server.at("x"), "reading")).await.unwrap_err();
    }
    assert_eq!(server.requests().len(), 4 + 2 + 1);
}

#[tokio::test]
async fn expired_session_is_renewed_once_for_all_requests() {
    let server = Server::answering(|_, head| {
        if head.contains("Bearer fresh") { ok("{}") } else { answer("401 Unauthorized", "", "expired") }
    });
    let renewals = Arc::new(AtomicUsize::new(0));
    let count = renewals.clone();
    let renewing = Renewing::new(move |_client| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            tokio::task::yield_now().await;
            Ok(Credential::bearer(&Token::new(if first { "stale" } else { "fresh" })))
        }
    });
    let (client, _) = client(Settings { auth: Auth::Renewing(renewing), ..Settings::default() });
    let requests = (0..20).map(|_| client.send(Request::post(server.at("x"), "creating").json(&1)));
    for reply in futures::future::join_all(requests).await {
        reply.unwrap();
    }
    assert_eq!(renewals.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn refused_sign_in_is_not_tried_again() {
    let server = Server::start(vec![answer("401 Unauthorized", "", "wrong secret")]);
    let url = server.at("authenticate");
    let renewing = Renewing::new(move |client: Client| {
        let request = Request::post(url.clone(), "signing in").anonymous().json(&"secret");
        async move { client.send(request).await.map(|_| Credential::bearer(&Token::new("t"))) }
    });
    let (client, _) = client(Settings { auth: Auth::Renewing(renewing), ..Settings::default() });
    for _ in 0..3 {
        let error = client.send(Request::get(server.at("x"), "reading")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::SignIn);
        assert_eq!(error.operation, "signing in");
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn sign_in_pages_are_told_apart_from_answers() {
    let page = answer("203 Non-Authoritative", "content-type: text/html\r\n", "<html>Sign in</html>");
    let away = answer("302 Found", "location: https://login.example.com/_signin?realm=1\r\n", "");
    for text in [page, away] {
        let server = Server::start(vec![text]);
        let auth = Auth::Basic { user: String::new(), password: "pat".into() };
        let (client, _) = client(Settings { auth, ..Settings::default() });
        let error = client.send(Request::get(server.at("x"), "reading")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::SignIn);
        assert!(!error.message.contains("realm"), "{error}");
    }
}

#[tokio::test]
async fn credentials_do_not_follow_to_other_hosts() {
    let bucket = Server::start(vec![ok("content")]);
    let place = bucket.at("file?signature=1");
    let server = Server::start(vec![answer("303 See Other", &format!("location: {place}\r\n"), "")]);
    let (client, _) = client(Settings { auth: Auth::Bearer("secret".into()), ..Settings::default() });
    let refused = client.send(Request::get(server.at("x"), "reading")).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Redirected);
    let reply = client.send(Request::get(server.at("x"), "reading").follow_elsewhere()).await.unwrap();
    assert_eq!(reply.text(), "content");
    assert!(server.requests()[0].contains("Bearer secret"));
    assert!(!bucket.requests()[0].contains("secret"));
}

#[tokio::test]
async fn oversized_answer_is_refused() {
    let server = Server::start(vec![ok(&"x".repeat(2000))]);
    let (client, _) = client(Settings { body_bytes_max: 1000, ..Settings::default() });
    let error = client.send(Request::get(server.at("x"), "reading")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
}

#[tokio::test]
async fn secrets_that_a_server_repeats_are_blotted_out() {
    let server = Server::start(vec![answer("500 Oops", "", "bad header Bearer s3cr3t here")]);
    let auth = Auth::Bearer("s3cr3t".into());
    let (client, _) = client(Settings { auth, retries_max: 0, ..Settings::default() });
    let error = client.send(Request::get(server.at("x"), "reading")).await.unwrap_err();
    assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
    assert!(!format!("{client:?}").contains("s3cr3t"));
}

#[tokio::test]
async fn plain_http_to_other_machines_is_refused() {
    let (client, _) = client(Settings::default());
    let url = Url::parse("http://jira.example.com/x?token=1").unwrap();
    let error = client.send(Request::get(url, "reading")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Settings);
    assert!(error.message.contains("http://jira.example.com/x would send"), "{error}");
    assert_eq!(client.counts().reads, 0);
}

#[tokio::test]
async fn host_that_does_not_listen_is_unreachable() {
    let url = {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap();
        Url::parse(&format!("http://{}/", closed.local_addr().unwrap())).unwrap()
    };
    let (client, _) = client(Settings { retries_max: 1, ..Settings::default() });
    let error = client.send(Request::post(url, "creating").json(&1)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(!error.may_have_happened);
}

#[tokio::test]
async fn classify_repeats_what_failed_inside_a_success() {
    let server = Server::start(vec![ok(r#"{"errors":["deadlock"]}"#), ok(r#"{"data":1}"#)]);
    let classify =
        Classify::new(
            |_, reply| {
                if reply.text().contains("deadlock") { Verdict::NotDone } else { Verdict::Accept }
            },
        );
    let (client, _) = client(Settings::default());
    let client = client.with_classify(classify);
    let reply = client.send(Request::post(server.at("x"), "creating").json(&1)).await.unwrap();
    assert!(reply.text().contains("data"));
}
