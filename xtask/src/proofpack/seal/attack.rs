//! The pack under attack: every mutant is given to the built command, in a process of its own.

use std::path::{Path, PathBuf};

use contract::record::seal::{SealStep, Step};
use gates::proofpack::attack::{self, Attempt, Mutant, Outcome, Victim};
use gates::proofpack::layout::Tables;
use gates::proofpack::verify::{Options, VerdictStep};

use super::{Seal, step, write};
use crate::failure::Failure;
use crate::progress::Progress;

/// Forges every mutant and control and writes down what the command answered.
pub(super) fn attack(seal: &mut Seal<'_>, pack: &Path, progress: &mut Progress) -> Result<(), Failure> {
    progress.begin("pr-g5 self-attack", false);
    let bytes = std::fs::read(pack).map_err(|error| Failure::file("cannot read", pack, &error))?;
    let Some(plan) = seal.run.plans.first() else { return Ok(()) };
    let victim = Victim::new(&bytes, plan.master_seed, &Tables::CONTRACT)
        .map_err(|fault| Failure::internal(format!("a pack that was just built: {fault}")))?;
    let suite = victim.suite(None);
    // The suite cannot carry our errors; the first one is kept, and ends the gate.
    let mut trouble = None;
    let score = attack::run(&suite, true, |bytes, options| match answer(seal, bytes, options, progress) {
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
        SealStep { found: refused.cloned().unwrap_or_else(String::new), ..step(Step::Control, control.name) }
    });
    let mutants = suite.mutants.iter().zip(&score.attempts).map(|(mutant, attempt)| row(mutant, attempt));
    let rows: Vec<SealStep> = mutants.chain(controls).collect();
    seal.steps.extend(rows);
    Ok(())
}

fn row(mutant: &Mutant<'_>, attempt: &Attempt) -> SealStep {
    let (code, reason) = mutant.expected;
    let expected = reason.map_or_else(|| code.to_string(), |reason| format!("{code} {reason}"));
    let found = if attempt.killed { attempt.answer.clone() } else { String::new() };
    SealStep { expected, found, ..step(Step::Mutant, &format!("{}/{}", mutant.row, mutant.name)) }
}

/// What the built command says to a forged pack.
fn answer(seal: &Seal<'_>, bytes: &[u8], options: &Options, progress: &mut Progress) -> Result<Outcome, Failure> {
    let path = seal.scratch.join("forged.zip");
    write(&path, bytes)?;
    let mut arguments =
        vec!["proofpack".to_owned(), "verify".into(), path.to_string_lossy().into_owned(), "--json".into()];
    arguments.extend(flags(options, &seal.scratch)?);
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
