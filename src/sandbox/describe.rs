//! What `sandbox --describe` and `--env-file` write.

use std::fmt::Write;

use super::world::World;

/// Describes the made-up company of that size and seed: how much of everything, and the hard cases in it.
pub fn describe_text(size: usize, seed: u64) -> String {
    let world = World::generate(size, seed);
    let mut out = format!("made-up company of {size} test cases, seed {seed}\n\n");
    let totals = world.totals();
    let hard = world.hard_cases();
    let width = hard.iter().chain(&totals).map(|(name, _)| name.len()).max().unwrap_or(0);
    table(&mut out, "totals", &totals, width);
    out.push('\n');
    table(&mut out, "hard cases", &hard, width);
    out
}

fn table(out: &mut String, title: &str, lines: &[(&'static str, u64)], width: usize) {
    out.push_str(title);
    out.push('\n');
    for (name, count) in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "  {name:<width$}  {count:>9}");
    }
}

/// The variables as lines that a POSIX shell reads: `export NAME='value'`.
pub fn env_file_text(env: &[(String, String)]) -> String {
    let mut out = String::new();
    for (name, value) in env {
        let _ = writeln!(out, "export {name}='{}'", value.replace('\'', r"'\''"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_counts_every_hard_case() {
        let text = describe_text(50, 1);
        for (name, count) in World::generate(50, 1).hard_cases() {
            let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
            assert!(line.ends_with(&format!(" {count}")), "{line}");
        }
    }

    #[test]
    fn values_are_quoted_for_the_shell() {
        let env = [("A".to_owned(), "it's $HOME".to_owned())];
        assert_eq!(env_file_text(&env), "export A='it'\\''s $HOME'\n");
    }
}
