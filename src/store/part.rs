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
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
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

/// A part is cut here at the latest; what is being written is held in memory, encoded.
pub const PART_ROWS_MAX: usize = 65_536;

/// Rows that the encoder takes at a time, counted from the first of the part: the
/// encoding depends on where batches end, and must not depend on how the rows came.
/// Wide rows (a test case has five kilobytes) are then held by the megabyte.
const CHUNK_ROWS: usize = 1_024;

/// Rows of a row group: what the encoder holds before it is laid out.
const GROUP_ROWS: usize = 16_384;

/// Rows of a batch when parts are read.
const BATCH_ROWS: usize = 8_192;

/// The column that parts are sorted by.
pub(super) const KEY: &str = "key";

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
    /// Rows that the encoder has not got yet; fewer than a chunk between two calls.
    pending: Vec<RecordBatch>,
    pending_rows: usize,
    /// Rows of the part so far, pending ones included.
    part_rows: usize,
    /// The part so far; it is encoded while the next rows are read.
    encoder: Option<JoinHandle<Result<Encoder, Error>>>,
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
            part_rows: 0,
            encoder: None,
            last_key: None,
            parts: Vec::new(),
        }
    }

    /// Returns the highest key so far.
    pub(super) fn last_key(&self) -> Option<&str> {
        self.last_key.as_deref()
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
            let rows = self.part_rows + row + 1 - start;
            if rows >= PART_ROWS_MAX || (rows >= PART_ROWS_MIN && ends_part(key)) {
                self.hold(batch.slice(start, row + 1 - start));
                start = row + 1;
                self.cut().await?;
            }
        }
        if start < batch.num_rows() {
            self.hold(batch.slice(start, batch.num_rows() - start));
        }
        if self.pending_rows >= CHUNK_ROWS { self.encode(false).await } else { Ok(()) }
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
            self.encode(true).await?;
            self.write().await?;
        }
        Ok(self.parts)
    }

    fn hold(&mut self, batch: RecordBatch) {
        self.pending_rows += batch.num_rows();
        self.part_rows += batch.num_rows();
        self.pending.push(batch);
    }

    async fn cut(&mut self) -> Result<(), Error> {
        if self.part_rows == 0 {
            return Ok(());
        }
        self.encode(true).await?;
        self.write().await
    }

    /// Hands whole chunks, or `all` rows, to the encoder, which works on while we read.
    async fn encode(&mut self, all: bool) -> Result<(), Error> {
        let mut encoder = match self.encoder.take() {
            Some(running) => running.await.map_err(|e| self.rows(e))??,
            None => Encoder::new(&self.table, &self.schema)?,
        };
        let whole = self.pending_rows - self.pending_rows % CHUNK_ROWS;
        let take = if all { self.pending_rows } else { whole };
        let batches = split_off_front(&mut self.pending, take);
        self.pending_rows -= take;
        self.encoder = Some(tokio::task::spawn_blocking(move || {
            for chunk in chunks(&batches, CHUNK_ROWS) {
                encoder.write(&chunk)?;
            }
            Ok(encoder)
        }));
        Ok(())
    }

    async fn write(&mut self) -> Result<(), Error> {
        self.part_rows = 0;
        let Some(running) = self.encoder.take() else { return Ok(()) };
        let encoder = running.await.map_err(|e| self.rows(e))??;
        let encoded = tokio::task::spawn_blocking(move || encoder.finish()).await;
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

/// A part that is being encoded.
struct Encoder {
    table: String,
    schema: SchemaRef,
    writer: ArrowWriter<Vec<u8>>,
    rows: u64,
    row_hash: Xxh3,
    key_min: Option<String>,
    key_max: String,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("table", &self.table)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl Encoder {
    fn new(table: &str, schema: &SchemaRef) -> Result<Self, Error> {
        let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties(schema)))
            .map_err(|e| Error::Rows { table: table.to_owned(), what: e.to_string() })?;
        Ok(Self {
            table: table.to_owned(),
            schema: schema.clone(),
            writer,
            rows: 0,
            row_hash: Xxh3::new(),
            key_min: None,
            key_max: String::new(),
        })
    }

    /// Adds a chunk, given as the batches that it consists of.
    fn write(&mut self, chunk: &[RecordBatch]) -> Result<(), Error> {
        let fail = |e: &dyn std::fmt::Display| Error::Rows { table: self.table.clone(), what: e.to_string() };
        let rows = match chunk {
            [whole] => whole.clone(),
            _ => concat_batches(&self.schema, chunk).map_err(|e| fail(&e))?,
        };
        let keys = key_column(&self.table, &rows)?;
        if let Some(last) = keys.len().checked_sub(1) {
            self.key_min.get_or_insert_with(|| keys.value(0).to_owned());
            keys.value(last).clone_into(&mut self.key_max);
        }
        hash_rows(&mut self.row_hash, keys, &rows);
        self.rows += rows.num_rows() as u64;
        self.writer.write(&rows).map_err(|e| fail(&e))
    }

    fn finish(self) -> Result<Encoded, Error> {
        let table = self.table;
        let content = self.writer.into_inner();
        let content = content.map_err(|e| Error::Rows { table, what: e.to_string() })?;
        Ok(Encoded {
            hash: xxh3_hex(&content),
            row_hash: format!("{:032x}", self.row_hash.digest128()),
            rows: self.rows,
            key_min: self.key_min.unwrap_or_default(),
            key_max: self.key_max,
            content: Bytes::from(content),
        })
    }
}

/// Takes the first rows off a sequence of batches.
fn split_off_front(batches: &mut Vec<RecordBatch>, mut rows: usize) -> Vec<RecordBatch> {
    let mut taken = Vec::new();
    for batch in std::mem::take(batches) {
        let now = rows.min(batch.num_rows());
        if now > 0 {
            taken.push(batch.slice(0, now));
        }
        if now < batch.num_rows() {
            batches.push(batch.slice(now, batch.num_rows() - now));
        }
        rows -= now;
    }
    taken
}

/// Groups batches into chunks of so many rows; the last one may be shorter.
fn chunks(batches: &[RecordBatch], rows: usize) -> Vec<Vec<RecordBatch>> {
    let mut all = Vec::new();
    let (mut chunk, mut held) = (Vec::new(), 0);
    for batch in batches {
        let mut from = 0;
        while from < batch.num_rows() {
            let now = (rows - held).min(batch.num_rows() - from);
            chunk.push(batch.slice(from, now));
            (from, held) = (from + now, held + now);
            if held == rows {
                all.push(std::mem::take(&mut chunk));
                held = 0;
            }
        }
    }
    if held > 0 {
        all.push(chunk);
    }
    all
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
        .set_max_row_group_row_count(Some(GROUP_ROWS))
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

fn hash_rows(hash: &mut Xxh3, keys: &StringArray, rows: &RecordBatch) {
    let raw = rows.column_by_name("raw_hash").and_then(|column| column.as_string_opt::<i32>());
    for row in 0..keys.len() {
        hash.update(keys.value(row).as_bytes());
        hash.update(&[0]);
        hash.update(raw.map_or("", |raw| raw.value(row)).as_bytes());
        hash.update(&[1]);
    }
}

/// Opens a Parquet file to be read batch by batch; with `column`, only that one.
pub(super) fn reader(
    path: &str,
    content: Bytes,
    batch_rows: usize,
    column: Option<&str>,
) -> Result<ParquetRecordBatchReader, Error> {
    let mut reader =
        ParquetRecordBatchReaderBuilder::try_new(content).map_err(|e| Error::corrupt(path, e))?;
    if let Some(column) = column {
        let mask = ProjectionMask::columns(reader.parquet_schema(), [column]);
        reader = reader.with_projection(mask);
    }
    reader.with_batch_size(batch_rows).build().map_err(|e| Error::corrupt(path, e))
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
