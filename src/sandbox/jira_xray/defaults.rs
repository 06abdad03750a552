//! The site as it is before anyone writes to it: two projects, their workflows, fields and screens.

use super::site::{
    Category, Effect, Field, FieldContext, FieldKind, IssueType, LinkType, Project, Role, RunStatus, Screen,
    Site, Status, StepStatus, Tab, TestType, Transition, TypeSetup, User, Workflow,
};

/// Indices into the statuses, in the order of [`statuses`].
const OPEN: u16 = 0;
const IN_PROGRESS: u16 = 1;
const REOPENED: u16 = 2;
const RESOLVED: u16 = 3;
const CLOSED: u16 = 4;
const TO_DO: u16 = 5;
const DONE: u16 = 6;
const NEW: u16 = 7;

/// Indices into the workflows, in the order of [`workflows`].
const CLASSIC: u16 = 0;
const SIMPLIFIED: u16 = 1;
const TEST: u16 = 2;
const TEST_SET: u16 = 3;

/// What a custom field's type says before its last part.
pub(crate) const CUSTOM_TYPE: &str = "com.atlassian.jira.plugin.system.customfieldtypes:";

/// Ids below this one belong to what the site starts with.
const FIRST_FREE_ID: u64 = 20_000;

/// Builds the site for these users; the first one owns the keys.
pub(crate) fn site(users: Vec<User>) -> Site {
    let mut site = Site {
        users,
        owner: 0,
        projects: Vec::new(),
        types: issue_types(),
        statuses: statuses(),
        workflows: workflows(),
        screens: Vec::new(),
        fields: fields(),
        priorities: named(1, &["Highest", "High", "Medium", "Low", "Lowest"]),
        resolutions: named(10_000, &["Done", "Won't Do", "Duplicate", "Cannot Reproduce"]),
        link_types: link_types(),
        test_types: test_types(),
        run_statuses: run_statuses(),
        step_statuses: step_statuses(),
        next_id: FIRST_FREE_ID,
        next_field: 10_038,
    };
    site.screens.push(screen(1, "Default Screen", &[]));
    add_project(&mut site, 10_000, "CALC", "Calculator", false);
    add_project(&mut site, 10_001, "CLASSIC", "Classic Calculator", true);
    site
}

fn named(first: u64, names: &[&str]) -> Vec<(u64, String)> {
    (first..).zip(names.iter().map(|n| (*n).to_owned())).collect()
}

fn issue_types() -> Vec<IssueType> {
    [
        (10_000, "Epic", false, 1, Role::Other),
        (10_001, "Story", false, 0, Role::Requirement),
        (10_002, "Task", false, 0, Role::Other),
        (10_003, "Sub-task", true, -1, Role::Other),
        (10_004, "Bug", false, 0, Role::Bug),
        (10_005, "Test", false, 0, Role::Test),
        (10_006, "Test Set", false, 0, Role::TestSet),
        (10_007, "Test Plan", false, 0, Role::TestPlan),
        (10_008, "Test Execution", false, 0, Role::TestExecution),
        (10_009, "Precondition", false, 0, Role::Precondition),
        (10_010, "Sub Test Execution", true, -1, Role::TestExecution),
    ]
    .into_iter()
    .map(|(id, name, subtask, level, role)| IssueType { id, name: name.to_owned(), subtask, level, role })
    .collect()
}

fn statuses() -> Vec<Status> {
    [
        (1, "Open", Category::ToDo),
        (3, "In Progress", Category::InProgress),
        (4, "Reopened", Category::ToDo),
        (5, "Resolved", Category::Done),
        (6, "Closed", Category::Done),
        (10_000, "To Do", Category::ToDo),
        (10_001, "Done", Category::Done),
        (10_002, "New", Category::ToDo),
    ]
    .into_iter()
    .map(|(id, name, category)| Status { id, name: name.to_owned(), category })
    .collect()
}

fn edge(id: u32, name: &str, from: &[u16], to: u16, effect: Effect) -> Transition {
    Transition {
        id,
        name: name.to_owned(),
        from: from.to_vec(),
        to,
        screen: None,
        assignee_only: false,
        effect,
    }
}

fn workflows() -> Vec<Workflow> {
    vec![classic(), simplified(), test_workflow(), test_set_workflow()]
}

fn classic() -> Workflow {
    let screen =
        |fields: &[(&str, bool)]| Some(fields.iter().map(|(f, r)| ((*f).to_owned(), *r)).collect::<Vec<_>>());
    let resolving = || screen(&[("resolution", true), ("assignee", false), ("fixVersions", false)]);
    let work = [OPEN, IN_PROGRESS, REOPENED];
    let none = Effect::None;
    let clear = Effect::ClearResolution;
    let mut start = edge(4, "Start Progress", &[OPEN, REOPENED], IN_PROGRESS, none);
    start.assignee_only = true;
    let mut stop = edge(301, "Stop Progress", &[IN_PROGRESS], OPEN, clear);
    stop.assignee_only = true;
    let mut resolve = edge(5, "Resolve Issue", &work, RESOLVED, none);
    resolve.screen = resolving();
    let mut close = edge(2, "Close Issue", &work, CLOSED, none);
    close.screen = resolving();
    let mut close_resolved = edge(701, "Close Issue", &[RESOLVED], CLOSED, none);
    close_resolved.screen = screen(&[("fixVersions", false)]);
    let mut reopen = edge(3, "Reopen Issue", &[RESOLVED, CLOSED], REOPENED, clear);
    reopen.screen = screen(&[("assignee", false)]);
    Workflow {
        name: "jira".to_owned(),
        initial: OPEN,
        statuses: vec![OPEN, IN_PROGRESS, REOPENED, RESOLVED, CLOSED],
        transitions: vec![start, stop, resolve, close, close_resolved, reopen],
        locked: vec![CLOSED],
    }
}

fn simplified() -> Workflow {
    Workflow {
        name: "Software Simplified Workflow".to_owned(),
        initial: TO_DO,
        statuses: vec![TO_DO, IN_PROGRESS, DONE],
        transitions: vec![
            edge(11, "To Do", &[], TO_DO, Effect::ClearResolution),
            edge(21, "In Progress", &[], IN_PROGRESS, Effect::ClearResolution),
            edge(31, "Done", &[], DONE, Effect::Resolve(0)),
        ],
        locked: Vec::new(),
    }
}

fn test_workflow() -> Workflow {
    let clear = Effect::ClearResolution;
    let done = Effect::Resolve(0);
    Workflow {
        name: "Test Workflow".to_owned(),
        initial: NEW,
        statuses: vec![NEW, IN_PROGRESS, RESOLVED, CLOSED, REOPENED],
        transitions: vec![
            edge(11, "Start Progress", &[NEW, REOPENED], IN_PROGRESS, clear),
            edge(21, "Resolve Issue", &[NEW, IN_PROGRESS], RESOLVED, done),
            edge(31, "Close Issue", &[NEW, IN_PROGRESS], CLOSED, done),
            edge(41, "Reopen Issue", &[RESOLVED, CLOSED], REOPENED, clear),
        ],
        locked: Vec::new(),
    }
}

fn test_set_workflow() -> Workflow {
    let clear = Effect::ClearResolution;
    let done = Effect::Resolve(0);
    let to_closed = [NEW, IN_PROGRESS, REOPENED, RESOLVED];
    Workflow {
        name: "Test Set Workflow".to_owned(),
        initial: NEW,
        statuses: vec![NEW, IN_PROGRESS, RESOLVED, CLOSED, REOPENED],
        transitions: vec![
            edge(11, "Start Progress", &[NEW, REOPENED, CLOSED], IN_PROGRESS, clear),
            edge(21, "Resolve Issue", &[NEW, IN_PROGRESS, CLOSED], RESOLVED, done),
            edge(51, "Resolved", &[REOPENED], RESOLVED, done),
            edge(31, "Close Issue", &to_closed, CLOSED, done),
            edge(41, "Reopen Issue", &[NEW, RESOLVED, CLOSED], REOPENED, clear),
        ],
        locked: Vec::new(),
    }
}

/// The fields of the system, then the custom ones.
fn fields() -> Vec<Field> {
    use FieldKind as K;
    let system = [
        ("summary", "Summary", K::Text),
        ("description", "Description", K::Rich),
        ("environment", "Environment", K::Rich),
        ("issuetype", "Issue Type", K::IssueType),
        ("project", "Project", K::Project),
        ("priority", "Priority", K::Priority),
        ("labels", "Labels", K::Labels),
        ("components", "Components", K::Components),
        ("fixVersions", "Fix versions", K::Versions),
        ("versions", "Affects versions", K::Versions),
        ("assignee", "Assignee", K::User),
        ("reporter", "Reporter", K::User),
        ("parent", "Parent", K::Parent),
        ("duedate", "Due date", K::Date),
        ("resolution", "Resolution", K::Resolution),
        ("issuelinks", "Linked Issues", K::Links),
        ("attachment", "Attachment", K::Attachment),
        ("comment", "Comment", K::Comment),
        ("status", "Status", K::ReadOnly),
        ("created", "Created", K::ReadOnly),
        ("updated", "Updated", K::ReadOnly),
        ("creator", "Creator", K::ReadOnly),
        ("resolutiondate", "Resolved", K::ReadOnly),
        ("subtasks", "Sub-tasks", K::ReadOnly),
        ("statuscategorychangedate", "Status Category Changed", K::ReadOnly),
    ];
    let mut all: Vec<Field> = system
        .into_iter()
        .map(|(id, name, kind)| Field {
            id: id.to_owned(),
            name: name.to_owned(),
            description: String::new(),
            kind,
            custom: 0,
            tail: String::new(),
            searcher: String::new(),
            contexts: Vec::new(),
        })
        .collect();
    all.push(custom_field(10_037, "Azure DevOps ID", K::Text, "textfield", "textsearcher"));
    all.push(custom_field(10_038, "Azure DevOps URL", K::Url, "url", "exacttextsearcher"));
    all
}

/// A custom field with a global context.
pub(crate) fn custom_field(number: u64, name: &str, kind: FieldKind, tail: &str, searcher: &str) -> Field {
    Field {
        id: format!("customfield_{number}"),
        name: name.to_owned(),
        description: String::new(),
        kind,
        custom: number,
        tail: tail.to_owned(),
        searcher: searcher.to_owned(),
        contexts: vec![FieldContext {
            id: number + 100,
            name: format!("Default Configuration Scheme for {name}"),
            description: "Default configuration scheme generated by Jira".to_owned(),
            projects: Vec::new(),
            types: Vec::new(),
            options: Vec::new(),
        }],
    }
}

fn link_types() -> Vec<LinkType> {
    [
        (10_000, "Blocks", "is blocked by", "blocks"),
        (10_001, "Cloners", "is cloned by", "clones"),
        (10_002, "Duplicate", "is duplicated by", "duplicates"),
        (10_003, "Relates", "relates to", "relates to"),
        (10_004, "Test", "is tested by", "tests"),
        (10_005, "Defect", "created by", "created"),
    ]
    .into_iter()
    .map(|(id, name, inward, outward)| LinkType {
        id,
        name: name.to_owned(),
        inward: inward.to_owned(),
        outward: outward.to_owned(),
    })
    .collect()
}

fn test_types() -> Vec<TestType> {
    [
        ("5f0000000000000000000001", "Manual", "Steps"),
        ("5f0000000000000000000002", "Cucumber", "Gherkin"),
        ("5f0000000000000000000003", "Generic", "Unstructured"),
    ]
    .into_iter()
    .map(|(id, name, kind)| TestType { id: id.to_owned(), name: name.to_owned(), kind: kind.to_owned() })
    .collect()
}

fn run_statuses() -> Vec<RunStatus> {
    [
        ("TODO", "TO DO", false, "#A2A6AE", "NOTRUN"),
        ("EXECUTING", "EXECUTING", false, "#F1E069", "NOTRUN"),
        ("PASSED", "PASSED", true, "#95C160", "OK"),
        ("FAILED", "FAILED", true, "#D45D52", "NOK"),
        ("ABORTED", "ABORTED", true, "#111111", "NOTRUN"),
    ]
    .into_iter()
    .map(|(id, name, is_final, color, coverage)| RunStatus {
        id: id.to_owned(),
        name: name.to_owned(),
        description: format!("The test run is {}", name.to_lowercase()),
        color: color.to_owned(),
        is_final,
        coverage: coverage.to_owned(),
    })
    .collect()
}

fn step_statuses() -> Vec<StepStatus> {
    [
        ("TODO", "TO DO", "#A2A6AE", 0),
        ("EXECUTING", "EXECUTING", "#F1E069", 1),
        ("PASSED", "PASSED", "#95C160", 2),
        ("FAILED", "FAILED", "#D45D52", 3),
    ]
    .into_iter()
    .map(|(id, name, color, run_status)| StepStatus {
        id: id.to_owned(),
        name: name.to_owned(),
        color: color.to_owned(),
        run_status,
    })
    .collect()
}

fn screen(id: u64, name: &str, extra: &[&str]) -> Screen {
    let mut fields: Vec<String> = [
        "summary",
        "issuetype",
        "project",
        "description",
        "priority",
        "labels",
        "components",
        "fixVersions",
        "assignee",
        "reporter",
        "parent",
        "duedate",
        "issuelinks",
        "attachment",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    fields.extend(extra.iter().map(|f| (*f).to_owned()));
    let tab = Tab { id: 10_000 + id, name: "Field Tab".to_owned(), fields };
    Screen { id, name: name.to_owned(), tabs: vec![tab] }
}

/// Adds a project of all issue types, each type with its own screen.
fn add_project(site: &mut Site, id: u64, key: &str, name: &str, classic: bool) {
    let mut types = Vec::new();
    for (at, kind) in site.types.clone().iter().enumerate() {
        let workflow = match kind.role {
            _ if classic => CLASSIC,
            Role::Test | Role::TestPlan => TEST,
            Role::TestSet => TEST_SET,
            _ => SIMPLIFIED,
        };
        let synced = matches!(
            kind.role,
            Role::Test | Role::TestSet | Role::TestPlan | Role::TestExecution | Role::Bug
        );
        let mut extra = Vec::new();
        if synced {
            extra.extend(["customfield_10037", "customfield_10038"]);
        }
        if kind.role == Role::Bug {
            extra.extend(["environment", "versions"]);
        }
        let number = u64::try_from(site.screens.len()).unwrap_or_default() + 1;
        let title = format!("{key}: {} Screen", kind.name);
        site.screens.push(screen(number, &title, &extra));
        types.push(TypeSetup {
            kind: u16::try_from(at).unwrap_or_default(),
            workflow,
            screen: u16::try_from(site.screens.len() - 1).unwrap_or_default(),
        });
    }
    site.projects.push(Project {
        id,
        key: key.to_owned(),
        name: name.to_owned(),
        description: String::new(),
        lead: site.owner,
        types,
        next_number: 1,
        components: vec![(id + 100, "UI".to_owned())],
        versions: vec![(id + 200, "1.0".to_owned())],
    });
}
