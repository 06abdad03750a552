//! What official clients ask first: locations, resource areas, the connection, projects.

use serde_json::{Value as Json, json};

use super::http::{Answer, Call, Failure, Reply};
use super::json::{no_project, project_url};
use super::route::{ROUTES, Route, Versions};
use super::state::State;
use super::value::{guid, iso};

/// Resource areas: id and name.
const AREAS: [(&str, &str); 9] = [
    ("c2aa639c-3ccc-4740-b3b6-ce2a1e1d984e", "Test"),
    ("e4c27205-9d23-4c98-b958-d798bc3f9cd4", "testplan"),
    ("c83eaf52-edf3-4034-ae11-17d38f25404c", "testresults"),
    ("5264459e-e5e0-4bd8-b118-0985e68a4ec5", "wit"),
    ("79134c72-4a58-4b42-976c-04e7115f32bf", "core"),
    ("5264459e-e5e0-4bd8-b118-0985e68a4ec6", "processes"),
    ("8477aec9-a4c7-4bd4-a456-ba4c53c989cb", "processDefinition"),
    ("1d4f49f9-02b9-4e26-b826-2cdb6195f2a9", "work"),
    ("0d55247a-1c47-4462-9b1f-5e2125590ee6", "Account"),
];

/// A route in the form of an API location.
fn location(route: &Route) -> Json {
    let preview = route.versions == Versions::Preview;
    json!({"id": route.id, "area": route.area, "resourceName": route.resource, "routeTemplate": route.template(),
        "resourceVersion": route.revision, "minVersion": "1.0", "maxVersion": "7.2",
        "releasedVersion": if preview || route.versions == Versions::Only72 { "0.0" } else { "7.1" }})
}

/// `OPTIONS _apis[/{area}]`.
pub(super) fn options(area: Option<&str>) -> Reply {
    let wanted = |r: &&Route| !r.id.is_empty() && area.is_none_or(|a| r.area.eq_ignore_ascii_case(a));
    Reply::list(ROUTES.iter().filter(wanted).map(location).collect())
}

/// `GET ResourceAreas[/{areaId}]`.
pub(super) fn resource_areas(_: &mut State, call: &Call) -> Answer {
    let show =
        |(id, name): &(&str, &str)| json!({"id": id, "name": name, "locationUrl": format!("{}/", call.base)});
    let Some(wanted) = call.param("areaId") else { return Ok(Reply::list(AREAS.iter().map(show).collect())) };
    let found =
        AREAS.iter().find(|(id, name)| id.eq_ignore_ascii_case(wanted) || name.eq_ignore_ascii_case(wanted));
    found.map(|a| Reply::ok(show(a))).ok_or_else(|| {
        Failure::new(
            404,
            "ResourceAreaNotFoundException",
            format!("The resource area {wanted} does not exist."),
        )
    })
}

/// `GET connectionData`.
pub(super) fn connection(state: &mut State, call: &Call) -> Answer {
    let person = state.people.get(call.user as usize).cloned().unwrap_or_else(|| super::state::Person {
        guid: guid("nobody"),
        name: "Nobody".to_owned(),
        unique: String::new(),
    });
    let user = json!({"id": person.guid, "descriptor": format!("Microsoft.IdentityModel.Claims.ClaimsIdentity;{}", person.unique),
        "subjectDescriptor": super::json::descriptor(&person), "providerDisplayName": person.name, "isActive": true,
        "properties": {"Account": {"$type": "System.String", "$value": person.unique}}, "resourceVersion": 2, "metaTypeId": 0});
    Ok(Reply::ok(json!({
        "authenticatedUser": user, "authorizedUser": user, "instanceId": guid("instance contoso"),
        "deploymentId": guid("deployment contoso"), "deploymentType": "hosted",
        "locationServiceData": {"serviceOwner": "00025394-6065-48ca-87d9-7f5672854ef7",
            "defaultAccessMappingMoniker": "PublicAccessMapping", "lastChangeId": 1, "lastChangeId64": 1},
    })))
}

fn show(state: &State, call: &Call, number: u16) -> Json {
    let project = state.project(number);
    json!({"id": project.guid, "name": project.name, "description": project.description,
        "url": project_url(&call.base, project), "state": "wellFormed", "revision": 11, "visibility": "private",
        "lastUpdateTime": iso(project.created)})
}

/// `GET projects`.
pub(super) fn projects(state: &mut State, call: &Call) -> Answer {
    let (skip, top) = (call.number("$skip")?.unwrap_or(0), call.number("$top")?.unwrap_or(100));
    let skip = skip.max(call.number("continuationtoken")?.unwrap_or(0));
    let wanted =
        call.q("statefilter").is_none_or(|s| ["wellformed", "all", "1"].contains(&s.to_lowercase().as_str()));
    let all = state.projects.len() * usize::from(wanted);
    let numbers = (0..all).skip(skip).take(top).filter_map(|n| u16::try_from(n).ok());
    let next = (skip + top < all).then(|| (skip + top).to_string());
    Ok(Reply::list(numbers.map(|n| show(state, call, n)).collect()).with_token(next))
}

fn named(state: &State, call: &Call) -> Result<u16, Failure> {
    let name = call.param("projectId").unwrap_or_default();
    state.find_project(name).ok_or_else(|| no_project(name))
}

fn template(state: &State, number: u16) -> Json {
    let process = &state.processes[state.project(number).process];
    json!({"templateName": process.name, "templateTypeId": process.guid})
}

/// `GET projects/{projectId}`.
pub(super) fn project(state: &mut State, call: &Call) -> Answer {
    let number = named(state, call)?;
    let held = state.project(number);
    let mut body = show(state, call, number);
    let url = project_url(&call.base, held);
    body["_links"] = json!({"self": {"href": url}, "collection": {"href": format!("{}/_apis/projectCollections/{}", call.base, guid("collection contoso"))},
        "web": {"href": format!("{}/{}", call.base, super::json::encode(&held.name))}});
    let team = guid(&format!("team {}", held.name));
    body["defaultTeam"] =
        json!({"id": team, "name": format!("{} Team", held.name), "url": format!("{url}/teams/{team}")});
    if call.flag("includecapabilities") {
        body["capabilities"] = json!({"processTemplate": template(state, number), "versioncontrol": {"sourceControlType": "Git", "gitEnabled": "True", "tfvcEnabled": "False"}});
    }
    Ok(Reply::ok(body))
}

/// `GET projects/{projectId}/properties`.
pub(super) fn properties(state: &mut State, call: &Call) -> Answer {
    let number = named(state, call)?;
    let process = &state.processes[state.project(number).process];
    let system = process.parent.clone().unwrap_or_else(|| process.guid.clone());
    let all = [
        ("System.CurrentProcessTemplateId", process.guid.clone()),
        ("System.OriginalProcessTemplateId", system),
        ("System.ProcessTemplateType", process.guid.clone()),
        ("System.Process Template", process.name.clone()),
    ];
    let wanted = |name: &str| {
        call.q("keys").is_none_or(|keys| {
            keys.split(',').any(|k| match k.trim().strip_suffix('*') {
                Some(start) => name.to_lowercase().starts_with(&start.to_lowercase()),
                None => k.trim().eq_ignore_ascii_case(name),
            })
        })
    };
    let shown = all
        .iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, value)| json!({"name": name, "value": value}));
    Ok(Reply::list(shown.collect()))
}

/// `GET projects/{projectId}/teams`.
pub(super) fn teams(state: &mut State, call: &Call) -> Answer {
    let number = named(state, call)?;
    let held = state.project(number);
    let team = guid(&format!("team {}", held.name));
    let url = format!("{}/teams/{team}", project_url(&call.base, held));
    Ok(Reply::list(vec![
        json!({"id": team, "name": format!("{} Team", held.name), "url": url, "description": "The default project team.",
        "identityUrl": format!("{}/_apis/Identities/{team}", call.base), "projectName": held.name, "projectId": held.guid}),
    ]))
}
