//! Integration tests.

/// A reviewed plan is loaded once.
mod apply_command;
/// Azure DevOps, read and written, against its emulator.
mod azure_devops;
/// The views through which everything else sees Azure DevOps.
mod azure_devops_views;
/// What is wrong is found before anything moves.
mod check_command;
/// Descriptions of REST interfaces as the vendors publish them.
mod described;
/// Both readings of the vendors' documents, held against these documents.
mod fidelity;
/// GraphQL documents against a published schema.
mod graphql;
/// The connector of Jira Xray against the emulator of both.
mod jira_xray;
/// Whole runs, night after night.
mod nights;
/// The program itself, run as people run it.
mod program;
/// A proxy that writes down what passes.
mod recorder;
/// Reading the source tree.
mod source;
/// What is staged can be queried and audited.
mod sql_command;
/// What the source tree must look like.
mod tidy;
