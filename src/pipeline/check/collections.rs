//! Checks collections: their artifact, what is mapped twice, and their workflow.

use super::fields::Place;
use super::{Check, strs, through};
use crate::model::{Artifact, RepositoryId};
use crate::pipeline::file::{Collection as Typed, ThroughWord, Transition};
use crate::pipeline::meant::{Collection, Edge, FieldMapping, FieldTarget, RelationshipTarget, Smart};
use crate::pipeline::node::{Word, join};
use crate::pipeline::read::Entries;

impl<'r> Check<'_, 'r, '_> {
    pub(super) fn collections(&mut self, entries: &Entries<Typed>) -> Vec<Collection> {
        entries.0.iter().filter_map(|(name, typed)| self.collection(name, typed)).collect()
    }

    fn collection(&mut self, name: &Word, typed: &Typed) -> Option<Collection> {
        let path = join("collections", &name.text);
        self.places.insert(path.clone(), name.at);
        let Some((repository, short_name)) = name.text.split_once('.').filter(|(_, short)| !short.is_empty())
        else {
            let found = format!("`{}` cannot name a collection", name.text);
            self.reader.error(name.at, &path, found, "a repository, a dot and a name: `ado.test-cases`");
            return None;
        };
        if !self.names.repositories.iter().any(|r| r == repository) {
            let known = self.names.repositories.clone();
            self.reader.unknown(name.at, &path, "repository", repository, &strs(&known));
            return None;
        }
        let artifact = self.known_artifact(repository, typed, &path);
        let mut collection = Collection {
            name: name.text.clone(),
            short_name: short_name.to_owned(),
            repository: RepositoryId::new(repository),
            artifact: typed.artifact.0.text.clone(),
            filter: typed.filter.as_ref().map(|t| t.0.text.clone()),
            fields: Vec::new(),
            relationships: Vec::new(),
            transitions: Vec::new(),
            // Steps flow only where the file says so: they are a part of test cases alone.
            steps: through(Some(typed.steps.unwrap_or(ThroughWord::None))),
            line: name.at.line,
        };
        for (native, field) in typed.fields.iter().flat_map(|entries| &entries.0) {
            let path = join(&join(&path, "fields"), &native.text);
            self.places.insert(path.clone(), native.at);
            let place = Place { repository, path: &path, name: native };
            if let Some(mapping) = self.field(&place, artifact, field) {
                if let FieldTarget::Model { field, .. } = &mapping.target {
                    let first = collection.mapping(field).map(|m| (m.field.clone(), m.line));
                    self.mapped_once(&place, field, first);
                }
                collection.fields.push(mapping);
            }
        }
        for (native, relationship) in typed.relationships.iter().flat_map(|entries| &entries.0) {
            let path = join(&join(&path, "relationships"), &native.text);
            self.places.insert(path.clone(), native.at);
            let place = Place { repository, path: &path, name: native };
            if let Some(mapping) = self.relationship(&place, artifact, relationship) {
                if let RelationshipTarget::Model(field) = &mapping.target {
                    let first = collection.relationship(field).map(|m| (m.relationship.clone(), m.line));
                    self.mapped_once(&place, field, first);
                }
                collection.relationships.push(mapping);
            }
        }
        if let Some(transitions) = &typed.transitions {
            collection.transitions = self.transitions(&join(&path, "transitions"), transitions, &collection);
        }
        Some(collection)
    }

    /// Finds what the system offers; reports an unknown artifact of a known system.
    fn known_artifact(&mut self, repository: &str, typed: &Typed, path: &str) -> Option<&'r Artifact> {
        let word = &typed.artifact.0;
        let found = self.artifact(repository, &word.text);
        let offered = self.systems.get(repository).and_then(|system| self.catalog.systems.get(system));
        if let (None, Some(all)) = (found, offered) {
            let names: Vec<_> = all.iter().map(|a| a.name).collect();
            self.incomplete = true;
            self.reader.unknown(word.at, &join(path, "artifact"), "artifact", &word.text, &names);
        }
        found
    }

    fn mapped_once(&mut self, place: &Place<'_>, field: &str, first: Option<(String, usize)>) {
        if let Some((other, line)) = first {
            let found = format!("`{field}` is mapped to `{other}` already, in line {line}");
            self.reader.error(
                place.name.at,
                place.path,
                found,
                "each field of the model once per collection",
            );
        }
    }

    fn transitions(&mut self, path: &str, typed: &[Transition], collection: &Collection) -> Vec<Edge> {
        let moved = collection.fields.iter().find(|m| m.by_transition);
        let status = self.fields.iter().find(|f| f.smart == Some(Smart::Status));
        let status = moved.or(status.and_then(|f| collection.mapping(&f.name)));
        let Some(values) = status.and_then(FieldMapping::values) else {
            let at = self.places.get(&join("collections", &collection.name)).copied().unwrap_or_default();
            self.reader.error(at, path, "a workflow without a status", "a mapped single-select status");
            return Vec::new();
        };
        let mut statuses: Vec<String> = values.read.iter().map(|(native, _)| native.clone()).collect();
        statuses.dedup();
        let mut edges: Vec<Edge> = Vec::new();
        for (index, transition) in typed.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let to = &transition.to.0;
            if !statuses.contains(&to.text) {
                self.reader.unknown(to.at, &join(&path, "to"), "status", &to.text, &strs(&statuses));
            }
            let fields = transition.fields.iter().flat_map(|f| &f.0);
            let fields: Vec<_> = fields.map(|(k, v)| (k.text.clone(), v.0.text.clone())).collect();
            for from in &transition.from.0 {
                if !statuses.contains(&from.text) {
                    self.reader.unknown(
                        from.at,
                        &join(&path, "from"),
                        "status",
                        &from.text,
                        &strs(&statuses),
                    );
                }
                let name = &transition.name.0.text;
                if edges.iter().any(|edge| &edge.name == name && edge.from == from.text) {
                    let found = format!("`{name}` starts from `{}` already", from.text);
                    self.reader.error(from.at, &path, found, "one goal for a transition from one status");
                }
                edges.push(Edge {
                    name: name.clone(),
                    from: from.text.clone(),
                    to: to.text.clone(),
                    fields: fields.clone(),
                });
            }
        }
        edges
    }
}
