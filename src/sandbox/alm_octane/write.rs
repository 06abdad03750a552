//! Creating, changing and deleting entities, one and many at a time.

use serde_json::{Map, Value, json};

use super::call::{Answer, Call, Reply};
use super::filter::{self, Scope};
use super::problem::Problem;
use super::render::{self, View};
use super::schema::Source;
use super::store::{Mark, State};
use super::value::{Millis, Ref, Row, Val};
use super::{convert, lists, query, rules};

/// What a body says of an entity, understood.
#[derive(Debug, Default)]
struct Edits {
    /// Stored fields; none clears.
    fields: Vec<(u16, Option<Val>)>,
    /// Fields that are the other end of another entity's field.
    mirrors: Vec<(u16, Vec<Ref>)>,
    author: Option<u16>,
}

/// `POST` on a collection.
pub(super) fn create(state: &mut State, call: &Call, table: u8, sub: Option<u8>) -> Answer {
    let bodies = call.data()?;
    let atomic = call.argument("is_atomic_creation") == Some("true");
    let view = view(state, call, table, sub)?;
    let mut made: Vec<Ref> = Vec::new();
    let mut errors = Vec::new();
    for (index, body) in bodies.iter().enumerate() {
        match create_one(state, call, table, sub, body) {
            Ok(at) => made.push(at),
            Err(problem) => errors.push(problem.entry(index)),
        }
    }
    if atomic && !errors.is_empty() {
        made.drain(..).for_each(|at| delete_one(state, at));
    }
    let aggregate = sub.is_none() && state.schema.def(table).aggregate;
    let brief = View::parse("id")?;
    let view = view.unwrap_or(brief);
    Ok(bulk_reply(state, 201, &made, errors, &view, aggregate))
}

fn view(state: &State, call: &Call, table: u8, sub: Option<u8>) -> Result<Option<View>, Problem> {
    let view = call.argument("fields").map(View::parse).transpose()?;
    if let Some(view) = &view {
        view.check(state, table, sub)?;
    }
    Ok(view)
}

fn bulk_reply(
    state: &State,
    fine: u16,
    done: &[Ref],
    errors: Vec<Value>,
    view: &View,
    aggregate: bool,
) -> Reply {
    let show = |at: &Ref| state.row(*at).map(|row| render::entity(state, *at, &row, Some(view), aggregate));
    let mut body = render::collection(done.len(), done.iter().filter_map(show).collect());
    if errors.is_empty() {
        return Reply::with(fine, &body);
    }
    body["total_error_count"] = json!(errors.len());
    body["errors"] = Value::Array(errors);
    Reply::with(409, &body)
}

/// Makes one entity.
pub(super) fn create_one(
    state: &mut State,
    call: &Call,
    table: u8,
    sub: Option<u8>,
    body: &Map<String, Value>,
) -> Result<Ref, Problem> {
    let def = state.schema.def(table);
    let named = body.get("subtype").and_then(Value::as_str);
    let position = |name: &str| def.entities.iter().position(|e| e.name == name);
    let sub = match (sub, named) {
        (Some(sub), None) => sub,
        (None, None) => return Err(Problem::missing("Subtype", "subtype")),
        (sub, Some(name)) => {
            let found = position(name).and_then(|s| u8::try_from(s).ok());
            let found = found.filter(|f| sub.is_none_or(|s| s == *f) || !def.aggregate);
            found
                .ok_or_else(|| Problem::illegal("subtype", format!("'{name}' is not one of {}", def.name)))?
        }
    };
    let entity = def.entities.get(usize::from(sub)).ok_or_else(|| Problem::no_resource(&call.path))?;
    if !entity.methods.contains('P') {
        return Err(Problem::denied("POST", &entity.collection));
    }
    let mut row = Row::new(sub, call.user, call.now);
    let edits = edits(state, table, &row, None, body, false)?;
    for (field, value) in edits.fields {
        row.set(field, value);
    }
    row.author = edits.author.unwrap_or(row.author);
    rules::complete(state, call, table, &mut row)?;
    required(state, table, &row)?;
    rules::check_new(state, table, &row)?;
    unique(state, table, None, &row)?;
    let at = Ref(table, state.fresh(table));
    state.put(at, row);
    if table == state.keys.list {
        rules::christen(state, at);
    }
    for (field, targets) in edits.mirrors {
        mirror(state, at, field, &targets, call);
    }
    rules::created(state, call, at);
    Ok(at)
}

/// Understands a body's fields.
fn edits(
    state: &State,
    table: u8,
    row: &Row,
    at: Option<Ref>,
    body: &Map<String, Value>,
    append: bool,
) -> Result<Edits, Problem> {
    let entity = state.schema.entity_name(table, row.sub);
    let mut out = Edits::default();
    for (name, value) in body {
        let number = state.schema.named(table, name);
        let number = number.ok_or_else(|| Problem::unknown_field(entity, name))?;
        let named = state.schema.field_def(number);
        if matches!(named.source, Source::Type | Source::Subtype | Source::Lock)
            || (at.is_some() && name == "id")
        {
            continue;
        }
        let number = state.resolve(number);
        let field = state.schema.field_def(number);
        if field.of & (1 << row.sub) == 0 {
            return Err(Problem::unknown_field(entity, name));
        }
        if field.read_only || (field.create_only && at.is_some()) {
            return Err(Problem::read_only(&at.map(|a| state.id(a)).unwrap_or_default(), name));
        }
        let value = convert::value(state, field, value)?;
        match field.source {
            Source::Author => {
                let user = value.as_ref().and_then(|v| v.refs().first()).map(|r| r.1);
                out.author = user.and_then(|u| u16::try_from(u).ok());
            }
            Source::Mirror(_) => {
                let mut all = value.as_ref().map_or(Vec::new(), |v| v.refs().to_vec());
                if let (true, Some(at)) = (append, at) {
                    all.extend(state.value(at, row, number).as_deref().map_or(&[][..], Val::refs));
                }
                out.mirrors.push((number, all));
            }
            _ => out.fields.push((number, appended(row, number, value, append))),
        }
    }
    Ok(out)
}

/// With `append` the new references follow those that are there.
fn appended(row: &Row, field: u16, value: Option<Val>, append: bool) -> Option<Val> {
    let Some(Val::Refs(new)) = &value else { return value };
    let mut all = if append { row.get(field).map_or(Vec::new(), |v| v.refs().to_vec()) } else { Vec::new() };
    for one in new {
        if !all.contains(one) {
            all.push(*one);
        }
    }
    (!all.is_empty()).then(|| Val::Refs(all.into()))
}

fn required(state: &State, table: u8, row: &Row) -> Result<(), Problem> {
    for (number, field) in state.schema.fields_of(table, Some(row.sub)) {
        if field.required && field.source == Source::Stored && row.get(number).is_none() {
            return Err(Problem::missing(&field.label, &field.name));
        }
    }
    Ok(())
}

fn unique(state: &State, table: u8, own: Option<u32>, row: &Row) -> Result<(), Problem> {
    for (number, field) in state.schema.fields_of(table, Some(row.sub)).filter(|(_, f)| f.unique) {
        let text = row.str(number).to_lowercase();
        let same = |(n, r): (&u32, &Row)| Some(*n) != own && r.str(number).to_lowercase() == text;
        if state.table(table).rows.iter().any(same) {
            let entity = state.schema.entity_name(table, row.sub);
            let text = format!("An entity '{entity}' with this '{}' already exists", field.name);
            return Err(Problem::new(409, "platform.duplicate_entity_error", text)
                .with("field_name", field.name.as_str())
                .business());
        }
    }
    Ok(())
}

/// Makes exactly these entities name `at` in the field whose other end `field` is.
fn mirror(state: &mut State, at: Ref, field: u16, targets: &[Ref], call: &Call) {
    let Source::Mirror(other) = state.schema.field_def(field).source else { return };
    let table = state.schema.field_def(other).table;
    let multiple = state.schema.field_def(other).multiple;
    let held: Vec<Ref> = state.naming(other, at).iter().map(|n| Ref(table, *n)).collect();
    let lost = held.iter().filter(|h| !targets.contains(h)).map(|h| (*h, false));
    let won = targets.iter().filter(|t| !held.contains(t)).map(|t| (*t, true));
    for (target, adds) in lost.chain(won).collect::<Vec<_>>() {
        let Some(mut row) = state.row(target).map(|r| r.into_owned()) else { continue };
        let mut names = row.get(other).map_or(Vec::new(), |v| v.refs().to_vec());
        names.retain(|n| *n != at);
        if adds {
            names.push(at);
        }
        let value = match (multiple, names.first()) {
            (_, None) => None,
            (true, _) => Some(Val::Refs(names.into())),
            (false, Some(first)) => Some(Val::Ref(*first)),
        };
        row.set(other, value);
        state.put(target, row);
        touch(state, target, call.user, call.now, true);
    }
}

/// Notes that a row changed; `lock` if the change matters to others who edit it.
pub(super) fn touch(state: &mut State, at: Ref, user: u16, now: Millis, lock: bool) {
    let by = state.schema.named(at.0, "modified_by").or(state.schema.named(at.0, "last_modified_by"));
    let user = Ref(state.keys.user, u32::from(user));
    if let Some(row) = state.tables[usize::from(at.0)].rows.get_mut(&at.1) {
        row.version += 1;
        row.lock += u32::from(lock);
        row.modified = now;
        if let Some(by) = by {
            row.set(by, Some(Val::Ref(user)));
        }
    }
    state.revision += 1;
}

/// `PUT` on an entity.
pub(super) fn update(state: &mut State, call: &Call, at: Ref, aggregate: bool) -> Answer {
    let body = call.json()?;
    if body.contains_key("data") && state.schema.named(at.0, "data").is_none() {
        return Err(Problem::malformed("The body of an update by id is the entity itself, without 'data'"));
    }
    let view = view(state, call, at.0, None)?;
    update_one(state, call, at, &body)?;
    let brief = View::parse("id")?;
    let row = state.row(at).ok_or_else(|| Problem::no_resource(&call.path))?;
    Ok(Reply::ok(render::entity(state, at, &row, Some(view.as_ref().unwrap_or(&brief)), aggregate)))
}

/// `PUT` on a collection: entities by their ids, or one body for all that a query finds.
pub(super) fn update_many(state: &mut State, call: &Call, table: u8, sub: Option<u8>) -> Answer {
    let mut work: Vec<(Result<Ref, Problem>, Map<String, Value>)> = Vec::new();
    if let Some(text) = call.argument("query") {
        let body = call.json()?;
        let expr = query::parse(text)?;
        let found = filter::find(state, Scope { table, sub, user: call.user }, Some(&expr))?;
        work.extend(found.into_iter().map(|n| (Ok(Ref(table, n)), body.clone())));
    } else {
        let entity = state.schema.def(table).name.clone();
        for body in call.data()? {
            let id = body.get("id").map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
            let found = match id {
                None => Err(Problem::missing("ID", "id")),
                Some(id) => {
                    rules::find(state, table, sub, &id).ok_or_else(|| Problem::no_entity(&entity, &id))
                }
            };
            work.push((found, body));
        }
    }
    let view = view(state, call, table, sub)?.unwrap_or(View::parse("id")?);
    let (mut done, mut errors) = (Vec::new(), Vec::new());
    for (index, (at, body)) in work.into_iter().enumerate() {
        match at.and_then(|at| update_one(state, call, at, &body).map(|()| at)) {
            Ok(at) => done.push(at),
            Err(problem) => errors.push(problem.entry(index)),
        }
    }
    let aggregate = sub.is_none() && state.schema.def(table).aggregate;
    Ok(bulk_reply(state, 200, &done, errors, &view, aggregate))
}

fn update_one(state: &mut State, call: &Call, at: Ref, body: &Map<String, Value>) -> Result<(), Problem> {
    let gone = || Problem::no_entity(&state.schema.def(at.0).name, &state.id(at));
    let old = state.row(at).ok_or_else(gone)?.into_owned();
    let entity = &state.schema.def(at.0).entities[usize::from(old.sub)];
    if !entity.methods.contains('U') {
        return Err(Problem::denied("PUT", &entity.collection));
    }
    if let Some(stamp) = body.get("client_lock_stamp").and_then(Value::as_i64)
        && stamp != i64::from(old.lock)
    {
        let text = format!("The entity was changed meanwhile: its lock stamp is {}, not {stamp}", old.lock);
        return Err(Problem::new(500, "platform.general_error", text).with("entity_id", state.id(at)));
    }
    let append = call.argument("reference_update_mode") == Some("append");
    let edits = edits(state, at.0, &old, Some(at), body, append)?;
    let mut row = old.clone();
    for (field, value) in edits.fields {
        row.set(field, value);
    }
    row.author = edits.author.unwrap_or(row.author);
    required(state, at.0, &row)?;
    if let Some(phase) = state.schema.named(at.0, "phase")
        && let (Some(from), Some(to)) = (old.one(phase), row.one(phase))
        && !lists::allowed(state, from, to)
    {
        let name = |r| state.title(r).unwrap_or_default();
        let text = format!("'{}' phase cannot be changed to '{}'", name(from), name(to));
        return Err(Problem::new(409, "platform.phase_does_not_exist_error", text).business());
    }
    rules::check(state, at.0, &row)?;
    unique(state, at.0, Some(at.1), &row)?;
    if row != old && at.0 == state.keys.step {
        mark(state, at.1, &row);
    } else if row != old {
        state.put(at, row);
        touch(state, at, call.user, call.now, true);
        rules::changed(state, call, at, &old);
    }
    for (field, targets) in edits.mirrors {
        mirror(state, at, field, &targets, call);
    }
    Ok(())
}

/// Keeps what a run's step came to.
fn mark(state: &mut State, step: u32, row: &Row) {
    let Some((run, place)) = state.run_of_step(step) else { return };
    let count = state.run_steps.get(&run).map_or(0, |s| state.definition(s.definition).len());
    let mut marks = state.marks.get(&run).map_or_else(Vec::new, |m| m.to_vec());
    marks.resize(count, Mark::default());
    let actual = row.str(state.schema.known("run_step", "actual"));
    marks[place] = Mark {
        result: row.one(state.schema.known("run_step", "result")).map(|r| r.1),
        actual: (!actual.is_empty()).then(|| actual.into()),
    };
    state.marks.insert(run, marks.into());
    state.revision += 1;
}

/// `DELETE` on an entity.
pub(super) fn delete(state: &mut State, call: &Call, at: Ref, aggregate: bool) -> Answer {
    rules::deletable(state, call, at)?;
    let row = state.row(at).ok_or_else(|| Problem::no_resource(&call.path))?;
    let body = render::entity(state, at, &row, Some(&View::parse("id")?), aggregate);
    delete_one(state, at);
    Ok(Reply::ok(body))
}

/// `DELETE` on a collection: all that the query finds.
pub(super) fn delete_many(state: &mut State, call: &Call, table: u8, sub: Option<u8>) -> Answer {
    let text = call.argument("query").ok_or_else(|| Problem::malformed("The argument 'query' is missing"))?;
    let expr = query::parse(text)?;
    let found = filter::find(state, Scope { table, sub, user: call.user }, Some(&expr))?;
    let aggregate = sub.is_none() && state.schema.def(table).aggregate;
    let view = View::parse("id")?;
    let (mut data, mut errors) = (Vec::new(), Vec::new());
    for (index, at) in found.into_iter().map(|n| Ref(table, n)).enumerate() {
        match rules::deletable(state, call, at) {
            Ok(()) => {
                data.extend(state.row(at).map(|row| render::entity(state, at, &row, Some(&view), aggregate)));
                delete_one(state, at);
            }
            Err(problem) => errors.push(problem.entry(index)),
        }
    }
    let mut body = render::collection(data.len(), data);
    if errors.is_empty() {
        return Ok(Reply::ok(body));
    }
    body["total_error_count"] = json!(errors.len());
    body["errors"] = Value::Array(errors);
    Ok(Reply::with(409, &body))
}

/// Deletes an entity and what cannot be without it.
pub(super) fn delete_one(state: &mut State, at: Ref) {
    let schema = &state.schema;
    let mut owned = [("test_version", "test"), ("run", "test"), ("run", "parent_suite")]
        .into_iter()
        .chain([("test_suite_link_to_test", "test"), ("test_suite_link_to_test", "test_suite")])
        .map(|(entity, field)| schema.known(entity, field))
        .collect::<Vec<_>>();
    owned.extend(&state.keys.attachment_owners);
    owned.extend(&state.keys.comment_owners);
    let mut gone: Vec<Ref> = Vec::new();
    for field in owned {
        let def = state.schema.field_def(field);
        if def.target == Some(at.0) {
            gone.extend(state.naming(field, at).iter().map(|n| Ref(def.table, *n)));
        }
    }
    gone.into_iter().filter(|one| *one != at).for_each(|one| delete_one(state, one));
    if at.0 == state.keys.run {
        state.detach_steps(at.1);
        state.spawns.retain(|s| s.run != at.1);
    }
    if state.schema.def(at.0).name == "attachment" {
        state.files.remove(&at.1);
    }
    state.remove(at);
}
