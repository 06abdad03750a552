//! `plan`: everything but the load.

use clap::Args;

use super::exit::Stop;
use super::summary::{short, summary};
use super::sync::{execute, stop_on_signal};
use super::{Common, Target};
use crate::model::WriteValue;
use crate::stages::Options;
use crate::stages::plan::{Plan, Planned};
use crate::stages::write::native_text;

/// Reads both sides and shows, field by field, what a sync would write; conflicts, and what
/// is held or lost. `apply` with the run's name loads exactly this plan.
#[derive(Args, Debug)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    target: Target,
    /// Read everything anew instead of what changed
    #[arg(long)]
    full: bool,
    /// Plan differences that stand since the mapping changed
    #[arg(long)]
    reconcile: bool,
    /// Only this integration
    #[arg(long, value_name = "INTEGRATION")]
    only: Option<String>,
    /// Only the artifact with this id or key, and its counterpart
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Print the report as JSON on stdout
    #[arg(long)]
    json: bool,
}

impl PlanArgs {
    pub(super) async fn run(&self, common: &Common) -> Result<u8, Stop> {
        let options = Options {
            load: false,
            full: self.full,
            reconcile: self.reconcile,
            only: self.only.clone(),
            key: self.key.clone(),
            stop: stop_on_signal(common),
            ..Options::default()
        };
        let done = execute(common, &self.target, options).await?;
        if self.json {
            println!("{}", serde_json::to_string(&done.report).unwrap_or_default());
        } else {
            print!("{}", text(&done.plan));
            if !common.quiet {
                println!("{}", summary(&done).trim_end());
            }
        }
        if let Some(why) = done.brake.filter(|_| !common.quiet) {
            eprintln!("a sync would stop: {why}");
        }
        Ok(done.report.exit)
    }
}

/// The plan as text.
fn text(plan: &Plan) -> String {
    if plan.changes.is_empty() {
        return "nothing to write\n".to_owned();
    }
    plan.changes.iter().map(change).collect()
}

fn change(planned: &Planned) -> String {
    let what = match &planned.key {
        Some(key) if planned.remove => format!("remove {key}"),
        Some(key) => format!("update {key}"),
        None => "create".to_owned(),
    };
    let mut text = format!("{} {} {what} {:?}\n", planned.pair, planned.side, planned.title);
    for field in &planned.fields {
        let old = short(field.old.as_deref());
        let new = match &field.value {
            WriteValue::Transitions(hops) => {
                hops.iter().map(|h| h.name.as_str()).collect::<Vec<_>>().join(", then ")
            }
            value => short(native_text(value).as_deref()),
        };
        text += &format!("    {}: {old} -> {new} ({})\n", field.native_field, field.reason);
    }
    for reference in &planned.references {
        let ends = |sign: &str, list: &[crate::model::PairId]| {
            list.iter().map(|p| format!(" {sign}{p}")).collect::<String>()
        };
        text += &format!(
            "    {}:{}{}\n",
            reference.relationship,
            ends("+", &reference.add),
            ends("-", &reference.remove)
        );
    }
    text
}
