//! What is asked of a repository, and what came of it.

use super::{Key, PairId};

/// One change to one artifact of one repository.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Number within the run; an outcome and a journal entry carry it back.
    pub id: u64,
    /// The pair whose counterpart this is. Systems that can hold a token keep it
    /// to recognise what we made.
    pub pair: PairId,
    /// The artifact's name as in the pipeline file, such as `Test Case`.
    pub artifact: String,
    /// The project, as in the pipeline file.
    pub project: String,
    /// The revision that was read, where the system has one; a system that can
    /// check it refuses the write if it moved on.
    pub revision: Option<String>,
    /// What to do.
    pub op: Op,
}

/// The kinds of change.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Make a new artifact.
    Create {
        /// Values of the create body and of what follows it at once (states,
        /// fields that the create call cannot set).
        fields: Vec<FieldWrite>,
        /// Relationships that must be named at creation.
        references: Vec<ReferenceWrite>,
        /// For a container of results: the slots to open with it.
        slots: Vec<Slot>,
    },
    /// Change fields of an artifact.
    Update {
        /// Which artifact.
        key: Key,
        /// The new values; fields not named stay.
        fields: Vec<FieldWrite>,
    },
    /// Add and remove ends of one relationship; never a replacement.
    Relate {
        /// The artifact that holds the relationship.
        key: Key,
        /// The relationship's name as in the pipeline file.
        relationship: String,
        /// Keys of artifacts to add.
        add: Vec<Key>,
        /// Keys of artifacts to remove.
        remove: Vec<Key>,
    },
    /// Open more slots in a container that exists. The outcome's key is that of
    /// the container which holds them: the same, or a further one that the system
    /// had to make.
    OpenSlots {
        /// The container.
        key: Key,
        /// The slots to open.
        slots: Vec<Slot>,
    },
    /// Take an artifact away because its counterpart is gone. Results and their
    /// containers are never taken away.
    Remove {
        /// Which artifact.
        key: Key,
        /// Beyond recovery; otherwise in a way that people can undo.
        destroy: bool,
    },
}

/// A place that can hold one result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The test case.
    pub case: Key,
    /// The plan through which the case is run, where the system needs one.
    pub plan: Option<Key>,
    /// The configuration's name, where the system has them.
    pub configuration: Option<String>,
    /// The configuration that will do where the case cannot be run in that one.
    pub fallback: Option<String>,
}

/// A relationship named at creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceWrite {
    /// The relationship's name as in the pipeline file.
    pub relationship: String,
    /// The other ends.
    pub targets: Vec<Key>,
}

/// One field to write.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldWrite {
    /// The field's name as in the pipeline file.
    pub field: String,
    /// The value.
    pub value: WriteValue,
}

/// A value in the terms of the model; the connector turns it into its own shape.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteValue {
    /// Clear the field.
    Empty,
    /// Text, a number, a date-time in RFC 3339 UTC, or the name of a choice.
    Text(String),
    /// Formatted text, already in the field's own notation.
    Rich(String),
    /// The whole ordered list of steps, texts already in the system's notation.
    Steps(Vec<super::Step>),
    /// Move a status along the workflow, hop by hop; the last hop's `to` is the goal.
    Transitions(Vec<Hop>),
}

/// One step along a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The transition's name in the pipeline's graph.
    pub name: String,
    /// The status it leads to.
    pub to: String,
    /// Fields that the transition's screen asks for: name and value.
    pub fields: Vec<(String, String)>,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It was carried out, but for the fields listed.
    Done {
        /// The artifact's key.
        key: Key,
        /// The revision that the write returned, where the system has one.
        revision: Option<String>,
        /// Fields that were refused while the rest was written: name and the
        /// server's words.
        refused: Vec<(String, String)>,
    },
    /// Understood and refused; nothing was written.
    Rejected {
        /// The server's own words.
        message: String,
    },
    /// Somebody changed the artifact after it was read; nothing was written.
    ChangedMeanwhile,
    /// More than one artifact could be the one; nothing was written.
    Ambiguous {
        /// The candidates.
        candidates: Vec<Key>,
    },
    /// The answer was lost or the system failed: it may or may not have happened.
    Unknown {
        /// Why.
        message: String,
    },
}
