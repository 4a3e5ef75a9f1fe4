//! pr-g4 stress: it stays good, stable, equal, bounded and safe when it is worked hard.

use contract::plan::DrillPlan;

use crate::check::{Check, Family, Judged, Unjudged};
use crate::evidence::{Context, Policy};
use crate::gate::Gate;

mod equality;
mod memory;
mod plausible;
mod quality;
mod workload;

/// The gate.
pub static GATE: Gate = Gate {
    id: "pr-g4",
    name: "stress",
    claim: "it stays good, stable, equal, bounded and safe when it is worked hard",
    checks: CHECKS,
    drills,
};

const CHECKS: &[Check] = &[
    Check {
        id: "hard-pass-rate",
        requirement: "INV-ENTROPY-01",
        family: Family::Proof,
        evidence: &["stress-*.jsonl"],
        rule: "the lower bound of the hard pass rate is at least PASS_RATIO_MIN, over distinct inputs",
        judge: quality::hard_pass_rate,
    },
    Check {
        id: "envelope",
        requirement: "INV-ENTROPY-01",
        family: Family::Proof,
        evidence: &["stress-*.jsonl"],
        rule: "the interval of each metric lies inside VARIANCE_ENVELOPES in its direction",
        judge: quality::envelopes,
    },
    Check {
        id: "parallel-equals-sequential",
        requirement: "INV-REPLAY-01",
        family: Family::Invariant,
        evidence: &["equivalence.jsonl", "stress-*.jsonl"],
        rule: "1, 2 and 8 workers give equal texts and counts, and numbers within EQUIVALENCE",
        judge: equality::parallel,
    },
    Check {
        id: "deterministic",
        requirement: "INV-REPLAY-01",
        family: Family::Invariant,
        evidence: &["stress-*.jsonl", "repeats.jsonl"],
        rule: "a repeated run, and the built engine in its own process, give the same digest, attempts and cost",
        judge: equality::deterministic,
    },
    Check {
        id: "planted-defects",
        requirement: "INV-ENTROPY-01",
        family: Family::Invariant,
        evidence: &["planted.jsonl"],
        rule: "over at least PLANTED_SCENES_MIN scenes each planted HARD defect is measured, and none where none was planted",
        judge: quality::planted_defects,
    },
    Check {
        id: "memory-growth",
        requirement: "INV-ENTROPY-01",
        family: Family::Proof,
        evidence: &["memory.jsonl"],
        rule: "live bytes per run grow by at most MEMORY_SLOPE_MAX_BYTES_PER_RUN; the peak is below MEMORY_MAX_BYTES",
        judge: memory::growth,
    },
    Check {
        id: "plausible-pr-g4",
        requirement: "INV-EVIDENCE-01",
        family: Family::Invariant,
        evidence: &["stress-*.jsonl"],
        rule: "the rows could have happened: seeds derive, indices are whole, times fit, columns are not copies",
        judge: plausible::rows,
    },
];

type Outcome = Result<Vec<Judged>, Unjudged>;

/// The workloads that can be stressed, in the order of reports.
fn workloads(policy: &Policy) -> Vec<&'static str> {
    let command = (!policy.values.command_subject.is_empty()).then_some("command");
    ["scribe"].into_iter().chain(command).collect()
}

fn drills(policy: &Policy) -> Vec<DrillPlan> {
    let runs = policy.values.stress_n;
    let drill = |scenario: &str| DrillPlan { drill: "stress".into(), scenario: scenario.into(), runs };
    workloads(policy).into_iter().map(drill).collect()
}

/// The workloads that this run planned; a plan without any leaves nothing to judge.
fn planned(context: &Context<'_>) -> Result<Vec<(String, u64)>, Unjudged> {
    let plan = context.plan()?;
    let stress = plan.drills.into_iter().filter(|drill| drill.drill == "stress");
    Ok(stress.map(|drill| (drill.scenario, drill.runs)).collect())
}
