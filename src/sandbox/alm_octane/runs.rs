//! Runs: their status, the steps they take over, and the runs that a suite run makes.

use super::call::Call;
use super::scripts;
use super::store::{RunSteps, Spawn, State};
use super::value::{Millis, Ref, Row, Val};

/// A suite run's own runs appear so much later.
pub(super) const SPAWN_MS: Millis = 60;

/// The status that a native status amounts to.
fn status_of(native: &str) -> &'static str {
    match native {
        "passed" => "passed",
        "failed" => "failed",
        "skipped" => "skipped",
        "planned" => "planned",
        _ => "requires_attention",
    }
}

/// The last word of a list item's logical name.
fn word(state: &State, item: Option<Ref>) -> String {
    let id = item.map(|i| state.id(i)).unwrap_or_default();
    id.rsplit('.').next().unwrap_or_default().to_owned()
}

/// Fills in a new run.
pub(super) fn complete(state: &State, call: &Call, row: &mut Row) {
    let schema = &state.schema;
    let field = |name: &str| schema.known("run", name);
    let native = word(state, row.one(state.keys.run_native));
    row.set(state.keys.run_status, state.item(&format!("run_status.{}", status_of(&native))).map(Val::Ref));
    let user = Val::Ref(Ref(state.keys.user, u32::from(call.user)));
    row.set(field("last_modified_by"), Some(user.clone()));
    if let Some(test) = row.one(state.keys.run_test) {
        row.set(field("test_name"), state.title(test).map(Val::text));
        if schema.entity_name(state.keys.run, row.sub) == "run_manual" {
            let latest = state.row(test).and_then(|t| t.one(schema.known("test", "latest_version")));
            if row.get(field("test_version")).is_none() {
                row.set(field("test_version"), latest.map(Val::Ref));
            }
        }
    }
    if native != "planned" && !native.is_empty() {
        row.set(field("started"), Some(Val::Date(call.now)));
        if row.get(field("run_by")).is_none() {
            row.set(field("run_by"), Some(user));
        }
    }
}

/// A new manual run takes over its test's steps; a new suite run will make its runs.
pub(super) fn created(state: &mut State, call: &Call, at: Ref) {
    let Some((kind, test)) = state
        .row(at)
        .map(|row| (state.schema.entity_name(at.0, row.sub).to_owned(), row.one(state.keys.run_test)))
    else {
        return;
    };
    match (kind.as_str(), test) {
        ("run_manual", Some(test)) => take_steps(state, at.1, test),
        ("run_suite", _) => state.spawns.push(Spawn { run: at.1, due: call.now + SPAWN_MS }),
        _ => {}
    }
    summarise(state, at, call.now);
}

pub(super) fn take_steps(state: &mut State, run: u32, test: Ref) {
    let steps = scripts::steps_of(state, test);
    let definition = state.define_steps(steps);
    let first = state.next_step;
    state.attach_steps(run, RunSteps { definition, first });
}

/// Follows a changed native status.
pub(super) fn changed(state: &mut State, call: &Call, at: Ref, old: &Row) {
    let Some(row) = state.row(at).map(|r| r.into_owned()) else { return };
    if row.one(state.keys.run_native) != old.one(state.keys.run_native) {
        let native = word(state, row.one(state.keys.run_native));
        let status = state.item(&format!("run_status.{}", status_of(&native))).map(Val::Ref);
        let started = state.schema.known("run", "started");
        let run_by = state.schema.known("run", "run_by");
        let mut row = row;
        row.set(state.keys.run_status, status);
        if native != "planned" && row.get(started).is_none() {
            row.set(started, Some(Val::Date(call.now)));
        }
        if native != "planned" && row.get(run_by).is_none() {
            row.set(run_by, Some(Val::Ref(Ref(state.keys.user, u32::from(call.user)))));
        }
        state.put(at, row);
        summarise(state, at, call.now);
    }
}

/// Brings the status of the suite run above a run, or of the suite run itself, up to date.
pub(super) fn summarise(state: &mut State, at: Ref, now: Millis) {
    let Some(row) = state.row(at) else { return };
    let suite = state.schema.entity_name(at.0, row.sub) == "run_suite";
    let above = if suite { Some(at) } else { row.one(state.keys.run_parent) };
    let Some(above) = above else { return };
    let runs = state.naming(state.keys.run_parent, above);
    let words: Vec<String> = runs
        .iter()
        .filter_map(|n| state.row(Ref(at.0, *n)))
        .map(|row| word(state, row.one(state.keys.run_status)))
        .collect();
    if words.is_empty() {
        return;
    }
    let all = |wanted: &str| words.iter().all(|w| w == wanted);
    let any = |wanted: &str| words.iter().any(|w| w == wanted);
    let status = match () {
        () if all("planned") => "planned",
        () if any("failed") => "failed",
        () if any("requires_attention") || any("planned") => "requires_attention",
        () if all("skipped") => "skipped",
        () => "passed",
    };
    let status = state.item(&format!("run_status.{status}")).map(Val::Ref);
    let Some(mut row) = state.row(above).map(|r| r.into_owned()) else { return };
    if row.get(state.keys.run_status) != status.as_ref() {
        row.set(state.keys.run_status, status);
        row.version += 1;
        row.modified = now;
        state.put(above, row);
    }
}

/// Makes the runs of suite runs whose time has come; of all if `all`.
pub(super) fn spawn_due(state: &mut State, now: Millis, all: bool) {
    while let Some(place) = state.spawns.iter().position(|s| all || s.due <= now) {
        let Spawn { run, .. } = state.spawns.remove(place);
        spawn(state, Ref(state.keys.run, run), now);
        state.revision += 1;
    }
}

fn spawn(state: &mut State, suite_run: Ref, now: Millis) {
    let Some(of) = state.row(suite_run).map(|r| r.into_owned()) else { return };
    let Some(suite) = of.one(state.keys.run_test) else { return };
    let schema = &state.schema;
    let field = |name: &str| schema.known("run", name);
    let link = |name: &str| schema.known("test_suite_link_to_test", name);
    let (include, order, of_test) = (link("include_in_next_run"), link("order"), link("test"));
    let manual = state.schema.entity_named("run_manual").and_then(|(_, sub)| sub).unwrap_or_default();
    let mut links: Vec<(i64, u32, Ref)> = Vec::new();
    for number in state.naming(link("test_suite"), suite).iter() {
        let Some(row) = state.row(Ref(state.keys.link, *number)) else { continue };
        // Automated tests get their runs from the results that are pushed.
        let automated = state.schema.entity_name(state.keys.link, row.sub) == "test_suite_link_to_automated";
        let included = row.get(include) != Some(&Val::Bool(false));
        let place = if let Some(Val::Int(n)) = row.get(order) { *n } else { 0 };
        if let (true, false, Some(test)) = (included, automated, row.one(of_test)) {
            links.push((place, *number, test));
        }
    }
    links.sort_unstable();
    let mut copied = Vec::new();
    for name in ["release", "milestone", "sprint", "draft_run"] {
        copied.extend(of.get(field(name)).map(|v| (field(name), v.clone())));
    }
    copied.extend(of.get(field("default_run_by")).map(|v| (field("run_by"), v.clone())));
    copied.extend(of.get(field("default_taxonomies")).map(|v| (field("taxonomies"), v.clone())));
    copied.extend(state.item("run_native_status.planned").map(|p| (state.keys.run_native, Val::Ref(p))));
    copied.extend(state.item("run_status.planned").map(|p| (state.keys.run_status, Val::Ref(p))));
    let (name, test_name, version) = (field("name"), field("test_name"), field("test_version"));
    let latest = state.schema.known("test", "latest_version");
    for (_, _, test) in links {
        let Some(of_test) = state.row(test).map(|r| r.into_owned()) else { continue };
        let mut row = Row::new(manual, of.author, now);
        copied.iter().for_each(|(f, v)| row.set(*f, Some(v.clone())));
        let title = state.title(test).map(Val::text);
        row.set(name, title.clone());
        row.set(test_name, title);
        row.set(version, of_test.one(latest).map(Val::Ref));
        row.set(state.keys.run_test, Some(Val::Ref(test)));
        row.set(state.keys.run_parent, Some(Val::Ref(suite_run)));
        let at = Ref(state.keys.run, state.fresh(state.keys.run));
        state.put(at, row);
        take_steps(state, at.1, test);
    }
    summarise(state, suite_run, now);
}
