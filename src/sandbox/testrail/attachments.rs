//! Attached files.

use bytes::Bytes;
use serde_json::{Value, json};

use super::call::Call;
use super::multipart;
use super::page::{Bare, list};
use super::reply::{Answer, Problem, Reply};
use super::runs::still_open;
use super::state::{Attachment, Owner, State, take};

/// Where the ids of the Cloud start as numbers of their own.
const CLIENT: u32 = 1;

/// An attachment's identifier in texts.
fn guid(id: u32) -> String {
    let hash = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(format!("attachment {id}").as_bytes()));
    format!("{}-{}-4{}-8{}-{}", &hash[..8], &hash[8..12], &hash[13..16], &hash[17..20], &hash[20..])
}

/// An attachment's id as the installation shows it.
pub(super) fn shown_id(call: &Call, id: u32) -> Value {
    if call.face.text_attachment_ids() { guid(id).into() } else { id.into() }
}

fn kind(owner: &Owner) -> (&'static str, String) {
    match owner {
        Owner::Case(id) => ("case", id.to_string()),
        Owner::Plan(id) => ("plan", id.to_string()),
        Owner::Entry(_, id) => ("entry", id.clone()),
        Owner::Run(id) => ("run", id.to_string()),
        Owner::Result(id) => ("test_change", id.to_string()),
    }
}

fn show(state: &State, call: &Call, id: u32, file: &Attachment) -> Value {
    let extension = file.name.rsplit_once('.').map_or("", |(_, e)| e);
    let image = file.mime.starts_with("image/");
    if call.face.old() {
        let (case, result) = match file.owner {
            Owner::Case(case) => (Some(case), None),
            Owner::Result(result) => {
                let test = state.outcome(result).and_then(|row| state.test(row.test).ok());
                (test.map(|t| t.case), Some(result))
            }
            _ => (None, None),
        };
        return json!({
            "id": id, "name": file.name, "filename": format!("{id}.{extension}"), "size": file.data.len(),
            "created_on": file.created_on, "project_id": file.project, "case_id": case,
            "user_id": file.user, "result_id": result,
        });
    }
    let (entity_type, entity_id) = kind(&file.owner);
    let mut out = json!({
        "id": shown_id(call, id), "name": file.name, "filename": file.name, "filetype": file.mime,
        "cassandra_file_id": guid(id), "size": file.data.len(), "created_on": file.created_on,
        "project_id": file.project, "user_id": file.user, "data_id": shown_id(call, id),
        "client_id": CLIENT, "entity_type": entity_type, "entity_id": entity_id, "legacy_id": 0,
        "is_image": image, "icon": if image { "image" } else { "file" },
    });
    if let Owner::Result(result) = file.owner {
        out["result_id"] = result.into();
    }
    out
}

/// Stores a file, and gives its number.
pub(super) fn insert(state: &mut State, file: Attachment) -> u32 {
    let id = take(&mut state.next.attachment);
    if let Owner::Result(result) = file.owner {
        state.files_of.entry(result).or_default().push(id);
    }
    state.attachments.insert(id, file);
    id
}

fn add(state: &mut State, call: &Call, owner: Owner, project: u32) -> Answer {
    let parts = multipart::parts(&call.content_type, &call.bytes);
    let part = parts.unwrap_or_default().into_iter().find(|p| p.name == "attachment");
    let part = part.ok_or_else(|| Problem::bad("No file attached or upload size was exceeded."))?;
    let file = Attachment {
        owner,
        project,
        name: part.file_name.unwrap_or_else(|| "attachment".to_owned()),
        mime: part.mime,
        user: call.user,
        created_on: call.now,
        data: part.data,
    };
    let id = insert(state, file);
    state.touched = true;
    Ok(Reply::Json(json!({"attachment_id": shown_id(call, id)})))
}

pub(super) fn add_attachment_to_case(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "case_id")?;
    let project = state.project_of_suite(state.case(id)?.suite);
    add(state, call, Owner::Case(id), project)
}

pub(super) fn add_attachment_to_plan(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "plan_id")?;
    let project = state.plan(id)?.project;
    add(state, call, Owner::Plan(id), project)
}

/// The plan entry of a call.
fn entry(state: &State, call: &Call) -> Result<(Owner, u32), Problem> {
    let plan = call.id(0, "plan_id")?;
    let held = state.plan(plan)?;
    let id = call.args.get(1).cloned().unwrap_or_default();
    let known = held.entries.iter().any(|e| e.id == id);
    known
        .then_some((Owner::Entry(plan, id), held.project))
        .ok_or_else(|| Problem::invalid("entry_id", "valid test plan entry"))
}

pub(super) fn add_attachment_to_plan_entry(state: &mut State, call: &Call) -> Answer {
    let (owner, project) = entry(state, call)?;
    add(state, call, owner, project)
}

pub(super) fn add_attachment_to_run(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "run_id")?;
    let project = state.run(id)?.project;
    add(state, call, Owner::Run(id), project)
}

pub(super) fn add_attachment_to_result(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "result_id")?;
    let row = state.outcome(id).ok_or_else(|| Problem::invalid("result_id", "valid test result"))?;
    let run = state.run(state.test(row.test)?.run)?;
    still_open(run.completed_on, "test run")?;
    let project = run.project;
    add(state, call, Owner::Result(id), project)
}

fn of(state: &State, call: &Call, owner: &Owner) -> Answer {
    let found = state.attachments.iter().filter(|(_, a)| a.owner == *owner);
    list(call, "attachments", Bare::Whole, found, |(id, a)| show(state, call, *id, a))
}

pub(super) fn get_attachments_for_case(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "case_id")?;
    state.case(id)?;
    of(state, call, &Owner::Case(id))
}

pub(super) fn get_attachments_for_plan(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "plan_id")?;
    state.plan(id)?;
    of(state, call, &Owner::Plan(id))
}

pub(super) fn get_attachments_for_run(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "run_id")?;
    state.run(id)?;
    of(state, call, &Owner::Run(id))
}

pub(super) fn get_attachments_for_plan_entry(state: &mut State, call: &Call) -> Answer {
    let (owner, _) = entry(state, call)?;
    let found = state.attachments.iter().filter(|(_, a)| a.owner == owner);
    Ok(Reply::Json(found.map(|(id, a)| show(state, call, *id, a)).collect()))
}

/// The files of all results of a test.
pub(super) fn get_attachments_for_test(state: &mut State, call: &Call) -> Answer {
    let mut next = state.test(call.id(0, "test_id")?)?.last;
    let mut out = Vec::new();
    while let Some(row) = state.outcome(next) {
        for id in state.files_of.get(&next).into_iter().flatten() {
            out.extend(state.attachments.get(id).map(|a| show(state, call, *id, a)));
        }
        next = row.before;
    }
    Ok(Reply::Json(Value::Array(out)))
}

/// The number of an attachment, which may be asked for in both forms.
fn named(state: &State, call: &Call) -> Result<u32, Problem> {
    let text = call.args.first().map(String::as_str).unwrap_or_default();
    let number = text.parse().ok().filter(|id| state.attachments.contains_key(id));
    let found = number.or_else(|| state.attachments.keys().copied().find(|id| guid(*id) == text));
    found.ok_or_else(|| Problem::invalid("attachment_id", "valid attachment"))
}

pub(super) fn get_attachment(state: &mut State, call: &Call) -> Answer {
    let id = named(state, call)?;
    let file =
        state.attachments.get(&id).ok_or_else(|| Problem::invalid("attachment_id", "valid attachment"))?;
    Ok(Reply::File(file.mime.clone(), file.name.clone(), Bytes::from(file.data.clone())))
}

pub(super) fn delete_attachment(state: &mut State, call: &Call) -> Answer {
    let id = named(state, call)?;
    state.attachments.remove(&id);
    state.touched = true;
    Ok(Reply::Empty)
}
