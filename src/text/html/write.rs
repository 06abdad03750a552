//! Writes minimal HTML that is well-formed XML as well.

use super::Dialect;
use crate::text::tree::{
    Block, Cell, Color, Document, Inline, Item, List, ListKind, Mark, Nest, Opaque, nest,
};
use crate::text::url;

/// Writes a document in normal form; top-level blocks stand on lines of their own.
pub(in crate::text) fn write(document: &Document, dialect: Dialect) -> String {
    let mut writer = Writer { dialect, out: String::new() };
    for (i, block) in document.blocks.iter().enumerate() {
        if i > 0 {
            writer.out.push('\n');
        }
        writer.block(block);
    }
    writer.out
}

struct Writer {
    dialect: Dialect,
    out: String,
}

impl Writer {
    fn blocks(&mut self, blocks: &[Block]) {
        for block in blocks {
            self.block(block);
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Paragraph(content) => self.element("p", |w| w.text(content)),
            Block::Heading { level, content } => self.element(&format!("h{level}"), |w| w.text(content)),
            Block::List(list) => self.list(list),
            Block::Code { language, text } => {
                self.out.push_str("<pre><code");
                if let Some(language) = language {
                    self.attribute("class", &format!("language-{language}"));
                }
                self.out.push('>');
                self.escaped(text);
                self.out.push_str("</code></pre>");
            }
            Block::Quote(inner) => self.element("blockquote", |w| w.blocks(inner)),
            Block::Rule => self.out.push_str("<hr/>"),
            Block::Table(rows) => self.element("table", |w| {
                w.element("tbody", |w| {
                    for row in rows {
                        w.element("tr", |w| row.iter().for_each(|cell| w.cell(cell)));
                    }
                });
            }),
            Block::Opaque(opaque) => self.opaque("div", opaque),
        }
    }

    fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.out.push_str(&format!("<{name}>"));
        content(self);
        self.out.push_str(&format!("</{name}>"));
    }

    fn list(&mut self, list: &List) {
        let name = match list.kind {
            ListKind::Ordered { .. } => "ol",
            _ => "ul",
        };
        self.out.push('<');
        self.out.push_str(name);
        if let ListKind::Ordered { start } = list.kind
            && start != 1
        {
            self.attribute("start", &start.to_string());
        }
        self.out.push('>');
        for item in &list.items {
            self.item(item, list.kind);
        }
        self.out.push_str(&format!("</{name}>"));
    }

    fn item(&mut self, item: &Item, kind: ListKind) {
        self.out.push_str("<li>");
        if kind == ListKind::Task {
            let checked = if item.done { " checked=\"checked\"" } else { "" };
            self.out.push_str(&format!("<input type=\"checkbox\" disabled=\"disabled\"{checked}/>"));
        }
        self.short_blocks(&item.blocks);
        self.out.push_str("</li>");
    }

    /// Writes one paragraph, with lists below it or not, without its own tags.
    fn short_blocks(&mut self, blocks: &[Block]) {
        match blocks.split_first() {
            Some((Block::Paragraph(content), rest)) if rest.iter().all(|b| matches!(b, Block::List(_))) => {
                self.text(content);
                self.blocks(rest);
            }
            _ => self.blocks(blocks),
        }
    }

    fn cell(&mut self, cell: &Cell) {
        let name = if cell.header { "th" } else { "td" };
        self.out.push('<');
        self.out.push_str(name);
        for (attribute, span) in [("colspan", cell.colspan), ("rowspan", cell.rowspan)] {
            if span > 1 {
                self.attribute(attribute, &span.to_string());
            }
        }
        self.out.push('>');
        self.short_blocks(&cell.blocks);
        self.out.push_str(&format!("</{name}>"));
    }

    fn text(&mut self, content: &[Inline]) {
        match self.dialect {
            Dialect::Canonical => self.nested(&nest(content), content),
            Dialect::Foreign => {
                let content = url::with_links(content);
                self.nested(&nest(&content), &content);
            }
        }
    }

    fn nested(&mut self, nests: &[Nest<'_>], content: &[Inline]) {
        for nest in nests {
            match nest {
                Nest::Leaf(i) => {
                    if let Some(inline) = content.get(*i) {
                        self.inline(inline);
                    }
                }
                Nest::Marked(mark, inner) => self.marked(mark, inner, content),
            }
        }
    }

    fn marked(&mut self, mark: &Mark<'_>, inner: &[Nest<'_>], content: &[Inline]) {
        let name = match mark {
            Mark::Link(href) => {
                self.out.push_str("<a");
                self.attribute("href", href);
                self.out.push('>');
                self.nested(inner, content);
                return self.out.push_str("</a>");
            }
            Mark::Color(color) => return self.colored(*color, inner, content),
            Mark::Strong => "strong",
            Mark::Em => "em",
            Mark::Underline => "u",
            Mark::Strike => "s",
            Mark::Sub => "sub",
            Mark::Sup => "sup",
            Mark::Code => "code",
        };
        self.element(name, |w| w.nested(inner, content));
    }

    fn colored(&mut self, color: Color, inner: &[Nest<'_>], content: &[Inline]) {
        self.out.push_str("<span");
        self.attribute("style", &format!("color:{color}"));
        self.out.push('>');
        self.nested(inner, content);
        self.out.push_str("</span>");
    }

    fn inline(&mut self, inline: &Inline) {
        match inline {
            Inline::Text(run) => self.escaped(&run.text),
            Inline::Break => self.out.push_str("<br/>"),
            Inline::Image(image) => {
                self.out.push_str("<img");
                self.attribute("src", &image.source);
                self.attribute("alt", &image.alt);
                if let Some(width) = image.width {
                    self.attribute("width", &width.to_string());
                }
                self.out.push_str("/>");
            }
            Inline::Mention { id, name } => {
                self.out.push_str("<span");
                self.attribute("data-mention", id);
                self.out.push('>');
                if !name.is_empty() {
                    self.escaped(&format!("@{name}"));
                }
                self.out.push_str("</span>");
            }
            Inline::Date(day) => self.element("time", |w| w.escaped(day)),
            Inline::Opaque(opaque) => self.opaque("span", opaque),
        }
    }

    fn opaque(&mut self, name: &str, opaque: &Opaque) {
        self.out.push('<');
        self.out.push_str(name);
        self.attribute("data-notation", opaque.notation.as_str());
        self.attribute("data-source", &opaque.source);
        self.out.push('>');
        self.escaped(&opaque.text);
        self.out.push_str(&format!("</{name}>"));
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.out.push_str(&format!(" {name}=\""));
        for c in value.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '"' => self.out.push_str("&quot;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '\n' => self.out.push_str("&#10;"),
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                c => self.out.push(c),
            }
        }
    }
}
