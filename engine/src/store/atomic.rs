//! Replacing a file whole: write a temporary beside it, make it durable, rename it over the name (HRD-20).

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::error::StoreError;

/// How much of a write survives a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Nothing is forced to the disk: a killed process loses nothing, a power cut may.
    None,
    /// The bytes are forced to the disk, the name is not.
    File,
    /// Bytes and name are forced to the disk. Paid replies and the ledger use this.
    Full,
}

/// A named step of a store operation; each one is a crash point. The name in evidence is the snake-case one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Wait for the lock of the key.
    Lock,
    /// Make the temporary file.
    CreateTmp,
    /// Write the bytes into it.
    Write,
    /// Force its bytes to the disk.
    SyncFile,
    /// Give it the final name.
    Rename,
    /// Force the name to the disk.
    SyncDir,
    /// Append a line to a journal.
    Append,
    /// Remove an entry or left-over file.
    Remove,
    /// Release the lock.
    Unlock,
}

/// Who is told of each step before it is taken. The default tells nobody.
#[derive(Clone, Default)]
pub struct Observer(Option<Arc<dyn Fn(Step) + Send + Sync>>);

impl Observer {
    /// Calls `told` before each step; it may end the process there.
    #[must_use]
    pub fn new(told: impl Fn(Step) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(told)))
    }

    pub(super) fn at(&self, step: Step) {
        if let Some(told) = &self.0 {
            told(step);
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Observer(told)" } else { "Observer(silent)" })
    }
}

/// Puts `bytes` at `path` whole: a reader sees the old file or the new one. Parent folders are made. The caller holds
/// the lock of the key where several processes may write it.
///
/// # Errors
/// The operating system's error with the step that failed; the old file is intact and no temporary is left.
pub fn put(path: &Path, bytes: &[u8], durability: Durability, observer: &Observer) -> Result<(), StoreError> {
    put_with(path, bytes, durability, observer, &File::sync_all)
}

/// A failed sync may have dropped the written pages and cleared the error, so syncing again proves nothing: the
/// temporary is discarded and everything is written once more.
fn put_with(
    path: &Path,
    bytes: &[u8],
    durability: Durability,
    observer: &Observer,
    sync: &dyn Fn(&File) -> io::Result<()>,
) -> Result<(), StoreError> {
    match put_once(path, bytes, durability, observer, sync) {
        Err(Failure::Sync(_)) => put_once(path, bytes, durability, observer, sync).map_err(Failure::into_error),
        other => other.map_err(Failure::into_error),
    }
}

enum Failure {
    Sync(StoreError),
    Other(StoreError),
}

impl Failure {
    fn into_error(self) -> StoreError {
        match self {
            Self::Sync(error) | Self::Other(error) => error,
        }
    }
}

fn put_once(
    path: &Path,
    bytes: &[u8],
    durability: Durability,
    observer: &Observer,
    sync: &dyn Fn(&File) -> io::Result<()>,
) -> Result<(), Failure> {
    let other = |attempted| move |error| Failure::Other(StoreError::io(attempted, path, error));
    let synced = |attempted| move |error| Failure::Sync(StoreError::io(attempted, path, error));

    observer.at(Step::CreateTmp);
    let (mut file, mut tmp) = Temporary::create(path).map_err(other("create temporary for"))?;
    observer.at(Step::Write);
    file.write_all(bytes).map_err(other("write temporary for"))?;
    if durability >= Durability::File && !crate::sabotage!("sync-skipped") {
        observer.at(Step::SyncFile);
        sync(&file).map_err(synced("sync temporary for"))?;
    }
    drop(file);
    observer.at(Step::Rename);
    fs::rename(&tmp.path, path).map_err(other("rename temporary to"))?;
    tmp.gone = true;
    if durability == Durability::Full {
        observer.at(Step::SyncDir);
        sync_parent(path, sync).map_err(synced("sync folder of"))?;
    }
    Ok(())
}

/// Forces the names in the folder of `path` to the disk.
///
/// # Errors
/// The operating system's.
pub(super) fn sync_parent(path: &Path, sync: &dyn Fn(&File) -> io::Result<()>) -> io::Result<()> {
    sync(&File::open(parent_of(path))?)
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A temporary file that is removed unless it was renamed away.
struct Temporary {
    path: PathBuf,
    gone: bool,
}

impl Temporary {
    /// `<stem>.<pid>-<count>.tmp` beside `path`; the stem is the key, whose lock says whether the owner still lives.
    fn create(path: &Path) -> io::Result<(File, Self)> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let stem = path.file_stem().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
        let mut parent_made = false;
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let mut name = stem.to_owned();
            name.push(format!(".{}-{count}.tmp", std::process::id()));
            let tmp = path.with_file_name(name);
            // `create_new` never follows a link that somebody planted under the name.
            match OpenOptions::new().write(true).create_new(true).open(&tmp) {
                Ok(file) => return Ok((file, Self { path: tmp, gone: false })),
                Err(error) if error.kind() == io::ErrorKind::NotFound && !parent_made => {
                    fs::create_dir_all(parent_of(path))?;
                    parent_made = true;
                }
                // Left by a killed process that had the same number, or owned by one in another container.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.gone {
            // Already on the way out with an error; what cannot be removed now is the sweeper's.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Mutex;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder is made")
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("the folder lists");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn hrd_20_steps_come_in_order_and_only_those_asked_for() {
        use Step::{CreateTmp, Rename, SyncDir, SyncFile, Write};
        for (durability, expected) in [
            (Durability::None, vec![CreateTmp, Write, Rename]),
            (Durability::File, vec![CreateTmp, Write, SyncFile, Rename]),
            (Durability::Full, vec![CreateTmp, Write, SyncFile, Rename, SyncDir]),
        ] {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let sink = Arc::clone(&seen);
            let observer = Observer::new(move |step| sink.lock().expect("no panic inside").push(step));
            let folder = folder();
            put(&folder.path().join("a/b/key.entry"), b"new", durability, &observer).expect("put works");
            assert_eq!(*seen.lock().expect("no panic inside"), expected);
        }
    }

    #[test]
    fn parent_folders_are_made_and_the_bytes_are_exactly_those_given() {
        let folder = folder();
        let path = folder.path().join("deep/er/key.entry");
        for bytes in [&b"old"[..], b"", b"new and longer"] {
            put(&path, bytes, Durability::None, &Observer::default()).expect("put works");
            assert_eq!(fs::read(&path).expect("it is there"), bytes);
        }
        assert_eq!(names(&folder.path().join("deep/er")), ["key.entry"], "no temporary is left");
    }

    #[test]
    fn hrd_20_a_failed_sync_discards_and_rewrites() {
        let folder = folder();
        let path = folder.path().join("key.entry");
        let inodes = Mutex::new(Vec::new());
        let calls = Cell::new(0);
        let sync = |file: &File| {
            use std::os::unix::fs::MetadataExt;
            let facts = file.metadata()?;
            inodes.lock().expect("no panic inside").push((facts.ino(), facts.len()));
            calls.set(calls.get() + 1);
            if calls.get() == 1 { Err(io::Error::other("the disk said no")) } else { Ok(()) }
        };
        let creates = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&creates);
        let observer = Observer::new(move |step| {
            count.fetch_add(u64::from(step == Step::CreateTmp), Ordering::Relaxed);
        });
        put_with(&path, b"bytes", Durability::File, &observer, &sync).expect("the rewrite works");
        assert_eq!(creates.load(Ordering::Relaxed), 2, "a second temporary was made");
        assert_eq!(inodes.lock().expect("no panic inside").len(), 2, "the first was never synced again");
        assert_eq!(names(folder.path()), ["key.entry"]);

        let error = put_with(&path, b"other", Durability::File, &Observer::default(), &|_| {
            Err(io::Error::other("the disk said no"))
        });
        assert!(error.expect_err("a disk that never syncs is an error").to_string().contains("sync temporary for"));
        assert_eq!(fs::read(&path).expect("it is there"), b"bytes", "the old file is intact");
        assert_eq!(names(folder.path()), ["key.entry"]);
    }

    #[test]
    fn a_failed_rename_leaves_no_temporary() {
        let folder = folder();
        let path = folder.path().join("key.entry");
        fs::create_dir_all(path.join("in the way")).expect("a folder is made");
        let error = put(&path, b"x", Durability::Full, &Observer::default()).expect_err("a folder is in the way");
        assert_eq!(error.attempted, "rename temporary to");
        assert_eq!(names(folder.path()), ["key.entry"]);
    }
}
