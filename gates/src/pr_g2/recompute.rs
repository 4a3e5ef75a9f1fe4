//! Every amount computed again, in integer micro-dollars, from token counts and prices.

use contract::calibration::ModelBudget;
use contract::money::MicroUsd;
use contract::record::budget::Claim;
use contract::record::cost::{CallRow, Charge, ChargeBasis, RunCost};

use super::Outcome;
use super::scenario::{Amount, Matrix, Scenario, spent};
use crate::check::{Judged, Unjudged, Violation};
use crate::evidence::Context;

pub(super) fn cost_recomputed(context: &Context<'_>) -> Outcome {
    let matrix = Matrix::read(context)?;
    let mut broken = Vec::new();
    let mut charges = 0;
    let mut places = vec![matrix.rows.place.clone()];
    let ran = matrix
        .rows
        .iter()
        .filter(|case| case.not_run.is_none() && !matches!(case.claim, Claim::NullCalibration | Claim::UnknownModel));
    for case in ran {
        let scenario = Scenario::read(context, case)?;
        for (place, cost) in &scenario.costs {
            if let Some(reason) = contradiction(cost) {
                return Err(Unjudged::Integrity { place: place.clone(), reason });
            }
            for call in &cost.calls {
                charges += call.charges.len() as u64;
                let wrong = call_fault(call, scenario.calibration.budget_limits.get(&call.model));
                broken.extend(
                    wrong.map(|what| Violation { what: format!("{}: {what}", case.scenario), place: place.clone() }),
                );
            }
        }
        let journal = spent(&scenario.ledger, None, Amount::Money);
        let reported: MicroUsd =
            scenario.costs.iter().flat_map(|(_, cost)| &cost.calls).map(|call| call.cost_usd).sum();
        // A killed process writes no report; its open reservation stands in the journal alone.
        if journal.open == 0 && journal.total != reported.0 {
            let what = format!(
                "{}: the journal charges {} micro-dollars, the reports {}",
                case.scenario, journal.total, reported.0
            );
            broken.push(Violation { what, place: scenario.ledger_place.clone() });
        }
        places.extend(scenario.costs.into_iter().map(|(place, _)| place));
    }
    places.truncate(5);
    Ok(vec![Judged::invariant(
        "every charge equals its recomputation, and journals equal reports",
        charges,
        places,
        &broken,
    )])
}

/// Totals that contradict their own rows.
fn contradiction(cost: &RunCost) -> Option<String> {
    let calls = || cost.calls.iter().filter(|call| !call.charges.is_empty());
    let sums = [
        ("total_calls", cost.total_calls, calls().count() as u64),
        ("total_cost_usd", cost.total_cost_usd.0, cost.calls.iter().map(|call| call.cost_usd.0).sum()),
        ("total_latency_ms", cost.total_latency_ms, cost.calls.iter().map(|call| call.latency_ms).sum()),
        ("total_tokens", cost.total_tokens, calls().flat_map(|call| &call.charges).map(Charge::tokens).sum()),
        ("total_retries", cost.total_retries, calls().map(|call| call.charges.len() as u64 - 1).sum()),
    ];
    sums.into_iter()
        .find(|(_, said, counted)| said != counted)
        .map(|(name, said, counted)| format!("{name} says {said}, its rows add up to {counted}"))
}

fn call_fault(call: &CallRow, prices: Option<&ModelBudget>) -> Option<String> {
    let Some(prices) = prices else {
        return Some(format!("call {} used model {}, which has no price", call.call_index, call.model));
    };
    let sum: MicroUsd = call.charges.iter().map(|charge| charge.cost_usd).sum();
    if sum != call.cost_usd {
        return Some(format!("call {} costs {}, its attempts {sum}", call.call_index, call.cost_usd));
    }
    call.charges.iter().find_map(|charge| {
        let reserved = formula([
            (charge.reserved_input_tokens, prices.input_cost_per_1k.max(prices.cached_input_cost_per_1k)),
            (charge.reserved_output_tokens, prices.output_cost_per_1k.max(prices.reasoning_cost_per_1k)),
            (0, MicroUsd(0)),
            (0, MicroUsd(0)),
        ]);
        let cost = match charge.basis {
            ChargeBasis::Usage => formula([
                (charge.input_tokens, prices.input_cost_per_1k),
                (charge.cached_input_tokens, prices.cached_input_cost_per_1k),
                (charge.output_tokens, prices.output_cost_per_1k),
                (charge.reasoning_tokens, prices.reasoning_cost_per_1k),
            ]),
            ChargeBasis::Reservation => reserved,
            ChargeBasis::Nothing => MicroUsd(0),
        };
        let name = format!("call {} attempt {}", call.call_index, charge.attempt);
        if charge.reserved_cost_usd != reserved {
            Some(format!("{name} reserves {}, computed {reserved}", charge.reserved_cost_usd))
        } else if charge.cost_usd != cost {
            Some(format!("{name} costs {}, computed {cost}", charge.cost_usd))
        } else {
            None
        }
    })
}

/// Micro-dollars of token counts at prices per 1,000, rounded up once over the sum.
fn formula(terms: [(u64, MicroUsd); 4]) -> MicroUsd {
    let sum: u128 = terms.iter().map(|(tokens, price)| u128::from(*tokens) * u128::from(price.0)).sum();
    MicroUsd(u64::try_from(sum.div_ceil(1000)).unwrap_or(u64::MAX))
}
