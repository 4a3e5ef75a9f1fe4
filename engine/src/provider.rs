//! What a provider is: one request in, one reply or one typed error out. Everything that makes calls safe and affordable
//! wraps around it in [`crate::pipeline`]; a provider itself never retries, never follows redirects and never waits.

use std::future::Future;
use std::pin::Pin;

use contract::digest::Digest;
use contract::seed::Seed;
use serde::Serialize;

pub mod anthropic;
pub mod command;
pub mod error;
mod http;
pub mod mock;
pub mod offline;
pub mod openai;
pub mod scripted;
pub mod secret;

pub use error::{NetworkFault, ProviderError};

/// Changes whenever a key means something else, so that old entries are misses and not wrong answers.
const KEY_SCHEMA: &str = "proofhouse.cache-key/1";

/// A future of one call. Boxed, because pipelines hold providers that are chosen at run time.
pub type Pending<'a> = Pin<Box<dyn Future<Output = Result<Reply, ProviderError>> + Send + 'a>>;

/// Something that answers prompts.
pub trait Provider: Send + Sync {
    /// Who answers: part of every cache key, never a secret.
    fn identity(&self) -> &Identity;

    /// Whether a call opens sockets or starts processes. Those run in real time only: paused time fires their timeouts
    /// at once.
    fn needs_real_time(&self) -> bool;

    /// Makes one call: at most one request on the wire (HRD-5). Dropping the future abandons the call, and ends
    /// whatever it started.
    fn call<'a>(&'a self, request: &'a Request) -> Pending<'a>;
}

/// Who answers, as far as it shapes the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Name of the provider: `mock`, `openai`, `anthropic`, `command`, `offline`.
    pub provider: &'static str,
    /// Where it answers: base URL without user info, program of a command, defect rate of the mock.
    pub endpoint: String,
    /// Version of the protocol, empty where it has none.
    pub api_version: &'static str,
}

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The one who asks.
    User,
    /// The one who answers, in earlier turns.
    Assistant,
}

/// One turn of the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A turn of the one who asks.
    #[must_use]
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: Role::User, content: content.into() }
    }
}

/// One request. All fields but `call_key` shape the reply.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    /// Names the call inside its run, whatever the order or concurrency: `scene-3`, `scene-3/repair-1`. Unique in a run.
    /// Chaos and jitter are drawn from it; it does not reach the provider.
    #[serde(skip)]
    pub call_key: String,
    /// Model, by the name the provider and the price list know.
    pub model: String,
    /// System text.
    pub system: String,
    /// The conversation.
    pub messages: Vec<Message>,
    /// Most output tokens that may be written.
    pub max_tokens: u32,
    /// Sampling temperature.
    pub temperature: f64,
    /// Sampling seed. An API that takes an integer gets its low 31 bits.
    pub seed: Seed,
}

impl Request {
    /// Tokens of the input by the common estimate, four characters to a token, rounded up: 4000 characters are 1000
    /// tokens, nothing is 0.
    #[must_use]
    pub fn input_tokens_estimate(&self) -> u64 {
        estimate_tokens(std::iter::once(self.system.as_str()).chain(self.messages.iter().map(|m| m.content.as_str())))
    }

    /// The key of its reply: the digest of the canonical JSON of everything that shapes it (HRD-22).
    ///
    /// # Errors
    /// When a parameter has no canonical form, such as a temperature that is no number.
    pub fn cache_key(&self, identity: &Identity) -> Result<Digest, String> {
        let shape = serde_json::json!({ "schema": KEY_SCHEMA, "identity": identity });
        let mut shape = contract::canonical::to_value(&shape).map_err(|error| error.to_string())?;
        shape["request"] = contract::canonical::to_value(self).map_err(|error| error.to_string())?;
        contract::canonical::digest(&shape).map_err(|error| error.to_string())
    }

    /// The seed as an API that takes an integer gets it.
    #[must_use]
    pub fn seed_31(&self) -> u32 {
        // The mask leaves 31 bits, which fit.
        (self.seed.0 & 0x7fff_ffff) as u32
    }
}

/// Tokens of some text by the common estimate: characters over all parts, divided by four, rounded up.
pub fn estimate_tokens<'a>(parts: impl IntoIterator<Item = &'a str>) -> u64 {
    let characters: usize = parts.into_iter().map(|part| part.chars().count()).sum();
    (characters as u64).div_ceil(4)
}

/// Why the provider stopped writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It was done.
    Complete,
    /// The token limit cut the text: not a success (SCR-21).
    Length,
    /// It declined to answer.
    Refused,
}

/// Tokens used, as four disjoint counts (HRD-30): a cached input token is not an input token, a reasoning token is not an
/// output token. What the provider did not report is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Input read in full.
    pub input_tokens: u64,
    /// Input served from the provider's own cache.
    #[serde(default)]
    pub cached_input_tokens: u64,
    /// Text written.
    pub output_tokens: u64,
    /// Reasoning that was billed and not shown.
    #[serde(default)]
    pub reasoning_tokens: u64,
}

impl Usage {
    /// All tokens; saturating, so that an absurd report stays over every limit.
    #[must_use]
    pub fn total(&self) -> u64 {
        [self.cached_input_tokens, self.output_tokens, self.reasoning_tokens]
            .iter()
            .fold(self.input_tokens, |sum, count| sum.saturating_add(*count))
    }
}

/// What a provider answered. Not yet a success: the text may be empty or cut (see [`crate::pipeline`], layer validate).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The text.
    pub text: String,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// What it used; `None` when the provider did not say, or said something inconsistent.
    pub usage: Option<Usage>,
    /// Name of the provider that answered.
    pub provider: &'static str,
    /// The provider's own name of this call, for its support desk.
    pub request_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_characters_are_a_token() {
        assert_eq!(estimate_tokens(["x".repeat(4000).as_str()]), 1000);
        assert_eq!(estimate_tokens(["é".repeat(4).as_str()]), 1, "characters count, not bytes");
        assert_eq!(estimate_tokens(["abc", "de"]), 2);
        assert_eq!(estimate_tokens([""]), 0);
    }

    #[test]
    fn a_seed_reaches_an_api_as_its_low_31_bits() {
        let request = Request {
            call_key: String::new(),
            model: String::new(),
            system: String::new(),
            messages: Vec::new(),
            max_tokens: 1,
            temperature: 0.0,
            seed: Seed(0xffff_ffff_8000_0007),
        };
        assert_eq!(request.seed_31(), 7);
    }

    #[test]
    fn absurd_usage_does_not_wrap() {
        let usage = Usage { input_tokens: u64::MAX, output_tokens: 2, ..Usage::default() };
        assert_eq!(usage.total(), u64::MAX);
    }
}
