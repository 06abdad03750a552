//! The fingerprint of a mapping, by which a changed mapping is told from a changed artifact.

use xxhash_rust::xxh3::Xxh3;

use super::meant::{
    Collection, Constant, FieldMapping, FieldTarget, Other, Pipeline, RelationshipMapping,
    RelationshipTarget, ValueMapping,
};
use crate::model::{Cardinality, Direction, FieldType, Notation};

/// Raised whenever the meaning of what is hashed changes.
const VERSION: &str = "mapping 1";

impl Pipeline {
    /// Hashes all that decides how an integration's artifacts are mapped, in 32 hex digits.
    ///
    /// Names of integrations, collections and repositories, addresses and
    /// credentials are left out, so that none of them sets off a full comparison.
    /// An unknown integration gives the hash of an empty mapping.
    pub fn mapping_hash(&self, integration: &str) -> String {
        let mut out = Writer(Xxh3::new());
        out.text(VERSION);
        if let Some(found) = self.integration(integration) {
            out.text(direction(found.flow));
            if let Some((left, right)) = self.sides(found) {
                out.collection(left);
                out.collection(right);
                self.model(&mut out, [left, right]);
            }
            for pair in self.relationship_pairs(found) {
                out.text(&pair.field.name);
                let ends = pair.ends_in.and_then(|name| self.integration(name));
                for collection in ends.and_then(|i| self.sides(i)).map(|(l, r)| [l, r]).iter().flatten() {
                    out.text(&collection.artifact);
                }
            }
        }
        format!("{:032x}", out.0.digest128())
    }

    /// Hashes the types of those model fields that the two collections use.
    fn model(&self, out: &mut Writer, collections: [&Collection; 2]) {
        for field in &self.fields {
            let used = collections
                .iter()
                .any(|c| c.mapping(&field.name).is_some() || c.relationship(&field.name).is_some());
            if used {
                out.text(&field.name);
                out.field_type(&field.field_type);
            }
        }
    }
}

/// Feeds texts with their lengths, so that no two sequences run together.
struct Writer(Xxh3);

impl Writer {
    fn text(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    fn option(&mut self, text: Option<&str>) {
        self.text(if text.is_some() { "some" } else { "none" });
        self.text(text.unwrap_or_default());
    }

    fn count(&mut self, count: usize) {
        self.0.update(&(count as u64).to_le_bytes());
    }

    fn collection(&mut self, collection: &Collection) {
        self.text(&collection.artifact);
        self.option(collection.filter.as_deref());
        self.text(&format!("{:?}", collection.steps));
        // The order of the file means nothing, so it must not change the hash.
        let mut fields: Vec<_> = collection.fields.iter().collect();
        fields.sort_by_key(|mapping| &mapping.field);
        self.count(fields.len());
        for mapping in fields {
            self.field(mapping);
        }
        let mut relationships: Vec<_> = collection.relationships.iter().collect();
        relationships.sort_by_key(|mapping| &mapping.relationship);
        self.count(relationships.len());
        for mapping in relationships {
            self.relationship(mapping);
        }
    }

    fn field(&mut self, mapping: &FieldMapping) {
        self.text(&mapping.field);
        match &mapping.target {
            FieldTarget::Model { field, values } => {
                self.text("model");
                self.text(field);
                if let Some(values) = values {
                    self.values(values);
                }
            }
            FieldTarget::Constant(constant) => self.constant(constant),
        }
        self.text(&format!("{:?} {:?} {:?}", mapping.flow, mapping.update, mapping.on_degraded));
        self.option(mapping.default.as_deref());
        self.option(mapping.sql.as_deref());
        self.option(mapping.notation.map(Notation::as_str));
        self.text(&format!("{} {} {:?}", mapping.read_only, mapping.by_transition, mapping.length_max));
    }

    fn values(&mut self, values: &ValueMapping) {
        self.count(values.read.len());
        for (native, value) in &values.read {
            self.text(native);
            self.text(value);
        }
        self.option(match &values.other {
            Other::Refuse | Other::Hold => None,
            Other::Value(value) => Some(value),
        });
        self.count(values.write.len());
        for (value, natives) in &values.write {
            self.text(value);
            self.count(natives.len());
            for native in natives {
                self.text(native);
            }
        }
    }

    fn constant(&mut self, constant: &Constant) {
        match constant {
            Constant::Value(value) => {
                self.text("constant");
                self.text(value);
            }
            Constant::ByProject { values, .. } => {
                self.text("constant by project");
                self.count(values.len());
                for (project, value) in values {
                    self.text(project);
                    self.text(value);
                }
            }
        }
    }

    fn relationship(&mut self, mapping: &RelationshipMapping) {
        self.text(&mapping.relationship);
        match &mapping.target {
            RelationshipTarget::Model(field) => {
                self.text("model");
                self.text(field);
            }
            RelationshipTarget::Constant(constant) => self.constant(constant),
        }
        self.count(mapping.via.len());
        for step in &mapping.via {
            self.text(step);
        }
        self.option(mapping.ends_in.as_deref());
        self.text(&format!("{:?} {:?} {}", mapping.flow, mapping.update, mapping.writable));
    }

    fn field_type(&mut self, field_type: &FieldType) {
        match field_type {
            FieldType::String => self.text("string"),
            FieldType::RichText => self.text("rich-text"),
            FieldType::DateTime => self.text("date-time"),
            FieldType::Location => self.text("location"),
            FieldType::Relationship(Cardinality::One) => self.text("relationship"),
            FieldType::Relationship(Cardinality::Many) => self.text("relationships"),
            FieldType::SingleSelect { values } => {
                self.text("single-select");
                self.count(values.len());
                for value in values {
                    self.text(value);
                }
            }
        }
    }
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Both => "<>",
        Direction::ToRight => "->",
        Direction::ToLeft => "<-",
        Direction::None => "",
    }
}
