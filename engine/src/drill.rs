//! Drills: programs that exercise the real engine (real processes, real files) and write observations. They never judge.
//!
//! Every drill takes the plan of its gate, whose digest is stamped into each row, the resolved calibration, the policy of
//! the run, and the folder for its files. One file a drill.

use std::fmt;
use std::path::{Path, PathBuf};

use contract::calibration::Calibration;
use contract::exit;
use contract::plan::Plan;
use contract::policy::GatePolicy;
use contract::record::{self, Record, Stamp};

use crate::store::StoreError;
use crate::store::atomic::{self, Durability, Observer};

pub mod budget;
pub mod chaos;
pub mod concurrency;
pub mod counterpart;
mod process;
pub mod stress;

/// What every drill is given.
#[derive(Clone, Debug, clap::Args)]
pub struct Common {
    /// plan.json of the gate
    #[arg(long, value_name = "FILE")]
    pub plan: PathBuf,
    /// The resolved calibration
    #[arg(long, value_name = "FILE")]
    pub calibration: PathBuf,
    /// Folder for the observations
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// policy/gate.json of the run: fault profiles, and scenarios with values of their own
    #[arg(long, value_name = "FILE")]
    pub policy: PathBuf,
}

/// A drill that was set up: everything it was given, read and checked.
#[derive(Debug)]
pub struct Setting {
    /// The plan of the gate.
    pub plan: Plan,
    /// The stamp of every row.
    pub stamp: Stamp,
    /// The calibration in force.
    pub calibration: Calibration,
    /// All the policy of the run.
    pub policy: GatePolicy,
    /// Folder for the observations.
    pub out: PathBuf,
}

/// Why a drill could not be done. What it observes is never an error.
#[derive(Debug)]
pub enum DrillError {
    /// An argument or a file that was given is wrong.
    Usage(String),
    /// Something that the drill needs failed.
    Failed(String),
}

/// The exit code of an error.
#[must_use]
pub fn exit_code(error: &DrillError) -> u8 {
    match error {
        DrillError::Usage(_) => exit::engine::USAGE,
        DrillError::Failed(_) => exit::engine::UNAVAILABLE,
    }
}

impl Common {
    /// Reads and checks what was given.
    ///
    /// # Errors
    /// [`DrillError::Usage`] naming the file and what is wrong with it.
    pub fn open(&self) -> Result<Setting, DrillError> {
        let plan = Plan::parse(&read(&self.plan)?).map_err(|reason| usage(&self.plan, &reason))?;
        let stamp = plan.stamp().map_err(|error| usage(&self.plan, &error))?;
        let policy = GatePolicy::parse(&read(&self.policy)?).map_err(|reason| usage(&self.policy, &reason))?;
        let calibration =
            Calibration::parse(&read(&self.calibration)?).map_err(|refused| usage(&self.calibration, &refused))?;
        Ok(Setting { plan, stamp, calibration, policy, out: self.out.clone() })
    }
}

impl Setting {
    /// Writes a file of observations whole, one canonical line a row.
    ///
    /// # Errors
    /// When a row has no canonical form or the file cannot be written.
    pub fn write_rows<T: Record>(&self, file: &str, rows: &[T]) -> Result<(), DrillError> {
        let mut bytes = Vec::new();
        for row in rows {
            let line = record::to_line(&self.stamp, row);
            bytes.extend(line.map_err(|error| DrillError::Failed(format!("row of `{file}`: {error}")))?);
        }
        self.write_bytes(file, &bytes)
    }

    /// Writes a file with one record, laid out for people.
    ///
    /// # Errors
    /// As [`Setting::write_rows`].
    pub fn write_file<T: Record>(&self, file: &str, record: &T) -> Result<(), DrillError> {
        let bytes = record::to_file(&self.stamp, record);
        self.write_bytes(file, &bytes.map_err(|error| DrillError::Failed(format!("`{file}`: {error}")))?)
    }

    /// Writes the calibration that a part of the drill was given.
    ///
    /// # Errors
    /// As [`Setting::write_rows`].
    pub fn write_calibration(&self, file: &str, calibration: &Calibration) -> Result<(), DrillError> {
        let bytes = calibration.to_value().and_then(|value| contract::canonical::to_pretty(&value));
        self.write_bytes(file, &bytes.map_err(|error| DrillError::Failed(format!("`{file}`: {error}")))?)
    }

    /// Writes a file whole; its folder is made.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_bytes(&self, file: &str, bytes: &[u8]) -> Result<(), DrillError> {
        Ok(atomic::put(&self.out.join(file), bytes, Durability::None, &Observer::default())?)
    }

    /// The calibration of a scenario; `None` when the policy gives it no values of its own.
    ///
    /// # Errors
    /// [`DrillError::Usage`] when these values are refused.
    pub fn scenario(&self, name: &str) -> Result<Option<Calibration>, DrillError> {
        if !self.policy.scenarios.contains_key(name) {
            return Ok(None);
        }
        let calibration = self.policy.scenario(name);
        calibration.map(Some).map_err(|refused| DrillError::Usage(format!("scenario `{name}`: {refused}")))
    }
}

fn read(file: &Path) -> Result<Vec<u8>, DrillError> {
    std::fs::read(file).map_err(|error| usage(file, &error))
}

fn usage(file: &Path, reason: &impl fmt::Display) -> DrillError {
    DrillError::Usage(format!("{}: {reason}", file.display()))
}

impl From<StoreError> for DrillError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<std::io::Error> for DrillError {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl fmt::Display for DrillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(reason) | Self::Failed(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for DrillError {}
