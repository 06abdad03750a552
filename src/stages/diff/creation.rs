//! Creations that cannot happen: a required end is missing, or there are too many of them.

use std::collections::{HashMap, HashSet};

use minijinja::context;

use super::{Texts, Work};
use crate::model::{PairId, RelationshipSpec, Side};
use crate::sql;
use crate::stages::plan::{Held, Loss, Planned, Waiting};
use crate::stages::spec::{Integration, ReferencePair};
use crate::stages::transform;

/// How many cases of a run each plan holds, by native keys.
type Busy = HashMap<(String, String), i64>;

/// Which cases the runs of a side can hold results of, by native keys.
#[derive(Default)]
struct Reach {
    /// The relationship in which a run names its plan.
    relationship: &'static str,
    /// Plans and the cases in them.
    members: HashSet<(String, String)>,
    /// The plan of each run.
    plans: HashMap<String, String>,
}

impl Work<'_> {
    /// Reduces single ends to one and holds what lacks a required end.
    ///
    /// Integrations come in order, so that what is held here holds its dependents later.
    pub(super) async fn check_creations(&mut self, integration: &Integration) -> Result<(), sql::Error> {
        for to in Side::BOTH {
            let reach = self.reach(integration, to).await?;
            let busy = self.busiest(integration, to).await?;
            let ours: Vec<(PairId, Side)> = self
                .order
                .iter()
                .filter(|key| key.1 == to)
                .filter(|key| {
                    self.changes
                        .get(*key)
                        .is_some_and(|c| c.integration == integration.name && c.key.is_none())
                })
                .cloned()
                .collect();
            for key in ours {
                let Some(mut change) = self.changes.remove(&key) else { continue };
                self.choose_single_ends(integration, &mut change, &busy);
                let missing = self.missing_end(integration, &change);
                match missing.or_else(|| self.out_of_reach(&change, reach.as_ref())) {
                    None => {
                        self.changes.insert(key, change);
                    }
                    Some(detail) => self.hold_creation(integration, &change, detail),
                }
            }
        }
        self.drop_ends_in_the_air(integration);
        Ok(())
    }

    /// Counts cases per run and plan on the source side, where a choice of plan will be needed.
    async fn busiest(&self, integration: &Integration, to: Side) -> Result<Busy, sql::Error> {
        let source = integration.side(to.other());
        let mut busy = Busy::new();
        if !source.artifact.holds_slots || !integration.references.iter().any(|r| r.side(to).single) {
            return Ok(busy);
        }
        let values = context! {
            result => transform::view(source, "result"),
            membership => transform::view(source, "membership"),
        };
        let statement = self.inputs.statements.render("diff/busiest.sql", values)?;
        for batch in self.inputs.sql.rows("counting cases per run and plan", &statement).await? {
            use arrow::array::AsArray;
            use arrow::datatypes::Int64Type;
            let texts = Texts(&batch);
            let counts = batch.column_by_name("cases").and_then(|c| c.as_primitive_opt::<Int64Type>());
            for row in 0..batch.num_rows() {
                if let (Some(run), Some(plan), Some(counts)) =
                    (texts.get("run_key", row), texts.get("plan_key", row), counts)
                {
                    busy.insert((run.to_owned(), plan.to_owned()), counts.value(row));
                }
            }
        }
        Ok(busy)
    }

    /// Where one end fits and several are there, the one that holds most of the cases is taken.
    fn choose_single_ends(&mut self, integration: &Integration, change: &mut Planned, busy: &Busy) {
        let from = change.side.other();
        let own = self.out.pairs.get(&change.pair).and_then(|p| p.key(from)).unwrap_or_default().to_owned();
        for planned in &mut change.references {
            let Some(reference) = integration.reference(&planned.field) else { continue };
            if !reference.side(change.side).single || planned.add.len() < 2 {
                continue;
            }
            let cases = |target: &PairId| {
                let key = self.out.pairs.get(target).and_then(|p| p.key(from)).unwrap_or_default().to_owned();
                busy.get(&(own.clone(), key)).copied().unwrap_or(0)
            };
            planned.add.sort_by(|a, b| cases(b).cmp(&cases(a)).then(a.cmp(b)));
            for target in planned.add.drain(1..) {
                self.out.plan.losses.push(Loss {
                    integration: integration.name.clone(),
                    pair: Some(change.pair.clone()),
                    side: change.side,
                    field: planned.field.clone(),
                    kind: "one end only",
                    detail: format!("{} holds one end; {target} is left out", planned.relationship),
                });
            }
        }
    }

    /// Says which required end is missing, if one is.
    fn missing_end(&self, integration: &Integration, change: &Planned) -> Option<String> {
        let side = change.side;
        let collection = integration.side(side);
        let required = collection.artifact.relationships.iter().filter(|r| r.required);
        for spec in required {
            let constant = collection.constants.iter().any(|c| c.relationship && c.native == spec.name);
            let planned = change.references.iter().find(|r| r.relationship == spec.name);
            let mapped: Option<&ReferencePair> =
                integration.references.iter().find(|r| r.side(side).relationship == spec.name);
            let Some(target) = planned.and_then(|p| p.add.first()) else {
                if constant || mapped.is_none() {
                    continue;
                }
                return Some(format!(
                    "{} needs a {} and the other side names none that is paired: relate it there",
                    collection.artifact.name, spec.name
                ));
            };
            if !self.will_exist(target, side) {
                return Some(format!(
                    "{} needs its {}, and {target} is held",
                    collection.artifact.name, spec.name
                ));
            }
        }
        None
    }

    /// Reads which cases the runs of a side can hold results of; `None` where a run needs no plan.
    async fn reach(&self, integration: &Integration, to: Side) -> Result<Option<Reach>, sql::Error> {
        let collection = integration.side(to);
        let needs_plan = |r: &ReferencePair| {
            let holder = self.inputs.integrations.iter().find(|i| i.name == r.target)?;
            let artifact = &holder.side(to).artifact;
            let names_plan = |s: &&RelationshipSpec| s.required && self.is_plan(integration, to, s.target);
            let spec = artifact.relationships.iter().find(names_plan)?;
            artifact.holds_slots.then_some((artifact.name, spec.name))
        };
        let spec = integration.references.iter().find_map(needs_plan);
        let (true, Some((artifact, relationship))) = (collection.artifact.lives_in_slot, spec) else {
            return Ok(None);
        };
        let values = context! {
            membership => transform::view(collection, "membership"),
            link => transform::view(collection, "link"),
            artifact,
            relationship,
        };
        let mut reach = Reach { relationship, ..Reach::default() };
        let statement = self.inputs.statements.render("diff/reach.sql", values)?;
        for batch in self.inputs.sql.rows("reading which cases each plan holds", &statement).await? {
            let texts = Texts(&batch);
            for row in 0..batch.num_rows() {
                match ["kind", "holder", "held"].map(|name| texts.get(name, row)) {
                    [Some("plan"), Some(plan), Some(case)] => {
                        reach.members.insert((plan.to_owned(), case.to_owned()));
                    }
                    [Some(_), Some(run), Some(plan)] => {
                        reach.plans.insert(run.to_owned(), plan.to_owned());
                    }
                    _ => {}
                }
            }
        }
        Ok(Some(reach))
    }

    /// Tells whether an artifact of a side's system is a plan.
    fn is_plan(&self, integration: &Integration, side: Side, artifact: &str) -> bool {
        let repository = &integration.side(side).repository;
        let collections = self.inputs.integrations.iter().flat_map(|i| &i.sides);
        let mut ours = collections.filter(|c| c.repository == *repository && c.artifact.name == artifact);
        ours.any(|c| c.artifact.view == "plan")
    }

    /// Says that a run's plan does not hold the case of a new result, if so.
    fn out_of_reach(&self, change: &Planned, reach: Option<&Reach>) -> Option<String> {
        let (reach, side) = (reach?, change.side);
        let key = |pair: &PairId| self.out.pairs.get(pair).and_then(|p| p.key(side)).map(str::to_owned);
        let artifact = |pair: &PairId| {
            let name = &self.out.pairs.get(pair)?.integration;
            self.inputs.integrations.iter().find(|i| &i.name == name).map(|i| &i.side(side).artifact)
        };
        let ends: Vec<&PairId> =
            change.references.iter().filter(|r| r.required).flat_map(|r| &r.add).collect();
        let run = ends.iter().find(|pair| artifact(pair).is_some_and(|a| a.holds_slots))?;
        let case = ends.iter().find(|pair| artifact(pair).is_some_and(|a| !a.holds_slots))?;
        let planned = self.changes.get(&((*run).clone(), side)).and_then(|c| {
            c.references.iter().find(|r| r.relationship == reach.relationship).and_then(|r| r.add.first())
        });
        let plan = match planned {
            Some(plan) => plan.clone(),
            None => {
                let plan = reach.plans.get(&key(run)?)?;
                self.out.pairs.iter().find(|p| p.key(side) == Some(plan.as_str()) && !p.alias)?.id.clone()
            }
        };
        let member =
            key(&plan).zip(key(case)).is_some_and(|(plan, case)| reach.members.contains(&(plan, case)));
        let coming = self
            .changes
            .get(&(plan.clone(), side))
            .is_some_and(|c| c.references.iter().any(|r| r.add.contains(case)));
        (!member && !coming)
            .then(|| format!("{case} is not in {plan}, the plan of its run {run}: add it to that plan"))
    }

    /// Tells whether a pair has, or is about to get, its artifact on a side.
    fn will_exist(&self, target: &PairId, side: Side) -> bool {
        let known = self.out.pairs.get(target).and_then(|p| p.key(side)).is_some();
        known || self.changes.contains_key(&(target.clone(), side))
    }

    fn hold_creation(&mut self, integration: &Integration, change: &Planned, detail: String) {
        self.restless.insert(change.pair.clone());
        self.out.plan.held.push(Held {
            integration: integration.name.clone(),
            pair: change.pair.clone(),
            side: change.side,
            field: None,
            reason: "required end missing",
            detail: match change.title.as_str() {
                "" => detail,
                title => format!("{title:?}: {detail}"),
            },
        });
    }

    /// Ends whose artifact will not come into being in this run wait.
    fn drop_ends_in_the_air(&mut self, integration: &Integration) {
        let exists: HashSet<(PairId, Side)> = self
            .changes
            .values()
            .flat_map(|c| {
                c.references.iter().flat_map(move |r| r.add.iter().map(move |t| (t.clone(), c.side)))
            })
            .filter(|(target, side)| self.will_exist(target, *side))
            .collect();
        for change in self.changes.values_mut().filter(|c| c.integration == integration.name) {
            for reference in change.references.iter_mut().filter(|r| !r.required) {
                let side = change.side;
                let (keep, wait): (Vec<PairId>, Vec<PairId>) =
                    reference.add.drain(..).partition(|target| exists.contains(&(target.clone(), side)));
                reference.add = keep;
                for target in wait {
                    self.out.plan.waiting.push(Waiting {
                        integration: integration.name.clone(),
                        pair: change.pair.clone(),
                        side,
                        field: reference.field.clone(),
                        target: target.to_string(),
                    });
                }
            }
        }
    }
}
