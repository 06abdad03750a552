//! Pruning: what no kept snapshot lists goes.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::PipelineStore;
use super::error::Error;
use super::layout::{Folder, Location};
use crate::model::SnapshotId;

/// Parts younger than this stay although nothing lists them: a run may be about to.
const GRACE: TimeDelta = TimeDelta::hours(24);

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Snapshots.
    pub snapshots: u64,
    /// Parts of tables, sheets of the sync state and pages of killed runs.
    pub files: u64,
    /// The size of all that was deleted, with what never got its name.
    pub bytes: u64,
}

impl PipelineStore {
    /// Deletes all snapshots but `keep` and that of the head, and then the parts and
    /// sync tables that nothing lists any more.
    pub async fn prune(&self, keep: &[SnapshotId], now: DateTime<Utc>) -> Result<Pruned, Error> {
        let head = self.read_head().await?;
        let stays = |id: &SnapshotId| keep.contains(id) || head.as_ref().is_some_and(|h| h.snapshot == *id);
        let (mut listed, mut pruned) = (HashSet::new(), Pruned::default());
        let mut goes = Vec::new();
        for id in self.list_snapshots().await? {
            if stays(&id) {
                // A damaged manifest ends it here, before anything is deleted.
                let snapshot = self.read_snapshot(&id).await?;
                listed.extend(snapshot.tables().flat_map(|(_, _, t)| &t.parts).map(|p| p.path.clone()));
            } else {
                goes.push(id);
            }
        }
        listed.extend(head.iter().flat_map(|h| h.sync.values()).map(|sheet| sheet.path.clone()));
        let pipeline = self.name().to_owned();
        for id in goes {
            // The manifest first: a part must not go while a manifest lists it.
            self.files().delete(&Location::Snapshot { pipeline: pipeline.clone(), id: id.clone() }).await?;
            self.files().delete(&Location::SnapshotSql { pipeline: pipeline.clone(), id }).await?;
            pruned.snapshots += 1;
        }
        for folder in [Folder::Tables { pipeline: self.name() }, Folder::SyncAll { pipeline: self.name() }] {
            for file in self.files().list(folder).await? {
                if !listed.contains(&file.location.to_string()) && file.modified + GRACE < now {
                    self.files().delete(&file.location).await?;
                    pruned.files += 1;
                    pruned.bytes += file.bytes;
                }
            }
        }
        // What killed runs left: pages, and files that never got their name.
        for file in self.files().list(Folder::Runs { pipeline: self.name() }).await? {
            if matches!(file.location, Location::Page { .. }) && file.modified + GRACE < now {
                self.files().delete(&file.location).await?;
                pruned.files += 1;
                pruned.bytes += file.bytes;
            }
        }
        pruned.bytes +=
            self.files().delete_leftovers(Folder::Pipeline { pipeline: self.name() }, now - GRACE).await?;
        Ok(pruned)
    }
}
