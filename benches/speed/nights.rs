//! Peak memory of whole nights: the program and the sandbox as processes of their own.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::measure::{line, scale, target, watched};

/// Test cases of the made-up companies; each has about ten results.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

/// How long a sandbox may take to fill itself.
const START_MAX: Duration = Duration::from_secs(600);

/// Seeds companies of growing size and makes two nights in each.
pub(crate) fn run() {
    let program = env!("CARGO_BIN_EXE_testferry");
    let chosen: Option<Vec<usize>> = std::env::var("TESTFERRY_BENCH_SIZES")
        .ok()
        .map(|text| text.split(',').filter_map(|n| n.parse().ok()).collect());
    let sizes = chosen.unwrap_or_else(|| SIZES.map(|size| ((size as f64 * scale()) as usize).max(20)).into());
    for size in sizes {
        let folder = tempfile::tempdir().expect("a folder");
        let Some((mut sandbox, env)) = sandbox(program, size, folder.path()) else {
            println!("nights: the sandbox of {size} test cases did not start");
            continue;
        };
        println!("nights: {size} test cases and about ten results of each");
        let pipeline = pipeline(folder.path());
        let staging = folder.path().join("staging");
        for (name, command) in
            [("plan of the first night", "plan"), ("first night", "sync"), ("second night", "sync")]
        {
            let child = Command::new(program)
                .args([command, &pipeline, "--staging", &staging.to_string_lossy(), "--quiet"])
                .envs(env.iter().cloned())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn();
            let (_, usage) = watched(child.expect("testferry"));
            line(name, size * 10, usage);
            target("MiB at its peak", usage.peak_mib, 512.0, true);
        }
        let _ = sandbox.kill();
        let _ = sandbox.wait();
    }
}

/// Starts a sandbox and waits until it serves.
fn sandbox(program: &str, size: usize, folder: &Path) -> Option<(Child, Vec<(String, String)>)> {
    let file = folder.join("env");
    let mut child = Command::new(program)
        .args(["sandbox", "--quiet", "--systems", "azure-devops,jira-xray", "--size", &size.to_string()])
        .args(["--seed", "1", "--limits", "off", "--env-file", &file.to_string_lossy()])
        .spawn()
        .ok()?;
    let begun = Instant::now();
    while begun.elapsed() < START_MAX {
        if let Ok(text) = fs::read_to_string(&file)
            && text.contains("XRAY_CLIENT_SECRET")
        {
            let variable = |line: &str| {
                let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
                Some((name.to_owned(), value.trim_matches(['\'', '"']).to_owned()))
            };
            return Some((child, text.lines().filter_map(variable).collect()));
        }
        if child.try_wait().ok()?.is_some() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let _ = child.kill();
    None
}

/// The shipped pipeline without the vendor's budget, which would make a night of a million results last days.
fn pipeline(folder: &Path) -> String {
    let text = include_str!("../../pipelines/ado-xray.yaml");
    let kept: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("rate:")).collect();
    let path = folder.join("ado-xray.yaml");
    fs::write(&path, kept.join("\n")).expect("a pipeline file");
    path.to_string_lossy().into_owned()
}
