//! Deterministic prose without a model: the same request gives the same reply, and every defect that was planted in one
//! is written down beside it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::{Identity, Pending, Provider, Reply, Request, StopReason, Usage, estimate_tokens};
use crate::scribe::measure::rules::Rule;
use crate::scribe::mock_prose::{self, MockAsk};
use crate::scribe::prompt::mock_ask;

/// The defect rate where none is given.
pub const DEFECT_RATE: f64 = 0.15;

/// The provider `mock`.
#[derive(Debug)]
pub struct Mock {
    identity: Identity,
    defect_rate: f64,
    planted: Mutex<BTreeMap<String, Vec<Rule>>>,
}

impl Mock {
    /// A mock that breaks a rule with this probability, from 0 to 1.
    #[must_use]
    pub fn new(defect_rate: f64) -> Self {
        // The rate shapes what is written, so it belongs to who writes it (HRD-22).
        let endpoint = format!("defect-rate={defect_rate}");
        let identity = Identity { provider: "mock", endpoint, api_version: "" };
        Self { identity, defect_rate, planted: Mutex::default() }
    }

    /// The rules that were broken on purpose, by the key of the call; calls without a defect have an empty list.
    #[must_use]
    pub fn planted(&self) -> BTreeMap<String, Vec<Rule>> {
        self.planted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn reply(&self, request: &Request) -> Reply {
        let user = request.messages.last().map_or("", |message| message.content.as_str());
        // A prompt that is not ours is answered too, with plain prose.
        let ask = mock_ask(user, self.defect_rate).unwrap_or_else(MockAsk::plain);
        let prose = mock_prose::write(&ask, request.seed);
        let rules = prose.planted.iter().map(|defect| defect.rule).collect();
        self.planted.lock().unwrap_or_else(PoisonError::into_inner).insert(request.call_key.clone(), rules);
        let mut text = prose.paragraphs.join("\n\n");
        let limit = u64::from(request.max_tokens);
        let whole = estimate_tokens([text.as_str()]) <= limit;
        if !whole {
            // Four characters to a token, as the estimate has it.
            text = text.chars().take(usize::try_from(limit * 4).unwrap_or(usize::MAX)).collect();
        }
        let usage = Usage {
            input_tokens: request.input_tokens_estimate(),
            output_tokens: estimate_tokens([text.as_str()]),
            ..Usage::default()
        };
        Reply {
            text,
            stop_reason: if whole { StopReason::Complete } else { StopReason::Length },
            usage: Some(usage),
            provider: "mock",
            request_id: None,
        }
    }
}

impl Provider for Mock {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn needs_real_time(&self) -> bool {
        false
    }

    fn call<'a>(&'a self, request: &'a Request) -> Pending<'a> {
        Box::pin(async move { Ok(self.reply(request)) })
    }
}

#[cfg(test)]
mod tests {
    use contract::seed::Seed;

    use super::super::Message;
    use super::*;

    fn request(max_tokens: u32) -> Request {
        Request {
            call_key: "scene:1".into(),
            model: "mock-prose-1".into(),
            system: String::new(),
            messages: vec![Message::user("Write something.")],
            max_tokens,
            temperature: 0.7,
            seed: Seed(7),
        }
    }

    #[tokio::test]
    async fn the_same_request_gives_the_same_reply() {
        let mock = Mock::new(0.0);
        let first = mock.call(&request(500)).await.expect("a mock never fails");
        assert_eq!(mock.call(&request(500)).await, Ok(first.clone()));
        assert_eq!(first.stop_reason, StopReason::Complete);
        assert_eq!(mock.planted(), BTreeMap::from([("scene:1".to_owned(), Vec::new())]));
    }

    #[tokio::test]
    async fn the_token_limit_cuts_the_text() {
        let cut = Mock::new(0.0).call(&request(10)).await.expect("a mock never fails");
        assert_eq!((cut.stop_reason, cut.text.chars().count()), (StopReason::Length, 40));
        assert_eq!(cut.usage.map(|usage| usage.output_tokens), Some(10));
    }
}
