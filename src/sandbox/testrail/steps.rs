//! Separated steps, links to shared steps, and the results of steps.

use serde_json::{Map, Value, json};

use super::reply::Problem;
use super::state::{Content, Custom, State, Step, StepResult};

/// Most characters of a step's text.
const TEXT: usize = super::projects::TEXT;

fn show_step(step: &Step, shared: Option<u32>) -> Value {
    let mut out = json!({
        "content": step.content, "expected": step.expected, "additional_info": step.additional,
        "refs": step.refs,
    });
    if let Some(shared) = shared {
        out["shared_step_id"] = shared.into();
    }
    out
}

/// The steps as shown; a linked shared step is shown by its own steps, each with the link.
pub(super) fn show(state: &State, steps: &[Step]) -> Value {
    let mut out = Vec::new();
    for step in steps {
        match step.shared.and_then(|id| state.shared.get(&id)) {
            Some(shared) => out.extend(shared.steps.iter().map(|s| show_step(s, step.shared))),
            None => out.push(show_step(step, None)),
        }
    }
    Value::Array(out)
}

pub(super) fn show_results(results: &[StepResult]) -> Value {
    let one = |result: &StepResult| {
        let mut out = show_step(&result.step, result.step.shared);
        out["actual"] = json!(result.actual);
        out["status_id"] = json!(result.status);
        out
    };
    results.iter().map(one).collect()
}

/// The steps of a content.
pub(super) fn of_content(content: &Content) -> &[Step] {
    let steps = content.custom.iter().find_map(|(_, value)| match value {
        Custom::Steps(steps) => Some(&**steps),
        _ => None,
    });
    steps.unwrap_or_default()
}

/// Step results that only name a case and its version.
pub(super) fn show_marks(state: &State, case: u32, version: u32, marks: &[u8]) -> Value {
    let current = state.cases.get(&case).filter(|c| c.version == version).map(|c| &c.content);
    let content = current.or_else(|| state.versions.get(&version));
    let steps = content.map(of_content).unwrap_or_default();
    let one =
        |(step, mark): (&Step, &u8)| StepResult { step: step.clone(), actual: None, status: Some(*mark) };
    show_results(&steps.iter().zip(marks).map(one).collect::<Vec<_>>())
}

fn text(key: &str, map: &Map<String, Value>, name: &str) -> Result<Option<Box<str>>, Problem> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.chars().count() > TEXT => Err(Problem::long(key, TEXT)),
        Some(Value::String(text)) => Ok(Some(text.as_str().into())),
        Some(Value::Number(number)) => Ok(Some(number.to_string().into())),
        Some(_) => Err(Problem::invalid(key, "valid array of steps")),
    }
}

fn read_step(key: &str, map: &Map<String, Value>) -> Result<Step, Problem> {
    let some = |text: Option<Box<str>>| text.filter(|t| !t.is_empty());
    Ok(Step {
        content: text(key, map, "content")?.unwrap_or_default(),
        expected: text(key, map, "expected")?.unwrap_or_default(),
        additional: some(text(key, map, "additional_info")?),
        refs: some(text(key, map, "refs")?),
        shared: None,
    })
}

fn objects<'a>(key: &str, sent: &'a Value) -> Result<Vec<&'a Map<String, Value>>, Problem> {
    let invalid = || Problem::invalid(key, "valid array of steps");
    let list = sent.as_array().ok_or_else(invalid)?;
    list.iter().map(|item| item.as_object().ok_or_else(invalid)).collect()
}

/// Reads the steps of a case. What the field is not set up to have is ignored.
pub(super) fn read(
    state: &State,
    project: u32,
    key: &str,
    sent: &Value,
    options: &Map<String, Value>,
) -> Result<Custom, Problem> {
    let has = |name: &str| options.get(name).and_then(Value::as_bool).unwrap_or(false);
    let mut out: Vec<Step> = Vec::new();
    // Elements that show one shared step in full are one link.
    let mut left = 0;
    for map in objects(key, sent)? {
        if let Some(id) = map.get("shared_step_id").and_then(super::call::whole) {
            let id = u32::try_from(id).unwrap_or_default();
            let known = state.shared.get(&id).filter(|s| s.project == project);
            let shared = known.ok_or_else(|| Problem::invalid("shared_step_id", "valid shared step"))?;
            let same = out.last().is_some_and(|last| last.shared == Some(id));
            let shown = map.contains_key("content");
            if same && shown && left > 0 {
                left -= 1;
                continue;
            }
            left = if shown { shared.steps.len().saturating_sub(1) } else { 0 };
            out.push(Step { shared: Some(id), ..Step::default() });
            continue;
        }
        left = 0;
        let mut step = read_step(key, map)?;
        if !has("has_expected") {
            step.expected = "".into();
        }
        step.additional = step.additional.filter(|_| has("has_additional"));
        step.refs = step.refs.filter(|_| has("has_reference"));
        out.push(step);
    }
    Ok(Custom::Steps(out.into()))
}

/// Reads the results of steps.
pub(super) fn read_results(state: &State, key: &str, sent: &Value) -> Result<Custom, Problem> {
    let mut out = Vec::new();
    for map in objects(key, sent)? {
        let status = match map.get("status_id") {
            None | Some(Value::Null) => None,
            Some(value) => {
                let id = super::call::whole(value).and_then(|n| u8::try_from(n).ok());
                let known = id.filter(|id| state.statuses.iter().any(|s| s.id == *id));
                Some(known.ok_or_else(|| Problem::invalid(&format!("{key}.status_id"), "valid status"))?)
            }
        };
        let actual = text(key, map, "actual")?.filter(|t| !t.is_empty());
        out.push(StepResult { step: read_step(key, map)?, actual, status });
    }
    Ok(Custom::StepResults(out.into()))
}
