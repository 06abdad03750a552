//! The state as bytes, and as a hash of its content.

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::site::{Role, Site};
use super::store::{Attachment, Counters, Issue, Link, State};
use super::time::{Moment, Stamp};
use super::xray::model::{
    Definition, ExecutionData, File, Mark, PlanData, PreconditionData, Run, RunExtra, SetData, TestData,
    Trace, Tree, Version, Xray,
};
use crate::sandbox::StateSummary;

/// Version of the format.
const FORMAT: u32 = 1;
/// How hard the bytes are packed: fast, as the state can be large.
const LEVEL: i32 = 1;
/// Bytes that go to and from the packer at once.
const BUFFER: usize = 1 << 20;

/// Bytes as base64 in JSON.
pub(crate) mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

#[derive(Deserialize, Serialize)]
struct SavedVersion {
    id: u16,
    name: Box<str>,
    archived: bool,
    definition: Definition,
    preconditions: Vec<u64>,
    modified: Stamp,
}

#[derive(Deserialize, Serialize)]
struct SavedTest {
    id: u64,
    versions: Vec<SavedVersion>,
    default: u16,
    sets: Vec<u64>,
    plans: Vec<u64>,
    runs: Vec<u32>,
    folder: u32,
    trace: Trace,
}

#[derive(Deserialize, Serialize)]
struct SavedRun {
    number: u32,
    test: u64,
    execution: u64,
    version: u16,
    status: u8,
    executed_by: u16,
    assignee: u16,
    /// Only where the run still shows an older definition than its test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    definition: Option<Definition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finished: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<Box<str>>,
    modified: Stamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    marks: Option<Box<[Mark]>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    extra: Option<Box<RunExtra>>,
}

/// The small parts of the state, in one line.
#[derive(Deserialize, Serialize)]
struct Head {
    format: u32,
    site: Site,
    counters: Counters,
    sets: BTreeMap<u64, SetData>,
    plans: BTreeMap<u64, PlanData>,
    executions: BTreeMap<u64, ExecutionData>,
    preconditions: BTreeMap<u64, PreconditionData>,
    repositories: BTreeMap<u16, Tree>,
    environments: BTreeMap<u16, Vec<Box<str>>>,
    next_step: u64,
    next_file: u64,
    run_count: usize,
}

/// One line after the head.
#[derive(Deserialize, Serialize)]
enum Row {
    Issue(Box<Issue>),
    Link(Link),
    Attachment(Attachment),
    File(u64, File),
    Test(Box<SavedTest>),
    Run(Box<SavedRun>),
}

fn saved_test(id: u64, test: &TestData) -> SavedTest {
    let version = |v: &Version| SavedVersion {
        id: v.id,
        name: v.name.clone(),
        archived: v.archived,
        definition: Definition::clone(&v.definition),
        preconditions: v.preconditions.clone(),
        modified: v.modified,
    };
    SavedTest {
        id,
        versions: test.versions.iter().map(version).collect(),
        default: test.default,
        sets: test.sets.clone(),
        plans: test.plans.clone(),
        runs: test.runs.clone(),
        folder: test.folder,
        trace: test.trace.clone(),
    }
}

fn current(xray: &Xray, run: &Run) -> Option<Arc<Definition>> {
    let test = xray.tests.get(&run.test)?;
    test.version(Some(run.version)).map(|v| Arc::clone(&v.definition))
}

fn saved_run(xray: &Xray, number: u32, run: &Run) -> SavedRun {
    let shared =
        current(xray, run).is_some_and(|d| Arc::ptr_eq(&d, &run.definition) || *d == *run.definition);
    SavedRun {
        number,
        test: run.test,
        execution: run.execution,
        version: run.version,
        status: run.status,
        executed_by: run.executed_by,
        assignee: run.assignee,
        definition: (!shared).then(|| Definition::clone(&run.definition)),
        started: run.started,
        finished: run.finished,
        comment: run.comment.clone(),
        modified: run.modified,
        marks: run.marks.clone(),
        extra: run.extra.clone(),
    }
}

/// Writes the state as packed lines of JSON.
pub(crate) fn save(state: &State) -> Result<Vec<u8>, String> {
    let text = |e: &dyn std::fmt::Display| format!("cannot save the state: {e}");
    let packed = zstd::Encoder::new(Vec::new(), LEVEL).map_err(|e| text(&e))?;
    let mut out = std::io::BufWriter::with_capacity(BUFFER, packed);
    let xray = &state.xray;
    let head = Head {
        format: FORMAT,
        site: state.site.clone(),
        counters: state.counters.clone(),
        sets: xray.sets.clone(),
        plans: xray.plans.clone(),
        executions: xray.executions.clone(),
        preconditions: xray.preconditions.clone(),
        repositories: xray.repositories.clone(),
        environments: xray.environments.clone(),
        next_step: xray.next_step,
        next_file: xray.next_file,
        run_count: xray.runs.len(),
    };
    line(&mut out, &head)?;
    for issue in state.issues.values() {
        line(&mut out, &Row::Issue(Box::new(Issue::clone(issue))))?;
    }
    for link in state.links.values() {
        line(&mut out, &Row::Link(link.clone()))?;
    }
    for file in state.attachments.values() {
        line(&mut out, &Row::Attachment(file.clone()))?;
    }
    for (id, file) in &xray.files {
        line(&mut out, &Row::File(*id, file.clone()))?;
    }
    for (id, test) in &xray.tests {
        line(&mut out, &Row::Test(Box::new(saved_test(*id, test))))?;
    }
    for (at, run) in xray.runs.iter().enumerate() {
        if let Some(run) = run {
            let number = u32::try_from(at).unwrap_or(u32::MAX);
            line(&mut out, &Row::Run(Box::new(saved_run(xray, number, run))))?;
        }
    }
    let packed = out.into_inner().map_err(|e| text(&e))?;
    packed.finish().map_err(|e| text(&e))
}

fn line(out: &mut impl Write, row: &impl Serialize) -> Result<(), String> {
    serde_json::to_writer(&mut *out, row).map_err(|e| format!("cannot save the state: {e}"))?;
    out.write_all(b"\n").map_err(|e| format!("cannot save the state: {e}"))
}

/// Reads what [`save`] wrote.
pub(crate) fn load(bytes: &[u8], lag: Duration, limits: bool) -> Result<State, String> {
    let text = |e: &dyn std::fmt::Display| format!("the saved state cannot be read: {e}");
    let decoder = zstd::Decoder::new(bytes).map_err(|e| text(&e))?;
    let mut reader = std::io::BufReader::with_capacity(BUFFER, decoder);
    let mut first = Vec::new();
    reader.read_until(b'\n', &mut first).map_err(|e| text(&e))?;
    let head: Head = serde_json::from_slice(&first).map_err(|e| text(&e))?;
    if head.format != FORMAT {
        return Err(format!("the saved state has format {}, this version reads {FORMAT}", head.format));
    }
    let mut state = State::new(head.site, lag, limits);
    state.counters = head.counters;
    state.xray.sets = head.sets;
    state.xray.plans = head.plans;
    state.xray.executions = head.executions;
    state.xray.preconditions = head.preconditions;
    state.xray.repositories = head.repositories;
    state.xray.environments = head.environments;
    state.xray.next_step = head.next_step;
    state.xray.next_file = head.next_file;
    state.xray.runs.resize_with(head.run_count, || None);
    read_rows(&mut state, reader).map_err(|e| text(&e))?;
    Ok(state)
}

fn read_rows(state: &mut State, mut reader: impl BufRead) -> Result<(), String> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(|e| e.to_string())? == 0 {
            return Ok(());
        }
        match serde_json::from_slice(&line).map_err(|e| e.to_string())? {
            Row::Issue(issue) => {
                state.keys.insert((issue.project, issue.number), issue.id);
                if let Some(parent) = issue.parent {
                    state.children.entry(parent).or_default().push(issue.id);
                }
                state.issues.insert(issue.id, Arc::new(*issue));
            }
            Row::Link(link) => drop(state.links.insert(link.id, link)),
            Row::Attachment(file) => drop(state.attachments.insert(file.id, file)),
            Row::File(id, file) => drop(state.xray.files.insert(id, file)),
            Row::Test(test) => load_test(&mut state.xray, *test),
            Row::Run(run) => load_run(&mut state.xray, *run)?,
        }
    }
}

fn load_test(xray: &mut Xray, test: SavedTest) {
    let version = |v: SavedVersion| Version {
        id: v.id,
        name: v.name,
        archived: v.archived,
        definition: Arc::new(v.definition),
        preconditions: v.preconditions,
        modified: v.modified,
    };
    let data = TestData {
        versions: test.versions.into_iter().map(version).collect(),
        default: test.default,
        sets: test.sets,
        plans: test.plans,
        runs: test.runs,
        folder: test.folder,
        trace: test.trace,
    };
    for step in data.versions.iter().flat_map(|v| &v.definition.steps) {
        xray.step_owner.insert(step.id, test.id);
    }
    xray.tests.insert(test.id, data);
}

fn load_run(xray: &mut Xray, run: SavedRun) -> Result<(), String> {
    let mut out = Run {
        test: run.test,
        execution: run.execution,
        version: run.version,
        status: run.status,
        executed_by: run.executed_by,
        assignee: run.assignee,
        definition: Arc::default(),
        started: run.started,
        finished: run.finished,
        comment: run.comment,
        modified: run.modified,
        marks: run.marks,
        extra: run.extra,
    };
    out.definition = match run.definition {
        Some(own) => Arc::new(own),
        None => current(xray, &out).ok_or_else(|| format!("run {} has no test", run.number))?,
    };
    let place = xray.runs.get_mut(run.number as usize).ok_or("a run beyond the last one")?;
    *place = Some(out);
    Ok(())
}

/// Sums up the state: content only, no clocks, tokens or caches.
pub(crate) fn summary(state: &State) -> StateSummary {
    let mut hasher = Xxh3::new();
    state.site.hash(&mut hasher);
    for issue in state.issues.values() {
        issue.hash(&mut hasher);
    }
    state.links.hash(&mut hasher);
    state.attachments.hash(&mut hasher);
    let xray = &state.xray;
    for (id, test) in &xray.tests {
        hash_test(*id, test, &mut hasher);
    }
    (&xray.sets, &xray.plans, &xray.executions, &xray.preconditions).hash(&mut hasher);
    (&xray.repositories, &xray.environments, &xray.files).hash(&mut hasher);
    let mut last = None;
    for (at, run) in xray.runs.iter().enumerate() {
        let Some(run) = run else { continue };
        at.hash(&mut hasher);
        hash_run(run, &mut last, &mut hasher);
    }
    StateSummary { hash: format!("{:016x}", hasher.finish()), counts: counts(state) }
}

fn hash_test(id: u64, test: &TestData, hasher: &mut Xxh3) {
    id.hash(hasher);
    for v in &test.versions {
        (v.id, &v.name, v.archived, &*v.definition, &v.preconditions).hash(hasher);
    }
    (test.default, &test.sets, &test.plans, &test.runs, test.folder, &test.trace).hash(hasher);
}

fn hash_run(run: &Run, last: &mut Option<(usize, u64)>, hasher: &mut Xxh3) {
    (run.test, run.execution, run.version, run.status, run.executed_by, run.assignee).hash(hasher);
    (run.started, run.finished, &run.comment, &run.marks, &run.extra).hash(hasher);
    // Neighbouring runs mostly share a definition, which then is hashed once.
    let address = Arc::as_ptr(&run.definition).addr();
    let hash = match last {
        Some((held, hash)) if *held == address => *hash,
        _ => {
            let mut inner = Xxh3::new();
            run.definition.hash(&mut inner);
            inner.finish()
        }
    };
    *last = Some((address, hash));
    hash.hash(hasher);
}

fn counts(state: &State) -> BTreeMap<String, u64> {
    let mut by_role: HashMap<&str, u64> = HashMap::new();
    let (mut comments, mut remote, mut properties) = (0, 0, 0);
    for issue in state.issues.values() {
        let name = match state.role_of(issue) {
            Role::Test => "tests",
            Role::TestSet => "test_sets",
            Role::TestPlan => "test_plans",
            Role::TestExecution => "test_executions",
            Role::Precondition => "preconditions",
            Role::Bug => "bugs",
            Role::Requirement => "requirements",
            Role::Other => "other_issues",
        };
        *by_role.entry(name).or_default() += 1;
        comments += issue.comments.len() as u64;
        remote += issue.remote_links.len() as u64;
        properties += issue.properties.len() as u64;
    }
    let names = [
        "tests",
        "test_sets",
        "test_plans",
        "test_executions",
        "preconditions",
        "bugs",
        "requirements",
        "other_issues",
    ];
    let xray = &state.xray;
    let folders = xray.repositories.values().map(|t| t.folders.len().saturating_sub(1));
    let steps = xray.tests.values().flat_map(|t| &t.versions).map(|v| v.definition.steps.len());
    let members = xray.sets.values().map(|s| s.tests.len()).chain(xray.plans.values().map(|p| p.tests.len()));
    let mut out: BTreeMap<String, u64> =
        names.iter().map(|n| ((*n).to_owned(), by_role.get(n).copied().unwrap_or_default())).collect();
    for (name, count) in [
        ("issues", state.issues.len()),
        ("test_runs", xray.runs.iter().flatten().count()),
        ("test_steps", steps.sum()),
        ("memberships", members.sum()),
        ("links", state.links.len()),
        ("attachments", state.attachments.len()),
        ("evidence", xray.files.len()),
        ("folders", folders.sum()),
        ("fields", state.site.fields.len()),
    ] {
        out.insert(name.to_owned(), count as u64);
    }
    out.insert("comments".to_owned(), comments);
    out.insert("remote_links".to_owned(), remote);
    out.insert("properties".to_owned(), properties);
    out
}
