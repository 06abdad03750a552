//! The shapes of Azure DevOps' answers, as far as they are read.
//!
//! The two test areas disagree on details: ids are numbers in one and texts in the
//! other, enumerations start with a capital or not. Both are accepted everywhere.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A number that may come as text; zero and texts that are no number mean "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id(pub(super) i64);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Number(n) => n.as_i64().map(Id).ok_or_else(|| D::Error::custom(format!("id {n}"))),
            Value::String(s) => Ok(Id(s.trim().parse().unwrap_or(0))),
            Value::Null => Ok(Id(0)),
            other => Err(D::Error::custom(format!("id {other}"))),
        }
    }
}

/// An instant; the vendor's "unset" and texts that are no date mean "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Time(pub(super) Option<DateTime<Utc>>);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Time(Option::<String>::deserialize(deserializer)?.and_then(|text| instant(&text))))
    }
}

/// Parses a date-time; without a zone it is UTC.
pub(super) fn instant(text: &str) -> Option<DateTime<Utc>> {
    if text.starts_with("0001-") || text.starts_with("9999-") {
        return None;
    }
    match DateTime::parse_from_rfc3339(text) {
        Ok(instant) => Some(instant.to_utc()),
        Err(_) => text.parse::<NaiveDateTime>().ok().map(|naive| naive.and_utc()),
    }
}

/// Writes a date-time as it is compared: RFC 3339 in UTC, to the microsecond.
pub(super) fn rfc3339(instant: DateTime<Utc>) -> String {
    let micros = DateTime::from_timestamp_micros(instant.timestamp_micros()).unwrap_or(instant);
    micros.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

macro_rules! answer {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub(super) struct $name { $($(#[$field_doc])* pub(super) $field: $type,)* }
    };
}

/// A list in its envelope. Items that the caller may not see come as `null`.
#[derive(Clone, Debug, serde::Deserialize)]
pub(super) struct List<T> {
    #[serde(default)]
    pub(super) count: Option<usize>,
    pub(super) value: Vec<T>,
}

answer!(
    /// A reference by id and perhaps name.
    Ref { id: Id, name: Option<String>, }
);
answer!(
    /// A person or service account.
    Identity { id: Option<String>, unique_name: Option<String>, display_name: Option<String>, }
);

impl Identity {
    /// Returns the name under which the person can be written back.
    pub(super) fn name(&self) -> Option<String> {
        let some = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
        some(&self.unique_name).or_else(|| some(&self.display_name))
    }
}

/// The value of a work item's field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FieldValue {
    Text(String),
    Person(Identity),
    /// Numbers, booleans, null and what is not documented.
    Other(Value),
}

/// The fields of a work item by reference name, in the order of the answer. Most of an
/// answer is the addresses and pictures of people, which are passed over.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ItemFields(Vec<(String, FieldValue)>);

impl ItemFields {
    /// Returns a field.
    pub(super) fn get(&self, reference: &str) -> Option<&FieldValue> {
        self.0.iter().find(|(name, _)| name == reference).map(|(_, value)| value)
    }

    /// Returns a field's text.
    pub(super) fn text(&self, reference: &str) -> Option<&str> {
        match self.get(reference)? {
            FieldValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Lists the fields.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &FieldValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl<'de> Deserialize<'de> for ItemFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = ItemFields;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("fields by reference name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ItemFields, A::Error> {
                let mut fields = Vec::with_capacity(map.size_hint().unwrap_or(32));
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(ItemFields(fields))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl<'de> Deserialize<'de> for FieldValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyField)
    }
}

struct AnyField;

impl<'de> Visitor<'de> for AnyField {
    type Value = FieldValue;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the value of a field")
    }

    fn visit_str<E>(self, text: &str) -> Result<FieldValue, E> {
        Ok(FieldValue::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<FieldValue, E> {
        Ok(FieldValue::Text(text))
    }

    fn visit_bool<E>(self, value: bool) -> Result<FieldValue, E> {
        Ok(FieldValue::Other(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<FieldValue, E> {
        Ok(FieldValue::Other(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<FieldValue, E> {
        Ok(FieldValue::Other(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<FieldValue, E> {
        Ok(FieldValue::Other(value.into()))
    }

    fn visit_unit<E>(self) -> Result<FieldValue, E> {
        Ok(FieldValue::Other(Value::Null))
    }

    fn visit_none<E>(self) -> Result<FieldValue, E> {
        Ok(FieldValue::Other(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<FieldValue, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(FieldValue::Other(Value::Array(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FieldValue, A::Error> {
        let mut person = Identity::default();
        while let Some(name) = map.next_key::<String>()? {
            let member = match name.as_str() {
                "id" => &mut person.id,
                "uniqueName" => &mut person.unique_name,
                "displayName" => &mut person.display_name,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *member = map.next_value::<Value>()?.as_str().map(str::to_owned);
        }
        Ok(FieldValue::Person(person))
    }
}

answer!(
    /// A work item.
    WorkItem {
        id: i64,
        rev: i64,
        fields: ItemFields,
        relations: Option<Vec<Relation>>,
        multiline_fields_format: Option<Map<String, Value>>,
    }
);
answer!(
    /// A link of a work item.
    Relation { rel: String, url: String, }
);

impl Relation {
    /// Returns the work item at the other end: URLs differ in host and case, so
    /// only the last segment counts.
    pub(super) fn target(&self) -> Option<i64> {
        let path = self.url.to_ascii_lowercase();
        let (head, id) = path.rsplit_once('/')?;
        if head.ends_with("workitems") { id.parse().ok() } else { None }
    }
}

impl WorkItem {
    /// Returns a field's text.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.fields.text(field)
    }

    /// Lists the work items that one kind of link leads to.
    pub(super) fn linked(&self, rel: &str) -> Vec<i64> {
        let all = self.relations.as_deref().unwrap_or_default().iter();
        all.filter(|r| r.rel.eq_ignore_ascii_case(rel)).filter_map(Relation::target).collect()
    }
}

answer!(
    /// The answer to a query.
    Wiql { work_items: Vec<Ref>, }
);
answer!(
    /// One answer within a `$batch`; the body is JSON as text.
    BatchAnswer { code: u16, body: Value, }
);
answer!(
    /// One end of the feed of links.
    LinkFeed { values: Vec<Link>, next_link: Option<String>, continuation_token: Option<Value>, is_last_batch: bool, }
);
answer!(
    /// A link that was made or removed.
    Link { source_id: i64, target_id: i64, is_active: Option<bool>, }
);
answer!(
    /// A field of the organisation.
    FieldDef {
        name: String,
        reference_name: String,
        r#type: String,
        read_only: bool,
        is_identity: bool,
    }
);
answer!(
    /// A category of work item types.
    Category { reference_name: String, default_work_item_type: Option<TypeRef>, work_item_types: Vec<TypeRef>, }
);
answer!(
    /// A work item type by name.
    TypeRef { name: String, }
);
answer!(
    /// A field as one type has it.
    TypeField { name: String, reference_name: String, allowed_values: Option<Vec<Value>>, }
);
answer!(
    /// A state of a type.
    State { name: String, }
);
answer!(
    /// A test plan.
    Plan { id: Id, name: String, root_suite: Option<Ref>, revision: i64, start_date: Time, end_date: Time, }
);
answer!(
    /// A test suite.
    Suite {
        id: Id,
        name: String,
        suite_type: String,
        parent_suite: Option<Ref>,
        children: Option<Vec<Ref>>,
        requirement_id: Option<Id>,
        query_string: Option<String>,
    }
);
answer!(
    /// A test case in a suite.
    SuiteCase { test_suite: Option<Ref>, work_item: Option<Ref>, order: Option<i64>, }
);
answer!(
    /// A test point.
    Point {
        id: Id,
        configuration: Option<Ref>,
        is_automated: bool,
        is_active: bool,
        test_suite: Option<Ref>,
        test_case_reference: Option<Ref>,
        tester: Option<Identity>,
        last_updated_by: Option<Identity>,
        last_updated_date: Time,
        results: Option<PointResults>,
    }
);
answer!(
    /// What a point says of its latest result.
    PointResults {
        outcome: Option<String>,
        state: Option<String>,
        last_test_run_id: Option<Id>,
        last_result_id: Option<Id>,
    }
);
answer!(
    /// A test configuration.
    Configuration { id: Id, name: String, description: Option<String>, is_default: bool, state: Option<String>, }
);
answer!(
    /// A test run.
    Run {
        id: Id,
        name: String,
        is_automated: bool,
        state: String,
        plan: Option<Ref>,
        started_date: Time,
        completed_date: Time,
        created_date: Time,
        last_updated_date: Time,
        last_updated_by: Option<Identity>,
        revision: i64,
        comment: Option<String>,
        total_tests: Option<i64>,
        incomplete_tests: Option<i64>,
    }
);
answer!(
    /// A test result.
    TestResult {
        id: Id,
        test_case: Option<Ref>,
        test_case_title: Option<String>,
        configuration: Option<Ref>,
        test_point: Option<Ref>,
        test_suite: Option<Ref>,
        test_plan: Option<Ref>,
        state: Option<String>,
        outcome: Option<String>,
        comment: Option<String>,
        error_message: Option<String>,
        started_date: Time,
        completed_date: Time,
        created_date: Time,
        last_updated_date: Time,
        last_updated_by: Option<Identity>,
        run_by: Option<Identity>,
        duration_in_ms: Option<f64>,
        revision: i64,
    }
);
answer!(
    /// Who we are.
    ConnectionData { authenticated_user: Option<Account>, }
);
answer!(
    /// The account of a connection.
    Account { id: Option<String>, provider_display_name: Option<String>, custom_display_name: Option<String>, }
);
answer!(
    /// A project with its capabilities.
    Project { capabilities: Option<Capabilities>, }
);
answer!(
    /// What a project was made with.
    Capabilities { process_template: Option<ProcessTemplate>, }
);
answer!(
    /// The process of a project.
    ProcessTemplate { template_type_id: Option<String>, }
);
answer!(
    /// A process.
    Process { name: String, customization_type: Option<String>, }
);
answer!(
    /// A work item type of a process.
    ProcessType {
        reference_name: String,
        name: String,
        customization: Option<String>,
        inherits: Option<String>,
        color: Option<String>,
        icon: Option<String>,
    }
);

/// An error body, in any of the three forms in which they come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The server's words.
    pub(super) message: String,
    /// The fields that broke a rule: reference name and words.
    pub(super) fields: Vec<(String, String)>,
}

impl Refusal {
    /// Reads an error body; anything else is its own message.
    pub(super) fn parse(body: &Value) -> Self {
        let parsed;
        let body = match body {
            Value::String(text) => match serde_json::from_str::<Value>(text) {
                Ok(value @ Value::Object(_)) => {
                    parsed = value;
                    &parsed
                }
                _ => return Self { message: text.clone(), fields: Vec::new() },
            },
            other => other,
        };
        let inner = body.get("value").filter(|v| v.is_object()).unwrap_or(body);
        let member = |name: &str| inner.get(name).and_then(Value::as_str).map(str::to_owned);
        let message = member("message")
            .or_else(|| member("Message"))
            .or_else(|| member("ErrorMessage"))
            .unwrap_or_else(|| inner.to_string());
        let rules = inner
            .pointer("/customProperties/RuleValidationErrors")
            .or_else(|| inner.pointer("/customProperties/ruleValidationErrors"))
            .and_then(Value::as_array);
        let fields = rules.into_iter().flatten().filter_map(|rule| {
            let field = rule.get("fieldReferenceName")?.as_str()?;
            let words = rule.get("errorMessage").and_then(Value::as_str).unwrap_or(&message);
            Some((field.to_owned(), words.to_owned()))
        });
        Self { fields: fields.collect(), message }
    }

    /// Tells whether somebody else wrote the item meanwhile.
    pub(super) fn is_revision_conflict(&self) -> bool {
        ["TF26071", "VS403351", "/rev"].iter().any(|word| self.message.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vendor's own examples, where they are at hand.
    fn example(path: &str) -> Option<Value> {
        let text = std::fs::read_to_string(format!("/work/shared/api/azure-devops/{path}")).ok()?;
        let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap();
        value.pointer("/responses/200/body").cloned()
    }

    fn list<T: serde::de::DeserializeOwned>(path: &str) -> Option<List<T>> {
        Some(serde_json::from_value(example(path)?).unwrap())
    }

    #[test]
    fn runs_of_the_documentation_are_read() {
        let Some(runs) = list::<Run>(
            "test/7.1/httpExamples/runs/GET__test__projectName__runs_includeRunDetails-true.json",
        ) else {
            return;
        };
        let run = &runs.value[0];
        assert_eq!((run.id.0, run.plan.as_ref().unwrap().id.0, run.total_tests), (1, 60, Some(1)));
        assert_eq!(run.comment.as_deref(), Some("This test run is doomed"));
        assert_eq!(rfc3339(run.created_date.0.unwrap()), "2014-05-04T12:50:31.380Z");
    }

    #[test]
    fn results_of_the_documentation_are_read() {
        let Some(results) = list::<TestResult>(
            "test/7.1/httpExamples/results/GET__test_runs_31_results__top-100_detailsToInclude-WorkItems,Iterations.json",
        ) else {
            return;
        };
        let result = &results.value[0];
        assert!(result.id.0 >= 100_000 && result.test_case.as_ref().unwrap().id.0 > 0);
        assert!(result.outcome.is_some() && result.configuration.is_some());
    }

    #[test]
    fn plans_and_suites_of_the_documentation_are_read() {
        let Some(plans) = list::<Plan>("testPlan/7.1/httpExamples/Plans/GetTestPlans.json") else { return };
        assert_eq!(plans.value[0].root_suite.as_ref().unwrap().id, Id(6));
        let suites: List<Suite> = list("testPlan/7.1/httpExamples/Suites/GetTestSuitesForPlan.json").unwrap();
        assert_eq!(suites.value[0].suite_type, "staticTestSuite");
        let configurations: List<Configuration> =
            list("testPlan/7.1/httpExamples/Configurations/GetTestConfigurations.json").unwrap();
        assert!(configurations.value[0].is_default);
    }

    #[test]
    fn work_items_and_links_of_the_documentation_are_read() {
        let Some(items) =
            list::<WorkItem>("wit/7.1/httpExamples/workItems/GET__wit_WorkItems_ids-_ids___expand-all.json")
        else {
            return;
        };
        assert!(items.value.iter().all(|i| i.id > 0 && i.rev > 0 && i.text("System.Title").is_some()));
        let feed: LinkFeed = serde_json::from_value(
            example("wit/7.1/httpExamples/workItemLinks/GET__wit_reporting_workItemLinks_50.json").unwrap(),
        )
        .unwrap();
        assert_eq!((feed.values[0].source_id, feed.values[0].target_id), (7, 8));
        let fields: List<FieldDef> = list("wit/7.1/httpExamples/fields/GET__wit_fields.json").unwrap();
        assert!(fields.value.iter().all(|f| !f.name.is_empty() && !f.reference_name.is_empty()));
        let categories: List<Category> =
            list("wit/7.1/httpExamples/workItemTypeCategories/GET__wit_workItemTypeCategories.json").unwrap();
        assert!(categories.value.iter().any(|c| c.reference_name == "Microsoft.TestCaseCategory"));
    }

    #[test]
    fn link_targets_are_found_whatever_the_url_looks_like() {
        let relation = |url: &str| Relation { rel: String::new(), url: url.into() }.target();
        assert_eq!(relation("https://dev.azure.com/fab/_apis/wit/workItems/297"), Some(297));
        assert_eq!(relation("https://fab.visualstudio.com/P/_apis/wit/workitems/-1"), Some(-1));
        assert_eq!(relation("https://dev.azure.com/fab/_apis/wit/attachments/5"), None);
    }

    #[test]
    fn errors_are_read_in_all_their_forms() {
        let rule = serde_json::json!({"customProperties": {"RuleValidationErrors": [
            {"fieldReferenceName": "Microsoft.VSTS.Common.Activity", "errorMessage": "TF401320: required"}]},
            "message": "TF401320: Rule Error for field Activity."});
        assert_eq!(Refusal::parse(&rule).fields[0].0, "Microsoft.VSTS.Common.Activity");
        let wrapped = Value::String(
            r#"{"count":1,"value":{"Message":"VS403351: Test Operation for path /rev failed"}}"#.into(),
        );
        assert!(Refusal::parse(&wrapped).is_revision_conflict());
        assert_eq!(Refusal::parse(&Value::String("oops".into())).message, "oops");
    }

    #[test]
    fn unset_dates_are_none() {
        assert_eq!(instant("0001-01-01T00:00:00"), None);
        assert_eq!(instant("9999-01-01T00:00:00Z"), None);
        assert_eq!(rfc3339(instant("2017-10-06T01:04:51.57Z").unwrap()), "2017-10-06T01:04:51.570Z");
    }
}
