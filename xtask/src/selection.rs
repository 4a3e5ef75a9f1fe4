//! Which gates and checks were asked for, told from what was typed before anything is run (GAT-10, GAT-11, GAT-19).

use contract::schema::nearest;
use gates::gate::{self, Selection};

use crate::cli;
use crate::failure::Failure;

/// Every gate, in the order in which they run.
pub(crate) const IDS: [&str; 6] = ["pr-g0", "pr-g1", "pr-g2", "pr-g3", "pr-g4", SEAL];
/// The gate that seals what the others left, and needs them all.
pub(crate) const SEAL: &str = "pr-g5";
/// The gate of source, build and tests.
pub(crate) const PREFLIGHT: &str = "pr-g0";
/// Workloads that can be asked for; the last one is any program.
pub(crate) const WORKLOADS: [&str; 2] = ["scribe", COMMAND];
/// The workload that is a foreign program.
pub(crate) const COMMAND: &str = "command";

/// What is judged of a foreign program: where it comes from, the policy, and its runs. Every other check is about our
/// own code.
const FOREIGN_GATES: [&str; 2] = [PREFLIGHT, "pr-g4"];
const FOREIGN_CHECKS: [&str; 6] =
    ["calibration-complete", "source-state", "hard-pass-rate", "envelope", "deterministic", "plausible-pr-g4"];

/// What to run and judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Gates, ascending, with those that another one pulled in.
    pub(crate) gates: Vec<&'static str>,
    /// Which checks of them.
    pub(crate) checks: Selection,
    /// The workload, where only one was asked for.
    pub(crate) workload: Option<String>,
    /// Flags that took something out of the run; such a run cuts no pack (GAT-6).
    pub(crate) narrowed: Vec<String>,
}

impl Asked {
    /// Reads gates, checks and workload.
    ///
    /// # Errors
    /// Exit 2 for an unknown name, with the valid ones.
    pub(crate) fn of(typed: &cli::Gate) -> Result<Self, Failure> {
        let mut gates = Vec::new();
        for text in &typed.gates {
            gates.extend(gates_named(text)?);
        }
        if gates.is_empty() || gates.contains(&SEAL) {
            gates = IDS.to_vec();
        }
        gates.sort_unstable();
        gates.dedup();
        let mut narrowed = Vec::new();
        for check in &typed.only {
            known_check(check, &gates)?;
            narrowed.push(format!("--only {check}"));
        }
        if !typed.only.is_empty() {
            // A gate of which no check is asked for has nothing to say.
            gates.retain(|id| typed.only.iter().any(|check| has_check(id, check)));
        }
        if let Some(workload) = &typed.workload {
            if !WORKLOADS.contains(&workload.as_str()) {
                let failure = Failure::usage(format!("unknown workload `{workload}`"));
                return Err(failure.hint(format!("workloads are {}", WORKLOADS.join(", "))));
            }
            narrowed.push(format!("--workload {workload}"));
        }
        let mut only = typed.only.clone();
        if typed.workload.as_deref() == Some(COMMAND) {
            gates.retain(|id| FOREIGN_GATES.contains(id));
            if only.is_empty() {
                only = FOREIGN_CHECKS.map(str::to_owned).to_vec();
            }
        }
        if !typed.program.is_empty() && typed.workload.as_deref() != Some(COMMAND) {
            return Err(Failure::usage("a program after `--` is judged with `--workload command` only"));
        }
        Ok(Self { gates, checks: Selection { only }, workload: typed.workload.clone(), narrowed })
    }

    /// A run with a defect switched on: the source and the seal are not what it is about, and it is never a whole one.
    ///
    /// # Errors
    /// Only gates without a drill were asked for.
    pub(crate) fn sabotaged_by(&mut self, defect: &str) -> Result<(), Failure> {
        self.gates.retain(|id| ![PREFLIGHT, SEAL].contains(id));
        if self.gates.is_empty() {
            return Err(Failure::usage(format!(
                "{PREFLIGHT} and {SEAL} run no drill that a defect of the engine could reach"
            )));
        }
        self.narrowed.push(format!("PROOFHOUSE_SABOTAGE={defect}"));
        Ok(())
    }

    /// Whether this gate runs.
    pub(crate) fn has(&self, gate: &str) -> bool {
        self.gates.contains(&gate)
    }

    /// Whether a foreign program is what is judged.
    pub(crate) fn is_foreign(&self) -> bool {
        self.workload.as_deref() == Some(COMMAND)
    }

    /// Whether this check of a gate is judged.
    pub(crate) fn wants(&self, check: &str) -> bool {
        let base = |id: &str| id.split(':').next().map(str::to_owned);
        self.checks.only.is_empty() || self.checks.only.iter().any(|only| base(only) == base(check))
    }

    /// The gates that were left out, for the report.
    pub(crate) fn left_out(&self) -> Vec<&'static str> {
        IDS.into_iter().filter(|id| !self.has(id)).collect()
    }
}

/// One gate, or an inclusive range `a..b`.
fn gates_named(text: &str) -> Result<Vec<&'static str>, Failure> {
    let position = |id: &str| IDS.iter().position(|known| *known == id);
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    match (position(first), position(last)) {
        (Some(first), Some(last)) if first <= last => Ok(IDS.get(first..=last).unwrap_or(&[]).to_vec()),
        (Some(_), Some(_)) => Err(Failure::usage(format!("the range `{text}` is empty: its first gate comes last"))),
        _ => Err(Failure::usage(format!("unknown gate `{text}`"))
            .hint(format!("gates are {}; a range is pr-g0..pr-g3", IDS.join(", ")))),
    }
}

fn has_check(gate: &str, check: &str) -> bool {
    let base = check.split(':').next().unwrap_or(check);
    gate::find(gate).is_some_and(|gate| gate.checks.iter().any(|known| known.id == base))
}

fn known_check(check: &str, gates: &[&'static str]) -> Result<(), Failure> {
    if gates.iter().any(|gate| has_check(gate, check)) {
        return Ok(());
    }
    let known = gates.iter().filter_map(|id| gate::find(id)).flat_map(|gate| gate.checks);
    let near = nearest(check, known.map(|check| check.id));
    let failure = Failure::usage(format!("no check `{check}` in {}", gates.join(", ")));
    Err(match near {
        Some(near) => failure.hint(format!("the nearest one is `{near}`; `cargo xtask gate --plan` lists them all")),
        None => failure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<&'static str> {
        gates_named(text).expect("valid")
    }

    #[test]
    fn gat_10_ids_and_ranges() {
        assert_eq!(names("pr-g1"), ["pr-g1"]);
        assert_eq!(names("pr-g1..pr-g3"), ["pr-g1", "pr-g2", "pr-g3"]);
        for bad in ["pr-g9", "g1", "pr-g3..pr-g1", "pr-g0..", "..", ""] {
            let failure = gates_named(bad).expect_err(bad);
            assert_eq!(failure.code, contract::exit::gate::USAGE);
        }
        let hint = gates_named("pr-g9").expect_err("there is none").hint;
        assert!(hint.is_some_and(|hint| hint.contains("pr-g0, pr-g1, pr-g2, pr-g3, pr-g4, pr-g5")));
    }
}
