//! The shapes of Jira Cloud and Xray Cloud, as they travel.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};

/// `GET /myself`.
#[derive(Debug, Deserialize)]
pub(super) struct Myself {
    #[serde(rename = "accountId")]
    pub(super) account_id: Option<String>,
    #[serde(rename = "displayName", default)]
    pub(super) display_name: String,
}

/// `GET /serverInfo`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServerInfo {
    pub(super) base_url: Option<String>,
    pub(super) version: Option<String>,
    pub(super) deployment_type: Option<String>,
}

/// `GET /project/{key}`.
#[derive(Debug, Deserialize)]
pub(super) struct Project {
    pub(super) id: String,
    pub(super) key: String,
}

/// One element of `GET /project/{key}/statuses`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct TypeStatuses {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) statuses: Vec<Named>,
}

/// Anything with a name, and mostly an id.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Named {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) name: String,
}

/// One element of `GET /field`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct FieldDef {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) custom: bool,
    #[serde(default)]
    pub(super) schema: Option<Schema>,
}

/// The type of a field.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Schema {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) custom: Option<String>,
}

impl FieldDef {
    /// Returns the last part of the custom field type: `textfield`, `textarea`.
    pub(super) fn custom_kind(&self) -> &str {
        let custom = self.schema.as_ref().and_then(|s| s.custom.as_deref()).unwrap_or_default();
        custom.rsplit(':').next().unwrap_or_default()
    }
}

/// `GET /issue/createmeta/{project}/issuetypes/{type}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateFields {
    #[serde(default, alias = "values")]
    pub(super) fields: Vec<CreateField>,
    #[serde(default)]
    pub(super) total: Option<usize>,
}

/// One field of a create screen.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateField {
    pub(super) field_id: String,
    #[serde(default)]
    pub(super) allowed_values: Option<Vec<Value>>,
}

/// `POST /search/jql`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SearchPage {
    #[serde(default)]
    pub(super) issues: Vec<Issue>,
    #[serde(default)]
    pub(super) is_last: Option<bool>,
    #[serde(default)]
    pub(super) next_page_token: Option<String>,
}

/// `POST /issue/bulkfetch`.
#[derive(Debug, Deserialize)]
pub(super) struct BulkFetch {
    #[serde(default)]
    pub(super) issues: Vec<Issue>,
}

/// An issue; which fields it holds depends on what was asked for.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Issue {
    pub(super) id: String,
    #[serde(default)]
    pub(super) key: Option<String>,
    #[serde(default)]
    pub(super) fields: Map<String, Value>,
}

impl Issue {
    /// Returns a member of an object field: `name` of `status`.
    pub(super) fn member(&self, field: &str, member: &str) -> Option<&str> {
        self.fields.get(field)?.get(member)?.as_str()
    }

    /// Returns a text field.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_str()
    }

    /// Reads the links shown on this issue.
    pub(super) fn links(&self) -> Vec<Link> {
        let list = self.fields.get("issuelinks").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Link::read).collect()
    }
}

/// A link as one of its ends shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) id: String,
    pub(super) link_type: String,
    /// Whether the *other* issue stands at the inward end.
    pub(super) inward: bool,
    pub(super) other_id: String,
    pub(super) other_type: String,
}

impl Link {
    fn read(value: &Value) -> Option<Link> {
        let inward = value.get("inwardIssue").filter(|v| v.is_object());
        let other = inward.or_else(|| value.get("outwardIssue"))?;
        let text = |v: Option<&Value>| v.and_then(Value::as_str).map(str::to_owned);
        Some(Link {
            id: text(value.get("id"))?,
            link_type: text(value.pointer("/type/name"))?,
            inward: inward.is_some(),
            other_id: text(other.get("id"))?,
            other_type: text(other.pointer("/fields/issuetype/name")).unwrap_or_default(),
        })
    }
}

/// `GET /issue/{id}/transitions?expand=transitions.fields`.
#[derive(Debug, Deserialize)]
pub(super) struct Transitions {
    #[serde(default)]
    pub(super) transitions: Vec<Transition>,
}

/// A transition that the caller may carry out now.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Transition {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) to: Named,
    #[serde(default)]
    pub(super) fields: Map<String, Value>,
}

/// `POST /issue/bulk`, whether 201 or 400.
#[derive(Debug, Default, Deserialize)]
pub(super) struct BulkCreated {
    #[serde(default)]
    pub(super) issues: Vec<Issue>,
    #[serde(default)]
    pub(super) errors: Vec<ElementError>,
}

/// A failed element of a bulk create.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ElementError {
    #[serde(default)]
    pub(super) element_errors: ErrorBody,
    pub(super) failed_element_number: usize,
}

/// The error shape of Jira's REST API.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorBody {
    #[serde(default)]
    pub(super) error_messages: Vec<String>,
    #[serde(default)]
    pub(super) errors: Map<String, Value>,
}

impl ErrorBody {
    /// Joins the server's words.
    pub(super) fn words(&self) -> String {
        let fields = self.errors.iter().map(|(field, words)| format!("{field}: {}", plain(words)));
        self.error_messages.iter().cloned().chain(fields).collect::<Vec<_>>().join("; ")
    }
}

/// Returns a text as it is and anything else as JSON.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The answer of the GraphQL endpoint.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Graph {
    #[serde(default)]
    pub(super) data: Option<Map<String, Value>>,
    #[serde(default)]
    pub(super) errors: Vec<GraphError>,
}

/// One error of a GraphQL answer.
#[derive(Debug, Deserialize)]
pub(super) struct GraphError {
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) path: Option<Vec<Value>>,
}

impl Graph {
    /// Returns the words about one aliased part, if it failed.
    pub(super) fn error_of(&self, alias: &str) -> Option<String> {
        let about = |e: &&GraphError| {
            let first = e.path.as_ref().and_then(|p| p.first());
            first.is_none_or(|p| p.as_str() == Some(alias))
        };
        let words: Vec<&str> = self.errors.iter().filter(about).map(|e| e.message.as_str()).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// Returns the answer of one aliased part unless it is null.
    pub(super) fn part(&self, alias: &str) -> Option<&Value> {
        self.data.as_ref()?.get(alias).filter(|v| !v.is_null())
    }
}

/// A page of a GraphQL list.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(super) struct Connection<T> {
    #[serde(default)]
    pub(super) total: Option<usize>,
    #[serde(default)]
    pub(super) results: Option<Vec<Option<T>>>,
}

impl<T> Connection<T> {
    /// Returns the entries that are not null.
    pub(super) fn into_items(self) -> Vec<T> {
        self.results.into_iter().flatten().flatten().collect()
    }
}

/// Something of which only the issue id was asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ref {
    pub(super) issue_id: String,
}

/// A run of which only the id was asked.
#[derive(Debug, Deserialize)]
pub(super) struct RunRef {
    pub(super) id: String,
}

/// A test.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Test {
    pub(super) issue_id: String,
    pub(super) last_modified: Option<String>,
    pub(super) test_type: Option<TestType>,
    pub(super) folder: Option<Folder>,
    pub(super) unstructured: Option<String>,
    pub(super) gherkin: Option<String>,
    pub(super) steps: Option<Vec<Step>>,
}

/// A test type.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct TestType {
    pub(super) name: Option<String>,
    pub(super) kind: Option<String>,
}

/// A folder's path.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Folder {
    pub(super) path: Option<String>,
}

/// A step of a test.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Step {
    pub(super) id: Option<String>,
    pub(super) action: Option<String>,
    pub(super) data: Option<String>,
    pub(super) result: Option<String>,
    pub(super) call_test_issue_id: Option<String>,
}

/// A test set or test plan with its tests.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Holder {
    pub(super) issue_id: String,
    pub(super) last_modified: Option<String>,
    pub(super) tests: Option<Connection<Ref>>,
}

/// A test execution with its plans.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Execution {
    pub(super) issue_id: String,
    pub(super) last_modified: Option<String>,
    pub(super) test_environments: Option<Vec<String>>,
    pub(super) test_plans: Option<Connection<Ref>>,
}

/// A test run.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Run {
    pub(super) id: String,
    pub(super) last_modified: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) started_on: Option<String>,
    pub(super) finished_on: Option<String>,
    pub(super) executed_by_id: Option<String>,
    pub(super) assignee_id: Option<String>,
    pub(super) defects: Option<Vec<String>>,
    pub(super) status: Option<RunStatus>,
    pub(super) test: Option<Ref>,
    pub(super) test_execution: Option<RunExecution>,
}

/// The status of a run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunStatus {
    pub(super) name: Option<String>,
    #[serde(rename = "final")]
    pub(super) is_final: Option<bool>,
    pub(super) coverage_status: Option<String>,
}

/// The execution of a run.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunExecution {
    pub(super) issue_id: String,
    #[serde(default)]
    pub(super) test_environments: Option<Vec<String>>,
}

/// The test repository of a project.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FolderTree {
    pub(super) folders: Option<Value>,
}

/// Settings of a project.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProjectSettings {
    pub(super) test_coverage_settings: Option<CoverageSettings>,
}

/// Which issues tests can cover.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CoverageSettings {
    pub(super) coverable_issue_type_ids: Option<Vec<String>>,
}

/// `POST /import/test/bulk`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Job {
    pub(super) job_id: String,
}

/// `GET /import/test/bulk/{job}/status`.
#[derive(Debug, Deserialize)]
pub(super) struct JobStatus {
    pub(super) status: String,
    #[serde(default)]
    pub(super) result: Option<JobResult>,
}

/// What an import made.
#[derive(Debug, Default, Deserialize)]
pub(super) struct JobResult {
    #[serde(default)]
    pub(super) errors: Vec<JobError>,
    #[serde(default)]
    pub(super) issues: Vec<JobIssue>,
}

/// An element that was not imported.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobError {
    pub(super) element_number: usize,
    #[serde(default)]
    pub(super) errors: Value,
}

/// An element that was imported.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobIssue {
    pub(super) element_number: usize,
    pub(super) id: String,
    #[serde(default)]
    pub(super) key: Option<String>,
}

/// Reads an instant in any of the forms that the two APIs use: RFC 3339, Jira's
/// offset without a colon, or epoch seconds or milliseconds as text.
pub(super) fn instant(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    if let Ok(at) = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z") {
        return Some(at.to_utc());
    }
    let number: i64 = text.parse().ok()?;
    // Seconds stay below 1e11 until the year 5138, milliseconds passed it in 1973.
    if number > 100_000_000_000 {
        DateTime::from_timestamp_millis(number)
    } else {
        DateTime::from_timestamp(number, 0)
    }
}

/// Writes an instant as neutral fields hold it.
pub(super) fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn instants_are_read_in_every_documented_form() {
        let expected = Some("2026-05-01T11:34:56.789Z".to_owned());
        assert_eq!(instant("2026-05-01T12:34:56.789+0100").map(rfc3339), expected);
        assert_eq!(instant("2026-05-01T11:34:56.789Z").map(rfc3339), expected);
        assert_eq!(instant("1777635296789").map(rfc3339), expected);
        assert_eq!(instant("1777635296").map(rfc3339).as_deref(), Some("2026-05-01T11:34:56.000Z"));
        assert_eq!(instant("yesterday"), None);
    }

    #[test]
    fn issue_shows_its_links_from_its_own_end() {
        let issue: Issue = serde_json::from_value(json!({
            "id": "10102", "key": "CALC-1", "fields": {
                "status": {"id": "3", "name": "In Progress"},
                "issuelinks": [
                    {"id": "10500", "type": {"id": "10003", "name": "Relates", "inward": "relates to", "outward": "relates to"},
                     "outwardIssue": {"id": "10103", "key": "CALC-2", "fields": {"issuetype": {"name": "Bug"}}}},
                    {"id": "10501", "type": {"name": "Relates"},
                     "inwardIssue": {"id": "10104", "key": "CALC-3", "fields": {"issuetype": {"name": "Test Plan"}}}}]}}))
        .expect("the fact sheet's issue");
        assert_eq!(issue.member("status", "name"), Some("In Progress"));
        let links = issue.links();
        assert_eq!((links[0].inward, links[0].other_type.as_str()), (false, "Bug"));
        assert_eq!((links[1].inward, links[1].other_id.as_str()), (true, "10104"));
    }

    #[test]
    fn graphql_errors_belong_to_their_alias() {
        let graph: Graph = serde_json::from_value(json!({
            "errors": [{"message": "no permission", "path": ["p1"]}],
            "data": {"p0": {"issueId": "1"}, "p1": null}}))
        .expect("an answer");
        assert_eq!(graph.error_of("p0"), None);
        assert_eq!(graph.error_of("p1").as_deref(), Some("no permission"));
        assert!(graph.part("p0").is_some() && graph.part("p1").is_none());
    }

    #[test]
    fn page_of_tests_is_read() {
        let page: Connection<Test> = serde_json::from_value(json!({
            "total": 1, "start": 0, "limit": 50, "results": [{
                "issueId": "10102", "projectId": "10000", "lastModified": "2026-05-01T10:00:00Z",
                "testType": {"id": "5f", "name": "Manual", "kind": "Steps"}, "folder": {"path": "/Login"},
                "unstructured": null, "gherkin": null,
                "steps": [{"id": "8a7f", "action": "open *page*", "data": "u=1", "result": "shown", "callTestIssueId": null}]}]}))
        .expect("the fact sheet's page");
        let tests = page.into_items();
        let steps = tests[0].steps.as_deref().expect("steps");
        assert_eq!(steps[0].action.as_deref(), Some("open *page*"));
    }

    #[test]
    fn job_status_tells_elements_apart() {
        let status: JobStatus = serde_json::from_value(json!({
            "status": "partially_successful", "result": {
                "errors": [{"elementNumber": 1, "errors": {"description": "Operation value must be a string"}}],
                "issues": [{"elementNumber": 0, "id": "12603", "key": "CALC-1", "self": "https://SITE/rest/api/2/issue/12603"}]}}))
        .expect("the fact sheet's status");
        let result = status.result.expect("a result");
        assert_eq!((result.issues[0].element_number, result.errors[0].element_number), (0, 1));
        assert_eq!(
            serde_json::from_value::<JobStatus>(json!({"status": "working", "progress": ["x"]}))
                .expect("a status")
                .status,
            "working"
        );
    }
}
