//! Splitting a multipart body into its parts.

/// One part of a form.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) file_name: Option<String>,
    pub(crate) mime: String,
    pub(crate) data: Vec<u8>,
}

/// Splits a body; `None` if it is not multipart.
pub(crate) fn parts(content_type: &str, body: &[u8]) -> Option<Vec<Part>> {
    if !content_type.to_ascii_lowercase().starts_with("multipart/form-data") {
        return None;
    }
    let boundary = parameter(content_type, "boundary")?;
    let mark = format!("--{boundary}").into_bytes();
    let mut out = Vec::new();
    let mut rest = &body[find(body, &mark)? + mark.len()..];
    while !rest.starts_with(b"--") {
        let end = find(rest, &mark)?;
        if let Some(part) = part(&rest[..end]) {
            out.push(part);
        }
        rest = &rest[end + mark.len()..];
    }
    Some(out)
}

fn part(bytes: &[u8]) -> Option<Part> {
    let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let split = find(bytes, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..split]);
    let data = &bytes[split + 4..];
    let data = data.strip_suffix(b"\r\n").unwrap_or(data);
    let mut out = Part {
        name: String::new(),
        file_name: None,
        mime: "application/octet-stream".to_owned(),
        data: data.to_vec(),
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
    haystack.windows(needle.len().max(1)).position(|w| w == needle)
}
