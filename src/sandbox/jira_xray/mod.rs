//! Jira Cloud with Xray Cloud: two products over one store, told apart by their paths.
//!
//! Jira answers under `/rest/api/2` and `/rest/api/3`, Xray under `/api/v2`. Their
//! credentials are not interchangeable, and Xray learns of what Jira made only after
//! a while. Written from the vendors' documents; shares nothing with the connector.

mod defaults;
mod jira;
mod limits;
pub(crate) mod persist;
mod reply;
mod seed;
mod seed_text;
mod session;
mod site;
mod store;
mod time;
mod xray;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_graphql::dynamic::Schema;
use futures::future::BoxFuture;

use super::world::World;
use super::{Emulator, Options, Request, Response, StateSummary};
use jira::Call;
use reply::{Answer, Problem, Reply};
use store::State;
use time::Stamp;
use xray::schema::{FieldTypes, Gate};

/// The project that the shipped pipelines name.
const PROJECT: &str = "CALC";

/// Jira Cloud with Xray Cloud.
pub(crate) struct JiraXray {
    state: Arc<Mutex<State>>,
    schema: Schema,
    types: FieldTypes,
}

impl fmt::Debug for JiraXray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JiraXray").finish_non_exhaustive()
    }
}

impl JiraXray {
    /// Fills a site with the company.
    pub(crate) fn new(options: &Options, world: &World) -> Self {
        Self::over(seed::fill(options, world))
    }

    fn over(state: State) -> Self {
        let (schema, types) = xray::schema::build().expect("the published schema, compiled in, is valid");
        Self { state: Arc::new(Mutex::new(state)), schema, types }
    }

    /// Reads what [`Emulator::save`] wrote.
    pub(crate) fn load(bytes: &[u8], options: &Options) -> Result<Self, String> {
        persist::load(bytes, options.index_lag, options.limits).map(Self::over)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request) -> Response {
        let now = Stamp::now();
        let decoded: Vec<String> = request
            .path
            .split('/')
            .filter(|p| !p.is_empty())
            .map(|p| percent_encoding::percent_decode_str(p).decode_utf8_lossy().into_owned())
            .collect();
        let path: Vec<&str> = decoded.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["rest", "api", version @ ("2" | "3" | "latest"), rest @ ..] => {
                self.jira(&request, *version != "2", rest, now)
            }
            ["rest", "media", rest @ ..] => {
                let state = self.lock();
                finish(jira::media(&state, &request, rest), false)
            }
            ["browse", key] => self.browse(key),
            ["_edge", "tenant_info"] => {
                let id = "5a6db0c5-0000-4000-8000-000000000001";
                Reply::ok(serde_json::json!({"cloudId": id})).into_response(false)
            }
            ["api", "v2", "graphql"] => self.graphql(&request, now).await,
            ["api", "v2", rest @ ..] => self.xray(&request, rest, now),
            _ => Reply::text(404, "Not found").into_response(false),
        }
    }

    fn browse(&self, key: &str) -> Response {
        let state = self.lock();
        let page = state.find_issue(key).map(|i| format!("{}: {}", state.key_of(i), i.summary));
        match page {
            Some(text) => Reply::text(200, &text).into_response(false),
            None => Reply::text(404, "Issue not found").into_response(false),
        }
    }

    fn call(state: &State, request: &Request, v3: bool, user: u16, now: Stamp) -> Call {
        let query = url::form_urlencoded::parse(request.query.as_bytes());
        Call {
            base: request.base.clone(),
            v3,
            user,
            offset: state.site.user(user).offset_minutes,
            now,
            query: query.into_owned().collect(),
        }
    }

    fn jira(&self, request: &Request, v3: bool, path: &[&str], now: Stamp) -> Response {
        let mut state = self.lock();
        prepare(&mut state, now);
        let before = state.passing.revision;
        let user = match session::jira_user(&state.site, request) {
            Ok(Some(user)) => user,
            Ok(None) => {
                let call = Self::call(&state, request, v3, 0, now);
                let open = jira::anonymous(&call, &request.method, path);
                return finish(open.ok_or_else(session::unsigned), false);
            }
            Err(problem) => return finish(Err(problem), false),
        };
        let call = Self::call(&state, request, v3, user, now);
        let mut extra = vec![("X-AACCOUNTID".to_owned(), state.site.user(user).account_id.clone())];
        if state.enforce_limits {
            match state.passing.limits.burst(&request.method, path, now) {
                Ok(headers) => extra.extend(headers),
                Err(problem) => return finish(Err(problem), false),
            }
        }
        let answer = jira::route(&mut state, &call, request, path);
        let changed = state.passing.revision != before;
        let mut response = finish(answer, changed);
        response.headers.extend(extra);
        response
    }

    fn xray(&self, request: &Request, path: &[&str], now: Stamp) -> Response {
        let mut state = self.lock();
        prepare(&mut state, now);
        let before = state.passing.revision;
        if let ("POST", ["authenticate"]) = (request.method.as_str(), path) {
            let serial = state.serial();
            return finish(session::authenticate(&state.site, request, now, serial), false);
        }
        if let ["storage", ..] = path {
            return finish(xray::storage(&state, path), false);
        }
        let user = match admit(&mut state, request, now) {
            Ok(user) => user,
            Err(problem) => return finish(Err(problem), false),
        };
        let call = Self::call(&state, request, false, user, now);
        let answer = xray::route(&mut state, &call, request, path);
        let changed = state.passing.revision != before;
        finish(answer, changed)
    }

    async fn graphql(&self, request: &Request, now: Stamp) -> Response {
        let gate = {
            let mut state = self.lock();
            prepare(&mut state, now);
            match admit(&mut state, request, now) {
                Ok(user) => Gate {
                    state: Arc::clone(&self.state),
                    call: Self::call(&state, request, false, user, now),
                    changed: Arc::new(AtomicBool::new(false)),
                },
                Err(problem) => return finish(Err(problem), false),
            }
        };
        if request.method != "POST" {
            return finish(Err(Problem::xray(405, "Method not allowed")), false);
        }
        let changed = Arc::clone(&gate.changed);
        let reply = xray::graphql(&self.schema, &self.types, gate, request).await;
        reply.into_response(changed.load(Ordering::Relaxed))
    }
}

/// Does what is due: the index catches up, jobs run.
fn prepare(state: &mut State, now: Stamp) {
    state.settle_index(now);
    xray::import_tests::run_due(state, now, false);
}

/// Checks token and rate of a call of Xray.
fn admit(state: &mut State, request: &Request, now: Stamp) -> Result<u16, Problem> {
    let user = session::xray_user(&state.site, request, now)?;
    if state.enforce_limits {
        state.passing.limits.xray(now)?;
    }
    Ok(user)
}

fn finish(answer: Answer, changed: bool) -> Response {
    let reply = answer.unwrap_or_else(Problem::into_reply);
    reply.into_response(changed)
}

impl Emulator for JiraXray {
    fn system(&self) -> &'static str {
        "jira-xray"
    }

    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(self.answer(request))
    }

    fn state(&self) -> StateSummary {
        let mut state = self.lock();
        xray::import_tests::run_due(&mut state, Stamp::now(), false);
        persist::summary(&state)
    }

    fn env(&self, base: &str) -> Vec<(String, String)> {
        let state = self.lock();
        let owner = state.site.user(state.site.owner);
        [
            ("JIRA_URL", base),
            ("JIRA_EMAIL", owner.email.as_str()),
            ("JIRA_TOKEN", session::JIRA_TOKEN),
            ("JIRA_PROJECT", PROJECT),
            ("XRAY_URL", base),
            ("XRAY_CLIENT_ID", session::CLIENT_ID),
            ("XRAY_CLIENT_SECRET", session::CLIENT_SECRET),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    fn save(&self) -> Vec<u8> {
        let mut state = self.lock();
        // A job that was accepted is not lost with the process.
        xray::import_tests::run_due(&mut state, Stamp::now(), true);
        persist::save(&state).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
