//! Runs that the tests of all reports render: a green one, a red one, one whose evidence attacks its reader, and one
//! that never came to be judged.

use std::time::Duration;

use gates::check::{Family, NotRun, Numbers, Place, Severity, Verdict};
use gates::proofpack::run_facts::RunState;
use gates::verdict::{CheckReport, GateReport, RunReport, State};

use super::{Finished, Problem};
use crate::progress::PhaseTime;

/// A green check.
fn pass(id: &str) -> CheckReport {
    CheckReport {
        id: id.into(),
        requirement: "INV-CACHE-LOCK-01".into(),
        family: Family::Invariant,
        severity: Severity::Hard,
        rule: "0 overlapping holders".into(),
        numbers: Numbers { observed: Some(0.0), limit: Some(0.0), n: 90, n_distinct: 90, ..Numbers::default() },
        state: Verdict::Pass.into(),
        claim: "held in all 90 rows; not claimed: other inputs, machines, revisions".into(),
        evidence: vec![place("evidence/pr-g1/sections.jsonl", None)],
        not_run: Vec::new(),
        target_missed: false,
        repro: format!("cargo xtask gate pr-g1 --profile dev --only {id} --seed 0x000000000000002a"),
    }
}

fn place(path: &str, line: Option<u64>) -> Place {
    Place { path: path.into(), line, sha256: "ab".repeat(32) }
}

fn finished(gates: Vec<GateReport>, state: RunState, loosened: &[&str]) -> Finished {
    let verdict = gates.iter().filter_map(|gate| gate.state.verdict()).max().unwrap_or(Verdict::NoEvidence);
    let phase = |name: &str, cargo, ms| PhaseTime { name: name.into(), cargo, took: Duration::from_millis(ms) };
    Finished {
        report: RunReport {
            schema: RunReport::SCHEMA.into(),
            rules: 1,
            profile: "dev".into(),
            policy: "0123456789abcdef".repeat(4),
            verdict,
            loosened: loosened.iter().map(|text| (*text).to_owned()).collect(),
            gates,
        },
        state,
        problems: Vec::new(),
        narrowed: Vec::new(),
        left_out: Vec::new(),
        seed: "0x000000000000002a".into(),
        folder: "gates/runs/000007-01234567 in the target folder".into(),
        phases: vec![phase("build", true, 1200), phase("pr-g1 drill concurrency", false, 3450)],
        bytes_left: Some(12_300_000_000),
    }
}

/// Two gates, all green; one row could not be made and one soft target was missed.
pub(crate) fn green() -> Finished {
    let not_run = NotRun { row: "trace".into(), reason: "no tracer is installed".into() };
    let traced = CheckReport { not_run: vec![not_run], ..pass("crash-points") };
    let envelope = CheckReport {
        family: Family::Proof,
        rule: "mean_hard_score in [0.9, 1], target 0.97".into(),
        numbers: Numbers {
            observed: Some(0.961),
            lower: Some(0.951),
            upper: None,
            limit: Some(0.9),
            n: 1000,
            n_distinct: 1000,
        },
        claim: "claim at 95 % confidence: the mean is 0.95 or more; not claimed: other generators, machines, revisions"
            .into(),
        target_missed: true,
        ..pass("envelope:scribe.mean_hard_score")
    };
    let gates = vec![
        GateReport::from_checks("pr-g1", vec![pass("no-overlap"), traced]),
        GateReport::from_checks("pr-g4", vec![envelope]),
    ];
    Finished { left_out: vec!["pr-g2", "pr-g3"], ..finished(gates, RunState::Complete, &[]) }
}

/// A failure, a doubt, a soft failure, a blocked gate and a loosened limit.
pub(crate) fn red() -> Finished {
    let lost = CheckReport {
        rule: "counters equal acknowledged increments".into(),
        numbers: Numbers { observed: Some(1.0), limit: Some(0.0), n: 3, n_distinct: 3, ..Numbers::default() },
        state: Verdict::Fail.into(),
        claim: "counter calm/0 is 8; 9 increments were acknowledged".into(),
        evidence: vec![place("evidence/pr-g1/counters.jsonl", Some(1))],
        ..pass("no-lost-update")
    };
    let doubt = CheckReport {
        family: Family::Proof,
        rule: "hard pass rate >= 0.95".into(),
        numbers: Numbers {
            observed: Some(0.98),
            lower: Some(0.9383),
            upper: None,
            limit: Some(0.95),
            n: 100,
            n_distinct: 100,
        },
        state: Verdict::Inconclusive.into(),
        claim: "the lower bound 0.9383 does not clear 0.95; run 24 more".into(),
        ..pass("fairness")
    };
    let soft = CheckReport {
        severity: Severity::Soft,
        ..CheckReport { id: "dead-holder-recovered:time".into(), ..lost.clone() }
    };
    let gates = vec![
        GateReport::from_checks("pr-g1", vec![pass("no-overlap"), doubt, soft, lost]),
        GateReport { id: "pr-g4".into(), state: State::Blocked { by: "pr-g1".into() }, checks: Vec::new() },
    ];
    let run =
        finished(gates, RunState::Partial, &["loosened: LOCK_FAIRNESS_MAX 3.0 -> 9.0 (cli: --set LOCK_FAIRNESS_MAX)"]);
    Finished { narrowed: vec!["--only no-lost-update".into()], ..run }
}

/// Evidence that tries to clear the screen, forge lines, break tables and close tags.
pub(crate) fn hostile() -> Finished {
    let attack = "\x1b[2J\x1b]0;owned\x07\r\nPASS  all gates\n| a | b |\n```\n</code></failure>]]><!-- @team #1 \u{202e}\u{9b}1m \u{7f}\0 [x](http://e.example)";
    let check = CheckReport {
        id: format!("envelope:{attack}"),
        rule: attack.into(),
        state: Verdict::Integrity.into(),
        claim: attack.into(),
        evidence: vec![place(&format!("evidence/pr-g4/{attack}"), Some(1))],
        not_run: vec![NotRun { row: attack.into(), reason: attack.into() }],
        target_missed: true,
        repro: attack.into(),
        ..pass("envelope")
    };
    let gates = vec![GateReport::from_checks("pr-g4", vec![check])];
    let problems = vec![Problem { code: 75, text: attack.into() }];
    Finished { problems, folder: attack.into(), ..finished(gates, RunState::Complete, &[attack]) }
}

/// A workspace that does not build: nothing was judged, so no check is red.
pub(crate) fn broken_build() -> Finished {
    let blocked =
        |id: &str| GateReport { id: id.into(), state: State::Blocked { by: "build".into() }, checks: Vec::new() };
    let problems =
        vec![Problem { code: 101, text: "the workspace does not build: exit 101\n  | error[E0425]: no `x`".into() }];
    Finished { problems, ..finished(vec![blocked("pr-g0"), blocked("pr-g1")], RunState::Complete, &[]) }
}
