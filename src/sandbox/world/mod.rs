//! A made-up company that tests a calculator: what the emulators are filled with.
//!
//! It is neutral. It says which artifact exists in Azure DevOps ("ado"), which in
//! the other test tool ("other": Jira Xray, ALM, Octane, TestRail, whichever is
//! served), and fixes the identifiers of both, so that the cross-reference
//! fields which one emulator shows name artifacts that the other really has.
//!
//! Rules that hold for every emulator:
//!
//! * An artifact exists in a system exactly if it has an id there.
//! * A membership, a link, a comment or an attachment exists in a system where all its ends exist.
//! * A result exists where its run exists; its case always exists there too.
//! * Indices (`CaseIndex` and the like) point into the vectors of [`World`]; they mean nothing outside.
//! * Ids are taken from the world; what an emulator creates later continues after
//!   [`World::next_ado_id`], [`World::next_ado_run_id`] and [`World::next_other`].

mod activity;
mod generate;
mod hard;
mod text;
mod words;

use std::ops::Range;

#[allow(unused_imports, reason = "emulators take it apart by these names")]
pub(crate) use text::{Block, Inline, RichText};

/// An instant; always whole seconds, in UTC, before [`World::now`].
pub(crate) type Time = chrono::DateTime<chrono::Utc>;
/// Position in [`World::users`].
pub(crate) type UserIndex = u16;
/// Position in [`World::configurations`].
pub(crate) type ConfigurationIndex = u16;
/// Position in [`World::plans`].
pub(crate) type PlanIndex = u32;
/// Position in [`World::suites`].
pub(crate) type SuiteIndex = u32;
/// Position in [`World::cases`].
pub(crate) type CaseIndex = u32;
/// Position in [`World::runs`].
pub(crate) type RunIndex = u32;
/// Position in [`World::results`].
pub(crate) type ResultIndex = u32;
/// Position in [`World::bugs`].
pub(crate) type BugIndex = u32;
/// Position in [`World::requirements`].
pub(crate) type RequirementIndex = u32;

/// The project's name, in every system.
pub(crate) const PROJECT: &str = "Calculator";
/// The project's key, in systems that have keys: `CALC-17`.
pub(crate) const PROJECT_KEY: &str = "CALC";
/// The first result of every run has this id in Azure DevOps.
pub(crate) const FIRST_RESULT_ID: u32 = 100_000;

/// The whole company. Made once by [`World::generate`]; never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct World {
    /// What it was made from: the number of cases asked for.
    pub(crate) size: usize,
    /// What it was made from: the seed.
    pub(crate) seed: u64,
    /// The day on which the company is looked at; nothing in it is later. Fixed, not the clock's.
    pub(crate) now: Time,
    /// The people. User 0 is the account whose credentials the emulator hands out;
    /// a system gives each its own id, derived from the index or the login.
    pub(crate) users: Vec<User>,
    /// Area paths below the project, parents before children: `["Quality", "Engine"]`.
    pub(crate) areas: Vec<Vec<&'static str>>,
    /// Iteration paths below the project, parents before children.
    pub(crate) iterations: Vec<Vec<&'static str>>,
    /// Test configurations (ADO), test environments (Xray), platforms elsewhere. Number 0 is the default.
    pub(crate) configurations: Vec<Configuration>,
    /// Test plans.
    pub(crate) plans: Vec<Plan>,
    /// Suites of all plans; parents before children.
    pub(crate) suites: Vec<Suite>,
    /// Test cases.
    pub(crate) cases: Vec<Case>,
    /// Test runs (ADO), test executions (Xray).
    pub(crate) runs: Vec<Run>,
    /// Results of all runs; a run's are contiguous, see [`Run::results`].
    pub(crate) results: Vec<TestResult>,
    /// Defects: bugs in ADO and Jira.
    pub(crate) bugs: Vec<Bug>,
    /// Requirements: user stories (ADO), stories (Jira).
    pub(crate) requirements: Vec<Requirement>,
    /// Comments (discussion) on artifacts, oldest first per artifact.
    pub(crate) comments: Vec<Comment>,
    /// Attached files.
    pub(crate) attachments: Vec<Attachment>,
    /// The first work item id in Azure DevOps that is free.
    pub(crate) next_ado_id: u32,
    /// The first run id in Azure DevOps that is free.
    pub(crate) next_ado_run_id: u32,
    /// The first id on the other side that is free.
    pub(crate) next_other: OtherId,
}

/// An artifact's id on the other side: one sequence over all its artifacts, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OtherId(pub(crate) u32);

/// What Jira makes of an [`OtherId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JiraId {
    /// The numeric issue id, above 10000.
    pub(crate) id: u32,
    /// The number in the key.
    pub(crate) number: u32,
}

/// Which systems hold an artifact, under which ids, and what their cross-reference fields say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The id in Azure DevOps: of the work item, or of the run in the runs' own sequence.
    pub(crate) ado_id: Option<u32>,
    /// The id on the other side.
    pub(crate) other: Option<OtherId>,
    /// What ADO's field for the other's id (`Xray ID`, `Xray URL`, …) holds; none:
    /// the field is empty. Usually this artifact's own `other`, but a clone holds its
    /// original's. A system without such a field on this artifact (suites, ADO runs) ignores it.
    pub(crate) ado_refers_to: Option<OtherId>,
    /// What the other side's `Azure DevOps ID` and `Azure DevOps URL` hold; likewise.
    pub(crate) other_refers_to: Option<u32>,
}

/// A person with an account in every system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// The display name; may hold letters outside ASCII; unique.
    pub(crate) name: String,
    /// The login and mail address, ASCII.
    pub(crate) email: String,
    /// Whether the account still works. What an inactive user once wrote stays theirs.
    pub(crate) active: bool,
}

/// Under what a case is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Configuration {
    /// Unique name: `Windows 11`.
    pub(crate) name: &'static str,
}

/// Where an artifact stands. ADO cases: Design, Ready, Closed; ADO plans: Active, Active,
/// Inactive; ADO suites: In Planning, In Progress, Completed; ADO bugs and stories: New, Active, Closed;
/// Jira: New, In Progress, Closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    New,
    InProgress,
    Done,
}

/// A test plan: a work item with its root suite in ADO, a Test Plan issue in Xray.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) identity: Identity,
    /// The root suite's id in ADO, the one after the plan's; its title is the plan's.
    pub(crate) root_suite_ado_id: Option<u32>,
    /// Unique among plans.
    pub(crate) title: String,
    pub(crate) description: RichText,
    pub(crate) state: State,
    /// Position in [`World::areas`].
    pub(crate) area: usize,
    /// Position in [`World::iterations`].
    pub(crate) iteration: usize,
    pub(crate) owner: UserIndex,
    pub(crate) start: Time,
    /// At least four weeks after `start`; may lie after [`World::now`].
    pub(crate) end: Time,
    /// The configurations that its points are made for by default; never empty.
    pub(crate) configurations: Vec<ConfigurationIndex>,
    /// Every case in a suite of this plan, once, in suite order: the tests of the Xray
    /// test plan (those that exist there).
    pub(crate) cases: Vec<CaseIndex>,
    pub(crate) stamps: Stamps,
}

/// How a suite gets its cases. Query and requirement suites exist in ADO only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SuiteKind {
    /// By hand. In Xray: a test set.
    Static,
    /// By a query for test cases that bear this tag.
    Query {
        /// The tag; see [`Case::tags`].
        tag: &'static str,
    },
    /// The cases that test a requirement, which exists in ADO too.
    Requirement(RequirementIndex),
}

/// A suite of a plan in ADO; a test set in Xray, linked to its plan and holding its cases;
/// a folder where cases live in folders (a case's folder is its first suite, see [`Case::home`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suite {
    pub(crate) identity: Identity,
    pub(crate) kind: SuiteKind,
    /// Its plan; none: a set of the other side that no plan knows.
    pub(crate) plan: Option<PlanIndex>,
    /// The suite above, in the same plan; none: directly below the plan's root suite. Where the
    /// parent exists, so does it at least there. Xray's sets do not nest: ignore it.
    pub(crate) parent: Option<SuiteIndex>,
    /// Unique among siblings.
    pub(crate) title: String,
    pub(crate) description: RichText,
    pub(crate) state: State,
    /// Its cases, in order, each once. Those that exist in the system are its members there.
    /// For query and requirement suites: what the query finds.
    pub(crate) cases: Vec<CaseIndex>,
    pub(crate) stamps: Stamps,
}

/// A test case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) identity: Identity,
    /// 1 to 255 characters; may hold `<`, `&`, quotes and letters outside ASCII; not unique.
    pub(crate) title: String,
    pub(crate) description: RichText,
    /// None if it is automated.
    pub(crate) steps: Vec<Step>,
    /// The automated test that executes it (ADO: associated automation; Xray: a Generic test's definition).
    pub(crate) automation: Option<String>,
    pub(crate) state: State,
    /// 1 (highest) to 4. Jira: Highest, High, Medium, Low.
    pub(crate) priority: u8,
    /// Tags (ADO), labels (Jira): lower-case words without blanks.
    pub(crate) tags: Vec<&'static str>,
    pub(crate) area: usize,
    pub(crate) iteration: usize,
    /// Who it is assigned to.
    pub(crate) owner: Option<UserIndex>,
    /// The requirements it tests (ADO: Tests/TestedBy; Jira: link type Test).
    pub(crate) requirements: Vec<RequirementIndex>,
    /// The first static suite that holds it; its folder, where cases live in folders.
    pub(crate) home: Option<SuiteIndex>,
    /// The case of which this is a copy, made with the original's cross-reference field.
    pub(crate) clone_of: Option<CaseIndex>,
    pub(crate) stamps: Stamps,
}

/// One step of a case. ADO has no data field: there `data` follows the action in a paragraph of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) action: RichText,
    /// Often empty.
    pub(crate) data: RichText,
    /// Sometimes empty.
    pub(crate) expected: RichText,
}

/// A test run in ADO (of its first plan), a test execution in Xray (linked to all its plans).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) identity: Identity,
    pub(crate) title: String,
    /// At least one, all existing wherever the run does. More than one only on the other side.
    pub(crate) plans: Vec<PlanIndex>,
    /// The configuration of all its results (Xray: the execution's test environment);
    /// none: its results differ, see [`TestResult::configuration`]. Such runs exist in ADO only.
    pub(crate) configuration: Option<ConfigurationIndex>,
    pub(crate) owner: UserIndex,
    pub(crate) started: Time,
    /// When the last result was in.
    pub(crate) ended: Time,
    /// NotStarted, InProgress, Completed in ADO; the status in Jira.
    pub(crate) state: State,
    /// Its results in [`World::results`]. In ADO their ids are [`FIRST_RESULT_ID`] and onwards, in this order.
    pub(crate) results: Range<ResultIndex>,
}

/// How a result came out. ADO: Passed, Failed, Blocked, NotApplicable, Unspecified (state
/// Pending); Xray Cloud: PASSED, FAILED, and so on as its documents name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    Blocked,
    NotApplicable,
    /// Not executed yet: no start, no tester's verdict (Xray: TO DO).
    Open,
    /// A value of this company's own that no shipped pipeline maps: in Xray a custom run
    /// status `PAUSED`. Only one result of the other side holds it. A system that cannot have
    /// such a value shows `Open`.
    Paused,
}

/// A result: of a point in ADO, of a test in an execution in Xray. At most one per run, case and configuration.
///
/// The ADO point is that of (`run.plans[0]`, `suite`, `case`, `configuration`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestResult {
    pub(crate) case: CaseIndex,
    /// The first suite of the run's first plan that exists in ADO and holds the case; none
    /// only where the run does not exist in ADO.
    pub(crate) suite: Option<SuiteIndex>,
    pub(crate) configuration: ConfigurationIndex,
    pub(crate) outcome: Outcome,
    /// The step at which it failed or was blocked; see [`World::step_outcomes`].
    pub(crate) failed_step: Option<u8>,
    pub(crate) tester: UserIndex,
    /// Within the run's time. For `Open` it has no meaning: do not show it.
    pub(crate) started: Time,
    pub(crate) seconds: u32,
    /// One line of plain text.
    pub(crate) comment: Option<&'static str>,
    /// The bug filed from it; exists wherever the run does.
    pub(crate) bug: Option<BugIndex>,
}

/// A defect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bug {
    pub(crate) identity: Identity,
    pub(crate) title: String,
    /// ADO: Repro Steps.
    pub(crate) description: RichText,
    pub(crate) state: State,
    /// 1 to 4, as for cases.
    pub(crate) priority: u8,
    pub(crate) area: usize,
    pub(crate) owner: Option<UserIndex>,
    /// The cases it was found by (ADO: Tests; Jira: a link, or the run's defects).
    pub(crate) cases: Vec<CaseIndex>,
    pub(crate) stamps: Stamps,
}

/// A requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Requirement {
    pub(crate) identity: Identity,
    pub(crate) title: String,
    pub(crate) description: RichText,
    pub(crate) state: State,
    pub(crate) priority: u8,
    pub(crate) area: usize,
    pub(crate) iteration: usize,
    pub(crate) owner: Option<UserIndex>,
    pub(crate) stamps: Stamps,
}

/// Who made an artifact when, and who changed it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamps {
    pub(crate) created_by: UserIndex,
    pub(crate) created: Time,
    pub(crate) updated_by: UserIndex,
    /// Not before `created`.
    pub(crate) updated: Time,
}

/// What a comment or a file hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Case(CaseIndex),
    Bug(BugIndex),
    Requirement(RequirementIndex),
    /// Files only. The run is the one whose range holds the result.
    Result(RunIndex, ResultIndex),
}

/// A comment in an artifact's discussion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comment {
    pub(crate) on: Subject,
    pub(crate) author: UserIndex,
    pub(crate) at: Time,
    pub(crate) text: RichText,
}

/// An attached file. Its content is computed when asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) on: Subject,
    /// The file name; may hold blanks and letters outside ASCII; not unique on its subject.
    pub(crate) name: String,
    /// `image/png`, `text/plain`, `application/octet-stream`.
    pub(crate) media_type: &'static str,
    pub(crate) author: UserIndex,
    pub(crate) at: Time,
    /// Bytes; may be 0.
    pub(crate) size: u32,
    seed: u64,
}

impl OtherId {
    /// Its Jira form.
    pub(crate) fn jira(self) -> JiraId {
        JiraId { id: 10_000 + self.0, number: self.0 }
    }
}

impl JiraId {
    /// The issue key: `CALC-17`.
    pub(crate) fn key(self) -> String {
        format!("{PROJECT_KEY}-{}", self.number)
    }
}

impl Identity {
    /// Whether it exists in Azure DevOps.
    pub(crate) fn in_ado(&self) -> bool {
        self.ado_id.is_some()
    }

    /// Whether it exists on the other side.
    pub(crate) fn in_other(&self) -> bool {
        self.other.is_some()
    }

    /// The Jira id, if it exists on the other side.
    pub(crate) fn jira(&self) -> Option<JiraId> {
        self.other.map(OtherId::jira)
    }
}

impl Attachment {
    /// The file's content: always the same for the same world.
    pub(crate) fn content(&self) -> Vec<u8> {
        let mut state = self.seed;
        let text = self.media_type.starts_with("text/");
        let mut out = Vec::with_capacity(self.size as usize);
        if self.media_type == "image/png" {
            out.extend_from_slice(b"\x89PNG\r\n\x1a\n");
        }
        while out.len() < self.size as usize {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let byte = (state >> 56) as u8;
            out.push(if text { b'a' + byte % 26 } else { byte });
        }
        out.truncate(self.size as usize);
        out
    }
}

impl World {
    /// The results of a run with their positions.
    pub(crate) fn results_of(&self, run: RunIndex) -> impl Iterator<Item = (ResultIndex, &TestResult)> {
        let range = self.runs[run as usize].results.clone();
        range.clone().zip(&self.results[range.start as usize..range.end as usize])
    }

    /// The outcome of each step of a result's case, in order. Steps after the failed one stay open.
    pub(crate) fn step_outcomes(&self, result: &TestResult) -> Vec<Outcome> {
        let steps = self.cases[result.case as usize].steps.len();
        let of_step = |n: usize| match result.failed_step {
            Some(failed) if n < usize::from(failed) => Outcome::Passed,
            Some(failed) if n > usize::from(failed) => Outcome::Open,
            _ => result.outcome,
        };
        (0..steps).map(of_step).collect()
    }
}
