//! `check`: everything that can be known to be wrong before anything moves.

use std::collections::BTreeMap;

use clap::Args;
use futures::TryStreamExt;
use futures::future::join_all;

use super::exit::{IN_STEP, SYSTEM, Stop, USAGE};
use super::open::{Opened, open};
use super::{Common, Target};
use crate::connectors::{Error, ErrorKind, Metadata, SharedConnector, connect};
use crate::model::{Artifact, RepositoryId, native_schema};
use crate::sql::{self, Limits, Sql, Statements};
use crate::stages::check::{Checked, Finding, Level, mapping, present_values};
use crate::stages::spec;
use crate::stages::staged::{Choice, open_staged};

/// Version of the JSON document.
const SCHEMA: u32 = 1;

/// Reads the file, signs in to every repository, and compares the mapping with the fields,
/// values, workflows and rights that are really there. Nothing is written, except by
/// --create-fields.
#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    target: Target,
    /// Make the custom fields that are missing
    #[arg(long)]
    create_fields: bool,
    /// Print the findings as JSON on stdout
    #[arg(long)]
    json: bool,
}

impl CheckArgs {
    pub(super) async fn run(&self, common: &Common) -> Result<u8, Stop> {
        let opened = open(common, &self.target).await?;
        let checked = self.check(common, &opened).await;
        opened.close().await?;
        let (findings, exit) = checked?;
        if self.json {
            println!("{}", json(&findings, exit));
        } else {
            print!("{}", text(&findings, &self.target.pipeline.display().to_string()));
        }
        Ok(exit)
    }

    async fn check(&self, common: &Common, opened: &Opened) -> Result<(Vec<Finding>, u8), Stop> {
        let pipeline = &opened.pipeline;
        let mut findings = vec![Finding::new(Level::Good, &pipeline.name, "the file is sound")];
        let mut exit = IN_STEP;
        let mut offers = BTreeMap::new();
        let asked =
            opened.repositories.iter().map(|(id, connector)| async move { (id, offer(connector).await) });
        for (id, answer) in join_all(asked).await {
            match answer {
                Ok((who, metadata)) => {
                    findings.push(Finding::new(Level::Good, id.as_str(), who));
                    offers.insert(id.clone(), metadata);
                }
                Err(error) => {
                    let (finding, code) = unusable(id, &error);
                    let line = pipeline.repository(id).map(|r| r.line);
                    findings.push(Finding { line, ..finding });
                    // Wrong settings outweigh a service that is down: they do not pass.
                    exit = if exit == USAGE { USAGE } else { code };
                }
            }
        }
        let mut checked = mapping(pipeline, &offers);
        if self.create_fields && !checked.missing.is_empty() {
            findings.extend(create(opened, &checked, &mut offers).await?);
            checked = mapping(pipeline, &offers);
        }
        findings.extend(checked.findings);
        findings.extend(self.values(common, opened, &offers).await?);
        if exit == IN_STEP && findings.iter().any(|f| f.level == Level::Problem) {
            exit = USAGE;
        }
        Ok((findings, exit))
    }

    /// Looks for values that no map lists, in what is staged or else in the repositories.
    async fn values(
        &self,
        common: &Common,
        opened: &Opened,
        offers: &BTreeMap<RepositoryId, Metadata>,
    ) -> Result<Vec<Finding>, Stop> {
        let artifacts: BTreeMap<RepositoryId, Vec<Artifact>> =
            opened.repositories.iter().map(|(id, c)| (id.clone(), c.artifacts())).collect();
        let integrations = spec::resolve(&opened.pipeline, &artifacts).map_err(|e| Stop::of(USAGE, &e))?;
        let staged = open_staged(&opened.store, &Choice::default()).await?;
        let mut findings = Vec::new();
        for (id, connector) in &opened.repositories {
            if !offers.contains_key(id) {
                continue;
            }
            let known = staged.snapshot.as_ref().is_some_and(|s| s.systems.contains_key(id.as_str()));
            let sql = match known {
                true => staged.sql.clone(),
                false => read(common, id, connector).await?,
            };
            let found = present_values(&sql, &opened.pipeline, &integrations, id).await?;
            if found.is_empty() {
                let what = if known { "staged" } else { "present" };
                findings.push(Finding::new(
                    Level::Good,
                    id.as_str(),
                    format!("every value {what} is mapped"),
                ));
            }
            findings.extend(found);
        }
        Ok(findings)
    }
}

/// Signs in and asks what there is.
async fn offer(connector: &SharedConnector) -> Result<(String, Metadata), Error> {
    let probe = connector.probe().await?;
    let metadata = connector.metadata().await?;
    Ok((format!("signed in to {} as {}", probe.product, probe.account_name), metadata))
}

fn unusable(id: &RepositoryId, error: &Error) -> (Finding, u8) {
    let finding = Finding::new(Level::Problem, id.as_str(), error.to_string());
    match error.kind {
        ErrorKind::Settings | ErrorKind::NotFound => {
            (finding.hint("correct the repository's settings in the file"), USAGE)
        }
        ErrorKind::Forbidden => (finding.hint("give the account that right"), USAGE),
        _ => {
            let hint = "the service is down or cannot be reached from here; is the address right? else try again later";
            (finding.hint(hint), SYSTEM)
        }
    }
}

/// Makes missing fields and asks again what there is.
async fn create(
    opened: &Opened,
    checked: &Checked,
    offers: &mut BTreeMap<RepositoryId, Metadata>,
) -> Result<Vec<Finding>, Stop> {
    let mut findings = Vec::new();
    for missing in &checked.missing {
        let Some(connector) = opened.repositories.get(&missing.repository) else { continue };
        let what = format!("custom field {:?} of {}", missing.field, missing.artifact);
        let place = missing.repository.as_str();
        findings.push(match connector.create_field(&missing.artifact, &missing.field).await {
            Ok(()) => Finding::new(Level::Good, place, format!("made {what}")),
            Err(e) => Finding::new(Level::Problem, place, format!("cannot make {what}: {e}"))
                .hint("make it by hand, as text, and run check again"),
        });
    }
    // Connectors remember what a system offered; new ones ask again.
    let fresh = connect(&opened.pipeline)?;
    for (id, offered) in offers.iter_mut() {
        if let Some(connector) = fresh.get(id) {
            *offered = connector.metadata().await?;
        }
    }
    Ok(findings)
}

/// Reads a repository into memory, for its values only.
async fn read(common: &Common, id: &RepositoryId, connector: &SharedConnector) -> Result<Sql, Stop> {
    let progress = super::output::progress(common);
    let tables = connector.tables();
    progress.start(&format!("reading {id}"), tables.len() as u64);
    let sql = Sql::open("check", Limits::default())?;
    for table in &tables {
        let pages: Vec<_> = connector.extract(table.name, None).try_collect().await?;
        let rows = pages.into_iter().map(|page| page.rows).collect();
        sql::register_batches(&sql, id.as_str(), table.name, native_schema(&table.columns), rows)?;
        progress.advance(1);
    }
    progress.finish();
    sql::register_neutral_views(&sql, &Statements::new(), connector.system(), id.as_str()).await?;
    Ok(sql)
}

fn text(findings: &[Finding], file: &str) -> String {
    let mut text = String::new();
    for finding in findings {
        let line = finding.line.map(|line| format!(" ({file}:{line})")).unwrap_or_default();
        text += &format!("{:<8} {}: {}{line}\n", finding.level.as_str(), finding.place, finding.message);
        if let Some(hint) = &finding.hint {
            text += &format!("         hint: {hint}\n");
        }
    }
    let problems = findings.iter().filter(|f| f.level == Level::Problem).count();
    text + &match problems {
        0 => "nothing stands in the way\n".to_owned(),
        1 => "1 problem\n".to_owned(),
        n => format!("{n} problems\n"),
    }
}

fn json(findings: &[Finding], exit: u8) -> serde_json::Value {
    let list: Vec<serde_json::Value> = findings
        .iter()
        .map(|f| {
            serde_json::json!({
                "level": f.level.as_str(), "place": f.place, "line": f.line, "message": f.message, "hint": f.hint,
            })
        })
        .collect();
    serde_json::json!({"schema": SCHEMA, "exit": exit, "findings": list})
}
