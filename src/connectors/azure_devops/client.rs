//! Addresses, sign-in and the one way to ask: one method per sort of endpoint.

use chrono::{DateTime, Utc};
use futures::stream::{Stream, StreamExt};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::wire::{BatchAnswer, List, Refusal, Wiql, WorkItem};
use super::{SYSTEM, Settings};
use crate::connectors::{Error, ErrorKind, RequestCounts};
use crate::http::{self, Auth, Classify, PAGES_MAX, PageError, Reply, Request, Safety, Verdict};

/// The version of every documented call.
const VERSION: &str = "7.1";
/// The version of `$batch`, which the description files leave out: what clients send.
const BATCH_VERSION: &str = "5.0";
/// The only version of `connectionData`, which never left preview.
const CONNECTION_VERSION: &str = "7.1-preview";
/// Work items per read, and sub-requests per `$batch`: more is refused (VS403474).
pub(super) const ITEMS_PER_CALL: usize = 200;
/// Ids per query page, below the service's limit of 20,000 rows (VS402337).
const IDS_PER_QUERY: usize = 20_000;
/// Runs per page.
pub(super) const RUNS_PER_PAGE: usize = 100;
/// Results per page when details are asked for.
pub(super) const RESULTS_PER_PAGE: usize = 200;

/// A page of a list.
#[derive(Clone, Debug)]
pub(super) struct Fetched<T> {
    pub(super) items: Vec<T>,
    pub(super) bytes: u64,
    /// The server's own clock.
    pub(super) now: Option<DateTime<Utc>>,
}

/// The organisation behind its credentials.
#[derive(Clone, Debug)]
pub(super) struct Api {
    http: http::Client,
    base: Url,
}

impl Api {
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let operation = "reading the settings";
        let wrong = |what: String| Error::new(SYSTEM, operation, ErrorKind::Settings, what);
        let text = settings.url.trim_end_matches('/');
        let base = Url::parse(text).map_err(|e| {
            wrong(format!(
                "url {text:?} is not an address ({e}); expected https://dev.azure.com/<organisation>"
            ))
        })?;
        if base.cannot_be_a_base() {
            return Err(wrong(format!(
                "url {text:?} is not an address; expected https://dev.azure.com/<organisation>"
            )));
        }
        let mut http = settings.http.clone();
        http.auth = Auth::Basic { user: String::new(), password: settings.pat.clone() };
        http.classify = Some(Classify::new(judge));
        Ok(Self { http: http::Client::new(http, SYSTEM).map_err(failure)?, base })
    }

    pub(super) fn requests(&self) -> RequestCounts {
        let counts = self.http.counts();
        RequestCounts {
            reads: counts.reads,
            writes: counts.writes,
            retries: counts.retries,
            throttled_seconds: counts.throttled_seconds,
        }
    }

    /// Returns the address of a page for people.
    pub(super) fn web(&self, project: &str, path: &str, query: &[(&str, &str)]) -> String {
        self.address(Some(project), path, query).to_string()
    }

    fn address(&self, project: Option<&str>, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(project).extend(path.split('/'));
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Returns the address of a call; a version in `query` wins over the usual one.
    fn call(&self, project: Option<&str>, path: &str, query: &[(&str, &str)]) -> Url {
        let mut query = query.to_vec();
        if !query.iter().any(|(name, _)| *name == "api-version") {
            query.push(("api-version", VERSION));
        }
        self.address(project, &format!("_apis/{path}"), &query)
    }

    /// Returns the address under which links name a work item.
    pub(super) fn item_url(&self, id: i64) -> String {
        self.address(None, &format!("_apis/wit/workItems/{id}"), &[]).to_string()
    }

    async fn send(&self, request: Request) -> Result<Reply, http::Error> {
        let request = request
            .header(reqwest::header::ACCEPT, "application/json")
            .header(reqwest::header::HeaderName::from_static("x-tfs-fedauthredirect"), "Suppress");
        self.http.send(request).await
    }

    /// Reads one thing.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        project: Option<&str>,
        path: &str,
        query: &[(&str, &str)],
        operation: &str,
    ) -> Result<T, Error> {
        let url = self.call(project, path, query);
        let reply = self.send(Request::get(url, operation.to_owned())).await.map_err(failure)?;
        success(&reply, operation)?.json().map_err(failure)
    }

    /// Reads a whole list that does not come in pages.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        project: Option<&str>,
        path: &str,
        query: &[(&str, &str)],
        operation: &str,
    ) -> Result<Vec<T>, Error> {
        let list: List<T> = self.get(project, path, query, operation).await?;
        counted(list, operation)
    }

    async fn page<T: DeserializeOwned + Send + 'static>(
        &self,
        url: Url,
        operation: &str,
    ) -> Result<(Fetched<T>, Reply), Error> {
        let reply = self.send(Request::get(url, operation.to_owned())).await.map_err(failure)?;
        let list: List<T> = success(&reply, operation)?.decode().await.map_err(failure)?;
        let now = reply.header("date").and_then(|d| DateTime::parse_from_rfc2822(d).ok()).map(|d| d.to_utc());
        Ok((Fetched { items: counted(list, operation)?, bytes: reply.body.len() as u64, now }, reply))
    }

    /// Reads a list whose answers name the next page in a header.
    pub(super) fn token_pages<'a, T: DeserializeOwned + Send + 'static>(
        &'a self,
        project: &'a str,
        path: String,
        query: Vec<(&'static str, String)>,
        operation: &'a str,
    ) -> impl Stream<Item = Result<Fetched<T>, Error>> + Send + 'a {
        http::pages(String::new(), PAGES_MAX, move |token: String| {
            let mut pairs: Vec<(&str, &str)> = query.iter().map(|(n, v)| (*n, v.as_str())).collect();
            if !token.is_empty() {
                pairs.push(("continuationToken", &token));
            }
            let url = self.call(Some(project), &path, &pairs);
            async move {
                let (fetched, reply) = self.page(url, operation).await?;
                let next = reply.header("x-ms-continuationtoken").filter(|t| !t.is_empty());
                Ok((fetched, next.map(str::to_owned)))
            }
        })
        .map(move |page| page.map_err(|e| walk_failure(e, operation)))
    }

    /// Reads a list by offset. It ends at `total` rows, or at the first page that
    /// is not full where the total is not known.
    pub(super) fn offset_pages<'a, T: DeserializeOwned + Send + 'static>(
        &'a self,
        project: &'a str,
        path: String,
        query: Vec<(&'static str, String)>,
        top: usize,
        total: Option<usize>,
        operation: &'a str,
    ) -> impl Stream<Item = Result<Fetched<T>, Error>> + Send + 'a {
        http::pages(0_usize, PAGES_MAX, move |skip: usize| {
            let (skip_text, top_text) = (skip.to_string(), top.to_string());
            let mut pairs: Vec<(&str, &str)> = query.iter().map(|(n, v)| (*n, v.as_str())).collect();
            pairs.extend([("$skip", skip_text.as_str()), ("$top", top_text.as_str())]);
            let url = self.call(Some(project), &path, &pairs);
            async move {
                let (fetched, _) = self.page::<T>(url, operation).await?;
                let read = skip + fetched.items.len();
                let more = match total {
                    Some(total) => read < total && !fetched.items.is_empty(),
                    None => fetched.items.len() >= top,
                };
                Ok((fetched, more.then_some(read)))
            }
        })
        .map(move |page| page.map_err(|e| walk_failure(e, operation)))
    }

    /// Lists the ids of all work items of the project that meet `condition`, in order.
    pub(super) async fn query_ids(
        &self,
        project: &str,
        condition: &str,
        operation: &str,
    ) -> Result<Vec<i64>, Error> {
        let mut ids: Vec<i64> = Vec::new();
        for _ in 0..PAGES_MAX {
            let after = ids.last().copied().unwrap_or(0);
            let query = format!(
                "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = @project AND {condition} \
                 AND [System.Id] > {after} ORDER BY [System.Id] ASC"
            );
            let top = IDS_PER_QUERY.to_string();
            let url = self.call(Some(project), "wit/wiql", &[("$top", &top), ("timePrecision", "true")]);
            let request =
                Request::post(url, operation.to_owned()).safety(Safety::Safe).json(&json!({"query": query}));
            let reply = self.send(request).await.map_err(failure)?;
            let answer: Wiql = success(&reply, operation)?.json().map_err(failure)?;
            let mut page: Vec<i64> =
                answer.work_items.iter().map(|r| r.id.0).filter(|id| *id > after).collect();
            page.sort_unstable();
            page.dedup();
            let full = answer.work_items.len() >= IDS_PER_QUERY;
            if full && page.is_empty() {
                break;
            }
            ids.extend(page);
            if !full {
                return Ok(ids);
            }
        }
        Err(malformed(operation, "the query goes on without end"))
    }

    /// Reads up to [`ITEMS_PER_CALL`] work items with all their fields; with links
    /// if asked for. Items that do not exist, or are hidden, are left out.
    pub(super) async fn items(
        &self,
        ids: &[i64],
        fields: Option<&[&str]>,
        operation: &str,
    ) -> Result<(Vec<WorkItem>, u64), Error> {
        let url = self.call(None, "wit/workitemsbatch", &[]);
        let mut body = json!({"ids": ids, "errorPolicy": "omit"});
        match fields {
            Some(fields) => body["fields"] = json!(fields),
            None => body["$expand"] = json!("relations"),
        }
        let request = Request::post(url, operation.to_owned()).safety(Safety::Safe).json(&body);
        let reply = self.send(request).await.map_err(failure)?;
        let list: List<Option<WorkItem>> = success(&reply, operation)?.decode().await.map_err(failure)?;
        Ok((list.value.into_iter().flatten().filter(|item| item.id != 0).collect(), reply.body.len() as u64))
    }

    /// Sends up to [`ITEMS_PER_CALL`] work item patches in one request and returns
    /// their answers in order. Each is `(uri, operations)`.
    pub(super) async fn batch(
        &self,
        patches: &[(String, Value)],
        operation: &str,
    ) -> Result<Vec<BatchAnswer>, WriteError> {
        let url = self.call(None, "wit/$batch", &[("api-version", BATCH_VERSION)]);
        let body: Vec<Value> = patches
            .iter()
            .map(|(uri, operations)| {
                json!({"method": "PATCH", "uri": uri,
                    "headers": {"Content-Type": "application/json-patch+json"}, "body": operations})
            })
            .collect();
        let request = Request::new(Method::PATCH, url, operation.to_owned()).json(&body);
        let reply = self.written(request).await?;
        let answers: Vec<BatchAnswer> = match reply.json::<Value>().map_err(WriteError::lost)? {
            Value::Array(list) => decode(Value::Array(list), &reply)?,
            envelope => decode(envelope.get("value").cloned().unwrap_or_default(), &reply)?,
        };
        match answers.as_slice() {
            // One refusal instead of the list: the whole request was not understood.
            [only] if patches.len() != 1 && only.code >= 400 => {
                Err(WriteError::Refused(Refusal::parse(&only.body)))
            }
            list if list.len() != patches.len() => Err(WriteError::Lost(format!(
                "{} answers to {} requests of one batch",
                list.len(),
                patches.len()
            ))),
            _ => Ok(answers),
        }
    }

    /// Returns the uri of a patch within a batch: a new item, or an item that exists.
    pub(super) fn batch_uri(&self, target: Result<i64, (&str, &str)>) -> String {
        let path = match target {
            Ok(id) => format!("_apis/wit/workitems/{id}"),
            Err((_, type_name)) => format!("_apis/wit/workitems/${type_name}"),
        };
        let project = target.err().map(|(project, _)| project);
        let query = [("api-version", BATCH_VERSION), ("suppressNotifications", "true")];
        // The uri is relative to the organisation, like the address of the batch itself.
        let url = self.address(project, &path, &query);
        let base = self.base.path().trim_end_matches('/').len();
        format!("{}?{}", &url.path()[base..], url.query().unwrap_or_default())
    }

    /// Sends a write and returns its answer if it was accepted.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of one request")]
    pub(super) async fn write(
        &self,
        method: Method,
        project: Option<&str>,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
        safety: Safety,
        operation: &str,
    ) -> Result<Value, WriteError> {
        let url = self.call(project, path, query);
        let mut request = Request::new(method, url, operation.to_owned()).safety(safety);
        if let Some(body) = body {
            request = request.json(body);
        }
        let reply = self.written(request).await?;
        if reply.body.is_empty() {
            return Ok(Value::Null);
        }
        reply.json().map_err(WriteError::lost)
    }

    async fn written(&self, request: Request) -> Result<Reply, WriteError> {
        let reply = self.send(request).await.map_err(WriteError::lost)?;
        if reply.is_success() {
            return Ok(reply);
        }
        let body = serde_json::from_slice(&reply.body).unwrap_or_else(|_| Value::String(reply.words()));
        if reply.status.as_u16() == 404 {
            return Err(WriteError::Missing(Refusal::parse(&body)));
        }
        Err(WriteError::Refused(Refusal::parse(&body)))
    }
}

/// A write did not come to a good end.
#[derive(Clone, Debug)]
pub(super) enum WriteError {
    /// Understood and refused.
    Refused(Refusal),
    /// Refused because its object does not exist or is hidden.
    Missing(Refusal),
    /// It may or may not have happened.
    Lost(String),
}

impl WriteError {
    fn lost(error: http::Error) -> Self {
        Self::Lost(error.to_string())
    }

    /// Returns the words for people.
    pub(super) fn words(&self) -> &str {
        match self {
            WriteError::Refused(refusal) | WriteError::Missing(refusal) => &refusal.message,
            WriteError::Lost(words) => words,
        }
    }

    /// Tells whether nothing was written for certain.
    pub(super) fn is_refusal(&self) -> bool {
        !matches!(self, WriteError::Lost(_))
    }
}

fn decode<T: DeserializeOwned>(value: Value, reply: &Reply) -> Result<T, WriteError> {
    serde_json::from_value(value).map_err(|e| {
        WriteError::Lost(format!("status {}: the answer is not as documented: {e}", reply.status))
    })
}

/// Tells what an answer means where its status does not.
fn judge(request: &Request, reply: &Reply) -> Verdict {
    if reply.is_success() && reply.is_html() {
        return Verdict::SignIn;
    }
    let status = reply.status.as_u16();
    if !(400..500).contains(&status) {
        return Verdict::Accept;
    }
    let text = reply.text();
    // Two writes collided inside the service; this one was rolled back. Only
    // batches carry a revision of ours, and they answer each item by itself.
    if matches!(status, 409 | 412) && text.contains("TF26071") && request.safety != Safety::Safe {
        return Verdict::NotDone;
    }
    if text.contains("VS402335") {
        return Verdict::Failed;
    }
    Verdict::Accept
}

/// Folds the transport's errors into ours.
fn failure(error: http::Error) -> Error {
    use http::ErrorKind as Kind;
    let (kind, hint) = match error.kind {
        Kind::SignIn => (ErrorKind::Settings, "; is auth.pat right, not expired, and made for this url?"),
        Kind::Redirected => (ErrorKind::Settings, "; is url right?"),
        Kind::Settings | Kind::Tls => (ErrorKind::Settings, ""),
        Kind::Throttled => (ErrorKind::Throttled, ""),
        Kind::TooLarge | Kind::Malformed => (ErrorKind::Malformed, ""),
        Kind::Unreachable | Kind::Timeout | Kind::Unavailable | Kind::Cut => (ErrorKind::Unavailable, ""),
    };
    Error::new(SYSTEM, error.operation, kind, format!("{}{hint}", error.message))
}

fn walk_failure(error: PageError<Error>, operation: &str) -> Error {
    match error {
        PageError::Fetch(error) => error,
        other => malformed(operation, other.to_string()),
    }
}

/// Makes an error of an answer that does not add up.
pub(super) fn malformed(operation: &str, message: impl Into<String>) -> Error {
    Error::new(SYSTEM, operation, ErrorKind::Malformed, message)
}

/// Checks the status of a read.
fn success<'a>(reply: &'a Reply, operation: &str) -> Result<&'a Reply, Error> {
    if reply.is_success() {
        return Ok(reply);
    }
    let kind = match reply.status.as_u16() {
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        _ => ErrorKind::Refused,
    };
    Err(Error::new(SYSTEM, operation, kind, reply.words()))
}

/// Checks that a list is as long as it says.
fn counted<T>(list: List<T>, operation: &str) -> Result<Vec<T>, Error> {
    match list.count {
        Some(count) if count != list.value.len() => {
            Err(malformed(operation, format!("a page of {count} rows came with {}", list.value.len())))
        }
        _ => Ok(list.value),
    }
}

pub(super) const CONNECTION_QUERY: [(&str, &str); 1] = [("api-version", CONNECTION_VERSION)];
