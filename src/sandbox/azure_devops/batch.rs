//! `$batch`: many writes of work items in one call.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use super::http::{Answer, Call, Failure, Reply};
use super::json::decode;
use super::state::State;
use super::write;

/// How many requests one batch may hold.
const MAX_REQUESTS: usize = 200;

fn response(code: u16, body: &Json) -> Json {
    json!({"code": code, "headers": {"Content-Type": "application/json; charset=utf-8"}, "body": body.to_string()})
}

/// What one element of a batch says.
struct Inner {
    call: Call,
    /// The type to create, or none for an update of `id`.
    kind: Option<String>,
    id: u32,
    temporary: Option<i64>,
    ops: Vec<Json>,
}

fn parse(state: &State, outer: &Call, element: &Json) -> Result<Inner, Failure> {
    let uri = element.get("uri").and_then(Json::as_str).ok_or_else(|| Failure::null("uri"))?;
    let method = element.get("method").and_then(Json::as_str).unwrap_or_default();
    if !method.eq_ignore_ascii_case("PATCH") && !method.eq_ignore_ascii_case("POST") {
        return Err(Failure::new(
            405,
            "HttpMethodNotSupportedException",
            format!("The requested resource does not support http method '{method}'."),
        ));
    }
    let content = element
        .get("headers")
        .and_then(Json::as_object)
        .and_then(|h| h.iter().find(|(n, _)| n.eq_ignore_ascii_case("content-type")))
        .and_then(|(_, v)| v.as_str());
    write::check_content_type(content.unwrap_or_default())?;
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let parts: Vec<String> = path.split('/').filter(|p| !p.is_empty()).map(decode).collect();
    let api = parts.iter().position(|p| p.eq_ignore_ascii_case("_apis"));
    let tail: Vec<&str> =
        api.map(|at| parts[at + 1..].iter().map(String::as_str).collect()).unwrap_or_default();
    let [wit, items, last] = tail[..] else { return Err(no_route(uri)) };
    if !wit.eq_ignore_ascii_case("wit") || !items.eq_ignore_ascii_case("workitems") {
        return Err(no_route(uri));
    }
    let ops = match element.get("body") {
        Some(Json::Array(ops)) => ops.clone(),
        Some(Json::String(text)) => {
            serde_json::from_str(text).map_err(|e| Failure::binding(e.to_string()))?
        }
        _ => return Err(Failure::null("document")),
    };
    let mut call = Call {
        method: "PATCH".to_owned(),
        base: outer.base.clone(),
        query: super::query_pairs(query),
        user: outer.user,
        now: outer.now,
        version: outer.version,
        ..Call::default()
    };
    let project = api.filter(|at| *at > 0).map(|at| parts[at - 1].clone());
    call.project = project.filter(|p| state.find_project(p).is_some() || last.starts_with('$'));
    let temporary = ops
        .iter()
        .find(|op| op["path"].as_str().is_some_and(|p| p.eq_ignore_ascii_case("/id")))
        .and_then(|op| op["value"].as_i64().or_else(|| op["value"].as_str().and_then(|t| t.parse().ok())));
    let kind = last.strip_prefix('$').map(str::to_owned);
    let id = match &kind {
        Some(_) => 0,
        None => last.parse().map_err(|_| no_route(uri))?,
    };
    Ok(Inner { call, kind, id, temporary, ops })
}

fn no_route(uri: &str) -> Failure {
    Failure::new(404, "HttpResourceNotFoundException", format!("The resource cannot be found: {uri}"))
}

fn run(state: &mut State, inner: &Inner, temporary: &mut HashMap<i64, u32>) -> Result<Json, Failure> {
    match &inner.kind {
        Some(kind) => {
            let project = state.scope(&inner.call)?;
            let (id, body) = write::create_item(state, &inner.call, project, kind, &inner.ops, temporary)?;
            if let Some((name, id)) = inner.temporary.zip(id) {
                temporary.insert(name, id);
            }
            Ok(body)
        }
        None => write::update_item(state, &inner.call, inner.id, &inner.ops, temporary),
    }
}

/// `PATCH|POST $batch`. A failed element does not affect the others.
pub(super) fn batch(state: &mut State, call: &Call) -> Answer {
    let elements = match call.array() {
        Ok(elements) => elements,
        Err(failure) => {
            let message = json!({"count": 1, "value": {"Message": failure.message}});
            return Ok(Reply::list(vec![response(400, &message)]));
        }
    };
    if elements.len() > MAX_REQUESTS {
        let message = format!(
            "VS403474: You requested {} work items which exceeds the limit of {MAX_REQUESTS}",
            elements.len()
        );
        return Err(Failure::new(400, "WorkItemsBatchLimitExceededException", message));
    }
    let mut temporary = HashMap::new();
    let mut answers = Vec::with_capacity(elements.len());
    for element in &elements {
        let outcome = parse(state, call, element).and_then(|inner| run(state, &inner, &mut temporary));
        answers.push(match outcome {
            Ok(body) => response(200, &body),
            Err(failure) => {
                response(failure.status, &json!({"count": 1, "value": {"Message": failure.message}}))
            }
        });
    }
    Ok(Reply::list(answers))
}
