//! Whole runs of the shipped pipeline between the emulators, night after night.

/// What everything here works with.
mod bench;
/// Several configurations of a case, and several results of one slot.
mod configurations;
/// What people edit on either side.
mod edits;
/// What can be asked for beyond the shipped pipeline.
mod options;
/// Both sides edited, or the pipeline.
mod quarrels;
/// A run that finds nothing new.
mod rest;
/// Where secrets must not be.
mod secrets;
/// Creates whose answer was lost.
mod settling;
