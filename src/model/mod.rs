//! The vocabulary that every layer shares: pure data, no I/O and no serialisation.

mod change;
mod field;
mod key;
mod table;
mod value;

pub use change::{Change, FieldWrite, Hop, Op, Outcome, ReferenceWrite, Slot, WriteValue};
pub use field::{Cardinality, Direction, FieldType, Notation, Side};
pub use key::{Key, PairId, RepositoryId, RunId, SnapshotId};
pub use table::{
    Artifact, ENVELOPE, FieldSpec, Identity, Native, RelationshipSpec, TableSpec, native_schema,
};
pub use value::{Step, steps_from_json, steps_to_json};
