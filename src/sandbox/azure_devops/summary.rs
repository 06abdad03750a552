//! The state as a whole: its hash, its counts, its bytes.

use std::io::{Read, Write};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::StateSummary;
use super::state::State;

/// The form of saved states; a change of the structures raises it.
const FORMAT: u32 = 1;
/// How hard to compress: states are written often and read once.
const LEVEL: i32 = 1;

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
pub(super) fn summarise(state: &State) -> StateSummary {
    // Every map of the state is ordered, so that its JSON is the same for the same state.
    let mut sink = Sink(Xxh3::new());
    let hash = match serde_json::to_writer(&mut sink, state) {
        Ok(()) => format!("{:032x}", sink.0.digest128()),
        Err(error) => format!("unreadable: {error}"),
    };
    let mut summary = StateSummary { hash, ..StateSummary::default() };
    let mut count = |name: &str, n: usize| {
        *summary.counts.entry(name.to_owned()).or_default() += n as u64;
    };
    for name in [
        "test_plans",
        "test_suites",
        "test_cases",
        "shared_steps",
        "shared_parameters",
        "bugs",
        "requirements",
        "deleted_items",
    ] {
        count(name, 0);
    }
    for item in state.items.values() {
        let name = match (&item.deleted, &*item.kind) {
            (Some(_), _) => "deleted_items",
            (_, "Test Plan") => "test_plans",
            (_, "Test Suite") => "test_suites",
            (_, "Test Case") => "test_cases",
            (_, "Shared Steps") => "shared_steps",
            (_, "Shared Parameter") => "shared_parameters",
            (_, "Bug") => "bugs",
            (_, "Task") => "tasks",
            _ => "requirements",
        };
        count(name, 1);
        count("revisions", item.revisions.len());
        count("relations", item.relations.len());
        count("comments", item.comments.iter().filter(|c| !c.deleted).count());
    }
    count("memberships", state.suites.values().map(|s| s.order.len()).sum());
    count("test_points", state.points.len());
    count("configurations", state.configurations.len());
    count("test_runs", state.runs.len());
    count("test_results", state.runs.values().map(|r| r.results.len()).sum());
    count("attachments", state.blobs.len());
    count("run_attachments", state.runs.values().map(|r| r.files.len()).sum());
    summary
}

/// Writes the state.
pub(super) fn save(state: &State) -> Vec<u8> {
    let write = || -> std::io::Result<Vec<u8>> {
        let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
        serde_json::to_writer(&mut encoder, &Saved { format: FORMAT, state })?;
        encoder.finish()
    };
    // Writing into memory fails for lack of memory only.
    write().unwrap_or_default()
}

/// Reads the state.
pub(super) fn load(bytes: &[u8]) -> Result<State, String> {
    let mut text = Vec::new();
    let read = zstd::Decoder::new(bytes).and_then(|mut decoder| decoder.read_to_end(&mut text));
    read.map_err(|e| format!("the saved state of azure-devops cannot be unpacked: {e}; start with --fresh"))?;
    let loaded: Loaded = serde_json::from_slice(&text)
        .map_err(|e| format!("the saved state of azure-devops cannot be read: {e}; start with --fresh"))?;
    if loaded.format != FORMAT {
        return Err(format!(
            "the saved state of azure-devops has format {}, expected {FORMAT}; start with --fresh",
            loaded.format
        ));
    }
    let mut state = loaded.state;
    state.reindex();
    Ok(state)
}
