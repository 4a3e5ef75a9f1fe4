//! `policy/gate.json`: all the policy that judges read, written once into a run folder and carried by its pack.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::calibration::{Calibration, Refused};
use crate::canonical::{self, JsonError};
use crate::chaos_profile::ChaosFile;
use crate::digest::Digest;
use crate::layers::{Loosened, Source};

/// `policy/gate.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatePolicy {
    /// [`GatePolicy::SCHEMA`].
    pub schema: String,
    /// Profile name.
    pub profile: String,
    /// Gates that were selected or pulled in.
    pub gates: Vec<String>,
    /// The resolved calibration.
    pub values: Value,
    /// Source of every leaf of `values`, by JSON pointer.
    pub sources: BTreeMap<String, Source>,
    /// Limits that are easier than the default.
    pub loosened: Vec<Loosened>,
    /// `chaos.json`.
    pub chaos: Value,
    /// `scenarios` of `profiles.json`: values that apply over the resolved ones in one scenario only.
    pub scenarios: BTreeMap<String, Value>,
    /// `baseline.json`.
    pub baseline: Value,
    /// `inventory.json`.
    pub inventory: Value,
    /// `trace.toml`, as JSON.
    pub trace: Value,
    /// `code-audit.json`.
    pub code_audit: Value,
    /// `path-allow.json`.
    pub path_allow: Value,
}

impl GatePolicy {
    /// The value of `schema`.
    pub const SCHEMA: &'static str = "proofhouse.gate-policy/1";

    /// Parses and checks a policy file.
    ///
    /// # Errors
    /// What is wrong, with pointers.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let value = canonical::parse_evidence(bytes).map_err(|error| error.to_string())?;
        let policy: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        if policy.schema != Self::SCHEMA {
            return Err(format!("/schema: `{}` is not `{}`", policy.schema, Self::SCHEMA));
        }
        policy.calibration().map_err(|refused| refused.to_string())?;
        policy.chaos().map_err(|refused| refused.to_string())?;
        Ok(policy)
    }

    /// The policy digest: SHA-256 of the canonical JSON without `sources` and `gates`.
    ///
    /// # Errors
    /// Never for a parsed policy; typed all the same.
    pub fn digest(&self) -> Result<Digest, JsonError> {
        let mut value = canonical::to_value(self)?;
        if let Value::Object(fields) = &mut value {
            fields.remove("sources");
            fields.remove("gates");
        }
        canonical::digest(&value)
    }

    /// The typed calibration.
    ///
    /// # Errors
    /// As [`Calibration::from_value`].
    pub fn calibration(&self) -> Result<Calibration, Refused> {
        Calibration::from_value(&self.values)
    }

    /// The typed fault profiles.
    ///
    /// # Errors
    /// As [`ChaosFile::from_value`].
    pub fn chaos(&self) -> Result<ChaosFile, Refused> {
        ChaosFile::from_value(&self.chaos)
    }

    /// The calibration of one scenario: its own values over the resolved ones.
    ///
    /// # Errors
    /// As [`Calibration::from_value`]; an unknown scenario has no values of its own.
    pub fn scenario(&self, name: &str) -> Result<Calibration, Refused> {
        let mut values = self.values.clone();
        if let Some(own) = self.scenarios.get(name) {
            merge(&mut values, own);
        }
        Calibration::from_value(&values)
    }
}

/// Lays `over` on `under`: objects merge, arrays and scalars replace.
pub fn merge(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                match under.get_mut(key) {
                    Some(inner) => merge(inner, value),
                    None => {
                        under.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (under, over) => *under = over.clone(),
    }
}
