//! The lock of a shared folder: `<key>.lock` beside the data, held by the kernel for one process at a time.
//!
//! Acquire: open, try the kernel lock, compare device and inode of the handle with those of the path (else start
//! again), write who holds it. Release: unlink while holding, unlock, close. Only the holder of an inode may unlink the
//! name that points at it, so two holders cannot exist. A killed holder's lock is freed by the kernel at once, so a
//! takeover needs no clock, process number or heartbeat, and a live holder is never robbed (HRD-10).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contract::calibration::Calibration;
use serde::{Deserialize, Serialize};

use super::error::{Cause, LockTimeout, StoreError};
use super::turn::Turn;
use crate::clock::{monotonic_ns, since_boot_ns};

mod holder;
mod poll;

use holder::facts;
pub use holder::{Holder, read_holder};
use poll::Poll;

/// How long to wait for a lock, and how to poll it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockPolicy {
    /// `LOCK_TIMEOUT_MS`: give up after this many milliseconds.
    pub timeout_ms: u64,
    /// `LOCK_SLEEP_MS`: the longest pause between two tries, in milliseconds.
    pub sleep_ms: u64,
    /// `LOCK_MAX_ATTEMPTS`: give up after this many tries.
    pub max_attempts: u64,
    /// `LOCK_MAX_AGE_MS`: a live holder older than this is reported as stuck; it is never robbed.
    pub max_age_ms: u64,
}

impl From<&Calibration> for LockPolicy {
    fn from(calibration: &Calibration) -> Self {
        Self {
            timeout_ms: calibration.lock_timeout_ms,
            sleep_ms: calibration.lock_sleep_ms,
            max_attempts: calibration.lock_max_attempts,
            max_age_ms: calibration.lock_max_age_ms,
        }
    }
}

/// A held lock. Dropping it releases it; [`Guard::release`] does the same and reports a failure.
#[derive(Debug)]
pub struct Guard {
    claim: Claim,
    /// Dropped after the claim: the next thread may try only when the kernel lock is free.
    _turn: Turn,
}

impl Guard {
    /// Unlinks the lock file (a kept one stays), unlocks and closes it.
    ///
    /// # Errors
    /// When the file could not be unlinked or unlocked; closing frees the kernel lock in any case.
    pub fn release(mut self) -> Result<(), StoreError> {
        self.claim.give_up()
    }
}

/// Waits for `path`, a lock file that exists only while it is held. Parent folders are made.
///
/// # Errors
/// `LOCK_TIMEOUT` naming the holder when a bound of `policy` is reached, or the operating system's error.
pub fn acquire(path: &Path, policy: &LockPolicy, purpose: &str) -> Result<Guard, StoreError> {
    contend(path, policy, purpose, None)
}

/// Tries `path` once without waiting: `None` when somebody else, in this process or another, holds it.
///
/// # Errors
/// The operating system's error.
pub fn try_acquire(path: &Path, purpose: &str) -> Result<Option<Guard>, StoreError> {
    let once = LockPolicy { timeout_ms: 0, sleep_ms: 1, max_attempts: 1, max_age_ms: u64::MAX };
    match contend(path, &once, purpose, None) {
        Ok(guard) => Ok(Some(guard)),
        Err(StoreError { cause: Cause::LockTimeout(_), .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A lock whose file stays when it is released: for hot paths, where making and unlinking a file each time would cost
/// more than the work under the lock.
#[derive(Debug)]
pub struct KeptLock {
    path: PathBuf,
    handle: Mutex<Option<Arc<File>>>,
}

impl KeptLock {
    /// A kept lock at `path`; the file is made at the first acquire.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, handle: Mutex::new(None) }
    }

    /// Waits for the lock.
    ///
    /// # Errors
    /// As [`acquire`].
    pub fn acquire(&self, policy: &LockPolicy, purpose: &str) -> Result<Guard, StoreError> {
        contend(&self.path, policy, purpose, Some(&self.handle))
    }
}

/// The loop of tries. `kept` is the cell of a kept lock's open handle.
fn contend(
    path: &Path,
    policy: &LockPolicy,
    purpose: &str,
    kept: Option<&Mutex<Option<Arc<File>>>>,
) -> Result<Guard, StoreError> {
    let start_ns = monotonic_ns();
    let deadline_ns = start_ns.saturating_add(policy.timeout_ms.saturating_mul(1_000_000));
    let mut attempts = 0;
    let turn = Turn::take(path, deadline_ns).ok_or_else(|| timeout(path, policy, start_ns, attempts))?;
    let mut poll = Poll::new(policy);
    loop {
        attempts += 1;
        let mut claim = Claim::open(path, kept)?;
        let tried = claim.try_lock().map_err(|error| StoreError::io("lock", path, error))?;
        match (tried, kept) {
            (Tried::Held, _) => {
                claim.write_holder(purpose)?;
                return Ok(Guard { claim, _turn: turn });
            }
            // The handle of a file that was unlinked never becomes the one at the path again.
            (Tried::Stale, Some(cell)) => *lock_cell(cell) = None,
            (Tried::Stale, None) | (Tried::Busy, _) => {}
        }
        claim.give_up()?;
        let left_ns = deadline_ns.saturating_sub(monotonic_ns());
        if attempts >= policy.max_attempts || left_ns == 0 {
            return Err(timeout(path, policy, start_ns, attempts));
        }
        if tried == Tried::Busy {
            std::thread::sleep(poll.next().min(Duration::from_nanos(left_ns)));
        }
    }
}

fn timeout(path: &Path, policy: &LockPolicy, start_ns: u64, attempts: u64) -> StoreError {
    let holder = read_holder(path);
    let held_ms = holder.as_ref().map(|holder| (since_boot_ns() / 1_000_000).saturating_sub(holder.acquired_boot_ms));
    let facts = LockTimeout {
        waited_ms: (monotonic_ns() - start_ns) / 1_000_000,
        attempts,
        holder,
        held_ms,
        stuck: held_ms.is_some_and(|held| held > policy.max_age_ms),
    };
    StoreError { attempted: "lock", path: path.to_owned(), cause: Cause::LockTimeout(Box::new(facts)) }
}

/// What one try gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tried {
    Held,
    /// Somebody else holds it.
    Busy,
    /// The kernel granted it on a file that the path no longer names.
    Stale,
}

/// An open lock file, held or not.
#[derive(Debug)]
struct Claim {
    file: Arc<File>,
    path: PathBuf,
    keep: bool,
    held: bool,
}

impl Claim {
    fn open(path: &Path, kept: Option<&Mutex<Option<Arc<File>>>>) -> Result<Self, StoreError> {
        let claim = |file| Self { file, path: path.to_owned(), keep: kept.is_some(), held: false };
        let Some(cell) = kept else {
            return open_lock_file(path).map(|file| claim(Arc::new(file)));
        };
        let mut cell = lock_cell(cell);
        let file = match cell.take() {
            Some(file) => file,
            None => Arc::new(open_lock_file(path)?),
        };
        *cell = Some(Arc::clone(&file));
        Ok(claim(file))
    }

    /// Held means both: the kernel granted the lock, and the path still names the locked file.
    fn try_lock(&mut self) -> io::Result<Tried> {
        match self.file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if crate::sabotage!("lock-not-exclusive") => {}
            Err(TryLockError::WouldBlock) => return Ok(Tried::Busy),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => return Ok(Tried::Busy),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if same_inode(&self.file, &self.path)? {
            self.held = true;
            return Ok(Tried::Held);
        }
        self.file.unlock()?;
        Ok(Tried::Stale)
    }

    fn write_holder(&self, purpose: &str) -> Result<(), StoreError> {
        self.file.write_all_at(&facts(purpose), 0).map_err(|error| StoreError::io("write holder of", &self.path, error))
    }

    /// Unlink while holding, then unlock explicitly: a child between fork and exec has a copy of the handle (HRD-13).
    /// Who does not hold the lock leaves the file to its holder.
    fn give_up(&mut self) -> Result<(), StoreError> {
        let held = std::mem::take(&mut self.held);
        if !held && !crate::sabotage!("release-without-owner-check") {
            return Ok(());
        }
        let unlinked = if self.keep { Ok(()) } else { unlink_own(&self.file, &self.path) };
        let unlocked = self.file.unlock();
        unlinked.and(unlocked).map_err(|error| StoreError::io("release", &self.path, error))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Nobody is left to tell; closing the handle frees the kernel lock, and the sweeper takes the file.
        let _ = self.give_up();
    }
}

fn lock_cell(cell: &Mutex<Option<Arc<File>>>) -> MutexGuard<'_, Option<Arc<File>>> {
    // Holds a handle or none at every moment, so a panic elsewhere cannot have left it half changed.
    cell.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the name only while it points at the locked file: somebody may have cleared the folder from outside.
fn unlink_own(file: &File, path: &Path) -> io::Result<()> {
    if !same_inode(file, path)? {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn same_inode(file: &File, path: &Path) -> io::Result<bool> {
    let handle = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (handle.dev(), handle.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens or makes a lock file; close-on-exec is the standard library's default. A symbolic link is refused: following
/// it would write holder facts into a file of somebody else.
fn open_lock_file(path: &Path) -> Result<File, StoreError> {
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let open =
        || OpenOptions::new().read(true).write(true).create(true).truncate(false).custom_flags(no_follow).open(path);
    let opened = open().or_else(|error| match (error.kind(), path.parent()) {
        (io::ErrorKind::NotFound, Some(parent)) => fs::create_dir_all(parent).and_then(|()| open()),
        _ => Err(error),
    });
    opened.map_err(|error| StoreError::io("open lock", path, error))
}

#[cfg(test)]
mod tests;
