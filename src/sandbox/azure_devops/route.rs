//! The route table: which call answers which path, and which versions it takes.

use super::http::{Answer, Call, Failure, Version};
use super::json::decode;
use super::state::State;
use super::{
    attachments, batch, comments, configurations, discovery, feeds, legacy, links, members, metadata, nodes,
    plans, points, process, queries, read, recycle, result_reads, results, run_files, runs, suite_calls,
    tags, wiql, write,
};

/// What a route calls.
type Handler = fn(&mut State, &Call) -> Answer;

/// Where in the path a project may or must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Organisation only.
    Org,
    /// A project must be named, a team may.
    Project,
    /// With or without a project.
    Any,
}

/// Which versions a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Versions {
    Released,
    /// Preview only, in every version.
    Preview,
    /// Released with 7.0, preview before.
    Since70,
    /// Preview of 7.2 only.
    Only72,
}

/// One resource.
#[derive(Debug)]
pub(super) struct Route {
    /// The location id by which official clients find it; empty if they do not.
    pub(super) id: &'static str,
    pub(super) area: &'static str,
    pub(super) resource: &'static str,
    /// The revision of the resource's preview.
    pub(super) revision: u32,
    scope: Scope,
    pub(super) versions: Versions,
    /// The path after `_apis/`: `{name}` must be there, `{name?}` may, `{name*}` takes the rest.
    path: &'static str,
    verbs: &'static [(&'static str, Handler)],
}

impl Route {
    /// The path in the form of official clients.
    pub(super) fn template(&self) -> String {
        let prefix = match self.scope {
            Scope::Org => "",
            Scope::Project | Scope::Any => "{project}/",
        };
        let team = if self.resource.eq_ignore_ascii_case("wiql") { "{team}/" } else { "" };
        let path: Vec<String> = self
            .path
            .split('/')
            .map(|part| match part.strip_suffix("*}") {
                Some(name) => format!("{{*{}}}", name.trim_start_matches('{')),
                None => part.replace("?}", "}"),
            })
            .collect();
        format!("{prefix}{team}_apis/{}", path.join("/"))
    }

    /// What the placeholders match, if the path does.
    fn matches(&self, parts: &[String]) -> Option<Vec<(&'static str, String)>> {
        let mut params = Vec::new();
        let mut at = 0;
        for pattern in self.path.split('/') {
            let Some(open) = pattern.find('{') else {
                if !parts.get(at)?.eq_ignore_ascii_case(pattern) {
                    return None;
                }
                at += 1;
                continue;
            };
            let (prefix, name) = (&pattern[..open], pattern[open + 1..].trim_end_matches('}'));
            if let Some(name) = name.strip_suffix('*') {
                params.push((name, parts[at.min(parts.len())..].join("/")));
                return Some(params);
            }
            match (parts.get(at), name.strip_suffix('?')) {
                (None, Some(_)) => return Some(params),
                (None, None) => return None,
                (Some(part), optional) => {
                    params.push((optional.unwrap_or(name), part.strip_prefix(prefix)?.to_owned()));
                    at += 1;
                }
            }
        }
        (at == parts.len()).then_some(params)
    }
}

/// Declares routes.
macro_rules! routes {
    ($($id:literal $area:literal $resource:literal $revision:literal $scope:ident $versions:ident $path:literal
        [$($verb:literal $handler:path),* $(,)?];)*) => {
        /// Every resource, the more specific before the more general.
        pub(super) static ROUTES: &[Route] = &[$(Route {
            id: $id, area: $area, resource: $resource, revision: $revision, scope: Scope::$scope,
            versions: Versions::$versions, path: $path, verbs: &[$(($verb, $handler)),*],
        },)*];
    };
}

routes! {
    "e81700f7-3be2-46de-8624-2eb35882fcaa" "Location" "ResourceAreas" 1 Org Released "ResourceAreas/{areaId?}" ["GET" discovery::resource_areas];
    "00d9565f-ed9c-4a06-9a50-00e7896ccab4" "Location" "ConnectionData" 1 Org Preview "connectionData" ["GET" discovery::connection];
    "4976a71a-4487-49aa-8aab-a1eda469037a" "core" "properties" 1 Org Preview "projects/{projectId}/properties" ["GET" discovery::properties];
    "d30a3dd1-f8ba-442a-b86a-bd0c0c383e59" "core" "teams" 3 Org Released "projects/{projectId}/teams" ["GET" discovery::teams];
    "603fe2ac-9723-48b9-88ad-09305aa6c6e1" "core" "projects" 4 Org Released "projects/{projectId}" ["GET" discovery::project];
    "" "core" "projects" 4 Org Released "projects" ["GET" discovery::projects];

    "" "wit" "$batch" 1 Org Released "wit/$batch" ["PATCH" batch::batch, "POST" batch::batch];
    "62d3d110-0047-428c-ad3c-4fe872c91c74" "wit" "workItems" 3 Project Released "wit/workitems/${type}" ["POST" write::create, "PATCH" write::create, "GET" write::template];
    "a00c85a5-80fa-4565-99c3-bcd2181434bb" "wit" "revisions" 3 Any Released "wit/workItems/{id}/revisions/{revisionNumber?}" ["GET" read::revisions];
    "6570bf97-d02c-4a91-8d93-3abe9895b1a9" "wit" "updates" 3 Any Released "wit/workItems/{id}/updates/{updateNumber?}" ["GET" read::updates];
    "49e03b34-3be0-42e3-8a5d-e8dfb88ac954" "wit" "commentsVersions" 1 Project Preview "wit/workItems/{workItemId}/comments/{commentId}/versions/{version?}" ["GET" comments::versions];
    "608aac0a-32e1-4493-a863-b9cf4566d257" "wit" "comments" 4 Project Preview "wit/workItems/{workItemId}/comments/{commentId}" ["GET" comments::get, "PATCH" comments::update, "DELETE" comments::delete];
    "" "wit" "comments" 4 Project Preview "wit/workItems/{workItemId}/comments" ["GET" comments::list, "POST" comments::add];
    "72c7ddf8-2cdc-4f60-90cd-ab71c14a399b" "wit" "workItems" 3 Any Released "wit/workitems/{id}" ["GET" read::get, "PATCH" write::update, "DELETE" recycle::delete];
    "" "wit" "workItems" 3 Any Released "wit/workitems" ["GET" read::list];
    "908509b6-4248-4475-a1cd-829139ba419f" "wit" "workItemsBatch" 1 Any Released "wit/workitemsbatch" ["POST" read::batch];
    "8bc57545-27e5-420d-b709-f6e3ebcc1fc1" "wit" "workItemsDelete" 1 Any Released "wit/workitemsdelete" ["POST" recycle::delete_many];
    "b70d8d39-926c-465e-b927-b1bf0e5ca0e0" "wit" "recyclebin" 2 Any Released "wit/recyclebin/{id}" ["GET" recycle::get, "PATCH" recycle::restore, "DELETE" recycle::purge];
    "" "wit" "recyclebin" 2 Any Released "wit/recyclebin" ["GET" recycle::list];
    "1a9c53f7-f243-4447-b110-35ef023636e4" "wit" "wiql" 2 Any Released "wit/wiql" ["POST" wiql::query];
    "a02355f5-5f8a-4671-8e32-369d23aac83d" "wit" "wiql" 2 Any Released "wit/wiql/{id}" ["GET" wiql::stored, "HEAD" wiql::stored];
    "a67d190c-c41f-424b-814d-0e906f659301" "wit" "queries" 2 Project Released "wit/queries/{query*}" ["GET" queries::get, "POST" queries::create, "PATCH" queries::update, "DELETE" queries::delete];
    "4a644469-90c5-4fcc-9a9f-be0827d369ec" "wit" "workItemRevisionsDiscussions" 1 Any Preview "wit/reporting/workItemRevisions/discussions" ["GET" feeds::discussions];
    "f828fe59-dd87-495d-a17c-7a8d6211ca6c" "wit" "workItemRevisions" 2 Any Released "wit/reporting/workitemrevisions" ["GET" feeds::revisions, "POST" feeds::revisions];
    "b5b5b6d0-0308-40a1-b3f4-b9bb3c66878f" "wit" "workItemLinks" 3 Any Released "wit/reporting/workitemlinks" ["GET" feeds::links];
    "e07b5fa4-1499-494d-a496-64b860fd64ff" "wit" "attachments" 3 Any Released "wit/attachments/{id}" ["GET" attachments::download, "PUT" attachments::chunk];
    "" "wit" "attachments" 4 Any Only72 "wit/attachments/{id}" ["DELETE" attachments::delete];
    "" "wit" "attachments" 3 Any Released "wit/attachments" ["POST" attachments::upload];
    "5a172953-1b41-49d3-840a-33f79c3ce89f" "wit" "classificationNodes" 2 Project Released "wit/classificationnodes/{structureGroup}/{path*}" ["GET" nodes::get, "POST" nodes::create, "PATCH" nodes::update, "DELETE" nodes::delete];
    "a70579d1-f53a-48ee-a5be-7be8659023b9" "wit" "classificationNodes" 2 Project Released "wit/classificationnodes" ["GET" nodes::roots];
    "b51fd764-e5c2-4b9b-aaf7-3395cf4bdd94" "wit" "fields" 3 Any Released "wit/fields/{fieldNameOrRefName}" ["GET" metadata::field, "PATCH" metadata::update_field, "DELETE" metadata::delete_field];
    "" "wit" "fields" 3 Any Released "wit/fields" ["GET" metadata::fields, "POST" metadata::create_field];
    "bc15bc60-e7a8-43cb-ab01-2106be3983a1" "wit" "tags" 1 Project Released "wit/tags/{tagIdOrName}" ["GET" tags::get, "PATCH" tags::update, "DELETE" tags::delete];
    "" "wit" "tags" 1 Project Released "wit/tags" ["GET" tags::list];
    "bd293ce5-3d25-4192-8e67-e8092e879efb" "wit" "workItemTypesField" 3 Project Released "wit/workitemtypes/{type}/fields/{field?}" ["GET" metadata::type_fields];
    "7c9d7a76-4a09-43e8-b5df-bd792f4ac6aa" "wit" "workItemTypeStates" 1 Project Released "wit/workitemtypes/{type}/states" ["GET" metadata::type_states];
    "7c8d7a76-4a09-43e8-b5df-bd792f4ac6aa" "wit" "workItemTypes" 2 Project Released "wit/workitemtypes/{type}" ["GET" metadata::get_type];
    "" "wit" "workItemTypes" 2 Project Released "wit/workitemtypes" ["GET" metadata::types];
    "9b9f5734-36c8-415e-ba67-f83b45c31408" "wit" "workItemTypeCategories" 2 Project Released "wit/workitemtypecategories/{category?}" ["GET" metadata::categories];
    "f5d33bc9-5b49-4a3c-a9bd-f3cd46dd2165" "wit" "workItemRelationTypes" 2 Org Released "wit/workitemrelationtypes/{relation?}" ["GET" links::list_types];
    "1a31de40-e318-41cd-a6c6-881077df52e3" "wit" "artifactLinkTypes" 1 Org Released "wit/artifactlinktypes" ["GET" links::artifact_types];
    "a9a9aa7a-8c09-44d3-ad1b-46e855c1e3d3" "wit" "artifactUriQuery" 1 Any Released "wit/artifacturiquery" ["POST" links::artifact_query];
    "4e1eb4a5-1970-4228-a682-ec48eb2dca30" "wit" "workItemIcons" 1 Org Released "wit/workitemicons/{icon?}" ["GET" metadata::icons];
    "afae844b-e2f6-44c2-8053-17b3bb936a40" "wit" "workItemTransitions" 1 Org Released "wit/workitemtransitions" ["GET" read::next_states];

    "01e15468-e27c-4e20-a974-bd957dcccebc" "processes" "lists" 1 Org Released "work/processes/lists/{listId}" ["GET" process::lists, "PUT" process::update_list, "DELETE" process::delete_list];
    "" "processes" "lists" 1 Org Released "work/processes/lists" ["GET" process::lists, "POST" process::create_list];
    "bc0ad8dc-e3f3-46b0-b06c-5bf861793196" "processes" "fields" 2 Org Released "work/processes/{processId}/workItemTypes/{witRefName}/fields/{fieldRefName}" ["GET" process::type_fields, "PATCH" process::update_field, "DELETE" process::remove_field];
    "" "processes" "fields" 2 Org Released "work/processes/{processId}/workItemTypes/{witRefName}/fields" ["GET" process::type_fields, "POST" process::add_field];
    "31015d57-2dff-4a46-adb3-2fb4ee3dcec9" "processes" "states" 1 Org Released "work/processes/{processId}/workItemTypes/{witRefName}/states" ["GET" process::states];
    "1f59b363-a2d0-4b7e-9bc6-eb9f5f3f0e58" "processes" "controls" 1 Org Released "work/processes/{processId}/workItemTypes/{witRefName}/layout/groups/{groupId}/controls" ["POST" process::add_control];
    "fa8646eb-43cd-4b71-9564-40106fd63e40" "processes" "layout" 1 Org Released "work/processes/{processId}/workItemTypes/{witRefName}/layout" ["GET" process::layout];
    "e2e9d1a6-432d-4062-8870-bfcb8c324ad7" "processes" "workItemTypes" 2 Org Released "work/processes/{processId}/workitemtypes/{witRefName}" ["GET" process::types, "PATCH" process::update_type];
    "" "processes" "workItemTypes" 2 Org Released "work/processes/{processId}/workitemtypes" ["GET" process::types, "POST" process::derive];
    "02cc6a73-5cfb-427d-8c8e-b49fb086e8af" "processes" "processes" 2 Org Released "work/processes/{processId}" ["GET" process::get];
    "" "processes" "processes" 2 Org Released "work/processes" ["GET" process::get, "POST" process::create];

    "a4080e84-f17b-4fad-84f1-7960b6525bf2" "testplan" "Suites" 1 Org Since70 "testplan/suites" ["GET" suite_calls::by_case];
    "a9bd61ac-45cf-4d13-9441-43dcd01edf8d" "testplan" "SuiteTestCase" 3 Project Since70 "testplan/Plans/{planId}/Suites/{suiteId}/TestCase/{testCaseId}" ["GET" members::get, "DELETE" members::remove];
    "" "testplan" "SuiteTestCase" 3 Project Since70 "testplan/Plans/{planId}/Suites/{suiteId}/TestCase" ["GET" members::list, "POST" members::add, "PATCH" members::update, "DELETE" members::remove];
    "52df686e-bae4-4334-b0ee-b6cf4e6f6b73" "testplan" "TestPoint" 2 Project Since70 "testplan/Plans/{planId}/Suites/{suiteId}/TestPoint" ["GET" points::list, "PATCH" points::update];
    "1e58fbe6-1761-43ce-97f6-5492ec9d438e" "testplan" "bulk" 1 Project Since70 "testplan/Plans/{planId}/suites/{suiteId}/bulk" ["POST" suite_calls::create_many];
    "1046d5d3-ab61-4ca7-a65a-36118a978256" "testplan" "Suites" 1 Project Since70 "testplan/Plans/{planId}/suites/{suiteId}" ["GET" suite_calls::get, "PATCH" suite_calls::update, "DELETE" suite_calls::delete];
    "" "testplan" "Suites" 1 Project Since70 "testplan/Plans/{planId}/suites" ["GET" suite_calls::list, "POST" suite_calls::create];
    "0e292477-a0c2-47f3-a9b6-34f153d627f4" "testplan" "Plans" 1 Project Since70 "testplan/plans/{planId}" ["GET" plans::get, "PATCH" plans::update, "DELETE" plans::delete];
    "" "testplan" "Plans" 1 Project Since70 "testplan/plans" ["GET" plans::list, "POST" plans::create];
    "8369318e-38fa-4e84-9043-4b2a75d2c256" "testplan" "Configurations" 1 Project Since70 "testplan/configurations/{testConfigurationId}" ["GET" configurations::get, "PATCH" configurations::update, "DELETE" configurations::delete];
    "" "testplan" "Configurations" 1 Project Since70 "testplan/configurations" ["GET" configurations::list, "POST" configurations::create, "PATCH" configurations::update, "DELETE" configurations::delete];
    "2c61fac6-ac4e-45a5-8c38-1c2b8fd8ea6c" "testplan" "Variables" 1 Project Since70 "testplan/variables/{testVariableId}" ["GET" configurations::variable, "PATCH" configurations::update_variable, "DELETE" configurations::delete_variable];
    "" "testplan" "Variables" 1 Project Since70 "testplan/variables" ["GET" configurations::variables, "POST" configurations::create_variable];
    "d6733edf-72f1-4252-925b-c560dfe9b75a" "testplan" "SuiteEntry" 1 Project Since70 "testplan/suiteentry/{suiteId}" ["GET" suite_calls::order, "PATCH" suite_calls::reorder];
    "29006fb5-816b-4ff7-a329-599943569229" "testplan" "TestCases" 1 Project Since70 "testplan/testcases/{testCaseId}" ["DELETE" recycle::delete_case];

    "3bcfd5c8-be62-488e-b1da-b8289ce9299c" "Test" "Points" 2 Project Released "test/Plans/{planId}/Suites/{suiteId}/points/{pointIds}" ["GET" legacy::get_points, "PATCH" legacy::update_points];
    "" "Test" "Points" 2 Project Released "test/Plans/{planId}/Suites/{suiteId}/points" ["GET" legacy::points];
    "a4a1ec1c-b03f-41ca-8857-704594ecf58e" "Test" "TestCases" 3 Project Released "test/Plans/{planId}/suites/{suiteId}/testcases/{testCaseIds}" ["GET" legacy::cases, "POST" legacy::add_cases, "PATCH" legacy::update_cases, "DELETE" legacy::remove_cases];
    "" "Test" "TestCases" 3 Project Released "test/Plans/{planId}/suites/{suiteId}/testcases" ["GET" legacy::cases];
    "" "Test" "Suites" 3 Project Released "test/plans/{planId}/suites/{suiteId}" ["GET" legacy::get_suites, "POST" legacy::create_suite, "PATCH" legacy::update_suite, "DELETE" suite_calls::delete];
    "" "Test" "Suites" 3 Project Released "test/plans/{planId}/suites" ["GET" legacy::get_suites];
    "" "Test" "Suites" 3 Any Released "test/suites" ["GET" legacy::get_suites];
    "" "Test" "SuiteEntry" 1 Project Released "test/suiteentry/{suiteId}" ["GET" suite_calls::legacy_order, "PATCH" suite_calls::legacy_reorder];
    "" "Test" "Plans" 2 Project Released "test/plans/{planId}" ["GET" legacy::get_plans, "PATCH" legacy::update_plan, "DELETE" plans::delete];
    "" "Test" "Plans" 2 Project Released "test/plans" ["GET" legacy::get_plans, "POST" legacy::create_plan];
    "" "Test" "Configurations" 2 Project Released "test/configurations/{testConfigurationId}" ["GET" configurations::get, "PATCH" configurations::update, "DELETE" configurations::delete];
    "" "Test" "Configurations" 2 Project Released "test/configurations" ["GET" configurations::list, "POST" configurations::create];
    "" "Test" "Variables" 1 Project Released "test/variables/{testVariableId}" ["GET" configurations::variable, "PATCH" configurations::update_variable, "DELETE" configurations::delete_variable];
    "" "Test" "Variables" 1 Project Released "test/variables" ["GET" configurations::variables, "POST" configurations::create_variable];
    "b4264fd0-a5d1-43e2-82a5-b9c46b7da9ce" "Test" "Points" 2 Project Released "test/points" ["POST" legacy::query_points];
    "4d472e0f-e32c-4ef8-adf4-a4078772889c" "Test" "TestCases" 1 Project Released "test/testcases/{testCaseId}" ["DELETE" recycle::delete_case];
    "fabb3cc9-e3f8-40b7-8b62-24cc4b73fccf" "Test" "SharedStep" 1 Project Released "test/sharedstep/{sharedStepId}" ["DELETE" recycle::delete_shared_step];
    "8300eeca-0f8c-4eff-a089-d2dda409c41f" "Test" "SharedParameter" 1 Project Released "test/sharedparameter/{sharedParameterId}" ["DELETE" recycle::delete_shared_parameter];
    "a3206d9e-fa8d-42d3-88cb-f75c51e69cde" "Test" "ResultRetentionSettings" 1 Project Released "test/resultretentionsettings" ["GET" runs::retention, "PATCH" runs::retention];
    "2bffebe9-2f0f-4639-9af8-56129e9fed2d" "Test" "Attachments" 1 Project Released "test/Runs/{runId}/Results/{testCaseResultId}/attachments/{attachmentId}" ["GET" run_files::download];
    "" "Test" "Attachments" 1 Project Released "test/Runs/{runId}/Results/{testCaseResultId}/attachments" ["GET" run_files::list, "POST" run_files::upload];
    "6de20ca2-67de-4faf-97fa-38c5d585eb00" "Test" "Bugs" 1 Project Preview "test/Runs/{runId}/Results/{testCaseResultId}/bugs" ["GET" result_reads::bugs];
    "73eb9074-3446-4c44-8296-2f811950ff8d" "Test" "Iterations" 3 Project Released "test/Runs/{runId}/Results/{testCaseResultId}/iterations/{iterationId?}" ["GET" result_reads::iterations];
    "4f004af4-a507-489c-9b13-cb62060beb11" "Test" "Attachments" 1 Project Released "test/Runs/{runId}/attachments/{attachmentId}" ["GET" run_files::download];
    "" "Test" "Attachments" 1 Project Released "test/Runs/{runId}/attachments" ["GET" run_files::list, "POST" run_files::upload];
    "4637d869-3a76-4468-8057-0bb02aa385cf" "Test" "Results" 6 Project Released "test/Runs/{runId}/results/{testCaseResultId}" ["GET" result_reads::get];
    "" "Test" "Results" 6 Project Released "test/Runs/{runId}/results" ["GET" result_reads::list, "POST" results::add, "PATCH" results::update];
    "0a42c424-d764-4a16-a2d5-5c85f87d0ae8" "Test" "Statistics" 3 Project Released "test/runs/{runId}/Statistics" ["GET" runs::statistics];
    "cadb3810-d47d-4a3c-a234-fe5f3be50138" "Test" "Runs" 3 Project Released "test/runs/{runId}" ["GET" runs::get, "PATCH" runs::update, "DELETE" runs::delete];
    "" "Test" "Runs" 3 Project Released "test/runs" ["GET" runs::list, "POST" runs::create];

    "2a632e97-e014-4275-978f-8e5c4906d4b3" "testresults" "attachments" 1 Project Preview "testresults/runs/{runId}/results/{testCaseResultId}/attachments/{attachmentId}" ["GET" run_files::download, "DELETE" run_files::delete];
    "" "testresults" "attachments" 1 Project Preview "testresults/runs/{runId}/results/{testCaseResultId}/attachments" ["GET" run_files::list, "POST" run_files::upload];
    "d8dbf98f-eb34-4f8d-8365-47972af34f29" "testresults" "bugs" 1 Project Preview "testresults/runs/{runId}/results/{testCaseResultId}/bugs" ["GET" result_reads::bugs];
    "3d032fd6-e7a0-468b-b105-75d206f99aad" "testresults" "workitems" 2 Project Preview "testresults/runs/{runId}/results/{testCaseResultId}/workitems" ["GET" result_reads::bugs];
    "b5731898-8206-477a-a51d-3fdf116fc6bf" "testresults" "attachments" 1 Project Preview "testresults/runs/{runId}/attachments/{attachmentId}" ["GET" run_files::download, "DELETE" run_files::delete];
    "" "testresults" "attachments" 1 Project Preview "testresults/runs/{runId}/attachments" ["GET" run_files::list, "POST" run_files::upload];
    "02afa165-e79a-4d70-8f0c-2af0f35b4e07" "testresults" "results" 2 Project Preview "testresults/runs/{runId}/results/{testCaseResultId}" ["GET" result_reads::get];
    "" "testresults" "results" 2 Project Preview "testresults/runs/{runId}/results" ["GET" result_reads::list, "POST" results::add, "PATCH" results::update];
    "82b986e8-ca9e-4a89-b39e-f65c69bc104a" "testresults" "statistics" 3 Project Released "testresults/runs/{runId}/statistics" ["GET" runs::statistics];
    "364538f9-8062-4ce0-b024-75a0fb463f0d" "testresults" "runs" 2 Project Preview "testresults/runs/{runId}" ["GET" runs::get, "PATCH" runs::update, "DELETE" runs::delete];
    "" "testresults" "runs" 2 Project Preview "testresults/runs" ["GET" runs::list, "POST" runs::create];
}

/// A call that has found its handler.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) handler: Handler,
    pub(super) params: Vec<(&'static str, String)>,
    pub(super) project: Option<String>,
    pub(super) versions: Versions,
}

/// Finds the handler of a path below the organisation.
pub(super) fn find(method: &str, path: &str) -> Result<Found, Failure> {
    let parts: Vec<String> = path.split('/').filter(|p| !p.is_empty()).map(decode).collect();
    let missing = || {
        Failure::new(
            404,
            "HttpResourceNotFoundException",
            format!("The controller for path '{path}' was not found or does not implement the method."),
        )
    };
    let api = parts
        .iter()
        .position(|p| p.eq_ignore_ascii_case("_apis"))
        .filter(|at| *at <= 2)
        .ok_or_else(missing)?;
    let project = (api > 0).then(|| parts[0].clone());
    let fits = |route: &Route| match route.scope {
        Scope::Org => project.is_none(),
        Scope::Project => project.is_some(),
        Scope::Any => true,
    };
    let mut exists = false;
    for route in ROUTES.iter().filter(|r| fits(r)) {
        let Some(params) = route.matches(&parts[api + 1..]) else { continue };
        exists = true;
        if let Some((_, handler)) = route.verbs.iter().find(|(verb, _)| *verb == method) {
            return Ok(Found { handler: *handler, params, project, versions: route.versions });
        }
    }
    if exists {
        let message = format!("The requested resource does not support http method '{method}'.");
        return Err(Failure::new(405, "HttpMethodNotSupportedException", message));
    }
    Err(missing())
}

/// Reads `7.1-preview.3`.
pub(super) fn parse_version(text: &str) -> Option<Version> {
    let (number, preview) = match text.trim().split_once('-') {
        Some((number, preview)) => (number, Some(preview.to_ascii_lowercase())),
        None => (text.trim(), None),
    };
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    let revision = match preview.as_deref() {
        None | Some("preview") => 0,
        Some(preview) => preview.strip_prefix("preview.")?.parse().ok()?,
    };
    Some(Version { number: major * 10 + minor.min(9), preview: preview.is_some(), revision })
}

/// Checks the version that a client sends.
pub(super) fn check_version(found: &Found, method: &str, text: Option<&str>) -> Result<Version, Failure> {
    let Some(text) = text else {
        if matches!(method, "GET" | "HEAD") {
            return Ok(Version { number: 71, preview: found.versions == Versions::Preview, revision: 0 });
        }
        let message = format!(
            "No api-version was supplied for the \"{method}\" request. The version must be supplied either as part of the \
             Accept header (e.g. \"application/json; api-version=1.0\") or as a query parameter (e.g. \"?api-version=1.0\")."
        );
        return Err(Failure::new(400, "VssVersionNotSpecifiedException", message));
    };
    let version = parse_version(text).ok_or_else(|| {
        Failure::new(
            400,
            "VssVersionOutOfRangeException",
            format!("The api-version '{text}' is not valid: major.minor[-preview[.revision]] is expected."),
        )
    })?;
    if version.number > 72 {
        let message = format!(
            "The requested REST API version of {text} is out of range for this server. The latest REST API version this server supports is 7.2."
        );
        return Err(Failure::new(400, "VssVersionOutOfRangeException", message));
    }
    if found.versions == Versions::Only72 && version.number < 72 {
        return Err(Failure::new(
            404,
            "VssResourceNotFoundException",
            "API resource location is not registered for this version.",
        ));
    }
    let needs_preview = match found.versions {
        Versions::Released => version.number >= 72,
        Versions::Since70 => version.number >= 72 || version.number < 70,
        Versions::Preview | Versions::Only72 => true,
    };
    if needs_preview && !version.preview {
        let message = format!(
            "The requested version \"{text}\" of the resource is under preview. The -preview flag must be supplied in the \
             api-version for such requests. For example: \"{text}-preview\""
        );
        return Err(Failure::new(400, "VssInvalidPreviewVersionException", message));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_version("7.1"), Some(Version { number: 71, preview: false, revision: 0 }));
        assert_eq!(parse_version("5.0-preview.5"), Some(Version { number: 50, preview: true, revision: 5 }));
        assert_eq!(parse_version("x"), None);
    }

    #[test]
    fn paths_match_without_regard_to_case() {
        let found = find("GET", "/Fabrikam/_apis/testPlan/plans/1/SUITES/2/testcase").unwrap();
        assert_eq!(found.params, vec![("planId", "1".to_owned()), ("suiteId", "2".to_owned())]);
        assert_eq!(find("DELETE", "/Fabrikam/_apis/wit/wiql").unwrap_err().status, 405);
        assert_eq!(find("PATCH", "/Fabrikam/_apis/wit/$batch").unwrap_err().status, 404);
        assert_eq!(
            find("POST", "/Fabrikam/_apis/wit/workitems/$Test%20Case").unwrap().params[0].1,
            "Test Case"
        );
    }
}
