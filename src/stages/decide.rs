//! The three-way decision for one field of one pair: a pure function.

use crate::model::Side;

/// What one side holds: the system's own text and what it means in the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell<'a> {
    /// The system's own value; `None` is empty.
    pub native: Option<&'a str>,
    /// The canonical model value; `None` is empty.
    pub model: Option<&'a str>,
}

/// Who wins when both sides changed a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// This side dominates.
    Dominates(Side),
    /// Nobody wins; a person decides.
    Hold,
}

/// All that the decision needs to know.
#[derive(Clone, Copy, Debug)]
pub struct FieldState<'a> {
    /// What the left side holds now.
    pub left: Cell<'a>,
    /// What the right side holds now.
    pub right: Cell<'a>,
    /// What each side held when the field last came into agreement, under the
    /// current mapping; `None` if it never did.
    pub base: Option<(Cell<'a>, Cell<'a>)>,
    /// Natives of the left side that the right side's model value may be written
    /// as; `None` where every model value is written as it is.
    pub acceptable_left: Option<&'a [String]>,
    /// The same for the right side.
    pub acceptable_right: Option<&'a [String]>,
    /// Whether the left side may be written.
    pub into_left: bool,
    /// Whether the right side may be written.
    pub into_right: bool,
    /// The side whose value only its system sets and the other must repeat, such
    /// as an id carried in a cross-reference field.
    pub enforced_by: Option<Side>,
    /// Who wins a conflict.
    pub rule: Rule,
    /// Whether the last write could not say everything, and edits of the written
    /// side are therefore not taken back.
    pub degraded_on: Option<Side>,
    /// Whether standing differences are to be written now.
    pub reconcile: bool,
}

/// What to do about a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The sides agree: the base becomes what both hold now.
    Agreed,
    /// One side's value goes to the other, `to`.
    Write {
        /// The side to write.
        to: Side,
    },
    /// Both sides changed: `winner`'s value goes to the other side if `write`.
    Conflict {
        /// Whose value stays; `None` if a person must decide.
        winner: Option<Side>,
        /// Whether the loser may be written.
        write: bool,
    },
    /// `changed` was edited where nothing flows away from it.
    OneWay {
        /// The side that was edited.
        changed: Side,
    },
    /// `changed` was edited on top of a value that could not say everything.
    Degraded {
        /// The side that was edited.
        changed: Side,
    },
    /// The sides differ although nobody changed anything since they agreed.
    Standing,
}

impl FieldState<'_> {
    fn cell(&self, side: Side) -> Cell<'_> {
        match side {
            Side::Left => self.left,
            Side::Right => self.right,
        }
    }

    fn open(&self, side: Side) -> bool {
        match side {
            Side::Left => self.into_left,
            Side::Right => self.into_right,
        }
    }

    /// Tells whether `to` already holds an acceptable form of the other side's value.
    fn accepted(&self, to: Side) -> bool {
        let acceptable = match to {
            Side::Left => self.acceptable_left,
            Side::Right => self.acceptable_right,
        };
        match (acceptable, self.cell(to).native) {
            (Some(list), Some(native)) => list.iter().any(|a| a == native),
            _ => false,
        }
    }

    /// Tells whether the two sides mean the same.
    pub fn agrees(&self) -> bool {
        self.left.model == self.right.model || self.accepted(Side::Left) || self.accepted(Side::Right)
    }

    /// Tells whether the sides differ though neither was edited since they agreed.
    pub fn is_standing(&self) -> bool {
        let edited = |(left, right): (Cell<'_>, Cell<'_>)| {
            self.left.model != left.model || self.right.model != right.model
        };
        !self.agrees() && self.base.is_some_and(|base| !edited(base))
    }

    /// Decides.
    pub fn decide(&self) -> Decision {
        if self.agrees() {
            return Decision::Agreed;
        }
        if let Some(source) = self.enforced_by {
            let to = source.other();
            return if self.open(to) { Decision::Write { to } } else { Decision::Standing };
        }
        let Some((base_left, base_right)) = self.base else {
            return self.first_time();
        };
        let left_changed = self.left.model != base_left.model;
        let right_changed = self.right.model != base_right.model;
        match (left_changed, right_changed) {
            // What one side cannot say is no difference to be mended.
            (false, false) if self.reconcile && self.degraded_on.is_none() => self.first_time(),
            (false, false) => Decision::Standing,
            (true, false) => self.flow(Side::Left),
            (false, true) => self.flow(Side::Right),
            (true, true) => self.conflict(),
        }
    }

    fn flow(&self, changed: Side) -> Decision {
        if self.degraded_on == Some(changed) {
            return Decision::Degraded { changed };
        }
        let to = changed.other();
        if self.open(to) { Decision::Write { to } } else { Decision::OneWay { changed } }
    }

    /// No base yet, and the sides differ.
    fn first_time(&self) -> Decision {
        for filled in Side::BOTH {
            let to = filled.other();
            if self.cell(to).model.is_none() && self.cell(filled).model.is_some() && self.open(to) {
                return Decision::Write { to };
            }
        }
        self.conflict()
    }

    fn conflict(&self) -> Decision {
        let Rule::Dominates(dominating) = self.rule else {
            return Decision::Conflict { winner: None, write: false };
        };
        // Where only one direction is allowed there is nothing to dominate: the
        // value flows that way or not at all.
        let winner = match (self.into_left, self.into_right) {
            (true, true) => dominating,
            (false, true) => Side::Left,
            (true, false) => Side::Right,
            (false, false) => return Decision::Standing,
        };
        Decision::Conflict { winner: Some(winner), write: true }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell(text: Option<&'static str>) -> Cell<'static> {
        Cell { native: text, model: text }
    }

    fn state(
        left: Option<&'static str>,
        right: Option<&'static str>,
        base: Option<(Option<&'static str>, Option<&'static str>)>,
    ) -> FieldState<'static> {
        FieldState {
            left: cell(left),
            right: cell(right),
            base: base.map(|(l, r)| (cell(l), cell(r))),
            acceptable_left: None,
            acceptable_right: None,
            into_left: true,
            into_right: true,
            enforced_by: None,
            rule: Rule::Dominates(Side::Right),
            degraded_on: None,
            reconcile: false,
        }
    }

    #[test]
    fn one_changed_side_flows_to_the_other() {
        let base = Some((Some("a"), Some("a")));
        assert_eq!(state(Some("b"), Some("a"), base).decide(), Decision::Write { to: Side::Right });
        assert_eq!(state(Some("a"), Some("b"), base).decide(), Decision::Write { to: Side::Left });
        assert_eq!(state(None, Some("a"), base).decide(), Decision::Write { to: Side::Right });
    }

    #[test]
    fn both_changed_is_a_conflict_that_the_dominating_side_wins() {
        let got = state(Some("b"), Some("c"), Some((Some("a"), Some("a")))).decide();
        assert_eq!(got, Decision::Conflict { winner: Some(Side::Right), write: true });
    }

    #[test]
    fn both_changed_to_the_same_is_agreement() {
        assert_eq!(state(Some("b"), Some("b"), Some((Some("a"), Some("a")))).decide(), Decision::Agreed);
    }

    #[test]
    fn a_side_is_compared_with_its_own_base() {
        // The sides were agreed although they differ: nothing is written.
        let got = state(Some("long"), Some("cut"), Some((Some("long"), Some("cut")))).decide();
        assert_eq!(got, Decision::Standing);
    }

    #[test]
    fn without_a_base_the_filled_side_flows() {
        assert_eq!(state(Some("a"), None, None).decide(), Decision::Write { to: Side::Right });
        assert_eq!(state(None, Some("a"), None).decide(), Decision::Write { to: Side::Left });
    }

    #[test]
    fn an_empty_value_agrees_with_the_default_that_stands_for_it() {
        let default = vec!["Medium".to_owned()];
        let mut field = state(None, Some("Medium"), Some((Some("High"), Some("High"))));
        assert_ne!(field.decide(), Decision::Agreed);
        field.acceptable_right = Some(&default);
        assert_eq!(field.decide(), Decision::Agreed);
    }

    #[test]
    fn only_a_difference_that_nobody_made_is_standing() {
        assert!(state(Some("a"), Some("b"), Some((Some("a"), Some("b")))).is_standing());
        assert!(!state(Some("a"), Some("b"), Some((Some("a"), Some("a")))).is_standing());
        assert!(!state(Some("a"), Some("b"), None).is_standing());
    }

    #[test]
    fn an_acceptable_native_is_agreement_though_it_reads_differently() {
        let acceptable = vec!["Design".to_owned()];
        let mut field = state(None, None, Some((Some("New"), Some("New"))));
        field.left = Cell { native: Some("Design"), model: Some("New") };
        field.right = Cell { native: Some("Reopened"), model: Some("To Do") };
        assert_ne!(field.decide(), Decision::Agreed);
        field.acceptable_left = Some(&acceptable);
        assert_eq!(field.decide(), Decision::Agreed);
    }

    #[test]
    fn an_enforced_value_is_restored_after_an_edit_by_hand() {
        let mut field = state(Some("12"), Some("99"), Some((Some("12"), Some("12"))));
        field.enforced_by = Some(Side::Left);
        field.into_left = false;
        assert_eq!(field.decide(), Decision::Write { to: Side::Right });
    }

    #[test]
    fn an_edit_on_the_target_of_a_one_way_field_does_not_flow() {
        let mut field = state(Some("a"), Some("b"), Some((Some("a"), Some("a"))));
        field.into_left = false;
        assert_eq!(field.decide(), Decision::OneWay { changed: Side::Right });
    }

    fn value() -> impl Strategy<Value = Option<&'static str>> {
        prop::sample::select(vec![None, Some("a"), Some("b"), Some("c")])
    }

    proptest! {
        /// Carrying out the decision and recording it leads to rest at once.
        #[test]
        fn a_carried_out_decision_is_followed_by_none(
            l in value(), r in value(), based: bool, bl in value(), br in value(),
        ) {
            let mut field = state(l, r, based.then_some((bl, br)));
            let (to, source) = match field.decide() {
                Decision::Write { to } => (to, to.other()),
                Decision::Conflict { winner: Some(winner), write: true } => (winner.other(), winner),
                Decision::Agreed | Decision::Standing => return Ok(()),
                other => panic!("unexpected {other:?}"),
            };
            let value = if source == Side::Left { field.left } else { field.right };
            if to == Side::Left { field.left = value } else { field.right = value }
            field.base = Some((field.left, field.right));
            prop_assert_eq!(field.decide(), Decision::Agreed);
        }

        /// Nothing is ever written into a side that may not be written.
        #[test]
        fn a_closed_side_is_never_written(
            l in value(), r in value(), based: bool, bl in value(), br in value(), into_left: bool, into_right: bool,
        ) {
            let mut field = state(l, r, based.then_some((bl, br)));
            field.into_left = into_left;
            field.into_right = into_right;
            let to = match field.decide() {
                Decision::Write { to } => Some(to),
                Decision::Conflict { winner: Some(winner), write: true } => Some(winner.other()),
                _ => None,
            };
            if let Some(to) = to {
                prop_assert!(field.open(to));
            }
        }
    }
}
