//! The neutral views: the same columns, names, types and keys for every system.
//!
//! Every folder `sql/<system>/` holds one file per view. A statement reads the
//! system's native tables as `{{ source('test_cases') }}` and other neutral
//! views of the same repository as `{{ view('container') }}`. No other statement
//! reads native tables.

use arrow::datatypes::{DataType, TimeUnit};

/// A neutral view and its columns.
#[derive(Clone, Debug)]
pub struct View {
    /// The view's name within the repository's schema.
    pub name: &'static str,
    /// What one row is.
    pub doc: &'static str,
    /// Whether the common columns ([`common`]) come first.
    pub artifact: bool,
    /// Its own columns in order.
    pub columns: Vec<(&'static str, DataType)>,
    /// Columns whose values together are unique and not null.
    pub key: &'static [&'static str],
}

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Columns at the head of every view whose rows are artifacts.
///
/// All but the last three are the native envelope ([`crate::model::ENVELOPE`]).
/// `read_only` says that the row flows out only, such as a query suite.
pub fn common() -> Vec<(&'static str, DataType)> {
    let map = crate::model::native_schema(&[]).field(8).data_type().clone();
    vec![
        ("key", DataType::Utf8),
        ("project", DataType::Utf8),
        ("rev", DataType::Utf8),
        ("created_at", utc()),
        ("updated_at", utc()),
        ("updated_by", DataType::Utf8),
        ("url", DataType::Utf8),
        ("raw_hash", DataType::Utf8),
        ("fields", map),
        ("read_only", DataType::Boolean),
        ("title", DataType::Utf8),
        ("state", DataType::Utf8),
    ]
}

/// Lists the neutral views.
pub fn views() -> Vec<View> {
    use DataType::{Boolean, Int64, Utf8};
    let view = |name, doc, artifact, columns, key| View { name, doc, artifact, columns, key };
    vec![
        view("plan", "a test plan", true, vec![("description", Utf8)], &["key"]),
        view(
            "container",
            "a suite, set, folder or section; root suites are folded into their plan and not listed. \
             kind: static, query, requirement, set or folder",
            true,
            vec![
                ("description", Utf8),
                ("kind", Utf8),
                ("parent_key", Utf8),
                ("plan_key", Utf8),
                ("path", Utf8),
                ("position", Int64),
            ],
            &["key"],
        ),
        view(
            "case",
            "a test case",
            true,
            vec![("description", Utf8), ("home_container_key", Utf8)],
            &["key"],
        ),
        view(
            "step",
            "a step of a test case, in its system's notation; position counts from 1",
            false,
            vec![
                ("case_key", Utf8),
                ("position", Int64),
                ("step_id", Utf8),
                ("action", Utf8),
                ("data", Utf8),
                ("expected", Utf8),
            ],
            &["case_key", "position"],
        ),
        view(
            "membership",
            "a test case in a plan (holder: plan, at any depth of its suites) or in a container (holder: container, \
             directly). dynamic: computed by the system and not writable",
            false,
            vec![
                ("holder", Utf8),
                ("holder_key", Utf8),
                ("case_key", Utf8),
                ("position", Int64),
                ("dynamic", Boolean),
            ],
            &["holder", "holder_key", "case_key"],
        ),
        view(
            "run",
            "a run or execution: what holds results",
            true,
            vec![
                ("description", Utf8),
                ("started_at", utc()),
                ("completed_at", utc()),
                ("automated", Boolean),
                ("environment", Utf8),
            ],
            &["key"],
        ),
        view(
            "result",
            "the result of one case in one run. outcome_class: passed, failed, blocked, not_run, in_progress or other",
            true,
            vec![
                ("run_key", Utf8),
                ("case_key", Utf8),
                ("plan_key", Utf8),
                ("configuration", Utf8),
                ("outcome", Utf8),
                ("outcome_class", Utf8),
                ("comment", Utf8),
                ("started_at", utc()),
                ("completed_at", utc()),
                ("duration_ms", Int64),
                ("run_by", Utf8),
            ],
            &["key"],
        ),
        view(
            "slot",
            "a place for one result of a case in a run; ordinal counts from 1 among slots of the same case and \
             configuration",
            false,
            vec![
                ("run_key", Utf8),
                ("case_key", Utf8),
                ("plan_key", Utf8),
                ("configuration", Utf8),
                ("ordinal", Int64),
                ("result_key", Utf8),
            ],
            &["run_key", "case_key", "configuration", "ordinal"],
        ),
        view("requirement", "a requirement that test cases cover", true, vec![("kind", Utf8)], &["key"]),
        view(
            "requirement_link",
            "a test case that covers a requirement",
            false,
            vec![("requirement_key", Utf8), ("case_key", Utf8)],
            &["requirement_key", "case_key"],
        ),
        view("defect", "a defect", true, vec![("description", Utf8)], &["key"]),
        view(
            "link",
            "one end of a relationship that pipeline files can name: artifact and relationship are the names used \
             there. dynamic: computed by the system and not writable",
            false,
            vec![
                ("artifact", Utf8),
                ("key", Utf8),
                ("relationship", Utf8),
                ("target_artifact", Utf8),
                ("target_key", Utf8),
                ("position", Int64),
                ("dynamic", Boolean),
            ],
            &["artifact", "key", "relationship", "target_artifact", "target_key"],
        ),
    ]
}
