//! How the staging store can fail.

use chrono::{DateTime, Utc};

/// A staging store could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system or the object store refused.
    #[error("{action} {path}")]
    Io {
        /// What was tried: `writing`.
        action: &'static str,
        /// On what.
        path: String,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something that was written is not what is read now.
    #[error("{path} is damaged: {what}; restore it from a backup, or prune the snapshots that list it")]
    Corrupt {
        /// The object.
        path: String,
        /// What does not agree.
        what: String,
    },
    /// The object was written by a later version.
    #[error("{path} has format {found}, this version reads up to {known}; use a newer testferry")]
    NewerFormat {
        /// The object.
        path: String,
        /// Its format.
        found: u64,
        /// The newest format known here.
        known: u64,
    },
    /// Nothing has that name.
    #[error("there is no {what} {name}; known are: {known}")]
    Unknown {
        /// What was looked for: `snapshot`.
        what: &'static str,
        /// Its name.
        name: String,
        /// What there is, in words.
        known: String,
    },
    /// Another run committed first.
    #[error("another run moved the head to {found} while this one expected {expected}; run again")]
    HeadMoved {
        /// The head that this run started from, 0 for none.
        expected: u64,
        /// The head now.
        found: u64,
    },
    /// Another run works on the project.
    #[error("{place} is in use by {holder} until {until} at the latest; wait for it, or end it")]
    Held {
        /// Repository and project.
        place: String,
        /// Who holds the lease.
        holder: String,
        /// When the lease ends if its holder is gone.
        until: DateTime<Utc>,
    },
    /// A lease ran out and somebody else has it.
    #[error("the lease on {place} was lost to {holder}; nothing further was written")]
    LeaseLost {
        /// Repository and project.
        place: String,
        /// Who holds it now.
        holder: String,
    },
    /// Rows did not come in the order of their keys, or twice.
    #[error("table {table}: row {key} comes after {after}; rows must be sorted by key, each once")]
    Unsorted {
        /// The table.
        table: String,
        /// The key that is out of order.
        key: String,
        /// The key before it.
        after: String,
    },
    /// A batch cannot be a row of that table.
    #[error("table {table}: {what}")]
    Rows {
        /// The table.
        table: String,
        /// What is wrong.
        what: String,
    },
    /// A kind of place that this build cannot use.
    #[error("cannot keep a staging store at {place}: {why}")]
    Place {
        /// As given.
        place: String,
        /// What is supported instead.
        why: String,
    },
}

impl Error {
    pub(super) fn io(
        action: &'static str,
        path: impl ToString,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Io { action, path: path.to_string(), source: source.into() }
    }

    pub(super) fn corrupt(path: impl ToString, what: impl ToString) -> Self {
        Self::Corrupt { path: path.to_string(), what: what.to_string() }
    }
}
