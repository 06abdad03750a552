//! Native tables: whole, refreshed by the rows that changed, and read back.

use std::collections::HashSet;

use arrow::array::{Array, RecordBatch, StringArray};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::PipelineStore;
use super::error::Error;
use super::merge::TableWriter;
use super::part::{self, PartRef, PartWriter, key_column};

/// Rows that are put together at a time when batches are sorted.
const SORTED_BATCH_ROWS: usize = 8_192;

/// Rows of a batch of nothing but keys.
const KEYS_BATCH_ROWS: usize = 65_536;

/// A native table as a snapshot lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableState {
    /// Hash of the columns and their types.
    pub schema: String,
    /// The live parts, in key order; at least one.
    pub parts: Vec<PartRef>,
    /// All rows.
    pub rows: u64,
    /// Whether every row of the collection was read. If not, nothing follows from
    /// what is absent.
    pub complete: bool,
    /// When reading began.
    pub extracted_at: DateTime<Utc>,
    /// From when on changes were read; `None` for a full pass.
    pub since: Option<DateTime<Utc>>,
}

/// What a refresh does to a table.
#[derive(Clone, Debug, Default)]
pub struct Refresh {
    /// Rows that are new or changed, in any order; of a key that comes twice the
    /// last one counts.
    pub rows: Vec<RecordBatch>,
    /// Keys of rows that are gone.
    pub gone: HashSet<String>,
}

impl PipelineStore {
    /// Starts writing a table from batches sorted by key.
    pub fn part_writer(&self, repository: &str, table: &str, schema: SchemaRef) -> PartWriter {
        PartWriter::new(self.clone(), repository, table, schema)
    }

    /// Starts writing a table from rows in any order, in bounded memory. With `before`,
    /// parts of it that no row touches are taken over.
    pub fn table_writer(
        &self,
        repository: &str,
        table: &str,
        schema: SchemaRef,
        before: Option<&[PartRef]>,
    ) -> TableWriter {
        TableWriter::new(self.clone(), repository, table, schema, before.map(<[PartRef]>::to_vec))
    }

    /// Writes a table from rows in any order.
    pub async fn write_rows(
        &self,
        repository: &str,
        table: &str,
        schema: SchemaRef,
        rows: &[RecordBatch],
    ) -> Result<Vec<PartRef>, Error> {
        let mut writer = self.table_writer(repository, table, schema, None);
        for batch in rows {
            writer.push(batch.clone()).await?;
        }
        writer.finish(&HashSet::new()).await
    }

    /// Rewrites the parts that a refresh touches and takes over all others.
    pub async fn refresh_rows(
        &self,
        repository: &str,
        table: &str,
        schema: SchemaRef,
        parts: &[PartRef],
        refresh: &Refresh,
    ) -> Result<Vec<PartRef>, Error> {
        let mut writer = self.table_writer(repository, table, schema, Some(parts));
        for batch in &refresh.rows {
            writer.push(batch.clone()).await?;
        }
        writer.finish(&refresh.gone).await
    }

    /// Reads a part's file and checks it against its manifest entry.
    pub(super) async fn read_checked(&self, part: &PartRef) -> Result<Bytes, Error> {
        let content = self.read_path(&part.path).await?;
        part::check(&part.path, &content, part.bytes, &part.content_hash)?;
        Ok(content)
    }

    /// Lists the keys of a part in order, and reads nothing else of it.
    pub async fn read_keys(&self, part: &PartRef) -> Result<Vec<StringArray>, Error> {
        let content = self.read_checked(part).await?;
        let mut keys = Vec::new();
        for batch in part::reader(&part.path, content, KEYS_BATCH_ROWS, Some(part::KEY))? {
            let batch = batch.map_err(|e| Error::corrupt(&part.path, e))?;
            keys.push(key_column(&part.path, &batch)?.clone());
        }
        Ok(keys)
    }

    /// Reads one part and checks it against its manifest entry.
    pub async fn read_part(&self, part: &PartRef) -> Result<Vec<RecordBatch>, Error> {
        let content = self.read_checked(part).await?;
        let (_, batches) = part::decode(&part.path, content)?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if rows as u64 != part.rows {
            return Err(Error::corrupt(&part.path, format!("it has {rows} rows instead of {}", part.rows)));
        }
        Ok(batches)
    }

    /// Reads the columns of a table from its first part.
    pub async fn read_schema(&self, table: &TableState) -> Result<SchemaRef, Error> {
        let first = table.parts.first().ok_or_else(|| Error::corrupt(self.name(), "a table has no part"))?;
        let content = self.read_path(&first.path).await?;
        part::check(&first.path, &content, first.bytes, &first.content_hash)?;
        let (schema, _) = part::decode(&first.path, content)?;
        if part::fingerprint(&schema) != table.schema {
            return Err(Error::corrupt(&first.path, "its columns are not those of its table"));
        }
        Ok(schema)
    }
}

impl TableState {
    /// Describes a table that was just written.
    pub fn new(schema: &SchemaRef, parts: Vec<PartRef>, extracted_at: DateTime<Utc>) -> Self {
        Self {
            schema: part::fingerprint(schema),
            rows: parts.iter().map(|p| p.rows).sum(),
            parts,
            complete: true,
            extracted_at,
            since: None,
        }
    }
}

/// Sorts rows by key. Of a key that comes twice (a row that moved from one page to
/// the next while they were read) the last one stays.
pub fn sort_by_key(table: &str, batches: &[RecordBatch]) -> Result<Vec<RecordBatch>, Error> {
    let batches: Vec<&RecordBatch> = batches.iter().filter(|b| b.num_rows() > 0).collect();
    let columns = batches.iter().map(|b| key_column(table, b)).collect::<Result<Vec<_>, _>>()?;
    let mut rows: Vec<(usize, usize)> =
        columns.iter().enumerate().flat_map(|(b, keys)| (0..keys.len()).map(move |r| (b, r))).collect();
    let key = |&(b, r): &(usize, usize)| columns[b].value(r);
    // Stable, so that rows of one key stay in the order of their coming.
    rows.sort_by(|a, b| key(a).cmp(key(b)));
    let mut unique: Vec<(usize, usize)> = Vec::with_capacity(rows.len());
    for row in rows {
        match unique.last_mut() {
            Some(last) if key(last) == key(&row) => *last = row,
            _ => unique.push(row),
        }
    }
    unique
        .chunks(SORTED_BATCH_ROWS)
        .map(|chunk| {
            interleave_record_batch(&batches, chunk)
                .map_err(|e| Error::Rows { table: table.to_owned(), what: e.to_string() })
        })
        .collect()
}
