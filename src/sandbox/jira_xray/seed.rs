//! Fills a site with the made-up company, under the ids that the company fixes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::json;

use super::defaults;
use super::seed_text::{to_adf, to_wiki};
use super::site::{Category, Role, RunStatus, User};
use super::store::{Attachment, Comment, Issue, Link, Rich, State};
use super::time::{Moment, Stamp};
use super::xray::model::{Definition, File, Mark, NOBODY, Step};
use crate::sandbox::Options;
use crate::sandbox::world::{
    Identity, Outcome, RichText, Stamps, State as Stand, Subject, TestResult, Time, World,
};

/// Index of the project CALC.
const CALC: u16 = 0;
/// Where the counterparts are said to be.
const ADO: &str = "https://dev.azure.com/contoso/Calculator";
/// The custom fields of the cross-references.
const ADO_ID: u64 = 10_037;
const ADO_URL: u64 = 10_038;

/// Makes the site of a company; with [`Options::empty`] without its artifacts.
pub(crate) fn fill(options: &Options, world: &World) -> State {
    let mut site = defaults::site(users(world));
    site.run_statuses.push(RunStatus {
        id: "5fa000000000000000000001".to_owned(),
        name: "PAUSED".to_owned(),
        description: "The test run is paused".to_owned(),
        color: "#9B59B6".to_owned(),
        is_final: false,
        coverage: "NOTRUN".to_owned(),
    });
    let mut state = State::new(site, options.index_lag, options.limits);
    if options.empty {
        return state;
    }
    let mut seeder = Seeder { state: &mut state, world };
    seeder.requirements();
    seeder.cases();
    seeder.plans();
    seeder.sets();
    seeder.bugs();
    seeder.runs();
    seeder.folders();
    seeder.comments();
    seeder.attachments();
    let next = world.next_other.jira();
    state.counters.issue = u64::from(next.id) - 1;
    state.site.projects[usize::from(CALC)].next_number = next.number;
    state
}

fn users(world: &World) -> Vec<User> {
    let one = |(n, user): (usize, &crate::sandbox::world::User)| User {
        account_id: format!("5b10a2844c20165700{:06x}", 0x00ed_e21a + n * 7),
        name: user.name.clone(),
        email: user.email.clone(),
        active: user.active,
        time_zone: "Africa/Johannesburg".to_owned(),
        offset_minutes: 120,
    };
    world.users.iter().enumerate().map(one).collect()
}

fn stamp(at: Time) -> Stamp {
    Stamp(at.timestamp_millis())
}

fn id(identity: &Identity) -> Option<u64> {
    identity.jira().map(|j| u64::from(j.id))
}

/// What differs from one kind of issue to the next.
struct Draft<'a> {
    role: Role,
    identity: &'a Identity,
    title: &'a str,
    description: Option<&'a RichText>,
    stand: Stand,
    priority: u8,
    assignee: Option<u16>,
    labels: &'a [&'static str],
    stamps: Stamps,
    /// Path of the counterpart's page, before its id.
    page: &'a str,
}

struct Seeder<'a> {
    state: &'a mut State,
    world: &'a World,
}

impl Seeder<'_> {
    /// Stores an issue, if the artifact exists here, and gives its id.
    fn issue(&mut self, draft: &Draft<'_>) -> Option<u64> {
        let jira = draft.identity.jira()?;
        let kind = self.state.site.type_of_role(draft.role)?;
        let status = self.status(kind, draft.stand)?;
        let done = self.state.site.statuses[usize::from(status)].category == Category::Done;
        let updated = stamp(draft.stamps.updated);
        let description = draft.description.and_then(to_adf).map(|doc| Rich::Adf(doc.into()));
        let mut issue = Issue {
            id: u64::from(jira.id),
            project: CALC,
            number: jira.number,
            kind,
            status,
            priority: draft.priority,
            resolution: done.then_some(0),
            resolved: updated,
            created: stamp(draft.stamps.created),
            updated,
            status_changed: updated,
            summary: draft.title.into(),
            description,
            environment: None,
            assignee: draft.assignee,
            reporter: Some(draft.stamps.created_by),
            creator: draft.stamps.created_by,
            labels: draft.labels.iter().map(|l| (*l).into()).collect(),
            components: Vec::new(),
            fix_versions: Vec::new(),
            versions: Vec::new(),
            parent: None,
            due: None,
            custom: Vec::new(),
            links: Vec::new(),
            attachments: Vec::new(),
            comments: Vec::new(),
            remote_links: Vec::new(),
            properties: BTreeMap::new(),
            changes: Vec::new(),
        };
        if let (Some(other), false) = (draft.identity.other_refers_to, draft.page.is_empty()) {
            issue.set_custom(ADO_ID, Some(json!(other.to_string())));
            issue.set_custom(ADO_URL, Some(json!(format!("{ADO}/{}{other}", draft.page))));
        }
        let number = issue.id;
        self.state.keys.insert((CALC, jira.number), number);
        self.state.issues.insert(number, Arc::new(issue));
        self.state.xray_adopt(number, updated);
        Some(number)
    }

    /// The status of a type's workflow that says the same.
    fn status(&self, kind: u16, stand: Stand) -> Option<u16> {
        let site = &self.state.site;
        let flow = &site.workflows[usize::from(site.setup(CALC, kind)?.workflow)];
        let category = match stand {
            Stand::New => return Some(flow.initial),
            Stand::InProgress => Category::InProgress,
            Stand::Done => Category::Done,
        };
        let fits = |s: &&u16| site.statuses[usize::from(**s)].category == category;
        // Where several statuses are done, the last one is Closed.
        flow.statuses.iter().rfind(fits).copied()
    }

    fn link(&mut self, kind: &str, source: u64, target: u64) {
        let found = self.state.site.link_types.iter().position(|t| t.name == kind);
        let Some(kind) = found.and_then(|k| u16::try_from(k).ok()) else { return };
        self.state.counters.link += 1;
        let id = self.state.counters.link;
        self.state.links.insert(id, Link { id, kind, source, target });
        for end in [source, target] {
            if let Some(issue) = self.state.issues.get_mut(&end) {
                Arc::make_mut(issue).links.push(id);
            }
        }
    }

    fn requirements(&mut self) {
        for requirement in &self.world.requirements {
            self.issue(&Draft {
                role: Role::Requirement,
                identity: &requirement.identity,
                title: &requirement.title,
                description: Some(&requirement.description),
                stand: requirement.state,
                priority: requirement.priority - 1,
                assignee: requirement.owner,
                labels: &[],
                stamps: requirement.stamps,
                page: "",
            });
        }
    }

    fn cases(&mut self) {
        for case in &self.world.cases {
            let made = self.issue(&Draft {
                role: Role::Test,
                identity: &case.identity,
                title: &case.title,
                description: Some(&case.description),
                stand: case.state,
                priority: case.priority - 1,
                assignee: case.owner,
                labels: &case.tags,
                stamps: case.stamps,
                page: "_workitems/edit/",
            });
            let Some(test) = made else { continue };
            let mut definition = Definition::default();
            if let Some(name) = &case.automation {
                definition.kind = 2;
                definition.text = name.as_str().into();
            }
            for step in &case.steps {
                let id = self.state.xray.fresh_step(test);
                definition.steps.push(Step {
                    id,
                    action: to_wiki(&step.action).into(),
                    data: to_wiki(&step.data).into(),
                    result: to_wiki(&step.expected).into(),
                    files: Vec::new(),
                    custom: Vec::new(),
                    call_test: None,
                });
            }
            if let Some(data) = self.state.xray.tests.get_mut(&test) {
                data.versions[0].definition = Arc::new(definition);
            }
            for requirement in &case.requirements {
                let requirement = &self.world.requirements[*requirement as usize];
                if let Some(target) = id(&requirement.identity) {
                    self.link("Test", test, target);
                }
            }
        }
    }

    fn plans(&mut self) {
        for plan in &self.world.plans {
            let made = self.issue(&Draft {
                role: Role::TestPlan,
                identity: &plan.identity,
                title: &plan.title,
                description: Some(&plan.description),
                stand: plan.state,
                priority: 2,
                assignee: Some(plan.owner),
                labels: &[],
                stamps: plan.stamps,
                page: "_workitems/edit/",
            });
            let Some(number) = made else { continue };
            let cases = plan.cases.iter().map(|c| &self.world.cases[*c as usize]);
            let tests: Vec<u64> = cases.filter_map(|c| id(&c.identity)).collect();
            for test in &tests {
                if let Some(test) = self.state.xray.tests.get_mut(test) {
                    test.plans.push(number);
                }
            }
            if let Some(data) = self.state.xray.plans.get_mut(&number) {
                data.tests = tests;
            }
        }
    }

    fn sets(&mut self) {
        for suite in &self.world.suites {
            let made = self.issue(&Draft {
                role: Role::TestSet,
                identity: &suite.identity,
                title: &suite.title,
                description: Some(&suite.description),
                stand: suite.state,
                priority: 2,
                assignee: None,
                labels: &[],
                stamps: suite.stamps,
                page: "_workitems/edit/",
            });
            let Some(number) = made else { continue };
            let cases = suite.cases.iter().map(|c| &self.world.cases[*c as usize]);
            let tests: Vec<u64> = cases.filter_map(|c| id(&c.identity)).collect();
            for test in &tests {
                if let Some(test) = self.state.xray.tests.get_mut(test) {
                    test.sets.push(number);
                }
            }
            if let Some(data) = self.state.xray.sets.get_mut(&number) {
                data.tests = tests;
            }
            let plan = suite.plan.map(|p| &self.world.plans[p as usize]);
            if let Some(plan) = plan.and_then(|p| id(&p.identity)) {
                self.link("Relates", plan, number);
            }
        }
    }

    fn bugs(&mut self) {
        for bug in &self.world.bugs {
            let made = self.issue(&Draft {
                role: Role::Bug,
                identity: &bug.identity,
                title: &bug.title,
                description: Some(&bug.description),
                stand: bug.state,
                priority: bug.priority - 1,
                assignee: bug.owner,
                labels: &[],
                stamps: bug.stamps,
                page: "_workitems/edit/",
            });
            let Some(number) = made else { continue };
            for case in &bug.cases {
                if let Some(test) = id(&self.world.cases[*case as usize].identity) {
                    self.link("Defect", test, number);
                }
            }
        }
    }

    fn runs(&mut self) {
        for (at, run) in self.world.runs.iter().enumerate() {
            let stamps = Stamps {
                created_by: run.owner,
                created: run.started,
                updated_by: run.owner,
                updated: run.ended,
            };
            let made = self.issue(&Draft {
                role: Role::TestExecution,
                identity: &run.identity,
                title: &run.title,
                description: None,
                stand: run.state,
                priority: 2,
                assignee: Some(run.owner),
                labels: &[],
                stamps,
                page: "_testManagement/runs?_a=runCharts&runId=",
            });
            let Some(execution) = made else { continue };
            let plans = run.plans.iter().map(|p| &self.world.plans[*p as usize]);
            for plan in plans.filter_map(|p| id(&p.identity)).collect::<Vec<_>>() {
                if let Some(data) = self.state.xray.plans.get_mut(&plan) {
                    data.executions.push(execution);
                }
                if let Some(data) = self.state.xray.executions.get_mut(&execution) {
                    data.plans.push(plan);
                }
            }
            if let Some(configuration) = run.configuration {
                let name = self.world.configurations[usize::from(configuration)].name;
                let known = self.state.xray.environments.entry(CALC).or_default();
                if !known.iter().any(|k| k.as_ref() == name) {
                    known.push(name.into());
                }
                if let Some(data) = self.state.xray.executions.get_mut(&execution) {
                    data.environments.push(name.into());
                }
            }
            let world = self.world;
            for (_, result) in world.results_of(u32::try_from(at).unwrap_or(u32::MAX)) {
                self.result(execution, result);
            }
        }
    }

    fn result(&mut self, execution: u64, result: &TestResult) {
        let case = &self.world.cases[result.case as usize];
        let Some(test) = id(&case.identity) else { return };
        let started = stamp(result.started);
        let ended = Stamp(started.0 + i64::from(result.seconds) * 1_000);
        let Some(number) = self.state.add_run(execution, test, None, ended) else { return };
        let site = &self.state.site;
        let of_run = site.run_status(run_status(result.outcome)).unwrap_or_default();
        let steps = self.world.step_outcomes(result);
        let mark = |outcome: &Outcome| Mark {
            status: site.step_status(step_status(*outcome)).unwrap_or_default(),
            ..Mark::default()
        };
        let marks: Box<[Mark]> = steps.iter().map(mark).collect();
        let bug = result.bug.and_then(|b| id(&self.world.bugs[b as usize].identity));
        let is_final = site.run_statuses[usize::from(of_run)].is_final;
        let Some(run) = self.state.xray.run_mut(number) else { return };
        run.status = of_run;
        run.assignee = result.tester;
        run.comment = result.comment.map(Box::from);
        if result.outcome == Outcome::Open {
            run.executed_by = NOBODY;
            return;
        }
        run.executed_by = result.tester;
        run.started = Some(Moment { at: started, given: true });
        run.finished = is_final.then_some(Moment { at: ended, given: true });
        run.marks = (!marks.is_empty()).then_some(marks);
        if let Some(bug) = bug {
            run.extra.get_or_insert_default().attached.defects.push(bug);
        }
    }

    /// The repository's folders follow the plans and their sets; a test lies where its
    /// first set does.
    fn folders(&mut self) {
        let world = self.world;
        let mut paths: Vec<Option<String>> = vec![None; world.suites.len()];
        for (at, suite) in world.suites.iter().enumerate() {
            if !suite.identity.in_other() {
                continue;
            }
            let above = match (suite.parent, suite.plan) {
                (Some(parent), _) => paths[parent as usize].clone().unwrap_or_default(),
                (None, Some(plan)) => format!("/{}", segment(&world.plans[plan as usize].title)),
                (None, None) => String::new(),
            };
            paths[at] = Some(format!("{above}/{}", segment(&suite.title)));
        }
        let mut known: HashMap<&str, u32> = HashMap::new();
        for case in &world.cases {
            let path = case.home.and_then(|home| paths[home as usize].as_ref());
            let (Some(test), Some(path)) = (id(&case.identity), path) else { continue };
            let tree = self.state.xray.repositories.entry(CALC).or_default();
            let held = known.get(path.as_str()).copied();
            let Some(folder) = held.or_else(|| tree.ensure(path)) else { continue };
            known.insert(path, folder);
            if let Some(held) = tree.folders.get_mut(&folder) {
                held.tests.push(test);
            }
            if let Some(data) = self.state.xray.tests.get_mut(&test) {
                data.folder = folder;
            }
        }
    }

    fn subject(&self, subject: Subject) -> Option<u64> {
        let identity = match subject {
            Subject::Case(at) => &self.world.cases[at as usize].identity,
            Subject::Bug(at) => &self.world.bugs[at as usize].identity,
            Subject::Requirement(at) => &self.world.requirements[at as usize].identity,
            Subject::Result(..) => return None,
        };
        id(identity)
    }

    fn comments(&mut self) {
        for comment in &self.world.comments {
            let (Some(issue), Some(text)) = (self.subject(comment.on), to_adf(&comment.text)) else {
                continue;
            };
            self.state.counters.comment += 1;
            let at = stamp(comment.at);
            let new = Comment {
                id: self.state.counters.comment,
                author: comment.author,
                editor: comment.author,
                body: Rich::Adf(text.into()),
                created: at,
                updated: at,
                visibility: None,
                properties: BTreeMap::new(),
            };
            if let Some(issue) = self.state.issues.get_mut(&issue) {
                let issue = Arc::make_mut(issue);
                issue.updated = issue.updated.max(at);
                issue.comments.push(new);
            }
        }
    }

    fn attachments(&mut self) {
        for file in &self.world.attachments {
            let at = stamp(file.at);
            let (name, mime) = (file.name.clone(), file.media_type.to_owned());
            if let Subject::Result(run, result) = file.on {
                let Some(execution) = id(&self.world.runs[run as usize].identity) else { continue };
                let case = self.world.results[result as usize].case;
                let test = id(&self.world.cases[case as usize].identity);
                let found = test.and_then(|t| self.state.xray.run_of(t, execution));
                let Some(number) = found else { continue };
                let file = File { name, mime, created: at, data: file.content() };
                let kept = self.state.xray.add_file(file);
                if let Some(run) = self.state.xray.run_mut(number) {
                    run.extra.get_or_insert_default().attached.evidence.push(kept);
                }
                continue;
            }
            let Some(issue) = self.subject(file.on) else { continue };
            self.state.counters.attachment += 1;
            let id = self.state.counters.attachment;
            let new =
                Attachment { id, issue, name, mime, author: file.author, created: at, data: file.content() };
            self.state.attachments.insert(id, new);
            if let Some(issue) = self.state.issues.get_mut(&issue) {
                let issue = Arc::make_mut(issue);
                issue.updated = issue.updated.max(at);
                issue.attachments.push(id);
            }
        }
    }
}

/// A title as the name of a folder, in which no slash may be.
fn segment(title: &str) -> String {
    title.replace('/', "-").trim().to_owned()
}

fn run_status(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "PASSED",
        Outcome::Failed => "FAILED",
        Outcome::Blocked | Outcome::NotApplicable => "ABORTED",
        Outcome::Open => "TODO",
        Outcome::Paused => "PAUSED",
    }
}

fn step_status(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "PASSED",
        Outcome::Failed => "FAILED",
        Outcome::Blocked | Outcome::Paused => "EXECUTING",
        Outcome::NotApplicable | Outcome::Open => "TODO",
    }
}
