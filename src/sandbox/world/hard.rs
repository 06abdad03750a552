//! Counts the cases that break careless synchronisation.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::text::KINDS;
use super::*;

impl World {
    /// How often each hard case occurs, by name. From 20 cases on every count is at least 1.
    pub(crate) fn hard_cases(&self) -> Vec<(&'static str, u64)> {
        let identities = || self.cases.iter().map(|c| &c.identity);
        let both = |i: &&Identity| i.in_ado() && i.in_other();
        let one = |found: bool| u64::from(found);
        let mut counts = vec![
            ("a case in two suites and two plans", self.shared_cases()),
            (
                "a clone with a copied cross-reference",
                self.cases.iter().map(|c| one(c.clone_of.is_some())).sum(),
            ),
            (
                "a closed issue",
                self.cases.iter().map(|c| one(c.state == State::Done && c.identity.in_other())).sum(),
            ),
            ("a query suite", self.suites_of(|s| matches!(s.kind, SuiteKind::Query { .. }))),
            ("a requirement suite", self.suites_of(|s| matches!(s.kind, SuiteKind::Requirement(_)))),
            ("a set without plan", self.suites_of(|s| s.plan.is_none())),
            (
                "a title of 255 characters",
                self.cases.iter().map(|c| one(c.title.chars().count() == 255)).sum(),
            ),
            ("an execution in two plans", self.runs.iter().map(|r| one(r.plans.len() > 1)).sum()),
            ("an unmapped outcome", self.results.iter().map(|r| one(r.outcome == Outcome::Paused)).sum()),
            (
                "cross-reference in Azure DevOps only",
                identities()
                    .filter(both)
                    .map(|i| one(i.ado_refers_to.is_some() && i.other_refers_to.is_none()))
                    .sum(),
            ),
            (
                "cross-reference on the other side only",
                identities()
                    .filter(both)
                    .map(|i| one(i.ado_refers_to.is_none() && i.other_refers_to.is_some()))
                    .sum(),
            ),
            (
                "on both sides without cross-reference",
                identities()
                    .filter(both)
                    .map(|i| one(i.ado_refers_to.is_none() && i.other_refers_to.is_none()))
                    .sum(),
            ),
            ("the same title twice in one folder", self.duplicate_titles()),
            ("two configurations in one run", self.runs.iter().map(|r| one(r.configuration.is_none())).sum()),
        ];
        counts.extend(self.rich_text());
        counts
    }

    /// How many artifacts of each kind there are.
    pub(crate) fn totals(&self) -> Vec<(&'static str, u64)> {
        let memberships: usize = self.suites.iter().map(|s| s.cases.len()).sum();
        vec![
            ("attachments", self.attachments.len() as u64),
            ("bugs", self.bugs.len() as u64),
            ("cases", self.cases.len() as u64),
            ("comments", self.comments.len() as u64),
            ("configurations", self.configurations.len() as u64),
            ("memberships", memberships as u64),
            ("plans", self.plans.len() as u64),
            ("requirements", self.requirements.len() as u64),
            ("results", self.results.len() as u64),
            ("runs", self.runs.len() as u64),
            ("steps", self.cases.iter().map(|c| c.steps.len() as u64).sum()),
            ("suites", self.suites.len() as u64),
            ("users", self.users.len() as u64),
        ]
    }

    fn suites_of(&self, wanted: impl Fn(&Suite) -> bool) -> u64 {
        self.suites.iter().filter(|s| wanted(s)).count() as u64
    }

    /// Cases that lie in at least two suites of one plan or more and in at least two plans.
    fn shared_cases(&self) -> u64 {
        let mut places: HashMap<CaseIndex, (HashSet<PlanIndex>, u32)> = HashMap::new();
        for suite in self.suites.iter().filter(|s| s.kind == SuiteKind::Static) {
            let Some(plan) = suite.plan else { continue };
            for case in &suite.cases {
                let place = places.entry(*case).or_default();
                place.0.insert(plan);
                place.1 += 1;
            }
        }
        places.values().filter(|(plans, suites)| plans.len() > 1 && *suites > 1).count() as u64
    }

    fn duplicate_titles(&self) -> u64 {
        let mut duplicates = 0;
        for suite in self.suites.iter().filter(|s| s.kind == SuiteKind::Static) {
            let mut seen = HashSet::new();
            let titles = suite.cases.iter().map(|c| self.cases[*c as usize].title.as_str());
            duplicates += titles.filter(|title| !seen.insert(*title)).count() as u64;
        }
        duplicates
    }

    fn rich_text(&self) -> BTreeMap<&'static str, u64> {
        let mut counts: BTreeMap<_, _> = KINDS.iter().map(|kind| (*kind, 0)).collect();
        for case in &self.cases {
            case.description.count(&mut counts);
            for step in &case.steps {
                step.action.count(&mut counts);
                step.data.count(&mut counts);
                step.expected.count(&mut counts);
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_arguments_give_the_same_company() {
        assert_eq!(World::generate(120, 7), World::generate(120, 7));
        assert_ne!(World::generate(120, 7), World::generate(120, 8));
    }

    #[test]
    fn every_hard_case_is_there_from_twenty_cases_on() {
        for size in [20, 21, 50, 137, 200, 1_000] {
            for seed in [0, 1, 42, u64::MAX] {
                for (name, count) in World::generate(size, seed).hard_cases() {
                    assert!(count > 0, "{name} is missing at size {size}, seed {seed}");
                }
            }
        }
    }

    #[test]
    fn tiny_companies_can_be_made_too() {
        for size in 0..20 {
            assert_eq!(World::generate(size, 3).cases.len(), size);
        }
    }

    #[test]
    fn everything_grows_with_the_number_of_cases() {
        let world = World::generate(600, 5);
        assert_eq!(world.cases.len(), 600);
        assert_eq!(world.plans.len(), 12);
        assert_eq!(world.suites.len(), 60);
        assert_eq!(world.bugs.len(), 30);
        assert_eq!(world.requirements.len(), 40);
        assert!((6_000..6_100).contains(&world.results.len()), "{} results", world.results.len());
        let per_run = world.results.len() / world.runs.len();
        assert!((10..=20).contains(&per_run), "{per_run} results per run");
    }

    #[test]
    fn a_result_and_its_bug_exist_wherever_their_run_does() {
        let world = World::generate(200, 9);
        for (n, run) in world.runs.iter().enumerate() {
            for plan in &run.plans {
                assert_within(&run.identity, &world.plans[*plan as usize].identity);
            }
            let mut slots = HashSet::new();
            for (_, result) in world.results_of(n as RunIndex) {
                assert!(slots.insert((result.case, result.configuration)), "two results in one slot");
                assert_within(&run.identity, &world.cases[result.case as usize].identity);
                assert_eq!(result.suite.is_some(), run.identity.in_ado());
                if let Some(suite) = result.suite {
                    let suite = &world.suites[suite as usize];
                    assert!(suite.plan == Some(run.plans[0]) && suite.identity.in_ado());
                    assert!(suite.cases.contains(&result.case));
                }
                if let Some(bug) = result.bug {
                    assert_within(&run.identity, &world.bugs[bug as usize].identity);
                }
                assert!(result.started < world.now && run.ended <= world.now + chrono::TimeDelta::days(1));
            }
        }
    }

    fn assert_within(inner: &Identity, outer: &Identity) {
        assert!(!inner.in_ado() || outer.in_ado());
        assert!(!inner.in_other() || outer.in_other());
    }

    #[test]
    fn ids_are_given_once_and_siblings_have_different_titles() {
        let world = World::generate(400, 11);
        let artifacts = || {
            let plans = world.plans.iter().map(|p| p.identity);
            let suites = world.suites.iter().map(|s| s.identity);
            let cases = world.cases.iter().map(|c| c.identity);
            let rest = world.bugs.iter().map(|b| b.identity);
            plans.chain(suites).chain(cases).chain(rest).chain(world.requirements.iter().map(|r| r.identity))
        };
        let roots = world.plans.iter().filter_map(|p| p.root_suite_ado_id);
        let ado: Vec<_> = artifacts().filter_map(|i| i.ado_id).chain(roots).collect();
        assert_eq!(ado.iter().collect::<HashSet<_>>().len(), ado.len());
        assert!(ado.iter().all(|id| *id < world.next_ado_id));
        let runs = world.runs.iter().map(|r| r.identity);
        let other: Vec<_> = artifacts().chain(runs).filter_map(|i| i.other).collect();
        assert_eq!(other.iter().collect::<HashSet<_>>().len(), other.len());
        let names = world.suites.iter().map(|s| (s.plan, s.parent, s.title.as_str()));
        assert_eq!(names.collect::<HashSet<_>>().len(), world.suites.len());
        for suite in &world.suites {
            if let Some(parent) = suite.parent {
                assert_within(&suite.identity, &world.suites[parent as usize].identity);
                assert_eq!(world.suites[parent as usize].plan, suite.plan);
            }
        }
    }

    #[test]
    fn every_text_fits_the_systems() {
        let world = World::generate(500, 2);
        assert!(world.cases.iter().all(|c| (1..=255).contains(&c.title.chars().count())));
        assert!(world.cases.iter().all(|c| c.title.trim() == c.title), "titles keep their ends when stored");
        let first = &world.attachments[0];
        assert_eq!(first.content(), first.content());
        assert_eq!(first.content().len(), first.size as usize);
    }
}
