//! Turns the file as typed into the pipeline as meant, and lists all that is wrong.
//!
//! Each part goes on after a slip, so that one run of `check` shows them all.
//! What was dropped for a slip of its own is not reported a second time by
//! whatever refers to it.

mod collections;
mod fields;
mod integrations;
mod repositories;
mod values;

use std::collections::BTreeMap;

use super::file::{File, ModelField as TypedField, TypeWord};
use super::meant::{Constant, FlowThrough, ModelField, Pipeline, ProjectRow, Smart, Update};
use super::node::{At, Node, Reader, Value, Word, join, one_of};
use super::problem::{Problem, Problems};
use super::secret::Surroundings;
use super::{Catalog, file};
use crate::model::{Artifact, Cardinality, FieldType};

/// The largest pipeline file; a hundred times what five systems need.
const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Keys whose values no message may quote, wherever a slip has put them.
const SECRET_KEYS: [&str; 6] = ["pat", "token", "secret", "password", "api_key", "apikey"];

/// A pipeline without problems.
#[derive(Debug)]
pub struct Loaded {
    /// The pipeline as meant.
    pub pipeline: Pipeline,
    /// What is probably not meant, in the order of the file's lines.
    pub warnings: Vec<Problem>,
}

/// Reads and checks a pipeline file.
///
/// `file` is the name that messages use. Nothing is asked of the repositories.
///
/// # Errors
///
/// All problems of the file at once, warnings among them, in the order of its lines.
pub fn load(
    file: &str,
    bytes: &[u8],
    catalog: &Catalog,
    around: &Surroundings<'_>,
) -> Result<Loaded, Problems> {
    let mut reader = Reader::new(around);
    let mut shown = "";
    let mut pipeline = None;
    match text(bytes) {
        Err(reason) => reader.error(At::START, "", reason, "a pipeline file"),
        Ok(text) => {
            shown = text;
            match reader.parse(text) {
                None => reader.redact_lines(text, &SECRET_KEYS),
                Some(node) => {
                    redact(&node, false, &mut reader);
                    let typed: Option<File> = super::read::Read::read(&node, "", &mut reader);
                    pipeline = typed.map(|file| Check::new(&mut reader, catalog, &file).pipeline(file));
                }
            }
        }
    }
    let refused = reader.has_errors();
    let problems = reader.finish(file, shown);
    match pipeline {
        Some(pipeline) if !refused => Ok(Loaded { pipeline, warnings: problems }),
        _ => Err(Problems(problems)),
    }
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(format!("the file is longer than {FILE_BYTES_MAX} bytes"));
    }
    std::str::from_utf8(bytes).map_err(|e| format!("byte {} is not UTF-8", e.valid_up_to()))
}

/// Keeps values that may be secrets out of messages; references may be shown.
fn redact(node: &Node, secret: bool, reader: &mut Reader<'_>) {
    match &node.value {
        Value::Scalar(text) if secret && !may_be_shown(text) => reader.redact(node.at),
        Value::List(items) => items.iter().for_each(|item| redact(item, secret, reader)),
        Value::Map(entries) => {
            for (key, value) in entries {
                let key = key.text.to_lowercase();
                let hide = secret || key == "auth" || SECRET_KEYS.iter().any(|word| key.ends_with(word));
                redact(value, hide, reader);
            }
        }
        _ => {}
    }
}

/// Tells whether a credential is only referred to; the default of a reference is no reference.
fn may_be_shown(text: &str) -> bool {
    text.starts_with("file:") || (text.starts_with("${") && !text.contains(":-"))
}

/// What the parts of the check share.
struct Check<'c, 'r, 's> {
    reader: &'c mut Reader<'s>,
    catalog: &'r Catalog,
    /// System noun per repository name; empty for one that was dropped.
    systems: BTreeMap<String, String>,
    /// Names that the file declares, valid or not, for nearest words.
    names: Names,
    fields: Vec<ModelField>,
    rows: Vec<ProjectRow>,
    /// Where a key path stands, for findings that concern two places.
    places: BTreeMap<String, At>,
    /// Whether an artifact or an integration is not known for a slip of its own,
    /// so that what relates collections to each other cannot be judged.
    incomplete: bool,
}

struct Names {
    repositories: Vec<String>,
    fields: Vec<String>,
    collections: Vec<String>,
}

impl<'c, 'r, 's> Check<'c, 'r, 's> {
    fn new(reader: &'c mut Reader<'s>, catalog: &'r Catalog, file: &File) -> Self {
        let own = |keys: Vec<&str>| keys.into_iter().map(str::to_owned).collect();
        let names = Names {
            repositories: own(file.repositories.keys()),
            fields: own(file.model.keys()),
            collections: own(file.collections.keys()),
        };
        let entries = file.repositories.0.iter();
        let systems = entries.map(|(name, r)| (name.text.clone(), r.system.0.text.clone())).collect();
        Self {
            reader,
            catalog,
            systems,
            names,
            fields: Vec::new(),
            rows: Vec::new(),
            places: BTreeMap::new(),
            incomplete: !(file.repositories.1.is_empty() && file.collections.1.is_empty()),
        }
    }

    fn pipeline(mut self, file: File) -> Pipeline {
        let name = self.pipeline_name(&file.pipeline.0);
        let repositories = self.repositories(&file.repositories);
        self.rows = self.project_rows(&file.projects, &repositories);
        self.model(&file.model);
        let collections = self.collections(&file.collections);
        let mut pipeline = Pipeline {
            name,
            description: file.description.map(|text| text.0.text),
            repositories,
            projects: self.rows.clone(),
            fields: self.fields.clone(),
            collections,
            integrations: Vec::new(),
        };
        self.integrations(&file.integrations, &mut pipeline);
        pipeline
    }

    /// The name becomes a folder of the staging store.
    fn pipeline_name(&mut self, word: &Word) -> String {
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if word.text.is_empty() || word.text.starts_with('-') || !word.text.chars().all(valid) {
            let found = format!("`{}` cannot name a pipeline", word.text);
            self.reader.error(word.at, "pipeline", found, "lower-case letters, digits and `-`");
        }
        word.text.clone()
    }

    fn model(&mut self, entries: &super::read::Entries<TypedField>) {
        for (name, field) in &entries.0 {
            let path = join("model", &name.text);
            let (word, smart, values) = match field {
                TypedField::Short(word) => (*word, None, None),
                TypedField::Long(long) => (long.r#type, long.smart, long.values.as_ref()),
            };
            let values: Vec<String> =
                values.map(|list| list.0.iter().map(|w| w.text.clone()).collect()).unwrap_or_default();
            if (word == TypeWord::SingleSelect) == values.is_empty() {
                let (found, expected) = match word {
                    TypeWord::SingleSelect => ("a single-select field without values", "`values: [...]`"),
                    _ => ("values of a field that takes any", "`type: single-select`, or no `values`"),
                };
                self.reader.error(name.at, &path, found, expected);
            }
            if let Some(twice) = values.iter().enumerate().find(|(i, v)| values[..*i].contains(v)) {
                let found = format!("the value `{}` stands here twice", twice.1);
                self.reader.error(name.at, &path, found, "each value once");
            }
            let smart = smart.map(meaning);
            let taken = self.fields.iter().find(|f| f.smart == smart && smart != Some(Smart::CrossReference));
            if let (Some(_), Some(other)) = (smart, taken) {
                let found = format!("`{}` has the same meaning", other.name);
                self.reader.error(name.at, &path, found, "each meaning for one field only");
            }
            self.fields.push(ModelField {
                name: name.text.clone(),
                field_type: field_type(word, values),
                smart,
                line: name.at.line,
            });
        }
    }

    /// Finds what a system offers; `None` if the system is unknown (reported elsewhere).
    fn artifact(&self, repository: &str, artifact: &str) -> Option<&'r Artifact> {
        let system = self.systems.get(repository)?;
        self.catalog.systems.get(system)?.iter().find(|a| a.name == artifact)
    }

    /// Makes a constant of either kind; `None` after reporting why not.
    fn constant(
        &mut self,
        repository: &str,
        path: &str,
        value: Option<&super::read::Text>,
        by_project: Option<&super::read::Text>,
    ) -> Option<Constant> {
        let Some(attribute) = by_project.map(|text| &text.0) else {
            return value.map(|text| Constant::Value(text.0.text.clone()));
        };
        let id = crate::model::RepositoryId::new(repository);
        let mut values = BTreeMap::new();
        let rows: Vec<_> = self.rows.iter().filter(|row| row.projects.contains_key(&id)).cloned().collect();
        for row in &rows {
            match row.attributes.get(&attribute.text) {
                Some(value) => {
                    values.insert(row.projects[&id].clone(), value.clone());
                }
                None => {
                    let known: Vec<_> = row.attributes.keys().map(String::as_str).collect();
                    let what = format!("attribute (of the row of `projects` in line {})", row.line);
                    self.reader.unknown(attribute.at, path, &what, &attribute.text, &known);
                }
            }
        }
        Some(Constant::ByProject { attribute: attribute.text.clone(), values })
    }
}

fn meaning(word: file::SmartWord) -> Smart {
    match word {
        file::SmartWord::Summary => Smart::Summary,
        file::SmartWord::Description => Smart::Description,
        file::SmartWord::Status => Smart::Status,
        file::SmartWord::FormattedId => Smart::FormattedId,
        file::SmartWord::Created => Smart::Created,
        file::SmartWord::Modified => Smart::Modified,
        file::SmartWord::Location => Smart::Location,
        file::SmartWord::Parent => Smart::Parent,
        file::SmartWord::CrossReference => Smart::CrossReference,
    }
}

fn field_type(word: TypeWord, values: Vec<String>) -> FieldType {
    match word {
        TypeWord::String => FieldType::String,
        TypeWord::RichText => FieldType::RichText,
        TypeWord::SingleSelect => FieldType::SingleSelect { values },
        TypeWord::DateTime => FieldType::DateTime,
        TypeWord::Location => FieldType::Location,
        TypeWord::Relationship => FieldType::Relationship(Cardinality::One),
        TypeWord::Relationships => FieldType::Relationship(Cardinality::Many),
    }
}

fn through(word: Option<file::ThroughWord>) -> FlowThrough {
    match word {
        None | Some(file::ThroughWord::Both) => FlowThrough::Both,
        Some(file::ThroughWord::In) => FlowThrough::In,
        Some(file::ThroughWord::Out) => FlowThrough::Out,
        Some(file::ThroughWord::None) => FlowThrough::None,
    }
}

fn update(word: Option<file::UpdateWord>, otherwise: Update) -> Update {
    match word {
        None => otherwise,
        Some(file::UpdateWord::Always) => Update::Always,
        Some(file::UpdateWord::OnCreate) => Update::OnCreate,
        Some(file::UpdateWord::IfEmpty) => Update::IfEmpty,
    }
}

fn strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// Says `to`, `constant` or `constant_by_project` for a mapping that has none or several.
fn one_target(keys: &[&str]) -> String {
    format!("exactly {}", one_of(keys))
}
