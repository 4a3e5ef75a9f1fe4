//! What is refused before any money is spent, and a reply that does not say what it used.

use contract::canonical::pointer_push;
use contract::record::budget::Claim;
use contract::record::cost::{ChargeBasis, ViolationKind};
use serde_json::Value;

use super::Outcome;
use super::scenario::{Matrix, Scenario};
use crate::check::{Judged, Violation};
use crate::evidence::Context;

pub(super) fn null_calibration(context: &Context<'_>) -> Outcome {
    let matrix = Matrix::read(context)?;
    let (made, not_run) = matrix.of(Claim::NullCalibration);
    let mut broken = matrix.broken(&made, |case| {
        let key = case.key.as_deref().unwrap_or("");
        // The program says what is wrong and ends with the reason word on a line of its own.
        let refusal = format!("CALIBRATION_NULL: {key}");
        let named = case.said.lines().any(|line| line.trim_end().ends_with(&refusal));
        if case.exit_code != Some(2) {
            Some(format!("{key} as null ended with {:?}", case.exit_code))
        } else if !named {
            Some(format!("{key} as null was refused with `{}`", case.said))
        } else if case.arrived > 0 {
            Some(format!("{key} as null: {} calls were made all the same", case.arrived))
        } else {
            None
        }
    });
    let mut leaves = Vec::new();
    collect_leaves(&context.policy.file.values, "", &mut leaves);
    let absent = leaves.iter().filter(|leaf| !made.iter().any(|(_, case)| case.key.as_deref() == Some(leaf)));
    broken.extend(
        absent
            .map(|leaf| Violation { what: format!("{leaf} was not tried as null"), place: matrix.rows.place.clone() }),
    );
    let rule = format!("each of {} leaves as null is refused with exit 2 before any call, naming it", leaves.len());
    let judged = Judged::invariant(rule, made.len() as u64, vec![matrix.rows.place.clone()], &broken);
    Ok(vec![judged.with_not_run(not_run, context.policy.strict_rows())])
}

pub(super) fn unknown_model(context: &Context<'_>) -> Outcome {
    let matrix = Matrix::read(context)?;
    let (made, not_run) = matrix.of(Claim::UnknownModel);
    let broken = matrix.broken(&made, |case| match (case.exit_code, case.arrived) {
        (Some(2), 0) if !case.said.is_empty() => None,
        (exit, arrived) => {
            Some(format!("{} ended with {exit:?} after {arrived} calls: `{}`", case.scenario, case.said))
        }
    });
    let judged = Judged::invariant(
        "a model without a price is refused with exit 2, 0 calls",
        made.len() as u64,
        vec![matrix.rows.place.clone()],
        &broken,
    );
    Ok(vec![judged.with_not_run(not_run, context.policy.strict_rows())])
}

pub(super) fn usage_missing(context: &Context<'_>) -> Outcome {
    let matrix = Matrix::read(context)?;
    let (made, not_run) = matrix.of(Claim::UsageMissing);
    let mut broken = Vec::new();
    for (line, case) in &made {
        let scenario = Scenario::read(context, case)?;
        let charges = || scenario.costs.iter().flat_map(|(_, cost)| &cost.calls).flat_map(|call| &call.charges);
        let at_reservation = charges().any(|charge| {
            charge.accepted
                && charge.basis == ChargeBasis::Reservation
                && charge.cost_usd == charge.reserved_cost_usd
                && charge.cost_usd.0 > 0
        });
        let named = scenario.violations().any(|found| found.kind == ViolationKind::UsageMissing);
        let what = if case.exit_code != Some(1) {
            format!("{} ended with {:?} instead of exit 1", case.scenario, case.exit_code)
        } else if !at_reservation {
            format!("{}: no accepted reply is charged at its reservation", case.scenario)
        } else if !named {
            format!("{} reports no usage_missing", case.scenario)
        } else {
            continue;
        };
        broken.push(Violation { what, place: matrix.rows.at(*line) });
    }
    let judged = Judged::invariant(
        "a reply without usage costs its reservation and is a violation",
        made.len() as u64,
        vec![matrix.rows.place.clone()],
        &broken,
    );
    Ok(vec![judged.with_not_run(not_run, context.policy.strict_rows())])
}

/// Every value that could be null: scalars and arrays, and objects no further than their own leaves.
fn collect_leaves(value: &Value, pointer: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            entries.iter().for_each(|(key, inner)| collect_leaves(inner, &pointer_push(pointer, key), out))
        }
        _ => out.push(pointer.to_owned()),
    }
}
