//! `engine scribe`: from two input files to a folder with the pack and its reports.

mod provider;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use contract::calibration::Calibration;
use contract::exit::engine as exit;
use contract::seed::Seed;
use serde_json::json;
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::ending::{Refusal, print_result, tell};
use crate::cli::policy;
use crate::clock::{Clock, UtcMillis};
use crate::pipeline::{Parts, Pipeline, SetupError};
use crate::provider::Provider;
use crate::scribe::flow::{self, Options, Progress, Stop};
use crate::scribe::output::Output;
use crate::scribe::simulate::TEMPERATURE;
use crate::scribe::validate::{LIMITS, Story};
use crate::store::atomic::{Durability, Observer};
use crate::store::cache::Cache;
use crate::store::ledger::{Ledger, LedgerError, limits_of};
use crate::store::lock::LockPolicy;
use crate::store::sweep::sweep;

/// Runs one story.
#[derive(Debug, clap::Args)]
pub(super) struct Scribe {
    /// What the story should be
    #[arg(long, value_name = "F")]
    intent: PathBuf,
    /// Its scenes and beats
    #[arg(long, value_name = "F")]
    plan: PathBuf,
    /// Folder for the pack; must be empty or absent
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    choice: provider::Choice,
    /// Decimal, or hex behind 0x [default: the calibration's seed]
    #[arg(long, value_name = "N", value_parser = Seed::parse_user)]
    seed: Option<Seed>,
    /// Calibration [default: $PROOFHOUSE_CALIBRATION, then gates/policy/calibration.json above]
    #[arg(long, value_name = "F")]
    calibration: Option<PathBuf>,
    /// Fault profiles [default: chaos.json beside the calibration]
    #[arg(long, value_name = "F")]
    chaos: Option<PathBuf>,
    /// Inject faults by this profile [default: the file's default profile]
    #[arg(long, value_name = "P")]
    chaos_profile: Option<String>,
    /// Keep replies here, and use those that are there
    #[arg(long, value_name = "DIR", conflicts_with = "no_cache")]
    cache: Option<PathBuf>,
    /// Keep no replies; this is the default
    #[arg(long)]
    no_cache: bool,
    /// Repair SOFT violations too
    #[arg(long)]
    repair_soft: bool,
    /// Simulate all waiting; for providers that need no real time
    #[arg(long)]
    virtual_time: bool,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Everything a run needs, checked; nothing is spent and nothing written before it is whole.
struct Ready {
    story: Story,
    options: Options,
    parts: Parts,
    chaos: bool,
}

impl Scribe {
    pub(super) fn run(self) -> ExitCode {
        match self.execute() {
            Ok(output) => self.report(&output),
            Err(refusal) => refusal.report(self.json),
        }
    }

    fn execute(&self) -> Result<Output, Refusal> {
        let story = self.story()?;
        let runtime = self.runtime().map_err(|error| Refusal::store(format!("cannot start: {error}")))?;
        runtime.block_on(async {
            let stop = stop().map_err(|error| Refusal::store(format!("cannot listen for signals: {error}")))?;
            let Ready { story, options, parts, chaos } = self.ready(story)?;
            let clock = parts.clock;
            let pipeline = Pipeline::new(parts).map_err(|error| Refusal::usage(error.to_string()))?;
            fs::create_dir_all(&self.out).map_err(|error| self.refused_out(&error))?;
            for violation in flow::story_violations(&story) {
                tell(&format!("story: {}", violation.message));
            }
            let outcome = flow::run(&story, &options, &pipeline, clock, stop, &mut tell_progress).await;
            let output = Output::of(&story, &options, pipeline.provider(), outcome)
                .map_err(|error| Refusal::store(error.to_string()))?;
            // The pipeline holds the ledger: it is closed before its lock file is swept away.
            drop(pipeline);
            output.write(&self.out, chaos).map_err(|error| Refusal::store(error.to_string()))?;
            sweep(&self.out, &Observer::default()).map_err(|error| Refusal::store(error.to_string()))?;
            Ok(output)
        })
    }

    fn story(&self) -> Result<Story, Refusal> {
        let read = |file: &Path| match read_limited(file) {
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(Refusal::input(vec![format!("{}: {error}", file.display())])),
        };
        Story::parse(&read(&self.intent)?, &read(&self.plan)?)
            .map_err(|problems| Refusal::input(problems.iter().map(ToString::to_string).collect()))
    }

    fn ready(&self, story: Story) -> Result<Ready, Refusal> {
        let found = policy::calibration(self.calibration.as_deref())?;
        let chaos = policy::chaos(&found, self.chaos.as_deref(), self.chaos_profile.as_deref())?;
        let model = self.choice.model()?;
        let provider = self.choice.provider()?;
        if self.choice.provider == provider::Name::Offline && self.cache.is_none() {
            return Err(Refusal::usage("--provider offline needs --cache DIR"));
        }
        let calibration = Arc::new(found.calibration);
        self.check_fit(&calibration, &model, provider.as_ref())?;
        self.check_out()?;
        let digest = calibration.digest().map_err(|error| Refusal::policy(error.to_string()))?;
        let seed = self.seed.unwrap_or(Seed(calibration.determinism.seed_base));
        let clock = self.clock(calibration.determinism.epoch_ms())?;
        let options = Options {
            seed,
            index: 0,
            model: model.clone(),
            temperature: TEMPERATURE,
            repair_attempts: calibration.repair.max_attempts,
            repair_soft: self.repair_soft,
            policy: digest,
        };
        let lock = LockPolicy::from(&*calibration);
        let ledger = Ledger::open(&self.out.join("ledger.jsonl"), limits_of(&calibration), lock, Durability::Full)
            .map_err(|error| match error {
                LedgerError::Store(error) => Refusal::store(error.to_string()),
                LedgerError::Refused(refusal) => Refusal::store(format!("{refusal:?}")),
            })?;
        let cache = match &self.cache {
            Some(folder) => Some(
                Cache::open(folder, lock, Durability::Full, clock)
                    .map_err(|error| Refusal::store(error.to_string()))?,
            ),
            None => None,
        };
        let with_chaos = chaos.is_some();
        let parts = Parts { calibration, model, provider, clock, seed, chaos, ledger: Some(ledger), cache };
        Ok(Ready { story, options, parts, chaos: with_chaos })
    }

    /// What the pipeline would refuse too, before a ledger is begun for it.
    fn check_fit(&self, calibration: &Calibration, model: &str, provider: &dyn Provider) -> Result<(), Refusal> {
        if !calibration.budget_limits.contains_key(model) {
            let known = calibration.budget_limits.keys().cloned().collect();
            let error = SetupError::UnknownModel { model: model.into(), known };
            return Err(Refusal::usage(error.to_string()));
        }
        if self.virtual_time && provider.needs_real_time() {
            let error = SetupError::VirtualTimeNeedsInProcess { provider: provider.identity().provider };
            return Err(Refusal::usage(format!("--virtual-time: {error}")));
        }
        Ok(())
    }

    fn runtime(&self) -> std::io::Result<Runtime> {
        runtime::Builder::new_current_thread().enable_all().start_paused(self.virtual_time).build()
    }

    fn clock(&self, epoch_ms: Option<u64>) -> Result<Clock, Refusal> {
        if !self.virtual_time {
            return Ok(Clock::real());
        }
        let epoch = epoch_ms.ok_or_else(|| Refusal::policy("/DETERMINISM/epoch: is no time"))?;
        Ok(Clock::virtual_from(UtcMillis(epoch)))
    }

    /// A folder with anything in it is somebody's work.
    fn check_out(&self) -> Result<(), Refusal> {
        match fs::read_dir(&self.out) {
            Ok(mut entries) => match entries.next() {
                None => Ok(()),
                Some(_) => Err(Refusal::usage(format!("--out {} is not empty", self.out.display()))),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.refused_out(&error)),
        }
    }

    fn refused_out(&self, error: &std::io::Error) -> Refusal {
        Refusal::usage(format!("--out {}: {error}", self.out.display()))
    }

    fn report(&self, output: &Output) -> ExitCode {
        let (ending, report) = (&output.ending, &output.report);
        let pack = self.out.join("prosepack.json").display().to_string();
        let verdict = if ending.exit == exit::GOOD { "PASS" } else { "FAIL" };
        let partial = if ending.partial { ", partial" } else { "" };
        let value = json!({
            "exit_code": ending.exit, "reason": ending.reason, "verdict": verdict, "message": ending.sentence,
            "partial": ending.partial, "pack": pack, "hard_score": report.hard_score, "soft_score": report.soft_score,
            "calls": report.calls, "attempts": report.attempts, "cached": report.cached,
            "cost_usd": report.cost_usd, "output_digest": report.output_digest,
        });
        let summary = format!(
            "{verdict}{partial}: {} (hard {:.3}, soft {:.3}, {} calls, ${})",
            ending.sentence, report.hard_score, report.soft_score, report.calls, report.cost_usd
        );
        print_result(self.json, &value, &[summary, pack, ending.reason.clone()]);
        ExitCode::from(ending.exit)
    }
}

/// Resolves at Ctrl-C or when a supervisor asks the process to end.
fn stop() -> std::io::Result<Stop> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(Box::pin(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }))
}

fn tell_progress(at: Progress<'_>) {
    let what = match (at.repair, at.written) {
        (0, true) => format!("{} words", at.words),
        (0, false) => "missing".into(),
        (repair, true) => format!("repair {repair}, {} words", at.words),
        (repair, false) => format!("repair {repair} failed"),
    };
    tell(&format!("scene {} of {} ({}): {what}, ${} so far", at.scene, at.scenes, at.scene_id, at.spent));
}

/// Reads a file up to one byte over the limit, which parsing then refuses.
fn read_limited(file: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(LIMITS.document_bytes as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
