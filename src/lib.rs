//! testferry keeps test-management artifacts in step between Azure DevOps and other test tools.

pub mod cli;
pub mod connectors;
pub mod http;
pub mod journal;
pub mod model;
pub mod pipeline;
pub mod sandbox;
pub mod sql;
pub mod stages;
pub mod store;
pub mod text;
