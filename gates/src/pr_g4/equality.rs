//! The same run again: at any number of workers, later in the same process, and through the built program.

use std::collections::{BTreeMap, BTreeSet};

use contract::calibration::Equivalence as Tolerance;
use contract::record::run::{Equivalence, Repeat, Run};

use super::workload::Sample;
use super::{Outcome, planned};
use crate::check::{Judged, Unjudged, Verdict, Violation};
use crate::evidence::{Context, Rows};

/// The numbers of workers that are compared; the first is the sequential run.
const WORKERS: [u64; 3] = [1, 2, 8];

pub(super) fn parallel(context: &Context<'_>) -> Outcome {
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

pub(super) fn deterministic(context: &Context<'_>) -> Outcome {
    let least = context.policy.values.repeated_indices;
    let mut out = Vec::new();
    for (workload, runs) in planned(context)? {
        let sample = Sample::read(context, &workload)?;
        out.push(repeated_inside(&sample).instance(format!("{workload}.inside")));
        if workload != "command" {
            // A foreign program is no part of the built engine: without our own workload there is no such file.
            let repeats = context.rows::<Repeat>("repeats.jsonl")?;
            out.push(repeated_outside(&sample, &repeats, least.min(runs))?.instance(format!("{workload}.built")));
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

fn repeated_outside(sample: &Sample, repeats: &Rows<Repeat>, least: u64) -> Result<Judged, Unjudged> {
    let inside: BTreeMap<u64, &Run> =
        sample.rows.iter().filter(|run| run.repeat == 0).map(|run| (run.index, run)).collect();
    let mut seen = BTreeSet::new();
    let mut broken = Vec::new();
    let of_workload = repeats.rows.iter().filter(|(_, row)| row.drill == "stress" && row.scenario == sample.workload);
    for (line, row) in of_workload {
        let Some(run) = inside.get(&row.index) else { continue };
        if (run.output_digest, run.attempts, run.cost_micro_usd)
            != (row.inside.output_digest, row.inside.attempts, row.inside.cost_micro_usd)
        {
            let reason = format!("run {} is quoted otherwise than the drill wrote it", row.index);
            return Err(Unjudged::Integrity { place: repeats.at(*line), reason });
        }
        seen.insert(row.index);
        let what = match (&row.built, row.built_exit) {
            (Some(built), _) if *built == row.inside => continue,
            (Some(_), _) => format!("run {} gives another result through the built engine", row.index),
            (None, exit) => {
                format!("run {} gave nothing through the built engine (exit {exit:?}): {}", row.index, row.note)
            }
        };
        broken.push(Violation { what, place: repeats.at(*line) });
    }
    let rule = format!("at least {least} runs give the same digest, attempts and cost through the built engine");
    let judged = Judged::invariant(rule, seen.len() as u64, vec![repeats.place.clone()], &broken);
    if judged.verdict == Verdict::Pass && (seen.len() as u64) < least {
        return Ok(Judged {
            verdict: Verdict::NoEvidence,
            claim: format!("{} of {least} runs were repeated", seen.len()),
            ..judged
        });
    }
    Ok(judged)
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
