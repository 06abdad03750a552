//! Stored queries in folders.

use serde_json::{Value as Json, json};

use super::http::{Answer, Call, Failure, Reply, text};
use super::state::{State, StoredQuery};
use super::value::{guid, iso, same};

/// The folders that every project has.
const ROOTS: [&str; 2] = ["My Queries", "Shared Queries"];

/// The refusal for a query that is not there.
pub(super) fn missing(name: &str) -> Failure {
    let message =
        format!("TF401243: The query {name} does not exist, or you do not have permission to read it.");
    Failure::new(404, "QueryItemNotFoundException", message)
}

fn path_of(query: &StoredQuery) -> String {
    if query.folder.is_empty() { query.name.clone() } else { format!("{}/{}", query.folder, query.name) }
}

fn root(state: &State, project: u16, name: &str) -> (String, StoredQuery) {
    let id = guid(&format!("queries {project} {name}"));
    let created = state.project(project).created;
    let query =
        StoredQuery { project, name: name.to_owned(), folder: String::new(), wiql: None, created, by: 0 };
    (id, query)
}

fn all(state: &State, project: u16) -> Vec<(String, StoredQuery)> {
    let mut all: Vec<_> = ROOTS.iter().map(|name| root(state, project, name)).collect();
    all.extend(
        state.queries.iter().filter(|(_, q)| q.project == project).map(|(id, q)| (id.clone(), q.clone())),
    );
    all
}

fn show(state: &State, call: &Call, id: &str, query: &StoredQuery, depth: usize) -> Json {
    let path = path_of(query);
    let url = format!("{}/{}/_apis/wit/queries/{id}", call.base, state.project(query.project).guid);
    let by = state.person(&call.base, query.by);
    let mut body = json!({"id": id, "name": query.name, "path": path, "createdBy": by, "createdDate": iso(query.created),
        "lastModifiedBy": by, "lastModifiedDate": iso(query.created), "isPublic": path.starts_with("Shared Queries")});
    match &query.wiql {
        Some(wiql) => {
            body["queryType"] = json!("flat");
            body["wiql"] = json!(wiql);
        }
        None => {
            let held: Vec<_> =
                all(state, query.project).into_iter().filter(|(_, q)| same(&q.folder, &path)).collect();
            body["isFolder"] = json!(true);
            body["hasChildren"] = json!(!held.is_empty());
            if depth > 0 && !held.is_empty() {
                body["children"] = held.iter().map(|(id, q)| show(state, call, id, q, depth - 1)).collect();
            }
        }
    }
    body["_links"] = json!({"self": {"href": url}, "html": {"href": format!("{}/{}/_queries/query/{id}", call.base, state.project(query.project).guid)}});
    body["url"] = json!(url);
    body
}

fn find(state: &State, call: &Call, project: u16) -> Result<(String, StoredQuery), Failure> {
    let wanted = call.param("query").unwrap_or_default();
    let hit = |(id, q): &(String, StoredQuery)| id.eq_ignore_ascii_case(wanted) || same(&path_of(q), wanted);
    all(state, project).into_iter().find(hit).ok_or_else(|| missing(wanted))
}

/// `GET queries[/{query}]`.
pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let depth = call.number("$depth")?.unwrap_or(0);
    if call.param("query").is_none_or(str::is_empty) {
        let roots = ROOTS.iter().map(|name| {
            let (id, query) = root(state, project, name);
            show(state, call, &id, &query, depth)
        });
        return Ok(Reply::list(roots.collect()));
    }
    let (id, query) = find(state, call, project)?;
    Ok(Reply::ok(show(state, call, &id, &query, depth)))
}

/// `POST queries/{query}`: a query or folder below a folder.
pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let (_, parent) = find(state, call, project)?;
    let body = call.object()?;
    let name = text(&body, "name").filter(|n| !n.is_empty()).ok_or_else(|| Failure::null("name"))?.to_owned();
    let folder = path_of(&parent);
    if parent.wiql.is_some() {
        return Err(Failure::argument("TF401256: A query cannot hold other queries."));
    }
    let path = format!("{folder}/{name}");
    if all(state, project).iter().any(|(_, q)| same(&path_of(q), &path)) {
        return Err(Failure::new(
            409,
            "QueryItemExistsException",
            format!("TF237018: The name '{path}' is already in use."),
        ));
    }
    let wiql = text(&body, "wiql").map(str::to_owned);
    match &wiql {
        Some(wiql) => drop(super::wiql::parse(wiql)?),
        None if body.get("isFolder").and_then(Json::as_bool) != Some(true) => {
            return Err(Failure::null("wiql"));
        }
        None => {}
    }
    state.next_blob += 1;
    let id = guid(&format!("query {}", state.next_blob));
    let query = StoredQuery { project, name, folder, wiql, created: call.now, by: call.user };
    let shown = show(state, call, &id, &query, 0);
    state.queries.insert(id, query);
    state.touch();
    Ok(Reply::created(shown))
}

/// `PATCH queries/{query}`: name or text.
pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let (id, mut query) = find(state, call, project)?;
    let body = call.object()?;
    if let Some(wiql) = text(&body, "wiql") {
        super::wiql::parse(wiql)?;
        query.wiql = Some(wiql.to_owned());
    }
    if let Some(name) = text(&body, "name") {
        query.name = name.to_owned();
    }
    if !state.queries.contains_key(&id) {
        return Err(Failure::argument("TF401256: This folder cannot be changed."));
    }
    state.queries.insert(id.clone(), query.clone());
    state.touch();
    Ok(Reply::ok(show(state, call, &id, &query, 0)))
}

/// `DELETE queries/{query}`.
pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let (id, query) = find(state, call, project)?;
    if state.queries.remove(&id).is_none() {
        return Err(Failure::argument("TF401256: This folder cannot be deleted."));
    }
    let path = path_of(&query);
    let below = format!("{path}/");
    state.queries.retain(|_, q| q.project != project || !(q.folder == path || q.folder.starts_with(&below)));
    state.touch();
    Ok(Reply::none())
}
