//! Speed of the store against its peers: a verified read against crate `cacache`, a durable write against the bare
//! sequence of calls, and one round of a kept lock.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;

use contract::digest::Digest;
use contract::money::MicroUsd;
use contract::record::ledger::{LedgerLimits, ModelLimits};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::clock::Clock;
use engine::store::atomic::{self, Durability, Observer};
use engine::store::cache::{Cache, Facts};
use engine::store::ledger::{Ledger, Request};
use engine::store::lock::{self, KeptLock, LockPolicy};

const POLICY: LockPolicy = LockPolicy { timeout_ms: 10_000, sleep_ms: 5, max_attempts: 20_000, max_age_ms: 30_000 };
const MODEL: &str = "bench";

/// Below the build folder, so that a disk is measured and not a file system in memory.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder is made")
}

fn facts() -> Facts {
    Facts::from([("model".to_owned(), MODEL.to_owned()), ("provider".to_owned(), "mock".to_owned())])
}

fn verified_get(c: &mut Criterion) {
    let mut group = c.benchmark_group("verified get");
    for size in [1 << 10, 64 << 10] {
        let folder = folder();
        let payload: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        group.throughput(Throughput::Bytes(size as u64));

        let key = Digest::of(b"key");
        let cache = Cache::open(&folder.path().join("ours"), POLICY, Durability::None, Clock::real());
        let cache = cache.expect("the cache opens");
        cache.put(&key, &facts(), &payload).expect("stores");
        group.bench_function(BenchmarkId::new("ours", size), |b| b.iter(|| cache.get(black_box(&key)).expect("reads")));

        let peer = folder.path().join("peer");
        let name = key.to_string();
        cacache::write_sync(&peer, &name, &payload).expect("stores");
        group.bench_function(BenchmarkId::new("cacache", size), |b| {
            b.iter(|| cacache::read_sync(&peer, black_box(&name)).expect("reads"));
        });
    }
    group.finish();
}

fn durable_put(c: &mut Criterion) {
    let mut group = c.benchmark_group("durable put of 4 KiB");
    group.sample_size(30);
    let folder = folder();
    let payload = vec![7; 4 << 10];
    let cache = Cache::open(folder.path(), POLICY, Durability::Full, Clock::real()).expect("the cache opens");
    let key = Digest::of(b"key");
    let path = folder.path().join("plain").join("entry");
    atomic::put(&path, &payload, Durability::None, &Observer::default()).expect("writes");
    group.bench_function("bare write, sync, rename, sync", |b| b.iter(|| bare(&path, &payload).expect("writes")));
    group.bench_function("atomic put", |b| {
        b.iter(|| atomic::put(&path, &payload, Durability::Full, &Observer::default()).expect("writes"));
    });
    group.bench_function("cache put", |b| b.iter(|| cache.put(&key, &facts(), &payload).expect("stores")));
    group.finish();
}

/// What a durable replacement needs at least, without lock, checks or clean-up.
fn bare(path: &Path, payload: &[u8]) -> std::io::Result<()> {
    let tmp = path.with_extension("bare");
    let mut file = File::create(&tmp)?;
    file.write_all(payload)?;
    file.sync_all()?;
    fs::rename(&tmp, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn locks(c: &mut Criterion) {
    let mut group = c.benchmark_group("lock and unlock");
    let folder = folder();
    let kept = KeptLock::new(folder.path().join("kept.lock"));
    group.bench_function("kept file", |b| {
        b.iter(|| kept.acquire(&POLICY, "bench").and_then(lock::Guard::release).expect("free"));
    });
    let path = folder.path().join("key.lock");
    group.bench_function("file made and unlinked", |b| {
        b.iter(|| lock::acquire(&path, &POLICY, "bench").and_then(lock::Guard::release).expect("free"));
    });
    group.finish();
}

fn ledger(c: &mut Criterion) {
    let mut group = c.benchmark_group("reserve and settle");
    let folder = folder();
    let most = 1 << 50;
    let model = ModelLimits { cost_per_call_micro_usd: most, cost_per_run_micro_usd: most };
    let limits = LedgerLimits {
        cost_per_run_micro_usd: most,
        models: [(MODEL.to_owned(), model)].into(),
        retries_per_run: most,
        tokens_per_run: most,
    };
    let round = |ledger: &Ledger| {
        let request = Request { call: 0, attempt: 1, model: MODEL, cost: MicroUsd(3), tokens: 5 };
        let kept = ledger.reserve(&request).expect("inside every limit");
        ledger.settle(kept, MicroUsd(1), 2).expect("settles");
    };
    let memory = Ledger::in_memory(limits.clone());
    group.bench_function("in memory", |b| b.iter(|| round(&memory)));
    let file = Ledger::open(&folder.path().join("ledger.jsonl"), limits, POLICY, Durability::None).expect("it opens");
    group.bench_function("journal, not synced", |b| b.iter(|| round(&file)));
    group.finish();
}

criterion_group!(benches, verified_get, durable_put, locks, ledger);
criterion_main!(benches);
