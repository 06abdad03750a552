//! ALM Octane: one shared space with one workspace, its entities, metadata and test results.
//!
//! Written from the vendor's documents and clients, without a look at the
//! connector. The schema is data (`schema.txt`); one engine reads, filters and
//! writes all entities by it, and `rules`, `runs` and `scripts` add what holds for some.

mod attachments;
mod call;
mod convert;
mod filter;
mod html;
mod limits;
mod lists;
mod metadata;
mod persist;
mod problem;
mod push;
mod query;
mod read;
mod releases;
mod render;
mod rules;
mod runs;
mod schema;
mod scripts;
mod seed;
mod seed_runs;
mod session;
mod store;
#[cfg(test)]
mod tests;
mod value;
mod write;

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use serde_json::{Value, json};

use self::call::{Answer, Call, Reply};
use self::limits::Meter;
use self::problem::Problem;
use self::session::Sessions;
use self::store::State;
use super::world::{self, World};
use super::{Emulator, Options, Request, Response, StateSummary, multipart};

/// The shared space and its workspace.
const SPACE: i64 = 1001;
const WORKSPACE: i64 = 1002;
/// The number of the company's first user.
const FIRST_USER: u16 = 2001;
/// What the server says of itself.
const VERSION: &str = "24.4.16.92";

/// The emulator.
#[derive(Debug)]
pub(crate) struct AlmOctane {
    state: Mutex<State>,
    sessions: Mutex<Sessions>,
    meter: Mutex<Meter>,
    limits: bool,
}

impl AlmOctane {
    /// An emulator filled from the made-up company, or with its people and settings only.
    pub(crate) fn new(options: &Options, world: &World) -> Self {
        Self::over(seed::state(world, options.empty), options)
    }

    /// Takes up what `save` wrote.
    pub(crate) fn load(bytes: &[u8], options: &Options) -> Result<Self, String> {
        persist::load(bytes).map(|state| Self::over(state, options))
    }

    fn over(state: State, options: &Options) -> Self {
        Self {
            state: Mutex::new(state),
            sessions: Mutex::default(),
            meter: Mutex::new(Meter::new(value::now())),
            limits: options.limits,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &Request) -> Response {
        let now = value::now();
        let decoded: Vec<String> = request
            .path
            .split('/')
            .filter(|p| !p.is_empty())
            .map(|p| percent_encoding::percent_decode_str(p).decode_utf8_lossy().into_owned())
            .collect();
        let path: Vec<&str> = decoded.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["authentication", rest @ ..] => self.authenticate(request, rest, now),
            ["admin", "server", "version"] => finish(request, Ok(Reply::ok(version())), false),
            ["ui", ..] => finish(request, Ok(Reply::bytes("text/html", "<html></html>".into())), false),
            ["api", "shared_spaces", rest @ ..] => self.api(request, rest, now),
            _ => finish(request, Err(Problem::no_resource(&request.path)), false),
        }
    }

    fn authenticate(&self, request: &Request, path: &[&str], now: i64) -> Response {
        match (request.method.as_str(), path) {
            ("POST", ["sign_in"]) => {
                let logins = self.logins();
                let browser = request.header("hpeclienttype") == Some("HPE_MQM_UI");
                let outcome = self.sessions().sign_in(&request.body, &logins, browser, now);
                let made = match outcome {
                    Ok(made) => made,
                    Err(problem) => return finish(request, Err(problem), false),
                };
                let mut response = finish(request, Ok(Reply::bytes("application/json", "".into())), false);
                let mut cookie = |name: &str, value: &str, rest: &str| {
                    response.headers.push(("Set-Cookie".to_owned(), format!("{name}={value}; Path=/{rest}")));
                };
                cookie(session::COOKIE, &made.cookie, "; HttpOnly");
                cookie("OCTANE_USER", &made.login.replace('@', "%40"), "");
                if let Some(xsrf) = &made.xsrf {
                    cookie(session::XSRF, xsrf, "");
                }
                response
            }
            ("POST", ["sign_out"]) => {
                self.sessions().sign_out(&cookies(request));
                finish(request, Ok(Reply::bytes("application/json", "".into())), false)
            }
            _ => finish(request, Err(Problem::no_resource(&request.path)), false),
        }
    }

    /// The people's logins, by their positions.
    fn logins(&self) -> Vec<String> {
        let state = self.lock();
        let name = state.schema.known("workspace_user", "name");
        let level = state.schema.known("workspace_user", "activity_level");
        let users = state.table(state.keys.user).rows.values();
        let active = |row: &value::Row| row.get(level) == Some(&value::Val::Int(0));
        users.map(|row| if active(row) { row.str(name).to_owned() } else { String::new() }).collect()
    }

    fn api(&self, request: &Request, path: &[&str], now: i64) -> Response {
        let write = !matches!(request.method.as_str(), "GET" | "HEAD");
        let admitted = self.sessions().admit(&cookies(request), write, request.header("xsrf-header"), now);
        let caller = match admitted {
            Ok(caller) => caller,
            Err(problem) => return finish(request, Err(problem), false),
        };
        if self.limits
            && let Err(problem) = self.meter.lock().unwrap_or_else(PoisonError::into_inner).take(now)
        {
            let mut response = finish(request, Err(problem), false);
            response.headers.push(("Retry-After".to_owned(), "1".to_owned()));
            return response;
        }
        let header = |name: &str| request.header(name).unwrap_or_default().to_owned();
        let call = Call {
            method: if request.method == "HEAD" { "GET".to_owned() } else { request.method.clone() },
            path: request.path.clone(),
            query: url::form_urlencoded::parse(request.query.as_bytes()).into_owned().collect(),
            content_type: header("content-type"),
            accept: header("accept"),
            body: request.body.clone(),
            user: FIRST_USER + caller.user,
            now,
        };
        let mut state = self.lock();
        settle(&mut state, now, false);
        let before = state.revision;
        let answer = if header("content-encoding").contains("gzip") {
            Err(Problem::new(415, "platform.unsupported_encoding", "This server takes bodies as they are"))
        } else {
            route(&mut state, &call, path)
        };
        let changed = state.revision != before;
        drop(state);
        let mut response = finish(request, answer, changed);
        if let Some(cookie) = caller.renewed {
            let text = format!("{}={cookie}; Path=/; HttpOnly", session::COOKIE);
            response.headers.push(("Set-Cookie".to_owned(), text));
        }
        response
    }
}

/// Does what is due: suite runs make their runs, results are taken in.
fn settle(state: &mut State, now: i64, all: bool) {
    runs::spawn_due(state, now, all);
    push::run_due(state, now, all);
}

fn version() -> Value {
    json!({
        "version": VERSION, "build_date": "2024-11-18T09:12:00Z", "build_revision": "9f2c1ab",
        "build_number": "92", "display_version": "24.4",
    })
}

/// Below `/api/shared_spaces`.
fn route(state: &mut State, call: &Call, path: &[&str]) -> Answer {
    let space = || json!({"type": "shared_space", "id": SPACE.to_string(), "name": "Contoso"});
    let workspace = || json!({"type": "workspace", "id": WORKSPACE.to_string(), "name": world::PROJECT});
    let missing = || Problem::no_resource(&call.path);
    let (space_id, workspace_id) = (SPACE.to_string(), WORKSPACE.to_string());
    let get = call.method == "GET";
    match path {
        [] if get => Ok(Reply::ok(render::collection(1, vec![space()]))),
        [id] if get && *id == space_id => Ok(Reply::ok(space())),
        [id, rest @ ..] if *id == space_id => match rest {
            ["workspaces"] if get => Ok(Reply::ok(render::collection(1, vec![workspace()]))),
            ["workspaces", id] if get && *id == workspace_id => Ok(Reply::ok(workspace())),
            ["workspaces", id, rest @ ..] if *id == workspace_id => resource(state, call, rest),
            // Users are the only entities of the whole space here.
            ["users", ..] if get => resource(state, call, rest),
            _ => Err(missing()),
        },
        _ => Err(missing()),
    }
}

/// Below a workspace.
fn resource(state: &mut State, call: &Call, path: &[&str]) -> Answer {
    let method = call.method.as_str();
    match (method, path) {
        ("GET", ["metadata", "entities"]) => return metadata::entities(state, call),
        ("GET", ["metadata", "fields"] | ["metadata_fields"]) => return metadata::fields(state, call),
        ("POST", ["metadata_fields"]) => return metadata::define(state, call),
        ("PUT", ["metadata_fields", id]) => return metadata::relabel(state, call, id),
        (_, ["test-results", rest @ ..]) => return push::resource(state, call, rest),
        ("POST", ["attachments"]) => return attachments::upload(state, call),
        _ => {}
    }
    let missing = || Problem::no_resource(&call.path);
    let (name, rest) = path.split_first().ok_or_else(missing)?;
    let (table, sub) = state.schema.collection(name).ok_or_else(missing)?;
    let def = state.schema.def(table);
    let methods = match sub {
        Some(sub) => def.entities[usize::from(sub)].methods.clone(),
        None => def.methods.clone(),
    };
    let letter = letter_of(method)?;
    // Runs are started by a call of their own, and scripts are written below tests.
    if !methods.contains(letter) && rest.len() < 2 {
        return Err(Problem::denied(method, &call.path));
    }
    let aggregate = sub.is_none() && def.aggregate;
    let kind = sub.map_or(def.name.clone(), |s| def.entities[usize::from(s)].name.clone());
    let at = |state: &State, id: &str| {
        rules::find(state, table, sub, id).ok_or_else(|| Problem::no_entity(&kind, id))
    };
    match (method, rest) {
        ("GET", []) => read::collection(state, call, table, sub),
        ("GET", ["groups"]) => read::groups(state, call, table, sub),
        ("POST", []) => write::create(state, call, table, sub),
        ("PUT", []) => write::update_many(state, call, table, sub),
        ("DELETE", []) => write::delete_many(state, call, table, sub),
        (_, [id, "script"]) if table == state.keys.test => {
            let test = at(state, id)?;
            scripts::resource(state, call, test)
        }
        ("GET", [id] | [id, _])
            if kind == "attachment" && (rest.len() == 2 || call.accept.contains("octet-stream")) =>
        {
            let file = at(state, id)?;
            attachments::download(state, file)
        }
        ("GET", [id]) => {
            let at = at(state, id)?;
            read::entity(state, call, at, aggregate)
        }
        ("PUT", [id]) => {
            let at = at(state, id)?;
            write::update(state, call, at, aggregate)
        }
        ("DELETE", [id]) => {
            let at = at(state, id)?;
            write::delete(state, call, at, aggregate)
        }
        _ => Err(missing()),
    }
}

/// How the schema writes a method.
fn letter_of(method: &str) -> Result<char, Problem> {
    match method {
        "GET" => Ok('G'),
        "POST" => Ok('P'),
        "PUT" => Ok('U'),
        "DELETE" => Ok('D'),
        _ => Err(Problem::new(405, "platform.method_not_allowed", format!("{method} is not supported"))),
    }
}

/// All cookies of a request in one line.
fn cookies(request: &Request) -> String {
    let all: Vec<&str> =
        request.headers.iter().filter(|(n, _)| n == "cookie").map(|(_, v)| v.as_str()).collect();
    all.join("; ")
}

/// Turns an outcome into an answer; what the client has already is not sent again.
fn finish(request: &Request, answer: Answer, changed: bool) -> Response {
    let reply = answer.unwrap_or_else(|problem| Reply::with(problem.status, &problem.body()));
    let mut headers = reply.headers;
    headers.push(("Content-Type".to_owned(), reply.content_type));
    headers.push(("Cache-Control".to_owned(), "no-cache, max-age=0".to_owned()));
    if request.method == "GET" && reply.status == 200 {
        let tag = format!("\"{:016x}\"", xxhash_rust::xxh3::xxh3_64(&reply.body));
        let known = request.header("if-none-match") == Some(tag.as_str());
        headers.push(("ETag".to_owned(), tag));
        if known {
            return Response { status: 304, headers, body: bytes::Bytes::new(), changed };
        }
    }
    Response { status: reply.status, headers, body: reply.body, changed }
}

impl Emulator for AlmOctane {
    fn system(&self) -> &'static str {
        "alm-octane"
    }

    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move { self.answer(&request) })
    }

    fn state(&self) -> StateSummary {
        let mut state = self.lock();
        // What was accepted counts as done.
        settle(&mut state, value::now(), true);
        persist::summary(&state)
    }

    fn env(&self, base: &str) -> Vec<(String, String)> {
        let variables = [
            ("OCTANE_URL", base.to_owned()),
            ("OCTANE_CLIENT_ID", session::CLIENT_ID.to_owned()),
            ("OCTANE_CLIENT_SECRET", session::CLIENT_SECRET.to_owned()),
            ("OCTANE_SHARED_SPACE", SPACE.to_string()),
            ("OCTANE_WORKSPACE", WORKSPACE.to_string()),
        ];
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn save(&self) -> Vec<u8> {
        let mut state = self.lock();
        settle(&mut state, value::now(), true);
        persist::save(&state)
    }
}
