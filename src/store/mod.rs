//! The staging store: what was read, what was agreed, what was asked for.
//!
//! It is the state of the tool; there is no other. Parts and sheets are written
//! first, the manifest that lists them after them, the head last: what no head names
//! does not exist. Nothing that is read back is believed without its checksum.
//!
//! It knows nothing of systems, mappings or SQL beyond the views it writes for DuckDB.

mod blob;
mod digest;
mod document;
mod error;
mod files;
mod head;
mod layout;
mod lease;
mod merge;
mod part;
mod prune;
mod run;
mod sheet;
mod snapshot;
mod spill;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStore;

pub use error::Error;
pub use head::Head;
pub use layout::{JournalKind, Location, NotALocation};
pub use lease::{Holder, Lease};
pub use merge::TableWriter;
pub use part::{PART_ROWS_MAX, PART_ROWS_MEAN, PART_ROWS_MIN, PartRef, PartWriter};
pub use prune::Pruned;
pub use sheet::SheetRef;
pub use snapshot::{Seat, Snapshot};
pub use table::{Refresh, TableState, sort_by_key};

use files::Files;
use layout::Folder;

/// Names that cannot be pipelines, since the root has folders of these names.
const RESERVED: [&str; 1] = ["locks"];

/// A staging root, which holds any number of pipelines. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    files: Files,
}

impl Store {
    /// Opens a staging root, and makes the folder if there is none.
    ///
    /// `place` is a local folder or a `file://` URL; `memory://` is a store that is
    /// forgotten when it is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Place`] for a URL that this build cannot use.
    pub fn open(place: &str) -> Result<Self, Error> {
        Ok(Self { files: Files::open(place)? })
    }

    /// Returns the part of the store that belongs to a pipeline.
    ///
    /// # Errors
    ///
    /// [`Error::Place`] for a name that is taken by the store itself.
    pub fn pipeline(&self, name: &str) -> Result<PipelineStore, Error> {
        if name.is_empty() || RESERVED.contains(&name) {
            let why = format!("a pipeline cannot be called {name:?}");
            return Err(Error::Place { place: name.to_owned(), why });
        }
        Ok(PipelineStore { store: self.clone(), name: Arc::from(name) })
    }

    /// Lists the pipelines that have something in the store.
    pub async fn pipelines(&self) -> Result<Vec<String>, Error> {
        let mut names = self.files.folders(Folder::Root).await?;
        names.retain(|name| !RESERVED.contains(&name.as_str()));
        Ok(names)
    }

    /// Returns the root folder, where the store is one.
    pub fn root_path(&self) -> Option<&Path> {
        self.files.root()
    }

    /// Returns what the query engine reads through; paths are those of [`Location`].
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        self.files.object_store()
    }

    /// Returns the file of an object, where the store is a folder.
    pub fn local_path(&self, location: &Location) -> Option<PathBuf> {
        self.files.local_path(location)
    }

    fn files(&self) -> &Files {
        &self.files
    }
}

/// What one pipeline has in a staging store. Clones share it.
#[derive(Clone, Debug)]
pub struct PipelineStore {
    store: Store,
    name: Arc<str>,
}

impl PipelineStore {
    /// Returns the pipeline's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the whole store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn files(&self) -> &Files {
        &self.store.files
    }

    /// Reads a path as manifests spell it; one that leads out of the store is damage.
    fn location(&self, path: &str) -> Result<Location, Error> {
        path.parse().map_err(|e: NotALocation| Error::corrupt(path, e))
    }

    async fn read_path(&self, path: &str) -> Result<Bytes, Error> {
        self.files().get(&self.location(path)?).await
    }
}
