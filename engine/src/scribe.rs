//! The first workload: intent and plan become measured, repaired and scored prose.

pub mod flow;
pub mod generate;
pub mod intent;
pub mod measure;
pub mod mock_prose;
pub mod output;
pub mod plan;
pub mod problem;
pub mod prompt;
pub mod repair;
mod schema;
pub mod score;
pub mod simulate;
pub mod style;
pub mod time;
pub mod validate;
