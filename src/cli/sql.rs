//! `sql`: queries over everything that is staged.

use std::io::{IsTerminal, Read};

use clap::Args;

use super::exit::{IN_STEP, Stop, USAGE};
use super::root::{self, Night};
use super::rows::{self, Shape};
use super::{Common, prompt};
use crate::sql::{Error, Sql, split};

/// Opens the staging store without asking any system. Catalogs are pipelines, schemas
/// are repositories: native tables and neutral views (`plan`, `container`, `case`, `step`,
/// `membership`, `run`, `result`, `slot`, …), `sync.pairs|base|refs`,
/// `plan.changes|conflicts|held|waiting|losses|differences` and `journal.requests`.
/// Without QUERY it prompts, or reads statements from stdin if that is no terminal.
#[derive(Args, Debug)]
pub(super) struct SqlArgs {
    /// The statement; only statements that read are allowed
    #[arg(value_name = "QUERY")]
    query: Option<String>,
    #[command(flatten)]
    night: Night,
    #[command(flatten)]
    shape: Shape,
}

impl SqlArgs {
    pub(super) async fn run(&self, common: &Common) -> Result<u8, Stop> {
        self.shape.check()?;
        let text = match &self.query {
            Some(query) => query.clone(),
            None if std::io::stdin().is_terminal() => {
                let sql = root::whole(common, &self.night).await?;
                return prompt::run(common, &sql, &self.shape).await;
            }
            None => {
                let mut text = String::new();
                std::io::stdin()
                    .read_to_string(&mut text)
                    .map_err(|e| Stop::new(USAGE, format!("cannot read statements from stdin: {e}")))?;
                text
            }
        };
        let parts = split(&text);
        let statements: Vec<String> = parts.whole.into_iter().chain(parts.rest).collect();
        if statements.len() > 1 && self.shape.output.is_some() {
            return Err(Stop::new(USAGE, "one file holds the rows of one statement").hint("drop --output"));
        }
        let sql = root::whole(common, &self.night).await?;
        for statement in statements {
            let count = query(&sql, &statement, &self.shape).await?;
            told(common, &self.shape, count);
        }
        Ok(IN_STEP)
    }
}

/// Runs one statement and writes its rows.
pub(super) async fn query(sql: &Sql, statement: &str, shape: &Shape) -> Result<u64, Stop> {
    let rows = sql.query(statement).await.map_err(refused)?;
    rows::write(shape, rows).await
}

/// Says how many rows there were, on stderr.
pub(super) fn told(common: &Common, shape: &Shape, count: u64) {
    if !common.quiet && shape.format == rows::Format::Table {
        eprintln!("({count} {})", if count == 1 { "row" } else { "rows" });
    }
}

fn refused(error: Error) -> Stop {
    match &error {
        Error::OnlyReading { .. } => Stop::of(USAGE, &error)
            .hint("the staging store is written by sync alone; write rows to a file with --output"),
        _ => Stop::of(USAGE, &error).hint("list tables with: SHOW TABLES"),
    }
}
