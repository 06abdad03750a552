//! JSON objects with a format version and a checksum.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::digest::xxh3_hex;
use super::error::Error;
use super::layout::Location;

/// The format that this version writes, and the newest it reads.
pub(super) const FORMAT: u64 = 1;

#[derive(Serialize, Deserialize)]
struct Envelope {
    format: u64,
    /// Of the body's compact form.
    checksum: String,
    body: Value,
}

/// Encodes `body` for `location`.
pub(super) fn encode(location: &Location, body: &impl Serialize) -> Result<Bytes, Error> {
    let fail = |e: serde_json::Error| Error::io("encoding", location, e);
    let body = serde_json::to_value(body).map_err(fail)?;
    let checksum = checksum(&body).map_err(fail)?;
    let mut text = serde_json::to_vec_pretty(&Envelope { format: FORMAT, checksum, body }).map_err(fail)?;
    text.push(b'\n');
    Ok(Bytes::from(text))
}

/// Decodes what `encode` made, if it is undamaged and not from the future.
pub(super) fn decode<T: DeserializeOwned>(location: &Location, text: &[u8]) -> Result<T, Error> {
    let damaged = |e: serde_json::Error| Error::corrupt(location, e);
    let document: Value = serde_json::from_slice(text).map_err(damaged)?;
    // The version first: a later format need not have our envelope.
    let found = document.get("format").and_then(Value::as_u64).unwrap_or_default();
    if found > FORMAT {
        return Err(Error::NewerFormat { path: location.to_string(), found, known: FORMAT });
    }
    let envelope: Envelope = serde_json::from_value(document).map_err(damaged)?;
    if checksum(&envelope.body).map_err(damaged)? != envelope.checksum {
        return Err(Error::corrupt(location, "its content does not match its checksum"));
    }
    serde_json::from_value(envelope.body).map_err(damaged)
}

fn checksum(body: &Value) -> Result<String, serde_json::Error> {
    Ok(xxh3_hex(&serde_json::to_vec(body)?))
}

/// Ids as plain JSON strings; the vocabulary itself does not serialise.
pub(super) mod as_text {
    use std::fmt::Display;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::store) fn serialize<T: Display, S: Serializer>(id: &T, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(id)
    }

    pub(in crate::store) fn deserialize<'de, T: From<String>, D: Deserializer<'de>>(
        d: D,
    ) -> Result<T, D::Error> {
        String::deserialize(d).map(T::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Location {
        Location::Head { pipeline: "p".into(), n: 1 }
    }

    #[test]
    fn changed_character_is_noticed() {
        let text = encode(&at(), &vec![("snapshot", 17.25)]).unwrap();
        assert_eq!(decode::<Vec<(String, f64)>>(&at(), &text).unwrap(), [("snapshot".to_owned(), 17.25)]);
        let changed = String::from_utf8(text.to_vec()).unwrap().replace("17.25", "17.26");
        let error = decode::<Vec<(String, f64)>>(&at(), changed.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("p/heads/0000000001.json is damaged"), "{error}");
    }

    #[test]
    fn half_a_document_is_damaged() {
        let text = encode(&at(), &"x").unwrap();
        assert!(matches!(decode::<String>(&at(), &text[..text.len() / 2]), Err(Error::Corrupt { .. })));
    }

    #[test]
    fn document_of_a_later_version_is_refused_by_its_number() {
        let error = decode::<String>(&at(), br#"{"format": 9, "something": "else"}"#).unwrap_err();
        assert!(matches!(error, Error::NewerFormat { found: 9, .. }), "{error}");
    }
}
