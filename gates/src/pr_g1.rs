//! pr-g1 concurrency: many processes share one folder and nothing is lost.

use contract::plan::DrillPlan;
use contract::record::lock::{Counter, Kill, Phase, Reader, Residue, Section, Writer};

use crate::check::{Check, Family, Judged, Unjudged};
use crate::evidence::{Context, Rows};
use crate::gate::Gate;

mod crashes;
mod faults;
mod holders;
mod plausible;
mod shared_folder;

/// The gate.
pub static GATE: Gate = Gate {
    id: "pr-g1",
    name: "concurrency",
    claim: "many processes share one folder and nothing is lost",
    checks: CHECKS,
    drills: |_| vec![DrillPlan { drill: "concurrency".into(), scenario: String::new(), runs: 0 }],
};

/// Every check of this gate is an invariant of the lock; `dead-holder-recovered` and `fairness` have a part on wall time
/// that decides outside `dev` only.
const fn check(
    id: &'static str,
    evidence: &'static [&'static str],
    rule: &'static str,
    judge: fn(&Context<'_>) -> Outcome,
) -> Check {
    Check { id, requirement: "INV-CACHE-LOCK-01", family: Family::Invariant, evidence, rule, judge }
}

const CHECKS: &[Check] = &[
    check(
        "writers-succeed",
        &["writers.jsonl", "kills.jsonl"],
        "every writer that was not killed exits 0",
        shared_folder::writers_succeed,
    ),
    check(
        "no-overlap",
        &["sections.jsonl"],
        "no two holders of one lock at a time, by the intervals of their critical sections and by an independent kernel lock",
        shared_folder::no_overlap,
    ),
    check(
        "no-lost-update",
        &["sections.jsonl", "counters.jsonl"],
        "counters equal acknowledged increments; after kills at most one more for each killed writer inside an increment",
        shared_folder::no_lost_update,
    ),
    check(
        "no-torn-read",
        &["readers.jsonl", "residue.jsonl"],
        "every read verifies; damage planted on purpose is refused",
        shared_folder::no_torn_read,
    ),
    check(
        "no-residue",
        &["residue.jsonl"],
        "no .lock and no .tmp is left after the sweep, and none before it where nobody was killed",
        shared_folder::no_residue,
    ),
    check(
        "dead-holder-recovered",
        &["takeovers.jsonl"],
        "after SIGKILL of the holder the next one gets in within LOCK_RECOVERY_MAX_MS",
        holders::dead_holder_recovered,
    ),
    check(
        "live-holder-respected",
        &["stopped.jsonl", "sections.jsonl"],
        "in front of a stopped holder waiters get LOCK_TIMEOUT naming it, and nobody overlaps when it goes on",
        holders::live_holder_respected,
    ),
    check(
        "fairness",
        &["sections.jsonl", "writers.jsonl"],
        "max/min turns per writer, while all work, is at most LOCK_FAIRNESS_MAX",
        holders::fairness,
    ),
    check(
        "crash-points",
        &["steps.jsonl", "traces.jsonl"],
        "killed at any named step: readers see old or new, the ledger never under-counts, the next process succeeds; durable calls come in order",
        crashes::crash_points,
    ),
    check(
        "storage-faults",
        &["storage.jsonl"],
        "a fault of the disk is a typed error, the old entry is intact, nothing is left",
        faults::storage,
    ),
    check(
        "clock-jumps",
        &["clock.jsonl"],
        "a wall clock moved by days in both directions changes no decision",
        faults::clock_jumps,
    ),
    Check {
        id: "plausible-pr-g1",
        requirement: "INV-EVIDENCE-01",
        family: Family::Invariant,
        evidence: &["writers.jsonl", "sections.jsonl", "kills.jsonl"],
        rule: "the rows could have happened, and the writers really overlapped",
        judge: plausible::rows,
    },
];

type Outcome = Result<Vec<Judged>, Unjudged>;

fn writers(context: &Context<'_>) -> Result<Rows<Writer>, Unjudged> {
    context.rows("writers.jsonl")
}

fn sections(context: &Context<'_>) -> Result<Rows<Section>, Unjudged> {
    context.rows("sections.jsonl")
}

fn kills(context: &Context<'_>) -> Result<Rows<Kill>, Unjudged> {
    context.rows("kills.jsonl")
}

fn counters(context: &Context<'_>) -> Result<Rows<Counter>, Unjudged> {
    context.rows("counters.jsonl")
}

fn readers(context: &Context<'_>) -> Result<Rows<Reader>, Unjudged> {
    context.rows("readers.jsonl")
}

fn residue(context: &Context<'_>) -> Result<Rows<Residue>, Unjudged> {
    context.rows("residue.jsonl")
}

/// The writers of the storm that were killed.
fn is_killed(kills: &Rows<Kill>, phase: Phase, writer: u64) -> bool {
    phase == Phase::Storm && kills.iter().any(|kill| kill.writer == writer)
}
