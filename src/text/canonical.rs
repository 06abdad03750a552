//! The canonical text: what a model value holds and what is compared.

use super::html::{self, Dialect};
use super::tree::Document;

impl Document {
    /// Returns the one text that stands for all documents of this meaning.
    ///
    /// It is HTML of few elements, so that a person can read it in a query; an
    /// empty document is the empty text. Two documents mean the same if and only if
    /// their canonical texts are equal, whatever notations they came from.
    pub fn canonical(&self) -> String {
        html::write(&self.clone().normalised(), Dialect::Canonical)
    }

    /// Reads what [`Document::canonical`] wrote.
    ///
    /// Only for our own text: it may carry mentions and parts of foreign
    /// notations, which are not taken from a system's HTML.
    pub fn from_canonical(text: &str) -> Document {
        html::read(text, Dialect::Canonical)
    }
}
