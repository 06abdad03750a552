//! Wiki markup: blocks by line, marks by word boundaries, escapes by backslash.

mod inline;
mod read;
mod write;

use crate::text::tree::Mark;

pub(super) use read::read;
pub(super) use write::write;

/// Characters that a backslash before them makes ordinary.
const ESCAPABLE: &str = "*_-+^~{}[]!|?#";

/// Phrase marks: the character on both sides and what it means.
const PHRASES: [(char, Mark<'static>); 6] = [
    ('*', Mark::Strong),
    ('_', Mark::Em),
    ('+', Mark::Underline),
    ('-', Mark::Strike),
    ('~', Mark::Sub),
    ('^', Mark::Sup),
];

/// Tells whether a source is one that the reader keeps as it is: an attachment,
/// an anchor or the link to one.
pub(super) fn is_opaque(source: &str) -> bool {
    let inner = |open: &str, close: &str| source.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    inner("[^", "]")
        .or_else(|| inner("[#", "]"))
        .or_else(|| inner("{anchor:", "}"))
        .is_some_and(|name| !name.is_empty() && !name.contains(['[', ']', '{', '}', '|', '\\', '\n', '\r']))
}

/// Tells whether a line that starts so would be a heading or a quotation.
fn opens_block(text: &str) -> bool {
    let mut chars = text.chars();
    matches!(
        (chars.next(), chars.next(), chars.next()),
        (Some('h'), Some('1'..='6'), Some('.')) | (Some('b'), Some('q'), Some('.'))
    )
}
