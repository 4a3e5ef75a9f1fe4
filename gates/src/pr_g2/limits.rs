//! Runs inside, at and over each limit.

use contract::record::budget::{BudgetCase, Claim};
use contract::record::cost::ViolationKind;

use super::Outcome;
use super::scenario::{Matrix, Scenario};
use crate::check::{Judged, Unjudged, Violation};
use crate::evidence::Context;

/// The limits that must each be met, by kind and the key of the calibration that holds them (`*` for any model).
const LIMITS: &[(ViolationKind, &str)] = &[
    (ViolationKind::CostPerCall, "/BUDGET_LIMITS/*/max_per_call_usd"),
    (ViolationKind::CostPerRun, "/MAX_COST_PER_RUN_USD"),
    (ViolationKind::CostPerRun, "/BUDGET_LIMITS/*/max_per_run_usd"),
    (ViolationKind::LatencyPerCall, "/LATENCY_LIMITS/max_call_latency_ms"),
    (ViolationKind::LatencyPerRun, "/LATENCY_LIMITS/max_run_latency_ms"),
    (ViolationKind::LatencyPerRun, "/MAX_DURATION_PER_RUN_MS"),
    (ViolationKind::TokensPerRun, "/MAX_TOKENS_PER_RUN"),
    (ViolationKind::RetriesPerRun, "/MAX_RETRIES_PER_RUN"),
];

pub(super) fn within(context: &Context<'_>) -> Outcome {
    let matrix = Matrix::read(context)?;
    let (made, not_run) = matrix.of(Claim::Within);
    let mut broken = matrix.broken(&made, |case| {
        (case.exit_code != Some(0)).then(|| format!("{} ended with {:?}: {}", case.scenario, case.exit_code, case.said))
    });
    for (line, case) in &made {
        let scenario = Scenario::read(context, case)?;
        broken.extend(scenario.violations().map(|found| Violation {
            what: format!("{}: {:?} {} over {}", case.scenario, found.kind, found.value, found.limit),
            place: matrix.rows.at(*line),
        }));
    }
    let judged = Judged::invariant(
        "runs inside every limit exit 0 without a violation",
        made.len() as u64,
        vec![matrix.rows.place.clone()],
        &broken,
    );
    Ok(vec![judged.with_not_run(not_run, context.policy.strict_rows())])
}

pub(super) fn over(context: &Context<'_>) -> Outcome {
    let matrix = Matrix::read(context)?;
    let (made, not_run) = matrix.of(Claim::Over);
    let mut broken = missing(&matrix, &made, "over");
    for (line, case) in &made {
        let scenario = Scenario::read(context, case)?;
        if let Some(what) = over_fault(&scenario)? {
            broken.push(Violation { what, place: matrix.rows.at(*line) });
        }
    }
    let judged = Judged::invariant(
        "one unit over each limit exits 1 with that kind of violation",
        made.len() as u64,
        vec![matrix.rows.place.clone()],
        &broken,
    );
    Ok(vec![judged.with_not_run(not_run, context.policy.strict_rows())])
}

pub(super) fn boundary(context: &Context<'_>) -> Outcome {
    let matrix = Matrix::read(context)?;
    let (made, not_run) = matrix.of(Claim::At);
    let mut broken = missing(&matrix, &made, "at");
    for (line, case) in &made {
        let scenario = Scenario::read(context, case)?;
        let twin =
            matrix.of(Claim::Over).0.into_iter().find(|(_, over)| (over.kind, &over.key) == (case.kind, &case.key));
        let below = twin.map(|(_, over)| Scenario::read(context, over)?.limit()).transpose()?;
        if let Some(what) = at_fault(&scenario, below)? {
            broken.push(Violation { what, place: matrix.rows.at(*line) });
        }
    }
    let judged = Judged::invariant(
        "exactly at each limit passes, one unit below it fails",
        made.len() as u64,
        vec![matrix.rows.place.clone()],
        &broken,
    );
    Ok(vec![judged.with_not_run(not_run, context.policy.strict_rows())])
}

/// Limits that no row is about.
fn missing(matrix: &Matrix, made: &[(u64, &BudgetCase)], side: &str) -> Vec<Violation> {
    let about = |kind: ViolationKind, pattern: &str| {
        made.iter()
            .any(|(_, case)| case.kind == Some(kind) && case.key.as_deref().is_some_and(|key| is_key(pattern, key)))
    };
    let absent = LIMITS.iter().filter(|(kind, pattern)| !about(*kind, pattern));
    absent
        .map(|(_, pattern)| Violation {
            what: format!("no scenario is {side} {pattern}"),
            place: matrix.rows.place.clone(),
        })
        .collect()
}

fn is_key(pattern: &str, key: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, tail)) => key.starts_with(head) && key.ends_with(tail),
        None => key == pattern,
    }
}

fn over_fault(scenario: &Scenario) -> Result<Option<String>, Unjudged> {
    let case = &scenario.case;
    let Some(kind) = case.kind else { return Ok(Some(format!("{} names no kind of limit", case.scenario))) };
    let limit = scenario.limit()?;
    let named =
        scenario.violations().any(|found| found.kind == kind && found.limit == limit && found.value == limit + 1);
    // A latency is known afterwards; everything else is refused before it can pass its limit.
    let refused_before = !matches!(kind, ViolationKind::LatencyPerCall | ViolationKind::LatencyPerRun);
    Ok(if case.exit_code != Some(1) {
        Some(format!("{} ended with {:?} instead of exit 1", case.scenario, case.exit_code))
    } else if !named {
        Some(format!("{} reports no {kind:?} of {} over {limit}", case.scenario, limit + 1))
    } else if refused_before && scenario.reached(kind) > limit {
        Some(format!("{} went on to {} though {limit} is the limit", case.scenario, scenario.reached(kind)))
    } else {
        None
    })
}

fn at_fault(scenario: &Scenario, below: Option<u64>) -> Result<Option<String>, Unjudged> {
    let case = &scenario.case;
    let Some(kind) = case.kind else { return Ok(Some(format!("{} names no kind of limit", case.scenario))) };
    let (limit, reached) = (scenario.limit()?, scenario.reached(kind));
    Ok(if case.exit_code != Some(0) {
        Some(format!("{} ended with {:?} instead of exit 0", case.scenario, case.exit_code))
    } else if scenario.violations().next().is_some() {
        Some(format!("{} reports a violation though nothing passes a limit", case.scenario))
    } else if reached != limit {
        Some(format!("{} reaches {reached}, not its limit of {limit}", case.scenario))
    } else if below != limit.checked_sub(1) {
        Some(format!("{}: the scenario over this limit has the limit {below:?}, not one unit less", case.scenario))
    } else {
        None
    })
}
