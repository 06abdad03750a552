//! Reading and durable writing of whole objects.
//!
//! On a local folder the writer is our own: the content goes into a file of
//! another name, which is synced, renamed (or linked, where nothing may be there
//! yet), and then the folder is synced. A crash leaves the old object, the new one
//! or a temporary file, and never half of one. Elsewhere a put is that already.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use url::Url;

use super::error::Error;
use super::layout::{Folder, Location};

/// Temporary files begin with this; no location does.
const TEMPORARY: &str = ".tmp-";

/// One staging root.
#[derive(Clone, Debug)]
pub(super) struct Files {
    store: Arc<dyn ObjectStore>,
    /// The folder, where the root is one.
    root: Option<PathBuf>,
    temporaries: Arc<AtomicU64>,
}

/// An object in a listing.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) location: Location,
    pub(super) bytes: u64,
    pub(super) modified: DateTime<Utc>,
}

impl Files {
    pub(super) fn open(place: &str) -> Result<Self, Error> {
        let refuse = |why: &str| Err(Error::Place { place: without_secrets(place), why: why.to_owned() });
        let folder = match Url::parse(place) {
            // A single letter is a drive and no scheme.
            Ok(url) if url.scheme().len() > 1 => match url.scheme() {
                "file" => match url.to_file_path() {
                    Ok(path) => path,
                    Err(()) => {
                        return refuse(
                            "a file URL must name an absolute folder, as in file:///var/lib/testferry",
                        );
                    }
                },
                "memory" => return Ok(Self::over(Arc::new(InMemory::new()), None)),
                "s3" | "s3a" | "az" | "azure" | "abfs" | "abfss" | "gs" | "http" | "https" => {
                    return refuse("this build has no cloud storage in it; name a local folder");
                }
                _ => return refuse("expected a local folder or a file:// URL"),
            },
            _ => PathBuf::from(place),
        };
        make_folders(&folder).map_err(|e| Error::io("creating", folder.display(), e))?;
        let root = folder.canonicalize().map_err(|e| Error::io("opening", folder.display(), e))?;
        let store =
            LocalFileSystem::new_with_prefix(&root).map_err(|e| Error::io("opening", root.display(), e))?;
        Ok(Self::over(Arc::new(store), Some(root)))
    }

    fn over(store: Arc<dyn ObjectStore>, root: Option<PathBuf>) -> Self {
        Self { store, root, temporaries: Arc::default() }
    }

    pub(super) fn object_store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }

    pub(super) fn root(&self) -> Option<&FsPath> {
        self.root.as_deref()
    }

    pub(super) fn local_path(&self, location: &Location) -> Option<PathBuf> {
        self.root.as_ref().map(|root| root.join(location.to_string()))
    }

    pub(super) async fn get(&self, location: &Location) -> Result<Bytes, Error> {
        self.find(location).await?.ok_or_else(|| Error::corrupt(location, "it is missing"))
    }

    pub(super) async fn find(&self, location: &Location) -> Result<Option<Bytes>, Error> {
        let fail = |e: object_store::Error| Error::io("reading", location, e);
        match self.store.get(&Path::from(location.to_string())).await {
            Ok(found) => found.bytes().await.map(Some).map_err(fail),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(fail(e)),
        }
    }

    /// Returns an object's size, or none if it is not there.
    pub(super) async fn size(&self, location: &Location) -> Result<Option<u64>, Error> {
        match self.store.head(&Path::from(location.to_string())).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(Error::io("reading", location, e)),
        }
    }

    /// Lists what lies under a folder, in the order of the paths. What is not ours
    /// is left out.
    pub(super) async fn list(&self, folder: Folder<'_>) -> Result<Vec<Listed>, Error> {
        let prefix = Path::from(folder.to_string());
        let listed = self.store.list(Some(&prefix)).try_collect::<Vec<_>>().await;
        let mut found: Vec<Listed> = listed
            .map_err(|e| Error::io("listing", &prefix, e))?
            .into_iter()
            .filter_map(|meta| {
                let location = meta.location.as_ref().parse().ok()?;
                Some(Listed { location, bytes: meta.size, modified: meta.last_modified })
            })
            .collect();
        found.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(found)
    }

    /// Lists the names of the folders in a folder.
    pub(super) async fn folders(&self, folder: Folder<'_>) -> Result<Vec<String>, Error> {
        let prefix = Path::from(folder.to_string());
        let listed = self.store.list_with_delimiter(Some(&prefix)).await;
        let listed = listed.map_err(|e| Error::io("listing", &prefix, e))?;
        let mut names: Vec<String> = listed
            .common_prefixes
            .iter()
            .filter_map(|path| super::layout::name(path.filename()?).ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Deletes temporary files that were last written before `before`.
    pub(super) async fn delete_leftovers(
        &self,
        folder: Folder<'_>,
        before: DateTime<Utc>,
    ) -> Result<u64, Error> {
        let prefix = Path::from(folder.to_string());
        let listed = self.store.list(Some(&prefix)).try_collect::<Vec<_>>().await;
        let mut bytes = 0;
        for meta in listed.map_err(|e| Error::io("listing", &prefix, e))? {
            let ours = meta.location.filename().is_some_and(|name| name.starts_with(TEMPORARY));
            if ours && meta.last_modified < before {
                self.store
                    .delete(&meta.location)
                    .await
                    .map_err(|e| Error::io("deleting", &meta.location, e))?;
                bytes += meta.size;
            }
        }
        Ok(bytes)
    }

    pub(super) async fn delete(&self, location: &Location) -> Result<(), Error> {
        match self.store.delete(&Path::from(location.to_string())).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(Error::io("deleting", location, e)),
        }
    }

    /// Writes an object, whether there is one or not.
    pub(super) async fn put(&self, location: &Location, content: Bytes) -> Result<(), Error> {
        self.write(location, content, false).await.map(|_| ())
    }

    /// Writes an object unless there is one; tells whether it was written.
    pub(super) async fn put_if_absent(&self, location: &Location, content: Bytes) -> Result<bool, Error> {
        self.write(location, content, true).await
    }

    async fn write(&self, location: &Location, content: Bytes, absent: bool) -> Result<bool, Error> {
        let fail = |e: Box<dyn std::error::Error + Send + Sync>| Error::io("writing", location, e);
        let Some(target) = self.local_path(location) else {
            let mode = if absent { PutMode::Create } else { PutMode::Overwrite };
            let options = PutOptions { mode, ..PutOptions::default() };
            let path = Path::from(location.to_string());
            return match self.store.put_opts(&path, PutPayload::from(content), options).await {
                Ok(_) => Ok(true),
                Err(object_store::Error::AlreadyExists { .. }) if absent => Ok(false),
                Err(e) => Err(fail(e.into())),
            };
        };
        let temporary = self.temporary_beside(&target);
        let written = tokio::task::spawn_blocking(move || {
            let result = create(&temporary).and_then(|mut file| {
                file.write_all(&content)?;
                place(file, &temporary, &target, absent)
            });
            if result.is_err() {
                let _ = fs::remove_file(&temporary);
            }
            result
        });
        match written.await {
            Ok(result) => result.map_err(|e| fail(e.into())),
            Err(e) => Err(fail(e.into())),
        }
    }

    /// Opens something to write a large object into, piece by piece.
    pub(super) fn draft(&self, location: &Location) -> Result<Draft, Error> {
        let Some(target) = self.local_path(location) else { return Ok(Draft::Memory(Vec::new())) };
        let temporary = self.temporary_beside(&target);
        let file = create(&temporary).map_err(|e| Error::io("writing", location, e))?;
        Ok(Draft::File { file: Some(io::BufWriter::with_capacity(1 << 18, file)), temporary, target })
    }

    /// Makes a draft the object.
    pub(super) async fn keep(&self, location: &Location, draft: Draft) -> Result<(), Error> {
        let fail = |e: Box<dyn std::error::Error + Send + Sync>| Error::io("writing", location, e);
        match draft.into_memory() {
            Ok(content) => self.put(location, Bytes::from(content)).await,
            Err(draft) => match tokio::task::spawn_blocking(move || draft.place()).await {
                Ok(result) => result.map_err(|e| fail(e.into())),
                Err(e) => Err(fail(e.into())),
            },
        }
    }

    fn temporary_beside(&self, target: &FsPath) -> PathBuf {
        let n = self.temporaries.fetch_add(1, Ordering::Relaxed);
        let noise: u64 = rand::random();
        target.with_file_name(format!("{TEMPORARY}{}-{n}-{noise:016x}", std::process::id()))
    }
}

/// A large object on its way; dropped without being kept, it leaves nothing.
pub(super) enum Draft {
    Memory(Vec<u8>),
    File { file: Option<io::BufWriter<File>>, temporary: PathBuf, target: PathBuf },
}

impl Draft {
    /// Returns the content of a draft in memory, or the draft if it is a file.
    fn into_memory(mut self) -> Result<Vec<u8>, Self> {
        match &mut self {
            Draft::Memory(content) => Ok(std::mem::take(content)),
            Draft::File { .. } => Err(self),
        }
    }

    /// Turns what was written into something to read once; its name is gone already.
    pub(super) fn into_scratch(mut self) -> io::Result<Scratch> {
        match &mut self {
            Draft::Memory(content) => Ok(Scratch::Memory(std::mem::take(content))),
            Draft::File { file, temporary, .. } => {
                if let Some(file) = file {
                    file.flush()?;
                }
                let read = File::open(&*temporary)?;
                // Dropping the draft takes the name away; where that cannot be done while the
                // file is open, it is left to the next clean-up.
                Ok(Scratch::File(read))
            }
        }
    }

    fn place(mut self) -> io::Result<()> {
        if let Draft::File { file: slot, temporary, target } = &mut self
            && let Some(file) = slot.take()
        {
            let file = file.into_inner().map_err(|e| e.into_error())?;
            place(file, temporary, target, false)?;
        }
        Ok(())
    }
}

/// Content that nobody but its holder can name.
#[derive(Debug)]
pub(super) enum Scratch {
    Memory(Vec<u8>),
    File(File),
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Draft::File { file: Some(_), temporary, .. } = self {
            let _ = fs::remove_file(temporary);
        }
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Draft::Memory(content) => content.write(bytes),
            Draft::File { file: Some(file), .. } => file.write(bytes),
            Draft::File { file: None, .. } => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Draft::File { file: Some(file), .. } => file.flush(),
            _ => Ok(()),
        }
    }
}

/// Creates a file that only we can read: it holds what the systems hold.
fn create(path: &FsPath) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        make_folders(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Moves a finished file to its name, durably; `false` if the name is taken.
fn place(file: File, temporary: &FsPath, target: &FsPath, absent: bool) -> io::Result<bool> {
    file.sync_all()?;
    drop(file);
    let mut placed = true;
    if absent {
        // A link fails where a rename would replace.
        match fs::hard_link(temporary, target) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => placed = false,
            Err(e) => return Err(e),
        }
        fs::remove_file(temporary)?;
    } else {
        fs::rename(temporary, target)?;
    }
    target.parent().map_or(Ok(()), sync_folder)?;
    Ok(placed)
}

/// Creates folders as far as they are missing, each durably.
fn make_folders(folder: &FsPath) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folders(parent)?;
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn sync_folder(folder: &FsPath) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened as a file; its entries are journaled.
#[cfg(not(unix))]
fn sync_folder(_folder: &FsPath) -> io::Result<()> {
    Ok(())
}

/// Leaves user, password and query out of what was given as a place.
fn without_secrets(place: &str) -> String {
    match Url::parse(place) {
        Ok(url) if url.has_host() => {
            format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
        }
        _ => place.to_owned(),
    }
}
