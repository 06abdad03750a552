//! The load: planned changes, wave by wave, each batch journalled before and after.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::future::join;

use super::diff::{Agreed, Ref};
use super::ledger::Ledger;
use super::pairing::{Pairs, resting};
use super::plan::{Held, Planned, PlannedField};
use super::spec::{Integration, rank};
use super::write::native_text;
use super::{Failure, Progress, Repositories};
use crate::model::{
    Change, FieldWrite, Key, Notation, Op, Outcome, PairId, ReferenceWrite, Side, Slot, WriteValue,
};
use crate::pipeline::Deletions;

/// Changes handed to a connector at a time: what the largest bulk call takes.
const BATCH_CHANGES_MAX: usize = 1000;

/// The reason of a write that somebody's edit overtook.
pub const CHANGED_MEANWHILE: &str = "changed meanwhile";

/// The reason of a write whose answer was lost.
pub const UNKNOWN: &str = "unknown";

/// What came of a load.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Fields that both sides hold now, with the values sent.
    pub written: Vec<Written>,
    /// Ends of relationships that stand on both sides now.
    pub refs_added: Vec<Ref>,
    /// Ends of relationships that stand on neither side any more.
    pub refs_removed: Vec<Ref>,
    /// What was refused, with the system's words.
    pub rejected: Vec<Held>,
    /// Artifacts written, per integration and side.
    pub counts: BTreeMap<(String, Side), Counts>,
    /// Keys of artifacts that were taken away, by integration and side.
    pub removed: HashMap<(String, Side), HashSet<String>>,
    /// Keys that were written, by integration and side.
    pub touched: HashMap<(String, Side), HashSet<String>>,
    /// Sides whose relationships or slots were written.
    pub related: HashSet<Side>,
}

/// Artifacts of one side that a load wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Made.
    pub created: u64,
    /// Changed.
    pub updated: u64,
    /// Taken away.
    pub removed: u64,
}

/// A field that was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// What both sides hold, as far as was sent.
    pub agreed: Agreed,
    /// The side that was written.
    pub side: Side,
    /// The key that was written.
    pub key: String,
    /// The field's name there.
    pub native_field: String,
    /// The revision that the write returned.
    pub revision: Option<String>,
    /// Whether the artifact was made by this write.
    pub created: bool,
    /// Whether the value is formatted text.
    pub formatted: bool,
    /// The notation of formatted text.
    pub notation: Option<Notation>,
}

/// What a load needs to know.
pub struct Loading<'a> {
    /// The integrations in order.
    pub integrations: &'a [Integration],
    /// The repositories.
    pub repositories: &'a Repositories,
    /// The journal of this run.
    pub journal: &'a Ledger<'a>,
    /// Where progress is told.
    pub progress: &'a dyn Progress,
    /// The number of the next change. Systems keep it in tokens, so that no two
    /// changes of a pipeline may have the same, in whatever run.
    pub next: &'a AtomicU64,
    /// Set from outside to end the load after the batches in flight.
    pub stop: &'a AtomicBool,
}

impl std::fmt::Debug for Loading<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loading").finish_non_exhaustive()
    }
}

/// A change on its way, with what is noted when it is done.
struct Sent<'a> {
    change: Change,
    planned: &'a Planned,
    what: What,
}

/// What a change on its way carries.
enum What {
    Fields { created: bool },
    Ends { field: String, add: Vec<PairId>, remove: Vec<PairId> },
    Slots { container: PairId },
    Removal,
}

/// The load under way.
struct Work<'a> {
    loading: &'a Loading<'a>,
    changes: &'a [Planned],
    pairs: &'a mut Pairs,
    out: Loaded,
    /// Containers that a system made because an existing one could not be widened.
    opened: HashMap<(PairId, Side), Key>,
}

impl Loading<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Carries out changes and completes the pairs with the keys that come out.
    ///
    /// # Errors
    ///
    /// Fails only if the journal cannot be written; what systems refuse is in
    /// [`Loaded::rejected`].
    pub async fn load(&self, changes: &[Planned], pairs: &mut Pairs) -> Result<Loaded, Failure> {
        let mut work = Work { loading: self, changes, pairs, out: Loaded::default(), opened: HashMap::new() };
        let last = self.integrations.iter().map(rank).max().unwrap_or(0);
        for wave in 0..=last {
            let now: Vec<&Integration> = self.integrations.iter().filter(|i| rank(i) == wave).collect();
            for integration in &now {
                if self.is_stopped() {
                    return Ok(work.out);
                }
                if integration.sides.iter().any(|c| c.artifact.lives_in_slot) {
                    work.open_slots(integration).await?;
                }
                work.create(integration).await?;
                work.update(integration).await?;
            }
            for integration in &now {
                if self.is_stopped() {
                    return Ok(work.out);
                }
                work.relate(integration).await?;
            }
        }
        // What others may still refer to goes last.
        for integration in self.integrations.iter().rev() {
            if self.is_stopped() {
                return Ok(work.out);
            }
            work.remove(integration).await?;
        }
        Ok(work.out)
    }
}

impl<'a> Work<'a> {
    fn of(&self, integration: &Integration, side: Side) -> impl Iterator<Item = &'a Planned> {
        let name = integration.name.clone();
        let changes: &'a [Planned] = self.changes;
        changes.iter().filter(move |c| c.integration == name && c.side == side)
    }

    async fn create(&mut self, integration: &Integration) -> Result<(), Failure> {
        let mut sent = [Vec::new(), Vec::new()];
        for side in Side::BOTH {
            let planned: Vec<&'a Planned> = self.of(integration, side).filter(|c| c.key.is_none()).collect();
            for change in planned {
                match self.creation(integration, change) {
                    Ok(op) => {
                        let one = self.sent(integration, change, op, What::Fields { created: true });
                        sent[side as usize].push(one);
                    }
                    Err(why) => self.reject(change, None, "dependency", why),
                }
            }
        }
        self.send(integration, sent).await
    }

    async fn update(&mut self, integration: &Integration) -> Result<(), Failure> {
        let mut sent = [Vec::new(), Vec::new()];
        for side in Side::BOTH {
            let planned: Vec<&'a Planned> =
                self.of(integration, side).filter(|c| c.key.is_some() && !c.fields.is_empty()).collect();
            for change in planned {
                let key = Key::new(change.key.clone().unwrap_or_default());
                let op = Op::Update { key, fields: fields(change) };
                let one = self.sent(integration, change, op, What::Fields { created: false });
                sent[side as usize].push(one);
            }
        }
        self.send(integration, sent).await
    }

    async fn relate(&mut self, integration: &Integration) -> Result<(), Failure> {
        let mut sent = [Vec::new(), Vec::new()];
        for side in Side::BOTH {
            let planned: Vec<&'a Planned> = self.of(integration, side).collect();
            for change in planned {
                let Some(key) = self.pairs.get(&change.pair).and_then(|p| p.key(side)).map(Key::from) else {
                    continue;
                };
                for reference in &change.references {
                    if reference.required && change.key.is_none() {
                        continue;
                    }
                    let (add, added) = self.keys(&reference.add, side);
                    let (remove, removed) = self.keys(&reference.remove, side);
                    if add.is_empty() && remove.is_empty() {
                        continue;
                    }
                    let relationship = reference.relationship.clone();
                    let op = Op::Relate { key: key.clone(), relationship, add, remove };
                    let what = What::Ends { field: reference.field.clone(), add: added, remove: removed };
                    sent[side as usize].push(self.sent(integration, change, op, what));
                    self.out.related.insert(side);
                }
            }
        }
        self.send(integration, sent).await
    }

    async fn remove(&mut self, integration: &Integration) -> Result<(), Failure> {
        let Deletions::Propagate { destroy } = integration.deletions else { return Ok(()) };
        let mut sent = [Vec::new(), Vec::new()];
        for side in Side::BOTH {
            let planned: Vec<&'a Planned> = self.of(integration, side).filter(|c| c.remove).collect();
            for change in planned {
                let Some(key) = change.key.as_deref().map(Key::from) else { continue };
                let op = Op::Remove { key, destroy };
                sent[side as usize].push(self.sent(integration, change, op, What::Removal));
                self.out.related.insert(side);
            }
        }
        self.send(integration, sent).await
    }

    /// Widens containers that exist by the slots that new results need.
    async fn open_slots(&mut self, integration: &Integration) -> Result<(), Failure> {
        for side in Side::BOTH {
            let mut wanted: BTreeMap<PairId, (&'a Planned, Vec<Slot>)> = BTreeMap::new();
            let planned: Vec<&'a Planned> = self.of(integration, side).filter(|c| c.key.is_none()).collect();
            for change in planned {
                let Some((container, slot)) = self.slot(change) else { continue };
                let fresh =
                    self.changes.iter().any(|c| c.pair == container && c.side == side && c.key.is_none());
                if !fresh {
                    wanted.entry(container).or_insert_with(|| (change, Vec::new())).1.push(slot);
                }
            }
            let mut sent = [Vec::new(), Vec::new()];
            for (container, (change, slots)) in wanted {
                let Some(holder) = self.holder(&container) else { continue };
                let Some(key) = self.pairs.get(&container).and_then(|p| p.key(side)).map(Key::from) else {
                    continue;
                };
                let op = Op::OpenSlots { key, slots };
                let mut one = self.sent(holder, change, op, What::Slots { container: container.clone() });
                one.change.pair = container;
                sent[side as usize].push(one);
            }
            if let Some(holder) = sent[side as usize].first().and_then(|s| self.holder(&s.change.pair)) {
                self.out.related.insert(side);
                self.send(holder, sent).await?;
            }
        }
        Ok(())
    }

    /// Returns the integration that a pair belongs to.
    fn holder(&self, pair: &PairId) -> Option<&'a Integration> {
        let name = &self.pairs.get(pair)?.integration;
        self.loading.integrations.iter().find(|i| &i.name == name)
    }

    /// Returns the container and the slot that a new result needs on its side.
    fn slot(&self, change: &Planned) -> Option<(PairId, Slot)> {
        let mut container = None;
        let mut case = None;
        for target in change.references.iter().filter(|r| r.required).flat_map(|r| &r.add) {
            let holder = self.holder(target)?;
            if holder.side(change.side).artifact.holds_slots {
                container = Some(target.clone());
            } else {
                case = self.pairs.get(target).and_then(|p| p.key(change.side)).map(Key::from);
            }
        }
        let configuration = change.configuration.clone();
        let fallback = self.usual_configuration(change).filter(|usual| Some(usual) != configuration.as_ref());
        Some((container?, Slot { case: case?, plan: None, configuration, fallback }))
    }

    /// Returns the configuration that the pipeline names for results of which none is known.
    fn usual_configuration(&self, change: &Planned) -> Option<String> {
        let integration = self.loading.integrations.iter().find(|i| i.name == change.integration)?;
        let collection = integration.side(change.side);
        let field = collection.artifact.configuration_field?;
        let mut ours =
            collection.constants.iter().filter(|c| c.native == field && c.project == change.project);
        ours.next().map(|c| c.value.clone())
    }

    fn creation(&mut self, integration: &Integration, change: &Planned) -> Result<Op, String> {
        let collection = integration.side(change.side);
        let mut references = Vec::new();
        for reference in change.references.iter().filter(|r| r.required) {
            let mut targets = Vec::new();
            for target in &reference.add {
                let opened = self.opened.get(&(target.clone(), change.side)).cloned();
                let known = self.pairs.get(target).and_then(|p| p.key(change.side)).map(Key::from);
                let key = opened.or(known);
                targets
                    .push(key.ok_or_else(|| format!("{target} does not exist on the {} side", change.side))?);
            }
            references.push(ReferenceWrite { relationship: reference.relationship.clone(), targets });
        }
        for constant in collection.constants.iter().filter(|c| c.relationship && c.project == change.project)
        {
            references.push(ReferenceWrite {
                relationship: constant.native.clone(),
                targets: vec![Key::new(constant.value.clone())],
            });
        }
        let slots = if collection.artifact.holds_slots { self.slots_of(change) } else { Vec::new() };
        Ok(Op::Create { fields: fields(change), references, slots })
    }

    /// Lists the slots that the new results of a new container need.
    fn slots_of(&self, container: &Planned) -> Vec<Slot> {
        self.changes
            .iter()
            .filter(|c| c.side == container.side && c.key.is_none())
            .filter_map(|c| self.slot(c))
            .filter(|(pair, _)| *pair == container.pair)
            .map(|(_, slot)| slot)
            .collect()
    }

    /// Native keys of pairs on a side, with the pairs that have one.
    fn keys(&self, pairs: &[PairId], side: Side) -> (Vec<Key>, Vec<PairId>) {
        let known = |pair: &PairId| Some((self.pairs.get(pair)?.key(side).map(Key::from)?, pair.clone()));
        pairs.iter().filter_map(known).unzip()
    }

    fn sent(&mut self, integration: &Integration, planned: &'a Planned, op: Op, what: What) -> Sent<'a> {
        let change = Change {
            id: self.loading.next.fetch_add(1, Ordering::Relaxed),
            pair: planned.pair.clone(),
            artifact: integration.side(planned.side).artifact.name.to_owned(),
            project: planned.project.clone(),
            revision: planned.revision.clone(),
            op,
        };
        Sent { change, planned, what }
    }

    /// Sends both sides' changes at the same time, batch by batch.
    async fn send(&mut self, integration: &Integration, sent: [Vec<Sent<'a>>; 2]) -> Result<(), Failure> {
        let [left, right] = sent;
        let total = left.len() + right.len();
        if total == 0 {
            return Ok(());
        }
        self.loading.progress.start(&format!("writing {}", integration.name), total as u64);
        let (left, right) =
            join(self.batches(integration, Side::Left, left), self.batches(integration, Side::Right, right))
                .await;
        for (sent, outcome) in left?.into_iter().chain(right?) {
            self.note(sent, outcome);
        }
        self.loading.progress.finish();
        Ok(())
    }

    async fn batches(
        &self,
        integration: &Integration,
        side: Side,
        sent: Vec<Sent<'a>>,
    ) -> Result<Vec<(Sent<'a>, Outcome)>, Failure> {
        let repository = &integration.side(side).repository;
        let connector = self.loading.repositories.get(repository);
        let connector =
            connector.ok_or_else(|| Failure::Defect(format!("repository {repository} is not connected")))?;
        let mut done = Vec::with_capacity(sent.len());
        let mut rest = sent.into_iter().peekable();
        while rest.peek().is_some() && !self.loading.is_stopped() {
            let batch: Vec<Sent<'a>> = rest.by_ref().take(BATCH_CHANGES_MAX).collect();
            let changes: Vec<Change> = batch.iter().map(|s| s.change.clone()).collect();
            let number = self.loading.journal.begin(&integration.name, repository, side, &changes).await?;
            let outcomes = connector.apply(&changes).await;
            self.loading.journal.end(number, &changes, &outcomes).await?;
            self.loading.progress.advance(changes.len() as u64);
            done.extend(batch.into_iter().zip(outcomes));
        }
        Ok(done)
    }

    fn note(&mut self, sent: Sent<'a>, outcome: Outcome) {
        match outcome {
            Outcome::Done { key, revision, refused } => self.note_done(sent, &key, revision, refused),
            Outcome::Rejected { message } => {
                self.reject(sent.planned, field_of(&sent.what), "rejected", message)
            }
            Outcome::ChangedMeanwhile => {
                let detail =
                    "somebody changed it after it was read; the next diff looks at it again".to_owned();
                self.reject(sent.planned, field_of(&sent.what), CHANGED_MEANWHILE, detail);
            }
            Outcome::Ambiguous { candidates } => {
                let list: Vec<&str> = candidates.iter().map(Key::as_str).collect();
                let detail = format!("could be any of {}: nothing was made", list.join(", "));
                self.reject(sent.planned, field_of(&sent.what), "ambiguous", detail);
            }
            Outcome::Unknown { message } => {
                let detail = format!("{message}; the next run finds out whether it happened");
                self.reject(sent.planned, field_of(&sent.what), UNKNOWN, detail);
            }
        }
    }

    fn note_done(
        &mut self,
        sent: Sent<'a>,
        key: &Key,
        revision: Option<String>,
        refused: Vec<(String, String)>,
    ) {
        let (planned, side) = (sent.planned, sent.planned.side);
        let touched = self.out.touched.entry((planned.integration.clone(), side)).or_default();
        match sent.what {
            What::Fields { created } => {
                touched.insert(key.to_string());
                let counts = self.out.counts.entry((planned.integration.clone(), side)).or_default();
                if created {
                    counts.created += 1
                } else {
                    counts.updated += 1
                }
                if created {
                    self.pairs.complete(&planned.pair, side, key.as_str());
                    self.note_required(planned);
                }
                for field in &planned.fields {
                    match refused.iter().find(|(name, _)| *name == field.native_field) {
                        Some((_, words)) => {
                            self.reject(planned, field.field.clone(), "refused", words.clone());
                        }
                        None => self.note_field(planned, field, key, revision.clone()),
                    }
                }
            }
            What::Ends { field, add, remove } => {
                touched.insert(key.to_string());
                let entry = |target: PairId| Ref {
                    integration: planned.integration.clone(),
                    pair: planned.pair.clone(),
                    field: field.clone(),
                    target,
                };
                self.out.refs_added.extend(add.into_iter().map(entry));
                self.out.refs_removed.extend(remove.into_iter().map(entry));
            }
            What::Slots { container } => self.note_opened(container, side, key),
            What::Removal => {
                touched.insert(key.to_string());
                let place = (planned.integration.clone(), side);
                self.out.counts.entry(place.clone()).or_default().removed += 1;
                self.out.removed.entry(place).or_default().insert(key.to_string());
                let hash = self.loading.integrations.iter().find(|i| i.name == planned.integration);
                if let Some(pair) = self.pairs.get_mut(&planned.pair) {
                    // It is not done again, should the artifact still be there in some form.
                    pair.mapping = hash.map(|i| i.mapping_hash.clone());
                }
            }
        }
    }

    /// A container that could not be widened has a further one that resolves to the same pair.
    fn note_opened(&mut self, container: PairId, side: Side, key: &Key) {
        self.pairs.add_further(&container, side, key.as_str());
        self.opened.insert((container, side), key.clone());
    }

    fn note_required(&mut self, planned: &Planned) {
        for reference in planned.references.iter().filter(|r| r.required) {
            self.out.refs_added.extend(reference.add.iter().map(|target| Ref {
                integration: planned.integration.clone(),
                pair: planned.pair.clone(),
                field: reference.field.clone(),
                target: resting(target),
            }));
        }
    }

    fn note_field(&mut self, planned: &Planned, field: &PlannedField, key: &Key, revision: Option<String>) {
        let Some(name) = field.field.as_ref().filter(|_| planned.pair == resting(&planned.pair)) else {
            return;
        };
        let sent = native_text(&field.value);
        let integration = self.loading.integrations.iter().find(|i| i.name == planned.integration);
        let notation = integration.and_then(|i| i.field(name)).and_then(|f| f.side(planned.side).notation);
        let notation = notation.filter(|_| matches!(field.value, WriteValue::Rich(_)));
        let (left, right) = match planned.side {
            Side::Left => (sent, field.source.clone()),
            Side::Right => (field.source.clone(), sent),
        };
        self.out.written.push(Written {
            agreed: Agreed {
                pair: planned.pair.clone(),
                integration: planned.integration.clone(),
                field: name.clone(),
                left,
                right,
                degraded: field.degraded.then_some(planned.side),
            },
            side: planned.side,
            key: key.to_string(),
            native_field: field.native_field.clone(),
            revision,
            created: planned.key.is_none(),
            formatted: matches!(field.value, WriteValue::Rich(_) | WriteValue::Steps(_)),
            notation,
        });
    }

    fn reject(&mut self, planned: &Planned, field: Option<String>, reason: &'static str, detail: String) {
        self.out.rejected.push(Held {
            integration: planned.integration.clone(),
            pair: planned.pair.clone(),
            side: planned.side,
            field,
            reason,
            detail,
        });
    }
}

fn field_of(what: &What) -> Option<String> {
    match what {
        What::Ends { field, .. } => Some(field.clone()),
        _ => None,
    }
}

fn fields(change: &Planned) -> Vec<FieldWrite> {
    let write = |f: &PlannedField| FieldWrite { field: f.native_field.clone(), value: f.value.clone() };
    let empty = |f: &&PlannedField| !(change.key.is_none() && f.value == WriteValue::Empty);
    change.fields.iter().filter(empty).map(write).collect()
}
