//! Fills a site with the made-up company, under the ids that the company fixes.
//!
//! A test, a requirement, a defect and a test set bear the company's number of the artifact. Plans
//! and their suites are test folders; a run is a test set with an instance and a run per result.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::attachments;
use super::memo;
use super::rules;
use super::schema::Kind;
use super::store::{Project, Row, State, User, Value, Version};
use super::time;
use crate::sandbox::Options;
use crate::sandbox::world::{
    CaseIndex, Identity, Outcome, RichText, Stamps, State as Stand, Subject, TestResult, Time, World,
};

/// The project that the shipped pipelines name.
pub(super) const PROJECT: &str = "Calculator";
/// A small project that keeps versions.
pub(super) const VERSIONED: &str = "Calculator_VC";
/// Where the counterparts are said to be.
const ADO: &str = "https://dev.azure.com/contoso/Calculator/_workitems/edit";
/// The company's numbers of folders stay clear of the roots and the recycle bin.
const FIRST_FOLDER: u32 = 1_100;
/// The configuration of a test has the test's number and this.
const FIRST_CONFIG: u32 = 1_000;
/// Tests of the versioned project.
const VERSIONED_TESTS: usize = 12;
/// The first ids of what the company does not number.
const FIRST_STEP: u32 = 1_000;

/// Makes the site of a company; with [`Options::empty`] without its artifacts.
pub(super) fn fill(options: &Options, world: &World) -> State {
    let login = |email: &str| email.split('@').next().unwrap_or_default().to_owned();
    let user = |u: &crate::sandbox::world::User| User {
        login: login(&u.email),
        name: u.name.clone(),
        email: u.email.clone(),
        active: u.active,
    };
    let mut state = State { users: world.users.iter().map(user).collect(), ..State::default() };
    for (name, versioned) in [(PROJECT, false), (VERSIONED, true)] {
        let mut project = Project::new(name, versioned);
        roots(&mut project, time::local(world.now));
        if !options.empty {
            let cases = if versioned { VERSIONED_TESTS } else { usize::MAX };
            let mut seeder = Seeder::new(&mut project, &state.users, world, cases);
            seeder.fill(versioned);
        }
        state.projects.push(project);
    }
    state
}

/// The roots of the trees.
fn roots(project: &mut Project, now: i64) {
    let trees = [
        (Kind::TestFolder, 2, "Subject", 0),
        (Kind::TestFolder, rules::RECYCLE_BIN, "Recycle Bin", 0),
        (Kind::TestSetFolder, 0, "Root", -1),
        (Kind::TestSetFolder, 1, "Recycle Bin", 0),
        (Kind::Requirement, 0, "Requirements", -1),
        (Kind::ReleaseFolder, 1, "Releases", -1),
    ];
    for (kind, id, name, parent) in trees {
        let mut row = Row::of(vec![
            (kind.at("name"), Value::text(name)),
            (kind.at("parent-id"), Value::Num(parent)),
            (kind.at("ver-stamp"), Value::Num(1)),
        ]);
        if let Some(order) = kind.find("order-id") {
            row.set(order, Some(Value::Num(i64::from(id == rules::RECYCLE_BIN))));
        }
        if let Some(at) = kind.find("last-modified") {
            row.set(at, Some(Value::Num(now)));
        }
        if kind == Kind::Requirement {
            row.set(kind.at("type-id"), Some(Value::Num(1)));
        }
        project.put(kind, id, row);
    }
    project.last[Kind::DesignStep as usize] = FIRST_STEP;
    project.last[Kind::TestConfig as usize] = FIRST_CONFIG;
}

/// A row in the making.
struct Draft {
    kind: Kind,
    fields: Vec<(u8, Value)>,
}

impl Draft {
    fn of(kind: Kind) -> Draft {
        Draft { kind, fields: Vec::with_capacity(20) }
    }

    fn num(mut self, name: &str, number: i64) -> Draft {
        self.fields.push((self.kind.at(name), Value::Num(number)));
        self
    }

    fn text(mut self, name: &str, text: &Arc<str>) -> Draft {
        if !text.is_empty() {
            self.fields.push((self.kind.at(name), Value::Text(Arc::clone(text))));
        }
        self
    }

    fn put(self, project: &mut Project, id: u32) {
        project.put(self.kind, id, Row::of(self.fields));
    }
}

struct Seeder<'a> {
    project: &'a mut Project,
    users: &'a [User],
    world: &'a World,
    /// How many of the company's tests are here.
    cases: usize,
    /// Rendered texts by what they were rendered from.
    memos: HashMap<String, Arc<str>>,
    /// Folder of each suite that is here.
    folders: HashMap<u32, u32>,
}

fn id(identity: &Identity) -> Option<u32> {
    identity.other.map(|other| other.0)
}

impl<'a> Seeder<'a> {
    fn new(project: &'a mut Project, users: &'a [User], world: &'a World, cases: usize) -> Self {
        Seeder { project, users, world, cases, memos: HashMap::new(), folders: HashMap::new() }
    }

    fn fill(&mut self, versioned: bool) {
        self.requirements();
        self.folders();
        self.tests();
        if versioned {
            self.versions();
        } else {
            self.defects();
            self.runs();
            self.files();
        }
        let next = self.world.next_other.0;
        for kind in [Kind::Test, Kind::Requirement, Kind::Defect, Kind::TestSet] {
            let last = &mut self.project.last[kind as usize];
            *last = (*last).max(next);
        }
        for (kind, first) in [(Kind::TestFolder, FIRST_FOLDER), (Kind::TestConfig, FIRST_CONFIG)] {
            let last = &mut self.project.last[kind as usize];
            *last = (*last).max(first + next);
        }
    }

    fn pooled(&mut self, text: &str) -> Arc<str> {
        self.project.pooled(text)
    }

    fn login(&mut self, user: u16) -> Arc<str> {
        let login = self.users.get(usize::from(user)).map_or("", |u| u.login.as_str());
        self.project.pooled(login)
    }

    fn memo(&mut self, html: String) -> Arc<str> {
        if let Some(known) = self.memos.get(&html) {
            return Arc::clone(known);
        }
        let text: Arc<str> = memo::memo(&html).into();
        self.memos.insert(html, Arc::clone(&text));
        text
    }

    fn rich(&mut self, text: &RichText) -> Arc<str> {
        self.memo(memo::of_world(text))
    }

    /// The comments on a subject, one below the other, as the desktop client appends them.
    fn comments(&mut self) -> HashMap<(u8, u32), String> {
        let mut out: HashMap<(u8, u32), String> = HashMap::new();
        for comment in &self.world.comments {
            let Some(key) = subject(comment.on) else { continue };
            let user = self.users.get(usize::from(comment.author));
            let (name, login) = user.map_or(("", ""), |u| (u.name.as_str(), u.login.as_str()));
            let day = time::moment(time::local(comment.at), "%-m/%-d/%Y");
            let entry = out.entry(key).or_default();
            if !entry.is_empty() {
                entry.push_str("<div><font color=\"#000080\"><b>________________________________________</b></font></div>");
            }
            entry.push_str(&format!(
                "<div><font color=\"#000080\"><b>{name} &lt;{login}&gt;, {day}:</b></font></div>{}",
                memo::of_world(&comment.text)
            ));
        }
        out
    }

    fn stamped(&mut self, draft: Draft, stamps: &Stamps) -> Draft {
        draft
            .num("last-modified", time::local(stamps.updated))
            .num("ver-stamp", if stamps.updated == stamps.created { 1 } else { 2 })
    }

    fn references(&mut self, draft: Draft, identity: &Identity, fields: [&str; 2]) -> Draft {
        let Some(ado) = identity.other_refers_to else { return draft };
        draft.text(fields[0], &ado.to_string().into()).text(fields[1], &format!("{ADO}/{ado}").into())
    }

    fn requirements(&mut self) {
        let world = self.world;
        let mut comments = self.comments();
        for (n, requirement) in world.requirements.iter().enumerate() {
            let Some(number) = id(&requirement.identity) else { continue };
            let created = time::local(requirement.stamps.created);
            let remarks = comments.remove(&(2, n as u32)).unwrap_or_default();
            let draft = Draft::of(Kind::Requirement)
                .num("parent-id", 0)
                .num("type-id", 3)
                .num("order-id", i64::from(number))
                .num("creation-time", time::day(created))
                .text("name", &plain_name(&requirement.title))
                .text("description", &self.rich(&requirement.description))
                .text("comments", &self.memo(remarks))
                .text("owner", &self.login(requirement.stamps.created_by))
                .text("req-priority", &self.pooled(priority(requirement.priority)))
                .text("req-time", &self.pooled(&time::time_text(created)))
                .text("has-rich-content", &self.pooled("N"));
            let draft = self.references(draft, &requirement.identity, ["user-01", "user-02"]);
            self.stamped(draft, &requirement.stamps).put(self.project, number);
        }
    }

    /// Plans and their suites as folders; what nests there nests here.
    fn folders(&mut self) {
        let world = self.world;
        let mut plans: HashMap<u32, u32> = HashMap::new();
        let mut order = 1;
        for (n, plan) in world.plans.iter().enumerate() {
            let Some(number) = id(&plan.identity) else { continue };
            plans.insert(n as u32, FIRST_FOLDER + number);
            self.folder(FIRST_FOLDER + number, 2, order, &plan.title, &plan.description, &plan.stamps);
            order += 1;
        }
        for (n, suite) in world.suites.iter().enumerate() {
            let Some(number) = id(&suite.identity) else { continue };
            let above = suite.parent.and_then(|p| self.folders.get(&p)).copied();
            let above = above.or_else(|| suite.plan.and_then(|p| plans.get(&p)).copied()).unwrap_or(2);
            self.folders.insert(n as u32, FIRST_FOLDER + number);
            self.folder(FIRST_FOLDER + number, above, order, &suite.title, &suite.description, &suite.stamps);
            order += 1;
        }
    }

    fn folder(
        &mut self,
        number: u32,
        above: u32,
        order: i64,
        title: &str,
        description: &RichText,
        stamps: &Stamps,
    ) {
        let draft = Draft::of(Kind::TestFolder)
            .num("parent-id", i64::from(above))
            .num("order-id", order)
            .text("name", &plain_name(title))
            .text("description", &self.rich(description));
        self.stamped(draft, stamps).put(self.project, number);
    }

    /// The folder of a case: its home's, or that of another suite that is here; none: unattached.
    fn home(&self, case: usize, suites: &HashMap<CaseIndex, u32>) -> u32 {
        let home = self.world.cases[case].home.and_then(|h| self.folders.get(&h)).copied();
        home.or_else(|| suites.get(&(case as u32)).copied()).unwrap_or(0)
    }

    fn tests(&mut self) {
        let world = self.world;
        let mut suites: HashMap<CaseIndex, u32> = HashMap::new();
        for (n, suite) in world.suites.iter().enumerate() {
            if let Some(folder) = self.folders.get(&(n as u32)) {
                suite.cases.iter().for_each(|case| {
                    suites.entry(*case).or_insert(*folder);
                });
            }
        }
        let mut comments = self.comments();
        let mut names: HashSet<(u32, String)> = HashSet::new();
        let here = world.cases.iter().enumerate().filter(|(_, c)| c.identity.in_other()).take(self.cases);
        for (n, case) in here.collect::<Vec<_>>() {
            let Some(number) = id(&case.identity) else { continue };
            let folder = self.home(n, &suites);
            let mut name = plain_name(&case.title);
            // Names are unique within their folder: the later one was given a number.
            if !names.insert((folder, name.to_lowercase())) {
                let suffix = format!(" ({})", case.identity.ado_id.unwrap_or(number));
                let kept: String = name.chars().take(255 - suffix.len()).collect();
                name = format!("{kept}{suffix}").into();
                names.insert((folder, name.to_lowercase()));
            }
            self.test(case, number, folder, &name, comments.remove(&(0, n as u32)).unwrap_or_default());
        }
    }

    fn test(
        &mut self,
        case: &crate::sandbox::world::Case,
        number: u32,
        folder: u32,
        name: &Arc<str>,
        remarks: String,
    ) {
        let created = time::local(case.stamps.created);
        let subtype = if case.automation.is_some() { "EXTERNAL-TEST" } else { "MANUAL" };
        let status = match case.state {
            Stand::New => "Design",
            Stand::InProgress | Stand::Done => "Ready",
        };
        let owner = case.owner.unwrap_or(case.stamps.created_by);
        let class = case.automation.as_deref().unwrap_or_default();
        let (package, class) = class.rsplit_once('.').unwrap_or(("", class));
        let draft = Draft::of(Kind::Test)
            .num("parent-id", i64::from(folder))
            .num("creation-time", time::day(created))
            .text("name", name)
            .text("subtype-id", &self.pooled(subtype))
            .text("status", &self.pooled(status))
            .text("exec-status", &self.pooled("No Run"))
            .text("owner", &self.login(owner))
            .text("description", &self.rich(&case.description))
            .text("dev-comments", &self.memo(remarks))
            .text("ut-package-name", &package.into())
            .text("ut-class-name", &class.into())
            .text("user-01", &self.pooled(priority(case.priority)))
            .text("user-02", &case.tags.join("; ").into());
        let draft = self.references(draft, &case.identity, ["user-03", "user-04"]);
        self.stamped(draft, &case.stamps).put(self.project, number);
        self.config(number, name, created, owner);
        let modified = time::local(case.stamps.updated);
        for (at, step) in case.steps.iter().enumerate() {
            let action = memo::of_world(&step.action) + &memo::of_world(&step.data);
            let draft = Draft::of(Kind::DesignStep)
                .num("parent-id", i64::from(number))
                .num("step-order", at as i64 + 1)
                .num("vts", modified)
                .num("ver-stamp", 1)
                .text("name", &self.pooled(&format!("Step {}", at + 1)))
                .text("description", &self.memo(action))
                .text("expected", &self.rich(&step.expected));
            let step = self.project.take_id(Kind::DesignStep);
            draft.put(self.project, step);
        }
        self.coverage(case, number, modified);
    }

    fn config(&mut self, test: u32, name: &Arc<str>, created: i64, owner: u16) {
        let draft = Draft::of(Kind::TestConfig)
            .num("parent-id", i64::from(test))
            .num("creation-time", time::day(created))
            .num("last-modified", created)
            .text("name", name)
            .text("owner", &self.login(owner))
            .text("exec-status", &self.pooled("No Run"));
        draft.put(self.project, FIRST_CONFIG + test);
    }

    fn coverage(&mut self, case: &crate::sandbox::world::Case, test: u32, modified: i64) {
        for requirement in &case.requirements {
            let Some(covered) = id(&self.world.requirements[*requirement as usize].identity) else {
                continue;
            };
            let draft = Draft::of(Kind::Coverage)
                .num("requirement-id", i64::from(covered))
                .num("test-id", i64::from(test))
                .num("last-modified", modified)
                .text("entity-type", &self.pooled("test"))
                .text("coverage-mode", &self.pooled("All Configurations"));
            let coverage = self.project.take_id(Kind::Coverage);
            draft.put(self.project, coverage);
        }
    }

    fn defects(&mut self) {
        let world = self.world;
        let mut comments = self.comments();
        for (n, bug) in world.bugs.iter().enumerate() {
            let Some(number) = id(&bug.identity) else { continue };
            let status = match bug.state {
                Stand::New => "New",
                Stand::InProgress => "Open",
                Stand::Done => "Closed",
            };
            let created = time::local(bug.stamps.created);
            let mut draft = Draft::of(Kind::Defect)
                .num("creation-time", time::day(created))
                .text("name", &plain_name(&bug.title))
                .text("description", &self.rich(&bug.description))
                .text("dev-comments", &self.memo(comments.remove(&(1, n as u32)).unwrap_or_default()))
                .text("status", &self.pooled(status))
                .text("severity", &self.pooled("2-Medium"))
                .text("priority", &self.pooled(priority(bug.priority)))
                .text("detected-by", &self.login(bug.stamps.created_by))
                .text("reproducible", &self.pooled("Y"));
            if let Some(owner) = bug.owner {
                draft = draft.text("owner", &self.login(owner));
            }
            if bug.state == Stand::Done {
                draft = draft.num("closing-date", time::day(time::local(bug.stamps.updated)));
            }
            let draft = self.references(draft, &bug.identity, ["user-01", "user-02"]);
            self.stamped(draft, &bug.stamps).put(self.project, number);
            for case in &bug.cases {
                if let Some(test) = id(&world.cases[*case as usize].identity) {
                    self.link(number, Kind::Test, test, bug.stamps.created_by, created);
                }
            }
        }
    }

    fn link(&mut self, defect: u32, kind: Kind, other: u32, by: u16, at: i64) {
        let draft = Draft::of(Kind::DefectLink)
            .num("first-endpoint-id", i64::from(defect))
            .num("second-endpoint-id", i64::from(other))
            .num("creation-time", time::day(at))
            .num("last-modified", at)
            .text("second-endpoint-type", &self.pooled(kind.name()))
            .text("owner", &self.login(by));
        let link = self.project.take_id(Kind::DefectLink);
        draft.put(self.project, link);
    }

    /// Runs as test sets, in a folder per plan.
    fn runs(&mut self) {
        let world = self.world;
        let mut folders: HashMap<u32, u32> = HashMap::new();
        self.project.last[Kind::TestSetFolder as usize] = 100;
        for (n, run) in world.runs.iter().enumerate() {
            let Some(set) = id(&run.identity) else { continue };
            let plan = run.plans.first().copied().unwrap_or_default();
            let folder = match folders.get(&plan) {
                Some(folder) => *folder,
                None => {
                    let plan_of = &world.plans[plan as usize];
                    let number = self.project.take_id(Kind::TestSetFolder);
                    let draft = Draft::of(Kind::TestSetFolder)
                        .num("parent-id", 0)
                        .num("order-id", i64::from(number))
                        .text("name", &plain_name(&plan_of.title));
                    self.stamped(draft, &plan_of.stamps).put(self.project, number);
                    folders.insert(plan, number);
                    number
                }
            };
            let done = run.state == Stand::Done;
            let mut draft = Draft::of(Kind::TestSet)
                .num("parent-id", i64::from(folder))
                .num("open-date", time::day(time::local(run.started)))
                .num("last-modified", time::local(run.ended))
                .num("ver-stamp", 2)
                .text("name", &plain_name(&run.title))
                .text("subtype-id", &self.pooled("hp.qc.test-set.default"))
                .text("status", &self.pooled(if done { "Closed" } else { "Open" }));
            if done {
                draft = draft.num("close-date", time::day(time::local(run.ended)));
            }
            draft.put(self.project, set);
            let platform = run.configuration.map_or("", |c| world.configurations[usize::from(c)].name);
            let results: Vec<_> =
                world.results_of(u32::try_from(n).unwrap_or(u32::MAX)).map(|(_, r)| r).collect();
            for (order, result) in results.into_iter().enumerate() {
                self.result(set, order as i64 + 1, result, platform, run.started);
            }
        }
    }

    fn result(&mut self, set: u32, order: i64, result: &TestResult, platform: &str, planned: Time) {
        let case = &self.world.cases[result.case as usize];
        let Some(test) = id(&case.identity).filter(|t| self.project.row(Kind::Test, *t).is_some()) else {
            return;
        };
        let subtype =
            self.project.row(Kind::Test, test).map_or("", |t| t.text(Kind::Test.at("subtype-id"))).to_owned();
        let lab = rules::lab_type(&subtype);
        let (tester, started) = (self.login(result.tester), time::local(result.started));
        let status = self.pooled(status(result.outcome));
        let open = result.outcome == Outcome::Open;
        let ended = started + i64::from(result.seconds);
        let clock = self.pooled(&time::time_text(started));
        let mut instance = Draft::of(Kind::TestInstance)
            .num("cycle-id", i64::from(set))
            .num("test-id", i64::from(test))
            .num("test-config-id", i64::from(FIRST_CONFIG + test))
            .num("test-instance", 1)
            .num("order-id", order)
            .num("last-modified", if open { time::local(planned) } else { ended })
            .num("ver-stamp", if open { 1 } else { 2 })
            .text("subtype-id", &self.pooled(&format!("hp.qc.test-instance.{lab}")))
            .text("status", &status)
            .text("owner", &tester);
        if !open {
            instance = instance
                .num("exec-date", time::day(started))
                .text("exec-time", &clock)
                .text("actual-tester", &tester);
        }
        let number = self.project.take_id(Kind::TestInstance);
        instance.put(self.project, number);
        if open {
            return;
        }
        let remark = result.comment.unwrap_or_default().replace('&', "&amp;").replace('<', "&lt;");
        let draft = Draft::of(Kind::Run)
            .num("test-id", i64::from(test))
            .num("cycle-id", i64::from(set))
            .num("testcycl-id", i64::from(number))
            .num("test-config-id", i64::from(FIRST_CONFIG + test))
            .num("test-instance", 1)
            .num("duration", i64::from(result.seconds))
            .num("execution-date", time::day(started))
            .num("last-modified", ended)
            .num("ver-stamp", 2)
            .text("name", &time::moment(started, "Run_%-m-%-d_%H-%M-%S").into())
            .text("subtype-id", &self.pooled(&format!("hp.qc.run.{lab}")))
            .text("status", &status)
            .text("owner", &tester)
            .text("execution-time", &clock)
            .text("os-name", &self.pooled(platform))
            .text("comments", &self.memo(remark))
            .text("draft", &self.pooled("N"));
        let run = self.project.take_id(Kind::Run);
        draft.put(self.project, run);
        self.run_steps(run, test, result, &clock);
        let test_status = vec![(Kind::Test.at("exec-status"), Some(Value::Text(Arc::clone(&status))))];
        self.project.edit(Kind::Test, test, test_status);
        let of_config = vec![(Kind::TestConfig.at("exec-status"), Some(Value::Text(status)))];
        self.project.edit(Kind::TestConfig, FIRST_CONFIG + test, of_config);
        if let Some(defect) = result.bug.and_then(|b| id(&self.world.bugs[b as usize].identity)) {
            self.link(defect, Kind::Run, run, result.tester, ended);
        }
    }

    fn run_steps(&mut self, run: u32, test: u32, result: &TestResult, clock: &Arc<str>) {
        let outcomes = self.world.step_outcomes(result);
        let steps = self.project.children(Kind::DesignStep, "parent-id", test);
        let day = time::day(time::local(result.started));
        for ((order, step), outcome) in steps.into_iter().enumerate().zip(outcomes) {
            let from = Kind::DesignStep;
            let text = |project: &Project, name: &str| match project
                .row(from, step)
                .and_then(|r| r.get(from.at(name)))
            {
                Some(Value::Text(text)) => Arc::clone(text),
                _ => "".into(),
            };
            let parts = ["name", "description", "expected"].map(|name| text(self.project, name));
            let status = self.pooled(status(outcome));
            let draft = Draft::of(Kind::RunStep)
                .num("parent-id", i64::from(run))
                .num("desstep-id", i64::from(step))
                .num("test-id", i64::from(test))
                .num("step-order", order as i64 + 1)
                .num("execution-date", day)
                .text("execution-time", clock)
                .text("name", &parts[0])
                .text("description", &parts[1])
                .text("expected", &parts[2])
                .text("status", &status);
            let number = self.project.take_id(Kind::RunStep);
            draft.put(self.project, number);
        }
    }

    fn files(&mut self) {
        let world = self.world;
        for file in &world.attachments {
            let (kind, on) = match file.on {
                Subject::Case(case) => (Kind::Test, id(&world.cases[case as usize].identity)),
                Subject::Bug(bug) => (Kind::Defect, id(&world.bugs[bug as usize].identity)),
                Subject::Requirement(r) => (Kind::Requirement, id(&world.requirements[r as usize].identity)),
                Subject::Result(run, result) => (Kind::Run, self.run_of(run, result)),
            };
            let Some(on) = on.filter(|on| self.project.row(kind, *on).is_some()) else { continue };
            let number = self.project.take_id(Kind::Attachment);
            // Names are unique on their subject.
            let taken = |name: &str| {
                let all = self.project.children(Kind::Attachment, "parent-id", on);
                let at = Kind::Attachment;
                all.into_iter().any(|a| {
                    self.project.row(at, a).is_some_and(|r| {
                        r.text(at.at("name")) == name && r.text(at.at("parent-type")) == kind.name()
                    })
                })
            };
            let name = if taken(&file.name) { format!("{number} {}", file.name) } else { file.name.clone() };
            attachments::put(
                self.project,
                number,
                kind,
                on,
                &name,
                "",
                0,
                file.content().into(),
                time::local(file.at),
            );
        }
    }

    /// The run of a result: the one of its test in the run's test set.
    fn run_of(&self, run: u32, result: u32) -> Option<u32> {
        let set = id(&self.world.runs[run as usize].identity)?;
        let test = id(&self.world.cases[self.world.results[result as usize].case as usize].identity)?;
        let runs = self.project.children(Kind::Run, "cycle-id", set);
        let at = Kind::Run.at("test-id");
        runs.into_iter()
            .find(|r| self.project.row(Kind::Run, *r).and_then(|r| r.num(at)) == Some(i64::from(test)))
    }

    /// Everything was checked in once, by its author.
    fn versions(&mut self) {
        for kind in [Kind::Test, Kind::Requirement] {
            let ids: Vec<u32> =
                self.project.rows(kind).keys().copied().filter(|id| !rules::is_root(kind, *id)).collect();
            for id in ids {
                let status = self.pooled("Checked_In");
                let fields = vec![
                    (kind.at("vc-status"), Some(Value::Text(status))),
                    (kind.at("vc-version-number"), Some(Value::Num(1))),
                ];
                self.project.edit(kind, id, fields);
                let row = self.project.row(kind, id).cloned().unwrap_or_default();
                let at = row.num(kind.at("last-modified")).unwrap_or_default();
                let version = Version { number: 1, user: 0, at, comment: String::new(), row };
                self.project.versions.insert((kind, id), vec![version]);
            }
        }
    }
}

fn subject(subject: Subject) -> Option<(u8, u32)> {
    match subject {
        Subject::Case(case) => Some((0, case)),
        Subject::Bug(bug) => Some((1, bug)),
        Subject::Requirement(requirement) => Some((2, requirement)),
        Subject::Result(..) => None,
    }
}

/// A title as a name, in which no backslash may be.
fn plain_name(title: &str) -> Arc<str> {
    title.replace('\\', "-").into()
}

fn priority(priority: u8) -> &'static str {
    match priority {
        1 => "4-Very High",
        2 => "3-High",
        3 => "2-Medium",
        _ => "1-Low",
    }
}

fn status(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "Passed",
        Outcome::Failed => "Failed",
        Outcome::Blocked => "Blocked",
        Outcome::NotApplicable => "N/A",
        Outcome::Open => "No Run",
        Outcome::Paused => "Paused",
    }
}
