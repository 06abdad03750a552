//! DataFusion: its limits, its catalogue, our functions, and the statements of `sql/`.

pub mod neutral;
