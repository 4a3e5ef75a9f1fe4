//! Runs the drills of one gate, in the order of its plan, each writing its observations into the gate's folder.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use contract::exit;
use contract::plan::Plan;

use crate::failure::Failure;
use crate::process::{self, Task};
use crate::progress::Progress;
use crate::report::Problem;
use crate::runs::RunFolder;

/// The longest a drill may take, by profile: a stuck lock must end a run, and a slow machine must not.
const LIMITS: &[(&str, u64)] = &[("dev", 300), ("ci", 1200), ("release", 7200), ("soak", 86_400)];
/// For a profile of one's own.
const LIMIT_ELSE_S: u64 = 7200;

/// The files that a drill is given.
#[derive(Clone, Debug)]
pub(crate) struct Inputs<'a> {
    /// The `drill` program.
    pub(crate) program: &'a Path,
    /// The resolved calibration.
    pub(crate) calibration: &'a Path,
    /// `policy/gate.json`.
    pub(crate) policy: &'a Path,
}

/// Runs every drill of `plan`. One that does not end well gives a problem, and the next one still runs.
///
/// # Errors
/// A drill cannot be started, or Ctrl-C.
pub(crate) fn run(
    plan: &Plan,
    inputs: &Inputs<'_>,
    folder: &RunFolder,
    progress: &mut Progress,
) -> Result<Vec<Problem>, Failure> {
    let out = folder.evidence(&plan.gate);
    let mut problems = Vec::new();
    // Several scenarios of one drill are one program: it reads them from the plan.
    let mut names: Vec<&str> = Vec::new();
    for drill in &plan.drills {
        if !names.contains(&drill.drill.as_str()) {
            names.push(&drill.drill);
        }
    }
    for name in names {
        progress.begin(format!("{} drill {name}", plan.gate), false);
        let task = task(name, plan, inputs, &out);
        let ended = task.run(progress, |_, _| ())?;
        // Not evidence: what a drill says beside its rows helps whoever looks for the reason.
        folder
            .write(&format!("logs/{}-drill-{name}.log", plan.gate), format!("{}{}", ended.out, ended.err).as_bytes())?;
        if !ended.succeeded() {
            let text = format!("{}: drill {name} did not finish: {}{}", plan.gate, ended.end, ended.tail_text());
            problems.push(Problem { code: exit::gate::NO_EVIDENCE, text });
        }
    }
    Ok(problems)
}

fn task(name: &str, plan: &Plan, inputs: &Inputs<'_>, out: &Path) -> Task {
    let limit = LIMITS.iter().find(|(profile, _)| *profile == plan.profile).map_or(LIMIT_ELSE_S, |(_, limit)| *limit);
    let plan_file = out.join("plan.json");
    let arguments: [&OsStr; 9] = [
        name.as_ref(),
        "--plan".as_ref(),
        plan_file.as_ref(),
        "--calibration".as_ref(),
        inputs.calibration.as_ref(),
        "--policy".as_ref(),
        inputs.policy.as_ref(),
        "--out".as_ref(),
        out.as_ref(),
    ];
    let task = process::program_in(out, inputs.program, arguments, Duration::from_secs(limit));
    task.labelled(format!("drill {name}")).without_own_variables().with_sabotage()
}
