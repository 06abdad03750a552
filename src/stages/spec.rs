//! An integration as the stages need it: the pipeline's mapping resolved against what the two systems offer.

use std::collections::BTreeMap;

use crate::model::{Artifact, Direction, FieldType, Hop, Notation, RepositoryId, Side};
use crate::pipeline::{
    self, Deletions, Edge, FieldTarget, IntegrationOptions, OnDegraded, Other, Pipeline, RelationshipTarget,
    Update,
};

use super::decide::Rule;

/// The name under which steps travel beside the model's fields.
pub const STEPS: &str = "Steps";

/// One integration, resolved.
#[derive(Clone, Debug)]
pub struct Integration {
    /// Its name in the pipeline file.
    pub name: String,
    /// Left and right collection.
    pub sides: [Collection; 2],
    /// Fields mapped on both sides.
    pub fields: Vec<FieldPair>,
    /// Relationships mapped on both sides.
    pub references: Vec<ReferencePair>,
    /// Whether new artifacts may be made on the left and on the right.
    pub creates_into: [bool; 2],
    /// Whether updates may go into the left and the right side.
    pub flows_into: [bool; 2],
    /// Who wins a conflict.
    pub rule: Rules,
    /// What happens to an artifact whose counterpart is gone.
    pub deletions: Deletions,
    /// The mark that either side's artifact receives when its counterpart is gone: a field
    /// of which both sides are that of the artifact.
    pub marks: [Option<FieldPair>; 2],
    /// What else the pipeline file sets.
    pub options: IntegrationOptions,
    /// Model fields by which strangers are recognised, in order.
    pub match_fields: Vec<String>,
    /// Hash of all that influences the mapping.
    pub mapping_hash: String,
}

impl Integration {
    /// Returns the collection on a side.
    pub fn side(&self, side: Side) -> &Collection {
        &self.sides[side as usize]
    }

    /// Finds a field mapped on both sides.
    pub fn field(&self, name: &str) -> Option<&FieldPair> {
        self.fields.iter().find(|f| f.name == name)
    }

    /// Finds a relationship mapped on both sides.
    pub fn reference(&self, field: &str) -> Option<&ReferencePair> {
        self.references.iter().find(|r| r.field == field)
    }
}

/// One collection, resolved.
#[derive(Clone, Debug)]
pub struct Collection {
    /// Its name in the pipeline file.
    pub name: String,
    /// The repository.
    pub repository: RepositoryId,
    /// The artifact as the system describes it.
    pub artifact: Artifact,
    /// The projects that take part.
    pub projects: Vec<String>,
    /// The counterpart project of each project row: (own project, other side's project).
    pub project_pairs: Vec<(String, String)>,
    /// A condition over the neutral view, aliased `a`.
    pub filter: Option<String>,
    /// Values written at creation, per own project.
    pub constants: Vec<Constant>,
    /// Workflow edges; empty where a status is written like any field.
    pub transitions: Vec<Edge>,
}

/// Who wins a conflict, as the pipeline says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Always the same.
    Fixed(Rule),
    /// The side that was changed last.
    Newest,
}

/// A constant of one project.
#[derive(Clone, Debug)]
pub struct Constant {
    /// The field's or relationship's name on this side.
    pub native: String,
    /// The project it holds for.
    pub project: String,
    /// The value.
    pub value: String,
    /// When it is written.
    pub update: Update,
    /// Whether it names the other end of a relationship.
    pub relationship: bool,
}

/// A field mapped on both sides.
#[derive(Clone, Debug)]
pub struct FieldPair {
    /// The model field, or [`STEPS`].
    pub name: String,
    /// Its type; `None` for steps.
    pub field_type: Option<FieldType>,
    /// How each side holds it.
    pub sides: [SideField; 2],
    /// Whether updates may go into the left and the right side.
    pub into: [bool; 2],
    /// The side whose system alone sets it while the other repeats it.
    pub enforced_by: Option<Side>,
    /// Whether edits on top of a degraded value flow back.
    pub write_degraded: bool,
}

impl FieldPair {
    /// Returns how a side holds the field.
    pub fn side(&self, side: Side) -> &SideField {
        &self.sides[side as usize]
    }
}

/// How one side holds a field.
#[derive(Clone, Debug)]
pub struct SideField {
    /// The field's name there.
    pub native: String,
    /// The notation of formatted text.
    pub notation: Option<Notation>,
    /// Native → model.
    pub read: Option<Vec<(String, String)>>,
    /// The model value of natives that `read` does not list; they are held without it.
    pub other: Option<String>,
    /// Whether such natives are held by intent, and do not keep the first run from beginning.
    pub holds: bool,
    /// Model → natives, the preferred first.
    pub write: Option<Vec<(String, Vec<String>)>>,
    /// When it is written.
    pub update: Update,
    /// The native value to write where the other side has none.
    pub default: Option<String>,
    /// An expression over the row `a` that replaces the field's own value.
    pub sql: Option<String>,
    /// Whether only the system sets it.
    pub read_only: bool,
    /// Whether it is moved by transitions.
    pub by_transition: bool,
    /// The longest value in characters.
    pub length_max: Option<usize>,
}

impl SideField {
    /// Returns the natives that a model value may be written as; `None` where it is written as it is.
    pub fn acceptable(&self, model: &str) -> Option<&[String]> {
        let map = self.write.as_ref()?;
        Some(map.iter().find(|(value, _)| value == model).map_or(&[][..], |(_, natives)| natives))
    }

    /// Returns what this side may hold where the other holds `model`, if anything of its own
    /// counts; of an empty value that is the default.
    pub fn accepts(&self, model: Option<&str>) -> Option<&[String]> {
        match model {
            Some(model) => self.acceptable(model),
            None => self.default.as_ref().map(std::slice::from_ref),
        }
    }
}

/// A relationship mapped on both sides.
#[derive(Clone, Debug)]
pub struct ReferencePair {
    /// The model field.
    pub field: String,
    /// The integration whose pairs it ends in.
    pub target: String,
    /// How each side holds it.
    pub sides: [SideReference; 2],
    /// Whether updates may go into the left and the right side.
    pub into: [bool; 2],
}

impl ReferencePair {
    /// Returns how a side holds the relationship.
    pub fn side(&self, side: Side) -> &SideReference {
        &self.sides[side as usize]
    }
}

/// How one side holds a relationship.
#[derive(Clone, Debug)]
pub struct SideReference {
    /// The relationship's name there.
    pub relationship: String,
    /// The artifact in which it ends there.
    pub target_artifact: String,
    /// Whether it must be named at creation.
    pub required: bool,
    /// Whether it can be changed later.
    pub writable: bool,
    /// Whether it holds at most one end.
    pub single: bool,
    /// Relationships to follow from where it ends, in order; such ends are only read.
    pub via: Vec<String>,
}

/// The pipeline names something that the systems do not have.
#[derive(Debug, thiserror::Error)]
#[error("integration {integration}: {message}")]
pub struct Unresolved {
    /// The integration.
    pub integration: String,
    /// What is missing.
    pub message: String,
}

/// Resolves every integration of a pipeline, in an order in which each comes after those it needs.
///
/// `artifacts` lists what each repository's system offers.
///
/// # Errors
///
/// Names an artifact that a system does not have, or integrations that need each other.
pub fn resolve(
    pipeline: &Pipeline,
    artifacts: &BTreeMap<RepositoryId, Vec<Artifact>>,
) -> Result<Vec<Integration>, Unresolved> {
    let all = pipeline
        .integrations
        .iter()
        .map(|i| integration(pipeline, i, artifacts))
        .collect::<Result<_, _>>()?;
    in_order(all)
}

/// Containers of results come after what they hold cases of, results last; within that, by required ends.
fn in_order(mut open: Vec<Integration>) -> Result<Vec<Integration>, Unresolved> {
    open.sort_by_key(rank);
    let mut ordered: Vec<Integration> = Vec::new();
    while !open.is_empty() {
        let ready = open.iter().position(|i| {
            let needs = i.references.iter().filter(|r| r.sides.iter().any(|s| s.required));
            needs.into_iter().all(|r| r.target == i.name || ordered.iter().any(|o| o.name == r.target))
        });
        let Some(at) = ready else {
            let names: Vec<&str> = open.iter().map(|i| i.name.as_str()).collect();
            return Err(Unresolved {
                integration: open[0].name.clone(),
                message: format!("needs an integration that needs it in turn: {}", names.join(", ")),
            });
        };
        ordered.push(open.remove(at));
    }
    Ok(ordered)
}

/// Returns the wave group of an integration: 0 for what stands by itself, 1 for
/// containers of results, 2 for results.
pub fn rank(integration: &Integration) -> u8 {
    integration.sides.iter().map(|collection| rank_of(&collection.artifact)).max().unwrap_or(0)
}

fn rank_of(artifact: &Artifact) -> u8 {
    match (artifact.holds_slots, artifact.lives_in_slot) {
        (_, true) => 2,
        (true, false) => 1,
        _ => 0,
    }
}

fn integration(
    pipeline: &Pipeline,
    meant: &pipeline::Integration,
    artifacts: &BTreeMap<RepositoryId, Vec<Artifact>>,
) -> Result<Integration, Unresolved> {
    let fail = |message: String| Unresolved { integration: meant.name.clone(), message };
    let (left, right) = pipeline
        .sides(meant)
        .ok_or_else(|| fail(format!("collection {} or {} does not exist", meant.left, meant.right)))?;
    let sides = [
        collection(pipeline, left, right, artifacts).map_err(fail)?,
        collection(pipeline, right, left, artifacts).map_err(fail)?,
    ];
    let mut fields: Vec<FieldPair> = pipeline
        .field_pairs(meant)
        .into_iter()
        .filter(|pair| !matches!(pair.field.field_type, FieldType::Relationship(_)))
        .map(field_pair)
        .collect();
    if left.steps != pipeline::FlowThrough::None || right.steps != pipeline::FlowThrough::None {
        fields.extend(steps_pair(&sides, pipeline.steps_direction(meant)));
    }
    let references = pipeline
        .relationship_pairs(meant)
        .into_iter()
        .filter_map(|pair| reference_pair(&sides, &pair))
        .collect();
    Ok(Integration {
        name: meant.name.clone(),
        fields,
        references,
        creates_into: Side::BOTH.map(|side| meant.create.allows_into(side)),
        flows_into: Side::BOTH.map(|side| meant.flow.allows_into(side)),
        marks: [mark(pipeline, meant, left), mark(pipeline, meant, right)],
        deletions: meant.deletions.clone(),
        options: meant.options.clone(),
        rule: match meant.conflict {
            pipeline::Conflict::Dominates(side) => Rules::Fixed(Rule::Dominates(side)),
            pipeline::Conflict::Hold => Rules::Fixed(Rule::Hold),
            pipeline::Conflict::Newest => Rules::Newest,
        },
        match_fields: meant.match_fields.clone(),
        mapping_hash: pipeline.mapping_hash(&meant.name),
        sides,
    })
}

fn collection(
    pipeline: &Pipeline,
    own: &pipeline::Collection,
    other: &pipeline::Collection,
    artifacts: &BTreeMap<RepositoryId, Vec<Artifact>>,
) -> Result<Collection, String> {
    let artifact = artifacts
        .get(&own.repository)
        .and_then(|list| list.iter().find(|a| a.name == own.artifact))
        .ok_or_else(|| format!("repository {} has no artifact {}", own.repository, own.artifact))?;
    let rows = pipeline.projects.iter();
    let project_pairs: Vec<(String, String)> = rows
        .filter_map(|row| {
            Some((row.projects.get(&own.repository)?.clone(), row.projects.get(&other.repository)?.clone()))
        })
        .collect();
    let mut projects: Vec<String> = project_pairs.iter().map(|(project, _)| project.clone()).collect();
    projects.sort();
    projects.dedup();
    Ok(Collection {
        name: own.name.clone(),
        repository: own.repository.clone(),
        artifact: artifact.clone(),
        constants: constants(own, &projects),
        projects,
        project_pairs,
        filter: own.filter.clone(),
        transitions: own.transitions.clone(),
    })
}

/// How the artifacts of a collection are marked; `None` where they are not.
fn mark(pipeline: &Pipeline, meant: &pipeline::Integration, own: &pipeline::Collection) -> Option<FieldPair> {
    let Deletions::Mark { field, .. } = &meant.deletions else { return None };
    let (model, mapping) = (pipeline.field(field)?, own.mapping(field)?);
    let side = side_field(mapping);
    if side.read_only {
        return None;
    }
    Some(FieldPair {
        name: field.clone(),
        field_type: Some(model.field_type.clone()),
        sides: [side.clone(), side],
        into: [true, true],
        enforced_by: None,
        write_degraded: false,
    })
}

fn constants(own: &pipeline::Collection, projects: &[String]) -> Vec<Constant> {
    let fields = own.fields.iter().filter_map(|m| match &m.target {
        FieldTarget::Constant(constant) => Some((&m.field, constant, m.update, false)),
        FieldTarget::Model { .. } => None,
    });
    let relationships = own.relationships.iter().filter_map(|m| match &m.target {
        RelationshipTarget::Constant(constant) => Some((&m.relationship, constant, m.update, true)),
        RelationshipTarget::Model(_) => None,
    });
    let mut list = Vec::new();
    for (native, constant, update, relationship) in fields.chain(relationships) {
        for project in projects {
            if let Some(value) = constant.for_project(project) {
                list.push(Constant {
                    native: native.clone(),
                    project: project.clone(),
                    value: value.to_owned(),
                    update,
                    relationship,
                });
            }
        }
    }
    list
}

fn field_pair(pair: pipeline::FieldPair<'_>) -> FieldPair {
    let degraded = pair.left.on_degraded == OnDegraded::Write || pair.right.on_degraded == OnDegraded::Write;
    let mut into = [pair.direction.allows_into(Side::Left), pair.direction.allows_into(Side::Right)];
    if let Some(side) = pair.enforced_into {
        into[side as usize] = true;
    }
    FieldPair {
        name: pair.field.name.clone(),
        field_type: Some(pair.field.field_type.clone()),
        sides: [side_field(pair.left), side_field(pair.right)],
        into,
        enforced_by: pair.enforced_into.map(Side::other),
        write_degraded: degraded,
    }
}

fn side_field(mapping: &pipeline::FieldMapping) -> SideField {
    let values = mapping.values();
    SideField {
        native: mapping.field.clone(),
        notation: mapping.notation,
        read: values.map(|v| v.read.clone()),
        other: values.and_then(|v| match &v.other {
            Other::Refuse | Other::Hold => None,
            Other::Value(value) => Some(value.clone()),
        }),
        holds: values.is_some_and(|v| v.other == Other::Hold),
        write: values.map(|v| v.write.clone()),
        update: mapping.update,
        default: mapping.default.clone(),
        sql: mapping.sql.clone(),
        read_only: mapping.read_only || mapping.sql.is_some(),
        by_transition: mapping.by_transition,
        length_max: mapping.length_max,
    }
}

/// Steps travel like a field whenever both artifacts have them.
fn steps_pair(sides: &[Collection; 2], direction: Direction) -> Option<FieldPair> {
    let side = |collection: &Collection| {
        let field = collection.artifact.fields.iter().find(|f| f.name == STEPS)?;
        Some(SideField {
            native: STEPS.into(),
            notation: field.notation.or(Some(Notation::Plain)),
            read: None,
            other: None,
            holds: false,
            write: None,
            update: Update::Always,
            default: None,
            sql: None,
            read_only: field.read_only,
            by_transition: false,
            length_max: field.length_max,
        })
    };
    Some(FieldPair {
        name: STEPS.into(),
        field_type: None,
        sides: [side(&sides[0])?, side(&sides[1])?],
        into: [direction.allows_into(Side::Left), direction.allows_into(Side::Right)],
        enforced_by: None,
        write_degraded: false,
    })
}

fn reference_pair(sides: &[Collection; 2], pair: &pipeline::RelationshipPair<'_>) -> Option<ReferencePair> {
    let side = |collection: &Collection, mapping: &pipeline::RelationshipMapping| {
        let spec = collection.artifact.relationships.iter().find(|r| r.name == mapping.relationship)?;
        Some(SideReference {
            relationship: mapping.relationship.clone(),
            target_artifact: mapping.ends_in.clone().unwrap_or_else(|| spec.target.to_owned()),
            required: mapping.required,
            writable: mapping.writable && mapping.via.is_empty(),
            single: spec.cardinality == crate::model::Cardinality::One,
            via: mapping.via.clone(),
        })
    };
    Some(ReferencePair {
        field: pair.field.name.clone(),
        target: pair.ends_in?.to_owned(),
        sides: [side(&sides[0], pair.left)?, side(&sides[1], pair.right)?],
        into: [pair.direction.allows_into(Side::Left), pair.direction.allows_into(Side::Right)],
    })
}

/// Finds the way along the workflow from a status to the first reachable of the goals.
pub fn walk(edges: &[Edge], from: &str, goals: &[String]) -> Option<Vec<Hop>> {
    let hop = |edge: Edge| Hop { name: edge.name, to: edge.to, fields: edge.fields };
    Some(pipeline::path(edges, from, goals)?.into_iter().map(hop).collect())
}

/// Finds the shortest way out of a status and back into it.
pub fn round_trip(edges: &[Edge], status: &str) -> Option<Vec<Hop>> {
    let out = edges.iter().filter(|e| e.from == status && e.to != status);
    let trips = out.filter_map(|edge| {
        let there = Hop { name: edge.name.clone(), to: edge.to.clone(), fields: edge.fields.clone() };
        let back = walk(edges, &edge.to, &[status.to_owned()])?;
        Some(std::iter::once(there).chain(back).collect::<Vec<Hop>>())
    });
    trips.min_by_key(Vec::len)
}

/// Returns the status in which a workflow starts: one that no transition leads to, else the first of the file.
pub fn initial_status(edges: &[Edge]) -> Option<&str> {
    let source = edges.iter().find(|e| edges.iter().all(|other| other.to != e.from));
    source.or(edges.first()).map(|e| e.from.as_str())
}
