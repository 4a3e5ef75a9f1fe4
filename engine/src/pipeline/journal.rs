//! What happened in a run, row by row. Layers add rows in the order of events; readers get them in the order of calls.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use contract::money::MicroUsd;
use contract::record::chaos::{self, ChaosEntry, ChaosLog};
use contract::record::cost::{CallRow, Violation};

use super::attempt::{Attempt, GaveUp};
use crate::provider::error::RetryAfter;
use crate::provider::{ProviderError, Reply};

/// The rows of one run.
#[derive(Debug, Default)]
pub(super) struct Journal {
    rows: Mutex<Rows>,
    /// Time with the provider, over all attempts that ended.
    latency_ms: AtomicU64,
}

/// A copy of all rows, in the order of calls and attempts.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub(super) calls: Vec<CallRow>,
    pub(super) attempts: Vec<chaos::Attempt>,
    pub(super) chaos: Vec<ChaosEntry>,
    pub(super) refusals: Vec<Violation>,
    pub(super) cache_problems: Vec<String>,
}

impl Journal {
    pub(super) fn call(&self, row: CallRow) {
        self.rows().calls.push(row);
    }

    pub(super) fn chaos(&self, entry: ChaosEntry) {
        self.rows().chaos.push(entry);
    }

    pub(super) fn cache_problem(&self, problem: String) {
        self.rows().cache_problems.push(problem);
    }

    pub(super) fn refusal(&self, violation: Violation) {
        self.rows().refusals.push(violation);
    }

    pub(super) fn attempt(
        &self,
        attempt: &Attempt<'_>,
        result: &Result<Reply, ProviderError>,
        gave_up: Option<GaveUp>,
    ) {
        if crate::sabotage!("row-dropped") && attempt.call.call_index % 5 == 4 && attempt.number == 1 {
            return;
        }
        self.latency_ms.fetch_add(attempt.latency_ms, Ordering::Relaxed);
        self.rows().attempts.push(row(attempt, result, gave_up));
    }

    pub(super) fn latency_ms(&self) -> u64 {
        self.latency_ms.load(Ordering::Relaxed)
    }

    pub(super) fn spent(&self) -> MicroUsd {
        self.rows().calls.iter().map(|call| call.cost_usd).sum()
    }

    pub(super) fn sorted(&self) -> Rows {
        let mut rows = self.rows().clone();
        rows.calls.sort_by_key(|row| row.call_index);
        rows.attempts.sort_by_key(|row| (row.call_index, row.attempt));
        rows.chaos.sort_by_key(|entry| (entry.call_index, entry.attempt));
        rows.refusals.sort_unstable();
        rows.cache_problems.sort_unstable();
        rows
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    pub(super) fn chaos_log(&self) -> ChaosLog {
        ChaosLog { entries: self.chaos.clone() }
    }
}

fn row(attempt: &Attempt<'_>, result: &Result<Reply, ProviderError>, gave_up: Option<GaveUp>) -> chaos::Attempt {
    let error = result.as_ref().err();
    let retry_after = error.map_or(RetryAfter::default(), ProviderError::retry_after);
    let millis = |nanos: u128| u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX);
    chaos::Attempt {
        call_index: attempt.call.call_index,
        call_key: attempt.request.call_key.clone(),
        scene_id: attempt.call.scene_id.clone(),
        attempt: attempt.number,
        started: attempt.started_ms,
        ended: attempt.started_ms.saturating_add(attempt.latency_ms),
        wait_ms: attempt.wait_ms,
        outcome: error.map_or("ok", ProviderError::kind).into(),
        status: error.and_then(ProviderError::status),
        retry_after_ms: retry_after.wait.map(|wait| millis(wait.as_nanos())),
        retry_after_malformed: retry_after.malformed,
        injected: attempt.injected,
        cause: error.map(ToString::to_string),
        gave_up: gave_up.map(|why| why.word().into()),
        accepted_chars: result.as_ref().ok().map(|reply| reply.text.trim().chars().count() as u64),
    }
}
