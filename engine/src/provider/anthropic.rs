//! The messages API of Anthropic.

use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Endpoint, invalid};
use super::secret::Secret;
use super::{Identity, Pending, Provider, ProviderError, Reply, Request, StopReason, Usage};

/// Where Anthropic answers.
pub const BASE_URL: &str = "https://api.anthropic.com";

/// The variable that holds the key.
pub const KEY_VARIABLE: &str = "ANTHROPIC_API_KEY";

/// The protocol version that is asked for in a header.
const VERSION: &str = "2023-06-01";

/// The provider.
#[derive(Debug)]
pub struct Anthropic {
    identity: Identity,
    endpoint: Endpoint,
}

impl Anthropic {
    /// Name of the provider.
    pub const NAME: &'static str = "anthropic";

    /// Asks at `base_url` with `key`.
    ///
    /// # Errors
    /// A sentence when the base URL is not allowed.
    pub fn new(base_url: &str, key: Secret) -> Result<Self, String> {
        let endpoint = Endpoint::new(base_url, key)?;
        Ok(Self { identity: Self::identity_at(endpoint.base()), endpoint })
    }

    /// Its identity at some base URL, for who stands in for it.
    #[must_use]
    pub fn identity_at(base_url: &str) -> Identity {
        let endpoint = base_url.trim_end_matches('/').to_owned();
        Identity { provider: Self::NAME, endpoint, api_version: VERSION }
    }

    async fn ask(&self, request: &Request) -> Result<Reply, ProviderError> {
        let extra = [("anthropic-version", VERSION)];
        let body = self.endpoint.post("/v1/messages", ("x-api-key", ""), &extra, &body(request)).await?;
        reply(body.json, body.request_id)
    }
}

impl Provider for Anthropic {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn needs_real_time(&self) -> bool {
        true
    }

    fn call<'a>(&'a self, request: &'a Request) -> Pending<'a> {
        Box::pin(self.ask(request))
    }
}

/// The API takes no seed.
fn body(request: &Request) -> Value {
    json!({
        "model": request.model,
        "system": request.system,
        "messages": request.messages,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
    })
}

#[derive(Deserialize)]
struct Answer {
    content: Vec<Block>,
    stop_reason: Option<String>,
    usage: Option<Value>,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

#[derive(Deserialize)]
struct Counts {
    input_tokens: u64,
    output_tokens: u64,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
}

fn reply(json: Value, request_id: Option<String>) -> Result<Reply, ProviderError> {
    let answer: Answer = serde_json::from_value(json).map_err(|error| invalid(error.to_string()))?;
    let stop_reason = match answer.stop_reason.as_deref() {
        Some("end_turn" | "stop_sequence") => StopReason::Complete,
        Some("max_tokens" | "model_context_window_exceeded") => StopReason::Length,
        Some("refusal") => StopReason::Refused,
        other => return Err(invalid(format!("stop_reason {other:?} is none that was asked for"))),
    };
    let mut text = String::new();
    for block in answer.content.into_iter().filter(|block| block.kind == "text") {
        text.push_str(&block.text.ok_or_else(|| invalid("a text block without text".into()))?);
    }
    let usage = answer.usage.and_then(disjoint);
    Ok(Reply { text, stop_reason, usage, provider: Anthropic::NAME, request_id })
}

/// Its counts are disjoint already. Tokens written into its cache were read in full. What is no count is no usage, and
/// is then charged as the reservation.
fn disjoint(usage: Value) -> Option<Usage> {
    let counts: Counts = serde_json::from_value(usage).ok()?;
    Some(Usage {
        input_tokens: counts.input_tokens.checked_add(counts.cache_creation_input_tokens.unwrap_or(0))?,
        cached_input_tokens: counts.cache_read_input_tokens.unwrap_or(0),
        output_tokens: counts.output_tokens,
        reasoning_tokens: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(stop: &str, content: Value, usage: Value) -> Value {
        json!({ "type": "message", "content": content, "stop_reason": stop, "usage": usage })
    }

    fn text() -> Value {
        json!([{ "type": "thinking", "thinking": "hm" }, { "type": "text", "text": "Ra" }, { "type": "text", "text": "in." }])
    }

    #[test]
    fn text_blocks_are_joined_and_counts_kept_apart() {
        let usage = json!({
            "input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 7,
        });
        let reply = reply(answer("end_turn", text(), usage), Some("req".into())).expect("a good answer");
        let expected = Usage { input_tokens: 13, cached_input_tokens: 7, output_tokens: 5, reasoning_tokens: 0 };
        assert_eq!((reply.text.as_str(), reply.usage), ("Rain.", Some(expected)));
        for bad in [json!(null), json!({ "input_tokens": 1 }), json!({ "input_tokens": -1, "output_tokens": 1 })] {
            assert_eq!(disjoint(bad.clone()), None, "{bad}");
        }
    }

    #[test]
    fn stop_reasons() {
        let stop = |stop: &str| reply(answer(stop, text(), json!(null)), None).map(|reply| reply.stop_reason);
        assert_eq!(stop("end_turn"), Ok(StopReason::Complete));
        assert_eq!(stop("stop_sequence"), Ok(StopReason::Complete));
        assert_eq!(stop("max_tokens"), Ok(StopReason::Length));
        assert_eq!(stop("refusal"), Ok(StopReason::Refused));
        for unknown in ["tool_use", "pause_turn", ""] {
            assert!(matches!(stop(unknown), Err(ProviderError::InvalidJson { .. })), "{unknown}");
        }
    }

    #[test]
    fn bodies_that_are_no_message() {
        let textless = answer("end_turn", json!([{ "type": "text" }]), json!(null));
        for bad in [json!(null), json!({}), json!({ "content": "Rain." }), textless] {
            assert!(matches!(reply(bad.clone(), None), Err(ProviderError::InvalidJson { .. })), "{bad}");
        }
        let nothing = reply(answer("end_turn", json!([]), json!(null)), None).expect("good status, no text");
        assert_eq!(nothing.text, "", "the layers above refuse it as empty");
    }
}
