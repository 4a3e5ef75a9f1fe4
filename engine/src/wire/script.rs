//! What the server does with each request.

use serde::{Deserialize, Serialize};

/// Steps for the first requests, and one for all later ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// One a request, in the order of arrival.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// For every request after these.
    #[serde(default)]
    pub last: Step,
}

/// What the server does with one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// A good reply with usage.
    Ok {
        /// Its text.
        text: String,
    },
    /// A good reply without usage.
    NoUsage {
        /// Its text.
        text: String,
    },
    /// A good reply that was cut by the token limit.
    Truncated,
    /// A good reply with no text.
    EmptyResponse,
    /// Status 429.
    #[serde(rename = "rate_limit_429")]
    RateLimit429 {
        /// `Retry-After`, as it stands in the header; none when absent.
        retry_after: Option<String>,
    },
    /// Status 500.
    #[serde(rename = "api_error_500")]
    ApiError500,
    /// Nothing is ever answered.
    Timeout,
    /// Status 200 with a body that does not parse.
    InvalidJson,
    /// The connection is closed in the middle of the body.
    NetworkError,
    /// Some other status.
    Status {
        /// The status.
        status: u16,
    },
    /// Status 401 with the key itself in the message, as some servers do.
    EchoKey,
    /// Status 307 to the same path.
    Redirect,
}

impl Default for Step {
    fn default() -> Self {
        Self::Ok { text: "The rain had stopped before she reached the bridge.".into() }
    }
}

impl Step {
    /// Some status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status { status }
    }

    /// The word for scripts and journals.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Ok { .. } => "ok".into(),
            Self::NoUsage { .. } => "no_usage".into(),
            Self::Truncated => "truncated".into(),
            Self::EmptyResponse => "empty_response".into(),
            Self::RateLimit429 { .. } => "rate_limit_429".into(),
            Self::ApiError500 => "api_error_500".into(),
            Self::Timeout => "timeout".into(),
            Self::InvalidJson => "invalid_json".into(),
            Self::NetworkError => "network_error".into(),
            Self::Status { status } => format!("status_{status}"),
            Self::EchoKey => "echo_key".into(),
            Self::Redirect => "redirect".into(),
        }
    }
}

impl Script {
    /// Parses a script.
    ///
    /// # Errors
    /// What is wrong, in one sentence.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        // A struct could be read from a list too, and an empty list would be a script without a word.
        let fields: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(bytes).map_err(|error| format!("script: {error}"))?;
        serde_json::from_value(fields.into()).map_err(|error| format!("script: {error}"))
    }

    /// The step of request `number`, from 0.
    #[must_use]
    pub fn step(&self, number: usize) -> &Step {
        self.steps.get(number).unwrap_or(&self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_round_trip_and_unknown_steps_are_refused() {
        let script = Script {
            steps: vec![Step::RateLimit429 { retry_after: Some("2".into()) }, Step::status(529), Step::Truncated],
            last: Step::default(),
        };
        let bytes = serde_json::to_vec(&script).expect("plain data");
        assert_eq!(Script::parse(&bytes), Ok(script));
        for bad in ["", "[]", r#"{"steps":[{"do":"meteor"}]}"#, r#"{"stepz":[]}"#, r#"{"last":{"do":"ok"}}"#] {
            assert!(Script::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
