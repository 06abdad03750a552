//! Writes the journal of a run, and reads what earlier runs left open in theirs.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Clock, Failure};
use crate::journal::{Batch, Intent, Outcomes, open};
use crate::model::{Change, Op, Outcome, PairId, RepositoryId, RunId, Side};
use crate::store::{JournalKind, PipelineStore};

/// Batches of one round: a million of a thousand changes.
const BATCHES_PER_ROUND_MAX: u64 = 1_000_000;

/// The journal of one run.
pub struct Ledger<'a> {
    store: &'a PipelineStore,
    run: RunId,
    clock: Clock<'a>,
    next: AtomicU64,
}

impl std::fmt::Debug for Ledger<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("run", &self.run).finish_non_exhaustive()
    }
}

impl<'a> Ledger<'a> {
    /// Opens the journal of a run; each of its rounds numbers its batches apart.
    pub fn new(store: &'a PipelineStore, run: RunId, clock: Clock<'a>, round: u32) -> Self {
        Self { store, run, clock, next: AtomicU64::new(u64::from(round) * BATCHES_PER_ROUND_MAX + 1) }
    }

    /// Makes a batch durable before it is sent, and returns its number.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written; nothing may be sent then.
    pub async fn begin(
        &self,
        integration: &str,
        repository: &RepositoryId,
        side: Side,
        changes: &[Change],
    ) -> Result<u64, Failure> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let intent = |change: &Change| Intent {
            integration: integration.to_owned(),
            side,
            repository: repository.clone(),
            change: change.clone(),
        };
        let batch = Batch {
            run: self.run.clone(),
            number,
            sent_at: (self.clock)(),
            intents: changes.iter().map(intent).collect(),
        };
        self.store.put_journal(&self.run, number, JournalKind::Intents, batch.encode()?).await?;
        Ok(number)
    }

    /// Takes over intents of an earlier run that are still open, so that the next one finds
    /// them in the journal of this.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub async fn carry(&self, batch: Batch) -> Result<(), Failure> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let batch = Batch { run: self.run.clone(), number, ..batch };
        self.store.put_journal(&self.run, number, JournalKind::Intents, batch.encode()?).await?;
        Ok(())
    }

    /// Notes what came of a batch.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written; the next run then finds out again.
    pub async fn end(&self, number: u64, changes: &[Change], outcomes: &[Outcome]) -> Result<(), Failure> {
        let outcomes = Outcomes {
            run: self.run.clone(),
            number,
            known_at: (self.clock)(),
            outcomes: changes.iter().map(|c| c.id).zip(outcomes.iter().cloned()).collect(),
        };
        self.store.put_journal(&self.run, number, JournalKind::Outcomes, outcomes.encode()?).await?;
        Ok(())
    }
}

/// What the journals since the last commit say.
#[derive(Debug, Default)]
pub struct Left {
    /// Batches whose outcome is not known.
    pub open: Vec<Batch>,
    /// Artifacts that were made, whether or not their pair was committed.
    pub created: Vec<Made>,
}

/// An artifact that a run made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its pair.
    pub pair: PairId,
    /// The side on which it was made.
    pub side: Side,
    /// Its key.
    pub key: String,
    /// Whether it is a container that may stand beside the pair's first.
    pub further: bool,
}

/// Reads the journals of the runs since the last commit.
///
/// # Errors
///
/// Fails if a record is damaged.
pub async fn left_behind(store: &PipelineStore) -> Result<Left, Failure> {
    let mut left = Left::default();
    for run in store.unsettled_runs().await? {
        let mut batches = Vec::new();
        let mut outcomes = Vec::new();
        for (number, kind) in store.list_journal(&run).await? {
            let record = store.read_journal(&run, number, kind).await?;
            match kind {
                JournalKind::Intents => batches.push(Batch::decode(&record)?),
                JournalKind::Outcomes | JournalKind::Settled => outcomes.push(Outcomes::decode(&record)?),
            }
        }
        for known in &outcomes {
            let Some(batch) = batches.iter().find(|b| b.number == known.number) else { continue };
            left.created.extend(created(batch, known));
        }
        left.open.extend(open(batches, &outcomes));
    }
    Ok(left)
}

fn created(batch: &Batch, known: &Outcomes) -> Vec<Made> {
    let of = |(id, outcome): &(u64, Outcome)| {
        let intent = batch.intents.iter().find(|i| i.change.id == *id)?;
        let further = match intent.change.op {
            Op::Create { .. } => false,
            Op::OpenSlots { .. } => true,
            _ => return None,
        };
        let Outcome::Done { key, .. } = outcome else { return None };
        Some(Made { pair: intent.change.pair.clone(), side: intent.side, key: key.to_string(), further })
    };
    known.outcomes.iter().filter_map(of).collect()
}
