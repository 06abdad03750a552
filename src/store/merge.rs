//! Puts rows that come in any order into a table's parts, in bounded memory.
//!
//! Rows that come in key order go straight into parts. What comes late (a key below the
//! highest so far) is held, sorted and spilled in runs, and merged with the parts at the
//! end; parts that no late row touches stay as they are. A refresh of a table that exists
//! is the same with its old parts, all rows being late.

use std::collections::{HashSet, VecDeque};

use arrow::array::{Array, RecordBatch, StringArray};
use arrow::compute::{filter_record_batch, interleave_record_batch};
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::PipelineStore;
use super::error::Error;
use super::part::{PartRef, PartWriter, key_column, reader};
use super::spill::Run;
use super::table::sort_by_key;

/// Bytes of late rows that a table holds before it spills them: six tables are read at
/// a time, and a night has half a gibibyte.
const LATE_BYTES_MAX: usize = 16 << 20;

/// Rows of a batch that is read back from a part or a run: of wide rows, ten runs at a
/// time are some megabytes.
const MERGED_BATCH_ROWS: usize = 512;

/// Writes a table from rows in any order; of a key that comes twice the last row counts.
#[derive(Debug)]
pub struct TableWriter {
    store: PipelineStore,
    repository: String,
    table: String,
    schema: SchemaRef,
    /// Parts that were there before, which make all rows late.
    before: Option<Vec<PartRef>>,
    straight: PartWriter,
    late: Vec<RecordBatch>,
    late_bytes: usize,
    runs: Vec<Run>,
}

impl TableWriter {
    pub(super) fn new(
        store: PipelineStore,
        repository: &str,
        table: &str,
        schema: SchemaRef,
        before: Option<Vec<PartRef>>,
    ) -> Self {
        Self {
            straight: PartWriter::new(store.clone(), repository, table, schema.clone()),
            store,
            repository: repository.to_owned(),
            table: table.to_owned(),
            schema,
            before,
            late: Vec::new(),
            late_bytes: 0,
            runs: Vec::new(),
        }
    }

    /// Adds rows, such as those of a page.
    ///
    /// # Errors
    ///
    /// Fails if the rows have other columns than the table, or the store cannot be written.
    pub async fn push(&mut self, rows: RecordBatch) -> Result<(), Error> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        if self.before.is_none() {
            let sorted = if ascends(key_column(&self.table, &rows)?) {
                vec![rows.clone()]
            } else {
                sort_by_key(&self.table, std::slice::from_ref(&rows))?
            };
            let first = key_column(&self.table, &sorted[0])?.value(0);
            let is_above = self.straight.last_key().is_none_or(|last| last < first);
            if is_above {
                for batch in sorted {
                    self.straight.push(batch).await?;
                }
                return Ok(());
            }
        }
        self.late_bytes += rows.get_array_memory_size();
        self.late.push(rows);
        if self.late_bytes >= LATE_BYTES_MAX { self.spill().await } else { Ok(()) }
    }

    async fn spill(&mut self) -> Result<(), Error> {
        let (late, table) = (std::mem::take(&mut self.late), self.table.clone());
        self.late_bytes = 0;
        let scratch = self.store.scratch(&self.repository, &self.table)?;
        let run =
            tokio::task::spawn_blocking(move || Run::write(&table, scratch, &sort_by_key(&table, &late)?));
        let run = run.await.map_err(|e| Error::io("spilling", &self.table, e))??;
        self.runs.push(run);
        Ok(())
    }

    /// Writes what is left and returns all parts in key order. Rows of the parts before
    /// whose key is `gone` are left out.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written or a part before is damaged.
    pub async fn finish(self, gone: &HashSet<String>) -> Result<Vec<PartRef>, Error> {
        let straight = self.straight;
        let before = match self.before {
            Some(before) => before,
            None => {
                let parts = straight.finish().await?;
                if self.late.is_empty() && self.runs.is_empty() {
                    return Ok(parts);
                }
                parts
            }
        };
        let mut merge = Merge::new(&self.table, before, gone);
        for (number, run) in self.runs.into_iter().enumerate() {
            merge.add_run(run, number + 1);
        }
        merge.add_rows(sort_by_key(&self.table, &self.late)?)?;
        drop(self.late);
        let mut writer = PartWriter::new(self.store.clone(), &self.repository, &self.table, self.schema);
        loop {
            match merge.step()? {
                Step::Open(part) => {
                    let content = self.store.read_checked(&part).await?;
                    merge.open_part(&part, reader(&part.path, content, MERGED_BATCH_ROWS, None)?)?;
                }
                Step::Keep(part) => writer.keep(&part).await?,
                Step::Rows(rows) => writer.push(rows).await?,
                Step::End => return writer.finish().await,
            }
        }
    }
}

fn ascends(keys: &StringArray) -> bool {
    (1..keys.len()).all(|row| keys.value(row - 1) < keys.value(row))
}

/// What a merge does or needs next.
enum Step {
    /// This part is touched and must be opened.
    Open(PartRef),
    /// This part stays as it is.
    Keep(PartRef),
    /// Rows above all before.
    Rows(RecordBatch),
    /// Nothing is left.
    End,
}

/// Where a cursor's rows come from.
enum Source {
    Rows(VecDeque<RecordBatch>),
    File { name: String, reader: Box<ParquetRecordBatchReader> },
}

/// Sorted rows, one after the other.
struct Cursor {
    source: Source,
    batch: RecordBatch,
    keys: StringArray,
    row: usize,
    /// Of equal keys the one of the highest age counts; old parts have zero.
    age: usize,
}

/// Parts and runs on their way into one sorted sequence.
struct Merge<'a> {
    table: &'a str,
    gone: &'a HashSet<String>,
    gone_sorted: Vec<&'a str>,
    parts: VecDeque<PartRef>,
    /// Runs that begin above what was merged so far, the lowest first.
    closed: Vec<(usize, Run)>,
    cursors: Vec<Cursor>,
}

impl<'a> Merge<'a> {
    fn new(table: &'a str, parts: Vec<PartRef>, gone: &'a HashSet<String>) -> Self {
        let mut gone_sorted: Vec<&str> = gone.iter().map(String::as_str).collect();
        gone_sorted.sort_unstable();
        let parts = parts.into_iter().filter(|p| p.rows > 0).collect();
        Self { table, gone, gone_sorted, parts, closed: Vec::new(), cursors: Vec::new() }
    }

    fn add_run(&mut self, run: Run, age: usize) {
        let at = self.closed.partition_point(|(_, other)| other.key_min <= run.key_min);
        self.closed.insert(at, (age, run));
    }

    fn add_rows(&mut self, rows: Vec<RecordBatch>) -> Result<(), Error> {
        self.open(Source::Rows(rows.into()), usize::MAX)
    }

    fn open_part(&mut self, part: &PartRef, reader: ParquetRecordBatchReader) -> Result<(), Error> {
        self.open(Source::File { name: part.path.clone(), reader: Box::new(reader) }, 0)
    }

    fn open(&mut self, source: Source, age: usize) -> Result<(), Error> {
        let empty = RecordBatch::new_empty(std::sync::Arc::new(arrow::datatypes::Schema::empty()));
        let mut cursor =
            Cursor { source, batch: empty, keys: StringArray::from(Vec::<&str>::new()), row: 0, age };
        if cursor.refill(self.table, self.gone)? {
            self.cursors.push(cursor);
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Step, Error> {
        let part_is_open = self.cursors.iter().any(|c| c.age == 0);
        if !part_is_open && let Some(part) = self.parts.pop_front() {
            // A part answers for the keys up to its highest, the last one for all above.
            let low =
                self.cursors.iter().map(Cursor::key).chain(self.closed.first().map(|(_, r)| &*r.key_min));
            let last = self.parts.is_empty();
            let gains = low.min().is_some_and(|key| last || key <= &*part.key_max);
            let first_gone = self.gone_sorted.partition_point(|k| *k < &*part.key_min);
            let loses = self.gone_sorted.get(first_gone).is_some_and(|k| *k <= &*part.key_max);
            return Ok(if gains || loses { Step::Open(part) } else { Step::Keep(part) });
        }
        self.rows()
    }

    /// Merges rows until a cursor ends its batch, so that at most one batch of each is held.
    fn rows(&mut self) -> Result<Step, Error> {
        loop {
            let lowest = self.cursors.iter().map(Cursor::key).min();
            let opens =
                self.closed.first().is_some_and(|(_, run)| lowest.is_none_or(|key| &*run.key_min <= key));
            if !opens {
                break;
            }
            let (age, run) = self.closed.remove(0);
            let (name, reader) = run.open(MERGED_BATCH_ROWS)?;
            self.open(Source::File { name, reader: Box::new(reader) }, age)?;
        }
        if self.cursors.is_empty() {
            return Ok(Step::End);
        }
        // Rows of runs that are still closed, or of a part that is, are not overtaken.
        let bound = self.closed.first().map(|(_, run)| run.key_min.clone());
        let picked = self.pick(bound.as_deref());
        let rows = self.gather(&picked)?;
        let (table, gone) = (self.table, self.gone);
        let mut failed = None;
        self.cursors.retain_mut(|cursor| match cursor.refill(table, gone) {
            Ok(more) => more,
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(Step::Rows(rows)),
        }
    }

    /// Chooses rows in order until a cursor's batch ends or `bound` is reached.
    fn pick(&mut self, bound: Option<&str>) -> Vec<(usize, usize)> {
        let mut picked = Vec::new();
        if let [alone] = self.cursors.as_mut_slice() {
            let below = |row: &usize| bound.is_none_or(|bound| alone.keys.value(*row) < bound);
            picked.extend((alone.row..alone.keys.len()).take_while(below).map(|row| (0, row)));
            alone.row += picked.len();
            return picked;
        }
        while self.cursors.iter().all(|c| c.row < c.keys.len()) {
            let cursors = self.cursors.iter().enumerate();
            let Some((at, lowest)) =
                cursors.min_by(|(_, a), (_, b)| a.key().cmp(b.key()).then(b.age.cmp(&a.age)))
            else {
                break;
            };
            if bound.is_some_and(|bound| lowest.key() >= bound) {
                break;
            }
            let row = lowest.row;
            let key = lowest.keys.clone();
            picked.push((at, row));
            for cursor in self.cursors.iter_mut().filter(|c| c.key() == key.value(row)) {
                cursor.row += 1;
            }
        }
        picked
    }

    fn gather(&self, picked: &[(usize, usize)]) -> Result<RecordBatch, Error> {
        // What comes from one batch in a row needs no copy.
        if let (Some(first), Some(last)) = (picked.first(), picked.last())
            && first.0 == last.0
            && last.1 - first.1 + 1 == picked.len()
            && picked.iter().all(|(at, _)| *at == first.0)
        {
            return Ok(self.cursors[first.0].batch.slice(first.1, picked.len()));
        }
        let batches: Vec<&RecordBatch> = self.cursors.iter().map(|c| &c.batch).collect();
        interleave_record_batch(&batches, picked)
            .map_err(|e| Error::Rows { table: self.table.to_owned(), what: e.to_string() })
    }
}

impl Cursor {
    fn key(&self) -> &str {
        self.keys.value(self.row)
    }

    /// Reads on when the batch is used up; `false` at the end.
    fn refill(&mut self, table: &str, gone: &HashSet<String>) -> Result<bool, Error> {
        while self.row >= self.keys.len() {
            let next = match &mut self.source {
                Source::Rows(rows) => rows.pop_front(),
                Source::File { name, reader } => {
                    reader.next().transpose().map_err(|e| Error::corrupt(name.as_str(), e))?
                }
            };
            let Some(mut batch) = next else { return Ok(false) };
            let mut keys = key_column(table, &batch)?.clone();
            if self.age == 0 && !gone.is_empty() && keys.iter().flatten().any(|key| gone.contains(key)) {
                let stays = keys.iter().map(|key| Some(!key.is_some_and(|key| gone.contains(key)))).collect();
                batch = filter_record_batch(&batch, &stays)
                    .map_err(|e| Error::Rows { table: table.to_owned(), what: e.to_string() })?;
                keys = key_column(table, &batch)?.clone();
            }
            (self.batch, self.keys, self.row) = (batch, keys, 0);
        }
        Ok(true)
    }
}
