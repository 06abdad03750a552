//! Changes as JSON. The vocabulary does not serialise, so that a change to it cannot
//! change the journal of last night.

use serde::{Deserialize, Serialize};

use super::{Error, FORMAT};
use crate::model::{Change, FieldWrite, Hop, Key, Op, ReferenceWrite, Slot, Step, WriteValue};

#[derive(Serialize, Deserialize)]
pub(super) struct ChangeRecord {
    #[serde(rename = "change")]
    id: u64,
    pair: String,
    artifact: String,
    project: String,
    revision: Option<String>,
    op: OpRecord,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OpRecord {
    Create { fields: Vec<FieldRecord>, references: Vec<ReferenceRecord>, slots: Vec<SlotRecord> },
    Update { key: String, fields: Vec<FieldRecord> },
    Relate { key: String, relationship: String, add: Vec<String>, remove: Vec<String> },
    OpenSlots { key: String, slots: Vec<SlotRecord> },
    Remove { key: String, destroy: bool },
}

#[derive(Serialize, Deserialize)]
struct FieldRecord {
    field: String,
    value: ValueRecord,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ValueRecord {
    Empty,
    Text(String),
    Rich(String),
    Steps(Vec<StepRecord>),
    Transitions(Vec<HopRecord>),
}

#[derive(Serialize, Deserialize)]
struct StepRecord {
    id: Option<String>,
    action: String,
    data: String,
    expected: String,
}

#[derive(Serialize, Deserialize)]
struct HopRecord {
    name: String,
    to: String,
    fields: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct ReferenceRecord {
    relationship: String,
    targets: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct SlotRecord {
    case: String,
    plan: Option<String>,
    configuration: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fallback: Option<String>,
}

impl ChangeRecord {
    pub(super) fn from_change(change: &Change) -> Self {
        Self {
            id: change.id,
            pair: change.pair.to_string(),
            artifact: change.artifact.clone(),
            project: change.project.clone(),
            revision: change.revision.clone(),
            op: OpRecord::from_op(&change.op),
        }
    }

    pub(super) fn into_change(self) -> Change {
        Change {
            id: self.id,
            pair: self.pair.into(),
            artifact: self.artifact,
            project: self.project,
            revision: self.revision,
            op: self.op.into_op(),
        }
    }
}

impl OpRecord {
    fn from_op(op: &Op) -> Self {
        match op {
            Op::Create { fields, references, slots } => Self::Create {
                fields: fields.iter().map(FieldRecord::from_write).collect(),
                references: references
                    .iter()
                    .map(|r| ReferenceRecord {
                        relationship: r.relationship.clone(),
                        targets: texts(&r.targets),
                    })
                    .collect(),
                slots: slots.iter().map(SlotRecord::from_slot).collect(),
            },
            Op::Update { key, fields } => Self::Update {
                key: key.to_string(),
                fields: fields.iter().map(FieldRecord::from_write).collect(),
            },
            Op::Relate { key, relationship, add, remove } => Self::Relate {
                key: key.to_string(),
                relationship: relationship.clone(),
                add: texts(add),
                remove: texts(remove),
            },
            Op::Remove { key, destroy } => Self::Remove { key: key.to_string(), destroy: *destroy },
            Op::OpenSlots { key, slots } => Self::OpenSlots {
                key: key.to_string(),
                slots: slots.iter().map(SlotRecord::from_slot).collect(),
            },
        }
    }

    fn into_op(self) -> Op {
        let fields = |all: Vec<FieldRecord>| all.into_iter().map(FieldRecord::into_write).collect();
        let slots = |all: Vec<SlotRecord>| all.into_iter().map(SlotRecord::into_slot).collect();
        match self {
            Self::Create { fields: f, references, slots: s } => Op::Create {
                fields: fields(f),
                references: references
                    .into_iter()
                    .map(|r| ReferenceWrite { relationship: r.relationship, targets: keys(r.targets) })
                    .collect(),
                slots: slots(s),
            },
            Self::Update { key, fields: f } => Op::Update { key: key.into(), fields: fields(f) },
            Self::Relate { key, relationship, add, remove } => {
                Op::Relate { key: key.into(), relationship, add: keys(add), remove: keys(remove) }
            }
            Self::Remove { key, destroy } => Op::Remove { key: key.into(), destroy },
            Self::OpenSlots { key, slots: s } => Op::OpenSlots { key: key.into(), slots: slots(s) },
        }
    }
}

impl FieldRecord {
    fn from_write(write: &FieldWrite) -> Self {
        let value = match &write.value {
            WriteValue::Empty => ValueRecord::Empty,
            WriteValue::Text(text) => ValueRecord::Text(text.clone()),
            WriteValue::Rich(text) => ValueRecord::Rich(text.clone()),
            WriteValue::Steps(steps) => ValueRecord::Steps(steps.iter().map(StepRecord::from_step).collect()),
            WriteValue::Transitions(hops) => ValueRecord::Transitions(
                hops.iter()
                    .map(|h| HopRecord { name: h.name.clone(), to: h.to.clone(), fields: h.fields.clone() })
                    .collect(),
            ),
        };
        Self { field: write.field.clone(), value }
    }

    fn into_write(self) -> FieldWrite {
        let value = match self.value {
            ValueRecord::Empty => WriteValue::Empty,
            ValueRecord::Text(text) => WriteValue::Text(text),
            ValueRecord::Rich(text) => WriteValue::Rich(text),
            ValueRecord::Steps(steps) => {
                WriteValue::Steps(steps.into_iter().map(StepRecord::into_step).collect())
            }
            ValueRecord::Transitions(hops) => WriteValue::Transitions(
                hops.into_iter().map(|h| Hop { name: h.name, to: h.to, fields: h.fields }).collect(),
            ),
        };
        FieldWrite { field: self.field, value }
    }
}

impl StepRecord {
    fn from_step(step: &Step) -> Self {
        Self {
            id: step.id.clone(),
            action: step.action.clone(),
            data: step.data.clone(),
            expected: step.expected.clone(),
        }
    }

    fn into_step(self) -> Step {
        Step { id: self.id, action: self.action, data: self.data, expected: self.expected }
    }
}

impl SlotRecord {
    fn from_slot(slot: &Slot) -> Self {
        Self {
            case: slot.case.to_string(),
            plan: slot.plan.as_ref().map(Key::to_string),
            configuration: slot.configuration.clone(),
            fallback: slot.fallback.clone(),
        }
    }

    fn into_slot(self) -> Slot {
        Slot {
            case: self.case.into(),
            plan: self.plan.map(Key::from),
            configuration: self.configuration,
            fallback: self.fallback,
        }
    }
}

pub(super) fn texts(keys: &[Key]) -> Vec<String> {
    keys.iter().map(Key::to_string).collect()
}

pub(super) fn keys(texts: Vec<String>) -> Vec<Key> {
    texts.into_iter().map(Key::from).collect()
}

/// Refuses records of later versions before their shape is looked at.
pub(super) fn check_format(text: &[u8]) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Format {
        format: u64,
    }
    let Format { format: found } = serde_json::from_slice(text)?;
    if found > FORMAT { Err(Error::NewerFormat { found }) } else { Ok(()) }
}
