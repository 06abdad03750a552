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
    // Written piece by piece: this runs for every case of an extraction.
    let mut json = Vec::from(b"[");
    for (number, step) in steps.iter().enumerate() {
        json.extend_from_slice(if number == 0 { b"{" } else { b",{" });
        let id = step.id.as_deref();
        let texts = [("action", &step.action), ("data", &step.data), ("expected", &step.expected)];
        let texts =
            texts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, t)| (name, t.as_str()));
        for (member, (name, text)) in id.map(|id| ("id", id)).into_iter().chain(texts).enumerate() {
            if member > 0 {
                json.push(b',');
            }
            json.extend_from_slice(format!("\"{name}\":").as_bytes());
            // Writing text into memory cannot fail.
            let _ = serde_json::to_writer(&mut json, text);
        }
        json.push(b'}');
    }
    json.push(b']');
    String::from_utf8(json).unwrap_or_default()
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
