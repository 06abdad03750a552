//! Writes Atlassian Document Format by the grammar.

use serde_json::{Map, Value, json};

use crate::text::tree::{Block, Cell, Document, Inline, Item, List, ListKind, Marks, Opaque, Run, Script};
use crate::text::url;

/// Writes a document that has been brought down to what the format can say.
pub(in crate::text) fn write(document: &Document) -> String {
    let mut writer = Writer { tasks: 0 };
    let content = writer.blocks(&document.blocks);
    json!({"version": 1, "type": "doc", "content": content}).to_string()
}

struct Writer {
    /// Tasks need an id that is unique in the document; a count keeps the text
    /// the same every time.
    tasks: usize,
}

impl Writer {
    fn blocks(&mut self, blocks: &[Block]) -> Vec<Value> {
        blocks.iter().map(|block| self.block(block)).collect()
    }

    /// Writes blocks where at least one must stand.
    fn some_blocks(&mut self, blocks: &[Block]) -> Vec<Value> {
        let content = self.blocks(blocks);
        if content.is_empty() { vec![json!({"type": "paragraph", "content": []})] } else { content }
    }

    fn block(&mut self, block: &Block) -> Value {
        match block {
            Block::Paragraph(content) => paragraph(content),
            Block::Heading { level, content } => {
                json!({"type": "heading", "attrs": {"level": level}, "content": line(content)})
            }
            Block::List(list) => self.list(list),
            Block::Code { language, text } => {
                let mut node = json!({"type": "codeBlock", "content": [{"type": "text", "text": text}]});
                if let (Some(language), Some(node)) = (language, node.as_object_mut()) {
                    node.insert("attrs".to_owned(), json!({"language": language}));
                }
                node
            }
            Block::Quote(inner) => json!({"type": "blockquote", "content": self.some_blocks(inner)}),
            Block::Rule => json!({"type": "rule"}),
            Block::Table(rows) => {
                let rows: Vec<Value> = rows.iter().map(|row| self.row(row)).collect();
                json!({"type": "table", "content": rows})
            }
            Block::Opaque(opaque) => source_of(opaque).unwrap_or_else(
                || json!({"type": "paragraph", "content": line(&[Inline::plain(opaque.text.clone())])}),
            ),
        }
    }

    fn list(&mut self, list: &List) -> Value {
        match list.kind {
            ListKind::Bullet => json!({"type": "bulletList", "content": self.items(&list.items)}),
            ListKind::Ordered { start: 1 } => {
                json!({"type": "orderedList", "content": self.items(&list.items)})
            }
            ListKind::Ordered { start } => {
                json!({"type": "orderedList", "attrs": {"order": start}, "content": self.items(&list.items)})
            }
            ListKind::Task => self.tasks(&list.items),
        }
    }

    fn items(&mut self, items: &[Item]) -> Vec<Value> {
        items
            .iter()
            .map(|item| json!({"type": "listItem", "content": self.some_blocks(&item.blocks)}))
            .collect()
    }

    fn tasks(&mut self, items: &[Item]) -> Value {
        let id = self.next_id();
        let mut content = Vec::new();
        for item in items {
            let state = if item.done { "DONE" } else { "TODO" };
            let text: Vec<Value> = item
                .blocks
                .iter()
                .filter_map(|block| if let Block::Paragraph(text) = block { Some(line(text)) } else { None })
                .flatten()
                .collect();
            content.push(json!({
                "type": "taskItem", "attrs": {"localId": self.next_id(), "state": state}, "content": text
            }));
            for block in &item.blocks {
                if let Block::List(nested) = block {
                    content.push(self.list(nested));
                }
            }
        }
        json!({"type": "taskList", "attrs": {"localId": id}, "content": content})
    }

    fn next_id(&mut self) -> String {
        self.tasks += 1;
        format!("task-{}", self.tasks)
    }

    fn row(&mut self, row: &[Cell]) -> Value {
        let cells: Vec<Value> = row.iter().map(|cell| self.cell(cell)).collect();
        json!({"type": "tableRow", "content": cells})
    }

    fn cell(&mut self, cell: &Cell) -> Value {
        let kind = if cell.header { "tableHeader" } else { "tableCell" };
        let mut attributes = Map::new();
        for (name, span) in [("colspan", cell.colspan), ("rowspan", cell.rowspan)] {
            if span > 1 {
                attributes.insert(name.to_owned(), span.into());
            }
        }
        json!({"type": kind, "attrs": attributes, "content": self.some_blocks(&cell.blocks)})
    }
}

fn paragraph(content: &[Inline]) -> Value {
    let [Inline::Image(image)] = content else {
        return json!({"type": "paragraph", "content": line(content)});
    };
    let mut media = Map::new();
    media.insert("type".to_owned(), "external".into());
    media.insert("url".to_owned(), image.source.clone().into());
    if !image.alt.is_empty() {
        media.insert("alt".to_owned(), image.alt.clone().into());
    }
    if let Some(width) = image.width {
        media.insert("width".to_owned(), width.into());
    }
    json!({
        "type": "mediaSingle",
        "attrs": {"layout": "center"},
        "content": [{"type": "media", "attrs": media}]
    })
}

fn line(content: &[Inline]) -> Vec<Value> {
    url::with_links(content).iter().filter_map(inline).collect()
}

fn inline(inline: &Inline) -> Option<Value> {
    Some(match inline {
        Inline::Text(run) if run.text.is_empty() => return None,
        Inline::Text(run) => text(run),
        Inline::Break => json!({"type": "hardBreak"}),
        Inline::Image(image) => json!({"type": "text", "text": image.source}),
        Inline::Mention { id, name } if name.is_empty() => json!({"type": "mention", "attrs": {"id": id}}),
        Inline::Mention { id, name } => {
            json!({"type": "mention", "attrs": {"id": id, "text": format!("@{name}")}})
        }
        Inline::Date(day) => {
            let midnight = day.parse::<chrono::NaiveDate>().ok()?.and_time(chrono::NaiveTime::MIN).and_utc();
            json!({"type": "date", "attrs": {"timestamp": midnight.timestamp_millis().to_string()}})
        }
        Inline::Opaque(opaque) => match source_of(opaque) {
            Some(node) => node,
            None if opaque.text.is_empty() => return None,
            None => json!({"type": "text", "text": opaque.text}),
        },
    })
}

fn source_of(opaque: &Opaque) -> Option<Value> {
    serde_json::from_str(&opaque.source).ok()
}

fn text(run: &Run) -> Value {
    let marks = marks(&run.marks);
    if marks.is_empty() {
        json!({"type": "text", "text": run.text})
    } else {
        json!({"type": "text", "text": run.text, "marks": marks})
    }
}

fn marks(marks: &Marks) -> Vec<Value> {
    let mut out = Vec::new();
    if let Some(href) = &marks.link {
        out.push(json!({"type": "link", "attrs": {"href": href}}));
    }
    let simple = [
        (marks.strong, "strong"),
        (marks.em, "em"),
        (marks.underline, "underline"),
        (marks.strike, "strike"),
        (marks.code, "code"),
    ];
    out.extend(simple.into_iter().filter(|(set, _)| *set).map(|(_, kind)| json!({"type": kind})));
    if let Some(script) = marks.script {
        let kind = match script {
            Script::Sub => "sub",
            Script::Sup => "sup",
        };
        out.push(json!({"type": "subsup", "attrs": {"type": kind}}));
    }
    if let Some(color) = marks.color {
        out.push(json!({"type": "textColor", "attrs": {"color": color.to_string()}}));
    }
    out
}
