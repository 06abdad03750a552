//! Where everything in a staging store lies; the only file that spells a path.

use std::fmt;
use std::str::FromStr;

use crate::model::{RunId, SnapshotId};

/// An object of a staging store. Displays as its path below the root, with `/`.
///
/// Names made by people (repositories, projects, pipelines) may hold any character;
/// what is not a letter, a digit, `-`, `_` or `.` is written as `+` and two hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Location {
    /// A record of who holds a project of a repository; the highest number counts.
    Lease {
        /// Repository and project.
        place: String,
        /// Number of the record.
        n: u64,
    },
    /// What a pipeline has agreed on; the highest number counts.
    Head {
        /// The pipeline.
        pipeline: String,
        /// Number of the head, from 1.
        n: u64,
    },
    /// The live parts of each table at one time.
    Snapshot {
        /// The pipeline.
        pipeline: String,
        /// The snapshot.
        id: SnapshotId,
    },
    /// Statements that make a snapshot a set of views in DuckDB.
    SnapshotSql {
        /// The pipeline.
        pipeline: String,
        /// The snapshot.
        id: SnapshotId,
    },
    /// Rows of a native table.
    Part {
        /// The pipeline.
        pipeline: String,
        /// The repository.
        repository: String,
        /// The table.
        table: String,
        /// Hash of the content.
        hash: String,
    },
    /// A table of the sync state. The run is part of the path, so that two runs
    /// which prepare the same head do not overwrite each other.
    Sync {
        /// The pipeline.
        pipeline: String,
        /// The head for which it was written.
        n: u64,
        /// The run that wrote it.
        run: RunId,
        /// The table.
        table: String,
    },
    /// A table of a run's plan.
    Plan {
        /// The pipeline.
        pipeline: String,
        /// The run.
        run: RunId,
        /// The table.
        table: String,
    },
    /// Rows of one page as they came, until the run is over.
    Page {
        /// The pipeline.
        pipeline: String,
        /// The run.
        run: RunId,
        /// Repository and table, or any other name.
        table: String,
        /// Number of the page.
        n: u64,
    },
    /// A record about one batch of requests.
    Journal {
        /// The pipeline.
        pipeline: String,
        /// The run.
        run: RunId,
        /// Number of the batch.
        batch: u64,
        /// What the record holds.
        kind: JournalKind,
    },
    /// What came of a run: `report.json`, `report.html`.
    Report {
        /// The pipeline.
        pipeline: String,
        /// The run.
        run: RunId,
        /// `json` or `html`.
        format: String,
    },
    /// The content of an attachment.
    Blob {
        /// The pipeline.
        pipeline: String,
        /// SHA-256 of the content, in hex.
        hash: String,
    },
}

/// What a record of the journal holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JournalKind {
    /// What is going to be sent.
    Intents,
    /// What came of it.
    Outcomes,
    /// What a later run found out about it.
    Settled,
}

impl JournalKind {
    const ALL: [JournalKind; 3] = [JournalKind::Intents, JournalKind::Outcomes, JournalKind::Settled];

    fn as_str(self) -> &'static str {
        match self {
            JournalKind::Intents => "intents",
            JournalKind::Outcomes => "outcomes",
            JournalKind::Settled => "settled",
        }
    }
}

/// The folder in which a kind of object lies, for listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Folder<'a> {
    Root,
    Pipeline { pipeline: &'a str },
    Leases { place: &'a str },
    Heads { pipeline: &'a str },
    Snapshots { pipeline: &'a str },
    Tables { pipeline: &'a str },
    SyncAll { pipeline: &'a str },
    Runs { pipeline: &'a str },
    Journal { pipeline: &'a str, run: &'a RunId },
    Pages { pipeline: &'a str, run: &'a RunId },
}

impl fmt::Display for Folder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Folder::Root => Ok(()),
            Folder::Pipeline { pipeline } => write!(f, "{}", Name(pipeline)),
            Folder::Leases { place } => write!(f, "locks/{}", Name(place)),
            Folder::Heads { pipeline } => write!(f, "{}/heads", Name(pipeline)),
            Folder::Snapshots { pipeline } => write!(f, "{}/snapshots", Name(pipeline)),
            Folder::Tables { pipeline } => write!(f, "{}/tables", Name(pipeline)),
            Folder::SyncAll { pipeline } => write!(f, "{}/sync", Name(pipeline)),
            Folder::Runs { pipeline } => write!(f, "{}/runs", Name(pipeline)),
            Folder::Journal { pipeline, run } => {
                write!(f, "{}/runs/{}/journal", Name(pipeline), Name(run.as_str()))
            }
            Folder::Pages { pipeline, run } => {
                write!(f, "{}/runs/{}/pages", Name(pipeline), Name(run.as_str()))
            }
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Numbers have ten digits, so that the order of names is that of numbers.
        match self {
            Location::Lease { place, n } => write!(f, "locks/{}/{n:010}.json", Name(place)),
            Location::Head { pipeline, n } => write!(f, "{}/heads/{n:010}.json", Name(pipeline)),
            Location::Snapshot { pipeline, id } => {
                write!(f, "{}/snapshots/{}.json", Name(pipeline), Name(id.as_str()))
            }
            Location::SnapshotSql { pipeline, id } => {
                write!(f, "{}/snapshots/{}.sql", Name(pipeline), Name(id.as_str()))
            }
            Location::Part { pipeline, repository, table, hash } => write!(
                f,
                "{}/tables/{}/{}/{}.parquet",
                Name(pipeline),
                Name(repository),
                Name(table),
                Name(hash)
            ),
            Location::Sync { pipeline, n, run, table } => {
                write!(f, "{}/sync/{n:010}/{}/{}.parquet", Name(pipeline), Name(run.as_str()), Name(table))
            }
            Location::Plan { pipeline, run, table } => {
                write!(f, "{}/runs/{}/plan/{}.parquet", Name(pipeline), Name(run.as_str()), Name(table))
            }
            Location::Page { pipeline, run, table, n } => write!(
                f,
                "{}/runs/{}/pages/{}/{n:010}.parquet",
                Name(pipeline),
                Name(run.as_str()),
                Name(table)
            ),
            Location::Journal { pipeline, run, batch, kind } => write!(
                f,
                "{}/runs/{}/journal/{batch:010}.{}.json",
                Name(pipeline),
                Name(run.as_str()),
                kind.as_str()
            ),
            Location::Report { pipeline, run, format } => {
                write!(f, "{}/runs/{}/report.{}", Name(pipeline), Name(run.as_str()), Name(format))
            }
            Location::Blob { pipeline, hash } => write!(f, "{}/blobs/{}", Name(pipeline), Name(hash)),
        }
    }
}

/// A path that is no object of a staging store, such as a temporary file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a path of a staging store")]
pub struct NotALocation;

impl FromStr for Location {
    type Err = NotALocation;

    fn from_str(path: &str) -> Result<Self, NotALocation> {
        let parts: Vec<&str> = path.split('/').collect();
        if let ["locks", place, file] = parts[..] {
            return Ok(Location::Lease { place: name(place)?, n: number(stem(file, ".json")?)? });
        }
        let (first, rest) = parts.split_first().ok_or(NotALocation)?;
        let pipeline = name(first)?;
        Ok(match *rest {
            ["heads", file] => Location::Head { pipeline, n: number(stem(file, ".json")?)? },
            ["snapshots", file] if file.ends_with(".sql") => {
                Location::SnapshotSql { pipeline, id: SnapshotId::new(name(stem(file, ".sql")?)?) }
            }
            ["snapshots", file] => {
                Location::Snapshot { pipeline, id: SnapshotId::new(name(stem(file, ".json")?)?) }
            }
            ["tables", repository, table, file] => Location::Part {
                pipeline,
                repository: name(repository)?,
                table: name(table)?,
                hash: name(stem(file, ".parquet")?)?,
            },
            ["sync", n, run, file] => Location::Sync {
                pipeline,
                n: number(n)?,
                run: RunId::new(name(run)?),
                table: name(stem(file, ".parquet")?)?,
            },
            ["blobs", hash] => Location::Blob { pipeline, hash: name(hash)? },
            ["runs", run, ref rest @ ..] => in_run(pipeline, RunId::new(name(run)?), rest)?,
            _ => return Err(NotALocation),
        })
    }
}

fn in_run(pipeline: String, run: RunId, rest: &[&str]) -> Result<Location, NotALocation> {
    Ok(match *rest {
        ["plan", file] => Location::Plan { pipeline, run, table: name(stem(file, ".parquet")?)? },
        ["pages", table, file] => {
            Location::Page { pipeline, run, table: name(table)?, n: number(stem(file, ".parquet")?)? }
        }
        ["journal", file] => {
            let (batch, kind) = stem(file, ".json")?.split_once('.').ok_or(NotALocation)?;
            let kind = JournalKind::ALL.into_iter().find(|k| k.as_str() == kind).ok_or(NotALocation)?;
            Location::Journal { pipeline, run, batch: number(batch)?, kind }
        }
        [file] => Location::Report {
            pipeline,
            run,
            format: name(file.strip_prefix("report.").ok_or(NotALocation)?)?,
        },
        _ => return Err(NotALocation),
    })
}

fn stem<'a>(file: &'a str, suffix: &str) -> Result<&'a str, NotALocation> {
    file.strip_suffix(suffix).ok_or(NotALocation)
}

fn number(text: &str) -> Result<u64, NotALocation> {
    let plain = text.len() >= 10 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain).ok_or(NotALocation)
}

/// Reads a name back from the run's own folder, as when listing runs.
pub(super) fn name(text: &str) -> Result<String, NotALocation> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => {
                let digit = |b: Option<u8>| (b? as char).to_digit(16);
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let value = high.zip(low).map(|(h, l)| h * 16 + l).ok_or(NotALocation)?;
                u8::try_from(value).map_err(|_| NotALocation)?
            }
            other => other,
        });
    }
    let decoded = String::from_utf8(bytes).map_err(|_| NotALocation)?;
    // Only what we would have written ourselves is ours.
    if decoded.is_empty() || Name(&decoded).to_string() != text { Err(NotALocation) } else { Ok(decoded) }
}

/// A name made safe as one segment of a path, on every file system and in URLs.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.bytes().enumerate() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => write!(f, "{}", byte as char)?,
                // A dot at the beginning would hide the file, or leave the folder.
                b'.' if at > 0 => write!(f, ".")?,
                _ => write!(f, "+{byte:02x}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn locations(a: String, b: String, n: u64) -> Vec<Location> {
        let (pipeline, run) = (a.clone(), RunId::new(b.clone()));
        let (table, id) = (b.clone(), SnapshotId::new(b.clone()));
        let mut all = vec![
            Location::Lease { place: a.clone(), n },
            Location::Head { pipeline: a.clone(), n },
            Location::Snapshot { pipeline: a.clone(), id: id.clone() },
            Location::SnapshotSql { pipeline: a.clone(), id },
            Location::Part {
                pipeline: a.clone(),
                repository: b.clone(),
                table: table.clone(),
                hash: "0f".into(),
            },
            Location::Sync { pipeline: a.clone(), n, run: run.clone(), table: table.clone() },
            Location::Plan { pipeline: a.clone(), run: run.clone(), table: table.clone() },
            Location::Page { pipeline: a.clone(), run: run.clone(), table, n },
            Location::Report { pipeline: a.clone(), run: run.clone(), format: "json".into() },
            Location::Blob { pipeline: a, hash: b },
        ];
        all.extend(JournalKind::ALL.map(|kind| Location::Journal {
            pipeline: pipeline.clone(),
            run: run.clone(),
            batch: n,
            kind,
        }));
        all
    }

    proptest! {
        #[test]
        fn every_location_is_read_back_from_its_path(a in ".{1,20}", b in ".{1,20}", n: u64) {
            // A pipeline called `locks` is refused where pipelines are named.
            prop_assume!(a != "locks");
            for location in locations(a, b, n) {
                let path = location.to_string();
                prop_assert!(path.split('/').all(|part| !part.is_empty() && !part.starts_with('.')));
                prop_assert_eq!(path.parse(), Ok(location));
            }
        }
    }

    #[test]
    fn what_is_not_ours_is_no_location() {
        for path in
            ["", "x", "p/heads/.tmp-1", "p/heads/1.json", "p/tables/a/b/c.txt", "p/runs/r/journal/x.json"]
        {
            assert_eq!(path.parse::<Location>(), Err(NotALocation), "{path}");
        }
    }

    #[test]
    fn paths_read_well_for_ordinary_names() {
        let location = Location::Part {
            pipeline: "ado-xray".into(),
            repository: "ado".into(),
            table: "test_cases".into(),
            hash: "00ff".into(),
        };
        assert_eq!(location.to_string(), "ado-xray/tables/ado/test_cases/00ff.parquet");
        assert_eq!(Folder::Leases { place: "ado-My Project" }.to_string(), "locks/ado-My+20Project");
    }
}
