//! Acceptance of the proofpack: archive bytes, attack rows, build and verify, each named after its rule.

mod archive;
mod attack;
mod pack;
mod world;
