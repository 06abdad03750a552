//! One run, from settling to the last commit.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use futures::future::try_join_all;

use super::absence;
use super::brakes::Brakes;
use super::commit::{BASE, Commit, REFS, ReadBack, agreed_after, read_back, text_schema};
use super::diff::{Diffed, Inputs, diff};
use super::extract::Extraction;
use super::follow::follow;
use super::leases::Leases;
use super::ledger::Ledger;
use super::load::{CHANGED_MEANWHILE, Loaded, Loading, UNKNOWN};
use super::pairing::Pairs;
use super::plan::{Held, Plan};
use super::report::{EXIT_STOPPED, IntegrationReport, Report, RequestReport, SCHEMA};
use super::settle::{Settled, settle};
use super::spec::{Integration, resolve};
use super::{Clock, Failure, Progress, Repositories};
use crate::connectors::RequestCounts;
use crate::model::{Artifact, PairId, RepositoryId, RunId, Side, SnapshotId, native_schema};
use crate::pipeline::Pipeline;
use crate::sql::{self, Limits, Sql, Statements, TableFiles};
use crate::store::{Head, Holder, Lease, PipelineStore, Seat, Snapshot, TableState};

/// How often a run diffs and loads: what a load brings about in turn settles in two
/// more rounds; more would mean that two values chase each other.
pub const ROUNDS_MAX: u32 = 4;

/// Changes are numbered from the second in which the run began; a run has room for
/// sixteen million of them before it would reach the numbers of the next second.
const CHANGE_BITS: u32 = 24;

/// What is asked of a run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Load the plan; otherwise nothing is written to any repository.
    pub load: bool,
    /// Read everything anew.
    pub full: bool,
    /// Write standing differences too.
    pub reconcile: bool,
    /// Only this integration.
    pub only: Option<String>,
    /// Write only to the artifact with this id or key, and to its counterpart.
    pub key: Option<String>,
    /// Write to so many artifacts at most.
    pub limit: Option<u64>,
    /// So many removals in all are agreed to, whatever their share.
    pub yes_delete: u64,
    /// Set from outside to end the run: what is in flight is finished and committed.
    pub stop: Arc<AtomicBool>,
}

/// A run to be made.
pub struct Job<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// Its repositories.
    pub repositories: &'a Repositories,
    /// Its staging store.
    pub store: &'a PipelineStore,
    /// The run's name.
    pub run: RunId,
    /// Who runs it, for leases.
    pub holder: Holder,
    /// Tells of holders whether they ended without giving their lease back.
    pub is_gone: &'a (dyn Fn(&Holder) -> bool + Sync),
    /// The time.
    pub clock: Clock<'a>,
    /// Where progress is told.
    pub progress: &'a dyn Progress,
    /// What is asked.
    pub options: Options,
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("run", &self.run).field("options", &self.options).finish_non_exhaustive()
    }
}

/// A run's numbers and its plan.
#[derive(Debug, Default)]
pub struct Done {
    /// The numbers.
    pub report: Report,
    /// What was planned in all rounds, and what stood in the way at the end.
    pub plan: Plan,
    /// What was refused, in all rounds.
    pub rejected: Vec<Held>,
    /// Changes that were left to the next run because of a limit.
    pub left_over: u64,
    /// Why a load of this plan would stop; only where nothing was to be loaded.
    pub brake: Option<String>,
}

/// The state of a run under way.
pub(super) struct Work<'a> {
    pub(super) job: &'a Job<'a>,
    statements: Statements,
    pub(super) integrations: Vec<Integration>,
    started: DateTime<Utc>,
    pub(super) report: Report,
    pub(super) before: Option<Head>,
    pub(super) leases: Leases,
    settled: Settled,
    brakes: Brakes,
    /// Artifacts that were refused once and may be reopened for another attempt.
    reopened: HashSet<(PairId, Side)>,
    /// How many artifacts may still be written.
    allowance: Option<u64>,
    /// The number of the next change.
    next: AtomicU64,
}

/// Makes a run.
///
/// # Errors
///
/// Fails if a system, the store or the mapping cannot be used. What was written
/// until then is in the journal, and the next run continues from there.
pub async fn run(job: &Job<'_>) -> Result<Done, Failure> {
    let mut work = Work::begin(job).await?;
    let leases = work.leases.clone();
    if job.options.load {
        leases.take(job).await?;
    }
    let done = tokio::select! {
        done = work.rounds() => done,
        lost = leases.keep(job) => Err(lost),
    };
    leases.give_back(job.store.store()).await;
    done
}

impl<'a> Work<'a> {
    /// Prepares a run; no system is asked yet.
    pub(super) async fn begin(job: &'a Job<'a>) -> Result<Self, Failure> {
        let started = (job.clock)();
        let artifacts: BTreeMap<RepositoryId, Vec<Artifact>> =
            job.repositories.iter().map(|(id, c)| (id.clone(), c.artifacts())).collect();
        let integrations = resolve(job.pipeline, &artifacts)?;
        Ok(Work {
            job,
            statements: Statements::new(),
            integrations,
            started,
            report: Report {
                schema: SCHEMA,
                run: job.run.to_string(),
                pipeline: job.pipeline.name.clone(),
                ..Report::default()
            },
            before: job.store.read_head().await?,
            leases: Leases::default(),
            settled: Settled::default(),
            brakes: Brakes::default(),
            reopened: HashSet::new(),
            allowance: job.options.limit,
            next: AtomicU64::new((started.timestamp().max(0) as u64) << CHANGE_BITS),
        })
    }
}

impl Work<'_> {
    async fn rounds(&mut self) -> Result<Done, Failure> {
        self.settle().await?;
        let mut snapshot = self.extract().await?;
        let mut done = Done::default();
        for round in 1..=ROUNDS_MAX {
            self.report.rounds = round;
            let sql = self.session(&snapshot).await?;
            self.heed_stop()?;
            let mut found = self.diff(&sql, &snapshot).await?;
            self.heed_stop()?;
            if round == 1 {
                self.refuse_unmapped(&found.plan)?;
            }
            if let (Some(key), false) = (&self.job.options.key, found.found) {
                return Err(Failure::Unknown(format!("no artifact that takes part has the id or key {key}")));
            }
            drop_refused(&mut found.plan, &done.rejected);
            done.left_over = self.limit(&mut found.plan);
            self.count_plan(&found);
            done.plan.take_round(&found.plan);
            self.keep_plan(&done.plan).await?;
            let braked = self.brakes.heed(&found, &self.integrations, self.job.options.yes_delete);
            if !self.job.options.load {
                done.brake = braked.err().map(|why| why.to_string());
                break;
            }
            braked?;
            let ended = found.plan.is_empty();
            snapshot = self.load(&sql, snapshot, found, &mut done).await?;
            if ended || self.is_stopped() {
                break;
            }
        }
        self.finish(&snapshot, &mut done);
        self.keep_plan(&done.plan).await?;
        self.keep_report(&done).await?;
        Ok(done)
    }

    /// Cuts a plan to what may still be written; returns how many changes that leaves over.
    fn limit(&mut self, plan: &mut Plan) -> u64 {
        let Some(allowance) = &mut self.allowance else { return 0 };
        let planned = plan.changes.len() as u64;
        // What others need at their creation stands before them.
        plan.changes.truncate(usize::try_from(*allowance).unwrap_or(usize::MAX));
        *allowance -= plan.changes.len() as u64;
        planned - plan.changes.len() as u64
    }

    /// Finds out what became of creates without an answer.
    pub(super) async fn settle(&mut self) -> Result<(), Failure> {
        let pairs = self.pairs().await?;
        self.settled = settle(self.job.store, self.job.repositories, &pairs).await?;
        if self.job.options.load {
            // What stays open must stand in the journal of this run: its commit ends the older ones.
            let ledger = Ledger::new(self.job.store, self.job.run.clone(), self.job.clock, 0);
            for batch in &self.settled.open {
                ledger.carry(batch.clone()).await?;
            }
        }
        Ok(())
    }

    /// The pairs as of the last commit, with what settling found.
    async fn pairs(&self) -> Result<Pairs, Failure> {
        let rows = self.sync("pairs").await?;
        let mut pairs = Pairs::from_batches(&rows).map_err(Failure::Defect)?;
        self.settled.complete(&mut pairs);
        Ok(pairs)
    }

    fn is_stopped(&self) -> bool {
        self.job.options.stop.load(Ordering::Relaxed)
    }

    /// Ends a run between two stages; what earlier rounds wrote is committed.
    fn heed_stop(&self) -> Result<(), Failure> {
        if self.is_stopped() { Err(Failure::Stopped) } else { Ok(()) }
    }

    async fn extract(&mut self) -> Result<Snapshot, Failure> {
        let begun = (self.job.clock)();
        let before = match self.job.store.list_snapshots().await?.last() {
            Some(last) => Some(self.job.store.read_snapshot(last).await?),
            None => None,
        };
        let all = self.job.repositories.iter().map(|(id, connector)| {
            let extraction = Extraction {
                store: self.job.store,
                repository: id,
                connector,
                before: before.as_ref(),
                full: self.job.options.full,
                stop: &self.job.options.stop,
                now: begun,
            };
            let progress = self.job.progress;
            async move { Ok::<_, Failure>((id.to_string(), extraction.run(progress).await?)) }
        });
        let repositories = try_join_all(all).await?.into_iter().collect();
        let snapshot = self.commit_snapshot(repositories, 1).await?;
        self.took("extract", begun);
        Ok(snapshot)
    }

    async fn commit_snapshot(
        &self,
        repositories: BTreeMap<String, BTreeMap<String, TableState>>,
        number: u32,
    ) -> Result<Snapshot, Failure> {
        let id = SnapshotId::new(format!("{}-{number}", self.job.run));
        let created_at = (self.job.clock)();
        let systems = self.job.repositories.iter().map(|(id, c)| (id.to_string(), c.system().to_owned()));
        let seat = |i: &Integration, side| Seat {
            repository: i.side(side).repository.to_string(),
            view: i.side(side).artifact.view.to_owned(),
        };
        let integrations = self.integrations.iter().map(|i| (i.name.clone(), Side::BOTH.map(|s| seat(i, s))));
        let snapshot = Snapshot {
            id,
            run: self.job.run.clone(),
            created_at,
            repositories,
            systems: systems.collect(),
            integrations: integrations.collect(),
        };
        self.job.store.commit_snapshot(&snapshot).await?;
        Ok(snapshot)
    }

    pub(super) async fn session(&self, snapshot: &Snapshot) -> Result<Sql, Failure> {
        let sql = open_session(self.job.store, self.job.repositories, snapshot, &self.statements).await?;
        for (name, columns) in [("base", &BASE[..]), ("refs", &REFS[..])] {
            let rows = self.sync(name).await?;
            sql::register_batches(&sql, "sync", name, text_schema(columns), rows)?;
        }
        Ok(sql)
    }

    async fn sync(&self, name: &str) -> Result<Vec<arrow::record_batch::RecordBatch>, Failure> {
        let Some(head) = &self.before else { return Ok(Vec::new()) };
        Ok(self.job.store.read_sync(head, name).await?.map(|(_, rows)| rows).unwrap_or_default())
    }

    pub(super) async fn diff(&mut self, sql: &Sql, snapshot: &Snapshot) -> Result<Diffed, Failure> {
        let begun = (self.job.clock)();
        let pairs = self.pairs().await?;
        let hidden =
            absence::hidden(self.job.store, snapshot, &self.integrations, self.job.repositories, &pairs)
                .await?;
        let found = diff(Inputs {
            sql,
            statements: &self.statements,
            integrations: &self.integrations,
            pairs,
            hidden,
            incomplete: incomplete(&self.integrations, snapshot),
            ambiguous: &self.settled.ambiguous,
            reopen: &self.reopened,
            key: self.job.options.key.as_deref(),
            reconcile: self.job.options.reconcile,
            only: self.job.options.only.as_deref(),
        })
        .await?;
        self.took("diff", begun);
        Ok(found)
    }

    /// Loads a plan, reads back, and commits.
    pub(super) async fn load(
        &mut self,
        sql: &Sql,
        snapshot: Snapshot,
        mut found: Diffed,
        done: &mut Done,
    ) -> Result<Snapshot, Failure> {
        let begun = (self.job.clock)();
        let ledger = Ledger::new(self.job.store, self.job.run.clone(), self.job.clock, self.report.rounds);
        let loading = Loading {
            integrations: &self.integrations,
            repositories: self.job.repositories,
            journal: &ledger,
            progress: self.job.progress,
            next: &self.next,
            stop: &self.job.options.stop,
        };
        let mut loaded = loading.load(&found.plan.changes, &mut found.pairs).await?;
        if !self.is_stopped() {
            self.settle_load(&mut loaded, &mut found.pairs).await;
        }
        self.took("load", begun);
        self.note_reopening(&mut loaded);
        let begun = (self.job.clock)();
        let (back, snapshot, failed) = self.look_again(snapshot, &loaded).await;
        found.agreed.extend(agreed_after(&loaded.written, &back));
        self.count_load(&loaded);
        let head = Head {
            n: 0,
            run: self.job.run.clone(),
            created_at: (self.job.clock)(),
            snapshot: snapshot.id.clone(),
            sync: BTreeMap::new(),
            mapping: self.integrations.iter().map(|i| (i.name.clone(), i.mapping_hash.clone())).collect(),
            fencing: BTreeMap::new(),
        };
        found.refs_added.extend(loaded.refs_added.iter().cloned());
        found.refs_removed.extend(loaded.refs_removed.iter().cloned());
        let held = self.leases.held().await;
        let leases: Vec<&Lease> = held.iter().collect();
        let commit = Commit {
            store: self.job.store,
            sql,
            statements: &self.statements,
            run: &self.job.run,
            before: self.before.as_ref(),
            leases: &leases,
        };
        found.pairs.forget_wanted();
        let head =
            commit.run(head, &found.pairs, &found.agreed, &found.refs_added, &found.refs_removed).await?;
        drop(held);
        self.before = Some(head);
        done.rejected.extend(loaded.rejected);
        self.took("read_back", begun);
        failed.map_or(Ok(snapshot), Err)
    }

    /// Reads back what was written. Where that fails the values sent are what is certain: they
    /// are committed all the same, and the failure is returned beside them.
    async fn look_again(&self, before: Snapshot, loaded: &Loaded) -> (ReadBack, Snapshot, Option<Failure>) {
        match read_back(&self.integrations, self.job.repositories, loaded).await {
            Err(failure) => (ReadBack::new(), before, Some(failure)),
            Ok(back) => match self.follow_up(before.clone(), loaded, &back).await {
                Ok(after) => (back, after, None),
                Err(failure) => (back, before, Some(failure)),
            },
        }
    }

    /// Lets the next round reopen what a status kept from being edited, where the file allows that.
    fn note_reopening(&mut self, loaded: &mut Loaded) {
        let integrations = &self.integrations;
        let may = |held: &Held| {
            let ours = integrations.iter().find(|i| i.name == held.integration);
            matches!(held.reason, "rejected" | "refused")
                && ours.is_some_and(|i| i.options.reopen_closed && !i.side(held.side).transitions.is_empty())
        };
        let mut again = HashSet::new();
        loaded.rejected.retain(|held| {
            let place = (held.pair.clone(), held.side);
            let once_more = may(held) && !self.reopened.contains(&place);
            if once_more {
                again.insert(place);
            }
            !once_more
        });
        self.reopened.extend(again);
    }

    /// Finds out what became of creates whose answer this load lost. Where that cannot be
    /// asked now, the next run does.
    async fn settle_load(&mut self, loaded: &mut Loaded, pairs: &mut Pairs) {
        if !loaded.rejected.iter().any(|held| held.reason == UNKNOWN) {
            return;
        }
        let Ok(settled) = settle(self.job.store, self.job.repositories, pairs).await else { return };
        settled.complete(pairs);
        let mut known: HashSet<(PairId, Side)> = settled.absent.into_iter().collect();
        for made in settled.found {
            if let Some(pair) = pairs.get(&made.pair) {
                let place = (pair.integration.clone(), made.side);
                loaded.touched.entry(place).or_default().insert(made.key);
            }
            known.insert((made.pair, made.side));
        }
        for open in settled.ambiguous {
            known.insert((open.pair.clone(), open.side));
            if !self.settled.ambiguous.contains(&open) {
                self.settled.ambiguous.push(open);
            }
        }
        loaded.rejected.retain(|held| {
            let settled = held.reason == UNKNOWN && known.contains(&(held.pair.clone(), held.side));
            if settled && pairs.get(&held.pair).is_some_and(|p| p.key(held.side).is_some()) {
                loaded.counts.entry((held.integration.clone(), held.side)).or_default().created += 1;
            }
            !settled
        });
    }

    async fn follow_up(
        &self,
        snapshot: Snapshot,
        loaded: &Loaded,
        back: &ReadBack,
    ) -> Result<Snapshot, Failure> {
        if loaded.touched.is_empty() && loaded.related.is_empty() {
            return Ok(snapshot);
        }
        let tables =
            follow(self.job.store, &self.integrations, self.job.repositories, &snapshot, loaded, back)
                .await?;
        self.commit_snapshot(tables, self.report.rounds + 1).await
    }

    /// The first run writes nothing while values are in no map.
    pub(super) fn refuse_unmapped(&self, plan: &Plan) -> Result<(), Failure> {
        let unmapped: Vec<Held> =
            plan.held.iter().filter(|h| h.reason == "unmapped value").cloned().collect();
        if self.before.is_none() && !unmapped.is_empty() {
            return Err(Failure::Unmapped(unmapped));
        }
        Ok(())
    }

    pub(super) async fn keep_plan(&self, plan: &Plan) -> Result<(), Failure> {
        for (name, rows) in plan.tables() {
            let location = self.job.store.plan_location(&self.job.run, name);
            self.job.store.write_sheet_rows(&location, rows.schema(), vec![rows]).await?;
        }
        Ok(())
    }

    pub(super) async fn keep_report(&self, done: &Done) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(&done.report)
            .map_err(|e| Failure::Defect(format!("the report does not serialise: {e}")))?;
        self.job.store.write_report(&self.job.run, "json", text).await?;
        Ok(())
    }

    pub(super) fn entry(&mut self, integration: &str) -> &mut IntegrationReport {
        self.report.integrations.entry(integration.to_owned()).or_default()
    }

    /// What stands after the last diff is what the report says of held, waiting and lost.
    pub(super) fn count_plan(&mut self, found: &Diffed) {
        for (name, [left, right]) in &found.totals {
            let entry = self.entry(name);
            (entry.left.total, entry.right.total) = (*left, *right);
            (entry.held, entry.losses, entry.waiting, entry.differences) = (0, 0, 0, 0);
            entry.gone = 0;
        }
        let plan = &found.plan;
        plan.held.iter().for_each(|h| self.entry(&h.integration).held += 1);
        plan.losses.iter().for_each(|l| self.entry(&l.integration).losses += 1);
        plan.waiting.iter().for_each(|w| self.entry(&w.integration).waiting += 1);
        plan.differences.iter().for_each(|d| self.entry(&d.integration).differences += 1);
        plan.gone.iter().for_each(|g| self.entry(&g.integration).gone += 1);
        // A conflict is settled by the load of its own round; later rounds do not see it.
        plan.conflicts.iter().for_each(|c| self.entry(&c.integration).conflicts += 1);
    }

    fn count_load(&mut self, loaded: &Loaded) {
        for ((name, side), counts) in &loaded.counts {
            let entry = self.entry(name);
            let side = if *side == Side::Left { &mut entry.left } else { &mut entry.right };
            side.created += counts.created;
            side.updated += counts.updated;
            side.deleted += counts.removed;
        }
        for rejected in &loaded.rejected {
            let entry = self.entry(&rejected.integration);
            let side = if rejected.side == Side::Left { &mut entry.left } else { &mut entry.right };
            side.rejected += 1;
        }
    }

    pub(super) fn finish(&mut self, snapshot: &Snapshot, done: &mut Done) {
        done.plan.rejected.clone_from(&done.rejected);
        for integration in &self.integrations {
            let repositories = Side::BOTH.map(|side| integration.side(side).repository.to_string());
            if let Some(entry) = self.report.integrations.get_mut(&integration.name) {
                [entry.left.repository, entry.right.repository] = repositories;
            }
        }
        for entry in self.report.integrations.values_mut() {
            for side in [&mut entry.left, &mut entry.right] {
                side.unchanged = side.total.saturating_sub(side.created + side.updated);
            }
        }
        for (id, connector) in self.job.repositories {
            let RequestCounts { reads, writes, retries, throttled_seconds } = connector.requests();
            let counts = RequestReport { reads, writes, retries, throttled_seconds };
            self.report.requests.insert(id.to_string(), counts);
        }
        let open =
            |entry: &IntegrationReport| entry.held > 0 || entry.left.rejected + entry.right.rejected > 0;
        self.report.exit = u8::from(self.report.integrations.values().any(open));
        if self.is_stopped() || done.left_over > 0 {
            self.report.exit = EXIT_STOPPED;
        }
        self.report.snapshot = snapshot.id.to_string();
        self.report.seconds = seconds((self.job.clock)() - self.started);
        done.report = self.report.clone();
    }

    fn took(&mut self, stage: &str, begun: DateTime<Utc>) {
        let took = seconds((self.job.clock)() - begun);
        *self.report.stages.entry(stage.to_owned()).or_default() += took;
    }
}

/// What a system refused in this run is not asked of it again before the next.
fn drop_refused(plan: &mut Plan, rejected: &[Held]) {
    let refused = |change: &super::plan::Planned| {
        let mut ours = rejected.iter().filter(|r| r.pair == change.pair && r.side == change.side);
        ours.any(|r| r.reason != CHANGED_MEANWHILE)
    };
    plan.changes.retain(|change| !refused(change));
}

fn seconds(time: chrono::TimeDelta) -> f64 {
    time.as_seconds_f64().max(0.0)
}

/// Sides from whose absence nothing follows.
fn incomplete(integrations: &[Integration], snapshot: &Snapshot) -> HashSet<(String, Side)> {
    let mut found = HashSet::new();
    for integration in integrations {
        for side in Side::BOTH {
            let collection = integration.side(side);
            let table = snapshot.table(collection.repository.as_str(), collection.artifact.table);
            if table.is_none_or(|t| !t.complete) {
                found.insert((integration.name.clone(), side));
            }
        }
    }
    found
}

/// Opens a session over a snapshot: native tables and neutral views of every repository.
///
/// # Errors
///
/// Fails if a file of the snapshot cannot be opened or a view does not plan.
pub async fn open_session(
    store: &PipelineStore,
    repositories: &Repositories,
    snapshot: &Snapshot,
    statements: &Statements,
) -> Result<Sql, Failure> {
    let sql = Sql::open(store.name(), Limits::default())?;
    for (id, connector) in repositories {
        for spec in connector.tables() {
            let state = snapshot.table(id.as_str(), spec.name);
            let files = state.iter().flat_map(|s| &s.parts).filter(|p| p.rows > 0);
            let files = files
                .map(|part| match store.store().root_path() {
                    Some(root) => Ok(root.join(&part.path).to_string_lossy().into_owned()),
                    None => Err(Failure::Defect("queries need a staging folder on this machine".into())),
                })
                .collect::<Result<Vec<_>, _>>()?;
            let table = TableFiles { name: spec.name.into(), schema: native_schema(&spec.columns), files };
            sql::register_files(&sql, id.as_str(), &table)?;
        }
        sql::register_neutral_views(&sql, statements, connector.system(), id.as_str()).await?;
    }
    Ok(sql)
}
