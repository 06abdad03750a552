//! Checks the mappings of fields and relationships of one collection.

use super::{Check, one_target, strs, through, update};
use crate::model::{Artifact, FieldType, Notation};
use crate::pipeline::file::{DegradedWord, Field, FieldLong, Relationship, RelationshipLong, UpdateWord};
use crate::pipeline::meant::{
    FieldMapping, FieldTarget, OnDegraded, RelationshipMapping, RelationshipTarget, Update,
};
use crate::pipeline::node::{Word, join};
use crate::pipeline::problem::nearest;
use crate::pipeline::read::Text;

/// Names this alike are slips rather than custom fields.
const SLIP_SIMILARITY_MIN: f64 = 0.9;

/// Where a mapping stands.
pub(super) struct Place<'p> {
    pub(super) repository: &'p str,
    pub(super) path: &'p str,
    pub(super) name: &'p Word,
}

impl Check<'_, '_, '_> {
    pub(super) fn field(
        &mut self,
        place: &Place<'_>,
        artifact: Option<&Artifact>,
        typed: &Field,
    ) -> Option<FieldMapping> {
        let (short, long) = match typed {
            Field::Short(text) => (Some(text), None),
            Field::Long(long) => (long.to.as_ref(), Some(long.as_ref())),
        };
        let spec = artifact.and_then(|a| a.fields.iter().find(|f| f.name == place.name.text));
        let names: Vec<_> = artifact.into_iter().flat_map(|a| a.fields.iter().map(|f| f.name)).collect();
        if spec.is_none() {
            self.perhaps_a_slip(place, "field", &names);
        }
        let flow = through(long.and_then(|l| l.flow));
        // What does not flow in is not written at creation either.
        let read_only = spec.is_some_and(|s| s.read_only) || !flow.allows_in();
        let constant = long.map(|l| (l.constant.as_ref(), l.constant_by_project.as_ref()));
        let (constant, by_project) = constant.unwrap_or_default();
        let (target, notation) = match (short, constant.or(by_project)) {
            (Some(text), None) => self.model_target(place, text, long, read_only)?,
            (None, Some(_)) if constant.is_none() || by_project.is_none() => {
                if read_only {
                    let found = format!("a constant for `{}`, which is not written", place.name.text);
                    self.reader.error(place.name.at, place.path, found, "a field that can be written");
                }
                self.only_with_to(place, long);
                let constant = self.constant(place.repository, place.path, constant, by_project)?;
                (FieldTarget::Constant(constant), None)
            }
            _ => {
                let expected = one_target(&["to", "constant", "constant_by_project"]);
                self.reader.error(
                    place.name.at,
                    place.path,
                    "the mapping leads nowhere or to two places",
                    expected,
                );
                return None;
            }
        };
        let usual =
            if matches!(target, FieldTarget::Constant(_)) { Update::OnCreate } else { Update::Always };
        Some(FieldMapping {
            field: place.name.text.clone(),
            flow,
            update: update(long.and_then(|l| l.update), usual),
            default: long.and_then(|l| l.default.as_ref()).map(|t| t.0.text.clone()),
            sql: long.and_then(|l| l.sql.as_ref()).map(|t| t.0.text.clone()),
            on_degraded: match long.and_then(|l| l.on_degraded) {
                Some(DegradedWord::Write) => OnDegraded::Write,
                Some(DegradedWord::Hold) | None => OnDegraded::Hold,
            },
            custom: spec.is_none(),
            read_only,
            by_transition: spec.is_some_and(|s| s.by_transition),
            // Rich text needs a notation to be read in; text of a field without one is plain.
            notation: notation.map(|plain| spec.and_then(|s| s.notation).unwrap_or(plain)),
            length_max: spec.and_then(|s| s.length_max),
            line: place.name.at.line,
            target,
        })
    }

    /// Resolves a mapping to the model; with it the notation to assume for rich text.
    fn model_target(
        &mut self,
        place: &Place<'_>,
        text: &Text,
        long: Option<&FieldLong>,
        read_only: bool,
    ) -> Option<(FieldTarget, Option<Notation>)> {
        let field = self.model_field(place, text, false)?;
        let values = match &field.field_type {
            FieldType::SingleSelect { values } => {
                let written = !read_only && long.is_none_or(|l| l.sql.is_none());
                Some(self.values(place.name.at, place.path, long, values, written))
            }
            _ => {
                if let Some(long) =
                    long.filter(|l| l.read.is_some() || l.write.is_some() || l.other.is_some())
                {
                    let found = format!("value maps for `{}`, which is no single-select field", field.name);
                    self.reader.error(long.at, place.path, found, "`type: single-select` in the model");
                }
                None
            }
        };
        let notation = (field.field_type == FieldType::RichText).then_some(Notation::Plain);
        Some((FieldTarget::Model { field: field.name, values }, notation))
    }

    /// Finds a field of the model; reports what is unknown or of the other kind.
    fn model_field(
        &mut self,
        place: &Place<'_>,
        text: &Text,
        relationship: bool,
    ) -> Option<crate::pipeline::ModelField> {
        let Text(word) = text;
        let is = |t: &FieldType| matches!(t, FieldType::Relationship(_)) == relationship;
        let Some(field) = self.fields.iter().find(|f| f.name == word.text).cloned() else {
            // A field that was dropped for a slip of its own is known all the same.
            if !self.names.fields.contains(&word.text) {
                let names: Vec<_> =
                    self.fields.iter().filter(|f| is(&f.field_type)).map(|f| f.name.clone()).collect();
                self.reader.unknown(word.at, place.path, "field of the model", &word.text, &strs(&names));
            }
            return None;
        };
        if !is(&field.field_type) {
            let (what, section) = match relationship {
                true => ("a plain field", "fields"),
                false => ("a relationship", "relationships"),
            };
            let found = format!("`{}` is {what} of the model", field.name);
            self.reader.error(word.at, place.path, found, format!("this mapping under `{section}`"));
            return None;
        }
        Some(field)
    }

    fn only_with_to(&mut self, place: &Place<'_>, long: Option<&FieldLong>) {
        let Some(long) = long else { return };
        let given = [
            ("read", long.read.is_some()),
            ("write", long.write.is_some()),
            ("other", long.other.is_some()),
            ("default", long.default.is_some()),
            ("sql", long.sql.is_some()),
        ];
        for (key, _) in given.iter().filter(|(_, there)| *there) {
            let found = format!("`{key}` beside a constant");
            self.reader.error(long.at, &join(place.path, key), found, "`to` with a field of the model");
        }
    }

    /// A name that the system does not have by nature may be a custom field; one
    /// that is nearly such a name is probably a slip.
    fn perhaps_a_slip(&mut self, place: &Place<'_>, what: &str, names: &[&str]) {
        let word = &place.name.text;
        if let Some(near) = nearest(word, names.iter().copied())
            && strsim::jaro_winkler(&word.to_lowercase(), &near.to_lowercase()) >= SLIP_SIMILARITY_MIN
        {
            let found = format!("`{word}` is taken for a custom {what}");
            self.reader.warning(place.name.at, place.path, found, format!("perhaps `{near}`"));
        }
    }

    pub(super) fn relationship(
        &mut self,
        place: &Place<'_>,
        artifact: Option<&Artifact>,
        typed: &Relationship,
    ) -> Option<RelationshipMapping> {
        let (short, long) = match typed {
            Relationship::Short(text) => (Some(text), None),
            Relationship::Long(long) => (long.to.as_ref(), Some(long)),
        };
        let spec = artifact.and_then(|a| a.relationships.iter().find(|r| r.name == place.name.text));
        if let (None, Some(artifact)) = (spec, artifact) {
            let names: Vec<_> = artifact.relationships.iter().map(|r| r.name).collect();
            self.perhaps_a_slip(place, "relationship", &names);
        }
        let constant = long.map(|l| (l.constant.as_ref(), l.constant_by_project.as_ref()));
        let (constant, by_project) = constant.unwrap_or_default();
        let target = match (short, constant.or(by_project)) {
            (Some(text), None) => RelationshipTarget::Model(self.model_field(place, text, true)?.name),
            (None, Some(_)) if constant.is_none() || by_project.is_none() => {
                let constant = self.constant(place.repository, place.path, constant, by_project)?;
                RelationshipTarget::Constant(constant)
            }
            _ => {
                let expected = one_target(&["to", "constant", "constant_by_project"]);
                self.reader.error(
                    place.name.at,
                    place.path,
                    "the mapping leads nowhere or to two places",
                    expected,
                );
                return None;
            }
        };
        let usual =
            if matches!(target, RelationshipTarget::Constant(_)) { Update::OnCreate } else { Update::Always };
        let given = long.and_then(|l| l.update);
        let refused = match &target {
            RelationshipTarget::Constant(_) => {
                matches!(given, Some(UpdateWord::Always | UpdateWord::IfEmpty))
            }
            RelationshipTarget::Model(_) => matches!(given, Some(UpdateWord::IfEmpty)),
        };
        if refused {
            let expected = "`on-create`; a mapped relationship takes `always` too";
            let found = "a relationship that is written like that";
            self.reader.error(place.name.at, &join(place.path, "update"), found, expected);
        }
        let ends_in = self.end(place, spec.map(|s| s.target), long);
        let via = long.and_then(|l| l.via.as_ref()).map(|v| v.0.iter().map(|w| w.text.clone()).collect());
        Some(RelationshipMapping {
            relationship: place.name.text.clone(),
            target,
            via: via.unwrap_or_default(),
            ends_in,
            flow: through(long.and_then(|l| l.flow)),
            update: update(long.and_then(|l| l.update), usual),
            required: spec.is_some_and(|s| s.required),
            writable: spec.is_none_or(|s| s.writable),
            custom: spec.is_none(),
            line: place.name.at.line,
        })
    }

    /// Follows `via` to the artifact in which a relationship ends.
    fn end(
        &mut self,
        place: &Place<'_>,
        target: Option<&'static str>,
        long: Option<&RelationshipLong>,
    ) -> Option<String> {
        let mut end = target?;
        for word in long.and_then(|l| l.via.as_ref()).iter().flat_map(|via| &via.0) {
            let artifact = self.artifact(place.repository, end)?;
            let Some(next) = artifact.relationships.iter().find(|r| r.name == word.text) else {
                let names: Vec<_> = artifact.relationships.iter().map(|r| r.name).collect();
                let what = format!("relationship of {end}");
                self.reader.unknown(word.at, &join(place.path, "via"), &what, &word.text, &names);
                return None;
            };
            end = next.target;
        }
        Some(end.to_owned())
    }
}
