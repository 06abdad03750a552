//! The state as a whole: its hash, its counts, its bytes.

use std::io::{BufReader, BufWriter, Write};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::state::State;
use crate::sandbox::StateSummary;

/// The form of saved states; a change of the structures raises it.
const FORMAT: u32 = 1;
/// How hard to compress: states are written often and read once.
const LEVEL: i32 = 1;
/// Bytes that go to and from the packer at once.
const BUFFER: usize = 1 << 20;

#[derive(Serialize)]
struct Saved<'a> {
    format: u32,
    state: &'a State,
}

#[derive(Deserialize)]
struct Loaded {
    format: u32,
    state: State,
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

/// Hashes and counts the state.
pub(super) fn summary(state: &State) -> StateSummary {
    // Every map that is written is ordered, so that the same state gives the same bytes.
    let mut sink = BufWriter::with_capacity(BUFFER, Sink(Xxh3::new()));
    let written = serde_json::to_writer(&mut sink, state).map_err(|e| e.to_string());
    let hash = match written.and_then(|()| sink.into_inner().map_err(|e| e.to_string())) {
        Ok(sink) => format!("{:032x}", sink.0.digest128()),
        Err(error) => format!("unreadable: {error}"),
    };
    let labels: usize = state.cases.values().map(|c| c.content.labels.len()).sum();
    let entries: usize = state.plans.values().map(|p| p.entries.len()).sum();
    let counts = [
        ("projects", state.projects.len()),
        ("suites", state.suites.len()),
        ("sections", state.sections.len()),
        ("cases", state.cases.len()),
        ("case_changes", state.history.values().map(Vec::len).sum()),
        ("case_labels", labels),
        ("shared_steps", state.shared.len()),
        ("milestones", state.milestones.len()),
        ("configurations", state.config_groups.values().map(|g| g.configs.len()).sum()),
        ("plans", state.plans.len()),
        ("plan_entries", entries),
        ("runs", state.runs.len()),
        ("tests", state.tests.iter().filter(|t| t.run != 0).count()),
        ("results", state.results.iter().filter(|r| r.test != 0).count()),
        ("attachments", state.attachments.len()),
        ("fields", state.fields.len()),
        ("users", state.users.len()),
    ];
    let counts = counts.into_iter().map(|(name, count)| (name.to_owned(), count as u64)).collect();
    StateSummary { hash, counts }
}

/// Writes the state.
pub(super) fn save(state: &State) -> Vec<u8> {
    let write = || -> std::io::Result<Vec<u8>> {
        let packed = zstd::Encoder::new(Vec::new(), LEVEL)?;
        let mut out = BufWriter::with_capacity(BUFFER, packed);
        serde_json::to_writer(&mut out, &Saved { format: FORMAT, state })?;
        out.into_inner()?.finish()
    };
    // Writing into memory fails for lack of memory only.
    write().unwrap_or_default()
}

/// Reads the state.
pub(super) fn load(bytes: &[u8]) -> Result<State, String> {
    let wrong = |what: &str, error: &dyn std::fmt::Display| {
        format!("the saved state of testrail cannot be {what}: {error}; start with --fresh")
    };
    let packed = zstd::Decoder::new(bytes).map_err(|e| wrong("unpacked", &e))?;
    let loaded: Loaded =
        serde_json::from_reader(BufReader::with_capacity(BUFFER, packed)).map_err(|e| wrong("read", &e))?;
    if loaded.format != FORMAT {
        let format = loaded.format;
        return Err(wrong("read", &format!("it has format {format}, expected {FORMAT}")));
    }
    let mut state = loaded.state;
    state.reindex();
    Ok(state)
}
