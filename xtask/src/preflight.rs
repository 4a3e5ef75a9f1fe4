//! What pr-g0 judges: source, toolchain, build, lints, tests, and a search of the tracked files, written down as one record
//! beside the logs of the tools.

use std::collections::BTreeMap;
use std::time::Duration;

use contract::digest::Digest;
use contract::plan::Plan;
use contract::record;
use contract::record::preflight::{Preflight, TestTotals, ToolRun, ToolchainFacts};
use gates::pr_g0::{self, test_log};

use crate::compile::{self, Heard, Programs};
use crate::failure::Failure;
use crate::gate::Run;
use crate::process::{self, Ended};
use crate::progress::Progress;

mod crates;
mod scrub;
mod search;
mod smoke;

use scrub::Scrubber;

/// Formatting reads every file once.
const FMT_MAX: Duration = Duration::from_secs(300);
/// All tests of the workspace, compiled.
const TEST_MAX: Duration = Duration::from_secs(3600);

/// A tool that was run: what becomes of it in the record, and its log.
struct Tool {
    id: &'static str,
    command: Vec<String>,
    ended: Ended,
    warnings: u64,
    log: String,
}

/// Gathers the evidence of pr-g0. `built` is the build that made the programs; `lock_before` was read before it.
///
/// # Errors
/// A program is missing, a file cannot be read or written, or Ctrl-C.
pub(crate) fn gather(
    run: &Run,
    plan: &Plan,
    built: Heard,
    programs: Option<&Programs>,
    lock_before: Digest,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let mut tools = vec![Tool::heard("build", built)];
    if run.asked.wants("lint-clean") {
        tools.push(fmt(run, progress)?);
    }
    // What does not build can be neither linted nor tested: these stay without evidence.
    if programs.is_some() && run.asked.wants("lint-clean") {
        tools.push(clippy(run, progress)?);
    }
    if programs.is_some() && run.asked.wants("tests-baseline") {
        tools.push(test(run, progress)?);
    }
    progress.begin("pr-g0 search", false);
    let found = search::tracked_files(run, progress)?;
    let smoke = match programs {
        Some(programs) if run.asked.wants("smoke") => smoke::steps(run, plan, programs, progress)?,
        _ => Vec::new(),
    };
    let scrubber = Scrubber::new(&run.space);
    let record = Preflight {
        branch: run.source.branch.clone(),
        head: run.source.commit.clone(),
        tree: run.source.tree.clone(),
        dirty: run.source.dirty.iter().map(|line| scrubber.scrub(line).0).collect(),
        toolchain: toolchain(run, &scrubber, lock_before)?,
        tests: totals(&tools, run),
        tools: keep(&tools, run, &scrubber)?,
        inventory: search::inventory(run)?,
        files_searched: found.files_searched,
        path_findings: found.path_findings,
        audit: found.audit,
        xtask_crates: crates::of_xtask(run, progress)?,
        smoke,
    };
    let stamp = plan.stamp().map_err(|error| Failure::internal(format!("the plan has no digest: {error}")))?;
    let bytes = record::to_file(&stamp, &record).map_err(|error| Failure::internal(format!("preflight: {error}")))?;
    run.folder.write(&format!("evidence/{}/{}", plan.gate, pr_g0::RECORD), &bytes)?;
    Ok(())
}

/// The digest of `Cargo.lock`, which a build must not change.
///
/// # Errors
/// It cannot be read.
pub(crate) fn lock_digest(root: &std::path::Path) -> Result<Digest, Failure> {
    let path = root.join("Cargo.lock");
    let bytes = std::fs::read(&path).map_err(|error| Failure::file("cannot read", &path, &error))?;
    Ok(Digest::of(&bytes))
}

fn fmt(run: &Run, progress: &mut Progress) -> Result<Tool, Failure> {
    progress.begin("fmt", true);
    let task = process::cargo(&run.space.root, Some(&run.space.target), ["fmt", "--all", "--check"], FMT_MAX);
    let command = task.command_line();
    let ended = task.one_stream().ask(progress)?;
    installed(&ended, "fmt", "rustfmt")?;
    let log = ended.out.clone();
    Ok(Tool { id: "fmt", command, ended, warnings: 0, log })
}

fn clippy(run: &Run, progress: &mut Progress) -> Result<Tool, Failure> {
    progress.begin("clippy", true);
    let arguments =
        ["clippy", "--workspace", "--all-targets", "--locked", "--message-format=json", "--", "-D", "warnings"];
    let task = process::cargo(&run.space.root, Some(&run.space.target), arguments, compile::BUILD_MAX);
    let heard = compile::listen(task, progress)?;
    installed(&heard.ended, "clippy", "clippy")?;
    Ok(Tool::heard("clippy", heard))
}

fn test(run: &Run, progress: &mut Progress) -> Result<Tool, Failure> {
    progress.begin("test", true);
    let arguments = ["test", "--workspace", "--locked", "--no-fail-fast"];
    let task = process::cargo(&run.space.root, Some(&run.space.target), arguments, TEST_MAX);
    let command = task.command_line();
    // Cargo names the binary on one stream and the binary its tests on the other: only together do they tell which is whose.
    let ended = task.one_stream().ask(progress)?;
    let log = ended.out.clone();
    Ok(Tool { id: "test", command, ended, warnings: 0, log })
}

/// A component that was not installed with the toolchain is a missing program, not a red lint.
fn installed(ended: &Ended, verb: &str, component: &str) -> Result<(), Failure> {
    let missing = ended.tail.iter().any(|line| {
        line.contains(&format!("no such command: `{verb}`")) || line.contains("is not installed for the toolchain")
    });
    if missing && !ended.succeeded() {
        let failure = Failure::infrastructure(format!("`cargo {verb}` is not installed (check lint-clean needs it)"));
        return Err(failure.hint(format!("rustup component add {component}")));
    }
    Ok(())
}

fn toolchain(run: &Run, scrubber: &Scrubber, lock_before: Digest) -> Result<ToolchainFacts, Failure> {
    let path = run.space.root.join("rust-toolchain.toml");
    let text = std::fs::read_to_string(&path).map_err(|error| Failure::file("cannot read", &path, &error))?;
    let file: toml::Table = toml::from_str(&text)
        .map_err(|error| Failure::usage(format!("rust-toolchain.toml: {}", error.to_string().trim_end())))?;
    let channel = file.get("toolchain").and_then(|table| table.get("channel")).and_then(toml::Value::as_str);
    Ok(ToolchainFacts {
        pinned: channel.ok_or_else(|| Failure::usage("rust-toolchain.toml: no toolchain.channel"))?.to_owned(),
        rustc: run.toolchain.rustc.iter().map(|line| scrubber.scrub(line).0).collect(),
        cargo: run.toolchain.cargo.clone(),
        lock_before,
        lock_after: lock_digest(&run.space.root)?,
    })
}

fn totals(tools: &[Tool], run: &Run) -> TestTotals {
    let log = tools.iter().find(|tool| tool.id == "test").map_or("", |tool| tool.log.as_str());
    let seen = test_log::parse(log);
    let baseline = run.loaded.policy.file.baseline.get("tests").and_then(|tests| tests.as_array());
    TestTotals {
        passed: seen.count(test_log::Outcome::Passed),
        failed: seen.count(test_log::Outcome::Failed),
        ignored: seen.count(test_log::Outcome::Ignored),
        baseline: baseline.map_or(0, |tests| tests.len() as u64),
    }
}

/// Writes the scrubbed logs beside the record.
fn keep(tools: &[Tool], run: &Run, scrubber: &Scrubber) -> Result<BTreeMap<String, ToolRun>, Failure> {
    let mut kept = BTreeMap::new();
    for tool in tools {
        let log = format!("cargo-{}.log", tool.id);
        let (text, scrubbed) = scrubber.scrub(&tool.log);
        run.folder.write(&format!("evidence/pr-g0/{log}"), text.as_bytes())?;
        let duration_ms = u64::try_from(tool.ended.took.as_millis())
            .map_err(|_| Failure::internal("a tool ran for more than 500 million years"))?;
        let entry = ToolRun {
            command: tool.command.clone(),
            exit: tool.ended.code(),
            warnings: tool.warnings,
            duration_ms,
            log,
            scrubbed,
        };
        kept.insert(tool.id.to_owned(), entry);
    }
    Ok(kept)
}

impl Tool {
    fn heard(id: &'static str, heard: Heard) -> Self {
        Self { id, command: heard.command, ended: heard.ended, warnings: heard.warnings, log: heard.log }
    }
}
