//! A work item while it is written: its values and how JSON becomes them.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::fields::{F, Field, Kind};
use super::http::{Call, Failure};
use super::items::{Item, Relation, Target, assign, lookup};
use super::state::State;
use super::types::TEST_TYPES;
use super::value::{Millis, Value, parse_date, same};
use super::write::no_type;

/// How long a string field may be.
const MAX_STRING: usize = 255;
/// How long HTML, plain text and Markdown may be.
const MAX_LONG: usize = 1_048_576;
/// How many tags a work item may have.
const MAX_TAGS: usize = 100;

/// A work item while a patch is applied to it.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) id: Option<u32>,
    pub(super) project: u16,
    pub(super) kind: Box<str>,
    pub(super) fields: Vec<(u16, Value)>,
    /// The fields that the patch names.
    pub(super) named: BTreeSet<u16>,
    pub(super) history: Option<Box<str>>,
    pub(super) bypass: bool,
    pub(super) by: u32,
    pub(super) at: Millis,
    pub(super) created: Option<(Millis, u32)>,
    /// The relations as the client saw them.
    pub(super) relations: Vec<Relation>,
    pub(super) added: Vec<Relation>,
    pub(super) removed: Vec<Relation>,
    pub(super) recommented: Vec<Relation>,
    pub(super) markdown: Vec<u16>,
}

impl Draft {
    /// The draft of a new item of a type.
    pub(super) fn new(project: u16, kind: &str, call: &Call) -> Self {
        Self {
            id: None,
            project,
            kind: kind.into(),
            fields: Vec::new(),
            named: BTreeSet::new(),
            history: None,
            bypass: false,
            by: call.user,
            at: call.now,
            created: None,
            relations: Vec::new(),
            added: Vec::new(),
            removed: Vec::new(),
            recommented: Vec::new(),
            markdown: Vec::new(),
        }
    }

    /// The draft of a change of an item.
    pub(super) fn of(id: u32, item: &Item, state: &State, call: &Call) -> Self {
        let shown = |r: &&Relation| !matches!(r.target, Target::Item(id) if state.live(id).is_none());
        Self {
            id: Some(id),
            fields: item.fields.clone(),
            relations: item.relations.iter().filter(shown).cloned().collect(),
            markdown: item.markdown.clone(),
            ..Self::new(item.project, &item.kind, call)
        }
    }

    /// The present value of a field.
    pub(super) fn get(&self, field: F) -> Option<&Value> {
        lookup(&self.fields, field as u16)
    }

    /// The present value of a text field.
    pub(super) fn text(&self, field: F) -> &str {
        match self.get(field) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// Sets a field.
    pub(super) fn set(&mut self, field: F, value: Option<Value>) {
        assign(&mut self.fields, field as u16, value);
    }

    /// Whether the patch names a field.
    pub(super) fn names(&self, field: F) -> bool {
        self.named.contains(&(field as u16))
    }
}

/// Splits tags, drops twins and sorts them.
pub(super) fn tags(text: &str) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in text.split([';', ',']).map(str::trim).filter(|t| !t.is_empty()) {
        if !tags.iter().any(|t| same(t, tag)) {
            tags.push(tag.to_owned());
        }
    }
    tags.sort_by_key(|t| t.to_lowercase());
    tags
}

fn plain_text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Removes what the service never stores in HTML.
fn sanitise(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    loop {
        let lower = rest.to_ascii_lowercase();
        let Some(start) = lower.find("<script") else { break };
        out.push_str(&rest[..start]);
        match lower[start..].find("</script>") {
            Some(end) => rest = &rest[start + end + "</script>".len()..],
            None => rest = "",
        }
    }
    out.push_str(rest);
    out
}

impl State {
    /// The field of that name, or the refusal.
    pub(super) fn field_or_fail(&self, name: &str) -> Result<u16, Failure> {
        self.field(name).ok_or_else(|| {
            let key = "WorkItemTrackingFieldDefinitionNotFoundException";
            Failure::new(400, key, format!("TF51535: Cannot find field {name}."))
        })
    }

    fn person_value(&self, value: &Json, field: &Field, bypass: bool) -> Result<Value, Failure> {
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
    pub(super) fn to_value(
        &self,
        draft: &Draft,
        number: u16,
        value: &Json,
    ) -> Result<Option<Value>, Failure> {
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
    pub(super) fn put(
        &self,
        draft: &mut Draft,
        name: &str,
        value: &Json,
        replace: bool,
    ) -> Result<(), Failure> {
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
}
