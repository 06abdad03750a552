//! The journal: what we were about to do, and what came of it.
//!
//! Before a batch of requests is sent, its intents are made durable; after it, the
//! outcomes. A run that is killed in between leaves intents without outcomes, which
//! the next run looks up before it does anything else: [`open`] finds them.
//!
//! What stands here is the records and their JSON form. The journal knows nothing of
//! where they lie; stages hand them to the staging store. Values of fields are kept
//! in full, credentials never come here.

mod intent;
mod outcome;
mod record;

pub use intent::{Batch, Intent};
pub use outcome::{Outcomes, open};

/// The format that this version writes, and the newest it reads.
const FORMAT: u64 = 1;

/// A record of the journal cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not have our shape.
    #[error("a record of the journal is damaged: {0}; what it held must be looked up by hand")]
    Damaged(#[from] serde_json::Error),
    /// It was written by a later version.
    #[error(
        "a record of the journal has format {found}, this version reads up to {FORMAT}; use a newer testferry"
    )]
    NewerFormat {
        /// Its format.
        found: u64,
    },
}
