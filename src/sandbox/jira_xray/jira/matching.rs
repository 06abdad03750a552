//! Whether an issue passes a condition, and which of two comes first.

use std::cmp::Ordering;

use super::jql::Op;
use super::query::{DateField, EmptyField, Person, Plan, Sort, Test, TextField, words};
use crate::sandbox::jira_xray::store::{Issue, State};
use crate::sandbox::jira_xray::time::{parse_date, start_of};

fn compare<T: PartialOrd>(op: Op, a: &T, b: &T) -> bool {
    match op {
        Op::Eq => a == b,
        Op::Ne => a != b,
        Op::Lt => a < b,
        Op::Le => a <= b,
        Op::Gt => a > b,
        Op::Ge => a >= b,
        _ => false,
    }
}

impl Test {
    /// Whether an issue passes.
    pub(crate) fn passes(&self, state: &State, issue: &Issue) -> bool {
        match self {
            Self::And(list) => list.iter().all(|t| t.passes(state, issue)),
            Self::Or(list) => list.iter().any(|t| t.passes(state, issue)),
            Self::Not(inner) => !inner.passes(state, issue),
            Self::Ids(ids, not) => ids.contains(&issue.id) != *not,
            Self::IdCompare(op, id) => compare(*op, &issue.id, id),
            Self::KeyCompare(op, project, number) => {
                issue.project == *project && compare(*op, &issue.number, number)
            }
            Self::Project(list, not) => list.contains(&issue.project) != *not,
            Self::Kind(list, not) => list.contains(&issue.kind) != *not,
            Self::Status(list, not) => list.contains(&issue.status) != *not,
            Self::Category(list, not) => {
                list.contains(&state.site.statuses[usize::from(issue.status)].category) != *not
            }
            Self::Priority(list, not) => list.contains(&issue.priority) != *not,
            Self::Resolution(list, not) => issue.resolution.is_some_and(|r| list.contains(&r) != *not),
            Self::Person(who, list, not) => {
                let person = match who {
                    Person::Assignee => issue.assignee,
                    Person::Reporter => issue.reporter,
                    Person::Creator => Some(issue.creator),
                };
                person.is_some_and(|p| list.contains(&p) != *not)
            }
            Self::Parents(list, not) => issue.parent.is_some_and(|p| list.contains(&p) != *not),
            Self::Labels(list, not) => {
                let any = issue.labels.iter().any(|l| list.iter().any(|x| x == l.as_ref()));
                !issue.labels.is_empty() && any != *not
            }
            Self::Date(field, op, at) => date_passes(issue, *field, *op, *at),
            Self::Words(field, words, not) => {
                with_text(issue, *field, |t| has_words(t, words)).is_some_and(|m| m != *not)
            }
            Self::Exact(field, list, not) => {
                with_text(issue, *field, |t| list.iter().any(|x| x.eq_ignore_ascii_case(t)))
                    .is_some_and(|m| m != *not)
            }
            Self::Number(field, op, value) => issue
                .custom_value(*field)
                .and_then(serde_json::Value::as_f64)
                .is_some_and(|v| compare(*op, &v, value)),
            Self::Empty(field, not) => is_empty(issue, *field) != *not,
        }
    }

    /// The ids that alone can pass, if the condition names them.
    pub(crate) fn candidates(&self) -> Option<Vec<u64>> {
        match self {
            Self::Ids(ids, false) => Some(ids.clone()),
            Self::And(list) => list.iter().find_map(Self::candidates),
            Self::Or(list) => {
                let each: Option<Vec<Vec<u64>>> = list.iter().map(Self::candidates).collect();
                each.map(|lists| lists.concat())
            }
            _ => None,
        }
    }

    /// The least and greatest id that can pass.
    pub(crate) fn id_range(&self) -> (u64, u64) {
        match self {
            Self::IdCompare(Op::Gt, id) => (id.saturating_add(1), u64::MAX),
            Self::IdCompare(Op::Ge, id) => (*id, u64::MAX),
            Self::IdCompare(Op::Lt, id) => (0, id.saturating_sub(1)),
            Self::IdCompare(Op::Le, id) => (0, *id),
            Self::And(list) => {
                list.iter().map(Self::id_range).fold((0, u64::MAX), |a, b| (a.0.max(b.0), a.1.min(b.1)))
            }
            _ => (0, u64::MAX),
        }
    }

    /// Whether the condition restricts anything; a query must.
    pub(crate) fn is_bounded(&self) -> bool {
        match self {
            Self::Or(list) => list.iter().all(Self::is_bounded),
            _ => true,
        }
    }
}

fn date_passes(issue: &Issue, field: DateField, op: Op, at: i64) -> bool {
    let value = match field {
        DateField::Created => Some(issue.created.0),
        DateField::Updated => Some(issue.updated.0),
        DateField::Resolved => issue.resolution.map(|_| issue.resolved.0),
        DateField::Due => issue.due.as_deref().and_then(parse_date).map(|d| start_of(d, 0)),
        DateField::Custom(number) => issue
            .custom_value(number)
            .and_then(|v| v.as_i64().or_else(|| parse_date(v.as_str()?).map(|d| start_of(d, 0)))),
    };
    value.is_some_and(|v| compare(op, &v, &at))
}

/// Hands the text of a field to a test; `None` if the field is empty.
fn with_text(issue: &Issue, field: TextField, test: impl Fn(&str) -> bool) -> Option<bool> {
    match field {
        TextField::Summary => Some(test(&issue.summary)),
        TextField::Description => issue.description.as_ref().map(|d| test(&d.plain())),
        TextField::Environment => issue.environment.as_ref().map(|d| test(&d.plain())),
        TextField::Any => {
            let description = issue.description.as_ref().is_some_and(|d| test(&d.plain()));
            let comment = || issue.comments.iter().any(|c| test(&c.body.plain()));
            Some(test(&issue.summary) || description || comment())
        }
        TextField::Custom(number) => issue.custom_value(number).map(|v| match v {
            serde_json::Value::String(text) => test(text),
            serde_json::Value::Array(list) => list.iter().any(|v| v.as_str().is_some_and(&test)),
            other => test(&other.to_string()),
        }),
    }
}

fn has_words(text: &str, wanted: &[String]) -> bool {
    let present = words(text);
    !wanted.is_empty() && wanted.iter().all(|w| present.contains(w))
}

fn is_empty(issue: &Issue, field: EmptyField) -> bool {
    match field {
        EmptyField::Description => issue.description.is_none(),
        EmptyField::Environment => issue.environment.is_none(),
        EmptyField::Labels => issue.labels.is_empty(),
        EmptyField::Components => issue.components.is_empty(),
        EmptyField::FixVersions => issue.fix_versions.is_empty(),
        EmptyField::Versions => issue.versions.is_empty(),
        EmptyField::Assignee => issue.assignee.is_none(),
        EmptyField::Reporter => issue.reporter.is_none(),
        EmptyField::Parent => issue.parent.is_none(),
        EmptyField::Resolution => issue.resolution.is_none(),
        EmptyField::Due => issue.due.is_none(),
        EmptyField::Links => issue.links.is_empty(),
        EmptyField::Attachments => issue.attachments.is_empty(),
        EmptyField::Comment => issue.comments.is_empty(),
        EmptyField::Custom(number) => issue.custom_value(number).is_none(),
        EmptyField::Filled => false,
    }
}

impl Plan {
    /// Orders two issues; without ORDER BY the newest comes first.
    pub(crate) fn compare(&self, state: &State, a: &Issue, b: &Issue) -> Ordering {
        for (key, descending) in &self.order {
            let order = by_key(state, *key, a, b);
            let order = if *descending { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        b.id.cmp(&a.id)
    }

    /// Whether the order is that of the ids, and if so whether it descends.
    pub(crate) fn by_id(&self) -> Option<bool> {
        match self.order.first() {
            None => Some(true),
            Some((Sort::Id, descending)) => Some(*descending),
            Some(_) => None,
        }
    }
}

fn by_key(state: &State, key: Sort, a: &Issue, b: &Issue) -> Ordering {
    let project = |i: &Issue| &state.site.projects[usize::from(i.project)].key;
    match key {
        Sort::Id => a.id.cmp(&b.id),
        Sort::Key => project(a).cmp(project(b)).then(a.number.cmp(&b.number)),
        Sort::Created => a.created.cmp(&b.created),
        Sort::Updated => a.updated.cmp(&b.updated),
        Sort::Summary => a.summary.cmp(&b.summary),
        Sort::Status => a.status.cmp(&b.status),
        Sort::Priority => b.priority.cmp(&a.priority),
        Sort::Kind => a.kind.cmp(&b.kind),
        Sort::Project => project(a).cmp(project(b)),
        Sort::Custom(number) => {
            let text = |i: &Issue| i.custom_value(number).map(ToString::to_string);
            text(a).cmp(&text(b))
        }
    }
}
