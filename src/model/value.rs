//! Values that are more than text: the steps of a test case.

/// One step of a test case; the texts are in the notation of whoever holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The system's own id of the step, where it has one.
    pub id: Option<String>,
    /// What the tester does.
    pub action: String,
    /// The test data.
    pub data: String,
    /// What should be seen.
    pub expected: String,
}

/// Writes steps as a JSON array of objects with the members `id`, `action`, `data` and `expected`.
///
/// Empty members are left out, so that equal steps give equal text.
pub fn steps_to_json(steps: &[Step]) -> String {
    let list = steps
        .iter()
        .map(|step| {
            let mut object = serde_json::Map::new();
            if let Some(id) = &step.id {
                object.insert("id".into(), id.clone().into());
            }
            for (name, text) in [("action", &step.action), ("data", &step.data), ("expected", &step.expected)]
            {
                if !text.is_empty() {
                    object.insert(name.into(), text.clone().into());
                }
            }
            serde_json::Value::Object(object)
        })
        .collect();
    serde_json::Value::Array(list).to_string()
}

/// Reads what [`steps_to_json`] wrote; `None` if the text is anything else.
pub fn steps_from_json(text: &str) -> Option<Vec<Step>> {
    let serde_json::Value::Array(list) = serde_json::from_str(text).ok()? else {
        return None;
    };
    list.into_iter()
        .map(|item| {
            let object = item.as_object()?;
            let member =
                |name: &str| object.get(name).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
            Some(Step {
                id: object.get("id").and_then(|v| v.as_str()).map(str::to_owned),
                action: member("action"),
                data: member("data"),
                expected: member("expected"),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_survive_json() {
        let steps = vec![
            Step {
                id: Some("2".into()),
                action: "<P>a</P>".into(),
                data: String::new(),
                expected: "b".into(),
            },
            Step::default(),
        ];
        assert_eq!(steps_from_json(&steps_to_json(&steps)), Some(steps));
    }
}
