//! REST interfaces as their vendors publish them, in Swagger 2.0 or OpenAPI 3.0, and
//! exchanges held against them: path, method, query, both bodies.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::recorder::Exchange;

/// What the two formats, and two vendors' habits, differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Paths and values in any case, lists in an envelope, `null` for what is absent,
    /// `type: object` for anything.
    Swagger,
    /// Exactly as written.
    OpenApi,
}

/// Characters of a validator's words that are shown.
const WORDS_MAX: usize = 160;

/// The operations of an interface.
pub(crate) struct Description {
    habit: Habit,
    operations: Vec<Operation>,
}

/// A method on a path.
struct Operation {
    method: String,
    template: String,
    segments: Vec<String>,
    queries: BTreeSet<String>,
    needed: BTreeSet<String>,
    request: Option<Value>,
    responses: BTreeMap<String, Value>,
}

/// What was found wrong with one exchange.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is as described.
    Fine,
    /// No operation has that path and method.
    NotDescribed,
    /// It differs from the operation of that template.
    Differs(String, Vec<String>),
}

impl Description {
    /// Reads descriptions; where several have a path, the first counts.
    pub(crate) fn read(habit: Habit, texts: &[String]) -> Description {
        let mut operations: Vec<Operation> = Vec::new();
        for text in texts {
            let document: Value =
                serde_json::from_str(text.trim_start_matches('\u{feff}')).expect("a description");
            let definitions = Definitions::of(habit, &document);
            let known: BTreeSet<(String, String)> =
                operations.iter().map(|o| (o.method.clone(), o.template.clone())).collect();
            for paths in ["paths", "x-ms-paths"] {
                for (path, item) in object(&document[paths]) {
                    for (method, operation) in object(item) {
                        if operation.get("responses").is_none() {
                            continue;
                        }
                        let operation = definitions.operation(&document, path, method, item, operation);
                        let name = (operation.method.clone(), operation.template.clone());
                        if paths == "x-ms-paths" || !known.contains(&name) {
                            operations.push(operation);
                        }
                    }
                }
            }
        }
        Description { habit, operations }
    }

    /// Holds an exchange against the description.
    pub(crate) fn check(&self, exchange: &Exchange) -> Verdict {
        let path = segments(&exchange.path);
        let path = self.tail(&path);
        let mut found: Vec<(usize, &Operation)> = self
            .operations
            .iter()
            .filter(|o| o.method == exchange.method)
            .filter_map(|o| Some((self.matches(self.tail(&o.segments), path)?, o)))
            .collect();
        found.sort_by_key(|(literals, _)| std::cmp::Reverse(*literals));
        let Some((best, _)) = found.first() else { return Verdict::NotDescribed };
        let best = *best;
        // Operations of one path that differ by their query: the nearest counts.
        let nearest = found
            .iter()
            .filter(|(literals, _)| *literals == best)
            .map(|(_, operation)| (operation.template.clone(), self.problems(operation, exchange)))
            .min_by_key(|(_, problems)| problems.len());
        match nearest {
            Some((template, problems)) if !problems.is_empty() => Verdict::Differs(template, problems),
            _ => Verdict::Fine,
        }
    }

    /// The part of a path that tells: behind `_apis`, because in front of it the project may be left out.
    fn tail<'a>(&self, path: &'a [String]) -> &'a [String] {
        let at = path.iter().position(|s| s == "_apis").filter(|_| self.habit == Habit::Swagger);
        &path[at.unwrap_or(0)..]
    }

    /// Counts the literal segments if a path has the form of a template.
    fn matches(&self, template: &[String], path: &[String]) -> Option<usize> {
        let open_end = template.last().is_some_and(|s| s == "{path}");
        if path.len() < template.len() || (path.len() > template.len() && !open_end) {
            return None;
        }
        let mut literals = 0;
        for (wanted, found) in template.iter().zip(path) {
            match wanted.split_once('{') {
                Some((prefix, _)) => found.strip_prefix(prefix).map(|_| ())?,
                None if wanted == found => literals += 1,
                None if self.habit == Habit::Swagger && wanted.eq_ignore_ascii_case(found) => literals += 1,
                None => return None,
            }
        }
        Some(literals)
    }

    fn problems(&self, operation: &Operation, exchange: &Exchange) -> Vec<String> {
        let mut problems = Vec::new();
        let name = |text: &str| match self.habit {
            Habit::Swagger => text.to_lowercase(),
            Habit::OpenApi => text.to_owned(),
        };
        let sent: BTreeSet<String> =
            url::form_urlencoded::parse(exchange.query.as_bytes()).map(|(k, _)| name(&k)).collect();
        let known: BTreeSet<String> = operation.queries.iter().map(|q| name(q)).collect();
        problems.extend(sent.difference(&known).map(|q| format!("query: {q} is not described")));
        let needed: BTreeSet<String> = operation.needed.iter().map(|q| name(q)).collect();
        problems.extend(needed.difference(&sent).map(|q| format!("query: {q} is missing")));
        match (&operation.request, exchange.sent.is_empty()) {
            (Some(schema), false) => problems.extend(self.against(schema, &exchange.sent, "sent")),
            (None, false) => problems.push("sent: no body is described".into()),
            _ => {}
        }
        if !(200..300).contains(&exchange.status) {
            return problems;
        }
        let status = exchange.status.to_string();
        match operation.responses.get(&status).or_else(|| operation.responses.get("default")) {
            None => problems.push(format!("answer: status {status} is not described")),
            Some(Value::Null) => {}
            Some(schema) => problems.extend(self.against(schema, &exchange.received, "answer")),
        }
        problems
    }

    fn against(&self, schema: &Value, body: &[u8], what: &str) -> Vec<String> {
        let Ok(mut body) = serde_json::from_slice::<Value>(body) else {
            return vec![format!("{what}: no JSON")];
        };
        let mut problems = Vec::new();
        if self.habit == Habit::Swagger {
            drop_nulls(&mut body);
        }
        if self.habit == Habit::Swagger && schema["type"] == "array" && body["value"].is_array() {
            let value = body["value"].take();
            if body["count"] != json!(value.as_array().map_or(0, Vec::len)) {
                problems.push(format!("{what}: the count is not that of the values"));
            }
            body = value;
        }
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(true)
            .build(schema)
            .expect("a schema");
        problems.extend(validator.iter_errors(&body).map(|error| {
            let path = error.instance_path().to_string();
            let place: Vec<&str> =
                path.split('/').map(|s| if s.parse::<u64>().is_ok() { "*" } else { s }).collect();
            let words = error.to_string();
            // The end says what was expected, the beginning repeats what was found.
            let words: String = words.chars().skip(words.chars().count().saturating_sub(WORDS_MAX)).collect();
            format!("{what}{}: {words}", place.join("/"))
        }));
        problems
    }
}

/// The schemas of a document, as JSON Schema, each in two forms: closed to properties that
/// it does not name, and open where another schema adds its own.
struct Definitions {
    habit: Habit,
    schemas: Map<String, Value>,
}

impl Definitions {
    fn of(habit: Habit, document: &Value) -> Definitions {
        let source = match habit {
            Habit::Swagger => &document["definitions"],
            Habit::OpenApi => &document["components"]["schemas"],
        };
        let mut definitions = Definitions { habit, schemas: Map::new() };
        for (name, schema) in object(source) {
            for closed in [true, false] {
                let converted = definitions.convert(schema, closed);
                definitions.schemas.insert(place(name, closed), converted);
            }
        }
        definitions
    }

    fn operation(
        &self,
        document: &Value,
        path: &str,
        method: &str,
        item: &Value,
        operation: &Value,
    ) -> Operation {
        let template = path.split('?').next().unwrap_or_default().to_owned();
        let own = operation["parameters"].as_array().into_iter().flatten();
        let common = item["parameters"].as_array().into_iter().flatten();
        let parameters: Vec<&Value> = own.chain(common).map(|p| resolve(document, p)).collect();
        let queries = |only_needed: bool| -> BTreeSet<String> {
            parameters
                .iter()
                .filter(|p| p["in"] == "query" && (!only_needed || p["required"] == true))
                .filter_map(|p| Some(p["name"].as_str()?.to_owned()))
                .collect()
        };
        let body = parameters.iter().find(|p| p["in"] == "body").map(|p| &p["schema"]);
        let request = body.or_else(|| json_of(resolve(document, &operation["requestBody"])));
        let answer = |response: &Value| {
            let response = resolve(document, response);
            let schema = response.get("schema").or_else(|| json_of(response));
            let says = schema.filter(|schema| **schema != json!({}));
            says.map_or(Value::Null, |schema| self.whole(schema))
        };
        Operation {
            method: method.to_uppercase(),
            segments: segments(&template),
            template,
            queries: queries(false),
            needed: queries(true),
            request: request.map(|schema| self.whole(schema)),
            responses: object(&operation["responses"]).map(|(s, r)| (s.clone(), answer(r))).collect(),
        }
    }

    /// Converts a schema and adds the definitions that it reaches.
    fn whole(&self, schema: &Value) -> Value {
        let mut root = self.convert(schema, true);
        let mut reached = Map::new();
        let mut open = references(&root);
        while let Some(name) = open.pop() {
            if !reached.contains_key(&name) {
                let definition = self.schemas.get(&name).cloned().unwrap_or(json!({}));
                open.extend(references(&definition));
                reached.insert(name, definition);
            }
        }
        if let Some(root) = root.as_object_mut() {
            root.insert("$defs".into(), reached.into());
        }
        root
    }

    fn convert(&self, schema: &Value, closed: bool) -> Value {
        let converted = self.convert_value(schema, closed);
        match schema["nullable"] == true {
            true => json!({ "anyOf": [converted, { "type": "null" }] }),
            false => converted,
        }
    }

    fn convert_value(&self, schema: &Value, closed: bool) -> Value {
        if let Some(target) = schema["$ref"].as_str() {
            let name = target.rsplit('/').next().unwrap_or_default();
            // The one list that is described as an object.
            if name == "JsonPatchDocument" {
                return json!({ "type": "array", "items": reference("JsonPatchOperation", true) });
            }
            // Described as an object around the links, served as the links themselves.
            if self.habit == Habit::Swagger && name == "ReferenceLinks" {
                return json!({ "type": "object" });
            }
            return reference(name, closed);
        }
        // The parameter of a generic type is anything.
        if schema["format"] == "T" {
            return json!({});
        }
        let shaped = ["properties", "allOf", "additionalProperties", "items", "oneOf", "anyOf"];
        let shapeless = shaped.iter().all(|key| schema.get(key).is_none());
        if self.habit == Habit::Swagger && shapeless && schema["type"] == "object" {
            return json!({});
        }
        let mut out = Map::new();
        for key in ["type", "required", "minItems", "maxItems", "minLength", "maxLength", "pattern"] {
            if let Some(value) = schema.get(key) {
                out.insert(key.into(), value.clone());
            }
        }
        if let Some(format) = schema["format"].as_str().filter(|f| ["date-time", "uuid"].contains(f)) {
            out.insert("format".into(), format.into());
        }
        self.convert_values(schema, &mut out);
        if let Some(items) = schema.get("items") {
            out.insert("items".into(), self.convert(items, true));
        }
        for key in ["oneOf", "anyOf"] {
            if let Some(list) = schema[key].as_array() {
                out.insert("anyOf".into(), list.iter().map(|s| self.convert(s, true)).collect());
            }
        }
        if let Some(list) = schema["allOf"].as_array() {
            out.insert("allOf".into(), list.iter().map(|s| self.convert_value(s, false)).collect());
        }
        if schema.get("properties").is_some() {
            let properties: Map<String, Value> = object(&schema["properties"])
                .map(|(name, schema)| (name.clone(), self.convert(schema, true)))
                .collect();
            out.insert("properties".into(), properties.into());
        }
        match schema.get("additionalProperties") {
            Some(Value::Object(more)) => {
                out.insert("additionalProperties".into(), self.convert(&more.clone().into(), true));
            }
            Some(other) => {
                out.insert("additionalProperties".into(), other.clone());
            }
            None if closed && (schema.get("properties").is_some() || schema.get("allOf").is_some()) => {
                out.insert("unevaluatedProperties".into(), false.into());
            }
            None => {}
        }
        Value::Object(out)
    }

    fn convert_values(&self, schema: &Value, out: &mut Map<String, Value>) {
        let Some(values) = schema["enum"].as_array() else { return };
        match self.habit {
            Habit::OpenApi => {
                out.insert("enum".into(), values.clone().into());
            }
            // Flags come together, separated by commas.
            Habit::Swagger => {
                let words: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
                let one = format!("({})", words.join("|"));
                out.insert("pattern".into(), format!("(?i)^{one}(, ?{one})*$").into());
            }
        }
    }
}

/// Microsoft's answers spell what is absent as `null` here and leave it out there.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, member| !member.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn place(name: &str, closed: bool) -> String {
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if closed { name } else { format!("{name}-open") }
}

fn reference(name: &str, closed: bool) -> Value {
    json!({ "$ref": format!("#/$defs/{}", place(name, closed)) })
}

fn references(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(map) => {
            let own = map.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next());
            own.map(str::to_owned).into_iter().chain(map.values().flat_map(references)).collect()
        }
        Value::Array(list) => list.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value["$ref"].as_str().and_then(|r| r.strip_prefix('#'));
    target.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

fn json_of(holder: &Value) -> Option<&Value> {
    object(&holder["content"]).find(|(kind, _)| kind.contains("json")).map(|(_, content)| &content["schema"])
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn segments(path: &str) -> Vec<String> {
    let decode = |s: &str| percent_encoding::percent_decode_str(s).decode_utf8_lossy().into_owned();
    path.split('/').filter(|s| !s.is_empty()).map(decode).collect()
}
