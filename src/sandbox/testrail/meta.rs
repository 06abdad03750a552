//! What an instance is set up with: types, priorities, templates, statuses.

use serde_json::{Value, json};

use super::call::Call;
use super::reply::{Answer, Problem, Reply};
use super::state::{State, Status, UNTESTED};

/// The templates of a new instance by id, from 1.
const TEMPLATES: [&str; 4] =
    ["Test Case (Text)", "Test Case (Steps)", "Exploratory Session", "Behaviour Driven Development"];
pub(super) const DEFAULT_TEMPLATE: u32 = 1;

/// The types of cases by id, from 1.
const TYPES: [&str; 12] = [
    "Acceptance",
    "Accessibility",
    "Automated",
    "Compatibility",
    "Destructive",
    "Functional",
    "Other",
    "Performance",
    "Regression",
    "Security",
    "Smoke & Sanity",
    "Usability",
];
pub(super) const DEFAULT_TYPE: u32 = 7;

/// The priorities by id, from 1; the highest is the last.
const PRIORITIES: [&str; 4] = ["Low", "Medium", "High", "Critical"];
pub(super) const DEFAULT_PRIORITY: u32 = 2;

/// The statuses of cases: id, name, whether it is the approved one.
pub(super) const CASE_STATUSES: [(u8, &str, bool); 2] = [(1, "Approved", true), (2, "Draft", false)];

fn ids(count: usize) -> Vec<u32> {
    (1..=count as u32).collect()
}

pub(super) fn template_ids() -> Vec<u32> {
    ids(TEMPLATES.len())
}

pub(super) fn type_ids() -> Vec<u32> {
    ids(TYPES.len())
}

pub(super) fn priority_ids() -> Vec<u32> {
    ids(PRIORITIES.len())
}

fn numbered<'a>(names: &'a [&'a str], show: impl Fn(u32, &str) -> Value) -> Answer {
    Ok(Reply::Json(names.iter().zip(1..).map(|(name, id)| show(id, name)).collect()))
}

pub(super) fn get_templates(state: &mut State, call: &Call) -> Answer {
    state.project(call.id(0, "project_id")?)?;
    let old = call.face.old();
    numbered(&TEMPLATES, |id, name| {
        let mut out = json!({"id": id, "name": name, "is_default": id == DEFAULT_TEMPLATE});
        if !old {
            out["i18n_custom_id"] = Value::Null;
        }
        out
    })
}

pub(super) fn get_case_types(_: &mut State, call: &Call) -> Answer {
    let old = call.face.old();
    numbered(&TYPES, |id, name| {
        let mut out = json!({"id": id, "name": name, "is_default": id == DEFAULT_TYPE});
        if !old {
            out["i18n_custom_id"] = Value::Null;
        }
        out
    })
}

pub(super) fn get_priorities(_: &mut State, _: &Call) -> Answer {
    numbered(
        &PRIORITIES,
        |id, name| json!({"id": id, "name": name, "short_name": name, "is_default": id == DEFAULT_PRIORITY, "priority": id}),
    )
}

pub(super) fn get_statuses(state: &mut State, _: &Call) -> Answer {
    let show = |s: &Status| {
        json!({
            "id": s.id, "name": s.name, "label": s.label, "color_dark": s.colors[0],
            "color_medium": s.colors[1], "color_bright": s.colors[2], "is_system": s.system,
            "is_untested": s.id == UNTESTED, "is_final": s.is_final,
        })
    };
    Ok(Reply::Json(state.statuses.iter().map(show).collect()))
}

pub(super) fn get_case_statuses(_: &mut State, call: &Call) -> Answer {
    if !call.face.case_statuses() {
        return Err(Problem::denied("Test case approvals require a TestRail Enterprise license."));
    }
    let show = |(id, name, approved): &(u8, &str, bool)| {
        json!({
            "case_status_id": id, "name": name, "abbreviation": null, "is_default": !approved,
            "is_approved": approved,
        })
    };
    Ok(Reply::Json(CASE_STATUSES.iter().map(show).collect()))
}

/// The statuses of a new instance, and the company's own.
pub(super) fn statuses() -> Vec<Status> {
    let status = |id, name: &str, label: &str, colors, is_final| Status {
        id,
        name: name.to_owned(),
        label: label.to_owned(),
        colors,
        system: id <= 5,
        is_final,
    };
    vec![
        status(1, "passed", "Passed", [6_667_107, 9_820_525, 12_709_313], true),
        status(2, "blocked", "Blocked", [9_474_192, 13_684_944, 14_737_632], true),
        status(3, "untested", "Untested", [11_579_568, 15_395_562, 15_790_320], false),
        status(4, "retest", "Retest", [13_026_868, 15_593_088, 16_448_182], false),
        status(5, "failed", "Failed", [14_250_867, 15_829_135, 16_631_751], true),
        status(6, "custom_status1", "Not applicable", [10_066_329, 13_421_772, 15_132_390], true),
        status(7, "custom_status2", "Paused", [10_181_046, 13_684_991, 15_527_167], false),
    ]
}
