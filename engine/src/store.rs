//! Everything that touches a shared folder: many processes use it at once, any of them may be killed at any point, and
//! what a reader sees is old or new, never half.
//!
//! | part | what it promises |
//! |---|---|
//! | [`lock`] | at most one holder; a dead holder is replaced at once, a live one never |
//! | [`atomic`] | a file is replaced whole, in named steps, as durably as the caller asks |
//! | [`cache`] | an entry is served only when it verifies; a damaged one is set aside and counted |
//! | [`ledger`] | money is reserved before it is spent, and a crash never un-spends it |
//! | [`sweep`] | what killed processes left is removed, what live ones hold is not |
//!
//! These calls block the thread, and lock waits are real time even in a virtual run: other processes do not share a
//! paused clock. A virtual run uses the in-memory ledger and a cache of its own, so it never waits.

#[cfg(not(unix))]
compile_error!("the engine runs on Linux and macOS; on Windows only packs can be verified, with `proofpack verify`");

pub mod atomic;
pub mod cache;
mod error;
mod filesystem;
pub mod ledger;
pub mod lock;
pub mod sweep;
mod turn;

pub use error::{Cause, LockTimeout, StoreError};
pub use filesystem::require_local;
