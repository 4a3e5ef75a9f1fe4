//! The calibration: every limit and size of a run, strict and typed. One table says what each key is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::{self, JsonError};
use crate::digest::Digest;
use crate::money::MicroUsd;
use crate::schema::Kind::{Int, Map, Object, Real, Texts, Time, Usd, Word};
use crate::schema::Looser::{AnyChange, Higher, Lower, Neither, SmallerSize};
use crate::schema::{Field, Kind, PolicyError, parse_utc_seconds};

/// The value of `schema` in a calibration.
pub const SCHEMA: &str = "proofhouse.calibration/1";

const MS: Kind = Int(0, 86_400_000);
const COUNT: Kind = Int(0, 1_000_000_000);
const AT_LEAST_ONE: Kind = Int(1, 1_000_000_000);
const RATIO: Kind = Real(0.0, 1.0);
const METRIC: Kind = Real(-1e12, 1e12);

/// What every key of a calibration is, its range, and which way is looser.
pub static TABLE: Kind = Object(&[
    Field::new("schema", Word(&[SCHEMA]), Neither),
    Field::new("LOCK_TIMEOUT_MS", MS, Higher),
    Field::new("LOCK_SLEEP_MS", Int(1, 10_000), Neither),
    Field::new("LOCK_MAX_ATTEMPTS", AT_LEAST_ONE, Higher),
    Field::new("LOCK_MAX_AGE_MS", MS, Neither),
    Field::new("LOCK_RECOVERY_MAX_MS", MS, Higher),
    Field::new("LOCK_FAIRNESS_MAX", Real(1.0, 1000.0), Higher),
    Field::new("CONCURRENCY_N", Int(2, 1000), SmallerSize),
    Field::new("CONCURRENCY_INCREMENTS", Int(1, 1_000_000), SmallerSize),
    Field::new("CONCURRENCY_KILLS", Int(1, 100_000), SmallerSize),
    Field::new("BUDGET_LIMITS", Map(&MODEL), Neither),
    Field::new("LATENCY_LIMITS", Object(LATENCY), Neither),
    Field::new("MAX_COST_PER_RUN_USD", Usd, Higher),
    Field::new("MAX_DURATION_PER_RUN_MS", MS, Higher),
    Field::new("MAX_RETRIES_PER_RUN", COUNT, Higher),
    Field::new("MAX_TOKENS_PER_RUN", COUNT, Higher),
    Field::new("BACKOFF_BASE_MS", MS, Neither),
    Field::new("BACKOFF_MAX_MS", MS, Higher),
    Field::new("MAX_RETRIES", Int(0, 1000), Higher),
    Field::new("RETRY_AFTER_MAX_MS", MS, Higher),
    Field::new("RATE_LIMIT_CONCURRENCY", Int(1, 10_000), Higher),
    Field::new("RATE_LIMIT_PER_MIN", AT_LEAST_ONE, Higher),
    Field::new("CHAOS_RATE", RATIO, AnyChange),
    Field::new("CHAOS_SEEDS", Int(1, 10_000), SmallerSize),
    Field::new("CHAOS_CALLS", Int(1, 1_000_000), SmallerSize),
    Field::new("STRESS_N", AT_LEAST_ONE, SmallerSize),
    Field::new("PASS_RATIO_MIN", RATIO, Lower),
    Field::new("VARIANCE_ENVELOPES", Map(&Map(&ENVELOPE)), Neither),
    Field::new("COMMAND_SUBJECT", Texts, AnyChange),
    Field::new("EQUIVALENCE", Object(EQUIVALENCE), Neither),
    Field::new("MEMORY_MAX_BYTES", COUNT_BYTES, Higher),
    Field::new("MEMORY_SLOPE_MAX_BYTES_PER_RUN", COUNT_BYTES, Higher),
    Field::new("REPAIR", Object(&[Field::new("MAX_ATTEMPTS", Int(0, 100), Neither)]), Neither),
    Field::new("PLANTED_SCENES_MIN", AT_LEAST_ONE, Lower),
    Field::new("REPEATED_INDICES", Int(1, 100_000), SmallerSize),
    Field::new("DETERMINISM", Object(DETERMINISM), Neither),
    Field::new("XTASK_CRATES_MAX", AT_LEAST_ONE, Higher),
]);

const COUNT_BYTES: Kind = Int(0, canonical::MAX_SAFE_INTEGER);

static MODEL: Kind = Object(&[
    Field::new("input_cost_per_1k", Usd, Lower),
    Field::new("cached_input_cost_per_1k", Usd, Lower),
    Field::new("output_cost_per_1k", Usd, Lower),
    Field::new("reasoning_cost_per_1k", Usd, Lower),
    Field::new("max_per_call_usd", Usd, Higher),
    Field::new("max_per_run_usd", Usd, Higher),
]);

const LATENCY: &[Field] = &[
    Field::new("max_call_latency_ms", MS, Higher),
    Field::new("max_run_latency_ms", MS, Higher),
    Field::new("warn_call_latency_ms", MS, Neither),
];

static ENVELOPE: Kind = Object(&[
    Field::optional("min", METRIC, Lower),
    Field::new("target", METRIC, Neither),
    Field::optional("max", METRIC, Higher),
    Field::new("better", Word(&["higher", "lower", "two_sided"]), AnyChange),
    Field::optional("constant", Word(&["required", "unexpected"]), AnyChange),
    Field::optional("shape", Word(&["normal"]), AnyChange),
]);

const EQUIVALENCE: &[Field] = &[
    Field::new("relative", Real(0.0, 1.0), Higher),
    Field::new("absolute", Real(0.0, 1.0), Higher),
    Field::new("safety", Real(0.0, 1.0), Higher),
];

const DETERMINISM: &[Field] =
    &[Field::new("seed_base", Int(0, canonical::MAX_SAFE_INTEGER), Neither), Field::new("epoch", Time, Neither)];

/// A valid calibration. Field names are the keys in snake case; `_ms` are milliseconds, money is micro-dollars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the table above says what each key is")]
pub struct Calibration {
    pub lock_timeout_ms: u64,
    pub lock_sleep_ms: u64,
    pub lock_max_attempts: u64,
    pub lock_max_age_ms: u64,
    pub lock_recovery_max_ms: u64,
    pub lock_fairness_max: f64,
    pub concurrency_n: u64,
    pub concurrency_increments: u64,
    pub concurrency_kills: u64,
    pub budget_limits: BTreeMap<String, ModelBudget>,
    pub latency_limits: LatencyLimits,
    pub max_cost_per_run_usd: MicroUsd,
    pub max_duration_per_run_ms: u64,
    pub max_retries_per_run: u64,
    pub max_tokens_per_run: u64,
    pub backoff_base_ms: u64,
    pub backoff_max_ms: u64,
    pub max_retries: u64,
    pub retry_after_max_ms: u64,
    pub rate_limit_concurrency: u64,
    pub rate_limit_per_min: u64,
    pub chaos_rate: f64,
    pub chaos_seeds: u64,
    pub chaos_calls: u64,
    pub stress_n: u64,
    pub pass_ratio_min: f64,
    pub variance_envelopes: BTreeMap<String, BTreeMap<String, Envelope>>,
    pub command_subject: Vec<String>,
    pub equivalence: Equivalence,
    pub memory_max_bytes: u64,
    pub memory_slope_max_bytes_per_run: u64,
    pub repair: Repair,
    pub planted_scenes_min: u64,
    pub repeated_indices: u64,
    pub determinism: Determinism,
    pub xtask_crates_max: u64,
}

/// Prices in micro-dollars per 1,000 tokens, and the limits of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the table above says what each key is")]
pub struct ModelBudget {
    pub input_cost_per_1k: MicroUsd,
    pub cached_input_cost_per_1k: MicroUsd,
    pub output_cost_per_1k: MicroUsd,
    pub reasoning_cost_per_1k: MicroUsd,
    pub max_per_call_usd: MicroUsd,
    pub max_per_run_usd: MicroUsd,
}

/// Latency limits in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the table above says what each key is")]
pub struct LatencyLimits {
    pub max_call_latency_ms: u64,
    pub max_run_latency_ms: u64,
    pub warn_call_latency_ms: u64,
}

/// Where a metric must lie. A bound that its direction does not use never decides.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the table above says what each key is")]
pub struct Envelope {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    pub target: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    pub better: Better,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constant: Option<Constant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
}

/// Which side of an envelope decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Only `min` decides.
    Higher,
    /// Only `max` decides.
    Lower,
    /// Both decide.
    TwoSided,
}

/// What a zero variance means for a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constant {
    /// Any variance is a failure.
    Required,
    /// No variance is suspicious.
    Unexpected,
}

/// A declared shape of a metric's distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Gaussian.
    Normal,
}

/// How far two values may lie apart and still be the same: `|a-b| <= absolute + relative * max(|a|, |b|)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the table above says what each key is")]
pub struct Equivalence {
    pub relative: f64,
    pub absolute: f64,
    pub safety: f64,
}

/// Bounds of repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct Repair {
    /// Calls for one scene at most, after the first.
    pub max_attempts: u64,
}

/// Where chance and virtual time start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Determinism {
    /// The master seed where no other is given.
    pub seed_base: u64,
    /// Start of the virtual wall clock, RFC 3339 in whole seconds UTC.
    pub epoch: String,
}

impl Determinism {
    /// The epoch in milliseconds since 1970. A checked calibration always has one.
    #[must_use]
    pub fn epoch_ms(&self) -> Option<u64> {
        parse_utc_seconds(&self.epoch).map(|seconds| seconds * 1000)
    }
}

/// Why a calibration was refused: all problems at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The bytes are no strict JSON.
    Json(JsonError),
    /// Keys are missing, unknown, null, mistyped or out of range.
    Policy(Vec<PolicyError>),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(error) => write!(f, "{error}"),
            Self::Policy(errors) => {
                let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
                f.write_str(&lines.join("\n"))
            }
        }
    }
}

impl std::error::Error for Refused {}

impl Calibration {
    /// Parses and checks a calibration file.
    ///
    /// # Errors
    /// Every problem with its pointer; a null reads `CALIBRATION_NULL: <pointer>`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let value = canonical::parse_evidence(bytes).map_err(Refused::Json)?;
        Self::from_value(&value)
    }

    /// Checks a parsed calibration.
    ///
    /// # Errors
    /// As [`Calibration::parse`].
    pub fn from_value(value: &Value) -> Result<Self, Refused> {
        let mut errors = TABLE.check(value);
        if errors.is_empty() {
            errors = disordered(value);
        }
        if !errors.is_empty() {
            return Err(Refused::Policy(errors));
        }
        // The table and this type say the same; a difference between them is reported, never defaulted.
        serde_json::from_value(value.clone()).map_err(|error| {
            Refused::Policy(vec![PolicyError {
                pointer: String::new(),
                reason: format!("the table and the type differ: {error}"),
            }])
        })
    }

    /// SHA-256 of the canonical calibration.
    ///
    /// # Errors
    /// Never for a calibration that was parsed; typed all the same.
    pub fn digest(&self) -> Result<Digest, JsonError> {
        canonical::digest(&self.to_value()?)
    }

    /// The calibration as JSON, `schema` included: parsing it gives the same calibration.
    ///
    /// # Errors
    /// When a number is not finite, which a parsed calibration cannot hold.
    pub fn to_value(&self) -> Result<Value, JsonError> {
        let mut value = canonical::to_value(self)?;
        if let Value::Object(fields) = &mut value {
            fields.insert("schema".into(), SCHEMA.into());
        }
        Ok(value)
    }
}

/// Rules between fields of a calibration whose every leaf is right.
fn disordered(value: &Value) -> Vec<PolicyError> {
    let mut errors = Vec::new();
    let mut fail = |pointer: String, reason: &str| errors.push(PolicyError { pointer, reason: reason.into() });
    let number = |pointer: &str| value.pointer(pointer).and_then(Value::as_f64);
    for (low, high) in [
        ("/BACKOFF_BASE_MS", "/BACKOFF_MAX_MS"),
        ("/LATENCY_LIMITS/warn_call_latency_ms", "/LATENCY_LIMITS/max_call_latency_ms"),
    ] {
        if number(low) > number(high) {
            fail(low.into(), &format!("lies above {high}"));
        }
    }
    if number("/PASS_RATIO_MIN") == Some(1.0) {
        fail("/PASS_RATIO_MIN".into(), "a rate of 1 cannot be proven by a sample; `always` is an invariant");
    }
    for (workload, metrics) in value.pointer("/VARIANCE_ENVELOPES").and_then(Value::as_object).into_iter().flatten() {
        for (metric, envelope) in metrics.as_object().into_iter().flatten() {
            let at = canonical::pointer_push(&canonical::pointer_push("/VARIANCE_ENVELOPES", workload), metric);
            let bound = |name: &str| envelope.get(name).and_then(Value::as_f64);
            let (min, target, max) = (bound("min"), bound("target"), bound("max"));
            let below =
                |low: Option<f64>, high: Option<f64>| matches!((low, high), (Some(low), Some(high)) if low > high);
            if below(min, target) || below(target, max) || below(min, max) {
                fail(at.clone(), "min, target and max are not in this order");
            }
            let better = envelope.get("better").and_then(Value::as_str);
            for (side, words) in [("min", ["higher", "two_sided"]), ("max", ["lower", "two_sided"])] {
                if better.is_some_and(|word| words.contains(&word)) && bound(side).is_none() {
                    fail(canonical::pointer_push(&at, side), "is missing though its direction decides by it");
                }
            }
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../gates/policy/calibration.json");

    fn shipped() -> Value {
        canonical::parse_evidence(SHIPPED.as_bytes()).expect("the shipped calibration is strict JSON")
    }

    fn leaves(value: &Value, pointer: &str, out: &mut Vec<String>) {
        match value {
            Value::Object(entries) => {
                entries.iter().for_each(|(key, inner)| leaves(inner, &canonical::pointer_push(pointer, key), out))
            }
            _ => out.push(pointer.to_owned()),
        }
    }

    fn errors(value: &Value) -> Vec<PolicyError> {
        match Calibration::from_value(value) {
            Err(Refused::Policy(errors)) => errors,
            other => panic!("expected refusals, got {other:?}"),
        }
    }

    #[test]
    fn the_shipped_calibration_is_whole_and_round_trips() {
        let calibration = Calibration::from_value(&shipped()).expect("valid");
        let again = Calibration::from_value(&calibration.to_value().expect("finite")).expect("valid");
        assert_eq!(calibration, again);
        assert_eq!(calibration.digest(), canonical::digest(&shipped()), "nothing is lost on the way");
    }

    #[test]
    fn every_leaf_as_null_is_named() {
        let mut pointers = Vec::new();
        leaves(&shipped(), "", &mut pointers);
        assert!(pointers.len() > 60, "{} leaves", pointers.len());
        for pointer in pointers {
            let mut value = shipped();
            *value.pointer_mut(&pointer).expect("a leaf of the document") = Value::Null;
            let found = errors(&value);
            assert_eq!(found.len(), 1, "{pointer}: {found:?}");
            assert_eq!(found[0].to_string(), format!("CALIBRATION_NULL: {pointer}"));
        }
    }

    #[test]
    fn all_problems_at_once() {
        let mut value = shipped();
        value["STRESS_N"] = "1000".into();
        value["PASS_RATIO_MIN"] = 1.5.into();
        value["LOCK_SLEP_MS"] = 5.into();
        value["MAX_COST_PER_RUN_USD"] = 0.000_000_1.into();
        let places: Vec<String> = errors(&value).into_iter().map(|error| error.pointer).collect();
        assert_eq!(places, ["/LOCK_SLEP_MS", "/MAX_COST_PER_RUN_USD", "/PASS_RATIO_MIN", "/STRESS_N"]);
        assert!(errors(&value)[0].reason.contains("`LOCK_SLEEP_MS`"));
    }

    #[test]
    fn disordered_limits_are_refused() {
        let mut value = shipped();
        value["BACKOFF_BASE_MS"] = 60_000.into();
        value["VARIANCE_ENVELOPES"]["scribe"]["mean_hard_score"]["min"] = 0.99.into();
        value["VARIANCE_ENVELOPES"]["scribe"]["mean_hard_score"]["target"] = 0.98.into();
        let places: Vec<String> = errors(&value).into_iter().map(|error| error.pointer).collect();
        assert_eq!(places, ["/BACKOFF_BASE_MS", "/VARIANCE_ENVELOPES/scribe/mean_hard_score"]);
    }
}
