//! Fills a workspace with the made-up company, under the ids that the company fixes.

use chrono::TimeDelta;

use super::html::{document, line};
use super::lists;
use super::schema::{Kind, Schema};
use super::seed_runs;
use super::store::State;
use super::value::{Millis, Ref, Row, Val};
use super::{FIRST_USER, attachments, convert, problem, scripts};
use crate::sandbox::world::{
    self, Case, Identity, OtherId, RichText, Stamps, State as Stand, Subject, UserIndex, World,
};

/// Where the counterparts are said to be.
const ADO: &str = "https://dev.azure.com/contoso/Calculator";
/// Entities whose counterparts' ids are kept in fields that users added.
const REFERENCED: [&str; 8] = [
    "test_manual",
    "gherkin_test",
    "test_automated",
    "test_suite",
    "run_manual",
    "run_suite",
    "run_automated",
    "defect",
];

/// The state for a world; without artifacts if `empty`.
pub(super) fn state(world: &World, empty: bool) -> State {
    let mut state = State::new(schema());
    let born = world.now - TimeDelta::days(1_200);
    lists::fill(&mut state, born.timestamp_millis());
    let mut seeder = Seeder { state, world, born: born.timestamp_millis(), releases: Vec::new() };
    seeder.settings();
    if !empty {
        seeder.requirements();
        seeder.cases();
        seeder.suites();
        seed_runs::fill(&mut seeder);
        seeder.bugs();
        seeder.comments();
        seeder.files();
    }
    let mut state = seeder.state;
    if !empty {
        // Whatever comes later is numbered after all that the company knows.
        for name in ["test", "run", "work_item"] {
            let table = state.schema.table_of(name).unwrap_or_default();
            let held = &mut state.tables[usize::from(table)];
            held.next = held.next.max(number(world.next_other));
        }
    }
    state.revision = 0;
    state
}

/// The built-in schema with the fields that this company added.
fn schema() -> Schema {
    let mut schema = Schema::built_in();
    for entity in REFERENCED {
        let Some((table, Some(sub))) = schema.entity_named(entity) else { continue };
        for (name, label) in
            [("azure_devops_id_udf", "Azure DevOps ID"), ("azure_devops_url_udf", "Azure DevOps URL")]
        {
            let field = schema.draft(table, sub, name, label, Kind::String);
            schema.define(field);
        }
    }
    if let Some((table, Some(sub))) = schema.entity_named("test_manual") {
        let mut field = schema.draft(table, sub, "system_under_test_udf", lists::OWN_LIST.0, Kind::Reference);
        field.targets = vec!["list_node".to_owned()];
        field.target = schema.table_of("list_node");
        field.list = Some(problem::token(lists::OWN_LIST.0));
        field.multiple = true;
        schema.define(field);
    }
    schema
}

/// The number of an artifact of the company.
pub(super) fn number(id: OtherId) -> u32 {
    10_000 + id.0
}

pub(super) fn millis(at: world::Time) -> Millis {
    at.timestamp_millis()
}

pub(super) fn user(index: UserIndex) -> u16 {
    FIRST_USER + index
}

pub(super) struct Seeder<'a> {
    pub(super) state: State,
    pub(super) world: &'a World,
    born: Millis,
    /// By position in [`World::iterations`].
    pub(super) releases: Vec<Ref>,
}

impl Seeder<'_> {
    pub(super) fn field(&self, entity: &str, name: &str) -> u16 {
        self.state.schema.known(entity, name)
    }

    fn row(&self, entity: &str, stamps: &Stamps) -> (u8, Row) {
        let (table, sub) = self.state.schema.entity_named(entity).unwrap_or_default();
        let mut row = Row::new(sub.unwrap_or_default(), user(stamps.created_by), millis(stamps.created));
        row.modified = millis(stamps.updated);
        if row.modified > row.created {
            (row.version, row.lock) = (2, 2);
        }
        (table, row)
    }

    pub(super) fn person(&self, index: UserIndex) -> Val {
        Val::Ref(Ref(self.state.keys.user, u32::from(user(index))))
    }

    fn simple(&mut self, entity: &str, values: Vec<(&str, Val)>) -> Ref {
        let (table, sub) = self.state.schema.entity_named(entity).unwrap_or_default();
        let mut row = Row::new(sub.unwrap_or_default(), FIRST_USER, self.born);
        for (name, value) in values {
            row.set(self.field(entity, name), Some(value));
        }
        let at = Ref(table, self.state.fresh(table));
        self.state.put(at, row);
        at
    }

    /// The people, modules, releases and environments of the company.
    fn settings(&mut self) {
        let world = self.world;
        for (index, person) in world.users.iter().enumerate() {
            let (first, last) = person.name.split_once(' ').unwrap_or((&person.name, ""));
            let values = [
                ("name", person.email.as_str()),
                ("full_name", person.name.as_str()),
                ("first_name", first),
                ("last_name", last),
                ("email", person.email.as_str()),
            ];
            let mut row = Row::new(0, FIRST_USER, self.born);
            for (name, text) in values.into_iter().filter(|(_, text)| !text.is_empty()) {
                row.set(self.field("workspace_user", name), Some(Val::text(text)));
            }
            let level = Val::Int(i64::from(!person.active));
            row.set(self.field("workspace_user", "activity_level"), Some(level));
            let index = UserIndex::try_from(index).unwrap_or(UserIndex::MAX);
            self.state.put(Ref(self.state.keys.user, u32::from(user(index))), row);
        }
        let impact = self.state.item("business_impact.medium").map(Val::Ref);
        let mut areas: Vec<Ref> = Vec::new();
        for path in &world.areas {
            let above = world.areas.iter().position(|p| p[..] == path[..path.len() - 1]);
            let parent = above.map_or(self.root("product_area"), |at| areas[at]);
            let name = path.last().copied().unwrap_or_default();
            let mut values = vec![("name", Val::text(name)), ("parent", Val::Ref(parent))];
            values.extend(impact.clone().map(|i| ("business_impact", i)));
            areas.push(self.simple("product_area", values));
        }
        self.releases();
        let category = self.simple("taxonomy_category_node", vec![("name", Val::text("Operating System"))]);
        for configuration in &world.configurations {
            let values = vec![("name", Val::text(configuration.name)), ("category", Val::Ref(category))];
            self.simple("taxonomy_item_node", values);
        }
    }

    fn releases(&mut self) {
        let world = self.world;
        let months = |n: i64| Val::Date(millis(world.now - TimeDelta::days(400 - 200 * n)));
        let tops = world.iterations.iter().filter(|p| p.len() == 1).count();
        let mut seen = 0_usize;
        for path in &world.iterations {
            let name = path.last().copied().unwrap_or_default();
            if path.len() == 1 {
                let at = i64::try_from(seen).unwrap_or_default();
                seen += 1;
                let values = vec![
                    ("name", Val::text(name)),
                    ("start_date", months(at)),
                    ("end_date", months(at + 1)),
                    ("is_default", Val::Bool(seen == tops)),
                ];
                let made = self.simple("release", values);
                self.releases.push(made);
            } else {
                let above = world.iterations.iter().position(|p| p[..] == path[..1]);
                let release = above.and_then(|a| self.releases.get(a)).copied();
                let Some(release) = release else { continue };
                let values = vec![
                    ("name", Val::text(name)),
                    ("release", Val::Ref(release)),
                    ("start_date", months(0)),
                    ("end_date", months(1)),
                ];
                self.simple("sprint", values);
                self.releases.push(release);
            }
        }
    }

    /// The first entity of a kind: roots are made before all else.
    pub(super) fn root(&self, entity: &str) -> Ref {
        let table = self.state.schema.table_of(entity).unwrap_or_default();
        Ref(table, self.state.table(table).rows.keys().next().copied().unwrap_or_default())
    }

    fn area(&self, index: usize) -> Val {
        let table = self.state.schema.table_of("product_area").unwrap_or_default();
        // The root comes first.
        let row = self.state.table(table).rows.keys().nth(index + 1).copied().unwrap_or_default();
        Val::Refs([Ref(table, row)].into())
    }

    fn phase(&self, entity: &str, stand: Stand, words: [&str; 3]) -> Option<Val> {
        let word = words[stand as usize];
        self.state.find_id(self.state.keys.phase, &format!("phase.{entity}.{word}")).map(Val::Ref)
    }

    fn priority(&self, priority: u8) -> Option<Val> {
        let word = ["urgent", "high", "medium", "low"][usize::from(priority.clamp(1, 4) - 1)];
        self.state.item(&format!("priority.{word}")).map(Val::Ref)
    }

    fn describe(&self, row: &mut Row, entity: &str, text: &RichText) {
        row.set(self.field(entity, "description"), document(text).map(Val::text));
    }

    /// The fields that name the counterpart.
    pub(super) fn refer(&self, row: &mut Row, entity: &str, id: Option<u32>, page: &str) {
        let Some(id) = id else { return };
        row.set(self.field(entity, "azure_devops_id_udf"), Some(Val::text(id.to_string())));
        row.set(self.field(entity, "azure_devops_url_udf"), Some(Val::text(format!("{ADO}/{page}{id}"))));
    }

    fn item(&self, identity: &Identity) -> Option<Ref> {
        let table = self.state.schema.table_of("work_item")?;
        identity.other.map(|o| Ref(table, number(o)))
    }

    /// Requirements are user stories below one feature.
    fn requirements(&mut self) {
        let world = self.world;
        let phase = self.phase("feature", Stand::InProgress, ["new", "inprogress", "done"]);
        let root = self.root("work_item");
        let mut values = vec![("name", Val::text(world::PROJECT)), ("parent", Val::Ref(root))];
        values.extend(phase.map(|p| ("phase", p)));
        let feature = self.simple("feature", values);
        for requirement in &world.requirements {
            let Some(at) = self.item(&requirement.identity) else { continue };
            let (_, mut row) = self.row("story", &requirement.stamps);
            row.set(self.field("work_item", "name"), Some(Val::text(requirement.title.as_str())));
            row.set(self.field("work_item", "parent"), Some(Val::Ref(feature)));
            row.set(self.field("work_item", "product_areas"), Some(self.area(requirement.area)));
            row.set(self.field("work_item", "owner"), requirement.owner.map(|o| self.person(o)));
            row.set(self.field("work_item", "priority"), self.priority(requirement.priority));
            let phase = self.phase("story", requirement.state, ["new", "inprogress", "done"]);
            row.set(self.field("work_item", "phase"), phase);
            self.describe(&mut row, "work_item", &requirement.description);
            self.state.put(at, row);
        }
    }

    pub(super) fn test(&self, identity: &Identity) -> Option<Ref> {
        identity.other.map(|o| Ref(self.state.keys.test, number(o)))
    }

    fn cases(&mut self) {
        for case in &self.world.cases {
            let Some(at) = self.test(&case.identity) else { continue };
            let row = self.case(case);
            self.state.put(at, row);
            if case.steps.is_empty() {
                continue;
            }
            let script = script(case);
            let (by, when) = (user(case.stamps.updated_by), millis(case.stamps.updated));
            scripts::revise(&mut self.state, at, &script, "", "Major", by, when);
        }
    }

    fn case(&mut self, case: &Case) -> Row {
        let entity = if case.automation.is_some() { "test_automated" } else { "test_manual" };
        let (_, mut row) = self.row(entity, &case.stamps);
        let mut set =
            |seeder: &Self, name: &str, value: Option<Val>| row.set(seeder.field("test", name), value);
        set(self, "name", Some(Val::text(case.title.as_str())));
        set(self, "owner", case.owner.map(|o| self.person(o)));
        set(self, "designer", Some(self.person(case.stamps.created_by)));
        set(self, "modified_by", Some(self.person(case.stamps.updated_by)));
        set(self, "product_areas", Some(self.area(case.area)));
        let covered: Vec<Ref> = case
            .requirements
            .iter()
            .filter_map(|r| self.item(&self.world.requirements[*r as usize].identity))
            .collect();
        set(self, "covered_content", (!covered.is_empty()).then(|| Val::Refs(covered.into())));
        let tool = if case.automation.is_some() { "other" } else { "manual_runner" };
        set(self, "testing_tool_type", self.state.item(&format!("testing_tool_type.{tool}")).map(Val::Ref));
        match &case.automation {
            Some(name) => {
                let (package, class) = name.rsplit_once('.').unwrap_or(("", name));
                set(self, "class_name", Some(Val::text(class)));
                set(self, "package", (!package.is_empty()).then(|| Val::text(package)));
            }
            None => set(self, "phase", self.phase("test_manual", case.state, ["new", "ready", "obsolete"])),
        }
        self.describe(&mut row, "test", &case.description);
        self.refer(&mut row, "test", case.identity.other_refers_to, "_workitems/edit/");
        let tags: Vec<Ref> = case.tags.iter().map(|tag| self.tag(tag)).collect();
        row.set(self.field("test", "user_tags"), (!tags.is_empty()).then(|| Val::Refs(tags.into())));
        row
    }

    fn tag(&mut self, name: &str) -> Ref {
        let table = self.state.schema.table_of("user_tag").unwrap_or_default();
        let key = self.field("user_tag", "name");
        let known = self.state.table(table).rows.iter().find(|(_, r)| r.str(key) == name).map(|(n, _)| *n);
        match known {
            Some(known) => Ref(table, known),
            None => self.simple("user_tag", vec![("name", Val::text(name))]),
        }
    }

    /// Plans are suites with all their tests; the plan's suites stand beside them, for suites do not nest.
    fn suites(&mut self) {
        let world = self.world;
        for plan in &world.plans {
            let refers = plan.identity.other_refers_to.and(plan.root_suite_ado_id);
            let stamps = plan.stamps;
            self.suite(&plan.identity, refers, &plan.title, &plan.description, &stamps, &plan.cases);
        }
        for suite in &world.suites {
            let refers = suite.identity.other_refers_to;
            let stamps = suite.stamps;
            self.suite(&suite.identity, refers, &suite.title, &suite.description, &stamps, &suite.cases);
        }
    }

    fn suite(
        &mut self,
        identity: &Identity,
        refers: Option<u32>,
        title: &str,
        description: &RichText,
        stamps: &Stamps,
        cases: &[world::CaseIndex],
    ) {
        let Some(at) = self.test(identity) else { return };
        let (_, mut row) = self.row("test_suite", stamps);
        row.set(self.field("test", "name"), Some(Val::text(title)));
        row.set(self.field("test", "owner"), Some(self.person(stamps.created_by)));
        row.set(self.field("test", "modified_by"), Some(self.person(stamps.updated_by)));
        self.describe(&mut row, "test", description);
        self.refer(&mut row, "test", refers, "_workitems/edit/");
        self.state.put(at, row);
        let link = |seeder: &Self, name: &str| seeder.field("test_suite_link_to_test", name);
        let here = cases.iter().filter(|c| self.world.cases[**c as usize].identity.in_other());
        for (order, case) in here.copied().enumerate().collect::<Vec<_>>() {
            let case = &self.world.cases[case as usize];
            let Some(test) = self.test(&case.identity) else { continue };
            let kind = if case.automation.is_some() { "automated" } else { "manual" };
            let (table, mut row) = self.row(&format!("test_suite_link_to_{kind}"), stamps);
            row.set(link(self, "test"), Some(Val::Ref(test)));
            row.set(link(self, "test_suite"), Some(Val::Ref(at)));
            row.set(link(self, "order"), Some(Val::Int(i64::try_from(order).unwrap_or_default())));
            row.set(link(self, "include_in_next_run"), Some(Val::Bool(true)));
            let number = self.state.fresh(table);
            self.state.put(Ref(table, number), row);
        }
    }

    fn bugs(&mut self) {
        let world = self.world;
        for bug in &world.bugs {
            let Some(at) = self.item(&bug.identity) else { continue };
            let (_, mut row) = self.row("defect", &bug.stamps);
            row.set(self.field("work_item", "name"), Some(Val::text(bug.title.as_str())));
            row.set(self.field("work_item", "parent"), Some(Val::Ref(self.root("work_item"))));
            row.set(self.field("work_item", "product_areas"), Some(self.area(bug.area)));
            row.set(self.field("work_item", "owner"), bug.owner.map(|o| self.person(o)));
            row.set(self.field("work_item", "detected_by"), Some(self.person(bug.stamps.created_by)));
            row.set(self.field("work_item", "priority"), self.priority(bug.priority));
            row.set(self.field("work_item", "severity"), self.state.item("severity.medium").map(Val::Ref));
            let phase = self.phase("defect", bug.state, ["new", "opened", "closed"]);
            row.set(self.field("work_item", "phase"), phase);
            self.describe(&mut row, "work_item", &bug.description);
            self.refer(&mut row, "work_item", bug.identity.other_refers_to, "_workitems/edit/");
            // Runs that were made before named it already.
            let run = self.field("work_item", "run");
            if let Some(held) = self.state.row(at) {
                row.set(run, held.get(run).cloned());
            }
            self.state.put(at, row);
            for case in &bug.cases {
                let test = self.test(&world.cases[*case as usize].identity);
                let covered = self.field("test", "covered_content");
                let Some(mut row) = test.and_then(|t| self.state.row(t).map(|r| r.into_owned())) else {
                    continue;
                };
                let mut items = row.get(covered).map_or(Vec::new(), |v| v.refs().to_vec());
                if !items.contains(&at) {
                    items.push(at);
                }
                row.set(covered, Some(Val::Refs(items.into())));
                test.into_iter().for_each(|t| self.state.put(t, row.clone()));
            }
        }
    }

    /// What a comment or file hangs on, and the field that says so.
    fn subject(&self, subject: Subject) -> Option<(&'static str, Ref)> {
        match subject {
            Subject::Case(c) => Some(("owner_test", self.test(&self.world.cases[c as usize].identity)?)),
            Subject::Bug(b) => Some(("owner_work_item", self.item(&self.world.bugs[b as usize].identity)?)),
            Subject::Requirement(r) => {
                Some(("owner_work_item", self.item(&self.world.requirements[r as usize].identity)?))
            }
            Subject::Result(run, result) => Some(("owner_run", seed_runs::of_result(self, run, result)?)),
        }
    }

    fn comments(&mut self) {
        for comment in &self.world.comments {
            let Some((owner, at)) = self.subject(comment.on) else { continue };
            let (table, sub) = self.state.schema.entity_named("comment").unwrap_or_default();
            let mut row = Row::new(sub.unwrap_or_default(), user(comment.author), millis(comment.at));
            row.set(self.field("comment", "text"), document(&comment.text).map(Val::text));
            row.set(self.field("comment", owner), Some(Val::Ref(at)));
            let number = self.state.fresh(table);
            self.state.put(Ref(table, number), row);
        }
    }

    fn files(&mut self) {
        for file in &self.world.attachments {
            let Some((owner, at)) = self.subject(file.on) else { continue };
            if !attachments::accepts(&file.name) {
                continue;
            }
            let (table, sub) = self.state.schema.entity_named("attachment").unwrap_or_default();
            let mut row = Row::new(sub.unwrap_or_default(), user(file.author), millis(file.at));
            row.set(self.field("attachment", "name"), Some(Val::text(file.name.as_str())));
            row.set(self.field("attachment", "size"), Some(Val::Int(i64::from(file.size))));
            row.set(self.field("attachment", owner), Some(Val::Ref(at)));
            let number = self.state.fresh(table);
            self.state.put(Ref(table, number), row);
            self.state.files.insert(number, file.content().into());
        }
    }
}

/// The steps of a case as the lines of a script.
fn script(case: &Case) -> String {
    let mut out = String::new();
    for step in &case.steps {
        let mut action = line(&step.action);
        if !step.data.is_empty() {
            action.push_str(&format!(" (data: {})", line(&step.data)));
        }
        out.push_str(&format!("- {action}\n"));
        if !step.expected.is_empty() {
            out.push_str(&format!("- ? {}\n", line(&step.expected)));
        }
    }
    out
}

/// A remark as a memo.
pub(super) fn memo(text: &str) -> Val {
    Val::text(convert::document(&format!("<p>{}</p>", text.replace('&', "&amp;").replace('<', "&lt;"))))
}
