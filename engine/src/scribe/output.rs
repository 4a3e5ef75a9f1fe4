//! What a run leaves: the pack, the prose, the reports. Values here; writing them is a step of its own.

mod ending;
mod pack;
mod report;

use std::path::Path;

use contract::canonical::{self, JsonError};
use contract::digest::Digest;
use contract::record::{self, Stamp};
use serde_json::Value;

pub use crate::scribe::output::ending::Ending;
pub(crate) use crate::scribe::output::ending::word;
pub use crate::scribe::output::pack::output_digest;
pub use crate::scribe::output::report::{RunReport, Timing};

use crate::scribe::flow::{Options, Outcome};
use crate::scribe::repair::RepairReport;
use crate::scribe::validate::Story;
use crate::store::StoreError;
use crate::store::atomic::{self, Durability, Observer};

/// Everything that is reported about a run.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub ending: Ending,
    /// `prosepack.json`.
    pub pack: Value,
    /// `prose.txt`.
    pub prose: String,
    /// `run-report.json`.
    pub report: RunReport,
    repair: RepairReport,
    record: crate::pipeline::RunRecord,
    stamp: Stamp,
}

/// Why a run's files could not be written.
#[derive(Debug)]
pub enum WriteError {
    /// A value has no canonical form.
    Json(JsonError),
    /// The folder refuses.
    Store(StoreError),
}

impl Output {
    /// Reports a run.
    ///
    /// # Errors
    /// When a number is not finite: then there is nothing that could be believed.
    pub fn of(story: &Story, options: &Options, provider: &str, outcome: Outcome) -> Result<Self, JsonError> {
        let ending = Ending::of(&outcome);
        let pack::Built { value, prose, output_digest } = pack::build(story, options, provider, &outcome)?;
        let report = RunReport::of(story, options, &outcome, &ending, output_digest);
        // Rows of a run that no gate has planned carry the digest of the story's plan.
        let stamp = Stamp { plan: story.plan_hash, policy: options.policy };
        Ok(Self { ending, pack: value, prose, report, repair: outcome.repair, record: outcome.record, stamp })
    }

    /// The digest that a repeat of the run must give again.
    #[must_use]
    pub fn output_digest(&self) -> Digest {
        self.report.output_digest
    }

    /// Every file of the run with its bytes; `chaos-log.json` only when faults were injected or could have been.
    ///
    /// # Errors
    /// When a number has no canonical form.
    pub fn files(&self, with_chaos: bool) -> Result<Vec<(&'static str, Vec<u8>)>, JsonError> {
        let mut attempts = Vec::new();
        for row in &self.record.attempts {
            attempts.extend(record::to_line(&self.stamp, row)?);
        }
        let mut files = vec![
            ("prosepack.json", canonical::to_pretty(&self.pack)?),
            ("prose.txt", self.prose.clone().into_bytes()),
            ("run-cost.json", record::to_file(&self.stamp, &self.record.cost)?),
            ("attempts.jsonl", attempts),
            ("repair-report.json", canonical::to_pretty(&self.repair)?),
        ];
        if with_chaos {
            files.push(("chaos-log.json", record::to_file(&self.stamp, &self.record.chaos_log)?));
        }
        // Last, so that a folder with a report is whole.
        files.push(("run-report.json", canonical::to_pretty(&self.report)?));
        Ok(files)
    }

    /// Writes every file into `folder`, each one whole.
    ///
    /// # Errors
    /// The first file that could not be written.
    pub fn write(&self, folder: &Path, with_chaos: bool) -> Result<(), WriteError> {
        for (name, bytes) in self.files(with_chaos).map_err(WriteError::Json)? {
            let put = atomic::put(&folder.join(name), &bytes, Durability::File, &Observer::default());
            put.map_err(WriteError::Store)?;
        }
        Ok(())
    }
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(error) => write!(f, "{error}"),
            Self::Store(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for WriteError {}
