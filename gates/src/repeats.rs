//! Indices of a drill repeated through the built engine in its own process: the same digest, attempts and cost.

use std::collections::BTreeSet;

use contract::record::run::{Outcome, Repeat};

use crate::check::{Judged, Unjudged, Verdict, Violation};
use crate::evidence::Rows;

/// Judges the repeats that `of` takes: at least `least` distinct ones, each quoting what `inside` says the drill wrote.
///
/// # Errors
/// Integrity where a repeat quotes something else than the drill wrote.
pub fn judge(
    repeats: &Rows<Repeat>,
    least: u64,
    of: impl Fn(&Repeat) -> bool,
    inside: impl Fn(&Repeat) -> Option<Outcome>,
) -> Result<Judged, Unjudged> {
    let mut seen = BTreeSet::new();
    let mut broken = Vec::new();
    for (line, row) in repeats.rows.iter().filter(|(_, row)| of(row)) {
        let name = format!("run {} of {}", row.index, row.scenario);
        if inside(row).as_ref() != Some(&row.inside) {
            return Err(Unjudged::Integrity {
                place: repeats.at(*line),
                reason: format!("{name} is quoted otherwise than the drill wrote it"),
            });
        }
        seen.insert((&row.scenario, row.index));
        let what = match (&row.built, row.built_exit) {
            (Some(built), _) if *built == row.inside => continue,
            (Some(_), _) => format!("{name} gives another result through the built engine"),
            (None, exit) => format!("{name} gave nothing through the built engine (exit {exit:?}): {}", row.note),
        };
        broken.push(Violation { what, place: repeats.at(*line) });
    }
    let n = seen.len() as u64;
    let rule = format!("at least {least} runs give the same digest, attempts and cost through the built engine");
    let judged = Judged::invariant(rule, n, vec![repeats.place.clone()], &broken);
    Ok(match judged.verdict {
        Verdict::Pass if n < least => {
            Judged { verdict: Verdict::NoEvidence, claim: format!("{n} of {least} runs were repeated"), ..judged }
        }
        _ => judged,
    })
}
