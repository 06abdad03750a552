//! Rich text of the made-up company as the service's editor would have saved it.

use std::fmt::Write as _;

use crate::sandbox::world::{Block, Inline, RichText};

/// Escapes characters that mean something in HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A text as a document; none for an empty one.
pub(super) fn document(text: &RichText) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let mut out = String::from("<html><body>\n");
    blocks(&text.0, &mut out);
    out.push_str("</body></html>");
    Some(out)
}

/// A text as one line of a script.
pub(super) fn line(text: &RichText) -> String {
    text.to_plain().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn blocks(list: &[Block], out: &mut String) {
    for block in list {
        match block {
            Block::Paragraph(line) => wrap("p", line, out),
            Block::Heading(level, line) => wrap(&format!("h{level}"), line, out),
            Block::List { ordered, items } => {
                let tag = if *ordered { "ol" } else { "ul" };
                let _ = write!(out, "<{tag}>");
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
                let _ = write!(out, "</{tag}>");
            }
            Block::Table(rows) => {
                out.push_str("<table border=\"1\"><tbody>");
                for (number, row) in rows.iter().enumerate() {
                    out.push_str("<tr>");
                    for cell in row {
                        wrap(if number == 0 { "th" } else { "td" }, cell, out);
                    }
                    out.push_str("</tr>");
                }
                out.push_str("</tbody></table>");
            }
            Block::Code(code) => {
                let _ = write!(out, "<pre>{}</pre>", escape(code));
            }
        }
        out.push('\n');
    }
}

fn wrap(tag: &str, line: &[Inline], out: &mut String) {
    let _ = write!(out, "<{tag}>");
    inlines(line, out);
    let _ = write!(out, "</{tag}>");
}

fn inlines(line: &[Inline], out: &mut String) {
    for inline in line {
        match inline {
            Inline::Text(text) => out.push_str(&escape(text)),
            Inline::Bold(inner) => wrap("strong", inner, out),
            Inline::Italic(inner) => wrap("em", inner, out),
            Inline::Underline(inner) => wrap("u", inner, out),
            Inline::Code(code) => {
                let _ = write!(out, "<code>{}</code>", escape(code));
            }
            Inline::Link { url, text } => {
                let _ = write!(out, "<a href=\"{}\">{}</a>", escape(url), escape(text));
            }
            Inline::Image { url, alt } => {
                let _ = write!(out, "<img src=\"{}\" alt=\"{}\" />", escape(url), escape(alt));
            }
            Inline::Break => out.push_str("<br />"),
        }
    }
}
