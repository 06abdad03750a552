//! `sync`: all stages; the nightly job.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{Local, NaiveDateTime, NaiveTime, TimeDelta};
use clap::Args;

use super::exit::{STOPPED, Stop};
use super::open::open;
use super::sandbox::interrupted;
use super::summary::summary;
use super::{Common, Target, output};
use crate::stages::{self, Done, Options};

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
    /// Write only to the artifact with this id or key, and to its counterpart
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Write to so many artifacts at most, and leave the rest to the next run
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// End at this local time, such as 06:00; what is in flight is finished and committed
    #[arg(long, value_name = "HH:MM", value_parser = time_of_day)]
    until: Option<NaiveTime>,
    /// Agree to so many removals in all, whatever their share of a collection
    #[arg(long, value_name = "N", default_value_t = 0)]
    yes_delete: u64,
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
            key: self.key.clone(),
            limit: self.limit,
            yes_delete: self.yes_delete,
            stop: stop_on_signal(common),
        };
        if let Some(time) = self.until {
            stop_after(options.stop.clone(), until(time, Local::now().naive_local()));
        }
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

/// Sets a flag once some time has passed.
fn stop_after(stop: Arc<AtomicBool>, time: Duration) {
    if time.is_zero() {
        return stop.store(true, Ordering::Relaxed);
    }
    tokio::spawn(async move {
        tokio::time::sleep(time).await;
        stop.store(true, Ordering::Relaxed);
    });
}

fn time_of_day(text: &str) -> Result<NaiveTime, String> {
    NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| format!("{text:?} is no time of day such as 06:00"))
}

/// Returns how long it is until the clock next shows a time of day; none at all within that minute.
fn until(time: NaiveTime, now: NaiveDateTime) -> Duration {
    let today = now.date().and_time(time);
    let next = if now < today + TimeDelta::minutes(1) { today } else { today + TimeDelta::days(1) };
    (next - now).to_std().unwrap_or_default()
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
    let done = stages::run(&opened.job(progress.as_ref(), options)).await;
    opened.close().await?;
    Ok(done?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_the_next_one_that_the_clock_shows() {
        let at = |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap();
        let six = time_of_day("06:00").unwrap();
        let hours = |n: u64| Duration::from_secs(n * 3600);
        assert_eq!(until(six, at("2026-11-22 02:00:00")), hours(4));
        assert_eq!(until(six, at("2026-11-22 22:00:00")), hours(8));
        assert_eq!(until(six, at("2026-11-22 06:00:59")), Duration::ZERO);
        assert_eq!(until(six, at("2026-11-22 06:01:00")), hours(24) - Duration::from_secs(60));
        assert!(time_of_day("6 o'clock").unwrap_err().contains("06:00"));
        assert!(time_of_day("24:00").is_err());
    }

    #[tokio::test]
    async fn a_time_that_has_come_stops_at_once() {
        let stop = Arc::new(AtomicBool::new(false));
        stop_after(stop.clone(), Duration::ZERO);
        assert!(stop.load(Ordering::Relaxed));
    }
}
