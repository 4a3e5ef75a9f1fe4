//! Reports of checks, gates and runs. Counts and conclusions are different things: the word of a gate is the worst of its
//! hard checks, computed here and nowhere else.

use contract::exit;
use serde::{Deserialize, Serialize};

use crate::check::{Check, Family, Judged, NotRun, Numbers, Place, Severity, Verdict};
use crate::evidence::{Context, Policy};

/// Version of the rules: raised whenever a judge may give another word for the same evidence and policy.
pub const RULES_VERSION: u64 = 1;

/// `evidence/verdict.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// [`RunReport::SCHEMA`].
    pub schema: String,
    /// [`RULES_VERSION`] of the judge.
    pub rules: u64,
    /// Profile name.
    pub profile: String,
    /// The policy digest.
    pub policy: String,
    /// The worst of the gates; BLOCKED and unselected checks aside.
    pub verdict: Verdict,
    /// Limits that are easier than the default, as sentences.
    pub loosened: Vec<String>,
    /// The gates that were judged.
    pub gates: Vec<GateReport>,
}

/// What became of one gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateReport {
    /// Gate id.
    pub id: String,
    /// A verdict, or why there is none.
    pub state: State,
    /// Its checks.
    pub checks: Vec<CheckReport>,
}

/// A verdict, or the reason why there is none. Only PASS is success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Judged.
    Judged {
        /// The word.
        verdict: Verdict,
    },
    /// Not judged because of another gate.
    Blocked {
        /// That gate.
        by: String,
    },
    /// Not asked for.
    NotSelected,
}

/// What one check said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Check id, with `:instance` where it has several.
    pub id: String,
    /// The requirement it serves.
    pub requirement: String,
    /// How its verdict is reached.
    pub family: Family,
    /// Whether it decides.
    pub severity: Severity,
    /// The rule with its limit filled in.
    pub rule: String,
    /// The numbers.
    pub numbers: Numbers,
    /// A verdict, or why there is none.
    pub state: State,
    /// The honest sentence for a PASS; what is wrong for anything else.
    pub claim: String,
    /// Where to look.
    pub evidence: Vec<Place>,
    /// Rows that could not be made.
    pub not_run: Vec<NotRun>,
    /// Whether the soft target was missed.
    pub target_missed: bool,
    /// One command that shows it again.
    pub repro: String,
}

impl State {
    /// The word that reports print.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Judged { verdict } => verdict.word(),
            Self::Blocked { .. } => "BLOCKED",
            Self::NotSelected => "not selected",
        }
    }

    /// The verdict, if there is one.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            Self::Judged { verdict } => Some(*verdict),
            _ => None,
        }
    }
}

impl From<Verdict> for State {
    fn from(verdict: Verdict) -> Self {
        Self::Judged { verdict }
    }
}

impl CheckReport {
    pub(crate) fn judged(check: &Check, judged: Judged, context: &Context<'_>) -> Self {
        let id =
            judged.instance.as_ref().map_or_else(|| check.id.to_owned(), |instance| format!("{}:{instance}", check.id));
        let repro = repro(context.gate, check.id, context);
        Self {
            id,
            requirement: check.requirement.into(),
            family: check.family,
            severity: judged.severity,
            rule: judged.rule,
            numbers: judged.numbers,
            state: State::Judged { verdict: judged.verdict },
            claim: judged.claim,
            evidence: judged.places,
            not_run: judged.not_run,
            target_missed: judged.target_missed,
            repro,
        }
    }

    pub(crate) fn unjudged(
        check: &Check,
        verdict: Verdict,
        reason: String,
        place: Option<Place>,
        context: &Context<'_>,
    ) -> Self {
        let claim = place.as_ref().map_or_else(|| reason.clone(), |place| format!("{}: {reason}", place.path));
        let repro = repro(context.gate, check.id, context);
        Self { claim, evidence: place.into_iter().collect(), repro, ..Self::state(check, State::Judged { verdict }) }
    }

    pub(crate) fn state(check: &Check, state: State) -> Self {
        Self {
            id: check.id.into(),
            requirement: check.requirement.into(),
            family: check.family,
            severity: Severity::Hard,
            rule: check.rule.into(),
            numbers: Numbers::default(),
            state,
            claim: String::new(),
            evidence: Vec::new(),
            not_run: Vec::new(),
            target_missed: false,
            repro: String::new(),
        }
    }
}

impl GateReport {
    /// The worst of the hard checks that were judged; a gate with none is NO_EVIDENCE.
    #[must_use]
    pub fn from_checks(id: &str, checks: Vec<CheckReport>) -> Self {
        let hard = checks.iter().filter(|check| check.severity == Severity::Hard);
        let verdict = hard.filter_map(|check| check.state.verdict()).max().unwrap_or(Verdict::NoEvidence);
        Self { id: id.to_owned(), state: State::Judged { verdict }, checks }
    }
}

impl RunReport {
    /// The value of `schema`.
    pub const SCHEMA: &'static str = "proofhouse.verdict/1";

    /// The worst of the gates; a run without any is NO_EVIDENCE.
    #[must_use]
    pub fn from_gates(policy: &Policy, gates: Vec<GateReport>) -> Self {
        let verdict = gates.iter().filter_map(|gate| gate.state.verdict()).max().unwrap_or(Verdict::NoEvidence);
        Self {
            schema: Self::SCHEMA.into(),
            rules: RULES_VERSION,
            profile: policy.file.profile.clone(),
            policy: policy.digest.to_string(),
            verdict,
            loosened: policy.file.loosened.iter().map(ToString::to_string).collect(),
            gates,
        }
    }
}

impl RunReport {
    /// The report of a run that ended at its policy: it has no digest, and its verdict is that of the refusal.
    pub(crate) fn refused(profile: &str, gates: Vec<GateReport>) -> Self {
        Self {
            schema: Self::SCHEMA.into(),
            rules: RULES_VERSION,
            profile: profile.to_owned(),
            policy: String::new(),
            verdict: Verdict::Fail,
            loosened: Vec::new(),
            gates,
        }
    }
}

/// The exit code of `gate` for a verdict.
#[must_use]
pub fn exit_code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => exit::gate::PASS,
        Verdict::Fail => exit::gate::FAIL,
        Verdict::Inconclusive => exit::gate::INCONCLUSIVE,
        Verdict::NoEvidence => exit::gate::NO_EVIDENCE,
        Verdict::Integrity => exit::gate::INTEGRITY,
    }
}

/// The command that shows a check again. In `release` the master seed is the commit's own, so none is named.
fn repro(gate: &str, check: &str, context: &Context<'_>) -> String {
    let profile = &context.policy.file.profile;
    let command = format!("cargo xtask gate {gate} --profile {profile} --only {check}");
    match context.plan() {
        Ok(plan) if profile != "release" => format!("{command} --seed 0x{}", plan.master_seed),
        _ => command,
    }
}
