//! Reading cases.

use serde_json::{Map, Value, json};

use super::call::Call;
use super::face::Face;
use super::fields;
use super::page::{Bare, Times, list, refers};
use super::projects::chosen_suite;
use super::reply::{Answer, Problem, Reply};
use super::state::{Case, Content, State};
use super::time;

/// A case's labels.
pub(super) fn show_labels(state: &State, ids: &[u32]) -> Value {
    let one = |id: &u32| {
        let label = state.labels.get(id)?;
        Some(json!({
            "id": id, "title": label.title, "created_by": label.created_by.to_string(),
            "created_on": label.created_on.to_string(),
        }))
    };
    ids.iter().filter_map(one).collect()
}

/// What cases and tests have in common.
pub(super) fn show_content(content: &Content, out: &mut Map<String, Value>) {
    for (key, value) in [
        ("title", json!(content.title)),
        ("template_id", json!(content.template)),
        ("type_id", json!(content.kind)),
        ("priority_id", json!(content.priority)),
        ("milestone_id", json!(content.milestone)),
        ("refs", json!(content.refs)),
        ("estimate", json!(content.estimate.map(time::write))),
        ("estimate_forecast", Value::Null),
    ] {
        out.insert(key.to_owned(), value);
    }
}

/// A case as an object.
pub(super) fn show(state: &State, face: Face, id: u32, case: &Case) -> Value {
    let section = state.sections.get(&case.section);
    let order = section.and_then(|s| s.cases.iter().position(|c| *c == id)).map_or(1, |at| at + 1);
    show_at(state, face, id, case, order)
}

fn show_at(state: &State, face: Face, id: u32, case: &Case, order: usize) -> Value {
    let mut out = Map::new();
    out.insert("id".to_owned(), id.into());
    show_content(&case.content, &mut out);
    for (key, value) in [
        ("section_id", json!(case.section)),
        ("created_by", json!(case.created_by)),
        ("created_on", json!(case.created_on)),
        ("updated_by", json!(case.updated_by)),
        ("updated_on", json!(case.updated_on)),
        ("suite_id", json!(case.suite)),
        ("display_order", json!(order)),
        ("is_deleted", json!(0)),
    ] {
        out.insert(key.to_owned(), value);
    }
    if !face.old() {
        out.insert("case_assignedto_id".to_owned(), Value::Null);
        out.insert("labels".to_owned(), show_labels(state, &case.content.labels));
        out.insert("comments".to_owned(), json!([]));
    }
    if face.case_statuses() {
        out.insert("status_id".to_owned(), case.content.status.into());
    }
    let project = state.project_of_suite(case.suite);
    fields::show(state, project, case.content.template, &case.content.custom, &mut out);
    Value::Object(out)
}

pub(super) fn get_case(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "case_id")?;
    Ok(Reply::Json(show(state, call.face, id, state.case(id)?)))
}

/// The filters of a list of cases.
struct Filter<'a> {
    created: Times,
    updated: Times,
    created_by: Option<Vec<u32>>,
    updated_by: Option<Vec<u32>>,
    milestones: Option<Vec<u32>>,
    priorities: Option<Vec<u32>>,
    templates: Option<Vec<u32>>,
    kinds: Option<Vec<u32>>,
    labels: Option<Vec<u32>>,
    refs: Option<&'a str>,
    title: Option<String>,
}

impl<'a> Filter<'a> {
    fn read(call: &'a Call) -> Result<Self, Problem> {
        Ok(Self {
            created: Times::read(call, "created")?,
            updated: Times::read(call, "updated")?,
            created_by: call.ids("created_by")?,
            updated_by: call.ids("updated_by")?,
            milestones: call.ids("milestone_id")?,
            priorities: call.ids("priority_id")?,
            templates: call.ids("template_id")?,
            kinds: call.ids("type_id")?,
            labels: call.ids("label_id")?,
            refs: call.param("refs"),
            title: call.param("filter").map(str::to_lowercase),
        })
    }

    fn fits(&self, case: &Case) -> bool {
        let among =
            |wanted: &Option<Vec<u32>>, value: u32| wanted.as_ref().is_none_or(|w| w.contains(&value));
        let content = &case.content;
        let any = |wanted: &Option<Vec<u32>>, values: &[u32]| {
            wanted.as_ref().is_none_or(|w| w.iter().any(|id| values.contains(id)))
        };
        self.created.hold(case.created_on)
            && self.updated.hold(case.updated_on)
            && among(&self.created_by, case.created_by)
            && among(&self.updated_by, case.updated_by)
            && any(&self.milestones, content.milestone.as_slice())
            && among(&self.priorities, content.priority)
            && among(&self.templates, content.template)
            && among(&self.kinds, content.kind)
            && any(&self.labels, &content.labels)
            && refers(content.refs.as_deref(), self.refs)
            && self.title.as_ref().is_none_or(|part| content.title.to_lowercase().contains(part))
    }
}

pub(super) fn get_cases(state: &mut State, call: &Call) -> Answer {
    let project = call.id(0, "project_id")?;
    let asked = call.ids("suite_id")?.and_then(|ids| ids.first().copied());
    let suite = chosen_suite(state, project, asked)?;
    let sections: Vec<u32> = match call.ids("section_id")?.and_then(|ids| ids.first().copied()) {
        Some(section) if state.section(section, "section_id")?.suite == suite => vec![section],
        Some(_) => return Err(Problem::invalid("section_id", "valid section")),
        None => state.walk(suite).into_iter().map(|(id, _)| id).collect(),
    };
    let filter = Filter::read(call)?;
    let state = &*state;
    let of = |section: &u32| {
        let cases = state.sections.get(section).map(|s| s.cases.as_slice()).unwrap_or_default();
        cases.iter().enumerate().map(|(order, id)| (order + 1, *id))
    };
    let found = sections.iter().flat_map(of).filter_map(|(order, id)| {
        let case = state.cases.get(&id)?;
        filter.fits(case).then_some((order, id, case))
    });
    list(call, "cases", Bare::Whole, found, |(order, id, case)| show_at(state, call.face, id, case, order))
}
