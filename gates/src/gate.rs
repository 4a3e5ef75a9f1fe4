//! A gate: a claim, its checks, and the registry of all gates. Adding a gate is adding a row to [`GATES`].

use contract::plan::DrillPlan;

use crate::check::{Check, Unjudged, Verdict};
use crate::evidence::{Context, Files, Policy};
use crate::verdict::{CheckReport, GateReport, RunReport, State};
use crate::{pr_g0, pr_g1, pr_g2, pr_g3, pr_g4, pr_g5};

/// A set of checks under one claim.
#[derive(Debug)]
pub struct Gate {
    /// `pr-g0` … `pr-g5`.
    pub id: &'static str,
    /// One word for lists.
    pub name: &'static str,
    /// What a PASS claims.
    pub claim: &'static str,
    /// Its checks, in the order in which they are reported.
    pub checks: &'static [Check],
    /// The drills it needs, with their sizes.
    pub drills: fn(&Policy) -> Vec<DrillPlan>,
}

/// The gates whose evidence is sealed, in the order in which they run. The gate that seals, pr-g5, judges what was done
/// with the finished pack and is run on its own.
pub static GATES: &[&Gate] = &[&pr_g0::GATE, &pr_g1::GATE, &pr_g2::GATE, &pr_g3::GATE, &pr_g4::GATE];

/// Which checks are judged: all of the gates selected, or those named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Check ids that `--only` named; empty for all.
    pub only: Vec<String>,
}

impl Selection {
    fn takes(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == id || only.split(':').next() == Some(id))
    }

    fn takes_instance(&self, full: &str) -> bool {
        self.only.is_empty()
            || self.only.iter().any(|only| only == full || full.split(':').next() == Some(only.as_str()))
    }
}

/// Every gate: those that are sealed, and the one that seals.
pub fn all() -> impl Iterator<Item = &'static Gate> {
    GATES.iter().copied().chain([&pr_g5::GATE])
}

/// The gate with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Gate> {
    all().find(|gate| gate.id == id)
}

/// Judges one gate: every check, every violation, never stopping at the first.
#[must_use]
pub fn judge(gate: &'static Gate, files: &dyn Files, policy: &Policy, selection: &Selection) -> GateReport {
    let context = Context::new(gate.id, policy, files);
    let reports = gate.checks.iter().flat_map(|check| judge_check(check, &context, selection)).collect();
    GateReport::from_checks(gate.id, reports)
}

/// Judges every gate that the policy names, in the order of the registry.
#[must_use]
pub fn judge_run(files: &dyn Files, policy: &Policy, selection: &Selection) -> RunReport {
    let selected = GATES.iter().filter(|gate| policy.file.gates.iter().any(|id| id == gate.id));
    RunReport::from_gates(policy, selected.map(|gate| judge(gate, files, policy, selection)).collect())
}

/// The report of a run whose policy was refused: the check on the calibration is red, everything else never began.
#[must_use]
pub fn refused(profile: &str, selected: &[String], reason: &str) -> RunReport {
    let blocked = |check: &Check| CheckReport::state(check, State::Blocked { by: pr_g0::CALIBRATION.into() });
    let report = |gate: &Gate| {
        let reports = gate.checks.iter().map(|check| {
            let red = CheckReport { claim: reason.to_owned(), ..CheckReport::state(check, Verdict::Fail.into()) };
            if check.id == pr_g0::CALIBRATION { red } else { blocked(check) }
        });
        match gate.checks.iter().any(|check| check.id == pr_g0::CALIBRATION) {
            true => GateReport::from_checks(gate.id, reports.collect()),
            false => GateReport {
                id: gate.id.into(),
                state: State::Blocked { by: pr_g0::GATE.id.into() },
                checks: reports.collect(),
            },
        }
    };
    let first = std::iter::once(&pr_g0::GATE);
    let others =
        GATES.iter().copied().filter(|gate| gate.id != pr_g0::GATE.id && selected.iter().any(|id| id == gate.id));
    RunReport::refused(profile, first.chain(others).map(report).collect())
}

fn judge_check(check: &Check, context: &Context<'_>, selection: &Selection) -> Vec<CheckReport> {
    if !selection.takes(check.id) {
        return vec![CheckReport::state(check, State::NotSelected)];
    }
    let unjudged = |verdict, reason, place| vec![CheckReport::unjudged(check, verdict, reason, place, context)];
    match (check.judge)(context) {
        Ok(judged) if judged.is_empty() => {
            unjudged(Verdict::NoEvidence, "the check has no instance to judge".into(), None)
        }
        Ok(judged) => {
            let reports = judged.into_iter().map(|judged| CheckReport::judged(check, judged, context));
            let (taken, left): (Vec<_>, Vec<_>) = reports.partition(|report| selection.takes_instance(&report.id));
            let left = left.into_iter().map(|report| CheckReport { state: State::NotSelected, ..report });
            taken.into_iter().chain(left).collect()
        }
        Err(Unjudged::NoEvidence { place, reason }) => unjudged(Verdict::NoEvidence, reason, Some(place)),
        Err(Unjudged::Integrity { place, reason }) => unjudged(Verdict::Integrity, reason, Some(place)),
    }
}
