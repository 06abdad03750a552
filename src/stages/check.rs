//! The check before anything moves: what the pipeline asks for against what the systems offer.

use std::collections::BTreeMap;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

use super::spec::Integration;
use super::transform::relation;
use crate::connectors::{ArtifactMetadata, FieldMetadata, Metadata};
use crate::model::{RepositoryId, Side};
use crate::pipeline::{Collection, FieldMapping, FieldTarget, Other, Pipeline, ValueMapping};
use crate::sql::{Error, Sql, literal};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It is as it should be.
    Good,
    /// It may be meant.
    Warning,
    /// A run would fail or hold rows.
    Problem,
}

impl Level {
    /// Returns the word by which output names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Good => "ok",
            Level::Warning => "warning",
            Level::Problem => "problem",
        }
    }
}

/// One thing that the check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// The repository or collection that it is about.
    pub place: String,
    /// The line of the pipeline file.
    pub line: Option<usize>,
    /// What was found.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Finding {
    /// Makes a finding without a line and without advice.
    pub fn new(level: Level, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { level, place: place.into(), line: None, message: message.into(), hint: None }
    }

    /// Names the line of the pipeline file.
    pub fn at(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    /// Says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A custom field that the pipeline maps and an artifact cannot hold yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingField {
    /// The repository.
    pub repository: RepositoryId,
    /// The artifact.
    pub artifact: String,
    /// The field.
    pub field: String,
}

/// What the check of the mapping found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Everything worth telling.
    pub findings: Vec<Finding>,
    /// Custom fields that could be made.
    pub missing: Vec<MissingField>,
}

/// Compares the mapping with what each repository says of itself. Repositories that
/// are not in `offers` are left out.
pub fn mapping(pipeline: &Pipeline, offers: &BTreeMap<RepositoryId, Metadata>) -> Checked {
    let mut checked = Checked::default();
    for collection in &pipeline.collections {
        let Some(offered) = offers.get(&collection.repository) else { continue };
        let before = checked.findings.len();
        match offered.artifacts.get(&collection.artifact) {
            Some(artifact) => checked.collection(collection, artifact),
            None => checked.findings.push(
                Finding::new(
                    Level::Problem,
                    &collection.name,
                    format!("{} offers no {}", collection.repository, collection.artifact),
                )
                .at(collection.line)
                .hint("is that type enabled in the project, and may the account see it?"),
            ),
        }
        if checked.findings.len() == before {
            let message = format!("{} fields agree with what the system says", collection.fields.len());
            checked.findings.push(Finding::new(Level::Good, &collection.name, message));
        }
    }
    checked
}

impl Checked {
    fn collection(&mut self, collection: &Collection, offered: &ArtifactMetadata) {
        for mapping in &collection.fields {
            if mapping.sql.is_some() {
                continue;
            }
            match offered.fields.get(&mapping.field) {
                Some(field) => self.field(collection, mapping, field),
                None => self.unknown(collection, mapping, offered),
            }
        }
        self.transitions(collection, offered);
    }

    fn push(&mut self, collection: &Collection, mapping: &FieldMapping, level: Level, message: String) {
        self.findings.push(Finding::new(level, &collection.name, message).at(mapping.line));
    }

    fn unknown(&mut self, collection: &Collection, mapping: &FieldMapping, offered: &ArtifactMetadata) {
        let name = &mapping.field;
        let kind = if mapping.custom { "custom field" } else { "field" };
        let message = format!("{} has no {kind} {name:?}", collection.artifact);
        let near = offered.fields.keys().find(|known| known.eq_ignore_ascii_case(name));
        let hint = match (near, mapping.custom) {
            (Some(near), _) => format!("did you mean {near:?}?"),
            (None, true) => "make it with --create-fields, or correct the name".to_owned(),
            (None, false) => "correct the name".to_owned(),
        };
        if mapping.custom && near.is_none() {
            self.missing(collection, mapping);
        }
        self.findings
            .push(Finding::new(Level::Problem, &collection.name, message).at(mapping.line).hint(hint));
    }

    fn missing(&mut self, collection: &Collection, mapping: &FieldMapping) {
        let missing = MissingField {
            repository: collection.repository.clone(),
            artifact: collection.artifact.clone(),
            field: mapping.field.clone(),
        };
        if !self.missing.contains(&missing) {
            self.missing.push(missing);
        }
    }

    fn field(&mut self, collection: &Collection, mapping: &FieldMapping, field: &FieldMetadata) {
        let name = &mapping.field;
        if !field.writable && !mapping.read_only && !mapping.by_transition {
            let message = format!("{name:?} cannot be written in {}", collection.artifact);
            let hint = match mapping.custom {
                true => "is it on the screens of every project? --create-fields places it",
                false => "let it only flow out (`flow: out`), or give the account that right",
            };
            if mapping.custom {
                self.missing(collection, mapping);
            }
            self.findings
                .push(Finding::new(Level::Problem, &collection.name, message).at(mapping.line).hint(hint));
        }
        let Some(known) = &field.values else { return };
        match &mapping.target {
            FieldTarget::Constant(constant) => {
                let values: Vec<&str> = match constant {
                    crate::pipeline::Constant::Value(value) => vec![value],
                    crate::pipeline::Constant::ByProject { values, .. } => {
                        values.values().map(String::as_str).collect()
                    }
                };
                for value in values.into_iter().filter(|v| !v.is_empty() && !known.iter().any(|k| k == v)) {
                    let message =
                        format!("the constant {value:?} is no value of {name:?}; it takes {}", list(known));
                    self.push(collection, mapping, Level::Problem, message);
                }
            }
            FieldTarget::Model { values: Some(values), .. } => {
                self.values(collection, mapping, values, known)
            }
            FieldTarget::Model { .. } => {}
        }
    }

    fn values(
        &mut self,
        collection: &Collection,
        mapping: &FieldMapping,
        values: &ValueMapping,
        known: &[String],
    ) {
        let name = &mapping.field;
        let is_known = |value: &str| known.iter().any(|k| k == value);
        if !mapping.read_only {
            for (model, natives) in &values.write {
                if !natives.is_empty() && !natives.iter().any(|n| is_known(n)) {
                    let message = format!(
                        "{model:?} would be written as {}, which {name:?} does not take; it takes {}",
                        list(natives),
                        list(known)
                    );
                    self.push(collection, mapping, Level::Problem, message);
                }
            }
        }
        let strange: Vec<String> =
            values.read.iter().map(|(n, _)| n.clone()).filter(|n| !is_known(n)).collect();
        if !strange.is_empty() {
            let message = format!("`read` lists {}, which {name:?} never is", list(&strange));
            self.push(collection, mapping, Level::Warning, message);
        }
        if values.other == Other::Hold {
            return;
        }
        let unmapped: Vec<String> = known.iter().filter(|k| values.to_model(k).is_none()).cloned().collect();
        if !unmapped.is_empty() {
            let message = format!("{name:?} can be {}, which `read` does not list", list(&unmapped));
            self.push(collection, mapping, Level::Warning, message);
        }
    }

    fn transitions(&mut self, collection: &Collection, offered: &ArtifactMetadata) {
        if offered.transitions.is_empty() {
            return;
        }
        let mut unseen: Vec<String> = Vec::new();
        for edge in &collection.transitions {
            let there: Vec<_> = offered.transitions.iter().filter(|(from, ..)| *from == edge.from).collect();
            if there.is_empty() {
                unseen.push(edge.from.clone());
            } else if !there.iter().any(|(_, name, to)| *name == edge.name && *to == edge.to) {
                let known: Vec<String> =
                    there.iter().map(|(_, name, to)| format!("{name:?} to {to:?}")).collect();
                let message = format!(
                    "transition {:?} from {:?} to {:?} is not offered; there are {}",
                    edge.name,
                    edge.from,
                    edge.to,
                    known.join(", ")
                );
                self.findings
                    .push(Finding::new(Level::Problem, &collection.name, message).at(collection.line));
            }
        }
        let count = unseen.len();
        unseen.sort();
        unseen.dedup();
        if count > 0 {
            // Systems tell transitions of an artifact and not of a workflow.
            let message = format!("{count} transitions cannot be checked: nothing is {} now", list(&unseen));
            self.findings.push(Finding::new(Level::Warning, &collection.name, message).at(collection.line));
        }
    }
}

/// Values that a message lists before it only counts them.
const LISTED_MAX: usize = 12;

fn list(values: &[String]) -> String {
    let some: Vec<String> = values.iter().take(LISTED_MAX).map(|v| format!("{v:?}")).collect();
    match values.len().saturating_sub(LISTED_MAX) {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}

/// Looks in the data of a repository for values that no map lists.
///
/// # Errors
///
/// Fails if a statement does.
pub async fn present_values(
    sql: &Sql,
    pipeline: &Pipeline,
    integrations: &[Integration],
    repository: &RepositoryId,
) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    for integration in integrations {
        for side in Side::BOTH {
            let resolved = integration.side(side);
            if resolved.repository != *repository {
                continue;
            }
            let Some(collection) = pipeline.collection(&resolved.name) else { continue };
            let projects: Vec<String> = resolved.projects.iter().map(|p| literal(p)).collect();
            let condition = resolved.filter.as_ref().map(|f| format!(" AND ({f})")).unwrap_or_default();
            for mapping in &collection.fields {
                let FieldTarget::Model { values: Some(values), .. } = &mapping.target else { continue };
                if mapping.sql.is_some() || projects.is_empty() {
                    continue;
                }
                let value = format!("a.fields[{}]", literal(&mapping.field));
                let statement = format!(
                    "SELECT {value} AS value, count(*) AS rows FROM {} AS a WHERE a.project IN ({}) \
                     AND {value} IS NOT NULL{condition} GROUP BY {value} ORDER BY 2 DESC, 1",
                    relation(resolved),
                    projects.join(", ")
                );
                let what = format!("listing the values of {:?} in {}", mapping.field, collection.name);
                for (value, rows) in counted(&sql.rows(&what, &statement).await?) {
                    if values.to_model(&value).is_none() {
                        findings.push(unlisted(collection, mapping, values, &value, rows));
                    }
                }
            }
        }
    }
    findings.dedup();
    Ok(findings)
}

/// A value that no map lists stops the first run, unless the file says to hold it.
fn unlisted(
    collection: &Collection,
    mapping: &FieldMapping,
    values: &ValueMapping,
    value: &str,
    rows: i64,
) -> Finding {
    let what = format!("{rows} rows have {value:?} in {:?}, which `read` does not list", mapping.field);
    let finding = match values.other == Other::Hold {
        true => Finding::new(Level::Warning, &collection.name, format!("{what}; it is held there")),
        false => Finding::new(Level::Problem, &collection.name, what)
            .hint("list it under `read`, or set `other: hold`"),
    };
    finding.at(mapping.line)
}

fn counted(batches: &[RecordBatch]) -> Vec<(String, i64)> {
    let mut found = Vec::new();
    for batch in batches {
        let values = batch.column_by_name("value").and_then(|c| c.as_string_opt::<i32>());
        let rows = batch.column_by_name("rows").and_then(|c| c.as_primitive_opt::<Int64Type>());
        if let (Some(values), Some(rows)) = (values, rows) {
            found.extend((0..batch.num_rows()).map(|at| (values.value(at).to_owned(), rows.value(at))));
        }
    }
    found
}
