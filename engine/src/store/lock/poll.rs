//! How long to pause between two tries of a lock.

use std::time::Duration;

use contract::seed::Seed;

use super::LockPolicy;

/// The pauses between tries: from 0.1 ms, half as long again each time, up to the policy's cap (HRD-11).
pub(super) struct Poll {
    step_us: u64,
    cap_us: u64,
    draws: u64,
}

impl Poll {
    pub(super) fn new(policy: &LockPolicy) -> Self {
        Self { step_us: 100, cap_us: policy.sleep_ms.saturating_mul(1000).max(1), draws: 0 }
    }

    /// A draw from the upper half of the step, so that waiters that met once do not meet again.
    pub(super) fn next(&mut self) -> Duration {
        let step = self.step_us.min(self.cap_us);
        self.step_us = (self.step_us + self.step_us / 2).min(self.cap_us);
        self.draws += 1;
        let draw = Seed(u64::from(std::process::id())).derive("lock poll", self.draws).0;
        Duration::from_micros(step - draw % (step / 2 + 1))
    }
}
