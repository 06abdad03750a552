//! `audit`: the shipped questions about test coverage.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use futures::TryStreamExt;

use super::Common;
use super::exit::{HELD, IN_STEP, Stop, USAGE};
use super::root::{self, Night, Which};
use super::rows::{self, Format, Shape};
use crate::report::audit::{Section, page};
use crate::sql::Statements;
use crate::stages::audit::{Audit, audits};
use crate::stages::staged::Staged;

/// Asks the neutral views of the staged repositories, so that one audit serves every system.
/// Without NAME it lists the audits; with --html it writes all of them into one page.
#[derive(Args, Debug)]
pub(super) struct AuditArgs {
    /// The audit to run
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    night: Night,
    /// Only this repository
    #[arg(long, value_name = "REPOSITORY")]
    repository: Option<String>,
    #[command(flatten)]
    shape: Shape,
    /// Exit with 1 in this case
    #[arg(long, value_name = "CASE")]
    fail_on: Option<FailOn>,
    /// Write a page with all audits, or the one named, there
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "format"])]
    html: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// The audit lists anything
    Rows,
}

impl AuditArgs {
    pub(super) async fn run(&self, common: &Common) -> Result<u8, Stop> {
        self.shape.check()?;
        let chosen = self.chosen()?;
        if self.name.is_none() && self.html.is_none() && self.fail_on.is_none() {
            let width = chosen.iter().map(|a| a.name.len()).max().unwrap_or(0);
            let mut out = self.shape.open()?;
            for audit in &chosen {
                let line = format!("{:<width$}  {}\n", audit.name, audit.purpose);
                std::io::Write::write_all(&mut out, line.as_bytes())
                    .map_err(|e| Stop::new(USAGE, e.to_string()))?;
            }
            return Ok(IN_STEP);
        }
        let staged = root::staged(common, &self.which, &self.night).await?;
        let repositories = self.repositories(&staged)?;
        let rows = match &self.html {
            Some(path) => self.page(&staged, &repositories, &chosen, path).await?,
            None => self.rows(common, &staged, &repositories, &chosen).await?,
        };
        Ok(if self.fail_on == Some(FailOn::Rows) && rows > 0 { HELD } else { IN_STEP })
    }

    fn chosen(&self) -> Result<Vec<Audit>, Stop> {
        let mut all = audits();
        let Some(name) = &self.name else { return Ok(all) };
        let known: Vec<String> = all.iter().map(|a| a.name.clone()).collect();
        all.retain(|a| &a.name == name);
        if all.is_empty() {
            let message = format!("no audit is called {name}; there are {}", known.join(", "));
            return Err(Stop::new(USAGE, message));
        }
        Ok(all)
    }

    /// Lists the repositories that can be asked.
    fn repositories(&self, staged: &Staged) -> Result<Vec<String>, Stop> {
        let systems = staged.snapshot.iter().flat_map(|s| s.systems.keys());
        let mut known: Vec<String> = systems.cloned().collect();
        let Some(wanted) = &self.repository else { return Ok(known) };
        let names = known.join(", ");
        known.retain(|r| r == wanted);
        if known.is_empty() {
            let message = format!("no repository {wanted} is staged; there are {names}");
            return Err(Stop::new(USAGE, message));
        }
        Ok(known)
    }

    async fn rows(
        &self,
        common: &Common,
        staged: &Staged,
        repositories: &[String],
        chosen: &[Audit],
    ) -> Result<u64, Stop> {
        let mut all = 0;
        for audit in chosen {
            let Some(statement) = statement(audit, staged, repositories)? else { continue };
            if !common.quiet && self.shape.format == Format::Table {
                eprintln!("{}: {}", audit.name, audit.purpose);
            }
            let count = rows::write(&self.shape, staged.sql.query(&statement).await?).await?;
            super::sql::told(common, &self.shape, count);
            all += count;
        }
        Ok(all)
    }

    async fn page(
        &self,
        staged: &Staged,
        repositories: &[String],
        chosen: &[Audit],
        path: &std::path::Path,
    ) -> Result<u64, Stop> {
        let mut sections = Vec::new();
        for audit in chosen {
            let Some(statement) = statement(audit, staged, repositories)? else { continue };
            let stream = staged.sql.query(&statement).await?;
            let columns = stream.schema().fields().iter().map(|f| f.name().clone()).collect();
            let batches: Vec<_> = stream.try_collect().await.map_err(|e| Stop::bug(e.to_string()))?;
            let mut rows = Vec::new();
            for batch in &batches {
                rows.extend(rows::cells(batch).map_err(|e| Stop::bug(e.to_string()))?);
            }
            sections.push(Section {
                name: audit.name.clone(),
                purpose: audit.purpose.clone(),
                columns,
                rows,
            });
        }
        let snapshot = staged.snapshot.as_ref();
        let heading = snapshot.map_or(String::new(), |s| {
            format!("snapshot {} of {}", s.id, s.created_at.format("%Y-%m-%d %H:%M UTC"))
        });
        std::fs::write(path, page(&heading, &sections))
            .map_err(|e| Stop::new(USAGE, format!("cannot write {}: {e}", path.display())))?;
        Ok(sections.iter().map(|s| s.rows.len() as u64).sum())
    }
}

fn statement(audit: &Audit, staged: &Staged, repositories: &[String]) -> Result<Option<String>, Stop> {
    match &staged.snapshot {
        Some(snapshot) => Ok(audit.statement(&Statements::new(), snapshot, repositories)?),
        None => Ok(None),
    }
}
