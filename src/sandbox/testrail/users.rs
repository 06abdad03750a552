//! Users, roles and groups.

use serde_json::{Value, json};

use super::auth::ROLES;
use super::call::{Body, Call};
use super::page::{Bare, list};
use super::projects::NAME;
use super::reply::{Answer, Problem, Reply};
use super::state::{Group, State, User, take};

fn show(state: &State, call: &Call, at: usize, user: &User) -> Value {
    let role = ROLES.get(usize::from(user.role).wrapping_sub(1));
    let id = at as u32 + 1;
    let mut out = json!({
        "id": id, "name": user.name, "email": user.email, "is_active": user.active,
        "role_id": user.role, "role": role,
    });
    if !call.face.old() {
        let groups = state.groups.iter().filter(|(_, g)| g.users.contains(&id));
        out["is_admin"] = user.admin.into();
        out["email_notifications"] = true.into();
        out["group_ids"] = groups.map(|(id, _)| *id).collect();
        out["mfa_required"] = 0.into();
        out["sso_enabled"] = false.into();
        out["assigned_projects"] = json!([]);
    }
    out
}

fn user(state: &State, id: u32) -> Result<&User, Problem> {
    let at = (id as usize).checked_sub(1);
    at.and_then(|at| state.users.get(at)).ok_or_else(|| Problem::invalid("user_id", "valid user"))
}

fn shown(state: &State, call: &Call, id: u32) -> Answer {
    Ok(Reply::Json(show(state, call, id as usize - 1, user(state, id)?)))
}

fn admin(state: &State, call: &Call) -> bool {
    user(state, call.user).is_ok_and(|u| u.admin)
}

pub(super) fn get_current_user(state: &mut State, call: &Call) -> Answer {
    shown(state, call, call.user)
}

pub(super) fn get_user(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "user_id")?;
    user(state, id)?;
    if id != call.user && !admin(state, call) {
        return Err(Problem::denied("You are not allowed to view this user (insufficient permissions)."));
    }
    shown(state, call, id)
}

pub(super) fn get_user_by_email(state: &mut State, call: &Call) -> Answer {
    let email = call.param("email").ok_or_else(|| Problem::required("email"))?;
    let at = state.users.iter().position(|u| u.email.eq_ignore_ascii_case(email));
    let at = at.ok_or_else(|| Problem::invalid("email", "valid user"))?;
    shown(state, call, at as u32 + 1)
}

pub(super) fn get_users(state: &mut State, call: &Call) -> Answer {
    if call.args.is_empty() {
        if !admin(state, call) {
            return Err(Problem::denied(
                "You are not allowed to view all users (requires admin rights or a project ID).",
            ));
        }
    } else {
        state.project(call.id(0, "project_id")?)?;
    }
    let state = &*state;
    let found = state.users.iter().enumerate().filter(|(_, u)| u.active || call.args.is_empty());
    list(call, "users", Bare::Whole, found, |(at, u)| show(state, call, at, u))
}

fn apply(body: &Body, user: &mut User, must: bool) -> Result<(), Problem> {
    if let Some(name) = body.name("name", NAME, must)? {
        user.name = name.into();
    }
    if let Some(email) = body.name("email", NAME, must)? {
        user.email = email.into();
    }
    user.active = body.flag("is_active")?.unwrap_or(user.active);
    user.admin = body.flag("is_admin")?.unwrap_or(user.admin);
    if let Some(Some(role)) = body.id("role_id")? {
        let known = u8::try_from(role).ok().filter(|r| (1..=ROLES.len()).contains(&usize::from(*r)));
        user.role = known.ok_or_else(|| Problem::invalid("role_id", "valid role"))?;
    }
    Ok(())
}

pub(super) fn add_user(state: &mut State, call: &Call) -> Answer {
    let mut user = User { name: String::new(), email: String::new(), active: true, admin: false, role: 3 };
    apply(&call.body, &mut user, true)?;
    if state.users.iter().any(|u| u.email.eq_ignore_ascii_case(&user.email)) {
        return Err(Problem::bad("Field :email is already in use."));
    }
    state.users.push(user);
    state.touched = true;
    shown(state, call, state.users.len() as u32)
}

pub(super) fn update_user(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "user_id")?;
    let mut changed = user(state, id)?.clone();
    apply(&call.body, &mut changed, false)?;
    if let Some(place) = state.users.get_mut(id as usize - 1) {
        *place = changed;
    }
    state.touched = true;
    shown(state, call, id)
}

pub(super) fn get_roles(_: &mut State, call: &Call) -> Answer {
    let roles = ROLES.iter().zip(1..);
    list(
        call,
        "roles",
        Bare::Whole,
        roles,
        |(name, id)| json!({"id": id, "name": name, "is_default": id == 3, "is_project_admin": id == 1}),
    )
}

fn show_group(id: u32, group: &Group) -> Value {
    json!({"id": id, "name": group.name, "user_ids": group.users})
}

fn group(state: &mut State, id: u32) -> Result<&mut Group, Problem> {
    state.groups.get_mut(&id).ok_or_else(|| Problem::invalid("group_id", "valid group"))
}

pub(super) fn get_groups(state: &mut State, call: &Call) -> Answer {
    list(call, "groups", Bare::Whole, state.groups.iter(), |(id, g)| show_group(*id, g))
}

pub(super) fn get_group(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "group_id")?;
    Ok(Reply::Json(show_group(id, group(state, id)?)))
}

/// The members that a body names.
fn members(state: &State, body: &Body) -> Result<Option<Vec<u32>>, Problem> {
    let Some(ids) = body.ids("user_ids")? else { return Ok(None) };
    ids.iter().try_for_each(|id| user(state, *id).map(drop))?;
    Ok(Some(ids))
}

pub(super) fn add_group(state: &mut State, call: &Call) -> Answer {
    let name = call.body.name("name", NAME, true)?.unwrap_or_default();
    let users = members(state, &call.body)?.unwrap_or_default();
    let id = take(&mut state.next.group);
    let group = Group { name, users };
    let answer = show_group(id, &group);
    state.groups.insert(id, group);
    state.touched = true;
    Ok(Reply::Json(answer))
}

pub(super) fn update_group(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "group_id")?;
    if call.body.id("group_id")?.flatten() != Some(id) {
        return Err(Problem::required("group_id"));
    }
    let users = members(state, &call.body)?;
    let name = call.body.name("name", NAME, false)?;
    let group = group(state, id)?;
    group.name = name.unwrap_or_else(|| group.name.clone());
    group.users = users.unwrap_or_else(|| group.users.clone());
    let answer = show_group(id, group);
    state.touched = true;
    Ok(Reply::Json(answer))
}

pub(super) fn delete_group(state: &mut State, call: &Call) -> Answer {
    let id = call.id(0, "group_id")?;
    group(state, id)?;
    state.groups.remove(&id);
    state.touched = true;
    Ok(Reply::Empty)
}
