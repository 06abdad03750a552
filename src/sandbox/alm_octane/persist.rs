//! The state as a whole: its bytes, its hash, its counts.

use std::io::{BufRead, Write};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::attachments;
use super::schema::{Field, Schema};
use super::store::{Mark, Push, RunSteps, Spawn, State, Step};
use super::value::{Ref, Row};
use crate::sandbox::StateSummary;

/// The form of saved states; a change of structures or of the built-in schema raises it.
const FORMAT: u32 = 1;
/// How hard to compress: states are written often and read once.
const LEVEL: i32 = 1;

#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    /// Fields that users added.
    fields: Vec<Field>,
    /// The number that the next row of each table gets.
    next: Vec<u32>,
    next_step: u32,
    definitions: Vec<Box<[Step]>>,
    spawns: Vec<Spawn>,
    pushes: Vec<Push>,
}

#[derive(Serialize, Deserialize)]
enum Line {
    #[serde(rename = "r")]
    Row(u8, u32, Row),
    #[serde(rename = "n")]
    Name(u8, u32, String),
    #[serde(rename = "s")]
    Steps(u32, RunSteps),
    #[serde(rename = "m")]
    Marks(u32, Vec<Mark>),
    #[serde(rename = "f")]
    File(u32, String),
}

fn line(out: &mut impl Write, what: &impl Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, what)?;
    out.write_all(b"\n")
}

/// Writes the state as packed lines of JSON.
pub(super) fn save(state: &State) -> Vec<u8> {
    // Writing into memory fails for lack of memory only.
    write(state).unwrap_or_default()
}

fn write(state: &State) -> std::io::Result<Vec<u8>> {
    let packed = zstd::Encoder::new(Vec::new(), LEVEL)?;
    let mut out = std::io::BufWriter::new(packed);
    let head = Head {
        format: FORMAT,
        fields: state.schema.fields[state.schema.built_in..].to_vec(),
        next: state.tables.iter().map(|t| t.next).collect(),
        next_step: state.next_step,
        definitions: state.definitions.clone(),
        spawns: state.spawns.clone(),
        pushes: state.pushes.clone(),
    };
    line(&mut out, &head)?;
    for (table, held) in state.tables.iter().enumerate() {
        let table = u8::try_from(table).unwrap_or(u8::MAX);
        for (number, row) in &held.rows {
            line(&mut out, &Line::Row(table, *number, row.clone()))?;
        }
        for (number, name) in &held.names {
            line(&mut out, &Line::Name(table, *number, name.to_string()))?;
        }
    }
    for (run, steps) in &state.run_steps {
        line(&mut out, &Line::Steps(*run, *steps))?;
    }
    for (run, marks) in &state.marks {
        line(&mut out, &Line::Marks(*run, marks.to_vec()))?;
    }
    for (number, text) in attachments::packed(&state.files) {
        line(&mut out, &Line::File(number, text))?;
    }
    out.into_inner()?.finish()
}

/// Reads what [`save`] wrote.
pub(super) fn load(bytes: &[u8]) -> Result<State, String> {
    let wrong = |e: &dyn std::fmt::Display| {
        format!("the saved state of alm-octane cannot be read: {e}; start with --fresh")
    };
    let decoder = zstd::Decoder::new(bytes).map_err(|e| wrong(&e))?;
    let mut lines = std::io::BufReader::new(decoder).lines();
    let first = lines.next().ok_or_else(|| wrong(&"it is empty"))?.map_err(|e| wrong(&e))?;
    let head: Head = serde_json::from_str(&first).map_err(|e| wrong(&e))?;
    if head.format != FORMAT {
        return Err(wrong(&format!("it has format {}, expected {FORMAT}", head.format)));
    }
    let mut schema = Schema::built_in();
    for field in head.fields {
        schema.define(field);
    }
    let mut state = State::new(schema);
    if head.next.len() != state.tables.len() {
        return Err(wrong(&"it has other tables"));
    }
    for steps in head.definitions {
        state.define_steps(steps.into_vec());
    }
    for text in lines {
        let text = text.map_err(|e| wrong(&e))?;
        match serde_json::from_str(&text).map_err(|e| wrong(&e))? {
            Line::Row(table, number, row) if usize::from(table) < state.tables.len() => {
                state.put(Ref(table, number), row);
            }
            Line::Name(table, number, name) if usize::from(table) < state.tables.len() => {
                state.christen(Ref(table, number), &name);
            }
            Line::Steps(run, steps) => state.attach_steps(run, steps),
            Line::Marks(run, marks) => drop(state.marks.insert(run, marks.into())),
            Line::File(number, text) => {
                state.files.insert(number, attachments::unpacked(&text).map_err(|e| wrong(&e))?);
            }
            Line::Row(..) | Line::Name(..) => return Err(wrong(&"it names a table that is not there")),
        }
    }
    for (table, next) in state.tables.iter_mut().zip(head.next) {
        table.next = next;
    }
    state.next_step = head.next_step;
    (state.spawns, state.pushes) = (head.spawns, head.pushes);
    Ok(state)
}

/// Feeds what is written into a hash.
struct Sink(Xxh3);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Hashes the content, without clocks and counters of changes, and counts it.
pub(super) fn summary(state: &State) -> StateSummary {
    let mut sink = Sink(Xxh3::new());
    let hash = match feed(state, &mut sink) {
        Ok(()) => format!("{:032x}", sink.0.digest128()),
        Err(error) => format!("unreadable: {error}"),
    };
    let mut summary = StateSummary { hash, ..StateSummary::default() };
    for (table, def) in state.schema.tables.iter().enumerate() {
        let rows = &state.tables[table].rows;
        let internal =
            matches!(def.name.as_str(), "list_node" | "phase" | "metaphase" | "transition" | "run_step");
        for (sub, entity) in def.entities.iter().enumerate().filter(|_| !internal) {
            let count = rows.values().filter(|r| usize::from(r.sub) == sub).count() as u64;
            summary.counts.insert(entity.collection.clone(), count);
        }
    }
    let steps = state.run_steps.values().map(|s| state.definition(s.definition).len() as u64).sum();
    summary.counts.insert("run_steps".to_owned(), steps);
    let own = (state.schema.fields.len() - state.schema.built_in) as u64;
    summary.counts.insert("user_defined_fields".to_owned(), own);
    summary
}

fn feed(state: &State, sink: &mut Sink) -> std::io::Result<()> {
    let started = state.schema.known("run", "started");
    let automated = state.schema.entity_named("run_automated").and_then(|(_, sub)| sub);
    line(sink, &&state.schema.fields[state.schema.built_in..])?;
    for (table, held) in state.tables.iter().enumerate() {
        for (number, row) in &held.rows {
            line(sink, &(table, number, row.sub, row.author))?;
            for (field, value) in &row.fields {
                // The server's own clock is no content; results bring their times along.
                let clock = *field == started && Some(row.sub) != automated;
                if !clock {
                    line(sink, &(field, value))?;
                }
            }
        }
        line(sink, &held.names)?;
    }
    for (run, steps) in &state.run_steps {
        line(sink, &(run, state.definition(steps.definition)))?;
    }
    for (run, marks) in &state.marks {
        line(sink, &(run, marks))?;
    }
    for (number, content) in &state.files {
        sink.0.update(&number.to_le_bytes());
        sink.0.update(content);
    }
    Ok(())
}
