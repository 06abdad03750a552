//! Integration tests.

/// The views through which everything else sees Azure DevOps.
mod azure_devops_views;

/// Azure DevOps, read and written, against its emulator.
mod azure_devops;
