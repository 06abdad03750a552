//! Rows of a query on stdout or in a file: table, CSV, JSON or Parquet.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::csv;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::json::writer::{JsonArray, Writer as JsonWriter, WriterBuilder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use clap::{Args, ValueEnum};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use parquet::arrow::ArrowWriter;

use super::exit::{Stop, USAGE};

/// Rows that one printed table lines up; further rows follow as further tables.
const TABLE_ROWS_MAX: usize = 10_000;
/// Characters of a cell that a terminal shows.
const CELL_CHARS_MAX: usize = 60;
/// What a spreadsheet takes for the beginning of a formula.
const FORMULA_SIGNS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Columns lined up, for people
    Table,
    /// CSV with a header
    Csv,
    /// One JSON array of objects
    Json,
    /// A Parquet file; needs --output
    Parquet,
}

/// Where rows go and in which form.
#[derive(Args, Clone, Debug)]
pub(super) struct Shape {
    /// How rows are written
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: Format,
    /// Write the rows there instead of on stdout
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

impl Shape {
    /// Refuses what cannot be, before anything is read.
    pub(super) fn check(&self) -> Result<(), Stop> {
        if self.format == Format::Parquet && self.output.is_none() {
            return Err(Stop::new(USAGE, "Parquet does not belong on stdout").hint("add --output FILE"));
        }
        Ok(())
    }

    /// Opens the place where rows go.
    pub(super) fn open(&self) -> Result<Out, Stop> {
        let Some(path) = &self.output else {
            let terminal = std::io::stdout().is_terminal();
            return Ok(Out { to: Box::new(std::io::stdout()), gone: Arc::default(), terminal });
        };
        let file = std::fs::File::create(path)
            .map_err(|e| Stop::new(USAGE, format!("cannot write {}: {e}", path.display())))?;
        Ok(Out { to: Box::new(std::io::BufWriter::new(file)), gone: Arc::default(), terminal: false })
    }
}

/// Where rows go. A reader that went away is no failure: the rest is dropped.
pub(super) struct Out {
    to: Box<dyn Write + Send>,
    gone: Arc<AtomicBool>,
    terminal: bool,
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.to.write(bytes) {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => {
                self.gone.store(true, Ordering::Relaxed);
                Ok(bytes.len())
            }
            other => other,
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self.to.flush() {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => {
                self.gone.store(true, Ordering::Relaxed);
                Ok(())
            }
            other => other,
        }
    }
}

/// A writer of one of the formats.
enum Sink {
    Table(Out),
    Csv(Box<csv::Writer<Out>>),
    Json(Box<JsonWriter<Out, JsonArray>>),
    Parquet(Box<ArrowWriter<Out>>),
}

/// Writes a stream of rows and returns how many there were.
pub(super) async fn write(shape: &Shape, mut rows: SendableRecordBatchStream) -> Result<u64, Stop> {
    let out = shape.open()?;
    let gone = out.gone.clone();
    let schema = rows.schema();
    let mut sink = Sink::open(shape.format, out, &schema)?;
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|e| Stop::of(USAGE, &e))?;
        count += batch.num_rows() as u64;
        sink.push(&batch)?;
        if gone.load(Ordering::Relaxed) {
            return Ok(count);
        }
    }
    sink.finish(&schema, count)?;
    Ok(count)
}

impl Sink {
    fn open(format: Format, out: Out, schema: &SchemaRef) -> Result<Self, Stop> {
        Ok(match format {
            Format::Table => Sink::Table(out),
            Format::Csv => Sink::Csv(Box::new(csv::WriterBuilder::new().with_header(true).build(out))),
            Format::Json => Sink::Json(Box::new(WriterBuilder::new().with_explicit_nulls(true).build(out))),
            Format::Parquet => {
                let writer = ArrowWriter::try_new(out, schema.clone(), None).map_err(failed)?;
                Sink::Parquet(Box::new(writer))
            }
        })
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<(), Stop> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        match self {
            Sink::Table(out) => {
                for start in (0..batch.num_rows()).step_by(TABLE_ROWS_MAX) {
                    let some = batch.slice(start, TABLE_ROWS_MAX.min(batch.num_rows() - start));
                    let text = table(&some, out.terminal).map_err(failed)?;
                    out.write_all(text.as_bytes()).map_err(failed)?;
                }
            }
            Sink::Csv(writer) => writer.write(&for_csv(batch).map_err(failed)?).map_err(failed)?,
            Sink::Json(writer) => writer.write(batch).map_err(failed)?,
            Sink::Parquet(writer) => writer.write(batch).map_err(failed)?,
        }
        Ok(())
    }

    fn finish(self, schema: &SchemaRef, count: u64) -> Result<(), Stop> {
        match self {
            Sink::Table(mut out) => {
                if count == 0 {
                    let empty = RecordBatch::new_empty(schema.clone());
                    let text = table(&empty, out.terminal).map_err(failed)?;
                    out.write_all(text.as_bytes()).map_err(failed)?;
                }
                out.flush().map_err(failed)
            }
            Sink::Csv(mut writer) => {
                if count == 0 {
                    let empty = for_csv(&RecordBatch::new_empty(schema.clone())).map_err(failed)?;
                    writer.write(&empty).map_err(failed)?;
                }
                writer.into_inner().flush().map_err(failed)
            }
            Sink::Json(mut writer) => {
                writer.finish().map_err(failed)?;
                let mut out = writer.into_inner();
                out.write_all(b"\n").and_then(|()| out.flush()).map_err(failed)
            }
            Sink::Parquet(writer) => writer.into_inner().map_err(failed)?.flush().map_err(failed),
        }
    }
}

fn failed(error: impl std::fmt::Display) -> Stop {
    Stop::new(USAGE, format!("cannot write the rows: {error}"))
}

/// Returns the cells of a batch as texts; null is empty.
pub(super) fn cells(batch: &RecordBatch) -> Result<Vec<Vec<String>>, arrow::error::ArrowError> {
    let options = FormatOptions::default().with_null("");
    let columns = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<Vec<_>, _>>()?;
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|c| c.value(row).try_to_string()).collect::<Result<_, _>>())
        .collect()
}

/// Lines up rows under their column names. Control characters, which could move the
/// cursor of the terminal that shows them, become blanks.
fn table(batch: &RecordBatch, terminal: bool) -> Result<String, arrow::error::ArrowError> {
    let names: Vec<String> = batch.schema().fields().iter().map(|f| tame(f.name(), terminal)).collect();
    let rows: Vec<Vec<String>> =
        cells(batch)?.into_iter().map(|row| row.iter().map(|c| tame(c, terminal)).collect()).collect();
    let right: Vec<bool> = batch.columns().iter().map(|c| c.data_type().is_numeric()).collect();
    let mut widths: Vec<usize> = names.iter().map(|n| n.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .zip(&right)
            .map(|((cell, width), right)| match right {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            })
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let rule: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
    let mut text = line(&names) + &line(&rule);
    rows.iter().for_each(|row| text += &line(row));
    Ok(text)
}

fn tame(cell: &str, terminal: bool) -> String {
    let plain: String = cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match plain.char_indices().nth(CELL_CHARS_MAX) {
        Some((at, _)) if terminal => format!("{}…", &plain[..at]),
        _ => plain,
    }
}

/// Turns nested columns into text and defuses what a spreadsheet would compute.
fn for_csv(batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    let options = FormatOptions::default();
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let texts = match column.data_type() {
            DataType::Utf8 => column.as_string::<i32>().iter().map(|c| c.map(defuse)).collect(),
            other if other.is_numeric() || other.is_temporal() || *other == DataType::Boolean => {
                fields.push(field.as_ref().clone());
                columns.push(column.clone());
                continue;
            }
            _ => {
                let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
                let text = |row: usize| match column.is_valid(row) {
                    true => formatter.value(row).try_to_string().map(|t| Some(defuse(&t))),
                    false => Ok(None),
                };
                (0..column.len()).map(text).collect::<Result<StringArray, _>>()?
            }
        };
        fields.push(Field::new(field.name(), DataType::Utf8, true));
        columns.push(Arc::new(texts));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn defuse(cell: &str) -> String {
    match cell.starts_with(FORMULA_SIGNS) {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: &str) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("title", DataType::Utf8, true)]));
        RecordBatch::try_new(schema, vec![Arc::new(StringArray::from(vec![value]))]).unwrap()
    }

    #[test]
    fn formulas_in_csv_are_texts() {
        let made = for_csv(&one("=1+1")).unwrap();
        assert_eq!(made.column(0).as_string::<i32>().value(0), "'=1+1");
        let made = for_csv(&one("1+1=2")).unwrap();
        assert_eq!(made.column(0).as_string::<i32>().value(0), "1+1=2");
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(table(&one("a\u{1b}[2Jb\nc"), false).unwrap(), "title\n--------\na [2Jb c\n");
    }
}
