//! What a run cost and which limits it passed, derived from its rows (HRD-33).

use std::collections::BTreeMap;

use contract::calibration::Calibration;
use contract::money::MicroUsd;
use contract::record::cost::{BudgetVerdict, CallRow, ChargeBasis, RunCost, Violation, ViolationKind};

use super::journal::Rows;

/// `run-cost.json` of some rows.
pub(super) fn run_cost(rows: &Rows, calibration: &Calibration, duration_ms: u64) -> RunCost {
    let charges = || rows.calls.iter().flat_map(|call| &call.charges);
    let violations = violations(rows, calibration, duration_ms);
    RunCost {
        total_calls: rows.calls.iter().filter(|call| !call.charges.is_empty()).count() as u64,
        total_cost_usd: charges().map(|charge| charge.cost_usd).sum(),
        total_latency_ms: rows.calls.iter().map(|call| call.latency_ms).sum(),
        total_tokens: charges().map(|charge| charge.tokens()).fold(0, u64::saturating_add),
        total_retries: rows.calls.iter().map(|call| (call.charges.len() as u64).saturating_sub(1)).sum(),
        duration_ms,
        budget_verdict: if violations.is_empty() { BudgetVerdict::Pass } else { BudgetVerdict::Fail },
        violations,
        calls: rows.calls.clone(),
    }
}

/// Limits that the rows passed, and those for which a call was refused.
fn violations(rows: &Rows, calibration: &Calibration, duration_ms: u64) -> Vec<Violation> {
    let mut found: Vec<Violation> = rows.calls.iter().flat_map(|call| of_call(call, calibration)).collect();
    let latency = rows.calls.iter().map(|call| call.latency_ms).sum();
    let cost = rows.calls.iter().map(|call| call.cost_usd).sum::<MicroUsd>();
    let tokens = rows.calls.iter().flat_map(|call| &call.charges).map(|charge| charge.tokens());
    let mut of_run = vec![
        (ViolationKind::CostPerRun, cost.0, calibration.max_cost_per_run_usd.0),
        (ViolationKind::LatencyPerRun, latency, calibration.latency_limits.max_run_latency_ms),
        (ViolationKind::LatencyPerRun, duration_ms, calibration.max_duration_per_run_ms),
        (ViolationKind::TokensPerRun, tokens.fold(0, u64::saturating_add), calibration.max_tokens_per_run),
    ];
    let mut by_model: BTreeMap<&str, MicroUsd> = BTreeMap::new();
    for call in &rows.calls {
        let sum = by_model.entry(&call.model).or_insert(MicroUsd(0));
        *sum = sum.plus(call.cost_usd);
    }
    for (model, sum) in by_model {
        if let Some(limits) = calibration.budget_limits.get(model) {
            of_run.push((ViolationKind::CostPerRun, sum.0, limits.max_per_run_usd.0));
        }
    }
    let passed = of_run.into_iter().filter(|(_, value, limit)| value > limit);
    found.extend(passed.map(|(kind, value, limit)| Violation { kind, value, limit, call_index: None }));
    found.extend_from_slice(&rows.refusals);
    found.sort_unstable_by_key(|violation| (violation.call_index.is_none(), violation.call_index, violation.kind));
    found.dedup();
    found
}

fn of_call(call: &CallRow, calibration: &Calibration) -> Vec<Violation> {
    let unpaid = call.charges.iter().any(|charge| charge.accepted && charge.basis != ChargeBasis::Usage);
    let latency_limit = calibration.latency_limits.max_call_latency_ms;
    let cost_limit = calibration.budget_limits.get(&call.model).map(|model| model.max_per_call_usd.0);
    [
        cost_limit.map(|limit| (ViolationKind::CostPerCall, call.cost_usd.0, limit)),
        Some((ViolationKind::LatencyPerCall, call.latency_ms, latency_limit)),
        Some((ViolationKind::UsageMissing, u64::from(unpaid), 0)),
    ]
    .into_iter()
    .flatten()
    .filter(|(_, value, limit)| value > limit)
    .map(|(kind, value, limit)| Violation { kind, value, limit, call_index: Some(call.call_index) })
    .collect()
}
