//! GraphQL: a published schema, documents and variables held against it, and what a
//! server tells of itself.

use std::collections::BTreeMap;

use async_graphql::parser::types::{
    BaseType, ExecutableDocument, Field, InputValueDefinition, OperationType, Selection, SelectionSet, Type,
    TypeKind, TypeSystemDefinition, VariableDefinition,
};
use async_graphql::parser::{Positioned, parse_query, parse_schema};
use async_graphql::{Name, Value};

/// Arguments or input fields by name.
type Inputs = BTreeMap<String, Type>;

/// A schema.
#[derive(Debug, Default)]
pub(crate) struct Published {
    objects: BTreeMap<String, BTreeMap<String, (Inputs, Type)>>,
    inputs: BTreeMap<String, Inputs>,
}

/// The document being looked at.
struct Walk<'a> {
    schema: &'a Published,
    document: &'a ExecutableDocument,
    variables: BTreeMap<String, Type>,
    problems: Vec<String>,
}

impl Published {
    /// Reads a schema.
    pub(crate) fn read(text: &str) -> Published {
        let mut schema = Published::default();
        for definition in parse_schema(text).expect("a schema").definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let name = definition.node.name.node.to_string();
            match definition.node.kind {
                TypeKind::Object(object) => {
                    let field = |f: &Positioned<async_graphql::parser::types::FieldDefinition>| {
                        let inputs = inputs(&f.node.arguments);
                        (f.node.name.node.to_string(), (inputs, f.node.ty.node.clone()))
                    };
                    schema.objects.insert(name, object.fields.iter().map(field).collect());
                }
                TypeKind::InputObject(object) => {
                    schema.inputs.insert(name, inputs(&object.fields));
                }
                _ => {}
            }
        }
        schema
    }

    /// Lists everything that the schema says, one line per field.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (object, fields) in &self.objects {
            for (name, (arguments, ty)) in fields {
                let arguments: Vec<String> = arguments.iter().map(|(n, t)| format!("{n}: {t}")).collect();
                lines.push(format!("{object}.{name}({}): {ty}", arguments.join(", ")));
            }
        }
        for (input, fields) in &self.inputs {
            lines.extend(fields.iter().map(|(name, ty)| format!("{input}.{name}: {ty}")));
        }
        lines
    }

    /// Holds a document with its variables against the schema.
    pub(crate) fn check(&self, text: &str, variables: &serde_json::Value) -> Vec<String> {
        let document = match parse_query(text) {
            Ok(document) => document,
            Err(error) => return vec![format!("it does not parse: {error}")],
        };
        let mut problems = Vec::new();
        for (_, operation) in document.operations.iter() {
            let declared = &operation.node.variable_definitions;
            let declared: BTreeMap<String, &VariableDefinition> =
                declared.iter().map(|v| (v.node.name.node.to_string(), &v.node)).collect();
            let types = declared.iter().map(|(n, v)| (n.clone(), v.var_type.node.clone())).collect();
            let mut walk = Walk { schema: self, document: &document, variables: types, problems: Vec::new() };
            for (name, variable) in declared {
                let value = variables.get(&name).cloned().unwrap_or_default();
                if value.is_null() && variable.default_value.is_some() {
                    continue;
                }
                let value = Value::from_json(value).unwrap_or_default();
                walk.value(&format!("${name}"), &variable.var_type.node, &value);
            }
            let root = match operation.node.ty {
                OperationType::Mutation => "Mutation",
                _ => "Query",
            };
            walk.selections(root, &operation.node.selection_set.node);
            problems.append(&mut walk.problems);
        }
        problems
    }
}

impl Walk<'_> {
    fn selections(&mut self, object: &str, set: &SelectionSet) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => self.field(object, &field.node),
                Selection::InlineFragment(fragment) => {
                    let on = fragment.node.type_condition.as_ref().map(|t| t.node.on.node.to_string());
                    self.selections(on.as_deref().unwrap_or(object), &fragment.node.selection_set.node);
                }
                Selection::FragmentSpread(spread) => {
                    match self.document.fragments.get(&spread.node.fragment_name.node) {
                        Some(fragment) => {
                            let on = fragment.node.type_condition.node.on.node.to_string();
                            self.selections(&on, &fragment.node.selection_set.node);
                        }
                        None => self.problems.push(format!("no fragment {}", spread.node.fragment_name.node)),
                    }
                }
            }
        }
    }

    fn field(&mut self, object: &str, field: &Field) {
        let name = field.name.node.as_str();
        let schema = self.schema;
        let Some((inputs, ty)) = schema.objects.get(object).and_then(|fields| fields.get(name)) else {
            self.problems.push(format!("{object} has no field {name}"));
            return;
        };
        let place = format!("{object}.{name}");
        for (argument, value) in &field.arguments {
            let value = value.node.clone().into_const_with(|name| Ok::<_, ()>(variable(&name)));
            match inputs.get(argument.node.as_str()) {
                Some(ty) => {
                    self.value(&format!("{place}({})", argument.node), ty, &value.unwrap_or_default())
                }
                None => self.problems.push(format!("{place} has no argument {}", argument.node)),
            }
        }
        for (needed, _) in inputs.iter().filter(|(_, ty)| !ty.nullable) {
            if !field.arguments.iter().any(|(n, _)| n.node.as_str() == needed) {
                self.problems.push(format!("{place} lacks its argument {needed}"));
            }
        }
        let base = base(ty);
        match (schema.objects.contains_key(base), field.selection_set.node.items.is_empty()) {
            (true, true) => self.problems.push(format!("{place} needs a selection")),
            (false, false) => self.problems.push(format!("{place} has no fields to select")),
            _ => self.selections(base, &field.selection_set.node),
        }
    }

    fn value(&mut self, place: &str, ty: &Type, value: &Value) {
        if let Some(name) = variable_name(value) {
            match self.variables.get(name) {
                // One value where a list is wanted is a list of one.
                Some(declared) if base(declared) == base(ty) && (declared.nullable <= ty.nullable) => {}
                Some(declared) => self.problems.push(format!("{place}: ${name} is {declared}, wanted {ty}")),
                None => self.problems.push(format!("{place}: ${name} is not declared")),
            }
            return;
        }
        if matches!(value, Value::Null) {
            if !ty.nullable {
                self.problems.push(format!("{place}: null, wanted {ty}"));
            }
            return;
        }
        match (&ty.base, value) {
            (BaseType::List(inner), Value::List(list)) => {
                list.iter().for_each(|value| self.value(place, inner, value));
            }
            (BaseType::List(inner), single) => self.value(place, inner, single),
            (BaseType::Named(name), value) => self.named(place, name, value),
        }
    }

    fn named(&mut self, place: &str, name: &str, value: &Value) {
        let schema = self.schema;
        if let Some(fields) = schema.inputs.get(name) {
            let Value::Object(object) = value else {
                self.problems.push(format!("{place}: {value}, wanted an object {name}"));
                return;
            };
            for (key, value) in object {
                match fields.get(key.as_str()) {
                    Some(ty) => self.value(&format!("{place}.{key}"), ty, value),
                    None => self.problems.push(format!("{place}: {name} has no field {key}")),
                }
            }
            for (needed, _) in fields.iter().filter(|(_, ty)| !ty.nullable) {
                if !object.contains_key(needed.as_str()) {
                    self.problems.push(format!("{place}: {name} lacks {needed}"));
                }
            }
            return;
        }
        let fits = match name {
            "String" => matches!(value, Value::String(_)),
            "ID" => matches!(value, Value::String(_) | Value::Number(_)),
            "Int" => matches!(value, Value::Number(n) if n.is_i64() || n.is_u64()),
            "Float" => matches!(value, Value::Number(_)),
            "Boolean" => matches!(value, Value::Boolean(_)),
            _ => true,
        };
        if !fits {
            self.problems.push(format!("{place}: {value}, wanted {name}"));
        }
    }
}

/// A variable as a constant: an enum value that no schema can have.
fn variable(name: &Name) -> Value {
    Value::Enum(Name::new(format!("${name}")))
}

fn variable_name(value: &Value) -> Option<&str> {
    match value {
        Value::Enum(name) => name.as_str().strip_prefix('$'),
        _ => None,
    }
}

fn inputs(list: &[Positioned<InputValueDefinition>]) -> Inputs {
    list.iter().map(|i| (i.node.name.node.to_string(), i.node.ty.node.clone())).collect()
}

fn base(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(inner) => base(inner),
    }
}

/// Asks a server for its schema; types down to the depth that the schema has.
pub(crate) const INTROSPECTION: &str = "{ __schema { types { kind name \
    fields { name args { name type { ...T } } type { ...T } } inputFields { name type { ...T } } } } } \
    fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

/// Lists what a server told of its schema, one line per field as [`Published::lines`] does.
pub(crate) fn told(answer: &serde_json::Value) -> Vec<String> {
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines = Vec::new();
    for ty in list(&answer["data"]["__schema"]["types"]) {
        let name = text(&ty["name"]);
        if name.starts_with("__") {
            continue;
        }
        for field in list(&ty["fields"]) {
            let mut arguments: Vec<String> = list(&field["args"])
                .iter()
                .map(|a| format!("{}: {}", text(&a["name"]), spelled(&a["type"])))
                .collect();
            arguments.sort();
            let (field_name, ty) = (text(&field["name"]), spelled(&field["type"]));
            lines.push(format!("{name}.{field_name}({}): {ty}", arguments.join(", ")));
        }
        let inputs = list(&ty["inputFields"]);
        lines.extend(inputs.iter().map(|f| format!("{name}.{}: {}", text(&f["name"]), spelled(&f["type"]))));
    }
    lines
}

fn spelled(ty: &serde_json::Value) -> String {
    match ty["kind"].as_str() {
        Some("NON_NULL") => format!("{}!", spelled(&ty["ofType"])),
        Some("LIST") => format!("[{}]", spelled(&ty["ofType"])),
        _ => ty["name"].as_str().unwrap_or_default().to_owned(),
    }
}
