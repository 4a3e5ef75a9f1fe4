//! The same run again: at any number of workers, later in the same process, and through the built program.

use std::collections::{BTreeMap, BTreeSet};

use contract::calibration::Equivalence as Tolerance;
use contract::record::run::{Equivalence, Outcome, Repeat, Run};

use super::planned;
use super::workload::Sample;
use crate::check::{Judged, Unjudged, Violation};
use crate::evidence::Context;
use crate::repeats;

/// The numbers of workers that are compared; the first is the sequential run.
const WORKERS: [u64; 3] = [1, 2, 8];

pub(super) fn parallel(context: &Context<'_>) -> super::Outcome {
    let rows = context.rows::<Equivalence>("equivalence.jsonl")?;
    let mut out = Vec::new();
    for (workload, _) in planned(context)?.into_iter().filter(|(workload, _)| workload != "command") {
        let sample = Sample::read(context, &workload)?;
        let inside: BTreeMap<u64, &Run> =
            sample.rows.iter().filter(|run| run.repeat == 0).map(|run| (run.index, run)).collect();
        let mut by_index: BTreeMap<u64, BTreeMap<u64, (u64, &Equivalence)>> = BTreeMap::new();
        for (line, row) in rows.rows.iter().filter(|(_, row)| row.workload == workload) {
            if by_index.entry(row.index).or_default().insert(row.workers, (*line, row)).is_some() {
                let reason = format!("index {} stands twice for {} workers", row.index, row.workers);
                return Err(Unjudged::Integrity { place: rows.at(*line), reason });
            }
        }
        let tolerance = &context.policy.values.equivalence;
        let mut broken = Vec::new();
        for (index, arms) in &by_index {
            let found = compare_arms(*index, arms, inside.get(index).copied(), tolerance);
            broken.extend(found.into_iter().map(|(line, what)| Violation {
                what,
                place: line.map_or_else(|| rows.place.clone(), |line| rows.at(line)),
            }));
        }
        let rule = format!(
            "1, 2 and 8 workers give equal texts and counts, numbers within {:e} + {:e} relative",
            tolerance.absolute, tolerance.relative
        );
        out.push(Judged::invariant(rule, by_index.len() as u64, vec![rows.place.clone()], &broken).instance(workload));
    }
    Ok(out)
}

pub(super) fn deterministic(context: &Context<'_>) -> super::Outcome {
    let least = context.policy.values.repeated_indices;
    let inside = |sample: &Sample, index: u64| {
        let run = sample.rows.iter().find(|run| (run.index, run.repeat) == (index, 0))?;
        Some(Outcome { output_digest: run.output_digest, attempts: run.attempts, cost_micro_usd: run.cost_micro_usd })
    };
    let mut out = Vec::new();
    for (workload, runs) in planned(context)? {
        let sample = Sample::read(context, &workload)?;
        out.push(repeated_inside(&sample).instance(format!("{workload}.inside")));
        if workload != "command" {
            // A foreign program is no part of the built engine: without our own workload there is no such file.
            let repeats = context.rows::<Repeat>("repeats.jsonl")?;
            let of_workload = |row: &Repeat| row.drill == "stress" && row.scenario == workload;
            let judged = repeats::judge(&repeats, least.min(runs), of_workload, |row| inside(&sample, row.index))?;
            out.push(judged.instance(format!("{workload}.built")));
        }
    }
    Ok(out)
}

/// Runs of one index in one process: the last repeat of the first run shows hidden state.
fn repeated_inside(sample: &Sample) -> Judged {
    let mut first: BTreeMap<u64, &Run> = BTreeMap::new();
    let mut broken = Vec::new();
    let mut n = 0;
    for (line, run) in &sample.rows.rows {
        let Some(original) = first.get(&run.index) else {
            first.insert(run.index, run);
            continue;
        };
        n += 1;
        if same_but_for_time(original) != same_but_for_time(run) {
            broken.push(Violation {
                what: format!("run {} gives another result when repeated", run.index),
                place: sample.rows.at(*line),
            });
        }
    }
    Judged::invariant(
        "a run repeated at the end of its process gives the same result",
        n,
        vec![sample.rows.place.clone()],
        &broken,
    )
}

/// What is wrong with the arms of one index, each with its line.
fn compare_arms(
    index: u64,
    arms: &BTreeMap<u64, (u64, &Equivalence)>,
    inside: Option<&Run>,
    tolerance: &Tolerance,
) -> Vec<(Option<u64>, String)> {
    let missing = WORKERS
        .iter()
        .filter(|workers| !arms.contains_key(workers))
        .map(|workers| (None, format!("run {index} was not made with {workers} workers")));
    let mut broken: Vec<_> = missing.collect();
    let Some((_, sequential)) = arms.get(&WORKERS[0]) else { return broken };
    for (workers, (line, arm)) in arms {
        if arm.outcome != sequential.outcome {
            broken.push((Some(*line), format!("run {index} gives another result with {workers} workers")));
        }
        for name in arm.scores.keys().chain(sequential.scores.keys()).collect::<BTreeSet<_>>() {
            let close = match (sequential.scores.get(name), arm.scores.get(name)) {
                (Some(a), Some(b)) => (a - b).abs() <= tolerance.absolute + tolerance.relative * a.abs().max(b.abs()),
                _ => false,
            };
            if !close {
                broken.push((Some(*line), format!("run {index}: {name} differs with {workers} workers")));
            }
        }
    }
    if inside.is_some_and(|run| run.output_digest != sequential.outcome.output_digest) {
        broken.push((None, format!("run {index} gives another result here than in the stress rows")));
    }
    broken
}

/// A run without what depends on the moment.
fn same_but_for_time(run: &Run) -> Run {
    Run { worker: 0, start_ns: 0, end_ns: 0, repeat: 0, ..run.clone() }
}
