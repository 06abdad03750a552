//! The release that stands in where none is named.

use super::store::State;
use super::value::{Ref, Val};

/// The default release.
pub(super) fn default(state: &State) -> Option<Ref> {
    let table = state.schema.table_of("release")?;
    let flag = state.schema.known("release", "is_default");
    let mut rows = state.table(table).rows.iter();
    rows.find(|(_, row)| row.get(flag) == Some(&Val::Bool(true))).map(|(n, _)| Ref(table, *n))
}
