//! The client: sends a request as often as the table says.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{StatusCode, Url};
use tokio::sync::Semaphore;

use super::Settings;
use super::auth::{Auth, SignedIn};
use super::clock::{Clock, Dice, Monotonic};
use super::error::{Error, ErrorKind};
use super::pace::Pacer;
use super::request::{Reply, Request, Safety, address};
use super::retry::{self, Classify, Decision, Event, Last, Verdict, Wait};

/// Redirects within one host that a safe request follows.
const REDIRECTS_MAX: u32 = 5;

/// The longest wait for a connection; what takes longer will not come.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(20);

/// Idle connections are given up before the servers' usual limit (60 s), since a
/// create sent into a connection that is just being closed has an unknown outcome.
const IDLE_MAX: Duration = Duration::from_secs(25);

/// Accepted answers that give one repetition back to the retry budget.
const ANSWERS_PER_RETRY: i64 = 5;

/// Words in the address of a sign-in page.
const SIGN_IN_WORDS: [&str; 6] = ["signin", "sign-in", "login", "oauth", "saml", "sso"];

/// A client of one repository's host. Clones share everything.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
    auth: Auth,
    classify: Option<Classify>,
}

#[derive(Debug)]
struct Shared {
    system: &'static str,
    settings: Settings,
    /// Hosts elsewhere, perhaps through a proxy.
    remote: reqwest::Client,
    /// This machine, never through a proxy.
    local: reqwest::Client,
    clock: Arc<dyn Clock>,
    dice: Dice,
    pacer: Pacer,
    slots: Semaphore,
    /// What is left for repetitions, in accepted answers.
    retry_budget: AtomicI64,
    reads: AtomicU64,
    writes: AtomicU64,
    retries: AtomicU64,
}

/// Requests that a client has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Attempts of safe requests.
    pub reads: u64,
    /// Attempts of all other requests.
    pub writes: u64,
    /// Attempts among them that repeat an earlier one.
    pub retries: u64,
    /// Time spent waiting for the budget or because the server asked for it,
    /// summed over the requests.
    pub throttled_seconds: f64,
}

impl Client {
    /// Makes a client for `system`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Settings`] when the certificate file or the proxy cannot be used.
    pub fn new(settings: Settings, system: &'static str) -> Result<Self, Error> {
        Self::with_clock(settings, system, Arc::new(Monotonic::new()))
    }

    pub(super) fn with_clock(
        settings: Settings,
        system: &'static str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        // Only the first call in a process has an effect.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let wrong = |what: String| Error::new(system, "preparing the HTTP client", ErrorKind::Settings, what);
        let remote = build(&settings, false).map_err(wrong)?;
        let local = build(&settings, true).map_err(wrong)?;
        let shared = Shared {
            system,
            remote,
            local,
            pacer: Pacer::new(clock.clone(), settings.rate),
            clock,
            dice: Dice::new(),
            slots: Semaphore::new(settings.concurrency_max.max(1)),
            retry_budget: AtomicI64::new(i64::from(settings.retry_budget) * ANSWERS_PER_RETRY),
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            settings,
        };
        let (auth, classify) = (shared.settings.auth.clone(), shared.settings.classify.clone());
        Ok(Self { shared: Arc::new(shared), auth, classify })
    }

    /// Returns a client that signs in differently and shares the pace, the limits
    /// and the counters, for systems with two front doors.
    pub fn with_auth(&self, auth: Auth) -> Self {
        Self { auth, ..self.clone() }
    }

    /// Returns a client that judges answers differently and shares the rest.
    pub fn with_classify(&self, classify: Classify) -> Self {
        Self { classify: Some(classify), ..self.clone() }
    }

    /// Returns the system's noun.
    pub fn system(&self) -> &'static str {
        self.shared.system
    }

    /// Counts the requests sent so far, by this client and those made of it.
    pub fn counts(&self) -> Counts {
        Counts {
            reads: self.shared.reads.load(Ordering::Relaxed),
            writes: self.shared.writes.load(Ordering::Relaxed),
            retries: self.shared.retries.load(Ordering::Relaxed),
            throttled_seconds: self.shared.pacer.waited().as_secs_f64(),
        }
    }

    /// Sends a request until it is answered or the table gives up.
    ///
    /// An answer of 2xx, and a refusal (4xx) other than of the credentials or the
    /// pace, is given back as it is: the connector knows what it means.
    ///
    /// # Errors
    ///
    /// All others. [`Error::may_have_happened`] tells whether a write was sent
    /// whose fate is unknown.
    pub async fn send(&self, request: Request) -> Result<Reply, Error> {
        self.check_address(&request.operation, &request.url)?;
        let mut sending = Sending {
            client: self,
            url: request.url.clone(),
            anonymous: request.anonymous,
            request,
            failures: 0,
            throttles: 0,
            redirects: 0,
            expired: None,
            renewed: false,
            may_have_happened: false,
        };
        loop {
            if let Some(reply) = sending.attempt().await? {
                return Ok(reply);
            }
        }
    }

    fn check_address(&self, operation: &str, url: &Url) -> Result<(), Error> {
        let message = match url.scheme() {
            "https" => return Ok(()),
            "http" if is_loopback(url) || self.shared.settings.allow_http => return Ok(()),
            "http" => format!(
                "{} would send credentials in the clear; use https, or set allow_http if the network is trusted",
                address(url)
            ),
            other => format!("cannot speak {other:?}; expected an https:// address"),
        };
        Err(Error::new(self.shared.system, operation.to_owned(), ErrorKind::Settings, message))
    }
}

impl Shared {
    fn count(&self, safety: Safety, repeated: bool) {
        let counter = if safety == Safety::Safe { &self.reads } else { &self.writes };
        counter.fetch_add(1, Ordering::Relaxed);
        self.retries.fetch_add(u64::from(repeated), Ordering::Relaxed);
    }

    /// Takes one repetition out of the budget.
    fn may_retry(&self) -> bool {
        let take = |left: i64| (left >= ANSWERS_PER_RETRY).then_some(left - ANSWERS_PER_RETRY);
        self.retry_budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn give_back(&self) {
        let max = i64::from(self.settings.retry_budget) * ANSWERS_PER_RETRY;
        let add = |left: i64| (left < max).then_some(left + 1);
        let _ = self.retry_budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

/// One request on its way.
struct Sending<'a> {
    client: &'a Client,
    request: Request,
    /// Where the next attempt goes: a redirect moves it.
    url: Url,
    anonymous: bool,
    failures: u32,
    throttles: u32,
    redirects: u32,
    expired: Option<u64>,
    renewed: bool,
    may_have_happened: bool,
}

/// What one exchange brought.
enum Got {
    Reply(Reply),
    Failed { event: Event<'static>, why: String },
}

impl Sending<'_> {
    /// Makes one attempt; `None` says that another one follows.
    async fn attempt(&mut self) -> Result<Option<Reply>, Error> {
        let shared = &self.client.shared;
        let signed = if self.anonymous {
            SignedIn { headers: HeaderMap::new(), generation: 0 }
        } else {
            self.client.auth.sign_in(self.client, &*shared.clock, self.expired).await.map_err(|mut e| {
                e.may_have_happened |= self.may_have_happened;
                e
            })?
        };
        shared.pacer.turn().await;
        shared.count(self.request.safety, self.failures + self.throttles + u32::from(self.renewed) > 0);
        let got = self.exchange(&signed.headers).await;
        let (event, why) = match &got {
            Got::Failed { event, why } => (*event, why.clone()),
            Got::Reply(reply) => {
                shared.pacer.hint(&reply.headers);
                let judge = |c: &Classify| c.judge(&self.request, reply);
                let event = Event::Answered {
                    status: reply.status,
                    headers: &reply.headers,
                    html: reply.is_html(),
                    verdict: self.client.classify.as_ref().map_or(Verdict::Accept, judge),
                };
                (event, String::new())
            }
        };
        let busy = matches!(
            event,
            Event::Answered { status: StatusCode::TOO_MANY_REQUESTS, .. }
                | Event::Answered { verdict: Verdict::Throttled { .. }, .. }
        );
        let attempt = if busy { self.throttles } else { self.failures };
        let decision = retry::decide(event, self.request.safety, attempt);
        tracing::debug!(
            system = shared.system,
            operation = %self.request.operation,
            method = %self.request.method,
            url = %address(&self.url),
            ?decision,
            "request"
        );
        self.carry_out(decision, got, why, &signed).await
    }

    async fn carry_out(
        &mut self,
        decision: Decision,
        got: Got,
        why: String,
        signed: &SignedIn,
    ) -> Result<Option<Reply>, Error> {
        let shared = &self.client.shared;
        let reply = match got {
            Got::Reply(reply) => Some(reply),
            Got::Failed { .. } => None,
        };
        match (decision, reply) {
            (Decision::Accept { slow }, Some(reply)) => {
                if let Some(time) = slow {
                    shared.pacer.close(time.min(retry::SERVER_WAIT_MAX), false);
                }
                shared.give_back();
                Ok(Some(reply))
            }
            (Decision::SignIn, reply) => self.sign_in_again(signed, reply).map(|()| None),
            (Decision::Redirect, Some(reply)) => self.redirect(&reply, signed).map(|()| None),
            (Decision::Retry { wait, reason, last }, reply) => {
                if let Last::Fail { may_have_happened, .. } = last {
                    self.may_have_happened |= may_have_happened;
                }
                if self.wait(wait, last).await {
                    tracing::debug!(reason, "repeating");
                    return Ok(None);
                }
                match (last, reply) {
                    (Last::Accept, Some(reply)) => Ok(Some(reply)),
                    (Last::Accept, None) => Err(self.error(ErrorKind::Unavailable, None, &why, signed)),
                    (Last::Fail { kind, .. }, reply) => Err(self.error(kind, reply.as_ref(), &why, signed)),
                }
            }
            (Decision::Fail { kind, may_have_happened }, reply) => {
                self.may_have_happened |= may_have_happened;
                Err(self.error(kind, reply.as_ref(), &why, signed))
            }
            (Decision::Accept { .. } | Decision::Redirect, None) => {
                Err(self.error(ErrorKind::Malformed, None, &why, signed))
            }
        }
    }

    /// Waits before a repetition; `false` when none is left.
    async fn wait(&mut self, wait: Wait, last: Last) -> bool {
        let shared = &self.client.shared;
        let throttled = matches!(last, Last::Fail { kind: ErrorKind::Throttled, .. });
        if throttled {
            self.throttles += 1;
            if self.throttles > retry::THROTTLES_MAX {
                return false;
            }
        } else {
            self.failures += 1;
            if self.failures > shared.settings.retries_max || !shared.may_retry() {
                return false;
            }
        }
        match wait {
            Wait::Jitter(max) => shared.clock.sleep(shared.dice.up_to(max)).await,
            Wait::Server(time) => shared.pacer.close(time, throttled),
            Wait::Throttle(max) => shared.pacer.close(max / 2 + shared.dice.up_to(max / 2), throttled),
        }
        true
    }

    /// Notes that the credential is no good; an error if there is no better one.
    fn sign_in_again(&mut self, signed: &SignedIn, reply: Option<Reply>) -> Result<(), Error> {
        if self.renewed || self.anonymous || !self.client.auth.can_renew() {
            return Err(self.error(ErrorKind::SignIn, reply.as_ref(), "sign-in was refused", signed));
        }
        self.renewed = true;
        self.expired = Some(signed.generation);
        Ok(())
    }

    /// Points the next attempt to where the server sends us, if that is harmless.
    fn redirect(&mut self, reply: &Reply, signed: &SignedIn) -> Result<(), Error> {
        let target = reply
            .header(LOCATION.as_str())
            .and_then(|to| self.url.join(to).ok())
            .ok_or_else(|| self.error(ErrorKind::Redirected, Some(reply), "", signed))?;
        let place =
            format!("{}{}", target.host_str().unwrap_or_default(), target.path()).to_ascii_lowercase();
        if SIGN_IN_WORDS.iter().any(|word| place.contains(word)) && !self.request.follow_elsewhere {
            return match self.sign_in_again(signed, None) {
                Ok(()) => Ok(()),
                Err(mut error) => {
                    error.status = Some(reply.status);
                    error.message = format!("sent to the sign-in page {}", address(&target));
                    Err(error)
                }
            };
        }
        self.redirects += 1;
        let same_host = target.origin() == self.url.origin();
        let may = self.request.safety == Safety::Safe
            && self.redirects <= REDIRECTS_MAX
            && (same_host || self.request.follow_elsewhere)
            && self.client.check_address("", &target).is_ok();
        if !may {
            // 307 and 308 promise that the request was not looked at.
            let kept = matches!(reply.status.as_u16(), 307 | 308);
            self.may_have_happened |= self.request.safety != Safety::Safe && !kept;
            let message =
                format!("sent on to {}, which is not followed; is the address right?", address(&target));
            let mut error = self.error(ErrorKind::Redirected, None, &message, signed);
            error.status = Some(reply.status);
            return Err(error);
        }
        self.anonymous |= !same_host;
        self.url = target;
        Ok(())
    }

    fn error(&self, kind: ErrorKind, reply: Option<&Reply>, why: &str, signed: &SignedIn) -> Error {
        let mut message = match reply {
            Some(reply) => reply.words(),
            None => format!("{why} ({})", address(&self.url)),
        };
        for value in signed.headers.values().filter_map(|v| v.to_str().ok()) {
            let secret = value.split_once(' ').map_or(value, |(_, secret)| secret);
            if !secret.is_empty() {
                message = message.replace(secret, "…");
            }
        }
        let attempts = self.failures + self.throttles;
        if attempts > 1 {
            message.push_str(&format!("; given up after {attempts} attempts"));
        }
        Error {
            status: reply.map(|r| r.status),
            may_have_happened: self.may_have_happened,
            ..Error::new(self.client.shared.system, self.request.operation.clone(), kind, message)
        }
    }

    /// Sends once and reads the whole answer.
    async fn exchange(&self, credentials: &HeaderMap) -> Got {
        let shared = &self.client.shared;
        // Signing in happens while other requests wait for it, so it needs no slot.
        let _slot = if self.request.anonymous { None } else { shared.slots.acquire().await.ok() };
        let client = if is_loopback(&self.url) { &shared.local } else { &shared.remote };
        let mut builder = client
            .request(self.request.method.clone(), self.url.clone())
            .headers(self.request.headers.clone());
        for (name, value) in credentials {
            builder = builder.header(name, value);
        }
        if let Some(body) = &self.request.body {
            builder = builder.body(body.clone());
        }
        let mut response = match builder.send().await {
            Ok(response) => response,
            Err(e) => return failure(&e, None),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > shared.settings.body_bytes_max => {
                    let why = format!("the answer is larger than {} bytes", shared.settings.body_bytes_max);
                    return Got::Failed { event: Event::TooLarge, why };
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(e) => return failure(&e, Some(status)),
            }
        }
        let (system, operation) = (shared.system, self.request.operation.clone());
        Got::Reply(Reply { status, headers, body: Bytes::from(body), system, operation })
    }
}

fn build(settings: &Settings, local: bool) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .user_agent(&settings.user_agent)
        .timeout(settings.timeout)
        .connect_timeout(settings.timeout.min(CONNECT_TIMEOUT_MAX))
        .pool_idle_timeout(IDLE_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .gzip(true);
    if let Some(file) = &settings.ca_file {
        let pem = std::fs::read(file).map_err(|e| format!("cannot read ca_file {}: {e}", file.display()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|e| format!("ca_file {} holds no PEM certificates: {e}", file.display()))?;
        if certificates.is_empty() {
            return Err(format!("ca_file {} holds no PEM certificates", file.display()));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    if local {
        builder = builder.no_proxy();
    } else if let Some(proxy) = &settings.proxy {
        // The address is not repeated: it may hold a password.
        builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(|_| "the proxy is not a valid address")?);
    }
    builder.build().map_err(|e| innermost(&e))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Tells what a transport error proves. `status` is there once the head of the
/// answer was read.
fn failure(error: &reqwest::Error, status: Option<StatusCode>) -> Got {
    let why = innermost(error);
    let event = match status {
        _ if is_tls(error) => Event::Tls,
        _ if error.is_connect() => Event::NotConnected,
        _ if error.is_timeout() => Event::TimedOut,
        _ if error.is_builder() => Event::NotConnected,
        Some(status) => Event::Cut { status },
        None => Event::Lost,
    };
    Got::Failed { event, why }
}

fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |e| {
        // An I/O error hides the error that it wraps from `source`.
        match e.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref()) {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => e.source(),
        }
    })
}

fn is_tls(error: &reqwest::Error) -> bool {
    error.is_connect() && chain(error).any(|e| e.is::<rustls::Error>())
}

/// Returns the cause at the bottom, which names no URL.
fn innermost(error: &reqwest::Error) -> String {
    match chain(error).last() {
        Some(last) if !last.is::<reqwest::Error>() => last.to_string(),
        _ if error.is_timeout() => "no answer in time".to_owned(),
        _ => "the connection failed".to_owned(),
    }
}
