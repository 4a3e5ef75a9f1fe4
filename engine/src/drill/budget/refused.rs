//! What the built `engine` must refuse before it spends: every leaf of the calibration as null, and a model without a
//! price. Beside it, the same command line where nothing is wrong, and one where a limit is.

use std::path::Path;
use std::sync::Arc;

use contract::canonical;
use contract::money::MicroUsd;
use contract::record::Record as _;
use contract::record::budget::{BudgetCase, Claim};
use contract::record::cost::{RunCost, ViolationKind};
use serde_json::Value;
use tokio::process::Command;

use super::folder;
use crate::drill::counterpart::Counterpart;
use crate::drill::{DrillError, Setting};

/// The model of the runs over HTTP; it has a price.
const MODEL: &str = "gpt-4o-mini";

/// Processes under way at once.
const AT_ONCE: usize = 4;

/// A command line, and where its traces lie.
struct Case {
    scenario: String,
    claim: Claim,
    kind: Option<ViolationKind>,
    key: Option<String>,
    calibration: Value,
    model: String,
}

pub(super) fn scenarios(setting: &Setting, engine: &Path) -> Result<Vec<BudgetCase>, DrillError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let wire = super::super::chaos::beside("wire")?;
        let server = Counterpart::wire(&wire, &crate::wire::Script::default()).await.map_err(DrillError::Failed)?;
        let work = Arc::new(tempfile::Builder::new().prefix("proofhouse-drill-").tempdir()?);
        story(engine, setting, work.path()).await?;
        let mut rows = Vec::new();
        let mut running = tokio::task::JoinSet::new();
        for case in cases(setting)? {
            if running.len() >= AT_ONCE {
                rows.extend(joined(&mut running).await?);
            }
            running.spawn(one(engine.to_owned(), server.origin.clone(), work.clone(), case));
        }
        while let Some(row) = joined(&mut running).await? {
            rows.push(row);
        }
        // All refused runs share one server: what arrived there arrived for one of them.
        let arrived = server.arrived().await.map_err(DrillError::Failed)?.len() as u64;
        rows.iter_mut().for_each(|row| row.arrived = arrived);
        rows.sort_by(|left, right| left.scenario.cmp(&right.scenario));
        rows.extend(spending(setting, engine, work.path()).await?);
        Ok(rows)
    })
}

fn cases(setting: &Setting) -> Result<Vec<Case>, DrillError> {
    let calibration = setting.calibration.to_value().map_err(|error| DrillError::Failed(error.to_string()))?;
    let mut pointers = Vec::new();
    leaves(&calibration, "", &mut pointers);
    let mut cases = vec![Case {
        scenario: "unknown-model".into(),
        claim: Claim::UnknownModel,
        kind: None,
        key: None,
        calibration: calibration.clone(),
        model: "model-without-a-price".into(),
    }];
    for pointer in pointers {
        let mut calibration = calibration.clone();
        if let Some(leaf) = calibration.pointer_mut(&pointer) {
            *leaf = Value::Null;
        }
        cases.push(Case {
            scenario: format!("null{}", pointer.replace('/', "-")),
            claim: Claim::NullCalibration,
            kind: None,
            key: Some(pointer),
            calibration,
            model: MODEL.into(),
        });
    }
    Ok(cases)
}

fn leaves(value: &Value, pointer: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            entries.iter().for_each(|(key, inner)| leaves(inner, &canonical::pointer_push(pointer, key), out));
        }
        _ => out.push(pointer.to_owned()),
    }
}

async fn joined(
    running: &mut tokio::task::JoinSet<Result<BudgetCase, DrillError>>,
) -> Result<Option<BudgetCase>, DrillError> {
    match running.join_next().await {
        None => Ok(None),
        Some(row) => row.map_err(|error| DrillError::Failed(error.to_string()))?.map(Some),
    }
}

/// A story for all runs, written by the engine itself.
async fn story(engine: &Path, setting: &Setting, work: &Path) -> Result<(), DrillError> {
    let mut command = Command::new(engine);
    command.arg("story").arg("--seed").arg(format!("0x{}", setting.plan.seed(0))).arg("--out").arg(work);
    let output = command.output().await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(DrillError::Failed(format!("`engine story` failed: {said}")))
}

async fn one(
    engine: std::path::PathBuf,
    origin: String,
    work: Arc<tempfile::TempDir>,
    case: Case,
) -> Result<BudgetCase, DrillError> {
    let file = work.path().join(format!("{}.json", case.scenario));
    std::fs::write(&file, canonical::to_bytes(&case.calibration).map_err(|e| DrillError::Failed(e.to_string()))?)?;
    let mut command = scribe(&engine, work.path(), &file, &case.scenario);
    command.args(["--provider", "openai", "--model", &case.model, "--base-url"]).arg(format!("{origin}/v1"));
    let (exit_code, said) = run(command, work.path()).await?;
    Ok(BudgetCase {
        scenario: case.scenario,
        claim: case.claim,
        kind: case.kind,
        key: case.key,
        exit_code,
        process: true,
        arrived: 0,
        processes: 1,
        said,
        not_run: None,
    })
}

/// The built engine with the mock: once with the calibration as it is, once with a run limit of one cent of a cent.
async fn spending(setting: &Setting, engine: &Path, work: &Path) -> Result<Vec<BudgetCase>, DrillError> {
    let mut tight = setting.calibration.clone();
    tight.max_cost_per_run_usd = MicroUsd(1_000);
    let key = "/MAX_COST_PER_RUN_USD";
    let mut rows = Vec::new();
    for (scenario, claim, kind, key, calibration) in [
        ("within-built", Claim::Within, None, None, &setting.calibration),
        ("cost-per-run-built", Claim::OverBuilt, Some(ViolationKind::CostPerRun), Some(key), &tight),
    ] {
        let file = work.join(format!("{scenario}.json"));
        let bytes = calibration.to_value().and_then(|value| canonical::to_bytes(&value));
        std::fs::write(&file, bytes.map_err(|error| DrillError::Failed(error.to_string()))?)?;
        let mut command = scribe(engine, work, &file, scenario);
        command.args(["--provider", "mock", "--virtual-time", "--defect-rate", "0"]);
        let (exit_code, said) = run(command, work).await?;
        let out = work.join(format!("out-{scenario}"));
        let cost = unstamped(&std::fs::read(out.join("run-cost.json"))?)?;
        setting.write_file(&format!("{}/run-cost.json", folder(scenario)), &cost)?;
        setting.write_calibration(&format!("{}/calibration.json", folder(scenario)), calibration)?;
        if let Ok(journal) = std::fs::read(out.join("ledger.jsonl")) {
            setting.write_bytes(&format!("{}/ledger.jsonl", folder(scenario)), &journal)?;
        }
        rows.push(BudgetCase {
            scenario: scenario.into(),
            claim,
            kind,
            key: key.map(Into::into),
            exit_code,
            process: true,
            arrived: cost.calls.iter().map(|call| call.charges.len() as u64).sum(),
            processes: 1,
            said,
            not_run: None,
        });
    }
    Ok(rows)
}

fn scribe(engine: &Path, work: &Path, calibration: &Path, scenario: &str) -> Command {
    let mut command = Command::new(engine);
    command.arg("scribe").arg("--intent").arg(work.join("intent.json")).arg("--plan").arg(work.join("plan.json"));
    command.arg("--out").arg(work.join(format!("out-{scenario}"))).arg("--calibration").arg(calibration);
    command.env("OPENAI_API_KEY", "sk-canary-of-the-budget-drill").kill_on_drop(true);
    command
}

/// Exit code, and what was said on stderr without the place where the drill works.
async fn run(mut command: Command, work: &Path) -> Result<(Option<u8>, String), DrillError> {
    let output = command.output().await?;
    let said = String::from_utf8_lossy(&output.stderr).replace(&*work.to_string_lossy(), "<tmp>");
    Ok((output.status.code().and_then(|code| u8::try_from(code).ok()), said.trim().to_owned()))
}

/// A `run-cost.json` as a user gets it.
pub(super) fn unstamped(bytes: &[u8]) -> Result<RunCost, DrillError> {
    let value = canonical::parse_evidence(bytes).map_err(|error| DrillError::Failed(error.to_string()))?;
    if value["schema"] != RunCost::SCHEMA {
        return Err(DrillError::Failed(format!("run-cost.json has the schema {}", value["schema"])));
    }
    serde_json::from_value(value).map_err(|error| DrillError::Failed(format!("run-cost.json: {error}")))
}
