//! Turns what was read into rows of the native tables.

use std::collections::HashMap;

use serde_json::Value;

use super::AzureDevOps;
use super::catalog::{Fields, STEPS};
use super::load_runs::without_token;
use super::steps::{self, Document, StepsError, escape};
use super::tree::Node;
use super::wire::{
    Configuration, FieldValue, Identity, Plan, Point, Ref, Run, SuiteCase, TestResult, Time, WorkItem,
    instant, rfc3339,
};
use crate::connectors::RowBuilder;
use crate::connectors::native::Row;
use crate::model::{Step, steps_to_json};

const PARENT: &str = "System.LinkTypes.Hierarchy-Reverse";
const RELATED: &str = "System.LinkTypes.Related";

fn id_text(reference: Option<&Ref>) -> Option<String> {
    reference.map(|r| r.id.0).filter(|id| *id > 0).map(|id| id.to_string())
}

fn time_text(time: Time) -> Option<String> {
    time.0.map(rfc3339)
}

/// Returns a field's value as text.
fn value_text(value: &FieldValue, is_date: bool) -> Option<String> {
    match value {
        FieldValue::Text(text) if is_date => Some(instant(text).map_or_else(|| text.clone(), rfc3339)),
        FieldValue::Text(text) => Some(text.clone()),
        FieldValue::Person(person) => person.name(),
        FieldValue::Other(Value::Null) => None,
        FieldValue::Other(other) => Some(other.to_string()),
    }
}

/// Fills what every work item has; its steps are left to [`case_steps`]. `address` is what
/// the id is put behind for people.
pub(super) fn item_row(row: &mut Row, item: &WorkItem, address: &str, fields: &Fields) {
    let id = item.id.to_string();
    let url = format!("{address}{id}");
    let date = |field: &str| item.text(field).and_then(instant);
    let changed_by = item.fields.get("System.ChangedBy").and_then(|by| match by {
        FieldValue::Text(text) => Some(text.clone()),
        FieldValue::Person(person) => person.id.clone(),
        FieldValue::Other(_) => None,
    });
    row.rev(item.rev)
        .created_at(date("System.CreatedDate"))
        .updated_at(date("System.ChangedDate"))
        .updated_by(changed_by)
        .field("Formatted ID", Some(id))
        .field("URL", Some(url.clone()))
        .url(url);
    for (reference, value) in item.fields.iter().filter(|(reference, _)| *reference != STEPS) {
        let Some(name) = fields.display(reference) else { continue };
        let is_date = fields.get(reference).is_some_and(|def| def.r#type.eq_ignore_ascii_case("dateTime"))
            || reference.ends_with("Date");
        let text = value_text(value, is_date).map(|text| as_html(item, reference, text));
        row.field(name, text);
    }
}

/// Fields can be switched to Markdown item by item; the tables hold HTML.
fn as_html(item: &WorkItem, reference: &str, text: String) -> String {
    let format = item.multiline_fields_format.as_ref().and_then(|f| f.get(reference)).and_then(Value::as_str);
    if format.is_some_and(|f| f.eq_ignore_ascii_case("markdown")) {
        return comrak::markdown_to_html(&text, &comrak::Options::default());
    }
    text
}

impl AzureDevOps {
    /// Returns what the id of a work item is put behind for people.
    pub(super) fn item_address(&self, project: &str) -> String {
        self.api.web(project, "_workitems/edit/", &[])
    }

    pub(super) fn plan_row(
        &self,
        rows: &mut RowBuilder,
        item: &WorkItem,
        plan: &Plan,
        project: &str,
        fields: &Fields,
    ) {
        let row = rows.row(item.id, project);
        item_row(row, item, &self.item_address(project), fields);
        row.text("root_suite_id", id_text(plan.root_suite.as_ref()))
            .text("parent_id", item.linked(PARENT).first().map(i64::to_string))
            .time("started_at", plan.start_date.0)
            .time("ends_at", plan.end_date.0);
    }

    pub(super) fn suite_row(
        &self,
        rows: &mut RowBuilder,
        item: &WorkItem,
        place: &(i64, usize, Node),
        project: &str,
        fields: &Fields,
    ) {
        let (plan, order, node) = place;
        let row = rows.row(item.id, project);
        item_row(row, item, &self.item_address(project), fields);
        if item.text("System.Title").is_none() {
            row.field("Title", Some(node.name.clone()));
        }
        let related = item.linked(RELATED).iter().map(i64::to_string).collect();
        row.text("plan_id", Some(plan.to_string()))
            .text("parent_id", node.parent.map(|p| p.to_string()))
            .bool("is_root", Some(node.parent.is_none()))
            .text("kind", Some(node.kind))
            .text("path", Some(node.path.clone()))
            .int("position", i64::try_from(node.position).ok())
            .int("tree_order", i64::try_from(*order).ok())
            .text("requirement_id", node.requirement.map(|r| r.to_string()))
            .text("query", node.query.clone())
            .texts("related_ids", related);
    }

    pub(super) fn point_row(&self, rows: &mut RowBuilder, point: &Point, plan: i64, project: &str) {
        let results = point.results.as_ref();
        let row = rows.row(point.id.0, project);
        row.updated_at(point.last_updated_date.0)
            .updated_by(point.last_updated_by.as_ref().and_then(|i| i.id.clone()))
            .text("plan_id", Some(plan.to_string()))
            .text("suite_id", id_text(point.test_suite.as_ref()))
            .text("case_id", id_text(point.test_case_reference.as_ref()))
            .text("configuration_id", id_text(point.configuration.as_ref()))
            .text("configuration", point.configuration.as_ref().and_then(|c| c.name.clone()))
            .text("tester", point.tester.as_ref().and_then(Identity::name))
            .text("outcome", results.and_then(|r| r.outcome.as_deref()).map(outcome_name))
            .text("state", results.and_then(|r| r.state.clone()))
            .text("last_run_id", results.and_then(|r| r.last_test_run_id).map(|r| r.0.to_string()))
            .text("last_result_id", results.and_then(|r| r.last_result_id).map(|r| r.0.to_string()))
            .bool("is_active", Some(point.is_active))
            .bool("automated", Some(point.is_automated));
    }

    pub(super) fn run_row(&self, rows: &mut RowBuilder, run: &Run, project: &str) {
        let id = run.id.0.to_string();
        let url = self.api.web(project, "_testManagement/runs", &[("runId", &id), ("_a", "runCharts")]);
        let comment = run.comment.as_deref().map(without_token);
        let row = rows.row(&id, project);
        row.rev(run.revision)
            .created_at(run.created_date.0)
            .updated_at(run.last_updated_date.0)
            .updated_by(run.last_updated_by.as_ref().and_then(|i| i.id.clone()))
            .field("Summary", Some(run.name.clone()))
            .field("Formatted ID", Some(id))
            .field("URL", Some(url.clone()))
            .field("State", Some(capitalised(&run.state)))
            .field("Comment", comment.clone())
            .field("Started", time_text(run.started_date))
            .field("Completed", time_text(run.completed_date))
            .field("Created Date", time_text(run.created_date))
            .url(url)
            .text("plan_id", id_text(run.plan.as_ref()))
            .text("state", Some(capitalised(&run.state)))
            .text("comment", run.comment.clone())
            .time("started_at", run.started_date.0)
            .time("completed_at", run.completed_date.0)
            .bool("automated", Some(run.is_automated))
            .int("total_tests", run.total_tests)
            .int("incomplete_tests", run.incomplete_tests);
    }

    pub(super) fn result_row(&self, rows: &mut RowBuilder, result: &TestResult, run: i64, project: &str) {
        let (run_id, result_id) = (run.to_string(), result.id.0.to_string());
        let key = format!("{run_id}.{result_id}");
        let query = [("runId", run_id.as_str()), ("_a", "resultSummary"), ("resultId", &result_id)];
        let url = self.api.web(project, "_testManagement/runs", &query);
        let duration = result.duration_in_ms.map(|ms| ms.round() as i64);
        let configuration = result.configuration.as_ref().and_then(|c| c.name.clone());
        let outcome = result.outcome.as_deref().map(outcome_name);
        let run_by = result.run_by.as_ref().and_then(Identity::name);
        let title =
            result.test_case_title.clone().or_else(|| result.test_case.as_ref().and_then(|c| c.name.clone()));
        let row = rows.row(&key, project);
        row.rev(result.revision)
            .created_at(result.created_date.0)
            .updated_at(result.last_updated_date.0)
            .updated_by(result.last_updated_by.as_ref().and_then(|i| i.id.clone()))
            .field("Test Case Title", title)
            .field("Outcome", outcome.clone())
            .field("Configuration", configuration.clone())
            .field("Comment", result.comment.clone())
            .field("Error Message", result.error_message.clone())
            .field("Started Date", time_text(result.started_date))
            .field("Completed Date", time_text(result.completed_date))
            .field("Duration", duration.map(|ms| ms.to_string()))
            .field("Run By", run_by.clone())
            .field("Formatted ID", Some(key))
            .field("URL", Some(url.clone()))
            .url(url)
            .text("run_id", Some(run_id))
            .text("case_id", id_text(result.test_case.as_ref()))
            .text("plan_id", id_text(result.test_plan.as_ref()))
            .text("suite_id", id_text(result.test_suite.as_ref()))
            .text("point_id", id_text(result.test_point.as_ref()))
            .text("configuration", configuration)
            .text("outcome", outcome)
            .text("state", result.state.as_deref().map(capitalised))
            .text("comment", result.comment.clone())
            .time("started_at", result.started_date.0)
            .time("completed_at", result.completed_date.0)
            .int("duration_ms", duration)
            .text("run_by", run_by);
    }
}

pub(super) fn entry_row(
    rows: &mut RowBuilder,
    entry: &SuiteCase,
    plan: i64,
    suite: i64,
    case: i64,
    project: &str,
) {
    rows.row(format!("{suite}.{case}"), project)
        .text("plan_id", Some(plan.to_string()))
        .text("suite_id", Some(suite.to_string()))
        .text("case_id", Some(case.to_string()))
        .int("position", entry.order);
}

pub(super) fn configuration_row(rows: &mut RowBuilder, configuration: &Configuration, project: &str) {
    rows.row(configuration.id.0, project)
        .field("Name", Some(configuration.name.clone()))
        .field("Description", configuration.description.clone())
        .text("state", configuration.state.clone())
        .bool("is_default", Some(configuration.is_default));
}

/// Fills the steps of a case, or what can be said of steps that cannot be read.
pub(super) fn case_steps(row: &mut Row, item: &WorkItem, shared: &HashMap<i64, Document>) {
    let xml = item.text(STEPS).unwrap_or_default();
    let parsed = steps::parse(xml);
    let uses_shared = parsed.as_ref().is_ok_and(|document| !document.shared().is_empty());
    let steps = match &parsed {
        Ok(document) => document.expand(shared),
        // Shown as they are: no steps at all would read as a deletion.
        Err(_) => vec![Step { action: format!("<p>{}</p>", escape(xml)), ..Step::default() }],
    };
    row.field("Steps", Some(steps_to_json(&steps)).filter(|_| !steps.is_empty()))
        .bool("has_shared_steps", Some(uses_shared))
        .text("steps_xml", Some(xml.to_owned()).filter(|x| !x.is_empty()))
        .text("steps_error", parsed.err().map(|e: StepsError| e.to_string()));
    let [mut ids, mut actions, mut data, mut expected] = [const { Vec::new() }; 4];
    for step in steps {
        ids.push(step.id.unwrap_or_default());
        actions.push(step.action);
        data.push(step.data);
        expected.push(step.expected);
    }
    row.texts("step_ids", ids)
        .texts("step_actions", actions)
        .texts("step_data", data)
        .texts("step_expected", expected);
}

/// Spells an outcome as the documentation does, whichever area it came from.
pub(super) fn outcome_name(text: &str) -> String {
    let plain = |t: &str| t.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let known = super::tables::OUTCOMES.iter().find(|name| plain(name) == plain(text));
    known.map_or_else(|| text.to_owned(), |name| (*name).to_owned())
}

/// One test area writes `completed`, the other `Completed`.
fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
