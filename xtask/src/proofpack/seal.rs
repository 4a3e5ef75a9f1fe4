//! The gate that seals: builds a pack from the finished run, does with it what a stranger or a forger would do, writes
//! down what came of it, and has these rows judged. A pack that is not proven never reaches `proofpacks/`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use contract::canonical;
use contract::digest::Digest;
use contract::plan::Plan;
use contract::record::seal::{SealStep, Step};
use contract::record::to_line;
use gates::check::Verdict;
use gates::gate;
use gates::pr_g5;
use gates::proofpack::layout::{ENVIRONMENT, LEAK_ALLOW, POLICY, SBOM, TOOLCHAIN, VERDICT};
use gates::proofpack::reprotest;
use gates::proofpack::run_facts;
use gates::verdict::{GateReport, State};
use serde_json::{Value, json};

use crate::facts;
use crate::failure::Failure;
use crate::gate::{Run, read_below};
use crate::process::{self, Ended, Task};
use crate::progress::Progress;
use crate::selection::SEAL;

mod attack;
mod members;
mod tools;

/// One step reads a pack of at most 2 GiB a few times.
const STEP_MAX: Duration = Duration::from_secs(600);
/// Builds under other circumstances, beside the plain one.
const VARIATIONS: u32 = 2;

/// Everything the steps share.
struct Seal<'a> {
    run: &'a Run,
    /// This very command.
    program: PathBuf,
    /// Where packs and rows of this gate lie: beside the evidence, not in it.
    folder: PathBuf,
    /// What may be thrown away.
    scratch: PathBuf,
    steps: Vec<SealStep>,
}

/// Seals the run. Where another gate is not PASS, nothing is built and the gate is BLOCKED by it.
///
/// # Errors
/// Files that cannot be written, a program that cannot be started, Ctrl-C.
pub(crate) fn seal(run: &Run, progress: &mut Progress) -> Result<GateReport, Failure> {
    if let Some(by) = blocker(run) {
        return Ok(GateReport { id: SEAL.into(), state: State::Blocked { by }, checks: Vec::new() });
    }
    let program = facts::program(&run.folder);
    let folder = run.folder.path.join(SEAL);
    let scratch = folder.join("scratch");
    make(&scratch)?;
    let mut seal = Seal { run, program, folder, scratch, steps: Vec::new() };
    seal.gates();
    let pack = seal.build(progress)?;
    if let Some(pack) = &pack {
        seal.rebuild(progress)?;
        members::compare(&mut seal, pack)?;
        tools::verify(&mut seal, pack, progress)?;
        seal.judge_again(pack, progress)?;
        attack::attack(&mut seal, pack, progress)?;
    }
    let report = seal.judged()?;
    if let (Some(pack), Some(Verdict::Pass)) = (&pack, report.state.verdict()) {
        seal.publish(pack, &report, progress)?;
    }
    std::fs::remove_dir_all(&seal.scratch).map_err(|error| Failure::file("cannot remove", &seal.scratch, &error))?;
    Ok(report)
}

/// The first gate that is not PASS, or what else keeps the run from being packed.
fn blocker(run: &Run) -> Option<String> {
    let red = run.judged.iter().find(|gate| gate.id != SEAL && gate.state.verdict() != Some(Verdict::Pass));
    let no_commit = || (!run.folder.path.join(run_facts::FILE).is_file()).then(|| "the lack of a commit".to_owned());
    let narrowed = || run.asked.narrowed.first().cloned();
    red.map(|gate| gate.id.clone()).or_else(narrowed).or_else(no_commit)
}

impl Seal<'_> {
    /// The gates of this run, each with the policy its plan names.
    fn gates(&mut self) {
        let policy = self.run.loaded.policy.digest.to_string();
        for gate in self.run.judged.iter().filter(|gate| gate.id != SEAL) {
            let plan = self.run.plans.iter().find(|plan| plan.gate == gate.id);
            let planned = plan.map_or_else(String::new, |plan| plan.policy.to_string());
            let found = format!("{planned} {}", gate.state.word());
            self.steps.push(SealStep { expected: policy.clone(), found, ..step(Step::Gate, &gate.id) });
        }
    }

    /// The pack, built in a process of its own.
    fn build(&mut self, progress: &mut Progress) -> Result<Option<PathBuf>, Failure> {
        progress.begin("pr-g5 build", false);
        let out = self.folder.clone();
        let task = self.xtask(&self.build_arguments(&self.run.folder.path, &out));
        self.built("plain", task, progress)
    }

    /// The same run once more under other circumstances: environment, umask, folder, order, sizes of reads.
    fn rebuild(&mut self, progress: &mut Progress) -> Result<(), Failure> {
        for variation in reprotest::variations(VARIATIONS) {
            progress.begin(format!("pr-g5 build {}", variation.index), false);
            let out = self.scratch.join(format!("build-{}", variation.index));
            let mut source = self.run.folder.path.clone();
            if variation.index == VARIATIONS {
                // A copy lies in another folder and was written in another order.
                source = self.scratch.join("run");
                self.copy_run(&source)?;
            }
            let mut arguments = self.build_arguments(&source, &out);
            arguments.extend(["--piece".into(), variation.piece.max(4096).to_string()]);
            if variation.reversed {
                arguments.push("--reversed".into());
            }
            let script = format!("umask {:03o} && exec \"$@\"", variation.umask);
            let program = self.program.to_string_lossy().into_owned();
            let words = ["-c".to_owned(), script, "sh".to_owned(), program].into_iter().chain(arguments);
            let mut task = process::program_in(&self.scratch, "sh", words, STEP_MAX).without_own_variables();
            for (name, value) in variation.environment {
                task = task.env(name, value);
            }
            self.built(&format!("variation-{}", variation.index), task, progress)?;
        }
        Ok(())
    }

    fn build_arguments(&self, run: &Path, out: &Path) -> Vec<String> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let mut arguments: Vec<String> = ["proofpack", "build", "--gate", SEAL, "--json"].map(str::to_owned).to_vec();
        arguments.extend(["--run".into(), path(run), "--out".into(), path(out)]);
        if self.run.loaded.policy.file.profile == "dev" {
            arguments.push("--allow-dirty".into());
        }
        arguments
    }

    fn built(&mut self, name: &str, task: Task, progress: &mut Progress) -> Result<Option<PathBuf>, Failure> {
        let command = task.command_line();
        let ended = task.ask(progress)?;
        let path = last_line(&ended.out).and_then(|line| Some(PathBuf::from(line.get("path")?.as_str()?)));
        let path = path.filter(|_| ended.succeeded());
        let found = match &path {
            Some(path) => digest_of(path)?.to_string(),
            None => said(&ended),
        };
        self.steps.push(SealStep { command, exit_code: ended.code(), found, ..step(Step::Build, name) });
        Ok(path)
    }

    fn copy_run(&self, to: &Path) -> Result<(), Failure> {
        let mut files = BTreeMap::new();
        for name in ["evidence", "policy"] {
            read_below(&self.run.folder.path, &self.run.folder.path.join(name), &mut files)?;
        }
        for name in [run_facts::FILE, ENVIRONMENT, SBOM, TOOLCHAIN] {
            let path = self.run.folder.path.join(name);
            files.insert(
                name.into(),
                std::fs::read(&path).map_err(|error| Failure::file("cannot read", &path, &error))?,
            );
        }
        for (name, bytes) in files.iter().rev() {
            write(&to.join(name), bytes)?;
        }
        Ok(())
    }

    /// The packed evidence once more, by the command that strangers use.
    fn judge_again(&mut self, pack: &Path, progress: &mut Progress) -> Result<(), Failure> {
        progress.begin("pr-g5 judge again", false);
        let task = self.xtask(&["judge".into(), pack.to_string_lossy().into_owned(), "--json".into()]);
        let command = task.command_line();
        let ended = task.ask(progress)?;
        let report = last_line(&ended.out).and_then(|line| line.get("report").cloned());
        let derived = report.filter(|report| !report.is_null()).and_then(|report| canonical::to_pretty(&report).ok());
        let stored = self.run.folder.path.join(VERDICT);
        self.steps.push(SealStep {
            command,
            exit_code: ended.code(),
            expected: digest_of(&stored)?.to_string(),
            found: derived.map_or_else(|| said(&ended), |bytes| Digest::of(&bytes).to_string()),
            ..step(Step::Judge, "packed evidence")
        });
        Ok(())
    }

    /// Writes the rows and has them judged.
    fn judged(&self) -> Result<GateReport, Failure> {
        let internal = |error: contract::canonical::JsonError| Failure::internal(format!("rows of {SEAL}: {error}"));
        let Some(other) = self.run.plans.first() else {
            return Ok(GateReport::from_checks(SEAL, Vec::new()));
        };
        let plan = Plan { gate: SEAL.into(), drills: Vec::new(), ..other.clone() };
        let stamp = plan.stamp().map_err(internal)?;
        let rows: Vec<Vec<u8>> =
            self.steps.iter().map(|row| to_line(&stamp, row)).collect::<Result<_, _>>().map_err(internal)?;
        let (rows, plan) = (rows.concat(), canonical::to_pretty(&plan).map_err(internal)?);
        write(&self.folder.join(pr_g5::STEPS), &rows)?;
        write(&self.folder.join("plan.json"), &plan)?;
        let name = |file: &str| format!("evidence/{SEAL}/{file}");
        let files = BTreeMap::from([(name("plan.json"), plan), (name(pr_g5::STEPS), rows)]);
        let mut report = gate::judge(&pr_g5::GATE, &files, &self.run.loaded.policy, &self.run.asked.checks);
        for check in &mut report.checks {
            // A part of this gate alone cuts no pack, so only the whole shows it again; and its rows lie beside the evidence.
            if let Some((whole, seed)) = check.repro.split_once(" --only ") {
                check.repro =
                    format!("{whole}{}", seed.split_once(' ').map_or_else(String::new, |(_, rest)| format!(" {rest}")));
            }
            for place in &mut check.evidence {
                place.path = place.path.trim_start_matches("evidence/").to_owned();
            }
        }
        Ok(report)
    }

    /// The pack goes where packs are kept, and the results of this gate beside it.
    fn publish(&self, pack: &Path, report: &GateReport, progress: &Progress) -> Result<(), Failure> {
        let Some(name) = pack.file_name() else { return Ok(()) };
        let packs = self.run.space.root.join("proofpacks");
        make(&packs)?;
        let target = packs.join(name);
        let bytes = std::fs::read(pack).map_err(|error| Failure::file("cannot read", pack, &error))?;
        write(&target, &bytes)?;
        let mutants = self.steps.iter().filter(|row| row.step == Step::Mutant).count();
        let beside = json!({"schema": "proofhouse.pack-report/1", "report": report, "mutants": mutants});
        let text = canonical::to_pretty(&beside).map_err(|error| Failure::internal(error.to_string()))?;
        write(&target.with_extension("report.json"), &text)?;
        let dirty = if self.run.source.dirty.is_empty() { "" } else { " (DIRTY)" };
        progress.say(&format!("pack: proofpacks/{}{dirty}", name.to_string_lossy()));
        Ok(())
    }

    fn xtask(&self, arguments: &[String]) -> Task {
        process::program_in(&self.scratch, &self.program, arguments, STEP_MAX).without_own_variables().labelled("xtask")
    }
}

/// A row that still has to say what came of it.
fn step(step: Step, name: &str) -> SealStep {
    let (expected, found) = (String::new(), String::new());
    SealStep { step, name: name.into(), command: Vec::new(), exit_code: None, expected, found, not_run: None }
}

/// The last line of a process that failed.
fn said(ended: &Ended) -> String {
    ended.tail.back().cloned().unwrap_or_else(|| ended.end.to_string())
}

fn last_line(out: &str) -> Option<Value> {
    serde_json::from_str(out.lines().last()?).ok()
}

fn digest_of(path: &Path) -> Result<Digest, Failure> {
    let read = std::fs::File::open(path).and_then(Digest::of_reader);
    read.map_err(|error| Failure::file("cannot read", path, &error))
}

fn make(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| Failure::file("cannot make", folder, &error))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        make(folder)?;
    }
    std::fs::write(path, bytes).map_err(|error| Failure::file("cannot write", path, &error))
}

/// Members with fixed paths that a run gives, beside its evidence.
const FIXED: [&str; 5] = [ENVIRONMENT, POLICY, LEAK_ALLOW, SBOM, TOOLCHAIN];
