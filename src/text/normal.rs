//! The normal form: one tree for everything that means the same.

use super::flatten;
use super::tree::{Block, Cell, Document, Image, Inline, Item, List, ListKind, Marks, Opaque, Run};
use super::url;

/// How deep quotes, lists and cells may nest; what is deeper becomes paragraphs.
///
/// A list level takes four levels of JSON, and the JSON parser stops at 128.
pub(super) const MAX_DEPTH: usize = 24;

/// The highest number an ordered list may start with: Markdown takes nine digits.
const MAX_START: u32 = 999_999_999;

/// The most rows or columns a cell may cover; a larger number is a mistake that
/// would make every renderer draw an endless table.
const MAX_SPAN: u16 = 100;

impl Document {
    /// Returns the document in normal form.
    ///
    /// White space is one space and stands outside of marks; neighbours with equal
    /// marks are one run; two line breaks in a row part paragraphs, breaks at the
    /// edges are dropped; what is empty is dropped; neighbouring lists of one kind
    /// are one; an item does not open with a list; a link that shows its own URL is
    /// the bare URL; only absolute web and mail links are kept; pictures stand
    /// apart from words.
    pub fn normalised(self) -> Document {
        let mut out = Vec::new();
        blocks(self.blocks, 0, &mut out);
        Document { blocks: out }
    }
}

fn blocks(input: Vec<Block>, depth: usize, out: &mut Vec<Block>) {
    for block in input {
        if depth >= MAX_DEPTH && matches!(block, Block::List(_) | Block::Quote(_) | Block::Table(_)) {
            for line in flatten::paragraphs(&[block]) {
                out.extend(paragraphs(line).into_iter().map(Block::Paragraph));
            }
            continue;
        }
        one_block(block, depth, out);
    }
}

fn one_block(block: Block, depth: usize, out: &mut Vec<Block>) {
    match block {
        Block::Paragraph(content) => out.extend(paragraphs(content).into_iter().map(Block::Paragraph)),
        Block::Heading { level, content } => {
            let content = one_line(content);
            if !content.is_empty() {
                out.push(Block::Heading { level: level.clamp(1, 6), content });
            }
        }
        Block::List(list) => push_list(self::list(list, depth), out),
        Block::Code { language, text } => {
            let text = code_text(&text);
            if !text.is_empty() {
                out.push(Block::Code { language: language.and_then(|l| language_name(&l)), text });
            }
        }
        Block::Quote(inner) => {
            let mut quoted = Vec::new();
            blocks(inner, depth + 1, &mut quoted);
            if !quoted.is_empty() {
                out.push(Block::Quote(quoted));
            }
        }
        Block::Rule => out.push(Block::Rule),
        Block::Table(rows) => {
            let rows: Vec<Vec<Cell>> = rows
                .into_iter()
                .filter(|row| !row.is_empty())
                .map(|row| row.into_iter().map(|cell| self::cell(cell, depth)).collect())
                .collect();
            if !rows.is_empty() {
                out.push(Block::Table(rows));
            }
        }
        Block::Opaque(opaque) => out.push(Block::Opaque(self::opaque(opaque))),
    }
}

fn cell(cell: Cell, depth: usize) -> Cell {
    let mut content = Vec::new();
    blocks(cell.blocks, depth + 1, &mut content);
    Cell {
        header: cell.header,
        colspan: cell.colspan.clamp(1, MAX_SPAN),
        rowspan: cell.rowspan.clamp(1, MAX_SPAN),
        blocks: content,
    }
}

fn opaque(opaque: Opaque) -> Opaque {
    Opaque { text: squeeze(&opaque.text), ..opaque }
}

/// Adds a list, or its items to the list of the same kind just before it.
fn push_list(list: List, out: &mut Vec<Block>) {
    if list.items.is_empty() {
        return;
    }
    if let Some(Block::List(last)) = out.last_mut()
        && std::mem::discriminant(&last.kind) == std::mem::discriminant(&list.kind)
    {
        last.items.extend(list.items);
        return;
    }
    out.push(Block::List(list));
}

fn list(list: List, depth: usize) -> List {
    let mut kind = match list.kind {
        ListKind::Ordered { start } => ListKind::Ordered { start: start.min(MAX_START) },
        other => other,
    };
    let mut items: Vec<Item> = Vec::with_capacity(list.items.len());
    for item in list.items {
        let mut content = Vec::new();
        blocks(item.blocks, depth + 1, &mut content);
        // Editors nest a list in an item of its own, or in the list itself: it
        // belongs to the item before.
        while matches!(content.first(), Some(Block::List(_))) {
            let Block::List(nested) = content.remove(0) else { break };
            match items.last_mut() {
                Some(previous) => push_list(nested, &mut previous.blocks),
                None => {
                    kind = nested.kind;
                    items = nested.items;
                }
            }
        }
        if !content.is_empty() {
            items.push(Item { done: item.done, blocks: content });
        }
    }
    for item in &mut items {
        item.done &= kind == ListKind::Task;
    }
    List { kind, items }
}

fn code_text(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\u{a0}', " ");
    let clean: String = text.chars().filter(|c| matches!(c, '\n' | '\t') || !is_dropped(*c)).collect();
    let lines: Vec<&str> = clean.split('\n').map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

fn language_name(language: &str) -> Option<String> {
    let name = language.trim().to_ascii_lowercase();
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '#' | '-' | '_' | '.');
    (!name.is_empty() && name != "none" && name.chars().all(known)).then_some(name)
}

/// Characters that nobody sees and that some systems refuse or drop.
fn is_dropped(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Collapses white space and drops control characters.
pub(super) fn squeeze(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut space = false;
    for c in text.chars() {
        if c.is_whitespace() {
            space = !out.is_empty();
        } else if !is_dropped(c) {
            if std::mem::take(&mut space) {
                out.push(' ');
            }
            out.push(c);
        }
    }
    out
}

/// One unit of running text between which marks and spaces are decided.
enum Piece {
    Word(String, Marks),
    Space,
    Break,
    Atom(Inline),
}

fn pieces(content: Vec<Inline>) -> Vec<Piece> {
    let mut out = Vec::with_capacity(content.len());
    for inline in content {
        match inline {
            Inline::Text(run) => words(run, &mut out),
            Inline::Break => out.push(Piece::Break),
            Inline::Image(image) => {
                if let Some(image) = self::image(image) {
                    out.extend([Piece::Space, Piece::Atom(Inline::Image(image)), Piece::Space]);
                }
            }
            Inline::Mention { id, name } => {
                let id: String = id
                    .chars()
                    .filter(|c| !c.is_whitespace() && !is_dropped(*c) && !"[]|{}\\".contains(*c))
                    .collect();
                let name = squeeze(
                    name.trim_start_matches(|c: char| c == '@' || c.is_whitespace() || is_dropped(c)),
                );
                if !id.is_empty() {
                    out.push(Piece::Atom(Inline::Mention { id, name }));
                } else if !name.is_empty() {
                    words(Run { text: format!("@{name}"), marks: Marks::default() }, &mut out);
                }
            }
            Inline::Date(day) => match day.parse::<chrono::NaiveDate>() {
                Ok(date) if (0..=9999).contains(&chrono::Datelike::year(&date)) => {
                    out.push(Piece::Atom(Inline::Date(date.to_string())));
                }
                _ => words(Run { text: day, marks: Marks::default() }, &mut out),
            },
            Inline::Opaque(opaque) => out.push(Piece::Atom(Inline::Opaque(self::opaque(opaque)))),
        }
    }
    without_own_links(&mut out);
    out
}

fn image(image: Image) -> Option<Image> {
    let source: String = image
        .source
        .trim()
        .chars()
        .filter(|c| !is_dropped(*c))
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .collect::<String>()
        .replace('!', "%21")
        .replace('|', "%7C")
        .replace('{', "%7B")
        .replace('}', "%7D");
    let source = source.trim().to_owned();
    let scheme = source.split_once(':').map(|(s, _)| s.trim().to_ascii_lowercase());
    if source.is_empty() || matches!(scheme.as_deref(), Some("javascript" | "vbscript")) {
        return None;
    }
    Some(Image { source, alt: squeeze(&image.alt), width: image.width.filter(|w| *w > 0) })
}

fn words(run: Run, out: &mut Vec<Piece>) {
    let mut marks = run.marks;
    marks.link = marks.link.as_deref().and_then(url::link_target);
    marks.color = marks.color.filter(|color| color.0 != [0, 0, 0]);
    let mut word = String::new();
    for c in run.text.chars() {
        if c.is_whitespace() {
            if !word.is_empty() {
                out.push(Piece::Word(std::mem::take(&mut word), marks.clone()));
            }
            out.push(Piece::Space);
        } else if !is_dropped(c) {
            word.push(c);
        }
    }
    if !word.is_empty() {
        out.push(Piece::Word(word, marks));
    }
}

/// Brings running text into normal form; two breaks in a row part paragraphs.
pub(super) fn paragraphs(content: Vec<Inline>) -> Vec<Vec<Inline>> {
    let mut out = Vec::new();
    let mut lines: Vec<Vec<Inline>> = Vec::new();
    for line in lines_of(content) {
        if !line.is_empty() {
            lines.push(line);
        } else if !lines.is_empty() {
            out.push(join_lines(std::mem::take(&mut lines)));
        }
    }
    if !lines.is_empty() {
        out.push(join_lines(lines));
    }
    out
}

/// Brings running text into normal form on one line.
pub(super) fn one_line(content: Vec<Inline>) -> Vec<Inline> {
    let space = |inline| if inline == Inline::Break { Inline::plain(" ") } else { inline };
    lines_of(content.into_iter().map(space).collect()).into_iter().flatten().collect()
}

fn join_lines(lines: Vec<Vec<Inline>>) -> Vec<Inline> {
    let mut out = Vec::new();
    for line in lines {
        if !out.is_empty() {
            out.push(Inline::Break);
        }
        out.extend(line);
    }
    out
}

fn lines_of(content: Vec<Inline>) -> Vec<Vec<Inline>> {
    let mut lines = Vec::new();
    let mut line = Line::default();
    for piece in pieces(content) {
        match piece {
            Piece::Break => lines.push(std::mem::take(&mut line).finish()),
            Piece::Space => line.space = !line.inlines.is_empty(),
            Piece::Word(word, marks) => line.word(word, marks),
            Piece::Atom(atom) => {
                line.flush_space(&Marks::default());
                line.inlines.push(atom);
            }
        }
    }
    lines.push(line.finish());
    lines
}

#[derive(Default)]
struct Line {
    inlines: Vec<Inline>,
    space: bool,
}

impl Line {
    /// Writes the pending space with the marks that both of its sides have.
    fn flush_space(&mut self, next: &Marks) {
        if !std::mem::take(&mut self.space) {
            return;
        }
        let common = match self.inlines.last() {
            Some(Inline::Text(run)) => run.marks.common(next),
            _ => Marks::default(),
        };
        self.push(" ", common);
    }

    fn word(&mut self, word: String, marks: Marks) {
        self.flush_space(&marks);
        self.push(&word, marks);
    }

    fn push(&mut self, text: &str, marks: Marks) {
        match self.inlines.last_mut() {
            Some(Inline::Text(run)) if run.marks == marks => run.text.push_str(text),
            _ => self.inlines.push(Inline::Text(Run { text: text.to_owned(), marks })),
        }
    }

    fn finish(self) -> Vec<Inline> {
        self.inlines
    }
}

/// Takes the link from words that are its own URL: the bare URL says the same.
fn without_own_links(pieces: &mut [Piece]) {
    for i in 0..pieces.len() {
        let Some(Piece::Word(word, Marks { link: Some(link), .. })) = pieces.get(i) else { continue };
        let own = match link.strip_prefix("mailto:") {
            Some(address) => address == word,
            None => {
                (link == word || link.strip_suffix('/') == Some(word)) && {
                    let word_at = |i: usize| match pieces.get(i) {
                        Some(Piece::Word(word, _)) => Some(word.as_str()),
                        _ => None,
                    };
                    let before = i.checked_sub(1).and_then(word_at).and_then(|word| word.chars().next_back());
                    let following = url::beginning((i + 1..).map_while(word_at));
                    url::stands_alone(word, before, &following)
                }
            }
        };
        if own && let Some(Piece::Word(_, marks)) = pieces.get_mut(i) {
            marks.link = None;
        }
    }
}
