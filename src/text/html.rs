//! HTML fragments: a tolerant reader and a minimal writer.

mod read;
mod write;

pub(super) use read::read;
pub(super) use write::write;

/// Whether HTML comes from a system or is our own canonical form, whose further
/// attributes (mentions, days, opaque parts) nobody else may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Foreign,
    Canonical,
}
