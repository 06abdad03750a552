//! Files on entities: rows about them, and their bytes.

use bytes::Bytes;

use super::call::{Call, Desk};
use super::memo;
use super::read;
use super::reply::{Answer, Body, Failure, Format, Reply};
use super::schema::Kind;
use super::store::{Project, Row, Value};
use super::versions;
use super::write;

/// The largest file, in bytes; a site parameter.
const FILE_MAX: usize = 50 * 1024 * 1024;
/// Extensions that the site refuses.
const BLOCKED: [&str; 8] = ["exe", "bat", "cmd", "com", "scr", "vbs", "msi", "jar"];

/// A file that came in.
struct Upload {
    name: String,
    description: String,
    replace: bool,
    subtype: i64,
    bytes: Bytes,
}

/// Everything below `{collection}/{id}/attachments`.
pub(super) fn route(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, id: u32, rest: &[&str]) -> Answer {
    if read::visible(desk.project, kind, id, call.caller.user).is_none() {
        return Err(Failure::no_entity(kind.name(), id));
    }
    let method = call.request.method.as_str();
    match (method, rest) {
        ("GET", []) => list(desk.project, call, kind, id),
        ("POST", []) => {
            versions::check(desk.project, call, kind, id)?;
            let upload = upload(call)?;
            let row = store(desk, call, kind, id, upload)?;
            let entity = read::entity(
                desk.project,
                Kind::Attachment,
                row,
                desk.project.row(Kind::Attachment, row).unwrap_or(&Row::default()),
                None,
            );
            Ok(Reply::of(201, Body::Entity(entity))
                .header("Location", format!("{}/{}/{id}/attachments/{row}", call.base, kind.collection())))
        }
        (_, [name]) => {
            let file = find(desk.project, call, kind, id, name)
                .ok_or_else(|| Failure::no_entity("attachment", name))?;
            one(desk, call, kind, id, file)
        }
        _ => Err(Failure::no_method()),
    }
}

fn of_entity(project: &Project, kind: Kind, id: u32) -> Vec<u32> {
    let at = Kind::Attachment.at("parent-type");
    let all = project.children(Kind::Attachment, "parent-id", id).into_iter();
    all.filter(|a| project.row(Kind::Attachment, *a).is_some_and(|r| r.text(at) == kind.name())).collect()
}

fn list(project: &Project, call: &Call<'_>, kind: Kind, id: u32) -> Answer {
    let ids = of_entity(project, kind, id);
    let size = call.query("page-size").and_then(|s| s.parse().ok()).unwrap_or(read::PAGE_MAX);
    let start = call.query("start-index").and_then(|s| s.parse::<usize>().ok()).unwrap_or(1).max(1);
    let page = ids.iter().skip(start - 1).take(size);
    let show =
        |a: &u32| Some(read::entity(project, Kind::Attachment, *a, project.row(Kind::Attachment, *a)?, None));
    Ok(Reply::of(200, Body::Entities(page.filter_map(show).collect(), ids.len())))
}

/// A file by its name, or by its number where that is asked for.
fn find(project: &Project, call: &Call<'_>, kind: Kind, id: u32, name: &str) -> Option<u32> {
    let by_id = call.query("by-id").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let at = Kind::Attachment.at("name");
    of_entity(project, kind, id).into_iter().find(|a| match by_id {
        true => a.to_string() == name,
        false => project.row(Kind::Attachment, *a).is_some_and(|r| r.text(at) == name),
    })
}

fn one(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, id: u32, file: u32) -> Answer {
    match call.request.method.as_str() {
        "GET" if call.format == Format::Octets => {
            let bytes = desk.project.files.get(&file).cloned().unwrap_or_default();
            Ok(Reply::of(200, Body::Bytes(bytes)))
        }
        "GET" => {
            let row = desk
                .project
                .row(Kind::Attachment, file)
                .ok_or_else(|| Failure::no_entity("attachment", file))?;
            Ok(Reply::of(200, Body::Entity(read::entity(desk.project, Kind::Attachment, file, row, None))))
        }
        "PUT" => {
            versions::check(desk.project, call, kind, id)?;
            if call.content_type().starts_with("application/octet-stream") {
                let size = Value::Num(i64::try_from(call.request.body.len()).unwrap_or(0));
                check_size(call.request.body.len())?;
                desk.project.files.insert(file, call.request.body.clone());
                desk.project.edit(
                    Kind::Attachment,
                    file,
                    vec![(Kind::Attachment.at("file-size"), Some(size))],
                );
                *desk.revision += 1;
                let row = desk.project.row(Kind::Attachment, file).cloned().unwrap_or_default();
                return Ok(Reply::of(
                    200,
                    Body::Entity(read::entity(desk.project, Kind::Attachment, file, &row, None)),
                ));
            }
            let sent = call.single()?;
            write::put(desk, call, Kind::Attachment, file, &sent)
        }
        "DELETE" => {
            versions::check(desk.project, call, kind, id)?;
            let reply = write::delete(desk, call, Kind::Attachment, file)?;
            desk.project.files.remove(&file);
            flag(desk.project, kind, id);
            Ok(reply)
        }
        _ => Err(Failure::no_method()),
    }
}

fn check_size(size: usize) -> Result<(), Failure> {
    if size > FILE_MAX {
        return Err(Failure::general(403, "The size of the attachment exceeds the maximum that is allowed."));
    }
    Ok(())
}

/// Shows on the parent whether there are files.
fn flag(project: &mut Project, kind: Kind, id: u32) {
    let any = !of_entity(project, kind, id).is_empty();
    if let Some(at) = kind.find("attachment") {
        project.edit(kind, id, vec![(at, any.then(|| Value::text("Y")))]);
    }
}

fn upload(call: &Call<'_>) -> Result<Upload, Failure> {
    let kind = call.content_type();
    if kind.to_ascii_lowercase().starts_with("multipart/form-data") {
        return multipart(kind, &call.request.body);
    }
    if !kind.starts_with("application/octet-stream") {
        return Err(Failure::general(415, "Unsupported Media Type"));
    }
    let slug = call.request.header("slug").filter(|s| !s.is_empty());
    let slug = slug.ok_or_else(|| Failure::general(400, "The header 'Slug' is missing."))?;
    let name = percent_encoding::percent_decode_str(slug).decode_utf8_lossy().into_owned();
    Ok(Upload {
        name,
        description: String::new(),
        replace: false,
        subtype: 0,
        bytes: call.request.body.clone(),
    })
}

/// Reads a form. The file comes last, else the server loses its way.
fn multipart(kind: &str, body: &Bytes) -> Result<Upload, Failure> {
    let lost = || Failure::general(500, "begin 0, end -1, length 1");
    let boundary = kind.split(';').find_map(|p| p.trim().strip_prefix("boundary="));
    let mark = format!("--{}", boundary.ok_or_else(lost)?.trim_matches('"')).into_bytes();
    let mut upload = Upload {
        name: String::new(),
        description: String::new(),
        replace: false,
        subtype: 0,
        bytes: Bytes::new(),
    };
    let mut at = position(body, &mark, 0).ok_or_else(lost)? + mark.len();
    let mut done = false;
    while !body[at..].starts_with(b"--") {
        let end = position(body, &mark, at).ok_or_else(lost)?;
        let part = body.slice(at..end);
        let part = part.strip_prefix(b"\r\n".as_slice()).and_then(|p| p.strip_suffix(b"\r\n".as_slice()));
        let part = part.ok_or_else(lost)?;
        let split = position(part, b"\r\n\r\n", 0).ok_or_else(lost)?;
        let head = String::from_utf8_lossy(&part[..split]).into_owned();
        let (content, start) = (&part[split + 4..], at + 2 + split + 4);
        let name = head.split("name=\"").nth(1).and_then(|n| n.split('"').next()).ok_or_else(lost)?;
        if done {
            return Err(lost());
        }
        let text = || String::from_utf8_lossy(content).trim().to_owned();
        match name {
            "filename" => upload.name = text(),
            "description" => upload.description = memo::memo(&text()),
            "override-existing-attachment" => upload.replace = text().eq_ignore_ascii_case("y"),
            "ref-subtype" => upload.subtype = text().parse().unwrap_or(0),
            "file" => {
                upload.bytes = body.slice(start..start + content.len());
                done = true;
            }
            _ => {}
        }
        at = end + mark.len();
    }
    if !done || upload.name.is_empty() { Err(lost()) } else { Ok(upload) }
}

fn position(body: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    body[from..].windows(wanted.len()).position(|w| w == wanted).map(|at| at + from)
}

fn store(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, id: u32, upload: Upload) -> Result<u32, Failure> {
    let extension = upload.name.rsplit_once('.').map_or("", |(_, e)| e).to_ascii_lowercase();
    if BLOCKED.contains(&extension.as_str()) {
        return Err(Failure::general(403, format!("Attachments of type '{extension}' are not allowed.")));
    }
    check_size(upload.bytes.len())?;
    let at = Kind::Attachment;
    let taken = |name: &str| {
        let all = of_entity(desk.project, kind, id).into_iter();
        all.into_iter().find(|a| desk.project.row(at, *a).is_some_and(|r| r.text(at.at("name")) == name))
    };
    let known = taken(&upload.name);
    let name = match known {
        Some(_) if !upload.replace => {
            let (stem, dot) = upload
                .name
                .rsplit_once('.')
                .map_or((upload.name.clone(), String::new()), |(s, e)| (s.to_owned(), format!(".{e}")));
            let names = (1..).map(|n| format!("{stem}_{n}{dot}"));
            names.into_iter().find(|n| taken(n).is_none()).unwrap_or_default()
        }
        _ => upload.name.clone(),
    };
    let row = match known.filter(|_| upload.replace) {
        Some(row) => row,
        None => desk.project.take_id(at),
    };
    put(desk.project, row, kind, id, &name, &upload.description, upload.subtype, upload.bytes, call.now);
    *desk.revision += 1;
    Ok(row)
}

/// Stores a file with what is known of it.
#[expect(clippy::too_many_arguments, reason = "one row, field by field")]
pub(super) fn put(
    project: &mut Project,
    row: u32,
    kind: Kind,
    id: u32,
    name: &str,
    description: &str,
    subtype: i64,
    bytes: Bytes,
    now: i64,
) {
    let at = Kind::Attachment;
    let mut fields = vec![
        (at.at("name"), Value::text(name)),
        (at.at("file-size"), Value::Num(i64::try_from(bytes.len()).unwrap_or(0))),
        (at.at("parent-id"), Value::Num(i64::from(id))),
        (at.at("parent-type"), Value::text(kind.name())),
        (at.at("ref-type"), Value::text("File")),
        (at.at("ref-subtype"), Value::Num(subtype)),
        (at.at("last-modified"), Value::Num(now)),
    ];
    if !description.is_empty() {
        fields.push((at.at("description"), Value::text(description)));
    }
    project.put(at, row, Row::of(fields));
    project.files.insert(row, bytes);
    flag(project, kind, id);
}
