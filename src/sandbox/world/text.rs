//! Rich text as the company's people typed it, before any system's notation.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Characters, mostly from the word lists, so that a large world repeats pointers and not letters.
pub(crate) type Text = Cow<'static, str>;

/// A whole text: blocks from top to bottom. Empty means the field is not filled.
///
/// An emulator renders it in its system's own notation (HTML, wiki markup,
/// ADF, Markdown) as that system's editor would have saved it. What the
/// notation cannot say it leaves out as the real editor does (Jira wiki has no
/// nested table), never the words themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RichText(pub(crate) Vec<Block>);

/// One block of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// A paragraph of running text.
    Paragraph(Vec<Inline>),
    /// A heading, level 1 to 3.
    Heading(u8, Vec<Inline>),
    /// A list; each item is a list of blocks, so lists nest.
    List {
        /// Numbered, else bulleted.
        ordered: bool,
        /// The items: a paragraph, perhaps followed by a list one level deeper.
        items: Vec<Vec<Block>>,
    },
    /// A table of rows of cells; the first row is the header. All rows are equally long.
    Table(Vec<Vec<Vec<Inline>>>),
    /// Preformatted code; lines are separated by `\n`, without a final one.
    Code(Text),
}

/// A piece of running text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Inline {
    /// Plain characters, never empty; may hold `<`, `&`, `*`, `{`: escape them.
    Text(Text),
    /// Bold.
    Bold(Vec<Inline>),
    /// Italic.
    Italic(Vec<Inline>),
    /// Underlined.
    Underline(Vec<Inline>),
    /// Code within a line.
    Code(Text),
    /// A link with its visible text.
    Link {
        /// An absolute http address.
        url: Text,
        /// What is shown.
        text: Text,
    },
    /// A picture shown within the text, by address (never an attachment of the artifact).
    Image {
        /// An absolute http address.
        url: Text,
        /// The alternative text.
        alt: Text,
    },
    /// A line break within the paragraph.
    Break,
}

impl RichText {
    /// One paragraph of plain characters.
    pub(crate) fn plain(text: impl Into<Text>) -> RichText {
        RichText(vec![Block::Paragraph(vec![Inline::Text(text.into())])])
    }

    /// Whether the field is not filled.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The words alone, blocks and breaks as newlines: what a plain-text field of a system holds.
    pub(crate) fn to_plain(&self) -> String {
        let mut out = String::new();
        plain_blocks(&self.0, &mut out);
        out.trim_end().to_owned()
    }

    /// Adds how often each kind occurs to `counts`.
    pub(super) fn count(&self, counts: &mut BTreeMap<&'static str, u64>) {
        count_blocks(&self.0, false, counts);
    }
}

/// The names under which kinds of rich text are counted.
pub(super) const KINDS: [&str; 13] = [
    "rich text: bold",
    "rich text: code",
    "rich text: code block",
    "rich text: hard break",
    "rich text: heading",
    "rich text: image",
    "rich text: italic",
    "rich text: link",
    "rich text: list",
    "rich text: nested list",
    "rich text: paragraph",
    "rich text: table",
    "rich text: underline",
];

fn plain_blocks(blocks: &[Block], out: &mut String) {
    for block in blocks {
        match block {
            Block::Paragraph(inlines) | Block::Heading(_, inlines) => plain_line(inlines, out),
            Block::List { items, .. } => items.iter().for_each(|item| plain_blocks(item, out)),
            Block::Table(rows) => {
                for row in rows {
                    for (n, cell) in row.iter().enumerate() {
                        if n > 0 {
                            out.push('\t');
                        }
                        plain_inlines(cell, out);
                    }
                    out.push('\n');
                }
            }
            Block::Code(code) => {
                out.push_str(code);
                out.push('\n');
            }
        }
    }
}

fn plain_line(inlines: &[Inline], out: &mut String) {
    plain_inlines(inlines, out);
    out.push('\n');
}

fn plain_inlines(inlines: &[Inline], out: &mut String) {
    for inline in inlines {
        match inline {
            Inline::Text(text) | Inline::Code(text) | Inline::Link { text, .. } => out.push_str(text),
            Inline::Bold(inner) | Inline::Italic(inner) | Inline::Underline(inner) => {
                plain_inlines(inner, out)
            }
            Inline::Image { alt, .. } => out.push_str(alt),
            Inline::Break => out.push('\n'),
        }
    }
}

fn count_blocks(blocks: &[Block], in_list: bool, counts: &mut BTreeMap<&'static str, u64>) {
    for block in blocks {
        let kind = match block {
            Block::Paragraph(inlines) => {
                count_inlines(inlines, counts);
                "rich text: paragraph"
            }
            Block::Heading(_, inlines) => {
                count_inlines(inlines, counts);
                "rich text: heading"
            }
            Block::List { items, .. } => {
                items.iter().for_each(|item| count_blocks(item, true, counts));
                if in_list { "rich text: nested list" } else { "rich text: list" }
            }
            Block::Table(rows) => {
                rows.iter().flatten().for_each(|cell| count_inlines(cell, counts));
                "rich text: table"
            }
            Block::Code(_) => "rich text: code block",
        };
        *counts.entry(kind).or_default() += 1;
    }
}

fn count_inlines(inlines: &[Inline], counts: &mut BTreeMap<&'static str, u64>) {
    for inline in inlines {
        let kind = match inline {
            Inline::Text(_) => continue,
            Inline::Bold(inner) => {
                count_inlines(inner, counts);
                "rich text: bold"
            }
            Inline::Italic(inner) => {
                count_inlines(inner, counts);
                "rich text: italic"
            }
            Inline::Underline(inner) => {
                count_inlines(inner, counts);
                "rich text: underline"
            }
            Inline::Code(_) => "rich text: code",
            Inline::Link { .. } => "rich text: link",
            Inline::Image { .. } => "rich text: image",
            Inline::Break => "rich text: hard break",
        };
        *counts.entry(kind).or_default() += 1;
    }
}
