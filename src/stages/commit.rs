//! After a load: what was written is read back, and the agreement moves in one commit.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use minijinja::context;

use super::diff::{Agreed, Ref};
use super::load::{Loaded, Written};
use super::pairing::Pairs;
use super::spec::Integration;
use super::{Failure, Repositories};
use crate::model::{Key, RunId, Side};
use crate::sql::{self, Sql, Statements};
use crate::store::{Head, Lease, PipelineStore, SheetRef};
use crate::text;

/// Keys read back in one call.
const READ_BACK_MAX: usize = 1000;

/// Columns of `sync.base`.
pub const BASE: [&str; 6] = ["pair", "integration", "field", "left_native", "right_native", "degraded"];

/// Columns of `sync.refs`.
pub const REFS: [&str; 4] = ["integration", "pair", "field", "target"];

/// Builds the schema of a table of text columns.
pub fn text_schema(columns: &[&str]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|c| Field::new(*c, DataType::Utf8, true)).collect::<Vec<_>>()))
}

fn text_batch(columns: &[&str], rows: &[Vec<Option<&str>>]) -> RecordBatch {
    let arrays = (0..columns.len())
        .map(|at| Arc::new(rows.iter().map(|row| row[at]).collect::<StringArray>()) as ArrayRef)
        .collect();
    RecordBatch::try_new(text_schema(columns), arrays).expect("every row has a cell per column")
}

/// Rows read back, by integration and side.
pub type ReadBack = HashMap<(String, Side), RecordBatch>;

/// Reads by id what was written.
///
/// # Errors
///
/// Fails if a system cannot be asked; the commit then uses the values sent.
pub async fn read_back(
    integrations: &[Integration],
    repositories: &Repositories,
    loaded: &Loaded,
) -> Result<ReadBack, Failure> {
    let mut back = ReadBack::new();
    for ((name, side), keys) in &loaded.touched {
        let Some(integration) = integrations.iter().find(|i| &i.name == name) else { continue };
        let collection = integration.side(*side);
        let connector = repositories.get(&collection.repository);
        let Some(connector) = connector else { continue };
        let mut keys: Vec<Key> = keys.iter().map(|k| k.as_str().into()).collect();
        keys.sort();
        let mut batches = Vec::new();
        for some in keys.chunks(READ_BACK_MAX) {
            batches.push(connector.read(collection.artifact.table, some).await?);
        }
        if let Some(first) = batches.first() {
            let rows = arrow::compute::concat_batches(&first.schema(), &batches)
                .map_err(|e| Failure::Defect(format!("rows read back differ in shape: {e}")))?;
            back.insert((name.clone(), *side), rows);
        }
    }
    Ok(back)
}

/// Returns the fields that agree after a load: the value read back where it is
/// provably our own write, else the value sent.
pub fn agreed_after(written: &[Written], back: &ReadBack) -> Vec<Agreed> {
    let index: HashMap<(&(String, Side), &str), usize> = back
        .iter()
        .flat_map(|(place, rows)| {
            let keys = rows.column_by_name("key").and_then(|c| c.as_string_opt::<i32>());
            keys.into_iter()
                .flat_map(move |keys| (0..keys.len()).map(move |row| ((place, keys.value(row)), row)))
        })
        .collect();
    written
        .iter()
        .map(|w| {
            let place = (w.agreed.integration.clone(), w.side);
            let mut agreed = w.agreed.clone();
            let found = back
                .get_key_value(&place)
                .and_then(|(place, rows)| index.get(&(place, w.key.as_str())).map(|row| (rows, *row)));
            if let Some((rows, row)) = found
                && is_ours(rows, row, w)
            {
                let own = field(rows, row, &w.native_field);
                // A create call may take a poorer notation than the field holds.
                let sent = if w.side == Side::Left { &agreed.left } else { &agreed.right };
                let means =
                    |text: &Option<String>, notation| text.as_deref().map(|t| text::canonical(notation, t));
                if w.notation.is_some_and(|notation| means(&own, notation) != means(sent, notation)) {
                    agreed.degraded = Some(w.side);
                }
                match w.side {
                    Side::Left => agreed.left = own,
                    Side::Right => agreed.right = own,
                }
            }
            agreed
        })
        .collect()
}

fn is_ours(rows: &RecordBatch, row: usize, written: &Written) -> bool {
    let rev = rows.column_by_name("rev").and_then(|c| c.as_string_opt::<i32>());
    let rev = rev.filter(|c| c.is_valid(row)).map(|c| c.value(row));
    match (rev, &written.revision) {
        (Some(now), Some(then)) => now == then,
        // A create that returns no revision: how the system spells what it was given is
        // taken over for formatted text only, where the spelling always differs.
        _ => written.created && written.formatted,
    }
}

/// Looks a field up in the `fields` map of a native row.
fn field(rows: &RecordBatch, row: usize, name: &str) -> Option<String> {
    let entries = rows.column_by_name("fields")?.as_map_opt()?.value(row);
    let names = entries.column(0).as_string_opt::<i32>()?;
    let values = entries.column(1).as_string_opt::<i32>()?;
    let at = (0..names.len()).find(|at| names.value(*at) == name)?;
    values.is_valid(at).then(|| values.value(at).to_owned())
}

/// What a commit brings together.
pub struct Commit<'a> {
    /// Where it goes.
    pub store: &'a PipelineStore,
    /// The session with `sync.base` and `sync.refs` as they were.
    pub sql: &'a Sql,
    /// The statements.
    pub statements: &'a Statements,
    /// The run that commits.
    pub run: &'a RunId,
    /// The head before; `None` for the first.
    pub before: Option<&'a Head>,
    /// The leases that protect it.
    pub leases: &'a [&'a Lease],
}

impl std::fmt::Debug for Commit<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commit").field("run", self.run).finish_non_exhaustive()
    }
}

impl Commit<'_> {
    /// Moves the agreement: pairs, base and agreed ends, with the snapshot they belong to.
    ///
    /// # Errors
    ///
    /// Fails if another run committed meanwhile or the store cannot be written.
    pub async fn run(
        &self,
        head: Head,
        pairs: &Pairs,
        agreed: &[Agreed],
        added: &[Ref],
        removed: &[Ref],
    ) -> Result<Head, Failure> {
        let expected = self.before.map_or(0, |h| h.n);
        let mut sync = BTreeMap::new();
        sync.insert(
            "pairs".to_owned(),
            self.sheet(expected, "pairs", Pairs::schema(), vec![pairs.to_batch()]).await?,
        );
        self.publish_agreed(agreed)?;
        let base = self.rows("load/base.sql").await?;
        sync.insert("base".to_owned(), self.sheet(expected, "base", text_schema(&BASE), base).await?);
        self.publish_refs("refs_added", added)?;
        self.publish_refs("refs_removed", removed)?;
        let refs = self.rows("load/refs.sql").await?;
        sync.insert("refs".to_owned(), self.sheet(expected, "refs", text_schema(&REFS), refs).await?);
        Ok(self.store.advance_head(expected, Head { sync, ..head }, self.leases).await?)
    }

    async fn rows(&self, path: &str) -> Result<Vec<RecordBatch>, Failure> {
        let statement = self.statements.render(path, context! {})?;
        Ok(self.sql.rows(path, &statement).await?)
    }

    async fn sheet(
        &self,
        expected: u64,
        name: &str,
        schema: SchemaRef,
        rows: Vec<RecordBatch>,
    ) -> Result<SheetRef, Failure> {
        let location = self.store.sync_location(expected, self.run, name);
        Ok(self.store.write_sheet_rows(&location, schema, rows).await?)
    }

    fn publish_agreed(&self, agreed: &[Agreed]) -> Result<(), Failure> {
        // Of a field that was agreed and then written, the write is the last word.
        let mut seen = HashSet::new();
        let mut rows: Vec<Vec<Option<&str>>> = Vec::new();
        for a in agreed.iter().rev() {
            if seen.insert((&a.pair, &a.field)) {
                rows.push(vec![
                    Some(a.pair.as_str()),
                    Some(&a.integration),
                    Some(&a.field),
                    a.left.as_deref(),
                    a.right.as_deref(),
                    a.degraded.map(Side::as_str),
                ]);
            }
        }
        let batch = text_batch(&BASE, &rows);
        Ok(sql::register_batches(self.sql, "plan", "agreed", text_schema(&BASE), vec![batch])?)
    }

    fn publish_refs(&self, name: &str, refs: &[Ref]) -> Result<(), Failure> {
        let rows: Vec<Vec<Option<&str>>> = refs
            .iter()
            .map(|r| {
                vec![
                    Some(r.integration.as_str()),
                    Some(r.pair.as_str()),
                    Some(&*r.field),
                    Some(r.target.as_str()),
                ]
            })
            .collect();
        let batch = text_batch(&REFS, &rows);
        Ok(sql::register_batches(self.sql, "plan", name, text_schema(&REFS), vec![batch])?)
    }
}
