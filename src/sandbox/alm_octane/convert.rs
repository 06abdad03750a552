//! JSON values of a body as values of fields.

use serde_json::Value;

use super::problem::Problem;
use super::schema::{Field, Kind};
use super::store::State;
use super::value::{Ref, Val, parse_time};

/// Understands a value; none clears the field.
pub(super) fn value(state: &State, field: &Field, value: &Value) -> Result<Option<Val>, Problem> {
    let wrong = |expected: &str| Problem::illegal(&field.name, format!("expected {expected}"));
    if value.is_null() {
        return Ok(None);
    }
    let made = match field.kind {
        Kind::String => {
            let text = value.as_str().ok_or_else(|| wrong("a string"))?;
            let limit = field.length.unwrap_or(255);
            if text.chars().count() > limit {
                return Err(Problem::illegal(&field.name, format!("it is longer than {limit} characters")));
            }
            if text.contains(['\n', '\r']) {
                return Err(wrong("one line"));
            }
            (!text.trim().is_empty()).then(|| Val::text(text))
        }
        Kind::Memo => {
            let text = value.as_str().ok_or_else(|| wrong("a string"))?;
            (!text.trim().is_empty()).then(|| Val::text(document(text)))
        }
        Kind::Integer => Some(Val::Int(value.as_i64().ok_or_else(|| wrong("an integer"))?)),
        Kind::Boolean => Some(Val::Bool(value.as_bool().ok_or_else(|| wrong("true or false"))?)),
        Kind::DateTime => {
            let at = value.as_str().and_then(parse_time);
            Some(Val::Date(at.ok_or_else(|| wrong("a date and time in ISO 8601"))?))
        }
        Kind::Reference if field.multiple => {
            let list = value.get("data").and_then(Value::as_array);
            let list = list.ok_or_else(|| wrong("{\"data\":[{\"type\":..,\"id\":..}]}"))?;
            let mut refs: Vec<Ref> = Vec::new();
            for one in list {
                let one = reference(state, field, one)?;
                if !refs.contains(&one) {
                    refs.push(one);
                }
            }
            Some(Val::Refs(refs.into()))
        }
        Kind::Reference => Some(Val::Ref(reference(state, field, value)?)),
    };
    Ok(made)
}

fn reference(state: &State, field: &Field, value: &Value) -> Result<Ref, Problem> {
    let wrong = |why: String| Problem::illegal(&field.name, why);
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let number = value.get("id").and_then(Value::as_u64).map(|n| n.to_string());
    let id = text("id").map(str::to_owned).or(number);
    let (Some(kind), Some(id)) = (text("type"), id) else {
        return Err(wrong("a reference needs 'type' and 'id'".to_owned()));
    };
    let target = field.target.unwrap_or_default();
    let named = state.schema.entity_named(kind).filter(|(table, _)| *table == target);
    let (table, sub) =
        named.ok_or_else(|| wrong(format!("it does not refer to entities of type '{kind}'")))?;
    let missing = || wrong(format!("there is no entity of type '{kind}' with id '{id}'"));
    let at = state.find_id(table, &id).ok_or_else(missing)?;
    let row = state.row(at).ok_or_else(missing)?;
    let entity = state.schema.entity_name(table, row.sub);
    let aggregate = &state.schema.def(table).name;
    if sub.is_some_and(|s| s != row.sub) {
        return Err(missing());
    }
    if !field.targets.iter().any(|t| t == entity || t == aggregate) {
        return Err(wrong(format!("it does not refer to entities of type '{entity}'")));
    }
    if let Some(list) = &field.list {
        let root = row.one(state.schema.known("list_node", "list_root"));
        if root.map(|r| state.id(r)).as_ref() != Some(list) {
            return Err(wrong(format!("'{id}' is no item of the list '{list}'")));
        }
    }
    Ok(at)
}

/// A memo as it is kept: a document, without scripts.
pub(super) fn document(text: &str) -> String {
    let safe = without_scripts(text);
    let lower = safe.trim_start().to_ascii_lowercase();
    if lower.starts_with("<html") { safe } else { format!("<html><body>\n{safe}\n</body></html>") }
}

fn without_scripts(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        // ASCII folding keeps every position.
        let lower = rest.to_ascii_lowercase();
        let Some(start) = lower.find("<script") else { break };
        out.push_str(&rest[..start]);
        let end = lower[start..].find("</script>").map(|e| start + e + "</script>".len());
        rest = &rest[end.unwrap_or(rest.len())..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memos_become_documents_without_scripts() {
        assert_eq!(document("<html><body>a</body></html>"), "<html><body>a</body></html>");
        assert_eq!(document("a<SCRIPT>x</script>b"), "<html><body>\nab\n</body></html>");
    }
}
