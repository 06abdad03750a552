//! A repeated create is recognised by the cross-reference fields in its body (cases
//! and bugs), by its name among its siblings (plans and suites), by the token in its
//! comment (runs) and by the slot it fills (results): see `find.rs`.
//!
//! Which write goes where; what one does is told in the `load_` file of its kind.

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};

use super::AzureDevOps;
use super::catalog::category;
use super::client::WriteError;
use crate::model::{Change, Key, Op, Outcome};

/// Runs futures a few at a time and returns what they gave, in order.
pub(super) async fn bounded<T>(futures: Vec<BoxFuture<'_, T>>, at_a_time: usize) -> Vec<T> {
    stream::iter(futures).buffered(at_a_time).collect().await
}

/// Makes the outcome of a write that failed as a whole.
pub(super) fn failed(error: &WriteError) -> Outcome {
    let message = error.words().to_owned();
    if error.is_refusal() { Outcome::Rejected { message } } else { Outcome::Unknown { message } }
}

/// Makes the outcome of a change whose preparation failed: nothing was sent.
pub(super) fn unprepared(error: &crate::connectors::Error) -> Outcome {
    Outcome::Unknown { message: format!("nothing was sent: {error}") }
}

pub(super) fn rejected(message: impl Into<String>) -> Outcome {
    Outcome::Rejected { message: message.into() }
}

/// Reads the id within a key.
pub(super) fn id_of(key: &Key) -> Result<i64, Outcome> {
    key.as_str()
        .parse()
        .map_err(|_| rejected(format!("key {key} is no id of this system; expected a number")))
}

impl AzureDevOps {
    /// Carries changes out: all of one artifact and one kind of operation.
    pub(super) async fn load(&self, changes: &[Change]) -> Vec<Outcome> {
        let Some(first) = changes.first() else { return Vec::new() };
        match (first.artifact.as_str(), &first.op) {
            (_, Op::Relate { .. }) => self.relate(changes).await,
            (_, Op::Remove { .. }) => self.remove(changes).await,
            ("Test Case", Op::Create { .. }) => self.create_items(changes, category::CASE).await,
            ("Bug", Op::Create { .. }) => self.create_items(changes, category::BUG).await,
            ("Test Case" | "Bug", Op::Update { .. }) => self.update_items(changes).await,
            ("Test Plan", Op::Create { .. }) => self.create_plans(changes).await,
            ("Test Suite", Op::Create { .. }) => self.create_suites(changes).await,
            ("Test Plan" | "Test Suite", Op::Update { .. }) => self.update_planned(changes).await,
            ("Test Run", Op::Create { .. } | Op::OpenSlots { .. }) => self.open_runs(changes).await,
            ("Test Run", Op::Update { .. }) => self.update_runs(changes).await,
            ("Test Result", Op::Create { .. } | Op::Update { .. }) => self.write_results(changes).await,
            (artifact, _) => {
                let message = format!("{artifact} cannot be written like that in this system");
                changes.iter().map(|_| rejected(message.clone())).collect()
            }
        }
    }
}
