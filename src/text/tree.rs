//! The tree that every notation is read into and written from.

use crate::model::Notation;

/// A piece of formatted text.
///
/// Parsers return documents in normal form (see [`Document::normalised`]); a
/// document built by hand is brought into it before it is written or compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// The blocks from top to bottom.
    pub blocks: Vec<Block>,
}

/// One block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// Running text.
    Paragraph(Vec<Inline>),
    /// A heading of level 1 to 6.
    Heading {
        /// The level.
        level: u8,
        /// The text.
        content: Vec<Inline>,
    },
    /// A list.
    List(List),
    /// Text to be shown as it is, in a fixed-width font.
    Code {
        /// The language for highlighting, in lower case.
        language: Option<String>,
        /// The lines, joined by a line feed.
        text: String,
    },
    /// A quotation; panels become quotations too.
    Quote(Vec<Block>),
    /// A horizontal rule.
    Rule,
    /// A table: rows of cells.
    Table(Vec<Vec<Cell>>),
    /// A block that only its own notation can say.
    Opaque(Opaque),
}

/// A list with its items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// How items are marked.
    pub kind: ListKind,
    /// The items.
    pub items: Vec<Item>,
}

/// How the items of a list are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// With bullets.
    Bullet,
    /// With numbers.
    Ordered {
        /// The number of the first item.
        start: u32,
    },
    /// With boxes to tick.
    Task,
}

/// One item of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// Whether the box is ticked; false in lists without boxes.
    pub done: bool,
    /// The item's content.
    pub blocks: Vec<Block>,
}

/// One cell of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Whether it is a header.
    pub header: bool,
    /// How many columns it covers, at least one.
    pub colspan: u16,
    /// How many rows it covers, at least one.
    pub rowspan: u16,
    /// The cell's content.
    pub blocks: Vec<Block>,
}

/// Something that only one notation can say, kept as it was written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opaque {
    /// The notation that `source` is written in.
    pub notation: Notation,
    /// The original.
    pub source: String,
    /// What the other notations show instead.
    pub text: String,
}

/// A part of running text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inline {
    /// Characters with the same marks.
    Text(Run),
    /// A line break.
    Break,
    /// A picture.
    Image(Image),
    /// A person of the system that the text comes from.
    Mention {
        /// The system's own id of the person; a login name has `~` before it.
        id: String,
        /// The shown name without `@`; may be empty.
        name: String,
    },
    /// A calendar day as `YYYY-MM-DD`.
    Date(String),
    /// A part that only its own notation can say.
    Opaque(Opaque),
}

/// Characters with the same marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// The characters.
    pub text: String,
    /// How they are shown.
    pub marks: Marks,
}

/// A picture, by reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Where it is: a URL or an attachment's name.
    pub source: String,
    /// What it shows, in words; may be empty.
    pub alt: String,
    /// The shown width in pixels.
    pub width: Option<u32>,
}

/// How characters are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Bold.
    pub strong: bool,
    /// Italic.
    pub em: bool,
    /// Underlined.
    pub underline: bool,
    /// Struck through.
    pub strike: bool,
    /// In a fixed-width font.
    pub code: bool,
    /// Lowered or raised.
    pub script: Option<Script>,
    /// The text colour; black is none.
    pub color: Option<Color>,
    /// The absolute `http`, `https` or `mailto` URL that it leads to.
    pub link: Option<String>,
}

/// Lowered or raised text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// Subscript.
    Sub,
    /// Superscript.
    Sup,
}

/// A colour as red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color(pub [u8; 3]);

impl Color {
    /// Reads `#rgb`, `#rrggbb`, `rgb(r, g, b)` or one of the common names.
    pub fn parse(text: &str) -> Option<Color> {
        let text = text.trim().to_ascii_lowercase();
        if let Some(hex) = text.strip_prefix('#') {
            if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            let value = u32::from_str_radix(hex, 16).ok()?;
            return match hex.len() {
                3 => Some(Color([8, 4, 0].map(|shift| ((value >> shift) & 0xf) as u8 * 0x11))),
                6 => Some(Color([16, 8, 0].map(|shift| ((value >> shift) & 0xff) as u8))),
                _ => None,
            };
        }
        if let Some(arguments) = text.strip_prefix("rgb(").or_else(|| text.strip_prefix("rgba(")) {
            let mut parts = arguments.trim_end_matches(')').split([',', ' ', '/']).filter(|p| !p.is_empty());
            let mut next = || parts.next()?.parse::<f32>().ok().map(|v| v.clamp(0.0, 255.0).round() as u8);
            return Some(Color([next()?, next()?, next()?]));
        }
        NAMED_COLORS.iter().find(|(name, _)| *name == text).map(|(_, color)| Color(*color))
    }
}

impl std::fmt::Display for Color {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [r, g, b] = self.0;
        write!(f, "#{r:02x}{g:02x}{b:02x}")
    }
}

const NAMED_COLORS: [(&str, [u8; 3]); 21] = [
    ("black", [0, 0, 0]),
    ("white", [255, 255, 255]),
    ("red", [255, 0, 0]),
    ("green", [0, 128, 0]),
    ("blue", [0, 0, 255]),
    ("yellow", [255, 255, 0]),
    ("orange", [255, 165, 0]),
    ("purple", [128, 0, 128]),
    ("gray", [128, 128, 128]),
    ("grey", [128, 128, 128]),
    ("silver", [192, 192, 192]),
    ("maroon", [128, 0, 0]),
    ("navy", [0, 0, 128]),
    ("olive", [128, 128, 0]),
    ("teal", [0, 128, 128]),
    ("lime", [0, 255, 0]),
    ("aqua", [0, 255, 255]),
    ("cyan", [0, 255, 255]),
    ("fuchsia", [255, 0, 255]),
    ("magenta", [255, 0, 255]),
    ("brown", [165, 42, 42]),
];

/// One mark of a run, in the order in which notations with nested marks nest
/// them, from the outside in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark<'a> {
    Link(&'a str),
    Strong,
    Em,
    Underline,
    Strike,
    Sub,
    Sup,
    Color(Color),
    Code,
}

/// How many levels [`Marks::level`] has.
const LEVELS: usize = 8;

impl Marks {
    /// Returns the mark at one level of nesting.
    fn level(&self, level: usize) -> Option<Mark<'_>> {
        match level {
            0 => self.link.as_deref().map(Mark::Link),
            1 => self.strong.then_some(Mark::Strong),
            2 => self.em.then_some(Mark::Em),
            3 => self.underline.then_some(Mark::Underline),
            4 => self.strike.then_some(Mark::Strike),
            5 => self.script.map(|script| match script {
                Script::Sub => Mark::Sub,
                Script::Sup => Mark::Sup,
            }),
            6 => self.color.map(Mark::Color),
            7 => self.code.then_some(Mark::Code),
            _ => None,
        }
    }

    /// Returns the marks that both have.
    pub(super) fn common(&self, other: &Marks) -> Marks {
        Marks {
            strong: self.strong && other.strong,
            em: self.em && other.em,
            underline: self.underline && other.underline,
            strike: self.strike && other.strike,
            code: self.code && other.code,
            script: self.script.filter(|_| self.script == other.script),
            color: self.color.filter(|_| self.color == other.color),
            link: self.link.clone().filter(|_| self.link == other.link),
        }
    }
}

/// Running text with its marks as a nest.
#[derive(Debug)]
pub(super) enum Nest<'a> {
    Marked(Mark<'a>, Vec<Nest<'a>>),
    /// The position of an inline in the list that was nested.
    Leaf(usize),
}

/// Nests marks in their fixed order, each spanning as much as it can.
pub(super) fn nest(inlines: &[Inline]) -> Vec<Nest<'_>> {
    let all: Vec<usize> = (0..inlines.len()).collect();
    nest_level(inlines, &all, 0)
}

fn nest_level<'a>(inlines: &'a [Inline], range: &[usize], level: usize) -> Vec<Nest<'a>> {
    if level == LEVELS {
        return range.iter().map(|i| Nest::Leaf(*i)).collect();
    }
    let mark_of = |i: usize| match inlines.get(i) {
        Some(Inline::Text(run)) => run.marks.level(level),
        _ => None,
    };
    let mut out = Vec::new();
    let mut rest = range;
    while let Some(&first) = rest.first() {
        let mark = mark_of(first);
        let length = rest.iter().take_while(|i| mark_of(**i) == mark).count();
        let (group, tail) = rest.split_at(length);
        let inner = nest_level(inlines, group, level + 1);
        match mark {
            Some(mark) => out.push(Nest::Marked(mark, inner)),
            None => out.extend(inner),
        }
        rest = tail;
    }
    out
}

impl Inline {
    /// Makes text without marks.
    pub(super) fn plain(text: impl Into<String>) -> Inline {
        Inline::Text(Run { text: text.into(), marks: Marks::default() })
    }

    /// Makes text with marks.
    pub(super) fn marked(text: impl Into<String>, marks: &Marks) -> Inline {
        Inline::Text(Run { text: text.into(), marks: marks.clone() })
    }

    /// Returns what remains of it without formatting.
    pub(super) fn as_text(&self) -> String {
        match self {
            Inline::Text(run) => run.text.clone(),
            Inline::Break => "\n".to_owned(),
            Inline::Image(image) if image.alt.is_empty() => image.source.clone(),
            Inline::Image(image) => image.alt.clone(),
            Inline::Mention { id, name } if name.is_empty() => format!("@{}", id.trim_start_matches('~')),
            Inline::Mention { name, .. } => format!("@{name}"),
            Inline::Date(day) => day.clone(),
            Inline::Opaque(opaque) => opaque.text.clone(),
        }
    }
}
