//! Azure DevOps, Services and Server, through its REST API version 7.1.
//!
//! Sign-in: a personal access token as the password of basic authentication.
//! Paging:  a token in a header (test plans), offset and limit (runs and results),
//!          200 ids at a time (work items); queries give ids only.
//! Limits:  a share of the service's resources per user; Retry-After comes with
//!          successful answers too, and is obeyed.
//! Ids:     work items (plans, suites, cases, bugs) share one sequence within the
//!          organisation; runs have their own; results are numbered per run.
//!
//! Plans, suites and memberships exist only in the test plan area, and the fields
//! of plans and suites only as work items, so that both are read and joined here.
//! Every plan has a root suite of its own name, which is not an artifact.

mod catalog;
mod client;
mod connect;
mod extract;
mod find;
mod load;
mod load_items;
mod load_links;
mod load_plans;
mod load_removals;
mod load_results;
mod load_runs;
mod metadata;
mod read;
mod rows;
mod steps;
mod tables;
mod tree;
mod wire;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;

use self::catalog::Catalog;
use self::client::Api;
use super::{Connector, Error, Metadata, Page, Probe, RequestCounts};
use crate::http;
use crate::model::{Artifact, Change, Key, Outcome, TableSpec};

pub(super) use connect::system;

/// The system's noun.
pub const SYSTEM: &str = "azure-devops";

/// Where the organisation is and how to sign in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The organisation or collection: `https://dev.azure.com/contoso`.
    pub url: String,
    /// The personal access token.
    pub pat: http::Token,
    /// The projects that take part, by name.
    pub projects: Vec<String>,
    /// Timeouts, pace, proxy; its sign-in is replaced by the token.
    pub http: http::Settings,
}

/// One organisation, or one collection of a server, with some of its projects.
#[derive(Debug)]
pub struct AzureDevOps {
    api: Api,
    projects: Vec<String>,
    catalog: Catalog,
}

impl AzureDevOps {
    /// Makes a connector; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`super::ErrorKind::Settings`] when the address is none or the HTTP settings
    /// cannot work.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let api = Api::new(&settings)?;
        Ok(Self { api, projects: settings.projects, catalog: Catalog::default() })
    }
}

#[async_trait]
impl Connector for AzureDevOps {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn tables(&self) -> Vec<TableSpec> {
        tables::specs()
    }

    fn artifacts(&self) -> Vec<Artifact> {
        tables::artifacts()
    }

    async fn probe(&self) -> Result<Probe, Error> {
        self.who_am_i().await
    }

    async fn metadata(&self) -> Result<Metadata, Error> {
        self.offers().await
    }

    fn extract(&self, table: &str, since: Option<DateTime<Utc>>) -> BoxStream<'_, Result<Page, Error>> {
        self.extract_table(table, since)
    }

    async fn keys(&self, table: &str) -> Result<Option<Vec<Key>>, Error> {
        self.table_keys(table).await
    }

    async fn read(&self, table: &str, keys: &[Key]) -> Result<RecordBatch, Error> {
        self.read_keys(table, keys).await
    }

    async fn apply(&self, changes: &[Change]) -> Vec<Outcome> {
        self.load(changes).await
    }

    async fn find(&self, creates: &[Change], since: DateTime<Utc>) -> Result<Vec<Vec<Key>>, Error> {
        self.found(creates, since).await
    }

    async fn create_field(&self, artifact: &str, name: &str) -> Result<(), Error> {
        self.add_field(artifact, name).await
    }

    fn requests(&self) -> RequestCounts {
        self.api.requests()
    }
}
