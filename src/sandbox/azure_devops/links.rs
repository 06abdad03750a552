//! Relation types, links between work items with both ends, and the topology they must keep.

use serde_json::{Value as Json, json};

use super::http::{Answer, Call, Failure, Reply};
use super::items::{Item, LinkEvent, LinkUpdate, Relation, Target};
use super::state::State;
use super::value::Millis;

/// How many relations a work item may have.
const MAX_LINKS: usize = 1000;

/// Base name, names of the two ends, topology.
const LINK_TYPES: &[(&str, &str, &str, &str)] = &[
    ("Microsoft.VSTS.Common.TestedBy", "Tested By", "Tests", "dependency"),
    ("Microsoft.VSTS.TestCase.SharedStepReferencedBy", "Test Case", "Shared Steps", "dependency"),
    ("Microsoft.VSTS.TestCase.SharedParameterReferencedBy", "Referenced By", "References", "dependency"),
    ("Microsoft.VSTS.Common.Affects", "Affects", "Affected By", "dependency"),
    ("System.LinkTypes.Hierarchy", "Child", "Parent", "tree"),
    ("System.LinkTypes.Dependency", "Successor", "Predecessor", "dependency"),
    ("System.LinkTypes.Duplicate", "Duplicate", "Duplicate Of", "tree"),
];

/// The link type that has no direction.
const RELATED: &str = "System.LinkTypes.Related";

/// Links that are not to work items: name and usage.
const RESOURCES: &[(&str, &str)] =
    &[("AttachedFile", "Attached File"), ("Hyperlink", "Hyperlink"), ("ArtifactLink", "Artifact Link")];

/// The name that people see for a relation between work items.
pub(super) fn display_name(rel: &str) -> Option<&'static str> {
    if rel == RELATED {
        return Some("Related");
    }
    LINK_TYPES.iter().find_map(|(base, forward, reverse, _)| match rel.strip_prefix(base)? {
        "-Forward" => Some(*forward),
        "-Reverse" => Some(*reverse),
        _ => None,
    })
}

/// The relation name in the service's spelling.
pub(super) fn canonical(rel: &str) -> Option<String> {
    if rel.eq_ignore_ascii_case(RELATED) {
        return Some(RELATED.to_owned());
    }
    if let Some((name, _)) = RESOURCES.iter().find(|(name, _)| name.eq_ignore_ascii_case(rel)) {
        return Some((*name).to_owned());
    }
    LINK_TYPES.iter().find_map(|(base, ..)| {
        ["-Forward", "-Reverse"]
            .iter()
            .map(|end| format!("{base}{end}"))
            .find(|n| n.eq_ignore_ascii_case(rel))
    })
}

/// The relation that the other end shows.
pub(super) fn opposite(rel: &str) -> String {
    match (rel.strip_suffix("-Forward"), rel.strip_suffix("-Reverse")) {
        (Some(base), _) => format!("{base}-Reverse"),
        (_, Some(base)) => format!("{base}-Forward"),
        _ => rel.to_owned(),
    }
}

/// The relation name without its direction.
pub(super) fn base_name(rel: &str) -> &str {
    rel.strip_suffix("-Forward").or_else(|| rel.strip_suffix("-Reverse")).unwrap_or(rel)
}

fn topology(rel: &str) -> &'static str {
    let base = base_name(rel);
    LINK_TYPES.iter().find(|(b, ..)| *b == base).map_or("network", |(.., topology)| topology)
}

fn tree_error(code: &str, text: &str) -> Failure {
    Failure::new(400, "WorkItemLinkInvalidException", format!("{code}: {text}"))
}

/// Refuses a link that is there already, or that breaks its type's topology.
pub(super) fn check(
    state: &State,
    source: u32,
    relations: &[Relation],
    new: &Relation,
) -> Result<(), Failure> {
    if relations.iter().any(|r| r.rel == new.rel && r.target == new.target) {
        return Err(Failure::new(400, "WorkItemResourceLinkException", "VS403317: Relation already exists."));
    }
    if relations.len() >= MAX_LINKS {
        let text = format!("Work item {source} has the maximum of {MAX_LINKS} links.");
        return Err(tree_error("VS403466", &text));
    }
    let Target::Item(target) = new.target else { return Ok(()) };
    if state.live(target).is_none() {
        return Err(Failure::no_item(target));
    }
    if target == source {
        let text = "You cannot add a link from a work item to itself.";
        return Err(tree_error("TF201037", text));
    }
    if topology(&new.rel) != "tree" {
        return Ok(());
    }
    let reverse = format!("{}-Reverse", base_name(&new.rel));
    let (parent, child) = if *new.rel == *reverse { (target, source) } else { (source, target) };
    let held = if child == source {
        relations.iter().any(|r| *r.rel == *reverse && is_live(state, r))
    } else {
        state.items[&child].relations.iter().any(|r| *r.rel == *reverse && is_live(state, r))
    };
    if held {
        return Err(tree_error(
            "TF201036",
            &format!(
                "You cannot add a Child link between work items {parent} and {child} because a work item can have only one Parent link."
            ),
        ));
    }
    let mut at = Some(parent);
    while let Some(id) = at {
        if id == child {
            return Err(tree_error(
                "TF201065",
                &format!(
                    "You can not add a Parent link between work items {child} and {parent} because it would result in a circular relationship."
                ),
            ));
        }
        at = state.items.get(&id).and_then(|item| up(item, &reverse));
    }
    Ok(())
}

fn is_live(state: &State, relation: &Relation) -> bool {
    matches!(relation.target, Target::Item(id) if state.live(id).is_some())
}

fn up(item: &Item, reverse: &str) -> Option<u32> {
    item.relations.iter().find_map(|r| match r.target {
        Target::Item(id) if *r.rel == *reverse => Some(id),
        _ => None,
    })
}

/// When, by whom and as part of which revision a relation changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) by: u32,
    pub(super) at: Millis,
    /// Whether the change is an update of its own rather than part of a revision.
    pub(super) own: bool,
}

impl State {
    /// Adds a relation and, for links between work items, its other end.
    pub(super) fn add_relation(&mut self, source: u32, relation: Relation, stamp: Stamp) {
        self.record(source, &relation, true, stamp);
        if let Target::Item(target) = relation.target {
            let back = Relation {
                rel: opposite(&relation.rel).into(),
                target: Target::Item(source),
                ..relation.clone()
            };
            self.record(target, &back, true, Stamp { own: true, ..stamp });
            if let Some(item) = self.items.get_mut(&target) {
                item.relations.push(back);
            }
            self.log_link(source, target, &relation, true, stamp);
        }
        if let Some(item) = self.items.get_mut(&source) {
            item.relations.push(relation);
        }
        self.touched = true;
    }

    /// Removes a relation and its other end.
    pub(super) fn remove_relation(&mut self, source: u32, relation: &Relation, stamp: Stamp) {
        let Some(item) = self.items.get_mut(&source) else { return };
        let same = |r: &Relation| r.rel == relation.rel && r.target == relation.target;
        let Some(at) = item.relations.iter().position(same) else { return };
        item.relations.remove(at);
        self.record(source, relation, false, stamp);
        if let Target::Item(target) = relation.target {
            let back = opposite(&relation.rel);
            let mut gone = None;
            if let Some(item) = self.items.get_mut(&target) {
                let at =
                    item.relations.iter().position(|r| *r.rel == *back && r.target == Target::Item(source));
                gone = at.map(|at| item.relations.remove(at));
            }
            if let Some(gone) = gone {
                self.record(target, &gone, false, Stamp { own: true, ..stamp });
            }
            self.log_link(source, target, relation, false, stamp);
        }
        self.touched = true;
    }

    fn record(&mut self, id: u32, relation: &Relation, added: bool, stamp: Stamp) {
        let Some(item) = self.items.get_mut(&id) else { return };
        let revision = item.rev();
        if revision <= 1 && !stamp.own {
            // What an item is created with belongs to its first revision and is not logged twice.
            return;
        }
        let relation = relation.clone();
        item.link_updates.push(LinkUpdate {
            revision,
            own: stamp.own,
            at: stamp.at,
            by: stamp.by,
            added,
            relation,
        });
    }

    fn log_link(&mut self, source: u32, target: u32, relation: &Relation, active: bool, stamp: Stamp) {
        let forward = !relation.rel.ends_with("-Reverse");
        let (source, target) = if forward { (source, target) } else { (target, source) };
        let rel = base_name(&relation.rel).into();
        let comment = relation.comment.clone();
        self.link_log.push(LinkEvent { rel, source, target, at: stamp.at, by: stamp.by, active, comment });
        if base_name(&relation.rel) == "Microsoft.VSTS.Common.TestedBy" {
            super::suites::tested_by_changed(self, source, target, active, stamp);
        }
    }
}

fn relation_type(base: &str, reference: &str, name: &str, attributes: Json) -> Json {
    json!({"attributes": attributes, "referenceName": reference, "name": name,
        "url": format!("{base}/_apis/wit/workItemRelationTypes/{reference}")})
}

fn relation_types(base: &str) -> Vec<Json> {
    let mut types = Vec::new();
    for (name, forward, reverse, topology) in LINK_TYPES {
        for (end, label) in [("Forward", forward), ("Reverse", reverse)] {
            let is_forward = end == "Forward";
            let attributes = json!({
                "usage": "workItemLink", "editable": false, "enabled": true, "acyclic": true, "directional": true,
                "singleTarget": *topology == "tree" && !is_forward, "topology": topology, "isForward": is_forward,
                "oppositeEndReferenceName": format!("{name}-{}", if is_forward { "Reverse" } else { "Forward" }),
            });
            types.push(relation_type(base, &format!("{name}-{end}"), label, attributes));
        }
    }
    let attributes = json!({"usage": "workItemLink", "editable": false, "enabled": true, "acyclic": false,
        "directional": false, "singleTarget": false, "topology": "network"});
    types.push(relation_type(base, RELATED, "Related", attributes));
    for (reference, name) in RESOURCES {
        let attributes = json!({"usage": "resourceLink", "editable": false, "enabled": true});
        types.push(relation_type(base, reference, name, attributes));
    }
    types
}

/// `GET workitemrelationtypes[/{relation}]`.
pub(super) fn list_types(_: &mut State, call: &Call) -> Answer {
    let types = relation_types(&call.base);
    let Some(wanted) = call.param("relation") else { return Ok(Reply::list(types)) };
    let name = |t: &Json| t["referenceName"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(wanted));
    types.into_iter().find(name).map(Reply::ok).ok_or_else(|| {
        let key = "WorkItemTrackingLinkTypeNotFoundException";
        Failure::new(404, key, format!("VS402386: The relation type '{wanted}' is not known."))
    })
}

/// `GET artifactlinktypes`.
pub(super) fn artifact_types(_: &mut State, _: &Call) -> Answer {
    let types = [
        ("Git", "Branch", "Branch"),
        ("Git", "Commit", "Fixed in Commit"),
        ("Git", "PullRequestId", "Pull Request"),
        ("Build", "Build", "Build"),
        ("Build", "Build", "Found in build"),
        ("Build", "Build", "Integrated in build"),
        ("TestManagement", "TcmResult", "Test Result"),
        ("TestManagement", "TcmTest", "Test"),
    ];
    let item = |(tool, artifact, link): &(&str, &str, &str)| json!({"toolType": tool, "artifactType": artifact, "linkType": link});
    Ok(Reply::list(types.iter().map(item).collect()))
}

/// `POST artifacturiquery`: the work items that link to artifacts.
pub(super) fn artifact_query(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let uris =
        body.get("artifactUris").and_then(Json::as_array).ok_or_else(|| Failure::null("artifactUris"))?;
    let project = state.scope_or_all(call)?;
    let mut result = serde_json::Map::new();
    for uri in uris.iter().filter_map(Json::as_str) {
        let holds = |item: &Item| {
            item.relations.iter().any(|r| matches!(&r.target, Target::Url(u) if u.eq_ignore_ascii_case(uri)))
        };
        let found: Vec<Json> = state
            .items
            .iter()
            .filter(|(_, i)| i.deleted.is_none() && project.is_none_or(|p| i.project == p) && holds(i))
            .map(|(&id, _)| json!({"id": id, "url": state.item_url(&call.base, id)}))
            .collect();
        result.insert(uri.to_owned(), Json::Array(found));
    }
    Ok(Reply::ok(json!({"artifactUrisQueryResult": result})))
}
