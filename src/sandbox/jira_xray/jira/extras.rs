//! What hangs on issues: comments, properties, attachments, the changelog.

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::{Call, page, read, strings, values, write};
use crate::sandbox::jira_xray::reply::{Answer, Body, Problem, Reply};
use crate::sandbox::jira_xray::store::{Attachment, Change, Issue, State, Task};
use crate::sandbox::jira_xray::time::Stamp;

/// Largest attachment, as `/attachment/meta` says.
const UPLOAD_MAX: usize = 10_485_760;
/// Most files of one upload.
const FILES_MAX: usize = 60;
/// Most attachments of one issue.
const ATTACHMENTS_MAX: usize = 2_000;
/// Most comments of one issue.
const COMMENTS_MAX: usize = 5_000;
/// Most issues and fields of one bulk read of changelogs.
const CHANGELOG_ISSUES_MAX: usize = 1_000;
const CHANGELOG_FIELDS_MAX: usize = 10;

/// Gives an issue or says that there is none.
pub(crate) fn issue<'a>(state: &'a State, text: &str) -> Result<&'a Issue, Problem> {
    state.find_issue(text).ok_or_else(Problem::no_issue)
}

/// `/issue/{id}/comment…`.
pub(crate) fn comments(
    state: &mut State,
    call: &Call,
    method: &str,
    id: u64,
    comment: Option<&str>,
    body: &Value,
) -> Answer {
    let Some(comment) = comment else {
        return match method {
            "GET" => list_comments(state, call, id),
            "POST" => add_comment(state, call, id, body),
            _ => Err(Problem::new(405, "Method Not Allowed")),
        };
    };
    let held = state.issue(id).ok_or_else(Problem::no_issue)?;
    let at = held.comments.iter().position(|c| c.id.to_string() == comment);
    let at =
        at.ok_or_else(|| Problem::not_found(format!("Can not find a comment for the id: {comment}.")))?;
    match method {
        "GET" => Ok(Reply::ok(read::comment(state, call, id, &held.comments[at]))),
        "PUT" => {
            let text = comment_body(call, body)?;
            state.change_issue(id, call.now, |i| {
                i.comments[at].body = text;
                i.comments[at].editor = call.user;
                i.comments[at].updated = call.now;
                i.updated = call.now;
            });
            let held = state.issue(id).ok_or_else(Problem::no_issue)?;
            Ok(Reply::ok(read::comment(state, call, id, &held.comments[at])))
        }
        "DELETE" => {
            state.change_issue(id, call.now, |i| {
                i.comments.remove(at);
                i.updated = call.now;
            });
            Ok(Reply::empty(204))
        }
        _ => Err(Problem::new(405, "Method Not Allowed")),
    }
}

fn comment_body(call: &Call, body: &Value) -> Result<crate::sandbox::jira_xray::store::Rich, Problem> {
    let text = values::rich(body.get("body").unwrap_or(&Value::Null), call.v3)
        .map_err(|e| Problem::field("comment", e))?;
    text.ok_or_else(|| Problem::field("comment", "Comment body can not be empty!"))
}

fn add_comment(state: &mut State, call: &Call, id: u64, body: &Value) -> Answer {
    if state.issue(id).is_some_and(|i| i.comments.len() >= COMMENTS_MAX) {
        return Err(Problem::new(413, "The per-issue limit of 5000 comments has been reached."));
    }
    let text = comment_body(call, body)?;
    let number = write::add_comment(state, call, id, text, body.get("visibility").cloned());
    let mut properties = Vec::new();
    for entry in body.get("properties").and_then(Value::as_array).into_iter().flatten() {
        let key = entry.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
        properties.push((key, entry.get("value").cloned().unwrap_or(Value::Null)));
    }
    state.change_issue(id, call.now, |i| {
        if let Some(last) = i.comments.last_mut() {
            last.properties.extend(properties);
        }
    });
    let held = state.issue(id).ok_or_else(Problem::no_issue)?;
    let found = held.comments.iter().find(|c| c.id == number).ok_or_else(Problem::no_issue)?;
    Ok(Reply::created(read::comment(state, call, id, found)))
}

fn list_comments(state: &State, call: &Call, id: u64) -> Answer {
    let held = state.issue(id).ok_or_else(Problem::no_issue)?;
    let start = call.number("startAt", 0);
    let max = call.number("maxResults", 5_000).min(5_000);
    let newest_first = call.param("orderBy").is_some_and(|o| o.starts_with('-'));
    let mut all: Vec<Value> = held.comments.iter().map(|c| read::comment(state, call, id, c)).collect();
    if newest_first {
        all.reverse();
    }
    let total = all.len();
    let shown: Vec<Value> = all.into_iter().skip(start).take(max).collect();
    Ok(Reply::ok(json!({"startAt": start, "maxResults": max, "total": total, "comments": shown})))
}

/// `POST /comment/list`.
pub(crate) fn comments_by_id(state: &State, call: &Call, body: &Value) -> Answer {
    let ids: Vec<u64> = strings(body.get("ids")).iter().filter_map(|s| s.parse().ok()).collect();
    let mut found = Vec::new();
    for issue in state.issues.values().filter(|i| !i.comments.is_empty()) {
        let wanted = issue.comments.iter().filter(|c| ids.contains(&c.id));
        found.extend(wanted.map(|c| read::comment(state, call, issue.id, c)));
    }
    Ok(Reply::ok(page(call, "comment/list", found, 1_000, 1_000)))
}

/// `/comment/{id}/properties…`.
pub(crate) fn comment_properties(
    state: &mut State,
    call: &Call,
    method: &str,
    comment: &str,
    key: Option<&str>,
    body: &Value,
) -> Answer {
    let owner = state
        .issues
        .values()
        .find_map(|i| {
            let at = i.comments.iter().position(|c| c.id.to_string() == comment)?;
            Some((i.id, at))
        })
        .ok_or_else(|| Problem::not_found(format!("Can not find a comment for the id: {comment}.")))?;
    let held = state.issue(owner.0).map(|i| i.comments[owner.1].properties.clone());
    let mut held = held.unwrap_or_default();
    let answer = property(call, &format!("comment/{comment}"), method, key, body, &mut held)?;
    if method != "GET" {
        state.change_issue(owner.0, call.now, |i| i.comments[owner.1].properties = held);
    }
    Ok(answer)
}

/// `/issue/{id}/properties…`.
pub(crate) fn properties(
    state: &mut State,
    call: &Call,
    method: &str,
    id: u64,
    key: Option<&str>,
    body: &Value,
) -> Answer {
    let mut held = state.issue(id).ok_or_else(Problem::no_issue)?.properties.clone();
    let answer = property(call, &format!("issue/{id}"), method, key, body, &mut held)?;
    if method != "GET" {
        state.change_issue(id, call.now, |i| i.properties = held);
    }
    Ok(answer)
}

fn property(
    call: &Call,
    owner: &str,
    method: &str,
    key: Option<&str>,
    body: &Value,
    held: &mut std::collections::BTreeMap<String, Value>,
) -> Answer {
    let missing = |key: &str| {
        Problem::not_found(format!(
            "The property {key} does not exist or you do not have permission to see it."
        ))
    };
    match (method, key) {
        ("GET", None) => {
            let one = |k: &String| json!({"self": call.link(&format!("{owner}/properties/{k}")), "key": k});
            Ok(Reply::ok(json!({"keys": held.keys().map(one).collect::<Vec<_>>()})))
        }
        ("GET", Some(key)) => {
            held.get(key).map(|v| Reply::ok(json!({"key": key, "value": v}))).ok_or_else(|| missing(key))
        }
        ("PUT", Some(key)) => {
            write::check_property(key, body)?;
            let existed = held.insert(key.to_owned(), body.clone()).is_some();
            Ok(Reply::with(if existed { 200 } else { 201 }, json!({})))
        }
        ("DELETE", Some(key)) => held.remove(key).map(|_| Reply::empty(204)).ok_or_else(|| missing(key)),
        _ => Err(Problem::new(405, "Method Not Allowed")),
    }
}

/// The three bulk writes of issue properties: done at once, reported as a task.
pub(crate) fn bulk_properties(state: &mut State, call: &Call, kind: &str, body: &Value) -> Answer {
    let mut writes: Vec<(u64, String, Option<Value>)> = Vec::new();
    let number = |v: &Value| v.as_u64().or_else(|| v.as_str()?.parse().ok());
    let ids = |v: Option<&Value>| {
        v.and_then(Value::as_array).into_iter().flatten().filter_map(number).collect::<Vec<u64>>()
    };
    let map = |v: Option<&Value>| v.and_then(Value::as_object).cloned().unwrap_or_default();
    match kind {
        "list" => {
            for id in ids(body.get("entitiesIds")) {
                let entries = map(body.get("properties"));
                writes.extend(entries.into_iter().map(|(k, v)| (id, k, Some(v))));
            }
        }
        "multi" => {
            let issues = body.get("issues").and_then(Value::as_array).cloned().unwrap_or_default();
            if issues.len() > 100 {
                return Err(Problem::bad("At most 100 issues can be given."));
            }
            for entry in issues {
                let id = entry.get("issueID").and_then(number).unwrap_or_default();
                let entries = map(entry.get("properties"));
                writes.extend(entries.into_iter().map(|(k, v)| (id, k, Some(v))));
            }
        }
        key => {
            let filter = body.get("filter").unwrap_or(body);
            let value = body.get("value").cloned();
            for id in ids(filter.get("entityIds")) {
                let held = state.issue(id).and_then(|i| i.properties.get(key));
                let wanted = filter.get("hasProperty").and_then(Value::as_bool);
                let same = filter.get("currentValue").is_none_or(|c| Some(c) == held);
                if same && wanted.is_none_or(|w| w == held.is_some()) {
                    writes.push((id, key.to_owned(), value.clone()));
                }
            }
        }
    }
    for (_, key, value) in &writes {
        if let Some(value) = value {
            write::check_property(key, value)?;
        }
    }
    if kind == "list" && writes.iter().any(|(id, _, _)| state.issue(*id).is_none()) {
        return Err(Problem::bad("Not all issues exist or are visible."));
    }
    let mut done = Vec::new();
    for (id, key, value) in writes {
        if state.issue(id).is_some() {
            state.change_issue(id, call.now, |i| match value {
                Some(value) => drop(i.properties.insert(key, value)),
                None => drop(i.properties.remove(&key)),
            });
            done.push(id);
        }
    }
    done.dedup();
    let task = start_task(state, call, false, done.len());
    if let Some(task) = state.passing.tasks.get_mut(&task) {
        task.processed = done;
    }
    Ok(Reply::empty(303).header("location", call.link(&format!("task/{task}"))))
}

/// How long a task of Jira stays unfinished.
const TASK_MS: i64 = 30;

/// Notes a task that will count as finished shortly.
pub(crate) fn start_task(state: &mut State, call: &Call, bulk: bool, total: usize) -> u64 {
    let id = 10_640 + state.serial();
    let task = Task {
        bulk,
        by: call.user,
        started: call.now,
        done_at: Stamp(call.now.0 + TASK_MS),
        total,
        processed: Vec::new(),
        failed: std::collections::BTreeMap::new(),
        invalid: 0,
        result: Value::Null,
    };
    state.passing.tasks.insert(id, task);
    id
}

/// `GET /task/{id}`.
pub(crate) fn task(state: &State, call: &Call, id: &str) -> Answer {
    let found = id.parse().ok().and_then(|id: u64| state.passing.tasks.get(&id));
    let task = found
        .filter(|t| !t.bulk)
        .ok_or_else(|| Problem::not_found(format!("Cannot find the task with id {id}.")))?;
    let done = call.now >= task.done_at;
    let mut out = json!({
        "self": call.link(&format!("task/{id}")), "id": id,
        "status": if done { "COMPLETE" } else { "RUNNING" }, "progress": if done { 100 } else { 50 },
        "submittedBy": 10_000 + u64::from(task.by), "submitted": task.started.0,
        "started": task.started.0, "lastUpdate": call.now.min(task.done_at).0,
        "elapsedRuntime": TASK_MS
    });
    if done {
        out["finished"] = json!(task.done_at.0);
        out["result"] = task.result.clone();
    }
    Ok(Reply::ok(out))
}

/// `GET /issue/{id}/changelog` and `POST …/changelog/list`.
pub(crate) fn changelog(state: &State, call: &Call, id: u64, wanted: Option<&Value>) -> Answer {
    let held = state.issue(id).ok_or_else(Problem::no_issue)?;
    match wanted {
        None => {
            let list = held.changes.iter().map(|c| read::change(state, call, c)).collect();
            Ok(Reply::ok(page(call, &format!("issue/{id}/changelog"), list, 100, 100)))
        }
        Some(body) => {
            let ids = strings(body.get("changelogIds"));
            let found = held.changes.iter().filter(|c| ids.contains(&c.id.to_string()));
            let list: Vec<Value> = found.map(|c| read::change(state, call, c)).collect();
            Ok(Reply::ok(json!({
                "startAt": 0, "maxResults": list.len(), "total": list.len(), "histories": list
            })))
        }
    }
}

/// `POST /changelog/bulkfetch`.
pub(crate) fn changelogs(state: &State, call: &Call, body: &Value) -> Answer {
    let issues = strings(body.get("issueIdsOrKeys"));
    let fields = strings(body.get("fieldIds"));
    if issues.len() > CHANGELOG_ISSUES_MAX || fields.len() > CHANGELOG_FIELDS_MAX {
        return Err(Problem::bad("At most 1000 issues and 10 field ids can be given."));
    }
    let max = body.get("maxResults").and_then(Value::as_u64).unwrap_or(1_000).clamp(1, 10_000);
    let max = usize::try_from(max).unwrap_or(1_000);
    let token = body.get("nextPageToken").and_then(Value::as_str);
    let start: usize = token.and_then(|t| t.parse().ok()).unwrap_or_default();
    let mut ids: Vec<u64> = issues.iter().filter_map(|w| state.find_issue(w)).map(|i| i.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let fits = |c: &&Change| {
        fields.is_empty() || c.items.iter().any(|i| fields.iter().any(|f| f == i.field.as_ref()))
    };
    let all: Vec<(u64, &Change)> = ids
        .iter()
        .filter_map(|id| state.issue(*id))
        .flat_map(|i| i.changes.iter().filter(fits).map(move |c| (i.id, c)))
        .collect();
    let mut out: Vec<(u64, Vec<Value>)> = Vec::new();
    for (id, change) in all.iter().skip(start).take(max) {
        let mut entry = read::change(state, call, change);
        entry["created"] = json!(change.at.0 / 1_000);
        match out.last_mut().filter(|(last, _)| last == id) {
            Some((_, list)) => list.push(entry),
            None => out.push((*id, vec![entry])),
        }
    }
    let logs: Vec<Value> = out
        .into_iter()
        .map(|(id, list)| json!({"issueId": id.to_string(), "changeHistories": list}))
        .collect();
    let mut answer = json!({"issueChangeLogs": logs});
    if start + max < all.len() {
        answer["nextPageToken"] = json!((start + max).to_string());
    }
    Ok(Reply::ok(answer))
}

/// `POST /issue/{id}/attachments`.
pub(crate) fn attach(state: &mut State, call: &Call, id: u64, request: &super::Request) -> Answer {
    let checked = request
        .header("x-atlassian-token")
        .is_some_and(|t| t.eq_ignore_ascii_case("no-check") || t.eq_ignore_ascii_case("nocheck"));
    if !checked {
        return Err(Problem::raw(Reply::text(403, "XSRF check failed")));
    }
    let kind = request.header("content-type").unwrap_or_default();
    let parts = super::multipart::parts(kind, &request.body)
        .ok_or_else(|| Problem::new(415, "A multipart body is expected."))?;
    let files: Vec<_> = parts.into_iter().filter(|p| p.name == "file").collect();
    if files.is_empty() {
        return Err(Problem::bad("No file was given; every part must be named 'file'."));
    }
    let held = state.issue(id).ok_or_else(Problem::no_issue)?.attachments.len();
    if files.len() > FILES_MAX || held + files.len() > ATTACHMENTS_MAX {
        return Err(Problem::new(413, "Too many attachments."));
    }
    if files.iter().any(|f| f.data.len() > UPLOAD_MAX) {
        return Err(Problem::new(413, format!("The attachment is larger than {UPLOAD_MAX} bytes.")));
    }
    let mut out = Vec::new();
    for file in files {
        state.counters.attachment += 1;
        let number = state.counters.attachment;
        let new = Attachment {
            id: number,
            issue: id,
            name: file.file_name.unwrap_or_else(|| "unnamed".to_owned()),
            mime: file.mime,
            author: call.user,
            created: call.now,
            data: file.data,
        };
        out.push(read::attachment(state, call, &new));
        let entry = write::item("attachment", None, Some((number.to_string(), new.name.clone())));
        state.attachments.insert(number, new);
        if let Some(mut issue) = state.issue(id).cloned() {
            issue.attachments.push(number);
            issue.updated = call.now;
            write::push_change(state, call, &mut issue, vec![entry]);
            state.put_issue(issue, call.now);
        }
    }
    Ok(Reply::ok(Value::Array(out)))
}

/// `/attachment/…`.
pub(crate) fn attachment(
    state: &mut State,
    call: &Call,
    method: &str,
    path: &[&str],
    range: Option<&str>,
) -> Answer {
    if let ["meta"] = path {
        return Ok(Reply::ok(json!({"enabled": true, "uploadLimit": UPLOAD_MAX})));
    }
    let (id, content) = match path {
        ["content" | "thumbnail", id] => (*id, true),
        [id] => (*id, false),
        _ => return Err(Problem::not_found("Not found")),
    };
    let number: u64 = id.parse().unwrap_or_default();
    let held = state
        .attachments
        .get(&number)
        .ok_or_else(|| Problem::not_found(format!("The attachment with id '{id}' does not exist")))?;
    match (method, content) {
        ("GET", true) if call.param("redirect") == Some("false") => Ok(bytes(held, range)),
        // The signed address is ours too: it holds for whoever knows it.
        ("GET", true) => {
            let secret = xxhash_rust::xxh3::xxh3_64(format!("media {number}").as_bytes());
            let to = format!("{}/rest/media/{number}/{secret:016x}", call.base);
            Ok(Reply::empty(303).header("location", to))
        }
        ("GET", false) => {
            let mut out = read::attachment(state, call, held);
            out["id"] = json!(number);
            out["author"] = super::meta::user(state, call, held.author);
            Ok(Reply::ok(out))
        }
        ("DELETE", false) => {
            let (issue, name) = (held.issue, held.name.clone());
            state.attachments.remove(&number);
            let entry = write::item("attachment", Some((number.to_string(), name)), None);
            if let Some(mut issue) = state.issue(issue).cloned() {
                issue.attachments.retain(|a| *a != number);
                issue.updated = call.now;
                write::push_change(state, call, &mut issue, vec![entry]);
                state.put_issue(issue, call.now);
            }
            Ok(Reply::empty(204))
        }
        _ => Err(Problem::new(405, "Method Not Allowed")),
    }
}

/// The signed address of an attachment: no credentials asked.
pub(crate) fn media(state: &State, number: &str, secret: &str, range: Option<&str>) -> Answer {
    let expected = xxhash_rust::xxh3::xxh3_64(format!("media {number}").as_bytes());
    let held = number.parse().ok().and_then(|n: u64| state.attachments.get(&n));
    match held {
        Some(held) if secret == format!("{expected:016x}") => Ok(bytes(held, range)),
        _ => Err(Problem::not_found("Not found")),
    }
}

fn bytes(file: &Attachment, range: Option<&str>) -> Reply {
    let all = bytes::Bytes::copy_from_slice(&file.data);
    let wanted = range.and_then(|r| r.strip_prefix("bytes=")).and_then(|r| {
        let (from, to) = r.split_once('-')?;
        let from: usize = from.parse().ok()?;
        let to = to.parse::<usize>().unwrap_or(all.len().saturating_sub(1));
        (from <= to && to < all.len()).then_some((from, to))
    });
    let (status, body) = match wanted {
        Some((from, to)) => (206, all.slice(from..=to)),
        None => (200, all),
    };
    Reply { status, body: Body::Bytes(file.mime.clone(), body), headers: Vec::new() }
}

/// Decodes base64, with or without padding.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    base64::engine::general_purpose::STANDARD
        .decode(&text)
        .or_else(|_| base64::engine::general_purpose::STANDARD_NO_PAD.decode(&text))
        .ok()
}

/// The answer to a bulk create: successes in order, failures with their place.
pub(crate) fn bulk_create(state: &mut State, call: &Call, body: &Value) -> Answer {
    const CREATED_MAX: usize = 50;
    let list = body.get("issueUpdates").and_then(Value::as_array).cloned().unwrap_or_default();
    if list.is_empty() || list.len() > CREATED_MAX {
        return Err(Problem::bad(format!(
            "Between 1 and {CREATED_MAX} issues can be created at once; {} were given.",
            list.len()
        )));
    }
    let (mut issues, mut errors) = (Vec::new(), Vec::new());
    for (at, element) in list.iter().enumerate() {
        match write::create(state, call, element, None) {
            Ok(created) => {
                state.hide_from_xray(created.id, call.now);
                issues.push(created_body(call, created));
            }
            Err(problem) => errors.push(json!({
                "status": problem.status, "elementErrors": problem.collection(),
                "failedElementNumber": at
            })),
        }
    }
    let status = if issues.is_empty() { 400 } else { 201 };
    Ok(Reply::with(status, json!({"issues": issues, "errors": errors})))
}

/// The short answer to a create.
pub(crate) fn created_body(call: &Call, created: write::Created) -> Value {
    let mut out = Map::new();
    out.insert("id".into(), json!(created.id.to_string()));
    out.insert("key".into(), json!(created.key));
    out.insert("self".into(), json!(call.link(&format!("issue/{}", created.id))));
    if let Some(transition) = created.transition {
        out.insert("transition".into(), transition);
    }
    Value::Object(out)
}
