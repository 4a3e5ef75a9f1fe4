//! `drill chaos`: storms of calls under every fault profile, at several seeds and concurrencies; whole stories under them,
//! repeated through the built `engine`; calls over real HTTP against a server process. The rows are described in [`contract::record::chaos`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract::record::chaos::WireCase;

use super::{Common, DrillError};

mod stories;
pub mod storm;
pub mod third_party;
pub mod wire;

/// `drill chaos`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// The `wire` program; beside this one where none is given
    #[arg(long, value_name = "FILE")]
    wire: Option<PathBuf>,
    /// The `engine` program; beside this one where none is given
    #[arg(long, value_name = "FILE")]
    engine: Option<PathBuf>,
}

impl Args {
    /// Runs all parts and writes their files.
    ///
    /// # Errors
    /// When what was given is wrong, or a process or file that the drill itself needs fails.
    pub fn run(self) -> Result<(), DrillError> {
        let setting = self.common.open()?;
        storm::storms(&setting)?;
        let engine = match self.engine {
            Some(program) => program,
            None => beside("engine")?,
        };
        setting.write_rows("repeats.jsonl", &stories::repeats(&setting, &engine)?)?;
        let program = match self.wire {
            Some(program) => program,
            None => beside("wire")?,
        };
        let calibration = setting.scenario("wire")?.unwrap_or_else(|| setting.calibration.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let calibration = Arc::new(calibration);
        let mut made = runtime.block_on(wire::cases(&program, &calibration)).map_err(DrillError::Failed)?;
        let mut absent = Vec::new();
        match third_party::program() {
            Some(program) => {
                let theirs = runtime.block_on(third_party::cases(&program, &calibration));
                made.extend(theirs.map_err(DrillError::Failed)?);
            }
            None => absent = third_party::not_run(),
        }
        for case in &made {
            let folder = format!("wire-journal/{}", case.case.case);
            setting.write_rows(&format!("{folder}/attempts.jsonl"), &case.attempts)?;
            let lines: String = case.arrived.iter().map(|line| format!("{line}\n")).collect();
            setting.write_bytes(&format!("{folder}/arrived.jsonl"), lines.as_bytes())?;
        }
        let rows: Vec<WireCase> = made.into_iter().map(|made| made.case).chain(absent).collect();
        setting.write_rows("wire.jsonl", &rows)
    }
}

/// A program that was built beside this one.
///
/// # Errors
/// When this program does not know where it lies.
pub(super) fn beside(name: &str) -> Result<PathBuf, DrillError> {
    let own = std::env::current_exe()?;
    Ok(own.parent().unwrap_or(Path::new(".")).join(name))
}
