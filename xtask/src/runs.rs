//! Run folders below `<target>/gates/`: one run at a time, each in a folder of its own, with the latest one named.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use contract::canonical;
use serde::Serialize;

use crate::failure::Failure;
use crate::process;
use crate::progress::Progress;

/// How often a waiting run looks whether it is its turn.
const POLL: Duration = Duration::from_millis(100);

/// The right to run in a target folder. Programs, ports and shared folders of two runs would disturb each other's
/// measurements, so the second one waits.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Held until the process ends, however it ends: the kernel lets go of it.
    _lock: File,
}

/// The folder of one run.
#[derive(Clone, Debug)]
pub(crate) struct RunFolder {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its name.
    pub(crate) id: String,
}

impl Turn {
    /// Waits for the run before, saying so.
    ///
    /// # Errors
    /// The folder cannot be used, or Ctrl-C while waiting.
    pub(crate) fn take(gates_folder: &Path, progress: &mut Progress) -> Result<Self, Failure> {
        std::fs::create_dir_all(gates_folder).map_err(|error| Failure::file("cannot make", gates_folder, &error))?;
        let path = gates_folder.join("run.lock");
        let holder = gates_folder.join("run.pid");
        let open = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = open.map_err(|error| Failure::file("cannot open", &path, &error))?;
        let mut said = false;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    if !said {
                        // Only told to the user; a file that is just being written is no trouble.
                        let pid = std::fs::read_to_string(&holder).unwrap_or_else(|_| "unknown".into());
                        progress.say(&format!("waiting for another run (pid {})", pid.trim()));
                        said = true;
                    }
                    process::check_interrupted()?;
                    progress.tick();
                    std::thread::sleep(POLL);
                }
                Err(TryLockError::Error(error)) => return Err(Failure::file("cannot lock", &path, &error)),
            }
        }
        std::fs::write(&holder, format!("{}\n", std::process::id()))
            .map_err(|error| Failure::file("cannot write", &holder, &error))?;
        Ok(Self { _lock: lock })
    }
}

impl RunFolder {
    /// A new folder `runs/<number>-<commit>`; the number is one above the highest there is, so that names sort by time
    /// without reading a clock. Needs the turn, or two runs would take the same number.
    ///
    /// # Errors
    /// The folder cannot be read or made.
    pub(crate) fn create(gates_folder: &Path, _turn: &Turn, commit: &str) -> Result<Self, Failure> {
        let runs = gates_folder.join("runs");
        std::fs::create_dir_all(&runs).map_err(|error| Failure::file("cannot make", &runs, &error))?;
        let entries = std::fs::read_dir(&runs).map_err(|error| Failure::file("cannot read", &runs, &error))?;
        let mut last = 0;
        for entry in entries {
            let entry = entry.map_err(|error| Failure::file("cannot read", &runs, &error))?;
            last = last.max(number_of(&entry.file_name().to_string_lossy()).unwrap_or(0));
        }
        let commit = if commit.is_empty() { "no-commit" } else { commit.get(..8).unwrap_or(commit) };
        let id = format!("{:06}-{commit}", last + 1);
        let path = runs.join(&id);
        std::fs::create_dir(&path).map_err(|error| Failure::file("cannot make", &path, &error))?;
        let run = Self { path, id };
        run.point_latest(gates_folder)?;
        Ok(run)
    }

    /// The folder of evidence of one gate.
    pub(crate) fn evidence(&self, gate: &str) -> PathBuf {
        self.path.join("evidence").join(gate)
    }

    /// Writes a file below the folder; folders on the way are made.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.path.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Failure::file("cannot make", folder, &error))?;
        }
        let written = File::create(&path).and_then(|mut file| file.write_all(bytes));
        written.map_err(|error| Failure::file("cannot write", &path, &error))?;
        Ok(path)
    }

    /// Writes a JSON file for people.
    ///
    /// # Errors
    /// It cannot be written, or holds a number that JSON cannot.
    pub(crate) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<PathBuf, Failure> {
        let bytes = canonical::to_pretty(value).map_err(|error| Failure::internal(format!("{name}: {error}")))?;
        self.write(name, &bytes)
    }

    /// `latest` is a file with the name of the newest run: a link would need rights on some systems.
    fn point_latest(&self, gates_folder: &Path) -> Result<(), Failure> {
        let path = gates_folder.join("latest");
        std::fs::write(&path, format!("{}\n", self.id)).map_err(|error| Failure::file("cannot write", &path, &error))
    }
}

/// The folder of the newest run.
///
/// # Errors
/// There is none.
pub(crate) fn latest(gates_folder: &Path) -> Result<PathBuf, Failure> {
    let path = gates_folder.join("latest");
    let id = std::fs::read_to_string(&path).map_err(|error| {
        Failure::usage(format!("no run is there: {}: {error}", path.display())).hint("`cargo xtask gate` makes one")
    })?;
    Ok(gates_folder.join("runs").join(id.trim()))
}

fn number_of(name: &str) -> Option<u64> {
    name.split('-').next().and_then(|digits| digits.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_gets_the_next_number() {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let turn = Turn::take(scratch.path(), &mut Progress::silent()).expect("nobody else is there");
        let first = RunFolder::create(scratch.path(), &turn, "0123456789").expect("a new folder");
        std::fs::create_dir(scratch.path().join("runs").join("notes")).expect("a new folder");
        let second = RunFolder::create(scratch.path(), &turn, "").expect("a new folder");
        assert_eq!((first.id.as_str(), second.id.as_str()), ("000001-01234567", "000002-no-commit"));
        let latest = std::fs::read_to_string(scratch.path().join("latest")).expect("written");
        assert_eq!(latest.trim(), second.id);
    }

    #[test]
    fn the_turn_is_taken_once_and_says_by_whom() {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let turn = Turn::take(scratch.path(), &mut Progress::silent()).expect("nobody else is there");
        let second = File::options().write(true).open(scratch.path().join("run.lock")).expect("it was made");
        assert!(matches!(second.try_lock(), Err(TryLockError::WouldBlock)));
        let pid = std::fs::read_to_string(scratch.path().join("run.pid")).expect("written");
        assert_eq!(pid.trim().parse(), Ok(std::process::id()));
        drop(turn);
        assert!(second.try_lock().is_ok());
    }
}
