//! What the emulator promises, asked over real connections.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::{Value as Json, json};

use super::session;
use crate::sandbox::world::World;
use crate::sandbox::{Sandbox, SandboxOptions};

const SYSTEM: &str = "alm-qc";
const FORGED: &str =
    "Unauthorized request. For more details see XSRF Token section in REST API documentation.";

/// An answer, whole.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

/// A client with a jar of cookies, as the vendor tells to write one.
struct Client {
    base: String,
    http: reqwest::Client,
    cookies: BTreeMap<String, String>,
    accept: &'static str,
    project: &'static str,
}

impl Client {
    fn of(sandbox: &Sandbox) -> Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client {
            base: format!("{}/qcbin", sandbox.urls()[0].1),
            http: reqwest::Client::new(),
            cookies: BTreeMap::new(),
            accept: "application/json",
            project: super::seed::PROJECT,
        }
    }

    async fn signed_in(sandbox: &Sandbox) -> Client {
        let mut client = Client::of(sandbox);
        let answer = client.api_key().await;
        assert_eq!(answer.status, 200);
        client
    }

    /// Somebody else, in two steps.
    async fn user(sandbox: &Sandbox, login: &str) -> Client {
        let mut client = Client::of(sandbox);
        let body = format!(
            "<alm-authentication><user>{login}</user><password>{}</password></alm-authentication>",
            session::PASSWORD
        );
        let xml = [("content-type", "application/xml")];
        assert_eq!(
            client.send("POST", "/authentication-point/alm-authenticate", &xml, body).await.status,
            200
        );
        assert_eq!(client.send("POST", "/rest/site-session", &[], "").await.status, 201);
        client
    }

    async fn api_key(&mut self) -> Answer {
        let body = json!({"clientId": session::CLIENT_ID, "secret": session::CLIENT_SECRET}).to_string();
        self.send("POST", "/rest/oauth2/login", &[("content-type", "application/json")], body).await
    }

    /// Sends a request with the jar's cookies, without the header against forged requests.
    async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.base)).body(body);
        let jar: Vec<String> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        if !jar.is_empty() {
            request = request.header("cookie", jar.join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            match value {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Answer { status, headers, body: String::from_utf8_lossy(&answer.bytes().await.unwrap()).into_owned() }
    }

    /// Sends a request to the project, as a proper client does.
    async fn call(&mut self, method: &str, path: &str, kind: &str, body: String) -> Answer {
        let path = format!("/rest/domains/DEFAULT/projects/{}/{path}", self.project);
        let forge = self.cookies.get("XSRF-TOKEN").cloned().unwrap_or_default();
        let mut headers = vec![("accept", self.accept), ("x-xsrf-token", forge.as_str())];
        if !kind.is_empty() {
            headers.push(("content-type", kind));
        }
        self.send(method, &path, &headers, body).await
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.call("GET", path, "", String::new()).await
    }

    async fn list(&mut self, path: &str) -> (Vec<BTreeMap<String, String>>, u64) {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let json = answer.json();
        let rows = json["entities"].as_array().unwrap().iter().map(flat).collect();
        (rows, json["TotalResults"].as_u64().unwrap())
    }

    async fn post(&mut self, collection: &str, fields: &[(&str, &str)]) -> Answer {
        self.call("POST", collection, "application/json", entity(fields).to_string()).await
    }

    async fn make(&mut self, collection: &str, fields: &[(&str, &str)]) -> BTreeMap<String, String> {
        let answer = self.post(collection, fields).await;
        assert_eq!(answer.status, 201, "{collection}: {}", answer.body);
        flat(&answer.json())
    }

    async fn put(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.call("PUT", path, "application/json", entity(fields).to_string()).await
    }

    async fn row(&mut self, path: &str) -> BTreeMap<String, String> {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        flat(&answer.json())
    }

    async fn test(&mut self, name: &str) -> String {
        self.make("tests", &[("name", name), ("parent-id", "2"), ("subtype-id", "MANUAL")]).await["id"]
            .clone()
    }
}

fn entity(fields: &[(&str, &str)]) -> Json {
    let one = |(name, value): &(&str, &str)| json!({"Name": name, "values": [{"value": value}]});
    json!({"Fields": fields.iter().map(one).collect::<Vec<_>>(), "Type": "entity"})
}

fn flat(entity: &Json) -> BTreeMap<String, String> {
    let field = |f: &Json| {
        let value = f["values"][0]["value"].as_str().unwrap_or_default().to_owned();
        (f["Name"].as_str().unwrap().to_owned(), value)
    };
    entity["Fields"].as_array().unwrap().iter().map(field).collect()
}

fn options(empty: bool) -> SandboxOptions {
    SandboxOptions { systems: vec![SYSTEM.into()], size: 60, seed: 7, empty, ..SandboxOptions::default() }
}

async fn empty() -> Sandbox {
    Sandbox::start(options(true)).await.unwrap()
}

async fn filled() -> Sandbox {
    Sandbox::start(options(false)).await.unwrap()
}

fn query(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

mod projects;
mod sessions;
mod writes;
