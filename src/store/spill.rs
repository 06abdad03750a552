//! Sorted rows that wait in a scratch file until they are merged.

use arrow::array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::PipelineStore;
use super::error::Error;
use super::files::{Draft, Scratch};
use super::layout::Location;
use super::part::{key_column, plain};

/// Rows of a page: what a reader of a run holds of each column.
const PAGE_ROWS: usize = 512;

/// A spilled run; dropped, it leaves nothing.
#[derive(Debug)]
pub(super) struct Run {
    /// The lowest key.
    pub(super) key_min: String,
    scratch: Scratch,
}

impl PipelineStore {
    /// Opens a file for rows of a table that are not in order yet.
    pub(super) fn scratch(&self, repository: &str, table: &str) -> Result<Draft, Error> {
        self.files().draft(&Location::Part {
            pipeline: self.name().to_owned(),
            repository: repository.to_owned(),
            table: table.to_owned(),
            hash: "spilled".to_owned(),
        })
    }
}

impl Run {
    /// Writes sorted rows, which must be some. Neither compressed nor hashed: the file is
    /// read once, by us, in this run.
    pub(super) fn write(table: &str, draft: Draft, rows: &[RecordBatch]) -> Result<Self, Error> {
        let fail = |e: &dyn std::fmt::Display| Error::Rows { table: table.to_owned(), what: e.to_string() };
        let first = rows.first().ok_or_else(|| fail(&"there are no rows to spill"))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .build();
        let schema = plain(&first.schema());
        let mut writer =
            ArrowWriter::try_new(draft, schema.clone(), Some(properties)).map_err(|e| fail(&e))?;
        for batch in rows {
            let batch = batch.clone().with_schema(schema.clone()).map_err(|e| fail(&e))?;
            writer.write(&batch).map_err(|e| fail(&e))?;
        }
        let draft = writer.into_inner().map_err(|e| fail(&e))?;
        let key_min = key_column(table, first)?.value(0).to_owned();
        let scratch = draft.into_scratch().map_err(|e| Error::io("spilling", table, e))?;
        Ok(Self { key_min, scratch })
    }

    /// Opens the run and forgets its file once it was read.
    pub(super) fn open(self, batch_rows: usize) -> Result<(String, ParquetRecordBatchReader), Error> {
        let name = "a spilled run".to_owned();
        let fail = |e: parquet::errors::ParquetError| Error::corrupt("a spilled run", e);
        let reader = match self.scratch {
            Scratch::Memory(content) => ParquetRecordBatchReaderBuilder::try_new(Bytes::from(content))
                .and_then(|builder| builder.with_batch_size(batch_rows).build())
                .map_err(fail)?,
            Scratch::File(file) => ParquetRecordBatchReaderBuilder::try_new(file)
                .and_then(|builder| builder.with_batch_size(batch_rows).build())
                .map_err(fail)?,
        };
        Ok((name, reader))
    }
}
