//! One emulator behind one listener: passes requests on, logs them, makes them fail on purpose.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::cut::{CuttableListener, Scissors};
use super::emulator::{Emulator, Request, Response};
use super::faults::{Fault, FaultKind, FaultPlan, Faults};
use super::log::{LoggedRequest, RequestLog};

/// The largest request body: above the largest attachment that any of the systems takes in one request.
const LARGEST_BODY: usize = 160 * 1024 * 1024;
/// How long the first part of a truncated answer has to leave before the connection is cut.
const TRUNCATE_AFTER: Duration = Duration::from_millis(20);
/// How long requests under way may take to finish when the server stops.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// The routes that the real systems lack start with this; faults never hit them.
const OWN_ROUTES: &str = "/_sandbox/";

/// One running server. Dropped, it stops listening and lets requests under way finish.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    served: Arc<Served>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// What all requests of a server share.
struct Served {
    emulator: Arc<dyn Emulator>,
    address: SocketAddr,
    log: RequestLog,
    faults: Mutex<Faults>,
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served").field("system", &self.emulator.system()).finish_non_exhaustive()
    }
}

impl Server {
    /// Serves an emulator on a listener that is already bound.
    pub(crate) fn start(
        emulator: Arc<dyn Emulator>,
        listener: TcpListener,
        faults: FaultPlan,
    ) -> std::io::Result<Server> {
        let address = listener.local_addr()?;
        let faults = Mutex::new(Faults::new(faults, emulator.system()));
        let served = Arc::new(Served { emulator, address, log: RequestLog::default(), faults });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&served));
        let (stop, stopped) = oneshot::channel::<()>();
        let serve =
            axum::serve(CuttableListener(listener), router.into_make_service_with_connect_info::<Scissors>());
        let task = tokio::spawn(async move {
            // A dropped sender is the same request to stop.
            let stopped = async move { drop(stopped.await) };
            // Serving ends by the signal only; what goes wrong on a connection ends that connection.
            drop(serve.with_graceful_shutdown(stopped).await);
        });
        Ok(Server { address, served, stop: Some(stop), task })
    }

    pub(crate) fn emulator(&self) -> &Arc<dyn Emulator> {
        &self.served.emulator
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self) -> String {
        // A server that listens everywhere is reached from here by the loopback address.
        let ip =
            if self.address.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { self.address.ip() };
        format!("http://{}", SocketAddr::new(ip, self.address.port()))
    }

    pub(crate) fn log(&self) -> &RequestLog {
        &self.served.log
    }

    pub(crate) fn set_faults(&self, plan: FaultPlan) {
        self.served.set_faults(plan);
    }

    /// Stops listening and waits for the requests under way.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        if tokio::time::timeout(STOP_WITHIN, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Served {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_faults(&self, plan: FaultPlan) {
        *self.faults() = Faults::new(plan, self.emulator.system());
    }
}

/// What to do with the connection once a request is done.
enum Answer {
    Whole(Response),
    /// Half of the body, then a cut.
    Truncated(Response),
    Cut,
}

async fn answer(
    State(served): State<Arc<Served>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: axum::extract::Request,
) -> axum::response::Response {
    let head = request.method() == Method::HEAD;
    let task = tokio::spawn(async move {
        // A task of its own: what has begun is finished even if the client hangs up,
        // and a panic in an emulator is an answer and not the end of the server.
        let request = match read(&served, request).await {
            Ok(request) => request,
            Err(refusal) => return Answer::Whole(refusal),
        };
        if request.path.starts_with(OWN_ROUTES) {
            return Answer::Whole(own_route(&served, &request).await);
        }
        handle(&served, request).await
    });
    match task.await.unwrap_or_else(|_| Answer::Whole(text(500, "the emulator panicked; see its output"))) {
        Answer::Whole(response) => whole(response, head),
        Answer::Truncated(response) => truncated(response, scissors),
        Answer::Cut => {
            scissors.cut();
            axum::response::Response::default()
        }
    }
}

async fn read(served: &Served, request: axum::extract::Request) -> Result<Request, Response> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, LARGEST_BODY).await.map_err(|_| {
        text(413, &format!("the request's body is not readable or above {LARGEST_BODY} bytes"))
    })?;
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let headers: Vec<_> = parts.headers.iter().map(header).collect();
    let host = headers.iter().find(|(name, _)| name == "host").map(|(_, host)| host.clone());
    let host = host.unwrap_or_else(|| served.address.to_string());
    Ok(Request {
        method: parts.method.as_str().to_ascii_uppercase(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers,
        body,
        base: format!("http://{host}"),
    })
}

/// Passes a request to the emulator unless a fault comes first; logs it before the answer leaves.
async fn handle(served: &Served, request: Request) -> Answer {
    let fault = served.faults().decide(&request.method, &request.path);
    let begun = Instant::now();
    let mut line = LoggedRequest {
        sequence: 0,
        time: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        method: request.method.clone(),
        path: request.path.clone(),
        query: request.query.clone(),
        status: None,
        bytes: 0,
        sent: request.body.len() as u64,
        changed: false,
        milliseconds: 0,
        fault: fault.map(|fault| fault.kind.name()),
    };
    let answer = match fault {
        None => Answer::Whole(served.emulator.handle(request).await),
        Some(fault) => failing(served, fault, request, &mut line).await,
    };
    if let Answer::Whole(response) | Answer::Truncated(response) = &answer {
        line.status = Some(response.status);
        line.bytes = response.body.len() as u64;
        line.changed |= response.changed;
    }
    line.milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    served.log.add(line);
    answer
}

async fn failing(served: &Served, fault: Fault, request: Request, line: &mut LoggedRequest) -> Answer {
    match fault.kind {
        FaultKind::TooMany => {
            let mut response = json(429, r#"{"message":"Too many requests."}"#);
            response.headers.push(("retry-after".to_owned(), fault.retry_after.to_string()));
            Answer::Whole(response)
        }
        FaultKind::TooManyBare => Answer::Whole(json(429, r#"{"message":"Too many requests."}"#)),
        FaultKind::Internal => Answer::Whole(json(500, r#"{"message":"An unexpected error occurred."}"#)),
        FaultKind::BadGateway => Answer::Whole(page(502, "502 Bad Gateway")),
        FaultKind::BadGatewayAfter => {
            line.changed = served.emulator.handle(request).await.changed;
            Answer::Whole(page(502, "502 Bad Gateway"))
        }
        FaultKind::Unavailable => Answer::Whole(text(503, "The service is unavailable.")),
        FaultKind::Slow => {
            tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
            Answer::Whole(served.emulator.handle(request).await)
        }
        FaultKind::CutBefore => Answer::Cut,
        FaultKind::CutAfter => {
            let response = served.emulator.handle(request).await;
            line.status = Some(response.status);
            line.bytes = response.body.len() as u64;
            line.changed = response.changed;
            Answer::Cut
        }
        FaultKind::Truncated => {
            let head = request.method == "HEAD";
            let response = served.emulator.handle(request).await;
            if head || response.body.len() < 2 {
                // There is nothing to cut.
                line.fault = None;
                return Answer::Whole(response);
            }
            Answer::Truncated(response)
        }
        FaultKind::SignIn => Answer::Whole(page(203, "Sign In")),
    }
}

async fn own_route(served: &Arc<Served>, request: &Request) -> Response {
    let route = &request.path[OWN_ROUTES.len()..];
    match (request.method.as_str(), route) {
        ("GET", "requests") => {
            let since = request.query.split('&').find_map(|part| part.strip_prefix("since="));
            match since.map_or(Ok(0), str::parse) {
                Ok(since) => plain(200, "application/x-ndjson", served.log.json_lines(since)),
                Err(_) => text(400, "`since` is not a sequence number"),
            }
        }
        ("GET", "state") => {
            let of = Arc::clone(served);
            // Hashing a large state takes a while, and other requests go on.
            match tokio::task::spawn_blocking(move || of.emulator.state()).await {
                Ok(state) => {
                    let system = served.emulator.system();
                    let state =
                        serde_json::json!({"system": system, "hash": state.hash, "counts": state.counts});
                    json(200, &state.to_string())
                }
                Err(_) => text(500, "the emulator panicked; see its output"),
            }
        }
        ("GET", "faults") => plan_in_effect(served),
        ("POST" | "PUT", "faults") => match FaultPlan::from_json(&request.body) {
            Ok(plan) => {
                served.set_faults(plan);
                plan_in_effect(served)
            }
            Err(error) => text(400, &error.to_string()),
        },
        ("DELETE", "faults") => {
            served.set_faults(FaultPlan::default());
            plan_in_effect(served)
        }
        (_, "requests" | "state" | "faults") => text(405, "the sandbox route does not take this method"),
        _ => text(404, "the sandbox has the routes requests, state and faults"),
    }
}

fn plan_in_effect(served: &Served) -> Response {
    match serde_json::to_string(served.faults().plan()) {
        Ok(plan) => json(200, &plan),
        Err(error) => text(500, &error.to_string()),
    }
}

fn plain(status: u16, media_type: &str, body: impl Into<Bytes>) -> Response {
    let headers = vec![("content-type".to_owned(), media_type.to_owned())];
    Response { status, headers, body: body.into(), changed: false }
}

fn text(status: u16, message: &str) -> Response {
    plain(status, "text/plain; charset=utf-8", message.to_owned())
}

fn json(status: u16, body: &str) -> Response {
    plain(status, "application/json; charset=utf-8", body.to_owned())
}

fn page(status: u16, title: &str) -> Response {
    let body = format!(
        "<!DOCTYPE html>\n<html><head><title>{title}</title></head>\n<body><center><h1>{title}</h1></center></body></html>\n"
    );
    plain(status, "text/html; charset=utf-8", body)
}

/// The answer's head. The length is the server's business, but for HEAD, whose answer has none to count.
fn head_of(response: &Response, keep_length: bool) -> Option<axum::http::response::Builder> {
    let mut builder = axum::http::Response::builder().status(StatusCode::from_u16(response.status).ok()?);
    for (name, value) in &response.headers {
        let name = HeaderName::try_from(name.as_str()).ok()?;
        let framing = name == header::CONTENT_LENGTH || name == header::TRANSFER_ENCODING;
        if !framing || (keep_length && name == header::CONTENT_LENGTH) {
            builder = builder.header(name, HeaderValue::try_from(value.as_str()).ok()?);
        }
    }
    Some(builder)
}

fn whole(response: Response, head: bool) -> axum::response::Response {
    let built = head_of(&response, head).and_then(|builder| builder.body(Body::from(response.body)).ok());
    built.unwrap_or_else(|| {
        let mut wrong = axum::response::Response::new(Body::from("the emulator's answer is not valid HTTP"));
        *wrong.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        wrong
    })
}

/// Promises the whole body, sends half of it and cuts the connection.
fn truncated(response: Response, scissors: Scissors) -> axum::response::Response {
    let half = response.body.slice(..response.body.len() / 2);
    let length = response.body.len();
    let stream = futures::stream::unfold(Some(half), move |half| {
        let scissors = scissors.clone();
        async move {
            match half {
                Some(half) if !half.is_empty() => Some((Ok(half), Some(Bytes::new()))),
                _ => {
                    tokio::time::sleep(TRUNCATE_AFTER).await;
                    scissors.cut();
                    Some((Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)), None))
                }
            }
        }
    });
    let builder = head_of(&response, false).map(|builder| builder.header(header::CONTENT_LENGTH, length));
    match builder.and_then(|builder| builder.body(Body::from_stream(stream)).ok()) {
        Some(truncated) => truncated,
        None => whole(response, false),
    }
}
