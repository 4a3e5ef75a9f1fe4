//! The judges.
#![forbid(unsafe_code)]

pub mod proofpack;
