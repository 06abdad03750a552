//! `completions`: what a shell needs to complete the command line.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::exit::{IN_STEP, Stop};

/// Prints a script for the shell to read at its start.
#[derive(Args, Debug)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl CompletionsArgs {
    pub(super) fn run(&self) -> Result<u8, Stop> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "testferry", &mut script);
        // A reader that went away needs no script.
        let _ = std::io::Write::write_all(&mut std::io::stdout(), &script);
        Ok(IN_STEP)
    }
}
