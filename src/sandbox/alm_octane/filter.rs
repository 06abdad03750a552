//! Which rows a query means, and in what order.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use super::problem::Problem;
use super::query::{ANY, Expr, Literal, Op, Operand};
use super::schema::{Kind, Source};
use super::store::State;
use super::value::{Ref, Row, Val, parse_time};

/// A query understood: fields are numbers, values have kinds.
enum Test {
    And(Vec<Test>),
    Or(Vec<Test>),
    Not(Box<Test>),
    Field(u16, Want),
    Row(HashSet<u32>),
    RowRange(Op, i64, i64),
    Kind(HashSet<u8>),
    Never,
}

enum Want {
    Nothing,
    Texts(Vec<String>),
    Numbers(Op, Vec<i64>),
    Flag(bool),
    These(HashSet<Ref>),
    Like(Box<Test>),
}

/// Below so many rows a condition on referenced entities is answered beforehand.
const SMALL: usize = 20_000;
/// How many found lists are kept for their next pages.
const KEPT: usize = 6;

/// What a query is asked of and by whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    pub(super) table: u8,
    /// One entity of the table, or all.
    pub(super) sub: Option<u8>,
    /// The user behind `[current_user]`.
    pub(super) user: u16,
}

/// Fields to sort by, with whether descending.
pub(super) type Order = Vec<(u16, bool)>;

/// Finds rows; the next page of the same question is answered from what was found.
pub(super) fn find_paged(
    state: &mut State,
    scope: Scope,
    text: &str,
    expr: Option<&Expr>,
    order: &Order,
) -> Result<Arc<[u32]>, Problem> {
    let key = format!("{scope:?} {order:?} {text}");
    let revision = state.revision;
    state.found.retain(|(_, r, _)| *r == revision);
    if let Some((_, _, rows)) = state.found.iter().find(|(k, _, _)| *k == key) {
        return Ok(Arc::clone(rows));
    }
    let mut rows = find(state, scope, expr)?;
    sort(state, scope.table, &mut rows, order);
    let rows: Arc<[u32]> = rows.into();
    if state.found.len() >= KEPT {
        state.found.remove(0);
    }
    state.found.push((key, revision, Arc::clone(&rows)));
    Ok(rows)
}

/// Finds rows, ascending.
pub(super) fn find(state: &State, scope: Scope, expr: Option<&Expr>) -> Result<Vec<u32>, Problem> {
    let test = expr.map(|e| compile(state, scope, e)).transpose()?;
    let candidates = expr.and_then(|e| candidates(state, scope, e));
    let all = || match scope.table == state.keys.step {
        true => state.all_steps(),
        false => state.table(scope.table).rows.keys().copied().collect(),
    };
    let fits = |number: &u32| {
        let at = Ref(scope.table, *number);
        state.row(at).is_some_and(|row| {
            scope.sub.is_none_or(|s| s == row.sub) && test.as_ref().is_none_or(|t| holds(state, at, &row, t))
        })
    };
    Ok(candidates.unwrap_or_else(all).into_iter().filter(fits).collect())
}

/// The rows among which all that fit must be, if the query says so cheaply.
fn candidates(state: &State, scope: Scope, expr: &Expr) -> Option<Vec<u32>> {
    match expr {
        Expr::And(parts) => parts.iter().filter_map(|p| candidates(state, scope, p)).min_by_key(Vec::len),
        Expr::Phrase(name, op @ (Op::Eq | Op::In), operand) => {
            let field = state.resolve(state.schema.named(scope.table, name)?);
            let def = state.schema.field_def(field);
            if def.source == Source::Id {
                let mut rows: Vec<u32> = literals(operand)
                    .iter()
                    .filter_map(|l| state.number(scope.table, literal_text(l)))
                    .filter(|n| state.exists(Ref(scope.table, *n)))
                    .collect();
                rows.sort_unstable();
                rows.dedup();
                return (!matches!(operand, Operand::Null | Operand::Cross(_))).then_some(rows);
            }
            let Operand::Cross(inner) = operand else { return None };
            if !def.indexed {
                return None;
            }
            let target = Scope { table: def.target?, sub: None, user: scope.user };
            candidates(state, target, inner)?;
            let mut rows = Vec::new();
            for number in find(state, target, Some(inner)).ok()? {
                rows.extend_from_slice(&state.naming(field, Ref(target.table, number)));
            }
            rows.sort_unstable();
            rows.dedup();
            (*op == Op::Eq || *op == Op::In).then_some(rows)
        }
        Expr::Phrase(name, op @ (Op::Gt | Op::Ge), Operand::Value(literal)) if name == "id" => {
            let from: u32 = literal_text(literal).parse().ok()?;
            let from = if *op == Op::Gt { from.saturating_add(1) } else { from };
            if scope.table == state.keys.step {
                return Some(state.all_steps().into_iter().filter(|n| *n >= from).collect());
            }
            Some(state.table(scope.table).rows.range(from..).map(|(n, _)| *n).collect())
        }
        _ => None,
    }
}

fn literals(operand: &Operand) -> Vec<Literal> {
    match operand {
        Operand::Value(one) => vec![one.clone()],
        Operand::List(all) => all.clone(),
        _ => Vec::new(),
    }
}

fn literal_text(literal: &Literal) -> &str {
    match literal {
        Literal::Text(text) | Literal::Bare(text) | Literal::Macro(text) => text,
    }
}

fn compile(state: &State, scope: Scope, expr: &Expr) -> Result<Test, Problem> {
    let all = |parts: &[Expr]| parts.iter().map(|p| compile(state, scope, p)).collect::<Result<Vec<_>, _>>();
    match expr {
        Expr::And(parts) => Ok(Test::And(all(parts)?)),
        Expr::Or(parts) => Ok(Test::Or(all(parts)?)),
        Expr::Not(inner) => Ok(Test::Not(Box::new(compile(state, scope, inner)?))),
        Expr::Phrase(name, op, operand) => phrase(state, scope, name, *op, operand),
    }
}

fn phrase(state: &State, scope: Scope, name: &str, op: Op, operand: &Operand) -> Result<Test, Problem> {
    let table = state.schema.def(scope.table);
    let unknown = || Problem::unknown_field(&table.name, name);
    let field = state.resolve(state.schema.named(scope.table, name).ok_or_else(unknown)?);
    let def = state.schema.field_def(field);
    if scope.sub.is_some_and(|s| def.of & (1 << s) == 0) {
        return Err(unknown());
    }
    let given = literals(operand);
    match def.source {
        Source::Id => return Ok(row_test(state, scope.table, op, operand, &given)),
        Source::Type | Source::Subtype => {
            let fits = |(n, e): (usize, &super::schema::Entity)| {
                let named = given.iter().any(|l| literal_text(l) == e.name || literal_text(l) == table.name);
                named.then(|| u8::try_from(n).unwrap_or(u8::MAX))
            };
            return Ok(Test::Kind(table.entities.iter().enumerate().filter_map(fits).collect()));
        }
        _ => {}
    }
    if *operand == Operand::Null {
        return Ok(Test::Field(field, Want::Nothing));
    }
    let want = match (def.kind, operand) {
        (Kind::Reference, _) => references(state, scope, field, operand, &given)?,
        (_, Operand::Cross(_)) => {
            return Err(Problem::query(format!("Invalid query: '{name}' is no reference")));
        }
        (Kind::String | Kind::Memo, _) if matches!(op, Op::Eq | Op::In) => {
            Want::Texts(given.iter().map(|l| literal_text(l).to_lowercase()).collect())
        }
        (Kind::Boolean, _) => Want::Flag(given.iter().any(|l| literal_text(l) == "true")),
        (Kind::Integer | Kind::DateTime, _) => {
            let read = |l: &Literal| {
                let text = literal_text(l);
                let read = if def.kind == Kind::Integer { text.parse().ok() } else { parse_time(text) };
                read.ok_or_else(|| {
                    Problem::query(format!("Invalid query: illegal value '{text}' of '{name}'"))
                })
            };
            let values = match operand {
                Operand::Range(low, high) => vec![read(low)?, read(high)?],
                _ => given.iter().map(read).collect::<Result<_, _>>()?,
            };
            Want::Numbers(op, values)
        }
        _ => {
            return Err(Problem::query(format!(
                "Invalid query: the operator does not fit the field '{name}'"
            )));
        }
    };
    Ok(Test::Field(field, want))
}

fn row_test(state: &State, table: u8, op: Op, operand: &Operand, given: &[Literal]) -> Test {
    let number = |l: &Literal| literal_text(l).parse::<i64>().ok();
    match (op, operand) {
        (Op::Eq | Op::In, _) => {
            Test::Row(given.iter().filter_map(|l| state.number(table, literal_text(l))).collect())
        }
        (Op::Between, Operand::Range(low, high)) => match (number(low), number(high)) {
            (Some(low), Some(high)) => Test::RowRange(op, low, high),
            _ => Test::Never,
        },
        _ => match given.first().and_then(number) {
            Some(value) => Test::RowRange(op, value, value),
            None => Test::Never,
        },
    }
}

fn references(
    state: &State,
    scope: Scope,
    field: u16,
    operand: &Operand,
    given: &[Literal],
) -> Result<Want, Problem> {
    let def = state.schema.field_def(field);
    let table = def.target.unwrap_or_default();
    if let Operand::Cross(inner) = operand {
        let target = Scope { table, sub: None, user: scope.user };
        let small = state.table(table).rows.len() <= SMALL && table != state.keys.step;
        if small || candidates(state, target, inner).is_some() {
            let found = find(state, target, Some(inner))?;
            return Ok(Want::These(found.into_iter().map(|n| Ref(table, n)).collect()));
        }
        return Ok(Want::Like(Box::new(compile(state, target, inner)?)));
    }
    let named = |l: &Literal| match l {
        Literal::Macro(word) if word == "current_user" => Some(Ref(table, u32::from(scope.user))),
        Literal::Macro(word) if word == "current_release" => super::releases::default(state),
        other => state.find_id(table, literal_text(other)),
    };
    if given.is_empty() {
        return Err(Problem::query(format!("Invalid query: '{}' wants a condition in braces", def.name)));
    }
    Ok(Want::These(given.iter().filter_map(named).collect()))
}

fn holds(state: &State, at: Ref, row: &Row, test: &Test) -> bool {
    match test {
        Test::And(parts) => parts.iter().all(|p| holds(state, at, row, p)),
        Test::Or(parts) => parts.iter().any(|p| holds(state, at, row, p)),
        Test::Not(inner) => !holds(state, at, row, inner),
        Test::Row(numbers) => numbers.contains(&at.1),
        Test::RowRange(op, low, high) => compare(*op, i64::from(at.1), &[*low, *high]),
        Test::Kind(kinds) => kinds.contains(&row.sub),
        Test::Never => false,
        Test::Field(field, want) => {
            let value = state.value(at, row, *field);
            wanted(state, value.as_deref(), want)
        }
    }
}

fn wanted(state: &State, value: Option<&Val>, want: &Want) -> bool {
    match (want, value) {
        (Want::Nothing, value) => value.is_none_or(|v| matches!(v, Val::Refs(r) if r.is_empty())),
        (_, None) => false,
        (Want::Texts(patterns), Some(Val::Text(text))) => {
            let text = text.to_lowercase();
            patterns.iter().any(|p| like(p, &text))
        }
        (Want::Numbers(op, numbers), Some(Val::Int(n) | Val::Date(n))) => match op {
            // Times are printed, and so compared, in whole seconds.
            Op::Eq | Op::In if matches!(value, Some(Val::Date(_))) => {
                numbers.iter().any(|w| w.div_euclid(1000) == n.div_euclid(1000))
            }
            op => compare(*op, *n, numbers),
        },
        (Want::Flag(flag), Some(Val::Bool(held))) => flag == held,
        (Want::These(set), Some(value)) => value.refs().iter().any(|r| set.contains(r)),
        (Want::Like(test), Some(value)) => {
            value.refs().iter().any(|r| state.row(*r).is_some_and(|row| holds(state, *r, &row, test)))
        }
        _ => false,
    }
}

fn compare(op: Op, held: i64, given: &[i64]) -> bool {
    let first = given.first().copied().unwrap_or_default();
    match op {
        Op::Eq | Op::In => given.contains(&held),
        Op::Lt => held < first,
        Op::Gt => held > first,
        Op::Le => held <= first,
        Op::Ge => held >= first,
        Op::Between => first <= held && given.get(1).is_some_and(|high| held <= *high),
    }
}

/// Whether a text fits a pattern with stars; both in lower case.
fn like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split(ANY);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let middle: Vec<&str> = parts.collect();
    let Some((last, middle)) = middle.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    None,
    Number(i64),
    Text(String),
}

fn sort(state: &State, table: u8, rows: &mut Vec<u32>, order: &Order) {
    let is_id = |field: u16| state.schema.field_def(field).source == Source::Id;
    match order.as_slice() {
        [] => {}
        [(field, false), ..] if is_id(*field) => {}
        [(field, true), ..] if is_id(*field) => rows.reverse(),
        _ => {
            let key = |number: u32| -> Vec<Key> {
                let at = Ref(table, number);
                let Some(row) = state.row(at) else { return Vec::new() };
                order.iter().map(|(field, _)| sort_key(state, at, &row, *field)).collect()
            };
            let mut keyed: Vec<(Vec<Key>, u32)> = rows.iter().map(|n| (key(*n), *n)).collect();
            keyed.sort_by(|(a, m), (b, n)| {
                let differs = a.iter().zip(b).zip(order).map(
                    |((a, b), (_, down))| {
                        if *down { b.cmp(a) } else { a.cmp(b) }
                    },
                );
                differs.reduce(std::cmp::Ordering::then).unwrap_or(std::cmp::Ordering::Equal).then(m.cmp(n))
            });
            *rows = keyed.into_iter().map(|(_, n)| n).collect();
        }
    }
}

fn sort_key(state: &State, at: Ref, row: &Row, field: u16) -> Key {
    if state.schema.field_def(field).source == Source::Id {
        return Key::Number(i64::from(at.1));
    }
    match state.value(at, row, field).as_deref() {
        Some(Val::Int(n) | Val::Date(n)) => Key::Number(*n),
        Some(Val::Bool(b)) => Key::Number(i64::from(*b)),
        Some(Val::Text(text)) => Key::Text(text.to_lowercase()),
        Some(Val::Ref(target)) => Key::Text(state.title(*target).unwrap_or_default().to_lowercase()),
        _ => Key::None,
    }
}

impl State {
    /// A field's value, stored or computed.
    pub(super) fn value<'a>(&self, at: Ref, row: &'a Row, field: u16) -> Option<Cow<'a, Val>> {
        let def = self.schema.field_def(field);
        let own = |value: Val| Some(Cow::Owned(value));
        let any = |owners: &[u16]| -> usize {
            let of = owners.iter().filter(|f| self.schema.field_def(**f).target == Some(at.0));
            of.map(|f| self.naming(*f, at).len()).sum()
        };
        match def.source {
            Source::Stored => row.get(field).map(Cow::Borrowed),
            Source::Id => own(Val::text(self.id(at))),
            Source::Type | Source::Subtype => own(Val::text(self.schema.entity_name(at.0, row.sub))),
            Source::Created => own(Val::Date(row.created)),
            Source::Modified => own(Val::Date(row.modified)),
            Source::Version => own(Val::Int(i64::from(row.version))),
            Source::Lock => own(Val::Int(i64::from(row.lock))),
            Source::Author => own(Val::Ref(Ref(self.keys.user, u32::from(row.author)))),
            Source::Workspace => own(Val::Int(super::WORKSPACE)),
            Source::HasAttachments => own(Val::Bool(any(&self.keys.attachment_owners) > 0)),
            Source::HasComments => own(Val::Bool(any(&self.keys.comment_owners) > 0)),
            Source::NumComments => own(Val::Int(i64::try_from(any(&self.keys.comment_owners)).unwrap_or(0))),
            Source::StepsNum => own(Val::Int(i64::try_from(self.steps_num(at)).unwrap_or(0))),
            Source::Alias(other) => self.value(at, row, other),
            Source::Mirror(other) => {
                let table = self.schema.field_def(other).table;
                let rows = self.naming(other, at);
                own(Val::Refs(rows.iter().map(|n| Ref(table, *n)).collect()))
            }
        }
    }

    fn steps_num(&self, at: Ref) -> usize {
        if at.0 == self.keys.run {
            return self.run_steps.get(&at.1).map_or(0, |s| self.definition(s.definition).len());
        }
        super::scripts::lines(&super::scripts::script_of(self, at)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters() {
        let fits = |pattern: &str, text| like(&pattern.replace('*', &ANY.to_string()), text);
        assert!(fits("log*", "login") && fits("*gin", "login") && fits("*", "") && fits("l*g*n", "login"));
        assert!(
            fits("login", "login") && !fits("log", "login") && !fits("*x*", "login") && !fits("l*l", "l")
        );
    }
}
