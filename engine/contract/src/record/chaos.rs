//! What happened to each attempt (`attempts.jsonl`), and which faults were injected (`chaos-log.json`).

use serde::{Deserialize, Serialize};

use crate::chaos_profile::FailureMode;
use crate::record::Record;

/// One attempt of one call. Lines are ordered by (call_index, attempt). An attempt that the budget refused was never
/// made and has no row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Place of the call in its run, from 0.
    pub call_index: u64,
    /// Name of the call in its run.
    pub call_key: String,
    /// The scene that asked.
    pub scene_id: String,
    /// From 1.
    pub attempt: u32,
    /// When the rate limiter let it through; milliseconds since 1970 on the run's clock.
    pub started: u64,
    /// When it ended; same clock, never before `started`.
    pub ended: u64,
    /// Back-off that was chosen before this attempt; 0 for the first. `started` is at least this much after the end of
    /// the attempt before.
    pub wait_ms: u64,
    /// `ok`, or the word of its error.
    pub outcome: String,
    /// The status, where the provider answered with an error status.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<u16>,
    /// `Retry-After` of this answer: a floor under the next attempt's `wait_ms`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after_ms: Option<u64>,
    /// Whether a `Retry-After` was there and could not be read.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub retry_after_malformed: bool,
    /// The fault that was injected in process: then nothing was sent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub injected: Option<FailureMode>,
    /// Why it failed, as a sentence; absent for `ok`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
    /// Why no attempt followed a failed one: `final` (the error would repeat), `max_retries`, `quota`,
    /// `retry_after`, `deadline`. Absent for `ok`, and when another attempt was planned: if none follows, the budget
    /// refused it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gave_up: Option<String>,
    /// Characters of the accepted text; absent for failures. Never 0.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accepted_chars: Option<u64>,
}

/// `chaos-log.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChaosLog {
    /// One an attempt, ordered by (call_index, attempt).
    pub entries: Vec<ChaosEntry>,
}

/// The decision about one attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChaosEntry {
    /// Place of the call in its run, from 0, without gaps.
    pub call_index: u64,
    /// The scene that asked.
    pub scene_id: String,
    /// From 1.
    pub attempt: u32,
    /// Whether a fault was injected.
    pub injected: bool,
    /// Which; present iff injected.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure_type: Option<FailureMode>,
    /// When it was decided; milliseconds since 1970 on the run's clock.
    pub timestamp: u64,
}

impl Record for Attempt {
    const SCHEMA: &'static str = "proofhouse.attempt/1";
}

impl Record for ChaosLog {
    const SCHEMA: &'static str = "proofhouse.chaos-log/1";
}
