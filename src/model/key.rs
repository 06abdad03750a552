//! Identifiers as types, so that one kind cannot be passed for another.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Wraps the text of an identifier.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// Returns the identifier's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    };
}

id!(
    /// The native id of an artifact within its repository and table, as text.
    ///
    /// It survives renames and moves: a Jira issue id and not its key, a work
    /// item id, `run.result` for a result that has no id of its own.
    Key
);
id!(
    /// Two counterparts, one on each side, or the one that still lacks the other.
    ///
    /// Made from the integration's name and the key of the side where the
    /// artifact was first seen, so that a run repeated after a crash arrives at
    /// the same id: `test-cases/L1042`.
    PairId
);
id!(
    /// A repository's name in its pipeline file, such as `ado`.
    RepositoryId
);
id!(
    /// One run of one pipeline: start time in UTC and a random suffix.
    RunId
);
id!(
    /// One committed snapshot of both repositories.
    SnapshotId
);
