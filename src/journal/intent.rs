//! Intents: a batch of changes as it stood when it was sent.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::record::{ChangeRecord, check_format};
use super::{Error, FORMAT};
use crate::model::{Change, RepositoryId, RunId, Side};

/// One change that is about to be asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// The integration by which the pair is matched.
    pub integration: String,
    /// The side that is written.
    pub side: Side,
    /// The repository of that side.
    pub repository: RepositoryId,
    /// The change; it holds all by which [`crate::model::Op::Create`] is found again.
    pub change: Change,
}

/// Changes that go out together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The run.
    pub run: RunId,
    /// Number of the batch within the run.
    pub number: u64,
    /// When it was written down, which is before it was sent.
    pub sent_at: DateTime<Utc>,
    /// The changes, in the order of sending.
    pub intents: Vec<Intent>,
}

#[derive(Serialize, Deserialize)]
struct BatchRecord {
    format: u64,
    run: String,
    batch: u64,
    sent_at: DateTime<Utc>,
    intents: Vec<IntentRecord>,
}

#[derive(Serialize, Deserialize)]
struct IntentRecord {
    integration: String,
    side: SideRecord,
    repository: String,
    #[serde(flatten)]
    change: ChangeRecord,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SideRecord {
    Left,
    Right,
}

impl Batch {
    /// Returns the record to be made durable before the batch is sent.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] should JSON not be able to hold a value.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let record = BatchRecord {
            format: FORMAT,
            run: self.run.to_string(),
            batch: self.number,
            sent_at: self.sent_at,
            intents: self.intents.iter().map(IntentRecord::from_intent).collect(),
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
        let record: BatchRecord = serde_json::from_slice(text)?;
        Ok(Self {
            run: record.run.into(),
            number: record.batch,
            sent_at: record.sent_at,
            intents: record.intents.into_iter().map(IntentRecord::into_intent).collect(),
        })
    }
}

impl IntentRecord {
    fn from_intent(intent: &Intent) -> Self {
        Self {
            integration: intent.integration.clone(),
            side: match intent.side {
                Side::Left => SideRecord::Left,
                Side::Right => SideRecord::Right,
            },
            repository: intent.repository.to_string(),
            change: ChangeRecord::from_change(&intent.change),
        }
    }

    fn into_intent(self) -> Intent {
        Intent {
            integration: self.integration,
            side: match self.side {
                SideRecord::Left => Side::Left,
                SideRecord::Right => Side::Right,
            },
            repository: self.repository.into(),
            change: self.change.into_change(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{FieldWrite, Hop, Key, Op, PairId, ReferenceWrite, Slot, Step, WriteValue};

    fn key() -> impl Strategy<Value = Key> {
        ".{0,8}".prop_map(Key::from)
    }

    fn value() -> impl Strategy<Value = WriteValue> {
        let step = (proptest::option::of(".{0,4}"), ".{0,8}", ".{0,8}", ".{0,8}")
            .prop_map(|(id, action, data, expected)| Step { id, action, data, expected });
        let hop = (".{0,8}", ".{0,8}", prop::collection::vec((".{0,4}", ".{0,4}"), 0..3))
            .prop_map(|(name, to, fields)| Hop { name, to, fields });
        prop_oneof![
            Just(WriteValue::Empty),
            ".{0,20}".prop_map(WriteValue::Text),
            ".{0,20}".prop_map(WriteValue::Rich),
            prop::collection::vec(step, 0..3).prop_map(WriteValue::Steps),
            prop::collection::vec(hop, 0..3).prop_map(WriteValue::Transitions),
        ]
    }

    fn op() -> impl Strategy<Value = Op> {
        let fields = || {
            let field = (".{0,8}", value()).prop_map(|(field, value)| FieldWrite { field, value });
            prop::collection::vec(field, 0..4)
        };
        let keys = || prop::collection::vec(key(), 0..3);
        let slots = || {
            let name = || proptest::option::of(".{0,8}");
            let slot = (key(), proptest::option::of(key()), name(), name()).prop_map(
                |(case, plan, configuration, fallback)| Slot { case, plan, configuration, fallback },
            );
            prop::collection::vec(slot, 0..3)
        };
        let references =
            (".{0,8}", keys()).prop_map(|(relationship, targets)| ReferenceWrite { relationship, targets });
        let references = prop::collection::vec(references, 0..3);
        prop_oneof![
            (fields(), references, slots()).prop_map(|(fields, references, slots)| Op::Create {
                fields,
                references,
                slots
            }),
            (key(), fields()).prop_map(|(key, fields)| Op::Update { key, fields }),
            (key(), ".{0,8}", keys(), keys()).prop_map(|(key, relationship, add, remove)| Op::Relate {
                key,
                relationship,
                add,
                remove
            }),
            (key(), slots()).prop_map(|(key, slots)| Op::OpenSlots { key, slots }),
            (key(), any::<bool>()).prop_map(|(key, destroy)| Op::Remove { key, destroy }),
        ]
    }

    fn intent() -> impl Strategy<Value = Intent> {
        let side = prop_oneof![Just(Side::Left), Just(Side::Right)];
        let change = (any::<u64>(), ".{0,8}", ".{0,8}", ".{0,8}", proptest::option::of(".{0,4}"), op())
            .prop_map(|(id, pair, artifact, project, revision, op)| Change {
                id,
                pair: PairId::from(pair),
                artifact,
                project,
                revision,
                op,
            });
        (".{0,8}", side, ".{0,8}", change).prop_map(|(integration, side, repository, change)| Intent {
            integration,
            side,
            repository: repository.into(),
            change,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn batch_is_read_back_as_it_was_written(intents in prop::collection::vec(intent(), 0..4), number: u64) {
            let sent_at = "2026-11-22T02:00:00.123456Z".parse().unwrap();
            let batch = Batch { run: RunId::from("r"), number, sent_at, intents };
            prop_assert_eq!(Batch::decode(&batch.encode().unwrap()).unwrap(), batch);
        }
    }

    pub(in crate::journal) fn creates(number: u64, ids: &[u64]) -> Batch {
        let create = |&id: &u64| Intent {
            integration: "test-cases".to_owned(),
            side: Side::Right,
            repository: "xray".into(),
            change: Change {
                id,
                pair: PairId::new(format!("test-cases/L{id}")),
                artifact: "Test".to_owned(),
                project: "P".to_owned(),
                revision: None,
                op: Op::Create { fields: Vec::new(), references: Vec::new(), slots: Vec::new() },
            },
        };
        Batch {
            run: RunId::from("r"),
            number,
            sent_at: DateTime::UNIX_EPOCH,
            intents: ids.iter().map(create).collect(),
        }
    }

    #[test]
    fn record_says_in_words_what_was_going_to_happen() {
        let text = String::from_utf8(creates(3, &[7]).encode().unwrap()).unwrap();
        assert_eq!(
            text,
            r#"{"format":1,"run":"r","batch":3,"sent_at":"1970-01-01T00:00:00Z","intents":[{"integration":"test-cases","side":"right","repository":"xray","change":7,"pair":"test-cases/L7","artifact":"Test","project":"P","revision":null,"op":{"create":{"fields":[],"references":[],"slots":[]}}}]}"#
        );
    }

    #[test]
    fn record_of_a_later_version_is_refused() {
        let error = Batch::decode(br#"{"format":2,"surprise":true}"#).unwrap_err();
        assert!(matches!(error, Error::NewerFormat { found: 2 }), "{error}");
        assert!(matches!(Batch::decode(br#"{"format":1,"run"#), Err(Error::Damaged(_))));
    }
}
