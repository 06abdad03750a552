//! ALM/QC (Quality Center): the Core REST interface of a site with two projects.
//!
//! Written from the vendor's documents and published captures; shares nothing with the connector.
//! The site is served below `/qcbin`. The second project keeps versions.

mod attachments;
mod body;
mod bulk;
mod call;
mod cross;
mod filter;
mod input;
mod memo;
mod meta;
mod persist;
mod read;
mod reply;
mod route;
mod rules;
mod schema;
mod seed;
mod session;
mod store;
#[cfg(test)]
mod tests;
mod time;
mod versions;
mod write;

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;

use self::reply::Format;
use self::session::Sessions;
use self::store::State;
use super::world::World;
use super::{Emulator, Options, Request, Response, StateSummary};

/// The domain of the projects.
const DOMAIN: &str = "DEFAULT";

/// The emulator.
#[derive(Debug)]
pub(crate) struct AlmQc {
    site: Mutex<Site>,
}

/// What a request works on.
#[derive(Debug, Default)]
struct Site {
    state: State,
    sessions: Sessions,
}

impl AlmQc {
    /// A site filled from the made-up company, or with its people and projects only.
    pub(crate) fn new(options: &Options, world: &World) -> Self {
        Self::over(seed::fill(options, world))
    }

    /// Takes up what [`Emulator::save`] wrote; sessions end with the server.
    pub(crate) fn load(bytes: &[u8]) -> Result<Self, String> {
        persist::load(bytes).map(Self::over)
    }

    fn over(state: State) -> Self {
        Self { site: Mutex::new(Site { state, sessions: Sessions::default() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Site> {
        self.site.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &Request) -> Response {
        let mut site = self.lock();
        let before = site.state.revision;
        let format = call::format(request);
        let answer = route::answer(&mut site, request, format);
        let changed = site.state.revision != before;
        let format = format.unwrap_or(Format::Xml);
        match answer {
            Ok(reply) => reply.into_response(format, changed),
            Err(failure) => failure.into_response(format, changed),
        }
    }
}

impl Emulator for AlmQc {
    fn system(&self) -> &'static str {
        "alm-qc"
    }

    fn handle(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move { self.answer(&request) })
    }

    fn state(&self) -> StateSummary {
        persist::summary(&self.lock().state)
    }

    fn env(&self, base: &str) -> Vec<(String, String)> {
        let site = self.lock();
        let user = site.state.users.first().map_or("", |u| u.login.as_str());
        [
            ("ALM_URL", format!("{base}/qcbin").as_str()),
            ("ALM_CLIENT_ID", session::CLIENT_ID),
            ("ALM_CLIENT_SECRET", session::CLIENT_SECRET),
            ("ALM_USER", user),
            ("ALM_PASSWORD", session::PASSWORD),
            ("ALM_DOMAIN", DOMAIN),
            ("ALM_PROJECT", seed::PROJECT),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    fn save(&self) -> Vec<u8> {
        persist::save(&self.lock().state)
    }
}
