//! Which artifacts belong together: known pairs, recognised strangers, and those to be created.

use std::collections::{BTreeMap, HashMap, HashSet};

use minijinja::context;

use super::{Texts, Work, publish};
use crate::model::{Identity, Side};
use crate::sql;
use crate::stages::pairing::{Pair, Sign, State, recognise};
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
        self.take_settled(integration);
        self.review_known(integration, &rows);
        let mut strangers = Side::BOTH.map(|side| self.strangers(integration, side, &rows[side as usize]));
        if strangers.iter().all(|s| !s.is_empty()) {
            let ambiguous = self.recognise_strangers(integration, &strangers).await?;
            for side in Side::BOTH {
                let at = side as usize;
                strangers[at].retain(|key| self.out.pairs.find(&integration.name, side, key).is_none());
                self.hold_ambiguous(integration, side, &mut strangers[at], &ambiguous);
            }
        }
        for side in Side::BOTH {
            if integration.creates_into[side.other() as usize] {
                self.hold_further_results(integration, side, &rows[side as usize], &mut strangers).await?;
                for key in &strangers[side as usize] {
                    self.out.pairs.insert(Pair::first_seen(&integration.name, side, key));
                }
            }
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

    /// Takes over what a settled create turned out to be.
    fn take_settled(&mut self, integration: &Integration) {
        for (id, side, key) in &self.inputs.settled {
            if self.out.pairs.find(&integration.name, *side, key).is_some() {
                continue;
            }
            if self.out.pairs.get(id).is_some_and(|p| p.integration == integration.name) {
                self.out.pairs.complete(id, *side, key);
            } else if let Some((name, first)) = id.as_str().rsplit_once('/')
                && name == integration.name
                && let Some(origin) = first.get(1..)
            {
                let mut pair = Pair::first_seen(name, side.other(), origin);
                pair.set_key(*side, key);
                pair.state = State::Live;
                self.out.pairs.insert(pair);
            }
        }
    }

    /// Looks at every known pair: is it still there, and is it at rest?
    fn review_known(&mut self, integration: &Integration, rows: &[Rows; 2]) {
        let mut restless = HashSet::new();
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
            pair.state = match (pair.state, fate(Side::Left), fate(Side::Right)) {
                (State::Detached, ..) => State::Detached,
                (_, Some(State::LeftGone), Some(State::RightGone)) => State::BothGone,
                (_, Some(state), _) if state != State::Live => state,
                (_, _, Some(state)) if state != State::Live => state,
                (_, Some(_), Some(_)) => State::Live,
                _ => State::Pending,
            };
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
        strangers: &[Vec<String>; 2],
    ) -> Result<Vec<(Side, String, Vec<String>)>, sql::Error> {
        let identity = [0, 1].map(|at| integration.sides[at].artifact.identity);
        let signs = if identity.contains(&Identity::Slot) {
            self.signs_by_slot(integration, strangers).await?
        } else {
            self.signs_by_field(integration, strangers).await?
        };
        let found = recognise(&signs);
        for (left, right) in &found.pairs {
            let mut pair = Pair::first_seen(&integration.name, Side::Left, left);
            pair.set_key(Side::Right, right);
            pair.state = State::Live;
            self.out.pairs.insert(pair);
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

    async fn signs_by_slot(
        &self,
        integration: &Integration,
        strangers: &[Vec<String>; 2],
    ) -> Result<Vec<Sign>, sql::Error> {
        let mut slots: [HashMap<(String, i64), String>; 2] = Default::default();
        for side in Side::BOTH {
            let rows: Vec<Vec<Option<&str>>> =
                strangers[side as usize].iter().map(|key| vec![Some(key.as_str())]).collect();
            publish(self.inputs.sql, "strangers", &["key"], &rows)?;
            for (key, slot, ordinal) in self.slots(integration, side).await? {
                slots[side as usize].insert((slot, ordinal), key);
            }
        }
        let [left, right] = slots;
        let mut signs: Vec<Sign> = left
            .into_iter()
            .filter_map(|(slot, l)| Some(Sign { left: l, right: right.get(&slot)?.clone(), field: 0 }))
            .collect();
        signs.sort();
        Ok(signs)
    }

    /// A run holds one result of a case on the other side: further ones of the same
    /// case in the same run (another configuration, a repetition) are held.
    async fn hold_further_results(
        &mut self,
        integration: &Integration,
        side: Side,
        rows: &Rows,
        strangers: &mut [Vec<String>; 2],
    ) -> Result<(), sql::Error> {
        let strangers = &mut strangers[side as usize];
        if !integration.side(side).artifact.lives_in_slot || strangers.is_empty() {
            return Ok(());
        }
        let keys: Vec<Vec<Option<&str>>> = rows.keys().map(|key| vec![Some(key.as_str())]).collect();
        publish(self.inputs.sql, "strangers", &["key"], &keys)?;
        let further: HashMap<String, String> = self
            .slots(integration, side)
            .await?
            .into_iter()
            .filter(|(_, _, ordinal)| *ordinal > 1)
            .map(|(key, slot, _)| (key, slot))
            .collect();
        for key in strangers.extract_if(.., |key| further.contains_key(key)) {
            self.out.plan.held.push(Held {
                integration: integration.name.clone(),
                pair: Pair::first_seen(&integration.name, side, &key).id,
                side: side.other(),
                field: None,
                reason: "further result",
                detail: format!(
                    "{} {key} is a further result of the same case in the same run ({}), of which the other side \
                     holds one: run each configuration in a run of its own",
                    integration.side(side).artifact.name,
                    further[&key]
                ),
            });
        }
        Ok(())
    }

    /// Lists the strangers of a side with their slots in terms of pairs.
    async fn slots(
        &self,
        integration: &Integration,
        side: Side,
    ) -> Result<Vec<(String, String, i64)>, sql::Error> {
        let collection = integration.side(side);
        // A slot is told by the ends that both systems know and one must name.
        let relations: Vec<minijinja::Value> = integration
            .references
            .iter()
            .filter(|r| r.sides.iter().any(|s| s.required))
            .map(|r| {
                let end = r.side(side);
                context! {
                    field => &r.field,
                    target => &r.target,
                    relationship => &end.relationship,
                    target_artifact => &end.target_artifact,
                }
            })
            .collect();
        if relations.is_empty() {
            return Ok(Vec::new());
        }
        let values = context! {
            relations,
            link => transform::view(collection, "link"),
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
                let ordinal = ordinal(&batch, row);
                if let (Some(key), Some(slot)) = (texts.get("key", row), texts.get("slot", row)) {
                    found.push((key.to_owned(), slot.to_owned(), ordinal));
                }
            }
        }
        Ok(found)
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

fn ordinal(batch: &arrow::record_batch::RecordBatch, row: usize) -> i64 {
    use arrow::array::AsArray;
    use arrow::datatypes::{Int64Type, UInt64Type};
    let Some(column) = batch.column_by_name("ordinal") else { return 0 };
    match (column.as_primitive_opt::<UInt64Type>(), column.as_primitive_opt::<Int64Type>()) {
        (Some(numbers), _) => numbers.value(row) as i64,
        (_, Some(numbers)) => numbers.value(row),
        _ => 0,
    }
}
