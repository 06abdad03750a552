//! Links between issues, with the direction as Jira names it, and links to the outside.

use serde_json::{Value, json};

use super::{Call, read, write};
use crate::sandbox::jira_xray::reply::{Answer, Problem, Reply};
use crate::sandbox::jira_xray::store::{Issue, Link, RemoteLink, State};

/// Most links of one issue.
const LINKS_MAX: usize = 2_000;

/// The links of an issue as its field shows them.
pub(crate) fn of_issue(state: &State, call: &Call, issue: &Issue) -> Value {
    let held = issue.links.iter().filter_map(|l| state.links.get(l));
    Value::Array(held.filter_map(|l| one_end(state, call, l, issue.id)).collect())
}

fn kind(state: &State, call: &Call, index: u16) -> Value {
    let kind = &state.site.link_types[usize::from(index)];
    json!({
        "id": kind.id.to_string(), "name": kind.name, "inward": kind.inward,
        "outward": kind.outward, "self": call.link(&format!("issueLinkType/{}", kind.id))
    })
}

/// The source sees the other end as its outward issue, the target as its inward one.
fn one_end(state: &State, call: &Call, link: &Link, seen_from: u64) -> Option<Value> {
    let (key, other) =
        if link.source == seen_from { ("outwardIssue", link.target) } else { ("inwardIssue", link.source) };
    let other = read::linked(state, call, state.issue(other)?);
    let mut out = json!({
        "id": link.id.to_string(), "self": call.link(&format!("issueLink/{}", link.id)),
        "type": kind(state, call, link.kind)
    });
    out[key] = other;
    Some(out)
}

fn link_type(state: &State, value: Option<&Value>) -> Option<u16> {
    let value = value?;
    let id = super::values::id_of(value);
    let name = value.get("name").and_then(Value::as_str);
    let at = state.site.link_types.iter().position(|t| match id {
        Some(id) => t.id == id,
        None => name.is_some_and(|n| n.eq_ignore_ascii_case(&t.name)),
    })?;
    u16::try_from(at).ok()
}

fn end(state: &State, value: Option<&Value>) -> Option<u64> {
    let value = value?;
    let text = value.get("key").or_else(|| value.get("id"))?;
    let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
    state.find_issue(&text).map(|i| i.id)
}

/// Reads a link inside a create or edit: type, source and target, where `None` is the
/// issue itself.
pub(crate) fn from_update(state: &State, value: &Value) -> Result<(u16, Option<u64>, Option<u64>), String> {
    let kind = link_type(state, value.get("type"))
        .ok_or_else(|| "No issue link type with the given name or id found.".to_owned())?;
    let missing = || "Issue does not exist or you do not have permission to see it.".to_owned();
    if value.get("outwardIssue").is_some() {
        let target = end(state, value.get("outwardIssue")).ok_or_else(missing)?;
        Ok((kind, None, Some(target)))
    } else {
        let source = end(state, value.get("inwardIssue")).ok_or_else(missing)?;
        Ok((kind, Some(source), None))
    }
}

/// Links two issues unless they are linked so already.
pub(crate) fn add(state: &mut State, call: &Call, kind: u16, source: u64, target: u64) {
    let exists = state.issue(source).is_some_and(|i| {
        i.links
            .iter()
            .filter_map(|l| state.links.get(l))
            .any(|l| l.kind == kind && l.source == source && l.target == target)
    });
    if exists {
        return;
    }
    state.counters.link += 1;
    let id = state.counters.link;
    state.links.insert(id, Link { id, kind, source, target });
    let phrase = &state.site.link_types[usize::from(kind)];
    let (outward, inward) = (phrase.outward.clone(), phrase.inward.clone());
    for (at, other, words) in [(source, target, outward), (target, source, inward)] {
        let Some(mut issue) = state.issue(at).cloned() else { continue };
        let key = state.issue(other).map(|o| state.key_of(o)).unwrap_or_default();
        let text = format!("This issue {words} {key}");
        let entry = write::item("issuelinks", None, Some((key, text)));
        issue.links.push(id);
        issue.updated = call.now;
        write::push_change(state, call, &mut issue, vec![entry]);
        state.put_issue(issue, call.now);
    }
}

/// `POST /issueLink`: the issue named `inwardIssue` is the subject of the outward phrase.
pub(crate) fn create(state: &mut State, call: &Call, body: &Value) -> Answer {
    let Some(kind) = link_type(state, body.get("type")) else {
        return Err(Problem::not_found("No issue link type with the given name or id found."));
    };
    let source = end(state, body.get("inwardIssue")).ok_or_else(Problem::no_issue)?;
    let target = end(state, body.get("outwardIssue")).ok_or_else(Problem::no_issue)?;
    if source == target {
        return Err(Problem::bad("You cannot link an issue to itself."));
    }
    let full = |id: u64| state.issue(id).is_some_and(|i| i.links.len() >= LINKS_MAX);
    if full(source) || full(target) {
        return Err(Problem::new(413, "The per-issue limit of 2000 links has been reached."));
    }
    let comment = match body.get("comment").and_then(|c| c.get("body")) {
        None => None,
        Some(text) => super::values::rich(text, call.v3).map_err(|e| Problem::field("comment", e))?,
    };
    add(state, call, kind, source, target);
    if let Some(comment) = comment {
        write::add_comment(state, call, source, comment, None);
    }
    Ok(Reply::empty(201))
}

/// `GET /issueLink/{id}`.
pub(crate) fn get(state: &State, call: &Call, id: &str) -> Answer {
    let link = id.parse().ok().and_then(|id: u64| state.links.get(&id)).ok_or_else(no_link)?;
    let source = state.issue(link.source).ok_or_else(no_link)?;
    let target = state.issue(link.target).ok_or_else(no_link)?;
    Ok(Reply::ok(json!({
        "id": link.id.to_string(), "self": call.link(&format!("issueLink/{}", link.id)),
        "type": kind(state, call, link.kind),
        "inwardIssue": read::linked(state, call, source),
        "outwardIssue": read::linked(state, call, target)
    })))
}

fn no_link() -> Problem {
    Problem::not_found("No issue link with the given id exists.")
}

/// `DELETE /issueLink/{id}`.
pub(crate) fn delete(state: &mut State, call: &Call, id: &str) -> Answer {
    let id: u64 = id.parse().map_err(|_| no_link())?;
    if state.remove_link(id, call.now) { Ok(Reply::empty(204)) } else { Err(no_link()) }
}

/// `GET /issueLinkType` and one of them.
pub(crate) fn types(state: &State, call: &Call, id: Option<&str>) -> Answer {
    let count = u16::try_from(state.site.link_types.len()).unwrap_or_default();
    let all: Vec<Value> = (0..count).map(|at| kind(state, call, at)).collect();
    match id {
        None => Ok(Reply::ok(json!({"issueLinkTypes": all}))),
        Some(id) => all
            .into_iter()
            .find(|t| t["id"] == id)
            .map(Reply::ok)
            .ok_or_else(|| Problem::not_found("No issue link type with the given id found.")),
    }
}

fn remote(call: &Call, issue: u64, link: &RemoteLink) -> Value {
    let mut out = json!({
        "id": link.id,
        "self": call.link(&format!("issue/{issue}/remotelink/{}", link.id))
    });
    if let Some(global) = &link.global_id {
        out["globalId"] = json!(global);
    }
    for key in ["application", "relationship", "object"] {
        if let Some(value) = link.body.get(key) {
            out[key] = value.clone();
        }
    }
    out
}

/// `GET /issue/{id}/remotelink`.
pub(crate) fn remote_list(state: &State, call: &Call, id: u64) -> Answer {
    let issue = state.issue(id).ok_or_else(Problem::no_issue)?;
    match call.param("globalId") {
        Some(global) => {
            let found = issue.remote_links.iter().find(|l| l.global_id.as_deref() == Some(global));
            let none = || Problem::not_found("No remote issue link with that global id exists.");
            found.map(|l| Reply::ok(remote(call, id, l))).ok_or_else(none)
        }
        None => Ok(Reply::ok(Value::Array(issue.remote_links.iter().map(|l| remote(call, id, l)).collect()))),
    }
}

/// `GET /issue/{id}/remotelink/{link}`.
pub(crate) fn remote_get(state: &State, call: &Call, id: u64, link: &str) -> Answer {
    let issue = state.issue(id).ok_or_else(Problem::no_issue)?;
    let found = issue.remote_links.iter().find(|l| l.id.to_string() == link);
    found
        .map(|l| Reply::ok(remote(call, id, l)))
        .ok_or_else(|| Problem::not_found("The remote issue link does not exist."))
}

/// `POST /issue/{id}/remotelink`: creates, or replaces the one with that global id;
/// with `link`, replaces that one.
pub(crate) fn remote_put(
    state: &mut State,
    call: &Call,
    id: u64,
    body: &Value,
    link: Option<&str>,
) -> Answer {
    let issue = state.issue(id).ok_or_else(Problem::no_issue)?;
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default();
    if text("/object/url").is_empty() {
        return Err(Problem::field("url", "'url' is required."));
    }
    if text("/object/title").is_empty() {
        return Err(Problem::field("title", "'title' is required."));
    }
    let global = body.get("globalId").and_then(Value::as_str).map(str::to_owned);
    if global.as_ref().is_some_and(|g| g.chars().count() > super::values::LINE_MAX) {
        return Err(Problem::field("globalId", "The global id is too long (255 at most)."));
    }
    let held = issue.remote_links.iter().position(|l| match link {
        Some(link) => l.id.to_string() == link,
        None => global.is_some() && l.global_id == global,
    });
    if link.is_some() && held.is_none() {
        return Err(Problem::not_found("The remote issue link does not exist."));
    }
    let number = match held {
        Some(at) => issue.remote_links[at].id,
        None => {
            state.counters.remote_link += 1;
            state.counters.remote_link
        }
    };
    let new = RemoteLink { id: number, global_id: global, body: body.clone() };
    state.change_issue(id, call.now, |issue| match held {
        Some(at) => issue.remote_links[at] = new,
        None => issue.remote_links.push(new),
    });
    if link.is_some() {
        return Ok(Reply::empty(204));
    }
    let path = format!("issue/{id}/remotelink/{number}");
    let body = json!({"id": number, "self": call.link(&path)});
    Ok(Reply::with(if held.is_some() { 200 } else { 201 }, body))
}

/// `DELETE /issue/{id}/remotelink`, by id or by global id.
pub(crate) fn remote_delete(state: &mut State, call: &Call, id: u64, link: Option<&str>) -> Answer {
    let global = call.param("globalId").map(str::to_owned);
    let issue = state.issue(id).ok_or_else(Problem::no_issue)?;
    let gone = |l: &RemoteLink| match link {
        Some(link) => l.id.to_string() == link,
        None => global.is_some() && l.global_id == global,
    };
    if !issue.remote_links.iter().any(gone) {
        return Err(Problem::not_found("The remote issue link does not exist."));
    }
    state.change_issue(id, call.now, |issue| issue.remote_links.retain(|l| !gone(l)));
    Ok(Reply::empty(204))
}
