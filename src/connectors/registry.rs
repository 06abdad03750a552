//! The one list of systems.

use std::collections::BTreeMap;

use super::{Error, ErrorKind, SharedConnector, azure_devops, jira_xray};
use crate::http;
use crate::model::{Artifact, RepositoryId};
use crate::pipeline::{Catalog, Pipeline, Repository, SignIn};

/// What is known of a system before any repository is asked.
#[derive(Clone, Debug)]
pub struct System {
    /// The system's noun.
    pub name: &'static str,
    /// The artifacts that pipelines can name.
    pub artifacts: Vec<Artifact>,
    /// The ways of signing in.
    pub sign_ins: Vec<SignIn>,
    /// Makes a connector of a repository; nothing is sent yet.
    pub connect: fn(&Repository, http::Settings) -> Result<SharedConnector, Error>,
}

/// Lists the systems.
pub fn registry() -> Vec<System> {
    vec![azure_devops::system(), jira_xray::system()]
}

/// Returns what the pipeline file is checked against.
pub fn catalog() -> Catalog {
    let systems = registry();
    Catalog {
        systems: systems.iter().map(|s| (s.name.to_owned(), s.artifacts.clone())).collect(),
        sign_ins: systems.iter().map(|s| (s.name.to_owned(), s.sign_ins.clone())).collect(),
    }
}

/// Makes a connector for every repository of a pipeline; nothing is sent yet.
///
/// # Errors
///
/// [`ErrorKind::Settings`] for a repository whose settings cannot work.
pub fn connect(pipeline: &Pipeline) -> Result<BTreeMap<RepositoryId, SharedConnector>, Error> {
    let systems = registry();
    let mut connectors = BTreeMap::new();
    for repository in &pipeline.repositories {
        let system = systems.iter().find(|s| s.name == repository.system).ok_or_else(|| {
            let known: Vec<&str> = systems.iter().map(|s| s.name).collect();
            let message =
                format!("no system is called {}; there are {}", repository.system, known.join(", "));
            Error::new("testferry", "choosing a connector", ErrorKind::Settings, message)
        })?;
        let connector = (system.connect)(repository, transport(repository))?;
        connectors.insert(repository.id.clone(), connector);
    }
    Ok(connectors)
}

fn transport(repository: &Repository) -> http::Settings {
    let settings = &repository.settings;
    http::Settings {
        rate: settings.rate.map(|rate| http::Budget { requests: rate.requests, per: rate.per }),
        ca_file: settings.ca_file.clone(),
        proxy: settings.proxy.as_ref().map(ToString::to_string),
        ..http::Settings::default()
    }
}
