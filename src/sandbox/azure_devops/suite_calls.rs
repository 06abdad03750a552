//! Test suites of the testplan area: tree, create, rename, move, delete, order.

use serde_json::{Value as Json, json};

use super::fields::F;
use super::http::{Answer, Call, Failure, Reply, ref_id, text};
use super::items::Change;
use super::plans::{self, name_of, person_of, plan_id, stamp};
use super::state::State;
use super::suites::{NewSuite, Suite, SuiteKind};
use super::types::TEST_TYPES;
use super::value::{UNSET, Value, iso, same};
use super::wiql::Context;

/// How a suite is shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct View {
    pub(super) children: bool,
    pub(super) testers: bool,
    pub(super) tree: bool,
}

impl View {
    fn of(call: &Call) -> Self {
        let words = call.q("expand").unwrap_or_default().to_lowercase();
        let number: u32 = words.trim().parse().unwrap_or(0);
        Self {
            children: words.contains("children") || number & 1 == 1,
            testers: words.contains("defaulttesters") || number & 2 == 2,
            tree: call.flag("astreeview"),
        }
    }
}

/// A suite.
pub(super) fn show(state: &State, base: &str, id: u32, view: View) -> Json {
    let (suite, item) = (&state.suites[&id], &state.items[&id]);
    let project = state.project(item.project);
    let home = format!("{base}/{}/_apis", super::json::encode(&project.name));
    let (at, by) = item.changed();
    let reference = |id: u32| json!({"id": id, "name": state.title(id)});
    let mut body =
        json!({"id": id, "revision": item.rev(), "project": state.plan_project(base, item.project)});
    body["lastUpdatedBy"] = state.person(base, by);
    body["lastUpdatedDate"] = json!(iso(at));
    if suite.populated != UNSET {
        body["lastPopulatedDate"] = json!(iso(suite.populated));
    }
    body["plan"] = if view.tree {
        json!({"id": suite.plan, "name": suite.plan.to_string()})
    } else {
        reference(suite.plan)
    };
    if view.tree {
        if !suite.children.is_empty() {
            body["children"] = suite.children.iter().map(|&c| show(state, base, c, view)).collect();
        }
    } else if view.children {
        let below = View { children: false, ..view };
        body["children"] = suite.children.iter().map(|&c| show(state, base, c, below)).collect();
    }
    let plan = suite.plan;
    body["_links"] = json!({
        "_self": {"href": format!("{home}/testplan/Plans/{plan}/Suites/{id}")},
        "testCases": {"href": format!("{home}/testplan/Plans/{plan}/Suites/{id}/TestCase")},
        "testPoints": {"href": format!("{home}/testplan/Plans/{plan}/Suites/{id}/TestPoint")},
    });
    body["suiteType"] = json!(suite.kind.name());
    if let Some(requirement) = suite.requirement {
        body["requirementId"] = json!(requirement);
    }
    body["name"] = json!(item.text(F::Title));
    if let Some(parent) = suite.parent {
        body["parentSuite"] = reference(parent);
    }
    if let Some(query) = &suite.query {
        body["queryString"] = json!(query);
    }
    body["inheritDefaultConfigurations"] = json!(suite.inherit);
    if !suite.inherit {
        let named =
            |c: u32| json!({"id": c, "name": state.configurations.get(&c).map_or("", |c| c.name.as_str())});
        body["defaultConfigurations"] = state.effective(id).into_iter().map(named).collect();
    }
    if view.testers || !suite.testers.is_empty() {
        body["defaultTesters"] = suite.testers.iter().map(|&t| state.person(base, t)).collect();
    }
    body["hasChildren"] = json!(!suite.children.is_empty());
    body
}

/// The refusal for a suite that is not there.
pub(super) fn no_suite(id: u32) -> Failure {
    Failure::no_test_object(format!("Test suite {id} not found."))
}

/// The plan and suite of a call's path.
pub(super) fn suite_id(state: &State, call: &Call) -> Result<(u32, u32), Failure> {
    let plan = plan_id(state, call)?;
    let id = call.id("suiteId")?;
    match state.suites.get(&id) {
        Some(suite) if suite.plan == plan => Ok((plan, id)),
        _ => Err(no_suite(id)),
    }
}

/// `GET Plans/{planId}/suites`.
pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    let plan = plan_id(state, call)?;
    let view = View::of(call);
    let root = state.plans[&plan].root;
    if view.tree {
        return Ok(Reply::list(vec![show(state, &call.base, root, view)]));
    }
    let mut ids = state.subtree(root);
    ids.sort_unstable();
    let (ids, token) = plans::page(ids.into_iter(), plans::after(call)?);
    Ok(Reply::list(ids.iter().map(|&id| show(state, &call.base, id, view)).collect()).with_token(token))
}

/// `GET Plans/{planId}/suites/{suiteId}`.
pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    let (_, id) = suite_id(state, call)?;
    Ok(Reply::ok(show(state, &call.base, id, View::of(call))))
}

/// `GET {org}/_apis/testplan/suites?testCaseId=`: the suites of all plans that hold a case.
pub(super) fn by_case(state: &mut State, call: &Call) -> Answer {
    let case = call
        .number("testcaseid")?
        .and_then(|c| u32::try_from(c).ok())
        .ok_or_else(|| Failure::null("testCaseId"))?;
    let ids: Vec<u32> = state.index.suites_of.get(&case).into_iter().flatten().copied().collect();
    Ok(Reply::list(ids.iter().map(|&id| show(state, &call.base, id, View::default())).collect()))
}

fn check_sibling(state: &State, parent: u32, name: &str, but: Option<u32>) -> Result<(), Failure> {
    let twin =
        |c: &u32| Some(*c) != but && state.suites[c].kind == SuiteKind::Static && same(state.title(*c), name);
    if state.suites[&parent].children.iter().any(twin) {
        let message = format!(
            "There is already a test suite with the name '{name}' in the suite '{}'. Specify another name.",
            state.title(parent)
        );
        return Err(Failure::new(409, "TestObjectDuplicateException", message));
    }
    Ok(())
}

fn configurations_of(state: &State, project: u16, body: &Json) -> Result<Option<Vec<u32>>, Failure> {
    let Some(list) = body.get("defaultConfigurations").and_then(Json::as_array) else { return Ok(None) };
    let known = |c: &Json| {
        let id = ref_id(c).unwrap_or(0);
        match state.configurations.get(&id) {
            Some(held) if held.project == project => Ok(id),
            _ => Err(Failure::no_test_object(format!("Test configuration {id} not found."))),
        }
    };
    list.iter().map(known).collect::<Result<Vec<_>, _>>().map(Some)
}

fn testers_of(state: &State, body: &Json) -> Option<Vec<u32>> {
    let list = body.get("defaultTesters").and_then(Json::as_array)?;
    Some(list.iter().filter_map(|t| person_of(state, t)).collect())
}

fn check_query(state: &State, call: &Call, project: u16, query: &str) -> Result<(), Failure> {
    let parsed = super::wiql::parse(query)?;
    let context = Context { project: Some(project), user: call.user, now: call.now, precise: false };
    super::wiql::check_suite_query(state, &parsed, context)
}

/// Creates a suite below a parent as a body says.
pub(super) fn create_from(
    state: &mut State,
    call: &Call,
    plan: u32,
    parent: u32,
    body: &Json,
) -> Result<u32, Failure> {
    let project = state.project_of(plan);
    match state.suites.get(&parent) {
        Some(held) if held.plan == plan && held.kind == SuiteKind::Static => {}
        Some(held) if held.plan == plan => {
            return Err(Failure::property(format!(
                "Only static suites can hold suites: suite {parent} is not static."
            )));
        }
        _ => return Err(no_suite(parent)),
    }
    let kind = body.get("suiteType").ok_or_else(|| Failure::null("suiteType"))?;
    let kind = SuiteKind::parse(kind)
        .ok_or_else(|| Failure::property(format!("The suite type {kind} is not valid.")))?;
    let mut new = NewSuite {
        plan,
        parent: Some(parent),
        kind,
        name: text(body, "name").unwrap_or_default().to_owned(),
        requirement: None,
        query: None,
        inherit: body.get("inheritDefaultConfigurations").and_then(Json::as_bool).unwrap_or(true),
        configurations: configurations_of(state, project, body)?.unwrap_or_default(),
        testers: testers_of(state, body).unwrap_or_default(),
    };
    if !new.configurations.is_empty() && body.get("inheritDefaultConfigurations").is_none() {
        new.inherit = false;
    }
    match kind {
        SuiteKind::Static => new.name = name_of(&new.name)?.to_owned(),
        SuiteKind::Query => {
            new.name = name_of(&new.name)?.to_owned();
            let query = text(body, "queryString").ok_or_else(|| Failure::null("queryString"))?;
            check_query(state, call, project, query)?;
            new.query = Some(query.to_owned());
        }
        SuiteKind::Requirement => {
            let id =
                body.get("requirementId").and_then(ref_id).ok_or_else(|| Failure::null("requirementId"))?;
            let item = state.live(id).ok_or_else(|| Failure::no_item(id))?;
            if TEST_TYPES.contains(&&*item.kind) {
                return Err(Failure::property(format!("Work item {id} is not a requirement.")));
            }
            new.name = state.requirement_name(id);
            new.requirement = Some(id);
        }
    }
    if kind == SuiteKind::Static {
        check_sibling(state, parent, &new.name, None)?;
    }
    let name = new.name.clone();
    let id = state.add_suite(new, stamp(call));
    state.audit(parent, &format!("Added the test suite {id}: {name}"), stamp(call));
    Ok(id)
}

/// `POST Plans/{planId}/suites`.
pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    let plan = plan_id(state, call)?;
    let body = call.object()?;
    let parent = match body.get("parentSuite") {
        Some(parent) if !parent.is_null() => ref_id(parent).ok_or_else(|| Failure::null("parentSuite.id"))?,
        _ => state.plans[&plan].root,
    };
    let id = create_from(state, call, plan, parent, &body)?;
    Ok(Reply::ok(show(state, &call.base, id, View::default())))
}

/// `POST Plans/{planId}/suites/{suiteId}/bulk`: requirement suites below a parent.
pub(super) fn create_many(state: &mut State, call: &Call) -> Answer {
    let (plan, parent) = suite_id(state, call)?;
    let bodies = call.array()?;
    let ids =
        bodies.iter().map(|b| create_from(state, call, plan, parent, b)).collect::<Result<Vec<_>, _>>()?;
    Ok(Reply::list(ids.iter().map(|&id| show(state, &call.base, id, View::default())).collect()))
}

fn relocate(state: &mut State, call: &Call, id: u32, parent: u32) -> Result<(), Failure> {
    let suite = &state.suites[&id];
    let Some(old) = suite.parent else {
        return Err(Failure::property("The root suite of a plan cannot be moved."));
    };
    if old == parent {
        return Ok(());
    }
    let target = state.suites.get(&parent).ok_or_else(|| no_suite(parent))?;
    if target.plan != suite.plan || target.kind != SuiteKind::Static || state.subtree(id).contains(&parent) {
        return Err(Failure::property(format!("Suite {id} cannot be moved below suite {parent}.")));
    }
    if suite.kind == SuiteKind::Static {
        check_sibling(state, parent, state.title(id), Some(id))?;
    }
    for (holder, add) in [(old, false), (parent, true)] {
        if let Some(held) = state.suites.get_mut(&holder) {
            if add { held.children.push(id) } else { held.children.retain(|c| *c != id) }
        }
    }
    if let Some(held) = state.suites.get_mut(&id) {
        held.parent = Some(parent);
    }
    for holder in [old, parent] {
        state.audit(holder, &format!("Moved the test suite {id}"), stamp(call));
    }
    if state.suites[&id].inherit {
        state.regenerate(id, stamp(call));
    }
    Ok(())
}

/// Updates a suite as a body says.
pub(super) fn update_from(state: &mut State, call: &Call, id: u32, body: &Json) -> Result<(), Failure> {
    let item = &state.items[&id];
    let project = item.project;
    plans::check_revision(body, item.rev(), "suite", id)?;
    let suite = &state.suites[&id];
    let (kind, parent) = (suite.kind, suite.parent);
    let configurations = configurations_of(state, project, body)?;
    let testers = testers_of(state, body);
    let inherit = body.get("inheritDefaultConfigurations").and_then(Json::as_bool);
    let query = text(body, "queryString").filter(|q| !q.is_empty() && kind == SuiteKind::Query);
    if let Some(query) = query {
        check_query(state, call, project, query)?;
    }
    let name = text(body, "name").filter(|n| !n.is_empty() && kind != SuiteKind::Requirement);
    let mut fields = Vec::new();
    if let Some(name) = name {
        let name = name_of(name)?;
        match parent {
            None if !same(name, state.title(id)) => {
                return Err(Failure::property("The root suite bears the name of its plan: rename the plan."));
            }
            Some(parent) if kind == SuiteKind::Static => check_sibling(state, parent, name, Some(id))?,
            _ => {}
        }
        fields.push((F::Title as u16, Some(Value::text(name))));
    }
    if let Some(target) = body.get("parentSuite").filter(|p| !p.is_null()) {
        let target = ref_id(target).ok_or_else(|| Failure::null("parentSuite.id"))?;
        relocate(state, call, id, target)?;
    }
    if let Some(query) = query {
        fields.push((F::QueryText as u16, Some(Value::text(query))));
    }
    let settings = configurations.is_some()
        || testers.is_some()
        || inherit.is_some_and(|i| i != state.suites[&id].inherit);
    let moved = body.get("parentSuite").is_some_and(|p| !p.is_null());
    let force = settings || moved;
    state.commit(id, Change { fields, force, by: call.user, at: call.now, ..Change::default() });
    if let (Some(query), Some(suite)) = (query, state.suites.get_mut(&id)) {
        if let Some(old) = suite.query.replace(query.to_owned()) {
            state.index.remove_query(project, &old, id);
        }
        state.index.add_query(project, query, id);
        state.repopulate(id, stamp(call));
    }
    put_settings(state, call, id, configurations, testers, inherit);
    Ok(())
}

fn put_settings(
    state: &mut State,
    call: &Call,
    id: u32,
    configurations: Option<Vec<u32>>,
    testers: Option<Vec<u32>>,
    inherit: Option<bool>,
) {
    let Some(suite) = state.suites.get_mut(&id) else { return };
    let before = (suite.inherit, suite.configurations.clone());
    if let Some(list) = configurations {
        suite.inherit = inherit.unwrap_or(list.is_empty() && suite.parent.is_some());
        suite.configurations = list;
    } else if let Some(inherit) = inherit {
        suite.inherit = inherit;
    }
    if let Some(testers) = testers {
        suite.testers = testers;
    }
    let changed = before != (suite.inherit, suite.configurations.clone());
    if changed {
        state.regenerate(id, stamp(call));
    }
}

/// `PATCH Plans/{planId}/suites/{suiteId}`.
pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let (_, id) = suite_id(state, call)?;
    let body = call.object()?;
    update_from(state, call, id, &body)?;
    Ok(Reply::ok(show(state, &call.base, id, View::default())))
}

/// `DELETE Plans/{planId}/suites/{suiteId}`: with the subtree; cases survive.
pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    let (_, id) = suite_id(state, call)?;
    let Some(parent) = state.suites[&id].parent else {
        return Err(Failure::property("The root suite of a plan cannot be deleted: delete the plan."));
    };
    let suites = state.subtree(id);
    state.delete_suites(&suites, stamp(call));
    state.audit(parent, &format!("Removed the test suite {id}"), stamp(call));
    Ok(Reply::none())
}

fn entry(suite: u32, number: usize, id: u32, kind: &str, legacy: bool) -> Json {
    if !legacy {
        return json!({"suiteId": suite, "sequenceNumber": number, "id": id, "suiteEntryType": kind});
    }
    let (case, child) = if kind == "suite" { (0, id) } else { (id, 0) };
    json!({"suiteId": suite, "sequenceNumber": number, "testCaseId": case, "childSuiteId": child})
}

fn entries(wanted: Option<&str>, id: u32, suite: &Suite, legacy: bool) -> Vec<Json> {
    let wanted = wanted.unwrap_or_default().to_lowercase();
    let all =
        suite.children.iter().map(|c| (*c, "suite")).chain(suite.order.iter().map(|c| (*c, "testCase")));
    all.enumerate()
        .filter(|(_, (_, kind))| wanted.is_empty() || kind.to_lowercase() == wanted)
        .map(|(number, (entry_id, kind))| entry(id, number, entry_id, kind, legacy))
        .collect()
}

fn entry_suite(state: &State, call: &Call) -> Result<u32, Failure> {
    let project = state.scope(call)?;
    let id = call.id("suiteId")?;
    let held = state.suites.contains_key(&id) && state.project_of(id) == project;
    if held { Ok(id) } else { Err(no_suite(id)) }
}

/// `GET testplan/suiteentry/{suiteId}`.
pub(super) fn order(state: &mut State, call: &Call) -> Answer {
    let id = entry_suite(state, call)?;
    Ok(Reply::list(entries(call.q("suiteentrytype"), id, &state.suites[&id], false)))
}

/// `GET test/suiteentry/{suiteId}`: other names for the ids.
pub(super) fn legacy_order(state: &mut State, call: &Call) -> Answer {
    let id = entry_suite(state, call)?;
    Ok(Reply::list(entries(None, id, &state.suites[&id], true)))
}

/// `PATCH test/suiteentry/{suiteId}`.
pub(super) fn legacy_reorder(state: &mut State, call: &Call) -> Answer {
    let id = rearrange(state, call)?;
    Ok(Reply::list(entries(None, id, &state.suites[&id], true)))
}

/// `PATCH testplan/suiteentry/{suiteId}`: suites stay before cases, numbers are packed again.
pub(super) fn reorder(state: &mut State, call: &Call) -> Answer {
    let id = rearrange(state, call)?;
    Ok(Reply::list(entries(None, id, &state.suites[&id], false)))
}

fn rearrange(state: &mut State, call: &Call) -> Result<u32, Failure> {
    let id = entry_suite(state, call)?;
    let mut wanted: Vec<(usize, u32, bool)> = Vec::new();
    let suite = &state.suites[&id];
    for item in call.array()? {
        let nonzero = |name: &str| item.get(name).and_then(ref_id).filter(|i| *i > 0);
        let entry = nonzero("id").or_else(|| nonzero("childSuiteId")).or_else(|| nonzero("testCaseId"));
        let entry = entry.ok_or_else(|| Failure::null("id"))?;
        let number = item
            .get("sequenceNumber")
            .and_then(Json::as_u64)
            .ok_or_else(|| Failure::null("sequenceNumber"))?;
        let is_suite = suite.children.contains(&entry);
        if !is_suite && !suite.points.contains_key(&entry) {
            return Err(Failure::no_test_object(format!("Suite entry {entry} not found in suite {id}.")));
        }
        wanted.push((usize::try_from(number).unwrap_or(usize::MAX), entry, is_suite));
    }
    wanted.sort_unstable();
    let Some(suite) = state.suites.get_mut(&id) else { return Err(no_suite(id)) };
    let suites = suite.children.len();
    for (list, of_suites, offset) in [(&mut suite.children, true, 0), (&mut suite.order, false, suites)] {
        let moves: Vec<_> = wanted.iter().filter(|(_, _, s)| *s == of_suites).collect();
        list.retain(|e| !moves.iter().any(|(_, m, _)| m == e));
        for (number, entry, _) in moves {
            list.insert(number.saturating_sub(offset).min(list.len()), *entry);
        }
    }
    state.audit(id, "Changed the order of the suite", stamp(call));
    Ok(id)
}
