//! Layer meter: reserves the worst case of an attempt before it is made, and settles what it really cost (HRD-3, HRD-30).
//! What would pass a limit is refused before anything is spent (HRD-31).

use std::sync::Arc;

use contract::calibration::{Calibration, ModelBudget};
use contract::money::MicroUsd;
use contract::record::cost::{Charge, ChargeBasis, Violation, ViolationKind};

use super::attempt::{Attempt, Stop, sentence};
use super::journal::Journal;
use super::limit::Limit;
use crate::clock::Clock;
use crate::provider::{ProviderError, Reply, Usage};
use crate::store::ledger::{self, Ledger, LedgerError, Refusal};

/// The layer.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) inner: Limit,
    pub(super) ledger: Ledger,
    pub(super) calibration: Arc<Calibration>,
    pub(super) clock: Clock,
    pub(super) run_started: tokio::time::Instant,
    pub(super) journal: Arc<Journal>,
}

impl Meter {
    pub(super) async fn call(&self, attempt: &mut Attempt<'_>) -> Result<Reply, ProviderError> {
        let Some(model) = self.calibration.budget_limits.get(&attempt.request.model) else {
            return Err(self.stop(attempt, Stop::Budget(unpriced(attempt.call.call_index))));
        };
        let worst = worst_case(attempt, model);
        let reservation = match self.reserve(attempt, model, &worst) {
            Ok(reservation) => reservation,
            Err(stop) => return Err(self.stop(attempt, stop)),
        };
        // From here to the settlement the reservation is spent: a crash or a dropped future leaves it so.
        let result = self.inner.call(attempt).await;
        let charge = settled(worst, model, &result, attempt.latency_ms);
        attempt.charge = Some(charge);
        let forgotten = attempt.number > 1 && crate::sabotage!("charge-forgotten");
        let cost = if forgotten { MicroUsd(0) } else { charge.cost_usd };
        match self.ledger.settle(reservation, cost, charge.tokens()) {
            Ok(()) => result,
            Err(error) => Err(self.stop(attempt, Stop::Store(error.to_string()))),
        }
    }

    /// Every limit that stands before an attempt: those of one call and of time here, those of the run in the ledger.
    fn reserve(&self, attempt: &Attempt<'_>, model: &ModelBudget, worst: &Charge) -> Result<ledger::Reservation, Stop> {
        let call_index = Some(attempt.call.call_index);
        let elapsed = u64::try_from((self.clock.instant() - self.run_started).as_millis()).unwrap_or(u64::MAX);
        let of_call = attempt.spent_before.plus(worst.reserved_cost_usd);
        for (kind, value, limit) in [
            (ViolationKind::CostPerCall, of_call.0, model.max_per_call_usd.0),
            (ViolationKind::LatencyPerRun, elapsed, self.calibration.max_duration_per_run_ms),
            (
                ViolationKind::LatencyPerRun,
                self.journal.latency_ms(),
                self.calibration.latency_limits.max_run_latency_ms,
            ),
        ] {
            if value > limit {
                return Err(Stop::Budget(Violation { kind, value, limit, call_index }));
            }
        }
        let request = ledger::Request {
            call: attempt.call.call_index,
            attempt: u64::from(attempt.number),
            model: &attempt.request.model,
            cost: worst.reserved_cost_usd,
            tokens: worst.tokens(),
        };
        self.ledger.reserve(&request).map_err(|error| match error {
            LedgerError::Refused(refusal) => Stop::Budget(violation(&refusal, attempt.call.call_index)),
            LedgerError::Store(error) => Stop::Store(error.to_string()),
        })
    }

    fn stop(&self, attempt: &mut Attempt<'_>, stop: Stop) -> ProviderError {
        let detail = match &stop {
            Stop::Budget(violation) => {
                self.journal.refusal(*violation);
                sentence(violation)
            }
            Stop::Store(detail) => detail.clone(),
        };
        attempt.stopped = Some(stop);
        ProviderError::BudgetRefused { detail }
    }
}

/// A model without a price may cost nothing. The pipeline was made for one with a price; a request named another.
fn unpriced(call_index: u64) -> Violation {
    Violation { kind: ViolationKind::CostPerCall, value: 1, limit: 0, call_index: Some(call_index) }
}

fn violation(refusal: &Refusal, call_index: u64) -> Violation {
    let kind = match refusal.limit {
        ledger::Limit::UnknownModel => return unpriced(call_index),
        ledger::Limit::CostPerCall => ViolationKind::CostPerCall,
        ledger::Limit::ModelCostPerRun | ledger::Limit::CostPerRun => ViolationKind::CostPerRun,
        ledger::Limit::TokensPerRun => ViolationKind::TokensPerRun,
        ledger::Limit::RetriesPerRun => ViolationKind::RetriesPerRun,
    };
    Violation { kind, value: refusal.value, limit: refusal.allowed, call_index: Some(call_index) }
}

/// The worst case of an attempt: the estimated input and all the output that was asked for, each at its dearest rate.
fn worst_case(attempt: &Attempt<'_>, model: &ModelBudget) -> Charge {
    let input = attempt.request.input_tokens_estimate();
    let output = u64::from(attempt.request.max_tokens);
    let dearest_input = model.input_cost_per_1k.max(model.cached_input_cost_per_1k);
    let dearest_output = model.output_cost_per_1k.max(model.reasoning_cost_per_1k);
    Charge {
        attempt: attempt.number,
        accepted: false,
        basis: ChargeBasis::Reservation,
        input_tokens: 0,
        cached_input_tokens: 0,
        output_tokens: 0,
        reasoning_tokens: 0,
        reserved_input_tokens: input,
        reserved_output_tokens: output,
        reserved_cost_usd: priced(&[(input, dearest_input), (output, dearest_output)]),
        cost_usd: MicroUsd(0),
        latency_ms: 0,
    }
}

/// What the attempt really cost.
fn settled(worst: Charge, model: &ModelBudget, result: &Result<Reply, ProviderError>, latency_ms: u64) -> Charge {
    let usage = result.as_ref().ok().and_then(|reply| reply.usage);
    let basis = match (usage, result) {
        (Some(_), _) => ChargeBasis::Usage,
        (None, Err(error)) if error.answered_with_error_status() => ChargeBasis::Nothing,
        (None, _) => ChargeBasis::Reservation,
    };
    let usage =
        usage.unwrap_or(Usage { input_tokens: 0, cached_input_tokens: 0, output_tokens: 0, reasoning_tokens: 0 });
    let cost_usd = match basis {
        ChargeBasis::Usage => cost(&usage, model),
        ChargeBasis::Reservation => worst.reserved_cost_usd,
        ChargeBasis::Nothing => MicroUsd(0),
    };
    Charge {
        basis,
        input_tokens: usage.input_tokens,
        cached_input_tokens: usage.cached_input_tokens,
        output_tokens: usage.output_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        cost_usd,
        latency_ms,
        ..worst
    }
}

/// The price of some usage: rounded up once, over the whole.
#[must_use]
pub fn cost(usage: &Usage, model: &ModelBudget) -> MicroUsd {
    priced(&[
        (usage.input_tokens, model.input_cost_per_1k),
        (usage.cached_input_tokens, model.cached_input_cost_per_1k),
        (usage.output_tokens, model.output_cost_per_1k),
        (usage.reasoning_tokens, model.reasoning_cost_per_1k),
    ])
}

fn priced(parts: &[(u64, MicroUsd)]) -> MicroUsd {
    let thousandths: u128 = parts.iter().map(|(tokens, price)| u128::from(*tokens) * u128::from(price.0)).sum();
    MicroUsd(u64::try_from(thousandths.div_ceil(1000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: ModelBudget = ModelBudget {
        input_cost_per_1k: MicroUsd(1_000),
        cached_input_cost_per_1k: MicroUsd(500),
        output_cost_per_1k: MicroUsd(2_001),
        reasoning_cost_per_1k: MicroUsd(3_000),
        max_per_call_usd: MicroUsd(500_000),
        max_per_run_usd: MicroUsd(5_000_000),
    };

    #[test]
    fn hrd_30_cost_is_rounded_up_once() {
        let usage = |input, cached, output, reasoning| Usage {
            input_tokens: input,
            cached_input_tokens: cached,
            output_tokens: output,
            reasoning_tokens: reasoning,
        };
        assert_eq!(cost(&usage(0, 0, 0, 0), &MODEL), MicroUsd(0));
        assert_eq!(cost(&usage(1, 0, 0, 0), &MODEL), MicroUsd(1));
        assert_eq!(cost(&usage(0, 1, 0, 0), &MODEL), MicroUsd(1), "half a micro-dollar is one");
        assert_eq!(cost(&usage(0, 1, 0, 1), &MODEL), MicroUsd(4), "3.5, not 1 + 3");
        assert_eq!(cost(&usage(1000, 1000, 1000, 1000), &MODEL), MicroUsd(6_501));
        assert_eq!(cost(&usage(u64::MAX, u64::MAX, u64::MAX, u64::MAX), &MODEL), MicroUsd(u64::MAX));
    }
}
