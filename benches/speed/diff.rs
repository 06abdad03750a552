//! Transform and diff of linked pairs of which one in a hundred changed, beside DuckDB on the same files.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream::{self, BoxStream, StreamExt};
use testferry::connectors::{
    self, Connector, Error, Metadata, Page, Probe, RequestCounts, RowBuilder, SharedConnector,
};
use testferry::model::{
    Artifact, Change, Key, Outcome, PairId, RunId, Side, SnapshotId, Step, TableSpec, native_schema,
    steps_to_json,
};
use testferry::stages::commit::{BASE, REFS, text_schema};
use testferry::stages::pairing::{Pair, Pairs, State};
use testferry::stages::spec::resolve;
use testferry::stages::{self, Job, Options, Quiet, Repositories};
use testferry::store::{Head, Holder, PipelineStore, SheetRef, Snapshot, Store, TableState};

use crate::extract::shipped;
use crate::measure::{Usage, again, line, report, scaled, target};
use crate::words::Words;

/// Linked pairs.
const PAIRS: usize = 1_000_000;

/// One pair in so many changed since the agreement.
const CHANGED: usize = 100;

/// Keys have as many digits on either side, so that their order as text is that of the numbers.
const FIRST: [usize; 2] = [1_000_000, 2_000_000];

const BATCH: usize = 8_192;

const INTEGRATION: &str = "test-cases";

/// A repository that says that nothing changed.
#[derive(Debug)]
struct Frozen(SharedConnector);

#[async_trait]
impl Connector for Frozen {
    fn system(&self) -> &'static str {
        self.0.system()
    }
    fn tables(&self) -> Vec<TableSpec> {
        self.0.tables().into_iter().map(|t| TableSpec { incremental: true, ..t }).collect()
    }
    fn artifacts(&self) -> Vec<Artifact> {
        self.0.artifacts()
    }
    async fn probe(&self) -> Result<Probe, Error> {
        Ok(Probe::default())
    }
    async fn metadata(&self) -> Result<Metadata, Error> {
        Ok(Metadata::default())
    }
    fn extract(&self, _: &str, _: Option<DateTime<Utc>>) -> BoxStream<'_, Result<Page, Error>> {
        stream::empty().boxed()
    }
    async fn keys(&self, _: &str) -> Result<Option<Vec<Key>>, Error> {
        Ok(None)
    }
    async fn read(&self, table: &str, keys: &[Key]) -> Result<RecordBatch, Error> {
        self.0.read(table, keys).await
    }
    async fn apply(&self, changes: &[Change]) -> Vec<Outcome> {
        self.0.apply(changes).await
    }
    async fn find(&self, creates: &[Change], since: DateTime<Utc>) -> Result<Vec<Vec<Key>>, Error> {
        self.0.find(creates, since).await
    }
    async fn create_field(&self, artifact: &str, name: &str) -> Result<(), Error> {
        self.0.create_field(artifact, name).await
    }
    fn requests(&self) -> RequestCounts {
        RequestCounts::default()
    }
}

/// Prepares, diffs, lets DuckDB do the same, and prints.
pub(crate) fn run() {
    let pairs = scaled(PAIRS);
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().to_string_lossy().into_owned();
    let (_, prepared) = again(&["prepare-diff", &place, &pairs.to_string()]);
    println!(
        "diff: {pairs} linked pairs with rich text and steps, one in {CHANGED} changed (made in {:.0} s)",
        prepared.wall_s
    );
    let (text, ours) = again(&["diff", &place]);
    line("plan, all of it", pairs, ours);
    for stage in text.lines().filter(|l| l.starts_with("stage ") || l.starts_with("changes ")) {
        println!("    {stage}");
    }
    let Some(times) = duckdb(folder.path()) else {
        println!("  duckdb: not installed");
        return;
    };
    for (name, seconds) in &times {
        line(&format!("duckdb, {name}"), pairs, Usage { wall_s: *seconds, ..Usage::default() });
    }
    if let Some(theirs) = times.get("every field") {
        target("times DuckDB's comparison of every field", ours.wall_s / theirs, 0.5, true);
    }
    if let Some(theirs) = times.get("fingerprints, then fields") {
        println!("  times DuckDB's comparison by our fingerprints: {:.2}", ours.wall_s / theirs);
    }
}

fn changed(n: usize) -> Option<Side> {
    match n % (2 * CHANGED) {
        0 => Some(Side::Left),
        CHANGED => Some(Side::Right),
        _ => None,
    }
}

/// What one side holds of a pair: the fields by name.
fn fields(n: usize, side: Side, version: u64) -> Vec<(&'static str, &'static str, String)> {
    let mut words = Words::new(n as u64 * 2 + 1);
    let title = words.words(7);
    let (one, two, three) = (words.words(24), words.words(8), words.words(6));
    let edited = if version == 0 { String::new() } else { Words::new(n as u64 + version).words(4) };
    let (left, right) = (FIRST[0] + n, FIRST[1] + n);
    let step = |n: usize, open: &str, close: &str, words: &mut Words| Step {
        id: None,
        action: format!("{open}{}{close}", words.words(8)),
        data: String::new(),
        expected: format!("{open}{} {n}{close}", words.words(5)),
    };
    let id = |at: usize| format!("{at}");
    match side {
        Side::Left => vec![
            ("Summary", "Title", title),
            (
                "Description",
                "Description",
                format!("<div><p>{one} {edited}</p><ul><li>{two}</li><li><b>{three}</b></li></ul></div>"),
            ),
            ("Status", "State", "Ready".into()),
            ("Azure DevOps ID", "Formatted ID", id(left)),
            (
                "Azure DevOps URL",
                "URL",
                format!("https://dev.azure.com/contoso/Fabrikam/_workitems/edit/{left}"),
            ),
            ("Xray ID", "Xray ID", format!("CALC-{n}")),
            ("Xray URL", "Xray URL", format!("https://contoso.atlassian.net/browse/CALC-{n}")),
            (
                "Steps",
                "Steps",
                steps_to_json(&[step(1, "<p>", "</p>", &mut words), step(2, "<p>", "</p>", &mut words)]),
            ),
        ],
        Side::Right => {
            let paragraph = |text: &str| {
                format!(r#"{{"type":"paragraph","content":[{{"type":"text","text":"{text}"}}]}}"#)
            };
            let item = |inner: String| format!(r#"{{"type":"listItem","content":[{inner}]}}"#);
            let strong = format!(
                r#"{{"type":"paragraph","content":[{{"type":"text","text":"{three}","marks":[{{"type":"strong"}}]}}]}}"#
            );
            let list =
                format!(r#"{{"type":"bulletList","content":[{},{}]}}"#, item(paragraph(&two)), item(strong));
            let text = format!("{one} {edited}");
            vec![
                ("Summary", "Summary", title),
                (
                    "Description",
                    "Description",
                    format!(
                        r#"{{"version":1,"type":"doc","content":[{},{list}]}}"#,
                        paragraph(text.trim_end())
                    ),
                ),
                ("Status", "Status", "In Progress".into()),
                ("Azure DevOps ID", "Azure DevOps ID", id(left)),
                (
                    "Azure DevOps URL",
                    "Azure DevOps URL",
                    format!("https://dev.azure.com/contoso/Fabrikam/_workitems/edit/{left}"),
                ),
                ("Xray ID", "Key", format!("CALC-{n}")),
                ("Xray URL", "URL", format!("https://contoso.atlassian.net/browse/CALC-{n}")),
                (
                    "Steps",
                    "Steps",
                    steps_to_json(&[step(1, "", "", &mut words), step(2, "", "", &mut words)]),
                ),
                ("", "Jira ID", id(right)),
            ]
        }
    }
}

fn rows(spec: &TableSpec, side: Side, from: usize, to: usize, edited: bool) -> RecordBatch {
    let mut builder = RowBuilder::new(&spec.columns);
    for n in from..to {
        let version = u64::from(edited && changed(n) == Some(side));
        let key = FIRST[side as usize] + n;
        let row = builder.row(key, if side == Side::Left { "Fabrikam" } else { "CALC" });
        row.rev(1 + version).updated_at(DateTime::from_timestamp(1_780_000_000 + n as i64, 0));
        for (_, native, value) in fields(n, side, version) {
            row.field(native, Some(value));
        }
    }
    builder.finish()
}

/// Writes a snapshot and an agreement.
pub(crate) fn prepare(folder: &str, pairs: usize) {
    let begun = Instant::now();
    runtime().block_on(async {
        let store = Store::open(folder).expect("a store").pipeline("ado-xray").expect("a store");
        let repositories = frozen();
        let now = Utc::now();
        let mut tables: BTreeMap<String, BTreeMap<String, TableState>> = BTreeMap::new();
        let mut hashes: [Vec<String>; 2] = Default::default();
        for (id, connector) in &repositories {
            for spec in connector.tables() {
                let side = match spec.name {
                    "test_cases" => Some(Side::Left),
                    "tests" => Some(Side::Right),
                    _ => None,
                };
                let schema = native_schema(&spec.columns);
                let mut writer = store.part_writer(id.as_str(), spec.name, schema.clone());
                if let Some(side) = side {
                    for from in (0..pairs).step_by(BATCH) {
                        let to = (from + BATCH).min(pairs);
                        hashes[side as usize].extend(raw_hashes(&rows(&spec, side, from, to, false)));
                        writer.push(rows(&spec, side, from, to, true)).await.expect("a part");
                    }
                }
                let state = TableState::new(&schema, writer.finish().await.expect("parts"), now);
                tables.entry(id.to_string()).or_default().insert(spec.name.to_owned(), state);
            }
        }
        let snapshot = Snapshot {
            id: SnapshotId::from("20260101T000000Z-0000-1"),
            run: RunId::from("20260101T000000Z-0000"),
            created_at: now,
            repositories: tables,
            systems: repositories.iter().map(|(id, c)| (id.to_string(), c.system().to_owned())).collect(),
            integrations: BTreeMap::new(),
        };
        store.commit_snapshot(&snapshot).await.expect("a snapshot");
        agree(&store, &repositories, &snapshot, pairs, &hashes).await;
    });
    report(begun);
}

async fn agree(
    store: &PipelineStore,
    repositories: &Repositories,
    snapshot: &Snapshot,
    count: usize,
    hashes: &[Vec<String>; 2],
) {
    let artifacts = repositories.iter().map(|(id, c)| (id.clone(), c.artifacts())).collect();
    let integrations = resolve(&shipped("http://127.0.0.1:9/contoso"), &artifacts).expect("integrations");
    let mapping = &integrations.iter().find(|i| i.name == INTEGRATION).expect("one").mapping_hash;
    let mut pairs = Pairs::default();
    for (n, (left, right)) in hashes[0].iter().zip(&hashes[1]).enumerate() {
        let mut pair = Pair::first_seen(INTEGRATION, Side::Left, &(FIRST[0] + n).to_string());
        pair.set_key(Side::Right, &(FIRST[1] + n).to_string());
        pair.state = State::Live;
        pair.left_hash = Some(left.clone());
        pair.right_hash = Some(right.clone());
        pair.mapping = Some(mapping.clone());
        pairs.insert(pair);
    }
    let mut sync = BTreeMap::new();
    let location = |name: &str| store.sync_location(0, &snapshot.run, name);
    let rows = vec![pairs.to_batch()];
    let sheet: SheetRef =
        store.write_sheet_rows(&location("pairs"), Pairs::schema(), rows).await.expect("pairs");
    sync.insert("pairs".to_owned(), sheet);
    let base = stream::iter((0..count).step_by(BATCH / 8))
        .map(|from| Ok::<_, std::io::Error>(base_rows(from, (from + BATCH / 8).min(count))));
    let sheet = store.write_sheet(&location("base"), text_schema(&BASE), base).await.expect("a base");
    sync.insert("base".to_owned(), sheet);
    let sheet =
        store.write_sheet_rows(&location("refs"), text_schema(&REFS), Vec::new()).await.expect("refs");
    sync.insert("refs".to_owned(), sheet);
    let head = Head {
        n: 0,
        run: snapshot.run.clone(),
        created_at: snapshot.created_at,
        snapshot: snapshot.id.clone(),
        sync,
        mapping: integrations.iter().map(|i| (i.name.clone(), i.mapping_hash.clone())).collect(),
        fencing: BTreeMap::new(),
    };
    store.advance_head(0, head, &[]).await.expect("a head");
}

fn base_rows(from: usize, to: usize) -> RecordBatch {
    let mut columns: [Vec<Option<String>>; 6] = Default::default();
    for n in from..to {
        let (left, right) = (fields(n, Side::Left, 0), fields(n, Side::Right, 0));
        let mut both: Vec<_> = left.into_iter().zip(right).collect();
        both.sort_by_key(|(l, _)| l.0);
        for ((field, _, left), (_, _, right)) in both {
            let id = PairId::new(format!("{INTEGRATION}/L{}", FIRST[0] + n));
            let cells = [
                Some(id.to_string()),
                Some(INTEGRATION.into()),
                Some(field.to_owned()),
                Some(left),
                Some(right),
                None,
            ];
            columns.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell));
        }
    }
    let arrays = columns.into_iter().map(|c| Arc::new(StringArray::from(c)) as ArrayRef).collect();
    RecordBatch::try_new(text_schema(&BASE), arrays).expect("rows of the base")
}

fn raw_hashes(batch: &RecordBatch) -> Vec<String> {
    let column = batch.column_by_name("raw_hash").expect("a hash").as_string::<i32>();
    (0..column.len()).map(|row| column.value(row).to_owned()).collect()
}

/// Plans from what is staged; no system is asked.
pub(crate) fn diff(folder: &str) {
    let begun = Instant::now();
    runtime().block_on(async {
        let pipeline = shipped("http://127.0.0.1:9/contoso");
        let repositories = frozen();
        let store = Store::open(folder).expect("a store").pipeline("ado-xray").expect("a store");
        let job = Job {
            pipeline: &pipeline,
            repositories: &repositories,
            store: &store,
            run: RunId::from("20260102T000000Z-0000"),
            holder: Holder { name: "bench".into(), host: "here".into(), process: "1".into() },
            is_gone: &|_| true,
            clock: &Utc::now,
            progress: &Quiet,
            options: Options::default(),
        };
        let done = stages::run(&job).await.expect("a plan");
        for (stage, seconds) in &done.report.stages {
            println!("stage {stage} {seconds:.2} s");
        }
        println!(
            "changes {} in {:?}",
            done.plan.changes.len(),
            done.report.integrations.get(INTEGRATION).map(|i| i.left.total)
        );
    });
    report(begun);
}

fn frozen() -> Repositories {
    let real = connectors::connect(&shipped("http://127.0.0.1:9/contoso")).expect("connectors");
    real.into_iter().map(|(id, c)| (id, Arc::new(Frozen(c)) as SharedConnector)).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads")
}

/// Lets DuckDB compare the same files; `None` where it is not installed.
fn duckdb(folder: &Path) -> Option<BTreeMap<String, f64>> {
    let script = include_str!("duckdb.py");
    let out = Command::new("python3")
        .args(["-c", script, &folder.to_string_lossy()])
        .stderr(Stdio::inherit())
        .output()
        .ok()
        .filter(|out| out.status.success())?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    Some(
        text.lines()
            .filter_map(|l| {
                let (name, rest) = l.split_once('\t')?;
                let (seconds, found) = rest.split_once('\t')?;
                println!("    duckdb, {name}: {found}");
                Some((name.to_owned(), seconds.parse().ok()?))
            })
            .collect(),
    )
}
