//! Making and changing cases.

use serde_json::{Value, json};

use super::call::{Body, Call, Sent};
use super::cases::show;
use super::fields;
use super::history;
use super::labels;
use super::markdown;
use super::meta;
use super::reply::{Answer, Problem, Reply};
use super::runs;
use super::state::{Case, Content, Custom, State, take};
use super::time;

/// The longest title, and the longest list of references.
const TITLE: usize = 250;
const REFS: usize = 2_000;
/// The case status of a new case.
pub(super) const DRAFT: u8 = 2;

/// Takes over what a body says about a case.
fn apply(
    state: &mut State,
    call: &Call,
    project: u32,
    body: &Body,
    content: &mut Content,
    must: bool,
) -> Result<(), Problem> {
    if let Some(title) = body.name("title", TITLE, must)? {
        content.title = title;
    }
    let chosen = |key: &str, known: &[u32]| -> Result<Option<u32>, Problem> {
        let thing = format!("valid {}", key.trim_end_matches("_id"));
        match body.id(key)? {
            None | Some(None) => Ok(None),
            Some(Some(id)) if known.contains(&id) => Ok(Some(id)),
            Some(Some(_)) => Err(Problem::invalid(key, &thing)),
        }
    };
    content.template = chosen("template_id", &meta::template_ids())?.unwrap_or(content.template);
    content.kind = chosen("type_id", &meta::type_ids())?.unwrap_or(content.kind);
    content.priority = chosen("priority_id", &meta::priority_ids())?.unwrap_or(content.priority);
    if let Some(milestone) = milestone(state, project, body)? {
        content.milestone = milestone;
    }
    if let Some(refs) = body.text("refs", REFS)? {
        content.refs = refs;
    }
    if let Some(span) = body.text("estimate", TITLE)? {
        let read = |s: Box<str>| {
            time::read(&s).ok_or_else(|| Problem::bad("Field :estimate is not in a valid time span format."))
        };
        content.estimate = span.map(read).transpose()?;
    }
    if call.face.case_statuses()
        && let Some(status) = chosen("status_id", &meta::CASE_STATUSES.map(|(id, _, _)| u32::from(id)))?
    {
        content.status = u8::try_from(status).unwrap_or(DRAFT);
    }
    let before = content.custom.clone();
    fields::apply(state, project, body, false, &mut content.custom)?;
    if call.face.rich_text() && body.flag("is_legacy")?.unwrap_or(false) {
        convert(&before, &mut content.custom, state);
    }
    fields::complete(state, project, content.template, &content.custom)?;
    if !call.face.old()
        && let Some(list) = body.get("labels")
    {
        content.labels = labels::chosen(state, call, project, list)?;
    }
    Ok(())
}

/// Turns the Markdown that a client sent into HTML.
fn convert(before: &[(u32, Custom)], custom: &mut [(u32, Custom)], state: &State) {
    for (id, value) in custom {
        if fields::find(before, *id) == Some(value) {
            continue;
        }
        let kind = state.fields.iter().find(|f| f.id == *id).map_or(0, |f| f.kind);
        match value {
            Custom::Text(text) if kind == 3 => *text = markdown::to_html(text).into(),
            Custom::Steps(steps) => {
                for step in steps {
                    step.content = markdown::to_html(&step.content).into();
                    step.expected = markdown::to_html(&step.expected).into();
                    step.additional = step.additional.as_deref().map(|t| markdown::to_html(t).into());
                }
            }
            _ => {}
        }
    }
}

/// The milestone that a body names.
pub(super) fn milestone(state: &State, project: u32, body: &Body) -> Result<Sent<u32>, Problem> {
    let sent = body.id("milestone_id")?;
    if let Some(Some(id)) = sent
        && state.milestones.get(&id).is_none_or(|m| m.project != project)
    {
        return Err(Problem::invalid("milestone_id", "valid milestone"));
    }
    Ok(sent)
}

fn blank() -> Content {
    Content {
        template: meta::DEFAULT_TEMPLATE,
        kind: meta::DEFAULT_TYPE,
        priority: meta::DEFAULT_PRIORITY,
        status: DRAFT,
        ..Content::default()
    }
}

/// The content of a case that is to be made in a project.
fn drafted(state: &mut State, call: &Call, project: u32, body: &Body) -> Result<Content, Problem> {
    let mut content = blank();
    let asked = body.id("template_id")?.flatten().unwrap_or(content.template);
    fields::defaults(state, project, asked, &mut content.custom);
    apply(state, call, project, body, &mut content, true)?;
    Ok(content)
}

/// Stores a case at the end of its section; open runs of all cases get a test of it.
pub(super) fn insert(state: &mut State, section: u32, content: Content, call: &Call) -> u32 {
    let id = take(&mut state.next.case);
    let version = take(&mut state.next.version);
    let suite = state.sections.get(&section).map_or(0, |s| s.suite);
    let case = Case {
        section,
        suite,
        created_by: call.user,
        created_on: call.now,
        updated_by: call.user,
        updated_on: call.now,
        version,
        pinned: false,
        content,
    };
    state.cases.insert(id, case);
    if let Some(section) = state.sections.get_mut(&section) {
        section.cases.push(id);
    }
    runs::join_open(state, suite, id);
    state.touched = true;
    id
}

fn shown(state: &State, call: &Call, ids: &[u32]) -> Vec<Value> {
    ids.iter().filter_map(|id| Some(show(state, call.face, *id, state.cases.get(id)?))).collect()
}

pub(super) fn add_case(state: &mut State, call: &Call) -> Answer {
    let section = call.id(0, "section_id")?;
    let suite = state.section(section, "section_id")?.suite;
    let project = state.project_of_suite(suite);
    let content = drafted(state, call, project, &call.body)?;
    let id = insert(state, section, content, call);
    Ok(Reply::Json(show(state, call.face, id, state.case(id)?)))
}

pub(super) fn add_cases(state: &mut State, call: &Call) -> Answer {
    let section = call.id(0, "section_id")?;
    let suite = state.section(section, "section_id")?.suite;
    let project = state.project_of_suite(suite);
    let bodies = call.body.objects("cases")?.ok_or_else(|| Problem::required("cases"))?;
    let mut contents = Vec::new();
    for body in &bodies {
        contents.push(drafted(state, call, project, body).map_err(|p| p.within("cases"))?);
    }
    let ids: Vec<u32> = contents.into_iter().map(|c| insert(state, section, c, call)).collect();
    Ok(Reply::Json(json!({"cases": shown(state, call, &ids)})))
}

/// The changed content of a case and the section it is to lie in.
fn changed(state: &mut State, call: &Call, id: u32, body: &Body) -> Result<(Content, u32), Problem> {
    let case = state.case(id)?;
    let (suite, old) = (case.suite, case.section);
    let mut content = case.content.clone();
    let section = match body.id("section_id")? {
        Some(Some(section)) if !call.face.old() => section,
        _ => old,
    };
    if state.section(section, "section_id")?.suite != suite {
        return Err(Problem::invalid("section_id", "valid section"));
    }
    let project = state.project_of_suite(suite);
    apply(state, call, project, body, &mut content, false)?;
    Ok((content, section))
}

/// Stores a changed content, with its history; a change that changes nothing leaves no trace.
fn store(state: &mut State, call: &Call, id: u32, content: Content, section: u32) {
    let Some(case) = state.cases.get(&id) else { return };
    let old = case.section;
    let mut changes = history::differences(state, &case.content, &content);
    if old != section {
        changes.push(history::moved(state, old, section));
    }
    if changes.is_empty() {
        return;
    }
    if changes.len() > usize::from(old != section) {
        state.replace(id, content);
    }
    if old != section {
        relocate(state, id, section);
    }
    if let Some(case) = state.cases.get_mut(&id) {
        case.updated_by = call.user;
        case.updated_on = call.now;
    }
    history::record(state, id, changes, call);
    state.touched = true;
}

/// Puts a case at the end of another section.
pub(super) fn relocate(state: &mut State, id: u32, section: u32) {
    let suite = state.sections.get(&section).map_or(0, |s| s.suite);
    let Some(case) = state.cases.get_mut(&id) else { return };
    let old = std::mem::replace(&mut case.section, section);
    case.suite = suite;
    if let Some(old) = state.sections.get_mut(&old) {
        old.cases.retain(|c| *c != id);
    }
    if let Some(section) = state.sections.get_mut(&section) {
        section.cases.push(id);
    }
}

pub(super) fn update_case(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "case_id")?;
    let (content, section) = changed(state, call, id, &call.body)?;
    store(state, call, id, content, section);
    Ok(Reply::Json(show(state, call.face, id, state.case(id)?)))
}

pub(super) fn update_cases(state: &mut State, call: &Call) -> Answer {
    let suite = call.id(0, "suite_id")?;
    state.suite(suite)?;
    let ids = call.body.ids("case_ids")?.ok_or_else(|| Problem::required("case_ids"))?;
    let mut drafts = Vec::new();
    for id in &ids {
        if state.case(*id)?.suite != suite {
            return Err(Problem::invalid("case_id", "valid test case"));
        }
        drafts.push((*id, changed(state, call, *id, &call.body)?));
    }
    for (id, (content, section)) in drafts {
        store(state, call, id, content, section);
    }
    Ok(Reply::Json(json!({"updated_cases": shown(state, call, &ids)})))
}

/// The cases of a body, all of one project.
fn listed(state: &State, call: &Call, project: u32) -> Result<Vec<u32>, Problem> {
    let ids = call.body.ids("case_ids")?.ok_or_else(|| Problem::required("case_ids"))?;
    for id in &ids {
        if state.project_of_suite(state.case(*id)?.suite) != project {
            return Err(Problem::invalid("case_id", "valid test case"));
        }
    }
    Ok(ids)
}

pub(super) fn copy_cases_to_section(state: &mut State, call: &Call) -> Answer {
    let section = call.id(0, "section_id")?;
    let suite = state.section(section, "section_id")?.suite;
    let ids = listed(state, call, state.project_of_suite(suite))?;
    for id in ids {
        let content = state.case(id)?.content.clone();
        insert(state, section, content, call);
    }
    Ok(Reply::Empty)
}

pub(super) fn move_cases_to_section(state: &mut State, call: &Call) -> Answer {
    let section = call.id(0, "section_id")?;
    let suite = state.section(section, "section_id")?.suite;
    if call.body.id("suite_id")?.flatten().is_some_and(|asked| asked != suite) {
        return Err(Problem::invalid("suite_id", "valid test suite"));
    }
    let ids = listed(state, call, state.project_of_suite(suite))?;
    for id in ids {
        let old = state.case(id)?.section;
        if old == section {
            continue;
        }
        // The history tells of it; the time of the last update does not.
        let moved = history::moved(state, old, section);
        relocate(state, id, section);
        history::record(state, id, vec![moved], call);
        state.touched = true;
    }
    Ok(Reply::Empty)
}
