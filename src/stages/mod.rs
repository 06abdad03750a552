//! The stages of a run and their order: the only place where parts meet.

pub mod decide;
pub mod diff;
pub mod pairing;
pub mod plan;
pub mod spec;
pub mod transform;
pub mod write;
