//! A served emulator and a client that keeps its newest cookie.

use std::sync::Mutex;

use serde_json::{Value, json};

use crate::sandbox::{Sandbox, SandboxOptions};

pub(super) struct Bench {
    pub(super) sandbox: Sandbox,
    base: String,
    client: reqwest::Client,
    cookie: Mutex<String>,
}

/// Percent-encodes an argument.
pub(super) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

pub(super) fn names(list: &[Value]) -> Vec<String> {
    list.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

pub(super) fn options(size: usize, empty: bool) -> SandboxOptions {
    SandboxOptions {
        systems: vec!["alm-octane".to_owned()],
        size,
        seed: 7,
        empty,
        ..SandboxOptions::default()
    }
}

impl Bench {
    pub(super) async fn start(options: SandboxOptions) -> Bench {
        let sandbox = Sandbox::start(options).await.unwrap();
        let env: std::collections::BTreeMap<_, _> = sandbox.env().into_iter().collect();
        // The library's client needs a provider of cryptography even for plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let base = env["OCTANE_URL"].clone();
        let bench = Bench { sandbox, base, client, cookie: Mutex::default() };
        let keys =
            json!({"client_id": env["OCTANE_CLIENT_ID"], "client_secret": env["OCTANE_CLIENT_SECRET"]});
        assert_eq!(bench.plain("POST", "/authentication/sign_in", Some(keys)).await.0, 200);
        bench
    }

    pub(super) async fn empty() -> Bench {
        Bench::start(options(20, true)).await
    }

    pub(super) async fn filled() -> Bench {
        Bench::start(options(60, false)).await
    }

    pub(super) fn cookie(&self) -> String {
        self.cookie.lock().unwrap().clone()
    }

    /// The login of the company's first user.
    pub(super) async fn user(&self) -> String {
        let users = self.get("workspace_users?order_by=id&limit=1&fields=name").await;
        users["data"][0]["name"].as_str().unwrap().to_owned()
    }

    /// Asks a route outside the workspace without the cookie.
    pub(super) async fn plain(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = method.parse().unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        self.keep(&response, path.ends_with("sign_in"));
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    fn keep(&self, response: &reqwest::Response, wanted: bool) {
        for line in response.headers().get_all("set-cookie") {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            if wanted && pair.starts_with("LWSSO_COOKIE_KEY=") {
                pair.clone_into(&mut self.cookie.lock().unwrap());
            }
        }
    }

    pub(super) async fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> reqwest::Response {
        let url = format!("{}/api/shared_spaces/1001/workspaces/1002/{path}", self.base);
        let mut request = self.client.request(method.parse().unwrap(), url).header("Cookie", self.cookie());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(body).send().await.unwrap();
        self.keep(&response, true);
        response
    }

    pub(super) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let kind = [("Content-Type", "application/json")];
        let headers = if body.is_some() { &kind[..] } else { &[] };
        let bytes = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
        let response = self.raw(method, path, headers, bytes).await;
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send("GET", path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.send("PUT", path, Some(body)).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// All that a query finds, with the fields that come by default.
    pub(super) async fn find(&self, collection: &str, query: &str) -> Vec<Value> {
        let query = encoded(&format!("\"{query}\""));
        let found = self.get(&format!("{collection}?order_by=id&query={query}")).await;
        found["data"].as_array().unwrap().clone()
    }

    /// Makes one entity and gives its id.
    pub(super) async fn create(&self, collection: &str, body: Value) -> String {
        let (status, answer) = self.send("POST", collection, Some(json!({"data": [body]}))).await;
        assert_eq!(status, 201, "{collection}: {answer}");
        answer["data"][0]["id"].as_str().unwrap().to_owned()
    }

    pub(super) async fn test(&self, name: &str) -> String {
        let phase = json!({"type": "phase", "id": "phase.test_manual.new"});
        self.create("tests", json!({"subtype": "test_manual", "name": name, "phase": phase})).await
    }

    pub(super) async fn suite(&self, name: &str, tests: &[&str]) -> String {
        let suite = self.create("test_suites", json!({"name": name})).await;
        for test in tests {
            let link = json!({
                "subtype": "test_suite_link_to_manual",
                "test": {"type": "test", "id": test}, "test_suite": {"type": "test", "id": suite},
            });
            self.create("test_suite_link_to_tests", link).await;
        }
        suite
    }

    pub(super) async fn release(&self) -> Value {
        let found = self.find("releases", "is_default EQ true").await;
        json!({"type": "release", "id": found[0]["id"]})
    }

    pub(super) fn hash(&self) -> String {
        self.sandbox.state("alm-octane").unwrap().0
    }
}

/// A list item of the native statuses.
pub(super) fn native(word: &str) -> Value {
    json!({"type": "list_node", "id": format!("list_node.run_native_status.{word}")})
}
