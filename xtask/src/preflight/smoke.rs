//! A first breath of the built engine: one shipped story, in seconds, before anything long is started.

use std::time::Duration;

use contract::plan::Plan;
use contract::record::preflight::SmokeStep;
use serde_json::Value;

use crate::compile::Programs;
use crate::failure::Failure;
use crate::gate::Run;
use crate::process;
use crate::progress::Progress;

/// One story with the mock takes well under a second.
const STORY_MAX: Duration = Duration::from_secs(60);
/// Where the shipped stories lie; the first by name is told.
const STORIES: &str = "engine/data/stories";

/// Runs the steps. Their files lie outside the evidence; what counts is in the record.
///
/// # Errors
/// The engine cannot be started, a file cannot be read, or Ctrl-C.
pub(super) fn steps(
    run: &Run,
    plan: &Plan,
    programs: &Programs,
    progress: &mut Progress,
) -> Result<Vec<SmokeStep>, Failure> {
    progress.begin("pr-g0 smoke", false);
    let folder = run.space.root.join(STORIES);
    let mut stories = Vec::new();
    if let Ok(entries) = std::fs::read_dir(&folder) {
        stories.extend(entries.flatten().map(|entry| entry.path()).filter(|path| path.join("intent.json").is_file()));
    }
    stories.sort();
    let Some(story) = stories.first() else { return Ok(Vec::new()) };
    let out = run.folder.path.join("smoke");
    let seed = format!("0x{}", plan.seed(0));
    let calibration = run.folder.path.join("calibration.json");
    let arguments: [&std::ffi::OsStr; 14] = [
        "scribe".as_ref(),
        "--intent".as_ref(),
        &story.join("intent.json").into_os_string(),
        "--plan".as_ref(),
        &story.join("plan.json").into_os_string(),
        "--seed".as_ref(),
        seed.as_ref(),
        "--virtual-time".as_ref(),
        // Without planted defects a shipped story is clean; repair is for the drills.
        "--defect-rate".as_ref(),
        "0".as_ref(),
        "--calibration".as_ref(),
        calibration.as_ref(),
        "--out".as_ref(),
        out.as_ref(),
    ];
    let task = process::program_in(&run.space.root, &programs.engine, arguments, STORY_MAX);
    let ended = task.labelled("engine scribe").without_own_variables().ask(progress)?;
    run.folder.write("logs/smoke.log", format!("{}{}", ended.out, ended.err).as_bytes())?;
    let name = story.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(vec![SmokeStep { step: format!("story:{name}"), exit: ended.code(), hard_violations: hard_violations(&out) }])
}

/// HARD violations in the report of the engine; `None` when there is no report that says.
fn hard_violations(out: &std::path::Path) -> Option<u64> {
    let bytes = std::fs::read(out.join("run-report.json")).ok()?;
    let report = contract::canonical::parse_evidence(&bytes).ok()?;
    let rules = report.get("violations")?.as_object()?;
    let hard = rules.values().filter(|rule| rule.get("severity").and_then(Value::as_str) == Some("HARD"));
    hard.map(|rule| rule.get("count").and_then(Value::as_u64)).sum()
}
