//! The sandbox's data folder: states of all systems, written together or not at all.
//!
//! `sandbox.json` names the live state files; it is replaced by renaming, so
//! that a crash leaves the states of one moment, never a mixture.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::host::Error;

/// Grows when the folder's layout changes.
const FORMAT: u32 = 1;
const MANIFEST: &str = "sandbox.json";
const LOCK: &str = "sandbox.lock";

/// What `sandbox.json` holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    /// Counts the savings; part of the state files' names.
    generation: u64,
    pub(crate) size: usize,
    pub(crate) seed: u64,
    pub(crate) empty: bool,
    pub(crate) systems: BTreeMap<String, Kept>,
}

/// What is kept of one system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The state's file, beside the manifest; none until the first saving.
    pub(crate) state: Option<String>,
    /// The port it was served on, because what it answered holds its address.
    pub(crate) port: u16,
}

/// An open data folder; no other sandbox can open it meanwhile.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    pub(crate) manifest: Manifest,
    /// Held for its lock.
    _lock: File,
}

impl Folder {
    /// Opens a data folder, and makes it where it is missing. What it holds must come from
    /// the same company; `fresh` forgets it.
    pub(crate) fn open(
        path: &Path,
        size: usize,
        seed: u64,
        empty: bool,
        fresh: bool,
    ) -> Result<Folder, Error> {
        fs::create_dir_all(path).map_err(at(path))?;
        let lock_path = path.join(LOCK);
        let lock = File::create(&lock_path).map_err(at(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(Error::InUse { path: path.to_owned() }),
            Err(fs::TryLockError::Error(source)) => return Err(at(&lock_path)(source)),
        }
        let anew = Manifest { format: FORMAT, generation: 0, size, seed, empty, systems: BTreeMap::new() };
        let mut folder = Folder { path: path.to_owned(), manifest: anew, _lock: lock };
        if let Some(kept) = folder.read_manifest(fresh)? {
            // Even a fresh start keeps the numbering, so that it never overwrites a live file.
            folder.manifest.generation = kept.generation;
            if fresh {
                folder.manifest.systems = kept.systems;
                folder.manifest.systems.values_mut().for_each(|system| system.state = None);
            } else {
                folder.check("size", kept.size, size)?;
                folder.check("seed", kept.seed, seed)?;
                folder.check("empty", kept.empty, empty)?;
                folder.manifest.systems = kept.systems;
            }
        }
        Ok(folder)
    }

    fn read_manifest(&self, fresh: bool) -> Result<Option<Manifest>, Error> {
        let path = self.path.join(MANIFEST);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at(&path)(error)),
        };
        match serde_json::from_slice::<Manifest>(&text) {
            Ok(manifest) if manifest.format == FORMAT => Ok(Some(manifest)),
            _ if fresh => Ok(None),
            Ok(manifest) => {
                let reason = format!("it has format {}, expected {FORMAT}", manifest.format);
                Err(Error::Unreadable { path, reason })
            }
            Err(error) => Err(Error::Unreadable { path, reason: error.to_string() }),
        }
    }

    fn check<T: PartialEq + ToString>(&self, what: &'static str, saved: T, asked: T) -> Result<(), Error> {
        if saved == asked {
            return Ok(());
        }
        let path = self.path.clone();
        Err(Error::SavedDiffers { path, what, saved: saved.to_string(), asked: asked.to_string() })
    }

    /// The state that a system was left in, and the file it stands in.
    pub(crate) fn state(&self, system: &str) -> Result<Option<(PathBuf, Vec<u8>)>, Error> {
        let Some(name) = self.manifest.systems.get(system).and_then(|kept| kept.state.as_ref()) else {
            return Ok(None);
        };
        let path = self.path.join(name);
        let bytes = fs::read(&path).map_err(at(&path))?;
        Ok(Some((path, bytes)))
    }

    /// The port that a system had last time.
    pub(crate) fn port(&self, system: &str) -> Option<u16> {
        self.manifest.systems.get(system).map(|kept| kept.port)
    }

    /// Writes the states of some systems with their ports; the others stay as they are.
    pub(crate) fn save(&mut self, states: Vec<(&'static str, u16, Vec<u8>)>) -> Result<(), Error> {
        let mut next = self.manifest.clone();
        next.generation += 1;
        for (system, port, state) in states {
            let name = format!("{system}.{}.state", next.generation);
            self.write(&name, &state)?;
            next.systems.insert(system.to_owned(), Kept { state: Some(name), port });
        }
        let text = serde_json::to_vec_pretty(&next).map_err(|error| Error::Unreadable {
            path: self.path.join(MANIFEST),
            reason: error.to_string(),
        })?;
        let temporary = format!("{MANIFEST}.new");
        self.write(&temporary, &text)?;
        let manifest = self.path.join(MANIFEST);
        fs::rename(self.path.join(&temporary), &manifest).map_err(at(&manifest))?;
        self.sync()?;
        self.manifest = next;
        self.sweep();
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path.join(name);
        let mut file = File::create(&path).map_err(at(&path))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at(&path))
    }

    fn sync(&self) -> Result<(), Error> {
        // Elsewhere a folder cannot be opened as a file, and the rename must do.
        if cfg!(unix) {
            File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(at(&self.path))?;
        }
        Ok(())
    }

    /// Removes state files that the manifest does not name. What cannot be removed is tried again next time.
    fn sweep(&self) {
        let live: Vec<_> = self.manifest.systems.values().filter_map(|kept| kept.state.as_deref()).collect();
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.ends_with(".state") && !live.contains(&name) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}
