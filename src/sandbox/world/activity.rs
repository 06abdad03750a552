//! What happens in the company: runs with results, bugs, comments, files.

use std::collections::HashMap;

use chrono::TimeDelta;

use super::generate::{DAY, Maker, Origin, RESULTS_PER_CASE, RESULTS_PER_RUN, RUN_DAYS};
use super::text::RichText;
use super::*;

/// The largest attached file, so that a large company stays small on disk.
const LARGEST_FILE: usize = 4_096;

/// What a plan offers to runs.
struct Offer {
    ado: Vec<CaseIndex>,
    other: Vec<CaseIndex>,
    both: Vec<CaseIndex>,
    /// The suite under which ADO files a case's results.
    homes: HashMap<CaseIndex, SuiteIndex>,
}

impl Maker {
    pub(super) fn runs(&mut self) {
        let offers = self.offers();
        let wanted = self.world.size * RESULTS_PER_CASE;
        self.world.results.reserve(wanted + RESULTS_PER_RUN);
        let plans = self.world.plans.len();
        let mut turn = 0;
        let mut idle = 0;
        while self.world.results.len() < wanted && idle < 4 * plans {
            let before = self.world.results.len();
            self.run(turn, &offers);
            idle = if self.world.results.len() == before { idle + 1 } else { 0 };
            turn += 1;
        }
    }

    fn offers(&self) -> Vec<Offer> {
        let mut homes: Vec<HashMap<CaseIndex, SuiteIndex>> = vec![HashMap::new(); self.world.plans.len()];
        for (n, suite) in self.world.suites.iter().enumerate().filter(|(_, s)| s.identity.in_ado()) {
            let Some(plan) = suite.plan else { continue };
            for case in &suite.cases {
                homes[plan as usize].entry(*case).or_insert(n as SuiteIndex);
            }
        }
        let offer = |(plan, homes): (&Plan, HashMap<CaseIndex, SuiteIndex>)| {
            let cases = &self.world.cases;
            let in_ado = |c: &CaseIndex| cases[*c as usize].identity.in_ado() && homes.contains_key(c);
            let in_other = |c: &CaseIndex| cases[*c as usize].identity.in_other();
            Offer {
                ado: plan.cases.iter().copied().filter(in_ado).collect(),
                other: plan.cases.iter().copied().filter(in_other).collect(),
                both: plan.cases.iter().copied().filter(|c| in_ado(c) && in_other(c)).collect(),
                homes,
            }
        };
        self.world.plans.iter().zip(homes).map(offer).collect()
    }

    /// Makes the run of one turn; none if its plan has no case for it. The first four turns are the hard ones.
    fn run(&mut self, turn: usize, offers: &[Offer]) {
        let (plan, origin, second) = self.run_plan(turn, offers.len());
        let pool = match origin {
            Origin::AdoOnly => &offers[plan].ado,
            Origin::OtherOnly => &offers[plan].other,
            _ => &offers[plan].both,
        };
        let configurations =
            if turn == 1 { vec![0, 1] } else { self.world.plans[plan].configurations.clone() };
        let mixed = origin == Origin::AdoOnly && configurations.len() > 1 && (turn == 1 || self.percent(30));
        let count = if mixed { RESULTS_PER_RUN / configurations.len() } else { RESULTS_PER_RUN };
        let mut chosen = window(pool, turn / offers.len() * 7, count);
        if let Some(second) = second {
            let others = window(&offers[second].other, 0, count / 2);
            chosen.truncate(count / 2);
            chosen.extend(others.into_iter().filter(|c| !pool.contains(c)));
        }
        if chosen.is_empty() {
            return;
        }
        let started = self.days_ago(RUN_DAYS, 2);
        let single = self.pick(&configurations);
        let first = self.world.results.len() as ResultIndex;
        let unfinished = turn > 4 && self.percent(12);
        let run = RunIndex::try_from(self.world.runs.len()).unwrap_or(RunIndex::MAX);
        let mut at = started;
        for case in chosen {
            for configuration in if mixed { configurations.clone() } else { vec![single] } {
                let suite = if origin.in_ado() { offers[plan].homes.get(&case).copied() } else { None };
                let result = self.result(case, suite, configuration, at, unfinished);
                at += TimeDelta::seconds(i64::from(result.seconds) + 30);
                self.world.results.push(result);
            }
        }
        self.force_hard_outcomes(turn, first);
        let ado_id = origin.in_ado().then(|| super::generate::take(&mut self.world.next_ado_run_id));
        let title = format!("{} run {}", self.world.plans[plan].title, run + 1);
        let done = Run {
            identity: self.identity_with(origin, ado_id),
            title,
            plans: [Some(plan), second].into_iter().flatten().map(|p| p as PlanIndex).collect(),
            configuration: (!mixed).then_some(single),
            owner: self.user(),
            started,
            ended: at,
            state: if unfinished { State::InProgress } else { State::Done },
            results: first..self.world.results.len() as ResultIndex,
        };
        self.world.runs.push(done);
    }

    fn run_plan(&mut self, turn: usize, plans: usize) -> (usize, Origin, Option<usize>) {
        match turn {
            0 => return (0, Origin::Linked, None),
            1 => return (0, Origin::AdoOnly, None),
            2 => return (0, Origin::OtherOnly, Some(2)),
            3 => return (2, Origin::OtherOnly, None),
            _ => {}
        }
        let plan = turn % plans;
        let identity = self.world.plans[plan].identity;
        let origin = match (identity.in_ado(), identity.in_other()) {
            (true, false) => Origin::AdoOnly,
            (false, _) => Origin::OtherOnly,
            _ => self.pick(&[
                Origin::AdoOnly,
                Origin::AdoOnly,
                Origin::OtherOnly,
                Origin::OtherOnly,
                Origin::Linked,
            ]),
        };
        (plan, origin, None)
    }

    fn result(
        &mut self,
        case: CaseIndex,
        suite: Option<SuiteIndex>,
        configuration: ConfigurationIndex,
        started: Time,
        unfinished: bool,
    ) -> TestResult {
        let outcome = match self.below(100) {
            _ if unfinished && self.percent(40) => Outcome::Open,
            0..76 => Outcome::Passed,
            76..90 => Outcome::Failed,
            90..96 => Outcome::Blocked,
            _ => Outcome::NotApplicable,
        };
        let seconds = 5 + self.below(600) as u32;
        let tester = self.user();
        let remark = matches!(outcome, Outcome::Failed | Outcome::Blocked) || self.percent(5);
        let comment = (remark && outcome != Outcome::Open).then(|| self.pick(&words::RESULT_COMMENTS));
        let failed_step = self.failing_step(case, outcome);
        TestResult {
            case,
            suite,
            configuration,
            outcome,
            failed_step,
            tester,
            started,
            seconds,
            comment,
            bug: None,
        }
    }

    fn failing_step(&mut self, case: CaseIndex, outcome: Outcome) -> Option<u8> {
        let steps = self.world.cases[case as usize].steps.len();
        let fails = steps > 0 && matches!(outcome, Outcome::Failed | Outcome::Blocked);
        fails.then(|| self.below(steps) as u8)
    }

    /// The first run fails once, so that a bug can be filed from it; the fourth run was paused once.
    fn force_hard_outcomes(&mut self, turn: usize, first: ResultIndex) {
        let outcome = match turn {
            0 => Outcome::Failed,
            3 => Outcome::Paused,
            _ => return,
        };
        let case = self.world.results[first as usize].case;
        let failed_step = self.failing_step(case, outcome);
        let result = &mut self.world.results[first as usize];
        result.outcome = outcome;
        result.failed_step = failed_step;
    }

    pub(super) fn bugs(&mut self) {
        let wanted = (self.world.size / 20).max(2);
        let runs = self.world.runs.len();
        for n in 0..wanted {
            let run = if runs == 0 { None } else { Some(n * runs / wanted) };
            let failed = run.and_then(|run| {
                let run = &self.world.runs[run];
                let mut range = run.results.clone();
                let filed = range.find(|r| {
                    let result = &self.world.results[*r as usize];
                    result.outcome == Outcome::Failed && result.bug.is_none()
                })?;
                Some((run.identity, filed))
            });
            let origin = match failed {
                Some((run, _)) if run.in_ado() && run.in_other() => Origin::Linked,
                Some((run, _)) if run.in_ado() => self.pick(&[Origin::AdoOnly, Origin::Linked]),
                Some(_) => self.pick(&[Origin::OtherOnly, Origin::Linked]),
                None => self.any_origin(),
            };
            self.bug(n, origin, failed.map(|(_, result)| result));
        }
    }

    fn bug(&mut self, n: usize, origin: Origin, found: Option<ResultIndex>) {
        let index = self.world.bugs.len() as BugIndex;
        let (mut cases, mut created) = (Vec::new(), None);
        if let Some(found) = found {
            let result = &mut self.world.results[found as usize];
            result.bug = Some(index);
            cases.push(result.case);
            created = Some(result.started + TimeDelta::seconds(i64::from(result.seconds)));
        }
        let stamps = match created {
            Some(created) => self.stamps_from(created),
            None => self.stamps(),
        };
        let title = format!("{} in {} ({})", self.pick(&words::BUG_TITLES), self.pick(&words::THEMES), n + 1);
        let bug = Bug {
            identity: self.identity(origin),
            title,
            description: words::description(n + 1),
            state: if n == 0 { State::Done } else { self.state() },
            priority: 1 + self.below(4) as u8,
            area: self.below(words::AREAS.len()),
            owner: self.owner(),
            cases,
            stamps,
        };
        self.world.bugs.push(bug);
    }

    pub(super) fn comments(&mut self) {
        for n in 0..self.world.size / 3 {
            let (on, since) = self.subject(n);
            let room = (self.world.now - since).num_seconds().clamp(1, 300 * DAY);
            let at = since + TimeDelta::seconds(self.below(room as usize) as i64);
            let text = if n % 4 == 3 {
                words::description(n % (words::SHAPES - 1))
            } else {
                RichText::plain(self.pick(&words::REMARKS))
            };
            let author = self.user();
            self.world.comments.push(Comment { on, author, at, text });
        }
        self.world.comments.sort_by_key(|comment| comment.at);
    }

    fn subject(&mut self, n: usize) -> (Subject, Time) {
        let world = &self.world;
        match n % 5 {
            3 if !world.bugs.is_empty() => {
                let bug = self.below(self.world.bugs.len());
                (Subject::Bug(bug as BugIndex), self.world.bugs[bug].stamps.created)
            }
            4 => {
                let requirement = self.below(self.world.requirements.len());
                let created = self.world.requirements[requirement].stamps.created;
                (Subject::Requirement(requirement as RequirementIndex), created)
            }
            _ => {
                let case = self.below(self.world.cases.len());
                (Subject::Case(case as CaseIndex), self.world.cases[case].stamps.created)
            }
        }
    }

    pub(super) fn attachments(&mut self) {
        let count = if self.world.cases.is_empty() { 0 } else { (self.world.size / 10).max(6) };
        for n in 0..count {
            let (on, at) = match n % 3 {
                1 if !self.world.runs.is_empty() => {
                    let run = if n == 1 { 0 } else { self.below(self.world.runs.len()) };
                    let of_run = &self.world.runs[run];
                    (Subject::Result(run as RunIndex, of_run.results.start), of_run.ended)
                }
                _ if n == 0 => (Subject::Case(0), self.world.cases[0].stamps.created),
                _ => self.subject(n),
            };
            let (name, media_type) = match n % 4 {
                0 => (format!("screen {}.png", n + 1), "image/png"),
                1 => (format!("log-{}.txt", n + 1), "text/plain"),
                2 => ("Prüfprotokoll größer als 10.txt".to_owned(), "text/plain"),
                _ => (format!("dump{}.bin", n + 1), "application/octet-stream"),
            };
            let size = if n == 3 { 0 } else { 64 + self.below(LARGEST_FILE - 64) as u32 };
            let author = self.user();
            let seed = self.world.seed.wrapping_mul(31).wrapping_add(n as u64);
            self.world.attachments.push(Attachment { on, name, media_type, author, at, size, seed });
        }
    }
}

/// So many cases from the pool, starting anywhere and wrapping; each at most once.
fn window(pool: &[CaseIndex], start: usize, count: usize) -> Vec<CaseIndex> {
    let count = count.min(pool.len());
    pool.iter().copied().cycle().skip(start % pool.len().max(1)).take(count).collect()
}
