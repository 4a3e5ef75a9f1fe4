//! The two protocols as a server sees them, written from their published descriptions.

use serde_json::{Value, json};

use super::Played;
use super::message::{Message, response};
use super::script::Step;

/// Which protocol a path belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    ChatCompletions,
    Messages,
}

impl Protocol {
    pub(super) fn of(path: &str) -> Option<Self> {
        match path {
            "/v1/chat/completions" => Some(Self::ChatCompletions),
            "/v1/messages" => Some(Self::Messages),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ChatCompletions => "openai",
            Self::Messages => "anthropic",
        }
    }

    /// The key of a request, where the protocol puts it.
    fn key(self, message: &Message) -> Option<&str> {
        match self {
            Self::ChatCompletions => message.header("authorization")?.strip_prefix("Bearer "),
            // A request without a version is refused by the real service too.
            Self::Messages => message.header("anthropic-version").and(message.header("x-api-key")),
        }
        .filter(|key| !key.is_empty())
    }

    pub(super) fn authorized(self, message: &Message) -> bool {
        self.key(message).is_some()
    }

    /// The answer to one request.
    pub(super) fn play(self, step: &Step, message: &Message) -> Played {
        let ok = |body: Value| response(200, "x-request-id: req_wire\r\n", body.to_string().as_bytes());
        Played::Bytes(match step {
            Step::Ok { text } => ok(self.reply(text, "whole", Some(message.body.len()))),
            Step::NoUsage { text } => ok(self.reply(text, "whole", None)),
            Step::Truncated => ok(self.reply("The rain had", "cut", Some(message.body.len()))),
            Step::EmptyResponse => ok(self.reply("", "whole", Some(message.body.len()))),
            Step::RateLimit429 { retry_after } => {
                let header = retry_after.as_ref().map_or(String::new(), |value| format!("retry-after: {value}\r\n"));
                response(429, &header, &error("rate_limit_error", "slow down"))
            }
            Step::ApiError500 => response(500, "", &error("api_error", "something broke")),
            Step::Status { status } => response(*status, "", &error("status", &format!("status {status}"))),
            Step::EchoKey => {
                let key = self.key(message).unwrap_or("");
                let header = format!("x-request-id: {key}\r\n");
                response(401, &header, &error("authentication_error", &format!("incorrect API key provided: {key}")))
            }
            Step::Redirect => response(307, &format!("location: {}\r\n", message.path), b""),
            Step::InvalidJson => response(200, "", b"{\"choices\": [{\"message\""),
            Step::NetworkError => {
                let whole = ok(self.reply("The rain had stopped.", "whole", Some(1)));
                whole[..whole.len() / 2].to_vec()
            }
            Step::Timeout => return Played::Silence,
        })
    }

    /// A good reply. Four bytes of the request count as a token.
    fn reply(self, text: &str, end: &str, request_bytes: Option<usize>) -> Value {
        let input = request_bytes.map(|bytes| bytes / 4);
        let output = text.len() / 4;
        match self {
            Self::ChatCompletions => json!({
                "id": "chatcmpl-wire",
                "object": "chat.completion",
                "model": "wire",
                "choices": [{
                    "index": 0,
                    "message": { "role": "assistant", "content": text, "refusal": null },
                    "finish_reason": if end == "cut" { "length" } else { "stop" },
                }],
                "usage": input.map(|input| json!({
                    "prompt_tokens": input,
                    "completion_tokens": output,
                    "total_tokens": input + output,
                })),
            }),
            Self::Messages => json!({
                "id": "msg_wire",
                "type": "message",
                "role": "assistant",
                "model": "wire",
                "content": [{ "type": "text", "text": text }],
                "stop_reason": if end == "cut" { "max_tokens" } else { "end_turn" },
                "stop_sequence": null,
                "usage": input.map(|input| json!({ "input_tokens": input, "output_tokens": output })),
            }),
        }
    }
}

fn error(kind: &str, message: &str) -> Vec<u8> {
    json!({ "type": "error", "error": { "type": kind, "message": message } }).to_string().into_bytes()
}
