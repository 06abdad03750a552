//! Markdown of the GitHub kind: tables, strikethrough and tasks.

mod read;
mod write;

pub(super) use read::read;
pub(super) use write::write;
