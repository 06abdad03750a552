//! Checksums: XXH3 against damage, SHA-256 where content comes from strangers.

use std::fmt::Write as _;
use std::io::{self, Write};

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Returns the 128-bit XXH3 of `bytes` in hex.
pub(super) fn xxh3_hex(bytes: &[u8]) -> String {
    format!("{:032x}", xxh3_128(bytes))
}

/// Returns the SHA-256 of `bytes` in hex.
///
/// Attachments are named by it: anybody may upload one, and must not be able to
/// make two of the same name. The function is the one that TLS brings along.
pub(super) fn sha256_hex(bytes: &[u8]) -> Option<String> {
    let suite = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13()?;
    let hash = suite.common.hash_provider.hash(bytes);
    Some(hash.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Writes through to `inner`, hashing and counting.
pub(super) struct Hashing<W> {
    inner: W,
    hash: Xxh3,
    bytes: u64,
}

impl<W: Write> Hashing<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, hash: Xxh3::new(), bytes: 0 }
    }

    /// Returns what was written to, the hash in hex and the number of bytes.
    pub(super) fn finish(self) -> (W, String, u64) {
        (self.inner, format!("{:032x}", self.hash.digest128()), self.bytes)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_published_ones() {
        assert_eq!(
            sha256_hex(b"abc").unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(xxh3_hex(b""), "99aa06d3014798d86001c324468d497f");
    }

    #[test]
    fn hashing_writer_agrees_with_the_hash_of_the_whole() {
        let mut writer = Hashing::new(Vec::new());
        writer.write_all(b"one ").unwrap();
        writer.write_all(b"two").unwrap();
        let (inner, hash, bytes) = writer.finish();
        assert_eq!((hash, bytes), (xxh3_hex(&inner), 7));
    }
}
