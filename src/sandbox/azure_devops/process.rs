//! Processes: inheriting one, deriving types, putting fields on them, picklists.

use serde_json::{Value as Json, json};

use super::fields::Kind;
use super::http::{Answer, Call, Failure, Reply, text};
use super::state::{Picklist, Process, State};
use super::types::{TypeDef, TypeField};
use super::value::{guid, same};

/// How many items a picklist may have, and how long one may be.
const MAX_ITEMS: usize = 2048;
const MAX_ITEM: usize = 256;
/// How many fields a process may add.
const MAX_FIELDS: usize = 1024;

fn find(state: &State, call: &Call) -> Result<usize, Failure> {
    let id = call.param("processId").unwrap_or_default();
    let hit = |p: &Process| p.guid.eq_ignore_ascii_case(id);
    state.processes.iter().position(hit).ok_or_else(|| {
        Failure::new(
            404,
            "ProcessNotFoundByTypeIdException",
            format!("VS402362: The process with id {id} does not exist."),
        )
    })
}

fn editable(state: &State, call: &Call) -> Result<usize, Failure> {
    let process = find(state, call)?;
    if state.processes[process].parent.is_some() {
        return Ok(process);
    }
    let name = &state.processes[process].name;
    Err(Failure::new(
        403,
        "ProcessCannotBeEditedException",
        format!("VS402356: The system process {name} cannot be edited: create an inherited process."),
    ))
}

fn show(state: &State, call: &Call, number: usize) -> Json {
    let process = &state.processes[number];
    let mut body = json!({
        "typeId": process.guid, "name": process.name, "referenceName": process.reference,
        "description": process.description, "isDefault": number == 0, "isEnabled": true,
        "customizationType": if process.parent.is_some() { "inherited" } else { "system" },
    });
    body["parentProcessTypeId"] =
        json!(process.parent.as_deref().unwrap_or("00000000-0000-0000-0000-000000000000"));
    if call.q("$expand").is_some_and(|e| e.eq_ignore_ascii_case("projects")) {
        let projects = state.projects.iter().filter(|p| p.process == number).map(|p| {
            json!({"id": p.guid, "name": p.name, "description": p.description, "url": super::json::project_url(&call.base, p)})
        });
        body["projects"] = Json::Array(projects.collect());
    }
    body
}

/// `GET work/processes[/{processId}]`.
pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    if call.param("processId").is_some() {
        let number = find(state, call)?;
        return Ok(Reply::ok(show(state, call, number)));
    }
    Ok(Reply::list((0..state.processes.len()).map(|n| show(state, call, n)).collect()))
}

/// `POST work/processes`: inherits.
pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let name = text(&body, "name").filter(|n| !n.is_empty()).ok_or_else(|| Failure::null("name"))?;
    let parent = text(&body, "parentProcessTypeId").ok_or_else(|| Failure::null("parentProcessTypeId"))?;
    let from = state.processes.iter().find(|p| p.guid.eq_ignore_ascii_case(parent)).ok_or_else(|| {
        Failure::new(
            404,
            "ProcessNotFoundByTypeIdException",
            format!("VS402362: The process with id {parent} does not exist."),
        )
    })?;
    if state.processes.iter().any(|p| same(&p.name, name)) {
        return Err(Failure::new(
            409,
            "ProcessNameConflictException",
            format!("VS402363: The process name '{name}' is already in use."),
        ));
    }
    let process = Process {
        guid: guid(&format!("process {name}")),
        name: name.to_owned(),
        reference: text(&body, "referenceName")
            .map_or_else(|| format!("Inherited.{}", name.replace(' ', "")), str::to_owned),
        description: text(&body, "description").unwrap_or_default().to_owned(),
        parent: Some(from.guid.clone()),
        types: from.types.clone(),
    };
    state.processes.push(process);
    state.touch();
    Ok(Reply::ok(show(state, call, state.processes.len() - 1)))
}

fn reference_of(kind: &TypeDef) -> &str {
    kind.derived.as_deref().unwrap_or(&kind.reference)
}

fn state_json(call: &Call, process: &Process, kind: &TypeDef, number: usize) -> Json {
    let state = &kind.states[number];
    let id = guid(&format!("state {} {}", kind.name, state.name));
    let url = format!(
        "{}/_apis/work/processes/{}/workItemTypes/{}/states/{id}",
        call.base,
        process.guid,
        reference_of(kind)
    );
    json!({"id": id, "name": state.name, "color": state.color, "stateCategory": state.category, "order": number + 1,
        "url": url, "customizationType": "system"})
}

fn type_json(call: &Call, process: &Process, kind: &TypeDef) -> Json {
    let reference = reference_of(kind);
    let mut body = json!({
        "referenceName": reference, "name": kind.name, "description": kind.description,
        "url": format!("{}/_apis/work/processes/{}/workItemTypes/{reference}", call.base, process.guid),
        "customization": if kind.derived.is_some() { "inherited" } else { "system" },
        "color": kind.color, "icon": kind.icon, "isDisabled": kind.disabled,
    });
    if kind.derived.is_some() {
        body["inherits"] = json!(kind.reference);
    }
    if call.q("$expand").is_some_and(|e| e.to_lowercase().contains("states")) {
        body["states"] = (0..kind.states.len()).map(|n| state_json(call, process, kind, n)).collect();
    }
    body
}

fn type_at(state: &State, call: &Call, process: usize) -> Result<usize, Failure> {
    let wanted = call.param("witRefName").unwrap_or_default();
    let hit = |t: &TypeDef| {
        reference_of(t).eq_ignore_ascii_case(wanted) || t.reference.eq_ignore_ascii_case(wanted)
    };
    state.processes[process].types.iter().position(hit).ok_or_else(|| {
        Failure::new(
            404,
            "WorkItemTypeNotFoundException",
            format!("VS402323: Work item type {wanted} does not exist in the process."),
        )
    })
}

/// `GET work/processes/{processId}/workitemtypes[/{witRefName}]`.
pub(super) fn types(state: &mut State, call: &Call) -> Answer {
    let number = find(state, call)?;
    let process = &state.processes[number];
    if call.param("witRefName").is_some() {
        let kind = type_at(state, call, number)?;
        return Ok(Reply::ok(type_json(call, process, &process.types[kind])));
    }
    Ok(Reply::list(process.types.iter().map(|t| type_json(call, process, t)).collect()))
}

/// `POST work/processes/{processId}/workitemtypes`: derives a system type.
pub(super) fn derive(state: &mut State, call: &Call) -> Answer {
    let number = editable(state, call)?;
    let body = call.object()?;
    let inherits = text(&body, "inheritsFrom").ok_or_else(|| Failure::null("inheritsFrom"))?.to_owned();
    let process = &mut state.processes[number];
    let prefix = process.name.replace(' ', "");
    let Some(kind) = process.types.iter_mut().find(|t| t.reference.eq_ignore_ascii_case(&inherits)) else {
        return Err(Failure::new(
            404,
            "WorkItemTypeNotFoundException",
            format!("VS402323: Work item type {inherits} does not exist in the process."),
        ));
    };
    if kind.derived.is_some() {
        return Err(Failure::new(
            409,
            "ProcessWorkItemTypeAlreadyExistsException",
            format!("VS402350: Work item type {} is derived already.", kind.name),
        ));
    }
    kind.derived = Some(format!("{prefix}.{}", kind.name.replace(' ', "")));
    if let Some(color) = text(&body, "color") {
        kind.color = color.to_owned();
    }
    if let Some(icon) = text(&body, "icon") {
        kind.icon = icon.to_owned();
    }
    if let Some(disabled) = body.get("isDisabled").and_then(Json::as_bool) {
        kind.disabled = disabled;
    }
    let (name, process) = (kind.name.clone(), &state.processes[number]);
    let shown =
        process.types.iter().find(|t| t.name == name).map_or(Json::Null, |t| type_json(call, process, t));
    state.touch();
    Ok(Reply::created(shown))
}

/// `PATCH work/processes/{processId}/workitemtypes/{witRefName}`.
pub(super) fn update_type(state: &mut State, call: &Call) -> Answer {
    let number = editable(state, call)?;
    let at = type_at(state, call, number)?;
    let body = call.object()?;
    let kind = &mut state.processes[number].types[at];
    for (name, target) in
        [("color", &mut kind.color), ("icon", &mut kind.icon), ("description", &mut kind.description)]
    {
        if let Some(value) = text(&body, name) {
            value.clone_into(target);
        }
    }
    if let Some(disabled) = body.get("isDisabled").and_then(Json::as_bool) {
        kind.disabled = disabled;
    }
    state.touch();
    let process = &state.processes[number];
    Ok(Reply::ok(type_json(call, process, &process.types[at])))
}

/// `GET work/processes/{processId}/workItemTypes/{witRefName}/states`.
pub(super) fn states(state: &mut State, call: &Call) -> Answer {
    let number = find(state, call)?;
    let at = type_at(state, call, number)?;
    let (process, kind) = (&state.processes[number], &state.processes[number].types[at]);
    Ok(Reply::list((0..kind.states.len()).map(|n| state_json(call, process, kind, n)).collect()))
}

fn field_json(state: &State, call: &Call, process: &Process, kind: &TypeDef, rule: &TypeField) -> Json {
    let field = &state.fields[rule.field as usize];
    let mut body = json!({
        "referenceName": field.reference, "name": field.name,
        "type": if field.kind == Kind::Person { "identity" } else { field.kind.name() },
        "description": field.description.as_deref().unwrap_or_default(), "required": rule.required, "readOnly": field.read_only,
        "allowGroups": false, "isLocked": field.locked,
        "customization": if rule.custom { "custom" } else { "system" },
        "url": format!("{}/_apis/work/processes/{}/workItemTypes/{}/fields/{}", call.base, process.guid, reference_of(kind), field.reference),
    });
    if let Some(default) = &rule.default {
        body["defaultValue"] = json!(default);
    }
    if call.q("$expand").is_some_and(|e| !e.eq_ignore_ascii_case("none")) {
        body["allowedValues"] = json!(rule.allowed);
    }
    body
}

fn rule_at(state: &State, call: &Call, number: usize, at: usize) -> Result<usize, Failure> {
    let wanted = call.param("fieldRefName").unwrap_or_default();
    let field = state.field(wanted);
    let found =
        field.and_then(|f| state.processes[number].types[at].fields.iter().position(|r| r.field == f));
    found.ok_or_else(|| {
        let key = "ProcessWorkItemTypeFieldNotFoundException";
        Failure::new(404, key, format!("VS402395: The field {wanted} is not on the work item type."))
    })
}

/// `GET …/workItemTypes/{witRefName}/fields[/{fieldRefName}]`.
pub(super) fn type_fields(state: &mut State, call: &Call) -> Answer {
    let number = find(state, call)?;
    let at = type_at(state, call, number)?;
    let (process, kind) = (&state.processes[number], &state.processes[number].types[at]);
    if call.param("fieldRefName").is_some() {
        let rule = rule_at(state, call, number, at)?;
        return Ok(Reply::ok(field_json(state, call, process, kind, &kind.fields[rule])));
    }
    Ok(Reply::list(kind.fields.iter().map(|r| field_json(state, call, process, kind, r)).collect()))
}

fn default_of(body: &Json) -> Option<String> {
    match body.get("defaultValue")? {
        Json::String(text) if text.is_empty() => None,
        Json::String(text) => Some(text.clone()),
        Json::Null => None,
        other => Some(other.to_string()),
    }
}

fn allowed_of(state: &State, body: &Json, field: u16) -> Vec<String> {
    let list = state.fields[field as usize].picklist.as_ref().and_then(|p| state.picklists.get(p));
    match (body.get("allowedValues").and_then(Json::as_array), list) {
        (Some(values), _) if !values.is_empty() => {
            values.iter().filter_map(Json::as_str).map(str::to_owned).collect()
        }
        (_, Some(list)) if !list.suggested => list.items.clone(),
        _ => Vec::new(),
    }
}

/// `POST …/workItemTypes/{witRefName}/fields`.
pub(super) fn add_field(state: &mut State, call: &Call) -> Answer {
    let number = editable(state, call)?;
    let at = type_at(state, call, number)?;
    let body = call.object()?;
    let reference = text(&body, "referenceName").ok_or_else(|| Failure::null("referenceName"))?;
    let field = state.field(reference).ok_or_else(|| {
        let key = "WorkItemTrackingFieldDefinitionNotFoundException";
        Failure::new(404, key, format!("TF51535: Cannot find field {reference}."))
    })?;
    if state.processes[number].types[at].derived.is_none() {
        let name = &state.processes[number].types[at].name;
        let key = "ProcessWorkItemTypeDoesNotExistException";
        return Err(Failure::new(
            400,
            key,
            format!("VS402356: The system work item type {name} must be derived before fields are added."),
        ));
    }
    if state.processes[number].types[at].field(field).is_some() {
        let key = "ProcessWorkItemTypeFieldAlreadyExistsException";
        return Err(Failure::new(
            409,
            key,
            format!("VS402394: The field {reference} is on the work item type already."),
        ));
    }
    if state.processes[number].types.iter().flat_map(|t| &t.fields).filter(|f| f.custom).count() >= MAX_FIELDS
    {
        return Err(Failure::argument(format!("VS402396: The limit of {MAX_FIELDS} fields is reached.")));
    }
    let rule = TypeField {
        field,
        required: body.get("required").and_then(Json::as_bool).unwrap_or(false),
        default: default_of(&body),
        allowed: allowed_of(state, &body, field),
        custom: true,
    };
    state.processes[number].types[at].fields.push(rule.clone());
    state.touch();
    let (process, kind) = (&state.processes[number], &state.processes[number].types[at]);
    Ok(Reply::ok(field_json(state, call, process, kind, &rule)))
}

/// `PATCH …/workItemTypes/{witRefName}/fields/{fieldRefName}`.
pub(super) fn update_field(state: &mut State, call: &Call) -> Answer {
    let number = editable(state, call)?;
    let at = type_at(state, call, number)?;
    let rule = rule_at(state, call, number, at)?;
    let body = call.object()?;
    let held = &mut state.processes[number].types[at].fields[rule];
    if let Some(required) = body.get("required").and_then(Json::as_bool) {
        held.required = required;
    }
    if body.get("defaultValue").is_some() {
        held.default = default_of(&body);
    }
    if let Some(values) = body.get("allowedValues").and_then(Json::as_array) {
        held.allowed = values.iter().filter_map(Json::as_str).map(str::to_owned).collect();
    }
    state.touch();
    let (process, kind) = (&state.processes[number], &state.processes[number].types[at]);
    Ok(Reply::ok(field_json(state, call, process, kind, &kind.fields[rule])))
}

/// `DELETE …/workItemTypes/{witRefName}/fields/{fieldRefName}`.
pub(super) fn remove_field(state: &mut State, call: &Call) -> Answer {
    let number = editable(state, call)?;
    let at = type_at(state, call, number)?;
    let rule = rule_at(state, call, number, at)?;
    if !state.processes[number].types[at].fields[rule].custom {
        return Err(Failure::argument("VS402397: A field of the template cannot be removed."));
    }
    state.processes[number].types[at].fields.remove(rule);
    state.touch();
    Ok(Reply::none())
}

fn layout_of(state: &State, kind: &TypeDef) -> Json {
    let control = |f: &TypeField| {
        let field = &state.fields[f.field as usize];
        json!({"id": field.reference, "label": field.name, "controlType": "FieldControl", "visible": true,
            "readOnly": field.read_only, "inherited": !f.custom, "isContribution": false, "order": 1, "watermark": ""})
    };
    let custom: Vec<Json> = kind.fields.iter().filter(|f| f.custom).map(control).collect();
    let group = json!({"id": guid(&format!("group {}", kind.name)), "label": "Custom", "order": 1, "visible": true,
        "inherited": false, "isContribution": false, "overridden": false, "controls": custom});
    let page = json!({"id": guid(&format!("page {}", kind.name)), "label": "Details", "order": 1, "pageType": "custom",
        "visible": true, "locked": false, "inherited": true, "isContribution": false, "overridden": false,
        "sections": [{"id": "Section1", "groups": [group], "overridden": false}]});
    json!({"pages": [page], "systemControls": [], "extensions": []})
}

/// `GET …/workItemTypes/{witRefName}/layout`.
pub(super) fn layout(state: &mut State, call: &Call) -> Answer {
    let number = find(state, call)?;
    let at = type_at(state, call, number)?;
    Ok(Reply::ok(layout_of(state, &state.processes[number].types[at])))
}

/// `POST …/layout/groups/{groupId}/controls`: shows a field that the type has; the form is always complete.
pub(super) fn add_control(state: &mut State, call: &Call) -> Answer {
    let number = editable(state, call)?;
    let at = type_at(state, call, number)?;
    let body = call.object()?;
    let id = text(&body, "id").ok_or_else(|| Failure::null("id"))?;
    let field = state.field(id).filter(|f| state.processes[number].types[at].field(*f).is_some());
    let field = field.ok_or_else(|| {
        Failure::argument(format!("VS402398: The field {id} is not on the work item type."))
    })?;
    let field = &state.fields[field as usize];
    Ok(Reply::created(json!({"id": field.reference, "label": text(&body, "label").unwrap_or(&field.name),
        "controlType": "FieldControl", "visible": true, "readOnly": false, "inherited": false, "isContribution": false})))
}

fn list_json(call: &Call, id: &str, list: &Picklist, items: bool) -> Json {
    let mut body = json!({"id": id, "name": list.name, "type": list.kind, "isSuggested": list.suggested,
        "url": format!("{}/_apis/work/processes/lists/{id}", call.base)});
    if items {
        body["items"] = json!(list.items);
    }
    body
}

/// `GET work/processes/lists[/{listId}]`.
pub(super) fn lists(state: &mut State, call: &Call) -> Answer {
    let Some(id) = call.param("listId") else {
        return Ok(Reply::list(
            state.picklists.iter().map(|(id, l)| list_json(call, id, l, false)).collect(),
        ));
    };
    let id = id.to_lowercase();
    let list = state.picklists.get(&id).ok_or_else(|| no_list(&id))?;
    Ok(Reply::ok(list_json(call, &id, list, true)))
}

fn no_list(id: &str) -> Failure {
    Failure::new(404, "PicklistNotFoundException", format!("VS402808: The picklist {id} does not exist."))
}

fn read_list(body: &Json) -> Result<Picklist, Failure> {
    let items: Vec<String> = body
        .get("items")
        .and_then(Json::as_array)
        .map(|items| items.iter().map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_owned)).collect())
        .unwrap_or_default();
    if items.is_empty() || items.len() > MAX_ITEMS || items.iter().any(|i| i.chars().count() > MAX_ITEM) {
        return Err(Failure::argument(format!(
            "VS402809: A picklist needs 1 to {MAX_ITEMS} items of at most {MAX_ITEM} characters."
        )));
    }
    Ok(Picklist {
        name: text(body, "name")
            .filter(|n| !n.is_empty())
            .map_or_else(|| format!("picklist_{}", guid(&items.join(";"))), str::to_owned),
        kind: text(body, "type").unwrap_or("String").to_owned(),
        suggested: body.get("isSuggested").and_then(Json::as_bool).unwrap_or(false),
        items,
    })
}

/// `POST work/processes/lists`.
pub(super) fn create_list(state: &mut State, call: &Call) -> Answer {
    let list = read_list(&call.object()?)?;
    if state.picklists.values().any(|l| same(&l.name, &list.name)) {
        return Err(Failure::new(
            409,
            "PicklistNameConflictException",
            format!("VS402810: The picklist name '{}' is already in use.", list.name),
        ));
    }
    let id = guid(&format!("picklist {}", list.name));
    let shown = list_json(call, &id, &list, true);
    state.picklists.insert(id, list);
    state.touch();
    Ok(Reply::ok(shown))
}

/// `PUT work/processes/lists/{listId}`.
pub(super) fn update_list(state: &mut State, call: &Call) -> Answer {
    let id = call.param("listId").unwrap_or_default().to_lowercase();
    state.picklists.get(&id).ok_or_else(|| no_list(&id))?;
    let list = read_list(&call.object()?)?;
    let shown = list_json(call, &id, &list, true);
    state.picklists.insert(id, list);
    state.touch();
    Ok(Reply::ok(shown))
}

/// `DELETE work/processes/lists/{listId}`.
pub(super) fn delete_list(state: &mut State, call: &Call) -> Answer {
    let id = call.param("listId").unwrap_or_default().to_lowercase();
    if state.fields.iter().any(|f| !f.deleted && f.picklist.as_deref() == Some(&id)) {
        return Err(Failure::argument("VS402811: The picklist is in use by a field."));
    }
    state.picklists.remove(&id).ok_or_else(|| no_list(&id))?;
    state.touch();
    Ok(Reply::none())
}
