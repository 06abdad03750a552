//! Secrets stay where they are: neither the staging folder nor a message holds one.

use std::fs;
use std::path::{Path, PathBuf};

use testferry::stages::Options;

use super::bench::Bench;

const SECRETS: [&str; 3] = ["ADO_PAT", "JIRA_TOKEN", "XRAY_CLIENT_SECRET"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[tokio::test]
async fn no_file_and_no_message_holds_a_secret() {
    let (mut bench, done) = Bench::synced(20, 1).await;
    let secrets: Vec<String> = SECRETS.iter().map(|name| bench.env[*name].clone()).collect();
    assert!(secrets.iter().all(|s| s.len() > 8));
    let mut all = Vec::new();
    files(bench.folder.path(), &mut all);
    assert!(all.len() > 10, "{all:?}");
    for file in &all {
        let bytes = fs::read(file).expect("a file");
        for secret in &secrets {
            let held = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!held, "{} holds a secret", file.display());
        }
    }
    let mut told = vec![format!("{done:?}")];
    // Each system refuses a wrong secret, and the message says so without quoting it.
    let mut wrong = Vec::new();
    for name in SECRETS {
        let right = bench.env[name].clone();
        let other = format!("wrong-{right}");
        bench.env.insert(name.to_owned(), other.clone());
        let failure = bench.run(Options::default()).await.expect_err("a refusal");
        let mut source: Option<&dyn std::error::Error> = Some(&failure);
        while let Some(error) = source {
            told.push(format!("{error} {error:?}"));
            source = error.source();
        }
        bench.env.insert(name.to_owned(), right);
        wrong.push(other);
    }
    for text in &told {
        for secret in secrets.iter().chain(&wrong) {
            assert!(!text.contains(secret.as_str()), "a message holds a secret");
        }
    }
}
