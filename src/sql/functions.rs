//! Our SQL functions: native values to the canonical text that the model compares.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

use crate::model::{Notation, Step, steps_from_json, steps_to_json};
use crate::text;

/// Lists the functions.
///
/// - `plain(text)`: one line, outer blanks dropped, inner runs of blanks made one.
/// - `rich_text(notation, text)`: the canonical tree's text form.
/// - `steps(notation, json)`: steps without ids, their texts canonical.
/// - `instant(text)`: RFC 3339 in UTC with milliseconds, or null.
///
/// Empty results are null: an empty field and an absent one are the same.
pub(super) fn all() -> Vec<ScalarUDF> {
    vec![
        unary("plain", |text| Some(plain(text))),
        unary("instant", instant),
        with_notation("rich_text", |notation, text| Some(text::canonical(notation, text))),
        with_notation("steps", canonical_steps),
    ]
}

fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn instant(text: &str) -> Option<String> {
    let at = chrono::DateTime::parse_from_rfc3339(text.trim()).ok()?;
    Some(at.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}

fn canonical_steps(notation: Notation, json: &str) -> Option<String> {
    let canonical = |text: &str| text::canonical(notation, text);
    let mut steps: Vec<Step> = steps_from_json(json)?
        .into_iter()
        .map(|step| Step {
            id: None,
            action: canonical(&step.action),
            data: canonical(&step.data),
            expected: canonical(&step.expected),
        })
        .collect();
    while steps.last().is_some_and(|last| *last == Step::default()) {
        steps.pop();
    }
    (!steps.is_empty()).then(|| steps_to_json(&steps))
}

fn unary(name: &str, function: fn(&str) -> Option<String>) -> ScalarUDF {
    let body = move |arguments: &[ColumnarValue]| -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        finish(arguments, apply(strings(&arrays[0])?, function))
    };
    create_udf(name, vec![DataType::Utf8], DataType::Utf8, Volatility::Immutable, Arc::new(body))
}

fn with_notation(name: &'static str, function: fn(Notation, &str) -> Option<String>) -> ScalarUDF {
    let body = move |arguments: &[ColumnarValue]| -> Result<ColumnarValue> {
        let ColumnarValue::Scalar(ScalarValue::Utf8(Some(notation))) = &arguments[0] else {
            return Err(DataFusionError::Plan(format!("{name}: the notation must be a literal text")));
        };
        let notation = Notation::parse(notation)
            .ok_or_else(|| DataFusionError::Plan(format!("{name}: no notation is called {notation:?}")))?;
        let arrays = ColumnarValue::values_to_arrays(&arguments[1..])?;
        finish(&arguments[1..], apply(strings(&arrays[0])?, |text| function(notation, text)))
    };
    let types = vec![DataType::Utf8, DataType::Utf8];
    create_udf(name, types, DataType::Utf8, Volatility::Immutable, Arc::new(body))
}

fn strings(array: &ArrayRef) -> Result<&StringArray> {
    array.as_string_opt::<i32>().ok_or_else(|| DataFusionError::Internal("expected a text column".into()))
}

fn apply(values: &StringArray, function: impl Fn(&str) -> Option<String>) -> StringArray {
    let mut out = StringBuilder::with_capacity(values.len(), values.value_data().len());
    for value in values {
        out.append_option(value.and_then(&function).filter(|text| !text.is_empty()));
    }
    out.finish()
}

/// Gives a scalar back for scalar arguments, so that constants fold.
fn finish(arguments: &[ColumnarValue], values: StringArray) -> Result<ColumnarValue> {
    let array: ArrayRef = Arc::new(values);
    if arguments.iter().all(|a| matches!(a, ColumnarValue::Scalar(_))) {
        return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
    }
    Ok(ColumnarValue::Array(array))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_of_any_offset_are_utc() {
        assert_eq!(instant("2026-05-01T12:34:56.789+01:00").as_deref(), Some("2026-05-01T11:34:56.789Z"));
        assert_eq!(instant("yesterday"), None);
    }

    #[test]
    fn blanks_do_not_count() {
        assert_eq!(plain("  a\tb \n c "), "a b c");
    }

    #[test]
    fn steps_lose_ids_and_empty_tails() {
        let json = r#"[{"id":"2","action":"a"},{"id":"3"}]"#;
        assert_eq!(canonical_steps(Notation::Plain, json).as_deref(), Some(r#"[{"action":"<p>a</p>"}]"#));
    }
}
