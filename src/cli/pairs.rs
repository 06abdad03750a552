//! `pairs`: who is whose counterpart.

use clap::{Args, Subcommand};

use super::Common;
use super::exit::{IN_STEP, Stop, USAGE};
use super::root::{self, Night, Which};
use super::rows::{self, Shape};
use crate::sql::literal;
use crate::stages::pairing::State;

/// A pair is never forgotten: what became of its sides is its state.
#[derive(Args, Debug)]
pub(super) struct PairsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the pairs as of the last commit
    List(ListArgs),
}

/// Lists each pair with its state and the key on each side.
#[derive(Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    which: Which,
    /// Only pairs in this state, such as `live` or `left_gone`
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Only pairs of this integration
    #[arg(long, value_name = "INTEGRATION")]
    integration: Option<String>,
    #[command(flatten)]
    shape: Shape,
}

impl PairsArgs {
    pub(super) async fn run(&self, common: &Common) -> Result<u8, Stop> {
        match &self.command {
            Command::List(args) => args.run(common).await,
        }
    }
}

impl ListArgs {
    async fn run(&self, common: &Common) -> Result<u8, Stop> {
        self.shape.check()?;
        let mut conditions = vec!["NOT p.alias".to_owned()];
        if let Some(state) = &self.state {
            let known = State::names();
            if !known.contains(&state.as_str()) {
                let message = format!("no pair is ever {state}; states are {}", known.join(", "));
                return Err(Stop::new(USAGE, message));
            }
            conditions.push(format!("p.state = {}", literal(state)));
        }
        if let Some(integration) = &self.integration {
            conditions.push(format!("p.integration = {}", literal(integration)));
        }
        let staged = root::staged(common, &self.which, &Night::default()).await?;
        let statement = format!(
            "SELECT p.pair, p.integration, p.state, p.left_key, p.right_key FROM sync.pairs AS p \
             WHERE {} ORDER BY p.integration, p.pair",
            conditions.join(" AND ")
        );
        rows::write(&self.shape, staged.sql.query(&statement).await?).await?;
        Ok(IN_STEP)
    }
}
