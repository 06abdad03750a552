//! Work item types, categories, states and fields: what a client learns before it writes.

use serde_json::{Map, Value as Json, json};

use super::fields::{F, Field, Kind};
use super::http::{Answer, Call, Failure, Reply, text};
use super::json::encode;
use super::state::State;
use super::types::{CATEGORIES, TypeDef, TypeField};
use super::value::same;
use super::write::no_type;

/// How long the name and the reference name of a field may be.
const MAX_NAME: usize = 128;
const MAX_REFERENCE: usize = 70;
/// How many fields an organisation may have.
const MAX_FIELDS: usize = 8192;
/// What a field's name must not contain.
const FORBIDDEN: &str = ".,;'`:~\\/*|?\"&%$!+=()[]{}<>-";

fn operations(kind: Kind) -> Vec<Json> {
    let mut list: Vec<(&str, &str)> = vec![("Equals", "="), ("NotEquals", "<>")];
    match kind {
        Kind::Path => {
            list = vec![("Under", "Under"), ("NotUnder", "Not Under"), ("Equals", "="), ("NotEquals", "<>")]
        }
        Kind::Plain | Kind::Html | Kind::History => {
            list = vec![
                ("ContainsWords", "Contains Words"),
                ("NotContainsWords", "Does Not Contain Words"),
                ("IsEmpty", "Is Empty"),
            ];
        }
        Kind::Boolean | Kind::Guid => {}
        _ => list.extend([
            ("GreaterThan", ">"),
            ("LessThan", "<"),
            ("GreaterThanEquals", ">="),
            ("LessThanEquals", "<="),
            ("In", "In"),
            ("Ever", "Was Ever"),
        ]),
    }
    if matches!(kind, Kind::Text | Kind::Person) {
        list.extend([("Contains", "Contains"), ("NotContains", "Does Not Contain")]);
    }
    list.into_iter()
        .map(|(r, n)| json!({"referenceName": format!("SupportedOperations.{r}"), "name": n}))
        .collect()
}

fn field_url(base: &str, field: &Field) -> String {
    format!("{base}/_apis/wit/fields/{}", field.reference)
}

fn field_json(base: &str, field: &Field) -> Json {
    let sortable = !field.kind.is_long() || field.reference == "System.Tags";
    let mut body = json!({"name": field.name, "referenceName": field.reference});
    if let Some(description) = &field.description {
        body["description"] = json!(description);
    }
    body["type"] = json!(field.kind.name());
    body["usage"] = json!("workItem");
    body["readOnly"] = json!(field.read_only);
    body["canSortBy"] = json!(sortable);
    body["isQueryable"] = json!(true);
    body["supportedOperations"] = Json::Array(operations(field.kind));
    body["isIdentity"] = json!(field.kind == Kind::Person);
    body["isPicklist"] = json!(field.picklist.is_some());
    body["isPicklistSuggested"] = json!(field.suggested);
    if let Some(list) = &field.picklist {
        body["picklistId"] = json!(list);
    }
    if field.deleted {
        body["isDeleted"] = json!(true);
    }
    body["isLocked"] = json!(field.locked);
    body["url"] = json!(field_url(base, field));
    body
}

/// `GET fields`.
pub(super) fn fields(state: &mut State, call: &Call) -> Answer {
    state.scope_or_all(call)?;
    let deleted = call.q("$expand").is_some_and(|e| e.to_lowercase().contains("includedeleted"));
    let shown = state.fields.iter().filter(|f| deleted || !f.deleted).map(|f| field_json(&call.base, f));
    Ok(Reply::list(shown.collect()))
}

fn named(state: &State, call: &Call) -> Result<usize, Failure> {
    let name = call.param("fieldNameOrRefName").unwrap_or_default();
    state.index.fields.get(&name.to_lowercase()).map(|f| *f as usize).ok_or_else(|| {
        let key = "WorkItemTrackingFieldDefinitionNotFoundException";
        Failure::new(404, key, format!("TF51535: Cannot find field {name}."))
    })
}

/// `GET fields/{fieldNameOrRefName}`.
pub(super) fn field(state: &mut State, call: &Call) -> Answer {
    state.scope_or_all(call)?;
    Ok(Reply::ok(field_json(&call.base, &state.fields[named(state, call)?])))
}

/// Checks the name of a new field and gives its reference name.
fn reference_of(state: &State, name: &str, given: Option<&str>) -> Result<String, Failure> {
    let key = "WorkItemFieldInvalidException";
    if name.is_empty() || name.chars().count() > MAX_NAME || name.contains(|c| FORBIDDEN.contains(c)) {
        return Err(Failure::new(400, key, format!("VS402803: The field name '{name}' is not valid.")));
    }
    let derived =
        || format!("Custom.{}", name.chars().filter(char::is_ascii_alphanumeric).collect::<String>());
    let reference = given.filter(|r| !r.is_empty()).map_or_else(derived, str::to_owned);
    let shape = reference.contains('.')
        && reference.split('.').all(|p| !p.is_empty())
        && reference.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
    if !shape || reference.chars().count() > MAX_REFERENCE || reference.starts_with("System.") {
        return Err(Failure::new(
            400,
            key,
            format!("VS402804: The field reference name '{reference}' is not valid."),
        ));
    }
    let taken = |text: &str| state.index.fields.contains_key(&text.to_lowercase());
    if taken(&reference) || taken(name) {
        return Err(Failure::new(
            409,
            "WorkItemFieldAlreadyExistsException",
            format!("VS402803: The field '{name}' ({reference}) is already in use: choose another name."),
        ));
    }
    if state.fields.len() >= MAX_FIELDS {
        return Err(Failure::new(
            400,
            key,
            format!("VS402805: The limit of {MAX_FIELDS} fields is reached."),
        ));
    }
    Ok(reference)
}

/// `POST fields`.
pub(super) fn create_field(state: &mut State, call: &Call) -> Answer {
    state.scope_or_all(call)?;
    let body = call.object()?;
    let name = text(&body, "name").ok_or_else(|| Failure::null("name"))?.trim();
    let reference = reference_of(state, name, text(&body, "referenceName"))?;
    let kind = text(&body, "type").unwrap_or("string");
    let kind = Kind::parse(kind)
        .ok_or_else(|| Failure::argument(format!("The field type '{kind}' is not known.")))?;
    let identity = body.get("isIdentity").and_then(Json::as_bool).unwrap_or(false);
    let picklist = text(&body, "picklistId").map(str::to_lowercase);
    if picklist.as_ref().is_some_and(|p| !state.picklists.contains_key(p)) {
        return Err(Failure::new(404, "PicklistNotFoundException", "VS402808: The picklist does not exist."));
    }
    let field = Field {
        reference,
        name: name.to_owned(),
        kind: if identity { Kind::Person } else { kind },
        read_only: body.get("readOnly").and_then(Json::as_bool).unwrap_or(false),
        custom: true,
        description: text(&body, "description").map(str::to_owned),
        picklist,
        suggested: body.get("isPicklistSuggested").and_then(Json::as_bool).unwrap_or(false),
        deleted: false,
        locked: false,
    };
    let number = state.add_field(field);
    state.touch();
    Ok(Reply::ok(field_json(&call.base, &state.fields[number as usize])))
}

/// `PATCH fields/{fieldNameOrRefName}`: lock, or bring back.
pub(super) fn update_field(state: &mut State, call: &Call) -> Answer {
    let number = named(state, call)?;
    let body = call.object()?;
    let flag = |name: &str| body.get(name).and_then(Json::as_bool);
    let field = &mut state.fields[number];
    if let Some(deleted) = flag("isDeleted") {
        field.deleted = deleted;
    }
    if let Some(locked) = flag("isLocked") {
        field.locked = locked;
    }
    state.touch();
    Ok(Reply::ok(field_json(&call.base, &state.fields[number])))
}

/// `DELETE fields/{fieldNameOrRefName}`.
pub(super) fn delete_field(state: &mut State, call: &Call) -> Answer {
    let number = named(state, call)?;
    if !state.fields[number].custom {
        let message =
            format!("VS402806: The system field {} cannot be deleted.", state.fields[number].reference);
        return Err(Failure::new(400, "WorkItemFieldInvalidException", message));
    }
    state.fields[number].deleted = true;
    let wanted = u16::try_from(number).unwrap_or(u16::MAX);
    for kind in state.processes.iter_mut().flat_map(|p| p.types.iter_mut()) {
        kind.fields.retain(|f| f.field != wanted);
    }
    state.touch();
    Ok(Reply::none())
}

fn shown_reference(kind: &TypeDef) -> &str {
    kind.derived.as_deref().unwrap_or(&kind.reference)
}

fn instance(state: &State, call: &Call, rule: &TypeField, all: bool, typed: bool) -> Json {
    let field = &state.fields[rule.field as usize];
    let mut body = json!({"alwaysRequired": rule.required});
    if let Some(default) = &rule.default {
        body["defaultValue"] = match (typed, field.kind, default.parse::<i64>()) {
            (true, Kind::Integer, Ok(number)) => json!(number),
            _ => json!(default),
        };
    }
    if all {
        let allowed: Vec<Json> = rule
            .allowed
            .iter()
            .map(|a| match (typed, field.kind, a.parse::<i64>()) {
                (true, Kind::Integer, Ok(number)) => json!(number),
                _ => json!(a),
            })
            .collect();
        body["allowedValues"] = Json::Array(allowed);
        body["dependentFields"] = json!([]);
    }
    if let Some(help) = &field.description {
        body["helpText"] = json!(help);
    }
    body["referenceName"] = json!(field.reference);
    body["name"] = json!(field.name);
    body["url"] = json!(field_url(&call.base, field));
    body
}

/// The rules of a field with the values that only the type knows.
fn rule_of(kind: &TypeDef, rule: &TypeField) -> TypeField {
    let mut rule = rule.clone();
    if rule.field == F::State as u16 {
        rule.allowed = kind.states.iter().map(|s| s.name.clone()).collect();
        rule.default = Some(kind.initial().0.to_owned());
    }
    rule
}

fn states_json(kind: &TypeDef) -> Vec<Json> {
    kind.states.iter().map(|s| json!({"name": s.name, "color": s.color, "category": s.category})).collect()
}

fn type_url(state: &State, call: &Call, project: u16, name: &str) -> String {
    format!("{}/{}/_apis/wit/workItemTypes/{}", call.base, state.project(project).guid, encode(name))
}

fn type_json(state: &State, call: &Call, project: u16, kind: &TypeDef) -> Json {
    let url = type_url(state, call, project, &kind.name);
    let instances: Vec<Json> =
        kind.fields.iter().map(|r| instance(state, call, &rule_of(kind, r), false, false)).collect();
    let mut transitions: Map<String, Json> = Map::new();
    for state in std::iter::once("").chain(kind.states.iter().map(|s| s.name.as_str())) {
        let own = (!state.is_empty()).then_some(state);
        let to = own
            .into_iter()
            .chain(kind.transitions.iter().filter(|(from, ..)| from == state).map(|(_, to, _)| to.as_str()));
        transitions.insert(state.to_owned(), to.map(|to| json!({"to": to, "actions": null})).collect());
    }
    json!({
        "name": kind.name, "referenceName": shown_reference(kind), "description": kind.description,
        "color": kind.color,
        "icon": {"id": kind.icon, "url": format!("{}/_apis/wit/workItemIcons/{}?color={}&v=2", call.base, kind.icon, kind.color)},
        "isDisabled": kind.disabled, "xmlForm": "<FORM></FORM>", "fields": instances, "fieldInstances": instances,
        "transitions": transitions, "states": states_json(kind), "_links": {"self": {"href": url}}, "url": url,
    })
}

fn type_of<'a>(state: &'a State, call: &Call) -> Result<(u16, &'a TypeDef), Failure> {
    let project = state.scope(call)?;
    let name = call.param("type").unwrap_or_default();
    state.find_type(project, name).map(|t| (project, t)).ok_or_else(|| no_type(name))
}

/// `GET workitemtypes`.
pub(super) fn types(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let types = &state.processes[state.project(project).process].types;
    Ok(Reply::list(types.iter().map(|t| type_json(state, call, project, t)).collect()))
}

/// `GET workitemtypes/{type}`.
pub(super) fn get_type(state: &mut State, call: &Call) -> Answer {
    let (project, kind) = type_of(state, call)?;
    Ok(Reply::ok(type_json(state, call, project, kind)))
}

/// `GET workitemtypes/{type}/states`.
pub(super) fn type_states(state: &mut State, call: &Call) -> Answer {
    let (_, kind) = type_of(state, call)?;
    Ok(Reply::list(states_json(kind)))
}

/// `GET workitemtypes/{type}/fields[/{field}]`.
pub(super) fn type_fields(state: &mut State, call: &Call) -> Answer {
    let (_, kind) = type_of(state, call)?;
    let all = call.q("$expand").is_some_and(|e| {
        e.eq_ignore_ascii_case("all") || e.eq_ignore_ascii_case("allowedvalues") || e == "3" || e == "1"
    });
    let show = |rule: &TypeField| instance(state, call, &rule_of(kind, rule), all, true);
    let Some(name) = call.param("field") else {
        return Ok(Reply::list(kind.fields.iter().map(show).collect()));
    };
    let found = state.field(name).and_then(|number| kind.field(number));
    found.map(|rule| Reply::ok(show(rule))).ok_or_else(|| {
        let key = "WorkItemTrackingFieldDefinitionNotFoundException";
        Failure::new(404, key, format!("TF51535: Cannot find field {name} on {}.", kind.name))
    })
}

/// `GET workitemtypecategories[/{category}]`.
pub(super) fn categories(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let reference = |name: &str| json!({"name": name, "url": type_url(state, call, project, name)});
    let all = CATEGORIES.iter().map(|(id, name, default, types)| {
        let guid = &state.project(project).guid;
        let url = format!("{}/{guid}/_apis/wit/workItemTypeCategories/{id}", call.base);
        json!({"name": name, "referenceName": id, "defaultWorkItemType": reference(default),
            "workItemTypes": types.iter().map(|t| reference(t)).collect::<Vec<_>>(), "url": url})
    });
    let Some(wanted) = call.param("category") else { return Ok(Reply::list(all.collect())) };
    let hit =
        |c: &Json| ["referenceName", "name"].iter().any(|n| c[*n].as_str().is_some_and(|v| same(v, wanted)));
    all.into_iter().find(hit).map(Reply::ok).ok_or_else(|| {
        Failure::new(
            404,
            "WorkItemTypeCategoryNotFoundException",
            format!("VS402324: Work item type category {wanted} does not exist."),
        )
    })
}

/// `GET workitemicons[/{icon}]`.
pub(super) fn icons(state: &mut State, call: &Call) -> Answer {
    let show = |id: &str| json!({"id": id, "url": format!("{}/_apis/wit/workItemIcons/{id}?v=2", call.base)});
    match call.param("icon") {
        Some(icon) => Ok(Reply::ok(show(icon))),
        None => {
            let mut icons: Vec<&str> =
                state.processes.iter().flat_map(|p| p.types.iter().map(|t| t.icon.as_str())).collect();
            icons.sort_unstable();
            icons.dedup();
            Ok(Reply::list(icons.into_iter().map(show).collect()))
        }
    }
}
