//! Exit codes, and how a failure is told.

use std::process::ExitCode;

use super::Common;
use crate::connectors::ErrorKind;
use crate::stages::Failure;
use crate::{pipeline, sandbox, sql, store};

/// In step; losses may stand.
pub(super) const IN_STEP: u8 = 0;
/// Done, but something was rejected or held.
pub(super) const HELD: u8 = 1;
/// The command line or the file is wrong; nothing was written.
pub(super) const USAGE: u8 = 2;
/// A system or the store could not be used.
pub(super) const SYSTEM: u8 = 3;
/// Interrupted, out of time, or a brake.
pub(super) const STOPPED: u8 = 4;
/// Our bug.
pub(super) const BUG: u8 = 70;

/// Why a command stopped, and with which exit code.
#[derive(Debug)]
pub(super) struct Stop {
    code: u8,
    chain: Vec<String>,
    hint: Option<String>,
    problems: Option<Box<pipeline::Problems>>,
}

impl Stop {
    /// Stops with a code and a message.
    pub(super) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, chain: vec![message.into()], hint: None, problems: None }
    }

    /// Stops because of a defect of ours.
    pub(super) fn bug(message: impl Into<String>) -> Self {
        Self::new(BUG, message).hint("this is a defect of testferry: please report it with the message above")
    }

    /// Says what helps.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Stops with a code and an error with all its causes.
    pub(super) fn of(code: u8, error: &dyn std::error::Error) -> Self {
        let mut stop = Self::new(code, error.to_string());
        let mut source = error.source();
        while let Some(inner) = source {
            let text = inner.to_string();
            if !stop.chain.last().is_some_and(|last| last.contains(&text)) {
                stop.chain.push(text);
            }
            source = inner.source();
        }
        stop
    }
}

impl From<pipeline::Problems> for Stop {
    fn from(problems: pipeline::Problems) -> Self {
        let mut stop = Self::new(USAGE, problems.to_string());
        stop.problems = Some(Box::new(problems));
        stop
    }
}

impl From<crate::connectors::Error> for Stop {
    fn from(error: crate::connectors::Error) -> Self {
        match error.kind {
            ErrorKind::Settings => Self::of(USAGE, &error)
                .hint("nothing was written; correct the repository's settings and run again"),
            ErrorKind::Forbidden => {
                Self::of(SYSTEM, &error).hint("give the account that right and run again")
            }
            _ => {
                Self::of(SYSTEM, &error).hint("run again later; the next run settles what this one left open")
            }
        }
    }
}

impl From<store::Error> for Stop {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Unknown { .. } => Self::of(USAGE, &error),
            _ => Self::of(SYSTEM, &error),
        }
    }
}

impl From<sql::Error> for Stop {
    fn from(error: sql::Error) -> Self {
        Self::of(BUG, &error)
    }
}

impl From<sandbox::Error> for Stop {
    fn from(error: sandbox::Error) -> Self {
        Self::of(USAGE, &error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::System(error) => error.into(),
            Failure::Store(error) => error.into(),
            Failure::Spec(error) => Self::of(USAGE, &error),
            Failure::Unmapped(held) => {
                let mut stop = Self::new(USAGE, format!("{} values are in no map", held.len()));
                let mut details: Vec<String> = held.into_iter().map(|h| h.detail).collect();
                details.sort();
                details.dedup();
                stop.chain.extend(details);
                stop.hint("nothing was written; add the values to the pipeline file, or `other: hold` there")
            }
            Failure::Stopped => Self::of(STOPPED, &failure)
                .hint("nothing is lost: the next run settles what this one left open, and goes on"),
            Failure::Brake(why) => Self::new(STOPPED, why)
                .hint("what the plan would write stands in plan.changes: `testferry sql 'SELECT * FROM plan.changes'`"),
            Failure::Unknown(why) => Self::new(USAGE, why).hint("nothing was written"),
            Failure::Refused(why) => {
                Self::new(USAGE, why).hint("nothing was written; make a new plan and review that")
            }
            other => Self::of(BUG, &other),
        }
    }
}

/// Tells a failure on stderr and returns its exit code.
pub(super) fn report(common: &Common, stop: &Stop) -> ExitCode {
    if common.log_format == super::LogFormat::Json {
        let line = serde_json::json!({
            "level": "error", "message": stop.chain.join(": "), "hint": stop.hint, "exit": stop.code,
        });
        eprintln!("{line}");
        return ExitCode::from(stop.code);
    }
    if let Some(problems) = &stop.problems {
        for problem in &problems.0 {
            eprintln!("{:?}", miette::Report::new(problem.clone()));
        }
    }
    eprintln!("failed: {}", stop.chain.first().map_or("", String::as_str));
    for cause in stop.chain.iter().skip(1) {
        eprintln!("  cause: {cause}");
    }
    if let Some(hint) = &stop.hint {
        eprintln!("  hint: {hint}");
    }
    ExitCode::from(stop.code)
}
