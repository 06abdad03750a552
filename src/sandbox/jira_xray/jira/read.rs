//! Issues as JSON: which fields, in which shape.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Call;
use crate::sandbox::jira_xray::defaults::CUSTOM_TYPE;
use crate::sandbox::jira_xray::site::{Category, Field, FieldKind, Status};
use crate::sandbox::jira_xray::store::{Attachment, Change, ChangeItem, Comment, Issue, Rich, State};

/// How many entries `expand=changelog` shows: the newest.
const CHANGELOG_EXPANDED: usize = 40;

/// Which fields a client asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    all: bool,
    navigable: bool,
    named: BTreeSet<String>,
    without: BTreeSet<String>,
}

impl Selection {
    /// Reads a list of names, stars and minus signs; an empty list means `default`.
    pub(crate) fn parse(names: &[String], default: &str) -> Self {
        let mut out = Self::default();
        let split = names.iter().flat_map(|n| n.split(',')).map(str::trim);
        let mut names: Vec<&str> = split.filter(|n| !n.is_empty()).collect();
        if names.is_empty() {
            names.push(default);
        }
        let only_minus = names.iter().all(|n| n.starts_with('-'));
        out.all = only_minus;
        for name in names {
            match name {
                "*all" => out.all = true,
                "*navigable" => out.navigable = true,
                "id" | "key" | "*none" => {}
                _ => match name.strip_prefix('-') {
                    Some(rest) => drop(out.without.insert(rest.to_lowercase())),
                    None => drop(out.named.insert(name.to_lowercase())),
                },
            }
        }
        out
    }

    pub(crate) fn holds(&self, field: &Field) -> bool {
        let id = field.id.to_lowercase();
        if self.without.contains(&id) {
            return false;
        }
        self.all || self.named.contains(&id) || (self.navigable && is_navigable(field))
    }

    /// Whether only ids and keys were asked for.
    pub(crate) fn is_bare(&self) -> bool {
        !self.all && !self.navigable && self.named.is_empty()
    }
}

pub(crate) fn is_navigable(field: &Field) -> bool {
    field.kind != FieldKind::Comment
}

/// What a client wants besides fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expand(BTreeSet<String>);

impl Expand {
    pub(crate) fn parse(text: &str) -> Self {
        Self(text.split(',').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// Renders an issue.
pub(crate) fn issue(
    state: &State,
    call: &Call,
    issue: &Issue,
    selection: &Selection,
    expand: &Expand,
    properties: &[String],
) -> Value {
    let mut out = Map::new();
    out.insert(
        "expand".into(),
        json!("renderedFields,names,schema,operations,editmeta,changelog,versionedRepresentations"),
    );
    out.insert("id".into(), json!(issue.id.to_string()));
    out.insert("self".into(), json!(call.link(&format!("issue/{}", issue.id))));
    out.insert("key".into(), json!(state.key_of(issue)));
    let shown: Vec<&Field> = state
        .site
        .fields
        .iter()
        .filter(|f| selection.holds(f) && state.site.field_applies(f, issue.project, issue.kind))
        .collect();
    if !selection.is_bare() {
        let fields: Map<String, Value> =
            shown.iter().map(|f| (f.id.clone(), value(state, call, issue, f))).collect();
        out.insert("fields".into(), Value::Object(fields));
    }
    if expand.has("renderedFields") {
        let html = shown.iter().map(|f| (f.id.clone(), rendered(state, issue, f)));
        out.insert("renderedFields".into(), Value::Object(html.collect()));
    }
    if expand.has("names") {
        out.insert("names".into(), names(&shown));
    }
    if expand.has("schema") {
        out.insert("schema".into(), schemas(&shown));
    }
    if expand.has("transitions") {
        let list = super::workflow::available(state, call, issue, false);
        out.insert("transitions".into(), Value::Array(list));
    }
    if expand.has("editmeta") {
        out.insert("editmeta".into(), super::meta::edit_fields(state, call, issue));
    }
    if expand.has("changelog") {
        out.insert("changelog".into(), expanded_changes(state, call, issue));
    }
    if !properties.is_empty() {
        let all = properties.iter().any(|p| p == "*all");
        let held = issue.properties.iter().filter(|(k, _)| all || properties.contains(k));
        let map: Map<String, Value> = held.map(|(k, v)| (k.clone(), v.clone())).collect();
        out.insert("properties".into(), Value::Object(map));
    }
    Value::Object(out)
}

fn expanded_changes(state: &State, call: &Call, issue: &Issue) -> Value {
    let newest = issue.changes.iter().rev().take(CHANGELOG_EXPANDED);
    let histories: Vec<Value> = newest.map(|c| change(state, call, c)).collect();
    json!({
        "startAt": 0, "maxResults": histories.len(), "total": issue.changes.len(),
        "histories": histories
    })
}

/// Display names by field id.
pub(crate) fn names(fields: &[&Field]) -> Value {
    Value::Object(fields.iter().map(|f| (f.id.clone(), json!(f.name))).collect())
}

/// Types by field id.
pub(crate) fn schemas(fields: &[&Field]) -> Value {
    Value::Object(fields.iter().map(|f| (f.id.clone(), schema(f))).collect())
}

/// The type of a field.
pub(crate) fn schema(field: &Field) -> Value {
    let (kind, items) = match field.kind {
        FieldKind::Text | FieldKind::Rich | FieldKind::Url => ("string", None),
        FieldKind::Number => ("number", None),
        FieldKind::Date => ("date", None),
        FieldKind::DateTime => ("datetime", None),
        FieldKind::Select => ("option", None),
        FieldKind::MultiSelect => ("array", Some("option")),
        FieldKind::Cascade => ("option-with-child", None),
        FieldKind::Labels => ("array", Some("string")),
        FieldKind::User => ("user", None),
        FieldKind::MultiUser => ("array", Some("user")),
        FieldKind::Priority => ("priority", None),
        FieldKind::Resolution => ("resolution", None),
        FieldKind::Components => ("array", Some("component")),
        FieldKind::Versions => ("array", Some("version")),
        FieldKind::Parent => ("issuelink", None),
        FieldKind::IssueType => ("issuetype", None),
        FieldKind::Project => ("project", None),
        FieldKind::Links | FieldKind::ReadOnly if field.id == "subtasks" => ("array", Some("issuelinks")),
        FieldKind::Links => ("array", Some("issuelinks")),
        FieldKind::Comment => ("comments-page", None),
        FieldKind::Attachment => ("array", Some("attachment")),
        FieldKind::ReadOnly => match field.id.as_str() {
            "status" => ("status", None),
            "creator" => ("user", None),
            _ => ("datetime", None),
        },
    };
    let mut out = Map::new();
    out.insert("type".into(), json!(kind));
    if let Some(items) = items {
        out.insert("items".into(), json!(items));
    }
    if field.custom == 0 {
        out.insert("system".into(), json!(field.id));
    } else {
        out.insert("custom".into(), json!(format!("{CUSTOM_TYPE}{}", field.tail)));
        out.insert("customId".into(), json!(field.custom));
    }
    Value::Object(out)
}

fn rendered(state: &State, issue: &Issue, field: &Field) -> Value {
    let html = |rich: &Option<Rich>| match rich {
        Some(rich) => json!(rich.to_html()),
        None => json!(""),
    };
    match field.id.as_str() {
        "description" => html(&issue.description),
        "environment" => html(&issue.environment),
        "comment" => json!({
            "comments": issue.comments.iter().map(|c| json!({"id": c.id.to_string(), "body": c.body.to_html()})).collect::<Vec<_>>()
        }),
        _ if field.kind == FieldKind::Rich => {
            json!(
                issue
                    .custom_value(field.custom)
                    .and_then(stored_rich)
                    .map(|r| r.to_html())
                    .unwrap_or_default()
            )
        }
        _ => {
            let _ = state;
            Value::Null
        }
    }
}

fn stored_rich(value: &Value) -> Option<Rich> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    match text("adf") {
        Some(adf) => Some(Rich::Adf(adf.into())),
        None => text("wiki").map(|w| Rich::Wiki(w.into())),
    }
}

/// Rich text in the notation of the version that asks.
pub(crate) fn rich(call: &Call, rich: Option<&Rich>) -> Value {
    match rich {
        None => Value::Null,
        Some(rich) if call.v3 => rich.to_adf(),
        Some(rich) => json!(rich.to_wiki()),
    }
}

/// The value of one field.
pub(crate) fn value(state: &State, call: &Call, issue: &Issue, field: &Field) -> Value {
    match field.id.as_str() {
        "summary" => json!(issue.summary),
        "description" => rich(call, issue.description.as_ref()),
        "environment" => rich(call, issue.environment.as_ref()),
        "issuetype" => issue_type(state, call, issue.kind),
        "project" => project(state, call, issue.project),
        "status" => status(call, &state.site.statuses[usize::from(issue.status)]),
        "priority" => priority(state, call, issue.priority),
        "resolution" => issue.resolution.map_or(Value::Null, |r| resolution(state, call, r)),
        "resolutiondate" => match issue.resolution {
            Some(_) => json!(call.date(issue.resolved)),
            None => Value::Null,
        },
        "created" => json!(call.date(issue.created)),
        "updated" => json!(call.date(issue.updated)),
        "statuscategorychangedate" => json!(call.date(issue.status_changed)),
        "labels" => json!(issue.labels),
        "components" => listed(state, call, issue, &issue.components, true),
        "fixVersions" => listed(state, call, issue, &issue.fix_versions, false),
        "versions" => listed(state, call, issue, &issue.versions, false),
        "assignee" => issue.assignee.map_or(Value::Null, |u| user(state, call, u)),
        "reporter" => issue.reporter.map_or(Value::Null, |u| user(state, call, u)),
        "creator" => user(state, call, issue.creator),
        "duedate" => json!(issue.due),
        "parent" => match issue.parent.and_then(|p| state.issue(p)) {
            Some(parent) => linked(state, call, parent),
            None => Value::Null,
        },
        "subtasks" => {
            let children = state.children.get(&issue.id).map_or(&[][..], Vec::as_slice);
            let subtask = |i: &&Issue| state.site.types[usize::from(i.kind)].subtask;
            let list = children.iter().filter_map(|c| state.issue(*c)).filter(subtask);
            Value::Array(list.map(|i| linked(state, call, i)).collect())
        }
        "issuelinks" => super::links::of_issue(state, call, issue),
        "attachment" => {
            let held = issue.attachments.iter().filter_map(|a| state.attachments.get(a));
            Value::Array(held.map(|a| attachment(state, call, a)).collect())
        }
        "comment" => comments(state, call, issue),
        _ => issue.custom_value(field.custom).map_or(Value::Null, |v| custom(state, call, field, v)),
    }
}

fn custom(state: &State, call: &Call, field: &Field, value: &Value) -> Value {
    let option = |id: &Value| {
        let id = id.as_str().unwrap_or_default();
        let all = field.contexts.iter().flat_map(|c| c.options.iter());
        let text = all.into_iter().find(|(i, _)| i.to_string() == id).map(|(_, v)| v.clone());
        json!({"self": call.link(&format!("customFieldOption/{id}")), "value": text, "id": id})
    };
    let person = |id: &Value| {
        let index = id.as_str().and_then(|i| state.site.user_index(i));
        index.map_or(Value::Null, |i| user(state, call, i))
    };
    let list =
        |f: &dyn Fn(&Value) -> Value| Value::Array(value.as_array().into_iter().flatten().map(f).collect());
    match field.kind {
        FieldKind::Rich => rich(call, stored_rich(value).as_ref()),
        FieldKind::DateTime => {
            json!(call.date(super::Stamp(value.as_i64().unwrap_or_default())))
        }
        FieldKind::Select | FieldKind::Cascade => option(value),
        FieldKind::MultiSelect => list(&option),
        FieldKind::User => person(value),
        FieldKind::MultiUser => list(&person),
        _ => value.clone(),
    }
}

fn listed(state: &State, call: &Call, issue: &Issue, ids: &[u64], components: bool) -> Value {
    let project = &state.site.projects[usize::from(issue.project)];
    let (list, path) =
        if components { (&project.components, "component") } else { (&project.versions, "version") };
    let of = |id: &u64| {
        let name = list.iter().find(|(i, _)| i == id).map(|(_, n)| n.clone());
        let link = call.link(&format!("{path}/{id}"));
        if components {
            json!({"self": link, "id": id.to_string(), "name": name})
        } else {
            json!({"self": link, "id": id.to_string(), "name": name, "archived": false, "released": false})
        }
    };
    Value::Array(ids.iter().map(of).collect())
}

/// A person, as embedded in other objects.
pub(crate) fn user(state: &State, call: &Call, index: u16) -> Value {
    let user = state.site.user(index);
    let mut out = json!({
        "self": call.link(&format!("user?accountId={}", user.account_id)),
        "accountId": user.account_id, "accountType": "atlassian", "displayName": user.name,
        "active": user.active, "timeZone": user.time_zone
    });
    if user.active {
        out["emailAddress"] = json!(user.email);
    }
    out
}

pub(crate) fn project(state: &State, call: &Call, index: u16) -> Value {
    let project = &state.site.projects[usize::from(index)];
    json!({
        "self": call.link(&format!("project/{}", project.id)), "id": project.id.to_string(),
        "key": project.key, "name": project.name, "projectTypeKey": "software",
        "simplified": false
    })
}

pub(crate) fn issue_type(state: &State, call: &Call, index: u16) -> Value {
    let kind = &state.site.types[usize::from(index)];
    json!({
        "self": call.link(&format!("issuetype/{}", kind.id)), "id": kind.id.to_string(),
        "description": "", "iconUrl": format!("{}/images/icons/issuetypes/{}.svg", call.base, kind.id),
        "name": kind.name, "subtask": kind.subtask, "avatarId": 10300, "hierarchyLevel": kind.level
    })
}

pub(crate) fn category(call: &Call, category: Category) -> Value {
    let (id, key, name, color) = match category {
        Category::ToDo => (2, "new", "To Do", "blue-gray"),
        Category::InProgress => (4, "indeterminate", "In Progress", "yellow"),
        Category::Done => (3, "done", "Done", "green"),
    };
    json!({
        "self": call.link(&format!("statuscategory/{id}")), "id": id, "key": key,
        "colorName": color, "name": name
    })
}

pub(crate) fn status(call: &Call, status: &Status) -> Value {
    json!({
        "self": call.link(&format!("status/{}", status.id)), "description": "",
        "iconUrl": format!("{}/images/icons/statuses/generic.png", call.base),
        "name": status.name, "id": status.id.to_string(),
        "statusCategory": category(call, status.category)
    })
}

pub(crate) fn priority(state: &State, call: &Call, index: u8) -> Value {
    let (id, name) = &state.site.priorities[usize::from(index)];
    json!({
        "self": call.link(&format!("priority/{id}")),
        "iconUrl": format!("{}/images/icons/priorities/{}.svg", call.base, name.to_lowercase()),
        "name": name, "id": id.to_string()
    })
}

pub(crate) fn resolution(state: &State, call: &Call, index: u8) -> Value {
    let (id, name) = &state.site.resolutions[usize::from(index)];
    json!({
        "self": call.link(&format!("resolution/{id}")), "id": id.to_string(), "description": "",
        "name": name
    })
}

/// The short form in which another issue is embedded.
pub(crate) fn linked(state: &State, call: &Call, issue: &Issue) -> Value {
    json!({
        "id": issue.id.to_string(), "key": state.key_of(issue),
        "self": call.link(&format!("issue/{}", issue.id)),
        "fields": {
            "summary": issue.summary,
            "status": status(call, &state.site.statuses[usize::from(issue.status)]),
            "priority": priority(state, call, issue.priority),
            "issuetype": issue_type(state, call, issue.kind)
        }
    })
}

pub(crate) fn attachment(state: &State, call: &Call, file: &Attachment) -> Value {
    json!({
        "self": call.link(&format!("attachment/{}", file.id)), "id": file.id.to_string(),
        "filename": file.name, "author": user(state, call, file.author),
        "created": call.date(file.created), "size": file.data.len(), "mimeType": file.mime,
        "content": call.link(&format!("attachment/content/{}", file.id))
    })
}

pub(crate) fn comment(state: &State, call: &Call, issue: u64, comment: &Comment) -> Value {
    let mut out = json!({
        "self": call.link(&format!("issue/{issue}/comment/{}", comment.id)),
        "id": comment.id.to_string(), "author": user(state, call, comment.author),
        "body": rich(call, Some(&comment.body)), "updateAuthor": user(state, call, comment.editor),
        "created": call.date(comment.created), "updated": call.date(comment.updated),
        "jsdPublic": true
    });
    if let Some(visibility) = &comment.visibility {
        out["visibility"] = visibility.clone();
    }
    out
}

fn comments(state: &State, call: &Call, issue: &Issue) -> Value {
    let list: Vec<Value> = issue.comments.iter().map(|c| comment(state, call, issue.id, c)).collect();
    json!({
        "comments": list, "self": call.link(&format!("issue/{}/comment", issue.id)),
        "maxResults": issue.comments.len(), "total": issue.comments.len(), "startAt": 0
    })
}

/// One entry of the changelog.
pub(crate) fn change(state: &State, call: &Call, entry: &Change) -> Value {
    json!({
        "id": entry.id.to_string(), "author": user(state, call, entry.author),
        "created": call.date(entry.at),
        "items": entry.items.iter().map(|i| change_item(state, i)).collect::<Vec<_>>()
    })
}

pub(crate) fn change_item(state: &State, item: &ChangeItem) -> Value {
    let field = state.site.field(&item.field);
    let custom = field.is_some_and(|f| f.custom != 0);
    let name = if custom { field.map_or("", |f| f.name.as_str()) } else { item.field.as_ref() };
    let mut out = Map::new();
    out.insert("field".into(), json!(name));
    out.insert("fieldtype".into(), json!(if custom { "custom" } else { "jira" }));
    out.insert("fieldId".into(), json!(item.field));
    for (key, value) in
        [("from", &item.from), ("fromString", &item.from_text), ("to", &item.to), ("toString", &item.to_text)]
    {
        out.insert(key.into(), json!(value));
    }
    Value::Object(out)
}
