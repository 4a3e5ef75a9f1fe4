//! Processes killed at every named step, and the order of system calls that a kill cannot show.

use contract::record::lock::{CrashPoint, Found, Operation, Trace, TracedCall};

use super::Outcome;
use crate::check::{Judged, Violation};
use crate::evidence::{Context, split_not_run};

/// The steps at which each operation is killed; `done` is after the last one.
const STEPS: &[(Operation, &[&str])] = &[
    (Operation::Put, &["lock", "create_tmp", "write", "sync_file", "rename", "sync_dir", "unlock", "done"]),
    (Operation::Evict, &["lock", "remove", "sync_dir", "unlock", "done"]),
    (Operation::Reserve, &["lock", "append", "sync_file", "unlock", "done"]),
    (Operation::Settle, &["lock", "append", "sync_file", "unlock", "done"]),
    (Operation::Sweep, &["lock", "remove", "unlock", "done"]),
];

/// A system call, its target, and for a rename the new name.
type Call = (&'static str, &'static str, &'static str);

/// The calls of a durable operation, in order.
const CALLS: &[(Operation, &[Call])] = &[
    (Operation::Put, &[("write", "tmp", ""), ("sync", "tmp", ""), ("rename", "tmp", "entry"), ("sync", "folder", "")]),
    (Operation::Settle, &[("write", "journal", ""), ("sync", "journal", "")]),
];

pub(super) fn crash_points(context: &Context<'_>) -> Outcome {
    let (rows, traces) = (context.rows::<CrashPoint>("steps.jsonl")?, context.rows::<Trace>("traces.jsonl")?);
    let mut broken = rows.violations(|row| {
        let name = format!("{:?} killed before {}", row.operation, row.step);
        let allowed: &[Found] = match row.operation {
            Operation::Put => &[Found::Old, Found::New],
            Operation::Evict => &[Found::Old, Found::Absent],
            _ => &[Found::NotApplicable],
        };
        if row.signal != Some(9) && row.step != "done" {
            Some(format!("{name}: the process was not killed there"))
        } else if !allowed.contains(&row.found) {
            Some(format!("{name}: a reader found {:?}", row.found))
        } else if row.ledger_after < row.ledger_least {
            Some(format!(
                "{name}: {} micro-dollars are charged, {} were reserved or spent",
                row.ledger_after, row.ledger_least
            ))
        } else if !row.repeated {
            Some(format!("{name}: the next process could not do it again"))
        } else {
            None
        }
    });
    for (operation, steps) in STEPS {
        let absent =
            steps.iter().filter(|step| !rows.iter().any(|row| row.operation == *operation && row.step == **step));
        broken.extend(absent.map(|step| Violation {
            what: format!("{operation:?} was not killed before {step}"),
            place: rows.place.clone(),
        }));
    }
    let (traced, not_run) = split_not_run(&traces, |row| {
        row.not_run.clone().map(|reason| (format!("trace of {:?}", row.operation), reason))
    });
    for (line, trace) in &traced {
        let wanted = CALLS.iter().find(|(operation, _)| *operation == trace.operation);
        if let Some(missing) = wanted.and_then(|(_, calls)| first_out_of_order(calls, &trace.calls)) {
            broken.push(Violation {
                what: format!("{:?} makes no `{missing}` where it belongs", trace.operation),
                place: traces.at(*line),
            });
        }
    }
    for (operation, _) in
        CALLS.iter().filter(|(operation, _)| !traces.iter().any(|trace| trace.operation == *operation))
    {
        broken.push(Violation { what: format!("{operation:?} was not traced"), place: traces.place.clone() });
    }
    let rule = "at every named step readers see old or new and the ledger counts all; write, sync, rename, sync of the folder come in this order";
    let n = rows.len() + traced.len() as u64;
    let judged = Judged::invariant(rule, n, vec![rows.place.clone(), traces.place.clone()], &broken);
    Ok(vec![judged.with_not_run(not_run, context.policy.strict_rows())])
}

/// The first wanted call that does not follow the one before it.
fn first_out_of_order(wanted: &[Call], calls: &[TracedCall]) -> Option<String> {
    let mut rest = calls.iter();
    let missing = wanted.iter().find(|(call, target, onto)| {
        !rest.any(|made| made.call == *call && made.target == *target && made.onto == *onto)
    });
    missing.map(|(call, target, onto)| [*call, *target, *onto].join(" ").trim_end().to_owned())
}
