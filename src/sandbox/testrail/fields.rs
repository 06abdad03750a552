//! Custom fields: what they are, where they apply, and their values on the way in and out.

use serde_json::{Map, Value, json};

use super::call::{Body, Call, whole};
use super::projects::TEXT;
use super::reply::{Answer, Problem, Reply};
use super::state::{Custom, Field, FieldConfig, State, take};
use super::steps;

/// The longest value of a field of strings.
const STRING: usize = 250;

/// The kinds of fields by number, as `add_case_field` names them.
const KINDS: [(&str, u8); 11] = [
    ("string", 1),
    ("integer", 2),
    ("text", 3),
    ("url", 4),
    ("checkbox", 5),
    ("dropdown", 6),
    ("user", 7),
    ("date", 8),
    ("milestone", 9),
    ("steps", 10),
    ("multiselect", 12),
];

impl Field {
    /// The key under which cases and results show it.
    pub(super) fn key(&self) -> String {
        format!("custom_{}", self.name)
    }

    /// Its options in a project; none if it does not exist there.
    pub(super) fn config(&self, project: u32) -> Option<&FieldConfig> {
        let own = self.configs.iter().find(|c| !c.global && c.projects.contains(&project));
        own.or_else(|| self.configs.iter().find(|c| c.global))
    }

    pub(super) fn applies_to(&self, template: u32) -> bool {
        self.include_all || self.templates.contains(&template)
    }
}

impl FieldConfig {
    fn flag(&self, name: &str) -> bool {
        self.options.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// The numbers of its items.
    fn items(&self) -> Vec<i64> {
        let text = self.options.get("items").and_then(Value::as_str).unwrap_or_default();
        text.lines().filter_map(|line| line.split(',').next()?.trim().parse().ok()).collect()
    }
}

/// The fields that cases or results of a project show.
pub(super) fn of_project(state: &State, project: u32, of_results: bool) -> impl Iterator<Item = &Field> {
    state.fields.iter().filter(move |f| f.of_results == of_results && f.config(project).is_some())
}

/// A field's value among others.
pub(super) fn find(custom: &[(u32, Custom)], field: u32) -> Option<&Custom> {
    custom.binary_search_by_key(&field, |(id, _)| *id).ok().map(|at| &custom[at].1)
}

/// Puts a field's value among others, or takes it out.
pub(super) fn put(custom: &mut Vec<(u32, Custom)>, field: u32, value: Option<Custom>) {
    match (custom.binary_search_by_key(&field, |(id, _)| *id), value) {
        (Ok(at), Some(value)) => custom[at].1 = value,
        (Ok(at), None) => drop(custom.remove(at)),
        (Err(at), Some(value)) => custom.insert(at, (field, value)),
        (Err(_), None) => {}
    }
}

/// A field's value as JSON.
pub(super) fn value(state: &State, field: &Field, custom: &[(u32, Custom)]) -> Value {
    match find(custom, field.id) {
        None => Value::Null,
        Some(Custom::Text(text)) => json!(text),
        Some(Custom::Number(number)) => json!(number),
        Some(Custom::Flag(flag)) => json!(flag),
        Some(Custom::Numbers(numbers)) => json!(numbers),
        Some(Custom::Steps(list)) => steps::show(state, list),
        Some(Custom::StepResults(list)) => steps::show_results(list),
        Some(Custom::Marks(case, version, marks)) => steps::show_marks(state, *case, *version, marks),
    }
}

/// Adds the custom fields of a case of a project to its object. What belongs to another template is null.
pub(super) fn show(
    state: &State,
    project: u32,
    template: u32,
    custom: &[(u32, Custom)],
    out: &mut Map<String, Value>,
) {
    for field in of_project(state, project, false) {
        let shown = if field.applies_to(template) { value(state, field, custom) } else { Value::Null };
        out.insert(field.key(), shown);
    }
}

/// Takes over the custom fields of a body. Keys that no field of the project has are ignored.
pub(super) fn apply(
    state: &State,
    project: u32,
    body: &Body,
    of_results: bool,
    custom: &mut Vec<(u32, Custom)>,
) -> Result<(), Problem> {
    for field in of_project(state, project, of_results) {
        let key = field.key();
        let (Some(sent), Some(config)) = (body.get(&key), field.config(project)) else { continue };
        put(custom, field.id, read(state, project, field, config, &key, sent)?);
    }
    Ok(())
}

/// Gives new cases the values that fields have by default.
pub(super) fn defaults(state: &State, project: u32, template: u32, custom: &mut Vec<(u32, Custom)>) {
    for field in of_project(state, project, false).filter(|f| f.applies_to(template)) {
        let Some(config) = field.config(project) else { continue };
        let default = config.options.get("default_value").and_then(Value::as_str).unwrap_or_default();
        let value = match (field.kind, default) {
            (_, "") => continue,
            (5, flag) => Custom::Flag(flag == "1"),
            (2 | 6, number) => match number.parse() {
                Ok(number) => Custom::Number(number),
                Err(_) => continue,
            },
            (1 | 3 | 4, text) => Custom::Text(text.into()),
            _ => continue,
        };
        put(custom, field.id, Some(value));
    }
}

/// Refuses a case that lacks a field which its project requires.
pub(super) fn complete(
    state: &State,
    project: u32,
    template: u32,
    custom: &[(u32, Custom)],
) -> Result<(), Problem> {
    let lacking = of_project(state, project, false).find(|field| {
        let required = field.config(project).is_some_and(|c| c.flag("is_required"));
        required && field.applies_to(template) && find(custom, field.id).is_none()
    });
    lacking.map_or(Ok(()), |field| Err(Problem::required(&field.key())))
}

fn read(
    state: &State,
    project: u32,
    field: &Field,
    config: &FieldConfig,
    key: &str,
    sent: &Value,
) -> Result<Option<Custom>, Problem> {
    if sent.is_null() {
        return Ok(None);
    }
    let text = |most: usize| {
        let text = match sent {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(Problem::invalid(key, "valid string")),
        };
        if text.chars().count() > most {
            return Err(Problem::long(key, most));
        }
        Ok((!text.is_empty()).then(|| Custom::Text(text.into())))
    };
    let number = |thing: &str, valid: &dyn Fn(i64) -> bool| match whole(sent) {
        Some(n) if valid(n) => Ok(Some(Custom::Number(n))),
        _ if sent.as_str() == Some("") => Ok(None),
        _ => Err(Problem::invalid(key, thing)),
    };
    match field.kind {
        1 | 4 => text(STRING),
        3 | 13 => text(TEXT),
        2 => number("valid integer", &|_| true),
        5 => match (sent, whole(sent)) {
            (Value::Bool(flag), _) => Ok(Some(Custom::Flag(*flag))),
            (_, Some(n @ (0 | 1))) => Ok(Some(Custom::Flag(n == 1))),
            _ => Err(Problem::invalid(key, "valid boolean")),
        },
        6 => number("valid option", &|n| config.items().contains(&n)),
        7 => number("valid user", &|n| n >= 1 && n <= state.users.len() as i64),
        8 => date(key, sent),
        9 => number("valid milestone", &|n| {
            let id = u32::try_from(n).unwrap_or_default();
            state.milestones.get(&id).is_some_and(|m| m.project == project)
        }),
        10 => steps::read(state, project, key, sent, &config.options).map(Some),
        11 => steps::read_results(state, key, sent).map(Some),
        12 => {
            let items = config.items();
            let list = match sent {
                Value::Array(list) => list.iter().map(whole).collect::<Option<Vec<_>>>(),
                one => whole(one).map(|n| vec![n]),
            };
            let list = list.filter(|list| list.iter().all(|n| items.contains(n)));
            let list = list.ok_or_else(|| Problem::invalid(key, "valid option"))?;
            Ok((!list.is_empty()).then_some(Custom::Numbers(list)))
        }
        _ => Ok(None),
    }
}

/// A day in the instance's format, month first: `07/08/2013`.
fn date(key: &str, sent: &Value) -> Result<Option<Custom>, Problem> {
    let text = sent.as_str().ok_or_else(|| Problem::invalid(key, "valid date"))?;
    if text.is_empty() {
        return Ok(None);
    }
    let day = chrono::NaiveDate::parse_from_str(text, "%m/%d/%Y");
    let day = day.map_err(|_| Problem::invalid(key, "valid date"))?;
    Ok(Some(Custom::Text(day.format("%m/%d/%Y").to_string().into())))
}

fn show_field(field: &Field, old: bool) -> Value {
    let configs: Vec<Value> = field
        .configs
        .iter()
        .map(|c| {
            let projects = if c.global { Value::Null } else { json!(c.projects) };
            json!({"id": c.id, "context": {"is_global": c.global, "project_ids": projects}, "options": c.options})
        })
        .collect();
    let mut out = json!({
        "id": field.id, "is_active": true, "type_id": field.kind, "name": field.name,
        "system_name": field.key(), "label": field.label, "description": field.description,
        "display_order": field.order, "include_all": field.include_all, "template_ids": field.templates,
        "configs": configs,
    });
    if !old {
        out["i18n_custom_id"] = Value::Null;
        out["is_indexed"] = false.into();
        out["is_system"] = field.system.into();
    }
    out
}

fn get(state: &State, call: &Call, of_results: bool) -> Answer {
    let of = state.fields.iter().filter(|f| f.of_results == of_results);
    Ok(Reply::Json(of.map(|f| show_field(f, call.face.old())).collect()))
}

pub(super) fn get_case_fields(state: &mut State, call: &Call) -> Answer {
    get(state, call, false)
}

pub(super) fn get_result_fields(state: &mut State, call: &Call) -> Answer {
    get(state, call, true)
}

pub(super) fn add_case_field(state: &mut State, call: &Call) -> Answer {
    let body = &call.body;
    let kind = body.get("type").ok_or_else(|| Problem::required("type"))?;
    let word = kind.as_str().map(str::to_lowercase).unwrap_or_default();
    let known = |(name, number): &&(&str, u8)| *name == word || number.to_string() == word;
    let kind = KINDS.iter().find(known).map(|(_, number)| *number);
    let kind = kind.ok_or_else(|| Problem::invalid("type", "valid type"))?;
    let name = body.name("name", STRING, true)?.unwrap_or_default();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !name.chars().all(plain) {
        return Err(Problem::invalid("name", "valid system name"));
    }
    if state.fields.iter().any(|f| !f.of_results && f.name == *name) {
        return Err(Problem::bad("Field :name is already in use."));
    }
    let label = body.name("label", STRING, true)?.unwrap_or_default();
    let description = body.text("description", TEXT)?.flatten();
    let include_all = body.flag("include_all")?.unwrap_or(true);
    let templates = if include_all { Vec::new() } else { body.ids("template_ids")?.unwrap_or_default() };
    let sent = body.objects("configs")?.ok_or_else(|| Problem::required("configs"))?;
    let mut configs = Vec::new();
    for config in &sent {
        configs.push(read_config(config, state.next.field + 1, configs.len())?);
    }
    let id = take(&mut state.next.field);
    let field = Field {
        id,
        of_results: false,
        kind,
        name: name.into(),
        label: label.into(),
        description: description.map(String::from),
        order: id,
        include_all,
        templates,
        system: false,
        configs,
    };
    let mut answer = show_field(&field, true);
    let configs = answer["configs"].to_string();
    answer["configs"] = json!(configs);
    for (key, value) in [
        ("is_active", 1),
        ("include_all", i32::from(include_all)),
        ("is_multi", 0),
        ("is_system", 0),
        ("entity_id", 1),
        ("location_id", 2),
        ("status_id", 1),
    ] {
        answer[key] = value.into();
    }
    state.fields.push(field);
    state.touched = true;
    Ok(Reply::Json(answer))
}

fn read_config(config: &Body, field: u32, at: usize) -> Result<FieldConfig, Problem> {
    let object = |key: &str| config.get(key).and_then(Value::as_object).cloned();
    let context = Body(object("context").ok_or_else(|| Problem::required("configs.context"))?);
    let options = object("options").ok_or_else(|| Problem::required("configs.options"))?;
    let global = context.flag("is_global")?.unwrap_or(false);
    let projects = if global { Vec::new() } else { context.ids("project_ids")?.unwrap_or_default() };
    Ok(FieldConfig { id: format!("4be1{field:05x}{at:04x}"), global, projects, options })
}
