//! The judges: pure functions from evidence and policy to a verdict, and the proofpack format. Nothing here spawns a
//! program, reads a clock or prints: a stored pack can be judged again years later.
#![forbid(unsafe_code)]

pub mod check;
pub mod evidence;
pub mod gate;
pub mod plausibility;
pub mod pr_g0;
pub mod pr_g1;
pub mod pr_g2;
pub mod pr_g3;
pub mod pr_g4;
pub mod pr_g5;
pub mod proofpack;
pub mod rejudge;
pub mod repeats;
pub mod statistics;
pub mod verdict;
