//! Field values: Jira's JSON to the text that native tables hold, and back.

use serde_json::{Value, json};

use super::wire::{FieldDef, instant, plain, rfc3339};
use crate::model::{Notation, WriteValue};
use crate::text;

/// The endpoint that a value is sent to decides on the form of formatted text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Jira's REST API version 3 takes documents.
    Document,
    /// Xray's own endpoints take wiki markup.
    Wiki,
}

/// Fields that Jira names by id in lower case although people know them otherwise.
const SYSTEM_NAMES: [(&str, &str); 9] = [
    ("Summary", "summary"),
    ("Description", "description"),
    ("Priority", "priority"),
    ("Labels", "labels"),
    ("Assignee", "assignee"),
    ("Reporter", "reporter"),
    ("Components", "components"),
    ("Fix versions", "fixVersions"),
    ("Due date", "duedate"),
];

/// The fields of a site, found by id and by display name.
#[derive(Debug, Default)]
pub(super) struct Fields {
    list: Vec<FieldDef>,
}

impl Fields {
    /// Orders the fields so that the first of a name is the one meant: system
    /// fields before custom ones, older custom fields before newer.
    pub(super) fn new(mut list: Vec<FieldDef>) -> Self {
        let number = |f: &FieldDef| f.id.rsplit('_').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        list.sort_by_key(|f| (f.custom, number(f)));
        Self { list }
    }

    /// Lists the custom fields.
    pub(super) fn custom(&self) -> impl Iterator<Item = &FieldDef> {
        self.list.iter().filter(|f| f.custom)
    }

    /// Finds a field by the name that people see, or by id.
    pub(super) fn by_name(&self, name: &str) -> Option<&FieldDef> {
        let system = SYSTEM_NAMES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, id)| *id);
        self.list
            .iter()
            .find(|f| system.is_some_and(|id| f.id == id))
            .or_else(|| self.list.iter().find(|f| f.name == name))
            .or_else(|| self.list.iter().find(|f| f.name.eq_ignore_ascii_case(name) || f.id == name))
    }

    /// Returns the name under which a custom field stands in native tables: its
    /// own, or with its id where an earlier field has the same name.
    pub(super) fn name_of<'a>(&self, field: &'a FieldDef) -> std::borrow::Cow<'a, str> {
        match self.list.iter().find(|f| f.name == field.name) {
            Some(first) if first.id != field.id => format!("{} ({})", field.name, field.id).into(),
            _ => field.name.as_str().into(),
        }
    }
}

/// Turns a value of Jira into the text of a native field; empty values are `None`.
pub(super) fn to_text(field: Option<&FieldDef>, value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => {
            let kind = field.and_then(|f| f.schema.as_ref()).map(|s| s.kind.as_str()).unwrap_or_default();
            match instant(text) {
                Some(at) if kind == "datetime" => Some(rfc3339(at)),
                _ => Some(text.clone()).filter(|t| !t.is_empty()),
            }
        }
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().filter_map(|v| to_text(None, v)).collect();
            (!texts.is_empty()).then(|| texts.join(", "))
        }
        Value::Object(members) => {
            if members.get("type").and_then(Value::as_str) == Some("doc") {
                let empty = members.get("content").and_then(Value::as_array).is_none_or(Vec::is_empty);
                return (!empty).then(|| value.to_string());
            }
            let name =
                ["value", "name", "displayName", "accountId", "key"].iter().find_map(|n| members.get(*n));
            let child = members.get("child").and_then(|c| to_text(None, c));
            match (name.and_then(Value::as_str), child) {
                (Some(parent), Some(child)) => Some(format!("{parent} > {child}")),
                (Some(name), None) => Some(name.to_owned()),
                _ => Some(value.to_string()),
            }
        }
    }
}

/// Turns a value of the model into what Jira takes for this field.
pub(super) fn to_json(field: &FieldDef, value: &WriteValue, form: Form) -> Result<Value, String> {
    let list = field.schema.as_ref().is_some_and(|s| s.kind == "array");
    match value {
        WriteValue::Empty => Ok(if list { json!([]) } else { Value::Null }),
        WriteValue::Rich(adf) => formatted(adf, form),
        WriteValue::Text(text) if field.custom => custom(field, text, form),
        WriteValue::Text(text) => Ok(system(field, text, form)?),
        WriteValue::Steps(_) | WriteValue::Transitions(_) => {
            Err(format!("{} takes neither steps nor transitions", field.name))
        }
    }
}

fn formatted(adf: &str, form: Form) -> Result<Value, String> {
    match form {
        _ if adf.trim().is_empty() => Ok(Value::Null),
        Form::Wiki => Ok(text::convert(Notation::Adf, Notation::Wiki, adf).text.into()),
        Form::Document => serde_json::from_str(adf).map_err(|e| format!("not a document: {e}")),
    }
}

/// Makes formatted text of plain text.
fn document(text: &str, form: Form) -> Result<Value, String> {
    match form {
        Form::Wiki => Ok(text::convert(Notation::Plain, Notation::Wiki, text).text.into()),
        Form::Document => formatted(&text::convert(Notation::Plain, Notation::Adf, text).text, form),
    }
}

fn system(field: &FieldDef, text: &str, form: Form) -> Result<Value, String> {
    Ok(match field.id.as_str() {
        "description" | "environment" => document(text, form)?,
        "labels" => words(text).into(),
        "components" | "fixVersions" | "versions" => {
            listed(text).map(|name| json!({ "name": name })).collect::<Vec<_>>().into()
        }
        "priority" | "resolution" | "security" => json!({ "name": text }),
        "assignee" | "reporter" => json!({ "accountId": text }),
        "parent" => json!({ "id": text }),
        _ => text.into(),
    })
}

fn custom(field: &FieldDef, text: &str, form: Form) -> Result<Value, String> {
    Ok(match field.custom_kind() {
        "textarea" => document(text, form)?,
        "float" => json!(text.trim().parse::<f64>().map_err(|_| format!("{text:?} is not a number"))?),
        "select" | "radiobuttons" => json!({ "value": text }),
        "multiselect" | "multicheckboxes" => {
            listed(text).map(|value| json!({ "value": value })).collect::<Vec<_>>().into()
        }
        "cascadingselect" => match text.split_once(" > ") {
            Some((value, child)) => json!({ "value": value, "child": { "value": child } }),
            None => json!({ "value": text }),
        },
        "labels" => words(text).into(),
        "userpicker" => json!({ "accountId": text }),
        "multiuserpicker" => listed(text).map(|id| json!({ "accountId": id })).collect::<Vec<_>>().into(),
        "grouppicker" | "version" => json!({ "name": text }),
        "multiversion" | "multigrouppicker" => {
            listed(text).map(|name| json!({ "name": name })).collect::<Vec<_>>().into()
        }
        _ => text.into(),
    })
}

fn words(text: &str) -> Vec<&str> {
    text.split([',', ' ']).filter(|w| !w.is_empty()).collect()
}

fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|w| !w.is_empty())
}

/// Lists the texts of a field's allowed values.
pub(super) fn allowed(values: &[Value]) -> Vec<String> {
    values.iter().map(|v| to_text(None, v).unwrap_or_else(|| plain(v))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(id: &str, kind: &str, custom: &str) -> FieldDef {
        serde_json::from_value(json!({ "id": id, "name": id, "custom": !custom.is_empty(),
            "schema": { "type": kind, "custom": format!("com.atlassian.jira.plugin.system.customfieldtypes:{custom}") } }))
        .expect("a field")
    }

    #[test]
    fn values_are_read_by_their_shape() {
        assert_eq!(to_text(None, &json!({"id": "3", "name": "Medium"})).as_deref(), Some("Medium"));
        assert_eq!(
            to_text(None, &json!({"value": "A", "child": {"value": "A1"}})).as_deref(),
            Some("A > A1")
        );
        assert_eq!(to_text(None, &json!(["a", "b"])).as_deref(), Some("a, b"));
        assert_eq!(to_text(None, &json!([])), None);
        assert_eq!(to_text(None, &json!({"type": "doc", "version": 1, "content": []})), None);
        let at = field("customfield_1", "datetime", "datetime");
        assert_eq!(
            to_text(Some(&at), &json!("2026-05-01T10:00:00.000+0100")).as_deref(),
            Some("2026-05-01T09:00:00.000Z")
        );
    }

    #[test]
    fn values_are_written_by_the_type_of_their_field() {
        let write = |f: &FieldDef, text: &str| to_json(f, &WriteValue::Text(text.into()), Form::Document);
        assert_eq!(write(&field("priority", "priority", ""), "High"), Ok(json!({"name": "High"})));
        assert_eq!(write(&field("labels", "array", ""), "a, b c"), Ok(json!(["a", "b", "c"])));
        assert_eq!(write(&field("customfield_2", "option", "select"), "A"), Ok(json!({"value": "A"})));
        assert_eq!(write(&field("customfield_3", "string", "textfield"), "4711"), Ok(json!("4711")));
        assert!(write(&field("customfield_4", "number", "float"), "x").is_err());
        assert_eq!(to_json(&field("labels", "array", ""), &WriteValue::Empty, Form::Wiki), Ok(json!([])));
    }

    #[test]
    fn first_field_of_a_name_keeps_it() {
        let mut twin = field("customfield_20", "string", "textfield");
        twin.name = "customfield_9".into();
        let fields = Fields::new(vec![twin, field("customfield_9", "string", "textfield")]);
        let names: Vec<String> = fields.custom().map(|f| fields.name_of(f).into_owned()).collect();
        assert_eq!(names, ["customfield_9", "customfield_9 (customfield_20)"]);
    }
}
