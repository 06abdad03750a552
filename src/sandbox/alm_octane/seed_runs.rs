//! The company's runs: a suite run for each, with a run below it for each result.

use super::seed::{Seeder, memo, millis, number, user};
use super::store::{Mark, RunSteps};
use super::value::{Ref, Row, Val};
use crate::sandbox::world::{Outcome, Run, State as Stand, TestResult};

/// The last words of the native statuses.
fn native(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "failed",
        Outcome::Blocked => "blocked",
        Outcome::NotApplicable => "skipped",
        Outcome::Open | Outcome::Paused => "planned",
    }
}

fn status(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Blocked => "requires_attention",
        other => native(other),
    }
}

/// Fields of runs, looked up once: there are a million of them.
struct Fields {
    name: u16,
    test_name: u16,
    release: u16,
    started: u16,
    duration: u16,
    run_by: u16,
    last_by: u16,
    description: u16,
    taxonomies: u16,
    version: u16,
    latest: u16,
    title: u16,
    defect_run: u16,
}

/// Makes all runs.
pub(super) fn fill(seeder: &mut Seeder<'_>) {
    let run = |name: &str| seeder.field("run", name);
    let fields = Fields {
        name: run("name"),
        test_name: run("test_name"),
        release: run("release"),
        started: run("started"),
        duration: run("duration"),
        run_by: run("run_by"),
        last_by: run("last_modified_by"),
        description: run("description"),
        taxonomies: run("taxonomies"),
        version: run("test_version"),
        latest: seeder.field("test", "latest_version"),
        title: seeder.field("test", "name"),
        defect_run: seeder.field("work_item", "run"),
    };
    let world = seeder.world;
    // Suite runs have the company's numbers; their runs are numbered behind.
    let mut next = number(world.next_other);
    for run in &world.runs {
        let Some(other) = run.identity.other else { continue };
        let at = Ref(seeder.state.keys.run, number(other));
        let Some(shared) = suite_run(seeder, &fields, run, at) else { continue };
        let results = &world.results[run.results.start as usize..run.results.end as usize];
        for result in results {
            child(seeder, &fields, result, at, &shared, next);
            next += 1;
        }
        super::runs::summarise(&mut seeder.state, at, millis(run.ended));
    }
}

/// The run of a result: the suite runs before it took as many numbers as they have results.
pub(super) fn of_result(seeder: &Seeder<'_>, run: u32, result: u32) -> Option<Ref> {
    let world = seeder.world;
    let of = world.runs.get(run as usize)?;
    let parent = Ref(seeder.state.keys.run, number(of.identity.other?));
    let runs = seeder.state.naming(seeder.state.keys.run_parent, parent);
    let place = (result - of.results.start) as usize;
    runs.get(place).map(|n| Ref(seeder.state.keys.run, *n))
}

fn suite_run(seeder: &mut Seeder<'_>, fields: &Fields, run: &Run, at: Ref) -> Option<Vec<(u16, Val)>> {
    let world = seeder.world;
    let plan = &world.plans[*run.plans.first()? as usize];
    let suite = seeder.test(&plan.identity)?;
    let (_, sub) = seeder.state.schema.entity_named("run_suite")?;
    let mut row = Row::new(sub?, user(run.owner), millis(run.started));
    row.modified = millis(run.ended);
    (row.version, row.lock) = (2, 2);
    let mut shared = Vec::new();
    shared.extend(seeder.releases.get(plan.iteration).map(|r| (fields.release, Val::Ref(*r))));
    if let Some(configuration) = run.configuration {
        let table = seeder.state.schema.table_of("taxonomy_node")?;
        // The category comes first.
        let item = seeder.state.table(table).rows.keys().nth(usize::from(configuration) + 1).copied();
        shared.extend(item.map(|n| (fields.taxonomies, Val::Refs([Ref(table, n)].into()))));
    }
    shared.iter().for_each(|(f, v)| row.set(*f, Some(v.clone())));
    row.set(fields.name, Some(Val::text(run.title.as_str())));
    row.set(fields.test_name, Some(Val::text(plan.title.as_str())));
    row.set(fields.run_by, Some(seeder.person(run.owner)));
    row.set(fields.last_by, Some(seeder.person(run.owner)));
    row.set(fields.started, Some(Val::Date(millis(run.started))));
    row.set(seeder.state.keys.run_test, Some(Val::Ref(suite)));
    let word = match run.state {
        Stand::New => "planned",
        Stand::InProgress => "not_completed",
        Stand::Done => "passed",
    };
    let native = seeder.state.item(&format!("run_native_status.{word}"));
    row.set(seeder.state.keys.run_native, native.map(Val::Ref));
    seeder.refer(&mut row, "run", run.identity.other_refers_to, "_testManagement/runs?_a=runCharts&runId=");
    seeder.state.put(at, row);
    Some(shared)
}

fn child(
    seeder: &mut Seeder<'_>,
    fields: &Fields,
    result: &TestResult,
    parent: Ref,
    shared: &[(u16, Val)],
    number: u32,
) {
    let world = seeder.world;
    let case = &world.cases[result.case as usize];
    let Some(test) = seeder.test(&case.identity) else { return };
    let manual = case.automation.is_none();
    let entity = if manual { "run_manual" } else { "run_automated" };
    let Some((table, Some(sub))) = seeder.state.schema.entity_named(entity) else { return };
    let ended = millis(result.started) + i64::from(result.seconds) * 1_000;
    let mut row = Row::new(sub, user(result.tester), millis(result.started));
    row.modified = ended;
    shared.iter().for_each(|(f, v)| row.set(*f, Some(v.clone())));
    let (title, latest) = match seeder.state.row(test) {
        Some(of) => (of.str(fields.title).to_owned(), of.one(fields.latest)),
        None => return,
    };
    row.set(fields.name, Some(Val::text(title.as_str())));
    row.set(fields.test_name, Some(Val::text(title)));
    row.set(seeder.state.keys.run_test, Some(Val::Ref(test)));
    row.set(seeder.state.keys.run_parent, Some(Val::Ref(parent)));
    let item = |list: &str, word: &str| seeder.state.item(&format!("{list}.{word}")).map(Val::Ref);
    row.set(seeder.state.keys.run_native, item("run_native_status", native(result.outcome)));
    row.set(seeder.state.keys.run_status, item("run_status", status(result.outcome)));
    row.set(fields.description, result.comment.map(memo));
    if manual {
        row.set(fields.version, latest.map(Val::Ref));
    }
    if native(result.outcome) != "planned" {
        row.set(fields.run_by, Some(seeder.person(result.tester)));
        row.set(fields.started, Some(Val::Date(millis(result.started))));
        row.set(fields.duration, Some(Val::Int(i64::from(result.seconds) * 1_000)));
    }
    let at = Ref(table, number);
    seeder.state.put(at, row);
    if manual {
        steps(seeder, result, at, test);
    }
    if let Some(defect) = result.bug.and_then(|b| world.bugs[b as usize].identity.other) {
        let table = seeder.state.schema.table_of("work_item").unwrap_or_default();
        let defect = Ref(table, super::seed::number(defect));
        let mut held = seeder.state.row(defect).map_or_else(|| Row::new(0, 0, 0), |r| r.into_owned());
        let mut runs = held.get(fields.defect_run).map_or(Vec::new(), |v| v.refs().to_vec());
        runs.push(at);
        held.set(fields.defect_run, Some(Val::Refs(runs.into())));
        seeder.state.put(defect, held);
    }
}

/// The steps of a run with what they came to.
fn steps(seeder: &mut Seeder<'_>, result: &TestResult, at: Ref, test: Ref) {
    let lines = super::scripts::steps_of(&seeder.state, test);
    let definition = seeder.state.define_steps(lines.clone());
    let first = seeder.state.next_step;
    seeder.state.attach_steps(at.1, RunSteps { definition, first });
    if result.failed_step.is_none() {
        // Testers seldom mark steps one by one where nothing went wrong.
        return;
    }
    let outcomes = seeder.world.step_outcomes(result);
    let mut marks = Vec::with_capacity(lines.len());
    let mut step = None;
    for line in &lines {
        // An action begins the next step, and what it expects belongs to it.
        step = if line.validates { step.or(Some(0)) } else { Some(step.map_or(0, |s: usize| s + 1)) };
        let outcome = step.and_then(|s| outcomes.get(s)).copied().unwrap_or(Outcome::Open);
        let open = matches!(outcome, Outcome::Open | Outcome::Paused);
        let item = seeder.state.item(&format!("run_native_status.{}", native(outcome)));
        marks.push(Mark { result: item.filter(|_| !open).map(|r| r.1), actual: None });
    }
    seeder.state.marks.insert(at.1, marks.into());
}
