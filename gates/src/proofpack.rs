//! The proofpack: sealed evidence in one ZIP file with exactly one legal byte string, and its verifier.
//!
//! `build` turns a run folder into a pack, `verify` answers whether the files are intact, who vouches for them and
//! whether the verdict follows from the evidence. Nothing here starts a program, reads a clock or prints.

pub mod agree;
pub mod attack;
pub mod attest;
pub mod build;
pub mod codes;
pub mod compare;
pub mod folder;
pub mod forge;
pub mod intake;
pub mod json;
pub mod layout;
pub mod leak;
pub mod manifest;
pub mod names;
pub mod normalise;
pub mod read;
pub mod readme;
pub mod readme_of;
pub mod records;
pub mod replay_args;
pub mod report;
pub mod reprotest;
pub mod run_facts;
pub mod sbom;
pub mod scripts;
pub mod sign;
pub mod signers;
pub mod spool;
pub mod sums;
pub mod tree;
pub mod verify;
pub mod write;
