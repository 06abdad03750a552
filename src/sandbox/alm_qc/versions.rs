//! Versioned projects: checking out, checking in, taking back; and the locks of sessions.

use super::body;
use super::call::{Call, Desk};
use super::read;
use super::reply::{Answer, Body, Entity, Failure, Reply, escape, quoted};
use super::schema::Kind;
use super::store::{Project, Snapshot, Value, Version};
use super::time;

/// Whether the project keeps versions of an entity.
fn is_kept(project: &Project, kind: Kind) -> bool {
    project.versioned && kind.is_versionable()
}

/// Refuses a write of an entity that the caller has not checked out.
pub(super) fn check(project: &Project, call: &Call<'_>, kind: Kind, id: u32) -> Result<(), Failure> {
    let mine = || project.checked_out.get(&(kind, id)).is_some_and(|s| s.user == call.caller.user);
    if !is_kept(project, kind) || super::rules::is_root(kind, id) || mine() {
        return Ok(());
    }
    if let Some(snapshot) = project.checked_out.get(&(kind, id)) {
        let login = call.users.get(usize::from(snapshot.user)).map_or("", |u| u.login.as_str());
        let title = format!("The entity is checked out by user '{login}'");
        return Err(Failure::new(403, "qccore.operation-forbidden", title));
    }
    let title = format!("The {} must be checked out before it can be modified.", kind.title());
    Err(Failure::new(403, "qccore.operation-forbidden", title))
}

/// A new entity of a versioned project is checked out by who made it.
pub(super) fn created(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, id: u32) {
    if is_kept(desk.project, kind) {
        let snapshot = Snapshot { user: call.caller.user, row: None, steps: Vec::new() };
        desk.project.checked_out.insert((kind, id), snapshot);
        mark_out(desk, call, kind, id, 1);
    }
}

fn mark_out(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, id: u32, number: i64) {
    desk.project.edit(
        kind,
        id,
        vec![
            (kind.at("vc-status"), Some(Value::text("Checked_Out"))),
            (kind.at("vc-version-number"), Some(Value::Num(number))),
            (kind.at("check-out-user-name"), Some(Value::text(call.login()))),
        ],
    );
}

/// `POST {collection}/{id}/versions/{verb}` and `GET {collection}/{id}/versions`.
pub(super) fn route(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, id: u32, rest: &[&str]) -> Answer {
    if !kind.is_versionable() {
        return Err(Failure::no_resource());
    }
    if read::visible(desk.project, kind, id, call.caller.user).is_none() {
        return Err(Failure::no_entity(kind.name(), id));
    }
    match (call.request.method.as_str(), rest) {
        ("POST", ["check-out"]) => check_out(desk, call, kind, id),
        ("POST", ["check-in"]) => check_in(desk, call, kind, id),
        ("POST", ["undo-check-out"]) => undo(desk, call, kind, id),
        ("GET", []) => Ok(list(desk.project, call, kind, id)),
        ("GET", [number]) => version(desk.project, kind, id, number),
        (_, [] | ["check-out" | "check-in" | "undo-check-out"] | [_]) => Err(Failure::no_method()),
        _ => Err(Failure::no_resource()),
    }
}

/// A text of the body, in either form, if there is one.
fn parameter(call: &Call<'_>, name: &str) -> Result<Option<String>, Failure> {
    if call.request.body.is_empty() {
        return Ok(None);
    }
    if call.kind()?.json {
        let json: serde_json::Value =
            serde_json::from_slice(&call.request.body).map_err(|_| Failure::general(400, "Bad Request"))?;
        let inner = json.get("CheckOutParameters").or_else(|| json.get("CheckInParameters")).unwrap_or(&json);
        return Ok(inner.get(name).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)));
    }
    Ok(body::element(&call.request.body, name))
}

fn check_out(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, id: u32) -> Answer {
    let refuse = |title: String| Failure::new(403, "qccore.check-out-failure", title);
    if !is_kept(desk.project, kind) {
        return Err(refuse("Version control is not enabled in the project.".to_owned()));
    }
    if let Some(snapshot) = desk.project.checked_out.get(&(kind, id)) {
        let login = call.users.get(usize::from(snapshot.user)).map_or("", |u| u.login.as_str());
        return Err(refuse(format!("The entity is already checked out by user '{login}'")));
    }
    let comment = parameter(call, "Comment")?;
    let row = desk.project.row(kind, id).cloned().ok_or_else(|| Failure::no_entity(kind.name(), id))?;
    let number = row.num(kind.at("vc-version-number")).unwrap_or(1);
    let steps = match kind {
        Kind::Test => desk.project.children(Kind::DesignStep, "parent-id", id),
        _ => Vec::new(),
    };
    let steps =
        steps.into_iter().filter_map(|s| Some((s, desk.project.row(Kind::DesignStep, s)?.clone()))).collect();
    desk.project.checked_out.insert((kind, id), Snapshot { user: call.caller.user, row: Some(row), steps });
    mark_out(desk, call, kind, id, number + 1);
    if let (Some(comment), Some(field)) = (comment, kind.find("vc-comments")) {
        desk.project.edit(kind, id, vec![(field, Some(Value::text(super::memo::memo(&comment))))]);
    }
    *desk.revision += 1;
    read::get(desk.project, call, kind, id)
}

fn mine<'a>(
    desk: &'a Desk<'_>,
    call: &Call<'_>,
    kind: Kind,
    id: u32,
    error: &'static str,
) -> Result<&'a Snapshot, Failure> {
    let held = desk.project.checked_out.get(&(kind, id)).filter(|s| s.user == call.caller.user);
    held.ok_or_else(|| Failure::new(403, error, "The entity is not checked out by the current user."))
}

fn check_in(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, id: u32) -> Answer {
    mine(desk, call, kind, id, "qccore.check-in-failure")?;
    let comment = parameter(call, "Comment")?.unwrap_or_default();
    let replace = parameter(call, "OverrideLastVersion")?.is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let number = desk.project.row(kind, id).and_then(|r| r.num(kind.at("vc-version-number"))).unwrap_or(1);
    let number = if replace { (number - 1).max(1) } else { number };
    let text = |text: String| Some(Value::text(text)).filter(|v| *v != Value::text(""));
    desk.project.edit(
        kind,
        id,
        vec![
            (kind.at("vc-status"), Some(Value::text("Checked_In"))),
            (kind.at("vc-version-number"), Some(Value::Num(number))),
            (kind.at("check-out-user-name"), None),
            (kind.at("vc-checkin-user-name"), text(call.login().to_owned())),
            (kind.at("vc-checkin-date"), Some(Value::Num(time::day(call.now)))),
            (kind.at("vc-checkin-time"), text(time::time_text(call.now))),
            (kind.at("vc-checkin-comments"), text(super::memo::memo(&comment))),
        ],
    );
    desk.project.checked_out.remove(&(kind, id));
    let row = desk.project.row(kind, id).cloned().unwrap_or_default();
    let kept = desk.project.versions.entry((kind, id)).or_default();
    let number = u32::try_from(number).unwrap_or(1);
    kept.retain(|v| v.number != number);
    kept.push(Version { number, user: call.caller.user, at: call.now, comment, row });
    *desk.revision += 1;
    Ok(Reply::empty(200))
}

fn undo(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, id: u32) -> Answer {
    let error = "qccore.undo-check-out-failure";
    let snapshot = mine(desk, call, kind, id, error)?.clone();
    let Some(row) = snapshot.row else {
        return Err(Failure::new(403, error, "The entity has no version to go back to."));
    };
    desk.project.put(kind, id, row);
    if kind == Kind::Test {
        for step in desk.project.children(Kind::DesignStep, "parent-id", id) {
            desk.project.remove(Kind::DesignStep, step);
        }
        for (step, row) in snapshot.steps {
            desk.project.put(Kind::DesignStep, step, row);
        }
    }
    desk.project.checked_out.remove(&(kind, id));
    *desk.revision += 1;
    read::get(desk.project, call, kind, id)
}

fn list(project: &Project, call: &Call<'_>, kind: Kind, id: u32) -> Reply {
    let versions = project.versions.get(&(kind, id)).map_or(&[][..], Vec::as_slice);
    let login = |user: u16| call.users.get(usize::from(user)).map_or("", |u| u.login.as_str());
    let (mut xml, mut json) = ("<Versions>".to_owned(), Vec::new());
    for version in versions {
        let (user, at) = (login(version.user), time::date_time_text(version.at));
        xml.push_str(&format!(
            "<Version><VersionNumber>{}</VersionNumber><UserName>{}</UserName><Date>{at}</Date><Comments>{}</Comments></Version>",
            version.number, escape(user), escape(&version.comment)
        ));
        json.push(format!(
            "{{\"VersionNumber\":{},\"UserName\":{},\"Date\":\"{at}\",\"Comments\":{}}}",
            version.number,
            quoted(user),
            quoted(&version.comment)
        ));
    }
    xml.push_str("</Versions>");
    Reply::of(200, Body::Both(xml, format!("{{\"Versions\":[{}]}}", json.join(","))))
}

fn version(project: &Project, kind: Kind, id: u32, number: &str) -> Answer {
    let versions = project.versions.get(&(kind, id)).map_or(&[][..], Vec::as_slice);
    let found = versions.iter().find(|v| v.number.to_string() == number);
    let version = found.ok_or_else(|| Failure::no_entity("VERSION", number))?;
    Ok(Reply::of(200, Body::Entity(read::entity(project, kind, id, &version.row, None))))
}

/// `GET`, `POST` and `DELETE {collection}/{id}/lock`.
pub(super) fn lock(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, id: u32) -> Answer {
    let row = read::visible(desk.project, kind, id, call.caller.user).map(std::borrow::Cow::into_owned);
    let row = row.ok_or_else(|| Failure::no_entity(kind.name(), id))?;
    let key = (call.project, kind, id);
    let other = desk.sessions.locked_by_other(call.project, kind, id, &call.caller.session);
    let held = desk.sessions.locks.contains_key(&key);
    let login = |user: u16| call.users.get(usize::from(user)).map_or("", |u| u.login.as_str());
    match (call.request.method.as_str(), other) {
        ("GET", other) => {
            let (state, user) = match other {
                Some(user) => ("LOCKED_BY_OTHER", login(user)),
                None if held => ("LOCKED_BY_ME", call.login()),
                None => ("UNLOCKED", ""),
            };
            let xml = format!(
                "<LockStatus><LockStatusValue>{state}</LockStatusValue><LockUser>{}</LockUser></LockStatus>",
                escape(user)
            );
            let json = format!("{{\"LockStatusValue\":\"{state}\",\"LockUser\":{}}}", quoted(user));
            Ok(Reply::of(200, Body::Both(xml, json)))
        }
        ("POST" | "DELETE", Some(user)) => Err(Failure::new(
            403,
            "qccore.lock-failure",
            format!("The entity is locked by user '{}'", login(user)),
        )),
        ("POST", None) => {
            desk.sessions.locks.insert(key, call.caller.session.clone());
            Ok(Reply::of(200, Body::Entity(entity(desk.project, kind, id, &row))))
        }
        ("DELETE", None) => {
            desk.sessions.locks.remove(&key);
            Ok(Reply::of(200, Body::Entity(entity(desk.project, kind, id, &row))))
        }
        _ => Err(Failure::no_method()),
    }
}

fn entity(project: &Project, kind: Kind, id: u32, row: &super::store::Row) -> Entity {
    read::entity(project, kind, id, row, None)
}
