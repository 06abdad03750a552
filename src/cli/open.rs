//! What most commands begin with: the pipeline file, its sandbox or its repositories, its store.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::exit::{Stop, USAGE};
use super::{Common, Target};
use crate::connectors;
use crate::model::RunId;
use crate::pipeline::{self, Pipeline, Surroundings};
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::stages::{Job, Options, Progress, Repositories};
use crate::store::{Holder, PipelineStore, Store};

/// A pipeline ready to run.
pub(super) struct Opened {
    pub(super) pipeline: Pipeline,
    pub(super) repositories: Repositories,
    pub(super) store: PipelineStore,
    pub(super) sandbox: Option<Sandbox>,
}

impl Opened {
    /// Makes a job of what is open.
    pub(super) fn job<'a>(&'a self, progress: &'a dyn Progress, options: Options) -> Job<'a> {
        let run = run_id();
        Job {
            pipeline: &self.pipeline,
            repositories: &self.repositories,
            store: &self.store,
            holder: holder(&run),
            run,
            is_gone: &is_gone,
            clock: &now,
            progress,
            options,
        }
    }

    /// Keeps the sandbox's state for the next night and stops it.
    pub(super) async fn close(self) -> Result<(), Stop> {
        if let Some(sandbox) = self.sandbox {
            sandbox.save()?;
            sandbox.stop().await;
        }
        Ok(())
    }
}

/// Returns the time.
pub(super) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Names a run by its start and four random hex digits.
fn run_id() -> RunId {
    let random: u16 = rand::random();
    RunId::new(format!("{}-{random:04x}", now().format("%Y%m%dT%H%M%SZ")))
}

/// Says who we are, for leases.
fn holder(run: &RunId) -> Holder {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Holder { name: run.to_string(), host: host.trim().to_owned(), process: std::process::id().to_string() }
}

/// Tells whether a holder on this machine is a process that ended.
fn is_gone(holder: &Holder) -> bool {
    let here = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let known = !here.trim().is_empty() && holder.host == here.trim();
    known && holder.process.parse::<u32>().is_ok_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

/// Reads a pipeline file with variables from `env`.
pub(super) fn read_pipeline(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(Pipeline, Vec<pipeline::Problem>), Stop> {
    let bytes = std::fs::read(path)
        .map_err(|e| Stop::new(USAGE, format!("cannot read pipeline file {}: {e}", path.display())))?;
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let surroundings = Surroundings { env, folder };
    let loaded = pipeline::load(&path.display().to_string(), &bytes, &connectors::catalog(), &surroundings)?;
    Ok((loaded.pipeline, loaded.warnings))
}

/// Opens everything that a run needs; with `--sandbox`, starts that first.
pub(super) async fn open(common: &Common, target: &Target) -> Result<Opened, Stop> {
    let sandbox = match target.sandbox.sandbox {
        true => Some(start_sandbox(common, target).await?),
        false => None,
    };
    let vars = sandbox.as_ref().map(Sandbox::env).unwrap_or_default();
    let env = |name: &str| match vars.iter().find(|(known, _)| known == name) {
        Some((_, value)) => Some(value.clone()),
        None => std::env::var(name).ok(),
    };
    let (pipeline, warnings) = read_pipeline(&target.pipeline, &env)?;
    if !common.quiet {
        for warning in warnings {
            eprintln!("{:?}", miette::Report::new(warning));
        }
    }
    let repositories = connectors::connect(&pipeline)?;
    let store = Store::open(&common.staging)?.pipeline(&pipeline.name)?;
    Ok(Opened { pipeline, repositories, store, sandbox })
}

async fn start_sandbox(common: &Common, target: &Target) -> Result<Sandbox, Stop> {
    let root = PathBuf::from(common.staging.trim_start_matches("file://"));
    let data = root.join("sandbox");
    if target.sandbox.fresh && root.exists() {
        forget(&root)?;
    }
    let options = SandboxOptions {
        size: target.sandbox.size,
        seed: target.sandbox.seed,
        fresh: target.sandbox.fresh,
        data: Some(data),
        ..SandboxOptions::default()
    };
    Ok(Sandbox::start(options).await?)
}

/// Forgets a staging folder that a sandbox filled; another one is never touched.
fn forget(root: &Path) -> Result<(), Stop> {
    let data = root.join("sandbox");
    let empty = std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_none());
    if empty {
        return Ok(());
    }
    if !data.exists() {
        let message = format!(
            "{} holds no sandbox: --fresh would delete what was staged of real systems",
            root.display()
        );
        return Err(Stop::new(USAGE, message).hint("name another folder with --staging"));
    }
    std::fs::remove_dir_all(root)
        .map_err(|e| Stop::new(USAGE, format!("cannot delete {}: {e}", root.display())))
}
