//! Files of work items: upload whole or in chunks, download.

use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::http::{Answer, Call, Failure, Reply};
use super::json::encode;
use super::state::{Blob, State};
use super::value::guid;

/// The most bytes that one upload may have.
const MAX_UPLOAD: usize = 130 * 1024 * 1024;

fn reference(state: &State, call: &Call, id: &str, name: &str) -> Result<Json, Failure> {
    let scope = match state.scope_or_all(call)? {
        Some(project) => format!("/{}", state.project(project).guid),
        None => String::new(),
    };
    let url = format!("{}{scope}/_apis/wit/attachments/{id}?fileName={}", call.base, encode(name));
    Ok(json!({"id": id, "url": url}))
}

/// `POST attachments?fileName=&uploadType=`.
pub(super) fn upload(state: &mut State, call: &Call) -> Answer {
    state.scope_or_all(call)?;
    let kind = call.content_type.to_ascii_lowercase();
    let chunked = call.q("uploadtype").is_some_and(|t| t.eq_ignore_ascii_case("chunked"));
    if !chunked && !kind.is_empty() && !kind.starts_with("application/octet-stream") {
        let message = format!(
            "TF400898: The request indicated a Content-Type of \"{kind}\": application/octet-stream is expected."
        );
        return Err(Failure::new(415, "VssRequestContentTypeNotSupportedException", message));
    }
    if call.body.len() > MAX_UPLOAD {
        return Err(Failure::new(
            413,
            "AttachmentSizeExceededException",
            "TF237082: The attachment is larger than the service accepts.",
        ));
    }
    state.next_blob += 1;
    let id = guid(&format!("attachment {}", state.next_blob));
    let name = call.q("filename").unwrap_or(&id).to_owned();
    let content = call.body.clone();
    let body = reference(state, call, &id, &name)?;
    let expected = chunked.then_some(u64::MAX);
    state.blobs.insert(id, Blob { name, created: call.now, expected, content });
    state.touch();
    Ok(Reply::created(body))
}

/// `PUT attachments/{id}` with `Content-Range`: one chunk.
pub(super) fn chunk(state: &mut State, call: &Call) -> Answer {
    let id = call.param("id").unwrap_or_default().to_ascii_lowercase();
    let range = call.content_range.as_deref().unwrap_or_default();
    let parsed = range.trim().strip_prefix("bytes ").and_then(|r| {
        let (span, total) = r.split_once('/')?;
        let (from, to) = span.split_once('-')?;
        Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()?, total.parse::<u64>().ok()?))
    });
    let Some((from, to, total)) = parsed else {
        return Err(Failure::argument(format!(
            "The Content-Range '{range}' is not valid: bytes 0-39999/99999 is expected."
        )));
    };
    let blob = state.blobs.get_mut(&id).filter(|b| b.expected.is_some()).ok_or_else(|| missing(&id))?;
    if from != blob.content.len() || to + 1 != from + call.body.len() || total > MAX_UPLOAD as u64 * 100 {
        return Err(Failure::argument(format!(
            "The chunk {range} does not follow the {} bytes received.",
            blob.content.len()
        )));
    }
    let mut content = Vec::with_capacity(blob.content.len() + call.body.len());
    content.extend_from_slice(&blob.content);
    content.extend_from_slice(&call.body);
    blob.expected = (content.len() as u64 != total).then_some(total);
    blob.content = Bytes::from(content);
    let name = blob.name.clone();
    state.touch();
    Ok(Reply::ok(reference(state, call, &id, &name)?))
}

fn missing(id: &str) -> Failure {
    Failure::new(404, "AttachmentNotFoundException", format!("TF237079: The attachment {id} does not exist."))
}

/// `GET attachments/{id}`.
pub(super) fn download(state: &mut State, call: &Call) -> Answer {
    let id = call.param("id").unwrap_or_default().to_ascii_lowercase();
    let blob = state.blobs.get(&id).filter(|b| b.expected.is_none()).ok_or_else(|| missing(&id))?;
    let name = call.q("filename").unwrap_or(&blob.name);
    Ok(Reply::download(blob.content.clone(), name))
}

/// `DELETE attachments/{id}`, from 7.2 on: only what no item holds.
pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    let id = call.param("id").unwrap_or_default().to_ascii_lowercase();
    state.blobs.get(&id).ok_or_else(|| missing(&id))?;
    for item in state.items.values_mut() {
        item.relations.retain(|r| !matches!(&r.target, super::items::Target::File(file) if *file == id));
    }
    state.blobs.remove(&id);
    state.touch();
    Ok(Reply::none())
}
