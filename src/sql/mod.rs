//! DataFusion: its limits, its catalogue, our functions, and the statements of `sql/`.

mod catalog;
mod functions;
pub mod neutral;
mod session;
mod split;
mod template;

pub use catalog::{TableFiles, register_batches, register_files, register_neutral_views, register_statement};
pub use session::{Limits, Sql};
pub use split::{Split, split};
pub use template::{Statements, identifier, literal};

/// A statement could not be rendered, planned or run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No file of that name lies in `sql/`.
    #[error("no statement {path} in sql/")]
    NoStatement {
        /// The path below `sql/`.
        path: String,
    },
    /// The template does not render.
    #[error("cannot render sql/{path}")]
    Template {
        /// The path below `sql/`.
        path: String,
        /// Where and why.
        #[source]
        source: Box<minijinja::Error>,
    },
    /// A statement where only reading ones are allowed is not one.
    #[error("only statements that read are allowed here: {words}")]
    OnlyReading {
        /// The engine's words.
        words: String,
    },
    /// The engine refused or failed.
    #[error("{what} failed")]
    Engine {
        /// Which statement or table, for people.
        what: String,
        /// The engine's words.
        #[source]
        source: Box<datafusion::error::DataFusionError>,
    },
}

impl Error {
    /// Wraps an engine error with what was going on.
    pub fn engine(what: impl Into<String>) -> impl FnOnce(datafusion::error::DataFusionError) -> Error {
        let what = what.into();
        move |source| Error::Engine { what, source: Box::new(source) }
    }
}
