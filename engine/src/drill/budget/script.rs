//! Scenarios inside this process, on virtual time: a script of replies, faults and delays under a limit that lies exactly
//! where the script gets, or one unit below.

use std::sync::Arc;
use std::time::Duration;

use contract::calibration::Calibration;
use contract::exit::engine as exit;
use contract::money::MicroUsd;
use contract::record::budget::{BudgetCase, Claim};
use contract::record::cost::{RunCost, ViolationKind};
use contract::seed::Seed;
use serde_json::Value;

use super::folder;
use crate::clock::{Clock, UtcMillis};
use crate::drill::{DrillError, Setting};
use crate::pipeline::{CallContext, Parts, Pipeline, RunRecord};
use crate::provider::error::RetryAfter;
use crate::provider::scripted::{Scripted, Step};
use crate::provider::{Message, ProviderError, Reply, Request, Usage};
use crate::store::atomic::Durability;
use crate::store::ledger::{Ledger, limits_of};
use crate::store::lock::LockPolicy;

/// Model of all scripts; its prices are those of the calibration.
pub(super) const MODEL: &str = "mock-prose-1";

const PER_CALL: &str = "/BUDGET_LIMITS/mock-prose-1/max_per_call_usd";
const PER_MODEL: &str = "/BUDGET_LIMITS/mock-prose-1/max_per_run_usd";

/// What an answer uses: less than what is reserved for it.
const USAGE: Usage = Usage { input_tokens: 90, cached_input_tokens: 7, output_tokens: 61, reasoning_tokens: 11 };

/// A script, and the limit that it is measured against.
struct Script {
    limit: &'static str,
    kind: ViolationKind,
    key: &'static str,
    steps: fn() -> Vec<Step>,
}

/// Three calls each; the last step of a script answers all that follow.
const SCRIPTS: [Script; 8] = [
    Script { limit: "cost-per-call", kind: ViolationKind::CostPerCall, key: PER_CALL, steps: one_fault_that_costs },
    Script { limit: "cost-per-run-model", kind: ViolationKind::CostPerRun, key: PER_MODEL, steps: good_replies },
    Script {
        limit: "cost-per-run",
        kind: ViolationKind::CostPerRun,
        key: "/MAX_COST_PER_RUN_USD",
        steps: good_replies,
    },
    Script {
        limit: "tokens-per-run",
        kind: ViolationKind::TokensPerRun,
        key: "/MAX_TOKENS_PER_RUN",
        steps: good_replies,
    },
    Script { limit: "retries-per-run", kind: ViolationKind::RetriesPerRun, key: "/MAX_RETRIES_PER_RUN", steps: faults },
    Script {
        limit: "latency-per-call",
        kind: ViolationKind::LatencyPerCall,
        key: "/LATENCY_LIMITS/max_call_latency_ms",
        steps: slow_fault,
    },
    Script {
        limit: "latency-per-run",
        kind: ViolationKind::LatencyPerRun,
        key: "/LATENCY_LIMITS/max_run_latency_ms",
        steps: slow_replies,
    },
    Script {
        limit: "duration-per-run",
        kind: ViolationKind::LatencyPerRun,
        key: "/MAX_DURATION_PER_RUN_MS",
        steps: slow_replies,
    },
];

/// Every script at its limit and one unit below, a run without a limit near, and one with a reply without usage.
pub(super) fn scenarios(setting: &Setting) -> Result<Vec<BudgetCase>, DrillError> {
    let mut rows = Vec::new();
    for (scenario, claim, steps) in [
        ("within", Claim::Within, good_replies as fn() -> Vec<Step>),
        ("within-faults", Claim::Within, faults),
        ("usage-missing", Claim::UsageMissing, no_usage),
    ] {
        let run = Run::make(setting, &setting.calibration, steps(), scenario)?;
        let kind = (claim == Claim::UsageMissing).then_some(ViolationKind::UsageMissing);
        rows.push(run.row(scenario, claim, kind, None));
    }
    for script in &SCRIPTS {
        let probe = Run::make(setting, &setting.calibration, (script.steps)(), "")?;
        let reached = reached(script, &probe.record.cost);
        for (word, claim, limit) in [("at", Claim::At, reached), ("over", Claim::Over, reached.saturating_sub(1))] {
            let scenario = format!("{}-{word}", script.limit);
            let calibration = changed(&setting.calibration, script, limit)?;
            let run = Run::make(setting, &calibration, (script.steps)(), &scenario)?;
            rows.push(run.row(&scenario, claim, Some(script.kind), Some(script.key)));
        }
    }
    Ok(rows)
}

/// The calibration with one limit moved.
fn changed(calibration: &Calibration, script: &Script, limit: u64) -> Result<Calibration, DrillError> {
    let failed = |reason: String| DrillError::Failed(format!("{}: {reason}", script.key));
    let mut value = calibration.to_value().map_err(|error| failed(error.to_string()))?;
    let money = matches!(script.kind, ViolationKind::CostPerCall | ViolationKind::CostPerRun);
    let place = value.pointer_mut(script.key).ok_or_else(|| failed("no such key".into()))?;
    *place = if money { Value::from(MicroUsd(limit).usd()) } else { Value::from(limit) };
    Calibration::from_value(&value).map_err(|refused| failed(refused.to_string()))
}

/// How far a script gets where no limit is near: the most that is committed at once, or the total.
fn reached(script: &Script, cost: &RunCost) -> u64 {
    let charges = || cost.calls.iter().flat_map(|call| &call.charges);
    let most_of = |spent_and_reserved: &mut dyn Iterator<Item = (u64, u64)>| {
        let (_, most) = spent_and_reserved.fold((0, 0), |(spent, most), (cost, reserved)| {
            (spent + cost, most.max(spent + reserved).max(spent + cost))
        });
        most
    };
    match script.kind {
        ViolationKind::CostPerCall => {
            let of_call = |charges: &[contract::record::cost::Charge]| {
                most_of(&mut charges.iter().map(|charge| (charge.cost_usd.0, charge.reserved_cost_usd.0)))
            };
            cost.calls.iter().map(|call| of_call(&call.charges)).fold(0, u64::max)
        }
        ViolationKind::CostPerRun => {
            most_of(&mut charges().map(|charge| (charge.cost_usd.0, charge.reserved_cost_usd.0)))
        }
        ViolationKind::TokensPerRun => most_of(
            &mut charges()
                .map(|charge| (charge.tokens(), charge.reserved_input_tokens + charge.reserved_output_tokens)),
        ),
        ViolationKind::RetriesPerRun => cost.total_retries,
        ViolationKind::LatencyPerCall => cost.calls.iter().map(|call| call.latency_ms).fold(0, u64::max),
        ViolationKind::LatencyPerRun if script.key == "/MAX_DURATION_PER_RUN_MS" => cost.duration_ms,
        ViolationKind::LatencyPerRun => cost.total_latency_ms,
        ViolationKind::UsageMissing => 0,
    }
}

/// A run that was made.
struct Run {
    record: RunRecord,
    arrived: u64,
    failed: bool,
    said: String,
}

impl Run {
    /// Three calls, one after the other. With a name, its files are written.
    fn make(
        setting: &Setting,
        calibration: &Calibration,
        steps: Vec<Step>,
        scenario: &str,
    ) -> Result<Self, DrillError> {
        let work = tempfile::Builder::new().prefix("proofhouse-drill-").tempdir()?;
        let journal = work.path().join("ledger.jsonl");
        let policy = LockPolicy::from(calibration);
        let ledger = Ledger::open(&journal, limits_of(calibration), policy, Durability::None)
            .map_err(|error| DrillError::Failed(error.to_string()))?;
        let provider = Arc::new(Scripted::new(steps, good()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let (record, said, failed) = runtime.block_on(async {
            let epoch = calibration.determinism.epoch_ms();
            let epoch = epoch.ok_or_else(|| DrillError::Usage("/DETERMINISM/epoch: no time".into()))?;
            let parts = Parts {
                calibration: Arc::new(calibration.clone()),
                model: MODEL.into(),
                provider: provider.clone(),
                clock: Clock::virtual_from(UtcMillis(epoch)),
                seed: setting.plan.seed(0),
                chaos: None,
                ledger: Some(ledger),
                cache: None,
            };
            let pipeline = Pipeline::new(parts).map_err(|error| DrillError::Usage(error.to_string()))?;
            let (mut said, mut failed) = (String::new(), false);
            for index in 0..3 {
                if let Err(error) = pipeline.call(context(index), &request(index)).await {
                    (said, failed) = (error.to_string(), true);
                    break;
                }
            }
            Ok::<_, DrillError>((pipeline.record(), said, failed))
        })?;
        if !scenario.is_empty() {
            setting.write_file(&format!("{}/run-cost.json", folder(scenario)), &record.cost)?;
            setting.write_bytes(&format!("{}/ledger.jsonl", folder(scenario)), &std::fs::read(&journal)?)?;
            setting.write_calibration(&format!("{}/calibration.json", folder(scenario)), calibration)?;
        }
        Ok(Self { record, arrived: provider.arrived() as u64, failed, said })
    }

    fn row(self, scenario: &str, claim: Claim, kind: Option<ViolationKind>, key: Option<&str>) -> BudgetCase {
        BudgetCase {
            scenario: scenario.into(),
            claim,
            kind,
            key: key.map(Into::into),
            exit_code: Some(exit_code(&self.record.cost, self.failed)),
            process: false,
            arrived: self.arrived,
            processes: 1,
            said: self.said,
            not_run: None,
        }
    }
}

/// The code of a run: a passed limit is a failure, whatever else went wrong.
pub(super) fn exit_code(cost: &RunCost, failed: bool) -> u8 {
    match (cost.violations.is_empty(), failed) {
        (false, _) => exit::FAILURE,
        (true, true) => exit::UNAVAILABLE,
        (true, false) => exit::GOOD,
    }
}

pub(super) fn context(index: u64) -> CallContext {
    CallContext { call_index: index, scene_id: format!("scene-{index}") }
}

/// 100 input tokens by the estimate, 120 output tokens at most.
pub(super) fn request(index: u64) -> Request {
    Request {
        call_key: format!("call-{index}"),
        model: MODEL.into(),
        system: String::new(),
        messages: vec![Message::user("x".repeat(400))],
        max_tokens: 120,
        temperature: 0.7,
        seed: Seed(index),
    }
}

pub(super) fn good() -> Step {
    Step::text("The rain had stopped.", USAGE)
}

fn good_replies() -> Vec<Step> {
    Vec::new()
}

fn broken() -> Step {
    Step::error(ProviderError::Server { status: 500, retry_after: RetryAfter::default() })
}

fn faults() -> Vec<Step> {
    vec![broken(), good(), broken(), broken()]
}

/// A cut reply is paid for, and so is its second try: together they are what the call costs.
fn one_fault_that_costs() -> Vec<Step> {
    vec![Step { result: Err(ProviderError::Empty), ..good() }]
}

fn slow_fault() -> Vec<Step> {
    vec![broken().after(Duration::from_millis(20_001)), good().after(Duration::from_millis(20_002))]
}

fn slow_replies() -> Vec<Step> {
    [1_003, 1_000, 1_014].map(|millis| good().after(Duration::from_millis(millis))).to_vec()
}

fn no_usage() -> Vec<Step> {
    let Step { after, result } = good();
    vec![good(), Step { after, result: result.map(|reply| Reply { usage: None, ..reply }) }]
}
