//! `drill concurrency`: many real processes share one folder, are killed, stopped and starved of disk, and every trace
//! they leave is written down. The rows are described in [`contract::record::lock`].
//!
//! The oracle is independent of the lock under test: inside the critical section each process takes a second kernel
//! lock on another file, and the intervals of all sections are written down on one clock.

use std::process::ExitCode;

use contract::exit;
use contract::record::lock::{Counter, Kill, Phase, Reader, Residue, Section, StoppedWaiter, Writer};
use contract::seed::Seed;

use super::process::{clear_when_interrupted, end_with_parent};
use super::{Common, DrillError, Setting};
use crate::clock::since_boot_ns;
use crate::store::lock::LockPolicy;

mod arena;
mod clock_jumps;
mod crowd;
mod log;
mod reader;
mod steps;
mod stopped;
mod storage;
mod storm;
mod takeover;
mod task;
mod trace;
mod writer;

use arena::Arena;
use task::Task;

/// `drill concurrency`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
}

/// `drill worker`: one process of the drill.
#[derive(Debug, clap::Args)]
pub struct WorkerArgs {
    /// What it does, as JSON
    task: String,
}

/// What all parts of the drill share.
struct Drill {
    setting: Setting,
    policy: LockPolicy,
    seed: Seed,
    /// Zero of all times in the rows, on the clock that counts from boot.
    zero_ns: u64,
    work: tempfile::TempDir,
}

impl Args {
    /// Runs all parts and writes one file for each kind of row.
    ///
    /// # Errors
    /// When what was given is wrong, or a process or file that the drill itself needs fails.
    pub fn run(self) -> Result<(), DrillError> {
        let setting = self.common.open()?;
        let drill = Drill {
            policy: LockPolicy::from(&setting.calibration),
            seed: setting.plan.seed(0).stream("concurrency"),
            zero_ns: since_boot_ns(),
            work: tempfile::Builder::new().prefix("proofhouse-drill-").tempdir()?,
            setting,
        };
        clear_when_interrupted(drill.work.path())?;
        let mut found = Found::default();
        crowd::calm(&drill, &mut found)?;
        storm::storm(&drill, &mut found)?;
        stopped::stopped(&drill, &mut found)?;
        let steps = steps::steps(&drill, &mut found)?;

        let setting = &drill.setting;
        setting.write_rows("writers.jsonl", &found.writers)?;
        setting.write_rows("sections.jsonl", &found.sections)?;
        setting.write_rows("counters.jsonl", &found.counters)?;
        setting.write_rows("readers.jsonl", &found.readers)?;
        setting.write_rows("kills.jsonl", &found.kills)?;
        setting.write_rows("stopped.jsonl", &found.stopped)?;
        setting.write_rows("residue.jsonl", &found.residues)?;
        setting.write_rows("steps.jsonl", &steps)?;
        setting.write_rows("takeovers.jsonl", &takeover::takeovers(&drill)?)?;
        setting.write_rows("traces.jsonl", &trace::traces(&drill)?)?;
        setting.write_rows("storage.jsonl", &storage::faults(&drill)?)?;
        setting.write_rows("clock.jsonl", &clock_jumps::jumps(&drill)?)
    }
}

impl WorkerArgs {
    /// Does the task; the exit code says whether it could be done.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let done = serde_json::from_str::<Task>(&self.task)
            .map_err(|error| DrillError::Usage(format!("task: {error}")))
            .and_then(|task| {
                end_with_parent()?;
                task.perform()
            });
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                use std::io::Write as _;
                // The exit code says it too, when nobody reads.
                let _ = writeln!(std::io::stderr(), "drill worker: {error}");
                ExitCode::from(exit::engine::UNAVAILABLE)
            }
        }
    }
}

/// The rows that several parts add to.
#[derive(Default)]
struct Found {
    writers: Vec<Writer>,
    sections: Vec<Section>,
    counters: Vec<Counter>,
    readers: Vec<Reader>,
    kills: Vec<Kill>,
    stopped: Vec<StoppedWaiter>,
    residues: Vec<Residue>,
}

impl Drill {
    /// A fresh folder for a phase.
    fn arena(&self, phase: Phase) -> Result<Arena, DrillError> {
        self.arena_with(phase, self.policy)
    }

    fn arena_with(&self, phase: Phase, policy: LockPolicy) -> Result<Arena, DrillError> {
        let folder = self.work.path().join(format!("{phase:?}").to_lowercase());
        let arena = Arena { folder, phase, policy, zero_ns: self.zero_ns };
        arena.prepare()?;
        Ok(arena)
    }

    /// Nanoseconds since the drill began.
    fn now_ns(&self) -> u64 {
        since_boot_ns().saturating_sub(self.zero_ns)
    }
}
