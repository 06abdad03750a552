//! Creating, changing and deleting entities one by one.

use super::body::Sent;
use super::call::{Call, Desk};
use super::input::{self, Fields};
use super::read::{self, shown, value};
use super::reply::{Answer, Body, Failure, Reply};
use super::rules;
use super::schema::{Kind, Type};
use super::store::{Audit, Row, Value};
use super::time;
use super::versions;

/// The most changes that the history keeps; older ones are forgotten.
const AUDITS_MAX: usize = 200_000;

/// Creates an entity and gives its id.
pub(super) fn create(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, sent: &Sent) -> Result<u32, Failure> {
    input::check_order(sent)?;
    let given = input::fields(desk.project, call, kind, sent, true)?;
    input::required(kind, &given)?;
    let row = Row::of(given.into_iter().filter_map(|(field, value)| Some((field, value?))).collect());
    insert(desk, call, kind, row)
}

/// Checks, completes and stores a row that is to be created.
pub(super) fn insert(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, mut row: Row) -> Result<u32, Failure> {
    rules::check(desk, call, kind, None, &row)?;
    rules::complete(desk, call, kind, &mut row)?;
    stamp(kind, &mut row, call.now, true);
    let id = desk.project.take_id(kind);
    desk.project.put(kind, id, row);
    *desk.revision += 1;
    rules::created(desk, call, kind, id);
    versions::created(desk, call, kind, id);
    Ok(id)
}

/// Sets version and time of the last change.
pub(super) fn stamp(kind: Kind, row: &mut Row, now: i64, new: bool) {
    if let Some(field) = kind.find("ver-stamp") {
        let version = if new { 1 } else { row.num(field).unwrap_or(0) + 1 };
        row.set(field, Some(Value::Num(version)));
    }
    if let Some(field) = kind.find("last-modified").or_else(|| kind.find("vts")) {
        row.set(field, Some(Value::Num(now)));
    }
}

/// `POST {collection}`.
pub(super) fn post(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, sent: &Sent) -> Answer {
    let id = create(desk, call, kind, sent)?;
    let row = desk.project.row(kind, id).ok_or_else(|| Failure::no_entity(kind.name(), id))?;
    let entity = read::entity(desk.project, kind, id, row, None);
    let location = format!("{}/{}/{id}", call.base, kind.collection());
    Ok(Reply::of(201, Body::Entity(entity)).header("Location", location))
}

/// Changes an entity.
pub(super) fn update(
    desk: &mut Desk<'_>,
    call: &Call<'_>,
    kind: Kind,
    id: u32,
    sent: &Sent,
) -> Result<(), Failure> {
    let old = read::visible(desk.project, kind, id, call.caller.user).map(std::borrow::Cow::into_owned);
    let old = old.ok_or_else(|| Failure::no_entity(kind.name(), id))?;
    guard(desk, call, kind, id, &old)?;
    let given = input::fields(desk.project, call, kind, sent, false)?;
    let mut row = old.clone();
    for (field, value) in given.clone() {
        let of = &kind.fields()[usize::from(field)];
        if value.is_none() && of.is('R') {
            return Err(input::missing(of));
        }
        row.set(field, value);
    }
    rules::check(desk, call, kind, Some((id, &old)), &row)?;
    stamp(kind, &mut row, call.now, false);
    remember(desk, call, kind, id, &old, &given);
    desk.project.put(kind, id, row);
    *desk.revision += 1;
    rules::updated(desk, call, kind, id, &given);
    Ok(())
}

/// `PUT {collection}/{id}`.
pub(super) fn put(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, id: u32, sent: &Sent) -> Answer {
    update(desk, call, kind, id, sent)?;
    read::get(desk.project, call, kind, id)
}

/// Refuses where another session holds the lock, or where a version must be checked out first.
pub(super) fn guard(desk: &Desk<'_>, call: &Call<'_>, kind: Kind, id: u32, row: &Row) -> Result<(), Failure> {
    locked(desk, call, kind, id)?;
    let parent = |field: &str| row.num(kind.at(field)).and_then(|id| u32::try_from(id).ok());
    match kind {
        Kind::DesignStep | Kind::TestConfig => {
            let test = parent("parent-id").unwrap_or_default();
            locked(desk, call, Kind::Test, test)?;
            versions::check(desk.project, call, Kind::Test, test)
        }
        kind if kind.is_versionable() => versions::check(desk.project, call, kind, id),
        _ => Ok(()),
    }
}

fn locked(desk: &Desk<'_>, call: &Call<'_>, kind: Kind, id: u32) -> Result<(), Failure> {
    match desk.sessions.locked_by_other(call.project, kind, id, &call.caller.session) {
        None => Ok(()),
        Some(user) => {
            let login = call.users.get(usize::from(user)).map_or("", |u| u.login.as_str());
            Err(Failure::new(403, "qccore.lock-failure", format!("The entity is locked by user '{login}'")))
        }
    }
}

/// Writes what changed into the history.
fn remember(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, id: u32, old: &Row, given: &Fields) {
    let mut changes = Vec::new();
    for (at, new) in given {
        let field = &kind.fields()[usize::from(*at)];
        if !field.is('H') || field.kind == Type::Memo {
            continue;
        }
        let mut after = old.clone();
        after.set(*at, new.clone());
        let text = |row: &Row| shown(field, value(desk.project, kind, id, row, *at)).join(";");
        let (before, after) = (text(old), text(&after));
        if before != after {
            changes.push((*at, before, after));
        }
    }
    if changes.is_empty() {
        return;
    }
    if desk.project.audits.len() >= AUDITS_MAX {
        desk.project.audits.drain(..AUDITS_MAX / 2);
    }
    desk.project.audits.push(Audit { kind, of: id, user: call.caller.user, at: call.now, changes });
}

/// `DELETE {collection}/{id}`.
pub(super) fn delete(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, id: u32) -> Answer {
    let row = read::visible(desk.project, kind, id, call.caller.user).map(std::borrow::Cow::into_owned);
    let row = row.ok_or_else(|| Failure::no_entity(kind.name(), id))?;
    let entity = read::entity(desk.project, kind, id, &row, None);
    remove(desk, call, kind, id)?;
    Ok(Reply::of(200, Body::Entity(entity)))
}

/// Deletes an entity and what cannot be without it.
pub(super) fn remove(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, id: u32) -> Result<(), Failure> {
    let row = desk.project.row(kind, id).ok_or_else(|| Failure::no_entity(kind.name(), id))?.clone();
    if rules::is_root(kind, id) {
        return Err(Failure::general(500, format!("Cannot delete the root '{}'.", kind.title())));
    }
    locked(desk, call, kind, id)?;
    if kind == Kind::DesignStep {
        guard(desk, call, kind, id, &row)?;
    }
    if matches!(kind, Kind::TestFolder | Kind::TestSetFolder) {
        let all = call.query("force-delete-children").is_some_and(|v| v.eq_ignore_ascii_case("y"));
        empty_folder(desk, kind, id, all);
    }
    cascade(desk, kind, id);
    if kind == Kind::DesignStep {
        rules::touch_test(desk, &row);
    }
    *desk.revision += 1;
    Ok(())
}

/// Deletes what is below a folder, or moves its contents to where unattached ones are.
fn empty_folder(desk: &mut Desk<'_>, kind: Kind, id: u32, all: bool) {
    let held = if kind == Kind::TestFolder { Kind::Test } else { Kind::TestSet };
    let unattached = if kind == Kind::TestFolder { 0 } else { rules::UNATTACHED_SETS };
    for folder in desk.project.children(kind, "parent-id", id) {
        empty_folder(desk, kind, folder, all);
        cascade(desk, kind, folder);
    }
    for child in desk.project.children(held, "parent-id", id) {
        if all {
            cascade(desk, held, child);
        } else {
            desk.project.edit(held, child, vec![(held.at("parent-id"), Some(Value::Num(unattached)))]);
        }
    }
}

/// Takes a row away with all that hangs on it.
fn cascade(desk: &mut Desk<'_>, kind: Kind, id: u32) {
    let below: &[(Kind, &str)] = match kind {
        Kind::Test => &[
            (Kind::DesignStep, "parent-id"),
            (Kind::TestConfig, "parent-id"),
            (Kind::TestInstance, "test-id"),
            (Kind::Coverage, "test-id"),
        ],
        Kind::TestSet => &[(Kind::TestInstance, "cycle-id")],
        Kind::TestInstance => &[(Kind::Run, "testcycl-id")],
        Kind::Run => &[(Kind::RunStep, "parent-id")],
        Kind::Requirement => &[(Kind::Coverage, "requirement-id"), (Kind::Requirement, "parent-id")],
        Kind::Defect => &[(Kind::DefectLink, "first-endpoint-id")],
        Kind::ReleaseFolder => &[(Kind::ReleaseFolder, "parent-id"), (Kind::Release, "parent-id")],
        _ => &[],
    };
    for (child, field) in below {
        for row in desk.project.children(*child, field, id) {
            cascade(desk, *child, row);
        }
    }
    for (table, name, of) in [
        (Kind::DefectLink, "second-endpoint-id", "second-endpoint-type"),
        (Kind::Attachment, "parent-id", "parent-type"),
    ] {
        for row in desk.project.children(table, name, id) {
            if desk.project.row(table, row).is_some_and(|r| r.text(table.at(of)) == kind.name()) {
                desk.project.remove(table, row);
                if table == Kind::Attachment {
                    desk.project.files.remove(&row);
                }
            }
        }
    }
    desk.project.remove(kind, id);
    desk.project.checked_out.remove(&(kind, id));
    desk.project.versions.remove(&(kind, id));
}

/// The history of an entity, or of the project.
pub(super) fn audits(desk: &Desk<'_>, call: &Call<'_>, of: Option<(Kind, u32)>) -> Answer {
    let physical = |kind: Kind| kind.fields()[0].physical.split('_').next().unwrap_or_default();
    let all = desk.project.audits.iter().enumerate();
    let found: Vec<_> =
        all.filter(|(_, a)| of.is_none_or(|(kind, id)| (a.kind, a.of) == (kind, id))).collect();
    let mut xml = format!("<Audits TotalResults=\"{}\">", found.len());
    let mut entries = Vec::new();
    for (n, audit) in &found {
        let login = call.users.get(usize::from(audit.user)).map_or("", |u| u.login.as_str());
        let (at, parent) = (time::date_time_text(audit.at), table_name(audit.kind, physical(audit.kind)));
        xml.push_str(&format!(
            "<Audit><Id>{}</Id><Action>UPDATE</Action><ParentId>{}</ParentId><ParentType>{parent}</ParentType><Time>{at}</Time><User>{}</User><Properties>",
            n + 1, audit.of, super::reply::escape(login)
        ));
        let mut properties = Vec::new();
        for (field, old, new) in &audit.changes {
            let field = &audit.kind.fields()[usize::from(*field)];
            let (o, w) = (super::reply::escape(old), super::reply::escape(new));
            xml.push_str(&format!("<Property Name=\"{}\" Label=\"{}\"><OldValue>{o}</OldValue><NewValue>{w}</NewValue></Property>", field.name, super::reply::escape(field.label)));
            properties.push(serde_json::json!({"Name": field.name, "Label": field.label, "OldValue": old, "NewValue": new}));
        }
        xml.push_str("</Properties></Audit>");
        entries.push(serde_json::json!({
            "Id": n + 1, "ParentId": audit.of, "ParentType": parent, "Action": "UPDATE", "User": login, "Time": at,
            "Properties": {"Property": single_or_list(properties)}
        }));
    }
    xml.push_str("</Audits>");
    let json = serde_json::json!({"Audits": {"TotalResults": found.len(), "Audit": single_or_list(entries)}});
    Ok(Reply::of(200, Body::Both(xml, json.to_string())))
}

/// Lists of one collapse to the one.
fn single_or_list(mut list: Vec<serde_json::Value>) -> serde_json::Value {
    if list.len() == 1 { list.remove(0) } else { serde_json::Value::Array(list) }
}

fn table_name(kind: Kind, prefix: &str) -> String {
    match kind {
        Kind::Test => "TEST".to_owned(),
        Kind::Requirement => "REQ".to_owned(),
        Kind::Defect => "BUG".to_owned(),
        Kind::TestSet => "CYCLE".to_owned(),
        Kind::TestInstance => "TESTCYCL".to_owned(),
        Kind::Run => "RUN".to_owned(),
        _ => prefix.to_owned(),
    }
}
