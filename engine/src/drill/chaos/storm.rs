//! Storms: many calls through the whole pipeline on virtual time, with the mock behind it that counts what arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use contract::calibration::Calibration;
use contract::record::chaos::{CallEnd, Storm, StormPurpose};
use contract::seed::Seed;

use crate::clock::{Clock, UtcMillis};
use crate::drill::{DrillError, Setting};
use crate::pipeline::{CallContext, Parts, Pipeline, Profile, RunRecord};
use crate::provider::mock::Mock;
use crate::provider::{Identity, Message, Pending, Provider, Request};

/// Model of the storms; the mock's own.
const MODEL: &str = "mock-prose-1";

/// Calls under way at once. Decisions must not depend on it.
const CONCURRENCIES: [u64; 3] = [1, 2, 8];

/// Beyond the first concurrency, decisions are only compared: one call in this many is enough for that.
const COMPARED_SHARE: u64 = 4;

/// Fewest calls of a storm, so that each mode has its chance.
const CALLS_MIN: u64 = 64;

/// One storm that is to be made.
#[derive(Clone, Debug)]
struct Planned {
    folder: String,
    purpose: StormPurpose,
    profile: Profile,
    index: u64,
    seed: Seed,
    concurrency: u64,
    calls: u64,
    calibration: Arc<Calibration>,
}

/// Makes every storm of the plan, on two threads, and writes a folder for each.
///
/// # Errors
/// When the policy has no usable profile, or a file cannot be written.
pub fn storms(setting: &Setting) -> Result<(), DrillError> {
    let planned = planned(setting)?;
    let next = AtomicU64::new(0);
    let work = || -> Result<(), DrillError> {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(storm) = usize::try_from(at).ok().and_then(|at| planned.get(at)) else {
                return Ok(());
            };
            let (report, record) = make(storm)?;
            setting.write_rows(&format!("{}/attempts.jsonl", storm.folder), &record.attempts)?;
            setting.write_file(&format!("{}/chaos-log.json", storm.folder), &record.chaos_log)?;
            setting.write_file(&format!("{}/run-report.json", storm.folder), &report)?;
            setting.write_calibration(&format!("{}/calibration.json", storm.folder), &storm.calibration)?;
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let mine = work();
        let other = other.join().map_err(|_| DrillError::Failed("a storm panicked".into()))?;
        mine.and(other)
    })
}

fn planned(setting: &Setting) -> Result<Vec<Planned>, DrillError> {
    let file = setting.policy.chaos().map_err(|refused| DrillError::Usage(format!("chaos: {refused}")))?;
    let roomy = Arc::new(setting.scenario("chaos")?.unwrap_or_else(|| setting.calibration.clone()));
    let bounded = Arc::new(setting.calibration.clone());
    let profiles = file.profiles.keys().map(|name| Profile::from_file(&file, name, setting.calibration.chaos_rate));
    let profiles = profiles.collect::<Result<Vec<_>, _>>().map_err(DrillError::Usage)?;
    let rarest = profiles.iter().map(|profile| profile.rate).filter(|rate| *rate > 0.0).fold(1.0, f64::min);
    let mut storms = Vec::new();
    for profile in profiles {
        let calls = calls_for(setting.calibration.chaos_calls, profile.rate, rarest);
        for index in 0..setting.calibration.chaos_seeds {
            let seed = setting.plan.seed(index);
            let storm = |name: &str, purpose, concurrency, calls, calibration: &Arc<Calibration>| Planned {
                folder: format!("{}/{seed}/{name}", profile.name),
                purpose,
                profile: profile.clone(),
                index,
                seed,
                concurrency,
                calls,
                calibration: calibration.clone(),
            };
            for concurrency in CONCURRENCIES {
                let calls = if concurrency == 1 { calls } else { (calls / COMPARED_SHARE).max(CALLS_MIN) };
                storms.push(storm(&format!("c{concurrency}"), StormPurpose::Rate, concurrency, calls, &roomy));
            }
            storms.push(storm("bounds", StormPurpose::Bounds, 8, CALLS_MIN, &bounded));
        }
    }
    Ok(storms)
}

/// The rarest rate gets all the calls. A higher one is seen as sharply by fewer: the width of its interval, as a share of
/// the rate, goes with the root of (1 - rate) / (rate · calls).
fn calls_for(most: u64, rate: f64, rarest: f64) -> u64 {
    let odds = |rate: f64| (1.0 - rate) / rate;
    let share = if rate > 0.0 && odds(rarest) > 0.0 { odds(rate) / odds(rarest) } else { 1.0 };
    ((most as f64 * share.min(1.0)).ceil() as u64).max(CALLS_MIN)
}

/// Makes one storm on a paused clock.
fn make(storm: &Planned) -> Result<(Storm, RunRecord), DrillError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let provider = Arc::new(Counted { inner: Mock::new(0.0), arrived: AtomicU64::new(0) });
        let epoch = storm.calibration.determinism.epoch_ms();
        let epoch = epoch.ok_or_else(|| DrillError::Usage("/DETERMINISM/epoch: no time".into()))?;
        let parts = Parts {
            calibration: storm.calibration.clone(),
            model: MODEL.into(),
            provider: provider.clone(),
            clock: Clock::virtual_from(UtcMillis(epoch)),
            seed: storm.seed,
            chaos: Some(storm.profile.clone()),
            ledger: None,
            cache: None,
        };
        let pipeline = Pipeline::new(parts).map_err(|error| DrillError::Usage(error.to_string()))?;
        let pipeline = Arc::new(pipeline);
        let ends = rage(storm, &pipeline).await?;
        let record = pipeline.record();
        let report = Storm {
            profile: storm.profile.name.clone(),
            purpose: storm.purpose,
            index: storm.index,
            seed: storm.seed,
            concurrency: storm.concurrency,
            calls: storm.calls,
            arrived: provider.arrived.load(Ordering::Relaxed),
            ends,
            duration_ms: record.cost.duration_ms,
        };
        Ok((report, record))
    })
}

/// Keeps as many calls under way as the storm says, until all were made.
async fn rage(storm: &Planned, pipeline: &Arc<Pipeline>) -> Result<Vec<CallEnd>, DrillError> {
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = Vec::new();
    for _ in 0..storm.concurrency {
        let (pipeline, next) = (pipeline.clone(), next.clone());
        let (calls, seed) = (storm.calls, storm.seed);
        workers.push(tokio::spawn(async move {
            let mut ends = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= calls {
                    return ends;
                }
                ends.push(call(&pipeline, seed, index).await);
            }
        }));
    }
    let mut ends = Vec::new();
    for worker in workers {
        ends.extend(worker.await.map_err(|error| DrillError::Failed(error.to_string()))?);
    }
    ends.sort_by_key(|end| end.call_index);
    Ok(ends)
}

async fn call(pipeline: &Pipeline, seed: Seed, index: u64) -> CallEnd {
    let call_key = format!("call-{index}");
    let request = Request {
        seed: seed.stream(&call_key),
        call_key,
        model: MODEL.into(),
        system: "You write one paragraph.".into(),
        messages: vec![Message::user(format!("Paragraph {index}."))],
        max_tokens: 256,
        temperature: 0.7,
    };
    let result = pipeline.call(CallContext { call_index: index, scene_id: format!("storm-{index}") }, &request).await;
    CallEnd {
        call_index: index,
        attempts: result.as_ref().map_or_else(|error| error.attempts(), |answer| answer.attempts).into(),
        outcome: result.as_ref().map_or_else(|error| error.kind(), |_| "ok").into(),
        chars: result.as_ref().map_or(0, |answer| answer.reply.text.trim().chars().count() as u64),
    }
}

/// The mock, with a count of its own of what arrived.
#[derive(Debug)]
struct Counted {
    inner: Mock,
    arrived: AtomicU64,
}

impl Provider for Counted {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn needs_real_time(&self) -> bool {
        self.inner.needs_real_time()
    }

    fn call<'a>(&'a self, request: &'a Request) -> Pending<'a> {
        self.arrived.fetch_add(1, Ordering::Relaxed);
        self.inner.call(request)
    }
}
