//! What an instance holds: small tables in maps, and tests and results in rows side by side.
//!
//! A case's content is kept once. A test shows its case's content as it is while its run
//! is open; closing the run, or writing step results, pins the content's version, and only
//! pinned versions outlive a change.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::reply::Problem;

/// Everything of one instance.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct State {
    pub(super) next: Counters,
    pub(super) users: Vec<User>,
    pub(super) groups: BTreeMap<u32, Group>,
    pub(super) statuses: Vec<Status>,
    pub(super) fields: Vec<Field>,
    pub(super) projects: BTreeMap<u32, Project>,
    pub(super) suites: BTreeMap<u32, Suite>,
    pub(super) sections: BTreeMap<u32, Section>,
    pub(super) cases: BTreeMap<u32, Case>,
    /// Contents that a closed run or a result still shows.
    pub(super) versions: BTreeMap<u32, Content>,
    pub(super) history: BTreeMap<u32, Vec<Change>>,
    pub(super) shared: BTreeMap<u32, SharedStep>,
    pub(super) milestones: BTreeMap<u32, Milestone>,
    pub(super) labels: BTreeMap<u32, Label>,
    pub(super) config_groups: BTreeMap<u32, ConfigGroup>,
    pub(super) plans: BTreeMap<u32, Plan>,
    pub(super) runs: BTreeMap<u32, Run>,
    /// Row n is test n + 1; a deleted one has no run.
    pub(super) tests: Vec<Test>,
    pub(super) test_labels: BTreeMap<u32, Vec<u32>>,
    /// Row n is result n + 1; a deleted one has no test.
    pub(super) results: Vec<Outcome>,
    pub(super) attachments: BTreeMap<u32, Attachment>,
    /// The tests of each case, from the rows.
    #[serde(skip)]
    pub(super) tests_of: HashMap<u32, Vec<u32>>,
    /// The files of each result, also some that are gone.
    #[serde(skip)]
    pub(super) files_of: HashMap<u32, Vec<u32>>,
    /// Whether the call under way changed anything.
    #[serde(skip)]
    pub(super) touched: bool,
}

/// The last number given, by kind. Plans and runs share one sequence.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Counters {
    pub(super) project: u32,
    pub(super) suite: u32,
    pub(super) section: u32,
    pub(super) case: u32,
    pub(super) version: u32,
    pub(super) history: u32,
    pub(super) shared: u32,
    pub(super) milestone: u32,
    pub(super) label: u32,
    pub(super) group: u32,
    pub(super) config_group: u32,
    pub(super) config: u32,
    pub(super) run: u32,
    pub(super) entry: u32,
    pub(super) attachment: u32,
    pub(super) field: u32,
}

/// Gives the next number of a sequence.
pub(super) fn take(last: &mut u32) -> u32 {
    *last += 1;
    *last
}

/// An account. Its id is its place, from 1.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) active: bool,
    pub(super) admin: bool,
    pub(super) role: u8,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Group {
    pub(super) name: Box<str>,
    pub(super) users: Vec<u32>,
}

/// A status of tests and results.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Status {
    pub(super) id: u8,
    pub(super) name: String,
    pub(super) label: String,
    pub(super) colors: [u32; 3],
    pub(super) system: bool,
    pub(super) is_final: bool,
}

/// The status of a test without a result.
pub(super) const UNTESTED: u8 = 3;

/// A custom field of cases or results.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Field {
    pub(super) id: u32,
    pub(super) of_results: bool,
    pub(super) kind: u8,
    pub(super) name: String,
    pub(super) label: String,
    pub(super) description: Option<String>,
    pub(super) order: u32,
    pub(super) include_all: bool,
    pub(super) templates: Vec<u32>,
    pub(super) system: bool,
    pub(super) configs: Vec<FieldConfig>,
}

/// In which projects a field exists, and with which options there.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct FieldConfig {
    pub(super) id: String,
    pub(super) global: bool,
    pub(super) projects: Vec<u32>,
    pub(super) options: Map<String, Value>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Project {
    pub(super) name: Box<str>,
    pub(super) announcement: Option<Box<str>>,
    pub(super) show_announcement: bool,
    pub(super) completed_on: Option<i64>,
    pub(super) suite_mode: u8,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Suite {
    pub(super) project: u32,
    pub(super) name: Box<str>,
    pub(super) description: Option<Box<str>>,
    pub(super) master: bool,
    pub(super) baseline: bool,
    /// Its top sections, in order.
    pub(super) sections: Vec<u32>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Section {
    pub(super) suite: u32,
    pub(super) parent: Option<u32>,
    pub(super) name: Box<str>,
    pub(super) description: Option<Box<str>>,
    /// The sections below, in order.
    pub(super) sections: Vec<u32>,
    /// Its cases, in order.
    pub(super) cases: Vec<u32>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Case {
    pub(super) section: u32,
    pub(super) suite: u32,
    pub(super) created_by: u32,
    pub(super) created_on: i64,
    pub(super) updated_by: u32,
    pub(super) updated_on: i64,
    /// The number of its content.
    pub(super) version: u32,
    /// Whether something shows this very content for good.
    pub(super) pinned: bool,
    pub(super) content: Content,
}

/// What a test copies from its case.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Content {
    pub(super) title: Box<str>,
    pub(super) template: u32,
    pub(super) kind: u32,
    pub(super) priority: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) milestone: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refs: Option<Box<str>>,
    /// In seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) estimate: Option<u32>,
    /// Its place in an approval.
    pub(super) status: u8,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) labels: Vec<u32>,
    /// Values by the field's id, in the order of the ids.
    pub(super) custom: Vec<(u32, Custom)>,
}

/// The value of a custom field.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) enum Custom {
    Text(Box<str>),
    Number(i64),
    Flag(bool),
    Numbers(Vec<i64>),
    Steps(Box<[Step]>),
    StepResults(Box<[StepResult]>),
    /// Step results that repeat the texts of a case in one version.
    Marks(u32, u32, Box<[u8]>),
}

/// A step of a case; where it links a shared step, nothing else counts.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Step {
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub(super) content: Box<str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub(super) expected: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) additional: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refs: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shared: Option<u32>,
}

/// How a step came out.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct StepResult {
    pub(super) step: Step,
    pub(super) actual: Option<Box<str>>,
    pub(super) status: Option<u8>,
}

/// A change of a case.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Change {
    pub(super) id: u32,
    pub(super) at: i64,
    pub(super) user: u32,
    pub(super) changes: Vec<Value>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct SharedStep {
    pub(super) project: u32,
    pub(super) title: Box<str>,
    pub(super) created_by: u32,
    pub(super) created_on: i64,
    pub(super) updated_by: u32,
    pub(super) updated_on: i64,
    pub(super) steps: Box<[Step]>,
    /// Every version: number, time, user, title, steps.
    pub(super) versions: Vec<SharedVersion>,
}

/// A version of shared steps: number, time, user, title, steps.
pub(super) type SharedVersion = (u32, i64, u32, Box<str>, Box<[Step]>);

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Milestone {
    pub(super) project: u32,
    pub(super) name: Box<str>,
    pub(super) description: Option<Box<str>>,
    pub(super) refs: Option<Box<str>>,
    pub(super) parent: Option<u32>,
    pub(super) start_on: Option<i64>,
    pub(super) started_on: Option<i64>,
    pub(super) due_on: Option<i64>,
    pub(super) completed_on: Option<i64>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Label {
    pub(super) project: u32,
    pub(super) title: Box<str>,
    pub(super) created_by: u32,
    pub(super) created_on: i64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct ConfigGroup {
    pub(super) project: u32,
    pub(super) name: Box<str>,
    /// Its configurations by id, in order.
    pub(super) configs: Vec<(u32, Box<str>)>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Plan {
    pub(super) project: u32,
    pub(super) name: Box<str>,
    pub(super) description: Option<Box<str>>,
    pub(super) refs: Option<Box<str>>,
    pub(super) milestone: Option<u32>,
    pub(super) created_by: u32,
    pub(super) created_on: i64,
    pub(super) completed_on: Option<i64>,
    pub(super) start_on: Option<i64>,
    pub(super) due_on: Option<i64>,
    pub(super) entries: Vec<Entry>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Entry {
    /// A GUID.
    pub(super) id: String,
    pub(super) suite: u32,
    pub(super) name: Box<str>,
    pub(super) description: Option<Box<str>>,
    pub(super) refs: Option<Box<str>>,
    pub(super) include_all: bool,
    pub(super) runs: Vec<u32>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Run {
    pub(super) project: u32,
    pub(super) suite: u32,
    pub(super) plan: Option<u32>,
    pub(super) name: Box<str>,
    pub(super) description: Option<Box<str>>,
    pub(super) refs: Option<Box<str>>,
    pub(super) milestone: Option<u32>,
    pub(super) assigned_to: Option<u32>,
    pub(super) include_all: bool,
    pub(super) config_ids: Vec<u32>,
    pub(super) created_by: u32,
    pub(super) created_on: i64,
    pub(super) updated_on: Option<i64>,
    pub(super) completed_on: Option<i64>,
    pub(super) start_on: Option<i64>,
    pub(super) due_on: Option<i64>,
    /// Its tests, in order.
    pub(super) tests: Vec<u32>,
    /// Its results, oldest first.
    pub(super) results: Vec<u32>,
}

/// A case in a run.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct Test {
    pub(super) run: u32,
    pub(super) case: u32,
    /// The content shown once the run is closed; 0 while it is the case's own.
    pub(super) version: u32,
    /// Its newest result; 0: none.
    pub(super) last: u32,
    /// 0: nobody.
    pub(super) assigned_to: u16,
    pub(super) status: u8,
}

/// One result.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Outcome {
    pub(super) test: u32,
    /// The test's result before; 0: none.
    pub(super) before: u32,
    pub(super) created_on: u32,
    /// In seconds; 0: not said.
    pub(super) elapsed: u32,
    pub(super) created_by: u16,
    /// 0: nobody.
    pub(super) assigned_to: u16,
    /// 0: it says nothing about the status.
    pub(super) status: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) more: Option<Box<More>>,
}

/// What most results lack.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct More {
    pub(super) comment: Option<Box<str>>,
    pub(super) version: Option<Box<str>>,
    pub(super) defects: Option<Box<str>>,
    pub(super) custom: Vec<(u32, Custom)>,
}

/// What a file hangs on.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) enum Owner {
    Case(u32),
    Plan(u32),
    Entry(u32, String),
    Run(u32),
    Result(u32),
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Attachment {
    pub(super) owner: Owner,
    pub(super) project: u32,
    pub(super) name: String,
    pub(super) mime: String,
    pub(super) user: u32,
    pub(super) created_on: i64,
    #[serde(with = "base64_bytes")]
    pub(super) data: Vec<u8>,
}

/// Bytes as base64 in JSON.
mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

impl State {
    /// Fills what is derived from the rows.
    pub(super) fn reindex(&mut self) {
        self.tests_of.clear();
        for (at, test) in self.tests.iter().enumerate().filter(|(_, t)| t.run != 0) {
            self.tests_of.entry(test.case).or_default().push(at as u32 + 1);
        }
        self.files_of.clear();
        for (id, file) in &self.attachments {
            if let Owner::Result(result) = file.owner {
                self.files_of.entry(result).or_default().push(*id);
            }
        }
    }

    pub(super) fn project(&self, id: u32) -> Result<&Project, Problem> {
        let invalid = || Problem::invalid("project_id", "valid or accessible project");
        self.projects.get(&id).ok_or_else(invalid)
    }

    pub(super) fn suite(&self, id: u32) -> Result<&Suite, Problem> {
        self.suites.get(&id).ok_or_else(|| Problem::invalid("suite_id", "valid test suite"))
    }

    pub(super) fn section(&self, id: u32, field: &str) -> Result<&Section, Problem> {
        self.sections.get(&id).ok_or_else(|| Problem::invalid(field, "valid section"))
    }

    pub(super) fn case(&self, id: u32) -> Result<&Case, Problem> {
        self.cases.get(&id).ok_or_else(|| Problem::invalid("case_id", "valid test case"))
    }

    pub(super) fn run(&self, id: u32) -> Result<&Run, Problem> {
        self.runs.get(&id).ok_or_else(|| Problem::invalid("run_id", "valid test run"))
    }

    pub(super) fn plan(&self, id: u32) -> Result<&Plan, Problem> {
        self.plans.get(&id).ok_or_else(|| Problem::invalid("plan_id", "valid test plan"))
    }

    pub(super) fn test(&self, id: u32) -> Result<&Test, Problem> {
        let row = (id as usize).checked_sub(1).and_then(|at| self.tests.get(at));
        row.filter(|t| t.run != 0).ok_or_else(|| Problem::invalid("test_id", "valid test"))
    }

    pub(super) fn test_mut(&mut self, id: u32) -> Option<&mut Test> {
        (id as usize).checked_sub(1).and_then(|at| self.tests.get_mut(at)).filter(|t| t.run != 0)
    }

    pub(super) fn outcome(&self, id: u32) -> Option<&Outcome> {
        (id as usize).checked_sub(1).and_then(|at| self.results.get(at)).filter(|r| r.test != 0)
    }

    pub(super) fn project_of_suite(&self, suite: u32) -> u32 {
        self.suites.get(&suite).map_or(0, |s| s.project)
    }

    /// What a test shows of its case.
    pub(super) fn content_of(&self, test: &Test) -> Option<&Content> {
        let case = self.cases.get(&test.case);
        match case {
            Some(case) if test.version == 0 || test.version == case.version => Some(&case.content),
            _ => self.versions.get(&test.version),
        }
    }

    /// Keeps a case's present content for good, and gives its number.
    pub(super) fn pin(&mut self, case: u32) -> u32 {
        let Some(case) = self.cases.get_mut(&case) else { return 0 };
        case.pinned = true;
        case.version
    }

    /// Puts a new content in a case's place.
    pub(super) fn replace(&mut self, case: u32, content: Content) {
        let number = take(&mut self.next.version);
        let Some(case) = self.cases.get_mut(&case) else { return };
        let old = std::mem::replace(&mut case.content, content);
        let before = std::mem::replace(&mut case.version, number);
        if std::mem::take(&mut case.pinned) {
            self.versions.insert(before, old);
        }
    }

    /// The sections of a suite from top to bottom, each before those below it, with their depths.
    pub(super) fn walk(&self, suite: u32) -> Vec<(u32, u32)> {
        let Some(suite) = self.suites.get(&suite) else { return Vec::new() };
        let mut out = Vec::new();
        let mut open: Vec<(u32, u32)> = suite.sections.iter().rev().map(|s| (*s, 0)).collect();
        while let Some((id, depth)) = open.pop() {
            out.push((id, depth));
            if let Some(section) = self.sections.get(&id) {
                open.extend(section.sections.iter().rev().map(|s| (*s, depth + 1)));
            }
        }
        out
    }

    /// A section and all below it.
    pub(super) fn below(&self, section: u32) -> Vec<u32> {
        let mut out = vec![section];
        let mut at = 0;
        while let Some(id) = out.get(at) {
            let below = self.sections.get(id).map(|s| s.sections.clone()).unwrap_or_default();
            out.extend(below);
            at += 1;
        }
        out
    }
}
