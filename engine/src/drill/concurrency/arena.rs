//! The folder of one phase: counters that writers increment, a cache beside them, logs of the processes, and the files
//! that start and stop everybody.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use contract::digest::Digest;
use contract::record::lock::{Counter, Phase, Residue};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::store::StoreError;
use crate::store::atomic::{self, Durability, Observer};
use crate::store::cache::{Cache, Facts};
use crate::store::lock::{self, Guard, LockPolicy};
use crate::store::sweep::sweep;

/// Counters that all writers of a phase share: few enough to meet, enough to part again.
pub(super) const COUNTERS: u64 = 3;
/// Cache entries that all writers of a phase replace.
pub(super) const HOT_ENTRIES: u64 = 4;

/// Where a phase lives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Arena {
    pub(super) folder: PathBuf,
    pub(super) phase: Phase,
    pub(super) policy: LockPolicy,
    pub(super) zero_ns: u64,
}

impl Arena {
    /// Makes the folder with counters at zero.
    pub(super) fn prepare(&self) -> Result<(), StoreError> {
        for counter in 0..COUNTERS {
            self.write_counter(counter, 0)?;
        }
        for name in ["log", "oracle"] {
            let folder = self.folder.join(name);
            fs::create_dir_all(&folder).map_err(|error| StoreError::io("make folder", &folder, error))?;
        }
        Ok(())
    }

    pub(super) fn now_ns(&self) -> u64 {
        crate::clock::since_boot_ns().saturating_sub(self.zero_ns)
    }

    pub(super) fn cache(&self) -> Result<Cache, StoreError> {
        Cache::open(&self.folder.join("cache"), self.policy, Durability::None, Clock::real())
    }

    /// Waits for the lock under test.
    pub(super) fn lock_counter(&self, counter: u64, purpose: &str) -> Result<Guard, StoreError> {
        lock::acquire(&self.counter_path(counter).with_extension("lock"), &self.policy, purpose)
    }

    /// The value of a counter; `None` when its file is missing or does not verify.
    pub(super) fn read_counter(&self, counter: u64) -> io::Result<Option<u64>> {
        match fs::read(self.counter_path(counter)) {
            Ok(bytes) => Ok(intact(&bytes).and_then(|text| text.parse().ok())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn write_counter(&self, counter: u64, value: u64) -> Result<(), StoreError> {
        let bytes = body(&value.to_string());
        atomic::put(&self.counter_path(counter), &bytes, Durability::None, &Observer::default())
    }

    /// The independent oracle of a counter: `None` when somebody else is inside. Held until the file is dropped.
    pub(super) fn enter_oracle(&self, counter: u64) -> io::Result<Option<File>> {
        let path = self.folder.join("oracle").join(format!("{counter}.oracle"));
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn log_path(&self, name: &str) -> PathBuf {
        self.folder.join("log").join(name)
    }

    /// Lets everybody behind the barrier go.
    pub(super) fn open_barrier(&self) -> io::Result<()> {
        fs::write(self.folder.join(GO), "")
    }

    pub(super) fn wait_for_barrier(&self) {
        while !self.folder.join(GO).exists() {
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Tells everybody to finish.
    pub(super) fn call_off(&self) -> io::Result<()> {
        fs::write(self.folder.join(STOP), "")
    }

    pub(super) fn is_called_off(&self) -> bool {
        self.folder.join(STOP).exists()
    }

    /// The counters as they are now.
    pub(super) fn counters(&self) -> io::Result<Vec<Counter>> {
        let read = |counter| Ok(Counter { phase: self.phase, counter, value: self.read_counter(counter)? });
        (0..COUNTERS).map(read).collect()
    }

    /// Counts what is left, sweeps, counts again and verifies the cache.
    pub(super) fn residue(&self) -> Result<Residue, StoreError> {
        let (locks_before, tmps_before) = self.left_over()?;
        sweep(&self.folder, &Observer::default())?;
        let (locks_after, tmps_after) = self.left_over()?;
        let verified = self.cache()?.verify()?;
        Ok(Residue {
            phase: self.phase,
            locks_before,
            tmps_before,
            locks_after,
            tmps_after,
            entries_good: verified.good,
            entries_bad: verified.quarantined,
        })
    }

    /// `.lock` and `.tmp` files anywhere below the folder.
    pub(super) fn left_over(&self) -> Result<(u64, u64), StoreError> {
        let whole = Cache::open(&self.folder, self.policy, Durability::None, Clock::real())?.stats()?;
        Ok((whole.locks, whole.temporaries))
    }

    fn counter_path(&self, counter: u64) -> PathBuf {
        self.folder.join("counters").join(format!("{counter}.count"))
    }
}

const GO: &str = "go";
const STOP: &str = "stop";

/// A body that carries its own digest, so that whoever reads it can tell whether it is whole without the cache's help.
pub(super) fn body(text: &str) -> Vec<u8> {
    format!("{} {text}", Digest::of(text.as_bytes())).into_bytes()
}

/// The text of a body; `None` when its digest does not fit.
pub(super) fn intact(bytes: &[u8]) -> Option<&str> {
    let (digest, text) = std::str::from_utf8(bytes).ok()?.split_once(' ')?;
    (Digest::parse(digest)? == Digest::of(text.as_bytes())).then_some(text)
}

/// The key of an entry that all writers replace.
pub(super) fn hot_key(entry: u64) -> Digest {
    Digest::of(format!("hot {entry}").as_bytes())
}

/// The key of an entry that one writer stores once.
pub(super) fn fresh_key(writer: u64, count: u64) -> Digest {
    Digest::of(format!("fresh {writer} {count}").as_bytes())
}

/// Facts of all entries of the drill.
pub(super) fn facts() -> Facts {
    Facts::from([("provider".to_owned(), "drill".to_owned())])
}
