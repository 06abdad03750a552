//! Splitting an upload into its parts.

/// One part of a form.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) file_name: Option<String>,
    pub(super) mime: String,
    pub(super) data: Vec<u8>,
}

/// Splits a body; none if it is not multipart, or cut off.
pub(super) fn parts(content_type: &str, body: &[u8]) -> Option<Vec<Part>> {
    if !content_type.to_ascii_lowercase().starts_with("multipart/form-data") {
        return None;
    }
    let boundary = parameter(content_type, "boundary")?;
    let first = format!("--{boundary}").into_bytes();
    let mark = format!("\r\n--{boundary}").into_bytes();
    let mut rest = &body[find(body, &first)? + first.len()..];
    let mut out = Vec::new();
    while !rest.starts_with(b"--") {
        let end = find(rest, &mark)?;
        out.extend(part(&rest[..end]));
        rest = &rest[end + mark.len()..];
    }
    Some(out)
}

fn part(bytes: &[u8]) -> Option<Part> {
    let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let split = find(bytes, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..split]);
    let mut out = Part {
        name: String::new(),
        file_name: None,
        mime: "application/octet-stream".to_owned(),
        data: bytes[split + 4..].to_vec(),
    };
    for line in head.split("\r\n") {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-disposition") {
            out.name = parameter(value, "name").unwrap_or_default();
            out.file_name = extended(value).or_else(|| parameter(value, "filename"));
        } else if name.eq_ignore_ascii_case("content-type") {
            value.trim().clone_into(&mut out.mime);
        }
    }
    Some(out)
}

fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|p| {
        let (key, value) = p.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim_matches('"').to_owned())
    })
}

/// A file name in the form for names beyond ASCII.
fn extended(header: &str) -> Option<String> {
    let value = parameter(header, "filename*")?;
    let encoded = value.split_once("''").map_or(value.as_str(), |(_, v)| v);
    Some(percent_encoding::percent_decode_str(encoded).decode_utf8_lossy().into_owned())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = haystack.get(from..)?.iter().position(|b| *b == first) {
        if haystack[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}
