//! The rows of a project: compact, with indexes over the fields that name other rows.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use super::schema::{KINDS, Kind};

/// Fields over which requests ask for children.
const INDEXED: [(Kind, &str); 20] = [
    (Kind::Test, "parent-id"),
    (Kind::DesignStep, "parent-id"),
    (Kind::TestFolder, "parent-id"),
    (Kind::TestSet, "parent-id"),
    (Kind::TestSetFolder, "parent-id"),
    (Kind::TestInstance, "cycle-id"),
    (Kind::TestInstance, "test-id"),
    (Kind::TestConfig, "parent-id"),
    (Kind::Run, "testcycl-id"),
    (Kind::Run, "cycle-id"),
    (Kind::Run, "test-id"),
    (Kind::RunStep, "parent-id"),
    (Kind::Requirement, "parent-id"),
    (Kind::Coverage, "requirement-id"),
    (Kind::Coverage, "test-id"),
    (Kind::DefectLink, "first-endpoint-id"),
    (Kind::DefectLink, "second-endpoint-id"),
    (Kind::Attachment, "parent-id"),
    (Kind::ReleaseFolder, "parent-id"),
    (Kind::Release, "parent-id"),
];

/// One stored value. Dates are days and moments are seconds of local time since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Num(i64),
    Text(Arc<str>),
}

impl Value {
    /// Text as a value.
    pub(super) fn text(text: impl Into<Arc<str>>) -> Value {
        Value::Text(text.into())
    }
}

/// One row: its filled fields by position, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row(Box<[(u8, Value)]>);

impl Row {
    /// A row of these fields.
    pub(super) fn of(mut fields: Vec<(u8, Value)>) -> Row {
        fields.sort_by_key(|(field, _)| *field);
        Row(fields.into())
    }

    /// The filled fields.
    pub(super) fn fields(&self) -> &[(u8, Value)] {
        &self.0
    }

    /// The value of a field.
    pub(super) fn get(&self, field: u8) -> Option<&Value> {
        self.0.binary_search_by_key(&field, |(f, _)| *f).ok().map(|at| &self.0[at].1)
    }

    /// The value of a field that holds a number.
    pub(super) fn num(&self, field: u8) -> Option<i64> {
        match self.get(field) {
            Some(Value::Num(number)) => Some(*number),
            _ => None,
        }
    }

    /// The value of a field that holds text; empty for none.
    pub(super) fn text(&self, field: u8) -> &str {
        match self.get(field) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// Fills or empties a field.
    pub(super) fn set(&mut self, field: u8, value: Option<Value>) {
        let found = self.0.binary_search_by_key(&field, |(f, _)| *f);
        match (found, value) {
            (Ok(at), Some(value)) => self.0[at].1 = value,
            (Ok(at), None) => {
                let mut fields = std::mem::take(&mut self.0).into_vec();
                fields.remove(at);
                self.0 = fields.into();
            }
            (Err(at), Some(value)) => {
                let mut fields = std::mem::take(&mut self.0).into_vec();
                fields.insert(at, (field, value));
                self.0 = fields.into();
            }
            (Err(_), None) => {}
        }
    }
}

/// What others see of an entity that somebody has checked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// Position of who checked it out.
    pub(super) user: u16,
    /// The row before; none: it was never checked in.
    pub(super) row: Option<Row>,
    /// The steps before, of a test.
    pub(super) steps: Vec<(u32, Row)>,
}

/// A version that was checked in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) number: u32,
    pub(super) user: u16,
    /// Local seconds.
    pub(super) at: i64,
    pub(super) comment: String,
    pub(super) row: Row,
}

/// One line of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Audit {
    pub(super) kind: Kind,
    pub(super) of: u32,
    pub(super) user: u16,
    pub(super) at: i64,
    /// Field, old and new value as text.
    pub(super) changes: Vec<(u8, String, String)>,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) login: String,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) active: bool,
}

/// One project.
#[derive(Debug, Default)]
pub(super) struct Project {
    pub(super) name: String,
    /// Whether tests and requirements are checked out before they are written.
    pub(super) versioned: bool,
    pub(super) tables: Vec<BTreeMap<u32, Row>>,
    /// The highest id that was given, per table.
    pub(super) last: Vec<u32>,
    indexes: Vec<BTreeSet<(i64, u32)>>,
    pub(super) checked_out: BTreeMap<(Kind, u32), Snapshot>,
    pub(super) versions: BTreeMap<(Kind, u32), Vec<Version>>,
    pub(super) audits: Vec<Audit>,
    pub(super) files: BTreeMap<u32, Bytes>,
    pool: HashSet<Arc<str>>,
}

/// The whole site.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) users: Vec<User>,
    pub(super) projects: Vec<Project>,
    /// Counts changes; not part of what is saved.
    pub(super) revision: u64,
}

fn index_of(kind: Kind, field: u8) -> Option<usize> {
    INDEXED.iter().position(|(k, name)| *k == kind && k.at(name) == field)
}

impl Project {
    /// A project without rows.
    pub(super) fn new(name: &str, versioned: bool) -> Project {
        Project {
            name: name.to_owned(),
            versioned,
            tables: vec![BTreeMap::new(); KINDS.len()],
            last: vec![0; KINDS.len()],
            indexes: vec![BTreeSet::new(); INDEXED.len()],
            ..Project::default()
        }
    }

    /// The rows of an entity.
    pub(super) fn rows(&self, kind: Kind) -> &BTreeMap<u32, Row> {
        &self.tables[kind as usize]
    }

    /// One row.
    pub(super) fn row(&self, kind: Kind, id: u32) -> Option<&Row> {
        self.rows(kind).get(&id)
    }

    /// One row by an id that may be any number.
    pub(super) fn row_at(&self, kind: Kind, id: i64) -> Option<&Row> {
        self.row(kind, u32::try_from(id).ok()?)
    }

    /// The next id of an entity.
    pub(super) fn take_id(&mut self, kind: Kind) -> u32 {
        self.last[kind as usize] += 1;
        self.last[kind as usize]
    }

    /// Adds or replaces a row.
    pub(super) fn put(&mut self, kind: Kind, id: u32, row: Row) {
        self.unindex(kind, id);
        for (n, (k, name)) in INDEXED.iter().enumerate() {
            if let Some(value) = (*k == kind).then(|| row.num(k.at(name))).flatten() {
                self.indexes[n].insert((value, id));
            }
        }
        let last = &mut self.last[kind as usize];
        *last = (*last).max(id);
        self.tables[kind as usize].insert(id, row);
    }

    /// Changes some fields of a row, if it exists.
    pub(super) fn edit(&mut self, kind: Kind, id: u32, fields: Vec<(u8, Option<Value>)>) {
        let Some(mut row) = self.row(kind, id).cloned() else { return };
        for (field, value) in fields {
            row.set(field, value);
        }
        self.put(kind, id, row);
    }

    /// Takes a row away.
    pub(super) fn remove(&mut self, kind: Kind, id: u32) -> Option<Row> {
        self.unindex(kind, id);
        self.tables[kind as usize].remove(&id)
    }

    fn unindex(&mut self, kind: Kind, id: u32) {
        let Some(row) = self.tables[kind as usize].get(&id) else { return };
        for (n, (k, name)) in INDEXED.iter().enumerate() {
            if let Some(value) = (*k == kind).then(|| row.num(k.at(name))).flatten() {
                self.indexes[n].remove(&(value, id));
            }
        }
    }

    /// The ids of the rows whose field holds that number; none if the field is not indexed.
    pub(super) fn indexed(&self, kind: Kind, field: u8, value: i64) -> Option<Vec<u32>> {
        let index = &self.indexes[index_of(kind, field)?];
        Some(index.range((value, 0)..=(value, u32::MAX)).map(|(_, id)| *id).collect())
    }

    /// The ids of the rows whose field, an indexed one, holds that id.
    pub(super) fn children(&self, kind: Kind, field: &str, of: u32) -> Vec<u32> {
        self.indexed(kind, kind.at(field), i64::from(of)).unwrap_or_default()
    }

    /// One copy of a text that many rows hold.
    pub(super) fn pooled(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.pool.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.pool.insert(Arc::clone(&new));
        new
    }

    /// What `user` sees in place of the rows of a table that others have checked out.
    pub(super) fn overlay(&self, kind: Kind, user: u16) -> BTreeMap<u32, Option<Row>> {
        let mut out = BTreeMap::new();
        for ((of, id), snapshot) in self.checked_out.iter().filter(|(_, s)| s.user != user) {
            if *of == kind {
                out.insert(*id, snapshot.row.clone());
            }
            if (*of, kind) == (Kind::Test, Kind::DesignStep) {
                let current = self.children(Kind::DesignStep, "parent-id", *id);
                out.extend(current.into_iter().map(|step| (step, None)));
                out.extend(snapshot.steps.iter().map(|(step, row)| (*step, Some(row.clone()))));
            }
        }
        out
    }

    /// The paths of three letters per level, from the root down.
    pub(super) fn hierarchical_path(&self, kind: Kind, id: u32) -> String {
        let Some(tree) = kind.folder() else { return String::new() };
        let (parent, order) = (tree.at("parent-id"), tree.find("order-id"));
        let mut parts = Vec::new();
        let mut at = i64::from(id);
        // A broken tree must not hang the server.
        for _ in 0..100 {
            let Some(row) = self.row_at(tree, at) else { break };
            let ordinal = order.and_then(|o| row.num(o)).unwrap_or(0);
            parts.push(letters(ordinal));
            let above = row.num(parent).unwrap_or(-1);
            if above == at {
                break;
            }
            at = above;
        }
        parts.into_iter().rev().collect()
    }
}

fn letters(ordinal: i64) -> String {
    let of = |n: i64| char::from(b'A' + u8::try_from(n % 26).unwrap_or(0));
    [ordinal / 676, ordinal / 26, ordinal].into_iter().map(|n| of(n.max(0))).collect()
}
