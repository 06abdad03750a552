//! Credentials, and the references by which a pipeline file names them.

use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The longest secret that is read from a file: a credential, and not a mistaken path to a dump.
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// A credential: wiped from memory when dropped, never shown.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a credential.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the credential, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a pipeline file can refer to outside of itself.
///
/// The library reads no environment on its own, so the caller passes a lookup.
pub struct Surroundings<'a> {
    /// Finds an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The folder that relative `file:` references start from.
    pub folder: PathBuf,
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Why a reference gives no value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReferenceError {
    /// The variable is missing.
    #[error("environment variable `{0}` is not set")]
    Unset(String),
    /// The variable is there and empty, where something is needed.
    #[error("the secret is empty")]
    Empty,
    /// `${` without an end or with a bad name.
    #[error("malformed reference `{0}`")]
    Malformed(String),
    /// The file cannot be read.
    #[error("secret file `{path}` cannot be read: {cause}")]
    File { path: String, cause: String },
    /// The text holds no reference at all.
    #[error("a secret stands in the file itself")]
    Inline,
}

/// Replaces `${NAME}` and `${NAME:-default}` in a scalar; `$${` stands for `${`.
pub(super) fn interpolate(text: &str, around: &Surroundings<'_>) -> Result<String, ReferenceError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at]);
            out.push('{');
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let tail = &rest[at + 2..];
        let end = tail.find('}').ok_or_else(|| ReferenceError::Malformed(rest[at..].to_owned()))?;
        let (name, default) = match tail[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&tail[..end], None),
        };
        if !is_name(name) {
            return Err(ReferenceError::Malformed(rest[at..at + 2 + end + 1].to_owned()));
        }
        let value = (around.env)(name).filter(|value| !value.is_empty() || default.is_none());
        match value.as_deref().or(default) {
            Some(value) => out.push_str(value),
            None => return Err(ReferenceError::Unset(name.to_owned())),
        }
        rest = &tail[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Resolves a credential: it must come from the environment or from a file.
pub(super) fn resolve(
    text: &str,
    must_refer: bool,
    around: &Surroundings<'_>,
) -> Result<Secret, ReferenceError> {
    let secret = if let Some(path) = text.strip_prefix("file:") {
        read(&around.folder.join(interpolate(path, around)?))?
    } else if must_refer && !is_reference(text) {
        return Err(ReferenceError::Inline);
    } else {
        Secret::new(interpolate(text, around)?)
    };
    if secret.expose().is_empty() { Err(ReferenceError::Empty) } else { Ok(secret) }
}

/// Tells whether the whole text is one reference without a default.
fn is_reference(text: &str) -> bool {
    text.strip_prefix("${").and_then(|t| t.strip_suffix('}')).is_some_and(is_name)
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn read(path: &Path) -> Result<Secret, ReferenceError> {
    let fail = |cause: String| ReferenceError::File { path: path.display().to_string(), cause };
    let size = std::fs::metadata(path).map_err(|e| fail(e.to_string()))?;
    if !size.is_file() || size.len() > SECRET_FILE_BYTES_MAX {
        return Err(fail(format!("expected a file of at most {SECRET_FILE_BYTES_MAX} bytes")));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))?);
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "PAT" => Some("s3cret".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn around() -> Surroundings<'static> {
        Surroundings { env: &env, folder: PathBuf::new() }
    }

    #[test]
    fn references_are_replaced_anywhere() {
        let text = interpolate("a${PAT}b${NONE:-c}$${PAT}${EMPTY:-d}", &around());
        assert_eq!(text.as_deref(), Ok("as3cretbc${PAT}d"));
    }

    #[test]
    fn missing_variable_and_broken_reference_are_told() {
        assert_eq!(interpolate("${NONE}", &around()), Err(ReferenceError::Unset("NONE".into())));
        assert_eq!(interpolate("x${PAT", &around()), Err(ReferenceError::Malformed("${PAT".into())));
        assert_eq!(interpolate("${1}", &around()), Err(ReferenceError::Malformed("${1}".into())));
    }

    #[test]
    fn inline_secret_is_refused() {
        assert!(matches!(resolve("s3cret", true, &around()), Err(ReferenceError::Inline)));
        assert!(matches!(resolve("${NONE:-s3cret}", true, &around()), Err(ReferenceError::Inline)));
        assert!(matches!(resolve("${EMPTY}", true, &around()), Err(ReferenceError::Empty)));
    }

    #[test]
    fn secret_comes_from_a_file_and_is_never_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("pat"), "s3cret\n").expect("a file");
        let around = Surroundings { env: &env, folder: folder.path().into() };
        let secret = resolve("file:pat", true, &around).expect("a secret");
        assert_eq!(secret.expose(), "s3cret");
        assert_eq!(format!("{secret:?} {secret:#?}"), "Secret(…) Secret(…)");
    }
}
