//! What a run did, in numbers.

use std::collections::BTreeMap;

use serde::Serialize;

/// The version of [`Report`] as JSON.
pub const SCHEMA: u32 = 1;

/// A run in numbers: the document that `--json` prints and the store keeps.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The version of this document.
    pub schema: u32,
    /// The run.
    pub run: String,
    /// The pipeline.
    pub pipeline: String,
    /// The snapshot that it committed last.
    pub snapshot: String,
    /// The exit code that it comes to.
    pub exit: u8,
    /// How long it took.
    pub seconds: f64,
    /// Per integration, by name.
    pub integrations: BTreeMap<String, IntegrationReport>,
    /// Per repository.
    pub requests: BTreeMap<String, RequestReport>,
    /// Seconds per stage.
    pub stages: BTreeMap<String, f64>,
    /// Rounds of diff and load.
    pub rounds: u32,
}

/// The exit code of a run that was ended from outside, or by a limit.
pub const EXIT_STOPPED: u8 = 4;

/// An integration in numbers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct IntegrationReport {
    /// The left side.
    pub left: SideReport,
    /// The right side.
    pub right: SideReport,
    /// Fields that both sides changed.
    pub conflicts: u64,
    /// Rows and fields that wait for a person.
    pub held: u64,
    /// Values that cannot cross.
    pub losses: u64,
    /// References that wait for their other end.
    pub waiting: u64,
    /// Fields that differ although nobody changed them.
    pub differences: u64,
    /// Artifacts whose counterpart is gone.
    pub gone: u64,
}

/// One side of an integration in numbers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SideReport {
    /// The repository on this side.
    pub repository: String,
    /// Artifacts that take part.
    pub total: u64,
    /// Artifacts made.
    pub created: u64,
    /// Artifacts changed.
    pub updated: u64,
    /// Artifacts left as they were.
    pub unchanged: u64,
    /// Writes refused.
    pub rejected: u64,
    /// Artifacts removed.
    pub deleted: u64,
}

/// The requests to one repository.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RequestReport {
    /// Requests that read.
    pub reads: u64,
    /// Requests that may change something.
    pub writes: u64,
    /// Repetitions among them.
    pub retries: u64,
    /// Seconds spent waiting at the server's or our own wish.
    pub throttled_seconds: f64,
}
