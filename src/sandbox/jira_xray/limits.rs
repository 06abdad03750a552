//! Rate limits: Jira's bursts and writes per issue, Xray's window of five minutes.

use std::collections::{HashMap, VecDeque};

use serde_json::json;

use super::reply::{Problem, Reply};
use super::time::Stamp;

/// Xray answers so many calls (standard licence) in each window.
const XRAY_CALLS: u32 = 300;
const XRAY_WINDOW_MS: i64 = 300_000;
/// Writes to one issue: so many in so many milliseconds.
const ISSUE_WRITES: [(usize, i64); 2] = [(20, 2_000), (100, 30_000)];

/// A bucket that refills steadily.
#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Stamp,
}

/// What was used so far.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    bursts: HashMap<String, Bucket>,
    writes: HashMap<u64, VecDeque<Stamp>>,
    window: Option<(Stamp, u32)>,
}

/// Calls a second of a kind of route.
fn rate(method: &str, path: &[&str]) -> f64 {
    match (method, path) {
        ("GET", ["issue", _]) => 150.0,
        ("GET", ["issue", _, "changelog"]) => 200.0,
        ("GET", ["attachment", "content", _]) => 300.0,
        ("GET", ["user", ..]) | (_, ["search", "approximate-count"]) => 150.0,
        ("PUT" | "DELETE", _) => 50.0,
        _ => 100.0,
    }
}

fn too_many(reason: &str, limit: f64, now: Stamp) -> Problem {
    let reply = Reply::with(429, json!({"errorMessages": ["Rate limit exceeded."], "errors": {}}));
    Problem::raw(
        reply
            .header("Retry-After", "1")
            .header("X-RateLimit-Limit", format!("{limit:.0}"))
            .header("X-RateLimit-Remaining", "0")
            .header("X-RateLimit-Reset", Stamp(now.0 + 1_000).iso())
            .header("RateLimit-Reason", reason),
    )
}

impl Limits {
    /// Takes one call of a route out of its bucket; gives the headers for the answer.
    pub(crate) fn burst(
        &mut self,
        method: &str,
        path: &[&str],
        now: Stamp,
    ) -> Result<Vec<(String, String)>, Problem> {
        let limit = rate(method, path);
        let shape: Vec<&str> =
            path.iter().map(|p| if p.contains(|c: char| c.is_ascii_digit()) { "{id}" } else { p }).collect();
        let key = format!("{method} {}", shape.join("/"));
        let bucket = self.bursts.entry(key).or_insert(Bucket { left: limit, at: now });
        let passed = (now.0 - bucket.at.0).max(0) as f64 / 1_000.0;
        bucket.left = (bucket.left + passed * limit).min(limit);
        bucket.at = now;
        if bucket.left < 1.0 {
            return Err(too_many("jira-burst-based", limit, now));
        }
        bucket.left -= 1.0;
        let mut headers = vec![
            ("X-RateLimit-Limit".to_owned(), format!("{limit:.0}")),
            ("X-RateLimit-Remaining".to_owned(), format!("{:.0}", bucket.left.floor())),
        ];
        if bucket.left < limit / 5.0 {
            headers.push(("X-RateLimit-NearLimit".to_owned(), "true".to_owned()));
        }
        Ok(headers)
    }

    /// Counts a write to an issue.
    pub(crate) fn write_issue(&mut self, issue: u64, now: Stamp) -> Result<(), Problem> {
        let seen = self.writes.entry(issue).or_default();
        let longest = ISSUE_WRITES[1].1;
        while seen.front().is_some_and(|at| at.0 <= now.0 - longest) {
            seen.pop_front();
        }
        for (count, window) in ISSUE_WRITES {
            let recent = seen.iter().filter(|at| at.0 > now.0 - window).count();
            if recent >= count {
                return Err(too_many("jira-per-issue-on-write", count as f64, now));
            }
        }
        seen.push_back(now);
        Ok(())
    }

    /// Counts a call of Xray.
    pub(crate) fn xray(&mut self, now: Stamp) -> Result<(), Problem> {
        let start = now.0 - now.0.rem_euclid(XRAY_WINDOW_MS);
        let (window, used) = self.window.get_or_insert((Stamp(start), 0));
        if window.0 != start {
            *window = Stamp(start);
            *used = 0;
        }
        if *used >= XRAY_CALLS {
            let next = Stamp(start + XRAY_WINDOW_MS);
            let seconds = (next.0 - now.0) / 1_000 + 1;
            let body = json!({
                "error": "Too many requests in this time frame. Please try again later.",
                "nextValidRequestDate": next.iso()
            });
            let reply = Reply::with(429, body).header("Retry-After", seconds.to_string());
            return Err(Problem::raw(reply));
        }
        *used += 1;
        Ok(())
    }
}
