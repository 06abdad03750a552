//! The Jira Xray connector against the emulator of both.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use futures::TryStreamExt;
use testferry::connectors::Connector;
use testferry::connectors::jira_xray::{JiraXray, Settings};
use testferry::http;
use testferry::model::{
    Change, FieldWrite, Hop, Key, Op, Outcome, PairId, ReferenceWrite, Slot, Step, WriteValue,
    steps_from_json,
};
use testferry::sandbox::{Sandbox, SandboxOptions};

const SYSTEM: &str = "jira-xray";

/// A project in which closed issues refuse edits.
const CLASSIC: &str = "CLASSIC";

struct Bench {
    sandbox: Sandbox,
    env: BTreeMap<String, String>,
    connector: JiraXray,
}

impl Bench {
    async fn new() -> Bench {
        Bench::with(SandboxOptions { systems: vec![SYSTEM.into()], empty: true, ..SandboxOptions::default() })
            .await
    }

    async fn with(options: SandboxOptions) -> Bench {
        let sandbox = Sandbox::start(options).await.expect("a sandbox");
        let env: BTreeMap<String, String> = sandbox.env().into_iter().collect();
        let connector = JiraXray::new(settings(&env)).expect("a connector");
        Bench { sandbox, env, connector }
    }

    /// Turns to another project of the site.
    fn of_project(mut self, project: &str) -> Bench {
        self.env.insert("JIRA_PROJECT".into(), project.into());
        self.connector = JiraXray::new(settings(&self.env)).expect("a connector");
        self
    }

    fn project(&self) -> &str {
        &self.env["JIRA_PROJECT"]
    }

    fn change(&self, artifact: &str, op: Op) -> Change {
        Change {
            id: 1,
            pair: PairId::from("p"),
            artifact: artifact.into(),
            project: self.project().into(),
            revision: None,
            op,
        }
    }

    fn create(&self, artifact: &str, fields: Vec<FieldWrite>) -> Change {
        self.change(artifact, Op::Create { fields, references: vec![], slots: vec![] })
    }

    async fn make(&self, artifact: &str, title: &str) -> Key {
        done(&self.connector.apply(&[self.create(artifact, vec![text("Summary", title)])]).await[0])
    }

    async fn one(&self, change: Change) -> Outcome {
        self.connector.apply(&[change]).await.remove(0)
    }

    async fn read(&self, table: &str, key: &Key) -> Row {
        let batch = self.connector.read(table, std::slice::from_ref(key)).await.expect("a batch");
        assert_eq!(batch.num_rows(), 1, "{table} {key}");
        Row(batch)
    }

    /// Requests that cost: polls for a job are waiting, not work.
    fn requests(&self) -> usize {
        let polls = |path: &str| path.contains("/import/test/bulk/");
        self.sandbox.request_log(SYSTEM).iter().filter(|r| !polls(&r.path)).count()
    }
}

fn settings(env: &BTreeMap<String, String>) -> Settings {
    Settings {
        url: env["JIRA_URL"].clone(),
        xray_url: env["XRAY_URL"].clone(),
        email: env["JIRA_EMAIL"].clone(),
        token: env["JIRA_TOKEN"].as_str().into(),
        client_id: env["XRAY_CLIENT_ID"].clone(),
        client_secret: env["XRAY_CLIENT_SECRET"].as_str().into(),
        projects: vec![env["JIRA_PROJECT"].clone()],
        index_lag: Duration::ZERO,
        http: http::Settings::default(),
    }
}

/// The first row of a batch.
struct Row(RecordBatch);

impl Row {
    fn field(&self, name: &str) -> Option<String> {
        let map = self.0.column_by_name("fields").expect("fields").as_map().value(0);
        let (names, values) = (map.column(0).as_string::<i32>(), map.column(1).as_string::<i32>());
        (0..names.len()).find(|n| names.value(*n) == name).map(|n| values.value(n).to_owned())
    }

    fn list(&self, column: &str) -> Vec<String> {
        let list = self.0.column_by_name(column).expect("the column").as_list::<i32>().value(0);
        let mut list: Vec<String> = list.as_string::<i32>().iter().flatten().map(str::to_owned).collect();
        list.sort();
        list
    }

    fn rev(&self) -> String {
        self.0.column_by_name("rev").expect("rev").as_string::<i32>().value(0).to_owned()
    }
}

fn text(field: &str, value: &str) -> FieldWrite {
    FieldWrite { field: field.into(), value: WriteValue::Text(value.into()) }
}

fn step(action: &str) -> Step {
    Step { id: None, action: action.into(), data: "d".into(), expected: "e".into() }
}

fn steps(actions: &[&str]) -> FieldWrite {
    FieldWrite { field: "Steps".into(), value: WriteValue::Steps(actions.iter().map(|a| step(a)).collect()) }
}

fn to(hops: &[(&str, &str)]) -> FieldWrite {
    let hop = |(name, to): &(&str, &str)| Hop {
        name: (*name).into(),
        to: (*to).into(),
        fields: vec![("resolution".into(), "Done".into())],
    };
    FieldWrite { field: "Status".into(), value: WriteValue::Transitions(hops.iter().map(hop).collect()) }
}

fn update(key: &Key, fields: Vec<FieldWrite>) -> Op {
    Op::Update { key: key.clone(), fields }
}

fn relate(key: &Key, relationship: &str, add: &[&Key], remove: &[&Key]) -> Op {
    let keys = |list: &[&Key]| list.iter().map(|k| (*k).clone()).collect();
    Op::Relate { key: key.clone(), relationship: relationship.into(), add: keys(add), remove: keys(remove) }
}

fn done(outcome: &Outcome) -> Key {
    match outcome {
        Outcome::Done { key, refused, .. } if refused.is_empty() => key.clone(),
        other => panic!("{other:?}"),
    }
}

async fn count(connector: &JiraXray, table: &str) -> usize {
    let pages: Vec<_> = connector.extract(table, None).try_collect().await.expect("pages");
    pages.iter().map(|p| p.rows.num_rows()).sum()
}

const ADF: &str = r#"{"type":"doc","version":1,"content":[{"type":"paragraph","content":[{"type":"text","text":"see ","marks":[]},{"type":"text","text":"this","marks":[{"type":"strong"}]}]}]}"#;

#[tokio::test]
async fn thousand_tests_cost_at_most_forty_requests() {
    let bench = Bench::new().await;
    let create = |n: usize| {
        let description = FieldWrite { field: "Description".into(), value: WriteValue::Rich(ADF.into()) };
        let id = n.to_string();
        bench.create(
            "Test",
            vec![
                text("Summary", &format!("Test {n}")),
                text("Azure DevOps ID", &id),
                text("Priority", "Medium"),
                description,
                steps(&["a", "b"]),
            ],
        )
    };
    let changes: Vec<Change> = (0..1000).map(create).collect();
    let keys: Vec<Key> = bench.connector.apply(&changes).await.iter().map(done).collect();
    let rows = bench.connector.read("tests", &keys).await.expect("rows");
    assert_eq!(rows.num_rows(), 1000);
    assert!(bench.requests() <= 40, "{}", bench.requests());
    let row = Row(bench.connector.read("tests", &keys[7..8]).await.expect("a row"));
    assert_eq!(
        (row.field("Summary").as_deref(), row.field("Azure DevOps ID").as_deref()),
        (Some("Test 7"), Some("7"))
    );
    assert!(row.field("Description").expect("a description").contains("strong"));
    let read = steps_from_json(&row.field("Steps").expect("steps")).expect("steps");
    assert_eq!(read.iter().map(|s| s.action.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let before = bench.requests();
    assert_eq!(count(&bench.connector, "tests").await, 1000);
    assert!(bench.requests() - before <= 16, "{}", bench.requests() - before);
    let listed = bench.connector.keys("tests").await.expect("keys").expect("a list");
    assert_eq!(listed.len(), 1000);
}

#[tokio::test]
async fn edits_write_fields_steps_and_status() {
    let bench = Bench::new().await;
    let fields = vec![text("Summary", "one"), steps(&["a", "b", "c"])];
    let key = done(&bench.one(bench.create("Test", fields)).await);
    let before = bench.read("tests", &key).await;
    let ids = before.list("step_ids");
    let change = Change {
        revision: Some(before.rev()),
        ..bench.change(
            "Test",
            update(
                &key,
                vec![
                    text("Summary", "two"),
                    steps(&["a", "c"]),
                    to(&[("Start Progress", "In Progress"), ("Close Issue", "Closed")]),
                ],
            ),
        )
    };
    let outcome = bench.one(change.clone()).await;
    assert_eq!(done(&outcome), key);
    let after = bench.read("tests", &key).await;
    assert_eq!(
        (after.field("Summary").as_deref(), after.field("Status").as_deref()),
        (Some("two"), Some("Closed"))
    );
    assert_eq!(after.list("step_actions"), ["a", "c"]);
    assert!(after.list("step_ids").iter().all(|id| ids.contains(id)));
    // The revision that was read is not the current one any more.
    assert_eq!(bench.one(change).await, Outcome::ChangedMeanwhile);
}

#[tokio::test]
async fn closed_issue_refuses_edits_and_takes_them_on_the_way_out() {
    let bench = Bench::new().await.of_project(CLASSIC);
    let key = bench.make("Test", "one").await;
    let close = bench.change("Test", update(&key, vec![to(&[("Close Issue", "Closed")])]));
    done(&bench.one(close).await);
    let edit = bench.one(bench.change("Test", update(&key, vec![text("Summary", "two")]))).await;
    assert!(matches!(edit, Outcome::Rejected { .. }), "{edit:?}");
    let hops = [("Reopen Issue", "Reopened"), ("Resolve Issue", "Resolved")];
    let fields = vec![text("Summary", "three"), steps(&["x"]), to(&hops)];
    done(&bench.one(bench.change("Test", update(&key, fields))).await);
    let row = bench.read("tests", &key).await;
    assert_eq!(row.field("Summary").as_deref(), Some("three"));
    assert_eq!(row.field("Status").as_deref(), Some("Resolved"));
    assert_eq!(row.list("step_actions"), ["x"]);
}

#[tokio::test]
async fn revision_of_an_edit_is_that_of_the_row() {
    let bench = Bench::new().await;
    for (artifact, table) in [("Test", "tests"), ("Bug", "bugs")] {
        let key = bench.make(artifact, "one").await;
        let revision = Some(bench.read(table, &key).await.rev());
        let change =
            Change { revision, ..bench.change(artifact, update(&key, vec![text("Summary", "two")])) };
        let Outcome::Done { revision, .. } = bench.one(change).await else { panic!("{artifact}") };
        assert_eq!(revision, Some(bench.read(table, &key).await.rev()));
    }
}

#[tokio::test]
async fn transition_that_is_not_offered_is_refused_and_the_rest_written() {
    let bench = Bench::new().await;
    let key = bench.make("Test Plan", "one").await;
    let outcome = bench
        .one(bench.change(
            "Test Plan",
            update(&key, vec![text("Summary", "two"), to(&[("Reopen Issue", "Reopened")])]),
        ))
        .await;
    let Outcome::Done { refused, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(refused[0].0, "Status");
    assert!(refused[0].1.contains("not offered to"), "{refused:?}");
    assert_eq!(bench.read("test_plans", &key).await.field("Summary").as_deref(), Some("two"));
}

#[tokio::test]
async fn members_and_links_come_and_go() {
    let bench = Bench::new().await;
    let (a, b) = (bench.make("Test", "a").await, bench.make("Test", "b").await);
    let (plan, set) = (bench.make("Test Plan", "p").await, bench.make("Test Set", "s").await);
    for (artifact, table, holder) in [("Test Plan", "test_plans", &plan), ("Test Set", "test_sets", &set)] {
        done(&bench.one(bench.change(artifact, relate(holder, "tests", &[&a, &b], &[]))).await);
        done(&bench.one(bench.change(artifact, relate(holder, "tests", &[&b], &[&a]))).await);
        assert_eq!(bench.read(table, holder).await.list("tests"), [b.as_str()]);
    }
    done(&bench.one(bench.change("Test Set", relate(&set, "relates to (in)", &[&plan], &[]))).await);
    let row = bench.read("test_sets", &set).await;
    assert_eq!(row.list("link_directions"), ["inward"]);
    assert_eq!(
        (row.list("link_targets"), row.list("link_target_types")),
        (vec![plan.to_string()], vec!["Test Plan".to_owned()])
    );
    done(&bench.one(bench.change("Test Set", relate(&set, "relates to (in)", &[], &[&plan]))).await);
    assert!(bench.read("test_sets", &set).await.list("link_targets").is_empty());
}

#[tokio::test]
async fn large_memberships_are_read_whole() {
    let bench = Bench::new().await;
    let changes: Vec<Change> =
        (0..230).map(|n| bench.create("Test", vec![text("Summary", &format!("t{n}"))])).collect();
    let tests: Vec<Key> = bench.connector.apply(&changes).await.iter().map(done).collect();
    let plan = bench.make("Test Plan", "p").await;
    let all: Vec<&Key> = tests.iter().collect();
    done(&bench.one(bench.change("Test Plan", relate(&plan, "tests", &all, &[]))).await);
    assert_eq!(bench.read("test_plans", &plan).await.list("tests").len(), 230);
}

async fn execution(bench: &Bench, tests: &[Key]) -> Key {
    let slots = tests
        .iter()
        .map(|t| Slot { case: t.clone(), plan: None, configuration: Some("Chrome".into()), fallback: None })
        .collect();
    let op = Op::Create {
        fields: vec![text("Summary", "nightly"), text("Azure DevOps ID", "77")],
        references: vec![],
        slots,
    };
    done(&bench.one(bench.change("Test Execution", op)).await)
}

fn result(bench: &Bench, execution: &Key, test: &Key, fields: Vec<FieldWrite>) -> Change {
    let end =
        |name: &str, key: &Key| ReferenceWrite { relationship: name.into(), targets: vec![key.clone()] };
    let references = vec![end("Test Run's Test Execution key", execution), end("Test Run's Test key", test)];
    bench.change("Test Run", Op::Create { fields, references, slots: vec![] })
}

#[tokio::test]
async fn results_of_an_execution_go_in_one_import() {
    let bench = Bench::new().await;
    let tests = [bench.make("Test", "a").await, bench.make("Test", "b").await, bench.make("Test", "c").await];
    let run = execution(&bench, &tests[..2]).await;
    let plan = bench.make("Test Plan", "p").await;
    done(&bench.one(bench.change("Test Execution", relate(&run, "Test Plan", &[&plan], &[]))).await);
    let slots = vec![Slot { case: tests[2].clone(), plan: None, configuration: None, fallback: None }];
    done(&bench.one(bench.change("Test Execution", Op::OpenSlots { key: run.clone(), slots })).await);
    let row = bench.read("test_executions", &run).await;
    assert_eq!(
        (row.list("environments"), row.list("plans")),
        (vec!["Chrome".to_owned()], vec![plan.to_string()])
    );
    let times =
        [text("Started On", "2026-05-01T10:00:00.000Z"), text("Finished On", "2026-05-01T10:00:05.000Z")];
    let create = |n: usize, status: &str| {
        let mut fields = vec![text("Status", status), text("Comment", "fine")];
        fields.extend(times.clone());
        result(&bench, &run, &tests[n], fields)
    };
    let outcomes = bench.connector.apply(&[create(0, "PASSED"), create(1, "FAILED")]).await;
    let keys: Vec<Key> = outcomes.iter().map(done).collect();
    let imports =
        bench.sandbox.request_log(SYSTEM).iter().filter(|r| r.path.ends_with("/import/execution")).count();
    assert_eq!(imports, 1);
    let first = bench.read("test_runs", &keys[0]).await;
    assert_eq!(
        (first.field("Status").as_deref(), first.field("Comment").as_deref()),
        (Some("PASSED"), Some("fine"))
    );
    assert_eq!(
        (first.field("Duration").as_deref(), first.field("Started On").as_deref()),
        (Some("5000"), Some("2026-05-01T10:00:00.000Z"))
    );
    assert_eq!(count(&bench.connector, "test_runs").await, 3);
    let change = Change {
        revision: Some(first.rev()),
        ..bench.change("Test Run", update(&keys[0], vec![text("Status", "ABORTED")]))
    };
    done(&bench.one(change.clone()).await);
    let second = bench.read("test_runs", &keys[0]).await;
    assert_eq!(
        (second.field("Status").as_deref(), second.field("Comment").as_deref()),
        (Some("ABORTED"), Some("fine"))
    );
    assert_eq!(second.field("Finished On"), first.field("Finished On"));
    let found = bench
        .connector
        .find(&[create(1, "FAILED"), create(2, "PASSED")], chrono::Utc::now())
        .await
        .expect("keys");
    assert_eq!(found, [vec![keys[1].clone()], vec![]]);
}

#[tokio::test]
async fn created_artifacts_are_found_by_their_cross_reference() {
    let bench = Bench::new().await;
    let since = chrono::Utc::now();
    let create =
        |id: &str| bench.create("Test Plan", vec![text("Summary", "plan"), text("Azure DevOps ID", id)]);
    let changes = [create("1"), create("2"), create("2")];
    let keys: Vec<Key> = bench.connector.apply(&changes).await.iter().map(done).collect();
    let found = bench.connector.find(&[create("1"), create("2"), create("3")], since).await.expect("keys");
    assert_eq!(found, [vec![keys[0].clone()], vec![keys[1].clone(), keys[2].clone()], vec![]]);
}

#[tokio::test]
async fn bugs_are_created_in_bulk_without_the_fields_that_are_refused() {
    let bench = Bench::new().await;
    let good = bench.create("Bug", vec![text("Summary", "boom"), text("Priority", "High")]);
    let odd = bench.create("Bug", vec![text("Summary", "bang"), text("Priority", "Sky-high")]);
    let bad = bench.create("Bug", vec![text("Priority", "High")]);
    let outcomes = bench.connector.apply(&[good, odd, bad]).await;
    let key = done(&outcomes[0]);
    assert_eq!(bench.read("bugs", &key).await.field("Priority").as_deref(), Some("High"));
    assert!(
        matches!(&outcomes[1], Outcome::Done { refused, .. } if refused[0].0 == "Priority"),
        "{:?}",
        outcomes[1]
    );
    assert!(matches!(&outcomes[2], Outcome::Rejected { .. }), "{:?}", outcomes[2]);
}

#[tokio::test]
async fn every_table_of_an_empty_site_is_read() {
    let bench = Bench::new().await;
    for table in bench.connector.tables() {
        let pages: Vec<_> = bench
            .connector
            .extract(table.name, None)
            .try_collect()
            .await
            .unwrap_or_else(|e| panic!("{}: {e}", table.name));
        assert_eq!(pages.iter().map(|p| p.rows.num_rows()).sum::<usize>(), 0, "{}", table.name);
    }
}

#[tokio::test]
async fn incremental_pass_sees_edits_of_either_side() {
    let bench = Bench::new().await;
    let changes: Vec<Change> = (0..3)
        .map(|n| bench.create("Test", vec![text("Summary", &format!("t{n}")), steps(&["a"])]))
        .collect();
    let keys: Vec<Key> = bench.connector.apply(&changes).await.iter().map(done).collect();
    done(&bench.one(bench.change("Test", update(&keys[1], vec![steps(&["b"])]))).await);
    let later = chrono::Utc::now() + chrono::TimeDelta::hours(1);
    let pages: Vec<_> = bench.connector.extract("tests", Some(later)).try_collect().await.expect("pages");
    assert_eq!(pages.iter().map(|p| p.rows.num_rows()).sum::<usize>(), 0);
    let pages: Vec<_> =
        bench.connector.extract("tests", Some(chrono::Utc::now())).try_collect().await.expect("pages");
    assert_eq!(pages.iter().map(|p| p.rows.num_rows()).sum::<usize>(), 3);
}

#[tokio::test]
async fn wrong_credentials_are_a_matter_of_settings() {
    use testferry::connectors::ErrorKind;
    let bench = Bench::new().await;
    assert!(bench.connector.probe().await.expect("who we are").account.len() > 3);
    for wrong in ["JIRA_TOKEN", "XRAY_CLIENT_SECRET", "JIRA_PROJECT"] {
        let mut env = bench.env.clone();
        env.insert(wrong.into(), "NOPE".into());
        let error = JiraXray::new(settings(&env)).expect("a connector").probe().await.expect_err(wrong);
        assert_eq!(error.kind, ErrorKind::Settings, "{wrong}: {error}");
    }
    let mut env = bench.env.clone();
    env.insert("JIRA_URL".into(), "http://127.0.0.1:1".into());
    let transport = http::Settings { retries_max: 0, ..http::Settings::default() };
    let gone = JiraXray::new(Settings { http: transport, ..settings(&env) }).expect("a connector");
    assert_eq!(gone.probe().await.expect_err("nobody there").kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn new_field_can_be_written_at_once() {
    let bench = Bench::new().await;
    bench.make("Test", "one").await;
    let metadata = bench.connector.metadata().await.expect("metadata");
    let test = &metadata.artifacts["Test"];
    assert!(test.fields["Priority"].values.as_ref().is_some_and(|v| v.contains(&"Medium".to_owned())));
    assert!(test.fields["Status"].values.as_ref().is_some_and(|v| v.contains(&"In Progress".to_owned())));
    assert!(
        test.transitions.iter().any(|(_, name, to)| name == "Close Issue" && to == "Closed"),
        "{:?}",
        test.transitions
    );
    assert!(test.fields["Azure DevOps ID"].writable);
    bench.connector.create_field("Test", "Octane ID").await.expect("a field");
    let fresh = JiraXray::new(settings(&bench.env)).expect("a connector");
    let fields = vec![text("Summary", "two"), text("Octane ID", "5")];
    let key = done(&fresh.apply(&[bench.create("Test", fields)]).await[0]);
    assert_eq!(bench.read("tests", &key).await.0.num_rows(), 1);
    let row = Row(fresh.read("tests", &[key]).await.expect("a row"));
    assert_eq!(row.field("Octane ID").as_deref(), Some("5"));
}

#[tokio::test]
async fn every_row_of_a_filled_site_is_read_once() {
    let options = SandboxOptions { systems: vec![SYSTEM.into()], ..SandboxOptions::default() };
    let bench = Bench::with(options).await;
    for table in bench.connector.tables() {
        let pages: Vec<_> = bench
            .connector
            .extract(table.name, None)
            .try_collect()
            .await
            .unwrap_or_else(|e| panic!("{}: {e}", table.name));
        let keys = pages.iter().flat_map(|p| p.rows.column(0).as_string::<i32>().iter().flatten());
        let mut keys: Vec<String> = keys.map(str::to_owned).collect();
        let rows = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), rows, "{}", table.name);
        assert!(rows > 0, "{}", table.name);
        if let Some(listed) = bench.connector.keys(table.name).await.expect("keys") {
            assert_eq!(listed.len(), rows, "{}", table.name);
        }
        let some: Vec<Key> = keys.iter().take(3).map(|k| Key::from(k.as_str())).collect();
        let read = bench.connector.read(table.name, &some).await.expect("rows");
        assert_eq!(read.num_rows(), some.len(), "{}", table.name);
    }
    assert!(bench.requests() < 90, "{}", bench.requests());
}
