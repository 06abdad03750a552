//! What a process took: wall time, CPU time and peak memory, as Linux counts them.

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Clock ticks per second in `/proc`; fixed for user space on Linux.
const TICKS: f64 = 100.0;

/// How often a foreign process is looked at; its counters only grow.
const LOOK: Duration = Duration::from_millis(50);

/// What a process took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) wall_s: f64,
    pub(crate) cpu_s: f64,
    pub(crate) peak_mib: f64,
}

/// Returns the factor that the environment puts on all sizes.
pub(crate) fn scale() -> f64 {
    std::env::var("TESTFERRY_BENCH_SCALE").ok().and_then(|s| s.parse().ok()).unwrap_or(1.0)
}

/// Scales a number of rows.
pub(crate) fn scaled(rows: usize) -> usize {
    ((rows as f64 * scale()) as usize).max(200)
}

/// Runs this program with arguments; returns what it printed and what it took.
pub(crate) fn again(arguments: &[&str]) -> (String, Usage) {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::piped());
    watched(command.spawn().expect("a process"))
}

/// Waits for a process and looks at its counters until it ends.
pub(crate) fn watched(mut child: Child) -> (String, Usage) {
    let begun = Instant::now();
    let mut out = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(out) = &mut out {
            let _ = out.read_to_string(&mut text);
        }
        text
    });
    let mut usage = Usage::default();
    let status = loop {
        usage = look(child.id()).unwrap_or(usage);
        match child.try_wait().expect("a process of ours") {
            Some(status) => break status,
            None => std::thread::sleep(LOOK),
        }
    };
    usage.wall_s = begun.elapsed().as_secs_f64();
    let text = reader.join().unwrap_or_default();
    if !status.success() {
        println!("  the process ended with {status}");
    }
    // A process that reports itself knows its last moments too.
    if let Some(own) = text.lines().find_map(|line| line.strip_prefix("usage ")) {
        let numbers: Vec<f64> = own.split(' ').filter_map(|n| n.parse().ok()).collect();
        if let [wall_s, cpu_s, peak_mib] = numbers[..] {
            usage = Usage { wall_s, cpu_s, peak_mib };
        }
    }
    (text, usage)
}

/// Prints what this process took since `begun`, for [`watched`].
pub(crate) fn report(begun: Instant) {
    let mut own = look(std::process::id()).unwrap_or_default();
    own.wall_s = begun.elapsed().as_secs_f64();
    println!("usage {} {} {}", own.wall_s, own.cpu_s, own.peak_mib);
}

/// Reads a process's CPU time and peak memory; `None` where there is no `/proc`.
pub(crate) fn look(process: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let peak_kib: f64 = peak.trim().trim_end_matches(" kB").trim().parse().ok()?;
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(Usage { wall_s: 0.0, cpu_s: ticks / TICKS, peak_mib: peak_kib / 1024.0 })
}

/// Prints one line of results.
pub(crate) fn line(name: &str, rows: usize, usage: Usage) {
    println!(
        "  {name:<28} {:>9.2} s wall {:>9.2} s cpu {:>8.0} MiB peak {:>12.0} rows/s",
        usage.wall_s,
        usage.cpu_s,
        usage.peak_mib,
        rows as f64 / usage.wall_s.max(1e-9)
    );
}

/// Prints whether a measure meets its target.
pub(crate) fn target(what: &str, value: f64, limit: f64, at_most: bool) {
    let met = if at_most { value <= limit } else { value >= limit };
    let sign = if at_most { "<=" } else { ">=" };
    println!("  {what}: {value:.2} (target {sign} {limit}) {}", if met { "met" } else { "MISSED" });
}
