//! One storm as the drill left it, and whether it could have happened.

use std::collections::BTreeMap;

use contract::calibration::Calibration;
use contract::record::chaos::{Attempt, ChaosLog, Storm, StormPurpose};

use super::Outcome;
use crate::check::{Judged, Numbers, Place, Unjudged, Verdict};
use crate::evidence::{Context, Rows};

/// The parts of each storm with what they are for and their concurrency; in the first, each decision is made once.
const PARTS: [(&str, StormPurpose, u64); 4] = [
    ("c1", StormPurpose::Rate, 1),
    ("c2", StormPurpose::Rate, 2),
    ("c8", StormPurpose::Rate, 8),
    ("bounds", StormPurpose::Bounds, 8),
];

/// A storm with its journal, its decisions and the calibration that bounded it.
pub(super) struct Stormed {
    pub(super) place: Place,
    pub(super) storm: Storm,
    pub(super) attempts: Rows<Attempt>,
    pub(super) log: Rows<ChaosLog>,
    pub(super) calibration: Calibration,
}

impl Stormed {
    /// Every storm of the plan, part by part: one that is not there cannot be judged away.
    pub(super) fn all(context: &Context<'_>) -> Result<Vec<Self>, Unjudged> {
        let plan = context.plan()?;
        let mut out = Vec::new();
        for profile in context.policy.chaos.profiles.keys() {
            for index in 0..plan.runs("chaos", "").unwrap_or(0) {
                for (part, purpose, concurrency) in PARTS {
                    let folder = format!("{profile}/{}/{part}", plan.seed(index));
                    let stormed = Self::read(context, &folder)?;
                    let storm = &stormed.storm;
                    let made = (storm.profile.as_str(), storm.index, storm.seed, storm.purpose, storm.concurrency);
                    if made != (profile.as_str(), index, plan.seed(index), purpose, concurrency) {
                        let reason = format!("{made:?} stands in the folder {folder}");
                        return Err(Unjudged::Integrity { place: stormed.place, reason });
                    }
                    out.push(stormed);
                }
            }
        }
        if out.is_empty() {
            let place =
                Place { path: format!("evidence/{}/plan.json", context.gate), line: None, sha256: String::new() };
            return Err(Unjudged::NoEvidence { place, reason: "no storm is planned".into() });
        }
        Ok(out)
    }

    fn read(context: &Context<'_>, folder: &str) -> Result<Self, Unjudged> {
        let report = context.file::<Storm>(&format!("{folder}/run-report.json"))?;
        let (place, bytes) = context.bytes(&format!("{folder}/calibration.json"))?;
        let calibration =
            Calibration::parse(bytes).map_err(|error| Unjudged::NoEvidence { place, reason: error.to_string() })?;
        let Some((_, storm)) = report.rows.into_iter().next() else {
            return Err(Unjudged::NoEvidence { place: report.place, reason: "holds no row".into() });
        };
        Ok(Self {
            place: report.place,
            storm,
            attempts: context.rows(&format!("{folder}/attempts.jsonl"))?,
            log: context.file(&format!("{folder}/chaos-log.json"))?,
            calibration,
        })
    }

    /// The attempts of each call, in order, each with its line.
    pub(super) fn by_call(&self) -> BTreeMap<u64, Vec<(u64, &Attempt)>> {
        let mut calls: BTreeMap<u64, Vec<(u64, &Attempt)>> = BTreeMap::new();
        for (line, attempt) in &self.attempts.rows {
            calls.entry(attempt.call_index).or_default().push((*line, attempt));
        }
        calls
    }

    /// Whether rates are counted over this storm: each decision stands once.
    pub(super) fn counts_for_rate(&self) -> bool {
        self.storm.purpose == StormPurpose::Rate && self.storm.concurrency == 1
    }

    pub(super) fn name(&self) -> String {
        format!("{} {} c{} {:?}", self.storm.profile, self.storm.seed, self.storm.concurrency, self.storm.purpose)
    }
}

pub(super) fn plausible(context: &Context<'_>) -> Outcome {
    let storms = Stormed::all(context)?;
    for stormed in &storms {
        let Stormed { storm, .. } = stormed;
        let forged = |reason: String| Err(Unjudged::Integrity { place: stormed.place.clone(), reason });
        for calls in stormed.by_call().values() {
            let backwards = calls.windows(2).find(|pair| pair[1].1.started < pair[0].1.ended).map(|pair| pair[1].0);
            let inside_out = calls.iter().find(|(_, attempt)| attempt.ended < attempt.started).map(|(line, _)| *line);
            if let Some(line) = backwards.or(inside_out) {
                let place = stormed.attempts.at(line);
                return Err(Unjudged::Integrity {
                    place,
                    reason: "an attempt ends before it starts, or starts before the one before it ended".into(),
                });
            }
        }
        let ended: u64 = storm.ends.iter().map(|end| end.attempts).sum();
        if ended != stormed.attempts.len() || storm.ends.len() as u64 != storm.calls {
            return forged(format!(
                "{} ends {} calls with {ended} attempts, its journal has {}",
                stormed.name(),
                storm.ends.len(),
                stormed.attempts.len()
            ));
        }
    }
    let claim = format!("{} storms could have happened", storms.len());
    let numbers = Numbers { n: storms.len() as u64, n_distinct: storms.len() as u64, ..Numbers::default() };
    let places = storms.into_iter().take(1).map(|stormed| stormed.place).collect();
    Ok(vec![Judged::new(
        "seeds derive, indices are whole, times do not run backwards",
        Verdict::Pass,
        claim,
        numbers,
        places,
    )])
}
