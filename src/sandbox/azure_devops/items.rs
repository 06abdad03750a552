//! Work items with their revisions, kept as differences that lead back from the present.

use serde::{Deserialize, Serialize};

use super::fields::F;
use super::state::State;
use super::value::{Millis, Value};

/// One revision: when and by whom, and what the fields held before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Revision {
    #[serde(rename = "t")]
    pub(super) at: Millis,
    #[serde(rename = "p")]
    pub(super) by: u32,
    #[serde(rename = "w")]
    pub(super) watermark: u64,
    /// The values that this revision replaced; none where the field was empty.
    #[serde(rename = "u", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) undo: Vec<(u16, Option<Value>)>,
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub(super) history: Option<Box<str>>,
    /// Set on the revisions that deletion and restoring make.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub(super) deletion: Option<bool>,
}

/// What a relation points to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Target {
    /// Another work item.
    #[serde(rename = "i")]
    Item(u32),
    /// An uploaded file, by guid.
    #[serde(rename = "f")]
    File(String),
    /// A hyperlink or artifact uri.
    #[serde(rename = "u")]
    Url(String),
}

/// One relation of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Relation {
    /// The full name with its direction.
    #[serde(rename = "r")]
    pub(super) rel: Box<str>,
    #[serde(rename = "t")]
    pub(super) target: Target,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub(super) comment: Option<Box<str>>,
    /// The name of a resource link.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Box<str>>,
    /// The number and the time of a resource link.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub(super) resource: Option<(u32, Millis)>,
}

/// A change of an item's relations, for its list of updates.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LinkUpdate {
    /// The revision that was current, or that the change belongs to.
    pub(super) revision: u32,
    /// Whether it is an update of its own rather than part of the revision's.
    pub(super) own: bool,
    pub(super) at: Millis,
    pub(super) by: u32,
    pub(super) added: bool,
    pub(super) relation: Relation,
}

/// A row of the reporting feed of links.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LinkEvent {
    /// The name without direction.
    pub(super) rel: Box<str>,
    pub(super) source: u32,
    pub(super) target: u32,
    pub(super) at: Millis,
    pub(super) by: u32,
    pub(super) active: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) comment: Option<Box<str>>,
}

/// A comment in the discussion.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Comment {
    pub(super) id: u32,
    pub(super) text: String,
    pub(super) markdown: bool,
    pub(super) created: Millis,
    pub(super) created_by: u32,
    pub(super) modified: Millis,
    pub(super) modified_by: u32,
    pub(super) deleted: bool,
    /// Earlier texts, oldest first, with when and by whom they were written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) earlier: Vec<(String, Millis, u32)>,
}

/// A work item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) project: u16,
    pub(super) kind: Box<str>,
    pub(super) created: Millis,
    pub(super) created_by: u32,
    /// The present values in order of field number.
    pub(super) fields: Vec<(u16, Value)>,
    pub(super) revisions: Vec<Revision>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) relations: Vec<Relation>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) link_updates: Vec<LinkUpdate>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) comments: Vec<Comment>,
    /// When and by whom it was put into the recycle bin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deleted: Option<(Millis, u32)>,
    /// Fields written as Markdown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) markdown: Vec<u16>,
}

/// Reads a value out of a sorted list.
pub(super) fn lookup(fields: &[(u16, Value)], field: u16) -> Option<&Value> {
    fields.binary_search_by_key(&field, |(f, _)| *f).ok().map(|at| &fields[at].1)
}

/// Puts a value into a sorted list, or takes it out.
pub(super) fn assign(fields: &mut Vec<(u16, Value)>, field: u16, value: Option<Value>) -> Option<Value> {
    match (fields.binary_search_by_key(&field, |(f, _)| *f), value) {
        (Ok(at), Some(value)) => Some(std::mem::replace(&mut fields[at].1, value)),
        (Ok(at), None) => Some(fields.remove(at).1),
        (Err(at), Some(value)) => {
            fields.insert(at, (field, value));
            None
        }
        (Err(_), None) => None,
    }
}

impl Item {
    /// The current revision's number.
    pub(super) fn rev(&self) -> u32 {
        u32::try_from(self.revisions.len()).unwrap_or(u32::MAX)
    }

    /// The present value of a field.
    pub(super) fn get(&self, field: F) -> Option<&Value> {
        lookup(&self.fields, field as u16)
    }

    /// The present value of a text field; empty if there is none.
    pub(super) fn text(&self, field: F) -> &str {
        match self.get(field) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// The present value of a date field.
    pub(super) fn date(&self, field: F) -> Option<Millis> {
        match self.get(field) {
            Some(Value::Date(at)) => Some(*at),
            _ => None,
        }
    }

    /// When the item was last changed and by whom.
    pub(super) fn changed(&self) -> (Millis, u32) {
        self.revisions.last().map_or((self.created, self.created_by), |r| (r.at, r.by))
    }

    /// The values as they were at a revision.
    pub(super) fn fields_at(&self, revision: u32) -> Vec<(u16, Value)> {
        let mut fields = self.fields.clone();
        for step in self.revisions.iter().skip(revision as usize).rev() {
            for (field, old) in &step.undo {
                assign(&mut fields, *field, old.clone());
            }
        }
        fields
    }

    /// The revision that was current at a time.
    pub(super) fn revision_at(&self, at: Millis) -> Option<u32> {
        let count = self.revisions.iter().take_while(|r| r.at <= at).count();
        u32::try_from(count).ok().filter(|c| *c > 0)
    }
}

/// A change of one item that has passed every check.
#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    /// New values; none empties the field.
    pub(super) fields: Vec<(u16, Option<Value>)>,
    pub(super) history: Option<Box<str>>,
    /// Make a revision even if no field changes: files and hyperlinks do.
    pub(super) force: bool,
    pub(super) deletion: Option<bool>,
    pub(super) by: u32,
    pub(super) at: Millis,
}

impl State {
    /// Writes one revision, if the change holds anything. Returns whether it did.
    pub(super) fn commit(&mut self, id: u32, change: Change) -> bool {
        let Some(item) = self.items.get_mut(&id) else { return false };
        let mut undo = Vec::new();
        for (field, value) in change.fields {
            if lookup(&item.fields, field) == value.as_ref() {
                continue;
            }
            let old = assign(&mut item.fields, field, value);
            undo.push((field, old));
        }
        let first = item.revisions.is_empty();
        if undo.is_empty() && change.history.is_none() && !change.force && change.deletion.is_none() && !first
        {
            return false;
        }
        // Dates increase with each revision, also when two writes share a millisecond.
        let at = item.revisions.last().map_or(change.at, |last| change.at.max(last.at + 1));
        if first {
            undo = Vec::new();
        }
        self.watermark += 1;
        let watermark = self.watermark;
        item.revisions.push(Revision {
            at,
            by: change.by,
            watermark,
            undo,
            history: change.history,
            deletion: change.deletion,
        });
        self.index.feed.push((watermark, id, item.rev()));
        self.touched = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_revisions_are_found_by_undoing() {
        let mut state = State::default();
        let item = Item {
            project: 0,
            kind: "Bug".into(),
            created: 1,
            created_by: 0,
            fields: Vec::new(),
            revisions: Vec::new(),
            relations: Vec::new(),
            link_updates: Vec::new(),
            comments: Vec::new(),
            deleted: None,
            markdown: Vec::new(),
        };
        state.items.insert(1, item);
        let title = F::Title as u16;
        for (at, text) in [(1, Some("a")), (2, Some("b")), (3, None)] {
            let fields = vec![(title, text.map(Value::text))];
            assert!(state.commit(1, Change { fields, at, ..Change::default() }));
        }
        let item = &state.items[&1];
        assert_eq!(lookup(&item.fields_at(1), title), Some(&Value::text("a")));
        assert_eq!(lookup(&item.fields_at(2), title), Some(&Value::text("b")));
        assert_eq!(lookup(&item.fields_at(3), title), None);
        assert_eq!(item.revision_at(2), Some(2));
    }
}
