//! pr-g5 proofpack: the evidence is sealed, and the seal can be checked without us.
//!
//! Its rows say what was done with the finished pack. They lie beside it, and so does this verdict: a pack cannot hold
//! the check of itself.

use std::collections::BTreeSet;

use contract::record::seal::{SealStep, Step};

use crate::check::{Check, Family, Judged, NotRun, Unjudged, Violation};
use crate::evidence::{Context, Rows};
use crate::gate::Gate;
use crate::proofpack::attack::{MUTANTS_MIN, ROWS};
use crate::proofpack::layout::{MANIFEST, README, SUMS, TEMPLATED};

/// File name of the rows.
pub const STEPS: &str = "steps.jsonl";

/// Our own verifier, as a row names it.
pub const OURS: &str = "proofhouse";

/// Who must accept a pack: our verifier, and programs that share no code with it. The rows name each of them, also one
/// that is absent.
pub const VERIFIERS: &[&str] = &[OURS, "sha256sum", "verify.sh", "unzip", "python3", "bsdtar", "7z"];

/// Controls of the self-attack.
const CONTROLS: u64 = 3;
/// Builds whose bytes are compared, at least.
const BUILDS_MIN: u64 = 2;

/// The gate.
pub static GATE: Gate = Gate {
    id: "pr-g5",
    name: "proofpack",
    claim: "the evidence is sealed, and the seal can be checked without us",
    checks: CHECKS,
    drills: |_| Vec::new(),
};

type Outcome = Result<Vec<Judged>, Unjudged>;

const fn check(id: &'static str, rule: &'static str, judge: fn(&Context<'_>) -> Outcome) -> Check {
    Check { id, requirement: "INV-PROOFPACK-EXPORT-01", family: Family::Invariant, evidence: &[STEPS], rule, judge }
}

const CHECKS: &[Check] = &[
    check("gates-passed", "every gate of this run, under the policy of this run, passed", gates_passed),
    check("pack-complete", "the pack holds every file of the run and what seals it, and nothing else", pack_complete),
    check(
        "pack-deterministic",
        "builds under other time zone, locale, umask, folder and order give identical bytes",
        pack_deterministic,
    ),
    check("pack-verifies", "our verifier, sha256sum, the packed verify.sh and other readers accept it", pack_verifies),
    check("tamper-detected", "every mutant of the self-attack is refused with its code", tamper_detected),
    check("no-absolute-paths", "the leak lint finds nothing outside the allow-list", no_absolute_paths),
    check(
        "verdict-rederived",
        "judging the packed evidence again gives the recorded verdict, byte for byte",
        verdict_rederived,
    ),
];

/// Rows of one kind that were made, and those that could not be.
struct Steps {
    all: Rows<SealStep>,
    made: Vec<(u64, SealStep)>,
    not_run: Vec<NotRun>,
}

fn steps(context: &Context<'_>, kind: Step) -> Result<Steps, Unjudged> {
    let all: Rows<SealStep> = context.rows(STEPS)?;
    let (mut made, mut not_run) = (Vec::new(), Vec::new());
    for (line, row) in all.rows.iter().filter(|(_, row)| row.step == kind) {
        match &row.not_run {
            Some(reason) => not_run.push(NotRun { row: row.name.clone(), reason: reason.clone() }),
            None => made.push((*line, row.clone())),
        }
    }
    Ok(Steps { all, made, not_run })
}

impl Steps {
    fn broken(&self, wrong: impl Fn(&SealStep) -> Option<String>) -> Vec<Violation> {
        let found = self.made.iter().filter_map(|(line, row)| Some((line, wrong(row)?)));
        found.map(|(line, what)| Violation { what, place: self.all.at(*line) }).collect()
    }

    /// A violation that no single row shows.
    fn as_a_whole(&self, what: String) -> Violation {
        Violation { what, place: self.all.place.clone() }
    }

    fn n(&self) -> u64 {
        self.made.len() as u64
    }

    fn has(&self, name: &str) -> bool {
        self.made.iter().any(|(_, row)| row.name == name) || self.not_run.iter().any(|row| row.row == name)
    }

    fn judged(self, rule: &str, violations: &[Violation], context: &Context<'_>) -> Outcome {
        // Outside `dev` every tool has to be there.
        let strict = context.policy.file.profile != "dev";
        let judged = Judged::invariant(rule, self.n(), vec![self.all.place.clone()], violations);
        Ok(vec![judged.with_not_run(self.not_run, strict)])
    }
}

fn gates_passed(context: &Context<'_>) -> Outcome {
    let rows = steps(context, Step::Gate)?;
    let policy = context.policy.digest.to_string();
    let mut broken = rows.broken(|row| {
        let (plan, word) = row.found.split_once(' ').unwrap_or((row.found.as_str(), ""));
        match (plan == policy, word) {
            (true, "PASS") => None,
            (true, word) => Some(format!("{} is `{word}`", row.name)),
            (false, _) => Some(format!("{} was run under policy {plan}, this run has {policy}", row.name)),
        }
    });
    for id in context.policy.file.gates.iter().filter(|id| id.as_str() != GATE.id) {
        if !rows.has(id) {
            broken.push(rows.as_a_whole(format!("{id} has no row")));
        }
    }
    rows.judged("every gate of this run passed under its policy", &broken, context)
}

fn pack_complete(context: &Context<'_>) -> Outcome {
    let rows = steps(context, Step::Member)?;
    let made_by_build = |path: &str| [MANIFEST, SUMS, README].contains(&path) || TEMPLATED.contains(&path);
    let mut broken = rows.broken(|row| match (row.expected.as_str(), row.found.as_str()) {
        (_, "") => Some(format!("{} is not in the pack", row.name)),
        ("", _) if made_by_build(&row.name) => None,
        ("", _) => Some(format!("{} is in the pack and not in the run", row.name)),
        (run, pack) if run == pack => None,
        (run, pack) => Some(format!("{} has digest {pack} in the pack and {run} in the run", row.name)),
    });
    let sealed = [MANIFEST, SUMS, README].into_iter().chain(TEMPLATED);
    for path in sealed.filter(|path| !rows.has(path)) {
        broken.push(rows.as_a_whole(format!("{path} is not in the pack")));
    }
    rows.judged("run and pack hold the same files with the same bytes", &broken, context)
}

fn pack_deterministic(context: &Context<'_>) -> Outcome {
    let rows = steps(context, Step::Build)?;
    let first = rows.made.first().map(|(_, row)| row.found.clone());
    let mut broken = rows.broken(|row| match (row.exit_code, Some(&row.found) == first.as_ref()) {
        (Some(0), true) if !row.found.is_empty() => None,
        (Some(0), _) => Some(format!(
            "build `{}` gave `{}`, the first one `{}`",
            row.name,
            row.found,
            first.as_deref().unwrap_or("")
        )),
        (code, _) => Some(format!("build `{}` ended with {}", row.name, exit_word(code))),
    });
    if rows.n() < BUILDS_MIN {
        broken.push(rows.as_a_whole(format!("{} builds where {BUILDS_MIN} are compared", rows.n())));
    }
    rows.judged("all builds give identical bytes", &broken, context)
}

fn pack_verifies(context: &Context<'_>) -> Outcome {
    let rows = steps(context, Step::Verify)?;
    let mut broken = rows.broken(|row| match row.exit_code {
        Some(0) => None,
        code => Some(format!("{} ended with {}: {}", row.name, exit_word(code), row.found)),
    });
    for name in VERIFIERS.iter().filter(|name| !rows.has(name)) {
        broken.push(rows.as_a_whole(format!("{name} was not asked")));
    }
    if rows.not_run.iter().any(|row| row.row == OURS) {
        broken.push(rows.as_a_whole("our own verifier was not run".into()));
    }
    rows.judged("every verifier exits 0", &broken, context)
}

fn tamper_detected(context: &Context<'_>) -> Outcome {
    let rows = steps(context, Step::Mutant)?;
    let controls = steps(context, Step::Control)?;
    let mut broken = rows.broken(|row| match (row.found.as_str(), refused_as(&row.expected, &row.found)) {
        ("", _) => Some(format!("mutant {} was accepted", row.name)),
        (_, true) if !row.expected.is_empty() => None,
        (found, _) => Some(format!("mutant {} was refused with `{found}`, not `{}`", row.name, row.expected)),
    });
    broken.extend(controls.broken(|row| match row.found.as_str() {
        "" => None,
        found => Some(format!("control {} was refused: {found}", row.name)),
    }));
    let names: BTreeSet<&str> = rows.made.iter().map(|(_, row)| row.name.as_str()).collect();
    if names.len() < MUTANTS_MIN {
        broken.push(rows.as_a_whole(format!("{} mutants where {MUTANTS_MIN} are needed", names.len())));
    }
    let tried = |number: u8| names.iter().any(|name| name.split('/').next() == Some(number.to_string().as_str()));
    for number in (1..=ROWS).filter(|number| !tried(*number)) {
        broken.push(rows.as_a_whole(format!("row {number} of the attacks was not tried")));
    }
    if controls.n() < CONTROLS {
        broken.push(controls.as_a_whole(format!("{} controls where {CONTROLS} are needed", controls.n())));
    }
    rows.judged("every mutant is refused with its code, every control accepted", &broken, context)
}

/// `E_NAME traversal` is what `E_NAME` asks for, and not the other way round.
fn refused_as(expected: &str, found: &str) -> bool {
    found == expected || found.strip_prefix(expected).is_some_and(|rest| rest.starts_with(' '))
}

fn no_absolute_paths(context: &Context<'_>) -> Outcome {
    let rows = steps(context, Step::Leak)?;
    let broken = rows.broken(|row| match (row.exit_code, row.found.as_str()) {
        (Some(0), "") => None,
        (code, found) => Some(format!("{}: {found} ({})", row.name, exit_word(code))),
    });
    rows.judged("no finding outside the allow-list", &broken, context)
}

fn verdict_rederived(context: &Context<'_>) -> Outcome {
    let rows = steps(context, Step::Judge)?;
    let broken = rows.broken(|row| match (row.exit_code, row.found == row.expected && !row.found.is_empty()) {
        (Some(0), true) => None,
        (Some(0), false) => Some(format!("derived report {} where {} is packed", row.found, row.expected)),
        (code, _) => Some(format!("judging again ended with {}", exit_word(code))),
    });
    rows.judged("the derived report equals the packed one, byte for byte", &broken, context)
}

fn exit_word(code: Option<i32>) -> String {
    code.map_or_else(|| "a signal".to_owned(), |code| format!("exit {code}"))
}
