//! Whether the rows of this gate could have happened.

use std::collections::BTreeSet;

use contract::record::run::Run;

use super::workload::{Sample, derived_scores};
use super::{Outcome, planned};
use crate::check::{Judged, Numbers, Place, Unjudged, Verdict};
use crate::evidence::Context;
use crate::plausibility::{self, Span};

/// Below this many distinct inputs a rate proves nothing at 95 % (STA-11).
const LEAST_DISTINCT: usize = 59;

pub(super) fn rows(context: &Context<'_>) -> Outcome {
    let plan = context.plan()?;
    let judged = |(workload, runs): (String, u64)| {
        let sample = Sample::read(context, &workload)?;
        if let Some((place, reason)) = impossible(&sample, |index| plan.seed(index)) {
            return Err(Unjudged::Integrity { place, reason });
        }
        let (verdict, claim) = match (missing(&sample, runs), suspicious(&sample)) {
            (Some(what), _) => (Verdict::NoEvidence, what),
            (None, Some(what)) => (Verdict::Inconclusive, what),
            (None, None) => (Verdict::Pass, format!("{} rows could have happened", sample.rows.len())),
        };
        let n_distinct = sample.inputs.len() as u64;
        let numbers = Numbers { n: sample.rows.len(), n_distinct, ..Numbers::default() };
        let rule = format!("indices 0..{runs} are whole, seeds derive, times fit, columns are not copies");
        Ok(Judged::new(rule, verdict, claim, numbers, vec![sample.rows.place.clone()]).instance(workload))
    };
    planned(context)?.into_iter().map(judged).collect()
}

fn impossible(sample: &Sample, seed: impl Fn(u64) -> contract::seed::Seed) -> Option<(Place, String)> {
    let mut seen = BTreeSet::new();
    for (line, run) in &sample.rows.rows {
        let what = if run.seed != seed(run.index) {
            format!("run {} has seed {}, which does not derive from the plan", run.index, run.seed)
        } else if !seen.insert((run.index, run.repeat)) {
            format!("run {} stands twice as repeat {}", run.index, run.repeat)
        } else if contradicts(run) {
            format!("run {} has scores that its violations contradict", run.index)
        } else if run.attempts < run.calls.saturating_sub(run.cached)
            || run.retries != run.attempts.saturating_sub(run.calls - run.cached.min(run.calls))
        {
            format!(
                "run {} counts {} calls, {} cached, {} attempts and {} retries",
                run.index, run.calls, run.cached, run.attempts, run.retries
            )
        } else {
            continue;
        };
        return Some((sample.rows.at(*line), what));
    }
    let spans: Vec<Span> = sample
        .rows
        .rows
        .iter()
        .map(|(line, run)| Span {
            worker: run.worker,
            start_ns: run.start_ns,
            end_ns: run.end_ns,
            place: sample.rows.at(*line),
        })
        .collect();
    plausibility::impossible_times(&spans)
}

/// Scores are written with every digit, so a recount differs by rounding only.
fn contradicts(run: &Run) -> bool {
    run.planned > 0
        && derived_scores(run)
            .iter()
            .any(|(name, derived)| run.scores.get(name).is_none_or(|said| (said - derived).abs() > 1e-9))
}

fn missing(sample: &Sample, runs: u64) -> Option<String> {
    let present: BTreeSet<u64> = sample.rows.iter().filter(|run| run.repeat == 0).map(|run| run.index).collect();
    let absent: Vec<u64> = (0..runs).filter(|index| !present.contains(index)).collect();
    match absent.first() {
        Some(first) => Some(format!("{} of {runs} planned runs have no row, the first is index {first}", absent.len())),
        None => present.iter().find(|index| **index >= runs).map(|index| format!("index {index} was not planned")),
    }
}

fn suspicious(sample: &Sample) -> Option<String> {
    if sample.inputs.len() < LEAST_DISTINCT {
        return Some(format!("{} distinct inputs are too few; {LEAST_DISTINCT} prove 95 %", sample.inputs.len()));
    }
    if let Some(run) = sample.rows.iter().find(|run| run.cached > 0) {
        return Some(format!("run {} was answered from a cache, stress runs have none", run.index));
    }
    let column = |of: fn(&Run) -> f64| sample.rows.iter().map(of).collect::<Vec<f64>>();
    let mut stochastic = vec![("service", column(|run| (run.end_ns - run.start_ns) as f64))];
    if sample.workload != "command" {
        stochastic.push(("cost", column(|run| run.cost_micro_usd as f64)));
        stochastic.push(("tokens", column(|run| run.tokens as f64)));
    }
    plausibility::suspicious_columns(&stochastic, &[("service", "cost"), ("service", "tokens")])
}
