//! The tables that this system gives, and the artifacts that pipelines can name.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

use crate::model::{
    Artifact, Cardinality, FieldSpec, Identity, Native, Notation, RelationshipSpec, TableSpec,
};

/// Jira's limit of a summary.
const SUMMARY_MAX: usize = 255;
/// Jira's limit of a text field, counted on its stored form.
const TEXT_MAX: usize = 32_767;
/// Xray's limit of a step's action, data and result, each.
const STEP_TEXT_MAX: usize = 8192;

/// A table whose rows are issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Tests,
    TestSets,
    TestPlans,
    TestExecutions,
    Bugs,
    Requirements,
}

impl Kind {
    pub(super) const ALL: [Kind; 6] =
        [Kind::Tests, Kind::TestSets, Kind::TestPlans, Kind::TestExecutions, Kind::Bugs, Kind::Requirements];

    pub(super) fn of_table(table: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|k| k.table() == table)
    }

    pub(super) fn of_artifact(artifact: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|k| k.issue_type() == Some(artifact))
    }

    pub(super) fn table(self) -> &'static str {
        match self {
            Kind::Tests => "tests",
            Kind::TestSets => "test_sets",
            Kind::TestPlans => "test_plans",
            Kind::TestExecutions => "test_executions",
            Kind::Bugs => "bugs",
            Kind::Requirements => "requirements",
        }
    }

    /// Returns the issue type's usual name, which is also the artifact's. Which
    /// types are requirements is a setting of the project.
    pub(super) fn issue_type(self) -> Option<&'static str> {
        match self {
            Kind::Tests => Some("Test"),
            Kind::TestSets => Some("Test Set"),
            Kind::TestPlans => Some("Test Plan"),
            Kind::TestExecutions => Some("Test Execution"),
            Kind::Bugs => Some("Bug"),
            Kind::Requirements => None,
        }
    }

    /// Tells whether Xray holds a part of each row.
    pub(super) fn in_xray(self) -> bool {
        !matches!(self, Kind::Bugs | Kind::Requirements)
    }

    /// Lists the columns after the envelope.
    pub(super) fn columns(self) -> Vec<Native> {
        let mut columns = vec![
            text("issue_key"),
            text("issue_type"),
            text("status_category"),
            texts("labels"),
            text("parent_id"),
            text("parent_type"),
            texts("link_ids"),
            texts("link_types"),
            texts("link_directions"),
            texts("link_targets"),
            texts("link_target_types"),
        ];
        columns.extend(match self {
            Kind::Tests => vec![
                text("test_type"),
                text("test_kind"),
                text("folder"),
                text("definition"),
                texts("step_ids"),
                texts("step_actions"),
                texts("step_data"),
                texts("step_results"),
            ],
            Kind::TestSets | Kind::TestPlans => vec![texts("tests")],
            Kind::TestExecutions => vec![texts("environments"), texts("plans")],
            Kind::Bugs | Kind::Requirements => vec![],
        });
        columns
    }

    fn doc(self) -> &'static str {
        match self {
            Kind::Tests => "a test, with its steps in four lists of equal length",
            Kind::TestSets => "a test set, with the ids of its tests",
            Kind::TestPlans => "a test plan, with the ids of its tests",
            Kind::TestExecutions => "a test execution, with its environments and the ids of its plans",
            Kind::Bugs => "an issue of type Bug",
            Kind::Requirements => "an issue of a type that the project lets tests cover",
        }
    }
}

fn text(name: &'static str) -> Native {
    Native { name, data_type: DataType::Utf8 }
}

fn texts(name: &'static str) -> Native {
    Native { name, data_type: DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))) }
}

fn time(name: &'static str) -> Native {
    Native { name, data_type: DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())) }
}

/// Lists the columns of `test_runs`.
pub(super) fn run_columns() -> Vec<Native> {
    vec![
        text("execution_id"),
        text("test_id"),
        text("status"),
        Native { name: "status_final", data_type: DataType::Boolean },
        text("coverage_status"),
        text("comment"),
        time("started_on"),
        time("finished_on"),
        Native { name: "duration_ms", data_type: DataType::Int64 },
        text("executed_by"),
        text("assignee"),
        texts("environments"),
        texts("defects"),
    ]
}

/// Lists the columns of `folders`.
pub(super) fn folder_columns() -> Vec<Native> {
    vec![text("name"), text("parent_path"), Native { name: "tests_count", data_type: DataType::Int64 }]
}

/// Describes the native tables.
pub(super) fn tables() -> Vec<TableSpec> {
    let issues = Kind::ALL.into_iter().map(|kind| TableSpec {
        name: kind.table(),
        doc: kind.doc(),
        columns: kind.columns(),
        // Which end of a membership Xray counts as modified is not documented.
        incremental: matches!(kind, Kind::Tests | Kind::Bugs | Kind::Requirements),
    });
    issues
        .chain([
            TableSpec {
                name: "test_runs",
                doc: "the run of one test in one test execution",
                columns: run_columns(),
                incremental: true,
            },
            TableSpec {
                name: "folders",
                doc: "a folder of a project's test repository, by path",
                columns: folder_columns(),
                incremental: false,
            },
        ])
        .collect()
}

fn field(name: &'static str) -> FieldSpec {
    FieldSpec { name, notation: None, read_only: false, by_transition: false, length_max: None }
}

fn read_only(name: &'static str) -> FieldSpec {
    FieldSpec { read_only: true, ..field(name) }
}

fn issue_fields() -> Vec<FieldSpec> {
    vec![
        FieldSpec { length_max: Some(SUMMARY_MAX), ..field("Summary") },
        FieldSpec { notation: Some(Notation::Adf), length_max: Some(TEXT_MAX), ..field("Description") },
        FieldSpec { by_transition: true, ..field("Status") },
        field("Priority"),
        read_only("Key"),
        read_only("URL"),
        field("Labels"),
        read_only("Created"),
        read_only("Updated"),
        field("Assignee"),
        FieldSpec { by_transition: true, ..read_only("Resolution") },
    ]
}

fn many(name: &'static str, target: &'static str) -> RelationshipSpec {
    RelationshipSpec { name, target, cardinality: Cardinality::Many, required: false, writable: true }
}

fn one(name: &'static str, target: &'static str) -> RelationshipSpec {
    RelationshipSpec { cardinality: Cardinality::One, ..many(name, target) }
}

fn required(name: &'static str, target: &'static str) -> RelationshipSpec {
    RelationshipSpec { required: true, writable: false, ..one(name, target) }
}

/// Describes the artifacts.
pub(super) fn artifacts() -> Vec<Artifact> {
    let issue = |name, view, table, relationships| Artifact {
        name,
        view,
        table,
        identity: Identity::CrossReference,
        fields: issue_fields(),
        relationships,
        holds_slots: false,
        lives_in_slot: false,
        one_configuration: false,
        configuration_field: None,
    };
    let mut test = issue("Test", "case", "tests", vec![one("Parent Link", "Epic")]);
    test.fields.extend([
        FieldSpec { notation: Some(Notation::Wiki), length_max: Some(STEP_TEXT_MAX), ..field("Steps") },
        read_only("Test Type"),
        read_only("Folder"),
    ]);
    let mut execution =
        issue("Test Execution", "run", "test_executions", vec![many("Test Plan", "Test Plan")]);
    execution.fields.push(read_only("Test Environments"));
    execution.holds_slots = true;
    // Its test environments hold for all of its tests.
    execution.one_configuration = true;
    let sets = vec![many("tests", "Test"), many("relates to (in)", "Test Plan")];
    vec![
        issue("Test Plan", "plan", "test_plans", vec![many("tests", "Test")]),
        issue("Test Set", "container", "test_sets", sets),
        test,
        execution,
        run(),
        issue("Bug", "defect", "bugs", vec![]),
    ]
}

fn run() -> Artifact {
    Artifact {
        name: "Test Run",
        view: "result",
        table: "test_runs",
        identity: Identity::Slot,
        fields: vec![
            field("Status"),
            FieldSpec { notation: Some(Notation::Plain), length_max: Some(TEXT_MAX), ..field("Comment") },
            field("Started On"),
            field("Finished On"),
            read_only("Duration"),
            field("Executed By"),
            read_only("Test Environments"),
            read_only("Formatted ID"),
        ],
        relationships: vec![
            required("Test Run's Test Execution key", "Test Execution"),
            required("Test Run's Test key", "Test"),
        ],
        holds_slots: false,
        lives_in_slot: true,
        one_configuration: false,
        configuration_field: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifacts_stand_in_described_tables() {
        let tables: Vec<&str> = tables().iter().map(|t| t.name).collect();
        assert!(artifacts().iter().all(|a| tables.contains(&a.table)));
    }
}
