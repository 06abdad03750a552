//! What both products keep: issues with all that hangs on them, and Xray's own data beside.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::jira::search::SearchCache;
use super::limits::Limits;
use super::site::{Role, Site};
use super::time::Stamp;
use super::xray::import_tests::ImportJob;
use super::xray::model::Xray;

/// Rich text as it was written; the other notation is made when it is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Rich {
    /// A document of version 3, as JSON text.
    Adf(Box<str>),
    /// Wiki markup of version 2 and of Xray.
    Wiki(Box<str>),
}

/// One changed field in the changelog.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct ChangeItem {
    pub(crate) field: Box<str>,
    pub(crate) from: Option<Box<str>>,
    pub(crate) from_text: Option<Box<str>>,
    pub(crate) to: Option<Box<str>>,
    pub(crate) to_text: Option<Box<str>>,
}

/// One entry of the changelog.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) id: u64,
    pub(crate) author: u16,
    pub(crate) at: Stamp,
    pub(crate) items: Vec<ChangeItem>,
}

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    pub(crate) author: u16,
    pub(crate) editor: u16,
    pub(crate) body: Rich,
    pub(crate) created: Stamp,
    pub(crate) updated: Stamp,
    pub(crate) visibility: Option<Value>,
    pub(crate) properties: BTreeMap<String, Value>,
}

/// A link to something outside Jira.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct RemoteLink {
    pub(crate) id: u64,
    pub(crate) global_id: Option<String>,
    /// `application`, `relationship` and `object` as given.
    pub(crate) body: Value,
}

/// A file at an issue.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Attachment {
    pub(crate) id: u64,
    pub(crate) issue: u64,
    pub(crate) name: String,
    pub(crate) mime: String,
    pub(crate) author: u16,
    pub(crate) created: Stamp,
    #[serde(with = "super::persist::base64_bytes")]
    pub(crate) data: Vec<u8>,
}

/// A link between two issues: `source` is the subject of the outward phrase.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) id: u64,
    /// Index into the site's link types.
    pub(crate) kind: u16,
    pub(crate) source: u64,
    pub(crate) target: u64,
}

/// An issue.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Issue {
    pub(crate) id: u64,
    pub(crate) project: u16,
    pub(crate) number: u32,
    pub(crate) kind: u16,
    pub(crate) status: u16,
    pub(crate) priority: u8,
    pub(crate) resolution: Option<u8>,
    pub(crate) resolved: Stamp,
    pub(crate) created: Stamp,
    pub(crate) updated: Stamp,
    pub(crate) status_changed: Stamp,
    pub(crate) summary: Box<str>,
    pub(crate) description: Option<Rich>,
    pub(crate) environment: Option<Rich>,
    pub(crate) assignee: Option<u16>,
    pub(crate) reporter: Option<u16>,
    pub(crate) creator: u16,
    pub(crate) labels: Vec<Box<str>>,
    pub(crate) components: Vec<u64>,
    pub(crate) fix_versions: Vec<u64>,
    pub(crate) versions: Vec<u64>,
    pub(crate) parent: Option<u64>,
    pub(crate) due: Option<Box<str>>,
    /// Values of custom fields by their number, in stored form.
    pub(crate) custom: Vec<(u64, Value)>,
    pub(crate) links: Vec<u64>,
    pub(crate) attachments: Vec<u64>,
    pub(crate) comments: Vec<Comment>,
    pub(crate) remote_links: Vec<RemoteLink>,
    pub(crate) properties: BTreeMap<String, Value>,
    pub(crate) changes: Vec<Change>,
}

impl Issue {
    pub(crate) fn custom_value(&self, number: u64) -> Option<&Value> {
        self.custom.iter().find(|(n, _)| *n == number).map(|(_, v)| v)
    }

    pub(crate) fn set_custom(&mut self, number: u64, value: Option<Value>) {
        self.custom.retain(|(n, _)| *n != number);
        if let Some(value) = value {
            self.custom.push((number, value));
            self.custom.sort_by_key(|(n, _)| *n);
        }
    }
}

/// A long-running operation of Jira, done when its time has come.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) bulk: bool,
    pub(crate) by: u16,
    pub(crate) started: Stamp,
    /// When it counts as finished.
    pub(crate) done_at: Stamp,
    pub(crate) total: usize,
    pub(crate) processed: Vec<u64>,
    pub(crate) failed: BTreeMap<u64, Vec<String>>,
    pub(crate) invalid: usize,
    pub(crate) result: Value,
}

/// What the index shows of an issue until that time; `None`: no such issue.
pub(crate) type Shown = (Stamp, Option<Arc<Issue>>);

/// What is neither saved nor hashed.
#[derive(Debug, Default)]
pub(crate) struct Passing {
    /// Earlier versions that the search index still shows, oldest first.
    pub(crate) stale: HashMap<u64, VecDeque<Shown>>,
    /// Issues made through Jira that Xray has not heard of, with the time it will.
    pub(crate) unknown_to_xray: HashMap<u64, Stamp>,
    pub(crate) tasks: BTreeMap<u64, Task>,
    pub(crate) jobs: BTreeMap<String, ImportJob>,
    pub(crate) search: SearchCache,
    pub(crate) limits: Limits,
    /// Numbers given to tasks, jobs and tokens.
    pub(crate) serial: u64,
    /// Grows with every change of the state.
    pub(crate) revision: u64,
}

/// Counters from which ids are taken.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct Counters {
    pub(crate) issue: u64,
    pub(crate) link: u64,
    pub(crate) comment: u64,
    pub(crate) attachment: u64,
    pub(crate) remote_link: u64,
    pub(crate) change: u64,
}

/// The whole state.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) site: Site,
    pub(crate) counters: Counters,
    pub(crate) issues: BTreeMap<u64, Arc<Issue>>,
    pub(crate) links: BTreeMap<u64, Link>,
    pub(crate) attachments: BTreeMap<u64, Attachment>,
    /// Project index and number to issue id.
    pub(crate) keys: HashMap<(u16, u32), u64>,
    /// Children by parent.
    pub(crate) children: HashMap<u64, Vec<u64>>,
    pub(crate) xray: Xray,
    pub(crate) passing: Passing,
    pub(crate) index_lag: Duration,
    pub(crate) enforce_limits: bool,
}

impl State {
    pub(crate) fn new(site: Site, index_lag: Duration, enforce_limits: bool) -> Self {
        Self {
            site,
            counters: Counters {
                issue: 10_100,
                link: 10_500,
                comment: 10_000,
                attachment: 10_000,
                remote_link: 10_000,
                change: 10_000,
            },
            issues: BTreeMap::new(),
            links: BTreeMap::new(),
            attachments: BTreeMap::new(),
            keys: HashMap::new(),
            children: HashMap::new(),
            xray: Xray::default(),
            passing: Passing::default(),
            index_lag,
            enforce_limits,
        }
    }

    /// Notes that the state changed.
    pub(crate) fn touch(&mut self) {
        self.passing.revision += 1;
    }

    pub(crate) fn serial(&mut self) -> u64 {
        self.passing.serial += 1;
        self.passing.serial
    }

    fn lag_ms(&self) -> i64 {
        i64::try_from(self.index_lag.as_millis()).unwrap_or(i64::MAX)
    }

    pub(crate) fn issue(&self, id: u64) -> Option<&Issue> {
        self.issues.get(&id).map(AsRef::as_ref)
    }

    /// Finds an issue by its id or key; keys are matched without regard to case.
    pub(crate) fn find_issue(&self, id_or_key: &str) -> Option<&Issue> {
        let text = id_or_key.trim();
        if let Ok(id) = text.parse::<u64>() {
            return self.issue(id);
        }
        let (project, number) = text.rsplit_once('-')?;
        let at = self.site.projects.iter().position(|p| p.key.eq_ignore_ascii_case(project))?;
        let key = (u16::try_from(at).ok()?, number.parse().ok()?);
        self.issue(*self.keys.get(&key)?)
    }

    pub(crate) fn key_of(&self, issue: &Issue) -> String {
        format!("{}-{}", self.site.projects[usize::from(issue.project)].key, issue.number)
    }

    pub(crate) fn role(&self, id: u64) -> Option<Role> {
        self.issue(id).map(|i| self.role_of(i))
    }

    pub(crate) fn role_of(&self, issue: &Issue) -> Role {
        self.site.types[usize::from(issue.kind)].role
    }

    /// Keeps what the index shows of an issue until the lag has passed.
    fn remember(&mut self, id: u64, now: Stamp) {
        if self.index_lag.is_zero() {
            return;
        }
        let old = self.issues.get(&id).cloned();
        let until = Stamp(now.0 + self.lag_ms());
        self.passing.stale.entry(id).or_default().push_back((until, old));
    }

    /// Puts a new or changed issue in its place.
    pub(crate) fn put_issue(&mut self, issue: Issue, now: Stamp) {
        self.remember(issue.id, now);
        self.touch();
        let id = issue.id;
        let before = self.issues.get(&id).and_then(|i| i.parent);
        if before != issue.parent || !self.issues.contains_key(&id) {
            if let Some(list) = before.and_then(|p| self.children.get_mut(&p)) {
                list.retain(|c| *c != id);
            }
            if let Some(parent) = issue.parent {
                self.children.entry(parent).or_default().push(id);
            }
        }
        self.keys.insert((issue.project, issue.number), id);
        self.issues.insert(id, Arc::new(issue));
    }

    /// Changes an issue; without a hand on `updated`, which the caller decides about.
    pub(crate) fn change_issue(&mut self, id: u64, now: Stamp, change: impl FnOnce(&mut Issue)) {
        let Some(issue) = self.issues.get(&id) else { return };
        let mut copy = Issue::clone(issue);
        change(&mut copy);
        self.put_issue(copy, now);
    }

    /// Removes an issue with everything that hangs on it.
    pub(crate) fn remove_issue(&mut self, id: u64, now: Stamp) {
        self.remember(id, now);
        self.touch();
        let Some(issue) = self.issues.remove(&id) else { return };
        self.keys.remove(&(issue.project, issue.number));
        if let Some(list) = issue.parent.and_then(|p| self.children.get_mut(&p)) {
            list.retain(|c| *c != id);
        }
        for child in self.children.remove(&id).unwrap_or_default() {
            self.change_issue(child, now, |c| c.parent = None);
        }
        for link in &issue.links {
            self.remove_link(*link, now);
        }
        for attachment in &issue.attachments {
            self.attachments.remove(attachment);
        }
        self.passing.unknown_to_xray.remove(&id);
        self.xray_forget(id, now);
    }

    /// Removes a link from both of its ends.
    pub(crate) fn remove_link(&mut self, link: u64, now: Stamp) -> bool {
        let Some(gone) = self.links.remove(&link) else { return false };
        self.touch();
        for end in [gone.source, gone.target] {
            self.change_issue(end, now, |i| {
                i.links.retain(|l| *l != link);
                i.updated = now;
            });
        }
        true
    }

    /// The issue as the search index shows it at this moment.
    pub(crate) fn indexed(&self, id: u64, now: Stamp) -> Option<&Arc<Issue>> {
        let old =
            self.passing.stale.get(&id).and_then(|versions| versions.iter().find(|(until, _)| *until > now));
        match old {
            Some((_, issue)) => issue.as_ref(),
            None => self.issues.get(&id),
        }
    }

    /// Drops index versions whose time has passed; says whether any is left.
    pub(crate) fn settle_index(&mut self, now: Stamp) -> bool {
        let before = self.passing.stale.len();
        self.passing.stale.retain(|_, versions| {
            while versions.front().is_some_and(|(until, _)| *until <= now) {
                versions.pop_front();
            }
            !versions.is_empty()
        });
        if before > 0 {
            self.passing.search.clear();
        }
        self.passing.unknown_to_xray.retain(|_, until| *until > now);
        !self.passing.stale.is_empty()
    }

    /// Ids that the index shows although the issues are gone.
    pub(crate) fn ghosts(&self) -> HashSet<u64> {
        self.passing.stale.keys().filter(|id| !self.issues.contains_key(id)).copied().collect()
    }

    /// Hides an issue that Jira made from Xray until the lag has passed.
    pub(crate) fn hide_from_xray(&mut self, id: u64, now: Stamp) {
        if !self.index_lag.is_zero() {
            self.passing.unknown_to_xray.insert(id, Stamp(now.0 + self.lag_ms()));
        }
    }

    /// Whether Xray has heard of an issue.
    pub(crate) fn known_to_xray(&self, id: u64, now: Stamp) -> bool {
        self.issues.contains_key(&id)
            && self.passing.unknown_to_xray.get(&id).is_none_or(|until| *until <= now)
    }
}
