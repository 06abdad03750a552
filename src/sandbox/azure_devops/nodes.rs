//! Areas and iterations: the trees of classification nodes and their calls.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::fields::F;
use super::http::{Answer, Call, Failure, Reply, text};
use super::items::Change;
use super::json::encode;
use super::state::State;
use super::value::{Millis, Value, guid, iso, parse_date, same};

/// The depth to which areas and iterations may nest.
const MAX_DEPTH: usize = 14;
/// The length of a node's name.
const MAX_NAME: usize = 255;

/// One area or iteration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Node {
    pub(super) project: u16,
    pub(super) parent: Option<u32>,
    pub(super) iteration: bool,
    pub(super) name: String,
    pub(super) guid: String,
    pub(super) start: Option<Millis>,
    pub(super) finish: Option<Millis>,
}

impl State {
    /// Adds a node.
    pub(super) fn add_node(&mut self, project: u16, parent: Option<u32>, iteration: bool, name: &str) -> u32 {
        let id = self.next_node.max(1);
        self.next_node = id + 1;
        let guid = guid(&format!("node {id}"));
        let name = name.to_owned();
        self.nodes.insert(id, Node { project, parent, iteration, name, guid, start: None, finish: None });
        id
    }

    /// The names from the root down to a node.
    pub(super) fn node_names(&self, id: u32) -> Vec<&str> {
        let mut names = Vec::new();
        let mut at = Some(id);
        while let Some(node) = at.and_then(|id| self.nodes.get(&id)) {
            names.push(node.name.as_str());
            at = node.parent;
        }
        names.reverse();
        names
    }

    /// The path as fields hold it: `Fabrikam\Web`.
    pub(super) fn node_path(&self, id: u32) -> String {
        self.node_names(id).join("\\")
    }

    /// The node of a field's path in a project.
    pub(super) fn find_node(&self, project: u16, iteration: bool, path: &str) -> Option<u32> {
        let root = self.root(project, iteration);
        let mut names = path.trim_matches('\\').split('\\');
        if !same(names.next()?, &self.nodes.get(&root)?.name) {
            return None;
        }
        names.try_fold(root, |at, name| self.child(at, name))
    }

    /// The root of a project's areas or iterations.
    pub(super) fn root(&self, project: u16, iteration: bool) -> u32 {
        let project = self.project(project);
        if iteration { project.iteration } else { project.area }
    }

    fn child(&self, parent: u32, name: &str) -> Option<u32> {
        self.nodes.iter().find(|(_, n)| n.parent == Some(parent) && same(&n.name, name)).map(|(&id, _)| id)
    }

    /// Whether a node is another one or lies below it.
    pub(super) fn under(&self, node: u32, above: u32) -> bool {
        let mut at = Some(node);
        while let Some(id) = at {
            if id == above {
                return true;
            }
            at = self.nodes.get(&id).and_then(|n| n.parent);
        }
        false
    }

    fn node_url(&self, base: &str, id: u32) -> String {
        let node = &self.nodes[&id];
        let group = if node.iteration { "Iterations" } else { "Areas" };
        let mut url =
            format!("{base}/{}/_apis/wit/classificationNodes/{group}", self.project(node.project).guid);
        for name in self.node_names(id).into_iter().skip(1) {
            url.push('/');
            url.push_str(&encode(name));
        }
        url
    }

    fn node_json(&self, base: &str, id: u32, depth: usize, links: bool) -> Json {
        let node = &self.nodes[&id];
        let children: Vec<u32> =
            self.nodes.iter().filter(|(_, n)| n.parent == Some(id)).map(|(&c, _)| c).collect();
        let names = self.node_names(id);
        let group = if node.iteration { "Iteration" } else { "Area" };
        let mut path = format!("\\{}\\{group}", names.first().copied().unwrap_or_default());
        for name in names.iter().skip(1) {
            path.push('\\');
            path.push_str(name);
        }
        let mut body = json!({
            "id": id, "identifier": node.guid, "name": node.name,
            "structureType": if node.iteration { "iteration" } else { "area" },
            "hasChildren": !children.is_empty(), "path": path,
        });
        if node.start.is_some() || node.finish.is_some() {
            let mut dates = serde_json::Map::new();
            if let Some(start) = node.start {
                dates.insert("startDate".to_owned(), json!(iso(start)));
            }
            if let Some(finish) = node.finish {
                dates.insert("finishDate".to_owned(), json!(iso(finish)));
            }
            body["attributes"] = Json::Object(dates);
        }
        if depth > 0 && !children.is_empty() {
            let below = children.iter().map(|&c| self.node_json(base, c, depth - 1, false)).collect();
            body["children"] = Json::Array(below);
        }
        let url = self.node_url(base, id);
        if links {
            body["_links"] = json!({"self": {"href": url}});
            if let Some(parent) = node.parent {
                body["_links"]["parent"] = json!({"href": self.node_url(base, parent)});
            }
        }
        body["url"] = json!(url);
        body
    }

    fn call_node(&self, call: &Call) -> Result<u32, Failure> {
        let project = self.scope(call)?;
        let group = call.param("structureGroup").unwrap_or_default();
        let iteration = match group.to_ascii_lowercase().as_str() {
            "areas" => false,
            "iterations" => true,
            _ => {
                return Err(Failure::argument(format!(
                    "The structure group '{group}' is not known: Areas or Iterations is expected."
                )));
            }
        };
        let mut at = self.root(project, iteration);
        for name in call.param("path").unwrap_or_default().split(['/', '\\']).filter(|n| !n.is_empty()) {
            at = self.child(at, name).ok_or_else(|| {
                let key = "WorkItemTrackingTreeNodeNotFoundException";
                let kind = if iteration { "iteration" } else { "area" };
                Failure::new(404, key, format!("VS402485: The {kind} name is not recognized: {name}."))
            })?;
        }
        Ok(at)
    }
}

/// `GET classificationnodes`: both roots, or the nodes of the given ids.
pub(super) fn roots(state: &mut State, call: &Call) -> Answer {
    let project = state.scope(call)?;
    let depth = call.number("$depth")?.unwrap_or(0);
    if let Some(ids) = call.ids("ids")? {
        let omit = call.q("errorpolicy").is_some_and(|p| p.eq_ignore_ascii_case("omit"));
        let mut found = Vec::new();
        for id in ids {
            match state.nodes.get(&id).filter(|n| n.project == project) {
                Some(_) => found.push(state.node_json(&call.base, id, depth, true)),
                None if omit => found.push(Json::Null),
                None => {
                    let key = "WorkItemTrackingTreeNodeNotFoundException";
                    return Err(Failure::new(
                        404,
                        key,
                        format!("VS402485: The node id is not recognized: {id}."),
                    ));
                }
            }
        }
        return Ok(Reply::list(found));
    }
    let ids = [state.root(project, false), state.root(project, true)];
    Ok(Reply::list(ids.iter().map(|&id| state.node_json(&call.base, id, depth, true)).collect()))
}

/// `GET classificationnodes/{group}/{path}`.
pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    let id = state.call_node(call)?;
    Ok(Reply::ok(state.node_json(&call.base, id, call.number("$depth")?.unwrap_or(0), true)))
}

fn set_dates(node: &mut Node, body: &Json) -> Result<(), Failure> {
    let Some(dates) = body.get("attributes").and_then(Json::as_object) else { return Ok(()) };
    for (name, value) in dates {
        let date = match value {
            Json::Null => None,
            value => Some(
                value
                    .as_str()
                    .and_then(parse_date)
                    .ok_or_else(|| Failure::argument(format!("The value of {name} must be a date.")))?,
            ),
        };
        match name.to_ascii_lowercase().as_str() {
            "startdate" => node.start = date,
            "finishdate" => node.finish = date,
            _ => {}
        }
    }
    if node.start.zip(node.finish).is_some_and(|(start, finish)| finish < start) {
        return Err(Failure::argument("VS402490: The finish date must not lie before the start date."));
    }
    Ok(())
}

fn check_name(state: &State, parent: u32, name: &str, but: Option<u32>) -> Result<(), Failure> {
    let bad = name.is_empty()
        || name.chars().count() > MAX_NAME
        || name.contains(['\\', '/', '$', '?', '*', ':', '"', '&', '>', '<', '#', '%', '|', '+']);
    if bad {
        return Err(Failure::argument(format!("TF200023: The node name '{name}' is not valid.")));
    }
    if state.child(parent, name).is_some_and(|id| Some(id) != but) {
        let key = "ClassificationNodeDuplicateNameException";
        return Err(Failure::new(409, key, format!("TF237018: The node name '{name}' is already in use.")));
    }
    Ok(())
}

/// `POST classificationnodes/{group}/{path}`: adds a node, or moves the one whose id is given.
pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    let parent = state.call_node(call)?;
    let body = call.object()?;
    if let Some(id) = body.get("id").and_then(Json::as_u64).filter(|id| *id > 0) {
        return relocate(state, call, u32::try_from(id).unwrap_or(0), parent);
    }
    let name = text(&body, "name").ok_or_else(|| Failure::null("name"))?.trim().to_owned();
    check_name(state, parent, &name, None)?;
    if state.node_names(parent).len() > MAX_DEPTH {
        return Err(Failure::argument("TF200012: The nodes may be nested to a depth of 14."));
    }
    let (project, iteration) = (state.nodes[&parent].project, state.nodes[&parent].iteration);
    let mut draft = state.nodes[&parent].clone();
    (draft.start, draft.finish) = (None, None);
    set_dates(&mut draft, &body)?;
    let id = state.add_node(project, Some(parent), iteration, &name);
    if let Some(node) = state.nodes.get_mut(&id) {
        (node.start, node.finish) = (draft.start, draft.finish);
    }
    state.touch();
    Ok(Reply::created(state.node_json(&call.base, id, 0, true)))
}

fn relocate(state: &mut State, call: &Call, id: u32, parent: u32) -> Answer {
    let Some(node) = state.nodes.get(&id) else {
        return Err(Failure::argument(format!("VS402485: The node id is not recognized: {id}.")));
    };
    if node.iteration != state.nodes[&parent].iteration || node.parent.is_none() || state.under(parent, id) {
        return Err(Failure::argument("TF200018: The node cannot be moved there."));
    }
    check_name(state, parent, &node.name.clone(), Some(id))?;
    if let Some(node) = state.nodes.get_mut(&id) {
        node.parent = Some(parent);
    }
    state.touch();
    Ok(Reply::ok(state.node_json(&call.base, id, 0, true)))
}

/// `PATCH classificationnodes/{group}/{path}`: name and dates.
pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let id = state.call_node(call)?;
    let body = call.object()?;
    let mut draft = state.nodes[&id].clone();
    if let Some(name) = text(&body, "name") {
        let Some(parent) = draft.parent else {
            return Err(Failure::argument("TF200019: The root node cannot be renamed."));
        };
        check_name(state, parent, name, Some(id))?;
        draft.name = name.to_owned();
    }
    set_dates(&mut draft, &body)?;
    state.nodes.insert(id, draft);
    state.touch();
    Ok(Reply::ok(state.node_json(&call.base, id, 0, true)))
}

/// `DELETE classificationnodes/{group}/{path}?$reclassifyId=`.
pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    let id = state.call_node(call)?;
    if state.nodes[&id].parent.is_none() {
        return Err(Failure::argument("TF200020: The root node cannot be deleted."));
    }
    let target = call.number("$reclassifyid")?.and_then(|t| u32::try_from(t).ok());
    let field = if state.nodes[&id].iteration { F::IterationPath } else { F::AreaPath };
    let held: Vec<u32> = state
        .items
        .iter()
        .filter(|(_, item)| matches!(item.get(field), Some(Value::Node(n)) if state.under(*n, id)))
        .map(|(&i, _)| i)
        .collect();
    let valid = target.filter(|t| {
        state.nodes.get(t).is_some_and(|n| n.iteration == state.nodes[&id].iteration) && !state.under(*t, id)
    });
    if valid.is_none() && (target.is_some() || !held.is_empty()) {
        return Err(Failure::argument(
            "VS402487: $reclassifyId must name a node outside of the deleted one.",
        ));
    }
    if let Some(target) = valid {
        for item in held {
            let fields = vec![(field as u16, Some(Value::Node(target)))];
            state.commit(item, Change { fields, by: call.user, at: call.now, ..Change::default() });
        }
    }
    let gone: Vec<u32> = state.nodes.keys().copied().filter(|&n| state.under(n, id)).collect();
    for node in gone {
        state.nodes.remove(&node);
    }
    state.touch();
    Ok(Reply::none())
}
