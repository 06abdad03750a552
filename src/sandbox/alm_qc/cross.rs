//! Filters as a whole: own fields, and fields of related entities.

use super::filter::{self, Expr};
use super::read::{unknown, value};
use super::reply::Failure;
use super::schema::Kind;
use super::store::{Project, Row};

/// How a related entity is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    /// The own field holds the other's id.
    Up(&'static str),
    /// The other's field, an indexed one, holds the own id.
    Down(&'static str),
    /// Through coverages, from test or requirement.
    Coverage,
    /// Through defect links, from the defect.
    FromDefect,
    /// Through defect links, to the defect.
    ToDefect,
}

/// The relations: entity, names, other entity, and the way. The first name is unambiguous; the second
/// is the entity's own, where it may be used.
const RELATIONS: [(Kind, &str, &str, Kind, Path); 26] = [
    (Kind::TestInstance, "contains-test-set", "test-set", Kind::TestSet, Path::Up("cycle-id")),
    (Kind::TestInstance, "is-instance-of-test", "test", Kind::Test, Path::Up("test-id")),
    (Kind::TestInstance, "test-config", "test-config", Kind::TestConfig, Path::Up("test-config-id")),
    (Kind::TestInstance, "has-run", "run", Kind::Run, Path::Down("testcycl-id")),
    (Kind::DesignStep, "has-parts-test", "", Kind::Test, Path::Up("parent-id")),
    (Kind::DesignStep, "is-used-by-test", "", Kind::Test, Path::Up("link-test")),
    (Kind::Run, "contains-test-set", "test-set", Kind::TestSet, Path::Up("cycle-id")),
    (Kind::Run, "contains-test-instance", "test-instance", Kind::TestInstance, Path::Up("testcycl-id")),
    (Kind::Run, "is-run-of-test", "test", Kind::Test, Path::Up("test-id")),
    (Kind::RunStep, "has-parts-run", "run", Kind::Run, Path::Up("parent-id")),
    (
        Kind::TestSet,
        "contains-test-set-folder",
        "test-set-folder",
        Kind::TestSetFolder,
        Path::Up("parent-id"),
    ),
    (Kind::TestSet, "contains-test-instance", "test-instance", Kind::TestInstance, Path::Down("cycle-id")),
    (Kind::Test, "contains-test-folder", "test-folder", Kind::TestFolder, Path::Up("parent-id")),
    (Kind::Test, "has-parts-design-step", "", Kind::DesignStep, Path::Down("parent-id")),
    (Kind::Test, "test-instance", "test-instance", Kind::TestInstance, Path::Down("test-id")),
    (Kind::Test, "connected-to-requirement", "requirement", Kind::Requirement, Path::Coverage),
    (Kind::Requirement, "connected-to-test", "test", Kind::Test, Path::Coverage),
    (Kind::TestConfig, "has-parts-test", "test", Kind::Test, Path::Up("parent-id")),
    (Kind::Test, "connected-to-defect", "defect", Kind::Defect, Path::ToDefect),
    (Kind::Run, "connected-to-defect", "defect", Kind::Defect, Path::ToDefect),
    (Kind::Requirement, "connected-to-defect", "defect", Kind::Defect, Path::ToDefect),
    (Kind::Defect, "connected-to-requirement", "requirement", Kind::Requirement, Path::FromDefect),
    (Kind::Defect, "connected-to-test", "test", Kind::Test, Path::FromDefect),
    (Kind::Defect, "connected-to-run", "run", Kind::Run, Path::FromDefect),
    (Kind::Defect, "connected-to-test-set", "test-set", Kind::TestSet, Path::FromDefect),
    (Kind::Defect, "connected-to-test-instance", "test-instance", Kind::TestInstance, Path::FromDefect),
];

/// The relations of an entity: names and the other entity.
pub(super) fn relations(kind: Kind) -> impl Iterator<Item = (&'static str, Kind)> {
    RELATIONS.iter().filter(move |r| r.0 == kind).map(|r| (r.1, r.3))
}

#[derive(Debug)]
struct Related {
    alias: String,
    kind: Kind,
    path: Path,
    conditions: Vec<(u8, Expr)>,
    /// Whether rows with such a relative are kept, or those without.
    inclusive: bool,
}

/// A whole filter.
#[derive(Debug, Default)]
pub(super) struct Filter {
    own: Vec<(u8, Expr)>,
    related: Vec<Related>,
    within: Option<(u8, i64)>,
    first: u32,
}

/// Reads a query; an empty one keeps everything.
pub(super) fn read(kind: Kind, query: &str) -> Result<Filter, Failure> {
    let mut out = Filter::default();
    if query.trim().is_empty() {
        return Ok(out);
    }
    for condition in filter::split(query)? {
        let Some(alias) = condition.alias else {
            let at = kind.find(&condition.field).ok_or_else(|| unknown(&condition.field))?;
            let expr = filter::parse(&kind.fields()[usize::from(at)], &condition.text)?;
            if at == kind.at("id")
                && let Some(least) = expr.least()
            {
                out.first = out.first.max(u32::try_from(least.max(0)).unwrap_or(u32::MAX));
            }
            out.own.push((at, expr));
            continue;
        };
        let known = out.related.iter().position(|r| r.alias == alias);
        let at = match known {
            Some(at) => at,
            None => {
                out.related.push(relative(kind, &alias)?);
                out.related.len() - 1
            }
        };
        let related = &mut out.related[at];
        if condition.field == "inclusive-filter" {
            related.inclusive = !condition.text.eq_ignore_ascii_case("false");
            continue;
        }
        let field = related.kind.find(&condition.field).ok_or_else(|| unknown(&condition.field))?;
        let expr = filter::parse(&related.kind.fields()[usize::from(field)], &condition.text)?;
        related.conditions.push((field, expr));
    }
    Ok(out)
}

fn relative(kind: Kind, alias: &str) -> Result<Related, Failure> {
    let found = RELATIONS.iter().find(|r| r.0 == kind && (r.1 == alias || r.2 == alias));
    let Some((_, _, _, other, path)) = found else {
        let ambiguous = RELATIONS.iter().filter(|r| r.0 == kind && r.3.name() == alias).count() > 0;
        let what = if ambiguous { "is ambiguous" } else { "does not exist" };
        return Err(Failure::filter(format!("relation \"{alias}\" of \"{}\" {what}", kind.name())));
    };
    Ok(Related {
        alias: alias.to_owned(),
        kind: *other,
        path: *path,
        conditions: Vec::new(),
        inclusive: true,
    })
}

impl Filter {
    /// Keeps only the rows whose field holds that number.
    pub(super) fn within(&mut self, within: Option<(u8, i64)>) {
        self.within = within;
    }

    /// The lowest id that can fit.
    pub(super) fn first_id(&self) -> u32 {
        self.first
    }

    /// The rows that may fit, if an index tells; else all may.
    pub(super) fn candidates(&self, project: &Project, kind: Kind) -> Option<Vec<u32>> {
        if let Some((field, value)) = self.within {
            return project.indexed(kind, field, value);
        }
        for (field, expr) in &self.own {
            let Some(exact) = expr.exact() else { continue };
            if *field == kind.at("id") {
                return Some(exact.into_iter().filter_map(|id| u32::try_from(id).ok()).collect());
            }
            let found: Option<Vec<Vec<u32>>> =
                exact.iter().map(|v| project.indexed(kind, *field, *v)).collect();
            if let Some(found) = found {
                return Some(found.concat());
            }
        }
        None
    }

    /// Whether a row is kept.
    pub(super) fn fits(&self, project: &Project, kind: Kind, id: u32, row: &Row) -> bool {
        if self.within.is_some_and(|(field, wanted)| row.num(field) != Some(wanted)) {
            return false;
        }
        all(project, kind, id, row, &self.own)
            && self.related.iter().all(|r| r.found(project, kind, id, row) == r.inclusive)
    }
}

fn all(project: &Project, kind: Kind, id: u32, row: &Row, conditions: &[(u8, Expr)]) -> bool {
    conditions.iter().all(|(field, expr)| expr.fits(value(project, kind, id, row, *field).seen()))
}

impl Related {
    fn found(&self, project: &Project, kind: Kind, id: u32, row: &Row) -> bool {
        self.relatives(project, kind, id, row).into_iter().any(|other| {
            project
                .row(self.kind, other)
                .is_some_and(|row| all(project, self.kind, other, row, &self.conditions))
        })
    }

    fn relatives(&self, project: &Project, kind: Kind, id: u32, row: &Row) -> Vec<u32> {
        let through = |table: Kind, own: &str, other: &str| -> Vec<u32> {
            let rows = project.children(table, own, id).into_iter().filter_map(|l| project.row(table, l));
            let typed = rows.filter(|row| {
                table != Kind::DefectLink
                    || row.text(table.at("second-endpoint-type"))
                        == [self.kind, kind][usize::from(self.kind == Kind::Defect)].name()
            });
            typed.filter_map(|row| u32::try_from(row.num(table.at(other))?).ok()).collect()
        };
        match self.path {
            Path::Up(field) => {
                row.num(kind.at(field)).and_then(|id| u32::try_from(id).ok()).into_iter().collect()
            }
            Path::Down(field) => project.children(self.kind, field, id),
            Path::Coverage if kind == Kind::Test => through(Kind::Coverage, "test-id", "requirement-id"),
            Path::Coverage => through(Kind::Coverage, "requirement-id", "test-id"),
            Path::FromDefect => through(Kind::DefectLink, "first-endpoint-id", "second-endpoint-id"),
            Path::ToDefect => through(Kind::DefectLink, "second-endpoint-id", "first-endpoint-id"),
        }
    }
}
