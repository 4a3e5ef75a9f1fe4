//! What crosses the process boundary between engine, gates and xtask: encoding, digests, seeds, policy types,
//! observation records and exit codes. Types and data only: nothing here judges, and nothing here runs.
#![forbid(unsafe_code)]

pub mod canonical;
pub mod digest;
pub mod exit;
mod finite;
pub mod seed;
