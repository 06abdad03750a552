//! What runs and audits leave for people to read.

pub mod audit;
