//! Several processes on one budget, and one that is killed with its reservation open.

use contract::record::budget::Claim;

use super::Outcome;
use super::scenario::{Amount, Matrix, Scenario, Spent, spent};
use crate::check::{Judged, Verdict, Violation};
use crate::evidence::Context;

pub(super) fn concurrent_overspend(context: &Context<'_>) -> Outcome {
    judge(
        context,
        Claim::ConcurrentOverspend,
        "settled and reserved together never pass the limit of the shared run",
        |scenario, spent| {
            let processes = scenario.case.processes;
            (processes < 2).then(|| format!("{} was run by {processes} process", scenario.case.scenario)).or_else(
                || {
                    (spent.open > 0).then(|| {
                        format!(
                            "{}: {} reservations were never settled though nobody was killed",
                            scenario.case.scenario, spent.open
                        )
                    })
                },
            )
        },
    )
}

pub(super) fn crash_charged(context: &Context<'_>) -> Outcome {
    judge(
        context,
        Claim::CrashCharged,
        "the reservation of a killed process stays spent, and the limit holds with it",
        |scenario, spent| {
            (spent.open == 0)
                .then(|| format!("{}: no reservation was left open by the killed process", scenario.case.scenario))
        },
    )
}

/// Both claims rest on the same walk along the journal; `extra` is what only one of them asks.
fn judge(
    context: &Context<'_>,
    claim: Claim,
    rule: &str,
    extra: impl Fn(&Scenario, &Spent) -> Option<String>,
) -> Outcome {
    let matrix = Matrix::read(context)?;
    let (made, not_run) = matrix.of(claim);
    let mut broken = Vec::new();
    let mut pressed = true;
    for (line, case) in &made {
        let scenario = Scenario::read(context, case)?;
        let limit = scenario.calibration.max_cost_per_run_usd.0;
        let spent = spent(&scenario.ledger, None, Amount::Money);
        // Unless one more reservation would have passed the limit, nothing shows that it was held.
        pressed &= spent.total + spent.dearest > limit;
        let what = (spent.peak > limit)
            .then(|| format!("{} held {} micro-dollars, limit {limit}", case.scenario, spent.peak))
            .or_else(|| extra(&scenario, &spent));
        broken.extend(what.map(|what| Violation { what, place: matrix.rows.at(*line) }));
    }
    let judged = Judged::invariant(rule, made.len() as u64, vec![matrix.rows.place.clone()], &broken);
    let judged = if judged.verdict == Verdict::Pass && !pressed {
        Judged {
            verdict: Verdict::NoEvidence,
            claim: "the budget was never nearly spent, so nothing shows that its limit holds".into(),
            ..judged
        }
    } else {
        judged
    };
    Ok(vec![judged.with_not_run(not_run, context.policy.strict_rows())])
}
