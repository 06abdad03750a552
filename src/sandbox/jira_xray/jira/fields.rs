//! Fields and screens as an administrator sets them up: a new field is on no screen.

use serde_json::{Map, Value, json};

use super::{Call, page, read, strings, values};
use crate::sandbox::jira_xray::defaults::{CUSTOM_TYPE, custom_field};
use crate::sandbox::jira_xray::reply::{Answer, Problem, Reply};
use crate::sandbox::jira_xray::site::{Field, FieldContext, FieldKind, Screen};
use crate::sandbox::jira_xray::store::State;

/// Most fields and projects of one association.
const ASSOCIATED_FIELDS_MAX: usize = 50;
const ASSOCIATED_PROJECTS_MAX: usize = 100;

fn details(field: &Field) -> Value {
    let mut clauses = Vec::new();
    if field.custom != 0 {
        clauses.push(format!("cf[{}]", field.custom));
        clauses.push(field.name.clone());
    } else {
        clauses.push(match field.id.as_str() {
            "fixVersions" => "fixVersion".to_owned(),
            "versions" => "affectedVersion".to_owned(),
            "components" => "component".to_owned(),
            id => id.to_owned(),
        });
    }
    json!({
        "id": field.id, "key": field.id, "name": field.name, "custom": field.custom != 0,
        "orderable": field.kind != FieldKind::ReadOnly, "navigable": read::is_navigable(field),
        "searchable": true, "clauseNames": clauses, "schema": read::schema(field)
    })
}

/// `GET /field`.
pub(crate) fn list(state: &State) -> Answer {
    Ok(Reply::ok(state.site.fields.iter().map(details).collect()))
}

/// `GET /field/search`.
pub(crate) fn search(state: &State, call: &Call) -> Answer {
    let kinds: Vec<&str> = call.params("type").flat_map(|t| t.split(',')).collect();
    let query = call.param("query").unwrap_or_default().to_lowercase();
    let ids: Vec<&str> = call.params("id").flat_map(|t| t.split(',')).collect();
    let wanted = |f: &&Field| {
        let kind = if f.custom == 0 { "system" } else { "custom" };
        (kinds.is_empty() || kinds.contains(&kind))
            && (ids.is_empty() || ids.contains(&f.id.as_str()))
            && (f.name.to_lowercase().contains(&query) || f.description.to_lowercase().contains(&query))
    };
    let one = |f: &Field| {
        let mut out = json!({
            "id": f.id, "name": f.name, "schema": read::schema(f), "description": f.description,
            "key": f.id, "isLocked": false,
            "screensCount": state.site.screens.iter().filter(|s| s.holds(&f.id)).count(),
            "contextsCount": f.contexts.len()
        });
        if f.custom != 0 {
            out["searcherKey"] = json!(format!("{CUSTOM_TYPE}{}", f.searcher));
        }
        out
    };
    let list = state.site.fields.iter().filter(wanted).map(one).collect();
    Ok(Reply::ok(page(call, "field/search", list, 50, 100)))
}

/// `POST /field`.
pub(crate) fn create(state: &mut State, body: &Value) -> Answer {
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut errors = Map::new();
    if text("name").is_empty() || text("name").chars().count() > values::LINE_MAX {
        errors.insert("name".into(), json!("Name is required and has 255 characters at most."));
    }
    let tail = text("type").strip_prefix(CUSTOM_TYPE).unwrap_or_default();
    let kind = values::kind_of_tail(tail);
    if kind.is_none() {
        errors.insert("type".into(), json!("You must specify a valid custom field type."));
    }
    let searcher = text("searcherKey").strip_prefix(CUSTOM_TYPE).unwrap_or_default();
    let (Some(kind), true) = (kind, errors.is_empty()) else {
        return Err(Problem::fields(errors));
    };
    state.site.next_field += 1;
    let mut field = custom_field(state.site.next_field, text("name"), kind, tail, searcher);
    field.description = text("description").to_owned();
    field.contexts[0].id = state.site.fresh_id();
    let answer = details(&field);
    state.site.fields.push(field);
    state.touch();
    Ok(Reply::created(answer))
}

fn custom<'a>(state: &'a mut State, id: &str) -> Result<&'a mut Field, Problem> {
    state
        .site
        .fields
        .iter_mut()
        .find(|f| f.id == id && f.custom != 0)
        .ok_or_else(|| Problem::not_found(format!("The custom field '{id}' was not found.")))
}

/// `PUT /field/{id}`.
pub(crate) fn update(state: &mut State, id: &str, body: &Value) -> Answer {
    let field = custom(state, id)?;
    if let Some(name) = body.get("name").and_then(Value::as_str) {
        name.clone_into(&mut field.name);
    }
    if let Some(description) = body.get("description").and_then(Value::as_str) {
        description.clone_into(&mut field.description);
    }
    state.touch();
    Ok(Reply::empty(204))
}

fn context(c: &FieldContext) -> Value {
    json!({
        "id": c.id.to_string(), "name": c.name, "description": c.description,
        "isGlobalContext": c.projects.is_empty(), "isAnyIssueType": c.types.is_empty()
    })
}

/// `GET /field/{id}/context`.
pub(crate) fn contexts(state: &mut State, call: &Call, id: &str) -> Answer {
    let list = custom(state, id)?.contexts.iter().map(context).collect();
    Ok(Reply::ok(page(call, &format!("field/{id}/context"), list, 50, 100)))
}

fn numbers(value: Option<&Value>) -> Vec<u64> {
    strings(value).iter().filter_map(|s| s.parse().ok()).collect()
}

/// `POST /field/{id}/context`.
pub(crate) fn add_context(state: &mut State, id: &str, body: &Value) -> Answer {
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if name.is_empty() {
        return Err(Problem::bad("The context name is required."));
    }
    let (projects, types) = (numbers(body.get("projectIds")), numbers(body.get("issueTypeIds")));
    let unknown = projects.iter().any(|p| state.site.projects.iter().all(|x| x.id != *p));
    if unknown {
        return Err(Problem::not_found("A project was not found."));
    }
    let number = state.site.fresh_id();
    let field = custom(state, id)?;
    if projects.is_empty() && field.contexts.iter().any(|c| c.projects.is_empty()) {
        return Err(Problem::bad("The field already has a global context."));
    }
    let new = FieldContext {
        id: number,
        name: name.clone(),
        description: body.get("description").and_then(Value::as_str).unwrap_or_default().to_owned(),
        projects: projects.clone(),
        types: types.clone(),
        options: Vec::new(),
    };
    let answer = json!({
        "id": number.to_string(), "name": name, "description": new.description,
        "projectIds": projects.iter().map(u64::to_string).collect::<Vec<_>>(),
        "issueTypeIds": types.iter().map(u64::to_string).collect::<Vec<_>>()
    });
    field.contexts.push(new);
    state.touch();
    Ok(Reply::created(answer))
}

fn context_of<'a>(field: &'a mut Field, id: &str) -> Result<&'a mut FieldContext, Problem> {
    field
        .contexts
        .iter_mut()
        .find(|c| c.id.to_string() == id)
        .ok_or_else(|| Problem::not_found("The custom field context was not found."))
}

/// `PUT /field/{id}/context/{context}/project` and `/issuetype`.
pub(crate) fn widen_context(state: &mut State, id: &str, context: &str, part: &str, body: &Value) -> Answer {
    let projects = numbers(body.get("projectIds"));
    let types = numbers(body.get("issueTypeIds"));
    let held = context_of(custom(state, id)?, context)?;
    match part {
        "project" => held.projects.extend(projects),
        _ => held.types.extend(types),
    }
    state.touch();
    Ok(Reply::empty(204))
}

/// `GET` and `POST /field/{id}/context/{context}/option`.
pub(crate) fn options(
    state: &mut State,
    call: &Call,
    id: &str,
    context: &str,
    body: Option<&Value>,
) -> Answer {
    let one = |(id, value): &(u64, String)| json!({"id": id.to_string(), "value": value, "disabled": false});
    let Some(body) = body else {
        let held = context_of(custom(state, id)?, context)?;
        let list = held.options.iter().map(one).collect();
        return Ok(Reply::ok(page(call, &format!("field/{id}/context/{context}/option"), list, 100, 100)));
    };
    let mut added = Vec::new();
    for entry in body.get("options").and_then(Value::as_array).into_iter().flatten() {
        let value = entry.get("value").and_then(Value::as_str).unwrap_or_default().to_owned();
        added.push((state.site.fresh_id(), value));
    }
    let held = context_of(custom(state, id)?, context)?;
    held.options.extend(added.iter().cloned());
    state.touch();
    Ok(Reply::ok(json!({"options": added.iter().map(one).collect::<Vec<_>>()})))
}

/// `PUT` and `DELETE /field/association`: puts fields on the screens of projects.
pub(crate) fn associate(state: &mut State, body: &Value, add: bool) -> Answer {
    let list = |key: &str| body.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let (contexts, fields) = (list("associationContexts"), list("fields"));
    if contexts.is_empty() || fields.is_empty() {
        return Err(Problem::bad("associationContexts and fields are required."));
    }
    if contexts.len() > ASSOCIATED_PROJECTS_MAX || fields.len() > ASSOCIATED_FIELDS_MAX {
        return Err(Problem::bad("At most 50 fields and 100 projects can be associated at once."));
    }
    let mut ids = Vec::new();
    for field in &fields {
        let id = field.get("identifier").and_then(Value::as_str).unwrap_or_default();
        ids.push(custom(state, id)?.id.clone());
    }
    let mut screens = Vec::new();
    for context in &contexts {
        let id = context.get("identifier").map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_owned));
        let project = state
            .site
            .project_index(&id.unwrap_or_default())
            .ok_or_else(|| Problem::not_found("A project was not found."))?;
        let types = &state.site.projects[usize::from(project)].types;
        screens.extend(types.iter().map(|t| usize::from(t.screen)));
    }
    for at in screens {
        let screen = &mut state.site.screens[at];
        for id in &ids {
            match (add, screen.holds(id)) {
                (true, false) => screen.tabs[0].fields.push(id.clone()),
                (false, true) => {
                    screen.tabs.iter_mut().for_each(|t| t.fields.retain(|f| f != id));
                }
                _ => {}
            }
        }
    }
    state.touch();
    Ok(Reply::empty(204))
}

fn shown(screen: &Screen) -> Value {
    json!({"id": screen.id, "name": screen.name, "description": ""})
}

/// `GET /screens`.
pub(crate) fn screens(state: &State, call: &Call) -> Answer {
    let query = call.param("queryString").unwrap_or_default().to_lowercase();
    let ids: Vec<&str> = call.params("id").collect();
    let wanted = |s: &&Screen| {
        s.name.to_lowercase().contains(&query) && (ids.is_empty() || ids.contains(&s.id.to_string().as_str()))
    };
    let list = state.site.screens.iter().filter(wanted).map(shown).collect();
    Ok(Reply::ok(page(call, "screens", list, 100, 100)))
}

/// `GET /field/{id}/screens`.
pub(crate) fn screens_of(state: &State, call: &Call, id: &str) -> Answer {
    let list = state
        .site
        .screens
        .iter()
        .filter_map(|s| {
            let tab = s.tabs.iter().find(|t| t.fields.iter().any(|f| f == id))?;
            let mut out = shown(s);
            out["tab"] = json!({"id": tab.id, "name": tab.name});
            Some(out)
        })
        .collect();
    Ok(Reply::ok(page(call, &format!("field/{id}/screens"), list, 100, 100)))
}

/// `/screens/{screen}/tabs…`: tabs, their fields, adding and removing one.
pub(crate) fn tabs(state: &mut State, method: &str, path: &[&str], body: &Value) -> Answer {
    let names: Vec<(String, String)> =
        state.site.fields.iter().map(|f| (f.id.clone(), f.name.clone())).collect();
    let name = |id: &str| names.iter().find(|(i, _)| i == id).map(|(_, n)| n.clone());
    let entry = |id: &str| json!({"id": id, "name": name(id)});
    let fresh = state.site.next_id + 1;
    let screen = state.site.screens.iter_mut().find(|s| s.id.to_string() == path[0]);
    let screen = screen.ok_or_else(|| Problem::not_found("The screen was not found."))?;
    if let (["tabs"], "GET") = (&path[1..], method) {
        let list = screen.tabs.iter().map(|t| json!({"id": t.id, "name": t.name}));
        return Ok(Reply::ok(list.collect()));
    }
    if let (["tabs"], "POST") = (&path[1..], method) {
        let title = body.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        screen.tabs.push(super::Tab { id: fresh, name: title.clone(), fields: Vec::new() });
        state.site.next_id = fresh;
        state.touch();
        return Ok(Reply::ok(json!({"id": fresh, "name": title})));
    }
    let (["tabs", tab, "fields"] | ["tabs", tab, "fields", _]) = &path[1..] else {
        return Err(Problem::not_found("Not found"));
    };
    let holds = body.get("fieldId").and_then(Value::as_str).is_some_and(|f| screen.holds(f));
    let tab = screen.tabs.iter_mut().find(|t| t.id.to_string() == *tab);
    let tab = tab.ok_or_else(|| Problem::not_found("The screen tab was not found."))?;
    match (method, path.get(4)) {
        ("GET", None) => Ok(Reply::ok(tab.fields.iter().map(|f| entry(f)).collect())),
        ("POST", None) => {
            let id = body.get("fieldId").and_then(Value::as_str).unwrap_or_default();
            if name(id).is_none() {
                return Err(Problem::bad(format!("The field with id '{id}' does not exist.")));
            }
            if holds {
                return Err(Problem::bad(format!("The field with id '{id}' already exists on the screen.")));
            }
            tab.fields.push(id.to_owned());
            state.touch();
            Ok(Reply::ok(entry(id)))
        }
        ("DELETE", Some(id)) => {
            let before = tab.fields.len();
            tab.fields.retain(|f| f != id);
            if tab.fields.len() == before {
                return Err(Problem::not_found("The field is not on the tab."));
            }
            state.touch();
            Ok(Reply::empty(204))
        }
        _ => Err(Problem::new(405, "Method Not Allowed")),
    }
}

/// `POST /screens/addToDefault/{field}`.
pub(crate) fn add_to_default(state: &mut State, id: &str) -> Answer {
    custom(state, id)?;
    let screen = &mut state.site.screens[0];
    if screen.holds(id) {
        return Err(Problem::bad("The field already exists on the default screen."));
    }
    screen.tabs[0].fields.push(id.to_owned());
    state.touch();
    Ok(Reply::ok(json!({})))
}
