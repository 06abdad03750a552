//! Integration tests.

/// The views through which everything else sees Azure DevOps.
mod azure_devops_views;
/// The connector of Jira Xray against the emulator of both.
mod jira_xray;

/// Azure DevOps, read and written, against its emulator.
mod azure_devops;
