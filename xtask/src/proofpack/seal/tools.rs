//! The pack before those who did not make it: our verifier in a process of its own, coreutils, the packed script, and
//! archive readers that share no code with us.

use std::path::{Path, PathBuf};

use contract::exit;
use contract::record::seal::{SealStep, Step};
use gates::pr_g5;
use serde_json::Value;

use super::{STEP_MAX, Seal, members, said, step};
use crate::failure::Failure;
use crate::process::{self, Task};
use crate::progress::Progress;

/// A program that reads the archive itself, and its arguments before the pack.
const READERS: &[(&str, &[&str])] =
    &[("unzip", &["-tqq"]), ("python3", &["-m", "zipfile", "-t"]), ("bsdtar", &["-xOf"]), ("7z", &["t"])];

/// Has every verifier look at the pack.
pub(super) fn verify(seal: &mut Seal<'_>, pack: &Path, progress: &mut Progress) -> Result<(), Failure> {
    progress.begin("pr-g5 verify", false);
    ours(seal, pack, progress)?;
    let tree = seal.scratch.join("tree");
    members::extract(pack, &tree)?;
    let sums = ["-c", "--strict", "--quiet", "SHA256SUMS.txt"].map(str::to_owned).to_vec();
    one(seal, "sha256sum", program(&tree, "sha256sum", sums), progress)?;
    one(seal, "verify.sh", program(&tree, "sh", vec!["verify.sh".into()]), progress)?;
    for (name, arguments) in READERS {
        let mut arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        arguments.push(pack.to_string_lossy().into_owned());
        one(seal, name, program(&tree, name, arguments), progress)?;
    }
    Ok(())
}

fn program(folder: &Path, name: &str, arguments: Vec<String>) -> Task {
    process::program_in(folder, name, arguments, STEP_MAX).env("LC_ALL", "C")
}

/// Our verifier; its leak lint is a row of its own.
fn ours(seal: &mut Seal<'_>, pack: &Path, progress: &mut Progress) -> Result<(), Failure> {
    let arguments = ["proofpack".into(), "verify".into(), text(pack), "--json".into(), "--verdict".into()];
    let task = seal.xtask(&arguments);
    let command = task.command_line();
    let ended = task.ask(progress)?;
    let lines: Vec<Value> = ended.out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let leaks: Vec<&Value> = lines.iter().filter(|line| line["id"] == "leaks").collect();
    let clean = !leaks.is_empty() && leaks.iter().all(|line| line["result"] == "pass");
    let found = leaks.iter().filter(|line| line["result"] != "pass").map(|line| line.to_string());
    seal.steps.push(SealStep {
        exit_code: Some(if clean { 0 } else { 1 }),
        found: found.collect::<Vec<_>>().join(" "),
        command: command.clone(),
        ..step(Step::Leak, "every member")
    });
    let found = if ended.succeeded() { String::new() } else { said(&ended) };
    seal.steps.push(SealStep { command, exit_code: ended.code(), found, ..step(Step::Verify, pr_g5::OURS) });
    Ok(())
}

/// A program that is not installed leaves a row that says so.
fn one(seal: &mut Seal<'_>, name: &str, task: Task, progress: &mut Progress) -> Result<(), Failure> {
    let command = task.command_line();
    let row = match task.ask(progress) {
        Ok(ended) => {
            let found = if ended.succeeded() { String::new() } else { said(&ended) };
            SealStep { command, exit_code: ended.code(), found, ..step(Step::Verify, name) }
        }
        Err(failure) if failure.code == exit::gate::INFRASTRUCTURE => {
            SealStep { not_run: Some(format!("{name} is not installed")), ..step(Step::Verify, name) }
        }
        Err(failure) => return Err(failure),
    };
    seal.steps.push(row);
    Ok(())
}

fn text(path: &Path) -> String {
    PathBuf::from(path).to_string_lossy().into_owned()
}
