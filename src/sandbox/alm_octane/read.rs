//! Reading entities: one, a page of many, groups.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::call::{Answer, Call, Reply};
use super::filter::{self, Order, Scope};
use super::problem::Problem;
use super::query;
use super::render::{self, View};
use super::schema::Source;
use super::store::State;
use super::value::{Ref, Val};

/// The page that comes when none is asked for.
const DEFAULT_LIMIT: usize = 1_000;
/// The largest page; clients page with 1,000, and history is read with 10,000 at once.
const LARGEST_LIMIT: usize = 10_000;

/// `GET` on a collection.
pub(super) fn collection(state: &mut State, call: &Call, table: u8, sub: Option<u8>) -> Answer {
    let view = call.argument("fields").map(View::parse).transpose()?;
    if let Some(view) = &view {
        view.check(state, table, sub)?;
    }
    let limit = number(call, "limit", DEFAULT_LIMIT)?;
    if !(1..=LARGEST_LIMIT).contains(&limit) {
        let text = format!("The limit must be between 1 and {LARGEST_LIMIT}");
        return Err(Problem::new(400, "platform.invalid_limit", text));
    }
    let offset = number(call, "offset", 0)?;
    let order = order(state, call, table)?;
    let text = call.argument("query").unwrap_or_default();
    let expr = if text.is_empty() { None } else { Some(query::parse(text)?) };
    let scope = Scope { table, sub, user: call.user };
    let mut rows = filter::find_paged(state, scope, text, expr.as_ref(), &order)?;
    if let Some(words) = call.argument("text_search") {
        rows = searched(state, table, &rows, words)?.into();
    }
    let aggregate = sub.is_none() && state.schema.def(table).aggregate;
    let page = rows.iter().skip(offset).take(limit).filter_map(|n| {
        let at = Ref(table, *n);
        state.row(at).map(|row| render::entity(state, at, &row, view.as_ref(), aggregate))
    });
    Ok(Reply::ok(render::collection(rows.len(), page.collect())))
}

fn number(call: &Call, name: &str, default: usize) -> Result<usize, Problem> {
    match call.argument(name) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| Problem::malformed(format!("The argument '{name}' is no number that can be used"))),
    }
}

fn order(state: &State, call: &Call, table: u8) -> Result<Order, Problem> {
    let mut order = Order::new();
    for part in call.argument("order_by").unwrap_or_default().split(',').map(str::trim) {
        let (name, down) = part.strip_prefix('-').map_or((part, false), |name| (name, true));
        if name.is_empty() {
            continue;
        }
        let unknown = || Problem::unknown_field(&state.schema.def(table).name, name);
        let field = state.resolve(state.schema.named(table, name).ok_or_else(unknown)?);
        let def = state.schema.field_def(field);
        if def.multiple || matches!(def.source, Source::Mirror(_)) {
            return Err(Problem::query(format!("The field '{name}' cannot be sorted by")));
        }
        order.push((field, down));
    }
    Ok(order)
}

/// Those of the rows whose name or description holds the words.
fn searched(state: &State, table: u8, rows: &[u32], argument: &str) -> Result<Vec<u32>, Problem> {
    let wrong =
        || Problem::malformed("The argument 'text_search' must be {\"type\":\"global\",\"text\":\"..\"}");
    let search: Value = serde_json::from_str(argument).map_err(|_| wrong())?;
    let words = search.get("text").and_then(Value::as_str).ok_or_else(wrong)?.to_lowercase();
    let fields: Vec<u16> =
        ["name", "description", "text"].iter().filter_map(|f| state.schema.named(table, f)).collect();
    let fits = |n: &&u32| {
        let row = state.row(Ref(table, **n));
        row.is_some_and(|row| fields.iter().any(|f| row.str(*f).to_lowercase().contains(&words)))
    };
    Ok(rows.iter().filter(fits).copied().collect())
}

/// `GET` on an entity.
pub(super) fn entity(state: &State, call: &Call, at: Ref, aggregate: bool) -> Answer {
    let view = call.argument("fields").map(View::parse).transpose()?;
    let row = state.row(at).ok_or_else(|| Problem::no_resource(&call.path))?;
    if let Some(view) = &view {
        view.check(state, at.0, if aggregate { None } else { Some(row.sub) })?;
    }
    Ok(Reply::ok(render::entity(state, at, &row, view.as_ref(), aggregate)))
}

/// `GET` on a collection's `groups`: how many entities have each value of a field.
pub(super) fn groups(state: &mut State, call: &Call, table: u8, sub: Option<u8>) -> Answer {
    let name = call.argument("group_by").unwrap_or_default();
    let unknown = || Problem::unknown_field(&state.schema.def(table).name, name);
    let field = state.resolve(state.schema.named(table, name).ok_or_else(unknown)?);
    let expr = call.argument("query").map(query::parse).transpose()?;
    let scope = Scope { table, sub, user: call.user };
    let mut counts: BTreeMap<Option<Ref>, usize> = BTreeMap::new();
    for number in filter::find(state, scope, expr.as_ref())? {
        let at = Ref(table, number);
        let Some(row) = state.row(at) else { continue };
        match state.value(at, &row, field).as_deref() {
            Some(value @ (Val::Ref(_) | Val::Refs(_))) => {
                value.refs().iter().for_each(|r| *counts.entry(Some(*r)).or_default() += 1);
            }
            _ => *counts.entry(None).or_default() += 1,
        }
    }
    let group = |(value, count): (&Option<Ref>, &usize)| {
        let value = value
            .map(|r| json!({"type": state.schema.def(r.0).name, "id": state.id(r), "name": state.title(r)}));
        json!({"count": count, "value": value})
    };
    let groups: Vec<Value> = counts.iter().map(group).collect();
    Ok(Reply::ok(json!({"groupsTotalCount": groups.len(), "groups": groups})))
}
