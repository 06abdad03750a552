//! The company's rich text in both of the vendor's notations.

use crate::sandbox::world::{Block, Inline, RichText};

/// HTML as the rich-text editor saves it.
pub(super) fn to_html(text: &RichText) -> String {
    let mut out = String::new();
    text.0.iter().for_each(|block| html_block(block, &mut out));
    out
}

fn html_block(block: &Block, out: &mut String) {
    match block {
        Block::Paragraph(line) => out.push_str(&format!("<p>{}</p>", html_line(line))),
        Block::Heading(level, line) => out.push_str(&format!("<h{level}>{}</h{level}>", html_line(line))),
        Block::List { ordered, items } => {
            let tag = if *ordered { "ol" } else { "ul" };
            out.push_str(&format!("<{tag}>"));
            for item in items {
                out.push_str("<li>");
                for inner in item {
                    match inner {
                        Block::Paragraph(line) => out.push_str(&html_line(line)),
                        other => html_block(other, out),
                    }
                }
                out.push_str("</li>");
            }
            out.push_str(&format!("</{tag}>"));
        }
        Block::Table(rows) => {
            out.push_str("<table><tbody>");
            for (at, row) in rows.iter().enumerate() {
                let tag = if at == 0 { "th" } else { "td" };
                let cells = row.iter().map(|cell| format!("<{tag}>{}</{tag}>", html_line(cell)));
                out.push_str(&format!("<tr>{}</tr>", cells.collect::<String>()));
            }
            out.push_str("</tbody></table>");
        }
        Block::Code(code) => out.push_str(&format!("<pre><code>{}</code></pre>", escape(code))),
    }
}

fn html_line(line: &[Inline]) -> String {
    let one = |inline: &Inline| match inline {
        Inline::Text(text) => escape(text),
        Inline::Bold(inner) => format!("<strong>{}</strong>", html_line(inner)),
        Inline::Italic(inner) => format!("<em>{}</em>", html_line(inner)),
        Inline::Underline(inner) => format!("<u>{}</u>", html_line(inner)),
        Inline::Code(code) => format!("<code>{}</code>", escape(code)),
        Inline::Link { url, text } => {
            format!("<a href=\"{}\" target=\"_blank\">{}</a>", escape(url), escape(text))
        }
        Inline::Image { url, alt } => format!("<img src=\"{}\" alt=\"{}\">", escape(url), escape(alt)),
        Inline::Break => "<br>".to_owned(),
    };
    line.iter().map(one).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Markdown as people typed it before there was an editor. It cannot underline.
pub(super) fn to_markdown(text: &RichText) -> String {
    let mut blocks = Vec::new();
    for block in &text.0 {
        let mut out = String::new();
        markdown_block(block, "", &mut out);
        blocks.push(out.trim_end().to_owned());
    }
    blocks.join("\n\n")
}

fn markdown_block(block: &Block, indent: &str, out: &mut String) {
    match block {
        Block::Paragraph(line) => out.push_str(&format!("{}\n", markdown_line(line))),
        Block::Heading(level, line) => {
            let marks = "#".repeat(usize::from(*level));
            out.push_str(&format!("{marks} {}\n", markdown_line(line)));
        }
        Block::List { ordered, items } => {
            for (item, number) in items.iter().zip(1..) {
                let marker = if *ordered { format!("{number}. ") } else { "* ".to_owned() };
                out.push_str(&format!("{indent}{marker}"));
                let below = format!("{indent}    ");
                item.iter().for_each(|inner| markdown_block(inner, &below, out));
            }
        }
        Block::Table(rows) => {
            for (at, row) in rows.iter().enumerate() {
                let cells: Vec<String> =
                    row.iter().map(|c| markdown_line(c).replace('|', "&#124;")).collect();
                let (start, align) = if at == 0 { ("||", "|:") } else { ("|", "|") };
                out.push_str(&format!("{start}{align}{}\n", cells.join(align)));
            }
        }
        Block::Code(code) => code.lines().for_each(|line| out.push_str(&format!("    {line}\n"))),
    }
}

fn markdown_line(line: &[Inline]) -> String {
    let one = |inline: &Inline| match inline {
        Inline::Text(text) => markdown_escape(text),
        Inline::Bold(inner) => format!("**{}**", markdown_line(inner)),
        Inline::Italic(inner) => format!("_{}_", markdown_line(inner)),
        Inline::Underline(inner) => markdown_line(inner),
        Inline::Code(code) => format!("`{code}`"),
        Inline::Link { url, text } => format!("[{text}]({url})"),
        Inline::Image { url, alt } => format!("![{alt}]({url})"),
        Inline::Break => "\n".to_owned(),
    };
    line.iter().map(one).collect()
}

/// Escapes signs that would mark something; between blanks they do not.
fn markdown_escape(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let blank = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_none_or(|c| c.is_whitespace());
    let mut out = String::with_capacity(text.len());
    for (at, c) in chars.iter().enumerate() {
        let alone = blank(at.checked_sub(1)) && blank(Some(at + 1));
        if matches!(c, '*' | '_' | '`' | '[' | '\\') && !alone {
            out.push('\\');
        }
        out.push(*c);
    }
    out
}
