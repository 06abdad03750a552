//! Rich text between its two notations, as far as a reader of the other version must see it.

use serde_json::{Value, json};

use crate::sandbox::jira_xray::store::Rich;

impl Rich {
    /// The document of version 3.
    pub(crate) fn to_adf(&self) -> Value {
        match self {
            Self::Adf(text) => serde_json::from_str(text).unwrap_or(Value::Null),
            Self::Wiki(text) => wiki_to_adf(text),
        }
    }

    /// The wiki markup of version 2 and of Xray.
    pub(crate) fn to_wiki(&self) -> String {
        match self {
            Self::Wiki(text) => text.to_string(),
            Self::Adf(text) => {
                let doc = serde_json::from_str(text).unwrap_or(Value::Null);
                let mut out = String::new();
                blocks_to_wiki(&doc, "", &mut out);
                out.trim_end().to_owned()
            }
        }
    }

    /// All words without markup, for searching and for the changelog.
    pub(crate) fn plain(&self) -> String {
        match self {
            Self::Wiki(text) => text.to_string(),
            Self::Adf(text) => {
                let doc = serde_json::from_str(text).unwrap_or(Value::Null);
                let mut out = String::new();
                collect_text(&doc, &mut out);
                out.trim().to_owned()
            }
        }
    }

    /// HTML as `renderedFields` has it.
    pub(crate) fn to_html(&self) -> String {
        let mut out = String::new();
        for node in children(&self.to_adf()) {
            block_to_html(node, &mut out);
        }
        out
    }
}

fn children(node: &Value) -> &[Value] {
    node.get("content").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn kind(node: &Value) -> &str {
    node.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn attr<'a>(node: &'a Value, name: &str) -> &'a str {
    node.pointer(&format!("/attrs/{name}")).and_then(Value::as_str).unwrap_or_default()
}

fn collect_text(node: &Value, out: &mut String) {
    match kind(node) {
        "text" => out.push_str(node.get("text").and_then(Value::as_str).unwrap_or_default()),
        "hardBreak" => out.push('\n'),
        "mention" | "emoji" | "status" => out.push_str(attr(node, "text")),
        _ => {
            for child in children(node) {
                collect_text(child, out);
            }
            if matches!(kind(node), "paragraph" | "heading" | "codeBlock") {
                out.push('\n');
            }
        }
    }
}

fn blocks_to_wiki(parent: &Value, list: &str, out: &mut String) {
    for node in children(parent) {
        block_to_wiki(node, list, out);
    }
}

fn block_to_wiki(node: &Value, list: &str, out: &mut String) {
    let line = |out: &mut String| {
        for child in children(node) {
            inline_to_wiki(child, out);
        }
    };
    match kind(node) {
        "heading" => {
            let level = node.pointer("/attrs/level").and_then(Value::as_u64).unwrap_or(1);
            out.push_str(&format!("h{level}. "));
            line(out);
            out.push_str("\n\n");
        }
        "bulletList" | "orderedList" => {
            let marker = format!("{list}{}", if kind(node) == "bulletList" { '*' } else { '#' });
            for item in children(node) {
                list_item_to_wiki(item, &marker, out);
            }
            if list.is_empty() {
                out.push('\n');
            }
        }
        "codeBlock" => {
            let language = attr(node, "language");
            let head = if language.is_empty() { "{code}".into() } else { format!("{{code:{language}}}") };
            out.push_str(&head);
            out.push('\n');
            collect_text(node, out);
            out.push_str("{code}\n\n");
        }
        "blockquote" => wrap_wiki("quote", node, out),
        "panel" => wrap_wiki("panel", node, out),
        "rule" => out.push_str("----\n\n"),
        "table" => table_to_wiki(node, out),
        "paragraph" => {
            line(out);
            out.push_str("\n\n");
        }
        _ => blocks_to_wiki(node, list, out),
    }
}

fn wrap_wiki(name: &str, node: &Value, out: &mut String) {
    let mut inner = String::new();
    blocks_to_wiki(node, "", &mut inner);
    out.push_str(&format!("{{{name}}}\n{}\n{{{name}}}\n\n", inner.trim_end()));
}

fn list_item_to_wiki(item: &Value, marker: &str, out: &mut String) {
    for (at, child) in children(item).iter().enumerate() {
        if matches!(kind(child), "bulletList" | "orderedList") {
            block_to_wiki(child, marker, out);
            continue;
        }
        let mut text = String::new();
        block_to_wiki(child, "", &mut text);
        if at == 0 {
            out.push_str(&format!("{marker} "));
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
}

fn table_to_wiki(node: &Value, out: &mut String) {
    for row in children(node) {
        let mut bar = "|";
        for cell in children(row) {
            bar = if kind(cell) == "tableHeader" { "||" } else { "|" };
            let mut text = String::new();
            blocks_to_wiki(cell, "", &mut text);
            out.push_str(&format!("{bar}{}", text.trim_end().replace("\n\n", "\\\\")));
        }
        out.push_str(bar);
        out.push('\n');
    }
    out.push('\n');
}

fn inline_to_wiki(node: &Value, out: &mut String) {
    match kind(node) {
        "hardBreak" => out.push('\n'),
        "mention" => out.push_str(&format!("[~accountid:{}]", attr(node, "id"))),
        "inlineCard" => {
            let url = attr(node, "url");
            out.push_str(&format!("[{url}|{url}|smart-link]"));
        }
        "emoji" => out.push_str(attr(node, "shortName")),
        "status" => out.push_str(attr(node, "text")),
        "text" => {
            let mut text = node.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
            for mark in node.get("marks").and_then(Value::as_array).into_iter().flatten() {
                text = match kind(mark) {
                    "strong" => format!("*{text}*"),
                    "em" => format!("_{text}_"),
                    "underline" => format!("+{text}+"),
                    "strike" => format!("-{text}-"),
                    "code" => format!("{{{{{text}}}}}"),
                    "subsup" if attr(mark, "type") == "sub" => format!("~{text}~"),
                    "subsup" => format!("^{text}^"),
                    "textColor" => format!("{{color:{}}}{text}{{color}}", attr(mark, "color")),
                    "link" => format!("[{text}|{}]", attr(mark, "href")),
                    _ => text,
                };
            }
            out.push_str(&text);
        }
        _ => {}
    }
}

/// Makes a document of wiki markup: headings, lists, code, rules and links; the
/// rest stays as text.
fn wiki_to_adf(text: &str) -> Value {
    let mut blocks = Vec::new();
    let text = text.replace("\r\n", "\n");
    let mut lines = text.split('\n').peekable();
    let mut open: Vec<&str> = Vec::new();
    while let Some(line) = lines.next() {
        let special = special_line(line);
        if special.is_some() || line.trim().is_empty() || list_marker(line).is_some() {
            flush(&mut open, &mut blocks);
        }
        if let Some(block) = special {
            blocks.push(block);
        } else if line.starts_with("{code") || line.starts_with("{noformat") {
            flush(&mut open, &mut blocks);
            let mut code = Vec::new();
            for inner in lines.by_ref() {
                if inner.starts_with("{code") || inner.starts_with("{noformat") {
                    break;
                }
                code.push(inner);
            }
            blocks.push(code_block(&code.join("\n")));
        } else if let Some((ordered, rest)) = list_marker(line) {
            push_item(&mut blocks, ordered, rest);
        } else if !line.trim().is_empty() {
            open.push(line);
        }
    }
    flush(&mut open, &mut blocks);
    json!({"type": "doc", "version": 1, "content": blocks})
}

fn special_line(line: &str) -> Option<Value> {
    if line.trim() == "----" {
        return Some(json!({"type": "rule"}));
    }
    let level = line.strip_prefix('h')?.chars().next()?.to_digit(10)?;
    let rest = line.get(2..)?.strip_prefix(". ")?;
    (1..=6)
        .contains(&level)
        .then(|| json!({"type": "heading", "attrs": {"level": level}, "content": inline(rest)}))
}

fn list_marker(line: &str) -> Option<(bool, &str)> {
    let rest = line.trim_start_matches(['*', '#']);
    let marker = &line[..line.len() - rest.len()];
    let rest = rest.strip_prefix(' ')?;
    (!marker.is_empty() && !rest.trim().is_empty()).then(|| (marker.ends_with('#'), rest))
}

fn code_block(code: &str) -> Value {
    match code.is_empty() {
        true => json!({"type": "codeBlock"}),
        false => json!({"type": "codeBlock", "content": [{"type": "text", "text": code}]}),
    }
}

fn push_item(blocks: &mut Vec<Value>, ordered: bool, text: &str) {
    let list = if ordered { "orderedList" } else { "bulletList" };
    let item = json!({"type": "listItem", "content": [{"type": "paragraph", "content": inline(text)}]});
    if let Some(last) = blocks.last_mut().filter(|b| kind(b) == list)
        && let Some(items) = last.get_mut("content").and_then(Value::as_array_mut)
    {
        items.push(item);
        return;
    }
    blocks.push(json!({"type": list, "content": [item]}));
}

fn flush(open: &mut Vec<&str>, blocks: &mut Vec<Value>) {
    if open.is_empty() {
        return;
    }
    let mut content = Vec::new();
    for (at, line) in open.drain(..).enumerate() {
        if at > 0 {
            content.push(json!({"type": "hardBreak"}));
        }
        content.extend(inline(line));
    }
    blocks.push(json!({"type": "paragraph", "content": content}));
}

/// Splits a line into text with the commonest marks.
fn inline(line: &str) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    let mut rest = line;
    let mut plain = String::new();
    while let Some(c) = rest.chars().next() {
        let at_word = plain.chars().last().is_none_or(|p| !p.is_alphanumeric());
        if let Some((node, used)) = at_word.then(|| marked(rest)).flatten() {
            if !plain.is_empty() {
                out.push(json!({"type": "text", "text": std::mem::take(&mut plain)}));
            }
            out.push(node);
            rest = &rest[used..];
            continue;
        }
        plain.push(c);
        rest = &rest[c.len_utf8()..];
    }
    if !plain.is_empty() {
        out.push(json!({"type": "text", "text": plain}));
    }
    out
}

fn marked(rest: &str) -> Option<(Value, usize)> {
    if let Some(inner) = rest.strip_prefix("{{") {
        let end = inner.find("}}").filter(|e| *e > 0)?;
        let node = json!({"type": "text", "text": &inner[..end], "marks": [{"type": "code"}]});
        return Some((node, end + 4));
    }
    if let Some(inner) = rest.strip_prefix('[') {
        let end = inner.find(']')?;
        let (text, href) = inner[..end].split_once('|').unwrap_or((&inner[..end], &inner[..end]));
        let href = href.split('|').next().unwrap_or(href);
        if text.is_empty() || !(href.starts_with("http") || href.starts_with("mailto:")) {
            return None;
        }
        let link = json!({"type": "link", "attrs": {"href": href}});
        return Some((json!({"type": "text", "text": text, "marks": [link]}), end + 2));
    }
    for (sign, mark) in [('*', "strong"), ('_', "em"), ('+', "underline"), ('-', "strike")] {
        let Some(inner) = rest.strip_prefix(sign) else { continue };
        let end = inner.find(sign).filter(|e| *e > 0)?;
        let text = &inner[..end];
        let after = inner[end + 1..].chars().next();
        if text.starts_with(' ') || text.ends_with(' ') || after.is_some_and(char::is_alphanumeric) {
            return None;
        }
        let node = json!({"type": "text", "text": text, "marks": [{"type": mark}]});
        return Some((node, end + 2));
    }
    None
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn block_to_html(node: &Value, out: &mut String) {
    let tag = match kind(node) {
        "paragraph" => "p".to_owned(),
        "heading" => {
            format!("h{}", node.pointer("/attrs/level").and_then(Value::as_u64).unwrap_or(1))
        }
        "bulletList" => "ul".to_owned(),
        "orderedList" => "ol".to_owned(),
        "listItem" => "li".to_owned(),
        "blockquote" => "blockquote".to_owned(),
        "codeBlock" => "pre".to_owned(),
        "table" => "table".to_owned(),
        "tableRow" => "tr".to_owned(),
        "tableCell" => "td".to_owned(),
        "tableHeader" => "th".to_owned(),
        "rule" => {
            out.push_str("<hr />");
            return;
        }
        "text" | "hardBreak" | "mention" | "emoji" | "inlineCard" | "status" => {
            inline_to_html(node, out);
            return;
        }
        _ => "div".to_owned(),
    };
    out.push_str(&format!("<{tag}>"));
    for child in children(node) {
        block_to_html(child, out);
    }
    out.push_str(&format!("</{tag}>"));
}

fn inline_to_html(node: &Value, out: &mut String) {
    match kind(node) {
        "hardBreak" => out.push_str("<br />"),
        "text" => {
            let mut text = escape(node.get("text").and_then(Value::as_str).unwrap_or_default());
            for mark in node.get("marks").and_then(Value::as_array).into_iter().flatten() {
                text = match kind(mark) {
                    "strong" => format!("<b>{text}</b>"),
                    "em" => format!("<em>{text}</em>"),
                    "underline" => format!("<ins>{text}</ins>"),
                    "strike" => format!("<del>{text}</del>"),
                    "code" => format!("<tt>{text}</tt>"),
                    "link" => format!("<a href=\"{}\">{text}</a>", escape(attr(mark, "href"))),
                    _ => text,
                };
            }
            out.push_str(&text);
        }
        _ => out.push_str(&escape(attr(node, "text"))),
    }
}
