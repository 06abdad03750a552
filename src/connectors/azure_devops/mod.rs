//! azure_devops.
