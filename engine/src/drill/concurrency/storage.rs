//! Real faults of the disk under a put over an old entry: no space, a file that may not grow, a read-only folder, a
//! file system that shares no locks, no file handle left.

use std::fs::{self, File};
use std::path::Path;
use std::process::Output;

use contract::digest::Digest;
use contract::record::lock::{Fault, Found, StorageFault};
use rustix::process::{Resource, Rlimit, geteuid, setrlimit};
use serde::{Deserialize, Serialize};

use super::Drill;
use super::arena::{body, facts};
use super::task::Task;
use crate::clock::Clock;
use crate::drill::DrillError;
use crate::drill::process::{ending, tool, worker_command};
use crate::store::StoreError;
use crate::store::atomic::Durability;
use crate::store::cache::{Cache, Lookup};
use crate::store::lock::LockPolicy;

const FAULTS: [Fault; 5] =
    [Fault::DiskFull, Fault::ShortWrite, Fault::ReadOnlyFolder, Fault::UnsupportedFileSystem, Fault::TooManyFiles];

const OLD: &str = "the old reply";
/// The new entry is larger than the small disk and than the largest file allowed.
const NEW_BYTES: usize = 200_000;
/// Largest file under [`Fault::ShortWrite`]: part of the new entry fits.
const FILE_BYTES_MAX: u64 = 20_000;
const FILES_MAX: u64 = 64;
/// A folder of a kernel file system, which shares no locks between machines or containers.
const UNSUPPORTED: &str = "/proc/self";

/// What the process that met the fault saw.
#[derive(Serialize, Deserialize)]
struct Met {
    error: String,
    found: Found,
    locks_left: u64,
    tmps_left: u64,
}

pub(super) fn faults(drill: &Drill) -> Result<Vec<StorageFault>, DrillError> {
    FAULTS.into_iter().map(|fault| observe(drill, fault)).collect()
}

fn observe(drill: &Drill, fault: Fault) -> Result<StorageFault, DrillError> {
    let folder = drill.work.path().join(format!("fault-{fault:?}"));
    let note = folder.with_extension("note");
    fs::create_dir_all(&folder)?;
    let prepare = Task::PrepareFault { folder: folder.clone(), policy: drill.policy }.to_json()?;
    let meet = Task::Fault { fault, folder: folder.clone(), note: note.clone(), policy: drill.policy }.to_json()?;
    let ran = match shell_script(fault) {
        Err(reason) => return Ok(not_run(fault, reason)),
        Ok(Script { namespace, text }) => run(namespace, text, &folder, &prepare, &meet),
    };
    let output = match ran {
        Err(error) => return Ok(not_run(fault, format!("a program is missing: {}", error.kind()))),
        Ok(output) => output,
    };
    if !note.exists() && output.status.code() == Some(MOUNT_REFUSED) {
        return Ok(not_run(fault, "this system lets nobody mount a small disk here".to_owned()));
    }
    let exit_code = ending(output.status).exit_code;
    // Without a note the process died of the fault: the empty error word says that it gave no typed error.
    let met = match fs::read(&note) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| DrillError::Failed(error.to_string()))?,
        Err(_) => Met { error: String::new(), found: Found::NotApplicable, locks_left: 0, tmps_left: 0 },
    };
    let Met { error, found, locks_left, tmps_left } = met;
    Ok(StorageFault { not_run: None, fault, error, found, locks_left, tmps_left, exit_code })
}

fn not_run(fault: Fault, reason: String) -> StorageFault {
    StorageFault {
        not_run: Some(reason),
        fault,
        error: String::new(),
        found: Found::NotApplicable,
        locks_left: 0,
        tmps_left: 0,
        exit_code: None,
    }
}

/// How a fault is set up: `$1` is the folder, `$2` this program, `$3` the task that stores the old entry, `$4` the one
/// that meets the fault.
struct Script {
    /// Whether it mounts, and so needs a mount namespace of its own that vanishes with it.
    namespace: bool,
    text: &'static str,
}

/// Exit code of a script whose mount was refused.
const MOUNT_REFUSED: i32 = 77;

fn shell_script(fault: Fault) -> Result<Script, String> {
    let (namespace, text) = match fault {
        Fault::DiskFull => {
            (true, r#"mount -t tmpfs -o size=96k tmpfs "$1" || exit 77; "$2" worker "$3" && exec "$2" worker "$4""#)
        }
        // Permissions do not bind root, so there the folder is a mount that cannot be written.
        Fault::ReadOnlyFolder if geteuid().is_root() => (
            true,
            r#"mount -t tmpfs tmpfs "$1" || exit 77; "$2" worker "$3" && mount -o remount,ro "$1" || exit 77; exec "$2" worker "$4""#,
        ),
        Fault::ReadOnlyFolder => (
            false,
            r#""$2" worker "$3" && chmod -R a-w "$1"; "$2" worker "$4"; code=$?; chmod -R u+w "$1"; exit $code"#,
        ),
        // The signal that comes with the limit is ignored, as servers do; the limit itself is set by the worker.
        Fault::ShortWrite => (false, r#"trap '' XFSZ; "$2" worker "$3" && exec "$2" worker "$4""#),
        Fault::TooManyFiles => (false, r#""$2" worker "$3" && exec "$2" worker "$4""#),
        Fault::UnsupportedFileSystem if Path::new(UNSUPPORTED).is_dir() => (false, r#"exec "$2" worker "$4""#),
        Fault::UnsupportedFileSystem => return Err("no such file system is mounted here".to_owned()),
    };
    Ok(Script { namespace, text })
}

fn run(namespace: bool, script: &str, folder: &Path, prepare: &str, meet: &str) -> std::io::Result<Output> {
    let mut command = if namespace {
        let mut unshare = tool("unshare");
        unshare.args(["--user", "--map-root-user", "--mount", "sh"]);
        unshare
    } else {
        tool("sh")
    };
    let program = worker_command("")?;
    command.args(["-c", script, "sh"]).arg(folder).arg(program.get_program()).args([prepare, meet]).output()
}

/// The task that stores the old entry.
pub(super) fn prepare(folder: &Path, policy: LockPolicy) -> Result<(), DrillError> {
    Ok(cache(folder, policy)?.put(&key(), &facts(), &body(OLD))?)
}

/// The task that meets the fault and writes down, outside the folder, what came of it.
pub(super) fn meet(fault: Fault, folder: &Path, note: &Path, policy: LockPolicy) -> Result<(), DrillError> {
    let met = match fault {
        Fault::UnsupportedFileSystem => {
            let error = word(cache(Path::new(UNSUPPORTED), policy).map(drop));
            Met { error, found: Found::NotApplicable, locks_left: 0, tmps_left: 0 }
        }
        _ => put_over_old(fault, folder, policy)?,
    };
    let bytes = serde_json::to_vec(&met).map_err(|error| DrillError::Failed(error.to_string()))?;
    fs::write(note, bytes)?;
    // A program that met such an error says so with its exit code, as the engine does.
    if met.error.is_empty() { Ok(()) } else { Err(DrillError::Failed(met.error)) }
}

fn put_over_old(fault: Fault, folder: &Path, policy: LockPolicy) -> Result<Met, DrillError> {
    let cache = cache(folder, policy)?;
    let new = body(&"new ".repeat(NEW_BYTES / 4));
    let limit = |resource, value| setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) });
    let mut handles = Vec::new();
    match fault {
        Fault::ShortWrite => limit(Resource::Fsize, FILE_BYTES_MAX).map_err(std::io::Error::from)?,
        Fault::TooManyFiles => {
            limit(Resource::Nofile, FILES_MAX).map_err(std::io::Error::from)?;
            while let Ok(handle) = File::open("/dev/null") {
                handles.push(handle);
            }
        }
        Fault::DiskFull | Fault::ReadOnlyFolder | Fault::UnsupportedFileSystem => {}
    }
    let error = word(cache.put(&key(), &facts(), &new));
    drop(handles);
    let found = match cache.get(&key())? {
        Lookup::Hit(entry) if entry.payload == body(OLD) => Found::Old,
        Lookup::Hit(entry) if entry.payload == new => Found::New,
        Lookup::Hit(_) | Lookup::Quarantined(_) => Found::Torn,
        Lookup::Absent => Found::Absent,
    };
    let left = cache.stats()?;
    Ok(Met { error, found, locks_left: left.locks, tmps_left: left.temporaries })
}

fn word(result: Result<(), StoreError>) -> String {
    result.err().map(|error| error.word().to_owned()).unwrap_or_default()
}

fn key() -> Digest {
    Digest::of(b"the key")
}

fn cache(folder: &Path, policy: LockPolicy) -> Result<Cache, StoreError> {
    Cache::open(folder, policy, Durability::Full, Clock::real())
}
