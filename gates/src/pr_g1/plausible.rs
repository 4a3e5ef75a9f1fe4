//! Whether the rows of this gate could have happened, and whether the writers really were there at the same time.

use std::collections::BTreeSet;

use contract::record::lock::Phase;

use super::{Outcome, kills, sections, writers};
use crate::check::{Judged, Numbers, Unjudged, Verdict};
use crate::evidence::Context;

pub(super) fn rows(context: &Context<'_>) -> Outcome {
    let (writers, sections, kills) = (writers(context)?, sections(context)?, kills(context)?);
    let forged = |place, reason| Err(Unjudged::Integrity { place, reason });
    for (line, section) in &sections.rows {
        let backwards = section.start_ns < section.wait_ns || section.end_ns.is_some_and(|end| end < section.start_ns);
        if backwards || section.end_ns.is_some() != section.after.is_some() {
            return forged(
                sections.at(*line),
                format!("section of writer {} ends before it starts, or half ends", section.writer),
            );
        }
    }
    let mut seen = BTreeSet::new();
    for (line, writer) in &writers.rows {
        let of_writer =
            || sections.iter().filter(|section| (section.phase, section.writer) == (writer.phase, writer.writer));
        let done = of_writer().filter(|section| section.end_ns.is_some()).count() as u64;
        if !seen.insert((writer.phase, writer.writer)) {
            return forged(
                writers.at(*line),
                format!("writer {} of phase {:?} stands twice", writer.writer, writer.phase),
            );
        }
        if done != writer.acknowledged {
            return forged(
                writers.at(*line),
                format!("writer {} says {} increments, its sections say {done}", writer.writer, writer.acknowledged),
            );
        }
        if writer.end_ns < writer.start_ns || of_writer().any(|section| section.start_ns < writer.start_ns) {
            return forged(writers.at(*line), format!("writer {} works before it starts", writer.writer));
        }
    }
    for (line, kill) in &kills.rows {
        let victim = writers.iter().find(|writer| (writer.phase, writer.writer) == (Phase::Storm, kill.writer));
        if victim.is_none_or(|victim| victim.signal != Some(9)) {
            return forged(
                kills.at(*line),
                format!("writer {} was killed and yet did not end by signal 9", kill.writer),
            );
        }
    }
    let calm = || writers.iter().filter(|writer| writer.phase == Phase::Calm);
    let together = calm().map(|writer| writer.start_ns).max() < calm().map(|writer| writer.end_ns).min();
    let wanted = context.policy.values.concurrency_kills;
    let (verdict, claim) = if !together {
        (Verdict::Inconclusive, "the writers never all worked at the same time".to_owned())
    } else if kills.len() < wanted {
        (Verdict::NoEvidence, format!("{} kills where {wanted} are planned", kills.len()))
    } else {
        (Verdict::Pass, format!("{} sections of {} writers could have happened", sections.len(), writers.len()))
    };
    let numbers = Numbers { n: sections.len(), n_distinct: writers.len(), ..Numbers::default() };
    let places = vec![writers.place.clone(), sections.place.clone(), kills.place.clone()];
    Ok(vec![Judged::new(
        "rows agree with each other, and all writers worked at the same time",
        verdict,
        claim,
        numbers,
        places,
    )])
}
