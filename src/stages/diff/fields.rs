//! Field by field: what changed on which side, and what is to be written.

use std::collections::BTreeSet;

use arrow::array::StringArray;
use arrow::record_batch::RecordBatch;
use futures::StreamExt;

use super::{Agreed, Texts, Work, cell, publish};
use crate::model::{PairId, Side, WriteValue};
use crate::pipeline::Update;
use crate::sql;
use crate::stages::decide::{Cell, Decision, FieldState, Rule};
use crate::stages::pairing::State;
use crate::stages::plan::{Conflict, Difference, Held, Loss, Planned, PlannedField};
use crate::stages::spec::{Constant, FieldPair, Integration, Rules, round_trip};
use crate::stages::{transform, write};

/// The columns of one field in a batch of `diff/fields.sql`.
struct Columns<'a> {
    native: [&'a StringArray; 2],
    model: [&'a StringArray; 2],
    base: [&'a StringArray; 2],
    degraded: &'a StringArray,
}

/// One pair in a batch of `diff/fields.sql`.
struct Row<'a> {
    integration: &'a Integration,
    texts: &'a Texts<'a>,
    at: usize,
    pair: PairId,
    rule: Rule,
}

impl Row<'_> {
    fn text(&self, side: Side, name: &str) -> Option<&str> {
        let letter = if side == Side::Left { "l" } else { "r" };
        self.texts.get(&format!("{letter}_{name}"), self.at)
    }

    fn read_only(&self, side: Side) -> bool {
        self.texts.flag(if side == Side::Left { "l_read_only" } else { "r_read_only" }, self.at)
    }

    fn present(&self, side: Side) -> bool {
        self.texts.flag(if side == Side::Left { "l_present" } else { "r_present" }, self.at)
    }
}

impl Work<'_> {
    /// Compares the fields of every pair of an integration that is not at rest.
    pub(super) async fn compare_fields(&mut self, integration: &Integration) -> Result<(), sql::Error> {
        self.publish_wanted(integration)?;
        let statement = transform::compared(self.inputs.statements, integration)?;
        let what = format!("comparing {}", integration.name);
        let frame =
            self.inputs.sql.context().sql(&statement).await.map_err(sql::Error::engine(what.clone()))?;
        let mut stream = frame.execute_stream().await.map_err(sql::Error::engine(what.clone()))?;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(sql::Error::engine(what.clone()))?;
            self.compare_batch(integration, &batch);
        }
        Ok(())
    }

    /// Names the pairs to look at: live and pending ones that are not at rest.
    fn publish_wanted(&mut self, integration: &Integration) -> Result<(), sql::Error> {
        let restless = &self.restless;
        let reconcile = self.inputs.reconcile;
        let wanted: Vec<(String, Option<String>, Option<String>)> = self
            .out
            .pairs
            .iter()
            .filter(|p| p.integration == integration.name && !p.alias)
            .filter(|p| matches!(p.state, State::Live | State::Pending))
            .filter(|p| reconcile || p.left_hash.is_none() || restless.contains(&p.id))
            .map(|p| (p.id.as_str().to_owned(), p.left.clone(), p.right.clone()))
            .collect();
        let rows: Vec<Vec<Option<&str>>> =
            wanted.iter().map(|(id, l, r)| vec![Some(id.as_str()), l.as_deref(), r.as_deref()]).collect();
        publish(self.inputs.sql, "wanted", &["pair", "left_key", "right_key"], &rows)?;
        for (at, name) in ["wanted_left", "wanted_right"].into_iter().enumerate() {
            // A run that is to have several containers on the other side stands in several rows.
            let once: BTreeSet<&str> = rows.iter().filter_map(|row| row[at + 1]).collect();
            let keys: Vec<Vec<Option<&str>>> = once.into_iter().map(|key| vec![Some(key)]).collect();
            publish(self.inputs.sql, name, &["key"], &keys)?;
        }
        Ok(())
    }

    fn compare_batch(&mut self, integration: &Integration, batch: &RecordBatch) {
        let texts = Texts(batch);
        let columns: Vec<Option<Columns<'_>>> =
            integration.fields.iter().map(|field| columns(&texts, &field.name)).collect();
        for at in 0..batch.num_rows() {
            let Some(pair) = texts.get("pair", at).map(PairId::from) else { continue };
            let rule = rule(integration, batch, at);
            let row = Row { integration, texts: &texts, at, pair, rule };
            match (row.present(Side::Left), row.present(Side::Right)) {
                (true, true) => self.compare_row(&row, &columns),
                (true, false) => self.create_row(&row, &columns, Side::Right),
                (false, true) => self.create_row(&row, &columns, Side::Left),
                (false, false) => {}
            }
        }
    }

    /// Both sides exist.
    fn compare_row(&mut self, row: &Row<'_>, columns: &[Option<Columns<'_>>]) {
        let mut rest = true;
        for (field, columns) in row.integration.fields.iter().zip(columns) {
            let Some(columns) = columns else { continue };
            // What can be written on neither side is staged and never compared.
            if !field.into.contains(&true) {
                continue;
            }
            rest &= self.compare_field(row, field, columns);
        }
        for side in Side::BOTH {
            rest &= self.keep_constants(row, side);
            self.reopen(row, columns, side);
        }
        let hashes = Side::BOTH.map(|side| row.text(side, "raw_hash").map(str::to_owned));
        let mapping = row.integration.mapping_hash.clone();
        self.restless.remove(&row.pair);
        if !rest {
            self.restless.insert(row.pair.clone());
        } else if let Some(pair) = self.out.pairs.get_mut(&row.pair) {
            let [left, right] = hashes;
            (pair.left_hash, pair.right_hash, pair.mapping) = (left, right, Some(mapping));
        }
    }

    /// Decides one field and notes what follows; tells whether it is at rest.
    fn compare_field(&mut self, row: &Row<'_>, field: &FieldPair, columns: &Columns<'_>) -> bool {
        if self.hold_unmapped(row, field, columns) {
            return false;
        }
        let state = state(row, field, columns, self.inputs.reconcile);
        let agreed_before = state
            .base
            .is_some_and(|(left, right)| left.model == state.left.model && right.model == state.right.model);
        match state.decide() {
            Decision::Agreed => {
                if !agreed_before {
                    self.out.agreed.push(agreed(row, field, &state, None));
                }
                true
            }
            Decision::Write { to } => {
                let reason = match (field.enforced_by.is_some(), state.base.is_some()) {
                    (true, _) => "enforced",
                    (false, _) if state.is_standing() => "reconciled",
                    (false, true) => "changed",
                    (false, false) => "created",
                };
                self.write_field(row, field, &state, to, reason);
                false
            }
            // Nobody edited anything: the mapping changed, and somebody asked for it.
            Decision::Conflict { winner: Some(winner), write: true } if state.is_standing() => {
                self.write_field(row, field, &state, winner.other(), "reconciled");
                false
            }
            Decision::Conflict { winner, write } => {
                self.note_conflict(row, field, &state, winner);
                match winner {
                    Some(winner) if write => self.write_field(row, field, &state, winner.other(), "conflict"),
                    _ => self.hold(row, Some(field), Side::Right, "conflict", conflict_text(&state)),
                }
                false
            }
            // It is written only now and then: that it differs in between is meant.
            Decision::OneWay { changed } if field.side(changed.other()).update != Update::Always => true,
            Decision::OneWay { changed } => {
                self.out.plan.losses.push(loss(
                    row,
                    field,
                    changed.other(),
                    "one-way",
                    one_way_text(field, changed),
                ));
                false
            }
            Decision::Degraded { changed } => {
                let detail =
                    "edited on top of a value that could not say everything; take the edit over by hand, or \
                              set on_degraded: write"
                        .to_owned();
                self.hold(row, Some(field), changed.other(), "degraded", detail);
                false
            }
            Decision::Standing => {
                self.out.plan.differences.push(Difference {
                    integration: row.integration.name.clone(),
                    pair: row.pair.clone(),
                    field: field.name.clone(),
                    left: state.left.model.map(str::to_owned),
                    right: state.right.model.map(str::to_owned),
                });
                true
            }
        }
    }

    /// Writes constants anew that are to be kept after creation; tells whether there was nothing to do.
    fn keep_constants(&mut self, row: &Row<'_>, side: Side) -> bool {
        if !row.integration.flows_into[side as usize] || row.read_only(side) {
            return true;
        }
        let project = row.text(side, "project").unwrap_or_default();
        let mut rest = true;
        for constant in &row.integration.side(side).constants {
            let held = row.text(side, &format!("c:{}", constant.native)).filter(|text| !text.is_empty());
            let differs = match constant.update {
                Update::OnCreate => false,
                Update::Always => held != Some(constant.value.as_str()),
                Update::IfEmpty => held.is_none(),
            };
            if differs && !constant.relationship && constant.project == project {
                self.row_change(row, side).fields.push(constant_field(constant, held));
                rest = false;
            }
        }
        rest
    }

    /// Takes an artifact whose status refuses edits out of that status and back, where an
    /// attempt without that was refused and the pipeline file allows it.
    fn reopen(&mut self, row: &Row<'_>, columns: &[Option<Columns<'_>>], side: Side) {
        let place = (row.pair.clone(), side);
        if !self.inputs.reopen.contains(&place) {
            return;
        }
        let Some(change) = self.changes.get_mut(&place) else { return };
        if change.fields.iter().any(|f| matches!(f.value, WriteValue::Transitions(_))) {
            return;
        }
        let moved = row.integration.fields.iter().zip(columns).find(|(f, _)| f.side(side).by_transition);
        let Some((status, Some(columns))) = moved else { return };
        let Some(now) = cell(columns.native[side as usize], row.at) else { return };
        let Some(hops) = round_trip(&row.integration.side(side).transitions, now) else { return };
        change.fields.push(PlannedField {
            field: None,
            native_field: status.side(side).native.clone(),
            old: Some(now.to_owned()),
            value: WriteValue::Transitions(hops),
            source: None,
            reason: "reopened",
            degraded: false,
        });
    }

    /// Holds a field whose native value no map lists.
    fn hold_unmapped(&mut self, row: &Row<'_>, field: &FieldPair, columns: &Columns<'_>) -> bool {
        for side in Side::BOTH {
            let at = side as usize;
            let (native, model) = (cell(columns.native[at], row.at), cell(columns.model[at], row.at));
            let own = field.side(side);
            if let (Some(native), None, Some(_)) = (native, model, own.read.as_ref()) {
                let detail = format!(
                    "{} holds {native:?} in {}, which its read map does not list: add it there",
                    row.integration.side(side).name,
                    own.native
                );
                let reason = if own.holds { "held value" } else { "unmapped value" };
                self.hold(row, Some(field), side.other(), reason, detail);
                return true;
            }
        }
        false
    }

    /// One side is missing and is to be created.
    fn create_row(&mut self, row: &Row<'_>, columns: &[Option<Columns<'_>>], to: Side) {
        let from = to.other();
        let source_project = row.text(from, "project").unwrap_or_default().to_owned();
        let collection = row.integration.side(from);
        let project = collection.project_pairs.iter().find(|(own, _)| *own == source_project);
        let Some((_, project)) = project.cloned() else { return };
        let title = row.text(from, "title").unwrap_or_default().to_owned();
        let artifact = &row.integration.side(to).artifact;
        let configuration = self.places.get(&row.pair).and_then(|place| place.configuration.clone());
        let change = self.change(row.integration, &row.pair, to);
        (change.project, change.title) = (project.clone(), title);
        change.configuration = configuration;
        for constant in &row.integration.side(to).constants {
            if constant.project == project && !constant.relationship {
                let mut value = constant.value.clone();
                // The constant stands in where the result itself names no configuration.
                if artifact.configuration_field == Some(constant.native.as_str()) {
                    value = change.configuration.get_or_insert(value).clone();
                }
                change.fields.push(constant_field(&Constant { value, ..constant.clone() }, None));
            }
        }
        for (field, columns) in row.integration.fields.iter().zip(columns) {
            let Some(columns) = columns else { continue };
            if !field.side(to).read_only && !self.hold_unmapped(row, field, columns) {
                let state = state(row, field, columns, false);
                if cell_of(&state, from).model.is_some() || field.side(to).default.is_some() {
                    self.write_field(row, field, &state, to, "created");
                }
            }
        }
    }

    /// Plans the write of one field into `to`.
    fn write_field(
        &mut self,
        row: &Row<'_>,
        field: &FieldPair,
        state: &FieldState<'_>,
        to: Side,
        reason: &'static str,
    ) {
        let source = cell_of(state, to.other());
        let held = cell_of(state, to).native;
        // A row that only flows out still carries the other side's id.
        if row.read_only(to) && field.enforced_by != Some(to.other()) {
            let detail = format!("{} only flows out here", row.text(to, "title").unwrap_or("it"));
            self.out.plan.losses.push(loss(row, field, to, "read-only", detail));
            return;
        }
        let collection = row.integration.side(to);
        let prepared = match write::prepare(field, collection, to, source.model, held) {
            Ok(prepared) => prepared,
            Err(why) => return self.hold(row, Some(field), to, why.reason, why.detail),
        };
        if matches!(&prepared.value, WriteValue::Transitions(hops) if hops.is_empty()) {
            return;
        }
        for (kind, detail) in &prepared.losses {
            self.out.plan.losses.push(loss(row, field, to, kind, detail.clone()));
        }
        let planned = PlannedField {
            field: Some(field.name.clone()),
            native_field: field.side(to).native.clone(),
            old: held.map(str::to_owned),
            value: prepared.value,
            source: source.native.map(str::to_owned),
            reason,
            degraded: !prepared.losses.is_empty(),
        };
        self.row_change(row, to).fields.push(planned);
    }

    /// Returns the change to a row's artifact on a side, with what is known of that.
    fn row_change(&mut self, row: &Row<'_>, to: Side) -> &mut Planned {
        let (revision, project) = (row.text(to, "rev"), row.text(to, "project"));
        let title = row.text(to, "title").or(row.text(to.other(), "title"));
        let change = self.change(row.integration, &row.pair, to);
        change.revision = revision.map(str::to_owned);
        if let Some(project) = project {
            change.project = project.to_owned();
        }
        change.title = title.unwrap_or_default().to_owned();
        change
    }

    fn note_conflict(
        &mut self,
        row: &Row<'_>,
        field: &FieldPair,
        state: &FieldState<'_>,
        winner: Option<Side>,
    ) {
        let own = |text: Option<&str>| text.map(str::to_owned);
        self.out.plan.conflicts.push(Conflict {
            integration: row.integration.name.clone(),
            pair: row.pair.clone(),
            field: field.name.clone(),
            left: own(state.left.model),
            right: own(state.right.model),
            base_left: state.base.and_then(|(left, _)| own(left.model)),
            base_right: state.base.and_then(|(_, right)| own(right.model)),
            winner,
        });
    }

    fn hold(
        &mut self,
        row: &Row<'_>,
        field: Option<&FieldPair>,
        side: Side,
        reason: &'static str,
        detail: String,
    ) {
        self.out.plan.held.push(Held {
            integration: row.integration.name.clone(),
            pair: row.pair.clone(),
            side,
            field: field.map(|f| f.name.clone()),
            reason,
            detail,
        });
        self.restless.insert(row.pair.clone());
    }
}

fn constant_field(constant: &Constant, held: Option<&str>) -> PlannedField {
    PlannedField {
        field: None,
        native_field: constant.native.clone(),
        old: held.map(str::to_owned),
        value: WriteValue::Text(constant.value.clone()),
        source: None,
        reason: "constant",
        degraded: false,
    }
}

fn cell_of<'a>(state: &FieldState<'a>, side: Side) -> Cell<'a> {
    match side {
        Side::Left => state.left,
        Side::Right => state.right,
    }
}

fn conflict_text(state: &FieldState<'_>) -> String {
    let text = |value: Option<&str>| value.unwrap_or("nothing").to_owned();
    format!("left says {}, right says {}: make them equal", text(state.left.model), text(state.right.model))
}

fn one_way_text(field: &FieldPair, changed: Side) -> String {
    format!("{} was edited on the {changed} side, from which it does not flow", field.side(changed).native)
}

fn loss(row: &Row<'_>, field: &FieldPair, side: Side, kind: &'static str, detail: String) -> Loss {
    Loss {
        integration: row.integration.name.clone(),
        pair: Some(row.pair.clone()),
        side,
        field: field.name.clone(),
        kind,
        detail,
    }
}

fn agreed(row: &Row<'_>, field: &FieldPair, state: &FieldState<'_>, degraded: Option<Side>) -> Agreed {
    Agreed {
        pair: row.pair.clone(),
        integration: row.integration.name.clone(),
        field: field.name.clone(),
        left: state.left.native.map(str::to_owned),
        right: state.right.native.map(str::to_owned),
        degraded,
    }
}

fn columns<'a>(texts: &Texts<'a>, field: &str) -> Option<Columns<'a>> {
    let get = |prefix: &str| texts.column(&format!("{prefix}:{field}"));
    Some(Columns {
        native: [get("l_n")?, get("r_n")?],
        model: [get("l_m")?, get("r_m")?],
        base: [get("bl_m")?, get("br_m")?],
        degraded: get("degraded")?,
    })
}

fn state<'a>(row: &Row<'a>, field: &'a FieldPair, columns: &Columns<'a>, reconcile: bool) -> FieldState<'a> {
    let now = |side: Side| Cell {
        native: cell(columns.native[side as usize], row.at),
        model: cell(columns.model[side as usize], row.at),
    };
    // What is written only while it is empty is closed once it holds something.
    let open = |side: Side| {
        let own = field.side(side);
        let filled = own.update == Update::IfEmpty && now(side).model.is_some();
        field.into[side as usize] && !own.read_only && !filled
    };
    let then = |side: Side| Cell { native: None, model: cell(columns.base[side as usize], row.at) };
    let (left, right) = (now(Side::Left), now(Side::Right));
    let degraded_on = match cell(columns.degraded, row.at) {
        Some("left") => Some(Side::Left),
        Some("right") => Some(Side::Right),
        _ => None,
    };
    FieldState {
        left,
        right,
        base: row
            .texts
            .flag(&format!("based:{}", field.name), row.at)
            .then(|| (then(Side::Left), then(Side::Right))),
        acceptable_left: field.side(Side::Left).accepts(right.model),
        acceptable_right: field.side(Side::Right).accepts(left.model),
        into_left: open(Side::Left),
        into_right: open(Side::Right),
        enforced_by: field.enforced_by,
        rule: row.rule,
        degraded_on: degraded_on.filter(|_| !field.write_degraded),
        reconcile,
    }
}

/// Who wins a conflict in this row.
fn rule(integration: &Integration, batch: &RecordBatch, row: usize) -> Rule {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::TimestampMicrosecondType;
    let at = |name: &str| {
        let column = batch.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>()?;
        column.is_valid(row).then(|| column.value(row))
    };
    match integration.rule {
        Rules::Fixed(rule) => rule,
        Rules::Newest if at("l_updated_at") > at("r_updated_at") => Rule::Dominates(Side::Left),
        Rules::Newest => Rule::Dominates(Side::Right),
    }
}
