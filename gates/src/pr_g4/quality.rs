//! How good and how stable: pass rates and envelopes by bounds over distinct inputs, and the defects that were planted.

use contract::calibration::{Better, Constant, Envelope};
use contract::record::run::Planted;
use contract::seed::Seed;

use super::workload::Sample;
use super::{Outcome, planned};
use crate::check::{Judged, Numbers, Unjudged, Verdict};
use crate::evidence::Context;
use crate::statistics::proportion::Proportion;
use crate::statistics::{Alpha, Bounds, Decision, Limit, StatisticsError, spread};

/// The error probability of each one-sided bound (STA-2).
const ALPHA: f64 = 0.05;

/// What a rule on a distribution found.
struct Proof {
    bounds: Bounds,
    decision: Decision,
    /// The method, for the claim.
    method: &'static str,
}

pub(super) fn hard_pass_rate(context: &Context<'_>) -> Outcome {
    let limit = context.policy.values.pass_ratio_min;
    let judged = |(workload, _): (String, u64)| {
        let sample = Sample::read(context, &workload)?;
        let proof = rate(&sample, |input| input.hard_pass, at_least(limit)).map_err(|error| broken(&sample, &error))?;
        let rule = format!("hard pass rate >= {limit}, by the lower bound at 95 % over distinct inputs");
        let verdict = verdict_of(proof.decision);
        let claim = claim(&sample, &proof, &format!("meet the hard rules (limit {limit})"));
        Ok(Judged::new(rule, verdict, claim, numbers(&sample, &proof, limit), vec![sample.rows.place.clone()])
            .instance(workload))
    };
    planned(context)?.into_iter().map(judged).collect()
}

pub(super) fn envelopes(context: &Context<'_>) -> Outcome {
    let mut out = Vec::new();
    for (workload, _) in planned(context)? {
        let sample = Sample::read(context, &workload)?;
        let metrics = context.policy.values.variance_envelopes.get(&workload);
        let mut of_workload: Vec<(String, Judged)> = Vec::new();
        for (metric, envelope) in metrics.into_iter().flatten() {
            of_workload.push((metric.clone(), judge_envelope(context, &sample, metric, envelope)?));
        }
        flag_variance(&mut of_workload);
        out.extend(of_workload.into_iter().map(|(metric, judged)| judged.instance(format!("{workload}.{metric}"))));
    }
    Ok(out)
}

pub(super) fn planted_defects(context: &Context<'_>) -> Outcome {
    let rows = context.rows::<Planted>("planted.jsonl")?;
    let least = context.policy.values.planted_scenes_min;
    let rule = format!("over at least {least} scenes the HARD defects measured are those planted, scene by scene");
    let broken = rows.violations(|scene| {
        let missed: Vec<&str> =
            scene.planted.iter().filter(|rule| !scene.measured.contains(rule)).map(String::as_str).collect();
        let invented: Vec<&str> =
            scene.measured.iter().filter(|rule| !scene.planted.contains(rule)).map(String::as_str).collect();
        match (missed.as_slice(), invented.as_slice()) {
            ([], []) => None,
            ([], invented) => Some(format!(
                "run {} scene {}: measured {} where none was planted",
                scene.index,
                scene.scene_id,
                invented.join(", ")
            )),
            (missed, _) => Some(format!(
                "run {} scene {}: planted {} was not measured",
                scene.index,
                scene.scene_id,
                missed.join(", ")
            )),
        }
    });
    let judged = Judged::invariant(rule, rows.len(), vec![rows.place.clone()], &broken);
    let planted = rows.iter().filter(|scene| !scene.planted.is_empty()).count();
    if judged.verdict == Verdict::Pass && (rows.len() < least || planted == 0) {
        let claim = format!("{} scenes, {planted} with a planted defect: too few to say anything", rows.len());
        return Ok(vec![Judged { verdict: Verdict::NoEvidence, claim, ..judged }]);
    }
    Ok(vec![judged])
}

fn judge_envelope(
    context: &Context<'_>,
    sample: &Sample,
    metric: &str,
    envelope: &Envelope,
) -> Result<Judged, Unjudged> {
    let error = |error: StatisticsError| broken(sample, &error);
    let limit = match (envelope.better, envelope.min, envelope.max) {
        (Better::Higher, Some(min), _) => Limit::at_least(min),
        (Better::Lower, _, Some(max)) => Limit::at_most(max),
        (Better::TwoSided, Some(min), Some(max)) => Limit::between(min, max),
        // A checked calibration has the bounds that its direction needs.
        _ => {
            return Err(Unjudged::NoEvidence {
                place: sample.rows.place.clone(),
                reason: format!("envelope {metric} lacks its bound"),
            });
        }
    }
    .map_err(error)?;
    let alpha = Alpha::new(ALPHA).map_err(error)?;
    let proof = match (metric, metric.strip_prefix("mean_"), metric.strip_prefix("std_")) {
        ("hard_pass_rate", ..) => rate(sample, |input| input.hard_pass, Ok(limit)).map_err(error)?,
        ("soft_pass_rate", ..) => rate(sample, |input| input.soft_pass, Ok(limit)).map_err(error)?,
        (_, Some(score), _) => {
            let bounds = spread::mean_bounds(&sample.scores(score)?, alpha).map_err(error)?;
            Proof { bounds, decision: bounds.decide(limit), method: "t interval of the mean" }
        }
        (_, _, Some(score)) => {
            let seed = bootstrap_seed(context, metric)?;
            let bounds = spread::std_bounds(&sample.scores(score)?, alpha, seed).map_err(error)?;
            Proof { bounds, decision: bounds.decide(limit), method: "BCa bootstrap of the standard deviation" }
        }
        _ => {
            let reason = format!("envelope `{metric}` is no rate, mean or std");
            return Err(Unjudged::NoEvidence { place: sample.rows.place.clone(), reason });
        }
    };
    let (verdict, claim) = constant_rule(sample, metric, envelope, &proof)?;
    let shown = match envelope.better {
        Better::Higher => format!("{metric} >= {}", envelope.min.unwrap_or(f64::NAN)),
        Better::Lower => format!("{metric} <= {}", envelope.max.unwrap_or(f64::NAN)),
        Better::TwoSided => {
            format!("{metric} within [{}, {}]", envelope.min.unwrap_or(f64::NAN), envelope.max.unwrap_or(f64::NAN))
        }
    };
    let estimate = proof.bounds.estimate();
    let target_missed = match envelope.better {
        Better::Higher => estimate < envelope.target,
        Better::Lower => estimate > envelope.target,
        Better::TwoSided => false,
    };
    let limit_shown = if envelope.better == Better::Lower { envelope.max } else { envelope.min };
    let numbers = Numbers { limit: limit_shown, ..numbers(sample, &proof, 0.0) };
    let rule = format!("{shown}, by the bound at 95 % over distinct inputs; target {}", envelope.target);
    Ok(Judged { target_missed, ..Judged::new(rule, verdict, claim, numbers, vec![sample.rows.place.clone()]) })
}

/// A declared constant decides before any interval does (STA-21).
fn constant_rule(
    sample: &Sample,
    metric: &str,
    envelope: &Envelope,
    proof: &Proof,
) -> Result<(Verdict, String), Unjudged> {
    let score = metric.strip_prefix("mean_").or_else(|| metric.strip_prefix("std_"));
    let varies = match (envelope.constant, score) {
        (Some(_), Some(score)) => !spread::is_constant(&sample.scores(score)?),
        _ => true,
    };
    Ok(match (envelope.constant, varies) {
        (Some(Constant::Required), true) => (Verdict::Fail, format!("{metric} is declared constant and varies")),
        (Some(Constant::Unexpected), false) => {
            (Verdict::Inconclusive, format!("{metric} is declared stochastic and has no variance"))
        }
        _ => (verdict_of(proof.decision), claim(sample, proof, &format!("as bounded for {metric}"))),
    })
}

/// `DOWNGRADE_VARIANCE` says that the quality floor held while mean or spread left its envelope (STA-22).
fn flag_variance(of_workload: &mut [(String, Judged)]) {
    let floor_held =
        of_workload.iter().any(|(metric, judged)| metric == "hard_pass_rate" && judged.verdict == Verdict::Pass);
    for (metric, judged) in of_workload {
        if floor_held && metric != "hard_pass_rate" && judged.verdict == Verdict::Fail {
            judged.claim += "; downgrade_flag: DOWNGRADE_VARIANCE";
        }
    }
}

fn rate(
    sample: &Sample,
    passes: impl Fn(&super::workload::Input) -> bool,
    limit: Result<Limit, StatisticsError>,
) -> Result<Proof, StatisticsError> {
    let alpha = Alpha::new(ALPHA)?;
    let passed = sample.inputs.iter().filter(|input| passes(input)).count() as u64;
    let proportion = Proportion::new(passed, sample.inputs.len() as u64)?;
    Ok(Proof {
        bounds: proportion.bounds(alpha)?,
        decision: proportion.decide(limit?, alpha)?,
        method: "Clopper-Pearson",
    })
}

fn at_least(limit: f64) -> Result<Limit, StatisticsError> {
    Limit::at_least(limit)
}

/// The resamples of a check are the same on every machine (STA-18).
fn bootstrap_seed(context: &Context<'_>, metric: &str) -> Result<Seed, Unjudged> {
    let plan = context.plan()?;
    Ok(plan.master_seed.derive(&format!("{}/envelope:{metric}", context.gate), 0))
}

fn numbers(sample: &Sample, proof: &Proof, limit: f64) -> Numbers {
    Numbers {
        observed: Some(proof.bounds.estimate()),
        lower: proof.bounds.lower().value(),
        upper: proof.bounds.upper().value(),
        limit: Some(limit),
        n: sample.rows.len(),
        n_distinct: sample.inputs.len() as u64,
    }
}

fn verdict_of(decision: Decision) -> Verdict {
    match decision {
        Decision::Pass => Verdict::Pass,
        Decision::Fail => Verdict::Fail,
        Decision::Inconclusive { .. } => Verdict::Inconclusive,
    }
}

/// What is claimed and what is not (STA-50): lower bounds are rounded down, upper bounds up.
fn claim(sample: &Sample, proof: &Proof, what: &str) -> String {
    let shown = |value: Option<f64>, round: fn(f64) -> f64| {
        value.map_or("none".to_owned(), |value| format!("{}", round(value * 1e4) / 1e4))
    };
    let lower = shown(proof.bounds.lower().value(), f64::floor);
    let upper = shown(proof.bounds.upper().value(), f64::ceil);
    let seen = format!(
        "seen {} distinct inputs in {} runs, estimate {:.4}",
        sample.inputs.len(),
        sample.rows.len(),
        proof.bounds.estimate()
    );
    match proof.decision {
        Decision::Inconclusive { more } => {
            let more = more.map_or("more runs are unlikely to help".to_owned(), |more| more.to_string());
            format!("not decided: bounds [{lower}, {upper}]; {more}; {seen}")
        }
        Decision::Fail => format!("disproved at 95 % confidence: bounds [{lower}, {upper}]; {seen}; {}", proof.method),
        Decision::Pass => format!(
            "claim at 95 % confidence: bounds [{lower}, {upper}] {what}; {seen}; {}, alpha {ALPHA}, look 1, family proof; \
             not claimed: other generators, machines, revisions",
            proof.method
        ),
    }
}

fn broken(sample: &Sample, error: &StatisticsError) -> Unjudged {
    Unjudged::NoEvidence { place: sample.rows.place.clone(), reason: error.to_string() }
}
