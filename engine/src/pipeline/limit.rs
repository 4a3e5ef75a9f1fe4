//! Layer limit: how many attempts may start in a minute and be under way at once, over the whole run (HRD-60), and how
//! long one may take. `Retry-After` of any answer holds back the whole run: the provider meant all of us.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use contract::calibration::Calibration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::attempt::Attempt;
use super::chaos::Chaos;
use crate::clock::Clock;
use crate::provider::{ProviderError, Reply};

const MINUTE: Duration = Duration::from_secs(60);

/// The layer.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) inner: Chaos,
    clock: Clock,
    under_way: Semaphore,
    per_minute: usize,
    /// Starts of the last minute, oldest first. Held while waiting for a place, so that waiters are served in order.
    starts: tokio::sync::Mutex<VecDeque<Instant>>,
    held_back_until: Mutex<Instant>,
    retry_after_max: Duration,
    timeout: Duration,
}

impl Limit {
    pub(super) fn new(calibration: &Calibration, clock: Clock, inner: Chaos) -> Self {
        let count = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            inner,
            clock,
            under_way: Semaphore::new(count(calibration.rate_limit_concurrency).min(Semaphore::MAX_PERMITS)),
            per_minute: count(calibration.rate_limit_per_min),
            starts: tokio::sync::Mutex::new(VecDeque::new()),
            held_back_until: Mutex::new(clock.instant()),
            retry_after_max: Duration::from_millis(calibration.retry_after_max_ms),
            timeout: Duration::from_millis(calibration.latency_limits.max_call_latency_ms),
        }
    }

    pub(super) async fn call(&self, attempt: &mut Attempt<'_>) -> Result<Reply, ProviderError> {
        // The semaphore is never closed; if it were, running without a permit would break the limit, so the call fails.
        let _permit = self.under_way.acquire().await.map_err(|_| ProviderError::Timeout)?;
        let started = self.place_in_the_minute().await;
        attempt.started_ms = self.clock.now().0;
        let outcome = tokio::time::timeout(self.timeout, self.inner.call(attempt)).await;
        attempt.latency_ms = millis(self.clock.instant() - started);
        let result = outcome.unwrap_or(Err(ProviderError::Timeout));
        if let Err(error) = &result {
            self.hold_back(error);
        }
        result
    }

    /// Waits until one more start keeps every window of a minute within the limit, and takes that place.
    async fn place_in_the_minute(&self) -> Instant {
        let mut starts = self.starts.lock().await;
        loop {
            let now = self.clock.instant();
            let full_until = (starts.len() >= self.per_minute).then(|| starts.front().map(|oldest| *oldest + MINUTE));
            let free_at = full_until.flatten().unwrap_or(now).max(self.held_back());
            if free_at <= now {
                if starts.len() >= self.per_minute {
                    starts.pop_front();
                }
                starts.push_back(now);
                return now;
            }
            // Looked at again afterwards: an answer may have held the run back further meanwhile.
            self.clock.sleep(free_at - now).await;
        }
    }

    fn held_back(&self) -> Instant {
        *self.held_back_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A wait beyond the maximum fails its own call (retry), and must not stop the others for hours.
    fn hold_back(&self, error: &ProviderError) {
        if crate::sabotage!("retry-after-ignored") {
            return;
        }
        if let Some(wait) = error.retry_after().wait.filter(|wait| *wait <= self.retry_after_max) {
            let until = self.clock.instant() + wait;
            let mut held = self.held_back_until.lock().unwrap_or_else(PoisonError::into_inner);
            *held = until.max(*held);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
