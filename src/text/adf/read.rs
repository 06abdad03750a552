//! Reads Atlassian Document Format; what it does not know gives its text.

use serde_json::{Map, Value};

use crate::model::Notation;
use crate::text::plain;
use crate::text::tree::{
    Block, Cell, Color, Document, Image, Inline, Item, List, ListKind, Marks, Opaque, Script,
};

/// Reads a document; text that is no such document is taken as plain text.
///
/// The JSON parser refuses more than 128 levels of nesting, which bounds the
/// recursion here.
pub(in crate::text) fn read(text: &str) -> Document {
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed == "null" {
        return Document::default();
    }
    match serde_json::from_str(trimmed) {
        Ok(Value::Object(root)) => Document { blocks: blocks_of(&root) }.normalised(),
        Ok(Value::String(text)) => plain::read(&text),
        Ok(_) => plain::read(text),
        Err(_) => strings_in(trimmed).map_or_else(|| plain::read(text), |text| plain::read(&text)),
    }
}

/// Takes the values of all `text` members out of JSON that cannot be read.
fn strings_in(text: &str) -> Option<String> {
    let mut out: Vec<String> = Vec::new();
    let mut rest = text.strip_prefix('{')?;
    while let Some((_, after)) = rest.split_once("\"text\"") {
        rest = after;
        let Some(value) = after.trim_start().strip_prefix(':').map(str::trim_start) else { continue };
        if !value.starts_with('"') {
            continue;
        }
        let mut values = serde_json::Deserializer::from_str(value).into_iter::<String>();
        if let Some(Ok(string)) = values.next() {
            rest = value.get(values.byte_offset()..).unwrap_or_default();
            out.push(string);
        }
    }
    (!out.is_empty()).then(|| out.join("\n"))
}

type Node = Map<String, Value>;

fn children(node: &Node) -> impl Iterator<Item = &Node> {
    node.get("content").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

fn kind(node: &Node) -> &str {
    node.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn attribute<'a>(node: &'a Node, name: &str) -> Option<&'a Value> {
    node.get("attrs")?.get(name)
}

fn text_attribute<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    attribute(node, name).and_then(Value::as_str)
}

fn number_attribute(node: &Node, name: &str) -> Option<u64> {
    let value = attribute(node, name)?;
    value.as_u64().or_else(|| value.as_f64().filter(|n| *n >= 0.0).map(|n| n.round() as u64))
}

/// Reads the blocks below a node; inlines that stand there bare are a paragraph.
fn blocks_of(node: &Node) -> Vec<Block> {
    let mut out = Vec::new();
    let mut line = Vec::new();
    for child in children(node) {
        if is_inline(kind(child)) {
            inline(child, &mut line);
            continue;
        }
        if !line.is_empty() {
            out.push(Block::Paragraph(std::mem::take(&mut line)));
        }
        block(child, &mut out);
    }
    if !line.is_empty() {
        out.push(Block::Paragraph(line));
    }
    out
}

fn is_inline(kind: &str) -> bool {
    matches!(
        kind,
        "text"
            | "hardBreak"
            | "mention"
            | "emoji"
            | "date"
            | "status"
            | "inlineCard"
            | "mediaInline"
            | "placeholder"
            | "inlineExtension"
    )
}

fn block(node: &Node, out: &mut Vec<Block>) {
    match kind(node) {
        "paragraph" | "caption" => out.push(Block::Paragraph(line_of(node))),
        "heading" => {
            let level = number_attribute(node, "level").unwrap_or(1).clamp(1, 6) as u8;
            out.push(Block::Heading { level, content: line_of(node) });
        }
        "bulletList" | "decisionList" => out.push(list(node, ListKind::Bullet)),
        "orderedList" => {
            let start = number_attribute(node, "order").unwrap_or(1).min(u64::from(u32::MAX)) as u32;
            out.push(list(node, ListKind::Ordered { start }));
        }
        "taskList" => out.push(list(node, ListKind::Task)),
        "codeBlock" => {
            let text: String =
                children(node).filter_map(|child| child.get("text")).filter_map(Value::as_str).collect();
            let language = text_attribute(node, "language").map(str::to_owned);
            out.push(Block::Code { language, text });
        }
        "blockquote" | "panel" => out.push(Block::Quote(blocks_of(node))),
        "rule" => out.push(Block::Rule),
        "table" => {
            let rows = children(node).map(|row| children(row).map(cell).collect()).collect();
            out.push(Block::Table(rows));
        }
        "expand" | "nestedExpand" => {
            let title = text_attribute(node, "title").unwrap_or_default();
            let marks = Marks { strong: true, ..Marks::default() };
            out.push(Block::Paragraph(vec![Inline::marked(title, &marks)]));
            out.extend(blocks_of(node));
        }
        "mediaSingle" => media(node, out),
        "mediaGroup"
        | "blockCard"
        | "embedCard"
        | "extension"
        | "bodiedExtension"
        | "multiBodiedExtension" => {
            out.push(Block::Opaque(opaque(node)));
        }
        _ => out.extend(blocks_of(node)),
    }
}

fn list(node: &Node, kind: ListKind) -> Block {
    let items = children(node).map(|item| Item {
        done: text_attribute(item, "state") == Some("DONE"),
        // A list nested in a task list stands beside its item.
        blocks: if self::kind(item).ends_with("List") { nested(item) } else { blocks_of(item) },
    });
    Block::List(List { kind, items: items.collect() })
}

fn nested(node: &Node) -> Vec<Block> {
    let mut out = Vec::new();
    block(node, &mut out);
    out
}

fn cell(node: &Node) -> Cell {
    let span = |name| number_attribute(node, name).unwrap_or(1).clamp(1, u64::from(u16::MAX)) as u16;
    Cell {
        header: kind(node) == "tableHeader",
        colspan: span("colspan"),
        rowspan: span("rowspan"),
        blocks: blocks_of(node),
    }
}

/// An external picture is an image; one that lives in the system's own store can
/// be said by this notation only.
fn media(node: &Node, out: &mut Vec<Block>) {
    let external = children(node).find(|child| text_attribute(child, "type") == Some("external"));
    let Some((media, url)) = external.and_then(|media| Some((media, text_attribute(media, "url")?))) else {
        return out.push(Block::Opaque(opaque(node)));
    };
    let width = number_attribute(media, "width").and_then(|width| u32::try_from(width).ok());
    out.push(Block::Paragraph(vec![Inline::Image(Image {
        source: url.to_owned(),
        alt: text_attribute(media, "alt").unwrap_or_default().to_owned(),
        width,
    })]));
    for caption in children(node).filter(|child| kind(child) == "caption") {
        block(caption, out);
    }
}

fn opaque(node: &Node) -> Opaque {
    let mut text = String::new();
    gather_text(node, &mut text);
    if text.is_empty() {
        text = format!("[{}]", kind(node));
    }
    Opaque { notation: Notation::Adf, source: Value::Object(node.clone()).to_string(), text }
}

fn gather_text(node: &Node, out: &mut String) {
    let own = node.get("text").and_then(Value::as_str);
    let shown = own.or_else(|| ["text", "alt", "url"].iter().find_map(|name| text_attribute(node, name)));
    if let Some(shown) = shown.filter(|shown| !shown.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(shown);
    }
    for child in children(node) {
        gather_text(child, out);
    }
}

fn line_of(node: &Node) -> Vec<Inline> {
    let mut out = Vec::new();
    for child in children(node) {
        inline(child, &mut out);
    }
    out
}

fn inline(node: &Node, out: &mut Vec<Inline>) {
    match kind(node) {
        "text" => {
            let text = node.get("text").and_then(Value::as_str).unwrap_or_default();
            out.push(Inline::marked(text, &marks(node)));
        }
        "hardBreak" => out.push(Inline::Break),
        "mention" => out.push(Inline::Mention {
            id: text_attribute(node, "id").unwrap_or_default().to_owned(),
            name: text_attribute(node, "text").unwrap_or_default().to_owned(),
        }),
        "emoji" => {
            let shown = text_attribute(node, "text").or_else(|| text_attribute(node, "shortName"));
            out.push(Inline::plain(shown.unwrap_or_default()));
        }
        "date" => out.push(date(node)),
        "status" => out.push(Inline::plain(text_attribute(node, "text").unwrap_or_default())),
        "inlineCard" => {
            let url = text_attribute(node, "url").unwrap_or_default();
            out.push(Inline::marked(url, &Marks { link: Some(url.to_owned()), ..Marks::default() }));
        }
        "mediaInline" | "placeholder" | "inlineExtension" => out.push(Inline::Opaque(opaque(node))),
        _ => {
            let mut text = String::new();
            gather_text(node, &mut text);
            out.push(Inline::plain(text));
        }
    }
}

/// A day is kept as milliseconds since 1970, most often as text.
fn date(node: &Node) -> Inline {
    let stamp = text_attribute(node, "timestamp")
        .and_then(|text| text.parse::<i64>().ok())
        .or_else(|| attribute(node, "timestamp").and_then(Value::as_i64));
    match stamp.and_then(chrono::DateTime::from_timestamp_millis) {
        Some(instant) => Inline::Date(instant.date_naive().to_string()),
        None => Inline::plain(text_attribute(node, "timestamp").unwrap_or_default()),
    }
}

fn marks(node: &Node) -> Marks {
    let mut marks = Marks::default();
    for mark in node.get("marks").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
    {
        match kind(mark) {
            "strong" => marks.strong = true,
            "em" => marks.em = true,
            "underline" => marks.underline = true,
            "strike" => marks.strike = true,
            "code" => marks.code = true,
            "subsup" => {
                let raised = text_attribute(mark, "type") == Some("sup");
                marks.script = Some(if raised { Script::Sup } else { Script::Sub });
            }
            "textColor" => marks.color = text_attribute(mark, "color").and_then(Color::parse),
            "link" => marks.link = text_attribute(mark, "href").map(str::to_owned),
            _ => {}
        }
    }
    marks
}
