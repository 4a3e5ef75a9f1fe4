//! How a run ended, as one value that every report renders; the plain table and the JSON lines.

use std::fmt::Write as _;

use contract::{canonical, exit};
use gates::check::{Check, Numbers, Severity, Verdict};
use gates::gate;
use gates::pr_g0::CALIBRATION;
use gates::proofpack::run_facts::RunState;
use gates::verdict::{CheckReport, GateReport, RULES_VERSION, RunReport, State, exit_code};
use serde::Serialize;
use serde_json::json;

use crate::failure::Failure;
use crate::progress::PhaseTime;
use crate::selection::{Asked, PREFLIGHT};

/// Something that went wrong beside the verdicts: a drill that did not finish, a program that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    /// The exit code it asks for.
    pub(crate) code: u8,
    /// What happened.
    pub(crate) text: String,
}

/// A run that is over.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    /// The gates, pr-g5 included.
    pub(crate) report: RunReport,
    /// Complete, partial or aborted.
    pub(crate) state: RunState,
    /// What went wrong beside the verdicts.
    pub(crate) problems: Vec<Problem>,
    /// Flags that took something out of the run.
    pub(crate) narrowed: Vec<String>,
    /// Gates that were not asked for.
    pub(crate) left_out: Vec<&'static str>,
    /// The master seed, `0x` and 16 hex digits.
    pub(crate) seed: String,
    /// The run folder, below the target folder.
    pub(crate) folder: String,
    /// Where the time went.
    pub(crate) phases: Vec<PhaseTime>,
    /// Bytes left on the disk of the target folder, where the system says so.
    pub(crate) bytes_left: Option<u64>,
}

/// The word and the exit code of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conclusion {
    /// The word.
    pub(crate) word: &'static str,
    /// The exit code.
    pub(crate) code: u8,
}

/// The word for each exit code.
const WORDS: &[(u8, &str)] = &[
    (exit::gate::PASS, "PASS"),
    (exit::gate::FAIL, "FAIL"),
    (exit::gate::USAGE, "POLICY REFUSED"),
    (exit::gate::INCONCLUSIVE, "INCONCLUSIVE"),
    (exit::gate::NO_EVIDENCE, "NO_EVIDENCE"),
    (exit::gate::PARTIAL, "PARTIAL"),
    (exit::gate::INTEGRITY, "INTEGRITY"),
    (exit::gate::INTERNAL, "INTERNAL ERROR"),
    (exit::gate::INFRASTRUCTURE, "SOMETHING IS MISSING"),
    (exit::gate::BUILD, "DOES NOT BUILD"),
    (exit::gate::INTERRUPTED, "ABORTED"),
];

impl Finished {
    /// What the run comes to. Only a complete run with nothing but PASS is 0.
    pub(crate) fn conclusion(&self) -> Conclusion {
        let code = match self.state {
            RunState::Aborted => exit::gate::INTERRUPTED,
            RunState::Complete | RunState::Partial => {
                let mut codes: Vec<u8> = self.problems.iter().map(|problem| problem.code).collect();
                codes.push(exit_code(worst(&self.report.gates)));
                if self.state == RunState::Partial {
                    codes.push(exit::gate::PARTIAL);
                }
                exit::worst(&exit::gate::PRECEDENCE, &codes)
            }
        };
        let word = WORDS.iter().find(|(known, _)| *known == code).map_or("FAIL", |(_, word)| word);
        Conclusion { word, code }
    }
}

/// A run that ended at its policy: the check that says so is red, every other one is blocked by it.
pub(crate) fn refused(asked: &Asked, profile: &str, problems: Vec<String>) -> Finished {
    let blocked = || State::Blocked { by: CALIBRATION.into() };
    let report_of = |check: &Check| {
        let (state, claim) = if check.id == CALIBRATION {
            (State::Judged { verdict: Verdict::Fail }, problems.join("; "))
        } else {
            (blocked(), String::new())
        };
        CheckReport {
            id: check.id.into(),
            requirement: check.requirement.into(),
            family: check.family,
            severity: Severity::Hard,
            rule: check.rule.into(),
            numbers: Numbers::default(),
            state,
            claim,
            evidence: Vec::new(),
            not_run: Vec::new(),
            target_missed: false,
            repro: "cargo xtask config check".into(),
        }
    };
    // The gate of the policy stands here whether it was asked for or not: it is the one that decides.
    let ids = std::iter::once(PREFLIGHT).chain(asked.gates.iter().copied().filter(|id| *id != PREFLIGHT));
    let gates = ids.map(|id| {
        let checks = gate::find(id).map_or(&[][..], |gate| gate.checks).iter().map(report_of).collect();
        if id == PREFLIGHT {
            GateReport::from_checks(id, checks)
        } else {
            GateReport { id: id.into(), state: blocked(), checks }
        }
    });
    let report = RunReport {
        schema: RunReport::SCHEMA.into(),
        rules: RULES_VERSION,
        profile: profile.into(),
        policy: String::new(),
        verdict: Verdict::Fail,
        loosened: Vec::new(),
        gates: gates.collect(),
    };
    let problem = |text: &String| Problem { code: exit::gate::USAGE, text: text.clone() };
    Finished {
        report,
        state: RunState::Partial,
        problems: problems.iter().map(problem).collect(),
        narrowed: asked.narrowed.clone(),
        left_out: asked.left_out(),
        seed: "none".into(),
        folder: "none, nothing was run".into(),
        phases: Vec::new(),
        bytes_left: None,
    }
}

/// One JSON line a gate, and one for the run.
///
/// # Errors
/// Never for numbers that judges gave; typed all the same.
pub(crate) fn json_lines(run: &Finished) -> Result<String, Failure> {
    let conclusion = run.conclusion();
    let seconds = |phase: &PhaseTime| json!({"phase": phase.name, "cargo": phase.cargo, "s": phase.took.as_secs_f64()});
    let last = json!({
        "type": "run",
        "word": conclusion.word,
        "exit": conclusion.code,
        "profile": run.report.profile,
        "policy": run.report.policy,
        "seed": run.seed,
        "folder": run.folder,
        "loosened": run.report.loosened,
        "narrowed": run.narrowed,
        "not_selected": run.left_out,
        "problems": run.problems,
        "phases": run.phases.iter().map(seconds).collect::<Vec<_>>(),
    });
    let gates = run.report.gates.iter().map(|gate| json!({"type": "gate", "gate": gate}));
    let mut out = String::new();
    for line in gates.chain([last]) {
        let bytes = canonical::to_bytes(&line).map_err(|error| Failure::internal(format!("report: {error}")))?;
        out.push_str(&String::from_utf8_lossy(&bytes));
        out.push('\n');
    }
    Ok(out)
}

/// The worst gate, where one without a verdict counts as no evidence: a gate that was not judged has proven nothing.
fn worst(gates: &[GateReport]) -> Verdict {
    let verdicts = gates.iter().map(|gate| gate.state.verdict().unwrap_or(Verdict::NoEvidence));
    verdicts.max().unwrap_or(Verdict::NoEvidence)
}

/// The table for people.
pub(crate) fn table(run: &Finished) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail; the macro's result says so.
    for gate in &run.report.gates {
        let hard = gate.checks.iter().filter(|check| check.severity == Severity::Hard);
        let passed = hard.clone().filter(|check| check.state.verdict() == Some(Verdict::Pass)).count();
        let blocked = match &gate.state {
            State::Blocked { by } => format!(" by {by}"),
            _ => String::new(),
        };
        let _ = writeln!(out, "{:<6} {}{blocked}  {passed}/{} checks", gate.id, gate.state.word(), hard.count());
        for check in &gate.checks {
            check_lines(check, &mut out);
        }
    }
    for problem in &run.problems {
        let _ = writeln!(out, "problem: {}", problem.text);
    }
    for one in &run.report.loosened {
        let _ = writeln!(out, "{one}");
    }
    if !run.narrowed.is_empty() {
        let _ = writeln!(out, "narrowed by {}: no pack is cut", run.narrowed.join(", "));
    }
    if !run.left_out.is_empty() {
        let _ = writeln!(out, "not selected: {}", run.left_out.join(", "));
    }
    let cargo: f64 = run.phases.iter().filter(|phase| phase.cargo).map(|phase| phase.took.as_secs_f64()).sum();
    let own: f64 = run.phases.iter().filter(|phase| !phase.cargo).map(|phase| phase.took.as_secs_f64()).sum();
    for phase in &run.phases {
        let _ = writeln!(out, "  {:>7.1} s  {}", phase.took.as_secs_f64(), phase.name);
    }
    let left = run.bytes_left.map_or_else(String::new, |bytes| format!(", {:.1} GB left on disk", bytes as f64 / 1e9));
    let _ = writeln!(out, "cargo {cargo:.1} s, gates {own:.1} s{left}");
    let _ = writeln!(out, "evidence: {}", run.folder);
    let conclusion = run.conclusion();
    let _ = writeln!(
        out,
        "{} (profile {}, policy {:.12}, seed {}, exit {})",
        conclusion.word, run.report.profile, run.report.policy, run.seed, conclusion.code
    );
    out
}

fn check_lines(check: &CheckReport, out: &mut String) {
    let _ = writeln!(out, "  {:<12} {}", check.state.word(), check.id);
    let troubled = !matches!(check.state.verdict(), None | Some(Verdict::Pass));
    if troubled {
        let _ = writeln!(out, "               {}", check.claim);
        let _ = writeln!(out, "               rule: {}", check.rule);
        for place in &check.evidence {
            let line = place.line.map_or_else(String::new, |line| format!(":{line}"));
            let _ = writeln!(out, "               evidence: {}{line}", place.path);
        }
        let _ = writeln!(out, "               repro: {}", check.repro);
    }
    for row in &check.not_run {
        let _ = writeln!(out, "               NOT RUN {}: {}", row.row, row.reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(state: RunState, gates: &[State], problems: &[u8]) -> Finished {
        let gates = gates.iter().map(|state| GateReport { id: "pr-g1".into(), state: state.clone(), checks: vec![] });
        let report = RunReport {
            schema: RunReport::SCHEMA.into(),
            rules: 1,
            profile: "dev".into(),
            policy: "0".repeat(64),
            verdict: Verdict::Pass,
            loosened: vec![],
            gates: gates.collect(),
        };
        let problems = problems.iter().map(|code| Problem { code: *code, text: "x".into() }).collect();
        Finished {
            report,
            state,
            problems,
            narrowed: vec![],
            left_out: vec![],
            seed: String::new(),
            folder: String::new(),
            phases: vec![],
            bytes_left: None,
        }
    }

    #[test]
    fn a_refused_policy_is_red_and_blocks_the_rest() {
        let asked = Asked { gates: vec!["pr-g4"], checks: Default::default(), workload: None, narrowed: vec![] };
        let run = refused(&asked, "dev", vec!["CALIBRATION_NULL: /STRESS_N".into()]);
        assert_eq!(run.conclusion(), Conclusion { word: "POLICY REFUSED", code: 2 });
        let preflight = &run.report.gates[0];
        let red = preflight.checks.iter().filter(|check| check.state.verdict().is_some());
        assert_eq!(
            red.map(|check| (check.id.as_str(), check.state.word())).collect::<Vec<_>>(),
            [(CALIBRATION, "FAIL")]
        );
        assert_eq!(run.report.gates[1].state, State::Blocked { by: CALIBRATION.into() });
        assert!(table(&run).contains("CALIBRATION_NULL: /STRESS_N"));
        let lines = json_lines(&run).expect("no numbers");
        assert!(
            lines.lines().all(|line| canonical::parse_evidence(line.as_bytes()).is_ok())
                && lines.contains("\"exit\":2")
        );
    }

    #[test]
    fn only_a_complete_run_of_passes_is_0() {
        let judged = |verdict| State::Judged { verdict };
        let pass = judged(Verdict::Pass);
        let green = [pass.clone()];
        let blocked = State::Blocked { by: "pr-g0".into() };
        for (run, word, code) in [
            (finished(RunState::Complete, &green, &[]), "PASS", 0),
            (finished(RunState::Complete, &[], &[]), "NO_EVIDENCE", 4),
            (finished(RunState::Complete, &[pass.clone(), blocked], &[]), "NO_EVIDENCE", 4),
            (finished(RunState::Complete, &[pass.clone(), State::NotSelected], &[]), "NO_EVIDENCE", 4),
            (finished(RunState::Partial, &green, &[]), "PARTIAL", 5),
            (finished(RunState::Aborted, &green, &[]), "ABORTED", 130),
            (finished(RunState::Complete, &green, &[4]), "NO_EVIDENCE", 4),
            (finished(RunState::Complete, &[pass, judged(Verdict::Fail)], &[101]), "DOES NOT BUILD", 101),
            (finished(RunState::Partial, &[judged(Verdict::Integrity)], &[2, 101]), "INTEGRITY", 7),
            (finished(RunState::Complete, &[judged(Verdict::Inconclusive)], &[]), "INCONCLUSIVE", 3),
        ] {
            assert_eq!(run.conclusion(), Conclusion { word, code }, "{run:?}");
        }
    }
}
