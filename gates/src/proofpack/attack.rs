//! The self-attack: mutants of a pack over all 36 rows of the threat table, each with the code that must refuse it (PPK-43).
//!
//! Each mutant changes one thing and recomputes every hash, size and record that a forger could, so that only the
//! attacked rule can refuse it. Mutants are forged when they are asked for: a suite costs one pack, not a hundred.

mod archive_rows;
mod build_rows;
mod content_rows;
mod forgery;
mod trust_rows;

use contract::seed::Seed;
use serde_json::Value;

use self::forgery::Base;
use super::codes::{CODES, Code, Fault, Reason};
use super::layout::Tables;
use super::report::Report;
use super::verify::Options;

/// Rows of the threat table.
pub const ROWS: u8 = 36;
/// Fewest mutants of a suite that counts.
pub const MUTANTS_MIN: usize = 100;

/// One attack.
pub struct Mutant<'a> {
    /// Row of the threat table, 1 to 36.
    pub row: u8,
    /// What is attacked, in kebab-case; unique within its row.
    pub name: String,
    /// The code that must refuse it, and the reason where the row fixes one.
    pub expected: (Code, Option<Reason>),
    /// What the caller of the verifier asks for.
    pub options: Options,
    target: Target<'a>,
}

/// What a mutant is made of.
enum Target<'a> {
    /// Bytes for the verifier.
    Pack(Box<dyn Fn() -> Vec<u8> + 'a>),
    /// A run folder for `build`.
    Run(Box<dyn Fn() -> Outcome + 'a>),
}

/// A pack that must be accepted.
pub struct Control<'a> {
    /// Which.
    pub name: &'static str,
    /// What the caller of the verifier asks for.
    pub options: Options,
    forge: Box<dyn Fn() -> Vec<u8> + 'a>,
}

impl<'a> Mutant<'a> {
    fn pack(
        row: u8,
        name: impl Into<String>,
        code: Code,
        reason: impl Into<Option<Reason>>,
        forge: impl Fn() -> Vec<u8> + 'a,
    ) -> Self {
        let target = Target::Pack(Box::new(forge));
        Self { row, name: name.into(), expected: (code, reason.into()), options: Options::default(), target }
    }

    fn with(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// The forged pack; `None` for row 35, which attacks `build`.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match &self.target {
            Target::Pack(forge) => Some(forge()),
            Target::Run(_) => None,
        }
    }
}

/// Every mutant and control of one pack.
pub struct Suite<'a> {
    /// The mutants, by row.
    pub mutants: Vec<Mutant<'a>>,
    /// The controls: without all of them accepted, a score says nothing.
    pub controls: Vec<Control<'a>>,
}

/// A pack that is fit to be attacked.
pub struct Victim(Base);

impl Victim {
    /// Takes a pack. `seed` decides the keys that are made for the signature rows.
    ///
    /// # Errors
    /// `E_ARCHIVE` when the bytes are not one right archive with a readable manifest.
    pub fn new(pack: &[u8], seed: Seed, tables: &Tables) -> Result<Self, Fault> {
        Base::new(pack, seed, *tables).map(Self)
    }

    /// The whole suite, or one row of it.
    #[must_use]
    pub fn suite(&self, row: Option<u8>) -> Suite<'_> {
        let mut mutants = archive_rows::mutants(&self.0);
        mutants.extend(content_rows::mutants(&self.0));
        mutants.extend(trust_rows::mutants(&self.0));
        mutants.extend(build_rows::mutants(&self.0));
        mutants.retain(|mutant| row.is_none_or(|row| mutant.row == row));
        mutants.sort_by_key(|mutant| mutant.row);
        Suite { mutants, controls: trust_rows::controls(&self.0) }
    }
}

/// What a verifier (or a build) answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Exit of the process.
    pub exit: u8,
    /// Code and reason words of each fault, in order.
    pub faults: Vec<(String, String)>,
}

impl Outcome {
    /// The outcome of faults found in this process.
    #[must_use]
    pub fn of<'f>(faults: impl Iterator<Item = &'f Fault> + Clone) -> Self {
        let exit = super::codes::exit_of(faults.clone());
        Self { exit, faults: faults.map(|fault| (fault.code.to_string(), fault.reason.to_string())).collect() }
    }

    /// The outcome of a report of this process.
    #[must_use]
    pub fn of_report(report: &Report) -> Self {
        Self { exit: report.exit(), ..Self::of(report.faults().collect::<Vec<_>>().into_iter()) }
    }

    /// The outcome of another process: its exit and what `verify --json` printed.
    ///
    /// # Errors
    /// The first line that is no check or result of the verifier.
    pub fn of_json_lines(exit: u8, lines: &str) -> Result<Self, String> {
        let mut faults = Vec::new();
        for line in lines.lines() {
            let value: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
            let text = |name: &str| value.get(name).and_then(Value::as_str);
            match (text("schema"), text("result")) {
                (Some("proofpack.check/1"), Some("fail")) => {
                    let pair = text("code").zip(text("reason")).ok_or_else(|| format!("no code: {line}"))?;
                    faults.push((pair.0.to_owned(), pair.1.to_owned()));
                }
                (Some("proofpack.check/1" | "proofpack.result/1"), _) => {}
                _ => return Err(format!("not a line of the verifier: {line}")),
            }
        }
        Ok(Self { exit, faults })
    }

    /// Faults that refuse the pack itself: a red verdict is not one, and neither is a word that no code has.
    fn refusals(&self) -> impl Iterator<Item = &(String, String)> {
        let known = |name: &str| CODES.iter().any(|facts| facts.name == name && facts.code != Code::Gate);
        self.faults.iter().filter(move |(code, _)| known(code))
    }

    fn is_refusal(&self) -> bool {
        self.exit != 0 && self.refusals().next().is_some()
    }
}

/// How one mutant ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Row of the threat table.
    pub row: u8,
    /// Name of the mutant.
    pub name: String,
    /// Whether it was refused.
    pub killed: bool,
    /// Whether the first refusal has the expected code and reason.
    pub expected: bool,
    /// The first refusal, or what was answered instead.
    pub answer: String,
}

/// The score of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Score {
    /// Every mutant.
    pub attempts: Vec<Attempt>,
    /// Controls that were refused: the score is void.
    pub refused_controls: Vec<String>,
    /// Whether all rows were asked for.
    pub whole: bool,
}

impl Score {
    /// Mutants that were refused.
    #[must_use]
    pub fn killed(&self) -> usize {
        self.attempts.iter().filter(|attempt| attempt.killed).count()
    }

    /// Mutants that were refused with the expected code.
    #[must_use]
    pub fn with_expected_code(&self) -> usize {
        self.attempts.iter().filter(|attempt| attempt.expected).count()
    }

    /// Mutants that were accepted.
    pub fn survivors(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter().filter(|attempt| !attempt.killed)
    }

    /// Rows without a mutant, in a suite of all rows.
    #[must_use]
    pub fn rows_missing(&self) -> Vec<u8> {
        let tried = |row: &u8| self.attempts.iter().any(|attempt| attempt.row == *row);
        if self.whole { (1..=ROWS).filter(|row| !tried(row)).collect() } else { Vec::new() }
    }

    /// Whether the score says nothing: a control was refused, or too little was tried.
    #[must_use]
    pub fn is_void(&self) -> bool {
        let few = self.whole && (self.attempts.len() < MUTANTS_MIN || !self.rows_missing().is_empty());
        few || self.attempts.is_empty() || !self.refused_controls.is_empty()
    }

    /// 2 for a void score, 1 for a survivor, else 0.
    #[must_use]
    pub fn exit(&self) -> u8 {
        match (self.is_void(), self.survivors().next()) {
            (true, _) => Code::Usage.exit(),
            (false, Some(_)) => Code::Hash.exit(),
            (false, None) => 0,
        }
    }
}

/// Attacks: `verify` answers each forged pack, in a process of its own where the command runs it. Row 35 runs `build`
/// on scratch folders here.
pub fn run(suite: &Suite<'_>, whole: bool, mut verify: impl FnMut(&[u8], &Options) -> Outcome) -> Score {
    let mut refused_controls = Vec::new();
    for control in &suite.controls {
        let outcome = verify(&(control.forge)(), &control.options);
        if outcome.refusals().next().is_some() || !matches!(outcome.exit, 0 | 4) {
            refused_controls.push(format!("{}: {:?}", control.name, outcome));
        }
    }
    let attempts = suite.mutants.iter().map(|mutant| {
        let outcome = match &mutant.target {
            Target::Pack(forge) => verify(&forge(), &mutant.options),
            Target::Run(build) => build(),
        };
        attempt(mutant, &outcome)
    });
    Score { attempts: attempts.collect(), refused_controls, whole }
}

fn attempt(mutant: &Mutant<'_>, outcome: &Outcome) -> Attempt {
    let (code, reason) = &mutant.expected;
    let first = outcome.refusals().next();
    let expected = first
        .is_some_and(|(found, word)| *found == code.to_string() && reason.is_none_or(|reason| word == reason.word()));
    let killed = outcome.is_refusal();
    let answer = first.map_or_else(|| format!("exit {}", outcome.exit), |(code, reason)| format!("{code} {reason}"));
    Attempt { row: mutant.row, name: mutant.name.clone(), killed, expected: killed && expected, answer }
}
