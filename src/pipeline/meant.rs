//! The pipeline as meant: names resolved, defaults filled in, everything checked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::Secret;
use crate::model::{Direction, FieldType, Notation, RepositoryId, Side};

/// A checked pipeline.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its name: `ado-xray`.
    pub name: String,
    /// What it is for, in the administrator's words.
    pub description: Option<String>,
    /// The repositories, in the order of the file.
    pub repositories: Vec<Repository>,
    /// Which project answers to which.
    pub projects: Vec<ProjectRow>,
    /// The model's fields, in the order of the file.
    pub fields: Vec<ModelField>,
    /// The collections, in the order of the file.
    pub collections: Vec<Collection>,
    /// The integrations, in the order of the file.
    pub integrations: Vec<Integration>,
}

/// One deployment of one system, with its credentials.
#[derive(Clone, Debug)]
pub struct Repository {
    /// Its name in the file: `ado`.
    pub id: RepositoryId,
    /// The system's noun: `azure-devops`.
    pub system: String,
    /// How to reach it.
    pub settings: Settings,
    /// The credentials, by the key under `auth`.
    pub auth: BTreeMap<String, Secret>,
    /// The line of the file, for messages.
    pub line: usize,
}

/// How a repository is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The kind of deployment where a system has several: `cloud`, `data-center`.
    pub deployment: Option<String>,
    /// The address.
    pub url: Url,
    /// The address of Xray, where it is another host than Jira's.
    pub xray_url: Option<Url>,
    /// The projects that take part.
    pub projects: Vec<String>,
    /// The most requests that all tasks together may send.
    pub rate: Option<Rate>,
    /// The zone of dates that the system writes without one: `UTC`, `+01:00` or an IANA name.
    pub timezone: Option<String>,
    /// A file of further certificate authorities, PEM.
    pub ca_file: Option<PathBuf>,
    /// The HTTP proxy.
    pub proxy: Option<Url>,
    /// ALM's domain.
    pub domain: Option<String>,
    /// Octane's shared space.
    pub shared_space: Option<String>,
    /// Octane's workspace.
    pub workspace: Option<String>,
    /// TestRail's suite.
    pub suite: Option<String>,
}

/// So many requests in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests.
    pub requests: u32,
    /// The time they may take.
    pub per: Duration,
}

/// Projects of the repositories that answer to each other, with values of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectRow {
    /// The project per repository.
    pub projects: BTreeMap<RepositoryId, String>,
    /// Named values for constants by project: `iteration`, `area`.
    pub attributes: BTreeMap<String, String>,
    /// The line of the file, for messages.
    pub line: usize,
}

/// A field of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelField {
    /// Its name.
    pub name: String,
    /// Its type.
    pub field_type: FieldType,
    /// What the product knows of its meaning.
    pub smart: Option<Smart>,
    /// The line of the file, for messages.
    pub line: usize,
}

/// Meanings that the product knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Smart {
    /// The artifact's name.
    Summary,
    /// Its description.
    Description,
    /// Its status.
    Status,
    /// The id that people use.
    FormattedId,
    /// When it was made.
    Created,
    /// When it was last changed.
    Modified,
    /// Its address.
    Location,
    /// The artifact above it.
    Parent,
    /// The id or address of one side's artifact, kept on the other side: enforced, never merged.
    CrossReference,
}

/// The artifacts of one type in one repository that take part.
#[derive(Clone, Debug)]
pub struct Collection {
    /// Its name in the file: `ado.test-cases`.
    pub name: String,
    /// The part of the name after the repository: `test-cases`.
    pub short_name: String,
    /// The repository that holds it.
    pub repository: RepositoryId,
    /// The artifact's name: `Test Case`.
    pub artifact: String,
    /// A condition in SQL over the rows of the artifact's neutral view.
    pub filter: Option<String>,
    /// What becomes of its fields, in the order of the file.
    pub fields: Vec<FieldMapping>,
    /// What becomes of its relationships, in the order of the file.
    pub relationships: Vec<RelationshipMapping>,
    /// The workflow that statuses are moved along; empty where they are written like any field.
    pub transitions: Vec<Edge>,
    /// Where steps may flow, seen from this collection.
    pub steps: FlowThrough,
    /// The line of the file, for messages.
    pub line: usize,
}

/// What becomes of one native field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldMapping {
    /// The native field's name: `Title`.
    pub field: String,
    /// Where its value belongs.
    pub target: FieldTarget,
    /// Which updates may cross, seen from this collection.
    pub flow: FlowThrough,
    /// When it is written.
    pub update: Update,
    /// The native value to write where the other side has none.
    pub default: Option<String>,
    /// An SQL expression over the row that gives the value instead of the field; such a field is only read.
    pub sql: Option<String>,
    /// What to do with edits of a value that was cut or simplified when it was written.
    pub on_degraded: OnDegraded,
    /// Whether it is no field that the system has by nature: live metadata must confirm it.
    pub custom: bool,
    /// Whether nothing is ever written into it, not even at creation: only the
    /// system sets it, or `flow` does not let values in.
    pub read_only: bool,
    /// Whether it is moved by transitions and not written.
    pub by_transition: bool,
    /// The notation of formatted text; set for every rich-text field, [`Notation::Plain`] if the system has none.
    pub notation: Option<Notation>,
    /// The longest value it holds, in characters.
    pub length_max: Option<usize>,
    /// The line of the file, for messages.
    pub line: usize,
}

/// Where a native field's value belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldTarget {
    /// It is a field of the model.
    Model {
        /// The model field's name.
        field: String,
        /// For single-select fields: native values and the model's.
        values: Option<ValueMapping>,
    },
    /// It is written with a fixed value.
    Constant(Constant),
}

/// How the values of a single-select field cross. Both maps are always filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueMapping {
    /// Native value and model value, in the order of the file.
    pub read: Vec<(String, String)>,
    /// What a native value means that `read` does not list.
    pub other: Other,
    /// Model value and acceptable natives; the first that can be reached is written.
    pub write: Vec<(String, Vec<String>)>,
}

impl ValueMapping {
    /// Finds the model value of a native one; `None` means that it is held.
    pub fn to_model(&self, native: &str) -> Option<&str> {
        let listed = self.read.iter().find(|(n, _)| n == native).map(|(_, value)| value.as_str());
        listed.or(match &self.other {
            Other::Refuse | Other::Hold => None,
            Other::Value(value) => Some(value),
        })
    }

    /// Lists the natives that are acceptable for a model value.
    pub fn to_native(&self, value: &str) -> &[String] {
        self.write.iter().find(|(v, _)| v == value).map_or(&[], |(_, natives)| natives)
    }
}

/// What to do with a native value that no map lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Other {
    /// Nothing was said: the first run refuses to begin, later ones hold the field.
    #[default]
    Refuse,
    /// Hold the field, from the first run on.
    Hold,
    /// Take this model value.
    Value(String),
}

/// A fixed value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constant {
    /// The same everywhere.
    Value(String),
    /// One per project.
    ByProject {
        /// The attribute's name in the rows of `projects`.
        attribute: String,
        /// Project of the collection's repository, and value.
        values: BTreeMap<String, String>,
    },
}

impl Constant {
    /// Returns the value for a project; `None` if there is none or it is empty.
    pub fn for_project(&self, project: &str) -> Option<&str> {
        let value = match self {
            Constant::Value(value) => Some(value.as_str()),
            Constant::ByProject { values, .. } => values.get(project).map(String::as_str),
        };
        value.filter(|v| !v.is_empty())
    }
}

/// Which ways a value may cross, seen from the collection that holds it.
///
/// This narrows the integration's flow, and holds for creation too: a field that
/// does not flow in is never written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlowThrough {
    /// In and out.
    #[default]
    Both,
    /// Into this collection only.
    In,
    /// Out of this collection only.
    Out,
    /// Neither.
    None,
}

impl FlowThrough {
    /// Tells whether a value may come in.
    pub fn allows_in(self) -> bool {
        matches!(self, FlowThrough::Both | FlowThrough::In)
    }

    /// Tells whether a value may go out.
    pub fn allows_out(self) -> bool {
        matches!(self, FlowThrough::Both | FlowThrough::Out)
    }
}

/// When a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// At creation and whenever it differs; for a constant: enforced.
    Always,
    /// At creation only.
    OnCreate,
    /// At creation, and later only while it is empty.
    IfEmpty,
}

/// What to do with an edit that the degradation of our own write cannot be told from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDegraded {
    /// Hold the field.
    #[default]
    Hold,
    /// Let it flow back.
    Write,
}

/// What becomes of one native relationship.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationshipMapping {
    /// The relationship's name: `Parent Test Plan`.
    pub relationship: String,
    /// Where its ends belong.
    pub target: RelationshipTarget,
    /// Further relationships to follow until the end is reached, in order.
    pub via: Vec<String>,
    /// The artifact that it ends in, after `via`; `None` if only the live repository knows.
    pub ends_in: Option<String>,
    /// Which updates may cross, seen from this collection.
    pub flow: FlowThrough,
    /// When it is written.
    pub update: Update,
    /// Whether it must be named at creation and orders the waves.
    pub required: bool,
    /// Whether it can be changed once the artifact exists.
    pub writable: bool,
    /// Whether it is no relationship that the system has by nature.
    pub custom: bool,
    /// The line of the file, for messages.
    pub line: usize,
}

/// Where the ends of a native relationship belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelationshipTarget {
    /// It is a relationship of the model.
    Model(String),
    /// It always ends in this artifact, named by its id or its unique name; an empty value names none.
    Constant(Constant),
}

/// One edge of a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The transition's name.
    pub name: String,
    /// The status it starts from.
    pub from: String,
    /// The status it leads to.
    pub to: String,
    /// Fields that its screen asks for: name and value.
    pub fields: Vec<(String, String)>,
}

/// Two collections that are kept in step.
#[derive(Clone, Debug)]
pub struct Integration {
    /// Its name: `test-cases`.
    pub name: String,
    /// The name of the left collection.
    pub left: String,
    /// The name of the right collection.
    pub right: String,
    /// Where updates may go.
    pub flow: Direction,
    /// Which side may receive new artifacts.
    pub create: Direction,
    /// Who is right when both sides changed a field.
    pub conflict: Conflict,
    /// What happens to an artifact whose counterpart is gone.
    pub deletions: Deletions,
    /// The model fields by which existing counterparts are recognised.
    pub match_fields: Vec<String>,
    /// What else can be set.
    pub options: IntegrationOptions,
    /// The line of the file, for messages.
    pub line: usize,
}

impl Integration {
    /// Returns the name of the collection on a side.
    pub fn collection(&self, side: Side) -> &str {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }
}

/// Who is right when both sides changed a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// This side.
    Dominates(Side),
    /// The side that was changed last.
    Newest,
    /// Neither: the field is held.
    Hold,
}

/// What happens to an artifact whose counterpart is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Deletions {
    /// It is listed in the report.
    #[default]
    Report,
    /// A model field of it is given a value.
    Mark {
        /// The model field.
        field: String,
        /// The model value.
        value: String,
    },
    /// It is removed too.
    Propagate {
        /// Beyond recovery, past the system's recycle bin.
        destroy: bool,
    },
}

/// What else can be set for an integration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IntegrationOptions {
    /// Whether runs made here are automated ones.
    pub automated: Option<bool>,
    /// The container for cases that sit in none.
    pub unfiled: Option<String>,
    /// The plan for what has none by itself.
    pub plan: Option<Constant>,
    /// Whether a closed artifact is reopened, written and closed again.
    pub reopen_closed: bool,
    /// The share of a collection that one run may delete, 0 to 1.
    pub delete_share_max: Option<f64>,
    /// The share of a collection that one run may overwrite, 0 to 1.
    pub overwrite_share_max: Option<f64>,
}

impl Pipeline {
    /// Finds a repository by its name.
    pub fn repository(&self, id: &RepositoryId) -> Option<&Repository> {
        self.repositories.iter().find(|r| &r.id == id)
    }

    /// Finds a collection by its name.
    pub fn collection(&self, name: &str) -> Option<&Collection> {
        self.collections.iter().find(|c| c.name == name)
    }

    /// Finds an integration by its name.
    pub fn integration(&self, name: &str) -> Option<&Integration> {
        self.integrations.iter().find(|i| i.name == name)
    }

    /// Finds a model field by its name.
    pub fn field(&self, name: &str) -> Option<&ModelField> {
        self.fields.iter().find(|f| f.name == name)
    }

    /// Finds the project of `to` that answers to a project of `from`.
    pub fn project_across(&self, from: &RepositoryId, project: &str, to: &RepositoryId) -> Option<&str> {
        self.projects
            .iter()
            .find(|row| row.projects.get(from).is_some_and(|p| p == project))
            .and_then(|row| row.projects.get(to))
            .map(String::as_str)
    }
}

impl Collection {
    /// Finds the mapping of a model field.
    pub fn mapping(&self, model_field: &str) -> Option<&FieldMapping> {
        self.fields
            .iter()
            .find(|m| matches!(&m.target, FieldTarget::Model { field, .. } if field == model_field))
    }

    /// Finds the mapping of a model relationship.
    pub fn relationship(&self, model_field: &str) -> Option<&RelationshipMapping> {
        self.relationships
            .iter()
            .find(|m| matches!(&m.target, RelationshipTarget::Model(field) if field == model_field))
    }
}
