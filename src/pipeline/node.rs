//! The YAML file as a tree whose every word knows its place.
//!
//! Deserialising straight into structs would stop at the first slip; the tree
//! lets the reader go on and list them all.

use std::fmt;
use std::sync::Arc;

use miette::{NamedSource, SourceSpan};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

use super::problem::{Problem, Severity, nearest};
use super::secret::{Surroundings, interpolate};

/// The deepest nesting of a file: three times what a pipeline needs, so that a
/// malicious file cannot exhaust the stack.
const DEPTH_MAX: usize = 32;

/// The longest list of valid words in a message; beyond it a person no longer reads.
const WORDS_SHOWN_MAX: usize = 16;

/// A place in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct At {
    pub(super) line: usize,
    pub(super) column: usize,
    offset: usize,
    len: usize,
}

impl At {
    /// The first character of the file.
    pub(super) const START: At = At { line: 1, column: 1, offset: 0, len: 0 };

    fn new(location: Location) -> Self {
        let span = location.span();
        let number = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
        Self {
            line: number(Some(location.line())).max(1),
            column: number(Some(location.column())).max(1),
            offset: number(span.byte_offset()),
            len: number(span.byte_len()),
        }
    }
}

/// A scalar and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) at: At,
}

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) at: At,
}

#[derive(Debug)]
pub(super) enum Value {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(Word, Node)>),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Something to report, before the source is attached.
#[derive(Debug)]
struct Finding {
    severity: Severity,
    at: At,
    path: String,
    found: String,
    expected: String,
    nearest: Option<String>,
}

/// Reads a file and collects what is wrong with it.
pub(super) struct Reader<'a> {
    around: &'a Surroundings<'a>,
    findings: Vec<Finding>,
    redacted: Vec<At>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(around: &'a Surroundings<'a>) -> Self {
        Self { around, findings: Vec::new(), redacted: Vec::new() }
    }

    pub(super) fn surroundings(&self) -> &'a Surroundings<'a> {
        self.around
    }

    /// Parses the text; `None` after reporting why it is no YAML document.
    pub(super) fn parse(&mut self, text: &str) -> Option<Node> {
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_depth: DEPTH_MAX },
            duplicate_keys: DuplicateKeyPolicy::PassThrough,
            with_snippet: false,
        };
        match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
            Ok(raw) => Some(self.place(raw, text, "")),
            Err(error) => {
                let at = error.location().map(At::new).unwrap_or(At::START);
                let found = error.without_snippet().to_string();
                // The parser appends the place, which the problem tells by itself.
                let found = found.split(" at line ").next().unwrap_or(&found).to_owned();
                self.error(at, "", found, "a YAML document");
                None
            }
        }
    }

    fn place(&mut self, raw: Spanned<Raw>, source: &str, path: &str) -> Node {
        let at = At::new(raw.referenced);
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Text(text) => Value::Scalar(text),
            Raw::Other(text) => {
                // Numbers and booleans keep the spelling of the file: `007`, `1.10`, `No`.
                let defined = At::new(raw.defined);
                let slice = source.get(defined.offset..defined.offset + defined.len).map(str::trim);
                Value::Scalar(slice.filter(|s| !s.is_empty()).map_or(text, str::to_owned))
            }
            Raw::List(items) => {
                let item = |(index, item)| self.place(item, source, &join(path, &format!("[{index}]")));
                Value::List(items.into_iter().enumerate().map(item).collect())
            }
            Raw::Map(entries) => {
                let mut map: Vec<(Word, Node)> = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let word = Word { text: key.value, at: At::new(key.referenced) };
                    let below = join(path, &word.text);
                    let node = self.place(value, source, &below);
                    match map.iter().find(|(earlier, _)| earlier.text == word.text) {
                        Some((earlier, _)) => {
                            let found = format!(
                                "`{}` stands here again, first in line {}",
                                word.text, earlier.at.line
                            );
                            self.error(word.at, &below, found, "each key once");
                        }
                        None => map.push((word, node)),
                    }
                }
                Value::Map(map)
            }
        };
        Node { value, at }
    }

    pub(super) fn error(
        &mut self,
        at: At,
        path: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.push(Severity::Error, at, path, found.into(), expected.into(), None);
    }

    pub(super) fn warning(
        &mut self,
        at: At,
        path: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.push(Severity::Warning, at, path, found.into(), expected.into(), None);
    }

    /// Reports a word that is not among the valid ones.
    pub(super) fn unknown(&mut self, at: At, path: &str, what: &str, word: &str, valid: &[&str]) {
        let near = nearest(word, valid.iter().copied());
        let found = format!("unknown {what} `{word}`");
        self.push(Severity::Error, at, path, found, one_of(valid), near);
    }

    fn push(
        &mut self,
        severity: Severity,
        at: At,
        path: &str,
        found: String,
        expected: String,
        nearest: Option<String>,
    ) {
        self.findings.push(Finding { severity, at, path: path.to_owned(), found, expected, nearest });
    }

    /// Keeps the text at a place out of every message.
    pub(super) fn redact(&mut self, at: At) {
        self.redacted.push(at);
    }

    /// Keeps what follows these keys out of messages, in text that is no valid YAML.
    pub(super) fn redact_lines(&mut self, text: &str, keys: &[&str]) {
        let mut offset = 0;
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let lower = line.to_ascii_lowercase();
            if let Some(start) = keys.iter().filter_map(|key| lower.find(key)).min() {
                let at = At { line: index + 1, column: 1, offset: offset + start, len: line.len() - start };
                self.redact(at);
            }
            offset += line.len();
        }
    }

    /// Replaces the references in a scalar.
    pub(super) fn interpolate(&mut self, word: &Word, path: &str) -> Option<Word> {
        match interpolate(&word.text, self.around) {
            Ok(text) => Some(Word { text, at: word.at }),
            Err(error) => {
                self.error(
                    word.at,
                    path,
                    error.to_string(),
                    "a reference `${NAME}` to a variable that is set",
                );
                None
            }
        }
    }

    pub(super) fn wrong_kind(&mut self, node: &Node, path: &str, expected: &str) {
        self.error(node.at, path, format!("{} stands here", node.value.kind()), expected);
    }

    pub(super) fn has_errors(&self) -> bool {
        self.findings.iter().any(|f| f.severity == Severity::Error)
    }

    /// Attaches the source to all findings, in the order of its lines.
    pub(super) fn finish(mut self, file: &str, text: &str) -> Vec<Problem> {
        let shown = self.shown(text);
        let source = Arc::new(NamedSource::new(file, shown.clone()).with_language("yaml"));
        self.findings.sort_by_key(|f| (f.at.line, f.at.column));
        self.findings
            .into_iter()
            .map(|f| Problem {
                severity: f.severity,
                file: file.to_owned(),
                line: f.at.line,
                column: f.at.column,
                path: f.path,
                found: f.found,
                expected: f.expected,
                nearest: f.nearest,
                span: span(&shown, f.at),
                source: source.clone(),
            })
            .collect()
    }

    /// Copies the source with secrets replaced, so that diagnostics cannot quote them.
    fn shown(&self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        for at in &self.redacted {
            for byte in bytes.iter_mut().skip(at.offset).take(at.len) {
                if !byte.is_ascii_whitespace() {
                    *byte = b'*';
                }
            }
        }
        String::from_utf8(bytes).unwrap_or_default()
    }
}

/// Marks the first line of what stands at a place, as far as the source has it.
fn span(source: &str, at: At) -> SourceSpan {
    let offset = (0..=at.offset.min(source.len())).rev().find(|i| source.is_char_boundary(*i)).unwrap_or(0);
    let rest = &source[offset..];
    let line = rest.split(['\n', '\r']).next().unwrap_or_default();
    let len = (0..=at.len.min(line.len())).rev().find(|i| line.is_char_boundary(*i)).unwrap_or(0);
    let whole = line[..len].trim_end().len();
    SourceSpan::from((offset, whole.max(usize::from(!line.is_empty() && line.is_char_boundary(1)))))
}

/// Appends a key to a path of keys.
pub(super) fn join(path: &str, key: &str) -> String {
    match (path, key.starts_with('[')) {
        ("", _) => key.to_owned(),
        (_, true) => format!("{path}{key}"),
        (_, false) => format!("{path}.{key}"),
    }
}

/// Lists valid words for a message.
pub(super) fn one_of(words: &[&str]) -> String {
    let shown: Vec<_> = words.iter().take(WORDS_SHOWN_MAX).map(|w| format!("`{w}`")).collect();
    let more = words.len().saturating_sub(WORDS_SHOWN_MAX);
    match (shown.len(), more) {
        (0, _) => "nothing here".to_owned(),
        (1, _) => shown.concat(),
        (_, 0) => format!("one of {}", shown.join(", ")),
        (_, more) => format!("one of {} and {more} more", shown.join(", ")),
    }
}

/// What the YAML parser hands over.
#[derive(Debug)]
enum Raw {
    Null,
    Text(String),
    /// A scalar that the parser took for a number or a boolean.
    Other(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list or a map")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}
