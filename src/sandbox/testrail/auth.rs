//! Who calls, and what a role may do.

use base64::Engine as _;

use super::reply::Problem;
use super::state::{State, User};
use crate::sandbox::Request;

/// The API key of the first user, which the sandbox hands out.
pub(super) const API_KEY: &str = "TSTF.r4il-Cq8sVb2Zk7Wn0yXd3Lp9-Ge6Hu1Mj5Rt";

/// The password of everybody but the first user, and of that one too.
pub(super) const PASSWORD: &str = "calculator";

/// The roles of a new instance by id, from 1.
pub(super) const ROLES: [&str; 4] = ["Lead", "Designer", "Tester", "Read-only"];

/// What a call does, as the roles see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    Read,
    /// Results and their files.
    Test,
    /// Cases, sections, suites, shared steps and their files.
    Design,
    /// Runs, plans, milestones, configurations.
    Lead,
    /// Projects, users and fields.
    Admin,
}

/// Finds the caller by mail address and password or API key.
pub(super) fn caller(state: &State, request: &Request) -> Result<u32, Problem> {
    let refused = || {
        let text = "Authentication failed: invalid or missing user/password or session cookie.";
        Problem::new(401, text)
    };
    let header = request.header("authorization").ok_or_else(refused)?;
    let (scheme, encoded) = header.split_once(' ').ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(refused());
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).map_err(|_| refused())?;
    let text = String::from_utf8(bytes).map_err(|_| refused())?;
    let (email, secret) = text.split_once(':').ok_or_else(refused)?;
    let known = |u: &User| u.active && u.email.eq_ignore_ascii_case(email);
    let at = state.users.iter().position(known).ok_or_else(refused)?;
    if secret == PASSWORD || (at == 0 && secret == API_KEY) { Ok(at as u32 + 1) } else { Err(refused()) }
}

/// Refuses what the caller's role does not allow.
pub(super) fn check(user: Option<&User>, right: Right, method: &str) -> Result<(), Problem> {
    let (admin, role) = user.map_or((false, 0), |u| (u.admin, u.role));
    let allowed = match right {
        Right::Read => true,
        Right::Test => admin || (1..=3).contains(&role),
        Right::Design => admin || (1..=2).contains(&role),
        Right::Lead => admin || role == 1,
        Right::Admin => admin,
    };
    if allowed {
        return Ok(());
    }
    let (verb, thing) = method.split_once('_').unwrap_or((method, ""));
    let verb = if verb == "update" { "edit" } else { verb };
    let thing = thing.replace('_', " ");
    if right == Right::Admin {
        return Err(Problem::denied(format!("No permissions to {verb} {thing}s (requires admin rights)")));
    }
    Err(Problem::denied(format!("You are not allowed to {verb} {thing}s (insufficient permissions).")))
}
