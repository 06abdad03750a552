//! Configurations, in groups.

use serde_json::{Value, json};

use super::call::Call;
use super::projects::NAME;
use super::reply::{Answer, Problem, Reply};
use super::state::{ConfigGroup, State, take};

fn show_config(group: u32, (id, name): &(u32, Box<str>)) -> Value {
    json!({"id": id, "name": name, "group_id": group})
}

fn show(id: u32, group: &ConfigGroup) -> Value {
    let configs: Vec<Value> = group.configs.iter().map(|c| show_config(id, c)).collect();
    json!({"id": id, "name": group.name, "project_id": group.project, "configs": configs})
}

fn group(state: &mut State, id: u32) -> Result<&mut ConfigGroup, Problem> {
    let invalid = || Problem::invalid("config_group_id", "valid configuration group");
    state.config_groups.get_mut(&id).ok_or_else(invalid)
}

/// The group of a configuration.
fn group_of(state: &State, config: u32) -> Result<u32, Problem> {
    let holds = |g: &ConfigGroup| g.configs.iter().any(|(id, _)| *id == config);
    let found = state.config_groups.iter().find(|(_, g)| holds(g)).map(|(id, _)| *id);
    found.ok_or_else(|| Problem::invalid("config_id", "valid configuration"))
}

pub(super) fn get_configs(state: &mut State, call: &Call) -> Answer {
    let project = call.id(0, "project_id")?;
    state.project(project)?;
    let of = state.config_groups.iter().filter(|(_, g)| g.project == project);
    Ok(Reply::Json(of.map(|(id, g)| show(*id, g)).collect()))
}

pub(super) fn add_config_group(state: &mut State, call: &Call) -> Answer {
    let project = call.id(0, "project_id")?;
    state.project(project)?;
    let name = call.body.name("name", NAME, true)?.unwrap_or_default();
    let id = take(&mut state.next.config_group);
    let group = ConfigGroup { project, name, configs: Vec::new() };
    let answer = show(id, &group);
    state.config_groups.insert(id, group);
    state.touched = true;
    Ok(Reply::Json(answer))
}

pub(super) fn update_config_group(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "config_group_id")?;
    let name = call.body.name("name", NAME, true)?.unwrap_or_default();
    let group = group(state, id)?;
    group.name = name;
    let answer = show(id, group);
    state.touched = true;
    Ok(Reply::Json(answer))
}

pub(super) fn delete_config_group(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "config_group_id")?;
    group(state, id)?;
    state.config_groups.remove(&id);
    state.touched = true;
    Ok(Reply::Empty)
}

pub(super) fn add_config(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "config_group_id")?;
    group(state, id)?;
    let name = call.body.name("name", NAME, true)?.unwrap_or_default();
    let config = (take(&mut state.next.config), name);
    let answer = show_config(id, &config);
    group(state, id)?.configs.push(config);
    state.touched = true;
    Ok(Reply::Json(answer))
}

pub(super) fn update_config(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "config_id")?;
    let of = group_of(state, id)?;
    let name = call.body.name("name", NAME, true)?.unwrap_or_default();
    if let Some(config) = group(state, of)?.configs.iter_mut().find(|(c, _)| *c == id) {
        config.1 = name.clone();
    }
    state.touched = true;
    Ok(Reply::Json(show_config(of, &(id, name))))
}

pub(super) fn delete_config(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "config_id")?;
    let of = group_of(state, id)?;
    group(state, of)?.configs.retain(|(c, _)| *c != id);
    state.touched = true;
    Ok(Reply::Empty)
}
