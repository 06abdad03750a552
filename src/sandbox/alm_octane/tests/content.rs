//! The company in the workspace, files, metadata, and the state as a whole.

use serde_json::{Value, json};

use super::bench::{Bench, names, native, options};
use crate::sandbox::SandboxOptions;
use crate::sandbox::world::{Outcome, World};

#[tokio::test]
async fn the_company_is_there_under_its_numbers() {
    let bench = Bench::filled().await;
    let world = World::generate(60, 7);
    let here = world.cases.iter().filter(|c| c.identity.in_other()).count();
    let manual = bench.get("manual_tests?limit=1").await["total_count"].as_u64().unwrap();
    let automated = bench.get("automated_tests?limit=1").await["total_count"].as_u64().unwrap();
    assert_eq!((manual + automated) as usize, here);
    let linked = world.cases.iter().find(|c| c.identity.other_refers_to.is_some()).unwrap();
    let id = 10_000 + linked.identity.other.unwrap().0;
    let test = bench.get(&format!("tests/{id}?fields=name,azure_devops_id_udf")).await;
    assert_eq!(test["name"], linked.title.as_str());
    assert_eq!(test["azure_devops_id_udf"], linked.identity.other_refers_to.unwrap().to_string());
    let suites = world.plans.iter().map(|p| p.identity).chain(world.suites.iter().map(|s| s.identity));
    assert_eq!(
        bench.get("test_suites?limit=1").await["total_count"],
        suites.filter(|i| i.in_other()).count()
    );
    let run = world.runs.iter().find(|r| r.identity.in_other()).unwrap();
    let number = 10_000 + run.identity.other.unwrap().0;
    let children = bench.find("runs", &format!("parent_suite EQ {{id EQ {number}}}")).await;
    assert_eq!(children.len(), run.results.len());
    let failed = world.results[run.results.start as usize].outcome == Outcome::Failed;
    assert_eq!(children[0]["native_status"]["id"] == native("failed")["id"], failed);
    let bug = world.results[run.results.start as usize].bug;
    let defects = bench.get(&format!("runs/{}?fields=defect", children[0]["id"].as_str().unwrap())).await;
    assert_eq!(defects["defect"]["total_count"], u64::from(bug.is_some()));
    let files = world.attachments.len();
    let held = bench.get("attachments?limit=1").await["total_count"].as_u64().unwrap();
    assert!(held > 0 && held as usize <= files);
}

#[tokio::test]
async fn every_seeded_entity_can_be_read_whole() {
    let bench = Bench::filled().await;
    for table in super::super::schema::Schema::built_in().tables {
        let page = bench.get(&format!("{}?order_by=-id&limit=3", table.collection)).await;
        for one in page["data"].as_array().unwrap() {
            let path = format!("{}/{}", table.collection, one["id"].as_str().unwrap());
            assert_eq!(bench.get(&path).await, *one);
        }
    }
}

#[tokio::test]
async fn files_are_sent_in_two_ways_and_come_back() {
    let bench = Bench::empty().await;
    let test = bench.test("A").await;
    let owner = json!({"type": "test", "id": test});
    let form = |name: &str, content: &str| {
        let entity = json!({"name": name, "owner_test": owner});
        format!(
            "--B\r\nContent-Disposition: form-data; name=\"entity\"; filename=\"blob\"\r\nContent-Type: application/json\r\n\r\n\
             {entity}\r\n--B\r\nContent-Disposition: form-data; name=\"content\"; filename=\"x\"\r\nContent-Type: text/plain\r\n\r\n\
             {content}\r\n--B--\r\n"
        )
        .into_bytes()
    };
    let kind = [("Content-Type", "multipart/form-data; boundary=B")];
    let made = bench.raw("POST", "attachments", &kind, form("note.txt", "hello")).await;
    assert_eq!(made.status(), 201);
    let made: Value = made.json().await.unwrap();
    let id = made["data"][0]["id"].as_str().unwrap();
    let accept = [("Accept", "application/octet-stream")];
    let content = bench.raw("GET", &format!("attachments/{id}"), &accept, Vec::new()).await;
    assert_eq!(content.text().await.unwrap(), "hello");
    assert_eq!(bench.get(&format!("attachments/{id}")).await["size"], 5);
    for (name, content) in
        [("run.exe", "x"), (".hidden.txt", "x"), ("a:b.txt", "x"), ("shot.png", "no picture")]
    {
        let refused = bench.raw("POST", "attachments", &kind, form(name, content)).await;
        assert_eq!(refused.status(), 400, "{name}");
    }
    let owner = super::bench::encoded(&owner.to_string());
    let path = format!("attachments?name=two.txt&owner_test={owner}");
    let bytes = [("Content-Type", "application/octet-stream")];
    assert_eq!(bench.raw("POST", &path, &bytes, b"world".to_vec()).await.status(), 201);
    let held = bench.find("attachments", &format!("owner_test EQ {{id EQ {test}}}")).await;
    assert_eq!(names(&held), ["note.txt", "two.txt"]);
    assert_eq!(bench.get(&format!("tests/{test}?fields=has_attachments")).await["has_attachments"], true);
    bench.send("DELETE", &format!("tests/{test}"), None).await;
    assert_eq!(bench.get("attachments").await["total_count"], 0);
}

#[tokio::test]
async fn comments_hang_on_exactly_one_entity() {
    let bench = Bench::empty().await;
    let owner = json!({"type": "test", "id": bench.test("A").await});
    bench.create("comments", json!({"text": "Hi", "owner_test": owner})).await;
    let lost = json!({"data": [{"text": "Hi"}]});
    assert_eq!(bench.send("POST", "comments", Some(lost)).await.0, 409);
    let id = owner["id"].as_str().unwrap();
    let held = bench.find("comments", &format!("owner_test EQ {{id EQ {id}}}")).await;
    assert_eq!(held[0]["text"], "<html><body>\nHi\n</body></html>");
}

#[tokio::test]
async fn users_fields_are_described_made_and_used() {
    let bench = Bench::empty().await;
    let entities = bench.find("metadata/entities", "name EQ ^test_manual^").await;
    let features = entities[0]["features"].as_array().unwrap();
    assert_eq!(
        features[0],
        json!({"name": "rest", "url": "manual_tests", "methods": ["GET", "POST", "PUT", "DELETE"]})
    );
    assert_eq!(features[1], json!({"name": "subtype_of", "type": "test"}));
    let own = "entity_name EQ ^test_manual^;is_user_defined EQ true";
    let fields = bench.find("metadata/fields", own).await;
    assert_eq!(names(&fields), ["azure_devops_id_udf", "azure_devops_url_udf", "system_under_test_udf"]);
    let field = json!({"data": [{"subtype": "field_metadata_string", "entity_type": "test_manual",
        "name": "origin_udf", "label": "Origin"}]});
    assert_eq!(bench.send("POST", "metadata_fields", Some(field.clone())).await.0, 201);
    assert_eq!(bench.send("POST", "metadata_fields", Some(field)).await.0, 409);
    assert_eq!(bench.find("metadata/fields", own).await.len(), 4);
    let test = bench.test("A").await;
    bench.put(&format!("tests/{test}"), json!({"origin_udf": "elsewhere"})).await;
    assert_eq!(bench.find("tests", "origin_udf EQ ^else*^").await.len(), 1);
    let or = super::bench::encoded("\"name EQ ^a^||name EQ ^b^\"");
    assert_eq!(bench.send("GET", &format!("metadata/fields?query={or}"), None).await.0, 400);
}

#[tokio::test]
async fn the_state_outlives_the_process_and_its_hash_tells_changes() {
    let folder = tempfile::tempdir().unwrap();
    let kept = || SandboxOptions { data: Some(folder.path().to_owned()), ..options(40, false) };
    let bench = Bench::start(kept()).await;
    let fresh = bench.hash();
    assert_eq!(Bench::start(options(40, false)).await.hash(), fresh, "the same company is the same state");
    bench.get("runs?limit=5").await;
    assert_eq!(bench.hash(), fresh, "reading changes nothing");
    let test = bench.test("Added").await;
    bench.put(&format!("tests/{test}/script"), json!({"script": "- Do\n"})).await;
    let run = json!({"name": "R", "native_status": native("passed"), "test": {"type": "test", "id": test},
        "release": bench.release().await});
    let run = bench.create("manual_runs", run).await;
    let steps = bench.find("run_steps", &format!("run EQ {{id EQ {run}}}")).await;
    let step = format!("run_steps/{}", steps[0]["id"].as_str().unwrap());
    bench.put(&step, json!({"result": native("passed")})).await;
    let changed = bench.hash();
    assert_ne!(changed, fresh);
    let shown = bench.get(&format!("runs/{run}")).await;
    bench.sandbox.save().unwrap();
    bench.sandbox.stop().await;
    let again = Bench::start(kept()).await;
    assert_eq!(again.hash(), changed);
    assert_eq!(again.get(&format!("runs/{run}")).await, shown);
    assert_eq!(again.get(&step).await["result"]["name"], "Passed");
}

#[tokio::test]
async fn the_log_tells_writes_from_reads() {
    let bench = Bench::empty().await;
    let test = bench.test("A").await;
    bench.get("tests").await;
    bench.put(&format!("tests/{test}"), json!({"name": "A"})).await;
    let log = bench.sandbox.request_log("alm-octane");
    let changed: Vec<bool> = log.iter().map(|line| line.changed).collect();
    assert_eq!(
        changed,
        [false, true, false, false],
        "signing in, and writing what is there, changes nothing"
    );
}

#[tokio::test]
async fn limits_are_enforced_if_wanted() {
    let bench = Bench::start(SandboxOptions { limits: true, ..options(20, true) }).await;
    let mut refused = None;
    for _ in 0..300 {
        let response = bench.raw("GET", "releases?limit=1", &[], Vec::new()).await;
        if response.status() == 429 {
            refused = Some(response.headers()["retry-after"].to_str().unwrap().to_owned());
            break;
        }
    }
    assert_eq!(refused.as_deref(), Some("1"));
}
