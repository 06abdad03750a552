//! Settling: before anything else a run finds out what became of creates whose answer was lost.

use super::ledger::{Left, Made, left_behind};
use super::pairing::{Pair, Pairs, further_parts};
use super::{Failure, Repositories};
use crate::journal::{Batch, Intent};
use crate::model::{Change, Op, PairId, Side};
use crate::store::PipelineStore;

/// What settling found.
#[derive(Debug, Default)]
pub struct Settled {
    /// What earlier runs made, or turned out to have made, without committing it.
    pub found: Vec<Made>,
    /// Creates of which several artifacts could be the result.
    pub ambiguous: Vec<Ambiguous>,
    /// Creates that did not happen: pair and side. They may be asked for again.
    pub absent: Vec<(PairId, Side)>,
    /// What must be asked again by the next run: the intents behind `ambiguous`.
    pub open: Vec<Batch>,
}

/// A create with several possible results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ambiguous {
    /// The pair.
    pub pair: PairId,
    /// The side on which it was to be made.
    pub side: Side,
    /// The keys of what could be the result.
    pub candidates: Vec<String>,
}

impl Settled {
    /// Gives pairs the keys that were found. Pairs that no commit knows yet come into being.
    pub fn complete(&self, pairs: &mut Pairs) {
        for made in &self.found {
            if made.further {
                pairs.add_further(&made.pair, made.side, &made.key);
            } else if let Some((first, configuration)) = further_parts(&made.pair) {
                if let Some(pair) = known_or_named(pairs, &first)
                    && pairs.find(&pair.integration, made.side, &made.key).is_none()
                {
                    pairs.insert(pair.further(made.side, &made.key, Some(configuration)));
                }
            } else if let Some(pair) = known_or_named(pairs, &made.pair)
                && pair.key(made.side).is_none()
                && pairs.find(&pair.integration, made.side, &made.key).is_none()
            {
                pairs.complete(&made.pair, made.side, &made.key);
            }
        }
        for open in &self.ambiguous {
            known_or_named(pairs, &open.pair);
        }
    }
}

/// Finds a pair, or starts it as its id says.
fn known_or_named(pairs: &mut Pairs, id: &PairId) -> Option<Pair> {
    if pairs.get(id).is_none() {
        if further_parts(id).is_some() {
            return None;
        }
        let pair = Pair::named(id)?;
        let first = if pair.left.is_some() { Side::Left } else { Side::Right };
        // The artifact may have found another counterpart meanwhile.
        if pairs.find(&pair.integration, first, pair.key(first)?).is_some() {
            return None;
        }
        pairs.insert(pair);
    }
    pairs.get(id).cloned()
}

/// Finds out what became of the batches that earlier runs, or earlier rounds of this one, left open.
///
/// Updates and relations need no settling: the diff that follows sees what they did.
///
/// # Errors
///
/// Fails if a journal is damaged or a system cannot be asked; nothing may be created then.
pub async fn settle(
    store: &PipelineStore,
    repositories: &Repositories,
    pairs: &Pairs,
) -> Result<Settled, Failure> {
    let Left { open, created } = left_behind(store).await?;
    let mut settled = Settled { found: created, ..Settled::default() };
    for batch in open {
        let mut ambiguous = Vec::new();
        for side in Side::BOTH {
            let unknown: Vec<&Intent> = batch
                .intents
                .iter()
                .filter(|i| i.side == side && !settled.knows(i, pairs))
                .filter(|i| matches!(i.change.op, Op::Create { .. } | Op::OpenSlots { .. }))
                .collect();
            let Some(connector) = unknown.first().and_then(|i| repositories.get(&i.repository)) else {
                continue;
            };
            let creates: Vec<Change> = unknown.iter().map(|i| i.change.clone()).collect();
            let found = connector.find(&creates, batch.sent_at).await?;
            for (intent, keys) in unknown.into_iter().zip(found) {
                let keys = keys.iter().map(ToString::to_string);
                let keys = keys.filter(|key| !settled.belongs_elsewhere(intent, key, pairs)).collect();
                if settled.judge(intent, keys) {
                    ambiguous.push(intent.clone());
                }
            }
        }
        if !ambiguous.is_empty() {
            settled.open.push(Batch { intents: ambiguous, ..batch });
        }
    }
    Ok(settled)
}

impl Settled {
    /// Tells whether a create is known to have happened.
    fn knows(&self, intent: &Intent, pairs: &Pairs) -> bool {
        if matches!(intent.change.op, Op::OpenSlots { .. }) {
            return false;
        }
        let pair = &intent.change.pair;
        pairs.get(pair).is_some_and(|p| p.key(intent.side).is_some())
            || self.found.iter().any(|m| !m.further && m.pair == *pair && m.side == intent.side)
    }

    /// Tells whether an artifact is known to be another pair's.
    fn belongs_elsewhere(&self, intent: &Intent, key: &str, pairs: &Pairs) -> bool {
        let pair = &intent.change.pair;
        let ours = |id: &PairId| Pair::named(id).is_some_and(|p| p.integration == intent.integration);
        pairs.find(&intent.integration, intent.side, key).is_some_and(|p| p.id != *pair)
            || self
                .found
                .iter()
                .any(|m| m.pair != *pair && m.side == intent.side && m.key == key && ours(&m.pair))
    }

    /// Notes what an intent came to; tells whether several artifacts could be its result.
    fn judge(&mut self, intent: &Intent, keys: Vec<String>) -> bool {
        let (pair, side) = (intent.change.pair.clone(), intent.side);
        let further = matches!(intent.change.op, Op::OpenSlots { .. });
        match <[String; 1]>::try_from(keys) {
            Ok([key]) => self.found.push(Made { pair, side, key, further }),
            Err(_) if further => {}
            Err(none) if none.is_empty() => self.absent.push((pair, side)),
            Err(candidates) => {
                let known = self.ambiguous.iter().any(|a| a.pair == pair && a.side == side);
                if !known {
                    self.ambiguous.push(Ambiguous { pair, side, candidates });
                }
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(pair: &str, key: &str) -> Made {
        Made { pair: pair.into(), side: Side::Right, key: key.into(), further: false }
    }

    #[test]
    fn what_was_found_completes_a_pair_that_no_commit_knows() {
        let settled = Settled { found: vec![made("test-cases/L7", "10007")], ..Settled::default() };
        let mut pairs = Pairs::default();
        settled.complete(&mut pairs);
        settled.complete(&mut pairs);
        assert_eq!(pairs.iter().count(), 1);
        let pair = pairs.find("test-cases", Side::Right, "10007").unwrap();
        assert_eq!((pair.left.as_deref(), pair.is_live()), (Some("7"), true));
    }

    #[test]
    fn an_artifact_that_found_another_counterpart_is_not_paired_twice() {
        let mut pairs = Pairs::default();
        pairs.insert(Pair::first_seen("test-cases", Side::Right, "10007"));
        pairs.complete(&"test-cases/R10007".into(), Side::Left, "7");
        let settled = Settled { found: vec![made("test-cases/L7", "10008")], ..Settled::default() };
        settled.complete(&mut pairs);
        assert_eq!(pairs.iter().count(), 1);
        assert!(pairs.find("test-cases", Side::Right, "10008").is_none());
    }
}
