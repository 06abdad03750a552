//! The suites of one plan as a tree.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt;

use super::AzureDevOps;
use super::client::malformed;
use super::wire::{Plan, Suite};
use crate::connectors::Error;

/// Suites may be nested this deep; a deeper tree is a loop.
const DEPTH_MAX: usize = 200;

/// One suite in its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) id: i64,
    pub(super) parent: Option<i64>,
    pub(super) name: String,
    pub(super) kind: &'static str,
    /// Names from below the root down, joined by slashes.
    pub(super) path: String,
    /// Place among its siblings, from 0.
    pub(super) position: usize,
    pub(super) requirement: Option<i64>,
    pub(super) query: Option<String>,
}

/// The suites of a plan, from the root down, in the order in which people see them.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) plan: i64,
    pub(super) root: i64,
    pub(super) nodes: Vec<Node>,
}

impl Tree {
    pub(super) fn get(&self, suite: i64) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == suite)
    }

    /// Orders a flat list. A parent or a child that the list lacks means that a
    /// page was incomplete.
    pub(super) fn build(plan: &Plan, suites: Vec<Suite>) -> Result<Self, Error> {
        let operation = format!("reading the suites of plan {}", plan.id.0);
        let root = plan.root_suite.as_ref().map(|r| r.id.0).unwrap_or_default();
        let mut by_id: HashMap<i64, Suite> = HashMap::new();
        let mut order = Vec::new();
        for suite in suites {
            if by_id.insert(suite.id.0, suite.clone()).is_none() {
                order.push(suite.id.0);
            }
        }
        if !by_id.contains_key(&root) {
            return Err(malformed(&operation, format!("the list lacks the root suite {root}")));
        }
        let mut children: HashMap<i64, Vec<i64>> = HashMap::new();
        for suite in by_id.values() {
            for child in suite.children.iter().flatten() {
                if !by_id.contains_key(&child.id.0) {
                    return Err(malformed(&operation, format!("the list lacks suite {}", child.id.0)));
                }
                children.entry(suite.id.0).or_default().push(child.id.0);
            }
        }
        for id in order {
            let parent = by_id[&id].parent_suite.as_ref().map(|p| p.id.0).filter(|_| id != root);
            let Some(parent) = parent else { continue };
            if !by_id.contains_key(&parent) {
                return Err(malformed(&operation, format!("the list lacks suite {parent}, a parent")));
            }
            let siblings = children.entry(parent).or_default();
            if !siblings.contains(&id) {
                siblings.push(id);
            }
        }
        let mut tree = Tree { plan: plan.id.0, root, nodes: Vec::new() };
        tree.descend(&by_id, &children);
        if tree.nodes.len() != by_id.len() {
            return Err(malformed(
                &operation,
                format!("{} suites were listed and {} hang below the root", by_id.len(), tree.nodes.len()),
            ));
        }
        Ok(tree)
    }

    fn descend(&mut self, by_id: &HashMap<i64, Suite>, children: &HashMap<i64, Vec<i64>>) {
        let mut seen = HashSet::new();
        let mut stack = vec![(self.root, None, 0, String::new(), 0)];
        while let Some((id, parent, position, prefix, depth)) = stack.pop() {
            let Some(suite) = by_id.get(&id) else { continue };
            if !seen.insert(id) || depth > DEPTH_MAX {
                continue;
            }
            let path = match (id == self.root, prefix.is_empty()) {
                (true, _) => String::new(),
                (false, true) => suite.name.clone(),
                (false, false) => format!("{prefix}/{}", suite.name),
            };
            let below = children.get(&id).map(Vec::as_slice).unwrap_or_default();
            for (place, child) in below.iter().enumerate().rev() {
                stack.push((*child, Some(id), place, path.clone(), depth + 1));
            }
            self.nodes.push(Node {
                id,
                parent,
                name: suite.name.clone(),
                kind: kind(&suite.suite_type),
                path,
                position,
                requirement: suite.requirement_id.map(|r| r.0).filter(|r| *r > 0),
                query: suite.query_string.clone().filter(|q| !q.is_empty()),
            });
        }
    }
}

fn kind(suite_type: &str) -> &'static str {
    if suite_type.eq_ignore_ascii_case("dynamicTestSuite") {
        "query"
    } else if suite_type.eq_ignore_ascii_case("requirementTestSuite") {
        "requirement"
    } else {
        "static"
    }
}

impl AzureDevOps {
    /// Lists the plans of a project.
    pub(super) async fn plans(&self, project: &str) -> Result<Vec<Plan>, Error> {
        let query = vec![("includePlanDetails", "true".to_owned())];
        let pages =
            self.api.token_pages::<Plan>(project, "testplan/plans".into(), query, "listing the test plans");
        let plans: Vec<Plan> = pages.map_ok(|page| page.items).try_concat().await?;
        let mut seen = HashSet::new();
        Ok(plans.into_iter().filter(|plan| seen.insert(plan.id)).collect())
    }

    /// Reads the suites of one plan.
    pub(super) async fn tree(&self, project: &str, plan: &Plan) -> Result<Tree, Error> {
        let path = format!("testplan/Plans/{}/suites", plan.id.0);
        let query = vec![("expand", "children".to_owned())];
        let suites: Vec<Suite> = self
            .api
            .token_pages::<Suite>(project, path, query, "listing the test suites")
            .map_ok(|page| page.items)
            .try_concat()
            .await?;
        let tree = Tree::build(plan, suites)?;
        for node in &tree.nodes {
            self.catalog.note_suite(node.id, tree.plan);
        }
        Ok(tree)
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::{Id, Ref};
    use super::*;

    fn reference(id: i64) -> Option<Ref> {
        Some(Ref { id: Id(id), name: None })
    }

    fn suite(id: i64, parent: i64, name: &str) -> Suite {
        let parent_suite = if parent == 0 { None } else { reference(parent) };
        Suite {
            id: Id(id),
            name: name.into(),
            suite_type: "staticTestSuite".into(),
            parent_suite,
            ..Suite::default()
        }
    }

    fn plan() -> Plan {
        Plan { id: Id(1), root_suite: reference(2), ..Plan::default() }
    }

    #[test]
    fn suites_stand_in_tree_order_whatever_the_list_says() {
        let list = vec![suite(5, 4, "C"), suite(4, 2, "B"), suite(3, 2, "A"), suite(2, 0, "Plan")];
        let tree = Tree::build(&plan(), list).unwrap();
        let seen: Vec<_> = tree.nodes.iter().map(|n| (n.id, n.path.as_str(), n.position)).collect();
        assert_eq!(seen, [(2, "", 0), (4, "B", 0), (5, "B/C", 0), (3, "A", 1)]);
    }

    #[test]
    fn a_list_with_a_hole_is_an_error() {
        assert!(Tree::build(&plan(), vec![suite(2, 0, "Plan"), suite(5, 4, "C")]).is_err());
        assert!(Tree::build(&plan(), vec![suite(3, 2, "A")]).is_err());
        let mut root = suite(2, 0, "Plan");
        root.children = Some(vec![Ref { id: Id(9), name: None }]);
        assert!(Tree::build(&plan(), vec![root]).is_err());
    }
}
