//! Relationships, element by element: which ends to add and to remove on which side.

use minijinja::context;

use super::slots::to_container;
use super::{Ref, Texts, Work};
use crate::model::{PairId, Side};
use crate::sql;
use crate::stages::pairing::{State, resting};
use crate::stages::plan::{Held, Loss, PlannedReference, Waiting};
use crate::stages::spec::{Integration, ReferencePair};
use crate::stages::transform;

/// One end that is not at rest.
struct End {
    pair: PairId,
    target: PairId,
    on: [bool; 2],
    agreed: bool,
    dynamic: [bool; 2],
}

impl Work<'_> {
    /// Compares every relationship of an integration.
    pub(super) async fn compare_references(&mut self, integration: &Integration) -> Result<(), sql::Error> {
        for reference in &integration.references {
            for end in self.ends(integration, reference).await? {
                self.compare_end(integration, reference, &end);
            }
            for side in Side::BOTH {
                self.note_unresolved(integration, reference, side).await?;
            }
        }
        Ok(())
    }

    async fn ends(
        &self,
        integration: &Integration,
        reference: &ReferencePair,
    ) -> Result<Vec<End>, sql::Error> {
        let mut sides: Vec<minijinja::Value> = Vec::new();
        for side in Side::BOTH {
            let (collection, end) = (integration.side(side), reference.side(side));
            sides.push(context! {
                side => side.as_str(),
                link => transform::links(self.inputs.statements, collection, end)?,
                artifact => collection.artifact.name,
                relationship => &end.relationship,
                target_artifact => &end.target_artifact,
            });
        }
        let values = context! {
            sides,
            integration => &integration.name,
            target => &reference.target,
            field => &reference.field,
        };
        let statement = self.inputs.statements.render("diff/references.sql", values)?;
        let what = format!("comparing {} of {}", reference.field, integration.name);
        let mut ends = Vec::new();
        for batch in self.inputs.sql.rows(&what, &statement).await? {
            let texts = Texts(&batch);
            for row in 0..batch.num_rows() {
                if let (Some(pair), Some(target)) = (texts.get("pair", row), texts.get("target", row)) {
                    ends.push(End {
                        pair: pair.into(),
                        target: target.into(),
                        on: [texts.flag("in_left", row), texts.flag("in_right", row)],
                        agreed: texts.flag("in_base", row),
                        dynamic: [texts.flag("left_dynamic", row), texts.flag("right_dynamic", row)],
                    });
                }
            }
        }
        Ok(ends)
    }

    fn compare_end(&mut self, integration: &Integration, reference: &ReferencePair, end: &End) {
        let entry = || Ref {
            integration: integration.name.clone(),
            pair: end.pair.clone(),
            field: reference.field.clone(),
            target: end.target.clone(),
        };
        let on = |side: Side| end.on[side as usize];
        match (on(Side::Left), on(Side::Right), end.agreed) {
            (true, true, _) => self.out.refs_added.push(entry()),
            (false, false, _) => self.out.refs_removed.push(entry()),
            (left, _, false) => {
                let holder = if left { Side::Left } else { Side::Right };
                self.add_end(integration, reference, end, holder.other());
            }
            (left, _, true) => {
                let keeper = if left { Side::Left } else { Side::Right };
                self.remove_end(integration, reference, end, keeper);
            }
        }
    }

    /// An end stands on one side only and was never agreed: it is new there.
    fn add_end(&mut self, integration: &Integration, reference: &ReferencePair, end: &End, to: Side) {
        let Some(pair) = self.out.pairs.get(&end.pair) else { return };
        let creating = pair.state == State::Pending;
        let lives_in_slot = integration.side(to).artifact.lives_in_slot;
        if creating && (pair.key(to).is_some() || !integration.creates_into[to as usize]) {
            return;
        }
        if creating && lives_in_slot && self.stands_elsewhere(integration, reference, end) {
            return;
        }
        let own = reference.side(to);
        if creating && !own.required && !own.via.is_empty() {
            // It follows from what it is derived from.
            return;
        }
        if !creating {
            if lives_in_slot {
                return;
            }
            if !reference.into[to as usize] || !own.writable {
                let kind = if own.writable { "one-way" } else { "fixed at creation" };
                let detail = format!("{} on the {to} side cannot receive {}", own.relationship, end.target);
                return self.lose(integration, reference, &end.pair, to, kind, detail);
            }
        }
        let required = own.required;
        self.reference(integration, reference, &end.pair, to, required).add.push(end.target.clone());
    }

    /// Tells whether a new result goes into another container of the pair in which the end lies.
    fn stands_elsewhere(&self, integration: &Integration, reference: &ReferencePair, end: &End) -> bool {
        let container = to_container(self.inputs.integrations, integration);
        let place =
            self.places.get(&end.pair).filter(|_| container.is_some_and(|c| c.field == reference.field));
        match place.map(|place| &place.container) {
            Some(Some(container)) => end.target != *container,
            Some(None) => end.target != resting(&end.target),
            None => false,
        }
    }

    /// An agreed end was taken away on one side: it goes on the other too.
    fn remove_end(&mut self, integration: &Integration, reference: &ReferencePair, end: &End, from: Side) {
        let own = reference.side(from);
        if end.dynamic[from as usize] {
            return self.out.plan.held.push(Held {
                integration: integration.name.clone(),
                pair: end.pair.clone(),
                side: from,
                field: Some(reference.field.clone()),
                reason: "computed membership",
                detail: format!(
                    "{} was removed on the {} side, but the {from} side computes it by a query or requirement: \
                     change that, or add it again",
                    end.target,
                    from.other()
                ),
            });
        }
        if !reference.into[from as usize] || !own.writable {
            let kind = if own.writable { "one-way" } else { "fixed at creation" };
            let detail = format!("{} stays in {} on the {from} side", end.target, own.relationship);
            return self.lose(integration, reference, &end.pair, from, kind, detail);
        }
        self.reference(integration, reference, &end.pair, from, false).remove.push(end.target.clone());
    }

    fn lose(
        &mut self,
        integration: &Integration,
        reference: &ReferencePair,
        pair: &PairId,
        side: Side,
        kind: &'static str,
        detail: String,
    ) {
        self.out.plan.losses.push(Loss {
            integration: integration.name.clone(),
            pair: Some(pair.clone()),
            side,
            field: reference.field.clone(),
            kind,
            detail,
        });
    }

    fn reference(
        &mut self,
        integration: &Integration,
        reference: &ReferencePair,
        pair: &PairId,
        side: Side,
        required: bool,
    ) -> &mut PlannedReference {
        let change = self.change(integration, pair, side);
        let known = change.references.iter().position(|r| r.field == reference.field);
        let at = known.unwrap_or_else(|| {
            change.references.push(PlannedReference {
                field: reference.field.clone(),
                relationship: reference.side(side).relationship.clone(),
                required,
                add: Vec::new(),
                remove: Vec::new(),
            });
            change.references.len() - 1
        });
        &mut change.references[at]
    }

    /// Ends that belong to no pair wait if they could be paired one day, and are lost otherwise.
    async fn note_unresolved(
        &mut self,
        integration: &Integration,
        reference: &ReferencePair,
        side: Side,
    ) -> Result<(), sql::Error> {
        if !reference.into[side.other() as usize] && !integration.creates_into[side.other() as usize] {
            return Ok(());
        }
        let (collection, own) = (integration.side(side), reference.side(side));
        let values = context! {
            link => transform::links(self.inputs.statements, collection, own)?,
            side => side.as_str(),
            integration => &integration.name,
            target => &reference.target,
            artifact => collection.artifact.name,
            relationship => &own.relationship,
            target_artifact => &own.target_artifact,
        };
        let statement = self.inputs.statements.render("diff/unresolved.sql", values)?;
        let what = format!("finding ends of {} outside every pair", reference.field);
        for batch in self.inputs.sql.rows(&what, &statement).await? {
            let texts = Texts(&batch);
            for row in 0..batch.num_rows() {
                let cells = ["pair", "target_artifact", "target_key"].map(|name| texts.get(name, row));
                let [Some(pair), Some(artifact), Some(key)] = cells else { continue };
                let pair = PairId::from(pair);
                if artifact == own.target_artifact {
                    self.out.plan.waiting.push(Waiting {
                        integration: integration.name.clone(),
                        pair,
                        side: side.other(),
                        field: reference.field.clone(),
                        target: format!("{artifact} {key}"),
                    });
                } else {
                    let detail = format!("{artifact} {key} is in no integration");
                    self.lose(integration, reference, &pair, side.other(), "outside", detail);
                }
            }
        }
        Ok(())
    }
}
