//! The wall clock moved by days, in both directions: which decisions of the store change? Wall time reaches the store
//! through its clock and through the times of files, so both are moved.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use contract::digest::Digest;
use contract::money::MicroUsd;
use contract::record::ledger::{LedgerLimits, ModelLimits};
use contract::record::lock::ClockJump;

use super::Drill;
use super::arena::facts;
use crate::clock::Clock;
use crate::drill::DrillError;
use crate::store::atomic::{Durability, Observer};
use crate::store::cache::{Cache, Lookup};
use crate::store::ledger::{Ledger, LedgerError, Request};
use crate::store::lock::{self, LockPolicy};
use crate::store::sweep::sweep;
use crate::store::{Cause, StoreError};

const DAY_MS: i64 = 86_400_000;
const SHIFTS_MS: [i64; 5] = [0, DAY_MS, -DAY_MS, 30 * DAY_MS, -30 * DAY_MS];

type Decide = fn(&Place) -> Result<String, DrillError>;

/// Every decision of the store that a clock could reach.
const DECISIONS: [(&str, Decide); 7] = [
    ("waiter_before_live_holder", waiter_before_live_holder),
    ("waiter_after_dead_holder", waiter_after_dead_holder),
    ("sweep_before_live_holder", sweep_before_live_holder),
    ("sweep_after_dead_holder", sweep_after_dead_holder),
    ("read_entry", read_entry),
    ("replace_entry", replace_entry),
    ("reserve_at_limit", reserve_at_limit),
];

pub(super) fn jumps(drill: &Drill) -> Result<Vec<ClockJump>, DrillError> {
    let mut rows = Vec::new();
    for (decision, decide) in DECISIONS {
        for shift_ms in SHIFTS_MS {
            let folder = drill.work.path().join(format!("clock-{decision}-{shift_ms}"));
            fs::create_dir_all(&folder)?;
            let outcome = decide(&Place { folder, shift_ms, policy: drill.policy })?;
            rows.push(ClockJump { shift_ms, decision: decision.to_owned(), outcome });
        }
    }
    Ok(rows)
}

/// A folder whose files and whose user are `shift_ms` apart.
struct Place {
    folder: PathBuf,
    shift_ms: i64,
    policy: LockPolicy,
}

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Moves the times of a file, as if it had been written before the clock was set.
    fn age(&self, path: &Path) -> Result<(), DrillError> {
        let now_ms = Clock::real().now().0.saturating_add_signed(-self.shift_ms);
        let time = UNIX_EPOCH + Duration::from_millis(now_ms);
        Ok(File::options()
            .write(true)
            .open(path)?
            .set_times(fs::FileTimes::new().set_modified(time).set_accessed(time))?)
    }

    /// A file that a killed process or an older run left.
    fn leave(&self, name: &str) -> Result<PathBuf, DrillError> {
        let path = self.path(name);
        fs::write(&path, "left")?;
        self.age(&path)?;
        Ok(path)
    }

    fn cache(&self, shift_ms: i64) -> Result<Cache, StoreError> {
        Cache::open(&self.path("cache"), self.policy, Durability::None, Clock::real().shifted(shift_ms))
    }
}

fn waiter_before_live_holder(place: &Place) -> Result<String, DrillError> {
    let path = place.path("key.lock");
    let quick = LockPolicy { timeout_ms: 5, ..place.policy };
    let _held = lock::acquire(&path, &quick, "holder")?;
    place.age(&path)?;
    Ok(match lock::acquire(&path, &quick, "waiter") {
        Ok(_) => "acquired".to_owned(),
        Err(error) => match &error.cause {
            Cause::LockTimeout(facts) if facts.stuck => format!("{} stuck", error.word()),
            _ => error.word().to_owned(),
        },
    })
}

fn waiter_after_dead_holder(place: &Place) -> Result<String, DrillError> {
    let path = place.leave("key.lock")?;
    lock::acquire(&path, &place.policy, "waiter")?.release()?;
    Ok("acquired".to_owned())
}

fn sweep_before_live_holder(place: &Place) -> Result<String, DrillError> {
    let path = place.path("key.lock");
    let _held = lock::acquire(&path, &place.policy, "holder")?;
    place.age(&path)?;
    let tmp = place.leave("key.1-0.tmp")?;
    sweep(&place.folder, &Observer::default())?;
    Ok(format!("lock {} tmp {}", kept(&path), kept(&tmp)))
}

fn sweep_after_dead_holder(place: &Place) -> Result<String, DrillError> {
    let (lock, tmp) = (place.leave("key.lock")?, place.leave("key.1-0.tmp")?);
    sweep(&place.folder, &Observer::default())?;
    Ok(format!("lock {} tmp {}", kept(&lock), kept(&tmp)))
}

fn kept(path: &Path) -> &'static str {
    if path.exists() { "kept" } else { "removed" }
}

/// Stored before the clock was set, read after.
fn read_entry(place: &Place) -> Result<String, DrillError> {
    let key = Digest::of(b"key");
    place.cache(-place.shift_ms)?.put(&key, &facts(), b"reply")?;
    place.age(&place.cache(0)?.entry_path(&key))?;
    Ok(found(&place.cache(0)?.get(&key)?))
}

fn replace_entry(place: &Place) -> Result<String, DrillError> {
    let key = Digest::of(b"key");
    place.cache(-place.shift_ms)?.put(&key, &facts(), b"old reply")?;
    place.cache(0)?.put(&key, &facts(), b"new reply")?;
    Ok(found(&place.cache(-place.shift_ms)?.get(&key)?))
}

fn found(lookup: &Lookup) -> String {
    match lookup {
        Lookup::Hit(entry) => String::from_utf8_lossy(&entry.payload).into_owned(),
        Lookup::Absent => "absent".to_owned(),
        Lookup::Quarantined(_) => "quarantined".to_owned(),
    }
}

fn reserve_at_limit(place: &Place) -> Result<String, DrillError> {
    let path = place.path("ledger.jsonl");
    let model = ModelLimits { cost_per_call_micro_usd: 100, cost_per_run_micro_usd: 100 };
    let limits = LedgerLimits {
        cost_per_run_micro_usd: 100,
        models: [("drill".to_owned(), model)].into(),
        retries_per_run: 0,
        tokens_per_run: 100,
    };
    let ledger = Ledger::open(&path, limits, place.policy, Durability::None);
    let ledger = ledger.map_err(|error| DrillError::Failed(error.to_string()))?;
    let mut words = Vec::new();
    for cost in [100, 1] {
        place.age(&path)?;
        let request = Request { call: 0, attempt: 1, model: "drill", cost: MicroUsd(cost), tokens: 1 };
        words.push(match ledger.reserve(&request) {
            Ok(_) => "reserved",
            Err(LedgerError::Refused(refusal)) => refusal.limit.word(),
            Err(LedgerError::Store(error)) => error.word(),
        });
    }
    Ok(words.join(" "))
}
