//! Text without formatting: an empty line parts paragraphs, a line feed breaks a line.

use super::tree::{Block, Document, Inline};

/// Reads plain text.
pub(super) fn read(text: &str) -> Document {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut content = Vec::new();
    for line in text.split('\n') {
        content.extend([Inline::plain(line), Inline::Break]);
    }
    Document { blocks: vec![Block::Paragraph(content)] }.normalised()
}
