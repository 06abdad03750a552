//! The discussion of work items.

use serde_json::{Value as Json, json};

use super::fields::F;
use super::http::{Answer, Call, Failure, Reply, text};
use super::items::{Change, Comment};
use super::state::State;
use super::value::{Millis, Value, iso};

/// How many comments come without `$top`.
const PAGE: usize = 200;

/// Adds a comment to an item whose count is already right.
pub(super) fn push(state: &mut State, id: u32, text: String, markdown: bool, by: u32, at: Millis) -> u32 {
    state.next_comment += 1;
    let number = state.next_comment;
    let comment = Comment {
        id: number,
        text,
        markdown,
        created: at,
        created_by: by,
        modified: at,
        modified_by: by,
        deleted: false,
        earlier: Vec::new(),
    };
    if let Some(item) = state.items.get_mut(&id) {
        item.comments.push(comment);
    }
    number
}

fn show(state: &State, call: &Call, id: u32, comment: &Comment, rendered: bool) -> Json {
    let versions = comment.earlier.len() + 1;
    let mut body = json!({
        "workItemId": id, "id": comment.id, "version": versions, "text": comment.text,
        "createdBy": state.person(&call.base, comment.created_by), "createdDate": iso(comment.created),
        "modifiedBy": state.person(&call.base, comment.modified_by), "modifiedDate": iso(comment.modified),
        "format": if comment.markdown { "markdown" } else { "html" }, "isDeleted": comment.deleted,
        "url": format!("{}/comments/{}", state.item_url(&call.base, id), comment.id),
    });
    if rendered {
        body["renderedText"] = json!(comment.text);
    }
    body
}

fn item_id(state: &State, call: &Call) -> Result<u32, Failure> {
    state.scope(call)?;
    let id = call.id("workItemId")?;
    state.live(id).map(|_| id).ok_or_else(|| Failure::no_item(id))
}

fn position(state: &State, call: &Call, id: u32) -> Result<usize, Failure> {
    let number = call.id("commentId")?;
    state.items[&id].comments.iter().position(|c| c.id == number).ok_or_else(|| {
        let message = format!("TF401232: Comment {number} of work item {id} does not exist.");
        Failure::new(404, "WorkItemCommentNotFoundException", message)
    })
}

fn rendered(call: &Call) -> bool {
    call.q("$expand")
        .is_some_and(|e| e.to_ascii_lowercase().contains("rendered") || e.eq_ignore_ascii_case("all"))
}

/// `GET comments`: newest first unless asked otherwise.
pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    let id = item_id(state, call)?;
    let deleted = call.flag("includedeleted");
    let mut all: Vec<&Comment> = state.items[&id].comments.iter().filter(|c| deleted || !c.deleted).collect();
    let total = all.len();
    if let Some(ids) = call.ids("ids")? {
        all.retain(|c| ids.contains(&c.id));
        let shown: Vec<Json> = all.iter().map(|c| show(state, call, id, c, rendered(call))).collect();
        return Ok(Reply::ok(json!({"totalCount": shown.len(), "count": shown.len(), "comments": shown})));
    }
    let ascending = call.q("order").is_some_and(|o| o.eq_ignore_ascii_case("asc"));
    if !ascending {
        all.reverse();
    }
    if let Some(token) = call.q("continuationtoken") {
        let last = u32::from_str_radix(token, 16)
            .map_err(|_| Failure::argument("The continuation token is not valid."))?;
        all.retain(|c| if ascending { c.id > last } else { c.id < last });
    }
    let top = call.number("$top")?.unwrap_or(PAGE).min(PAGE);
    let more = all.len() > top;
    all.truncate(top);
    let shown: Vec<Json> = all.iter().map(|c| show(state, call, id, c, rendered(call))).collect();
    let url = format!("{}/comments", state.item_url(&call.base, id));
    let mut body = json!({"totalCount": total, "count": shown.len(), "comments": shown});
    if let Some(last) = all.last().filter(|_| more) {
        let token = format!("{:X}", last.id);
        body["nextPage"] = json!(format!("{url}?$top={top}&continuationToken={token}"));
        body["continuationToken"] = json!(token);
    }
    body["url"] = json!(url);
    Ok(Reply::ok(body))
}

/// `GET comments/{commentId}`.
pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    let id = item_id(state, call)?;
    let at = position(state, call, id)?;
    Ok(Reply::ok(show(state, call, id, &state.items[&id].comments[at], rendered(call))))
}

/// Adds a revision that counts the comments.
fn count(state: &mut State, call: &Call, id: u32, by: i64, history: Option<&str>) -> Millis {
    let count = match state.items[&id].get(F::CommentCount) {
        Some(Value::Int(n)) => n + by,
        _ => by,
    };
    let fields = vec![(F::CommentCount as u16, Some(Value::Int(count.max(0))))];
    let history = history.map(Into::into);
    state.commit(id, Change { fields, history, force: true, deletion: None, by: call.user, at: call.now });
    state.items[&id].changed().0
}

/// `POST comments`.
pub(super) fn add(state: &mut State, call: &Call) -> Answer {
    let id = item_id(state, call)?;
    let body = call.object()?;
    let text = text(&body, "text").filter(|t| !t.is_empty()).ok_or_else(|| Failure::null("text"))?;
    let markdown = call.q("format").is_some_and(|f| f.eq_ignore_ascii_case("markdown") || f == "0");
    let at = count(state, call, id, 1, Some(text));
    let number = push(state, id, text.to_owned(), markdown, call.user, at);
    let comment = state.items[&id].comments.iter().find(|c| c.id == number);
    let shown = comment.map_or(Json::Null, |c| show(state, call, id, c, false));
    Ok(Reply::ok(shown))
}

/// `PATCH comments/{commentId}`.
pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let id = item_id(state, call)?;
    let at = position(state, call, id)?;
    let body = call.object()?;
    let text = text(&body, "text").filter(|t| !t.is_empty()).ok_or_else(|| Failure::null("text"))?.to_owned();
    let now = count(state, call, id, 0, None);
    if let Some(item) = state.items.get_mut(&id) {
        let comment = &mut item.comments[at];
        let old = std::mem::replace(&mut comment.text, text);
        comment.earlier.push((old, comment.modified, comment.modified_by));
        (comment.modified, comment.modified_by) = (now, call.user);
        if let Some(format) = call.q("format") {
            comment.markdown = format.eq_ignore_ascii_case("markdown");
        }
    }
    Ok(Reply::ok(show(state, call, id, &state.items[&id].comments[at], false)))
}

/// `DELETE comments/{commentId}`.
pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    let id = item_id(state, call)?;
    let at = position(state, call, id)?;
    if !state.items[&id].comments[at].deleted {
        let now = count(state, call, id, -1, None);
        if let Some(item) = state.items.get_mut(&id) {
            let comment = &mut item.comments[at];
            comment.deleted = true;
            (comment.modified, comment.modified_by) = (now, call.user);
        }
    }
    Ok(Reply::none())
}

/// `GET comments/{commentId}/versions[/{version}]`.
pub(super) fn versions(state: &mut State, call: &Call) -> Answer {
    let id = item_id(state, call)?;
    let at = position(state, call, id)?;
    let comment = &state.items[&id].comments[at];
    let now = (comment.text.clone(), comment.modified, comment.modified_by);
    let all: Vec<Json> = comment
        .earlier
        .iter()
        .chain(std::iter::once(&now))
        .enumerate()
        .map(|(number, (text, at, by))| {
            json!({"id": comment.id, "version": number + 1, "text": text,
                "createdBy": state.person(&call.base, comment.created_by), "createdDate": iso(comment.created),
                "modifiedBy": state.person(&call.base, *by), "modifiedDate": iso(*at), "isDeleted": comment.deleted,
                "url": format!("{}/comments/{}/versions/{}", state.item_url(&call.base, id), comment.id, number + 1)})
        })
        .collect();
    if call.param("version").is_none() {
        return Ok(Reply::list(all));
    }
    let wanted = call.id("version")? as usize;
    all.into_iter().nth(wanted.wrapping_sub(1)).map(Reply::ok).ok_or_else(|| {
        Failure::new(
            404,
            "WorkItemCommentVersionNotFoundException",
            format!("Version {wanted} of the comment does not exist."),
        )
    })
}
