//! The reporting feeds: revisions, links and discussions in order of change.

use std::collections::HashSet;

use serde_json::{Map, Value as Json, json};

use super::fields::{F, Kind};
use super::http::{Answer, Call, Failure, Reply};
use super::json::{Snapshot, encode};
use super::state::State;
use super::value::{Millis, Value, iso, parse_date, same};

/// The most rows in one batch.
const BATCH: usize = 1000;

/// What a reader of the feed of revisions asks for.
#[derive(Debug, Default)]
struct Ask {
    fields: Vec<String>,
    types: Vec<String>,
    identities: bool,
    deleted: bool,
    latest: bool,
    long: bool,
    discussions: bool,
    /// The watermark after which to start.
    after: u64,
    token: Option<String>,
    since: Option<Millis>,
    size: usize,
}

fn words(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default().split(',').map(str::trim).filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

fn ask(call: &Call) -> Result<Ask, Failure> {
    let body = if call.method == "POST" { call.object()? } else { json!({}) };
    let list = |name: &str| match body.get(name).and_then(Json::as_array) {
        Some(items) => items.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        None => words(call.q(&name.to_lowercase())),
    };
    let flag = |name: &str| {
        body.get(name).and_then(Json::as_bool).unwrap_or_else(|| call.flag(&name.to_lowercase()))
    };
    let token = call.q("continuationtoken").or_else(|| call.q("watermark"));
    let after = match token {
        Some(token) => token.split(';').next().and_then(|w| w.parse().ok()).ok_or_else(|| {
            Failure::argument(format!("VS402434: The continuation token '{token}' is not valid."))
        })?,
        None => 0,
    };
    let since = call.date("startdatetime")?;
    if token.is_some() && since.is_some() {
        return Err(Failure::argument(
            "VS402435: startDateTime and continuationToken cannot be used together.",
        ));
    }
    let size = call.number("$maxpagesize")?.unwrap_or(BATCH).clamp(1, BATCH);
    Ok(Ask {
        fields: list("fields"),
        types: list("types"),
        identities: flag("includeIdentityRef"),
        deleted: flag("includeDeleted"),
        latest: flag("includeLatestOnly"),
        long: call.q("$expand").is_some_and(|e| e.eq_ignore_ascii_case("fields") || e == "1"),
        discussions: flag("includeDiscussionChangesOnly"),
        after,
        token: token.map(str::to_owned),
        since,
        size,
    })
}

/// The fields that a row shows if the reader names none.
const HEAD: [F; 10] = [
    F::Id,
    F::AreaId,
    F::IterationId,
    F::TeamProject,
    F::Rev,
    F::AuthorizedDate,
    F::RevisedDate,
    F::CreatedDate,
    F::ChangedDate,
    F::WorkItemType,
];
const PEOPLE: [F; 3] = [F::CreatedBy, F::ChangedBy, F::AuthorizedAs];

fn value_json(state: &State, call: &Call, ask: &Ask, value: &Value) -> Json {
    match value {
        Value::Person(person) if !ask.identities => json!(state.person_text(*person)),
        value => state.value_json(&call.base, value),
    }
}

fn row(state: &State, call: &Call, ask: &Ask, numbers: Option<&[u16]>, snap: &Snapshot<'_>) -> Json {
    let mut fields = Map::new();
    let deleted =
        snap.item.revisions[..snap.revision as usize].iter().rev().find_map(|r| r.deletion).unwrap_or(false);
    let mut put = |field: u16, value: &Value| {
        fields.insert(state.fields[field as usize].reference.clone(), value_json(state, call, ask, value));
    };
    match numbers {
        Some(numbers) => {
            for &number in numbers {
                if number == F::IsDeleted as u16 {
                    put(number, &Value::Bool(deleted));
                } else if let Some(value) = state.field_value(snap, number) {
                    put(number, &value);
                }
            }
        }
        None => {
            for field in HEAD.iter().chain(&PEOPLE).chain(&[
                F::AreaPath,
                F::IterationPath,
                F::Watermark,
                F::CommentCount,
            ]) {
                if let Some(value) = state.field_value(snap, *field as u16) {
                    put(*field as u16, &value);
                }
            }
            for (number, value) in snap.fields.iter() {
                let kind = state.fields[*number as usize].kind;
                let omitted = kind.is_long() && *number != F::Tags as u16 && !ask.long;
                if !omitted && kind != Kind::Path {
                    put(*number, value);
                }
            }
            if ask.long
                && let Some(history) = state.field_value(snap, F::History as u16)
            {
                put(F::History as u16, &history);
            }
            put(F::IsDeleted as u16, &Value::Bool(deleted));
        }
    }
    json!({"id": snap.id, "rev": snap.revision, "fields": fields})
}

/// Whether a revision changes nothing but the discussion.
fn only_discussion(snap: &Snapshot<'_>) -> bool {
    let step = &snap.item.revisions[snap.revision as usize - 1];
    step.history.is_some() && step.undo.iter().all(|(field, _)| *field == F::CommentCount as u16)
}

/// `GET|POST reporting/workitemrevisions`.
pub(super) fn revisions(state: &mut State, call: &Call) -> Answer {
    let ask = ask(call)?;
    let project = state.scope_or_all(call)?;
    let numbers = ask
        .fields
        .iter()
        .map(|name| {
            state.field(name).ok_or_else(|| {
                let key = "WorkItemTrackingFieldDefinitionNotFoundException";
                Failure::new(400, key, format!("TF51535: Cannot find field {name}."))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let start = state.index.feed.partition_point(|(watermark, ..)| *watermark <= ask.after);
    let mut rows = Vec::new();
    let mut last = None;
    let mut more = false;
    for &(watermark, id, revision) in &state.index.feed[start..] {
        let Some(item) = state.items.get(&id) else { continue };
        let wanted = (!ask.latest || revision == item.rev())
            && (ask.deleted || item.deleted.is_none())
            && project.is_none_or(|p| p == item.project)
            && (ask.types.is_empty() || ask.types.iter().any(|t| same(t, &item.kind)));
        if !wanted {
            continue;
        }
        let snap = Snapshot::at(id, item, revision);
        let changed = item.revisions[revision as usize - 1].at;
        if ask.since.is_some_and(|since| changed < since) || (ask.discussions && !only_discussion(&snap)) {
            continue;
        }
        if rows.len() == ask.size {
            more = true;
            break;
        }
        rows.push(row(state, call, &ask, (!numbers.is_empty()).then_some(&numbers), &snap));
        last = Some((watermark, id, revision));
    }
    // At the end the token moves on past what was filtered out, so that it is not read again.
    let token = match (last, more) {
        (Some((watermark, id, revision)), true) => format!("{watermark};{id};{revision}"),
        _ => match state.index.feed.last() {
            Some((watermark, id, revision)) => format!("{watermark};{id};{revision}"),
            None => ask.token.unwrap_or_else(|| "0;0;0".to_owned()),
        },
    };
    Ok(Reply::ok(batch(state, call, "workItemRevisions", rows, &token, !more)?))
}

fn batch(
    state: &State,
    call: &Call,
    resource: &str,
    rows: Vec<Json>,
    token: &str,
    is_last: bool,
) -> Result<Json, Failure> {
    let scope = match state.scope_or_all(call)? {
        Some(project) => format!("/{}", encode(&state.project(project).guid)),
        None => String::new(),
    };
    let mut link = format!("{}{scope}/_apis/wit/reporting/{resource}?", call.base);
    for (name, value) in &call.query {
        if !matches!(name.as_str(), "continuationtoken" | "watermark" | "startdatetime") {
            link.push_str(&format!("{name}={}&", encode(value)));
        }
    }
    link.push_str(&format!("continuationToken={}", encode(token)));
    Ok(json!({"values": rows, "nextLink": link, "continuationToken": token, "isLastBatch": is_last}))
}

/// `GET reporting/workitemlinks`.
pub(super) fn links(state: &mut State, call: &Call) -> Answer {
    let project = state.scope_or_all(call)?;
    let names: HashSet<String> = words(call.q("linktypes")).into_iter().map(|w| w.to_lowercase()).collect();
    let types = words(call.q("types"));
    let since = call.date("startdatetime")?;
    let token = call.q("continuationtoken");
    if token.is_some() && since.is_some() {
        return Err(Failure::argument(
            "VS402435: startDateTime and continuationToken cannot be used together.",
        ));
    }
    let start: usize = match token {
        Some(token) => token.parse().map_err(|_| {
            Failure::argument(format!("VS402434: The continuation token '{token}' is not valid."))
        })?,
        None => 0,
    };
    let size = call.number("$maxpagesize")?.unwrap_or(BATCH).clamp(1, BATCH);
    let mut rows = Vec::new();
    let mut next = start;
    let of = |id: u32| state.items.get(&id);
    for (number, event) in state.link_log.iter().enumerate().skip(start) {
        if rows.len() == size {
            break;
        }
        next = number + 1;
        let here = |id: u32| {
            of(id).is_some_and(|i| {
                project.is_none_or(|p| p == i.project)
                    && (types.is_empty() || types.iter().any(|t| same(t, &i.kind)))
            })
        };
        let gone = of(event.source).is_none() || of(event.target).is_none();
        let wanted = (names.is_empty() || names.contains(&event.rel.to_lowercase()))
            && since.is_none_or(|since| event.at >= since)
            && (here(event.source) || here(event.target) || (gone && project.is_none() && types.is_empty()));
        if !wanted {
            continue;
        }
        let guid = |id: u32| of(id).map(|i| state.project(i.project).guid.clone());
        let mut row = json!({"rel": event.rel, "sourceId": event.source, "targetId": event.target,
            "changedDate": iso(event.at), "isActive": event.active, "changedBy": state.person(&call.base, event.by),
            "comment": event.comment.as_deref().unwrap_or_default(),
            "changedOperation": if event.active { "create" } else { "remove" }});
        if let Some(guid) = guid(event.source) {
            row["sourceProjectId"] = json!(guid);
        }
        if let Some(guid) = guid(event.target) {
            row["targetProjectId"] = json!(guid);
        }
        rows.push(row);
    }
    let is_last = next >= state.link_log.len();
    Ok(Reply::ok(batch(state, call, "workItemLinks", rows, &next.to_string(), is_last)?))
}

/// `GET reporting/workItemRevisions/discussions`: the revisions that carry a comment.
pub(super) fn discussions(state: &mut State, call: &Call) -> Answer {
    let project = state.scope_or_all(call)?;
    let after = match call.q("continuationtoken") {
        Some(token) => token.split(';').next().and_then(|w| w.parse().ok()).ok_or_else(|| {
            Failure::argument(format!("VS402434: The continuation token '{token}' is not valid."))
        })?,
        None => 0,
    };
    let size = call.number("$maxpagesize")?.unwrap_or(BATCH).clamp(1, BATCH);
    let since = call.q("startdatetime").and_then(parse_date);
    let start = state.index.feed.partition_point(|(watermark, ..)| *watermark <= after);
    let ask = Ask::default();
    let numbers = [F::Id, F::Rev, F::ChangedDate, F::ChangedBy, F::WorkItemType, F::TeamProject, F::History]
        .map(|f| f as u16);
    let (mut rows, mut last, mut more) = (Vec::new(), None, false);
    for &(watermark, id, revision) in &state.index.feed[start..] {
        let Some(item) =
            state.items.get(&id).filter(|i| i.deleted.is_none() && project.is_none_or(|p| p == i.project))
        else {
            continue;
        };
        let step = &item.revisions[revision as usize - 1];
        if step.history.is_none() || since.is_some_and(|since| step.at < since) {
            continue;
        }
        if rows.len() == size {
            more = true;
            break;
        }
        rows.push(row(state, call, &ask, Some(&numbers), &Snapshot::at(id, item, revision)));
        last = Some(format!("{watermark};{id};{revision}"));
    }
    let end = state.index.feed.last().map(|(w, id, r)| format!("{w};{id};{r}"));
    let token = if more { last } else { end.or(last) }.unwrap_or_else(|| "0;0;0".to_owned());
    Ok(Reply::ok(batch(state, call, "workItemRevisions/discussions", rows, &token, !more)?))
}
