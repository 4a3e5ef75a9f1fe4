//! The cache of replies: an entry is served only when it verifies. A damaged one is moved to `quarantine/`, counted and
//! reported, and reads as a miss (HRD-21, HRD-22).
//!
//! The key is the digest of the canonical JSON of everything that shapes a reply. Entries lie two levels deep, by the
//! first byte of their key, with their lock and temporaries beside them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use contract::digest::Digest;

use super::atomic::{self, Durability, Observer, Step, sync_parent};
use super::error::StoreError;
use super::filesystem::require_local;
use super::lock::{self, LockPolicy};
use crate::clock::{Clock, since_boot_ns};

mod entry;
mod inspect;

pub use entry::{Damage, Entry};
pub(super) use inspect::each_file;
pub use inspect::{Stats, Verified};

/// Facts about who gave a reply and how, by name; text only, and never a secret.
pub type Facts = BTreeMap<String, String>;

/// A cache in a folder that many processes may share.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    policy: LockPolicy,
    durability: Durability,
    clock: Clock,
    observer: Observer,
    quarantined: AtomicU64,
}

/// What a look-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// A whole entry.
    Hit(Entry),
    /// No entry.
    Absent,
    /// An entry that does not verify; it was set aside. A miss, but not a silent one: buying again must be visible.
    Quarantined(Damage),
}

impl Cache {
    /// Opens a cache; the folder is made.
    ///
    /// # Errors
    /// `CACHE_FS_UNSUPPORTED` on a file system that shares no locks, or the operating system's error.
    pub fn open(folder: &Path, policy: LockPolicy, durability: Durability, clock: Clock) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(|error| StoreError::io("make cache", folder, error))?;
        require_local(folder)?;
        let folder = folder.to_owned();
        Ok(Self { folder, policy, durability, clock, observer: Observer::default(), quarantined: AtomicU64::new(0) })
    }

    /// The same cache, telling `observer` of each step of put and evict.
    #[must_use]
    pub fn observed(self, observer: Observer) -> Self {
        Self { observer, ..self }
    }

    /// Reads and verifies an entry, without a lock: a reader sees the old entry or the new one, never half.
    ///
    /// # Errors
    /// The operating system's error. Absent and damaged entries are no errors.
    pub fn get(&self, key: &Digest) -> Result<Lookup, StoreError> {
        let path = self.entry_path(key);
        match self.read(key, &path)? {
            Lookup::Quarantined(damage) => self.set_aside(key, &path, damage),
            found => Ok(found),
        }
    }

    /// Stores a reply. The caller has validated it: errors, empty and truncated replies are never stored.
    ///
    /// # Errors
    /// For an empty payload, `LOCK_TIMEOUT`, or the operating system's error; the old entry is intact then.
    pub fn put(&self, key: &Digest, facts: &Facts, payload: &[u8]) -> Result<(), StoreError> {
        let path = self.entry_path(key);
        if payload.is_empty() {
            return Err(StoreError::invalid("store", &path, "an empty reply is never stored"));
        }
        let bytes = entry::encode(key, self.clock.now(), self.durability, facts, payload)
            .map_err(|reason| StoreError::invalid("store", &path, reason.to_string()))?;
        self.locked(key, "cache put", || atomic::put(&path, &bytes, self.durability, &self.observer))
    }

    /// Removes an entry; `false` when there was none.
    ///
    /// # Errors
    /// `LOCK_TIMEOUT`, or the operating system's error.
    pub fn evict(&self, key: &Digest) -> Result<bool, StoreError> {
        let path = self.entry_path(key);
        self.locked(key, "cache evict", || {
            self.observer.at(Step::Remove);
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(StoreError::io("evict", &path, error)),
            }
            if self.durability == Durability::Full {
                self.observer.at(Step::SyncDir);
                sync_parent(&path, &fs::File::sync_all).map_err(|e| StoreError::io("sync folder of", &path, e))?;
            }
            Ok(true)
        })
    }

    /// Entries that this handle has set aside since it was opened.
    #[must_use]
    pub fn quarantined(&self) -> u64 {
        self.quarantined.load(Ordering::Relaxed)
    }

    /// The time of this cache's clock, for the age of an entry.
    #[must_use]
    pub fn age_ms(&self, entry: &Entry) -> u64 {
        // An entry from the future, after the wall clock was set back, is as good as a new one.
        self.clock.now().0.saturating_sub(entry.created.0)
    }

    /// Where the entry of `key` lies, whether it is there or not.
    #[must_use]
    pub fn entry_path(&self, key: &Digest) -> PathBuf {
        let name = key.to_string();
        let mut path = self.folder.join(&name[..2]);
        path.push(name);
        path.set_extension(ENTRY);
        path
    }

    fn read(&self, key: &Digest, path: &Path) -> Result<Lookup, StoreError> {
        match fs::read(path) {
            Ok(bytes) => Ok(match entry::decode(key, bytes) {
                Ok(entry) => Lookup::Hit(entry),
                Err(damage) => Lookup::Quarantined(damage),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Lookup::Absent),
            Err(error) => Err(StoreError::io("read", path, error)),
        }
    }

    /// Under the lock it is read once more: a writer may have replaced the damaged entry meanwhile.
    fn set_aside(&self, key: &Digest, path: &Path, damage: Damage) -> Result<Lookup, StoreError> {
        self.locked(key, "cache quarantine", || match self.read(key, path)? {
            Lookup::Quarantined(_) => {
                let quarantine = self.folder.join(QUARANTINE);
                fs::create_dir_all(&quarantine).map_err(|e| StoreError::io("make quarantine", &quarantine, e))?;
                let count = self.quarantined.fetch_add(1, Ordering::Relaxed);
                let name = format!("{key}.{}-{}-{count}.{ENTRY}", since_boot_ns() / 1_000_000, std::process::id());
                fs::rename(path, quarantine.join(name)).map_err(|e| StoreError::io("quarantine", path, e))?;
                Ok(Lookup::Quarantined(damage))
            }
            found => Ok(found),
        })
    }

    fn locked<T>(
        &self,
        key: &Digest,
        purpose: &str,
        work: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.observer.at(Step::Lock);
        let guard = lock::acquire(&self.entry_path(key).with_extension("lock"), &self.policy, purpose)?;
        let done = work()?;
        self.observer.at(Step::Unlock);
        guard.release()?;
        Ok(done)
    }
}

/// Extension of an entry.
const ENTRY: &str = "entry";
/// Folder of the entries that did not verify.
const QUARANTINE: &str = "quarantine";

#[cfg(test)]
mod tests;
