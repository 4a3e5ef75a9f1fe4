//! The first workload: intent and plan become measured, repaired and scored prose.
//!
//! | part | what it does |
//! |---|---|
//! | [`intent`], [`plan`], [`validate`], [`problem`] | two files become one checked story, or every problem at once |
//! | [`generate`] | a story from a seed |
//! | [`prompt`] | what a provider is told: fixed instructions, and a block of data that no free text can leave |
//! | [`flow`] | asks for each scene in order, stores each reply under the scene that asked |
//! | [`measure`], [`style`] | what is in the prose of a scene, and which rules it breaks |
//! | [`repair`] | asks again for what breaks a rule; the best prose seen wins |
//! | [`score`], [`output`] | two scores, two verdicts, and the files of a run |
//! | [`mock_prose`] | prose without a model, with defects planted on purpose |
//! | [`simulate`] | a whole run in this process, for drills |

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
