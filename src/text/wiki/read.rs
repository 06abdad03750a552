//! Reads the blocks of wiki markup.

use super::inline::{atom_length, read_line};
use super::opens_block;
use crate::text::normal::MAX_DEPTH;
use crate::text::tree::{Block, Cell, Color, Document, Inline, Item, List, ListKind, Marks};

/// Characters of which at least one is in every text that is more than one
/// paragraph of plain words.
const TELLING: &[char] = &['\n', '\r', '\\', '*', '_', '-', '+', '^', '~', '{', '[', '!', '|', '?', '#', '&'];

/// Reads wiki markup; what is no markup is text.
pub(in crate::text) fn read(text: &str) -> Document {
    if !text.contains(TELLING) && !opens_block(text.trim_start()) {
        return Document { blocks: vec![Block::Paragraph(vec![Inline::plain(text)])] }.normalised();
    }
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut color = None;
    Document { blocks: blocks(&text, &mut color, 0) }.normalised()
}

fn blocks(text: &str, color: &mut Option<Color>, depth: usize) -> Vec<Block> {
    let mut reader = Reader {
        color,
        depth,
        out: Vec::new(),
        paragraph: Vec::new(),
        items: Vec::new(),
        rows: Vec::new(),
        unclosed: Vec::new(),
    };
    let mut rest = text;
    while !rest.is_empty() {
        rest = reader.line(rest);
    }
    reader.flush();
    reader.out
}

/// One line of a list: its markers and its content.
struct Entry {
    markers: Vec<char>,
    content: Vec<Inline>,
}

/// A cell as it is read: whether it is a header, and its markup.
type RawCell = (bool, String);

struct Reader<'a> {
    color: &'a mut Option<Color>,
    depth: usize,
    out: Vec<Block>,
    /// What is being gathered; at most one of the three has something.
    paragraph: Vec<Inline>,
    items: Vec<Entry>,
    rows: Vec<Vec<RawCell>>,
    /// Macros known to be closed nowhere ahead.
    unclosed: Vec<&'static str>,
}

/// A macro with a body: where it starts and ends, its name, its arguments.
struct Macro<'t> {
    start: usize,
    end: usize,
    name: &'static str,
    arguments: &'t str,
    body: &'t str,
}

const MACROS: [&str; 8] = ["code", "noformat", "quote", "panel", "info", "note", "tip", "warning"];

impl Reader<'_> {
    fn flush(&mut self) {
        if !self.paragraph.is_empty() {
            self.out.push(Block::Paragraph(std::mem::take(&mut self.paragraph)));
        }
        let entries = std::mem::take(&mut self.items);
        self.out.extend(lists(&entries, 0));
        let rows = std::mem::take(&mut self.rows);
        if !rows.is_empty() {
            let rows =
                rows.into_iter().map(|row| row.into_iter().map(|cell| self.cell(cell)).collect()).collect();
            self.out.push(Block::Table(rows));
        }
    }

    /// Reads one line, or the macro that begins in it; returns what is left.
    fn line<'t>(&mut self, rest: &'t str) -> &'t str {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let is_row = line.trim_start().starts_with('|');
        if !is_row && let Some(found) = self.find_macro(rest, line.len()) {
            let before = rest.get(..found.start).unwrap_or_default();
            if !before.trim().is_empty() {
                self.plain_line(before);
            }
            self.flush();
            self.expand(&found);
            let left = rest.get(found.end..).unwrap_or_default();
            return left.trim_start_matches(' ').strip_prefix('\n').unwrap_or(left);
        }
        self.plain_line(line);
        after
    }

    fn find_macro<'t>(&mut self, rest: &'t str, line_length: usize) -> Option<Macro<'t>> {
        let mut at = 0;
        let mut before = None;
        while at < line_length {
            let here = rest.get(at..)?;
            let c = here.chars().next()?;
            if c == '{'
                && let Some(found) = self.macro_at(rest, at)
            {
                return Some(found);
            }
            at += if matches!(c, '\\' | '{' | '!') { atom_length(here, c, before) } else { c.len_utf8() };
            before = rest.get(..at).and_then(|text| text.chars().next_back());
        }
        None
    }

    fn macro_at<'t>(&mut self, rest: &'t str, at: usize) -> Option<Macro<'t>> {
        let inside = rest.get(at + 1..)?;
        let name = MACROS.into_iter().find(|name| {
            inside.strip_prefix(name).is_some_and(|after| after.starts_with('}') || after.starts_with(':'))
        })?;
        if self.unclosed.contains(&name) {
            return None;
        }
        let (head, _) = inside.split_once('}').filter(|(head, _)| !head.contains('\n'))?;
        let body_start = at + 1 + head.len() + 1;
        let closing = format!("{{{name}}}");
        let body = rest.get(body_start..)?;
        let Some(length) = closing_of(body, name, &closing) else {
            self.unclosed.push(name);
            return None;
        };
        Some(Macro {
            start: at,
            end: body_start + length + closing.len(),
            name,
            arguments: head.strip_prefix(name).unwrap_or_default().trim_start_matches(':'),
            body: body.get(..length)?,
        })
    }

    fn expand(&mut self, found: &Macro<'_>) {
        match found.name {
            "code" => {
                let language =
                    found.arguments.split('|').find_map(|argument| match argument.split_once('=') {
                        None => Some(argument.to_owned()),
                        Some(("language" | "lang", name)) => Some(name.to_owned()),
                        Some(_) => None,
                    });
                self.out.push(Block::Code { language, text: found.body.to_owned() });
            }
            "noformat" => self.out.push(Block::Code { language: None, text: found.body.to_owned() }),
            _ => {
                let mut inner = Vec::new();
                let title = found.arguments.split('|').find_map(|argument| argument.strip_prefix("title="));
                if let Some(title) = title {
                    let marks = Marks { strong: true, ..Marks::default() };
                    inner.push(Block::Paragraph(vec![Inline::marked(title, &marks)]));
                }
                if self.depth < MAX_DEPTH {
                    inner.extend(blocks(found.body, self.color, self.depth + 1));
                } else {
                    inner.push(Block::Paragraph(vec![Inline::plain(found.body)]));
                }
                self.out.push(Block::Quote(inner));
            }
        }
    }

    fn plain_line(&mut self, line: &str) {
        let trimmed = line.trim();
        if trimmed.is_empty() {
            return self.flush();
        }
        if let Some((markers, content)) = list_marker(line) {
            if self.items.is_empty() {
                self.flush();
            }
            let mut inlines = Vec::new();
            read_line(content, self.color, &mut inlines);
            return self.items.push(Entry { markers, content: inlines });
        }
        if trimmed.starts_with('|') {
            if self.rows.is_empty() {
                self.flush();
            }
            return self.rows.push(cells(trimmed));
        }
        if let Some(level) = heading_level(trimmed) {
            self.flush();
            let mut content = Vec::new();
            read_line(trimmed.get(3..).unwrap_or_default(), self.color, &mut content);
            return self.out.push(Block::Heading { level, content });
        }
        if let Some(quoted) = trimmed.strip_prefix("bq. ") {
            self.flush();
            let mut content = Vec::new();
            read_line(quoted, self.color, &mut content);
            return self.out.push(Block::Quote(vec![Block::Paragraph(content)]));
        }
        if trimmed.len() >= 4 && trimmed.bytes().all(|b| b == b'-') {
            self.flush();
            return self.out.push(Block::Rule);
        }
        self.continued(trimmed);
    }

    /// Adds a line to what is being gathered.
    fn continued(&mut self, line: &str) {
        if let Some((_, cell)) = self.rows.last_mut().and_then(|row| row.last_mut()) {
            cell.push('\n');
            cell.push_str(line);
            if let Some(row) = self.rows.last_mut()
                && let Some((header, text)) = row.pop()
            {
                let bars = if header { "||" } else { "|" };
                row.extend(cells(&format!("{bars}{text}")));
            }
            return;
        }
        let target = match self.items.last_mut() {
            Some(entry) => &mut entry.content,
            None => &mut self.paragraph,
        };
        if !target.is_empty() && target.last() != Some(&Inline::Break) {
            target.push(Inline::Break);
        }
        read_line(line, self.color, target);
    }

    fn cell(&mut self, (header, text): RawCell) -> Cell {
        let mut content = Vec::new();
        read_line(text.trim(), self.color, &mut content);
        Cell { header, colspan: 1, rowspan: 1, blocks: vec![Block::Paragraph(content)] }
    }
}

/// Finds where a macro's body ends. A quotation may hold code, which may hold
/// anything.
fn closing_of(body: &str, name: &str, closing: &str) -> Option<usize> {
    if matches!(name, "code" | "noformat") {
        return body.find(closing);
    }
    let mut at = 0;
    let mut before = None;
    loop {
        let rest = body.get(at..)?;
        let c = rest.chars().next()?;
        if rest.starts_with(closing) {
            return Some(at);
        }
        let code = ["code", "noformat"].into_iter().find_map(|code| {
            let after = rest.strip_prefix('{')?.strip_prefix(code)?;
            let (head, inside) = after.split_once('}')?;
            if !(head.is_empty() || head.starts_with(':')) || head.contains('\n') {
                return None;
            }
            let end = inside.find(&format!("{{{code}}}"))?;
            Some(1 + code.len() + head.len() + 1 + end + code.len() + 2)
        });
        at += match code {
            Some(length) => length,
            None if matches!(c, '\\' | '{' | '!') => atom_length(rest, c, before),
            None => c.len_utf8(),
        };
        before = body.get(..at).and_then(|text| text.chars().next_back());
    }
}

fn heading_level(line: &str) -> Option<u8> {
    let mut chars = line.chars();
    let level = match (chars.next(), chars.next(), chars.next(), chars.next()) {
        (Some('h'), Some(digit @ '1'..='6'), Some('.'), Some(' ')) => digit.to_digit(10)?,
        _ => return None,
    };
    u8::try_from(level).ok()
}

/// Splits a list line into its markers and its content.
fn list_marker(line: &str) -> Option<(Vec<char>, &str)> {
    let line = line.trim_start();
    let end = line.find(|c| !matches!(c, '*' | '#' | '-'))?;
    let (markers, content) = line.split_at_checked(end)?;
    let dashes = markers.bytes().all(|b| b == b'-');
    if markers.is_empty() || !content.starts_with(' ') || (dashes && markers.len() > 1) {
        return None;
    }
    Some((markers.chars().take(MAX_DEPTH).collect(), content.trim()))
}

fn kind_of(marker: char) -> ListKind {
    if marker == '#' { ListKind::Ordered { start: 1 } } else { ListKind::Bullet }
}

/// Builds lists from entries that have more than `level` markers.
fn lists(entries: &[Entry], level: usize) -> Vec<Block> {
    let kind_at = |entry: &Entry| entry.markers.get(level).copied().map(kind_of);
    let mut out = Vec::new();
    let mut rest = entries;
    while let Some(kind) = rest.first().and_then(kind_at) {
        let mut items: Vec<Item> = Vec::new();
        while let Some(entry) = rest.first().filter(|entry| kind_at(entry) == Some(kind)) {
            if entry.markers.len() == level + 1 {
                items.push(Item { done: false, blocks: vec![Block::Paragraph(entry.content.clone())] });
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let deeper = |entry: &&Entry| entry.markers.len() > level + 1 && kind_at(entry) == Some(kind);
            let length = rest.iter().take_while(deeper).count();
            let (nested, tail) = rest.split_at(length);
            let nested = lists(nested, level + 1);
            match items.last_mut() {
                Some(item) => item.blocks.extend(nested),
                None => items.push(Item { done: false, blocks: nested }),
            }
            rest = tail;
        }
        out.push(Block::List(List { kind, items }));
    }
    out
}

/// Splits a table row into cells.
fn cells(row: &str) -> Vec<RawCell> {
    let mut out = Vec::new();
    let mut rest = row;
    while let Some(after) = rest.strip_prefix('|') {
        let (header, content) = match after.strip_prefix('|') {
            Some(content) => (true, content),
            None => (false, after),
        };
        if content.trim().is_empty() && !out.is_empty() {
            break;
        }
        let end = cell_end(content);
        let (text, tail) = content.split_at_checked(end).unwrap_or((content, ""));
        out.push((header, text.to_owned()));
        rest = tail;
    }
    out
}

fn cell_end(content: &str) -> usize {
    let mut at = 0;
    let mut before = None;
    while let Some(c) = content.get(at..).and_then(|rest| rest.chars().next()) {
        if c == '|' {
            return at;
        }
        at += atom_length(content.get(at..).unwrap_or_default(), c, before);
        before = content.get(..at).and_then(|text| text.chars().next_back());
    }
    content.len()
}
