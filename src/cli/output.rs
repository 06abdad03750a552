//! What a run tells while it is under way, on stderr.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Color, Common, LogFormat};
use crate::stages::{Progress, Quiet};

/// Redraws a second; more would only be heat.
const STEADY_TICK: Duration = Duration::from_millis(200);

/// Sets up messages and colors for the process.
pub(super) fn start(common: &Common) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("TESTFERRY_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second subscriber in one process can only come from a test.
    let _ = match common.log_format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => builder.with_ansi(colored(common)).try_init(),
    };
}

/// Tells whether stderr takes color.
pub(super) fn colored(common: &Common) -> bool {
    match common.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::env::var_os("NO_COLOR").is_none() && std::io::stderr().is_terminal(),
    }
}

/// Returns progress bars on a terminal, lines elsewhere, nothing when quiet.
pub(super) fn progress(common: &Common) -> Box<dyn Progress> {
    match (common.quiet, std::io::stderr().is_terminal(), common.log_format) {
        (true, ..) => Box::new(Quiet),
        (_, true, LogFormat::Text) => Box::new(Bars::default()),
        (_, _, format) => Box::new(Lines { json: format == LogFormat::Json, now: Mutex::default() }),
    }
}

/// One bar per stage.
#[derive(Default)]
struct Bars {
    stack: Mutex<Vec<ProgressBar>>,
}

impl Bars {
    fn last(&self) -> Option<ProgressBar> {
        self.stack.lock().ok().and_then(|stack| stack.last().cloned())
    }
}

impl Progress for Bars {
    fn start(&self, what: &str, total: u64) {
        let style = ProgressStyle::with_template("{spinner} {msg:32} {wide_bar} {pos}/{len} {elapsed}");
        let bar = ProgressBar::new(total).with_message(what.to_owned());
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.enable_steady_tick(STEADY_TICK);
        if let Ok(mut stack) = self.stack.lock() {
            stack.push(bar);
        }
    }

    fn advance(&self, units: u64) {
        if let Some(bar) = self.last() {
            bar.inc(units);
        }
    }

    fn finish(&self) {
        if let Some(bar) = self.stack.lock().ok().and_then(|mut stack| stack.pop()) {
            bar.finish_and_clear();
        }
    }
}

/// One line per stage.
struct Lines {
    json: bool,
    now: Mutex<Vec<String>>,
}

impl Progress for Lines {
    fn start(&self, what: &str, total: u64) {
        if self.json {
            eprintln!("{}", serde_json::json!({"level": "info", "stage": what, "units": total}));
        } else {
            eprintln!("{what} ({total})");
        }
        if let Ok(mut now) = self.now.lock() {
            now.push(what.to_owned());
        }
    }

    fn advance(&self, _: u64) {}

    fn finish(&self) {
        if let Ok(mut now) = self.now.lock() {
            now.pop();
        }
    }
}
