//! Sheets: tables in one Parquet file each, such as the pairs, a base or a plan.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::{Stream, StreamExt, pin_mut};
use parquet::arrow::ArrowWriter;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::PipelineStore;
use super::digest::Hashing;
use super::error::Error;
use super::files::Draft;
use super::layout::Location;
use super::part;

/// Batches that wait for the encoder; more would only cost memory.
const BATCHES_WAITING_MAX: usize = 4;

/// A sheet as heads list it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SheetRef {
    /// Where it lies, below the staging root.
    pub path: String,
    /// Its number of rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// XXH3 of the file.
    pub content_hash: String,
}

impl PipelineStore {
    /// Writes a sheet from batches as they come, in bounded memory. It appears
    /// whole or not at all.
    pub async fn write_sheet<E>(
        &self,
        location: &Location,
        schema: SchemaRef,
        batches: impl Stream<Item = Result<RecordBatch, E>>,
    ) -> Result<SheetRef, Error>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let draft = self.files().draft(location)?;
        let (sender, receiver) = mpsc::channel(BATCHES_WAITING_MAX);
        let path = location.to_string();
        let encoder = tokio::task::spawn_blocking(move || encode(&path, schema, draft, receiver));
        pin_mut!(batches);
        let mut failed = None;
        while let Some(batch) = batches.next().await {
            match batch {
                Ok(batch) => {
                    // The encoder is gone only if it failed, which it tells below.
                    if sender.send(batch).await.is_err() {
                        break;
                    }
                }
                Err(e) => {
                    failed = Some(Error::io("computing the rows of", location, e));
                    break;
                }
            }
        }
        drop(sender);
        let encoded = encoder.await.map_err(|e| Error::io("encoding", location, e))?;
        if let Some(error) = failed {
            return Err(error);
        }
        let (draft, sheet) = encoded?;
        self.files().keep(location, draft).await?;
        Ok(sheet)
    }

    /// Writes a sheet from batches in memory.
    pub async fn write_sheet_rows(
        &self,
        location: &Location,
        schema: SchemaRef,
        batches: Vec<RecordBatch>,
    ) -> Result<SheetRef, Error> {
        let batches = futures::stream::iter(batches.into_iter().map(Ok::<_, Error>));
        self.write_sheet(location, schema, batches).await
    }

    /// Reads a sheet and checks it against what was noted when it was written.
    pub async fn read_sheet(&self, sheet: &SheetRef) -> Result<(SchemaRef, Vec<RecordBatch>), Error> {
        let content = self.read_path(&sheet.path).await?;
        part::check(&sheet.path, &content, sheet.bytes, &sheet.content_hash)?;
        let (schema, batches) = part::decode(&sheet.path, content)?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if rows as u64 != sheet.rows {
            return Err(Error::corrupt(&sheet.path, format!("it has {rows} rows instead of {}", sheet.rows)));
        }
        Ok((schema, batches))
    }

    /// Reads a sheet that nothing lists, such as a page or a plan; `None` if there
    /// is none.
    pub async fn find_sheet(
        &self,
        location: &Location,
    ) -> Result<Option<(SchemaRef, Vec<RecordBatch>)>, Error> {
        match self.files().find(location).await? {
            Some(content) => part::decode(&location.to_string(), content).map(Some),
            None => Ok(None),
        }
    }
}

fn encode(
    path: &str,
    schema: SchemaRef,
    draft: Draft,
    mut batches: mpsc::Receiver<RecordBatch>,
) -> Result<(Draft, SheetRef), Error> {
    let fail = |e: parquet::errors::ParquetError| Error::io("encoding", path, e);
    let schema = part::plain(&schema);
    let mut out = Hashing::new(draft);
    let mut writer =
        ArrowWriter::try_new(&mut out, schema.clone(), Some(part::properties(&schema))).map_err(fail)?;
    let mut rows = 0;
    while let Some(batch) = batches.blocking_recv() {
        rows += batch.num_rows() as u64;
        let batch = batch.with_schema(schema.clone()).map_err(|e| Error::io("encoding", path, e))?;
        writer.write(&batch).map_err(fail)?;
    }
    writer.close().map_err(fail)?;
    let (draft, content_hash, bytes) = out.finish();
    Ok((draft, SheetRef { path: path.to_owned(), rows, bytes, content_hash }))
}
