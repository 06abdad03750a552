//! Project settings and the lists of statuses.

use serde_json::{Value, json};

use super::args::Args;
use super::resolve::Out;
use super::run_fields::{run_status, step_status};
use crate::sandbox::jira_xray::site::Role;
use crate::sandbox::jira_xray::store::State;

/// Answers the queries about settings.
pub(crate) fn query(state: &State, field: &str, args: &Args) -> Result<Out, String> {
    let statuses = || (0..state.site.run_statuses.len()).filter_map(|i| u8::try_from(i).ok());
    let steps = || (0..state.site.step_statuses.len()).filter_map(|i| u8::try_from(i).ok());
    Ok(Out::Json(match field {
        "getProjectSettings" => project(state, args.required("projectIdOrKey")?)?,
        "getProjectsSettings" => {
            let (start, limit) = args.window()?;
            let wanted = args.texts("projectIdsOrKeys");
            let all: Vec<String> = match wanted.is_empty() {
                false => wanted,
                true => state.site.projects.iter().map(|p| p.key.clone()).collect(),
            };
            let mut results = Vec::new();
            for text in all.iter().skip(start).take(limit) {
                results.push(project(state, text)?);
            }
            json!({"total": all.len(), "start": start, "limit": limit, "results": results, "warnings": []})
        }
        "getStatus" => {
            let name = args.required("name")?;
            let found = state.site.run_status(name).ok_or("Status not found")?;
            run_status(state, found)
        }
        "getStatuses" => statuses().map(|s| run_status(state, s)).collect(),
        "getStepStatus" => {
            let name = args.required("name")?;
            let found = state.site.step_status(name).ok_or("Step Status not found")?;
            step_status(state, found)
        }
        "getStepStatuses" => steps().map(|s| step_status(state, s)).collect(),
        "getIssueLinkTypes" => {
            state.site.link_types.iter().map(|t| json!({"name": t.name, "id": t.id.to_string()})).collect()
        }
        _ => Value::Null,
    }))
}

fn project(state: &State, text: &str) -> Result<Value, String> {
    let index =
        state.site.project_index(text).ok_or_else(|| format!("project with id or key {text} not found!"))?;
    let project = &state.site.projects[usize::from(index)];
    let of_role = |role: Role| -> Vec<String> {
        let kinds = project.types.iter().map(|t| &state.site.types[usize::from(t.kind)]);
        kinds.filter(|k| k.role == role).map(|k| k.id.to_string()).collect()
    };
    let link = state.site.link_types.iter().find(|t| t.name == "Test");
    let types: Vec<Value> =
        state.site.test_types.iter().map(|t| json!({"id": t.id, "name": t.name, "kind": t.kind})).collect();
    Ok(json!({
        "projectId": project.id.to_string(),
        "testEnvironments": state.xray.environments.get(&index).cloned().unwrap_or_default(),
        "testCoverageSettings": {
            "coverableIssueTypeIds": of_role(Role::Requirement), "epicIssuesRelation": false,
            "issueSubTasksRelation": false, "issueLinkTypeId": link.map(|l| l.id.to_string()),
            "issueLinkTypeDirection": "inward"
        },
        "defectIssueTypes": of_role(Role::Bug),
        "testTypeSettings": {
            "testTypes": types, "defaultTestTypeId": state.site.test_types[0].id
        },
        "testStepSettings": {"fields": []},
        "testRunCustomFieldSettings": {"fields": []}
    }))
}
