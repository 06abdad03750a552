//! Attachment contents, each kept once.

use bytes::Bytes;

use super::PipelineStore;
use super::digest::sha256_hex;
use super::error::Error;
use super::layout::Location;

impl PipelineStore {
    /// Keeps a content and returns its name, the SHA-256 in hex.
    pub async fn put_blob(&self, content: Bytes) -> Result<String, Error> {
        let hash = sha256_hex(&content)
            .ok_or_else(|| Error::io("hashing", "an attachment", "SHA-256 is not available"))?;
        let location = self.blob(&hash);
        if self.files().size(&location).await?.is_none() {
            self.files().put_if_absent(&location, content).await?;
        }
        Ok(hash)
    }

    /// Reads a content by its name.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if it is missing or not what the name says.
    pub async fn read_blob(&self, hash: &str) -> Result<Bytes, Error> {
        let location = self.blob(hash);
        let content = self.files().get(&location).await?;
        if sha256_hex(&content).as_deref() != Some(hash) {
            return Err(Error::corrupt(location, "its content does not match its name"));
        }
        Ok(content)
    }

    fn blob(&self, hash: &str) -> Location {
        Location::Blob { pipeline: self.name().to_owned(), hash: hash.to_owned() }
    }
}
