//! Which artifacts belong together: known pairs, recognised strangers, and those to be created.

use std::collections::{BTreeMap, HashMap, HashSet};

use minijinja::context;

use super::slots::Slots;
use super::{Texts, Work, publish};
use crate::model::{Identity, Side};
use crate::sql;
use crate::stages::pairing::{Pair, Sign, State, recognise, resting};
use crate::stages::plan::Held;
use crate::stages::spec::Integration;
use crate::stages::transform;

/// Keys of one side with their content hashes.
type Rows = BTreeMap<String, String>;

impl Work<'_> {
    /// Brings the pairs of an integration up to date.
    pub(super) async fn pair_up(&mut self, integration: &Integration) -> Result<(), sql::Error> {
        let rows = [self.rows(integration, Side::Left).await?, self.rows(integration, Side::Right).await?];
        self.out.totals.insert(integration.name.clone(), [rows[0].len() as u64, rows[1].len() as u64]);
        self.review_known(integration, &rows);
        let mut strangers = Side::BOTH.map(|side| self.strangers(integration, side, &rows[side as usize]));
        self.hold_unsettled(integration, &mut strangers);
        let in_slots = integration.sides.iter().any(|c| c.artifact.identity == Identity::Slot);
        let slots = if in_slots { self.read_slots(integration, &strangers).await? } else { Slots::default() };
        let superseded = self.let_latest_speak(integration, &slots, &mut strangers);
        if strangers.iter().all(|s| !s.is_empty()) {
            let signs = match in_slots {
                true => self.signs_by_slot(&slots, &strangers),
                false => self.signs_by_field(integration, &strangers).await?,
            };
            let ambiguous = self.recognise_strangers(integration, signs).await?;
            for side in Side::BOTH {
                let at = side as usize;
                strangers[at].retain(|key| self.out.pairs.find(&integration.name, side, key).is_none());
                self.hold_ambiguous(integration, side, &mut strangers[at], &ambiguous);
            }
        }
        for side in Side::BOTH {
            if integration.creates_into[side.other() as usize] {
                for key in &strangers[side as usize] {
                    self.out.pairs.insert(Pair::first_seen(&integration.name, side, key));
                }
            }
        }
        if in_slots {
            self.attach_superseded(integration, &superseded);
            self.place_results(integration, &slots).await?;
        }
        Ok(())
    }

    async fn rows(&self, integration: &Integration, side: Side) -> Result<Rows, sql::Error> {
        let collection = integration.side(side);
        let statement = self.inputs.statements.render(
            "diff/rows.sql",
            context! {
                relation => transform::relation(collection),
                projects => &collection.projects,
                filter => &collection.filter,
            },
        )?;
        let mut rows = Rows::new();
        for batch in self.inputs.sql.rows(&format!("listing {}", collection.name), &statement).await? {
            let texts = Texts(&batch);
            for row in 0..batch.num_rows() {
                if let (Some(key), Some(hash)) = (texts.get("key", row), texts.get("raw_hash", row)) {
                    rows.insert(key.to_owned(), hash.to_owned());
                }
            }
        }
        Ok(rows)
    }

    /// Holds pairs of which an earlier run may have made the other side already: neither
    /// is it made again, nor do the candidates become pairs of their own.
    fn hold_unsettled(&mut self, integration: &Integration, strangers: &mut [Vec<String>; 2]) {
        for open in self.inputs.ambiguous {
            let first = resting(&open.pair);
            let Some(pair) = self.out.pairs.get_mut(&first) else { continue };
            if pair.integration != integration.name {
                continue;
            }
            if first == open.pair {
                if pair.key(open.side).is_some() {
                    continue;
                }
                pair.state = State::Ambiguous;
            }
            strangers[open.side as usize].retain(|key| !open.candidates.contains(key));
            self.out.plan.held.push(Held {
                integration: integration.name.clone(),
                pair: open.pair.clone(),
                side: open.side,
                field: None,
                reason: "ambiguous",
                detail: format!(
                    "an earlier run may have made it, and it could be any of {}: delete those that are too many",
                    open.candidates.join(", ")
                ),
            });
        }
    }

    /// Looks at every known pair: is it still there, and is it at rest?
    fn review_known(&mut self, integration: &Integration, rows: &[Rows; 2]) {
        let mut restless = HashSet::new();
        let mut survivors = Vec::new();
        let incomplete = &self.inputs.incomplete;
        let hidden = &self.inputs.hidden;
        let name = &integration.name;
        for pair in self.out.pairs.iter_mut().filter(|p| &p.integration == name && !p.alias) {
            let fate = |side: Side| -> Option<State> {
                let key = pair.key(side)?;
                if rows[side as usize].contains_key(key) || incomplete.contains(&(name.clone(), side)) {
                    return Some(State::Live);
                }
                let known = hidden.get(&(name.clone(), side)).is_some_and(|keys| keys.contains(key));
                Some(match (known, side) {
                    (true, _) => State::OutOfScope,
                    (false, Side::Left) => State::LeftGone,
                    (false, Side::Right) => State::RightGone,
                })
            };
            let before = pair.state;
            pair.state = match (pair.state, fate(Side::Left), fate(Side::Right)) {
                (State::Detached, ..) => State::Detached,
                (_, Some(State::LeftGone), Some(State::RightGone)) => State::BothGone,
                (_, Some(state), _) if state != State::Live => state,
                (_, _, Some(state)) if state != State::Live => state,
                (_, Some(_), Some(_)) => State::Live,
                _ => State::Pending,
            };
            let left = match pair.state {
                State::LeftGone => Some(Side::Right),
                State::RightGone => Some(Side::Left),
                _ => None,
            };
            if let Some(side) = left {
                // Of a pair with one side, `mapping` says that its policy was carried out.
                if before != pair.state {
                    pair.unsettle();
                }
                let key = pair.key(side).filter(|key| rows[side as usize].contains_key(*key));
                survivors.extend(key.map(|key| (pair.id.clone(), side, key.to_owned())));
                continue;
            }
            let hash =
                |side: Side| pair.key(side).and_then(|key| rows[side as usize].get(key)).map(String::as_str);
            let at_rest = pair.mapping.as_ref() == Some(&integration.mapping_hash)
                && pair.left_hash.is_some()
                && pair.left_hash.as_deref() == hash(Side::Left)
                && pair.right_hash.as_deref() == hash(Side::Right);
            if !at_rest {
                restless.insert(pair.id.clone());
            }
        }
        // A pair that waited for its creation and lost its only side was never one.
        for pair in self.out.pairs.iter_mut().filter(|p| p.left.is_none() != p.right.is_none()) {
            if matches!(pair.state, State::LeftGone | State::RightGone) {
                pair.state = State::BothGone;
            }
        }
        self.survivors.extend(survivors);
        self.restless.extend(restless);
    }

    fn strangers(&self, integration: &Integration, side: Side, rows: &Rows) -> Vec<String> {
        rows.keys()
            .filter(|key| self.out.pairs.find(&integration.name, side, key).is_none())
            .cloned()
            .collect()
    }

    /// Pairs up strangers that recognise each other; returns who has several candidates.
    async fn recognise_strangers(
        &mut self,
        integration: &Integration,
        signs: Vec<Sign>,
    ) -> Result<Vec<(Side, String, Vec<String>)>, sql::Error> {
        let (signs, further) = self.set_further_apart(integration, signs).await?;
        let found = recognise(&signs);
        for (left, right) in &found.pairs {
            let mut pair = Pair::first_seen(&integration.name, Side::Left, left);
            pair.set_key(Side::Right, right);
            pair.state = State::Live;
            let ours = further.iter().filter(|f| f.of == *right || f.of == *left);
            let rows: Vec<Pair> =
                ours.map(|f| pair.further(f.side, &f.key, Some(&f.configuration))).collect();
            self.out.pairs.insert(pair);
            rows.into_iter().for_each(|row| self.out.pairs.insert(row));
        }
        Ok(found.ambiguous)
    }

    async fn signs_by_field(
        &self,
        integration: &Integration,
        strangers: &[Vec<String>; 2],
    ) -> Result<Vec<Sign>, sql::Error> {
        let mut values: [HashMap<(usize, String), Vec<String>>; 2] = Default::default();
        for side in Side::BOTH {
            let rows: Vec<Vec<Option<&str>>> =
                strangers[side as usize].iter().map(|key| vec![Some(key.as_str())]).collect();
            publish(self.inputs.sql, "strangers", &["key"], &rows)?;
            let statement =
                transform::mapped(self.inputs.statements, integration, side, Some("plan.strangers"))?;
            let what = format!("mapping unpaired rows of {}", integration.side(side).name);
            for batch in self.inputs.sql.rows(&what, &statement).await? {
                let texts = Texts(&batch);
                for (at, field) in integration.match_fields.iter().enumerate() {
                    let column = format!("m:{field}");
                    for row in 0..batch.num_rows() {
                        if let (Some(key), Some(value)) = (texts.get("key", row), texts.get(&column, row)) {
                            values[side as usize]
                                .entry((at, value.to_owned()))
                                .or_default()
                                .push(key.to_owned());
                        }
                    }
                }
            }
        }
        let [left, right] = values;
        let mut signs = Vec::new();
        for ((field, value), lefts) in &left {
            for (l, r) in right
                .get(&(*field, value.clone()))
                .into_iter()
                .flat_map(|rights| lefts.iter().flat_map(move |l| rights.iter().map(move |r| (l, r))))
            {
                signs.push(Sign { left: l.clone(), right: r.clone(), field: *field });
            }
        }
        signs.sort();
        Ok(signs)
    }

    fn hold_ambiguous(
        &mut self,
        integration: &Integration,
        side: Side,
        strangers: &mut Vec<String>,
        ambiguous: &[(Side, String, Vec<String>)],
    ) {
        for (_, key, candidates) in ambiguous.iter().filter(|(s, ..)| *s == side) {
            strangers.retain(|stranger| stranger != key);
            self.out.plan.held.push(Held {
                integration: integration.name.clone(),
                pair: Pair::first_seen(&integration.name, side, key).id,
                side: side.other(),
                field: None,
                reason: "ambiguous",
                detail: format!(
                    "{} {key} could be any of {}: correct {} on one of them, or link the pair by hand",
                    integration.side(side).artifact.name,
                    candidates.join(", "),
                    integration.match_fields.join(" or ")
                ),
            });
        }
    }
}
