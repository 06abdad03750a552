//! The tags of a project: created by use, listed, renamed and deleted.

use serde_json::{Value as Json, json};

use super::draft;
use super::fields::F;
use super::http::{Answer, Call, Failure, Reply, text};
use super::items::Change;
use super::json::encode;
use super::state::{State, Tag};
use super::value::{Millis, Value, guid, iso, same};

/// Adds the tags of an item to its project's catalogue.
pub(super) fn learn(state: &mut State, id: u32, at: Millis) {
    let Some(item) = state.items.get(&id) else { return };
    let (project, held) = (item.project, draft::tags(item.text(F::Tags)));
    let catalogue = state.tags.entry(project).or_default();
    for name in held {
        let key = name.to_lowercase();
        let guid = guid(&format!("tag {project} {key}"));
        catalogue.entry(key).or_insert(Tag { guid, name, updated: at });
    }
}

fn show(state: &State, call: &Call, project: u16, tag: &Tag) -> Json {
    let project = encode(&state.project(project).guid);
    json!({"id": tag.guid, "name": tag.name, "url": format!("{}/{project}/_apis/wit/tags/{}", call.base, tag.guid),
        "lastUpdated": iso(tag.updated)})
}

fn key(state: &State, call: &Call, project: u16) -> Result<String, Failure> {
    let wanted = call.param("tagIdOrName").unwrap_or_default();
    let tags = state.tags.get(&project);
    let found = tags.and_then(|t| {
        t.iter().find(|(_, tag)| tag.guid.eq_ignore_ascii_case(wanted) || same(&tag.name, wanted))
    });
    found.map(|(key, _)| key.clone()).ok_or_else(|| {
        Failure::new(404, "TagNotFoundException", format!("VS403402: The tag '{wanted}' does not exist."))
    })
}

/// `GET tags`.
pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let tags = state.tags.get(&project);
    let shown = tags.map(|t| t.values().map(|tag| show(state, call, project, tag)).collect());
    Ok(Reply::list(shown.unwrap_or_default()))
}

/// `GET tags/{tagIdOrName}`.
pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let key = key(state, call, project)?;
    Ok(Reply::ok(show(state, call, project, &state.tags[&project][&key])))
}

fn retag(state: &mut State, call: &Call, project: u16, old: &str, new: Option<&str>) {
    let holders: Vec<(u32, Vec<String>)> = state
        .items
        .iter()
        .filter(|(_, i)| i.project == project && i.deleted.is_none())
        .map(|(&id, i)| (id, draft::tags(i.text(F::Tags))))
        .filter(|(_, tags)| tags.iter().any(|t| same(t, old)))
        .collect();
    for (id, mut tags) in holders {
        tags.retain(|t| !same(t, old));
        tags.extend(new.map(str::to_owned));
        let tags = draft::tags(&tags.join(";"));
        let value = (!tags.is_empty()).then(|| Value::text(tags.join("; ")));
        let fields = vec![(F::Tags as u16, value)];
        state.commit(id, Change { fields, by: call.user, at: call.now, ..Change::default() });
    }
}

/// `PATCH tags/{tagIdOrName}`: renames.
pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let old = key(state, call, project)?;
    let body = call.object()?;
    let name =
        text(&body, "name").map(str::trim).filter(|n| !n.is_empty()).ok_or_else(|| Failure::null("name"))?;
    if name.contains([';', ',']) || name.chars().count() > 400 {
        return Err(Failure::argument(format!("VS403401: The tag name '{name}' is not valid.")));
    }
    let new = name.to_lowercase();
    let Some(tags) = state.tags.get_mut(&project) else { return Err(Failure::null("name")) };
    if new != old && tags.contains_key(&new) {
        return Err(Failure::new(
            409,
            "DuplicateTagNameException",
            format!("VS403403: The tag '{name}' already exists."),
        ));
    }
    let Some(mut tag) = tags.remove(&old) else { return Err(Failure::null("name")) };
    let was = std::mem::replace(&mut tag.name, name.to_owned());
    tag.updated = call.now;
    tags.insert(new.clone(), tag);
    retag(state, call, project, &was, Some(name));
    state.touch();
    Ok(Reply::ok(show(state, call, project, &state.tags[&project][&new])))
}

/// `DELETE tags/{tagIdOrName}`.
pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let key = key(state, call, project)?;
    if let Some(tag) = state.tags.get_mut(&project).and_then(|t| t.remove(&key)) {
        retag(state, call, project, &tag.name, None);
    }
    state.touch();
    Ok(Reply::none())
}
