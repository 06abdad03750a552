//! The site's configuration: people, projects, issue types, workflows, fields and screens.

use serde::{Deserialize, Serialize};

/// A person with an account.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) account_id: String,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) active: bool,
    pub(crate) time_zone: String,
    pub(crate) offset_minutes: i32,
}

/// What a project says about one of its issue types.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct TypeSetup {
    /// Index into [`Site::types`].
    pub(crate) kind: u16,
    /// Index into [`Site::workflows`].
    pub(crate) workflow: u16,
    /// Index into [`Site::screens`]; one screen serves create, edit and view.
    pub(crate) screen: u16,
}

/// A project.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct Project {
    pub(crate) id: u64,
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) lead: u16,
    pub(crate) types: Vec<TypeSetup>,
    pub(crate) next_number: u32,
    /// Components and versions, each an id and a name.
    pub(crate) components: Vec<(u64, String)>,
    pub(crate) versions: Vec<(u64, String)>,
}

/// What an issue type is to Xray.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Role {
    Test,
    TestSet,
    TestPlan,
    TestExecution,
    Precondition,
    Bug,
    Requirement,
    Other,
}

/// An issue type.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct IssueType {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) subtask: bool,
    pub(crate) level: i32,
    pub(crate) role: Role,
}

/// The category of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Category {
    ToDo,
    InProgress,
    Done,
}

/// A status.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) category: Category,
}

/// What a transition does besides moving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Effect {
    None,
    /// Sets that resolution, an index into [`Site::resolutions`].
    Resolve(u8),
    ClearResolution,
}

/// One edge of a workflow.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct Transition {
    pub(crate) id: u32,
    pub(crate) name: String,
    /// Status indices; empty: from any status.
    pub(crate) from: Vec<u16>,
    pub(crate) to: u16,
    /// Fields on its screen, the required ones flagged; `None`: no screen.
    pub(crate) screen: Option<Vec<(String, bool)>>,
    pub(crate) assignee_only: bool,
    pub(crate) effect: Effect,
}

/// A workflow.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct Workflow {
    pub(crate) name: String,
    pub(crate) initial: u16,
    pub(crate) statuses: Vec<u16>,
    pub(crate) transitions: Vec<Transition>,
    /// Statuses with `jira.issue.editable=false`.
    pub(crate) locked: Vec<u16>,
}

/// A tab of a screen.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct Tab {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) fields: Vec<String>,
}

/// A screen.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct Screen {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) tabs: Vec<Tab>,
}

impl Screen {
    pub(crate) fn holds(&self, field: &str) -> bool {
        self.tabs.iter().any(|t| t.fields.iter().any(|f| f == field))
    }
}

/// What a field can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum FieldKind {
    Text,
    Rich,
    Url,
    Number,
    Date,
    DateTime,
    Select,
    MultiSelect,
    Cascade,
    Labels,
    User,
    MultiUser,
    Priority,
    Resolution,
    Components,
    Versions,
    Parent,
    IssueType,
    Project,
    Links,
    Comment,
    Attachment,
    /// Kept by Jira itself: status, created, updated and the like.
    ReadOnly,
}

/// Where a custom field applies.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct FieldContext {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) description: String,
    /// Project ids and issue type ids; empty: all.
    pub(crate) projects: Vec<u64>,
    pub(crate) types: Vec<u64>,
    pub(crate) options: Vec<(u64, String)>,
}

/// A field, of the system or custom.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct Field {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) kind: FieldKind,
    /// Number of a custom field; 0 for a field of the system.
    pub(crate) custom: u64,
    /// The part of the type after the last colon, for custom fields.
    pub(crate) tail: String,
    pub(crate) searcher: String,
    pub(crate) contexts: Vec<FieldContext>,
}

/// A kind of link between issues.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct LinkType {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) inward: String,
    pub(crate) outward: String,
}

/// An entry of Xray's list of test types.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct TestType {
    pub(crate) id: String,
    pub(crate) name: String,
    /// `Steps`, `Gherkin` or `Unstructured`.
    pub(crate) kind: String,
}

/// An entry of Xray's list of run statuses.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct RunStatus {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) color: String,
    pub(crate) is_final: bool,
    pub(crate) coverage: String,
}

/// An entry of Xray's list of step statuses.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct StepStatus {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) color: String,
    /// Index into [`Site::run_statuses`].
    pub(crate) run_status: u8,
}

/// Everything an administrator sets up.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct Site {
    pub(crate) users: Vec<User>,
    /// Index of the user whose API key and token are handed out.
    pub(crate) owner: u16,
    pub(crate) projects: Vec<Project>,
    pub(crate) types: Vec<IssueType>,
    pub(crate) statuses: Vec<Status>,
    pub(crate) workflows: Vec<Workflow>,
    pub(crate) screens: Vec<Screen>,
    pub(crate) fields: Vec<Field>,
    pub(crate) priorities: Vec<(u64, String)>,
    pub(crate) resolutions: Vec<(u64, String)>,
    pub(crate) link_types: Vec<LinkType>,
    pub(crate) test_types: Vec<TestType>,
    pub(crate) run_statuses: Vec<RunStatus>,
    pub(crate) step_statuses: Vec<StepStatus>,
    /// Next id of contexts, options, tabs, components and other small things.
    pub(crate) next_id: u64,
    pub(crate) next_field: u64,
}

impl Site {
    pub(crate) fn user_index(&self, account_id: &str) -> Option<u16> {
        let at = self.users.iter().position(|u| u.account_id == account_id)?;
        u16::try_from(at).ok()
    }

    pub(crate) fn user(&self, index: u16) -> &User {
        &self.users[usize::from(index).min(self.users.len() - 1)]
    }

    /// Finds a project by id or key.
    pub(crate) fn project_index(&self, id_or_key: &str) -> Option<u16> {
        let at = self
            .projects
            .iter()
            .position(|p| p.key.eq_ignore_ascii_case(id_or_key) || p.id.to_string() == id_or_key)?;
        u16::try_from(at).ok()
    }

    pub(crate) fn type_index(&self, id_or_name: &str) -> Option<u16> {
        let at = self
            .types
            .iter()
            .position(|t| t.name.eq_ignore_ascii_case(id_or_name) || t.id.to_string() == id_or_name)?;
        u16::try_from(at).ok()
    }

    pub(crate) fn type_of_role(&self, role: Role) -> Option<u16> {
        let at = self.types.iter().position(|t| t.role == role && !t.subtask)?;
        u16::try_from(at).ok()
    }

    pub(crate) fn setup(&self, project: u16, kind: u16) -> Option<&TypeSetup> {
        self.projects[usize::from(project)].types.iter().find(|s| s.kind == kind)
    }

    pub(crate) fn screen(&self, project: u16, kind: u16) -> Option<&Screen> {
        self.setup(project, kind).map(|s| &self.screens[usize::from(s.screen)])
    }

    pub(crate) fn field(&self, id: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.id == id)
    }

    /// Finds a field by its id, its name or `cf[123]`, as JQL writes it.
    pub(crate) fn field_by_clause(&self, clause: &str) -> Option<&Field> {
        let number =
            clause.strip_prefix("cf[").and_then(|r| r.strip_suffix(']')).and_then(|n| n.parse::<u64>().ok());
        self.fields.iter().find(|f| {
            f.id.eq_ignore_ascii_case(clause)
                || f.name.eq_ignore_ascii_case(clause)
                || (f.custom != 0 && Some(f.custom) == number)
        })
    }

    /// Whether a custom field has a context that covers the project and type.
    pub(crate) fn field_applies(&self, field: &Field, project: u16, kind: u16) -> bool {
        let (project, kind) = (self.projects[usize::from(project)].id, self.types[usize::from(kind)].id);
        field.custom == 0
            || field.contexts.iter().any(|c| {
                (c.projects.is_empty() || c.projects.contains(&project))
                    && (c.types.is_empty() || c.types.contains(&kind))
            })
    }

    pub(crate) fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Finds a run status by id or name.
    pub(crate) fn run_status(&self, text: &str) -> Option<u8> {
        let text = match text.to_ascii_uppercase().as_str() {
            "PASS" => "PASSED".to_owned(),
            "FAIL" => "FAILED".to_owned(),
            _ => text.to_owned(),
        };
        find(self.run_statuses.iter().map(|s| (&s.id, &s.name)), &text)
    }

    /// Finds a step status by id or name.
    pub(crate) fn step_status(&self, text: &str) -> Option<u8> {
        let text = match text.to_ascii_uppercase().as_str() {
            "PASS" => "PASSED".to_owned(),
            "FAIL" => "FAILED".to_owned(),
            _ => text.to_owned(),
        };
        find(self.step_statuses.iter().map(|s| (&s.id, &s.name)), &text)
    }

    /// Finds a test type by id or name.
    pub(crate) fn test_type(&self, text: &str) -> Option<u8> {
        find(self.test_types.iter().map(|s| (&s.id, &s.name)), text)
    }
}

fn find<'a>(mut list: impl Iterator<Item = (&'a String, &'a String)>, text: &str) -> Option<u8> {
    let at = list.position(|(id, name)| id == text || name.eq_ignore_ascii_case(text))?;
    u8::try_from(at).ok()
}
