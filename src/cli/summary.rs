//! What a run comes to, as a person wants to read it in the morning.

use std::collections::BTreeMap;

use crate::model::Side;
use crate::stages::plan::{Conflict, Held, Loss, Waiting};
use crate::stages::{Done, Report, SideReport};

/// Examples of one reason that are written out before the rest is only counted.
const EXAMPLES_MAX: usize = 3;

/// Characters of a value that a line shows.
const VALUE_CHARS: usize = 60;

/// Returns the whole summary: numbers, then what stands in the way, by cause.
pub(super) fn summary(done: &Done) -> String {
    let mut text = numbers(&done.report);
    text += &conflicts(&done.plan.conflicts);
    let place = |integration: &str, side: Side| place(&done.report, integration, side);
    text += &standing("held", "plan.held", &done.plan.held, &place);
    text += &standing("rejected", "plan.rejected", &done.rejected, &place);
    text += &waiting(&done.plan.waiting, &place);
    text += &losses(&done.plan.losses, &place);
    if !done.plan.gone.is_empty() {
        text += &format!(
            "\n{} artifacts have lost their counterpart: select * from plan.gone\n",
            done.plan.gone.len()
        );
    }
    if done.left_over > 0 {
        text += &format!("\n{} changes are left to the next run\n", done.left_over);
    }
    text
}

/// Names the repository on a side of an integration.
type Place<'a> = dyn Fn(&str, Side) -> String + 'a;

fn place(report: &Report, integration: &str, side: Side) -> String {
    let entry = report.integrations.get(integration);
    let known = entry.map(|e| if side == Side::Left { &e.left } else { &e.right }.repository.as_str());
    known.filter(|name| !name.is_empty()).unwrap_or(side.as_str()).to_owned()
}

/// The table of integrations, requests and times.
fn numbers(report: &Report) -> String {
    let mut text = format!("\n{}  run {}  snapshot {}\n\n", report.pipeline, report.run, report.snapshot);
    let head = [
        "integration",
        "side",
        "total",
        "created",
        "updated",
        "deleted",
        "unchanged",
        "rejected",
        "conflicts",
        "held",
        "waiting",
        "losses",
    ];
    let mut rows: Vec<Vec<String>> = vec![head.map(str::to_owned).into()];
    for (name, i) in &report.integrations {
        let of_both = [i.conflicts, i.held, i.waiting, i.losses].map(|n| n.to_string());
        rows.push(side_row(name, Side::Left, &i.left, of_both));
        rows.push(side_row("", Side::Right, &i.right, Default::default()));
    }
    text += &columns(&rows);
    text += "\n";
    for (repository, r) in &report.requests {
        text += &format!(
            "requests to {repository}: {} reads, {} writes, {} retries",
            r.reads, r.writes, r.retries
        );
        if r.throttled_seconds > 0.0 {
            text += &format!(", {:.1} s waited for its rate limit", r.throttled_seconds);
        }
        text += "\n";
    }
    let stages: Vec<String> = report.stages.iter().map(|(stage, s)| format!("{stage} {s:.1} s")).collect();
    let rounds = if report.rounds == 1 { "round" } else { "rounds" };
    text +=
        &format!("time: {} (all {:.1} s, {} {rounds})\n", stages.join(", "), report.seconds, report.rounds);
    text
}

fn side_row(name: &str, side: Side, s: &SideReport, rest: [String; 4]) -> Vec<String> {
    let side = if s.repository.is_empty() { side.as_str() } else { &s.repository };
    let mut row = vec![name.to_owned(), side.to_owned()];
    row.extend([s.total, s.created, s.updated, s.deleted, s.unchanged, s.rejected].map(|n| n.to_string()));
    row.extend(rest);
    row
}

/// Rows that wait for a person, by integration and cause.
fn standing(title: &str, table: &str, rows: &[Held], place: &Place<'_>) -> String {
    let mut groups: BTreeMap<(&str, &str), Vec<&Held>> = BTreeMap::new();
    for row in rows {
        groups.entry((&row.integration, row.reason)).or_default().push(row);
    }
    let lines = groups.into_iter().map(|((integration, reason), rows)| {
        let line = |row: &&Held| {
            let field = row.field.as_ref().map(|f| format!(" {f}")).unwrap_or_default();
            format!("{} (into {}){field}: {}", row.pair, place(&row.integration, row.side), row.detail)
        };
        let all = format!(
            "select * from {table} where integration = '{integration}' and reason = '{}'",
            reason.replace('\'', "''")
        );
        group(&format!("{integration}, {reason}"), &rows.iter().map(line).collect::<Vec<_>>(), &all)
    });
    section(title, rows.len(), lines)
}

fn conflicts(rows: &[Conflict]) -> String {
    let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in rows {
        let won = row.winner.map_or("held".to_owned(), |side| format!("{side} won"));
        let line = format!(
            "{} {}: left {}, right {} ({won})",
            row.pair,
            row.field,
            short(row.left.as_deref()),
            short(row.right.as_deref())
        );
        groups.entry(&row.integration).or_default().push(line);
    }
    let lines = groups.into_iter().map(|(integration, rows)| {
        group(
            integration,
            &rows,
            &format!("select * from plan.conflicts where integration = '{integration}'"),
        )
    });
    section("conflicts", rows.len(), lines)
}

fn waiting(rows: &[Waiting], place: &Place<'_>) -> String {
    let mut groups: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for row in rows {
        let line = format!("{} (into {}): for {}", row.pair, place(&row.integration, row.side), row.target);
        groups.entry((&row.integration, &row.field)).or_default().push(line);
    }
    let lines = groups.into_iter().map(|((integration, field), rows)| {
        let all = format!("select * from plan.waiting where integration = '{integration}'");
        group(&format!("{integration}, {field}"), &rows, &all)
    });
    section("waiting", rows.len(), lines)
}

fn losses(rows: &[Loss], place: &Place<'_>) -> String {
    let mut groups: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for row in rows {
        let of = row.pair.as_ref().map_or("every artifact", |pair| pair.as_str());
        let line = format!("{of} (into {}) {}: {}", place(&row.integration, row.side), row.field, row.detail);
        groups.entry((&row.integration, row.kind)).or_default().push(line);
    }
    let lines = groups.into_iter().map(|((integration, kind), rows)| {
        let all =
            format!("select * from plan.losses where integration = '{integration}' and kind = '{kind}'");
        group(&format!("{integration}, {kind}"), &rows, &all)
    });
    section("losses", rows.len(), lines)
}

fn section(title: &str, count: usize, groups: impl Iterator<Item = String>) -> String {
    if count == 0 {
        return String::new();
    }
    format!("\n{title} ({count}):\n{}", groups.collect::<String>())
}

/// One cause with its first examples, and the query that lists the rest.
fn group(cause: &str, rows: &[String], all: &str) -> String {
    let mut text = format!("  {cause}: {}\n", rows.len());
    for row in rows.iter().take(EXAMPLES_MAX) {
        text += &format!("    {row}\n");
    }
    if rows.len() > EXAMPLES_MAX {
        text += &format!("    and {} more: testferry sql \"{all}\"\n", rows.len() - EXAMPLES_MAX);
    }
    text
}

/// A value on one line, cut where a line would end.
pub(super) fn short(value: Option<&str>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let line = value.replace(['\n', '\r'], " ");
    match line.char_indices().nth(VALUE_CHARS) {
        Some((at, _)) => format!("{:?}…", &line[..at]),
        None => format!("{line:?}"),
    }
}

/// Lines up columns, the first two to the left and numbers to the right.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |at: usize| rows.iter().filter_map(|r| r.get(at)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(at, cell)| {
                if at < 2 {
                    format!("{cell:<w$}", w = widths[at])
                } else {
                    format!("{cell:>w$}", w = widths[at])
                }
            })
            .collect();
        text += cells.join("  ").trim_end();
        text += "\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::IntegrationReport;

    fn held(pair: &str, reason: &'static str) -> Held {
        Held {
            integration: "test-cases".into(),
            pair: pair.into(),
            side: Side::Right,
            field: Some("Status".into()),
            reason,
            detail: "Ready is in no map".into(),
        }
    }

    #[test]
    fn a_morning_reads_numbers_first_and_then_causes_with_examples() {
        let mut done = Done::default();
        done.report.pipeline = "ado-xray".into();
        done.report.run = "r1".into();
        done.report.snapshot = "r1-2".into();
        done.report.rounds = 1;
        let mut cases = IntegrationReport { held: 6, ..IntegrationReport::default() };
        cases.left.repository = "ado".into();
        cases.left.total = 200;
        cases.right.created = 12;
        done.report.integrations.insert("test-cases".into(), cases);
        done.plan.held = (1..=5).map(|n| held(&format!("test-cases/L{n}"), "unmapped value")).collect();
        done.plan.held.push(held("test-cases/L9", "ambiguous"));
        done.plan.conflicts.push(Conflict {
            integration: "test-cases".into(),
            pair: "test-cases/L7".into(),
            field: "Summary".into(),
            left: Some("one\nline".into()),
            right: None,
            base_left: None,
            base_right: None,
            winner: Some(Side::Left),
        });
        insta::assert_snapshot!(summary(&done), @r#"

        ado-xray  run r1  snapshot r1-2

        integration  side   total  created  updated  deleted  unchanged  rejected  conflicts  held  waiting  losses
        test-cases   ado      200        0        0        0          0         0          0     6        0       0
                     right      0       12        0        0          0         0

        time:  (all 0.0 s, 1 round)

        conflicts (1):
          test-cases: 1
            test-cases/L7 Summary: left "one line", right nothing (left won)

        held (6):
          test-cases, ambiguous: 1
            test-cases/L9 (into right) Status: Ready is in no map
          test-cases, unmapped value: 5
            test-cases/L1 (into right) Status: Ready is in no map
            test-cases/L2 (into right) Status: Ready is in no map
            test-cases/L3 (into right) Status: Ready is in no map
            and 2 more: testferry sql "select * from plan.held where integration = 'test-cases' and reason = 'unmapped value'"
        "#);
    }
}
