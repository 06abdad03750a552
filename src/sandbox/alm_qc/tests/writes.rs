//! Writing: entities, steps, runs, versions, bulk, files.

use super::*;

#[tokio::test]
async fn creates_are_checked_as_the_metadata_says() {
    let sandbox = empty().await;
    let mut client = Client::signed_in(&sandbox).await;
    let refused = async |client: &mut Client, fields: &[(&str, &str)]| {
        let answer = client.post("tests", fields).await;
        (
            answer.status,
            answer.json()["Id"].as_str().unwrap().to_owned(),
            answer.json()["Title"].as_str().unwrap().to_owned(),
        )
    };
    let manual = ("subtype-id", "MANUAL");
    let missing = refused(&mut client, &[("name", "a"), ("parent-id", "2")]).await;
    assert_eq!(
        missing,
        (400, "qccore.required-field-missing".into(), "The field 'Type' is required.".into())
    );
    let unknown = refused(&mut client, &[("name", "a"), ("parent-id", "2"), manual, ("nonsense", "1")]).await;
    assert_eq!(unknown.1, "qccore.unknown-field-name");
    let listed =
        refused(&mut client, &[("name", "a"), ("parent-id", "2"), manual, ("status", "Closed")]).await;
    assert_eq!((listed.0, listed.1.as_str()), (400, "qccore.invalid-list-field-value"));
    let number = refused(&mut client, &[("name", "a"), ("parent-id", "two"), manual]).await;
    assert_eq!(number.1, "qccore.invalid-value-type-for-field");
    let user = refused(&mut client, &[("name", "a"), ("parent-id", "2"), manual, ("owner", "nobody")]).await;
    assert_eq!(user.0, 500);
    let order = refused(&mut client, &[("parent-id", "2"), ("name", "a"), manual]).await;
    assert_eq!(
        (order.0, order.2.as_str()),
        (500, "Cannot invoke \"Object.hashCode()\" because \"key\" is null")
    );
    let folder = client.post("test-folders", &[("name", "f"), ("parent-id", "77")]).await;
    assert_eq!(
        (folder.status, folder.json()["Title"].as_str()),
        (500, Some("Cannot create 'Test Folder'. Invalid owner specified: 77."))
    );
    let longest = "x".repeat(255);
    let test = client.make("tests", &[("name", &longest), ("parent-id", "2"), manual]).await;
    assert_eq!((test["name"].as_str(), test["status"].as_str()), (longest.as_str(), ""));
    let longer = "x".repeat(256);
    assert_eq!(refused(&mut client, &[("name", &longer), ("parent-id", "2"), manual]).await.0, 400);
    let again = client.post("tests", &[("name", &longest), ("parent-id", "2"), manual]).await;
    assert_eq!(again.status, 409, "names are unique in a folder");
    let read_only =
        client.put(&format!("tests/{}", test["id"]), &[("exec-status", "Passed"), ("steps", "4")]).await;
    assert!(read_only.status == 400 && read_only.body.contains("Read-only field"), "{}", read_only.body);
    let stale = client.put(&format!("tests/{}", test["id"]), &[("ver-stamp", "0"), ("owner", "user3")]).await;
    assert_eq!((stale.status, flat(&stale.json())["ver-stamp"].as_str()), (200, "2"));
}

#[tokio::test]
async fn xml_writes_as_json_does() {
    let sandbox = empty().await;
    let mut client = Client::signed_in(&sandbox).await;
    client.accept = "application/xml";
    let body = "<Entity Type=\"test\"><Fields><Field Name=\"parent-id\"><Value>2</Value></Field><Field Name=\"name\">\
                <Value>Größe &lt; 3 &amp; mehr</Value></Field><Field Name=\"subtype-id\"><Value>MANUAL</Value></Field>\
                <Field Name=\"description\"><Value>&lt;b&gt;bold&lt;/b&gt; text</Value></Field></Fields></Entity>";
    let made = client.call("POST", "tests", "application/xml", body.to_owned()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(made.header("location").ends_with("/projects/Calculator/tests/1"));
    assert!(made.body.contains("<Value>&lt;html&gt;&lt;body&gt;\n&lt;b&gt;bold&lt;/b&gt; text\n&lt;/body&gt;&lt;/html&gt;</Value>"), "{}", made.body);
    client.accept = "application/json";
    assert_eq!(client.row("tests/1").await["name"], "Größe < 3 & mehr");
    assert_eq!(client.call("POST", "tests", "text/plain", "x".into()).await.status, 415);
    assert_eq!(client.call("POST", "tests", "application/json", "{".into()).await.status, 400);
}

#[tokio::test]
async fn steps_are_appended_and_raise_the_version_of_their_test() {
    let sandbox = empty().await;
    let mut client = Client::signed_in(&sandbox).await;
    let test = client.test("with steps").await;
    for n in 1..=2 {
        let step = client
            .make(
                "design-steps",
                &[
                    ("name", &format!("Step {n}")),
                    ("parent-id", &test),
                    ("description", "open"),
                    ("expected", "&lt;&lt;&lt;p&gt;&gt;&gt;"),
                ],
            )
            .await;
        assert_eq!((step["step-order"].as_str(), step["has-params"].as_str()), (n.to_string().as_str(), "Y"));
    }
    let row = client.row(&format!("tests/{test}")).await;
    assert_eq!((row["ver-stamp"].as_str(), row["steps"].as_str()), ("3", "2"));
    let steps =
        client.list(&format!("design-steps?query={}", query(&format!("{{parent-id[{test}]}}")))).await.0;
    assert_eq!(
        client.put(&format!("design-steps/{}", steps[0]["id"]), &[("step-order", "5")]).await.status,
        200
    );
    let order = query("{step-order[ASC]}");
    let sorted = client
        .list(&format!("design-steps?query={}&order-by={order}", query(&format!("{{parent-id[{test}]}}"))))
        .await
        .0;
    assert_eq!(sorted[1]["id"], steps[0]["id"]);
    let gone = client.call("DELETE", &format!("design-steps/{}", steps[0]["id"]), "", String::new()).await;
    assert_eq!((gone.status, flat(&gone.json())["id"].as_str()), (200, steps[0]["id"].as_str()));
    assert_eq!(client.row(&format!("tests/{test}")).await["steps"], "1");
    assert_eq!(client.get(&format!("tests/{test}/design-steps")).await.status, 404);
}

struct Lab {
    test: String,
    set: String,
    instance: String,
}

async fn lab(client: &mut Client) -> Lab {
    let test = client.test("Login works").await;
    client.make("design-steps", &[("name", "Step 1"), ("parent-id", &test), ("description", "open")]).await;
    let folder =
        client.make("test-set-folders", &[("name", "Nightly"), ("parent-id", "0")]).await["id"].clone();
    let set = [("name", "Set"), ("parent-id", folder.as_str()), ("subtype-id", "hp.qc.test-set.default")];
    let set = client.make("test-sets", &set).await["id"].clone();
    let instance = [
        ("cycle-id", set.as_str()),
        ("test-id", test.as_str()),
        ("subtype-id", "hp.qc.test-instance.MANUAL"),
    ];
    let instance = client.make("test-instances", &instance).await;
    assert_eq!((instance["name"].as_str(), instance["status"].as_str()), ("Login works [1]", "No Run"));
    let configs =
        client.list(&format!("test-configs?query={}", query(&format!("{{parent-id[{test}]}}")))).await.0;
    assert_eq!(configs[0]["id"], instance["test-config-id"]);
    Lab { test, set, instance: instance["id"].clone() }
}

#[tokio::test]
async fn a_run_shows_on_its_instance_once_its_status_is_put() {
    let sandbox = empty().await;
    let mut client = Client::signed_in(&sandbox).await;
    let lab = lab(&mut client).await;
    let fields = [
        ("name", "Import_Run_1"),
        ("test-id", lab.test.as_str()),
        ("cycle-id", lab.set.as_str()),
        ("testcycl-id", lab.instance.as_str()),
        ("owner", "user2"),
        ("duration", "12"),
        ("status", "Passed"),
        ("execution-date", "2026-01-02"),
        ("execution-time", "03:04:05"),
        ("subtype-id", "hp.qc.run.MANUAL"),
    ];
    let run = client.make("runs", &fields).await;
    let (instance, test) = (format!("test-instances/{}", lab.instance), format!("tests/{}", lab.test));
    assert_eq!(client.row(&instance).await["status"], "No Run", "a status that is posted goes no further");
    assert_eq!((run["test-name"].as_str(), run["cycle-name"].as_str()), ("Login works", "Set"));
    let done = client.put(&format!("runs/{}", run["id"]), &[("status", "Failed")]).await;
    assert_eq!(done.status, 200);
    let shown = client.row(&instance).await;
    assert_eq!(
        (shown["status"].as_str(), shown["actual-tester"].as_str(), shown["exec-time"].as_str()),
        ("Failed", "user2", "03:04:05")
    );
    assert_eq!(client.row(&test).await["exec-status"], "Failed");
    let step = [("name", "Step 1"), ("status", "Failed"), ("actual", "<b>boom</b>")];
    let step = client.make(&format!("runs/{}/run-steps", run["id"]), &step).await;
    let path = format!("runs/{}/run-steps/{}", run["id"], step["id"]);
    assert_eq!(client.put(&path, &[("status", "Passed")]).await.status, 200);
    assert_eq!(client.row(&format!("runs/{}", run["id"])).await["status"], "Failed");
    let audits = client.get(&format!("runs/{}/audits", run["id"])).await.json();
    assert_eq!(audits["Audits"]["Audit"]["Properties"]["Property"]["NewValue"], "Failed");
}

#[tokio::test]
async fn a_status_put_on_an_instance_makes_a_run_with_steps() {
    let sandbox = empty().await;
    let mut client = Client::signed_in(&sandbox).await;
    let lab = lab(&mut client).await;
    let instance = format!("test-instances/{}", lab.instance);
    assert_eq!(client.put(&instance, &[("status", "Passed")]).await.status, 200);
    let runs =
        client.list(&format!("runs?query={}", query(&format!("{{testcycl-id[{}]}}", lab.instance)))).await.0;
    assert_eq!(runs.len(), 1);
    assert!(runs[0]["name"].starts_with("Fast_Run_"), "{}", runs[0]["name"]);
    assert_eq!((runs[0]["status"].as_str(), runs[0]["owner"].as_str()), ("Passed", "user1"));
    let steps = client.list(&format!("runs/{}/run-steps", runs[0]["id"])).await.0;
    assert_eq!((steps.len(), steps[0]["status"].as_str()), (1, "No Run"));
    assert_eq!(client.row(&format!("tests/{}", lab.test)).await["exec-status"], "Passed");
}

#[tokio::test]
async fn bulk_says_of_each_row_what_became_of_it() {
    let sandbox = empty().await;
    let mut client = Client::signed_in(&sandbox).await;
    let folder = |name: &'static str, parent: &'static str| entity(&[("name", name), ("parent-id", parent)]);
    let bulk = |list: Vec<Json>| json!({"entities": list}).to_string();
    let kind = "application/json;type=collection";
    let made =
        client.call("POST", "test-folders", kind, bulk(vec![folder("a", "2"), folder("b", "2")])).await;
    assert_eq!((made.status, made.json()["TotalResults"].as_u64()), (201, Some(2)));
    let mixed =
        client.call("POST", "test-folders", kind, bulk(vec![folder("c", "2"), folder("d", "999")])).await;
    assert_eq!((mixed.status, mixed.json()["Id"].as_str()), (409, Some("qccore.bulk-operation-failed")));
    let entries = mixed.json()["ExceptionProperties"][0]["Value"]["BulkOperationFailed"].clone();
    assert_eq!(
        (entries[0]["Successful"].as_bool(), entries[1]["Successful"].as_bool()),
        (Some(true), Some(false))
    );
    client.accept = "application/xml";
    let failed = client.call("POST", "test-folders", kind, bulk(vec![folder("a", "2")])).await;
    assert_eq!(failed.status, 500);
    assert!(
        failed.body.contains("<BulkEntry Successful=\"false\" EntityType=\"test-folder\"><Id>"),
        "{}",
        failed.body
    );
    client.accept = "application/json";
    let plain = client.call("POST", "test-folders", "application/json", bulk(vec![folder("e", "2")])).await;
    assert_eq!(plain.status, 500);
    let rows = client.list(&format!("test-folders?query={}", query("{name[a OR b OR c]}"))).await.0;
    assert_eq!(rows.len(), 3);
    let update = bulk(rows.iter().map(|r| entity(&[("id", &r["id"]), ("description", "new")])).collect());
    let put = client.call("PUT", "test-folders", kind, update).await;
    assert_eq!(put.status, 200, "{}", put.body);
    let ids: Vec<&str> = rows.iter().map(|r| r["id"].as_str()).collect();
    let gone = client
        .call("DELETE", &format!("test-folders?ids-to-delete={}", ids.join(",")), "", String::new())
        .await;
    assert_eq!(gone.status, 200);
    assert_eq!(client.list("test-folders").await.1, 2);
}

#[tokio::test]
async fn a_deleted_folder_leaves_its_tests_unattached() {
    let sandbox = empty().await;
    let mut client = Client::signed_in(&sandbox).await;
    let mut folders = Vec::new();
    for name in ["keep", "drop"] {
        let folder = client.make("test-folders", &[("name", name), ("parent-id", "2")]).await["id"].clone();
        let test =
            client.make("tests", &[("name", name), ("parent-id", &folder), ("subtype-id", "MANUAL")]).await;
        folders.push((folder, test["id"].clone()));
    }
    client.call("DELETE", &format!("test-folders/{}", folders[0].0), "", String::new()).await;
    assert_eq!(client.row(&format!("tests/{}", folders[0].1)).await["parent-id"], "0");
    client
        .call("DELETE", &format!("test-folders/{}?force-delete-children=y", folders[1].0), "", String::new())
        .await;
    assert_eq!(client.get(&format!("tests/{}", folders[1].1)).await.status, 404);
    let root = client.call("DELETE", "test-folders/2", "", String::new()).await;
    assert_eq!(root.status, 500);
}

#[tokio::test]
async fn a_versioned_test_is_written_between_check_out_and_check_in() {
    let sandbox = filled().await;
    let mut one = Client::signed_in(&sandbox).await;
    let mut two = Client::user(&sandbox, "user2").await;
    (one.project, two.project) = (super::super::seed::VERSIONED, super::super::seed::VERSIONED);
    let test = one.list("tests?page-size=1").await.0.remove(0);
    assert_eq!(test["vc-status"], "Checked_In");
    let path = format!("tests/{}", test["id"]);
    let unprepared = one.put(&path, &[("name", "renamed")]).await;
    assert_eq!(
        (unprepared.status, unprepared.json()["Id"].as_str()),
        (403, Some("qccore.operation-forbidden"))
    );
    let step = [("name", "more"), ("parent-id", test["id"].as_str())];
    assert_eq!(one.post("design-steps", &step).await.status, 403);
    let out = one.call("POST", &format!("{path}/versions/check-out"), "", String::new()).await;
    assert_eq!((out.status, flat(&out.json())["vc-status"].as_str()), (200, "Checked_Out"));
    let again = two.call("POST", &format!("{path}/versions/check-out"), "", String::new()).await;
    assert_eq!((again.status, again.json()["Id"].as_str()), (403, Some("qccore.check-out-failure")));
    assert_eq!(one.put(&path, &[("name", "renamed")]).await.status, 200);
    one.make("design-steps", &step).await;
    let steps = format!("design-steps?query={}", query(&format!("{{parent-id[{}]}}", test["id"])));
    let (mine, others) = (one.list(&steps).await.1, two.list(&steps).await.1);
    assert_eq!(mine, others + 1, "others see the version that was checked in last");
    assert_eq!(two.row(&path).await["name"], test["name"]);
    let comment = "<CheckInParameters><Comment>done</Comment></CheckInParameters>".to_owned();
    let done = one.call("POST", &format!("{path}/versions/check-in"), "application/xml", comment).await;
    assert_eq!((done.status, done.body.as_str()), (200, ""));
    let after = two.row(&path).await;
    assert_eq!((after["name"].as_str(), after["vc-version-number"].as_str()), ("renamed", "2"));
    assert_eq!(two.list(&steps).await.1, mine);
    two.call("POST", &format!("{path}/versions/check-out"), "", String::new()).await;
    two.put(&path, &[("name", "by mistake")]).await;
    assert_eq!(
        two.call("POST", &format!("{path}/versions/undo-check-out"), "", String::new()).await.status,
        200
    );
    assert_eq!(one.row(&path).await["name"], "renamed");
    let new = one.test("fresh").await;
    assert_eq!(one.row(&format!("tests/{new}")).await["vc-status"], "Checked_Out");
    assert_eq!(two.get(&format!("tests/{new}")).await.status, 404, "nobody else sees it yet");
}

#[tokio::test]
async fn defects_and_links_have_their_ends() {
    let sandbox = empty().await;
    let mut client = Client::signed_in(&sandbox).await;
    let test = client.test("found it").await;
    let fields = [
        ("name", "Crash"),
        ("detected-by", "user1"),
        ("creation-time", "2024-05-01"),
        ("severity", "3-High"),
    ];
    let defect = client.make("defects", &fields).await;
    assert_eq!((defect["status"].as_str(), defect["has-linkage"].as_str()), ("New", "N"));
    let ends = [
        ("first-endpoint-id", defect["id"].as_str()),
        ("second-endpoint-id", test.as_str()),
        ("second-endpoint-type", "test"),
    ];
    let link = client.make("defect-links", &ends).await;
    assert_eq!(link["second-endpoint-name"], "found it");
    assert_eq!(client.list(&format!("defects/{}/defect-links", defect["id"])).await.1, 1);
    assert_eq!(client.row(&format!("defects/{}", defect["id"])).await["has-linkage"], "Y");
    let requirement =
        client.make("requirements", &[("name", "Must add"), ("parent-id", "0"), ("type-id", "3")]).await;
    assert_eq!(requirement["status"], "Not Covered");
    let covered =
        [("requirement-id", requirement["id"].as_str()), ("test-id", test.as_str()), ("entity-type", "test")];
    assert_eq!(client.make("requirement-coverages", &covered).await["status"], "No Run");
    assert_eq!(client.row(&format!("requirements/{}", requirement["id"])).await["status"], "No Run");
    assert_eq!(client.post("requirement-coverages", &covered).await.status, 409);
}

#[tokio::test]
async fn files_come_by_slug_or_form_and_go_as_octets_only() {
    let sandbox = empty().await;
    let mut client = Client::signed_in(&sandbox).await;
    let test = client.test("with files").await;
    let path = format!("/rest/domains/DEFAULT/projects/Calculator/tests/{test}/attachments");
    let token = client.cookies["XSRF-TOKEN"].clone();
    let base = [("x-xsrf-token", token.as_str()), ("accept", "application/json")];
    let slug = [base[0], base[1], ("content-type", "application/octet-stream"), ("slug", "shot.png")];
    assert_eq!(client.send("POST", &path, &slug, "bytes").await.status, 201);
    let twice = client.send("POST", &path, &slug, "other").await;
    assert_eq!(flat(&twice.json())["name"], "shot_1.png", "an equal name is made unique");
    let form = "--b\r\nContent-Disposition: form-data; name=\"filename\"\r\n\r\nlog.txt\r\n--b\r\n\
                Content-Disposition: form-data; name=\"file\"; filename=\"log.txt\"\r\nContent-Type: text/plain\r\n\r\nline\r\nline\r\n--b--\r\n";
    let multipart = [base[0], base[1], ("content-type", "multipart/form-data; boundary=b")];
    assert_eq!(client.send("POST", &path, &multipart, form).await.status, 201);
    let reversed = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--b\r\n\
                    Content-Disposition: form-data; name=\"filename\"\r\n\r\nlog.txt\r\n--b--\r\n";
    assert_eq!(client.send("POST", &path, &multipart, reversed).await.status, 500);
    let octets =
        client.send("GET", &format!("{path}/log.txt"), &[("accept", "application/octet-stream")], "").await;
    assert_eq!(octets.body, "line\r\nline");
    let about = client.send("GET", &format!("{path}/log.txt"), &[("accept", "*/*")], "").await;
    assert!(about.body.contains("<Field Name=\"file-size\"><Value>10</Value>"), "{}", about.body);
    assert_eq!(
        client.send("GET", &format!("{path}/log.txt"), &[("accept", "text/plain")], "").await.status,
        406
    );
    assert_eq!(client.row(&format!("tests/{test}")).await["attachment"], "Y");
    let blocked = [base[0], base[1], slug[2], ("slug", "virus.exe")];
    assert_eq!(client.send("POST", &path, &blocked, "x").await.status, 403);
}
