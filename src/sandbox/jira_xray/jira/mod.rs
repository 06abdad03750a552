//! Jira Cloud's platform REST, versions 3 and 2: which route is answered by what.

pub(crate) mod adf;
mod bulk;
mod extras;
mod fields;
pub(crate) mod jql;
mod links;
mod matching;
mod meta;
pub(crate) use crate::sandbox::multipart;
pub(crate) mod query;
pub(crate) mod read;
mod rich;
pub(crate) mod search;
mod users;
pub(crate) mod values;
pub(crate) mod workflow;
pub(crate) mod write;

pub(crate) use extras::decode;
use serde_json::{Value, json};

use super::reply::{Answer, Problem, Reply};
use super::site::Tab;
use super::store::State;
use super::time::Stamp;
use crate::sandbox::Request;

/// What a handler must know of the request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) base: String,
    /// Whether rich text is a document (version 3) or wiki markup (version 2).
    pub(crate) v3: bool,
    pub(crate) user: u16,
    /// The caller's zone, in minutes east of Greenwich.
    pub(crate) offset: i32,
    pub(crate) now: Stamp,
    pub(crate) query: Vec<(String, String)>,
}

impl Call {
    /// The address of a resource.
    pub(crate) fn link(&self, path: &str) -> String {
        format!("{}/rest/api/{}/{path}", self.base, if self.v3 { 3 } else { 2 })
    }

    /// A moment in the caller's zone.
    pub(crate) fn date(&self, at: Stamp) -> String {
        at.jira(self.offset)
    }

    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn params<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn number(&self, name: &str, otherwise: usize) -> usize {
        self.param(name).and_then(|v| v.parse().ok()).unwrap_or(otherwise)
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.param(name) == Some("true")
    }
}

/// Reads a list of strings or numbers, or one of them alone.
pub(crate) fn strings(value: Option<&Value>) -> Vec<String> {
    let text = |v: &Value| match v {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(text).collect(),
        Some(other) => text(other).into_iter().collect(),
        None => Vec::new(),
    }
}

/// One page of a list, in the shape that most of Jira shares.
fn page(call: &Call, path: &str, list: Vec<Value>, usual: usize, most: usize) -> Value {
    let start = call.number("startAt", 0);
    let max = call.number("maxResults", usual).min(most);
    let total = list.len();
    let shown: Vec<Value> = list.into_iter().skip(start).take(max).collect();
    let last = start + shown.len() >= total;
    let address = |start: usize| call.link(&format!("{path}?maxResults={max}&startAt={start}"));
    let mut out = json!({
        "self": address(start), "maxResults": max, "startAt": start, "total": total,
        "isLast": last, "values": shown
    });
    if !last {
        out["nextPage"] = json!(address(start + max));
    }
    out
}

/// Answers a call; `path` is what follows `/rest/api/{version}/`, split and decoded.
pub(crate) fn route(state: &mut State, call: &Call, request: &Request, path: &[&str]) -> Answer {
    let method = request.method.as_str();
    let body = || body(request);
    let unknown = || Err(Problem::not_found("null for uri: not found"));
    match (method, path) {
        ("GET", ["serverInfo"]) => Ok(Reply::ok(meta::server_info(call))),
        ("GET", ["myself"]) => Ok(Reply::ok(meta::user(state, call, call.user))),
        ("GET", ["mypermissions"]) => meta::my_permissions(state, call),
        ("GET", ["project"]) => meta::projects(state, call, false),
        ("GET", ["project", "search"]) => meta::projects(state, call, true),
        ("GET", ["project", id]) => meta::project(state, call, id),
        ("GET", ["project", id, part]) => meta::project_part(state, call, id, part),
        ("GET", ["status"]) => meta::statuses(state, call, None),
        ("GET", ["status", id]) => meta::statuses(state, call, Some(id)),
        ("GET", ["statuses", "search"]) => meta::status_search(state, call),
        ("GET", [what @ ("priority" | "resolution")]) => meta::listed(state, call, what, None),
        ("GET", [what @ ("priority" | "resolution"), rest]) => meta::listed(state, call, what, Some(rest)),
        ("GET", ["issuetype"]) => meta::issue_types(state, call, None),
        ("GET", ["issuetype", id]) => meta::issue_types(state, call, Some(id)),
        ("GET", ["issueLinkType"]) => links::types(state, call, None),
        ("GET", ["issueLinkType", id]) => links::types(state, call, Some(id)),
        ("POST", ["issueLink"]) => links::create(state, call, &body()?),
        ("GET", ["issueLink", id]) => links::get(state, call, id),
        ("DELETE", ["issueLink", id]) => links::delete(state, call, id),
        ("GET" | "POST", ["search"]) => Err(removed()),
        ("GET", ["search", "jql"]) => search::search(state, call, None),
        ("POST", ["search", "jql"]) => search::search(state, call, Some(&body()?)),
        ("POST", ["search", "approximate-count"]) => search::count(state, call, &body()?),
        ("POST", ["jql", "parse"]) => search::parse(state, call, &body()?),
        ("GET", ["task", id]) => extras::task(state, call, id),
        ("POST", ["comment", "list"]) => extras::comments_by_id(state, call, &body()?),
        (_, ["comment", id, "properties"]) => {
            extras::comment_properties(state, call, method, id, None, &Value::Null)
        }
        (_, ["comment", id, "properties", key]) => {
            let body = if method == "PUT" { body()? } else { Value::Null };
            extras::comment_properties(state, call, method, id, Some(key), &body)
        }
        ("POST", ["changelog", "bulkfetch"]) => extras::changelogs(state, call, &body()?),
        (_, ["attachment", rest @ ..]) => {
            extras::attachment(state, call, method, rest, request.header("range"))
        }
        ("GET", ["users", "search"] | ["users"]) => users::everyone(state, call),
        ("GET", ["user", rest @ ..]) => users::route(state, call, rest),
        (_, ["field" | "screens", ..]) => route_fields(state, call, request, path),
        (_, ["bulk", ..]) => route_bulk(state, call, request, path),
        (_, ["issue", rest @ ..]) => route_issue(state, call, request, rest),
        _ => unknown(),
    }
}

fn removed() -> Problem {
    Problem::new(
        410,
        "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API. \
         A full migration guideline is available at https://developer.atlassian.com/changelog/#CHANGE-2046",
    )
}

/// Reads a JSON body.
pub(crate) fn body(request: &Request) -> Result<Value, Problem> {
    let kind = request.header("content-type").unwrap_or_default().to_ascii_lowercase();
    if !kind.contains("json") {
        let text = "The request is not 'application/json'.";
        return Err(Problem::new(415, text));
    }
    serde_json::from_slice(&request.body).map_err(|e| {
        Problem::bad(format!("There was an error parsing JSON. Check that your request body is valid: {e}"))
    })
}

fn route_fields(state: &mut State, call: &Call, request: &Request, path: &[&str]) -> Answer {
    let method = request.method.as_str();
    let body = || body(request);
    match (method, path) {
        ("GET", ["field"]) => fields::list(state),
        ("POST", ["field"]) => fields::create(state, &body()?),
        ("GET", ["field", "search"]) => fields::search(state, call),
        ("PUT", ["field", "association"]) => fields::associate(state, &body()?, true),
        ("DELETE", ["field", "association"]) => fields::associate(state, &body()?, false),
        ("PUT", ["field", id]) => fields::update(state, id, &body()?),
        ("GET", ["field", id, "context"]) => fields::contexts(state, call, id),
        ("POST", ["field", id, "context"]) => fields::add_context(state, id, &body()?),
        ("GET", ["field", id, "screens"]) => fields::screens_of(state, call, id),
        ("PUT", ["field", id, "context", context, part @ ("project" | "issuetype")]) => {
            fields::widen_context(state, id, context, part, &body()?)
        }
        ("GET", ["field", id, "context", context, "option"]) => {
            fields::options(state, call, id, context, None)
        }
        ("POST", ["field", id, "context", context, "option"]) => {
            fields::options(state, call, id, context, Some(&body()?))
        }
        ("GET", ["screens"]) => fields::screens(state, call),
        ("POST", ["screens", "addToDefault", id]) => fields::add_to_default(state, id),
        (_, ["screens", rest @ ..]) if rest.len() > 1 => {
            let body = if method == "POST" { body()? } else { Value::Null };
            fields::tabs(state, method, rest, &body)
        }
        _ => Err(Problem::not_found("null for uri: not found")),
    }
}

fn route_bulk(state: &mut State, call: &Call, request: &Request, path: &[&str]) -> Answer {
    let body = || body(request);
    match (request.method.as_str(), &path[1..]) {
        ("GET", ["issues", "transition"]) => bulk::transitions(state, call),
        ("POST", ["issues", "transition"]) => bulk::transition(state, call, &body()?),
        ("POST", ["issues", "delete"]) => bulk::delete(state, call, &body()?),
        ("POST", ["issues", "fields"]) => bulk::edit(state, call, &body()?),
        ("GET", ["queue", id]) => bulk::queue(state, call, id),
        _ => Err(Problem::not_found("null for uri: not found")),
    }
}

/// The routes that name no issue, and then those of one.
fn route_issue(state: &mut State, call: &Call, request: &Request, path: &[&str]) -> Answer {
    let method = request.method.as_str();
    let body = || body(request);
    match (method, path) {
        ("POST", []) => {
            let created = write::create(state, call, &body()?, None)?;
            state.hide_from_xray(created.id, call.now);
            Ok(Reply::created(extras::created_body(call, created)))
        }
        ("POST", ["bulk"]) => extras::bulk_create(state, call, &body()?),
        ("POST", ["bulkfetch"]) => search::bulk_fetch(state, call, &body()?),
        ("GET", ["createmeta"]) => meta::create_meta_all(state, call),
        ("GET", ["createmeta", project, "issuetypes"]) => meta::create_meta(state, call, project, None),
        ("GET", ["createmeta", project, "issuetypes", kind]) => {
            meta::create_meta(state, call, project, Some(kind))
        }
        ("POST", ["properties"]) => extras::bulk_properties(state, call, "list", &body()?),
        ("POST", ["properties", "multi"]) => extras::bulk_properties(state, call, "multi", &body()?),
        ("PUT" | "DELETE", ["properties", key]) => extras::bulk_properties(state, call, key, &body()?),
        (_, [id, rest @ ..]) => {
            let id = extras::issue(state, id)?.id;
            if method != "GET" {
                let now = call.now;
                if state.enforce_limits {
                    state.passing.limits.write_issue(id, now)?;
                }
            }
            route_one(state, call, request, id, rest)
        }
        _ => Err(Problem::new(405, "Method Not Allowed")),
    }
}

fn route_one(state: &mut State, call: &Call, request: &Request, id: u64, path: &[&str]) -> Answer {
    let method = request.method.as_str();
    let body = || body(request);
    match (method, path) {
        ("GET", []) => {
            let names: Vec<String> = call.params("fields").map(str::to_owned).collect();
            let selection = read::Selection::parse(&names, "*all");
            let expand = read::Expand::parse(call.param("expand").unwrap_or_default());
            let properties: Vec<String> =
                call.params("properties").flat_map(|p| p.split(',')).map(str::to_owned).collect();
            let issue = state.issue(id).ok_or_else(Problem::no_issue)?;
            Ok(Reply::ok(read::issue(state, call, issue, &selection, &expand, &properties)))
        }
        ("PUT", []) => {
            write::edit(state, call, id, &body()?)?;
            if !call.flag("returnIssue") {
                return Ok(Reply::empty(204));
            }
            let issue = state.issue(id).ok_or_else(Problem::no_issue)?;
            let selection = read::Selection::parse(&[], "*all");
            let expand = read::Expand::default();
            Ok(Reply::ok(read::issue(state, call, issue, &selection, &expand, &[])))
        }
        ("DELETE", []) => delete(state, call, id),
        ("PUT", ["assignee"]) => assign(state, call, id, &body()?),
        ("GET", ["transitions"]) => {
            let issue = state.issue(id).ok_or_else(Problem::no_issue)?;
            let fields = call.param("expand").is_some_and(|e| e.contains("transitions.fields"));
            let mut list = workflow::available(state, call, issue, fields);
            if let Some(wanted) = call.param("transitionId") {
                list.retain(|t| t["id"] == wanted);
            }
            Ok(Reply::ok(json!({"expand": "transitions", "transitions": list})))
        }
        ("POST", ["transitions"]) => {
            workflow::perform(state, call, id, &body()?)?;
            Ok(Reply::empty(204))
        }
        ("GET", ["editmeta"]) => {
            let issue = state.issue(id).ok_or_else(Problem::no_issue)?;
            Ok(Reply::ok(meta::edit_fields(state, call, issue)))
        }
        (_, ["comment"]) => {
            let body = if method == "POST" { body()? } else { Value::Null };
            extras::comments(state, call, method, id, None, &body)
        }
        (_, ["comment", comment]) => {
            let body = if method == "PUT" { body()? } else { Value::Null };
            extras::comments(state, call, method, id, Some(comment), &body)
        }
        (_, ["properties"]) => extras::properties(state, call, method, id, None, &Value::Null),
        (_, ["properties", key]) => {
            let body = if method == "PUT" { body()? } else { Value::Null };
            extras::properties(state, call, method, id, Some(key), &body)
        }
        ("GET", ["changelog"]) => extras::changelog(state, call, id, None),
        ("POST", ["changelog", "list"]) => extras::changelog(state, call, id, Some(&body()?)),
        ("POST", ["attachments"]) => extras::attach(state, call, id, request),
        ("GET", ["remotelink"]) => links::remote_list(state, call, id),
        ("POST", ["remotelink"]) => links::remote_put(state, call, id, &body()?, None),
        ("DELETE", ["remotelink"]) => links::remote_delete(state, call, id, None),
        ("GET", ["remotelink", link]) => links::remote_get(state, call, id, link),
        ("PUT", ["remotelink", link]) => links::remote_put(state, call, id, &body()?, Some(link)),
        ("DELETE", ["remotelink", link]) => links::remote_delete(state, call, id, Some(link)),
        _ => Err(Problem::not_found("null for uri: not found")),
    }
}

fn delete(state: &mut State, call: &Call, id: u64) -> Answer {
    let subtask = |c: &&u64| state.issue(**c).is_some_and(|i| state.site.types[usize::from(i.kind)].subtask);
    let children = state.children.get(&id).map_or(&[][..], Vec::as_slice);
    let subtasks: Vec<u64> = children.iter().filter(subtask).copied().collect();
    if !subtasks.is_empty() && !call.flag("deleteSubtasks") {
        let key = state.issue(id).map(|i| state.key_of(i)).unwrap_or_default();
        return Err(Problem::bad(format!(
            "The issue '{key}' has subtasks. You must specify the 'deleteSubtasks' parameter to delete this issue and all its subtasks."
        )));
    }
    for child in subtasks {
        state.remove_issue(child, call.now);
    }
    state.remove_issue(id, call.now);
    Ok(Reply::empty(204))
}

fn assign(state: &mut State, call: &Call, id: u64, body: &Value) -> Answer {
    let old = state.issue(id).ok_or_else(Problem::no_issue)?.clone();
    let assignee = values::assignee(state, &old, body).map_err(|e| Problem::field("assignee", e))?;
    let mut new = old.clone();
    new.assignee = assignee;
    new.updated = call.now;
    write::record(state, call, &old, &mut new);
    state.put_issue(new, call.now);
    Ok(Reply::empty(204))
}

/// Whether the route may be asked without credentials, and then shows nothing.
pub(crate) fn anonymous(call: &Call, method: &str, path: &[&str]) -> Option<Reply> {
    match (method, path) {
        ("GET", ["serverInfo"]) => Some(Reply::ok(meta::server_info(call))),
        ("GET" | "POST", ["search", "jql"]) => Some(Reply::ok(json!({"issues": [], "isLast": true}))),
        ("GET", ["project", "search"]) => Some(Reply::ok(page(call, "project/search", Vec::new(), 50, 100))),
        ("GET", ["project"]) => Some(Reply::ok(json!([]))),
        _ => None,
    }
}

/// The signed addresses of attachments.
pub(crate) fn media(state: &State, request: &Request, path: &[&str]) -> Answer {
    match path {
        [number, secret] => extras::media(state, number, secret, request.header("range")),
        _ => Err(Problem::not_found("Not found")),
    }
}
