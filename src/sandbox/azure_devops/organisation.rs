//! The organisation before anybody works in it: people, processes, projects, configurations.

use super::super::world::{self, World};
use super::fields::{Field, Kind as FieldKind, builtin};
use super::state::{Person, Process, Project, State};
use super::suites::{Configuration, Variable};
use super::types::{TypeField, agile};
use super::value::{Millis, guid};

/// The id of the Agile process in every organisation.
const AGILE: &str = "adcc42ab-9882-485e-a3ed-7678f01f66bc";
/// The other project, to prove that calls keep to theirs.
const SECOND: &str = "Fabrikam";
/// The text fields that hold the other side's id and url, per other side.
const CROSS_REFERENCES: [&str; 8] =
    ["Xray ID", "Xray URL", "ALM ID", "ALM URL", "Octane ID", "Octane URL", "TestRail ID", "TestRail URL"];
/// The types that bear them.
const CROSS_REFERENCED: [&str; 7] =
    ["Test Case", "Test Plan", "Test Suite", "Shared Steps", "Bug", "User Story", "Feature"];
/// The variable whose values the configurations are.
const VARIABLE: &str = "Operating System";

/// The organisation of a world.
pub(super) fn made(world: &World) -> State {
    let now = world.now.timestamp_millis();
    let mut state = State { fields: builtin(), next_item: 1, next_node: 1, next_run: 1, ..State::default() };
    let person = |(n, user): (usize, &world::User)| Person {
        guid: guid(&format!("user {n}")),
        name: user.name.clone(),
        unique: user.email.clone(),
    };
    state.people = world.users.iter().enumerate().map(person).collect();
    processes(&mut state);
    for (number, name) in [world::PROJECT, SECOND].into_iter().enumerate() {
        project(&mut state, number, name, now);
    }
    for (iteration, paths) in [(false, &world.areas), (true, &world.iterations)] {
        for path in paths {
            let root = state.root(0, iteration);
            let above = path[..path.len() - 1].join("\\");
            let parent = if above.is_empty() {
                Some(root)
            } else {
                state.find_node(0, iteration, &format!("{}\\{above}", world::PROJECT))
            };
            if let Some(name) = path.last() {
                state.add_node(0, parent.or(Some(root)), iteration, name);
            }
        }
    }
    configurations(&mut state, world);
    state
}

fn configurations(state: &mut State, world: &World) {
    let names: Vec<String> = world.configurations.iter().map(|c| c.name.to_owned()).collect();
    for project in 0..2 {
        let id = project + 1;
        let description = "Operating systems under test".to_owned();
        let variable =
            Variable { project: id - 1, name: VARIABLE.to_owned(), description, values: names.clone() };
        state.variables.insert(u32::from(id), variable);
    }
    state.next_variable = 3;
    let second = names.first().map(|n| (1, n.clone(), true));
    let all = names.iter().enumerate().map(|(n, name)| (0, name.clone(), n == 0)).chain(second);
    for (number, (project, name, is_default)) in all.enumerate() {
        let values = vec![(VARIABLE.to_owned(), name.clone())];
        let held =
            Configuration { project, name, description: String::new(), is_default, active: true, values };
        let id = u32::try_from(number + 1).unwrap_or(u32::MAX);
        state.configurations.insert(id, held);
        state.next_configuration = id + 1;
    }
}

fn processes(state: &mut State) {
    let system = |guid: &str, name: &str, types| Process {
        guid: guid.to_owned(),
        name: name.to_owned(),
        reference: String::new(),
        description: format!("The {name} process."),
        parent: None,
        types,
    };
    let mut inherited = system(&guid("process Contoso Agile"), "Contoso Agile", agile());
    inherited.reference = "Inherited.ContosoAgile".to_owned();
    inherited.parent = Some(AGILE.to_owned());
    for name in CROSS_REFERENCES {
        let number = u16::try_from(state.fields.len()).unwrap_or(u16::MAX);
        state.fields.push(Field {
            reference: format!("Custom.{}", name.replace(' ', "")),
            name: name.to_owned(),
            kind: FieldKind::Text,
            read_only: false,
            custom: true,
            description: None,
            picklist: None,
            suggested: false,
            deleted: false,
            locked: false,
        });
        for kind in inherited.types.iter_mut().filter(|t| CROSS_REFERENCED.contains(&t.name.as_str())) {
            kind.derived = Some(format!("ContosoAgile.{}", kind.name.replace(' ', "")));
            kind.fields.push(TypeField {
                field: number,
                required: false,
                default: None,
                allowed: Vec::new(),
                custom: true,
            });
        }
    }
    state.processes = vec![system(AGILE, "Agile", agile()), inherited];
}

fn project(state: &mut State, number: usize, name: &str, now: Millis) {
    let of = u16::try_from(number).unwrap_or(0);
    state.projects.push(Project {
        guid: guid(&format!("project {name}")),
        name: name.to_owned(),
        description: format!("The project {name}."),
        process: usize::from(number == 0),
        area: 0,
        iteration: 0,
        created: now,
        automated_days: 30,
        manual_days: 365,
    });
    let area = state.add_node(of, None, false, name);
    let iteration = state.add_node(of, None, true, name);
    (state.projects[number].area, state.projects[number].iteration) = (area, iteration);
}
