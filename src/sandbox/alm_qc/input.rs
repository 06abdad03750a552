//! From what was sent to stored values: names, types, lists, people, read-only and required fields.

use super::body::Sent;
use super::call::Call;
use super::memo;
use super::meta;
use super::read::unknown;
use super::reply::Failure;
use super::schema::{Field, Kind, Type};
use super::store::{Project, Value};
use super::time;

/// The longest memo, in bytes.
const MEMO_MAX: usize = 4 * 1024 * 1024;

/// Fields with their new values; none empties the field.
pub(super) type Fields = Vec<(u8, Option<Value>)>;

/// Turns what was sent into values, or says what is wrong with it.
pub(super) fn fields(
    project: &mut Project,
    call: &Call<'_>,
    kind: Kind,
    sent: &Sent,
    create: bool,
) -> Result<Fields, Failure> {
    let mut out = Vec::new();
    for (name, values) in &sent.fields {
        // A key within a body is no change, and a stale version is not looked at.
        if (!create && name == "id") || name == "ver-stamp" {
            continue;
        }
        let at = kind.find(name).ok_or_else(|| unknown(name))?;
        let field = &kind.fields()[usize::from(at)];
        let open =
            field.is('E') || (create && (field.is('R') || field.is('C'))) || (!create && field.is('U'));
        if !open {
            return Err(Failure::general(400, format!("Read-only field '{name}' cannot be changed.")));
        }
        let value = value(project, call, field, values)?;
        // The last one wins, as in a map.
        out.retain(|(other, _): &(u8, Option<Value>)| *other != at);
        out.push((at, value));
    }
    Ok(out)
}

fn value(
    project: &mut Project,
    call: &Call<'_>,
    field: &Field,
    values: &[String],
) -> Result<Option<Value>, Failure> {
    let filled: Vec<&str> = values.iter().map(String::as_str).filter(|v| !v.is_empty()).collect();
    if filled.is_empty() {
        return Ok(None);
    }
    if filled.len() > 1 && !field.is('M') {
        return Err(Failure::general(
            500,
            format!("Field '{}' does not support multiple values.", field.label),
        ));
    }
    let text = filled.join(";");
    if field.is('M') && text.contains(',') {
        return Err(Failure::general(500, format!("Invalid value '{text}' for field '{}'.", field.label)));
    }
    let wrong = || {
        let title =
            format!("Invalid value '{text}' for field '{}' of type {}.", field.label, field.kind.name());
        Failure::new(400, "qccore.invalid-value-type-for-field", title)
    };
    let number = |parsed: Option<i64>| parsed.map(|n| Some(Value::Num(n))).ok_or_else(wrong);
    match field.stored() {
        Type::Number | Type::Reference => number(text.trim().parse().ok()),
        Type::Date => number(time::parse_date(&text)),
        Type::DateTime => number(time::parse_date_time(&text)),
        Type::Memo if text.len() > MEMO_MAX => Err(too_long(field)),
        Type::Memo => {
            let kept = memo::memo(&text);
            Ok((!kept.is_empty()).then(|| Value::text(kept)))
        }
        _ => plain(project, call, field, &text).map(Some),
    }
}

fn too_long(field: &Field) -> Failure {
    Failure::general(
        400,
        format!(
            "The value of field '{}' is too long; the maximum is {} characters.",
            field.label, field.size
        ),
    )
}

fn plain(project: &mut Project, call: &Call<'_>, field: &Field, text: &str) -> Result<Value, Failure> {
    if usize::try_from(field.size).is_ok_and(|size| text.chars().count() > size) {
        return Err(too_long(field));
    }
    if field.kind == Type::UsersList {
        let known = call.users.iter().find(|u| u.login.eq_ignore_ascii_case(text));
        let user = known.ok_or_else(|| {
            Failure::general(500, format!("Invalid user '{text}' for field '{}'.", field.label))
        })?;
        return Ok(Value::Text(project.pooled(&user.login)));
    }
    if field.kind == Type::LookupList && field.list > 1 {
        let known = meta::canonical(field.list, text);
        if let Some(known) = known {
            return Ok(Value::Text(project.pooled(known)));
        }
        if field.is('V') {
            let title = format!("The value '{text}' is not in the list of field '{}'.", field.label);
            return Err(Failure::new(400, "qccore.invalid-list-field-value", title));
        }
    }
    if field.is_pooled() { Ok(Value::Text(project.pooled(text))) } else { Ok(Value::text(text)) }
}

/// Checks that nothing is missing that the entity requires.
pub(super) fn required(kind: Kind, given: &Fields) -> Result<(), Failure> {
    for (at, field) in kind.fields().iter().enumerate().filter(|(_, f)| f.is('R')) {
        // What the server fills in by itself.
        let own = matches!((kind, field.name), (Kind::Run, "status") | (Kind::Coverage, "entity-type"));
        let filled = given.iter().any(|(f, value)| usize::from(*f) == at && value.is_some());
        if !own && !filled {
            return Err(missing(field));
        }
    }
    Ok(())
}

/// The refusal that names a required field by its label.
pub(super) fn missing(field: &Field) -> Failure {
    Failure::new(400, "qccore.required-field-missing", format!("The field '{}' is required.", field.label))
}

/// The server reads fields in the order sent: where others stand before the name, it loses its way.
pub(super) fn check_order(sent: &Sent) -> Result<(), Failure> {
    let name = sent.fields.iter().position(|(n, _)| n == "name");
    let wrong = sent.ordered
        && name.is_some_and(|at| {
            sent.fields[..at]
                .iter()
                .any(|(n, _)| matches!(n.as_str(), "parent-id" | "type-id" | "subtype-id"))
        });
    if wrong {
        return Err(Failure::general(500, "Cannot invoke \"Object.hashCode()\" because \"key\" is null"));
    }
    Ok(())
}
