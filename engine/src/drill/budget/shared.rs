//! Processes that spend from one ledger at once, and one that is killed while its reservation is open.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use contract::calibration::Calibration;
use contract::exit;
use contract::money::MicroUsd;
use contract::record::budget::{BudgetCase, Claim};
use contract::record::cost::ViolationKind;
use contract::record::ledger::{self, LedgerEntry};
use contract::seed::Seed;
use serde::{Deserialize, Serialize};

use super::folder;
use super::script::{MODEL, context, exit_code, good, request};
use crate::clock::Clock;
use crate::drill::process::{Ending, Worker};
use crate::drill::{DrillError, Setting};
use crate::pipeline::{Parts, Pipeline};
use crate::provider::scripted::{Scripted, Step};
use crate::store::atomic::Durability;
use crate::store::ledger::{Ledger, limits_of};
use crate::store::lock::LockPolicy;

/// What the processes together may spend: some thirty calls.
const LIMIT: MicroUsd = MicroUsd(7_777);

/// How long an answer takes, so that reservations of several processes are open at once.
const ANSWER: Duration = Duration::from_millis(3);

/// The longest that the drill waits for a reservation to appear.
const RESERVED_MAX_TURNS: u32 = 2_000;

/// `drill budget-worker`: one process that spends.
#[derive(Debug, clap::Args)]
pub struct WorkerArgs {
    /// What it does, as JSON
    task: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Task {
    ledger: PathBuf,
    calibration: PathBuf,
    /// Where it writes its run-cost.json, without a stamp.
    report: PathBuf,
    /// Number of its first call.
    first_call: u64,
    /// Whether its first call never ends.
    hangs: bool,
}

/// Several processes start together and spend until the ledger refuses each.
pub(super) fn overspend(setting: &Setting) -> Result<BudgetCase, DrillError> {
    let arena = Arena::new(setting, "concurrent-overspend")?;
    let processes = setting.calibration.concurrency_n;
    let mut workers = Vec::new();
    for number in 0..processes {
        workers.push(arena.start(number, false)?);
    }
    // They wait for the end of their stdin, so that none is done before the last has begun.
    workers.iter_mut().for_each(Worker::go);
    let endings = workers.into_iter().map(Worker::wait).collect::<Result<Vec<_>, _>>()?;
    arena.row(setting, Claim::ConcurrentOverspend, &endings, 0..processes)
}

/// One process is killed inside its first call; a second one joins the ledger and spends what is left.
pub(super) fn crash(setting: &Setting) -> Result<BudgetCase, DrillError> {
    let arena = Arena::new(setting, "crash-charged")?;
    let mut hanging = arena.start(0, true)?;
    hanging.go();
    arena.wait_for_reservation()?;
    hanging.kill()?;
    let mut second = arena.start(1, false)?;
    second.go();
    let ending = second.wait()?;
    arena.row(setting, Claim::CrashCharged, &[ending], 1..2)
}

/// A folder of the processes of one scenario.
struct Arena {
    scenario: &'static str,
    work: tempfile::TempDir,
    calibration: Calibration,
}

impl Arena {
    fn new(setting: &Setting, scenario: &'static str) -> Result<Self, DrillError> {
        let work = tempfile::Builder::new().prefix("proofhouse-drill-").tempdir()?;
        // Each process has a rate limiter of its own, which would only make the scenario longer.
        let calibration =
            Calibration { max_cost_per_run_usd: LIMIT, rate_limit_per_min: 1_000_000, ..setting.calibration.clone() };
        let bytes = calibration.to_value().and_then(|value| contract::canonical::to_bytes(&value));
        let bytes = bytes.map_err(|error| DrillError::Failed(error.to_string()))?;
        std::fs::write(work.path().join("calibration.json"), bytes)?;
        Ok(Self { scenario, work, calibration })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    fn start(&self, number: u64, hangs: bool) -> Result<Worker, DrillError> {
        let task = Task {
            ledger: self.path("ledger.jsonl"),
            calibration: self.path("calibration.json"),
            report: self.path(&format!("run-cost-{number}.json")),
            first_call: number * 1_000_000,
            hangs,
        };
        let task = serde_json::to_string(&task).map_err(|error| DrillError::Failed(error.to_string()))?;
        Ok(Worker::start_waiting(&["budget-worker", &task])?)
    }

    fn wait_for_reservation(&self) -> Result<(), DrillError> {
        for _ in 0..RESERVED_MAX_TURNS {
            // Until the process has begun the journal there is no file, and no reservation.
            if std::fs::read(self.path("ledger.jsonl")).is_ok_and(|journal| reservations(&journal) > 0) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(DrillError::Failed(format!("{}: no reservation appeared", self.scenario)))
    }

    /// Writes the files of the scenario, and its row.
    fn row(
        &self,
        setting: &Setting,
        claim: Claim,
        endings: &[Ending],
        reported: std::ops::Range<u64>,
    ) -> Result<BudgetCase, DrillError> {
        let folder = folder(self.scenario);
        let journal = std::fs::read(self.path("ledger.jsonl"))?;
        for number in reported {
            let name = format!("run-cost-{number}.json");
            let cost = super::refused::unstamped(&std::fs::read(self.path(&name))?)?;
            setting.write_file(&format!("{folder}/{name}"), &cost)?;
        }
        setting.write_bytes(&format!("{folder}/ledger.jsonl"), &journal)?;
        setting.write_calibration(&format!("{folder}/calibration.json"), &self.calibration)?;
        Ok(BudgetCase {
            scenario: self.scenario.into(),
            claim,
            kind: Some(ViolationKind::CostPerRun),
            key: Some("/MAX_COST_PER_RUN_USD".into()),
            exit_code: worst(endings),
            process: true,
            arrived: reservations(&journal),
            processes: endings.len() as u64 + u64::from(claim == Claim::CrashCharged),
            said: String::new(),
            not_run: None,
        })
    }
}

/// The code that all processes ended with; absent where they differ or a signal ended one.
fn worst(endings: &[Ending]) -> Option<u8> {
    let first = endings.first()?.exit_code?;
    endings.iter().all(|ending| ending.exit_code == Some(first)).then_some(first)
}

/// Every reservation of these scripts is followed by its attempt.
fn reservations(journal: &[u8]) -> u64 {
    let mut trail = ledger::NO_TRAIL;
    let mut count = 0;
    for line in journal.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let Ok((row, next)) = ledger::read_line(trail, line) else { break };
        trail = next;
        count += u64::from(matches!(row.entry, LedgerEntry::Reserve { .. }));
    }
    count
}

impl WorkerArgs {
    /// Spends until it is refused; the exit code is that of such a run.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.spend() {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                use std::io::Write as _;
                // The exit code says it too, when nobody reads.
                let _ = writeln!(std::io::stderr(), "drill budget-worker: {error}");
                ExitCode::from(exit::engine::INTERNAL)
            }
        }
    }

    fn spend(&self) -> Result<u8, DrillError> {
        let failed = |reason: &dyn std::fmt::Display| DrillError::Failed(reason.to_string());
        let task: Task = serde_json::from_str(&self.task).map_err(|error| failed(&error))?;
        let calibration = Calibration::parse(&std::fs::read(&task.calibration)?).map_err(|error| failed(&error))?;
        let policy = LockPolicy::from(&calibration);
        let ledger = Ledger::open(&task.ledger, limits_of(&calibration), policy, Durability::None);
        let ledger = ledger.map_err(|error| failed(&error))?;
        std::io::stdin().read_to_end(&mut Vec::new())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let record = runtime.block_on(async {
            let answer = if task.hangs { good().after(Duration::from_secs(3600)) } else { good().after(ANSWER) };
            let pipeline = pipeline(calibration, ledger, answer)?;
            let mut index = task.first_call;
            while pipeline.call(context(index), &request(index)).await.is_ok() {
                index += 1;
            }
            Ok::<_, DrillError>(pipeline.record())
        })?;
        let bytes = contract::record::to_user_file(&record.cost).map_err(|error| failed(&error))?;
        std::fs::write(Path::new(&task.report), bytes)?;
        Ok(exit_code(&record.cost, true))
    }
}

fn pipeline(calibration: Calibration, ledger: Ledger, answer: Step) -> Result<Pipeline, DrillError> {
    let parts = Parts {
        calibration: Arc::new(calibration),
        model: MODEL.into(),
        provider: Arc::new(Scripted::new(Vec::new(), answer)),
        clock: Clock::real(),
        seed: Seed(0),
        chaos: None,
        ledger: Some(ledger),
        cache: None,
    };
    Pipeline::new(parts).map_err(|error| DrillError::Usage(error.to_string()))
}
