//! Writes wiki markup, and escapes what would be taken for markup.

use super::{ESCAPABLE, PHRASES, opens_block};
use crate::text::tree::{Block, Document, Image, Inline, List, ListKind, Mark, Nest, nest};
use crate::text::url;

/// Writes a document that has been brought down to what wiki markup can say.
pub(in crate::text) fn write(document: &Document) -> String {
    let mut writer = Writer { out: String::new(), newline: "\n" };
    writer.blocks(&document.blocks);
    writer.out
}

/// A break where the line must go on.
const FORCED_BREAK: &str = "\\\\ ";

struct Writer {
    out: String,
    /// How a line break is written here.
    newline: &'static str,
}

impl Writer {
    fn blocks(&mut self, blocks: &[Block]) {
        for (i, block) in blocks.iter().enumerate() {
            if i > 0 {
                self.out.push_str("\n\n");
            }
            self.block(block);
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Paragraph(content) => self.line(content, "\n"),
            Block::Heading { level, content } => {
                self.out.push_str(&format!("h{level}. "));
                self.line(content, " ");
            }
            Block::List(list) => {
                let mut first = true;
                self.list(list, "", &mut first);
            }
            Block::Code { language, text } if text.contains("{code") => {
                debug_assert!(language.is_none());
                self.out.push_str(&format!("{{noformat}}\n{text}\n{{noformat}}"));
            }
            Block::Code { language, text } => {
                let head = language.as_ref().map_or_else(String::new, |language| format!(":{language}"));
                self.out.push_str(&format!("{{code{head}}}\n{text}\n{{code}}"));
            }
            Block::Quote(inner) => {
                self.out.push_str("{quote}\n");
                self.blocks(inner);
                self.out.push_str("\n{quote}");
            }
            Block::Rule => self.out.push_str("----"),
            Block::Table(rows) => {
                for (i, row) in rows.iter().enumerate() {
                    if i > 0 {
                        self.out.push('\n');
                    }
                    let mut header = false;
                    for cell in row {
                        header = cell.header;
                        self.out.push_str(if header { "||" } else { "|" });
                        self.cell(&cell.blocks);
                    }
                    self.out.push_str(if header { "||" } else { "|" });
                }
            }
            Block::Opaque(opaque) => self.line(&[Inline::plain(opaque.text.clone())], "\n"),
        }
    }

    fn cell(&mut self, blocks: &[Block]) {
        match blocks.first() {
            Some(Block::Paragraph(content)) => self.line(content, FORCED_BREAK),
            _ => self.out.push(' '),
        }
    }

    fn list(&mut self, list: &List, markers: &str, first: &mut bool) {
        let marker = if matches!(list.kind, ListKind::Ordered { .. }) { '#' } else { '*' };
        let markers = format!("{markers}{marker}");
        for item in &list.items {
            for block in &item.blocks {
                match block {
                    Block::List(nested) => self.list(nested, &markers, first),
                    Block::Paragraph(content) => {
                        if !std::mem::take(first) {
                            self.out.push('\n');
                        }
                        self.out.push_str(&markers);
                        self.out.push(' ');
                        self.line(content, FORCED_BREAK);
                    }
                    _ => {}
                }
            }
        }
    }

    fn line(&mut self, content: &[Inline], newline: &'static str) {
        self.newline = newline;
        self.nested(&nest(content), content);
    }

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

    /// Tells whether a mark may follow what has been written without braces.
    fn parted(&self) -> bool {
        self.out.chars().next_back().is_none_or(|c| c.is_whitespace() || c == '(')
    }

    fn marked(&mut self, mark: &Mark<'_>, inner: &[Nest<'_>], content: &[Inline], apart: bool) {
        let phrase = PHRASES.iter().find(|(_, known)| known == mark).map(|(c, _)| *c);
        let (open, close) = match mark {
            Mark::Link(href) => ("[".to_owned(), format!("|{href}]")),
            Mark::Color(color) => (format!("{{color:{color}}}"), "{color}".to_owned()),
            Mark::Code => ("{{".to_owned(), "}}".to_owned()),
            _ => {
                let c = phrase.unwrap_or('*').to_string();
                (c.clone(), c)
            }
        };
        let start = self.out.len();
        self.out.push_str(&open);
        self.nested(inner, content);
        let text = self.out.split_off(start + open.len());
        self.out.truncate(start);
        // A URL would take the closing mark for a part of itself.
        let bare = apart && !text.contains("://");
        // No mark may open before a space, and none can close after it.
        let core = text.trim_matches(' ');
        let leads = text.starts_with(' ');
        self.out.push_str(if leads { " " } else { "" });
        match phrase {
            _ if core.is_empty() => return,
            Some(c) if !bare => self.out.push_str(&format!("{{{c}}}{core}{{{c}}}")),
            _ => self.out.push_str(&format!("{open}{core}{close}")),
        }
        self.out.push_str(if text.ends_with(' ') { " " } else { "" });
    }

    fn inline(&mut self, inline: &Inline) {
        match inline {
            Inline::Text(run) => self.text(&run.text),
            Inline::Break => self.out.push_str(self.newline),
            Inline::Image(image) => self.image(image),
            Inline::Mention { id, .. } => {
                let id = id.strip_prefix('~').map_or_else(|| format!("accountid:{id}"), str::to_owned);
                self.out.push_str(&format!("[~{id}]"));
            }
            Inline::Date(day) => self.text(day),
            Inline::Opaque(opaque) => self.out.push_str(&opaque.source),
        }
    }

    fn image(&mut self, image: &Image) {
        let mut attributes = Vec::new();
        if !image.alt.is_empty() {
            attributes.push(format!("alt={}", in_attribute(&image.alt)));
        }
        if let Some(width) = image.width {
            attributes.push(format!("width={width}"));
        }
        let bar = if attributes.is_empty() { "" } else { "|" };
        self.out.push_str(&format!("!{}{bar}{}!", image.source, attributes.join(",")));
    }

    /// Writes text so that every character of it is read as itself. What stands
    /// beside the text is not looked at: at its ends a mark is always escaped.
    fn text(&mut self, text: &str) {
        let mut before: Option<char> = None;
        let mut at = 0;
        if (self.out.is_empty() || self.out.ends_with('\n')) && opens_block(text) {
            let first = text.chars().next().unwrap_or(' ');
            self.out.push_str(&format!("&#{};", u32::from(first)));
            before = Some(first);
            at = first.len_utf8();
        }
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let last = self.out.chars().next_back();
            if let Some(length) = url::bare_url(rest, last) {
                let (url, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
                self.out.push_str(url);
                before = url.chars().next_back();
                at = text.len() - after.len();
                continue;
            }
            let mut chars = rest.chars();
            let Some(c) = chars.next() else { break };
            // Spaces at the ends may be written outside of a mark.
            let after = chars.next().filter(|_| rest.get(c.len_utf8()..) != Some(" "));
            self.character(c, before, after);
            before = Some(c).filter(|c| at > 0 || *c != ' ');
            at += c.len_utf8();
        }
    }

    fn character(&mut self, c: char, before: Option<char>, after: Option<char>) {
        let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let space = |c: Option<char>| c.is_some_and(char::is_whitespace);
        let escape = match c {
            '\\' if word(after) || space(after) => false,
            '\\' => return self.out.push_str("&#92;"),
            '&' if word(after) || after == Some('#') || after.is_none() => return self.out.push_str("&#38;"),
            '{' | '}' | '[' | ']' | '|' => true,
            '?' => before.is_none_or(|b| b == '?') || after.is_none_or(|a| a == '?'),
            '!' => !word(before) && !space(after),
            '#' => before.is_none(),
            '*' | '_' | '+' | '-' | '^' | '~' => {
                let opens = !word(before) && !space(after);
                let closes = !space(before) && !word(after);
                opens || closes || before.is_none()
            }
            _ => false,
        };
        if escape && ESCAPABLE.contains(c) {
            self.out.push('\\');
        }
        self.out.push(c);
    }
}

/// Tells whether what follows a mark lets it end without braces.
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

fn in_attribute(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '!' | '|' | ',' | '&' | '{' | '}' | '\\' | '"' => out.push_str(&format!("&#{};", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}
