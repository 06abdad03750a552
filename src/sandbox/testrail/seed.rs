//! Fills an instance with the made-up company, under the ids that the company fixes.
//!
//! Plans and their suites are sections; a case lies where its home suite does. Runs of the
//! default configuration stand alone, the others are entries of a test plan.

use std::collections::HashMap;

use super::entries::guid;
use super::results;
use super::runs;
use super::seed_text::{to_html, to_markdown};
use super::setup::{
    ADO_ID, ADO_URL, AUTOMATION_ID, AUTOMATION_TYPE, PRECONDS, SEPARATED, STEP_RESULTS, STEPS, TEXT, instance,
};
use super::state::{
    Attachment, Case, Content, Custom, Entry, Milestone, More, Outcome, Owner, Plan, Run, Section, State,
    Step, Test, UNTESTED, take,
};
use super::{attachments, labels, sections};
use crate::sandbox::Options;
use crate::sandbox::world::{
    self, Identity, Outcome as Verdict, RichText, State as Stand, Subject, TestResult, Time, World,
};

/// The company's project and suite.
const PROJECT: u32 = 1;
const SUITE: u32 = 1;
/// Where the counterparts are said to be.
const ADO: &str = "https://dev.azure.com/contoso/Calculator/_workitems/edit";
/// The longest title that fits.
const TITLE: usize = 250;
/// Older texts were typed in Markdown, before there was an editor; this many days ago it came.
const EDITOR_DAYS: i64 = 365;
/// A finished run stays open for this many days.
const OPEN_DAYS: i64 = 90;
const DAY: i64 = 86_400;

/// Makes the instance of a company; with [`Options::empty`] without its artifacts.
pub(super) fn fill(options: &Options, world: &World) -> State {
    let mut state = instance(world);
    if options.empty {
        return state;
    }
    let next = world.next_other.0.saturating_sub(1);
    state.next.section = next;
    state.next.case = next;
    state.next.run = next;
    let mut seeder = Seeder { state, world, milestones: Vec::new() };
    seeder.milestones();
    seeder.sections();
    seeder.cases();
    seeder.runs();
    seeder.current_run();
    seeder.attachments();
    seeder.state.reindex();
    seeder.state
}

fn id(identity: &Identity) -> Option<u32> {
    identity.other.map(|o| o.0)
}

fn user(index: u16) -> u32 {
    u32::from(index) + 1
}

struct Seeder<'a> {
    state: State,
    world: &'a World,
    /// The milestone of each iteration.
    milestones: Vec<u32>,
}

impl Seeder<'_> {
    fn milestones(&mut self) {
        let mut known: HashMap<&[&str], u32> = HashMap::new();
        for path in &self.world.iterations {
            let Some((name, above)) = path.split_last() else { continue };
            let id = take(&mut self.state.next.milestone);
            let parent = known.get(above).copied();
            let name = Box::from(*name);
            self.state
                .milestones
                .insert(id, Milestone { project: PROJECT, name, parent, ..Milestone::default() });
            known.insert(path, id);
            self.milestones.push(id);
        }
    }

    /// A text in the notation of its time.
    fn rich(&self, text: &RichText, written: Time) -> Option<Box<str>> {
        let legacy = written.timestamp() < self.world.now.timestamp() - EDITOR_DAYS * DAY;
        let text = if legacy { to_markdown(text) } else { to_html(text) };
        (!text.is_empty()).then(|| text.into())
    }

    fn section(&mut self, id: u32, parent: Option<u32>, name: &str, description: Option<Box<str>>) {
        let section = Section {
            suite: SUITE,
            parent,
            name: name.into(),
            description,
            sections: Vec::new(),
            cases: Vec::new(),
        };
        self.state.sections.insert(id, section);
        sections::siblings(&mut self.state, SUITE, parent, |list| list.push(id));
    }

    fn sections(&mut self) {
        for plan in &self.world.plans {
            let Some(number) = id(&plan.identity) else { continue };
            let description = self.rich(&plan.description, plan.stamps.updated);
            self.section(number, None, &plan.title, description);
        }
        for suite in &self.world.suites {
            let Some(number) = id(&suite.identity) else { continue };
            let above = suite.parent.and_then(|s| id(&self.world.suites[s as usize].identity));
            let plan = suite.plan.and_then(|p| id(&self.world.plans[p as usize].identity));
            let description = self.rich(&suite.description, suite.stamps.updated);
            self.section(number, above.or(plan), &suite.title, description);
        }
    }

    fn cases(&mut self) {
        let unfiled = take(&mut self.state.next.section);
        self.section(unfiled, None, "Test Cases", None);
        for (at, case) in self.world.cases.iter().enumerate() {
            let Some(number) = id(&case.identity) else { continue };
            let home = case.home.and_then(|s| id(&self.world.suites[s as usize].identity));
            let section = home.filter(|s| self.state.sections.contains_key(s)).unwrap_or(unfiled);
            let content = self.content(at, case);
            let version = take(&mut self.state.next.version);
            let stamps = case.stamps;
            let made = Case {
                section,
                suite: SUITE,
                created_by: user(stamps.created_by),
                created_on: stamps.created.timestamp(),
                updated_by: user(stamps.updated_by),
                updated_on: stamps.updated.timestamp(),
                version,
                pinned: false,
                content,
            };
            self.state.cases.insert(number, made);
            if let Some(section) = self.state.sections.get_mut(&section) {
                section.cases.push(number);
            }
        }
    }

    fn content(&mut self, at: usize, case: &world::Case) -> Content {
        let written = case.stamps.updated;
        let mut custom = Vec::new();
        if let Some(text) = self.rich(&case.description, written) {
            custom.push((PRECONDS, Custom::Text(text)));
        }
        if !case.steps.is_empty() {
            let step = |step: &world::Step| Step {
                content: self.rich(&step.action, written).unwrap_or_default(),
                expected: self.rich(&step.expected, written).unwrap_or_default(),
                additional: self.rich(&step.data, written),
                ..Step::default()
            };
            custom.push((SEPARATED, Custom::Steps(case.steps.iter().map(step).collect())));
        }
        if let Some(name) = &case.automation {
            custom.push((AUTOMATION_TYPE, Custom::Number(1)));
            custom.push((AUTOMATION_ID, Custom::Text(name.as_str().into())));
        }
        if let Some(other) = case.identity.other_refers_to {
            custom.push((ADO_ID, Custom::Text(other.to_string().into())));
            custom.push((ADO_URL, Custom::Text(format!("{ADO}/{other}").into())));
        }
        let mut tags = Vec::new();
        for tag in &case.tags {
            let at = case.stamps.created.timestamp();
            tags.push(labels::named(&mut self.state, PROJECT, tag, user(case.stamps.created_by), at));
        }
        let title: String = case.title.chars().take(TITLE).collect();
        Content {
            title: title.trim_end().into(),
            template: if case.steps.is_empty() { TEXT } else { STEPS },
            kind: if case.automation.is_some() { 3 } else { 6 + u32::from(at.is_multiple_of(2)) },
            priority: 5 - u32::from(case.priority),
            milestone: self.milestones.get(case.iteration).copied(),
            refs: self.references(case),
            estimate: at.is_multiple_of(10).then_some(90 + at as u32 % 600),
            status: if case.state == Stand::Done { 1 } else { 2 },
            labels: tags,
            custom,
        }
    }

    /// The requirements that a case tests, as the tracker numbers them.
    fn references(&self, case: &world::Case) -> Option<Box<str>> {
        let of = |r: &u32| reference(&self.world.requirements[*r as usize].identity);
        let refs: Vec<String> = case.requirements.iter().filter_map(of).collect();
        (!refs.is_empty()).then(|| refs.join(",").into())
    }

    fn runs(&mut self) {
        for (at, run) in self.world.runs.iter().enumerate() {
            let Some(number) = id(&run.identity) else { continue };
            let configuration = run.configuration.filter(|c| *c != 0);
            let plan = run.plans.first().and_then(|p| id(&self.world.plans[*p as usize].identity));
            let planned = plan.filter(|_| configuration.is_some());
            let ended = run.ended.timestamp();
            let old = ended < self.world.now.timestamp() - OPEN_DAYS * DAY;
            let made = Run {
                project: PROJECT,
                suite: SUITE,
                plan: planned,
                name: run.title.as_str().into(),
                config_ids: configuration
                    .filter(|_| planned.is_some())
                    .map(|c| u32::from(c) + 1)
                    .into_iter()
                    .collect(),
                created_by: user(run.owner),
                created_on: run.started.timestamp(),
                updated_on: Some(ended),
                ..Run::default()
            };
            self.state.runs.insert(number, made);
            if let Some(plan) = planned {
                self.entry(plan, run, number);
            }
            self.results(number, at as u32);
            if run.state == Stand::Done && old {
                runs::close(&mut self.state, number, ended);
            }
        }
    }

    /// Puts a run into its test plan, which is made with its first run.
    fn entry(&mut self, number: u32, run: &world::Run, of: u32) {
        let Some(plan) = run.plans.first().map(|p| &self.world.plans[*p as usize]) else { return };
        if !self.state.plans.contains_key(&number) {
            let made = Plan {
                project: PROJECT,
                name: plan.title.as_str().into(),
                description: self.rich(&plan.description, plan.stamps.updated),
                refs: None,
                milestone: self.milestones.get(plan.iteration).copied(),
                created_by: user(plan.stamps.created_by),
                created_on: plan.stamps.created.timestamp(),
                completed_on: None,
                start_on: Some(plan.start.timestamp()),
                due_on: Some(plan.end.timestamp()),
                entries: Vec::new(),
            };
            self.state.plans.insert(number, made);
        }
        let entry = Entry {
            id: guid(take(&mut self.state.next.entry)),
            suite: SUITE,
            name: run.title.as_str().into(),
            runs: vec![of],
            ..Entry::default()
        };
        if let Some(plan) = self.state.plans.get_mut(&number) {
            plan.entries.push(entry);
        }
    }

    fn results(&mut self, run: u32, at: u32) {
        let world = self.world;
        for (_, result) in world.results_of(at) {
            let Some(case) = id(&world.cases[result.case as usize].identity) else { continue };
            self.state.tests.push(Test { run, case, version: 0, last: 0, assigned_to: 0, status: UNTESTED });
            let test = self.state.tests.len() as u32;
            if let Some(run) = self.state.runs.get_mut(&run) {
                run.tests.push(test);
            }
            if result.outcome == Verdict::Open {
                if let Some(test) = self.state.test_mut(test) {
                    test.assigned_to = result.tester + 1;
                }
                continue;
            }
            let row = self.row(test, case, result);
            results::push(&mut self.state, row);
        }
    }

    fn row(&mut self, test: u32, case: u32, result: &TestResult) -> Outcome {
        let world = self.world;
        let mut more = More { comment: result.comment.map(Box::from), ..More::default() };
        let defect = result.bug.and_then(|b| reference(&world.bugs[b as usize].identity));
        more.defects = defect.map(String::into_boxed_str);
        if result.failed_step.is_some() {
            let version = self.state.pin(case);
            let marks = world.step_outcomes(result).into_iter().map(status).collect();
            more.custom.push((STEP_RESULTS, Custom::Marks(case, version, marks)));
        }
        let some = more.comment.is_some() || more.defects.is_some() || !more.custom.is_empty();
        let ended = result.started.timestamp() + i64::from(result.seconds);
        Outcome {
            test,
            before: 0,
            created_on: u32::try_from(ended).unwrap_or(u32::MAX),
            elapsed: result.seconds,
            created_by: result.tester + 1,
            assigned_to: 0,
            status: status(result.outcome),
            more: some.then(|| Box::new(more)),
        }
    }

    /// The run in which everything is tested at present; what comes into the suite comes into it.
    fn current_run(&mut self) {
        let at = self.world.now.timestamp();
        let run = Run {
            project: PROJECT,
            suite: SUITE,
            name: "Current build".into(),
            created_by: 1,
            created_on: at,
            updated_on: Some(at),
            ..Run::default()
        };
        let id = take(&mut self.state.next.run);
        self.state.runs.insert(id, run);
        runs::select(&mut self.state, id, &runs::Chosen::All);
    }

    fn attachments(&mut self) {
        self.state.reindex();
        for file in &self.world.attachments {
            let owner = match file.on {
                Subject::Case(case) => id(&self.world.cases[case as usize].identity).map(Owner::Case),
                Subject::Result(run, result) => self.result(run, result).map(Owner::Result),
                Subject::Bug(_) | Subject::Requirement(_) => None,
            };
            let Some(owner) = owner else { continue };
            let made = Attachment {
                owner,
                project: PROJECT,
                name: file.name.clone(),
                mime: file.media_type.to_owned(),
                user: user(file.author),
                created_on: file.at.timestamp(),
                data: file.content(),
            };
            attachments::insert(&mut self.state, made);
        }
    }

    /// The number of a result of the company.
    fn result(&self, run: u32, result: u32) -> Option<u32> {
        let run = id(&self.world.runs[run as usize].identity)?;
        let case = id(&self.world.cases[self.world.results[result as usize].case as usize].identity)?;
        let tests = self.state.tests_of.get(&case)?;
        let test = tests.iter().filter_map(|t| self.state.test(*t).ok()).find(|t| t.run == run)?;
        (test.last != 0).then_some(test.last)
    }
}

/// How the tracker names a requirement or bug.
fn reference(identity: &Identity) -> Option<String> {
    identity.ado_id.map(|n| n.to_string()).or_else(|| identity.jira().map(|j| j.key()))
}

fn status(outcome: Verdict) -> u8 {
    match outcome {
        Verdict::Passed => 1,
        Verdict::Blocked => 2,
        Verdict::Open => UNTESTED,
        Verdict::Failed => 5,
        Verdict::NotApplicable => 6,
        Verdict::Paused => 7,
    }
}
