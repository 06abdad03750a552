//! The neutral views of Azure DevOps over a handful of rows of every native table.

use std::collections::HashMap;

use arrow::array::AsArray;
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use testferry::connectors::Connector;
use testferry::connectors::RowBuilder;
use testferry::connectors::azure_devops::{AzureDevOps, Settings};
use testferry::http;
use testferry::sql::{self, Limits, Sql, Statements, neutral};

/// One row: its key, its fields, its text and its number columns.
type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [(&'static str, &'a str)], &'a [(&'static str, i64)]);

fn connector() -> AzureDevOps {
    let url = "http://127.0.0.1:1/org".to_owned();
    let settings =
        Settings { url, pat: "x".into(), projects: vec!["P".into()], http: http::Settings::default() };
    AzureDevOps::new(settings).unwrap()
}

fn rows(table: &str, list: &[Row<'_>]) -> RecordBatch {
    let spec = connector().tables().into_iter().find(|t| t.name == table).unwrap();
    let mut builder = RowBuilder::new(&spec.columns);
    for (key, fields, texts, numbers) in list {
        let row = builder.row(key, "P");
        for (name, value) in *fields {
            row.field(*name, Some(*value));
        }
        for (name, value) in *texts {
            match *name {
                "is_root" => row.bool(name, Some(*value == "true")),
                "step_ids" | "step_actions" | "step_data" | "step_expected" | "related_ids" => {
                    row.texts(name, value.split('|').map(str::to_owned).collect())
                }
                _ => row.text(name, Some(*value)),
            };
        }
        for (name, value) in *numbers {
            row.int(name, Some(*value));
        }
    }
    builder.finish()
}

/// One plan (1, root 2) with a static suite 3 below the root, a static suite 4 in it and a
/// query suite 5; case 7 is in 4 and 5, case 8 in the root and in 5, case 9 nowhere.
fn tables() -> HashMap<&'static str, RecordBatch> {
    let suite =
        |kind, parent, root| [("plan_id", "1"), ("kind", kind), ("parent_id", parent), ("is_root", root)];
    let entry = |suite, case| [("plan_id", "1"), ("suite_id", suite), ("case_id", case)];
    let result = |case, configuration, outcome| {
        [
            ("run_id", "50"),
            ("case_id", case),
            ("plan_id", "1"),
            ("configuration", configuration),
            ("outcome", outcome),
        ]
    };
    let steps = [("step_ids", "2|3"), ("step_actions", "a|b"), ("step_data", "|d"), ("step_expected", "x|y")];
    let mut tables = HashMap::new();
    let mut table = |name, list: &[Row<'_>]| tables.insert(name, rows(name, list));
    table("test_plans", &[("1", &[("Title", "Plan"), ("State", "Active")], &[("parent_id", "90")], &[])]);
    table(
        "test_suites",
        &[
            (
                "2",
                &[("Title", "Plan")],
                &[("plan_id", "1"), ("kind", "static"), ("is_root", "true")],
                &[("tree_order", 0)],
            ),
            ("3", &[("Title", "A")], &suite("static", "2", "false"), &[("tree_order", 1), ("position", 0)]),
            ("4", &[("Title", "B")], &suite("static", "3", "false"), &[("tree_order", 2), ("position", 0)]),
            (
                "5",
                &[("Title", "Q")],
                &[
                    ("plan_id", "1"),
                    ("kind", "query"),
                    ("parent_id", "2"),
                    ("is_root", "false"),
                    ("related_ids", "3|77"),
                ],
                &[("tree_order", 3), ("position", 1)],
            ),
        ],
    );
    table(
        "test_cases",
        &[
            ("7", &[("Title", "Seven")], &steps, &[]),
            ("8", &[("Title", "Eight"), ("Description", "<p>x</p>")], &[], &[]),
            ("9", &[("Title", "Nine")], &[], &[]),
        ],
    );
    table(
        "suite_entries",
        &[
            ("4.7", &[], &entry("4", "7"), &[("position", 0)]),
            ("5.7", &[], &entry("5", "7"), &[("position", 0)]),
            ("5.8", &[], &entry("5", "8"), &[("position", 1)]),
            ("2.8", &[], &entry("2", "8"), &[("position", 0)]),
        ],
    );
    table("test_points", &[]);
    table("configurations", &[]);
    table("test_runs", &[("50", &[("Summary", "Run")], &[("plan_id", "1"), ("state", "Completed")], &[])]);
    table(
        "test_results",
        &[
            (
                "50.100000",
                &[("Test Case Title", "Seven")],
                &result("7", "Win", "Passed"),
                &[("duration_ms", 5)],
            ),
            ("50.100001", &[], &result("7", "Win", "NotExecuted"), &[]),
            ("50.100002", &[], &[("run_id", "50"), ("outcome", "NotImpacted")], &[]),
        ],
    );
    table("bugs", &[("60", &[("Title", "Bug"), ("Repro Steps", "r"), ("Description", "d")], &[], &[])]);
    table("requirements", &[("90", &[("Title", "Story")], &[("kind", "User Story")], &[])]);
    table(
        "requirement_links",
        &[
            ("90-7", &[], &[("source_id", "90"), ("target_id", "7")], &[]),
            ("8-90", &[], &[("source_id", "8"), ("target_id", "90")], &[]),
            ("60-7", &[], &[("source_id", "60"), ("target_id", "7")], &[]),
        ],
    );
    tables
}

async fn session() -> Sql {
    let sql = Sql::open("test", Limits::default()).unwrap();
    for (name, batch) in tables() {
        sql::register_batches(&sql, "ado", name, batch.schema(), vec![batch]).unwrap();
    }
    sql::register_neutral_views(&sql, &Statements::new(), "azure-devops", "ado").await.unwrap();
    sql
}

async fn lines(sql: &Sql, query: &str) -> Vec<String> {
    let batches = sql.rows("test", query).await.unwrap();
    let line = |batch: &RecordBatch, row| {
        let cells = batch.columns().iter().map(|c| array_value_to_string(c, row).unwrap());
        cells.collect::<Vec<_>>().join(" ")
    };
    batches.iter().flat_map(|b| (0..b.num_rows()).map(|row| line(b, row)).collect::<Vec<_>>()).collect()
}

#[tokio::test]
async fn views_have_the_agreed_columns_and_unique_keys() {
    let sql = session().await;
    for view in neutral::views() {
        let batches = sql.rows(view.name, &format!("SELECT * FROM ado.\"{}\"", view.name)).await.unwrap();
        let schema = batches[0].schema();
        let found: Vec<_> =
            schema.fields().iter().map(|f| (f.name().as_str(), f.data_type().clone())).collect();
        let mut agreed = if view.artifact { neutral::common() } else { Vec::new() };
        agreed.extend(view.columns.clone());
        assert_eq!(found, agreed, "{}", view.name);
        let keys: Vec<String> = view.key.iter().map(|k| format!("\"{k}\"")).collect();
        let nulls: Vec<String> = keys.iter().map(|k| format!("{k} IS NULL")).collect();
        let (keys, nulls, name) = (keys.join(", "), nulls.join(" OR "), view.name);
        let twice = format!(
            "SELECT {keys} FROM ado.\"{name}\" GROUP BY {keys} HAVING count(*) > 1 OR bool_or({nulls})"
        );
        assert_eq!(lines(&sql, &twice).await, Vec::<String>::new(), "{}", view.name);
    }
}

#[tokio::test]
async fn root_suites_are_folded_into_their_plan() {
    let sql = session().await;
    let containers = lines(&sql, "SELECT key, parent_key, read_only FROM ado.container ORDER BY key").await;
    assert_eq!(containers, ["3  false", "4 3 false", "5  true"]);
    let members = "SELECT holder, holder_key, case_key, dynamic FROM ado.membership ORDER BY 1, 2, 3";
    assert_eq!(
        lines(&sql, members).await,
        [
            "container 4 7 false",
            "container 5 7 true",
            "container 5 8 true",
            "plan 1 7 false",
            "plan 1 8 false"
        ]
    );
    let homes = "SELECT key, home_container_key FROM ado.\"case\" ORDER BY key";
    assert_eq!(lines(&sql, homes).await, ["7 4", "8 ", "9 "]);
}

#[tokio::test]
async fn steps_results_and_slots_are_listed_one_by_one() {
    let sql = session().await;
    let steps = "SELECT * FROM ado.step ORDER BY case_key, position";
    assert_eq!(lines(&sql, steps).await, ["7 1 2 a  x", "7 2 3 b d y"]);
    let results = "SELECT key, outcome_class FROM ado.result ORDER BY key";
    assert_eq!(lines(&sql, results).await, ["50.100000 passed", "50.100001 not_run", "50.100002 other"]);
    let slots = "SELECT case_key, configuration, ordinal, result_key FROM ado.slot ORDER BY ordinal";
    assert_eq!(lines(&sql, slots).await, ["7 Win 1 50.100000", "7 Win 2 50.100001"]);
}

#[tokio::test]
async fn links_name_both_ends() {
    let sql = session().await;
    let covered = "SELECT requirement_key, case_key FROM ado.requirement_link ORDER BY 2";
    assert_eq!(lines(&sql, covered).await, ["90 7", "90 8"]);
    let links = "SELECT artifact, key, relationship, target_key FROM ado.link \
                 WHERE relationship IN ('Parent', 'Related', 'Test Suites', 'Parent Test Plan') ORDER BY 1, 2, 3, 4";
    assert_eq!(
        lines(&sql, links).await,
        [
            "Test Case 7 Test Suites 4",
            "Test Case 7 Test Suites 5",
            "Test Case 8 Test Suites 5",
            "Test Plan 1 Parent 90",
            "Test Result 50.100000 Parent Test Plan 1",
            "Test Result 50.100001 Parent Test Plan 1",
            "Test Run 50 Parent Test Plan 1",
            "Test Suite 3 Parent Test Plan 1",
            "Test Suite 4 Parent 3",
            "Test Suite 4 Parent Test Plan 1",
            "Test Suite 5 Parent Test Plan 1",
            "Test Suite 5 Related 3",
        ]
    );
    let batches = sql.rows("defects", "SELECT description FROM ado.defect").await.unwrap();
    assert_eq!(batches[0].column(0).as_string::<i32>().value(0), "r");
}
