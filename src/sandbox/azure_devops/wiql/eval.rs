//! Running a parsed WIQL query over the work items.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::super::fields::{F, Kind};
use super::super::http::Failure;
use super::super::items::{Item, lookup};
use super::super::json::Snapshot;
use super::super::state::State;
use super::super::types::CATEGORIES;
use super::super::value::{Millis, Value, parse_date, same};
use super::parse::{Expr, Op, Operand, Query, Side};

const DAY: Millis = 86_400_000;

/// What a query needs to know about the call.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Context {
    pub(in super::super) project: Option<u16>,
    pub(in super::super) user: u32,
    pub(in super::super) now: Millis,
    /// Compare dates to the millisecond instead of the day.
    pub(in super::super) precise: bool,
}

/// A query with its names resolved.
#[derive(Debug)]
pub(super) struct Bound<'a> {
    pub(super) query: &'a Query,
    pub(super) fields: Vec<u16>,
    context: Context,
}

/// The name of the field that only link queries know.
const LINK_TYPE: &str = "System.Links.LinkType";

fn bad(message: String) -> Failure {
    Failure::new(400, "WorkItemTrackingQueryException", message)
}

impl<'a> Bound<'a> {
    pub(super) fn new(state: &State, query: &'a Query, context: Context) -> Result<Self, Failure> {
        let fields = query
            .names
            .iter()
            .map(|name| match state.field(name) {
                Some(field) => Ok(field),
                None if name.eq_ignore_ascii_case(LINK_TYPE) || name.eq_ignore_ascii_case("Link Type") => Ok(u16::MAX),
                None => Err(bad(format!("TF51005: The query references a field that does not exist. The error is caused by «[{name}]»."))),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let bound = Self { query, fields, context };
        if let Some(filter) = &query.filter {
            bound.validate(state, filter)?;
        }
        Ok(bound)
    }

    fn validate(&self, state: &State, expr: &Expr) -> Result<(), Failure> {
        match expr {
            Expr::All(list) | Expr::Any(list) => list.iter().try_for_each(|e| self.validate(state, e)),
            Expr::Not(inner) => self.validate(state, inner),
            Expr::Is { field, op, values, .. } => {
                values.iter().try_for_each(|v| self.check(state, *field, *op, v))
            }
        }
    }

    fn check(&self, state: &State, field: usize, op: Op, value: &Operand) -> Result<(), Failure> {
        let number = self.fields[field];
        let name = &self.query.names[field];
        if *value == Operand::Project && self.context.project.is_none() {
            return Err(bad("TF51011: The macro @project needs a project in the url.".to_owned()));
        }
        if number == u16::MAX {
            return Ok(());
        }
        let kind = state.fields[number as usize].kind;
        if let (Operand::Text(text), true) = (value, op == Op::Under || kind == Kind::Path) {
            let iteration = number == F::IterationPath as u16;
            let area = number == F::AreaPath as u16;
            let any = |p: usize| state.find_node(u16::try_from(p).unwrap_or(0), iteration, text).is_some();
            if (area || iteration) && !(0..state.projects.len()).any(any) {
                return Err(bad(format!(
                    "TF51011: The specified path '{text}' does not exist. The error is caused by «'{text}'»."
                )));
            }
        }
        if op == Op::Group
            && let Operand::Text(text) = value
            && !CATEGORIES.iter().any(|(reference, ..)| reference.eq_ignore_ascii_case(text))
        {
            return Err(bad(format!("TF51012: The category '{text}' does not exist.")));
        }
        if let (Operand::Text(text), Kind::Date) = (value, kind)
            && !text.is_empty()
        {
            let date = parse_date(text)
                .ok_or_else(|| bad(format!("TF51009: The value '{text}' is not a date for [{name}].")))?;
            if !self.context.precise && date.rem_euclid(DAY) != 0 {
                return Err(bad(format!(
                    "You cannot supply a time with the date when running a query using date precision. The error is caused by «'{text}'»."
                )));
            }
        }
        if let (Operand::Text(text), Kind::Integer | Kind::Double) = (value, kind)
            && !text.is_empty()
            && text.trim().parse::<f64>().is_err()
        {
            return Err(bad(format!("TF51008: The value '{text}' is not a number for [{name}].")));
        }
        Ok(())
    }

    /// The greatest id that the conditions exclude from below: `[System.Id] > 300`.
    pub(super) fn floor(&self) -> u32 {
        let list = match &self.query.filter {
            Some(Expr::All(list)) => list.as_slice(),
            Some(single) => std::slice::from_ref(single),
            None => &[],
        };
        let above = |expr: &Expr| match expr {
            Expr::Is { side: Side::Item, field, op: Op::Greater, values }
                if self.fields[*field] == F::Id as u16 =>
            {
                values.first().and_then(number)
            }
            _ => None,
        };
        list.iter().filter_map(above).fold(0.0, f64::max) as u32
    }

    /// Whether an item meets a condition; conditions about another side are met.
    pub(super) fn matches(&self, state: &State, snap: &Snapshot<'_>, expr: &Expr, side: Side) -> bool {
        match expr {
            Expr::All(list) => list.iter().all(|e| self.matches(state, snap, e, side)),
            Expr::Any(list) => list.iter().any(|e| self.matches(state, snap, e, side)),
            Expr::Not(inner) => !self.matches(state, snap, inner, side),
            Expr::Is { side: of, .. } if *of != side => true,
            Expr::Is { field, op, values, .. } => {
                let number = self.fields[*field];
                if number == u16::MAX {
                    return true;
                }
                self.holds(state, snap, number, *op, values)
            }
        }
    }

    fn holds(&self, state: &State, snap: &Snapshot<'_>, field: u16, op: Op, values: &[Operand]) -> bool {
        if op == Op::Ever {
            return (1..=snap.item.rev()).any(|revision| {
                let past = Snapshot::at(snap.id, snap.item, revision);
                self.holds(state, &past, field, Op::Equal, values)
            });
        }
        let value = value_of(state, snap, field);
        if op == Op::Empty {
            return value.is_none();
        }
        values.iter().any(|operand| self.compare(state, snap, field, value.as_deref(), op, operand))
    }

    fn compare(
        &self,
        state: &State,
        snap: &Snapshot<'_>,
        field: u16,
        value: Option<&Value>,
        op: Op,
        operand: &Operand,
    ) -> bool {
        if let Operand::Field(other) = operand {
            let other = value_of(state, snap, self.fields[*other]);
            let ordering = order(state, value, other.as_deref());
            return by_op(op, ordering);
        }
        let empty = matches!(operand, Operand::Text(text) if text.is_empty());
        let Some(value) = value else {
            return if empty { op == Op::Equal } else { op == Op::NotEqual };
        };
        if empty {
            return op == Op::NotEqual;
        }
        match value {
            Value::Int(_) | Value::Float(_) => {
                let held = if let Value::Int(n) = value {
                    *n as f64
                } else if let Value::Float(n) = value {
                    *n
                } else {
                    0.0
                };
                number(operand).is_some_and(|wanted| by_op(op, held.total_cmp(&wanted)))
            }
            Value::Bool(flag) => {
                let wanted = matches!(operand, Operand::Text(t) if t.eq_ignore_ascii_case("true"))
                    || *operand == Operand::Number(1.0);
                by_op(op, flag.cmp(&wanted))
            }
            Value::Date(at) => self.date(operand).is_some_and(|wanted| {
                let (at, wanted) = if self.context.precise {
                    (*at, wanted)
                } else {
                    (at.div_euclid(DAY), wanted.div_euclid(DAY))
                };
                by_op(op, at.cmp(&wanted))
            }),
            Value::Person(person) => self.person(state, *person, op, operand),
            Value::Node(node) => node_matches(state, *node, op, operand, snap.item),
            Value::Text(text) => self.text(state, field, text, op, operand),
        }
    }

    fn date(&self, operand: &Operand) -> Option<Millis> {
        match operand {
            Operand::Today(days) => Some(self.context.now.div_euclid(DAY) * DAY + days * DAY),
            Operand::Text(text) => parse_date(text),
            _ => None,
        }
    }

    fn person(&self, state: &State, person: u32, op: Op, operand: &Operand) -> bool {
        let wanted = match operand {
            Operand::Me => Some(self.context.user),
            Operand::Text(text) => state.find_person(text),
            _ => None,
        };
        match (op, operand) {
            (Op::Contains, Operand::Text(text)) => {
                let name = state.people.get(person as usize).map_or("", |p| p.name.as_str());
                name.to_lowercase().contains(&text.to_lowercase())
            }
            (Op::NotEqual, _) => wanted != Some(person),
            (_, _) => wanted == Some(person),
        }
    }

    fn text(&self, state: &State, field: u16, text: &str, op: Op, operand: &Operand) -> bool {
        let wanted: Cow<'_, str> = match operand {
            Operand::Text(wanted) => wanted.as_str().into(),
            Operand::Number(number) => number.to_string().into(),
            Operand::Project => {
                self.context.project.map(|p| state.project(p).name.clone()).unwrap_or_default().into()
            }
            Operand::Me => state
                .people
                .get(self.context.user as usize)
                .map(|p| p.name.clone())
                .unwrap_or_default()
                .into(),
            _ => return false,
        };
        match op {
            Op::Equal | Op::Under => same(text, &wanted),
            Op::NotEqual => !same(text, &wanted),
            Op::Contains if field == F::Tags as u16 => text.split("; ").any(|tag| same(tag, &wanted)),
            Op::Contains => text.to_lowercase().contains(&wanted.to_lowercase()),
            Op::Words => {
                let text = text.to_lowercase();
                let held: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
                let wanted = wanted.to_lowercase();
                wanted.split_whitespace().all(|w| match w.strip_suffix('*') {
                    Some(start) => held.iter().any(|h| h.starts_with(start)),
                    None => held.contains(&w),
                })
            }
            Op::Group => CATEGORIES.iter().any(|(reference, _, _, types)| {
                reference.eq_ignore_ascii_case(&wanted) && types.iter().any(|t| same(t, text))
            }),
            _ => by_op(op, text.to_lowercase().cmp(&wanted.to_lowercase())),
        }
    }

    /// Sorts snapshots as the query says; by id if it says nothing.
    pub(super) fn sort(&self, state: &State, found: &mut [Snapshot<'_>]) {
        if self.query.order.is_empty() {
            return;
        }
        found.sort_by(|a, b| {
            for (field, descending) in &self.query.order {
                let number = self.fields[*field];
                let ordering = order(
                    state,
                    value_of(state, a, number).as_deref(),
                    value_of(state, b, number).as_deref(),
                );
                if ordering != Ordering::Equal {
                    return if *descending { ordering.reverse() } else { ordering };
                }
            }
            a.id.cmp(&b.id)
        });
    }
}

/// The value of a field without copying it where it is stored.
fn value_of<'s>(state: &State, snap: &'s Snapshot<'_>, field: u16) -> Option<Cow<'s, Value>> {
    match lookup(&snap.fields, field) {
        Some(value) => Some(Cow::Borrowed(value)),
        None => state.field_value(snap, field).map(Cow::Owned),
    }
}

fn number(operand: &Operand) -> Option<f64> {
    match operand {
        Operand::Number(number) => Some(*number),
        Operand::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn by_op(op: Op, ordering: Ordering) -> bool {
    match op {
        Op::Equal => ordering == Ordering::Equal,
        Op::NotEqual => ordering != Ordering::Equal,
        Op::Less => ordering == Ordering::Less,
        Op::LessEqual => ordering != Ordering::Greater,
        Op::Greater => ordering == Ordering::Greater,
        Op::GreaterEqual => ordering != Ordering::Less,
        _ => false,
    }
}

fn node_matches(state: &State, node: u32, op: Op, operand: &Operand, item: &Item) -> bool {
    let iteration = state.nodes.get(&node).is_some_and(|n| n.iteration);
    let wanted = match operand {
        Operand::Text(path) => (0..state.projects.len())
            .find_map(|p| state.find_node(u16::try_from(p).unwrap_or(0), iteration, path)),
        Operand::Project => Some(state.root(item.project, iteration)),
        _ => None,
    };
    match op {
        Op::Under => wanted.is_some_and(|w| state.under(node, w)),
        Op::NotEqual => wanted != Some(node),
        _ => wanted == Some(node),
    }
}

fn order(state: &State, left: Option<&Value>, right: Option<&Value>) -> Ordering {
    match (left, right) {
        (None, None) => Ordering::Equal,
        (None, _) => Ordering::Less,
        (_, None) => Ordering::Greater,
        (Some(Value::Int(a)), Some(Value::Int(b))) => a.cmp(b),
        (Some(Value::Float(a)), Some(Value::Float(b))) => a.total_cmp(b),
        (Some(Value::Date(a)), Some(Value::Date(b))) => a.cmp(b),
        (Some(Value::Node(a)), Some(Value::Node(b))) => state.node_path(*a).cmp(&state.node_path(*b)),
        (Some(Value::Text(a)), Some(Value::Text(b))) => a.to_lowercase().cmp(&b.to_lowercase()),
        (Some(Value::Person(a)), Some(Value::Person(b))) => state.person_text(*a).cmp(&state.person_text(*b)),
        _ => Ordering::Equal,
    }
}
