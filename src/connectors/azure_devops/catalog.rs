//! Names: which field a pipeline means, which types play which part, which plan a
//! suite belongs to. Read once and kept, since these do not move during a run.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::client::Api;
use super::wire::{Category, FieldDef};
use crate::connectors::Error;

/// The categories that types are found through: processes may rename the types.
pub(super) mod category {
    pub(in super::super) const PLAN: &str = "Microsoft.TestPlanCategory";
    pub(in super::super) const SUITE: &str = "Microsoft.TestSuiteCategory";
    pub(in super::super) const CASE: &str = "Microsoft.TestCaseCategory";
    pub(in super::super) const SHARED_STEPS: &str = "Microsoft.SharedStepCategory";
    pub(in super::super) const BUG: &str = "Microsoft.BugCategory";
    pub(in super::super) const REQUIREMENT: &str = "Microsoft.RequirementCategory";
}

pub(super) const TITLE: &str = "System.Title";
pub(super) const STATE: &str = "System.State";
pub(super) const AREA: &str = "System.AreaPath";
pub(super) const ITERATION: &str = "System.IterationPath";
pub(super) const TAGS: &str = "System.Tags";
pub(super) const STEPS: &str = "Microsoft.VSTS.TCM.Steps";

/// Fields whose names pipelines rely on, whatever the organisation calls them.
const BUILT_IN: [(&str, &str); 20] = [
    ("Title", TITLE),
    ("Description", "System.Description"),
    ("State", STATE),
    ("Reason", "System.Reason"),
    ("Area Path", AREA),
    ("Iteration Path", ITERATION),
    ("Tags", TAGS),
    ("Assigned To", "System.AssignedTo"),
    ("Created Date", "System.CreatedDate"),
    ("Created By", "System.CreatedBy"),
    ("Changed Date", "System.ChangedDate"),
    ("Changed By", "System.ChangedBy"),
    ("Work Item Type", "System.WorkItemType"),
    ("Priority", "Microsoft.VSTS.Common.Priority"),
    ("Severity", "Microsoft.VSTS.Common.Severity"),
    ("Steps", STEPS),
    ("Automation status", "Microsoft.VSTS.TCM.AutomationStatus"),
    ("Repro Steps", "Microsoft.VSTS.TCM.ReproSteps"),
    ("Start Date", "Microsoft.VSTS.Scheduling.StartDate"),
    ("Finish Date", "Microsoft.VSTS.Scheduling.FinishDate"),
];

/// Fields that stay out of the rows: counters and derived ids, which move without
/// anybody having edited the item, and the audit text of suites.
const LEFT_OUT: [&str; 17] = [
    "System.Id",
    "System.Rev",
    "System.Watermark",
    "System.AuthorizedDate",
    "System.AuthorizedAs",
    "System.RevisedDate",
    "System.PersonId",
    "System.AreaId",
    "System.IterationId",
    "System.NodeName",
    "System.CommentCount",
    "System.History",
    "System.ExternalLinkCount",
    "System.HyperLinkCount",
    "System.AttachedFileCount",
    "System.RelatedLinkCount",
    "Microsoft.VSTS.TCM.TestSuiteAudit",
];

/// The fields of the organisation.
#[derive(Debug)]
pub(super) struct Fields {
    by_reference: HashMap<String, FieldDef>,
    by_name: HashMap<String, String>,
    /// What [`Fields::display`] says of the known fields.
    displayed: HashMap<String, Option<String>>,
}

impl Fields {
    pub(super) fn new(defs: Vec<FieldDef>) -> Self {
        let mut by_name: HashMap<String, String> =
            defs.iter().map(|d| (d.name.to_lowercase(), d.reference_name.clone())).collect();
        by_name
            .extend(BUILT_IN.iter().map(|(name, reference)| (name.to_lowercase(), (*reference).to_owned())));
        let by_reference = defs.into_iter().map(|d| (d.reference_name.clone(), d)).collect();
        let mut fields = Self { by_reference, by_name, displayed: HashMap::new() };
        let known = fields.by_reference.keys().map(String::as_str);
        let known = known.chain(BUILT_IN.iter().map(|(_, reference)| *reference)).chain(LEFT_OUT);
        fields.displayed = known.map(|name| (name.to_owned(), fields.work_out_display(name))).collect();
        fields
    }

    /// Returns the name that pipelines use; `None` for fields that stay out.
    pub(super) fn display(&self, reference: &str) -> Option<String> {
        match self.displayed.get(reference) {
            Some(known) => known.clone(),
            None => self.work_out_display(reference),
        }
    }

    fn work_out_display(&self, reference: &str) -> Option<String> {
        if LEFT_OUT.contains(&reference) || reference.contains("Level") && reference.starts_with("System.") {
            return None;
        }
        if let Some((name, _)) = BUILT_IN.iter().find(|(_, built_in)| *built_in == reference) {
            return Some((*name).to_owned());
        }
        Some(self.by_reference.get(reference).map_or_else(|| reference.to_owned(), |def| def.name.clone()))
    }

    /// Finds the reference name of a field that a pipeline names.
    pub(super) fn reference(&self, name: &str) -> Option<&str> {
        if let Some(def) = self.by_reference.get(name) {
            return Some(&def.reference_name);
        }
        self.by_name.get(&name.to_lowercase()).map(String::as_str)
    }

    pub(super) fn get(&self, reference: &str) -> Option<&FieldDef> {
        self.by_reference.get(reference)
    }

    /// Tells whether somebody added the field to what the vendor ships.
    pub(super) fn is_custom(reference: &str) -> bool {
        !reference.starts_with("System.") && !reference.starts_with("Microsoft.")
    }
}

/// The work item types of a project by category.
#[derive(Debug, Default)]
pub(super) struct Types(HashMap<String, (String, Vec<String>)>);

impl Types {
    pub(super) fn new(categories: Vec<Category>) -> Self {
        let entry = |c: Category| {
            let all: Vec<String> = c.work_item_types.into_iter().map(|t| t.name).collect();
            let default = c.default_work_item_type.map(|t| t.name).or_else(|| all.first().cloned())?;
            Some((c.reference_name, (default, all)))
        };
        Self(categories.into_iter().filter_map(entry).collect())
    }

    /// Returns the type that new items of a category get.
    pub(super) fn default_of(&self, category: &str) -> Option<&str> {
        self.0.get(category).map(|(default, _)| default.as_str())
    }

    /// Tells whether the project's process has the category at all.
    pub(super) fn has(&self, category: &str) -> bool {
        self.0.get(category).is_some_and(|(_, all)| !all.is_empty())
    }
}

/// What was read of the names so far.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    fields: Mutex<Option<Arc<Fields>>>,
    types: Mutex<HashMap<String, Arc<Types>>>,
    suite_plans: std::sync::Mutex<HashMap<i64, i64>>,
}

impl Catalog {
    /// Returns the fields, reading them the first time.
    pub(super) async fn fields(&self, api: &Api) -> Result<Arc<Fields>, Error> {
        let mut held = self.fields.lock().await;
        if let Some(fields) = &*held {
            return Ok(fields.clone());
        }
        let fields = Arc::new(Fields::new(api.list(None, "wit/fields", &[], "reading the fields").await?));
        *held = Some(fields.clone());
        Ok(fields)
    }

    /// Returns the types of a project, reading them the first time.
    pub(super) async fn types(&self, api: &Api, project: &str) -> Result<Arc<Types>, Error> {
        let mut held = self.types.lock().await;
        if let Some(types) = held.get(project) {
            return Ok(types.clone());
        }
        let operation = "reading the work item type categories";
        let list = api.list(Some(project), "wit/workitemtypecategories", &[], operation).await?;
        let types = Arc::new(Types::new(list));
        held.insert(project.to_owned(), types.clone());
        Ok(types)
    }

    /// Forgets the fields after one was made.
    pub(super) async fn forget_fields(&self) {
        *self.fields.lock().await = None;
    }

    /// Notes which plan a suite belongs to; that never changes.
    pub(super) fn note_suite(&self, suite: i64, plan: i64) {
        if let Ok(mut held) = self.suite_plans.lock() {
            held.insert(suite, plan);
        }
    }

    /// Returns the plan of a suite that was seen before.
    pub(super) fn plan_of(&self, suite: i64) -> Option<i64> {
        self.suite_plans.lock().ok()?.get(&suite).copied()
    }
}
