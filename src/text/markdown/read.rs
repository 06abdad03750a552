//! Reads Markdown by way of HTML, which Markdown may hold anyway.

use comrak::Options;

use crate::text::html::{self, Dialect};
use crate::text::plain;
use crate::text::tree::{Block, Document, Inline};

/// How many block markers may open a line; more of them nest deeper than anyone
/// reads, and cost time by their square.
const MAX_MARKERS: usize = 100;

/// Characters of which at least one is in every text that is more than one
/// paragraph of plain words.
const TELLING: &[char] = &[
    '\n', '\r', '\t', '\\', '*', '_', '-', '+', '~', '[', ']', '!', '|', '#', '&', '<', '>', '`', '=', '.',
    ')',
];

/// Reads Markdown.
pub(in crate::text) fn read(text: &str) -> Document {
    if !text.contains(TELLING) && !text.starts_with("    ") {
        return Document { blocks: vec![Block::Paragraph(vec![Inline::plain(text)])] }.normalised();
    }
    if text.lines().any(|line| markers(line) > MAX_MARKERS) {
        return plain::read(text);
    }
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.tasklist = true;
    // Whatever HTML comes through is read like any other, without its scripts.
    options.render.r#unsafe = true;
    html::read(&comrak::markdown_to_html(text, &options), Dialect::Foreign)
}

fn markers(line: &str) -> usize {
    line.bytes()
        .take_while(|b| matches!(b, b' ' | b'\t' | b'>' | b'-' | b'*' | b'+' | b'.' | b')' | b'0'..=b'9'))
        .filter(|b| !b.is_ascii_digit() && !b.is_ascii_whitespace())
        .count()
}
