//! Results and the slots in which they live: which of several speaks for a slot, which
//! results of both sides share one, and in which container a new one goes.
//!
//! Results pair by (container pair, case pair, configuration, ordinal). Where a side holds
//! one status per slot, the latest result of the other side speaks for all of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use minijinja::context;

use super::{Texts, Work, publish};
use crate::model::{PairId, Side};
use crate::sql;
use crate::stages::pairing::{Pair, Sign, State, further};
use crate::stages::plan::Loss;
use crate::stages::spec::{Integration, ReferencePair};
use crate::stages::transform;

/// A result with its slot.
#[derive(Clone, Debug)]
struct Slot {
    key: String,
    /// Container and case, as pairs.
    slot: String,
    container: PairId,
    configuration: String,
    project: String,
    /// The native key of the container that holds it.
    run: String,
    /// Its place among the results of the same slot and configuration, the latest first.
    ordinal: i64,
    members: i64,
}

/// The slots of both sides.
#[derive(Debug, Default)]
pub(super) struct Slots([Vec<Slot>; 2]);

/// Results that an unpaired one of the same slot supersedes: the later, the earlier.
pub(super) type Superseded = Vec<(Side, String, String)>;

/// Where a new result goes.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Its container, if that is not the first of its pair.
    pub(super) container: Option<PairId>,
    /// The configuration in which it was won.
    pub(super) configuration: Option<String>,
}

/// A container that another of the same side stands for.
#[derive(Clone, Debug)]
pub(super) struct Further {
    pub(super) side: Side,
    /// The key of the one that stands for it.
    pub(super) of: String,
    pub(super) key: String,
    pub(super) configuration: String,
}

/// Returns the relationship that leads to the containers of results.
pub(super) fn to_container<'a>(
    all: &'a [Integration],
    integration: &'a Integration,
) -> Option<&'a ReferencePair> {
    let holds = |r: &&ReferencePair| {
        let target = all.iter().find(|i| i.name == r.target);
        target.is_some_and(|i| i.sides.iter().all(|c| c.artifact.holds_slots))
    };
    integration.references.iter().filter(|r| r.sides.iter().any(|s| s.required)).find(holds)
}

impl Work<'_> {
    /// Reads the slots of results, where something about them is to be decided.
    pub(super) async fn read_slots(
        &self,
        integration: &Integration,
        strangers: &[Vec<String>; 2],
    ) -> Result<Slots, sql::Error> {
        let undecided =
            |p: &Pair| p.integration == integration.name && (p.alias || p.state == State::Pending);
        let mut slots = Slots::default();
        if strangers.iter().any(|s| !s.is_empty()) || self.out.pairs.iter().any(undecided) {
            for side in Side::BOTH {
                slots.0[side as usize] = self.slots(integration, side).await?;
            }
        }
        Ok(slots)
    }

    /// Lets the latest result of each slot speak for it; returns earlier ones of slots without a pair.
    pub(super) fn let_latest_speak(
        &mut self,
        integration: &Integration,
        slots: &Slots,
        strangers: &mut [Vec<String>; 2],
    ) -> Superseded {
        let mut superseded = Superseded::new();
        for side in Side::BOTH {
            let mut groups: BTreeMap<(&str, &str), Vec<&Slot>> = BTreeMap::new();
            for slot in slots.0[side as usize].iter().filter(|s| s.members > 1) {
                groups.entry((&slot.slot, &slot.configuration)).or_default().push(slot);
            }
            for mut group in groups.into_values() {
                group.sort_by_key(|slot| slot.ordinal);
                let keys: Vec<&str> = group.iter().map(|slot| slot.key.as_str()).collect();
                superseded.extend(self.rank(integration, side, &keys, &mut strangers[side as usize]));
            }
        }
        superseded
    }

    /// Decides within one slot, whose results are given from the latest on.
    fn rank(
        &mut self,
        integration: &Integration,
        side: Side,
        keys: &[&str],
        strangers: &mut Vec<String>,
    ) -> Superseded {
        let pairs = &mut self.out.pairs;
        let paired = |key: &&&str| pairs.find(&integration.name, side, key).is_some_and(|p| !p.alias);
        let speakers: Vec<&str> = keys.iter().filter(paired).copied().collect();
        let Some(first) = speakers.first() else {
            let (latest, earlier) = (keys[0].to_owned(), &keys[1..]);
            strangers.retain(|key| !earlier.contains(&key.as_str()));
            return earlier.iter().map(|key| (side, latest.clone(), (*key).to_owned())).collect();
        };
        let Some(pair) = pairs.find(&integration.name, side, first).cloned() else { return Vec::new() };
        for key in keys.iter().filter(|key| !speakers.contains(key)) {
            if pairs.find(&integration.name, side, key).is_none() {
                pairs.insert(pair.further(side, key, None));
            }
        }
        strangers.retain(|key| !keys.contains(&key.as_str()));
        // Where several are paired each goes on by itself.
        if speakers.len() == 1 && keys[0] != *first {
            pairs.supersede(&pair.id, side, keys[0]);
            self.restless.insert(pair.id.clone());
        }
        Vec::new()
    }

    /// Attaches superseded results to the pairs of those that speak for them, and lists all such.
    pub(super) fn attach_superseded(&mut self, integration: &Integration, superseded: &Superseded) {
        for (side, latest, earlier) in superseded {
            if let Some(pair) = self.out.pairs.find(&integration.name, *side, latest).cloned() {
                self.out.pairs.insert(pair.further(*side, earlier, None));
            }
        }
        let name = &integration.name;
        let ours = |p: &&Pair| &p.integration == name && p.alias;
        for pair in self.out.pairs.iter().filter(ours) {
            for side in Side::BOTH {
                let Some(key) = pair.key(side) else { continue };
                let artifact = integration.side(side).artifact.name;
                self.out.plan.losses.push(Loss {
                    integration: name.clone(),
                    pair: Some(pair.id.clone()),
                    side: side.other(),
                    field: String::new(),
                    kind: "superseded",
                    detail: format!(
                        "{artifact} {key}: a later one of the same case and configuration speaks for it"
                    ),
                });
            }
        }
    }

    /// Finds strangers that share a slot.
    pub(super) fn signs_by_slot(&self, slots: &Slots, strangers: &[Vec<String>; 2]) -> Vec<Sign> {
        let mut open: BTreeMap<&str, [Vec<&Slot>; 2]> = BTreeMap::new();
        for side in Side::BOTH {
            let wanted: HashSet<&str> = strangers[side as usize].iter().map(String::as_str).collect();
            for slot in slots.0[side as usize].iter().filter(|s| wanted.contains(s.key.as_str())) {
                open.entry(&slot.slot).or_default()[side as usize].push(slot);
            }
        }
        let mut signs: Vec<Sign> =
            open.into_values().flat_map(|[left, right]| share_slots(left, right)).collect();
        signs.sort();
        signs
    }

    /// Decides in which configuration each new result is made, and in which container where one
    /// container holds one configuration only; wants further containers where there are too few.
    pub(super) async fn place_results(
        &mut self,
        integration: &Integration,
        slots: &Slots,
    ) -> Result<(), sql::Error> {
        let all = self.inputs.integrations;
        let Some(reference) = to_container(all, integration) else { return Ok(()) };
        let Some(holder) = all.iter().find(|i| i.name == reference.target) else { return Ok(()) };
        for from in Side::BOTH {
            let to = from.other();
            let mut news: BTreeMap<PairId, Vec<(PairId, &Slot)>> = BTreeMap::new();
            for slot in &slots.0[from as usize] {
                let pair = self.out.pairs.find(&integration.name, from, &slot.key);
                let Some(pair) = pair.filter(|p| p.state == State::Pending && !p.alias) else { continue };
                news.entry(slot.container.clone()).or_default().push((pair.id.clone(), slot));
            }
            let split =
                holder.side(to).artifact.one_configuration && !holder.side(from).artifact.one_configuration;
            let containers = news.keys().filter_map(|id| self.out.pairs.get(id)?.key(to)).filter(|_| split);
            let environments = self.environments(holder, to, containers.collect()).await?;
            for (id, news) in news {
                let key = self.out.pairs.get(&id).and_then(|p| p.key(to)).unwrap_or_default();
                let first = Container { environment: environments.get(key).cloned(), id };
                self.place(integration, holder, (from, split), &first, &news, slots);
            }
        }
        Ok(())
    }

    fn place(
        &mut self,
        integration: &Integration,
        holder: &Integration,
        (from, split): (Side, bool),
        first: &Container,
        news: &[(PairId, &Slot)],
        slots: &Slots,
    ) {
        let to = from.other();
        let main = main_configuration(integration, from, news);
        let key = self.out.pairs.get(&first.id).and_then(|p| p.key(to)).map(str::to_owned);
        let holds = |s: &&Slot| key.as_deref() == Some(&s.run);
        let mut taken: HashSet<&str> =
            slots.0[to as usize].iter().filter(holds).map(|s| s.slot.as_str()).collect();
        for (pair, slot) in news {
            let configuration = Some(slot.configuration.clone()).filter(|c| !c.is_empty());
            let id = further(&first.id, &slot.configuration);
            let fits = match &first.environment {
                _ if !split || configuration.is_none() => true,
                // It is known under this configuration already.
                _ if self.out.pairs.get(&id).is_some_and(|p| p.alias) => false,
                None => slot.configuration == main,
                Some(environment) if environment.is_empty() => taken.insert(&slot.slot),
                Some(environment) => *environment == slot.configuration,
            };
            if !fits && self.out.pairs.get(&id).is_none() {
                let Some(known) = self.out.pairs.get(&first.id) else { continue };
                let mut wanted = Pair::first_seen(&holder.name, from, known.key(from).unwrap_or_default());
                (wanted.id, wanted.configuration) = (id.clone(), configuration.clone());
                self.out.pairs.insert(wanted);
            }
            let container = (!fits).then_some(id);
            self.places.insert(pair.clone(), Place { container, configuration });
        }
    }

    /// Tells apart containers that one on the other side claims at the same time: they are
    /// one for each of its configurations, so that the first stands for all of them.
    pub(super) async fn set_further_apart(
        &self,
        integration: &Integration,
        mut signs: Vec<Sign>,
    ) -> Result<(Vec<Sign>, Vec<Further>), sql::Error> {
        let single = |side: &Side| integration.side(*side).artifact.one_configuration;
        let sides: Vec<Side> = Side::BOTH.into_iter().filter(single).collect();
        let [side] = sides[..] else { return Ok((signs, Vec::new())) };
        let ends = |s: &Sign| {
            if side == Side::Left {
                (s.right.clone(), s.left.clone())
            } else {
                (s.left.clone(), s.right.clone())
            }
        };
        let mut claims: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (holder, container) in signs.iter().map(ends) {
            claims.entry(holder).or_default().insert(container);
        }
        claims.retain(|_, containers| containers.len() > 1);
        let keys = claims.values().flatten().map(String::as_str).collect();
        let environments = self.environments(integration, side, keys).await?;
        let mut apart = Vec::new();
        for containers in claims.values() {
            let mut list: Vec<(&String, &String)> =
                containers.iter().filter_map(|key| Some((key, environments.get(key)?))).collect();
            let distinct: BTreeSet<&String> =
                list.iter().map(|(_, e)| *e).filter(|e| !e.is_empty()).collect();
            if distinct.len() != containers.len() {
                continue;
            }
            // Keys grow, so that the shortest and least is the oldest.
            list.sort_by_key(|(key, _)| (key.len(), *key));
            for (key, environment) in &list[1..] {
                let (of, key, configuration) = (list[0].0.clone(), (*key).clone(), (*environment).clone());
                signs.retain(|sign| ends(sign).1 != key);
                apart.push(Further { side, of, key, configuration });
            }
        }
        Ok((signs, apart))
    }

    /// Reads the configuration of containers that exist on a side, by key.
    async fn environments(
        &self,
        holder: &Integration,
        side: Side,
        keys: Vec<&str>,
    ) -> Result<HashMap<String, String>, sql::Error> {
        let mut found = HashMap::new();
        if keys.is_empty() {
            return Ok(found);
        }
        let rows: Vec<Vec<Option<&str>>> = keys.iter().map(|key| vec![Some(*key)]).collect();
        publish(self.inputs.sql, "containers", &["key"], &rows)?;
        let values = context! { relation => transform::relation(holder.side(side)) };
        let statement = self.inputs.statements.render("diff/environments.sql", values)?;
        let what = format!("reading configurations of {}", holder.side(side).name);
        for batch in self.inputs.sql.rows(&what, &statement).await? {
            let texts = Texts(&batch);
            for row in 0..batch.num_rows() {
                if let (Some(key), Some(environment)) = (texts.get("key", row), texts.get("environment", row))
                {
                    found.insert(key.to_owned(), environment.to_owned());
                }
            }
        }
        Ok(found)
    }

    /// Drops further containers for which no result is left.
    pub(super) fn drop_unused_containers(&mut self) {
        let ends = self.changes.values().flat_map(|c| &c.references).flat_map(|r| &r.add);
        let used: HashSet<PairId> = ends.cloned().collect();
        let pairs = &self.out.pairs;
        self.changes.retain(|(id, _), change| {
            let further = pairs.get(id).is_some_and(|p| p.configuration.is_some());
            !further || change.key.is_some() || used.contains(id)
        });
    }

    /// Lists the results of a side with their slots in terms of pairs.
    async fn slots(&self, integration: &Integration, side: Side) -> Result<Vec<Slot>, sql::Error> {
        let collection = integration.side(side);
        // A slot is told by the ends that both systems know and one must name.
        let relations: Vec<minijinja::Value> = integration
            .references
            .iter()
            .filter(|r| r.sides.iter().any(|s| s.required))
            .map(|r| {
                let end = r.side(side);
                Ok(context! {
                    field => &r.field,
                    target => &r.target,
                    relationship => &end.relationship,
                    target_artifact => &end.target_artifact,
                    link => transform::links(self.inputs.statements, collection, end)?,
                })
            })
            .collect::<Result<_, sql::Error>>()?;
        let container = to_container(self.inputs.integrations, integration);
        let (Some(container), false) = (container, relations.is_empty()) else { return Ok(Vec::new()) };
        let values = context! {
            relations,
            container => &container.field,
            relation => transform::relation(collection),
            side => side.as_str(),
            artifact => collection.artifact.name,
        };
        let statement = self.inputs.statements.render("diff/slots.sql", values)?;
        let mut found = Vec::new();
        for batch in
            self.inputs.sql.rows(&format!("finding slots of {}", collection.name), &statement).await?
        {
            let texts = Texts(&batch);
            for row in 0..batch.num_rows() {
                let text = |name: &str| texts.get(name, row).map(str::to_owned);
                let (Some(key), Some(slot), Some(pair)) = (text("key"), text("slot"), text("container"))
                else {
                    continue;
                };
                found.push(Slot {
                    key,
                    slot,
                    container: pair.into(),
                    configuration: text("configuration").unwrap_or_default(),
                    project: text("project").unwrap_or_default(),
                    run: text("run_key").unwrap_or_default(),
                    ordinal: number(&batch, "ordinal", row),
                    members: number(&batch, "members", row),
                });
            }
        }
        Ok(found)
    }
}

/// The first container of a pair, on the side that is to be written.
struct Container {
    id: PairId,
    /// What its slots share; empty if it claims nothing, `None` if it is yet to be made.
    environment: Option<String>,
}

/// Pairs up the results of one slot: first by configuration; then those of which one side names
/// none, or of which each side has one left, since a system may have run it in another than asked.
fn share_slots(mut left: Vec<&Slot>, mut right: Vec<&Slot>) -> Vec<Sign> {
    let sign = |l: &Slot, r: &Slot| Sign { left: l.key.clone(), right: r.key.clone(), field: 0 };
    let mut signs = Vec::new();
    left.sort_by(|a, b| (&a.configuration, &a.key).cmp(&(&b.configuration, &b.key)));
    right.sort_by(|a, b| (&a.configuration, &a.key).cmp(&(&b.configuration, &b.key)));
    left.retain(|l| match right.iter().position(|r| r.configuration == l.configuration) {
        Some(at) => {
            signs.push(sign(l, right.remove(at)));
            false
        }
        None => true,
    });
    let alone = left.len() == 1 && right.len() == 1;
    for (l, r) in left.iter().zip(&right) {
        if alone || l.configuration.is_empty() || r.configuration.is_empty() {
            signs.push(sign(l, r));
        }
    }
    signs
}

/// Chooses the configuration of a first container: the pipeline's constant if there are results
/// of it, else that of most results.
fn main_configuration(integration: &Integration, from: Side, news: &[(PairId, &Slot)]) -> String {
    let collection = integration.side(from);
    let constant = |slot: &Slot| {
        let field = collection.artifact.configuration_field?;
        let mut ours = collection.constants.iter().filter(|c| c.native == field && c.project == slot.project);
        ours.next().map(|c| c.value.as_str())
    };
    let usual = news.iter().find(|(_, slot)| constant(slot) == Some(&slot.configuration));
    if let Some((_, slot)) = usual {
        return slot.configuration.clone();
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, slot) in news {
        *counts.entry(&slot.configuration).or_default() += 1;
    }
    let most = counts.into_iter().max_by(|(a, n), (b, m)| n.cmp(m).then(b.cmp(a)));
    most.map_or_else(String::new, |(name, _)| name.to_owned())
}

fn number(batch: &arrow::record_batch::RecordBatch, name: &str, row: usize) -> i64 {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    let column = batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<Int64Type>());
    column.map_or(0, |c| c.value(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(key: &str, configuration: &str) -> Slot {
        Slot {
            key: key.into(),
            slot: "s".into(),
            container: "runs/L1".into(),
            configuration: configuration.into(),
            project: "P".into(),
            run: "1".into(),
            ordinal: 1,
            members: 1,
        }
    }

    fn shared(left: &[(&str, &str)], right: &[(&str, &str)]) -> Vec<(String, String)> {
        let side = |list: &[(&str, &str)]| list.iter().map(|(k, c)| slot(k, c)).collect::<Vec<_>>();
        let (left, right) = (side(left), side(right));
        let signs = share_slots(left.iter().collect(), right.iter().collect());
        signs.into_iter().map(|s| (s.left, s.right)).collect()
    }

    fn keys(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn results_of_one_configuration_share_a_slot() {
        let found = shared(&[("1", "Edge"), ("2", "Linux")], &[("a", "Linux"), ("b", "Edge")]);
        assert_eq!(found, keys(&[("1", "b"), ("2", "a")]));
    }

    #[test]
    fn result_without_configuration_takes_what_is_left() {
        let found = shared(&[("1", "Edge"), ("2", "Linux"), ("3", "Mac")], &[("a", ""), ("b", "Edge")]);
        assert_eq!(found, keys(&[("1", "b"), ("2", "a")]));
    }

    #[test]
    fn results_of_different_configurations_do_not_share_a_slot_unless_they_are_alone() {
        assert_eq!(shared(&[("1", "Edge"), ("2", "Linux")], &[("a", "Mac")]), []);
        assert_eq!(shared(&[("1", "Edge")], &[("a", "Mac")]), keys(&[("1", "a")]));
    }
}
