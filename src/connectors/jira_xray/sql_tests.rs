//! The neutral views over native tables of this system, row by row.

use arrow::array::{Array, AsArray, RecordBatch};
use serde_json::{Value, json};

use super::SYSTEM;
use super::describe::{Kind, folder_columns, run_columns, tables};
use super::rows::{Extras, Members, add_issue, add_run};
use super::values::Fields;
use super::wire::{FieldDef, Issue, Run};
use crate::connectors::RowBuilder;
use crate::model::native_schema;
use crate::sql::{Limits, Sql, Statements, neutral, register_batches, register_neutral_views};

fn issue(id: &str, kind: &str, extra: Value) -> Issue {
    let mut fields = json!({
        "summary": format!("{kind} {id}"), "issuetype": { "name": kind }, "project": { "key": "CALC" },
        "status": { "name": "New", "statusCategory": { "key": "new" } }, "labels": ["smoke"],
        "created": "2026-05-01T10:00:00.000+0100", "updated": "2026-05-01T12:34:56.789+0100",
        "customfield_10037": "4711" });
    for (name, value) in extra.as_object().expect("an object") {
        fields[name] = value.clone();
    }
    serde_json::from_value(json!({ "id": id, "key": format!("CALC-{id}"), "fields": fields }))
        .expect("an issue")
}

fn link(kind: &str, end: &str, id: &str, target: &str) -> Value {
    json!({ "id": format!("9{id}"), "type": { "name": kind }, end: { "id": id, "fields": { "issuetype": { "name": target } } } })
}

fn members(ids: &[&str]) -> Members {
    Members { ids: ids.iter().map(|id| (*id).to_owned()).collect(), ..Members::default() }
}

/// Two tests, one plan, two sets, an execution in two plans, one run.
fn world() -> Vec<(&'static str, RecordBatch)> {
    let fields: Vec<FieldDef> =
        serde_json::from_value(json!([{ "id": "customfield_10037", "name": "Azure DevOps ID",
        "custom": true, "schema": { "type": "string", "custom": "x:textfield" } }]))
        .expect("fields");
    let fields = Fields::new(fields);
    let mut extras = Extras::default();
    let test = json!({ "issueId": "9", "lastModified": "2026-05-02T00:00:00Z", "testType": { "name": "Manual", "kind": "Steps" },
        "folder": { "path": "/A" }, "steps": [{ "id": "s1", "action": "open" }, { "id": "s2", "action": "close", "result": "closed" }] });
    extras.tests.insert("9".into(), serde_json::from_value(test).expect("a test"));
    extras.tests.insert("10".into(), serde_json::from_value(json!({ "issueId": "10" })).expect("a test"));
    extras.members.insert("20".into(), members(&["9", "10"]));
    extras.members.insert("30".into(), members(&["9"]));
    extras.members.insert("31".into(), members(&["9", "10"]));
    extras
        .members
        .insert("40".into(), Members { environments: vec!["Chrome".into()], ..members(&["21", "20"]) });
    let relates = json!({ "issuelinks": [link("Relates", "inwardIssue", "20", "Test Plan"),
        link("Relates", "outwardIssue", "50", "Bug"), link("Relates", "inwardIssue", "50", "Bug")] });
    let covers = json!({ "issuelinks": [link("Test", "outwardIssue", "60", "Story")], "parent": { "id": "61", "fields": { "issuetype": { "name": "Epic" } } } });
    let covered = json!({ "issuelinks": [link("Test", "inwardIssue", "9", "Test"), link("Test", "inwardIssue", "10", "Test")] });
    let issues = [
        (Kind::Tests, vec![issue("9", "Test", covers), issue("10", "Test", json!({}))]),
        (Kind::TestPlans, vec![issue("20", "Test Plan", json!({}))]),
        (Kind::TestSets, vec![issue("30", "Test Set", relates), issue("31", "Test Set", json!({}))]),
        (Kind::TestExecutions, vec![issue("40", "Test Execution", json!({}))]),
        (Kind::Bugs, vec![issue("50", "Bug", json!({}))]),
        (Kind::Requirements, vec![issue("60", "Story", covered)]),
    ];
    let mut world = Vec::new();
    for (kind, issues) in issues {
        let mut rows = RowBuilder::new(&kind.columns());
        for issue in &issues {
            add_issue(&mut rows, kind, issue, &extras, &fields, "https://site.example");
        }
        world.push((kind.table(), rows.finish()));
    }
    let run: Run = serde_json::from_value(json!({ "id": "5f5f", "status": { "name": "PASSED", "final": true, "coverageStatus": "OK" },
        "startedOn": "2026-05-01T10:00:00Z", "finishedOn": "2026-05-01T10:00:05Z", "comment": "fine", "test": { "issueId": "9" },
        "testExecution": { "issueId": "40", "testEnvironments": ["Chrome"] } }))
    .expect("a run");
    let mut rows = RowBuilder::new(&run_columns());
    add_run(&mut rows, &run, "CALC", "https://site.example/browse/CALC-40");
    world.push(("test_runs", rows.finish()));
    world.push(("folders", RowBuilder::new(&folder_columns()).finish()));
    world
}

async fn session() -> Sql {
    let sql = Sql::open("t", Limits::default()).expect("a session");
    for (name, rows) in world() {
        register_batches(&sql, "xray", name, rows.schema(), vec![rows]).expect("a table");
    }
    let views = register_neutral_views(&sql, &Statements::new(), SYSTEM, "xray").await;
    views.unwrap_or_else(|e| panic!("{e}: {:?}", std::error::Error::source(&e)));
    sql
}

async fn query(sql: &Sql, statement: &str) -> Vec<String> {
    let batches = sql.context().sql(statement).await.expect("a plan").collect().await.expect("rows");
    let text = |batch: &RecordBatch, row: usize| {
        let cells = batch.columns().iter().map(|column| {
            let column = arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8).expect("a text");
            let column = column.as_string::<i32>();
            if column.is_null(row) { "-".to_owned() } else { column.value(row).to_owned() }
        });
        cells.collect::<Vec<_>>().join("|")
    };
    let mut rows: Vec<String> =
        batches.iter().flat_map(|b| (0..b.num_rows()).map(move |r| text(b, r))).collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn every_view_has_the_neutral_columns_and_unique_keys() {
    let sql = session().await;
    for view in neutral::views() {
        let frame = sql.context().table(format!("xray.{}", view.name)).await.expect("the view");
        let mut wanted = if view.artifact { neutral::common() } else { vec![] };
        wanted.extend(view.columns.clone());
        let given: Vec<_> =
            frame.schema().fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect();
        for (column, (name, kind)) in given.iter().zip(&wanted) {
            assert_eq!((column.0.as_str(), &column.1), (*name, kind), "{}", view.name);
        }
        assert_eq!(given.len(), wanted.len(), "{}", view.name);
        let key = view.key.iter().map(|k| format!("\"{k}\"")).collect::<Vec<_>>().join(", ");
        let nulls = view.key.iter().map(|k| format!("\"{k}\" IS NULL")).collect::<Vec<_>>().join(" OR ");
        let count = format!(
            "SELECT count(*) FROM (SELECT {key} FROM xray.{v} GROUP BY {key} HAVING count(*) > 1 OR {nulls})",
            v = view.name
        );
        assert_eq!(query(&sql, &count).await, ["0"], "{}", view.name);
    }
}

#[tokio::test]
async fn memberships_name_plan_and_set() {
    let sql = session().await;
    let rows = query(&sql, "SELECT holder, holder_key, case_key FROM xray.membership").await;
    assert_eq!(rows, ["container|30|9", "container|31|10", "container|31|9", "plan|20|10", "plan|20|9"]);
    let homes = query(&sql, "SELECT key, home_container_key, title FROM xray.\"case\"").await;
    assert_eq!(homes, ["10|31|Test 10", "9|30|Test 9"]);
}

#[tokio::test]
async fn steps_keep_their_order() {
    let rows = query(&session().await, "SELECT * FROM xray.step").await;
    assert_eq!(rows, ["9|1|s1|open|-|-", "9|2|s2|close|-|closed"]);
}

#[tokio::test]
async fn result_finds_its_plan_through_the_execution() {
    let sql = session().await;
    let rows = query(
        &sql,
        "SELECT key, run_key, case_key, plan_key, configuration, outcome, outcome_class, duration_ms FROM xray.result",
    )
    .await;
    assert_eq!(rows, ["5f5f|40|9|20|Chrome|PASSED|passed|5000"]);
    let runs = query(&sql, "SELECT key, environment, completed_at > started_at FROM xray.run").await;
    assert_eq!(runs, ["40|Chrome|true"]);
}

#[tokio::test]
async fn inward_links_of_a_set_are_its_relation() {
    let sql = session().await;
    let rows = query(
        &sql,
        "SELECT relationship, target_artifact, target_key FROM xray.link WHERE artifact = 'Test Set' AND key = '30'",
    )
    .await;
    assert_eq!(rows, ["relates to (in)|Bug|50", "relates to (in)|Test Plan|20", "tests|Test|9"]);
    let rows = query(
        &sql,
        "SELECT artifact, key, relationship, target_artifact, target_key FROM xray.link \
         WHERE artifact NOT IN ('Test Set', 'Test Plan')",
    )
    .await;
    assert_eq!(
        rows,
        [
            "Test Execution|40|Test Plan|Test Plan|20",
            "Test Execution|40|Test Plan|Test Plan|21",
            "Test Run|5f5f|Test Run's Test Execution key|Test Execution|40",
            "Test Run|5f5f|Test Run's Test key|Test|9",
            "Test|9|Parent Link|Epic|61",
        ]
    );
}

#[tokio::test]
async fn coverage_is_read_from_both_ends() {
    let rows = query(&session().await, "SELECT * FROM xray.requirement_link").await;
    assert_eq!(rows, ["60|10", "60|9"]);
}

#[test]
fn tables_without_rows_have_their_schema() {
    assert!(tables().iter().all(|t| native_schema(&t.columns).fields().len() == 9 + t.columns.len()));
}
