//! What crosses the process boundary between engine, gates and xtask: encoding, digests, seeds, policy types,
//! observation records and exit codes. Types and data only: nothing here judges, and nothing here runs.
#![forbid(unsafe_code)]

pub mod calibration;
pub mod canonical;
pub mod chaos_profile;
pub mod digest;
pub mod draw;
pub mod exit;
mod finite;
pub mod layers;
pub mod money;
pub mod plan;
pub mod policy;
pub mod record;
pub mod schema;
pub mod seed;
