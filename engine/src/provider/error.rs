//! What can go wrong with a call, as types: whether it is worth another try is read from the type, never from its text.

use std::fmt;
use std::time::Duration;

/// How a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkFault {
    /// Nobody listens, or the connection was reset or closed before the answer was whole.
    Closed,
    /// The connection could not be made: name, route or TLS.
    Connect,
}

/// The floor that an answer put under the next wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryAfter {
    /// How long to wait at least; `None` when the answer did not say.
    pub wait: Option<Duration>,
    /// Whether a `Retry-After` was there and could not be read: ignored, and counted (HRD-41).
    pub malformed: bool,
}

/// Why a call gave no usable reply (SCR-20).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderError {
    /// Status 429.
    RateLimited {
        /// The floor under the next wait.
        retry_after: RetryAfter,
    },
    /// No answer within the time of the attempt.
    Timeout,
    /// The connection failed.
    Network(NetworkFault),
    /// Status 408, 409, 425 or 5xx (529 too).
    Server {
        /// The status.
        status: u16,
        /// The floor under the next wait; servers send it with 503 and 529 too.
        retry_after: RetryAfter,
    },
    /// Status 401 or 403, or a key that is not there.
    Auth {
        /// What is wrong; never the key.
        detail: String,
    },
    /// Any other status: trying again would say the same.
    BadRequest {
        /// The status.
        status: u16,
        /// What the server said, shortened.
        detail: String,
    },
    /// A good status with a body that is not what the protocol promises.
    InvalidJson {
        /// What is wrong with it.
        detail: String,
    },
    /// A good status with no text.
    Empty,
    /// The text was cut by the token limit.
    Truncated,
    /// The provider declined to answer.
    Refused,
    /// The subprocess of a `command` provider failed.
    Command {
        /// Exit or signal, with the tail of its stderr.
        detail: String,
    },
    /// The cache does not hold the reply, and nobody may be asked.
    NotCached {
        /// The key that was looked for.
        key: String,
    },
    /// The budget refused the attempt before it was made.
    BudgetRefused {
        /// Which limit, with value and limit.
        detail: String,
    },
}

impl ProviderError {
    /// Whether another attempt may succeed (HRD-40).
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::Timeout
            | Self::Network(_)
            | Self::Server { .. }
            | Self::InvalidJson { .. }
            | Self::Empty
            | Self::Truncated => true,
            Self::Auth { .. }
            | Self::BadRequest { .. }
            | Self::Refused
            | Self::Command { .. }
            | Self::NotCached { .. }
            | Self::BudgetRefused { .. } => false,
        }
    }

    /// Whether nothing can have been used (HRD-30): the server answered with an error status, or nobody was asked.
    #[must_use]
    pub fn answered_with_error_status(&self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. }
                | Self::Server { .. }
                | Self::Auth { .. }
                | Self::BadRequest { .. }
                | Self::NotCached { .. }
        )
    }

    /// The floor that the answer put under the next wait.
    #[must_use]
    pub fn retry_after(&self) -> RetryAfter {
        match self {
            Self::RateLimited { retry_after } | Self::Server { retry_after, .. } => *retry_after,
            _ => RetryAfter::default(),
        }
    }

    /// The status that the server answered with, where it was an error status.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::RateLimited { .. } => Some(429),
            Self::Server { status, .. } | Self::BadRequest { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// One word for rows and reports.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "rate_limited",
            Self::Timeout => "timeout",
            Self::Network(_) => "network",
            Self::Server { .. } => "server",
            Self::Auth { .. } => "auth",
            Self::BadRequest { .. } => "bad_request",
            Self::InvalidJson { .. } => "invalid_json",
            Self::Empty => "empty",
            Self::Truncated => "truncated",
            Self::Refused => "refused",
            Self::Command { .. } => "command",
            Self::NotCached { .. } => "not_cached",
            Self::BudgetRefused { .. } => "budget_refused",
        }
    }

    /// The typed error of an HTTP status that is not a success. `detail` is what the server said, without secrets.
    #[must_use]
    pub fn from_status(status: u16, retry_after: RetryAfter, detail: String) -> Self {
        match status {
            429 => Self::RateLimited { retry_after },
            408 | 409 | 425 | 500..=599 => Self::Server { status, retry_after },
            401 | 403 => Self::Auth { detail: format!("status {status}: {detail}") },
            _ => Self::BadRequest { status, detail },
        }
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RateLimited { .. } => f.write_str("the provider limits the rate (status 429)"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Network(NetworkFault::Closed) => f.write_str("the connection was refused, reset or closed"),
            Self::Network(NetworkFault::Connect) => {
                f.write_str("the connection could not be made (name, route or TLS)")
            }
            Self::Server { status, .. } => write!(f, "the provider failed (status {status})"),
            Self::Auth { detail } => write!(f, "the provider refused the key: {detail}"),
            Self::BadRequest { status, detail } => {
                write!(f, "the provider refused the request (status {status}): {detail}")
            }
            Self::InvalidJson { detail } => write!(f, "the answer is not what the protocol promises: {detail}"),
            Self::Empty => f.write_str("the answer has no text"),
            Self::Truncated => f.write_str("the answer was cut by the token limit"),
            Self::Refused => f.write_str("the provider declined to answer"),
            Self::Command { detail } => write!(f, "the command failed: {detail}"),
            Self::NotCached { key } => write!(f, "the cache holds no reply under {key}"),
            Self::BudgetRefused { detail } => write!(f, "the budget refused the call: {detail}"),
        }
    }
}

impl std::error::Error for ProviderError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hrd_40_status_decides() {
        for (status, retryable) in [
            (400, false),
            (401, false),
            (403, false),
            (404, false),
            (422, false),
            (301, false),
            (408, true),
            (409, true),
            (425, true),
            (429, true),
            (500, true),
            (502, true),
            (503, true),
            (529, true),
        ] {
            let error = ProviderError::from_status(status, RetryAfter::default(), String::new());
            assert_eq!(error.retryable(), retryable, "{status}: {error:?}");
            assert!(error.answered_with_error_status(), "{status}");
        }
    }

    #[test]
    fn hrd_40_faults_of_wire_and_body_are_retried() {
        for error in [
            ProviderError::Timeout,
            ProviderError::Network(NetworkFault::Closed),
            ProviderError::Network(NetworkFault::Connect),
            ProviderError::InvalidJson { detail: String::new() },
            ProviderError::Empty,
            ProviderError::Truncated,
        ] {
            assert!(error.retryable(), "{error}");
            assert!(!error.answered_with_error_status(), "{error}: it may have been billed");
        }
        assert!(!ProviderError::Refused.retryable());
        assert!(!ProviderError::BudgetRefused { detail: String::new() }.retryable());
    }
}
