//! The connector of Azure DevOps against its emulator: what is read, written and found again.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use testferry::connectors::Connector;
use testferry::connectors::azure_devops::{AzureDevOps, Settings};
use testferry::http;
use testferry::model::{
    Change, FieldWrite, Key, Op, Outcome, ReferenceWrite, Slot, Step, WriteValue, steps_from_json,
};
use testferry::sandbox::{FaultPlan, Sandbox, SandboxOptions};

struct Bench {
    sandbox: Sandbox,
    env: BTreeMap<String, String>,
    ado: AzureDevOps,
    project: String,
}

impl Bench {
    async fn new(size: usize) -> Self {
        Self::with_faults(size, None).await
    }

    async fn with_faults(size: usize, faults: Option<FaultPlan>) -> Self {
        let systems = vec!["azure-devops".into()];
        let options = SandboxOptions { systems, size, faults, ..SandboxOptions::default() };
        let sandbox = Sandbox::start(options).await.unwrap();
        let env: BTreeMap<String, String> = sandbox.env().into_iter().collect();
        let project = env["ADO_PROJECT"].clone();
        let ado = AzureDevOps::new(Settings {
            url: env["ADO_URL"].clone(),
            pat: env["ADO_PAT"].clone().into(),
            projects: vec![project.clone()],
            http: http::Settings::default(),
        })
        .unwrap();
        Self { sandbox, env, ado, project }
    }

    /// Makes the configuration that new plans get: the connector has no call for that.
    async fn configuration(&self, name: &str) {
        let url = format!(
            "{}/{}/_apis/testplan/configurations?api-version=7.1",
            self.env["ADO_URL"].trim_end_matches('/'),
            self.project.replace(' ', "%20")
        );
        let body = serde_json::json!({"name": name, "isDefault": true, "state": "active", "values": []});
        let reply = reqwest::Client::new()
            .post(url)
            .basic_auth("", Some(&self.env["ADO_PAT"]))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(reply.status().is_success(), "{}", reply.text().await.unwrap());
    }

    async fn table(&self, name: &str, since: Option<DateTime<Utc>>) -> RecordBatch {
        let pages: Vec<RecordBatch> =
            self.ado.extract(name, since).map_ok(|page| page.rows).try_collect().await.unwrap();
        let spec = self.ado.tables().into_iter().find(|t| t.name == name).unwrap();
        arrow::compute::concat_batches(&testferry::model::native_schema(&spec.columns), &pages).unwrap()
    }

    fn change(&self, artifact: &str, pair: &str, op: Op) -> Change {
        Change {
            id: 1,
            pair: pair.into(),
            artifact: artifact.into(),
            project: self.project.clone(),
            revision: None,
            op,
        }
    }

    fn create(&self, artifact: &str, pair: &str, fields: &[(&str, &str)], ends: &[(&str, &Key)]) -> Change {
        let fields = fields.iter().map(|(f, v)| write(f, v)).collect();
        let references = ends
            .iter()
            .map(|(r, k)| ReferenceWrite { relationship: (*r).into(), targets: vec![(*k).clone()] })
            .collect();
        self.change(artifact, pair, Op::Create { fields, references, slots: Vec::new() })
    }

    fn relate(&self, artifact: &str, key: &Key, relationship: &str, add: &[&Key], remove: &[&Key]) -> Change {
        let keys = |list: &[&Key]| list.iter().map(|k| (*k).clone()).collect();
        self.change(
            artifact,
            "x/L1",
            Op::Relate {
                key: key.clone(),
                relationship: relationship.into(),
                add: keys(add),
                remove: keys(remove),
            },
        )
    }

    async fn done(&self, change: Change) -> Key {
        self.apply(change).await.0
    }

    async fn apply(&self, change: Change) -> (Key, Option<String>, Vec<(String, String)>) {
        match self.ado.apply(&[change]).await.remove(0) {
            Outcome::Done { key, revision, refused } => (key, revision, refused),
            other => panic!("{other:?}"),
        }
    }

    async fn fields(&self, table: &str, key: &Key) -> BTreeMap<String, String> {
        let batch = self.ado.read(table, std::slice::from_ref(key)).await.unwrap();
        assert_eq!(batch.num_rows(), 1, "{table} {key}");
        fields(&batch, 0)
    }
}

fn write(field: &str, value: &str) -> FieldWrite {
    FieldWrite { field: field.into(), value: WriteValue::Text(value.into()) }
}

fn text(batch: &RecordBatch, column: &str, row: usize) -> Option<String> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    column.is_valid(row).then(|| column.value(row).to_owned())
}

fn keys(batch: &RecordBatch) -> Vec<String> {
    (0..batch.num_rows()).map(|row| text(batch, "key", row).unwrap()).collect()
}

fn fields(batch: &RecordBatch, row: usize) -> BTreeMap<String, String> {
    let entries = batch.column_by_name("fields").unwrap().as_map().value(row);
    let (names, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
    (0..entries.len()).map(|i| (names.value(i).to_owned(), values.value(i).to_owned())).collect()
}

#[tokio::test]
async fn every_table_is_read_whole_and_each_key_once() {
    let bench = Bench::new(60).await;
    let probe = bench.ado.probe().await.unwrap();
    assert!(!probe.account.is_empty());
    for spec in bench.ado.tables() {
        let table = bench.table(spec.name, None).await;
        let mut found = keys(&table);
        assert!(!found.is_empty(), "{}", spec.name);
        found.sort();
        let all = found.len();
        found.dedup();
        assert_eq!(found.len(), all, "{}", spec.name);
        if let Some(listed) = bench.ado.keys(spec.name).await.unwrap() {
            let mut listed: Vec<String> = listed.iter().map(|k| k.as_str().to_owned()).collect();
            listed.sort();
            assert_eq!(listed, found, "{}", spec.name);
        }
        let some: Vec<Key> = found.iter().take(3).map(|k| Key::from(k.as_str())).collect();
        let read = bench.ado.read(spec.name, &some).await.unwrap();
        assert_eq!(read.num_rows(), some.len(), "{}", spec.name);
        for row in 0..read.num_rows() {
            let key = text(&read, "key", row).unwrap();
            let at = keys(&table).iter().position(|k| *k == key).unwrap();
            assert_eq!(text(&read, "raw_hash", row), text(&table, "raw_hash", at), "{} {key}", spec.name);
        }
    }
    let offered = bench.ado.metadata().await.unwrap();
    let state = &offered.artifacts["Test Case"].fields["State"];
    assert_eq!(state.values.as_deref(), Some(&["Design", "Ready", "Closed"].map(str::to_owned)[..]));
}

#[tokio::test]
async fn a_thousand_cases_take_a_dozen_requests_and_a_second_pass_next_to_none() {
    let bench = Bench::new(1_650).await;
    let cases = bench.table("test_cases", None).await;
    assert!(cases.num_rows() >= 1_000);
    assert!(bench.ado.requests().reads <= 12, "{:?}", bench.ado.requests());
    let before = bench.ado.requests().reads;
    let since = Utc::now() + chrono::Duration::hours(1);
    for name in ["test_cases", "bugs", "requirements", "test_runs", "test_results"] {
        assert_eq!(bench.table(name, Some(since)).await.num_rows(), 0, "{name}");
    }
    assert!(bench.ado.requests().reads - before <= 12, "{:?}", bench.ado.requests());
}

#[tokio::test]
async fn cases_are_made_in_their_state_with_steps_and_found_again() {
    let bench = Bench::new(20).await;
    let since = Utc::now();
    let steps = vec![
        Step { id: None, action: "<p>open</p>".into(), data: "<b>x</b> & y".into(), expected: String::new() },
        Step {
            id: None,
            action: "<p>2 &lt; 3</p>".into(),
            data: String::new(),
            expected: "<p>ok</p>".into(),
        },
    ];
    let mut changes = Vec::new();
    for (n, state) in ["Design", "Ready", "Closed"].into_iter().enumerate() {
        let id = format!("X-{n}");
        let mut change = bench.create(
            "Test Case",
            &id,
            &[("Title", "same"), ("State", state), ("Xray ID", &id), ("Tags", "b; a")],
            &[],
        );
        let Op::Create { fields, .. } = &mut change.op else { unreachable!() };
        fields.push(FieldWrite { field: "Steps".into(), value: WriteValue::Steps(steps.clone()) });
        fields.push(write("Priority", if n == 2 { "9" } else { "1" }));
        changes.push(change);
    }
    let outcomes = bench.ado.apply(&changes).await;
    let mut made = Vec::new();
    for (n, outcome) in outcomes.into_iter().enumerate() {
        let Outcome::Done { key, revision, refused } = outcome else { panic!("{outcome:?}") };
        assert_eq!(
            refused.iter().map(|(f, _)| f.as_str()).collect::<Vec<_>>(),
            if n == 2 { vec!["Priority"] } else { vec![] }
        );
        made.push((key, revision));
    }
    for ((key, revision), state) in made.iter().zip(["Design", "Ready", "Closed"]) {
        let batch = bench.ado.read("test_cases", std::slice::from_ref(key)).await.unwrap();
        assert_eq!(text(&batch, "rev", 0), *revision);
        assert_eq!(text(&batch, "updated_by", 0), Some(bench.ado.probe().await.unwrap().account));
        let fields = fields(&batch, 0);
        assert_eq!(fields["State"], state);
        let read: Vec<Step> = steps_from_json(&fields["Steps"]).unwrap();
        let read: Vec<Step> = read.into_iter().map(|s| Step { id: None, ..s }).collect();
        assert_eq!(read, steps);
    }
    let found = bench.ado.find(&changes, since).await.unwrap();
    assert_eq!(found, made.iter().map(|(key, _)| vec![key.clone()]).collect::<Vec<_>>());
    let other = bench.create("Test Case", "X-9", &[("Title", "same"), ("Xray ID", "X-9")], &[]);
    assert_eq!(bench.ado.find(&[other], since).await.unwrap(), [Vec::<Key>::new()]);

    let update = |revision: &str| Change {
        revision: Some(revision.to_owned()),
        ..bench.change(
            "Test Case",
            "X-0",
            Op::Update { key: made[0].0.clone(), fields: vec![write("Title", "other"), write("Tags", "c")] },
        )
    };
    let revision = made[0].1.clone().unwrap();
    assert!(matches!(bench.ado.apply(&[update(&revision)]).await[0], Outcome::Done { .. }));
    assert_eq!(bench.ado.apply(&[update(&revision)]).await, [Outcome::ChangedMeanwhile]);
    let fields = bench.fields("test_cases", &made[0].0).await;
    assert_eq!((fields["Title"].as_str(), fields["Tags"].as_str()), ("other", "c"));
}

#[tokio::test]
async fn plans_and_suites_are_written_and_found_again() {
    let bench = Bench::new(20).await;
    let since = Utc::now();
    let plan = bench.create(
        "Test Plan",
        "p/1",
        &[("Title", "New plan"), ("Description", "<p>d</p>"), ("State", "Inactive"), ("Xray ID", "X-77")],
        &[],
    );
    let (plan_key, revision, refused) = bench.apply(plan.clone()).await;
    assert_eq!(refused, []);
    let fields = bench.fields("test_plans", &plan_key).await;
    assert_eq!((fields["Title"].as_str(), fields["State"].as_str()), ("New plan", "Inactive"));
    assert_eq!(fields["Xray ID"], "X-77");
    assert_eq!(bench.ado.find(&[plan], since).await.unwrap(), [vec![plan_key.clone()]]);
    let rename = Change {
        revision,
        ..bench.change(
            "Test Plan",
            "p/1",
            Op::Update { key: plan_key.clone(), fields: vec![write("Title", "Renamed")] },
        )
    };
    assert_eq!(bench.ado.apply(std::slice::from_ref(&rename)).await.len(), 1);
    assert_eq!(bench.fields("test_plans", &plan_key).await["Title"], "Renamed");
    assert_eq!(bench.ado.apply(&[rename]).await, [Outcome::ChangedMeanwhile]);

    let suites: Vec<Change> = ["A", "B"]
        .iter()
        .map(|name| {
            bench.create(
                "Test Suite",
                name,
                &[("Title", name), ("Description", name)],
                &[("Parent Test Plan", &plan_key)],
            )
        })
        .collect();
    let outcomes = bench.ado.apply(&suites).await;
    let keys: Vec<Key> = outcomes
        .into_iter()
        .map(|o| match o {
            Outcome::Done { key, refused, .. } if refused.is_empty() => key,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        bench.ado.find(&suites, since).await.unwrap(),
        keys.iter().map(|k| vec![k.clone()]).collect::<Vec<_>>()
    );
    assert!(matches!(bench.ado.apply(&suites[..1]).await[0], Outcome::Rejected { .. }));
    bench.done(bench.relate("Test Suite", &keys[1], "Parent", &[&keys[0]], &[])).await;
    let batch = bench.ado.read("test_suites", &keys).await.unwrap();
    let at = (0..2).find(|&row| text(&batch, "key", row).as_deref() == Some(keys[1].as_str())).unwrap();
    assert_eq!(text(&batch, "parent_id", at).as_deref(), Some(keys[0].as_str()));
    assert_eq!(text(&batch, "path", at).as_deref(), Some("A/B"));
}

#[tokio::test]
async fn only_missing_members_are_added_and_only_present_ones_removed() {
    let bench = Bench::new(20).await;
    let plan_key = bench.done(bench.create("Test Plan", "p/1", &[("Title", "New plan")], &[])).await;
    let mut keys = Vec::new();
    for name in ["A", "B"] {
        let ends = [("Parent Test Plan", &plan_key)];
        keys.push(bench.done(bench.create("Test Suite", name, &[("Title", name)], &ends)).await);
    }
    let mut cases = Vec::new();
    for name in ["one", "two", "three"] {
        cases.push(bench.done(bench.create("Test Case", name, &[("Title", name)], &[])).await);
    }
    let members = async || {
        let entries = bench.table("suite_entries", None).await;
        let of_plan = (0..entries.num_rows())
            .filter(|&r| text(&entries, "plan_id", r).as_deref() == Some(plan_key.as_str()));
        let mut list: Vec<(String, String)> = of_plan
            .map(|r| (text(&entries, "suite_id", r).unwrap(), text(&entries, "case_id", r).unwrap()))
            .collect();
        list.sort();
        list
    };
    let pair = |suite: &Key, case: &Key| (suite.as_str().to_owned(), case.as_str().to_owned());
    let add = bench.relate("Test Suite", &keys[0], "Test Cases", &[&cases[0], &cases[1]], &[]);
    bench.done(add.clone()).await;
    bench.done(add).await;
    let mut wanted = vec![pair(&keys[0], &cases[0]), pair(&keys[0], &cases[1])];
    wanted.sort();
    assert_eq!(members().await, wanted);
    // One is in the plan already; the other goes to the root suite.
    bench.done(bench.relate("Test Plan", &plan_key, "Test Case", &[&cases[0], &cases[2]], &[])).await;
    assert_eq!(members().await.len(), 3);
    bench.done(bench.relate("Test Plan", &plan_key, "Test Case", &[], &[&cases[0], &cases[2]])).await;
    assert_eq!(members().await, [pair(&keys[0], &cases[1])]);
    bench.done(bench.relate("Test Case", &cases[2], "Test Suites", &[&keys[1]], &[])).await;
    bench.done(bench.relate("Test Suite", &keys[0], "Test Cases", &[], &[&cases[1]])).await;
    assert_eq!(members().await, [pair(&keys[1], &cases[2])]);
    bench.done(bench.relate("Test Suite", &keys[0], "Related", &[&keys[1]], &[])).await;
    let missing = Key::from("999999");
    let refused =
        bench.ado.apply(&[bench.relate("Test Suite", &keys[0], "Test Cases", &[&missing], &[])]).await;
    assert!(matches!(refused[0], Outcome::Rejected { .. }), "{refused:?}");
}

#[tokio::test]
async fn runs_are_opened_filled_completed_and_found_again() {
    let bench = Bench::new(20).await;
    let since = Utc::now();
    bench.configuration("Windows").await;
    let plan = bench.done(bench.create("Test Plan", "p/1", &[("Title", "Runs")], &[])).await;
    let mut cases = Vec::new();
    for name in ["one", "two"] {
        cases.push(bench.done(bench.create("Test Case", name, &[("Title", name)], &[])).await);
    }
    bench.done(bench.relate("Test Plan", &plan, "Test Case", &[&cases[0], &cases[1]], &[])).await;
    let points = bench.table("test_points", None).await;
    let configurations: Vec<String> = (0..points.num_rows())
        .filter(|&r| text(&points, "case_id", r).as_deref() == Some(cases[0].as_str()))
        .map(|r| text(&points, "configuration", r).unwrap())
        .collect();
    let slot = |case: &Key| Slot {
        case: case.clone(),
        plan: Some(plan.clone()),
        configuration: Some(configurations[0].clone()),
        fallback: None,
    };
    let mut open = bench.create(
        "Test Run",
        "runs/L1",
        &[("Summary", "Sync"), ("Comment", "hello")],
        &[("Parent Test Plan", &plan)],
    );
    if let Op::Create { slots, .. } = &mut open.op {
        slots.push(slot(&cases[0]));
    }
    let (run, _, refused) = bench.apply(open.clone()).await;
    assert_eq!(refused, []);
    assert_eq!(bench.fields("test_runs", &run).await["Comment"], "hello");
    assert_eq!(bench.ado.find(&[open], since).await.unwrap(), [vec![run.clone()]]);

    let result = bench.create(
        "Test Result",
        "results/L1",
        &[
            ("Outcome", "Failed"),
            ("Configuration", &configurations[0]),
            ("Comment", "broken"),
            ("Duration", "1500"),
            ("Started Date", "2024-05-01T08:00:00Z"),
            ("Completed Date", "2024-05-01T08:05:00Z"),
        ],
        &[("Parent Test Run", &run), ("Parent Test Case", &cases[0]), ("Parent Test Plan", &plan)],
    );
    assert_eq!(bench.ado.find(std::slice::from_ref(&result), since).await.unwrap(), [Vec::<Key>::new()]);
    let (key, _, refused) = bench.apply(result.clone()).await;
    assert_eq!(refused, []);
    assert_eq!(bench.done(result.clone()).await, key);
    assert_eq!(bench.ado.find(&[result], since).await.unwrap(), [vec![key.clone()]]);
    let fields = bench.fields("test_results", &key).await;
    for (name, value) in [
        ("Outcome", "Failed"),
        ("Comment", "broken"),
        ("Duration", "1500"),
        ("Started Date", "2024-05-01T08:00:00Z"),
    ] {
        assert_eq!(fields[name], value);
    }
    assert_eq!(bench.fields("test_runs", &run).await["State"], "Completed");

    let more =
        bench.change("Test Run", "runs/L1", Op::OpenSlots { key: run.clone(), slots: vec![slot(&cases[0])] });
    assert_eq!(bench.done(more).await, run);
    let more =
        bench.change("Test Run", "runs/L1", Op::OpenSlots { key: run.clone(), slots: vec![slot(&cases[1])] });
    let further = bench.done(more.clone()).await;
    assert_ne!(further, run);
    assert_eq!(bench.ado.find(&[more], since).await.unwrap(), [vec![further.clone()]]);

    let update = bench.change(
        "Test Result",
        "results/L1",
        Op::Update { key: key.clone(), fields: vec![write("Outcome", "Passed")] },
    );
    bench.done(update).await;
    assert_eq!(bench.fields("test_results", &key).await["Outcome"], "Passed");
    let rename = bench.change(
        "Test Run",
        "runs/L1",
        Op::Update { key: run.clone(), fields: vec![write("Summary", "S"), write("Comment", "bye")] },
    );
    bench.done(rename).await;
    let fields = bench.fields("test_runs", &run).await;
    assert_eq!((fields["Summary"].as_str(), fields["Comment"].as_str()), ("S", "bye"));
    let changed = bench.table("test_runs", Some(since)).await;
    assert!(keys(&changed).contains(&run.as_str().to_owned()));
    assert!(bench.sandbox.state("azure-devops").is_some());
}

#[tokio::test]
async fn fields_are_made_once_and_can_be_written() {
    let bench = Bench::new(20).await;
    bench.ado.create_field("Test Case", "Octane ID").await.unwrap();
    bench.ado.create_field("Test Case", "Octane ID").await.unwrap();
    let metadata = bench.ado.metadata().await.unwrap();
    assert!(metadata.artifacts["Test Case"].fields["Octane ID"].writable);
    let key = bench.done(bench.create("Test Case", "x", &[("Title", "t"), ("Octane ID", "7")], &[])).await;
    assert_eq!(bench.fields("test_cases", &key).await["Octane ID"], "7");
}

/// What a create of each artifact is sent to.
const CREATES: [(&str, &str); 4] = [
    ("Test Case", "wit/$batch"),
    ("Test Plan", "testplan/plans"),
    ("Test Suite", "/suites"),
    ("Test Run", "test/runs"),
];

/// Whatever becomes of the answer to a create, asking again makes no second one.
#[tokio::test]
async fn lost_answer_does_not_create_twice() {
    for (artifact, path) in CREATES {
        for kind in ["cut-before", "cut-after", "502-after", "500", "truncated", "sign-in"] {
            let json = serde_json::json!({"path": path, "methods": ["POST", "PATCH"], "at": {"1": kind}});
            let plan = FaultPlan::from_json(json.to_string().as_bytes()).unwrap();
            let bench = Bench::with_faults(20, Some(plan)).await;
            let plans = bench.table("test_plans", None).await;
            let plan = Key::from(text(&plans, "key", 0).unwrap());
            let ends = [("Parent Test Plan", &plan)];
            let ends = if ["Test Suite", "Test Run"].contains(&artifact) { &ends[..] } else { &[] };
            let name = if artifact == "Test Run" { "Summary" } else { "Title" };
            let create = bench.create(artifact, "pair/L1", &[(name, "only once")], ends);
            let since = Utc::now();
            let outcome = bench.ado.apply(std::slice::from_ref(&create)).await.remove(0);
            assert!(matches!(outcome, Outcome::Unknown { .. }), "{artifact} {kind}: {outcome:?}");
            let found = bench.ado.find(std::slice::from_ref(&create), since).await.unwrap().remove(0);
            let happened = ["cut-after", "502-after", "truncated"].contains(&kind);
            assert_eq!(found.len(), usize::from(happened), "{artifact} {kind}");
            if found.is_empty() {
                let key = bench.done(create.clone()).await;
                assert_eq!(bench.ado.find(&[create], since).await.unwrap(), [vec![key]], "{artifact} {kind}");
            }
        }
    }
}

/// Keys and fields in order, without what differs between two sandboxes: ports and times.
fn content(batch: &RecordBatch) -> BTreeMap<String, BTreeMap<String, String>> {
    let timeless = |(name, value): &(String, String)| {
        !value.starts_with("http")
            && !name.ends_with("Date")
            && !["Started", "Completed"].contains(&name.as_str())
    };
    let row =
        |row| (text(batch, "key", row).unwrap(), fields(batch, row).into_iter().filter(timeless).collect());
    (0..batch.num_rows()).map(row).collect()
}

#[tokio::test]
async fn a_failing_service_is_read_like_a_sound_one() {
    let calm = Bench::new(60).await;
    for seed in [3, 11] {
        let faults = format!("seed={seed},rate=0.2,kinds=500+502+503+cut+truncated");
        let rough = Bench::with_faults(60, Some(faults.parse().unwrap())).await;
        for spec in calm.ado.tables() {
            let (left, right) = (calm.table(spec.name, None).await, rough.table(spec.name, None).await);
            assert_eq!(content(&left), content(&right), "{} {faults}", spec.name);
        }
    }
}
