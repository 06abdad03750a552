//! Makes and changes plans and suites.
//!
//! Both exist only in the test plan area, which knows their names and paths; all
//! other fields are written on the work item of the same id. Writes below one plan go
//! one after the other: the service fails when they collide.

use std::collections::BTreeMap;

use futures::FutureExt;
use reqwest::Method;
use serde_json::{Value, json};

use super::AzureDevOps;
use super::catalog::{AREA, Fields, ITERATION, TITLE};
use super::client::{ITEMS_PER_CALL, WriteError};
use super::load::{bounded, failed, id_of, rejected, unprepared};
use super::load_items::{Part, Patch, Sent, parts};
use super::wire::{Id, ItemFields, Plan};
use crate::connectors::Error;
use crate::http::Safety;
use crate::model::{Change, Key, Op, Outcome, ReferenceWrite};

/// Plans that are written at the same time.
const CONCURRENT_WRITES: usize = 4;

/// Returns the first end of a relationship that is named at creation.
pub(super) fn reference(references: &[ReferenceWrite], relationship: &str) -> Result<Option<i64>, Outcome> {
    let target = references.iter().find(|r| r.relationship == relationship).and_then(|r| r.targets.first());
    target.map(id_of).transpose()
}

/// Takes the parts out that belong into the create body.
fn take(parts: &mut Vec<Part>, field: &str) -> Option<Part> {
    let at = parts.iter().position(|part| part.reference == field)?;
    Some(parts.remove(at))
}

fn value(part: &Option<Part>) -> Option<Value> {
    part.as_ref().and_then(|part| part.json.get("value").cloned()).filter(|v| v.as_str() != Some(""))
}

/// An artifact that was made, with what is left to be written on its work item.
struct Made {
    id: i64,
    parts: Vec<Part>,
    refused: Vec<(String, String)>,
}

impl AzureDevOps {
    /// Makes plans, then writes what the create call cannot take.
    pub(super) async fn create_plans(&self, changes: &[Change]) -> Vec<Outcome> {
        let fields = match self.catalog.fields(&self.api).await {
            Ok(fields) => fields,
            Err(error) => return changes.iter().map(|_| unprepared(&error)).collect(),
        };
        let creates = changes.iter().map(|change| self.create_plan(change, &fields).boxed()).collect();
        let made: Vec<Result<Made, Outcome>> = bounded(creates, CONCURRENT_WRITES).await;
        self.finish(made).await
    }

    async fn create_plan(&self, change: &Change, fields: &Fields) -> Result<Made, Outcome> {
        let Op::Create { fields: writes, .. } = &change.op else {
            return Err(rejected("only creates can stand in a batch of creates"));
        };
        let (mut parts, mut refused) = parts(fields, writes);
        let name = take(&mut parts, TITLE);
        let (mut area, mut iteration) = (take(&mut parts, AREA), take(&mut parts, ITERATION));
        loop {
            let body = json!({
                "name": value(&name),
                "areaPath": value(&area).unwrap_or_else(|| json!(change.project)),
                "iteration": value(&iteration).unwrap_or_else(|| json!(change.project)),
            });
            let answer = self
                .api
                .write(
                    Method::POST,
                    Some(&change.project),
                    "testplan/plans",
                    &[],
                    Some(&body),
                    Safety::Unsafe,
                    "creating a test plan",
                )
                .await;
            match answer {
                Ok(answer) => {
                    let id = made_id(&answer)?;
                    return Ok(Made { id, parts, refused });
                }
                // A path that does not exist costs that path and not the plan.
                Err(error) => match refused_path(&error, &mut area, &mut iteration) {
                    Some(part) => refused.push((part.name, error.words().to_owned())),
                    None => return Err(failed(&error)),
                },
            }
        }
    }

    /// Makes suites: plan by plan, one after the other within a plan.
    pub(super) async fn create_suites(&self, changes: &[Change]) -> Vec<Outcome> {
        let fields = match self.catalog.fields(&self.api).await {
            Ok(fields) => fields,
            Err(error) => return changes.iter().map(|_| unprepared(&error)).collect(),
        };
        let mut made: Vec<Option<Result<Made, Outcome>>> = changes.iter().map(|_| None).collect();
        let mut by_plan: BTreeMap<(String, i64), Vec<usize>> = BTreeMap::new();
        for (n, change) in changes.iter().enumerate() {
            let plan = match &change.op {
                Op::Create { references, .. } => reference(references, "Parent Test Plan"),
                _ => Err(rejected("only creates can stand in a batch of creates")),
            };
            match plan {
                Ok(Some(plan)) => by_plan.entry((change.project.clone(), plan)).or_default().push(n),
                Ok(None) => made[n] = Some(Err(rejected("a test suite needs its Parent Test Plan"))),
                Err(outcome) => made[n] = Some(Err(outcome)),
            }
        }
        let fields = &fields;
        let plans = by_plan
            .into_iter()
            .map(|((project, plan), members)| {
                self.create_suites_of(project, plan, changes, members, fields).boxed()
            })
            .collect();
        let done: Vec<Vec<(usize, Result<Made, Outcome>)>> = bounded(plans, CONCURRENT_WRITES).await;
        for (n, result) in done.into_iter().flatten() {
            made[n] = Some(result);
        }
        self.finish(
            made.into_iter().map(|m| m.unwrap_or_else(|| Err(rejected("nothing was tried")))).collect(),
        )
        .await
    }

    async fn create_suites_of(
        &self,
        project: String,
        plan: i64,
        changes: &[Change],
        members: Vec<usize>,
        fields: &Fields,
    ) -> Vec<(usize, Result<Made, Outcome>)> {
        let root = self.root_of(&project, plan).await;
        let mut results = Vec::new();
        for n in members {
            let result = match &root {
                Ok(root) => self.create_suite(&changes[n], plan, *root, fields).await,
                Err(error) => Err(unprepared(error)),
            };
            results.push((n, result));
        }
        results
    }

    async fn create_suite(
        &self,
        change: &Change,
        plan: i64,
        root: i64,
        fields: &Fields,
    ) -> Result<Made, Outcome> {
        let Op::Create { fields: writes, references, .. } = &change.op else {
            return Err(rejected("only creates can stand in a batch of creates"));
        };
        let (mut parts, refused) = parts(fields, writes);
        let name = take(&mut parts, TITLE);
        let parent = reference(references, "Parent")?.unwrap_or(root);
        let body = json!({
            "suiteType": "staticTestSuite",
            "name": value(&name),
            "parentSuite": {"id": parent},
            "inheritDefaultConfigurations": true,
        });
        let path = format!("testplan/Plans/{plan}/suites");
        let answer = self
            .api
            .write(
                Method::POST,
                Some(&change.project),
                &path,
                &[],
                Some(&body),
                Safety::Unsafe,
                "creating a test suite",
            )
            .await
            .map_err(|error| failed(&error))?;
        let id = made_id(&answer)?;
        self.catalog.note_suite(id, plan);
        Ok(Made { id, parts, refused })
    }

    /// Reads one plan.
    pub(super) async fn plan(&self, project: &str, plan: i64) -> Result<Plan, Error> {
        self.api.get(Some(project), &format!("testplan/plans/{plan}"), &[], "reading a test plan").await
    }

    /// Returns the root suite of a plan; it cannot be computed from the plan's id.
    pub(super) async fn root_of(&self, project: &str, plan: i64) -> Result<i64, Error> {
        let root = self.plan(project, plan).await?.root_suite.map(|r| r.id.0).filter(|id| *id > 0);
        root.ok_or_else(|| {
            super::client::malformed("reading a test plan", format!("plan {plan} names no root suite"))
        })
    }

    /// Writes on the work items what the create calls could not take.
    async fn finish(&self, made: Vec<Result<Made, Outcome>>) -> Vec<Outcome> {
        let mut patches: Vec<Patch> = made
            .iter()
            .filter_map(|m| m.as_ref().ok())
            .map(|m| Patch { target: Ok(m.id), revision: None, parts: m.parts.clone(), refused: Vec::new() })
            .collect();
        let open: Vec<usize> = (0..patches.len()).filter(|&i| !patches[i].parts.is_empty()).collect();
        let mut chosen: Vec<Patch> = open.iter().map(|&i| patches[i].clone()).collect();
        let sent = self.send_patches(&mut chosen, "writing the fields of new test plans and suites").await;
        let mut verdicts: Vec<Option<Sent>> = vec![None; patches.len()];
        for ((i, sent), patch) in open.into_iter().zip(sent).zip(chosen) {
            verdicts[i] = Some(sent);
            patches[i] = patch;
        }
        let mut written = patches.into_iter().zip(verdicts);
        made.into_iter()
            .map(|made| match made {
                Err(outcome) => outcome,
                Ok(made) => match written.next() {
                    Some((patch, verdict)) => finished(made, patch, verdict),
                    None => rejected("nothing was tried"),
                },
            })
            .collect()
    }

    /// Changes plans and suites that exist.
    pub(super) async fn update_planned(&self, changes: &[Change]) -> Vec<Outcome> {
        let (prepared, mut outcomes) = self.prepare_updates(changes).await;
        let is_plan = changes.first().is_some_and(|change| change.artifact == "Test Plan");
        let own: &[&str] = if is_plan { &[TITLE, AREA, ITERATION] } else { &[TITLE] };
        let (mut owners, mut patches, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for (n, mut patch) in prepared {
            names.push(own.iter().filter_map(|field| take(&mut patch.parts, field)).collect::<Vec<_>>());
            owners.push(n);
            patches.push(patch);
        }
        let mut verdicts = self.patch_or_check(&mut patches).await;
        for (i, &n) in owners.iter().enumerate() {
            if matches!(verdicts[i], Sent::Done { .. })
                && !names[i].is_empty()
                && let Err(error) = self.rename(&changes[n], is_plan, &names[i]).await
            {
                let words = error.words().to_owned();
                if patches[i].parts.is_empty() {
                    verdicts[i] =
                        if error.is_refusal() { Sent::Rejected(words) } else { Sent::Unknown(words) };
                } else {
                    let parts = names[i].iter().map(|part| (part.name.clone(), words.clone()));
                    patches[i].refused.extend(parts);
                }
            }
        }
        self.latest_revisions(&mut verdicts).await;
        for ((n, verdict), patch) in owners.into_iter().zip(verdicts).zip(patches) {
            outcomes[n] = Some(verdict.outcome(patch.refused));
        }
        outcomes.into_iter().map(|o| o.unwrap_or_else(|| rejected("nothing was tried"))).collect()
    }

    /// Sends the patches that have parts; of the others it only checks the revision,
    /// which the test plan area cannot do for us.
    async fn patch_or_check(&self, patches: &mut [Patch]) -> Vec<Sent> {
        let with_parts: Vec<usize> = (0..patches.len()).filter(|&i| !patches[i].parts.is_empty()).collect();
        let mut chosen: Vec<Patch> = with_parts.iter().map(|&i| patches[i].clone()).collect();
        let sent = self.send_patches(&mut chosen, "updating test plans and suites").await;
        let mut verdicts: Vec<Sent> =
            patches.iter().map(|p| untouched(p.target.as_ref().ok(), p.revision)).collect();
        for ((i, sent), patch) in with_parts.iter().zip(sent).zip(chosen) {
            verdicts[*i] = sent;
            patches[*i] = patch;
        }
        let rest: Vec<usize> = (0..patches.len()).filter(|i| !with_parts.contains(i)).collect();
        let ids: Vec<i64> = rest.iter().filter_map(|&i| patches[i].target.as_ref().ok().copied()).collect();
        for chunk in ids.chunks(ITEMS_PER_CALL) {
            let fields = ["System.Id", "System.Rev"];
            let Ok((items, _)) = self.api.items(chunk, Some(&fields), "checking revisions").await else {
                continue;
            };
            for &i in &rest {
                let item = items.iter().find(|item| patches[i].target.as_ref().ok() == Some(&item.id));
                if let (Some(item), Some(revision)) = (item, patches[i].revision)
                    && item.rev != revision
                {
                    verdicts[i] = Sent::Changed;
                }
            }
        }
        verdicts
    }

    /// Writes what the test plan area owns: renaming a plan renames its root suite.
    async fn rename(&self, change: &Change, is_plan: bool, parts: &[Part]) -> Result<(), WriteError> {
        let Op::Update { key, .. } = &change.op else { return Ok(()) };
        let mut body = json!({});
        for part in parts {
            let member = match part.reference.as_str() {
                TITLE => "name",
                AREA => "areaPath",
                _ => "iteration",
            };
            body[member] = part.json.get("value").cloned().unwrap_or_default();
        }
        let path = if is_plan {
            format!("testplan/plans/{key}")
        } else {
            let suite = key.as_str().parse().unwrap_or_default();
            let plan = self.plan_of_suite(&change.project, suite).await?;
            format!("testplan/Plans/{plan}/suites/{suite}")
        };
        let operation = "renaming a test plan or suite";
        self.api
            .write(
                Method::PATCH,
                Some(&change.project),
                &path,
                &[],
                Some(&body),
                Safety::Idempotent,
                operation,
            )
            .await
            .map(|_| ())
    }

    /// Finds the plan of a suite, listing all suites of the project if need be.
    pub(super) async fn plan_of_suite(&self, project: &str, suite: i64) -> Result<i64, WriteError> {
        if let Some(plan) = self.catalog.plan_of(suite) {
            return Ok(plan);
        }
        self.places(project).await.map_err(|error| WriteError::Lost(error.to_string()))?;
        self.catalog.plan_of(suite).ok_or_else(|| {
            WriteError::Refused(super::wire::Refusal {
                message: format!("test suite {suite} is in no plan of project {project}"),
                fields: Vec::new(),
            })
        })
    }

    /// Names and paths are written past the work item, and still count there.
    async fn latest_revisions(&self, verdicts: &mut [Sent]) {
        let ids: Vec<i64> = verdicts
            .iter()
            .filter_map(|v| match v {
                Sent::Done { id, .. } => Some(*id),
                _ => None,
            })
            .collect();
        for chunk in ids.chunks(ITEMS_PER_CALL) {
            let fields = ["System.Id", "System.Rev"];
            let Ok((items, _)) = self.api.items(chunk, Some(&fields), "reading the new revisions").await
            else {
                continue;
            };
            for verdict in verdicts.iter_mut() {
                if let Sent::Done { id, rev, .. } = verdict
                    && let Some(item) = items.iter().find(|item| item.id == *id)
                {
                    *rev = item.rev;
                }
            }
        }
    }
}

fn untouched(id: Option<&i64>, revision: Option<i64>) -> Sent {
    Sent::Done {
        id: id.copied().unwrap_or_default(),
        rev: revision.unwrap_or_default(),
        fields: ItemFields::default(),
    }
}

fn finished(made: Made, patch: Patch, verdict: Option<Sent>) -> Outcome {
    let mut refused = made.refused;
    refused.extend(patch.refused);
    let key = Key::from(made.id.to_string());
    let words = match verdict {
        None => return Outcome::Done { key, revision: None, refused },
        Some(Sent::Done { rev, .. }) => {
            return Outcome::Done { key, revision: Some(rev.to_string()), refused };
        }
        Some(Sent::Rejected(words) | Sent::Unknown(words)) => words,
        Some(Sent::Changed) => "changed by somebody else meanwhile".to_owned(),
    };
    // It exists, whatever became of its other fields.
    for part in patch.parts {
        if !refused.iter().any(|(name, _)| *name == part.name) {
            refused.push((part.name, words.clone()));
        }
    }
    Outcome::Done { key, revision: None, refused }
}

fn made_id(answer: &Value) -> Result<i64, Outcome> {
    let id = answer.get("id").cloned().and_then(|id| serde_json::from_value::<Id>(id).ok());
    id.map(|id| id.0)
        .filter(|id| *id > 0)
        .ok_or_else(|| Outcome::Unknown { message: "an accepted create came back without an id".to_owned() })
}

fn refused_path(error: &WriteError, area: &mut Option<Part>, iteration: &mut Option<Part>) -> Option<Part> {
    if !error.is_refusal() {
        return None;
    }
    let words = error.words().to_lowercase();
    if words.contains("area") && area.is_some() {
        return area.take();
    }
    if words.contains("iteration") && iteration.is_some() {
        return iteration.take();
    }
    None
}
