//! One turn at a time inside this process: threads that want the same lock file queue here, so that they do not poll
//! each other's kernel lock (HRD-12).

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::clock::monotonic_ns;

/// The right of one thread to try a lock file; dropping it lets the next thread try.
#[derive(Debug)]
pub(super) struct Turn {
    path: PathBuf,
}

/// One set and one condition for all paths: waiters are rare, and a wake-up too many costs a map look-up.
struct Queue {
    taken: Mutex<HashSet<PathBuf>>,
    freed: Condvar,
}

impl Queue {
    fn get() -> &'static Self {
        static QUEUE: OnceLock<Queue> = OnceLock::new();
        QUEUE.get_or_init(|| Self { taken: Mutex::new(HashSet::new()), freed: Condvar::new() })
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        // A thread that panicked while holding the set left it whole: inserts and removals are single calls.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Waits for the turn until `deadline_ns` of the monotonic clock; `None` when it did not come.
    pub(super) fn take(path: &Path, deadline_ns: u64) -> Option<Self> {
        let queue = Queue::get();
        let mut taken = queue.taken();
        while taken.contains(path) {
            let left = deadline_ns.checked_sub(monotonic_ns()).filter(|left| *left > 0)?;
            let waited = queue.freed.wait_timeout(taken, Duration::from_nanos(left));
            taken = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        taken.insert(path.to_owned());
        Some(Self { path: path.to_owned() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let queue = Queue::get();
        queue.taken().remove(&self.path);
        queue.freed.notify_all();
    }
}
