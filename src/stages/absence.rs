//! What became of paired artifacts that the snapshot does not show.

use std::collections::{HashMap, HashSet};

use super::extract::keys;
use super::pairing::{Pairs, State};
use super::spec::Integration;
use super::{Failure, Repositories};
use crate::model::{Key, Side};
use crate::store::{PipelineStore, Snapshot};

/// Keys asked for at a time.
const READ_KEYS_MAX: usize = 1000;

/// Keys that exist though they are not staged, by integration and side.
pub(super) type Hidden = HashMap<(String, Side), HashSet<String>>;

/// Asks each system directly for paired artifacts that are not staged: absence from
/// a listing alone concludes nothing.
pub(super) async fn hidden(
    store: &PipelineStore,
    snapshot: &Snapshot,
    integrations: &[Integration],
    repositories: &Repositories,
    pairs: &Pairs,
) -> Result<Hidden, Failure> {
    let mut hidden = Hidden::new();
    for integration in integrations {
        for side in Side::BOTH {
            let collection = integration.side(side);
            let known: Vec<&str> = pairs
                .iter()
                .filter(|p| p.integration == integration.name && !p.alias)
                .filter(|p| match p.state {
                    State::LeftGone => side == Side::Right,
                    State::RightGone => side == Side::Left,
                    State::BothGone | State::Detached => false,
                    State::Live
                    | State::Pending
                    | State::Ambiguous
                    | State::OutOfScope
                    | State::Forbidden => true,
                })
                .filter_map(|p| p.key(side))
                .collect();
            let Some(connector) = repositories.get(&collection.repository) else { continue };
            let table = snapshot.table(collection.repository.as_str(), collection.artifact.table);
            let mut staged = HashSet::new();
            for part in table.iter().flat_map(|t| &t.parts) {
                staged.extend(store.read_part(part).await?.iter().flat_map(keys));
            }
            let missing: Vec<Key> =
                known.iter().filter(|k| !staged.contains(**k)).map(|k| Key::from(*k)).collect();
            let mut found: HashSet<String> =
                known.iter().filter(|k| staged.contains(**k)).map(|k| (*k).to_owned()).collect();
            for some in missing.chunks(READ_KEYS_MAX) {
                found.extend(keys(&connector.read(collection.artifact.table, some).await?));
            }
            hidden.insert((integration.name.clone(), side), found);
        }
    }
    Ok(hidden)
}
