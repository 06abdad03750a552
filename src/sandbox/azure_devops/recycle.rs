//! Deleting work items, the recycle bin, and destroying for good.

use serde_json::{Value as Json, json};

use super::fields::F;
use super::http::{Answer, Call, Failure, Reply, ref_id};
use super::items::Change;
use super::json::{Expand, Snapshot};
use super::links::Stamp;
use super::state::State;
use super::types::TEST_TYPES;
use super::value::us_date;

/// The most rows that the list of deleted items may have.
const MAX_ROWS: usize = 20_000;

fn refuse_test_items(state: &State, id: u32) -> Result<(), Failure> {
    let kind = state.items.get(&id).map_or("", |i| &i.kind);
    if TEST_TYPES.contains(&kind) {
        let message = format!(
            "VS403443: Work item {id} is a test artifact ({kind}) and cannot be deleted here: use the test management API."
        );
        return Err(Failure::new(400, "WorkItemTestArtifactDeleteException", message));
    }
    Ok(())
}

impl State {
    /// Removes an item with its links, suite memberships and points.
    pub(super) fn destroy(&mut self, id: u32, stamp: Stamp) {
        super::suites::forget_case(self, id);
        let relations = self.items.get(&id).map(|i| i.relations.clone()).unwrap_or_default();
        for relation in relations {
            self.remove_relation(id, &relation, stamp);
        }
        self.items.remove(&id);
        self.index.feed.retain(|(_, item, _)| *item != id);
        self.touched = true;
    }

    /// Removes many items: the feed is cleaned once.
    pub(super) fn destroy_all(&mut self, ids: &[u32], stamp: Stamp) {
        for &id in ids {
            super::suites::forget_case(self, id);
            let relations = self.items.get(&id).map(|i| i.relations.clone()).unwrap_or_default();
            for relation in relations {
                self.remove_relation(id, &relation, stamp);
            }
            self.items.remove(&id);
        }
        let items = &self.items;
        self.index.feed.retain(|(_, item, _)| items.contains_key(item));
        self.touched = true;
    }

    fn bin_reference(&self, base: &str, id: u32) -> Json {
        let item = &self.items[&id];
        let (at, by) = item.deleted.unwrap_or((0, 0));
        let guid = &self.project(item.project).guid;
        json!({
            "id": id, "code": 200, "type": item.kind, "name": item.text(F::Title),
            "project": self.project(item.project).name, "deletedDate": us_date(at), "deletedBy": self.person_text(by),
            "url": format!("{base}/{guid}/_apis/wit/recycleBin/{id}"),
        })
    }

    fn bin_item(&self, base: &str, id: u32) -> Json {
        let mut body = self.bin_reference(base, id);
        body["resource"] = self.item_json(base, &Snapshot::now(id, &self.items[&id]), Expand::default());
        body
    }
}

fn put_into_bin(state: &mut State, call: &Call, id: u32) -> Result<(), Failure> {
    state.live(id).ok_or_else(|| Failure::no_item(id))?;
    refuse_test_items(state, id)?;
    let change = Change { deletion: Some(true), by: call.user, at: call.now, ..Change::default() };
    state.commit(id, change);
    if let Some(item) = state.items.get_mut(&id) {
        item.deleted = Some((call.now, call.user));
    }
    Ok(())
}

fn stamp(call: &Call) -> Stamp {
    Stamp { by: call.user, at: call.now, own: true }
}

/// `DELETE workitems/{id}?destroy=`. The project in the path is not checked against the item's.
pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    state.scope_or_all(call)?;
    let id = call.id("id")?;
    if call.flag("destroy") {
        state.items.get(&id).ok_or_else(|| Failure::no_item(id))?;
        refuse_test_items(state, id)?;
        state.destroy(id, stamp(call));
        return Ok(Reply::none());
    }
    put_into_bin(state, call, id)?;
    Ok(Reply::ok(state.bin_item(&call.base, id)))
}

/// `POST workitemsdelete`.
pub(super) fn delete_many(state: &mut State, call: &Call) -> Answer {
    state.scope_or_all(call)?;
    let body = call.object()?;
    let ids = body
        .get("ids")
        .and_then(Json::as_array)
        .filter(|i| !i.is_empty())
        .ok_or_else(|| Failure::null("ids"))?;
    let destroy = body.get("destroy").and_then(Json::as_bool).unwrap_or(false);
    let mut results = Vec::new();
    for id in ids.iter().filter_map(ref_id) {
        let outcome = if destroy {
            let checked = state.items.get(&id).ok_or_else(|| Failure::no_item(id)).map(|_| ());
            checked.and_then(|()| refuse_test_items(state, id)).map(|()| {
                state.destroy(id, stamp(call));
                json!({"id": id, "code": 200})
            })
        } else {
            put_into_bin(state, call, id).map(|()| state.bin_reference(&call.base, id))
        };
        results.push(outcome.unwrap_or_else(|f| json!({"id": id, "code": f.status, "message": f.message})));
    }
    Ok(Reply::ok(json!({"results": results})))
}

fn in_bin(state: &State, call: &Call) -> Result<u32, Failure> {
    let id = call.id("id")?;
    state.scope_or_all(call)?;
    let deleted = state.items.get(&id).is_some_and(|i| i.deleted.is_some());
    if deleted { Ok(id) } else { Err(Failure::no_item(id)) }
}

/// `GET recyclebin[?ids=]`.
pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    let project = state.scope_or_all(call)?;
    if let Some(ids) = call.ids("ids")? {
        let shown = ids.into_iter().map(|id| match state.items.get(&id).filter(|i| i.deleted.is_some()) {
            Some(_) => state.bin_reference(&call.base, id),
            None => json!({"id": id, "code": 404, "message": Failure::no_item(id).message}),
        });
        return Ok(Reply::list(shown.collect()));
    }
    let rows: Vec<Json> = state
        .items
        .iter()
        .filter(|(_, i)| i.deleted.is_some() && project.is_none_or(|p| i.project == p))
        .map(|(&id, i)| {
            let guid = &state.project(i.project).guid;
            json!({"id": id, "url": format!("{}/{guid}/_apis/wit/recycleBin/{id}", call.base)})
        })
        .collect();
    if rows.len() > MAX_ROWS {
        return Err(super::wiql::too_many());
    }
    Ok(Reply::list(rows))
}

/// `GET recyclebin/{id}`.
pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    let id = in_bin(state, call)?;
    Ok(Reply::ok(state.bin_item(&call.base, id)))
}

/// `PATCH recyclebin/{id}` with `{"isDeleted": false}`.
pub(super) fn restore(state: &mut State, call: &Call) -> Answer {
    let id = in_bin(state, call)?;
    if call.object()?.get("isDeleted").and_then(Json::as_bool) != Some(false) {
        return Err(Failure::argument("isDeleted must be false to restore a work item."));
    }
    let mut body = state.bin_reference(&call.base, id);
    if let Some(item) = state.items.get_mut(&id) {
        item.deleted = None;
    }
    let change = Change { deletion: Some(false), by: call.user, at: call.now, ..Change::default() };
    state.commit(id, change);
    body["url"] = json!(state.item_url(&call.base, id));
    body["resource"] = state.item_json(&call.base, &Snapshot::now(id, &state.items[&id]), Expand::default());
    Ok(Reply::ok(body))
}

/// `DELETE recyclebin/{id}`: for good.
pub(super) fn purge(state: &mut State, call: &Call) -> Answer {
    let id = in_bin(state, call)?;
    state.destroy(id, stamp(call));
    Ok(Reply::none())
}

/// `DELETE testplan|test/testcases/{testCaseId}`: for good, with points and links.
pub(super) fn delete_case(state: &mut State, call: &Call) -> Answer {
    let id = call.id("testCaseId")?;
    delete_test_item(state, call, id, "Test Case")
}

/// `DELETE test/sharedstep/{sharedStepId}`.
pub(super) fn delete_shared_step(state: &mut State, call: &Call) -> Answer {
    let id = call.id("sharedStepId")?;
    delete_test_item(state, call, id, "Shared Steps")
}

/// `DELETE test/sharedparameter/{sharedParameterId}`.
pub(super) fn delete_shared_parameter(state: &mut State, call: &Call) -> Answer {
    let id = call.id("sharedParameterId")?;
    delete_test_item(state, call, id, "Shared Parameter")
}

fn delete_test_item(state: &mut State, call: &Call, id: u32, kind: &str) -> Answer {
    let project = state.scope(call)?;
    let held = state.items.get(&id).is_some_and(|i| i.project == project && &*i.kind == kind);
    if !held {
        return Err(Failure::no_test_object(format!("{kind} {id} not found.")));
    }
    state.destroy(id, stamp(call));
    Ok(Reply::none())
}
