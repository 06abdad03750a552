//! What is asked for: the pipeline file as typed, and the pipeline as meant.
//!
//! [`load`] reads the text of a file, checks it against what the systems offer
//! ([`Catalog`]) and returns the [`Pipeline`], or every [`Problem`] of the file
//! at once. Nothing after it validates again, except against live repositories.

mod check;
mod file;
mod hash;
mod meant;
mod node;
mod pairs;
mod problem;
mod read;
mod schema;
mod secret;
#[cfg(test)]
mod tests;
mod workflow;

use std::collections::BTreeMap;

pub use check::{Loaded, load};
pub use meant::{
    Collection, Conflict, Constant, Deletions, Edge, FieldMapping, FieldTarget, FlowThrough, Integration,
    IntegrationOptions, ModelField, OnDegraded, Other, Pipeline, ProjectRow, Rate, RelationshipMapping,
    RelationshipTarget, Repository, Settings, Smart, Update, ValueMapping,
};
pub use pairs::{FieldPair, RelationshipPair};
pub use problem::{Problem, Problems, Severity};
pub use schema::schema;
pub use secret::{Secret, Surroundings};
pub use workflow::path;

use crate::model::Artifact;

/// What the systems offer, as far as their code knows it without asking them.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Per system noun, such as `azure-devops`: the artifacts that pipelines can name.
    pub systems: BTreeMap<String, Vec<Artifact>>,
    /// Per system noun: the ways of signing in. A system that is absent here
    /// takes any keys under `auth`.
    pub sign_ins: BTreeMap<String, Vec<SignIn>>,
}

/// One way of signing in to a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// The `deployment` that it belongs to; `None` for all.
    pub deployment: Option<&'static str>,
    /// The keys that must stand under `auth`.
    pub keys: Vec<AuthKey>,
}

/// One key under `auth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthKey {
    /// The key's name: `pat`.
    pub name: &'static str,
    /// Whether its value must be a reference (`${NAME}` or `file:PATH`).
    pub secret: bool,
}
