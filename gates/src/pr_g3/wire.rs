//! Calls over real HTTP, and whether both sides counted the same.

use std::collections::BTreeMap;

use contract::chaos_profile::FailureMode;
use contract::record::chaos::{Attempt, WireCase};

use super::Outcome;
use super::storm::Stormed;
use crate::check::{Judged, NotRun, Violation};
use crate::evidence::{Context, Rows, split_not_run};

const PROTOCOLS: [&str; 2] = ["openai", "anthropic"];
/// The project's own server; it shares no code with the providers.
const OWN: &str = "wire";
/// One that others wrote.
const THIRD_PARTY: &str = "aimock";

pub(super) fn reconciled(context: &Context<'_>) -> Outcome {
    let storms = Stormed::all(context)?;
    let mut broken = Vec::new();
    for stormed in &storms {
        let sent = stormed.attempts.iter().filter(|attempt| attempt.injected.is_none()).count() as u64;
        if sent != stormed.storm.arrived {
            let what = format!("{}: {sent} attempts were sent, {} arrived", stormed.name(), stormed.storm.arrived);
            broken.push(Violation { what, place: stormed.place.clone() });
        }
    }
    let (cases, made, not_run) = wire_cases(context)?;
    for (line, case) in &made {
        let folder = format!("wire-journal/{}", case.case);
        let ours = context.rows::<Attempt>(&format!("{folder}/attempts.jsonl"))?;
        let theirs = context.json_lines(&format!("{folder}/arrived.jsonl"))?;
        let sent = ours.iter().filter(|attempt| attempt.injected.is_none()).count() as u64;
        if (sent, sent) != (theirs.len(), case.arrived) || ours.len() != case.attempts {
            let what = format!(
                "{}: we sent {sent} requests, the server's journal has {}, the row says {}",
                case.case,
                theirs.len(),
                case.arrived
            );
            broken.push(Violation { what, place: cases.at(*line) });
        }
    }
    let n = (storms.len() + made.len()) as u64;
    let places = vec![storms[0].attempts.place.clone(), cases.place.clone()];
    let judged = Judged::invariant("attempts sent equal requests that arrived, count by count", n, places, &broken);
    Ok(vec![judged.with_not_run(not_run, context.policy.strict_rows())])
}

pub(super) fn real_wire(context: &Context<'_>) -> Outcome {
    let (cases, made, not_run) = wire_cases(context)?;
    let mut broken: Vec<Violation> = Vec::new();
    let mut seen: BTreeMap<(&str, &str, Option<FailureMode>), u64> = BTreeMap::new();
    for (line, case) in &made {
        *seen.entry((&case.server, &case.protocol, case.mode)).or_default() += 1;
        if let Some(what) = case_fault(case) {
            broken.push(Violation { what: format!("{}: {what}", case.case), place: cases.at(*line) });
        }
    }
    // In `dev` the third party may be absent; elsewhere it is demanded like any other row.
    let servers: &[&str] = if context.policy.file.profile == "dev" { &[OWN] } else { &[OWN, THIRD_PARTY] };
    for server in servers {
        for protocol in PROTOCOLS {
            let absent =
                FailureMode::ALL.into_iter().filter(|mode| !seen.contains_key(&(*server, protocol, Some(*mode))));
            broken.extend(absent.map(|mode| Violation {
                what: format!("{} was not made by {server} over {protocol}", mode.name()),
                place: cases.place.clone(),
            }));
        }
    }
    let judged = Judged::invariant(
        "all six modes over real HTTP for both protocols",
        made.len() as u64,
        vec![cases.place.clone()],
        &broken,
    );
    Ok(vec![judged.with_not_run(not_run, context.policy.strict_rows())])
}

type Cases = (Rows<WireCase>, Vec<(u64, WireCase)>, Vec<NotRun>);

fn wire_cases(context: &Context<'_>) -> Result<Cases, crate::check::Unjudged> {
    let cases = context.rows::<WireCase>("wire.jsonl")?;
    let (made, not_run) = split_not_run(&cases, |case| case.not_run.clone().map(|reason| (case.case.clone(), reason)));
    let made = made.into_iter().map(|(line, case)| (line, case.clone())).collect();
    Ok((cases, made, not_run))
}

/// What is wrong with one case: a fault must cost one attempt and no more, and the good reply must come through whole.
fn case_fault(case: &WireCase) -> Option<String> {
    if case.outcomes.len() as u64 != case.attempts || case.end.attempts != case.attempts {
        return Some(format!(
            "{} attempts, {} outcomes, the call counts {}",
            case.attempts,
            case.outcomes.len(),
            case.end.attempts
        ));
    }
    if case.key_seen > 0 {
        return Some(format!("the key was found {} times in what was written", case.key_seen));
    }
    match case.mode {
        None => None,
        Some(mode) if case.outcomes.first().is_none_or(|first| first == "ok") => {
            Some(format!("{} was taken for a good reply", mode.name()))
        }
        Some(_) if case.end.outcome != "ok" || case.end.chars == 0 => {
            Some(format!("the call ended `{}` with {} characters", case.end.outcome, case.end.chars))
        }
        Some(_) if !case.text_intact => Some("the text is not the one that the server sent".into()),
        Some(_) => None,
    }
}
