//! What the server itself knows of each entity: parents, names, defaults, and what a change entails.

use super::call::{Call, Desk};
use super::input::Fields;
use super::reply::Failure;
use super::schema::Kind;
use super::store::{Row, Value};
use super::time;
use super::write;

/// Where test sets without folder are.
pub(super) const UNATTACHED_SETS: i64 = -2;
/// The folder of deleted tests, which no client may fill.
pub(super) const RECYCLE_BIN: u32 = 1_001;

/// Whether an entity is the root of a tree, which nobody may change.
pub(super) fn is_root(kind: Kind, id: u32) -> bool {
    matches!(
        (kind, id),
        (Kind::TestFolder, 2 | RECYCLE_BIN)
            | (Kind::TestSetFolder | Kind::Requirement, 0)
            | (Kind::TestSetFolder | Kind::ReleaseFolder, 1)
    )
}

/// Checks a row before it is stored; `old` is what it was.
pub(super) fn check(
    desk: &Desk<'_>,
    call: &Call<'_>,
    kind: Kind,
    old: Option<(u32, &Row)>,
    row: &Row,
) -> Result<(), Failure> {
    if let Some((id, before)) = old
        && is_root(kind, id)
        && kind.find("name").is_some_and(|f| before.text(f) != row.text(f))
    {
        return Err(Failure::general(500, format!("Cannot modify the root '{}'.", kind.title())));
    }
    if kind.folder().is_some() {
        check_parent(desk, kind, old, row)?;
        check_name(desk, kind, old, row)?;
    }
    let exists = |table: Kind, field: &str| {
        let id = row.num(kind.at(field)).unwrap_or(-1);
        match desk.project.row_at(table, id) {
            Some(_) => Ok(()),
            None => Err(Failure::general(
                500,
                format!("Cannot create '{}'. {} with ID '{id}' does not exist.", kind.title(), table.title()),
            )),
        }
    };
    match kind {
        Kind::DesignStep if row.num(kind.at("parent-id")).is_none() => {
            let field = &kind.fields()[usize::from(kind.at("parent-id"))];
            return Err(super::input::missing(field));
        }
        Kind::DesignStep => {
            exists(Kind::Test, "parent-id")?;
            if old.is_none() {
                write::guard(desk, call, kind, 0, row)?;
            }
        }
        Kind::TestConfig => exists(Kind::Test, "parent-id")?,
        Kind::TestInstance => {
            exists(Kind::TestSet, "cycle-id")?;
            exists(Kind::Test, "test-id")?;
            config_of_test(desk, row, kind)?;
        }
        Kind::Run => {
            exists(Kind::TestSet, "cycle-id")?;
            exists(Kind::Test, "test-id")?;
            exists(Kind::TestInstance, "testcycl-id")?;
            config_of_test(desk, row, kind)?;
        }
        Kind::RunStep => exists(Kind::Run, "parent-id")?,
        Kind::Coverage => {
            exists(Kind::Requirement, "requirement-id")?;
            exists(Kind::Test, "test-id")?;
            covered_once(desk, old, row)?;
        }
        Kind::DefectLink => {
            exists(Kind::Defect, "first-endpoint-id")?;
            let name = row.text(kind.at("second-endpoint-type"));
            let other = Kind::of_name(name)
                .ok_or_else(|| Failure::general(500, format!("Invalid entity type '{name}'.")))?;
            exists(other, "second-endpoint-id")?;
        }
        _ => {}
    }
    Ok(())
}

/// Refuses a second coverage of the same requirement by the same test.
fn covered_once(desk: &Desk<'_>, old: Option<(u32, &Row)>, row: &Row) -> Result<(), Failure> {
    let kind = Kind::Coverage;
    let requirement = row.num(kind.at("requirement-id")).and_then(|r| u32::try_from(r).ok()).unwrap_or(0);
    let same = |id: &u32| {
        let other = desk.project.row(kind, *id).and_then(|r| r.num(kind.at("test-id")));
        other == row.num(kind.at("test-id")) && old.is_none_or(|(own, _)| own != *id)
    };
    if desk.project.children(kind, "requirement-id", requirement).iter().any(same) {
        return Err(Failure::general(409, "The requirement is already covered by the test."));
    }
    Ok(())
}

fn config_of_test(desk: &Desk<'_>, row: &Row, kind: Kind) -> Result<(), Failure> {
    let Some(config) = row.num(kind.at("test-config-id")) else { return Ok(()) };
    let of =
        desk.project.row_at(Kind::TestConfig, config).and_then(|c| c.num(Kind::TestConfig.at("parent-id")));
    if of == row.num(kind.at("test-id")) {
        return Ok(());
    }
    Err(Failure::general(500, format!("Test configuration '{config}' does not belong to the test.")))
}

fn check_parent(desk: &Desk<'_>, kind: Kind, old: Option<(u32, &Row)>, row: &Row) -> Result<(), Failure> {
    let (Some(tree), parent) = (kind.folder(), kind.at("parent-id")) else { return Ok(()) };
    let wanted = row.num(parent);
    if let Some((id, before)) = old {
        if before.num(parent) == wanted {
            return Ok(());
        }
        // A folder cannot go below itself.
        let mut above = wanted;
        while let Some(at) = above.filter(|_| tree == kind) {
            if at == i64::from(id) {
                return Err(Failure::general(500, format!("Cannot move '{}' into itself.", kind.title())));
            }
            above = desk.project.row_at(tree, at).and_then(|r| r.num(parent)).filter(|up| *up != at);
        }
    }
    let loose = match kind {
        Kind::Test => wanted == Some(0),
        Kind::TestSet => matches!(wanted, None | Some(UNATTACHED_SETS)),
        Kind::TestSetFolder | Kind::Requirement => wanted.is_none(),
        _ => false,
    };
    let exists = wanted.is_some_and(|id| desk.project.row_at(tree, id).is_some());
    if loose || (exists && wanted != Some(i64::from(RECYCLE_BIN))) {
        return Ok(());
    }
    let owner = wanted.map_or_else(String::new, |id| id.to_string());
    if kind == Kind::Requirement {
        return Err(Failure::general(
            500,
            format!("Entity with key '{owner}' does not exist in table 'REQ'"),
        ));
    }
    Err(Failure::general(500, format!("Cannot create '{}'. Invalid owner specified: {owner}.", kind.title())))
}

fn check_name(desk: &Desk<'_>, kind: Kind, old: Option<(u32, &Row)>, row: &Row) -> Result<(), Failure> {
    let (at, parent) = (kind.at("name"), kind.at("parent-id"));
    let name = row.text(at);
    if name.contains('\\') {
        return Err(Failure::general(
            500,
            format!("The name '{name}' of '{}' contains illegal characters: \\", kind.title()),
        ));
    }
    if old.is_some_and(|(_, before)| before.text(at) == name && before.num(parent) == row.num(parent)) {
        return Ok(());
    }
    let above = row.num(parent).unwrap_or(0);
    let siblings = desk.project.indexed(kind, parent, above).unwrap_or_default();
    let lower = name.to_lowercase();
    let same = |id: &u32| {
        old.is_none_or(|(own, _)| own != *id)
            && desk.project.row(kind, *id).is_some_and(|r| r.text(at).to_lowercase() == lower)
    };
    if siblings.iter().any(same) {
        return Err(Failure::general(
            409,
            format!("Cannot create '{}'. The name '{name}' already exists in the folder.", kind.title()),
        ));
    }
    Ok(())
}

/// Fills in what a new row lacks.
pub(super) fn complete(
    desk: &mut Desk<'_>,
    call: &Call<'_>,
    kind: Kind,
    row: &mut Row,
) -> Result<(), Failure> {
    let default = |row: &mut Row, name: &str, value: Value| {
        let at = kind.at(name);
        if row.get(at).is_none() {
            row.set(at, Some(value));
        }
    };
    let (today, clock) = (Value::Num(time::day(call.now)), Value::text(time::time_text(call.now)));
    let text = |text: &str| Value::text(text);
    let login = Value::text(call.login());
    match kind {
        Kind::Test => {
            default(row, "creation-time", today);
            default(row, "exec-status", text("No Run"));
        }
        Kind::TestFolder | Kind::TestSetFolder => default(row, "parent-id", Value::Num(0)),
        Kind::Requirement => {
            default(row, "parent-id", Value::Num(0));
            default(row, "creation-time", today);
            default(row, "req-time", clock);
            default(row, "owner", login);
            default(row, "has-rich-content", text("N"));
        }
        Kind::TestSet => {
            default(row, "parent-id", Value::Num(0));
            default(row, "status", text("Open"));
            default(row, "open-date", today);
        }
        Kind::TestConfig => {
            default(row, "creation-time", today);
            default(row, "owner", login);
            default(row, "exec-status", text("No Run"));
        }
        Kind::DesignStep | Kind::RunStep => complete_step(desk, call, kind, row),
        Kind::TestInstance => complete_instance(desk, row),
        Kind::Run => complete_run(desk, call, row),
        Kind::Defect => default(row, "status", text("New")),
        Kind::Coverage => {
            default(row, "entity-type", text("test"));
            default(row, "coverage-mode", text("All Configurations"));
        }
        Kind::DefectLink => {
            default(row, "owner", login);
            default(row, "creation-time", today);
        }
        Kind::Attachment | Kind::ReleaseFolder | Kind::Release | Kind::ReleaseCycle => {}
    }
    match kind {
        Kind::ReleaseCycle => check_cycle(desk, row),
        Kind::TestFolder | Kind::TestSetFolder | Kind::Requirement => {
            let order = siblings_max(desk, kind, row, "order-id") + 1;
            row.set(kind.at("order-id"), Some(Value::Num(order)));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Gives a step its place, and a step of a run its status and time.
fn complete_step(desk: &Desk<'_>, call: &Call<'_>, kind: Kind, row: &mut Row) {
    let order = siblings_max(desk, kind, row, "step-order") + 1;
    let mut default = |name: &str, value: Value| {
        if row.get(kind.at(name)).is_none() {
            row.set(kind.at(name), Some(value));
        }
    };
    default("step-order", Value::Num(order));
    if kind == Kind::DesignStep {
        default("name", Value::text(format!("Step {order}")));
        return;
    }
    default("status", Value::text("No Run"));
    default("execution-date", Value::Num(time::day(call.now)));
    default("execution-time", Value::text(time::time_text(call.now)));
}

fn check_cycle(desk: &Desk<'_>, row: &Row) -> Result<(), Failure> {
    let release =
        desk.project.row_at(Kind::Release, row.num(Kind::ReleaseCycle.at("parent-id")).unwrap_or(-1));
    let date = |row: &Row, kind: Kind, name: &str| row.num(kind.at(name)).unwrap_or(0);
    let within = release.is_some_and(|release| {
        date(release, Kind::Release, "start-date") <= date(row, Kind::ReleaseCycle, "start-date")
            && date(row, Kind::ReleaseCycle, "end-date") <= date(release, Kind::Release, "end-date")
    });
    if within {
        Ok(())
    } else {
        Err(Failure::general(500, "The dates of the cycle are not within the dates of its release."))
    }
}

fn siblings_max(desk: &Desk<'_>, kind: Kind, row: &Row, field: &str) -> i64 {
    let parent = row.num(kind.at("parent-id")).unwrap_or(-1);
    let siblings = desk.project.indexed(kind, kind.at("parent-id"), parent).unwrap_or_default();
    let of = |id: &u32| desk.project.row(kind, *id).and_then(|r| r.num(kind.at(field)));
    siblings.iter().filter_map(of).max().unwrap_or(0)
}

fn complete_instance(desk: &Desk<'_>, row: &mut Row) {
    let kind = Kind::TestInstance;
    let set = row.num(kind.at("cycle-id")).and_then(|s| u32::try_from(s).ok()).unwrap_or(0);
    let test = row.num(kind.at("test-id")).and_then(|t| u32::try_from(t).ok()).unwrap_or(0);
    let in_set: Vec<&Row> = desk
        .project
        .children(kind, "cycle-id", set)
        .into_iter()
        .filter_map(|i| desk.project.row(kind, i))
        .collect();
    let same = in_set.iter().filter(|r| r.num(kind.at("test-id")) == Some(i64::from(test)));
    let ordinal = same.filter_map(|r| r.num(kind.at("test-instance"))).max().unwrap_or(0) + 1;
    let order = in_set.iter().filter_map(|r| r.num(kind.at("order-id"))).max().unwrap_or(0) + 1;
    row.set(kind.at("test-instance"), Some(Value::Num(ordinal)));
    let mut default = |name: &str, value: Option<Value>| {
        if row.get(kind.at(name)).is_none() {
            row.set(kind.at(name), value);
        }
    };
    let config = desk.project.children(Kind::TestConfig, "parent-id", test).first().copied();
    default("test-config-id", config.map(|c| Value::Num(i64::from(c))));
    default("order-id", Some(Value::Num(order)));
    default("status", Some(Value::text("No Run")));
    let subtype =
        desk.project.row(Kind::Test, test).map_or("MANUAL", |t| t.text(Kind::Test.at("subtype-id")));
    default("subtype-id", Some(Value::text(format!("hp.qc.test-instance.{}", lab_type(subtype)))));
}

/// The part of a test's type in the types of its instances and runs.
pub(super) fn lab_type(subtype: &str) -> &str {
    if subtype == "EXTERNAL-TEST" { "external-test" } else { subtype }
}

fn complete_run(desk: &Desk<'_>, call: &Call<'_>, row: &mut Row) {
    let kind = Kind::Run;
    let instance = desk.project.row_at(Kind::TestInstance, row.num(kind.at("testcycl-id")).unwrap_or(-1));
    let of = |name: &str| instance.and_then(|i| i.get(Kind::TestInstance.at(name))).cloned();
    let (config, ordinal) = (of("test-config-id"), of("test-instance"));
    let mut default = |name: &str, value: Option<Value>| {
        if row.get(kind.at(name)).is_none() {
            row.set(kind.at(name), value);
        }
    };
    default("test-config-id", config);
    default("test-instance", ordinal);
    default("status", Some(Value::text("No Run")));
    default("subtype-id", Some(Value::text("hp.qc.run.MANUAL")));
    default("execution-date", Some(Value::Num(time::day(call.now))));
    default("execution-time", Some(Value::text(time::time_text(call.now))));
    default("draft", Some(Value::text("N")));
    default("duration", Some(Value::Num(0)));
    // The names are shown by way of their ids.
    for shadow in ["test-name", "cycle-name", "testcycl-name"] {
        row.set(kind.at(shadow), None);
    }
}

/// What follows from a create.
pub(super) fn created(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, id: u32) {
    let Some(row) = desk.project.row(kind, id).cloned() else { return };
    match kind {
        Kind::Test => {
            let config = Kind::TestConfig;
            let mut fields = vec![
                (config.at("name"), Value::text(row.text(kind.at("name")))),
                (config.at("parent-id"), Value::Num(i64::from(id))),
                (config.at("creation-time"), Value::Num(time::day(call.now))),
                (config.at("owner"), Value::text(call.login())),
                (config.at("exec-status"), Value::text("No Run")),
            ];
            fields.retain(|(_, v)| *v != Value::text(""));
            let mut config_row = Row::of(fields);
            write::stamp(config, &mut config_row, call.now, true);
            let new = desk.project.take_id(config);
            desk.project.put(config, new, config_row);
        }
        Kind::DesignStep => touch_test(desk, &row),
        _ => {}
    }
}

/// A change of a step raises the version of its test.
pub(super) fn touch_test(desk: &mut Desk<'_>, step: &Row) {
    let test = step.num(Kind::DesignStep.at("parent-id")).and_then(|t| u32::try_from(t).ok());
    let Some(id) = test else { return };
    let version = Kind::Test.at("ver-stamp");
    let Some(old) = desk.project.row(Kind::Test, id).and_then(|r| r.num(version)) else { return };
    desk.project.edit(Kind::Test, id, vec![(version, Some(Value::Num(old + 1)))]);
}

/// What follows from a change.
pub(super) fn updated(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, id: u32, given: &Fields) {
    let Some(row) = desk.project.row(kind, id).cloned() else { return };
    let changed = |name: &str| kind.find(name).is_some_and(|at| given.iter().any(|(f, _)| *f == at));
    match kind {
        Kind::Run if changed("status") => show_run(desk, call, id, &row),
        Kind::TestInstance if changed("status") => fast_run(desk, call, id, &row),
        Kind::DesignStep => touch_test(desk, &row),
        Kind::Requirement if changed("req-rich-content") => {
            let flag = if row.text(kind.at("req-rich-content")).is_empty() { "N" } else { "Y" };
            desk.project.edit(kind, id, vec![(kind.at("has-rich-content"), Some(Value::text(flag)))]);
        }
        _ => {}
    }
}

/// Shows the status of a run on its instance, its configuration and its test; an older run than the
/// newest shows nowhere.
fn show_run(desk: &mut Desk<'_>, call: &Call<'_>, id: u32, run: &Row) {
    let of = |name: &str| run.num(Kind::Run.at(name)).and_then(|n| u32::try_from(n).ok());
    let (Some(instance), Some(test)) = (of("testcycl-id"), of("test-id")) else { return };
    let newest = desk.project.children(Kind::Run, "testcycl-id", instance).last() == Some(&id);
    if !newest {
        return;
    }
    let status = run.get(Kind::Run.at("status")).cloned();
    let at = Kind::TestInstance;
    let fields = vec![
        (at.at("status"), status.clone()),
        (at.at("exec-date"), run.get(Kind::Run.at("execution-date")).cloned()),
        (at.at("exec-time"), run.get(Kind::Run.at("execution-time")).cloned()),
        (at.at("actual-tester"), run.get(Kind::Run.at("owner")).cloned()),
    ];
    desk.project.edit(at, instance, fields);
    restamp(desk, at, instance, call.now);
    show_status(desk, test, of("test-config-id"), status);
}

fn restamp(desk: &mut Desk<'_>, kind: Kind, id: u32, now: i64) {
    let Some(mut row) = desk.project.row(kind, id).cloned() else { return };
    write::stamp(kind, &mut row, now, false);
    desk.project.put(kind, id, row);
}

fn show_status(desk: &mut Desk<'_>, test: u32, config: Option<u32>, status: Option<Value>) {
    desk.project.edit(Kind::Test, test, vec![(Kind::Test.at("exec-status"), status.clone())]);
    if let Some(config) = config {
        desk.project.edit(Kind::TestConfig, config, vec![(Kind::TestConfig.at("exec-status"), status)]);
    }
}

/// A status that is set on an instance makes a run of its own, with a copy of the steps.
fn fast_run(desk: &mut Desk<'_>, call: &Call<'_>, id: u32, instance: &Row) {
    let of = Kind::TestInstance;
    let status = instance.text(of.at("status")).to_owned();
    if status == "No Run" || status.is_empty() {
        return;
    }
    let test = instance.num(of.at("test-id")).and_then(|t| u32::try_from(t).ok()).unwrap_or(0);
    let subtype = instance.text(of.at("subtype-id")).replace("hp.qc.test-instance.", "hp.qc.run.");
    let run = Kind::Run;
    let copied = |name: &str| instance.get(of.at(name)).cloned();
    let fields = vec![
        (run.at("name"), Some(Value::text(time::moment(call.now, "Fast_Run_%-m-%-d_%H-%M-%S")))),
        (run.at("test-id"), copied("test-id")),
        (run.at("cycle-id"), copied("cycle-id")),
        (run.at("testcycl-id"), Some(Value::Num(i64::from(id)))),
        (run.at("test-config-id"), copied("test-config-id")),
        (run.at("test-instance"), copied("test-instance")),
        (run.at("status"), Some(Value::text(status.as_str()))),
        (run.at("owner"), Some(Value::text(call.login()))),
        (run.at("subtype-id"), Some(Value::text(subtype))),
        (run.at("execution-date"), Some(Value::Num(time::day(call.now)))),
        (run.at("execution-time"), Some(Value::text(time::time_text(call.now)))),
        (run.at("duration"), Some(Value::Num(0))),
        (run.at("draft"), Some(Value::text("N"))),
    ];
    let mut row = Row::of(fields.into_iter().filter_map(|(f, v)| Some((f, v?))).collect());
    write::stamp(run, &mut row, call.now, true);
    let number = desk.project.take_id(run);
    desk.project.put(run, number, row);
    copy_steps(desk, call, test, number);
    let shown = vec![
        (of.at("exec-date"), Some(Value::Num(time::day(call.now)))),
        (of.at("exec-time"), Some(Value::text(time::time_text(call.now)))),
        (of.at("actual-tester"), Some(Value::text(call.login()))),
    ];
    desk.project.edit(of, id, shown);
    let config = instance.num(of.at("test-config-id")).and_then(|c| u32::try_from(c).ok());
    show_status(desk, test, config, Some(Value::text(status)));
}

fn copy_steps(desk: &mut Desk<'_>, call: &Call<'_>, test: u32, run: u32) {
    let (from, to) = (Kind::DesignStep, Kind::RunStep);
    let mut steps = desk.project.children(from, "parent-id", test);
    steps.sort_by_key(|s| desk.project.row(from, *s).and_then(|r| r.num(from.at("step-order"))));
    for step in steps {
        let Some(source) = desk.project.row(from, step) else { continue };
        let mut fields: Vec<(u8, Value)> = ["name", "description", "expected", "step-order"]
            .into_iter()
            .filter_map(|name| Some((to.at(name), source.get(from.at(name))?.clone())))
            .collect();
        fields.extend([
            (to.at("parent-id"), Value::Num(i64::from(run))),
            (to.at("desstep-id"), Value::Num(i64::from(step))),
            (to.at("test-id"), Value::Num(i64::from(test))),
            (to.at("status"), Value::text("No Run")),
            (to.at("execution-date"), Value::Num(time::day(call.now))),
            (to.at("execution-time"), Value::text(time::time_text(call.now))),
        ]);
        let id = desk.project.take_id(to);
        desk.project.put(to, id, Row::of(fields));
    }
}
