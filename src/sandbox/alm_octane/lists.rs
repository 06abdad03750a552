//! What every workspace is born with: lists, phases with their transitions, roots.

use super::problem::token;
use super::store::State;
use super::value::{Millis, Ref, Row, Val};

/// Lists with their items, by logical names.
const LISTS: [(&str, &str); 15] = [
    ("severity", "low medium high very_high urgent"),
    ("priority", "low medium high very_high urgent"),
    ("run_native_status", "passed failed blocked skipped not_completed planned"),
    ("run_status", "passed failed skipped requires_attention planned"),
    ("run_mode", "manually automatically"),
    ("business_impact", "no_impact low medium high critical"),
    ("test_type", "acceptance end_to_end regression sanity security performance"),
    ("testing_tool_type", "manual_runner selenium uft loadrunner other"),
    ("automation_status", "not_automated ready_for_automation automated not_to_be_automated"),
    ("manual_test_run_step_type", "validate normal feature scenario iteration"),
    ("release_agile_type", "scrum kanban"),
    ("framework", "junit testng nunit xunit mstest pytest other"),
    ("test_level", "unit integration system"),
    ("run_problem", "regression continuously_failing fixed unstable"),
    ("activity_level", "active inactive"),
];

/// A list of this customer's own, for a field that users added.
pub(super) const OWN_LIST: (&str, [&str; 3]) = ("System under test", ["Pocket", "Desktop", "Scientific"]);

/// Phases of each entity, in order; the first one is where work starts.
const PHASES: [(&str, &str); 9] = [
    ("test_manual", "new indesign awaitingreview ready obsolete"),
    ("gherkin_test", "new indesign awaitingreview ready obsolete"),
    ("defect", "new opened fixed proposeclose closed rejected duplicate deferred"),
    ("story", "new inprogress intesting done"),
    ("quality_story", "new inprogress done"),
    ("feature", "new inprogress intesting done"),
    ("epic", "new inprogress intesting done"),
    ("requirement_document", "draft indesign inreview approved accepted rejected deferred"),
    ("task", "new inprogress completed"),
];

/// Moves beyond those to the neighbours: from, to; `*` is every phase.
const SHORT_CUTS: [(&str, &str, &str); 13] = [
    ("test_manual", "new", "ready"),
    ("test_manual", "indesign", "ready"),
    ("test_manual", "ready", "indesign"),
    ("test_manual", "*", "obsolete"),
    ("test_manual", "obsolete", "indesign"),
    ("gherkin_test", "*", "ready"),
    ("gherkin_test", "*", "obsolete"),
    ("defect", "opened", "*"),
    ("defect", "*", "opened"),
    ("defect", "new", "*"),
    ("defect", "fixed", "closed"),
    ("requirement_document", "*", "approved"),
    ("requirement_document", "approved", "*"),
];

/// The words of a phase's name that are more than one.
const NAMES: [(&str, &str); 6] = [
    ("indesign", "In Design"),
    ("awaitingreview", "Awaiting Review"),
    ("proposeclose", "Propose Close"),
    ("inprogress", "In Progress"),
    ("intesting", "In Testing"),
    ("inreview", "In Review"),
];

fn name_of(word: &str) -> String {
    if let Some((_, name)) = NAMES.iter().find(|(w, _)| *w == word) {
        return (*name).to_owned();
    }
    let mut out = String::new();
    for part in word.split('_') {
        if !out.is_empty() {
            out.push(' ');
        }
        let (first, rest) = part.split_at(part.len().min(1));
        out.push_str(&first.to_ascii_uppercase());
        out.push_str(rest);
    }
    out
}

struct Maker<'a> {
    state: &'a mut State,
    at: Millis,
}

impl Maker<'_> {
    fn field(&self, table: &str, name: &str) -> u16 {
        self.state.schema.known(table, name)
    }

    fn add(&mut self, table: &str, id: &str, values: Vec<(&str, Val)>) -> Ref {
        let place = self.state.schema.table_of(table).unwrap_or_default();
        let mut row = Row::new(0, super::FIRST_USER, self.at);
        for (name, value) in values {
            row.set(self.field(table, name), Some(value));
        }
        let at = Ref(place, self.state.fresh(place));
        self.state.put(at, row);
        if !id.is_empty() {
            self.state.christen(at, id);
        }
        at
    }

    fn list(&mut self, logical: &str, name: &str, items: &[(String, String)]) {
        let root = self.add(
            "list_node",
            logical,
            vec![("name", Val::text(name)), ("logical_name", Val::text(logical))],
        );
        for (index, (id, name)) in items.iter().enumerate() {
            let values = vec![
                ("name", Val::text(name.as_str())),
                ("logical_name", Val::text(id.as_str())),
                ("list_root", Val::Ref(root)),
                ("index", Val::Int(i64::try_from(index).unwrap_or_default())),
                ("activity_level", Val::Int(0)),
            ];
            self.add("list_node", id, values);
        }
    }

    fn phases(&mut self, entity: &str, words: &str) {
        let words: Vec<&str> = words.split(' ').collect();
        let mut made = Vec::new();
        for (index, word) in words.iter().enumerate() {
            let stage = if index == 0 {
                "new"
            } else if index + 1 == words.len() {
                "done"
            } else {
                "inprogress"
            };
            let metaphase = self.state.find_id(
                self.state.schema.table_of("metaphase").unwrap_or_default(),
                &format!("metaphase.work_item.{stage}"),
            );
            let id = format!("phase.{entity}.{word}");
            let mut values = vec![
                ("name", Val::text(name_of(word))),
                ("logical_name", Val::text(id.as_str())),
                ("entity", Val::text(entity)),
                ("is_start_phase", Val::Bool(index == 0)),
                ("is_system", Val::Bool(true)),
                ("is_hidden", Val::Bool(false)),
                ("index", Val::Int(i64::try_from(index).unwrap_or_default())),
            ];
            values.extend(metaphase.map(|m| ("metaphase", Val::Ref(m))));
            made.push(self.add("phase", &id, values));
        }
        let cut = |from: &str, to: &str| {
            let fits = |rule: &str, word: &str| rule == "*" || rule == word;
            SHORT_CUTS.iter().any(|(e, f, t)| *e == entity && fits(f, from) && fits(t, to))
        };
        for (from, source) in words.iter().enumerate() {
            for (to, target) in words.iter().enumerate() {
                if from != to && (from.abs_diff(to) == 1 || cut(source, target)) {
                    let logical = format!("transition.{entity}.{source}_{target}");
                    let values = vec![
                        ("entity", Val::text(entity)),
                        ("logical_name", Val::text(logical.as_str())),
                        ("source_phase", Val::Ref(made[from])),
                        ("target_phase", Val::Ref(made[to])),
                        ("is_primary", Val::Bool(to == from + 1)),
                    ];
                    self.add("transition", &logical, values);
                }
            }
        }
    }
}

/// Fills a state with what every workspace has.
pub(super) fn fill(state: &mut State, at: Millis) {
    let mut maker = Maker { state, at };
    for (list, words) in LISTS {
        let logical = format!("list_node.{list}");
        let items: Vec<(String, String)> =
            words.split(' ').map(|w| (format!("{logical}.{w}"), name_of(w))).collect();
        maker.list(&logical, &name_of(list), &items);
    }
    let (own, items) = OWN_LIST;
    let items: Vec<(String, String)> =
        items.iter().map(|name| (token(&format!("{own} {name}")), (*name).to_owned())).collect();
    maker.list(&token(own), own, &items);
    for stage in ["new", "inprogress", "done"] {
        let id = format!("metaphase.work_item.{stage}");
        let values = vec![("name", Val::text(name_of(stage))), ("logical_name", Val::text(id.as_str()))];
        maker.add("metaphase", &id, values);
    }
    for (entity, words) in PHASES {
        maker.phases(entity, words);
    }
    maker.add("work_item", "", vec![("name", Val::text("Backlog"))]);
    maker.add("requirement", "", vec![("name", Val::text("Requirements"))]);
    let area = vec![("name", Val::text("Application Modules"))];
    maker.add("product_area", "", area);
}

/// Whether a phase may follow another.
pub(super) fn allowed(state: &State, from: Ref, to: Ref) -> bool {
    let table = state.schema.table_of("transition").unwrap_or_default();
    let (source, target) =
        (state.schema.known("transition", "source_phase"), state.schema.known("transition", "target_phase"));
    let fits = |row: &Row| row.one(source) == Some(from) && row.one(target) == Some(to);
    from == to || state.table(table).rows.values().any(fits)
}
