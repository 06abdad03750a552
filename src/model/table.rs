//! Native tables: what every row carries, whatever the system.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::Notation;

/// Columns at the head of every native table, in order.
///
/// `fields` maps the vendor's field names, as pipeline files spell them, to
/// values as text (date-times in RFC 3339 UTC; formatted text in the system's
/// notation; steps as [`super::steps_to_json`] writes them); an empty field is
/// absent. `raw_hash` is the hex form of a 128-bit hash of all that follows and
/// of `fields`; `rev` and the dates are left out of it, so that a revision
/// without content is not a change.
pub const ENVELOPE: [&str; 9] =
    ["key", "project", "rev", "created_at", "updated_at", "updated_by", "url", "raw_hash", "fields"];

/// A table that a connector extracts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSpec {
    /// The table's name: `test_cases`.
    pub name: &'static str,
    /// What one row is, for people.
    pub doc: &'static str,
    /// Columns after the envelope.
    pub columns: Vec<Native>,
    /// Whether `updated_at` moves with every edit that the table shows, so that
    /// an incremental pass sees them all.
    pub incremental: bool,
}

/// A column of a native table beyond the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Native {
    /// The column's name.
    pub name: &'static str,
    /// Its Arrow type.
    pub data_type: DataType,
}

/// Builds a table's full schema: the envelope and then its own columns.
pub fn native_schema(columns: &[Native]) -> SchemaRef {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let entries = DataType::Struct(
        vec![Field::new("keys", DataType::Utf8, false), Field::new("values", DataType::Utf8, true)].into(),
    );
    let mut all = vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("project", DataType::Utf8, false),
        Field::new("rev", DataType::Utf8, true),
        Field::new("created_at", utc.clone(), true),
        Field::new("updated_at", utc, true),
        Field::new("updated_by", DataType::Utf8, true),
        Field::new("url", DataType::Utf8, true),
        Field::new("raw_hash", DataType::Utf8, false),
        Field::new("fields", DataType::Map(Arc::new(Field::new("entries", entries, false)), false), false),
    ];
    all.extend(columns.iter().map(|c| Field::new(c.name, c.data_type.clone(), true)));
    Arc::new(Schema::new(all))
}

/// How the artifacts of one kind are told apart and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The name in pipeline files: `Test Case`.
    pub name: &'static str,
    /// The neutral view that lists it: `plan`, `container`, `case`, `run`, `result`, `defect`.
    pub view: &'static str,
    /// The native table in which its rows stand.
    pub table: &'static str,
    /// How a counterpart made earlier is recognised.
    pub identity: Identity,
    /// Fields with a name of their own; custom fields come from the repository's metadata.
    pub fields: Vec<FieldSpec>,
    /// Relationships that pipeline files can name.
    pub relationships: Vec<RelationshipSpec>,
    /// Whether its artifacts hold slots for results.
    pub holds_slots: bool,
    /// Whether its artifacts live in slots.
    pub lives_in_slot: bool,
    /// Whether all slots of one of its containers share one configuration, so that a
    /// case has one slot there and each further configuration needs a container of its own.
    pub one_configuration: bool,
    /// The field of a result that names its configuration, chosen when it is made.
    pub configuration_field: Option<&'static str>,
}

/// A field that a system's artifact has by nature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSpec {
    /// The name in pipeline files.
    pub name: &'static str,
    /// The notation of formatted text; `None` for everything else.
    pub notation: Option<Notation>,
    /// Whether only the system sets it.
    pub read_only: bool,
    /// Whether it is moved by transitions and not written.
    pub by_transition: bool,
    /// The longest value it holds, in characters.
    pub length_max: Option<usize>,
}

/// A relationship that a system's artifact has by nature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationshipSpec {
    /// The name in pipeline files: `Parent Test Plan`.
    pub name: &'static str,
    /// The artifact that it ends in.
    pub target: &'static str,
    /// Whether it must be named at creation and orders the waves.
    pub required: bool,
    /// Whether it can be changed once the artifact exists.
    pub writable: bool,
    /// How many ends it can have.
    pub cardinality: super::Cardinality,
}

/// How a counterpart is recognised when nothing is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// By a field of its own that holds the other side's id.
    CrossReference,
    /// By its name among its siblings, if unique and unpaired.
    Name,
    /// By the container and the case whose result it is.
    Slot,
}
