//! Search with page tokens over an index that lags behind.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::query::{self, Plan};
use super::read::{self, Expand, Selection};
use super::{Call, strings};
use crate::sandbox::jira_xray::reply::{Answer, Problem, Reply};
use crate::sandbox::jira_xray::store::State;

/// Page size if the client does not say, and the most with any field.
const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 100;
/// Most ids of a page that asks for no field.
const PAGE_BARE_MAX: usize = 5_000;
/// Most ids that can be made exact.
const RECONCILE_MAX: usize = 50;
/// Most issue properties of a search.
const PROPERTIES_MAX: usize = 5;
/// Most issues of one bulk fetch.
const FETCH_MAX: usize = 100;
/// How many result lists are kept, so that a sweep does not match every issue
/// again for each page.
const CACHED_MAX: usize = 16;

/// Result lists that still hold because nothing changed since.
#[derive(Debug, Default)]
pub(crate) struct SearchCache {
    revision: u64,
    lists: BTreeMap<String, Arc<Vec<u64>>>,
    order: VecDeque<String>,
}

impl SearchCache {
    pub(crate) fn clear(&mut self) {
        self.lists.clear();
        self.order.clear();
    }

    fn get(&mut self, revision: u64, key: &str) -> Option<Arc<Vec<u64>>> {
        if self.revision != revision {
            self.clear();
            self.revision = revision;
        }
        self.lists.get(key).cloned()
    }

    fn put(&mut self, key: String, list: Arc<Vec<u64>>) {
        if self.order.len() >= CACHED_MAX
            && let Some(old) = self.order.pop_front()
        {
            self.lists.remove(&old);
        }
        self.order.push_back(key.clone());
        self.lists.insert(key, list);
    }
}

/// What a search asks for, from the query or the body.
struct Wanted {
    jql: String,
    fields: Vec<String>,
    max: usize,
    expand: Expand,
    properties: Vec<String>,
    token: Option<String>,
    exact: Vec<u64>,
}

/// `GET` and `POST /search/jql`.
pub(crate) fn search(state: &mut State, call: &Call, body: Option<&Value>) -> Answer {
    let wanted = match body {
        Some(body) => from_body(body)?,
        None => from_query(call)?,
    };
    if wanted.exact.len() > RECONCILE_MAX {
        return Err(Problem::bad(format!(
            "reconcileIssues holds {} ids; {RECONCILE_MAX} are allowed.",
            wanted.exact.len()
        )));
    }
    if wanted.properties.len() > PROPERTIES_MAX {
        return Err(Problem::bad("A maximum of 5 issue property keys can be specified."));
    }
    let plan = query::prepare(state, call, &wanted.jql).map_err(Problem::bad)?;
    let ids = matching(state, call, &wanted, &plan);
    let start = match &wanted.token {
        None => 0,
        Some(token) => start_after(state, call, &wanted, &plan, &ids, token)?,
    };
    let selection = Selection::parse(&wanted.fields, "id");
    let most = if selection.is_bare() { PAGE_BARE_MAX } else { PAGE_MAX };
    let end = ids.len().min(start + wanted.max.clamp(1, most));
    let last = end >= ids.len();
    let mut issues = Vec::with_capacity(end - start);
    for id in &ids[start..end] {
        let seen =
            if wanted.exact.contains(id) { state.issues.get(id) } else { state.indexed(*id, call.now) };
        if let Some(issue) = seen {
            issues.push(read::issue(
                state,
                call,
                issue,
                &selection,
                &Expand::default_in_search(&wanted.expand),
                &wanted.properties,
            ));
        }
    }
    let mut out = Map::new();
    out.insert("issues".into(), Value::Array(issues));
    out.insert("isLast".into(), json!(last));
    if !last && let Some(id) = ids.get(end.wrapping_sub(1)) {
        out.insert("nextPageToken".into(), json!(make_token(&wanted.jql, end, *id)));
    }
    add_names(state, &selection, &wanted.expand, &mut out);
    Ok(Reply::ok(Value::Object(out)))
}

impl Expand {
    /// Names and schema stand beside the issues of a search, not in each.
    fn default_in_search(all: &Self) -> Self {
        let each = ["renderedFields", "transitions", "changelog", "editmeta", "operations"];
        let kept: Vec<&str> = each.into_iter().filter(|e| all.has(e)).collect();
        Self::parse(&kept.join(","))
    }
}

fn add_names(state: &State, selection: &Selection, expand: &Expand, out: &mut Map<String, Value>) {
    let fields: Vec<_> = state.site.fields.iter().filter(|f| selection.holds(f)).collect();
    if expand.has("names") {
        out.insert("names".into(), read::names(&fields));
    }
    if expand.has("schema") {
        out.insert("schema".into(), read::schemas(&fields));
    }
}

/// The ids that match, from the cache where it still holds.
fn matching(state: &mut State, call: &Call, wanted: &Wanted, plan: &Plan) -> Arc<Vec<u64>> {
    let settled = state.passing.stale.is_empty();
    // Periods and "now" move with the clock, so such results are never kept.
    let lasting = settled && !wanted.jql.contains(['-', '(']);
    let key = format!("{}\n{}", call.user, wanted.jql);
    let revision = state.passing.revision;
    if lasting && let Some(list) = state.passing.search.get(revision, &key) {
        return list;
    }
    let ids = Arc::new(query::run(state, plan, call.now, &wanted.exact));
    if lasting {
        state.passing.search.get(revision, "");
        state.passing.search.put(key, Arc::clone(&ids));
    }
    ids
}

fn make_token(jql: &str, at: usize, id: u64) -> String {
    let hash = xxhash_rust::xxh3::xxh3_64(jql.as_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{hash:x}:{at}:{id}"))
}

/// Finds where the page after a token starts: behind the issue that ended the page
/// before it, in the order as it is now.
fn start_after(
    state: &State,
    call: &Call,
    wanted: &Wanted,
    plan: &Plan,
    ids: &[u64],
    token: &str,
) -> Result<usize, Problem> {
    let bad = || Problem::bad("The provided next page token is invalid or expired.");
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
    let text = String::from_utf8(text).map_err(|_| bad())?;
    let mut parts = text.split(':');
    let hash = parts.next().unwrap_or_default();
    if hash != format!("{:x}", xxhash_rust::xxh3::xxh3_64(wanted.jql.as_bytes())) {
        return Err(bad());
    }
    let at: usize = parts.next().and_then(|p| p.parse().ok()).ok_or_else(bad)?;
    let id: u64 = parts.next().and_then(|p| p.parse().ok()).ok_or_else(bad)?;
    if ids.get(at.wrapping_sub(1)) == Some(&id) {
        return Ok(at);
    }
    if let Some(found) = ids.iter().position(|i| *i == id) {
        return Ok(found + 1);
    }
    let Some(last) = state.indexed(id, call.now) else { return Ok(at.min(ids.len())) };
    let behind = |other: &u64| {
        state
            .indexed(*other, call.now)
            .is_some_and(|o| plan.compare(state, o, last) == std::cmp::Ordering::Greater)
    };
    Ok(ids.iter().position(behind).unwrap_or(ids.len()))
}

fn from_body(body: &Value) -> Result<Wanted, Problem> {
    let exact = body.get("reconcileIssues").and_then(Value::as_array).into_iter().flatten();
    Ok(Wanted {
        jql: body.get("jql").and_then(Value::as_str).unwrap_or_default().to_owned(),
        fields: strings(body.get("fields")),
        max: page_size(body.get("maxResults").and_then(Value::as_i64))?,
        expand: Expand::parse(body.get("expand").and_then(Value::as_str).unwrap_or_default()),
        properties: strings(body.get("properties")),
        token: body.get("nextPageToken").and_then(Value::as_str).map(str::to_owned),
        exact: exact.filter_map(|v| v.as_u64().or_else(|| v.as_str()?.parse().ok())).collect(),
    })
}

fn from_query(call: &Call) -> Result<Wanted, Problem> {
    let list = |name: &str| {
        let all = call.params(name).flat_map(|v| v.split(',').map(str::to_owned));
        all.filter(|v| !v.is_empty()).collect::<Vec<_>>()
    };
    Ok(Wanted {
        jql: call.param("jql").unwrap_or_default().to_owned(),
        fields: list("fields"),
        max: page_size(call.param("maxResults").and_then(|m| m.parse().ok()))?,
        expand: Expand::parse(call.param("expand").unwrap_or_default()),
        properties: list("properties"),
        token: call.param("nextPageToken").map(str::to_owned),
        exact: list("reconcileIssues").iter().filter_map(|v| v.parse().ok()).collect(),
    })
}

fn page_size(asked: Option<i64>) -> Result<usize, Problem> {
    match asked {
        None => Ok(PAGE_DEFAULT),
        Some(n) if n < 0 => Err(Problem::bad("maxResults must not be negative.")),
        Some(0) => Ok(PAGE_DEFAULT),
        Some(n) => Ok(usize::try_from(n).unwrap_or(PAGE_BARE_MAX).min(PAGE_BARE_MAX)),
    }
}

/// `POST /search/approximate-count`.
pub(crate) fn count(state: &mut State, call: &Call, body: &Value) -> Answer {
    let jql = body.get("jql").and_then(Value::as_str).unwrap_or_default().to_owned();
    let plan = query::prepare(state, call, &jql).map_err(Problem::bad)?;
    let ids = query::run(state, &plan, call.now, &[]);
    Ok(Reply::ok(json!({"count": ids.len()})))
}

/// `POST /jql/parse`.
pub(crate) fn parse(state: &State, call: &Call, body: &Value) -> Answer {
    let queries = strings(body.get("queries"));
    if queries.is_empty() {
        return Err(Problem::bad("At least one query must be provided."));
    }
    let validation = call.param("validation").unwrap_or("strict");
    let mut out = Vec::new();
    for text in queries {
        let parsed = super::jql::parse(&text);
        let checked = match &parsed {
            Ok(query) => query::compile(state, call, query).map(drop),
            Err(error) => Err(error.clone()),
        };
        let mut entry = json!({"query": text});
        match (checked, validation) {
            (Ok(()), _) => {}
            (Err(error), "warn") => entry["warnings"] = json!([error]),
            (Err(error), "none") if parsed.is_err() => entry["errors"] = json!([error]),
            (Err(_), "none") => {}
            (Err(error), _) => entry["errors"] = json!([error]),
        }
        if let (Ok(query), true) = (&parsed, entry.get("errors").is_none()) {
            entry["structure"] = structure(query);
        }
        out.push(entry);
    }
    Ok(Reply::ok(json!({"queries": out})))
}

/// The parsed query as Jira describes it, as far as the order goes.
fn structure(query: &super::jql::Query) -> Value {
    let fields = query.order.iter().map(|(field, descending)| {
        let direction = if *descending { "desc" } else { "asc" };
        json!({"field": {"name": field}, "direction": direction})
    });
    let mut out = Map::new();
    if let Some(filter) = &query.filter {
        out.insert("where".into(), describe(filter));
    }
    if !query.order.is_empty() {
        out.insert("orderBy".into(), json!({"fields": fields.collect::<Vec<_>>()}));
    }
    Value::Object(out)
}

fn describe(node: &super::jql::Node) -> Value {
    use super::jql::{Node, Op};
    let list = |nodes: &[Node]| nodes.iter().map(describe).collect::<Vec<_>>();
    match node {
        Node::And(nodes) => json!({"clauses": list(nodes), "operator": "and"}),
        Node::Or(nodes) => json!({"clauses": list(nodes), "operator": "or"}),
        Node::Not(inner) => json!({"clauses": [describe(inner)], "operator": "not"}),
        Node::Clause(c) => {
            let operator = match c.op {
                Op::Eq => "=",
                Op::Ne => "!=",
                Op::Lt => "<",
                Op::Le => "<=",
                Op::Gt => ">",
                Op::Ge => ">=",
                Op::Like => "~",
                Op::NotLike => "!~",
                Op::In => "in",
                Op::NotIn => "not in",
                Op::Empty => "is",
                Op::NotEmpty => "is not",
            };
            let operand = match (&c.op, c.values.as_slice()) {
                (Op::Empty | Op::NotEmpty, _) => json!({"keyword": "empty"}),
                (Op::In | Op::NotIn, values) => {
                    json!({"values": values.iter().map(|v| json!({"value": v.text})).collect::<Vec<_>>()})
                }
                (_, values) => json!({"value": values.first().map(|v| v.text.clone())}),
            };
            json!({"field": {"name": c.field}, "operator": operator, "operand": operand})
        }
    }
}

/// `POST /issue/bulkfetch`: exact, sorted by id, missing issues left out.
pub(crate) fn bulk_fetch(state: &State, call: &Call, body: &Value) -> Answer {
    let wanted = strings(body.get("issueIdsOrKeys"));
    if wanted.is_empty() {
        return Err(Problem::bad("issueIdsOrKeys must not be empty."));
    }
    if wanted.len() > FETCH_MAX {
        return Err(Problem::bad(format!(
            "{} issues were asked for; the most is {FETCH_MAX}.",
            wanted.len()
        )));
    }
    let selection = Selection::parse(&strings(body.get("fields")), "*navigable");
    let expand = Expand::parse(&strings(body.get("expand")).join(","));
    let properties = strings(body.get("properties"));
    let mut ids: Vec<u64> = wanted.iter().filter_map(|w| state.find_issue(w)).map(|i| i.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let each = Expand::default_in_search(&expand);
    let issues: Vec<Value> = ids
        .iter()
        .filter_map(|id| state.issue(*id))
        .map(|i| read::issue(state, call, i, &selection, &each, &properties))
        .collect();
    let mut out = Map::new();
    out.insert("issues".into(), Value::Array(issues));
    out.insert("issueErrors".into(), json!([]));
    Ok(Reply::ok(Value::Object(out)))
}
