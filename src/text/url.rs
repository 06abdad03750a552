//! Which URLs may stand in a link, and which words of a text are URLs.

use super::tree::{Inline, Marks, Run};

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

/// How much of what follows a URL is looked at; only full stops and the like may
/// stand between the URL and a character that would prolong it.
const LOOK_AHEAD: usize = 64;

/// Joins the beginning of what follows a URL.
pub(super) fn beginning<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::new();
    for text in texts {
        out.extend(text.chars().take(LOOK_AHEAD.saturating_sub(out.len())));
        if out.len() >= LOOK_AHEAD {
            break;
        }
    }
    out
}

/// Tells whether a word is one bare URL, and nothing of what follows without a
/// space would be taken for a part of it.
pub(super) fn stands_alone(word: &str, before: Option<char>, following: &str) -> bool {
    word.starts_with("http") && bare_url(&format!("{word}{following}"), before) == Some(word.len())
}

/// Splits off the bare URLs of running text and gives them a link, for notations
/// in which a URL is not a link by itself. Reading takes the link away again.
pub(super) fn with_links(inlines: &[Inline]) -> Vec<Inline> {
    let mut out = Vec::with_capacity(inlines.len());
    for (i, inline) in inlines.iter().enumerate() {
        match inline {
            Inline::Text(run) if run.marks.link.is_none() && !run.marks.code && run.text.contains("://") => {
                split_links(run, &Beside::new(inlines, i), &mut out);
            }
            other => out.push(other.clone()),
        }
    }
    out
}

/// What stands directly before and after a run.
struct Beside<'a> {
    char_before: Option<char>,
    link_before: Option<&'a str>,
    text_after: String,
    link_after: Option<&'a str>,
}

impl<'a> Beside<'a> {
    fn new(inlines: &'a [Inline], i: usize) -> Beside<'a> {
        let run = |inline: &'a Inline| if let Inline::Text(run) = inline { Some(run) } else { None };
        let before = i.checked_sub(1).and_then(|i| inlines.get(i)).and_then(run);
        let mut after = inlines.iter().skip(i + 1).map_while(run).peekable();
        Beside {
            char_before: before.and_then(|run| run.text.chars().next_back()),
            link_before: before.and_then(|run| run.marks.link.as_deref()),
            link_after: after.peek().and_then(|run| run.marks.link.as_deref()),
            text_after: beginning(after.map(|run| run.text.as_str())),
        }
    }
}

fn split_links(run: &Run, beside: &Beside<'_>, out: &mut Vec<Inline>) {
    let Run { text, marks } = run;
    let whole = format!("{text}{}", beside.text_after);
    let mut before = beside.char_before;
    let mut plain_from = 0;
    let mut at = 0;
    let slice = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let length = bare_url(whole.get(at..).unwrap_or_default(), before);
        let Some(end) = length.map(|length| at + length).filter(|end| *end <= text.len()) else {
            at += c.len_utf8();
            before = Some(c);
            continue;
        };
        let url = slice(at, end);
        // Beside a link to the same place it would become one with that.
        let merges = (at == 0 && beside.link_before == Some(url))
            || (end == text.len() && beside.link_after == Some(url));
        if link_target(url).as_deref() == Some(url) && !merges {
            if plain_from < at {
                out.push(Inline::marked(slice(plain_from, at), marks));
            }
            out.push(Inline::marked(url, &Marks { link: Some(url.to_owned()), ..marks.clone() }));
            plain_from = end;
        }
        at = end;
        before = url.chars().next_back();
    }
    if plain_from < text.len() {
        out.push(Inline::marked(slice(plain_from, text.len()), marks));
    }
}
