//! The sandbox: emulators of the real systems, as HTTP servers on loopback with state.
//!
//! It stands beside the tower and uses nothing of it: emulators are written from
//! the vendors' documents, so that emulator and connector are two readings that
//! must agree.

pub(crate) mod alm_octane;
pub(crate) mod alm_qc;
pub(crate) mod azure_devops;
mod cut;
mod describe;
mod emulator;
mod faults;
mod host;
pub(crate) mod jira_xray;
mod keep;
mod log;
pub(crate) mod multipart;
mod server;
pub(crate) mod testrail;
#[allow(dead_code, reason = "each emulator reads its own part")]
pub(crate) mod world;

use std::sync::Arc;

pub use describe::{describe_text, env_file_text};
pub(crate) use emulator::{Emulator, Options, Request, Response, StateSummary};
pub use faults::{FaultKind, FaultPlan, FaultPlanError};
pub use host::{Error, Sandbox, SandboxOptions};
pub use log::LoggedRequest;

/// A filled emulator, or what is wrong with the bytes it was to take up.
pub(crate) type Loaded = Result<Arc<dyn Emulator>, String>;

/// An emulated system: how to fill it and how to take it up again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System {
    /// Its noun.
    pub(crate) name: &'static str,
    /// Fills it from the company.
    pub(crate) new: fn(&world::World, &Options) -> Arc<dyn Emulator>,
    /// Takes up what [`Emulator::save`] wrote; the error says what is wrong with it.
    pub(crate) load: fn(&[u8], &Options) -> Loaded,
}

/// Every system that the sandbox knows.
pub(crate) fn systems() -> &'static [System] {
    &[
        System {
            name: "azure-devops",
            new: |world, options| Arc::new(azure_devops::AzureDevOps::new(options, world)),
            load: |bytes, options| Ok(Arc::new(azure_devops::AzureDevOps::load(bytes, options)?)),
        },
        System {
            name: "jira-xray",
            new: |world, options| Arc::new(jira_xray::JiraXray::new(options, world)),
            load: |bytes, options| Ok(Arc::new(jira_xray::JiraXray::load(bytes, options)?)),
        },
        System {
            name: "alm-qc",
            new: |world, options| Arc::new(alm_qc::AlmQc::new(options, world)),
            load: |bytes, _| Ok(Arc::new(alm_qc::AlmQc::load(bytes)?)),
        },
        System {
            name: "alm-octane",
            new: |world, options| Arc::new(alm_octane::AlmOctane::new(options, world)),
            load: |bytes, options| Ok(Arc::new(alm_octane::AlmOctane::load(bytes, options)?)),
        },
        System {
            name: "testrail",
            new: |world, options| Arc::new(testrail::TestRail::new(options, world)),
            load: |bytes, options| Ok(Arc::new(testrail::TestRail::load(bytes, options)?)),
        },
    ]
}

/// The nouns of all systems that can be served.
pub fn system_names() -> Vec<&'static str> {
    systems().iter().map(|system| system.name).collect()
}

#[cfg(test)]
mod tests;
