//! Judges stored evidence again: the road from a run folder or a pack to its verdict, with nothing but the evidence and
//! the policy beside it (PPK-29).

use crate::check::{Severity, Verdict};
use crate::evidence::{Files, Policy};
use crate::gate::{self, Selection};
use crate::proofpack::layout::POLICY;
use crate::proofpack::manifest::Part;
use crate::proofpack::verify::{Derived, Judge};
use crate::verdict::{GateReport, RULES_VERSION, RunReport};

/// The judge of this release.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rejudge;

/// The gate that seals. Its own results lie beside a pack and are no part of it.
pub const SEAL: &str = "pr-g5";

impl Judge for Rejudge {
    fn rules(&self) -> u64 {
        RULES_VERSION
    }

    fn derive(&self, files: &dyn Files) -> Result<Derived, String> {
        derived(&report(files, &recorded_policy(files)?))
    }
}

/// The policy that lies beside the evidence.
///
/// # Errors
/// It is missing or refused.
pub fn recorded_policy(files: &dyn Files) -> Result<Policy, String> {
    let bytes = files.read(POLICY).ok_or_else(|| format!("{POLICY} is missing"))?;
    Policy::parse(bytes).map_err(|error| format!("{POLICY}: {error}"))
}

/// The report of the gates that the policy names, in its order. A gate that this release has no judge for has proven
/// nothing, as it had when it was run.
#[must_use]
pub fn report(files: &dyn Files, policy: &Policy) -> RunReport {
    let selection = Selection::default();
    let ids = policy.file.gates.iter().filter(|id| id.as_str() != SEAL);
    let judged = ids.map(|id| match gate::find(id) {
        Some(gate) => gate::judge(gate, files, policy, &selection),
        None => GateReport::from_checks(id, Vec::new()),
    });
    RunReport::from_gates(policy, judged.collect())
}

/// The report as a verifier compares it.
///
/// # Errors
/// A number that JSON does not have.
pub fn derived(report: &RunReport) -> Result<Derived, String> {
    let part =
        |gate: &GateReport| Part { id: gate.id.clone(), verdict: gate.state.verdict().unwrap_or(Verdict::NoEvidence) };
    let checks = || report.gates.iter().flat_map(|gate| &gate.checks);
    let soft_red = checks().any(|check| {
        check.severity == Severity::Soft && check.state.verdict().is_some_and(|verdict| verdict != Verdict::Pass)
    });
    Ok(Derived {
        verdict: report.verdict,
        parts: report.gates.iter().map(part).collect(),
        soft_broken: soft_red || checks().any(|check| check.target_missed),
        report: contract::canonical::to_value(report).map_err(|error| error.to_string())?,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn shared_policy() -> Vec<u8> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pr-g1/policy/gate.json");
        std::fs::read(path).expect("the policy of the fixtures")
    }

    #[test]
    fn without_a_policy_nothing_can_be_derived() {
        let error = Rejudge.derive(&BTreeMap::new()).expect_err("no policy");
        assert!(error.contains(POLICY), "{error}");
        let broken = BTreeMap::from([(POLICY.to_owned(), b"{}".to_vec())]);
        assert!(Rejudge.derive(&broken).is_err());
    }

    #[test]
    fn gat_3_without_evidence_every_gate_of_the_policy_is_there_and_none_passes() {
        let files = BTreeMap::from([(POLICY.to_owned(), shared_policy())]);
        let derived = Rejudge.derive(&files).expect("a policy is all it takes");
        let ids: Vec<&str> = derived.parts.iter().map(|part| part.id.as_str()).collect();
        assert_eq!(ids, ["pr-g0", "pr-g1", "pr-g2", "pr-g3", "pr-g4"]);
        assert!(derived.parts.iter().all(|part| part.verdict != Verdict::Pass), "{:?}", derived.parts);
    }

    #[test]
    fn the_same_bytes_give_the_same_report() {
        let files = BTreeMap::from([(POLICY.to_owned(), shared_policy())]);
        assert_eq!(Rejudge.derive(&files), Rejudge.derive(&files));
    }
}
