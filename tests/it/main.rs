//! Integration tests.

/// The views through which everything else sees Azure DevOps.
mod azure_devops_views;
