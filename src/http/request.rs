//! What is asked and what is answered.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{Error, ErrorKind, server_words};

/// What asking twice may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Safety {
    /// Changes nothing, whatever the method: a search sent by POST is safe.
    Safe,
    /// Changes something, and the second time nothing more.
    Idempotent,
    /// Changes something each time.
    Unsafe,
}

/// One request, ready to be sent as often as the table allows.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to; the query is left out of errors and logs.
    pub url: Url,
    /// Headers beyond sign-in and user agent.
    pub headers: HeaderMap,
    /// What is sent.
    pub body: Option<Bytes>,
    /// What asking twice may do.
    pub safety: Safety,
    /// What is tried, as a phrase for people: `reading work items`.
    pub operation: Cow<'static, str>,
    /// Whether the client's sign-in is left out, as when signing in.
    pub anonymous: bool,
    /// Whether a redirect to another host is followed, without our credentials,
    /// as for attachments that live in a bucket.
    pub follow_elsewhere: bool,
}

impl Request {
    /// Makes a request; the method decides on its safety until told otherwise:
    /// GET and HEAD are safe, PUT and DELETE idempotent, all others unsafe.
    pub fn new(method: Method, url: Url, operation: impl Into<Cow<'static, str>>) -> Self {
        let safety = match method {
            Method::GET | Method::HEAD | Method::OPTIONS => Safety::Safe,
            Method::PUT | Method::DELETE => Safety::Idempotent,
            _ => Safety::Unsafe,
        };
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            safety,
            operation: operation.into(),
            anonymous: false,
            follow_elsewhere: false,
        }
    }

    /// Makes a GET request.
    pub fn get(url: Url, operation: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Method::GET, url, operation)
    }

    /// Makes a POST request, unsafe until told otherwise.
    pub fn post(url: Url, operation: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Method::POST, url, operation)
    }

    /// Says what asking twice may do.
    pub fn safety(mut self, safety: Safety) -> Self {
        self.safety = safety;
        self
    }

    /// Sets a header; a value that HTTP does not allow is left out.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Sends `body` as it is, under a content type.
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self.header(CONTENT_TYPE, content_type)
    }

    /// Sends `value` as JSON.
    pub fn json(self, value: &impl Serialize) -> Self {
        // Values are our own wire types, which always have a JSON form.
        let body = serde_json::to_vec(value).unwrap_or_default();
        self.body("application/json", body)
    }

    /// Leaves the client's sign-in out.
    pub fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Follows redirects to other hosts, without credentials.
    pub fn follow_elsewhere(mut self) -> Self {
        self.follow_elsewhere = true;
        self
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &address(&self.url))
            .field("safety", &self.safety)
            .field("operation", &self.operation)
            .field("body_bytes", &self.body.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

/// Returns a URL without user, password, query and fragment.
pub(crate) fn address(url: &Url) -> String {
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// Bytes of a body that are decoded faster than they are handed to another thread.
const DECODED_AT_ONCE_MAX: usize = 32 << 10;

/// An answer that means something to the connector: success, or a refusal other
/// than of our credentials or our pace.
#[derive(Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body, decoded.
    pub body: Bytes,
    pub(super) system: &'static str,
    pub(super) operation: Cow<'static, str>,
}

impl Reply {
    /// Tells whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// Returns the body as text, with replacement characters where it is none.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Returns a header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// Measures the time until an RFC 3339 date in the answer, by the server's own
    /// clock; zero if it is past, `None` where the answer has no date.
    pub fn time_until(&self, date: &str) -> Option<Duration> {
        super::retry::until(DateTime::parse_from_rfc3339(date).ok()?.to_utc(), &self.headers)
    }

    /// Tells whether the body is a page for people.
    pub fn is_html(&self) -> bool {
        self.header("content-type")
            .is_some_and(|t| t.trim_start().to_ascii_lowercase().starts_with("text/html"))
    }

    /// Decodes the body.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] naming line and column where the body is not the
    /// JSON that was expected.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|e| {
            let what = if self.is_html() { "a page for people" } else { "not as documented" };
            Error {
                status: Some(self.status),
                ..Error::new(
                    self.system,
                    self.operation.clone(),
                    ErrorKind::Malformed,
                    format!("the answer is {what}: {e}"),
                )
            }
        })
    }

    /// Decodes the body, a large one on a thread for such work, so that other answers
    /// are received meanwhile.
    ///
    /// # Errors
    ///
    /// Fails like [`Reply::json`].
    pub async fn decode<T: DeserializeOwned + Send + 'static>(&self) -> Result<T, Error> {
        if self.body.len() < DECODED_AT_ONCE_MAX {
            return self.json();
        }
        let reply = self.clone();
        match tokio::task::spawn_blocking(move || reply.json()).await {
            Ok(decoded) => decoded,
            Err(e) => {
                let message = format!("decoding was cut off: {e}");
                Err(Error::new(self.system, self.operation.clone(), ErrorKind::Malformed, message))
            }
        }
    }

    /// Returns the server's own words, short enough for a message: the message
    /// members of a JSON body, else the text without markup.
    pub fn words(&self) -> String {
        server_words(self.status, &self.body)
    }

    /// Makes an error of this answer, for connectors that find its status wrong.
    pub fn to_error(&self, kind: ErrorKind) -> Error {
        Error {
            status: Some(self.status),
            ..Error::new(self.system, self.operation.clone(), kind, self.words())
        }
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("operation", &self.operation)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
