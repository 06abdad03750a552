//! testferry keeps test-management artifacts in step between Azure DevOps and other test tools.
//!
//! A run reads two systems into Parquet tables, looks at them through SQL views that are the
//! same for every system, and compares both sides, field by field, with what they held when
//! they last agreed. What one side changed is written to the other; what both changed is a
//! conflict with a winner or without. Everything that is about to be written is journalled
//! first, so that a run that was killed is settled by the next one. A pipeline file says which
//! collections answer to which and how their fields map to a common model. It is a batch job,
//! run at night, and its whole memory is one folder: the staging store.
//!
//! # Code map
//!
//! From the bottom up. Each module may use those above it in this list that it names, and no
//! others; `tests/it/tidy.rs` checks that.
//!
//! - [`model`]: the vocabulary: keys, pairs, tables, fields, changes, outcomes. Knows no system,
//!   no file format, and does not serialise.
//! - [`text`]: formatted text as one tree, read from and written in four notations, and what each
//!   cannot say. Knows `model` only.
//! - [`pipeline`]: the pipeline file as typed, checked, and as meant. Nothing behind it validates
//!   again. Does not know the systems: what they offer is handed to it.
//! - [`http`]: requests until they are answered: sign-in, paging, pacing, the retry table. Knows
//!   nothing of the crate.
//! - [`connectors`]: the contract of a system, the one list of systems, and a folder for each. A
//!   connector does not know the other side, the store, or why it is asked.
//! - [`store`]: where parts, snapshots, the agreement, plans, journals and leases lie, and how they
//!   are committed. Does not know what they mean; only `store/layout.rs` spells a path.
//! - [`journal`]: intents and outcomes as records. Does not know where they lie.
//! - [`report`]: pages for people. Knows nothing of the crate.
//! - [`sql`]: the query engine with its limits, our functions, and the statements of `sql/`, which
//!   are templates. Does not know which pipeline runs.
//! - [`stages`]: settle, extract, diff, load, read back, commit: the only place where the parts
//!   meet. Sees systems as `dyn Connector` and never by name. `stages/decide.rs` is the
//!   three-way decision as a pure function.
//! - [`sandbox`]: the emulators with the made-up company. Stands beside all this and uses
//!   none of it.
//! - [`cli`]: arguments, streams, exit codes; reads the environment and the clock, which nothing
//!   below does.
//!
//! Outside `src`: `pipelines/` the shipped pipeline files, `sql/<system>/` the neutral views of each
//! system, `sql/{transform,diff,load,audit}/` the statements over them, `tests/it/` the tests of the whole.
//!
//! # Invariants
//!
//! 1. Native tables hold what the system said, with names in its own words. Mapping happens in SQL
//!    behind them, and no statement outside `sql/<system>/` reads them.
//! 2. A snapshot is what was read; the base is what was agreed, per pair, field and side, in each
//!    side's own values. The base moves only in the commit after a load, and only for fields that
//!    agree. It is read through the current mapping, so that a changed mapping is no edit.
//! 3. A side changed a field if it differs from that side's own base, not from the other side.
//! 4. A field agrees if the value on one side is among those that the other side's may be
//!    written as. Then nothing is written, even if it reads back differently.
//! 5. A pair whose sides have the hashes of the last agreement under the same mapping is not
//!    mapped at all.
//! 6. Relationships are compared as pairs and merged element by element; additions and removals
//!    are sent, never a whole list. Lists of steps are one value.
//! 7. No plan names the native key of what is yet to be made; it names pairs, and the load
//!    fills in keys as they come to be.
//! 8. Nothing is sent before its intent is durable, and nothing is created while an earlier
//!    create may have happened: it is looked for first, and several candidates are no answer.
//! 9. What was read back becomes the base only with the very revision that the write returned;
//!    otherwise the base is what was sent.
//! 10. A pair is never forgotten. What is gone on one side is neither updated nor made again, and
//!     gone is concluded only from a complete reading and a direct question.
//! 11. An extraction that is not complete fails; nothing is concluded from half a table.
//! 12. A constant is written at creation only, unless the pipeline file asks for more.
//! 13. The first run writes nothing while there are values that no map lists.
//! 14. The library does not print, does not exit, and reads neither environment nor clock.
//!
//! # One night
//!
//! [`cli`] reads the pipeline file ([`pipeline::load`]) with the environment, makes a connector per
//! repository ([`connectors::connect`]), opens the store and calls [`stages::run`]:
//!
//! 1. Leases on the projects are taken, so that no second run works on them, and renewed while the run lasts.
//! 2. *Settle.* Journals since the last commit are read. For creates without an outcome the connector
//!    is asked whether they happened ([`connectors::Connector::find`]); what did becomes half of its pair.
//! 3. *Extract.* Both repositories are read at the same time, table by table; a table that can tell what
//!    changed is read from the last snapshot on, others whole. The parts are committed as a snapshot.
//! 4. *Diff.* A session opens the snapshot with the neutral views. Artifacts without a pair recognise each
//!    other by their cross-references or by their slot; what stays alone will be created. Fields of pairs
//!    that are not at rest are mapped and decided, then ends of relationships. Out comes
//!    a [`stages::plan::Plan`]: changes, conflicts, held, waiting, losses, differences; it is kept as Parquet.
//! 5. *Load.* Changes go out in waves, both sides at a time: what others need at their creation
//!    first, then updates, relationships last, results after their containers. Intents before each
//!    batch, outcomes after it.
//! 6. *Commit.* What was written is read by id, replaces its rows in a further snapshot, and one
//!    head names that snapshot, the pairs, the base and the agreed ends.
//! 7. From 4 again, with the snapshot and the agreement of the round before, until a plan is
//!    empty or [`stages::ROUNDS_MAX`] rounds are over.
//!
//! A night that is killed leaves its journal. The next one settles it in step 2, and its diff sees
//! for itself which updates arrived.
//!
//! # Slots
//!
//! A result lives in a slot and is known by it: (container pair, case pair, configuration, ordinal).
//! `stages/diff/slots.rs` decides all that follows.
//!
//! - *Configurations.* Where a container holds one configuration only
//!   ([`model::Artifact::one_configuration`]) and the container across holds several, a run of n
//!   configurations has n containers. The run pairs with the first: that of the pipeline's constant
//!   configuration if it has such results, else of the one with most. Each further one is made like the
//!   first and recorded as a row of `sync.pairs` with `alias` and its `configuration`, so that it is known
//!   the next night, resolves to the pair of the run, and is not echoed back as a run. Before it exists
//!   its id is that of the pair, `#` and the configuration; a create that was lost is settled by it.
//!   A first container that names no configuration takes everything but a second result of a case.
//!   With the staging store lost, containers that name the same run and differ in their configurations
//!   are told apart by these; those that do not differ are ambiguous, as clones are.
//! - *The other way* the configuration of the container chooses the point; where the plan has none of it,
//!   the constant does. A result whose slot is adopted may stand in another configuration than asked for,
//!   so that two lone results of a case in a container pair whatever their configurations.
//! - *Ordinals.* Where several results share a slot and configuration the latest by completion speaks for
//!   all: it carries the pair, the earlier ones are rows with `alias`, each a loss (`superseded`). A result
//!   that is completed later takes the pair over; what the other side says is written to it.
//!
//! # A further system
//!
//! 1. Read the vendor's documents; write the `mod.rs` of `src/connectors/<system>/` from them: sign-in, paging,
//!    limits, ids, oddities.
//! 2. Write the emulator `src/sandbox/<system>/` from the documents, not from the connector, and its
//!    line in `sandbox::systems`.
//! 3. `wire` the shapes, `client` the requests, `extract` the tables, `load` the changes, with the
//!    sentence how a repeated create is recognised. One line in `connectors::registry`.
//! 4. The neutral views in `sql/<system>/`: the same names and columns for all ([`sql::neutral::views`]).
//! 5. A pipeline file in `pipelines/`.
//!
//! Nothing else changes; if it must, that is a change of its own, made first.
//!
//! # Where the code departs from its design on purpose
//!
//! - Diff and load go in rounds. The key of a new artifact belongs into a field of its counterpart, and a case
//!   that joins a suite is thereby in a plan: such consequences are found by diffing again instead
//!   of being predicted.
//! - The tables of the agreement lie in `sync/<n>/<run>/`, so that two runs which prepare the same
//!   head do not overwrite each other.
//! - Requests are paced by a sliding window and not by a token bucket, which would let twice the budget
//!   through around the edge of the vendor's window.
//! - Values of the model travel as canonical text, with `NULL` for empty: one comparison serves all
//!   field types, and the base needs one column per side.
//! - An extraction that misses a page ends the run instead of marking its collection incomplete.
//! - A run's numbers are made by [`stages`], which alone knows them; [`report`] turns audits into pages.

pub mod cli;
pub mod connectors;
pub mod http;
pub mod journal;
pub mod model;
pub mod pipeline;
pub mod report;
pub mod sandbox;
pub mod sql;
pub mod stages;
pub mod store;
pub mod text;
