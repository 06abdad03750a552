//! Fills the emulator from the made-up company.

use super::super::world::{self, World};
use super::fields::{F, Field, Kind, builtin};
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

/// The state for a world; without artifacts if `empty`.
pub(super) fn state(world: &World, empty: bool) -> State {
    let mut state = base(world);
    state.reindex();
    let _ = empty;
    state
}

fn base(world: &World) -> State {
    let now = world.now.timestamp_millis();
    let mut state = State { fields: builtin(), next_item: 1, next_node: 1, next_run: 1, ..State::default() };
    state.people = world
        .users
        .iter()
        .enumerate()
        .map(|(n, user)| Person {
            guid: guid(&format!("user {n}")),
            name: user.name.clone(),
            unique: user.email.clone(),
        })
        .collect();
    processes(&mut state);
    for (number, name) in [world::PROJECT, SECOND].into_iter().enumerate() {
        project(&mut state, number, name, now);
    }
    state
}

fn processes(state: &mut State) {
    let system = |guid: &str, name: &str, types| Process {
        guid: guid.to_owned(),
        name: name.to_owned(),
        reference: "".to_owned(),
        description: format!("The {name} process of the service."),
        parent: None,
        types,
    };
    let mut inherited = system(&guid("process Contoso Agile"), "Contoso Agile", agile());
    inherited.reference = "Inherited.ContosoAgile".to_owned();
    inherited.parent = Some(AGILE.to_owned());
    for name in CROSS_REFERENCES {
        let reference = format!("Custom.{}", name.replace(' ', ""));
        let number = u16::try_from(state.fields.len()).unwrap_or(u16::MAX);
        state.fields.push(Field {
            reference,
            name: name.to_owned(),
            kind: Kind::Text,
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
