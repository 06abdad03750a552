//! Artifacts whose counterpart is gone: they are reported, marked or removed, as the pipeline file says.

use super::{Texts, Work, publish};
use crate::model::{PairId, Side};
use crate::pipeline::Deletions;
use crate::sql;
use crate::stages::plan::{Gone, Held, PlannedField};
use crate::stages::spec::{FieldPair, Integration};
use crate::stages::{transform, write};

impl Work<'_> {
    /// Applies the integration's policy to what is left of its pairs.
    ///
    /// What was carried out once is not done again: whoever takes a mark off means it.
    pub(super) async fn compare_gone(&mut self, integration: &Integration) -> Result<(), sql::Error> {
        let ours = |(pair, ..): &(PairId, Side, String)| {
            self.out.pairs.get(pair).is_some_and(|p| p.integration == integration.name)
        };
        let survivors: Vec<(PairId, Side, String)> =
            self.survivors.iter().filter(|s| ours(s)).cloned().collect();
        let mut marking: [Vec<(PairId, String)>; 2] = Default::default();
        for (pair, side, key) in survivors {
            let done = self.out.pairs.get(&pair).is_some_and(|p| p.mapping.is_some());
            let collection = integration.side(side);
            // Results and their containers are expired by the systems themselves.
            let expires = collection.artifact.holds_slots || collection.artifact.lives_in_slot;
            let may = integration.flows_into[side as usize];
            let action = match &integration.deletions {
                Deletions::Mark { .. } if done => "marked",
                Deletions::Mark { .. } if may && integration.marks[side as usize].is_some() => {
                    marking[side as usize].push((pair.clone(), key.clone()));
                    "to be marked"
                }
                Deletions::Propagate { .. } if done => "removed",
                Deletions::Propagate { .. } if may && !expires => {
                    self.change(integration, &pair, side).remove = true;
                    "to be removed"
                }
                _ => "reported",
            };
            self.out.plan.gone.push(Gone {
                integration: integration.name.clone(),
                pair,
                side: side.other(),
                key,
                action,
            });
        }
        for (side, keys) in Side::BOTH.into_iter().zip(marking) {
            if let (Some(mark), false) = (&integration.marks[side as usize], keys.is_empty()) {
                self.mark(integration, side, mark, keys).await?;
            }
        }
        Ok(())
    }

    /// Plans the marks of one side.
    async fn mark(
        &mut self,
        integration: &Integration,
        side: Side,
        mark: &FieldPair,
        keys: Vec<(PairId, String)>,
    ) -> Result<(), sql::Error> {
        let Deletions::Mark { value, .. } = &integration.deletions else { return Ok(()) };
        let wanted: Vec<Vec<Option<&str>>> = keys.iter().map(|(_, key)| vec![Some(key.as_str())]).collect();
        publish(self.inputs.sql, "survivors", &["key"], &wanted)?;
        let fields = std::slice::from_ref(mark);
        let statements = self.inputs.statements;
        let statement =
            transform::mapped_fields(statements, integration, side, fields, Some("plan.survivors"))?;
        let what = format!("reading what is left in {}", integration.side(side).name);
        for batch in self.inputs.sql.rows(&what, &statement).await? {
            let texts = Texts(&batch);
            for row in 0..batch.num_rows() {
                let Some((pair, _)) = keys.iter().find(|(_, key)| texts.get("key", row) == Some(key)) else {
                    continue;
                };
                let held = texts.get(&format!("n:{}", mark.name), row);
                if texts.get(&format!("m:{}", mark.name), row) == Some(value) {
                    if let Some(row) = self.out.pairs.get_mut(pair) {
                        row.mapping = Some(integration.mapping_hash.clone());
                    }
                    continue;
                }
                let prepared = match write::prepare(mark, integration.side(side), side, Some(value), held) {
                    Ok(prepared) => prepared,
                    Err(why) => {
                        self.out.plan.held.push(Held {
                            integration: integration.name.clone(),
                            pair: pair.clone(),
                            side,
                            field: Some(mark.name.clone()),
                            reason: why.reason,
                            detail: why.detail,
                        });
                        continue;
                    }
                };
                let change = self.change(integration, pair, side);
                change.revision = texts.get("rev", row).map(str::to_owned);
                texts.get("project", row).unwrap_or_default().clone_into(&mut change.project);
                texts.get("title", row).unwrap_or_default().clone_into(&mut change.title);
                change.fields.push(PlannedField {
                    field: None,
                    native_field: mark.side(side).native.clone(),
                    old: held.map(str::to_owned),
                    value: prepared.value,
                    source: None,
                    reason: "marked",
                    degraded: false,
                });
            }
        }
        Ok(())
    }
}
