//! The tree of sections of a suite.

use serde_json::{Value, json};

use super::call::Call;
use super::case_delete;
use super::page::{Bare, list};
use super::projects::{NAME, TEXT, chosen_suite};
use super::reply::{Answer, Problem, Reply};
use super::state::{Section, State, take};

fn show(id: u32, section: &Section, order: usize, depth: u32) -> Value {
    json!({
        "id": id, "suite_id": section.suite, "name": section.name, "description": section.description,
        "parent_id": section.parent, "display_order": order + 1, "depth": depth,
    })
}

/// A section with its place in the whole suite.
fn show_one(state: &State, id: u32) -> Answer {
    let section = state.section(id, "section_id")?;
    let walk = state.walk(section.suite);
    let order = walk.iter().position(|(s, _)| *s == id).unwrap_or_default();
    let depth = walk.get(order).map_or(0, |(_, depth)| *depth);
    Ok(Reply::Json(show(id, section, order, depth)))
}

pub(super) fn get_section(state: &mut State, call: &Call) -> Answer {
    show_one(state, call.id(0, "section_id")?)
}

pub(super) fn get_sections(state: &mut State, call: &Call) -> Answer {
    let project = call.id(0, "project_id")?;
    let asked = call.ids("suite_id")?.and_then(|ids| ids.first().copied());
    let suite = chosen_suite(state, project, asked)?;
    let walk = state.walk(suite);
    let found = walk.iter().enumerate().filter_map(|(order, (id, depth))| {
        state.sections.get(id).map(|section| (*id, section, order, *depth))
    });
    list(call, "sections", Bare::Whole, found, |(id, section, order, depth)| show(id, section, order, depth))
}

pub(super) fn add_section(state: &mut State, call: &Call) -> Answer {
    let project = call.id(0, "project_id")?;
    let suite = chosen_suite(state, project, call.body.id("suite_id")?.flatten())?;
    let name = call.body.name("name", NAME, true)?.unwrap_or_default();
    let description = call.body.text("description", TEXT)?.flatten();
    let parent = call.body.id("parent_id")?.flatten();
    if let Some(parent) = parent
        && state.section(parent, "parent_id")?.suite != suite
    {
        return Err(Problem::invalid("parent_id", "valid section"));
    }
    let id = take(&mut state.next.section);
    let section = Section { suite, parent, name, description, sections: Vec::new(), cases: Vec::new() };
    state.sections.insert(id, section);
    siblings(state, suite, parent, |list| list.push(id));
    state.touched = true;
    show_one(state, id)
}

/// Changes the list of sections below a parent, or of the suite's top.
pub(super) fn siblings(
    state: &mut State,
    suite: u32,
    parent: Option<u32>,
    change: impl FnOnce(&mut Vec<u32>),
) {
    let list = match parent {
        Some(parent) => state.sections.get_mut(&parent).map(|s| &mut s.sections),
        None => state.suites.get_mut(&suite).map(|s| &mut s.sections),
    };
    if let Some(list) = list {
        change(list);
    }
}

pub(super) fn update_section(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "section_id")?;
    state.section(id, "section_id")?;
    let name = call.body.name("name", NAME, false)?;
    let description = call.body.text("description", TEXT)?;
    if let Some(section) = state.sections.get_mut(&id) {
        let before = (section.name.clone(), section.description.clone());
        section.name = name.unwrap_or_else(|| section.name.clone());
        section.description = description.unwrap_or_else(|| section.description.clone());
        state.touched |= before != (section.name.clone(), section.description.clone());
    }
    show_one(state, id)
}

pub(super) fn move_section(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "section_id")?;
    let (suite, old) = state.section(id, "section_id").map(|s| (s.suite, s.parent))?;
    let parent = call.body.id("parent_id")?.unwrap_or(old);
    if let Some(parent) = parent {
        let there = state.section(parent, "parent_id")?;
        if there.suite != suite || state.below(id).contains(&parent) {
            return Err(Problem::invalid("parent_id", "valid section"));
        }
    }
    let after = call.body.id("after_id")?;
    if let Some(Some(after)) = after {
        let there = state.section(after, "after_id")?;
        if there.suite != suite || there.parent != parent || after == id {
            return Err(Problem::invalid("after_id", "valid section"));
        }
    }
    let before = state.walk(suite);
    let mut stood = None;
    siblings(state, suite, old, |list| {
        stood = list.iter().position(|s| *s == id);
        list.retain(|s| *s != id);
    });
    siblings(state, suite, parent, |list| {
        let at = match after {
            Some(Some(after)) => list.iter().position(|s| *s == after).map_or(list.len(), |at| at + 1),
            Some(None) => 0,
            None if parent == old => stood.unwrap_or(list.len()),
            None => list.len(),
        };
        list.insert(at, id);
    });
    if let Some(section) = state.sections.get_mut(&id) {
        section.parent = parent;
    }
    state.touched |= before != state.walk(suite);
    if call.face.old() { Ok(Reply::Empty) } else { show_one(state, id) }
}

pub(super) fn delete_section(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "section_id")?;
    let (suite, parent) = state.section(id, "section_id").map(|s| (s.suite, s.parent))?;
    let below = state.below(id);
    if call.soft() {
        let of = |section: &u32| state.sections.get(section).map(|s| s.cases.clone()).unwrap_or_default();
        let cases: Vec<u32> = below.iter().flat_map(of).collect();
        return Ok(Reply::Json(json!({
            "affected_sections": below.len(), "affected_cases": cases.len(),
            "affected_tests": case_delete::open_tests(state, &cases),
        })));
    }
    siblings(state, suite, parent, |list| list.retain(|s| *s != id));
    below.into_iter().for_each(|section| remove(state, section));
    state.touched = true;
    Ok(Reply::Empty)
}

/// Removes a section with its cases, but neither those below it nor its place in the list.
pub(super) fn remove(state: &mut State, section: u32) {
    if let Some(gone) = state.sections.remove(&section) {
        case_delete::remove(state, &gone.cases);
    }
}
