//! Whole stories under fault profiles: some inside this process, the same ones through the built `engine`
//! (`repeats.jsonl`). Digest, attempts and cost must be equal.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract::canonical;
use contract::digest::Digest;
use contract::exit::engine as exit;
use contract::money::MicroUsd;
use contract::record::run::{Outcome, Repeat};
use contract::seed::Seed;
use serde_json::Value;
use tokio::process::Command;

use crate::drill::{DrillError, Setting};
use crate::pipeline::Profile;
use crate::scribe::simulate::Bench;

/// Processes under way at once.
const AT_ONCE: usize = 4;

/// One story that is told twice.
struct Told {
    index: u64,
    seed: Seed,
    profile: String,
    inside: Outcome,
}

/// Tells `REPEATED_INDICES` stories, each profile in its turn.
pub(super) fn repeats(setting: &Setting, engine: &Path) -> Result<Vec<Repeat>, DrillError> {
    let told = inside(setting)?;
    let work = tempfile::Builder::new().prefix("proofhouse-drill-").tempdir()?;
    let failed = |error: &dyn std::fmt::Display| DrillError::Failed(error.to_string());
    let calibration = setting.calibration.to_value().and_then(|value| canonical::to_bytes(&value));
    std::fs::write(work.path().join("calibration.json"), calibration.map_err(|error| failed(&error))?)?;
    let chaos = canonical::to_bytes(&setting.policy.chaos).map_err(|error| failed(&error))?;
    std::fs::write(work.path().join("chaos.json"), chaos)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let turns = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        let mut running = Vec::new();
        for story in told {
            let (turns, engine, work) = (turns.clone(), engine.to_owned(), work.path().to_owned());
            running.push(tokio::spawn(async move {
                let _turn = turns.acquire().await;
                built(&engine, &work, story).await
            }));
        }
        let mut rows = Vec::new();
        for row in running {
            rows.push(row.await.map_err(|error| failed(&error))??);
        }
        Ok(rows)
    })
}

fn inside(setting: &Setting) -> Result<Vec<Told>, DrillError> {
    let file = setting.policy.chaos().map_err(|refused| DrillError::Usage(format!("chaos: {refused}")))?;
    let names: Vec<&String> = file.profiles.keys().collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let mut told = Vec::new();
    for (index, name) in (0..setting.calibration.repeated_indices).zip(names.into_iter().cycle()) {
        let profile = Profile::from_file(&file, name, setting.calibration.chaos_rate).map_err(DrillError::Usage)?;
        let bench = Bench::new(setting.calibration.clone()).map_err(DrillError::Usage)?.under(profile);
        let seed = setting.plan.seed(index);
        let run = runtime.block_on(bench.run(index, seed)).map_err(DrillError::Failed)?;
        let files = run.output.files(true).map_err(|error| DrillError::Failed(error.to_string()))?;
        let report = files.iter().find(|(name, _)| *name == REPORT).map(|(_, bytes)| bytes.as_slice());
        let inside = outcome(report.unwrap_or(&[])).map_err(DrillError::Failed)?;
        told.push(Told { index, seed, profile: name.clone(), inside });
    }
    Ok(told)
}

/// `engine story`, then `engine scribe`: what a user would type.
async fn built(engine: &Path, work: &Path, story: Told) -> Result<Repeat, DrillError> {
    let out: PathBuf = work.join(story.index.to_string());
    let (seed, input) = (format!("0x{}", story.seed), work.join(format!("story-{}", story.index)));
    let mut write = Command::new(engine);
    write.args(["story", "--seed", &seed, "--out"]).arg(&input);
    let mut tell = Command::new(engine);
    tell.args(["scribe", "--seed", &seed, "--virtual-time", "--chaos-profile", &story.profile]);
    tell.arg("--intent").arg(input.join("intent.json")).arg("--plan").arg(input.join("plan.json"));
    tell.arg("--calibration").arg(work.join("calibration.json")).arg("--chaos").arg(work.join("chaos.json"));
    tell.arg("--out").arg(&out);
    let (mut code, mut note) = (None, String::new());
    for mut command in [write, tell] {
        let ended = command.kill_on_drop(true).output().await?;
        code = ended.status.code().and_then(|code| u8::try_from(code).ok());
        note = String::from_utf8_lossy(&ended.stderr).replace(&*work.to_string_lossy(), "<tmp>");
        // A story that fails, or that faults left incomplete, is told all the same, and compared.
        if !matches!(code, Some(exit::GOOD | exit::FAILURE | exit::UNAVAILABLE)) {
            break;
        }
    }
    let built = std::fs::read(out.join(REPORT)).map_err(|error| error.to_string());
    let built = built.and_then(|bytes| outcome(&bytes));
    let note = built.as_ref().err().map_or(String::new(), |reason| format!("{reason}; {}", note.trim()));
    Ok(Repeat {
        drill: "chaos".into(),
        scenario: story.profile,
        index: story.index,
        seed: story.seed,
        inside: story.inside,
        built: built.ok(),
        built_exit: code,
        note,
    })
}

const REPORT: &str = "run-report.json";

/// Both sides are read from the report that a user gets.
fn outcome(report: &[u8]) -> Result<Outcome, String> {
    let report = canonical::parse_evidence(report).map_err(|error| format!("{REPORT}: {error}"))?;
    let missing = |name: &str| format!("{REPORT}: /{name}: missing or of another type");
    let digest = report["output_digest"].as_str().and_then(Digest::parse);
    Ok(Outcome {
        output_digest: digest.ok_or_else(|| missing("output_digest"))?,
        attempts: report.get("attempts").and_then(Value::as_u64).ok_or_else(|| missing("attempts"))?,
        cost_micro_usd: report["cost_usd"].as_f64().and_then(MicroUsd::from_usd).ok_or_else(|| missing("cost_usd"))?.0,
    })
}
