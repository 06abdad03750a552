//! Xray's own data: definitions, memberships, runs and folders, keyed by Jira issue id.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::sandbox::jira_xray::site::Role;
use crate::sandbox::jira_xray::store::State;
use crate::sandbox::jira_xray::time::{Moment, Stamp};

/// Stands for "nobody" in a run.
pub(crate) const NOBODY: u16 = u16::MAX;

/// A step of a definition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) id: u64,
    pub(crate) action: Box<str>,
    pub(crate) data: Box<str>,
    pub(crate) result: Box<str>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) custom: Vec<(String, Value)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) call_test: Option<u64>,
}

/// What a test says; shared by the runs that still show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Definition {
    /// Index into the site's test types.
    pub(crate) kind: u8,
    pub(crate) steps: Vec<Step>,
    /// Gherkin or unstructured text.
    pub(crate) text: Box<str>,
}

/// A version of a test.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) id: u16,
    pub(crate) name: Box<str>,
    pub(crate) archived: bool,
    pub(crate) definition: Arc<Definition>,
    pub(crate) preconditions: Vec<u64>,
    pub(crate) modified: Stamp,
}

/// An entry of an entity's history.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) user: u16,
    pub(crate) at: Stamp,
    pub(crate) action: Box<str>,
    pub(crate) changes: Vec<(Box<str>, Box<str>)>,
}

/// What every entity has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Trace {
    pub(crate) modified: Stamp,
    pub(crate) history: Vec<Entry>,
}

/// A test. The first version is the default until another one is made.
#[derive(Clone, Debug)]
pub(crate) struct TestData {
    pub(crate) versions: Vec<Version>,
    pub(crate) default: u16,
    pub(crate) sets: Vec<u64>,
    pub(crate) plans: Vec<u64>,
    pub(crate) runs: Vec<u32>,
    /// Folder of the project's repository; 0 is the root.
    pub(crate) folder: u32,
    pub(crate) trace: Trace,
}

impl TestData {
    pub(crate) fn version(&self, id: Option<u16>) -> Option<&Version> {
        let id = id.unwrap_or(self.default);
        self.versions.iter().find(|v| v.id == id)
    }

    pub(crate) fn version_mut(&mut self, id: Option<u16>) -> Option<&mut Version> {
        let id = id.unwrap_or(self.default);
        self.versions.iter_mut().find(|v| v.id == id)
    }
}

/// A precondition.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(crate) struct PreconditionData {
    pub(crate) kind: u8,
    pub(crate) definition: Box<str>,
    /// Tests with their versions.
    pub(crate) tests: Vec<(u64, u16)>,
    pub(crate) folder: u32,
    pub(crate) trace: Trace,
}

/// A test set.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(crate) struct SetData {
    pub(crate) tests: Vec<u64>,
    pub(crate) trace: Trace,
}

/// A test plan.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(crate) struct PlanData {
    pub(crate) tests: Vec<u64>,
    pub(crate) executions: Vec<u64>,
    pub(crate) folders: Tree,
    pub(crate) trace: Trace,
}

/// A test execution.
#[derive(Clone, Debug, Default, Hash, Serialize, Deserialize)]
pub(crate) struct ExecutionData {
    pub(crate) environments: Vec<Box<str>>,
    pub(crate) plans: Vec<u64>,
    pub(crate) runs: Vec<u32>,
    pub(crate) trace: Trace,
}

/// The result of one step of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Index into the site's step statuses.
    pub(crate) status: u8,
    pub(crate) comment: Option<Box<str>>,
    pub(crate) actual: Option<Box<str>>,
    pub(crate) extra: Option<Box<Attached>>,
}

/// Defects and evidence of a run or of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Attached {
    pub(crate) defects: Vec<u64>,
    pub(crate) evidence: Vec<u64>,
}

/// One pass of a data-driven run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Iteration {
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) status: u8,
    pub(crate) marks: Vec<Mark>,
}

/// What few runs have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct RunExtra {
    pub(crate) attached: Attached,
    pub(crate) custom: Vec<(String, Value)>,
    pub(crate) iterations: Vec<Iteration>,
    /// Statuses of the examples of a scenario outline.
    pub(crate) examples: Vec<u8>,
    pub(crate) results: Vec<Value>,
    pub(crate) timer: bool,
}

/// A run: one test in one execution. There can be a million of them.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) test: u64,
    pub(crate) execution: u64,
    pub(crate) version: u16,
    /// Index into the site's run statuses.
    pub(crate) status: u8,
    pub(crate) executed_by: u16,
    pub(crate) assignee: u16,
    /// The definition as it was when the run was made; shared until it changes.
    pub(crate) definition: Arc<Definition>,
    pub(crate) started: Option<Moment>,
    pub(crate) finished: Option<Moment>,
    pub(crate) comment: Option<Box<str>>,
    pub(crate) modified: Stamp,
    /// Results of the steps; `None` while all are to do.
    pub(crate) marks: Option<Box<[Mark]>>,
    pub(crate) extra: Option<Box<RunExtra>>,
}

/// A folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Folder {
    pub(crate) name: String,
    pub(crate) parent: u32,
    pub(crate) children: Vec<u32>,
    pub(crate) tests: Vec<u64>,
    pub(crate) preconditions: Vec<u64>,
}

/// A tree of folders; 0 is its root. In a repository tests at the root are not listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Tree {
    pub(crate) folders: BTreeMap<u32, Folder>,
    pub(crate) next: u32,
}

/// A file that a step, a run or a run step shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) mime: String,
    pub(crate) created: Stamp,
    #[serde(with = "crate::sandbox::jira_xray::persist::base64_bytes")]
    pub(crate) data: Vec<u8>,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Xray {
    pub(crate) tests: BTreeMap<u64, TestData>,
    pub(crate) preconditions: BTreeMap<u64, PreconditionData>,
    pub(crate) sets: BTreeMap<u64, SetData>,
    pub(crate) plans: BTreeMap<u64, PlanData>,
    pub(crate) executions: BTreeMap<u64, ExecutionData>,
    /// Runs by number; a removed one leaves its place empty.
    pub(crate) runs: Vec<Option<Run>>,
    /// Repositories by project index.
    pub(crate) repositories: BTreeMap<u16, Tree>,
    pub(crate) files: BTreeMap<u64, File>,
    /// Environments by project index.
    pub(crate) environments: BTreeMap<u16, Vec<Box<str>>>,
    pub(crate) next_step: u64,
    pub(crate) next_file: u64,
    /// The test that holds a step.
    pub(crate) step_owner: HashMap<u64, u64>,
    /// Lists that still hold because nothing changed since.
    pub(crate) lists: ListCache,
}

/// Result lists of queries, so that paging does not filter everything for each page.
#[derive(Debug, Default)]
pub(crate) struct ListCache {
    revision: u64,
    lists: HashMap<String, Arc<Vec<u64>>>,
}

impl ListCache {
    /// Most lists kept at once.
    const KEPT_MAX: usize = 16;

    pub(crate) fn get(&mut self, revision: u64, key: &str) -> Option<Arc<Vec<u64>>> {
        if self.revision != revision {
            self.revision = revision;
            self.lists.clear();
        }
        self.lists.get(key).cloned()
    }

    pub(crate) fn put(&mut self, key: String, list: Arc<Vec<u64>>) {
        if self.lists.len() >= Self::KEPT_MAX {
            self.lists.clear();
        }
        self.lists.insert(key, list);
    }
}

/// Prints an id in the form of a UUID; equal numbers of different kinds differ.
pub(crate) fn uuid(kind: &str, number: u64) -> String {
    let hash = xxhash_rust::xxh3::xxh3_128(format!("{kind}{number}").as_bytes());
    let text = format!("{hash:032x}");
    format!(
        "{}-{}-4{}-8{}-{:012x}",
        &text[0..8],
        &text[8..12],
        &text[13..16],
        &text[17..20],
        number & 0xffff_ffff_ffff
    )
}

/// Reads an id that [`uuid`] printed.
pub(crate) fn number_of(kind: &str, text: &str) -> Option<u64> {
    let number = u64::from_str_radix(text.rsplit('-').next()?, 16).ok()?;
    (uuid(kind, number) == text.to_ascii_lowercase()).then_some(number)
}

/// Prints the id of a run: 24 hex digits.
pub(crate) fn run_id(number: u32) -> String {
    let hash = xxhash_rust::xxh3::xxh3_64(format!("run{number}").as_bytes());
    format!("{hash:016x}{number:08x}")
}

/// Reads the id of a run.
pub(crate) fn run_number(text: &str) -> Option<u32> {
    let number = u32::from_str_radix(text.get(16..24)?, 16).ok()?;
    (run_id(number) == text.to_ascii_lowercase()).then_some(number)
}

/// The id of a step of a run.
pub(crate) fn run_step_id(run: u32, step: usize) -> String {
    uuid("run-step", (u64::from(run) << 16) | (step as u64 & 0xffff))
}

impl Xray {
    pub(crate) fn run(&self, number: u32) -> Option<&Run> {
        self.runs.get(number as usize)?.as_ref()
    }

    pub(crate) fn run_mut(&mut self, number: u32) -> Option<&mut Run> {
        self.runs.get_mut(number as usize)?.as_mut()
    }

    /// The run of a test in an execution.
    pub(crate) fn run_of(&self, test: u64, execution: u64) -> Option<u32> {
        let runs = &self.tests.get(&test)?.runs;
        runs.iter().copied().find(|n| self.run(*n).is_some_and(|r| r.execution == execution))
    }

    pub(crate) fn fresh_step(&mut self, test: u64) -> u64 {
        self.next_step += 1;
        self.step_owner.insert(self.next_step, test);
        self.next_step
    }

    pub(crate) fn add_file(&mut self, file: File) -> u64 {
        self.next_file += 1;
        self.files.insert(self.next_file, file);
        self.next_file
    }

    /// The common part of an entity.
    pub(crate) fn trace_mut(&mut self, id: u64) -> Option<&mut Trace> {
        if let Some(test) = self.tests.get_mut(&id) {
            return Some(&mut test.trace);
        }
        if let Some(set) = self.sets.get_mut(&id) {
            return Some(&mut set.trace);
        }
        if let Some(plan) = self.plans.get_mut(&id) {
            return Some(&mut plan.trace);
        }
        if let Some(execution) = self.executions.get_mut(&id) {
            return Some(&mut execution.trace);
        }
        self.preconditions.get_mut(&id).map(|p| &mut p.trace)
    }
}

impl State {
    /// Gives a new issue of one of Xray's types its own data.
    pub(crate) fn xray_adopt(&mut self, id: u64, now: Stamp) {
        let trace = Trace { modified: now, history: Vec::new() };
        match self.role(id) {
            Some(Role::Test) => {
                let version = Version {
                    id: 1,
                    name: "v1".into(),
                    archived: false,
                    definition: Arc::default(),
                    preconditions: Vec::new(),
                    modified: now,
                };
                let data = TestData {
                    versions: vec![version],
                    default: 1,
                    sets: Vec::new(),
                    plans: Vec::new(),
                    runs: Vec::new(),
                    folder: 0,
                    trace,
                };
                self.xray.tests.insert(id, data);
            }
            Some(Role::TestSet) => {
                self.xray.sets.insert(id, SetData { trace, ..SetData::default() });
            }
            Some(Role::TestPlan) => {
                self.xray.plans.insert(id, PlanData { trace, ..PlanData::default() });
            }
            Some(Role::TestExecution) => {
                self.xray.executions.insert(id, ExecutionData { trace, ..ExecutionData::default() });
            }
            Some(Role::Precondition) => {
                let data = PreconditionData { trace, ..PreconditionData::default() };
                self.xray.preconditions.insert(id, data);
            }
            _ => {}
        }
    }

    /// Notes a change of an entity: its history and `lastModified`, not Jira's `updated`.
    pub(crate) fn note(&mut self, id: u64, user: u16, now: Stamp, action: &str, change: &str) {
        self.touch();
        if let Some(trace) = self.xray.trace_mut(id) {
            trace.modified = now;
            let changes = match change.is_empty() {
                true => Vec::new(),
                false => vec![(Box::from(action), Box::from(change))],
            };
            trace.history.push(Entry { user, at: now, action: action.into(), changes });
        }
    }

    /// Removes what Xray knows of an issue that is gone.
    pub(crate) fn xray_forget(&mut self, id: u64, now: Stamp) {
        self.forget_test(id);
        if let Some(set) = self.xray.sets.remove(&id) {
            for test in set.tests {
                if let Some(test) = self.xray.tests.get_mut(&test) {
                    test.sets.retain(|s| *s != id);
                }
            }
        }
        if let Some(plan) = self.xray.plans.remove(&id) {
            for test in plan.tests {
                if let Some(test) = self.xray.tests.get_mut(&test) {
                    test.plans.retain(|p| *p != id);
                }
            }
            for execution in plan.executions {
                if let Some(execution) = self.xray.executions.get_mut(&execution) {
                    execution.plans.retain(|p| *p != id);
                }
            }
        }
        if let Some(execution) = self.xray.executions.remove(&id) {
            for run in execution.runs {
                self.drop_run(run, now);
            }
            for plan in execution.plans {
                if let Some(plan) = self.xray.plans.get_mut(&plan) {
                    plan.executions.retain(|e| *e != id);
                }
            }
        }
        if let Some(precondition) = self.xray.preconditions.remove(&id) {
            for (test, _) in precondition.tests {
                for version in self.xray.tests.get_mut(&test).into_iter().flat_map(|t| t.versions.iter_mut())
                {
                    version.preconditions.retain(|p| *p != id);
                }
            }
        }
    }

    fn forget_test(&mut self, id: u64) {
        let Some(test) = self.xray.tests.remove(&id) else { return };
        for set in test.sets {
            if let Some(set) = self.xray.sets.get_mut(&set) {
                set.tests.retain(|t| *t != id);
            }
        }
        for plan in test.plans {
            if let Some(plan) = self.xray.plans.get_mut(&plan) {
                plan.tests.retain(|t| *t != id);
                plan.folders.remove_test(id);
            }
        }
        for run in test.runs {
            if let Some(run) = self.xray.runs.get_mut(run as usize).and_then(Option::take)
                && let Some(execution) = self.xray.executions.get_mut(&run.execution)
            {
                execution.runs.retain(|r| self.xray.runs[*r as usize].is_some());
            }
        }
        for version in &test.versions {
            for step in &version.definition.steps {
                self.xray.step_owner.remove(&step.id);
            }
            for precondition in &version.preconditions {
                if let Some(p) = self.xray.preconditions.get_mut(precondition) {
                    p.tests.retain(|(t, _)| *t != id);
                }
            }
        }
        for tree in self.xray.repositories.values_mut() {
            tree.remove_test(id);
        }
    }

    /// Puts a test into an execution: a run to do, with the definition as it is now.
    /// `None` if it is there already.
    pub(crate) fn add_run(
        &mut self,
        execution: u64,
        test: u64,
        version: Option<u16>,
        now: Stamp,
    ) -> Option<u32> {
        if self.xray.run_of(test, execution).is_some() {
            return None;
        }
        let held = self.xray.tests.get(&test)?.version(version)?;
        let run = Run {
            test,
            execution,
            version: held.id,
            status: 0,
            executed_by: NOBODY,
            assignee: NOBODY,
            definition: Arc::clone(&held.definition),
            started: None,
            finished: None,
            comment: None,
            modified: now,
            marks: None,
            extra: None,
        };
        let number = u32::try_from(self.xray.runs.len()).ok()?;
        self.xray.executions.get_mut(&execution)?.runs.push(number);
        self.xray.tests.get_mut(&test)?.runs.push(number);
        self.xray.runs.push(Some(run));
        self.touch();
        Some(number)
    }

    /// Removes a run with its results.
    pub(crate) fn drop_run(&mut self, number: u32, _now: Stamp) {
        let Some(run) = self.xray.runs.get_mut(number as usize).and_then(Option::take) else {
            return;
        };
        self.touch();
        if let Some(test) = self.xray.tests.get_mut(&run.test) {
            test.runs.retain(|r| *r != number);
        }
        if let Some(execution) = self.xray.executions.get_mut(&run.execution) {
            execution.runs.retain(|r| *r != number);
        }
    }

    /// Changes the definition of a version; runs made before keep the old one.
    pub(crate) fn define(
        &mut self,
        test: u64,
        version: Option<u16>,
        now: Stamp,
        change: impl FnOnce(&mut Definition),
    ) {
        self.touch();
        if let Some(data) = self.xray.tests.get_mut(&test) {
            data.trace.modified = now;
            if let Some(held) = data.version_mut(version) {
                change(Arc::make_mut(&mut held.definition));
                held.modified = now;
            }
        }
    }
}
