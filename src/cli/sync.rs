//! `sync`: all stages; the nightly job.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;

use super::exit::{STOPPED, Stop};
use super::open::{holder, is_gone, now, open, run_id};
use super::sandbox::interrupted;
use super::summary::summary;
use super::{Common, Target, output};
use crate::stages::{self, Done, Job, Options};

/// Settles what earlier runs left open, reads both sides, and writes what changed on
/// one side to the other. Never prompts.
#[derive(Args, Debug)]
pub(super) struct SyncArgs {
    #[command(flatten)]
    target: Target,
    /// Read everything anew instead of what changed
    #[arg(long)]
    full: bool,
    /// Write differences that stand since the mapping changed
    #[arg(long)]
    reconcile: bool,
    /// Only this integration
    #[arg(long, value_name = "INTEGRATION")]
    only: Option<String>,
    /// Print the report as JSON on stdout
    #[arg(long)]
    json: bool,
}

impl SyncArgs {
    pub(super) async fn run(&self, common: &Common) -> Result<u8, Stop> {
        let options = Options {
            load: true,
            full: self.full,
            reconcile: self.reconcile,
            only: self.only.clone(),
            stop: stop_on_signal(common),
        };
        let done = execute(common, &self.target, options).await?;
        if self.json {
            println!("{}", serde_json::to_string(&done.report).unwrap_or_default());
        } else if !common.quiet {
            println!("{}", summary(&done).trim_end());
        }
        Ok(done.report.exit)
    }
}

/// Returns a flag that the first SIGINT or SIGTERM sets; the second ends the process at once.
pub(super) fn stop_on_signal(common: &Common) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let (flag, quiet) = (stop.clone(), common.quiet);
    tokio::spawn(async move {
        interrupted().await;
        flag.store(true, Ordering::Relaxed);
        if !quiet {
            eprintln!("ending after the requests in flight; once more ends at once");
        }
        interrupted().await;
        std::process::exit(i32::from(STOPPED));
    });
    stop
}

/// Makes a run and keeps the sandbox's state, however the run ends.
pub(super) async fn execute(common: &Common, target: &Target, options: Options) -> Result<Done, Stop> {
    let opened = open(common, target).await?;
    if let Some(only) = &options.only
        && opened.pipeline.integration(only).is_none()
    {
        let known: Vec<&str> = opened.pipeline.integrations.iter().map(|i| i.name.as_str()).collect();
        let message = format!("no integration is called {only}; there are {}", known.join(", "));
        return Err(Stop::new(super::exit::USAGE, message));
    }
    let progress = output::progress(common);
    let run = run_id();
    let job = Job {
        pipeline: &opened.pipeline,
        repositories: &opened.repositories,
        store: &opened.store,
        holder: holder(&run),
        run,
        is_gone: &is_gone,
        clock: &now,
        progress: progress.as_ref(),
        options,
    };
    let done = stages::run(&job).await;
    opened.close().await?;
    Ok(done?)
}
