//! Calls over real HTTP: one server process a case, one call, the server's own journal beside our attempts.

use std::path::Path;
use std::sync::Arc;

use contract::calibration::Calibration;
use contract::chaos_profile::FailureMode;
use contract::record::chaos::{Attempt, CallEnd, WireCase};
use contract::seed::Seed;
use serde_json::Value;

use crate::clock::Clock;
use crate::drill::counterpart::{Counterpart, PROTOCOLS};
use crate::pipeline::{CallContext, Parts, Pipeline};
use crate::provider::anthropic::Anthropic;
use crate::provider::openai::OpenAi;
use crate::provider::secret::Secret;
use crate::provider::{Message, Provider, Request};
use crate::wire::{Script, Step};

/// The key that providers are given. It must be found nowhere afterwards.
pub const CANARY: &str = "sk-canary-7f3a9c51e2";

/// The text of the good reply.
pub const TEXT: &str = "The lamp went out, and nobody moved.";

/// One call that was made: its row, our attempts, and what the server says arrived.
#[derive(Clone, Debug)]
pub struct Made {
    /// The row.
    pub case: WireCase,
    /// Our rows.
    pub attempts: Vec<Attempt>,
    /// The server's.
    pub arrived: Vec<Value>,
}

/// The scripts: each mode once before a good reply, and what else a server may do.
#[must_use]
pub fn scripts() -> Vec<(Option<FailureMode>, Vec<Step>)> {
    let mut scripts: Vec<_> = FailureMode::ALL.iter().map(|mode| (Some(*mode), vec![fault(*mode)])).collect();
    scripts.push((None, vec![]));
    scripts.push((None, vec![Step::Truncated]));
    scripts.push((None, vec![Step::status(529), Step::status(503)]));
    scripts.push((None, vec![Step::EchoKey]));
    scripts.push((None, vec![Step::status(400)]));
    scripts.push((None, vec![Step::Redirect]));
    scripts.push((None, vec![Step::RateLimit429 { retry_after: Some("²".into()) }]));
    scripts.push((None, vec![Step::RateLimit429 { retry_after: Some("86400".into()) }]));
    scripts.push((None, vec![Step::NoUsage { text: TEXT.into() }]));
    scripts
}

/// How the server makes a fault.
fn fault(mode: FailureMode) -> Step {
    match mode {
        FailureMode::RateLimit429 => Step::RateLimit429 { retry_after: Some("0.3".into()) },
        FailureMode::Timeout => Step::Timeout,
        FailureMode::InvalidJson => Step::InvalidJson,
        FailureMode::ApiError500 => Step::ApiError500,
        FailureMode::NetworkError => Step::NetworkError,
        FailureMode::EmptyResponse => Step::EmptyResponse,
    }
}

/// Cases under way at once. More would only wait for a processor, until an attempt is over before its request arrives.
const AT_ONCE: usize = 6;

/// Every script in both protocols, several at once: most of their time is waiting.
///
/// # Errors
/// When a server cannot be started or asked for its journal.
pub async fn cases(program: &Path, calibration: &Arc<Calibration>) -> Result<Vec<Made>, String> {
    let turns = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut running = Vec::new();
    for protocol in PROTOCOLS {
        for (mode, steps) in scripts() {
            let (program, calibration, turns) = (program.to_owned(), calibration.clone(), turns.clone());
            running.push(tokio::spawn(async move {
                let _turn = turns.acquire().await;
                one(&program, calibration, protocol, mode, steps).await
            }));
        }
    }
    let mut made = Vec::new();
    for case in running {
        made.push(case.await.map_err(|error| error.to_string())??);
    }
    Ok(made)
}

async fn one(
    program: &Path,
    calibration: Arc<Calibration>,
    protocol: &str,
    mode: Option<FailureMode>,
    steps: Vec<Step>,
) -> Result<Made, String> {
    let mut words: Vec<String> = steps.iter().map(Step::name).collect();
    if let [Step::RateLimit429 { retry_after: Some(text) }] = steps.as_slice()
        && mode.is_none()
    {
        words[0] = format!("rate_limit_429_{}", if text == "86400" { "too_long" } else { "malformed" });
    }
    let script = Script { steps, last: Step::Ok { text: TEXT.into() } };
    let server = Counterpart::wire(program, &script).await?;
    let case = format!("wire-{protocol}-{}", if words.is_empty() { "ok".to_owned() } else { words.join("-") });
    // Its first answer takes longest, and is not what is timed here.
    server.arrived().await?;
    let (attempts, mut row) = call(&server, calibration, protocol, &case, "The lamp.").await?;
    let arrived = server.arrived().await?;
    row.server = "wire".into();
    row.mode = mode;
    words.push("ok".into());
    row.script = words;
    row.arrived = arrived.len() as u64;
    row.bodies = arrived.iter().map(|request| request["body"].clone()).collect();
    Ok(Made { case: row, attempts, arrived })
}

/// One call through all layers. What only the server knows is left open in the row.
///
/// # Errors
/// When the provider cannot be made.
pub async fn call(
    server: &Counterpart,
    calibration: Arc<Calibration>,
    protocol: &str,
    case: &str,
    prompt: &str,
) -> Result<(Vec<Attempt>, WireCase), String> {
    let key = Secret::new(CANARY).ok_or("the canary is no key")?;
    let base = server.base_url(protocol);
    let (provider, model): (Arc<dyn Provider>, _) = match protocol {
        "openai" => (Arc::new(OpenAi::new(&base, key)?), "gpt-4o-mini"),
        _ => (Arc::new(Anthropic::new(&base, key)?), "claude-sonnet-4-5"),
    };
    let parts = Parts {
        calibration,
        model: model.into(),
        provider,
        clock: Clock::real(),
        seed: Seed(0),
        chaos: None,
        ledger: None,
        cache: None,
    };
    let pipeline = Pipeline::new(parts).map_err(|error| error.to_string())?;
    let request = Request {
        call_key: case.into(),
        model: model.into(),
        system: "You write one sentence.".into(),
        messages: vec![Message::user(prompt)],
        max_tokens: 64,
        temperature: 0.5,
        seed: Seed(7),
    };
    let result = pipeline.call(CallContext { call_index: 0, scene_id: "wire".into() }, &request).await;
    let record = pipeline.record();
    let said = format!("{result:?} {record:?} {}", result.as_ref().err().map_or(String::new(), ToString::to_string));
    let text = result.as_ref().map_or("", |answer| answer.reply.text.as_str());
    let row = WireCase {
        case: case.into(),
        server: String::new(),
        protocol: protocol.into(),
        mode: None,
        script: Vec::new(),
        attempts: record.attempts.len() as u64,
        arrived: 0,
        outcomes: record.attempts.iter().map(|attempt| attempt.outcome.clone()).collect(),
        end: CallEnd {
            call_index: 0,
            attempts: result.as_ref().map_or_else(|error| error.attempts(), |answer| answer.attempts).into(),
            outcome: result.as_ref().map_or_else(|error| error.kind(), |_| "ok").into(),
            chars: text.chars().count() as u64,
        },
        text_intact: text == TEXT,
        key_seen: said.matches(CANARY).count() as u64,
        bodies: Vec::new(),
        not_run: None,
    };
    Ok((record.attempts, row))
}
