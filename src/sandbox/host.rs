//! A running sandbox: the wanted systems, each on a port of its own, filled from one company.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;

use super::emulator::{Emulator, Options};
use super::faults::FaultPlan;
use super::keep::Folder;
use super::log::LoggedRequest;
use super::server::Server;
use super::world::World;
use super::{System, systems};

/// What a sandbox is started with.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// The systems to serve, by their nouns (`azure-devops`); none named: all.
    pub systems: Vec<String>,
    /// Number of test cases of the made-up company; the rest grows with it.
    pub size: usize,
    /// Seed of the made-up company.
    pub seed: u64,
    /// Start without artifacts.
    pub empty: bool,
    /// Enforce the documented rate limits.
    pub limits: bool,
    /// How long what was written stays invisible to search, in systems with an index.
    pub index_lag: Duration,
    /// Faults on purpose, in every system.
    pub faults: Option<FaultPlan>,
    /// The folder that keeps the states between two starts; none: they end with the sandbox.
    pub data: Option<PathBuf>,
    /// Forget what the folder keeps.
    pub fresh: bool,
    /// Fixed addresses by system.
    pub listen: BTreeMap<String, SocketAddr>,
    /// The port of the first system without a fixed address, the next one's is one higher;
    /// none: last time's port if it is free, else any.
    pub first_port: Option<u16>,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        SandboxOptions {
            systems: Vec::new(),
            size: 200,
            seed: 1,
            empty: false,
            limits: false,
            index_lag: Duration::ZERO,
            faults: None,
            data: None,
            fresh: false,
            listen: BTreeMap::new(),
            first_port: None,
        }
    }
}

/// Why a sandbox did not start or could not save.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system that no emulator exists for.
    #[error("there is no system `{name}` in the sandbox, expected one of {known}")]
    UnknownSystem {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A listening address is taken, or not this machine's.
    #[error("{system} cannot be served on {address}: {source}; choose another port")]
    Listen {
        /// The system.
        system: String,
        /// Where it should have listened.
        address: SocketAddr,
        /// What the machine said.
        source: std::io::Error,
    },
    /// The folder keeps another company.
    #[error("the sandbox in {path} was made with {what} {saved}, not {asked}; use {what} {saved}, or start anew with --fresh", path = path.display())]
    SavedDiffers {
        /// The folder.
        path: PathBuf,
        /// Which option differs.
        what: &'static str,
        /// Its value when the folder was made.
        saved: String,
        /// Its value now.
        asked: String,
    },
    /// What the folder keeps cannot be read.
    #[error("{path} does not hold a sandbox's state: {reason}; start anew with --fresh", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another sandbox has the folder open.
    #[error("the sandbox in {path} is in use by another process; wait for it or choose another folder", path = path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The folder cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the machine said.
        source: std::io::Error,
    },
    /// An emulator broke down while it was filled.
    #[error("the emulator of {system} broke down at its start")]
    Broken {
        /// The system.
        system: &'static str,
    },
}

/// A running sandbox. Dropped, it frees its ports; what was not saved is forgotten.
#[derive(Debug)]
pub struct Sandbox {
    servers: Vec<Server>,
    folder: Option<Mutex<Folder>>,
    options: SandboxOptions,
}

impl Sandbox {
    /// Starts the wanted systems; they answer when this returns. Must be called within a tokio runtime.
    pub async fn start(options: SandboxOptions) -> Result<Sandbox, Error> {
        Sandbox::start_of(options, systems()).await
    }

    pub(super) async fn start_of(options: SandboxOptions, known: &[System]) -> Result<Sandbox, Error> {
        let wanted = wanted(&options.systems, known)?;
        let folder = match &options.data {
            Some(path) => Some(Folder::open(path, options.size, options.seed, options.empty, options.fresh)?),
            None => None,
        };
        // Ports first: a taken one is found before a large company is made.
        let mut listeners = Vec::new();
        let mut next_port = options.first_port;
        for system in &wanted {
            let last = folder.as_ref().and_then(|folder| folder.port(system.name));
            listeners.push(listen(system.name, &options.listen, &mut next_port, last).await?);
        }
        let mut world = None;
        let mut servers = Vec::new();
        for (system, listener) in wanted.into_iter().zip(listeners) {
            let emulator = emulator(system, &options, folder.as_ref(), &mut world).await?;
            let faults = options.faults.clone().unwrap_or_default();
            let address = listener.local_addr();
            let server = Server::start(emulator, listener, faults).map_err(|source| Error::Listen {
                system: system.name.to_owned(),
                address: address.unwrap_or_else(|_| loopback(0)),
                source,
            })?;
            servers.push(server);
        }
        Ok(Sandbox { servers, folder: folder.map(Mutex::new), options })
    }

    /// The variables that the shipped pipelines read for the systems served, in their order.
    pub fn env(&self) -> Vec<(String, String)> {
        self.servers.iter().flat_map(|server| server.emulator().env(&server.url())).collect()
    }

    /// The systems with their addresses: `http://127.0.0.1:4101`.
    pub fn urls(&self) -> Vec<(String, String)> {
        self.servers.iter().map(|s| (s.emulator().system().to_owned(), s.url())).collect()
    }

    /// A hash of a system's whole state and counts per artifact; none if the system is not served.
    pub fn state(&self, system: &str) -> Option<(String, BTreeMap<String, u64>)> {
        let state = self.server(system)?.emulator().state();
        Some((state.hash, state.counts))
    }

    /// The newest requests of a system, oldest first; empty if the system is not served.
    pub fn request_log(&self, system: &str) -> Vec<LoggedRequest> {
        self.server(system).map(|server| server.log().after(0)).unwrap_or_default()
    }

    /// Replaces the faults of every system and counts its requests from 1 again; none clears them.
    pub fn set_faults(&self, plan: Option<FaultPlan>) {
        let plan = plan.unwrap_or_default();
        self.servers.iter().for_each(|server| server.set_faults(plan.clone()));
    }

    /// Replaces the faults of one system.
    pub fn set_faults_of(&self, system: &str, plan: Option<FaultPlan>) {
        if let Some(server) = self.server(system) {
            server.set_faults(plan.unwrap_or_default());
        }
    }

    /// How often each hard case occurs in the company that the sandbox was filled with.
    pub fn hard_cases(&self) -> Vec<(&'static str, u64)> {
        if self.options.empty {
            return Vec::new();
        }
        World::generate(self.options.size, self.options.seed).hard_cases()
    }

    /// Writes the states of all systems into the data folder, together or not at all; nothing without a folder.
    pub fn save(&self) -> Result<(), Error> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let mut folder = folder.lock().unwrap_or_else(PoisonError::into_inner);
        let state = |server: &Server| (server.emulator().system(), server.port(), server.emulator().save());
        folder.save(self.servers.iter().map(state).collect())
    }

    /// Stops listening and waits for requests under way. It does not save.
    pub async fn stop(self) {
        futures::future::join_all(self.servers.into_iter().map(Server::stop)).await;
    }

    fn server(&self, system: &str) -> Option<&Server> {
        self.servers.iter().find(|server| server.emulator().system() == system)
    }
}

fn wanted<'a>(names: &[String], known: &'a [System]) -> Result<Vec<&'a System>, Error> {
    if names.is_empty() {
        return Ok(known.iter().collect());
    }
    let mut wanted: Vec<&System> = Vec::new();
    for name in names {
        let found = known.iter().find(|system| system.name == name).ok_or_else(|| Error::UnknownSystem {
            name: name.clone(),
            known: known.iter().map(|system| system.name).collect::<Vec<_>>().join(", "),
        })?;
        if !wanted.iter().any(|system| system.name == found.name) {
            wanted.push(found);
        }
    }
    Ok(wanted)
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Binds a system's port: the one asked for or none; else last time's, else any.
async fn listen(
    system: &str,
    fixed: &BTreeMap<String, SocketAddr>,
    next_port: &mut Option<u16>,
    last: Option<u16>,
) -> Result<TcpListener, Error> {
    let mut asked = fixed.get(system).copied();
    if asked.is_none()
        && let Some(port) = *next_port
    {
        asked = Some(loopback(port));
        *next_port = port.checked_add(1);
    }
    let address = asked.unwrap_or_else(|| loopback(last.unwrap_or(0)));
    let bound = TcpListener::bind(address).await;
    let bound = if asked.is_none() && bound.is_err() { TcpListener::bind(loopback(0)).await } else { bound };
    bound.map_err(|source| Error::Listen { system: system.to_owned(), address, source })
}

/// Makes a system's emulator from what the folder keeps, else from the company, which is made once.
async fn emulator(
    system: &System,
    options: &SandboxOptions,
    folder: Option<&Folder>,
    world: &mut Option<Arc<World>>,
) -> Result<Arc<dyn Emulator>, Error> {
    let name = system.name;
    let behaviour = Options {
        size: options.size,
        seed: options.seed,
        empty: options.empty,
        limits: options.limits,
        index_lag: options.index_lag,
    };
    let kept = match folder {
        Some(folder) => folder.state(name)?,
        None => None,
    };
    if let Some((path, bytes)) = kept {
        let load = system.load;
        let loaded = tokio::task::spawn_blocking(move || load(&bytes, &behaviour)).await;
        let loaded = loaded.map_err(|_| Error::Broken { system: name })?;
        return loaded.map_err(|reason| Error::Unreadable { path, reason });
    }
    let known = world.clone();
    let new = system.new;
    let made = tokio::task::spawn_blocking(move || {
        let world = known.unwrap_or_else(|| Arc::new(World::generate(behaviour.size, behaviour.seed)));
        (new(&world, &behaviour), world)
    });
    let (emulator, made) = made.await.map_err(|_| Error::Broken { system: name })?;
    *world = Some(made);
    Ok(emulator)
}
