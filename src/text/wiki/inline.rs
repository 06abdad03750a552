//! Reads marks, links, pictures and escapes within a line of wiki markup.

use super::{ESCAPABLE, PHRASES, is_opaque};
use crate::model::Notation;
use crate::text::tree::{Color, Image, Inline, Mark, Marks, Opaque, Script};
use crate::text::url;

/// How deep marks nest in each other; deeper ones are ordinary characters. There
/// are eight kinds of marks, and none makes sense twice.
const MAX_MARKS: usize = 12;

/// The longest tag of a colour or an anchor.
const MAX_TAG: usize = 200;

/// Reads one line. The colour stays on over lines until it is switched off.
pub(super) fn read_line(text: &str, color: &mut Option<Color>, out: &mut Vec<Inline>) {
    let mut line = Line::new(text, Marks::default(), color, 0);
    line.run();
    out.append(&mut line.out);
}

struct Line<'a> {
    text: &'a str,
    marks: Marks,
    color: &'a mut Option<Color>,
    depth: usize,
    plain: String,
    out: Vec<Inline>,
    /// Closers that were looked for in vain: none is ahead, so that a line of
    /// openers alone takes linear time.
    missing: Vec<String>,
}

impl<'a> Line<'a> {
    fn new(text: &'a str, marks: Marks, color: &'a mut Option<Color>, depth: usize) -> Line<'a> {
        Line { text, marks, color, depth, plain: String::new(), out: Vec::new(), missing: Vec::new() }
    }

    fn run(&mut self) {
        let mut at = 0;
        while let Some(c) = self.char_at(at) {
            at = match self.token(at, c) {
                Some(end) => end,
                None => {
                    self.plain.push(c);
                    at + c.len_utf8()
                }
            };
        }
        self.flush();
    }

    fn flush(&mut self) {
        if !self.plain.is_empty() {
            let marks = Marks { color: self.marks.color.or(*self.color), ..self.marks.clone() };
            self.out.push(Inline::marked(std::mem::take(&mut self.plain), &marks));
        }
    }

    fn push(&mut self, inline: Inline) {
        self.flush();
        self.out.push(inline);
    }

    fn rest(&self, at: usize) -> &'a str {
        self.text.get(at..).unwrap_or_default()
    }

    fn char_at(&self, at: usize) -> Option<char> {
        self.rest(at).chars().next()
    }

    fn before(&self, at: usize) -> Option<char> {
        self.text.get(..at).and_then(|text| text.chars().next_back())
    }

    /// Reads what begins at `at` if it is more than a character; returns its end.
    fn token(&mut self, at: usize, c: char) -> Option<usize> {
        let deepest = self.depth >= MAX_MARKS;
        match c {
            '\n' => {
                self.push(Inline::Break);
                Some(at + 1)
            }
            '\\' => self.backslash(at),
            '&' => {
                let (decoded, length) = entity(self.rest(at))?;
                self.plain.push(decoded);
                Some(at + length)
            }
            'h' => {
                let length = url::bare_url(self.rest(at), self.before(at))?;
                self.plain.push_str(self.rest(at).get(..length)?);
                Some(at + length)
            }
            '{' if !deepest => self.brace(at),
            '[' => self.bracket(at),
            '!' => {
                let (image, length) = image(self.rest(at), self.before(at))?;
                self.push(Inline::Image(image));
                Some(at + length)
            }
            '?' if !deepest && self.rest(at).starts_with("??") => self.cite(at),
            '-' => self.dash(at).or_else(|| if deepest { None } else { self.phrase(at, c) }),
            _ if deepest => None,
            _ => self.phrase(at, c),
        }
    }

    fn backslash(&mut self, at: usize) -> Option<usize> {
        let next = self.char_at(at + 1)?;
        if next == '\\' {
            self.push(Inline::Break);
            // The end of the line after a forced break is no second one.
            let spaces = self.rest(at + 2);
            let skipped = spaces.len() - spaces.trim_start_matches(' ').len();
            let newline = usize::from(self.rest(at + 2 + skipped).starts_with('\n'));
            return Some(at + 2 + skipped + newline);
        }
        if ESCAPABLE.contains(next) {
            self.plain.push(next);
            return Some(at + 2);
        }
        None
    }

    fn brace(&mut self, at: usize) -> Option<usize> {
        let rest = self.rest(at);
        if rest.starts_with("{{") {
            let end = self.find(at + 2, "}}")?;
            let inner = self.text.get(at + 2..end).filter(|inner| !inner.is_empty())?;
            self.inner(inner, Marks { code: true, ..self.marks.clone() })?;
            return Some(end + 2);
        }
        if let Some((_, mark)) = phrase_in_braces(rest) {
            let token = rest.get(..3)?;
            let end = self.find(at + 3, token)?;
            let inner = self.text.get(at + 3..end)?;
            self.inner(inner, with(&self.marks, mark))?;
            return Some(end + 3);
        }
        let tag_end = rest.bytes().take(MAX_TAG).position(|b| b == b'}')?;
        let tag = rest.get(1..tag_end)?;
        let length = tag.len() + 2;
        if tag == "color" {
            self.flush();
            *self.color = None;
            return Some(at + length);
        }
        if let Some(name) = tag.strip_prefix("color:") {
            self.flush();
            *self.color = Color::parse(name);
            return Some(at + length);
        }
        let source = rest.get(..length).filter(|source| is_opaque(source))?;
        let opaque = Opaque { notation: Notation::Wiki, source: source.to_owned(), text: String::new() };
        self.push(Inline::Opaque(opaque));
        Some(at + length)
    }

    fn bracket(&mut self, at: usize) -> Option<usize> {
        let end = link_end(self.rest(at))?;
        let inner = self.text.get(at + 1..at + end - 1)?;
        if let Some(person) = inner.strip_prefix('~').filter(|person| !person.contains('|')) {
            let id = person.strip_prefix("accountid:").map_or_else(|| format!("~{person}"), str::to_owned);
            if person.is_empty() || person.contains([' ', '\\']) {
                return None;
            }
            self.push(Inline::Mention { id, name: String::new() });
            return Some(at + end);
        }
        let source = self.text.get(at..at + end)?;
        if is_opaque(source) {
            let text = inner.get(1..).unwrap_or_default().to_owned();
            self.push(Inline::Opaque(Opaque { notation: Notation::Wiki, source: source.to_owned(), text }));
            return Some(at + end);
        }
        let parts = split_unescaped(inner);
        let (text, target) = match parts.as_slice() {
            [target] => (*target, *target),
            [text, target, ..] => (*text, *target),
            [] => return None,
        };
        let link = url::link_target(target)?;
        let marks = Marks { link: Some(link), ..self.marks.clone() };
        if text == target {
            self.flush();
            let color = self.marks.color.or(*self.color);
            let shown = text.trim().strip_prefix("mailto:").unwrap_or(text);
            self.out.push(Inline::marked(shown, &Marks { color, ..marks }));
        } else {
            self.inner(text, marks)?;
        }
        Some(at + end)
    }

    fn cite(&mut self, at: usize) -> Option<usize> {
        let opens = !self.before(at).is_some_and(char::is_alphanumeric)
            && self.char_at(at + 2).is_some_and(|c| !c.is_whitespace() && c != '?');
        if !opens {
            return None;
        }
        let end = self.find(at + 2, "??")?;
        let inner = self.text.get(at + 2..end)?;
        self.inner(inner, with(&self.marks, &Mark::Em))?;
        Some(end + 2)
    }

    /// Two or three hyphens between spaces are a dash.
    fn dash(&mut self, at: usize) -> Option<usize> {
        let (length, shown) = match self.rest(at) {
            rest if rest.starts_with("--- ") => (3, '\u{2014}'),
            rest if rest.starts_with("-- ") => (2, '\u{2013}'),
            _ => return None,
        };
        if self.before(at) != Some(' ') {
            return None;
        }
        self.plain.push(shown);
        Some(at + length)
    }

    fn phrase(&mut self, at: usize, c: char) -> Option<usize> {
        let (_, mark) = PHRASES.iter().find(|(phrase, _)| *phrase == c)?;
        let opens = !self.before(at).is_some_and(char::is_alphanumeric)
            && self.char_at(at + 1).is_some_and(|next| !next.is_whitespace() && next != c);
        if !opens || self.is_missing(c.encode_utf8(&mut [0; 4])) {
            return None;
        }
        let Some(end) = self.closer(at + 1, c) else {
            self.missing.push(c.to_string());
            return None;
        };
        let inner = self.text.get(at + 1..end)?;
        self.inner(inner, with(&self.marks, mark))?;
        Some(end + 1)
    }

    fn closer(&self, from: usize, c: char) -> Option<usize> {
        let mut at = from;
        while let Some(next) = self.char_at(at).filter(|next| *next != '\n') {
            let closes = next == c
                && at > from
                && self.before(at).is_some_and(|b| !b.is_whitespace())
                && self.char_at(at + 1).is_none_or(|after| !after.is_alphanumeric() && after != c);
            if closes {
                return Some(at);
            }
            at += atom_length(self.rest(at), next, self.before(at));
        }
        None
    }

    /// Finds a closing token on the same line, past everything that is one piece.
    fn find(&mut self, from: usize, token: &str) -> Option<usize> {
        if self.is_missing(token) {
            return None;
        }
        let mut at = from;
        while let Some(next) = self.char_at(at).filter(|next| *next != '\n') {
            if self.rest(at).starts_with(token) {
                return Some(at);
            }
            at += if token == "}}" && next != '\\' {
                next.len_utf8()
            } else {
                atom_length(self.rest(at), next, self.before(at))
            };
        }
        self.missing.push(token.to_owned());
        None
    }

    fn is_missing(&self, token: &str) -> bool {
        self.missing.iter().any(|missing| missing == token)
    }

    /// Reads what stands between an opener and its closer.
    fn inner(&mut self, text: &str, marks: Marks) -> Option<()> {
        if self.depth >= MAX_MARKS {
            return None;
        }
        self.flush();
        let mut line = Line::new(text, marks, self.color, self.depth + 1);
        line.run();
        let mut inner = line.out;
        self.out.append(&mut inner);
        Some(())
    }
}

fn with(marks: &Marks, mark: &Mark<'_>) -> Marks {
    let mut marks = marks.clone();
    match mark {
        Mark::Strong => marks.strong = true,
        Mark::Em => marks.em = true,
        Mark::Underline => marks.underline = true,
        Mark::Strike => marks.strike = true,
        Mark::Sub => marks.script = Some(Script::Sub),
        Mark::Sup => marks.script = Some(Script::Sup),
        Mark::Code => marks.code = true,
        Mark::Color(color) => marks.color = Some(*color),
        Mark::Link(href) => marks.link = Some((*href).to_owned()),
    }
    marks
}

fn phrase_in_braces(rest: &str) -> Option<&'static (char, Mark<'static>)> {
    let mut chars = rest.chars();
    let (open, c, close) = (chars.next()?, chars.next()?, chars.next()?);
    PHRASES.iter().find(|(phrase, _)| open == '{' && close == '}' && *phrase == c)
}

/// Returns the length of the piece at the start of `rest`: an escape, a link, a
/// picture, fixed-width text, a tag, a bare URL, or one character.
pub(super) fn atom_length(rest: &str, c: char, before: Option<char>) -> usize {
    let whole = match c {
        '\\' => {
            let next = rest.chars().nth(1);
            next.filter(|next| *next == '\\' || ESCAPABLE.contains(*next)).map(|_| 2)
        }
        '{' if phrase_in_braces(rest).is_some() => Some(3),
        '{' if rest.starts_with("{{") => mono_length(rest),
        '[' => link_end(rest),
        '!' => image(rest, before).map(|(_, length)| length),
        'h' => url::bare_url(rest, before),
        _ => None,
    };
    whole.unwrap_or(c.len_utf8())
}

fn mono_length(rest: &str) -> Option<usize> {
    let line = rest.split('\n').next()?;
    let mut escaped = false;
    for (i, c) in line.char_indices().skip(2) {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match c {
            '\\' => escaped = true,
            // The next opener decides by itself; so a row of openers takes linear time.
            '{' if line.get(i..).is_some_and(|l| l.starts_with("{{")) && i > 2 => return None,
            '}' if line.get(i..).is_some_and(|l| l.starts_with("}}")) => return (i > 2).then_some(i + 2),
            _ => {}
        }
    }
    None
}

/// Returns the end of the link that starts at `[`, which holds no other bracket.
fn link_end(rest: &str) -> Option<usize> {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match c {
            '\\' => escaped = true,
            '\n' | '[' => return None,
            ']' => return (i > 1).then_some(i + 1),
            _ => {}
        }
    }
    None
}

fn split_unescaped(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut from = 0;
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match c {
            '\\' => escaped = true,
            '|' => {
                out.extend(text.get(from..i));
                from = i + 1;
            }
            _ => {}
        }
    }
    out.extend(text.get(from..));
    out
}

/// Reads a picture: `!source!` or `!source|alt=words,width=300!`.
fn image(rest: &str, before: Option<char>) -> Option<(Image, usize)> {
    if before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let inner = rest.strip_prefix('!')?;
    let end = inner.find(['!', '\n'])?;
    let inner = inner.get(..end).filter(|_| rest.get(end + 1..).is_some_and(|r| r.starts_with('!')))?;
    let (source, attributes) = inner.split_once('|').unwrap_or((inner, ""));
    if source.is_empty() || source.starts_with(char::is_whitespace) || source.ends_with(char::is_whitespace) {
        return None;
    }
    let mut image = Image { source: source.to_owned(), ..Image::default() };
    for attribute in attributes.split(',') {
        match attribute.split_once('=').map(|(name, value)| (name.trim(), value.trim().trim_matches('"'))) {
            Some(("alt", value)) => image.alt = decode(value),
            Some(("width", value)) => image.width = value.trim_end_matches("px").parse().ok(),
            _ => {}
        }
    }
    Some((image, end + 2))
}

fn decode(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (decoded, length) = entity(rest).unwrap_or((c, c.len_utf8()));
        out.push(decoded);
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

/// Reads a character reference and returns its length.
fn entity(rest: &str) -> Option<(char, usize)> {
    /// The longest reference is `&#1114111;`.
    const LONGEST: usize = 10;
    let body = rest.strip_prefix('&')?;
    let end = body.bytes().take(LONGEST).position(|b| b == b';')?;
    let name = body.get(..end)?;
    let decoded = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "nbsp" => ' ',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((decoded, end + 2))
}
