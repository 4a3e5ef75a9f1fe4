//! What may be typed: the parsed arguments of each command are the command.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::builder::ArgPredicate;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use contract::exit;
use contract::seed::Seed;

use crate::baseline::Baseline;
use crate::config::Config;
use crate::doctor::Doctor;
use crate::failure::Failure;
use crate::judge::JudgeCommand;
use crate::policy;
use crate::proofpack::Proofpack;
use crate::report::text::{self, Style};
use crate::selftest::Selftest;

/// What a user may want.
#[derive(Debug)]
pub(crate) enum Command {
    /// Nothing was typed: show what there is.
    Usual,
    /// Help was asked for.
    Help(String),
    /// Run gates.
    Gate(Box<Gate>),
    /// Show or check the policy.
    Config(Config),
    /// Look for the programs that are needed.
    Doctor(Doctor),
    /// Accept what passed.
    Baseline(Baseline),
    /// Judge stored evidence again.
    Judge(Box<JudgeCommand>),
    /// Work with packs.
    Proofpack(Proofpack),
}

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The release gate of this workspace", version)]
struct Typed {
    #[command(subcommand)]
    command: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build, test, attack, stress and judge; seal the evidence when it is green
    Gate(Box<Gate>),
    /// Judge a pack or a run folder again, offline
    Judge(Box<JudgeCommand>),
    /// Build, verify and inspect packs of evidence
    #[command(subcommand)]
    Proofpack(Proofpack),
    /// Show values of the policy and where they came from, or check all of it
    #[command(subcommand)]
    Config(Config),
    /// Look for the programs that a profile needs
    Doctor(Doctor),
    /// Accept the tests that passed as those that must pass
    #[command(subcommand)]
    Baseline(Baseline),
}

/// What `cargo xtask gate` does beside running gates.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum GateVerb {
    /// Switch one defect of the engine on at a time, and demand that exactly its declared checks turn red
    Selftest(Selftest),
    /// Gates, what they claim, and their checks
    List {
        /// JSON Lines instead of a table
        #[arg(long)]
        json: bool,
    },
}

/// `cargo xtask gate`.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Gate {
    #[command(subcommand)]
    pub(crate) verb: Option<GateVerb>,
    /// Gates: `pr-g1`, or a range `pr-g0..pr-g3`; none means all
    #[arg(value_name = "GATE")]
    pub(crate) gates: Vec<String>,
    /// Sizes and strictness: dev, ci, release or soak
    #[arg(long, default_value = policy::DEFAULT_PROFILE)]
    pub(crate) profile: String,
    /// Master seed, decimal or 0x hex
    #[arg(long, value_name = "N", value_parser = Seed::parse_user)]
    pub(crate) seed: Option<Seed>,
    /// Judge this check only (repeat for several)
    #[arg(long, value_name = "CHECK")]
    pub(crate) only: Vec<String>,
    /// Run this workload only
    #[arg(long, value_name = "W")]
    pub(crate) workload: Option<String>,
    /// Set one policy value (repeat for several)
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Print what would be run and judged, and run nothing
    #[arg(long)]
    pub(crate) plan: bool,
    /// Stop at the first gate that is not PASS
    #[arg(long, overrides_with = "no_fail_fast")]
    pub(crate) fail_fast: bool,
    /// Judge every gate whatever became of the others (the default)
    #[arg(long, overrides_with = "fail_fast", default_value_if("fail_fast", ArgPredicate::IsPresent, "false"))]
    pub(crate) no_fail_fast: bool,
    #[command(flatten)]
    pub(crate) output: Output,
    /// With `--workload command`: the program to judge and its arguments
    #[arg(last = true, value_name = "PROGRAM ARGS")]
    pub(crate) program: Vec<String>,
}

/// How a command speaks.
#[derive(Clone, Debug, Args)]
pub(crate) struct Output {
    /// What standard output carries
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) message_format: MessageFormat,
    /// Nothing on standard error but errors
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Whether to use colour
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) color: Color,
    /// Write a JUnit report: a suite a gate, a case a check
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Write a Markdown summary
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
}

impl Output {
    /// How text on standard output is laid out.
    pub(crate) fn style(&self) -> Style {
        self.color.style()
    }
}

/// What standard output carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MessageFormat {
    /// A table.
    Human,
    /// JSON Lines.
    Json,
}

/// Whether to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Yes.
    Always,
    /// No.
    Never,
}

impl Color {
    /// How text on standard output is laid out.
    pub(crate) fn style(self) -> Style {
        Style { width: text::columns(), color: self.on(std::io::stdout().is_terminal()) }
    }

    /// Whether text for this stream is coloured.
    pub(crate) fn on(self, terminal: bool) -> bool {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => terminal && !refused,
        }
    }
}

const USUAL: &str = "\
The release gate of this workspace. The usual commands:

  cargo xtask gate                    build, test, attack, stress and judge everything
  cargo xtask gate pr-g1              one gate; `pr-g0..pr-g3` for several
  cargo xtask gate --plan             what would be run, and what it could see
  cargo xtask gate --profile ci       the sizes of ci
  cargo xtask gate list               gates and checks
  cargo xtask judge PACK              the verdict of a pack once more
  cargo xtask proofpack verify PACK   is a pack intact, and who vouches for it
  cargo xtask config show             values of the policy and where they came from
  cargo xtask doctor                  is everything there that a run needs

Exit codes of `gate`: 0 PASS, 1 FAIL, 2 usage or policy, 3 INCONCLUSIVE, 4 NO_EVIDENCE, 5 PARTIAL, 7 integrity,
70 internal error, 75 something is missing, 101 does not build, 130 interrupted.
More: cargo xtask help
";

/// Reads the command line.
///
/// # Errors
/// Exit 2 for what cannot be understood, with what could have been meant.
pub(crate) fn parse() -> Result<Command, Failure> {
    parse_from(std::env::args_os())
}

fn parse_from(arguments: impl IntoIterator<Item = impl Into<std::ffi::OsString> + Clone>) -> Result<Command, Failure> {
    match Typed::try_parse_from(arguments) {
        Ok(Typed { command: None }) => Ok(Command::Usual),
        Ok(Typed { command: Some(Verb::Gate(gate)) }) => Ok(Command::Gate(gate)),
        Ok(Typed { command: Some(Verb::Config(config)) }) => Ok(Command::Config(config)),
        Ok(Typed { command: Some(Verb::Doctor(doctor)) }) => Ok(Command::Doctor(doctor)),
        Ok(Typed { command: Some(Verb::Baseline(baseline)) }) => Ok(Command::Baseline(baseline)),
        Ok(Typed { command: Some(Verb::Judge(judge)) }) => Ok(Command::Judge(judge)),
        Ok(Typed { command: Some(Verb::Proofpack(proofpack)) }) => Ok(Command::Proofpack(proofpack)),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Ok(Command::Help(error.render().to_string()))
        }
        Err(error) => {
            let text = error.render().to_string();
            let text = text.trim_start_matches("error: ").trim_end();
            Err(Failure::usage(text).hint("`cargo xtask` alone lists the usual commands"))
        }
    }
}

/// Prints the usual commands.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn print_usual() -> Result<u8, Failure> {
    print(USUAL)
}

/// Writes a result on standard output. A reader that has heard enough (`| head`) is no error.
///
/// # Errors
/// Standard output cannot be written for another reason.
pub(crate) fn print(text: &str) -> Result<u8, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::infrastructure(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(exit::gate::PASS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(arguments: &[&str]) -> Gate {
        let typed = ["cargo-xtask", "gate"].iter().chain(arguments).copied();
        match parse_from(typed).expect("valid arguments") {
            Command::Gate(gate) => *gate,
            other => panic!("no gate: {other:?}"),
        }
    }

    #[test]
    fn clap_agrees_with_itself() {
        <Typed as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn gat_10_defaults() {
        let typed = gate(&[]);
        assert_eq!((typed.gates.len(), typed.profile.as_str(), typed.fail_fast), (0, "dev", false));
    }

    #[test]
    fn the_last_of_two_opposite_flags_counts() {
        assert!(gate(&["--no-fail-fast", "--fail-fast"]).fail_fast);
        assert!(!gate(&["--fail-fast", "--no-fail-fast"]).fail_fast);
    }

    #[test]
    fn a_program_follows_the_dashes() {
        let typed = gate(&["--workload", "command", "--", "tool", "--flag"]);
        assert_eq!((typed.gates.len(), typed.program), (0, vec!["tool".into(), "--flag".into()]));
    }

    #[test]
    fn what_cannot_be_understood_is_usage() {
        for arguments in [vec!["x", "gaet"], vec!["x", "gate", "--sed", "1"], vec!["x", "gate", "--seed", "0xzz"]] {
            let failure = parse_from(arguments.clone()).expect_err("no such thing");
            assert_eq!(failure.code, exit::gate::USAGE, "{arguments:?}");
            assert!(failure.hint.is_some() && !failure.message.starts_with("error"), "{failure:?}");
        }
    }
}
