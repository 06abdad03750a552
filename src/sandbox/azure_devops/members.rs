//! Which cases are in a suite: the SuiteTestCase calls of the testplan area.

use std::collections::HashSet;

use serde_json::{Value as Json, json};

use super::fields::F;
use super::http::{Answer, Call, Failure, Reply, id_list, ref_id};
use super::items::{Relation, Target};
use super::json::Snapshot;
use super::plans::{PAGE, person_of, stamp, token};
use super::state::State;
use super::suite_calls::suite_id;
use super::suites::{SuiteKind, TESTED_BY};
use super::value::Value;

/// The fields that come if the client names none.
const FIELDS: [F; 11] = [
    F::Steps,
    F::ActivatedBy,
    F::ActivatedDate,
    F::AutomationStatus,
    F::Description,
    F::State,
    F::AssignedTo,
    F::Priority,
    F::StateChangeDate,
    F::WorkItemType,
    F::Rev,
];

/// Configurations with testers, where they are chosen rather than inherited.
type Chosen = Option<Vec<(u32, Option<u32>)>>;

/// What a list of cases shows.
#[derive(Debug)]
struct View {
    fields: Vec<u16>,
    identities: bool,
    points: bool,
    extra: bool,
}

impl View {
    fn of(state: &State, call: &Call) -> Result<Self, Failure> {
        let fields = match call.q("witfields") {
            None => FIELDS.iter().map(|f| *f as u16).collect(),
            Some(names) => names
                .split(',')
                .map(str::trim)
                .filter(|n| !n.is_empty())
                .map(|name| {
                    state
                        .field(name)
                        .ok_or_else(|| Failure::property(format!("TF51535: Cannot find field {name}.")))
                })
                .collect::<Result<_, _>>()?,
        };
        let flags: u32 = match call.q("excludeflags").unwrap_or("0").to_lowercase().as_str() {
            "0" | "none" => 0,
            "1" | "pointassignments" => 1,
            "2" | "extrainformation" => 2,
            "3" => 3,
            other => {
                return Err(Failure::binding(format!("The value '{other}' is not valid for excludeFlags.")));
            }
        };
        Ok(Self {
            fields,
            identities: call.flag("returnidentityref"),
            points: flags & 1 == 0,
            extra: flags & 2 == 0,
        })
    }
}

fn show(state: &State, call: &Call, view: &View, suite: u32, case: u32, order: usize) -> Json {
    let base = &call.base;
    let held = &state.suites[&suite];
    let plan = held.plan;
    let project = state.project_of(plan);
    let mut fields = Vec::new();
    if let Some(item) = state.items.get(&case) {
        let snap = Snapshot::now(case, item);
        for &field in &view.fields {
            let Some(value) = state.field_value(&snap, field) else { continue };
            let value = match &value {
                Value::Person(person) if !view.identities => json!(state.person_text(*person)),
                value => state.value_json(base, value),
            };
            let mut single = serde_json::Map::new();
            single.insert(state.fields[field as usize].reference.clone(), value);
            fields.push(Json::Object(single));
        }
    }
    let mut body = json!({});
    if view.extra {
        body["testPlan"] = json!({"id": plan, "name": state.title(plan)});
        body["project"] = state.plan_project(base, project);
        body["testSuite"] = json!({"id": suite, "name": state.title(suite)});
    }
    body["workItem"] = json!({"id": case, "name": state.title(case), "workItemFields": fields});
    if view.points {
        let points = held.points.get(&case).into_iter().flatten().filter_map(|id| {
            let point = state.points.get(id)?;
            let mut shown =
                json!({"id": id, "configurationName": state.configuration_name(point.configuration)});
            if let Some(tester) = point.tester {
                shown["tester"] = state.person(base, tester);
            }
            shown["configurationId"] = json!(point.configuration);
            Some(shown)
        });
        body["pointAssignments"] = points.collect();
    }
    if view.extra {
        body["links"] = links(state, base, plan, suite, case);
    }
    body["order"] = json!(order);
    body
}

fn links(state: &State, base: &str, plan: u32, suite: u32, case: u32) -> Json {
    let project = state.project(state.project_of(plan));
    let home = format!("{base}/{}/_apis/testplan", super::json::encode(&project.name));
    json!({
        "testPoints": {"href": format!("{home}/Plans/{plan}/Suites/{suite}/TestPoint?testCaseId={case}")},
        "configuration": {"href": format!("{home}/Configurations")},
        "_self": {"href": format!("{home}/Plans/{plan}/Suites/{suite}/TestCase/{case}")},
        "sourcePlan": {"href": format!("{home}/Plans/{plan}")},
        "sourceSuite": {"href": format!("{home}/Plans/{plan}/Suites/{suite}")},
        "sourceProject": {"href": super::json::project_url(base, project)},
    })
}

impl State {
    /// The name of a configuration; empty if it is gone.
    pub(super) fn configuration_name(&self, id: u32) -> &str {
        self.configurations.get(&id).map_or("", |c| c.name.as_str())
    }
}

/// `GET TestCase`.
pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    let (_, suite) = suite_id(state, call)?;
    let view = View::of(state, call)?;
    let ids: Option<HashSet<u32>> = call.ids("testids")?.map(|i| i.into_iter().collect());
    let configurations = call.ids("configurationids")?.unwrap_or_default();
    let suites = if call.flag("isrecursive") { state.subtree(suite) } else { vec![suite] };
    let start = match call.q("continuationtoken") {
        Some(token) => token
            .rsplit(';')
            .next()
            .and_then(|n| n.parse::<usize>().ok())
            .ok_or_else(|| Failure::property(format!("The continuation token '{token}' is not valid.")))?,
        None => 0,
    };
    let wanted = |(suite, _, case): &(u32, usize, u32)| {
        let held = &state.suites[suite].points[case];
        let has = |c: &u32| held.iter().any(|p| state.points.get(p).is_some_and(|p| p.configuration == *c));
        ids.as_ref().is_none_or(|i| i.contains(case)) && configurations.iter().all(has)
    };
    let all =
        suites.iter().flat_map(|s| state.suites[s].order.iter().enumerate().map(move |(n, c)| (*s, n, *c)));
    let mut rows: Vec<_> = all.filter(wanted).skip(start).take(PAGE + 1).collect();
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let next = more.then(|| token(rows.last().map_or(0, |r| r.2), start + PAGE));
    let shown = rows.iter().map(|(s, n, c)| show(state, call, &view, *s, *c, *n)).collect();
    Ok(Reply::list(shown).with_token(next))
}

/// `GET TestCase/{testCaseId}`: one case, or several with commas between.
pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    let (_, suite) = suite_id(state, call)?;
    let view = View::of(state, call)?;
    let ids = id_list("testCaseId", call.param("testCaseId").unwrap_or_default())?;
    let mut shown = Vec::new();
    for case in ids {
        let at = state.suites[&suite].order.iter().position(|c| *c == case);
        let at = at.ok_or_else(|| missing(suite, case))?;
        shown.push(show(state, call, &view, suite, case, at));
    }
    Ok(Reply::list(shown))
}

fn missing(suite: u32, case: u32) -> Failure {
    Failure::no_test_object(format!("Test case {case} not found in test suite {suite}."))
}

/// The cases and assignments that a body names.
fn assignments(state: &State, call: &Call, suite: u32) -> Result<Vec<(u32, Chosen)>, Failure> {
    let project = state.project_of(suite);
    let mut wanted = Vec::new();
    for element in call.array()? {
        let case = element.get("workItem").and_then(ref_id).ok_or_else(|| Failure::null("workItem.id"))?;
        let item = state
            .live(case)
            .ok_or_else(|| Failure::no_test_object(format!("Test case {case} not found.")))?;
        if &*item.kind != "Test Case" {
            return Err(Failure::property(format!("Work item {case} is not a test case.")));
        }
        let list = element.get("pointAssignments").and_then(Json::as_array).filter(|l| !l.is_empty());
        let one = |p: &Json| {
            let id = p
                .get("configurationId")
                .and_then(ref_id)
                .or_else(|| p.get("configuration").and_then(ref_id))
                .unwrap_or(0);
            match state.configurations.get(&id) {
                Some(held) if held.project == project => {
                    Ok((id, p.get("tester").and_then(|t| person_of(state, t))))
                }
                _ => Err(Failure::no_test_object(format!("Test configuration {id} not found."))),
            }
        };
        let list = list.map(|l| l.iter().map(one).collect::<Result<Vec<_>, _>>()).transpose()?;
        wanted.push((case, list));
    }
    Ok(wanted)
}

/// Puts cases into a suite in the way its kind asks for.
pub(super) fn add_cases(
    state: &mut State,
    call: &Call,
    suite: u32,
    cases: Vec<(u32, Chosen)>,
) -> Result<(), Failure> {
    let (kind, requirement) = (state.suites[&suite].kind, state.suites[&suite].requirement);
    if kind == SuiteKind::Query {
        return Err(Failure::property(format!(
            "Test cases cannot be added to the query-based suite {suite}: change its query."
        )));
    }
    let mut added = Vec::new();
    for (case, chosen) in cases {
        if state.suites[&suite].points.contains_key(&case) {
            continue;
        }
        state.add_member(suite, case, chosen, stamp(call));
        added.push(case.to_string());
        let Some(requirement) = requirement else { continue };
        let relation = Relation {
            rel: TESTED_BY.into(),
            target: Target::Item(case),
            comment: None,
            name: None,
            resource: None,
        };
        if super::links::check(state, requirement, &state.items[&requirement].relations, &relation).is_ok() {
            state.add_relation(requirement, relation, stamp(call));
        }
    }
    if !added.is_empty() {
        state.audit(suite, &format!("Added these test cases: {}", added.join(", ")), stamp(call));
    }
    Ok(())
}

/// `POST TestCase`: adds cases. A case that is in the suite already stays as it is.
pub(super) fn add(state: &mut State, call: &Call) -> Answer {
    let (_, suite) = suite_id(state, call)?;
    let wanted = assignments(state, call, suite)?;
    let cases: Vec<u32> = wanted.iter().map(|(c, _)| *c).collect();
    add_cases(state, call, suite, wanted)?;
    shown(state, call, suite, &cases)
}

fn shown(state: &State, call: &Call, suite: u32, cases: &[u32]) -> Answer {
    let view = View::of(state, call)?;
    let held = &state.suites[&suite].order;
    let rows = cases.iter().filter_map(|case| {
        let at = held.iter().position(|c| c == case)?;
        Some(show(state, call, &view, suite, *case, at))
    });
    Ok(Reply::list(rows.collect()))
}

/// `PATCH TestCase`: replaces the configurations of cases.
pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let (_, suite) = suite_id(state, call)?;
    let wanted = assignments(state, call, suite)?;
    if let Some((case, _)) = wanted.iter().find(|(c, _)| !state.suites[&suite].points.contains_key(c)) {
        return Err(missing(suite, *case));
    }
    let cases: Vec<u32> = wanted.iter().map(|(c, _)| *c).collect();
    for (case, list) in wanted {
        if let Some(list) = list {
            configure(state, call, suite, case, &list);
        }
    }
    state.audit(suite, "Changed the configurations of test cases", stamp(call));
    shown(state, call, suite, &cases)
}

/// Chooses the configurations of one case.
pub(super) fn configure(state: &mut State, call: &Call, suite: u32, case: u32, list: &[(u32, Option<u32>)]) {
    state.assign_configurations(suite, case, list, stamp(call));
    if let Some(held) = state.suites.get_mut(&suite) {
        held.chosen.insert(case);
    }
}

/// Takes cases out of a suite in the way its kind asks for.
pub(super) fn remove_cases(state: &mut State, call: &Call, suite: u32, cases: &[u32]) -> Result<(), Failure> {
    if state.suites[&suite].kind == SuiteKind::Query {
        return Err(Failure::property(format!(
            "Test cases cannot be removed from the query-based suite {suite}: change its query."
        )));
    }
    if let Some(case) = cases.iter().find(|c| !state.suites[&suite].points.contains_key(c)) {
        return Err(missing(suite, *case));
    }
    let requirement = state.suites[&suite].requirement;
    for case in cases {
        state.remove_member(suite, *case);
        if let Some(requirement) = requirement {
            let relation = Relation {
                rel: TESTED_BY.into(),
                target: Target::Item(*case),
                comment: None,
                name: None,
                resource: None,
            };
            state.remove_relation(requirement, &relation, stamp(call));
        }
    }
    let names: Vec<String> = cases.iter().map(u32::to_string).collect();
    state.audit(suite, &format!("Removed these test cases: {}", names.join(", ")), stamp(call));
    Ok(())
}

/// `DELETE TestCase?testIds=` or `TestCase/{testCaseIds}`.
pub(super) fn remove(state: &mut State, call: &Call) -> Answer {
    let (_, suite) = suite_id(state, call)?;
    let ids = match (call.ids("testids")?, call.ids("testcaseids")?, call.param("testCaseId")) {
        (Some(ids), ..) | (None, Some(ids), _) => ids,
        (None, None, Some(text)) => id_list("testCaseIds", text)?,
        _ => return Err(Failure::null("testIds")),
    };
    remove_cases(state, call, suite, &ids)?;
    Ok(Reply::none())
}
