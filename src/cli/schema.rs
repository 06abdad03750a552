//! `schema`: the JSON Schema of pipeline files, for editors.

use clap::Args;

use super::exit::{IN_STEP, Stop};
use crate::pipeline;

/// Editors that know JSON Schema complete and check pipeline files with it.
#[derive(Args, Debug)]
pub(super) struct SchemaArgs {}

impl SchemaArgs {
    pub(super) fn run(&self) -> Result<u8, Stop> {
        let text = serde_json::to_string_pretty(&pipeline::schema())
            .map_err(|e| Stop::bug(format!("the schema does not serialise: {e}")))?;
        println!("{text}");
        Ok(IN_STEP)
    }
}
