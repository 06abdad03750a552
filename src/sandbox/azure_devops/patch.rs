//! JSON Patch on work items: operations on fields, relations and formats.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::draft::Draft;
use super::fields::F;
use super::http::{Call, Failure};
use super::items::{Item, Relation, Target, lookup};
use super::json::Snapshot;
use super::links;
use super::state::State;
use super::value::same;

/// How many files a work item may have.
const MAX_FILES: usize = 100;

impl State {
    /// Reads a relation that a client wants to add.
    fn relation(
        &self,
        call: &Call,
        value: &Json,
        temporary: &HashMap<i64, u32>,
    ) -> Result<Relation, Failure> {
        let member = |name: &str| value.get(name).and_then(Json::as_str).unwrap_or_default();
        let rel = links::canonical(member("rel")).ok_or_else(|| {
            let key = "WorkItemLinkTypeNotFoundException";
            Failure::new(400, key, format!("VS402386: The relation type '{}' is not known.", member("rel")))
        })?;
        let url = member("url");
        if url.is_empty() {
            return Err(Failure::null("url"));
        }
        let attribute = |name: &str| {
            value.get("attributes").and_then(|a| a.get(name)).and_then(Json::as_str).filter(|t| !t.is_empty())
        };
        let tail = url.split('?').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        let target = match rel.as_str() {
            "AttachedFile" => {
                let guid = tail.to_ascii_lowercase();
                let blob = self.blobs.get(&guid).ok_or_else(|| {
                    Failure::new(
                        404,
                        "AttachmentNotFoundException",
                        format!("TF237079: The attachment {guid} does not exist."),
                    )
                })?;
                let name = attribute("name").unwrap_or(&blob.name).into();
                let comment = attribute("comment").map(Into::into);
                let resource = Some((0, blob.created));
                return Ok(Relation {
                    rel: rel.into(),
                    target: Target::File(guid),
                    comment,
                    name: Some(name),
                    resource,
                });
            }
            "Hyperlink" | "ArtifactLink" => {
                if rel == "ArtifactLink" && attribute("name").is_none() {
                    return Err(Failure::null("name"));
                }
                let (comment, name) =
                    (attribute("comment").map(Into::into), attribute("name").map(Into::into));
                let resource = Some((0, call.now));
                return Ok(Relation {
                    rel: rel.into(),
                    target: Target::Url(url.to_owned()),
                    comment,
                    name,
                    resource,
                });
            }
            _ => {
                let id: i64 = tail.parse().map_err(|_| {
                    Failure::argument(format!("VS402386: '{url}' is not the url of a work item."))
                })?;
                let id = if id < 0 { temporary.get(&id).copied().map(i64::from).unwrap_or(id) } else { id };
                Target::Item(u32::try_from(id).map_err(|_| Failure::no_item(0))?)
            }
        };
        let comment = attribute("comment").map(Into::into);
        Ok(Relation { rel: rel.into(), target, comment, name: None, resource: None })
    }

    fn patch_relation(
        &self,
        draft: &mut Draft,
        call: &Call,
        op: &str,
        path: &[String],
        value: &Json,
        temporary: &HashMap<i64, u32>,
    ) -> Result<(), Failure> {
        if path.first().is_some_and(|p| p == "-") && op == "add" {
            let relation = self.relation(call, value, temporary)?;
            let source = draft.id.unwrap_or(u32::MAX);
            links::check(self, source, &draft.relations, &relation)?;
            let files = draft.relations.iter().filter(|r| &*r.rel == "AttachedFile").count();
            if files >= MAX_FILES && &*relation.rel == "AttachedFile" {
                return Err(Failure::new(
                    400,
                    "WorkItemAttachmentLimitException",
                    format!("VS403313: A work item may have {MAX_FILES} attachments."),
                ));
            }
            draft.relations.push(relation.clone());
            draft.added.push(relation);
            return Ok(());
        }
        let index = path.first().and_then(|p| p.parse::<usize>().ok()).filter(|i| *i < draft.relations.len());
        let Some(index) = index else {
            return Err(patch_error(&format!("Index out of range for path /relations/{}", path.join("/"))));
        };
        match (op, path.get(1).map(String::as_str)) {
            ("remove", None) => {
                let gone = draft.relations.remove(index);
                match draft.added.iter().position(|r| *r == gone) {
                    Some(at) => drop(draft.added.remove(at)),
                    None => draft.removed.push(gone),
                }
                Ok(())
            }
            ("replace" | "add", Some("attributes")) => {
                let comment = match path.get(2).map(String::as_str) {
                    Some("comment") => value.as_str(),
                    None => value.get("comment").and_then(Json::as_str),
                    Some(other) => {
                        return Err(patch_error(&format!(
                            "The attribute '{other}' of a relation cannot be changed."
                        )));
                    }
                };
                draft.relations[index].comment = comment.filter(|c| !c.is_empty()).map(Into::into);
                let relation = draft.relations[index].clone();
                draft.recommented.push(relation);
                Ok(())
            }
            _ => Err(patch_error(&format!(
                "The operation '{op}' is not supported for path /relations/{}",
                path.join("/")
            ))),
        }
    }

    /// Applies the operations of a patch in order.
    pub(super) fn apply(
        &self,
        draft: &mut Draft,
        call: &Call,
        ops: &[Json],
        temporary: &HashMap<i64, u32>,
    ) -> Result<(), Failure> {
        // The project and type come first, because paths and fields depend on them.
        let first = |op: &&Json| op["path"].as_str().is_some_and(|p| same(p, "/fields/System.TeamProject"));
        for op in ops.iter().filter(first).chain(ops.iter().filter(|op| !first(op))) {
            self.apply_one(draft, call, op, temporary)?;
        }
        Ok(())
    }

    fn apply_one(
        &self,
        draft: &mut Draft,
        call: &Call,
        op: &Json,
        temporary: &HashMap<i64, u32>,
    ) -> Result<(), Failure> {
        let name = op.get("op").and_then(Json::as_str).unwrap_or_default().to_ascii_lowercase();
        let path = op.get("path").and_then(Json::as_str).unwrap_or_default();
        let parts: Vec<String> = path
            .trim_start_matches('/')
            .split('/')
            .map(|p| p.replace("~1", "/").replace("~0", "~"))
            .collect();
        let value = op.get("value").unwrap_or(&Json::Null);
        if !matches!(name.as_str(), "add" | "replace" | "remove" | "test" | "copy" | "move") {
            return Err(patch_error(&format!("The operation '{name}' is not supported.")));
        }
        match (parts[0].to_ascii_lowercase().as_str(), name.as_str()) {
            ("fields", "test") => {
                self.test_field(draft, parts.get(1).map_or("", String::as_str), value, path)
            }
            ("rev", "test") => {
                let rev = draft.id.and_then(|id| self.items.get(&id)).map_or(0, Item::rev);
                let wanted = value.as_u64().or_else(|| value.as_str().and_then(|t| t.parse().ok()));
                if wanted == Some(u64::from(rev)) { Ok(()) } else { Err(test_failed("/rev")) }
            }
            ("id", _) => Ok(()),
            ("fields", "remove") => {
                self.put(draft, parts.get(1).map_or("", String::as_str), &Json::Null, true)
            }
            ("fields", "copy" | "move") => self.transfer(draft, op, &parts, name == "move"),
            ("fields", _) => {
                let field = parts
                    .get(1)
                    .filter(|f| !f.is_empty())
                    .ok_or_else(|| patch_error(&format!("Invalid path {path}")))?;
                self.put(draft, field, value, name == "replace")
            }
            ("relations", _) => self.patch_relation(draft, call, &name, &parts[1..], value, temporary),
            ("multilinefieldsformat", _) => {
                let field = self.field_or_fail(parts.get(1).map_or("", String::as_str))?;
                if !self.fields[field as usize].kind.is_long() || field == F::Steps as u16 {
                    return Err(patch_error(&format!("The format of {path} cannot be set.")));
                }
                let markdown = value.as_str().is_some_and(|v| v.eq_ignore_ascii_case("markdown"));
                draft.markdown.retain(|f| *f != field);
                if markdown {
                    draft.markdown.push(field);
                    draft.markdown.sort_unstable();
                }
                Ok(())
            }
            _ => Err(patch_error(&format!("The path '{path}' is not supported."))),
        }
    }

    fn test_field(&self, draft: &Draft, name: &str, value: &Json, path: &str) -> Result<(), Failure> {
        let number = self.field_or_fail(name)?;
        let current = match draft.id.and_then(|id| self.items.get(&id).map(|item| (id, item))) {
            Some((id, item)) => self.field_value(&Snapshot::now(id, item), number),
            None => lookup(&draft.fields, number).cloned(),
        };
        let wanted = self.to_value(draft, number, value)?;
        if current == wanted { Ok(()) } else { Err(test_failed(path)) }
    }

    fn transfer(&self, draft: &mut Draft, op: &Json, parts: &[String], remove: bool) -> Result<(), Failure> {
        let from = op.get("from").and_then(Json::as_str).unwrap_or_default();
        let source = from.strip_prefix("/fields/").ok_or_else(|| patch_error("Invalid 'from'."))?;
        let number = self.field_or_fail(source)?;
        let value = lookup(&draft.fields, number).map_or(Json::Null, |v| self.value_json("", v));
        self.put(draft, parts.get(1).map_or("", String::as_str), &value, true)?;
        if remove {
            self.put(draft, source, &Json::Null, true)?;
        }
        Ok(())
    }
}

fn patch_error(message: &str) -> Failure {
    Failure::new(400, "VssPropertyValidationException", message)
}

fn test_failed(path: &str) -> Failure {
    Failure::new(
        412,
        "WorkItemRevisionMismatchException",
        format!("VS403351: Test Operation for path {path} failed."),
    )
}
