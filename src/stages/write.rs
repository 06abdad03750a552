//! Turns a model value into what is written on one side, and says what is lost on the way.

use super::spec::{Collection, FieldPair, STEPS, SideField, initial_status, walk};
use crate::model::{FieldType, Notation, Side, Step, WriteValue, steps_from_json};
use crate::text;

/// Appended to a value that was cut.
const CUT_MARK: &str = "…";

/// A value ready to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The value.
    pub value: WriteValue,
    /// What it does not say any more: kind and detail.
    pub losses: Vec<(&'static str, String)>,
}

/// Why a value cannot be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Unwritable {
    /// A short stable word.
    pub reason: &'static str,
    /// What was found, and what to do.
    pub detail: String,
}

/// Prepares a model value for a side. `now` is what the side holds; `None` at creation.
///
/// # Errors
///
/// Fails where no native value stands for it or no transition leads to one.
pub fn prepare(
    pair: &FieldPair,
    collection: &Collection,
    side: Side,
    model: Option<&str>,
    now: Option<&str>,
) -> Result<Prepared, Unwritable> {
    let field = pair.side(side);
    let plain = |value| Prepared { value, losses: Vec::new() };
    let Some(model) = model else {
        return match &field.default {
            None => Ok(plain(WriteValue::Empty)),
            Some(default) if field.by_transition => {
                along(collection, field, now, std::slice::from_ref(default))
            }
            Some(default) if field.notation.is_some() => Ok(plain(WriteValue::Rich(default.clone()))),
            Some(default) => Ok(plain(WriteValue::Text(default.clone()))),
        };
    };
    if pair.name == STEPS && pair.field_type.is_none() {
        return Ok(steps(model, field.notation.unwrap_or(Notation::Plain)));
    }
    match &pair.field_type {
        Some(FieldType::SingleSelect { .. }) => choice(pair, collection, side, model, now),
        Some(FieldType::RichText) => {
            Ok(rich(model, field.notation.unwrap_or(Notation::Plain), field.length_max))
        }
        _ => Ok(string(model, field.length_max)),
    }
}

fn choice(
    pair: &FieldPair,
    collection: &Collection,
    side: Side,
    model: &str,
    now: Option<&str>,
) -> Result<Prepared, Unwritable> {
    let field = pair.side(side);
    let own = [model.to_owned()];
    let goals = field.acceptable(model).unwrap_or(&own);
    let Some(first) = goals.first() else {
        return Err(Unwritable {
            reason: "unmapped value",
            detail: format!(
                "{} has no value for {model}: add it to the write map of {}",
                collection.name, field.native
            ),
        });
    };
    if !field.by_transition {
        return Ok(Prepared { value: WriteValue::Text(first.clone()), losses: Vec::new() });
    }
    along(collection, field, now, goals)
}

/// Moves a status along the workflow to the first of its goals that can be reached.
fn along(
    collection: &Collection,
    field: &SideField,
    now: Option<&str>,
    goals: &[String],
) -> Result<Prepared, Unwritable> {
    if collection.transitions.is_empty() {
        let first = goals.first().cloned().unwrap_or_default();
        return Ok(Prepared { value: WriteValue::Text(first), losses: Vec::new() });
    }
    let from = now.or(initial_status(&collection.transitions)).unwrap_or_default();
    match walk(&collection.transitions, from, goals) {
        Some(hops) => Ok(Prepared { value: WriteValue::Transitions(hops), losses: Vec::new() }),
        None => Err(Unwritable {
            reason: "no transition",
            detail: format!("no transitions of {} lead from {from} to {}", field.native, goals.join(" or ")),
        }),
    }
}

fn rich(model: &str, notation: Notation, length_max: Option<usize>) -> Prepared {
    let document = text::Document::from_canonical(model);
    let (rendered, cut) = match length_max {
        Some(max) => text::render_within(notation, &document, max),
        None => (text::render(notation, &document), false),
    };
    let mut losses: Vec<(&'static str, String)> =
        rendered.losses.iter().map(|loss| ("rich text", loss.to_string())).collect();
    if cut {
        losses.push(("too long", format!("cut at {} characters", length_max.unwrap_or_default())));
    }
    Prepared { value: WriteValue::Rich(rendered.text), losses }
}

fn steps(model: &str, notation: Notation) -> Prepared {
    let mut losses = Vec::new();
    let mut render = |text: &str| {
        let rendered = text::render(notation, &text::Document::from_canonical(text));
        losses.extend(rendered.losses.iter().map(|loss| ("rich text", loss.to_string())));
        rendered.text
    };
    let steps = steps_from_json(model)
        .unwrap_or_default()
        .into_iter()
        .map(|step| Step {
            id: None,
            action: render(&step.action),
            data: render(&step.data),
            expected: render(&step.expected),
        })
        .collect();
    Prepared { value: WriteValue::Steps(steps), losses }
}

fn string(model: &str, length_max: Option<usize>) -> Prepared {
    let length = model.chars().count();
    match length_max {
        Some(max) if length > max => {
            let kept: String = model.chars().take(max - CUT_MARK.chars().count()).collect();
            let detail = format!("{length} characters cut at {max}");
            Prepared { value: WriteValue::Text(kept + CUT_MARK), losses: vec![("too long", detail)] }
        }
        _ => Prepared { value: WriteValue::Text(model.to_owned()), losses: Vec::new() },
    }
}

/// Returns the native text that a value leaves behind: what the side should hold afterwards.
pub fn native_text(value: &WriteValue) -> Option<String> {
    match value {
        WriteValue::Transitions(hops) => hops.last().map(|hop| hop.to.clone()),
        other => super::plan::encode(other).1,
    }
}
