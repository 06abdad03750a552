//! The company's rich text in Jira's two notations, as Jira's own editors would save it.

use serde_json::{Value, json};

use crate::sandbox::world::{Block, Inline, RichText};

/// The document, as JSON text; `None` if the field is not filled.
pub(crate) fn to_adf(text: &RichText) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let content: Vec<Value> = text.0.iter().flat_map(adf_block).collect();
    Some(json!({"version": 1, "type": "doc", "content": content}).to_string())
}

fn adf_block(block: &Block) -> Vec<Value> {
    match block {
        Block::Paragraph(line) => adf_paragraphs(line),
        Block::Heading(level, line) => {
            let node = json!({"type": "heading", "attrs": {"level": level}, "content": adf_line(line, &[])});
            vec![node]
        }
        Block::List { ordered, items } => {
            let kind = if *ordered { "orderedList" } else { "bulletList" };
            let item = |item: &Vec<Block>| {
                let content: Vec<Value> = item.iter().flat_map(adf_block).collect();
                json!({"type": "listItem", "content": content})
            };
            let mut node = json!({"type": kind});
            if *ordered {
                node["attrs"] = json!({"order": 1});
            }
            node["content"] = items.iter().map(item).collect();
            vec![node]
        }
        Block::Table(rows) => vec![adf_table(rows)],
        Block::Code(code) if code.is_empty() => vec![json!({"type": "codeBlock", "attrs": {}})],
        Block::Code(code) => vec![json!({
            "type": "codeBlock", "attrs": {}, "content": [{"type": "text", "text": code}]
        })],
    }
}

fn adf_table(rows: &[Vec<Vec<Inline>>]) -> Value {
    let row = |(at, row): (usize, &Vec<Vec<Inline>>)| {
        let kind = if at == 0 { "tableHeader" } else { "tableCell" };
        let cell = |cell: &Vec<Inline>| json!({"type": kind, "attrs": {}, "content": [{"type": "paragraph", "content": adf_line(cell, &[])}]});
        json!({"type": "tableRow", "content": row.iter().map(cell).collect::<Vec<_>>()})
    };
    json!({
        "type": "table", "attrs": {"isNumberColumnEnabled": false, "layout": "default"},
        "content": rows.iter().enumerate().map(row).collect::<Vec<_>>()
    })
}

/// A picture is a block of its own here, so it ends the paragraph it stood in.
fn adf_paragraphs(line: &[Inline]) -> Vec<Value> {
    let mut out = Vec::new();
    for part in line.chunk_by(|a, b| is_image(a) == is_image(b)) {
        if let [Inline::Image { .. }, ..] = part {
            for image in part {
                if let Inline::Image { url, alt } = image {
                    let media =
                        json!({"type": "media", "attrs": {"type": "external", "url": url, "alt": alt}});
                    out.push(
                        json!({"type": "mediaSingle", "attrs": {"layout": "center"}, "content": [media]}),
                    );
                }
            }
        } else {
            out.push(json!({"type": "paragraph", "content": adf_line(part, &[])}));
        }
    }
    if out.is_empty() {
        out.push(json!({"type": "paragraph", "content": []}));
    }
    out
}

fn is_image(inline: &Inline) -> bool {
    matches!(inline, Inline::Image { .. })
}

fn adf_line(line: &[Inline], marks: &[Value]) -> Vec<Value> {
    let text = |text: &str, marks: Vec<Value>| {
        let mut node = json!({"type": "text", "text": text});
        if !marks.is_empty() {
            node["marks"] = Value::Array(marks);
        }
        node
    };
    let with = |mark: Value| {
        let mut all = marks.to_vec();
        all.push(mark);
        all
    };
    let mut out = Vec::new();
    for inline in line {
        match inline {
            Inline::Text(words) => out.push(text(words, marks.to_vec())),
            Inline::Bold(inner) => out.extend(adf_line(inner, &with(json!({"type": "strong"})))),
            Inline::Italic(inner) => out.extend(adf_line(inner, &with(json!({"type": "em"})))),
            Inline::Underline(inner) => {
                out.extend(adf_line(inner, &with(json!({"type": "underline"}))));
            }
            // Code stands with no other mark but a link.
            Inline::Code(code) => out.push(text(code, vec![json!({"type": "code"})])),
            Inline::Link { url, text: words } => {
                out.push(text(words, with(json!({"type": "link", "attrs": {"href": url}}))));
            }
            Inline::Image { alt, .. } if alt.is_empty() => {}
            Inline::Image { url, alt } => {
                out.push(text(alt, with(json!({"type": "link", "attrs": {"href": url}}))));
            }
            Inline::Break => out.push(json!({"type": "hardBreak"})),
        }
    }
    out
}

/// Wiki markup.
pub(crate) fn to_wiki(text: &RichText) -> String {
    let mut out = String::new();
    for block in &text.0 {
        wiki_block(block, "", &mut out);
        out.push('\n');
    }
    out.trim_end().to_owned()
}

fn wiki_block(block: &Block, list: &str, out: &mut String) {
    match block {
        Block::Paragraph(line) => {
            out.push_str(&wiki_line(line));
            out.push('\n');
        }
        Block::Heading(level, line) => {
            out.push_str(&format!("h{level}. {}\n", wiki_line(line)));
        }
        Block::List { ordered, items } => {
            let marker = format!("{list}{}", if *ordered { '#' } else { '*' });
            for item in items {
                for (at, inner) in item.iter().enumerate() {
                    if at == 0 {
                        out.push_str(&format!("{marker} "));
                    }
                    wiki_block(inner, &marker, out);
                }
            }
        }
        Block::Table(rows) => {
            for (at, row) in rows.iter().enumerate() {
                let bar = if at == 0 { "||" } else { "|" };
                for cell in row {
                    let cell = wiki_line(cell);
                    let cell = if cell.is_empty() { " ".to_owned() } else { cell };
                    out.push_str(&format!("{bar}{}", cell.replace('\n', "\\\\")));
                }
                out.push_str(&format!("{bar}\n"));
            }
        }
        Block::Code(code) => out.push_str(&format!("{{code}}\n{code}\n{{code}}\n")),
    }
}

fn wiki_line(line: &[Inline]) -> String {
    let mut out = String::new();
    for inline in line {
        match inline {
            Inline::Text(text) => out.push_str(&wiki_escape(text)),
            Inline::Bold(inner) => out.push_str(&format!("*{}*", wiki_line(inner))),
            Inline::Italic(inner) => out.push_str(&format!("_{}_", wiki_line(inner))),
            Inline::Underline(inner) => out.push_str(&format!("+{}+", wiki_line(inner))),
            Inline::Code(code) => out.push_str(&format!("{{{{{code}}}}}")),
            Inline::Link { url, text } => out.push_str(&format!("[{}|{url}]", wiki_escape(text))),
            Inline::Image { url, .. } => out.push_str(&format!("!{url}!")),
            Inline::Break => out.push('\n'),
        }
    }
    out
}

/// Escapes what the markup would swallow. Signs that mark only at the edge of a word
/// are escaped there alone, as the editor does.
fn wiki_escape(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map(|b| chars[b]);
        let after = chars.get(at + 1);
        let inside = before.is_some_and(char::is_alphanumeric) && after.is_some_and(|a| a.is_alphanumeric());
        let spaced =
            before.is_none_or(char::is_whitespace) && after.is_none_or(|a| a.is_whitespace()) && at > 0;
        let phrase = matches!(c, '*' | '_' | '-' | '+' | '^' | '~') && !inside && !spaced;
        if matches!(c, '{' | '}' | '[' | ']' | '|' | '!') || phrase {
            out.push('\\');
        }
        out.push(*c);
    }
    out
}
