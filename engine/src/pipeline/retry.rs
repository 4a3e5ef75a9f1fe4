//! Layer retry: one call, as many attempts as are worth it, never more than are allowed (HRD-40 to HRD-43). The retries of
//! the whole run are counted by the ledger, because processes may share a run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contract::calibration::Calibration;
use contract::money::MicroUsd;
use contract::record::cost::Charge;
use contract::seed::Seed;

use super::attempt::{Answer, Attempt, CallContext, CallError, GaveUp, Stop};
use super::journal::Journal;
use super::validate::Validate;
use crate::clock::Clock;
use crate::provider::{ProviderError, Request};

/// Jitter lengthens a wait by up to this share, so that calls that failed together do not come back together.
const JITTER: f64 = 0.2;

/// The layer.
#[derive(Debug)]
pub(super) struct Retry {
    pub(super) inner: Validate,
    rules: Rules,
    quota: Quota,
    clock: Clock,
    run_started: tokio::time::Instant,
    journal: Arc<Journal>,
}

/// What the calibration says about retries, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Rules {
    base_ms: u64,
    cap_ms: u64,
    max_retries: u64,
    retry_after_max_ms: u64,
    run_ms: u64,
    seed: Seed,
}

/// How a call went, whether it ended well or not.
pub(super) struct Outcome {
    pub(super) result: Result<Answer, CallError>,
    pub(super) charges: Vec<Charge>,
}

impl Retry {
    pub(super) fn new(
        calibration: &Calibration,
        seed: Seed,
        clock: Clock,
        journal: Arc<Journal>,
        inner: Validate,
    ) -> Self {
        let rules = Rules {
            base_ms: calibration.backoff_base_ms,
            cap_ms: calibration.backoff_max_ms,
            max_retries: calibration.max_retries,
            retry_after_max_ms: calibration.retry_after_max_ms,
            run_ms: calibration.max_duration_per_run_ms,
            seed,
        };
        // As many as let every call that may be under way use all its retries once: a wider failure is a storm.
        let quota = Quota::new(calibration.rate_limit_concurrency.saturating_mul(calibration.max_retries));
        let run_started = clock.instant();
        Self { inner, rules, quota, clock, run_started, journal }
    }

    pub(super) async fn call(&self, call: &CallContext, request: &Request) -> Outcome {
        let mut charges = Vec::with_capacity(1);
        let mut wait_ms = 0;
        let mut number = 0;
        loop {
            number += 1;
            let spent: MicroUsd = charges.iter().map(|charge: &Charge| charge.cost_usd).sum();
            let mut attempt = Attempt::new(call, request, number, wait_ms, spent);
            let result = self.inner.call(&mut attempt).await;
            charges.extend(attempt.charge);
            if let Some(stop) = attempt.stopped {
                let attempts = number - 1;
                let error = match stop {
                    Stop::Budget(violation) => CallError::Budget { violation, attempts },
                    Stop::Store(detail) => CallError::Store { detail, attempts },
                };
                return Outcome { result: Err(error), charges };
            }
            let next = result.as_ref().err().map(|error| self.after(number, error, &request.call_key));
            self.journal.attempt(&attempt, &result, next.and_then(Result::err));
            match (result, next) {
                (Ok(reply), _) => {
                    self.quota.give_back();
                    return Outcome { result: Ok(Answer { reply, attempts: number, cached_age_ms: None }), charges };
                }
                (Err(_), Some(Ok(wait))) => {
                    wait_ms = wait;
                    self.clock.sleep(Duration::from_millis(wait)).await;
                }
                (Err(error), gave_up) => {
                    let gave_up = gave_up.and_then(Result::err).unwrap_or(GaveUp::Final);
                    let error = CallError::Provider { error, attempts: number, gave_up };
                    return Outcome { result: Err(error), charges };
                }
            }
        }
    }

    /// The wait before the next attempt, or why there is none.
    fn after(&self, failed: u32, error: &ProviderError, call_key: &str) -> Result<u64, GaveUp> {
        let rules = &self.rules;
        if !error.retryable() {
            return Err(GaveUp::Final);
        }
        let bounded = !crate::sabotage!("retry-unbounded");
        if bounded && u64::from(failed) > rules.max_retries {
            return Err(GaveUp::MaxRetries);
        }
        let wait = rules.wait_ms(failed, error, call_key)?;
        let elapsed = u64::try_from((self.clock.instant() - self.run_started).as_millis()).unwrap_or(u64::MAX);
        if elapsed.saturating_add(wait) > rules.run_ms {
            return Err(GaveUp::Deadline);
        }
        if bounded && !self.quota.take() {
            return Err(GaveUp::Quota);
        }
        Ok(wait)
    }
}

impl Rules {
    /// `min(cap, base × 2^n)` with jitter upward, never above the cap; `Retry-After` is a floor, above the cap too.
    fn wait_ms(&self, failed: u32, error: &ProviderError, call_key: &str) -> Result<u64, GaveUp> {
        let doubled = self.base_ms.saturating_mul(2_u64.saturating_pow(failed - 1));
        let stream = self.seed.stream(&format!("jitter/{call_key}"));
        let jitter = doubled.min(self.cap_ms) as f64 * JITTER * stream.unit(u64::from(failed));
        let backoff = doubled.saturating_add(jitter as u64).min(self.cap_ms);
        match error.retry_after().wait {
            _ if crate::sabotage!("retry-after-ignored") => Ok(backoff),
            Some(asked) => {
                // Rounded up: a floor of 1.5 ms is not met by 1 ms.
                let asked = u64::try_from(asked.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
                if asked > self.retry_after_max_ms { Err(GaveUp::RetryAfter) } else { Ok(backoff.max(asked)) }
            }
            None => Ok(backoff),
        }
    }
}

/// A token bucket that all calls of a run share: a retry takes one, a success gives one back. When everything fails, the
/// run stops hammering after one bucket.
#[derive(Debug)]
struct Quota {
    tokens: Mutex<u64>,
    capacity: u64,
}

impl Quota {
    fn new(capacity: u64) -> Self {
        Self { tokens: Mutex::new(capacity), capacity }
    }

    fn take(&self) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let some = *tokens > 0;
        *tokens -= u64::from(some);
        some
    }

    fn give_back(&self) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        *tokens = (*tokens + 1).min(self.capacity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::error::RetryAfter;
    use proptest::prelude::*;

    const RULES: Rules = Rules {
        base_ms: 1000,
        cap_ms: 30_000,
        max_retries: 3,
        retry_after_max_ms: 120_000,
        run_ms: 600_000,
        seed: Seed(42),
    };

    fn limited(wait: Duration) -> ProviderError {
        ProviderError::RateLimited { retry_after: RetryAfter { wait: Some(wait), malformed: false } }
    }

    proptest! {
        #[test]
        fn hrd_41_jitter_goes_upward_by_a_fifth_and_never_above_the_cap(seed: u64, failed in 1_u32..100, key in "[a-z]{0,8}") {
            let rules = Rules { seed: Seed(seed), ..RULES };
            let wait = rules.wait_ms(failed, &ProviderError::Timeout, &key).expect("no Retry-After");
            let exact = 1000_u64.saturating_mul(2_u64.saturating_pow(failed - 1)).min(30_000);
            prop_assert!(wait >= exact && wait <= (exact + exact / 5).min(30_000), "{wait} for {exact}");
        }

        #[test]
        fn hrd_41_retry_after_is_a_floor_up_to_its_maximum(asked_ms in 0_u64..200_000) {
            let wait = RULES.wait_ms(1, &limited(Duration::from_millis(asked_ms)), "a");
            if asked_ms > 120_000 {
                prop_assert_eq!(wait, Err(GaveUp::RetryAfter));
            } else {
                prop_assert!(wait.is_ok_and(|wait| wait >= asked_ms && wait >= 1000 && wait <= asked_ms.max(1200)));
            }
        }
    }

    #[test]
    fn a_floor_is_rounded_up() {
        assert_eq!(RULES.wait_ms(1, &limited(Duration::new(40, 1)), "a"), Ok(40_001));
        assert_eq!(RULES.wait_ms(1, &limited(Duration::MAX), "a"), Err(GaveUp::RetryAfter));
    }

    #[test]
    fn the_quota_is_taken_by_retries_and_refilled_by_successes() {
        let quota = Quota::new(2);
        assert!(quota.take() && quota.take() && !quota.take());
        quota.give_back();
        assert!(quota.take() && !quota.take());
        (0..9).for_each(|_| quota.give_back());
        assert!(quota.take() && quota.take() && !quota.take(), "it never holds more than its capacity");
    }
}
