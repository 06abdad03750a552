//! Rich text of the made-up company as the service's editor would have saved it.

use std::fmt::Write as _;

use super::super::world::{Block, Inline, RichText};

/// Escapes characters that mean something in HTML and XML.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// A text as HTML; empty for an empty one.
pub(super) fn html(text: &RichText) -> String {
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
                let _ = write!(out, "<{tag}>");
                for item in items {
                    out.push_str("<li>");
                    // The editor puts the words of an item straight into it.
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
                out.push_str("<table><tbody>");
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
                let _ = write!(out, "<pre><code>{}</code></pre>", escape(code));
            }
        }
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
            Inline::Bold(inner) => wrap("b", inner, out),
            Inline::Italic(inner) => wrap("i", inner, out),
            Inline::Underline(inner) => wrap("u", inner, out),
            Inline::Code(code) => {
                let _ = write!(out, "<code>{}</code>", escape(code));
            }
            Inline::Link { url, text } => {
                let _ = write!(out, "<a href=\"{}\">{}</a>", escape(url), escape(text));
            }
            Inline::Image { url, alt } => {
                let _ = write!(out, "<img src=\"{}\" alt=\"{}\">", escape(url), escape(alt));
            }
            Inline::Break => out.push_str("<br>"),
        }
    }
}

/// A text as it stands inside a step: HTML, escaped once more because it is XML text.
pub(super) fn step_text(text: &RichText) -> String {
    let mut out = String::new();
    for block in &text.0 {
        match block {
            // The steps editor makes paragraphs where the description's makes divisions.
            Block::Paragraph(line) => wrap("P", line, &mut out),
            other => blocks(std::slice::from_ref(other), &mut out),
        }
    }
    escape(&out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_once_in_fields_and_twice_in_steps() {
        let text = RichText::plain("2 < 3");
        assert_eq!(html(&text), "<div>2 &lt; 3</div>");
        assert_eq!(step_text(&text), "&lt;P&gt;2 &amp;lt; 3&lt;/P&gt;");
    }
}
