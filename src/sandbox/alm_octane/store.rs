//! The tables in memory: rows, external ids, indexes, run steps.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::schema::{Schema, Source};
use super::value::{Millis, Ref, Row, Val};

/// Rows of one table.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) rows: BTreeMap<u32, Row>,
    /// The number that the next row gets.
    pub(super) next: u32,
    /// Ids that are no numbers: `phase.defect.new`.
    pub(super) names: BTreeMap<u32, Box<str>>,
    by_name: HashMap<Box<str>, u32>,
    /// By field and what it names: the rows, ascending.
    index: HashMap<(u16, Ref), Vec<u32>>,
}

/// A step as a run shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Step {
    /// Whether it says what is expected, and not what to do.
    #[serde(rename = "v")]
    pub(super) validates: bool,
    #[serde(rename = "t")]
    pub(super) text: Box<str>,
}

/// What a run's step came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Mark {
    /// A list item's row.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<u32>,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub(super) actual: Option<Box<str>>,
}

/// The steps that a run took over from its test's script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct RunSteps {
    /// Position in [`State::definitions`].
    pub(super) definition: u32,
    /// The first step's number; the others follow.
    pub(super) first: u32,
}

/// A suite run whose own runs are still to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spawn {
    pub(super) run: u32,
    pub(super) due: Millis,
}

/// A pushed file of results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Push {
    pub(super) id: u32,
    /// Of the body: the same results are not taken twice.
    pub(super) hash: u64,
    pub(super) due: Millis,
    pub(super) user: u16,
    /// Whether results that name what is not there are skipped.
    pub(super) lenient: bool,
    pub(super) status: String,
    pub(super) details: Option<String>,
    /// The file until it is processed.
    pub(super) body: String,
}

/// Numbers of fields and tables that the code names itself.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) test: u8,
    pub(super) run: u8,
    pub(super) step: u8,
    pub(super) link: u8,
    pub(super) phase: u8,
    pub(super) list: u8,
    pub(super) user: u8,
    pub(super) version: u8,
    pub(super) step_run: u16,
    pub(super) run_test: u16,
    pub(super) run_parent: u16,
    pub(super) run_native: u16,
    pub(super) run_status: u16,
    pub(super) attachment_owners: Vec<u16>,
    pub(super) comment_owners: Vec<u16>,
}

/// The whole workspace.
#[derive(Debug)]
pub(super) struct State {
    pub(super) schema: Schema,
    pub(super) keys: Keys,
    pub(super) tables: Vec<Table>,
    /// Steps of scripts, each once however many runs took them.
    pub(super) definitions: Vec<Box<[Step]>>,
    by_definition: HashMap<u64, u32>,
    pub(super) run_steps: BTreeMap<u32, RunSteps>,
    by_first_step: BTreeMap<u32, u32>,
    pub(super) marks: BTreeMap<u32, Box<[Mark]>>,
    pub(super) next_step: u32,
    /// The content of attachments.
    pub(super) files: BTreeMap<u32, bytes::Bytes>,
    pub(super) spawns: Vec<Spawn>,
    pub(super) pushes: Vec<Push>,
    /// Counts changes.
    pub(super) revision: u64,
    /// The newest lists of rows that queries found, for the next page.
    pub(super) found: Vec<(String, u64, std::sync::Arc<[u32]>)>,
}

/// The number of the first row of a table without rows from the company.
const FIRST: u32 = 1001;

impl State {
    pub(super) fn new(schema: Schema) -> State {
        let table = |name: &str| schema.table_of(name).unwrap_or_default();
        let owners = |name: &str| {
            let of = table(name);
            let all = schema.fields_of(of, None).filter(|(_, f)| f.name.starts_with("owner_"));
            all.map(|(n, _)| n).collect()
        };
        let keys = Keys {
            test: table("test"),
            run: table("run"),
            step: table("run_step"),
            link: table("test_suite_link_to_test"),
            phase: table("phase"),
            list: table("list_node"),
            user: table("workspace_user"),
            version: table("test_version"),
            step_run: schema.known("run_step", "run"),
            run_test: schema.known("run", "test"),
            run_parent: schema.known("run", "parent_suite"),
            run_native: schema.known("run", "native_status"),
            run_status: schema.known("run", "status"),
            attachment_owners: owners("attachment"),
            comment_owners: owners("comment"),
        };
        let tables = schema.tables.iter().map(|_| Table { next: FIRST, ..Table::default() }).collect();
        State {
            schema,
            keys,
            tables,
            definitions: vec![Box::default()],
            by_definition: HashMap::new(),
            run_steps: BTreeMap::new(),
            by_first_step: BTreeMap::new(),
            marks: BTreeMap::new(),
            next_step: FIRST,
            files: BTreeMap::new(),
            spawns: Vec::new(),
            pushes: Vec::new(),
            revision: 0,
            found: Vec::new(),
        }
    }

    pub(super) fn table(&self, table: u8) -> &Table {
        &self.tables[usize::from(table)]
    }

    /// A number for the next row of a table.
    pub(super) fn fresh(&mut self, table: u8) -> u32 {
        let held = &mut self.tables[usize::from(table)];
        let number = held.next;
        held.next += 1;
        number
    }

    /// A row by what names it; steps of runs are made up on the way.
    pub(super) fn row(&self, at: Ref) -> Option<Cow<'_, Row>> {
        if at.0 == self.keys.step {
            return self.step_row(at.1).map(Cow::Owned);
        }
        self.table(at.0).rows.get(&at.1).map(Cow::Borrowed)
    }

    pub(super) fn exists(&self, at: Ref) -> bool {
        if at.0 == self.keys.step {
            return self.run_of_step(at.1).is_some();
        }
        self.table(at.0).rows.contains_key(&at.1)
    }

    /// Puts a row in, in place of the one with its number.
    pub(super) fn put(&mut self, at: Ref, row: Row) {
        self.unindex(at);
        self.index(at, &row);
        let held = &mut self.tables[usize::from(at.0)];
        held.next = held.next.max(at.1.saturating_add(1));
        held.rows.insert(at.1, row);
        self.revision += 1;
    }

    pub(super) fn remove(&mut self, at: Ref) -> Option<Row> {
        self.unindex(at);
        self.revision += 1;
        let held = &mut self.tables[usize::from(at.0)];
        if let Some(name) = held.names.remove(&at.1) {
            held.by_name.remove(&name);
        }
        held.rows.remove(&at.1)
    }

    fn index(&mut self, at: Ref, row: &Row) {
        let held = &mut self.tables[usize::from(at.0)];
        for (field, value) in &row.fields {
            if self.schema.field_def(*field).indexed {
                for target in value.refs() {
                    let list = held.index.entry((*field, *target)).or_default();
                    if let Err(place) = list.binary_search(&at.1) {
                        list.insert(place, at.1);
                    }
                }
            }
        }
    }

    fn unindex(&mut self, at: Ref) {
        let held = &mut self.tables[usize::from(at.0)];
        let Some(row) = held.rows.get(&at.1) else { return };
        for (field, value) in &row.fields {
            if !self.schema.field_def(*field).indexed {
                continue;
            }
            for target in value.refs() {
                let Some(list) = held.index.get_mut(&(*field, *target)) else { continue };
                if let Ok(place) = list.binary_search(&at.1) {
                    list.remove(place);
                }
                if list.is_empty() {
                    held.index.remove(&(*field, *target));
                }
            }
        }
    }

    /// The rows whose indexed field names a row.
    pub(super) fn naming(&self, field: u16, target: Ref) -> Cow<'_, [u32]> {
        if field == self.keys.step_run {
            let steps = self.run_steps.get(&target.1);
            let count = steps.map_or(0, |s| self.definition(s.definition).len());
            let first = steps.map_or(0, |s| s.first);
            return Cow::Owned((first..).take(count).collect());
        }
        let table = self.schema.field_def(field).table;
        self.table(table)
            .index
            .get(&(field, target))
            .map_or(Cow::Borrowed(&[]), |l| Cow::Borrowed(l.as_slice()))
    }

    /// Gives a row an id that is no number.
    pub(super) fn christen(&mut self, at: Ref, name: &str) {
        let held = &mut self.tables[usize::from(at.0)];
        held.names.insert(at.1, name.into());
        held.by_name.insert(name.into(), at.1);
    }

    /// A row's id as the service prints it.
    pub(super) fn id(&self, at: Ref) -> String {
        self.table(at.0).names.get(&at.1).map_or_else(|| at.1.to_string(), |name| name.to_string())
    }

    /// The number behind an id; whether there is such a row is another question.
    pub(super) fn number(&self, table: u8, id: &str) -> Option<u32> {
        self.table(table).by_name.get(id).copied().or_else(|| id.parse().ok())
    }

    /// The row with an id.
    pub(super) fn find_id(&self, table: u8, id: &str) -> Option<Ref> {
        let at = Ref(table, self.number(table, id)?);
        self.exists(at).then_some(at)
    }

    /// A list item by its logical name, less the leading `list_node.`.
    pub(super) fn item(&self, name: &str) -> Option<Ref> {
        self.find_id(self.keys.list, &format!("list_node.{name}"))
    }

    pub(super) fn definition(&self, number: u32) -> &[Step] {
        self.definitions.get(number as usize).map_or(&[], |d| d)
    }

    /// Finds or keeps the steps of a script.
    pub(super) fn define_steps(&mut self, steps: Vec<Step>) -> u32 {
        if steps.is_empty() {
            return 0;
        }
        let mut text = Vec::new();
        for step in &steps {
            text.push(u8::from(step.validates));
            text.extend_from_slice(step.text.as_bytes());
            text.push(b'\n');
        }
        let hash = xxhash_rust::xxh3::xxh3_64(&text);
        if let Some(known) = self.by_definition.get(&hash) {
            return *known;
        }
        let number = u32::try_from(self.definitions.len()).unwrap_or(u32::MAX);
        self.definitions.push(steps.into());
        self.by_definition.insert(hash, number);
        number
    }

    /// Gives a run the steps of a definition.
    pub(super) fn attach_steps(&mut self, run: u32, steps: RunSteps) {
        let count = u32::try_from(self.definition(steps.definition).len()).unwrap_or(u32::MAX);
        if count > 0 {
            self.run_steps.insert(run, steps);
            self.by_first_step.insert(steps.first, run);
            self.next_step = self.next_step.max(steps.first.saturating_add(count));
        }
    }

    pub(super) fn detach_steps(&mut self, run: u32) {
        if let Some(steps) = self.run_steps.remove(&run) {
            self.by_first_step.remove(&steps.first);
        }
        self.marks.remove(&run);
    }

    /// The run of a step, and which of its steps it is.
    pub(super) fn run_of_step(&self, step: u32) -> Option<(u32, usize)> {
        let (first, run) = self.by_first_step.range(..=step).next_back()?;
        let steps = self.run_steps.get(run)?;
        let at = (step - first) as usize;
        (at < self.definition(steps.definition).len()).then_some((*run, at))
    }

    /// All steps of all runs, ascending.
    pub(super) fn all_steps(&self) -> Vec<u32> {
        let mut out = Vec::new();
        for (first, run) in &self.by_first_step {
            let count = self.run_steps.get(run).map_or(0, |s| self.definition(s.definition).len());
            out.extend((*first..).take(count));
        }
        out
    }

    fn step_row(&self, step: u32) -> Option<Row> {
        let (run, at) = self.run_of_step(step)?;
        let of = self.table(self.keys.run).rows.get(&run)?;
        let steps = self.run_steps.get(&run)?;
        let step = self.definition(steps.definition).get(at)?;
        let mut row = Row::new(0, of.author, of.created);
        (row.modified, row.version, row.lock) = (of.modified, of.version, of.lock);
        let field = |name: &str| self.schema.named(self.keys.step, name).unwrap_or_default();
        row.set(self.keys.step_run, Some(Val::Ref(Ref(self.keys.run, run))));
        row.set(field("description"), Some(Val::Text(step.text.clone())));
        let kind = if step.validates { "validate" } else { "normal" };
        let kind = self.item(&format!("manual_test_run_step_type.{kind}"));
        row.set(field("step_type"), kind.map(Val::Ref));
        row.set(field("order"), Some(Val::Int(i64::try_from(at).unwrap_or_default())));
        if let Some(mark) = self.marks.get(&run).and_then(|m| m.get(at)) {
            row.set(field("result"), mark.result.map(|r| Val::Ref(Ref(self.keys.list, r))));
            row.set(field("actual"), mark.actual.clone().map(Val::Text));
        }
        Some(row)
    }

    /// Follows other names of a field to the one that is stored or computed.
    pub(super) fn resolve(&self, field: u16) -> u16 {
        match self.schema.field_def(field).source {
            Source::Alias(other) => other,
            _ => field,
        }
    }

    /// What stands in a row's name, if its kind has names.
    pub(super) fn title(&self, at: Ref) -> Option<String> {
        let name = self.schema.named(at.0, "name")?;
        let row = self.row(at)?;
        let text = row.str(name);
        (!text.is_empty()).then(|| text.to_owned())
    }
}
