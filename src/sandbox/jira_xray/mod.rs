//! jira_xray.
