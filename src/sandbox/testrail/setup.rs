//! An instance before anybody tested with it: users, fields, projects, configurations.

use serde_json::{Map, Value, json};

use super::meta;
use super::projects::new_suite;
use super::state::{ConfigGroup, Field, FieldConfig, Project, State, User, take};
use crate::sandbox::world::{PROJECT, World};

/// The projects, one for each mode of suites. The company's is the first.
const PROJECTS: [(&str, u8); 3] = [(PROJECT, 3), ("Abacus", 1), ("Slide rule", 2)];
/// The project in which a field of its own is required.
const STRICT: u32 = 2;
/// The templates of text and of steps.
pub(super) const TEXT: u32 = 1;
pub(super) const STEPS: u32 = 2;

/// The fields that the seed fills, by the place in [`fields`].
pub(super) const PRECONDS: u32 = 1;
pub(super) const SEPARATED: u32 = 4;
pub(super) const AUTOMATION_TYPE: u32 = 5;
pub(super) const AUTOMATION_ID: u32 = 6;
pub(super) const ADO_ID: u32 = 9;
pub(super) const ADO_URL: u32 = 10;
pub(super) const STEP_RESULTS: u32 = 15;

/// Makes the instance without cases and runs.
pub(super) fn instance(world: &World) -> State {
    let mut state = State { users: users(world), statuses: meta::statuses(), ..State::default() };
    fields(&mut state);
    for (name, suite_mode) in PROJECTS {
        let id = take(&mut state.next.project);
        let project = Project {
            name: name.into(),
            announcement: None,
            show_announcement: false,
            completed_on: None,
            suite_mode,
        };
        state.projects.insert(id, project);
        let first = if suite_mode == 3 { PROJECT } else { "Master" };
        new_suite(&mut state, id, first.into(), None, suite_mode < 3, false);
    }
    let (company, slide_rule) = (1, 3);
    new_suite(&mut state, slide_rule, "Release 1".into(), None, false, true);
    let archive = Some("Cases that nobody runs any more".into());
    new_suite(&mut state, company, "Archive".into(), archive, false, false);
    let group = take(&mut state.next.config_group);
    let mut configs = Vec::new();
    for configuration in &world.configurations {
        configs.push((take(&mut state.next.config), configuration.name.into()));
    }
    let name = "Operating systems".into();
    state.config_groups.insert(group, ConfigGroup { project: company, name, configs });
    state
}

/// The first is the administrator; one reads only, others design or test.
fn users(world: &World) -> Vec<User> {
    let role = |n: usize| match n % 8 {
        0 => 1,
        5 => 4,
        n if n % 2 == 1 => 2,
        _ => 3,
    };
    let one = |(n, user): (usize, &crate::sandbox::world::User)| User {
        name: user.name.clone(),
        email: user.email.clone(),
        active: user.active,
        admin: n == 0,
        role: role(n),
    };
    world.users.iter().enumerate().map(one).collect()
}

/// A field as it is set up.
struct Draft {
    kind: u8,
    name: &'static str,
    label: &'static str,
    /// Empty: all templates.
    templates: &'static [u32],
    options: Value,
}

fn fields(state: &mut State) {
    let text = || json!({"is_required": false, "default_value": "", "format": "markdown", "rows": "7"});
    let plain = || json!({"is_required": false, "default_value": ""});
    let bare = || json!({"is_required": false});
    let steps = json!({
        "is_required": false, "format": "markdown", "rows": "5", "has_expected": true,
        "has_additional": true, "has_reference": true,
    });
    let results = json!({
        "is_required": false, "format": "markdown", "rows": "5", "has_expected": true, "has_actual": true,
        "has_additional": true, "has_reference": true,
    });
    let items = |items: &str| json!({"is_required": false, "default_value": "", "items": items});
    let all = [
        draft(3, "preconds", "Preconditions", &[TEXT, STEPS], text()),
        draft(3, "steps", "Steps", &[TEXT], text()),
        draft(3, "expected", "Expected Result", &[TEXT], text()),
        draft(10, "steps_separated", "Steps", &[STEPS], steps),
        draft(6, "automation_type", "Automation Type", &[], items("0, None\n1, Ranorex")),
        draft(1, "automation_id", "Automation ID", &[], plain()),
        draft(3, "mission", "Mission", &[3], text()),
        draft(3, "goals", "Goals", &[3], text()),
        draft(1, "azure_devops_id", "Azure DevOps ID", &[], plain()),
        draft(4, "azure_devops_url", "Azure DevOps URL", &[], plain()),
        draft(12, "platforms", "Platforms", &[], items("1, Desktop\n2, Phone\n3, Tablet, large")),
        draft(5, "regulated", "Regulated", &[], json!({"is_required": false, "default_value": "0"})),
        draft(8, "review_on", "Review on", &[], bare()),
        draft(6, "risk", "Risk", &[], items("1, Low\n2, High")),
        draft(11, "step_results", "Steps", &[STEPS], results),
    ];
    for draft in all {
        let id = take(&mut state.next.field);
        let Value::Object(options) = draft.options else { continue };
        let mut configs = vec![FieldConfig {
            id: format!("4be1344d{id:05x}"),
            global: true,
            projects: Vec::new(),
            options: options.clone(),
        }];
        if draft.name == "risk" {
            configs = vec![strict(options)];
        }
        state.fields.push(Field {
            id,
            of_results: draft.kind == 11,
            kind: draft.kind,
            name: draft.name.to_owned(),
            label: draft.label.to_owned(),
            description: None,
            order: id,
            include_all: draft.templates.is_empty(),
            templates: draft.templates.to_vec(),
            system: id <= 4 || matches!(draft.name, "mission" | "goals" | "step_results"),
            configs,
        });
    }
}

fn draft(
    kind: u8,
    name: &'static str,
    label: &'static str,
    templates: &'static [u32],
    options: Value,
) -> Draft {
    Draft { kind, name, label, templates, options }
}

/// A field that one project alone has, and requires.
fn strict(mut options: Map<String, Value>) -> FieldConfig {
    options.insert("is_required".to_owned(), true.into());
    FieldConfig { id: "4be1344d0risk".to_owned(), global: false, projects: vec![STRICT], options }
}
