//! Test configurations and variables.

use serde_json::{Value as Json, json};

use super::http::{Answer, Call, Failure, Reply, text};
use super::plans;
use super::state::State;
use super::suites::{Configuration, Variable};
use super::value::same;

fn show(state: &State, call: &Call, id: u32) -> Json {
    let held = &state.configurations[&id];
    let values: Vec<Json> = held.values.iter().map(|(n, v)| json!({"name": n, "value": v})).collect();
    json!({"id": id, "project": state.plan_project(&call.base, held.project), "name": held.name,
        "description": held.description, "isDefault": held.is_default, "values": values,
        "state": if held.active { "active" } else { "inactive" }})
}

fn named_id(state: &State, call: &Call) -> Result<u32, Failure> {
    let project = state.scope(call)?;
    let id = match call.param("testConfigurationId") {
        Some(_) => call.id("testConfigurationId")?,
        // The parameter's name is misspelled in the real service.
        None => call
            .number("testconfiguartionid")?
            .or(call.number("testconfigurationid")?)
            .and_then(|i| u32::try_from(i).ok())
            .ok_or_else(|| Failure::null("testConfiguartionId"))?,
    };
    let held = state.configurations.get(&id).is_some_and(|c| c.project == project);
    if held { Ok(id) } else { Err(Failure::no_test_object(format!("Test configuration {id} not found."))) }
}

/// `GET configurations`.
pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let ids = state.configurations.iter().filter(|(_, c)| c.project == project).map(|(&id, _)| id);
    let (ids, token) = plans::page(ids, plans::after(call)?);
    Ok(Reply::list(ids.iter().map(|&id| show(state, call, id)).collect()).with_token(token))
}

/// `GET configurations/{testConfigurationId}`.
pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    let id = named_id(state, call)?;
    Ok(Reply::ok(show(state, call, id)))
}

fn read(state: &State, project: u16, body: &Json, held: &mut Configuration) -> Result<(), Failure> {
    if let Some(name) = text(body, "name") {
        held.name = plans::name_of(name)?.to_owned();
    }
    if let Some(description) = text(body, "description") {
        held.description = description.to_owned();
    }
    if let Some(is_default) = body.get("isDefault").and_then(Json::as_bool) {
        held.is_default = is_default;
    }
    match body.get("state") {
        None | Some(Json::Null) => {}
        Some(Json::String(word)) if same(word, "active") => held.active = true,
        Some(Json::String(word)) if same(word, "inactive") => held.active = false,
        Some(Json::Number(number)) => held.active = number.as_u64() == Some(1),
        Some(other) => {
            return Err(Failure::property(format!("The configuration state {other} is not valid.")));
        }
    }
    let Some(values) = body.get("values").and_then(Json::as_array) else { return Ok(()) };
    let mut list = Vec::new();
    for value in values {
        let (name, value) =
            (text(value, "name").unwrap_or_default(), text(value, "value").unwrap_or_default());
        let variable = state.variables.values().find(|v| v.project == project && same(&v.name, name));
        let known = variable.is_some_and(|v| v.values.iter().any(|w| same(w, value)));
        if !known {
            return Err(Failure::property(format!(
                "The configuration value {name} = {value} is not one of the values of a test variable."
            )));
        }
        list.push((name.to_owned(), value.to_owned()));
    }
    held.values = list;
    Ok(())
}

fn check_name(state: &State, project: u16, name: &str, but: Option<u32>) -> Result<(), Failure> {
    let twin =
        |(&id, c): (&u32, &Configuration)| Some(id) != but && c.project == project && same(&c.name, name);
    if state.configurations.iter().any(twin) {
        let message = format!("A test configuration with the name '{name}' exists already.");
        return Err(Failure::new(409, "TestObjectDuplicateException", message));
    }
    Ok(())
}

/// `POST configurations`.
pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let body = call.object()?;
    text(&body, "name").ok_or_else(|| Failure::null("name"))?;
    let mut held = Configuration {
        project,
        name: String::new(),
        description: String::new(),
        is_default: false,
        active: true,
        values: Vec::new(),
    };
    read(state, project, &body, &mut held)?;
    check_name(state, project, &held.name, None)?;
    let id = state.next_configuration.max(1);
    state.next_configuration = id + 1;
    state.configurations.insert(id, held);
    state.touch();
    Ok(Reply::ok(show(state, call, id)))
}

/// `PATCH configurations?testConfiguartionId=`.
pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let id = named_id(state, call)?;
    let body = call.object()?;
    let mut held = state.configurations[&id].clone();
    read(state, held.project, &body, &mut held)?;
    check_name(state, held.project, &held.name, Some(id))?;
    state.configurations.insert(id, held);
    state.touch();
    Ok(Reply::ok(show(state, call, id)))
}

/// `DELETE configurations?testConfiguartionId=`: only what nothing uses.
pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    let id = named_id(state, call)?;
    let used = state.points.values().any(|p| p.configuration == id)
        || state.suites.values().any(|s| s.configurations.contains(&id));
    if used {
        let message = format!("Test configuration {id} is in use and cannot be deleted.");
        return Err(Failure::new(400, "TestObjectInUseException", message));
    }
    state.configurations.remove(&id);
    state.touch();
    Ok(Reply::none())
}

fn show_variable(state: &State, call: &Call, id: u32) -> Json {
    let held = &state.variables[&id];
    json!({"id": id, "project": state.plan_project(&call.base, held.project), "name": held.name,
        "description": held.description, "values": held.values})
}

fn variable_id(state: &State, call: &Call) -> Result<u32, Failure> {
    let project = state.scope(call)?;
    let id = call.id("testVariableId")?;
    let held = state.variables.get(&id).is_some_and(|v| v.project == project);
    if held { Ok(id) } else { Err(Failure::no_test_object(format!("Test variable {id} not found."))) }
}

/// `GET variables`.
pub(super) fn variables(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let ids = state.variables.iter().filter(|(_, v)| v.project == project).map(|(&id, _)| id);
    let (ids, token) = plans::page(ids, plans::after(call)?);
    Ok(Reply::list(ids.iter().map(|&id| show_variable(state, call, id)).collect()).with_token(token))
}

/// `GET variables/{testVariableId}`.
pub(super) fn variable(state: &mut State, call: &Call) -> Answer {
    let id = variable_id(state, call)?;
    Ok(Reply::ok(show_variable(state, call, id)))
}

fn values_of(body: &Json) -> Option<Vec<String>> {
    let list = body.get("values").and_then(Json::as_array)?;
    Some(list.iter().filter_map(Json::as_str).map(str::to_owned).collect())
}

/// `POST variables`.
pub(super) fn create_variable(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let body = call.object()?;
    let name = plans::name_of(text(&body, "name").ok_or_else(|| Failure::null("name"))?)?.to_owned();
    if state.variables.values().any(|v| v.project == project && same(&v.name, &name)) {
        let message = format!("A test variable with the name '{name}' exists already.");
        return Err(Failure::new(409, "TestObjectDuplicateException", message));
    }
    let id = state.next_variable.max(1);
    state.next_variable = id + 1;
    let description = text(&body, "description").unwrap_or_default().to_owned();
    let values = values_of(&body).unwrap_or_default();
    state.variables.insert(id, Variable { project, name, description, values });
    state.touch();
    Ok(Reply::ok(show_variable(state, call, id)))
}

/// `PATCH variables/{testVariableId}`: values that exist are kept.
pub(super) fn update_variable(state: &mut State, call: &Call) -> Answer {
    let id = variable_id(state, call)?;
    let body = call.object()?;
    if let Some(held) = state.variables.get_mut(&id) {
        if let Some(name) = text(&body, "name") {
            held.name = plans::name_of(name)?.to_owned();
        }
        if let Some(description) = text(&body, "description") {
            held.description = description.to_owned();
        }
        for value in values_of(&body).unwrap_or_default() {
            if !held.values.contains(&value) {
                held.values.push(value);
            }
        }
    }
    state.touch();
    Ok(Reply::ok(show_variable(state, call, id)))
}

/// `DELETE variables/{testVariableId}`.
pub(super) fn delete_variable(state: &mut State, call: &Call) -> Answer {
    let id = variable_id(state, call)?;
    let held = &state.variables[&id];
    let used =
        |c: &Configuration| c.project == held.project && c.values.iter().any(|(n, _)| same(n, &held.name));
    if state.configurations.values().any(used) {
        let message = format!("Test variable {id} is in use and cannot be deleted.");
        return Err(Failure::new(400, "TestObjectInUseException", message));
    }
    state.variables.remove(&id);
    state.touch();
    Ok(Reply::none())
}
