//! Memo fields: whole HTML documents, cleaned and laid out as the server does it.

use html5ever::tendril::TendrilSink;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use crate::sandbox::world::{Block, Inline, RichText};

/// Elements that stand on lines of their own.
const BLOCKS: [&str; 24] = [
    "address",
    "blockquote",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "table",
    "tbody",
    "td",
    "th",
    "tr",
    "ul",
];
/// Blocks whose content begins on a line of its own.
const OPENED: [&str; 9] = ["div", "ul", "ol", "table", "tbody", "tr", "blockquote", "center", "dl"];
/// Elements that vanish with all that is in them.
const DROPPED: [&str; 13] = [
    "script", "style", "iframe", "object", "embed", "applet", "form", "input", "button", "select",
    "textarea", "meta", "link",
];
/// Elements within a line that are kept.
const INLINE: [&str; 27] = [
    "a", "abbr", "b", "big", "br", "code", "del", "em", "font", "i", "img", "ins", "kbd", "q", "s", "samp",
    "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "var", "cite", "mark",
];
/// Elements of tables that are kept beside the blocks.
const TABLE: [&str; 5] = ["thead", "tfoot", "caption", "colgroup", "col"];
/// Elements without an end.
const VOID: [&str; 4] = ["br", "hr", "img", "col"];
/// The signs that [`memo`] writes around a whole document.
const START: &str = "<html><body>\n";
const END: &str = "\n</body></html>";

/// What a memo field holds after something was written to it; empty for nothing.
pub(super) fn memo(text: &str) -> String {
    if text.trim().is_empty() {
        return String::new();
    }
    let dom = parse_document(RcDom::default(), ParseOpts::default()).one(text);
    let mut out = String::from(START);
    if let Some(body) = body(&dom.document) {
        children(&body, false, &mut out);
    }
    let kept = out.trim_end().len().max(START.len());
    out.truncate(kept);
    if out.len() == START.len() {
        out.truncate(START.len() - 1);
    }
    out.push_str(END);
    out
}

fn body(node: &Handle) -> Option<Handle> {
    if name(node) == Some("body") {
        return Some(node.clone());
    }
    let children = node.children.borrow();
    children.iter().find_map(body)
}

fn name(node: &Handle) -> Option<&str> {
    match &node.data {
        NodeData::Element { name, .. } => Some(&name.local),
        _ => None,
    }
}

fn is_block(node: &Handle) -> bool {
    name(node).is_some_and(|n| BLOCKS.contains(&n) || TABLE.contains(&n))
}

fn children(node: &Handle, verbatim: bool, out: &mut String) {
    let children = node.children.borrow();
    for (at, child) in children.iter().enumerate() {
        let block_before = at.checked_sub(1).is_some_and(|b| is_block(&children[b]));
        let block_after = children.get(at + 1).is_some_and(is_block);
        match &child.data {
            NodeData::Text { contents } if verbatim => escape(&contents.borrow(), out),
            NodeData::Text { contents } => {
                let contents = contents.borrow();
                let mut text = collapse(&contents);
                if block_before || out.ends_with('\n') {
                    text = text.trim_start_matches(' ').to_owned();
                }
                if block_after || (at + 1 == children.len() && is_block(node)) {
                    text = text.trim_end_matches(' ').to_owned();
                }
                escape(&text, out);
            }
            NodeData::Element { .. } => element(child, verbatim, out),
            _ => {}
        }
    }
}

fn element(node: &Handle, verbatim: bool, out: &mut String) {
    let Some(tag) = name(node) else { return };
    if DROPPED.contains(&tag) {
        return;
    }
    let block = is_block(node);
    if !block && !INLINE.contains(&tag) {
        children(node, verbatim, out);
        return;
    }
    if block && !out.ends_with('\n') {
        line_end(out);
    }
    out.push('<');
    out.push_str(tag);
    attributes(node, tag, out);
    if VOID.contains(&tag) {
        out.push_str(" />");
        return;
    }
    out.push('>');
    let opened = OPENED.contains(&tag);
    if opened {
        out.push('\n');
    }
    children(node, verbatim || tag == "pre", out);
    if opened && !out.ends_with('\n') {
        line_end(out);
    }
    out.push_str("</");
    out.push_str(tag);
    out.push('>');
}

fn line_end(out: &mut String) {
    let kept = out.trim_end_matches(' ').len();
    out.truncate(kept);
    out.push('\n');
}

fn attributes(node: &Handle, tag: &str, out: &mut String) {
    let NodeData::Element { attrs, .. } = &node.data else { return };
    for attribute in attrs.borrow().iter() {
        let (name, value) = (&*attribute.name.local, attribute.value.trim());
        let scheme = value.to_ascii_lowercase();
        let image = tag == "img" && name == "src";
        let fine = match name {
            _ if name.starts_with("on") => false,
            "src" if image => ["http://", "https://", "data:"].iter().any(|s| scheme.starts_with(s)),
            "href" | "src" => !scheme.starts_with("javascript:") && !scheme.starts_with("vbscript:"),
            _ => name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'),
        };
        if fine {
            out.push(' ');
            out.push_str(name);
            out.push_str("=\"");
            escape_into(&attribute.value, true, out);
            out.push('"');
        }
    }
}

/// Line ends and runs of blanks are one blank.
fn collapse(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' | '\t' | '\n' | '\r' => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            c => out.push(c),
        }
    }
    out
}

fn escape(text: &str, out: &mut String) {
    escape_into(text, false, out);
}

fn escape_into(text: &str, quotes: bool, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if quotes => out.push_str("&quot;"),
            '\u{a0}' => out.push_str("&nbsp;"),
            c => out.push(c),
        }
    }
}

/// The company's rich text as the desktop client's editor would have saved it; empty for none.
pub(super) fn of_world(text: &RichText) -> String {
    let mut out = String::new();
    blocks(&text.0, &mut out);
    out
}

fn blocks(list: &[Block], out: &mut String) {
    for block in list {
        match block {
            Block::Paragraph(line) => wrap("div", line, out),
            Block::Heading(level, line) => wrap(&format!("h{level}"), line, out),
            Block::List { ordered, items } => {
                let tag = if *ordered { "ol" } else { "ul" };
                out.push_str(&format!("<{tag}>"));
                for item in items {
                    out.push_str("<li>");
                    match item.split_first() {
                        Some((Block::Paragraph(line), rest)) => {
                            inlines(line, out);
                            blocks(rest, out);
                        }
                        _ => blocks(item, out),
                    }
                    out.push_str("</li>");
                }
                out.push_str(&format!("</{tag}>"));
            }
            Block::Table(rows) => {
                out.push_str("<table border=\"1\">");
                for (at, row) in rows.iter().enumerate() {
                    out.push_str("<tr>");
                    row.iter().for_each(|cell| wrap(if at == 0 { "th" } else { "td" }, cell, out));
                    out.push_str("</tr>");
                }
                out.push_str("</table>");
            }
            Block::Code(code) => {
                out.push_str("<pre>");
                escape(code, out);
                out.push_str("</pre>");
            }
        }
    }
}

fn wrap(tag: &str, line: &[Inline], out: &mut String) {
    out.push_str(&format!("<{tag}>"));
    inlines(line, out);
    out.push_str(&format!("</{tag}>"));
}

fn inlines(line: &[Inline], out: &mut String) {
    for inline in line {
        match inline {
            Inline::Text(text) => escape(text, out),
            Inline::Bold(inner) => wrap("b", inner, out),
            Inline::Italic(inner) => wrap("i", inner, out),
            Inline::Underline(inner) => wrap("u", inner, out),
            Inline::Code(code) => {
                out.push_str("<code>");
                escape(code, out);
                out.push_str("</code>");
            }
            Inline::Link { url, text } => {
                out.push_str("<a href=\"");
                escape_into(url, true, out);
                out.push_str("\">");
                escape(text, out);
                out.push_str("</a>");
            }
            Inline::Image { url, alt } => {
                out.push_str("<img src=\"");
                escape_into(url, true, out);
                out.push_str("\" alt=\"");
                escape_into(alt, true, out);
                out.push_str("\">");
            }
            Inline::Break => out.push_str("<br>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memos_are_laid_out_as_the_capture_shows() {
        let sent = "<html><body><b>bold</b> <i>italic</i> <u>under</u> <font color=\"#ff0000\">red</font><ul><li>li-one</li>\
                    <li>li-two</li></ul><table border=\"1\"><tr><td>cell-a</td><td>cell-b</td></tr></table>\
                    <a href=\"http://example.com/x\">link-text</a> &amp;amp; <span style=\"background-color:yellow\">hl</span>\
                    <div style=\"text-align:center\">centered</div><script>alert(1)</script></body></html>";
        let kept = "<html><body>\n<b>bold</b> <i>italic</i> <u>under</u> <font color=\"#ff0000\">red</font>\n<ul>\n<li>li-one</li>\n\
                    <li>li-two</li>\n</ul>\n<table border=\"1\">\n<tbody>\n<tr>\n<td>cell-a</td>\n<td>cell-b</td>\n</tr>\n</tbody>\n</table>\
                    <a href=\"http://example.com/x\">link-text</a> &amp;amp; <span style=\"background-color:yellow\">hl</span>\n\
                    <div style=\"text-align:center\">\ncentered\n</div>\n</body></html>";
        assert_eq!(memo(sent), kept);
        assert_eq!(memo(kept), kept, "what was read can be written back");
    }

    #[test]
    fn plain_text_is_wrapped_and_dangerous_parts_vanish() {
        assert_eq!(memo("one\r\n two"), "<html><body>\none two\n</body></html>");
        assert_eq!(memo("Uses <<<name>>> here"), "<html><body>\nUses &lt;&lt;&gt;&gt; here\n</body></html>");
        assert_eq!(
            memo("Uses &lt;&lt;&lt;name&gt;&gt;&gt;"),
            "<html><body>\nUses &lt;&lt;&lt;name&gt;&gt;&gt;\n</body></html>"
        );
        let image = "<p>before</p><img src=\"attachments/a.png\" onclick=\"x()\"><p>after</p>";
        assert_eq!(memo(image), "<html><body>\n<p>before</p><img />\n<p>after</p>\n</body></html>");
        assert_eq!(memo("  "), "");
    }

    #[test]
    fn all_that_the_company_writes_is_stable() {
        let world = crate::sandbox::world::World::generate(60, 3);
        for case in &world.cases {
            let texts = case.steps.iter().flat_map(|s| [&s.action, &s.expected]);
            for text in texts.chain([&case.description]) {
                let once = memo(&of_world(text));
                assert_eq!(memo(&once), once);
            }
        }
    }
}
