//! `proofpack verify`: a stranger's questions to a pack. Trust comes from the caller's own key file and nowhere else.

use std::path::PathBuf;

use clap::Args;
use contract::digest::Digest;
use gates::proofpack::layout::Tables;
use gates::proofpack::verify::{Input, Options, VerdictStep, verify};
use gates::rejudge::Rejudge;

use super::build::digest;
use crate::cli;
use crate::failure::Failure;
use crate::progress;

/// `cargo xtask proofpack verify`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Verify {
    /// The pack; `-` for standard input
    #[arg(value_name = "PACK|-")]
    pack: PathBuf,
    /// PACK is an extracted folder: steps 5 to 10
    #[arg(long)]
    tree: bool,
    /// Keys that you trust, in the format of ssh-keygen
    #[arg(long, value_name = "FILE", requires = "principal")]
    allowed_signers: Option<PathBuf>,
    /// Who must have signed
    #[arg(long, value_name = "NAME", requires = "allowed_signers")]
    principal: Option<String>,
    /// Refuse a pack without a trusted signature
    #[arg(long, requires = "allowed_signers")]
    require_signature: bool,
    /// Refuse a pack without this attestation (repeat for several)
    #[arg(long, value_name = "TYPE", requires = "allowed_signers")]
    require_attestation: Vec<String>,
    /// When keys must have been valid, in seconds since 1970; none means now
    #[arg(long, value_name = "T")]
    verify_time: Option<u64>,
    /// The root that the pack must have
    #[arg(long, value_name = "HEX", value_parser = digest)]
    expect_root: Option<Digest>,
    /// The commit that must have been judged, from a clean tree
    #[arg(long, value_name = "COMMIT")]
    expect_subject: Option<String>,
    /// Derive the verdict again, or fail
    #[arg(long, conflicts_with = "no_verdict")]
    verdict: bool,
    /// Leave the verdict as it stands
    #[arg(long)]
    no_verdict: bool,
    /// JSON Lines instead of text
    #[arg(long)]
    json: bool,
}

impl Verify {
    /// Verifies and prints; gives the exit code.
    ///
    /// # Errors
    /// The key file cannot be read, or standard output cannot be written.
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let options = self.options()?;
        let tables = &Tables::CONTRACT;
        let judge = Some(&Rejudge as _);
        let report = if self.pack.as_os_str() == "-" {
            if self.tree {
                return Err(Failure::usage("a pipe is no folder: leave --tree out"));
            }
            verify(Input::Pipe(&mut std::io::stdin().lock()), &options, judge, tables)
        } else if self.tree {
            verify(Input::Tree(&self.pack), &options, judge, tables)
        } else {
            verify(Input::File(&self.pack), &options, judge, tables)
        };
        cli::print(&if self.json { report.json_lines() } else { report.text() })?;
        Ok(report.exit())
    }

    fn options(&self) -> Result<Options, Failure> {
        let read = |path: &PathBuf| {
            std::fs::read(path)
                .map_err(|error| Failure::usage(format!("cannot read the key file {}: {error}", path.display())))
        };
        let allowed_signers = self.allowed_signers.as_ref().map(read).transpose()?;
        let verify_time = match (self.verify_time, &allowed_signers) {
            (None, Some(_)) => Some(progress::unix_now()?),
            (given, _) => given,
        };
        Ok(Options {
            expect_root: self.expect_root,
            expect_subject: self.expect_subject.clone(),
            allowed_signers,
            principal: self.principal.clone(),
            require_signature: self.require_signature,
            require_attestation: self.require_attestation.clone(),
            verify_time,
            verdict: match (self.verdict, self.no_verdict) {
                (true, _) => VerdictStep::Required,
                (_, true) => VerdictStep::Skip,
                _ => VerdictStep::IfPossible,
            },
        })
    }
}
