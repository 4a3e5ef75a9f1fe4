//! Every figure of the reference table that belongs to a method in use, recomputed; the other ids are listed (STA-48).

use gates::statistics::merge::Moments;
use gates::statistics::proportion::Proportion;
use gates::statistics::shift::{Alternative, fisher, hodges_lehmann, mann_whitney, mann_whitney_normal};
use gates::statistics::spread::t_quantile;
use gates::statistics::trend::theil_sen;
use gates::statistics::{Alpha, Bound, StatisticsError};
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};

const REFERENCE: &str = include_str!("data/statistics-reference.csv");
const ROWS: usize = 61;
const TOLERANCE: f64 = 1e-9;

/// Methods that no check needs yet; each comes with its oracle rows.
const NOT_IN_USE: [(&str, usize); 12] = [
    ("W_L1", 2),
    ("W_L2", 1),
    ("CS_L", 5),
    ("chi2", 2),
    ("k1", 3),
    ("k2", 1),
    ("ebq", 1),
    ("perm", 1),
    ("welch", 3),
    ("ks", 2),
    ("TOST", 7),
    ("sprt", 3),
];
const NOT_IN_USE_TREND: [(&str, usize); 2] = [("kendall", 2), ("MK", 2)];

const A: [f64; 8] = [12.1, 11.8, 12.4, 12.0, 11.9, 12.3, 12.2, 11.7];
const B: [f64; 8] = [12.6, 12.9, 12.5, 12.35, 13.0, 12.7, 12.15, 12.8];
const C: [f64; 10] = [1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 5.0, 5.0, 6.0];
const D: [f64; 10] = [2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0, 6.0, 7.0, 7.0];
const M: [f64; 20] = [
    100.0, 101.0, 99.0, 102.0, 103.0, 101.0, 104.0, 103.0, 105.0, 104.0, 106.0, 107.0, 105.0, 108.0, 107.0, 109.0,
    108.0, 110.0, 111.0, 109.0,
];

#[test]
fn s1_every_row_in_use_is_met_and_the_others_are_listed() {
    let rows: Vec<[String; 4]> = REFERENCE.lines().skip(1).map(fields).collect();
    assert_eq!(rows.len(), ROWS, "another table than the one this test was written for");
    let mut waiting = Vec::new();
    for [id, case, _, value] in &rows {
        let expected: f64 = value.parse().expect("the last field is a decimal number");
        match computed(id, case) {
            Some(found) => {
                let found = found.unwrap_or_else(|error| panic!("{id} {case}: {error}"));
                let off = (found - expected).abs() / expected.abs();
                assert!(off <= TOLERANCE, "{id} {case}: {found} instead of {expected}, off by {off:e}");
            }
            None => waiting.push(id.as_str()),
        }
    }
    for (id, count) in not_in_use() {
        let found = waiting.iter().filter(|waiting| **waiting == id).count();
        assert_eq!(found, count, "rows of {id}, which is not in use");
    }
    let unknown = waiting.iter().find(|id| not_in_use().all(|(known, _)| known != **id));
    assert_eq!(unknown, None, "an id that is neither computed nor listed");
    report(&waiting, rows.len());
}

#[test]
fn a_row_that_nobody_computes_is_noticed() {
    assert!(computed("CP_L1", "7/9 one-sided 80%").is_none() && computed("new", "").is_none());
    assert!(not_in_use().all(|(id, _)| id != "CP_L1" && id != "new"));
}

fn not_in_use() -> impl Iterator<Item = (&'static str, usize)> {
    NOT_IN_USE.into_iter().chain(NOT_IN_USE_TREND)
}

#[expect(clippy::print_stdout, reason = "the list of methods not in use belongs in the output of the test")]
fn report(waiting: &[&str], rows: usize) {
    println!("{} of {rows} reference rows computed within {TOLERANCE:e}", rows - waiting.len());
    for (id, count) in not_in_use() {
        println!("not in use: {id} ({count} rows)");
    }
}

/// The figure of a row by our own code, or `None` where nothing of ours computes it.
fn computed(id: &str, case: &str) -> Option<Result<f64, StatisticsError>> {
    let five_percent = Alpha::new(0.05).expect("between 0 and 0.5");
    let two_sided = five_percent.halved();
    let p = |x: &[f64], y: &[f64], alternative| mann_whitney(x, y, alternative).map(|test| test.p);
    let trend = || theil_sen(&std::array::from_fn::<_, 20, _>(|i| i as f64), &M, two_sided);
    Some(match (id, case) {
        ("CP_L1", _) => proportion(case.strip_suffix(" one-sided 95%")?)?.map(|rate| value(rate.lower(five_percent))),
        ("CP_L2", "95/100 two-sided 95% low") => Proportion::new(95, 100)
            .and_then(|rate| rate.two_sided(five_percent))
            .map(|interval| value(interval.lower())),
        ("CP_U2", "95/100 two-sided 95% high") => Proportion::new(95, 100)
            .and_then(|rate| rate.two_sided(five_percent))
            .map(|interval| value(interval.upper())),
        ("t", "ppf(.975,99)") => t_quantile(0.975, 99.0),
        ("t", "ppf(.95,9)") => t_quantile(0.95, 9.0),
        ("z", "ppf(.95)") => Ok(Normal::standard().inverse_cdf(0.95)),
        ("binom", "P(K>=95|n=100,p=.96)") => Ok(Binomial::new(0.96, 100).expect("a probability").sf(94)),
        ("MWU", "A vs B exact two-sided") => p(&A, &B, Alternative::TwoSided),
        ("MWU", "A vs B exact less") => p(&A, &B, Alternative::Less),
        ("MWU", "A vs B exact greater") => p(&A, &B, Alternative::Greater),
        ("MWU", "A vs B asymptotic+cc two-sided") => {
            mann_whitney_normal(&A, &B, Alternative::TwoSided).map(|test| test.p)
        }
        ("MWU", "C vs D ties asymptotic two-sided (U=30.5)") => p(&C, &D, Alternative::TwoSided),
        ("HL", "B-A Hodges-Lehmann") => hodges_lehmann(&A, &B),
        ("fisher", "[[95,5],[100,0]] less") => fisher((95, 5), (100, 0), Alternative::Less),
        ("fisher", "two-sided") => fisher((95, 5), (100, 0), Alternative::TwoSided),
        ("theil", "slope") => trend().map(|slope| slope.estimate()),
        ("theil", "low") => trend().map(|slope| value(slope.lower())),
        ("theil", "high") => trend().map(|slope| value(slope.upper())),
        ("chan", "var ddof1 of {1..4}+{10,20,30}") => Moments::of(&[1.0, 2.0, 3.0, 4.0])
            .and_then(|first| first.merged(Moments::of(&[10.0, 20.0, 30.0])?))
            .map(|joined| joined.variance().expect("seven values have a variance")),
        _ => return None,
    })
}

/// Reads `k/n`.
fn proportion(case: &str) -> Option<Result<Proportion, StatisticsError>> {
    let (k, n) = case.split_once('/')?;
    Some(Proportion::new(k.parse().ok()?, n.parse().ok()?))
}

fn value(bound: Bound) -> f64 {
    bound.value().expect("the reference samples are large enough for a bound")
}

/// The four fields of a line of RFC 4180 without line breaks inside fields.
fn fields(line: &str) -> [String; 4] {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let last = fields.last_mut().expect("starts with one field");
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                last.push('"');
                characters.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => last.push(other),
        }
    }
    fields.try_into().unwrap_or_else(|fields: Vec<String>| panic!("{} fields in: {line}", fields.len()))
}
