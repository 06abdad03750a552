//! Azure DevOps Services: work item tracking, test plans and test runs with state.
//!
//! Written from the service's published descriptions, without a look at the
//! connector. One organisation, `contoso`, is served below `/contoso`.

mod attachments;
mod auth;
mod batch;
mod comments;
mod configurations;
mod discovery;
mod draft;
mod feeds;
mod fields;
mod html;
mod http;
mod items;
mod json;
mod legacy;
mod limits;
mod links;
mod members;
mod metadata;
mod nodes;
mod organisation;
mod patch;
mod plans;
mod points;
mod process;
mod queries;
mod read;
mod recycle;
mod result_reads;
mod results;
mod route;
mod rules;
mod run_files;
mod runs;
mod seed;
mod state;
mod suite_calls;
mod suites;
mod summary;
mod tags;
#[cfg(test)]
mod tests;
mod types;
mod value;
mod wiql;
mod write;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

use self::auth::Caller;
use self::http::{Answer, Body, Call, Failure, Reply};
use self::limits::{Meter, Verdict};
use self::state::State;
use super::world::World;
use super::{Emulator, Options, Request, Response, StateSummary};

/// The organisation that is served.
const ORGANISATION: &str = "contoso";

/// The emulator.
#[derive(Debug)]
pub(crate) struct AzureDevOps {
    state: Mutex<State>,
    meters: Mutex<HashMap<u32, Meter>>,
    limits: bool,
    project: String,
    served: AtomicU64,
}

impl AzureDevOps {
    /// An emulator filled from the made-up company, or with its people and rules only.
    pub(crate) fn new(options: &Options, world: &World) -> Self {
        Self::with(seed::state(world, options.empty), options)
    }

    /// Takes up what `save` wrote.
    pub(crate) fn load(bytes: &[u8], options: &Options) -> Result<Self, String> {
        summary::load(bytes).map(|state| Self::with(state, options))
    }

    fn with(state: State, options: &Options) -> Self {
        let project = state.projects.first().map(|p| p.name.clone()).unwrap_or_default();
        Self {
            state: Mutex::new(state),
            meters: Mutex::new(HashMap::new()),
            limits: options.limits,
            project,
            served: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meters(&self) -> MutexGuard<'_, HashMap<u32, Meter>> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The headers that every answer carries.
    fn headers(&self, request: &Request, version: Option<&str>, user: Option<u32>) -> Vec<(String, String)> {
        let number = self.served.fetch_add(1, Ordering::Relaxed);
        let activity = value::guid(&format!("activity {number} {}", value::now()));
        let session = request.header("x-tfs-session").map_or_else(|| activity.clone(), str::to_owned);
        let kind = match version {
            Some(version) => format!("application/json; charset=utf-8; api-version={version}"),
            None => "application/json; charset=utf-8".to_owned(),
        };
        let mut headers: Vec<(String, String)> = [
            ("Content-Type", kind.as_str()),
            ("Cache-Control", "no-cache, no-store, must-revalidate"),
            ("X-TFS-ProcessId", "0b3c1a8e-6a6f-4f3c-9d0e-5f1f5b1f7a11"),
            ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
            ("ActivityId", &activity),
            ("X-TFS-Session", &session),
            ("X-VSS-E2EID", &activity),
            ("X-VSS-SenderDeploymentId", "13a19993-c6bc-326c-afb4-32c5519f46f0"),
            ("Request-Context", "appId=cid-v1:c45f9e9a-0cc5-4a5b-8a1c-1b1f4a5d4b7e"),
            ("P3P", "CP=\"CAO DSP COR ADMa DEV CONo TELo CUR PSA PSD TAI IVDo OUR SAMi BUS DEM NAV STA UNI COM INT PHY ONL FIN PUR LOC CNT\""),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        if let Some(person) = user.and_then(|u| self.lock().people.get(u as usize).cloned()) {
            headers.push(("X-VSS-UserData".to_owned(), format!("{}:{}", person.guid, person.unique)));
        }
        headers
    }

    fn refuse(&self, request: &Request, caller: Caller) -> Response {
        let mut headers = self.headers(request, None, None);
        if caller == Caller::Refused {
            set(&mut headers, "Content-Type", "text/html; charset=utf-8");
            return Response {
                status: 203,
                headers,
                body: Bytes::from_static(auth::SIGN_IN.as_bytes()),
                changed: false,
            };
        }
        let realm = format!("Basic realm=\"{}/\"", request.base);
        headers.push((
            "WWW-Authenticate".to_owned(),
            "Bearer authorization_uri=https://login.microsoftonline.com/common".to_owned(),
        ));
        headers.push(("WWW-Authenticate".to_owned(), realm));
        let user = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
        let message = format!("TF400813: The user '{user}' is not authorized to access this resource.");
        let failure = Failure::new(401, "UnauthorizedRequestException", message);
        answer(headers, Err(failure), false)
    }

    /// Waits or blocks as the rate limits say.
    async fn throttle(&self, user: u32) -> Result<Vec<(String, String)>, (Vec<(String, String)>, Failure)> {
        if !self.limits {
            return Ok(Vec::new());
        }
        let verdict = self.meters().entry(user).or_default().judge(value::now());
        match verdict {
            Verdict::Run(delay, headers) => {
                if delay > Duration::ZERO {
                    tokio::time::sleep(delay).await;
                }
                Ok(headers)
            }
            Verdict::Block(headers) => {
                let message = "TF400733: The request has been canceled: Request was blocked due to exceeding usage of resource \
                               'Core/Concurrency' in namespace 'User'. For more information on why your request was blocked, see the \
                               topic \"Rate limits\" on the Microsoft Web site (https://go.microsoft.com/fwlink/?LinkId=823950).";
                Err((headers, Failure::new(429, "RequestBlockedException", message)))
            }
        }
    }

    async fn respond(&self, request: Request) -> Response {
        let Some(path) = below_organisation(&request.path) else {
            let message =
                format!("The resource cannot be found: this host serves the organisation /{ORGANISATION}.");
            let failure = Failure::new(404, "HttpResourceNotFoundException", message);
            return answer(self.headers(&request, None, None), Err(failure), false);
        };
        if request.method == "OPTIONS" {
            return answer(self.headers(&request, None, None), options(path), false);
        }
        let caller = auth::caller(&self.lock(), request.header("authorization"));
        let Caller::Known(user) = caller else { return self.refuse(&request, caller) };
        let extra = match self.throttle(user).await {
            Ok(extra) => extra,
            Err((extra, failure)) => {
                let mut headers = self.headers(&request, None, Some(user));
                headers.extend(extra);
                return answer(headers, Err(failure), false);
            }
        };
        let version = version_text(&request);
        let (outcome, changed) = self.run(&request, path, version.as_deref(), user);
        let mut headers = self.headers(&request, version.as_deref().or(Some("7.1")), Some(user));
        headers.extend(extra);
        let response = answer(headers, outcome, changed);
        if self.limits {
            let write = !matches!(request.method.as_str(), "GET" | "HEAD");
            self.meters().entry(user).or_default().charge(value::now(), write, response.body.len());
        }
        response
    }

    fn run(&self, request: &Request, path: &str, version: Option<&str>, user: u32) -> (Answer, bool) {
        let method = match request.header("x-http-method-override") {
            Some(method) if request.method == "POST" => method.to_ascii_uppercase(),
            _ => request.method.clone(),
        };
        let found = match route::find(&method, path) {
            Ok(found) => found,
            Err(failure) => return (Err(failure), false),
        };
        let version = match route::check_version(&found, &method, version) {
            Ok(version) => version,
            Err(failure) => return (Err(failure), false),
        };
        let header = |name: &str| request.header(name).unwrap_or_default().to_owned();
        let call = Call {
            method,
            base: format!("{}/{ORGANISATION}", request.base),
            project: found.project,
            params: found.params,
            query: query_pairs(&request.query),
            content_type: header("content-type"),
            content_range: request.header("content-range").map(str::to_owned),
            body: request.body.clone(),
            user,
            version,
            now: value::now(),
        };
        let mut state = self.lock();
        state.touched = false;
        let outcome = (found.handler)(&mut state, &call);
        (outcome, state.touched)
    }
}

impl Emulator for AzureDevOps {
    fn system(&self) -> &'static str {
        "azure-devops"
    }

    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(self.respond(request))
    }

    fn state(&self) -> StateSummary {
        summary::summarise(&self.lock())
    }

    fn env(&self, base: &str) -> Vec<(String, String)> {
        vec![
            ("ADO_URL".to_owned(), format!("{base}/{ORGANISATION}")),
            ("ADO_PAT".to_owned(), auth::TOKEN.to_owned()),
            ("ADO_PROJECT".to_owned(), self.project.clone()),
        ]
    }

    fn save(&self) -> Vec<u8> {
        summary::save(&self.lock())
    }
}

/// The path below the organisation.
fn below_organisation(path: &str) -> Option<&str> {
    let rest = path.strip_prefix('/')?;
    let (first, tail) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    first.eq_ignore_ascii_case(ORGANISATION).then_some(tail)
}

/// The locations of an area, or of all.
fn options(path: &str) -> Answer {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    match parts.iter().position(|p| p.eq_ignore_ascii_case("_apis")) {
        Some(at) => Ok(discovery::options(parts.get(at + 1).copied())),
        None => Err(Failure::new(404, "HttpResourceNotFoundException", "The resource cannot be found.")),
    }
}

/// The decoded query with names in lower case.
fn query_pairs(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).map(|(n, v)| (n.to_lowercase(), v.into_owned())).collect()
}

/// The version that a request asks for: in the query, or in the `Accept` header.
fn version_text(request: &Request) -> Option<String> {
    let from_query =
        query_pairs(&request.query).into_iter().find(|(n, _)| n == "api-version").map(|(_, v)| v);
    let from_header = || {
        let accept = request.header("accept")?;
        accept.split([';', ',']).find_map(|part| {
            let (name, value) = part.trim().split_once('=')?;
            name.trim().eq_ignore_ascii_case("api-version").then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    from_query.filter(|v| !v.is_empty()).or_else(from_header)
}

fn set(headers: &mut Vec<(String, String)>, name: &str, value: &str) {
    headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    headers.push((name.to_owned(), value.to_owned()));
}

/// Turns an outcome into an answer.
fn answer(mut headers: Vec<(String, String)>, outcome: Answer, changed: bool) -> Response {
    let (status, body) = match outcome {
        Ok(Reply { status, headers: own, body }) => {
            for (name, value) in own {
                set(&mut headers, &name, &value);
            }
            let body = match body {
                Body::Json(json) => Bytes::from(json.to_string()),
                Body::Bytes(bytes) => bytes,
                Body::Empty => Bytes::new(),
            };
            (status, body)
        }
        Err(failure) => (failure.status, Bytes::from(failure.body().to_string())),
    };
    if status == 204 {
        headers.retain(|(n, _)| !n.eq_ignore_ascii_case("content-type"));
    }
    Response { status, headers, body, changed }
}
