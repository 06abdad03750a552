//! Makes the company: a pure function of size and seed.

use chrono::{DateTime, TimeDelta};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::text::RichText;
use super::*;

/// Results per case, on average.
pub(super) const RESULTS_PER_CASE: usize = 10;
/// Results that a run holds where its plan has enough cases.
pub(super) const RESULTS_PER_RUN: usize = 20;
/// Cases that bear a tag that queries ask for: query suites stay as small as hand-made ones.
const CASES_PER_QUERY_TAG: usize = 12;
/// The fewest suites: enough for the hard ones.
const FEWEST_SUITES: usize = 10;
/// The longest title that every system takes.
const LONGEST_TITLE: usize = 255;
/// The day on which the company is looked at, in seconds since 1970: 2026-01-31 00:00 UTC.
const NOW: i64 = 1_769_817_600;
pub(super) const DAY: i64 = 86_400;
/// Cases and plans are older than this many days, runs younger: nothing runs before it exists.
pub(super) const RUN_DAYS: i64 = 400;
const OLDEST_DAYS: i64 = 1_100;

/// Where an artifact exists and who knows of whom.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    AdoOnly,
    OtherOnly,
    Linked,
    AdoRefers,
    OtherRefers,
    Unlinked,
}

impl Origin {
    pub(super) fn in_ado(self) -> bool {
        self != Origin::OtherOnly
    }

    pub(super) fn in_other(self) -> bool {
        self != Origin::AdoOnly
    }
}

pub(super) struct Maker {
    rng: StdRng,
    pub(super) world: World,
    /// Per plan: its static suites.
    static_suites: Vec<Vec<SuiteIndex>>,
    /// The set that no plan knows.
    loose_set: SuiteIndex,
    query_suites: Vec<SuiteIndex>,
}

impl World {
    /// Makes the company of that many test cases. The same arguments give the same company, on any machine.
    ///
    /// From 20 cases on it holds every hard case (see [`World::hard_cases`]).
    pub(crate) fn generate(size: usize, seed: u64) -> World {
        let mut maker = Maker {
            rng: StdRng::seed_from_u64(seed),
            world: empty_world(size, seed),
            static_suites: Vec::new(),
            loose_set: 0,
            query_suites: Vec::new(),
        };
        maker.users();
        maker.requirements();
        maker.plans();
        maker.suites();
        maker.cases();
        maker.dynamic_members();
        maker.plan_cases();
        maker.runs();
        maker.bugs();
        maker.comments();
        maker.attachments();
        maker.world
    }
}

fn empty_world(size: usize, seed: u64) -> World {
    World {
        size,
        seed,
        now: DateTime::from_timestamp(NOW, 0).unwrap_or_default(),
        users: Vec::new(),
        areas: words::AREAS.iter().map(|path| path.to_vec()).collect(),
        iterations: words::ITERATIONS.iter().map(|path| path.to_vec()).collect(),
        configurations: words::CONFIGURATIONS.iter().map(|name| Configuration { name }).collect(),
        plans: Vec::new(),
        suites: Vec::new(),
        cases: Vec::new(),
        runs: Vec::new(),
        results: Vec::new(),
        bugs: Vec::new(),
        requirements: Vec::new(),
        comments: Vec::new(),
        attachments: Vec::new(),
        next_ado_id: 1,
        next_ado_run_id: 1,
        next_other: OtherId(1),
    }
}

impl Maker {
    pub(super) fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { self.rng.random_range(0..n as u64) as usize }
    }

    pub(super) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub(super) fn user(&mut self) -> UserIndex {
        self.below(self.world.users.len()) as UserIndex
    }

    pub(super) fn owner(&mut self) -> Option<UserIndex> {
        (!self.percent(15)).then(|| self.user())
    }

    pub(super) fn state(&mut self) -> State {
        self.pick(&[State::New, State::InProgress, State::InProgress, State::Done])
    }

    /// An instant between so many days before now.
    pub(super) fn days_ago(&mut self, most: i64, least: i64) -> Time {
        let seconds = self.below(((most - least) * DAY) as usize) as i64;
        self.world.now - TimeDelta::seconds(least * DAY + seconds + 1)
    }

    pub(super) fn stamps_from(&mut self, created: Time) -> Stamps {
        let room = (self.world.now - created).num_seconds().max(1);
        let later = if self.percent(70) { room.min(60 * DAY) } else { room };
        let updated = created + TimeDelta::seconds(self.below(later as usize) as i64);
        Stamps { created_by: self.user(), created, updated_by: self.user(), updated }
    }

    pub(super) fn stamps(&mut self) -> Stamps {
        let created = self.days_ago(OLDEST_DAYS, RUN_DAYS + 30);
        self.stamps_from(created)
    }

    pub(super) fn identity(&mut self, origin: Origin) -> Identity {
        let ado_id = origin.in_ado().then(|| take(&mut self.world.next_ado_id));
        self.identity_with(origin, ado_id)
    }

    pub(super) fn identity_with(&mut self, origin: Origin, ado_id: Option<u32>) -> Identity {
        let other = origin.in_other().then(|| OtherId(take(&mut self.world.next_other.0)));
        let ado_refers_to = matches!(origin, Origin::Linked | Origin::AdoRefers).then_some(other).flatten();
        let other_refers_to =
            matches!(origin, Origin::Linked | Origin::OtherRefers).then_some(ado_id).flatten();
        Identity { ado_id, other, ado_refers_to, other_refers_to }
    }

    pub(super) fn any_origin(&mut self) -> Origin {
        match self.below(100) {
            0..30 => Origin::AdoOnly,
            30..55 => Origin::OtherOnly,
            55..80 => Origin::Linked,
            80..85 => Origin::AdoRefers,
            85..90 => Origin::OtherRefers,
            _ => Origin::Unlinked,
        }
    }

    fn users(&mut self) {
        let count = (8 + self.world.size / 100).min(60);
        for n in 0..count {
            let first = words::FIRST_NAMES[n % words::FIRST_NAMES.len()];
            let last = words::LAST_NAMES[(n * 5 + n / words::FIRST_NAMES.len()) % words::LAST_NAMES.len()];
            let name = if n < 16 { format!("{first} {last}") } else { format!("{first} {last} {n}") };
            self.world.users.push(User {
                name,
                email: format!("user{}@calculator.example", n + 1),
                active: n == 0 || n % 9 != 8,
            });
        }
    }

    fn requirements(&mut self) {
        for n in 0..(self.world.size / 15).max(2) {
            let origin = if n == 0 { Origin::Linked } else { self.any_origin() };
            let title =
                format!("{} {} ({})", self.pick(&words::THEMES), self.pick(&words::CONDITIONS), n + 1);
            let requirement = Requirement {
                identity: self.identity(origin),
                title,
                description: words::description(n),
                state: self.state(),
                priority: 1 + self.below(4) as u8,
                area: self.below(words::AREAS.len()),
                iteration: self.below(words::ITERATIONS.len()),
                owner: self.owner(),
                stamps: self.stamps(),
            };
            self.world.requirements.push(requirement);
        }
    }

    fn plans(&mut self) {
        for n in 0..(self.world.size / 50).max(3) {
            let origin = match n % 6 {
                1 => Origin::AdoOnly,
                2 => Origin::OtherOnly,
                3 => Origin::Unlinked,
                _ => Origin::Linked,
            };
            let identity = self.identity(origin);
            let root_suite_ado_id = identity.ado_id.map(|_| take(&mut self.world.next_ado_id));
            let stamps = self.stamps();
            let weeks = 4 + self.below(80) as i64;
            let two = n == 0 || self.percent(15);
            let plan = Plan {
                identity,
                root_suite_ado_id,
                title: format!("{} test plan {}", words::THEMES[n % words::THEMES.len()], n + 1),
                description: words::description(n),
                state: if n == 0 { State::InProgress } else { self.state() },
                area: self.below(words::AREAS.len()),
                iteration: self.below(words::ITERATIONS.len()),
                owner: self.user(),
                start: stamps.created,
                end: stamps.created + TimeDelta::weeks(weeks),
                configurations: if two { vec![0, 1] } else { vec![self.below(4) as ConfigurationIndex] },
                cases: Vec::new(),
                stamps,
            };
            self.world.plans.push(plan);
            self.static_suites.push(Vec::new());
        }
    }

    fn suites(&mut self) {
        let plans = self.world.plans.len();
        let wanted = (self.world.size / 10).max(FEWEST_SUITES) - 1;
        let mut per_plan = vec![1; plans];
        per_plan[0] = 5;
        for n in 0..wanted.saturating_sub(plans + 4) {
            per_plan[(n + 1) % plans] += 1;
        }
        for (plan, count) in per_plan.into_iter().enumerate() {
            for n in 0..count {
                self.suite(plan, n);
            }
        }
        let identity = self.identity(Origin::OtherOnly);
        self.loose_set = self.push_suite(identity, SuiteKind::Static, None, None, "Odds and ends".to_owned());
    }

    fn suite(&mut self, plan: usize, n: usize) {
        let of_plan = self.world.plans[plan].identity;
        let in_ado = of_plan.in_ado();
        let kind = match n {
            3 if in_ado => SuiteKind::Query { tag: words::QUERY_TAGS[plan % words::QUERY_TAGS.len()] },
            4 if in_ado => SuiteKind::Requirement(self.ado_requirement(plan)),
            _ => SuiteKind::Static,
        };
        let origin = match (of_plan.in_ado(), of_plan.in_other()) {
            _ if kind != SuiteKind::Static => Origin::AdoOnly,
            (true, false) => Origin::AdoOnly,
            (false, _) => Origin::OtherOnly,
            _ if n < 3 => Origin::Linked,
            _ => self.pick(&[Origin::Linked, Origin::Unlinked, Origin::AdoOnly, Origin::OtherOnly]),
        };
        let above = self.static_suites[plan].clone();
        let fits = |s: &SuiteIndex| {
            let parent = self.world.suites[*s as usize].identity;
            (parent.in_ado() || !origin.in_ado()) && (parent.in_other() || !origin.in_other())
        };
        let above: Vec<_> = above.into_iter().filter(fits).collect();
        let nested = kind == SuiteKind::Static && n > 0 && (n == 1 || self.percent(50));
        let parent = (nested && !above.is_empty()).then(|| self.pick(&above));
        let theme = words::THEMES[n % words::THEMES.len()];
        let title = match kind {
            SuiteKind::Static => format!("{theme} {}", n + 1),
            SuiteKind::Query { tag } => format!("All of {tag} {}", n + 1),
            SuiteKind::Requirement(r) => self.world.requirements[r as usize].title.clone(),
        };
        let identity = self.identity(origin);
        let suite = self.push_suite(identity, kind, Some(plan as PlanIndex), parent, title);
        match kind {
            SuiteKind::Static => self.static_suites[plan].push(suite),
            _ => self.query_suites.push(suite),
        }
    }

    fn push_suite(
        &mut self,
        identity: Identity,
        kind: SuiteKind,
        plan: Option<PlanIndex>,
        parent: Option<SuiteIndex>,
        title: String,
    ) -> SuiteIndex {
        let index = self.world.suites.len();
        let suite = Suite {
            identity,
            kind,
            plan,
            parent,
            title,
            description: if self.percent(40) { words::description(index) } else { RichText::default() },
            state: self.state(),
            cases: Vec::new(),
            stamps: self.stamps(),
        };
        self.world.suites.push(suite);
        index as SuiteIndex
    }

    fn ado_requirement(&mut self, n: usize) -> RequirementIndex {
        let count = self.world.requirements.len();
        let from = if n == 0 { 0 } else { self.below(count) };
        let in_ado = |r: &usize| self.world.requirements[*r].identity.in_ado();
        (from..count).chain(0..from).find(in_ado).unwrap_or(0) as RequirementIndex
    }

    fn cases(&mut self) {
        self.world.cases.reserve(self.world.size);
        let plans = self.world.plans.len();
        for n in 0..self.world.size {
            self.case(n, n % plans, n / plans);
        }
        for suite in &mut self.world.suites {
            suite.cases.shrink_to_fit();
        }
    }

    /// Makes case `n`, the `nth` of `plan`. The first seven of plan 0 and the second of plan 1 are the hard ones.
    fn case(&mut self, n: usize, plan: usize, nth: usize) {
        let (hard, origin) = self.case_origin(plan, nth);
        let mut identity = self.identity(origin);
        let clone_of = (hard && ((plan, nth) == (0, 3) || (plan, nth) == (1, 1))).then_some(0);
        let mut title = self.case_title(n);
        if clone_of.is_some() {
            let original = &self.world.cases[0];
            title = format!("{} - Copy", original.title);
            identity.other_refers_to = identity.other.and(original.identity.other_refers_to);
            identity.ado_refers_to = identity.ado_id.and(original.identity.ado_refers_to);
        }
        let longest = hard && (plan, nth) == (0, 2);
        if longest {
            title =
                (title + " and every further operation of the manual").chars().cycle().take(255).collect();
        } else if hard && (plan, nth) == (0, 1) {
            title = self.world.cases[0].title.clone();
        } else if nth > 7 && self.percent(1) {
            title = longest_title(&(title + " …"));
        }
        let automated = !hard && self.percent(5);
        let stamps = self.stamps();
        let case = Case {
            identity,
            title,
            description: words::description(n),
            steps: if automated { Vec::new() } else { self.steps(n) },
            automation: automated.then(|| format!("calculator.tests.Case{}", n + 1)),
            state: if longest { State::Done } else { self.state() },
            priority: 1 + self.below(4) as u8,
            tags: self.tags(n),
            area: self.below(words::AREAS.len()),
            iteration: self.below(words::ITERATIONS.len()),
            owner: self.owner(),
            requirements: self.tested(n),
            home: None,
            clone_of,
            stamps,
        };
        self.world.cases.push(case);
        self.file_case(n, plan, hard);
    }

    fn case_origin(&mut self, plan: usize, nth: usize) -> (bool, Origin) {
        let identity = self.world.plans[plan].identity;
        match (plan, nth) {
            (0, 0..3) => (true, Origin::Linked),
            (0, 3) => (true, Origin::OtherOnly),
            (0, 4) => (true, Origin::AdoRefers),
            (0, 5) => (true, Origin::OtherRefers),
            (0, 6) => (true, Origin::Unlinked),
            (1, 1) => (true, Origin::AdoOnly),
            _ if !identity.in_other() => (false, Origin::AdoOnly),
            _ if !identity.in_ado() => (false, Origin::OtherOnly),
            _ => (false, self.any_origin()),
        }
    }

    fn case_title(&mut self, n: usize) -> String {
        let operation = self.pick(&words::OPERATIONS);
        let operand = self.pick(&words::OPERANDS);
        let condition = self.pick(&words::CONDITIONS);
        // One title in fifty lacks its number, so that equal titles happen by chance too.
        if n % 50 == 49 {
            format!("{operation} {operand} {condition}")
        } else {
            format!("{operation} {operand} {condition} #{}", n + 1)
        }
    }

    fn steps(&mut self, n: usize) -> Vec<Step> {
        let count = 1 + (n + self.below(4)) % 6;
        let formatted = if n % 7 == 3 { self.below(count) } else { usize::MAX };
        let steps = (0..count).map(|s| {
            let (action, data, expected) = words::step(s, s == formatted);
            Step { action, data, expected }
        });
        steps.collect()
    }

    fn tags(&mut self, n: usize) -> Vec<&'static str> {
        let mut tags = Vec::new();
        if n < CASES_PER_QUERY_TAG * words::QUERY_TAGS.len() {
            tags.push(words::QUERY_TAGS[n % words::QUERY_TAGS.len()]);
        }
        if self.percent(30) {
            tags.push(self.pick(&words::TAGS));
        }
        tags
    }

    fn tested(&mut self, n: usize) -> Vec<RequirementIndex> {
        let count = self.world.requirements.len();
        let mut tested = Vec::new();
        if n == 0 {
            tested.push(0);
        } else if self.percent(60) {
            tested.push(self.below(count) as RequirementIndex);
        }
        if self.percent(10) {
            let second = self.below(count) as RequirementIndex;
            if !tested.contains(&second) {
                tested.push(second);
            }
        }
        tested
    }

    fn file_case(&mut self, n: usize, plan: usize, hard: bool) {
        if !hard && self.percent(3) {
            return;
        }
        let identity = self.world.cases[n].identity;
        let case = n as CaseIndex;
        let holds_all = |s: &&SuiteIndex| {
            let suite = self.world.suites[**s as usize].identity;
            (suite.in_ado() || !identity.in_ado()) && (suite.in_other() || !identity.in_other())
        };
        let fitting: Vec<_> = self.static_suites[plan].iter().filter(holds_all).copied().collect();
        if fitting.is_empty() {
            return;
        }
        let home = if hard { fitting[0] } else { self.pick(&fitting) };
        self.join(home, case);
        if n == 0 {
            let more = [fitting.get(1), self.static_suites[1].first(), self.static_suites[2].first()]
                .map(|s| s.copied());
            more.into_iter().flatten().for_each(|suite| self.join(suite, case));
        } else if self.percent(10) {
            let also = self.below(self.static_suites.len());
            let also = if self.percent(50) { plan } else { also };
            let suite = self.pick(&self.static_suites[also].clone());
            let there = self.world.suites[suite as usize].identity;
            if (there.in_ado() && identity.in_ado()) || (there.in_other() && identity.in_other()) {
                self.join(suite, case);
            }
        }
        if identity.in_other() && (n == 0 || self.world.suites[self.loose_set as usize].cases.len() < 5) {
            self.join(self.loose_set, case);
        }
    }

    fn join(&mut self, suite: SuiteIndex, case: CaseIndex) {
        let members = &mut self.world.suites[suite as usize].cases;
        if !members.contains(&case) {
            members.push(case);
            let home = &mut self.world.cases[case as usize].home;
            *home = home.or(Some(suite));
        }
    }

    /// Fills query and requirement suites with what their queries find.
    fn dynamic_members(&mut self) {
        let mut tagged: Vec<Vec<CaseIndex>> = vec![Vec::new(); words::QUERY_TAGS.len()];
        let mut testing: Vec<Vec<CaseIndex>> = vec![Vec::new(); self.world.requirements.len()];
        for (n, case) in self.world.cases.iter().enumerate().filter(|(_, c)| c.identity.in_ado()) {
            for (t, tag) in words::QUERY_TAGS.iter().enumerate() {
                if case.tags.contains(tag) {
                    tagged[t].push(n as CaseIndex);
                }
            }
            case.requirements.iter().for_each(|r| testing[*r as usize].push(n as CaseIndex));
        }
        for suite in &self.query_suites {
            let suite = &mut self.world.suites[*suite as usize];
            suite.cases = match suite.kind {
                SuiteKind::Query { tag } => {
                    let t = words::QUERY_TAGS.iter().position(|known| *known == tag);
                    t.map(|t| tagged[t].clone()).unwrap_or_default()
                }
                SuiteKind::Requirement(r) => testing[r as usize].clone(),
                SuiteKind::Static => continue,
            };
        }
    }

    fn plan_cases(&mut self) {
        let mut seen = std::collections::HashSet::new();
        for suite in &self.world.suites {
            let Some(plan) = suite.plan else { continue };
            for case in &suite.cases {
                if seen.insert((plan, *case)) {
                    self.world.plans[plan as usize].cases.push(*case);
                }
            }
        }
    }
}

/// The text, repeated to 255 characters; not ending in a blank, which no system would keep.
fn longest_title(text: &str) -> String {
    let mut title: String = text.chars().cycle().take(LONGEST_TITLE - 1).collect();
    title.push('.');
    title
}

pub(super) fn take(next: &mut u32) -> u32 {
    let taken = *next;
    *next += 1;
    taken
}
