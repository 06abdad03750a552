//! A proxy on loopback that passes requests on and writes down what passes.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderName};
use axum::response::Response;

/// The largest body that is passed on.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Headers that belong to one connection.
const HOP: [HeaderName; 3] = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING];

/// A request and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) sent: Bytes,
    pub(crate) status: u16,
    pub(crate) received: Bytes,
}

/// A running proxy.
pub(crate) struct Recorder {
    /// Its address: `http://127.0.0.1:4100`.
    pub(crate) url: String,
    passed: Arc<Mutex<Vec<Exchange>>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Passing {
    target: String,
    client: reqwest::Client,
    passed: Arc<Mutex<Vec<Exchange>>>,
}

impl Recorder {
    /// Starts a proxy before a server.
    pub(crate) async fn before(target: &str) -> Recorder {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let passed: Arc<Mutex<Vec<Exchange>>> = Arc::default();
        let client = reqwest::Client::builder().no_gzip().no_proxy().build().expect("a client");
        let passing = Passing { target: target.to_owned(), client, passed: Arc::clone(&passed) };
        let router = Router::new().fallback(pass).with_state(passing);
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("a server");
        });
        Recorder { url, passed, task }
    }

    /// Stops and returns what passed, in the order of the answers.
    pub(crate) fn stop(self) -> Vec<Exchange> {
        self.task.abort();
        std::mem::take(&mut self.passed.lock().expect("no panic"))
    }
}

async fn pass(State(passing): State<Passing>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let sent = to_bytes(body, BODY_BYTES_MAX).await.expect("a body");
    let place = head.uri.path_and_query().map_or("/", |p| p.as_str());
    let mut headers = without_hops(&head.headers);
    // The server names its own address in its answers, as the caller knows it.
    if let Some(host) = head.headers.get(HOST) {
        headers.insert(HOST, host.clone());
    }
    let answer = passing
        .client
        .request(head.method.clone(), format!("{}{place}", passing.target))
        .headers(headers)
        .body(sent.clone())
        .send()
        .await
        .expect("an answer");
    let (status, headers) = (answer.status(), without_hops(answer.headers()));
    let received = answer.bytes().await.expect("the answer's body");
    passing.passed.lock().expect("no panic").push(Exchange {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        sent,
        status: status.as_u16(),
        received: received.clone(),
    });
    let mut response = Response::new(Body::from(received));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn without_hops(headers: &HeaderMap) -> HeaderMap {
    headers
        .iter()
        .filter(|(name, _)| !HOP.contains(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
