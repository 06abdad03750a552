//! Work item types, their states and transitions, as the official templates define them.

use serde::{Deserialize, Serialize};

use super::fields::F;

/// A state of a type.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StateDef {
    pub(super) name: String,
    pub(super) color: String,
    pub(super) category: String,
}

/// A field on a type.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TypeField {
    pub(super) field: u16,
    pub(super) required: bool,
    pub(super) default: Option<String>,
    pub(super) allowed: Vec<String>,
    /// Added by a customer rather than by the template.
    pub(super) custom: bool,
}

/// A work item type of one process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TypeDef {
    pub(super) name: String,
    /// The reference name that the tracking API shows.
    pub(super) reference: String,
    /// The reference name in the process once it was derived there.
    pub(super) derived: Option<String>,
    pub(super) color: String,
    pub(super) icon: String,
    pub(super) description: String,
    pub(super) disabled: bool,
    pub(super) states: Vec<StateDef>,
    /// From, to, default reason; the first has no from.
    pub(super) transitions: Vec<(String, String, String)>,
    pub(super) fields: Vec<TypeField>,
}

impl TypeDef {
    /// The state that a new item starts in.
    pub(super) fn initial(&self) -> (&str, &str) {
        self.transitions
            .iter()
            .find(|(from, ..)| from.is_empty())
            .map_or(("", ""), |(_, to, reason)| (to.as_str(), reason.as_str()))
    }

    /// The default reason of a step between two states, if it is allowed.
    pub(super) fn reason(&self, from: &str, to: &str) -> Option<&str> {
        self.transitions
            .iter()
            .find(|(f, t, _)| f.eq_ignore_ascii_case(from) && t.eq_ignore_ascii_case(to))
            .map(|(.., reason)| reason.as_str())
    }

    /// The state of that name, as the type spells it.
    pub(super) fn state(&self, name: &str) -> Option<&StateDef> {
        self.states.iter().find(|s| s.name.eq_ignore_ascii_case(name))
    }

    /// The field of that number on this type.
    pub(super) fn field(&self, field: u16) -> Option<&TypeField> {
        self.fields.iter().find(|f| f.field == field)
    }
}

/// The names of the types that only the test APIs may create and delete.
pub(super) const TEST_TYPES: [&str; 5] =
    ["Test Plan", "Test Suite", "Test Case", "Shared Steps", "Shared Parameter"];

/// Reference name, display name, default type and all types of each category.
pub(super) const CATEGORIES: &[(&str, &str, &str, &[&str])] = &[
    ("Microsoft.BugCategory", "Bug Category", "Bug", &["Bug"]),
    ("Microsoft.EpicCategory", "Epic Category", "Epic", &["Epic"]),
    ("Microsoft.FeatureCategory", "Feature Category", "Feature", &["Feature"]),
    ("Microsoft.RequirementCategory", "Requirement Category", "User Story", &["User Story"]),
    ("Microsoft.TaskCategory", "Task Category", "Task", &["Task"]),
    ("Microsoft.TestCaseCategory", "Test Case Category", "Test Case", &["Test Case"]),
    ("Microsoft.TestPlanCategory", "Test Plan Category", "Test Plan", &["Test Plan"]),
    ("Microsoft.TestSuiteCategory", "Test Suite Category", "Test Suite", &["Test Suite"]),
    ("Microsoft.SharedStepCategory", "Shared Steps Category", "Shared Steps", &["Shared Steps"]),
    (
        "Microsoft.SharedParameterCategory",
        "Shared Parameter Category",
        "Shared Parameter",
        &["Shared Parameter"],
    ),
    (
        "Microsoft.HiddenCategory",
        "Hidden Types Category",
        "Shared Steps",
        &["Shared Steps", "Shared Parameter", "Test Plan", "Test Suite"],
    ),
];

/// The fields that every type has.
const COMMON: &[F] = &[
    F::Id,
    F::Rev,
    F::AreaId,
    F::AreaPath,
    F::NodeName,
    F::AreaLevel1,
    F::AreaLevel2,
    F::TeamProject,
    F::IterationId,
    F::IterationPath,
    F::IterationLevel1,
    F::IterationLevel2,
    F::WorkItemType,
    F::State,
    F::Reason,
    F::AssignedTo,
    F::CreatedDate,
    F::CreatedBy,
    F::ChangedDate,
    F::ChangedBy,
    F::AuthorizedDate,
    F::AuthorizedAs,
    F::RevisedDate,
    F::PersonId,
    F::Watermark,
    F::CommentCount,
    F::Title,
    F::Description,
    F::History,
    F::Tags,
    F::Parent,
    F::IsDeleted,
    F::RelatedLinkCount,
    F::HyperLinkCount,
    F::AttachedFileCount,
    F::ExternalLinkCount,
    F::BoardColumn,
    F::StateChangeDate,
    F::ActivatedDate,
    F::ActivatedBy,
    F::ClosedDate,
    F::ClosedBy,
    F::IntegrationBuild,
];

fn field(field: F, required: bool, default: Option<&str>, allowed: &[&str]) -> TypeField {
    TypeField {
        field: field as u16,
        required,
        default: default.map(str::to_owned),
        allowed: allowed.iter().map(|&a| a.to_owned()).collect(),
        custom: false,
    }
}

fn priority() -> TypeField {
    field(F::Priority, false, Some("2"), &["1", "2", "3", "4"])
}

fn value_area() -> TypeField {
    field(F::ValueArea, true, Some("Business"), &["Architectural", "Business"])
}

fn plain(fields: &[F]) -> Vec<TypeField> {
    fields.iter().map(|&f| field(f, false, None, &[])).collect()
}

/// The steps that every pair of states allows, with one reason per target.
fn any_to_any(states: &[(&str, &str)]) -> Vec<(String, String, String)> {
    let pairs = states.iter().flat_map(|from| states.iter().map(move |to| (from, to)));
    pairs
        .filter(|(from, to)| from.0 != to.0)
        .map(|(from, to)| (from.0.to_owned(), to.0.to_owned(), to.1.to_owned()))
        .collect()
}

fn steps(list: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    list.iter().map(|(f, t, r)| ((*f).to_owned(), (*t).to_owned(), (*r).to_owned())).collect()
}

fn define(
    name: &str,
    color: &str,
    icon: &str,
    states: &[(&str, &str)],
    transitions: Vec<(String, String, String)>,
    own: Vec<TypeField>,
) -> TypeDef {
    let mut fields: Vec<TypeField> = COMMON
        .iter()
        .map(|&f| field(f, matches!(f, F::Title | F::State | F::AreaId | F::IterationId), None, &[]))
        .collect();
    fields.extend(own);
    let color_of = |category: &str| match category {
        "Proposed" => "b2b2b2",
        "InProgress" => "007acc",
        "Resolved" => "ff9d00",
        "Completed" => "339933",
        _ => "ffffff",
    };
    TypeDef {
        name: name.to_owned(),
        reference: format!("Microsoft.VSTS.WorkItemTypes.{}", name.replace(' ', "")),
        derived: None,
        color: color.to_owned(),
        icon: icon.to_owned(),
        description: format!("{name} of the Agile process."),
        disabled: false,
        states: states
            .iter()
            .map(|(name, category)| StateDef {
                name: (*name).to_owned(),
                color: color_of(category).to_owned(),
                category: (*category).to_owned(),
            })
            .collect(),
        transitions,
        fields,
    }
}

/// The types of the Agile process.
pub(super) fn agile() -> Vec<TypeDef> {
    let mut types = test_types();
    types.push(bug());
    for (name, color, icon) in [
        ("Epic", "FF7B00", "icon_crown"),
        ("Feature", "773B93", "icon_trophy"),
        ("User Story", "009CCC", "icon_book"),
    ] {
        types.push(requirement(name, color, icon));
    }
    types.push(task());
    types
}

fn bug() -> TypeDef {
    let states =
        [("New", "Proposed"), ("Active", "InProgress"), ("Resolved", "Resolved"), ("Closed", "Completed")];
    let transitions = steps(&[
        ("", "New", "New"),
        ("New", "Active", "Approved"),
        ("New", "Resolved", "Fixed"),
        ("New", "Closed", "Deferred"),
        ("Active", "New", "Investigation Complete"),
        ("Active", "Resolved", "Fixed"),
        ("Active", "Closed", "Deferred"),
        ("Resolved", "New", "Not fixed"),
        ("Resolved", "Active", "Not fixed"),
        ("Resolved", "Closed", "Verified"),
        ("Closed", "New", "Reactivated"),
        ("Closed", "Active", "Regression"),
        ("Closed", "Resolved", "Closed in error"),
    ]);
    let mut own = vec![
        priority(),
        field(F::Severity, false, Some("3 - Medium"), &["1 - Critical", "2 - High", "3 - Medium", "4 - Low"]),
        value_area(),
    ];
    own.extend(plain(&[
        F::ReproSteps,
        F::SystemInfo,
        F::FoundIn,
        F::ResolvedReason,
        F::ResolvedDate,
        F::ResolvedBy,
        F::StackRank,
        F::StoryPoints,
        F::OriginalEstimate,
        F::RemainingWork,
        F::CompletedWork,
        F::Activity,
        F::AcceptanceCriteria,
    ]));
    define("Bug", "CC293D", "icon_insect", &states, transitions, own)
}

fn requirement(name: &str, color: &str, icon: &str) -> TypeDef {
    let states = [
        ("New", "Proposed"),
        ("Active", "InProgress"),
        ("Resolved", "Resolved"),
        ("Closed", "Completed"),
        ("Removed", "Removed"),
    ];
    let mut transitions = steps(&[("", "New", "New")]);
    transitions.extend(any_to_any(&[
        ("New", "Moved to state New"),
        ("Active", "Implementation started"),
        ("Resolved", "Code complete and unit tests pass"),
        ("Closed", "Acceptance tests pass"),
        ("Removed", "Removed from the backlog"),
    ]));
    let mut own = vec![priority(), value_area()];
    own.extend(plain(&[
        F::AcceptanceCriteria,
        F::Risk,
        F::StackRank,
        F::StoryPoints,
        F::Effort,
        F::StartDate,
        F::FinishDate,
        F::TargetDate,
        F::ResolvedReason,
        F::ResolvedDate,
        F::ResolvedBy,
    ]));
    define(name, color, icon, &states, transitions, own)
}

fn task() -> TypeDef {
    let states =
        [("New", "Proposed"), ("Active", "InProgress"), ("Closed", "Completed"), ("Removed", "Removed")];
    let mut transitions = steps(&[("", "New", "New")]);
    transitions.extend(any_to_any(&[
        ("New", "Moved to state New"),
        ("Active", "Work started"),
        ("Closed", "Completed"),
        ("Removed", "Removed from the backlog"),
    ]));
    let mut own = vec![priority()];
    own.extend(plain(&[
        F::Activity,
        F::OriginalEstimate,
        F::RemainingWork,
        F::CompletedWork,
        F::StartDate,
        F::FinishDate,
        F::StackRank,
    ]));
    define("Task", "F2CB1D", "icon_clipboard", &states, transitions, own)
}

fn test_types() -> Vec<TypeDef> {
    let automation =
        field(F::AutomationStatus, true, Some("Not Automated"), &["Not Automated", "Planned", "Automated"]);
    let mut case = vec![priority(), automation];
    case.extend(plain(&[
        F::Steps,
        F::Parameters,
        F::LocalDataSource,
        F::AutomatedTestName,
        F::AutomatedTestStorage,
        F::AutomatedTestId,
        F::AutomatedTestType,
    ]));
    let case = define(
        "Test Case",
        "004B50",
        "icon_test_case",
        &[("Design", "Proposed"), ("Ready", "InProgress"), ("Closed", "Completed")],
        steps(&[
            ("", "Design", "New"),
            ("Design", "Ready", "Completed"),
            ("Ready", "Design", "Update Test Case"),
            ("Design", "Closed", "Obsolete"),
            ("Ready", "Closed", "Obsolete"),
            ("Closed", "Design", "Reactivated"),
            ("Closed", "Ready", "Reactivated"),
        ]),
        case,
    );
    let mut shared_fields = vec![priority()];
    shared_fields.extend(plain(&[F::Steps, F::Parameters]));
    let shared = define(
        "Shared Steps",
        "004B50",
        "icon_test_step",
        &[("Active", "InProgress"), ("Closed", "Completed")],
        steps(&[
            ("", "Active", "New"),
            ("Active", "Closed", "Completed"),
            ("Closed", "Active", "Reactivated"),
        ]),
        shared_fields,
    );
    let parameter = define(
        "Shared Parameter",
        "004B50",
        "icon_test_parameter",
        &[("Active", "InProgress"), ("Inactive", "Completed")],
        steps(&[
            ("", "Active", "New"),
            ("Active", "Inactive", "Deactivated"),
            ("Inactive", "Active", "Reactivated"),
        ]),
        {
            let mut own = vec![priority()];
            own.extend(plain(&[F::Parameters]));
            own
        },
    );
    let (plan, suite) = plan_types();
    vec![case, plan, suite, shared, parameter]
}

fn plan_types() -> (TypeDef, TypeDef) {
    let plan = define(
        "Test Plan",
        "004B50",
        "icon_test_plan",
        &[("Active", "InProgress"), ("Inactive", "Completed")],
        steps(&[
            ("", "Active", "New test plan"),
            ("Active", "Inactive", "Test plan deactivated"),
            ("Inactive", "Active", "Test plan reactivated"),
        ]),
        plain(&[F::StartDate, F::FinishDate]),
    );
    let mut suite_steps = steps(&[("", "In Progress", "New test suite")]);
    suite_steps.extend(any_to_any(&[
        ("In Planning", "Plan test cases for this test suite"),
        ("In Progress", "Reactivating to run tests"),
        ("Completed", "Completed testing for this test suite"),
    ]));
    let suite = define(
        "Test Suite",
        "004B50",
        "icon_test_suite",
        &[("In Planning", "Proposed"), ("In Progress", "InProgress"), ("Completed", "Completed")],
        suite_steps,
        plain(&[F::TestSuiteType, F::TestSuiteTypeId, F::QueryText, F::TestSuiteAudit]),
    );
    (plan, suite)
}
