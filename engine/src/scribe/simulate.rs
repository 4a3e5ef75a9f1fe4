//! One run of a generated story inside this process: the mock answers, time is simulated, nothing touches a disk.
//! The same seed through `engine story` and `engine scribe --virtual-time` gives the same output.

use std::sync::Arc;

use contract::calibration::Calibration;
use contract::digest::Digest;
use contract::seed::Seed;

use crate::clock::{Clock, UtcMillis};
use crate::pipeline::{Parts, Pipeline, Profile};
use crate::provider::mock::{DEFECT_RATE, Mock};
use crate::scribe::flow::{self, Options};
use crate::scribe::generate;
use crate::scribe::measure::rules::{Rule, Severity};
use crate::scribe::output::Output;
use crate::scribe::validate::Story;

/// The model that the mock is priced as.
pub const MODEL: &str = "mock-prose-1";
/// Sampling temperature of every request.
pub const TEMPERATURE: f64 = 0.7;

/// What many runs share.
#[derive(Clone, Debug)]
pub struct Bench {
    calibration: Arc<Calibration>,
    policy: Digest,
    epoch: UtcMillis,
    chaos: Option<Profile>,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// Its reports.
    pub output: Output,
    /// What was planted and what was measured, for each scene whose first call was answered.
    pub planted: Vec<PlantedScene>,
}

/// HARD rules of the first prose of one scene, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlantedScene {
    /// The scene.
    pub scene_id: String,
    /// Broken on purpose.
    pub planted: Vec<Rule>,
    /// Found broken.
    pub measured: Vec<Rule>,
}

impl Bench {
    /// Prepares runs under a calibration.
    ///
    /// # Errors
    /// A sentence, when the calibration has no digest or no epoch; none that was parsed lacks them.
    pub fn new(calibration: Calibration) -> Result<Self, String> {
        let policy = calibration.digest().map_err(|error| error.to_string())?;
        let epoch = calibration.determinism.epoch_ms().ok_or("/DETERMINISM/epoch: is no time")?;
        Ok(Self { calibration: Arc::new(calibration), policy, epoch: UtcMillis(epoch), chaos: None })
    }

    /// The same runs under a fault profile.
    #[must_use]
    pub fn under(self, profile: Profile) -> Self {
        Self { chaos: Some(profile), ..self }
    }

    /// Runs the story of `seed`. The caller's runtime must be a paused current-thread runtime.
    ///
    /// # Errors
    /// A sentence, when the story is refused or a report has no canonical form: both are defects of the engine.
    pub async fn run(&self, index: u64, seed: Seed) -> Result<Simulated, String> {
        let (intent, plan) = generate::story(seed);
        let story = Story::from_parts(&intent, &plan).map_err(|problems| format!("{problems:?}"))?;
        let options = Options {
            seed,
            index,
            model: MODEL.into(),
            temperature: TEMPERATURE,
            repair_attempts: self.calibration.repair.max_attempts,
            repair_soft: false,
            policy: self.policy,
        };
        let mock = Arc::new(Mock::new(DEFECT_RATE));
        let clock = Clock::virtual_from(self.epoch);
        let parts = Parts {
            calibration: self.calibration.clone(),
            model: MODEL.into(),
            provider: mock.clone(),
            clock,
            seed,
            chaos: self.chaos.clone(),
            ledger: None,
            cache: None,
        };
        let pipeline = Pipeline::new(parts).map_err(|error| error.to_string())?;
        let never = Box::pin(std::future::pending());
        let outcome = flow::run(&story, &options, &pipeline, clock, never, &mut |_| {}).await;
        let journal = mock.planted();
        let planted = outcome.scenes.iter().filter_map(|scene| {
            let broken = journal.get(&flow::call_key(&scene.scene_id, 0))?;
            let mut planted: Vec<Rule> =
                broken.iter().copied().filter(|rule| rule.severity() == Severity::Hard).collect();
            planted.sort_unstable();
            Some(PlantedScene { scene_id: scene.scene_id.clone(), planted, measured: scene.first_hard.clone()? })
        });
        let planted = planted.collect();
        let output = Output::of(&story, &options, pipeline.provider(), outcome).map_err(|error| error.to_string())?;
        Ok(Simulated { output, planted })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn bench() -> Bench {
        let shipped = include_bytes!("../../../gates/policy/calibration.json");
        Bench::new(Calibration::parse(shipped).expect("the shipped calibration is valid")).expect("it has an epoch")
    }

    fn paused() -> tokio::runtime::Runtime {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime starts")
    }

    fn digests(bench: &Bench, indices: impl Iterator<Item = u64>) -> BTreeSet<(u64, Digest)> {
        let runtime = paused();
        let run = |index| {
            let run = runtime.block_on(bench.run(index, Seed(42).derive("pr-g4", index))).expect("a run reports");
            (index, run.output.output_digest())
        };
        indices.map(run).collect()
    }

    #[test]
    fn a_run_depends_on_its_seed_alone_and_not_on_the_order() {
        let bench = bench();
        let forwards = digests(&bench, 0..20);
        assert_eq!(forwards, digests(&bench, (0..20).rev()));
        let distinct: BTreeSet<Digest> = forwards.iter().map(|(_, digest)| *digest).collect();
        assert_eq!(distinct.len(), 20);
    }

    #[test]
    fn planted_and_measured_agree_scene_by_scene_and_repair_mends_most() {
        let (bench, runtime) = (bench(), paused());
        let (mut scenes, mut planted, mut passed) = (0, 0, 0);
        for index in 0..80 {
            let run = runtime.block_on(bench.run(index, Seed(7).derive("pr-g4", index))).expect("a run reports");
            for scene in &run.planted {
                assert_eq!(scene.planted, scene.measured, "run {index} {}", scene.scene_id);
                scenes += 1;
                planted += scene.planted.len();
            }
            passed += u64::from(run.output.ending.exit == 0);
        }
        assert!(scenes >= 300 && planted >= 20, "{planted} defects in {scenes} scenes");
        assert!(passed >= 77, "{passed} of 80 passed");
    }
}
