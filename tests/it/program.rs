//! The program itself, run as people run it, over a sandbox of its own.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// The shipped pipeline.
pub(crate) const PIPELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/ado-xray.yaml");

/// A staging folder that the program works on.
pub(crate) struct Bench {
    folder: TempDir,
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench { folder: tempfile::tempdir().expect("a folder") }
    }

    /// A bench on which a small company was read and nothing written.
    pub(crate) fn planned() -> Bench {
        let bench = Bench::new();
        let ended = bench.pipeline("plan", &["--sandbox", "--size", "12", "--quiet"]);
        assert!(ended.code <= 1, "{ended:?}");
        bench
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command that takes no pipeline file.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, &[])
    }

    /// Runs a command over the shipped pipeline.
    pub(crate) fn pipeline(&self, command: &str, arguments: &[&str]) -> Ended {
        self.run(&[&[command, PIPELINE], arguments].concat())
    }

    /// Runs a command over the shipped pipeline with these variables and no others.
    pub(crate) fn pipeline_with(&self, command: &str, variables: &[(String, String)]) -> Ended {
        self.run_with(&[command, PIPELINE], variables)
    }

    fn run_with(&self, arguments: &[&str], variables: &[(String, String)]) -> Ended {
        let staging = self.staging();
        let output = Command::new(Path::new(env!("CARGO_BIN_EXE_testferry")))
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .arg("--staging")
            .arg(&staging)
            .args(arguments)
            .output();
        ended(output.expect("the program starts"))
    }

    fn staging(&self) -> std::path::PathBuf {
        self.path("staging")
    }
}

fn ended(output: Output) -> Ended {
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
