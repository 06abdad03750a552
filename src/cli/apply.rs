//! `apply`: a plan that was reviewed, and nothing else.

use clap::Args;

use super::exit::Stop;
use super::open::open;
use super::summary::summary;
use super::sync::stop_on_signal;
use super::{Common, Target, output};
use crate::model::RunId;
use crate::stages::Options;
use crate::stages::apply::apply;

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
        let options = Options { load: true, stop: stop_on_signal(common), ..Options::default() };
        let job = opened.job(progress.as_ref(), options);
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
