//! The command line: arguments, streams, exit codes. It reads the environment and
//! the clock, and hands both to the library, which has neither.

mod apply;
mod audit;
mod check;
mod compile;
mod completions;
mod exit;
mod open;
mod output;
mod pairs;
mod plan;
mod prompt;
mod root;
mod rows;
mod sandbox;
mod schema;
mod snapshots;
mod sql;
mod summary;
mod sync;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use exit::Stop;

/// Keeps test-management artifacts in step between Azure DevOps and other test tools
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, help_expected = true, propagate_version = false)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command takes.
#[derive(Args, Clone, Debug)]
struct Common {
    /// The staging store: a folder or a file:// URL
    #[arg(long, global = true, default_value = "./.testferry", value_name = "URL")]
    staging: String,
    /// Print no progress and no summary
    #[arg(long, short, global = true)]
    quiet: bool,
    /// How messages on stderr look
    #[arg(long, global = true, default_value = "text", value_name = "FORMAT")]
    log_format: LogFormat,
    /// When to use color
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring both sides into step: the nightly job
    Sync(sync::SyncArgs),
    /// Show what a sync would write, and write nothing
    Plan(plan::PlanArgs),
    /// Load a plan that was reviewed, and nothing else
    Apply(apply::ApplyArgs),
    /// Find what is wrong before anything moves
    Check(check::CheckArgs),
    /// Query what is staged, at a prompt or once
    Sql(sql::SqlArgs),
    /// Ask the shipped questions about test coverage
    Audit(audit::AuditArgs),
    /// List counterparts
    Pairs(pairs::PairsArgs),
    /// List the nights that are staged
    Snapshots(snapshots::SnapshotsArgs),
    /// Serve emulators of the systems on this machine
    Sandbox(sandbox::SandboxArgs),
    /// Show the SQL that a pipeline file comes to
    Compile(compile::CompileArgs),
    /// Print the JSON Schema of pipeline files
    Schema(schema::SchemaArgs),
    /// Print a script that completes commands in a shell
    Completions(completions::CompletionsArgs),
}

/// A pipeline file, and where its repositories are.
#[derive(Args, Clone, Debug)]
struct Target {
    /// The pipeline file
    #[arg(value_name = "PIPELINE")]
    pipeline: PathBuf,
    #[command(flatten)]
    sandbox: Embedded,
}

/// The embedded sandbox in place of the real systems.
#[derive(Args, Clone, Debug)]
struct Embedded {
    /// Use the embedded sandbox instead of the real systems
    #[arg(long)]
    sandbox: bool,
    /// Test cases in the sandbox's made-up company
    #[arg(long, requires = "sandbox", default_value_t = 200, value_name = "N")]
    size: usize,
    /// Seed of the sandbox's made-up company
    #[arg(long, requires = "sandbox", default_value_t = 1, value_name = "S")]
    seed: u64,
    /// Forget the sandbox and what was staged of it
    #[arg(long, requires = "sandbox")]
    fresh: bool,
}

/// Runs the command line and returns the process's exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not failures.
            let code = if error.use_stderr() { exit::USAGE } else { exit::IN_STEP };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    output::start(&cli.common);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&cli.common, &Stop::bug(format!("no runtime: {error}"))),
    };
    // A provider of cryptography is chosen once for the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match runtime.block_on(dispatch(&cli)) {
        Ok(code) => ExitCode::from(code),
        Err(stop) => exit::report(&cli.common, &stop),
    }
}

async fn dispatch(cli: &Cli) -> Result<u8, Stop> {
    match &cli.command {
        Command::Sync(args) => args.run(&cli.common).await,
        Command::Plan(args) => args.run(&cli.common).await,
        Command::Apply(args) => args.run(&cli.common).await,
        Command::Check(args) => args.run(&cli.common).await,
        Command::Compile(args) => args.run(&cli.common),
        Command::Sql(args) => args.run(&cli.common).await,
        Command::Audit(args) => args.run(&cli.common).await,
        Command::Pairs(args) => args.run(&cli.common).await,
        Command::Snapshots(args) => args.run(&cli.common).await,
        Command::Sandbox(args) => args.run(&cli.common).await,
        Command::Schema(args) => args.run(),
        Command::Completions(args) => args.run(),
    }
}
