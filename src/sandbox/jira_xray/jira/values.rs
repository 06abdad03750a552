//! Writing values into fields: what each type accepts and what it says when it does not.

use serde_json::{Value, json};

use super::adf;
use crate::sandbox::jira_xray::site::{Field, FieldKind};
use crate::sandbox::jira_xray::store::{Issue, Rich, State};
use crate::sandbox::jira_xray::time::{parse_date, parse_instant};

/// Longest rich text, measured on the stored form.
pub(crate) const RICH_MAX: usize = 32_767;
/// Longest single-line text, summaries and labels included.
pub(crate) const LINE_MAX: usize = 255;

const RICH_TOO_LONG: &str =
    "The entered text is too long. It exceeds the allowed limit of 32,767 characters.";
const LINE_TOO_LONG: &str = "The entered text is too long. It exceeds the allowed limit of 255 characters.";
const NOT_A_DOCUMENT: &str =
    "Operation value must be an Atlassian Document (see the Atlassian Document Format)";
/// What Jira says of a document that breaks the grammar.
const BAD_DOCUMENT: &str = "INVALID_INPUT";
const NOT_A_STRING: &str = "Operation value must be a string";

/// Reads rich text of version 3 (a document) or 2 (wiki markup).
pub(crate) fn rich(value: &Value, v3: bool) -> Result<Option<Rich>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let rich = if v3 {
        if !value.is_object() {
            return Err(NOT_A_DOCUMENT.to_owned());
        }
        if value.get("type").and_then(Value::as_str) != Some("doc") {
            return Err(NOT_A_DOCUMENT.to_owned());
        }
        adf::check(value).map_err(|_| BAD_DOCUMENT.to_owned())?;
        if adf::is_empty(value) {
            return Ok(None);
        }
        Rich::Adf(value.to_string().into())
    } else {
        let text = value.as_str().ok_or(NOT_A_STRING)?;
        if text.is_empty() {
            return Ok(None);
        }
        Rich::Wiki(text.into())
    };
    let (Rich::Adf(text) | Rich::Wiki(text)) = &rich;
    if text.chars().count() > RICH_MAX {
        return Err(RICH_TOO_LONG.to_owned());
    }
    Ok(Some(rich))
}

/// Writes one value into an issue that is not stored yet.
pub(crate) fn set(
    state: &State,
    issue: &mut Issue,
    field: &Field,
    value: &Value,
    v3: bool,
) -> Result<(), String> {
    match field.id.as_str() {
        "summary" => issue.summary = summary(value)?,
        "description" => issue.description = rich(value, v3)?,
        "environment" => issue.environment = rich(value, v3)?,
        "priority" => issue.priority = priority(state, value)?,
        "resolution" => issue.resolution = resolution(state, value)?,
        "labels" => issue.labels = labels(value)?,
        "components" => issue.components = listed(state, issue, value, true)?,
        "fixVersions" => issue.fix_versions = listed(state, issue, value, false)?,
        "versions" => issue.versions = listed(state, issue, value, false)?,
        "assignee" => issue.assignee = assignee(state, issue, value)?,
        "reporter" => issue.reporter = user(state, value)?,
        "parent" => issue.parent = parent(state, issue, value)?,
        "duedate" => issue.due = date(value)?.map(Into::into),
        "issuetype" => same(state.site.types[usize::from(issue.kind)].id, value, || {
            state.site.type_index(name_of(value)) == Some(issue.kind)
        })?,
        "project" => {
            let project = &state.site.projects[usize::from(issue.project)];
            same(project.id, value, || {
                value.get("key").and_then(Value::as_str) == Some(project.key.as_str())
            })?;
        }
        _ if field.custom != 0 => {
            let stored = custom(state, field, value, v3)?;
            issue.set_custom(field.custom, stored);
        }
        _ => return Err(not_on_screen(&field.id)),
    }
    Ok(())
}

/// What Jira says of a field that may not be set here.
pub(crate) fn not_on_screen(field: &str) -> String {
    format!("Field '{field}' cannot be set. It is not on the appropriate screen, or unknown.")
}

fn name_of(value: &Value) -> &str {
    value.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn same(id: u64, value: &Value, by_name: impl Fn() -> bool) -> Result<(), String> {
    if id_of(value) == Some(id) || by_name() {
        Ok(())
    } else {
        Err("Changing it here is not possible; move the issue.".to_owned())
    }
}

/// Reads `{"id": ..}` as a number.
pub(crate) fn id_of(value: &Value) -> Option<u64> {
    let id = value.get("id")?;
    id.as_u64().or_else(|| id.as_str()?.parse().ok())
}

fn summary(value: &Value) -> Result<Box<str>, String> {
    let text = match value {
        Value::Null => "",
        Value::String(text) => text,
        _ => return Err(NOT_A_STRING.to_owned()),
    };
    if text.trim().is_empty() {
        return Err("You must specify a summary of the issue.".to_owned());
    }
    if text.contains(['\n', '\r']) {
        return Err("The summary is invalid because it contains newline characters.".to_owned());
    }
    if text.chars().count() > LINE_MAX {
        return Err("Summary can't exceed 255 characters.".to_owned());
    }
    Ok(text.into())
}

fn pick<'a>(mut list: impl Iterator<Item = &'a (u64, String)>, value: &Value, key: &str) -> Option<usize> {
    let id = id_of(value);
    let name = value.get(key).and_then(Value::as_str);
    list.position(|(i, n)| match id {
        Some(id) => *i == id,
        None => name.is_some_and(|name| n.eq_ignore_ascii_case(name)),
    })
}

fn priority(state: &State, value: &Value) -> Result<u8, String> {
    if value.is_null() {
        return Err("Priority is required.".to_owned());
    }
    let at = pick(state.site.priorities.iter(), value, "name");
    at.and_then(|a| u8::try_from(a).ok()).ok_or_else(|| match value.get("name").and_then(Value::as_str) {
        Some(name) => format!("Priority name '{name}' is not valid"),
        None => "The priority selected is invalid.".to_owned(),
    })
}

/// Reads a resolution; `null` clears it.
pub(crate) fn resolution(state: &State, value: &Value) -> Result<Option<u8>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let at = pick(state.site.resolutions.iter(), value, "name");
    at.and_then(|a| u8::try_from(a).ok())
        .map(Some)
        .ok_or_else(|| format!("Resolution with name '{}' is not valid", name_of(value)))
}

/// Checks one label.
pub(crate) fn label(value: &Value) -> Result<Box<str>, String> {
    let text = value.as_str().ok_or(NOT_A_STRING)?;
    if text.contains(char::is_whitespace) {
        return Err(format!("The label '{text}' contains spaces which is invalid."));
    }
    if text.is_empty() || text.chars().count() > LINE_MAX {
        return Err(format!("The label '{text}' exceeds the allowed limit of 255 characters."));
    }
    Ok(text.into())
}

fn labels(value: &Value) -> Result<Vec<Box<str>>, String> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    let mut out: Vec<Box<str>> = Vec::new();
    for entry in value.as_array().ok_or("data was not an array")? {
        let label = label(entry)?;
        if !out.contains(&label) {
            out.push(label);
        }
    }
    Ok(out)
}

/// Finds a component or version of the issue's project.
pub(crate) fn listed_one(
    state: &State,
    issue: &Issue,
    value: &Value,
    components: bool,
) -> Result<u64, String> {
    let project = &state.site.projects[usize::from(issue.project)];
    let list = if components { &project.components } else { &project.versions };
    pick(list.iter(), value, "name").map(|at| list[at].0).ok_or_else(|| {
        let what = if components { "Component" } else { "Version" };
        format!("{what} name '{}' is not valid", name_of(value))
    })
}

fn listed(state: &State, issue: &Issue, value: &Value, components: bool) -> Result<Vec<u64>, String> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    let list = value.as_array().ok_or("data was not an array")?;
    list.iter().map(|v| listed_one(state, issue, v, components)).collect()
}

fn user(state: &State, value: &Value) -> Result<Option<u16>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let id = value.get("accountId").or_else(|| value.get("id"));
    let Some(id) = id.and_then(Value::as_str) else {
        return match id {
            Some(Value::Null) => Ok(None),
            _ => Err("expected 'accountId' property to be a string".to_owned()),
        };
    };
    match state.site.user_index(id) {
        Some(index) => Ok(Some(index)),
        None => Err(format!("User '{id}' does not exist.")),
    }
}

/// Reads an assignee: `null` is nobody, `-1` the project's default.
pub(crate) fn assignee(state: &State, issue: &Issue, value: &Value) -> Result<Option<u16>, String> {
    if value.get("accountId").and_then(Value::as_str) == Some("-1") {
        return Ok(Some(state.site.projects[usize::from(issue.project)].lead));
    }
    let found = user(state, value)?;
    match found.map(|u| state.site.user(u)) {
        Some(user) if !user.active => Err(format!("User '{}' cannot be assigned issues.", user.account_id)),
        _ => Ok(found),
    }
}

fn parent(state: &State, issue: &Issue, value: &Value) -> Result<Option<u64>, String> {
    let none = value.get("none").and_then(Value::as_bool).unwrap_or_default();
    if value.is_null() || none {
        return Ok(None);
    }
    let text = value
        .get("key")
        .or_else(|| value.get("id"))
        .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
        .unwrap_or_default();
    let parent = state.find_issue(&text).ok_or_else(|| "Could not find issue by id or key.".to_owned())?;
    let level = |kind: u16| state.site.types[usize::from(kind)].level;
    if level(parent.kind) != level(issue.kind) + 1 || parent.id == issue.id {
        return Err("Given parent work item does not belong to appropriate hierarchy.".to_owned());
    }
    if level(issue.kind) < 0 && parent.project != issue.project {
        return Err("The parent is not in the same project.".to_owned());
    }
    Ok(Some(parent.id))
}

fn date(value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) if parse_date(text).is_some() => Ok(Some(text.clone())),
        _ => Err("Error parsing date string: the format must be 'yyyy-MM-dd'".to_owned()),
    }
}

fn options(field: &Field) -> impl Iterator<Item = &(u64, String)> {
    field.contexts.iter().flat_map(|c| c.options.iter())
}

fn option(field: &Field, value: &Value) -> Result<Value, String> {
    let at = pick(options(field), value, "value");
    let found = at.and_then(|a| options(field).nth(a));
    found.map(|(id, _)| json!(id.to_string())).ok_or_else(|| {
        let shown = value.get("value").and_then(Value::as_str).unwrap_or_default();
        format!("Option value '{shown}' is not valid")
    })
}

/// Turns a custom field's value into its stored form; `None` is empty.
fn custom(state: &State, field: &Field, value: &Value, v3: bool) -> Result<Option<Value>, String> {
    let empty_list = value.as_array().is_some_and(Vec::is_empty);
    if value.is_null() || empty_list || value.as_str() == Some("") {
        return Ok(None);
    }
    let stored = match field.kind {
        FieldKind::Text | FieldKind::Url => {
            let text = value.as_str().ok_or(NOT_A_STRING)?;
            if text.chars().count() > LINE_MAX {
                return Err(LINE_TOO_LONG.to_owned());
            }
            if field.kind == FieldKind::Url && !is_url(text) {
                return Err("Please enter a valid URL".to_owned());
            }
            json!(text)
        }
        FieldKind::Rich => match rich(value, v3)? {
            None => return Ok(None),
            Some(Rich::Adf(text)) => json!({"adf": text}),
            Some(Rich::Wiki(text)) => json!({"wiki": text}),
        },
        FieldKind::Number if value.is_number() => value.clone(),
        FieldKind::Number => return Err("Operation value must be a number".to_owned()),
        FieldKind::Date => return Ok(date(value)?.map(Value::from)),
        FieldKind::DateTime => match value.as_str().and_then(parse_instant) {
            Some(at) => json!(at.0),
            None => return Err("Error parsing time".to_owned()),
        },
        FieldKind::Select | FieldKind::Cascade => option(field, value)?,
        FieldKind::MultiSelect => {
            let list = value.as_array().ok_or("data was not an array")?;
            Value::Array(list.iter().map(|v| option(field, v)).collect::<Result<_, _>>()?)
        }
        FieldKind::Labels => json!(labels(value)?),
        FieldKind::User => match user(state, value)? {
            Some(index) => json!(state.site.user(index).account_id),
            None => return Ok(None),
        },
        FieldKind::MultiUser => {
            let list = value.as_array().ok_or("data was not an array")?;
            let found = list.iter().map(|v| user(state, v)).collect::<Result<Vec<_>, _>>()?;
            let ids = found.into_iter().flatten().map(|u| state.site.user(u).account_id.clone());
            json!(ids.collect::<Vec<_>>())
        }
        _ => return Err(not_on_screen(&field.id)),
    };
    Ok(Some(stored))
}

fn is_url(text: &str) -> bool {
    url::Url::parse(text).is_ok()
}

/// The kind of a custom field by the last part of its type.
pub(crate) fn kind_of_tail(tail: &str) -> Option<FieldKind> {
    Some(match tail {
        "textfield" | "readonlyfield" => FieldKind::Text,
        "textarea" => FieldKind::Rich,
        "url" => FieldKind::Url,
        "float" => FieldKind::Number,
        "datepicker" => FieldKind::Date,
        "datetime" => FieldKind::DateTime,
        "select" | "radiobuttons" => FieldKind::Select,
        "multiselect" | "multicheckboxes" => FieldKind::MultiSelect,
        "cascadingselect" => FieldKind::Cascade,
        "labels" => FieldKind::Labels,
        "userpicker" => FieldKind::User,
        "multiuserpicker" => FieldKind::MultiUser,
        _ => return None,
    })
}
