//! `engine story`: the story that the generator gives for a seed, as two files.

use std::path::PathBuf;
use std::process::ExitCode;

use contract::canonical;
use contract::exit::engine as exit;
use contract::seed::Seed;
use serde_json::json;

use crate::cli::ending::{Refusal, print_result};
use crate::scribe::generate;
use crate::store::atomic::{self, Durability, Observer};

/// Writes intent.json and plan.json.
#[derive(Debug, clap::Args)]
pub(super) struct Story {
    /// Decimal, or hex behind 0x
    #[arg(long, value_name = "N", value_parser = Seed::parse_user)]
    seed: Seed,
    /// Folder for the two files
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

impl Story {
    pub(super) fn run(self) -> ExitCode {
        match self.write() {
            Ok(()) => {
                let value = json!({"exit_code": exit::GOOD, "reason": "written", "seed": self.seed});
                print_result(self.json, &value, &[self.out.display().to_string(), "written".into()]);
                ExitCode::from(exit::GOOD)
            }
            Err(refusal) => refusal.report(self.json),
        }
    }

    fn write(&self) -> Result<(), Refusal> {
        let (intent, plan) = generate::story(self.seed);
        let files = [("intent.json", canonical::to_pretty(&intent)), ("plan.json", canonical::to_pretty(&plan))];
        if let Some((name, _)) = files.iter().find(|(name, _)| self.out.join(name).exists()) {
            return Err(Refusal::usage(format!("{} exists already", self.out.join(name).display())));
        }
        for (name, bytes) in files {
            let bytes = bytes.map_err(|error| Refusal::store(error.to_string()))?;
            let put = atomic::put(&self.out.join(name), &bytes, Durability::File, &Observer::default());
            put.map_err(|error| Refusal::store(error.to_string()))?;
        }
        Ok(())
    }
}
