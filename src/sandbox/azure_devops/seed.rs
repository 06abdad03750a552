//! Fills the emulator from the made-up company.

use std::collections::HashMap;

use super::super::world::{
    self, Case, Identity, Outcome, RichText, Stamps, State as Stage, Subject, SuiteKind as Kind, World,
};
use super::fields::F;
use super::html::{html, step_text};
use super::items::{Change, LinkEvent, Relation, Target};
use super::links::{Stamp, base_name, opposite};
use super::results::{COMPLETED, FIRST_RESULT, TestResult, Walk};
use super::runs::{self, RunFile};
use super::state::{Blob, State};
use super::suites::{NewSuite, SuiteKind, TESTED_BY};
use super::value::{Millis, Value, guid};

/// Where the links to the other side lead.
const OTHER_SITE: &str = "https://contoso.atlassian.net";
const OCTANE_SITE: &str = "https://octane.contoso.example";
/// The state for a world; without artifacts if `empty`.
pub(super) fn state(world: &World, empty: bool) -> State {
    let mut state = super::organisation::made(world);
    state.reindex();
    if !empty {
        let mut filler = Filler { world, state, remarks: HashMap::new() };
        filler.fill();
        state = filler.state;
    }
    state.reindex();
    state.touched = false;
    state
}

struct Filler<'a> {
    world: &'a World,
    state: State,
    /// Comments by the work item they hang on: when, by whom, what.
    remarks: HashMap<u32, Vec<(Millis, u32, String)>>,
}

/// A work item before it is written.
struct Draft {
    id: u32,
    kind: &'static str,
    fields: Vec<(F, Value)>,
    stage: [&'static str; 3],
    state: Stage,
    stamps: Stamps,
    identity: Identity,
}

fn millis(at: world::Time) -> Millis {
    at.timestamp_millis()
}

fn text(value: impl Into<Box<str>>) -> Value {
    Value::Text(value.into())
}

impl Filler<'_> {
    fn fill(&mut self) {
        self.collect_remarks();
        self.requirements();
        self.plans();
        self.cases();
        self.suites();
        self.bugs();
        self.files();
        self.runs();
        let world = self.world;
        self.state.next_item = world.next_ado_id.max(self.state.next_item);
        self.state.next_run = world.next_ado_run_id.max(self.state.next_run);
        self.order_revisions();
    }

    /// Numbers all revisions in order of time, as if they had been written when they say.
    fn order_revisions(&mut self) {
        let mut all: Vec<(Millis, u32, usize)> = Vec::new();
        for (&id, item) in &self.state.items {
            all.extend(item.revisions.iter().enumerate().map(|(n, r)| (r.at, id, n)));
        }
        all.sort_unstable();
        for (number, (_, id, revision)) in all.iter().enumerate() {
            if let Some(item) = self.state.items.get_mut(id) {
                item.revisions[*revision].watermark = number as u64 + 1;
            }
        }
        self.state.watermark = all.len() as u64;
        self.state.link_log.sort_by_key(|e| e.at);
    }

    fn item_of(&self, on: Subject) -> Option<u32> {
        let world = self.world;
        match on {
            Subject::Case(c) => world.cases[c as usize].identity.ado_id,
            Subject::Bug(b) => world.bugs[b as usize].identity.ado_id,
            Subject::Requirement(r) => world.requirements[r as usize].identity.ado_id,
            Subject::Result(..) => None,
        }
    }

    fn collect_remarks(&mut self) {
        for comment in &self.world.comments {
            if let Some(id) = self.item_of(comment.on) {
                let row = (millis(comment.at), u32::from(comment.author), html(&comment.text));
                self.remarks.entry(id).or_default().push(row);
            }
        }
    }

    fn area(&self, at: usize) -> Value {
        self.node(false, &self.world.areas[at])
    }

    fn iteration(&self, at: usize) -> Value {
        self.node(true, &self.world.iterations[at])
    }

    fn node(&self, iteration: bool, path: &[&str]) -> Value {
        let path = format!("{}\\{}", world::PROJECT, path.join("\\"));
        Value::Node(
            self.state.find_node(0, iteration, &path).unwrap_or_else(|| self.state.root(0, iteration)),
        )
    }

    /// The fields that name the artifact of the other side.
    fn references(&self, identity: &Identity, octane_type: &str) -> Vec<(u16, Option<Value>)> {
        let Some(other) = identity.ado_refers_to else { return Vec::new() };
        let key = other.jira().key();
        let url = format!("{OTHER_SITE}/browse/{key}");
        // Whichever other side is served finds itself named; a pipeline reads its own fields only.
        let number = 10_000 + other.0;
        let page =
            format!("{OCTANE_SITE}/ui/entity-navigation?p=1001/1002&entityType={octane_type}&id={number}");
        [
            ("Custom.XrayID", key),
            ("Custom.XrayURL", url),
            ("Custom.OctaneID", number.to_string()),
            ("Custom.OctaneURL", page),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((self.state.field(name)?, Some(text(value)))))
        .collect()
    }

    /// Writes an item: as it was made, its comments, and its last change.
    fn write(&mut self, draft: Draft) {
        let Draft { id, kind, fields, stage, state, stamps, identity } = draft;
        let def = self.state.find_type(0, kind).cloned();
        let (created, by) = (millis(stamps.created), u32::from(stamps.created_by));
        self.state.items.insert(id, super::write::blank(0, kind.into(), created, by));
        let (first, reason) = def.as_ref().map_or(("", ""), |d| d.initial());
        let mut all: Vec<(u16, Option<Value>)> =
            fields.into_iter().map(|(f, v)| (f as u16, Some(v))).collect();
        all.push((F::State as u16, Some(text(first))));
        all.push((F::Reason as u16, Some(text(reason))));
        all.push((F::StateChangeDate as u16, Some(Value::Date(created))));
        let octane_type = if matches!(kind, "Bug" | "User Story") { "work_item" } else { "test" };
        all.extend(self.references(&identity, octane_type));
        self.state.commit(id, Change { fields: all, by, at: created, ..Change::default() });
        let last = stage[state as usize];
        let (updated, updater) = (millis(stamps.updated), u32::from(stamps.updated_by));
        let mut remarks = self.remarks.remove(&id).unwrap_or_default();
        remarks.sort_by_key(|r| r.0);
        let later = remarks.split_off(remarks.partition_point(|r| r.0 < updated));
        self.discuss(id, remarks, 0);
        if updated > created || last != first {
            let mut fields = Vec::new();
            if last != first {
                let reason = def.as_ref().and_then(|d| d.reason(first, last)).unwrap_or_default();
                fields.push((F::State as u16, Some(text(last))));
                fields.push((F::Reason as u16, Some(text(reason))));
                fields.push((F::StateChangeDate as u16, Some(Value::Date(updated))));
                let closed =
                    def.as_ref().and_then(|d| d.state(last)).is_some_and(|s| s.category == "Completed");
                if closed {
                    fields.push((F::ClosedDate as u16, Some(Value::Date(updated))));
                    fields.push((F::ClosedBy as u16, Some(Value::Person(updater))));
                }
            }
            self.state
                .commit(id, Change { fields, force: true, by: updater, at: updated, ..Change::default() });
        }
        let count = self.state.items[&id].comments.len();
        self.discuss(id, later, count);
        super::tags::learn(&mut self.state, id, created);
    }

    fn discuss(&mut self, id: u32, remarks: Vec<(Millis, u32, String)>, before: usize) {
        for (number, (at, by, remark)) in remarks.into_iter().enumerate() {
            let count = i64::try_from(before + number + 1).unwrap_or(i64::MAX);
            let fields = vec![(F::CommentCount as u16, Some(Value::Int(count)))];
            let history = Some(remark.as_str().into());
            self.state.commit(id, Change { fields, history, by, at, ..Change::default() });
            super::comments::push(&mut self.state, id, remark, false, by, at);
        }
    }

    /// Links two items as of a time, both ends.
    fn link(&mut self, source: u32, rel: &str, target: u32, at: Millis, by: u32) {
        for (from, rel, to) in [(source, rel.to_owned(), target), (target, opposite(rel), source)] {
            if let Some(item) = self.state.items.get_mut(&from) {
                item.relations.push(Relation {
                    rel: rel.into(),
                    target: Target::Item(to),
                    comment: None,
                    name: None,
                    resource: None,
                });
            }
        }
        let rel = base_name(rel).into();
        self.state.link_log.push(LinkEvent { rel, source, target, at, by, active: true, comment: None });
    }

    fn requirements(&mut self) {
        for requirement in &self.world.requirements {
            let Some(id) = requirement.identity.ado_id else { continue };
            let mut fields = vec![
                (F::Title, text(requirement.title.as_str())),
                (F::AreaPath, self.area(requirement.area)),
                (F::IterationPath, self.iteration(requirement.iteration)),
                (F::Priority, Value::Int(i64::from(requirement.priority))),
                (F::ValueArea, text("Business")),
            ];
            describe(&mut fields, F::Description, &requirement.description);
            fields.extend(requirement.owner.map(|o| (F::AssignedTo, Value::Person(u32::from(o)))));
            self.write(Draft {
                id,
                kind: "User Story",
                fields,
                stage: ["New", "Active", "Closed"],
                state: requirement.state,
                stamps: requirement.stamps,
                identity: requirement.identity,
            });
        }
    }

    fn plans(&mut self) {
        for plan in &self.world.plans {
            let (Some(id), Some(root)) = (plan.identity.ado_id, plan.root_suite_ado_id) else { continue };
            let mut fields = vec![
                (F::Title, text(plan.title.as_str())),
                (F::AreaPath, self.area(plan.area)),
                (F::IterationPath, self.iteration(plan.iteration)),
                (F::StartDate, Value::Date(millis(plan.start))),
                (F::FinishDate, Value::Date(millis(plan.end))),
            ];
            describe(&mut fields, F::Description, &plan.description);
            self.write(Draft {
                id,
                kind: "Test Plan",
                fields,
                stage: ["Active", "Active", "Inactive"],
                state: plan.state,
                stamps: plan.stamps,
                identity: plan.identity,
            });
            let owner = Some(u32::from(plan.owner));
            let held = super::suites::Plan { root, owner, settings: serde_json::Map::new() };
            self.state.plans.insert(id, held);
            let stamp = stamp_of(&plan.stamps);
            let configurations = plan.configurations.iter().map(|c| u32::from(*c) + 1).collect();
            self.state.add_suite_at(
                root,
                NewSuite {
                    plan: id,
                    parent: None,
                    kind: SuiteKind::Static,
                    name: plan.title.clone(),
                    requirement: None,
                    query: None,
                    inherit: false,
                    configurations,
                    testers: Vec::new(),
                },
                stamp,
            );
        }
    }

    fn cases(&mut self) {
        for case in &self.world.cases {
            let Some(id) = case.identity.ado_id else { continue };
            let fields = self.case_fields(case);
            self.write(Draft {
                id,
                kind: "Test Case",
                fields,
                stage: ["Design", "Ready", "Closed"],
                state: case.state,
                stamps: case.stamps,
                identity: case.identity,
            });
            for requirement in &case.requirements {
                if let Some(requirement) = self.world.requirements[*requirement as usize].identity.ado_id {
                    self.link(
                        requirement,
                        TESTED_BY,
                        id,
                        millis(case.stamps.created),
                        u32::from(case.stamps.created_by),
                    );
                }
            }
        }
    }

    fn case_fields(&self, case: &Case) -> Vec<(F, Value)> {
        let mut fields = vec![
            (F::Title, text(case.title.as_str())),
            (F::AreaPath, self.area(case.area)),
            (F::IterationPath, self.iteration(case.iteration)),
            (F::Priority, Value::Int(i64::from(case.priority))),
            (
                F::AutomationStatus,
                text(if case.automation.is_some() { "Automated" } else { "Not Automated" }),
            ),
        ];
        describe(&mut fields, F::Description, &case.description);
        if !case.steps.is_empty() {
            fields.push((F::Steps, text(steps_xml(case))));
        }
        if let Some(test) = &case.automation {
            fields.push((F::AutomatedTestName, text(test.as_str())));
            fields.push((F::AutomatedTestStorage, text("calculator.tests.dll")));
            fields.push((F::AutomatedTestId, text(guid(test))));
            fields.push((F::AutomatedTestType, text("Unit Test")));
        }
        if !case.tags.is_empty() {
            fields.push((F::Tags, text(super::draft::tags(&case.tags.join(";")).join("; "))));
        }
        fields.extend(case.owner.map(|o| (F::AssignedTo, Value::Person(u32::from(o)))));
        fields
    }

    fn suites(&mut self) {
        for suite in &self.world.suites {
            let Some((id, plan)) = suite.identity.ado_id.zip(suite.plan) else { continue };
            let plan = &self.world.plans[plan as usize];
            let (Some(plan_id), Some(root)) = (plan.identity.ado_id, plan.root_suite_ado_id) else {
                continue;
            };
            let parent =
                suite.parent.and_then(|p| self.world.suites[p as usize].identity.ado_id).unwrap_or(root);
            let (kind, requirement, query) = match suite.kind {
                Kind::Static => (SuiteKind::Static, None, None),
                Kind::Query { tag } => (SuiteKind::Query, None, Some(query_of(tag))),
                Kind::Requirement(r) => {
                    (SuiteKind::Requirement, self.world.requirements[r as usize].identity.ado_id, None)
                }
            };
            let name = match requirement {
                Some(requirement) => self.state.requirement_name(requirement),
                None => suite.title.clone(),
            };
            let stamp = stamp_of(&suite.stamps);
            let new = NewSuite {
                plan: plan_id,
                parent: Some(parent),
                kind,
                name,
                requirement,
                query,
                inherit: true,
                configurations: Vec::new(),
                testers: Vec::new(),
            };
            self.state.add_suite_at(id, new, stamp);
            let mut members = Vec::new();
            for case in &suite.cases {
                if let Some(case) = self.world.cases[*case as usize].identity.ado_id {
                    self.state.add_member(id, case, None, stamp);
                    members.push(case.to_string());
                }
            }
            if kind != SuiteKind::Static
                && let Some(held) = self.state.suites.get_mut(&id)
            {
                held.populated = millis(suite.stamps.updated);
            }
            self.finish_suite(id, suite, members);
        }
    }

    /// The suite's last change: members, description and state.
    fn finish_suite(&mut self, id: u32, suite: &world::Suite, members: Vec<String>) {
        let state = ["In Planning", "In Progress", "Completed"][suite.state as usize];
        let mut fields = vec![(F::State as u16, Some(text(state)))];
        if !suite.description.is_empty() {
            fields.push((F::Description as u16, Some(text(html(&suite.description)))));
        }
        if !members.is_empty() {
            let audit = format!("Added these test cases: {}", members.join(", "));
            fields.push((F::TestSuiteAudit as u16, Some(text(audit))));
        }
        fields.extend(self.references(&suite.identity, "test"));
        let (at, by) = (millis(suite.stamps.updated), u32::from(suite.stamps.updated_by));
        self.state.commit(id, Change { fields, by, at, ..Change::default() });
    }

    fn bugs(&mut self) {
        for bug in &self.world.bugs {
            let Some(id) = bug.identity.ado_id else { continue };
            let mut fields = vec![
                (F::Title, text(bug.title.as_str())),
                (F::AreaPath, self.area(bug.area)),
                (F::IterationPath, Value::Node(self.state.root(0, true))),
                (F::Priority, Value::Int(i64::from(bug.priority))),
                (F::Severity, text("3 - Medium")),
                (F::ValueArea, text("Business")),
            ];
            describe(&mut fields, F::ReproSteps, &bug.description);
            fields.extend(bug.owner.map(|o| (F::AssignedTo, Value::Person(u32::from(o)))));
            self.write(Draft {
                id,
                kind: "Bug",
                fields,
                stage: ["New", "Active", "Closed"],
                state: bug.state,
                stamps: bug.stamps,
                identity: bug.identity,
            });
            for case in &bug.cases {
                if let Some(case) = self.world.cases[*case as usize].identity.ado_id {
                    self.link(
                        id,
                        TESTED_BY,
                        case,
                        millis(bug.stamps.created),
                        u32::from(bug.stamps.created_by),
                    );
                }
            }
        }
    }

    fn files(&mut self) {
        for file in &self.world.attachments {
            let Some(id) = self.item_of(file.on) else { continue };
            self.state.next_blob += 1;
            let blob_id = guid(&format!("attachment {}", self.state.next_blob));
            let at = millis(file.at);
            let blob =
                Blob { name: file.name.clone(), created: at, expected: None, content: file.content().into() };
            self.state.blobs.insert(blob_id.clone(), blob);
            let change = Change { force: true, by: u32::from(file.author), at, ..Change::default() };
            self.state.commit(id, change);
            self.state.next_resource += 1;
            let resource = Some((self.state.next_resource, at));
            let name = Some(file.name.as_str().into());
            let relation = Relation {
                rel: "AttachedFile".into(),
                target: Target::File(blob_id),
                comment: None,
                name,
                resource,
            };
            let by = u32::from(file.author);
            self.state.add_relation(id, relation, Stamp { by, at, own: false });
        }
    }

    fn runs(&mut self) {
        for (number, run) in self.world.runs.iter().enumerate() {
            let Some(id) = run.identity.ado_id else { continue };
            let plan = run.plans.first().and_then(|p| self.world.plans[*p as usize].identity.ado_id);
            let iteration = runs::iteration_of(&self.state, 0, plan);
            let (started, ended) = (millis(run.started), millis(run.ended));
            let owner = u32::from(run.owner);
            let mut held = runs::blank(0, run.title.clone(), owner, started, iteration);
            held.plan = plan;
            held.state = [1, 2, 3][run.state as usize];
            held.completed = (run.state == Stage::Done).then_some(ended);
            held.updated = ended;
            held.revision = 3;
            let mut bugs = Vec::new();
            for (at, (_, result)) in
                self.world.results_of(u32::try_from(number).unwrap_or(u32::MAX)).enumerate()
            {
                let result_id = FIRST_RESULT + u32::try_from(at).unwrap_or(0);
                held.results.push(self.result(result_id, result, started));
                bugs.extend(
                    result
                        .bug
                        .and_then(|b| self.world.bugs[b as usize].identity.ado_id)
                        .map(|b| (result_id, b)),
                );
            }
            held.last_result = held.next_result() - 1;
            let done: Vec<TestResult> =
                held.results.iter().filter(|r| r.state == COMPLETED).cloned().collect();
            self.state.runs.insert(id, held);
            for result in &done {
                self.state.show_on_point(id, result, result.updated, result.by);
            }
            for (result, bug) in bugs {
                super::results::link_bugs(
                    &mut self.state,
                    Stamp { by: owner, at: ended, own: false },
                    id,
                    result,
                    &[bug],
                );
            }
        }
        self.run_files();
    }

    fn result(&self, id: u32, result: &world::TestResult, created: Millis) -> TestResult {
        let world = self.world;
        let by = u32::from(result.tester);
        let case = world.cases[result.case as usize].identity.ado_id.unwrap_or(0);
        let suite = result.suite.and_then(|s| world.suites[s as usize].identity.ado_id).unwrap_or(0);
        let configuration = u32::from(result.configuration) + 1;
        let points = self.state.suites.get(&suite).and_then(|s| s.points.get(&case));
        let of = |p: &&u32| self.state.points.get(p).is_some_and(|p| p.configuration == configuration);
        let point = points.and_then(|p| p.iter().find(of)).copied().unwrap_or(0);
        let mut row = self.state.result_of_point(id, point, created, by);
        (row.case, row.suite, row.configuration) = (case, suite, configuration);
        row.outcome = match result.outcome {
            Outcome::Passed => 2,
            Outcome::Failed => 3,
            Outcome::Blocked => 7,
            Outcome::NotApplicable => 11,
            Outcome::Open | Outcome::Paused => return row,
        };
        let started = millis(result.started);
        let ended = started + i64::from(result.seconds) * 1000;
        row.state = COMPLETED;
        (row.started, row.completed, row.updated) = (Some(started), Some(ended), ended);
        (row.run_by, row.owner, row.revision) = (Some(by), Some(by), 2);
        let steps = u8::try_from(world.cases[result.case as usize].steps.len()).unwrap_or(u8::MAX);
        row.walk = (steps > 0).then_some(Walk { steps, failed: result.failed_step });
        if let Some(comment) = result.comment {
            row.extra().comment = Some(comment.into());
        }
        row
    }

    fn run_files(&mut self) {
        for file in &self.world.attachments {
            let Subject::Result(run, result) = file.on else { continue };
            let run = &self.world.runs[run as usize];
            let Some(held) = run.identity.ado_id.and_then(|id| self.state.runs.get_mut(&id)) else {
                continue;
            };
            self.state.next_run_attachment += 1;
            held.files.push(RunFile {
                id: self.state.next_run_attachment,
                result: Some(FIRST_RESULT + (result - run.results.start)),
                iteration: 0,
                path: String::new(),
                name: file.name.clone(),
                comment: String::new(),
                kind: "GeneralAttachment".to_owned(),
                created: millis(file.at),
                content: file.content().into(),
            });
        }
    }
}

fn describe(fields: &mut Vec<(F, Value)>, field: F, description: &RichText) {
    if !description.is_empty() {
        fields.push((field, text(html(description))));
    }
}

fn stamp_of(stamps: &Stamps) -> Stamp {
    Stamp { by: u32::from(stamps.created_by), at: millis(stamps.created), own: true }
}

/// The query of a suite that collects a tag.
fn query_of(tag: &str) -> String {
    format!(
        "SELECT [System.Id], [System.Title] FROM WorkItems WHERE [System.TeamProject] = @project AND [System.WorkItemType] IN GROUP \
         'Microsoft.TestCaseCategory' AND [System.Tags] CONTAINS '{tag}'"
    )
}

/// The steps as the editor writes them: ids from 2, because 1 is reserved.
fn steps_xml(case: &Case) -> String {
    let mut xml = format!("<steps id=\"0\" last=\"{}\">", case.steps.len() + 1);
    for (number, step) in case.steps.iter().enumerate() {
        let kind = if step.expected.is_empty() { "ActionStep" } else { "ValidateStep" };
        let mut action = step_text(&step.action);
        action.push_str(&step_text(&step.data));
        let part = |text: &str| match text.is_empty() {
            true => "<parameterizedString isformatted=\"true\"/>".to_owned(),
            false => format!("<parameterizedString isformatted=\"true\">{text}</parameterizedString>"),
        };
        let (action, expected) = (part(&action), part(&step_text(&step.expected)));
        xml.push_str(&format!(
            "<step id=\"{}\" type=\"{kind}\">{action}{expected}<description/></step>",
            number + 2
        ));
    }
    xml.push_str("</steps>");
    xml
}
