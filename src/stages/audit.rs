//! The shipped audits: questions about test coverage over the neutral views.

use std::collections::BTreeSet;

use minijinja::{Value, context};

use super::Failure;
use crate::sql::{Statements, identifier, literal};
use crate::store::Snapshot;

/// The folder of `sql/` in which audits lie.
const FOLDER: &str = "audit";

/// The one that compares both sides; all others look at one repository.
const TWINS: &str = "twins-that-disagree";

/// A shipped audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Its name on the command line.
    pub name: String,
    /// What it lists, as one sentence.
    pub purpose: String,
    path: String,
}

/// Lists the shipped audits.
pub fn audits() -> Vec<Audit> {
    Statements::list(FOLDER).into_iter().filter_map(audit).collect()
}

fn audit(path: String) -> Option<Audit> {
    let text = Statements::text(&path).ok()?;
    let purpose = text.lines().next()?.trim_start_matches("--").trim().to_owned();
    let stem = path.rsplit('/').next()?.strip_suffix(".sql")?;
    Some(Audit { name: stem.replace('_', "-"), purpose, path })
}

impl Audit {
    /// Tells whether it compares both sides, and so is not asked of one repository.
    pub fn compares_sides(&self) -> bool {
        self.name == TWINS
    }

    /// Renders the audit over a snapshot; `None` if there is nothing in it to ask.
    ///
    /// An audit of repositories has their name as its first column.
    ///
    /// # Errors
    ///
    /// Fails if the statement does not render, which is a defect of ours.
    pub fn statement(
        &self,
        statements: &Statements,
        snapshot: &Snapshot,
        repositories: &[String],
    ) -> Result<Option<String>, Failure> {
        if self.compares_sides() {
            return self.of_twins(statements, snapshot);
        }
        let mut parts = Vec::new();
        for repository in repositories {
            let one = statements.render_view(&self.path, repository)?;
            parts.push(format!("SELECT {} AS repository, a.* FROM (\n{one}) AS a", literal(repository)));
        }
        let all = parts.join("\nUNION ALL\n");
        Ok((!parts.is_empty()).then(|| format!("SELECT * FROM (\n{all}\n) AS audit\nORDER BY 1, 2, 3, 4")))
    }

    fn of_twins(&self, statements: &Statements, snapshot: &Snapshot) -> Result<Option<String>, Failure> {
        let view = |repository: &str, name: &str| format!("{}.{}", identifier(repository), identifier(name));
        let compared = snapshot.integrations.iter().filter(|(_, [left, right])| {
            let known = [left, right].iter().all(|s| snapshot.systems.contains_key(&s.repository));
            // A result has no title of its own; its outcome is compared by way of its case.
            known && left.view == right.view && left.view != "result"
        });
        let mut names = BTreeSet::new();
        let mut twins = Vec::new();
        for (integration, [left, right]) in compared {
            names.extend([left.repository.clone(), right.repository.clone()]);
            twins.push(context! {
                integration,
                left => view(&left.repository, &left.view),
                right => view(&right.repository, &right.view),
                left_repository => &left.repository,
                right_repository => &right.repository,
                cases => left.view == "case",
            });
        }
        if twins.is_empty() {
            return Ok(None);
        }
        let of = |name: &String| -> Value {
            context! { name, result => view(name, "result"), step => view(name, "step") }
        };
        let repositories: Vec<Value> = names.iter().map(of).collect();
        let text = statements.render(&self.path, context! { repositories, twins })?;
        Ok(Some(format!("SELECT * FROM (\n{text}\n) AS audit\nORDER BY integration, pair, aspect")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_audits_are_shipped_and_each_says_what_it_lists() {
        let names: Vec<String> = audits().into_iter().map(|a| a.name).collect();
        let expected = [
            "cases-in-no-plan",
            "coverage-by-plan",
            "latest-outcomes",
            "never-executed",
            "twins-that-disagree",
        ];
        assert_eq!(names, expected);
        assert!(audits().iter().all(|a| a.purpose.ends_with('.')));
    }
}
