//! What is staged, as tables to query: nothing here asks a system.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::Failure;
use super::commit::{BASE, REFS, text_schema};
use super::pairing::Pairs;
use super::plan::Plan;
use crate::journal::{Batch, Intent, Outcomes};
use crate::model::{Op, Outcome, RunId, SnapshotId};
use crate::sql::{self, Limits, Sql, Statements, TableFiles};
use crate::store::{JournalKind, PipelineStore, Snapshot};

/// Which night to look at; what is not named is the latest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The snapshot of the repositories.
    pub snapshot: Option<SnapshotId>,
    /// The run whose plan and journal are shown.
    pub run: Option<RunId>,
}

/// A pipeline's staging store, open for queries.
#[derive(Debug)]
pub struct Staged {
    /// The session; its catalogue has the pipeline's name.
    pub sql: Sql,
    /// The snapshot that it shows; `None` if nothing was read yet.
    pub snapshot: Option<Snapshot>,
    /// The run whose plan and journal it shows.
    pub run: Option<RunId>,
    /// What could not be shown, for people: views over tables that an older snapshot lacks.
    pub missing: Vec<String>,
}

/// Opens everything that is staged of a pipeline.
///
/// The native tables and neutral views of each repository stand in a schema of
/// its name; `sync` holds what was agreed, `plan` and `journal` what a run meant
/// to do and did.
///
/// # Errors
///
/// Fails if the store cannot be read, or holds no snapshot or run of the chosen name.
pub async fn open_staged(store: &PipelineStore, choice: &Choice) -> Result<Staged, Failure> {
    let sql = Sql::open(store.name(), Limits::default())?;
    let snapshot = match (&choice.snapshot, store.list_snapshots().await?.last()) {
        (Some(id), _) | (None, Some(id)) => Some(store.read_snapshot(id).await?),
        (None, None) => None,
    };
    let mut missing = Vec::new();
    if let Some(snapshot) = &snapshot {
        repositories(store, &sql, snapshot, &mut missing).await?;
    }
    agreement(store, &sql).await?;
    let run = match &choice.run {
        Some(run) => Some(known_run(store, run).await?),
        None => latest_plan(store).await?,
    };
    plan(store, &sql, run.as_ref()).await?;
    journal(store, &sql, run.as_ref()).await?;
    Ok(Staged { sql, snapshot, run, missing })
}

async fn repositories(
    store: &PipelineStore,
    sql: &Sql,
    snapshot: &Snapshot,
    missing: &mut Vec<String>,
) -> Result<(), Failure> {
    for (repository, name, state) in snapshot.tables() {
        let schema = store.read_schema(state).await?;
        let parts = state.parts.iter().filter(|p| p.rows > 0);
        let files = parts
            .map(|part| match store.store().root_path() {
                Some(root) => Ok(root.join(&part.path).to_string_lossy().into_owned()),
                None => Err(Failure::Defect("queries need a staging folder on this machine".into())),
            })
            .collect::<Result<Vec<_>, _>>()?;
        sql::register_files(sql, repository, &TableFiles { name: name.to_owned(), schema, files })?;
    }
    let statements = Statements::new();
    for repository in snapshot.repositories.keys() {
        let Some(system) = snapshot.systems.get(repository) else {
            missing.push(format!("the neutral views of {repository}: an earlier version staged it"));
            continue;
        };
        if let Err(error) = sql::register_neutral_views(sql, &statements, system, repository).await {
            missing.push(format!("some neutral views of {repository}: {error}"));
        }
    }
    Ok(())
}

async fn agreement(store: &PipelineStore, sql: &Sql) -> Result<(), Failure> {
    let head = store.read_head().await?;
    let tables = [("pairs", Pairs::schema()), ("base", text_schema(&BASE)), ("refs", text_schema(&REFS))];
    for (name, empty) in tables {
        let known = match &head {
            Some(head) => store.read_sync(head, name).await?,
            None => None,
        };
        let (schema, rows) = known.unwrap_or((empty, Vec::new()));
        sql::register_batches(sql, "sync", name, schema, rows)?;
    }
    Ok(())
}

async fn known_run(store: &PipelineStore, run: &RunId) -> Result<RunId, Failure> {
    let runs = store.list_runs().await?;
    if runs.contains(run) {
        return Ok(run.clone());
    }
    let known: Vec<&str> = runs.iter().rev().take(5).map(RunId::as_str).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(crate::store::Error::Unknown { what: "run", name: run.to_string(), known }.into())
}

async fn latest_plan(store: &PipelineStore) -> Result<Option<RunId>, Failure> {
    for run in store.list_runs().await?.into_iter().rev() {
        if store.find_sheet(&store.plan_location(&run, "changes")).await?.is_some() {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

async fn plan(store: &PipelineStore, sql: &Sql, run: Option<&RunId>) -> Result<(), Failure> {
    for (name, empty) in Plan::default().tables() {
        let known = match run {
            Some(run) => store.find_sheet(&store.plan_location(run, name)).await?,
            None => None,
        };
        let (schema, rows) = known.unwrap_or((empty.schema(), Vec::new()));
        sql::register_batches(sql, "plan", name, schema, rows)?;
    }
    Ok(())
}

/// Columns of `journal.requests`.
const REQUESTS: [&str; 13] = [
    "run",
    "sent_at",
    "integration",
    "side",
    "repository",
    "pair",
    "artifact",
    "project",
    "op",
    "key",
    "fields",
    "outcome",
    "detail",
];

/// Registers `journal.requests`: one row per change that the run sent.
async fn journal(store: &PipelineStore, sql: &Sql, run: Option<&RunId>) -> Result<(), Failure> {
    let mut numbers: Vec<i64> = Vec::new();
    let mut rows: Vec<Vec<Option<String>>> = Vec::new();
    if let Some(run) = run {
        let (batches, outcomes) = records(store, run).await?;
        for batch in batches {
            let known = outcomes.iter().filter(|o| o.number == batch.number).flat_map(|o| &o.outcomes);
            let known: std::collections::HashMap<u64, &Outcome> = known.map(|(id, o)| (*id, o)).collect();
            for intent in &batch.intents {
                numbers.push(batch.number as i64);
                rows.push(request(&batch, intent, known.get(&intent.change.id).copied()));
            }
        }
    }
    let mut fields = vec![Field::new("batch", DataType::Int64, false)];
    fields.extend(REQUESTS.map(|name| Field::new(name, DataType::Utf8, true)));
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(numbers))];
    for at in 0..REQUESTS.len() {
        columns.push(Arc::new(rows.iter().map(|row| row[at].as_deref()).collect::<StringArray>()));
    }
    let batch = RecordBatch::try_new(schema.clone(), columns)
        .map_err(|e| Failure::Defect(format!("the journal has no table: {e}")))?;
    Ok(sql::register_batches(sql, "journal", "requests", schema, vec![batch])?)
}

async fn records(store: &PipelineStore, run: &RunId) -> Result<(Vec<Batch>, Vec<Outcomes>), Failure> {
    let (mut batches, mut outcomes) = (Vec::new(), Vec::new());
    for (number, kind) in store.list_journal(run).await? {
        let record = store.read_journal(run, number, kind).await?;
        match kind {
            JournalKind::Intents => batches.push(Batch::decode(&record)?),
            JournalKind::Outcomes | JournalKind::Settled => outcomes.push(Outcomes::decode(&record)?),
        }
    }
    Ok((batches, outcomes))
}

fn request(batch: &Batch, intent: &Intent, outcome: Option<&Outcome>) -> Vec<Option<String>> {
    let change = &intent.change;
    let names = |list: Vec<&str>| (!list.is_empty()).then(|| list.join(", "));
    let (op, key, fields) = match &change.op {
        Op::Create { fields, .. } => {
            ("create", None, names(fields.iter().map(|f| f.field.as_str()).collect()))
        }
        Op::Update { key, fields } => {
            ("update", Some(key.to_string()), names(fields.iter().map(|f| f.field.as_str()).collect()))
        }
        Op::Relate { key, relationship, .. } => ("relate", Some(key.to_string()), Some(relationship.clone())),
        Op::Remove { key, .. } => ("remove", Some(key.to_string()), None),
        Op::OpenSlots { key, .. } => ("open slots", Some(key.to_string()), None),
    };
    let (outcome, made, detail) = match outcome {
        None => ("open", None, None),
        Some(Outcome::Done { key, .. }) => ("done", Some(key.to_string()), None),
        Some(Outcome::Rejected { message }) => ("rejected", None, Some(message.clone())),
        Some(Outcome::ChangedMeanwhile) => ("changed meanwhile", None, None),
        Some(Outcome::Ambiguous { candidates }) => {
            let list = names(candidates.iter().map(|k| k.as_str()).collect());
            ("ambiguous", None, list)
        }
        Some(Outcome::Unknown { message }) => ("unknown", None, Some(message.clone())),
    };
    vec![
        Some(batch.run.to_string()),
        Some(batch.sent_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)),
        Some(intent.integration.clone()),
        Some(intent.side.to_string()),
        Some(intent.repository.to_string()),
        Some(change.pair.to_string()),
        Some(change.artifact.clone()),
        Some(change.project.clone()),
        Some(op.to_owned()),
        key.or(made),
        fields,
        Some(outcome.to_owned()),
        detail,
    ]
}
