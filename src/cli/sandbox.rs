//! `sandbox`: the emulators as servers, until interrupted.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Common;
use super::exit::{IN_STEP, Stop, USAGE};
use crate::sandbox::{FaultPlan, Sandbox, SandboxOptions, describe_text, env_file_text, system_names};

/// Each system is a real HTTP server on loopback with state, filled from one made-up
/// company. Clients written for the real systems can be pointed at it.
#[derive(Args, Debug)]
pub(super) struct SandboxArgs {
    /// The systems to serve, by name; all if not given
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    systems: Vec<String>,
    /// Test cases of the made-up company; the rest grows in proportion
    #[arg(long, default_value_t = 200, value_name = "N")]
    size: usize,
    /// Seed of the made-up company
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// Write shell export lines of the pipelines' variables there, once all systems answer
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// The address of the first system; the next ones take the ports that follow
    #[arg(long, value_name = "127.0.0.1:PORT")]
    listen: Option<SocketAddr>,
    /// Keep the state there between two starts
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Forget the state that the folder keeps
    #[arg(long, requires = "data")]
    fresh: bool,
    /// Start without artifacts
    #[arg(long)]
    empty: bool,
    /// The documented rate limits
    #[arg(long, default_value = "off", value_name = "WHICH")]
    limits: Limits,
    /// How long what was written stays invisible to search, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    index_lag: u64,
    /// Faults on purpose, such as `seed=1,rate=0.1`
    #[arg(long, value_name = "PLAN")]
    faults: Option<FaultPlan>,
    /// Print the hard cases of the made-up company with their counts, and serve nothing
    #[arg(long)]
    describe: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Limits {
    Real,
    Off,
}

impl SandboxArgs {
    pub(super) async fn run(&self, common: &Common) -> Result<u8, Stop> {
        if self.describe {
            print!("{}", describe_text(self.size, self.seed));
            return Ok(IN_STEP);
        }
        if let Some(address) = self.listen
            && !address.ip().is_loopback()
        {
            let message =
                format!("{address} is not on loopback: the sandbox has no protection against strangers");
            return Err(Stop::new(USAGE, message).hint("use 127.0.0.1:PORT"));
        }
        let sandbox = Sandbox::start(self.options()).await?;
        if let Some(path) = &self.env_file {
            std::fs::write(path, env_file_text(&sandbox.env()))
                .map_err(|e| Stop::new(USAGE, format!("cannot write {}: {e}", path.display())))?;
        }
        if !common.quiet {
            for (system, url) in sandbox.urls() {
                eprintln!("{system}: {url}");
            }
            eprintln!("serving until interrupted");
        }
        interrupted().await;
        if self.data.is_some() {
            sandbox.save()?;
        }
        sandbox.stop().await;
        Ok(IN_STEP)
    }

    fn options(&self) -> SandboxOptions {
        let all: Vec<String> = system_names().into_iter().map(str::to_owned).collect();
        SandboxOptions {
            systems: if self.systems.is_empty() { all } else { self.systems.clone() },
            size: self.size,
            seed: self.seed,
            empty: self.empty,
            limits: self.limits == Limits::Real,
            index_lag: Duration::from_millis(self.index_lag),
            faults: self.faults.clone(),
            data: self.data.clone(),
            fresh: self.fresh,
            first_port: self.listen.map(|address| address.port()),
            ..SandboxOptions::default()
        }
    }
}

/// Waits for SIGINT or SIGTERM.
pub(super) async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = term.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
