//! Drives the emulator as a client would, with requests in the form of the official examples.

use std::time::Duration;

use base64::Engine as _;
use futures::executor::block_on;
use serde_json::{Value as Json, json};

use super::AzureDevOps;
use super::auth::TOKEN;
use crate::sandbox::world::{PROJECT, World};
use crate::sandbox::{Emulator, Options, Request, Response};

fn options(size: usize, empty: bool) -> Options {
    Options { size, seed: 7, empty, limits: false, index_lag: Duration::ZERO }
}

fn empty() -> AzureDevOps {
    AzureDevOps::new(&options(20, true), &World::generate(20, 7))
}

fn filled() -> AzureDevOps {
    AzureDevOps::new(&options(60, false), &World::generate(60, 7))
}

fn basic(token: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!(":{token}")))
}

fn send(
    emulator: &AzureDevOps,
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Response {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut all = vec![("authorization".to_owned(), basic(TOKEN))];
    all.extend(headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
    let request = Request {
        method: method.to_owned(),
        path: format!("/contoso{path}"),
        query: query.to_owned(),
        headers: all,
        body: body.into(),
        base: "http://127.0.0.1:4101".to_owned(),
    };
    block_on(emulator.handle(request))
}

fn parse(response: &Response) -> Json {
    serde_json::from_slice(&response.body).unwrap_or(Json::Null)
}

/// Sends a call of version 7.1 and gives its status and body.
fn call(emulator: &AzureDevOps, method: &str, url: &str, body: Json) -> (u16, Json) {
    let mark = if url.contains('?') { '&' } else { '?' };
    let url =
        if url.contains("api-version") { url.to_owned() } else { format!("{url}{mark}api-version=7.1") };
    let patch = url.to_lowercase().contains("/wit/workitems/") && body.is_array();
    let kind = if patch { "application/json-patch+json" } else { "application/json" };
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let response = send(emulator, method, &url, &[("content-type", kind)], bytes);
    (response.status, parse(&response))
}

fn ok(emulator: &AzureDevOps, method: &str, url: &str, body: Json) -> Json {
    let (status, body) = call(emulator, method, url, body);
    assert!(status < 300, "{method} {url}: {status} {body}");
    body
}

fn set(field: &str, value: impl Into<Json>) -> Json {
    json!({"op": "add", "path": format!("/fields/{field}"), "value": value.into()})
}

fn create(emulator: &AzureDevOps, kind: &str, ops: Vec<Json>) -> u64 {
    let url = format!("/{PROJECT}/_apis/wit/workitems/${}", kind.replace(' ', "%20"));
    ok(emulator, "POST", &url, Json::Array(ops))["id"].as_u64().unwrap()
}

fn case(emulator: &AzureDevOps, title: &str) -> u64 {
    create(emulator, "Test Case", vec![set("System.Title", title)])
}

fn plan(emulator: &AzureDevOps, name: &str) -> (u64, u64) {
    let plan = ok(emulator, "POST", &format!("/{PROJECT}/_apis/testplan/plans"), json!({"name": name}));
    (plan["id"].as_u64().unwrap(), plan["rootSuite"]["id"].as_u64().unwrap())
}

fn add_cases(emulator: &AzureDevOps, plan: u64, suite: u64, cases: &[u64]) -> Json {
    let body: Vec<Json> = cases.iter().map(|c| json!({"workItem": {"id": c}})).collect();
    ok(
        emulator,
        "POST",
        &format!("/{PROJECT}/_apis/testplan/Plans/{plan}/Suites/{suite}/TestCase"),
        Json::Array(body),
    )
}

fn points(emulator: &AzureDevOps, plan: u64, suite: u64) -> Vec<Json> {
    let url = format!("/{PROJECT}/_apis/testplan/Plans/{plan}/Suites/{suite}/TestPoint");
    ok(emulator, "GET", &url, Json::Null)["value"].as_array().unwrap().clone()
}

#[test]
fn a_wrong_token_looks_like_success_with_a_sign_in_page() {
    let emulator = empty();
    let mut request = Request {
        method: "GET".to_owned(),
        path: "/contoso/_apis/projects".to_owned(),
        query: String::new(),
        headers: vec![("authorization".to_owned(), basic("wrong"))],
        body: Default::default(),
        base: "http://127.0.0.1:4101".to_owned(),
    };
    let response = block_on(emulator.handle(request.clone()));
    assert_eq!(response.status, 203);
    assert!(response.headers.iter().any(|(n, v)| n == "Content-Type" && v.starts_with("text/html")));
    request.headers.clear();
    let response = block_on(emulator.handle(request));
    assert_eq!(response.status, 401);
    assert!(response.headers.iter().any(|(n, _)| n == "WWW-Authenticate"));
}

#[test]
fn versions_are_checked_where_the_service_checks_them() {
    let emulator = empty();
    let url = format!("/{PROJECT}/_apis/testplan/plans");
    let response = send(&emulator, "POST", &url, &[("content-type", "application/json")], b"{}".to_vec());
    assert_eq!(
        (response.status, parse(&response)["typeKey"].as_str()),
        (400, Some("VssVersionNotSpecifiedException"))
    );
    let (status, body) = call(&emulator, "GET", &format!("{url}?api-version=5.0"), Json::Null);
    assert_eq!((status, body["typeKey"].as_str()), (400, Some("VssInvalidPreviewVersionException")));
    let accept = [("accept", "application/json;api-version=7.1")];
    assert_eq!(send(&emulator, "GET", &url, &accept, Vec::new()).status, 200);
    let (status, _) = call(&emulator, "GET", "/_apis/connectionData?api-version=7.1-preview", Json::Null);
    assert_eq!(status, 200);
}

#[test]
fn official_clients_find_locations_areas_and_projects() {
    let emulator = empty();
    let locations = ok(&emulator, "OPTIONS", "/_apis/testplan", Json::Null);
    let plans = locations["value"]
        .as_array()
        .unwrap()
        .iter()
        .find(|l| l["id"] == "0e292477-a0c2-47f3-a9b6-34f153d627f4");
    assert_eq!(plans.unwrap()["routeTemplate"], "{project}/_apis/testplan/plans/{planId}");
    let areas = ok(&emulator, "GET", "/_apis/ResourceAreas", Json::Null);
    assert!(areas["count"].as_u64().unwrap() > 3);
    let projects = ok(&emulator, "GET", "/_apis/projects", Json::Null);
    assert_eq!(projects["count"], 2);
    let guid = projects["value"][0]["id"].as_str().unwrap();
    assert_eq!(
        ok(&emulator, "GET", &format!("/{guid}/_apis/wit/workitemtypes/Bug"), Json::Null)["name"],
        "Bug"
    );
    assert_eq!(call(&emulator, "GET", "/Nowhere/_apis/wit/workitemtypes", Json::Null).0, 404);
}

#[test]
fn a_stale_revision_is_refused_and_nothing_is_applied() {
    let emulator = empty();
    let id = case(&emulator, "Login works");
    let url = format!("/_apis/wit/workitems/{id}");
    let test = |rev: u64| json!({"op": "test", "path": "/rev", "value": rev});
    let item = ok(&emulator, "PATCH", &url, json!([test(1), set("System.Title", "Login still works")]));
    assert_eq!(
        (item["rev"].as_u64(), item["fields"]["System.Title"].as_str()),
        (Some(2), Some("Login still works"))
    );
    let before = emulator.state();
    let (status, body) = call(&emulator, "PATCH", &url, json!([set("System.Title", "x"), test(1)]));
    assert_eq!((status, body["typeKey"].as_str()), (412, Some("WorkItemRevisionMismatchException")));
    assert_eq!(emulator.state(), before);
    let same = ok(&emulator, "PATCH", &url, json!([set("System.Title", "Login still works")]));
    assert_eq!(same["rev"], 2, "a patch that changes nothing makes no revision");
}

#[test]
fn rules_of_the_type_are_kept() {
    let emulator = empty();
    let url = format!("/{PROJECT}/_apis/wit/workitems/$Test%20Case");
    let refuse = |ops: Json| {
        let (status, body) = call(&emulator, "POST", &url, ops);
        assert_eq!(status, 400, "{body}");
        body["message"].as_str().unwrap_or_default().to_owned()
    };
    assert!(refuse(json!([])).contains("TF401320"));
    assert!(refuse(json!([set("System.Title", "a".repeat(256))])).contains("InvalidTooLong"));
    assert!(refuse(json!([set("System.Title", "a"), set("System.State", "Closed")])).contains("TF401326"));
    assert!(
        refuse(json!([set("System.Title", "a"), set("System.AreaPath", "Nowhere")])).contains("TF401347")
    );
    assert!(refuse(json!([set("System.Title", "a"), set("Custom.Unknown", "x")])).contains("TF51535"));
    let id = case(&emulator, "a");
    let url = format!("/_apis/wit/workitems/{id}");
    let item = ok(&emulator, "PATCH", &url, json!([set("System.State", "Closed")]));
    assert_eq!(item["fields"]["System.Reason"], "Obsolete");
    let old = json!([
        set("System.Title", "b"),
        set("System.State", "Ready"),
        set("System.CreatedDate", "2020-01-02T03:04:05Z")
    ]);
    let made =
        ok(&emulator, "POST", &format!("/{PROJECT}/_apis/wit/workitems/$Test%20Case?bypassRules=true"), old);
    assert_eq!(made["fields"]["System.CreatedDate"], "2020-01-02T03:04:05Z");
    assert_eq!(made["fields"]["System.State"], "Ready");
    let before = emulator.state();
    ok(&emulator, "PATCH", &format!("{url}?validateOnly=true"), json!([set("System.Title", "c")]));
    assert_eq!(emulator.state(), before);
}

#[test]
fn tags_merge_on_add_and_are_overwritten_on_replace() {
    let emulator = empty();
    let id = create(&emulator, "Bug", vec![set("System.Title", "b"), set("System.Tags", "Tag0")]);
    let url = format!("/_apis/wit/workitems/{id}");
    let item = ok(&emulator, "PATCH", &url, json!([set("System.Tags", "Tag1; Tag2")]));
    assert_eq!(item["fields"]["System.Tags"], "Tag0; Tag1; Tag2");
    let item = ok(
        &emulator,
        "PATCH",
        &url,
        json!([{"op": "replace", "path": "/fields/System.Tags", "value": "Tag2"}]),
    );
    assert_eq!(item["fields"]["System.Tags"], "Tag2");
}

#[test]
fn a_batch_creates_links_and_fails_item_by_item() {
    let emulator = empty();
    let element = |uri: String, body: Json| json!({"method": "PATCH", "uri": uri, "headers": {"Content-Type": "application/json-patch+json"}, "body": body});
    let make = |n: i64, title: &str| {
        let ops = json!([{"op": "add", "path": "/id", "value": n.to_string()}, set("System.Title", title)]);
        element(format!("/{PROJECT}/_apis/wit/workitems/$Test%20Case?api-version=5.0"), ops)
    };
    let link = json!([{"op": "test", "path": "/rev", "value": 9}]);
    let story = {
        let relation = json!({"rel": "Microsoft.VSTS.Common.TestedBy-Forward", "url": "https://dev.azure.com/fab/_apis/wit/workItems/-1"});
        let ops = json!([{"op": "add", "path": "/id", "value": -2}, set("System.Title", "story"), {"op": "add", "path": "/relations/-", "value": relation}]);
        element(format!("/{PROJECT}/_apis/wit/workitems/$User%20Story?api-version=5.0"), ops)
    };
    let body = json!([
        make(-1, "A"),
        story,
        make(-3, ""),
        element("/_apis/wit/workitems/1?api-version=5.0".to_owned(), link)
    ]);
    let answer = ok(&emulator, "PATCH", "/_apis/wit/$batch?api-version=5.0", body);
    let codes: Vec<u64> =
        answer["value"].as_array().unwrap().iter().map(|v| v["code"].as_u64().unwrap()).collect();
    assert_eq!(codes, [200, 200, 400, 412]);
    let first: Json = serde_json::from_str(answer["value"][0]["body"].as_str().unwrap()).unwrap();
    let read =
        ok(&emulator, "GET", &format!("/_apis/wit/workitems/{}?$expand=relations", first["id"]), Json::Null);
    assert_eq!(read["relations"][0]["rel"], "Microsoft.VSTS.Common.TestedBy-Reverse");
    let many: Vec<Json> = (0..201).map(|n| make(-n - 1, "x")).collect();
    assert_eq!(call(&emulator, "PATCH", "/_apis/wit/$batch?api-version=5.0", Json::Array(many)).0, 400);
}

#[test]
fn many_items_are_read_up_to_two_hundred() {
    let emulator = empty();
    let id = case(&emulator, "a");
    let url = "/_apis/wit/workitemsbatch";
    let some = json!({"ids": [id, 999], "fields": ["System.Title"], "errorPolicy": "omit"});
    let answer = ok(&emulator, "POST", url, some);
    assert_eq!(answer["value"][0]["fields"], json!({"System.Title": "a"}));
    assert!(answer["value"][1].is_null());
    assert_eq!(call(&emulator, "POST", url, json!({"ids": [id, 999]})).0, 404);
    let (status, body) = call(&emulator, "POST", url, json!({"ids": vec![id; 201]}));
    assert!(status == 400 && body["message"].as_str().unwrap().starts_with("VS403474"));
    assert_eq!(
        call(&emulator, "POST", url, json!({"ids": [id], "fields": ["System.Id"], "$expand": "all"})).0,
        400
    );
}

#[test]
fn a_planned_run_ends_on_its_points() {
    let emulator = empty();
    let (plan, root) = plan(&emulator, "Release 1");
    assert_eq!(root, plan + 1);
    let suites = format!("/{PROJECT}/_apis/testplan/Plans/{plan}/suites");
    let suite = ok(
        &emulator,
        "POST",
        &suites,
        json!({"suiteType": "staticTestSuite", "name": "Smoke", "parentSuite": {"id": root}}),
    );
    let suite = suite["id"].as_u64().unwrap();
    let twin = json!({"suiteType": "staticTestSuite", "name": "Smoke", "parentSuite": {"id": root}});
    assert!(call(&emulator, "POST", &suites, twin).0 >= 400);
    let cases = [case(&emulator, "one"), case(&emulator, "two")];
    let added = add_cases(&emulator, plan, suite, &cases);
    assert_eq!(added["value"][0]["pointAssignments"][0]["configurationName"], "Windows 11");
    let ids: Vec<Json> = points(&emulator, plan, suite).iter().map(|p| p["id"].clone()).collect();
    let runs = format!("/{PROJECT}/_apis/test/runs");
    let run = ok(
        &emulator,
        "POST",
        &runs,
        json!({"name": "Sync 42", "plan": {"id": plan.to_string()}, "pointIds": ids}),
    );
    assert_eq!((run["totalTests"].as_u64(), run["incompleteTests"].as_u64()), (Some(2), Some(2)));
    let results = format!("{runs}/{}/results", run["id"]);
    let listed = ok(&emulator, "GET", &format!("{results}?detailsToInclude=Point"), Json::Null);
    assert_eq!(listed["value"][0]["id"], 100_000);
    assert_eq!(listed["value"][0]["testPoint"]["id"].as_str().unwrap(), ids[0].to_string());
    let bug = create(&emulator, "Bug", vec![set("System.Title", "found")]);
    let steps = json!([{"id": 1, "outcome": "Failed", "actionResults": [{"actionPath": "00000002", "stepIdentifier": "2", "outcome": "3"}]}]);
    let patch = json!([{"id": 100_000, "outcome": "Passed", "state": "Completed"},
        {"id": 100_001, "outcome": 3, "state": "5", "comment": "no", "associatedBugs": [{"id": bug}], "iterationDetails": steps}]);
    ok(&emulator, "PATCH", &results, patch);
    let done = ok(&emulator, "PATCH", &format!("{runs}/{}", run["id"]), json!({"state": "Completed"}));
    assert_eq!(
        (done["state"].as_str(), done["passedTests"].as_u64(), done["incompleteTests"].as_u64()),
        (Some("Completed"), Some(1), Some(0))
    );
    let after = points(&emulator, plan, suite);
    assert_eq!(
        (after[0]["results"]["outcome"].as_str(), after[0]["results"]["state"].as_str()),
        (Some("passed"), Some("completed"))
    );
    assert_eq!(
        (after[1]["results"]["outcome"].as_str(), after[1]["results"]["state"].as_str()),
        (Some("failed"), Some("notReady"))
    );
    let full =
        ok(&emulator, "GET", &format!("{results}/100001?detailsToInclude=Iterations,WorkItems"), Json::Null);
    assert_eq!(full["iterationDetails"][0]["actionResults"][0]["outcome"], "Failed");
    assert_eq!(full["associatedBugs"][0]["id"], bug.to_string());
    let held = ok(&emulator, "GET", &format!("/_apis/wit/workitems/{bug}?$expand=relations"), Json::Null);
    assert_eq!(
        held["relations"][0]["url"],
        format!("vstfs:///TestManagement/TcmResult/{}.100001", run["id"])
    );
    let statistics = ok(&emulator, "GET", &format!("{runs}/{}/Statistics", run["id"]), Json::Null);
    assert_eq!(statistics["runStatistics"].as_array().unwrap().len(), 2);
    let unplanned = json!([{"outcome": "Passed", "state": "Completed", "testCaseTitle": "x"}]);
    assert_eq!(call(&emulator, "POST", &results, unplanned).0, 404);
}

#[test]
fn setting_an_outcome_on_a_point_makes_a_manual_run() {
    let emulator = empty();
    let (plan, root) = plan(&emulator, "P");
    add_cases(&emulator, plan, root, &[case(&emulator, "one")]);
    let url = format!("/{PROJECT}/_apis/testplan/Plans/{plan}/Suites/{root}/TestPoint");
    let id = points(&emulator, plan, root)[0]["id"].clone();
    let set = ok(&emulator, "PATCH", &url, json!([{"id": id, "results": {"outcome": 2}}]));
    assert_eq!(
        (set["value"][0]["results"]["lastResultId"].as_u64(), set["value"][0]["results"]["outcome"].as_str()),
        (Some(100_000), Some("passed"))
    );
    let reset = ok(&emulator, "PATCH", &url, json!([{"id": id, "isActive": true}]));
    assert_eq!(
        (
            reset["value"][0]["results"]["lastTestRunId"].as_u64(),
            reset["value"][0]["results"]["state"].as_str()
        ),
        (Some(0), Some("ready"))
    );
    let listed = ok(&emulator, "GET", &format!("/{PROJECT}/_apis/test/runs"), Json::Null);
    assert_eq!(listed["value"][0]["name"], "P (Manual)");
    assert!(listed["value"][0].get("totalTests").is_none());
}

#[test]
fn members_come_in_pages_of_two_hundred() {
    let emulator = empty();
    let (plan, root) = plan(&emulator, "P");
    let suites = format!("/{PROJECT}/_apis/testplan/Plans/{plan}/suites");
    let cases: Vec<u64> = (0..201).map(|n| case(&emulator, &format!("case {n}"))).collect();
    for count in [0, 1, 200, 201] {
        let body =
            json!({"suiteType": "staticTestSuite", "name": format!("{count}"), "parentSuite": {"id": root}});
        let suite = ok(&emulator, "POST", &suites, body)["id"].as_u64().unwrap();
        add_cases(&emulator, plan, suite, &cases[..count]);
        for resource in ["TestCase", "TestPoint"] {
            let mut url = format!("{suites}/{suite}/{resource}?api-version=7.1");
            let (mut seen, mut pages) = (0, 0);
            loop {
                let response = send(&emulator, "GET", &url, &[], Vec::new());
                seen += parse(&response)["count"].as_u64().unwrap() as usize;
                pages += 1;
                let token = response.headers.iter().find(|(n, _)| n == "x-ms-continuationtoken");
                let Some((_, token)) = token else { break };
                url = format!(
                    "{suites}/{suite}/{resource}?api-version=7.1&continuationToken={}",
                    super::json::encode(token)
                );
            }
            assert_eq!((seen, pages), (count, if count > 200 { 2 } else { 1 }), "{resource} of {count}");
        }
    }
}

#[test]
fn query_suites_follow_the_items_and_requirement_suites_the_links() {
    let emulator = empty();
    let (plan, root) = plan(&emulator, "P");
    let story = create(&emulator, "User Story", vec![set("System.Title", "Sign in")]);
    let tagged = create(&emulator, "Test Case", vec![set("System.Title", "t"), set("System.Tags", "smoke")]);
    let plain = case(&emulator, "plain");
    let suites = format!("/{PROJECT}/_apis/testplan/Plans/{plan}/suites");
    let query = "select [System.Id] from WorkItems where [System.TeamProject] = @project and [System.WorkItemType] in group 'Microsoft.TestCaseCategory' and [System.Tags] contains 'smoke'";
    let dynamic = ok(
        &emulator,
        "POST",
        &suites,
        json!({"suiteType": "dynamicTestSuite", "name": "Q", "parentSuite": {"id": root}, "queryString": query}),
    );
    let dynamic = dynamic["id"].as_u64().unwrap();
    let members = |suite: u64| {
        let body = ok(&emulator, "GET", &format!("{suites}/{suite}/TestCase"), Json::Null);
        body["value"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["workItem"]["id"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(members(dynamic), [tagged]);
    ok(&emulator, "PATCH", &format!("/_apis/wit/workitems/{plain}"), json!([set("System.Tags", "smoke")]));
    assert_eq!(members(dynamic), [tagged, plain]);
    let refused = call(
        &emulator,
        "POST",
        &format!("{suites}/{dynamic}/TestCase"),
        json!([{"workItem": {"id": plain}}]),
    );
    assert_eq!(refused.0, 400);
    let required = ok(
        &emulator,
        "POST",
        &suites,
        json!({"suiteType": "requirementTestSuite", "requirementId": story, "parentSuite": {"id": root}}),
    );
    assert_eq!(required["name"], format!("{story} : Sign in"));
    let required = required["id"].as_u64().unwrap();
    add_cases(&emulator, plan, required, &[plain]);
    let held = ok(&emulator, "GET", &format!("/_apis/wit/workitems/{story}?$expand=relations"), Json::Null);
    assert_eq!(held["relations"][0]["rel"], "Microsoft.VSTS.Common.TestedBy-Forward");
    let link = json!({"rel": "Microsoft.VSTS.Common.TestedBy-Reverse", "url": held["url"]});
    ok(
        &emulator,
        "PATCH",
        &format!("/_apis/wit/workitems/{tagged}"),
        json!([{"op": "add", "path": "/relations/-", "value": link}]),
    );
    assert_eq!(members(required), [plain, tagged]);
    ok(&emulator, "PATCH", &format!("/_apis/wit/workitems/{story}"), json!([set("System.Title", "Log in")]));
    assert_eq!(
        ok(&emulator, "GET", &format!("{suites}/{required}"), Json::Null)["name"],
        format!("{story} : Log in")
    );
    let tree = ok(&emulator, "GET", &format!("{suites}?asTreeView=true"), Json::Null);
    assert_eq!(tree["value"][0]["children"].as_array().unwrap().len(), 2);
    assert_eq!(
        call(
            &emulator,
            "DELETE",
            &format!("/{PROJECT}/_apis/testplan/Plans/{plan}/suites/{root}"),
            Json::Null
        )
        .0,
        400
    );
}

#[test]
fn the_feed_of_revisions_is_endless_and_complete() {
    let emulator = empty();
    let ids: Vec<u64> = (0..5).map(|n| case(&emulator, &format!("c{n}"))).collect();
    let mut url =
        "/_apis/wit/reporting/workitemrevisions?includeLatestOnly=true&$maxPageSize=2&api-version=7.1"
            .to_owned();
    let mut seen = Vec::new();
    let token = loop {
        let body = ok(&emulator, "GET", &url, Json::Null);
        seen.extend(body["values"].as_array().unwrap().iter().map(|v| v["id"].as_u64().unwrap()));
        let token = body["continuationToken"].as_str().unwrap().to_owned();
        if body["isLastBatch"] == true {
            break token;
        }
        url = body["nextLink"]
            .as_str()
            .unwrap()
            .strip_prefix("http://127.0.0.1:4101/contoso")
            .unwrap()
            .to_owned();
    };
    assert_eq!(seen, ids);
    let again = format!(
        "/_apis/wit/reporting/workitemrevisions?includeDeleted=true&continuationToken={}",
        super::json::encode(&token)
    );
    assert_eq!(ok(&emulator, "GET", &again, Json::Null)["values"], json!([]));
    ok(&emulator, "PATCH", &format!("/_apis/wit/workitems/{}", ids[1]), json!([set("System.Title", "new")]));
    let bug = create(&emulator, "Bug", vec![set("System.Title", "b")]);
    ok(&emulator, "DELETE", &format!("/{PROJECT}/_apis/wit/workitems/{bug}"), Json::Null);
    let rows = ok(&emulator, "GET", &again, Json::Null);
    let rows: Vec<(u64, bool)> = rows["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (v["id"].as_u64().unwrap(), v["fields"]["System.IsDeleted"] == true))
        .collect();
    assert_eq!(rows, [(ids[1], false), (bug, false), (bug, true)]);
    assert_eq!(call(&emulator, "DELETE", &format!("/_apis/wit/workitems/{}", ids[0]), Json::Null).0, 400);
    let other =
        json!({"rel": "System.LinkTypes.Related", "url": format!("http://x/_apis/wit/workItems/{}", ids[2])});
    ok(
        &emulator,
        "PATCH",
        &format!("/_apis/wit/workitems/{}", ids[0]),
        json!([{"op": "add", "path": "/relations/-", "value": other}]),
    );
    let links = ok(&emulator, "GET", "/_apis/wit/reporting/workitemlinks", Json::Null);
    assert_eq!(
        (links["values"][0]["sourceId"].as_u64(), links["values"][0]["isActive"].as_bool()),
        (Some(ids[0]), Some(true))
    );
}

#[test]
fn queries_page_by_id_and_compare_dates_by_day_unless_told() {
    let emulator = empty();
    let ids: Vec<u64> = (0..4).map(|n| case(&emulator, &format!("c{n}"))).collect();
    let run = |text: &str, rest: &str| {
        call(
            &emulator,
            "POST",
            &format!("/{PROJECT}/_apis/wit/wiql?api-version=7.1{rest}"),
            json!({"query": text}),
        )
    };
    let (_, body) = run(
        &format!(
            "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = @project AND [System.Id] > {} ORDER BY [System.Id] ASC",
            ids[0]
        ),
        "&$top=2",
    );
    let found: Vec<u64> =
        body["workItems"].as_array().unwrap().iter().map(|w| w["id"].as_u64().unwrap()).collect();
    assert_eq!(found, ids[1..3]);
    let (status, _) =
        run("SELECT [System.Id] FROM WorkItems WHERE [System.ChangedDate] >= '2024-05-01T10:00:00.000Z'", "");
    assert_eq!(status, 400);
    let (status, body) = run(
        "SELECT [System.Id] FROM WorkItems WHERE [System.ChangedDate] >= '2024-05-01T10:00:00.000Z' AND NOT [System.Title] CONTAINS 'c3'",
        "&timePrecision=true",
    );
    assert_eq!((status, body["workItems"].as_array().unwrap().len()), (200, 3));
    let (_, body) = run(
        "SELECT [System.Id] FROM WorkItems WHERE [System.Title] IN ('c1', 'c2') AND [System.AreaPath] UNDER 'Calculator' AND [System.CreatedDate] > @today - 1",
        "",
    );
    assert_eq!(body["workItems"].as_array().unwrap().len(), 2);
    assert_eq!(run("SELECT [System.Id] FROM WorkItems WHERE [No.Such] = 1", "").0, 400);
}

#[test]
fn a_custom_field_is_created_and_put_on_a_type() {
    let emulator = empty();
    ok(
        &emulator,
        "POST",
        "/_apis/wit/fields",
        json!({"name": "Ferry ID", "referenceName": "Custom.FerryID", "type": "string", "usage": "workItem"}),
    );
    let url = format!("/{PROJECT}/_apis/wit/workitems/$Task");
    assert_eq!(
        call(&emulator, "POST", &url, json!([set("System.Title", "t"), set("Custom.FerryID", "x")])).0,
        400
    );
    let project =
        ok(&emulator, "GET", &format!("/_apis/projects/{PROJECT}?includeCapabilities=true"), Json::Null);
    let process = project["capabilities"]["processTemplate"]["templateTypeId"].as_str().unwrap().to_owned();
    let types = format!("/_apis/work/processes/{process}/workitemtypes");
    let derived = ok(
        &emulator,
        "POST",
        &types,
        json!({"name": "Task", "inheritsFrom": "Microsoft.VSTS.WorkItemTypes.Task"}),
    );
    let reference = derived["referenceName"].as_str().unwrap();
    ok(
        &emulator,
        "POST",
        &format!("{types}/{reference}/fields"),
        json!({"referenceName": "Custom.FerryID", "required": false}),
    );
    let made = ok(&emulator, "POST", &url, json!([set("System.Title", "t"), set("Custom.FerryID", "x")]));
    assert_eq!(made["fields"]["Custom.FerryID"], "x");
}

#[test]
fn plans_and_suites_are_work_items_too() {
    let emulator = empty();
    let (plan, root) = plan(&emulator, "P");
    let ops = json!([
        set("System.Description", "<b>d</b>"),
        set("Custom.XrayID", "CALC-1"),
        set("System.Title", "Q")
    ]);
    ok(&emulator, "PATCH", &format!("/_apis/wit/workitems/{plan}"), ops);
    let shown = ok(&emulator, "GET", &format!("/{PROJECT}/_apis/testplan/plans/{plan}"), Json::Null);
    assert_eq!((shown["name"].as_str(), shown["description"].as_str()), (Some("Q"), Some("<b>d</b>")));
    ok(
        &emulator,
        "PATCH",
        &format!("/_apis/wit/workitems/{root}"),
        json!([set("System.State", "Completed")]),
    );
    let item = ok(&emulator, "GET", &format!("/_apis/wit/workitems/{root}"), Json::Null);
    assert_eq!(
        (item["fields"]["System.Title"].as_str(), item["fields"]["System.State"].as_str()),
        (Some("Q"), Some("Completed"))
    );
    let (status, _) =
        call(&emulator, "DELETE", &format!("/{PROJECT}/_apis/testplan/plans/{plan}"), Json::Null);
    assert_eq!(status, 204);
    assert_eq!(call(&emulator, "GET", &format!("/_apis/wit/workitems/{root}"), Json::Null).0, 404);
}

#[test]
fn attachments_and_comments_belong_to_an_item() {
    let emulator = empty();
    let id = case(&emulator, "a");
    let url = format!("/{PROJECT}/_apis/wit/attachments?fileName=a%20b.png&api-version=7.1");
    let made = send(&emulator, "POST", &url, &[("content-type", "application/octet-stream")], vec![1, 2, 3]);
    assert_eq!(made.status, 201);
    let link = json!({"rel": "AttachedFile", "url": parse(&made)["url"], "attributes": {"comment": "[TestStep=2]:"}});
    let item = ok(
        &emulator,
        "PATCH",
        &format!("/_apis/wit/workitems/{id}"),
        json!([{"op": "add", "path": "/relations/-", "value": link}]),
    );
    assert_eq!(
        (item["rev"].as_u64(), item["relations"][0]["attributes"]["resourceSize"].as_u64()),
        (Some(2), Some(3))
    );
    let file =
        item["relations"][0]["url"].as_str().unwrap().strip_prefix("http://127.0.0.1:4101/contoso").unwrap();
    assert_eq!(send(&emulator, "GET", file, &[], Vec::new()).body.as_ref(), [1, 2, 3]);
    let comments = format!("/{PROJECT}/_apis/wit/workItems/{id}/comments?api-version=7.1-preview.4");
    ok(&emulator, "POST", &comments, json!({"text": "hello"}));
    ok(&emulator, "PATCH", &format!("/_apis/wit/workitems/{id}"), json!([set("System.History", "again")]));
    let listed = ok(&emulator, "GET", &comments, Json::Null);
    assert_eq!(
        (listed["totalCount"].as_u64(), listed["comments"][0]["text"].as_str()),
        (Some(2), Some("again"))
    );
    let item = ok(&emulator, "GET", &format!("/_apis/wit/workitems/{id}"), Json::Null);
    assert_eq!((item["rev"].as_u64(), item["fields"]["System.CommentCount"].as_u64()), (Some(4), Some(2)));
    let updates = ok(&emulator, "GET", &format!("/_apis/wit/workitems/{id}/updates"), Json::Null);
    assert_eq!(updates["value"][1]["relations"]["added"][0]["rel"], "AttachedFile");
}

#[test]
fn runs_are_found_by_a_window_of_seven_days() {
    let emulator = filled();
    let run = emulator.lock().runs.values().next().unwrap().updated;
    let day = 86_400_000;
    let window = |days: i64| {
        let (from, to) = (super::value::iso(run - day), super::value::iso(run - day + days * day));
        format!("/{PROJECT}/_apis/test/runs?minLastUpdatedDate={from}&maxLastUpdatedDate={to}&$top=100")
    };
    assert!(ok(&emulator, "GET", &window(7), Json::Null)["count"].as_u64().unwrap() >= 1);
    assert_eq!(call(&emulator, "GET", &window(8), Json::Null).0, 400);
}

#[test]
fn the_state_survives_saving_and_loading() {
    let emulator = filled();
    let before = emulator.state();
    let loaded = AzureDevOps::load(&emulator.save(), &options(60, false)).unwrap();
    assert_eq!(loaded.state(), before);
    assert_eq!(filled().state(), before, "the same world gives the same state");
    case(&loaded, "one more");
    assert_ne!(loaded.state().hash, before.hash);
    assert!(AzureDevOps::load(b"nonsense", &options(60, false)).is_err());
}

#[test]
fn the_world_is_served_under_its_own_ids() {
    let world = World::generate(60, 7);
    let emulator = filled();
    let counts = emulator.state().counts;
    let cases = world.cases.iter().filter(|c| c.identity.in_ado()).count() as u64;
    assert_eq!(counts["test_cases"], cases);
    assert_eq!(counts["test_runs"], world.runs.iter().filter(|r| r.identity.in_ado()).count() as u64);
    let linked = world
        .cases
        .iter()
        .find(|c| c.identity.ado_refers_to.is_some() && !c.steps.is_empty() && c.identity.in_ado())
        .unwrap();
    let item = ok(
        &emulator,
        "GET",
        &format!("/_apis/wit/workitems/{}?$expand=all", linked.identity.ado_id.unwrap()),
        Json::Null,
    );
    assert_eq!(item["fields"]["System.Title"], linked.title);
    assert_eq!(item["fields"]["Custom.XrayID"], linked.identity.ado_refers_to.unwrap().jira().key());
    assert!(item["fields"]["Microsoft.VSTS.TCM.Steps"].as_str().unwrap().starts_with("<steps id=\"0\""));
    for suite in world.suites.iter().filter(|s| s.identity.in_ado() && s.plan.is_some()) {
        let id = suite.identity.ado_id.unwrap();
        let mut state = emulator.lock();
        let before = state.suites[&id].order.clone();
        let stamp = super::links::Stamp { by: 0, at: super::value::now(), own: true };
        state.repopulate(id, stamp);
        let (mut before, mut after) = (before, state.suites[&id].order.clone());
        before.sort_unstable();
        after.sort_unstable();
        assert_eq!(after, before, "suite {id} holds what its rule says");
    }
    for run in world.runs.iter().filter(|r| r.identity.in_ado()) {
        let state = emulator.lock();
        let held = &state.runs[&run.identity.ado_id.unwrap()];
        assert!(held.results.iter().all(|r| r.point != 0), "every result has its point");
    }
}
