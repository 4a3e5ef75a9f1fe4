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

/// One storm of calls under a fault profile: `<profile>/<seed>/<part>/run-report.json`, beside `chaos-log.json`,
/// `attempts.jsonl` and the `calibration.json` that bounded it. `<seed>` is the 16 hex digits; `<part>` is `c1`, `c2` or
/// `c8` (by concurrency, purpose `rate`) or `bounds` (purpose `bounds`).
///
/// Decisions of one (profile, seed) are the same in each part, for every (call, attempt) that happened in both; `c2` and
/// `c8` make the first calls of `c1` only. Rates are counted over `c1` alone, where each decision stands once.
/// The plan of pr-g3 counts seeds (`drill` = `chaos`, `scenario` empty): each index has all four parts under every
/// profile of the policy, and judges demand every one of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Storm {
    /// Name of the profile.
    pub profile: String,
    /// What it is for.
    pub purpose: StormPurpose,
    /// Index of the storm in the plan.
    pub index: u64,
    /// `Seed::derive(master, gate, index)`.
    pub seed: crate::seed::Seed,
    /// Calls under way at once.
    pub concurrency: u64,
    /// Calls that were asked for, 0..calls.
    pub calls: u64,
    /// Attempts that arrived at the provider behind the layers, by its own count: the attempts without an injected fault.
    pub arrived: u64,
    /// How each call ended, by call_index. Calls that were refused before their first attempt have 0 attempts.
    pub ends: Vec<CallEnd>,
    /// Duration on the run's own clock.
    pub duration_ms: u64,
}

/// What a storm is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StormPurpose {
    /// Roomy limits of the run (scenario `chaos`), so that there are attempts enough to see the rate.
    Rate,
    /// The limits as they are: the storm runs into them.
    Bounds,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallEnd {
    /// Place of the call in its run, from 0.
    pub call_index: u64,
    /// Attempts made.
    pub attempts: u64,
    /// `ok`, or the word of the error that the caller got.
    pub outcome: String,
    /// Characters of the text that the caller got; 0 for a failed call.
    pub chars: u64,
}

/// One call over real HTTP against a server process that plays one script (`wire.jsonl`). Beside it, in
/// `wire-journal/<case>/`: `attempts.jsonl` (ours) and `arrived.jsonl` (the server's own list of requests, in its own form).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireCase {
    /// `<server>-<protocol>-<script>`, unique.
    pub case: String,
    /// `wire`: the project's own server binary; `aimock`: one that others wrote.
    pub server: String,
    /// `openai` (chat completions) or `anthropic` (messages).
    pub protocol: String,
    /// The fault that the server really made before its good reply; absent for other scripts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mode: Option<FailureMode>,
    /// What the server was told to do, request by request: `ok`, the name of a mode, or another word of its script.
    pub script: Vec<String>,
    /// Attempts in our journal.
    pub attempts: u64,
    /// Requests in the server's journal.
    pub arrived: u64,
    /// Outcome of each attempt: `ok` or the word of its error.
    pub outcomes: Vec<String>,
    /// How the call ended.
    pub end: CallEnd,
    /// Whether the text of the good reply is the one that the server sent.
    pub text_intact: bool,
    /// How often the key that the provider was given was found in rows, errors and replies of this case. 0 is right.
    pub key_seen: u64,
    /// Bodies of the requests as they arrived, for validation against the request types of official SDKs; without headers.
    pub bodies: Vec<serde_json::Value>,
    /// Why the case could not be made; the other fields then say nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_run: Option<String>,
}

impl Record for Storm {
    const SCHEMA: &'static str = "proofhouse.storm/1";
}

impl Record for WireCase {
    const SCHEMA: &'static str = "proofhouse.wire-case/1";
}
