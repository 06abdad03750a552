//! The rule engine: defaults, required and allowed values, states and the fields that follow them.

use super::draft::Draft;
use super::fields::F;
use super::http::Failure;
use super::items::lookup;
use super::state::State;
use super::types::TypeDef;
use super::value::{Value, same};

/// Fills a new draft with its type's defaults.
pub(super) fn defaults(state: &State, draft: &mut Draft) {
    let Some(kind) = state.find_type(draft.project, &draft.kind) else { return };
    let (initial, reason) = kind.initial();
    draft.set(F::State, Some(Value::text(initial)));
    draft.set(F::Reason, Some(Value::text(reason)));
    draft.set(F::AreaPath, Some(Value::Node(state.root(draft.project, false))));
    draft.set(F::IterationPath, Some(Value::Node(state.root(draft.project, true))));
    for field in &kind.fields {
        let Some(default) = field.default.as_deref().filter(|d| !d.is_empty()) else { continue };
        let value = match state.fields[field.field as usize].kind {
            super::fields::Kind::Integer => default.parse().map(Value::Int).unwrap_or(Value::text(default)),
            super::fields::Kind::Boolean => Value::Bool(default.eq_ignore_ascii_case("true")),
            _ => Value::text(default),
        };
        super::items::assign(&mut draft.fields, field.field, Some(value));
    }
    if &*draft.kind == "Test Case" && !draft.bypass {
        draft.set(F::AssignedTo, Some(Value::Person(draft.by)));
    }
}

/// Checks a draft against the rules of its type and maintains the fields that follow others.
pub(super) fn check(state: &State, draft: &mut Draft) -> Result<(), Failure> {
    let Some(kind) = state.find_type(draft.project, &draft.kind) else {
        return Err(super::write::no_type(&draft.kind));
    };
    check_dates(state, draft)?;
    let old = draft.id.and_then(|id| state.items.get(&id)).map(|item| item.text(F::State).to_owned());
    if !draft.bypass {
        check_state(kind, draft, old.as_deref())?;
        check_values(state, kind, draft)?;
    }
    maintain(kind, draft, old.as_deref());
    Ok(())
}

fn check_dates(state: &State, draft: &Draft) -> Result<(), Failure> {
    if !draft.names(F::ChangedDate) {
        return Ok(());
    }
    let last = draft.id.and_then(|id| state.items.get(&id)).map(|item| item.changed().0);
    let created = draft.created.map(|(at, _)| at);
    if last.is_some_and(|last| draft.at <= last) || created.is_some_and(|created| draft.at < created) {
        let message = "VS402625: Dates must be increasing with each revision.";
        return Err(Failure::new(400, "WorkItemDatesNotIncreasingException", message));
    }
    if draft.at > super::value::now() {
        let message = "VS402625: The changed date must not lie in the future.";
        return Err(Failure::new(400, "WorkItemDatesNotIncreasingException", message));
    }
    Ok(())
}

fn bad_state() -> Failure {
    Failure::new(
        400,
        "WorkItemInvalidFieldStatusException",
        "TF401326: Invalid field status 'InvalidListValue' for field 'System.State'.",
    )
}

fn check_state(kind: &TypeDef, draft: &mut Draft, old: Option<&str>) -> Result<(), Failure> {
    let Some(state) = kind.state(draft.text(F::State)).map(|s| s.name.clone()) else {
        return Err(bad_state());
    };
    draft.set(F::State, Some(Value::text(state.as_str())));
    let reason_named = draft.names(F::Reason) && draft.get(F::Reason).is_some();
    match old {
        None if !same(kind.initial().0, &state) => Err(bad_state()),
        None => Ok(()),
        Some(old) if same(old, &state) => Ok(()),
        Some(old) => {
            // The graph may say no; a state that the type does not know any more may be left for any.
            let known = kind.state(old).is_some();
            let Some(reason) = kind.reason(old, &state).or((!known).then_some("")) else {
                return Err(bad_state());
            };
            if !reason_named {
                draft.set(F::Reason, Some(Value::text(reason)));
            }
            Ok(())
        }
    }
}

fn check_values(state: &State, kind: &TypeDef, draft: &Draft) -> Result<(), Failure> {
    for rule in &kind.fields {
        let field = &state.fields[rule.field as usize];
        let value = lookup(&draft.fields, rule.field);
        let computed = matches!(field.reference.as_str(), "System.AreaId" | "System.IterationId");
        let blank = match value {
            None => true,
            Some(Value::Text(text)) => text.trim().is_empty(),
            Some(_) => false,
        };
        if rule.required && blank && !computed {
            let (flags, code) = if rule.allowed.is_empty() {
                ("required, invalidEmpty", 524_289)
            } else {
                ("required, hasValues, invalidEmpty", 524_293)
            };
            return Err(Failure::rule(&field.name, &field.reference, flags, code));
        }
        // An old value that is not allowed any more may stay; a new one must be in the list.
        if !draft.named.contains(&rule.field) || rule.allowed.is_empty() {
            continue;
        }
        let text = match value {
            Some(Value::Text(text)) => text.to_string(),
            Some(Value::Int(number)) => number.to_string(),
            _ => continue,
        };
        if !rule.allowed.iter().any(|a| same(a, &text)) {
            return Err(Failure::rule(
                &field.name,
                &field.reference,
                "hasValues, limitedToValues, invalidListValue",
                262_148,
            ));
        }
    }
    Ok(())
}

fn maintain(kind: &TypeDef, draft: &mut Draft, old: Option<&str>) {
    if matches!(draft.get(F::AutomatedTestId), Some(Value::Text(_)))
        && kind.field(F::AutomationStatus as u16).is_some()
    {
        draft.set(F::AutomationStatus, Some(Value::text("Automated")));
    }
    let state = draft.text(F::State).to_owned();
    if old.is_some_and(|old| same(old, &state)) {
        return;
    }
    let (now, by) = (Value::Date(draft.at), Value::Person(draft.by));
    if !draft.names(F::StateChangeDate) {
        draft.set(F::StateChangeDate, Some(now.clone()));
    }
    let category = kind.state(&state).map_or("", |s| s.category.as_str()).to_owned();
    let mut stamp = |date: F, person: F, on: Option<bool>| match on {
        Some(true) if !draft.names(date) => {
            draft.set(date, Some(now.clone()));
            draft.set(person, Some(by.clone()));
        }
        Some(false) => {
            draft.set(date, None);
            draft.set(person, None);
        }
        _ => {}
    };
    stamp(F::ActivatedDate, F::ActivatedBy, (category == "InProgress").then_some(true));
    let resolves = kind.field(F::ResolvedDate as u16).is_some();
    if resolves {
        let on = match category.as_str() {
            "Resolved" => Some(true),
            "Completed" => None,
            _ => Some(false),
        };
        stamp(F::ResolvedDate, F::ResolvedBy, on);
    }
    stamp(F::ClosedDate, F::ClosedBy, Some(category == "Completed"));
}
