//! The system under gate.
#![forbid(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod drill;
pub mod pipeline;
pub mod provider;
pub mod sabotage;
pub mod scribe;
pub mod store;
pub mod wire;
