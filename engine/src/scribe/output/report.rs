//! `run-report.json`: what gates read of a run.

use std::collections::BTreeMap;

use contract::digest::Digest;
use contract::money::MicroUsd;
use contract::record::cost::BudgetVerdict;
use contract::record::run::{RuleCount, Severity};
use contract::seed::Seed;
use serde::Serialize;

use crate::scribe::flow::{Options, Outcome};
use crate::scribe::measure::rules;
use crate::scribe::output::ending::{Ending, word};
use crate::scribe::time::rfc3339;
use crate::scribe::validate::Story;

/// The schema name of a run report.
pub(super) const SCHEMA: &str = "proofhouse.run-report/1";

/// The report of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names are the documentation; digests are SHA-256, money is dollars")]
pub struct RunReport {
    pub schema: &'static str,
    pub workload: &'static str,
    pub seed: Seed,
    pub index: u64,
    pub input_digest: Digest,
    pub output_digest: Digest,
    pub policy_digest: Digest,
    pub exit_code: u8,
    pub reason: String,
    pub message: String,
    /// Whether something that was planned could not be done.
    pub partial: bool,
    /// Scenes in the plan.
    pub planned: u64,
    /// Scenes without prose.
    pub missing: u64,
    pub hard_pass: bool,
    pub soft_pass: bool,
    pub hard_score: f64,
    pub soft_score: f64,
    /// By rule.
    pub violations: BTreeMap<String, RuleCount>,
    pub calls: u64,
    pub attempts: u64,
    pub retries: u64,
    pub cached: u64,
    /// Entries that were set aside and replies that could not be kept, as sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cache_problems: Vec<String>,
    pub tokens: u64,
    pub cost_usd: MicroUsd,
    pub budget_verdict: BudgetVerdict,
    pub timing: Timing,
}

/// When a run was, on its own clock.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub struct Timing {
    /// Sum over all calls.
    pub latency_ms: u64,
    pub duration_ms: u64,
    pub started_utc: String,
    pub ended_utc: String,
}

impl RunReport {
    pub(super) fn of(
        story: &Story,
        options: &Options,
        outcome: &Outcome,
        ending: &Ending,
        output_digest: Digest,
    ) -> Self {
        let cost = &outcome.record.cost;
        let (started, ended) = outcome.period;
        Self {
            schema: SCHEMA,
            workload: "scribe",
            seed: options.seed,
            index: options.index,
            input_digest: story.input_digest,
            output_digest,
            policy_digest: options.policy,
            exit_code: ending.exit,
            reason: ending.reason.clone(),
            message: ending.sentence.clone(),
            partial: ending.partial,
            planned: outcome.scenes.len() as u64,
            missing: outcome.scenes.iter().filter(|scene| scene.draft.is_missing()).count() as u64,
            hard_pass: outcome.score.hard_pass,
            soft_pass: outcome.score.soft_pass,
            hard_score: outcome.score.hard_score,
            soft_score: outcome.score.soft_score,
            violations: violations_by_rule(outcome),
            calls: cost.calls.len() as u64,
            attempts: outcome.record.attempts.len() as u64,
            retries: cost.total_retries,
            cached: cost.calls.iter().filter(|call| call.cached).count() as u64,
            cache_problems: outcome.record.cache_problems.clone(),
            tokens: cost.total_tokens,
            cost_usd: cost.total_cost_usd,
            budget_verdict: cost.budget_verdict,
            timing: Timing {
                latency_ms: cost.total_latency_ms,
                duration_ms: ended.0.saturating_sub(started.0),
                started_utc: rfc3339(started),
                ended_utc: rfc3339(ended),
            },
        }
    }
}

fn violations_by_rule(outcome: &Outcome) -> BTreeMap<String, RuleCount> {
    let of_scenes = outcome.scenes.iter().flat_map(|scene| &scene.draft.measure.violations);
    let mut by_rule = BTreeMap::new();
    for violation in of_scenes.chain(&outcome.story_violations) {
        let severity = match violation.rule.severity() {
            rules::Severity::Hard => Severity::Hard,
            rules::Severity::Soft => Severity::Soft,
        };
        by_rule.entry(word(&violation.rule)).or_insert(RuleCount { severity, count: 0 }).count += 1;
    }
    by_rule
}
