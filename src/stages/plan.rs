//! The plan: what a run would write and what it leaves, as values and as tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use crate::model::{Hop, PairId, Side, Step, WriteValue, steps_from_json, steps_to_json};

/// Everything that a diff found, in the order of the integrations.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// What is to be written.
    pub changes: Vec<Planned>,
    /// Fields that both sides changed.
    pub conflicts: Vec<Conflict>,
    /// Rows and fields that wait for a person.
    pub held: Vec<Held>,
    /// References that wait for an artifact to exist.
    pub waiting: Vec<Waiting>,
    /// Values that cannot cross.
    pub losses: Vec<Loss>,
    /// Fields that differ although nobody changed them since they agreed.
    pub differences: Vec<Difference>,
    /// What the systems refused when it was written.
    pub rejected: Vec<Held>,
    /// Artifacts whose counterpart is gone.
    pub gone: Vec<Gone>,
}

/// All that is written to one artifact.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Number within the plan.
    pub id: u64,
    /// The integration.
    pub integration: String,
    /// The pair.
    pub pair: PairId,
    /// The side that is written.
    pub side: Side,
    /// The project that is written.
    pub project: String,
    /// The artifact's key; `None` where it is to be created.
    pub key: Option<String>,
    /// The revision that was read.
    pub revision: Option<String>,
    /// A name for people: the title on the side that has one.
    pub title: String,
    /// The configuration in which a result that is to be made was won.
    pub configuration: Option<String>,
    /// Fields to write.
    pub fields: Vec<PlannedField>,
    /// Relationships to change, or to name at creation.
    pub references: Vec<PlannedReference>,
    /// Whether the artifact is to be removed, because its counterpart is gone.
    pub remove: bool,
}

/// One field to write.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedField {
    /// The model field, or `Steps`; constants have none.
    pub field: Option<String>,
    /// The field's name on the side that is written.
    pub native_field: String,
    /// What that side holds now.
    pub old: Option<String>,
    /// What is written.
    pub value: WriteValue,
    /// The source side's own value, which becomes its base.
    pub source: Option<String>,
    /// Why: `created`, `changed`, `conflict`, `enforced`, `constant`, `reconciled`,
    /// `reopened`, `marked`.
    pub reason: &'static str,
    /// Whether the written value says less than the source.
    pub degraded: bool,
}

/// What [`PlannedField::reason`] can say.
const REASONS: [&str; 8] =
    ["created", "changed", "conflict", "enforced", "constant", "reconciled", "reopened", "marked"];

/// Ends of one relationship to add and remove.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedReference {
    /// The model field.
    pub field: String,
    /// The relationship's name on the side that is written.
    pub relationship: String,
    /// Whether it must be named at creation.
    pub required: bool,
    /// Pairs to add.
    pub add: Vec<PairId>,
    /// Pairs to remove.
    pub remove: Vec<PairId>,
}

/// A field that both sides changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// The integration.
    pub integration: String,
    /// The pair.
    pub pair: PairId,
    /// The model field.
    pub field: String,
    /// The left side's model value.
    pub left: Option<String>,
    /// The right side's model value.
    pub right: Option<String>,
    /// The model value that the left side held at the last agreement.
    pub base_left: Option<String>,
    /// The model value that the right side held at the last agreement.
    pub base_right: Option<String>,
    /// Whose value stays; empty if a person decides.
    pub winner: Option<Side>,
}

/// A row, or a field of it, that is not written until a person acts.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// The integration.
    pub integration: String,
    /// The pair.
    pub pair: PairId,
    /// The side that would have been written.
    pub side: Side,
    /// The model field; empty for the whole row.
    pub field: Option<String>,
    /// A short stable word: `ambiguous`, `unmapped value`, `no parent`, …
    pub reason: &'static str,
    /// What was found and what to do.
    pub detail: String,
}

/// A reference that waits for its other end.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// The integration.
    pub integration: String,
    /// The pair.
    pub pair: PairId,
    /// The side that would be written.
    pub side: Side,
    /// The model field.
    pub field: String,
    /// The pair, or the native key if it has none.
    pub target: String,
}

/// A value that cannot cross.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    /// The integration.
    pub integration: String,
    /// The pair; empty where it follows from the mapping for a whole collection.
    pub pair: Option<PairId>,
    /// The side that lacks it.
    pub side: Side,
    /// The model field.
    pub field: String,
    /// A short stable word: `one-way`, `too long`, `rich text`, `outside`, …
    pub kind: &'static str,
    /// What is lost.
    pub detail: String,
}

/// A field that differs although nobody changed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The integration.
    pub integration: String,
    /// The pair.
    pub pair: PairId,
    /// The model field.
    pub field: String,
    /// The left side's model value.
    pub left: Option<String>,
    /// The right side's model value.
    pub right: Option<String>,
}

/// An artifact whose counterpart is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Gone {
    /// The integration.
    pub integration: String,
    /// The pair.
    pub pair: PairId,
    /// The side on which the counterpart was.
    pub side: Side,
    /// The key of the artifact that is left.
    pub key: String,
    /// What becomes of that: `reported`, `to be marked`, `marked`, `to be removed`, `removed`.
    pub action: &'static str,
}

/// Columns of `plan.changes` that are numbers; all others are text.
const NUMBERS: [&str; 1] = ["change"];

fn schema(columns: &[&str]) -> SchemaRef {
    let field = |name: &&str| {
        let data_type = if NUMBERS.contains(name) { DataType::Int64 } else { DataType::Utf8 };
        Field::new(*name, data_type, true)
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// Builds a batch of text columns from rows of cells; number columns are parsed.
fn batch(columns: &[&str], rows: Vec<Vec<Option<String>>>) -> RecordBatch {
    let schema = schema(columns);
    let arrays: Vec<ArrayRef> = columns
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let cells = rows.iter().map(|row| row[at].as_deref());
            if NUMBERS.contains(name) {
                Arc::new(cells.map(|c| c.and_then(|t| t.parse::<i64>().ok())).collect::<Int64Array>())
                    as ArrayRef
            } else {
                Arc::new(cells.collect::<StringArray>()) as ArrayRef
            }
        })
        .collect();
    RecordBatch::try_new(schema, arrays).expect("every row has a cell per column")
}

const CHANGES: [&str; 19] = [
    "change",
    "integration",
    "pair",
    "side",
    "op",
    "project",
    "key",
    "revision",
    "title",
    "configuration",
    "field",
    "native_field",
    "old",
    "new",
    "kind",
    "source",
    "target",
    "reason",
    "degraded",
];

impl Plan {
    /// Adds what a further round planned; what stands in the way is that of the last one.
    pub fn take_round(&mut self, round: &Plan) {
        let base = self.changes.last().map_or(0, |c| c.id);
        self.changes.extend(round.changes.iter().cloned().map(|c| Planned { id: base + c.id, ..c }));
        self.conflicts.extend(round.conflicts.iter().cloned());
        self.held = round.held.clone();
        self.waiting = round.waiting.clone();
        self.losses = round.losses.clone();
        self.differences = round.differences.clone();
        self.gone = round.gone.clone();
    }

    /// Tells whether nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Returns the plan's tables by name, each with its rows (possibly none).
    pub fn tables(&self) -> Vec<(&'static str, RecordBatch)> {
        vec![
            ("changes", batch(&CHANGES, self.changes.iter().flat_map(rows_of).collect())),
            ("conflicts", self.conflicts_table()),
            ("held", held_table(&self.held)),
            ("waiting", self.waiting_table()),
            ("losses", self.losses_table()),
            ("differences", self.differences_table()),
            ("rejected", held_table(&self.rejected)),
            ("gone", self.gone_table()),
        ]
    }

    fn conflicts_table(&self) -> RecordBatch {
        let columns = ["integration", "pair", "field", "left", "right", "base_left", "base_right", "winner"];
        let row = |c: &Conflict| {
            vec![
                some(&c.integration),
                some(c.pair.as_str()),
                some(&c.field),
                c.left.clone(),
                c.right.clone(),
                c.base_left.clone(),
                c.base_right.clone(),
                c.winner.map(|s| s.to_string()),
            ]
        };
        batch(&columns, self.conflicts.iter().map(row).collect())
    }

    fn waiting_table(&self) -> RecordBatch {
        let columns = ["integration", "pair", "side", "field", "target"];
        let row = |w: &Waiting| {
            let side = some(w.side.as_str());
            vec![some(&w.integration), some(w.pair.as_str()), side, some(&w.field), some(&w.target)]
        };
        batch(&columns, self.waiting.iter().map(row).collect())
    }

    fn losses_table(&self) -> RecordBatch {
        let columns = ["integration", "pair", "side", "field", "kind", "detail"];
        let row = |l: &Loss| {
            let pair = l.pair.as_ref().map(|p| p.as_str().to_owned());
            vec![
                some(&l.integration),
                pair,
                some(l.side.as_str()),
                some(&l.field),
                some(l.kind),
                some(&l.detail),
            ]
        };
        batch(&columns, self.losses.iter().map(row).collect())
    }

    fn differences_table(&self) -> RecordBatch {
        let columns = ["integration", "pair", "field", "left", "right"];
        let row = |d: &Difference| {
            vec![some(&d.integration), some(d.pair.as_str()), some(&d.field), d.left.clone(), d.right.clone()]
        };
        batch(&columns, self.differences.iter().map(row).collect())
    }

    fn gone_table(&self) -> RecordBatch {
        let columns = ["integration", "pair", "side", "key", "action"];
        let row = |g: &Gone| {
            let side = some(g.side.as_str());
            vec![some(&g.integration), some(g.pair.as_str()), side, some(&g.key), some(g.action)]
        };
        batch(&columns, self.gone.iter().map(row).collect())
    }

    /// Reads the changes of a plan back from its table.
    ///
    /// # Errors
    ///
    /// Names the first row that is not as [`Plan::tables`] writes it.
    pub fn changes_from(batches: &[RecordBatch]) -> Result<Vec<Planned>, String> {
        let mut changes: BTreeMap<u64, Planned> = BTreeMap::new();
        for batch in batches {
            for row in 0..batch.num_rows() {
                read_row(batch, row, &mut changes)
                    .ok_or_else(|| format!("row {row} of changes is damaged"))?;
            }
        }
        Ok(changes.into_values().collect())
    }
}

fn held_table(rows: &[Held]) -> RecordBatch {
    let columns = ["integration", "pair", "side", "field", "reason", "detail"];
    let row = |h: &Held| {
        vec![
            some(&h.integration),
            some(h.pair.as_str()),
            some(h.side.as_str()),
            h.field.clone(),
            some(h.reason),
            some(&h.detail),
        ]
    };
    batch(&columns, rows.iter().map(row).collect())
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// One row per field and per end of a relationship; a change without either has one row.
fn rows_of(change: &Planned) -> Vec<Vec<Option<String>>> {
    let head = || {
        vec![
            some(&change.id.to_string()),
            some(&change.integration),
            some(change.pair.as_str()),
            some(change.side.as_str()),
            some(match (&change.key, change.remove) {
                (_, true) => "remove",
                (None, false) => "create",
                (Some(_), false) => "update",
            }),
            some(&change.project),
            change.key.clone(),
            change.revision.clone(),
            some(&change.title),
            change.configuration.clone(),
        ]
    };
    let mut rows = Vec::new();
    for field in &change.fields {
        let (kind, new) = encode(&field.value);
        let mut row = head();
        row.extend([
            field.field.clone(),
            some(&field.native_field),
            field.old.clone(),
            new,
            some(kind),
            field.source.clone(),
            None,
            some(field.reason),
            field.degraded.then(|| "true".to_owned()),
        ]);
        rows.push(row);
    }
    for reference in &change.references {
        let ends =
            reference.add.iter().map(|p| ("add", p)).chain(reference.remove.iter().map(|p| ("remove", p)));
        for (kind, pair) in ends {
            let mut row = head();
            row.extend([
                some(&reference.field),
                some(&reference.relationship),
                None,
                None,
                some(kind),
                None,
                some(pair.as_str()),
                some(if reference.required { "required" } else { "reference" }),
                None,
            ]);
            rows.push(row);
        }
    }
    if rows.is_empty() {
        let mut row = head();
        row.extend(std::iter::repeat_n(None, CHANGES.len() - row.len()));
        rows.push(row);
    }
    rows
}

/// Turns a value into its kind and text.
pub(super) fn encode(value: &WriteValue) -> (&'static str, Option<String>) {
    match value {
        WriteValue::Empty => ("empty", None),
        WriteValue::Text(text) => ("text", Some(text.clone())),
        WriteValue::Rich(text) => ("rich", Some(text.clone())),
        WriteValue::Steps(steps) => ("steps", Some(steps_to_json(steps))),
        WriteValue::Transitions(hops) => {
            let list: Vec<serde_json::Value> = hops
                .iter()
                .map(|hop| {
                    let fields: serde_json::Map<_, _> =
                        hop.fields.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
                    serde_json::json!({"name": hop.name, "to": hop.to, "fields": fields})
                })
                .collect();
            ("transitions", Some(serde_json::Value::Array(list).to_string()))
        }
    }
}

fn decode(kind: &str, text: Option<&str>) -> Option<WriteValue> {
    Some(match kind {
        "empty" => WriteValue::Empty,
        "text" => WriteValue::Text(text?.to_owned()),
        "rich" => WriteValue::Rich(text?.to_owned()),
        "steps" => WriteValue::Steps(steps_from_json(text?)?.into_iter().collect::<Vec<Step>>()),
        "transitions" => {
            let list: Vec<serde_json::Value> = serde_json::from_str(text?).ok()?;
            let hop = |value: &serde_json::Value| {
                let member = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
                let fields = value.get("fields")?.as_object()?;
                Some(Hop {
                    name: member("name")?,
                    to: member("to")?,
                    fields: fields
                        .iter()
                        .map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()))
                        .collect(),
                })
            };
            WriteValue::Transitions(list.iter().map(hop).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

fn read_row(batch: &RecordBatch, row: usize, changes: &mut BTreeMap<u64, Planned>) -> Option<()> {
    let text = |name: &str| {
        let column = batch.column_by_name(name)?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    let id = batch.column_by_name("change")?.as_primitive_opt::<Int64Type>()?.value(row) as u64;
    let side = if text("side")? == "left" { Side::Left } else { Side::Right };
    let change = changes.entry(id).or_insert(Planned {
        id,
        integration: text("integration")?,
        pair: PairId::new(text("pair")?),
        side,
        project: text("project")?,
        key: text("key"),
        revision: text("revision"),
        title: text("title").unwrap_or_default(),
        configuration: text("configuration"),
        fields: Vec::new(),
        references: Vec::new(),
        remove: text("op")? == "remove",
    });
    let Some(kind) = text("kind") else { return Some(()) };
    if kind != "add" && kind != "remove" {
        let reason = text("reason")?;
        change.fields.push(PlannedField {
            field: text("field"),
            native_field: text("native_field")?,
            old: text("old"),
            value: decode(&kind, text("new").as_deref())?,
            source: text("source"),
            reason: REASONS.into_iter().find(|r| *r == reason)?,
            degraded: text("degraded").is_some(),
        });
        return Some(());
    }
    let (field, relationship, target) = (text("field")?, text("native_field")?, PairId::new(text("target")?));
    let required = text("reason")? == "required";
    let known = change.references.iter().position(|r| r.field == field && r.relationship == relationship);
    let at = known.unwrap_or_else(|| {
        change.references.push(PlannedReference {
            field,
            relationship,
            required,
            add: vec![],
            remove: vec![],
        });
        change.references.len() - 1
    });
    let reference = &mut change.references[at];
    if kind == "add" {
        reference.add.push(target)
    } else {
        reference.remove.push(target)
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(value: WriteValue) -> PlannedField {
        PlannedField {
            field: Some("Status".into()),
            native_field: "State".into(),
            old: None,
            value,
            source: Some("x".into()),
            reason: "changed",
            degraded: true,
        }
    }

    #[test]
    fn a_plan_survives_its_table() {
        let hop = Hop {
            name: "Close Issue".into(),
            to: "Closed".into(),
            fields: vec![("resolution".into(), "Done".into())],
        };
        let step = Step { id: None, action: "a".into(), data: "d".into(), expected: "e".into() };
        let changes = vec![
            Planned {
                id: 1,
                integration: "test-cases".into(),
                pair: "test-cases/L1".into(),
                side: Side::Right,
                project: "CALC".into(),
                key: None,
                revision: None,
                title: "t".into(),
                configuration: Some("Edge".into()),
                fields: vec![
                    field(WriteValue::Empty),
                    field(WriteValue::Text("a".into())),
                    field(WriteValue::Rich("<p>a</p>".into())),
                    field(WriteValue::Steps(vec![step])),
                    field(WriteValue::Transitions(vec![hop])),
                ],
                references: vec![PlannedReference {
                    field: "Children".into(),
                    relationship: "tests".into(),
                    required: false,
                    add: vec!["a".into(), "b".into()],
                    remove: vec!["c".into()],
                }],
                remove: false,
            },
            Planned {
                id: 2,
                integration: "test-plans".into(),
                pair: "test-plans/R1".into(),
                side: Side::Left,
                project: "F".into(),
                key: Some("7".into()),
                revision: Some("3".into()),
                title: String::new(),
                configuration: None,
                fields: vec![],
                references: vec![],
                remove: true,
            },
        ];
        let plan = Plan { changes: changes.clone(), ..Plan::default() };
        let tables = plan.tables();
        assert_eq!(Plan::changes_from(&[tables[0].1.clone()]).unwrap(), changes);
    }
}
