//! Who calls, and how callers who may not are turned away.

use base64::Engine as _;

use super::state::State;
use super::value::same;

/// The personal access token that the sandbox's environment names.
pub(super) const TOKEN: &str = "sandbox-azure-devops-token";

/// What the credentials of a request say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// A person, by position.
    Known(u32),
    /// No credentials, or a bearer token that is not valid.
    Nobody,
    /// A personal access token that is wrong or has expired.
    Refused,
}

/// Finds the caller. The bare token is the service account's; `{token}:{unique name}` is that
/// person's, so that a test can play somebody who works in the system at the same time.
pub(super) fn caller(state: &State, header: Option<&str>) -> Caller {
    let Some((scheme, value)) = header.and_then(|h| h.trim().split_once(' ')) else { return Caller::Nobody };
    if scheme.eq_ignore_ascii_case("bearer") {
        return person(state, value.trim()).map_or(Caller::Nobody, Caller::Known);
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Caller::Nobody;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(value.trim()).ok();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let token = text.split_once(':').map_or("", |(_, token)| token);
    person(state, token).map_or(Caller::Refused, Caller::Known)
}

fn person(state: &State, token: &str) -> Option<u32> {
    let rest = token.strip_prefix(TOKEN)?;
    if rest.is_empty() {
        return Some(0);
    }
    let unique = rest.strip_prefix(':')?;
    state.people.iter().position(|p| same(&p.unique, unique)).and_then(|p| u32::try_from(p).ok())
}

/// The page that a refused token is answered with, in place of an error.
pub(super) const SIGN_IN: &str = "<!DOCTYPE html>\r\n<html lang=\"en-US\">\r\n<head>\r\n<title>\r\n\tAzure DevOps Services | Sign In\r\n\
    </title>\r\n<meta http-equiv=\"X-UA-Compatible\" content=\"IE=11;\" />\r\n</head>\r\n<body class=\"platform\">\r\n\
    <form method=\"post\" action=\"/_signin\" id=\"ms_signin\"><h1>Sign in to Azure DevOps</h1></form>\r\n</body>\r\n</html>\r\n";
