//! Atlassian Document Format: JSON with a strict grammar.
//!
//! One node or attribute outside of the grammar makes the receiver refuse the
//! whole write, so the writer only produces what the grammar names.

mod read;
mod write;

use serde_json::Value;

use super::restrict::Place;

pub(super) use read::read;
pub(super) use write::write;

/// Nodes that are kept as they are, and nowhere else than where they may stand.
pub(super) fn is_opaque_block(source: &str, place: Place) -> bool {
    let allowed: &[&str] = match place {
        Place::Top => &[
            "extension",
            "bodiedExtension",
            "multiBodiedExtension",
            "mediaSingle",
            "mediaGroup",
            "blockCard",
            "embedCard",
        ],
        Place::Cell => &["extension", "mediaSingle", "mediaGroup", "blockCard", "embedCard"],
        Place::Item => &["mediaSingle"],
        Place::Quote => &["mediaSingle", "mediaGroup"],
    };
    type_of(source).is_some_and(|kind| allowed.contains(&kind.as_str()))
}

/// Inline nodes that are kept as they are.
pub(super) fn is_opaque_inline(source: &str) -> bool {
    type_of(source)
        .is_some_and(|kind| matches!(kind.as_str(), "inlineExtension" | "mediaInline" | "placeholder"))
}

fn type_of(source: &str) -> Option<String> {
    match serde_json::from_str(source) {
        Ok(Value::Object(node)) => node.get("type").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    }
}
