//! Files: two ways to send them, and their content.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::call::{Answer, Call, Reply};
use super::problem::Problem;
use super::render::{self, View};
use super::store::State;
use super::value::{Ref, Row, Val};
use super::{convert, multipart};

/// Extensions that the site lets in; `bin` is this site's own addition.
const EXTENSIONS: &str = "jpg bmp png gif jpeg word doc docx msg pdf xml xls xlsx csv ppt pptx zip txt wmv mp4 m4p mkv \
                          vob log wrf fbr json html har bin";
/// How files of a kind begin.
const BEGINNINGS: [(&str, &[u8]); 8] = [
    ("png", b"\x89PNG"),
    ("jpg", b"\xff\xd8\xff"),
    ("jpeg", b"\xff\xd8\xff"),
    ("pdf", b"%PDF"),
    ("zip", b"PK"),
    ("docx", b"PK"),
    ("xlsx", b"PK"),
    ("pptx", b"PK"),
];

/// `POST attachments`: a form of two parts, or the bytes alone with the entity in the query.
pub(super) fn upload(state: &mut State, call: &Call) -> Answer {
    let (entity, content) = if call.content_type.to_ascii_lowercase().starts_with("multipart/") {
        form(call)?
    } else {
        (from_query(call)?, call.body.clone())
    };
    let at = add(state, call, &entity, content)?;
    let view = call.argument("fields").map(View::parse).transpose()?.unwrap_or(View::parse("id,name")?);
    let row = state.row(at).ok_or_else(|| Problem::no_resource(&call.path))?;
    let shown = render::entity(state, at, &row, Some(&view), false);
    Ok(Reply::with(201, &render::collection(1, vec![shown])))
}

fn form(call: &Call) -> Result<(Map<String, Value>, Bytes), Problem> {
    let parts = multipart::parts(&call.content_type, &call.body)
        .ok_or_else(|| Problem::malformed("The multipart body cannot be read"))?;
    let part = |name: &str| parts.iter().find(|p| p.name == name);
    let entity = part("entity").ok_or_else(|| Problem::malformed("The part 'entity' is missing"))?;
    let content = part("content").ok_or_else(|| Problem::malformed("The part 'content' is missing"))?;
    let mut entity: Map<String, Value> = serde_json::from_slice(&entity.data)
        .map_err(|e| Problem::malformed(format!("The part 'entity' is no JSON object: {e}")))?;
    if let (None, Some(name)) = (entity.get("name"), &content.file_name) {
        entity.insert("name".to_owned(), json!(name));
    }
    Ok((entity, Bytes::copy_from_slice(&content.data)))
}

fn from_query(call: &Call) -> Result<Map<String, Value>, Problem> {
    let mut entity = Map::new();
    for (name, value) in &call.query {
        let read = match name.as_str() {
            "name" | "description" => json!(value),
            _ if name.starts_with("owner_") => serde_json::from_str(value)
                .map_err(|e| Problem::malformed(format!("The argument '{name}' is no JSON: {e}")))?,
            _ => continue,
        };
        entity.insert(name.clone(), read);
    }
    Ok(entity)
}

/// Keeps a file.
fn add(state: &mut State, call: &Call, entity: &Map<String, Value>, content: Bytes) -> Result<Ref, Problem> {
    let table = state.schema.table_of("attachment").unwrap_or_default();
    let mut row = Row::new(0, call.user, call.now);
    for (name, value) in entity.iter().filter(|(name, _)| *name != "type") {
        let number = state.schema.named(table, name);
        let number = number.ok_or_else(|| Problem::unknown_field("attachment", name))?;
        let field = state.schema.field_def(number);
        if field.read_only {
            return Err(Problem::read_only("", name));
        }
        row.set(number, convert::value(state, field, value)?);
    }
    let name = row.str(state.schema.known("attachment", "name")).to_owned();
    check_name(&name)?;
    check_content(&name, &content)?;
    let owners = state.keys.attachment_owners.iter().filter(|f| row.get(**f).is_some()).count();
    if owners != 1 {
        return Err(Problem::malformed("An attachment needs exactly one owner"));
    }
    let size = i64::try_from(content.len()).unwrap_or(i64::MAX);
    row.set(state.schema.known("attachment", "size"), Some(Val::Int(size)));
    let at = Ref(table, state.fresh(table));
    state.put(at, row);
    state.files.insert(at.1, content);
    Ok(at)
}

fn extension(name: &str) -> String {
    name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default()
}

fn check_name(name: &str) -> Result<(), Problem> {
    if name.is_empty() {
        return Err(Problem::missing("Name", "name"));
    }
    if name.starts_with('.') || name.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|']) {
        return Err(Problem::illegal("name", "it holds characters that file names must not"));
    }
    if !accepts(name) {
        let text = format!("Files of the type '{}' are not allowed", extension(name));
        return Err(Problem::new(400, "platform.attachment_extension_not_allowed", text).business());
    }
    Ok(())
}

/// Whether the site lets files of that name in.
pub(super) fn accepts(name: &str) -> bool {
    let extension = extension(name);
    EXTENSIONS.split_whitespace().any(|e| e == extension)
}

fn check_content(name: &str, content: &[u8]) -> Result<(), Problem> {
    let extension = extension(name);
    let begins = BEGINNINGS.iter().find(|(e, _)| *e == extension);
    if begins.is_some_and(|(_, begins)| !content.starts_with(begins)) {
        let text = format!("The content of '{name}' does not fit its extension");
        return Err(Problem::new(400, "platform.attachment_content_mismatch", text).business());
    }
    Ok(())
}

/// `GET attachments/{id}` as bytes.
pub(super) fn download(state: &State, at: Ref) -> Answer {
    let content = state.files.get(&at.1).cloned();
    let content = content.ok_or_else(|| Problem::no_entity("attachment", &state.id(at)))?;
    Ok(Reply::bytes("application/octet-stream", content))
}

/// Contents as text that a saved state can hold.
pub(super) fn packed(files: &BTreeMap<u32, Bytes>) -> impl Iterator<Item = (u32, String)> {
    use base64::Engine as _;
    files.iter().map(|(n, b)| (*n, base64::engine::general_purpose::STANDARD.encode(b)))
}

/// The counterpart of [`packed`].
pub(super) fn unpacked(text: &str) -> Result<Bytes, String> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).map(Bytes::from).map_err(|e| e.to_string())
}
