//! `cargo xtask judge`: the verdict of stored evidence once more, from the evidence and the policy beside it (PPK-29).
//! Nothing is asked of the clock, the network or the environment.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use contract::exit::proofpack as exit;
use gates::check::Verdict;
use gates::evidence::{Files, Policy};
use gates::proofpack::codes::{Code, Fault, Reason, exit_of};
use gates::proofpack::compare;
use gates::proofpack::layout::{Tables, VERDICT};
use gates::proofpack::report::{CheckId, Report, Status};
use gates::proofpack::verify::{self, Derived, Input, Judge, Options, VerdictStep};
use gates::rejudge::{self, Rejudge};
use gates::verdict::{RULES_VERSION, RunReport};
use serde_json::{Value, json};

use crate::cli::{self, Color};
use crate::failure::Failure;
use crate::gate::read_below;
use crate::report::{human, json};

/// `cargo xtask judge`.
#[derive(Clone, Debug, Args)]
pub(crate) struct JudgeCommand {
    /// A proofpack, or the folder of a run
    #[arg(value_name = "PACK|RUN")]
    path: PathBuf,
    /// Judge under another policy: a WHAT-IF, which compares nothing and always exits 6
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// JSON Lines instead of a table
    #[arg(long)]
    json: bool,
    /// Whether to use colour
    #[arg(long, value_enum, default_value = "auto")]
    color: Color,
}

/// What came out.
struct Outcome {
    /// The derived report, where one could be derived.
    report: Option<RunReport>,
    /// What is wrong.
    faults: Vec<Fault>,
    /// Whether there was a recorded verdict to compare with.
    compared: bool,
}

/// Judges as [`Rejudge`] does, and keeps the report for the reader.
struct Watched {
    /// Another policy than the recorded one.
    policy: Option<Policy>,
    seen: RefCell<Option<RunReport>>,
}

impl Judge for Watched {
    fn rules(&self) -> u64 {
        Rejudge.rules()
    }

    fn derive(&self, files: &dyn Files) -> Result<Derived, String> {
        let mut recorded = rejudge::recorded_policy(files)?;
        if let Some(other) = &self.policy {
            // Rows are stamped with the policy they were made under; only what they are held against is another.
            recorded.values = other.values.clone();
            recorded.chaos = other.chaos.clone();
            recorded.file = other.file.clone();
        }
        let report = rejudge::report(files, &recorded);
        let derived = rejudge::derived(&report)?;
        *self.seen.borrow_mut() = Some(report);
        Ok(derived)
    }
}

impl JudgeCommand {
    /// Judges, compares and prints; gives the exit code.
    ///
    /// # Errors
    /// The policy of a WHAT-IF cannot be used, or standard output cannot be written.
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let judge = Watched { policy: self.other_policy()?, seen: RefCell::new(None) };
        let outcome = if self.path.is_dir() { of_run(&self.path, &judge)? } else { of_pack(&self.path, &judge) };
        let what_if = self.policy.is_some();
        let code = if what_if { exit::UNDERIVABLE } else { outcome.exit() };
        self.print(&outcome, what_if, code)?;
        Ok(code)
    }

    fn other_policy(&self) -> Result<Option<Policy>, Failure> {
        let Some(path) = &self.policy else { return Ok(None) };
        let bytes = std::fs::read(path)
            .map_err(|error| Failure::usage(format!("cannot read the policy {}: {error}", path.display())))?;
        let policy = Policy::parse(&bytes);
        policy.map(Some).map_err(|error| Failure::usage(format!("the policy {}: {error}", path.display())))
    }

    fn print(&self, outcome: &Outcome, what_if: bool, code: u8) -> Result<(), Failure> {
        let sentence = outcome.sentence(what_if);
        if self.json {
            let mut out = String::new();
            for fault in &outcome.faults {
                json::push(&mut out, &fault_line(fault))?;
            }
            let last = json!({
                "schema": "proofhouse.judge/1",
                "what_if": what_if,
                "compared": outcome.compared && !what_if,
                "verdict": outcome.report.as_ref().map(|report| report.verdict),
                "report": outcome.report,
                "result": sentence,
                "exit": code,
            });
            json::push(&mut out, &last)?;
            cli::print(&out)?;
            return Ok(());
        }
        let style = self.color.style();
        let mut out = outcome.report.as_ref().map_or_else(String::new, |report| human::verdicts(report, style) + "\n");
        for fault in outcome.faults.iter().filter(|fault| !what_if || fault.code != Code::Gate) {
            out += &format!("fail  {fault}\n");
        }
        cli::print(&(out + &sentence + "\n"))?;
        Ok(())
    }
}

fn fault_line(fault: &Fault) -> Value {
    json!({
        "schema": "proofpack.check/1",
        "id": CheckId::Verdict.id(),
        "result": "fail",
        "code": fault.code.to_string(),
        "reason": fault.reason.word(),
        "path": fault.path,
        "offset": fault.offset,
        "expected": fault.expected,
        "found": fault.found,
    })
}

impl Outcome {
    fn refused(fault: Fault) -> Self {
        Self { report: None, faults: vec![fault], compared: false }
    }

    fn exit(&self) -> u8 {
        match (&self.report, exit_of(&self.faults)) {
            (Some(report), exit::OK) if report.verdict != Verdict::Pass => exit::NOT_PASS,
            (None, exit::OK) => exit::UNDERIVABLE,
            (_, code) => code,
        }
    }

    fn sentence(&self, what_if: bool) -> String {
        let word = self.report.as_ref().map(|report| report.verdict.word());
        match (word, what_if, self.compared) {
            (None, _, _) => "REFUSED: no verdict can be derived".into(),
            (Some(word), true, _) => format!("WHAT-IF {word}: under another policy; nothing is proven, exit 6"),
            (Some(word), false, false) => format!("derived verdict {word}; no recorded verdict to compare with"),
            (Some(word), false, true) if self.faults.iter().all(|fault| fault.code == Code::Gate) => {
                format!("derived verdict {word}, equal to the recorded one")
            }
            (Some(word), false, true) => format!("REFUSED: derived verdict {word} is not what was recorded"),
        }
    }
}

/// A pack: steps 1 to 6, then the verdict. Scripts, leaks and signatures are `verify`'s business.
fn of_pack(path: &Path, judge: &Watched) -> Outcome {
    let options = Options { verdict: VerdictStep::Required, ..Options::default() };
    let report = verify::verify(Input::File(path), &options, Some(judge), &Tables::CONTRACT);
    let faults = faults_of(&report, |id| id <= CheckId::Evidence || id == CheckId::Verdict);
    let derived = judge.seen.borrow_mut().take();
    if derived.is_none() && faults.is_empty() {
        return Outcome::refused(Fault::new(Code::Underivable, Reason::Underivable));
    }
    Outcome { report: derived, faults, compared: true }
}

/// The faults of the checks that `counts`.
pub(crate) fn faults_of(report: &Report, counts: impl Fn(CheckId) -> bool) -> Vec<Fault> {
    let checks = CheckId::ALL.iter().copied().filter(|id| counts(*id));
    checks
        .flat_map(|id| match report.status(id) {
            Status::Fail(faults) => faults.clone(),
            Status::Pass | Status::NotRun(_) => Vec::new(),
        })
        .collect()
}

/// A run folder: the verdict, compared with the recorded one where there is one.
fn of_run(folder: &Path, judge: &Watched) -> Result<Outcome, Failure> {
    let mut files = BTreeMap::new();
    for name in ["evidence", "policy"] {
        let below = folder.join(name);
        if below.is_dir() {
            read_below(folder, &below, &mut files)?;
        }
    }
    let stored = files.remove(VERDICT);
    let derived = match judge.derive(&files) {
        Ok(derived) => derived,
        Err(why) => return Ok(Outcome::refused(Fault::new(Code::Underivable, Reason::Underivable).found(why))),
    };
    let report = judge.seen.borrow_mut().take();
    let Some(stored) = stored else { return Ok(Outcome { report, faults: Vec::new(), compared: false }) };
    let faults = match contract::canonical::parse_evidence(&stored) {
        Ok(stored) => differences(&stored, &derived.report),
        Err(error) => vec![Fault::new(Code::Verdict, Reason::Pointer).at(VERDICT).found(error)],
    };
    Ok(Outcome { report, faults, compared: true })
}

fn differences(stored: &Value, derived: &Value) -> Vec<Fault> {
    let differences = compare::differences(stored, derived);
    let Some(first) = differences.first() else { return Vec::new() };
    let rules = stored.get("rules").and_then(Value::as_u64);
    if rules.is_some_and(|rules| rules != RULES_VERSION) {
        let pointers: Vec<&str> = differences.iter().take(20).map(|one| one.pointer.as_str()).collect();
        let fault = Fault::new(Code::Underivable, Reason::Rules).at(VERDICT);
        return vec![fault.found(format!("RULES CHANGED to {RULES_VERSION}; differing: {}", pointers.join(" ")))];
    }
    let show = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".into(), Value::to_string);
    let more = if differences.len() > 1 { format!(" (and {} more)", differences.len() - 1) } else { String::new() };
    let fault = Fault::new(Code::Verdict, Reason::Pointer).at(format!("{VERDICT}#{}", first.pointer));
    vec![fault.expected(show(&first.derived)).found(show(&first.stored) + &more)]
}
