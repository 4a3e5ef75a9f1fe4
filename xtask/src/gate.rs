//! `cargo xtask gate`, from top to bottom: policy, plan, build, evidence, judgement, report.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;

use contract::exit;
use contract::plan::Plan;
use gates::gate;
use gates::proofpack::manifest::Tool;
use gates::proofpack::run_facts::RunState;
use gates::verdict::{GateReport, RunReport, State};

use crate::cli::{self, GateVerb};
use crate::compile::{self, Programs};
use crate::doctor;
use crate::drills::{self, Inputs};
use crate::facts;
use crate::failure::Failure;
use crate::foresight;
use crate::list;
use crate::plan;
use crate::policy::{self, Loaded, Refused, Wanted};
use crate::preflight;
use crate::process;
use crate::progress::Progress;
use crate::proofpack::seal;
use crate::repeats;
use crate::report::{self, Finished, Problem};
use crate::runs::{RunFolder, Turn};
use crate::selection::{Asked, PREFLIGHT, SEAL};
use crate::workspace::{Source, Toolchain, Workspace};

/// Everything that is known about a run before its first program is started.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) typed: cli::Gate,
    pub(crate) asked: Asked,
    pub(crate) space: Workspace,
    pub(crate) source: Source,
    pub(crate) toolchain: Toolchain,
    pub(crate) loaded: Loaded,
    pub(crate) plans: Vec<Plan>,
    /// The program that runs.
    pub(crate) tool: Tool,
    pub(crate) folder: RunFolder,
    /// What went wrong beside the verdicts, so far.
    pub(crate) problems: Vec<Problem>,
    /// The gates that were judged, so far.
    pub(crate) judged: Vec<GateReport>,
}

impl cli::Gate {
    /// Runs the gates that were asked for.
    ///
    /// # Errors
    /// What keeps a run from beginning; a run that has begun always ends in a report.
    pub(crate) fn run(self) -> Result<u8, Failure> {
        match self.verb {
            Some(GateVerb::Selftest(selftest)) => return selftest.run(),
            Some(GateVerb::List { json }) => return list::run(json),
            None => {}
        }
        let color = self.output.color.on(std::io::stderr().is_terminal());
        let mut progress = Progress::new(self.output.quiet, color, 1);
        let mut asked = Asked::of(&self)?;
        let space = Workspace::find(&mut progress)?;
        let mut problems = Vec::new();
        if let Some(defect) = &space.defect {
            asked.sabotaged_by(defect)?;
            let text = format!("the engine is built with its seams, and the defect `{defect}` is switched on");
            problems.push(Problem { code: exit::gate::PARTIAL, text });
        }
        progress.say(&format!("gate: profile {}, {}", self.profile, asked.gates.join(" ")));
        let source = space.source(&mut progress)?;
        let toolchain = space.toolchain(&mut progress)?;
        let loaded = match policy::load(&space.root, &self.wanted(&asked)) {
            Ok(loaded) => loaded,
            Err(Refused::Usage(failure)) => return Err(failure),
            Err(Refused::Policy(problems)) => {
                progress.finish();
                return self.print(&report::refused(&asked, &self.profile, problems));
            }
        };
        let seed = plan::master_seed(self.seed, &loaded, &source)?;
        let plans = plan::plans(&asked, &loaded, &source, &toolchain, seed);
        if self.plan {
            progress.finish();
            let seconds = foresight::timings(&space.gates_folder());
            return cli::print(&plan::text(&plans, &asked, &loaded, &seconds));
        }
        if asked.is_foreign() && loaded.policy.values.command_subject.is_empty() {
            let failure = Failure::usage("no program to judge: COMMAND_SUBJECT is empty");
            return Err(failure.hint("cargo xtask gate --workload command -- PROGRAM ARGS"));
        }
        doctor::require(&self.profile, &space.root, &mut progress)?;
        progress.expect_steps(plan::steps(&asked, &plans));
        let turn = Turn::take(&space.gates_folder(), &mut progress)?;
        let folder = RunFolder::create(&space.gates_folder(), &turn, &source.commit)?;
        let judged = Vec::new();
        let tool = facts::tool(&folder)?;
        let mut run =
            Run { typed: self, asked, space, source, toolchain, loaded, plans, tool, folder, problems, judged };
        let ended = run.execute(&mut progress);
        run.finish(ended, &mut progress)
    }

    /// The report on standard output; gives the exit code.
    fn print(&self, finished: &Finished) -> Result<u8, Failure> {
        report::show(finished, &self.output)?;
        Ok(finished.conclusion().code)
    }

    fn wanted(&self, asked: &Asked) -> Wanted {
        let mut set = self.set.clone();
        if !self.program.is_empty() {
            let words: Vec<serde_json::Value> = self.program.iter().map(|word| word.as_str().into()).collect();
            set.push(format!("COMMAND_SUBJECT={}", serde_json::Value::Array(words)));
        }
        Wanted {
            profile: self.profile.clone(),
            set,
            environment: policy::environment(),
            foreign: asked.is_foreign(),
            gates: asked.gates.iter().map(|id| (*id).to_owned()).collect(),
        }
    }
}

impl Run {
    fn execute(&mut self, progress: &mut Progress) -> Result<(), Failure> {
        self.write_policy_and_plans()?;
        progress.begin("build", true);
        let lock_before = preflight::lock_digest(&self.space.root)?;
        let built = compile::build(&self.space, !self.asked.has(PREFLIGHT), progress)?;
        let programs = built.programs()?;
        if programs.is_none() {
            let text = format!("the workspace does not build: {}: {}", built.ended.end, built.first_error());
            self.problems.push(Problem { code: exit::gate::BUILD, text });
        }
        let mut built = Some(built);
        for plan in self.plans.clone() {
            process::check_interrupted()?;
            if let Some(by) = self.blocked_by(&plan.gate, programs.as_ref()) {
                progress.say(&format!("{} BLOCKED by {by}", plan.gate));
                self.judged.push(GateReport { id: plan.gate, state: State::Blocked { by }, checks: Vec::new() });
                continue;
            }
            // The build is evidence of the preflight alone.
            if let Some(built) = built.take_if(|_| plan.gate == PREFLIGHT) {
                preflight::gather(self, &plan, built, programs.as_ref(), lock_before, progress)?;
            }
            if let Some(programs) = &programs {
                self.observe(&plan, programs, progress)?;
            }
            self.judge_and_say(&plan.gate, progress)?;
        }
        self.seal(progress)
    }

    fn write_policy_and_plans(&self) -> Result<(), Failure> {
        self.folder.write("policy/gate.json", &self.loaded.file)?;
        self.folder.write("policy/leak-allow.json", &self.loaded.leak_allow)?;
        self.folder.write("calibration.json", &self.loaded.calibration)?;
        for plan in &self.plans {
            self.folder.write_json(&format!("evidence/{}/plan.json", plan.gate), plan)?;
        }
        Ok(())
    }

    /// Runs the drills of a gate, and a sample of what they did once more through the program that ships.
    fn observe(&mut self, plan: &Plan, programs: &Programs, progress: &mut Progress) -> Result<(), Failure> {
        let inputs = Inputs {
            program: &programs.drill,
            calibration: &self.folder.path.join("calibration.json"),
            policy: &self.folder.path.join("policy/gate.json"),
        };
        self.problems.extend(drills::run(plan, &inputs, &self.folder, progress)?);
        repeats::run(plan, programs, self.loaded.policy.values.repeated_indices, &self.folder, progress)
    }

    fn judge_and_say(&mut self, id: &str, progress: &mut Progress) -> Result<(), Failure> {
        progress.begin(format!("{id} judge"), false);
        let report = self.judge(id)?;
        progress.end();
        progress.say(&format!("{id} {}", report.state.word()));
        self.judged.push(report);
        Ok(())
    }

    /// What keeps a gate from being run: with `--fail-fast` the first one that is not PASS, and always a broken build.
    fn blocked_by(&self, id: &str, programs: Option<&Programs>) -> Option<String> {
        if programs.is_none() && id != PREFLIGHT {
            return Some("build".into());
        }
        let passed = |gate: &&GateReport| gate.state.verdict() == Some(gates::check::Verdict::Pass);
        let failed = self.judged.iter().find(|gate| !passed(gate));
        failed.filter(|_| self.typed.fail_fast).map(|gate| gate.id.clone())
    }

    fn judge(&self, id: &str) -> Result<GateReport, Failure> {
        let Some(gate) = gate::find(id) else {
            // Without a check nothing is proven.
            return Ok(GateReport::from_checks(id, Vec::new()));
        };
        let files = evidence_of(&self.folder.path, id)?;
        Ok(gate::judge(gate, &files, &self.loaded.policy, &self.asked.checks))
    }

    /// Writes down the verdicts and what a pack needs beside them, then judges the gate that seals it all.
    fn seal(&mut self, progress: &mut Progress) -> Result<(), Failure> {
        progress.begin("facts", false);
        facts::write_members(self, progress)?;
        self.write_verdict(self.state())?;
        if !self.loaded.policy.file.loosened.is_empty() {
            // Such a run ends at best as PARTIAL and cuts no pack (GAT-6).
            self.asked.gates.retain(|id| *id != SEAL);
        }
        if self.asked.has(SEAL) {
            let report = seal::seal(self, progress)?;
            progress.end();
            progress.say(&format!("{SEAL} {}", report.state.word()));
            self.judged.push(report);
        }
        Ok(())
    }

    /// Complete, unless a limit was loosened or something did not finish.
    fn state(&self) -> RunState {
        let whole = self.loaded.policy.file.loosened.is_empty() && self.problems.is_empty();
        if whole { RunState::Complete } else { RunState::Partial }
    }

    fn write_verdict(&self, state: RunState) -> Result<(), Failure> {
        let sealed = self.judged.iter().filter(|gate| gate.id != SEAL).cloned().collect();
        self.folder.write_json("evidence/verdict.json", &RunReport::from_gates(&self.loaded.policy, sealed))?;
        facts::write_run(self, state)
    }

    /// The report, whatever became of the run.
    fn finish(mut self, ended: Result<(), Failure>, progress: &mut Progress) -> Result<u8, Failure> {
        progress.finish();
        if let Err(failure) = foresight::remember(&self.space.gates_folder(), progress.phases()) {
            // Only the next plan reads it.
            progress.say(&format!("note: {}", failure.message));
        }
        let mut state = self.state();
        if let Err(failure) = ended {
            state = self.cut_short(failure);
            // The report on standard output must not be lost over a file beside it.
            if let Err(failure) = self.write_verdict(state) {
                self.problems.push(Problem { code: failure.code, text: failure.message });
            }
        }
        let finished = Finished {
            report: RunReport::from_gates(&self.loaded.policy, self.judged),
            state,
            problems: self.problems,
            narrowed: self.asked.narrowed.clone(),
            left_out: self.asked.left_out(),
            seed: self.plans.first().map_or_else(String::new, |plan| format!("0x{}", plan.master_seed)),
            folder: format!("gates/runs/{} in the target folder", self.folder.id),
            phases: progress.phases().to_vec(),
            bytes_left: bytes_left(&self.space.target),
        };
        self.typed.print(&finished)
    }
}

impl Run {
    /// A run that did not reach its end: what was not reached is shown as such, and never left out.
    fn cut_short(&mut self, failure: Failure) -> RunState {
        let interrupted = failure.code == exit::gate::INTERRUPTED;
        let hint = failure.hint.map_or_else(String::new, |hint| format!(" (hint: {hint})"));
        self.problems.push(Problem { code: failure.code, text: failure.message + &hint });
        for id in &self.asked.gates {
            if !self.judged.iter().any(|gate| gate.id == *id) {
                // Without a check: no evidence, so that nobody reads the others as the whole.
                self.judged.push(GateReport::from_checks(id, Vec::new()));
            }
        }
        if interrupted { RunState::Aborted } else { RunState::Partial }
    }
}

/// The files that the judges of a gate may read, by their path below the run folder.
pub(crate) fn evidence_of(run: &Path, gate: &str) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let mut files = BTreeMap::new();
    read_below(run, &run.join("evidence").join(gate), &mut files)?;
    Ok(files)
}

pub(crate) fn read_below(run: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) -> Result<(), Failure> {
    let unreadable = |error: &std::io::Error| Failure::file("cannot read", folder, error);
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(&error))? {
        let entry = entry.map_err(|error| unreadable(&error))?;
        let path = entry.path();
        if entry.file_type().map_err(|error| unreadable(&error))?.is_dir() {
            read_below(run, &path, files)?;
        } else {
            let bytes = std::fs::read(&path).map_err(|error| Failure::file("cannot read", &path, &error))?;
            files.insert(crate::workspace::relative(run, &path), bytes);
        }
    }
    Ok(())
}

#[cfg(unix)]
fn bytes_left(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail * disk.f_frsize)
}

#[cfg(not(unix))]
fn bytes_left(_folder: &Path) -> Option<u64> {
    None
}
