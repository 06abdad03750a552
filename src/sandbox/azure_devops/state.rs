//! Everything that the emulator keeps, and the indexes that are rebuilt when it is loaded.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::fields::{F, Field};
use super::items::{Item, LinkEvent};
use super::nodes::Node;
use super::runs::Run;
use super::suites::{Configuration, Plan, Point, Suite, Variable};
use super::types::TypeDef;
use super::value::{Millis, base64_bytes, same};

/// A user or service account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Person {
    pub(super) guid: String,
    pub(super) name: String,
    pub(super) unique: String,
}

/// A team project.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Project {
    pub(super) guid: String,
    pub(super) name: String,
    pub(super) description: String,
    /// Position among the processes.
    pub(super) process: usize,
    pub(super) area: u32,
    pub(super) iteration: u32,
    pub(super) created: Millis,
    pub(super) automated_days: i64,
    pub(super) manual_days: i64,
}

/// A process and its types.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Process {
    pub(super) guid: String,
    pub(super) name: String,
    pub(super) reference: String,
    pub(super) description: String,
    /// The guid of the system process it inherits from.
    pub(super) parent: Option<String>,
    pub(super) types: Vec<TypeDef>,
}

/// A picklist.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Picklist {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) suggested: bool,
    pub(super) items: Vec<String>,
}

/// A tag of one project.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tag {
    pub(super) guid: String,
    pub(super) name: String,
    pub(super) updated: Millis,
}

/// An uploaded file of work items.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Blob {
    pub(super) name: String,
    pub(super) created: Millis,
    /// The size announced for a chunked upload that is not complete yet.
    pub(super) expected: Option<u64>,
    #[serde(with = "base64_bytes")]
    pub(super) content: Bytes,
}

/// A stored query.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredQuery {
    pub(super) project: u16,
    pub(super) name: String,
    /// The folder's path with slashes: `Shared Queries`.
    pub(super) folder: String,
    pub(super) wiql: Option<String>,
    pub(super) created: Millis,
    pub(super) by: u32,
}

/// What follows from the rest and is not stored.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Fields by lower-case reference name and by lower-case name.
    pub(super) fields: HashMap<String, u16>,
    /// Watermark, item and revision of every revision, in order of watermark.
    pub(super) feed: Vec<(u64, u32, u32)>,
    /// The suites that hold a case.
    pub(super) suites_of: HashMap<u32, BTreeSet<u32>>,
    /// The requirement suites of a requirement.
    pub(super) requirement_suites: HashMap<u32, BTreeSet<u32>>,
    /// The query suites by project and query, so that equal queries are run once.
    pub(super) query_suites: BTreeMap<(u16, String), (super::wiql::Query, BTreeSet<u32>)>,
    /// Runs by the time of their last update.
    pub(super) runs_by_time: BTreeSet<(Millis, u32)>,
}

impl Index {
    /// Notes a suite's query.
    pub(super) fn add_query(&mut self, project: u16, text: &str, suite: u32) {
        let key = (project, text.to_owned());
        if let Some((_, suites)) = self.query_suites.get_mut(&key) {
            suites.insert(suite);
        } else if let Ok(query) = super::wiql::parse(text) {
            self.query_suites.insert(key, (query, BTreeSet::from([suite])));
        }
    }

    /// Forgets a suite's query.
    pub(super) fn remove_query(&mut self, project: u16, text: &str, suite: u32) {
        let key = (project, text.to_owned());
        if let Some((_, suites)) = self.query_suites.get_mut(&key) {
            suites.remove(&suite);
            if suites.is_empty() {
                self.query_suites.remove(&key);
            }
        }
    }
}

/// The whole state of one organisation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) people: Vec<Person>,
    pub(super) projects: Vec<Project>,
    pub(super) processes: Vec<Process>,
    pub(super) fields: Vec<Field>,
    pub(super) picklists: BTreeMap<String, Picklist>,
    pub(super) nodes: BTreeMap<u32, Node>,
    pub(super) items: BTreeMap<u32, Item>,
    pub(super) next_item: u32,
    pub(super) next_node: u32,
    pub(super) next_comment: u32,
    pub(super) next_blob: u32,
    pub(super) next_resource: u32,
    pub(super) watermark: u64,
    pub(super) link_log: Vec<LinkEvent>,
    pub(super) blobs: BTreeMap<String, Blob>,
    /// By project and lower-case name.
    pub(super) tags: BTreeMap<u16, BTreeMap<String, Tag>>,
    pub(super) queries: BTreeMap<String, StoredQuery>,
    pub(super) plans: BTreeMap<u32, Plan>,
    pub(super) suites: BTreeMap<u32, Suite>,
    pub(super) points: BTreeMap<u32, Point>,
    pub(super) next_point: u32,
    pub(super) configurations: BTreeMap<u32, Configuration>,
    pub(super) next_configuration: u32,
    pub(super) variables: BTreeMap<u32, Variable>,
    pub(super) next_variable: u32,
    pub(super) runs: BTreeMap<u32, Run>,
    pub(super) next_run: u32,
    pub(super) next_run_attachment: u32,
    #[serde(skip)]
    pub(super) index: Index,
    /// Whether the current call changed something.
    #[serde(skip)]
    pub(super) touched: bool,
}

impl State {
    /// Builds what is not stored.
    pub(super) fn reindex(&mut self) {
        let mut index = Index::default();
        for (number, field) in self.fields.iter().enumerate() {
            let number = u16::try_from(number).unwrap_or(u16::MAX);
            index.fields.entry(field.name.to_lowercase()).or_insert(number);
        }
        for (number, field) in self.fields.iter().enumerate() {
            index.fields.insert(field.reference.to_lowercase(), u16::try_from(number).unwrap_or(u16::MAX));
        }
        for (&id, item) in &self.items {
            for (number, revision) in item.revisions.iter().enumerate() {
                index.feed.push((revision.watermark, id, u32::try_from(number + 1).unwrap_or(u32::MAX)));
            }
        }
        index.feed.sort_unstable();
        for (&id, suite) in &self.suites {
            for &case in suite.points.keys() {
                index.suites_of.entry(case).or_default().insert(id);
            }
            if let Some(requirement) = suite.requirement {
                index.requirement_suites.entry(requirement).or_default().insert(id);
            }
            if let Some(text) = &suite.query {
                index.add_query(self.project_of(id), text, id);
            }
        }
        index.runs_by_time = self.runs.iter().map(|(&id, run)| (run.updated, id)).collect();
        self.index = index;
    }

    /// Notes that something changed.
    pub(super) fn touch(&mut self) {
        self.touched = true;
    }

    /// The field of that reference name or display name.
    pub(super) fn field(&self, name: &str) -> Option<u16> {
        let number = *self.index.fields.get(&name.to_lowercase())?;
        (!self.fields[number as usize].deleted).then_some(number)
    }

    /// Adds a field of the organisation.
    pub(super) fn add_field(&mut self, field: Field) -> u16 {
        let number = u16::try_from(self.fields.len()).unwrap_or(u16::MAX);
        self.index.fields.insert(field.name.to_lowercase(), number);
        self.index.fields.insert(field.reference.to_lowercase(), number);
        self.fields.push(field);
        number
    }

    /// The project of that name or guid.
    pub(super) fn find_project(&self, name: &str) -> Option<u16> {
        self.projects
            .iter()
            .position(|p| same(&p.name, name) || p.guid.eq_ignore_ascii_case(name))
            .and_then(|p| u16::try_from(p).ok())
    }

    /// The project at that position.
    pub(super) fn project(&self, project: u16) -> &Project {
        &self.projects[project as usize]
    }

    /// The type of that name, or reference name, in a project.
    pub(super) fn find_type(&self, project: u16, name: &str) -> Option<&TypeDef> {
        self.processes[self.project(project).process].types.iter().find(|t| {
            same(&t.name, name)
                || t.reference.eq_ignore_ascii_case(name)
                || t.derived.as_ref().is_some_and(|d| d.eq_ignore_ascii_case(name))
        })
    }

    /// The type of an item.
    pub(super) fn type_of(&self, item: &Item) -> Option<&TypeDef> {
        self.find_type(item.project, &item.kind)
    }

    /// The person whom a text names: by guid, unique name, display name or both.
    pub(super) fn find_person(&self, text: &str) -> Option<u32> {
        let text = text.trim();
        let inner = text.rfind('<').and_then(|at| text[at + 1..].strip_suffix('>'));
        let wanted = inner.unwrap_or(text);
        let found = self
            .people
            .iter()
            .position(|p| same(&p.unique, wanted) || p.guid.eq_ignore_ascii_case(wanted))
            .or_else(|| {
                let mut named = self.people.iter().enumerate().filter(|(_, p)| same(&p.name, wanted));
                let first = named.next()?;
                named.next().is_none().then_some(first.0)
            });
        let found = found.or_else(|| self.people.iter().position(|p| super::json::descriptor(p) == wanted));
        found.and_then(|p| u32::try_from(p).ok())
    }

    /// Hands out the next work item id: one sequence for the organisation.
    pub(super) fn take_item_id(&mut self) -> u32 {
        let id = self.next_item.max(1);
        self.next_item = id + 1;
        id
    }

    /// The title of an item, deleted or not; empty if it is gone.
    pub(super) fn title(&self, id: u32) -> &str {
        self.items.get(&id).map_or("", |item| item.text(F::Title))
    }

    /// The title of an item that can be read.
    pub(super) fn live(&self, id: u32) -> Option<&Item> {
        self.items.get(&id).filter(|item| item.deleted.is_none())
    }

    /// Keeps the index of runs by time right.
    pub(super) fn stamp_run(&mut self, id: u32, at: Millis) {
        if let Some(run) = self.runs.get_mut(&id) {
            self.index.runs_by_time.remove(&(run.updated, id));
            run.updated = at;
            self.index.runs_by_time.insert((at, id));
        }
    }
}
