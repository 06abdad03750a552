//! Reads HTML fragments, and drops what is no text: scripts, styles, handlers.

use html5ever::tendril::TendrilSink;
use html5ever::tree_builder::TreeBuilderOpts;
use html5ever::{ParseOpts, QualName, local_name, ns, parse_fragment};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use super::Dialect;
use crate::model::Notation;
use crate::text::normal;
use crate::text::tree::{
    Block, Cell, Color, Document, Image, Inline, Item, List, ListKind, Marks, Opaque, Script,
};

/// How many elements may be open at once before the tags are ignored: the tree
/// builder takes time that grows with the square of the nesting.
const MAX_OPEN: usize = 500;

/// How deep the walk goes into elements; below, only text is taken. It is above
/// what a tree of the deepest nesting needs when written by ourselves.
const MAX_WALK: usize = 200;

/// Reads an HTML fragment; whatever it is, some document comes out.
pub(in crate::text) fn read(text: &str, dialect: Dialect) -> Document {
    if !text.contains(['<', '&']) {
        let content = normal::one_line(vec![Inline::plain(text)]);
        return Document {
            blocks: if content.is_empty() { Vec::new() } else { vec![Block::Paragraph(content)] },
        };
    }
    if nests_too_deep(text) {
        return without_tags(text).normalised();
    }
    let opts = ParseOpts {
        tree_builder: TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() },
        ..ParseOpts::default()
    };
    let body = QualName::new(None, ns!(html), local_name!("body"));
    let dom = parse_fragment(RcDom::default(), opts, body, Vec::new(), false).one(text);
    let mut walk = Walk { dialect, blocks: Vec::new(), line: Vec::new() };
    walk.children(&dom.document, &Marks::default(), 0);
    Document { blocks: walk.finish() }.normalised()
}

/// Counts how many elements are open at once, leaving out those that close by
/// themselves.
fn nests_too_deep(text: &str) -> bool {
    let mut open = 0usize;
    for tag in text.split('<').skip(1) {
        let (closing, name) = match tag.strip_prefix('/') {
            Some(rest) => (true, rest),
            None => (false, tag),
        };
        let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
        let name = name.get(..end).unwrap_or_default().to_ascii_lowercase();
        if name.is_empty() || SELF_CLOSING.contains(&name.as_str()) {
            continue;
        }
        open = if closing { open.saturating_sub(1) } else { open + 1 };
        if open > MAX_OPEN {
            return true;
        }
    }
    false
}

const SELF_CLOSING: [&str; 21] = [
    "p", "br", "hr", "img", "input", "col", "meta", "link", "base", "wbr", "li", "td", "th", "tr", "tbody",
    "thead", "tfoot", "dt", "dd", "option", "embed",
];

/// Takes the text between the tags, a line for each stretch.
fn without_tags(text: &str) -> Document {
    let mut content = Vec::new();
    for stretch in text.split('<') {
        let shown = stretch.split_once('>').map_or(stretch, |(_, shown)| shown);
        if !shown.trim().is_empty() {
            let decoded = shown.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", " ");
            content.extend([Inline::plain(decoded.replace("&amp;", "&")), Inline::Break]);
        }
    }
    Document { blocks: vec![Block::Paragraph(content)] }
}

/// Gathers blocks and the line that is being read.
struct Walk {
    dialect: Dialect,
    blocks: Vec<Block>,
    line: Vec<Inline>,
}

impl Walk {
    fn inner(&self) -> Walk {
        Walk { dialect: self.dialect, blocks: Vec::new(), line: Vec::new() }
    }

    fn flush(&mut self) {
        if !self.line.is_empty() {
            self.blocks.push(Block::Paragraph(std::mem::take(&mut self.line)));
        }
    }

    fn finish(mut self) -> Vec<Block> {
        self.flush();
        self.blocks
    }

    fn push(&mut self, block: Block) {
        self.flush();
        self.blocks.push(block);
    }

    /// Reads the children of an element as blocks of their own.
    fn gather(&self, node: &Handle, marks: &Marks, depth: usize) -> Vec<Block> {
        let mut inner = self.inner();
        inner.children(node, marks, depth);
        inner.finish()
    }

    fn children(&mut self, node: &Handle, marks: &Marks, depth: usize) {
        for child in node.children.borrow().iter() {
            match &child.data {
                NodeData::Text { contents } => {
                    self.line.push(Inline::marked(contents.borrow().to_string(), marks));
                }
                NodeData::Element { name, .. } if depth >= MAX_WALK => {
                    if !is_dropped(&name.local) {
                        self.line.push(Inline::marked(format!(" {} ", text_of(child)), marks));
                    }
                }
                NodeData::Element { name, .. } => self.element(child, &name.local, marks, depth + 1),
                _ => self.children(child, marks, depth + 1),
            }
        }
    }

    fn element(&mut self, node: &Handle, name: &str, marks: &Marks, depth: usize) {
        if is_dropped(name) || self.canonical_part(node, name) {
            return;
        }
        if let Some(marks) = marks_of(node, name, marks) {
            return self.children(node, &marks, depth);
        }
        match name {
            "br" => self.line.push(Inline::Break),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.heading(node, name, marks, depth),
            "ul" | "ol" | "menu" => self.list(node, name, marks, depth),
            "li" => {
                let items = self.items(node, marks, depth);
                self.push_items(items, ListKind::Bullet);
            }
            "pre" | "listing" | "xmp" => {
                let language = language_of(node);
                self.push(Block::Code { language, text: text_of(node) });
            }
            "blockquote" => {
                let inner = self.gather(node, marks, depth);
                self.push(Block::Quote(inner));
            }
            "hr" => self.push(Block::Rule),
            "table" => self.table(node, marks, depth),
            "img" => self.image(node),
            "input" => {}
            "dt" => {
                self.flush();
                self.children(node, &Marks { strong: true, ..marks.clone() }, depth);
                self.flush();
            }
            _ if is_block(name) => {
                self.flush();
                self.children(node, marks, depth);
                self.flush();
            }
            _ => self.children(node, marks, depth),
        }
    }

    fn heading(&mut self, node: &Handle, name: &str, marks: &Marks, depth: usize) {
        let level = name.bytes().last().map_or(1, |digit| digit.saturating_sub(b'0'));
        let mut content = Vec::new();
        let mut rest = Vec::new();
        for block in self.gather(node, marks, depth) {
            match block {
                Block::Paragraph(inlines) => {
                    content.extend(inlines);
                    content.push(Inline::plain(" "));
                }
                other => rest.push(other),
            }
        }
        self.push(Block::Heading { level, content });
        self.blocks.extend(rest);
    }

    fn list(&mut self, node: &Handle, name: &str, marks: &Marks, depth: usize) {
        let kind = match name {
            "ol" => {
                let start = attribute(node, "start").and_then(|s| s.trim().parse().ok()).unwrap_or(1);
                ListKind::Ordered { start }
            }
            _ => ListKind::Bullet,
        };
        let mut items: Vec<(Option<bool>, Vec<Block>)> = Vec::new();
        for child in node.children.borrow().iter() {
            let is_item = matches!(&child.data, NodeData::Element { name, .. } if &*name.local == "li");
            if is_item {
                items.extend(self.items(child, marks, depth + 1));
                continue;
            }
            // What stands between the items belongs to the one before.
            let mut inner = self.inner();
            match &child.data {
                NodeData::Text { contents } => {
                    inner.line.push(Inline::marked(contents.borrow().to_string(), marks));
                }
                NodeData::Element { name, .. } if depth < MAX_WALK => {
                    inner.element(child, &name.local, marks, depth + 1);
                }
                _ => {}
            }
            let blocks = Document { blocks: inner.finish() }.normalised().blocks;
            match items.last_mut() {
                _ if blocks.is_empty() => {}
                Some((_, last)) => last.extend(blocks),
                None => items.push((None, blocks)),
            }
        }
        self.push_items(items, kind);
    }

    /// Reads one list item: whether it has a box and is ticked, and its content.
    fn items(&self, node: &Handle, marks: &Marks, depth: usize) -> Vec<(Option<bool>, Vec<Block>)> {
        let ticked = if depth < MAX_WALK { leading_box(node, 0) } else { None };
        let blocks = if depth < MAX_WALK {
            self.gather(node, marks, depth)
        } else {
            vec![Block::Paragraph(vec![Inline::marked(text_of(node), marks)])]
        };
        vec![(ticked, blocks)]
    }

    /// Adds items as one list, or as several where only some have boxes.
    fn push_items(&mut self, items: Vec<(Option<bool>, Vec<Block>)>, kind: ListKind) {
        self.flush();
        for (ticked, blocks) in items {
            let kind = if ticked.is_some() { ListKind::Task } else { kind };
            let item = Item { done: ticked.unwrap_or(false), blocks };
            match self.blocks.last_mut() {
                Some(Block::List(list)) if list.kind == kind => list.items.push(item),
                _ => self.blocks.push(Block::List(List { kind, items: vec![item] })),
            }
        }
    }

    fn table(&mut self, node: &Handle, marks: &Marks, depth: usize) {
        let mut rows = Vec::new();
        self.flush();
        self.rows(node, marks, depth, &mut rows);
        self.push(Block::Table(rows));
    }

    fn rows(&mut self, node: &Handle, marks: &Marks, depth: usize, rows: &mut Vec<Vec<Cell>>) {
        if depth >= MAX_WALK {
            return self.line.push(Inline::marked(text_of(node), marks));
        }
        for child in node.children.borrow().iter() {
            let NodeData::Element { name, .. } = &child.data else { continue };
            match &*name.local {
                "tr" => rows.push(self.cells(child, marks, depth + 1)),
                "tbody" | "thead" | "tfoot" => self.rows(child, marks, depth + 1, rows),
                "caption" => {
                    self.flush();
                    self.children(child, marks, depth + 1);
                    self.flush();
                }
                _ => {}
            }
        }
    }

    fn cells(&self, row: &Handle, marks: &Marks, depth: usize) -> Vec<Cell> {
        let span = |node: &Handle, name: &str| {
            attribute(node, name).and_then(|value| value.trim().parse().ok()).unwrap_or(1)
        };
        let mut out = Vec::new();
        for child in row.children.borrow().iter() {
            let NodeData::Element { name, .. } = &child.data else { continue };
            let header = &*name.local == "th";
            if header || &*name.local == "td" {
                out.push(Cell {
                    header,
                    colspan: span(child, "colspan"),
                    rowspan: span(child, "rowspan"),
                    blocks: self.gather(child, marks, depth + 1),
                });
            }
        }
        out
    }

    fn image(&mut self, node: &Handle) {
        let pixels =
            |text: String| text.trim().trim_end_matches("px").parse::<f32>().ok().map(|w| w.round() as u32);
        self.line.push(Inline::Image(Image {
            source: attribute(node, "src").unwrap_or_default(),
            alt: attribute(node, "alt").unwrap_or_default(),
            width: attribute(node, "width").or_else(|| style_of(node, "width")).and_then(pixels),
        }));
    }

    /// Reads what only the canonical form has; tells whether `node` was such.
    fn canonical_part(&mut self, node: &Handle, name: &str) -> bool {
        if self.dialect != Dialect::Canonical || !matches!(name, "span" | "div" | "time") {
            return false;
        }
        if let Some(id) = attribute(node, "data-mention") {
            self.line.push(Inline::Mention { id, name: text_of(node) });
        } else if name == "time" {
            self.line.push(Inline::Date(text_of(node)));
        } else if let Some(notation) = attribute(node, "data-notation").and_then(|n| Notation::parse(&n)) {
            let source = attribute(node, "data-source").unwrap_or_default();
            let opaque = Opaque { notation, source, text: text_of(node) };
            if name == "div" {
                self.push(Block::Opaque(opaque));
            } else {
                self.line.push(Inline::Opaque(opaque));
            }
        } else {
            return false;
        }
        true
    }
}

/// Returns whether the first thing in a list item is a box, and whether it is ticked.
fn leading_box(node: &Handle, depth: usize) -> Option<bool> {
    for child in node.children.borrow().iter() {
        match &child.data {
            NodeData::Text { contents } if contents.borrow().trim().is_empty() => {}
            NodeData::Element { name, .. } if &*name.local == "input" => {
                let is_box = attribute(child, "type").is_some_and(|t| t.eq_ignore_ascii_case("checkbox"));
                return is_box.then(|| attribute(child, "checked").is_some());
            }
            NodeData::Element { name, .. }
                if depth < 4 && matches!(&*name.local, "p" | "label" | "span" | "div") =>
            {
                return leading_box(child, depth + 1);
            }
            NodeData::Comment { .. } => {}
            _ => return None,
        }
    }
    None
}

/// Elements that are dropped with all they hold.
fn is_dropped(name: &str) -> bool {
    matches!(
        name,
        "script"
            | "style"
            | "template"
            | "head"
            | "title"
            | "iframe"
            | "object"
            | "embed"
            | "applet"
            | "svg"
            | "math"
            | "noscript"
            | "noframes"
            | "audio"
            | "video"
            | "canvas"
            | "select"
            | "textarea"
    )
}

/// Elements without a meaning of their own that part the text around them.
fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "div"
            | "section"
            | "article"
            | "aside"
            | "header"
            | "footer"
            | "main"
            | "nav"
            | "address"
            | "center"
            | "figure"
            | "figcaption"
            | "details"
            | "summary"
            | "fieldset"
            | "form"
            | "dl"
            | "dd"
            | "hgroup"
            | "legend"
            | "caption"
            | "tr"
            | "td"
            | "th"
    )
}

/// Returns the marks inside an inline element; `None` for other elements.
fn marks_of(node: &Handle, name: &str, outer: &Marks) -> Option<Marks> {
    let mut marks = outer.clone();
    match name {
        "b" | "strong" => marks.strong = true,
        "i" | "em" | "cite" | "dfn" | "var" => marks.em = true,
        "u" | "ins" => marks.underline = true,
        "s" | "del" | "strike" => marks.strike = true,
        "code" | "tt" | "kbd" | "samp" => marks.code = true,
        "sub" => marks.script = Some(Script::Sub),
        "sup" => marks.script = Some(Script::Sup),
        "a" => marks.link = attribute(node, "href").or(marks.link),
        "font" => marks.color = attribute(node, "color").and_then(|c| Color::parse(&c)).or(marks.color),
        "span" => {}
        _ => return None,
    }
    if let Some(style) = attribute(node, "style") {
        apply_style(&style, &mut marks);
    }
    Some(marks)
}

fn apply_style(style: &str, marks: &mut Marks) {
    for declaration in style.split(';') {
        let Some((name, value)) = declaration.split_once(':') else { continue };
        let value = value.trim().trim_end_matches("!important").trim().to_ascii_lowercase();
        match name.trim().to_ascii_lowercase().as_str() {
            "color" => marks.color = Color::parse(&value).or(marks.color),
            "font-weight" => match value.as_str() {
                "bold" | "bolder" | "600" | "700" | "800" | "900" => marks.strong = true,
                "normal" | "400" => marks.strong = false,
                _ => {}
            },
            "font-style" => match value.as_str() {
                "italic" | "oblique" => marks.em = true,
                "normal" => marks.em = false,
                _ => {}
            },
            "text-decoration" | "text-decoration-line" => {
                marks.underline |= value.contains("underline");
                marks.strike |= value.contains("line-through");
            }
            _ => {}
        }
    }
}

fn attribute(node: &Handle, name: &str) -> Option<String> {
    let NodeData::Element { attrs, .. } = &node.data else { return None };
    attrs.borrow().iter().find(|a| &*a.name.local == name).map(|a| a.value.to_string())
}

fn style_of(node: &Handle, property: &str) -> Option<String> {
    let style = attribute(node, "style")?;
    let mut declarations = style.split(';').filter_map(|d| d.split_once(':'));
    declarations
        .find(|(name, _)| name.trim().eq_ignore_ascii_case(property))
        .map(|(_, value)| value.to_owned())
}

/// Finds `language-x` on a code block or on the `code` element in it.
fn language_of(node: &Handle) -> Option<String> {
    let own = |node: &Handle| {
        let classes = attribute(node, "class")?;
        let named = |class: &str| {
            class.strip_prefix("language-").or_else(|| class.strip_prefix("lang-")).map(str::to_owned)
        };
        classes.split_whitespace().find_map(named)
    };
    own(node).or_else(|| node.children.borrow().iter().find_map(own))
}

/// Returns all text below a node, without recursion; `br` is a line feed.
fn text_of(node: &Handle) -> String {
    let mut out = String::new();
    let mut stack: Vec<Handle> = node.children.borrow().iter().rev().cloned().collect();
    while let Some(node) = stack.pop() {
        match &node.data {
            NodeData::Text { contents } => out.push_str(&contents.borrow()),
            NodeData::Element { name, .. } if &*name.local == "br" => out.push('\n'),
            NodeData::Element { name, .. } if is_dropped(&name.local) => {}
            NodeData::Element { name, .. } => {
                if is_block(&name.local) && !out.is_empty() && !out.ends_with('\n') {
                    out.push('\n');
                }
                stack.extend(node.children.borrow().iter().rev().cloned());
            }
            _ => {}
        }
    }
    out.replace('\r', "")
}
