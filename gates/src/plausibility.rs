//! Could this evidence have happened? Impossible rows are forged; suspicious ones prove nothing (STA-38).

use std::collections::BTreeMap;

use crate::check::Place;

/// One timed row: who did it and when, on the real monotonic clock of one process, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Span {
    /// The worker.
    pub worker: u64,
    /// Start.
    pub start_ns: u64,
    /// End.
    pub end_ns: u64,
    /// Where it stands.
    pub place: Place,
}

/// Slack of the wall-time rule, in parts per hundred.
const WALL_SLACK_PERCENT: u128 = 1;

/// From which size on a correlation is no coincidence.
const CORRELATION_MAX: f64 = 0.999_999;

/// What makes timed rows impossible: an end before its start, one worker in two places, more work than wall time holds.
#[must_use]
pub fn impossible_times(spans: &[Span]) -> Option<(Place, String)> {
    if let Some(span) = spans.iter().find(|span| span.end_ns < span.start_ns) {
        return Some((
            span.place.clone(),
            format!("ends at {} ns, before its start at {} ns", span.end_ns, span.start_ns),
        ));
    }
    let mut by_worker: BTreeMap<u64, Vec<&Span>> = BTreeMap::new();
    for span in spans {
        by_worker.entry(span.worker).or_default().push(span);
    }
    let workers = by_worker.len() as u128;
    for of_worker in by_worker.values_mut() {
        of_worker.sort_by_key(|span| (span.start_ns, span.end_ns));
        if let Some(pair) = of_worker.windows(2).find(|pair| pair[1].start_ns < pair[0].end_ns) {
            let what = format!(
                "worker {} starts at {} ns while it is busy until {} ns",
                pair[1].worker, pair[1].start_ns, pair[0].end_ns
            );
            return Some((pair[1].place.clone(), what));
        }
    }
    let first = spans.iter().map(|span| span.start_ns).min()?;
    let last = spans.iter().max_by_key(|span| span.end_ns)?;
    let served: u128 = spans.iter().map(|span| u128::from(span.end_ns - span.start_ns)).sum();
    let wall = u128::from(last.end_ns - first);
    if served * 100 > wall * workers * (100 + WALL_SLACK_PERCENT) {
        return Some((
            last.place.clone(),
            format!("{served} ns of service do not fit into {wall} ns of wall time with {workers} workers"),
        ));
    }
    None
}

/// What makes columns suspicious: no variance where chance is declared, or two independent ones that move as one.
#[must_use]
pub fn suspicious_columns(stochastic: &[(&str, Vec<f64>)], independent: &[(&str, &str)]) -> Option<String> {
    // Two rows always lie on a line; below ten nothing is said.
    if stochastic.first().is_none_or(|(_, values)| values.len() < 10) {
        return None;
    }
    if let Some((name, _)) =
        stochastic.iter().find(|(_, values)| values.iter().all(|value| Some(value) == values.first()))
    {
        return Some(format!("column {name} is declared stochastic and has no variance"));
    }
    let column = |wanted: &str| stochastic.iter().find(|(name, _)| *name == wanted).map(|(_, values)| values);
    independent.iter().find_map(|(a, b)| {
        let r = correlation(column(a)?, column(b)?)?;
        (r.abs() >= CORRELATION_MAX)
            .then(|| format!("columns {a} and {b} are declared independent and correlate with {r}"))
    })
}

/// Pearson's r; `None` where a column has no variance or the lengths differ.
fn correlation(x: &[f64], y: &[f64]) -> Option<f64> {
    if x.len() != y.len() || x.is_empty() {
        return None;
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_x, mean_y) = (mean(x), mean(y));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (a, b) in x.iter().zip(y) {
        let (a, b) = (a - mean_x, b - mean_y);
        xy += a * b;
        xx += a * a;
        yy += b * b;
    }
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(worker: u64, start_ns: u64, end_ns: u64) -> Span {
        Span { worker, start_ns, end_ns, place: Place { path: "rows".into(), line: None, sha256: String::new() } }
    }

    #[test]
    fn impossible_rows_are_found() {
        assert_eq!(impossible_times(&[span(0, 10, 20), span(1, 10, 25), span(0, 20, 30)]), None);
        for (rows, word) in
            [(vec![span(0, 10, 9)], "before its start"), (vec![span(0, 10, 20), span(0, 19, 30)], "busy until")]
        {
            let (_, what) = impossible_times(&rows).expect(word);
            assert!(what.contains(word), "{what}");
        }
    }

    #[test]
    fn one_value_reused_for_two_columns_is_suspicious() {
        let x: Vec<f64> = (0..20).map(|i| f64::from(i * 7 % 20)).collect();
        let scaled: Vec<f64> = x.iter().map(|value| 3.0 * value + 1.0).collect();
        let other: Vec<f64> = (0..20).map(|i| f64::from(i * i % 13)).collect();
        let columns = |y: &[f64]| vec![("x", x.clone()), ("y", y.to_vec())];
        assert!(suspicious_columns(&columns(&scaled), &[("x", "y")]).expect("r is 1").contains("correlate"));
        assert_eq!(suspicious_columns(&columns(&other), &[("x", "y")]), None);
        assert!(suspicious_columns(&columns(&[4.0; 20]), &[]).expect("constant").contains("no variance"));
    }
}
