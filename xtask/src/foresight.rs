//! What a plan could see before it is run: how long it will take, and the smallest change that each check could notice.

use std::collections::BTreeMap;
use std::path::Path;

use contract::canonical;
use gates::check::{Check, Family};
use gates::evidence::Policy;
use gates::statistics::proportion::Proportion;
use gates::statistics::{Alpha, Decision, Limit};

use crate::failure::Failure;
use crate::progress::PhaseTime;

/// Beside the run folders: how long each phase took when it last ran.
const TIMINGS: &str = "timings.json";
/// The error probability of each bound (STA-2).
const ALPHA: f64 = 0.05;

/// Seconds of each phase when it last ran, by name; empty before the first run.
pub(crate) fn timings(gates_folder: &Path) -> BTreeMap<String, f64> {
    // A help for the reader that nothing is judged by: what cannot be read is not known.
    let bytes = std::fs::read(gates_folder.join(TIMINGS)).unwrap_or_else(|_| b"{}".to_vec());
    let value = canonical::parse_evidence(&bytes).ok();
    let fields = value.as_ref().and_then(|value| value.as_object());
    let seconds = fields.into_iter().flatten().filter_map(|(name, seconds)| Some((name.clone(), seconds.as_f64()?)));
    seconds.collect()
}

/// Keeps the times of this run for the next plan; phases that did not run keep theirs.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn remember(gates_folder: &Path, phases: &[PhaseTime]) -> Result<(), Failure> {
    let mut known = timings(gates_folder);
    known.extend(phases.iter().map(|phase| (phase.name.clone(), phase.took.as_secs_f64())));
    let bytes = canonical::to_pretty(&known).map_err(|error| Failure::internal(format!("{TIMINGS}: {error}")))?;
    let path = gates_folder.join(TIMINGS);
    std::fs::write(&path, bytes).map_err(|error| Failure::file("cannot write", &path, &error))
}

/// The smallest change that a check could notice with `n` runs; 0 for a gate whose size is not counted in runs.
pub(crate) fn smallest_change(check: &Check, n: u64, policy: &Policy) -> String {
    match (check.family, check.id, n) {
        (Family::Invariant, _, 0) => "one broken row".into(),
        (Family::Invariant, _, n) => {
            // 1 - alpha^(1/n): below this rate a fault is more likely than alpha to stay away from all n runs.
            let rate = 1.0 - ALPHA.powf(1.0 / n as f64);
            format!("one broken row; a fault in {:.2} % of runs is met with 95 %", rate * 100.0)
        }
        (Family::Proof, "hard-pass-rate", n) => rate(n, policy.values.pass_ratio_min),
        (Family::Proof | Family::Alarm, _, _) => "depends on the spread of what is measured".into(),
    }
}

/// For "at least `least`": how many of `n` must pass, and up to how many it fails.
fn rate(n: u64, least: f64) -> String {
    let decision = |passes: u64| {
        let (limit, alpha) = (Limit::at_least(least)?, Alpha::new(ALPHA)?);
        Proportion::new(passes, n).and_then(|counted| counted.decide(limit, alpha))
    };
    let is_pass = |passes: u64| matches!(decision(passes), Ok(Decision::Pass));
    let is_fail = |passes: u64| matches!(decision(passes), Ok(Decision::Fail));
    // Both words are monotone in the passes, so bisection finds where each begins.
    let first = |holds: &dyn Fn(u64) -> bool| {
        let (mut low, mut high) = (0, n + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if holds(middle) { high = middle } else { low = middle + 1 }
        }
        low
    };
    let pass_from = first(&|passes| passes > n || is_pass(passes));
    let fail_below = first(&|passes| passes > n || !is_fail(passes));
    let fail = fail_below.checked_sub(1).map_or_else(String::new, |most| format!(", FAIL up to {most}"));
    if pass_from > n {
        format!("n {n} is too small to prove a rate of {least}{fail}")
    } else {
        format!("PASS from {pass_from} of {n}{fail}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_table_of_sta_11() {
        assert_eq!(rate(1000, 0.95), "PASS from 962 of 1000, FAIL up to 937");
        assert_eq!(rate(100, 0.95), "PASS from 99 of 100, FAIL up to 90");
        assert!(rate(58, 0.95).starts_with("n 58 is too small"), "{}", rate(58, 0.95));
        assert!(rate(59, 0.95).starts_with("PASS from 59 of 59"), "{}", rate(59, 0.95));
    }

    #[test]
    fn times_are_kept_from_run_to_run() {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(timings(scratch.path()).len(), 0);
        let phase = |name: &str, s| PhaseTime { name: name.into(), cargo: false, took: Duration::from_secs(s) };
        remember(scratch.path(), &[phase("a", 1), phase("b", 2)]).expect("a small file");
        remember(scratch.path(), &[phase("b", 3)]).expect("a small file");
        let kept: Vec<_> = timings(scratch.path()).into_iter().collect();
        assert_eq!(kept, [("a".into(), 1.0), ("b".into(), 3.0)]);
    }
}
