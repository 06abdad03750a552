//! Checks integrations: who meets whom, and whether both sides can agree.

use std::collections::BTreeSet;

use super::{Check, strs};
use crate::model::{Direction, FieldType, Side};
use crate::pipeline::file::{
    ConflictWord, CreateWord, Deletions as TypedDeletions, DeletionsLong, DeletionsWord,
    Integration as Typed, Options,
};
use crate::pipeline::meant::{
    Collection, Conflict, Deletions, FieldTarget, Integration, IntegrationOptions, Pipeline,
    RelationshipTarget, Update, ValueMapping,
};
use crate::pipeline::node::{At, Word, join};
use crate::pipeline::read::{Entries, Text};

impl Check<'_, '_, '_> {
    pub(super) fn integrations(&mut self, entries: &Entries<Typed>, pipeline: &mut Pipeline) {
        for (name, typed) in &entries.0 {
            self.places.insert(join("integrations", &name.text), name.at);
            if let Some(integration) = self.integration(name, typed, pipeline) {
                pipeline.integrations.push(integration);
            }
        }
        if self.incomplete || pipeline.integrations.len() < entries.keys().len() {
            return;
        }
        for integration in &pipeline.integrations {
            self.relationships_meet(pipeline, integration);
            self.required_named(pipeline, integration);
        }
        // What is only probably wrong is judged once all else is right.
        if !self.reader.has_errors() {
            for integration in &pipeline.integrations {
                self.values_come_back(pipeline, integration);
            }
            self.constants_are_written(pipeline);
        }
    }

    fn integration(&mut self, name: &Word, typed: &Typed, pipeline: &Pipeline) -> Option<Integration> {
        let path = join("integrations", &name.text);
        let Text(word) = &typed.flow;
        let (left, flow, right) = self.flow(word, &join(&path, "flow"))?;
        self.apart(pipeline, word, &join(&path, "flow"), [&left, &right]);
        let mut integration = Integration {
            name: name.text.clone(),
            left,
            right,
            flow,
            create: match typed.create {
                None => flow,
                Some(CreateWord::Both) => Direction::Both,
                Some(CreateWord::Left) => Direction::ToLeft,
                Some(CreateWord::Right) => Direction::ToRight,
                Some(CreateWord::None) => Direction::None,
            },
            conflict: match typed.conflict {
                Some(ConflictWord::Left) => Conflict::Dominates(Side::Left),
                Some(ConflictWord::Right) => Conflict::Dominates(Side::Right),
                Some(ConflictWord::Newest) => Conflict::Newest,
                Some(ConflictWord::Hold) | None => Conflict::Hold,
            },
            deletions: Deletions::Report,
            match_fields: Vec::new(),
            options: IntegrationOptions::default(),
            line: name.at.line,
        };
        integration.deletions = self.deletions(&join(&path, "deletions"), typed.deletions.as_ref());
        self.deletions_fit(pipeline, &integration, name.at, &join(&path, "deletions"));
        for field in typed.r#match.iter().flat_map(|list| &list.0) {
            self.match_field(pipeline, &integration, field, &join(&path, "match"));
            integration.match_fields.push(field.text.clone());
        }
        if let Some(options) = &typed.options {
            integration.options = self.options(pipeline, &integration, options, &join(&path, "options"));
        }
        Some(integration)
    }

    /// Reads `ado.test-cases <> xray.tests`.
    fn flow(&mut self, word: &Word, path: &str) -> Option<(String, Direction, String)> {
        let parts: Vec<_> = word.text.split_whitespace().collect();
        let direction = |arrow: &str| match arrow {
            "<>" => Some(Direction::Both),
            "->" => Some(Direction::ToRight),
            "<-" => Some(Direction::ToLeft),
            _ => None,
        };
        let [left, arrow, right] = parts[..] else {
            let found = format!("`{}` is no flow", word.text);
            self.reader.error(word.at, path, found, "two collections with `<>`, `->` or `<-` between them");
            return None;
        };
        let Some(flow) = direction(arrow) else {
            self.reader.unknown(word.at, path, "arrow", arrow, &["<>", "->", "<-"]);
            return None;
        };
        let known = self.names.collections.clone();
        let mut all_known = true;
        for name in [left, right] {
            if !known.iter().any(|k| k == name) {
                self.reader.unknown(word.at, path, "collection", name, &strs(&known));
                all_known = false;
            }
        }
        all_known.then(|| (left.to_owned(), flow, right.to_owned()))
    }

    /// The two collections must not share artifacts with each other or with other integrations.
    fn apart(&mut self, pipeline: &Pipeline, word: &Word, path: &str, names: [&str; 2]) {
        let [Some(left), Some(right)] = names.map(|name| pipeline.collection(name)) else { return };
        if left.repository == right.repository {
            let found = format!("both collections are of `{}`", left.repository);
            self.reader.error(word.at, path, found, "collections of two repositories");
        }
        for own in [left, right] {
            for other in &pipeline.integrations {
                let taken = Side::BOTH.iter().filter_map(|side| pipeline.collection(other.collection(*side)));
                for theirs in taken.filter(|theirs| overlap(own, theirs)) {
                    let found = match own.name == theirs.name {
                        true => format!("`{}` takes part in `{}` already", own.name, other.name),
                        false => format!(
                            "`{}` and `{}` (in `{}`) hold the same artifacts",
                            own.name, theirs.name, other.name
                        ),
                    };
                    let expected =
                        "each artifact in one integration; filters that differ tell collections apart";
                    self.reader.error(word.at, path, found, expected);
                }
            }
        }
    }

    fn match_field(&mut self, pipeline: &Pipeline, integration: &Integration, word: &Word, path: &str) {
        if !self.names.fields.contains(&word.text) {
            let known = self.names.fields.clone();
            self.reader.unknown(word.at, path, "field of the model", &word.text, &strs(&known));
            return;
        }
        for side in Side::BOTH {
            let Some(collection) = pipeline.collection(integration.collection(side)) else { continue };
            if collection.mapping(&word.text).is_none() {
                let found = format!("`{}` is not mapped in `{}`", word.text, collection.name);
                self.reader.error(word.at, path, found, "a field that both collections map");
            }
        }
    }

    fn deletions(&mut self, path: &str, typed: Option<&TypedDeletions>) -> Deletions {
        let long = match typed {
            None | Some(TypedDeletions::Short(DeletionsWord::Report)) => return Deletions::Report,
            Some(TypedDeletions::Short(DeletionsWord::Propagate)) => {
                return Deletions::Propagate { destroy: false };
            }
            Some(TypedDeletions::Short(DeletionsWord::Mark)) => {
                let at = self.places.get(path.trim_end_matches(".deletions")).copied().unwrap_or_default();
                let expected = "`{ policy: mark, field: FIELD, value: VALUE }`";
                self.reader.error(at, path, "`mark` without a field and a value", expected);
                return Deletions::Report;
            }
            Some(TypedDeletions::Long(long)) => long,
        };
        if long.policy != DeletionsWord::Mark && (long.field.is_some() || long.value.is_some()) {
            self.reader.error(long.at, path, "`field` or `value` without `mark`", "`policy: mark`");
        }
        if long.policy != DeletionsWord::Propagate && long.destroy.is_some() {
            self.reader.error(long.at, path, "`destroy` without `propagate`", "`policy: propagate`");
        }
        match long.policy {
            DeletionsWord::Report => Deletions::Report,
            DeletionsWord::Propagate => Deletions::Propagate { destroy: long.destroy.unwrap_or(false) },
            DeletionsWord::Mark => self.mark(path, long),
        }
    }

    /// Results and their containers are expired by the systems, and a mark needs a field.
    fn deletions_fit(&mut self, pipeline: &Pipeline, integration: &Integration, at: At, path: &str) {
        let sides = Side::BOTH.map(|side| pipeline.collection(integration.collection(side)));
        match &integration.deletions {
            Deletions::Report => {}
            Deletions::Propagate { .. } => {
                for collection in sides.into_iter().flatten() {
                    let artifact = self.artifact(collection.repository.as_str(), &collection.artifact);
                    if artifact.is_some_and(|a| a.holds_slots || a.lives_in_slot) {
                        let found = format!("`propagate` for {}", collection.artifact);
                        let expected = "`report` or `mark`: runs and results are never deleted";
                        self.reader.error(at, path, found, expected);
                        return;
                    }
                }
            }
            Deletions::Mark { field, .. } => {
                let writable =
                    |c: &&Collection| c.mapping(field).is_some_and(|m| !m.read_only && m.sql.is_none());
                if !sides.into_iter().flatten().any(|c| writable(&c)) {
                    let found = format!("`{field}` can be written in neither collection");
                    self.reader.error(at, path, found, "a field of the model that a collection maps");
                }
            }
        }
    }

    fn mark(&mut self, path: &str, long: &DeletionsLong) -> Deletions {
        let (Some(Text(field)), Some(Text(value))) = (&long.field, &long.value) else {
            self.reader.error(long.at, path, "`mark` without a field and a value", "`field` and `value`");
            return Deletions::Report;
        };
        match self.fields.iter().find(|f| f.name == field.text).map(|f| f.field_type.clone()) {
            None => {
                let known = self.names.fields.clone();
                let path = join(path, "field");
                self.reader.unknown(field.at, &path, "field of the model", &field.text, &strs(&known));
            }
            Some(FieldType::SingleSelect { values }) if !values.contains(&value.text) => {
                let path = join(path, "value");
                self.reader.unknown(value.at, &path, "value of the model", &value.text, &strs(&values));
            }
            Some(_) => {}
        }
        Deletions::Mark { field: field.text.clone(), value: value.text.clone() }
    }

    fn options(
        &mut self,
        pipeline: &Pipeline,
        integration: &Integration,
        typed: &Options,
        path: &str,
    ) -> IntegrationOptions {
        let unread = [
            ("automated", typed.automated.is_some(), "no `automated`: runs are made as planned runs"),
            ("unfiled", typed.unfiled.is_some(), "no `unfiled`: cases in no container stay there"),
            (
                "plan",
                typed.plan.is_some() || typed.plan_by_project.is_some(),
                "the plan as a constant relationship of the collection: `Parent Test Plan: { constant: ID }`",
            ),
        ];
        for (key, _, expected) in unread.into_iter().filter(|(_, given, _)| *given) {
            let found = format!("`{key}` has no effect");
            self.reader.error(typed.at, &join(path, key), found, expected);
        }
        for (key, share) in
            [("delete_share_max", typed.delete_share_max), ("overwrite_share_max", typed.overwrite_share_max)]
        {
            if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
                self.reader.error(typed.at, &join(path, key), "no share", "a number from 0 to 1");
            }
        }
        if typed.plan.is_some() && typed.plan_by_project.is_some() {
            self.reader.error(typed.at, path, "`plan` beside `plan_by_project`", "one of the two");
        }
        // The attribute is looked up in the rows of the left repository; every row names one project of each.
        let repository =
            pipeline.collection(&integration.left).map(|c| c.repository.as_str()).unwrap_or_default();
        let plan = self.constant(repository, path, typed.plan.as_ref(), typed.plan_by_project.as_ref());
        IntegrationOptions {
            automated: typed.automated,
            unfiled: typed.unfiled.as_ref().map(|t| t.0.text.clone()),
            plan,
            reopen_closed: typed.reopen_closed.unwrap_or(false),
            delete_share_max: typed.delete_share_max,
            overwrite_share_max: typed.overwrite_share_max,
        }
    }

    /// References become pairs, so both sides of a relationship must end in one integration.
    fn relationships_meet(&mut self, pipeline: &Pipeline, integration: &Integration) {
        for pair in pipeline.relationship_pairs(integration) {
            let ends = (pair.left.ends_in.as_deref(), pair.right.ends_in.as_deref());
            if let ((Some(left), Some(right)), None) = (ends, pair.ends_in) {
                let path = mapping_path(&integration.left, "relationships", &pair.left.relationship);
                let found = format!(
                    "`{}` ends in {left} here and in {right} in `{}`, and no integration pairs those two",
                    pair.field.name, integration.right
                );
                let at = self.place(&path);
                self.reader.error(
                    at,
                    &path,
                    found,
                    "relationships that end in the two sides of one integration, or `via`",
                );
            }
        }
    }

    /// A value that is written across and read back must be one that its origin accepts.
    fn values_come_back(&mut self, pipeline: &Pipeline, integration: &Integration) {
        for pair in pipeline.field_pairs(integration) {
            let (Some(left), Some(right)) = (pair.left.values(), pair.right.values()) else { continue };
            let sides = [(left, right, Side::Right, pair.left), (right, left, Side::Left, pair.right)];
            for (own, other, into, mapping) in sides {
                if pair.direction != Direction::Both {
                    continue;
                }
                let Some((native, written, back)) = unstable(own, other) else { continue };
                let path = mapping_path(integration.collection(into.other()), "fields", &mapping.field);
                let found = format!(
                    "`{native}` may be written to `{}` as `{written}`, which comes back as `{back}`",
                    integration.collection(into)
                );
                let expected =
                    format!("`{native}` among the native values of `{back}`, or the value would not rest");
                let at = self.place(&path);
                self.reader.warning(at, &path, found, expected);
            }
        }
    }

    /// What must be named at creation has to come from somewhere.
    fn required_named(&mut self, pipeline: &Pipeline, integration: &Integration) {
        for side in Side::BOTH.into_iter().filter(|side| integration.create.allows_into(*side)) {
            let Some(collection) = pipeline.collection(integration.collection(side)) else { continue };
            let Some(artifact) = self.artifact(collection.repository.as_str(), &collection.artifact) else {
                continue;
            };
            for spec in artifact.relationships.iter().filter(|spec| spec.required) {
                if !collection.relationships.iter().any(|m| m.relationship == spec.name) {
                    let path = join("collections", &collection.name);
                    let at = self.place(&path);
                    let found = format!("`{}` must be named when one is created", spec.name);
                    let expected = format!("`{}` under `relationships`, mapped or constant", spec.name);
                    self.reader.error(at, &join(&path, "relationships"), found, expected);
                }
            }
        }
    }

    /// A constant that nothing ever writes is probably not meant.
    fn constants_are_written(&mut self, pipeline: &Pipeline) {
        let mut created = BTreeSet::new();
        let mut updated = BTreeSet::new();
        for integration in &pipeline.integrations {
            for side in Side::BOTH {
                let name = integration.collection(side);
                if integration.create.allows_into(side) {
                    created.insert(name);
                }
                if integration.flow.allows_into(side) {
                    updated.insert(name);
                }
            }
        }
        for collection in &pipeline.collections {
            let name = collection.name.as_str();
            let idle = |update: Update| {
                !created.contains(name) && (update == Update::OnCreate || !updated.contains(name))
            };
            let fields = collection.fields.iter().map(|m| {
                (matches!(m.target, FieldTarget::Constant(_)) && idle(m.update), "fields", m.field.as_str())
            });
            let relationships = collection.relationships.iter().map(|m| {
                let constant = matches!(m.target, RelationshipTarget::Constant(_));
                (constant && idle(m.update), "relationships", m.relationship.as_str())
            });
            for (_, section, mapping) in fields.chain(relationships).filter(|(inert, ..)| *inert) {
                let path = mapping_path(name, section, mapping);
                let at = self.place(&path);
                let found = format!("nothing is ever written to `{mapping}`");
                self.reader.warning(
                    at,
                    &path,
                    found,
                    "an integration that creates artifacts here, or no constant",
                );
            }
        }
    }

    fn place(&self, path: &str) -> At {
        self.places.get(path).copied().unwrap_or(At::START)
    }
}

fn mapping_path(collection: &str, section: &str, mapping: &str) -> String {
    join(&join(&join("collections", collection), section), mapping)
}

/// Tells whether two collections can hold the same artifact, as far as the file tells.
fn overlap(a: &Collection, b: &Collection) -> bool {
    a.name == b.name
        || (a.repository == b.repository
            && a.artifact == b.artifact
            && (a.filter == b.filter || a.filter.is_none() || b.filter.is_none()))
}

/// Finds a native value, an acceptable translation, and the model value as which that
/// comes back without accepting the native value.
fn unstable<'v>(own: &'v ValueMapping, other: &'v ValueMapping) -> Option<(&'v str, &'v str, &'v str)> {
    own.read.iter().find_map(|(native, value)| {
        other.to_native(value).iter().find_map(|written| {
            let back = other.to_model(written)?;
            (!own.to_native(back).contains(native)).then_some((native.as_str(), written.as_str(), back))
        })
    })
}
