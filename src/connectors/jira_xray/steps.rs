//! Turns a test's current steps into the wanted ones with few mutations.
//!
//! Xray appends new steps at the end and cannot move one. So what is wanted is
//! laid over the steps that stay, in order, and the rest is appended: a step that
//! is inserted in the middle rewrites the tail after it.

use serde_json::{Map, Value, json};

use super::graphql::{self, Part};
use crate::model::Step;

/// One mutation of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit<'a> {
    /// Rewrites the texts that differ.
    Update { id: &'a str, from: &'a Step, to: &'a Step },
    /// Takes a step away.
    Remove { id: &'a str },
    /// Appends a step.
    Add { step: &'a Step },
}

impl Edit<'_> {
    /// Returns the mutation.
    pub(super) fn part(&self, test: &str) -> (Part, Vec<Value>) {
        match self {
            Edit::Update { id, from, to } => {
                let mut changed = Map::new();
                for (name, old, new) in [
                    ("action", &from.action, &to.action),
                    ("data", &from.data, &to.data),
                    ("result", &from.expected, &to.expected),
                ] {
                    if old != new {
                        changed.insert(name.into(), new.clone().into());
                    }
                }
                (graphql::UPDATE_STEP, vec![json!(id), Value::Object(changed)])
            }
            Edit::Remove { id } => (graphql::REMOVE_STEP, vec![json!(id)]),
            Edit::Add { step } => (graphql::ADD_STEP, vec![json!(test), wire_step(step)]),
        }
    }
}

/// Returns a step as creates and imports take it.
pub(super) fn wire_step(step: &Step) -> Value {
    json!({ "action": step.action, "data": step.data, "result": step.expected })
}

fn same(a: &Step, b: &Step) -> bool {
    (&a.action, &a.data, &a.expected) == (&b.action, &b.data, &b.expected)
}

/// Finds the fewest mutations that lead from the current steps to the wanted
/// ones. Steps that stay keep their ids.
pub(super) fn edits<'a>(current: &'a [Step], wanted: &'a [Step]) -> Vec<Edit<'a>> {
    let (n, m) = (current.len(), wanted.len());
    // cost[i][j]: mutations from current[i..] to wanted[j..].
    let mut cost = vec![vec![0_usize; m + 1]; n + 1];
    for i in (0..=n).rev() {
        for j in (0..=m).rev() {
            cost[i][j] = match (i == n, j == m) {
                (true, _) => m - j,
                (_, true) => n - i,
                _ => {
                    let pair = cost[i + 1][j + 1] + usize::from(!same(&current[i], &wanted[j]));
                    pair.min(cost[i + 1][j] + 1)
                }
            };
        }
    }
    let mut edits = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < n {
        let id = current[i].id.as_deref().unwrap_or_default();
        let paired = j < m && {
            let change = usize::from(!same(&current[i], &wanted[j]));
            cost[i][j] == cost[i + 1][j + 1] + change
        };
        if paired {
            if !same(&current[i], &wanted[j]) {
                edits.push(Edit::Update { id, from: &current[i], to: &wanted[j] });
            }
            j += 1;
        } else {
            edits.push(Edit::Remove { id });
        }
        i += 1;
    }
    edits.extend(wanted[j..].iter().map(|step| Edit::Add { step }));
    edits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps(actions: &str) -> Vec<Step> {
        let step = |(n, c): (usize, char)| Step {
            id: Some(n.to_string()),
            action: c.to_string(),
            ..Step::default()
        };
        actions.chars().enumerate().map(step).collect()
    }

    /// Does to a list what Xray would do.
    fn carry_out(current: &[Step], edits: &[Edit<'_>]) -> String {
        let mut list = current.to_vec();
        for edit in edits {
            match edit {
                Edit::Update { id, to, .. } => {
                    let step = list.iter_mut().find(|s| s.id.as_deref() == Some(*id)).expect("the step");
                    step.action = to.action.clone();
                }
                Edit::Remove { id } => list.retain(|s| s.id.as_deref() != Some(*id)),
                Edit::Add { step } => list.push(Step { id: None, ..(*step).clone() }),
            }
        }
        list.into_iter().map(|s| s.action).collect()
    }

    #[test]
    fn equal_steps_need_nothing() {
        assert_eq!(edits(&steps("abc"), &steps("abc")), []);
    }

    #[test]
    fn removal_in_the_middle_keeps_the_others() {
        assert_eq!(edits(&steps("abc"), &steps("ac")), [Edit::Remove { id: "1" }]);
    }

    #[test]
    fn insertion_in_the_middle_rewrites_the_tail() {
        let (current, wanted) = (steps("abc"), steps("axbc"));
        let edits = edits(&current, &wanted);
        assert_eq!(edits.len(), 3);
        assert!(matches!(edits[2], Edit::Add { step } if step.action == "c"));
    }

    #[test]
    fn update_sends_only_what_changed() {
        let from = Step { id: Some("s".into()), action: "a".into(), data: "d".into(), expected: "e".into() };
        let to = Step { expected: "f".into(), ..from.clone() };
        let (_, values) = Edit::Update { id: "s", from: &from, to: &to }.part("1");
        assert_eq!(values, [json!("s"), json!({ "result": "f" })]);
    }

    proptest! {
        #[test]
        fn edits_lead_to_the_wanted_steps(a in "[a-d]{0,7}", b in "[a-d]{0,7}") {
            let (current, wanted) = (steps(&a), steps(&b));
            prop_assert_eq!(carry_out(&current, &edits(&current, &wanted)), b);
        }
    }
}
