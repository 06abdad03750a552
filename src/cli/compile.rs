//! `compile`: the SQL that a pipeline file comes to.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Common;
use super::exit::{IN_STEP, Stop, USAGE};
use super::open::read_pipeline;
use crate::connectors;
use crate::model::{Artifact, RepositoryId};
use crate::pipeline::Pipeline;
use crate::sql::{Statements, neutral};
use crate::stages::{spec, transform};

/// Prints, or writes to a folder, the neutral views of every repository and, per integration,
/// how each side is mapped, how the base is, and how they are compared. No system is asked:
/// variables that are not set stand for themselves.
#[derive(Args, Debug)]
pub(super) struct CompileArgs {
    /// The pipeline file
    #[arg(value_name = "PIPELINE")]
    pipeline: PathBuf,
    /// Write one file per statement there
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl CompileArgs {
    pub(super) fn run(&self, common: &Common) -> Result<u8, Stop> {
        let (pipeline, _) = read_pipeline(&self.pipeline, &|name| Some(variable(name)))?;
        let compiled = compile(&pipeline)?;
        match &self.output {
            Some(folder) => {
                for (path, text) in &compiled {
                    keep(&folder.join(path), text)?;
                }
                if !common.quiet {
                    eprintln!("{} statements in {}", compiled.len(), folder.display());
                }
            }
            None => {
                let mut out = std::io::stdout().lock();
                for (path, text) in &compiled {
                    // A reader that went away has read enough.
                    if writeln!(out, "-- {path}\n{}\n;\n", text.trim_end()).is_err() {
                        break;
                    }
                }
            }
        }
        Ok(IN_STEP)
    }
}

/// A variable's value; one that is not set stands for itself, as an address where one is needed.
fn variable(name: &str) -> String {
    let unset = || match name.ends_with("URL") {
        true => format!("https://{}.invalid", name.to_lowercase().replace('_', "-")),
        false => name.to_owned(),
    };
    std::env::var(name).unwrap_or_else(|_| unset())
}

/// Renders all statements of a pipeline, by the path under which they are kept.
fn compile(pipeline: &Pipeline) -> Result<Vec<(String, String)>, Stop> {
    let statements = Statements::new();
    let systems = connectors::registry();
    let mut artifacts: BTreeMap<RepositoryId, Vec<Artifact>> = BTreeMap::new();
    let mut all = Vec::new();
    for repository in &pipeline.repositories {
        let Some(system) = systems.iter().find(|s| s.name == repository.system) else { continue };
        artifacts.insert(repository.id.clone(), system.artifacts.clone());
        for view in neutral::views() {
            let path = format!("{}/{}.sql", repository.system, view.name);
            let text = statements.render_view(&path, repository.id.as_str())?;
            all.push((format!("{}/{}.sql", repository.id, view.name), text));
        }
    }
    let integrations = spec::resolve(pipeline, &artifacts).map_err(|e| Stop::of(USAGE, &e))?;
    for integration in &integrations {
        for (name, text) in transform::compiled(&statements, integration)? {
            all.push((format!("{}/{name}.sql", integration.name), text));
        }
    }
    Ok(all)
}

fn keep(path: &Path, text: &str) -> Result<(), Stop> {
    let written =
        path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(path, text));
    written.map_err(|e| Stop::new(USAGE, format!("cannot write {}: {e}", path.display())))
}
