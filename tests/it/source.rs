//! Reads the source tree the way the tidy tests need it: without comments, strings or tests.

use std::path::{Path, PathBuf};

/// A file of the tree.
pub(crate) struct File {
    /// Its path below the root of the package, with `/`.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

impl File {
    /// Tells whether the whole file is tests.
    pub(crate) fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name == "tests.rs" || name.ends_with("_tests.rs") || self.path.contains("/tests/")
    }

    /// Tells whether the file lies in a folder or is that file.
    pub(crate) fn within(&self, place: &str) -> bool {
        self.path == place
            || self.path.strip_prefix(place).is_some_and(|rest| rest.starts_with('/') || place.ends_with('/'))
    }
}

/// Reads every file below a folder of the package that ends so, sorted by path.
pub(crate) fn files(folder: &str, ending: &str) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    walk(&root.join(folder), &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let below = path.strip_prefix(root).expect("a path below the root");
        File { path: below.to_string_lossy().replace('\\', "/"), text }
    };
    let found: Vec<File> =
        paths.into_iter().filter(|p| p.to_string_lossy().ends_with(ending)).map(read).collect();
    assert!(!found.is_empty(), "no {ending} in {folder}");
    found
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            walk(&path, paths);
        } else {
            paths.push(path);
        }
    }
}

/// What [`blank`] keeps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Code and the content of strings.
    Strings,
    /// Code only.
    Code,
}

/// Replaces comments, and the content of strings unless they are kept, by spaces;
/// lines and columns stay where they are.
pub(crate) fn blank(text: &str, keep: Keep) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let (end, kind) = token(&chars, at);
        for c in &chars[at..end] {
            let hidden = match kind {
                Token::Code => false,
                Token::Comment => true,
                Token::Text => keep == Keep::Code,
            };
            out.push(if hidden && *c != '\n' { ' ' } else { *c });
        }
        at = end;
    }
    out
}

enum Token {
    Code,
    Comment,
    Text,
}

/// Returns where the token that begins at `at` ends, and what it is.
fn token(chars: &[char], at: usize) -> (usize, Token) {
    let next = chars.get(at + 1).copied();
    let behind_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match chars[at] {
        '/' if next == Some('/') => (until(chars, at, |c, _| c == '\n'), Token::Comment),
        '/' if next == Some('*') => (block_comment(chars, at), Token::Comment),
        '"' => (quoted(chars, at + 1, '"'), Token::Text),
        'b' if next == Some('"') && !behind_word => (quoted(chars, at + 2, '"'), Token::Text),
        'r' | 'b' if !behind_word => match raw(chars, at) {
            Some(end) => (end, Token::Text),
            None => (at + 1, Token::Code),
        },
        '\'' if next == Some('\\') || chars.get(at + 2) == Some(&'\'') => {
            (quoted(chars, at + 1, '\''), Token::Text)
        }
        _ => (at + 1, Token::Code),
    }
}

fn until(chars: &[char], at: usize, ends: impl Fn(char, usize) -> bool) -> usize {
    (at..chars.len()).find(|i| ends(chars[*i], *i)).unwrap_or(chars.len())
}

fn block_comment(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut i = at;
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn quoted(chars: &[char], mut at: usize, mark: char) -> usize {
    while at < chars.len() && chars[at] != mark {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// Returns the end of a raw string that begins at `at`, if one does.
fn raw(chars: &[char], at: usize) -> Option<usize> {
    let mut i = at + usize::from(chars[at] == 'b');
    if chars.get(i) != Some(&'r') {
        return None;
    }
    i += 1;
    let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
    if chars.get(i + hashes) != Some(&'"') {
        return None;
    }
    let body = i + hashes + 1;
    let closes = |c: char, at: usize| {
        c == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    Some((until(chars, body, closes) + 1 + hashes).min(chars.len()))
}

/// Blanks every item behind `#[cfg(test)]`. `code` must come from [`blank`] with
/// [`Keep::Code`]; the same places are blanked in `text`, which may keep strings.
pub(crate) fn without_tests(text: &str, code: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let code: Vec<char> = code.chars().collect();
    let mark: Vec<char> = "#[cfg(test)]".chars().collect();
    let mut at = 0;
    while at + mark.len() <= code.len() {
        if code[at..at + mark.len()] != mark[..] {
            at += 1;
            continue;
        }
        let end = item_end(&code, at + mark.len());
        chars[at..end].iter_mut().filter(|c| **c != '\n').for_each(|c| *c = ' ');
        at = end;
    }
    chars.into_iter().collect()
}

/// Returns where the item that begins at `at` ends: behind its `;` or its braces.
fn item_end(code: &[char], at: usize) -> usize {
    let start = until(code, at, |c, _| c == '{' || c == ';');
    if code.get(start) != Some(&'{') {
        return (start + 1).min(code.len());
    }
    let mut depth = 0;
    for (i, c) in code.iter().enumerate().skip(start) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    code.len()
}

/// Lists functions with their names, first lines and numbers of lines.
pub(crate) fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let chars: Vec<char> = code.chars().collect();
    let mut found = Vec::new();
    for at in words(&chars, "fn") {
        let name: String =
            chars[at + 2..].iter().skip(1).take_while(|c| c.is_alphanumeric() || **c == '_').collect();
        let end = item_end(&chars, at);
        let line = |end: usize| chars[..end].iter().filter(|c| **c == '\n').count() + 1;
        if !name.is_empty() && chars.get(end - 1) == Some(&'}') {
            found.push((name, line(at), line(end) - line(at) + 1));
        }
    }
    found
}

fn words(chars: &[char], word: &str) -> Vec<usize> {
    let word: Vec<char> = word.chars().collect();
    let part = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '_');
    (0..chars.len().saturating_sub(word.len()))
        .filter(|at| chars[*at..*at + word.len()] == word[..])
        .filter(|at| !part(at.checked_sub(1).and_then(|i| chars.get(i))) && !part(chars.get(at + word.len())))
        .collect()
}
