//! Every GraphQL document that we send, and the arithmetic of Xray's budget.
//!
//! Xray counts at most 25 resolvers and 10,000 items per document, whatever the
//! number of aliased parts, and one document is one unit of the rate. So parts
//! are packed until one of the two is used up.

use serde_json::{Map, Value, json};

/// The largest page of any list.
pub(super) const LIMIT: usize = 100;
/// Resolvers per document: queries, mutations and fields that are objects or lists.
pub(super) const RESOLVERS_MAX: usize = 25;
/// Items per document, summed over nested products.
pub(super) const ITEMS_MAX: usize = 10_000;
/// Tests asked for with each of a page of sets or plans: 100 + 100 · 95 items.
pub(super) const NESTED_TESTS: usize = 95;
/// Plans asked for with each execution: 100 + 100 · 20 items.
pub(super) const NESTED_PLANS: usize = 20;

/// A kind of part: its text and what it costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Whether it is a query.
    pub(super) query: bool,
    /// The field with arguments (`$0` for the first variable) and selection.
    text: &'static str,
    /// The types of its variables.
    types: &'static [&'static str],
    /// Resolvers that it costs.
    resolvers: usize,
    /// Items that it costs.
    items: usize,
}

impl Part {
    /// Tells how many of this part fit into one document.
    pub(super) const fn per_document(&self) -> usize {
        let by_resolvers = RESOLVERS_MAX / self.resolvers;
        match ITEMS_MAX.checked_div(self.items) {
            Some(by_items) if by_items < by_resolvers => by_items,
            _ => by_resolvers,
        }
    }
}

/// A part with the values of its variables.
pub(super) type Question = (Part, Vec<Value>);

const fn query(text: &'static str, types: &'static [&'static str], resolvers: usize, items: usize) -> Part {
    Part { query: true, text, types, resolvers, items }
}

const fn mutation(text: &'static str, types: &'static [&'static str], resolvers: usize) -> Part {
    Part { query: false, text, types, resolvers, items: 0 }
}

pub(super) const TESTS: Part = query(
    "getTests(issueIds: $0, limit: 100) { total results { issueId lastModified testType { name kind } \
     folder { path } unstructured gherkin steps { id action data result callTestIssueId } } }",
    &["[String]"],
    5,
    LIMIT,
);
pub(super) const TEST_STEPS: Part = query(
    "getTests(issueIds: $0, limit: 100) { total results { issueId lastModified \
     steps { id action data result callTestIssueId } } }",
    &["[String]"],
    3,
    LIMIT,
);
pub(super) const TEST_SETS: Part = query(
    "getTestSets(issueIds: $0, limit: 100) { total results { issueId lastModified \
     tests(limit: 95) { total results { issueId } } } }",
    &["[String]"],
    4,
    LIMIT + LIMIT * NESTED_TESTS,
);
pub(super) const TEST_PLANS: Part = query(
    "getTestPlans(issueIds: $0, limit: 100) { total results { issueId lastModified \
     tests(limit: 95) { total results { issueId } } } }",
    &["[String]"],
    4,
    LIMIT + LIMIT * NESTED_TESTS,
);
pub(super) const TEST_EXECUTIONS: Part = query(
    "getTestExecutions(issueIds: $0, limit: 100) { total results { issueId lastModified testEnvironments \
     testPlans(limit: 20) { total results { issueId } } } }",
    &["[String]"],
    5,
    LIMIT + LIMIT * NESTED_PLANS,
);
pub(super) const SET_TESTS: Part = query(
    "getTestSet(issueId: $0) { tests(limit: 100, start: $1) { total results { issueId } } }",
    &["String", "Int"],
    3,
    LIMIT,
);
pub(super) const PLAN_TESTS: Part = query(
    "getTestPlan(issueId: $0) { tests(limit: 100, start: $1) { total results { issueId } } }",
    &["String", "Int"],
    3,
    LIMIT,
);
pub(super) const EXECUTION_PLANS: Part = query(
    "getTestExecution(issueId: $0) { testPlans(limit: 100, start: $1) { total results { issueId } } }",
    &["String", "Int"],
    3,
    LIMIT,
);
pub(super) const RUNS: Part = query(
    "getTestRuns(testExecIssueIds: $0, modifiedSince: $1, limit: 100, start: $2) { total results { id lastModified \
     comment startedOn finishedOn executedById assigneeId defects status { name final coverageStatus } \
     test { issueId } testExecution { issueId testEnvironments } } }",
    &["[String]", "String", "Int"],
    7,
    LIMIT,
);
pub(super) const RUNS_BY_ID: Part = query(
    "getTestRunsById(ids: $0, limit: 100) { total results { id lastModified comment startedOn finishedOn \
     executedById assigneeId defects status { name final coverageStatus } test { issueId } \
     testExecution { issueId testEnvironments } } }",
    &["[String]"],
    7,
    LIMIT,
);
pub(super) const RUN_IDS: Part = query(
    "getTestRuns(testExecIssueIds: $0, modifiedSince: $1, limit: 100, start: $2) { total results { id } }",
    &["[String]", "String", "Int"],
    2,
    LIMIT,
);
pub(super) const TEST_IDS: Part = query(
    "getTests(projectId: $0, modifiedSince: $1, limit: 100, start: $2) { total results { issueId } }",
    &["String", "String", "Int"],
    2,
    LIMIT,
);
pub(super) const TEST_SET_IDS: Part = query(
    "getTestSets(projectId: $0, modifiedSince: $1, limit: 100, start: $2) { total results { issueId } }",
    &["String", "String", "Int"],
    2,
    LIMIT,
);
pub(super) const TEST_PLAN_IDS: Part = query(
    "getTestPlans(projectId: $0, modifiedSince: $1, limit: 100, start: $2) { total results { issueId } }",
    &["String", "String", "Int"],
    2,
    LIMIT,
);
pub(super) const TEST_EXECUTION_IDS: Part = query(
    "getTestExecutions(projectId: $0, modifiedSince: $1, limit: 100, start: $2) { total results { issueId } }",
    &["String", "String", "Int"],
    2,
    LIMIT,
);
pub(super) const FOLDERS: Part =
    query("getFolder(projectId: $0, path: \"/\") { path testsCount folders }", &["String"], 2, 1);
pub(super) const COVERABLE: Part = query(
    "getProjectSettings(projectIdOrKey: $0) { testCoverageSettings { coverableIssueTypeIds } }",
    &["String"],
    3,
    1,
);

pub(super) const CREATE_TEST_SET: Part = mutation(
    "createTestSet(testIssueIds: $0, jira: $1) { testSet { issueId } warnings }",
    &["[String]", "JSON!"],
    3,
);
pub(super) const CREATE_TEST_PLAN: Part = mutation(
    "createTestPlan(testIssueIds: $0, jira: $1) { testPlan { issueId } warnings }",
    &["[String]", "JSON!"],
    3,
);
pub(super) const CREATE_TEST_EXECUTION: Part = mutation(
    "createTestExecution(testIssueIds: $0, testEnvironments: $1, jira: $2) { testExecution { issueId } warnings }",
    &["[String]", "[String]", "JSON!"],
    // The two lists of the answer that we do not select may be counted, too.
    4,
);
pub(super) const ADD_STEP: Part =
    mutation("addTestStep(issueId: $0, step: $1) { id }", &["String!", "CreateStepInput!"], 1);
pub(super) const UPDATE_STEP: Part =
    mutation("updateTestStep(stepId: $0, step: $1) { warnings }", &["String!", "UpdateStepInput!"], 2);
pub(super) const REMOVE_STEP: Part = mutation("removeTestStep(stepId: $0)", &["String!"], 1);
pub(super) const ADD_TESTS_TO_SET: Part = mutation(
    "addTestsToTestSet(issueId: $0, testIssueIds: $1) { addedTests warning }",
    &["String!", "[String]!"],
    2,
);
pub(super) const REMOVE_TESTS_FROM_SET: Part =
    mutation("removeTestsFromTestSet(issueId: $0, testIssueIds: $1)", &["String!", "[String]!"], 1);
pub(super) const ADD_TESTS_TO_PLAN: Part = mutation(
    "addTestsToTestPlan(issueId: $0, testIssueIds: $1) { addedTests warning }",
    &["String!", "[String]!"],
    2,
);
pub(super) const REMOVE_TESTS_FROM_PLAN: Part =
    mutation("removeTestsFromTestPlan(issueId: $0, testIssueIds: $1)", &["String!", "[String]!"], 1);
pub(super) const ADD_TESTS_TO_EXECUTION: Part = mutation(
    "addTestsToTestExecution(issueId: $0, testIssueIds: $1) { addedTests warning }",
    &["String!", "[String]"],
    2,
);
pub(super) const ADD_EXECUTIONS_TO_PLAN: Part = mutation(
    "addTestExecutionsToTestPlan(issueId: $0, testExecIssueIds: $1) { addedTestExecutions warning }",
    &["String!", "[String]!"],
    2,
);
pub(super) const REMOVE_EXECUTIONS_FROM_PLAN: Part = mutation(
    "removeTestExecutionsFromTestPlan(issueId: $0, testExecIssueIds: $1)",
    &["String!", "[String]!"],
    1,
);

/// One document under construction; all its parts are queries or all are mutations.
#[derive(Debug, Default)]
pub(super) struct Document {
    query: bool,
    parts: usize,
    resolvers: usize,
    items: usize,
    declared: String,
    text: String,
    variables: Map<String, Value>,
}

impl Document {
    /// Packs parts with their variables into as few documents as the budget
    /// allows, in order. Answers stand under [`alias`] of the position within
    /// the document.
    pub(super) fn pack(parts: impl IntoIterator<Item = Question>) -> Vec<Document> {
        let mut documents: Vec<Document> = Vec::new();
        for (part, values) in parts {
            let fits = documents.last().is_some_and(|last| {
                last.resolvers + part.resolvers <= RESOLVERS_MAX && last.items + part.items <= ITEMS_MAX
            });
            if !fits {
                documents.push(Document { query: part.query, ..Document::default() });
            }
            if let Some(last) = documents.last_mut() {
                last.add(part, values);
            }
        }
        documents
    }

    fn add(&mut self, part: Part, values: Vec<Value>) {
        let number = self.parts;
        let mut text = part.text.to_owned();
        for (index, (value, kind)) in values.into_iter().zip(part.types).enumerate() {
            let name = format!("v{number}_{index}");
            text = text.replace(&format!("${index}"), &format!("${name}"));
            self.declared.push_str(&format!("${name}: {kind} "));
            // A variable without a value leaves its argument out.
            if !value.is_null() {
                self.variables.insert(name, value);
            }
        }
        self.text.push_str(&format!(" {}: {text}", alias(number)));
        self.parts += 1;
        self.resolvers += part.resolvers;
        self.items += part.items;
    }

    /// Counts the parts.
    pub(super) fn len(&self) -> usize {
        self.parts
    }

    /// Tells whether sending it twice is safe.
    pub(super) fn is_query(&self) -> bool {
        self.query
    }

    /// Returns the request body.
    pub(super) fn body(&self) -> Value {
        json!({ "query": self.source(), "variables": self.variables })
    }

    fn source(&self) -> String {
        let word = if self.query { "query" } else { "mutation" };
        format!("{word}({}) {{{} }}", self.declared.trim_end(), self.text)
    }
}

/// Names the part at a position of a document.
pub(super) fn alias(position: usize) -> String {
    format!("p{position}")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use async_graphql::parser::types::{
        DocumentOperations, Field, FieldDefinition, Selection, SelectionSet, Type, TypeKind,
        TypeSystemDefinition,
    };
    use async_graphql::parser::{parse_query, parse_schema};

    use super::*;

    const ALL: [Part; 30] = [
        TESTS,
        TEST_STEPS,
        TEST_SETS,
        TEST_PLANS,
        TEST_EXECUTIONS,
        SET_TESTS,
        PLAN_TESTS,
        EXECUTION_PLANS,
        RUNS,
        RUNS_BY_ID,
        RUN_IDS,
        TEST_IDS,
        TEST_SET_IDS,
        TEST_PLAN_IDS,
        TEST_EXECUTION_IDS,
        FOLDERS,
        COVERABLE,
        CREATE_TEST_SET,
        CREATE_TEST_PLAN,
        CREATE_TEST_EXECUTION,
        ADD_STEP,
        UPDATE_STEP,
        REMOVE_STEP,
        ADD_TESTS_TO_SET,
        REMOVE_TESTS_FROM_SET,
        ADD_TESTS_TO_PLAN,
        REMOVE_TESTS_FROM_PLAN,
        ADD_TESTS_TO_EXECUTION,
        ADD_EXECUTIONS_TO_PLAN,
        REMOVE_EXECUTIONS_FROM_PLAN,
    ];

    /// The published schema, as far as our documents need it.
    struct Schema {
        fields: HashMap<String, BTreeMap<String, FieldDefinition>>,
    }

    impl Schema {
        fn read(text: &str) -> Schema {
            let mut fields = HashMap::new();
            for definition in parse_schema(text).expect("the SDL parses").definitions {
                if let TypeSystemDefinition::Type(definition) = definition {
                    let definition = definition.node;
                    if let TypeKind::Object(object) = definition.kind {
                        let members = object
                            .fields
                            .into_iter()
                            .map(|f| (f.node.name.node.to_string(), f.node))
                            .collect();
                        fields.insert(definition.name.node.to_string(), members);
                    }
                }
            }
            Schema { fields }
        }

        /// Checks a selection and returns the (resolvers, items) that it costs.
        fn check(
            &self,
            parent: &str,
            set: &SelectionSet,
            declared: &HashMap<String, String>,
            times: usize,
        ) -> (usize, usize) {
            let mut cost = (0, 0);
            for selection in &set.items {
                let Selection::Field(field) = &selection.node else { panic!("only fields are used") };
                let one = self.check_field(parent, &field.node, declared, times);
                cost = (cost.0 + one.0, cost.1 + one.1);
            }
            cost
        }

        fn check_field(
            &self,
            parent: &str,
            field: &Field,
            declared: &HashMap<String, String>,
            times: usize,
        ) -> (usize, usize) {
            let name = field.name.node.as_str();
            let definition =
                self.fields[parent].get(name).unwrap_or_else(|| panic!("{parent}.{name} is not in the SDL"));
            for (argument, value) in &field.arguments {
                let wanted = definition.arguments.iter().find(|a| a.node.name.node == argument.node);
                let wanted =
                    wanted.unwrap_or_else(|| panic!("{parent}.{name}({argument}) is not in the SDL"));
                if let Some(variable) = value.node.to_string().strip_prefix('$') {
                    let given = declared[variable].trim_end_matches('!').to_owned();
                    let strict = declared[variable].ends_with('!');
                    let wanted = wanted.node.ty.node.to_string();
                    assert_eq!(given, wanted.trim_end_matches('!'), "{name}({argument})");
                    assert!(strict || !wanted.ends_with('!'), "{name}({argument}) must not be null");
                }
            }
            for wanted in &definition.arguments {
                let given = field.arguments.iter().any(|(a, _)| a.node == wanted.node.name.node);
                assert!(given || wanted.node.ty.node.nullable, "{name} needs {}", wanted.node.name);
            }
            let limit = field
                .arguments
                .iter()
                .find(|(a, _)| a.node == "limit")
                .map_or(1, |(_, v)| v.node.to_string().parse::<usize>().expect("limits are literals"));
            let inner = base(&definition.ty.node);
            let object = self.fields.contains_key(&inner);
            assert_eq!(object, !field.selection_set.node.items.is_empty(), "selection of {name}");
            let list = definition.ty.node.to_string().starts_with('[');
            let times = times * limit;
            let own = (usize::from(object || list), if limit > 1 { times } else { 0 });
            let below =
                if object { self.check(&inner, &field.selection_set.node, declared, times) } else { (0, 0) };
            (own.0 + below.0, own.1 + below.1)
        }
    }

    fn base(kind: &Type) -> String {
        kind.to_string().chars().filter(char::is_ascii_alphanumeric).collect()
    }

    fn check(schema: &Schema, document: &Document) -> (usize, usize) {
        let source = document.source();
        let parsed = parse_query(&source).unwrap_or_else(|e| panic!("{e}: {source}"));
        let DocumentOperations::Single(operation) = parsed.operations else { panic!("one operation") };
        let declared = operation
            .node
            .variable_definitions
            .iter()
            .map(|v| (v.node.name.node.to_string(), v.node.var_type.node.to_string()))
            .collect();
        let root = if document.is_query() { "Query" } else { "Mutation" };
        schema.check(root, &operation.node.selection_set.node, &declared, 1)
    }

    #[test]
    fn every_document_is_valid_and_within_the_budget() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/api/jira-xray/xray-cloud.graphql");
        let near = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/api/jira-xray/xray-cloud.graphql");
        let Ok(text) = std::fs::read_to_string(path).or_else(|_| std::fs::read_to_string(near)) else {
            return; // The schema lies beside the repository, not in it.
        };
        let schema = Schema::read(&text);
        for part in ALL {
            let values = part.types.iter().map(|_| Value::Null).collect::<Vec<_>>();
            let documents = Document::pack((0..part.per_document()).map(|_| (part, values.clone())));
            assert_eq!(documents.len(), 1, "{part:?}");
            let (resolvers, items) = check(&schema, &documents[0]);
            assert!(resolvers <= RESOLVERS_MAX && items <= ITEMS_MAX, "{resolvers} {items} {part:?}");
        }
    }

    #[test]
    fn parts_beyond_the_budget_go_into_another_document() {
        let parts = (0..6).map(|n| (TESTS, vec![json!([n.to_string()])]));
        let sizes: Vec<usize> = Document::pack(parts).iter().map(Document::len).collect();
        assert_eq!(sizes, [5, 1]);
    }
}
