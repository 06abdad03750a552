//! Who is whose counterpart: the table of pairs, and how strangers are recognised.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use crate::model::{PairId, Side};

/// Where a pair stands. A pair is never forgotten; what is not live is neither
/// updated nor created again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Both sides exist and take part.
    Live,
    /// One side exists, the other is to be created.
    Pending,
    /// One side exists, and several artifacts could be what an earlier run made of it.
    Ambiguous,
    /// The left side was deleted.
    LeftGone,
    /// The right side was deleted.
    RightGone,
    /// Both were deleted.
    BothGone,
    /// A side exists and no longer takes part.
    OutOfScope,
    /// A side exists and may not be read.
    Forbidden,
    /// A person took the pair apart.
    Detached,
}

impl State {
    const NAMES: [(State, &'static str); 9] = [
        (State::Live, "live"),
        (State::Pending, "pending"),
        (State::Ambiguous, "ambiguous"),
        (State::LeftGone, "left_gone"),
        (State::RightGone, "right_gone"),
        (State::BothGone, "both_gone"),
        (State::OutOfScope, "out_of_scope"),
        (State::Forbidden, "forbidden"),
        (State::Detached, "detached"),
    ];

    /// Returns the state's name as tables spell it.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(state, _)| *state == self).map_or("live", |(_, name)| name)
    }

    /// Lists the names of all states.
    pub fn names() -> [&'static str; 9] {
        Self::NAMES.map(|(_, name)| name)
    }

    fn parse(name: &str) -> Option<State> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(state, _)| *state)
    }
}

/// One row of `sync.pairs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The pair's id.
    pub id: PairId,
    /// The integration.
    pub integration: String,
    /// The left side's key.
    pub left: Option<String>,
    /// The right side's key.
    pub right: Option<String>,
    /// Where it stands.
    pub state: State,
    /// The left row's hash when everything of the pair was last found at rest.
    pub left_hash: Option<String>,
    /// The right row's hash at that time.
    pub right_hash: Option<String>,
    /// The mapping's hash at that time.
    pub mapping: Option<String>,
    /// Whether this is one side's further artifact of the pair `id`: a container made
    /// because the first could not hold everything, or a result that a later one of
    /// the same slot superseded. It resolves references and is never compared.
    pub alias: bool,
    /// The configuration for which a further container was made, or is to be made.
    pub configuration: Option<String>,
}

/// Parts the id of a container from the configuration of a further one.
const FURTHER: char = '#';

/// Returns the id of a pair's further container for a configuration.
pub fn further(container: &PairId, configuration: &str) -> PairId {
    PairId::new(format!("{container}{FURTHER}{configuration}"))
}

/// Returns the pair to which a further container belongs, and its configuration.
pub fn further_parts(id: &PairId) -> Option<(PairId, &str)> {
    id.as_str().split_once(FURTHER).map(|(pair, configuration)| (PairId::from(pair), configuration))
}

/// Returns the pair that an id stands for: that of the first container.
pub fn resting(id: &PairId) -> PairId {
    further_parts(id).map_or_else(|| id.clone(), |(pair, _)| pair)
}

impl Pair {
    /// Starts a pair at the side where its artifact was first seen.
    pub fn first_seen(integration: &str, side: Side, key: &str) -> Self {
        let letter = if side == Side::Left { 'L' } else { 'R' };
        let mut pair = Self {
            id: PairId::new(format!("{integration}/{letter}{key}")),
            integration: integration.to_owned(),
            left: None,
            right: None,
            state: State::Pending,
            left_hash: None,
            right_hash: None,
            mapping: None,
            alias: false,
            configuration: None,
        };
        pair.set_key(side, key);
        pair
    }

    /// Makes the row of a further artifact that one side has of this pair.
    pub fn further(&self, side: Side, key: &str, configuration: Option<&str>) -> Self {
        let mut row = Self {
            alias: true,
            left: None,
            right: None,
            state: State::Live,
            configuration: configuration.map(str::to_owned),
            ..self.clone()
        };
        row.unsettle();
        row.set_key(side, key);
        row
    }

    /// Starts the pair that `id` names, at the side where it says that the artifact was
    /// first seen; `None` if it is no id of ours.
    pub fn named(id: &PairId) -> Option<Self> {
        let (integration, first) = id.as_str().split_once('/')?;
        let (letter, key) = first.split_at_checked(1)?;
        let side = match letter {
            "L" => Side::Left,
            "R" => Side::Right,
            _ => return None,
        };
        Some(Self::first_seen(integration, side, key))
    }

    /// Tells whether this is a further container that is yet to be made.
    fn is_wanted(&self) -> bool {
        self.configuration.is_some() && !self.alias
    }

    /// Returns a side's key.
    pub fn key(&self, side: Side) -> Option<&str> {
        match side {
            Side::Left => self.left.as_deref(),
            Side::Right => self.right.as_deref(),
        }
    }

    /// Sets a side's key.
    pub fn set_key(&mut self, side: Side, key: &str) {
        match side {
            Side::Left => self.left = Some(key.to_owned()),
            Side::Right => self.right = Some(key.to_owned()),
        }
    }

    /// Tells whether both sides exist and take part.
    pub fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// Forgets that the pair was at rest, so that the next diff looks at it.
    pub fn unsettle(&mut self) {
        (self.left_hash, self.right_hash, self.mapping) = (None, None, None);
    }
}

/// All pairs of a pipeline, found by id and by either key.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    rows: Vec<Pair>,
    by_id: HashMap<PairId, usize>,
    by_key: [HashMap<(String, String), usize>; 2],
}

impl Pairs {
    /// Adds a pair.
    pub fn insert(&mut self, pair: Pair) {
        let at = self.rows.len();
        // The key of a container that is wanted once more leads to the first one.
        for side in Side::BOTH.into_iter().filter(|_| !pair.is_wanted()) {
            if let Some(key) = pair.key(side) {
                self.by_key[side as usize].insert((pair.integration.clone(), key.to_owned()), at);
            }
        }
        match (&pair.configuration, pair.alias) {
            (Some(configuration), true) => {
                self.by_id.insert(further(&pair.id, configuration), at);
            }
            (None, true) => {}
            (_, false) => {
                self.by_id.insert(pair.id.clone(), at);
            }
        }
        self.rows.push(pair);
    }

    /// Makes a further artifact of one side the one that stands for its pair; what stood
    /// for it before becomes the further one.
    pub fn supersede(&mut self, id: &PairId, side: Side, key: &str) {
        let Some(at) = self.by_id.get(id).copied() else { return };
        let integration = self.rows[at].integration.clone();
        let Some(before) = self.rows[at].key(side).map(str::to_owned) else { return };
        let known = self.by_key[side as usize].get(&(integration.clone(), key.to_owned())).copied();
        match known.filter(|known| *known != at) {
            Some(known) => {
                self.rows[known].set_key(side, &before);
                self.by_key[side as usize].insert((integration.clone(), before), known);
            }
            None => {
                let row = self.rows[at].further(side, &before, None);
                self.insert(row);
            }
        }
        self.rows[at].set_key(side, key);
        self.rows[at].unsettle();
        self.by_key[side as usize].insert((integration, key.to_owned()), at);
    }

    /// Forgets the further containers that were wanted and not made.
    pub fn forget_wanted(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        *self = Pairs::default();
        rows.into_iter().filter(|pair| !pair.is_wanted()).for_each(|pair| self.insert(pair));
    }

    /// Finds a pair by the key of one side.
    pub fn find(&self, integration: &str, side: Side, key: &str) -> Option<&Pair> {
        self.by_key[side as usize].get(&(integration.to_owned(), key.to_owned())).map(|at| &self.rows[*at])
    }

    /// Finds a pair by its id.
    pub fn get(&self, id: &PairId) -> Option<&Pair> {
        self.by_id.get(id).map(|at| &self.rows[*at])
    }

    /// Finds a pair by its id, to change anything but its keys.
    pub fn get_mut(&mut self, id: &PairId) -> Option<&mut Pair> {
        self.by_id.get(id).map(|at| &mut self.rows[*at])
    }

    /// Gives a pair its key on `side` and, if that completes it, makes it live.
    pub fn complete(&mut self, id: &PairId, side: Side, key: &str) {
        let Some(at) = self.by_id.get(id).copied() else { return };
        let pair = &mut self.rows[at];
        if pair.is_wanted() {
            *pair = Pair { id: resting(id), ..pair.further(side, key, pair.configuration.as_deref()) };
        }
        pair.set_key(side, key);
        let waits = matches!(pair.state, State::Pending | State::Ambiguous);
        if pair.left.is_some() && pair.right.is_some() && waits {
            pair.state = State::Live;
        }
        self.by_key[side as usize].insert((pair.integration.clone(), key.to_owned()), at);
    }

    /// Adds a further container of a pair, which the system made because the first could
    /// not be widened.
    pub fn add_further(&mut self, id: &PairId, side: Side, key: &str) {
        let Some(first) = self.get(id).filter(|p| self.find(&p.integration, side, key).is_none()) else {
            return;
        };
        let alias = first.further(side, key, None);
        self.insert(alias);
    }

    /// Lists all pairs.
    pub fn iter(&self) -> impl Iterator<Item = &Pair> {
        self.rows.iter()
    }

    /// Lists all pairs, to change anything but their keys.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Pair> {
        self.rows.iter_mut()
    }

    /// Returns the schema of `sync.pairs`.
    pub fn schema() -> SchemaRef {
        let text = |name| Field::new(name, DataType::Utf8, true);
        Arc::new(Schema::new(vec![
            text("pair"),
            text("integration"),
            text("left_key"),
            text("right_key"),
            text("state"),
            text("left_hash"),
            text("right_hash"),
            text("mapping"),
            Field::new("alias", DataType::Boolean, false),
            text("configuration"),
        ]))
    }

    /// Returns the pairs as rows of `sync.pairs`.
    pub fn to_batch(&self) -> RecordBatch {
        let text = |get: fn(&Pair) -> Option<&str>| -> ArrayRef {
            Arc::new(self.rows.iter().map(get).collect::<StringArray>())
        };
        let alias: BooleanArray = self.rows.iter().map(|p| Some(p.alias)).collect();
        let columns: Vec<ArrayRef> = vec![
            text(|p| Some(p.id.as_str())),
            text(|p| Some(&p.integration)),
            text(|p| p.left.as_deref()),
            text(|p| p.right.as_deref()),
            text(|p| Some(p.state.as_str())),
            text(|p| p.left_hash.as_deref()),
            text(|p| p.right_hash.as_deref()),
            text(|p| p.mapping.as_deref()),
            Arc::new(alias),
            text(|p| p.configuration.as_deref()),
        ];
        RecordBatch::try_new(Self::schema(), columns).expect("the columns were built from the schema")
    }

    /// Reads rows of `sync.pairs`.
    ///
    /// # Errors
    ///
    /// Names the first row that is damaged.
    pub fn from_batches(batches: &[RecordBatch]) -> Result<Self, String> {
        let mut pairs = Pairs::default();
        for batch in batches {
            for row in 0..batch.num_rows() {
                let pair = read(batch, row).ok_or_else(|| format!("row {row} of sync.pairs is damaged"))?;
                pairs.insert(pair);
            }
        }
        Ok(pairs)
    }
}

fn read(batch: &RecordBatch, row: usize) -> Option<Pair> {
    let text = |name: &str| {
        let column = batch.column_by_name(name)?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    Some(Pair {
        id: PairId::new(text("pair")?),
        integration: text("integration")?,
        left: text("left_key"),
        right: text("right_key"),
        state: State::parse(&text("state")?)?,
        left_hash: text("left_hash"),
        right_hash: text("right_hash"),
        mapping: text("mapping"),
        alias: batch.column_by_name("alias")?.as_boolean_opt()?.value(row),
        configuration: text("configuration"),
    })
}

/// A sign that two strangers are counterparts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sign {
    /// The left key.
    pub left: String,
    /// The right key.
    pub right: String,
    /// Which of the pipeline's `match` fields says so, by position.
    pub field: usize,
}

/// What the signs come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recognised {
    /// Counterparts: left and right keys.
    pub pairs: Vec<(String, String)>,
    /// Strangers with more than one possible counterpart, with those.
    pub ambiguous: Vec<(Side, String, Vec<String>)>,
}

/// Recognises counterparts among strangers.
///
/// Two fields that point at each other outweigh one, so that a clone, which keeps
/// the field of its original, does not make the original ambiguous. After that
/// the fields are taken in the pipeline's order; a sign counts only if it is the
/// only one for both of its ends.
pub fn recognise(signs: &[Sign]) -> Recognised {
    let mut open: BTreeMap<(String, String), BTreeSet<usize>> = BTreeMap::new();
    for sign in signs {
        open.entry((sign.left.clone(), sign.right.clone())).or_default().insert(sign.field);
    }
    let mut found = Recognised::default();
    take_unique(&mut open, &mut found.pairs, |fields| fields.len() > 1);
    let fields: BTreeSet<usize> = signs.iter().map(|s| s.field).collect();
    for field in fields {
        take_unique(&mut open, &mut found.pairs, |fields| fields.contains(&field));
    }
    let mut candidates: BTreeMap<(Side, String), Vec<String>> = BTreeMap::new();
    for (left, right) in open.into_keys() {
        candidates.entry((Side::Left, left.clone())).or_default().push(right.clone());
        candidates.entry((Side::Right, right)).or_default().push(left);
    }
    found.ambiguous = candidates.into_iter().map(|((side, key), list)| (side, key, list)).collect();
    found
}

/// Takes the edges that `counts` and that are alone at both ends, with all other edges of those ends.
fn take_unique(
    open: &mut BTreeMap<(String, String), BTreeSet<usize>>,
    pairs: &mut Vec<(String, String)>,
    counts: impl Fn(&BTreeSet<usize>) -> bool,
) {
    let mut degree: HashMap<(Side, String), usize> = HashMap::new();
    for ((left, right), fields) in open.iter() {
        if counts(fields) {
            *degree.entry((Side::Left, left.clone())).or_default() += 1;
            *degree.entry((Side::Right, right.clone())).or_default() += 1;
        }
    }
    let alone = |side, key: &String| degree.get(&(side, key.clone())) == Some(&1);
    let taken: Vec<(String, String)> = open
        .iter()
        .filter(|((left, right), fields)| {
            counts(fields) && alone(Side::Left, left) && alone(Side::Right, right)
        })
        .map(|(edge, _)| edge.clone())
        .collect();
    let lefts: BTreeSet<&String> = taken.iter().map(|(left, _)| left).collect();
    let rights: BTreeSet<&String> = taken.iter().map(|(_, right)| right).collect();
    open.retain(|(left, right), _| !lefts.contains(left) && !rights.contains(right));
    pairs.extend(taken.iter().cloned());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(left: &str, right: &str, field: usize) -> Sign {
        Sign { left: left.into(), right: right.into(), field }
    }

    #[test]
    fn fields_that_point_at_each_other_outweigh_a_clone() {
        let found = recognise(&[sign("1", "a", 0), sign("1", "a", 1), sign("1", "clone", 0)]);
        assert_eq!(found.pairs, [("1".to_owned(), "a".to_owned())]);
        assert!(found.ambiguous.is_empty());
    }

    #[test]
    fn two_claims_on_one_artifact_are_ambiguous() {
        let found = recognise(&[sign("1", "a", 0), sign("1", "b", 0)]);
        assert!(found.pairs.is_empty());
        assert_eq!(found.ambiguous.len(), 3);
    }

    #[test]
    fn a_later_field_is_asked_only_about_the_rest() {
        let found = recognise(&[sign("1", "a", 0), sign("1", "b", 1), sign("2", "b", 1)]);
        assert_eq!(found.pairs, [("1".into(), "a".into()), ("2".into(), "b".into())]);
    }

    #[test]
    fn further_container_stands_for_its_pair_once_it_is_made() {
        let mut pairs = Pairs::default();
        pairs.insert(Pair::first_seen("runs", Side::Left, "7"));
        pairs.complete(&"runs/L7".into(), Side::Right, "90");
        let id = further(&"runs/L7".into(), "Edge");
        let wanted = Pair {
            id: id.clone(),
            configuration: Some("Edge".into()),
            ..Pair::first_seen("runs", Side::Left, "7")
        };
        pairs.insert(wanted);
        assert_eq!(pairs.find("runs", Side::Left, "7").unwrap().right.as_deref(), Some("90"));
        pairs.complete(&id, Side::Right, "91");
        for pairs in [pairs.clone(), Pairs::from_batches(&[pairs.to_batch()]).unwrap()] {
            let made = pairs.find("runs", Side::Right, "91").unwrap();
            assert_eq!((made.id.as_str(), made.left.as_deref(), made.alias), ("runs/L7", None, true));
            assert_eq!(pairs.get(&id).unwrap().right.as_deref(), Some("91"));
            assert_eq!(pairs.get(&"runs/L7".into()).unwrap().right.as_deref(), Some("90"));
        }
    }

    #[test]
    fn container_that_was_not_made_is_forgotten() {
        let mut pairs = Pairs::default();
        pairs.insert(Pair::first_seen("runs", Side::Left, "7"));
        let id = further(&"runs/L7".into(), "Edge");
        pairs.insert(Pair {
            id: id.clone(),
            configuration: Some("Edge".into()),
            ..Pair::first_seen("runs", Side::Left, "7")
        });
        pairs.forget_wanted();
        assert!(pairs.get(&id).is_none() && pairs.get(&"runs/L7".into()).is_some());
    }

    #[test]
    fn later_result_takes_the_place_of_an_earlier_one() {
        let mut pairs = Pairs::default();
        pairs.insert(Pair::first_seen("results", Side::Left, "1"));
        let id = PairId::from("results/L1");
        pairs.complete(&id, Side::Right, "r");
        for newest in ["2", "1", "2"] {
            pairs.supersede(&id, Side::Left, newest);
            assert_eq!(pairs.get(&id).unwrap().left.as_deref(), Some(newest));
            assert!(!pairs.find("results", Side::Left, newest).unwrap().alias);
        }
        assert_eq!(pairs.rows.len(), 2);
        assert!(pairs.find("results", Side::Left, "1").unwrap().alias);
    }

    #[test]
    fn pairs_survive_their_table() {
        let mut pairs = Pairs::default();
        pairs.insert(Pair::first_seen("test-cases", Side::Right, "10001"));
        pairs.complete(&"test-cases/R10001".into(), Side::Left, "7");
        let back = Pairs::from_batches(&[pairs.to_batch()]).unwrap();
        assert_eq!(back.rows, pairs.rows);
        assert!(back.find("test-cases", Side::Left, "7").unwrap().is_live());
    }
}
