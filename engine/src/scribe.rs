//! The first workload: intent and plan become measured, repaired and scored prose.

pub mod measure;
pub mod score;
pub mod style;
