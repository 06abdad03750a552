//! Sign-in: what goes with each request, and how a session is renewed once for all.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::client::Client;
use super::clock::Clock;
use super::error::{Error, ErrorKind};

/// A credential is renewed when less than this part of its life is left.
const RENEW_BEFORE_PART: u32 = 10;

/// A secret text: not printed, wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the secret.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Token {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Token {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// How a client signs in.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// With a name (which may be empty) and a password or token.
    Basic {
        /// The name.
        user: String,
        /// The password or token.
        password: Token,
    },
    /// With a token that does not change.
    Bearer(Token),
    /// With a credential that has to be fetched, and fetched again.
    Renewing(Renewing),
}

/// Headers that sign requests in, for a while.
#[derive(Clone)]
pub struct Credential {
    /// The headers; they are marked as sensitive.
    pub headers: HeaderMap,
    /// How long they are good for, where that is known.
    pub valid_for: Option<Duration>,
}

impl Credential {
    /// Makes a credential of one bearer token.
    pub fn bearer(token: &Token) -> Self {
        Self::header(AUTHORIZATION, &format!("Bearer {}", token.expose()))
    }

    /// Makes a credential of one header, such as a cookie.
    pub fn header(name: HeaderName, value: &str) -> Self {
        let mut headers = HeaderMap::new();
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Self { headers, valid_for: None }
    }

    /// Says how long the credential is good for.
    pub fn valid_for(mut self, time: Duration) -> Self {
        self.valid_for = Some(time);
        self
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("valid_for", &self.valid_for).finish_non_exhaustive()
    }
}

type Renew = dyn Fn(Client) -> BoxFuture<'static, Result<Credential, Error>> + Send + Sync;

/// A way to fetch a credential. Clones share the credential.
///
/// However many requests find it expired, it is fetched once: the others wait for
/// the one that fetches. A refused sign-in is remembered and not tried again, since
/// repeated attempts lock accounts.
#[derive(Clone)]
pub struct Renewing {
    renew: Arc<Renew>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    current: Option<Held>,
    generation: u64,
    refused: Option<Error>,
}

struct Held {
    credential: Credential,
    until: Option<Duration>,
}

/// The headers of one request, and how often the credential was fetched before.
pub(super) struct SignedIn {
    pub(super) headers: HeaderMap,
    pub(super) generation: u64,
}

impl Renewing {
    /// Makes a credential that `renew` fetches. The function gets the client to ask
    /// with, and must mark its requests with [`super::Request::anonymous`].
    pub fn new<F, Fut>(renew: F) -> Self
    where
        F: Fn(Client) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Credential, Error>> + Send + 'static,
    {
        Self { renew: Arc::new(move |client| Box::pin(renew(client))), state: Arc::default() }
    }

    /// Returns the current credential. One of generation `expired` or older is not
    /// returned but fetched again.
    pub(super) async fn get(
        &self,
        client: &Client,
        clock: &dyn Clock,
        expired: Option<u64>,
    ) -> Result<SignedIn, Error> {
        let mut state = self.state.lock().await;
        let good = state.current.as_ref().filter(|held| {
            expired.is_none_or(|e| state.generation > e) && held.until.is_none_or(|until| clock.now() < until)
        });
        if let Some(held) = good {
            return Ok(SignedIn { headers: held.credential.headers.clone(), generation: state.generation });
        }
        if let Some(error) = &state.refused {
            return Err(error.clone());
        }
        let credential = match (self.renew)(client.clone()).await {
            Ok(credential) => credential,
            Err(error) => {
                if error.kind == ErrorKind::SignIn {
                    state.refused = Some(error.clone());
                }
                return Err(error);
            }
        };
        let until = credential.valid_for.map(|t| clock.now() + (t - t / RENEW_BEFORE_PART));
        let headers = credential.headers.clone();
        state.current = Some(Held { credential, until });
        state.generation += 1;
        Ok(SignedIn { headers, generation: state.generation })
    }
}

impl std::fmt::Debug for Renewing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Renewing(..)")
    }
}

impl Auth {
    /// Returns the headers that sign a request in.
    pub(super) async fn sign_in(
        &self,
        client: &Client,
        clock: &dyn Clock,
        expired: Option<u64>,
    ) -> Result<SignedIn, Error> {
        let headers = match self {
            Auth::None => HeaderMap::new(),
            Auth::Basic { user, password } => {
                let pair = Zeroizing::new(format!("{user}:{}", password.expose()));
                Credential::header(AUTHORIZATION, &format!("Basic {}", STANDARD.encode(pair.as_bytes())))
                    .headers
            }
            Auth::Bearer(token) => Credential::bearer(token).headers,
            Auth::Renewing(renewing) => return renewing.get(client, clock, expired).await,
        };
        Ok(SignedIn { headers, generation: 0 })
    }

    /// Tells whether signing in again can help.
    pub(super) fn can_renew(&self) -> bool {
        matches!(self, Auth::Renewing(_))
    }
}
