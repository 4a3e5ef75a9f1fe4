//! What one worker process is told to do. Each task calls the same store functions as the engine does.

use std::path::PathBuf;

use contract::record::lock::{Fault, Operation};
use serde::{Deserialize, Serialize};

use super::arena::Arena;
use super::{reader, steps, storage, takeover, writer};
use crate::drill::DrillError;
use crate::store::lock::LockPolicy;

/// One task.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub(super) enum Task {
    /// Increment counters and store entries.
    Write {
        arena: Arena,
        writer: u64,
        /// Increments to do; 0 means until called off.
        increments: u64,
        /// Stop this process (SIGSTOP) once, inside the first critical section.
        stop_inside: bool,
        seed: contract::seed::Seed,
    },
    /// Read counters and entries until called off.
    Read { arena: Arena, reader: u64, seed: contract::seed::Seed },
    /// Acquire a lock, say when in `note`, and release it, or hold it for ever.
    Take { lock: PathBuf, note: PathBuf, policy: LockPolicy, zero_ns: u64, hold: bool },
    /// Do an operation, killing this process before the named step.
    Step { folder: PathBuf, operation: Operation, kill_before: Option<String>, policy: LockPolicy },
    /// Store over an old entry under a fault of the disk, and write down what came of it.
    Fault { fault: Fault, folder: PathBuf, note: PathBuf, policy: LockPolicy },
    /// Store the old entry of a fault.
    PrepareFault { folder: PathBuf, policy: LockPolicy },
}

impl Task {
    pub(super) fn to_json(&self) -> Result<String, DrillError> {
        serde_json::to_string(self).map_err(|error| DrillError::Failed(format!("task: {error}")))
    }

    pub(super) fn perform(self) -> Result<(), DrillError> {
        match self {
            Self::Write { arena, writer, increments, stop_inside, seed } => {
                writer::write(&arena, writer, increments, stop_inside, seed)
            }
            Self::Read { arena, reader, seed } => reader::read(&arena, reader, seed),
            Self::Take { lock, note, policy, zero_ns, hold } => takeover::take(&lock, &note, &policy, zero_ns, hold),
            Self::Step { folder, operation, kill_before, policy } => {
                steps::perform(&folder, operation, kill_before, policy)
            }
            Self::Fault { fault, folder, note, policy } => storage::meet(fault, &folder, &note, policy),
            Self::PrepareFault { folder, policy } => storage::prepare(&folder, policy),
        }
    }
}
