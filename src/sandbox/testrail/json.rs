//! JSON as the vendor's PHP writes it: slashes and everything beyond ASCII escaped.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

struct Php;

impl Formatter for Php {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, to: &mut W, fragment: &str) -> io::Result<()> {
        let plain = |b: &u8| b.is_ascii() && *b != b'/';
        if fragment.as_bytes().iter().all(plain) {
            return to.write_all(fragment.as_bytes());
        }
        for c in fragment.chars() {
            match c {
                '/' => to.write_all(b"\\/")?,
                c if c.is_ascii() => to.write_all(&[c as u8])?,
                c => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(to, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Writes a value.
pub(super) fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing into memory fails for lack of memory only.
    let _ = value.serialize(&mut Serializer::with_formatter(&mut out, Php));
    out
}
