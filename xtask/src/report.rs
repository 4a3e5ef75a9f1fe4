//! How a run ended, as one value that every report renders.

use std::cmp::Reverse;
use std::path::Path;

use contract::exit;
use gates::check::{Check, Numbers, Place, Severity, Verdict};
use gates::gate;
use gates::pr_g0::CALIBRATION;
use gates::proofpack::run_facts::RunState;
use gates::verdict::{CheckReport, GateReport, RULES_VERSION, RunReport, State, exit_code};
use serde::Serialize;

use crate::cli::{self, MessageFormat, Output};
use crate::failure::Failure;
use crate::progress::PhaseTime;
use crate::selection::{Asked, PREFLIGHT};

pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod junit;
pub(crate) mod markdown;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod text;

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

/// The worst gate, where one without a verdict counts as no evidence: a gate that was not judged has proven nothing.
fn worst(gates: &[GateReport]) -> Verdict {
    let verdicts = gates.iter().map(|gate| gate.state.verdict().unwrap_or(Verdict::NoEvidence));
    verdicts.max().unwrap_or(Verdict::NoEvidence)
}

/// One check of a run, with its gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    /// The gate.
    pub(crate) gate: &'a GateReport,
    /// The check.
    pub(crate) check: &'a CheckReport,
}

impl Found<'_> {
    /// The verdict, when it was judged and is not PASS.
    fn red(&self) -> Option<Verdict> {
        self.check.state.verdict().filter(|verdict| *verdict != Verdict::Pass)
    }

    /// The rule with what was observed, its bounds and its limit.
    pub(crate) fn rule(&self) -> String {
        let numbers = &self.check.numbers;
        let named = [
            ("observed", numbers.observed),
            ("lower", numbers.lower),
            ("upper", numbers.upper),
            ("limit", numbers.limit),
        ];
        let named: Vec<String> =
            named.iter().filter_map(|(name, value)| value.map(|value| format!("{name} {value}"))).collect();
        let rows = if numbers.n > 0 { format!(", n {}", numbers.n) } else { String::new() };
        match named.as_slice() {
            [] => self.check.rule.clone(),
            named => format!("{}; {}{rows}", self.check.rule, named.join(", ")),
        }
    }

    /// One command that shows it again.
    pub(crate) fn repro(&self, profile: &str) -> String {
        if self.check.repro.is_empty() {
            // Where the policy was refused no judge wrote one.
            let id = self.check.id.split(':').next().unwrap_or(&self.check.id);
            return format!("cargo xtask gate {} --profile {profile} --only {id}", self.gate.id);
        }
        self.check.repro.clone()
    }

    /// Files and lines to look at, `path:line`.
    pub(crate) fn places(&self) -> Vec<String> {
        let place = |place: &Place| match place.line {
            Some(line) => format!("{}:{line}", place.path),
            None => place.path.clone(),
        };
        self.check.evidence.iter().map(place).collect()
    }
}

/// All checks, gate by gate.
pub(crate) fn checks(report: &RunReport) -> impl Iterator<Item = Found<'_>> {
    report.gates.iter().flat_map(|gate| gate.checks.iter().map(move |check| Found { gate, check }))
}

/// Checks that were judged and did not pass: those that decide first, then the worst first, then in the order of gates.
pub(crate) fn red(report: &RunReport) -> Vec<Found<'_>> {
    let mut red: Vec<Found<'_>> = checks(report).filter(|found| found.red().is_some()).collect();
    red.sort_by_key(|found| (found.check.severity == Severity::Soft, Reverse(found.red())));
    red
}

/// Prints a finished run on standard output, and writes the files that were asked for.
///
/// # Errors
/// A file or standard output cannot be written.
pub(crate) fn show(run: &Finished, output: &Output) -> Result<(), Failure> {
    let write = |path: &Path, bytes: &[u8]| {
        std::fs::write(path, bytes).map_err(|error| Failure::file("cannot write", path, &error))
    };
    if let Some(path) = &output.junit {
        write(path, junit::render(run)?.as_bytes())?;
    }
    if let Some(path) = &output.summary {
        write(path, markdown::render(run).as_bytes())?;
    }
    match output.message_format {
        MessageFormat::Human => cli::print(&human::render(run, output.style()))?,
        MessageFormat::Json => cli::print(&json::render(run)?)?,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use contract::canonical;

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
        assert!(human::render(&run, text::Style { width: 200, color: false }).contains("CALIBRATION_NULL: /STRESS_N"));
        let lines = json::render(&run).expect("no numbers");
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
