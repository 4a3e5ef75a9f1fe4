//! Writers and readers on one folder: who succeeded, who overlapped, what was lost, torn or left behind.

use std::collections::{BTreeMap, BTreeSet};

use contract::record::lock::{Phase, Section};

use super::{Outcome, counters, is_killed, kills, readers, residue, sections, writers};
use crate::check::{Judged, Unjudged, Verdict, Violation};
use crate::evidence::{Context, Rows};

pub(super) fn writers_succeed(context: &Context<'_>) -> Outcome {
    let (writers, kills) = (writers(context)?, kills(context)?);
    let wanted = context.policy.values.concurrency_n;
    let mut broken = writers.violations(|writer| {
        let ended =
            writer.exit_code.map_or_else(|| format!("signal {:?}", writer.signal), |code| format!("exit {code}"));
        let name = format!("writer {} of phase {:?}", writer.writer, writer.phase);
        match (is_killed(&kills, writer.phase, writer.writer), writer.exit_code) {
            (true, _) => None,
            (false, Some(0)) if writer.planned <= writer.acknowledged => None,
            (false, Some(0)) => {
                Some(format!("{name} acknowledged {} of {} increments", writer.acknowledged, writer.planned))
            }
            (false, _) => Some(format!("{name} ended with {ended}")),
        }
    });
    let calm = writers.iter().filter(|writer| writer.phase == Phase::Calm).count() as u64;
    if calm < wanted {
        broken.push(Violation {
            what: format!("{calm} writers where {wanted} are planned"),
            place: writers.place.clone(),
        });
    }
    let rule =
        format!("all of at least {wanted} writers that were not killed exit 0 with every increment acknowledged");
    Ok(vec![Judged::invariant(rule, writers.len(), vec![writers.place.clone(), kills.place], &broken)])
}

pub(super) fn no_overlap(context: &Context<'_>) -> Outcome {
    let rows = sections(context)?;
    let broken = overlaps(&rows, |_| true);
    Ok(vec![Judged::invariant("0 overlapping holders", rows.len(), vec![rows.place.clone()], &broken)])
}

/// Sections of one counter that were held at the same time, or that the independent lock saw held.
pub(super) fn overlaps(rows: &Rows<Section>, of: impl Fn(&Section) -> bool) -> Vec<Violation> {
    let mut broken = rows.violations(|section| {
        (of(section) && section.overlap)
            .then(|| format!("writer {} met another holder of counter {}", section.writer, section.counter))
    });
    let mut by_counter: BTreeMap<(Phase, u64), Vec<(u64, &Section)>> = BTreeMap::new();
    for (line, section) in rows.rows.iter().filter(|(_, section)| of(section)) {
        by_counter.entry((section.phase, section.counter)).or_default().push((*line, section));
    }
    for of_counter in by_counter.values_mut() {
        of_counter.sort_by_key(|(_, section)| section.start_ns);
        for pair in of_counter.windows(2) {
            let ((_, earlier), (line, later)) = (pair[0], pair[1]);
            // A killed holder has no end; whoever comes after it is right.
            if earlier.end_ns.is_some_and(|end| later.start_ns < end) {
                let what = format!(
                    "writers {} and {} held counter {} at the same time",
                    earlier.writer, later.writer, later.counter
                );
                broken.push(Violation { what, place: rows.at(line) });
            }
        }
    }
    broken
}

pub(super) fn no_lost_update(context: &Context<'_>) -> Outcome {
    let (rows, counters) = (sections(context)?, counters(context)?);
    let mut acknowledged: BTreeMap<(Phase, u64), (u64, u64)> = BTreeMap::new();
    for section in rows.iter() {
        let (done, open) = acknowledged.entry((section.phase, section.counter)).or_default();
        *(if section.end_ns.is_some() { done } else { open }) += 1;
    }
    let mut broken = rows.violations(|section| match section.after {
        Some(after) if after != section.before + 1 => {
            Some(format!("counter {} went from {} to {after}", section.counter, section.before))
        }
        _ => None,
    });
    let mut seen = BTreeSet::new();
    for (line, section) in &rows.rows {
        let Some(after) = section.after else { continue };
        if !seen.insert((section.phase, section.counter, after)) {
            let what = format!("two writers wrote the value {after} of counter {}", section.counter);
            broken.push(Violation { what, place: rows.at(*line) });
        }
    }
    broken.extend(counters.violations(|counter| {
        let (done, open) = acknowledged.get(&(counter.phase, counter.counter)).copied().unwrap_or((0, 0));
        match counter.value {
            Some(value) if (done..=done + open).contains(&value) => None,
            Some(value) => Some(format!(
                "counter {} of phase {:?} is {value}; {done} increments were acknowledged, {open} were open",
                counter.counter, counter.phase
            )),
            None => Some(format!("counter {} of phase {:?} is missing or damaged", counter.counter, counter.phase)),
        }
    }));
    let unread =
        acknowledged.keys().filter(|key| !counters.iter().any(|counter| (counter.phase, counter.counter) == **key));
    broken.extend(unread.map(|(phase, counter)| Violation {
        what: format!("counter {counter} of phase {phase:?} was not read"),
        place: counters.place.clone(),
    }));
    let rule = "counters equal acknowledged increments, plus at most one for each section that a kill left open";
    Ok(vec![Judged::invariant(rule, rows.len(), vec![rows.place.clone(), counters.place.clone()], &broken)])
}

pub(super) fn no_torn_read(context: &Context<'_>) -> Outcome {
    let (readers, residue) = (readers(context)?, residue(context)?);
    if let Some((line, reader)) = readers
        .rows
        .iter()
        .find(|(_, reader)| reader.reads != reader.intact + reader.absent + reader.torn + reader.set_aside)
    {
        let reason = format!("reader {} counts {} reads and lists others", reader.reader, reader.reads);
        return Err(Unjudged::Integrity { place: readers.at(*line), reason });
    }
    let mut broken = readers.violations(|reader| {
        let name = format!("reader {} of phase {:?}", reader.reader, reader.phase);
        if reader.torn + reader.set_aside > 0 {
            Some(format!("{name}: {} torn reads, {} entries damaged by nobody", reader.torn, reader.set_aside))
        } else if reader.planted_refused != reader.planted {
            Some(format!("{name}: {} of {} damaged entries were refused", reader.planted_refused, reader.planted))
        } else if reader.exit_code != Some(0) {
            Some(format!("{name} ended with {:?}", reader.exit_code))
        } else {
            None
        }
    });
    broken.extend(residue.violations(|left| {
        (left.entries_bad > 0).then(|| format!("{} entries of phase {:?} do not verify", left.entries_bad, left.phase))
    }));
    let reads = readers.iter().map(|reader| reader.intact).sum();
    let judged = Judged::invariant(
        "every read verifies its checksum; 0 failures",
        reads,
        vec![readers.place.clone(), residue.place.clone()],
        &broken,
    );
    let planted: u64 = readers.iter().map(|reader| reader.planted).sum();
    if judged.verdict == Verdict::Pass && planted == 0 {
        return Ok(vec![Judged {
            verdict: Verdict::NoEvidence,
            claim: "no entry was damaged on purpose, so nothing shows that damage is seen".into(),
            ..judged
        }]);
    }
    Ok(vec![judged])
}

pub(super) fn no_residue(context: &Context<'_>) -> Outcome {
    let rows = residue(context)?;
    let mut broken = rows.violations(|left| {
        if left.locks_after + left.tmps_after > 0 {
            Some(format!(
                "phase {:?}: {} .lock and {} .tmp files after the sweep",
                left.phase, left.locks_after, left.tmps_after
            ))
        } else if left.phase == Phase::Calm && left.tmps_before > 0 {
            Some(format!("phase Calm: {} .tmp files though nobody was killed", left.tmps_before))
        } else {
            None
        }
    });
    let missing = [Phase::Calm, Phase::Storm, Phase::Steps]
        .into_iter()
        .filter(|phase| !rows.iter().any(|left| left.phase == *phase));
    broken.extend(missing.map(|phase| Violation {
        what: format!("the folder of phase {phase:?} was not looked at"),
        place: rows.place.clone(),
    }));
    let worked = rows.iter().any(|left| left.tmps_before > 0);
    let judged =
        Judged::invariant("0 .lock and 0 .tmp files after the sweep", rows.len(), vec![rows.place.clone()], &broken);
    if judged.verdict == Verdict::Pass && !worked {
        return Ok(vec![Judged {
            verdict: Verdict::NoEvidence,
            claim: "the sweep had nothing to remove, so nothing shows that it works".into(),
            ..judged
        }]);
    }
    Ok(vec![judged])
}
