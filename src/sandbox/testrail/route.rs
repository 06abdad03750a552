//! The calls of the API by name, each with its verb and the right that it takes.

use super::auth::Right::{self, Admin, Design, Lead, Read, Test};
use super::call::Call;
use super::face::Face;
use super::reply::{Answer, Problem};
use super::state::State;
use super::{
    attachments as a, case_delete as d, case_write as w, cases as c, configs as g, entries as e, fields as f,
    history as h, labels as l, meta as m, milestones as i, plans as p, projects as o, results as r,
    runs as n, sections as s, shared_steps as k, tests_read as t, users as u,
};

/// What answers a call.
type Handler = fn(&mut State, &Call) -> Answer;

/// One call. What only reads is asked by GET, everything else by POST.
#[derive(Clone, Copy)]
pub(super) struct Route {
    pub(super) name: &'static str,
    pub(super) right: Right,
    pub(super) handler: Handler,
}

impl Route {
    /// Whether it is asked by GET.
    pub(super) fn reads(&self) -> bool {
        self.name.starts_with("get_")
    }

    /// Whether it takes a file.
    pub(super) fn uploads(&self) -> bool {
        self.name.starts_with("add_attachment")
    }
}

const fn route(name: &'static str, right: Right, handler: Handler) -> Route {
    Route { name, right, handler }
}

const REPOSITORY: [Route; 35] = [
    route("get_project", Read, o::get_project),
    route("get_projects", Read, o::get_projects),
    route("add_project", Admin, o::add_project),
    route("update_project", Admin, o::update_project),
    route("delete_project", Admin, o::delete_project),
    route("get_suite", Read, o::get_suite),
    route("get_suites", Read, o::get_suites),
    route("add_suite", Design, o::add_suite),
    route("update_suite", Design, o::update_suite),
    route("delete_suite", Design, o::delete_suite),
    route("get_section", Read, s::get_section),
    route("get_sections", Read, s::get_sections),
    route("add_section", Design, s::add_section),
    route("update_section", Design, s::update_section),
    route("move_section", Design, s::move_section),
    route("delete_section", Design, s::delete_section),
    route("get_case", Read, c::get_case),
    route("get_cases", Read, c::get_cases),
    route("get_history_for_case", Read, h::get_history_for_case),
    route("add_case", Design, w::add_case),
    route("add_cases", Design, w::add_cases),
    route("update_case", Design, w::update_case),
    route("update_cases", Design, w::update_cases),
    route("delete_case", Design, d::delete_case),
    route("delete_cases", Design, d::delete_cases),
    route("copy_cases_to_section", Design, w::copy_cases_to_section),
    route("move_cases_to_section", Design, w::move_cases_to_section),
    route("get_shared_step", Read, k::get_shared_step),
    route("get_shared_steps", Read, k::get_shared_steps),
    route("get_shared_step_history", Read, k::get_shared_step_history),
    route("add_shared_step", Design, k::add_shared_step),
    route("update_shared_step", Design, k::update_shared_step),
    route("delete_shared_step", Design, k::delete_shared_step),
    route("get_label", Read, l::get_label),
    route("get_labels", Read, l::get_labels),
];

const SETUP: [Route; 41] = [
    route("add_label", Design, l::add_label),
    route("update_label", Design, l::update_label),
    route("delete_label", Design, l::delete_label),
    route("delete_labels", Design, l::delete_labels),
    route("get_case_fields", Read, f::get_case_fields),
    route("add_case_field", Admin, f::add_case_field),
    route("get_result_fields", Read, f::get_result_fields),
    route("get_case_types", Read, m::get_case_types),
    route("get_priorities", Read, m::get_priorities),
    route("get_templates", Read, m::get_templates),
    route("get_statuses", Read, m::get_statuses),
    route("get_case_statuses", Read, m::get_case_statuses),
    route("get_configs", Read, g::get_configs),
    route("add_config_group", Lead, g::add_config_group),
    route("update_config_group", Lead, g::update_config_group),
    route("delete_config_group", Lead, g::delete_config_group),
    route("add_config", Lead, g::add_config),
    route("update_config", Lead, g::update_config),
    route("delete_config", Lead, g::delete_config),
    route("get_milestone", Read, i::get_milestone),
    route("get_milestones", Read, i::get_milestones),
    route("add_milestone", Lead, i::add_milestone),
    route("update_milestone", Lead, i::update_milestone),
    route("delete_milestone", Lead, i::delete_milestone),
    route("get_user", Read, u::get_user),
    route("get_current_user", Read, u::get_current_user),
    route("get_user_by_email", Read, u::get_user_by_email),
    route("get_users", Read, u::get_users),
    route("add_user", Admin, u::add_user),
    route("update_user", Admin, u::update_user),
    route("get_roles", Read, u::get_roles),
    route("get_groups", Read, u::get_groups),
    route("get_group", Read, u::get_group),
    route("add_group", Admin, u::add_group),
    route("update_group", Admin, u::update_group),
    route("delete_group", Admin, u::delete_group),
    route("get_attachment", Read, a::get_attachment),
    route("delete_attachment", Test, a::delete_attachment),
    route("get_attachments_for_case", Read, a::get_attachments_for_case),
    route("get_attachments_for_plan", Read, a::get_attachments_for_plan),
    route("get_attachments_for_plan_entry", Read, a::get_attachments_for_plan_entry),
];

const EXECUTION: [Route; 37] = [
    route("get_attachments_for_run", Read, a::get_attachments_for_run),
    route("get_attachments_for_test", Read, a::get_attachments_for_test),
    route("add_attachment_to_case", Design, a::add_attachment_to_case),
    route("add_attachment_to_plan", Lead, a::add_attachment_to_plan),
    route("add_attachment_to_plan_entry", Lead, a::add_attachment_to_plan_entry),
    route("add_attachment_to_run", Test, a::add_attachment_to_run),
    route("add_attachment_to_result", Test, a::add_attachment_to_result),
    route("get_run", Read, n::get_run),
    route("get_runs", Read, n::get_runs),
    route("add_run", Lead, n::add_run),
    route("update_run", Lead, n::update_run),
    route("close_run", Lead, n::close_run),
    route("delete_run", Lead, n::delete_run),
    route("get_plan", Read, p::get_plan),
    route("get_plans", Read, p::get_plans),
    route("add_plan", Lead, p::add_plan),
    route("update_plan", Lead, p::update_plan),
    route("close_plan", Lead, p::close_plan),
    route("delete_plan", Lead, p::delete_plan),
    route("add_plan_entry", Lead, e::add_plan_entry),
    route("update_plan_entry", Lead, e::update_plan_entry),
    route("delete_plan_entry", Lead, e::delete_plan_entry),
    route("add_run_to_plan_entry", Lead, e::add_run_to_plan_entry),
    route("update_run_in_plan_entry", Lead, e::update_run_in_plan_entry),
    route("delete_run_from_plan_entry", Lead, e::delete_run_from_plan_entry),
    route("get_test", Read, t::get_test),
    route("get_tests", Read, t::get_tests),
    route("update_test", Test, t::update_test),
    route("update_tests", Test, t::update_tests),
    route("get_results", Read, r::get_results),
    route("get_results_for_case", Read, r::get_results_for_case),
    route("get_results_for_run", Read, r::get_results_for_run),
    route("add_result", Test, r::add_result),
    route("add_result_for_case", Test, r::add_result_for_case),
    route("add_results", Test, r::add_results),
    route("add_results_for_cases", Test, r::add_results_for_cases),
    route("edit_result", Test, r::edit_result),
];

/// Calls that a version before 7.2 does not know.
const LATER: [&str; 12] = [
    "add_cases",
    "get_case_statuses",
    "get_label",
    "get_labels",
    "add_label",
    "update_label",
    "delete_label",
    "delete_labels",
    "update_test",
    "update_tests",
    "edit_result",
    "get_roles",
];

/// Finds a call by its name and checks the verb.
pub(super) fn find(face: Face, name: &str, verb: &str) -> Result<Route, Problem> {
    let found = REPOSITORY.iter().chain(&SETUP).chain(&EXECUTION).find(|r| r.name == name);
    let known = found.filter(|_| !(face.old() && LATER.contains(&name)));
    let route = known.ok_or_else(|| Problem::new(404, format!("No route found for \"api/v2/{name}\".")))?;
    let right = if route.reads() { matches!(verb, "GET" | "HEAD") } else { verb == "POST" };
    if right {
        return Ok(*route);
    }
    let verb = verb.to_ascii_lowercase();
    Err(Problem::new(404, format!("Unsupported HTTP method \"{verb}\" for this action.")))
}
