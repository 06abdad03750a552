//! Cuts a document so that its text fits a field.

use crate::model::Notation;

use super::tree::{Block, Document, Inline, Item, List, Run};
use super::{Rendered, render};

/// What stands where text was cut off.
const CUT_MARK: &str = "\u{2026} [cut]";

/// Writes a document in at most `max_chars` characters.
///
/// Returns whether something was cut off. Whole blocks are kept from the top as
/// long as they fit; where that would leave less than half of the room filled,
/// the next block is cut within its text. A mark shows the place.
pub fn render_within(notation: Notation, document: &Document, max_chars: usize) -> (Rendered, bool) {
    let whole = render(notation, document);
    if whole.text.chars().count() <= max_chars {
        return (whole, false);
    }
    let document = document.clone().normalised();
    let fits = |document: &Document| {
        let rendered = render(notation, document);
        (rendered.text.chars().count() <= max_chars).then_some(rendered)
    };
    let kept = most(document.blocks.len(), |n| fits(&first_blocks(&document, n)).is_some());
    let by_blocks = kept.and_then(|n| fits(&first_blocks(&document, n)));
    if let (Some(rendered), Some(1..)) = (&by_blocks, kept)
        && rendered.text.chars().count() * 2 >= max_chars
    {
        return (by_blocks.unwrap_or_default(), true);
    }
    let length: usize = document.blocks.iter().map(text_length).sum();
    let by_text = most(length, |n| fits(&first_chars(&document, n)).is_some())
        .and_then(|n| fits(&first_chars(&document, n)));
    let nothing = || render(notation, &Document::default());
    (by_text.or(by_blocks).unwrap_or_else(nothing), true)
}

/// Returns the largest number up to `limit` for which `fits` holds, supposing that
/// it holds for all smaller ones.
fn most(limit: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    if !fits(0) {
        return None;
    }
    let (mut low, mut high) = (0, limit);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Some(low)
}

fn first_blocks(document: &Document, n: usize) -> Document {
    let mut blocks: Vec<Block> = document.blocks.iter().take(n).cloned().collect();
    blocks.push(Block::Paragraph(vec![Inline::plain(CUT_MARK)]));
    Document { blocks }
}

fn first_chars(document: &Document, n: usize) -> Document {
    let mut room = Room { left: n, cut: false };
    let mut blocks = room.blocks(&document.blocks);
    let mark = Inline::plain(format!(" {CUT_MARK}"));
    match blocks.last_mut() {
        Some(Block::Paragraph(content)) => content.push(mark),
        _ => blocks.push(Block::Paragraph(vec![mark])),
    }
    Document { blocks }
}

fn text_length(block: &Block) -> usize {
    let line = |content: &[Inline]| content.iter().map(|i| i.as_text().chars().count().max(1)).sum::<usize>();
    match block {
        Block::Paragraph(content) | Block::Heading { content, .. } => line(content),
        Block::List(list) => list.items.iter().flat_map(|item| &item.blocks).map(text_length).sum(),
        Block::Code { text, .. } => text.chars().count(),
        Block::Quote(inner) => inner.iter().map(text_length).sum(),
        Block::Rule => 1,
        Block::Table(rows) => {
            rows.iter().flatten().map(|cell| cell.blocks.iter().map(text_length).sum::<usize>().max(1)).sum()
        }
        Block::Opaque(opaque) => opaque.text.chars().count().max(1),
    }
}

/// Takes characters until there is no room left.
struct Room {
    left: usize,
    cut: bool,
}

impl Room {
    /// Takes something that cannot be cut.
    fn take(&mut self, size: usize) -> bool {
        self.cut |= size > self.left;
        if !self.cut {
            self.left -= size;
        }
        !self.cut
    }

    fn text(&mut self, text: &str) -> String {
        let mut taken: String = text.chars().take(self.left).collect();
        self.left -= taken.chars().count();
        if taken.len() < text.len() {
            self.cut = true;
            let in_word = text.get(taken.len()..).is_some_and(|rest| !rest.starts_with(char::is_whitespace));
            if let Some(space) = taken.rfind(char::is_whitespace).filter(|_| in_word) {
                taken.truncate(space);
            }
        }
        taken
    }

    fn line(&mut self, content: &[Inline]) -> Vec<Inline> {
        let mut out = Vec::new();
        for inline in content {
            if self.cut {
                break;
            }
            match inline {
                Inline::Text(run) => {
                    let text = self.text(&run.text);
                    out.push(Inline::Text(Run { text, marks: run.marks.clone() }));
                }
                other if self.take(other.as_text().chars().count().max(1)) => out.push(other.clone()),
                _ => {}
            }
        }
        out
    }

    fn blocks(&mut self, blocks: &[Block]) -> Vec<Block> {
        let mut out = Vec::new();
        for block in blocks {
            if self.cut {
                break;
            }
            match block {
                Block::Paragraph(content) => out.push(Block::Paragraph(self.line(content))),
                Block::Heading { level, content } => {
                    out.push(Block::Heading { level: *level, content: self.line(content) });
                }
                Block::List(list) => {
                    let mut items = Vec::new();
                    for item in &list.items {
                        if self.cut {
                            break;
                        }
                        items.push(Item { done: item.done, blocks: self.blocks(&item.blocks) });
                    }
                    out.push(Block::List(List { kind: list.kind, items }));
                }
                Block::Code { language, text } => {
                    out.push(Block::Code { language: language.clone(), text: self.text(text) });
                }
                Block::Quote(inner) => {
                    let inner = self.blocks(inner);
                    out.push(Block::Quote(inner));
                }
                Block::Table(rows) => {
                    let mut kept = Vec::new();
                    for row in rows {
                        let size =
                            row.iter().map(|cell| cell.blocks.iter().map(text_length).sum::<usize>().max(1));
                        if !self.take(size.sum()) {
                            break;
                        }
                        kept.push(row.clone());
                    }
                    out.push(Block::Table(kept));
                }
                other => {
                    if self.take(text_length(other)) {
                        out.push(other.clone());
                    }
                }
            }
        }
        out
    }
}
