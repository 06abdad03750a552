//! What the site consists of: projects, types, statuses, and the fields of a create or an edit.

use serde_json::{Map, Value, json};

use super::{Call, page, read, workflow};
use crate::sandbox::jira_xray::reply::{Answer, Problem, Reply};
use crate::sandbox::jira_xray::site::{Field, FieldKind};
use crate::sandbox::jira_xray::store::{Issue, State};

/// `GET /serverInfo`.
pub(crate) fn server_info(call: &Call) -> Value {
    json!({
        "baseUrl": call.base, "displayUrl": call.base, "version": "1001.0.0-SNAPSHOT",
        "versionNumbers": [1001, 0, 0], "deploymentType": "Cloud", "buildNumber": 100_288,
        "buildDate": "2026-04-30T00:00:00.000+0000", "serverTime": call.date(call.now),
        "scmInfo": "a1b2c3", "serverTitle": "Jira"
    })
}

/// `GET /mypermissions`: the owner of the token may do everything asked about.
pub(crate) fn my_permissions(state: &State, call: &Call) -> Answer {
    const KNOWN: [(&str, &str, bool); 16] = [
        ("BROWSE_PROJECTS", "Browse Projects", false),
        ("CREATE_ISSUES", "Create Issues", false),
        ("EDIT_ISSUES", "Edit Issues", false),
        ("TRANSITION_ISSUES", "Transition Issues", false),
        ("LINK_ISSUES", "Link Issues", false),
        ("DELETE_ISSUES", "Delete Issues", false),
        ("ASSIGN_ISSUES", "Assign Issues", false),
        ("MODIFY_REPORTER", "Modify Reporter", false),
        ("RESOLVE_ISSUES", "Resolve Issues", false),
        ("CLOSE_ISSUES", "Close Issues", false),
        ("ADD_COMMENTS", "Add Comments", false),
        ("CREATE_ATTACHMENTS", "Create Attachments", false),
        ("ADMINISTER_PROJECTS", "Administer Projects", false),
        ("BULK_CHANGE", "Bulk Change", true),
        ("ADMINISTER", "Administer Jira", true),
        ("USER_PICKER", "Browse Users and Groups", true),
    ];
    let asked: Vec<&str> =
        call.params("permissions").flat_map(|p| p.split(',')).filter(|p| !p.is_empty()).collect();
    if asked.is_empty() {
        return Err(Problem::bad("The 'permissions' query parameter is required."));
    }
    let project = call.param("projectKey").or(call.param("projectId"));
    if project.is_some_and(|p| state.site.project_index(p).is_none()) {
        return Err(no_project(project.unwrap_or_default()));
    }
    let mut out = Map::new();
    for name in asked {
        let Some((at, (key, title, global))) = KNOWN.iter().enumerate().find(|(_, (key, _, _))| *key == name)
        else {
            return Err(Problem::bad(format!("Unrecognized permission: {name}")));
        };
        let kind = if *global { "GLOBAL" } else { "PROJECT" };
        out.insert(
            name.to_owned(),
            json!({
                "id": (at + 10).to_string(), "key": key, "name": title, "type": kind,
                "description": "", "havePermission": true
            }),
        );
    }
    Ok(Reply::ok(json!({"permissions": out})))
}

fn no_project(text: &str) -> Problem {
    Problem::not_found(format!("No project could be found with key '{text}'."))
}

fn project_of(state: &State, text: &str) -> Result<u16, Problem> {
    state.site.project_index(text).ok_or_else(|| no_project(text))
}

/// `GET /project/{id}`: with its types, components and versions.
pub(crate) fn project(state: &State, call: &Call, text: &str) -> Answer {
    let index = project_of(state, text)?;
    Ok(Reply::ok(full_project(state, call, index)))
}

fn full_project(state: &State, call: &Call, index: u16) -> Value {
    let project = &state.site.projects[usize::from(index)];
    let mut out = read::project(state, call, index);
    out["expand"] = json!("description,lead,issueTypes,url,projectKeys,permissions,insight");
    out["description"] = json!(project.description);
    out["lead"] = user(state, call, project.lead);
    out["style"] = json!("classic");
    out["isPrivate"] = json!(false);
    out["assigneeType"] = json!("UNASSIGNED");
    out["issueTypes"] = project.types.iter().map(|t| read::issue_type(state, call, t.kind)).collect();
    out["components"] = components(state, call, index);
    out["versions"] = versions(state, call, index);
    out
}

/// A person as the user resources show them.
pub(crate) fn user(state: &State, call: &Call, index: u16) -> Value {
    let person = state.site.user(index);
    let mut out = read::user(state, call, index);
    let avatar = |size: u32| format!("{}/avatar/{}?size={size}", call.base, person.account_id);
    out["avatarUrls"] = json!({
        "16x16": avatar(16), "24x24": avatar(24), "32x32": avatar(32), "48x48": avatar(48)
    });
    out["locale"] = json!("en_US");
    out
}

/// `GET /project/search` and `GET /project`.
pub(crate) fn projects(state: &State, call: &Call, paged: bool) -> Answer {
    let query = call.param("query").unwrap_or_default().to_lowercase();
    let keys: Vec<&str> = call.params("keys").chain(call.params("id")).collect();
    let mut list = Vec::new();
    for (at, project) in state.site.projects.iter().enumerate() {
        let id = project.id.to_string();
        let named =
            project.name.to_lowercase().contains(&query) || project.key.to_lowercase().contains(&query);
        if named && (keys.is_empty() || keys.iter().any(|k| *k == project.key || *k == id)) {
            list.push(full_project(state, call, u16::try_from(at).unwrap_or_default()));
        }
    }
    if paged {
        return Ok(Reply::ok(page(call, "project/search", list, 50, 100)));
    }
    Ok(Reply::ok(Value::Array(list)))
}

fn components(state: &State, call: &Call, index: u16) -> Value {
    let project = &state.site.projects[usize::from(index)];
    let one = |(id, name): &(u64, String)| {
        json!({
            "self": call.link(&format!("component/{id}")), "id": id.to_string(), "name": name,
            "project": project.key, "projectId": project.id, "isAssigneeTypeValid": false
        })
    };
    project.components.iter().map(one).collect()
}

fn versions(state: &State, call: &Call, index: u16) -> Value {
    let project = &state.site.projects[usize::from(index)];
    let one = |(id, name): &(u64, String)| {
        json!({
            "self": call.link(&format!("version/{id}")), "id": id.to_string(), "name": name,
            "archived": false, "released": false, "projectId": project.id
        })
    };
    project.versions.iter().map(one).collect()
}

/// The parts of a project: `statuses`, `components`, `versions`.
pub(crate) fn project_part(state: &State, call: &Call, text: &str, part: &str) -> Answer {
    let index = project_of(state, text)?;
    match part {
        "components" => Ok(Reply::ok(components(state, call, index))),
        "versions" => Ok(Reply::ok(versions(state, call, index))),
        "statuses" => {
            let project = &state.site.projects[usize::from(index)];
            let one = |setup: &crate::sandbox::jira_xray::site::TypeSetup| {
                let kind = &state.site.types[usize::from(setup.kind)];
                let flow = &state.site.workflows[usize::from(setup.workflow)];
                let statuses: Vec<Value> = flow
                    .statuses
                    .iter()
                    .map(|s| read::status(call, &state.site.statuses[usize::from(*s)]))
                    .collect();
                json!({
                    "self": call.link(&format!("issuetype/{}", kind.id)),
                    "id": kind.id.to_string(), "name": kind.name, "subtask": kind.subtask,
                    "statuses": statuses
                })
            };
            Ok(Reply::ok(project.types.iter().map(one).collect()))
        }
        _ => Err(Problem::not_found("Not found")),
    }
}

/// `GET /status`, `/status/{id}` and `/statuses/search`.
pub(crate) fn statuses(state: &State, call: &Call, one: Option<&str>) -> Answer {
    let list = state.site.statuses.iter();
    match one {
        None => Ok(Reply::ok(list.map(|s| read::status(call, s)).collect())),
        Some(text) => list
            .clone()
            .find(|s| s.id.to_string() == text || s.name.eq_ignore_ascii_case(text))
            .map(|s| Reply::ok(read::status(call, s)))
            .ok_or_else(|| Problem::not_found(format!("The status '{text}' does not exist."))),
    }
}

/// `GET /statuses/search`.
pub(crate) fn status_search(state: &State, call: &Call) -> Answer {
    let one = |s: &crate::sandbox::jira_xray::site::Status| {
        json!({
            "id": s.id.to_string(), "name": s.name, "description": "",
            "statusCategory": workflow::category_name(s.category), "scope": {"type": "GLOBAL"}
        })
    };
    let list = state.site.statuses.iter().map(one).collect();
    Ok(Reply::ok(page(call, "statuses/search", list, 200, 200)))
}

/// Priorities and resolutions, as lists and as pages.
pub(crate) fn listed(state: &State, call: &Call, what: &str, rest: Option<&str>) -> Answer {
    let count = |n: usize| u8::try_from(n).unwrap_or_default();
    let list: Vec<Value> = match what {
        "priority" => (0..count(state.site.priorities.len()))
            .map(|i| {
                let mut out = read::priority(state, call, i);
                out["statusColor"] = json!("#cccccc");
                out["description"] = json!("");
                out["isDefault"] = json!(i == 2);
                out
            })
            .collect(),
        _ => (0..count(state.site.resolutions.len())).map(|i| read::resolution(state, call, i)).collect(),
    };
    match rest {
        None => {
            let strip = |mut v: Value| {
                if let Some(map) = v.as_object_mut() {
                    map.remove("isDefault");
                }
                v
            };
            Ok(Reply::ok(list.into_iter().map(strip).collect()))
        }
        Some("search") => Ok(Reply::ok(page(call, &format!("{what}/search"), list, 50, 100))),
        Some(id) => list
            .into_iter()
            .find(|v| v["id"] == id)
            .map(Reply::ok)
            .ok_or_else(|| Problem::not_found(format!("The {what} '{id}' does not exist."))),
    }
}

/// `GET /issuetype` and one of them.
pub(crate) fn issue_types(state: &State, call: &Call, one: Option<&str>) -> Answer {
    let count = u16::try_from(state.site.types.len()).unwrap_or_default();
    match one {
        None => Ok(Reply::ok((0..count).map(|i| read::issue_type(state, call, i)).collect())),
        Some("project") => {
            let project = call.param("projectId").unwrap_or_default();
            let index = project_of(state, project)?;
            let types = &state.site.projects[usize::from(index)].types;
            Ok(Reply::ok(types.iter().map(|t| read::issue_type(state, call, t.kind)).collect()))
        }
        Some(id) => (0..count)
            .find(|i| state.site.types[usize::from(*i)].id.to_string() == id)
            .map(|i| Reply::ok(read::issue_type(state, call, i)))
            .ok_or_else(|| Problem::not_found("The issue type does not exist.")),
    }
}

/// How a field can be written: its entry in the create and edit metadata.
pub(crate) fn describe(state: &State, call: &Call, project: u16, field: &Field, required: bool) -> Value {
    let operations: &[&str] = match field.kind {
        FieldKind::Labels | FieldKind::Components | FieldKind::Versions => &["add", "set", "remove"],
        FieldKind::Links => &["add", "copy"],
        FieldKind::Comment => &["add", "edit", "remove"],
        FieldKind::Attachment => &["set", "copy"],
        _ => &["set"],
    };
    let mut out = json!({
        "required": required, "schema": read::schema(field), "name": field.name,
        "key": field.id, "hasDefaultValue": field.id == "priority", "operations": operations
    });
    let count = |n: usize| u8::try_from(n).unwrap_or_default();
    let options = || {
        let all = field.contexts.iter().flat_map(|c| c.options.iter());
        all.map(|(id, value)| {
            json!({"self": call.link(&format!("customFieldOption/{id}")), "value": value, "id": id.to_string()})
        })
        .collect::<Value>()
    };
    let allowed: Option<Value> = match field.kind {
        FieldKind::Priority => {
            Some((0..count(state.site.priorities.len())).map(|i| read::priority(state, call, i)).collect())
        }
        FieldKind::Resolution => {
            Some((0..count(state.site.resolutions.len())).map(|i| read::resolution(state, call, i)).collect())
        }
        FieldKind::Components => Some(components(state, call, project)),
        FieldKind::Versions => Some(versions(state, call, project)),
        FieldKind::Project => Some(json!([read::project(state, call, project)])),
        FieldKind::Select | FieldKind::MultiSelect | FieldKind::Cascade => Some(options()),
        _ => None,
    };
    if let Some(allowed) = allowed {
        out["allowedValues"] = allowed;
    }
    out
}

fn is_required(field: &Field, subtask: bool) -> bool {
    matches!(field.id.as_str(), "summary" | "issuetype" | "project") || (field.id == "parent" && subtask)
}

/// The fields on the screen of a type, each with whether it is required.
fn on_screen(state: &State, project: u16, kind: u16) -> Vec<(&Field, bool)> {
    let Some(screen) = state.site.screen(project, kind) else { return Vec::new() };
    let subtask = state.site.types[usize::from(kind)].subtask;
    let ids = screen.tabs.iter().flat_map(|t| t.fields.iter());
    ids.filter_map(|id| state.site.field(id))
        .filter(|f| state.site.field_applies(f, project, kind))
        .map(|f| (f, is_required(f, subtask)))
        .collect()
}

/// `GET /issue/createmeta/{project}/issuetypes[/{type}]`.
pub(crate) fn create_meta(state: &State, call: &Call, project: &str, kind: Option<&str>) -> Answer {
    let index = project_of(state, project)?;
    let start = call.number("startAt", 0);
    let max = call.number("maxResults", 50).min(200);
    let (key, list): (&str, Vec<Value>) = match kind {
        None => {
            let types = &state.site.projects[usize::from(index)].types;
            let one = |t: &crate::sandbox::jira_xray::site::TypeSetup| {
                let mut out = read::issue_type(state, call, t.kind);
                if let Some(map) = out.as_object_mut() {
                    map.remove("avatarId");
                }
                out
            };
            ("issueTypes", types.iter().map(one).collect())
        }
        Some(kind) => {
            let kind = state
                .site
                .types
                .iter()
                .position(|t| t.id.to_string() == kind)
                .and_then(|k| u16::try_from(k).ok())
                .filter(|k| state.site.setup(index, *k).is_some())
                .ok_or_else(|| Problem::bad("The issue type is not valid for the project."))?;
            let one = |(field, required): (&Field, bool)| {
                let mut out = describe(state, call, index, field, required);
                out["fieldId"] = json!(field.id);
                if field.kind == FieldKind::IssueType {
                    out["allowedValues"] = json!([read::issue_type(state, call, kind)]);
                }
                out
            };
            ("fields", on_screen(state, index, kind).into_iter().map(one).collect())
        }
    };
    let total = list.len();
    let shown: Vec<Value> = list.into_iter().skip(start).take(max).collect();
    let mut out = json!({"startAt": start, "maxResults": max, "total": total});
    out[key] = Value::Array(shown);
    Ok(Reply::ok(out))
}

/// `GET /issue/createmeta`, the deprecated call that shows everything at once.
pub(crate) fn create_meta_all(state: &State, call: &Call) -> Answer {
    let keys: Vec<&str> = call.params("projectKeys").flat_map(|k| k.split(',')).collect();
    let mut projects = Vec::new();
    for (at, project) in state.site.projects.iter().enumerate() {
        if !keys.is_empty() && !keys.contains(&project.key.as_str()) {
            continue;
        }
        let index = u16::try_from(at).unwrap_or_default();
        let types: Vec<Value> = project
            .types
            .iter()
            .map(|t| {
                let mut out = read::issue_type(state, call, t.kind);
                if call.param("expand").is_some_and(|e| e.contains("fields")) {
                    let fields = on_screen(state, index, t.kind).into_iter();
                    let map: Map<String, Value> =
                        fields.map(|(f, r)| (f.id.clone(), describe(state, call, index, f, r))).collect();
                    out["fields"] = Value::Object(map);
                }
                out
            })
            .collect();
        projects.push(json!({
            "self": call.link(&format!("project/{}", project.id)), "id": project.id.to_string(),
            "key": project.key, "name": project.name, "issuetypes": types
        }));
    }
    Ok(Reply::ok(json!({"expand": "projects", "projects": projects})))
}

/// The fields that can be edited: those on the screen, none while the status is locked.
pub(crate) fn edit_fields(state: &State, call: &Call, issue: &Issue) -> Value {
    let mut fields = Map::new();
    if !workflow::is_locked(state, issue) {
        for (field, required) in on_screen(state, issue.project, issue.kind) {
            if field.kind != FieldKind::Project {
                let described = describe(state, call, issue.project, field, required);
                fields.insert(field.id.clone(), described);
            }
        }
        if let Some(comment) = state.site.field("comment") {
            fields.insert("comment".into(), describe(state, call, issue.project, comment, false));
        }
    }
    json!({"fields": fields})
}
