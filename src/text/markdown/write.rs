//! Writes Markdown, and escapes what would be taken for markup.

use crate::text::tree::{Block, Cell, Document, Image, Inline, Item, List, ListKind, Mark, Nest, Run, nest};
use crate::text::url;

/// Writes a document that has been brought down to what Markdown can say.
pub(in crate::text) fn write(document: &Document) -> String {
    blocks(&document.blocks).join("\n")
}

/// Writes blocks as lines, an empty line between them.
fn blocks(blocks: &[Block]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for block in blocks {
        if !out.is_empty() {
            out.push(String::new());
        }
        out.extend(lines_of(block));
    }
    out
}

fn lines_of(block: &Block) -> Vec<String> {
    match block {
        Block::Paragraph(content) => text_lines(content, "\\\n"),
        Block::Heading { level, content } => {
            vec![format!("{} {}", "#".repeat(usize::from(*level)), line(content, " "))]
        }
        Block::List(list) => self::list(list),
        Block::Code { language, text } => code(language.as_deref(), text),
        Block::Quote(inner) => blocks(inner)
            .into_iter()
            .map(|line| if line.is_empty() { ">".to_owned() } else { format!("> {line}") })
            .collect(),
        // Hyphens would be a second list marker, or make a heading of the line above.
        Block::Rule => vec!["***".to_owned()],
        Block::Table(rows) => table(rows),
        Block::Opaque(opaque) => text_lines(&[Inline::plain(opaque.text.clone())], "\\\n"),
    }
}

fn text_lines(content: &[Inline], newline: &'static str) -> Vec<String> {
    line(content, newline).split('\n').map(str::to_owned).collect()
}

fn code(language: Option<&str>, text: &str) -> Vec<String> {
    let fence = "`".repeat(longest_ticks(text).max(2) + 1);
    let mut out = vec![format!("{fence}{}", language.unwrap_or_default())];
    out.extend(text.split('\n').map(str::to_owned));
    out.push(fence);
    out
}

fn longest_ticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

fn list(list: &List) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut number = match list.kind {
        ListKind::Ordered { start } => start,
        _ => 1,
    };
    let tight = list.items.iter().all(is_tight);
    for item in &list.items {
        let marker = match list.kind {
            ListKind::Ordered { .. } => format!("{number}. "),
            _ => "- ".to_owned(),
        };
        number = number.saturating_add(1);
        if !out.is_empty() && !tight {
            out.push(String::new());
        }
        let indent = " ".repeat(marker.len());
        for (i, line) in item_lines(item, list.kind, tight).into_iter().enumerate() {
            let lead = if i == 0 { &marker } else { &indent };
            out.push(if line.is_empty() { line } else { format!("{lead}{line}") });
        }
    }
    out
}

/// Items of one paragraph, with lists below it that may interrupt it, need no
/// empty lines.
fn is_tight(item: &Item) -> bool {
    let interrupts = |block: &Block| {
        matches!(block, Block::List(list)
            if !matches!(list.kind, ListKind::Ordered { start } if start != 1) && list.items.iter().all(is_tight))
    };
    match item.blocks.split_first() {
        Some((Block::Paragraph(_), rest)) => rest.iter().all(interrupts),
        _ => false,
    }
}

fn item_lines(item: &Item, kind: ListKind, tight: bool) -> Vec<String> {
    let mut lines =
        if tight { item.blocks.iter().flat_map(lines_of).collect() } else { blocks(&item.blocks) };
    if kind == ListKind::Task
        && let Some(first) = lines.first_mut()
    {
        *first = format!("[{}] {first}", if item.done { 'x' } else { ' ' });
    }
    lines
}

fn table(rows: &[Vec<Cell>]) -> Vec<String> {
    let mut out = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().map(cell).collect();
        out.push(format!("| {} |", cells.join(" | ")));
        if i == 0 {
            out.push(format!("|{}", " --- |".repeat(row.len())));
        }
    }
    out
}

fn cell(cell: &Cell) -> String {
    match cell.blocks.first() {
        Some(Block::Paragraph(content)) => {
            let mut writer = Writer { out: String::new(), newline: "<br>", in_cell: true };
            let content = url::with_links(content);
            writer.nested(&nest(&content), &content);
            writer.out
        }
        _ => String::new(),
    }
}

fn line(content: &[Inline], newline: &'static str) -> String {
    let content = url::with_links(content);
    let mut writer = Writer { out: String::new(), newline, in_cell: false };
    writer.nested(&nest(&content), &content);
    writer.out
}

struct Writer {
    out: String,
    newline: &'static str,
    in_cell: bool,
}

impl Writer {
    fn nested(&mut self, nests: &[Nest<'_>], content: &[Inline]) {
        for (i, nest) in nests.iter().enumerate() {
            match nest {
                Nest::Leaf(leaf) => {
                    if let Some(inline) = content.get(*leaf) {
                        self.inline(inline);
                    }
                }
                Nest::Marked(mark, inner) => {
                    let apart = (i == 0 || self.parted()) && parts(nests.get(i + 1), content);
                    self.marked(mark, inner, content, apart);
                }
            }
        }
    }

    /// Tells whether what has been written lets a mark open after it.
    fn parted(&self) -> bool {
        self.out.chars().next_back().is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '>'))
    }

    fn marked(&mut self, mark: &Mark<'_>, inner: &[Nest<'_>], content: &[Inline], apart: bool) {
        let (open, close, tag) = match mark {
            Mark::Link(href) => return self.link(href, inner, content),
            Mark::Code => return self.code(inner, content),
            Mark::Strong => ("**", "**", "strong"),
            Mark::Em => ("_", "_", "em"),
            Mark::Strike => ("~~", "~~", "s"),
            // Brought down before: Markdown has none of these.
            Mark::Underline | Mark::Sub | Mark::Sup | Mark::Color(_) => return self.nested(inner, content),
        };
        // Within a word the short marks would be ordinary characters.
        let (open, close) = if apart {
            (open.to_owned(), close.to_owned())
        } else {
            (format!("<{tag}>"), format!("</{tag}>"))
        };
        self.wrapped(&open, &close, |w| w.nested(inner, content));
    }

    /// Writes marks around content; no mark may open before a space, and none can
    /// close after it.
    fn wrapped(&mut self, open: &str, close: &str, content: impl FnOnce(&mut Self)) {
        let start = self.out.len();
        self.out.push_str(open);
        content(self);
        let text = self.out.split_off(start + open.len());
        self.out.truncate(start);
        let core = text.trim_matches(' ');
        self.out.push_str(if text.starts_with(' ') { " " } else { "" });
        if !core.is_empty() {
            self.out.push_str(&format!("{open}{core}{close}"));
            self.out.push_str(if text.ends_with(' ') { " " } else { "" });
        }
    }

    fn link(&mut self, href: &str, inner: &[Nest<'_>], content: &[Inline]) {
        let own = matches!(inner, [Nest::Leaf(leaf)]
            if matches!(content.get(*leaf), Some(Inline::Text(run)) if run.text == href));
        if own && !href.contains('&') {
            return self.out.push_str(&format!("<{href}>"));
        }
        let mut target = Writer { out: String::new(), newline: self.newline, in_cell: self.in_cell };
        target.target(href);
        self.wrapped("[", &format!("]({})", target.out), |w| w.nested(inner, content));
    }

    fn target(&mut self, target: &str) {
        let safe = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#@=+$,;%!".contains(c);
        if !target.is_empty() && target.chars().all(safe) {
            return self.out.push_str(target);
        }
        self.out.push('<');
        for c in target.chars() {
            match c {
                '<' | '>' | '\\' | '|' | '*' | '_' | '`' => {
                    self.out.push_str(&format!("&#{};", u32::from(c)))
                }
                '&' => self.out.push_str("&amp;"),
                c => self.out.push(c),
            }
        }
        self.out.push('>');
    }

    fn code(&mut self, inner: &[Nest<'_>], content: &[Inline]) {
        let text: String = inner
            .iter()
            .filter_map(|nest| if let Nest::Leaf(leaf) = nest { content.get(*leaf) } else { None })
            .map(Inline::as_text)
            .collect();
        let text = text.as_str();
        // A bar ends a cell even within ticks, and ticks side by side would be one
        // longer row of ticks.
        if (self.in_cell && text.contains(['|', '\\'])) || self.out.ends_with('`') {
            return self.wrapped("<code>", "</code>", |w| w.text(text));
        }
        let ticks = "`".repeat(longest_ticks(text) + 1);
        let core = text.trim_matches(' ');
        let pad = if core.starts_with('`') || core.ends_with('`') { " " } else { "" };
        self.wrapped(&format!("{ticks}{pad}"), &format!("{pad}{ticks}"), |w| w.out.push_str(text));
    }

    fn inline(&mut self, inline: &Inline) {
        match inline {
            Inline::Text(Run { text, .. }) => self.text(text),
            Inline::Break => self.out.push_str(self.newline),
            Inline::Image(image) => self.image(image),
            Inline::Mention { .. } | Inline::Date(_) | Inline::Opaque(_) => self.text(&inline.as_text()),
        }
    }

    fn image(&mut self, image: &Image) {
        self.out.push_str("![");
        self.text(&image.alt);
        self.out.push_str("](");
        self.target(&image.source);
        self.out.push(')');
    }

    fn text(&mut self, text: &str) {
        let line_start = self.out.is_empty() || self.out.ends_with('\n');
        let number = if line_start { leading_number(text) } else { None };
        let mut before: Option<char> = self.out.chars().next_back();
        let mut chars = text.char_indices().peekable();
        while let Some((i, c)) = chars.next() {
            let after = chars.peek().map(|(_, c)| *c);
            let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            let escape = match c {
                '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '~' | '|' => true,
                '_' => !(word(before) && word(after)),
                '&' => after.is_none_or(|a| a.is_alphanumeric() || a == '#'),
                '!' => after.is_none(),
                // After a bracket it would begin a footnote.
                '^' => before == Some('['),
                '#' => before.is_none_or(|b| b.is_whitespace() || b == '#'),
                '-' | '+' | '=' | ':' => line_start && i == 0,
                '.' | ')' => number == Some(i),
                _ => false,
            };
            if escape {
                self.out.push('\\');
            }
            self.out.push(c);
            before = Some(c);
        }
    }
}

/// Returns where the number that would start a list ends.
fn leading_number(text: &str) -> Option<usize> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    (end > 0).then_some(end)
}

/// Tells whether what follows lets a mark close before it.
fn parts(next: Option<&Nest<'_>>, content: &[Inline]) -> bool {
    match next {
        None => true,
        Some(Nest::Leaf(leaf)) => match content.get(*leaf) {
            Some(Inline::Text(run)) => {
                run.text.starts_with(|c: char| c.is_whitespace() || matches!(c, '.' | ',' | ';' | ':' | ')'))
            }
            Some(Inline::Break) | None => true,
            Some(_) => false,
        },
        Some(Nest::Marked(..)) => false,
    }
}
