//! People: looked up by account id, or searched for by name and e-mail.

use serde_json::Value;

use super::{Call, meta, page};
use crate::sandbox::jira_xray::reply::{Answer, Problem, Reply};
use crate::sandbox::jira_xray::store::State;

fn all(state: &State) -> impl Iterator<Item = u16> + '_ {
    (0..state.site.users.len()).filter_map(|i| u16::try_from(i).ok())
}

/// `/user…` and `/users/search`.
pub(crate) fn route(state: &State, call: &Call, path: &[&str]) -> Answer {
    match path {
        [] => {
            let id = call.param("accountId").unwrap_or_default();
            let found = state.site.user_index(id);
            found.map(|u| Reply::ok(meta::user(state, call, u))).ok_or_else(|| {
                Problem::not_found("Specified user does not exist or you do not have required permissions")
            })
        }
        ["bulk"] => {
            let wanted = call.params("accountId").filter_map(|id| state.site.user_index(id));
            let list = wanted.map(|u| meta::user(state, call, u)).collect();
            Ok(Reply::ok(page(call, "user/bulk", list, 10, 200)))
        }
        ["search"] => {
            let query = call.param("query").or(call.param("accountId"));
            let query = query
                .ok_or_else(|| Problem::bad("The query, accountId or property parameter must be given."))?;
            Ok(Reply::ok(matching(state, call, query, |_| true)))
        }
        ["assignable", "search"] => {
            let project = call.param("project").and_then(|p| state.site.project_index(p));
            let issue = call.param("issueKey").and_then(|i| state.find_issue(i));
            if project.is_none() && issue.is_none() {
                return Err(Problem::not_found("A project or an issue must be given."));
            }
            let query = call.param("query").unwrap_or_default();
            Ok(Reply::ok(matching(state, call, query, |u| state.site.user(u).active)))
        }
        _ => Err(Problem::not_found("Not found")),
    }
}

fn matching(state: &State, call: &Call, query: &str, keep: impl Fn(u16) -> bool) -> Value {
    let query = query.to_lowercase();
    let fits = |u: &u16| {
        let user = state.site.user(*u);
        let texts = [&user.name, &user.email, &user.account_id];
        texts.iter().any(|t| t.to_lowercase().contains(&query)) && keep(*u)
    };
    let start = call.number("startAt", 0);
    let max = call.number("maxResults", 50).min(1_000);
    all(state).filter(fits).skip(start).take(max).map(|u| meta::user(state, call, u)).collect()
}

/// `GET /users/search`: everyone.
pub(crate) fn everyone(state: &State, call: &Call) -> Answer {
    Ok(Reply::ok(matching(state, call, "", |_| true)))
}
