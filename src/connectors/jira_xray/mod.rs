//! Jira Cloud with Xray Cloud, through Jira's REST API version 3 and Xray's
//! GraphQL and import APIs.
//!
//! Sign-in: e-mail and API token at Jira, an API key pair that buys a one-day
//!          token at Xray; neither is good for the other host.
//! Paging:  Jira's search by id, then content by id a hundred at a time; Xray by
//!          start and limit, several pages per document.
//! Limits:  Xray counts requests per five minutes, so everything that can be
//!          packed into one is; Jira answers 429 with the seconds to wait.
//! Ids:     Jira's numeric issue ids, also for Xray; runs have 24 hex digits.
//!
//! Tests, sets, plans and executions are Jira issues whose steps, members and
//! runs live with Xray. Changes there do not move Jira's `updated`, so tests are
//! read where either side moved, and sets, plans and executions as a whole.
//! What is related to an issue stands in list columns of its own row: a link or
//! a membership has no date by which one could ask for it.

mod client;
mod connect;
mod describe;
mod extract;
mod find;
mod graphql;
mod load;
mod metadata;
mod relate;
mod results;
mod rows;
mod runs;
#[cfg(test)]
mod sql_tests;
mod steps;
mod update;
mod values;
mod wire;
mod xray;

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use tokio::sync::OnceCell;

use self::client::Client;
use self::extract::Project;
use self::values::Fields;
use crate::connectors::{Connector, Error, Metadata, Page, Probe, RequestCounts};
use crate::http::{self, Token};
use crate::model::{Artifact, Change, Key, Outcome, TableSpec};

pub(super) use connect::system;

/// The system's noun.
pub const SYSTEM: &str = "jira-xray";

/// How long Jira's search usually lags behind its issues.
pub const INDEX_LAG: Duration = Duration::from_secs(30);

/// Where a repository is and who we are to it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The site: `https://contoso.atlassian.net`.
    pub url: String,
    /// Xray's host: `https://xray.cloud.getxray.app`.
    pub xray_url: String,
    /// The account's e-mail address.
    pub email: String,
    /// The account's API token.
    pub token: Token,
    /// The id of the Xray API key.
    pub client_id: String,
    /// The secret of the Xray API key.
    pub client_secret: Token,
    /// Keys of the projects that take part.
    pub projects: Vec<String>,
    /// How long `find` waits for the search index; see [`INDEX_LAG`].
    pub index_lag: Duration,
    /// Transport; its rate is that of Xray, its sign-in is replaced.
    pub http: http::Settings,
}

/// A Jira Cloud site with Xray Cloud.
#[derive(Debug)]
pub struct JiraXray {
    client: Client,
    settings: Settings,
    projects: OnceCell<Vec<Project>>,
    fields: OnceCell<Fields>,
    site: OnceCell<String>,
    account: OnceCell<Probe>,
    /// Issue keys by id, for what Xray wants named by key.
    keys: Mutex<HashMap<String, String>>,
    /// Xray runs one import of tests per user at a time.
    importing: tokio::sync::Mutex<()>,
}

impl JiraXray {
    /// Prepares the connector; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// Fails with [`crate::connectors::ErrorKind::Settings`] if an address is none
    /// or the transport's settings cannot work.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        Ok(Self {
            client: Client::new(&settings)?,
            settings,
            projects: OnceCell::new(),
            fields: OnceCell::new(),
            site: OnceCell::new(),
            account: OnceCell::new(),
            keys: Mutex::default(),
            importing: tokio::sync::Mutex::new(()),
        })
    }
}

#[async_trait]
impl Connector for JiraXray {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn tables(&self) -> Vec<TableSpec> {
        describe::tables()
    }

    fn artifacts(&self) -> Vec<Artifact> {
        describe::artifacts()
    }

    async fn probe(&self) -> Result<Probe, Error> {
        self.check_access().await
    }

    async fn metadata(&self) -> Result<Metadata, Error> {
        self.read_metadata().await
    }

    fn extract(&self, table: &str, since: Option<DateTime<Utc>>) -> BoxStream<'_, Result<Page, Error>> {
        self.extract_table(table, since)
    }

    async fn keys(&self, table: &str) -> Result<Option<Vec<Key>>, Error> {
        self.list_keys(table).await
    }

    async fn read(&self, table: &str, keys: &[Key]) -> Result<RecordBatch, Error> {
        self.read_rows(table, keys).await
    }

    async fn apply(&self, changes: &[Change]) -> Vec<Outcome> {
        self.apply_all(changes).await
    }

    async fn find(&self, creates: &[Change], since: DateTime<Utc>) -> Result<Vec<Vec<Key>>, Error> {
        self.find_created(creates, since).await
    }

    async fn create_field(&self, artifact: &str, name: &str) -> Result<(), Error> {
        self.make_field(artifact, name).await
    }

    fn requests(&self) -> RequestCounts {
        self.client.counts()
    }
}
