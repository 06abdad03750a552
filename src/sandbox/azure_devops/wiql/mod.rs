//! The query language: flat queries, queries of links, and the calls that run them.

mod eval;
mod parse;

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use self::eval::Bound;
use self::parse::{Expr, Mode, Op, Operand, Side};
use super::fields::F;
use super::http::{Answer, Call, Failure, Reply, text};
use super::items::{Item, Target};
use super::json::Snapshot;
use super::state::State;
use super::value::parse_date;

pub(super) use self::eval::Context;
pub(super) use self::parse::{Query, parse};

/// The most rows that a query may give.
const MAX_ROWS: usize = 20_000;

/// The refusal of a result that is too large.
pub(super) fn too_many() -> Failure {
    Failure::new(
        400,
        "WorkItemTrackingQueryResultSizeLimitExceededException",
        format!(
            "VS402337: The number of work items returned exceeds the size limit of {MAX_ROWS}. Change the query to return fewer items."
        ),
    )
}

/// Whether one item is in the result of a flat query.
pub(super) fn includes(state: &State, query: &Query, context: Context, id: u32) -> bool {
    let Some(item) = state.live(id) else { return false };
    let Ok(bound) = Bound::new(state, query, context) else { return false };
    let snap = Snapshot::now(id, item);
    query.filter.as_ref().is_none_or(|f| bound.matches(state, &snap, f, Side::Item))
}

/// Checks that a query can run, and that it asks for test cases only.
pub(super) fn check_suite_query(state: &State, query: &Query, context: Context) -> Result<(), Failure> {
    Bound::new(state, query, context)?;
    let asks = |expr: &Expr| match expr {
        Expr::Is { op: Op::Group, values, .. } => values
            .iter()
            .any(|v| matches!(v, Operand::Text(t) if t.eq_ignore_ascii_case("Microsoft.TestCaseCategory"))),
        Expr::Is { op: Op::Equal, values, field, .. } => {
            let name = &query.names[*field];
            (name.eq_ignore_ascii_case("System.WorkItemType") || name.eq_ignore_ascii_case("Work Item Type"))
                && values.iter().any(|v| matches!(v, Operand::Text(t) if t.eq_ignore_ascii_case("Test Case")))
        }
        _ => false,
    };
    let found = match &query.filter {
        Some(Expr::All(list)) => list.iter().any(asks),
        Some(single) => asks(single),
        None => false,
    };
    if found && !query.links {
        return Ok(());
    }
    Err(Failure::property("The query of a query-based suite must be limited to the Test Case Category."))
}

/// The ids of a flat query in order; all of them.
pub(super) fn flat(
    state: &State,
    query: &Query,
    context: Context,
    top: Option<usize>,
) -> Result<Vec<u32>, Failure> {
    let bound = Bound::new(state, query, context)?;
    let as_of = match &query.as_of {
        Some(date) => Some(
            parse_date(date).ok_or_else(|| Failure::argument(format!("The date '{date}' is not valid.")))?,
        ),
        None => None,
    };
    let by_id = match query.order.as_slice() {
        [] => true,
        [(field, false)] => bound.fields[*field] == F::Id as u16,
        _ => false,
    };
    let limit = top.unwrap_or(MAX_ROWS).min(MAX_ROWS);
    let mut found: Vec<Snapshot<'_>> = Vec::new();
    for (&id, item) in state.items.range(bound.floor()..) {
        if item.deleted.is_some() {
            continue;
        }
        let Some(snap) = snapshot(id, item, as_of) else { continue };
        if !query.filter.as_ref().is_none_or(|f| bound.matches(state, &snap, f, Side::Item)) {
            continue;
        }
        found.push(snap);
        if by_id && top.is_some() && found.len() >= limit {
            break;
        }
        if top.is_none() && found.len() > MAX_ROWS {
            return Err(too_many());
        }
    }
    if top.is_some_and(|t| t > MAX_ROWS) && found.len() > MAX_ROWS {
        return Err(too_many());
    }
    bound.sort(state, &mut found);
    found.truncate(limit);
    Ok(found.iter().map(|s| s.id).collect())
}

fn snapshot(id: u32, item: &Item, as_of: Option<i64>) -> Option<Snapshot<'_>> {
    match as_of {
        Some(at) => item.revision_at(at).map(|r| Snapshot::at(id, item, r)),
        None => Some(Snapshot::now(id, item)),
    }
}

fn link_types(bound: &Bound<'_>, expr: Option<&Expr>) -> Vec<String> {
    match expr {
        Some(Expr::All(list) | Expr::Any(list)) => {
            list.iter().flat_map(|e| link_types(bound, Some(e))).collect()
        }
        Some(Expr::Is { field, op: Op::Equal, values, .. }) if bound.fields[*field] == u16::MAX => values
            .iter()
            .filter_map(|v| if let Operand::Text(t) = v { Some(t.to_lowercase()) } else { None })
            .collect(),
        _ => Vec::new(),
    }
}

/// A row of a query of links: relation, source and target.
type LinkRow = (Option<String>, Option<u32>, u32);

/// Runs a query of links.
fn linked(state: &State, query: &Query, context: Context) -> Result<Vec<LinkRow>, Failure> {
    let bound = Bound::new(state, query, context)?;
    let types = link_types(&bound, query.filter.as_ref());
    let meets = |id: u32, side: Side| {
        state.live(id).is_some_and(|item| {
            let snap = Snapshot::now(id, item);
            query.filter.as_ref().is_none_or(|f| bound.matches(state, &snap, f, side))
        })
    };
    let targets = |id: u32| -> Vec<(String, u32)> {
        let relations = state.items.get(&id).map(|i| i.relations.as_slice()).unwrap_or_default();
        let wanted = |rel: &str| {
            types.is_empty()
                || types
                    .iter()
                    .any(|t| t.eq_ignore_ascii_case(rel) || *t == super::links::base_name(rel).to_lowercase())
        };
        relations
            .iter()
            .filter(|r| wanted(&r.rel))
            .filter_map(
                |r| if let Target::Item(to) = r.target { Some((r.rel.to_string(), to)) } else { None },
            )
            .filter(|(_, to)| meets(*to, Side::Target))
            .collect()
    };
    let mut rows = Vec::new();
    let mut seen = BTreeSet::new();
    for (&id, item) in &state.items {
        if item.deleted.is_some() || !meets(id, Side::Source) {
            continue;
        }
        let below = targets(id);
        match query.mode {
            Mode::MustContain if below.is_empty() => continue,
            Mode::DoesNotContain if !below.is_empty() => continue,
            Mode::Recursive if !seen.insert(id) => continue,
            _ => {}
        }
        rows.push((None, None, id));
        if query.mode == Mode::DoesNotContain {
            continue;
        }
        let mut stack: Vec<(String, u32, u32)> =
            below.into_iter().rev().map(|(rel, to)| (rel, id, to)).collect();
        while let Some((rel, from, to)) = stack.pop() {
            if query.mode == Mode::Recursive {
                if !seen.insert(to) {
                    continue;
                }
                stack.extend(targets(to).into_iter().rev().map(|(rel, next)| (rel, to, next)));
            }
            rows.push((Some(rel), Some(from), to));
        }
        if rows.len() > MAX_ROWS {
            return Err(too_many());
        }
    }
    Ok(rows)
}

fn column(state: &State, call: &Call, name: &str) -> Json {
    match state.field(name) {
        Some(number) => {
            let field = &state.fields[number as usize];
            json!({"referenceName": field.reference, "name": field.name,
                "url": format!("{}/_apis/wit/fields/{}", call.base, field.reference)})
        }
        None => json!({"referenceName": name, "name": name}),
    }
}

fn run(state: &State, call: &Call, wiql: &str) -> Answer {
    let query = parse(wiql)?;
    let project = state.scope_or_all(call)?;
    let context = Context { project, user: call.user, now: call.now, precise: call.flag("timeprecision") };
    let top = call.number("$top")?;
    let reference = |id: u32| json!({"id": id, "url": state.item_url(&call.base, id)});
    let as_of = query.as_of.as_deref().and_then(parse_date).unwrap_or(call.now);
    let columns: Vec<Json> = query.select.iter().map(|&s| column(state, call, &query.names[s])).collect();
    let mut body = json!({
        "queryType": match (query.links, query.mode) {
            (false, _) => "flat",
            (true, Mode::Recursive) => "tree",
            (true, _) => "oneHop",
        },
        "queryResultType": if query.links { "workItemLink" } else { "workItem" },
        "asOf": super::value::iso(as_of), "columns": columns,
    });
    if !query.order.is_empty() {
        let sort = query.order.iter().map(|(field, descending)| {
            json!({"field": column(state, call, &query.names[*field]), "descending": descending})
        });
        body["sortColumns"] = Json::Array(sort.collect());
    }
    if query.links {
        let mut rows = linked(state, &query, context)?;
        rows.truncate(top.unwrap_or(MAX_ROWS));
        let rows = rows.into_iter().map(|(rel, source, target)| match (rel, source) {
            (Some(rel), Some(source)) => {
                json!({"rel": rel, "source": reference(source), "target": reference(target)})
            }
            _ => json!({"rel": null, "source": null, "target": reference(target)}),
        });
        body["workItemRelations"] = Json::Array(rows.collect());
    } else {
        let ids = flat(state, &query, context, top)?;
        body["workItems"] = Json::Array(ids.into_iter().map(reference).collect());
    }
    Ok(Reply::ok(body))
}

/// `POST wiql`.
pub(super) fn query(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let wiql = text(&body, "query").ok_or_else(|| Failure::null("query"))?;
    run(state, call, wiql)
}

/// `GET|HEAD wiql/{id}`: a stored query.
pub(super) fn stored(state: &mut State, call: &Call) -> Answer {
    let id = call.param("id").unwrap_or_default().to_ascii_lowercase();
    let wiql =
        state.queries.get(&id).and_then(|q| q.wiql.clone()).ok_or_else(|| super::queries::missing(&id))?;
    let mut reply = run(state, call, &wiql)?;
    if call.method == "HEAD" {
        let count = match &reply.body {
            super::http::Body::Json(body) => body["workItems"].as_array().map_or(0, Vec::len),
            _ => 0,
        };
        reply.headers.push(("x-total-count".to_owned(), count.to_string()));
        reply.body = super::http::Body::Empty;
    }
    Ok(reply)
}
