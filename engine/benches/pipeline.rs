//! Speed of the pipeline: what the layers add to one call, and a day of calls on the virtual clock.

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;

use contract::calibration::Calibration;
use contract::money::MicroUsd;
use contract::seed::Seed;
use criterion::{Criterion, criterion_group, criterion_main};
use engine::clock::{Clock, UtcMillis};
use engine::pipeline::{CallContext, Parts, Pipeline};
use engine::provider::scripted::{Scripted, Step};
use engine::provider::{Message, Provider as _, Request, Usage};
use engine::store::atomic::Durability;
use engine::store::cache::Cache;
use engine::store::ledger::{Ledger, limits_of};
use engine::store::lock::LockPolicy;

const MODEL: &str = "mock-prose-1";
const USAGE: Usage = Usage { input_tokens: 100, cached_input_tokens: 0, output_tokens: 50, reasoning_tokens: 0 };
const CALLS_A_DAY: u64 = 50 * 60 * 24;

fn roomy() -> Calibration {
    let shipped = include_bytes!("../../gates/policy/calibration.json");
    let mut calibration = Calibration::parse(shipped).expect("the shipped calibration is valid");
    calibration.max_cost_per_run_usd = MicroUsd(1 << 50);
    calibration.max_tokens_per_run = 1 << 50;
    calibration.max_duration_per_run_ms = 1 << 50;
    calibration.latency_limits.max_run_latency_ms = 1 << 50;
    if let Some(model) = calibration.budget_limits.get_mut(MODEL) {
        model.max_per_run_usd = MicroUsd(1 << 50);
    }
    calibration
}

fn provider() -> Arc<Scripted> {
    Arc::new(Scripted::new(Vec::new(), Step::text("The rain had stopped.", USAGE)))
}

fn pipeline(calibration: Calibration, ledger: Option<Ledger>, cache: Option<Cache>) -> Pipeline {
    let parts = Parts {
        calibration: Arc::new(calibration),
        model: MODEL.into(),
        provider: provider(),
        clock: Clock::virtual_from(UtcMillis(1_767_225_600_000)),
        seed: Seed(42),
        chaos: None,
        ledger,
        cache,
    };
    Pipeline::new(parts).expect("the parts fit")
}

fn request(index: u64) -> Request {
    Request {
        call_key: format!("call-{index}"),
        model: MODEL.into(),
        system: "You write one sentence.".into(),
        messages: vec![Message::user("x".repeat(400))],
        max_tokens: 100,
        temperature: 0.7,
        seed: Seed(index),
    }
}

fn paused<T>(body: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime starts").block_on(body)
}

async fn calls(pipeline: &Pipeline, count: u64) {
    for index in 0..count {
        let context = CallContext { call_index: index, scene_id: String::new() };
        black_box(pipeline.call(context, &request(index)).await.expect("the provider is good"));
    }
}

/// Thousand calls each: the provider alone, and with all layers around it.
fn overhead(c: &mut Criterion) {
    let mut group = c.benchmark_group("1000 mock calls");
    group.bench_function("provider alone", |b| {
        let provider = provider();
        b.iter(|| {
            paused(async {
                for index in 0..1000 {
                    black_box(provider.call(&request(index)).await.expect("the provider is good"));
                }
            });
        });
    });
    group.bench_function("whole pipeline", |b| {
        let calibration = Calibration { rate_limit_per_min: 1_000_000, ..roomy() };
        b.iter(|| paused(async { calls(&pipeline(calibration.clone(), None, None), 1000).await }));
    });
    group.finish();
}

/// 72,000 calls at 50 a minute, with the ledger and the cache on disk and every row kept.
fn day(c: &mut Criterion) {
    let mut group = c.benchmark_group("24 virtual hours at 50 calls a minute");
    group.sample_size(10);
    group.bench_function("ledger, cache and rows", |b| {
        b.iter(|| {
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder is made");
            let calibration = roomy();
            let policy = LockPolicy::from(&calibration);
            let journal = folder.path().join("ledger.jsonl");
            let ledger = Ledger::open(&journal, limits_of(&calibration), policy, Durability::None);
            paused(async {
                let clock = Clock::virtual_from(UtcMillis(1_767_225_600_000));
                let cache = Cache::open(&folder.path().join("cache"), policy, Durability::None, clock);
                let ledger = Some(ledger.expect("the ledger opens"));
                let pipeline = pipeline(calibration, ledger, Some(cache.expect("the cache opens")));
                calls(&pipeline, CALLS_A_DAY).await;
                let record = pipeline.record();
                assert_eq!(record.attempts.len() as u64, CALLS_A_DAY);
                assert!(record.cost.duration_ms >= 23 * 3_600_000 + 59 * 60_000, "the rate was held");
            });
        });
    });
    group.finish();
}

criterion_group!(benches, overhead, day);
criterion_main!(benches);
