//! Signing in and out, cookies, forged requests, locks.

use super::*;

#[tokio::test]
async fn an_api_key_opens_a_session_with_all_cookies() {
    let sandbox = empty().await;
    let mut client = Client::signed_in(&sandbox).await;
    for name in ["LWSSO_COOKIE_KEY", "QCSession", "ALM_USER", "XSRF-TOKEN", "JSESSIONID"] {
        assert!(client.cookies.contains_key(name), "{name}");
    }
    let before = client.cookies["LWSSO_COOKIE_KEY"].clone();
    assert_eq!(client.get("tests").await.status, 200);
    assert_ne!(client.cookies["LWSSO_COOKIE_KEY"], before, "the identity is issued anew");
    let body = json!({"clientId": session::CLIENT_ID, "secret": "wrong"}).to_string();
    let refused = Client::of(&sandbox).send("POST", "/rest/oauth2/login", &[], body).await;
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn a_password_opens_a_session_in_two_steps() {
    let sandbox = empty().await;
    let mut client = Client::of(&sandbox);
    let json = [("content-type", "application/json")];
    let body = json!({"alm-authentication": {"user": "user2", "password": session::PASSWORD}}).to_string();
    assert_eq!(client.send("POST", "/authentication-point/alm-authenticate", &json, body).await.status, 200);
    assert_eq!(client.cookies.keys().collect::<Vec<_>>(), ["LWSSO_COOKIE_KEY"]);
    let unsigned = client.get("tests").await;
    assert_eq!(unsigned.status, 401);
    assert!(unsigned.header("www-authenticate").starts_with("LWSSO realm=\"http://127.0.0.1"));
    assert_eq!(client.send("POST", "/rest/site-session", &[], "").await.status, 201);
    assert_eq!(client.get("tests").await.status, 200);
    let wrong = "<alm-authentication><user>user2</user><password>no</password></alm-authentication>";
    let xml = [("content-type", "application/xml")];
    let refused = client.send("POST", "/authentication-point/alm-authenticate", &xml, wrong).await;
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, "ALMAUTH"));
}

#[tokio::test]
async fn basic_credentials_open_a_session_in_one_step_or_two() {
    let sandbox = empty().await;
    let pair = format!("user1:{}", session::PASSWORD);
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let header = [("authorization", basic.as_str())];
    let mut client = Client::of(&sandbox);
    assert_eq!(client.send("POST", "/api/authentication/sign-in", &header, "").await.status, 200);
    assert_eq!(client.get("tests").await.status, 200);
    let mut client = Client::of(&sandbox);
    assert_eq!(client.send("GET", "/authentication-point/authenticate", &header, "").await.status, 200);
    assert_eq!(client.get("tests").await.status, 401);
    assert_eq!(client.send("POST", "/rest/site-session", &[], "").await.status, 201);
    assert_eq!(client.get("tests").await.status, 200);
}

#[tokio::test]
async fn a_write_without_the_echoed_token_is_refused_and_does_nothing() {
    let sandbox = empty().await;
    let mut client = Client::signed_in(&sandbox).await;
    let path = "/rest/domains/DEFAULT/projects/Calculator/test-folders";
    let body = entity(&[("name", "a"), ("parent-id", "2")]).to_string();
    let mut headers = vec![("content-type", "application/json"), ("accept", "application/json")];
    let before = sandbox.state(SYSTEM).unwrap();
    let refused = client.send("POST", path, &headers, body.clone()).await;
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.json(),
        json!({"Id": "qccore.general-error", "Title": FORGED, "ExceptionProperties": null, "StackTrace": null})
    );
    assert_eq!(sandbox.state(SYSTEM).unwrap(), before);
    assert_eq!(client.get("tests").await.status, 200, "the session goes on");
    client.cookies.insert("XSRF-TOKEN".into(), "made-up".into());
    headers.push(("x-xsrf-token", "made-up"));
    assert_eq!(client.send("POST", path, &headers, body).await.status, 201);
}

#[tokio::test]
async fn a_lost_session_looks_authenticated_still() {
    let sandbox = empty().await;
    let mut client = Client::signed_in(&sandbox).await;
    let session = client.cookies["QCSession"].clone();
    let token = client.cookies["XSRF-TOKEN"].clone();
    let header = [("x-xsrf-token", token.as_str())];
    assert_eq!(client.send("GET", "/rest/site-session", &[], "").await.status, 200);
    assert_eq!(client.send("DELETE", "/rest/site-session", &header, "").await.status, 200);
    client.cookies.insert("QCSession".into(), session);
    let known = client.send("GET", "/rest/is-authenticated", &[("accept", "application/xml")], "").await;
    assert_eq!(known.status, 200);
    assert!(known.body.contains("<Username>user1</Username>"), "{}", known.body);
    assert_eq!(
        client.send("GET", "/rest/is-authenticated", &[("accept", "application/json")], "").await.status,
        406
    );
    let json = client.send("GET", "/v2/rest/is-authenticated", &[("accept", "application/json")], "").await;
    assert_eq!(json.json()["AuthenticationInfo"]["Username"], "user1");
    let lost = client.get("tests").await;
    assert_eq!((lost.status, lost.json()["Id"].as_str()), (401, Some("qccore.session-has-expired")));
    assert_eq!(
        client.send("GET", "/rest/site-session", &[("accept", "application/json")], "").await.status,
        401
    );
    assert_eq!(client.send("POST", "/rest/site-session", &header, "").await.status, 201);
    assert_eq!(client.get("tests").await.status, 200);
}

#[tokio::test]
async fn cookies_after_the_logout_are_an_error_of_the_server() {
    let sandbox = empty().await;
    let mut client = Client::signed_in(&sandbox).await;
    let (old, token) = (client.cookies.clone(), client.cookies["XSRF-TOKEN"].clone());
    assert_eq!(client.send("GET", "/authentication-point/logout", &[], "").await.status, 405);
    assert_eq!(
        client.send("POST", "/authentication-point/logout", &[("x-xsrf-token", &token)], "").await.status,
        200
    );
    client.cookies = old;
    let replayed = client.get("tests").await;
    assert_eq!(
        (replayed.status, replayed.json()["Title"].as_str()),
        (500, Some("TokenId is invalid because it has logged out"))
    );
}

#[tokio::test]
async fn a_lock_keeps_others_out_and_dies_with_its_session() {
    let sandbox = empty().await;
    let mut one = Client::signed_in(&sandbox).await;
    let mut two = Client::user(&sandbox, "user2").await;
    let test = one.test("locked").await;
    let lock = format!("tests/{test}/lock");
    assert_eq!(one.call("POST", &lock, "", String::new()).await.status, 200);
    let refused = two.put(&format!("tests/{test}"), &[("status", "Ready")]).await;
    assert_eq!((refused.status, refused.json()["Id"].as_str()), (403, Some("qccore.lock-failure")));
    assert_eq!(refused.json()["Title"], "The entity is locked by user 'user1'");
    assert_eq!(two.call("POST", &lock, "", String::new()).await.status, 403);
    assert_eq!(one.put(&format!("tests/{test}"), &[("status", "Ready")]).await.status, 200);
    let token = one.cookies["XSRF-TOKEN"].clone();
    assert_eq!(one.send("DELETE", "/rest/site-session", &[("x-xsrf-token", &token)], "").await.status, 200);
    assert_eq!(two.put(&format!("tests/{test}"), &[("status", "Design")]).await.status, 200);
}
