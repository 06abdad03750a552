//! The fields of the organisation: the built-in ones by number and those that were added.

use serde::{Deserialize, Serialize};

/// What kind of value a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    Text,
    Integer,
    Date,
    Plain,
    Html,
    Path,
    History,
    Double,
    Guid,
    Boolean,
    Person,
}

impl Kind {
    /// The service's name of the kind.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text | Self::Person => "string",
            Self::Integer => "integer",
            Self::Date => "dateTime",
            Self::Plain => "plainText",
            Self::Html => "html",
            Self::Path => "treePath",
            Self::History => "history",
            Self::Double => "double",
            Self::Guid => "guid",
            Self::Boolean => "boolean",
        }
    }

    /// The kind of that name; picklists are kept as their base.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "string" | "pickliststring" => Self::Text,
            "integer" | "picklistinteger" => Self::Integer,
            "datetime" => Self::Date,
            "plaintext" => Self::Plain,
            "html" => Self::Html,
            "treepath" => Self::Path,
            "history" => Self::History,
            "double" | "picklistdouble" => Self::Double,
            "guid" => Self::Guid,
            "boolean" => Self::Boolean,
            "identity" => Self::Person,
            _ => return None,
        })
    }

    /// Whether the values may be long; the reporting feed leaves those out.
    pub(super) fn is_long(self) -> bool {
        matches!(self, Self::Plain | Self::Html | Self::History)
    }
}

/// One field.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Field {
    pub(super) reference: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) read_only: bool,
    pub(super) custom: bool,
    pub(super) description: Option<String>,
    pub(super) picklist: Option<String>,
    pub(super) suggested: bool,
    pub(super) deleted: bool,
    pub(super) locked: bool,
}

/// Declares the built-in fields once: the enum's order is the table's order.
macro_rules! builtin {
    ($($id:ident $reference:literal $name:literal $kind:ident $read_only:literal;)*) => {
        /// The numbers of the built-in fields.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub(super) enum F { $($id,)* }

        /// The built-in fields in the order of their numbers.
        pub(super) fn builtin() -> Vec<Field> {
            vec![$(Field {
                reference: $reference.to_owned(), name: $name.to_owned(), kind: Kind::$kind, read_only: $read_only,
                custom: false, description: None, picklist: None, suggested: false, deleted: false, locked: false,
            },)*]
        }
    };
}

builtin! {
    Id "System.Id" "ID" Integer true;
    Rev "System.Rev" "Rev" Integer true;
    AreaId "System.AreaId" "Area ID" Integer true;
    AreaPath "System.AreaPath" "Area Path" Path false;
    NodeName "System.NodeName" "Node Name" Text true;
    AreaLevel1 "System.AreaLevel1" "Area Level 1" Text true;
    AreaLevel2 "System.AreaLevel2" "Area Level 2" Text true;
    TeamProject "System.TeamProject" "Team Project" Text true;
    IterationId "System.IterationId" "Iteration ID" Integer true;
    IterationPath "System.IterationPath" "Iteration Path" Path false;
    IterationLevel1 "System.IterationLevel1" "Iteration Level 1" Text true;
    IterationLevel2 "System.IterationLevel2" "Iteration Level 2" Text true;
    WorkItemType "System.WorkItemType" "Work Item Type" Text true;
    State "System.State" "State" Text false;
    Reason "System.Reason" "Reason" Text false;
    AssignedTo "System.AssignedTo" "Assigned To" Person false;
    CreatedDate "System.CreatedDate" "Created Date" Date true;
    CreatedBy "System.CreatedBy" "Created By" Person true;
    ChangedDate "System.ChangedDate" "Changed Date" Date true;
    ChangedBy "System.ChangedBy" "Changed By" Person true;
    AuthorizedDate "System.AuthorizedDate" "Authorized Date" Date true;
    AuthorizedAs "System.AuthorizedAs" "Authorized As" Person true;
    RevisedDate "System.RevisedDate" "Revised Date" Date true;
    PersonId "System.PersonId" "Person ID" Integer true;
    Watermark "System.Watermark" "Watermark" Integer true;
    CommentCount "System.CommentCount" "Comment Count" Integer true;
    Title "System.Title" "Title" Text false;
    Description "System.Description" "Description" Html false;
    History "System.History" "History" History false;
    Tags "System.Tags" "Tags" Plain false;
    Parent "System.Parent" "Parent" Integer true;
    IsDeleted "System.IsDeleted" "Is Deleted" Boolean true;
    RelatedLinkCount "System.RelatedLinkCount" "Related Link Count" Integer true;
    HyperLinkCount "System.HyperLinkCount" "Hyperlink Count" Integer true;
    AttachedFileCount "System.AttachedFileCount" "Attached File Count" Integer true;
    ExternalLinkCount "System.ExternalLinkCount" "External Link Count" Integer true;
    BoardColumn "System.BoardColumn" "Board Column" Text true;
    Priority "Microsoft.VSTS.Common.Priority" "Priority" Integer false;
    Severity "Microsoft.VSTS.Common.Severity" "Severity" Text false;
    ValueArea "Microsoft.VSTS.Common.ValueArea" "Value Area" Text false;
    Risk "Microsoft.VSTS.Common.Risk" "Risk" Text false;
    StackRank "Microsoft.VSTS.Common.StackRank" "Stack Rank" Double false;
    Activity "Microsoft.VSTS.Common.Activity" "Activity" Text false;
    AcceptanceCriteria "Microsoft.VSTS.Common.AcceptanceCriteria" "Acceptance Criteria" Html false;
    ResolvedReason "Microsoft.VSTS.Common.ResolvedReason" "Resolved Reason" Text false;
    StateChangeDate "Microsoft.VSTS.Common.StateChangeDate" "State Change Date" Date true;
    ActivatedDate "Microsoft.VSTS.Common.ActivatedDate" "Activated Date" Date false;
    ActivatedBy "Microsoft.VSTS.Common.ActivatedBy" "Activated By" Person false;
    ResolvedDate "Microsoft.VSTS.Common.ResolvedDate" "Resolved Date" Date false;
    ResolvedBy "Microsoft.VSTS.Common.ResolvedBy" "Resolved By" Person false;
    ClosedDate "Microsoft.VSTS.Common.ClosedDate" "Closed Date" Date false;
    ClosedBy "Microsoft.VSTS.Common.ClosedBy" "Closed By" Person false;
    StoryPoints "Microsoft.VSTS.Scheduling.StoryPoints" "Story Points" Double false;
    Effort "Microsoft.VSTS.Scheduling.Effort" "Effort" Double false;
    OriginalEstimate "Microsoft.VSTS.Scheduling.OriginalEstimate" "Original Estimate" Double false;
    RemainingWork "Microsoft.VSTS.Scheduling.RemainingWork" "Remaining Work" Double false;
    CompletedWork "Microsoft.VSTS.Scheduling.CompletedWork" "Completed Work" Double false;
    StartDate "Microsoft.VSTS.Scheduling.StartDate" "Start Date" Date false;
    FinishDate "Microsoft.VSTS.Scheduling.FinishDate" "Finish Date" Date false;
    TargetDate "Microsoft.VSTS.Scheduling.TargetDate" "Target Date" Date false;
    Steps "Microsoft.VSTS.TCM.Steps" "Steps" Html false;
    Parameters "Microsoft.VSTS.TCM.Parameters" "Parameters" Html false;
    LocalDataSource "Microsoft.VSTS.TCM.LocalDataSource" "Local Data Source" Html false;
    AutomationStatus "Microsoft.VSTS.TCM.AutomationStatus" "Automation status" Text false;
    AutomatedTestName "Microsoft.VSTS.TCM.AutomatedTestName" "Automated Test Name" Text false;
    AutomatedTestStorage "Microsoft.VSTS.TCM.AutomatedTestStorage" "Automated Test Storage" Text false;
    AutomatedTestId "Microsoft.VSTS.TCM.AutomatedTestId" "Automated Test Id" Text false;
    AutomatedTestType "Microsoft.VSTS.TCM.AutomatedTestType" "Automated Test Type" Text false;
    ReproSteps "Microsoft.VSTS.TCM.ReproSteps" "Repro Steps" Html false;
    SystemInfo "Microsoft.VSTS.TCM.SystemInfo" "System Info" Html false;
    TestSuiteType "Microsoft.VSTS.TCM.TestSuiteType" "Test Suite Type" Text false;
    TestSuiteTypeId "Microsoft.VSTS.TCM.TestSuiteTypeId" "Test Suite Type Id" Integer true;
    QueryText "Microsoft.VSTS.TCM.QueryText" "Query Text" Plain false;
    TestSuiteAudit "Microsoft.VSTS.TCM.TestSuiteAudit" "Test Suite Audit" Plain false;
    FoundIn "Microsoft.VSTS.Build.FoundIn" "Found In" Text false;
    IntegrationBuild "Microsoft.VSTS.Build.IntegrationBuild" "Integration Build" Text false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_positions_in_the_table() {
        let fields = builtin();
        assert_eq!(fields[F::Title as usize].reference, "System.Title");
        assert_eq!(fields[F::IntegrationBuild as usize].name, "Integration Build");
    }
}
