//! What travels through the layers: the call, one attempt at it with the facts that each layer adds, and how a call ends.

use std::fmt;

use contract::chaos_profile::FailureMode;
use contract::money::MicroUsd;
use contract::record::cost::{Charge, Violation, ViolationKind};

use crate::provider::{ProviderError, Reply, Request};

/// Where a call stands in its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallContext {
    /// From 0, without gaps, by the plan of the run and not by the order in which calls happen.
    pub call_index: u64,
    /// The scene that asks.
    pub scene_id: String,
}

/// One attempt. A layer reads what it needs and writes down what only it knows.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// Where its call stands in the run.
    pub call: &'a CallContext,
    /// What is asked.
    pub request: &'a Request,
    /// From 1.
    pub number: u32,
    /// Back-off before it (retry).
    pub wait_ms: u64,
    /// What earlier attempts of the same call cost (retry).
    pub spent_before: MicroUsd,
    /// What it cost (meter).
    pub charge: Option<Charge>,
    /// Why it was never made, or cannot count (meter).
    pub stopped: Option<Stop>,
    /// When it was let through (limit), milliseconds since 1970 on the run's clock.
    pub started_ms: u64,
    /// From there to its end (limit).
    pub latency_ms: u64,
    /// The fault that took the provider's place (chaos).
    pub injected: Option<FailureMode>,
}

impl<'a> Attempt<'a> {
    /// A fresh attempt, before any layer has seen it.
    #[must_use]
    pub fn new(call: &'a CallContext, request: &'a Request, number: u32, wait_ms: u64, spent_before: MicroUsd) -> Self {
        Self {
            call,
            request,
            number,
            wait_ms,
            spent_before,
            charge: None,
            stopped: None,
            started_ms: 0,
            latency_ms: 0,
            injected: None,
        }
    }
}

/// Why an attempt was stopped on our side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A limit refused it.
    Budget(Violation),
    /// The ledger could not be written: what cannot be accounted for is not done.
    Store(String),
}

/// A good end of a call: text that passed validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The reply; its text is not empty and not cut.
    pub reply: Reply,
    /// Attempts that were made; 0 for a cached reply.
    pub attempts: u32,
    /// Age of a reply from the cache; `None` when the provider was asked.
    pub cached_age_ms: Option<u64>,
}

/// Why no further attempt was made after a failed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// The error says that another attempt would end the same.
    Final,
    /// `MAX_RETRIES` were used.
    MaxRetries,
    /// The retry quota that all calls share is used up.
    Quota,
    /// `Retry-After` lies beyond `RETRY_AFTER_MAX_MS`.
    RetryAfter,
    /// The wait would not end before the run must.
    Deadline,
}

impl GaveUp {
    /// The word for rows.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::MaxRetries => "max_retries",
            Self::Quota => "quota",
            Self::RetryAfter => "retry_after",
            Self::Deadline => "deadline",
        }
    }
}

/// A bad end of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// A limit refused it: the run has failed its budget, and nothing further is spent.
    Budget {
        /// Which limit.
        violation: Violation,
        /// Attempts that were made before.
        attempts: u32,
    },
    /// The ledger or the cache failed.
    Store {
        /// What failed, with the place.
        detail: String,
        /// Attempts that were made before.
        attempts: u32,
    },
    /// The provider failed.
    Provider {
        /// The error of the last attempt.
        error: ProviderError,
        /// Attempts that were made.
        attempts: u32,
        /// Why there was no further one.
        gave_up: GaveUp,
    },
}

impl CallError {
    /// Attempts that were made.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        match self {
            Self::Budget { attempts, .. } | Self::Store { attempts, .. } | Self::Provider { attempts, .. } => *attempts,
        }
    }

    /// One word for rows and reports.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Budget { .. } => "budget_refused",
            Self::Store { .. } => "store",
            Self::Provider { error, .. } => error.kind(),
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget { violation, .. } => write!(f, "refused by the budget: {}", sentence(violation)),
            Self::Store { detail, .. } => f.write_str(detail),
            Self::Provider { error, attempts, .. } => write!(f, "{error} ({attempts} attempts)"),
        }
    }
}

impl std::error::Error for CallError {}

/// A violation as a sentence with its unit.
#[must_use]
pub fn sentence(violation: &Violation) -> String {
    let (what, unit) = match violation.kind {
        ViolationKind::CostPerCall => ("cost per call", "micro-dollars"),
        ViolationKind::CostPerRun => ("cost per run", "micro-dollars"),
        ViolationKind::LatencyPerCall => ("latency per call", "ms"),
        ViolationKind::LatencyPerRun => ("latency per run", "ms"),
        ViolationKind::TokensPerRun => ("tokens per run", "tokens"),
        ViolationKind::RetriesPerRun => ("retries per run", "retries"),
        ViolationKind::UsageMissing => ("replies without usage", "replies"),
    };
    format!("{what}: {} {unit} are over the limit of {}", violation.value, violation.limit)
}
