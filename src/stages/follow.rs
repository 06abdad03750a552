//! Brings a snapshot up to date with what a load wrote, without reading everything again.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::AtomicBool;

use super::commit::ReadBack;
use super::extract::{Extraction, keys};
use super::load::Loaded;
use super::spec::Integration;
use super::{Failure, Repositories};
use crate::model::{RepositoryId, Side};
use crate::store::{PipelineStore, Refresh, Snapshot, TableState};

/// Puts rows read back in the place of theirs; tables of relationships are read
/// anew where relationships were written.
pub(super) async fn follow(
    store: &PipelineStore,
    integrations: &[Integration],
    repositories: &Repositories,
    snapshot: &Snapshot,
    loaded: &Loaded,
    back: &ReadBack,
) -> Result<BTreeMap<String, BTreeMap<String, TableState>>, Failure> {
    let mut tables = snapshot.repositories.clone();
    for ((name, side), rows) in back {
        let Some(integration) = integrations.iter().find(|i| &i.name == name) else { continue };
        let collection = integration.side(*side);
        let (repository, table) = (collection.repository.as_str(), collection.artifact.table);
        let Some(known) = tables.get(repository).and_then(|t| t.get(table)) else { continue };
        let schema = rows.schema();
        let gone = match loaded.removed.get(&(name.clone(), *side)) {
            None => HashSet::new(),
            Some(removed) => {
                let there: HashSet<String> = keys(rows).into_iter().collect();
                removed.difference(&there).cloned().collect()
            }
        };
        let refresh = Refresh { rows: vec![rows.clone()], gone };
        let parts = store.refresh_rows(repository, table, schema.clone(), &known.parts, &refresh).await?;
        let state = TableState { parts, ..known.clone() };
        let rows = state.parts.iter().map(|p| p.rows).sum();
        if let Some(tables) = tables.get_mut(repository) {
            tables.insert(table.to_owned(), TableState { rows, ..state });
        }
    }
    let never = AtomicBool::new(false);
    for repository in related(integrations, loaded) {
        let Some(connector) = repositories.get(&repository) else { continue };
        // Containers are read anew too: a plan brings its root along.
        let artifacts = connector.artifacts();
        let artifacts: HashSet<&str> =
            artifacts.iter().filter(|a| a.view != "container").map(|a| a.table).collect();
        // What no artifact lives in is what ties them together; so is what a slot holds.
        let specs: Vec<_> = connector.tables().into_iter().filter(|t| !artifacts.contains(t.name)).collect();
        let extraction = Extraction {
            store,
            repository: &repository,
            connector,
            before: None,
            full: true,
            // What was written must be read: a run that is ended commits what it did.
            stop: &never,
            now: snapshot.created_at,
        };
        for spec in specs {
            let state = extraction.whole(&spec).await?;
            if let Some(tables) = tables.get_mut(repository.as_str()) {
                tables.insert(spec.name.to_owned(), state);
            }
        }
    }
    Ok(tables)
}

/// Repositories whose relationships or slots were written.
fn related(integrations: &[Integration], loaded: &Loaded) -> HashSet<RepositoryId> {
    let mut found = HashSet::new();
    for integration in integrations {
        for side in Side::BOTH {
            let written = loaded.touched.contains_key(&(integration.name.clone(), side));
            let artifact = &integration.side(side).artifact;
            let brings_more = artifact.holds_slots || matches!(artifact.view, "plan" | "container");
            if loaded.related.contains(&side) || (written && brings_more) {
                found.insert(integration.side(side).repository.clone());
            }
        }
    }
    found
}
