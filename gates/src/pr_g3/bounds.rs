//! Retries stay within bounds, and no fault becomes a silent success.

use contract::record::chaos::Attempt;

use super::Outcome;
use super::storm::Stormed;
use crate::check::{Judged, Violation};
use crate::evidence::Context;

pub(super) fn bounded_retry(context: &Context<'_>) -> Outcome {
    let storms = Stormed::all(context)?;
    let mut broken = Vec::new();
    let mut n = 0;
    for stormed in &storms {
        let limits = &stormed.calibration;
        let calls = stormed.by_call();
        let retries: u64 = calls.values().map(|attempts| attempts.len() as u64 - 1).sum();
        n += stormed.attempts.len();
        if retries > limits.max_retries_per_run {
            let what =
                format!("{}: {retries} retries in the run, limit {}", stormed.name(), limits.max_retries_per_run);
            broken.push(Violation { what, place: stormed.attempts.place.clone() });
        }
        for (call, attempts) in &calls {
            if attempts.len() as u64 > 1 + limits.max_retries {
                let what = format!(
                    "{}: {} attempts of call {call}, limit {}",
                    stormed.name(),
                    attempts.len(),
                    1 + limits.max_retries
                );
                broken.push(Violation { what, place: stormed.attempts.at(attempts[0].0) });
            }
            for pair in attempts.windows(2) {
                let ((_, before), (line, retry)) = (pair[0], pair[1]);
                if let Some(what) = wait_fault(stormed, before, retry) {
                    broken.push(Violation {
                        what: format!("{}: call {call}: {what}", stormed.name()),
                        place: stormed.attempts.at(line),
                    });
                }
            }
        }
    }
    let place = storms[0].attempts.place.clone();
    Ok(vec![Judged::invariant("attempts, retries and waits stay within their bounds", n, vec![place], &broken)])
}

pub(super) fn fail_closed(context: &Context<'_>) -> Outcome {
    let storms = Stormed::all(context)?;
    let mut broken = Vec::new();
    let mut injected = 0;
    for stormed in &storms {
        let calls = stormed.by_call();
        for (line, attempt) in &stormed.attempts.rows {
            injected += u64::from(attempt.injected.is_some());
            let good = attempt.outcome == "ok";
            let what = if good && attempt.injected.is_some() {
                format!("an injected {:?} counts as a good attempt", attempt.injected)
            } else if good != attempt.accepted_chars.is_some_and(|chars| chars > 0) {
                format!(
                    "attempt {} is `{}` with {:?} characters",
                    attempt.attempt, attempt.outcome, attempt.accepted_chars
                )
            } else {
                continue;
            };
            broken.push(Violation {
                what: format!("{}: call {}: {what}", stormed.name(), attempt.call_index),
                place: stormed.attempts.at(*line),
            });
        }
        for end in &stormed.storm.ends {
            let last = calls.get(&end.call_index).and_then(|attempts| attempts.last());
            let last_good = last.is_some_and(|(_, attempt)| attempt.outcome == "ok");
            let ended_good = end.outcome == "ok";
            let what = if ended_good != last_good {
                format!(
                    "call {} ended `{}` after `{}`",
                    end.call_index,
                    end.outcome,
                    last.map_or("no attempt", |(_, attempt)| &attempt.outcome)
                )
            } else if ended_good != (end.chars > 0) {
                format!("call {} ended `{}` with {} characters", end.call_index, end.outcome, end.chars)
            } else {
                continue;
            };
            broken.push(Violation { what: format!("{}: {what}", stormed.name()), place: stormed.place.clone() });
        }
    }
    let place = storms[0].attempts.place.clone();
    let rule = "every injected fault ends in a later good attempt or a failed call; no empty reply is accepted";
    Ok(vec![Judged::invariant(rule, injected, vec![place], &broken)])
}

/// What is wrong with the wait before a retry. Base times two to the attempt is the least, the cap the most; a longer
/// Retry-After is a floor above the cap, up to its own maximum.
fn wait_fault(stormed: &Stormed, before: &Attempt, retry: &Attempt) -> Option<String> {
    let limits = &stormed.calibration;
    let doubled = limits.backoff_base_ms.saturating_mul(1_u64.checked_shl(before.attempt - 1).unwrap_or(u64::MAX));
    let floor = doubled.min(limits.backoff_max_ms);
    let asked = before.retry_after_ms.unwrap_or(0);
    let most = limits.backoff_max_ms.max(asked);
    let wait = retry.wait_ms;
    if wait < floor.max(asked) || wait > most {
        Some(format!("waited {wait} ms before attempt {}, allowed are {} to {most}", retry.attempt, floor.max(asked)))
    } else if asked > limits.retry_after_max_ms {
        Some(format!("waited for a Retry-After of {asked} ms, limit {}", limits.retry_after_max_ms))
    } else if retry.started < before.ended + wait {
        Some(format!(
            "attempt {} starts {} ms after the one before, {wait} were due",
            retry.attempt,
            retry.started.saturating_sub(before.ended)
        ))
    } else {
        None
    }
}
