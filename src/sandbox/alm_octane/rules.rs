//! What holds for single kinds of entities: links, runs, comments, roots.

use super::call::Call;
use super::problem::{Problem, token};
use super::runs;
use super::store::State;
use super::value::{Ref, Row, Val};

/// The entity with an id in a collection.
pub(super) fn find(state: &State, table: u8, sub: Option<u8>, id: &str) -> Option<Ref> {
    let at = state.find_id(table, id)?;
    let row = state.row(at)?;
    sub.is_none_or(|s| s == row.sub).then_some(at)
}

/// Fills in what the server decides before a new entity is checked.
pub(super) fn complete(state: &State, call: &Call, table: u8, row: &mut Row) -> Result<(), Problem> {
    let entity = state.schema.entity_name(table, row.sub).to_owned();
    let field = |name: &str| state.schema.named(table, name);
    match state.schema.def(table).name.as_str() {
        "test_suite_link_to_test" => {
            if let (Some(include), Some(order)) = (field("include_in_next_run"), field("order")) {
                if row.get(include).is_none() {
                    row.set(include, Some(Val::Bool(true)));
                }
                if row.get(order).is_none()
                    && let Some(suite) = field("test_suite").and_then(|f| row.one(f))
                {
                    let by = field("test_suite").unwrap_or_default();
                    let count = state.naming(by, suite).len();
                    row.set(order, Some(Val::Int(i64::try_from(count).unwrap_or_default())));
                }
            }
        }
        "test" => {
            let manual = matches!(entity.as_str(), "test_manual" | "gherkin_test");
            let kind = state.item("testing_tool_type.manual_runner");
            if let (true, Some(field), Some(kind)) = (manual, field("testing_tool_type"), kind) {
                row.set(field, Some(Val::Ref(kind)));
            }
            let by = Ref(state.keys.user, u32::from(call.user));
            if let Some(field) = field("modified_by") {
                row.set(field, Some(Val::Ref(by)));
            }
        }
        "run" => runs::complete(state, call, row),
        "list_node" => {
            if let (Some(name), Some(logical)) = (field("name"), field("logical_name"))
                && row.get(logical).is_none()
            {
                let id = token(&format!("{} {} {}", row.str(name), call.now, state.revision));
                row.set(logical, Some(Val::text(id)));
            }
        }
        "release" => {
            if let Some(field) = field("is_default") {
                row.set(field, Some(Val::Bool(super::releases::default(state).is_none())));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Gives a list item the id under which others refer to it.
pub(super) fn christen(state: &mut State, at: Ref) {
    let logical = state.schema.known("list_node", "logical_name");
    let name = state.row(at).map(|r| r.str(logical).to_owned()).unwrap_or_default();
    if !name.is_empty() {
        state.christen(at, &name);
    }
}

/// What only a new entity must keep to.
pub(super) fn check_new(state: &State, table: u8, row: &Row) -> Result<(), Problem> {
    let def = state.schema.def(table);
    let field = |name: &str| state.schema.named(table, name).and_then(|f| row.one(f));
    match def.name.as_str() {
        "product_area" if field("parent").is_none() => return Err(Problem::missing("Parent", "parent")),
        "product_area" if field("business_impact").is_none() => {
            return Err(Problem::missing("Business impact", "business_impact"));
        }
        "comment" => {
            let owners = state.keys.comment_owners.iter().filter(|f| row.get(**f).is_some()).count();
            if owners != 1 {
                return Err(Problem::malformed("A comment needs exactly one owner"));
            }
        }
        "attachment" => return Err(Problem::denied("POST", "attachments")),
        _ => {}
    }
    check(state, table, row)
}

/// What an entity must keep to, new or changed.
pub(super) fn check(state: &State, table: u8, row: &Row) -> Result<(), Problem> {
    let entity = state.schema.entity_name(table, row.sub);
    let field = |name: &str| state.schema.named(table, name).and_then(|f| row.one(f));
    let kind_of = |at: Ref| state.row(at).map(|r| state.schema.entity_name(at.0, r.sub).to_owned());
    if let Some(phase) = field("phase") {
        let of = state.schema.known("phase", "entity");
        if state.row(phase).is_none_or(|p| p.str(of) != entity) {
            let id = state.id(phase);
            let text = format!("The phase '{id}' does not exist for the entity '{entity}'");
            return Err(Problem::new(409, "platform.phase_does_not_exist_error", text).business());
        }
    }
    match state.schema.def(table).name.as_str() {
        "test_suite_link_to_test" => {
            let wanted = match entity {
                "test_suite_link_to_manual" => "test_manual",
                "test_suite_link_to_gherkin" => "gherkin_test",
                _ => "test_automated",
            };
            if field("test").and_then(kind_of).is_some_and(|kind| kind != wanted) {
                return Err(Problem::illegal("test", format!("a link of this type takes a '{wanted}'")));
            }
            if field("test_suite").and_then(kind_of).is_some_and(|kind| kind != "test_suite") {
                return Err(Problem::illegal("test_suite", "expected a test suite"));
            }
        }
        "run" => {
            let kind = field("test").and_then(kind_of).unwrap_or_default();
            let fits = match entity {
                "run_suite" => kind == "test_suite",
                "run_manual" => matches!(kind.as_str(), "test_manual" | "gherkin_test"),
                _ => true,
            };
            if !fits {
                return Err(Problem::illegal("test", format!("a '{entity}' does not run a '{kind}'")));
            }
        }
        "release" | "sprint" => {
            let date = |name: &str| state.schema.named(table, name).and_then(|f| row.get(f).cloned());
            if let (Some(Val::Date(start)), Some(Val::Date(end))) = (date("start_date"), date("end_date"))
                && end < start
            {
                return Err(Problem::illegal("end_date", "it lies before the start"));
            }
        }
        _ => {}
    }
    Ok(())
}

/// What follows from a new entity.
pub(super) fn created(state: &mut State, call: &Call, at: Ref) {
    if at.0 == state.keys.run {
        runs::created(state, call, at);
    }
}

/// What follows from a changed entity.
pub(super) fn changed(state: &mut State, call: &Call, at: Ref, old: &Row) {
    if at.0 == state.keys.run {
        runs::changed(state, call, at, old);
    }
}

/// Refuses to delete what must stay.
pub(super) fn deletable(state: &State, call: &Call, at: Ref) -> Result<(), Problem> {
    let def = state.schema.def(at.0);
    let row = state.row(at).ok_or_else(|| Problem::no_entity(&def.name, &state.id(at)))?;
    let entity = &def.entities[usize::from(row.sub)];
    let parent = state.schema.named(at.0, "parent");
    let root = def.name == "product_area" && parent.is_some_and(|p| row.get(p).is_none());
    if root || !entity.methods.contains('D') {
        return Err(Problem::denied("DELETE", &call.path));
    }
    Ok(())
}
