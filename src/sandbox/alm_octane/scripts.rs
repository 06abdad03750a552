//! Scripts of manual tests: revisions, and the steps that a run takes over.

use serde_json::{Value, json};

use super::call::{Call, Reply};
use super::problem::Problem;
use super::store::{State, Step};
use super::value::{Ref, Row, Val};

/// How deep tests may call tests; deeper calls stay lines of text.
const DEEPEST: usize = 5;
/// No run takes over more steps; calls multiply.
const MOST_STEPS: usize = 2_000;
/// The longest script in characters.
const LONGEST: usize = 1_000_000;

/// The text of a test's newest revision.
pub(super) fn script_of(state: &State, test: Ref) -> String {
    let latest = state.schema.known("test", "latest_version");
    let version = state.row(test).and_then(|row| row.one(latest));
    let field = state.schema.known("test_version", "script");
    version.and_then(|v| state.row(v)).map(|row| row.str(field).to_owned()).unwrap_or_default()
}

/// The lines that are steps.
pub(super) fn lines(script: &str) -> impl Iterator<Item = &str> {
    script.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "-")
}

/// The steps of a test, with those of the tests that it calls in their places.
pub(super) fn steps_of(state: &State, test: Ref) -> Vec<Step> {
    let mut out = Vec::new();
    expand(state, test, 0, &mut out);
    out
}

fn expand(state: &State, test: Ref, depth: usize, out: &mut Vec<Step>) {
    for line in lines(&script_of(state, test)) {
        if out.len() >= MOST_STEPS {
            return;
        }
        let text = line.strip_prefix('-').unwrap_or(line).trim_start();
        if let Some(expected) = text.strip_prefix('?') {
            out.push(Step { validates: true, text: expected.trim().into() });
            continue;
        }
        let called = text.strip_prefix('@').and_then(|t| {
            let digits = t.find(|c: char| !c.is_ascii_digit()).unwrap_or(t.len());
            state.find_id(state.keys.test, &t[..digits])
        });
        match called {
            Some(called) if called != test && depth < DEEPEST => expand(state, called, depth + 1, out),
            _ => out.push(Step { validates: false, text: text.into() }),
        }
    }
}

/// Makes a revision of a test's script.
pub(super) fn revise(
    state: &mut State,
    test: Ref,
    script: &str,
    comment: &str,
    kind: &str,
    user: u16,
    at: i64,
) -> Ref {
    let field = |state: &State, name: &str| state.schema.known("test_version", name);
    let held = state.naming(field(state, "test"), test).len();
    let mut row = Row::new(0, user, at);
    row.set(field(state, "test"), Some(Val::Ref(test)));
    row.set(field(state, "version"), Some(Val::Int(i64::try_from(held + 1).unwrap_or_default())));
    row.set(field(state, "name"), Some(Val::text(format!("{}", held + 1))));
    row.set(field(state, "script"), Some(Val::text(script)));
    row.set(field(state, "revision_type"), Some(Val::text(kind)));
    if !comment.is_empty() {
        row.set(field(state, "comment"), Some(Val::text(comment)));
    }
    let version = Ref(state.keys.version, state.fresh(state.keys.version));
    state.put(version, row);
    let latest = state.schema.known("test", "latest_version");
    if let Some(mut of) = state.row(test).map(|r| r.into_owned()) {
        of.set(latest, Some(Val::Ref(version)));
        state.put(test, of);
    }
    version
}

/// `GET` and `PUT` of the resource `script`.
pub(super) fn resource(state: &mut State, call: &Call, test: Ref) -> Result<Reply, Problem> {
    match call.method.as_str() {
        "GET" => Ok(Reply::ok(body(state, test))),
        "PUT" => {
            let sent = call.json()?;
            let script = sent.get("script").and_then(Value::as_str);
            let script =
                script.ok_or_else(|| Problem::malformed("The script is missing: {\"script\":\"..\"}"))?;
            let script = script.replace("\r\n", "\n");
            if script.chars().count() > LONGEST {
                return Err(Problem::illegal("script", "it is too long"));
            }
            let kind = sent.get("revision_type").and_then(Value::as_str).unwrap_or("Minor");
            if !matches!(kind, "Minor" | "Major") {
                return Err(Problem::illegal("revision_type", "expected Minor or Major"));
            }
            let comment = sent.get("comment").and_then(Value::as_str).unwrap_or_default();
            if script != script_of(state, test) {
                revise(state, test, &script, comment, kind, call.user, call.now);
                super::write::touch(state, test, call.user, call.now, true);
            }
            Ok(Reply::ok(body(state, test)))
        }
        _ => Err(Problem::denied(&call.method, &call.path)),
    }
}

fn body(state: &State, test: Ref) -> Value {
    let latest = state.schema.known("test", "latest_version");
    let row = state.row(test);
    let version = row.as_ref().and_then(|r| r.one(latest));
    let number = version.map(|v| json!({"type": "test_version", "id": state.id(v)}));
    json!({
        "script": script_of(state, test),
        "test_version": number,
        "version_stamp": row.as_ref().map(|r| r.version),
    })
}
