//! Parts: immutable Parquet files that together are one native table.
//!
//! A table is cut by key range, and the keys themselves decide where: a part ends
//! after a key whose hash falls on a fixed pattern (once in [`PART_ROWS_MEAN`] keys),
//! so that a row which comes or goes changes the part around it and no other. Parts
//! are named by their content: one that did not change is the same file in every
//! snapshot that lists it.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::PipelineStore;
use super::digest::xxh3_hex;
use super::error::Error;
use super::layout::Location;

/// Rows of a part on average: small enough that a nightly change of a few rows
/// rewrites little, large enough that a million rows are about sixty files.
pub const PART_ROWS_MEAN: u64 = 16_384;

/// A part is not cut before this many rows, so that there are no tiny files.
pub const PART_ROWS_MIN: usize = 2_048;

/// A part is cut here at the latest; what is being written is held in memory.
pub const PART_ROWS_MAX: usize = 65_536;

/// Rows of a batch when parts are read.
const BATCH_ROWS: usize = 8_192;

/// The column that parts are sorted by.
const KEY: &str = "key";

/// A part as manifests list it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRef {
    /// Where it lies, below the staging root.
    pub path: String,
    /// Its number of rows; 0 only for the one part of an empty table.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// The lowest key; empty if there is no row.
    pub key_min: String,
    /// The highest key; empty if there is no row.
    pub key_max: String,
    /// XXH3 of the file.
    pub content_hash: String,
    /// XXH3 of the keys and raw hashes in order: equal for equal rows, whichever
    /// version of the writer encoded them.
    pub row_hash: String,
}

/// Writes a table's parts from batches that come sorted by key.
#[derive(Debug)]
pub struct PartWriter {
    store: PipelineStore,
    repository: String,
    table: String,
    schema: SchemaRef,
    pending: Vec<RecordBatch>,
    pending_rows: usize,
    last_key: Option<String>,
    parts: Vec<PartRef>,
}

impl PartWriter {
    pub(super) fn new(store: PipelineStore, repository: &str, table: &str, schema: SchemaRef) -> Self {
        Self {
            store,
            repository: repository.to_owned(),
            table: table.to_owned(),
            schema: plain(&schema),
            pending: Vec::new(),
            pending_rows: 0,
            last_key: None,
            parts: Vec::new(),
        }
    }

    /// Adds rows; their keys must ascend, also from one call to the next.
    ///
    /// # Errors
    ///
    /// [`Error::Unsorted`] for a key that is out of order or comes twice.
    pub async fn push(&mut self, batch: RecordBatch) -> Result<(), Error> {
        if batch.schema().fields() != self.schema.fields() {
            let (want, have) = (names(&self.schema), names(&batch.schema()));
            let what = format!("a batch has columns {have} where the table has {want}, or other types");
            return Err(Error::Rows { table: self.table.clone(), what });
        }
        let batch = batch.with_schema(self.schema.clone()).map_err(|e| self.rows(e))?;
        let keys = key_column(&self.table, &batch)?.clone();
        let mut start = 0;
        for row in 0..keys.len() {
            let key = keys.value(row);
            if let Some(after) = self.last_key.as_deref().filter(|last| *last >= key) {
                return Err(Error::Unsorted {
                    table: self.table.clone(),
                    key: key.to_owned(),
                    after: after.to_owned(),
                });
            }
            // One string is reused: this runs for every row.
            let last = self.last_key.get_or_insert_default();
            last.clear();
            last.push_str(key);
            let rows = self.pending_rows + row + 1 - start;
            if rows >= PART_ROWS_MAX || (rows >= PART_ROWS_MIN && ends_part(key)) {
                self.hold(batch.slice(start, row + 1 - start));
                start = row + 1;
                self.cut().await?;
            }
        }
        if start < batch.num_rows() {
            self.hold(batch.slice(start, batch.num_rows() - start));
        }
        Ok(())
    }

    /// Takes over a part that did not change. Its keys must be above all before.
    pub async fn keep(&mut self, part: &PartRef) -> Result<(), Error> {
        if part.rows == 0 {
            return Ok(());
        }
        self.cut().await?;
        if let Some(after) = self.last_key.as_ref().filter(|last| **last >= part.key_min) {
            return Err(Error::Unsorted {
                table: self.table.clone(),
                key: part.key_min.clone(),
                after: after.clone(),
            });
        }
        self.last_key = Some(part.key_max.clone());
        self.parts.push(part.clone());
        Ok(())
    }

    /// Writes what is left and returns all parts in key order. A table without rows
    /// has one part without rows, which carries its columns.
    pub async fn finish(mut self) -> Result<Vec<PartRef>, Error> {
        self.cut().await?;
        if self.parts.is_empty() {
            self.hold(RecordBatch::new_empty(self.schema.clone()));
            self.write().await?;
        }
        Ok(self.parts)
    }

    fn hold(&mut self, batch: RecordBatch) {
        self.pending_rows += batch.num_rows();
        self.pending.push(batch);
    }

    async fn cut(&mut self) -> Result<(), Error> {
        if self.pending_rows == 0 { Ok(()) } else { self.write().await }
    }

    async fn write(&mut self) -> Result<(), Error> {
        let (batches, schema) = (std::mem::take(&mut self.pending), self.schema.clone());
        self.pending_rows = 0;
        let table = self.table.clone();
        let encoded = tokio::task::spawn_blocking(move || Encoded::new(&table, &schema, &batches)).await;
        let encoded = encoded.map_err(|e| self.rows(e))??;
        let location = Location::Part {
            pipeline: self.store.name().to_owned(),
            repository: self.repository.clone(),
            table: self.table.clone(),
            hash: encoded.hash.clone(),
        };
        let bytes = encoded.content.len() as u64;
        // The name is the content: what is there already is what we would write.
        if self.store.files().size(&location).await? != Some(bytes) {
            self.store.files().put(&location, encoded.content).await?;
        }
        self.parts.push(PartRef {
            path: location.to_string(),
            rows: encoded.rows,
            bytes,
            key_min: encoded.key_min,
            key_max: encoded.key_max,
            content_hash: encoded.hash,
            row_hash: encoded.row_hash,
        });
        Ok(())
    }

    fn rows(&self, what: impl ToString) -> Error {
        Error::Rows { table: self.table.clone(), what: what.to_string() }
    }
}

/// Tells whether a part ends after this key.
fn ends_part(key: &str) -> bool {
    xxh3_64(key.as_bytes()).is_multiple_of(PART_ROWS_MEAN)
}

/// A part as bytes.
struct Encoded {
    content: Bytes,
    hash: String,
    row_hash: String,
    rows: u64,
    key_min: String,
    key_max: String,
}

impl Encoded {
    fn new(table: &str, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self, Error> {
        let fail = |e: &dyn std::fmt::Display| Error::Rows { table: table.to_owned(), what: e.to_string() };
        // One batch, however the rows came: the encoding depends on the boundaries.
        let rows = concat_batches(schema, batches).map_err(|e| fail(&e))?;
        let mut content = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut content, schema.clone(), Some(properties(schema)))
            .map_err(|e| fail(&e))?;
        writer.write(&rows).map_err(|e| fail(&e))?;
        writer.close().map_err(|e| fail(&e))?;
        let keys = key_column(table, &rows)?;
        let bound = |row: Option<usize>| row.map(|r| keys.value(r).to_owned()).unwrap_or_default();
        Ok(Self {
            hash: xxh3_hex(&content),
            row_hash: row_hash(keys, &rows),
            rows: rows.num_rows() as u64,
            key_min: bound((!keys.is_empty()).then_some(0)),
            key_max: bound(keys.len().checked_sub(1)),
            content: Bytes::from(content),
        })
    }
}

/// How all Parquet files of the store are written. Those with a key column are
/// sorted by it.
pub(super) fn properties(schema: &Schema) -> WriterProperties {
    let sorted = schema
        .index_of(KEY)
        .ok()
        .and_then(|at| i32::try_from(at).ok())
        .map(|column_idx| vec![SortingColumn { column_idx, descending: false, nulls_first: false }]);
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(sorted)
        .build()
}

/// Returns a schema without metadata, whose order in a file is left to chance.
pub(super) fn plain(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().clone()))
}

/// Returns a hash of a schema's columns and types.
pub(super) fn fingerprint(schema: &Schema) -> String {
    let mut hash = Xxh3::new();
    for field in schema.fields() {
        hash.update(format!("{}\0{}\0{}\n", field.name(), field.data_type(), field.is_nullable()).as_bytes());
    }
    format!("{:032x}", hash.digest128())
}

fn names(schema: &Schema) -> String {
    schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", ")
}

/// Returns a batch's keys.
pub(super) fn key_column<'a>(table: &str, batch: &'a RecordBatch) -> Result<&'a StringArray, Error> {
    batch
        .column_by_name(KEY)
        .and_then(|column| column.as_string_opt::<i32>())
        .filter(|keys| keys.null_count() == 0)
        .ok_or_else(|| Error::Rows {
            table: table.to_owned(),
            what: "every row needs a column `key` of text without nulls".to_owned(),
        })
}

fn row_hash(keys: &StringArray, rows: &RecordBatch) -> String {
    let raw = rows.column_by_name("raw_hash").and_then(|column| column.as_string_opt::<i32>());
    let mut hash = Xxh3::new();
    for row in 0..keys.len() {
        hash.update(keys.value(row).as_bytes());
        hash.update(&[0]);
        hash.update(raw.map_or("", |raw| raw.value(row)).as_bytes());
        hash.update(&[1]);
    }
    format!("{:032x}", hash.digest128())
}

/// Decodes a whole Parquet file.
pub(super) fn decode(path: &str, content: Bytes) -> Result<(SchemaRef, Vec<RecordBatch>), Error> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(content).map_err(|e| Error::corrupt(path, e))?;
    let schema = plain(reader.schema());
    let reader = reader.with_batch_size(BATCH_ROWS).build().map_err(|e| Error::corrupt(path, e))?;
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|e| Error::corrupt(path, e))?;
    Ok((schema, batches))
}

/// Checks a file's size and hash against what was noted when it was written.
pub(super) fn check(path: &str, content: &[u8], bytes: u64, hash: &str) -> Result<(), Error> {
    if content.len() as u64 != bytes {
        return Err(Error::corrupt(path, format!("it has {} bytes instead of {bytes}", content.len())));
    }
    if xxh3_hex(content) != hash {
        return Err(Error::corrupt(path, "its content does not match its checksum"));
    }
    Ok(())
}
