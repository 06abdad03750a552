//! Settling: before anything else a run finds out what became of creates whose answer was lost.

use super::ledger::{Left, left_behind};
use super::{Failure, Repositories};
use crate::model::{Change, Op, PairId, Side};
use crate::store::PipelineStore;

/// What settling found.
#[derive(Debug, Default)]
pub struct Settled {
    /// Creates that happened: pair, side and key.
    pub found: Vec<(PairId, Side, String)>,
    /// Creates of which several artifacts could be the result: pair, side, candidates.
    pub ambiguous: Vec<(PairId, Side, Vec<String>)>,
}

/// Finds out what became of the batches that earlier runs left open.
///
/// Updates and relations need no settling: the diff that follows sees what they did.
///
/// # Errors
///
/// Fails if a journal is damaged or a system cannot be asked; nothing may be created then.
pub async fn settle(store: &PipelineStore, repositories: &Repositories) -> Result<Settled, Failure> {
    let Left { open, created } = left_behind(store).await?;
    let mut settled = Settled { found: created, ambiguous: Vec::new() };
    for batch in open {
        for side in Side::BOTH {
            let creates: Vec<Change> = batch
                .intents
                .iter()
                .filter(|i| i.side == side && matches!(i.change.op, Op::Create { .. }))
                .map(|i| i.change.clone())
                .collect();
            let Some(first) = batch.intents.iter().find(|i| i.side == side) else { continue };
            if creates.is_empty() {
                continue;
            }
            let Some(connector) = repositories.get(&first.repository) else { continue };
            let found = connector.find(&creates, batch.sent_at).await?;
            for (change, keys) in creates.iter().zip(found) {
                match keys.as_slice() {
                    [] => {}
                    [key] => settled.found.push((change.pair.clone(), side, key.to_string())),
                    several => {
                        let keys = several.iter().map(ToString::to_string).collect();
                        settled.ambiguous.push((change.pair.clone(), side, keys));
                    }
                }
            }
        }
    }
    Ok(settled)
}
