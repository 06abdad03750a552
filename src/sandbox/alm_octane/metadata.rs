//! What the service says of its entities and fields, and fields that users add.

use serde_json::{Map, Value, json};

use super::call::{Answer, Call, Reply};
use super::problem::Problem;
use super::query::{self, ANY, Expr, Literal, Op, Operand};
use super::render;
use super::schema::{Field, Kind, Schema, Source, TableDef};
use super::store::State;

/// Kinds of fields that users can add, by the subtype that names them: kind, target, several.
const KINDS: [(&str, Kind, &str); 11] = [
    ("field_metadata_list", Kind::Reference, "list_node"),
    ("field_metadata_boolean", Kind::Boolean, ""),
    ("field_metadata_date_time", Kind::DateTime, ""),
    ("field_metadata_long", Kind::Integer, ""),
    ("field_metadata_integer", Kind::Integer, ""),
    ("field_metadata_long_string", Kind::String, ""),
    ("field_metadata_memo", Kind::Memo, ""),
    ("field_metadata_string", Kind::String, ""),
    ("field_metadata_ref_to_release", Kind::Reference, "release"),
    ("field_metadata_ref_to_team", Kind::Reference, "team"),
    ("field_metadata_ref_to_user", Kind::Reference, "workspace_user"),
];
/// What the ends of users' field names are.
const SUFFIX: &str = "_udf";
/// Characters of a long string.
const LONG_STRING: usize = 4_000;

/// `GET metadata/entities`.
pub(super) fn entities(state: &State, call: &Call) -> Answer {
    let mut all = Vec::new();
    for (number, table) in state.schema.tables.iter().enumerate() {
        let number = u8::try_from(number).unwrap_or(u8::MAX);
        if table.aggregate {
            let names = (&table.name, &table.collection, &table.methods, &table.label);
            all.push(entity(&state.schema, number, table, None, names));
        }
        for one in &table.entities {
            let names = (&one.name, &one.collection, &one.methods, &one.label);
            let above = table.aggregate.then_some(table.name.as_str());
            all.push(entity(&state.schema, number, table, above, names));
        }
    }
    answer(call, all)
}

fn entity(
    schema: &Schema,
    number: u8,
    table: &TableDef,
    above: Option<&str>,
    (name, collection, methods, label): (&String, &String, &String, &String),
) -> Value {
    let verbs = [('G', "GET"), ('P', "POST"), ('U', "PUT"), ('D', "DELETE")];
    let methods: Vec<&str> = verbs.iter().filter(|(c, _)| methods.contains(*c)).map(|(_, m)| *m).collect();
    let mut features = vec![json!({"name": "rest", "url": collection, "methods": methods})];
    features.extend(above.map(|above| json!({"name": "subtype_of", "type": above})));
    let owns = |table: &str| {
        let owner = schema.table_of(table).unwrap_or_default();
        schema.fields_of(owner, None).any(|(_, f)| f.name.starts_with("owner_") && f.target == Some(number))
    };
    let flags = [
        ("has_attachments", owns("attachment")),
        ("has_comments", owns("comment")),
        ("phases", schema.named(number, "phase").is_some()),
        ("user_defined_fields", open_to_users(table)),
    ];
    features.extend(flags.iter().filter(|(_, on)| *on).map(|(name, _)| json!({"name": name})));
    json!({"type": "entity_metadata", "name": name, "label": label, "can_modify_label": false, "features": features})
}

/// Whether users may add fields to a table's entities.
fn open_to_users(table: &TableDef) -> bool {
    matches!(
        table.name.as_str(),
        "test" | "run" | "work_item" | "requirement" | "product_area" | "release" | "milestone" | "task"
    )
}

/// `GET metadata/fields` and `GET metadata_fields`.
pub(super) fn fields(state: &State, call: &Call) -> Answer {
    let mut all = Vec::new();
    for (number, table) in state.schema.tables.iter().enumerate() {
        let number = u8::try_from(number).unwrap_or(u8::MAX);
        if table.aggregate {
            let of = state.schema.fields_of(number, None);
            all.extend(of.map(|(_, f)| field(&table.name, f)));
        }
        for (sub, one) in table.entities.iter().enumerate() {
            let of = state.schema.fields_of(number, u8::try_from(sub).ok());
            all.extend(of.map(|(_, f)| field(&one.name, f)));
        }
    }
    answer(call, all)
}

fn field(entity: &str, field: &Field) -> Value {
    let target = |name: &String| match &field.list {
        Some(list) => json!({"type": name, "logical_name": list}),
        None => json!({"type": name}),
    };
    let computed = !matches!(field.source, Source::Stored | Source::Alias(_));
    let mut out = json!({
        "type": "field_metadata",
        "entity_name": entity,
        "name": field.name,
        "label": field.label,
        "field_type": field.kind.name(),
        "required": field.required,
        "editable": !field.read_only && !field.create_only,
        "editable_on_create": !field.read_only,
        "filterable": true,
        "sortable": !field.multiple,
        "groupable": field.kind == Kind::Reference,
        "unique": field.unique,
        "final": field.create_only,
        "returned_by_default": field.default,
        "is_user_defined": field.user_defined,
        "visible_in_ui": true,
        "field_features": [],
        "sanitization": if field.kind == Kind::Memo { json!("HTML") } else { Value::Null },
        "auto_generated": computed && field.read_only,
    });
    if let Some(length) = field.length {
        out["max_length"] = json!(length);
    }
    if field.kind == Kind::Reference {
        let targets: Vec<Value> = field.targets.iter().map(target).collect();
        out["field_type_data"] = json!({"multiple": field.multiple, "targets": targets});
    }
    out
}

/// Metadata come whole: they know no pages.
fn answer(call: &Call, all: Vec<Value>) -> Answer {
    let expr = call.argument("query").filter(|q| !q.is_empty()).map(query::parse).transpose()?;
    let mut data = Vec::new();
    for one in all {
        if expr.as_ref().map_or(Ok(true), |e| fits(&one, e))? {
            data.push(one);
        }
    }
    Ok(Reply::ok(render::collection(data.len(), data)))
}

fn fits(one: &Value, expr: &Expr) -> Result<bool, Problem> {
    match expr {
        Expr::And(parts) => {
            let mut all = true;
            for part in parts {
                all &= fits(one, part)?;
            }
            Ok(all)
        }
        Expr::Not(inner) => fits(one, inner).map(|f| !f),
        Expr::Or(_) => Err(Problem::query("Metadata do not support '||' in queries")),
        Expr::Phrase(name, op, operand) => {
            let held = one.get(name).ok_or_else(|| Problem::unknown_field("metadata", name))?;
            let held = held.as_str().map_or_else(|| held.to_string(), str::to_owned);
            let text = |l: &Literal| match l {
                Literal::Text(t) | Literal::Bare(t) | Literal::Macro(t) => t.replace(ANY, "*"),
            };
            match (op, operand) {
                (Op::Eq | Op::In, Operand::Value(one)) => Ok(text(one) == held),
                (Op::In, Operand::List(all)) => Ok(all.iter().any(|l| text(l) == held)),
                (Op::Eq, Operand::Null) => Ok(held == "null"),
                _ => Err(Problem::query("Metadata support EQ and IN only")),
            }
        }
    }
}

/// `POST metadata_fields`.
pub(super) fn define(state: &mut State, call: &Call) -> Answer {
    let (mut data, mut errors) = (Vec::new(), Vec::new());
    for (index, body) in call.data()?.iter().enumerate() {
        match define_one(state, body) {
            Ok(made) => data.push(made),
            Err(problem) => errors.push(problem.entry(index)),
        }
    }
    let failed = errors.len();
    let mut body = render::collection(data.len(), data);
    if failed == 0 {
        return Ok(Reply::with(201, &body));
    }
    body["total_error_count"] = json!(failed);
    body["errors"] = Value::Array(errors);
    Ok(Reply::with(409, &body))
}

fn define_one(state: &mut State, body: &Map<String, Value>) -> Result<Value, Problem> {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let wanted = |key: &'static str| text(key).ok_or_else(|| Problem::missing(key, key));
    let subtype = wanted("subtype")?;
    let kind = KINDS.iter().find(|(name, ..)| *name == subtype);
    let (_, kind, target) = kind.ok_or_else(|| Problem::illegal("subtype", "it is no kind of field"))?;
    let entity = wanted("entity_type")?;
    let label = wanted("label")?;
    let name = text("name").map_or_else(|| default_name(label), str::to_owned);
    if !name.ends_with(SUFFIX) || name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        return Err(Problem::illegal("name", "expected letters, digits and _, with _udf at the end"));
    }
    let place = state.schema.entity_named(entity).filter(|(t, _)| open_to_users(state.schema.def(*t)));
    let Some((table, Some(sub))) = place else {
        return Err(Problem::illegal("entity_type", format!("'{entity}' takes no fields of users")));
    };
    let known = state.schema.named(table, &name).map(|n| state.schema.field_def(n));
    if known.is_some_and(|f| f.of & (1 << sub) != 0 || f.kind != *kind) {
        let text = format!("A field '{name}' of '{entity}' already exists");
        return Err(Problem::new(409, "platform.duplicate_entity_error", text).business());
    }
    let mut made = state.schema.draft(table, sub, &name, label, *kind);
    if subtype == "field_metadata_long_string" {
        made.length = Some(LONG_STRING);
    }
    made.multiple =
        body.get("multiple").or(body.get("is_multiple")).and_then(Value::as_bool).unwrap_or(false);
    if *kind == Kind::Reference {
        made.targets = vec![(*target).to_owned()];
        made.target = state.schema.table_of(target);
    } else {
        made.multiple = false;
    }
    if *target == "list_node" {
        let id = body.get("list").and_then(|l| l.get("id")).and_then(Value::as_str);
        let root = id.and_then(|id| state.find_id(state.keys.list, id));
        let parent = state.schema.known("list_node", "list_root");
        let root = root.filter(|r| state.row(*r).is_some_and(|row| row.get(parent).is_none()));
        let root = root.ok_or_else(|| Problem::illegal("list", "expected the root of a list"))?;
        made.list = Some(state.id(root));
    }
    state.schema.define(made);
    state.revision += 1;
    Ok(
        json!({"type": "metadata_field", "id": format!("{entity}.{name}"), "name": name, "entity_type": entity}),
    )
}

fn default_name(label: &str) -> String {
    let words = label.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    format!("{words}{SUFFIX}")
}

/// `PUT metadata_fields/{entity.name}`: the label of a user's field.
pub(super) fn relabel(state: &mut State, call: &Call, id: &str) -> Answer {
    let missing = || Problem::no_entity("metadata_field", id);
    let (entity, name) = id.split_once('.').ok_or_else(missing)?;
    let table = state.schema.table_of(entity).ok_or_else(missing)?;
    let number = state.schema.named(table, name).ok_or_else(missing)?;
    if !state.schema.field_def(number).user_defined {
        return Err(Problem::denied("PUT", &call.path));
    }
    let body = call.json()?;
    for (key, value) in &body {
        match (key.as_str(), value.as_str()) {
            ("label", Some(label)) => label.clone_into(&mut state.schema.fields[usize::from(number)].label),
            ("type" | "id" | "subtype" | "name" | "entity_type", _) => {}
            _ => return Err(Problem::read_only(id, key)),
        }
    }
    state.revision += 1;
    Ok(Reply::ok(json!({"type": "metadata_field", "id": id})))
}
