//! Which URLs may stand in a link, and which words of a text are URLs.

use super::tree::{Inline, Marks};

/// Brings a link's target into the one form in which it is kept: absolute, of a
/// harmless scheme, ASCII without the characters that any notation needs itself.
/// `None` if it is anything else, such as a relative link or a script.
pub(super) fn link_target(href: &str) -> Option<String> {
    let href = href.trim();
    let (scheme, rest) = href.split_once(':')?;
    let scheme = scheme.to_ascii_lowercase();
    let rest = match scheme.as_str() {
        "http" | "https" => rest.strip_prefix("//").filter(|r| !r.is_empty()).map(|_| rest)?,
        "mailto" if !rest.is_empty() => rest,
        _ => return None,
    };
    Some(format!("{scheme}:{}", encoded(rest)))
}

/// Writes everything but the characters that are ordinary in a URL as percent
/// signs and digits.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (i, c) in text.char_indices() {
        let digits = || text.bytes().skip(i + 1).take(2).filter(u8::is_ascii_hexdigit).count();
        if c == '%' && digits() < 2 {
            out.push_str("%25");
        } else if c.is_ascii_alphanumeric() || "-._~:/?#@&=+$,;%()'!*".contains(c) {
            out.push(c);
        } else if !c.is_control() {
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    out
}

/// Returns the length of the bare URL at the start of `text`, if there is one.
pub(super) fn bare_url(text: &str, before: Option<char>) -> Option<usize> {
    if !text.starts_with("http") || before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let scheme = if text.starts_with("http://") {
        7
    } else if text.starts_with("https://") {
        8
    } else {
        return None;
    };
    let rest = text.get(scheme..)?;
    if !rest.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || "-._~:/?#@&=+$,;%".contains(c)))
        .unwrap_or(rest.len());
    // A character reference after a URL is not a part of it.
    let end = rest.get(..end)?.find("&#").unwrap_or(end);
    let url = rest.get(..end)?.trim_end_matches(['.', ',', ';', ':', '?']);
    Some(scheme + url.len())
}

/// Returns the last character before inline `i` if the text runs on into it.
fn char_before(inlines: &[Inline], i: usize) -> Option<char> {
    match inlines.get(i.checked_sub(1)?)? {
        Inline::Text(run) => run.text.chars().next_back(),
        _ => None,
    }
}

/// Tells whether the text of inline `i` is one bare URL and nothing that follows
/// would be taken for a part of it.
pub(super) fn stands_alone(inlines: &[Inline], i: usize) -> bool {
    let Some(Inline::Text(run)) = inlines.get(i) else { return false };
    if !run.text.starts_with("http") {
        return false;
    }
    let mut text = run.text.clone();
    if let Some(Inline::Text(next)) = inlines.get(i + 1) {
        text.push_str(&next.text);
    }
    bare_url(&text, char_before(inlines, i)) == Some(run.text.len())
}

/// Splits off the bare URLs of running text and gives them a link, for notations
/// in which a URL is not a link by itself. Reading takes the link away again.
pub(super) fn with_links(inlines: &[Inline]) -> Vec<Inline> {
    let mut out = Vec::with_capacity(inlines.len());
    for (i, inline) in inlines.iter().enumerate() {
        match inline {
            Inline::Text(run) if run.marks.link.is_none() && !run.marks.code && run.text.contains("://") => {
                let following = match inlines.get(i + 1) {
                    Some(Inline::Text(next)) => next.text.as_str(),
                    _ => "",
                };
                split_links(&run.text, &run.marks, char_before(inlines, i), following, &mut out);
            }
            other => out.push(other.clone()),
        }
    }
    out
}

fn split_links(text: &str, marks: &Marks, before: Option<char>, following: &str, out: &mut Vec<Inline>) {
    let whole = format!("{text}{following}");
    let mut before = before;
    let mut plain_from = 0;
    let mut at = 0;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let end = bare_url(whole.get(at..).unwrap_or_default(), before).map(|length| at + length);
        if let Some(end) = end.filter(|end| *end <= text.len()) {
            let url = text.get(at..end).unwrap_or_default();
            if link_target(url).as_deref() == Some(url) {
                if plain_from < at {
                    out.push(Inline::marked(text.get(plain_from..at).unwrap_or_default(), marks));
                }
                out.push(Inline::marked(url, &Marks { link: Some(url.to_owned()), ..marks.clone() }));
                plain_from = end;
            }
            at = end;
            before = text.get(..end).and_then(|t| t.chars().next_back());
        } else {
            at += c.len_utf8();
            before = Some(c);
        }
    }
    if plain_from < text.len() {
        out.push(Inline::marked(text.get(plain_from..).unwrap_or_default(), marks));
    }
}
