//! The stages of a run and their order: the only place where parts meet.
//!
//! [`run`] settles what earlier runs left open, extracts both repositories into a
//! snapshot, diffs it against what was agreed, and (unless only a plan is asked
//! for) loads the plan, reads back what it wrote and commits. What a load brings
//! about in turn (the id of a new artifact, a member of a suite that is thereby in
//! a plan) is found by diffing again, up to [`ROUNDS_MAX`] times.

mod absence;
pub mod apply;
pub mod audit;
mod brakes;
pub mod check;
pub mod commit;
pub mod decide;
pub mod diff;
pub mod extract;
mod follow;
mod leases;
pub mod ledger;
pub mod load;
pub mod pairing;
pub mod plan;
pub mod report;
mod run;
pub mod settle;
pub mod spec;
pub mod staged;
pub mod transform;
pub mod write;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::connectors::{self, SharedConnector};
use crate::model::RepositoryId;
use crate::{journal, sql, store};

pub use brakes::{DELETE_FREE, DELETE_SHARE_MAX, OVERWRITE_FREE, OVERWRITE_SHARE_MAX};
pub use report::{IntegrationReport, Report, RequestReport, SideReport};
pub use run::{Done, Job, Options, ROUNDS_MAX, open_session, run};

/// The repositories of a pipeline.
pub type Repositories = BTreeMap<RepositoryId, SharedConnector>;

/// Tells the time; the stages have no clock of their own.
pub type Clock<'a> = &'a (dyn Fn() -> DateTime<Utc> + Send + Sync);

/// Hears how far a stage has come.
pub trait Progress: Send + Sync {
    /// A stage with this many units begins.
    fn start(&self, what: &str, total: u64);
    /// So many more units are done.
    fn advance(&self, units: u64);
    /// The stage is done.
    fn finish(&self);
}

/// Progress that nobody hears.
#[derive(Clone, Copy, Debug)]
pub struct Quiet;

impl Progress for Quiet {
    fn start(&self, _: &str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn finish(&self) {}
}

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The pipeline asks for what cannot be.
    #[error(transparent)]
    Spec(#[from] spec::Unresolved),
    /// A system could not be used.
    #[error(transparent)]
    System(#[from] connectors::Error),
    /// The staging store could not be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A statement failed.
    #[error(transparent)]
    Sql(#[from] sql::Error),
    /// A journal is damaged.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// Values that no map lists, on the first run: nothing was written.
    #[error("{} values are in no map, first of all: {}", .0.len(), .0.first().map_or("", |h| h.detail.as_str()))]
    Unmapped(Vec<plan::Held>),
    /// The run was ended from outside before it wrote anything further.
    #[error("the run was interrupted")]
    Stopped,
    /// A plan would remove or overwrite more than it may.
    #[error("{0}")]
    Brake(String),
    /// What was asked for does not exist; nothing was written.
    #[error("{0}")]
    Unknown(String),
    /// A plan may not be applied any more; nothing was written.
    #[error("{0}")]
    Refused(String),
    /// Something that cannot happen did.
    #[error("defect: {0}")]
    Defect(String),
}
