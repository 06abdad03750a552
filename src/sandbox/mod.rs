//! The sandbox: emulators of the real systems, as HTTP servers on loopback with state.
//!
//! It stands beside the tower and uses nothing of it: emulators are written from
//! the vendors' documents, so that emulator and connector are two readings that
//! must agree.

pub(crate) mod azure_devops;
mod emulator;
mod faults;
pub(crate) mod jira_xray;
mod server;
#[allow(dead_code, reason = "each emulator reads its own part")]
pub(crate) mod world;

pub(crate) use emulator::{Emulator, Options, Request, Response, StateSummary};
