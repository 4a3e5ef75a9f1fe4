//! Chat completions, at OpenAI or any compatible base URL.

use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Endpoint, invalid};
use super::secret::Secret;
use super::{Identity, Pending, Provider, ProviderError, Reply, Request, StopReason, Usage};

/// Where OpenAI answers.
pub const BASE_URL: &str = "https://api.openai.com/v1";

/// The variable that holds the key.
pub const KEY_VARIABLE: &str = "OPENAI_API_KEY";

/// The provider.
#[derive(Debug)]
pub struct OpenAi {
    identity: Identity,
    endpoint: Endpoint,
}

impl OpenAi {
    /// Name of the provider.
    pub const NAME: &'static str = "openai";

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
        Identity { provider: Self::NAME, endpoint, api_version: "chat/completions/v1" }
    }

    async fn ask(&self, request: &Request) -> Result<Reply, ProviderError> {
        let key = ("authorization", "Bearer ");
        let body = self.endpoint.post("/chat/completions", key, &[], &body(request)).await?;
        reply(body.json, body.request_id)
    }
}

impl Provider for OpenAi {
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

fn body(request: &Request) -> Value {
    let system = json!({ "role": "system", "content": request.system });
    let turns = request.messages.iter().map(|message| json!(message));
    let messages: Vec<Value> = std::iter::once(system).chain(turns).collect();
    json!({
        "model": request.model,
        "messages": messages,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed_31(),
    })
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    usage: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    message: ChoiceMessage,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct ChoiceMessage {
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct Counts {
    prompt_tokens: u64,
    completion_tokens: u64,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

fn reply(json: Value, request_id: Option<String>) -> Result<Reply, ProviderError> {
    let completion: Completion = serde_json::from_value(json).map_err(|error| invalid(error.to_string()))?;
    let count = completion.choices.len();
    let [choice] = <[Choice; 1]>::try_from(completion.choices)
        .map_err(|_| invalid(format!("{count} choices where one was asked for")))?;
    let stop_reason = match (choice.finish_reason.as_deref(), &choice.message.refusal) {
        (Some("content_filter"), _) | (_, Some(_)) => StopReason::Refused,
        (Some("stop"), None) => StopReason::Complete,
        (Some("length"), None) => StopReason::Length,
        (other, None) => return Err(invalid(format!("finish_reason {other:?} is none that was asked for"))),
    };
    Ok(Reply {
        // No content is no text: the layers above refuse it as empty.
        text: choice.message.content.unwrap_or(String::new()),
        stop_reason,
        usage: completion.usage.and_then(disjoint),
        provider: OpenAi::NAME,
        request_id,
    })
}

/// Cached tokens are among the prompt's and reasoning among the completion's: taken apart. What does not add up is no
/// usage, and is then charged as the reservation.
fn disjoint(usage: Value) -> Option<Usage> {
    let counts: Counts = serde_json::from_value(usage).ok()?;
    let cached = counts.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0);
    let reasoning = counts.completion_tokens_details.and_then(|details| details.reasoning_tokens).unwrap_or(0);
    Some(Usage {
        input_tokens: counts.prompt_tokens.checked_sub(cached)?,
        cached_input_tokens: cached,
        output_tokens: counts.completion_tokens.checked_sub(reasoning)?,
        reasoning_tokens: reasoning,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completion(finish: &str, usage: Value) -> Value {
        let message = json!({ "role": "assistant", "content": "Rain." });
        json!({ "id": "x", "choices": [{ "index": 0, "message": message, "finish_reason": finish }], "usage": usage })
    }

    #[test]
    fn usage_is_taken_apart_into_disjoint_counts() {
        let usage = json!({
            "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
            "prompt_tokens_details": { "cached_tokens": 30 },
            "completion_tokens_details": { "reasoning_tokens": 20 },
        });
        let expected = Usage { input_tokens: 70, cached_input_tokens: 30, output_tokens: 30, reasoning_tokens: 20 };
        assert_eq!(reply(completion("stop", usage), None).map(|reply| reply.usage), Ok(Some(expected)));
        let plain = json!({ "prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": null });
        assert_eq!(disjoint(plain).map(|usage| usage.total()), Some(3));
        for bad in [
            json!(null),
            json!({}),
            json!({ "prompt_tokens": -1, "completion_tokens": 2 }),
            json!({ "prompt_tokens": 1.5, "completion_tokens": 2 }),
            json!({ "prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": { "cached_tokens": 2 } }),
        ] {
            assert_eq!(reply(completion("stop", bad.clone()), None).map(|reply| reply.usage), Ok(None), "{bad}");
        }
    }

    #[test]
    fn stop_reasons() {
        let stop = |finish: &str| reply(completion(finish, json!(null)), None).map(|reply| reply.stop_reason);
        assert_eq!(stop("stop"), Ok(StopReason::Complete));
        assert_eq!(stop("length"), Ok(StopReason::Length));
        assert_eq!(stop("content_filter"), Ok(StopReason::Refused));
        for unknown in ["tool_calls", "", "STOP"] {
            assert!(matches!(stop(unknown), Err(ProviderError::InvalidJson { .. })), "{unknown}");
        }
    }

    #[test]
    fn bodies_that_are_no_completion() {
        for bad in [json!(null), json!([]), json!({}), json!({ "choices": [] }), json!({ "choices": [{}] })] {
            assert!(matches!(reply(bad.clone(), None), Err(ProviderError::InvalidJson { .. })), "{bad}");
        }
    }
}
