//! From the pipeline file's words to a connector of Jira with Xray.

use std::sync::Arc;

use super::{INDEX_LAG, JiraXray, SYSTEM, Settings, describe};
use crate::connectors::{Error, ErrorKind, SharedConnector, System};
use crate::http;
use crate::pipeline::{AuthKey, Repository, SignIn};

/// The system's entry in the registry.
pub(in crate::connectors) fn system() -> System {
    let key = |name, secret| AuthKey { name, secret };
    let keys =
        vec![key("email", false), key("token", true), key("client_id", false), key("client_secret", true)];
    System {
        name: SYSTEM,
        artifacts: describe::artifacts(),
        sign_ins: vec![SignIn { deployment: Some("cloud"), keys }],
        connect,
    }
}

fn connect(repository: &Repository, http: http::Settings) -> Result<SharedConnector, Error> {
    let settings = &repository.settings;
    let fail = |message: &str| Error::new(SYSTEM, "signing in", ErrorKind::Settings, message);
    if settings.deployment.as_deref().is_some_and(|d| d != "cloud") {
        return Err(fail("only `deployment: cloud` is supported so far"));
    }
    if settings.timezone.is_some() {
        return Err(fail("dates of Jira Cloud carry their zone: leave `timezone` out"));
    }
    let auth = |name: &str| {
        let secret = repository.auth.get(name).ok_or_else(|| fail(&format!("auth needs `{name}`")))?;
        Ok::<String, Error>(secret.expose().to_owned())
    };
    let bare = |url: &url::Url| url.to_string().trim_end_matches('/').to_owned();
    let xray_url = settings.xray_url.as_ref().ok_or_else(|| fail("the repository needs `xray_url`"))?;
    Ok(Arc::new(JiraXray::new(Settings {
        url: bare(&settings.url),
        xray_url: bare(xray_url),
        email: auth("email")?,
        token: http::Token::new(auth("token")?),
        client_id: auth("client_id")?,
        client_secret: http::Token::new(auth("client_secret")?),
        projects: settings.projects.clone(),
        index_lag: INDEX_LAG,
        http,
    })?))
}
