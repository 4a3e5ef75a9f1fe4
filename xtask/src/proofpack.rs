//! `cargo xtask proofpack`: builds, verifies and shows packs. `gates::proofpack` works on bytes; what asks the machine
//! (folders, clock, names of this machine) stands here.

use clap::Subcommand;
use gates::proofpack::codes::{Fault, exit_of};

use crate::failure::Failure;

pub(crate) mod build;
pub(crate) mod inspect;
pub(crate) mod seal;
pub(crate) mod verify;

/// `cargo xtask proofpack …`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Proofpack {
    /// Pack a finished run
    Build(Box<build::Build>),
    /// Check a pack; `-` reads it from a pipe
    Verify(Box<verify::Verify>),
    /// Show what a pack says, or one of its files
    Inspect(Box<inspect::Inspect>),
}

impl Proofpack {
    /// Runs the command.
    ///
    /// # Errors
    /// What cannot be read or written.
    pub(crate) fn run(self) -> Result<u8, Failure> {
        match self {
            Self::Build(build) => build.run(),
            Self::Verify(verify) => verify.run(),
            Self::Inspect(inspect) => inspect.run(),
        }
    }
}

/// Faults as the error of a command, with the exit code of the worst.
fn failure(attempt: &str, faults: &[Fault]) -> Failure {
    let lines: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
    Failure { code: exit_of(faults), message: format!("{attempt}:{}", lines.concat()), hint: None }
}
