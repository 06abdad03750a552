//! Results of automated tests, pushed as XML and taken in after a while.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::json;
use xxhash_rust::xxh3::xxh3_64;

use super::call::{Answer, Call, Reply};
use super::problem::Problem;
use super::releases;
use super::store::{Push, State};
use super::value::{Millis, Ref, Row, Val, print_time};

/// How long results lie before they are taken in.
const DELAY_MS: Millis = 60;
/// How long a status is kept; it stays in the state for as long as the sandbox runs.
const KEPT_MS: Millis = 24 * 60 * 60 * 1000;
/// The schema that clients can ask for, in short.
const XSD: &str = include_str!("test-results.xsd");

/// One result of a file.
#[derive(Clone, Debug, Default)]
struct Entry {
    module: String,
    package: String,
    class: String,
    name: String,
    status: String,
    duration: i64,
    started: Option<Millis>,
    url: String,
    error: Option<(String, String, String)>,
    description: String,
}

/// What a file says.
#[derive(Debug, Default)]
struct Results {
    suite: Option<(String, String)>,
    release_id: Option<String>,
    release_name: Option<String>,
    milestone: Option<String>,
    areas: Vec<String>,
    items: Vec<String>,
    fields: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    runs: Vec<Entry>,
}

/// `POST test-results`, `GET test-results/{id}`, `GET test-results/xsd`.
pub(super) fn resource(state: &mut State, call: &Call, path: &[&str]) -> Answer {
    match (call.method.as_str(), path) {
        ("POST", []) => accept(state, call),
        ("GET", ["xsd"]) => Ok(Reply::bytes("application/xml", XSD.into())),
        ("GET", [id]) => {
            let push = state.pushes.iter().find(|p| p.id.to_string() == *id);
            let push = push.ok_or_else(|| Problem::no_entity("test_result", id))?;
            let mut body = json!({
                "id": push.id, "status": push.status, "until": print_time(push.due + KEPT_MS),
            });
            if let Some(details) = &push.details {
                body["errorDetails"] = json!(details);
            }
            Ok(Reply::ok(body))
        }
        _ => Err(Problem::denied(&call.method, &call.path)),
    }
}

fn accept(state: &mut State, call: &Call) -> Answer {
    let kind = call.content_type.split(';').next().unwrap_or_default().trim();
    if !matches!(kind, "application/xml" | "text/xml") {
        let text = format!("The media type '{kind}' is not supported, expected application/xml");
        return Err(Problem::new(415, "platform.unsupported_media_type", text));
    }
    let body = std::str::from_utf8(&call.body).map_err(|_| invalid("it is not UTF-8"))?;
    parse(body)?;
    let hash = xxh3_64(body.as_bytes());
    let held = state.pushes.iter().find(|p| p.hash == hash).map(|p| (p.id, p.status.clone()));
    let (id, status) = match held {
        Some(held) => held,
        None => {
            let id = state.pushes.last().map_or(1001, |p| p.id + 1);
            state.pushes.push(Push {
                id,
                hash,
                due: call.now + DELAY_MS,
                user: call.user,
                lenient: call.argument("skip-errors") == Some("true"),
                status: "queued".to_owned(),
                details: None,
                body: body.to_owned(),
            });
            state.revision += 1;
            (id, "queued".to_owned())
        }
    };
    Ok(Reply::with(202, &json!({"id": id, "status": status, "until": print_time(call.now + KEPT_MS)})))
}

fn invalid(why: impl std::fmt::Display) -> Problem {
    Problem::new(400, "testbox.invalid_xml", format!("The test results do not follow the schema: {why}"))
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = tag.try_get_attribute(name).ok()??;
    let raw: &str = attribute.value.as_ref();
    quick_xml::escape::unescape(raw).ok().map(|text| text.into_owned())
}

fn parse(text: &str) -> Result<Results, Problem> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut out = Results::default();
    let mut path: Vec<String> = Vec::new();
    loop {
        match reader.read_event().map_err(invalid)? {
            Event::Start(tag) => {
                let name = tag.name().as_ref().to_owned();
                if path.is_empty() && name != "test_result" {
                    return Err(invalid("the root must be <test_result>"));
                }
                open(&mut out, &name, &tag)?;
                path.push(name);
            }
            Event::End(_) => drop(path.pop()),
            Event::Text(piece) => gather(&mut out, &path, piece.as_ref()),
            Event::CData(piece) => gather(&mut out, &path, piece.as_ref()),
            Event::GeneralRef(piece) => {
                let resolved = match piece.resolve_char_ref() {
                    Ok(Some(c)) => c.to_string(),
                    _ => quick_xml::escape::unescape(&format!("&{};", piece.as_ref() as &str))
                        .map_err(invalid)?
                        .into_owned(),
                };
                gather(&mut out, &path, &resolved);
            }
            Event::Eof if path.is_empty() => return Ok(out),
            Event::Eof => return Err(invalid("it ends too early")),
            _ => {}
        }
    }
}

fn open(out: &mut Results, name: &str, tag: &BytesStart<'_>) -> Result<(), Problem> {
    let need = |key: &str| attribute(tag, key).ok_or_else(|| invalid(format!("<{name}> needs '{key}'")));
    let or_empty = |key: &str| attribute(tag, key).unwrap_or_default();
    let number = |key: &str| -> Result<Option<i64>, Problem> {
        attribute(tag, key)
            .map(|t| t.parse().map_err(|_| invalid(format!("'{key}' of <{name}> is no number"))))
            .transpose()
    };
    match name {
        "suite_ref" => out.suite = Some((need("id")?, or_empty("external_run_id"))),
        "release" => out.release_name = Some(need("name")?),
        "release_ref" => out.release_id = Some(need("id")?),
        "milestone_ref" => out.milestone = Some(need("id")?),
        "product_area_ref" => out.areas.push(need("id")?),
        "backlog_item_ref" => out.items.push(need("id")?),
        "test_field" => out.fields.push((need("type")?, need("value")?)),
        "taxonomy" => out.environment.push((need("type")?, need("value")?)),
        "test_run" => {
            let status = need("status")?;
            if !matches!(status.as_str(), "Passed" | "Failed" | "Skipped") {
                return Err(invalid(format!("the status '{status}' is none of Passed, Failed, Skipped")));
            }
            out.runs.push(Entry {
                module: or_empty("module"),
                package: or_empty("package"),
                class: or_empty("class"),
                name: need("name")?,
                status,
                duration: number("duration")?.unwrap_or_default(),
                started: number("started")?,
                url: or_empty("external_report_url"),
                ..Entry::default()
            });
        }
        "error" => {
            let error = (or_empty("type"), or_empty("message"), String::new());
            if let Some(run) = out.runs.last_mut() {
                run.error = Some(error);
            }
        }
        _ => {}
    }
    Ok(())
}

fn gather(out: &mut Results, path: &[String], piece: &str) {
    let Some(run) = out.runs.last_mut() else { return };
    match path.last().map(String::as_str) {
        Some("error") => {
            if let Some((_, _, stack)) = &mut run.error {
                stack.push_str(piece);
            }
        }
        Some("description") => run.description.push_str(piece),
        _ => {}
    }
}

/// Takes in the files whose time has come; all if `all`.
pub(super) fn run_due(state: &mut State, now: Millis, all: bool) {
    while let Some(place) = state.pushes.iter().position(|p| p.status == "queued" && (all || p.due <= now)) {
        let push = &mut state.pushes[place];
        let (text, lenient, user) = (std::mem::take(&mut push.body), push.lenient, push.user);
        let outcome = match parse(&text) {
            Ok(results) => Intake { state, user, now, problems: Vec::new() }.take(&results, lenient),
            Err(problem) => Err(problem.description),
        };
        let push = &mut state.pushes[place];
        let (status, details) = match outcome {
            Ok(problems) if problems.is_empty() => ("success", None),
            Ok(problems) => ("warning", Some(problems.join("; "))),
            Err(details) => ("failed", Some(details)),
        };
        push.status = status.to_owned();
        push.details = details;
        state.revision += 1;
    }
}

struct Intake<'a> {
    state: &'a mut State,
    user: u16,
    now: Millis,
    problems: Vec<String>,
}

/// What all runs of a file share.
#[derive(Default)]
struct Shared {
    fields: Vec<(u16, Val)>,
    areas: Vec<Ref>,
    items: Vec<Ref>,
    suite_run: Option<Ref>,
}

impl Intake<'_> {
    fn take(mut self, results: &Results, lenient: bool) -> Result<Vec<String>, String> {
        let shared = self.shared(results);
        if !self.problems.is_empty() && !lenient {
            return Err(self.problems.join("; "));
        }
        for run in &results.runs {
            let test = self.test(run, results, &shared);
            self.run(run, test, &shared);
        }
        if let Some(suite_run) = shared.suite_run {
            super::runs::summarise(self.state, suite_run, self.now);
        }
        Ok(self.problems)
    }

    fn named(&mut self, entity: &str, id: &str) -> Option<Ref> {
        let table = self.state.schema.table_of(entity)?;
        let found = self.state.find_id(table, id);
        if found.is_none() {
            self.problems.push(format!("there is no {entity} with id {id}"));
        }
        found
    }

    fn field(&self, entity: &str, name: &str) -> u16 {
        self.state.schema.known(entity, name)
    }

    fn shared(&mut self, results: &Results) -> Shared {
        let mut shared = Shared::default();
        let release = match (&results.release_id, results.release_name.as_deref()) {
            (Some(id), _) => self.named("release", id),
            (None, None | Some("_default_")) => releases::default(self.state),
            (None, Some(name)) => self.by_name("release", name),
        };
        let key = self.field("run", "release");
        shared.fields.extend(release.map(|r| (key, Val::Ref(r))));
        if let Some(milestone) = results.milestone.as_ref().and_then(|m| self.named("milestone", m)) {
            shared.fields.push((self.field("run", "milestone"), Val::Ref(milestone)));
        }
        shared.areas = results.areas.iter().filter_map(|a| self.named("product_area", a)).collect();
        shared.items = results.items.iter().filter_map(|i| self.named("work_item", i)).collect();
        let environment: Vec<Ref> =
            results.environment.iter().filter_map(|(kind, value)| self.environment(kind, value)).collect();
        if !environment.is_empty() {
            shared.fields.push((self.field("run", "taxonomies"), Val::Refs(environment.into())));
        }
        if let Some((suite, external)) = &results.suite
            && let Some(suite) = self.named("test", suite)
        {
            shared.suite_run = Some(self.suite_run(suite, external, &shared));
        }
        shared
    }

    fn by_name(&mut self, entity: &str, name: &str) -> Option<Ref> {
        let table = self.state.schema.table_of(entity)?;
        let key = self.field(entity, "name");
        let found = self.state.table(table).rows.iter().find(|(_, r)| r.str(key) == name).map(|(n, _)| *n);
        if found.is_none() {
            self.problems.push(format!("there is no {entity} with the name {name}"));
        }
        found.map(|n| Ref(table, n))
    }

    fn insert(&mut self, entity: &str, values: Vec<(u16, Val)>) -> Ref {
        let (table, sub) = self.state.schema.entity_named(entity).unwrap_or_default();
        let mut row = Row::new(sub.unwrap_or_default(), self.user, self.now);
        values.into_iter().for_each(|(field, value)| row.set(field, Some(value)));
        let at = Ref(table, self.state.fresh(table));
        self.state.put(at, row);
        at
    }

    fn environment(&mut self, kind: &str, value: &str) -> Option<Ref> {
        let table = self.state.schema.table_of("taxonomy_node")?;
        let (name, category) = (self.field("taxonomy_node", "name"), self.field("taxonomy_node", "category"));
        let find = |state: &State, text: &str, above: Option<Ref>| {
            let fits = |r: &Row| r.str(name) == text && r.one(category) == above;
            state.table(table).rows.iter().find(|(_, r)| fits(r)).map(|(n, _)| Ref(table, *n))
        };
        let above = find(self.state, kind, None)
            .unwrap_or_else(|| self.insert("taxonomy_category_node", vec![(name, Val::text(kind))]));
        let found = find(self.state, value, Some(above));
        Some(found.unwrap_or_else(|| {
            let values = vec![(name, Val::text(value)), (category, Val::Ref(above))];
            self.insert("taxonomy_item_node", values)
        }))
    }

    /// The suite run that an external id names; one more if there is none yet.
    fn suite_run(&mut self, suite: Ref, external: &str, shared: &Shared) -> Ref {
        let key = self.field("run", "external_run_id");
        let (run_test, table) = (self.state.keys.run_test, self.state.keys.run);
        let known = self.state.naming(run_test, suite).iter().copied().find(|n| {
            let row = self.state.row(Ref(table, *n));
            !external.is_empty() && row.is_some_and(|r| r.str(key) == external)
        });
        if let Some(known) = known {
            return Ref(table, known);
        }
        let title = self.state.title(suite).unwrap_or_default();
        let mut values = shared.fields.clone();
        values.push((self.field("run", "name"), Val::text(title.as_str())));
        values.push((self.field("run", "test_name"), Val::text(title)));
        values.push((run_test, Val::Ref(suite)));
        values.push((key, Val::text(external)));
        values.push((self.field("run", "started"), Val::Date(self.now)));
        let native = self.state.item("run_native_status.not_completed");
        values.extend(native.map(|n| (self.state.keys.run_native, Val::Ref(n))));
        self.insert("run_suite", values)
    }

    /// The automated test of a result: the one with its names, or a new one.
    fn test(&mut self, run: &Entry, results: &Results, shared: &Shared) -> Ref {
        let keys = ["component", "package", "class_name", "name"].map(|name| self.field("test", name));
        let texts = [&run.module, &run.package, &run.class, &run.name];
        let (table, sub) = self.state.schema.entity_named("test_automated").unwrap_or_default();
        let fits = |row: &Row| {
            Some(row.sub) == sub && keys.iter().zip(texts).all(|(key, text)| row.str(*key) == text.as_str())
        };
        let known = self.state.table(table).rows.iter().find(|(_, r)| fits(r)).map(|(n, _)| *n);
        if let Some(known) = known {
            return Ref(table, known);
        }
        let mut values: Vec<(u16, Val)> = keys
            .iter()
            .zip(texts)
            .filter(|(_, text)| !text.is_empty())
            .map(|(key, text)| (*key, Val::text(text.as_str())))
            .collect();
        for (kind, value) in &results.fields {
            let kind = kind.to_lowercase();
            let item = self.state.item(&format!("{kind}.{}", value.to_lowercase().replace(' ', "_")));
            let Some(item) = item else {
                self.problems.push(format!("there is no {kind} '{value}'"));
                continue;
            };
            let value = if kind == "test_type" { Val::Refs([item].into()) } else { Val::Ref(item) };
            values.push((self.field("test", &kind), value));
        }
        for (name, refs) in [("product_areas", &shared.areas), ("covered_content", &shared.items)] {
            if !refs.is_empty() {
                values.push((self.field("test", name), Val::Refs(refs.clone().into())));
            }
        }
        self.insert("test_automated", values)
    }

    fn run(&mut self, run: &Entry, test: Ref, shared: &Shared) {
        let field = |intake: &Self, name: &str| intake.field("run", name);
        let mut values = shared.fields.clone();
        let word = run.status.to_lowercase();
        let native = self.state.item(&format!("run_native_status.{word}"));
        let status = self.state.item(&format!("run_status.{word}"));
        values.extend(native.map(|n| (self.state.keys.run_native, Val::Ref(n))));
        values.extend(status.map(|s| (self.state.keys.run_status, Val::Ref(s))));
        values.push((self.state.keys.run_test, Val::Ref(test)));
        values.extend(shared.suite_run.map(|s| (self.state.keys.run_parent, Val::Ref(s))));
        values.push((field(self, "duration"), Val::Int(run.duration)));
        values.push((field(self, "started"), Val::Date(run.started.unwrap_or(self.now))));
        let error = run.error.clone().unwrap_or_default();
        let texts = [
            ("name", &run.name),
            ("test_name", &run.name),
            ("package", &run.package),
            ("class_name", &run.class),
            ("component", &run.module),
            ("external_report_url", &run.url),
            ("error_type", &error.0),
            ("error_message", &error.1),
            ("error_details", &error.2),
        ];
        for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            values.push((field(self, name), Val::text(text.as_str())));
        }
        if !run.description.is_empty() {
            let text = super::convert::document(&run.description);
            values.push((field(self, "description"), Val::text(text)));
        }
        self.insert("run_automated", values);
    }
}
