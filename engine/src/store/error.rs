//! What can go wrong in a shared folder, as types: what was attempted, on which path, and why it failed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::lock::Holder;

/// A failed operation on a shared folder. Nothing is half done: what was there before is still there.
#[derive(Debug)]
pub struct StoreError {
    /// What was attempted, as a verb that reads before the path.
    pub attempted: &'static str,
    /// The file or folder it was attempted on.
    pub path: PathBuf,
    /// Why it failed.
    pub cause: Cause,
}

/// Why an operation failed.
#[derive(Debug)]
pub enum Cause {
    /// The operating system refused.
    Io(io::Error),
    /// Somebody else holds the lock, and did not let go inside the bounds.
    LockTimeout(Box<LockTimeout>),
    /// The folder lies on a file system whose locks are not shared between its users; carries its name or number.
    UnsupportedFilesystem(String),
    /// What was to be stored or is stored breaks a rule; a fragment that reads after the path.
    Invalid(String),
}

/// Facts about a lock that could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockTimeout {
    /// Milliseconds waited.
    pub waited_ms: u64,
    /// Times the lock was tried.
    pub attempts: u64,
    /// Who holds it; `None` when the holder had not yet written its facts.
    pub holder: Option<Holder>,
    /// Milliseconds the holder has had it; `None` with the holder.
    pub held_ms: Option<u64>,
    /// Held longer than `LOCK_MAX_AGE_MS`. Reported only: no timeout can tell slow from dead.
    pub stuck: bool,
}

impl StoreError {
    /// An error of the operating system.
    pub(crate) fn io(attempted: &'static str, path: &Path, error: io::Error) -> Self {
        Self { attempted, path: path.to_owned(), cause: Cause::Io(error) }
    }

    /// A broken rule; `reason` reads after the path.
    pub(crate) fn invalid(attempted: &'static str, path: &Path, reason: impl Into<String>) -> Self {
        Self { attempted, path: path.to_owned(), cause: Cause::Invalid(reason.into()) }
    }

    /// One stable word for the cause. It never holds a path, so it may enter evidence.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match &self.cause {
            Cause::LockTimeout(_) => "LOCK_TIMEOUT",
            Cause::UnsupportedFilesystem(_) => "CACHE_FS_UNSUPPORTED",
            Cause::Invalid(_) => "STORE_INVALID",
            Cause::Io(error) => io_word(error),
        }
    }
}

fn io_word(error: &io::Error) -> &'static str {
    use rustix::io::Errno;
    match Errno::from_io_error(error) {
        Some(Errno::NOSPC | Errno::DQUOT) => "STORAGE_FULL",
        Some(Errno::ROFS | Errno::ACCESS | Errno::PERM) => "STORAGE_READ_ONLY",
        Some(Errno::FBIG) => "STORAGE_FILE_TOO_LARGE",
        Some(Errno::MFILE | Errno::NFILE) => "STORAGE_TOO_MANY_FILES",
        Some(Errno::LOOP) => "STORAGE_SYMLINK",
        _ => "STORAGE_IO",
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: failed to {} `{}`: ", self.word(), self.attempted, self.path.display())?;
        match &self.cause {
            Cause::Io(error) => error.fmt(f),
            Cause::Invalid(reason) => f.write_str(reason),
            Cause::UnsupportedFilesystem(name) => {
                write!(f, "file system `{name}` does not share locks; use a folder on a local disk")
            }
            Cause::LockTimeout(facts) => facts.fmt(f),
        }
    }
}

impl fmt::Display for LockTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waited {} ms in {} attempts for ", self.waited_ms, self.attempts)?;
        match (&self.holder, self.held_ms) {
            (Some(holder), Some(held_ms)) => {
                let stuck = if self.stuck { ", stuck" } else { "" };
                write!(f, "process {} ({}), which has held it for {held_ms} ms{stuck}", holder.pid, holder.purpose)
            }
            _ => f.write_str("a holder that has not said who it is"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Io(error) => Some(error),
            _ => None,
        }
    }
}
