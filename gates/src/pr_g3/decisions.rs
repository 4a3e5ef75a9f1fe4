//! Which faults were injected: how often, of which kind, and always the same.

use std::collections::{BTreeMap, BTreeSet};

use contract::chaos_profile::FailureMode;
use contract::record::run::Repeat;

use super::Outcome;
use super::storm::Stormed;
use crate::check::{Judged, Numbers, Unjudged, Verdict, Violation};
use crate::evidence::Context;
use crate::repeats;
use crate::statistics::proportion::Proportion;
use crate::statistics::{Alpha, StatisticsError};

pub(super) fn injection_rate(context: &Context<'_>) -> Outcome {
    let storms = Stormed::all(context)?;
    let mut out = Vec::new();
    for (profile, rate) in rates(context)? {
        let counted: Vec<&Stormed> =
            storms.iter().filter(|stormed| stormed.storm.profile == profile && stormed.counts_for_rate()).collect();
        let attempts: u64 = counted.iter().map(|stormed| stormed.attempts.len()).sum();
        let injected = counted
            .iter()
            .flat_map(|stormed| stormed.attempts.iter())
            .filter(|attempt| attempt.injected.is_some())
            .count() as u64;
        let places = counted.iter().map(|stormed| stormed.attempts.place.clone()).collect();
        let alpha = context.policy.chaos.rate_alpha;
        let rule = format!(
            "the exact {:.1} % interval of injected/attempts contains {rate} and excludes {} and {}",
            100.0 * (1.0 - alpha),
            rate / 2.0,
            rate * 2.0
        );
        let bounds =
            (|| -> Result<_, StatisticsError> { Proportion::new(injected, attempts)?.two_sided(Alpha::new(alpha)?) })();
        let judged = match bounds {
            Err(error) => Judged::new(
                rule,
                Verdict::NoEvidence,
                format!("{injected} of {attempts}: {error}"),
                Numbers::default(),
                places,
            ),
            Ok(bounds) => {
                let (lower, upper) = (bounds.lower().value(), bounds.upper().value());
                let (low, high) = (lower.unwrap_or(0.0), upper.unwrap_or(1.0));
                let inside = |value: f64| (low..=high).contains(&value);
                let seen = format!("{injected} of {attempts} attempts were injected, interval [{low:.4}, {high:.4}]");
                let (verdict, claim) = if !inside(rate) {
                    (Verdict::Fail, format!("{seen} does not contain {rate}"))
                } else if inside(rate / 2.0) || inside((rate * 2.0).min(1.0)) {
                    (
                        Verdict::Inconclusive,
                        format!("{seen} cannot tell {rate} from half or twice of it; run more calls"),
                    )
                } else {
                    (Verdict::Pass, seen)
                };
                let numbers = Numbers {
                    observed: Some(bounds.estimate()),
                    lower,
                    upper,
                    limit: Some(rate),
                    n: attempts,
                    n_distinct: attempts,
                };
                Judged::new(rule, verdict, claim, numbers, places)
            }
        };
        out.push(judged.instance(profile));
    }
    Ok(out)
}

pub(super) fn modes_covered(context: &Context<'_>) -> Outcome {
    let storms = Stormed::all(context)?;
    let mut out = Vec::new();
    for (profile, spec) in &context.policy.chaos.profiles {
        let of_profile = || storms.iter().filter(|stormed| stormed.storm.profile == *profile);
        let seen: BTreeSet<FailureMode> =
            of_profile().flat_map(|stormed| stormed.attempts.iter()).filter_map(|attempt| attempt.injected).collect();
        let wanted: BTreeSet<FailureMode> = spec.failure_types.iter().copied().collect();
        let place =
            of_profile().next().map_or_else(|| storms[0].place.clone(), |stormed| stormed.attempts.place.clone());
        let never = wanted.difference(&seen).map(|mode| format!("{} never occurred", mode.name()));
        let outside = seen.difference(&wanted).map(|mode| format!("{} is not of this profile", mode.name()));
        let broken: Vec<Violation> =
            never.chain(outside).map(|what| Violation { what, place: place.clone() }).collect();
        let n = of_profile().map(|stormed| stormed.attempts.len()).sum();
        out.push(
            Judged::invariant("every mode of the profile occurs and nothing outside it", n, vec![place], &broken)
                .instance(profile),
        );
    }
    Ok(out)
}

pub(super) fn deterministic(context: &Context<'_>) -> Outcome {
    let storms = Stormed::all(context)?;
    // Every seed has all its parts: one that is missing was refused on the way in.
    let mut parts: BTreeMap<(&str, u64), Vec<&Stormed>> = BTreeMap::new();
    for stormed in &storms {
        parts.entry((&stormed.storm.profile, stormed.storm.index)).or_default().push(stormed);
    }
    let mut broken = Vec::new();
    let mut compared = 0;
    for of_seed in parts.values() {
        let Some((first, others)) = of_seed.split_first() else { continue };
        let decisions = decided(first);
        for other in others {
            for (key, (line, decision)) in decided(other) {
                let Some((_, before)) = decisions.get(&key) else { continue };
                compared += 1;
                if *before != decision {
                    let what = format!(
                        "call {} attempt {} of {} is decided otherwise than at concurrency 1",
                        key.0,
                        key.1,
                        other.name()
                    );
                    broken.push(Violation { what, place: other.attempts.at(line) });
                }
            }
        }
    }
    let place = storms[0].place.clone();
    let inside = Judged::invariant("decisions are the same at concurrency 1, 2 and 8", compared, vec![place], &broken);
    let rows = context.rows::<Repeat>("repeats.jsonl")?;
    let least = context.policy.values.repeated_indices;
    // What the drill wrote stands in the row itself: the storms are of calls, the repeats of whole stories under a profile.
    let built = repeats::judge(&rows, least, |row| row.drill == "chaos", |row| Some(row.inside.clone()))?;
    Ok(vec![inside.instance("concurrency"), built.instance("built")])
}

pub(super) fn chaos_log_valid(context: &Context<'_>) -> Outcome {
    let storms = Stormed::all(context)?;
    let mut broken = Vec::new();
    let mut n = 0;
    for stormed in &storms {
        let entries: Vec<_> = stormed.log.iter().flat_map(|log| &log.entries).collect();
        n += entries.len() as u64;
        let mut fail = |what: String| {
            broken.push(Violation { what: format!("{}: {what}", stormed.name()), place: stormed.log.place.clone() })
        };
        let mut expected = (0, 1);
        for entry in &entries {
            // The next entry is the next attempt of this call, or the first of the next one.
            let here = (entry.call_index, u64::from(entry.attempt));
            if here != expected && here != (expected.0 + u64::from(expected.1 > 1), 1) {
                fail(format!(
                    "entry (call {}, attempt {}) follows where (call {}, attempt {}) is next",
                    here.0, here.1, expected.0, expected.1
                ));
            }
            expected = (here.0, here.1 + 1);
            if entry.injected != entry.failure_type.is_some() {
                fail(format!(
                    "call {} attempt {}: injected is {} and failure_type {:?}",
                    here.0, here.1, entry.injected, entry.failure_type
                ));
            }
        }
        let logged: Vec<_> =
            entries.iter().map(|entry| (entry.call_index, entry.attempt, entry.failure_type)).collect();
        let made: Vec<_> =
            stormed.attempts.iter().map(|attempt| (attempt.call_index, attempt.attempt, attempt.injected)).collect();
        if logged != made {
            fail(format!("{} entries do not match {} attempts", logged.len(), made.len()));
        }
    }
    let place = storms[0].log.place.clone();
    Ok(vec![Judged::invariant("one entry an attempt, in order, failure_type iff injected", n, vec![place], &broken)])
}

/// The rate of every profile.
fn rates(context: &Context<'_>) -> Result<Vec<(String, f64)>, Unjudged> {
    let rate = context.policy.values.chaos_rate;
    Ok(context
        .policy
        .chaos
        .profiles
        .iter()
        .map(|(name, profile)| (name.clone(), profile.rate.unwrap_or(rate)))
        .collect())
}

/// The decision about each (call, attempt), with the line of the attempt.
fn decided(stormed: &Stormed) -> BTreeMap<(u64, u32), (u64, Option<FailureMode>)> {
    let rows = stormed.attempts.rows.iter();
    rows.map(|(line, attempt)| ((attempt.call_index, attempt.attempt), (*line, attempt.injected))).collect()
}
