//! `drill budget`: runs that stay inside their limits, meet them exactly and pass them; processes that share one budget
//! and are killed while they spend; policies and models that must be refused. The rows are described in
//! [`contract::record::budget`].

use contract::record::budget::BudgetCase;

use super::{Common, DrillError};

mod refused;
mod script;
mod shared;

pub use shared::WorkerArgs;

/// `drill budget`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// The `engine` program; beside this one where none is given
    #[arg(long, value_name = "FILE")]
    engine: Option<std::path::PathBuf>,
}

impl Args {
    /// Runs all parts and writes their files.
    ///
    /// # Errors
    /// When what was given is wrong, or a process or file that the drill itself needs fails.
    pub fn run(self) -> Result<(), DrillError> {
        let setting = self.common.open()?;
        let engine = match self.engine {
            Some(program) => program,
            None => super::chaos::beside("engine")?,
        };
        let mut rows: Vec<BudgetCase> = script::scenarios(&setting)?;
        rows.push(shared::overspend(&setting)?);
        rows.push(shared::crash(&setting)?);
        rows.extend(refused::scenarios(&setting, &engine)?);
        setting.write_rows("budget-matrix.jsonl", &rows)
    }
}

/// Where the files of a scenario lie.
fn folder(scenario: &str) -> String {
    format!("scenarios/{scenario}")
}
