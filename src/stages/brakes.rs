//! The brakes: a plan that would remove or overwrite too much of a collection stops.

use std::collections::BTreeMap;

use super::Failure;
use super::diff::Diffed;
use super::plan::{Plan, Planned};
use super::spec::Integration;
use crate::model::Side;

/// The share of a collection that one run may remove unless the pipeline file says otherwise:
/// a tenth is a large clean-up, and more than a tenth more likely a filter or right that changed.
pub const DELETE_SHARE_MAX: f64 = 0.1;

/// So many artifacts may be removed whatever their share, so that small collections can be kept tidy.
pub const DELETE_FREE: u64 = 2;

/// The share of a collection that one run may overwrite unless the pipeline file says otherwise:
/// people do not edit half of their artifacts in a day, a wrong mapping does.
pub const OVERWRITE_SHARE_MAX: f64 = 0.5;

/// So many artifacts may be overwritten whatever their share.
pub const OVERWRITE_FREE: u64 = 20;

/// Artifacts that a message names before it only counts them.
const NAMED_MAX: usize = 5;

/// What earlier rounds of a run did, by integration and side.
#[derive(Debug, Default)]
pub(super) struct Brakes {
    removed: BTreeMap<(String, Side), u64>,
    overwritten: BTreeMap<(String, Side), u64>,
}

impl Brakes {
    /// Stops a plan that goes too far, together with the rounds before it.
    ///
    /// `accepted` removals in all were agreed to on the command line.
    pub(super) fn heed(
        &mut self,
        found: &Diffed,
        integrations: &[Integration],
        accepted: u64,
    ) -> Result<(), Failure> {
        let before: u64 = self.removed.values().sum();
        let removals = before + found.plan.changes.iter().filter(|c| c.remove).count() as u64;
        for integration in integrations {
            for side in Side::BOTH {
                let total = found.totals.get(&integration.name).map_or(0, |t| t[side as usize]);
                let place = (integration.name.clone(), side);
                let (options, ours) = (&integration.options, of(&found.plan, integration, side));
                let removed: Vec<&Planned> = ours.iter().copied().filter(|c| c.remove).collect();
                let so_far = self.removed.entry(place.clone()).or_default();
                *so_far += removed.len() as u64;
                let share = options.delete_share_max.unwrap_or(DELETE_SHARE_MAX);
                let goes_too_far = !removed.is_empty() && *so_far > DELETE_FREE.max(part(total, share));
                if goes_too_far && removals > accepted {
                    let hint = format!(
                        "pass --yes-delete {removals} if that is meant, or raise `delete_share_max` of {}",
                        integration.name
                    );
                    return Err(stop(integration, side, "remove", *so_far, total, share, &removed, &hint));
                }
                let overwritten: Vec<&Planned> = ours.iter().copied().filter(|c| overwrites(c)).collect();
                let so_far = self.overwritten.entry(place).or_default();
                *so_far += overwritten.len() as u64;
                let share = options.overwrite_share_max.unwrap_or(OVERWRITE_SHARE_MAX);
                if !overwritten.is_empty() && *so_far > OVERWRITE_FREE.max(part(total, share)) {
                    let hint = format!(
                        "if that is meant, review it with `plan` and load it with `apply`, or raise \
                         `overwrite_share_max` of {}",
                        integration.name
                    );
                    return Err(stop(
                        integration,
                        side,
                        "overwrite",
                        *so_far,
                        total,
                        share,
                        &overwritten,
                        &hint,
                    ));
                }
            }
        }
        Ok(())
    }
}

fn of<'p>(plan: &'p Plan, integration: &Integration, side: Side) -> Vec<&'p Planned> {
    plan.changes.iter().filter(|c| c.integration == integration.name && c.side == side).collect()
}

/// Tells whether a change replaces something that is there; what `--reconcile` asks for is asked for.
fn overwrites(change: &Planned) -> bool {
    let replaces = |reason: &str| matches!(reason, "changed" | "conflict" | "created" | "constant");
    let filled = |old: &Option<String>| old.as_ref().is_some_and(|text| !text.is_empty());
    change.key.is_some() && change.fields.iter().any(|f| filled(&f.old) && replaces(f.reason))
}

fn part(total: u64, share: f64) -> u64 {
    (total as f64 * share).floor() as u64
}

#[expect(clippy::too_many_arguments, reason = "they are the parts of one message")]
fn stop(
    integration: &Integration,
    side: Side,
    verb: &str,
    count: u64,
    total: u64,
    share: f64,
    changes: &[&Planned],
    hint: &str,
) -> Failure {
    let named: Vec<String> = changes
        .iter()
        .take(NAMED_MAX)
        .map(|c| format!("{} {:?}", c.key.as_deref().unwrap_or_default(), c.title))
        .collect();
    let more = match changes.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Failure::Brake(format!(
        "this run would {verb} {count} of {total} artifacts in {}, more than {:.0} %: {}{more}; {hint}",
        integration.side(side).name,
        share * 100.0,
        named.join(", ")
    ))
}
