//! The runs of one workload as a sample: distinct inputs, each with what its runs say, derived from rows alone.

use std::collections::BTreeMap;

use contract::digest::Digest;
use contract::record::run::{Run, Severity};

use crate::check::Unjudged;
use crate::evidence::{Context, Rows};

/// The violations that a scene is taken to be able to commit; one without prose breaks as many HARD rules.
const WEIGHT_PER_SCENE: u64 = 5;

/// The runs of one workload.
pub(super) struct Sample {
    pub(super) workload: String,
    pub(super) rows: Rows<Run>,
    /// Distinct inputs in the order of their first index.
    pub(super) inputs: Vec<Input>,
}

/// One distinct input: it passes only if all its runs do.
pub(super) struct Input {
    pub(super) hard_pass: bool,
    pub(super) soft_pass: bool,
    /// Metrics of its first run.
    pub(super) scores: BTreeMap<String, f64>,
}

impl Sample {
    pub(super) fn read(context: &Context<'_>, workload: &str) -> Result<Self, Unjudged> {
        let rows = context.rows::<Run>(&format!("stress-{workload}.jsonl"))?;
        let mut order: Vec<Digest> = Vec::new();
        let mut inputs: BTreeMap<Digest, Input> = BTreeMap::new();
        for (line, run) in &rows.rows {
            if run.workload != workload {
                let reason = format!("a row of workload {} stands among those of {workload}", run.workload);
                return Err(Unjudged::Integrity { place: rows.at(*line), reason });
            }
            let (hard_pass, soft_pass) = (hard_pass(run), soft_pass(run));
            match inputs.get_mut(&run.input_digest) {
                Some(input) => {
                    input.hard_pass &= hard_pass;
                    input.soft_pass &= soft_pass;
                }
                None => {
                    order.push(run.input_digest);
                    inputs.insert(run.input_digest, Input { hard_pass, soft_pass, scores: derived_scores(run) });
                }
            }
        }
        let inputs = order.iter().filter_map(|digest| inputs.remove(digest)).collect();
        Ok(Self { workload: workload.to_owned(), rows, inputs })
    }

    /// One score of every distinct input; `Err` names the first run that lacks it.
    pub(super) fn scores(&self, name: &str) -> Result<Vec<f64>, Unjudged> {
        let found: Option<Vec<f64>> = self.inputs.iter().map(|input| input.scores.get(name).copied()).collect();
        found.ok_or_else(|| Unjudged::NoEvidence {
            place: self.rows.place.clone(),
            reason: format!("a run of {} has no score `{name}`", self.workload),
        })
    }
}

/// Whether a run passed hard, by its exit code and its violations; never by its own word.
pub(super) fn hard_pass(run: &Run) -> bool {
    run.exit_code == 0 && run.missing == 0 && count(run, Severity::Hard) == 0
}

fn soft_pass(run: &Run) -> bool {
    run.exit_code == 0 && count(run, Severity::Soft) == 0
}

/// The scores of a run: of our own engine recounted from its violations, of a foreign program as it printed them.
pub(super) fn derived_scores(run: &Run) -> BTreeMap<String, f64> {
    if run.planned == 0 {
        return run.scores.clone();
    }
    let score = |severity| (1.0 - count(run, severity) as f64 / (WEIGHT_PER_SCENE * run.planned) as f64).max(0.0);
    BTreeMap::from([("hard_score".to_owned(), score(Severity::Hard)), ("soft_score".to_owned(), score(Severity::Soft))])
}

fn count(run: &Run, severity: Severity) -> u64 {
    run.violations.values().filter(|broken| broken.severity == severity).map(|broken| broken.count).sum()
}
