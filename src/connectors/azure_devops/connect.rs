//! From the pipeline file's words to a connector of Azure DevOps.

use std::sync::Arc;

use super::{AzureDevOps, SYSTEM, Settings, tables};
use crate::connectors::{Error, ErrorKind, SharedConnector, System};
use crate::http;
use crate::pipeline::{AuthKey, Repository, SignIn};

/// The system's entry in the registry.
pub(in crate::connectors) fn system() -> System {
    System {
        name: SYSTEM,
        artifacts: tables::artifacts(),
        sign_ins: vec![SignIn { deployment: None, keys: vec![AuthKey { name: "pat", secret: true }] }],
        connect,
    }
}

fn connect(repository: &Repository, http: http::Settings) -> Result<SharedConnector, Error> {
    if repository.settings.timezone.is_some() {
        let message = "dates of this system carry their zone: leave `timezone` out";
        return Err(Error::new(SYSTEM, "reading the settings", ErrorKind::Settings, message));
    }
    let pat = repository.auth.get("pat").ok_or_else(|| {
        Error::new(
            SYSTEM,
            "signing in",
            ErrorKind::Settings,
            "auth needs a personal access token under `pat`",
        )
    })?;
    let settings = Settings {
        url: repository.settings.url.to_string().trim_end_matches('/').to_owned(),
        pat: http::Token::new(pat.expose()),
        projects: repository.settings.projects.clone(),
        http,
    };
    Ok(Arc::new(AzureDevOps::new(settings)?))
}
