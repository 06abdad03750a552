//! Outcomes: what came of a batch, and which intents are still open.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::intent::Batch;
use super::record::{check_format, keys, texts};
use super::{Error, FORMAT};
use crate::model::{Outcome, RunId};

/// What came of the changes of a batch, as answered or as found out later.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcomes {
    /// The run that sent the batch.
    pub run: RunId,
    /// Number of the batch within that run.
    pub number: u64,
    /// When it was known.
    pub known_at: DateTime<Utc>,
    /// By change id; not necessarily all of the batch.
    pub outcomes: Vec<(u64, Outcome)>,
}

#[derive(Serialize, Deserialize)]
struct OutcomesRecord {
    format: u64,
    run: String,
    batch: u64,
    known_at: DateTime<Utc>,
    outcomes: Vec<OutcomeRecord>,
}

#[derive(Serialize, Deserialize)]
struct OutcomeRecord {
    change: u64,
    outcome: Kind,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Done { key: String, revision: Option<String>, refused: Vec<(String, String)> },
    Rejected { message: String },
    ChangedMeanwhile,
    Ambiguous { candidates: Vec<String> },
    Unknown { message: String },
}

impl Outcomes {
    /// Returns the record to be made durable once the batch was answered.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] should JSON not be able to hold a value.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let outcomes = self.outcomes.iter();
        let record = OutcomesRecord {
            format: FORMAT,
            run: self.run.to_string(),
            batch: self.number,
            known_at: self.known_at,
            outcomes: outcomes
                .map(|(change, o)| OutcomeRecord { change: *change, outcome: Kind::from_outcome(o) })
                .collect(),
        };
        Ok(serde_json::to_vec(&record)?)
    }

    /// Reads a record back.
    ///
    /// # Errors
    ///
    /// [`Error`] if it is damaged or from a later version.
    pub fn decode(text: &[u8]) -> Result<Self, Error> {
        check_format(text)?;
        let record: OutcomesRecord = serde_json::from_slice(text)?;
        Ok(Self {
            run: record.run.into(),
            number: record.batch,
            known_at: record.known_at,
            outcomes: record.outcomes.into_iter().map(|o| (o.change, o.outcome.into_outcome())).collect(),
        })
    }
}

impl Kind {
    fn from_outcome(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Done { key, revision, refused } => {
                Self::Done { key: key.to_string(), revision: revision.clone(), refused: refused.clone() }
            }
            Outcome::Rejected { message } => Self::Rejected { message: message.clone() },
            Outcome::ChangedMeanwhile => Self::ChangedMeanwhile,
            Outcome::Ambiguous { candidates } => Self::Ambiguous { candidates: texts(candidates) },
            Outcome::Unknown { message } => Self::Unknown { message: message.clone() },
        }
    }

    fn into_outcome(self) -> Outcome {
        match self {
            Self::Done { key, revision, refused } => Outcome::Done { key: key.into(), revision, refused },
            Self::Rejected { message } => Outcome::Rejected { message },
            Self::ChangedMeanwhile => Outcome::ChangedMeanwhile,
            Self::Ambiguous { candidates } => Outcome::Ambiguous { candidates: keys(candidates) },
            Self::Unknown { message } => Outcome::Unknown { message },
        }
    }
}

/// Returns the intents of which nobody knows what came of them: those without an
/// outcome, and those whose outcome is [`Outcome::Unknown`] and was not settled
/// since. Batches without such intents are left out.
pub fn open(batches: Vec<Batch>, outcomes: &[Outcomes]) -> Vec<Batch> {
    let known: HashSet<(&RunId, u64, u64)> = outcomes
        .iter()
        .flat_map(|o| o.outcomes.iter().map(move |(change, outcome)| (o, *change, outcome)))
        .filter(|(_, _, outcome)| !matches!(outcome, Outcome::Unknown { .. }))
        .map(|(o, change, _)| (&o.run, o.number, change))
        .collect();
    batches
        .into_iter()
        .filter_map(|mut batch| {
            let (run, number) = (batch.run.clone(), batch.number);
            batch.intents.retain(|intent| !known.contains(&(&run, number, intent.change.id)));
            (!batch.intents.is_empty()).then_some(batch)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::intent::tests::creates;
    use super::*;

    fn outcomes(number: u64, outcomes: Vec<(u64, Outcome)>) -> Outcomes {
        Outcomes { run: RunId::from("r"), number, known_at: DateTime::UNIX_EPOCH, outcomes }
    }

    fn done() -> Outcome {
        Outcome::Done { key: "K".into(), revision: Some("1".into()), refused: vec![("a".into(), "b".into())] }
    }

    fn unknown() -> Outcome {
        Outcome::Unknown { message: "connection lost".into() }
    }

    #[test]
    fn outcomes_are_read_back_as_they_were_written() {
        let all = outcomes(
            4,
            vec![
                (1, done()),
                (2, Outcome::Rejected { message: "no".into() }),
                (3, Outcome::ChangedMeanwhile),
                (4, Outcome::Ambiguous { candidates: vec!["a".into(), "b".into()] }),
                (5, unknown()),
            ],
        );
        assert_eq!(Outcomes::decode(&all.encode().unwrap()).unwrap(), all);
    }

    #[test]
    fn batch_without_outcomes_is_open() {
        assert_eq!(open(vec![creates(1, &[1, 2])], &[]), [creates(1, &[1, 2])]);
    }

    #[test]
    fn only_what_is_unknown_stays_open() {
        let batches = vec![creates(1, &[1, 2]), creates(2, &[3])];
        let answered = [outcomes(1, vec![(1, done()), (2, unknown())]), outcomes(2, vec![(3, done())])];
        assert_eq!(open(batches, &answered), [creates(1, &[2])]);
    }

    #[test]
    fn what_was_settled_later_is_closed() {
        let answered = [outcomes(1, vec![(1, unknown())]), outcomes(1, vec![(1, done())])];
        assert_eq!(open(vec![creates(1, &[1])], &answered), []);
    }

    #[test]
    fn outcome_of_another_batch_settles_nothing() {
        assert_eq!(open(vec![creates(1, &[1])], &[outcomes(2, vec![(1, done())])]).len(), 1);
    }
}
