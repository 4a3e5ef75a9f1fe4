//! Whether memory grows with the number of runs.

use contract::record::run::Memory;

use super::{Outcome, planned};
use crate::check::{Judged, Numbers, Unjudged, Verdict};
use crate::evidence::{Context, Rows};
use crate::statistics::{Alpha, Decision, Limit, StatisticsError, trend};

pub(super) fn growth(context: &Context<'_>) -> Outcome {
    let rows = context.rows::<Memory>("memory.jsonl")?;
    let mut out = Vec::new();
    // A foreign program's memory is its own.
    for (workload, _) in planned(context)?.into_iter().filter(|(workload, _)| workload != "command") {
        out.push(slope(context, &rows, &workload)?.instance(format!("{workload}.slope")));
        out.push(peak(context, &rows, &workload).instance(format!("{workload}.peak")));
    }
    Ok(out)
}

fn slope(context: &Context<'_>, rows: &Rows<Memory>, workload: &str) -> Result<Judged, Unjudged> {
    let budget = context.policy.values.memory_slope_max_bytes_per_run;
    let of_workload: Vec<&Memory> = rows.iter().filter(|row| row.workload == workload).collect();
    let at: Vec<f64> = of_workload.iter().map(|row| row.index as f64).collect();
    let live: Vec<f64> = of_workload.iter().map(|row| row.live_bytes as f64).collect();
    let judged = || -> Result<_, StatisticsError> {
        let bounds = trend::growth(&at, &live, Alpha::new(0.05)?)?;
        Ok((bounds, bounds.decide(Limit::at_most(budget as f64)?)))
    };
    let (bounds, decision) =
        judged().map_err(|error| Unjudged::NoEvidence { place: rows.place.clone(), reason: error.to_string() })?;
    let slope = bounds.estimate();
    let (verdict, claim) = match decision {
        Decision::Pass => (
            Verdict::Pass,
            format!(
                "live bytes grow by {slope:.1} a run, bounded by {budget}; Theil-Sen, one-sided 95 %, first third dropped"
            ),
        ),
        Decision::Fail => (Verdict::Fail, format!("live bytes grow by {slope:.1} a run, over {budget}")),
        Decision::Inconclusive { more } => {
            let more = more.map_or("more runs are unlikely to help".to_owned(), |more| more.to_string());
            (Verdict::Inconclusive, format!("growth of {slope:.1} bytes a run is not decided; {more}"))
        }
    };
    let numbers = Numbers {
        observed: Some(slope),
        lower: bounds.lower().value(),
        upper: bounds.upper().value(),
        limit: Some(budget as f64),
        n: of_workload.len() as u64,
        n_distinct: bounds.n(),
    };
    let rule = format!("live bytes grow by at most {budget} bytes a run");
    Ok(Judged::new(rule, verdict, claim, numbers, vec![rows.place.clone()]))
}

fn peak(context: &Context<'_>, rows: &Rows<Memory>, workload: &str) -> Judged {
    let limit = context.policy.values.memory_max_bytes;
    let rule = format!("the resident set stays below {limit} bytes");
    let of_workload = || rows.iter().filter(|row| row.workload == workload);
    let peak = of_workload().map(|row| row.resident_bytes.max(row.live_bytes)).max();
    let n = of_workload().count() as u64;
    let (verdict, claim) = match peak {
        None => (Verdict::NoEvidence, "no row to judge".to_owned()),
        Some(peak) if peak < limit => (Verdict::Pass, format!("the peak was {peak} bytes")),
        Some(peak) => (Verdict::Fail, format!("the peak was {peak} bytes, limit {limit}")),
    };
    let numbers = Numbers {
        observed: peak.map(|peak| peak as f64),
        limit: Some(limit as f64),
        n,
        n_distinct: n,
        ..Numbers::default()
    };
    Judged::new(rule, verdict, claim, numbers, vec![rows.place.clone()])
}
