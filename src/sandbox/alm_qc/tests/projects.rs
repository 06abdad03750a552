//! Reading: representations, filters, pages, metadata, the company, what is kept.

use super::*;

#[tokio::test]
async fn accept_decides_between_the_forms_and_its_absence_gives_pages_of_errors() {
    let sandbox = empty().await;
    let mut client = Client::signed_in(&sandbox).await;
    let path = "/rest/domains/DEFAULT/projects/Calculator/test-folders/2";
    let xml = client.send("GET", path, &[("accept", "application/xml")], "").await;
    assert!(xml.body.contains("<Field Name=\"name\"><Value>Subject</Value></Field>"), "{}", xml.body);
    assert!(xml.body.contains("<Field Name=\"description\"><Value></Value></Field>"), "{}", xml.body);
    let page = client
        .send("GET", "/rest/domains/DEFAULT/projects/Calculator/tests/9", &[("accept", "text/html")], "")
        .await;
    assert!(page.status == 404 && page.body.contains("<html>"), "{page:?}");
    let missing = client.get("tests/9").await;
    assert_eq!((missing.status, missing.json()["Id"].as_str()), (404, Some("qccore.entity-not-found")));
    assert_eq!(client.send("GET", path, &[("accept", "image/png")], "").await.status, 406);
    let domains = client
        .send("GET", "/rest/domains?include-projects-info=y", &[("accept", "application/xml")], "")
        .await;
    assert!(
        domains.body.contains("<Domain Name=\"DEFAULT\"><Projects><Project Name=\"Calculator\"/>"),
        "{}",
        domains.body
    );
    let json = client.get("test-folders/2").await.json();
    let values = |name: &str| {
        json["Fields"].as_array().unwrap().iter().find(|f| f["Name"] == name).unwrap()["values"].clone()
    };
    assert_eq!(values("description"), json!([{}]));
    assert_eq!(values("id"), json!([{"value": "2"}]));
    assert_eq!(values("hierarchical-path"), json!([{"value": "AAA"}]));
}

#[tokio::test]
async fn pages_start_at_one_and_totals_count_what_the_filter_keeps() {
    let sandbox = empty().await;
    let mut client = Client::signed_in(&sandbox).await;
    for n in 1..=7 {
        client.test(&format!("t{n}")).await;
    }
    let (rows, total) = client.list("tests?page-size=3&start-index=7&fields=id,name").await;
    assert_eq!((rows.len(), total), (1, 7));
    assert_eq!(rows[0].keys().collect::<Vec<_>>(), ["id", "name"]);
    assert_eq!(client.list("tests?page-size=3&start-index=8").await.0.len(), 0);
    assert_eq!(client.list("tests?page-size=7").await.0.len(), 7);
    assert_eq!(client.list("tests?page-size=max").await.0.len(), 7);
    assert_eq!(client.list("tests?page-size=99999").await.0.len(), 7, "more than the maximum is capped");
    assert_eq!(client.list("tests?page-size=0").await, (Vec::new(), 0));
    let after = query("{id[>5]}");
    let (rows, total) =
        client.list(&format!("tests?query={after}&page-size=1&order-by={}", query("{id}"))).await;
    assert_eq!((rows[0]["id"].as_str(), total), ("6", 2));
    let wrong = client.get("tests?page-size=-1").await;
    assert_eq!((wrong.status, wrong.json()["Id"].as_str()), (404, Some("qccore.invalid-query-value")));
    assert_eq!(client.get("tests?fields=id,nonsense").await.status, 400);
    let falling = client.list(&format!("tests?order-by={}", query("{name[DESC];id}"))).await.0;
    assert_eq!(falling[0]["name"], "t7");
    let comma = client.get(&format!("tests?order-by={}", query("{name,id}"))).await;
    assert!(
        comma.status == 404 && comma.body.contains("not existing field: \\\"name,id\\\""),
        "{}",
        comma.body
    );
}

#[tokio::test]
async fn filters_know_quotes_wildcards_and_relations() {
    let sandbox = filled().await;
    let mut client = Client::signed_in(&sandbox).await;
    async fn total(client: &mut Client, collection: &str, text: &str) -> u64 {
        client.list(&format!("{collection}?page-size=1&query={}", query(text))).await.1
    }
    let all = client.list("runs?page-size=1").await.1;
    let passed = total(&mut client, "runs", "{status[\"Passed\"]}").await;
    assert!(passed > 0 && passed < all);
    assert_eq!(total(&mut client, "runs", "{status[Not Passed]}").await, all - passed);
    assert_eq!(total(&mut client, "runs", "{status[\"Not Passed\"]}").await, 0);
    assert_eq!(total(&mut client, "runs", "{status[\"Paused\"]}").await, 1);
    let (runs, _) = client.list("runs?page-size=1&fields=id,cycle-id,testcycl-id").await;
    let set = &runs[0]["cycle-id"];
    let direct = total(&mut client, "runs", &format!("{{cycle-id[{set}]}}")).await;
    assert_eq!(total(&mut client, "runs", &format!("{{test-set.id[{set}]}}")).await, direct);
    let instances = total(&mut client, "test-instances", &format!("{{contains-test-set.id[{set}]}}")).await;
    assert!(instances >= direct);
    let refused = client.get(&format!("design-steps?query={}", query("{test.name[\"x\"]}"))).await;
    assert_eq!(refused.json()["Id"], "qccore.invalid-filter-expression");
    assert!(total(&mut client, "design-steps", "{has-parts-test.name[\"*\"]}").await > 0);
    assert!(total(&mut client, "tests", "{connected-to-requirement.id[>0]}").await > 0);
    assert!(total(&mut client, "runs", "{connected-to-defect.id[>0]}").await > 0);
    let unfound = client.get(&format!("tests?query={}", query("{no-such[1]}"))).await;
    assert_eq!((unfound.status, unfound.json()["Id"].as_str()), (400, Some("qccore.unknown-field-name")));
}

#[tokio::test]
async fn the_customization_names_fields_lists_and_types() {
    let sandbox = empty().await;
    let mut client = Client::signed_in(&sandbox).await;
    let fields = client.get("customization/entities/test/fields").await.json();
    let fields = fields["Fields"]["Field"].as_array().unwrap();
    let field = fields.iter().find(|f| f["label"] == "Azure DevOps ID").unwrap();
    assert_eq!((field["name"].as_str(), field["system"].as_bool()), (Some("user-03"), Some(false)));
    let required = client.get("customization/entities/test/fields?required=true").await.json();
    assert_eq!(required["Fields"]["Field"].as_array().unwrap().len(), 3);
    let list = client.get("customization/used-lists?name=Severity").await.json();
    assert_eq!(list["lists"][0]["Items"][0]["value"], "1-Low");
    client.accept = "application/xml";
    let xml = client.get("customization/entities/test/fields").await.body;
    assert!(xml.contains("PhysicalName=\"TS_USER_03\" Name=\"user-03\" Label=\"Azure DevOps ID\""));
    let types = client.get("customization/entities/test/types").await.body;
    assert!(types.contains("<type name=\"MANUAL\" id=\"MANUAL\"/>"));
    let users = client.get("customization/users").await.body;
    assert!(users.contains("<User Name=\"user1\""), "{users}");
    let supports = |client_xml: &str| client_xml.contains("<SupportsVC>true</SupportsVC>");
    assert!(!supports(&client.get("customization/entities/test").await.body));
    client.project = super::super::seed::VERSIONED;
    assert!(supports(&client.get("customization/entities/test").await.body));
    let refused =
        client.call("POST", "customization/entities/test/fields", "application/json", "{}".into()).await;
    assert_eq!(refused.status, 405, "fields are made in the desktop client");
}

#[tokio::test]
async fn the_company_lies_under_the_numbers_that_azure_devops_names() {
    let sandbox = filled().await;
    let mut client = Client::signed_in(&sandbox).await;
    let world = World::generate(60, 7);
    let (tests, total) = client.list("tests?page-size=max").await;
    let here = world.cases.iter().filter(|c| c.identity.in_other());
    assert_eq!(total, here.clone().count() as u64);
    let by_id: BTreeMap<&str, &BTreeMap<String, String>> =
        tests.iter().map(|t| (t["id"].as_str(), t)).collect();
    for case in here {
        let test = by_id[case.identity.other.unwrap().0.to_string().as_str()];
        let reference = case.identity.other_refers_to.map_or(String::new(), |r| r.to_string());
        assert_eq!(test["user-03"], reference);
        assert_eq!(test["steps"], case.steps.len().to_string());
        assert!(test["name"].starts_with(&case.title.chars().take(200).collect::<String>()));
    }
    let mut names: Vec<_> = tests.iter().map(|t| (&t["parent-id"], t["name"].to_lowercase())).collect();
    let before = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), before, "names are unique within their folder");
    assert!(tests.iter().any(|t| t["name"].chars().count() == 255));
    assert!(tests.iter().any(|t| t["dev-comments"].contains("user")));
    assert!(client.list("requirement-coverages").await.1 > 0);
    assert!(client.list("defect-links").await.1 > 0);
    let folder = client.row("test-folders/2").await;
    assert_eq!(folder["name"], "Subject");
    let top = client.list(&format!("test-folders?query={}", query("{parent-id[2]}"))).await.0;
    assert!(top.iter().any(|f| f["hierarchical-path"].len() == 6));
    let hidden = client.list(&format!("tests?query={}", query("{attachment[\"Y\"]}"))).await.0;
    assert!(!hidden.is_empty());
    let files = client.list(&format!("tests/{}/attachments", hidden[0]["id"])).await.0;
    assert!(!files.is_empty());
}

#[tokio::test]
async fn reading_changes_nothing_and_a_restart_ends_sessions_only() {
    let folder = tempfile::tempdir().unwrap();
    let kept = || SandboxOptions { data: Some(folder.path().to_owned()), ..options(false) };
    let first = Sandbox::start(kept()).await.unwrap();
    let mut client = Client::signed_in(&first).await;
    let fresh = first.state(SYSTEM).unwrap();
    client.list("runs?page-size=max").await;
    client.list("tests?page-size=max").await;
    assert_eq!(first.state(SYSTEM).unwrap(), fresh);
    assert!(first.request_log(SYSTEM).iter().all(|r| !r.changed));
    client.test("kept").await;
    let changed = first.state(SYSTEM).unwrap();
    assert_ne!(changed.0, fresh.0);
    assert!(first.request_log(SYSTEM).last().unwrap().changed);
    first.save().unwrap();
    first.stop().await;
    let second = Sandbox::start(kept()).await.unwrap();
    assert_eq!(second.state(SYSTEM).unwrap(), changed);
    assert_eq!(client.get("tests").await.status, 401, "sessions live no longer than the server");
    let known = client.send("GET", "/rest/is-authenticated", &[("accept", "application/xml")], "").await;
    assert_eq!(known.status, 200);
    let mut client = Client::signed_in(&second).await;
    assert_eq!(client.list(&format!("tests?query={}", query("{name[kept]}"))).await.1, 1);
}

#[tokio::test]
async fn the_same_company_gives_the_same_state() {
    let (one, two) = (filled().await, filled().await);
    assert_eq!(one.state(SYSTEM), two.state(SYSTEM));
    let names: Vec<String> = one.env().into_iter().map(|(name, _)| name).collect();
    let wanted = [
        "ALM_URL",
        "ALM_CLIENT_ID",
        "ALM_CLIENT_SECRET",
        "ALM_USER",
        "ALM_PASSWORD",
        "ALM_DOMAIN",
        "ALM_PROJECT",
    ];
    assert_eq!(names, wanted);
}
