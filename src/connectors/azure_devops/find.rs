//! Finds what was created although the answer was lost.
//!
//! Nothing here goes through a search index that lags: queries and lists of this
//! system show a write at once, and runs are compared by the token in their comment.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};

use super::AzureDevOps;
use super::catalog::{Fields, TITLE, category};
use super::client::ITEMS_PER_CALL;
use super::load_items::parts;
use super::load_plans::reference;
use super::load_results::{pick, run_of};
use super::load_runs::{has_token, text, token};
use super::tree::Tree;
use super::wire::{Run, WorkItem, rfc3339};
use crate::connectors::{Error, ErrorKind};
use crate::model::{Change, Key, Op};

/// The journal's clock and the server's differ by less than this.
const CLOCK_SKEW: Duration = Duration::minutes(5);

impl AzureDevOps {
    /// Tells, for each create, which artifacts could be the one that it made.
    pub(super) async fn found(
        &self,
        creates: &[Change],
        since: DateTime<Utc>,
    ) -> Result<Vec<Vec<Key>>, Error> {
        let mut found = vec![Vec::new(); creates.len()];
        let mut by_kind: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
        for (n, change) in creates.iter().enumerate() {
            by_kind.entry((change.artifact.as_str(), change.project.as_str())).or_default().push(n);
        }
        for ((artifact, project), members) in by_kind {
            let chosen: Vec<&Change> = members.iter().map(|&n| &creates[n]).collect();
            let keys = match artifact {
                "Test Case" => self.found_items(project, category::CASE, &chosen, since).await?,
                "Bug" => self.found_items(project, category::BUG, &chosen, since).await?,
                "Test Plan" => self.found_items(project, category::PLAN, &chosen, since).await?,
                "Test Suite" => self.found_suites(project, &chosen).await?,
                "Test Run" => self.found_runs(project, &chosen, since).await?,
                "Test Result" => self.found_results(project, &chosen).await?,
                _ => vec![Vec::new(); chosen.len()],
            };
            for (n, keys) in members.into_iter().zip(keys) {
                found[n] = keys;
            }
        }
        Ok(found)
    }

    /// Work items that our account made since: compared by what the create sent.
    async fn found_items(
        &self,
        project: &str,
        category: &str,
        creates: &[&Change],
        since: DateTime<Utc>,
    ) -> Result<Vec<Vec<Key>>, Error> {
        let operation = "looking for what was created";
        let condition = format!(
            "[System.WorkItemType] IN GROUP '{category}' AND [System.CreatedBy] = @me AND [System.ChangedDate] >= '{}'",
            rfc3339(since - CLOCK_SKEW)
        );
        let ids = self.api.query_ids(project, &condition, operation).await?;
        let mut items = Vec::new();
        for chunk in ids.chunks(ITEMS_PER_CALL) {
            items.extend(self.api.items(chunk, None, operation).await?.0);
        }
        let fields = self.catalog.fields(&self.api).await?;
        let born = |item: &&WorkItem| {
            let at = item.text("System.CreatedDate").and_then(super::wire::instant);
            at.is_none_or(|at| at >= since - CLOCK_SKEW)
        };
        let keys = |change: &&Change| {
            let one = items.iter().filter(born).filter(|item| is_made_by(item, change, &fields));
            one.map(|item| Key::from(item.id.to_string())).collect()
        };
        Ok(creates.iter().map(keys).collect())
    }

    /// Suites: names are unique among siblings.
    async fn found_suites(&self, project: &str, creates: &[&Change]) -> Result<Vec<Vec<Key>>, Error> {
        let mut trees: HashMap<i64, Option<Tree>> = HashMap::new();
        let mut found = Vec::new();
        for change in creates {
            let Op::Create { fields, references, .. } = &change.op else {
                found.push(Vec::new());
                continue;
            };
            let ends = (reference(references, "Parent Test Plan"), reference(references, "Parent"));
            let (Ok(Some(plan)), Ok(parent)) = ends else {
                found.push(Vec::new());
                continue;
            };
            if let std::collections::hash_map::Entry::Vacant(entry) = trees.entry(plan) {
                let tree = match self.plan(project, plan).await {
                    Ok(plan) => Some(self.tree(project, &plan).await?),
                    Err(error) if error.kind == ErrorKind::NotFound => None,
                    Err(error) => return Err(error),
                };
                entry.insert(tree);
            }
            let name = text(fields, "Title").unwrap_or_default();
            let keys = trees[&plan].iter().flat_map(|tree| {
                let parent = parent.unwrap_or(tree.root);
                tree.nodes.iter().filter(move |node| node.parent == Some(parent))
            });
            let keys = keys.filter(|node| node.kind == "static" && node.name == name);
            found.push(keys.map(|node| Key::from(node.id.to_string())).collect());
        }
        Ok(found)
    }

    /// Runs: by the token in their comment.
    async fn found_runs(
        &self,
        project: &str,
        creates: &[&Change],
        since: DateTime<Utc>,
    ) -> Result<Vec<Vec<Key>>, Error> {
        let mut runs: Vec<Run> = Vec::new();
        for run in self.runs(project, Some(since)).await? {
            // Lists may leave the comment out, and a run of ours always has one.
            let has_comment = run.comment.as_deref().is_some_and(|comment| !comment.is_empty());
            runs.push(if has_comment { run } else { self.run(project, run.id.0).await? });
        }
        let keys = |change: &&Change| {
            let token = match &change.op {
                Op::OpenSlots { .. } => token(&change.pair, Some(change.id)),
                _ => token(&change.pair, None),
            };
            let ours =
                runs.iter().filter(|run| has_token(run.comment.as_deref().unwrap_or_default(), &token));
            ours.map(|run| Key::from(run.id.0.to_string())).collect()
        };
        Ok(creates.iter().map(keys).collect())
    }

    /// Results: the slot, once it is filled.
    async fn found_results(&self, project: &str, creates: &[&Change]) -> Result<Vec<Vec<Key>>, Error> {
        let mut runs: HashMap<i64, Vec<super::wire::TestResult>> = HashMap::new();
        let mut found = Vec::new();
        for change in creates {
            let Op::Create { fields, references, .. } = &change.op else {
                found.push(Vec::new());
                continue;
            };
            let (Ok(run), Ok(Some(case))) = (run_of(change), reference(references, "Parent Test Case"))
            else {
                found.push(Vec::new());
                continue;
            };
            if let std::collections::hash_map::Entry::Vacant(entry) = runs.entry(run) {
                let results = match self.run(project, run).await {
                    Ok(read) => self.results(project, &read).await?.0,
                    Err(error) if error.kind == ErrorKind::NotFound => Vec::new(),
                    Err(error) => return Err(error),
                };
                entry.insert(results);
            }
            let results = &runs[&run];
            let configuration = text(fields, "Configuration").filter(|c| !c.is_empty());
            let filled = |r: &&super::wire::TestResult| {
                r.state.as_deref().is_some_and(|s| s.eq_ignore_ascii_case("Completed"))
            };
            let chosen = pick(results, case, configuration).ok().map(|at| &results[at]).filter(filled);
            found.push(chosen.map(|r| Key::from(format!("{run}.{}", r.id.0))).into_iter().collect());
        }
        Ok(found)
    }
}

/// Tells whether an item can be what a create made: the cross-references of its body
/// agree where the item has them, and name it; without any, the title does.
fn is_made_by(item: &WorkItem, change: &Change, fields: &Fields) -> bool {
    let Op::Create { fields: writes, .. } = &change.op else { return false };
    let (parts, _) = parts(fields, writes);
    let sent = |reference: &str| {
        let part = parts.iter().find(|part| part.reference == reference)?;
        part.json.get("value").and_then(|v| v.as_str()).filter(|v| !v.is_empty())
    };
    let custom: Vec<(&str, &str)> = parts
        .iter()
        .filter(|part| Fields::is_custom(&part.reference))
        .filter_map(|part| Some((part.reference.as_str(), sent(&part.reference)?)))
        .collect();
    if custom.iter().any(|(field, value)| item.text(field).is_some_and(|there| there != *value)) {
        return false;
    }
    let named = custom.iter().any(|(field, value)| item.text(field) == Some(*value));
    // The cross-references of plans follow in a second request, which may be the lost one.
    let title =
        || sent(TITLE).is_some_and(|title| item.text(TITLE).is_some_and(|t| t.trim() == title.trim()));
    named || ((custom.is_empty() || change.artifact == "Test Plan") && title())
}
