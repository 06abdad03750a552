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
<<<<<<< HEAD
    fn field_or_fail(&self, name: &str) -> Result<u16, Failure> {
        self.field(name).ok_or_else(|| {
            let key = "WorkItemTrackingFieldDefinitionNotFoundException";
            Failure::new(400, key, format!("TF51535: Cannot find field {name}."))
        })
    }

    fn person_value(
        &self,
        value: &Json,
        field: &super::fields::Field,
        bypass: bool,
    ) -> Result<Value, Failure> {
        let names = ["descriptor", "uniqueName", "id", "displayName"];
        let text = match value {
            Json::Object(members) => {
                names.iter().find_map(|n| members.get(*n).and_then(Json::as_str).filter(|t| !t.is_empty()))
            }
            other => other.as_str(),
        };
        let text = text.unwrap_or_default();
        match self.find_person(text) {
            Some(person) => Ok(Value::Person(person)),
            None if bypass => Ok(Value::text(text)),
            None => {
                let message =
                    format!("The identity value '{text}' for field '{}' is an unknown identity.", field.name);
                Err(Failure::new(400, "RuleValidationException", message))
            }
        }
    }

    /// Turns JSON into a value of a field; none for an empty one.
    fn to_value(&self, draft: &Draft, number: u16, value: &Json) -> Result<Option<Value>, Failure> {
        let field = &self.fields[number as usize];
        if value.is_null() || value.as_str() == Some("") {
            return Ok(None);
        }
        let invalid = || Failure::rule(&field.name, &field.reference, "invalidType", 8);
        let value = match field.kind {
            Kind::Integer => Value::Int(
                value
                    .as_i64()
                    .or_else(|| value.as_f64().filter(|f| f.fract() == 0.0).map(|f| f as i64))
                    .or_else(|| value.as_str().and_then(|t| t.trim().parse().ok()))
                    .ok_or_else(invalid)?,
            ),
            Kind::Double => Value::Float(
                value
                    .as_f64()
                    .or_else(|| value.as_str().and_then(|t| t.trim().parse().ok()))
                    .ok_or_else(invalid)?,
            ),
            Kind::Boolean => Value::Bool(
                value
                    .as_bool()
                    .or_else(|| value.as_str().and_then(|t| t.to_lowercase().parse().ok()))
                    .ok_or_else(invalid)?,
            ),
            Kind::Date => Value::Date(value.as_str().and_then(parse_date).ok_or_else(invalid)?),
            Kind::Person => self.person_value(value, field, draft.bypass)?,
            Kind::Path => {
                let iteration = number == F::IterationPath as u16;
                let path = value.as_str().unwrap_or_default();
                let node = self.find_node(draft.project, iteration, path).ok_or_else(|| {
                    let id = draft.id.map_or(-1, i64::from);
                    Failure::new(
                        400,
                        "WorkItemInvalidTreeNameException",
                        format!(
                            "TF401347: Invalid tree name given for work item {id}, field '{}'.",
                            field.reference
                        ),
                    )
                })?;
                Value::Node(node)
            }
            Kind::Text | Kind::Guid => {
                let text = plain_text(value).ok_or_else(invalid)?;
                if text.chars().count() > MAX_STRING {
                    return Err(Failure::rule(&field.name, &field.reference, "invalidTooLong", 64));
                }
                Value::text(text)
            }
            Kind::Plain | Kind::Html | Kind::History => {
                let text = plain_text(value).ok_or_else(invalid)?;
                if text.chars().count() > MAX_LONG {
                    return Err(Failure::rule(&field.name, &field.reference, "invalidTooLong", 64));
                }
                let html = field.kind == Kind::Html && number != F::Steps as u16;
                Value::text(if html && text.contains('<') { sanitise(&text) } else { text })
            }
        };
        Ok(Some(value))
    }

    /// Sets one field of a draft as `add` or `replace` does.
    fn put(&self, draft: &mut Draft, name: &str, value: &Json, replace: bool) -> Result<(), Failure> {
        let number = self.field_or_fail(name)?;
        let is = |f: F| number == f as u16;
        if is(F::TeamProject) || is(F::WorkItemType) {
            return self.relocate(draft, number, value);
        }
        if is(F::CreatedDate) || is(F::CreatedBy) || is(F::ChangedDate) || is(F::ChangedBy) {
            return self.put_stamp(draft, number, value);
        }
        let field = &self.fields[number as usize];
        let reference = field.reference.as_str();
        if field.read_only && !draft.bypass {
            return Err(Failure::rule(&field.name, reference, "readOnly", 2));
        }
        let on_type = self.find_type(draft.project, &draft.kind).is_some_and(|t| t.field(number).is_some());
        if !on_type {
            let message = format!("TF51535: Cannot find field {reference}.");
            return Err(Failure::new(400, "WorkItemTrackingFieldDefinitionNotFoundException", message));
        }
        let mut value = self.to_value(draft, number, value)?;
        if is(F::History) {
            draft.history = match value {
                Some(Value::Text(text)) => Some(text),
                _ => None,
            };
            return Ok(());
        }
        if is(F::Tags) {
            let old = if replace { "" } else { draft.text(F::Tags) };
            let new = match &value {
                Some(Value::Text(text)) => text,
                _ => "",
            };
            let all = if new.is_empty() { Vec::new() } else { tags(&format!("{old};{new}")) };
            if all.len() > MAX_TAGS {
                return Err(Failure::rule(&field.name, reference, "invalidTooLong", 64));
            }
            value = (!all.is_empty()).then(|| Value::text(all.join("; ")));
        }
        assign(&mut draft.fields, number, value);
        draft.named.insert(number);
        Ok(())
    }

    /// Who and when: honoured with `bypassRules` only.
    fn put_stamp(&self, draft: &mut Draft, number: u16, value: &Json) -> Result<(), Failure> {
        let created = number == F::CreatedDate as u16 || number == F::CreatedBy as u16;
        let field = &self.fields[number as usize];
        if !draft.bypass && !created {
            return Err(Failure::rule(&field.name, &field.reference, "readOnly", 2));
        }
        if !draft.bypass || (created && draft.id.is_some()) {
            return Ok(());
        }
        let (mut at, mut by) = draft.created.unwrap_or((draft.at, draft.by));
        match self.to_value(draft, number, value)? {
            Some(Value::Date(date)) if created => at = date,
            Some(Value::Person(person)) if created => by = person,
            Some(Value::Date(date)) => draft.at = date,
            Some(Value::Person(person)) => draft.by = person,
            _ => {}
        }
        if created {
            draft.created = Some((at, by));
        }
        draft.named.insert(number);
        Ok(())
    }

    /// Moves an item to another project or changes its type.
    fn relocate(&self, draft: &mut Draft, number: u16, value: &Json) -> Result<(), Failure> {
        let name = value.as_str().unwrap_or_default();
        let moves = number == F::TeamProject as u16;
        let old = if moves { self.project(draft.project).name.as_str() } else { &*draft.kind };
        if same(old, name) {
            return Ok(());
        }
        let fixed = TEST_TYPES.iter().any(|t| same(t, &draft.kind) || (!moves && same(t, name)));
        if fixed || draft.id.is_none() {
            let message = format!(
                "VS402847: A work item of type {} cannot be moved or given another type.",
                draft.kind
            );
            return Err(Failure::new(400, "WorkItemTypeChangeException", message));
        }
        if moves {
            draft.project = self.find_project(name).ok_or_else(|| super::json::no_project(name))?;
            draft.set(F::AreaPath, Some(Value::Node(self.root(draft.project, false))));
            draft.set(F::IterationPath, Some(Value::Node(self.root(draft.project, true))));
        } else {
            let kind = self.find_type(draft.project, name).ok_or_else(|| no_type(name))?;
            draft.kind = kind.name.as_str().into();
        }
        Ok(())
    }

    /// Reads a relation that a client wants to add.
    fn relation(
        &self,
        call: &Call,
        value: &Json,
        temporary: &HashMap<i64, u32>,
    ) -> Result<Relation, Failure> {
        let member = |name: &str| value.get(name).and_then(Json::as_str).unwrap_or_default();
        let rel = links::canonical(member("rel")).ok_or_else(|| {
            let key = "WorkItemLinkTypeNotFoundException";
            Failure::new(400, key, format!("VS402386: The relation type '{}' is not known.", member("rel")))
        })?;
        let url = member("url");
        if url.is_empty() {
            return Err(Failure::null("url"));
        }
        let attribute = |name: &str| {
            value.get("attributes").and_then(|a| a.get(name)).and_then(Json::as_str).filter(|t| !t.is_empty())
        };
        let tail = url.split('?').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        let target = match rel.as_str() {
            "AttachedFile" => {
                let guid = tail.to_ascii_lowercase();
                let blob = self.blobs.get(&guid).ok_or_else(|| {
                    Failure::new(
                        404,
                        "AttachmentNotFoundException",
                        format!("TF237079: The attachment {guid} does not exist."),
                    )
                })?;
                let name = attribute("name").unwrap_or(&blob.name).into();
                let comment = attribute("comment").map(Into::into);
                let resource = Some((0, blob.created));
                return Ok(Relation {
                    rel: rel.into(),
                    target: Target::File(guid),
                    comment,
                    name: Some(name),
                    resource,
                });
            }
            "Hyperlink" | "ArtifactLink" => {
                if rel == "ArtifactLink" && attribute("name").is_none() {
                    return Err(Failure::null("name"));
                }
                let (comment, name) =
                    (attribute("comment").map(Into::into), attribute("name").map(Into::into));
                let resource = Some((0, call.now));
                return Ok(Relation {
                    rel: rel.into(),
                    target: Target::Url(url.to_owned()),
                    comment,
                    name,
                    resource,
                });
            }
            _ => {
                let id: i64 = tail.parse().map_err(|_| {
                    Failure::argument(format!("VS402386: '{url}' is not the url of a work item."))
                })?;
                let id = if id < 0 { temporary.get(&id).copied().map(i64::from).unwrap_or(id) } else { id };
                Target::Item(u32::try_from(id).map_err(|_| Failure::no_item(0))?)
            }
        };
        let comment = attribute("comment").map(Into::into);
        Ok(Relation { rel: rel.into(), target, comment, name: None, resource: None })
    }

    fn patch_relation(
        &self,
        draft: &mut Draft,
        call: &Call,
        op: &str,
        path: &[String],
        value: &Json,
        temporary: &HashMap<i64, u32>,
    ) -> Result<(), Failure> {
        if path.first().is_some_and(|p| p == "-") && op == "add" {
            let relation = self.relation(call, value, temporary)?;
            let source = draft.id.unwrap_or(u32::MAX);
            links::check(self, source, &draft.relations, &relation)?;
            let files = draft.relations.iter().filter(|r| &*r.rel == "AttachedFile").count();
            if files >= MAX_FILES && &*relation.rel == "AttachedFile" {
                return Err(Failure::new(
                    400,
                    "WorkItemAttachmentLimitException",
                    format!("VS403313: A work item may have {MAX_FILES} attachments."),
                ));
            }
            draft.relations.push(relation.clone());
            draft.added.push(relation);
            return Ok(());
        }
        let index = path.first().and_then(|p| p.parse::<usize>().ok()).filter(|i| *i < draft.relations.len());
        let Some(index) = index else {
            return Err(patch_error(&format!("Index out of range for path /relations/{}", path.join("/"))));
        };
        match (op, path.get(1).map(String::as_str)) {
            ("remove", None) => {
                let gone = draft.relations.remove(index);
                match draft.added.iter().position(|r| *r == gone) {
                    Some(at) => drop(draft.added.remove(at)),
                    None => draft.removed.push(gone),
                }
                Ok(())
            }
            ("replace" | "add", Some("attributes")) => {
                let comment = match path.get(2).map(String::as_str) {
                    Some("comment") => value.as_str(),
                    None => value.get("comment").and_then(Json::as_str),
                    Some(other) => {
                        return Err(patch_error(&format!(
                            "The attribute '{other}' of a relation cannot be changed."
                        )));
                    }
                };
                draft.relations[index].comment = comment.filter(|c| !c.is_empty()).map(Into::into);
                let relation = draft.relations[index].clone();
                draft.recommented.push(relation);
                Ok(())
            }
            _ => Err(patch_error(&format!(
                "The operation '{op}' is not supported for path /relations/{}",
                path.join("/")
            ))),
        }
    }

    /// Applies the operations of a patch in order.
    pub(super) fn apply(
        &self,
        draft: &mut Draft,
        call: &Call,
        ops: &[Json],
        temporary: &HashMap<i64, u32>,
    ) -> Result<(), Failure> {
        // The project and type come first, because paths and fields depend on them.
        let first = |op: &&Json| op["path"].as_str().is_some_and(|p| same(p, "/fields/System.TeamProject"));
        for op in ops.iter().filter(first).chain(ops.iter().filter(|op| !first(op))) {
            self.apply_one(draft, call, op, temporary)?;
        }
        Ok(())
    }

    fn apply_one(
        &self,
        draft: &mut Draft,
        call: &Call,
        op: &Json,
        temporary: &HashMap<i64, u32>,
    ) -> Result<(), Failure> {
        let name = op.get("op").and_then(Json::as_str).unwrap_or_default().to_ascii_lowercase();
        let path = op.get("path").and_then(Json::as_str).unwrap_or_default();
        let parts: Vec<String> = path
            .trim_start_matches('/')
            .split('/')
            .map(|p| p.replace("~1", "/").replace("~0", "~"))
            .collect();
        let value = op.get("value").unwrap_or(&Json::Null);
        if !matches!(name.as_str(), "add" | "replace" | "remove" | "test" | "copy" | "move") {
            return Err(patch_error(&format!("The operation '{name}' is not supported.")));
        }
        match (parts[0].to_ascii_lowercase().as_str(), name.as_str()) {
            ("fields", "test") => {
                self.test_field(draft, parts.get(1).map_or("", String::as_str), value, path)
            }
            ("rev", "test") => {
                let rev = draft.id.and_then(|id| self.items.get(&id)).map_or(0, Item::rev);
                let wanted = value.as_u64().or_else(|| value.as_str().and_then(|t| t.parse().ok()));
                if wanted == Some(u64::from(rev)) { Ok(()) } else { Err(test_failed("/rev")) }
            }
            ("id", _) => Ok(()),
            ("fields", "remove") => {
                self.put(draft, parts.get(1).map_or("", String::as_str), &Json::Null, true)
            }
            ("fields", "copy" | "move") => self.transfer(draft, op, &parts, name == "move"),
            ("fields", _) => {
                let field = parts
                    .get(1)
                    .filter(|f| !f.is_empty())
                    .ok_or_else(|| patch_error(&format!("Invalid path {path}")))?;
                self.put(draft, field, value, name == "replace")
            }
            ("relations", _) => self.patch_relation(draft, call, &name, &parts[1..], value, temporary),
            ("multilinefieldsformat", _) => {
                let field = self.field_or_fail(parts.get(1).map_or("", String::as_str))?;
                if !self.fields[field as usize].kind.is_long() || field == F::Steps as u16 {
                    return Err(patch_error(&format!("The format of {path} cannot be set.")));
                }
                let markdown = value.as_str().is_some_and(|v| v.eq_ignore_ascii_case("markdown"));
                draft.markdown.retain(|f| *f != field);
                if markdown {
                    draft.markdown.push(field);
                    draft.markdown.sort_unstable();
                }
                Ok(())
            }
            _ => Err(patch_error(&format!("The path '{path}' is not supported."))),
        }
    }

    fn test_field(&self, draft: &Draft, name: &str, value: &Json, path: &str) -> Result<(), Failure> {
        let number = self.field_or_fail(name)?;
        let current = match draft.id.and_then(|id| self.items.get(&id).map(|item| (id, item))) {
            Some((id, item)) => self.field_value(&Snapshot::now(id, item), number),
            None => lookup(&draft.fields, number).cloned(),
        };
        let wanted = self.to_value(draft, number, value)?;
        if current == wanted { Ok(()) } else { Err(test_failed(path)) }
    }

    fn transfer(&self, draft: &mut Draft, op: &Json, parts: &[String], remove: bool) -> Result<(), Failure> {
        let from = op.get("from").and_then(Json::as_str).unwrap_or_default();
        let source = from.strip_prefix("/fields/").ok_or_else(|| patch_error("Invalid 'from'."))?;
        let number = self.field_or_fail(source)?;
        let value = lookup(&draft.fields, number).map_or(Json::Null, |v| self.value_json("", v));
        self.put(draft, parts.get(1).map_or("", String::as_str), &value, true)?;
        if remove {
            self.put(draft, source, &Json::Null, true)?;
        }
        Ok(())
    }

=======
>>>>>>> ado-emu
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

<<<<<<< HEAD
fn patch_error(message: &str) -> Failure {
    Failure::new(400, "VssPropertyValidationException", message)
}

fn test_failed(path: &str) -> Failure {
    Failure::new(
        412,
        "WorkItemRevisionMismatchException",
        format!("VS403351: Test Operation for path {path} failed."),
    )
}

=======
>>>>>>> ado-emu
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
