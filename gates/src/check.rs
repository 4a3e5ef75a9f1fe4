//! A check: one rule on evidence, with an id that never changes. Judges return counts and bounds; the word follows.

use serde::{Deserialize, Serialize};

use crate::evidence::Context;

/// A row of the registry.
#[derive(Debug)]
pub struct Check {
    /// Kebab-case, unique, stable for ever.
    pub id: &'static str,
    /// The `INV-…` it serves.
    pub requirement: &'static str,
    /// How its verdict is reached.
    pub family: Family,
    /// The files it reads, below the gate's folder of evidence.
    pub evidence: &'static [&'static str],
    /// The rule as a sentence, for lists and explanations; the judged rule has its limits filled in.
    pub rule: &'static str,
    /// The judge: pure, and silent about everything but what the evidence says.
    pub judge: fn(&Context<'_>) -> Result<Vec<Judged>, Unjudged>,
}

/// How a verdict is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Every row must hold; one violation is FAIL.
    Invariant,
    /// A bound must clear a limit; may be INCONCLUSIVE.
    Proof,
    /// A change against a baseline, corrected for many looks.
    Alarm,
}

/// Whether a check decides its gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Decides.
    Hard,
    /// Is reported, never decides.
    Soft,
}

/// The word for a check or a gate, best first: the worst of several is their maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// Proven by the evidence.
    Pass,
    /// The evidence decides neither way.
    Inconclusive,
    /// Nothing to judge.
    NoEvidence,
    /// Disproved by the evidence.
    Fail,
    /// The evidence is forged, torn or impossible.
    Integrity,
}

impl Verdict {
    /// The word that reports print.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::NoEvidence => "NO_EVIDENCE",
            Self::Fail => "FAIL",
            Self::Integrity => "INTEGRITY",
        }
    }
}

/// What one instance of a check found.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// What tells it from other instances of the same check.
    pub instance: Option<String>,
    /// Whether it decides.
    pub severity: Severity,
    /// The rule with its limit filled in.
    pub rule: String,
    /// The numbers, where the rule has any; units are in the rule.
    pub numbers: Numbers,
    /// The word.
    pub verdict: Verdict,
    /// The honest sentence for a PASS; what is wrong for anything else.
    pub claim: String,
    /// Where to look: the files read, and for a violation the line.
    pub places: Vec<Place>,
    /// Rows that could not be made here, each with its reason.
    pub not_run: Vec<NotRun>,
    /// Whether the soft target of the rule was missed.
    pub target_missed: bool,
}

/// The numbers behind a verdict. Absent means that the rule has no such number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// The point estimate or count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<f64>,
    /// Lower bound at the stated confidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower: Option<f64>,
    /// Upper bound at the stated confidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper: Option<f64>,
    /// The limit from the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// Rows judged.
    pub n: u64,
    /// Distinct inputs among them.
    pub n_distinct: u64,
}

/// A place in the evidence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Path below the run folder.
    pub path: String,
    /// 1-based line; absent for a whole file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// SHA-256 of the file; empty when it is not there.
    pub sha256: String,
}

/// A row that could not be made on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotRun {
    /// The row.
    pub row: String,
    /// Why.
    pub reason: String,
}

/// Why a check could not be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unjudged {
    /// A file is missing, empty, unreadable, or of another plan or version.
    NoEvidence {
        /// The file.
        place: Place,
        /// What is wrong with it.
        reason: String,
    },
    /// The evidence contradicts itself.
    Integrity {
        /// The file.
        place: Place,
        /// What is wrong with it.
        reason: String,
    },
}

/// One broken row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What is wrong, with observed value and limit.
    pub what: String,
    /// Where.
    pub place: Place,
}

impl Judged {
    /// An invariant over `n` rows: PASS when nothing is violated, and NO_EVIDENCE when there is nothing to look at.
    #[must_use]
    pub fn invariant(rule: impl Into<String>, n: u64, read: Vec<Place>, violations: &[Violation]) -> Self {
        let rule = rule.into();
        let (verdict, claim) = match (violations, n) {
            ([], 0) => (Verdict::NoEvidence, "no row to judge".to_owned()),
            ([], _) => (Verdict::Pass, format!("held in all {n} rows; not claimed: other inputs, machines, revisions")),
            ([first, rest @ ..], _) => (Verdict::Fail, more_of(&first.what, rest.len())),
        };
        let places = if violations.is_empty() { read } else { worst_places(violations) };
        let numbers = Numbers {
            observed: Some(violations.len() as f64),
            limit: Some(0.0),
            n,
            n_distinct: n,
            ..Numbers::default()
        };
        Self {
            instance: None,
            severity: Severity::Hard,
            rule,
            numbers,
            verdict,
            claim,
            places,
            not_run: Vec::new(),
            target_missed: false,
        }
    }

    /// A verdict with its numbers, reached elsewhere.
    #[must_use]
    pub fn new(
        rule: impl Into<String>,
        verdict: Verdict,
        claim: impl Into<String>,
        numbers: Numbers,
        places: Vec<Place>,
    ) -> Self {
        Self {
            instance: None,
            severity: Severity::Hard,
            rule: rule.into(),
            numbers,
            verdict,
            claim: claim.into(),
            places,
            not_run: Vec::new(),
            target_missed: false,
        }
    }

    /// The same as one of several instances.
    #[must_use]
    pub fn instance(self, name: impl Into<String>) -> Self {
        Self { instance: Some(name.into()), ..self }
    }

    /// The same, with rows that could not be made. Where every row is missing, or `strict` and any is, it is NO_EVIDENCE.
    #[must_use]
    pub fn with_not_run(mut self, not_run: Vec<NotRun>, strict: bool) -> Self {
        if !not_run.is_empty() && self.verdict == Verdict::Pass && (strict || self.numbers.n == 0) {
            self.verdict = Verdict::NoEvidence;
            self.claim =
                format!("{} rows were NOT RUN, the first: {} ({})", not_run.len(), not_run[0].row, not_run[0].reason);
        }
        self.not_run = not_run;
        self
    }

    /// The same, reported but not deciding.
    #[must_use]
    pub fn soft(self) -> Self {
        Self { severity: Severity::Soft, ..self }
    }
}

fn more_of(first: &str, others: usize) -> String {
    if others == 0 { first.to_owned() } else { format!("{first} (and {others} more)") }
}

/// The first five violated places: enough to start, and a report stays readable.
fn worst_places(violations: &[Violation]) -> Vec<Place> {
    violations.iter().take(5).map(|violation| violation.place.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { path: "evidence/pr-g1/writers.jsonl".into(), line: Some(3), sha256: String::new() }
    }

    #[test]
    fn an_invariant_over_nothing_is_no_evidence() {
        assert_eq!(Judged::invariant("r", 0, vec![], &[]).verdict, Verdict::NoEvidence);
        assert_eq!(Judged::invariant("r", 1, vec![], &[]).verdict, Verdict::Pass);
        let broken = Violation { what: "2 holders".into(), place: place() };
        let judged = Judged::invariant("r", 1, vec![], &[broken.clone(), broken]);
        assert_eq!((judged.verdict, judged.claim.as_str()), (Verdict::Fail, "2 holders (and 1 more)"));
        assert_eq!(judged.places[0], place());
    }

    #[test]
    fn rows_not_run_never_help() {
        let missing = || vec![NotRun { row: "trace".into(), reason: "no tracer".into() }];
        assert_eq!(Judged::invariant("r", 4, vec![], &[]).with_not_run(missing(), false).verdict, Verdict::Pass);
        assert_eq!(Judged::invariant("r", 4, vec![], &[]).with_not_run(missing(), true).verdict, Verdict::NoEvidence);
        let broken = Violation { what: "x".into(), place: place() };
        assert_eq!(Judged::invariant("r", 4, vec![], &[broken]).with_not_run(missing(), true).verdict, Verdict::Fail);
    }

    #[test]
    fn the_worst_word_is_the_maximum() {
        use Verdict::{Fail, Inconclusive, Integrity, NoEvidence, Pass};
        assert_eq!([Pass, Inconclusive, NoEvidence].into_iter().max(), Some(NoEvidence));
        assert_eq!([Fail, Integrity, NoEvidence].into_iter().max(), Some(Integrity));
    }
}
