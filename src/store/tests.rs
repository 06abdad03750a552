//! The store as a whole: what survives, what is noticed, who wins.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::*;
use crate::model::{RunId, SnapshotId};

fn folder() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().to_str().unwrap()).unwrap();
    (folder, store)
}

fn now() -> DateTime<Utc> {
    "2026-11-22T02:00:00Z".parse().unwrap()
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("raw_hash", DataType::Utf8, false),
        Field::new("n", DataType::Int64, true),
    ]))
}

/// Rows by number and value; the keys have no order of their own.
fn rows(of: impl IntoIterator<Item = (u64, i64)>) -> RecordBatch {
    let (keys, values): (Vec<u64>, Vec<i64>) = of.into_iter().unzip();
    let text = |f: &dyn Fn(usize) -> String| {
        Arc::new(StringArray::from_iter_values((0..keys.len()).map(f))) as ArrayRef
    };
    let columns = vec![
        text(&|i| format!("{:08}", keys[i])),
        text(&|i| format!("{:032x}", values[i])),
        Arc::new(Int64Array::from(values.clone())) as ArrayRef,
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

async fn values(pipeline: &PipelineStore, parts: &[PartRef]) -> BTreeMap<String, i64> {
    let mut found = BTreeMap::new();
    for part in parts {
        for batch in pipeline.read_part(part).await.unwrap() {
            let keys = batch.column(0).as_string::<i32>();
            let numbers = batch.column(2).as_primitive::<arrow::datatypes::Int64Type>();
            found.extend((0..batch.num_rows()).map(|i| (keys.value(i).to_owned(), numbers.value(i))));
        }
    }
    found
}

fn snapshot(id: &str, parts: Vec<PartRef>) -> Snapshot {
    let table = TableState::new(&schema(), parts, now());
    Snapshot {
        id: SnapshotId::from(id),
        run: RunId::from("run-1"),
        created_at: now(),
        repositories: BTreeMap::from([("ado".to_owned(), BTreeMap::from([("cases".to_owned(), table)]))]),
        systems: BTreeMap::new(),
        integrations: BTreeMap::new(),
    }
}

fn head(snapshot: &str) -> Head {
    Head {
        n: 0,
        run: RunId::from("run-1"),
        created_at: now(),
        snapshot: SnapshotId::from(snapshot),
        sync: BTreeMap::new(),
        mapping: BTreeMap::new(),
        fencing: BTreeMap::new(),
    }
}

fn holder(name: &str) -> Holder {
    Holder { name: name.to_owned(), host: "host".to_owned(), process: "1".to_owned() }
}

const HOUR: Duration = Duration::from_secs(3600);
const NOBODY: &(dyn Fn(&Holder) -> bool + Sync) = &|_| false;

#[tokio::test]
async fn unchanged_rows_are_the_same_files_however_they_came() {
    let (_folder, store) = folder();
    let pipeline = store.pipeline("p").unwrap();
    let all = rows((0..50_000).map(|n| (n, 1)));
    let one = pipeline.write_rows("ado", "cases", schema(), std::slice::from_ref(&all)).await.unwrap();
    let mut writer = pipeline.part_writer("ado", "cases", schema());
    for start in (0..50_000).step_by(1_111) {
        writer.push(all.slice(start, 1_111.min(50_000 - start))).await.unwrap();
    }
    assert_eq!(writer.finish().await.unwrap(), one);
    assert_eq!(one.iter().map(|p| p.rows).sum::<u64>(), 50_000);
}

#[tokio::test]
async fn inserted_row_changes_one_part() {
    let (_folder, store) = folder();
    let pipeline = store.pipeline("p").unwrap();
    let before = rows((0..200_000).map(|n| (n * 2, 1)));
    let after = rows((0..200_000).map(|n| (n * 2, 1)).chain([(100_001, 7)]));
    let before = pipeline.write_rows("ado", "cases", schema(), &[before]).await.unwrap();
    let after = pipeline.write_rows("ado", "cases", schema(), &[after]).await.unwrap();
    assert!(before.len() > 4, "{}", before.len());
    let known: HashSet<&str> = before.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(after.iter().filter(|p| !known.contains(p.path.as_str())).count(), 1);
    assert!(after.windows(2).all(|w| w[0].key_max < w[1].key_min));
}

#[tokio::test]
async fn refresh_rewrites_only_what_changed() {
    let (_folder, store) = folder();
    let pipeline = store.pipeline("p").unwrap();
    let old = pipeline
        .write_rows("ado", "cases", schema(), &[rows((0..100_000).map(|n| (n * 2, 1)))])
        .await
        .unwrap();
    let refresh = Refresh {
        // Changed, new in the middle, new at the end (twice: the last counts).
        rows: vec![rows([(900_000, 4), (10, 2), (11, 3)]), rows([(900_000, 5)])],
        gone: HashSet::from(["00000012".to_owned(), "00000013".to_owned()]),
    };
    let new = pipeline.refresh_rows("ado", "cases", schema(), &old, &refresh).await.unwrap();
    let mut want = values(&pipeline, &old).await;
    want.extend([("00000010".to_owned(), 2), ("00000011".to_owned(), 3), ("00900000".to_owned(), 5)]);
    want.remove("00000012");
    assert_eq!(values(&pipeline, &new).await, want);
    let known: HashSet<&str> = old.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(new.iter().filter(|p| !known.contains(p.path.as_str())).count(), 2);

    let nothing = pipeline.refresh_rows("ado", "cases", schema(), &new, &Refresh::default()).await.unwrap();
    assert_eq!(nothing, new);
}

/// Pages come in any order, more than is held in memory, and some rows come twice.
#[tokio::test]
async fn rows_in_any_order_are_in_order_and_the_last_of_a_key_counts() {
    let (_folder, store) = folder();
    let pipeline = store.pipeline("p").unwrap();
    let count = 400_000_u64;
    let mut writer = pipeline.table_writer("ado", "cases", schema(), None);
    for page in 0..40 {
        // 17 is coprime to the count: every number once, far from order.
        let numbers = (page * 10_000..(page + 1) * 10_000).map(|n| ((n * 17) % count, 1));
        writer.push(rows(numbers)).await.unwrap();
    }
    writer.push(rows([(5, 2), (399_999, 2), (5, 3)])).await.unwrap();
    let parts = writer.finish(&HashSet::new()).await.unwrap();
    let found = values(&pipeline, &parts).await;
    assert_eq!(found.len(), count as usize);
    assert_eq!((found["00000005"], found["00000006"], found["00399999"]), (3, 1, 2));
    assert!(parts.windows(2).all(|w| w[0].key_max < w[1].key_min));
    let left = std::fs::read_dir(store.root_path().unwrap().join("p/tables/ado/cases")).unwrap();
    let spilled = left.filter(|f| f.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    assert_eq!(spilled.count(), 0);
}

#[tokio::test]
async fn refresh_fills_and_empties_a_table() {
    let (_folder, store) = folder();
    let pipeline = store.pipeline("p").unwrap();
    let empty = pipeline.write_rows("ado", "cases", schema(), &[]).await.unwrap();
    assert_eq!((empty.len(), empty[0].rows), (1, 0));
    let add = Refresh { rows: vec![rows([(1, 1), (2, 2)])], ..Refresh::default() };
    let full = pipeline.refresh_rows("ado", "cases", schema(), &empty, &add).await.unwrap();
    assert_eq!(values(&pipeline, &full).await.len(), 2);
    let take = Refresh { gone: values(&pipeline, &full).await.into_keys().collect(), ..Refresh::default() };
    assert_eq!(pipeline.refresh_rows("ado", "cases", schema(), &full, &take).await.unwrap(), empty);
    let state = TableState::new(&schema(), empty, now());
    assert_eq!(pipeline.read_schema(&state).await.unwrap(), schema());
}

#[tokio::test]
async fn rows_out_of_order_are_refused() {
    let (_folder, store) = folder();
    let pipeline = store.pipeline("p").unwrap();
    let mut writer = pipeline.part_writer("ado", "cases", schema());
    writer.push(rows([(1, 1), (2, 1)])).await.unwrap();
    let error = writer.push(rows([(2, 1)])).await.unwrap_err();
    assert!(matches!(error, Error::Unsorted { ref key, .. } if key == "00000002"), "{error}");
}

#[tokio::test]
async fn snapshot_is_read_back_as_it_was_committed() {
    let (_folder, store) = folder();
    let pipeline = store.pipeline("ado-xray").unwrap();
    let parts = pipeline.write_rows("ado", "cases", schema(), &[rows([(1, 1)])]).await.unwrap();
    let committed = snapshot("s1", parts);
    pipeline.commit_snapshot(&committed).await.unwrap();
    assert_eq!(pipeline.read_snapshot(&committed.id).await.unwrap(), committed);
    pipeline.verify_snapshot(&committed).await.unwrap();
    assert_eq!(pipeline.list_snapshots().await.unwrap(), std::slice::from_ref(&committed.id));
    assert_eq!(store.pipelines().await.unwrap(), ["ado-xray"]);
    let sql = Location::SnapshotSql { pipeline: "ado-xray".into(), id: committed.id };
    let sql = std::fs::read_to_string(store.local_path(&sql).unwrap()).unwrap();
    assert!(sql.contains(r#"CREATE OR REPLACE VIEW "ado"."cases" AS SELECT * FROM read_parquet(["#), "{sql}");
    let missing = pipeline.read_snapshot(&SnapshotId::from("s9")).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no snapshot s9; known are: s1");
}

#[tokio::test]
async fn damaged_part_is_noticed() {
    let (_folder, store) = folder();
    let pipeline = store.pipeline("p").unwrap();
    let parts = pipeline.write_rows("ado", "cases", schema(), &[rows([(1, 1)])]).await.unwrap();
    let committed = snapshot("s1", parts.clone());
    pipeline.commit_snapshot(&committed).await.unwrap();
    let file = store.local_path(&parts[0].path.parse().unwrap()).unwrap();
    let mut content = std::fs::read(&file).unwrap();
    content[10] ^= 1;
    std::fs::write(&file, &content).unwrap();
    let error = pipeline.verify_snapshot(&committed).await.unwrap_err();
    assert!(error.to_string().contains("does not match its checksum"), "{error}");
    std::fs::write(&file, &content[..20]).unwrap();
    let error = pipeline.check_snapshot(&committed).await.unwrap_err();
    assert!(error.to_string().contains("20 bytes instead of"), "{error}");
    std::fs::remove_file(&file).unwrap();
    let error = pipeline.check_snapshot(&committed).await.unwrap_err();
    assert!(error.to_string().contains("it is missing"), "{error}");
}

#[tokio::test]
async fn what_a_killed_run_left_is_not_seen() {
    let (folder, store) = folder();
    let pipeline = store.pipeline("p").unwrap();
    let parts = pipeline.write_rows("ado", "cases", schema(), &[rows([(1, 1)])]).await.unwrap();
    pipeline.commit_snapshot(&snapshot("s1", parts)).await.unwrap();
    let one = pipeline.advance_head(0, head("s1"), &[]).await.unwrap();
    // Killed while it wrote a head, a manifest and a part; and once between the
    // sync state and the head.
    for place in ["p/heads", "p/snapshots", "p/tables/ado/cases"] {
        std::fs::write(folder.path().join(place).join(".tmp-1-0-00"), b"half").unwrap();
    }
    let run = RunId::from("run-2");
    let location = pipeline.sync_location(one.n, &run, "pairs");
    pipeline.write_sheet_rows(&location, schema(), vec![rows([(1, 1)])]).await.unwrap();
    assert_eq!(pipeline.read_head().await.unwrap(), Some(one));
    assert_eq!(pipeline.list_snapshots().await.unwrap().len(), 1);
}

#[tokio::test]
async fn of_two_writers_on_one_head_one_wins() {
    let (_folder, store) = folder();
    let pipeline = store.pipeline("p").unwrap();
    let writers = (0..8).map(|n| {
        let pipeline = pipeline.clone();
        tokio::spawn(async move { pipeline.advance_head(0, head(&format!("s{n}")), &[]).await })
    });
    let results = futures::future::join_all(writers).await;
    let won: Vec<&Head> = results.iter().filter_map(|r| r.as_ref().unwrap().as_ref().ok()).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(pipeline.read_head().await.unwrap().as_ref(), Some(won[0]));
    let late = pipeline.advance_head(0, head("late"), &[]).await.unwrap_err();
    assert!(matches!(late, Error::HeadMoved { expected: 0, found: 1 }), "{late}");
}

#[tokio::test]
async fn head_names_its_sync_state() {
    let (_folder, store) = folder();
    let pipeline = store.pipeline("p").unwrap();
    let run = RunId::from("run-1");
    let location = pipeline.sync_location(0, &run, "pairs");
    let pairs = pipeline.write_sheet_rows(&location, schema(), vec![rows([(2, 1), (1, 1)])]).await.unwrap();
    let mut next = head("s1");
    next.sync.insert("pairs".to_owned(), pairs);
    let committed = pipeline.advance_head(0, next.clone(), &[]).await.unwrap();
    let (_, read) = pipeline.read_sync(&committed, "pairs").await.unwrap().unwrap();
    assert_eq!(read, [rows([(2, 1), (1, 1)])]);
    assert!(pipeline.read_sync(&committed, "base_left").await.unwrap().is_none());
    std::fs::remove_file(store.local_path(&location).unwrap()).unwrap();
    let error = pipeline.advance_head(1, next, &[]).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn sheet_whose_rows_cannot_be_computed_does_not_appear() {
    let (folder, store) = folder();
    let pipeline = store.pipeline("p").unwrap();
    let location = pipeline.plan_location(&RunId::from("r"), "changes");
    let batches = futures::stream::iter([Ok(rows([(1, 1)])), Err("division by zero")]);
    let error = pipeline.write_sheet(&location, schema(), batches).await.unwrap_err();
    assert!(error.to_string().contains("p/runs/r/plan/changes.parquet"), "{error}");
    assert!(pipeline.find_sheet(&location).await.unwrap().is_none());
    let left: Vec<_> = std::fs::read_dir(folder.path().join("p/runs/r/plan")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn live_lease_is_refused_with_its_holder() {
    let (_folder, store) = folder();
    store.acquire("ado-P", &holder("first"), now(), HOUR, NOBODY).await.unwrap();
    let error = store.acquire("ado-P", &holder("second"), now(), HOUR, NOBODY).await.unwrap_err();
    assert!(error.to_string().contains("in use by first (process 1 on host)"), "{error}");
    store.acquire("ado-Q", &holder("second"), now(), HOUR, NOBODY).await.unwrap();
}

#[tokio::test]
async fn stale_lease_is_taken_over_and_its_holder_cannot_commit() {
    let (_folder, store) = folder();
    let pipeline = store.pipeline("p").unwrap();
    let mut first = store.acquire("ado-P", &holder("first"), now(), HOUR, NOBODY).await.unwrap();
    store.renew(&mut first, now() + HOUR / 2, HOUR).await.unwrap();
    let early = store.acquire("ado-P", &holder("second"), now() + HOUR, HOUR, NOBODY).await;
    assert!(matches!(early, Err(Error::Held { .. })));
    let second = store.acquire("ado-P", &holder("second"), now() + 2 * HOUR, HOUR, NOBODY).await.unwrap();
    assert!(second.fencing() > first.fencing());
    let error = pipeline.advance_head(0, head("s1"), &[&first]).await.unwrap_err();
    assert!(matches!(error, Error::LeaseLost { .. }), "{error}");
    assert!(matches!(store.renew(&mut first, now(), HOUR).await, Err(Error::LeaseLost { .. })));
    let committed = pipeline.advance_head(0, head("s1"), &[&second]).await.unwrap();
    assert_eq!(committed.fencing["ado-P"], second.fencing());
}

#[tokio::test]
async fn lease_of_a_dead_process_is_taken_at_once() {
    let (_folder, store) = folder();
    store.acquire("ado-P", &holder("killed"), now(), HOUR, NOBODY).await.unwrap();
    let dead = |h: &Holder| h.name == "killed";
    store.acquire("ado-P", &holder("next"), now(), HOUR, &dead).await.unwrap();
}

#[tokio::test]
async fn released_lease_is_free() {
    let (_folder, store) = folder();
    let first = store.acquire("ado-P", &holder("first"), now(), HOUR, NOBODY).await.unwrap();
    store.release(first).await.unwrap();
    let second = store.acquire("ado-P", &holder("second"), now(), HOUR, NOBODY).await.unwrap();
    assert_eq!(second.fencing(), 2);
}

#[tokio::test]
async fn of_many_who_want_a_lease_one_gets_it() {
    let (_folder, store) = folder();
    let wanting = (0..8).map(|n| {
        let store = store.clone();
        tokio::spawn(
            async move { store.acquire("x", &holder(&n.to_string()), now(), HOUR, NOBODY).await.is_ok() },
        )
    });
    let got = futures::future::join_all(wanting).await;
    assert_eq!(got.into_iter().filter(|g| *g.as_ref().unwrap()).count(), 1);
}

#[tokio::test]
async fn attachment_is_kept_once_and_checked() {
    let (_folder, store) = folder();
    let pipeline = store.pipeline("p").unwrap();
    let name = pipeline.put_blob(Bytes::from_static(b"log")).await.unwrap();
    assert_eq!(pipeline.put_blob(Bytes::from_static(b"log")).await.unwrap(), name);
    assert_eq!(pipeline.read_blob(&name).await.unwrap(), "log");
    let file = store.local_path(&Location::Blob { pipeline: "p".into(), hash: name.clone() }).unwrap();
    std::fs::write(file, b"gol").unwrap();
    assert!(pipeline.read_blob(&name).await.is_err());
}

#[tokio::test]
async fn journal_of_earlier_runs_is_listed_in_order() {
    let (_folder, store) = folder();
    let pipeline = store.pipeline("p").unwrap();
    for run in ["20261120T020000Z-aa", "20261121T020000Z-bb", "20261122T020000Z-cc"] {
        pipeline.put_journal(&run.into(), 2, JournalKind::Intents, b"2".to_vec()).await.unwrap();
        pipeline.put_journal(&run.into(), 1, JournalKind::Intents, b"1".to_vec()).await.unwrap();
        pipeline.put_journal(&run.into(), 1, JournalKind::Outcomes, b"!".to_vec()).await.unwrap();
    }
    let next = Head { run: "20261121T020000Z-bb".into(), ..head("s1") };
    pipeline.advance_head(0, next, &[]).await.unwrap();
    let runs = pipeline.unsettled_runs().await.unwrap();
    assert_eq!(runs, [RunId::from("20261121T020000Z-bb"), RunId::from("20261122T020000Z-cc")]);
    let listed = pipeline.list_journal(&runs[0]).await.unwrap();
    assert_eq!(listed, [(1, JournalKind::Intents), (1, JournalKind::Outcomes), (2, JournalKind::Intents)]);
}

#[tokio::test]
async fn pruning_keeps_what_a_kept_snapshot_lists() {
    let (folder, store) = folder();
    let pipeline = store.pipeline("p").unwrap();
    let many = rows((0..100_000).map(|n| (n, 1)));
    let old = pipeline.write_rows("ado", "cases", schema(), &[many]).await.unwrap();
    pipeline.commit_snapshot(&snapshot("s1", old.clone())).await.unwrap();
    let change = Refresh { rows: vec![rows([(5, 9)])], ..Refresh::default() };
    let new = pipeline.refresh_rows("ado", "cases", schema(), &old, &change).await.unwrap();
    pipeline.commit_snapshot(&snapshot("s2", new.clone())).await.unwrap();
    pipeline.advance_head(0, head("s2"), &[]).await.unwrap();
    let soon = pipeline.prune(&[], Utc::now()).await.unwrap();
    assert_eq!((soon.snapshots, soon.files), (1, 0));
    let leftover = folder.path().join("p/heads/.tmp-1-0-00");
    std::fs::write(&leftover, b"half").unwrap();
    let later = pipeline.prune(&[], Utc::now() + 25 * HOUR).await.unwrap();
    assert_eq!((later.snapshots, later.files), (0, 1));
    assert!(!leftover.exists());
    pipeline.verify_snapshot(&snapshot("s2", new)).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_what_is_staged() {
    use std::os::unix::fs::PermissionsExt;
    fn modes(folder: &Path, found: &mut Vec<(bool, u32)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            found.push((path.is_dir(), path.metadata().unwrap().permissions().mode() & 0o777));
            if path.is_dir() {
                modes(&path, found);
            }
        }
    }
    let (folder, store) = folder();
    let pipeline = store.pipeline("p").unwrap();
    let parts = pipeline.write_rows("ado", "cases", schema(), &[rows([(1, 1)])]).await.unwrap();
    pipeline.commit_snapshot(&snapshot("s1", parts)).await.unwrap();
    let location = pipeline.sync_location(0, &RunId::from("r"), "pairs");
    pipeline.write_sheet_rows(&location, schema(), vec![rows([(1, 1)])]).await.unwrap();
    let mut found = Vec::new();
    modes(folder.path(), &mut found);
    assert!(found.len() > 6);
    assert!(found.iter().all(|(dir, mode)| *mode == if *dir { 0o700 } else { 0o600 }), "{found:?}");
}

#[tokio::test]
async fn places_that_this_build_cannot_use_are_refused_without_their_secrets() {
    let error = Store::open("s3://user:hidden@bucket/x?key=hidden").unwrap_err().to_string();
    assert!(error.contains("no cloud storage") && !error.contains("hidden"), "{error}");
    assert!(Store::open("memory://").unwrap().pipeline("locks").is_err());
}

#[tokio::test]
async fn store_in_memory_behaves_like_a_folder() {
    let store = Store::open("memory:///").unwrap();
    let pipeline = store.pipeline("p").unwrap();
    let parts = pipeline.write_rows("ado", "cases", schema(), &[rows([(1, 1)])]).await.unwrap();
    pipeline.commit_snapshot(&snapshot("s1", parts)).await.unwrap();
    pipeline.advance_head(0, head("s1"), &[]).await.unwrap();
    assert!(pipeline.advance_head(0, head("s2"), &[]).await.is_err());
    assert_eq!(pipeline.read_head().await.unwrap().unwrap().snapshot.as_str(), "s1");
}
