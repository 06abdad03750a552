//! The way along a workflow to a status that cannot be written directly.

use std::collections::{BTreeSet, VecDeque};

use super::Edge;

/// Finds the shortest way from a status to the first acceptable one that can be reached.
///
/// `to_any_of` is in order of preference. Among ways of the same length the one
/// whose edges stand first in the file is taken. An empty way means that `from`
/// is acceptable already; `None` that no acceptable status can be reached.
pub fn path(edges: &[Edge], from: &str, to_any_of: &[String]) -> Option<Vec<Edge>> {
    if to_any_of.iter().any(|to| to == from) {
        return Some(Vec::new());
    }
    to_any_of.iter().find_map(|to| shortest(edges, from, to))
}

fn shortest(edges: &[Edge], from: &str, to: &str) -> Option<Vec<Edge>> {
    let mut seen = BTreeSet::from([from]);
    let mut queue = VecDeque::from([(from, Vec::new())]);
    while let Some((at, way)) = queue.pop_front() {
        for (index, edge) in edges.iter().enumerate().filter(|(_, edge)| edge.from == at) {
            let mut longer = way.clone();
            longer.push(index);
            if edge.to == to {
                return Some(longer.into_iter().map(|i: usize| edges[i].clone()).collect());
            }
            if seen.insert(&edge.to) {
                queue.push_back((&edge.to, longer));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Vec<Edge> {
        [
            ("Start Progress", "New", "In Progress"),
            ("Start Progress", "Reopened", "In Progress"),
            ("Resolve Issue", "New", "Resolved"),
            ("Resolve Issue", "In Progress", "Resolved"),
            ("Close Issue", "New", "Closed"),
            ("Close Issue", "In Progress", "Closed"),
            ("Reopen Issue", "Resolved", "Reopened"),
            ("Reopen Issue", "Closed", "Reopened"),
        ]
        .map(|(name, from, to)| Edge {
            name: name.into(),
            from: from.into(),
            to: to.into(),
            fields: Vec::new(),
        })
        .into()
    }

    fn way(from: &str, to: &[&str]) -> Option<Vec<String>> {
        let to: Vec<String> = to.iter().map(|t| (*t).into()).collect();
        path(&graph(), from, &to).map(|edges| edges.into_iter().map(|e| e.name).collect())
    }

    #[test]
    fn resolved_becomes_closed_in_three_steps() {
        let expected = ["Reopen Issue", "Start Progress", "Close Issue"].map(String::from);
        assert_eq!(way("Resolved", &["Closed"]), Some(expected.into()));
    }

    #[test]
    fn acceptable_status_needs_no_step() {
        assert_eq!(way("Resolved", &["Closed", "Resolved"]), Some(Vec::new()));
    }

    #[test]
    fn first_reachable_status_wins_over_a_nearer_one() {
        assert_eq!(way("New", &["Reopened", "Closed"]).map(|w| w.len()), Some(2));
        assert_eq!(way("In Progress", &["New", "Reopened"]).map(|w| w.len()), Some(2));
    }

    #[test]
    fn missing_way_is_told() {
        assert_eq!(way("Closed", &["New"]), None);
    }
}
