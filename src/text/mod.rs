//! Formatted text: one tree, read from and written in four notations and as plain text.
//!
//! ```text
//!   HTML  ADF  wiki  Markdown  plain            a system's own text
//!      └────┴───┬──┴───────┴─────┘
//!             parse                             total: whatever comes, a document comes out
//!               ▼
//!           Document  ◄──► canonical text       normal form; what the model holds and compares
//!               │ restrict                      what the notation cannot say becomes a loss
//!               ▼
//!             write
//! ```
//!
//! Every parser ends in the normal form, and every writer begins with a tree that
//! its notation can say in full. From this follows the property that everything
//! else rests on: what was written reads back as the tree that was written.
//!
//! A picture is part of a line, not a block: HTML, wiki and Markdown have it there.

mod adf;
mod canonical;
mod cut;
mod flatten;
mod html;
mod inlines;
mod markdown;
mod normal;
mod plain;
mod restrict;
#[cfg(test)]
mod tests;
mod tree;
mod url;
mod wiki;

use crate::model::Notation;

pub use cut::render_within;
pub use flatten::to_plain;
pub use restrict::Loss;
pub use tree::{
    Block, Cell, Color, Document, Image, Inline, Item, List, ListKind, Marks, Opaque, Run, Script,
};

/// The most bytes of one text that are read; no system stores longer ones in a
/// field, and the rest of a larger text is ignored.
pub const MAX_SIZE: usize = 4 << 20;

/// A document written in some notation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// What the notation could not say.
    pub losses: Vec<Loss>,
}

/// Reads text of any notation; text that breaks the notation's rules gives what
/// can be made of it, never an error.
pub fn parse(notation: Notation, text: &str) -> Document {
    let mut end = text.len().min(MAX_SIZE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text.get(..end).unwrap_or_default();
    match notation {
        Notation::Html => html::read(text, html::Dialect::Foreign),
        Notation::Adf => adf::read(text),
        Notation::Wiki => wiki::read(text),
        Notation::Markdown => markdown::read(text),
        Notation::Plain => plain::read(text),
    }
}

/// Writes a document, and tells what could not be said.
pub fn render(notation: Notation, document: &Document) -> Rendered {
    let (document, losses) = restrict::restrict(notation, document);
    let text = match notation {
        Notation::Html => html::write(&document, html::Dialect::Foreign),
        Notation::Adf => adf::write(&document),
        Notation::Wiki => wiki::write(&document),
        Notation::Markdown => markdown::write(&document),
        Notation::Plain => to_plain(&document),
    };
    Rendered { text, losses }
}

/// Reads a text and returns its canonical form.
pub fn canonical(notation: Notation, text: &str) -> String {
    parse(notation, text).canonical()
}

/// Brings a text from one notation into another.
pub fn convert(from: Notation, to: Notation, text: &str) -> Rendered {
    render(to, &parse(from, text))
}
