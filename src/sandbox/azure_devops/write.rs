//! Creating and updating work items: checking, storing, answering.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use super::draft::Draft;
use super::fields::F;
use super::http::{Answer, Call, Failure, Reply};
use super::items::{Change, Item, Relation, Revision, Target, lookup};
use super::json::{Expand, Snapshot};
use super::links::Stamp;
use super::state::State;
use super::value::{Millis, Value};

/// How many revisions a work item may have before REST refuses to add one.
const MAX_REVISIONS: u32 = 10_000;

/// The switches in the query of a write.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Switches {
    pub(super) bypass: bool,
    pub(super) validate_only: bool,
}

impl Switches {
    pub(super) fn of(call: &Call) -> Self {
        Self { bypass: call.flag("bypassrules"), validate_only: call.flag("validateonly") }
    }
}
impl State {
    /// Writes a checked draft and returns the item's id.
    pub(super) fn store(&mut self, draft: Draft) -> u32 {
        let stamp_base = Stamp { by: draft.by, at: draft.at, own: false };
        let id = match draft.id {
            Some(id) => id,
            None => {
                let id = self.take_item_id();
                let (created, created_by) = draft.created.unwrap_or((draft.at, draft.by));
                self.items.insert(id, blank(draft.project, draft.kind.clone(), created, created_by));
                id
            }
        };
        let files = |list: &[Relation]| list.iter().any(|r| !matches!(r.target, Target::Item(_)));
        let force = files(&draft.added) || files(&draft.removed) || !draft.recommented.is_empty();
        let mut fields: Vec<(u16, Option<Value>)> = Vec::new();
        if let Some(item) = self.items.get_mut(&id) {
            for (field, _) in &item.fields {
                if lookup(&draft.fields, *field).is_none() {
                    fields.push((*field, None));
                }
            }
            item.project = draft.project;
            item.kind = draft.kind;
            item.markdown = draft.markdown;
        }
        let before: Vec<(u16, Value)> = draft.fields;
        fields.extend(before.into_iter().map(|(f, v)| (f, Some(v))));
        if draft.history.is_some() {
            let count = match self.items[&id].get(F::CommentCount) {
                Some(Value::Int(n)) => n + 1,
                _ => 1,
            };
            fields.retain(|(f, _)| *f != F::CommentCount as u16);
            fields.push((F::CommentCount as u16, Some(Value::Int(count))));
        }
        let history = draft.history.clone();
        let change = Change { fields, history, force, deletion: None, by: draft.by, at: draft.at };
        let committed = self.commit(id, change);
        if let Some(text) = draft.history {
            let at = self.items[&id].changed().0;
            super::comments::push(self, id, text.into(), false, draft.by, at);
        }
        let stamp = Stamp { own: !committed, ..stamp_base };
        for relation in draft.removed {
            self.remove_relation(id, &relation, stamp);
        }
        for mut relation in draft.added {
            if let Some((number, _)) = &mut relation.resource {
                self.next_resource += 1;
                *number = self.next_resource;
            }
            self.add_relation(id, relation, stamp);
        }
        for relation in draft.recommented {
            if let Some(held) = self.items.get_mut(&id).and_then(|i| {
                i.relations.iter_mut().find(|r| r.rel == relation.rel && r.target == relation.target)
            }) {
                held.comment = relation.comment;
            }
        }
        super::tags::learn(self, id, stamp_base.at);
        super::suites::item_changed(self, id, stamp_base);
        id
    }

    /// How a draft would look once it is written.
    fn preview(&self, base: &str, draft: Draft, expand: Expand) -> Json {
        let (created, created_by) = draft.created.unwrap_or((draft.at, draft.by));
        let mut item = match draft.id.and_then(|id| self.items.get(&id)) {
            Some(item) => item.clone(),
            None => blank(draft.project, draft.kind.clone(), created, created_by),
        };
        if item.revisions.is_empty() {
            let (at, by) = (draft.at, draft.by);
            item.revisions.push(Revision {
                at,
                by,
                watermark: 0,
                undo: Vec::new(),
                history: None,
                deletion: None,
            });
        }
        item.fields = draft.fields;
        item.relations = draft.relations;
        let mut body = self.item_json(base, &Snapshot::now(draft.id.unwrap_or(0), &item), expand);
        if draft.id.is_none()
            && let Some(members) = body.as_object_mut()
        {
            members.shift_remove("id");
            members.shift_remove("url");
        }
        body
    }
}

/// An item without any revision.
pub(super) fn blank(project: u16, kind: Box<str>, created: Millis, created_by: u32) -> Item {
    Item {
        project,
        kind,
        created,
        created_by,
        fields: Vec::new(),
        revisions: Vec::new(),
        relations: Vec::new(),
        link_updates: Vec::new(),
        comments: Vec::new(),
        deleted: None,
        markdown: Vec::new(),
    }
}

/// The refusal for a type that is not there.
pub(super) fn no_type(name: &str) -> Failure {
    Failure::new(
        404,
        "WorkItemTypeNotFoundException",
        format!("VS402323: Work item type {name} does not exist in the project."),
    )
}

/// The content type that patches must have.
pub(super) fn check_content_type(content_type: &str) -> Result<(), Failure> {
    if content_type.to_ascii_lowercase().starts_with("application/json-patch+json") {
        return Ok(());
    }
    let message = format!(
        "TF400898: The request indicated a Content-Type of \"{content_type}\" for method type \"PATCH\" which is not \
         supported. Valid content types for this method are: application/json-patch+json."
    );
    Err(Failure::new(415, "VssRequestContentTypeNotSupportedException", message))
}

/// Creates a work item.
pub(super) fn create_item(
    state: &mut State,
    call: &Call,
    project: u16,
    kind: &str,
    ops: &[Json],
    temporary: &HashMap<i64, u32>,
) -> Result<(Option<u32>, Json), Failure> {
    let switches = Switches::of(call);
    let name = state.find_type(project, kind).ok_or_else(|| no_type(kind))?.name.clone();
    if matches!(name.as_str(), "Test Plan" | "Test Suite") {
        let message = format!("VS403104: Work items of type {name} are created by the test plan API only.");
        return Err(Failure::new(400, "WorkItemTypeNotSupportedException", message));
    }
    let mut draft = Draft::new(project, &name, call);
    draft.bypass = switches.bypass;
    super::rules::defaults(state, &mut draft);
    state.apply(&mut draft, call, ops, temporary)?;
    super::rules::check(state, &mut draft)?;
    let expand = written(call)?;
    if switches.validate_only {
        return Ok((None, state.preview(&call.base, draft, expand)));
    }
    let id = state.store(draft);
    let item = &state.items[&id];
    Ok((Some(id), state.item_json(&call.base, &Snapshot::now(id, item), expand)))
}

/// Updates a work item.
pub(super) fn update_item(
    state: &mut State,
    call: &Call,
    id: u32,
    ops: &[Json],
    temporary: &HashMap<i64, u32>,
) -> Result<Json, Failure> {
    let switches = Switches::of(call);
    let item = state.live(id).ok_or_else(|| Failure::no_item(id))?;
    if item.rev() >= MAX_REVISIONS {
        let message = format!(
            "Work item {id} has {} revisions, but currently, when updating via the API, only work items with up to \
             10,000 revisions are supported.",
            item.rev()
        );
        return Err(Failure::new(500, "WorkItemRevisionLimitException", message));
    }
    let mut draft = Draft::of(id, item, state, call);
    draft.bypass = switches.bypass;
    state.apply(&mut draft, call, ops, temporary)?;
    super::rules::check(state, &mut draft)?;
    let expand = written(call)?;
    if switches.validate_only {
        return Ok(state.preview(&call.base, draft, expand));
    }
    state.store(draft);
    let item = &state.items[&id];
    Ok(state.item_json(&call.base, &Snapshot::now(id, item), expand))
}

/// Answers to writes always show links and relations.
fn written(call: &Call) -> Result<Expand, Failure> {
    let mut expand = Expand::parse(call.q("$expand"))?;
    (expand.relations, expand.links) = (true, true);
    Ok(expand)
}

/// `POST|PATCH workitems/${type}`.
pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    check_content_type(&call.content_type)?;
    let project = state.scope(call)?;
    let kind = call.param("type").unwrap_or_default().to_owned();
    let ops = call.array()?;
    let (_, body) = create_item(state, call, project, &kind, &ops, &HashMap::new())?;
    Ok(Reply::ok(body))
}

/// `PATCH workitems/{id}`.
pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    check_content_type(&call.content_type)?;
    state.scope_or_all(call)?;
    let id = call.id("id")?;
    let ops = call.array()?;
    Ok(Reply::ok(update_item(state, call, id, &ops, &HashMap::new())?))
}

/// `GET workitems/${type}`: an unsaved item with the type's defaults.
pub(super) fn template(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let kind = call.param("type").unwrap_or_default();
    let name = state.find_type(project, kind).ok_or_else(|| no_type(kind))?.name.clone();
    let mut draft = Draft::new(project, &name, call);
    super::rules::defaults(state, &mut draft);
    let mut body = state.preview(&call.base, draft, Expand { links: false, ..Expand::default() });
    let guid = &state.project(project).guid;
    body["_links"] = json!({
        "workItemType": {"href": format!("{}/{guid}/_apis/wit/workItemTypes/{}", call.base, super::json::encode(&name))},
        "fields": {"href": format!("{}/{guid}/_apis/wit/fields", call.base)},
    });
    body["url"] = json!(format!("{}/{guid}/_apis/wit/workitems", call.base));
    if let Some(members) = body.as_object_mut() {
        members.shift_remove("rev");
    }
    Ok(Reply::ok(body))
}
