//! How long the mock takes for a scene, and a whole run in process takes: story, prompts, prose, measuring, repair, books
//! and reports. Ten thousand runs on two cores should take less than ten seconds.

use std::time::Duration;

use contract::calibration::Calibration;
use contract::seed::Seed;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::scribe::mock_prose::{self, MockAsk};
use engine::scribe::simulate::Bench;
use engine::scribe::style::Language;

fn scene(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mock_scene_150_words");
    for (name, language) in [("en", Language::En), ("fr", Language::Fr)] {
        let ask = MockAsk { language, target_words: 150, min_words: 120, max_words: 180, ..MockAsk::plain() };
        let mut seed = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                seed += 1;
                mock_prose::write(&ask, Seed(seed))
            });
        });
    }
}

/// One iteration is a thousand runs shared by two threads, as the stress drill shares them.
fn runs(criterion: &mut Criterion) {
    const RUNS: u64 = 1000;
    let calibration = include_bytes!("../../gates/policy/calibration.json");
    let calibration = Calibration::parse(calibration).expect("the shipped calibration is valid");
    let bench = Bench::new(calibration).expect("it has an epoch");
    let half = |first: u64| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime starts");
        for index in (first..RUNS).step_by(2) {
            let run = runtime.block_on(bench.run(index, Seed(42).derive("pr-g4", index)));
            std::hint::black_box(run.expect("a generated story runs"));
        }
    };
    let mut group = criterion.benchmark_group("runs_in_process_two_threads");
    group.throughput(Throughput::Elements(RUNS)).sample_size(10).measurement_time(Duration::from_secs(15));
    group.bench_function("1000", |bencher| {
        bencher.iter(|| {
            std::thread::scope(|scope| {
                scope.spawn(|| half(0));
                scope.spawn(|| half(1));
            });
        });
    });
}

criterion_group!(benches, scene, runs);
criterion_main!(benches);
