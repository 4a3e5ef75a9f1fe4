//! Layer chaos: takes the provider's place for some attempts (HRD-4). Whether and how is a pure function of (seed,
//! profile, call key, attempt), so it does not depend on order or concurrency (HRD-50).

use std::sync::Arc;
use std::time::Duration;

use contract::chaos_profile::{ChaosFile, FailureMode};
use contract::record::chaos::ChaosEntry;
use contract::seed::Seed;

use super::attempt::Attempt;
use super::journal::Journal;
use crate::clock::Clock;
use crate::provider::error::RetryAfter;
use crate::provider::{NetworkFault, Provider, ProviderError, Reply, StopReason, Usage};

/// A fault profile in use.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Its name: part of every decision.
    pub name: String,
    /// Share of attempts that fail, in [0, 1].
    pub rate: f64,
    /// How they fail, each as likely as the others; not empty.
    pub modes: Vec<FailureMode>,
}

impl Profile {
    /// The profile `name` of a chaos file; `calibration_rate` serves the default profile.
    ///
    /// # Errors
    /// A sentence with the valid names.
    pub fn from_file(file: &ChaosFile, name: &str, calibration_rate: f64) -> Result<Self, String> {
        let (rate, modes) = file.profile(name, calibration_rate)?;
        Ok(Self { name: name.into(), rate, modes: modes.to_vec() })
    }

    /// The fault of one attempt, if any.
    #[must_use]
    pub fn decide(&self, seed: Seed, call_key: &str, attempt: u32) -> Option<FailureMode> {
        let stream = seed.stream(&format!("chaos/{}/{call_key}", self.name));
        let place = u64::from(attempt) * 2;
        let rate = if crate::sabotage!("chaos-rate-doubled") { self.rate * 2.0 } else { self.rate };
        if stream.unit(place) >= rate {
            return None;
        }
        let pick = (stream.unit(place + 1) * self.modes.len() as f64) as usize;
        self.modes.get(pick).copied()
    }
}

/// The layer, with the provider behind it.
pub(super) struct Chaos {
    pub(super) provider: Arc<dyn Provider>,
    pub(super) profile: Option<Profile>,
    pub(super) seed: Seed,
    pub(super) clock: Clock,
    pub(super) journal: Arc<Journal>,
}

impl std::fmt::Debug for Chaos {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chaos").field("provider", self.provider.identity()).field("profile", &self.profile).finish()
    }
}

impl Chaos {
    pub(super) async fn call(&self, attempt: &mut Attempt<'_>) -> Result<Reply, ProviderError> {
        let Some(profile) = &self.profile else {
            return self.provider.call(attempt.request).await;
        };
        let fault = profile.decide(self.seed, &attempt.request.call_key, attempt.number);
        attempt.injected = fault;
        // Before the fault is felt (HRD-52), so that a crash cannot hide it.
        self.journal.chaos(ChaosEntry {
            call_index: attempt.call.call_index,
            scene_id: attempt.call.scene_id.clone(),
            attempt: attempt.number,
            injected: fault.is_some(),
            failure_type: fault,
            timestamp: self.clock.now().0,
        });
        match fault {
            Some(mode) => self.fail(mode, attempt).await,
            None => self.provider.call(attempt.request).await,
        }
    }

    /// Behaves as the real fault would at this place (HRD-51).
    async fn fail(&self, mode: FailureMode, attempt: &Attempt<'_>) -> Result<Reply, ProviderError> {
        match mode {
            FailureMode::RateLimit429 => Err(ProviderError::RateLimited { retry_after: self.some_seconds(attempt) }),
            // Nothing ever comes; the limit above ends the attempt when its time is up.
            FailureMode::Timeout => std::future::pending().await,
            FailureMode::InvalidJson => {
                Err(ProviderError::InvalidJson { detail: "EOF while parsing an object at line 1 column 9".into() })
            }
            FailureMode::ApiError500 => Err(ProviderError::Server { status: 500, retry_after: RetryAfter::default() }),
            FailureMode::NetworkError => Err(ProviderError::Network(NetworkFault::Closed)),
            FailureMode::EmptyResponse => Ok(Reply {
                text: String::new(),
                stop_reason: StopReason::Complete,
                usage: Some(Usage { input_tokens: attempt.request.input_tokens_estimate(), ..Usage::default() }),
                provider: self.provider.identity().provider,
                request_id: None,
            }),
        }
    }

    /// A `Retry-After` of 1 to 5 seconds: sometimes below and sometimes above the back-off of early attempts.
    fn some_seconds(&self, attempt: &Attempt<'_>) -> RetryAfter {
        let stream = self.seed.stream(&format!("retry-after/{}", attempt.request.call_key));
        let seconds = 1 + stream.word(u64::from(attempt.number)) % 5;
        RetryAfter { wait: Some(Duration::from_secs(seconds)), malformed: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(rate: f64, modes: &[FailureMode]) -> Profile {
        Profile { name: "test".into(), rate, modes: modes.to_vec() }
    }

    #[test]
    fn hrd_50_the_decision_depends_on_its_four_inputs_alone() {
        let profile = profile(0.5, &FailureMode::ALL);
        let decide = |seed, key: &str, attempt| profile.decide(Seed(seed), key, attempt);
        let forwards: Vec<_> = (1..200).map(|n| decide(1, "scene-1", n)).collect();
        let backwards: Vec<_> = (1..200).rev().map(|n| decide(1, "scene-1", n)).collect();
        assert!(forwards.iter().eq(backwards.iter().rev()));
        assert_ne!(forwards, (1..200).map(|n| decide(2, "scene-1", n)).collect::<Vec<_>>(), "the seed counts");
        assert_ne!(forwards, (1..200).map(|n| decide(1, "scene-2", n)).collect::<Vec<_>>(), "the call counts");
        let renamed = Profile { name: "other".into(), ..profile.clone() };
        assert_ne!(forwards, (1..200).map(|n| renamed.decide(Seed(1), "scene-1", n)).collect::<Vec<_>>());
    }

    #[test]
    fn rates_0_and_1_are_exact() {
        let never = profile(0.0, &FailureMode::ALL);
        let always = profile(1.0, &[FailureMode::Timeout]);
        for n in 1..500 {
            assert_eq!(never.decide(Seed(n), "a", 1), None);
            assert_eq!(always.decide(Seed(n), "a", 1), Some(FailureMode::Timeout));
        }
    }

    #[test]
    fn the_rate_is_met_and_every_mode_occurs() {
        let profile = profile(0.2, &FailureMode::ALL);
        let drawn: Vec<_> = (0..6000).filter_map(|call| profile.decide(Seed(42), &format!("call-{call}"), 1)).collect();
        assert!((1050..1350).contains(&drawn.len()), "{} of 6000 at a rate of 0.2", drawn.len());
        for mode in FailureMode::ALL {
            let count = drawn.iter().filter(|drawn| **drawn == mode).count();
            assert!((140..270).contains(&count), "{}: {count}", mode.name());
        }
    }
}
