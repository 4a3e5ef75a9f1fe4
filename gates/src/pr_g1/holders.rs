//! Holders that die, holders that stand still, and whether everybody gets a turn.

use std::collections::BTreeMap;

use contract::record::lock::{Phase, StoppedWaiter, Takeover};

use super::shared_folder::overlaps;
use super::{Outcome, sections, writers};
use crate::check::{Judged, Numbers, Verdict, Violation};
use crate::evidence::{Context, split_not_run};

pub(super) fn dead_holder_recovered(context: &Context<'_>) -> Outcome {
    let rows = context.rows::<Takeover>("takeovers.jsonl")?;
    let limit = context.policy.values.lock_recovery_max_ms;
    let never = rows.violations(|trial| {
        trial.acquired_ns.is_none().then(|| format!("trial {}: nobody got in: {}", trial.trial, trial.error))
    });
    let got_in = Judged::invariant(
        "after SIGKILL of the holder the next one gets in",
        rows.len(),
        vec![rows.place.clone()],
        &never,
    );
    let waited =
        |trial: &Takeover| trial.acquired_ns.map(|acquired| acquired.saturating_sub(trial.killed_ns) as f64 / 1e6);
    let late = rows.violations(|trial| {
        let waited = waited(trial)?;
        (waited > limit as f64).then(|| format!("trial {}: {waited:.1} ms, limit {limit} ms", trial.trial))
    });
    let slowest = rows.iter().filter_map(waited).max_by(f64::total_cmp);
    let in_time = Judged::invariant(
        format!("the next holder gets in within {limit} ms"),
        rows.len(),
        vec![rows.place.clone()],
        &late,
    );
    let numbers = Numbers { observed: slowest, limit: Some(limit as f64), ..in_time.numbers };
    let in_time = clock_rule(context, Judged { numbers, ..in_time }).instance("time");
    Ok(vec![got_in, in_time])
}

pub(super) fn live_holder_respected(context: &Context<'_>) -> Outcome {
    let (waiters, sections) = (context.rows::<StoppedWaiter>("stopped.jsonl")?, sections(context)?);
    let (made, not_run) =
        split_not_run(&waiters, |row| row.not_run.clone().map(|reason| (format!("waiter {}", row.waiter), reason)));
    let mut broken = Vec::new();
    for (line, row) in &made {
        let refused = row.error == "LOCK_TIMEOUT" && row.named_pid == Some(row.holder_pid);
        let stuck_is_right = row.held_ms.is_some_and(|held| row.stuck == (held > row.lock_max_age_ms));
        let what = if row.start_ns >= row.resumed_ns {
            continue;
        } else if !refused {
            format!(
                "waiter {} got `{}` naming {:?}, holder was {}",
                row.waiter, row.error, row.named_pid, row.holder_pid
            )
        } else if row.end_ns > row.resumed_ns {
            format!("waiter {} gave up only after the holder went on", row.waiter)
        } else if !stuck_is_right {
            format!("waiter {} says stuck: {} of a lock held {:?} ms", row.waiter, row.stuck, row.held_ms)
        } else {
            continue;
        };
        broken.push(Violation { what, place: waiters.at(*line) });
    }
    broken.extend(overlaps(&sections, |section| section.phase == Phase::Stopped));
    let places = vec![waiters.place.clone(), sections.place];
    let judged = Judged::invariant(
        "waiters get LOCK_TIMEOUT naming the holder, 0 overlaps when it goes on",
        made.len() as u64,
        places,
        &broken,
    );
    let stuck_seen = made.iter().any(|(_, row)| row.stuck);
    let judged = if judged.verdict == Verdict::Pass && !stuck_seen {
        let claim =
            "no holder was stopped beyond LOCK_MAX_AGE_MS, so nothing shows that a stuck one is respected".into();
        Judged { verdict: Verdict::NoEvidence, claim, ..judged }
    } else {
        judged
    };
    Ok(vec![judged.with_not_run(not_run, context.policy.strict_rows())])
}

pub(super) fn fairness(context: &Context<'_>) -> Outcome {
    let (writers, sections) = (writers(context)?, sections(context)?);
    let limit = context.policy.values.lock_fairness_max;
    let calm = || writers.iter().filter(|writer| writer.phase == Phase::Calm);
    // Turns count only while everybody works: a writer that is done wants none.
    let all_work = calm().map(|writer| writer.start_ns).max().zip(calm().map(|writer| writer.end_ns).min());
    let mut turns: BTreeMap<u64, u64> = calm().map(|writer| (writer.writer, 0)).collect();
    if let Some((from, to)) = all_work {
        for section in
            sections.iter().filter(|section| section.phase == Phase::Calm && (from..to).contains(&section.start_ns))
        {
            *turns.entry(section.writer).or_default() += 1;
        }
    }
    let places = vec![sections.place.clone(), writers.place.clone()];
    let rule = format!("max/min turns per writer, while all work, is at most {limit}");
    let (most, least) = (turns.values().max().copied().unwrap_or(0), turns.values().min().copied().unwrap_or(0));
    let n = turns.values().sum::<u64>();
    let ratio = (least > 0).then(|| most as f64 / least as f64);
    let (verdict, claim) = match ratio {
        _ if n == 0 => (Verdict::NoEvidence, "the writers never worked at the same time".to_owned()),
        Some(ratio) if ratio <= limit => {
            (Verdict::Pass, format!("{most} to {least} turns among {} writers", turns.len()))
        }
        Some(ratio) => (Verdict::Fail, format!("{most} to {least} turns: {ratio:.2}, limit {limit}")),
        None => (Verdict::Fail, format!("a writer had no turn while another had {most}")),
    };
    let numbers =
        Numbers { observed: ratio, limit: Some(limit), n, n_distinct: turns.len() as u64, ..Numbers::default() };
    Ok(vec![clock_rule(context, Judged::new(rule, verdict, claim, numbers, places))])
}

/// A rule on wall time decides only where the machine is there for the gate alone (STA-26).
fn clock_rule(context: &Context<'_>, judged: Judged) -> Judged {
    if context.policy.clock_rules_decide() { judged } else { judged.soft() }
}
