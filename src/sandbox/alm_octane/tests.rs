//! What the emulator promises, asked over real HTTP: signing in, reading, writing.

mod bench;
mod content;
mod life;

use serde_json::json;

use self::bench::{Bench, names};

#[tokio::test]
async fn only_valid_credentials_sign_in() {
    let bench = Bench::empty().await;
    let wrong = json!({"client_id": "x", "client_secret": "y"});
    let (status, body) = bench.plain("POST", "/authentication/sign_in", Some(wrong)).await;
    assert_eq!(status, 401);
    assert!(body["error_code"].is_string() && body["correlation_id"].is_string(), "{body}");
    let person = json!({"user": bench.user().await, "password": super::session::PASSWORD});
    assert_eq!(bench.plain("POST", "/authentication/sign_in", Some(person)).await.0, 200);
    let (status, _) = bench.plain("GET", "/api/shared_spaces", None).await;
    assert_eq!(status, 401, "without a cookie nothing is told");
    assert_eq!(bench.get("tests").await["total_count"], 0);
    assert_eq!(bench.plain("POST", "/authentication/sign_out", None).await.0, 200);
}

#[tokio::test]
async fn ordinary_answers_renew_the_cookie_and_the_newest_one_works() {
    let bench = Bench::empty().await;
    let first = bench.cookie();
    for _ in 0..60 {
        bench.get("releases?limit=1").await;
    }
    assert_ne!(bench.cookie(), first);
}

#[tokio::test]
async fn pages_add_up_at_their_boundaries() {
    let bench = Bench::empty().await;
    for count in [0, 1, 2, 3] {
        let page = bench.get("manual_tests?fields=name&order_by=id&limit=2&offset=0").await;
        assert_eq!(page["total_count"], count);
        assert_eq!(page["data"].as_array().unwrap().len(), count.min(2));
        let rest = bench.get("manual_tests?fields=name&order_by=id&limit=2&offset=2").await;
        assert_eq!(rest["data"].as_array().unwrap().len(), count.saturating_sub(2));
        bench.test(&format!("T{count}")).await;
    }
    for wrong in ["limit=0", "limit=10001", "limit=x", "offset=-1", "order_by=nothing", "fields=nothing"] {
        assert_eq!(bench.send("GET", &format!("tests?{wrong}"), None).await.0, 400, "{wrong}");
    }
    let page = bench.get("tests?order_by=-id&limit=1&fields=id").await;
    assert_eq!(page["data"][0].as_object().unwrap().len(), 2, "type and id always come, and nothing else");
}

#[tokio::test]
async fn queries_select_by_every_operator() {
    let bench = Bench::empty().await;
    let mut ids = Vec::new();
    for name in ["Login works", "Log * off", "It's (me)", "caret ^ here"] {
        ids.push(bench.test(name).await);
    }
    let by = async |query: &str| names(&bench.find("tests", query).await);
    assert_eq!(by("name EQ ^Log*^").await, ["Login works", "Log * off"]);
    assert_eq!(by(r"name EQ 'Log \* off'").await, ["Log * off"]);
    assert_eq!(by(r"name EQ 'It\'s \(me\)'").await, ["It's (me)"]);
    assert_eq!(by(r"name EQ 'caret ^ here'").await, ["caret ^ here"]);
    assert_eq!(by(&format!("id IN {},{}", ids[0], ids[3])).await, ["Login works", "caret ^ here"]);
    assert_eq!(by(&format!("id GT {};!name EQ ^It*^", ids[0])).await, ["Log * off", "caret ^ here"]);
    assert_eq!(by(&format!("id BTW {}...{}", ids[1], ids[2])).await.len(), 2);
    assert_eq!(by("name='Login works'||name='nothing'").await, ["Login works"]);
    assert_eq!(by("phase EQ {id EQ ^phase.test_manual.new^};subtype EQ ^test_manual^").await.len(), 4);
    assert_eq!(by("phase EQ {logical_name EQ ^phase.test_manual.ready^}").await.len(), 0);
    assert_eq!(by("owner EQ {null};description EQ null").await.len(), 4);
    assert_eq!(by("author IN [current_user]").await.len(), 4);
    assert_eq!(
        by("last_modified GE ^2020-01-01T00:00:00Z^;creation_time LT ^2020-01-01T00:00:00Z^").await.len(),
        0
    );
    for wrong in ["name EQ", "nothing EQ 1", "phase EQ {nothing EQ 1}", "steps_num EQ ^x^", "(name EQ 1"] {
        let path = format!("tests?query={}", bench::encoded(&format!("\"{wrong}\"")));
        let (status, body) = bench.send("GET", &path, None).await;
        assert_eq!(status, 400, "{wrong}");
        assert!(body["description"].is_string());
    }
    let bare = format!("tests?query={}", bench::encoded("name EQ ^x^"));
    assert_eq!(bench.send("GET", &bare, None).await.0, 400, "the quotes belong to the query");
}

#[tokio::test]
async fn aggregates_say_the_subtype_and_braces_reach_into_references() {
    let bench = Bench::empty().await;
    let id = bench.test("A").await;
    let all = bench.get(&format!("tests/{id}")).await;
    assert_eq!((&all["type"], &all["subtype"]), (&json!("test"), &json!("test_manual")));
    let own =
        bench.get(&format!("manual_tests/{id}?fields=name,author{{full_name}},phase,owner,user_tags")).await;
    assert_eq!(own["type"], "test_manual");
    assert!(own.get("subtype").is_none());
    assert_eq!(own["author"].as_object().unwrap().keys().len(), 3);
    assert_eq!(own["phase"]["name"], "New");
    assert!(own["owner"].is_null());
    assert_eq!(own["user_tags"], json!({"total_count": 0, "data": [], "exceeds_total_count": false}));
    assert_eq!(bench.send("GET", &format!("test_suites/{id}"), None).await.0, 404);
    assert_eq!(bench.send("GET", "test_steps", None).await.0, 404);
}

#[tokio::test]
async fn accepted_entities_stand_beside_refused_ones() {
    let bench = Bench::empty().await;
    let phase = json!({"type": "phase", "id": "phase.test_manual.new"});
    let body = json!({"data": [
        {"name": "fine", "phase": phase},
        {"phase": phase},
        {"name": "x".repeat(256), "phase": phase},
        {"name": "also fine", "phase": phase, "description": "plain"},
        {"name": "release", "phase": phase, "release": null},
        {"name": "half a reference", "phase": {"id": "phase.test_manual.new"}},
        {"name": "wrong phase", "phase": {"type": "phase", "id": "phase.defect.new"}},
        {"name": "stamped", "phase": phase, "version_stamp": 7},
    ]});
    let (status, answer) = bench.send("POST", "manual_tests", Some(body.clone())).await;
    assert_eq!(status, 409);
    assert_eq!((&answer["total_count"], &answer["total_error_count"]), (&json!(2), &json!(6)));
    let index: Vec<_> =
        answer["errors"].as_array().unwrap().iter().map(|e| e["index"].as_u64().unwrap()).collect();
    assert_eq!(index, [1, 2, 4, 5, 6, 7]);
    let code = |n: usize| answer["errors"][n]["error_code"].as_str().unwrap();
    assert_eq!(code(0), "platform.required_field_missing");
    assert_eq!(code(5), "platform.modify_non_editable_field");
    let (status, answer) = bench.send("POST", "manual_tests?is_atomic_creation=true", Some(body)).await;
    assert_eq!((status, &answer["total_count"]), (409, &json!(0)));
    assert_eq!(bench.get("manual_tests").await["total_count"], 2);
    assert_eq!(bench.send("POST", "manual_tests", Some(json!({"name": "bare"}))).await.0, 400);
    let made = &bench.find("tests", "name EQ ^also fine^").await[0];
    let memo = bench.get(&format!("tests/{}?fields=description", made["id"].as_str().unwrap())).await;
    assert!(memo["description"].as_str().unwrap().starts_with("<html><body>"));
}

#[tokio::test]
async fn names_of_releases_are_given_once() {
    let bench = Bench::empty().await;
    let release =
        json!({"name": "R9", "start_date": "2026-01-01T00:00:00Z", "end_date": "2026-02-01T00:00:00Z"});
    let twice = json!({"data": [release, release]});
    let (status, answer) = bench.send("POST", "releases", Some(twice)).await;
    assert_eq!(status, 409);
    assert_eq!(answer["errors"][0]["error_code"], "platform.duplicate_entity_error");
    assert_eq!(answer["errors"][0]["index"], 1);
}

#[tokio::test]
async fn a_stale_lock_stamp_is_refused_and_nothing_is_written() {
    let bench = Bench::empty().await;
    let path = format!("manual_tests/{}", bench.test("A").await);
    let stamp = bench.get(&path).await["client_lock_stamp"].as_i64().unwrap();
    let put = async |body| bench.send("PUT", &path, Some(body)).await;
    assert_eq!(put(json!({"name": "B", "client_lock_stamp": stamp})).await.0, 200);
    let (status, error) = put(json!({"name": "C", "client_lock_stamp": stamp})).await;
    assert_eq!(status, 500);
    assert!(error["error_code"].is_string());
    assert_eq!(bench.get(&path).await["name"], "B");
    let before = bench.get(&path).await;
    assert_eq!(put(json!({"name": "B"})).await.0, 200);
    assert_eq!(bench.get(&path).await, before, "what changes nothing leaves the stamps alone");
    assert_eq!(put(json!({"version_stamp": 3})).await.0, 403);
    assert_eq!(put(json!({"name": null})).await.1["error_code"], "platform.required_field_missing");
}

#[tokio::test]
async fn many_are_changed_and_deleted_at_once() {
    let bench = Bench::empty().await;
    let (a, b, c) = (bench.test("A").await, bench.test("B").await, bench.test("C").await);
    let body =
        json!({"data": [{"id": a, "name": "A2"}, {"id": "999999", "name": "x"}, {"id": b, "name": "B2"}]});
    let (status, answer) = bench.send("PUT", "tests", Some(body)).await;
    assert_eq!((status, &answer["total_count"]), (409, &json!(2)));
    assert_eq!(answer["errors"][0]["index"], 1);
    let query = bench::encoded(&format!("\"id IN {a},{b}\""));
    let (status, gone) = bench.send("DELETE", &format!("tests?query={query}"), None).await;
    assert_eq!((status, &gone["total_count"]), (200, &json!(2)));
    assert_eq!(bench.send("DELETE", &format!("tests/{c}"), None).await.0, 200);
    assert_eq!(bench.get("tests").await["total_count"], 0);
    assert_eq!(bench.send("DELETE", "tests", None).await.0, 400, "a query is needed");
}

#[tokio::test]
async fn references_are_replaced_or_appended() {
    let bench = Bench::empty().await;
    let test = bench.test("A").await;
    let mut tags = Vec::new();
    for name in ["one", "two"] {
        tags.push(bench.create("user_tags", json!({"name": name})).await);
    }
    let refer = |id: &str| json!({"user_tags": {"data": [{"type": "user_tag", "id": id}]}});
    bench.put(&format!("tests/{test}"), refer(&tags[0])).await;
    bench.put(&format!("tests/{test}?reference_update_mode=append"), refer(&tags[1])).await;
    let held = bench.get(&format!("tests/{test}?fields=user_tags")).await;
    assert_eq!(names(held["user_tags"]["data"].as_array().unwrap()), ["one", "two"]);
    bench.put(&format!("tests/{test}"), refer(&tags[1])).await;
    let held = bench.get(&format!("tests/{test}?fields=user_tags")).await;
    assert_eq!(names(held["user_tags"]["data"].as_array().unwrap()), ["two"]);
    assert_eq!(names(&bench.find("tests", "user_tags EQ {name EQ ^two^}").await), ["A"]);
}

#[tokio::test]
async fn phases_move_along_transitions_only() {
    let bench = Bench::empty().await;
    let test = bench.test("A").await;
    let phase = |word: &str| json!({"phase": {"type": "phase", "id": format!("phase.test_manual.{word}")}});
    let path = format!("tests/{test}");
    let (status, error) = bench.send("PUT", &path, Some(phase("awaitingreview"))).await;
    assert_eq!(status, 409);
    assert_eq!(error["description"], "'New' phase cannot be changed to 'Awaiting Review'");
    bench.put(&path, phase("indesign")).await;
    bench.put(&path, phase("awaitingreview")).await;
    let moves = bench.find("transitions", "entity EQ ^test_manual^").await;
    assert!(moves.iter().any(|t| t["source_phase"]["id"] == "phase.test_manual.new"));
}

#[tokio::test]
async fn unchanged_content_is_not_sent_again() {
    let bench = Bench::empty().await;
    let first = bench.raw("GET", "releases", &[], Vec::new()).await;
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    let again = bench.raw("GET", "releases", &[("If-None-Match", &tag)], Vec::new()).await;
    assert_eq!(again.status(), 304);
}
