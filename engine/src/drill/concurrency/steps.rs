//! Every named step of every operation, killed once: what do readers see, what does the ledger count, and does the same
//! operation work when another process does it again?

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use contract::digest::Digest;
use contract::money::MicroUsd;
use contract::record::ledger::{LedgerLimits, ModelLimits};
use contract::record::lock::{CrashPoint, Found, Operation, Phase};
use rustix::process::Signal;

use super::arena::{body, facts};
use super::task::Task;
use super::{Drill, Found as Rows};
use crate::clock::Clock;
use crate::drill::DrillError;
use crate::drill::process::{Worker, signal_self};
use crate::store::StoreError;
use crate::store::atomic::{Durability, Observer, Step};
use crate::store::cache::{Cache, Lookup};
use crate::store::ledger::{Ledger, LedgerError, Request};
use crate::store::lock::LockPolicy;
use crate::store::sweep::sweep;

/// The steps of each durable operation, in their order. A test compares them with what the store really does.
pub(super) const STEPS: [(Operation, &[Step]); 5] = {
    use Step::{Append, CreateTmp, Lock, Remove, Rename, SyncDir, SyncFile, Unlock, Write};
    [
        (Operation::Put, &[Lock, CreateTmp, Write, SyncFile, Rename, SyncDir, Unlock]),
        (Operation::Evict, &[Lock, Remove, SyncDir, Unlock]),
        (Operation::Reserve, &[Lock, Append, SyncFile, Unlock]),
        (Operation::Settle, &[Lock, Append, SyncFile, Unlock]),
        (Operation::Sweep, &[Lock, Remove, Unlock]),
    ]
};

const OLD: &str = "the old reply";
const NEW: &str = "the new reply, which is longer";
/// Spent before any operation, reserved by `reserve`, reserved and then settled by `settle`, in micro-dollars.
const SPENT: u64 = 1_000;
const RESERVED: u64 = 300;
const SETTLED: u64 = 120;
const MODEL: &str = "drill";
/// The step after the last one.
const DONE: &str = "done";

pub(super) fn steps(drill: &Drill, rows: &mut Rows) -> Result<Vec<CrashPoint>, DrillError> {
    let arena = drill.arena(Phase::Steps)?;
    let mut points = Vec::new();
    for (operation, steps) in STEPS {
        let names = steps.iter().map(|step| name_of(*step)).collect::<Result<Vec<_>, _>>()?;
        for step in names.into_iter().chain([DONE.to_owned()]) {
            let folder = arena.folder.join(format!("{operation:?}-{step}").to_lowercase());
            points.push(crash(drill, &folder, operation, &step)?);
        }
    }
    rows.residues.push(arena.residue()?);
    Ok(points)
}

/// The name of a step in evidence.
pub(super) fn name_of(step: Step) -> Result<String, DrillError> {
    match serde_json::to_value(step) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        other => Err(DrillError::Failed(format!("step {step:?} has no name: {other:?}"))),
    }
}

fn crash(drill: &Drill, folder: &Path, operation: Operation, step: &str) -> Result<CrashPoint, DrillError> {
    let place = Place::new(folder, drill.policy);
    place.prepare(operation)?;
    let ledger_before = place.charged(operation)?;
    let task = |kill_before| Task::Step { folder: folder.to_owned(), operation, kill_before, policy: drill.policy };
    let killed = Worker::start(&task(Some(step.to_owned())).to_json()?)?.wait()?;
    let found = place.found(operation)?;
    let ledger_after = place.charged(operation)?;
    let repeated = Worker::start(&task(None).to_json()?)?.wait()?;
    // A row that was written survives the kill of its writer, told or not.
    let written = ["sync_file", "unlock", DONE].contains(&step);
    let ledger_least = ledger_before
        + match (operation, written) {
            (Operation::Reserve, true) | (Operation::Settle, false) => RESERVED,
            (Operation::Settle, true) => SETTLED,
            _ => 0,
        };
    let (step, signal) = (step.to_owned(), killed.signal);
    let repeated = repeated.exit_code == Some(0);
    Ok(CrashPoint { operation, step, signal, found, repeated, ledger_before, ledger_least, ledger_after })
}

/// A folder in which `operation` can be done.
pub(super) fn prepare(folder: &Path, operation: Operation, policy: LockPolicy) -> Result<(), DrillError> {
    Place::new(folder, policy).prepare(operation)
}

/// The task: the operation, in this process, killed before the named step.
pub(super) fn perform(
    folder: &Path,
    operation: Operation,
    kill_before: Option<String>,
    policy: LockPolicy,
) -> Result<(), DrillError> {
    let place = Place::new(folder, policy);
    let (fatal, armed) = (kill_before.clone(), Arc::new(AtomicBool::new(false)));
    let trigger = Arc::clone(&armed);
    let observer = Observer::new(move |step| {
        if fatal.is_some() && trigger.load(Ordering::SeqCst) && name_of(step).ok() == fatal {
            die();
        }
    });
    place.operate(operation, observer, &armed)?;
    if kill_before.as_deref() == Some(DONE) {
        die();
    }
    Ok(())
}

fn die() {
    // A signal that cannot be sent shows in the row: the process ends by itself then.
    let _ = signal_self(Signal::KILL);
}

/// A cache, a ledger and left-over files in one folder.
struct Place {
    folder: PathBuf,
    policy: LockPolicy,
    key: Digest,
}

impl Place {
    fn new(folder: &Path, policy: LockPolicy) -> Self {
        Self { folder: folder.to_owned(), policy, key: Digest::of(b"the key") }
    }

    fn prepare(&self, operation: Operation) -> Result<(), DrillError> {
        let cache = self.cache(Observer::default())?;
        cache.put(&self.key, &facts(), &body(OLD))?;
        if operation == Operation::Sweep {
            let left = cache.entry_path(&self.key).with_extension("4194399-0.tmp");
            fs::write(&left, "half a rep").map_err(|error| StoreError::io("leave", &left, error))?;
        }
        if self.has_ledger(operation) {
            let ledger = self.ledger(Observer::default())?;
            let kept = ledger.reserve(&request(SPENT)).map_err(failed)?;
            ledger.settle(kept, MicroUsd(SPENT), 10).map_err(failed)?;
        }
        Ok(())
    }

    /// The operation itself; what it needs first is done before the trigger is armed.
    fn operate(&self, operation: Operation, observer: Observer, armed: &AtomicBool) -> Result<(), DrillError> {
        let arm = || armed.store(true, Ordering::SeqCst);
        match operation {
            Operation::Put => {
                arm();
                self.cache(observer)?.put(&self.key, &facts(), &body(NEW))?;
            }
            Operation::Evict => {
                arm();
                self.cache(observer)?.evict(&self.key)?;
            }
            Operation::Sweep => {
                arm();
                sweep(&self.folder, &observer)?;
            }
            Operation::Reserve => {
                let ledger = self.ledger(observer)?;
                arm();
                // A reservation that is dropped stays spent, which is what this operation is about.
                drop(ledger.reserve(&request(RESERVED)).map_err(failed)?);
            }
            Operation::Settle => {
                let ledger = self.ledger(observer)?;
                let kept = ledger.reserve(&request(RESERVED)).map_err(failed)?;
                arm();
                ledger.settle(kept, MicroUsd(SETTLED), 10).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn found(&self, operation: Operation) -> Result<Found, DrillError> {
        if self.has_ledger(operation) {
            return Ok(Found::NotApplicable);
        }
        Ok(match self.cache(Observer::default())?.get(&self.key)? {
            // A sweep has nothing to do with an entry, but a broken one could still harm it.
            Lookup::Hit(entry) if entry.payload == body(OLD) && operation == Operation::Sweep => Found::NotApplicable,
            Lookup::Hit(entry) if entry.payload == body(OLD) => Found::Old,
            Lookup::Hit(entry) if entry.payload == body(NEW) => Found::New,
            Lookup::Hit(_) | Lookup::Quarantined(_) => Found::Torn,
            Lookup::Absent => Found::Absent,
        })
    }

    /// Charged so far, as this process reads the journal.
    fn charged(&self, operation: Operation) -> Result<u64, DrillError> {
        if !self.has_ledger(operation) {
            return Ok(0);
        }
        let totals = self.ledger(Observer::default())?.totals().map_err(failed)?;
        Ok(totals.cost.0)
    }

    fn has_ledger(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Reserve | Operation::Settle)
    }

    fn cache(&self, observer: Observer) -> Result<Cache, StoreError> {
        let cache = Cache::open(&self.folder.join("cache"), self.policy, Durability::Full, Clock::real())?;
        Ok(cache.observed(observer))
    }

    fn ledger(&self, observer: Observer) -> Result<Ledger, DrillError> {
        let model = ModelLimits { cost_per_call_micro_usd: 100_000, cost_per_run_micro_usd: 100_000 };
        let limits = LedgerLimits {
            cost_per_run_micro_usd: 100_000,
            models: [(MODEL.to_owned(), model)].into(),
            retries_per_run: 10,
            tokens_per_run: 100_000,
        };
        let path = self.folder.join("ledger.jsonl");
        Ledger::open_observed(&path, limits, self.policy, Durability::Full, observer).map_err(failed)
    }
}

fn request(cost: u64) -> Request<'static> {
    Request { call: 0, attempt: 1, model: MODEL, cost: MicroUsd(cost), tokens: 10 }
}

fn failed(error: LedgerError) -> DrillError {
    DrillError::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn the_table_holds_every_step_that_the_store_takes_in_its_order() {
        let policy = LockPolicy { timeout_ms: 2_000, sleep_ms: 5, max_attempts: 20_000, max_age_ms: 30_000 };
        for (operation, steps) in STEPS {
            let folder = tempfile::tempdir().expect("a folder is made");
            let place = Place::new(folder.path(), policy);
            place.prepare(operation).expect("prepares");
            let (seen, armed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
            let (sink, trigger) = (Arc::clone(&seen), Arc::clone(&armed));
            let observer = Observer::new(move |step| {
                if trigger.load(Ordering::SeqCst) {
                    sink.lock().expect("no panic inside").push(step);
                }
            });
            place.operate(operation, observer, &armed).expect("works");
            assert_eq!(*seen.lock().expect("no panic inside"), steps, "{operation:?}");
        }
    }
}
