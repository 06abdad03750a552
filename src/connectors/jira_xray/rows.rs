//! Issues with what Xray knows of them, as rows of native tables.

use std::collections::HashMap;

use super::describe::Kind;
use super::values::{Fields, to_text};
use super::wire::{self, Issue, Link, instant, rfc3339};
use crate::connectors::RowBuilder;
use crate::connectors::native::Row;
use crate::model::{Step, steps_to_json};

/// What Xray holds of a page of issues, by issue id.
#[derive(Debug, Default)]
pub(super) struct Extras {
    pub(super) tests: HashMap<String, wire::Test>,
    pub(super) members: HashMap<String, Members>,
}

/// What belongs to a set, a plan or an execution.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub(super) last_modified: Option<String>,
    /// Tests of a set or plan, plans of an execution.
    pub(super) ids: Vec<String>,
    pub(super) environments: Vec<String>,
}

impl Extras {
    pub(super) fn contains(&self, id: &str) -> bool {
        self.tests.contains_key(id) || self.members.contains_key(id)
    }
}

/// Builds the revision of an issue: Jira's instant and, where Xray holds a part
/// of it, Xray's.
pub(super) fn revision(updated: &str, last_modified: Option<&str>) -> String {
    match last_modified {
        Some(modified) => format!("{updated} {modified}"),
        None => updated.to_owned(),
    }
}

/// Adds an issue to a table.
pub(super) fn add_issue(
    rows: &mut RowBuilder,
    kind: Kind,
    issue: &Issue,
    extras: &Extras,
    fields: &Fields,
    site: &str,
) {
    let project = issue.member("project", "key").unwrap_or_default();
    let key = issue.key.as_deref().unwrap_or_default();
    let url = format!("{site}/browse/{key}");
    let test = extras.tests.get(&issue.id);
    let members = extras.members.get(&issue.id);
    let modified =
        test.and_then(|t| t.last_modified.as_deref()).or(members.and_then(|m| m.last_modified.as_deref()));
    let updated = issue.text("updated").and_then(instant).max(modified.and_then(instant));
    let row = rows.row(&issue.id, project);
    row.rev(revision(issue.text("updated").unwrap_or_default(), modified))
        .created_at(issue.text("created").and_then(instant))
        .updated_at(updated)
        .url(&url);
    add_fields(row, issue, fields);
    row.field("Key", Some(key)).field("URL", Some(&url)).field("Updated", updated.map(rfc3339));
    row.text("issue_key", Some(key))
        .text("issue_type", issue.member("issuetype", "name"))
        .text("status_category", category(issue))
        .texts("labels", labels(issue))
        .text("parent_id", issue.member("parent", "id"))
        .text(
            "parent_type",
            issue.fields.get("parent").and_then(|p| p.pointer("/fields/issuetype/name")?.as_str()),
        );
    add_links(row, &issue.links());
    match kind {
        Kind::Tests => add_test(row, test),
        Kind::TestSets | Kind::TestPlans => {
            row.texts("tests", members.map(|m| m.ids.clone()).unwrap_or_default());
        }
        Kind::TestExecutions => {
            let environments = members.map(|m| m.environments.clone()).unwrap_or_default();
            row.field("Test Environments", Some(environments.join(", ")))
                .texts("environments", environments)
                .texts("plans", members.map(|m| m.ids.clone()).unwrap_or_default());
        }
        Kind::Bugs | Kind::Requirements => {}
    }
}

fn category(issue: &Issue) -> Option<&str> {
    issue.fields.get("status")?.pointer("/statusCategory/key")?.as_str()
}

fn labels(issue: &Issue) -> Vec<String> {
    let list = issue.fields.get("labels").and_then(|l| l.as_array());
    list.into_iter().flatten().filter_map(|l| l.as_str().map(str::to_owned)).collect()
}

/// System fields whose value is shown as it reads, with the names people know.
const SHOWN: [(&str, &str); 10] = [
    ("Summary", "summary"),
    ("Description", "description"),
    ("Status", "status"),
    ("Priority", "priority"),
    ("Labels", "labels"),
    ("Resolution", "resolution"),
    ("Components", "components"),
    ("Fix versions", "fixVersions"),
    ("Due date", "duedate"),
    ("Environment", "environment"),
];

fn add_fields(row: &mut Row, issue: &Issue, fields: &Fields) {
    let value = |id: &str| issue.fields.get(id);
    for (name, id) in SHOWN {
        row.field(name, value(id).and_then(|v| to_text(None, v)));
    }
    // People are written by account id, so they are read by it, too.
    for (name, id) in [("Assignee", "assignee"), ("Reporter", "reporter")] {
        row.field(name, issue.member(id, "accountId"));
    }
    row.field("Created", issue.text("created").and_then(instant).map(rfc3339));
    for field in fields.custom() {
        row.field(fields.name_of(field), value(&field.id).and_then(|v| to_text(Some(field), v)));
    }
}

fn add_links(row: &mut Row, links: &[Link]) {
    let list = |of: fn(&Link) -> &str| links.iter().map(|l| of(l).to_owned()).collect::<Vec<_>>();
    row.texts("link_ids", list(|l| &l.id))
        .texts("link_types", list(|l| &l.link_type))
        .texts("link_directions", list(|l| if l.inward { "inward" } else { "outward" }))
        .texts("link_targets", list(|l| &l.other_id))
        .texts("link_target_types", list(|l| &l.other_type));
}

fn add_test(row: &mut Row, test: Option<&wire::Test>) {
    let Some(test) = test else { return };
    let kind = test.test_type.as_ref();
    let steps: Vec<Step> = test.steps.iter().flatten().map(model_step).collect();
    let definition = test.gherkin.as_deref().or(test.unstructured.as_deref());
    let folder = test.folder.as_ref().and_then(|f| f.path.as_deref());
    row.field("Test Type", kind.and_then(|k| k.name.as_deref()))
        .field("Folder", folder)
        .text("test_type", kind.and_then(|k| k.name.as_deref()))
        .text("test_kind", kind.and_then(|k| k.kind.as_deref()))
        .text("folder", folder)
        .text("definition", definition);
    if !steps.is_empty() {
        row.field("Steps", Some(steps_to_json(&steps)));
    }
    let list = |of: fn(&Step) -> &str| steps.iter().map(|s| of(s).to_owned()).collect::<Vec<_>>();
    row.texts("step_ids", list(|s| s.id.as_deref().unwrap_or_default()))
        .texts("step_actions", list(|s| &s.action))
        .texts("step_data", list(|s| &s.data))
        .texts("step_results", list(|s| &s.expected));
}

/// Reads a step. One that calls another test has no text of its own and says so,
/// or it would look like an empty step on the other side.
pub(super) fn model_step(step: &wire::Step) -> Step {
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    let called = step.call_test_issue_id.as_deref().filter(|id| !id.is_empty());
    let action = match called {
        Some(id) if text(&step.action).is_empty() => format!("(calls test {id})"),
        _ => text(&step.action),
    };
    Step { id: step.id.clone(), action, data: text(&step.data), expected: text(&step.result) }
}

/// Adds a run.
pub(super) fn add_run(rows: &mut RowBuilder, run: &wire::Run, project: &str, url: &str) {
    let started = run.started_on.as_deref().and_then(instant);
    let finished = run.finished_on.as_deref().and_then(instant);
    let duration = started.zip(finished).map(|(s, f)| (f - s).num_milliseconds()).filter(|d| *d >= 0);
    let status = run.status.clone().unwrap_or_default();
    let execution = run.test_execution.as_ref();
    let environments = execution.and_then(|e| e.test_environments.clone()).unwrap_or_default();
    let row = rows.row(&run.id, project);
    row.updated_at(run.last_modified.as_deref().and_then(instant)).url(url);
    if let Some(modified) = &run.last_modified {
        row.rev(modified);
    }
    row.field("Status", status.name.as_deref())
        .field("Comment", run.comment.as_deref())
        .field("Started On", started.map(rfc3339))
        .field("Finished On", finished.map(rfc3339))
        .field("Duration", duration.map(|d| d.to_string()))
        .field("Executed By", run.executed_by_id.as_deref())
        .field("Test Environments", Some(environments.join(", ")))
        .field("Formatted ID", Some(&run.id));
    row.text("execution_id", execution.map(|e| e.issue_id.as_str()))
        .text("test_id", run.test.as_ref().map(|t| t.issue_id.as_str()))
        .text("status", status.name.as_deref())
        .bool("status_final", status.is_final)
        .text("coverage_status", status.coverage_status.as_deref())
        .text("comment", run.comment.as_deref())
        .time("started_on", started)
        .time("finished_on", finished)
        .int("duration_ms", duration)
        .text("executed_by", run.executed_by_id.as_deref())
        .text("assignee", run.assignee_id.as_deref())
        .texts("environments", environments)
        .texts("defects", run.defects.clone().unwrap_or_default());
}
