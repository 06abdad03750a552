//! Rows as JSON: which fields come, and how references look.

use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::schema::{Field, Kind, Source};
use super::store::State;
use super::value::{Ref, Row, Val, print_time};

/// A list of fields, as the argument `fields` gives it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct View(Vec<(String, Option<View>)>);

/// The deepest braces that are read.
const DEEPEST: usize = 6;

impl View {
    /// Reads `name,test{id,name,subtype},owner{full_name}`.
    pub(super) fn parse(text: &str) -> Result<View, Problem> {
        let mut rest = text.trim();
        let view = parse(&mut rest, 0)?;
        if rest.is_empty() { Ok(view) } else { Err(wrong(rest)) }
    }

    /// Checks that a table has the fields, and so on into the braces.
    pub(super) fn check(&self, state: &State, table: u8, sub: Option<u8>) -> Result<(), Problem> {
        let schema = &state.schema;
        for (name, inner) in &self.0 {
            let def = schema.def(table);
            let entity = sub.map_or(def.name.as_str(), |s| schema.entity_name(table, s));
            let unknown = || Problem::unknown_field(entity, name);
            let field = schema.field_def(schema.named(table, name).ok_or_else(unknown)?);
            if sub.is_some_and(|s| field.of & (1 << s) == 0) {
                return Err(unknown());
            }
            if let Some(inner) = inner {
                let target = field.target.ok_or_else(|| wrong(name))?;
                inner.check(state, target, None)?;
            }
        }
        Ok(())
    }
}

fn wrong(at: &str) -> Problem {
    Problem::malformed(format!("The argument 'fields' cannot be read at '{at}'"))
}

fn parse(rest: &mut &str, depth: usize) -> Result<View, Problem> {
    let mut view = View::default();
    if depth > DEEPEST {
        return Err(wrong(rest));
    }
    loop {
        let text = rest.trim_start();
        let end = text.find([',', '{', '}']).unwrap_or(text.len());
        let name = text[..end].trim();
        *rest = &text[end..];
        let mut inner = None;
        if let Some(inside) = rest.strip_prefix('{') {
            *rest = inside;
            inner = Some(parse(rest, depth + 1)?);
            *rest = rest.strip_prefix('}').ok_or_else(|| wrong(rest))?.trim_start();
        }
        if name.is_empty() {
            // A trailing comma is nothing to stumble over.
            if inner.is_some() {
                return Err(wrong(rest));
            }
        } else {
            view.0.push((name.to_owned(), inner));
        }
        match rest.strip_prefix(',') {
            Some(more) => *rest = more,
            None => return Ok(view),
        }
    }
}

/// A row as JSON. `aggregate`: as a member of its table's common collection.
pub(super) fn entity(state: &State, at: Ref, row: &Row, view: Option<&View>, aggregate: bool) -> Value {
    let schema = &state.schema;
    let def = schema.def(at.0);
    let mut out = Map::new();
    let kind = if aggregate { def.name.as_str() } else { schema.entity_name(at.0, row.sub) };
    out.insert("type".to_owned(), json!(kind));
    let mut add = |field: &Field, number: u16, inner: Option<&View>| {
        let inside = match field.source {
            Source::Type => return,
            Source::Subtype => aggregate.then(|| json!(schema.entity_name(at.0, row.sub))),
            _ if field.of & (1 << row.sub) == 0 => None,
            _ => Some(value(state, field, state.value(at, row, number).as_deref(), inner)),
        };
        if let Some(inside) = inside {
            out.insert(field.name.clone(), inside);
        }
    };
    match view {
        None => schema.fields_of(at.0, None).filter(|(_, f)| f.default).for_each(|(n, f)| add(f, n, None)),
        Some(view) => {
            for (name, inner) in &view.0 {
                if let Some(number) = schema.named(at.0, name) {
                    add(schema.field_def(number), number, inner.as_ref());
                }
            }
        }
    }
    out.insert("id".to_owned(), json!(state.id(at)));
    Value::Object(out)
}

fn value(state: &State, field: &Field, value: Option<&Val>, inner: Option<&View>) -> Value {
    if field.multiple {
        let refs = value.map_or(&[][..], Val::refs);
        let data: Vec<Value> =
            refs.iter().filter(|r| state.exists(**r)).map(|r| reference(state, field, *r, inner)).collect();
        return collection(data.len(), data);
    }
    match value {
        None if field.kind == Kind::Boolean => json!(false),
        None => Value::Null,
        Some(Val::Bool(b)) => json!(b),
        Some(Val::Int(n)) => json!(n),
        Some(Val::Float(n)) => json!(n),
        Some(Val::Text(text)) => json!(text),
        Some(Val::Date(at)) => json!(print_time(*at)),
        Some(Val::Ref(target)) if state.exists(*target) => reference(state, field, *target, inner),
        Some(_) => Value::Null,
    }
}

/// A reference: type and id, with the name along, or with what the braces ask for.
fn reference(state: &State, field: &Field, target: Ref, inner: Option<&View>) -> Value {
    let def = state.schema.def(target.0);
    let aggregate = field.targets.contains(&def.name);
    let Some(row) = state.row(target) else { return Value::Null };
    if inner.is_some() {
        return entity(state, target, &row, inner, aggregate && def.aggregate);
    }
    let kind = if aggregate { def.name.as_str() } else { state.schema.entity_name(target.0, row.sub) };
    let mut out = json!({"type": kind, "id": state.id(target)});
    for name in ["name", "logical_name"] {
        if let Some(number) = state.schema.named(target.0, name)
            && let Some(Val::Text(text)) = row.get(number)
        {
            out[name] = json!(text);
        }
    }
    out
}

/// The envelope of collections.
pub(super) fn collection(total: usize, data: Vec<Value>) -> Value {
    json!({"total_count": total, "data": data, "exceeds_total_count": false})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_select_fields_of_references() {
        let view = View::parse("name, test{id,owner{full_name}},phase").unwrap();
        assert_eq!(view.0.len(), 3);
        let inner = view.0[1].1.as_ref().unwrap();
        assert_eq!(inner.0[1].0, "owner");
        assert!(View::parse("name,test{id").is_err());
        assert!(View::parse("name}").is_err());
    }
}
