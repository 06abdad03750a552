//! Creating and editing issues: screens, required fields, operations and the changelog.

use serde_json::{Map, Value, json};

use super::values::{self, not_on_screen};
use super::{Call, workflow};
use crate::sandbox::jira_xray::reply::Problem;
use crate::sandbox::jira_xray::site::{Field, FieldKind, Screen};
use crate::sandbox::jira_xray::store::{Change, ChangeItem, Comment, Issue, Rich, State};

/// Longest value of an issue property, as JSON text.
const PROPERTY_MAX: usize = 32_768;

/// What an edit does besides changing fields.
#[derive(Debug, Default)]
struct Extras {
    comments: Vec<(Rich, Option<Value>)>,
    /// Link type, source and target; `None` stands for the issue itself.
    links: Vec<(u16, Option<u64>, Option<u64>)>,
}

/// A new issue.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) id: u64,
    pub(crate) key: String,
    /// The outcome of the transition that was asked for.
    pub(crate) transition: Option<Value>,
}

/// Creates an issue from the body of Jira's create call. `kind` overrides the
/// issue type, for the products that imply it.
pub(crate) fn create(
    state: &mut State,
    call: &Call,
    body: &Value,
    kind: Option<u16>,
) -> Result<Created, Problem> {
    let fields = object(body, "fields")?;
    let update = object(body, "update")?;
    let mut draft = blank(state, call, &fields, kind)?;
    let screen = state
        .site
        .screen(draft.project, draft.kind)
        .cloned()
        .ok_or_else(|| Problem::field("issuetype", "The issue type selected is invalid."))?;
    let mut errors = Map::new();
    if !fields.contains_key("summary") {
        errors.insert("summary".into(), json!("You must specify a summary of the issue."));
    }
    let subtask = state.site.types[usize::from(draft.kind)].subtask;
    if subtask && !fields.contains_key("parent") {
        errors.insert(
            "parent".into(),
            json!("Issue type is a sub-task but parent issue key or id not specified."),
        );
    }
    let properties = properties(body)?;
    let extras = apply(state, call, &mut draft, &screen, &fields, &update, &mut errors);
    if !errors.is_empty() {
        return Err(Problem::fields(errors));
    }
    draft.properties.extend(properties);
    let id = insert(state, call, draft);
    run_extras(state, call, id, extras);
    let transition = body.get("transition").filter(|t| !t.is_null()).map(|t| {
        let request = json!({"transition": t});
        match workflow::perform(state, call, id, &request) {
            Ok(()) => json!({"status": 204, "errorCollection": {"errorMessages": [], "errors": {}}}),
            Err(problem) => json!({"status": problem.status, "errorCollection": problem.collection()}),
        }
    });
    let key = state.issue(id).map(|i| state.key_of(i)).unwrap_or_default();
    Ok(Created { id, key, transition })
}

fn object(body: &Value, key: &str) -> Result<Map<String, Value>, Problem> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map.clone()),
        Some(_) => Err(Problem::bad(format!("Can not deserialize '{key}': an object is expected"))),
    }
}

/// An issue with nothing but its project and type.
fn blank(
    state: &State,
    call: &Call,
    fields: &Map<String, Value>,
    kind: Option<u16>,
) -> Result<Issue, Problem> {
    let reference = |field: &str, keys: &[&str]| {
        let value = fields.get(field)?;
        let found = keys.iter().find_map(|k| value.get(*k))?;
        Some(found.as_str().map_or_else(|| found.to_string(), str::to_owned))
    };
    let project = reference("project", &["key", "id"])
        .ok_or_else(|| Problem::field("project", "Specify a valid project ID or key"))?;
    let project = state
        .site
        .project_index(&project)
        .ok_or_else(|| Problem::field("project", "valid project is required"))?;
    let kind = match kind {
        Some(kind) => kind,
        None => reference("issuetype", &["id", "name"])
            .ok_or_else(|| Problem::field("issuetype", "Specify an issue type"))
            .and_then(|text| {
                state
                    .site
                    .type_index(&text)
                    .ok_or_else(|| Problem::field("issuetype", "Specify a valid issue type"))
            })?,
    };
    let setup = state
        .site
        .setup(project, kind)
        .ok_or_else(|| Problem::field("issuetype", "The issue type selected is invalid."))?;
    let workflow = &state.site.workflows[usize::from(setup.workflow)];
    Ok(Issue {
        id: 0,
        project,
        number: 0,
        kind,
        status: workflow.initial,
        priority: 2,
        resolution: None,
        resolved: call.now,
        created: call.now,
        updated: call.now,
        status_changed: call.now,
        summary: "".into(),
        description: None,
        environment: None,
        assignee: None,
        reporter: Some(call.user),
        creator: call.user,
        labels: Vec::new(),
        components: Vec::new(),
        fix_versions: Vec::new(),
        versions: Vec::new(),
        parent: None,
        due: None,
        custom: Vec::new(),
        links: Vec::new(),
        attachments: Vec::new(),
        comments: Vec::new(),
        remote_links: Vec::new(),
        properties: std::collections::BTreeMap::new(),
        changes: Vec::new(),
    })
}

/// Gives a new issue its id and key and stores it.
fn insert(state: &mut State, call: &Call, mut issue: Issue) -> u64 {
    state.counters.issue += 1;
    let project = &mut state.site.projects[usize::from(issue.project)];
    issue.id = state.counters.issue;
    issue.number = project.next_number;
    project.next_number += 1;
    let id = issue.id;
    state.put_issue(issue, call.now);
    state.xray_adopt(id, call.now);
    id
}

/// Edits an issue.
pub(crate) fn edit(state: &mut State, call: &Call, id: u64, body: &Value) -> Result<(), Problem> {
    let fields = object(body, "fields")?;
    let update = object(body, "update")?;
    let old = state.issue(id).ok_or_else(Problem::no_issue)?.clone();
    if workflow::is_locked(state, &old) && !(fields.is_empty() && update.is_empty()) {
        return Err(Problem::bad("It is not possible to edit this issue because of its current status."));
    }
    let screen = state.site.screen(old.project, old.kind).cloned();
    let screen = screen.ok_or_else(Problem::no_issue)?;
    let mut draft = old.clone();
    let mut errors = Map::new();
    let properties = properties(body)?;
    let extras = apply(state, call, &mut draft, &screen, &fields, &update, &mut errors);
    if !errors.is_empty() {
        return Err(Problem::fields(errors));
    }
    draft.properties.extend(properties);
    draft.updated = call.now;
    record(state, call, &old, &mut draft);
    state.put_issue(draft, call.now);
    run_extras(state, call, id, extras);
    Ok(())
}

/// Writes the fields of a transition screen; the screen names what may be sent.
pub(crate) fn apply_on_screen(
    state: &mut State,
    call: &Call,
    draft: &mut Issue,
    allowed: &[(String, bool)],
    body: &Value,
) -> Result<Vec<(Rich, Option<Value>)>, Problem> {
    let fields = object(body, "fields")?;
    let update = object(body, "update")?;
    let tab = super::Tab {
        id: 0,
        name: String::new(),
        fields: allowed.iter().map(|(f, _)| f.clone()).chain(["comment".into()]).collect(),
    };
    let screen = Screen { id: 0, name: String::new(), tabs: vec![tab] };
    let mut errors = Map::new();
    let extras = apply(state, call, draft, &screen, &fields, &update, &mut errors);
    if errors.is_empty() { Ok(extras.comments) } else { Err(Problem::fields(errors)) }
}

fn properties(body: &Value) -> Result<Vec<(String, Value)>, Problem> {
    let mut out = Vec::new();
    for entry in body.get("properties").and_then(Value::as_array).into_iter().flatten() {
        let key = entry.get("key").and_then(Value::as_str).unwrap_or_default();
        let value = entry.get("value").cloned().unwrap_or(Value::Null);
        check_property(key, &value)?;
        out.push((key.to_owned(), value));
    }
    Ok(out)
}

/// Checks the key and size of an issue property.
pub(crate) fn check_property(key: &str, value: &Value) -> Result<(), Problem> {
    if key.is_empty() || key.chars().count() > values::LINE_MAX {
        return Err(Problem::bad("The length of the property key must be between 1 and 255."));
    }
    if value.is_null() {
        return Err(Problem::bad("The property value must be a valid, non-empty JSON."));
    }
    if value.to_string().chars().count() > PROPERTY_MAX {
        return Err(Problem::bad("The property value is too long. The maximum length is 32768 characters."));
    }
    Ok(())
}

/// Applies `fields` and `update` to a draft, gathering what is wrong by field.
fn apply(
    state: &State,
    call: &Call,
    draft: &mut Issue,
    screen: &Screen,
    fields: &Map<String, Value>,
    update: &Map<String, Value>,
    errors: &mut Map<String, Value>,
) -> Extras {
    let mut extras = Extras::default();
    for (id, value) in fields {
        if update.contains_key(id) {
            let text = format!("Field '{id}' cannot appear in both 'fields' and 'update'");
            errors.insert(id.clone(), json!(text));
            continue;
        }
        let outcome = match writable(state, draft, screen, id) {
            Some(field) => values::set(state, draft, field, value, call.v3),
            None => Err(not_on_screen(id)),
        };
        if let Err(message) = outcome {
            errors.insert(id.clone(), json!(message));
        }
    }
    for (id, operations) in update {
        let single = [operations.clone()];
        let list = operations.as_array().map_or(&single[..], Vec::as_slice);
        for operation in list {
            let outcome = operate(state, call, draft, screen, id, operation, &mut extras);
            if let Err(message) = outcome {
                errors.insert(id.clone(), json!(message));
            }
        }
    }
    extras
}

/// Gives a field that may be written: on the screen, and applying to the issue.
fn writable<'a>(state: &'a State, draft: &Issue, screen: &Screen, id: &str) -> Option<&'a Field> {
    let field = state.site.field(id)?;
    let implied = matches!(field.kind, FieldKind::IssueType | FieldKind::Project);
    let fits = state.site.field_applies(field, draft.project, draft.kind);
    (fits && field.kind != FieldKind::ReadOnly && (implied || screen.holds(id))).then_some(field)
}

fn operate(
    state: &State,
    call: &Call,
    draft: &mut Issue,
    screen: &Screen,
    id: &str,
    operation: &Value,
    extras: &mut Extras,
) -> Result<(), String> {
    let (verb, value) = operation
        .as_object()
        .and_then(|o| o.iter().next())
        .ok_or_else(|| "an operation must be an object with one key".to_owned())?;
    match (id, verb.as_str()) {
        ("comment", "add") => {
            let body = values::rich(value.get("body").unwrap_or(&Value::Null), call.v3)?;
            let body = body.ok_or_else(|| "Comment body can not be empty!".to_owned())?;
            extras.comments.push((body, value.get("visibility").cloned()));
            return Ok(());
        }
        ("issuelinks", "add") => {
            extras.links.push(super::links::from_update(state, value)?);
            return Ok(());
        }
        _ => {}
    }
    let field = writable(state, draft, screen, id).ok_or_else(|| not_on_screen(id))?;
    match (field.id.as_str(), verb.as_str()) {
        (_, "set") => values::set(state, draft, field, value, call.v3),
        ("labels", "add") => {
            let label = values::label(value)?;
            if !draft.labels.contains(&label) {
                draft.labels.push(label);
            }
            Ok(())
        }
        ("labels", "remove") => {
            draft.labels.retain(|l| Some(l.as_ref()) != value.as_str());
            Ok(())
        }
        ("components" | "fixVersions" | "versions", "add" | "remove") => {
            let components = id == "components";
            let entry = values::listed_one(state, draft, value, components)?;
            let list = match id {
                "components" => &mut draft.components,
                "fixVersions" => &mut draft.fix_versions,
                _ => &mut draft.versions,
            };
            list.retain(|e| *e != entry);
            if verb == "add" {
                list.push(entry);
            }
            Ok(())
        }
        _ => Err(format!("Field '{id}' does not support operation '{verb}'")),
    }
}

fn run_extras(state: &mut State, call: &Call, id: u64, extras: Extras) {
    for (body, visibility) in extras.comments {
        add_comment(state, call, id, body, visibility);
    }
    for (kind, source, target) in extras.links {
        super::links::add(state, call, kind, source.unwrap_or(id), target.unwrap_or(id));
    }
}

/// Adds a comment and returns its id.
pub(crate) fn add_comment(
    state: &mut State,
    call: &Call,
    id: u64,
    body: Rich,
    visibility: Option<Value>,
) -> u64 {
    state.counters.comment += 1;
    let comment = Comment {
        id: state.counters.comment,
        author: call.user,
        editor: call.user,
        body,
        created: call.now,
        updated: call.now,
        visibility,
        properties: std::collections::BTreeMap::new(),
    };
    let number = comment.id;
    state.change_issue(id, call.now, |issue| {
        issue.comments.push(comment);
        issue.updated = call.now;
    });
    number
}

/// Writes a changelog entry for whatever differs between two versions of an issue.
pub(crate) fn record(state: &mut State, call: &Call, old: &Issue, new: &mut Issue) {
    let items = differences(state, old, new);
    push_change(state, call, new, items);
}

/// Adds an entry to the changelog unless it is empty.
pub(crate) fn push_change(state: &mut State, call: &Call, issue: &mut Issue, items: Vec<ChangeItem>) {
    if items.is_empty() {
        return;
    }
    state.counters.change += 1;
    issue.changes.push(Change { id: state.counters.change, author: call.user, at: call.now, items });
}

/// Makes one item of the changelog.
pub(crate) fn item(field: &str, from: Option<(String, String)>, to: Option<(String, String)>) -> ChangeItem {
    let split = |pair: Option<(String, String)>| match pair {
        Some((id, text)) => ((!id.is_empty()).then(|| id.into_boxed_str()), Some(text.into_boxed_str())),
        None => (None, None),
    };
    let (from, from_text) = split(from);
    let (to, to_text) = split(to);
    ChangeItem { field: field.into(), from, from_text, to, to_text }
}

fn differences(state: &State, old: &Issue, new: &Issue) -> Vec<ChangeItem> {
    let site = &state.site;
    let mut items = Vec::new();
    let text = |t: &str| Some((String::new(), t.to_owned()));
    let mut add = |field: &str, a: Option<(String, String)>, b: Option<(String, String)>| {
        if a != b {
            items.push(item(field, a, b));
        }
    };
    add("summary", text(&old.summary), text(&new.summary));
    let rich = |r: &Option<Rich>| r.as_ref().map(|r| (String::new(), r.to_wiki()));
    add("description", rich(&old.description), rich(&new.description));
    add("environment", rich(&old.environment), rich(&new.environment));
    let status = |s: u16| {
        let status = &site.statuses[usize::from(s)];
        Some((status.id.to_string(), status.name.clone()))
    };
    add("status", status(old.status), status(new.status));
    let named = |list: &[(u64, String)], at: u8| {
        let (id, name) = &list[usize::from(at)];
        (id.to_string(), name.clone())
    };
    let priority = |p: u8| Some(named(&site.priorities, p));
    add("priority", priority(old.priority), priority(new.priority));
    let resolution = |r: Option<u8>| r.map(|r| named(&site.resolutions, r));
    add("resolution", resolution(old.resolution), resolution(new.resolution));
    let user = |u: Option<u16>| u.map(|u| (site.user(u).account_id.clone(), site.user(u).name.clone()));
    add("assignee", user(old.assignee), user(new.assignee));
    add("reporter", user(old.reporter), user(new.reporter));
    add("labels", text(&old.labels.join(" ")), text(&new.labels.join(" ")));
    let parent = |p: Option<u64>| {
        p.map(|p| (p.to_string(), state.issue(p).map(|i| state.key_of(i)).unwrap_or_default()))
    };
    add("parent", parent(old.parent), parent(new.parent));
    let due = |d: &Option<Box<str>>| d.as_ref().map(|d| (d.to_string(), d.to_string()));
    add("duedate", due(&old.due), due(&new.due));
    let listed = |ids: &[u64]| text(&ids.iter().map(u64::to_string).collect::<Vec<_>>().join(","));
    add("components", listed(&old.components), listed(&new.components));
    add("fixVersions", listed(&old.fix_versions), listed(&new.fix_versions));
    add("versions", listed(&old.versions), listed(&new.versions));
    for field in site.fields.iter().filter(|f| f.custom != 0) {
        let show = |issue: &Issue| {
            let value = issue.custom_value(field.custom)?;
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Some((String::new(), shown))
        };
        add(&field.id, show(old), show(new));
    }
    items
}
