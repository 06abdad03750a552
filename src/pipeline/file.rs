//! The pipeline file exactly as typed.
//!
//! The structs name the keys that a file may hold; the JSON Schema is generated
//! from them, and [`Read`] fills them from the tree, listing every slip.

use schemars::JsonSchema;

use super::read::{Entries, List, Raw, Read, Text, typed, words};

typed! {
    /// A pipeline: two repositories, how their artifacts map to one model, and what is kept in step.
    struct File {
        /// The pipeline's name, also that of its folder in the staging store.
        pipeline: Text,
        /// What it is for, in your words.
        description: Option<Text>,
        /// The deployments that take part, by a short name of your choice.
        repositories: Entries<Repository>,
        /// Which project answers to which. Each row names one project per repository; any
        /// further key is an attribute that `constant_by_project` can refer to.
        projects: Vec<Entries<Text>>,
        /// The fields that both sides are mapped to: a type, or a map with a type and more.
        model: Entries<ModelField>,
        /// The artifacts that take part, by `repository.name`.
        collections: Entries<Collection>,
        /// Pairs of collections that are kept in step, by a name of your choice.
        integrations: Entries<Integration>,
    }
}

typed! {
    /// One deployment of one system, with its credentials.
    struct Repository {
        /// The system: `azure-devops`, `jira-xray` and so on.
        system: Text,
        /// The kind of deployment, where the system has several: `cloud` or `data-center`.
        deployment: Option<Text>,
        /// The address, such as `https://dev.azure.com/contoso`.
        url: Text,
        /// The address of Xray Cloud, if it is not the usual one.
        xray_url: Option<Text>,
        /// Credentials. Secrets only as `${NAME}` or `file:PATH`.
        auth: Entries<Raw>,
        /// The projects that take part.
        projects: List,
        /// The most requests to send: a number, `/` and a time, such as `300/5min` or `10/s`.
        rate: Option<Text>,
        /// The zone of dates that come without one: `UTC`, `+01:00` or `Europe/Berlin`.
        timezone: Option<Text>,
        /// A PEM file of further certificate authorities.
        ca_file: Option<Text>,
        /// The address of an HTTP proxy.
        proxy: Option<Text>,
        /// Allows `http://` to a host other than this machine.
        allow_http: Option<bool>,
        /// ALM's domain.
        domain: Option<Text>,
        /// Octane's shared space.
        shared_space: Option<Text>,
        /// Octane's workspace.
        workspace: Option<Text>,
        /// TestRail's suite.
        suite: Option<Text>,
    }
}

words! {
    /// The type of a model field.
    enum TypeWord {
        String = "string",
        RichText = "rich-text",
        SingleSelect = "single-select",
        DateTime = "date-time",
        Location = "location",
        Relationship = "relationship",
        Relationships = "relationships",
    }
}

words! {
    /// A meaning that the product knows.
    enum SmartWord {
        Summary = "summary",
        Description = "description",
        Status = "status",
        FormattedId = "formatted-id",
        Created = "created",
        Modified = "modified",
        Location = "location",
        Parent = "parent",
        CrossReference = "cross-reference",
    }
}

typed! {
    /// A model field in full.
    struct ModelFieldLong {
        /// The field's type.
        r#type: TypeWord,
        /// The field's meaning. `cross-reference` marks the id or address of one side's
        /// artifact of which the other side keeps a copy: it is enforced and never merged.
        smart: Option<SmartWord>,
        /// The values of a single-select field.
        values: Option<List>,
    }
}

/// A model field: its type, or a map.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum ModelField {
    /// Only the type.
    Short(TypeWord),
    /// Type and more.
    Long(ModelFieldLong),
}

typed! {
    /// The artifacts of one type in one repository, and how they map to the model.
    struct Collection {
        /// The artifact's name in its system: `Test Case`.
        artifact: Text,
        /// A condition in SQL; only rows that meet it take part.
        filter: Option<Text>,
        /// Native fields: the name of a model field, or a map.
        fields: Option<Entries<Field>>,
        /// Native relationships: the name of a model relationship, or a map.
        relationships: Option<Entries<Relationship>>,
        /// The workflow along which the status is moved where it cannot be written.
        transitions: Option<Vec<Transition>>,
        /// Where test steps may flow, seen from this collection.
        steps: Option<ThroughWord>,
    }
}

words! {
    /// Ways of a value, seen from the collection.
    enum ThroughWord {
        Both = "both",
        In = "in",
        Out = "out",
        None = "none",
    }
}

words! {
    /// When a field is written.
    enum UpdateWord {
        Always = "always",
        OnCreate = "on-create",
        IfEmpty = "if-empty",
    }
}

words! {
    /// What to do with an edit of a value that was cut or simplified when it was written.
    enum DegradedWord {
        Hold = "hold",
        Write = "write",
    }
}

typed! {
    /// A native field in full: `to` a model field, or a `constant`.
    struct FieldLong {
        /// The model field.
        to: Option<Text>,
        /// Native value to model value.
        read: Option<Entries<Text>>,
        /// Model value to acceptable native values; the first that can be reached is written.
        write: Option<Entries<List>>,
        /// What a native value means that `read` does not list: `hold` (default) or a model value.
        other: Option<Text>,
        /// The native value to write where the other side has none.
        default: Option<Text>,
        /// A fixed value to write.
        constant: Option<Text>,
        /// The attribute of the `projects` rows that holds the value to write.
        constant_by_project: Option<Text>,
        /// Which ways values may cross, seen from this collection; `out` and `none` are never written, not even at creation.
        flow: Option<ThroughWord>,
        /// When it is written. Constants: `on-create` unless stated.
        update: Option<UpdateWord>,
        /// An SQL expression over the row that gives the value instead of the field.
        sql: Option<Text>,
        /// What to do with edits of a value that was cut or simplified.
        on_degraded: Option<DegradedWord>,
    }
}

/// A native field: the name of a model field, or a map.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum Field {
    /// The model field's name.
    Short(Text),
    /// Model field or constant, and more.
    Long(Box<FieldLong>),
}

typed! {
    /// A native relationship in full: `to` a model relationship, or a `constant`.
    struct RelationshipLong {
        /// The model relationship.
        to: Option<Text>,
        /// The id or unique name of the artifact it always ends in; empty for none.
        constant: Option<Text>,
        /// The attribute of the `projects` rows that holds it.
        constant_by_project: Option<Text>,
        /// Further relationships to follow from where it ends.
        via: Option<List>,
        /// Which updates may cross, seen from this collection.
        flow: Option<ThroughWord>,
        /// When it is written. Constants: `on-create` unless stated.
        update: Option<UpdateWord>,
    }
}

/// A native relationship: the name of a model relationship, or a map.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum Relationship {
    /// The model relationship's name.
    Short(Text),
    /// Model relationship or constant, and more.
    Long(RelationshipLong),
}

typed! {
    /// A transition of a workflow.
    struct Transition {
        /// The transition's name.
        name: Text,
        /// The status, or list of statuses, it starts from.
        from: List,
        /// The status it leads to.
        to: Text,
        /// Fields that its screen asks for, and their values.
        fields: Option<Entries<Text>>,
    }
}

words! {
    /// Which side may receive new artifacts.
    enum CreateWord {
        Both = "both",
        Left = "left",
        Right = "right",
        None = "none",
    }
}

words! {
    /// Who is right when both sides changed a field.
    enum ConflictWord {
        Left = "left",
        Right = "right",
        Newest = "newest",
        Hold = "hold",
    }
}

words! {
    /// What happens to an artifact whose counterpart is gone.
    enum DeletionsWord {
        Report = "report",
        Mark = "mark",
        Propagate = "propagate",
    }
}

typed! {
    /// What happens to an artifact whose counterpart is gone, in full.
    struct DeletionsLong {
        /// The rule.
        policy: DeletionsWord,
        /// With `mark`: the model field to set.
        field: Option<Text>,
        /// With `mark`: the model value to set it to.
        value: Option<Text>,
        /// With `propagate`: past the recycle bin.
        destroy: Option<bool>,
    }
}

/// What happens to an artifact whose counterpart is gone.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum Deletions {
    /// The rule.
    Short(DeletionsWord),
    /// The rule and more.
    Long(DeletionsLong),
}

typed! {
    /// What else can be set for an integration.
    struct Options {
        /// Whether runs made here are automated ones.
        automated: Option<bool>,
        /// The container for cases that sit in none.
        unfiled: Option<Text>,
        /// The plan for what has none by itself.
        plan: Option<Text>,
        /// The attribute of the `projects` rows that holds that plan.
        plan_by_project: Option<Text>,
        /// Whether a closed artifact is reopened, written and closed again.
        reopen_closed: Option<bool>,
        /// The share of a collection that one run may delete, 0 to 1.
        delete_share_max: Option<f64>,
        /// The share of a collection that one run may overwrite, 0 to 1.
        overwrite_share_max: Option<f64>,
    }
}

typed! {
    /// Two collections that are kept in step.
    struct Integration {
        /// The collections and where updates may go: `ado.test-cases <> xray.tests`, or `->`, `<-`.
        flow: Text,
        /// Which side may receive new artifacts; as `flow` unless stated.
        create: Option<CreateWord>,
        /// Who is right when both sides changed a field; `hold` unless stated.
        conflict: Option<ConflictWord>,
        /// What happens to an artifact whose counterpart is gone; `report` unless stated.
        deletions: Option<Deletions>,
        /// The model fields by which existing counterparts are recognised.
        r#match: Option<List>,
        /// What else can be set.
        options: Option<Options>,
    }
}

/// Implements reading for a value that is a word or a map.
macro_rules! short_or_long {
    ($name:ident, $long:ident => $value:expr) => {
        impl Read for $name {
            fn read(
                node: &super::node::Node,
                path: &str,
                reader: &mut super::node::Reader<'_>,
            ) -> Option<Self> {
                if matches!(node.value, super::node::Value::Map(_)) {
                    return Read::read(node, path, reader).map(|$long| $name::Long($value));
                }
                Read::read(node, path, reader).map($name::Short)
            }
        }
    };
}

short_or_long!(ModelField, long => long);
short_or_long!(Field, long => Box::new(long));
short_or_long!(Relationship, long => long);
short_or_long!(Deletions, long => long);
