//! Observations: one line of fact each, written by drills and by xtask, read by judges.
//!
//! A line is canonical JSON: the fields of the record, its `schema` (`proofhouse.<name>/<major>`), and the stamp
//! `plan` and `policy`, the digests of the gate's plan and of the policy in force. A row of another plan is no evidence.
//! One file a kind of observation, under `record/`; [`TABLES`] says for each schema which fields depend on the moment.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::canonical::{self, JsonError};
use crate::digest::Digest;

pub mod budget;
pub mod chaos;
pub mod cost;
pub mod ledger;
pub mod lock;
pub mod preflight;
pub mod run;
pub mod seal;

/// A kind of observation.
pub trait Record: Serialize + DeserializeOwned {
    /// `proofhouse.<name>/<major>`.
    const SCHEMA: &'static str;
}

/// What every row carries beside its own fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// SHA-256 of the canonical `plan.json` of the gate.
    pub plan: Digest,
    /// The policy digest.
    pub policy: Digest,
}

/// Why a row cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// Not strict JSON.
    Json(JsonError),
    /// Another schema or major version than expected.
    Schema {
        /// What was expected.
        expected: &'static str,
        /// What stood there; empty for none.
        found: String,
    },
    /// A field is missing or of the wrong type.
    Field(String),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "{error}"),
            Self::Schema { expected, found } => write!(f, "/schema: `{found}` where `{expected}` is expected"),
            Self::Field(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for RecordError {}

/// How far a file of evidence can be compared with the same file of another run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvidenceClass {
    /// Same seed, policy and source give the same bytes.
    Deterministic,
    /// Equal once the volatile fields of its schema are removed.
    Normalised,
    /// Depends on machine or moment: judged, never compared.
    Volatile,
}

/// For each schema, the fields at any depth that depend on machine or moment (normalisers `jsonl-timing/1` and
/// `json-timing/1`). Changing a table is a new normaliser number.
pub static TABLES: &[(&str, &[&str])] = &[
    ("proofhouse.plan/1", &[]),
    (run::Run::SCHEMA, &["worker", "start_ns", "end_ns"]),
    (run::Equivalence::SCHEMA, &[]),
    (run::Repeat::SCHEMA, &[]),
    (run::Planted::SCHEMA, &[]),
    (run::Memory::SCHEMA, &["live_bytes", "resident_bytes"]),
    (preflight::Preflight::SCHEMA, &["duration_ms"]),
    (lock::Writer::SCHEMA, &["start_ns", "end_ns"]),
    (lock::Section::SCHEMA, &["wait_ns", "start_ns", "end_ns"]),
    (lock::Counter::SCHEMA, &[]),
    (lock::Reader::SCHEMA, &["start_ns", "end_ns"]),
    (lock::Kill::SCHEMA, &["killed_ns"]),
    (lock::Takeover::SCHEMA, &["killed_ns", "acquired_ns"]),
    (
        lock::StoppedWaiter::SCHEMA,
        &["stopped_ns", "resumed_ns", "start_ns", "end_ns", "holder_pid", "named_pid", "held_ms"],
    ),
    (lock::Residue::SCHEMA, &[]),
    (lock::CrashPoint::SCHEMA, &[]),
    (lock::Trace::SCHEMA, &[]),
    (lock::StorageFault::SCHEMA, &[]),
    (lock::ClockJump::SCHEMA, &[]),
    (cost::RunCost::SCHEMA, &[]),
    (chaos::Attempt::SCHEMA, &[]),
    (chaos::ChaosLog::SCHEMA, &[]),
    (chaos::Storm::SCHEMA, &[]),
    (chaos::WireCase::SCHEMA, &[]),
    (budget::BudgetCase::SCHEMA, &[]),
    (seal::SealStep::SCHEMA, &[]),
];

/// The class of each file of evidence, by path below the run folder; `*` stands for one component or part of one,
/// `**` for the rest. The first that matches counts; a file that none matches does not belong there.
pub static CLASSES: &[(&str, EvidenceClass)] = &[
    ("evidence/verdict.json", EvidenceClass::Volatile),
    ("evidence/selftest/**", EvidenceClass::Volatile),
    ("evidence/*/plan.json", EvidenceClass::Deterministic),
    ("evidence/*/retried/**", EvidenceClass::Volatile),
    ("evidence/*/repeats.jsonl", EvidenceClass::Normalised),
    ("evidence/pr-g0/**", EvidenceClass::Volatile),
    ("evidence/pr-g1/**", EvidenceClass::Volatile),
    ("evidence/pr-g2/scenarios/concurrent-overspend*/**", EvidenceClass::Volatile),
    ("evidence/pr-g2/scenarios/crash-charged*/**", EvidenceClass::Volatile),
    ("evidence/pr-g2/scenarios/*/ledger.jsonl", EvidenceClass::Deterministic),
    ("evidence/pr-g2/scenarios/*/calibration.json", EvidenceClass::Deterministic),
    ("evidence/pr-g2/**", EvidenceClass::Normalised),
    ("evidence/pr-g3/wire.jsonl", EvidenceClass::Volatile),
    ("evidence/pr-g3/wire-journal/**", EvidenceClass::Volatile),
    ("evidence/pr-g3/*/*/*/calibration.json", EvidenceClass::Deterministic),
    ("evidence/pr-g3/**", EvidenceClass::Normalised),
    ("evidence/pr-g4/PR_REPORT.json", EvidenceClass::Volatile),
    ("evidence/pr-g4/memory.jsonl", EvidenceClass::Volatile),
    ("evidence/pr-g4/**", EvidenceClass::Normalised),
];

/// The class of a file of evidence; `None` when no such file belongs in a run folder.
#[must_use]
pub fn class_of(path: &str) -> Option<EvidenceClass> {
    CLASSES.iter().find(|(pattern, _)| matches_path(pattern, path)).map(|(_, class)| *class)
}

/// The volatile fields of a schema; `None` for an unknown one.
#[must_use]
pub fn volatile_fields(schema: &str) -> Option<&'static [&'static str]> {
    TABLES.iter().find(|(name, _)| *name == schema).map(|(_, fields)| *fields)
}

/// One canonical line, LF included.
///
/// # Errors
/// When a field holds a non-finite number or an integer beyond 2^53.
pub fn to_line<T: Record>(stamp: &Stamp, record: &T) -> Result<Vec<u8>, JsonError> {
    let mut bytes = canonical::to_bytes(&stamped(stamp, record)?)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A whole file with one record, laid out for people.
///
/// # Errors
/// As [`to_line`].
pub fn to_file<T: Record>(stamp: &Stamp, record: &T) -> Result<Vec<u8>, JsonError> {
    canonical::to_pretty(&stamped(stamp, record)?)
}

/// A whole file with one record as a user gets it: with its `schema`, without the stamp of any plan.
///
/// # Errors
/// As [`to_line`].
pub fn to_user_file<T: Record>(record: &T) -> Result<Vec<u8>, JsonError> {
    canonical::to_pretty(&with_schema(record)?)
}

/// One line as a user gets it: as [`to_user_file`].
///
/// # Errors
/// As [`to_line`].
pub fn to_user_line<T: Record>(record: &T) -> Result<Vec<u8>, JsonError> {
    let mut bytes = canonical::to_bytes(&with_schema(record)?)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads one line, or a whole file with one record.
///
/// # Errors
/// When it is no strict JSON, of another schema, without a stamp, or lacks a field.
pub fn read<T: Record>(bytes: &[u8]) -> Result<(Stamp, T), RecordError> {
    let value = canonical::parse_evidence(bytes).map_err(RecordError::Json)?;
    let schema = value.get("schema").and_then(Value::as_str).unwrap_or("");
    if schema != T::SCHEMA {
        return Err(RecordError::Schema { expected: T::SCHEMA, found: schema.to_owned() });
    }
    let digest = |name: &str| {
        let found = value.get(name).and_then(Value::as_str).and_then(Digest::parse);
        found.ok_or_else(|| RecordError::Field(format!("/{name}: is no digest")))
    };
    let stamp = Stamp { plan: digest("plan")?, policy: digest("policy")? };
    let record = T::deserialize(value).map_err(|error| RecordError::Field(error.to_string()))?;
    Ok((stamp, record))
}

fn with_schema<T: Record>(record: &T) -> Result<Value, JsonError> {
    let mut value = canonical::to_value(record)?;
    let fields = value
        .as_object_mut()
        .ok_or_else(|| JsonError { pointer: String::new(), reason: "a record is an object".into() })?;
    fields.insert("schema".into(), T::SCHEMA.into());
    Ok(value)
}

fn stamped<T: Record>(stamp: &Stamp, record: &T) -> Result<Value, JsonError> {
    let mut value = with_schema(record)?;
    value["plan"] = stamp.plan.to_string().into();
    value["policy"] = stamp.policy.to_string().into();
    Ok(value)
}

fn matches_path(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (Some("**"), Some(_)) => return true,
            (Some(pattern), Some(part)) if matches_part(pattern, part) => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

fn matches_part(pattern: &str, part: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == part,
        Some((head, tail)) => part.len() >= head.len() + tail.len() && part.starts_with(head) && part.ends_with(tail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_by_path() {
        use EvidenceClass::{Deterministic, Normalised, Volatile};
        for (path, class) in [
            ("evidence/pr-g4/plan.json", Some(Deterministic)),
            ("evidence/pr-g4/stress-scribe.jsonl", Some(Normalised)),
            ("evidence/pr-g2/scenarios/crash-charged/ledger.jsonl", Some(Volatile)),
            ("evidence/pr-g2/scenarios/cost-per-run-at/run-cost.json", Some(Normalised)),
            ("evidence/pr-g1/writers.jsonl", Some(Volatile)),
            ("evidence/pr-g1", None),
            ("evidence/other.json", None),
        ] {
            assert_eq!(class_of(path), class, "{path}");
        }
    }

    #[test]
    fn schemas_are_unique() {
        let mut names: Vec<&str> = TABLES.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLES.len());
    }

    #[test]
    fn a_row_of_another_major_version_is_refused() {
        let stamp = Stamp { plan: Digest::of(b"plan"), policy: Digest::of(b"policy") };
        let repeat = run::Repeat {
            drill: "stress".into(),
            scenario: "scribe".into(),
            index: 3,
            seed: crate::seed::Seed(7),
            inside: run::Outcome { output_digest: Digest::of(b"x"), attempts: 4, cost_micro_usd: 12 },
            built: None,
            built_exit: Some(3),
            note: "exit 3".into(),
        };
        let line = to_line(&stamp, &repeat).expect("finite");
        assert_eq!(read::<run::Repeat>(&line), Ok((stamp, repeat)));
        let other = String::from_utf8_lossy(&line).replace("repeat/1", "repeat/2");
        assert!(matches!(read::<run::Repeat>(other.as_bytes()), Err(RecordError::Schema { .. })));
        let bare = String::from_utf8_lossy(&line).replace("\"plan\"", "\"plam\"");
        assert!(matches!(read::<run::Repeat>(bare.as_bytes()), Err(RecordError::Field(_))));
    }
}
