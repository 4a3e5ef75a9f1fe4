//! The pack under attack: every mutant is given to the built command, in a process of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use contract::record::seal::{SealStep, Step};
use contract::seed::Seed;
use gates::proofpack::attack::{self, Attempt, MUTANTS_MIN, Mutant, Outcome, Victim};
use gates::proofpack::layout::Tables;
use gates::proofpack::verify::{Options, VerdictStep};

use super::{Seal, step, write};
use crate::failure::Failure;
use crate::progress::Progress;

/// Verifiers at work at once: the machine of CI has two cores.
const AT_ONCE: usize = 2;
/// How long to look away while they work.
const GLANCE: Duration = Duration::from_millis(50);

/// Forges mutants and controls and writes down what the command answered: every mutant, or in `dev`, where a developer
/// waits, the fewest that still count.
pub(super) fn attack(seal: &mut Seal<'_>, pack: &Path, progress: &mut Progress) -> Result<(), Failure> {
    progress.begin("pr-g5 self-attack", false);
    let bytes = std::fs::read(pack).map_err(|error| Failure::file("cannot read", pack, &error))?;
    let Some(plan) = seal.run.plans.first() else { return Ok(()) };
    let (seed, most) = (plan.master_seed, if plan.profile == "dev" { MUTANTS_MIN } else { usize::MAX });
    let shared: &Seal<'_> = seal;
    let parts = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..AT_ONCE)
            .map(|part| {
                let bytes = &bytes;
                scope.spawn(move || attack_part(shared, bytes, seed, most, part))
            })
            .collect();
        while parts.iter().any(|part| !part.is_finished()) {
            progress.tick();
            std::thread::sleep(GLANCE);
        }
        let joined =
            parts.into_iter().map(|part| part.join().unwrap_or_else(|_| Err(Failure::internal("an attack panicked"))));
        joined.collect::<Result<Vec<_>, Failure>>()
    })?;
    let mut rows: Vec<(usize, SealStep)> = parts.into_iter().flatten().collect();
    rows.sort_by_key(|(place, _)| *place);
    seal.steps.extend(rows.into_iter().map(|(_, row)| row));
    Ok(())
}

/// One share of the suite, which is the same each time it is made; the first share has the controls too. Rows come with
/// their place in the suite.
fn attack_part(
    seal: &Seal<'_>,
    bytes: &[u8],
    seed: Seed,
    most: usize,
    part: usize,
) -> Result<Vec<(usize, SealStep)>, Failure> {
    let scratch = seal.scratch.join(format!("attack-{part}"));
    std::fs::create_dir_all(&scratch).map_err(|error| Failure::file("cannot make", &scratch, &error))?;
    let victim = Victim::new(bytes, seed, &Tables::CONTRACT)
        .map_err(|fault| Failure::internal(format!("a pack that was just built: {fault}")))?;
    let mut suite = victim.suite(None);
    let chosen = chosen(&suite.mutants.iter().map(|mutant| mutant.row).collect::<Vec<_>>(), most);
    let mine: Vec<usize> =
        chosen.into_iter().enumerate().filter(|(at, _)| at % AT_ONCE == part).map(|(_, n)| n).collect();
    let mut place = 0..;
    suite.mutants.retain(|_| place.next().is_some_and(|place| mine.contains(&place)));
    if part > 0 {
        suite.controls.clear();
    }
    let mut progress = Progress::new(true, false, 1);
    // The suite cannot carry our errors; the first one is kept, and ends the gate.
    let mut trouble = None;
    let score =
        attack::run(&suite, true, |bytes, options| match answer(seal, &scratch, bytes, options, &mut progress) {
            Ok(outcome) => outcome,
            Err(failure) => {
                trouble.get_or_insert(failure);
                Outcome { exit: 0, faults: Vec::new() }
            }
        });
    if let Some(failure) = trouble {
        return Err(failure);
    }
    let controls = suite.controls.iter().map(|control| {
        let refused = score.refused_controls.iter().find(|text| text.starts_with(&format!("{}:", control.name)));
        (
            usize::MAX,
            SealStep { found: refused.cloned().unwrap_or_else(String::new), ..step(Step::Control, control.name) },
        )
    });
    let mutants = suite
        .mutants
        .iter()
        .zip(&score.attempts)
        .zip(mine)
        .map(|((mutant, attempt), place)| (place, row(mutant, attempt)));
    Ok(mutants.chain(controls).collect())
}

/// Which mutants are tried, by their place: the first of each row, then others in order until there are `most`.
fn chosen(rows: &[u8], most: usize) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut chosen: BTreeSet<usize> = (0..rows.len()).filter(|place| seen.insert(rows[*place])).collect();
    for place in 0..rows.len() {
        if chosen.len() >= most {
            break;
        }
        chosen.insert(place);
    }
    chosen
}

fn row(mutant: &Mutant<'_>, attempt: &Attempt) -> SealStep {
    let (code, reason) = mutant.expected;
    let expected = reason.map_or_else(|| code.to_string(), |reason| format!("{code} {reason}"));
    let found = if attempt.killed { attempt.answer.clone() } else { String::new() };
    SealStep { expected, found, ..step(Step::Mutant, &format!("{}/{}", mutant.row, mutant.name)) }
}

/// What the built command says to a forged pack.
fn answer(
    seal: &Seal<'_>,
    scratch: &Path,
    bytes: &[u8],
    options: &Options,
    progress: &mut Progress,
) -> Result<Outcome, Failure> {
    let path = scratch.join("forged.zip");
    write(&path, bytes)?;
    let mut arguments =
        vec!["proofpack".to_owned(), "verify".into(), path.to_string_lossy().into_owned(), "--json".into()];
    arguments.extend(flags(options, scratch)?);
    let ended = seal.xtask(&arguments).ask(progress)?;
    let exit = ended.code().and_then(|code| u8::try_from(code).ok());
    let Some(exit) = exit else { return Err(Failure::internal(format!("the verifier ended with {}", ended.end))) };
    Outcome::of_json_lines(exit, &ended.out)
        .map_err(|error| Failure::internal(format!("the verifier said something else: {error}{}", ended.tail_text())))
}

fn flags(options: &Options, scratch: &Path) -> Result<Vec<String>, Failure> {
    let mut flags = Vec::new();
    let mut flag = |name: &str, value: Option<String>| {
        flags.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    };
    flag("--expect-root", options.expect_root.map(|root| root.to_string()));
    flag("--expect-subject", options.expect_subject.clone());
    flag("--principal", options.principal.clone());
    flag("--verify-time", options.verify_time.map(|time| time.to_string()));
    for kind in &options.require_attestation {
        flag("--require-attestation", Some(kind.clone()));
    }
    if let Some(signers) = &options.allowed_signers {
        let path: PathBuf = scratch.join("allowed-signers");
        write(&path, signers)?;
        flag("--allowed-signers", Some(path.to_string_lossy().into_owned()));
    }
    if options.require_signature {
        flags.push("--require-signature".into());
    }
    match options.verdict {
        VerdictStep::IfPossible => {}
        VerdictStep::Required => flags.push("--verdict".into()),
        VerdictStep::Skip => flags.push("--no-verdict".into()),
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_holds_every_row_and_no_more_than_asked() {
        let rows = [1, 1, 1, 2, 2, 3];
        assert_eq!(chosen(&rows, 4), BTreeSet::from([0, 1, 3, 5]));
        assert_eq!(chosen(&rows, usize::MAX).len(), 6);
        assert_eq!(chosen(&rows, 1), BTreeSet::from([0, 3, 5]), "no row is left out");
    }
}
