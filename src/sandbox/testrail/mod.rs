//! TestRail, API version 2: Cloud and a customer's own server over one store.
//!
//! The root serves the Cloud with the Professional licence, `/enterprise` the Cloud with the
//! Enterprise licence, `/testrail` a server of version 7.1 (see [`face`]). Written from the
//! vendor's documents; shares nothing with the connector.

mod attachments;
mod auth;
mod call;
mod case_delete;
mod case_write;
mod cases;
mod configs;
mod entries;
mod face;
mod fields;
mod history;
mod json;
mod labels;
mod limits;
mod markdown;
mod meta;
mod milestones;
mod multipart;
mod page;
mod persist;
mod plans;
mod projects;
mod reply;
mod results;
mod route;
mod runs;
mod sections;
mod seed;
mod seed_text;
mod setup;
mod shared_steps;
mod state;
mod steps;
#[cfg(test)]
mod tests;
mod tests_read;
mod time;
mod users;

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;

use self::call::{Body, Call, Param};
use self::face::Face;
use self::limits::Meter;
use self::reply::{Answer, Problem, finish};
use self::state::State;
use super::world::{PROJECT, World};
use super::{Emulator, Options, Request, Response, StateSummary};

/// One instance.
#[derive(Debug)]
pub(crate) struct TestRail {
    state: Mutex<State>,
    /// Calls of the current minute; none: there is no limit.
    meter: Option<Mutex<Meter>>,
}

impl TestRail {
    /// Fills an instance with the company.
    pub(crate) fn new(options: &Options, world: &World) -> Self {
        Self::over(options, seed::fill(options, world))
    }

    fn over(options: &Options, state: State) -> Self {
        Self { state: Mutex::new(state), meter: options.limits.then(Mutex::default) }
    }

    /// Reads what [`Emulator::save`] wrote.
    pub(crate) fn load(bytes: &[u8], options: &Options) -> Result<Self, String> {
        Ok(Self::over(options, persist::load(bytes)?))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn respond(&self, request: &Request) -> Response {
        let Some((face, prefix)) = Face::of(&request.path) else {
            return finish(Err(Problem::new(404, "Invalid uri")), false);
        };
        let Some((method, args, params)) = call::split(&request.query) else { return reply::page() };
        let now = chrono::Utc::now().timestamp();
        let (answer, changed) = match self.admit(face, request, &method, now) {
            Ok(route) => self.run(face, prefix, request, route, (args, params), now),
            Err(problem) => (Err(problem), false),
        };
        finish(answer, changed)
    }

    /// Checks what comes before any call: the rate, the type of the content, the name and the verb.
    fn admit(&self, face: Face, request: &Request, method: &str, now: i64) -> Result<route::Route, Problem> {
        if let Some(meter) = &self.meter {
            meter.lock().unwrap_or_else(PoisonError::into_inner).take(face, now)?;
        }
        let kind = request.header("content-type").unwrap_or_default().to_ascii_lowercase();
        let upload = method.starts_with("add_attachment") && kind.starts_with("multipart/form-data");
        if !kind.starts_with("application/json") && !upload {
            return Err(Problem::bad("Content-Type header missing (use Content-Type: application/json)"));
        }
        auth::caller(&self.lock(), request)?;
        route::find(face, method, &request.method)
    }

    fn run(
        &self,
        face: Face,
        prefix: &str,
        request: &Request,
        route: route::Route,
        (args, params): (Vec<String>, Vec<Param>),
        now: i64,
    ) -> (Answer, bool) {
        let body = match route.reads() || route.uploads() {
            true => Ok(Body::default()),
            false => Body::read(request),
        };
        let mut state = self.lock();
        let prepared = body.and_then(|body| Ok((body, auth::caller(&state, request)?)));
        let (body, user) = match prepared {
            Ok(prepared) => prepared,
            Err(problem) => return (Err(problem), false),
        };
        let account = state.users.get(user as usize - 1);
        if let Err(problem) = auth::check(account, route.right, route.name) {
            return (Err(problem), false);
        }
        let call = Call {
            face,
            base: format!("{}{prefix}", request.base),
            args,
            params,
            body,
            content_type: request.header("content-type").unwrap_or_default().to_owned(),
            bytes: request.body.clone(),
            method: route.name.to_owned(),
            user,
            paged: !face.old() || request.header("x-api-ident") == Some("beta"),
            now,
        };
        state.touched = false;
        let last_label = state.next.label;
        let answer = (route.handler)(&mut state, &call);
        if answer.is_err() && state.next.label != last_label {
            // Labels are made while a body is read; a refused one leaves none behind.
            state.labels.retain(|id, _| *id <= last_label);
            state.next.label = last_label;
        }
        let changed = std::mem::take(&mut state.touched);
        (answer, changed)
    }
}

impl Emulator for TestRail {
    fn system(&self) -> &'static str {
        "testrail"
    }

    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move { self.respond(&request) })
    }

    fn state(&self) -> StateSummary {
        persist::summary(&self.lock())
    }

    fn env(&self, base: &str) -> Vec<(String, String)> {
        let email = self.lock().users.first().map(|u| u.email.clone()).unwrap_or_default();
        vec![
            ("TESTRAIL_URL".to_owned(), base.to_owned()),
            ("TESTRAIL_USER".to_owned(), email),
            ("TESTRAIL_API_KEY".to_owned(), auth::API_KEY.to_owned()),
            ("TESTRAIL_PROJECT".to_owned(), PROJECT.to_owned()),
        ]
    }

    fn save(&self) -> Vec<u8> {
        persist::save(&self.lock())
    }
}
