//! What a write carries: entities in JSON or XML.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value as Json;

use super::reply::Failure;

/// The fields of one entity that is to be written, in the order sent, each with its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) fields: Vec<(String, Vec<String>)>,
    /// Whether the order matters to the server: it does in JSON.
    pub(super) ordered: bool,
}

impl Sent {
    /// The first value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, values) = self.fields.iter().find(|(n, _)| n == name)?;
        Some(values.first().map_or("", String::as_str))
    }
}

/// What the `Content-Type` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) json: bool,
    pub(super) collection: bool,
}

/// Reads the `Content-Type`; none if it is neither JSON nor XML.
pub(super) fn kind(content_type: &str) -> Option<Kind> {
    let mut parts = content_type.split(';').map(|p| p.trim().to_ascii_lowercase());
    let json = match parts.next()?.as_str() {
        "application/json" => true,
        "application/xml" | "text/xml" => false,
        _ => return None,
    };
    Some(Kind { json, collection: parts.any(|p| p.replace(' ', "") == "type=collection") })
}

/// Reads one entity.
pub(super) fn single(kind: Kind, bytes: &[u8]) -> Result<Sent, Failure> {
    if kind.json {
        let json = json(bytes)?;
        if json.get("entities").is_some() {
            return Err(Failure::general(
                500,
                "Cannot invoke \"com.fasterxml.jackson.databind.JsonNode.has(String)\" because \"node\" is null",
            ));
        }
        return sent(&json);
    }
    let mut all = entities_xml(bytes)?;
    match (all.len(), all.pop()) {
        (1, Some((false, one))) => Ok(one),
        _ => Err(Failure::general(400, "Bad Request")),
    }
}

/// Reads a collection of entities; a single entity is a collection of one.
pub(super) fn collection(kind: Kind, bytes: &[u8]) -> Result<Vec<Sent>, Failure> {
    if !kind.json {
        return Ok(entities_xml(bytes)?.into_iter().map(|(_, sent)| sent).collect());
    }
    let json = json(bytes)?;
    match json.get("entities").and_then(Json::as_array) {
        Some(list) => list.iter().map(sent).collect(),
        None => Ok(vec![sent(&json)?]),
    }
}

fn json(bytes: &[u8]) -> Result<Json, Failure> {
    serde_json::from_slice(bytes).map_err(|_| Failure::general(400, "Bad Request"))
}

fn sent(json: &Json) -> Result<Sent, Failure> {
    let bad = || {
        Failure::general(
            500,
            "Cannot invoke \"com.fasterxml.jackson.databind.JsonNode.has(String)\" because \"node\" is null",
        )
    };
    let list = json.get("Fields").and_then(Json::as_array).ok_or_else(bad)?;
    let mut fields = Vec::with_capacity(list.len());
    for field in list {
        let name = field.get("Name").and_then(Json::as_str).ok_or_else(bad)?;
        let values = field.get("values").and_then(Json::as_array).ok_or_else(bad)?;
        let one = |value: &Json| match value.get("value") {
            Some(Json::String(text)) => text.clone(),
            Some(Json::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        fields.push((name.to_owned(), values.iter().map(one).collect()));
    }
    Ok(Sent { fields, ordered: true })
}

/// The entities of a document, each with whether it stood in a list.
fn entities_xml(bytes: &[u8]) -> Result<Vec<(bool, Sent)>, Failure> {
    let bad = |_| Failure::general(400, "Bad Request");
    let text = std::str::from_utf8(bytes).map_err(|_| Failure::general(400, "Bad Request"))?;
    let mut reader = Reader::from_str(text);
    let (mut out, mut current, mut value, mut listed) = (Vec::new(), None::<Sent>, None::<String>, false);
    loop {
        match reader.read_event().map_err(bad)? {
            Event::Start(tag) => match tag.local_name().as_ref() {
                "Entities" => listed = true,
                "Entity" => current = Some(Sent::default()),
                "Field" => field_xml(&tag, current.as_mut()),
                "Value" => value = Some(String::new()),
                _ => {}
            },
            Event::Empty(tag) => match tag.local_name().as_ref() {
                "Field" => field_xml(&tag, current.as_mut()),
                "Value" => add_value(current.as_mut(), String::new()),
                _ => {}
            },
            Event::Text(text) => {
                if let Some(value) = &mut value {
                    value.push_str(&text);
                }
            }
            Event::CData(text) => {
                if let Some(value) = &mut value {
                    value.push_str(&text);
                }
            }
            Event::GeneralRef(name) => {
                if let Some(value) = &mut value {
                    value.push_str(&reference(&name));
                }
            }
            Event::End(tag) => match tag.local_name().as_ref() {
                "Value" => add_value(current.as_mut(), value.take().unwrap_or_default()),
                "Entity" => out.extend(current.take().map(|sent| (listed, sent))),
                _ => {}
            },
            Event::Eof => return Ok(out),
            _ => {}
        }
    }
}

fn field_xml(tag: &quick_xml::events::BytesStart<'_>, current: Option<&mut Sent>) {
    let name = tag.attributes().flatten().find(|a| a.key.as_ref() == "Name");
    if let (Some(sent), Some(name)) = (current, name) {
        sent.fields.push((unescaped(&name.value), Vec::new()));
    }
}

fn unescaped(text: &str) -> String {
    quick_xml::escape::unescape(text).map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
}

fn add_value(current: Option<&mut Sent>, value: String) {
    if let Some((_, values)) = current.and_then(|sent| sent.fields.last_mut()) {
        values.push(value);
    }
}

/// What an entity reference stands for.
fn reference(name: &str) -> String {
    unescaped(&format!("&{name};"))
}

/// The text of the first element of that name, and whether the document can be read at all.
pub(super) fn element(bytes: &[u8], wanted: &str) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut reader = Reader::from_str(text);
    let (mut inside, mut out) = (false, String::new());
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) if tag.local_name().as_ref() == wanted => inside = true,
            Event::Empty(tag) if tag.local_name().as_ref() == wanted => return Some(String::new()),
            Event::Text(text) if inside => out.push_str(&text),
            Event::CData(text) if inside => out.push_str(&text),
            Event::GeneralRef(name) if inside => out.push_str(&reference(&name)),
            Event::End(_) if inside => return Some(out),
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let xml = br#"<Entity Type="test"><Fields><Field Name="name"><Value>a &amp; b &#246;</Value></Field><Field Name="owner"/></Fields></Entity>"#;
        let json = r#"{"Fields":[{"Name":"name","values":[{"value":"a & b ö"}]},{"Name":"owner","values":[]}],"Type":"test"}"#;
        let of = |text: &str, bytes: &[u8]| single(kind(text).unwrap(), bytes).unwrap().fields;
        assert_eq!(of("application/xml", xml), of("application/json; charset=utf-8", json.as_bytes()));
    }

    #[test]
    fn a_collection_needs_its_own_content_type() {
        let json = br#"{"entities":[{"Fields":[],"Type":"test"},{"Fields":[],"Type":"test"}]}"#;
        assert_eq!(single(kind("application/json").unwrap(), json).unwrap_err().status, 500);
        let bulk = kind("application/json;type=collection").unwrap();
        assert!(bulk.collection);
        assert_eq!(collection(bulk, json).unwrap().len(), 2);
        let xml = br#"<Entities><Entity Type="test"><Fields/></Entity></Entities>"#;
        assert_eq!(single(kind("application/xml").unwrap(), xml).unwrap_err().status, 400);
    }

    #[test]
    fn elements_are_found() {
        let xml = b"<?xml version='1.0'?><alm-authentication><user>joe</user><password>p&lt;w</password></alm-authentication>";
        assert_eq!(element(xml, "password").as_deref(), Some("p<w"));
        assert_eq!(element(xml, "time-out"), None);
    }
}
