//! Removing what killed processes left in a shared folder, and nothing that a live one uses (HRD-14).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::atomic::{Observer, Step};
use super::cache::each_file;
use super::error::StoreError;
use super::lock;

/// What a sweep removed, and what it left because its owner lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Lock files that nobody held, removed.
    pub locks_removed: u64,
    /// Lock files in use, left.
    pub locks_live: u64,
    /// Temporaries whose owner's lock was free, removed.
    pub temporaries_removed: u64,
    /// Temporaries whose owner holds its lock, left.
    pub temporaries_live: u64,
}

/// Sweeps `folder` and all below it, also while others work there. Only a free lock's files are removed, and only while
/// this process holds that lock, so age, clock and process numbers decide nothing.
///
/// # Errors
/// The operating system's error; what was removed until then stays removed.
pub fn sweep(folder: &Path, observer: &Observer) -> Result<Swept, StoreError> {
    let mut swept = Swept::default();
    for tmp in files_named(folder, "tmp")? {
        match owner_lock(&tmp) {
            Some(lock) if sweep_temporary(&tmp, &lock, observer)? => swept.temporaries_removed += 1,
            // A name that the store did not give belongs to somebody else.
            _ => swept.temporaries_live += 1,
        }
    }
    for lock in files_named(folder, "lock")? {
        observer.at(Step::Lock);
        match lock::try_acquire(&lock, PURPOSE)? {
            Some(guard) => {
                observer.at(Step::Unlock);
                guard.release()?;
                swept.locks_removed += 1;
            }
            None => swept.locks_live += 1,
        }
    }
    Ok(swept)
}

const PURPOSE: &str = "sweep";

/// Whether the temporary is gone now.
fn sweep_temporary(tmp: &Path, lock: &Path, observer: &Observer) -> Result<bool, StoreError> {
    observer.at(Step::Lock);
    let Some(guard) = lock::try_acquire(lock, PURPOSE)? else {
        return Ok(false);
    };
    observer.at(Step::Remove);
    if !crate::sabotage!("temporary-left") {
        match fs::remove_file(tmp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::io("sweep", tmp, error)),
            _ => {}
        }
    }
    observer.at(Step::Unlock);
    guard.release()?;
    Ok(true)
}

/// `<key>.<pid>-<count>.tmp` belongs to who holds `<key>.lock`.
fn owner_lock(tmp: &Path) -> Option<PathBuf> {
    let (key, owner) = tmp.file_stem()?.to_str()?.rsplit_once('.')?;
    let (pid, count) = owner.split_once('-')?;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (number(pid) && number(count)).then(|| tmp.with_file_name(format!("{key}.lock")))
}

fn files_named(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = Vec::new();
    each_file(folder, &mut |path, _| {
        if path.extension().is_some_and(|ending| ending == extension) {
            found.push(path.to_owned());
        }
    })?;
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names = Vec::new();
        each_file(folder, &mut |path, _| {
            names.push(path.file_name().expect("a file has a name").to_string_lossy().into_owned());
        })
        .expect("lists");
        names.sort();
        names
    }

    #[test]
    fn hrd_14_only_what_nobody_holds_is_removed() {
        let folder = tempfile::tempdir().expect("a folder is made");
        let at = |name: &str| folder.path().join("ab").join(name);
        let live = lock::acquire(&at("live.lock"), &patient(), "work").expect("free");
        let left =
            ["live.77-0.tmp", "dead.77-1.tmp", "dead.lock", "alone.lock", "free.99-4.tmp", "notes.tmp", "dead.entry"];
        for name in left {
            fs::write(at(name), "left").expect("written");
        }
        let swept = sweep(folder.path(), &Observer::default()).expect("sweeps");
        let expected = Swept { locks_removed: 1, locks_live: 1, temporaries_removed: 2, temporaries_live: 2 };
        assert_eq!(swept, expected);
        assert_eq!(names(folder.path()), ["dead.entry", "live.77-0.tmp", "live.lock", "notes.tmp"]);
        live.release().expect("its file is untouched");
        let swept = sweep(folder.path(), &Observer::default()).expect("sweeps");
        assert_eq!(swept.temporaries_removed, 1, "the owner has let go");
        assert_eq!(names(folder.path()), ["dead.entry", "notes.tmp"]);
    }

    fn patient() -> lock::LockPolicy {
        lock::LockPolicy { timeout_ms: 2_000, sleep_ms: 5, max_attempts: 20_000, max_age_ms: 30_000 }
    }

    #[test]
    fn a_folder_that_is_not_there_has_nothing_to_sweep() {
        let folder = tempfile::tempdir().expect("a folder is made");
        let swept = sweep(&folder.path().join("absent"), &Observer::default()).expect("sweeps");
        assert_eq!(swept, Swept::default());
    }
}
