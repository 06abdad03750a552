//! What the site offers, who we are to it, and how a field is made.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt, TryStreamExt};
use reqwest::Method;
use serde_json::{Value, json};

use super::describe::{Kind, artifacts};
use super::extract::{Project, quoted, settings};
use super::values::allowed;
use super::{JiraXray, SYSTEM, graphql, wire};
use crate::connectors::{ArtifactMetadata, Error, ErrorKind, FieldMetadata, Metadata, Probe};
use crate::model::Artifact;

/// Issues looked at to find one in each status.
const SAMPLES: usize = 100;
/// Questions under way at a time.
const ASKED_AT_ONCE: usize = 4;
/// Pages of one create screen; 200 fields each.
const SCREEN_PAGES_MAX: usize = 10;
/// Jira's limit of a custom text field on one line.
const LINE_MAX: usize = 255;
/// The type of the fields that we make.
const TEXT_FIELD: &str = "com.atlassian.jira.plugin.system.customfieldtypes:textfield";
const TEXT_SEARCHER: &str = "com.atlassian.jira.plugin.system.customfieldtypes:textsearcher";

impl JiraXray {
    pub(super) async fn check_access(&self) -> Result<Probe, Error> {
        let probe = self.account().await?.clone();
        self.projects().await?;
        // Signs in to Xray and sees whether it knows the projects.
        let parts = self.projects().await?.iter().map(|p| (graphql::COVERABLE, vec![json!(p.key)])).collect();
        let (answers, _) = self.ask_xray(parts, "asking Xray for the project").await?;
        if answers.iter().any(Value::is_null) {
            return Err(settings("Xray is signed in and does not know the project; is Xray enabled for it?"));
        }
        Ok(probe)
    }

    /// Tells who we are to Jira; anonymous access, which gives empty answers
    /// instead of an error, is one.
    pub(super) async fn account(&self) -> Result<&Probe, Error> {
        let read = || async {
            let me = self.client.myself().await.map_err(|e| match e.kind {
                ErrorKind::Forbidden | ErrorKind::NotFound => {
                    settings(format!("Jira does not sign us in: {}", e.message))
                }
                _ => e,
            })?;
            let account = me.account_id.filter(|id| !id.is_empty()).ok_or_else(|| {
                settings("Jira answers and does not know who we are: e-mail or API token is wrong")
            })?;
            let info = self.client.server_info().await?;
            let version = info.version.unwrap_or_default();
            let product = format!("Jira {} {version} with Xray", info.deployment_type.unwrap_or_default());
            Ok(Probe { account, account_name: me.display_name, product })
        };
        self.account.get_or_try_init(read).await
    }

    pub(super) async fn read_metadata(&self) -> Result<Metadata, Error> {
        let projects = self.projects().await?;
        let mut questions = Vec::new();
        for project in projects {
            questions.extend(artifacts().into_iter().map(|artifact| self.offered(project, artifact)));
        }
        let read: Vec<_> = stream::iter(questions).buffered(ASKED_AT_ONCE).try_collect().await?;
        let mut metadata = Metadata::default();
        for (name, found) in read {
            match metadata.artifacts.get_mut(&name) {
                Some(known) => merge(known, found),
                None => {
                    metadata.artifacts.insert(name, found);
                }
            }
        }
        Ok(metadata)
    }

    async fn offered(
        &self,
        project: &Project,
        artifact: Artifact,
    ) -> Result<(String, ArtifactMetadata), Error> {
        let found = match Kind::of_artifact(artifact.name) {
            Some(_) => self.artifact_metadata(project, &artifact).await?,
            None => run_metadata(&artifact),
        };
        Ok((artifact.name.to_owned(), found))
    }

    async fn artifact_metadata(
        &self,
        project: &Project,
        artifact: &Artifact,
    ) -> Result<ArtifactMetadata, Error> {
        let mut metadata = ArtifactMetadata::default();
        let Some(issue_type) = project.issue_type(artifact.name) else { return Ok(metadata) };
        let screen = self.screen(project, &issue_type.id).await?;
        let fields = self.fields().await?;
        let on_screen = |id: &str| screen.iter().find(|f| f.field_id == id);
        for spec in &artifact.fields {
            let id = fields.by_name(spec.name).map_or_else(|| spec.name.to_lowercase(), |f| f.id.clone());
            let values = match spec.name {
                "Status" => Some(issue_type.statuses.iter().map(|s| s.name.clone()).collect()),
                _ => on_screen(&id).and_then(|f| f.allowed_values.as_deref()).map(allowed),
            };
            let shown = on_screen(&id).is_some() || spec.name == "Steps";
            let writable = !spec.read_only && !spec.by_transition && shown;
            let field = FieldMetadata { id, writable, values, length_max: spec.length_max };
            metadata.fields.insert(spec.name.to_owned(), field);
        }
        for field in fields.custom() {
            let shown = on_screen(&field.id);
            let values = shown.and_then(|f| f.allowed_values.as_deref()).map(allowed);
            let length_max =
                matches!(field.custom_kind(), "textfield" | "url" | "readonlyfield").then_some(LINE_MAX);
            let entry = FieldMetadata { id: field.id.clone(), writable: shown.is_some(), values, length_max };
            metadata.fields.insert(fields.name_of(field).into_owned(), entry);
        }
        metadata.transitions = self.observed_transitions(project, &issue_type.name).await?;
        Ok(metadata)
    }

    /// Reads the fields of a create screen.
    async fn screen(&self, project: &Project, issue_type: &str) -> Result<Vec<wire::CreateField>, Error> {
        let mut fields = Vec::new();
        for _ in 0..SCREEN_PAGES_MAX {
            let page = self.client.create_fields(&project.key, issue_type, fields.len()).await?;
            let end = page.fields.is_empty();
            fields.extend(page.fields);
            if end || page.total.is_none_or(|total| fields.len() >= total) {
                break;
            }
        }
        Ok(fields)
    }

    /// Learns edges of the workflow from one issue in each status. What our account
    /// is not offered does not show, and neither does a status without issues.
    async fn observed_transitions(
        &self,
        project: &Project,
        issue_type: &str,
    ) -> Result<Vec<(String, String, String)>, Error> {
        let jql = format!(
            "project = {} AND issuetype = {} ORDER BY id DESC",
            quoted(&project.key),
            quoted(issue_type)
        );
        let page = self.client.search(&jql, &["status"], SAMPLES, None).await?;
        let mut samples: BTreeMap<String, String> = BTreeMap::new();
        for issue in page.issues {
            if let Some(status) = issue.member("status", "name") {
                samples.entry(status.to_owned()).or_insert(issue.id);
            }
        }
        let edges = stream::iter(samples)
            .map(|(from, id)| async move {
                let offered = self.client.transitions(&id).await?;
                Ok::<_, Error>(
                    offered.into_iter().map(move |t| (from.clone(), t.name, t.to.name)).collect::<Vec<_>>(),
                )
            })
            .buffered(ASKED_AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        Ok(edges.into_iter().flatten().collect())
    }

    /// Makes a text field, admits it to the projects and puts it on their screens.
    pub(super) async fn make_field(&self, artifact: &str, name: &str) -> Result<(), Error> {
        let projects = self.projects().await?;
        let known = self.client.fields().await?;
        let id = match known.iter().find(|f| f.custom && f.name == name) {
            Some(field) => field.id.clone(),
            None => {
                let body = json!({ "name": name, "description": "The counterpart in the other test tool.",
                    "type": TEXT_FIELD, "searcherKey": TEXT_SEARCHER });
                let made: wire::Named =
                    self.administer_json(Method::POST, &["field"], &body, "making a field").await?;
                made.id.ok_or_else(|| refused("making a field", "the answer names no field"))?
            }
        };
        if self.is_on_screens(artifact, &id).await? {
            return Ok(());
        }
        let contexts: Vec<Value> = projects
            .iter()
            .map(|p| json!({ "type": "PROJECT_ID", "identifier": p.id.parse::<u64>().unwrap_or_default() }))
            .collect();
        let body =
            json!({ "associationContexts": contexts, "fields": [{ "type": "FIELD_ID", "identifier": id }] });
        // Sites whose fields need no admission refuse this; the screen decides.
        let admitted = self
            .client
            .administer(Method::PUT, &["field", "association"], &body, "admitting a field")
            .await?;
        for screen in self.project_screens().await? {
            self.put_on_screen(&screen, &id).await?;
        }
        if !self.is_on_screens(artifact, &id).await? {
            self.client
                .administer(Method::POST, &["screens", "addToDefault", &id], &Value::Null, "placing a field")
                .await?;
        }
        if self.is_on_screens(artifact, &id).await? {
            return Ok(());
        }
        let why = if admitted.is_success() { String::new() } else { format!(" ({})", admitted.words()) };
        Err(refused(
            "placing a field",
            format!(
                "field {name:?} exists and is not on the create screen of {artifact}{why}; place it in Jira's screen settings"
            ),
        ))
    }

    async fn administer_json<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &Value,
        operation: &'static str,
    ) -> Result<T, Error> {
        let reply = self.client.administer(method, path, body, operation).await?;
        if !reply.is_success() {
            return Err(refused(operation, super::update::words_of(&reply)));
        }
        reply.json().map_err(super::client::fail)
    }

    /// Tells whether every project's create screen of an artifact shows a field.
    async fn is_on_screens(&self, artifact: &str, field: &str) -> Result<bool, Error> {
        for project in self.projects().await? {
            let issue_type = project
                .issue_type(artifact)
                .ok_or_else(|| refused("placing a field", format!("{artifact} holds no custom fields")))?;
            if !self.screen(project, &issue_type.id).await?.iter().any(|f| f.field_id == field) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lists the ids of screens whose name begins with a project's key, as Jira names them.
    async fn project_screens(&self) -> Result<BTreeSet<String>, Error> {
        let mut ids = BTreeSet::new();
        for project in self.projects().await? {
            let answer = match self.client.screens(&project.key).await {
                Ok(answer) => answer,
                Err(error) if matches!(error.kind, ErrorKind::Forbidden | ErrorKind::Refused) => {
                    return Err(refused("reading screens", error.message));
                }
                Err(error) => return Err(error),
            };
            let list = answer.get("values").and_then(Value::as_array).cloned().unwrap_or_default();
            ids.extend(list.iter().filter_map(|s| Some(wire::plain(s.get("id")?))));
        }
        Ok(ids)
    }

    async fn put_on_screen(&self, screen: &str, field: &str) -> Result<(), Error> {
        let tabs = self.client.screen_tabs(screen).await?;
        let Some(tab) = tabs.first().and_then(|t| t.get("id")).map(wire::plain) else { return Ok(()) };
        let path = ["screens", screen, "tabs", &tab, "fields"];
        let reply = self
            .client
            .administer(Method::POST, &path, &json!({ "fieldId": field }), "placing a field")
            .await?;
        // A field that is on the screen already is refused with 400.
        if reply.is_success() || reply.status.as_u16() == 400 {
            return Ok(());
        }
        Err(refused("placing a field", super::update::words_of(&reply)))
    }
}

fn refused(operation: &str, words: impl Into<String>) -> Error {
    Error::new(SYSTEM, operation, ErrorKind::Refused, words)
}

/// Describes runs, of which Jira knows nothing.
fn run_metadata(artifact: &Artifact) -> ArtifactMetadata {
    let field = |spec: &crate::model::FieldSpec| FieldMetadata {
        id: spec.name.to_owned(),
        writable: !spec.read_only,
        values: None,
        length_max: spec.length_max,
    };
    let fields = artifact.fields.iter().map(|spec| (spec.name.to_owned(), field(spec))).collect();
    ArtifactMetadata { fields, transitions: vec![] }
}

/// Joins what two projects offer: what only one of them can take is not writable.
fn merge(known: &mut ArtifactMetadata, other: ArtifactMetadata) {
    for (name, field) in other.fields {
        match known.fields.get_mut(&name) {
            Some(mine) => {
                mine.writable &= field.writable;
                if let (Some(mine), Some(theirs)) = (&mut mine.values, field.values) {
                    mine.retain(|v| theirs.contains(v));
                }
            }
            None => {
                known.fields.insert(name, field);
            }
        }
    }
    for edge in other.transitions {
        if !known.transitions.contains(&edge) {
            known.transitions.push(edge);
        }
    }
}
