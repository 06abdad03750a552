//! The addresses of Jira and Xray, sign-in to both, one method per endpoint.

use std::time::Duration;

use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::graphql::Document;
use super::{SYSTEM, Settings, wire};
use crate::connectors::{Error, ErrorKind, RequestCounts};
use crate::http::{self, Auth, Credential, Renewing, Reply, Request, Safety, Token};

/// An Xray token lives for a day.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Both hosts of one repository.
#[derive(Clone, Debug)]
pub(super) struct Client {
    jira: http::Client,
    xray: http::Client,
    site: Url,
    xray_url: Url,
}

impl Client {
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let site = base(&settings.url)?;
        // People give the address of Xray with or without the path of its API.
        let xray_url = settings.xray_url.trim_end_matches('/').trim_end_matches("/api/v2");
        let xray_url = base(xray_url)?;
        let auth = Auth::Basic { user: settings.email.clone(), password: settings.token.clone() };
        // The documented budget is Xray's; Jira tells its own through headers.
        let jira = http::Settings { auth, rate: None, ..settings.http.clone() };
        let auth = Auth::Renewing(sign_in(settings, endpoint(&xray_url, &["api", "v2", "authenticate"])));
        let xray = http::Settings { auth, ..settings.http.clone() };
        Ok(Self {
            jira: http::Client::new(jira, SYSTEM).map_err(fail)?,
            xray: http::Client::new(xray, SYSTEM).map_err(fail)?,
            site,
            xray_url,
        })
    }

    /// Returns the site's address without a final slash.
    pub(super) fn site(&self) -> String {
        self.site.as_str().trim_end_matches('/').to_owned()
    }

    pub(super) fn counts(&self) -> RequestCounts {
        let (jira, xray) = (self.jira.counts(), self.xray.counts());
        RequestCounts {
            reads: jira.reads + xray.reads,
            writes: jira.writes + xray.writes,
            retries: jira.retries + xray.retries,
            throttled_seconds: jira.throttled_seconds + xray.throttled_seconds,
        }
    }

    fn jira_url(&self, path: &[&str]) -> Url {
        let mut all = vec!["rest", "api", "3"];
        all.extend(path);
        endpoint(&self.site, &all)
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        operation: &'static str,
    ) -> Result<T, Error> {
        let mut url = self.jira_url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        decode(self.jira.send(Request::get(url, operation)).await.map_err(fail)?)
    }

    /// Asks by POST for something that changes nothing.
    async fn ask<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &Value,
        operation: &'static str,
    ) -> Result<(T, u64), Error> {
        let request = Request::post(self.jira_url(path), operation).safety(Safety::Safe).json(body);
        let reply = self.jira.send(request).await.map_err(fail)?;
        let bytes = reply.body.len() as u64;
        Ok((decode(reply)?, bytes))
    }

    async fn write(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: &Value,
        operation: &'static str,
    ) -> Result<Reply, http::Error> {
        let mut url = self.jira_url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = Request::new(method, url, operation);
        let request = if body.is_null() { request } else { request.json(body) };
        self.jira.send(request).await
    }

    pub(super) async fn myself(&self) -> Result<wire::Myself, Error> {
        self.get(&["myself"], &[], "asking Jira who we are").await
    }

    pub(super) async fn server_info(&self) -> Result<wire::ServerInfo, Error> {
        self.get(&["serverInfo"], &[], "asking Jira for its version").await
    }

    pub(super) async fn project(&self, key: &str) -> Result<wire::Project, Error> {
        self.get(&["project", key], &[], "reading the project").await
    }

    pub(super) async fn type_statuses(&self, project: &str) -> Result<Vec<wire::TypeStatuses>, Error> {
        self.get(&["project", project, "statuses"], &[], "reading issue types").await
    }

    pub(super) async fn fields(&self) -> Result<Vec<wire::FieldDef>, Error> {
        self.get(&["field"], &[], "reading fields").await
    }

    /// Reads a page of the fields of a create screen.
    pub(super) async fn create_fields(
        &self,
        project: &str,
        issue_type: &str,
        start: usize,
    ) -> Result<wire::CreateFields, Error> {
        let path = ["issue", "createmeta", project, "issuetypes", issue_type];
        let query = [("startAt", start.to_string()), ("maxResults", "200".to_owned())];
        let query: Vec<(&str, &str)> = query.iter().map(|(n, v)| (*n, v.as_str())).collect();
        self.get(&path, &query, "reading the create screen").await
    }

    pub(super) async fn search(
        &self,
        jql: &str,
        fields: &[&str],
        page_size: usize,
        token: Option<&str>,
    ) -> Result<wire::SearchPage, Error> {
        let mut body = json!({ "jql": jql, "fields": fields, "maxResults": page_size });
        if let Some(token) = token {
            body["nextPageToken"] = token.into();
        }
        Ok(self.ask(&["search", "jql"], &body, "searching issues").await?.0)
    }

    /// Reads at most 100 issues by id; what does not exist is left out.
    pub(super) async fn bulk_fetch(
        &self,
        ids: &[String],
        fields: &[&str],
    ) -> Result<(Vec<wire::Issue>, u64), Error> {
        let body = json!({ "issueIdsOrKeys": ids, "fields": fields });
        let (page, bytes) =
            self.ask::<wire::BulkFetch>(&["issue", "bulkfetch"], &body, "reading issues").await?;
        Ok((page.issues, bytes))
    }

    pub(super) async fn create_issues(&self, body: &Value) -> Result<Reply, http::Error> {
        self.write(Method::POST, &["issue", "bulk"], &[], body, "creating issues").await
    }

    pub(super) async fn edit_issue(&self, id: &str, body: &Value) -> Result<Reply, http::Error> {
        let query = [("notifyUsers", "false"), ("returnIssue", "true")];
        self.write(Method::PUT, &["issue", id], &query, body, "editing an issue").await
    }

    pub(super) async fn delete_issue(&self, id: &str) -> Result<Reply, http::Error> {
        self.write(Method::DELETE, &["issue", id], &[], &Value::Null, "deleting an issue").await
    }

    pub(super) async fn transitions(&self, id: &str) -> Result<Vec<wire::Transition>, Error> {
        let query = [("expand", "transitions.fields")];
        let answer: wire::Transitions =
            self.get(&["issue", id, "transitions"], &query, "reading transitions").await?;
        Ok(answer.transitions)
    }

    pub(super) async fn transition(&self, id: &str, body: &Value) -> Result<Reply, http::Error> {
        self.write(Method::POST, &["issue", id, "transitions"], &[], body, "moving an issue").await
    }

    /// Makes a link that `inward` shows as outward and `outward` as inward.
    pub(super) async fn link(&self, kind: &str, inward: &str, outward: &str) -> Result<Reply, http::Error> {
        let body = json!({ "type": { "name": kind }, "inwardIssue": { "id": inward }, "outwardIssue": { "id": outward } });
        // The same link twice is answered alike and makes no second one.
        let request = Request::post(self.jira_url(&["issueLink"]), "linking issues");
        self.jira.send(request.safety(Safety::Idempotent).json(&body)).await
    }

    pub(super) async fn unlink(&self, link: &str) -> Result<Reply, http::Error> {
        self.write(Method::DELETE, &["issueLink", link], &[], &Value::Null, "removing a link").await
    }

    /// Sends an administrative request; `path` is below `/rest/api/3`.
    pub(super) async fn administer(
        &self,
        method: Method,
        path: &[&str],
        body: &Value,
        operation: &'static str,
    ) -> Result<Reply, Error> {
        self.write(method, path, &[], body, operation).await.map_err(fail)
    }

    /// Searches the screens whose name holds `text`.
    pub(super) async fn screens(&self, text: &str) -> Result<Value, Error> {
        self.get(&["screens"], &[("queryString", text)], "reading screens").await
    }

    pub(super) async fn screen_tabs(&self, screen: &str) -> Result<Vec<Value>, Error> {
        self.get(&["screens", screen, "tabs"], &[], "reading a screen").await
    }

    /// Sends a GraphQL document. An answer with errors is an answer; one without
    /// anything else is not.
    pub(super) async fn graphql(
        &self,
        document: &Document,
        operation: &'static str,
    ) -> Result<(wire::Graph, u64), http::Error> {
        let safety = if document.is_query() { Safety::Safe } else { Safety::Unsafe };
        let url = endpoint(&self.xray_url, &["api", "v2", "graphql"]);
        let reply =
            self.xray.send(Request::post(url, operation).safety(safety).json(&document.body())).await?;
        if !reply.is_success() {
            return Err(reply.to_error(http::ErrorKind::Malformed));
        }
        Ok((reply.json()?, reply.body.len() as u64))
    }

    pub(super) async fn import_tests(&self, body: &Value) -> Result<Reply, http::Error> {
        let url = endpoint(&self.xray_url, &["api", "v2", "import", "test", "bulk"]);
        self.xray.send(Request::post(url, "importing tests").json(body)).await
    }

    pub(super) async fn import_status(&self, job: &str) -> Result<wire::JobStatus, Error> {
        let url = endpoint(&self.xray_url, &["api", "v2", "import", "test", "bulk", job, "status"]);
        decode(self.xray.send(Request::get(url, "waiting for the import of tests")).await.map_err(fail)?)
    }

    /// Imports results into an execution. Sending it twice leaves the same results.
    pub(super) async fn import_results(&self, body: &Value) -> Result<Reply, http::Error> {
        let url = endpoint(&self.xray_url, &["api", "v2", "import", "execution"]);
        let request = Request::post(url, "importing results").safety(Safety::Idempotent);
        self.xray.send(request.json(body)).await
    }
}

/// Builds the sign-in to Xray, which Jira's own does not replace.
fn sign_in(settings: &Settings, url: Url) -> Renewing {
    let (id, secret) = (settings.client_id.clone(), settings.client_secret.clone());
    Renewing::new(move |client| {
        let body = json!({ "client_id": id, "client_secret": secret.expose() });
        let request =
            Request::post(url.clone(), "signing in to Xray").safety(Safety::Safe).anonymous().json(&body);
        async move {
            let reply = client.send(request).await?;
            if !reply.is_success() {
                return Err(reply.to_error(http::ErrorKind::SignIn));
            }
            // The body is one JSON string, quotes included.
            let token: String = reply.json()?;
            Ok(Credential::bearer(&Token::new(token)).valid_for(TOKEN_LIFE))
        }
    })
}

fn base(text: &str) -> Result<Url, Error> {
    let wrong = |why: String| Error::new(SYSTEM, "reading the settings", ErrorKind::Settings, why);
    let url = Url::parse(text).map_err(|e| wrong(format!("{text:?} is not a URL: {e}")))?;
    if url.cannot_be_a_base() {
        return Err(wrong(format!("{text:?} is not the URL of a server")));
    }
    Ok(url)
}

fn endpoint(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty();
        segments.extend(path);
    }
    url
}

fn decode<T: DeserializeOwned>(reply: Reply) -> Result<T, Error> {
    if reply.is_success() {
        return reply.json().map_err(fail);
    }
    let kind = match reply.status.as_u16() {
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        _ => ErrorKind::Refused,
    };
    let error = reply.to_error(http::ErrorKind::Malformed);
    Err(Error::new(SYSTEM, error.operation.to_string(), kind, error.message))
}

/// Translates an error of the transport.
pub(super) fn fail(error: http::Error) -> Error {
    use http::ErrorKind as From;
    let kind = match error.kind {
        From::Settings | From::SignIn | From::Tls | From::Redirected => ErrorKind::Settings,
        From::Throttled => ErrorKind::Throttled,
        From::Unreachable | From::Timeout | From::Unavailable | From::Cut => ErrorKind::Unavailable,
        From::TooLarge | From::Malformed => ErrorKind::Malformed,
    };
    Error::new(SYSTEM, error.operation.to_string(), kind, error.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_the_context_path() {
        let site = base("https://h.example/jira/").expect("a URL");
        assert_eq!(
            endpoint(&site, &["rest", "api", "3", "myself"]).as_str(),
            "https://h.example/jira/rest/api/3/myself"
        );
        assert!(base("example").is_err());
    }
}
