//! The JSON shapes that many answers share: people, projects, work items.

use base64::Engine as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value as Json, json};

use super::fields::F;
use super::http::{Call, Failure};
use super::items::{Item, Relation, Target, lookup};
use super::state::{Person, Project, State};
use super::value::{Value, iso};

const KEEP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes one segment of a path or one value of a query.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, KEEP).to_string()
}

/// Decodes one segment of a path.
pub(super) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The descriptor of a person.
pub(super) fn descriptor(person: &Person) -> String {
    format!("aad.{}", base64::engine::general_purpose::STANDARD_NO_PAD.encode(&person.guid))
}

/// How much of a work item an answer shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expand {
    pub(super) relations: bool,
    pub(super) links: bool,
    /// Also the fields that the service keeps for itself.
    pub(super) internal: bool,
}

impl Expand {
    /// Reads the value of `$expand`.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Failure> {
        let mut expand = Self::default();
        for word in text.unwrap_or_default().split(',').map(|w| w.trim().to_ascii_lowercase()) {
            match word.as_str() {
                "" | "none" | "0" => {}
                "relations" | "1" => expand.relations = true,
                "fields" | "2" => {}
                "links" | "3" => expand.links = true,
                "all" | "4" => expand = Self { relations: true, links: true, internal: true },
                other => {
                    return Err(Failure::binding(format!("The value '{other}' is not valid for $expand.")));
                }
            }
        }
        Ok(expand)
    }
}

/// The fields that only `$expand=all` and an explicit request show.
const INTERNAL: &[F] = &[
    F::Id,
    F::AreaId,
    F::NodeName,
    F::AreaLevel1,
    F::AreaLevel2,
    F::Rev,
    F::AuthorizedDate,
    F::RevisedDate,
    F::IterationId,
    F::IterationLevel1,
    F::IterationLevel2,
    F::AuthorizedAs,
    F::PersonId,
    F::Watermark,
    F::RelatedLinkCount,
    F::HyperLinkCount,
    F::AttachedFileCount,
    F::ExternalLinkCount,
];

/// The fields that every answer starts with.
const FIRST: &[F] = &[
    F::AreaPath,
    F::TeamProject,
    F::IterationPath,
    F::WorkItemType,
    F::State,
    F::Reason,
    F::AssignedTo,
    F::CreatedDate,
    F::CreatedBy,
    F::ChangedDate,
    F::ChangedBy,
    F::CommentCount,
    F::Title,
    F::IsDeleted,
    F::Parent,
];

/// A work item as it was at one revision.
#[derive(Debug)]
pub(super) struct Snapshot<'a> {
    pub(super) id: u32,
    pub(super) item: &'a Item,
    pub(super) revision: u32,
    pub(super) fields: std::borrow::Cow<'a, [(u16, Value)]>,
}

impl<'a> Snapshot<'a> {
    /// The item as it is now.
    pub(super) fn now(id: u32, item: &'a Item) -> Self {
        Self { id, item, revision: item.rev(), fields: std::borrow::Cow::Borrowed(&item.fields) }
    }

    /// The item as it was at a revision.
    pub(super) fn at(id: u32, item: &'a Item, revision: u32) -> Self {
        if revision == item.rev() {
            return Self::now(id, item);
        }
        Self { id, item, revision, fields: std::borrow::Cow::Owned(item.fields_at(revision)) }
    }

    fn step(&self) -> Option<&'a super::items::Revision> {
        self.item.revisions.get((self.revision as usize).checked_sub(1)?)
    }
}

impl State {
    /// The position of the person that calls, as a reference to an identity.
    pub(super) fn person(&self, base: &str, person: u32) -> Json {
        let Some(person) = self.people.get(person as usize) else { return json!({"id": null}) };
        let descriptor = descriptor(person);
        let avatar = format!("{base}/_apis/GraphProfile/MemberAvatars/{descriptor}");
        json!({
            "displayName": person.name,
            "url": format!("{base}/_apis/Identities/{}", person.guid),
            "_links": {"avatar": {"href": avatar}},
            "id": person.guid, "uniqueName": person.unique, "imageUrl": avatar, "descriptor": descriptor,
        })
    }

    /// `Name <unique>`, the reporting feed's form of a person.
    pub(super) fn person_text(&self, person: u32) -> String {
        self.people.get(person as usize).map(|p| format!("{} <{}>", p.name, p.unique)).unwrap_or_default()
    }

    /// The project of the call's path; an error if it names none or one that is not there.
    pub(super) fn scope(&self, call: &Call) -> Result<u16, Failure> {
        self.scope_or_all(call)?.ok_or_else(|| {
            Failure::argument("A project name is required in the path to complete this request.")
        })
    }

    /// The project of the call's path, if it names one.
    pub(super) fn scope_or_all(&self, call: &Call) -> Result<Option<u16>, Failure> {
        let Some(name) = &call.project else { return Ok(None) };
        self.find_project(name).map(Some).ok_or_else(|| no_project(name))
    }

    /// A reference to a project as the testplan area shows it.
    pub(super) fn plan_project(&self, base: &str, project: u16) -> Json {
        let project = self.project(project);
        json!({"id": project.guid, "name": project.name, "url": project_url(base, project),
            "state": "unchanged", "visibility": "unchanged"})
    }

    /// A shallow reference to a project as the test area shows it.
    pub(super) fn shallow_project(&self, base: &str, project: u16) -> Json {
        let project = self.project(project);
        json!({"id": project.guid, "name": project.name, "url": project_url(base, project)})
    }

    /// The API url of a work item.
    pub(super) fn item_url(&self, base: &str, id: u32) -> String {
        match self.items.get(&id) {
            Some(item) => format!("{base}/{}/_apis/wit/workItems/{id}", self.project(item.project).guid),
            None => format!("{base}/_apis/wit/workItems/{id}"),
        }
    }

    /// The page of a work item.
    pub(super) fn web_url(&self, base: &str, id: u32) -> String {
        let project = self.items.get(&id).map_or("", |i| self.project(i.project).name.as_str());
        format!("{base}/{}/_workitems/edit/{id}", encode(project))
    }

    /// A stored value as JSON.
    pub(super) fn value_json(&self, base: &str, value: &Value) -> Json {
        match value {
            Value::Text(text) => json!(text),
            Value::Int(number) => json!(number),
            Value::Float(number) => json!(number),
            Value::Bool(flag) => json!(flag),
            Value::Date(at) => json!(iso(*at)),
            Value::Person(person) => self.person(base, *person),
            Value::Node(node) => json!(self.node_path(*node)),
        }
    }

    /// The value of any field at a snapshot, also of those that are computed.
    pub(super) fn field_value(&self, snap: &Snapshot<'_>, field: u16) -> Option<Value> {
        if let Some(value) = lookup(&snap.fields, field) {
            return Some(value.clone());
        }
        let (item, step) = (snap.item, snap.step());
        let is = |f: F| field == f as u16;
        let node = |f: F| match lookup(&snap.fields, f as u16) {
            Some(Value::Node(node)) => Some(*node),
            _ => None,
        };
        let level =
            |f: F, depth: usize| node(f).and_then(|n| self.node_names(n).get(depth).map(|&t| Value::text(t)));
        let count = |rel: &[&str]| {
            let n = item.relations.iter().filter(|r| rel.contains(&&*r.rel)).count();
            (n > 0).then(|| Value::Int(i64::try_from(n).unwrap_or(i64::MAX)))
        };
        let links = || {
            let n = item.relations.iter().filter(|r| matches!(r.target, Target::Item(_))).count();
            (n > 0).then(|| Value::Int(i64::try_from(n).unwrap_or(i64::MAX)))
        };
        match () {
            () if is(F::Id) => Some(Value::Int(i64::from(snap.id))),
            () if is(F::Rev) => Some(Value::Int(i64::from(snap.revision))),
            () if is(F::TeamProject) => Some(Value::text(self.project(item.project).name.as_str())),
            () if is(F::WorkItemType) => Some(Value::Text(item.kind.clone())),
            () if is(F::CreatedDate) => Some(Value::Date(item.created)),
            () if is(F::CreatedBy) => Some(Value::Person(item.created_by)),
            () if is(F::ChangedDate) || is(F::AuthorizedDate) => step.map(|s| Value::Date(s.at)),
            () if is(F::ChangedBy) || is(F::AuthorizedAs) => step.map(|s| Value::Person(s.by)),
            () if is(F::RevisedDate) => Some(Value::Date(
                item.revisions.get(snap.revision as usize).map_or(super::value::Millis::MAX, |next| next.at),
            )),
            () if is(F::Watermark) => {
                step.map(|s| Value::Int(i64::try_from(s.watermark).unwrap_or(i64::MAX)))
            }
            () if is(F::PersonId) => step.map(|s| Value::Int(i64::from(s.by) + 1)),
            () if is(F::History) => step.and_then(|s| s.history.clone()).map(Value::Text),
            () if is(F::CommentCount) => Some(Value::Int(0)),
            () if is(F::AreaId) => node(F::AreaPath).map(|n| Value::Int(i64::from(n))),
            () if is(F::IterationId) => node(F::IterationPath).map(|n| Value::Int(i64::from(n))),
            () if is(F::NodeName) => {
                node(F::AreaPath).and_then(|n| self.nodes.get(&n)).map(|n| Value::text(n.name.as_str()))
            }
            () if is(F::AreaLevel1) => level(F::AreaPath, 0),
            () if is(F::AreaLevel2) => level(F::AreaPath, 1),
            () if is(F::IterationLevel1) => level(F::IterationPath, 0),
            () if is(F::IterationLevel2) => level(F::IterationPath, 1),
            () if is(F::IsDeleted) => item.deleted.map(|_| Value::Bool(true)),
            () if is(F::Parent) => self.parent_of(item).map(|id| Value::Int(i64::from(id))),
            () if is(F::RelatedLinkCount) => links(),
            () if is(F::HyperLinkCount) => count(&["Hyperlink"]),
            () if is(F::AttachedFileCount) => count(&["AttachedFile"]),
            () if is(F::ExternalLinkCount) => count(&["ArtifactLink"]),
            () => None,
        }
    }

    /// The parent by hierarchy links.
    pub(super) fn parent_of(&self, item: &Item) -> Option<u32> {
        item.relations.iter().find_map(|r| match r.target {
            Target::Item(id) if &*r.rel == "System.LinkTypes.Hierarchy-Reverse" => self.live(id).map(|_| id),
            _ => None,
        })
    }

    /// The fields of a snapshot in the service's order.
    pub(super) fn fields_json(&self, base: &str, snap: &Snapshot<'_>, internal: bool) -> Map<String, Json> {
        let mut fields = Map::new();
        let mut put = |field: u16, value: &Value| {
            fields.insert(self.fields[field as usize].reference.clone(), self.value_json(base, value));
        };
        for &field in FIRST {
            if let Some(value) = self.field_value(snap, field as u16) {
                put(field as u16, &value);
            }
        }
        for (field, value) in snap.fields.iter() {
            if !FIRST.iter().any(|f| *f as u16 == *field) {
                put(*field, value);
            }
        }
        if let Some(history) = self.field_value(snap, F::History as u16) {
            put(F::History as u16, &history);
        }
        if internal {
            for &field in INTERNAL {
                if let Some(value) = self.field_value(snap, field as u16) {
                    put(field as u16, &value);
                }
            }
        }
        fields
    }

    /// A relation of an item as it is shown; none if its other end is in the recycle bin.
    pub(super) fn relation_json(&self, base: &str, project: u16, relation: &Relation) -> Option<Json> {
        let mut attributes = Map::new();
        if let Some((number, at)) = relation.resource {
            for name in ["authorizedDate", "resourceCreatedDate", "resourceModifiedDate"] {
                if &*relation.rel == "AttachedFile" || name == "authorizedDate" {
                    attributes.insert(name.to_owned(), json!(iso(at)));
                }
            }
            attributes.insert("id".to_owned(), json!(number));
            attributes.insert("revisedDate".to_owned(), json!("9999-01-01T00:00:00Z"));
        }
        let url = match &relation.target {
            Target::Item(id) => {
                self.live(*id)?;
                attributes.insert("isLocked".to_owned(), json!(false));
                self.item_url(base, *id)
            }
            Target::File(guid) => {
                if let Some(blob) = self.blobs.get(guid) {
                    attributes.insert("resourceSize".to_owned(), json!(blob.content.len()));
                }
                let guid_of = &self.project(project).guid;
                format!("{base}/{guid_of}/_apis/wit/attachments/{guid}")
            }
            Target::Url(url) => url.clone(),
        };
        if let Some(comment) = &relation.comment {
            attributes.insert("comment".to_owned(), json!(comment));
        }
        let name = relation.name.as_deref().or_else(|| super::links::display_name(&relation.rel));
        if let Some(name) = name {
            attributes.insert("name".to_owned(), json!(name));
        }
        Some(json!({"rel": relation.rel, "url": url, "attributes": attributes}))
    }

    /// The relations of an item that are shown.
    pub(super) fn relations_json(&self, base: &str, item: &Item) -> Vec<Json> {
        item.relations.iter().filter_map(|r| self.relation_json(base, item.project, r)).collect()
    }

    /// A whole work item.
    pub(super) fn item_json(&self, base: &str, snap: &Snapshot<'_>, expand: Expand) -> Json {
        let mut body = Map::new();
        body.insert("id".to_owned(), json!(snap.id));
        body.insert("rev".to_owned(), json!(snap.revision));
        body.insert("fields".to_owned(), Json::Object(self.fields_json(base, snap, expand.internal)));
        self.put_formats(&mut body, snap.item);
        if expand.relations {
            let relations = self.relations_json(base, snap.item);
            if !relations.is_empty() {
                body.insert("relations".to_owned(), Json::Array(relations));
            }
        }
        let url = self.item_url(base, snap.id);
        if expand.links {
            body.insert("_links".to_owned(), self.item_links(base, snap));
        }
        body.insert("url".to_owned(), json!(url));
        Json::Object(body)
    }

    fn put_formats(&self, body: &mut Map<String, Json>, item: &Item) {
        if item.markdown.is_empty() {
            return;
        }
        let formats: Map<String, Json> = item
            .markdown
            .iter()
            .map(|&f| (self.fields[f as usize].reference.clone(), json!("markdown")))
            .collect();
        body.insert("multilineFieldsFormat".to_owned(), Json::Object(formats));
    }

    fn item_links(&self, base: &str, snap: &Snapshot<'_>) -> Json {
        let url = self.item_url(base, snap.id);
        let project = &self.project(snap.item.project).guid;
        let kind = encode(&snap.item.kind);
        json!({
            "self": {"href": url},
            "workItemUpdates": {"href": format!("{url}/updates")},
            "workItemRevisions": {"href": format!("{url}/revisions")},
            "workItemComments": {"href": format!("{url}/comments")},
            "html": {"href": self.web_url(base, snap.id)},
            "workItemType": {"href": format!("{base}/{project}/_apis/wit/workItemTypes/{kind}")},
            "fields": {"href": format!("{base}/{project}/_apis/wit/fields")},
        })
    }

    /// A work item with chosen fields only.
    pub(super) fn item_fields_json(&self, base: &str, snap: &Snapshot<'_>, chosen: &[u16]) -> Json {
        let mut fields = Map::new();
        for &field in chosen {
            if let Some(value) = self.field_value(snap, field) {
                fields.insert(self.fields[field as usize].reference.clone(), self.value_json(base, &value));
            }
        }
        json!({"id": snap.id, "rev": snap.revision, "fields": fields, "url": self.item_url(base, snap.id)})
    }
}

/// The API url of a project.
pub(super) fn project_url(base: &str, project: &Project) -> String {
    format!("{base}/_apis/projects/{}", project.guid)
}

/// The refusal for a project that is not there.
pub(super) fn no_project(name: &str) -> Failure {
    Failure::new(
        404,
        "ProjectDoesNotExistWithNameException",
        format!(
            "TF200016: The following project does not exist: {name}. Verify that the name of the project is correct \
             and that the project exists on the specified Azure DevOps Server."
        ),
    )
}
