//! Who holds a lock: the facts that a holder writes into its lock file, for waiters to name it.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::sync::OnceLock;

use contract::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::clock::since_boot_ns;

/// Who holds a lock, as written into the lock file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// Milliseconds since boot when the lock was acquired: moving the wall clock does not change its age.
    pub acquired_boot_ms: u64,
    /// Digest of the host name: names the machine without naming it.
    pub host: Digest,
    /// Process number.
    pub pid: u32,
    /// What the holder does, in a few words.
    pub purpose: String,
    /// Start time of the process in clock ticks since boot, so that a reused number is told apart; 0 where the system
    /// does not tell.
    pub started: u64,
}

/// Reads who holds the lock file at `path`; `None` when there is no file or its facts are not whole.
#[must_use]
pub fn read_holder(path: &Path) -> Option<Holder> {
    let mut text = String::new();
    File::open(path).ok()?.take(FACTS_BYTES_MAX).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

const PURPOSE_CHARS_MAX: usize = 64;
/// Facts are padded to this length, so that a kept file is overwritten in one write and never holds an older tail.
pub(super) const FACTS_BYTES: usize = 448;
const FACTS_BYTES_MAX: u64 = 4096;

/// The bytes that this process writes into a lock file that it holds.
pub(super) fn facts(purpose: &str) -> Vec<u8> {
    static PROCESS: OnceLock<(Digest, u64)> = OnceLock::new();
    let (host, started) = *PROCESS
        .get_or_init(|| (Digest::of(rustix::system::uname().nodename().to_bytes()), process_start().unwrap_or(0)));
    let holder = Holder {
        acquired_boot_ms: since_boot_ns() / 1_000_000,
        host,
        pid: std::process::id(),
        purpose: purpose.chars().filter(|c| !c.is_control()).take(PURPOSE_CHARS_MAX).collect(),
        started,
    };
    let mut line = serde_json::to_vec(&holder).expect("numbers and strings always serialise");
    line.resize(line.len().max(FACTS_BYTES - 1), b' ');
    line.push(b'\n');
    line
}

/// Field 22 of `/proc/self/stat`; the name in field 2 may hold anything, so counting starts behind its last `)`.
fn process_start() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}
