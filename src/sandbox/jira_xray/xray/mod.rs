//! Xray Cloud: GraphQL and the REST calls beside it.

pub(crate) mod args;
pub(crate) mod associations;
pub(crate) mod budget;
mod entities;
pub(crate) mod folders;
mod import_execution;
pub(crate) mod import_tests;
pub(crate) mod model;
mod mutate;
mod resolve;
mod run_fields;
mod run_writes;
pub(crate) mod schema;
mod select;
mod settings;

use async_graphql::Variables;
use serde_json::{Value, json};

use super::jira::{self, Call, multipart};
use super::reply::{Answer, Body, Problem, Reply};
use super::site::Role;
use super::store::State;
use crate::sandbox::Request;
use schema::{FieldTypes, Gate};

/// Largest body of a GraphQL call.
const BODY_MAX: usize = 20 * 1024 * 1024;
/// What Xray says of an id that it does not know, or does not know yet.
const UNKNOWN_ID: &str = "issueId provided is not valid";

/// Finds an entity by its issue id; keys are not accepted.
pub(crate) fn entity(state: &State, call: &Call, text: &str, role: Role) -> Result<u64, String> {
    let id: u64 = text.parse().map_err(|_| UNKNOWN_ID.to_owned())?;
    let fits = match role {
        Role::Requirement => state.role(id).is_some_and(select::is_coverable),
        _ => state.role(id) == Some(role),
    };
    if fits && state.known_to_xray(id, call.now) { Ok(id) } else { Err(UNKNOWN_ID.to_owned()) }
}

/// Answers a REST call; `path` is what follows `/api/v2/`.
pub(crate) fn route(state: &mut State, call: &Call, request: &Request, path: &[&str]) -> Answer {
    let body = || {
        serde_json::from_slice::<Value>(&request.body)
            .map_err(|e| Problem::xray(400, format!("Invalid JSON: {e}")))
    };
    match (request.method.as_str(), path) {
        ("POST", ["import", "execution"]) => import_execution::import(state, call, &body()?),
        ("POST", ["import", "execution", "multipart"]) => import_parts(state, call, request),
        ("POST", ["import", "test", "bulk"]) => import_tests::start(state, call, &body()?),
        ("GET", ["import", "test", "bulk", job, "status"]) => import_tests::status(state, call, job),
        ("POST", ["attachments"]) => upload(state, call, request),
        ("GET", ["attachments", id]) => download(state, call, id),
        ("GET", ["dataset", "export"]) => Ok(Reply::text(200, "")),
        _ => Err(Problem::xray(404, "Not found")),
    }
}

/// The results in the part `result`, the fields in the part `info`.
fn import_parts(state: &mut State, call: &Call, request: &Request) -> Answer {
    let kind = request.header("content-type").unwrap_or_default();
    let parts = multipart::parts(kind, &request.body)
        .ok_or_else(|| Problem::xray(400, "A multipart body is expected"))?;
    let part = |names: &[&str]| {
        let found = parts.iter().find(|p| names.contains(&p.name.as_str()))?;
        serde_json::from_slice::<Value>(&found.data).ok()
    };
    let mut results = part(&["result", "results"])
        .ok_or_else(|| Problem::xray(400, "The part 'results' is missing or not JSON"))?;
    let info = part(&["info"]).ok_or_else(|| Problem::xray(400, "The part 'info' is missing or not JSON"))?;
    let field = |path: &str| info.pointer(path).cloned();
    let merged = json!({
        "project": field("/fields/project/key"), "summary": field("/fields/summary"),
        "description": field("/fields/description"), "testPlanKey": field("/xrayFields/testPlanKey"),
        "testEnvironments": field("/xrayFields/environments")
    });
    results["info"] = merged;
    import_execution::import(state, call, &results)
}

fn upload(state: &mut State, call: &Call, request: &Request) -> Answer {
    let kind = request.header("content-type").unwrap_or_default();
    let parts = multipart::parts(kind, &request.body)
        .ok_or_else(|| Problem::xray(400, "A multipart body is expected"))?;
    let part = parts.into_iter().find(|p| p.name == "attachment");
    let part = part.ok_or_else(|| Problem::xray(400, "The part 'attachment' is missing"))?;
    let name = part.file_name.unwrap_or_else(|| "attachment".to_owned());
    let size = part.data.len();
    let file = model::File { name: name.clone(), mime: part.mime, created: call.now, data: part.data };
    let id = state.xray.add_file(file);
    state.touch();
    Ok(Reply::ok(json!({"id": model::uuid("file", id), "filename": name, "size": size})))
}

/// The address of a file redirects to a signed one, which asks for no token.
fn download(state: &State, call: &Call, id: &str) -> Answer {
    let number = model::number_of("file", id).filter(|n| state.xray.files.contains_key(n));
    number
        .map(|_| {
            let to = format!("{}/api/v2/storage/{id}/{}", call.base, storage_seal(id));
            Reply::empty(302).header("location", to)
        })
        .ok_or_else(|| Problem::xray(404, "Attachment not found"))
}

fn storage_seal(id: &str) -> String {
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(format!("storage {id}").as_bytes()))
}

/// The signed address of a file.
pub(crate) fn storage(state: &State, path: &[&str]) -> Answer {
    let ["storage", id, seal] = path else { return Err(Problem::xray(404, "Not found")) };
    let number = model::number_of("file", id).filter(|_| *seal == storage_seal(id));
    let file = number.and_then(|n| state.xray.files.get(&n));
    let file = file.ok_or_else(|| Problem::xray(404, "Not found"))?;
    let body = Body::Bytes(file.mime.clone(), bytes::Bytes::copy_from_slice(&file.data));
    Ok(Reply { status: 200, body, headers: Vec::new() })
}

fn refused(message: &str, locations: Value) -> Reply {
    let mut error = json!({"message": message});
    if !locations.is_null() {
        error["locations"] = locations;
    }
    Reply::with(400, json!({"errors": [error]}))
}

/// Answers a GraphQL call: what does not fit the schema or the budget is 400, what a
/// resolver refuses is 200 with errors beside the data.
pub(crate) async fn graphql(
    schema: &async_graphql::dynamic::Schema,
    types: &FieldTypes,
    gate: Gate,
    request: &Request,
) -> Reply {
    if request.body.len() > BODY_MAX {
        return Reply::with(413, json!({"error": "request entity too large"}));
    }
    let body = match jira::body(request) {
        Ok(body) => body,
        Err(_) => {
            return refused(
                "POST body missing, invalid Content-Type, or JSON object has no keys.",
                Value::Null,
            );
        }
    };
    let Some(query) = body.get("query").and_then(Value::as_str) else {
        return refused("Must provide query string.", Value::Null);
    };
    let variables = Variables::from_json(body.get("variables").cloned().unwrap_or_else(|| json!({})));
    let operation = body.get("operationName").and_then(Value::as_str);
    let document = match async_graphql::parser::parse_query(query) {
        Ok(document) => document,
        Err(error) => {
            let at: Vec<Value> =
                error.positions().map(|p| json!({"line": p.line, "column": p.column})).collect();
            return refused(&format!("Syntax Error: {error}"), json!(at));
        }
    };
    if let Err(message) = budget::check(&document, &variables, operation, types) {
        return refused(&message, Value::Null);
    }
    let mut call = async_graphql::Request::new(query).variables(variables).data(gate);
    if let Some(name) = operation {
        call = call.operation_name(name);
    }
    let response = schema.execute(call).await;
    let invalid = !response.errors.is_empty() && response.errors.iter().all(|e| e.path.is_empty());
    let errors = serde_json::to_value(&response.errors).unwrap_or_default();
    if invalid {
        return Reply::with(400, json!({"errors": errors}));
    }
    let data = response.data.into_json().unwrap_or_default();
    let mut out = serde_json::Map::new();
    if !response.errors.is_empty() {
        out.insert("errors".into(), errors);
    }
    out.insert("data".into(), data);
    Reply::ok(Value::Object(out))
}
