//! Answers and refusals, in XML or JSON, as the caller asked.

use std::fmt::Write as _;

use bytes::Bytes;

use crate::sandbox::Response;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Xml,
    Json,
    /// The caller did not say: XML, but errors as a page.
    Unsaid,
    /// Bytes of a file.
    Octets,
}

/// One field of an entity that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) name: &'static str,
    /// Whether no value shows as an empty list.
    pub(super) bare: bool,
    pub(super) values: Vec<String>,
}

/// An entity that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entity {
    pub(super) kind: &'static str,
    pub(super) fields: Vec<Shown>,
}

/// One line of what became of a bulk request.
#[derive(Debug)]
pub(super) struct BulkEntry {
    pub(super) id: Option<u32>,
    pub(super) kind: &'static str,
    pub(super) outcome: Result<Option<Entity>, Failure>,
}

/// A refusal.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: u16,
    pub(super) id: &'static str,
    pub(super) title: String,
    pub(super) bulk: Vec<BulkEntry>,
    pub(super) headers: Vec<(String, String)>,
}

impl Failure {
    pub(super) fn new(status: u16, id: &'static str, title: impl Into<String>) -> Failure {
        Failure { status, id, title: title.into(), bulk: Vec::new(), headers: Vec::new() }
    }

    /// A business error that has no name of its own.
    pub(super) fn general(status: u16, title: impl Into<String>) -> Failure {
        Failure::new(status, "qccore.general-error", title)
    }

    /// A resource that does not exist.
    pub(super) fn no_resource() -> Failure {
        Failure::general(404, "Not Found")
    }

    /// A method that the resource does not take.
    pub(super) fn no_method() -> Failure {
        Failure::general(405, "Method Not Allowed")
    }

    /// An entity that does not exist.
    pub(super) fn no_entity(kind: &str, id: impl std::fmt::Display) -> Failure {
        Failure::new(
            404,
            "qccore.entity-not-found",
            format!("Entity with Key '{id}' does not exist in table '{kind}'."),
        )
    }

    /// A filter that cannot be read.
    pub(super) fn filter(detail: impl std::fmt::Display) -> Failure {
        Failure::new(400, "qccore.invalid-filter-expression", format!("Invalid filter: {detail}"))
    }
}

/// What a handler gives.
pub(super) type Answer = Result<Reply, Failure>;

/// A successful answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
}

/// What an answer carries.
#[derive(Debug)]
pub(super) enum Body {
    Empty,
    Entity(Entity),
    Entities(Vec<Entity>, usize),
    /// The same in both forms: XML, then JSON.
    Both(String, String),
    /// XML alone; asked for JSON it is refused.
    XmlOnly(String),
    JsonOnly(String),
    Bytes(Bytes),
}

impl Reply {
    pub(super) fn of(status: u16, body: Body) -> Reply {
        Reply { status, headers: Vec::new(), body }
    }

    pub(super) fn empty(status: u16) -> Reply {
        Reply::of(status, Body::Empty)
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Turns the answer into bytes.
    pub(super) fn into_response(self, format: Format, changed: bool) -> Response {
        let xml = "application/xml;charset=UTF-8";
        let json = "application/json;charset=UTF-8";
        let as_json = format == Format::Json;
        let (kind, body) = match self.body {
            Body::Empty => ("", Bytes::new()),
            Body::Entity(entity) if as_json => {
                let mut out = String::new();
                entity_json(&entity, false, &mut out);
                (json, out.into())
            }
            Body::Entity(entity) => {
                let mut out = HEAD.to_owned();
                entity_xml(&entity, &mut out);
                (xml, out.into())
            }
            Body::Entities(list, total) if as_json => (json, list_json(&list, total).into()),
            Body::Entities(list, total) => (xml, list_xml(&list, total).into()),
            Body::Both(_, text) if as_json => (json, text.into()),
            Body::XmlOnly(_) if as_json => {
                return Failure::general(406, "Not Acceptable").into_response(format, changed);
            }
            Body::Both(text, _) | Body::XmlOnly(text) => (xml, format!("{HEAD}{text}").into()),
            Body::JsonOnly(text) => (json, text.into()),
            Body::Bytes(bytes) => ("application/octet-stream", bytes),
        };
        let mut headers = self.headers;
        if !kind.is_empty() {
            headers.push(("Content-Type".to_owned(), kind.to_owned()));
        }
        Response { status: self.status, headers, body, changed }
    }
}

impl Failure {
    /// Turns the refusal into bytes.
    pub(super) fn into_response(self, format: Format, changed: bool) -> Response {
        let (kind, body) = match format {
            Format::Json => ("application/json;charset=UTF-8", self.json()),
            Format::Xml | Format::Octets => ("application/xml;charset=UTF-8", self.xml()),
            Format::Unsaid => ("text/html;charset=utf-8", self.html()),
        };
        let mut headers = self.headers;
        headers.push(("Content-Type".to_owned(), kind.to_owned()));
        Response { status: self.status, headers, body: body.into(), changed }
    }

    fn json(&self) -> String {
        let properties = if self.bulk.is_empty() { "null".to_owned() } else { self.bulk_json() };
        let (id, title) = (quoted(self.id), quoted(&self.title));
        format!("{{\"Id\":{id},\"Title\":{title},\"ExceptionProperties\":{properties},\"StackTrace\":null}}")
    }

    fn bulk_json(&self) -> String {
        let mut out =
            String::from("[{\"Name\":\"qccore.bulk-operation-failed\",\"Value\":{\"BulkOperationFailed\":[");
        for (n, entry) in self.bulk.iter().enumerate() {
            if n > 0 {
                out.push(',');
            }
            let id = entry.id.map_or("null".to_owned(), |id| format!("\"{id}\""));
            let _ = write!(
                out,
                "{{\"Successful\":{},\"EntityId\":{id},\"EntityType\":\"{}\"",
                entry.outcome.is_ok(),
                entry.kind
            );
            match &entry.outcome {
                Ok(Some(entity)) => {
                    out.push_str(",\"Entity\":");
                    entity_json(entity, false, &mut out);
                }
                Ok(None) => {}
                Err(failure) => {
                    let _ = write!(
                        out,
                        ",\"Id\":{},\"Title\":{},\"StackTrace\":null",
                        quoted(failure.id),
                        quoted(&failure.title)
                    );
                }
            }
            out.push('}');
        }
        out.push_str("]}}]");
        out
    }

    fn xml(&self) -> String {
        let mut out =
            format!("{HEAD}<QCRestException><Id>{}</Id><Title>{}</Title>", self.id, escape(&self.title));
        if self.bulk.is_empty() {
            out.push_str("<ExceptionProperties/><StackTrace xsi:nil=\"true\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"/>");
        } else {
            out.push_str("<ExceptionProperties><ExceptionProperty name=\"qccore.bulk-operation-failed\"><value><BulkOperationFailed>");
            for entry in &self.bulk {
                let id = entry.id.map_or(String::new(), |id| format!(" EntityId=\"{id}\""));
                let _ = write!(
                    out,
                    "<BulkEntry Successful=\"{}\"{id} EntityType=\"{}\">",
                    entry.outcome.is_ok(),
                    entry.kind
                );
                match &entry.outcome {
                    Ok(Some(entity)) => entity_xml(entity, &mut out),
                    Ok(None) => {}
                    Err(failure) => {
                        let _ = write!(
                            out,
                            "<Id>{}</Id><Title>{}</Title><StackTrace/>",
                            failure.id,
                            escape(&failure.title)
                        );
                    }
                }
                out.push_str("</BulkEntry>");
            }
            out.push_str(
                "</BulkOperationFailed></value></ExceptionProperty></ExceptionProperties><StackTrace/>",
            );
        }
        out.push_str("</QCRestException>");
        out
    }

    fn html(&self) -> String {
        let title = escape(&self.title);
        format!(
            "<html>\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html;charset=utf-8\"/>\n<title>Error {0} {title}</title>\n</head>\n\
             <body><h2>HTTP ERROR {0} {title}</h2>\n</body>\n</html>\n",
            self.status
        )
    }
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>";

/// A JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// Text within XML; what XML cannot hold is left out.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#xD;"),
            c if c < ' ' && c != '\n' && c != '\t' => {}
            c => out.push(c),
        }
    }
    out
}

fn entity_json(entity: &Entity, listed: bool, out: &mut String) {
    out.push_str("{\"Fields\":[");
    for (n, field) in entity.fields.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        let _ = write!(out, "{{\"Name\":\"{}\",\"values\":[", field.name);
        if field.values.is_empty() && !field.bare {
            out.push_str("{}");
        }
        for (n, value) in field.values.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            let _ = write!(out, "{comma}{{\"value\":{}}}", quoted(value));
        }
        out.push_str("]}");
    }
    let status = if listed { "\"ErrorMessage\":\"\",\"EntityStatus\":\"Success\"," } else { "" };
    let _ = write!(out, "],\"Type\":\"{}\",{status}\"children-count\":0}}", entity.kind);
}

fn entity_xml(entity: &Entity, out: &mut String) {
    let _ = write!(
        out,
        "<Entity Type=\"{}\" EntityStatus=\"Success\" ErrorMessage=\"\"><ChildrenCount><Value>0</Value></ChildrenCount><Fields>",
        entity.kind
    );
    for field in &entity.fields {
        if field.values.is_empty() && field.bare {
            let _ = write!(out, "<Field Name=\"{}\"/>", field.name);
            continue;
        }
        let _ = write!(out, "<Field Name=\"{}\">", field.name);
        if field.values.is_empty() {
            out.push_str("<Value></Value>");
        }
        for value in &field.values {
            let _ = write!(out, "<Value>{}</Value>", escape(value));
        }
        out.push_str("</Field>");
    }
    out.push_str("</Fields><RelatedEntities/></Entity>");
}

fn list_json(list: &[Entity], total: usize) -> String {
    let mut out = String::from("{\"entities\":[");
    for (n, entity) in list.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        entity_json(entity, true, &mut out);
    }
    let _ = write!(out, "],\"TotalResults\":{total}}}");
    out
}

fn list_xml(list: &[Entity], total: usize) -> String {
    let mut out = format!("{HEAD}<Entities TotalResults=\"{total}\">");
    for entity in list {
        entity_xml(entity, &mut out);
    }
    out.push_str("</Entities>");
    out
}
