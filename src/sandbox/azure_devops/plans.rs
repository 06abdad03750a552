//! Test plans of the testplan area.

use serde_json::{Map, Value as Json, json};

use super::fields::F;
use super::http::{Answer, Call, Failure, Reply, text};
use super::items::Change;
use super::links::Stamp;
use super::state::State;
use super::suites::{NewSuite, Plan, SuiteKind};
use super::types::TypeDef;
use super::value::{Millis, Value, iso, parse_date};

/// The page size of the lists of the testplan area.
pub(super) const PAGE: usize = 200;
/// How long a plan lasts unless told: seven days.
const WEEK: Millis = 7 * 86_400_000;
/// How long a name may be.
const MAX_NAME: usize = 255;

/// The members that are kept as they were sent.
const SETTINGS: [&str; 5] = [
    "buildId",
    "buildDefinition",
    "releaseEnvironmentDefinition",
    "testOutcomeSettings",
    "actualTestResultSettings",
];

/// The stamp of a call.
pub(super) fn stamp(call: &Call) -> Stamp {
    Stamp { by: call.user, at: call.now, own: true }
}

/// The token of the next page: opaque, and with a character that must be encoded.
pub(super) fn token(last: u32, page: usize) -> String {
    format!("{last};{page}")
}

/// What a token says it is the end of; zero without one.
pub(super) fn after(call: &Call) -> Result<u32, Failure> {
    match call.q("continuationtoken") {
        None => Ok(0),
        Some(token) => token
            .split(';')
            .next()
            .and_then(|t| t.parse().ok())
            .ok_or_else(|| Failure::property(format!("The continuation token '{token}' is not valid."))),
    }
}

/// Cuts one page out of ids in ascending order.
pub(super) fn page(ids: impl Iterator<Item = u32>, after: u32) -> (Vec<u32>, Option<String>) {
    let mut page: Vec<u32> = ids.skip_while(|id| *id <= after).take(PAGE + 1).collect();
    let more = page.len() > PAGE;
    page.truncate(PAGE);
    let token = page.last().filter(|_| more).map(|last| token(*last, PAGE));
    (page, token)
}

/// The refusal for a plan that is not there.
pub(super) fn no_plan(id: u32) -> Failure {
    Failure::no_test_object(format!("Test plan {id} not found."))
}

/// The plan of a call's path.
pub(super) fn plan_id(state: &State, call: &Call) -> Result<u32, Failure> {
    let project = state.scope(call)?;
    let id = call.id("planId")?;
    let held = state.plans.contains_key(&id) && state.project_of(id) == project;
    if held { Ok(id) } else { Err(no_plan(id)) }
}

impl State {
    /// Creates a plan with its root suite under two ids.
    pub(super) fn add_plan_at(
        &mut self,
        plan: u32,
        root: u32,
        project: u16,
        owner: u32,
        fields: Vec<(u16, Option<Value>)>,
        stamp: Stamp,
    ) {
        self.items.insert(plan, super::write::blank(project, "Test Plan".into(), stamp.at, stamp.by));
        self.commit(plan, Change { fields, by: stamp.by, at: stamp.at, ..Change::default() });
        self.plans.insert(plan, Plan { root, owner: Some(owner), settings: Map::new() });
        let new = NewSuite {
            plan,
            parent: None,
            kind: SuiteKind::Static,
            name: self.title(plan).to_owned(),
            requirement: None,
            query: None,
            inherit: false,
            configurations: Vec::new(),
            testers: Vec::new(),
        };
        self.add_suite_at(root, new, stamp);
    }
}

/// A plan; without details it lacks dates, people and settings.
pub(super) fn show(state: &State, base: &str, id: u32, details: bool) -> Json {
    let (plan, item) = (&state.plans[&id], &state.items[&id]);
    let project = state.project(item.project);
    let home = format!("{base}/{}", super::json::encode(&project.name));
    let (at, by) = item.changed();
    let path = |f: F| match item.get(f) {
        Some(Value::Node(node)) => state.node_path(*node),
        _ => String::new(),
    };
    let name = item.text(F::Title);
    let mut body = json!({"id": id, "project": state.plan_project(base, item.project)});
    if details {
        body["updatedDate"] = json!(iso(at));
        body["updatedBy"] = state.person(base, by);
    }
    body["rootSuite"] = json!({"id": plan.root, "name": name});
    body["_links"] = json!({
        "_self": {"href": format!("{home}/_apis/test/Plans/{id}")},
        "clientUrl": {"href": format!("mtms://{}/p:{}/Testing/testplan/connect?id={id}", base.trim_start_matches("http://"), project.name)},
        "rootSuite": {"href": format!("{home}/_apis/test/Plans/{id}/Suites/{}", plan.root)},
    });
    body["revision"] = json!(if details { item.rev() } else { 0 });
    body["name"] = json!(name);
    body["areaPath"] = json!(path(F::AreaPath));
    if details {
        if !item.text(F::Description).is_empty() {
            body["description"] = json!(item.text(F::Description));
        }
        for (member, field) in [("startDate", F::StartDate), ("endDate", F::FinishDate)] {
            if let Some(date) = item.date(field) {
                body[member] = json!(iso(date));
            }
        }
    }
    body["iteration"] = json!(path(F::IterationPath));
    if let Some(owner) = plan.owner.filter(|_| details) {
        body["owner"] = state.person(base, owner);
    }
    body["state"] = json!(item.text(F::State));
    if details {
        for (name, value) in &plan.settings {
            body[name] = value.clone();
        }
        if !plan.settings.contains_key("testOutcomeSettings") {
            body["testOutcomeSettings"] = json!({"syncOutcomeAcrossSuites": false});
        }
    } else if let Some(build) = plan.settings.get("buildId") {
        body["buildId"] = build.clone();
    }
    body
}

/// `GET plans`.
pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let owner = call.q("owner").map(|o| state.find_person(o));
    let active = call.flag("filteractiveplans");
    let wanted = |id: &u32| {
        let item = &state.items[id];
        item.project == project
            && owner.is_none_or(|o| o.is_some() && state.plans[id].owner == o)
            && (!active || item.text(F::State).eq_ignore_ascii_case("Active"))
    };
    let (ids, token) = page(state.plans.keys().copied().filter(wanted), after(call)?);
    let details = call.flag("includeplandetails");
    Ok(Reply::list(ids.iter().map(|&id| show(state, &call.base, id, details)).collect()).with_token(token))
}

/// `GET plans/{planId}`.
pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    let id = plan_id(state, call)?;
    Ok(Reply::ok(show(state, &call.base, id, true)))
}

fn date_of(body: &Json, name: &str) -> Result<Option<Millis>, Failure> {
    match body.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => value
            .as_str()
            .and_then(parse_date)
            .map(Some)
            .ok_or_else(|| Failure::property(format!("The value of {name} must be a date."))),
    }
}

/// A checked name of a plan or suite.
pub(super) fn name_of(name: &str) -> Result<&str, Failure> {
    let name = name.trim();
    if name.is_empty() {
        return Err(Failure::null("name"));
    }
    if name.chars().count() > MAX_NAME {
        return Err(Failure::property(format!("The name must not be longer than {MAX_NAME} characters.")));
    }
    Ok(name)
}

/// The person that a member refers to.
pub(super) fn person_of(state: &State, value: &Json) -> Option<u32> {
    match value {
        Json::String(text) => state.find_person(text),
        Json::Object(_) => ["id", "descriptor", "uniqueName", "displayName"]
            .iter()
            .find_map(|n| value.get(*n).and_then(Json::as_str))
            .and_then(|t| state.find_person(t)),
        _ => None,
    }
}

fn path_of(state: &State, project: u16, iteration: bool, path: &str) -> Result<Value, Failure> {
    state.find_node(project, iteration, path).map(Value::Node).ok_or_else(|| {
        let field = if iteration { "System.IterationPath" } else { "System.AreaPath" };
        Failure::new(
            400,
            "WorkItemInvalidTreeNameException",
            format!("TF401347: Invalid tree name given for work item -1, field '{field}'."),
        )
    })
}

/// The fields of the plan's work item that a body sets.
fn fields_of(state: &State, project: u16, body: &Json) -> Result<Vec<(u16, Option<Value>)>, Failure> {
    let mut fields = Vec::new();
    if let Some(name) = text(body, "name") {
        fields.push((F::Title as u16, Some(Value::text(name_of(name)?))));
    }
    let area = text(body, "areaPath").or_else(|| body.get("area").and_then(|a| text(a, "name")));
    if let Some(path) = area.filter(|p| !p.is_empty()) {
        fields.push((F::AreaPath as u16, Some(path_of(state, project, false, path)?)));
    }
    if let Some(path) = text(body, "iteration").filter(|p| !p.is_empty()) {
        fields.push((F::IterationPath as u16, Some(path_of(state, project, true, path)?)));
    }
    if let Some(description) = text(body, "description") {
        let value = (!description.is_empty()).then(|| Value::text(description));
        fields.push((F::Description as u16, value));
    }
    for (member, field) in [("startDate", F::StartDate), ("endDate", F::FinishDate)] {
        if let Some(date) = date_of(body, member)? {
            fields.push((field as u16, Some(Value::Date(date))));
        }
    }
    Ok(fields)
}

fn put_state(
    kind: &TypeDef,
    fields: &mut Vec<(u16, Option<Value>)>,
    old: &str,
    new: &str,
    at: Millis,
) -> Result<(), Failure> {
    let state = kind.state(new).ok_or_else(|| {
        Failure::property(format!("The state '{new}' is not valid: Active or Inactive is expected."))
    })?;
    if state.name.eq_ignore_ascii_case(old) {
        return Ok(());
    }
    fields.push((F::State as u16, Some(Value::text(state.name.as_str()))));
    if let Some(reason) = kind.reason(old, new) {
        fields.push((F::Reason as u16, Some(Value::text(reason))));
    }
    fields.push((F::StateChangeDate as u16, Some(Value::Date(at))));
    Ok(())
}

fn check_span(start: Option<Millis>, end: Option<Millis>) -> Result<(), Failure> {
    if start.zip(end).is_some_and(|(start, end)| end < start) {
        return Err(Failure::property("The end date of the plan must not lie before its start date."));
    }
    Ok(())
}

/// `POST plans`.
pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let body = call.object()?;
    let id = create_from(state, call, project, &body)?;
    Ok(Reply::ok(show(state, &call.base, id, true)))
}

/// Creates a plan as a body says.
pub(super) fn create_from(state: &mut State, call: &Call, project: u16, body: &Json) -> Result<u32, Failure> {
    text(body, "name").ok_or_else(|| Failure::null("name"))?;
    let given = fields_of(state, project, body)?;
    let start = date_of(body, "startDate")?.unwrap_or(call.now);
    let end = date_of(body, "endDate")?.unwrap_or(start + WEEK);
    check_span(Some(start), Some(end))?;
    let mut fields = vec![
        (F::State as u16, Some(Value::text("Active"))),
        (F::Reason as u16, Some(Value::text("New test plan"))),
        (F::AreaPath as u16, Some(Value::Node(state.root(project, false)))),
        (F::IterationPath as u16, Some(Value::Node(state.root(project, true)))),
        (F::StartDate as u16, Some(Value::Date(start))),
        (F::FinishDate as u16, Some(Value::Date(end))),
        (F::StateChangeDate as u16, Some(Value::Date(call.now))),
    ];
    fields.extend(given);
    if let Some(wanted) = text(body, "state").filter(|s| !s.is_empty()) {
        let kind = state.find_type(project, "Test Plan").ok_or_else(|| super::write::no_type("Test Plan"))?;
        put_state(kind, &mut fields, "Active", wanted, call.now)?;
    }
    // Later values win: the list is applied in order.
    let owner = body.get("owner").and_then(|o| person_of(state, o)).unwrap_or(call.user);
    let (id, root) = (state.take_item_id(), state.take_item_id());
    state.add_plan_at(id, root, project, owner, fields, stamp(call));
    if let Some(plan) = state.plans.get_mut(&id) {
        put_settings(plan, body);
    }
    Ok(id)
}

fn put_settings(plan: &mut Plan, body: &Json) {
    for name in SETTINGS {
        match body.get(name) {
            None => {}
            Some(Json::Null) => drop(plan.settings.shift_remove(name)),
            Some(value) => drop(plan.settings.insert(name.to_owned(), value.clone())),
        }
    }
}

/// `PATCH plans/{planId}`: only what is sent changes.
pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let id = plan_id(state, call)?;
    let body = call.object()?;
    update_from(state, call, id, &body)?;
    Ok(Reply::ok(show(state, &call.base, id, true)))
}

/// Updates a plan as a body says.
pub(super) fn update_from(state: &mut State, call: &Call, id: u32, body: &Json) -> Result<(), Failure> {
    let item = &state.items[&id];
    check_revision(body, item.rev(), "plan", id)?;
    let mut fields = fields_of(state, item.project, body)?;
    let date = |f: F| {
        let sent = fields.iter().rev().find(|(n, _)| *n == f as u16).and_then(|(_, v)| v.as_ref());
        match sent {
            Some(Value::Date(at)) => Some(*at),
            _ => item.date(f),
        }
    };
    check_span(date(F::StartDate), date(F::FinishDate))?;
    if let Some(wanted) = text(body, "state").filter(|s| !s.is_empty()) {
        let kind = state.type_of(item).ok_or_else(|| super::write::no_type("Test Plan"))?;
        put_state(kind, &mut fields, item.text(F::State), wanted, call.now)?;
    }
    let owner = body.get("owner").and_then(|o| person_of(state, o));
    let force = owner.is_some() || SETTINGS.iter().any(|s| body.get(*s).is_some_and(|v| !v.is_null()));
    state.commit(id, Change { fields, force, by: call.user, at: call.now, ..Change::default() });
    if let Some(plan) = state.plans.get_mut(&id) {
        put_settings(plan, body);
        plan.owner = owner.or(plan.owner);
    }
    super::suites::item_changed(state, id, stamp(call));
    Ok(())
}

/// Refuses a stale revision; none and zero are not checked.
pub(super) fn check_revision(body: &Json, current: u32, noun: &str, id: u32) -> Result<(), Failure> {
    let sent = body.get("revision").and_then(Json::as_u64).filter(|r| *r > 0);
    if sent.is_some_and(|sent| sent != u64::from(current)) {
        let message = format!(
            "TF26071: The test {noun} {id} has been changed by someone else since you opened it. You will need to refresh it and discard your changes."
        );
        return Err(Failure::new(409, "TestObjectUpdatedException", message));
    }
    Ok(())
}

/// `DELETE plans/{planId}`: with its suites; cases survive.
pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    let id = plan_id(state, call)?;
    let root = state.plans[&id].root;
    let suites = state.subtree(root);
    state.delete_suites(&suites, stamp(call));
    state.plans.remove(&id);
    state.destroy(id, stamp(call));
    Ok(Reply::none())
}
