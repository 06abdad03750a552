//! The GraphQL schema: built from the published SDL, each field answered by [`super::resolve`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_graphql::dynamic::{
    Field, FieldFuture, FieldValue, InputObject, InputValue, Object, ResolverContext, Scalar, Schema, TypeRef,
};
use async_graphql::parser::types::{BaseType, FieldDefinition, Type, TypeKind, TypeSystemDefinition};
use async_graphql::{Error, Value as GraphValue};
use serde_json::Value;

use super::args::Args;
use super::resolve::{self, Node, Out};
use crate::sandbox::jira_xray::jira::Call;
use crate::sandbox::jira_xray::store::State;

/// The published schema.
pub(crate) const SDL: &str = include_str!("schema.graphql");

/// What resolvers reach through the request.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) call: Call,
    /// Whether one of this request's mutations changed the state.
    pub(crate) changed: Arc<std::sync::atomic::AtomicBool>,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Types of fields by type and field: what the cost of a request is counted with.
pub(crate) type FieldTypes = HashMap<String, HashMap<String, FieldType>>;

/// The type of a field.
#[derive(Clone, Debug)]
pub(crate) struct FieldType {
    pub(crate) name: String,
    pub(crate) object: bool,
    pub(crate) list: bool,
}

fn named(ty: &Type) -> (&str, bool) {
    match &ty.base {
        BaseType::Named(name) => (name.as_str(), false),
        BaseType::List(inner) => (named(inner).0, true),
    }
}

fn reference(ty: &Type) -> TypeRef {
    let base = match &ty.base {
        BaseType::Named(name) => TypeRef::named(name.as_str()),
        BaseType::List(inner) => TypeRef::List(Box::new(reference(inner))),
    };
    if ty.nullable { base } else { TypeRef::NonNull(Box::new(base)) }
}

/// Builds the schema and the table of field types.
pub(crate) fn build() -> Result<(Schema, FieldTypes), String> {
    let document = async_graphql::parser::parse_schema(SDL).map_err(|e| e.to_string())?;
    let definitions: Vec<_> = document
        .definitions
        .into_iter()
        .filter_map(|d| match d {
            TypeSystemDefinition::Type(t) => Some(t.node),
            _ => None,
        })
        .collect();
    let is_object =
        |name: &str| definitions.iter().any(|d| d.name.node == name && matches!(d.kind, TypeKind::Object(_)));
    let mut types = FieldTypes::new();
    let mut builder = Schema::build("Query", Some("Mutation"), None);
    for definition in &definitions {
        let name = definition.name.node.to_string();
        match &definition.kind {
            TypeKind::Scalar => builder = builder.register(Scalar::new(name)),
            TypeKind::InputObject(input) => {
                let mut object = InputObject::new(name);
                for field in &input.fields {
                    let field = &field.node;
                    let ty = reference(&field.ty.node);
                    object = object.field(InputValue::new(field.name.node.as_str(), ty));
                }
                builder = builder.register(object);
            }
            TypeKind::Object(object) => {
                let mut out = Object::new(&name);
                let table = types.entry(name.clone()).or_default();
                for field in &object.fields {
                    let (inner, list) = named(&field.node.ty.node);
                    let ty = FieldType { name: inner.to_owned(), object: is_object(inner), list };
                    table.insert(field.node.name.node.to_string(), ty.clone());
                    out = out.field(make_field(&name, &field.node, ty.object));
                }
                builder = builder.register(out);
            }
            _ => return Err(format!("the schema has a type {name} of an unknown kind")),
        }
    }
    let schema = builder.finish().map_err(|e| e.to_string())?;
    Ok((schema, types))
}

fn make_field(parent: &str, definition: &FieldDefinition, object: bool) -> Field {
    let name = definition.name.node.to_string();
    let (of, at) = (parent.to_owned(), name.clone());
    let ty = reference(&definition.ty.node);
    let mut field = Field::new(name, ty, move |ctx| answer(&of, &at, object, &ctx));
    for argument in &definition.arguments {
        let argument = &argument.node;
        let ty = reference(&argument.ty.node);
        field = field.argument(InputValue::new(argument.name.node.as_str(), ty));
    }
    field
}

/// Answers one field. An error is noted and leaves `null`, so that its siblings stand.
fn answer<'a>(parent: &str, field: &str, object: bool, ctx: &ResolverContext<'a>) -> FieldFuture<'a> {
    let outcome = resolve_one(parent, field, ctx);
    match outcome {
        Ok(out) => FieldFuture::Value(value(out, object)),
        Err(message) => {
            let error = Error::new(message).into_server_error(ctx.ctx.item.pos);
            ctx.ctx.add_error(ctx.ctx.set_error_path(error));
            FieldFuture::Value(None)
        }
    }
}

fn resolve_one(parent: &str, field: &str, ctx: &ResolverContext<'_>) -> Result<Out, String> {
    let args = ctx.args.as_index_map().iter();
    let args: Result<_, _> = args.map(|(k, v)| Ok((k.to_string(), v.clone().into_json()?))).collect();
    let args = Args(args.map_err(|e: serde_json::Error| e.to_string())?);
    let gate = ctx.data::<Gate>().map_err(|e| e.message)?;
    let mut state = gate.lock();
    let before = state.passing.revision;
    let out = match parent {
        "Query" => resolve::query(&mut state, &gate.call, field, &args),
        "Mutation" => resolve::mutation(&mut state, &gate.call, field, &args),
        _ => {
            let node = ctx.parent_value.try_downcast_ref::<Node>().map_err(|e| e.message)?;
            resolve::field(&mut state, &gate.call, node, field, &args)
        }
    };
    if state.passing.revision != before {
        gate.changed.store(true, std::sync::atomic::Ordering::Relaxed);
    }
    out
}

fn value<'a>(out: Out, object: bool) -> Option<FieldValue<'a>> {
    match out {
        Out::Null | Out::Json(Value::Null) => None,
        Out::Node(node) => Some(FieldValue::owned_any(node)),
        Out::Nodes(list) => Some(FieldValue::list(list.into_iter().map(FieldValue::owned_any))),
        Out::Json(Value::Array(list)) if object => {
            Some(FieldValue::list(list.into_iter().map(|v| FieldValue::owned_any(Node::Json(v)))))
        }
        Out::Json(json) if object => Some(FieldValue::owned_any(Node::Json(json))),
        Out::Json(json) => GraphValue::from_json(json).ok().map(FieldValue::value),
    }
}
