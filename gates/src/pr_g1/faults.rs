//! Faults of the disk and of the wall clock.

use std::collections::BTreeMap;

use contract::record::lock::{ClockJump, Fault, Found, StorageFault};

use super::Outcome;
use crate::check::{Judged, Violation};
use crate::evidence::{Context, split_not_run};

/// The faults that are made, and the word of the error that each must give.
const FAULTS: [(Fault, &str); 5] = [
    (Fault::DiskFull, "STORAGE_FULL"),
    (Fault::ShortWrite, "STORAGE_FILE_TOO_LARGE"),
    (Fault::ReadOnlyFolder, "STORAGE_READ_ONLY"),
    (Fault::UnsupportedFileSystem, "CACHE_FS_UNSUPPORTED"),
    (Fault::TooManyFiles, "STORAGE_TOO_MANY_FILES"),
];

const DAY_MS: i64 = 86_400_000;

pub(super) fn storage(context: &Context<'_>) -> Outcome {
    let rows = context.rows::<StorageFault>("storage.jsonl")?;
    let (made, not_run) =
        split_not_run(&rows, |row| row.not_run.clone().map(|reason| (format!("{:?}", row.fault), reason)));
    let mut broken = Vec::new();
    for (line, row) in &made {
        let wanted = FAULTS.iter().find(|(fault, _)| *fault == row.fault).map_or("", |(_, word)| word);
        let untouched =
            matches!((row.fault, row.found), (_, Found::Old) | (Fault::UnsupportedFileSystem, Found::NotApplicable));
        let what = if row.error != wanted {
            format!("{:?} gave `{}`, expected `{wanted}`", row.fault, row.error)
        } else if !untouched {
            format!("{:?}: a reader found {:?} instead of the old entry", row.fault, row.found)
        } else if row.locks_left + row.tmps_left > 0 {
            format!("{:?} left {} .lock and {} .tmp files", row.fault, row.locks_left, row.tmps_left)
        } else if row.exit_code.is_none_or(|code| code == 0) {
            format!("{:?}: the process ended with {:?}", row.fault, row.exit_code)
        } else {
            continue;
        };
        broken.push(Violation { what, place: rows.at(*line) });
    }
    let absent = FAULTS.iter().filter(|(fault, _)| !rows.iter().any(|row| row.fault == *fault));
    broken.extend(
        absent.map(|(fault, _)| Violation { what: format!("{fault:?} was not tried"), place: rows.place.clone() }),
    );
    let judged = Judged::invariant(
        "each fault of the disk is a typed error, old entry intact, no residue",
        made.len() as u64,
        vec![rows.place.clone()],
        &broken,
    );
    Ok(vec![judged.with_not_run(not_run, context.policy.strict_rows())])
}

pub(super) fn clock_jumps(context: &Context<'_>) -> Outcome {
    let rows = context.rows::<ClockJump>("clock.jsonl")?;
    let mut by_decision: BTreeMap<&str, Vec<&ClockJump>> = BTreeMap::new();
    for row in rows.iter() {
        by_decision.entry(&row.decision).or_default().push(row);
    }
    let mut broken = Vec::new();
    for (decision, outcomes) in &by_decision {
        let still = outcomes.iter().find(|row| row.shift_ms == 0);
        let both_ways =
            outcomes.iter().any(|row| row.shift_ms >= DAY_MS) && outcomes.iter().any(|row| row.shift_ms <= -DAY_MS);
        let moved = still.and_then(|still| outcomes.iter().find(|row| row.outcome != still.outcome));
        let what = match (still, moved) {
            (None, _) => format!("{decision} was not decided with the clock left alone"),
            _ if !both_ways => format!("{decision} was not decided with the clock a day off in both directions"),
            (_, Some(row)) => {
                format!("{decision} becomes `{}` when the clock moves by {} ms", row.outcome, row.shift_ms)
            }
            (Some(_), None) => continue,
        };
        broken.push(Violation { what, place: rows.place.clone() });
    }
    Ok(vec![Judged::invariant(
        "a clock moved by days changes no decision",
        rows.len(),
        vec![rows.place.clone()],
        &broken,
    )])
}
