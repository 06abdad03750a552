//! The structure of test plans: suites, members, points, and how they follow the work items.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::fields::F;
use super::items::{Change, Relation, Target};
use super::links::Stamp;
use super::state::State;
use super::types::TEST_TYPES;
use super::value::{Millis, UNSET, Value};
use super::wiql::Context;

/// The relation on a requirement that a case tests it.
pub(super) const TESTED_BY: &str = "Microsoft.VSTS.Common.TestedBy-Forward";

/// What a suite's members follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SuiteKind {
    Query,
    Static,
    Requirement,
}

impl SuiteKind {
    /// The name in the testplan area; the test area writes it with a capital.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Query => "dynamicTestSuite",
            Self::Static => "staticTestSuite",
            Self::Requirement => "requirementTestSuite",
        }
    }

    /// The kind by name or number.
    pub(super) fn parse(value: &Json) -> Option<Self> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_lowercase);
        match text.as_str() {
            "dynamictestsuite" | "1" => Some(Self::Query),
            "statictestsuite" | "2" => Some(Self::Static),
            "requirementtestsuite" | "3" => Some(Self::Requirement),
            _ => None,
        }
    }

    /// The text and number that the suite's work item holds; the numbers differ from the enum's.
    fn on_item(self) -> (&'static str, i64) {
        match self {
            Self::Static => ("Static", 1),
            Self::Query => ("Query Based", 2),
            Self::Requirement => ("Requirement Based", 3),
        }
    }
}

/// A plan, as far as its work item does not hold it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) root: u32,
    pub(super) owner: Option<u32>,
    /// Build, release and outcome settings as they were sent.
    pub(super) settings: Map<String, Json>,
}

/// A suite, as far as its work item does not hold it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Suite {
    pub(super) plan: u32,
    pub(super) parent: Option<u32>,
    pub(super) kind: SuiteKind,
    pub(super) children: Vec<u32>,
    /// The cases in order.
    pub(super) order: Vec<u32>,
    /// The points of each case.
    pub(super) points: BTreeMap<u32, Vec<u32>>,
    /// Cases whose configurations were chosen rather than inherited.
    pub(super) chosen: BTreeSet<u32>,
    pub(super) requirement: Option<u32>,
    pub(super) query: Option<String>,
    pub(super) inherit: bool,
    pub(super) configurations: Vec<u32>,
    pub(super) testers: Vec<u32>,
    pub(super) populated: Millis,
}

/// A point: one case in one suite under one configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Point {
    #[serde(rename = "s")]
    pub(super) suite: u32,
    #[serde(rename = "c")]
    pub(super) case: u32,
    #[serde(rename = "k")]
    pub(super) configuration: u32,
    #[serde(rename = "t")]
    pub(super) tester: Option<u32>,
    #[serde(rename = "o")]
    pub(super) outcome: u8,
    #[serde(rename = "r")]
    pub(super) run: u32,
    #[serde(rename = "i")]
    pub(super) result: u32,
    #[serde(rename = "u")]
    pub(super) updated: Millis,
    #[serde(rename = "b")]
    pub(super) by: u32,
    #[serde(rename = "a")]
    pub(super) reset: Millis,
    #[serde(rename = "v")]
    pub(super) revision: u32,
}

/// A test configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Configuration {
    pub(super) project: u16,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) is_default: bool,
    pub(super) active: bool,
    pub(super) values: Vec<(String, String)>,
}

/// A variable that configurations choose values of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Variable {
    pub(super) project: u16,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) values: Vec<String>,
}

/// A new suite before it has an id.
#[derive(Clone, Debug)]
pub(super) struct NewSuite {
    pub(super) plan: u32,
    pub(super) parent: Option<u32>,
    pub(super) kind: SuiteKind,
    pub(super) name: String,
    pub(super) requirement: Option<u32>,
    pub(super) query: Option<String>,
    pub(super) inherit: bool,
    pub(super) configurations: Vec<u32>,
    pub(super) testers: Vec<u32>,
}

impl State {
    /// The project of a plan or suite.
    pub(super) fn project_of(&self, id: u32) -> u16 {
        self.items.get(&id).map_or(0, |i| i.project)
    }

    /// The title of a suite's requirement in the form that names the suite.
    pub(super) fn requirement_name(&self, requirement: u32) -> String {
        format!("{requirement} : {}", self.title(requirement))
    }

    /// Creates a suite with its work item, and its members if they follow from something.
    pub(super) fn add_suite(&mut self, new: NewSuite, stamp: Stamp) -> u32 {
        let id = self.take_item_id();
        self.add_suite_at(id, new, stamp);
        self.repopulate(id, stamp);
        id
    }

    /// The same with a given id and without filling it.
    pub(super) fn add_suite_at(&mut self, id: u32, new: NewSuite, stamp: Stamp) {
        let plan = &self.items[&new.plan];
        let project = plan.project;
        let path = |f: F| plan.get(f).cloned();
        let (kind, number) = new.kind.on_item();
        let mut fields = vec![
            (F::Title as u16, Some(Value::text(new.name))),
            (F::State as u16, Some(Value::text("In Progress"))),
            (F::Reason as u16, Some(Value::text("New test suite"))),
            (F::AreaPath as u16, path(F::AreaPath)),
            (F::IterationPath as u16, path(F::IterationPath)),
            (F::StateChangeDate as u16, Some(Value::Date(stamp.at))),
            (F::TestSuiteType as u16, Some(Value::text(kind))),
            (F::TestSuiteTypeId as u16, Some(Value::Int(number))),
        ];
        if let Some(query) = &new.query {
            fields.push((F::QueryText as u16, Some(Value::text(query.as_str()))));
        }
        self.items.insert(id, super::write::blank(project, "Test Suite".into(), stamp.at, stamp.by));
        self.commit(id, Change { fields, by: stamp.by, at: stamp.at, ..Change::default() });
        let suite = Suite {
            plan: new.plan,
            parent: new.parent,
            kind: new.kind,
            children: Vec::new(),
            order: Vec::new(),
            points: BTreeMap::new(),
            chosen: BTreeSet::new(),
            requirement: new.requirement,
            query: new.query,
            inherit: new.inherit,
            configurations: new.configurations,
            testers: new.testers,
            populated: UNSET,
        };
        if let Some(requirement) = suite.requirement {
            self.index.requirement_suites.entry(requirement).or_default().insert(id);
        }
        if let Some(text) = &suite.query {
            self.index.add_query(project, text, id);
        }
        self.suites.insert(id, suite);
        if let Some(parent) = new.parent.and_then(|p| self.suites.get_mut(&p)) {
            parent.children.push(id);
        }
    }

    /// The configurations that a suite's cases get.
    pub(super) fn effective(&self, suite: u32) -> Vec<u32> {
        let mut at = suite;
        while let Some(held) = self.suites.get(&at) {
            match held.parent {
                Some(parent) if held.inherit => at = parent,
                _ if !held.configurations.is_empty() => return held.configurations.clone(),
                Some(parent) => at = parent,
                None => break,
            }
        }
        let project = self.project_of(suite);
        let all = self.configurations.iter().filter(|(_, c)| c.project == project && c.active);
        let default: Vec<u32> = all.clone().filter(|(_, c)| c.is_default).map(|(&id, _)| id).collect();
        if default.is_empty() { all.take(1).map(|(&id, _)| id).collect() } else { default }
    }

    /// Writes the text that tells of a change of members as a revision of the suite.
    pub(super) fn audit(&mut self, suite: u32, text: &str, stamp: Stamp) {
        let fields = vec![(F::TestSuiteAudit as u16, Some(Value::text(text)))];
        self.commit(suite, Change { fields, force: true, by: stamp.by, at: stamp.at, ..Change::default() });
    }

    /// Puts a case into a suite with points for the chosen or the suite's configurations. Returns whether it is new.
    pub(super) fn add_member(
        &mut self,
        suite: u32,
        case: u32,
        chosen: Option<Vec<(u32, Option<u32>)>>,
        stamp: Stamp,
    ) -> bool {
        let Some(held) = self.suites.get(&suite) else { return false };
        if held.points.contains_key(&case) {
            return false;
        }
        let testers: Vec<Option<u32>> = if held.testers.is_empty() {
            vec![None]
        } else {
            held.testers.iter().copied().map(Some).collect()
        };
        let was_chosen = chosen.is_some();
        let assignments = chosen.unwrap_or_else(|| {
            let of = |c: u32| testers.iter().map(move |t| (c, *t)).collect::<Vec<_>>();
            self.effective(suite).into_iter().flat_map(of).collect()
        });
        let points = assignments.iter().map(|(c, t)| self.add_point(suite, case, *c, *t, stamp)).collect();
        if let Some(held) = self.suites.get_mut(&suite) {
            held.order.push(case);
            held.points.insert(case, points);
            if was_chosen {
                held.chosen.insert(case);
            }
        }
        self.index.suites_of.entry(case).or_default().insert(suite);
        self.touched = true;
        true
    }

    fn add_point(
        &mut self,
        suite: u32,
        case: u32,
        configuration: u32,
        tester: Option<u32>,
        stamp: Stamp,
    ) -> u32 {
        let id = self.next_point.max(1);
        self.next_point = id + 1;
        let point = Point {
            suite,
            case,
            configuration,
            tester,
            outcome: 0,
            run: 0,
            result: 0,
            updated: stamp.at,
            by: stamp.by,
            reset: UNSET,
            revision: 1,
        };
        self.points.insert(id, point);
        id
    }

    /// Makes the points of a member follow a set of configurations; points that stay keep their results.
    pub(super) fn assign_configurations(
        &mut self,
        suite: u32,
        case: u32,
        wanted: &[(u32, Option<u32>)],
        stamp: Stamp,
    ) {
        let Some(old) = self.suites.get(&suite).and_then(|s| s.points.get(&case)).cloned() else { return };
        let mut new = Vec::new();
        for (configuration, tester) in wanted {
            let held =
                old.iter().find(|p| self.points.get(p).is_some_and(|p| p.configuration == *configuration));
            match held {
                Some(&point) => {
                    if let (Some(point), Some(tester)) = (self.points.get_mut(&point), tester) {
                        point.tester = Some(*tester);
                    }
                    new.push(point);
                }
                None => new.push(self.add_point(suite, case, *configuration, *tester, stamp)),
            }
        }
        for point in old.iter().filter(|p| !new.contains(p)) {
            self.points.remove(point);
        }
        if let Some(held) = self.suites.get_mut(&suite) {
            held.points.insert(case, new);
        }
        self.touched = true;
    }

    /// Takes a case out of a suite with its points. Returns whether it was there.
    pub(super) fn remove_member(&mut self, suite: u32, case: u32) -> bool {
        let Some(held) = self.suites.get_mut(&suite) else { return false };
        let Some(points) = held.points.remove(&case) else { return false };
        held.order.retain(|c| *c != case);
        held.chosen.remove(&case);
        for point in points {
            self.points.remove(&point);
        }
        if let Some(suites) = self.index.suites_of.get_mut(&case) {
            suites.remove(&suite);
        }
        self.touched = true;
        true
    }

    /// Regenerates the points of a suite and of the suites that inherit from it.
    pub(super) fn regenerate(&mut self, suite: u32, stamp: Stamp) {
        let wanted: Vec<(u32, Option<u32>)> = self.effective(suite).into_iter().map(|c| (c, None)).collect();
        let Some(held) = self.suites.get(&suite) else { return };
        let cases: Vec<u32> = held.order.iter().copied().filter(|c| !held.chosen.contains(c)).collect();
        let heirs: Vec<u32> =
            held.children.iter().copied().filter(|c| self.suites.get(c).is_some_and(|s| s.inherit)).collect();
        for case in cases {
            self.assign_configurations(suite, case, &wanted, stamp);
        }
        for heir in heirs {
            self.regenerate(heir, stamp);
        }
    }

    /// A suite and everything below it, the suite first.
    pub(super) fn subtree(&self, suite: u32) -> Vec<u32> {
        let mut all = vec![suite];
        let mut at = 0;
        while at < all.len() {
            if let Some(held) = self.suites.get(&all[at]) {
                all.extend(&held.children);
            }
            at += 1;
        }
        all
    }

    fn query_context(&self, suite: u32, stamp: Stamp) -> Context {
        Context { project: Some(self.project_of(suite)), user: stamp.by, now: stamp.at, precise: false }
    }

    /// Computes the members of a query or requirement suite anew.
    pub(super) fn repopulate(&mut self, suite: u32, stamp: Stamp) {
        let Some(held) = self.suites.get(&suite) else { return };
        let wanted: Vec<u32> = match held.kind {
            SuiteKind::Static => return,
            SuiteKind::Query => {
                let key = (self.project_of(suite), held.query.clone().unwrap_or_default());
                let Some((query, _)) = self.index.query_suites.get(&key) else { return };
                let context = self.query_context(suite, stamp);
                let found = super::wiql::flat(self, query, context, None).unwrap_or_default();
                found
                    .into_iter()
                    .filter(|id| self.live(*id).is_some_and(|i| &*i.kind == "Test Case"))
                    .collect()
            }
            SuiteKind::Requirement => {
                let relations =
                    held.requirement.and_then(|r| self.items.get(&r)).map(|i| i.relations.as_slice());
                let tested = |r: &Relation| match r.target {
                    Target::Item(id) if &*r.rel == TESTED_BY => {
                        self.live(id).filter(|i| &*i.kind == "Test Case").map(|_| id)
                    }
                    _ => None,
                };
                relations.unwrap_or_default().iter().filter_map(tested).collect()
            }
        };
        let set: BTreeSet<u32> = wanted.iter().copied().collect();
        let gone: Vec<u32> = self.suites[&suite].order.iter().copied().filter(|c| !set.contains(c)).collect();
        for case in gone {
            self.remove_member(suite, case);
        }
        for case in wanted {
            self.add_member(suite, case, None, stamp);
        }
        if let Some(held) = self.suites.get_mut(&suite) {
            held.populated = stamp.at;
        }
    }

    /// Deletes suites with their points and work items.
    pub(super) fn delete_suites(&mut self, suites: &[u32], stamp: Stamp) {
        for id in suites {
            let cases = self.suites.get(id).map(|s| s.order.clone()).unwrap_or_default();
            for case in cases {
                self.remove_member(*id, case);
            }
            let Some(suite) = self.suites.remove(id) else { continue };
            if let Some(parent) = suite.parent.and_then(|p| self.suites.get_mut(&p)) {
                parent.children.retain(|c| c != id);
            }
            if let Some(set) = suite.requirement.and_then(|r| self.index.requirement_suites.get_mut(&r)) {
                set.remove(id);
            }
            if let Some(text) = &suite.query {
                let project = self.project_of(*id);
                self.index.remove_query(project, text, *id);
            }
        }
        self.destroy_all(suites, stamp);
    }
}

/// A case goes for good: out of every suite.
pub(super) fn forget_case(state: &mut State, case: u32) {
    let suites: Vec<u32> = state.index.suites_of.get(&case).into_iter().flatten().copied().collect();
    for suite in suites {
        state.remove_member(suite, case);
    }
    state.index.suites_of.remove(&case);
}

/// A case's coverage changed: the requirement's suites follow.
pub(super) fn tested_by_changed(state: &mut State, requirement: u32, case: u32, active: bool, stamp: Stamp) {
    let suites: Vec<u32> =
        state.index.requirement_suites.get(&requirement).into_iter().flatten().copied().collect();
    let is_case = state.items.get(&case).is_some_and(|i| &*i.kind == "Test Case");
    for suite in suites {
        if active && is_case {
            state.add_member(suite, case, None, stamp);
        } else if !active {
            state.remove_member(suite, case);
        }
        if let Some(held) = state.suites.get_mut(&suite) {
            held.populated = stamp.at;
        }
    }
}

/// A work item changed: query suites, names of requirement suites and of root suites follow.
pub(super) fn item_changed(state: &mut State, id: u32, stamp: Stamp) {
    let Some(item) = state.items.get(&id) else { return };
    if &*item.kind == "Test Case" {
        let mut moves = Vec::new();
        for ((project, _), (query, suites)) in &state.index.query_suites {
            let context = Context { project: Some(*project), user: stamp.by, now: stamp.at, precise: false };
            let wanted = super::wiql::includes(state, query, context, id);
            let member = |s: &u32| state.suites.get(s).is_some_and(|s| s.points.contains_key(&id));
            moves.extend(suites.iter().filter(|s| member(s) != wanted).map(|s| (*s, wanted)));
        }
        for (suite, add) in moves {
            if add {
                state.add_member(suite, id, None, stamp);
            } else {
                state.remove_member(suite, id);
            }
            if let Some(held) = state.suites.get_mut(&suite) {
                held.populated = stamp.at;
            }
        }
    } else if let Some(plan) = state.plans.get(&id) {
        let (root, title) = (plan.root, state.title(id).to_owned());
        rename(state, root, &title, stamp);
    } else if !TEST_TYPES.contains(&&*item.kind) {
        let suites: Vec<u32> =
            state.index.requirement_suites.get(&id).into_iter().flatten().copied().collect();
        let name = state.requirement_name(id);
        for suite in suites {
            rename(state, suite, &name, stamp);
        }
    }
}

/// Gives an item another title, if it differs.
pub(super) fn rename(state: &mut State, id: u32, title: &str, stamp: Stamp) {
    let fields = vec![(F::Title as u16, Some(Value::text(title)))];
    state.commit(id, Change { fields, by: stamp.by, at: stamp.at, ..Change::default() });
}
