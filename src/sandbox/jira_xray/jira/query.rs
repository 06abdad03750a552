//! JQL made ready against the site: unknown names are refused, issues are matched and ordered.

use chrono::NaiveDateTime;

use super::Call;
use super::jql::{Clause, Node, Op, Operand, Query};
use crate::sandbox::jira_xray::site::{Category, Field, FieldKind, Site};
use crate::sandbox::jira_xray::store::State;
use crate::sandbox::jira_xray::time::{Stamp, in_zone, parse_date, start_of};

/// Most fields in ORDER BY.
const ORDER_MAX: usize = 7;

/// A condition with all names resolved.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Ids(Vec<u64>, bool),
    IdCompare(Op, u64),
    /// Compares project and number.
    KeyCompare(Op, u16, u32),
    Project(Vec<u16>, bool),
    Kind(Vec<u16>, bool),
    Status(Vec<u16>, bool),
    Category(Vec<Category>, bool),
    Priority(Vec<u8>, bool),
    Resolution(Vec<u8>, bool),
    /// Assignee, reporter or creator.
    Person(Person, Vec<u16>, bool),
    Parents(Vec<u64>, bool),
    Labels(Vec<String>, bool),
    Date(DateField, Op, i64),
    /// A text field matches these words.
    Words(TextField, Vec<String>, bool),
    /// A text field equals one of these.
    Exact(TextField, Vec<String>, bool),
    /// A number field.
    Number(u64, Op, f64),
    Empty(EmptyField, bool),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Person {
    Assignee,
    Reporter,
    Creator,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum DateField {
    Created,
    Updated,
    Resolved,
    Due,
    Custom(u64),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum TextField {
    Summary,
    Description,
    Environment,
    Any,
    Custom(u64),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum EmptyField {
    Description,
    Environment,
    Labels,
    Components,
    FixVersions,
    Versions,
    Assignee,
    Reporter,
    Parent,
    Resolution,
    Due,
    Links,
    Attachments,
    Comment,
    Custom(u64),
    /// Never empty.
    Filled,
}

/// A sort key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sort {
    Id,
    Key,
    Created,
    Updated,
    Summary,
    Status,
    Priority,
    Kind,
    Project,
    Custom(u64),
}

/// A query ready to be run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) test: Option<Test>,
    pub(crate) order: Vec<(Sort, bool)>,
}

/// Resolves every name of a query.
pub(crate) fn compile(state: &State, call: &Call, query: &Query) -> Result<Plan, String> {
    if query.order.len() > ORDER_MAX {
        return Err(format!("The query sorts by more than {ORDER_MAX} fields."));
    }
    let test = query.filter.as_ref().map(|n| node(state, call, n)).transpose()?;
    let order = query
        .order
        .iter()
        .map(|(field, descending)| Ok((sort(&state.site, field)?, *descending)))
        .collect::<Result<_, String>>()?;
    Ok(Plan { test, order })
}

fn sort(site: &Site, field: &str) -> Result<Sort, String> {
    Ok(match field.to_lowercase().as_str() {
        "id" => Sort::Id,
        "key" | "issuekey" | "issue" => Sort::Key,
        "created" | "createddate" => Sort::Created,
        "updated" | "updateddate" => Sort::Updated,
        "summary" => Sort::Summary,
        "status" => Sort::Status,
        "priority" => Sort::Priority,
        "issuetype" | "type" => Sort::Kind,
        "project" => Sort::Project,
        _ => match site.field_by_clause(field) {
            Some(f) if f.custom != 0 => Sort::Custom(f.custom),
            Some(_) => Sort::Id,
            None => return Err(no_field(field)),
        },
    })
}

fn no_field(field: &str) -> String {
    format!("Field '{field}' does not exist or you do not have permission to view it.")
}

fn no_value(value: &str, field: &str) -> String {
    format!("The value '{value}' does not exist for the field '{field}'.")
}

fn node(state: &State, call: &Call, n: &Node) -> Result<Test, String> {
    let all = |list: &[Node]| list.iter().map(|n| node(state, call, n)).collect::<Result<_, _>>();
    Ok(match n {
        Node::And(list) => Test::And(all(list)?),
        Node::Or(list) => Test::Or(all(list)?),
        Node::Not(inner) => Test::Not(Box::new(node(state, call, inner)?)),
        Node::Clause(clause) => self::clause(state, call, clause)?,
    })
}

fn negated(op: Op) -> bool {
    matches!(op, Op::Ne | Op::NotIn | Op::NotLike | Op::NotEmpty)
}

fn wrong_op(clause: &Clause) -> String {
    format!("The operator is not supported by the '{}' field.", clause.field)
}

/// Resolves each value of an equality clause.
fn each<T>(clause: &Clause, find: impl Fn(&Operand) -> Option<T>) -> Result<Vec<T>, String> {
    if !matches!(clause.op, Op::Eq | Op::Ne | Op::In | Op::NotIn) {
        return Err(wrong_op(clause));
    }
    let one = |v: &Operand| find(v).ok_or_else(|| no_value(&v.text, &clause.field));
    clause.values.iter().map(one).collect()
}

fn small<T: TryFrom<usize>>(at: usize) -> Option<T> {
    T::try_from(at).ok()
}

fn clause(state: &State, call: &Call, c: &Clause) -> Result<Test, String> {
    let site = &state.site;
    let not = negated(c.op);
    let name = c.field.to_lowercase();
    if matches!(c.op, Op::Empty | Op::NotEmpty) {
        return Ok(Test::Empty(empty_field(site, &name, &c.field)?, not));
    }
    let by_name = |list: &[(u64, String)], v: &Operand| {
        list.iter()
            .position(|(i, n)| n.eq_ignore_ascii_case(&v.text) || i.to_string() == v.text)
            .and_then(small::<u8>)
    };
    Ok(match name.as_str() {
        "project" => Test::Project(each(c, |v| project(site, &v.text))?, not),
        "issuetype" | "type" => Test::Kind(each(c, |v| site.type_index(&v.text))?, not),
        "status" => Test::Status(
            each(c, |v| {
                let find = |s: &crate::sandbox::jira_xray::site::Status| {
                    s.name.eq_ignore_ascii_case(&v.text) || s.id.to_string() == v.text
                };
                site.statuses.iter().position(find).and_then(small)
            })?,
            not,
        ),
        "statuscategory" => Test::Category(each(c, |v| category(&v.text))?, not),
        "priority" => Test::Priority(each(c, |v| by_name(&site.priorities, v))?, not),
        "resolution" => resolution(site, c, not, by_name)?,
        "assignee" => Test::Person(Person::Assignee, people(state, call, c)?, not),
        "reporter" => Test::Person(Person::Reporter, people(state, call, c)?, not),
        "creator" => Test::Person(Person::Creator, people(state, call, c)?, not),
        "parent" => Test::Parents(issues(state, c)?, not),
        "id" | "key" | "issue" | "issuekey" => issue_clause(state, c, not)?,
        "labels" => Test::Labels(each(c, |v| Some(v.text.clone()))?, not),
        "created" | "createddate" => date(call, c, DateField::Created)?,
        "updated" | "updateddate" => date(call, c, DateField::Updated)?,
        "resolved" | "resolutiondate" => date(call, c, DateField::Resolved)?,
        "due" | "duedate" => date(call, c, DateField::Due)?,
        "summary" => text(c, TextField::Summary, true, not)?,
        "description" => text(c, TextField::Description, true, not)?,
        "environment" => text(c, TextField::Environment, true, not)?,
        "text" => text(c, TextField::Any, true, not)?,
        _ => {
            let field = site.field_by_clause(&c.field).filter(|f| f.custom != 0);
            custom(call, c, field.ok_or_else(|| no_field(&c.field))?, not)?
        }
    })
}

fn project(site: &Site, text: &str) -> Option<u16> {
    site.project_index(text)
        .or_else(|| small(site.projects.iter().position(|p| p.name.eq_ignore_ascii_case(text))?))
}

fn category(text: &str) -> Option<Category> {
    Some(match text.to_lowercase().as_str() {
        "to do" | "new" | "2" => Category::ToDo,
        "in progress" | "indeterminate" | "4" => Category::InProgress,
        "done" | "3" => Category::Done,
        _ => return None,
    })
}

fn resolution(
    site: &Site,
    c: &Clause,
    not: bool,
    by_name: impl Fn(&[(u64, String)], &Operand) -> Option<u8>,
) -> Result<Test, String> {
    if c.values.len() == 1 && c.values[0].text.eq_ignore_ascii_case("unresolved") {
        return Ok(Test::Empty(EmptyField::Resolution, not));
    }
    Ok(Test::Resolution(each(c, |v| by_name(&site.resolutions, v))?, not))
}

fn people(state: &State, call: &Call, c: &Clause) -> Result<Vec<u16>, String> {
    each(c, |v| {
        if v.function && v.text.eq_ignore_ascii_case("currentuser") {
            return Some(call.user);
        }
        state.site.user_index(&v.text).or_else(|| {
            small(state.site.users.iter().position(|u| {
                u.name.eq_ignore_ascii_case(&v.text) || u.email.eq_ignore_ascii_case(&v.text)
            })?)
        })
    })
}

fn issues(state: &State, c: &Clause) -> Result<Vec<u64>, String> {
    let find = |v: &Operand| state.find_issue(&v.text).map(|i| i.id);
    if !matches!(c.op, Op::Eq | Op::Ne | Op::In | Op::NotIn) {
        return Err(wrong_op(c));
    }
    let one = |v: &Operand| {
        find(v)
            .ok_or_else(|| format!("An issue with key '{}' does not exist for field '{}'.", v.text, c.field))
    };
    c.values.iter().map(one).collect()
}

/// `key >= CALC-5` compares numbers in that project, `id > 5` ids; unknown ids are
/// no error in a list of ids, as ids of deleted issues must not break a sweep.
fn issue_clause(state: &State, c: &Clause, not: bool) -> Result<Test, String> {
    let numeric = |v: &Operand| v.text.parse::<u64>().ok();
    match c.op {
        Op::Eq | Op::Ne | Op::In | Op::NotIn => {
            let mut out = Vec::new();
            for v in &c.values {
                match numeric(v) {
                    Some(id) => out.push(id),
                    None => match state.find_issue(&v.text) {
                        Some(issue) => out.push(issue.id),
                        None => {
                            return Err(format!(
                                "An issue with key '{}' does not exist for field '{}'.",
                                v.text, c.field
                            ));
                        }
                    },
                }
            }
            Ok(Test::Ids(out, not))
        }
        Op::Lt | Op::Le | Op::Gt | Op::Ge => {
            let value = &c.values[0];
            if let Some(id) = numeric(value) {
                return Ok(Test::IdCompare(c.op, id));
            }
            let key = value
                .text
                .rsplit_once('-')
                .and_then(|(p, n)| Some((project(&state.site, p)?, n.parse::<u32>().ok()?)));
            let (project, number) = key.ok_or_else(|| {
                format!("The issue key '{}' for field '{}' is invalid.", value.text, c.field)
            })?;
            Ok(Test::KeyCompare(c.op, project, number))
        }
        _ => Err(wrong_op(c)),
    }
}

fn date(call: &Call, c: &Clause, field: DateField) -> Result<Test, String> {
    if !matches!(c.op, Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge) {
        return Err(wrong_op(c));
    }
    let value = &c.values[0];
    let at = moment(call, value).ok_or_else(|| {
        format!(
            "Date value '{}' for field '{}' is invalid. Valid formats include: 'yyyy/MM/dd HH:mm', \
             'yyyy-MM-dd HH:mm', 'yyyy/MM/dd', 'yyyy-MM-dd', or a period format e.g. '-5d', '4w 2d'.",
            value.text, c.field
        )
    })?;
    Ok(Test::Date(field, c.op, at))
}

/// Reads the four forms of a date: epoch milliseconds, a period, a local date and
/// time, the same with a zone.
fn moment(call: &Call, value: &Operand) -> Option<i64> {
    let text = value.text.trim();
    if value.function {
        return (text.eq_ignore_ascii_case("now")).then_some(call.now.0);
    }
    if !value.quoted && text.len() > 8 && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    if let Some(period) = period(text) {
        return Some(call.now.0 + period);
    }
    let (text, offset) = match text.strip_suffix(" UTC") {
        Some(rest) => (rest.trim(), 0),
        None => (text, call.offset),
    };
    let dashed = text.replace('/', "-");
    if let Ok(at) = NaiveDateTime::parse_from_str(&dashed, "%Y-%m-%d %H:%M") {
        return Some(in_zone(at, offset));
    }
    parse_date(&dashed).map(|d| start_of(d, offset))
}

fn period(text: &str) -> Option<i64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut sum = 0;
    for part in rest.split_whitespace() {
        let unit = part.chars().last()?;
        let count: i64 = part[..part.len() - unit.len_utf8()].parse().ok()?;
        let minutes = match unit {
            'm' => 1,
            'h' => 60,
            'd' => 24 * 60,
            'w' => 7 * 24 * 60,
            'M' => 30 * 24 * 60,
            'y' => 365 * 24 * 60,
            _ => return None,
        };
        sum += count.checked_mul(minutes)?.checked_mul(60_000)?;
    }
    (!rest.trim().is_empty()).then_some(sign * sum)
}

pub(super) fn words(text: &str) -> Vec<String> {
    let split = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    split.filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

fn text(c: &Clause, field: TextField, tokens_only: bool, not: bool) -> Result<Test, String> {
    match c.op {
        Op::Like | Op::NotLike => Ok(Test::Words(field, words(&c.values[0].text.replace('*', "")), not)),
        _ if tokens_only => Err(format!("The operator '=' is not supported by the '{}' field.", c.field)),
        Op::Eq | Op::Ne | Op::In | Op::NotIn => {
            Ok(Test::Exact(field, c.values.iter().map(|v| v.text.clone()).collect(), not))
        }
        _ => Err(wrong_op(c)),
    }
}

fn custom(call: &Call, c: &Clause, field: &Field, not: bool) -> Result<Test, String> {
    let number = field.custom;
    match field.kind {
        FieldKind::Text | FieldKind::Url | FieldKind::Rich => {
            let exact = field.searcher.ends_with("exacttextsearcher");
            if exact && matches!(c.op, Op::Like | Op::NotLike) {
                return Err(format!("The operator '~' is not supported by the '{}' field.", c.field));
            }
            text(c, TextField::Custom(number), !exact, not)
        }
        FieldKind::Number => {
            let value = c.values[0].text.parse().map_err(|_| no_value(&c.values[0].text, &c.field))?;
            Ok(Test::Number(number, c.op, value))
        }
        FieldKind::Date | FieldKind::DateTime => date(call, c, DateField::Custom(number)),
        FieldKind::Select | FieldKind::MultiSelect | FieldKind::Cascade => {
            let all: Vec<&(u64, String)> = field.contexts.iter().flat_map(|x| x.options.iter()).collect();
            let ids = each(c, |v| {
                let fits =
                    |(i, n): &&&(u64, String)| n.eq_ignore_ascii_case(&v.text) || i.to_string() == v.text;
                all.iter().find(fits).map(|(i, _)| i.to_string())
            })?;
            Ok(Test::Exact(TextField::Custom(number), ids, not))
        }
        _ => Ok(Test::Exact(TextField::Custom(number), each(c, |v| Some(v.text.clone()))?, not)),
    }
}

fn empty_field(site: &Site, name: &str, shown: &str) -> Result<EmptyField, String> {
    Ok(match name {
        "description" => EmptyField::Description,
        "environment" => EmptyField::Environment,
        "labels" => EmptyField::Labels,
        "component" | "components" => EmptyField::Components,
        "fixversion" | "fixversions" => EmptyField::FixVersions,
        "affectedversion" | "versions" => EmptyField::Versions,
        "assignee" => EmptyField::Assignee,
        "reporter" => EmptyField::Reporter,
        "parent" => EmptyField::Parent,
        "resolution" | "resolved" | "resolutiondate" => EmptyField::Resolution,
        "due" | "duedate" => EmptyField::Due,
        "issuelink" | "issuelinks" => EmptyField::Links,
        "attachments" | "attachment" => EmptyField::Attachments,
        "comment" => EmptyField::Comment,
        "project" | "issuetype" | "status" | "summary" | "created" | "updated" | "priority" | "creator"
        | "id" | "key" => EmptyField::Filled,
        _ => match site.field_by_clause(shown).filter(|f| f.custom != 0) {
            Some(field) => EmptyField::Custom(field.custom),
            None => return Err(no_field(shown)),
        },
    })
}

/// Reads and resolves a query that must restrict something.
pub(crate) fn prepare(state: &State, call: &Call, text: &str) -> Result<Plan, String> {
    let query = super::jql::parse(text)?;
    let plan = compile(state, call, &query)?;
    match &plan.test {
        Some(test) if test.is_bounded() => Ok(plan),
        _ => {
            Err("Unbounded JQL queries are not allowed here. Please add a search restriction to your query."
                .to_owned())
        }
    }
}

/// All ids that pass, in the plan's order, as `view` shows the issues.
pub(crate) fn run(state: &State, plan: &Plan, now: Stamp, exact: &[u64]) -> Vec<u64> {
    let Some(test) = &plan.test else { return Vec::new() };
    let seen = |id: u64| {
        if exact.contains(&id) { state.issues.get(&id) } else { state.indexed(id, now) }
    };
    let passing = |id: &u64| seen(*id).is_some_and(|i| test.passes(state, i));
    let mut ids: Vec<u64> = match test.candidates() {
        Some(mut ids) => {
            ids.sort_unstable();
            ids.dedup();
            ids.into_iter().filter(passing).collect()
        }
        None => {
            let (least, greatest) = test.id_range();
            if least > greatest {
                return Vec::new();
            }
            let held = state.issues.range(least..=greatest).map(|(id, _)| *id);
            let mut ids: Vec<u64> = held.filter(passing).collect();
            ids.extend(state.ghosts().into_iter().filter(passing));
            ids.sort_unstable();
            ids
        }
    };
    match plan.by_id() {
        Some(false) => {}
        Some(true) => ids.reverse(),
        None => ids.sort_by(|a, b| match (seen(*a), seen(*b)) {
            (Some(a), Some(b)) => plan.compare(state, a, b),
            _ => a.cmp(b),
        }),
    }
    ids
}
