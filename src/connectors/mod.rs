//! What every system must be able to do, and the one list of systems.
//!
//! A connector is five files with fixed meanings: `mod` introduces the system,
//! `client` knows its URLs and sign-in, `wire` its shapes, `extract` turns pages
//! into batches and `load` a batch of changes into one outcome each.

pub mod azure_devops;
mod error;
pub mod jira_xray;
mod native;
mod registry;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;

pub use error::{Error, ErrorKind};
pub use native::{RowBuilder, raw_hash};
pub use registry::{System, catalog, connect, registry};

use crate::model::{Artifact, Change, Key, Outcome, TableSpec};

/// A remote system, behind its credentials and one or more projects.
///
/// # Contract
///
/// - Reading is repeatable: the same state gives the same rows (in any order),
///   each key once per table. A short page or a total that does not add up is
///   an error and never a short table.
/// - Requests are safe to repeat unless they create; a create whose answer was
///   lost is [`Outcome::Unknown`] and never sent again before [`Connector::find`]
///   said that it did not happen.
/// - `apply` gives one outcome per change, in the order of the changes.
/// - Nothing here prints, reads the environment or keeps a clock of its own.
#[async_trait]
pub trait Connector: Send + Sync + std::fmt::Debug {
    /// Returns the system's noun: `azure-devops`.
    fn system(&self) -> &'static str;

    /// Describes the tables that the connector extracts.
    fn tables(&self) -> Vec<TableSpec>;

    /// Describes the artifacts that pipelines can name, with their built-in
    /// fields and relationships.
    fn artifacts(&self) -> Vec<Artifact>;

    /// Asks one cheap question with the real credentials.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Settings`] when the credentials, the host name or the project
    /// are wrong; [`ErrorKind::Unavailable`] when the service is down.
    async fn probe(&self) -> Result<Probe, Error>;

    /// Reads what the repository offers: custom fields, values, workflows.
    async fn metadata(&self) -> Result<Metadata, Error>;

    /// Streams a table page by page, several requests at a time where the system
    /// allows it. With `since`, rows that did not change after that instant may
    /// be left out (only for tables whose [`TableSpec::incremental`] is set).
    fn extract(&self, table: &str, since: Option<DateTime<Utc>>) -> BoxStream<'_, Result<Page, Error>>;

    /// Lists the keys of every artifact of a table, cheaply and completely, so
    /// that what is gone can be told from what did not change. `None` where an
    /// extraction of the table is always complete.
    async fn keys(&self, table: &str) -> Result<Option<Vec<Key>>, Error>;

    /// Reads rows by id, never through a search index. Keys that do not exist
    /// (or cannot be seen) are absent from the answer.
    async fn read(&self, table: &str, keys: &[Key]) -> Result<RecordBatch, Error>;

    /// Carries out changes, all of one artifact and one kind of operation, with
    /// the system's bulk calls. One outcome per change, in order.
    async fn apply(&self, changes: &[Change]) -> Vec<Outcome>;

    /// Tells which of these creates, sent at or after `since`, did happen.
    ///
    /// One answer per change, in order: the keys found (none: it did not happen;
    /// several: somebody must look). Reads past the system's own index lag.
    async fn find(&self, creates: &[Change], since: DateTime<Utc>) -> Result<Vec<Vec<Key>>, Error>;

    /// Makes a custom text field and puts it where `artifact` can hold it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`] with the system's words where its API or the
    /// caller's rights do not allow that.
    async fn create_field(&self, artifact: &str, name: &str) -> Result<(), Error>;

    /// Counts the requests made so far.
    fn requests(&self) -> RequestCounts;
}

/// One page of a table.
#[derive(Clone, Debug)]
pub struct Page {
    /// The rows, in the table's full schema.
    pub rows: RecordBatch,
    /// Bytes received for it, before decoding.
    pub bytes: u64,
}

/// Who we are to the repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// The account's id as the system writes it into `updated_by`.
    pub account: String,
    /// The account's name for people.
    pub account_name: String,
    /// Product and version, for people.
    pub product: String,
}

/// What a repository offers for the artifacts that pipelines name.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// Per artifact name.
    pub artifacts: BTreeMap<String, ArtifactMetadata>,
}

/// What a repository offers for one artifact.
#[derive(Clone, Debug, Default)]
pub struct ArtifactMetadata {
    /// Fields that can be read, by the name that pipeline files use.
    pub fields: BTreeMap<String, FieldMetadata>,
    /// Status edges `(from, transition name, to)` as far as the API tells them;
    /// empty where a status is written like any field or the API is silent.
    pub transitions: Vec<(String, String, String)>,
}

/// What a repository says of one field.
#[derive(Clone, Debug, Default)]
pub struct FieldMetadata {
    /// The vendor's id of the field: `Custom.XrayID`, `customfield_10037`.
    pub id: String,
    /// Whether it can be written (custom fields: whether it is on the screen).
    pub writable: bool,
    /// The allowed values, where the field has a closed list.
    pub values: Option<Vec<String>>,
    /// The longest value in characters.
    pub length_max: Option<usize>,
}

/// Requests of one repository since the connector was made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RequestCounts {
    /// Requests that read.
    pub reads: u64,
    /// Requests that may change something.
    pub writes: u64,
    /// Repetitions among them.
    pub retries: u64,
    /// Time spent waiting because the server or our own budget asked for it.
    pub throttled_seconds: f64,
}

/// A connector that tasks share.
pub type SharedConnector = Arc<dyn Connector>;
