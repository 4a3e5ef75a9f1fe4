//! The layers around every provider call, outermost first:
//! `cached → retry → validate → meter → limit → chaos → provider`.
//!
//! | layer | what it adds |
//! |---|---|
//! | cached | a reply that was paid for once costs nothing again |
//! | retry | typed errors decide about another attempt; waits, quota and deadlines bound it |
//! | validate | empty and cut replies are errors before anything counts or keeps them |
//! | meter | reserves the worst case before an attempt, settles the real cost after it |
//! | limit | starts per minute, attempts under way, time of one attempt |
//! | chaos | takes the provider's place for some attempts; the rest cannot tell |
//!
//! Each layer holds the next as its field `inner`; [`Pipeline::new`] is the one place where the order is written.

use std::sync::Arc;

use contract::calibration::Calibration;
use contract::money::MicroUsd;
use contract::record::chaos::{self as rows, ChaosLog};
use contract::record::cost::{CallRow, RunCost};
use contract::seed::Seed;

use crate::clock::Clock;
use crate::provider::{Provider, Request};
use crate::store::cache::Cache;
use crate::store::ledger::{Ledger, limits_of};

pub mod attempt;
mod cached;
pub mod chaos;
mod journal;
mod limit;
pub mod meter;
mod report;
mod retry;
pub mod retry_after;
mod validate;

pub use attempt::{Answer, CallContext, CallError, GaveUp};
pub use chaos::Profile;

/// What a pipeline is made of.
pub struct Parts {
    /// Prices, limits, waits.
    pub calibration: Arc<Calibration>,
    /// The model that requests will name: refused here when it has no price.
    pub model: String,
    /// Who answers.
    pub provider: Arc<dyn Provider>,
    /// Real or virtual time.
    pub clock: Clock,
    /// Decides faults and jitter.
    pub seed: Seed,
    /// Faults to inject, if any.
    pub chaos: Option<Profile>,
    /// The books of the run; `None` keeps them in memory, for a run inside one process that costs nothing.
    pub ledger: Option<Ledger>,
    /// Where replies are kept, if anywhere.
    pub cache: Option<Cache>,
}

/// Why a pipeline cannot be made: nothing was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// Paused time fires the timeouts of sockets and processes at once (HRD-61).
    VirtualTimeNeedsInProcess {
        /// The provider that was asked for.
        provider: &'static str,
    },
    /// The calibration holds no price for this model.
    UnknownModel {
        /// The model that was asked for.
        model: String,
        /// Those with a price.
        known: Vec<String>,
    },
}

impl std::fmt::Display for SetupError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::VirtualTimeNeedsInProcess { provider } => {
                write!(f, "virtual time and the provider `{provider}` exclude each other: it waits for the real world")
            }
            Self::UnknownModel { model, known } => {
                write!(f, "no price is known for the model `{model}`; known: {}", known.join(", "))
            }
        }
    }
}

impl std::error::Error for SetupError {}

/// The layers of one run around its provider. Calls may run concurrently.
#[derive(Debug)]
pub struct Pipeline {
    layers: cached::Cached,
    journal: Arc<journal::Journal>,
    calibration: Arc<Calibration>,
    clock: Clock,
    started: tokio::time::Instant,
    provider: &'static str,
}

/// Everything a run leaves behind, in the order of calls and attempts.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// `run-cost.json`.
    pub cost: RunCost,
    /// `chaos-log.json`; without a profile it has no entries.
    pub chaos_log: ChaosLog,
    /// `attempts.jsonl`.
    pub attempts: Vec<rows::Attempt>,
    /// What went wrong with the cache, as sentences: entries that were set aside, replies that could not be kept.
    pub cache_problems: Vec<String>,
}

impl Pipeline {
    /// Puts the layers around a provider.
    ///
    /// # Errors
    /// When the model has no price, and when virtual time meets a provider that needs the real one.
    pub fn new(parts: Parts) -> Result<Self, SetupError> {
        let Parts { calibration, model, provider, clock, seed, chaos: profile, ledger, cache } = parts;
        let identity = provider.identity().clone();
        let name = identity.provider;
        if clock.is_virtual() && provider.needs_real_time() {
            return Err(SetupError::VirtualTimeNeedsInProcess { provider: name });
        }
        if !calibration.budget_limits.contains_key(&model) {
            let known = calibration.budget_limits.keys().cloned().collect();
            return Err(SetupError::UnknownModel { model, known });
        }
        let journal = Arc::new(journal::Journal::default());
        // Innermost first: each layer takes the one below it.
        let chaos = chaos::Chaos { provider, profile, seed, clock, journal: journal.clone() };
        let limit = limit::Limit::new(&calibration, clock, chaos);
        let ledger = ledger.unwrap_or_else(|| Ledger::in_memory(limits_of(&calibration)));
        let run_started = clock.instant();
        let calibrated = calibration.clone();
        let metered = journal.clone();
        let meter =
            meter::Meter { inner: limit, ledger, calibration: calibrated, clock, run_started, journal: metered };
        let validate = validate::Validate { inner: meter };
        let retry = retry::Retry::new(&calibration, seed, clock, journal.clone(), validate);
        let layers = cached::Cached { inner: retry, identity, cache, journal: journal.clone() };
        Ok(Self { layers, journal, calibration, clock, started: run_started, provider: name })
    }

    /// Makes one call through all layers, and keeps its rows whatever its end.
    ///
    /// # Errors
    /// [`CallError::Budget`] when a limit refused it, [`CallError::Store`] when ledger or cache failed, [`CallError::Provider`] when the provider failed after bounded
    /// retry.
    pub async fn call(&self, context: CallContext, request: &Request) -> Result<Answer, CallError> {
        let cached::Outcome { result, charges } = self.layers.call(&context, request).await;
        self.journal.call(CallRow {
            call_index: context.call_index,
            call_key: request.call_key.clone(),
            scene_id: context.scene_id,
            model: request.model.clone(),
            outcome: result.as_ref().map_or_else(CallError::kind, |_| "ok").into(),
            cached: result.as_ref().is_ok_and(|answer| answer.cached_age_ms.is_some()),
            cached_age_ms: result.as_ref().ok().and_then(|answer| answer.cached_age_ms),
            latency_ms: charges.iter().map(|charge| charge.latency_ms).sum(),
            cost_usd: charges.iter().map(|charge| charge.cost_usd).sum(),
            charges,
        });
        result
    }

    /// What the run has cost so far.
    #[must_use]
    pub fn spent(&self) -> MicroUsd {
        self.journal.spent()
    }

    /// Name of the provider.
    #[must_use]
    pub fn provider(&self) -> &'static str {
        self.provider
    }

    /// Everything that happened so far.
    #[must_use]
    pub fn record(&self) -> RunRecord {
        let rows = self.journal.sorted();
        let duration = (self.clock.instant() - self.started).as_millis();
        let cost = report::run_cost(&rows, &self.calibration, u64::try_from(duration).unwrap_or(u64::MAX));
        RunRecord { cost, chaos_log: rows.chaos_log(), attempts: rows.attempts, cache_problems: rows.cache_problems }
    }
}
