//! What remains of a tree where only lines of text can stand.

use super::tree::{Block, Cell, Document, Inline, Item, List, ListKind, Marks};

/// The box before an open task where there are no tasks.
pub(super) const OPEN_BOX: &str = "\u{2610} ";
/// The box before a finished task where there are no tasks.
pub(super) const TICKED_BOX: &str = "\u{2611} ";

/// Returns a document's text without formatting: blocks parted by an empty line,
/// list items and table rows one to a line.
pub fn to_plain(document: &Document) -> String {
    let parts: Vec<String> = paragraphs_kept(&document.blocks, true)
        .into_iter()
        .map(|content| content.iter().map(Inline::as_text).collect::<String>())
        .filter(|text| !text.is_empty())
        .collect();
    parts.join("\n\n")
}

/// Turns blocks into paragraphs of running text that keep their inline marks.
pub(super) fn paragraphs(blocks: &[Block]) -> Vec<Vec<Inline>> {
    paragraphs_kept(blocks, false)
}

fn paragraphs_kept(blocks: &[Block], plain: bool) -> Vec<Vec<Inline>> {
    let mut out = Vec::new();
    for block in blocks {
        match block {
            Block::Paragraph(content) => out.push(content.clone()),
            Block::Heading { content, .. } if plain => out.push(content.clone()),
            Block::Heading { content, .. } => out.push(strong(content)),
            Block::List(list) => out.push(joined(list_lines(list, 0, plain))),
            Block::Code { text, .. } if plain => out.push(vec![Inline::plain(text.clone())]),
            Block::Code { text, .. } => out.push(code_lines(text)),
            Block::Quote(inner) => out.extend(paragraphs_kept(inner, plain)),
            Block::Rule if plain => out.push(vec![Inline::plain("----")]),
            Block::Rule => {}
            Block::Table(rows) => out.push(joined(rows.iter().map(|row| row_line(row, plain)).collect())),
            Block::Opaque(opaque) => out.push(vec![Inline::plain(opaque.text.clone())]),
        }
    }
    out
}

/// Makes all text bold, as a heading is shown where no heading can stand.
pub(super) fn strong(content: &[Inline]) -> Vec<Inline> {
    let bold = |inline: &Inline| match inline {
        Inline::Text(run) => Inline::marked(run.text.clone(), &Marks { strong: true, ..run.marks.clone() }),
        other => other.clone(),
    };
    content.iter().map(bold).collect()
}

/// Returns the lines of a code block as fixed-width text.
pub(super) fn code_lines(text: &str) -> Vec<Inline> {
    let marks = Marks { code: true, ..Marks::default() };
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    joined(lines.map(|line| vec![Inline::marked(line, &marks)]).collect())
}

/// Joins lines with breaks.
pub(super) fn joined(lines: Vec<Vec<Inline>>) -> Vec<Inline> {
    let mut out: Vec<Inline> = Vec::new();
    for line in lines.into_iter().filter(|line| !line.is_empty()) {
        if !out.is_empty() {
            out.push(Inline::Break);
        }
        out.extend(line);
    }
    out
}

fn list_lines(list: &List, level: usize, plain: bool) -> Vec<Vec<Inline>> {
    let mut out = Vec::new();
    let mut number = match list.kind {
        ListKind::Ordered { start } => start,
        _ => 1,
    };
    for item in &list.items {
        let marker = match list.kind {
            ListKind::Bullet => "- ".to_owned(),
            ListKind::Ordered { .. } => format!("{number}. "),
            ListKind::Task if item.done => TICKED_BOX.to_owned(),
            ListKind::Task => OPEN_BOX.to_owned(),
        };
        number = number.saturating_add(1);
        item_lines(item, &marker, level, plain, &mut out);
    }
    out
}

fn item_lines(item: &Item, marker: &str, level: usize, plain: bool, out: &mut Vec<Vec<Inline>>) {
    let indent = if plain { "  ".repeat(level) } else { String::new() };
    let mut line = vec![Inline::plain(format!("{indent}{marker}"))];
    for block in &item.blocks {
        match block {
            Block::List(nested) => {
                out.push(std::mem::take(&mut line));
                out.extend(list_lines(nested, level + 1, plain));
            }
            other => {
                for content in paragraphs_kept(std::slice::from_ref(other), plain) {
                    if line.len() > 1 {
                        out.push(std::mem::take(&mut line));
                    }
                    line.extend(content);
                }
            }
        }
    }
    out.push(line);
}

fn row_line(row: &[Cell], plain: bool) -> Vec<Inline> {
    let mut out = Vec::new();
    for (i, cell) in row.iter().enumerate() {
        if i > 0 {
            out.push(Inline::plain(" | "));
        }
        for (j, content) in paragraphs_kept(&cell.blocks, plain).into_iter().enumerate() {
            if j > 0 {
                out.push(Inline::plain(" "));
            }
            let spaced = |inline| if inline == Inline::Break { Inline::plain(" ") } else { inline };
            out.extend(content.into_iter().map(spaced));
        }
    }
    out
}
