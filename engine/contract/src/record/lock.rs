//! Many processes on one shared folder (`drill concurrency`): what each did, and what was found afterwards.
//!
//! Times (`_ns`) are nanoseconds since the drill began, of one clock that all processes of the machine share: they can
//! be compared across rows and files, and setting the wall clock does not move them. Nothing here is a judgement: a judge
//! recounts overlaps from the intervals of [`Section`], lost updates from its values against [`Counter`], and so on.
//! A row that could not be made carries `not_run` with the reason, and its other fields say nothing.

use serde::{Deserialize, Serialize};

use crate::record::Record;

/// A part of the drill that has a folder of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Writers with equal work and readers beside them; nobody is killed.
    Calm,
    /// Writers are killed at seeded moments and replaced.
    Storm,
    /// One holder is stopped inside its critical section, waiters wait for it, then it goes on.
    Stopped,
    /// One process at a time is killed at a named step.
    Steps,
}

/// One writer process (`writers.jsonl`, in the order in which they were started). A writer of the storm that was not
/// killed, and every writer of the other phases, must exit 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// Where it worked.
    pub phase: Phase,
    /// Number of the process inside its phase, from 0 without a gap; a replacement has a number of its own.
    pub writer: u64,
    /// Exit code; absent when a signal ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// The signal that ended it; absent otherwise. 9 where the drill killed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<u8>,
    /// Increments it was asked for; 0 where it works until it is told to stop.
    pub planned: u64,
    /// Rows of [`Section`] with `end_ns` that it wrote: increments it acknowledged.
    pub acknowledged: u64,
    /// Fresh cache entries that it stored and acknowledged.
    pub puts: u64,
    /// When it passed the barrier.
    pub start_ns: u64,
    /// When it wrote its last line.
    pub end_ns: u64,
}

/// One critical section: read a counter, add one, write it back, all under the lock (`sections.jsonl`, by phase, writer
/// and time). `start_ns` is read after the lock was acquired and `end_ns` before it is released, so two intervals of one
/// phase and counter that overlap are two holders. In a phase the values `after` of one counter are 1, 2, 3 … without
/// a gap or a double, but for killed writers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Where.
    pub phase: Phase,
    /// Which process ([`Writer::writer`]).
    pub writer: u64,
    /// Which counter, from 0.
    pub counter: u64,
    /// When it began to wait for the lock.
    pub wait_ns: u64,
    /// When it held the lock.
    pub start_ns: u64,
    /// When the increment was on disk, before release; absent when the writer was killed inside the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_ns: Option<u64>,
    /// The counter as read.
    pub before: u64,
    /// The counter as written; absent with `end_ns`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// The independent oracle: a second kernel lock, on another file, taken inside the section, was held by somebody.
    pub overlap: bool,
}

/// A counter after a phase (`counters.jsonl`): at least its acknowledged increments, and at most these plus one for each
/// section of it without `end_ns`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// Where.
    pub phase: Phase,
    /// Which counter, from 0.
    pub counter: u64,
    /// Its value; absent when its file was missing or did not verify.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<u64>,
}

/// One reader process (`readers.jsonl`). Every body carries a digest of its own, which the reader computes again, apart
/// from what the cache verifies. `reads` = `intact` + `absent` + `torn` + `set_aside`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    /// Where.
    pub phase: Phase,
    /// Number of the process inside its phase, from 0.
    pub reader: u64,
    /// Exit code; absent when a signal ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// Counters and entries read.
    pub reads: u64,
    /// Whole, by the body's own digest.
    pub intact: u64,
    /// Not there (yet).
    pub absent: u64,
    /// Served although the body's own digest does not fit. Any is a torn read.
    pub torn: u64,
    /// Refused by the cache as damaged, where nobody had damaged it. Any is a torn write.
    pub set_aside: u64,
    /// Reads, beyond `reads`, of entries that the drill had damaged on purpose.
    pub planted: u64,
    /// Of these, refused and set aside; must equal `planted`.
    pub planted_refused: u64,
    /// When it passed the barrier.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
}

/// One SIGKILL of the storm (`kills.jsonl`, in the order in which they were sent).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    /// Number of the kill, from 0.
    pub kill: u64,
    /// The victim ([`Writer::writer`] of the storm).
    pub writer: u64,
    /// When the signal was sent.
    pub killed_ns: u64,
    /// What the victim was doing, by the last line it wrote.
    pub doing: Doing,
    /// The counter it waited for or held; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counter: Option<u64>,
}

/// What a killed writer was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// Nothing yet.
    Starting,
    /// Waiting for the lock of a counter, releasing it, or just before either.
    Waiting,
    /// Inside the critical section of a counter: its section has no `end_ns`.
    Holding,
    /// Storing a fresh entry.
    Storing,
    /// Between two tasks.
    Between,
}

/// One holder killed while somebody waits for its lock (`takeovers.jsonl`). Recovery took `acquired_ns` - `killed_ns`,
/// or nothing where the waiter got in before the kill, which a lock that excludes nobody allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takeover {
    /// Number of the trial, from 0.
    pub trial: u64,
    /// When the holder was killed, read just before the signal.
    pub killed_ns: u64,
    /// When the waiter held the lock; absent when it never did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acquired_ns: Option<u64>,
    /// The error word of the waiter; empty when it got in.
    pub error: String,
}

/// One waiter in front of a stopped holder (`stopped.jsonl`). The holder was stopped inside its critical section at
/// `stopped_ns` and went on at `resumed_ns`; its section and those of the waiters that come after are in
/// `sections.jsonl` under phase `stopped`. Waiters that began before `resumed_ns` must have ended with `LOCK_TIMEOUT`
/// naming the holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoppedWaiter {
    /// Why there is no such row here; the other fields then say nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
    /// Number of the waiter, from 0.
    pub waiter: u64,
    /// `LOCK_TIMEOUT_MS` in force.
    pub lock_timeout_ms: u64,
    /// `LOCK_MAX_AGE_MS` in force.
    pub lock_max_age_ms: u64,
    /// When the holder had stopped.
    pub stopped_ns: u64,
    /// When the holder was sent on.
    pub resumed_ns: u64,
    /// When the waiter began.
    pub start_ns: u64,
    /// When the waiter gave up or got in.
    pub end_ns: u64,
    /// The error word; empty when it got in.
    pub error: String,
    /// Process number of the real holder.
    pub holder_pid: u32,
    /// Process number that the error names; absent when it names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named_pid: Option<u32>,
    /// How long the error says the holder has had the lock, in milliseconds; absent with the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_ms: Option<u64>,
    /// Whether the error calls the holder stuck: held for more than `lock_max_age_ms`.
    pub stuck: bool,
}

/// What was left in the folder of a phase (`residue.jsonl`): after all processes ended, and after the sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Residue {
    /// Where.
    pub phase: Phase,
    /// `.lock` files before the sweep.
    pub locks_before: u64,
    /// `.tmp` files before the sweep. The phase `steps` always leaves some, so that the sweep has work.
    pub tmps_before: u64,
    /// `.lock` files after it. Must be 0.
    pub locks_after: u64,
    /// `.tmp` files after it. Must be 0.
    pub tmps_after: u64,
    /// Cache entries that verified afterwards.
    pub entries_good: u64,
    /// Cache entries that did not.
    pub entries_bad: u64,
}

/// One process killed just before a named step, and what others found (`steps.jsonl`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashPoint {
    /// The operation.
    pub operation: Operation,
    /// The step before which it was killed, by its name in the store (`create_tmp`, `rename` …); `done` for after the
    /// last one.
    pub step: String,
    /// The signal that ended the process: 9 where it was killed, absent where it ended by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<u8>,
    /// What a reader found of the entry afterwards.
    pub found: Found,
    /// The same operation, done again by another process, worked.
    pub repeated: bool,
    /// Charged before the operation, in micro-dollars; 0 where no ledger is involved.
    pub ledger_before: u64,
    /// The least that must be charged afterwards: what was acknowledged, open reservations in full.
    pub ledger_least: u64,
    /// Charged afterwards, as another process reads it.
    pub ledger_after: u64,
}

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Storing over an old entry. Steps: lock, create_tmp, write, sync_file, rename, sync_dir, unlock.
    Put,
    /// Removing an entry. Steps: lock, remove, sync_dir, unlock.
    Evict,
    /// Reserving money. Steps: lock, append, sync_file, unlock.
    Reserve,
    /// Settling a reservation. Steps: lock, append, sync_file, unlock.
    Settle,
    /// Sweeping. Steps: lock, remove, unlock.
    Sweep,
}

/// What a reader found of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// The bytes of before the operation.
    Old,
    /// The bytes that the operation was to store.
    New,
    /// Nothing. Right only for an eviction.
    Absent,
    /// Something else, or damage. Never right.
    Torn,
    /// The operation touches no entry (and, for a sweep, the old one is still there).
    NotApplicable,
}

/// The system calls of one durable operation of the built program (`traces.jsonl`), in their order, as a tracer saw
/// them. `put` must create the temporary, write it, sync it, rename it onto the entry and sync the folder; `settle`
/// must write the journal and sync it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Why there is no trace; the calls are then empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
    /// The operation.
    pub operation: Operation,
    /// The calls on files of the operation.
    pub calls: Vec<TracedCall>,
}

/// One system call that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedCall {
    /// `create`, `write`, `sync`, `rename`, `unlink`, `lock` or `unlock`, whatever its name in the system.
    pub call: String,
    /// `tmp`, `entry`, `journal`, `folder` or `lock`; for a rename, what was renamed.
    pub target: String,
    /// For a rename, the new name in the same words; empty otherwise.
    pub onto: String,
}

/// One fault of the disk under a put over an old entry (`storage.jsonl`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageFault {
    /// Why the fault could not be made here; the other fields then say nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
    /// The fault.
    pub fault: Fault,
    /// The word of the typed error; empty when the put claims to have worked, which is never right.
    pub error: String,
    /// What a reader found afterwards; `old` is right, `not_applicable` where there is no folder to read.
    pub found: Found,
    /// `.lock` files left. Must be 0.
    pub locks_left: u64,
    /// `.tmp` files left. Must be 0.
    pub tmps_left: u64,
    /// Exit code of the process that met the fault: not 0, because it could not store. Absent when a signal ended it,
    /// which is never right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
}

/// A fault of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// No space left: `STORAGE_FULL`.
    DiskFull,
    /// The file may not grow beyond a part of the entry: `STORAGE_FILE_TOO_LARGE`.
    ShortWrite,
    /// Nothing may be written in the folder: `STORAGE_READ_ONLY`.
    ReadOnlyFolder,
    /// A file system that shares no locks: `CACHE_FS_UNSUPPORTED`.
    UnsupportedFileSystem,
    /// No file handle left: `STORAGE_TOO_MANY_FILES`.
    TooManyFiles,
}

/// One decision of the store under a shifted wall clock (`clock.jsonl`): for each decision the outcome is the same at
/// every shift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockJump {
    /// How far the wall clock, or the time of the file in question, was moved, in milliseconds; 0 for not at all.
    pub shift_ms: i64,
    /// The decision, such as `waiter_before_live_holder`.
    pub decision: String,
    /// What was decided, as a word.
    pub outcome: String,
}

impl Record for Writer {
    const SCHEMA: &'static str = "proofhouse.lock-writer/1";
}

impl Record for Section {
    const SCHEMA: &'static str = "proofhouse.lock-section/1";
}

impl Record for Counter {
    const SCHEMA: &'static str = "proofhouse.lock-counter/1";
}

impl Record for Reader {
    const SCHEMA: &'static str = "proofhouse.lock-reader/1";
}

impl Record for Kill {
    const SCHEMA: &'static str = "proofhouse.lock-kill/1";
}

impl Record for Takeover {
    const SCHEMA: &'static str = "proofhouse.lock-takeover/1";
}

impl Record for StoppedWaiter {
    const SCHEMA: &'static str = "proofhouse.lock-stopped/1";
}

impl Record for Residue {
    const SCHEMA: &'static str = "proofhouse.lock-residue/1";
}

impl Record for CrashPoint {
    const SCHEMA: &'static str = "proofhouse.lock-step/1";
}

impl Record for Trace {
    const SCHEMA: &'static str = "proofhouse.lock-trace/1";
}

impl Record for StorageFault {
    const SCHEMA: &'static str = "proofhouse.lock-storage/1";
}

impl Record for ClockJump {
    const SCHEMA: &'static str = "proofhouse.lock-clock/1";
}
