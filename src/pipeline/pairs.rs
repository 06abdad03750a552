//! What an integration compares: model fields that both sides map, and where they may flow.

use super::meant::{
    Collection, FieldMapping, FieldTarget, FlowThrough, Integration, Pipeline, Smart, Update,
};
use super::meant::{ModelField, RelationshipMapping};
use crate::model::{Direction, FieldType, Side};

/// A model field mapped on both sides of an integration.
#[derive(Clone, Debug)]
pub struct FieldPair<'a> {
    /// The model field.
    pub field: &'a ModelField,
    /// The native field on the left.
    pub left: &'a FieldMapping,
    /// The native field on the right.
    pub right: &'a FieldMapping,
    /// Where updates may go: the integration's flow, less what is read-only or
    /// does not flow. [`Direction::None`] means that it is staged and never compared,
    /// unless it is a cross-reference.
    pub direction: Direction,
    /// Set for ids and addresses of the counterpart: the side that holds a copy,
    /// into which the value is enforced whatever the integration's flow is.
    pub enforced_into: Option<Side>,
}

impl<'a> FieldPair<'a> {
    /// Returns the mapping on a side.
    pub fn side(&self, side: Side) -> &'a FieldMapping {
        match side {
            Side::Left => self.left,
            Side::Right => self.right,
        }
    }
}

/// A model relationship mapped on both sides of an integration.
#[derive(Clone, Debug)]
pub struct RelationshipPair<'a> {
    /// The model relationship.
    pub field: &'a ModelField,
    /// The native relationship on the left.
    pub left: &'a RelationshipMapping,
    /// The native relationship on the right.
    pub right: &'a RelationshipMapping,
    /// Where updates may go. Creation names required ends whatever this says.
    pub direction: Direction,
    /// The name of the integration whose pairs it ends in; `None` if only the
    /// live repository knows where a side ends.
    pub ends_in: Option<&'a str>,
}

impl<'a> RelationshipPair<'a> {
    /// Returns the mapping on a side.
    pub fn side(&self, side: Side) -> &'a RelationshipMapping {
        match side {
            Side::Left => self.left,
            Side::Right => self.right,
        }
    }
}

impl Pipeline {
    /// Returns the left and right collections of an integration.
    pub fn sides(&self, integration: &Integration) -> Option<(&Collection, &Collection)> {
        Some((self.collection(&integration.left)?, self.collection(&integration.right)?))
    }

    /// Lists the model fields that both sides map, in the model's order.
    pub fn field_pairs(&self, integration: &Integration) -> Vec<FieldPair<'_>> {
        let Some((left, right)) = self.sides(integration) else { return Vec::new() };
        let pair = |field| Some((field, left.mapping(name(field))?, right.mapping(name(field))?));
        self.fields
            .iter()
            .filter_map(pair)
            .map(|(field, l, r)| FieldPair {
                field,
                left: l,
                right: r,
                direction: direction(integration.flow, [ends(l), ends(r)]),
                enforced_into: enforced_into(integration, field, l, r),
            })
            .collect()
    }

    /// Lists the model relationships that both sides map, in the model's order.
    pub fn relationship_pairs(&self, integration: &Integration) -> Vec<RelationshipPair<'_>> {
        let Some((left, right)) = self.sides(integration) else { return Vec::new() };
        self.fields
            .iter()
            .filter(|field| matches!(field.field_type, FieldType::Relationship(_)))
            .filter_map(|field| {
                Some((field, left.relationship(name(field))?, right.relationship(name(field))?))
            })
            .map(|(field, l, r)| RelationshipPair {
                field,
                left: l,
                right: r,
                direction: direction(integration.flow, [relation_ends(l), relation_ends(r)]),
                ends_in: self.integration_between(left, l, right, r),
            })
            .collect()
    }

    /// Tells where steps may flow in an integration.
    pub fn steps_direction(&self, integration: &Integration) -> Direction {
        let Some((left, right)) = self.sides(integration) else { return Direction::None };
        let end = |flow: FlowThrough| End { writes: flow.allows_in(), reads: flow.allows_out() };
        direction(integration.flow, [end(left.steps), end(right.steps)])
    }

    fn integration_between(
        &self,
        left: &Collection,
        l: &RelationshipMapping,
        right: &Collection,
        r: &RelationshipMapping,
    ) -> Option<&str> {
        let (left_end, right_end) = (l.ends_in.as_deref()?, r.ends_in.as_deref()?);
        self.integrations
            .iter()
            .find(|i| {
                self.sides(i).is_some_and(|(a, b)| {
                    let forth = is(a, left, left_end) && is(b, right, right_end);
                    let back = is(a, right, right_end) && is(b, left, left_end);
                    forth || back
                })
            })
            .map(|i| i.name.as_str())
    }
}

fn is(collection: &Collection, neighbour: &Collection, artifact: &str) -> bool {
    collection.repository == neighbour.repository && collection.artifact == artifact
}

fn name(field: &ModelField) -> &str {
    &field.name
}

/// What one side of a pair can do.
#[derive(Clone, Copy)]
struct End {
    /// Updates can be written into it.
    writes: bool,
    /// Its value may be sent across.
    reads: bool,
}

fn ends(mapping: &FieldMapping) -> End {
    let writable = !mapping.read_only && mapping.sql.is_none() && mapping.update != Update::OnCreate;
    End { writes: writable && mapping.flow.allows_in(), reads: mapping.flow.allows_out() }
}

fn relation_ends(mapping: &RelationshipMapping) -> End {
    let writable = mapping.writable && mapping.via.is_empty() && mapping.update != Update::OnCreate;
    End { writes: writable && mapping.flow.allows_in(), reads: mapping.flow.allows_out() }
}

fn direction(flow: Direction, [left, right]: [End; 2]) -> Direction {
    let to_left = flow.allows_into(Side::Left) && left.writes && right.reads;
    let to_right = flow.allows_into(Side::Right) && right.writes && left.reads;
    match (to_left, to_right) {
        (true, true) => Direction::Both,
        (true, false) => Direction::ToLeft,
        (false, true) => Direction::ToRight,
        (false, false) => Direction::None,
    }
}

/// A value that names the counterpart belongs to the side where it cannot be
/// written; the other side keeps a copy.
fn enforced_into(
    integration: &Integration,
    field: &ModelField,
    left: &FieldMapping,
    right: &FieldMapping,
) -> Option<Side> {
    let named = integration.match_fields.contains(&field.name);
    if !named && field.smart != Some(Smart::CrossReference) {
        return None;
    }
    match (left.read_only, right.read_only) {
        (true, false) => Some(Side::Right),
        (false, true) => Some(Side::Left),
        _ => None,
    }
}

impl FieldMapping {
    /// Returns the value map of a single-select field.
    pub fn values(&self) -> Option<&super::ValueMapping> {
        match &self.target {
            FieldTarget::Model { values, .. } => values.as_ref(),
            FieldTarget::Constant(_) => None,
        }
    }
}
