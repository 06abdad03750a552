//! Speed and memory at scale: `cargo bench` prints what each stage does per second and per CPU second.
//!
//! Every case runs in a process of its own (this program, called again), so that CPU time
//! and peak memory are that case's alone. `TESTFERRY_BENCH_SCALE=0.01 cargo bench` tries
//! everything at a hundredth of the size; a name, as in `cargo bench -- diff`, chooses one
//! of `extract`, `diff` and `nights`.

mod diff;
mod extract;
mod measure;
mod nights;
mod pages;
mod words;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match texts.as_slice() {
        ["serve", cases, latency_ms] => pages::serve(number(cases), number(latency_ms) as u64),
        ["download", url, cases] => extract::download(url, number(cases)),
        ["extract", url, folder] => extract::extract(url, folder),
        ["prepare-diff", folder, pairs] => diff::prepare(folder, number(pairs)),
        ["diff", folder] => diff::diff(folder),
        _ if texts.contains(&"--bench") => {
            let chosen: Vec<&&str> = texts.iter().filter(|t| !t.starts_with('-')).collect();
            let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|c| **c == name);
            let cases: [(&str, fn()); 3] =
                [("extract", extract::run), ("diff", diff::run), ("nights", nights::run)];
            cases.iter().filter(|(name, _)| wanted(name)).for_each(|(_, case)| case());
        }
        // `cargo test --all-targets` calls benchmarks without `--bench`: nothing is timed there.
        _ => println!("benchmarks run by `cargo bench`"),
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}
