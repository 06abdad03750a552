//! What a GraphQL request may cost: so many resolvers, so many items.

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, Field, OperationType, Selection, SelectionSet, VariableDefinition,
};
use async_graphql::{Name, Positioned, Value as GraphValue, Variables};

use super::schema::FieldTypes;

/// Most queries, mutations and fields that hold an object or a list.
pub(crate) const RESOLVERS_MAX: usize = 25;
/// Most items over all nested connections, multiplied out.
pub(crate) const ITEMS_MAX: u64 = 10_000;
/// Deepest nesting that is looked into.
const DEPTH_MAX: usize = 50;

/// What a request costs.
#[derive(Debug, Default)]
struct Cost {
    resolvers: usize,
    items: u64,
}

/// Says why a request is over budget.
pub(crate) fn check(
    document: &ExecutableDocument,
    variables: &Variables,
    operation: Option<&str>,
    types: &FieldTypes,
) -> Result<(), String> {
    let chosen = match &document.operations {
        DocumentOperations::Single(only) => Some(only),
        DocumentOperations::Multiple(all) => operation.and_then(|name| all.get(name)),
    };
    let Some(chosen) = chosen else { return Ok(()) };
    let root = match chosen.node.ty {
        OperationType::Mutation => "Mutation",
        _ => "Query",
    };
    let defined = &chosen.node.variable_definitions;
    let walk = Walk { document, variables, types, defined };
    let mut cost = Cost::default();
    walk.set(&chosen.node.selection_set.node, root, 1, 0, &mut cost);
    if cost.resolvers > RESOLVERS_MAX {
        return Err(format!(
            "The request uses {} resolvers; the maximum number of resolvers per request is {RESOLVERS_MAX}.",
            cost.resolvers
        ));
    }
    if cost.items > ITEMS_MAX {
        return Err(format!(
            "The request asks for {} items; the maximum number of items per request is {ITEMS_MAX}.",
            cost.items
        ));
    }
    Ok(())
}

struct Walk<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    types: &'a FieldTypes,
    defined: &'a [Positioned<VariableDefinition>],
}

impl Walk<'_> {
    fn set(&self, set: &SelectionSet, parent: &str, times: u64, depth: usize, cost: &mut Cost) {
        if depth > DEPTH_MAX {
            return;
        }
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => self.field(&field.node, parent, times, depth, cost),
                Selection::InlineFragment(fragment) => {
                    self.set(&fragment.node.selection_set.node, parent, times, depth + 1, cost);
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    if let Some(fragment) = self.document.fragments.get(name) {
                        let inner = &fragment.node.selection_set.node;
                        self.set(inner, parent, times, depth + 1, cost);
                    }
                }
            }
        }
    }

    fn field(&self, field: &Field, parent: &str, times: u64, depth: usize, cost: &mut Cost) {
        let name = field.name.node.as_str();
        let Some(ty) = self.types.get(parent).and_then(|t| t.get(name)) else { return };
        // The rows of a connection come with the connection.
        let rows = name == "results" && parent.ends_with("Results");
        let root = matches!(parent, "Query" | "Mutation");
        if root || (!rows && (ty.object || ty.list)) {
            cost.resolvers += 1;
        }
        let mut times = times;
        if let Some(limit) = self.limit(field) {
            times = times.saturating_mul(limit);
            cost.items = cost.items.saturating_add(times);
        }
        self.set(&field.selection_set.node, &ty.name, times, depth + 1, cost);
    }

    fn limit(&self, field: &Field) -> Option<u64> {
        let value = field.get_argument("limit")?.node.clone();
        let known = |name: Name| {
            let given = self.variables.get(&name).cloned();
            let default = || {
                let defined = self.defined.iter().find(|d| d.node.name.node == name)?;
                defined.node.default_value().cloned()
            };
            given.or_else(default).ok_or(())
        };
        match value.into_const_with(known) {
            Ok(GraphValue::Number(number)) => number.as_u64(),
            _ => None,
        }
    }
}
