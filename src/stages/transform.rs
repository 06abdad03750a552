//! Compiles a collection's mapping into SQL over the neutral views.

use minijinja::{Value, context};

use super::spec::{Collection, Constant, FieldPair, Integration, STEPS, SideField, SideReference};
use crate::model::{FieldType, Notation, Side};
use crate::pipeline::Update;
use crate::sql::{Error, Statements, identifier, literal};

/// Renders the statement that brings one side of an integration into the model's shape.
///
/// With `wanted`, only keys of that table (column `key`) are mapped.
///
/// # Errors
///
/// Fails if the statement does not render, which is a defect of ours.
pub fn mapped(
    statements: &Statements,
    integration: &Integration,
    side: Side,
    wanted: Option<&str>,
) -> Result<String, Error> {
    mapped_fields(statements, integration, side, &integration.fields, wanted)
}

/// Renders the statement of [`mapped`] for some fields only.
///
/// # Errors
///
/// Fails like [`mapped`].
pub fn mapped_fields(
    statements: &Statements,
    integration: &Integration,
    side: Side,
    fields: &[FieldPair],
    wanted: Option<&str>,
) -> Result<String, Error> {
    let collection = integration.side(side);
    let fields: Vec<Value> = fields.iter().map(|pair| expressions(pair, side)).collect();
    let values = context! {
        fields,
        constants => enforced(integration, side),
        relation => relation(collection),
        wanted,
        projects => &collection.projects,
        filter => &collection.filter,
    };
    statements.render("transform/mapped.sql", values)
}

/// Lists the fields of a side whose constants are written after creation too.
fn enforced(integration: &Integration, side: Side) -> Vec<String> {
    let later = |c: &&Constant| !c.relationship && c.update != Update::OnCreate;
    let mut names: Vec<String> =
        integration.side(side).constants.iter().filter(later).map(|c| c.native.clone()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Renders the statement that maps what a side held at the last agreement.
///
/// # Errors
///
/// Fails like [`mapped`].
pub fn based(
    statements: &Statements,
    integration: &Integration,
    side: Side,
    wanted: &str,
) -> Result<String, Error> {
    let fields: Vec<Value> = integration.fields.iter().map(|pair| expressions(pair, side)).collect();
    statements.render("transform/based.sql", context! { fields, side => side.as_str(), wanted })
}

/// Renders the statement that puts both sides of the wanted pairs beside each other and
/// beside what was agreed.
///
/// # Errors
///
/// Fails like [`mapped`].
pub fn compared(statements: &Statements, integration: &Integration) -> Result<String, Error> {
    let names: Vec<String> = integration.fields.iter().map(|f| f.name.clone()).collect();
    let values = context! {
        fields => names,
        constants => Side::BOTH.map(|side| enforced(integration, side)).to_vec(),
        left => mapped(statements, integration, Side::Left, Some("plan.wanted_left"))?,
        right => mapped(statements, integration, Side::Right, Some("plan.wanted_right"))?,
        base_left => based(statements, integration, Side::Left, "plan.wanted")?,
        base_right => based(statements, integration, Side::Right, "plan.wanted")?,
    };
    statements.render("diff/fields.sql", values)
}

/// Renders every statement of an integration that depends on the pipeline file, with
/// the name by which a person finds it.
///
/// # Errors
///
/// Fails like [`mapped`].
pub fn compiled(
    statements: &Statements,
    integration: &Integration,
) -> Result<Vec<(&'static str, String)>, Error> {
    Ok(vec![
        ("left", mapped(statements, integration, Side::Left, None)?),
        ("right", mapped(statements, integration, Side::Right, None)?),
        ("base-left", based(statements, integration, Side::Left, "plan.wanted")?),
        ("base-right", based(statements, integration, Side::Right, "plan.wanted")?),
        ("compared", compared(statements, integration)?),
    ])
}

/// Returns the qualified name of the neutral view that a collection reads.
pub fn relation(collection: &Collection) -> String {
    view(collection, collection.artifact.view)
}

/// Returns the qualified name of another neutral view of the same repository.
pub fn view(collection: &Collection, name: &str) -> String {
    format!("{}.{}", identifier(collection.repository.as_str()), identifier(name))
}

/// Returns what lists the ends of a relationship: the neutral view `link`, or where it
/// follows further relationships, a statement with the same columns.
///
/// # Errors
///
/// Fails like [`mapped`].
pub fn links(
    statements: &Statements,
    collection: &Collection,
    reference: &SideReference,
) -> Result<String, Error> {
    let link = view(collection, "link");
    if reference.via.is_empty() {
        return Ok(link);
    }
    let values = context! { link, via => &reference.via };
    Ok(format!("({})", statements.render("transform/via.sql", values)?))
}

/// The expressions of one field on one side: `native` and `model` over the row `a`, `based` over the agreed native.
fn expressions(pair: &FieldPair, side: Side) -> Value {
    let field = pair.side(side);
    let native = match &field.sql {
        Some(expression) => format!("({expression})"),
        None => format!("a.fields[{}]", literal(&field.native)),
    };
    let agreed = format!("a.{}", identifier(&format!("n:{}", pair.name)));
    let map = field.read.as_ref().filter(|rows| !rows.is_empty());
    context! {
        name => &pair.name,
        native => &native,
        model => model(pair, field, &native),
        based => model(pair, field, &agreed),
        map,
    }
}

/// The model's value of a native expression.
fn model(pair: &FieldPair, field: &SideField, native: &str) -> String {
    let notation = field.notation.unwrap_or(Notation::Plain).as_str();
    if pair.name == STEPS && pair.field_type.is_none() {
        return format!("steps({}, {native})", literal(notation));
    }
    match &pair.field_type {
        Some(FieldType::SingleSelect { .. }) if field.read.is_some() => {
            let mapped = format!("{}.model", identifier(&format!("map:{}", pair.name)));
            match &field.other {
                Some(other) => {
                    format!("CASE WHEN {native} IS NOT NULL THEN coalesce({mapped}, {}) END", literal(other))
                }
                None => mapped,
            }
        }
        Some(FieldType::RichText) => format!("rich_text({}, {native})", literal(notation)),
        Some(FieldType::DateTime) => format!("instant({native})"),
        _ => format!("plain({native})"),
    }
}
