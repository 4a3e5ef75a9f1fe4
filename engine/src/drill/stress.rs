//! `drill stress`: many runs of a workload, each from a seed of its own, by several workers at once. The rows are
//! described in [`contract::record::run`].

use std::fs;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use contract::record::run::{Equivalence, Memory, Outcome, Planted, Run};
use serde::Serialize;

use super::{Common, DrillError, Setting};
use crate::clock::monotonic_ns;
use crate::scribe::simulate::{Bench, Simulated};

mod command;

/// Workers of the main run.
const WORKERS: u64 = 2;
/// Numbers of workers whose results are compared.
const COMPARED: [u64; 3] = [1, 2, 8];
/// Runs after which live memory is noted: enough for a slope after the first third is dropped.
const MEMORY_RUNS: u64 = 180;

/// `drill stress`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
}

impl Args {
    /// Runs the workloads that the plan names. `live_bytes` tells what is allocated and not yet freed.
    ///
    /// # Errors
    /// When what was given is wrong, or a process or file that the drill itself needs fails.
    pub fn run(self, live_bytes: fn() -> u64) -> Result<(), DrillError> {
        let setting = self.common.open()?;
        if let Some(runs) = setting.plan.runs("stress", "scribe") {
            scribe(&setting, runs, live_bytes)?;
        }
        if let Some(runs) = setting.plan.runs("stress", "command") {
            setting.write_rows("stress-command.jsonl", &command::runs(&setting, runs)?)?;
        }
        Ok(())
    }
}

fn scribe(setting: &Setting, runs: u64, live_bytes: fn() -> u64) -> Result<(), DrillError> {
    let bench = Bench::new(setting.calibration.clone()).map_err(DrillError::Usage)?;
    let mut done = by_workers(setting, &bench, WORKERS, &(0..runs).collect::<Vec<_>>())?;
    // The first run again, when everything else has been through this process.
    let mut again = by_workers(setting, &bench, 1, &[0])?;
    again.iter_mut().for_each(|run| run.row.repeat = 1);
    done.append(&mut again);

    let rows: Vec<Run> = done.iter().map(|run| run.row.clone()).collect();
    setting.write_rows("stress-scribe.jsonl", &rows)?;
    let planted: Vec<Planted> = done.iter().filter(|run| run.row.repeat == 0).flat_map(Done::planted).collect();
    setting.write_rows("planted.jsonl", &planted)?;
    setting.write_rows("equivalence.jsonl", &equivalence(setting, &bench, runs)?)?;
    setting.write_rows("memory.jsonl", &memory(setting, &bench, live_bytes)?)
}

/// One run with its row.
struct Done {
    row: Run,
    simulated: Simulated,
}

/// Runs `indices` by so many threads; the result is in the order of `indices`.
fn by_workers(setting: &Setting, bench: &Bench, workers: u64, indices: &[u64]) -> Result<Vec<Done>, DrillError> {
    let next = AtomicU64::new(0);
    let done: Mutex<Vec<(usize, Result<Done, DrillError>)>> = Mutex::default();
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (next, done) = (&next, &done);
            scope.spawn(move || {
                let runtime = paused();
                loop {
                    let at = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX);
                    let Some(index) = indices.get(at) else { return };
                    let run = match &runtime {
                        Ok(runtime) => one(setting, bench, runtime, *index, worker),
                        Err(error) => Err(DrillError::Failed(format!("cannot start a worker: {error}"))),
                    };
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, run));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, run)| run).collect()
}

fn paused() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
}

fn one(
    setting: &Setting,
    bench: &Bench,
    runtime: &tokio::runtime::Runtime,
    index: u64,
    worker: u64,
) -> Result<Done, DrillError> {
    let seed = setting.plan.seed(index);
    let start_ns = monotonic_ns();
    let simulated = runtime.block_on(bench.run(index, seed)).map_err(|reason| failed(index, &reason))?;
    let end_ns = monotonic_ns();
    let report = &simulated.output.report;
    let row = Run {
        workload: report.workload.into(),
        index,
        repeat: 0,
        seed,
        input_digest: report.input_digest,
        output_digest: report.output_digest,
        exit_code: report.exit_code,
        planned: report.planned,
        missing: report.missing,
        violations: report.violations.clone(),
        hard_pass: report.hard_pass,
        soft_pass: report.soft_pass,
        scores: [("hard_score".into(), report.hard_score), ("soft_score".into(), report.soft_score)].into(),
        calls: report.calls,
        attempts: report.attempts,
        retries: report.retries,
        cached: report.cached,
        tokens: report.tokens,
        cost_micro_usd: report.cost_usd.0,
        duration_ms: report.timing.duration_ms,
        worker,
        start_ns,
        end_ns,
    };
    Ok(Done { row, simulated })
}

fn failed(index: u64, reason: &str) -> DrillError {
    DrillError::Failed(format!("run {index}: {reason}"))
}

impl Done {
    fn planted(&self) -> impl Iterator<Item = Planted> + '_ {
        self.simulated.planted.iter().map(|scene| Planted {
            index: self.row.index,
            seed: self.row.seed,
            scene_id: scene.scene_id.clone(),
            planted: words(&scene.planted),
            measured: words(&scene.measured),
        })
    }

    fn outcome(&self) -> Outcome {
        let Run { output_digest, attempts, cost_micro_usd, .. } = self.row;
        Outcome { output_digest, attempts, cost_micro_usd }
    }
}

fn words(rules: &[impl Serialize]) -> Vec<String> {
    let mut words: Vec<String> = rules.iter().map(crate::scribe::output::word).collect();
    words.sort_unstable();
    words
}

/// The same indices at 1, 2 and 8 workers, spread over all runs.
fn equivalence(setting: &Setting, bench: &Bench, runs: u64) -> Result<Vec<Equivalence>, DrillError> {
    let count = setting.calibration.repeated_indices.min(runs).max(1);
    let indices: Vec<u64> = (0..count).map(|at| at * runs / count).collect();
    let mut rows = Vec::new();
    for workers in COMPARED {
        rows.extend(by_workers(setting, bench, workers, &indices)?.iter().map(|done| Equivalence {
            workload: done.row.workload.clone(),
            index: done.row.index,
            seed: done.row.seed,
            workers,
            outcome: done.outcome(),
            scores: done.row.scores.clone(),
        }));
    }
    rows.sort_by_key(|row| (row.index, row.workers));
    Ok(rows)
}

/// Runs one after the other and notes what stays allocated; nothing of a run is kept.
fn memory(setting: &Setting, bench: &Bench, live_bytes: fn() -> u64) -> Result<Vec<Memory>, DrillError> {
    let runtime = paused()?;
    // Room first, so that the list itself does not grow between two rows.
    let mut seen = Vec::with_capacity(usize::try_from(MEMORY_RUNS).unwrap_or(0));
    for index in 0..MEMORY_RUNS {
        drop(one(setting, bench, &runtime, index, 0)?);
        seen.push((live_bytes(), resident_bytes()?));
    }
    let row =
        |(index, (live_bytes, resident_bytes))| Memory { workload: "scribe".into(), index, live_bytes, resident_bytes };
    Ok((0..).zip(seen).map(row).collect())
}

/// The resident set of this process, as the kernel states it.
fn resident_bytes() -> Result<u64, DrillError> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| DrillError::Failed("/proc/self/status states no VmRSS".into()))
}
