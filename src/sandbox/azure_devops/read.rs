//! Reading work items: one, many, their revisions and their updates.

use serde_json::{Map, Value as Json, json};

use super::fields::F;
use super::http::{Answer, Call, Failure, Reply, id_list};
use super::items::{Item, lookup};
use super::json::{Expand, Snapshot};
use super::state::State;
use super::value::{Millis, Value, iso, parse_date};

/// How many work items one call may ask for.
const MAX_IDS: usize = 200;
/// How many revisions or updates come without `$top`.
const HISTORY_PAGE: usize = 200;

/// What a read asks for besides ids.
#[derive(Debug)]
struct Selection {
    fields: Option<Vec<u16>>,
    expand: Expand,
    as_of: Option<Millis>,
    omit: bool,
}

impl Selection {
    fn new(
        state: &State,
        fields: Option<Vec<&str>>,
        expand: Option<&str>,
        as_of: Option<&str>,
        policy: Option<&str>,
    ) -> Result<Self, Failure> {
        let asked = expand.is_some_and(|e| !e.is_empty() && !e.eq_ignore_ascii_case("none"));
        let expand = Expand::parse(expand)?;
        let fields = fields.filter(|f| !f.is_empty());
        if fields.is_some() && asked {
            let message = "The expand parameter can not be used with the fields parameter.";
            return Err(Failure::new(400, "ConflictingParametersException", message));
        }
        let number = |name: &&str| {
            state.field(name.trim()).ok_or_else(|| {
                let key = "WorkItemTrackingFieldDefinitionNotFoundException";
                Failure::new(400, key, format!("TF51535: Cannot find field {}.", name.trim()))
            })
        };
        let fields = fields.map(|f| f.iter().map(number).collect::<Result<Vec<_>, _>>()).transpose()?;
        let as_of = as_of
            .map(|t| {
                parse_date(t)
                    .ok_or_else(|| Failure::argument(format!("The value '{t}' is not valid for asOf.")))
            })
            .transpose()?;
        Ok(Self {
            fields,
            expand,
            as_of,
            omit: policy.is_some_and(|p| p.eq_ignore_ascii_case("omit") || p == "2"),
        })
    }

    fn of(state: &State, call: &Call) -> Result<Self, Failure> {
        let fields = call.q("fields").map(|f| f.split(',').filter(|f| !f.trim().is_empty()).collect());
        Self::new(state, fields, call.q("$expand"), call.q("asof"), call.q("errorpolicy"))
    }

    fn render(&self, state: &State, call: &Call, id: u32, single: bool) -> Result<Json, Failure> {
        let item = state.live(id).ok_or_else(|| Failure::no_item(id))?;
        if let Some(project) = state.scope_or_all(call)?
            && project != item.project
        {
            return Err(Failure::no_item(id));
        }
        let revision = match self.as_of {
            Some(at) => item.revision_at(at).ok_or_else(|| Failure::no_item(id))?,
            None => item.rev(),
        };
        let snap = Snapshot::at(id, item, revision);
        Ok(match &self.fields {
            Some(fields) => state.item_fields_json(&call.base, &snap, fields),
            None => {
                let links = self.expand.links || (single && self.expand == Expand::default());
                state.item_json(&call.base, &snap, Expand { links, ..self.expand })
            }
        })
    }

    fn many(&self, state: &State, call: &Call, ids: &[u32]) -> Answer {
        if ids.len() > MAX_IDS {
            let message = format!(
                "VS403474: You requested {} work items which exceeds the limit of {MAX_IDS}",
                ids.len()
            );
            return Err(Failure::new(400, "WorkItemsBatchLimitExceededException", message));
        }
        let mut found = Vec::with_capacity(ids.len());
        for &id in ids {
            match self.render(state, call, id, false) {
                Ok(item) => found.push(item),
                Err(_) if self.omit => found.push(Json::Null),
                Err(failure) => return Err(failure),
            }
        }
        Ok(Reply::list(found))
    }
}

/// `GET workitems/{id}`.
pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    let selection = Selection::of(state, call)?;
    selection.render(state, call, call.id("id")?, true).map(Reply::ok)
}

/// `GET workitems?ids=`.
pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    let selection = Selection::of(state, call)?;
    let ids = call.ids("ids")?.filter(|ids| !ids.is_empty()).ok_or_else(|| Failure::null("ids"))?;
    selection.many(state, call, &ids)
}

/// `POST workitemsbatch`.
pub(super) fn batch(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let member = |name: &str| body.get(name).and_then(Json::as_str);
    let fields =
        body.get("fields").and_then(Json::as_array).map(|f| f.iter().filter_map(Json::as_str).collect());
    let expand = body.get("$expand").and_then(|e| match e {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    });
    let policy = body.get("errorPolicy").and_then(|p| match p {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    });
    let selection = Selection::new(state, fields, expand.as_deref(), member("asOf"), policy.as_deref())?;
    let ids = body
        .get("ids")
        .and_then(Json::as_array)
        .filter(|i| !i.is_empty())
        .ok_or_else(|| Failure::null("ids"))?;
    let ids = ids
        .iter()
        .map(|id| {
            super::http::ref_id(id)
                .ok_or_else(|| Failure::binding(format!("The value '{id}' is not a work item id.")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    selection.many(state, call, &ids)
}

fn window(call: &Call) -> Result<(usize, usize), Failure> {
    Ok((call.number("$skip")?.unwrap_or(0), call.number("$top")?.unwrap_or(HISTORY_PAGE)))
}

fn item_of<'a>(state: &'a State, call: &Call) -> Result<(u32, &'a Item), Failure> {
    let id = call.id("id")?;
    state.scope_or_all(call)?;
    state.live(id).map(|item| (id, item)).ok_or_else(|| Failure::no_item(id))
}

fn revision_json(state: &State, call: &Call, id: u32, item: &Item, revision: u32, expand: Expand) -> Json {
    let mut body = state.item_json(&call.base, &Snapshot::at(id, item, revision), expand);
    let url = format!("{}/revisions/{revision}", state.item_url(&call.base, id));
    if let Some(links) = body.get_mut("_links").and_then(Json::as_object_mut) {
        links.insert("self".to_owned(), json!({"href": url}));
    }
    body["url"] = json!(url);
    body
}

/// `GET workItems/{id}/revisions[/{revisionNumber}]`.
pub(super) fn revisions(state: &mut State, call: &Call) -> Answer {
    let (id, item) = item_of(state, call)?;
    let expand = Expand::parse(call.q("$expand"))?;
    if call.param("revisionNumber").is_some() {
        let revision = call.id("revisionNumber")?;
        if revision == 0 || revision > item.rev() {
            let message = format!("TF401232: Revision {revision} of work item {id} does not exist.");
            return Err(Failure::new(404, "WorkItemRevisionNotFoundException", message));
        }
        let expand = Expand { links: true, ..expand };
        return Ok(Reply::ok(revision_json(state, call, id, item, revision, expand)));
    }
    let (skip, top) = window(call)?;
    let numbers = (1..=item.rev()).skip(skip).take(top);
    Ok(Reply::list(numbers.map(|r| revision_json(state, call, id, item, r, expand)).collect()))
}

/// `GET workItems/{id}/updates[/{updateNumber}]`.
pub(super) fn updates(state: &mut State, call: &Call) -> Answer {
    let (id, item) = item_of(state, call)?;
    let all = updates_of(state, call, id, item);
    if call.param("updateNumber").is_some() {
        let number = call.id("updateNumber")? as usize;
        return match all.into_iter().nth(number.wrapping_sub(1)) {
            Some(update) => Ok(Reply::ok(update)),
            None => Err(Failure::new(
                404,
                "WorkItemUpdateNotFoundException",
                format!("TF401232: Update {number} of work item {id} does not exist."),
            )),
        };
    }
    let (skip, top) = window(call)?;
    Ok(Reply::list(all.into_iter().skip(skip).take(top).collect()))
}

fn change_of(state: &State, call: &Call, old: Option<&Value>, new: Option<&Value>) -> Json {
    let mut change = Map::new();
    if let Some(old) = old {
        change.insert("oldValue".to_owned(), state.value_json(&call.base, old));
    }
    if let Some(new) = new {
        change.insert("newValue".to_owned(), state.value_json(&call.base, new));
    }
    Json::Object(change)
}

fn fields_of_update(state: &State, call: &Call, id: u32, item: &Item, revision: u32) -> Map<String, Json> {
    let now = Snapshot::at(id, item, revision);
    let before = (revision > 1).then(|| Snapshot::at(id, item, revision - 1));
    let mut fields = Map::new();
    let mut put = |field: u16, old: Option<Value>, new: Option<Value>| {
        if old != new {
            let change = change_of(state, call, old.as_ref(), new.as_ref());
            fields.insert(state.fields[field as usize].reference.clone(), change);
        }
    };
    let steady = [F::Id, F::CreatedDate, F::CreatedBy, F::WorkItemType, F::TeamProject];
    let moving =
        [F::Rev, F::AuthorizedDate, F::RevisedDate, F::ChangedDate, F::ChangedBy, F::Watermark, F::History];
    for field in steady.iter().filter(|_| before.is_none()).chain(&moving) {
        let old = before.as_ref().and_then(|b| state.field_value(b, *field as u16));
        put(*field as u16, old, state.field_value(&now, *field as u16));
    }
    let mut numbers: Vec<u16> = now.fields.iter().map(|(f, _)| *f).collect();
    numbers.extend(before.iter().flat_map(|b| b.fields.iter().map(|(f, _)| *f)));
    numbers.sort_unstable();
    numbers.dedup();
    for field in numbers {
        let old = before.as_ref().and_then(|b| lookup(&b.fields, field).cloned());
        put(field, old, lookup(&now.fields, field).cloned());
    }
    if let Some(deletion) = item.revisions[revision as usize - 1].deletion {
        put(F::IsDeleted as u16, Some(Value::Bool(!deletion)), Some(Value::Bool(deletion)));
    }
    fields
}

/// All updates of an item: one per revision, and one per change of links alone.
fn updates_of(state: &State, call: &Call, id: u32, item: &Item) -> Vec<Json> {
    let mut all = Vec::new();
    for revision in 1..=item.rev() {
        let step = &item.revisions[revision as usize - 1];
        let revised = item.revisions.get(revision as usize).map_or(Millis::MAX, |next| next.at);
        let fields = fields_of_update(state, call, id, item, revision);
        let mut body = json!({"rev": revision, "revisedBy": state.person(&call.base, step.by), "revisedDate": iso(revised)});
        body["fields"] = Json::Object(fields);
        let relations = relations_of_update(state, call, item, revision, None);
        if !relations.is_empty() {
            body["relations"] = Json::Object(relations);
        }
        all.push(body);
        for (number, link) in
            item.link_updates.iter().enumerate().filter(|(_, l)| l.own && l.revision == revision)
        {
            let mut body = json!({"rev": revision, "revisedBy": state.person(&call.base, link.by), "revisedDate": iso(Millis::MAX)});
            body["relations"] = Json::Object(relations_of_update(state, call, item, revision, Some(number)));
            all.push(body);
        }
    }
    let url = state.item_url(&call.base, id);
    for (number, body) in all.iter_mut().enumerate() {
        let number = number + 1;
        let Json::Object(members) = body else { continue };
        let mut whole = Map::new();
        whole.insert("id".to_owned(), json!(number));
        whole.insert("workItemId".to_owned(), json!(id));
        whole.append(members);
        whole.insert("url".to_owned(), json!(format!("{url}/updates/{number}")));
        *members = whole;
    }
    all
}

fn relations_of_update(
    state: &State,
    call: &Call,
    item: &Item,
    revision: u32,
    only: Option<usize>,
) -> Map<String, Json> {
    let mut groups: Map<String, Json> = Map::new();
    for (number, link) in item.link_updates.iter().enumerate() {
        let wanted = match only {
            Some(only) => number == only,
            None => !link.own && link.revision == revision,
        };
        if !wanted {
            continue;
        }
        let Some(shown) = state.relation_json(&call.base, item.project, &link.relation) else { continue };
        let group = groups.entry(if link.added { "added" } else { "removed" }).or_insert_with(|| json!([]));
        if let Some(list) = group.as_array_mut() {
            list.push(shown);
        }
    }
    groups
}

/// `GET workitemtransitions?ids=&action=checkin`.
pub(super) fn next_states(state: &mut State, call: &Call) -> Answer {
    let ids = id_list("ids", call.q("ids").ok_or_else(|| Failure::null("ids"))?)?;
    let one = |id: u32| match state.live(id) {
        Some(item) => {
            let kind = state.type_of(item);
            let next = kind.and_then(|k| {
                let from = item.text(F::State);
                let finished = ["Resolved", "Completed"];
                finished.iter().find_map(|category| {
                    k.states.iter().find(|s| s.category == *category && k.reason(from, &s.name).is_some())
                })
            });
            let mut body = json!({"id": id});
            if let Some(next) = next {
                body["stateOnTransition"] = json!(next.name);
            }
            body
        }
        None => json!({"id": id, "errorCode": "401232", "message": Failure::no_item(id).message}),
    };
    Ok(Reply::list(ids.into_iter().map(one).collect()))
}
