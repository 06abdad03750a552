//! Reading: computed fields, collections with filter, projection, order and page.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::call::Call;
use super::cross::{self, Filter};
use super::filter::{self, Seen};
use super::reply::{Answer, Body, Entity, Failure, Reply, Shown};
use super::schema::{Field, Kind, Type};
use super::store::{Project, Row, Value};
use super::time;

/// Rows of a page if nothing else is asked: `REST_API_DEFAULT_PAGE_SIZE`.
const PAGE: usize = 100;
/// The most rows of a page: `REST_API_MAX_PAGE_SIZE`.
pub(super) const PAGE_MAX: usize = 2_000;

/// A value as a filter or an order sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Held<'a> {
    Empty,
    Num(i64),
    Text(Cow<'a, str>),
}

impl Held<'_> {
    /// The same, borrowed.
    pub(super) fn seen(&self) -> Seen<'_> {
        match self {
            Held::Empty => Seen::Empty,
            Held::Num(number) => Seen::Num(*number),
            Held::Text(text) if text.is_empty() => Seen::Empty,
            Held::Text(text) => Seen::Text(text),
        }
    }
}

/// The value of a field of a row, computed where it is not stored.
pub(super) fn value<'a>(project: &Project, kind: Kind, id: u32, row: &'a Row, field: u8) -> Held<'a> {
    if let Some(value) = row.get(field) {
        return match value {
            Value::Num(number) => Held::Num(*number),
            Value::Text(text) => Held::Text(Cow::Borrowed(text)),
        };
    }
    let of = &kind.fields()[usize::from(field)];
    let name_of = |kind: Kind, id: Option<i64>| {
        let row = id.and_then(|id| project.row_at(kind, id));
        row.map_or(Held::Empty, |row| Held::Text(Cow::Owned(row.text(kind.at("name")).to_owned())))
    };
    let num = |name: &str| row.num(kind.at(name));
    let count = |kind: Kind, name: &str| {
        Held::Num(i64::try_from(project.children(kind, name, id).len()).unwrap_or(0))
    };
    let text = |text: String| Held::Text(Cow::Owned(text));
    match (kind, of.name) {
        (_, "id") => Held::Num(i64::from(id)),
        (Kind::Test, "steps") => count(Kind::DesignStep, "parent-id"),
        (Kind::Test, "configurations-count") => {
            text(project.children(Kind::TestConfig, "parent-id", id).len().to_string())
        }
        (_, "parent-name" | "father-name") => name_of(kind.folder().unwrap_or(kind), num("parent-id")),
        (_, "hierarchical-path") => text(project.hierarchical_path(kind, id)),
        (_, "no-of-sons") => count(kind, "parent-id"),
        (Kind::TestInstance, "name") => match name_of(Kind::Test, num("test-id")) {
            Held::Text(name) => text(format!("{name} [{}]", num("test-instance").unwrap_or(1))),
            other => other,
        },
        (Kind::Run, "test-name") => name_of(Kind::Test, num("test-id")),
        (Kind::TestConfig, "test-name") => name_of(Kind::Test, num("parent-id")),
        (Kind::Run, "cycle-name") => name_of(Kind::TestSet, num("cycle-id")),
        (Kind::Run, "testcycl-name") => project
            .row_at(Kind::TestInstance, num("testcycl-id").unwrap_or(-1))
            .map_or(Held::Empty, |instance| {
                let name = Kind::TestInstance.at("name");
                match value(project, Kind::TestInstance, 0, instance, name) {
                    Held::Text(name) => text(name.into_owned()),
                    _ => Held::Empty,
                }
            }),
        (Kind::Coverage, "entity-name") => name_of(Kind::Test, num("test-id")),
        (Kind::Coverage, "status") => end(project, Kind::Test, num("test-id"), "exec-status"),
        (Kind::DefectLink, "second-endpoint-name" | "second-endpoint-status") => {
            let other = Kind::of_name(row.text(kind.at("second-endpoint-type")));
            let wanted = if of.name.ends_with("name") { "name" } else { "status" };
            other.map_or(Held::Empty, |other| end(project, other, num("second-endpoint-id"), wanted))
        }
        (Kind::Requirement, "status") => text(coverage_status(project, id).to_owned()),
        (Kind::DesignStep, "has-params") => {
            let both = [row.text(kind.at("description")), row.text(kind.at("expected"))];
            let found = both.iter().any(|t| t.contains("&lt;&lt;&lt;"));
            Held::Text(Cow::Borrowed(if found { "Y" } else { "N" }))
        }
        (_, "has-linkage") => Held::Text(Cow::Borrowed(if is_linked(project, kind, id) { "Y" } else { "N" })),
        (_, "recycled") => Held::Text(Cow::Borrowed("NONE")),
        _ => Held::Empty,
    }
}

fn end<'a>(project: &Project, kind: Kind, id: Option<i64>, field: &str) -> Held<'a> {
    let found = id.and_then(|id| Some((u32::try_from(id).ok()?, project.row_at(kind, id)?)));
    let (Some((id, row)), Some(field)) = (found, kind.find(field)) else { return Held::Empty };
    match value(project, kind, id, row, field) {
        Held::Text(text) => Held::Text(Cow::Owned(text.into_owned())),
        Held::Num(number) => Held::Num(number),
        Held::Empty => Held::Empty,
    }
}

/// The worst status of the tests that cover a requirement.
fn coverage_status(project: &Project, id: u32) -> &'static str {
    const WORST: [&str; 6] = ["Failed", "Blocked", "Not Completed", "No Run", "N/A", "Passed"];
    let covering = project.children(Kind::Coverage, "requirement-id", id);
    let status = |coverage: &u32| {
        let test = project.row(Kind::Coverage, *coverage)?.num(Kind::Coverage.at("test-id"))?;
        let status = project.row_at(Kind::Test, test)?.text(Kind::Test.at("exec-status"));
        WORST.iter().position(|w| *w == status)
    };
    covering.iter().filter_map(status).min().map_or("Not Covered", |at| WORST[at])
}

fn is_linked(project: &Project, kind: Kind, id: u32) -> bool {
    if kind == Kind::Defect && !project.children(Kind::DefectLink, "first-endpoint-id", id).is_empty() {
        return true;
    }
    let links = project.children(Kind::DefectLink, "second-endpoint-id", id);
    let of = Kind::DefectLink.at("second-endpoint-type");
    links.iter().any(|l| project.row(Kind::DefectLink, *l).is_some_and(|row| row.text(of) == kind.name()))
}

/// A value as it is shown.
pub(super) fn shown(field: &Field, held: Held<'_>) -> Vec<String> {
    match held {
        Held::Empty => Vec::new(),
        Held::Num(number) => vec![match field.stored() {
            Type::Date => time::date_text(number),
            Type::DateTime => time::date_time_text(number),
            _ => number.to_string(),
        }],
        Held::Text(text) if text.is_empty() => Vec::new(),
        Held::Text(text) if field.is('M') => text.split(';').map(str::to_owned).collect(),
        Held::Text(text) => vec![text.into_owned()],
    }
}

/// An entity with all its fields, or those asked for.
pub(super) fn entity(project: &Project, kind: Kind, id: u32, row: &Row, fields: Option<&[u8]>) -> Entity {
    let one = |at: u8| {
        let field = &kind.fields()[usize::from(at)];
        let values = shown(field, value(project, kind, id, row, at));
        Shown { name: field.name, bare: field.empties_bare(), values }
    };
    let fields = match fields {
        Some(fields) => fields.iter().map(|at| one(*at)).collect(),
        None => (0..kind.fields().len()).map(|at| one(at as u8)).collect(),
    };
    Entity { kind: kind.name(), fields }
}

/// One entity as the caller sees it.
pub(super) fn visible<'a>(project: &'a Project, kind: Kind, id: u32, user: u16) -> Option<Cow<'a, Row>> {
    if project.checked_out.is_empty() {
        return project.row(kind, id).map(Cow::Borrowed);
    }
    match project.overlay(kind, user).remove(&id) {
        Some(row) => row.map(Cow::Owned),
        None => project.row(kind, id).map(Cow::Borrowed),
    }
}

/// `GET {collection}/{id}`.
pub(super) fn get(project: &Project, call: &Call<'_>, kind: Kind, id: u32) -> Answer {
    let row =
        visible(project, kind, id, call.caller.user).ok_or_else(|| Failure::no_entity(kind.name(), id))?;
    Ok(Reply::of(200, Body::Entity(entity(project, kind, id, &row, None))))
}

/// What a list is asked for.
struct Wanted {
    fields: Option<Vec<u8>>,
    order: Vec<(u8, bool)>,
    size: usize,
    start: usize,
}

fn wanted(call: &Call<'_>, kind: Kind) -> Result<Wanted, Failure> {
    let fields = match call.query("fields").map(str::trim).filter(|f| !f.is_empty()) {
        None => None,
        Some(names) => {
            let one = |name: &str| kind.find(name.trim()).ok_or_else(|| unknown(name.trim()));
            let mut found: Vec<u8> = names.split(',').map(one).collect::<Result<_, _>>()?;
            found.dedup();
            Some(found)
        }
    };
    let order = call.query("order-by").map_or(Ok(Vec::new()), |text| filter::order(kind, text))?;
    let wrong = |title: &str| Failure::new(404, "qccore.invalid-query-value", title);
    let size = match call.query("page-size") {
        None => PAGE,
        Some(text) if text.eq_ignore_ascii_case("max") => PAGE_MAX,
        Some(text) => {
            let title = "Page size values can be either integer between 0 and 2,000 or \"max\" to get the maximum available page size.";
            text.parse::<usize>().map_err(|_| wrong(title))?.min(PAGE_MAX)
        }
    };
    let start = match call.query("start-index") {
        None => 1,
        Some(text) => match text.parse::<usize>() {
            Ok(start) if start > 0 => start,
            _ => return Err(wrong("Start index must be a positive integer.")),
        },
    };
    Ok(Wanted { fields, order, size, start })
}

/// The refusal of a field that the entity lacks.
pub(super) fn unknown(name: &str) -> Failure {
    Failure::new(400, "qccore.unknown-field-name", format!("Unknown field name: '{name}'."))
}

/// `GET {collection}`; `within` restricts it to the children of another entity.
pub(super) fn list(project: &Project, call: &Call<'_>, kind: Kind, within: Option<(u8, i64)>) -> Answer {
    let wanted = wanted(call, kind)?;
    let mut filter = cross::read(kind, call.query("query").unwrap_or_default())?;
    filter.within(within);
    if wanted.size == 0 {
        return Ok(Reply::of(200, Body::Entities(Vec::new(), 0)));
    }
    let overlay = project.overlay(kind, call.caller.user);
    let (ids, total) = matching(project, kind, &filter, &overlay, &wanted);
    let row = |id: &u32| match overlay.get(id) {
        Some(row) => row.as_ref(),
        None => project.row(kind, *id),
    };
    let fields = wanted.fields.as_deref();
    let list = ids.iter().filter_map(|id| Some(entity(project, kind, *id, row(id)?, fields))).collect();
    Ok(Reply::of(200, Body::Entities(list, total)))
}

/// The ids of the page in order, and how many rows match in all.
fn matching(
    project: &Project,
    kind: Kind,
    filter: &Filter,
    overlay: &BTreeMap<u32, Option<Row>>,
    wanted: &Wanted,
) -> (Vec<u32>, usize) {
    let by_id = wanted.order.iter().all(|(field, falls)| *field == kind.at("id") && !falls);
    let (mut total, mut page, mut keyed) = (0, Vec::new(), Vec::new());
    let mut take = |id: u32, row: &Row| {
        if !filter.fits(project, kind, id, row) {
            return;
        }
        total += 1;
        if !by_id {
            let keys: Vec<_> =
                wanted.order.iter().map(|(f, _)| sort_key(project, kind, id, row, *f)).collect();
            keyed.push((keys, id));
        } else if total >= wanted.start && page.len() < wanted.size {
            page.push(id);
        }
    };
    if let Some(ids) = filter.candidates(project, kind) {
        let mut ids = ids;
        ids.extend(overlay.keys());
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            let row = overlay.get(&id).map_or_else(|| project.row(kind, id), Option::as_ref);
            row.into_iter().for_each(|row| take(id, row));
        }
    } else if overlay.is_empty() {
        project.rows(kind).range(filter.first_id()..).for_each(|(id, row)| take(*id, row));
    } else {
        let mut ids: Vec<u32> = project.rows(kind).keys().chain(overlay.keys()).copied().collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            let row = overlay.get(&id).map_or_else(|| project.row(kind, id), Option::as_ref);
            row.into_iter().for_each(|row| take(id, row));
        }
    }
    if !by_id {
        keyed.sort_by(|(a, x), (b, y)| {
            let parts = a.iter().zip(b).zip(&wanted.order);
            let order = parts.map(|((a, b), (_, falls))| if *falls { b.cmp(a) } else { a.cmp(b) });
            order.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then).then(x.cmp(y))
        });
        page = keyed.into_iter().skip(wanted.start - 1).take(wanted.size).map(|(_, id)| id).collect();
    }
    (page, total)
}

fn sort_key(project: &Project, kind: Kind, id: u32, row: &Row, field: u8) -> Held<'static> {
    match value(project, kind, id, row, field) {
        Held::Empty => Held::Empty,
        Held::Num(number) => Held::Num(number),
        Held::Text(text) => Held::Text(Cow::Owned(text.to_lowercase())),
    }
}

/// `GET {collection}/groups/{field}`.
pub(super) fn groups(project: &Project, call: &Call<'_>, kind: Kind, field: &str) -> Answer {
    let at = kind.find(field).ok_or_else(|| unknown(field))?;
    let filter = cross::read(kind, call.query("query").unwrap_or_default())?;
    let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
    for (id, row) in project.rows(kind).iter().filter(|(id, row)| filter.fits(project, kind, **id, row)) {
        let values = shown(&kind.fields()[usize::from(at)], value(project, kind, *id, row, at));
        *sizes.entry(values.join(";")).or_default() += 1;
    }
    let one = |(value, size): (&String, &usize)| {
        let plain = value.chars().all(|c| c.is_ascii_alphanumeric()) && !value.is_empty();
        let expression = if plain { value.clone() } else { format!("\"{value}\"") };
        serde_json::json!({"subLevel": [], "Expression": expression, "ReferenceValue": null, "Name": field, "Value": value, "size": size})
    };
    let total: usize = sizes.values().sum();
    let levels: Vec<_> = sizes.iter().map(one).collect();
    let json = serde_json::json!({"subLevel": levels, "Expression": null, "Name": null, "Value": null, "size": total});
    Ok(Reply::of(200, Body::JsonOnly(json.to_string())))
}
