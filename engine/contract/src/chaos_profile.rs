//! Fault profiles: how often an attempt is made to fail, and how.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::calibration::Refused;
use crate::canonical;
use crate::schema::Kind::{Map, Object, Real, Text, Word, Words};
use crate::schema::Looser::AnyChange;
use crate::schema::{Field, Kind, PolicyError};

/// The value of `schema` in a chaos file.
pub const SCHEMA: &str = "proofhouse.chaos/1";

/// How an attempt fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FailureMode {
    /// HTTP 429 with Retry-After.
    #[serde(rename = "rate_limit_429")]
    RateLimit429,
    /// No answer within the call's timeout.
    #[serde(rename = "timeout")]
    Timeout,
    /// A body that does not parse.
    #[serde(rename = "invalid_json")]
    InvalidJson,
    /// HTTP 500.
    #[serde(rename = "api_error_500")]
    ApiError500,
    /// A closed connection.
    #[serde(rename = "network_error")]
    NetworkError,
    /// A good status with empty text.
    #[serde(rename = "empty_response")]
    EmptyResponse,
}

impl FailureMode {
    /// All modes, in the order of [`FailureMode::NAMES`].
    pub const ALL: [Self; 6] = [
        Self::RateLimit429,
        Self::Timeout,
        Self::InvalidJson,
        Self::ApiError500,
        Self::NetworkError,
        Self::EmptyResponse,
    ];

    /// The names that files use.
    pub const NAMES: [&'static str; 6] =
        ["rate_limit_429", "timeout", "invalid_json", "api_error_500", "network_error", "empty_response"];

    /// The name that files use.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

static TABLE: Kind = Object(&[
    Field::new("schema", Word(&[SCHEMA]), AnyChange),
    Field::new("default_profile", Text, AnyChange),
    Field::new("rate_alpha", Real(0.0, 0.05), AnyChange),
    Field::new("profiles", Map(&PROFILE), AnyChange),
]);

static PROFILE: Kind = Object(&[
    Field::optional("CHAOS_RATE", Real(0.0, 1.0), AnyChange),
    Field::new("failure_types", Words(&FailureMode::NAMES), AnyChange),
    Field::new("description", Text, AnyChange),
]);

/// A valid chaos file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChaosFile {
    /// The profile used when none is named.
    pub default_profile: String,
    /// Error probability of the injection-rate interval.
    pub rate_alpha: f64,
    /// The profiles by name.
    pub profiles: BTreeMap<String, ChaosProfile>,
}

/// One fault profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChaosProfile {
    /// Share of attempts that fail. Absent for the default profile alone, which takes the calibration's.
    #[serde(rename = "CHAOS_RATE", skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// The modes that may occur, each as likely as the others.
    pub failure_types: Vec<FailureMode>,
    /// What it stands for.
    pub description: String,
}

impl ChaosFile {
    /// Parses and checks a chaos file.
    ///
    /// # Errors
    /// Every problem with its pointer.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        Self::from_value(&canonical::parse_evidence(bytes).map_err(Refused::Json)?)
    }

    /// Checks a parsed chaos file.
    ///
    /// # Errors
    /// As [`ChaosFile::parse`].
    pub fn from_value(value: &Value) -> Result<Self, Refused> {
        let errors = TABLE.check(value);
        if !errors.is_empty() {
            return Err(Refused::Policy(errors));
        }
        let refuse = |pointer: String, reason: String| Refused::Policy(vec![PolicyError { pointer, reason }]);
        let file: Self =
            serde_json::from_value(value.clone()).map_err(|error| refuse(String::new(), error.to_string()))?;
        if !file.profiles.contains_key(&file.default_profile) {
            return Err(refuse(
                "/default_profile".into(),
                format!("`{}` is no profile of this file", file.default_profile),
            ));
        }
        for (name, profile) in &file.profiles {
            let at = canonical::pointer_push("/profiles", name);
            match (profile.rate, *name == file.default_profile) {
                (None, false) => return Err(refuse(at + "/CHAOS_RATE", "is missing".into())),
                (Some(_), true) => {
                    return Err(refuse(at + "/CHAOS_RATE", "the default profile takes the calibration's rate".into()));
                }
                _ => {}
            }
            let mut modes = profile.failure_types.clone();
            modes.sort_unstable();
            modes.dedup();
            if modes.len() != profile.failure_types.len() {
                return Err(refuse(at + "/failure_types", "names a mode twice".into()));
            }
        }
        Ok(file)
    }

    /// The rate and modes of one profile; `calibration_rate` serves the default profile.
    ///
    /// # Errors
    /// A sentence with the valid names when there is no such profile.
    pub fn profile(&self, name: &str, calibration_rate: f64) -> Result<(f64, &[FailureMode]), String> {
        match self.profiles.get(name) {
            Some(profile) => Ok((profile.rate.unwrap_or(calibration_rate), &profile.failure_types)),
            None => {
                let names: Vec<&str> = self.profiles.keys().map(String::as_str).collect();
                Err(format!("unknown chaos profile `{name}`; valid: {}", names.join(", ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../gates/policy/chaos.json");

    #[test]
    fn shipped_profiles() {
        let file = ChaosFile::parse(SHIPPED.as_bytes()).expect("valid");
        let of = |name: &str| file.profile(name, 0.2).map(|(rate, modes)| (rate, modes.len()));
        assert_eq!(of("light"), Ok((0.05, 2)));
        assert_eq!(of("medium"), Ok((0.15, 4)));
        assert_eq!(of("heavy"), Ok((0.30, 6)));
        assert_eq!(of("hellfire"), Ok((0.50, 6)));
        assert_eq!(of("default"), Ok((0.2, 6)));
        assert!(of("hell").is_err());
        for (mode, name) in FailureMode::ALL.iter().zip(FailureMode::NAMES) {
            assert_eq!(serde_json::to_value(mode).expect("a name"), name);
        }
    }

    #[test]
    fn refusals_name_the_place() {
        for (from, to, place) in [
            ("0.05", "1.01", "/profiles/light/CHAOS_RATE"),
            ("\"timeout\"", "\"meteor\"", "/profiles/"),
            ("\"default_profile\": \"default\"", "\"default_profile\": \"none\"", "/default_profile"),
        ] {
            let text = SHIPPED.replace(from, to);
            assert_ne!(text, SHIPPED);
            let refused = ChaosFile::parse(text.as_bytes()).expect_err(to);
            assert!(refused.to_string().contains(place), "{refused}");
        }
    }
}
