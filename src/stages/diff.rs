//! The diff: pairs, then fields, then references, into one plan.

mod creation;
mod fields;
mod gone;
mod naming;
mod pairs;
mod references;
mod slots;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::StringArray;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use minijinja::context;

use super::pairing::{Pairs, resting};
use super::plan::{Plan, Planned};
use super::settle::Ambiguous;
use super::spec::Integration;
use super::transform;
use crate::model::{PairId, Side};
use crate::sql::{self, Sql, Statements};

/// What the diff looks at besides the snapshot and the sync state in the session.
///
/// The session holds the neutral views of both repositories, and `sync.base` and
/// `sync.refs`; the diff adds `sync.pairs` and works in `plan`.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The session.
    pub sql: &'a Sql,
    /// The statements.
    pub statements: &'a Statements,
    /// The integrations in order.
    pub integrations: &'a [Integration],
    /// Pairs as of the last commit, and what settling made of them.
    pub pairs: Pairs,
    /// Keys that exist though the snapshot does not show them: they left the scope.
    pub hidden: HashMap<(String, Side), HashSet<String>>,
    /// Collections from which nothing may be deduced by absence: integration and side.
    pub incomplete: HashSet<(String, Side)>,
    /// Creates of earlier runs with several possible results.
    pub ambiguous: &'a [Ambiguous],
    /// Artifacts whose status refused an edit and may be reopened for it.
    pub reopen: &'a HashSet<(PairId, Side)>,
    /// Write standing differences too.
    pub reconcile: bool,
    /// Plan only this integration, if named.
    pub only: Option<&'a str>,
    /// Plan only the artifact with this id or key, and its counterpart.
    pub key: Option<&'a str>,
}

/// What the diff found.
#[derive(Debug, Default)]
pub struct Diffed {
    /// What to write and what not.
    pub plan: Plan,
    /// The pairs, new ones included.
    pub pairs: Pairs,
    /// Fields that agree and whose base moves.
    pub agreed: Vec<Agreed>,
    /// Ends of relationships that stand on both sides now.
    pub refs_added: Vec<Ref>,
    /// Ends of relationships that stand on neither side any more.
    pub refs_removed: Vec<Ref>,
    /// Artifacts per integration and side.
    pub totals: BTreeMap<String, [u64; 2]>,
    /// Whether there is what [`Inputs::key`] names.
    pub found: bool,
}

/// A field on which both sides agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The pair.
    pub pair: PairId,
    /// The integration.
    pub integration: String,
    /// The model field.
    pub field: String,
    /// What the left side holds.
    pub left: Option<String>,
    /// What the right side holds.
    pub right: Option<String>,
    /// The side whose value says less than the other's.
    pub degraded: Option<Side>,
}

/// One agreed end of a relationship.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ref {
    /// The integration.
    pub integration: String,
    /// The pair.
    pub pair: PairId,
    /// The model field.
    pub field: String,
    /// The pair in which it ends.
    pub target: PairId,
}

/// The state of a diff under way.
struct Work<'a> {
    inputs: &'a Inputs<'a>,
    out: Diffed,
    /// Changes by pair and side, until they are numbered.
    changes: HashMap<(PairId, Side), Planned>,
    /// The order in which changes were found.
    order: Vec<(PairId, Side)>,
    /// Pairs that are not at rest, whatever their hashes say.
    restless: HashSet<PairId>,
    /// Where new results go.
    places: HashMap<PairId, slots::Place>,
    /// Artifacts that are left without their counterpart: pair, side and key.
    survivors: Vec<(PairId, Side, String)>,
}

/// Compares both sides of every integration with each other and with what was agreed.
///
/// # Errors
///
/// Fails only if a statement does.
pub async fn diff(inputs: Inputs<'_>) -> Result<Diffed, sql::Error> {
    let mut work = Work {
        out: Diffed { pairs: inputs.pairs.clone(), ..Diffed::default() },
        inputs: &inputs,
        changes: HashMap::new(),
        order: Vec::new(),
        restless: HashSet::new(),
        places: HashMap::new(),
        survivors: Vec::new(),
    };
    for integration in inputs.integrations {
        work.pair_up(integration).await?;
        work.publish_pairs()?;
    }
    let planned: Vec<&Integration> =
        inputs.integrations.iter().filter(|i| inputs.only.is_none_or(|only| only == i.name)).collect();
    for integration in &planned {
        work.compare_fields(integration).await?;
        work.compare_references(integration).await?;
        work.compare_gone(integration).await?;
        work.name_changes(integration).await?;
    }
    if let Some(key) = inputs.key {
        let chosen = work.chosen(&planned, key).await?;
        work.out.found = !chosen.is_empty();
        work.changes.retain(|(pair, _), _| chosen.contains(&resting(pair)));
    }
    for open in inputs.ambiguous {
        work.changes.remove(&(open.pair.clone(), open.side));
    }
    for integration in &planned {
        work.check_creations(integration).await?;
    }
    work.drop_unused_containers();
    Ok(work.finish())
}

impl Work<'_> {
    /// Registers the pairs as they stand as `sync.pairs`.
    fn publish_pairs(&self) -> Result<(), sql::Error> {
        let rows = vec![self.out.pairs.to_batch()];
        sql::register_batches(self.inputs.sql, "sync", "pairs", Pairs::schema(), rows)
    }

    /// Finds the pairs of the artifacts that people know by a key: its own, or the last part of its address.
    async fn chosen(&self, integrations: &[&Integration], key: &str) -> Result<HashSet<PairId>, sql::Error> {
        let mut chosen = HashSet::new();
        for integration in integrations {
            for side in Side::BOTH {
                let collection = integration.side(side);
                let values = context! { relation => transform::relation(collection), key };
                let statement = self.inputs.statements.render("diff/chosen.sql", values)?;
                let what = format!("looking for {key} in {}", collection.name);
                for batch in self.inputs.sql.rows(&what, &statement).await? {
                    let texts = Texts(&batch);
                    let keys = (0..batch.num_rows()).filter_map(|row| texts.get("key", row));
                    let pairs = keys.filter_map(|key| self.out.pairs.find(&integration.name, side, key));
                    chosen.extend(pairs.map(|pair| pair.id.clone()));
                }
            }
        }
        Ok(chosen)
    }

    /// Returns the change to an artifact, new if there is none yet.
    fn change(&mut self, integration: &Integration, pair: &PairId, side: Side) -> &mut Planned {
        let key = (pair.clone(), side);
        if !self.changes.contains_key(&key) {
            self.order.push(key.clone());
        }
        let known = self.out.pairs.get(pair).and_then(|p| p.key(side)).map(str::to_owned);
        self.changes.entry(key).or_insert_with(|| Planned {
            id: 0,
            integration: integration.name.clone(),
            pair: pair.clone(),
            side,
            project: String::new(),
            key: known,
            revision: None,
            title: String::new(),
            configuration: None,
            fields: Vec::new(),
            references: Vec::new(),
            remove: false,
        })
    }

    /// Numbers the changes and settles the pairs that are at rest.
    fn finish(mut self) -> Diffed {
        let mut changes = std::mem::take(&mut self.changes);
        for key in &self.order {
            if let Some(mut change) = changes.remove(key) {
                change.references.retain(|r| !r.add.is_empty() || !r.remove.is_empty());
                if change.remove
                    || change.key.is_none()
                    || !change.fields.is_empty()
                    || !change.references.is_empty()
                {
                    change.id = self.out.plan.changes.len() as u64 + 1;
                    self.restless.insert(change.pair.clone());
                    self.out.plan.changes.push(change);
                }
            }
        }
        for pair in &self.restless {
            if let Some(row) = self.out.pairs.get_mut(pair) {
                row.unsettle();
            }
        }
        self.out
    }
}

/// Registers a table of text columns in the schema `plan`.
fn publish(sql: &Sql, name: &str, columns: &[&str], rows: &[Vec<Option<&str>>]) -> Result<(), sql::Error> {
    let schema: SchemaRef = Arc::new(Schema::new(
        columns.iter().map(|c| Field::new(*c, DataType::Utf8, true)).collect::<Vec<_>>(),
    ));
    let arrays = (0..columns.len())
        .map(|at| Arc::new(rows.iter().map(|row| row[at]).collect::<StringArray>()) as arrow::array::ArrayRef)
        .collect();
    let batch = RecordBatch::try_new(schema.clone(), arrays).expect("every row has a cell per column");
    sql::register_batches(sql, "plan", name, schema, vec![batch])
}

/// Text columns of a batch, by name.
struct Texts<'a>(&'a RecordBatch);

impl<'a> Texts<'a> {
    /// Returns a column; `None` if it is absent or no text. Statements cast what the
    /// engine makes of a wider text type.
    fn column(&self, name: &str) -> Option<&'a StringArray> {
        use arrow::array::AsArray;
        let column = self.0.column_by_name(name)?;
        debug_assert!(
            !matches!(column.data_type(), DataType::LargeUtf8 | DataType::Utf8View),
            "{name} needs a cast"
        );
        column.as_string_opt::<i32>()
    }

    /// Returns a cell; `None` if it is null or the column is absent.
    fn get(&self, name: &str, row: usize) -> Option<&'a str> {
        cell(self.column(name)?, row)
    }

    /// Returns a boolean cell; null is false.
    fn flag(&self, name: &str, row: usize) -> bool {
        use arrow::array::{Array, AsArray};
        let column = self.0.column_by_name(name).and_then(|c| c.as_boolean_opt());
        column.is_some_and(|c| c.is_valid(row) && c.value(row))
    }
}

fn cell(column: &StringArray, row: usize) -> Option<&str> {
    use arrow::array::Array;
    column.is_valid(row).then(|| column.value(row))
}
