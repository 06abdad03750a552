//! The tables that are extracted and the artifacts that pipelines can name.

use arrow::datatypes::{DataType, Field, TimeUnit};

use crate::model::{
    Artifact, Cardinality, FieldSpec, Identity, Native, Notation, RelationshipSpec, TableSpec,
};

/// A text field holds at most this many characters.
pub(super) const STRING_MAX: usize = 255;
/// A formatted text holds at most this many characters.
pub(super) const LONG_TEXT_MAX: usize = 1_048_576;
/// A run's name holds at most this many characters.
const RUN_NAME_MAX: usize = 256;
/// A result's comment holds at most this many characters by the specification.
const RESULT_COMMENT_MAX: usize = 1_000;

/// The outcomes of a result, in the order of their numbers.
pub(super) const OUTCOMES: [&str; 15] = [
    "Unspecified",
    "None",
    "Passed",
    "Failed",
    "Inconclusive",
    "Timeout",
    "Aborted",
    "Blocked",
    "NotExecuted",
    "Warning",
    "Error",
    "NotApplicable",
    "Paused",
    "InProgress",
    "NotImpacted",
];

fn text(name: &'static str) -> Native {
    Native { name, data_type: DataType::Utf8 }
}

fn int(name: &'static str) -> Native {
    Native { name, data_type: DataType::Int64 }
}

fn flag(name: &'static str) -> Native {
    Native { name, data_type: DataType::Boolean }
}

fn time(name: &'static str) -> Native {
    Native { name, data_type: DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())) }
}

fn texts(name: &'static str) -> Native {
    Native { name, data_type: DataType::List(Field::new("item", DataType::Utf8, true).into()) }
}

/// Finds the columns of a table beyond the envelope.
pub(super) fn columns(table: &str) -> Vec<Native> {
    specs().into_iter().find(|spec| spec.name == table).map(|spec| spec.columns).unwrap_or_default()
}

/// Describes the tables.
pub(super) fn specs() -> Vec<TableSpec> {
    [plan_tables(), item_tables(), run_tables()].concat()
}

fn table(name: &'static str, doc: &'static str, incremental: bool, columns: Vec<Native>) -> TableSpec {
    TableSpec { name, doc, columns, incremental }
}

/// Plans and what is in them: always read whole, since a suite does not change with its members.
fn plan_tables() -> Vec<TableSpec> {
    vec![
        table(
            "test_plans",
            "a test plan",
            false,
            vec![text("root_suite_id"), text("parent_id"), time("started_at"), time("ends_at")],
        ),
        table(
            "test_suites",
            "a test suite of a plan, root suites included; tree_order counts the plan's suites from the root down",
            false,
            vec![
                text("plan_id"),
                text("parent_id"),
                flag("is_root"),
                text("kind"),
                text("path"),
                int("position"),
                int("tree_order"),
                text("requirement_id"),
                text("query"),
                texts("related_ids"),
            ],
        ),
        table(
            "suite_entries",
            "a test case in a suite",
            false,
            vec![text("plan_id"), text("suite_id"), text("case_id"), int("position")],
        ),
        table(
            "test_points",
            "a case of a suite in one configuration, with its latest result",
            false,
            vec![
                text("plan_id"),
                text("suite_id"),
                text("case_id"),
                text("configuration_id"),
                text("configuration"),
                text("tester"),
                text("outcome"),
                text("state"),
                text("last_run_id"),
                text("last_result_id"),
                flag("is_active"),
                flag("automated"),
            ],
        ),
        table("configurations", "a test configuration", false, vec![text("state"), flag("is_default")]),
    ]
}

/// Work items, and the links between them.
fn item_tables() -> Vec<TableSpec> {
    vec![
        table(
            "test_cases",
            "a test case with its steps; those of shared steps stand in place of the reference",
            true,
            vec![
                texts("step_ids"),
                texts("step_actions"),
                texts("step_data"),
                texts("step_expected"),
                flag("has_shared_steps"),
                text("steps_xml"),
                text("steps_error"),
            ],
        ),
        table("bugs", "a bug, or what the process has in its place", true, vec![]),
        table("requirements", "a requirement, whatever the process calls it", true, vec![text("kind")]),
        table(
            "requirement_links",
            "a Tested By link; its ends are work items of any kind",
            false,
            vec![text("source_id"), text("target_id")],
        ),
    ]
}

/// Runs and results.
fn run_tables() -> Vec<TableSpec> {
    vec![
        table(
            "test_runs",
            "a test run",
            true,
            vec![
                text("plan_id"),
                text("state"),
                text("comment"),
                time("started_at"),
                time("completed_at"),
                flag("automated"),
                int("total_tests"),
                int("incomplete_tests"),
            ],
        ),
        table(
            "test_results",
            "a result of a run: of one test point, or of an automated test without one",
            true,
            vec![
                text("run_id"),
                text("case_id"),
                text("plan_id"),
                text("suite_id"),
                text("point_id"),
                text("configuration"),
                text("outcome"),
                text("state"),
                text("comment"),
                time("started_at"),
                time("completed_at"),
                int("duration_ms"),
                text("run_by"),
            ],
        ),
    ]
}

fn field(name: &'static str) -> FieldSpec {
    FieldSpec { name, notation: None, read_only: false, by_transition: false, length_max: Some(STRING_MAX) }
}

fn html(name: &'static str) -> FieldSpec {
    FieldSpec { notation: Some(Notation::Html), length_max: Some(LONG_TEXT_MAX), ..field(name) }
}

fn unbounded(name: &'static str) -> FieldSpec {
    FieldSpec { length_max: None, ..field(name) }
}

fn read_only(name: &'static str) -> FieldSpec {
    FieldSpec { read_only: true, ..unbounded(name) }
}

/// Fields that every work item has.
fn work_item_fields(more: Vec<FieldSpec>) -> Vec<FieldSpec> {
    let mut fields = vec![
        field("Title"),
        html("Description"),
        field("State"),
        unbounded("Iteration Path"),
        unbounded("Area Path"),
        unbounded("Tags"),
        field("Assigned To"),
        read_only("Formatted ID"),
        read_only("URL"),
        read_only("Created Date"),
        read_only("Changed Date"),
        read_only("Created By"),
        read_only("Changed By"),
    ];
    fields.extend(more);
    fields
}

fn one(name: &'static str, target: &'static str) -> RelationshipSpec {
    RelationshipSpec { name, target, required: false, writable: true, cardinality: Cardinality::One }
}

fn many(name: &'static str, target: &'static str) -> RelationshipSpec {
    RelationshipSpec { cardinality: Cardinality::Many, ..one(name, target) }
}

fn required(name: &'static str, target: &'static str) -> RelationshipSpec {
    RelationshipSpec { required: true, writable: false, ..one(name, target) }
}

/// Describes the artifacts.
pub(super) fn artifacts() -> Vec<Artifact> {
    let item = |name, view, table, identity, fields, relationships| Artifact {
        name,
        view,
        table,
        identity,
        fields,
        relationships,
        holds_slots: false,
        lives_in_slot: false,
        one_configuration: false,
        configuration_field: None,
    };
    vec![
        item(
            "Test Plan",
            "plan",
            "test_plans",
            Identity::CrossReference,
            work_item_fields(vec![unbounded("Start Date"), unbounded("Finish Date")]),
            vec![many("Test Case", "Test Case"), one("Parent", "Requirement")],
        ),
        item(
            "Test Suite",
            "container",
            "test_suites",
            Identity::Name,
            work_item_fields(vec![]),
            vec![
                required("Parent Test Plan", "Test Plan"),
                one("Parent", "Test Suite"),
                many("Test Cases", "Test Case"),
                many("Related", "Test Suite"),
            ],
        ),
        item(
            "Test Case",
            "case",
            "test_cases",
            Identity::CrossReference,
            work_item_fields(vec![
                unbounded("Priority"),
                FieldSpec { notation: Some(Notation::Html), ..unbounded("Steps") },
                read_only("Automation status"),
            ]),
            vec![many("Test Suites", "Test Suite")],
        ),
        run(),
        result(),
        item(
            "Bug",
            "defect",
            "bugs",
            Identity::CrossReference,
            work_item_fields(vec![
                html("Repro Steps"),
                html("System Info"),
                unbounded("Priority"),
                field("Severity"),
            ]),
            vec![],
        ),
    ]
}

fn run() -> Artifact {
    Artifact {
        name: "Test Run",
        view: "run",
        table: "test_runs",
        identity: Identity::CrossReference,
        fields: vec![
            FieldSpec { length_max: Some(RUN_NAME_MAX), ..field("Summary") },
            unbounded("State"),
            unbounded("Comment"),
            unbounded("Started"),
            unbounded("Completed"),
            read_only("Created Date"),
            read_only("Formatted ID"),
            read_only("URL"),
        ],
        relationships: vec![required("Parent Test Plan", "Test Plan")],
        holds_slots: true,
        lives_in_slot: false,
        one_configuration: false,
        configuration_field: None,
    }
}

fn result() -> Artifact {
    Artifact {
        name: "Test Result",
        view: "result",
        table: "test_results",
        identity: Identity::Slot,
        fields: vec![
            read_only("Test Case Title"),
            unbounded("Outcome"),
            unbounded("Configuration"),
            FieldSpec { length_max: Some(RESULT_COMMENT_MAX), ..field("Comment") },
            unbounded("Started Date"),
            unbounded("Completed Date"),
            unbounded("Duration"),
            unbounded("Run By"),
            unbounded("Error Message"),
            read_only("Formatted ID"),
            read_only("URL"),
        ],
        relationships: vec![
            required("Parent Test Run", "Test Run"),
            required("Parent Test Case", "Test Case"),
            required("Parent Test Plan", "Test Plan"),
        ],
        holds_slots: false,
        lives_in_slot: true,
        one_configuration: false,
        configuration_field: Some("Configuration"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifacts_stand_in_tables_that_exist() {
        for artifact in artifacts() {
            assert!(specs().iter().any(|t| t.name == artifact.table), "{}", artifact.name);
        }
    }
}
