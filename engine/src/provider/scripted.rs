//! A provider that plays a script: for drills and tests that need one exact reply, fault or delay.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use super::{Identity, Pending, Provider, ProviderError, Reply, Request, StopReason, Usage};

/// What happens at one attempt.
#[derive(Clone, Debug)]
pub struct Step {
    /// How long the answer takes, on the run's clock.
    pub after: Duration,
    /// The answer.
    pub result: Result<Reply, ProviderError>,
}

impl Step {
    /// A good reply at once, with usage.
    #[must_use]
    pub fn text(text: &str, usage: Usage) -> Self {
        let reply = Reply {
            text: text.into(),
            stop_reason: StopReason::Complete,
            usage: Some(usage),
            provider: "scripted",
            request_id: None,
        };
        Self { after: Duration::ZERO, result: Ok(reply) }
    }

    /// An error at once.
    #[must_use]
    pub fn error(error: ProviderError) -> Self {
        Self { after: Duration::ZERO, result: Err(error) }
    }

    /// The same step, later.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { after: delay, ..self }
    }
}

/// The provider: attempt `n` of the run gets step `n`; the last step repeats for ever.
#[derive(Debug)]
pub struct Scripted {
    identity: Identity,
    first: Vec<Step>,
    last: Step,
    played: Mutex<usize>,
}

impl Scripted {
    /// Plays `first` in order, then `last` for ever.
    #[must_use]
    pub fn new(first: Vec<Step>, last: Step) -> Self {
        let identity = Identity { provider: "scripted", endpoint: String::new(), api_version: "" };
        Self { identity, first, last, played: Mutex::new(0) }
    }

    /// Attempts that arrived here.
    #[must_use]
    pub fn arrived(&self) -> usize {
        *self.played.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provider for Scripted {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn needs_real_time(&self) -> bool {
        false
    }

    fn call<'a>(&'a self, _request: &'a Request) -> Pending<'a> {
        Box::pin(async {
            let step = {
                let mut played = self.played.lock().unwrap_or_else(PoisonError::into_inner);
                *played += 1;
                self.first.get(*played - 1).unwrap_or(&self.last).clone()
            };
            if !step.after.is_zero() {
                tokio::time::sleep(step.after).await;
            }
            step.result
        })
    }
}
