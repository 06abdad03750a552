//! Folders of the test repository and of the boards of test plans.

use serde_json::{Value, json};

use super::args::Args;
use super::model::{Folder, Tree};
use super::resolve::Out;
use crate::sandbox::jira_xray::jira::Call;
use crate::sandbox::jira_xray::site::Role;
use crate::sandbox::jira_xray::store::State;

impl Tree {
    /// Splits a path into names; `None` if it is not absolute.
    fn names(path: &str) -> Option<Vec<&str>> {
        let path = path.trim();
        if path.is_empty() || path == "/" {
            return Some(Vec::new());
        }
        let rest = path.strip_prefix('/')?;
        Some(rest.trim_end_matches('/').split('/').map(str::trim).collect())
    }

    /// Finds a folder by its path.
    pub(crate) fn find(&self, path: &str) -> Option<u32> {
        let mut at = 0;
        for name in Self::names(path)? {
            let children = match at {
                0 => self.roots(),
                _ => self.folders.get(&at)?.children.clone(),
            };
            at = children
                .into_iter()
                .find(|c| self.folders.get(c).is_some_and(|f| f.name.eq_ignore_ascii_case(name)))?;
        }
        Some(at)
    }

    fn roots(&self) -> Vec<u32> {
        self.folders.get(&0).map(|f| f.children.clone()).unwrap_or_default()
    }

    /// Makes a folder below an existing one.
    pub(crate) fn add(&mut self, parent: u32, name: &str) -> u32 {
        self.next += 1;
        let id = self.next;
        self.folders.entry(parent).or_default().children.push(id);
        let folder = Folder { name: name.to_owned(), parent, ..Folder::default() };
        self.folders.insert(id, folder);
        id
    }

    /// Makes a path, with the folders above it where they are missing.
    pub(crate) fn ensure(&mut self, path: &str) -> Option<u32> {
        let mut at = 0;
        for name in Self::names(path)? {
            if name.is_empty() {
                return None;
            }
            let children = self.folders.get(&at).map(|f| f.children.clone()).unwrap_or_default();
            let held = children
                .into_iter()
                .find(|c| self.folders.get(c).is_some_and(|f| f.name.eq_ignore_ascii_case(name)));
            at = match held {
                Some(id) => id,
                None => self.add(at, name),
            };
        }
        Some(at)
    }

    /// The path of a folder.
    pub(crate) fn path(&self, mut id: u32) -> String {
        let mut names = Vec::new();
        while let Some(folder) = self.folders.get(&id).filter(|_| id != 0) {
            names.push(folder.name.as_str());
            id = folder.parent;
        }
        names.reverse();
        format!("/{}", names.join("/"))
    }

    /// A folder with all below it.
    pub(crate) fn with_descendants(&self, id: u32) -> Vec<u32> {
        let mut out = vec![id];
        let mut at = 0;
        while at < out.len() {
            if let Some(folder) = self.folders.get(&out[at]) {
                out.extend(folder.children.iter().copied());
            }
            at += 1;
        }
        out
    }

    pub(crate) fn remove_test(&mut self, test: u64) {
        for folder in self.folders.values_mut() {
            folder.tests.retain(|t| *t != test);
        }
    }

    fn remove_precondition(&mut self, id: u64) {
        for folder in self.folders.values_mut() {
            folder.preconditions.retain(|t| *t != id);
        }
    }

    /// Puts a test into a folder and out of the one where it was.
    fn place(&mut self, test: u64, from: u32, to: u32, index: Option<usize>) {
        if let Some(old) = self.folders.get_mut(&from) {
            old.tests.retain(|t| *t != test);
        }
        let tests = &mut self.folders.entry(to).or_default().tests;
        let at = index.unwrap_or(tests.len()).min(tests.len());
        tests.insert(at, test);
    }

    fn counts(&self, id: u32) -> (usize, usize) {
        let all = self.with_descendants(id);
        let held = all.iter().filter_map(|f| self.folders.get(f));
        held.fold((0, 0), |(t, p), f| (t + f.tests.len(), p + f.preconditions.len()))
    }

    /// The tree below a folder as JSON.
    fn listing(&self, id: u32) -> Value {
        let children = self.folders.get(&id).map_or(&[][..], |f| f.children.as_slice());
        let one = |child: &u32| {
            let (tests, preconditions) = self.counts(*child);
            json!({
                "name": self.folders.get(child).map(|f| f.name.clone()), "path": self.path(*child),
                "issuesCount": tests + preconditions, "testsCount": tests,
                "preconditionsCount": preconditions, "folders": self.listing(*child)
            })
        };
        children.iter().map(one).collect()
    }
}

/// The tree that a call means.
#[derive(Clone, Copy, Debug)]
enum Place {
    Repository(u16),
    Board(u64),
}

fn place(state: &State, call: &Call, args: &Args) -> Result<Place, String> {
    if let Some(plan) = args.text("testPlanId") {
        let id = super::entity(state, call, plan, Role::TestPlan)?;
        return Ok(Place::Board(id));
    }
    let project = args.text("projectId").ok_or("projectId or testPlanId must be provided")?;
    let known = state.site.projects.iter().position(|p| p.id.to_string() == project);
    let at = known.and_then(|at| u16::try_from(at).ok());
    at.map(Place::Repository).ok_or_else(|| "projectId provided is not valid".to_owned())
}

fn tree(state: &State, place: Place) -> Tree {
    match place {
        Place::Repository(project) => state.xray.repositories.get(&project).cloned(),
        Place::Board(plan) => state.xray.plans.get(&plan).map(|p| p.folders.clone()),
    }
    .unwrap_or_default()
}

fn tree_mut(state: &mut State, place: Place) -> Option<&mut Tree> {
    state.touch();
    match place {
        Place::Repository(project) => Some(state.xray.repositories.entry(project).or_default()),
        Place::Board(plan) => state.xray.plans.get_mut(&plan).map(|p| &mut p.folders),
    }
}

fn describe(state: &State, place: Place, id: u32, full: bool) -> Value {
    let tree = tree(state, place);
    let (mut tests, preconditions) = tree.counts(id);
    if id == 0 {
        tests = match place {
            Place::Repository(project) => state
                .xray
                .tests
                .keys()
                .filter(|t| state.issue(**t).is_some_and(|i| i.project == project))
                .count(),
            Place::Board(plan) => state.xray.plans.get(&plan).map_or(0, |p| p.tests.len()),
        };
    }
    let name = match id {
        0 => "Test Repository".to_owned(),
        _ => tree.folders.get(&id).map(|f| f.name.clone()).unwrap_or_default(),
    };
    let mut out = json!({
        "name": name, "path": tree.path(id), "issuesCount": tests + preconditions,
        "testsCount": tests, "preconditionsCount": preconditions
    });
    if full {
        out["folders"] = tree.listing(id);
    }
    out
}

/// The board of a plan as a folder.
pub(crate) fn board(state: &State, plan: u64) -> Value {
    describe(state, Place::Board(plan), 0, true)
}

/// `getFolder`.
pub(crate) fn get(state: &State, call: &Call, args: &Args) -> Result<Out, String> {
    let place = place(state, call, args)?;
    let path = args.text("path").unwrap_or("/");
    let id = tree(state, place).find(path).ok_or_else(|| no_folder(path))?;
    Ok(Out::Json(describe(state, place, id, true)))
}

fn no_folder(path: &str) -> String {
    format!("Folder with path {path} not found")
}

/// The mutations of folders.
pub(crate) fn mutate(state: &mut State, call: &Call, name: &str, args: &Args) -> Result<Out, String> {
    match name {
        "updateTestFolder" => {
            let test = super::entity(state, call, args.required("issueId")?, Role::Test)?;
            let path = args.required("folderPath")?;
            move_test(state, call, test, path, None)?;
            return Ok(Out::text(format!("Test moved to the folder {path} successfully")));
        }
        "updatePreconditionFolder" => {
            let id = super::entity(state, call, args.required("issueId")?, Role::Precondition)?;
            let path = args.required("folderPath")?;
            move_precondition(state, call, id, path)?;
            return Ok(Out::text(format!("Precondition moved to the folder {path} successfully")));
        }
        _ => {}
    }
    let place = place(state, call, args)?;
    let path = args.text("path").unwrap_or("/").to_owned();
    match name {
        "createFolder" => create(state, call, place, &path, args),
        "deleteFolder" => delete(state, place, &path),
        "renameFolder" => rename(state, place, &path, args.required("newName")?),
        "moveFolder" => relocate(state, place, &path, args),
        "addTestsToFolder" | "addIssuesToFolder" => {
            let key = if name == "addTestsToFolder" { "testIssueIds" } else { "issueIds" };
            fill(state, call, place, &path, &args.texts(key), args.index())
        }
        _ => {
            let key = if name == "removeTestsFromFolder" { "testIssueIds" } else { "issueIds" };
            for id in args.texts(key) {
                empty(state, call, place, &id)?;
            }
            Ok(Out::text("Tests removed from the folder successfully".to_owned()))
        }
    }
}

fn create(state: &mut State, call: &Call, place: Place, path: &str, args: &Args) -> Result<Out, String> {
    let trimmed = path.trim_end_matches('/');
    let (above, name) = trimmed.rsplit_once('/').ok_or("The folder path must start with /")?;
    if name.trim().is_empty() {
        return Err("The folder name can not be empty".to_owned());
    }
    let held = tree(state, place);
    if held.find(trimmed).is_some() {
        return Err(format!("The folder {path} already exists"));
    }
    let parent = held.find(above).ok_or_else(|| no_folder(above))?;
    let added = tree_mut(state, place).map(|t| t.add(parent, name.trim()));
    let id = added.ok_or_else(|| no_folder(path))?;
    let mut ids = args.texts("testIssueIds");
    ids.extend(args.texts("issueIds"));
    let warnings = put_all(state, call, place, trimmed, &ids, None);
    Ok(Out::Json(json!({"folder": describe(state, place, id, false), "warnings": warnings})))
}

fn delete(state: &mut State, place: Place, path: &str) -> Result<Out, String> {
    let held = tree(state, place);
    let id = held.find(path).filter(|id| *id != 0).ok_or_else(|| no_folder(path))?;
    let gone = held.with_descendants(id);
    for folder in gone.iter().filter_map(|f| held.folders.get(f)) {
        for test in &folder.tests {
            if let (Place::Repository(_), Some(test)) = (place, state.xray.tests.get_mut(test)) {
                test.folder = 0;
            }
        }
        for id in &folder.preconditions {
            if let Some(precondition) = state.xray.preconditions.get_mut(id) {
                precondition.folder = 0;
            }
        }
    }
    if let Some(tree) = tree_mut(state, place) {
        let parent = tree.folders.get(&id).map_or(0, |f| f.parent);
        if let Some(parent) = tree.folders.get_mut(&parent) {
            parent.children.retain(|c| *c != id);
        }
        tree.folders.retain(|f, _| !gone.contains(f));
    }
    Ok(Out::text(format!("Folder {path} deleted successfully")))
}

fn rename(state: &mut State, place: Place, path: &str, name: &str) -> Result<Out, String> {
    let held = tree(state, place);
    let id = held.find(path).filter(|id| *id != 0).ok_or_else(|| no_folder(path))?;
    if name.trim().is_empty() || name.contains('/') {
        return Err("The folder name is not valid".to_owned());
    }
    let parent = held.folders.get(&id).map_or(0, |f| f.parent);
    let siblings = held.folders.get(&parent).map(|f| f.children.clone()).unwrap_or_default();
    let taken = siblings.iter().filter(|s| **s != id).filter_map(|s| held.folders.get(s));
    if taken.into_iter().any(|f| f.name.eq_ignore_ascii_case(name)) {
        return Err(format!("A folder named {name} already exists"));
    }
    if let Some(folder) = tree_mut(state, place).and_then(|t| t.folders.get_mut(&id)) {
        name.trim().clone_into(&mut folder.name);
    }
    Ok(Out::Json(json!({"folder": describe(state, place, id, false), "warnings": []})))
}

fn relocate(state: &mut State, place: Place, path: &str, args: &Args) -> Result<Out, String> {
    let held = tree(state, place);
    let id = held.find(path).filter(|id| *id != 0).ok_or_else(|| no_folder(path))?;
    let to = args.required("destinationPath")?;
    let target = held.find(to).ok_or_else(|| no_folder(to))?;
    if held.with_descendants(id).contains(&target) {
        return Err("A folder can not be moved into itself".to_owned());
    }
    let index = args.index();
    if let Some(tree) = tree_mut(state, place) {
        let parent = tree.folders.get(&id).map_or(0, |f| f.parent);
        if let Some(old) = tree.folders.get_mut(&parent) {
            old.children.retain(|c| *c != id);
        }
        let children = &mut tree.folders.entry(target).or_default().children;
        let at = index.unwrap_or(children.len()).min(children.len());
        children.insert(at, id);
        if let Some(folder) = tree.folders.get_mut(&id) {
            folder.parent = target;
        }
    }
    Ok(Out::Json(json!({"folder": describe(state, place, id, false), "warnings": []})))
}

fn fill(
    state: &mut State,
    call: &Call,
    place: Place,
    path: &str,
    ids: &[String],
    index: Option<usize>,
) -> Result<Out, String> {
    let id = tree(state, place).find(path).ok_or_else(|| no_folder(path))?;
    let warnings = put_all(state, call, place, path, ids, index);
    Ok(Out::Json(json!({"folder": describe(state, place, id, false), "warnings": warnings})))
}

fn put_all(
    state: &mut State,
    call: &Call,
    place: Place,
    path: &str,
    ids: &[String],
    index: Option<usize>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    for (at, text) in ids.iter().enumerate() {
        let index = index.map(|i| i + at);
        if let Err(error) = put_one(state, call, place, path, text, index) {
            warnings.push(format!("{text}: {error}"));
        }
    }
    warnings
}

fn put_one(
    state: &mut State,
    call: &Call,
    place: Place,
    path: &str,
    text: &str,
    index: Option<usize>,
) -> Result<(), String> {
    if let Ok(id) = super::entity(state, call, text, Role::Precondition) {
        return move_precondition(state, call, id, path);
    }
    let test = super::entity(state, call, text, Role::Test)?;
    match place {
        Place::Repository(project) => {
            if state.issue(test).is_none_or(|i| i.project != project) {
                return Err("the Test is not in the project".to_owned());
            }
            move_test(state, call, test, path, index)
        }
        Place::Board(plan) => {
            if state.xray.plans.get(&plan).is_none_or(|p| !p.tests.contains(&test)) {
                return Err("the Test is not in the Test Plan".to_owned());
            }
            let tree = tree_mut(state, place).ok_or("the Test Plan is gone")?;
            let to = tree.find(path).ok_or_else(|| no_folder(path))?;
            tree.remove_test(test);
            if to != 0 {
                tree.place(test, to, to, index);
            }
            Ok(())
        }
    }
}

/// Moves a test within the repository of its project; the root is no folder of its own.
pub(crate) fn move_test(
    state: &mut State,
    call: &Call,
    test: u64,
    path: &str,
    index: Option<usize>,
) -> Result<(), String> {
    let project = state.issue(test).map(|i| i.project).ok_or("the Test is gone")?;
    let tree = state.xray.repositories.entry(project).or_default();
    let to = tree.find(path).ok_or_else(|| no_folder(path))?;
    place_test(state, project, test, to, index);
    state.note(test, call.user, call.now, "Test Repository Folder", path);
    Ok(())
}

/// Puts a test into a folder that is known by its number.
pub(crate) fn place_test(state: &mut State, project: u16, test: u64, to: u32, index: Option<usize>) {
    let Some(data) = state.xray.tests.get_mut(&test) else { return };
    let from = std::mem::replace(&mut data.folder, to);
    let tree = state.xray.repositories.entry(project).or_default();
    if to == 0 {
        if let Some(old) = tree.folders.get_mut(&from) {
            old.tests.retain(|t| *t != test);
        }
    } else {
        tree.place(test, from, to, index);
    }
}

/// Moves a precondition within the repository of its project.
pub(crate) fn move_precondition(state: &mut State, call: &Call, id: u64, path: &str) -> Result<(), String> {
    let project = state.issue(id).map(|i| i.project).ok_or("the Precondition is gone")?;
    let tree = state.xray.repositories.entry(project).or_default();
    let to = tree.find(path).ok_or_else(|| no_folder(path))?;
    tree.remove_precondition(id);
    if to != 0 {
        tree.folders.entry(to).or_default().preconditions.push(id);
    }
    if let Some(data) = state.xray.preconditions.get_mut(&id) {
        data.folder = to;
    }
    state.note(id, call.user, call.now, "Test Repository Folder", path);
    Ok(())
}

fn empty(state: &mut State, call: &Call, place: Place, text: &str) -> Result<(), String> {
    match place {
        Place::Repository(_) => match super::entity(state, call, text, Role::Precondition) {
            Ok(id) => move_precondition(state, call, id, "/"),
            Err(_) => {
                let test = super::entity(state, call, text, Role::Test)?;
                move_test(state, call, test, "/", None)
            }
        },
        Place::Board(_) => {
            let test = super::entity(state, call, text, Role::Test)?;
            if let Some(tree) = tree_mut(state, place) {
                tree.remove_test(test);
            }
            Ok(())
        }
    }
}
