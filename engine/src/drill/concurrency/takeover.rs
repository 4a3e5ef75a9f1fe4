//! A holder is killed while somebody waits for its lock: how long until the waiter is in?

use std::fs;
use std::path::Path;
use std::time::Duration;

use contract::record::lock::Takeover;
use serde::{Deserialize, Serialize};

use super::Drill;
use super::crowd::wait_until;
use super::task::Task;
use crate::clock::since_boot_ns;
use crate::drill::DrillError;
use crate::drill::process::Worker;
use crate::store::atomic::{self, Durability, Observer};
use crate::store::lock::{self, Guard, LockPolicy};

/// What a taker writes down.
#[derive(Serialize, Deserialize)]
struct Taken {
    acquired_ns: Option<u64>,
    error: String,
}

const START_MAX: Duration = Duration::from_secs(60);

pub(super) fn takeovers(drill: &Drill) -> Result<Vec<Takeover>, DrillError> {
    (0..drill.setting.calibration.concurrency_kills).map(|trial| takeover(drill, trial)).collect()
}

fn takeover(drill: &Drill, trial: u64) -> Result<Takeover, DrillError> {
    let folder = drill.work.path().join(format!("takeover-{trial}"));
    let lock = folder.join("key.lock");
    let take = |name: &str, hold| -> Result<(Worker, std::path::PathBuf), DrillError> {
        let note = folder.join(name);
        let (policy, zero_ns) = (drill.policy, drill.zero_ns);
        let task = Task::Take { lock: lock.clone(), note: note.clone(), policy, zero_ns, hold };
        Ok((Worker::start(&task.to_json()?)?, note))
    };
    let (holder, held) = take("holder.note", true)?;
    wait_until(START_MAX, "the holder holds", || Ok(held.exists()))?;
    let (waiter, note) = take("waiter.note", false)?;
    wait_until(START_MAX, "the waiter waits", || Ok(note.with_extension("waits").exists()))?;
    // Long enough for its pauses to have grown to the cap: the slowest case.
    let pause_us = 20_000 + drill.seed.derive("takeover", trial).0 % 5_000;
    std::thread::sleep(Duration::from_micros(pause_us));
    let killed_ns = drill.now_ns();
    holder.kill()?;
    waiter.wait()?;
    let bytes = fs::read(&note)?;
    let taken: Taken = serde_json::from_slice(&bytes).map_err(|error| DrillError::Failed(error.to_string()))?;
    Ok(Takeover { trial, killed_ns, acquired_ns: taken.acquired_ns, error: taken.error })
}

/// The task of holder and waiter.
pub(super) fn take(lock: &Path, note: &Path, policy: &LockPolicy, zero_ns: u64, hold: bool) -> Result<(), DrillError> {
    let write = |path: &Path, bytes: &[u8]| atomic::put(path, bytes, Durability::None, &Observer::default());
    write(&note.with_extension("waits"), b"")?;
    let acquired = lock::acquire(lock, policy, "takeover");
    let now_ns = since_boot_ns().saturating_sub(zero_ns);
    let (taken, guard) = match acquired {
        Ok(guard) => (Taken { acquired_ns: Some(now_ns), error: String::new() }, Some(guard)),
        Err(error) => (Taken { acquired_ns: None, error: error.word().to_owned() }, None),
    };
    write(note, &serde_json::to_vec(&taken).map_err(|error| DrillError::Failed(error.to_string()))?)?;
    match guard {
        Some(guard) if hold => hold_until_killed(&guard),
        Some(guard) => Ok(guard.release()?),
        None => Ok(()),
    }
}

fn hold_until_killed(_guard: &Guard) -> ! {
    loop {
        std::thread::park();
    }
}
