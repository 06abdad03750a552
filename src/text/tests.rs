//! What holds for formatted text in all notations.

mod examples;
mod grammar;
mod hostile;
mod properties;
mod trees;

use crate::model::Notation;

/// Every notation.
const ALL: [Notation; 5] =
    [Notation::Html, Notation::Adf, Notation::Wiki, Notation::Markdown, Notation::Plain];
