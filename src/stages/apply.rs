//! Loads exactly a plan that a person reviewed.
//!
//! The plan's own snapshot is compared again, which yields the pairs that the plan
//! meant; a change is loaded only if it comes out as it was reviewed and the row
//! that it writes still is what the plan saw.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::{Array, AsArray, RecordBatch};
use chrono::TimeDelta;

use super::Failure;
use super::load::CHANGED_MEANWHILE;
use super::plan::{Held, Plan, Planned};
use super::run::{Done, Job, Options, Work};
use crate::model::{Key, PairId, RunId, Side, SnapshotId};
use crate::store::Snapshot;

/// How old a plan may be: what people reviewed should still be how things are.
pub const RESUME_MAX_AGE_MINUTES: i64 = 60;

/// Rows read again in one call.
const READ_KEYS_MAX: usize = 1000;

/// Loads the plan that the run `reviewed` kept.
///
/// What drifted since is left out and stands in [`Done::rejected`].
///
/// # Errors
///
/// [`Failure::Refused`] if the plan is too old, or another run committed since;
/// otherwise fails like [`super::run`].
pub async fn apply(job: &Job<'_>, reviewed: &RunId) -> Result<Done, Failure> {
    let location = job.store.plan_location(reviewed, "changes");
    let Some((_, rows)) = job.store.find_sheet(&location).await? else {
        let known = job.store.list_runs().await?;
        let known: Vec<&str> = known.iter().rev().take(5).map(RunId::as_str).collect();
        let message = format!("run {reviewed} kept no plan; runs are {}", known.join(", "));
        return Err(Failure::Refused(message));
    };
    let changes = Plan::changes_from(&rows).map_err(Failure::Defect)?;
    let reconcile = changes.iter().flat_map(|c| &c.fields).any(|f| f.reason == "reconciled");
    let job = Job {
        run: job.run.clone(),
        holder: job.holder.clone(),
        options: Options { load: true, reconcile, ..job.options.clone() },
        ..*job
    };
    let mut work = Work::begin(&job).await?;
    let snapshot = work.reviewed_snapshot(reviewed).await?;
    let leases = work.leases.clone();
    leases.take(&job).await?;
    let done = tokio::select! {
        done = work.apply(snapshot, changes) => done,
        lost = leases.keep(&job) => Err(lost),
    };
    leases.give_back(job.store.store()).await;
    done
}

impl Work<'_> {
    /// Reads the snapshot over which a plan was made, if that may still be applied.
    async fn reviewed_snapshot(&self, reviewed: &RunId) -> Result<Snapshot, Failure> {
        let id = SnapshotId::new(format!("{reviewed}-1"));
        let snapshot = self.job.store.read_snapshot(&id).await?;
        if let Some(head) = self.before.as_ref().filter(|head| head.created_at > snapshot.created_at) {
            let message = format!("run {} wrote after plan {reviewed} was made", head.run);
            return Err(Failure::Refused(message));
        }
        let age = (self.job.clock)() - snapshot.created_at;
        if age > TimeDelta::minutes(RESUME_MAX_AGE_MINUTES) {
            let message = format!(
                "plan {reviewed} is {} minutes old; a plan can be applied for {RESUME_MAX_AGE_MINUTES}",
                age.num_minutes()
            );
            return Err(Failure::Refused(message));
        }
        Ok(snapshot)
    }

    async fn apply(&mut self, snapshot: Snapshot, reviewed: Vec<Planned>) -> Result<Done, Failure> {
        self.settle().await?;
        self.report.rounds = 1;
        let sql = self.session(&snapshot).await?;
        let mut found = self.diff(&sql, &snapshot).await?;
        self.refuse_unmapped(&found.plan)?;
        let mut done = Done::default();
        let mut left_out = only_reviewed(&mut found.plan, reviewed);
        left_out.extend(self.leave_drifted_out(&snapshot, &mut found.plan).await?);
        for held in &left_out {
            let entry = self.entry(&held.integration);
            let side = if held.side == Side::Left { &mut entry.left } else { &mut entry.right };
            side.rejected += 1;
        }
        done.rejected = left_out;
        self.count_plan(&found);
        done.plan = found.plan.clone();
        self.keep_plan(&done.plan).await?;
        let snapshot = self.load(&sql, snapshot, found, &mut done).await?;
        self.finish(&snapshot, &mut done);
        self.keep_plan(&done.plan).await?;
        self.keep_report(&done).await?;
        Ok(done)
    }

    /// Reads every row again that would be written, and leaves out what changed since the snapshot.
    async fn leave_drifted_out(&self, snapshot: &Snapshot, plan: &mut Plan) -> Result<Vec<Held>, Failure> {
        let mut wanted: BTreeMap<(String, Side), HashSet<String>> = BTreeMap::new();
        for change in &plan.changes {
            if let Some(key) = &change.key {
                wanted.entry((change.integration.clone(), change.side)).or_default().insert(key.clone());
            }
        }
        let mut drifted: HashSet<(String, Side, String)> = HashSet::new();
        for ((name, side), keys) in wanted {
            let then = self.staged(snapshot, &name, side, &keys).await?;
            let now = self.live(&name, side, &keys).await?;
            let moved =
                keys.into_iter().filter(|key| !now.contains_key(key) || now.get(key) != then.get(key));
            drifted.extend(moved.map(|key| (name.clone(), side, key)));
        }
        let mut left_out = Vec::new();
        plan.changes.retain(|change| {
            let Some(key) = &change.key else { return true };
            let moved = drifted.contains(&(change.integration.clone(), change.side, key.clone()));
            if moved {
                let detail = format!("{key} changed after the plan was made; nothing of it was written");
                left_out.push(held(change, CHANGED_MEANWHILE, detail));
            }
            !moved
        });
        Ok(left_out)
    }

    async fn staged(
        &self,
        snapshot: &Snapshot,
        integration: &str,
        side: Side,
        keys: &HashSet<String>,
    ) -> Result<Fingerprints, Failure> {
        let mut found = Fingerprints::new();
        let Some(integration) = self.integrations.iter().find(|i| i.name == integration) else {
            return Ok(found);
        };
        let collection = integration.side(side);
        let table = snapshot.table(collection.repository.as_str(), collection.artifact.table);
        for part in table.iter().flat_map(|t| &t.parts) {
            for batch in self.job.store.read_part(part).await? {
                found.extend(fingerprints(&batch).into_iter().filter(|(key, _)| keys.contains(key)));
            }
        }
        Ok(found)
    }

    async fn live(
        &self,
        integration: &str,
        side: Side,
        keys: &HashSet<String>,
    ) -> Result<Fingerprints, Failure> {
        let mut found = Fingerprints::new();
        let Some(integration) = self.integrations.iter().find(|i| i.name == integration) else {
            return Ok(found);
        };
        let collection = integration.side(side);
        let Some(connector) = self.job.repositories.get(&collection.repository) else { return Ok(found) };
        let mut keys: Vec<Key> = keys.iter().map(|k| k.as_str().into()).collect();
        keys.sort();
        for some in keys.chunks(READ_KEYS_MAX) {
            found.extend(fingerprints(&connector.read(collection.artifact.table, some).await?));
        }
        Ok(found)
    }
}

/// Revision and hash of rows, by key.
type Fingerprints = HashMap<String, (Option<String>, Option<String>)>;

fn fingerprints(batch: &RecordBatch) -> Fingerprints {
    let column = |name: &str| batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
    let (keys, revs, hashes) = (column("key"), column("rev"), column("raw_hash"));
    let cell = |column: Option<&arrow::array::StringArray>, row: usize| {
        column.filter(|c| c.is_valid(row)).map(|c| c.value(row).to_owned())
    };
    let rows = (0..batch.num_rows()).filter_map(|row| {
        let key = cell(keys, row)?;
        Some((key, (cell(revs, row), cell(hashes, row))))
    });
    rows.collect()
}

/// Keeps the changes that come out as they were reviewed, and returns those that do not.
fn only_reviewed(plan: &mut Plan, reviewed: Vec<Planned>) -> Vec<Held> {
    let alike = |change: &Planned| Planned { id: 0, ..change.clone() };
    let mut wanted: HashMap<(PairId, Side), Planned> =
        reviewed.iter().map(|c| ((c.pair.clone(), c.side), alike(c))).collect();
    plan.changes.retain(|change| {
        let place = (change.pair.clone(), change.side);
        let same = wanted.get(&place).is_some_and(|w| *w == alike(change));
        if same {
            wanted.remove(&place);
        }
        same
    });
    let missing = reviewed.iter().filter(|c| wanted.contains_key(&(c.pair.clone(), c.side)));
    let detail = "it would not be written as it was reviewed any more; nothing of it was written";
    missing.map(|change| held(change, CHANGED_MEANWHILE, detail.to_owned())).collect()
}

fn held(change: &Planned, reason: &'static str, detail: String) -> Held {
    Held {
        integration: change.integration.clone(),
        pair: change.pair.clone(),
        side: change.side,
        field: None,
        reason,
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(pair: &str, title: &str) -> Planned {
        Planned {
            id: 1,
            integration: "test-cases".into(),
            pair: pair.into(),
            side: Side::Left,
            project: "P".into(),
            key: None,
            revision: None,
            title: title.into(),
            configuration: None,
            fields: vec![],
            references: vec![],
            remove: false,
        }
    }

    #[test]
    fn what_was_not_reviewed_is_not_loaded_and_what_comes_out_differently_is_told() {
        let mut plan =
            Plan { changes: vec![change("a", "t"), change("b", "new"), change("c", "t")], ..Plan::default() };
        plan.changes[0].id = 7;
        let left_out = only_reviewed(&mut plan, vec![change("a", "t"), change("b", "old")]);
        let pairs: Vec<&str> = plan.changes.iter().map(|c| c.pair.as_str()).collect();
        assert_eq!(pairs, ["a"]);
        assert_eq!(left_out.len(), 1);
        assert_eq!(left_out[0].pair.as_str(), "b");
    }
}
