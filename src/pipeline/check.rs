//! Turns the file as typed into the pipeline as meant.
