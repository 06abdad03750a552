//! `apply`: a plan that was reviewed, and nothing else.

use clap::Args;

use super::exit::Stop;
use super::open::{holder, is_gone, now, open, run_id};
use super::summary::summary;
use super::sync::stop_on_signal;
use super::{Common, Target, output};
use crate::model::RunId;
use crate::stages::apply::apply;
use crate::stages::{Job, Options};

/// Loads exactly what `plan` showed under the run's name. A plan older than an hour, or
/// made before another run wrote, is refused; rows that changed since are left out and
/// listed. What a load brings about in turn is left to the next sync.
#[derive(Args, Debug)]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    target: Target,
    /// The run whose plan was reviewed
    #[arg(value_name = "RUN")]
    run: String,
    /// Print the report as JSON on stdout
    #[arg(long)]
    json: bool,
}

impl ApplyArgs {
    pub(super) async fn run(&self, common: &Common) -> Result<u8, Stop> {
        let opened = open(common, &self.target).await?;
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
            options: Options { load: true, stop: stop_on_signal(common), ..Options::default() },
        };
        let done = apply(&job, &RunId::from(self.run.as_str())).await;
        opened.close().await?;
        let done = done?;
        if self.json {
            println!("{}", serde_json::to_string(&done.report).unwrap_or_default());
        } else if !common.quiet {
            println!("{}", summary(&done).trim_end());
        }
        Ok(done.report.exit)
    }
}
