//! What the organisation offers: who we are, fields, values, and new fields.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::catalog::{Fields, STATE, category};
use super::client::CONNECTION_QUERY;
use super::tables::{self, LONG_TEXT_MAX, OUTCOMES, STRING_MAX};
use super::wire::{Configuration, ConnectionData, FieldDef, Process, ProcessType, Project, State, TypeField};
use super::{AzureDevOps, SYSTEM};
use crate::connectors::{ArtifactMetadata, Error, ErrorKind, FieldMetadata, Metadata, Probe};
use crate::http::Safety;

/// Fields that the system keeps by itself, whatever their description says.
const KEPT_BY_SYSTEM: [&str; 8] = [
    "System.Id",
    "System.Rev",
    "System.CreatedDate",
    "System.CreatedBy",
    "System.ChangedDate",
    "System.ChangedBy",
    "System.WorkItemType",
    "System.TeamProject",
];
/// A custom field's name is at most this long.
const FIELD_NAME_MAX: usize = 128;

fn category_of(artifact: &str) -> Option<&'static str> {
    match artifact {
        "Test Plan" => Some(category::PLAN),
        "Test Suite" => Some(category::SUITE),
        "Test Case" => Some(category::CASE),
        "Bug" => Some(category::BUG),
        _ => None,
    }
}

impl AzureDevOps {
    /// Asks who we are, and for each project.
    pub(super) async fn who_am_i(&self) -> Result<Probe, Error> {
        let data: ConnectionData =
            self.api.get(None, "connectionData", &CONNECTION_QUERY, "signing in").await.map_err(|error| {
                // The address is the only thing that a 404 here can be about.
                match error.kind {
                    ErrorKind::NotFound => Error {
                        kind: ErrorKind::Settings,
                        message: format!(
                            "{}; is url the address of an organisation or collection?",
                            error.message
                        ),
                        ..error
                    },
                    ErrorKind::Forbidden => Error {
                        kind: ErrorKind::Settings,
                        message: format!(
                            "{}; may the account behind auth.pat use this organisation?",
                            error.message
                        ),
                        ..error
                    },
                    _ => error,
                }
            })?;
        let account = data.authenticated_user.unwrap_or_default();
        for project in &self.projects {
            let path = format!("projects/{project}");
            let operation = format!("looking for project {project}");
            self.api.get::<Value>(None, &path, &[], &operation).await.map_err(|error| match error.kind {
                ErrorKind::NotFound | ErrorKind::Forbidden => Error {
                    kind: ErrorKind::Settings,
                    message: format!(
                        "{}; is {project:?} in projects spelled right, and may the account see it?",
                        error.message
                    ),
                    ..error
                },
                _ => error,
            })?;
        }
        let name = account.custom_display_name.or(account.provider_display_name).unwrap_or_default();
        Ok(Probe {
            account: account.id.unwrap_or_default(),
            account_name: name,
            product: "Azure DevOps, REST API 7.1".to_owned(),
        })
    }

    /// Reads fields, values and states of every artifact.
    pub(super) async fn offers(&self) -> Result<Metadata, Error> {
        let mut metadata = Metadata::default();
        let fields = self.catalog.fields(&self.api).await?;
        for artifact in tables::artifacts() {
            let mut offered = ArtifactMetadata::default();
            for spec in &artifact.fields {
                let entry = FieldMetadata {
                    id: fields.reference(spec.name).unwrap_or(spec.name).to_owned(),
                    writable: !spec.read_only,
                    values: None,
                    length_max: spec.length_max,
                };
                offered.fields.insert(spec.name.to_owned(), entry);
            }
            match category_of(artifact.name) {
                Some(category) => self.item_fields(category, &fields, &mut offered).await?,
                None => self.test_fields(artifact.name, &mut offered).await?,
            }
            metadata.artifacts.insert(artifact.name.to_owned(), offered);
        }
        Ok(metadata)
    }

    /// Adds the fields of a work item type; a field that one project lacks cannot be
    /// written.
    async fn item_fields(
        &self,
        category: &str,
        fields: &Fields,
        offered: &mut ArtifactMetadata,
    ) -> Result<(), Error> {
        let mut custom: BTreeMap<String, (usize, FieldMetadata)> = BTreeMap::new();
        let mut projects = 0;
        for project in &self.projects {
            let types = self.catalog.types(&self.api, project).await?;
            let Some(type_name) = types.default_of(category) else { continue };
            projects += 1;
            let base = format!("wit/workitemtypes/{type_name}");
            let of_type: Vec<TypeField> = self
                .api
                .list(
                    Some(project),
                    &format!("{base}/fields"),
                    &[("$expand", "all")],
                    "reading the fields of a type",
                )
                .await?;
            let states: Vec<State> = self
                .api
                .list(Some(project), &format!("{base}/states"), &[], "reading the states of a type")
                .await?;
            for field in of_type {
                let Some(name) = fields.display(&field.reference_name) else { continue };
                let mut entry = describe(&field, fields.get(&field.reference_name));
                if field.reference_name == STATE {
                    entry.values = Some(states.iter().map(|s| s.name.clone()).collect());
                }
                custom.entry(name).or_insert((0, entry)).0 += 1;
            }
        }
        for (name, (seen, mut entry)) in custom {
            entry.writable &= seen == projects;
            if let Some(built_in) = offered.fields.get_mut(&name) {
                built_in.values = entry.values;
                built_in.writable &= entry.writable;
            } else {
                offered.fields.insert(name, entry);
            }
        }
        Ok(())
    }

    /// Adds the values of results, which no work item type describes.
    async fn test_fields(&self, artifact: &str, offered: &mut ArtifactMetadata) -> Result<(), Error> {
        if artifact == "Test Run" {
            let states = ["NotStarted", "InProgress", "Completed", "Aborted", "Waiting"];
            if let Some(field) = offered.fields.get_mut("State") {
                field.values = Some(states.map(str::to_owned).to_vec());
            }
            return Ok(());
        }
        let mut names = Vec::new();
        for project in &self.projects {
            let path = "testplan/configurations".to_owned();
            let pages = self.api.token_pages::<Configuration>(
                project,
                path,
                Vec::new(),
                "listing the configurations",
            );
            let pages: Vec<_> = futures::TryStreamExt::try_collect(pages).await?;
            names.extend(pages.into_iter().flat_map(|page| page.items).map(|c| c.name));
        }
        names.sort();
        names.dedup();
        if let Some(field) = offered.fields.get_mut("Configuration") {
            field.values = Some(names);
        }
        if let Some(field) = offered.fields.get_mut("Outcome") {
            field.values = Some(OUTCOMES.map(str::to_owned).to_vec());
        }
        Ok(())
    }

    /// Makes a text field and adds it to the type behind an artifact.
    pub(super) async fn add_field(&self, artifact: &str, name: &str) -> Result<(), Error> {
        let operation = format!("making the field {name}");
        let refused = |message: String| Error::new(SYSTEM, operation.clone(), ErrorKind::Refused, message);
        let Some(category) = category_of(artifact) else {
            return Err(refused(format!("{artifact} cannot hold fields of its own in this system")));
        };
        if name.chars().count() > FIELD_NAME_MAX || reference_name(name) == "Custom." {
            return Err(refused(format!("{name:?} is no field name that the system takes")));
        }
        let fields = self.catalog.fields(&self.api).await?;
        let reference = match fields.reference(name) {
            Some(reference) => reference.to_owned(),
            None => {
                let body = json!({
                    "name": name, "referenceName": reference_name(name), "type": "string", "usage": "workItem",
                    "readOnly": false, "canSortBy": true, "isQueryable": true,
                });
                self.post("wit/fields", &body, &operation).await?;
                self.catalog.forget_fields().await;
                reference_name(name)
            }
        };
        for project in &self.projects {
            let types = self.catalog.types(&self.api, project).await?;
            let Some(type_name) = types.default_of(category) else { continue };
            self.add_to_type(project, type_name, &reference, &operation).await?;
        }
        Ok(())
    }

    async fn add_to_type(
        &self,
        project: &str,
        type_name: &str,
        field: &str,
        operation: &str,
    ) -> Result<(), Error> {
        let path = format!("wit/workitemtypes/{type_name}/fields");
        let there: Vec<TypeField> = self.api.list(Some(project), &path, &[], operation).await?;
        if there.iter().any(|f| f.reference_name.eq_ignore_ascii_case(field)) {
            return Ok(());
        }
        let refused = |message: String| Error::new(SYSTEM, operation, ErrorKind::Refused, message);
        let path = format!("projects/{project}");
        let found: Project = self.api.get(None, &path, &[("includeCapabilities", "true")], operation).await?;
        let process = found.capabilities.and_then(|c| c.process_template).and_then(|t| t.template_type_id);
        let Some(process) = process else {
            return Err(refused(format!(
                "project {project} does not tell its process; add the field {field} to {type_name} by hand"
            )));
        };
        let base = format!("work/processes/{process}");
        let described: Process = self.api.get(None, &base, &[], operation).await?;
        if described.customization_type.as_deref().is_some_and(|t| t.eq_ignore_ascii_case("system")) {
            return Err(refused(format!(
                "project {project} uses the system process {}, which cannot be changed; \
                 move the project to an inherited process and ask again",
                described.name
            )));
        }
        let types: Vec<ProcessType> =
            self.api.list(None, &format!("{base}/workItemTypes"), &[], operation).await?;
        let of_name = |t: &&ProcessType| t.name.eq_ignore_ascii_case(type_name);
        let is_system =
            |t: &&ProcessType| t.customization.as_deref().is_some_and(|c| c.eq_ignore_ascii_case("system"));
        let derived = types.iter().filter(of_name).find(|t| !is_system(t));
        let reference = match (derived, types.iter().find(of_name)) {
            (Some(own), _) => own.reference_name.clone(),
            (None, Some(system)) => self.derive_type(&base, system, operation).await?,
            (None, None) => {
                return Err(refused(format!("process {} has no type {type_name}", described.name)));
            }
        };
        let body =
            json!({"referenceName": field, "defaultValue": "", "required": false, "allowGroups": false});
        self.post(&format!("{base}/workItemTypes/{reference}/fields"), &body, operation).await?;
        Ok(())
    }

    /// Makes the process's own copy of a type that the vendor ships.
    async fn derive_type(&self, base: &str, system: &ProcessType, operation: &str) -> Result<String, Error> {
        let body = json!({
            "name": system.name, "inheritsFrom": system.reference_name,
            "color": system.color, "icon": system.icon, "isDisabled": false,
        });
        let made = self.post(&format!("{base}/workItemTypes"), &body, operation).await?;
        let made: ProcessType = serde_json::from_value(made)
            .map_err(|error| Error::new(SYSTEM, operation, ErrorKind::Malformed, error.to_string()))?;
        Ok(made.reference_name)
    }

    async fn post(&self, path: &str, body: &Value, operation: &str) -> Result<Value, Error> {
        self.api.write(Method::POST, None, path, &[], Some(body), Safety::Unsafe, operation).await.map_err(
            |error| {
                let kind = if error.is_refusal() { ErrorKind::Refused } else { ErrorKind::Unavailable };
                Error::new(SYSTEM, operation, kind, error.words())
            },
        )
    }
}

/// Derives the reference name as the web pages do.
fn reference_name(name: &str) -> String {
    format!("Custom.{}", name.chars().filter(char::is_ascii_alphanumeric).collect::<String>())
}

fn describe(field: &TypeField, def: Option<&FieldDef>) -> FieldMetadata {
    let kind = def.map(|d| d.r#type.to_ascii_lowercase()).unwrap_or_default();
    let read_only =
        def.is_some_and(|d| d.read_only) || KEPT_BY_SYSTEM.contains(&field.reference_name.as_str());
    let values: Vec<String> = field
        .allowed_values
        .iter()
        .flatten()
        .filter_map(|value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .collect();
    // People are listed as allowed values too, and that list is not closed.
    let closed = !values.is_empty() && !def.is_some_and(|d| d.is_identity);
    FieldMetadata {
        id: field.reference_name.clone(),
        writable: !read_only,
        values: closed.then_some(values),
        length_max: match kind.as_str() {
            "string" | "picklistring" => Some(STRING_MAX),
            "html" | "plaintext" | "history" => Some(LONG_TEXT_MAX),
            _ => None,
        },
    }
}
