//! Files of runs and results: base64 in JSON, numbers for ids.

use base64::Engine as _;
use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::http::{Answer, Call, Failure, Reply, text};
use super::result_reads::result_id;
use super::results::camel;
use super::runs::{RunFile, run_id, url_of};
use super::state::State;
use super::value::iso;

/// The largest file that the service takes, as base64.
const MAX_BASE64: usize = 100 * 1024 * 1024;

/// The kinds of files.
const KINDS: [&str; 12] = [
    "GeneralAttachment",
    "AfnStrip",
    "BugFilingData",
    "CodeCoverage",
    "IntermediateCollectorData",
    "RunConfig",
    "TestImpactDetails",
    "TmiTestRunDeploymentFiles",
    "TmiTestRunReverseDeploymentFiles",
    "TmiTestResultDetail",
    "TmiTestRunSummary",
    "ConsoleLog",
];

/// The run of the path, and the result if the path names one.
fn place(state: &State, call: &Call) -> Result<(u32, Option<u32>), Failure> {
    if call.param("testCaseResultId").is_some() {
        return result_id(state, call).map(|(run, result)| (run, Some(result)));
    }
    Ok((run_id(state, call)?, None))
}

fn url(state: &State, call: &Call, run: u32, result: Option<u32>, id: u32) -> String {
    let run = url_of(state, call, run);
    match result {
        Some(result) => format!("{run}/Results/{result}/Attachments/{id}"),
        None => format!("{run}/Attachments/{id}"),
    }
}

/// `POST …/attachments`.
pub(super) fn upload(state: &mut State, call: &Call) -> Answer {
    let (run, result) = place(state, call)?;
    let body = call.object()?;
    let name = text(&body, "fileName").filter(|n| !n.is_empty()).ok_or_else(|| Failure::null("fileName"))?;
    let stream = text(&body, "stream").ok_or_else(|| Failure::null("stream"))?;
    if stream.len() > MAX_BASE64 {
        return Err(Failure::new(
            413,
            "TestObjectAttachmentTooLargeException",
            "The attachment is larger than the service accepts.",
        ));
    }
    let content = base64::engine::general_purpose::STANDARD
        .decode(stream.trim())
        .map_err(|e| Failure::argument(format!("The stream is not valid base64: {e}.")))?;
    let kind = text(&body, "attachmentType").filter(|k| !k.is_empty()).unwrap_or("GeneralAttachment");
    let kind = KINDS
        .iter()
        .find(|k| k.eq_ignore_ascii_case(kind))
        .ok_or_else(|| Failure::property(format!("The attachment type '{kind}' is not valid.")))?;
    state.next_run_attachment += 1;
    let id = state.next_run_attachment;
    let file = RunFile {
        id,
        result,
        iteration: u32::try_from(call.number("iterationid")?.unwrap_or(0)).unwrap_or(0),
        path: call.q("actionpath").unwrap_or_default().to_owned(),
        name: name.to_owned(),
        comment: text(&body, "comment").unwrap_or_default().to_owned(),
        kind: (*kind).to_owned(),
        created: call.now,
        content: Bytes::from(content),
    };
    if let Some(held) = state.runs.get_mut(&run) {
        held.files.push(file);
    }
    state.touch();
    Ok(Reply::ok(json!({"id": id, "url": url(state, call, run, result, id)})))
}

/// `GET …/attachments`.
pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    let (run, result) = place(state, call)?;
    let iteration = call.number("iterationid")?.and_then(|i| u32::try_from(i).ok());
    let wanted = |f: &&RunFile| f.result == result && iteration.is_none_or(|i| f.iteration == i);
    let one = |f: &RunFile| -> Json {
        json!({"createdDate": iso(f.created), "url": url(state, call, run, result, f.id), "id": f.id,
            "fileName": f.name, "comment": f.comment, "size": f.content.len(), "attachmentType": camel(&f.kind)})
    };
    Ok(Reply::list(state.runs[&run].files.iter().filter(wanted).map(one).collect()))
}

fn position(state: &State, call: &Call) -> Result<(u32, usize), Failure> {
    let (run, result) = place(state, call)?;
    let id = call.id("attachmentId")?;
    let found = state.runs[&run].files.iter().position(|f| f.id == id && f.result == result);
    found
        .map(|at| (run, at))
        .ok_or_else(|| Failure::no_test_object(format!("Attachment {id} not found in test run {run}.")))
}

/// `GET …/attachments/{attachmentId}`.
pub(super) fn download(state: &mut State, call: &Call) -> Answer {
    let (run, at) = position(state, call)?;
    let file = &state.runs[&run].files[at];
    Ok(Reply::download(file.content.clone(), &file.name))
}

/// `DELETE …/attachments/{attachmentId}`: on the results host only.
pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    let (run, at) = position(state, call)?;
    if let Some(held) = state.runs.get_mut(&run) {
        held.files.remove(at);
    }
    state.touch();
    Ok(Reply::none())
}
