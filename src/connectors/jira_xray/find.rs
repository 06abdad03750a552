//! Which creates happened: what was made since, compared field by field here.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use chrono::{DateTime, TimeDelta, Utc};

use super::JiraXray;
use super::describe::Kind;
use super::extract::{CONTENT, quoted};
use super::load::environments;
use super::values::to_text;
use super::wire::Issue;
use crate::connectors::Error;
use crate::model::{Change, Key, Op, WriteValue};

/// How much our clock and the server's may differ.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);

impl JiraXray {
    pub(super) async fn find_created(
        &self,
        creates: &[Change],
        since: DateTime<Utc>,
    ) -> Result<Vec<Vec<Key>>, Error> {
        if creates.iter().any(|c| c.artifact == "Test Run") {
            return self.find_results(creates).await;
        }
        tokio::time::sleep(self.settings.index_lag).await;
        let mut made: HashMap<(&str, &str), Vec<Issue>> = HashMap::new();
        for create in creates {
            let place = (create.project.as_str(), create.artifact.as_str());
            if let Entry::Vacant(entry) = made.entry(place) {
                entry.insert(self.made_since(place, since).await?);
            }
        }
        let mut found = Vec::with_capacity(creates.len());
        for create in creates {
            let place = (create.project.as_str(), create.artifact.as_str());
            let candidates = made.get(&place).into_iter().flatten();
            let wanted = self.wanted(create).await?;
            let same = candidates.filter(|issue| {
                !wanted.is_empty() && wanted.iter().all(|(id, text)| self.holds(issue, id, text))
            });
            let same: Vec<Key> = same.map(|issue| Key::from(issue.id.as_str())).collect();
            found.push(self.in_environments(create, same).await?);
        }
        Ok(found)
    }

    /// Tells the executions of one run apart, of which there is one per configuration.
    async fn in_environments(&self, create: &Change, keys: Vec<Key>) -> Result<Vec<Key>, Error> {
        let (Op::Create { slots, .. }, Some(Kind::TestExecutions)) =
            (&create.op, Kind::of_artifact(&create.artifact))
        else {
            return Ok(keys);
        };
        let wanted = environments(slots);
        let ids: Vec<String> = keys.iter().map(Key::to_string).collect();
        if ids.is_empty() || wanted.is_empty() {
            return Ok(keys);
        }
        let (extras, _) = self.extras(Kind::TestExecutions, &ids).await?;
        let holds = |key: &Key| {
            let members = extras.members.get(key.as_str());
            members.is_none_or(|m| m.environments.iter().map(String::as_str).eq(wanted.iter().copied()))
        };
        Ok(keys.into_iter().filter(holds).collect())
    }

    /// Reads the issues of a type that were made since.
    async fn made_since(
        &self,
        (project, artifact): (&str, &str),
        since: DateTime<Utc>,
    ) -> Result<Vec<Issue>, Error> {
        let project = self.project(project).await?;
        let issue_type = Kind::of_artifact(artifact).and_then(|_| project.issue_type(artifact));
        let Some(issue_type) = issue_type else { return Ok(Vec::new()) };
        let jql = format!(
            "project = {} AND issuetype = {} AND created >= {}",
            quoted(&project.key),
            quoted(&issue_type.name),
            (since - CLOCKS_DIFFER).timestamp_millis()
        );
        let ids: Vec<String> = self.sweep(&jql).await?.into_iter().map(|id| id.to_string()).collect();
        Ok(self.fetch(&ids, &CONTENT).await?.0)
    }

    /// Picks the values by which a create is recognised: those of its custom
    /// fields, or its summary where it has none.
    async fn wanted(&self, create: &Change) -> Result<Vec<(String, String)>, Error> {
        let Op::Create { fields: writes, .. } = &create.op else { return Ok(Vec::new()) };
        let fields = self.fields().await?;
        let mut wanted = Vec::new();
        let mut summary = Vec::new();
        for write in writes {
            let (Some(field), WriteValue::Text(text)) = (fields.by_name(&write.field), &write.value) else {
                continue;
            };
            let pair = (field.id.clone(), text.clone());
            match field.custom {
                true if matches!(field.custom_kind(), "textfield" | "url" | "readonlyfield") => {
                    wanted.push(pair)
                }
                false if field.id == "summary" => summary.push(pair),
                _ => {}
            }
        }
        Ok(if wanted.is_empty() { summary } else { wanted })
    }

    fn holds(&self, issue: &Issue, field: &str, text: &str) -> bool {
        let value = issue.fields.get(field).and_then(|v| to_text(None, v)).unwrap_or_default();
        value.trim() == text.trim()
    }
}
